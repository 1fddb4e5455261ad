"""What an arriving order must satisfy. The first failure decides."""

from __future__ import annotations

from typing import NamedTuple

from broker_api.event import Reason
from broker_api.order import (
    BracketRequest,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    Submission,
    requests_of,
)
from sim.reference import foreign, triggers
from sim.reference.account import PPM, Account
from sim.reference.floor import Floor
from sim.reference.market import WALK_LEVELS, Market
from sim.reference.orders import Doing, Order
from sim.reference.queue import is_better

NEVER = (1 << 63) - 1
WORKING_MAX = 1024
GROUPS_MAX = 512
MONEY_MAX = 1 << 61
HAS_LIMIT = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED)
HAS_STOP = (OrderType.STOP, OrderType.STOP_LIMIT, *triggers.TOUCHED)
TRAIL_PPM_MAX = 999_999


class Refusal(NamedTuple):
    """Why not, with the offending value and the limit, in the reason's unit."""

    reason: Reason
    value: int = 0
    limit: int = 0


def check(
    floor: Floor, account: Account, market: Market, request: OrderRequest, expires_ns: int | None
) -> Refusal | None:
    """The first reason to refuse an order, None when there is none."""
    return (
        check_session(market)
        or _check_expiry(floor, expires_ns)
        or check_size(floor, account, market, request.size_lots, _prices_for_room(request))
        or _check_prices(market, request)
        or _check_band(market, request)
        or _check_stop(floor, market, request)
        or _check_reduce_only(account, market, request)
        or _check_margin(floor, account, market, request)
        or _check_taking(account, market, request)
    )


def check_session(market: Market) -> Refusal | None:
    """Nothing new while the market is closed or halted."""
    if not market.is_halted:
        return None
    closed = market.closed_by_calendar
    opening = market.next_open_ns if closed else None
    reason = Reason.MARKET_CLOSED if closed else Reason.MARKET_HALTED
    return Refusal(reason, 0, NEVER if opening is None else opening)


def _prices_for_room(request: OrderRequest) -> tuple[int | None, ...]:
    if request.order_type is OrderType.TRAILING_STOP:
        return request.activation_ticks, request.trail_ticks
    return request.limit_ticks, request.stop_ticks


def _check_expiry(floor: Floor, expires_ns: int | None) -> Refusal | None:
    if expires_ns is not None and expires_ns <= floor.ts_ns:
        return Refusal(Reason.EXPIRY_IN_THE_PAST, expires_ns, floor.ts_ns)
    return None


def check_size(
    floor: Floor,
    account: Account,
    market: Market,
    size: int,
    prices: tuple[int | None, ...],
    there: int = 0,
) -> Refusal | None:
    """Positive, within the instrument's limits, and no more than `there` and room for money."""
    spec = market.instrument
    most = min(spec.max_lots, there + money_room(floor, account, market, prices))
    if size <= 0:
        return Refusal(Reason.SIZE_NOT_POSITIVE, size, spec.min_lots)
    if size < spec.min_lots:
        return Refusal(Reason.SIZE_BELOW_MINIMUM, size, spec.min_lots)
    return Refusal(Reason.SIZE_ABOVE_MAXIMUM, size, most) if size > most else None


def money_room(
    floor: Floor, account: Account, market: Market, prices: tuple[int | None, ...]
) -> int:
    """Lots more whose money fits 62 bits at twice the highest price known, and a walk beyond it."""
    own = (order for order in floor.working if order.account is account)
    there = abs(account.lots(market.index)) + sum(_live(order) for order in own)
    known = [*market.valued_at.values(), *(price for price in prices if price is not None)]
    worst = 2 * max(abs(price) for price in known) + 2 * WALK_LEVELS
    return max(0, MONEY_MAX // (worst * market.instrument.tick_value_nanos) - there)


def _live(order: Order) -> int:
    """Lots that an order may trade, also of an exit that is about to arrive."""
    if order.status is OrderStatus.PENDING and order.bracket is not None:
        return order.bracket.due if order.doing is Doing.ARRIVING else 0
    return order.live


def check_price(market: Market, price: int | None) -> Refusal | None:
    """There, and positive where the instrument wants it."""
    if price is None:
        return Refusal(Reason.PRICE_MISSING)
    if price <= 0 and not market.instrument.allow_negative_price:
        return Refusal(Reason.PRICE_NOT_POSITIVE, price, 1)
    return None


def _check_prices(market: Market, request: OrderRequest) -> Refusal | None:
    refusal = None
    if request.order_type is OrderType.TRAILING_STOP:
        refusal = _check_trail(market, request)
    if request.order_type in HAS_LIMIT:
        refusal = check_price(market, request.limit_ticks)
    if refusal is None and request.order_type in HAS_STOP:
        refusal = check_price(market, request.stop_ticks)
    return refusal


def check_band(market: Market, side: Side, limit: int | None) -> Refusal | None:
    """A buy limit not too far above the market, a sell limit not too far below it."""
    spec, reference = market.instrument, market.last
    if reference is None and market.mark_nanos is not None:
        reference = market.mark_nanos // market.tick_nanos
    if limit is None or reference is None or not (spec.price_band_ticks or spec.price_band_ppm):
        return None
    band = spec.price_band_ticks or abs(reference) * spec.price_band_ppm // PPM
    last = reference + side.sign * band
    return Refusal(Reason.PRICE_OUTSIDE_BAND, limit, last) if is_better(side, limit, last) else None


def _check_band(market: Market, request: OrderRequest) -> Refusal | None:
    has_limit = request.order_type in HAS_LIMIT
    return check_band(market, request.side, request.limit_ticks) if has_limit else None


def _check_trail(market: Market, request: OrderRequest) -> Refusal | None:
    """One distance, and where the order begins to trail or lies at first is a price."""
    trail, trail_ppm = request.trail_ticks, request.trail_ppm
    if (trail is None) == (trail_ppm is None):
        return Refusal(Reason.PRICE_MISSING)
    for number in (trail, trail_ppm):
        if number is not None and number <= 0:
            return Refusal(Reason.PRICE_NOT_POSITIVE, number, 1)
    if trail_ppm is not None and trail_ppm > TRAIL_PPM_MAX:
        return Refusal(Reason.PRICE_NOT_POSITIVE, trail_ppm, TRAIL_PPM_MAX)
    for price in (request.activation_ticks, triggers.first_stop(market, request)):
        refusal = None if price is None else check_price(market, price)
        if refusal is not None:
            return refusal
    return None


def check_stop_side(
    floor: Floor, market: Market, order_type: OrderType, side: Side, stop: int
) -> Refusal | None:
    """A trigger that is reached already is refused, unless the setting runs it at once."""
    source = triggers.source(market, order_type, side)
    if source is None or floor.settings.stop_wrong_side == "trigger":
        return None
    if (source - stop) * triggers.way(order_type, side) >= 0:
        return Refusal(Reason.STOP_WRONG_SIDE, stop, source)
    return None


def _check_stop(floor: Floor, market: Market, request: OrderRequest) -> Refusal | None:
    if request.order_type is OrderType.TRAILING_STOP:
        has_start = request.activation_ticks is not None or triggers.start(market, request)
        return None if has_start is not None else Refusal(Reason.NO_TRIGGER_SOURCE)
    if request.order_type not in HAS_STOP:
        return None
    assert request.stop_ticks is not None
    return check_stop_side(floor, market, request.order_type, request.side, request.stop_ticks)


def _check_reduce_only(account: Account, market: Market, request: OrderRequest) -> Refusal | None:
    position = account.lots(market.index)
    if not request.reduce_only:
        return None
    if position == 0:
        return Refusal(Reason.NO_POSITION_TO_REDUCE)
    if position * request.side.sign > 0:
        return Refusal(Reason.REDUCE_ONLY_WRONG_SIDE, position)
    return None


def check_margin(
    floor: Floor, account: Account, market: Market, side: Side, lots: int, ticks: int
) -> Refusal | None:
    """What an order adds must not exceed equity less the margin in use."""
    if not floor.settings.margin:
        return None
    added = account.required(market, floor.working, side, lots, ticks)
    added -= account.required(market, floor.working, None, 0, 0)
    free = account.free(floor.working)
    if added > 0 and added > free:
        return Refusal(Reason.INSUFFICIENT_MARGIN, added, free)
    return None


def _trigger_price(market: Market, request: OrderRequest) -> int | None:
    """What a new order waits for: of a trailing stop its first stop, else where it begins."""
    if request.order_type is not OrderType.TRAILING_STOP:
        return request.stop_ticks
    stop = triggers.first_stop(market, request)
    return request.activation_ticks if stop is None else stop


def _check_margin(
    floor: Floor, account: Account, market: Market, request: OrderRequest
) -> Refusal | None:
    if request.reduce_only:
        return None
    prices = request.limit_ticks, _trigger_price(market, request)
    ticks = account.order_ticks(market, request.side, *prices)
    touch = market.touch[request.side.opposite].price if market.is_known else None
    if request.order_type is OrderType.MARKET and touch is not None:
        ticks = touch
    return check_margin(floor, account, market, request.side, request.size_lots, ticks)


def check_post_only(account: Account, market: Market, side: Side, limit: int) -> Refusal | None:
    """A post-only order must reach neither the touch of the other side nor a foreign maker."""
    best = foreign.first_met(account, market, side)
    if best is not None and (limit - best) * side.sign >= 0:
        return Refusal(Reason.POST_ONLY_WOULD_TAKE, limit, best)
    return None


def _check_taking(account: Account, market: Market, request: OrderRequest) -> Refusal | None:
    if request.post_only and request.order_type is OrderType.LIMIT:
        assert request.limit_ticks is not None
        return check_post_only(account, market, request.side, request.limit_ticks)
    if request.order_type is OrderType.MARKET:
        nobody = foreign.first_met(account, market, request.side) is None
        return Refusal(Reason.NO_LIQUIDITY) if nobody else None
    return None


def check_room(floor: Floor, submission: Submission) -> Refusal | None:
    """The venue holds so many working orders; a bracket counts three."""
    wanted = {OrderRequest: 1, OcoRequest: 2, BracketRequest: 3}[type(submission)]
    count = len(floor.working) + wanted
    return Refusal(Reason.TOO_MANY_ORDERS, count, WORKING_MAX) if count > WORKING_MAX else None


def check_groups(floor: Floor) -> Refusal | None:
    """The venue holds so many brackets and OCO pairs."""
    pairs = {id(order.oco) for order in floor.working if order.oco is not None}
    if len(floor.brackets) + len(pairs) < GROUPS_MAX:
        return None
    return Refusal(Reason.TOO_MANY_ORDERS, GROUPS_MAX + 1, GROUPS_MAX)


def check_supported(submission: Submission, markets: list[Market]) -> Refusal | None:
    """Pairs that this exchange lacks."""
    first = requests_of(submission)[0]
    if isinstance(submission, OcoRequest) and first.instrument != submission.second.instrument:
        index = {market.instrument.symbol: market.index for market in markets}
        second = index[submission.second.instrument]
        return Refusal(Reason.UNSUPPORTED, second, index[first.instrument])
    return None


def check_levels(account: Account, market: Market, request: BracketRequest) -> Refusal | None:
    """A long needs stop < entry < target, a short the reverse."""
    entry = request.entry
    anchor = entry.limit_ticks
    if anchor is None:
        anchor = _trigger_price(market, entry)
    if anchor is None:
        anchor = market.best(entry.side.opposite)
    if anchor is None:
        anchor = foreign.first_met(account, market, entry.side)
    assert anchor is not None
    refusal = _check_trailing_exit(request)
    refusal = refusal or _check_exit(market, request, request.stop, anchor, -1)
    refusal = refusal or _check_exit(market, request, request.target, anchor, 1)
    stop, target = _fixed(request.stop), _fixed(request.target)
    refusal = refusal or check_band(market, entry.side.opposite, target)
    if refusal is not None:
        return refusal
    if stop is not None and not is_better(entry.side, anchor, stop):
        return Refusal(Reason.BRACKET_LEVELS, stop, anchor)
    if target is not None and not is_better(entry.side, target, anchor):
        return Refusal(Reason.BRACKET_LEVELS, target, anchor)
    return None


def _check_trailing_exit(request: BracketRequest) -> Refusal | None:
    """Only the stop trails, and its distance is all that it is given."""
    target, stop = request.target, request.stop
    if target is not None and target.trail_ticks is not None:
        return Refusal(Reason.BRACKET_LEVELS, target.trail_ticks)
    if stop is None or stop.trail_ticks is None:
        return None
    is_alone = stop.price_ticks is None and stop.limit_offset_ticks is None
    is_alone = is_alone and stop.offset_ticks in (None, stop.trail_ticks)
    if stop.trail_ticks <= 0 or not is_alone:
        return Refusal(Reason.BRACKET_LEVELS, stop.trail_ticks)
    return None


def _check_exit(
    market: Market, request: BracketRequest, leg: ExitRequest | None, anchor: int, way: int
) -> Refusal | None:
    """An exit has one price, and where it will lie is a price."""
    if leg is None:
        return None
    offset = leg.offset_ticks if leg.trail_ticks is None else leg.trail_ticks
    price = leg.price_ticks
    if offset is not None and (offset <= 0 or price is not None):
        return Refusal(Reason.BRACKET_LEVELS, offset, 0)
    sign = request.entry.side.sign
    if offset is not None:
        price = anchor + way * sign * offset
    if price is not None and leg.limit_offset_ticks is not None:
        price = min(price, price - sign * leg.limit_offset_ticks)
    return check_price(market, price)


def _fixed(leg: ExitRequest | None) -> int | None:
    return None if leg is None else leg.price_ticks
