"""What several tests of the session are built from: one instrument, requests and events."""

from __future__ import annotations

from itertools import count

from broker_api.broker import Snapshot
from broker_api.catalog import find, load_catalog
from broker_api.event import (
    AccountChanged,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
    PositionChanged,
    Reason,
)
from broker_api.ledger import Ledger
from broker_api.order import (
    NO_PRICE,
    Liquidity,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)

MNQ = find(load_catalog(), "MNQ")
CASH = 50_000 * 10**9
FEE = 370_000_000


def new_ledger(*, keep_ended: bool = True) -> Ledger:
    return Ledger([MNQ], Snapshot("SIM", "USD", CASH, ()), keep_ended=keep_ended)


def limit_order(order_id: int, side: Side = Side.BUY, lots: int = 2, **more) -> OrderRequest:
    more = {"limit_ticks": 84_000, **more}
    return OrderRequest(order_id, str(order_id), "MNQ", side, OrderType.LIMIT, lots, **more)


class Venue:
    """Numbers events from 1, as a broker does; every method makes one event."""

    def __init__(self) -> None:
        self._seq = count(1)

    def accepted(self, order_id, side=Side.BUY, lots=2, *, status=OrderStatus.OPEN, ticks=84_000):
        seq = next(self._seq)
        return OrderAccepted(
            seq, seq * 10, 0, order_id, status, 0, lots, side, ticks, NO_PRICE, lots
        )

    def filled(
        self, order_id, lots, *, of=2, before=0, side=Side.BUY, ticks=84_000, fee=370_000_000
    ):
        done = before + lots
        status = OrderStatus.FILLED if done == of else OrderStatus.PARTIALLY_FILLED
        seq = next(self._seq)
        return OrderFilled(
            seq,
            seq * 10,
            0,
            order_id,
            status,
            done,
            of - done,
            side,
            ticks,
            lots,
            FEE,
            Liquidity.TAKER,
            False,
        )

    def cancelled(self, order_id, *, filled=0, reason=Reason.BY_USER):
        seq = next(self._seq)
        return OrderCancelled(seq, seq * 10, 0, order_id, OrderStatus.CANCELLED, filled, 0, reason)

    def position(self, lots, cost, realised):
        seq = next(self._seq)
        return PositionChanged(seq, seq * 10, 0, lots, cost, realised)

    def account(self, cash, fees):
        seq = next(self._seq)
        return AccountChanged(seq, seq * 10, -1, cash, fees)
