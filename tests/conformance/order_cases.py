"""Cases of orders: what rests, fills, waits for a price, ends; and the options of each."""

from __future__ import annotations

import pytest

from broker_api.errors import (
    InvalidPriceError,
    InvalidSizeError,
    OrderError,
    OrderNotActiveError,
    OrderNotFoundError,
    OrderTimeoutError,
    PostOnlyWouldCrossError,
    ReduceOnlyError,
)
from broker_api.order import TimeInForce
from tests.conformance.register import case
from tests.conformance.stage import Stage

# --- orders that rest, fill, change, end ---------------------------------------------------------


@case(1, "a limit order rests and is cancelled")
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_limit_order(stage.symbol, "buy", stage.size(2), stage.at(-50))
    assert (placed.status, placed.success) == ("open", True)
    cancelled = await stage.orders.cancel_order(placed)
    assert (cancelled.status, cancelled.reason) == ("cancelled", "cancelled by the user")
    assert stage.kinds(placed) == ["ACCEPTED", "CANCELLED"]


@case(2, "a second cancel says how the order ended")
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_limit_order(stage.symbol, "buy", stage.size(2), stage.at(-50))
    await stage.orders.cancel_order(placed)
    with pytest.raises(OrderNotActiveError, match="it is cancelled"):
        await stage.orders.cancel_order(placed)


@case(3, "a market order fills at the touch, with its fee, and moves the position")
async def _(stage: Stage) -> None:
    cash = stage.suite.account.cash
    order = await stage.buy(2)
    assert (order.status, stage.lots(order.filled_quantity)) == ("filled", 2)
    assert stage.at(0) < order.average_price <= stage.at(1)
    assert sum(fill.fee for fill in order.fills) > 0
    assert stage.suite.account.cash == pytest.approx(cash - order.fee)


@case(4, "a limit order beyond the market takes what is there, no worse than its limit")
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_limit_order(stage.symbol, "buy", stage.size(1), stage.at(20))
    order = await stage.ended(placed)
    assert (order.status, order.average_price <= stage.at(1)) == ("filled", True)
    assert order.fills[0].liquidity.name == "TAKER"


@case(5, "a resting limit order fills at its price when the market crosses it", -30)
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_limit_order(stage.symbol, "buy", stage.size(2), stage.at(-20))
    await stage.move()
    order = await stage.ended(placed)
    assert (order.status, order.average_price) == ("filled", stage.at(-20))
    assert order.fills[0].liquidity.name == "MAKER"


@case(6, "a change sets a new total size and price, and keeps the order's id")
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_limit_order(stage.symbol, "buy", stage.size(2), stage.at(-50))
    changed = await stage.orders.modify_order(placed, limit_price=stage.at(-40), size=stage.size(3))
    assert (changed.order_id, stage.lots(changed.size)) == (placed.order_id, 3)
    assert changed.limit_price == stage.at(-40)
    assert stage.kinds(placed) == ["ACCEPTED", "REPLACED"]


@case(7, "an order has a name of the user's, and no second one has the same")
async def _(stage: Stage) -> None:
    name = "conformance-7"
    terms = (stage.symbol, "buy", stage.size(1), stage.at(-50))
    placed = await stage.orders.place_limit_order(*terms, client_order_id=name)
    assert (await stage.orders.get_order(name)).order_id == placed.order_id
    with pytest.raises(OrderError, match="already used"):
        await stage.orders.place_limit_order(*terms, client_order_id=name)
    await stage.orders.cancel_order(name)


@case(8, "a price off the tick and a size off the lot are refused before they are sent")
async def _(stage: Stage) -> None:
    spec = stage.context.instrument_info
    price = stage.at(-50) + float(spec.tick_size) / 3
    with pytest.raises(InvalidPriceError):
        await stage.orders.place_limit_order(stage.symbol, "buy", stage.size(1), price)
    size = float(spec.lot_size) / 2
    with pytest.raises(InvalidSizeError):
        await stage.orders.place_market_order(stage.symbol, "buy", size)
    assert await stage.orders.get_orders("pending") == []


@case(9, "an order that nobody placed is not found")
async def _(stage: Stage) -> None:
    with pytest.raises(OrderNotFoundError):
        await stage.orders.cancel_order(10**6)


@case(10, "a wait that ends early leaves the order as it is")
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_limit_order(stage.symbol, "buy", stage.size(1), stage.at(-50))
    with pytest.raises(OrderTimeoutError) as late:
        await stage.orders.wait_for_fill(placed, timeout=0.05)
    assert late.value.order.status == "open"


@case(11, "several are cancelled together, and each has its answer")
async def _(stage: Stage) -> None:
    placed = [
        await stage.orders.place_limit_order(stage.symbol, "buy", stage.size(1), stage.at(-50 - n))
        for n in range(3)
    ]
    results = await stage.orders.cancel_orders([each.order_id for each in placed])
    assert [result.status for result in results.values()] == ["cancelled"] * 3


@case(12, "verbs that do not wait send at once, and events tell what became of it")
async def _(stage: Stage) -> None:
    price = stage.at(-50)
    order_id = stage.orders.nowait.place_limit_order(stage.symbol, "buy", stage.size(1), price)
    assert stage.order(order_id).status == "pending"
    await stage.settle(lambda: stage.order(order_id).status == "open")
    stage.orders.nowait.cancel_order(order_id)
    assert (await stage.ended(order_id)).status == "cancelled"


# --- orders that wait for a price ----------------------------------------------------------------


@case(13, "a stop order sells when the market comes down to it", -30)
async def _(stage: Stage) -> None:
    await stage.buy(2)
    placed = await stage.orders.place_stop_order(stage.symbol, "sell", stage.size(2), stage.at(-20))
    assert placed.status == "open"
    await stage.move()
    order = await stage.ended(placed)
    assert (order.status, order.average_price <= stage.at(-20)) == ("filled", True)
    assert stage.position == 0
    assert "TRIGGERED" in stage.kinds(placed)


@case(14, "a stop on the wrong side of the market is refused")
async def _(stage: Stage) -> None:
    with pytest.raises(InvalidPriceError):
        await stage.orders.place_stop_order(stage.symbol, "buy", stage.size(1), stage.at(-20))
    assert await stage.orders.get_orders("pending") == []


@case(
    15,
    "a stop-limit order becomes a limit order at its stop, and fills no worse than its limit",
    -30,
    0,
    needs=lambda has: has.stop_limit,
)
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_stop_limit_order(
        stage.symbol, "sell", stage.size(1), stage.at(-20), stage.at(-10)
    )
    await stage.move()
    assert stage.order(placed).filled_quantity == 0
    await stage.move()
    order = await stage.ended(placed)
    assert (order.status, order.average_price >= stage.at(-10)) == ("filled", True)


@case(
    16,
    "a trailing stop follows the market up and sells when it falls by the distance",
    20,
    5,
    needs=lambda has: has.trailing_stop,
)
async def _(stage: Stage) -> None:
    tick = float(stage.context.instrument_info.tick_size)
    await stage.buy(1)
    placed = await stage.orders.place_trailing_stop_order(
        stage.symbol, "sell", stage.size(1), trail_ticks=round(10 / tick)
    )
    await stage.move()
    assert not stage.order(placed).is_terminal
    await stage.move()
    assert (await stage.ended(placed)).status == "filled"


@case(
    17,
    "a market-if-touched order buys when the market comes down to it",
    -30,
    needs=lambda has: has.if_touched,
)
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_market_if_touched_order(
        stage.symbol, "buy", stage.size(1), stage.at(-20)
    )
    await stage.move()
    assert (await stage.ended(placed)).status == "filled"


@case(
    18,
    "a limit-if-touched order becomes a limit order at its trigger",
    -30,
    -50,
    needs=lambda has: has.if_touched,
)
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_limit_if_touched_order(
        stage.symbol, "buy", stage.size(1), stage.at(-20), stage.at(-45)
    )
    await stage.move()
    assert stage.order(placed).filled_quantity == 0
    await stage.move()
    order = await stage.ended(placed)
    assert (order.status, order.average_price <= stage.at(-45)) == ("filled", True)


# --- options -------------------------------------------------------------------------------------


@case(
    19,
    "an immediate-or-cancel limit order that finds nothing is cancelled",
    needs=lambda has: TimeInForce.IOC in has.limit_forces,
)
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_limit_order(
        stage.symbol, "buy", stage.size(1), stage.at(-20), time_in_force="IOC"
    )
    order = await stage.ended(placed)
    assert (order.status, order.filled_quantity) == ("cancelled", 0)


@case(
    20,
    "a fill-or-kill order larger than what is there does not fill at all",
    needs=lambda has: TimeInForce.FOK in has.limit_forces,
)
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_limit_order(
        stage.symbol, "buy", stage.size(300), stage.at(1), time_in_force="FOK"
    )
    order = await stage.ended(placed)
    assert (order.status, order.filled_quantity) == ("cancelled", 0)


@case(
    21,
    "an order expires at its time",
    needs=lambda has: TimeInForce.GTD in has.limit_forces,
)
async def _(stage: Stage) -> None:
    expires_ns = stage.suite.clock.now_ns() + 2 * 10**9
    placed = await stage.orders.place_limit_order(
        stage.symbol, "buy", stage.size(1), stage.at(-50), expires_at=expires_ns
    )
    assert (await stage.ended(placed)).status == "expired"


@case(
    22,
    "a post-only order rests, and is refused where it would take",
    needs=lambda has: has.post_only,
)
async def _(stage: Stage) -> None:
    terms = (stage.symbol, "buy", stage.size(1))
    placed = await stage.orders.place_limit_order(*terms, stage.at(-20), post_only=True)
    assert placed.status == "open"
    with pytest.raises(PostOnlyWouldCrossError):
        await stage.orders.place_limit_order(*terms, stage.at(20), post_only=True)


@case(23, "a reduce-only order never turns the position round")
async def _(stage: Stage) -> None:
    await stage.buy(1)
    placed = await stage.orders.place_market_order(
        stage.symbol, "sell", stage.size(3), reduce_only=True
    )
    await stage.ended(placed)
    await stage.settle(lambda: stage.position == 0)


@case(24, "a reduce-only order without a position is refused")
async def _(stage: Stage) -> None:
    with pytest.raises(ReduceOnlyError):
        await stage.orders.place_limit_order(
            stage.symbol, "sell", stage.size(1), stage.at(20), reduce_only=True
        )


@case(
    25,
    "a market order walks no farther than its protection",
    needs=lambda has: has.protection,
)
async def _(stage: Stage) -> None:
    placed = await stage.orders.place_market_order(
        stage.symbol, "buy", stage.size(1), protection_ticks=8
    )
    order = await stage.ended(placed)
    assert (order.status, order.average_price <= stage.at(3)) == ("filled", True)
