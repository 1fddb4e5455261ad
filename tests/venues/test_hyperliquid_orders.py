"""The vendor's SDK, unmodified, trades on the local venue: orders, changes, cancels, positions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from hyperliquid.utils.types import Cloid

from tests.venues.local_venue import Local, local_venue


@pytest.fixture
def venue() -> Iterator[Local]:
    with local_venue() as found:
        yield found


def test_the_documents_flow_places_asks_and_cancels(venue: Local) -> None:
    trader = venue.trader
    state = trader.info.user_state(trader.address)
    assert state["assetPositions"] == []
    assert state["marginSummary"]["accountValue"] == "10000.0"
    resting = trader.limit(True, 0.2, 1100)
    oid = resting["resting"]["oid"]
    assert set(resting) == {"resting"}
    found = trader.info.query_order_by_oid(trader.address, oid)
    assert found["status"] == "order"
    assert found["order"]["status"] == "open"
    assert found["order"]["order"]["limitPx"] == "1100.0"
    assert found["order"]["order"]["origSz"] == "0.2"
    assert trader.exchange.cancel("ETH", oid) == {
        "status": "ok",
        "response": {"type": "cancel", "data": {"statuses": ["success"]}},
    }
    assert trader.status(oid) == "canceled"
    assert trader.open_oids() == []


def test_a_crossing_order_is_filled_and_a_position_shows_its_figures(venue: Local) -> None:
    trader = venue.trader
    filled = trader.limit(True, 0.5, 3010)["filled"]
    assert (filled["totalSz"], filled["avgPx"]) == ("0.5", "3000.1")
    state = trader.info.user_state(trader.address)
    position = state["assetPositions"][0]["position"]
    assert position["szi"] == "0.5"
    assert position["entryPx"] == "3000.1"
    assert position["positionValue"] == "1500.0"
    assert position["unrealizedPnl"] == "-0.05"
    assert position["leverage"] == {"type": "cross", "value": 20}
    assert position["marginUsed"] == "75.0"
    fee = Decimal("3000.1") * Decimal("0.5") * Decimal("0.00045")
    assert Decimal(state["marginSummary"]["accountValue"]) == 10_000 - fee - Decimal("0.05")
    assert trader.fills() == [("Open Long", "0.5", "3000.1", "0.0")]


def test_a_partly_filled_order_rests_with_what_is_left(venue: Local) -> None:
    trader = venue.trader
    trader.exchange.update_leverage(25, "ETH")
    venue.price(3000, size="0.3")
    resting = trader.limit(True, 1, 3000.1)
    oid = resting["resting"]["oid"]
    order = trader.info.open_orders(trader.address)[0]
    assert (order["oid"], order["sz"], order["origSz"]) == (oid, "0.7", "1.0")
    assert trader.position() == Decimal("0.3")
    venue.price(2990, size="100")
    assert trader.status(oid) == "filled"
    assert trader.position() == Decimal(1)
    assert trader.fills()[0][1] == "0.3"


def test_an_ioc_fills_what_is_there_and_says_nothing_of_the_rest(venue: Local) -> None:
    trader = venue.trader
    venue.price(3000, size="0.3")
    entry = trader.limit(True, 0.5, 3000.1, "Ioc")
    assert entry["filled"]["totalSz"] == "0.3"
    assert trader.status(entry["filled"]["oid"]) == "filled"
    assert trader.open_oids() == []


def test_an_ioc_that_meets_nothing_is_an_error_with_a_record(venue: Local) -> None:
    trader = venue.trader
    cloid = Cloid.from_int(5)
    entry = trader.limit(True, 0.5, 2000, "Ioc", cloid=cloid)
    text = "Order could not immediately match against any resting orders. asset=1"
    assert entry == {"error": text}
    found = trader.info.query_order_by_cloid(trader.address, cloid)
    assert found["order"]["status"] == "iocCancelRejected"
    assert found["order"]["order"]["sz"] == "0.5"


def test_an_alo_rests_or_is_refused_with_the_best_prices(venue: Local) -> None:
    trader = venue.trader
    assert "resting" in trader.limit(True, 0.1, 2999.9, "Alo")
    refused = trader.limit(True, 0.1, 3000.1, "Alo")
    text = "Post only order would have immediately matched, bbo was 2999.9@3000.1. asset=1"
    assert refused == {"error": text}
    assert trader.info.historical_orders(trader.address)[0]["status"] == "badAloPxRejected"


def test_bulk_orders_are_answered_one_by_one(venue: Local) -> None:
    trader = venue.trader
    orders = [
        _order("ETH", True, 0.1, 2000),
        _order("ETH", True, 0.1, 3000.1, "Ioc"),
        _order("BTC", False, 0.001, 95_001, "Alo"),
        _order("ETH", True, 0.001, 2000),
    ]
    entries = trader.statuses(trader.exchange.bulk_orders(orders))
    assert [next(iter(entry)) for entry in entries] == ["resting", "filled", "resting", "error"]
    assert entries[3]["error"] == "Order must have minimum value of $10. asset=1"
    oids = [entries[0]["resting"]["oid"], entries[2]["resting"]["oid"]]
    assert sorted(trader.open_oids()) == oids
    cancels = [{"coin": "ETH", "oid": oids[0]}, {"coin": "ETH", "oid": 999}]
    assert trader.statuses(trader.exchange.bulk_cancel(cancels)) == [
        "success",
        {"error": "Order was never placed, already canceled, or filled. asset=1"},
    ]


def _order(coin: str, is_buy: bool, size: float, price: float, tif: str = "Gtc") -> dict:
    return {
        "coin": coin,
        "is_buy": is_buy,
        "sz": size,
        "limit_px": price,
        "order_type": {"limit": {"tif": tif}},
        "reduce_only": False,
    }


def test_a_cloid_finds_and_cancels_its_newest_order(venue: Local) -> None:
    trader = venue.trader
    cloid = Cloid.from_str("0x00000000000000000000000000000abc")
    unknown = trader.info.query_order_by_cloid(trader.address, cloid)
    assert unknown == {"status": "unknownOid"}
    first = trader.limit(True, 0.1, 2000, cloid=cloid)["resting"]
    assert first["cloid"] == cloid.to_raw()
    second = trader.limit(True, 0.1, 2001, cloid=cloid)["resting"]
    found = trader.info.query_order_by_cloid(trader.address, cloid)
    assert found["order"]["order"]["oid"] == second["oid"]
    assert trader.statuses(trader.exchange.cancel_by_cloid("ETH", cloid)) == ["success"]
    assert trader.open_oids() == [first["oid"]]


def test_a_modify_gives_a_new_order_and_ends_the_old_one(venue: Local) -> None:
    trader = venue.trader
    cloid = Cloid.from_int(77)
    old = trader.limit(True, 0.2, 1100, cloid=cloid)["resting"]["oid"]
    terms = {"limit": {"tif": "Gtc"}}
    answer = trader.exchange.modify_order(old, "ETH", True, 0.1, 1105, terms, cloid=cloid)
    new = trader.statuses(answer)[0]["resting"]["oid"]
    assert new > old
    assert trader.status(old) == "canceled"
    answer = trader.exchange.modify_order(cloid, "ETH", True, 0.3, 1106, terms)
    third = trader.statuses(answer)[0]["resting"]["oid"]
    assert trader.open_oids() == [third]
    order = trader.info.open_orders(trader.address)[0]
    assert (order["sz"], order["limitPx"], "cloid" in order) == ("0.3", "1106.0", False)


def test_a_modify_is_post_only_and_loses_the_old_order_when_it_would_take(venue: Local) -> None:
    trader = venue.trader
    old = trader.limit(True, 0.2, 1100)["resting"]["oid"]
    terms = {"limit": {"tif": "Gtc"}}
    answer = trader.exchange.modify_order(old, "ETH", True, 0.2, 3100, terms)
    assert trader.statuses(answer)[0]["error"] == (
        "Error placing new order during modify: Post only order would have immediately matched, "
        "bbo was 2999.9@3000.1. asset=1"
    )
    assert trader.status(old) == "canceled"
    assert trader.open_oids() == []
    gone = trader.exchange.modify_order(old, "ETH", True, 0.2, 1100, terms)
    assert trader.statuses(gone) == [{"error": "Cannot modify canceled or filled order"}]


def test_a_modify_that_makes_no_sense_leaves_the_old_order_alone(venue: Local) -> None:
    trader = venue.trader
    old = trader.limit(True, 0.2, 1100)["resting"]["oid"]
    before = venue.engine.venue.exchange.state_hash
    ioc = {"limit": {"tif": "Ioc"}}
    answer = trader.exchange.modify_order(old, "ETH", True, 0.2, 1100, ioc)
    assert trader.statuses(answer) == [{"error": "Modified order has to be one that rests."}]
    answer = trader.exchange.modify_order(
        old, "ETH", True, 0.2, 1100.123, {"limit": {"tif": "Gtc"}}
    )
    assert trader.statuses(answer) == [{"error": "Order has invalid price."}]
    assert venue.engine.venue.exchange.state_hash == before
    assert trader.open_oids() == [old]


def test_a_modify_with_the_flag_may_take_and_may_be_a_trigger(venue: Local) -> None:
    from tests.venues.test_hyperliquid_refusals import an_order, envelope

    trader = venue.trader
    old = trader.limit(True, 0.2, 1100)["resting"]["oid"]
    taking = {"type": "modify", "oid": old, "order": an_order(p="3010"), "a": True}
    answer = venue.post("/exchange", envelope(taking)).json()
    assert answer == {"status": "ok", "response": {"type": "default"}}
    assert trader.position() == Decimal("0.1")
    stop = trader.trigger(False, 0.1, 2700, 2900, "sl")["resting"]["oid"]
    moved = an_order(
        b=False,
        p="2800",
        r=True,
        t={"trigger": {"isMarket": True, "triggerPx": "2950", "tpsl": "sl"}},
    )
    change = {"oid": stop, "order": moved, "a": True}
    answer = venue.post("/exchange", envelope({"type": "batchModify", "modifies": [change]})).json()
    assert set(answer["response"]["data"]["statuses"][0]) == {"resting"}
    venue.price(2949)
    assert trader.position() == 0


def test_market_open_and_market_close_go_there_and_back(venue: Local) -> None:
    trader = venue.trader
    opened = trader.statuses(trader.exchange.market_open("ETH", False, 0.05, slippage=0.01))
    assert opened[0]["filled"]["avgPx"] == "2999.9"
    assert trader.position() == Decimal("-0.05")
    closed = trader.statuses(trader.exchange.market_close("ETH"))
    assert closed[0]["filled"]["avgPx"] == "3000.1"
    assert trader.position() == 0
    assert trader.exchange.market_close("ETH") is None
    assert trader.fills() == [
        ("Open Short", "0.05", "2999.9", "0.0"),
        ("Close Short", "0.05", "3000.1", "-0.01"),
    ]


def test_a_flip_is_one_fill(venue: Local) -> None:
    trader = venue.trader
    trader.limit(True, 0.1, 3001)
    trader.limit(False, 0.3, 2999)
    assert trader.fills()[-1] == ("Long > Short", "0.3", "2999.9", "-0.02")
    assert trader.position() == Decimal("-0.2")


def test_a_reduce_only_order_is_cut_to_the_position(venue: Local) -> None:
    trader = venue.trader
    refused = trader.limit(False, 0.1, 2000, "Ioc", reduce_only=True)
    assert refused == {"error": "Reduce only order would increase position. asset=1"}
    trader.limit(True, 0.1, 3001)
    resting = trader.limit(False, 0.5, 3100, reduce_only=True)["resting"]["oid"]
    order = trader.info.open_orders(trader.address)[0]
    assert (order["sz"], order["origSz"], order["reduceOnly"]) == ("0.1", "0.5", True)
    closed = trader.limit(False, 0.5, 2900, "Ioc", reduce_only=True)
    assert closed["filled"]["totalSz"] == "0.1"
    assert trader.status(resting) == "reduceOnlyCanceled"


def test_an_order_takes_the_place_of_the_same_users_resting_one(venue: Local) -> None:
    trader = venue.trader
    venue.price(3000, spread_ticks=100)
    maker = trader.limit(False, 0.1, 3002)["resting"]["oid"]
    assert "resting" in trader.limit(True, 0.1, 3003)
    assert trader.status(maker) == "selfTradeCanceled"
    assert trader.fills() == []


def test_two_users_trade_with_each_other_at_one_price_by_time(venue: Local) -> None:
    first, second, taker = venue.trader, venue.another(), venue.another()
    venue.price(3000, spread_ticks=100)
    oids = [each.limit(False, 0.2, 3002)["resting"]["oid"] for each in (first, second)]
    filled = taker.limit(True, 0.3, 3003, "Ioc")["filled"]
    assert (filled["totalSz"], filled["avgPx"]) == ("0.3", "3002.0")
    assert first.status(oids[0]) == "filled"
    assert second.info.open_orders(second.address)[0]["sz"] == "0.1"
    makers = [each.info.user_fills(each.address)[0] for each in (first, second)]
    takers = taker.info.user_fills_by_time(taker.address, 0)
    assert [fill["tid"] for fill in takers] == [fill["tid"] for fill in makers]
    assert [fill["hash"] for fill in takers] == [fill["hash"] for fill in makers]
    assert [fill["crossed"] for fill in (*takers, *makers)] == [True, True, False, False]
    assert makers[0]["fee"] == "0.09006"  # 0.2 * 3002 * 0.015 %
    trades = taker.info.post("/info", {"type": "recentTrades", "coin": "ETH"})
    users = [trade["users"] for trade in trades if trade["tid"] == takers[0]["tid"]]
    assert users == [[taker.address.lower(), first.address.lower()]]


def test_resting_orders_of_users_show_in_the_book(venue: Local) -> None:
    trader = venue.trader
    venue.price(3000, spread_ticks=100)
    trader.limit(True, 0.4, 2998)
    book = trader.info.l2_snapshot("ETH")
    assert book["levels"][0][0] == {"px": "2998.0", "sz": "0.4", "n": 1}
    assert book["levels"][0][1] == {"px": "2995.0", "sz": "100.0", "n": 1}
    assert len(book["levels"][0]) == len(book["levels"][1]) == 20
    assert trader.info.all_mids()["ETH"] == "3001.5"


def test_margin_refuses_what_the_account_cannot_carry(venue: Local) -> None:
    trader = venue.trader
    refused = trader.limit(True, 80, 3010)
    assert refused == {"error": "Insufficient margin to place order. asset=1"}
    assert trader.info.historical_orders(trader.address)[0]["status"] == "perpMarginRejected"


def test_a_halt_is_told(venue: Local) -> None:
    trader = venue.trader
    oid = trader.limit(True, 0.1, 2000)["resting"]["oid"]
    venue.control("/halt", symbol="ETH")
    assert trader.limit(True, 0.1, 2000) == {"error": "Trading is halted. asset=1"}
    assert trader.statuses(trader.exchange.cancel("ETH", oid)) == ["success"]
    venue.control("/resume", symbol="ETH")
    venue.price(3000)
    assert "resting" in trader.limit(True, 0.1, 2000)


def test_a_liquidation_closes_and_is_told_in_the_fill(venue: Local) -> None:
    trader = venue.trader
    trader.exchange.update_leverage(25, "ETH")
    trader.limit(True, 40, 3010)
    resting = trader.limit(True, 0.1, 2000)["resting"]["oid"]
    state = trader.info.user_state(trader.address)
    price = Decimal(state["assetPositions"][0]["position"]["liquidationPx"])
    assert 2790 < price < 2830
    venue.price(int(price) + 1)
    assert trader.position() == 40
    venue.price(int(price) - 1)
    assert trader.position() == 0
    assert trader.status(resting) == "liquidatedCanceled"
    fill = trader.info.user_fills(trader.address)[0]
    assert fill["liquidation"]["liquidatedUser"] == trader.address.lower()
    assert fill["liquidation"]["method"] == "market"
