"""What a run amounted to: round trips, costs, win rate, excursions.

`reports.fold` says what a trade is. Money is in integers of 1e-9 currency; nothing here is rounded
but ratios.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from broker_api.event import EventKind
from broker_api.order import Liquidity, OrderStatus, Side
from reports.equity import Drawdown, EquitySeries, equity_series, max_drawdown
from reports.fold import Folded, fold
from reports.prices import Ints
from reports.run import RunRecord

_NO_STATUS = (EventKind.REPLACE_REJECTED, EventKind.CANCEL_REJECTED)


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
    folded: Folded
    equity: EquitySeries
    drawdown: Drawdown
    notes: tuple[str, ...]

    @cached_property
    def fills(self) -> tuple[Fill, ...]:
        """The executions in their order."""
        columns = self.folded.fills
        return tuple(
            Fill(
                ts_ns,
                instrument,
                order_id,
                Side(side),
                price,
                lots,
                fee,
                Liquidity(liquidity),
                bool(ambiguous),
                is_entry=closing < lots,
                is_exit=closing > 0,
            )
            for ts_ns, instrument, order_id, side, price, lots, fee, liquidity, ambiguous, closing
            in zip(*(column.tolist() for column in columns), strict=True)
        )  # fmt: skip

    @cached_property
    def trades(self) -> tuple[Trade, ...]:
        """The round trips in the order in which they began to close."""
        columns = self.folded.trades
        return tuple(
            Trade(
                instrument,
                Side(side),
                lots,
                entry_ns,
                exit_ns,
                entry_cost,
                exit_cost,
                gross,
                fee,
                exit_order_id,
                bool(ambiguous),
            )
            for instrument, side, lots, entry_ns, exit_ns, entry_cost, exit_cost, gross, fee,
            exit_order_id, ambiguous in zip(*(column.tolist() for column in columns), strict=True)
        )  # fmt: skip

    @property
    def fill_count(self) -> int:
        """How many executions there were."""
        return len(self.folded.fills.ts_ns)

    @property
    def trade_count(self) -> int:
        """How many round trips there were."""
        return len(self.folded.trades.lots)

    @property
    def positions(self) -> tuple[tuple[int, int], ...]:
        """Lots and cost (ticks x lots) of what is open at the end, one an instrument."""
        return self.folded.positions

    @property
    def realised_nanos(self) -> int:
        """Profit of what was closed, before fees."""
        return self.folded.realised_nanos

    @property
    def fee_nanos(self) -> int:
        """Fees of all fills."""
        return self.folded.fee_nanos

    @property
    def funding_nanos(self) -> int:
        """Funding paid; negative what was received."""
        return self.folded.funding_nanos

    @property
    def net_nanos(self) -> int:
        """Realised profit after fees and funding."""
        return self.realised_nanos - self.fee_nanos - self.funding_nanos

    @property
    def open_nanos(self) -> int:
        """Profit of what is open at the end, at the mid."""
        return int(self.equity.nanos[-1] - self.equity.nanos[0]) - self.net_nanos

    @property
    def maker_fills(self) -> int:
        """Fills of orders that were there first."""
        return int((self.folded.fills.liquidity == Liquidity.MAKER).sum())

    @property
    def ambiguous_fills(self) -> int:
        """Fills where one row of the tape, or one bar, satisfied both legs of a bracket."""
        return int((self.folded.fills.is_ambiguous != 0).sum())

    @cached_property
    def trade_net_nanos(self) -> Ints:
        """Profit of each trade after fees."""
        trades = self.folded.trades
        return trades.gross_nanos - trades.fee_nanos

    @property
    def wins(self) -> int:
        """Trades that earned something after fees."""
        return int((self.trade_net_nanos > 0).sum())

    @property
    def losses(self) -> int:
        """Trades that cost something after fees."""
        return int((self.trade_net_nanos < 0).sum())

    @property
    def win_rate(self) -> float | None:
        """Share of trades that earned something; None without a trade."""
        return self.wins / self.trade_count if self.trade_count else None

    @property
    def profit_factor(self) -> float | None:
        """What winners earned over what losers cost, after fees; None while nothing was lost."""
        lost = -int(np.minimum(self.trade_net_nanos, 0).sum())
        won = int(np.maximum(self.trade_net_nanos, 0).sum())
        return won / lost if lost else None


def measure(run: RunRecord) -> Metrics:
    """Fold the run's events and value them with its tapes."""
    folded = fold(run)
    equity, notes = equity_series(run, folded.steps)
    return Metrics(
        orders=run.orders,
        statuses=_statuses(run),
        folded=folded,
        equity=equity,
        drawdown=max_drawdown(equity),
        notes=tuple(notes),
    )


def _statuses(run: RunRecord) -> dict[OrderStatus, int]:
    """Each order's status after its last event, counted; in the order of the enumeration."""
    ids, statuses = run.events["order_id"], run.events["status"]
    tells = (ids != 0) & (statuses != 0) & ~np.isin(run.events["kind"], _NO_STATUS)
    _, last = np.unique(ids[tells][::-1], return_index=True)
    found = Counter(statuses[tells][::-1][last].tolist())
    return {status: found[status.code] for status in OrderStatus if found[status.code]}
