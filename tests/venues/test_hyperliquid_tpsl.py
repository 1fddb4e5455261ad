"""Take-profits and stop-losses of the local venue, by the vendor's SDK: they fire on the mark."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.venues.local_venue import Local, Trader, local_venue


@pytest.fixture
def venue() -> Iterator[Local]:
    with local_venue() as found:
        yield found


def order(is_buy: bool, size: float, price: float, terms: dict[str, Any], reduce: bool) -> dict:
    return {
        "coin": "ETH",
        "is_buy": is_buy,
        "sz": size,
        "limit_px": price,
        "order_type": terms,
        "reduce_only": reduce,
    }


def limit(is_buy: bool, size: float, price: float, tif: str = "Gtc") -> dict:
    return order(is_buy, size, price, {"limit": {"tif": tif}}, False)


def exit_at(is_buy: bool, size: float, price: float, at: float, tpsl: str) -> dict:
    terms = {"trigger": {"isMarket": True, "triggerPx": at, "tpsl": tpsl}}
    return order(is_buy, size, price, terms, True)


def grouped(trader: Trader, orders: list[dict], grouping: str = "normalTpsl") -> list[Any]:
    return trader.statuses(trader.exchange.bulk_orders(orders, grouping=grouping))


def words(trader: Trader, oid: int) -> list[str]:
    """The status words of an order, oldest first."""
    history = trader.info.historical_orders(trader.address)
    found = [entry["status"] for entry in history if entry["order"]["oid"] == oid]
    return list(reversed(found))


# --- stand-alone ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_buy", "tpsl", "at", "limit_price", "before", "fires", "condition"),
    [
        (False, "sl", 2900, 2700, 2900.1, 2900, "Price below 2900"),
        (False, "tp", 3100, 2950, 3099.9, 3100, "Price above 3100"),
        (True, "sl", 3100, 3300, 3099.9, 3100, "Price above 3100"),
        (True, "tp", 2900, 3050, 2900.1, 2900, "Price below 2900"),
    ],
)
def test_a_trigger_fires_when_the_mark_is_there_and_not_before(
    venue: Local,
    is_buy: bool,
    tpsl: str,
    at: float,
    limit_price: float,
    before: float,
    fires: float,
    condition: str,
) -> None:
    trader = venue.trader
    trader.limit(not is_buy, 0.5, 2990 if is_buy else 3010)
    oid = trader.trigger(is_buy, 0.5, limit_price, at, tpsl)["resting"]["oid"]
    shown = trader.info.frontend_open_orders(trader.address)[0]
    assert shown["triggerCondition"] == condition
    assert shown["isTrigger"]
    assert shown["tif"] is None
    assert shown["orderType"] == ("Stop Market" if tpsl == "sl" else "Take Profit Market")
    venue.price(before)
    assert trader.status(oid) == "open"
    venue.price(fires)
    assert words(trader, oid) == ["open", "triggered", "filled"]
    assert trader.position() == 0


def test_a_trigger_that_is_through_already_is_refused(venue: Local) -> None:
    trader = venue.trader
    trader.limit(True, 0.5, 3010)
    refused = trader.trigger(False, 0.5, 2800, 3000, "sl")
    assert refused == {"error": "Invalid TP/SL price. asset=1"}
    assert trader.info.historical_orders(trader.address)[0]["status"] == "badTriggerPxRejected"


def test_a_trigger_that_is_not_at_market_rests_at_its_limit(venue: Local) -> None:
    trader = venue.trader
    trader.limit(True, 0.5, 3010)
    oid = trader.trigger(False, 0.5, 2950, 2900, "sl", market=False)["resting"]["oid"]
    venue.price(2900)
    assert trader.status(oid) == "triggered"
    assert trader.info.open_orders(trader.address)[0]["limitPx"] == "2950.0"
    venue.price(2960)
    assert trader.status(oid) == "filled"
    assert trader.fills()[-1] == ("Close Long", "0.5", "2950.0", "-25.05")


def test_a_market_trigger_beyond_its_limit_finds_no_liquidity(venue: Local) -> None:
    trader = venue.trader
    trader.limit(True, 0.5, 3010)
    oid = trader.trigger(False, 0.5, 2890, 2900, "sl")["resting"]["oid"]
    venue.price(2800)
    assert words(trader, oid) == ["open", "triggered", "marketOrderNoLiquidityRejected"]
    assert trader.position() == Decimal("0.5")


def test_a_stop_entry_opens_a_position(venue: Local) -> None:
    trader = venue.trader
    oid = trader.trigger(True, 0.5, 3200, 3100, "sl", reduce_only=False)["resting"]["oid"]
    venue.price(3100)
    assert trader.status(oid) == "filled"
    assert trader.fills() == [("Open Long", "0.5", "3100.1", "0.0")]


# --- children of an order -------------------------------------------------------------------------


def test_children_of_a_resting_order_wait_for_its_fill(venue: Local) -> None:
    trader = venue.trader
    entries = grouped(
        trader,
        [
            limit(True, 0.5, 2950),
            exit_at(False, 0.5, 2700, 2900, "sl"),
            exit_at(False, 0.5, 3000, 3050, "tp"),
        ],
    )
    assert entries[1:] == ["waitingForFill", "waitingForFill"]
    parent = entries[0]["resting"]["oid"]
    shown = trader.info.frontend_open_orders(trader.address)
    nested = next(each for each in shown if each["oid"] == parent)["children"]
    children = [child["oid"] for child in nested]
    assert sorted(each["oid"] for each in shown) == [parent, *children]
    venue.price(2951)
    venue.price(2949)
    assert trader.status(parent) == "filled"
    assert [trader.status(oid) for oid in children] == ["open", "open"]
    venue.price(3050)
    assert words(trader, children[1]) == ["open", "triggered", "filled"]
    assert words(trader, children[0])[-1] == "siblingFilledCanceled"
    assert trader.position() == 0
    assert trader.open_oids() == []


def test_children_of_an_order_that_fills_at_once_wait_for_their_trigger(venue: Local) -> None:
    trader = venue.trader
    entries = grouped(
        trader,
        [
            limit(False, 0.5, 2990),
            exit_at(True, 0.5, 3300, 3100, "sl"),
            exit_at(True, 0.5, 3000, 2900, "tp"),
        ],
    )
    assert entries[0]["filled"]["totalSz"] == "0.5"
    assert entries[1:] == ["waitingForTrigger", "waitingForTrigger"]
    venue.price(3105)
    assert trader.position() == 0
    assert [fill[0] for fill in trader.fills()] == ["Open Short", "Close Short"]
    assert trader.open_oids() == []


def test_children_go_with_their_parent(venue: Local) -> None:
    trader = venue.trader
    entries = grouped(trader, [limit(True, 0.5, 2950), exit_at(False, 0.5, 2700, 2900, "sl")])
    parent = entries[0]["resting"]["oid"]
    child = max(trader.open_oids())
    cancels = [{"coin": "ETH", "oid": parent}, {"coin": "ETH", "oid": child}]
    text = "Order was never placed, already canceled, or filled. asset=1"
    answer = trader.statuses(trader.exchange.bulk_cancel(cancels))
    assert answer == ["success", {"error": text}]
    assert words(trader, child) == ["open", "canceled"]


def test_a_parent_that_is_cancelled_after_a_part_takes_its_children_along(venue: Local) -> None:
    trader = venue.trader
    venue.price(3000, size="0.2")
    entries = grouped(trader, [limit(True, 0.5, 3000.1), exit_at(False, 0.5, 2700, 2900, "sl")])
    assert entries[1] == "waitingForFill"
    trader.exchange.cancel("ETH", entries[0]["resting"]["oid"])
    assert trader.open_oids() == []
    assert trader.position() == Decimal("0.2")


def test_a_refused_parent_leaves_no_children(venue: Local) -> None:
    trader = venue.trader
    entries = grouped(trader, [limit(True, 90, 3000.1), exit_at(False, 90, 2700, 2900, "sl")])
    assert {entry["error"] for entry in entries} == {"Insufficient margin to place order. asset=1"}
    assert trader.open_oids() == []


def test_a_child_that_is_through_when_it_comes_to_life_fires(venue: Local) -> None:
    trader = venue.trader
    entries = grouped(trader, [limit(True, 0.5, 2950), exit_at(False, 0.5, 2700, 2940, "sl")])
    assert entries[1] == "waitingForFill"
    venue.price(2930)  # in one step through the parent's limit and the child's trigger
    assert trader.position() == 0
    assert [fill[0] for fill in trader.fills()] == ["Open Long", "Close Long"]


def test_one_exit_cancelled_by_hand_leaves_the_other(venue: Local) -> None:
    trader = venue.trader
    grouped(
        trader,
        [
            limit(True, 0.5, 3010),
            exit_at(False, 0.5, 2700, 2900, "sl"),
            exit_at(False, 0.5, 3000, 3100, "tp"),
        ],
    )
    take_profit, stop = trader.open_oids()
    trader.exchange.cancel("ETH", take_profit)
    assert trader.open_oids() == [stop]
    venue.price(2890)
    assert trader.position() == 0


def test_exits_end_when_the_position_is_closed_otherwise(venue: Local) -> None:
    trader = venue.trader
    grouped(
        trader,
        [
            limit(True, 0.5, 3010),
            exit_at(False, 0.5, 2700, 2900, "sl"),
            exit_at(False, 0.5, 3000, 3100, "tp"),
        ],
    )
    oids = trader.open_oids()
    trader.exchange.market_close("ETH")
    assert [trader.status(oid) for oid in oids] == ["reduceOnlyCanceled"] * 2


# --- of a position --------------------------------------------------------------------------------


def test_triggers_of_a_position_are_as_large_as_it_is_when_they_fire(venue: Local) -> None:
    trader = venue.trader
    trader.limit(True, 0.5, 3010)
    entries = grouped(
        trader,
        [exit_at(False, 0, 2700, 2900, "sl"), exit_at(False, 0, 3000, 3100, "tp")],
        "positionTpsl",
    )
    assert entries == ["waitingForTrigger", "waitingForTrigger"]
    shown = trader.info.frontend_open_orders(trader.address)
    assert [(each["isPositionTpsl"], each["sz"]) for each in shown] == [(True, "0.5")] * 2
    trader.limit(True, 0.3, 3010)
    assert [each["sz"] for each in trader.info.open_orders(trader.address)] == ["0.8", "0.8"]
    trader.limit(False, 0.7, 2990)
    assert [each["sz"] for each in trader.info.open_orders(trader.address)] == ["0.1", "0.1"]
    venue.price(3100)
    assert trader.position() == 0
    assert trader.open_oids() == []
    assert trader.fills()[-1][:2] == ("Close Long", "0.1")


def test_triggers_of_a_position_need_one_on_the_other_side(venue: Local) -> None:
    trader = venue.trader
    text = "Reduce only order would increase position. asset=1"
    flat = grouped(trader, [exit_at(False, 0, 2700, 2900, "sl")], "positionTpsl")
    assert flat == [{"error": text}]
    trader.limit(False, 0.5, 2990)
    same_side = grouped(trader, [exit_at(False, 0, 2700, 2900, "sl")], "positionTpsl")
    assert same_side == [{"error": text}]


# --- groups that make no sense --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orders", "grouping", "said"),
    [
        (
            [exit_at(False, 0.5, 2700, 2900, "sl"), exit_at(False, 0.5, 2700, 2900, "sl")],
            "normalTpsl",
            "Main order cannot be trigger order.",
        ),
        ([limit(True, 0.5, 2950)], "normalTpsl", "Unexpected number of trigger orders"),
        (
            [limit(True, 0.5, 2950), limit(False, 0.5, 3100)],
            "normalTpsl",
            "Unexpected number of trigger orders",
        ),
        (
            [limit(True, 0.5, 2950), *[exit_at(False, 0.5, 2700, 2900, "sl")] * 3],
            "normalTpsl",
            "Unexpected number of trigger orders",
        ),
        (
            [
                limit(True, 0.5, 2950),
                {**exit_at(False, 0.5, 2700, 2900, "sl"), "reduce_only": False},
            ],
            "normalTpsl",
            "Trigger order is not reduce only.",
        ),
        (
            [limit(True, 0.5, 2950), exit_at(True, 0.5, 3300, 3100, "sl")],
            "normalTpsl",
            "Trigger order has unexpected side.",
        ),
        ([limit(True, 0.5, 2950)], "positionTpsl", "Unexpected number of trigger orders"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused_whole(
    venue: Local, orders: list[dict], grouping: str, said: str
) -> None:
    trader = venue.trader
    before = venue.engine.venue.exchange.state_hash
    assert grouped(trader, orders, grouping) == [{"error": said}]
    assert venue.engine.venue.exchange.state_hash == before
    assert trader.info.historical_orders(trader.address) == []
