"""What a tape holds, in numbers: the facts that `papertape data inspect` shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.schema import NANO, ROWS_OF_BAR, IntColumn, Mask, RowKind
from data.tape import Tape

PAUSES_SHOWN = 5
_BAR_LENGTHS = tuple(seconds * NANO for seconds in (1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400))


@dataclass(frozen=True)
class Distribution:
    """Quantiles of a column: smallest, lower quartile, median, upper quartile, 99 %, largest;
    mean."""

    quantiles: tuple[int, int, int, int, int, int]
    mean: float


@dataclass(frozen=True)
class Pause:
    """A stretch without rows that follows row `row`."""

    row: int
    from_ns: int
    length_ns: int


@dataclass(frozen=True)
class TapeFacts:
    """Numbers about one tape. Spreads are ticks, sizes lots; None where there is nothing to
    measure.

    `prints_outside` counts trades beyond the book that their row carries: sweeps, and feeds whose
    trades and quotes are not ordered against each other.
    """

    rows: int
    kinds: dict[RowKind, int]
    spread: Distribution | None
    one_tick_share: float | None
    one_sided_rows: int
    locked_rows: int
    touch: Distribution | None
    trade: Distribution | None
    buyer_share: float | None
    prints_outside: int
    pauses: tuple[Pause, ...]
    orders: OrderFacts | None


@dataclass(frozen=True)
class OrderFacts:
    """Numbers about the single orders of a tape: how many joined, with how many lots, what of these
    was executed and cancelled; and how many orders are left in the book at the end."""

    joined: int
    lots: int
    executed: int
    cancelled: int
    left: int


@dataclass(frozen=True)
class BarFacts:
    """Numbers about a tape of bars. `height` is high less low in ticks, `volume` lots a bar;
    `empty` counts bars without volume; a pause follows bar `row`, from its end."""

    bars: int
    height: Distribution
    volume: Distribution
    empty: int
    pauses: tuple[Pause, ...]


def describe_bars(tape: Tape) -> BarFacts:
    """The facts of a tape that was made of bars; its rows are four a bar."""
    columns, step = tape.columns, ROWS_OF_BAR
    volume = columns.qty.reshape(-1, step).sum(axis=1)
    height, lots = _distribution(columns.px[1::step] - columns.px[2::step]), _distribution(volume)
    assert height is not None, "a tape has rows"
    assert lots is not None, "a tape has rows"
    starts = columns.ts[::step]
    ends = starts + tape.bar_interval_ns
    pauses = (
        Pause(bar, int(ends[bar]), int(starts[bar + 1] - ends[bar]))
        for bar in np.argsort(ends[:-1] - starts[1:], kind="stable")[:PAUSES_SHOWN].tolist()
    )
    return BarFacts(
        bars=len(starts),
        height=height,
        volume=lots,
        empty=_count(volume == 0),
        pauses=tuple(pause for pause in pauses if pause.length_ns > 0),
    )


def describe(tape: Tape) -> TapeFacts:
    """The facts of a tape. Reads every column once."""
    columns = tape.columns
    counts = np.bincount(columns.kind, minlength=len(RowKind))
    bid_side, ask_side = columns.bid_qty > 0, columns.ask_qty > 0
    both = bid_side & ask_side
    spread = columns.ask[both] - columns.bid[both]
    touch = np.concatenate([columns.bid_qty[bid_side], columns.ask_qty[ask_side]])
    trade = columns.kind == RowKind.TRADE
    sides = columns.side[trade]
    known = int(np.count_nonzero(sides))
    outside = (columns.px > columns.ask) | (columns.px < columns.bid)
    return TapeFacts(
        rows=len(tape),
        kinds={RowKind(kind): int(count) for kind, count in enumerate(counts) if count},
        spread=_distribution(spread),
        one_tick_share=float(np.mean(spread == 1)) if len(spread) else None,
        one_sided_rows=int(np.count_nonzero(bid_side != ask_side)),
        locked_rows=int(np.count_nonzero(spread == 0)),
        touch=_distribution(touch),
        trade=_distribution(columns.qty[trade]),
        buyer_share=float(np.count_nonzero(sides == 1) / known) if known else None,
        prints_outside=_count(trade & both & outside),
        pauses=_pauses(columns.ts),
        orders=_orders(tape) if tape.has_orders else None,
    )


def _orders(tape: Tape) -> OrderFacts:
    kind, qty = tape.columns.kind, tape.columns.qty
    adds = kind == RowKind.ADD
    left = np.where(adds, qty, 0)
    leaves = tape.origin >= 0 if len(tape.origin) else np.zeros(len(tape), dtype=np.bool_)
    np.subtract.at(left, tape.origin[leaves], qty[leaves])
    return OrderFacts(
        joined=_count(adds),
        lots=int(qty[adds].sum()),
        executed=int(qty[kind == RowKind.EXEC].sum()),
        cancelled=int(qty[kind == RowKind.CANCEL].sum()),
        left=_count(left > 0),
    )


def _count(mask: Mask) -> int:
    return int(np.count_nonzero(mask))


def _distribution(values: IntColumn) -> Distribution | None:
    if not len(values):
        return None
    shares = [0.0, 0.25, 0.5, 0.75, 0.99, 1.0]
    found: npt.NDArray[np.int64] = np.quantile(values, shares, method="lower").astype(np.int64)
    low, first, middle, third, high, top = found.tolist()
    return Distribution((low, first, middle, third, high, top), float(values.mean()))


def _pauses(ts: IntColumn) -> tuple[Pause, ...]:
    lengths = np.diff(ts)
    longest = np.argsort(-lengths, kind="stable")[:PAUSES_SHOWN].tolist()
    return tuple(Pause(row, int(ts[row]), int(lengths[row])) for row in longest)


def bar_length_for(tape: Tape, bars_most: int = 12) -> int:
    """The shortest usual bar, in ns, that shows a tape in at most `bars_most` bars, else a day.

    Never shorter than the bars that a tape was made of, but for bars of more than a day.
    """
    span, shortest = tape.end_ns - tape.start_ns, tape.bar_interval_ns
    fitting = (length for length in _BAR_LENGTHS if span // length < bars_most)
    return next((length for length in fitting if length >= shortest), _BAR_LENGTHS[-1])
