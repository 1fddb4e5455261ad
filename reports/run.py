"""A finished run as the reports see it: its journal, its settings, its tapes.

Comes from a session in memory (`RunRecord(...)`) or from a run folder (`read_run`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from broker_api.instrument import Instrument, MarginTier, to_nanos
from broker_api.journal import digest_of
from broker_api.journal_parquet import orders_in, read_journal
from broker_api.order import TriggerSource, parse_name
from data.schema import TapeError
from data.tape import Tape, open_tape

CONFIG_FILE = "config.json"

_DECIMALS = frozenset(
    field.name for field in fields(Instrument) if str(field.type).startswith("Decimal")
)


@dataclass(frozen=True)
class RunRecord:
    """A finished run. `orders` is how many were sent; every leg of a bracket or an OCO is one.

    `commands()` is the table of commands, made when somebody wants it. `tapes` go with
    `instruments`; None where a tape is not there any more.

    `config` is what `config.json` holds. Read here: `script`, `strategy`, `parameters`, `account`
    (`currency`, `cash`), `simulation`, `started_ns` and `ended_ns` (epoch, of the session), `notes`
    (a list of sentences), `versions`. All may be missing; everything in it is shown in the report.
    """

    events: npt.NDArray[np.void]
    orders: int
    commands: Callable[[], pa.Table]
    instruments: tuple[Instrument, ...]
    tapes: tuple[Tape | None, ...]
    config: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What ran: the strategy, else the script's file name, else "run"."""
        script = self.config.get("script")
        name = self.config.get("strategy") or (Path(str(script)).stem if script else None)
        return str(name or "run")

    @property
    def currency(self) -> str:
        """Of the account."""
        return str(self._account.get("currency", "USD"))

    @cached_property
    def cash_nanos(self) -> int:
        """Cash at the start, in 1e-9 of the currency."""
        return to_nanos(str(self._account.get("cash", 0)))

    @property
    def _account(self) -> Mapping[str, Any]:
        return self.config.get("account") or {}

    @cached_property
    def start_ns(self) -> int:
        """When the session started; without that, the first row of a tape or the first event."""
        stated = self.config.get("started_ns")
        if stated is not None:
            return int(stated)
        starts = [tape.start_ns for tape in self.tapes if tape is not None]
        if not starts and len(self.events):
            return int(self.events["ts_ns"][0])
        return min(starts, default=0)

    @cached_property
    def end_ns(self) -> int:
        """When the session ended; without that, the last row of a tape; never before an event."""
        stated = self.config.get("ended_ns")
        ends = [int(stated)] if stated is not None else []
        ends = ends or [tape.end_ns for tape in self.tapes if tape is not None]
        if len(self.events):
            ends.append(int(self.events["ts_ns"].max()))
        return max([*ends, self.start_ns])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the event rows, as hex."""
        return digest_of(self.events)

    @cached_property
    def ticks(self) -> int:
        """Rows of the tapes between start and end, both included."""
        total = 0
        for tape in self.tapes:
            if tape is not None:
                ts = tape.columns.ts
                first = int(np.searchsorted(ts, self.start_ns, side="left"))
                total += int(np.searchsorted(ts, self.end_ns, side="right")) - first
        return total


def read_run(folder: Path, *, cache_dir: Path | None = None) -> RunRecord:
    """The run of a folder. Its tapes are opened where they lie and still have the same content.

    Raises OSError for a missing file, ValueError for one that is no run's.
    """
    events, commands = read_journal(folder)
    text = (folder / CONFIG_FILE).read_text(encoding="utf-8")
    try:
        config = json.loads(text)
        instruments = tuple(instrument_from_json(table) for table in config["instruments"])
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        file = folder / CONFIG_FILE
        raise ValueError(f"{file} is not the configuration of a run: {fault}") from None
    places = {str(entry.get("symbol")): entry for entry in config.get("tapes") or []}
    tapes = tuple(_open(places.get(spec.symbol), spec, cache_dir) for spec in instruments)
    return RunRecord(events, orders_in(commands), lambda: commands, instruments, tapes, config)


def instrument_from_json(table: Mapping[str, Any]) -> Instrument:
    """The instrument whose fields a configuration holds, decimals as text or number.

    Raises ValueError or TypeError for a field that is unknown, missing or no value of its kind.
    """
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name == "trigger_source":
            values[name] = parse_name(TriggerSource, value, name)
        elif name == "margin_tiers":
            values[name] = tuple(MarginTier(Decimal(str(start)), *rates) for start, *rates in value)
        elif name in _DECIMALS and value is not None:
            values[name] = Decimal(str(value))
        else:
            values[name] = value
    return Instrument(**values)


def _open(entry: Mapping[str, Any] | None, spec: Instrument, cache_dir: Path | None) -> Tape | None:
    path = entry.get("path") if entry is not None else None
    if entry is None or not path or not Path(path).is_file():
        return None
    try:
        tape = open_tape(Path(path), spec, cache_dir=cache_dir)
    except TapeError:
        return None
    known = entry.get("content_hash")
    return tape if known in (None, tape.content_hash) else None
