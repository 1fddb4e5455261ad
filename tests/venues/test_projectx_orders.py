"""Orders, brackets, positions and trades of the local gateway, over plain HTTP and its user hub."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import Any

import pytest

from broker_api.projectx.wire.enums import OrderStatus
from sim.venues.projectx.engine import Options
from tests.venues.local_gateway import (
    ACCOUNT,
    BUY,
    CANCELLED,
    CONTRACT,
    FILLED,
    JOIN_ASK,
    JOIN_BID,
    LIMIT,
    MARKET,
    OPEN,
    OTHER_ACCOUNT,
    REJECTED,
    SECOND,
    SELL,
    STOP,
    STOP_LIMIT,
    SUSPENDED,
    TRAILING,
    Gateway,
    local_gateway,
    order,
)

LEGS = {
    "stopLossBracket": {"ticks": -40, "type": STOP},
    "takeProfitBracket": {"ticks": 80, "type": LIMIT},
}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with local_gateway() as found:
        yield found


@pytest.mark.parametrize(
    ("kind", "side", "prices", "shown"),
    [
        (LIMIT, BUY, {"limitPrice": 20_990.25}, (20_990.25, None, None)),
        (STOP, BUY, {"stopPrice": 21_010.0}, (None, 21_010.0, None)),
        (STOP_LIMIT, SELL, {"stopPrice": 20_990.0, "limitPrice": 20_989.0}, (20_989, 20_990, None)),
        (TRAILING, SELL, {"trailPrice": 20_990.1}, (None, None, 39)),
        (JOIN_BID, BUY, {}, (20_999.75, None, None)),
        (JOIN_ASK, SELL, {}, (21_000.25, None, None)),
    ],
)
def test_every_type_of_order_works_at_its_prices(
    gateway: Gateway, kind: int, side: int, prices: dict[str, float], shown: tuple[Any, ...]
) -> None:
    found = gateway.order(gateway.place(kind, side, **prices))
    assert (found["status"], found["type"], found["side"]) == (OPEN, kind, side)
    assert (found["limitPrice"], found["stopPrice"], found.get("trailDistance")) == shown
    assert [
        each["id"] for each in gateway.ask("Order/searchOpen", accountId=ACCOUNT)["orders"]
    ] == [found["id"]]


def test_a_market_order_makes_a_position_and_a_trade(gateway: Gateway) -> None:
    order_id = gateway.place(MARKET, BUY, 2)
    found = gateway.order(order_id)
    assert (found["status"], found["fillVolume"], found["filledPrice"]) == (FILLED, 2, 21_000.25)
    assert gateway.position() == [(1, 2, 21_000.25)]
    (trade,) = gateway.trades()
    assert (trade["orderId"], trade["profitAndLoss"], trade["fees"]) == (order_id, None, 0.74)
    account = gateway.ask("Account/search", onlyActiveAccounts=True)["accounts"][0]
    assert account["balance"] == 49_999.26


def test_a_closing_trade_tells_what_it_realised(gateway: Gateway) -> None:
    gateway.place(MARKET, SELL, 3)
    gateway.price(20_990, "MNQ")
    gateway.ask("Position/partialCloseContract", accountId=ACCOUNT, contractId=CONTRACT, size=1)
    assert gateway.position() == [(2, 2, 20_999.75)]
    gateway.ask("Position/closeContract", accountId=ACCOUNT, contractId=CONTRACT)
    assert gateway.position() == []
    # (20,999.75 - 20,990.25) x 2 dollars a point
    assert [each["profitAndLoss"] for each in gateway.trades()] == [None, 19.0, 38.0]


def test_a_fill_is_told_as_order_trade_position_account(gateway: Gateway) -> None:
    hub = gateway.user_hub()
    order_id = gateway.place(MARKET, BUY)
    events = hub.events(5)
    assert [name for name, _ in events] == [
        "UserOrder",
        "UserOrder",
        "UserTrade",
        "UserPosition",
        "UserAccount",
    ]
    filled = events[1][1]
    assert (filled.id, filled.status, filled.fill_volume) == (order_id, OrderStatus.FILLED, 1)


def test_a_position_that_ended_is_told_with_size_0_and_its_exit_price(gateway: Gateway) -> None:
    gateway.place(MARKET, BUY)
    gateway.price(21_020, "MNQ")
    hub = gateway.user_hub()
    gateway.ask("Position/closeContract", accountId=ACCOUNT, contractId=CONTRACT)
    (position,) = [record for name, record in hub.events(5) if name == "UserPosition"]
    assert (position.size, float(position.average_price)) == (0, 21_019.75)


def test_a_cancel_is_told_before_it_is_answered(gateway: Gateway) -> None:
    hub = gateway.user_hub()
    for _ in range(20):
        order_id = gateway.place(LIMIT, BUY, limitPrice=20_000.0)
        assert hub.event()[1].status is OrderStatus.OPEN
        gateway.ask("Order/cancel", accountId=ACCOUNT, orderId=order_id)
        there, _, _ = select.select([hub.stream.sock], [], [], 0)
        assert there, "the answer came first"
        assert hub.event()[1].status is OrderStatus.CANCELLED


def test_a_modified_order_has_its_new_size_and_price(gateway: Gateway) -> None:
    order_id = gateway.place(LIMIT, BUY, limitPrice=20_000.0)
    gateway.ask("Order/modify", accountId=ACCOUNT, orderId=order_id, size=3, limitPrice=20_001.5)
    found = gateway.order(order_id)
    assert (found["size"], found["limitPrice"], found["status"]) == (3, 20_001.5, OPEN)


def test_a_stop_becomes_a_market_order_when_the_market_trades_through(gateway: Gateway) -> None:
    order_id = gateway.place(STOP, SELL, stopPrice=20_990.0)
    gateway.price(20_985, "MNQ")
    assert gateway.order(order_id)["status"] == FILLED
    assert gateway.position() == [(2, 1, 20_984.75)]


def test_a_trailing_stop_follows_the_market(gateway: Gateway) -> None:
    gateway.place(MARKET, BUY)
    order_id = gateway.place(TRAILING, SELL, trailPrice=20_990.0)
    gateway.price(21_020, "MNQ")
    gateway.price(21_010.25, "MNQ")
    assert gateway.order(order_id)["status"] == OPEN
    gateway.price(21_010, "MNQ")
    assert gateway.order(order_id)["status"] == FILLED


# --- brackets -------------------------------------------------------------------------------------


def test_exits_wait_for_the_entry_then_one_ends_the_other(gateway: Gateway) -> None:
    entry = gateway.place(LIMIT, BUY, limitPrice=20_995.0, **LEGS)
    _, stop, target = gateway.orders()
    assert [stop["status"], target["status"]] == [SUSPENDED, SUSPENDED]
    assert [stop["parentOrderId"], target["parentOrderId"]] == [entry, entry]
    working = gateway.ask("Order/searchOpen", accountId=ACCOUNT)["orders"]
    assert [each["id"] for each in working] == [entry]

    gateway.price(20_994, "MNQ")
    _, stop, target = gateway.orders(statuses=[OPEN, FILLED])
    assert (stop["status"], stop["stopPrice"]) == (OPEN, 20_985.0)
    assert (target["status"], target["limitPrice"]) == (OPEN, 21_015.0)

    gateway.price(21_016, "MNQ")
    assert [each["status"] for each in gateway.orders()] == [FILLED, CANCELLED, FILLED]
    assert gateway.position() == []


def test_exits_end_with_an_entry_that_is_cancelled(gateway: Gateway) -> None:
    entry = gateway.place(LIMIT, BUY, limitPrice=20_000.0, **LEGS)
    gateway.ask("Order/cancel", accountId=ACCOUNT, orderId=entry)
    assert [each["status"] for each in gateway.orders()] == [CANCELLED] * 3


def test_a_trailing_exit_follows_the_market(gateway: Gateway) -> None:
    gateway.place(MARKET, SELL, stopLossBracket={"ticks": 40, "type": TRAILING})
    gateway.price(20_980, "MNQ")
    gateway.price(20_989.75, "MNQ")
    assert [(each["status"], each.get("trailDistance")) for each in gateway.orders()] == [
        (FILLED, None),
        (OPEN, 40),
    ]
    gateway.price(20_990, "MNQ")
    assert gateway.orders()[1]["status"] == FILLED


@pytest.mark.parametrize(
    ("leg", "bracket", "text"),
    [
        ("stopLossBracket", {"ticks": 40, "type": STOP}, "Invalid stop loss ticks (40). Ticks"),
        ("takeProfitBracket", {"ticks": -9, "type": LIMIT}, "Invalid take profit ticks (-9)."),
        ("stopLossBracket", {"ticks": -3, "type": STOP}, "Invalid stop loss ticks (-3). Ticks sh"),
        ("stopLossBracket", {"ticks": -40, "type": LIMIT}, "Invalid stop loss type"),
        ("takeProfitBracket", {"ticks": 40, "type": STOP}, "Invalid take profit type"),
    ],
)
def test_brackets_follow_the_live_rule_and_leave_a_rejected_order(
    gateway: Gateway, leg: str, bracket: dict[str, int], text: str
) -> None:
    code, found = gateway.refused("Order/place", **order(MARKET, BUY, **{leg: bracket}))
    assert code == 2
    assert found.startswith(text)
    (left,) = gateway.orders()
    assert left["status"] == REJECTED
    assert gateway.position() == []


def test_unsigned_ticks_are_a_setting() -> None:
    legs = {"stopLossBracket": {"ticks": 40, "type": STOP}}
    with local_gateway(options=Options(signed_brackets=False)) as gateway:
        gateway.place(MARKET, BUY, **legs)
        assert gateway.orders()[1]["stopPrice"] == 20_990.25


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"accountId": 7}, 1, "Account not found"),
        ({"accountId": OTHER_ACCOUNT}, 1, "Account not found"),
        ({"contractId": "CON.F.US.MNQ.Z30"}, 8, "Contract not found"),
        ({"size": 0}, 2, "Invalid order size."),
        ({"size": 1001}, 2, "Maximum order size exceeded."),
        ({"size": 900}, 3, "Insufficient funds to place the order."),
        ({"limitPrice": None}, 2, "Invalid price. A price is missing."),
        ({"limitPrice": 20_000.1}, 2, "Invalid price. Price is not a multiple of the tick size."),
        ({"limitPrice": -5.0}, 2, "Invalid price. Price is outside allowed range."),
        ({"limitPrice": 1e12}, 2, "Invalid price. Price is outside allowed range."),
        ({"type": 0}, 2, "Invalid order type"),
        ({"type": STOP, "stopPrice": 20_000.0}, 2, "Invalid stop price"),
        ({"type": TRAILING, "trailPrice": 20_000.0}, 2, "Invalid stop price"),
        ({"type": TRAILING, "side": SELL, "trailPrice": 20_000.0}, 2, "Invalid stop price"),
    ],
)
def test_an_order_is_refused_with_code_and_sentence(
    gateway: Gateway, change: dict[str, Any], code: int, text: str
) -> None:
    body = order(LIMIT, BUY, limitPrice=20_000.0) | change
    assert gateway.refused("Order/place", **body) == (code, text)
    assert gateway.position() == []


def test_a_tag_is_used_once_an_account(gateway: Gateway) -> None:
    order_id = gateway.place(LIMIT, BUY, limitPrice=20_000.0, customTag="mine")
    assert gateway.order(order_id)["customTag"] == "mine"
    body = order(LIMIT, BUY, limitPrice=20_000.0, customTag="mine")
    assert gateway.refused("Order/place", **body) == (2, "Custom tag is already in use.")
    other = gateway.ask("Order/place", **(body | {"accountId": SECOND}))
    assert gateway.order(other["orderId"], SECOND)["customTag"] == "mine"


def test_a_halted_market_refuses(gateway: Gateway) -> None:
    gateway.control("/halt", symbol="MNQ")
    code, text = gateway.refused("Order/place", **order(MARKET, BUY))
    assert (code, text[:33]) == (2, "Trading is currently unavailable.")
    assert [each["status"] for each in gateway.orders()] == [REJECTED]


def test_what_is_not_there_or_has_ended_is_neither_changed_nor_cancelled(gateway: Gateway) -> None:
    ended = gateway.place(MARKET, BUY)
    for path in ("Order/cancel", "Order/modify"):
        assert gateway.refused(path, accountId=7, orderId=ended) == (1, "Account not found")
        assert gateway.refused(path, accountId=SECOND, orderId=ended) == (2, "Order not found")
        found = gateway.refused(path, accountId=ACCOUNT, orderId=ended)
        assert found == (3, "Order is no longer working.")
    working = gateway.place(LIMIT, BUY, limitPrice=20_000.0)
    found = gateway.refused("Order/modify", accountId=ACCOUNT, orderId=working, limitPrice=1.1)
    assert found == (3, "Invalid price. Price is not a multiple of the tick size.")
    assert gateway.order(working)["limitPrice"] == 20_000.0


def test_only_what_is_held_is_closed(gateway: Gateway) -> None:
    close, part = "Position/closeContract", "Position/partialCloseContract"
    own = {"accountId": ACCOUNT, "contractId": CONTRACT}
    assert gateway.refused(close, **own) == (2, "Position not found")
    assert gateway.refused(close, **(own | {"accountId": 7})) == (1, "Account not found")
    assert gateway.refused(close, **(own | {"contractId": "x"})) == (3, "Contract not found")
    gateway.place(MARKET, BUY, 2)
    for size in (0, 3):
        code, text = gateway.refused(part, size=size, **own)
        assert (code, text) == (5, f"Invalid close size: {size} of 2")
    assert gateway.position() == [(1, 2, 21_000.25)]


def test_accounts_trade_with_each_other(gateway: Gateway) -> None:
    gateway.place(LIMIT, BUY, limitPrice=21_000.0)
    body = order(LIMIT, SELL, account=SECOND, limitPrice=21_000.0)
    gateway.ask("Order/place", **body)
    assert gateway.position() == [(1, 1, 21_000.0)]
    assert gateway.position(SECOND) == [(2, 1, 21_000.0)]
