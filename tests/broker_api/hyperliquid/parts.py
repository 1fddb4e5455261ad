"""What tests of the adapter's pure parts are made of: contracts, requests, the venue's records."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import samples

from broker_api.broker import PositionState, Snapshot
from broker_api.event import Event, EventRow, decode
from broker_api.hyperliquid.books import UNIT_NS, Books
from broker_api.hyperliquid.contracts import contracts_of
from broker_api.hyperliquid.wire.account import Fill, OrderUpdate
from broker_api.hyperliquid.wire.market import Meta
from broker_api.hyperliquid.wire.schema import decode as decode_wire
from broker_api.ledger import Ledger
from broker_api.live.money import Money
from broker_api.live.tracks import Track
from broker_api.order import OrderRequest, OrderType, Side, TimeInForce

META: Meta = decode_wire(Meta, samples.META)
ETH, BTC = contracts_of(META, ["ETH", "BTC"])
CASH_NANOS = 10_000 * 10**9


def request(order_id: int = 1, **changes: Any) -> OrderRequest:
    """A buy of 0.2 ETH at 3000 unless told otherwise; sizes in lots of 0.0001, prices in cents."""
    terms: dict[str, Any] = {
        "order_id": order_id,
        "client_order_id": str(order_id),
        "instrument": "ETH",
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "size_lots": 2_000,
        "limit_ticks": 300_000,
    }
    return OrderRequest(**{**terms, **changes})


def market_order(order_id: int = 1, **changes: Any) -> OrderRequest:
    """The same at market."""
    changes = {"limit_ticks": None, "time_in_force": TimeInForce.NONE, **changes}
    return request(order_id, order_type=OrderType.MARKET, **changes)


class Told:
    """Books whose events also go through a real ledger, which asserts that they fit."""

    def __init__(self, *positions: PositionState) -> None:
        snapshot = Snapshot("0xabc", "USD", CASH_NANOS, positions)
        self.ledger = Ledger([ETH.spec, BTC.spec], snapshot)
        self.events: list[Event] = []
        self.money = Money([ETH.spec, BTC.spec], snapshot, self._take, unit_ns=UNIT_NS)
        self.books = Books(self.money, [ETH, BTC])
        self._count = 0

    def _take(self, row: EventRow) -> None:
        self._count += 1
        assert row.seq == self._count
        self.ledger.apply_event(row)
        self.events.append(decode(row))

    def send(self, order: OrderRequest) -> Track:
        """An order is sent and waits for its answer."""
        self.ledger.apply_command(0, order)
        index = 0 if order.instrument == "ETH" else 1
        track = Track(order, index, f"0x{order.order_id:032x}", sent=0, sent_at=0.0)
        self.books.add(track)
        return track

    def names(self) -> list[str]:
        """What was told since the last call, by the events' names, money left out."""
        events, self.events = self.events, []
        return [
            type(each).__name__
            for each in events
            if type(each).__name__ not in ("PositionChanged", "AccountChanged")
        ]


def fill(oid: int, size: str, price: str = "3000", **changes: Any) -> Fill:
    """An execution of a buy of ETH, told with the order's cloid unless it is None."""
    table = {
        **samples.FILL,
        "oid": oid,
        "sz": size,
        "px": price,
        "side": "B",
        "tid": changes.pop("tid", oid * 1000 + int(Decimal(size) * 10_000)),
        "time": 1_000,
        "fee": "0.1",
        "cloid": None,
        **changes,
    }
    found: Fill = decode_wire(Fill, table)
    return found


def update(status: str, oid: int, size: str = "0.2", left: str = "0.2", **more: Any) -> OrderUpdate:
    """An update of an order of ETH."""
    order = {
        **samples.BASIC_ORDER,
        "oid": oid,
        "origSz": size,
        "sz": left,
        "cloid": more.pop("cloid", None),
    }
    table = {"order": order, "status": status, "statusTimestamp": more.pop("at", 1_000)}
    found: OrderUpdate = decode_wire(OrderUpdate, table)
    return found
