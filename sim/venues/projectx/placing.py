"""`Order/place`: checks that the exchange does not know, brackets, and the answer."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from broker_api.event import EventKind, Reason
from broker_api.order import BracketRequest, ExitRequest, OrderRequest, Side, TimeInForce
from broker_api.projectx.wire.codes import (
    STOP_LOSS,
    TAKE_PROFIT,
    Leg,
    PlaceCode,
    Words,
    bracket_fault,
    sentence,
    words_of,
)
from broker_api.projectx.wire.enums import OrderType, type_to_ours
from broker_api.projectx.wire.records import envelope
from broker_api.projectx.wire.requests import Bracket, PlaceOrder
from sim.venues.projectx import fold
from sim.venues.projectx.records import Account, Market, OrderRecord

if TYPE_CHECKING:
    from sim.venues.projectx.engine import ProjectXEngine

TRAIL_TICKS_MAX = 1000
VALUE_NANOS_MAX = 1 << 62
"""What the largest order may be worth at a price: the exchange counts money in 64 bits."""
_NEEDS = {
    OrderType.LIMIT: ("limit_price",),
    OrderType.STOP: ("stop_price",),
    OrderType.STOP_LIMIT: ("limit_price", "stop_price"),
    OrderType.TRAILING_STOP: ("trail_price",),
}
"""By type the prices that it has; others are passed over."""


class Refused(Exception):
    """Why an order is not sent; it ends inside of this module and of `changing`."""

    def __init__(self, words: Words) -> None:
        super().__init__(words.text)
        self.words = words


def place(engine: ProjectXEngine, user: str, body: PlaceOrder) -> dict[str, Any]:
    """Place an order. One that is refused exists too, as rejected, unless nobody could have it."""
    account = engine.account(user, body.account_id)
    if account is None:
        return envelope(PlaceCode.ACCOUNT_NOT_FOUND, sentence(PlaceCode.ACCOUNT_NOT_FOUND))
    market = engine.by_contract.get(body.contract_id)
    if market is None:
        return envelope(PlaceCode.CONTRACT_NOT_FOUND, sentence(PlaceCode.CONTRACT_NOT_FOUND))
    record = engine.new_order(account, market, body.type, body.side, body.size, tag=body.custom_tag)
    try:
        request = _request(engine, record, body)
        legs = _legs(engine, body)
    except Refused as refusal:
        fold.reject(engine, record)
        return envelope(refusal.words.code, refusal.words.text, orderId=record.id)
    if body.custom_tag is not None:
        account.tags.add(body.custom_tag)
    return _send(engine, record, request, legs)


def at_market(
    engine: ProjectXEngine, account: Account, market: Market, side: Side, lots: int
) -> Reason:
    """Place an order at market; why it was refused, NONE when it was not."""
    record = engine.new_order(account, market, OrderType.MARKET, side, lots)
    return _execute(engine, record, _order(record))


def _send(
    engine: ProjectXEngine,
    record: OrderRecord,
    request: OrderRequest,
    legs: tuple[Bracket | None, Bracket | None],
) -> dict[str, Any]:
    command: OrderRequest | BracketRequest = request
    stop, target = legs
    if stop is not None or target is not None:
        command = BracketRequest(
            request, _exit(engine, record, stop), _exit(engine, record, target)
        )
    reason = _execute(engine, record, command)
    if reason is Reason.NONE:
        return envelope(orderId=record.id)
    words = words_of(reason)
    return envelope(words.code, words.text, orderId=record.id)


def _execute(
    engine: ProjectXEngine, record: OrderRecord, command: OrderRequest | BracketRequest
) -> Reason:
    answer = engine.venue.execute(command, record.account.number)[0]
    return Reason(answer.reason) if answer.kind == EventKind.REJECTED else Reason.NONE


def _order(record: OrderRecord) -> OrderRequest:
    ours = type_to_ours(record.type)
    assert ours is not None, "its type was looked at"
    is_market = record.type is OrderType.MARKET
    return OrderRequest(
        order_id=record.id,
        client_order_id=str(record.id),
        instrument=record.market.instrument.symbol,
        side=record.side,
        order_type=ours,
        size_lots=record.lots,
        limit_ticks=record.limit_ticks,
        stop_ticks=record.stop_ticks,
        trail_ticks=record.trail_ticks,
        time_in_force=TimeInForce.NONE if is_market else TimeInForce.GTC,
    )


def _exit(
    engine: ProjectXEngine, entry: OrderRecord, bracket: Bracket | None
) -> ExitRequest | None:
    """An exit that waits for the entry's fill; it is an order of its own."""
    if bracket is None:
        return None
    distance = abs(bracket.ticks)
    trail = distance if bracket.type is OrderType.TRAILING_STOP else None
    record = engine.new_order(
        entry.account,
        entry.market,
        bracket.type,
        entry.side.opposite,
        entry.lots,
        trail_ticks=trail,
        parent_id=entry.id,
    )
    return ExitRequest(record.id, str(record.id), offset_ticks=distance, trail_ticks=trail)


# --- checks --------------------------------------------------------------------------------------


def _request(engine: ProjectXEngine, record: OrderRecord, body: PlaceOrder) -> OrderRequest:
    """The order for the exchange. Raises Refused."""
    if type_to_ours(body.type) is None:
        raise Refused(words_of(Reason.UNSUPPORTED))
    if body.custom_tag is not None and body.custom_tag in record.account.tags:
        raise Refused(words_of(Reason.DUPLICATE_CLIENT_ORDER_ID))
    for name in _NEEDS.get(body.type, ()):
        price = getattr(body, name)
        if price is None:
            raise Refused(words_of(Reason.PRICE_MISSING))
        if name == "trail_price":
            record.trail_ticks = trail_ticks(engine, record, price)
        elif name == "stop_price":
            record.stop_ticks = ticks_of(record.market, price)
        else:
            record.limit_ticks = ticks_of(record.market, price)
    if body.type in (OrderType.JOIN_BID, OrderType.JOIN_ASK):
        touch = engine.venue.touch(record.market.index)
        joined = touch.bid_ticks if body.type is OrderType.JOIN_BID else touch.ask_ticks
        if joined is None:
            raise Refused(words_of(Reason.NO_LIQUIDITY))
        record.limit_ticks = joined
    return _order(record)


def ticks_of(market: Market, price: Decimal) -> int:
    """A price in ticks. Raises Refused for one between two ticks, or far out of every range."""
    spec = market.instrument
    ticks = price / spec.tick_size
    if ticks != int(ticks):
        raise Refused(words_of(Reason.PRICE_OFF_TICK))
    if abs(ticks) * spec.max_lots * spec.tick_value_nanos > VALUE_NANOS_MAX:
        raise Refused(words_of(Reason.PRICE_OUTSIDE_BAND))
    return int(ticks)


def trail_ticks(engine: ProjectXEngine, record: OrderRecord, price: Decimal) -> int:
    """The distance of a trailing stop: from the last trade, in whole ticks. Raises Refused."""
    present = engine.venue.presents[record.market.index]
    last = present.last_print(engine.venue.row(record.market.index))
    if last is None:
        raise Refused(words_of(Reason.NO_TRIGGER_SOURCE))
    distance = (last.price_ticks * record.market.instrument.tick_size - price) * -record.side.sign
    ticks = int(distance / record.market.instrument.tick_size)
    if not 1 <= ticks <= TRAIL_TICKS_MAX:
        raise Refused(words_of(Reason.STOP_WRONG_SIDE))
    return ticks


def _legs(engine: ProjectXEngine, body: PlaceOrder) -> tuple[Bracket | None, Bracket | None]:
    """The stop and the target. Raises Refused for types and ticks that are not theirs."""
    stops = (OrderType.STOP, OrderType.TRAILING_STOP)
    _check_leg(engine, body, STOP_LOSS, body.stop_loss, stops)
    _check_leg(engine, body, TAKE_PROFIT, body.take_profit, (OrderType.LIMIT,))
    return body.stop_loss, body.take_profit


def _check_leg(
    engine: ProjectXEngine,
    body: PlaceOrder,
    leg: Leg,
    bracket: Bracket | None,
    types: tuple[OrderType, ...],
) -> None:
    if bracket is None:
        return
    if bracket.type not in types:
        raise Refused(Words(f"Invalid {leg.name} type"))
    is_buy, ticks = body.side is Side.BUY, bracket.ticks
    if not engine.options.signed_brackets:
        ticks = abs(ticks) * (leg.sign_when_buying if is_buy else -leg.sign_when_buying)
    fault = bracket_fault(leg, ticks, is_buy=is_buy)
    if fault is not None:
        raise Refused(Words(fault))
