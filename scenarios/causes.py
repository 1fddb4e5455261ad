"""What most likely made two runs differ: what changed between them, and where they part.

What changed is read off both configurations. Where they part rules some of it out: as long as both
strategies gave the same commands, no line of the strategy and none of its parameters can have made
an event differ; and a tape that first differs later has made nothing yet. What is left is ordered
by how well it fits the field, kind and time of the first difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from broker_api.event import EventKind
from data.tape import Tape
from reports.text import moment
from scenarios.alignment import DivergenceKind
from scenarios.evidence import first_other_row

EVIDENCE = "evidence"
"""The key of a configuration that holds what `scenarios.evidence` found."""
_SETTINGS = ("instruments", "simulation", "account", "risk", "order_manager", "parameters")
_MONEY = frozenset({"fee_nanos", "cash_nanos", "realised_nanos", "value", "limit"})
_VERSIONS = ("python", "numpy", "numba", "pyarrow", "papertape")


class CauseKind(Enum):
    """What a run depends on."""

    TAPE = "tape"
    SETTING = "setting"
    PARAMETER = "parameter"
    STRATEGY = "strategy"
    CODE = "code"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Cause:
    """A possible cause: its kind, its key (a setting, a symbol, a file), and a sentence."""

    kind: CauseKind
    key: str
    text: str


@dataclass(frozen=True)
class Site:
    """Where two runs part, as far as it tells causes apart.

    `is_decision`: the commands part first. `row_kind` is the kind of the event, None of a command;
    `fields` are the names of what differs.
    """

    kind: DivergenceKind
    is_decision: bool
    ts_ns: int
    row_kind: int | None
    fields: frozenset[str]


def causes_of(
    expected: Mapping[str, Any], actual: Mapping[str, Any], tapes: Mapping[str, Tape], site: Site
) -> tuple[Cause, ...]:
    """The possible causes, the likeliest first; never empty. `tapes` are those of the actual run.

    `expected` and `actual` are configurations, with evidence where there is some.
    """
    scored = [
        *_tape_causes(expected, actual, tapes, site),
        *_setting_causes(expected, actual, site),
        *_strategy_causes(expected, actual, site),
        *_code_causes(expected, actual, site),
    ]
    ordered = sorted(scored, key=lambda each: -each[0])
    return tuple(cause for _, cause in ordered) or (_unknown(site),)


_Scored = Iterator[tuple[int, Cause]]


def _tape_causes(
    expected: Mapping[str, Any], actual: Mapping[str, Any], tapes: Mapping[str, Tape], site: Site
) -> _Scored:
    before = {entry["symbol"]: entry["content_hash"] for entry in expected.get("tapes") or []}
    marks = (expected.get(EVIDENCE) or {}).get("tapes") or {}
    for entry in actual.get("tapes") or []:
        symbol = entry["symbol"]
        if before.get(symbol) in (None, entry["content_hash"]):
            continue
        tape = tapes.get(symbol)
        rows = (
            first_other_row(marks[symbol], tape) if tape is not None and symbol in marks else None
        )
        if tape is None or rows is None:
            yield 60, Cause(CauseKind.TAPE, symbol, f"the tape of {symbol} has other content")
            continue
        first, last = (min(row, len(tape) - 1) for row in rows)
        start_ns, end_ns = int(tape.columns.ts[first]), int(tape.columns.ts[last])
        if start_ns > site.ts_ns:
            continue
        yield (
            90,
            Cause(
                CauseKind.TAPE,
                symbol,
                f"the tape of {symbol} has other content, from between its rows {first:,} and "
                f"{last:,} on ({moment(start_ns)} to {moment(end_ns)})",
            ),
        )


# --- settings -------------------------------------------------------------------------------------


def _setting_causes(expected: Mapping[str, Any], actual: Mapping[str, Any], site: Site) -> _Scored:
    for key, before, now in changed_settings(expected, actual):
        section, _, name = key.partition(".")
        if section == "parameters":
            if not site.is_decision:
                continue  # The same commands were given, whatever the parameters.
            text = f"{name} is {_shown(now)}, it was {_shown(before)}"
            yield 80, Cause(CauseKind.PARAMETER, name, text)
            continue
        text = f"{key} is {_shown(now)}, it was {_shown(before)}"
        yield 50 + _fit(key, site), Cause(CauseKind.SETTING, key, text)


def depends_on_other(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> bool:
    """Whether settings, tapes or the strategy of two runs differ, whatever came of it."""
    one, other = (
        (
            _settings(config),
            config.get("strategy"),
            (config.get(EVIDENCE) or {}).get("strategy"),
            {entry["symbol"]: entry["content_hash"] for entry in config.get("tapes") or []},
        )
        for config in (expected, actual)
    )
    return one != other


def changed_settings(
    expected: Mapping[str, Any], actual: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    """Key, value before and value now of every setting that differs, in order of the keys."""
    before, now = _settings(expected), _settings(actual)
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            yield key, before.get(key), now.get(key)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for section in _SETTINGS:
        value = config.get(section)
        if section == "instruments":
            value = {entry["symbol"]: entry for entry in value or []}
        flat.update(_flat(section, value))
    return flat


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    elif value is not None:
        yield key, value


def _is_fee(key: str) -> bool:
    return "fee" in key.rpartition(".")[2]


def _is_latency(key: str) -> bool:
    return "latency" in key


def _is_margin(key: str) -> bool:
    return any(word in key for word in ("margin", "cash", "leverage", "isolated", "tiers"))


def _is_filling(key: str) -> bool:
    words = ("queue", "beyond_top", "self_trade", "trade_through", "bar_path", "spread_ticks")
    return any(word in key for word in words)


def _is_session(key: str) -> bool:
    return key.startswith(("risk", "order_manager"))


def _fit(key: str, site: Site) -> int:
    """How well a setting explains such a difference, from -30 to 30."""
    fits: Callable[[str], bool] = _is_filling
    if site.is_decision:
        fits = _is_latency if site.kind is DivergenceKind.RETIMED else _is_session
    elif site.fields and site.fields <= _MONEY:
        fits = _is_fee if "fee_nanos" in site.fields else _is_margin
    elif site.kind is DivergenceKind.RETIMED:
        fits = _is_latency
    elif site.row_kind in (EventKind.REJECTED, EventKind.LIQUIDATION):
        fits = _is_margin
    elif site.row_kind is not None and site.row_kind >= EventKind.RISK_REFUSED:
        fits = _is_session
    if fits(key):
        return 30
    # Money explains neither times nor fills, but a fee that empties an account explains much.
    return -20 if _is_fee(key) else 0


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)


# --- code -----------------------------------------------------------------------------------------


def _strategy_causes(expected: Mapping[str, Any], actual: Mapping[str, Any], site: Site) -> _Scored:
    if not site.is_decision:
        return  # The same commands were given, whatever the code.
    before = (expected.get(EVIDENCE) or {}).get("strategy") or {}
    now = (actual.get(EVIDENCE) or {}).get("strategy") or {}
    for name in sorted({*before, *now}) if before else ():
        if before.get(name) != now.get(name):
            how = "is new" if name not in before else "is gone" if name not in now else "changed"
            text = f"the strategy decided otherwise on the same events, and {name} {how}"
            yield 85, Cause(CauseKind.STRATEGY, name, text)
    if expected.get("strategy") != actual.get("strategy"):
        text = f"strategy {actual.get('strategy')} ran, it was {expected.get('strategy')}"
        yield 88, Cause(CauseKind.STRATEGY, str(actual.get("strategy")), text)


def _code_causes(expected: Mapping[str, Any], actual: Mapping[str, Any], site: Site) -> _Scored:
    before = (expected.get(EVIDENCE) or {}).get("code")
    now = (actual.get(EVIDENCE) or {}).get("code")
    older, newer = expected.get("versions") or {}, actual.get("versions") or {}
    changed = [name for name in _VERSIONS if older.get(name) != newer.get(name)]
    shown = ", ".join(f"{name} {older.get(name)} to {newer.get(name)}" for name in changed)
    if before != now and before is not None:
        what = "before the exchange saw them" if site.is_decision else "on the same commands"
        text = f"papertape's own code changed, and the runs part {what}"
        text += f" ({shown})" if shown else ""
        yield 20 if site.is_decision else 40, Cause(CauseKind.CODE, "papertape", text)
    elif changed:
        yield 10, Cause(CauseKind.CODE, changed[0], f"other versions: {shown}")


def _unknown(site: Site) -> Cause:
    if site.is_decision:
        text = (
            "the strategy decided otherwise on the same events, tape, settings and code: something "
            "else comes in, such as the clock, chance, a file or the environment"
        )
    else:
        text = (
            "tape, settings, strategy and papertape's code are the same: the accepted run was "
            "changed after it was recorded"
        )
    return Cause(CauseKind.UNKNOWN, "", text)
