"""What can be wrong with a tape: the rules, the log of broken ones, and the report on a file.

In strict mode the first fault ends the reading with a TapeError that names file, row, column and
value. In repair mode the faulty row is dropped and counted. Rows are counted from 0, as Parquet
readers do. The rules that look at single rows and at neighbours are applied in `data.convert`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from data.schema import (
    BAR_COLUMNS,
    BAR_PRICES,
    CANONICAL_COLUMNS,
    DEPTH_COLUMNS,
    ID_COLUMNS,
    QUOTE_COLUMNS,
    TRADE_COLUMNS,
    FloatColumn,
    IntColumn,
    Mask,
    TapeError,
)

EXAMPLES_KEPT = 3
"""Faults of one rule that a report shows; the rest is counted."""


class Rule(StrEnum):
    """What a row may break. The text is what the user reads."""

    TIME_MISSING = "time is missing"
    TIME_RANGE = "time is not in nanoseconds since 1970 (0 to 4e18)"
    TIME_BACKWARDS = "time runs backwards"
    GAP = "gap between rows is too long"
    KIND = "kind is none of the known ones"
    KIND_PRICE = "a quote row has no trade price"
    NEITHER = "row is neither quote nor trade"
    PRICE_MISSING = "price is missing or not a number"
    PRICE_ON_EMPTY_SIDE = "price is missing or not a number on a side that has a size"
    PRICE_OFF_TICK = "price is not a multiple of the tick size"
    PRICE_NOT_POSITIVE = "price is not positive"
    SIZE_MISSING = "size is missing or not a number"
    SIZE_NEGATIVE = "size is negative"
    SIZE_ZERO = "a trade has size zero"
    ORDER_ZERO = "an order joins, leaves or is executed with size zero"
    SIZE_OFF_LOT = "size is not a multiple of the lot size"
    TOO_LARGE = "value is too large"
    CROSSED = "book is crossed, the bid is above the ask"
    SIDE = "side is none of -1, 0, 1"
    ID_REPEATED = "id was seen before"
    RATE_MISSING = "funding rate is missing or not a number"
    BOOK_SIDE = "side of a level or an order is neither 1 (bid) nor -1 (ask)"
    ORIGIN_MISSING = "a cancel or an execution has no origin, the row at which its order joined"
    ORIGIN_NEEDLESS = "only a cancel or an execution has an origin"
    ORIGIN_UNKNOWN = "origin is not the row of an earlier add"
    ORIGIN_OTHER = "side or price are not those of the order at origin"
    ORIGIN_SPENT = "more is cancelled and executed than the order at origin has left"
    BAR_HIGH = "high of a bar is below another of its prices"
    BAR_LOW = "low of a bar is above another of its prices"
    BAR_EARLY = "bar starts before the one before it has ended"


class Fault(NamedTuple):
    """One broken rule at one row."""

    row: int
    column: str
    value: str
    rule: Rule
    limit: str = ""

    @property
    def text(self) -> str:
        """The rule, with the limit where it has one."""
        return f"{self.rule}: {self.limit}" if self.limit else str(self.rule)


@dataclass
class FaultLog:
    """Counts of broken rules over a file, with the first examples of each.

    `strict` raises at the first fault; otherwise the faults are only counted.
    """

    file: str
    strict: bool = True
    counts: dict[Rule, int] = field(default_factory=dict)
    examples: list[Fault] = field(default_factory=list)

    def record(self, fault: Fault, count: int = 1) -> None:
        """Raise for the fault when strict, else count it."""
        if self.strict:
            raise TapeError(
                fault.text, file=self.file, row=fault.row, column=fault.column, value=fault.value
            )
        self.counts[fault.rule] = self.counts.get(fault.rule, 0) + count
        if sum(seen.rule is fault.rule for seen in self.examples) < EXAMPLES_KEPT:
            self.examples.append(fault)


class BatchFaults:
    """The faulty rows of one batch. A row counts once, under the first rule that marks it."""

    def __init__(self, rows: IntColumn) -> None:
        self.rows = rows
        self.bad: Mask = np.zeros(len(rows), dtype=np.bool_)
        self._found: list[tuple[Fault, int]] = []

    def mark(
        self,
        rule: Rule,
        column: str,
        mask: Mask,
        value: FloatColumn | IntColumn | Callable[[int], str],
        limit: str = "",
    ) -> None:
        """Note that `rule` is broken in `column` where `mask` says so; `value` gives the text."""
        fresh = mask & ~self.bad
        positions = np.flatnonzero(fresh)
        if not len(positions):
            return
        self.bad |= fresh
        for order, position in enumerate(positions[:EXAMPLES_KEPT].tolist()):
            text = value(position) if callable(value) else number_text(value[position])
            count = len(positions) - min(len(positions), EXAMPLES_KEPT) + 1 if order == 0 else 1
            self._found.append((Fault(int(self.rows[position]), column, text, rule, limit), count))

    def settle(self, log: FaultLog) -> None:
        """Hand the faults to the log, the earliest row first."""
        for fault, count in sorted(self._found, key=lambda found: found[0].row):
            log.record(fault, count)


def number_text(value: np.float64 | np.int64) -> str:
    """A number as the user wrote it: no trailing zeros, all of an integer's digits."""
    return str(int(value)) if isinstance(value, np.integer) else f"{float(value):.15g}"


@dataclass(frozen=True)
class CheckReport:
    """The outcome of checking one tape file.

    `rows` were read, `kept` are left after faulty rows and repeated quotes are gone; `counts` has
    the number of faults by rule, `examples` the first few of each, `notes` what else a user should
    know.
    """

    source: str
    symbol: str
    rows: int
    kept: int
    counts: dict[Rule, int]
    examples: tuple[Fault, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the strict reading accepts the file."""
        return not self.counts

    @property
    def faults(self) -> int:
        """Number of faults of all rules."""
        return sum(self.counts.values())


# Names that other programs use for our columns; difflib would not find them.
_OTHER_NAMES = {
    "timestamp": "ts", "time": "ts", "datetime": "ts", "date": "ts", "ts_event": "ts",
    "bid_price": "bid", "best_bid": "bid", "bid_px": "bid", "ask_price": "ask", "best_ask": "ask",
    "ask_px": "ask", "offer": "ask", "bid_qty": "bid_size", "bid_sz": "bid_size",
    "ask_qty": "ask_size", "ask_sz": "ask_size", "last": "price", "px": "price",
    "qty": "size", "quantity": "size", "volume": "size", "amount": "size", "aggressor": "side",
    "vol": "volume",
}  # fmt: skip


class Layout(NamedTuple):
    """Which optional parts a file has."""

    has_quotes: bool
    has_trades: bool
    has_kind: bool
    has_rate: bool
    ids: tuple[str, ...]
    has_depth: bool
    is_bars: bool = False
    has_origin: bool = False

    @property
    def columns(self) -> list[str]:
        """The columns to read, in canonical order."""
        if self.is_bars:
            return list(BAR_COLUMNS)
        wanted = ["ts", *(QUOTE_COLUMNS if self.has_quotes else ())]
        wanted += TRADE_COLUMNS if self.has_trades else ()
        wanted += ["kind"] if self.has_kind else []
        wanted += ["rate"] if self.has_rate else []
        wanted += ["origin"] if self.has_origin else []
        return [*wanted, *self.ids]


def check_columns(schema: pa.Schema, file: str) -> Layout:
    """The layout of a file whose columns are the canonical ones; TapeError names the first that is
    not."""
    names: list[str] = list(schema.names)
    for name in names:
        if names.count(name) > 1:
            raise TapeError("column appears twice", file=file, column=name)
    if set(names) & set(BAR_PRICES):
        return _check_bar_columns(schema, names, file)
    for name in names:
        if name not in CANONICAL_COLUMNS and name not in DEPTH_COLUMNS:
            raise TapeError(f"unknown column{_suggest(name, names)}", file=file, column=name)
    _require(("ts",), names, file, "a tape needs it")
    has_quotes = any(name in names for name in QUOTE_COLUMNS)
    has_trades = any(name in names for name in TRADE_COLUMNS)
    if not has_quotes and not has_trades:
        raise TapeError(
            f"no quotes ({', '.join(QUOTE_COLUMNS)}) and no trades ({', '.join(TRADE_COLUMNS)})",
            file=file,
        )
    if has_quotes:
        _require(QUOTE_COLUMNS, names, file, "a tape with quotes has all four")
    if has_trades:
        _require(TRADE_COLUMNS, names, file, "a tape with trades has all three; side 0 is unknown")
    if "origin" in names:
        _require(("kind", *TRADE_COLUMNS), names, file, "origin goes with rows of single orders")
    for name in names:
        _check_type(name, schema.field(name).type, file)
    return Layout(
        has_quotes,
        has_trades,
        "kind" in names,
        "rate" in names,
        tuple(name for name in ID_COLUMNS if name in names),
        any(name in DEPTH_COLUMNS for name in names),
        has_origin="origin" in names,
    )


def _check_bar_columns(schema: pa.Schema, names: list[str], file: str) -> Layout:
    for name in names:
        if name in CANONICAL_COLUMNS and name != "ts":
            raise TapeError("a file of bars holds no quotes and trades", file=file, column=name)
        if name not in BAR_COLUMNS:
            suggestion = _suggest(name, names, BAR_COLUMNS)
            raise TapeError(f"unknown column of bars{suggestion}", file=file, column=name)
    _require(BAR_COLUMNS, names, file, f"bars have {', '.join(BAR_COLUMNS)}")
    for name in names:
        _check_type(name, schema.field(name).type, file)
    return Layout(False, True, False, False, (), False, is_bars=True)


def _require(wanted: tuple[str, ...], names: list[str], file: str, why: str) -> None:
    for name in wanted:
        if name not in names:
            have = ", ".join(names)
            raise TapeError(f"missing column ({why}); the file has {have}", file=file, column=name)


def _suggest(name: str, names: list[str], known_names: tuple[str, ...] = CANONICAL_COLUMNS) -> str:
    if name.startswith("__index_level"):
        return "; write the frame with index=False"
    free = [known for known in known_names if known not in names]
    if name.lower() in BAR_PRICES:
        free += BAR_PRICES
    near = _OTHER_NAMES.get(name.lower())
    if near not in free:
        near = next(iter(difflib.get_close_matches(name.lower(), free, 1, 0.6)), None)
    return f"; did you mean {near}?" if near in free else f"; known are {', '.join(free)}"


def _check_type(name: str, kind: pa.DataType, file: str) -> None:
    types = pa.types
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    if name == "ts":
        fits, wanted = types.is_integer(kind) or types.is_timestamp(kind), "int64 ns or timestamp"
    elif name == "kind":
        text = kind.value_type if types.is_dictionary(kind) else kind
        fits = types.is_string(text) or types.is_large_string(text) or types.is_integer(text)
        wanted = "text or integer"
    elif name in (*ID_COLUMNS, "origin"):
        fits, wanted = types.is_integer(kind) or types.is_null(kind), "an integer type"
    else:
        fits, wanted = number or types.is_null(kind), "a number type"
    if not fits:
        raise TapeError(f"wrong type, must be {wanted}", file=file, column=name, value=str(kind))
