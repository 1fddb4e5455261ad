"""Every code block of the OrderManager page does in a simulated session what the page says.

The sample of MNQ is made for the page's numbers: it opens near 21,020, is below 21,000 within the
first minute and trades through 21,100 within the hour.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from order_manager_page import (
    VENDOR,
    lots_of,
    orders_of,
    perform,
    play,
    play_on,
    read_blocks,
    seconds,
    statement_of,
)

import papertape
from broker_api.journal_parquet import read_journal
from papertape import (
    AccountConfig,
    InvalidSizeError,
    OrderNotActiveError,
    OrderType,
    RiskLimitError,
    TradingSuite,
)
from papertape.cli import app

pytestmark = pytest.mark.spec

BLOCKS = {block.name: block for block in read_blocks()}
NS = 1_000_000_000


def prices(suite: TradingSuite) -> list[tuple[str, str, float | None, float | None, float]]:
    """(type, status, limit, stop, size) of every order."""
    return [
        (order.type.name, str(order.status), order.limit_price, order.stop_price, order.size)
        for order in orders_of(suite)
    ]


# --- the effect of every block as it stands on the page ----------------------------------------


def quick_start(suite: TradingSuite, printed: str) -> None:
    assert prices(suite) == [("MARKET", "filled", None, None, 1)]
    assert lots_of(suite) == 1
    assert printed == "Order placed: 1\n"


def market_orders(suite: TradingSuite, printed: str) -> None:
    bought, sold = orders_of(suite)
    assert (bought.status, bought.filled_quantity) == ("filled", 1)
    assert (sold.filled_quantity, sold.reduce_only) == (1, True), "2 were asked for, 1 was held"
    assert lots_of(suite) == 0


def limit_orders(suite: TradingSuite, printed: str) -> None:
    assert prices(suite) == [
        ("LIMIT", "open", 21000.0, None, 1),
        ("LIMIT", "open", 21100.0, None, 1),
    ]
    assert [order.side.name for order in orders_of(suite)] == ["BUY", "SELL"]


def stop_orders(suite: TradingSuite, printed: str) -> None:
    assert prices(suite) == [
        ("STOP", "open", None, 20950.0, 1),
        ("STOP_LIMIT", "open", 20940.0, 20950.0, 1),
    ]


def bracket_orders(suite: TradingSuite, printed: str) -> None:
    entry, stop, target, second, second_stop, second_target = orders_of(suite)
    assert entry.status == second.status == "filled"
    assert entry.average_price is not None
    assert second.average_price is not None
    assert entry.average_price <= 21050.0
    assert stop.stop_price == entry.average_price - 25.0
    assert target.limit_price == entry.average_price + 50.0
    assert second_stop.stop_price == second.average_price - 30.0
    assert second_target.limit_price == second.average_price + 60.0
    exits = (stop, target, second_stop, second_target)
    assert [(leg.status, leg.held, leg.side.name) for leg in exits] == [("open", False, "SELL")] * 4
    assert lots_of(suite) == 2
    assert printed == "Main Order: 1\nStop Loss: 2\nTake Profit: 3\n"


def oco_orders(suite: TradingSuite, printed: str) -> None:
    assert prices(suite) == [
        ("LIMIT", "open", 21100.0, None, 1),
        ("STOP", "open", None, 20950.0, 1),
    ]
    first, second = orders_of(suite)
    assert (first.sibling_id, second.sibling_id) == (second.order_id, first.order_id)


def position_based_orders(suite: TradingSuite, printed: str) -> None:
    assert orders_of(suite) == [], "there is no position to close, to reduce or to scale out of"


def modify_orders(suite: TradingSuite, printed: str) -> None:
    assert prices(suite) == [("LIMIT", "open", 21010.0, None, 2)]


def cancel_orders(suite: TradingSuite, printed: str) -> None:
    assert [(order.status, order.reason) for order in orders_of(suite)] == [
        ("cancelled", "cancelled by the user")
    ] * 2


def order_status(suite: TradingSuite, printed: str) -> None:
    (order,) = orders_of(suite)
    assert (order.status, order.filled_quantity, order.average_price) == ("filled", 1, 21000.0)
    assert 0 < order.updated_ns - order.created_ns < 60 * NS
    assert printed == "Order Status: open\nFilled Quantity: 0\nRemaining: 1\n"


def order_history(suite: TradingSuite, printed: str) -> None:
    assert orders_of(suite) == []


def order_lifecycle(suite: TradingSuite, printed: str) -> None:
    (order,) = orders_of(suite)
    assert order.status == "filled"
    assert order.average_price is not None
    assert order.average_price <= 21000.0
    assert printed == (
        f"Order 1 status: open\nOrder 1 status: filled\nOrder 1 filled at {order.average_price}\n"
    )


def order_templates(suite: TradingSuite, printed: str) -> None:
    scalp, scalp_stop, scalp_target, breakout, breakout_stop, breakout_target = orders_of(suite)
    assert (scalp.status, scalp.limit_price) == ("filled", 21050.0)
    assert scalp.average_price is not None
    assert scalp_stop.stop_price == scalp.average_price - 7.5, "half of the ATR"
    assert scalp_target.limit_price == scalp.average_price + 11.25, "three quarters of the ATR"
    assert (breakout.type, breakout.status) == (OrderType.STOP, "open")
    assert breakout.stop_price == 21075.0
    assert breakout_stop.stop_price == 21000.0, "the middle of the range is no protection at 21075"
    assert breakout_target.limit_price == 21225.0, "one range beyond the entry"
    assert breakout_stop.held
    assert breakout_target.held


def custom_template(suite: TradingSuite, printed: str) -> None:
    entry, stop, target = orders_of(suite)
    assert (entry.size, entry.status) == (6, "filled"), "200 of risk over 30 points, whole lots"
    assert entry.average_price is not None
    assert stop.stop_price == entry.average_price - 30.0
    assert target.limit_price == entry.average_price + 60.0
    assert stop.remaining_quantity == target.remaining_quantity == 6


def error_recovery(suite: TradingSuite, printed: str) -> None:
    assert prices(suite) == [("LIMIT", "open", 21000.0, None, 1)]
    assert printed == ""


def order_statistics(suite: TradingSuite, printed: str) -> None:
    assert printed == (
        "Total Orders: 0\nFill Rate: 0.0%\nAverage Fill Time: 0ms\nRejected Orders: 0\n"
        "Error Rate: 0.0%\nOrders per Second: 0.0\nAverage Response Time: 0ms\n"
    )


def configure_order_manager(suite: TradingSuite, printed: str) -> None:
    config = suite.session.config
    block = {
        "max_concurrent_orders": 10,
        "default_timeout": 30.0,
        "retry_attempts": 3,
        "enable_order_tracking": True,
        "track_performance": True,
        "auto_cancel_on_disconnect": True,
    }
    assert config.model_dump(include=set(block)) == block


def order_placement(suite: TradingSuite, printed: str) -> None:
    limit, entry, stop, target = orders_of(suite)
    assert (limit.limit_price, limit.status) == (21000.0, "open")
    assert entry.status == "filled"
    assert entry.average_price is not None
    assert stop.stop_price == entry.average_price - 25.0
    assert target.limit_price == entry.average_price + 50.0
    assert printed == "21000.25\n", "21000.13 on the tick"


def resource_management(suite: TradingSuite, printed: str) -> None:
    orders = orders_of(suite)
    assert len(orders) == 51
    assert {str(order.status) for order in orders} == {"cancelled"}
    assert printed == "Warning: High number of pending orders\n"


EFFECTS: dict[str, Callable[[TradingSuite, str], None]] = {
    "basic_order_management": quick_start,
    "market_orders": market_orders,
    "limit_orders": limit_orders,
    "stop_orders": stop_orders,
    "bracket_orders": bracket_orders,
    "oco_orders": oco_orders,
    "position_based_orders": position_based_orders,
    "modify_orders": modify_orders,
    "cancel_orders": cancel_orders,
    "order_status": order_status,
    "order_history": order_history,
    "order_lifecycle": order_lifecycle,
    "order_templates": order_templates,
    "custom_template": custom_template,
    "error_recovery": error_recovery,
    "order_statistics": order_statistics,
    "configure_order_manager": configure_order_manager,
    "order_placement": order_placement,
    "resource_management": resource_management,
}


def test_every_block_of_the_page_has_an_effect_here() -> None:
    assert list(BLOCKS) == list(EFFECTS)


@pytest.mark.parametrize("name", BLOCKS)
def test_block_has_its_effect_with_only_the_modules_name_changed(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = play(BLOCKS[name])
    assert not suite.is_connected
    assert suite.failure is None
    EFFECTS[name](suite, capsys.readouterr().out)


@pytest.mark.parametrize("name", BLOCKS)
def test_block_does_the_same_verbatim_on_the_command_line(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    journal = play(BLOCKS[name]).session.journal
    printed = capsys.readouterr().out
    (tmp_path / "block.py").write_text(BLOCKS[name].script(), encoding="utf-8")
    assert BLOCKS[name].text in (tmp_path / "block.py").read_text(encoding="utf-8") or (
        BLOCKS[name].function is None
    )
    command = ["run", "block.py", "--as", VENDOR, "--no-report", "--out", "out"]
    assert app(command, standalone_mode=False) == 0
    told = capsys.readouterr().out
    assert told.startswith(printed)
    events, commands = read_journal(tmp_path / "out")
    assert np.array_equal(events, journal.events())
    assert commands.equals(journal.commands())
    assert f"digest        {journal.digest()}" in told


# --- what follows from a block, when its session goes on ---------------------------------------


def test_filled_oco_leg_cancels_the_other() -> None:
    async def later(names: dict[str, Any]) -> list[tuple[str, str]]:
        await seconds(2700)
        return [(str(order.status), order.reason) for order in orders_of(names["suite"])]

    assert play_on(BLOCKS["oco_orders"], later) == [
        ("filled", ""),
        ("cancelled", "cancelled because its sibling ended"),
    ]


@pytest.mark.parametrize("leg", ["first_order_id", "second_order_id"])
def test_cancelled_oco_leg_cancels_the_other(leg: str) -> None:
    async def later(names: dict[str, Any]) -> list[str]:
        await names["mnq_orders"].cancel_order(getattr(names["oco_result"], leg))
        return [str(order.status) for order in orders_of(names["suite"])]

    assert play_on(BLOCKS["oco_orders"], later) == ["cancelled", "cancelled"]


def test_brackets_stop_ends_the_position_and_the_target() -> None:
    async def later(names: dict[str, Any]) -> None:
        await seconds(60)
        orders = orders_of(names["suite"])
        for distance, (entry, stop, target) in ((25.0, orders[:3]), (30.0, orders[3:])):
            assert stop.status == "filled", "the market falls 30 points within the minute"
            assert stop.average_price <= entry.average_price - distance
            assert (target.status, target.reason) == (
                "cancelled",
                "cancelled because its sibling ended",
            )
        assert lots_of(names["suite"]) == 0

    play_on(BLOCKS["bracket_orders"], later)


def test_modified_order_fills_at_its_new_price_and_size() -> None:
    async def later(names: dict[str, Any]) -> None:
        assert names["order"].order_id == names["modified"].order_id
        assert (names["modified"].limit_price, names["modified"].size) == (21010.0, 1)
        assert (names["modified_qty"].limit_price, names["modified_qty"].size) == (21010.0, 2)
        filled = await names["mnq_orders"].wait_for_fill(names["order"].order_id, timeout=60)
        assert (filled.filled_quantity, filled.average_price) == (2, 21010.0)

    play_on(BLOCKS["modify_orders"], later)


def test_cancel_orders_tells_of_each_what_became_of_it() -> None:
    async def later(names: dict[str, Any]) -> None:
        first, second = names["order1"].order_id, names["order2"].order_id
        single, several, of_instrument, of_all = names["answers"]
        assert (single.order_id, single.status) == (first, "cancelled")
        assert list(several) == [first, second]
        assert isinstance(several[first], OrderNotActiveError)
        assert str(several[first]) == (
            "order 1 is not active: it is cancelled: cancelled by the user"
        )
        assert several[second].status == "cancelled"
        assert of_instrument == of_all == {}, "nothing was left to cancel"

    play_on(BLOCKS["cancel_orders"], later)


def test_wait_for_fill_gives_the_filled_order() -> None:
    async def later(names: dict[str, Any]) -> None:
        assert names["status"].status == names["order_info"].status == "open"
        assert names["filled_order"].status == "filled"
        assert names["filled_order"].order_id == names["order"].order_id

    play_on(BLOCKS["order_status"], later)


def test_history_lists_by_status_and_by_age() -> None:
    async def prepare(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        await orders.place_market_order("MNQ", 0, 1)
        for step in range(12):
            await orders.place_limit_order("MNQ", 0, 1, limit_price=20500.0 + step)
        await orders.cancel_order(2)

    async def later(names: dict[str, Any]) -> dict[str, list[int]]:
        return {
            key: [order.order_id for order in names[key]]
            for key in names
            if key.endswith(("orders", "filtered")) and isinstance(names[key], list)
        }

    assert play_on(BLOCKS["order_history"], later, prepare) == {
        "all_orders": list(range(1, 14)),
        "pending_orders": list(range(3, 14)),
        "filled_orders": [1],
        "mnq_orders_filtered": list(range(1, 14)),
        "recent_orders": list(range(13, 3, -1)),
    }


def test_statistics_count_what_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    async def prepare(suite: TradingSuite) -> None:
        orders = suite["MNQ"].orders
        await seconds(1)
        await orders.place_market_order("MNQ", 0, 1)
        await orders.place_limit_order("MNQ", 0, 1, limit_price=20500.0)
        with pytest.raises(papertape.InvalidPriceError):
            await orders.place_stop_order("MNQ", 1, 1, stop_price=21500.0)
        with pytest.raises(InvalidSizeError):
            await orders.place_market_order("MNQ", 0, 0.5)
        await seconds(0.994)

    async def later(names: dict[str, Any]) -> dict[str, Any]:
        return names["stats"]

    stats = play_on(BLOCKS["order_statistics"], later, prepare)
    assert (stats["total_orders"], stats["pending_orders"], stats["denied_orders"]) == (3, 1, 1)
    assert capsys.readouterr().out == (
        "Total Orders: 3\n"
        "Fill Rate: 33.3%\n"
        "Average Fill Time: 2ms\n"
        "Rejected Orders: 1\n"
        "Error Rate: 50.0%\n"
        "Orders per Second: 1.5\n"
        "Average Response Time: 2ms\n"
    )


def test_configuration_is_in_force() -> None:
    async def later(names: dict[str, Any]) -> TradingSuite:
        suite = names["suite"]
        for step in range(10):
            await suite["MNQ"].orders.place_limit_order("MNQ", 0, 1, limit_price=20500.0 + step)
        with pytest.raises(RiskLimitError, match=r"11 working orders .* the limit 10"):
            await suite["MNQ"].orders.place_limit_order("MNQ", 0, 1, limit_price=20500.0)
        return suite

    suite = play_on(BLOCKS["configure_order_manager"], later)
    assert [str(order.status) for order in orders_of(suite)] == ["cancelled"] * 10, (
        "auto_cancel_on_disconnect"
    )


# --- orders that follow from a position --------------------------------------------------------


async def ten_long(suite: TradingSuite) -> None:
    filled = await suite["MNQ"].orders.place_market_order("MNQ", 0, 10)
    await suite["MNQ"].orders.wait_for_fill(filled)


def perform_with_ten(target: str) -> TradingSuite:
    """Perform one statement of the page's position block with ten lots held, for 45 minutes."""

    async def main() -> TradingSuite:
        async with await TradingSuite.create(["MNQ"]) as suite:
            await ten_long(suite)
            statement = statement_of(BLOCKS["position_based_orders"], target)
            await perform(statement, mnq_orders=suite["MNQ"].orders)
            placed = orders_of(suite)[1:]
            assert all(order.reduce_only and order.side.name == "SELL" for order in placed)
            await seconds(2700)
            return suite

    suite = papertape.run(main())
    assert suite is not None
    return suite


def test_close_position_sells_all_that_is_held() -> None:
    suite = perform_with_ten("close_result")
    assert prices(suite)[1:] == [("MARKET", "filled", None, None, 10)]
    assert lots_of(suite) == 0


def test_reduce_position_sells_half_at_the_limit() -> None:
    suite = perform_with_ten("reduce_result")
    assert prices(suite)[1:] == [("LIMIT", "filled", 21075.0, None, 5)]
    assert lots_of(suite) == 5


def test_scale_out_sells_all_in_three_stages() -> None:
    suite = perform_with_ten("scale_result")
    assert prices(suite)[1:] == [
        ("LIMIT", "filled", 21060.0, None, 3),
        ("LIMIT", "filled", 21080.0, None, 3),
        ("LIMIT", "filled", 21100.0, None, 4),
    ]
    assert lots_of(suite) == 0


def test_whole_position_block_closes_once_and_then_finds_nothing_to_do() -> None:
    async def later(names: dict[str, Any]) -> TradingSuite:
        assert names["close_result"].success
        assert not names["reduce_result"].success
        assert names["reduce_result"].reason == "no open position in MNQ"
        assert names["scale_result"] == []
        return names["suite"]

    suite = play_on(BLOCKS["position_based_orders"], later, ten_long)
    assert lots_of(suite) == 0
    assert len(orders_of(suite)) == 2


# --- the ways out of the error block -----------------------------------------------------------


def test_retry_with_half_a_contract_is_refused_with_what_is_allowed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(InvalidSizeError, match=r"size 0.5 is not a multiple of the lot size 1"):
        play(BLOCKS["error_recovery"], account=AccountConfig(cash=10))
    assert capsys.readouterr().out == "Insufficient margin - reducing position size\n"


def test_refusal_is_told_by_the_blocks_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    suite = play(BLOCKS["error_recovery"], risk={"max_order_size": "0.5"})
    assert orders_of(suite) == []
    assert capsys.readouterr().out == (
        "Order rejected: max_order_size: size 1 is above the limit 0\n"
    )
