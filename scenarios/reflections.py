"""A tape with other prices that mean the same: shifted by a constant, or seen in the mirror.

And the events of a run in the same terms, so that two runs can be compared that way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.errors import ConfigurationError
from broker_api.event import EventKind
from broker_api.order import NO_PRICE
from data.schema import (
    COLUMN_TYPES,
    EMPTY_ASK,
    EMPTY_BID,
    NANO,
    NO_ORIGIN,
    Grid,
    RowKind,
    TapeColumns,
)
from data.tape import Tape, columns_hash

Events = npt.NDArray[np.void]

_WITH_SIDE = (EventKind.ACCEPTED, EventKind.FILLED, EventKind.DOUBLE_EXIT)
_IN_MONEY = (RowKind.MARK, RowKind.FUNDING)
_LEFT_OUT = ("value", "limit", "cash_nanos", "fee_nanos")
"""Columns that prices of another level may change without any other decision."""


def shifted_tape(tape: Tape, ticks: int, grid: Grid) -> Tape:
    """The tape with every price so many ticks higher. Rows of single orders become quotes."""
    rows = tape.l1
    return _with(tape, _moved(rows, ticks, grid))


def _moved(rows: TapeColumns, ticks: int, grid: Grid) -> TapeColumns:
    money = np.isin(rows.kind, _IN_MONEY) & (rows.px > 0)
    px = np.where(rows.kind == RowKind.TRADE, rows.px + ticks, rows.px)
    return rows._replace(
        px=np.where(money, rows.px + ticks * int(grid.tick_size * NANO), px),
        bid=np.where(rows.bid != EMPTY_BID, rows.bid + ticks, EMPTY_BID),
        ask=np.where(rows.ask != EMPTY_ASK, rows.ask + ticks, EMPTY_ASK),
    )


def axis_of(tape: Tape) -> int:
    """An even axis for a mirror: twice the first price, so that about it prices stay."""
    bids = tape.columns.bid[tape.columns.bid_qty > 0]
    prints = tape.columns.px[tape.columns.kind == RowKind.TRADE]
    known = bids if len(bids) else prints
    return 2 * int(known[0]) if len(known) else 0


def mirrored_tape(tape: Tape, axis: int, grid: Grid) -> Tape:
    """The tape in which price p is axis - p, buyers are sellers, and bids are offers.

    Raises ConfigurationError for bars, whose path has a direction, and where a price would not be
    above zero.
    """
    if tape.bar_interval_ns:
        raise ConfigurationError(f"the tape of {tape.symbol} is made of bars: it has no mirror")
    rows = tape.l1
    money = np.isin(rows.kind, _IN_MONEY) & (rows.px > 0)
    px = np.where(rows.kind == RowKind.TRADE, axis - rows.px, rows.px)
    columns = rows._replace(
        side=-rows.side,
        px=np.where(money, axis * int(grid.tick_size * NANO) - rows.px, px),
        bid=np.where(rows.ask_qty > 0, axis - rows.ask, EMPTY_BID),
        ask=np.where(rows.bid_qty > 0, axis - rows.bid, EMPTY_ASK),
        bid_qty=rows.ask_qty,
        ask_qty=rows.bid_qty,
    )
    prices = np.concatenate([columns.bid[columns.bid_qty > 0], px[rows.kind == RowKind.TRADE]])
    if len(prices) and int(prices.min()) <= 0:
        raise ConfigurationError(f"the tape of {tape.symbol} moves too far for a mirror")
    return _with(tape, columns)


def _with(tape: Tape, columns: TapeColumns) -> Tape:
    named = columns._asdict().items()
    typed: list[Any] = [
        np.ascontiguousarray(column, dtype=COLUMN_TYPES[name]) for name, column in named
    ]
    for column in typed:
        column.flags.writeable = False
    made = TapeColumns(*typed)
    name = columns_hash(made)
    return replace(tape, columns=made, content_hash=name, origin=NO_ORIGIN, stored=None)


def shifted_events(events: Events, ticks: int) -> Events:
    """What the run on the shifted tape must have told, without what depends on the level."""
    rows = comparable(events)
    for name in ("price_ticks", "stop_ticks"):
        rows[name] = np.where(rows[name] != NO_PRICE, rows[name] + ticks, NO_PRICE)
    rows["position_cost"] += rows["position_lots"] * ticks
    return rows


def mirrored_events(events: Events, axis: int) -> Events:
    """What the run on the mirrored tape must have told, without what depends on the level."""
    rows = comparable(events)
    for name in ("price_ticks", "stop_ticks"):
        rows[name] = np.where(rows[name] != NO_PRICE, axis - rows[name], NO_PRICE)
    sided = np.isin(rows["kind"], _WITH_SIDE)
    rows["side"] = np.where(sided, 1 - rows["side"], rows["side"])
    rows["position_cost"] -= rows["position_lots"] * axis
    rows["position_lots"] = -rows["position_lots"]
    return rows


def comparable(events: Events) -> Events:
    """A run's events without the columns that another level of prices may change."""
    rows = events.copy()
    for name in _LEFT_OUT:
        rows[name] = 0
    return rows
