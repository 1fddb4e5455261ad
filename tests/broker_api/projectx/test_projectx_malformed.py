"""Whatever the hubs push, the books take it, refuse it by name, or pass it over; they stay true."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from test_projectx_parts import MNQ, Told, request

from broker_api.messages import ProtocolError
from broker_api.projectx.market import Market
from broker_api.projectx.wire.records import Order, Trade, decode_pushed
from broker_api.projectx.wire.signalr import Invocation, decode_message
from tests.venues.spoiling import plausible, spoil_structure, spoil_text

ORDER = {
    "id": 9056,
    "accountId": 1001,
    "contractId": MNQ.id,
    "creationTimestamp": "2026-11-21T10:00:00+00:00",
    "updateTimestamp": "2026-11-21T10:00:01+00:00",
    "status": 1,
    "type": 1,
    "side": 0,
    "size": 3,
    "limitPrice": 20_900.0,
    "stopPrice": None,
    "fillVolume": 0,
    "filledPrice": None,
    "customTag": "pt.a.1",
}
TRADE = {
    "id": 1,
    "accountId": 1001,
    "contractId": MNQ.id,
    "creationTimestamp": "2026-11-21T10:00:01+00:00",
    "price": 20_900.0,
    "profitAndLoss": None,
    "fees": 0.1,
    "side": 0,
    "size": 1,
    "voided": False,
    "orderId": 9056,
}
QUOTE = {"symbol": "F.US.MNQ", "bestBid": 20_999.75, "timestamp": "2026-11-21T10:00:01+00:00"}
PRINT = {"symbolId": "F.US.MNQ", "price": 21_000.5, "type": 1, "volume": 2}
PRINT["timestamp"] = QUOTE["timestamp"]
PUSHED: list[tuple[str, list[Any]]] = [
    ("GatewayUserOrder", [ORDER]),
    ("GatewayUserOrder", [{"action": 1, "data": ORDER}]),
    ("GatewayUserTrade", [TRADE]),
    ("GatewayQuote", [MNQ.id, QUOTE]),
    ("GatewayTrade", [MNQ.id, [PRINT, None]]),
]
VALUES: dict[str, tuple[Any, ...]] = {
    "id": (9056, 9057, 1, 2, 3),
    "orderId": (9056, 9057, 0),
    "status": tuple(range(9)),
    "size": (1, 2, 3, 4, 0, -3, 1 << 30),
    "fillVolume": (0, 1, 3, 4, -1),
    "side": (0, 1),
    "price": (20_900.0, 20_900.1, -5.0),
    "limitPrice": (20_900.0, 20_950.0, 20_900.1, None),
    "customTag": ("pt.a.1", "pt.a.2", None, "other"),
    "contractId": (MNQ.id, "CON.F.US.EP.Z26"),
    "updateTimestamp": ("2026-11-21T10:00:02+00:00", "2026-11-21T09:00:00+00:00", None),
    "fees": (0.1, None, -1.0),
}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_that_is_pushed_breaks_the_books(seed: int) -> None:
    random, taken, refused = Random(seed), 0, 0
    for _ in range(60):
        told, market = Told(), Market([MNQ], lambda: 0)
        told.send(request())
        told.send(request(2))
        for _ in range(25):
            target, arguments = random.choice(PUSHED)
            message = {"type": 1, "target": target, "arguments": arguments}
            if random.random() < 0.7:
                text = json.dumps(plausible(random, message, VALUES))
            else:
                text = random.choice([spoil_structure, spoil_text])(random, message)
            try:
                take(told, market, text)
                taken += 1
            except ProtocolError:
                refused += 1
        lots = sum(each.lots for each in told.ledger.positions)
        assert lots == told.books.money.positions[0].lots
    assert taken > 200
    assert refused > 200


def take(told: Told, market: Market, text: str) -> None:
    """One message of a hub, as the adapter takes it. Raises ProtocolError."""
    message = decode_message(text)
    if not isinstance(message, Invocation):
        return
    pushed = decode_pushed(message.target, message.arguments)
    if pushed is None:
        return
    market.take(pushed)
    for record in pushed.records:
        if isinstance(record, Order):
            told.books.order(record)
        elif isinstance(record, Trade):
            told.books.trade(record)
