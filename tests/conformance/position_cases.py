"""Cases of brackets and OCO pairs, positions, the account, market data, and account rules."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker_api.errors import RiskLimitError
from tests.conformance.register import case
from tests.conformance.stage import Stage

# --- groups --------------------------------------------------------------------------------------


async def _bracket(stage: Stage, lots: int = 2) -> Any:
    placed = await stage.orders.place_bracket_order(
        stage.symbol, "buy", stage.size(lots), stop_offset=20, target_offset=20
    )
    exits = (placed.stop_order_id, placed.target_order_id)
    await stage.settle(lambda: all(stage.order(each).status == "open" for each in exits))
    return placed


@case(26, "a bracket's target fills, and its stop is cancelled", 40)
async def _(stage: Stage) -> None:
    placed = await _bracket(stage)
    entry = stage.order(placed.main_order_id).average_price
    assert stage.order(placed.stop_order_id).stop_price == pytest.approx(entry - 20, abs=0.3)
    assert stage.order(placed.target_order_id).limit_price == pytest.approx(entry + 20, abs=0.3)
    await stage.move()
    assert (await stage.ended(placed.target_order_id)).status == "filled"
    assert (await stage.ended(placed.stop_order_id)).status == "cancelled"
    await stage.settle(lambda: stage.position == 0)


@case(27, "a bracket's stop fires, and its target is cancelled", -40)
async def _(stage: Stage) -> None:
    placed = await _bracket(stage)
    await stage.move()
    assert (await stage.ended(placed.stop_order_id)).status == "filled"
    assert (await stage.ended(placed.target_order_id)).status == "cancelled"
    await stage.settle(lambda: stage.position == 0)


@case(28, "a bracket's exits go when the position is closed")
async def _(stage: Stage) -> None:
    placed = await _bracket(stage)
    await stage.orders.close_position(stage.symbol)
    for order_id in (placed.stop_order_id, placed.target_order_id):
        assert (await stage.ended(order_id)).status == "cancelled"
    assert stage.position == 0


@case(29, "a bracket whose entry is cancelled leaves nothing behind")
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_bracket_order(
        stage.symbol, "buy", stage.size(1), stage.at(-50), stop_offset=20, target_offset=20
    )
    assert stage.order(placed.stop_order_id).held
    await stage.orders.cancel_order(placed.main_order_id)
    for order_id in (placed.stop_order_id, placed.target_order_id):
        assert (await stage.ended(order_id)).status == "cancelled"


@case(30, "of an OCO pair one fills and the other is cancelled", 30)
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_oco_order(
        stage.symbol,
        stage.size(1),
        {"type": "limit", "side": "buy", "price": stage.at(-40)},
        {"type": "limit", "side": "sell", "price": stage.at(20)},
    )
    await stage.move()
    assert (await stage.ended(placed.second_order_id)).status == "filled"
    assert (await stage.ended(placed.first_order_id)).status == "cancelled"
    await stage.settle(lambda: stage.position == -1)


# --- the position, the account, the market -------------------------------------------------------


@case(31, "closing when flat does nothing, and says so")
async def _(stage: Stage) -> None:
    answer = await stage.orders.close_position(stage.symbol)
    assert (answer.success, answer.order_id) == (False, None)
    assert "no open position" in answer.reason


@case(32, "a position is reduced by half and closed")
async def _(stage: Stage) -> None:
    await stage.buy(4)
    await stage.orders.reduce_position(stage.symbol, percentage=0.5)
    await stage.settle(lambda: stage.position == 2)
    await stage.orders.close_position(stage.symbol)
    await stage.settle(lambda: stage.position == 0)


@case(33, "a position is scaled out at levels", 15)
async def _(stage: Stage) -> None:
    await stage.buy(4)
    levels = [
        {"percentage": 0.5, "price": stage.at(10)},
        {"percentage": 0.5, "price": stage.at(30)},
    ]
    first, second = await stage.orders.scale_out_position(stage.symbol, levels=levels)
    await stage.move()
    assert (await stage.ended(first)).status == "filled"
    assert stage.order(second).status == "open"
    await stage.settle(lambda: stage.position == 2)


@case(34, "open profit is in the account's equity, and realised in its cash", 20)
async def _(stage: Stage) -> None:
    account = stage.suite.account
    order = await stage.buy(2)
    before = account.cash
    await stage.move()
    value = float(stage.context.instrument_info.point_value) * order.filled_quantity
    gain = (stage.at(20) - order.average_price) * value
    await stage.settle(lambda: abs(account.unrealised_pnl - gain) <= 0.5 * value)
    assert account.cash == before
    await stage.orders.close_position(stage.symbol)
    await stage.settle(lambda: stage.position == 0)
    assert account.cash > before
    assert account.unrealised_pnl == 0


@case(35, "quotes are told as the market moves", 7)
async def _(stage: Stage) -> None:
    told: list[float] = []
    listening = await stage.context.data.on_quote(lambda quote: told.append(quote.bid))
    await stage.move()
    await stage.settle(lambda: any(abs(bid - stage.at(7)) <= 1 for bid in told))
    listening.cancel()
    assert abs(stage.context.data.last_quote.bid - stage.at(7)) <= 1


@case(36, "every order's events come in their order: accepted, then fills, then the books")
async def _(stage: Stage) -> None:
    told: list[str] = []
    subscriptions = [
        await stage.orders.on_order_update(lambda event: told.append(event.kind.name)),
        await stage.context.positions.on_position(lambda position: told.append("POSITION")),
        await stage.suite.on("account", lambda event: told.append("ACCOUNT")),
    ]
    await stage.buy(1)
    await stage.settle(lambda: "ACCOUNT" in told)
    await asyncio.sleep(0)
    for subscription in subscriptions:
        subscription.cancel()
    assert told == ["ACCEPTED", "FILLED", "POSITION", "ACCOUNT"]


# --- account rules -------------------------------------------------------------------------------


@case(
    37,
    "account rules refuse what is too much, and halt and flatten at a loss",
    -60,
    rules={"contracts": {"limit": 3}, "daily_loss": {"limit": 10}, "check_seconds": 0.1},
)
async def _(stage: Stage) -> None:
    # three lots of 0.1 of a coin, or three contracts, and one that is too many
    weight = 1 / float(stage.size(1))
    assert weight in (1, 10)
    orders = stage.orders
    await stage.buy(3 if weight == 1 else 30)
    with pytest.raises(RiskLimitError, match="contracts: positions and orders could come to 4"):
        await orders.place_limit_order(stage.symbol, "buy", 1, stage.at(-50))
    await stage.move()
    await stage.settle(lambda: stage.suite.risk.halted is not None)
    await stage.settle(lambda: stage.position == 0)
    with pytest.raises(RiskLimitError, match="the account is halted until"):
        await orders.place_limit_order(stage.symbol, "buy", stage.size(1), stage.at(-80))
