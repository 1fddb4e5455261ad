"""The session's orders as the gateway's, checked before they leave. Pure: prices are handed in."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from broker_api.capabilities import PROJECTX, supports
from broker_api.event import Reason
from broker_api.instrument import PPM
from broker_api.live.drafts import Refused, middle
from broker_api.order import OrderRequest, OrderType, Side
from broker_api.projectx.contracts import Contract
from broker_api.projectx.wire.enums import type_from_ours
from broker_api.projectx.wire.requests import PlaceOrder


class Touch(NamedTuple):
    """The newest prices, None where they are not known."""

    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None

    @property
    def mark(self) -> Decimal | None:
        """The last price, else the middle, else the one that is known."""
        return middle(self.bid, self.ask) if self.last is None else self.last


def wire_order(
    request: OrderRequest,
    contract: Contract,
    account_id: int,
    tag: str,
    lots: int,
    touch: Touch,
) -> PlaceOrder:
    """The order as it is posted, with this size. Raises Refused."""
    kind = type_from_ours(request.order_type)
    if kind is None or not supports(PROJECTX, request):
        raise Refused(Reason.UNSUPPORTED)
    if lots <= 0:
        raise Refused(Reason.SIZE_NOT_POSITIVE, lots, contract.spec.min_lots)
    trail = None
    if request.order_type is OrderType.TRAILING_STOP:
        trail = trail_price(request, contract, touch)
    return PlaceOrder(
        account_id=account_id,
        contract_id=contract.id,
        type=kind,
        side=request.side,
        size=lots,
        limit_price=None if request.limit_ticks is None else contract.price(request.limit_ticks),
        stop_price=None if request.stop_ticks is None else contract.price(request.stop_ticks),
        trail_price=trail,
        custom_tag=tag,
    )


def trail_price(request: OrderRequest, contract: Contract, touch: Touch) -> Decimal:
    """Where a trailing stop begins. Raises Refused.

    The gateway makes a distance of it, from the last trade when the order arrives: if the market
    moves in between, the distance is another by as much.
    """
    last = touch.last
    if last is None:
        raise Refused(Reason.NO_TRIGGER_SOURCE)
    ticks = request.trail_ticks
    if ticks is None and request.trail_ppm is not None:
        ticks = int(last * request.trail_ppm / PPM / contract.spec.tick_size)
    if ticks is None or request.activation_ticks is not None:
        raise Refused(Reason.UNSUPPORTED)
    most = PROJECTX.trail_ticks_max or ticks
    if not 1 <= ticks <= most:
        raise Refused(Reason.STOP_WRONG_SIDE, ticks, most)
    sign = 1 if request.side is Side.BUY else -1
    return last + sign * contract.price(ticks)
