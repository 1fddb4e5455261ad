"""Positions, cash and fees of the account, netted with the ledger's own arithmetic; and the rows.

So the figures that follow each fill are the ledger's, whatever the venue rounds. Every event of the
adapter goes through `Money.emit`, which numbers it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from broker_api.broker import Snapshot
from broker_api.event import (
    AccountChanged,
    Discrepancy,
    Event,
    EventRow,
    FundingPaid,
    OrderAccepted,
    OrderFilled,
    PositionChanged,
    Reason,
    encode,
)
from broker_api.hyperliquid.contracts import Contract, to_nanos_exactly
from broker_api.hyperliquid.wire.account import Fill, Funding
from broker_api.order import NO_PRICE, Liquidity, OrderStatus, Side
from broker_api.record import PositionRecord

NS_MILLISECOND = 1_000_000
SEEN_MAX = 50_000
"""Fills whose numbers are remembered; the venue itself repeats at most the newest 2,000."""


class Money:
    """What the account holds, and the events that say so. `give` is handed every row."""

    def __init__(
        self, contracts: Sequence[Contract], snapshot: Snapshot, give: Callable[[EventRow], None]
    ) -> None:
        self._contracts = tuple(contracts)
        self._index = {each.coin: index for index, each in enumerate(contracts)}
        self._give = give
        self._sequence = 0
        self._last_ns = 0
        self._tids: dict[int, None] = {}
        self._foreign = 0
        self.positions = [PositionRecord(each.spec) for each in contracts]
        self.cash_nanos = snapshot.cash_nanos
        self.fees_nanos = 0
        for state in snapshot.positions:
            position = self.positions[state.instrument]
            position.lots, position.cost = state.position_lots, state.position_cost
            position.realised_nanos = state.realised_nanos

    def index_of(self, coin: str) -> int | None:
        """The index of the session's instrument, None for a coin that is none of them."""
        return self._index.get(coin)

    def emit(self, event: Event) -> None:
        """Number an event and hand it on."""
        self._sequence += 1
        self._give(encode(event)._replace(seq=self._sequence))

    def time_ns(self, ts_ms: int) -> int:
        """Times of events never decrease, in whatever order the venue's ways deliver them."""
        self._last_ns = max(self._last_ns, ts_ms * NS_MILLISECOND)
        return self._last_ns

    def book(self, fill: Fill, index: int, side: Side, about: dict[str, Any]) -> None:
        """Tell of an execution, whose order is `about`, and of what it did to the account."""
        contract = self._contracts[index]
        lots, price = contract.lots(fill.size), contract.ticks(fill.price)
        fee = to_nanos_exactly(fill.fee)
        self.emit(
            OrderFilled(
                **about,
                side=side,
                price_ticks=price,
                lots=lots,
                fee_nanos=fee,
                liquidity=Liquidity.TAKER if fill.crossed else Liquidity.MAKER,
                ambiguous=False,
                value=self._fill_id(fill),
            )
        )
        position = self.positions[index]
        self.cash_nanos += position.net(lots * side.sign, price) - fee
        self.fees_nanos += fee
        state = {
            "position_lots": position.lots,
            "position_cost": position.cost,
            "realised_nanos": position.realised_nanos,
        }
        self.emit(PositionChanged(0, self.time_ns(fill.time), index, **state))
        self._emit_account(fill.time)

    def _fill_id(self, fill: Fill) -> int:
        """The venue's number of the execution, 0 for one that another order has as well."""
        known = fill.tid in self._tids
        self._tids[fill.tid] = None
        if len(self._tids) > SEEN_MAX:
            del self._tids[next(iter(self._tids))]
        return 0 if known else fill.tid

    def _emit_account(self, ts_ms: int) -> None:
        ts_ns = self.time_ns(ts_ms)
        self.emit(AccountChanged(0, ts_ns, -1, self.cash_nanos, self.fees_nanos))

    def book_foreign(self, fill: Fill) -> bool:
        """Tell of an execution of an order that the session did not send.

        It is the venue's (a liquidation) or somebody else's. False when it is not of the session's
        instruments.
        """
        index = self._index.get(fill.coin)
        if index is None:
            return False
        lots = self._contracts[index].lots(fill.size)
        side = Side.BUY if fill.side == "B" else Side.SELL
        self._foreign += 1
        about: dict[str, Any] = {
            "seq": 0,
            "ts_ns": self.time_ns(fill.time),
            "instrument": index,
            "order_id": -self._foreign,
        }
        self.emit(
            OrderAccepted(
                **about,
                status=OrderStatus.OPEN,
                filled_lots=0,
                leaves_lots=lots,
                side=side,
                price_ticks=NO_PRICE,
                stop_ticks=NO_PRICE,
                lots=lots,
                reason=Reason.NOT_OURS if fill.liquidation is None else Reason.NONE,
                value=fill.oid,
            )
        )
        done = {"status": OrderStatus.FILLED, "filled_lots": lots, "leaves_lots": 0}
        self.book(fill, index, side, {**about, **done})
        return True

    def pay(self, payment: Funding, index: int) -> None:
        """Tell of a payment of funding."""
        paid = -to_nanos_exactly(payment.usdc)
        self.cash_nanos -= paid
        lots = self._contracts[index].lots(payment.size)
        self.emit(FundingPaid(0, self.time_ns(payment.time), index, paid, lots))
        self._emit_account(payment.time)

    def differ(self, index: int, reason: Reason, theirs: int, ours: int, ts_ms: int) -> None:
        """Tell that a figure of the venue's is not ours, or, when they are equal, that it is again.

        Figures are lots or nanos, by the reason.
        """
        ts_ns = self.time_ns(ts_ms)
        self.emit(Discrepancy(0, ts_ns, index, order_id=0, reason=reason, value=theirs, limit=ours))
