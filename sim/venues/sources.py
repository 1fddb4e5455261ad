"""What the market of a local venue plays: a recorded tape, a sample, a synthetic one, or none.

`source_of` reads the words of the command line. Synthetic and still markets bring marks and hourly
funding with them, as a perpetual's market has; a tape is played as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from broker_api.instrument import NANOS, Instrument
from data.kept import kept_tape
from data.schema import EMPTY_ASK, EMPTY_BID, IntColumn, RowKind, TapeColumns
from data.synthetic import DEFAULT_START_NS, generate, profile_for
from data.tape import Tape, columns_hash, sample_path, tape_from_frame

MARK_EVERY_NS = 3 * NANOS
"""Perpetuals' venues publish a mark about every three seconds."""
FUNDING_EVERY_NS = 3600 * NANOS
FUNDING_RATE_NANOS = 12_500
"""0.00125 % an hour: the rate of a perpetual without premium."""
_KINDS = ("sample", "synthetic", "still")


@dataclass(frozen=True)
class Source:
    """One market: its instrument, the tape that it plays, and in words where that is from."""

    instrument: Instrument
    tape: Tape
    origin: str


def source_of(instrument: Instrument, text: str, *, is_perpetual: bool = True) -> Source:
    """The source that a text names: a Parquet file, `sample`, `synthetic[:...]` or `still:PRICE`.

    `synthetic:seed=7,hours=2,price=3000` is the seeded generator with these settings; `still` is a
    market that stands at its price until a control request sets another. Both have marks, and
    synthetic ones funding, if they are perpetuals. Raises ConfigurationError, TapeError.
    """
    kind, _, rest = text.partition(":")
    if Path(text).exists():
        return tape_source(instrument, kept_tape(Path(text), instrument))
    if kind == "sample" and not rest:
        return sample_source(instrument)
    if kind == "synthetic":
        return synthetic_source(instrument, **_recipe(instrument, rest), is_perpetual=is_perpetual)
    if kind == "still":
        price = _decimal(instrument, "still", rest)
        return still_source(instrument, price, with_mark=is_perpetual)
    hint = near_miss(kind, _KINDS) or f"; a market is a Parquet file or one of {', '.join(_KINDS)}"
    raise ConfigurationError(f"market {text!r} of {instrument.symbol}: no such file{hint}")


def tape_source(instrument: Instrument, tape: Tape) -> Source:
    """A market that plays this tape, as it is."""
    return Source(instrument, tape, f"tape {Path(tape.source).name}")


def sample_source(instrument: Instrument) -> Source:
    """The sample that ships for the instrument. Raises ConfigurationError where none does."""
    path = sample_path(instrument.symbol)
    if path is None:
        raise ConfigurationError(f"no sample tape of {instrument.symbol} ships; name a file")
    return Source(instrument, kept_tape(path, instrument), "the generated sample")


def synthetic_source(
    instrument: Instrument,
    *,
    seed: int = 0,
    hours: float = 1.0,
    price: Decimal | None = None,
    start_ns: int = DEFAULT_START_NS,
    waypoints: Sequence[tuple[int, Decimal]] = (),
    is_perpetual: bool = True,
) -> Source:
    """A market of the seeded generator; a perpetual's has marks and funding.

    `waypoints` are (seconds from the start, price) that the price is drawn through. Raises
    ConfigurationError.
    """
    try:
        profile = profile_for(instrument.symbol, instrument.tick_size, instrument.lot_size, price)
        table = generate(profile, seed=seed, hours=hours, start_ns=start_ns, waypoints=waypoints)
    except ValueError as fault:
        raise ConfigurationError(f"synthetic market of {instrument.symbol}: {fault}") from None
    tape = tape_from_frame(table, instrument)
    if is_perpetual:
        tape = marked(tape, instrument)
    return Source(instrument, tape, f"synthetic, seed {seed}, {hours:g} hours")


def still_source(
    instrument: Instrument,
    price: Decimal,
    *,
    size: Decimal | None = None,
    start_ns: int = DEFAULT_START_NS,
    with_mark: bool = True,
) -> Source:
    """A market that stands at `price`, a tick of spread on each side, `size` at the touch.

    The size defaults to 1,000 lots. With a mark, marks go on triggering when prices are set.
    """
    ticks = instrument.order_price_to_ticks(price)
    lots = 1000 if size is None else instrument.size_to_lots(size)
    rows = price_rows(instrument, start_ns, ticks, (lots, lots), with_mark=with_mark)
    return Source(instrument, tape_of(rows, instrument), f"still, opened at {price}")


def _recipe(instrument: Instrument, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, _, value = part.partition("=")
        if key == "seed" and value.isdecimal():
            found[key] = int(value)
        elif key in ("hours", "price"):
            number = _decimal(instrument, key, value)
            found[key] = float(number) if key == "hours" else number
        else:
            hint = near_miss(key, ("seed", "hours", "price")) or "; known are seed, hours, price"
            raise ConfigurationError(f"synthetic market of {instrument.symbol}: {part!r}{hint}")
    return found


def _decimal(instrument: Instrument, key: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise ConfigurationError(
            f"market of {instrument.symbol}: {key} {text!r} is not a positive number"
        )
    return value


# --- tapes made row by row ----------------------------------------------------------------------


def price_rows(
    instrument: Instrument,
    ts_ns: int,
    ticks: int,
    sizes: tuple[int, int],
    *,
    with_mark: bool,
    spread_ticks: int = 2,
) -> TapeColumns:
    """The rows of a market that is at `ticks` from now on: its touch, a print of one lot, the mark.

    The touch lies around the price, `spread_ticks` apart, with (bid, ask) `sizes` in lots; a side
    of no size is empty. The quote comes first, so that what the market has jumped over fills from
    the touch and not lot by lot.
    """
    bid, ask = ticks - spread_ticks // 2, ticks + (spread_ticks + 1) // 2
    bid_lots, ask_lots = sizes
    touch = {
        "bid": bid if bid_lots else EMPTY_BID,
        "ask": ask if ask_lots else EMPTY_ASK,
        "bid_qty": bid_lots,
        "ask_qty": ask_lots,
    }
    rows = [
        {"kind": RowKind.QUOTE, "px": 0, "qty": 0, **touch},
        {"kind": RowKind.TRADE, "px": ticks, "qty": 1, **touch},
    ]
    if with_mark:
        mark = ticks * int(instrument.tick_size * NANOS)
        rows.append({"kind": RowKind.MARK, "px": mark, "qty": 0, **touch})
    return columns_of([{"ts": ts_ns, "side": 0, **row} for row in rows])


def columns_of(rows: Sequence[dict[str, int]]) -> TapeColumns:
    """Rows given as tables of a tape's columns."""
    return TapeColumns._make(
        np.array([row[name] for row in rows], dtype=np.int8 if name in ("kind", "side") else "i8")
        for name in TapeColumns._fields
    )


def between(columns: TapeColumns, start: int, end: int | None = None) -> TapeColumns:
    """The rows from `start` up to, not with, `end`."""
    return TapeColumns._make(column[start:end] for column in columns)


def tape_of(columns: TapeColumns, instrument: Instrument, like: Tape | None = None) -> Tape:
    """A tape in memory of these rows; what is said of `like` holds of it too."""
    columns = TapeColumns._make(np.ascontiguousarray(column) for column in columns)
    for column in columns:
        column.flags.writeable = False
    digest = columns_hash(columns)
    if like is not None:
        return replace(like, columns=columns, content_hash=digest, stored=None)
    return Tape(columns, instrument.symbol, "memory", digest, bbo_after_trade=True)


def marked(tape: Tape, instrument: Instrument) -> Tape:
    """The tape with a mark every three seconds and funding on the hour.

    The mark is the median of best bid, best ask and last trade: what a perpetual's venue has where
    it knows no other market.
    """
    columns = tape.columns
    times = np.arange(
        -(-tape.start_ns // MARK_EVERY_NS) * MARK_EVERY_NS, tape.end_ns + 1, MARK_EVERY_NS
    )
    rows = np.searchsorted(columns.ts, times, side="right") - 1
    prices = _median_nanos(columns, rows, int(instrument.tick_size * NANOS))
    known = prices > 0
    times, rows, prices = times[known], rows[known], prices[known]
    on_the_hour = times % FUNDING_EVERY_NS == 0
    marks = between(columns, 0, 0)._replace(
        **{name: getattr(columns, name)[rows] for name in ("bid", "ask", "bid_qty", "ask_qty")},
        ts=times,
        kind=np.where(on_the_hour, RowKind.FUNDING, RowKind.MARK).astype(np.int8),
        side=np.zeros(len(rows), dtype=np.int8),
        px=prices,
        qty=np.where(on_the_hour, FUNDING_RATE_NANOS, 0),
    )
    merged = TapeColumns._make(
        np.insert(columns[at], rows + 1, marks[at]) for at in range(len(columns))
    )
    return tape_of(merged, instrument, tape)


def _median_nanos(columns: TapeColumns, rows: IntColumn, tick_nanos: int) -> IntColumn:
    """By row the median of bid, ask and last trade in 1e-9; 0 where one of them is missing."""
    trade_rows = np.flatnonzero(columns.kind == RowKind.TRADE)
    newest = np.searchsorted(trade_rows, rows, side="right") - 1
    last = columns.px[trade_rows[newest]] if len(trade_rows) else np.zeros(len(rows), dtype="i8")
    three = np.stack([columns.bid[rows], columns.ask[rows], last])
    known = (newest >= 0) & (columns.bid_qty[rows] > 0) & (columns.ask_qty[rows] > 0)
    return np.where(known, np.sort(three, axis=0)[1] * tick_nanos, 0)
