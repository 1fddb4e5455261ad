"""What account rules remember, as plain data: exported, restored, kept in a file."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from broker_api.codes import Reason
from broker_api.errors import ConfigurationError
from broker_api.risk_rules import RULE_NAMES

VERSION = 1
_REASONS = {name: reason for reason, name in RULE_NAMES.items()}
_AMOUNTS = ("start_nanos", "day_end_ns", "day_start_nanos", "peak_nanos")


class Breach(NamedTuple):
    """A broken limit: value and limit then, since when, until when it halts (0: for good)."""

    value: int
    limit: int
    since_ns: int
    until_ns: int


@dataclass(slots=True)
class RiskState:
    """Levels of an account's equity, in 1e-9 currency, and what is in force.

    `halts` last until their time, `standing` breaches as long as the limit is broken.
    """

    account: str
    start_nanos: int
    day_end_ns: int
    day_start_nanos: int
    peak_nanos: int
    keeps_positions: bool = False
    """A kill switch that was pressed by hand leaves open positions as they are."""
    halts: dict[Reason, Breach] = field(default_factory=dict)
    standing: dict[Reason, Breach] = field(default_factory=dict)
    sent_ns: deque[int] = field(default_factory=deque)

    def export(self) -> dict[str, Any]:
        """The state as a table of numbers and texts, for JSON or TOML; `restored` reads it."""
        table: dict[str, Any] = {"version": VERSION, "account": self.account}
        table |= {name: getattr(self, name) for name in _AMOUNTS}
        for name in ("halts", "standing"):
            breaches: dict[Reason, Breach] = getattr(self, name)
            table[name] = {RULE_NAMES[key]: breach._asdict() for key, breach in breaches.items()}
        if self.keeps_positions:
            table["keeps_positions"] = True
        return table | {"sent_ns": list(self.sent_ns)}

    @classmethod
    def restored(cls, table: Mapping[str, Any]) -> RiskState:
        """The state of an exported table. Raises ConfigurationError for any other."""
        try:
            if table["version"] != VERSION:
                raise ValueError(f"its version is {table['version']!r}, known is {VERSION}")
            return cls(
                account=str(table["account"]),
                **{name: _integer(table[name]) for name in _AMOUNTS},
                keeps_positions=table.get("keeps_positions") is True,
                halts=_breaches(table["halts"]),
                standing=_breaches(table["standing"]),
                sent_ns=deque(_integer(each) for each in table["sent_ns"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            what = f"{fault} is missing" if isinstance(fault, KeyError) else str(fault)
            raise ConfigurationError(f"the state of the account rules is damaged: {what}") from None


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _breaches(table: Mapping[str, Any]) -> dict[Reason, Breach]:
    return {
        _REASONS[name]: Breach(*(_integer(breach[key]) for key in Breach._fields))
        for name, breach in table.items()
    }


def load_state(path: Path) -> RiskState | None:
    """The state that a file keeps, None where there is none yet. Raises ConfigurationError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as failure:
        raise ConfigurationError(f"{path}: cannot be read: {failure}") from None
    try:
        return RiskState.restored(json.loads(text))
    except (ValueError, ConfigurationError) as fault:
        raise ConfigurationError(
            f"{path}: {fault}; nothing is traded until it is mended, or removed by hand"
        ) from None


def save_state(path: Path, table: Mapping[str, Any]) -> None:
    """Replace the file by this state, whole or not at all, on the disk when this returns."""
    fresh = path.with_name(f".{path.name}.fresh")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(table, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
