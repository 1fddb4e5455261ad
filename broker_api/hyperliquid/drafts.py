"""The session's requests as orders of the venue, checked against its rules before they leave.

A market order is an Ioc at a bound: the venue has no other. Stops and touched orders are triggers
on the mark, a buy above and a sell below the market being a stop-loss, the others a take-profit.
Sources: the venue's documentation, "Order types" and "Take profit and stop loss orders".
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from broker_api.capabilities import HYPERLIQUID, supports
from broker_api.event import Reason
from broker_api.hyperliquid.contracts import Contract
from broker_api.hyperliquid.wire.actions import Limit, Order, Terms, Tif, TpSl, Trigger
from broker_api.hyperliquid.wire.numbers import is_price_allowed, rounded_price
from broker_api.live.drafts import Refused, middle
from broker_api.order import OrderRequest, OrderType, Side, TimeInForce

_TRIGGERED = {
    OrderType.STOP: (True, TpSl.STOP_LOSS),
    OrderType.STOP_LIMIT: (False, TpSl.STOP_LOSS),
    OrderType.MARKET_IF_TOUCHED: (True, TpSl.TAKE_PROFIT),
    OrderType.LIMIT_IF_TOUCHED: (False, TpSl.TAKE_PROFIT),
}


class Touch(NamedTuple):
    """The best prices in force, None where they are not known."""

    bid: Decimal | None
    ask: Decimal | None

    @property
    def mid(self) -> Decimal | None:
        """Half way between them, or the one that is known."""
        return middle(self.bid, self.ask)

    def opposite(self, side: Side) -> Decimal | None:
        """The price at which an order of this side would take."""
        return self.ask if side is Side.BUY else self.bid


def fitted(request: OrderRequest, contract: Contract) -> OrderRequest:
    """The order at prices that the venue takes.

    Only prices that a program made need it (an exit at an offset from an average fill): what people
    write is checked when they write it. A stop comes nearer to the market, a limit trades sooner.
    """
    spec, is_buy = contract.spec, request.side is Side.BUY
    limit, stop = request.limit_ticks, request.stop_ticks
    fires_above = is_buy == (request.order_type in (OrderType.STOP, OrderType.STOP_LIMIT))
    return replace(
        request,
        limit_ticks=None if limit is None else spec.rounded_ticks(limit, up=is_buy),
        stop_ticks=None if stop is None else spec.rounded_ticks(stop, up=not fires_above),
    )


def wire_order(
    request: OrderRequest, contract: Contract, cloid: str, touch: Touch, slippage: Decimal
) -> Order:
    """The order as it is signed. Raises Refused for what the venue does not have or not take."""
    if not supports(HYPERLIQUID, request):
        raise Refused(Reason.UNSUPPORTED)
    size = contract.size(request.size_lots)
    if request.size_lots <= 0:
        raise Refused(Reason.SIZE_NOT_POSITIVE, request.size_lots, contract.spec.min_lots)
    price = _price(request, contract, touch, slippage)
    minimum = HYPERLIQUID.min_value
    if not request.reduce_only and price * size < minimum * (1 - slippage):
        # Below the minimum at any price that it could trade at; the venue decides the rest.
        value, least = (int(amount * 10**9) for amount in (price * size, minimum))
        raise Refused(Reason.BELOW_MINIMUM_VALUE, value, least)
    return Order(
        asset=contract.asset,
        is_buy=request.side is Side.BUY,
        price=price,
        size=size,
        reduce_only=request.reduce_only,
        terms=_terms(request, contract),
        cloid=cloid,
    )


def _price(request: OrderRequest, contract: Contract, touch: Touch, slippage: Decimal) -> Decimal:
    """The limit, or for what executes at the market the worst price that it may pay."""
    side = request.side
    if request.limit_ticks is not None:
        return _allowed(contract, request.limit_ticks)
    if request.stop_ticks is not None:
        reference: Decimal | None = contract.price(request.stop_ticks)
    elif request.protection_ticks is not None:
        reference = touch.opposite(side)
    else:
        reference = touch.mid
    if reference is None:
        raise Refused(Reason.NO_LIQUIDITY)
    if request.protection_ticks is not None:
        bound = reference + side.sign * contract.price(request.protection_ticks)
    else:
        bound = reference * (1 + side.sign * slippage)
    return _rounded_bound(contract, bound, side)


def _rounded_bound(contract: Contract, bound: Decimal, side: Side) -> Decimal:
    """An allowed price that is not worse than the bound, but never none at all."""
    least = contract.spec.tick_size
    return rounded_price(max(bound, least), contract.sz_decimals, up=side is Side.SELL)


def _allowed(contract: Contract, ticks: int) -> Decimal:
    price = contract.price(ticks)
    if ticks <= 0:
        raise Refused(Reason.PRICE_NOT_POSITIVE, ticks)
    if not is_price_allowed(price, contract.sz_decimals):
        raise Refused(Reason.PRICE_OFF_TICK, ticks)
    return price


def _terms(request: OrderRequest, contract: Contract) -> Terms:
    found = _TRIGGERED.get(request.order_type)
    if found is None:
        return Terms(limit=Limit(_tif(request)))
    if request.stop_ticks is None:
        raise Refused(Reason.PRICE_MISSING)
    is_market, tpsl = found
    return Terms(trigger=Trigger(is_market, _allowed(contract, request.stop_ticks), tpsl))


def _tif(request: OrderRequest) -> Tif:
    if request.order_type is OrderType.MARKET or request.time_in_force is TimeInForce.IOC:
        if request.post_only:
            raise Refused(Reason.UNSUPPORTED)
        return Tif.IOC
    return Tif.ALO if request.post_only else Tif.GTC
