"""Positions, cash and fees of the account, netted with the ledger's own arithmetic; and the rows.

So the figures that follow each fill are the ledger's, whatever the venue rounds. Every event of the
adapter goes through `Money.emit`, which numbers it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
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
from broker_api.instrument import Instrument
from broker_api.order import NO_PRICE, Liquidity, OrderStatus, Side
from broker_api.record import PositionRecord

SEEN_MAX = 50_000
"""Executions whose numbers are remembered; far more than any venue repeats."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution in the session's numbers; `index` None is of none of its instruments.

    `key` tells it from all others, `number` is the venue's number of it (of two orders that met it
    may be the same). `name` is the client's own id of the order where the venue tells it. `ts` is
    in the venue's unit of time.
    """

    key: Hashable
    ts: int
    oid: int
    name: str | None
    index: int | None
    side: Side
    price_ticks: int
    lots: int
    fee_nanos: int
    liquidity: Liquidity
    number: int
    is_liquidation: bool = False


class Money:
    """What the account holds, and the events that say so. `give` is handed every row.

    Times of the venue count units of `unit_ns` nanoseconds.
    """

    def __init__(
        self,
        specs: Sequence[Instrument],
        snapshot: Snapshot,
        give: Callable[[EventRow], None],
        *,
        unit_ns: int,
    ) -> None:
        self._give = give
        self._unit_ns = unit_ns
        self._sequence = 0
        self._last_ns = 0
        self._numbers: dict[int, None] = {}
        self._foreign = 0
        self.positions = [PositionRecord(each) for each in specs]
        self.cash_nanos = snapshot.cash_nanos
        self.fees_nanos = 0
        for state in snapshot.positions:
            position = self.positions[state.instrument]
            position.lots, position.cost = state.position_lots, state.position_cost
            position.realised_nanos = state.realised_nanos

    def emit(self, event: Event) -> None:
        """Number an event and hand it on."""
        self._sequence += 1
        self._give(encode(event)._replace(seq=self._sequence))

    def time_ns(self, ts: int) -> int:
        """Times of events never decrease, in whatever order the venue's ways deliver them."""
        self._last_ns = max(self._last_ns, ts * self._unit_ns)
        return self._last_ns

    def book(self, execution: Execution, index: int, about: dict[str, Any]) -> None:
        """Tell of an execution, whose order is `about`, and of what it did to the account."""
        lots, price, fee = execution.lots, execution.price_ticks, execution.fee_nanos
        self.emit(
            OrderFilled(
                **about,
                side=execution.side,
                price_ticks=price,
                lots=lots,
                fee_nanos=fee,
                liquidity=execution.liquidity,
                ambiguous=False,
                value=self._number(execution),
            )
        )
        position = self.positions[index]
        self.cash_nanos += position.net(lots * execution.side.sign, price) - fee
        self.fees_nanos += fee
        state = {
            "position_lots": position.lots,
            "position_cost": position.cost,
            "realised_nanos": position.realised_nanos,
        }
        self.emit(PositionChanged(0, self.time_ns(execution.ts), index, **state))
        self._emit_account(execution.ts)

    def _number(self, execution: Execution) -> int:
        """The venue's number of the execution, 0 for one that another order has as well."""
        known = execution.number in self._numbers
        self._numbers[execution.number] = None
        if len(self._numbers) > SEEN_MAX:
            del self._numbers[next(iter(self._numbers))]
        return 0 if known else execution.number

    def _emit_account(self, ts: int) -> None:
        self.emit(AccountChanged(0, self.time_ns(ts), -1, self.cash_nanos, self.fees_nanos))

    def book_foreign(self, execution: Execution) -> bool:
        """Tell of an execution of an order that the session did not send.

        It is the venue's (a liquidation) or somebody else's. False when it is not of the session's
        instruments.
        """
        index = execution.index
        if index is None:
            return False
        lots = execution.lots
        self._foreign += 1
        about: dict[str, Any] = {
            "seq": 0,
            "ts_ns": self.time_ns(execution.ts),
            "instrument": index,
            "order_id": -self._foreign,
        }
        self.emit(
            OrderAccepted(
                **about,
                status=OrderStatus.OPEN,
                filled_lots=0,
                leaves_lots=lots,
                side=execution.side,
                price_ticks=NO_PRICE,
                stop_ticks=NO_PRICE,
                lots=lots,
                reason=Reason.NONE if execution.is_liquidation else Reason.NOT_OURS,
                value=execution.oid,
            )
        )
        done = {"status": OrderStatus.FILLED, "filled_lots": lots, "leaves_lots": 0}
        self.book(execution, index, {**about, **done})
        return True

    def pay(self, ts: int, index: int, paid_nanos: int, lots: int) -> None:
        """Tell of a payment of funding for a position of so many lots; negative was received."""
        self.cash_nanos -= paid_nanos
        self.emit(FundingPaid(0, self.time_ns(ts), index, paid_nanos, lots))
        self._emit_account(ts)

    def differ(self, index: int, reason: Reason, theirs: int, ours: int, ts: int) -> None:
        """Tell that a figure of the venue's is not ours, or, when they are equal, that it is again.

        Figures are lots or nanos, by the reason.
        """
        ts_ns = self.time_ns(ts)
        self.emit(Discrepancy(0, ts_ns, index, order_id=0, reason=reason, value=theirs, limit=ours))
