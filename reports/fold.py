"""A run's fills and funding folded to round trips, cash and positions, all of them as columns.

A trade is what one exit order closed of a position, entered at the position's average cost, so the
trades' profits add up to the ledger's realised profit exactly, whatever is still open. Runs that
open and close whole positions, as most sweeps' do, are folded column by column; all others fill by
fill, by the ledger's own netting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from broker_api.event import EventKind
from broker_api.instrument import Instrument
from broker_api.order import Side
from broker_api.record import PositionRecord
from reports.equity import Steps
from reports.prices import Ints
from reports.run import RunRecord


class TradeColumns(NamedTuple):
    """Trades, one element each; see `reports.metrics.Trade` for what the columns mean."""

    instrument: Ints
    side: Ints
    lots: Ints
    entry_ns: Ints
    exit_ns: Ints
    entry_cost: Ints
    exit_cost: Ints
    gross_nanos: Ints
    fee_nanos: Ints
    exit_order_id: Ints
    is_ambiguous: Ints


_LOTS, _EXIT_NS, _ENTRY_COST, _EXIT_COST, _GROSS, _FEE, _AMBIGUOUS = (
    TradeColumns._fields.index(name)
    for name in (
        "lots",
        "exit_ns",
        "entry_cost",
        "exit_cost",
        "gross_nanos",
        "fee_nanos",
        "is_ambiguous",
    )
)


class FillColumns(NamedTuple):
    """Fills, one element each; `closing_lots` of the fill's lots closed what was open."""

    ts_ns: Ints
    instrument: Ints
    order_id: Ints
    side: Ints
    price_ticks: Ints
    lots: Ints
    fee_nanos: Ints
    liquidity: Ints
    is_ambiguous: Ints
    closing_lots: Ints


class Folded(NamedTuple):
    """What a run's fills and funding came to. `positions`: lots and cost (ticks x lots) a piece."""

    fills: FillColumns
    trades: TradeColumns
    steps: Steps
    positions: tuple[tuple[int, int], ...]
    realised_nanos: int
    fee_nanos: int
    funding_nanos: int


class _Moves(NamedTuple):
    """The columns of the events that move a position or money."""

    ts_ns: Ints
    kind: Ints
    instrument: Ints
    order_id: Ints
    side: Ints
    price_ticks: Ints
    lots: Ints
    fee_nanos: Ints
    liquidity: Ints
    ambiguous: Ints
    value: Ints


def fold(run: RunRecord) -> Folded:
    """Fold every event of the run that moves a position or money."""
    kinds = run.events["kind"]
    rows = np.flatnonzero((kinds == EventKind.FILLED) | (kinds == EventKind.FUNDING))
    moves = _Moves(*(run.events[name][rows] for name in _Moves._fields))
    held = _held_before(moves) if len(run.instruments) == 1 else None
    if held is not None:
        return _whole_positions(run, moves, held)
    account = _Account(run)
    account.fold(moves)
    return account.folded(moves)


def _fills(moves: _Moves, closing_lots: Ints) -> FillColumns:
    fills = moves.kind == EventKind.FILLED
    columns = (
        moves.ts_ns,
        moves.instrument,
        moves.order_id,
        moves.side,
        moves.price_ticks,
        moves.lots,
        moves.fee_nanos,
        moves.liquidity,
        moves.ambiguous,
    )
    return FillColumns._make([*(column[fills] for column in columns), closing_lots])


# --- whole positions, column by column -----------------------------------------------------------


def _held_before(moves: _Moves) -> Ints | None:
    """Lots held before each fill; None where a fill adds to a position or leaves a part of one."""
    if (moves.kind != EventKind.FILLED).any():
        return None
    signed = np.where(moves.side == Side.BUY, moves.lots, -moves.lots)
    held: Ints = np.cumsum(signed) - signed
    ends_it = (held == 0) | ((held < 0) != (signed < 0)) & (np.abs(signed) >= np.abs(held))
    return held if ends_it.all() else None


def _whole_positions(run: RunRecord, moves: _Moves, held: Ints) -> Folded:
    """What was held was opened by the fill before, at its price, by what it did not close."""
    value = run.instruments[0].tick_value_nanos
    price, lots, fee = moves.price_ticks, moves.lots, moves.fee_nanos
    closing = np.abs(held)
    at = np.flatnonzero(closing)
    closing_fee = fee * closing // np.maximum(lots, 1)
    opening_fee = fee - closing_fee
    realised = np.zeros(len(lots), dtype=np.int64)
    realised[at] = held[at] * (price[at] - price[at - 1]) * value
    after = held + np.where(moves.side == Side.BUY, lots, -lots)
    trades = TradeColumns(
        instrument=moves.instrument[at],
        side=np.where(held[at] > 0, int(Side.BUY), int(Side.SELL)),
        lots=closing[at],
        entry_ns=moves.ts_ns[at - 1],
        exit_ns=moves.ts_ns[at],
        entry_cost=price[at - 1] * closing[at],
        exit_cost=price[at] * closing[at],
        gross_nanos=realised[at],
        fee_nanos=closing_fee[at] + opening_fee[at - 1],
        exit_order_id=moves.order_id[at],
        is_ambiguous=moves.ambiguous[at],
    )
    cash = run.cash_nanos + np.cumsum(realised - fee)
    cost = after * price
    steps = Steps(moves.ts_ns, cash, moves.instrument, after, cost, price)
    left = (int(after[-1]), int(cost[-1])) if len(lots) else (0, 0)
    totals = (int(realised.sum()), int(fee.sum()), 0)
    return Folded(_fills(moves, closing), trades, steps, (left,), *totals)


# --- fill by fill --------------------------------------------------------------------------------


@dataclass
class _Open:
    """What belongs to the open position of one instrument."""

    opened_ns: int = 0
    fee_nanos: int = 0
    exits: dict[int, int] = field(default_factory=dict)
    """Exit order to the index of its trade."""


class _Account:
    """Positions, trades and cash of a run, event by event."""

    def __init__(self, run: RunRecord) -> None:
        self._specs: tuple[Instrument, ...] = run.instruments
        self._positions = [PositionRecord(spec) for spec in run.instruments]
        self._open = [_Open() for _ in run.instruments]
        self._trades: list[list[int]] = []
        self._steps: list[tuple[int, int, int, int, int, int]] = []
        self._closing: list[int] = []
        self._fee_nanos = 0
        self._funding_nanos = 0
        self._cash = run.cash_nanos

    def fold(self, moves: _Moves) -> None:
        """Take in every event."""
        for row in zip(*(column.tolist() for column in moves), strict=True):
            if row[1] == EventKind.FUNDING:
                ts_ns, instrument, value = row[0], row[2], row[-1]
                self._funding_nanos += value
                self._cash -= value
                self._step(ts_ns, instrument, 0)
            else:
                self._fill(row)

    def _fill(self, row: tuple[int, ...]) -> None:
        ts_ns, _, instrument, _, side, price, lots, fee, *_ = row
        position, opened = self._positions[instrument], self._open[instrument]
        held, signed = position.lots, lots if side == Side.BUY else -lots
        closing = min(abs(held), lots) if held * signed < 0 else 0
        realised = position.net(signed, price)
        closing_fee = fee * closing // lots
        if closing:
            entry_fee = opened.fee_nanos * closing // abs(held)
            opened.fee_nanos -= entry_fee
            self._close(row, closing, realised, closing_fee + entry_fee)
        if held == 0 or held * position.lots < 0:
            self._open[instrument] = opened = _Open(ts_ns)
        opened.fee_nanos += fee - closing_fee
        self._closing.append(closing)
        self._fee_nanos += fee
        self._cash += realised - fee
        self._step(ts_ns, instrument, price)

    def _close(self, row: tuple[int, ...], lots: int, realised: int, fee: int) -> None:
        ts_ns, _, instrument, order_id, side, price, _, _, _, ambiguous, _ = row
        opened = self._open[instrument]
        exit_cost = price * lots
        ticks = realised // self._specs[instrument].tick_value_nanos
        entry_side = Side(side).opposite
        entry_cost = exit_cost - entry_side.sign * ticks
        index = opened.exits.setdefault(order_id, len(self._trades))
        if index == len(self._trades):
            first = [instrument, int(entry_side), 0, opened.opened_ns, ts_ns, 0, 0, 0, 0, order_id]
            self._trades.append([*first, 0])
        trade = self._trades[index]
        trade[_LOTS] += lots
        trade[_EXIT_NS] = ts_ns
        trade[_ENTRY_COST] += entry_cost
        trade[_EXIT_COST] += exit_cost
        trade[_GROSS] += realised
        trade[_FEE] += fee
        trade[_AMBIGUOUS] |= ambiguous

    def _step(self, ts_ns: int, instrument: int, price_ticks: int) -> None:
        position = self._positions[instrument]
        self._steps.append(
            (ts_ns, self._cash, instrument, position.lots, position.cost, price_ticks)
        )

    def folded(self, moves: _Moves) -> Folded:
        """All of it as columns."""
        return Folded(
            _fills(moves, np.array(self._closing, dtype=np.int64)),
            TradeColumns(*_columns(self._trades, len(TradeColumns._fields))),
            Steps(*_columns(self._steps, len(Steps._fields))),
            tuple((position.lots, position.cost) for position in self._positions),
            sum(position.realised_nanos for position in self._positions),
            self._fee_nanos,
            self._funding_nanos,
        )


def _columns(rows: Sequence[Sequence[int]], count: int) -> Iterator[Ints]:
    table = np.array(rows, dtype=np.int64).reshape(-1, count)
    return (np.ascontiguousarray(column) for column in table.T)
