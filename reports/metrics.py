"""What a run amounted to: round trips, costs, win rate, excursions.

A trade is what one exit order closed of a position, entered at the position's average cost, so the
trades' profits add up to the ledger's realised profit exactly, whatever is still open. Money is in
integers of 1e-9 currency; nothing here is rounded but ratios.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from broker_api.event import EventKind
from broker_api.order import Liquidity, OrderStatus, Side
from broker_api.record import PositionRecord
from reports.equity import Drawdown, EquitySeries, Steps, equity_series, max_drawdown
from reports.run import RunRecord

_MOVE_COLUMNS = (
    "ts_ns",
    "kind",
    "instrument",
    "order_id",
    "side",
    "price_ticks",
    "lots",
    "fee_nanos",
    "liquidity",
    "ambiguous",
    "value",
)
_NO_STATUS = frozenset({EventKind.REPLACE_REJECTED, EventKind.CANCEL_REJECTED})


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip: what one exit order closed of a position.

    `side` is the entry's. `entry_ns` is when the position was opened, `exit_ns` the last fill of
    the exit. Costs are sums of ticks x lots. `gross_nanos` is before fees; `fee_nanos` holds the
    exit's fees and the closed part's share of the entry's. Excursions are the worst and best open
    profit at the mid on the way, None until `with_excursions` has looked for them.
    """

    instrument: int
    side: Side
    lots: int
    entry_ns: int
    exit_ns: int
    entry_cost: int
    exit_cost: int
    gross_nanos: int
    fee_nanos: int
    exit_order_id: int
    is_ambiguous: bool
    worst_nanos: int | None = None
    best_nanos: int | None = None

    @property
    def net_nanos(self) -> int:
        """Profit after fees."""
        return self.gross_nanos - self.fee_nanos


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `is_entry` and `is_exit` are both true of a fill that flips the position."""

    ts_ns: int
    instrument: int
    order_id: int
    side: Side
    price_ticks: int
    lots: int
    fee_nanos: int
    liquidity: Liquidity
    is_ambiguous: bool
    is_entry: bool
    is_exit: bool


@dataclass(frozen=True)
class Metrics:
    """All figures of a run. `statuses` counts orders by how they stood at the end."""

    orders: int
    statuses: dict[OrderStatus, int]
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    positions: tuple[tuple[int, int], ...]
    """Lots and cost (ticks x lots) of what is open at the end, one an instrument."""
    realised_nanos: int
    fee_nanos: int
    funding_nanos: int
    equity: EquitySeries
    drawdown: Drawdown
    notes: tuple[str, ...]

    @property
    def net_nanos(self) -> int:
        """Realised profit after fees and funding."""
        return self.realised_nanos - self.fee_nanos - self.funding_nanos

    @property
    def open_nanos(self) -> int:
        """Profit of what is open at the end, at the mid."""
        return int(self.equity.nanos[-1] - self.equity.nanos[0]) - self.net_nanos

    @cached_property
    def maker_fills(self) -> int:
        """Fills of orders that were there first."""
        return sum(fill.liquidity is Liquidity.MAKER for fill in self.fills)

    @cached_property
    def ambiguous_fills(self) -> int:
        """Fills where one row of the tape, or one bar, satisfied both legs of a bracket."""
        return sum(fill.is_ambiguous for fill in self.fills)

    @cached_property
    def wins(self) -> int:
        """Trades that earned something after fees."""
        return sum(trade.net_nanos > 0 for trade in self.trades)

    @cached_property
    def losses(self) -> int:
        """Trades that cost something after fees."""
        return sum(trade.net_nanos < 0 for trade in self.trades)

    @property
    def win_rate(self) -> float | None:
        """Share of trades that earned something; None without a trade."""
        return self.wins / len(self.trades) if self.trades else None

    @cached_property
    def profit_factor(self) -> float | None:
        """What winners earned over what losers cost, after fees; None while nothing was lost."""
        lost = -sum(min(0, trade.net_nanos) for trade in self.trades)
        won = sum(max(0, trade.net_nanos) for trade in self.trades)
        return won / lost if lost else None


def measure(run: RunRecord) -> Metrics:
    """Fold the run's events and value them with its tapes."""
    account = _Account(run)
    account.fold()
    equity, notes = equity_series(run, account.steps())
    return Metrics(
        orders=run.orders,
        statuses=_statuses(run),
        fills=tuple(account.fills),
        trades=tuple(account.trades),
        positions=tuple((position.lots, position.cost) for position in account.positions),
        realised_nanos=sum(position.realised_nanos for position in account.positions),
        fee_nanos=account.fee_nanos,
        funding_nanos=account.funding_nanos,
        equity=equity,
        drawdown=max_drawdown(equity),
        notes=tuple(notes),
    )


def _statuses(run: RunRecord) -> dict[OrderStatus, int]:
    """Each order's status after its last event, counted; in the order of the enumeration."""
    last: dict[int, int] = {}
    events = run.events
    for kind, order_id, status in zip(
        events["kind"].tolist(), events["order_id"].tolist(), events["status"].tolist(), strict=True
    ):
        if order_id and status and kind not in _NO_STATUS:
            last[order_id] = status
    found = Counter(last.values())
    return {status: found[status.code] for status in OrderStatus if found[status.code]}


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
        self.positions = [PositionRecord(spec) for spec in run.instruments]
        self.trades: list[Trade] = []
        self.fills: list[Fill] = []
        self.fee_nanos = 0
        self.funding_nanos = 0
        self._run = run
        self._open = [_Open() for _ in run.instruments]
        self._cash = run.cash_nanos
        self._steps: list[tuple[int, int, int, int, int, int]] = []

    def fold(self) -> None:
        """Take in every event that moves a position or money."""
        events = self._run.events
        kinds = events["kind"]
        moves = events[(kinds == EventKind.FILLED) | (kinds == EventKind.FUNDING)]
        for row in zip(*(moves[name].tolist() for name in _MOVE_COLUMNS), strict=True):
            ts_ns, kind, instrument, order_id, side, price, lots, fee, liquidity, both, value = row
            if kind == EventKind.FUNDING:
                self.funding_nanos += value
                self._cash -= value
                self._step(ts_ns, instrument, 0)
            else:
                sign, held = (1 if side == Side.BUY else -1), self.positions[instrument].lots
                closing = min(abs(held), lots) if held * sign < 0 else 0
                fill = Fill(
                    ts_ns,
                    instrument,
                    order_id,
                    Side(side),
                    price,
                    lots,
                    fee,
                    Liquidity(liquidity),
                    bool(both),
                    is_entry=closing < lots,
                    is_exit=closing > 0,
                )
                self._fill(fill, closing)

    def _fill(self, fill: Fill, closing: int) -> None:
        position, opened = self.positions[fill.instrument], self._open[fill.instrument]
        held = position.lots
        realised = position.net(fill.side.sign * fill.lots, fill.price_ticks)
        closing_fee = fill.fee_nanos * closing // fill.lots
        if closing:
            entry_fee = opened.fee_nanos * closing // abs(held)
            opened.fee_nanos -= entry_fee
            self._close(fill, closing, realised, closing_fee + entry_fee)
        if held == 0 or held * position.lots < 0:
            self._open[fill.instrument] = opened = _Open(fill.ts_ns)
        opened.fee_nanos += fill.fee_nanos - closing_fee
        self.fills.append(fill)
        self.fee_nanos += fill.fee_nanos
        self._cash += realised - fill.fee_nanos
        self._step(fill.ts_ns, fill.instrument, fill.price_ticks)

    def _close(self, fill: Fill, lots: int, realised: int, fee: int) -> None:
        opened = self._open[fill.instrument]
        exit_cost = fill.price_ticks * lots
        ticks = realised // self._run.instruments[fill.instrument].tick_value_nanos
        side = fill.side.opposite
        entry_cost = exit_cost - side.sign * ticks
        index = opened.exits.get(fill.order_id)
        if index is None:
            opened.exits[fill.order_id] = len(self.trades)
            self.trades.append(
                Trade(
                    instrument=fill.instrument,
                    side=side,
                    lots=lots,
                    entry_ns=opened.opened_ns,
                    exit_ns=fill.ts_ns,
                    entry_cost=entry_cost,
                    exit_cost=exit_cost,
                    gross_nanos=realised,
                    fee_nanos=fee,
                    exit_order_id=fill.order_id,
                    is_ambiguous=fill.is_ambiguous,
                )
            )
            return
        trade = self.trades[index]
        self.trades[index] = replace(
            trade,
            lots=trade.lots + lots,
            exit_ns=fill.ts_ns,
            entry_cost=trade.entry_cost + entry_cost,
            exit_cost=trade.exit_cost + exit_cost,
            gross_nanos=trade.gross_nanos + realised,
            fee_nanos=trade.fee_nanos + fee,
            is_ambiguous=trade.is_ambiguous or fill.is_ambiguous,
        )

    def _step(self, ts_ns: int, instrument: int, price_ticks: int) -> None:
        position = self.positions[instrument]
        self._steps.append(
            (ts_ns, self._cash, instrument, position.lots, position.cost, price_ticks)
        )

    def steps(self) -> Steps:
        """Cash and positions after every change, as columns."""
        columns = np.array(self._steps, dtype=np.int64).reshape(-1, 6).T
        return Steps(*(np.ascontiguousarray(column) for column in columns))
