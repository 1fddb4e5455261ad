"""Words for single things of an order's story: times, sizes, prices, places, reasons.

Everything here is a function of its arguments: the same story gives the same text everywhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal

from broker_api.event import Reason
from broker_api.instrument import NANOS, Instrument
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    OrderType,
    Role,
    Side,
    TimeInForce,
    TriggerSource,
)
from data.schema import TapeColumns
from sim.book import QUEUE_UNIT
from sim.explain import Place, Story
from sim.queue import INFINITE_QUEUE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = 1_000_000

CHANGES = {
    Reason.EXIT_RESIZED: "to what is left to close",
    Reason.EXIT_REPRICED: "after the average price of its entry",
    Reason.OCO_RESIZED: "because its OCO sibling filled as much",
    Reason.PROTECTION_LIMIT: "the protection price: the rest of it works on as a limit",
    Reason.TRAILED: "after the market",
    Reason.FILLED_BEYOND: "because a fill overtook a change of it",
}
"""Why the exchange changed an order by itself."""

_TIMES_IN_FORCE = {
    TimeInForce.NONE: "",
    TimeInForce.GTC: ", good till cancelled",
    TimeInForce.DAY: ", for the day",
    TimeInForce.GTD: ", good till its time",
    TimeInForce.IOC: ", immediate or cancel",
    TimeInForce.FOK: ", fill or kill",
}


def time_text(ts_ns: int, *, with_date: bool = False) -> str:
    """An instant in UTC, cut to milliseconds."""
    moment = _EPOCH + timedelta(microseconds=ts_ns // 1_000)
    text = f"{moment:%H:%M:%S}.{moment.microsecond // 1_000:03d}"
    return f"{moment:%Y-%m-%d} {text}" if with_date else text


def duration_text(ns: int) -> str:
    """A length of time in the units that say most: 3.2 ms, 1.250 s, 4 min 5 s, 2 h 3 min.

    >>> duration_text(245_000_000_000)
    '4 min 5 s'
    """
    seconds = ns // NANOS
    if seconds >= 3_600:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"
    if seconds >= 60:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds >= 1:
        return f"{seconds}.{ns % NANOS // _MS:03d} s"
    return f"{ns // _MS}.{ns % _MS // 100_000} ms" if ns >= _MS or ns == 0 else f"{ns} ns"


def lots_text(spec: Instrument, lots: int) -> str:
    """A size: "3 lots" where a lot is one, else in the instrument's units."""
    if spec.lot_size != 1:
        return spec.format_size(lots)
    return "1 lot" if lots == 1 else f"{lots:,} lots"


def queue_text(spec: Instrument, units: int) -> str:
    """1/1024 lots as a size, with one decimal more than lots have where it is between two."""
    if units % QUEUE_UNIT == 0:
        return spec.format_size(units // QUEUE_UNIT)
    step = Decimal(1).scaleb(-spec.size_digits - 1)
    # Rounded up: what is not gone is never shown as nothing.
    return f"{(spec.lot_size * units / QUEUE_UNIT).quantize(step, ROUND_UP)}"


def ahead_text(spec: Instrument, place: Place | None) -> str:
    """The queue ahead of a resting order; `+ 5` is what is further ahead of the part that grew."""
    if place is None or not place.resting:
        return ""
    if place.queue >= INFINITE_QUEUE // 2:
        return "all"
    if not place.queue_known:
        return "?"
    text = queue_text(spec, place.queue)
    further = place.queue_behind - place.queue
    if place.live > place.front and further > 0:
        text += f" + {queue_text(spec, further)}"
    return text


def ticks_text(ticks: int) -> str:
    """A distance."""
    return "1 tick" if ticks == 1 else f"{ticks:,} ticks"


def prints_text(spec: Instrument, prints: int, lots: int) -> str:
    """Prints and their sum."""
    return f"{'1 print' if prints == 1 else f'{prints:,} prints'} of {lots_text(spec, lots)}"


def source_text(source: TriggerSource, side: Side) -> str:
    """What triggers a stop of this side."""
    if source is TriggerSource.LAST:
        return "print"
    if source is TriggerSource.MARK:
        return "mark"
    return "ask" if side is Side.BUY else "bid"


def book_text(spec: Instrument, columns: TapeColumns, row: int) -> str:
    """The touch of a row."""
    if row < 0:
        return "nothing yet"
    bid, ask = int(columns.bid_qty[row]), int(columns.ask_qty[row])
    bids = f"{spec.format_price(int(columns.bid[row]))} x {spec.format_size(bid)} bid"
    asks = f"{spec.format_price(int(columns.ask[row]))} x {spec.format_size(ask)} offered"
    return f"{bids if bid else 'no bid'}, {asks if ask else 'nothing offered'}"


def title_text(story: Story) -> str:
    """The order in one line: what was asked for, and what it belongs to."""
    subject, spec = story.subject, story.spec
    side = subject.side.name.lower()
    if isinstance(subject.request, OrderRequest):
        what = f"{side} {request_text(spec, subject.request)}"
    elif isinstance(subject.request, ExitRequest):
        what = f"{side} {spec.symbol}, {exit_text(spec, subject.request, subject.role)}"
    else:
        what = f"{side} {spec.symbol}, an order of the exchange that liquidates the position"
    name = subject.client_order_id
    named = f' ("{name}")' if name not in ("", str(subject.order_id)) else ""
    return f"order {subject.order_id}{named}: {what}{_group_text(story)}"


def request_text(spec: Instrument, request: OrderRequest) -> str:
    """What an order asks for, its side apart."""
    words = [spec.format_size(request.size_lots), spec.symbol]
    words.append(request.order_type.name.lower().replace("_", "-"))
    if request.stop_ticks is not None:
        is_touched = "touched" in words[-1]
        price = spec.format_price(request.stop_ticks)
        words.append(f"at {price}" if is_touched else f"stop {price}")
    if request.order_type is OrderType.TRAILING_STOP:
        words.append(trail_text(request.trail_ticks, request.trail_ppm))
    if request.activation_ticks is not None:
        words.append(f"from {spec.format_price(request.activation_ticks)} on")
    if request.limit_ticks is not None:
        words.append(f"limit {spec.format_price(request.limit_ticks)}")
    text = " ".join(words).replace("limit limit", "limit").replace("stop stop", "stop")
    text += _TIMES_IN_FORCE[request.time_in_force]
    text += ", post-only" if request.post_only else ""
    return text + (", reduce-only" if request.reduce_only else "")


def trail_text(ticks: int | None, ppm: int | None) -> str:
    """How far a trailing stop lies behind the best price.

    >>> trail_text(None, 15_000)
    '1.5 % behind the best price'
    """
    away = f"{Decimal(ppm or 0) / 10_000:f} %" if ticks is None else ticks_text(ticks)
    return f"{away} behind the best price"


def exit_text(spec: Instrument, request: ExitRequest, role: Role) -> str:
    """What an exit of a bracket asks for."""
    name = "stop" if role is Role.STOP_EXIT else "target"
    if request.trail_ticks is not None:
        return f"trailing {name} {trail_text(request.trail_ticks, None)}"
    if request.price_ticks is not None:
        return f"{name} at {spec.format_price(request.price_ticks)}"
    if request.offset_ticks is not None:
        offset = spec.format_price(request.offset_ticks)
        return f"{name} {offset} from the average price of its entry"
    return name


def _group_text(story: Story) -> str:
    subject = story.subject
    command = subject.sent.command if subject.sent is not None else None
    if isinstance(command, OcoRequest):
        ids = (command.first.order_id, command.second.order_id)
        other = ids[0] if ids[1] == subject.order_id else ids[1]
        return f"; one of two that cancel each other, with order {other}"
    if not isinstance(command, BracketRequest):
        return ""
    if subject.role is not Role.ENTRY:
        return f"; exit of order {command.entry.order_id}"
    exits = [leg.order_id for leg in (command.stop, command.target) if leg is not None]
    return f"; entry of {' and '.join(f'order {order_id}' for order_id in exits)}"


def terms_text(spec: Instrument, lots: int, limit: int, stop: int) -> str:
    """Size and prices of an order as it is now."""
    text = lots_text(spec, lots)
    text += "" if stop == NO_PRICE else f", stop {spec.format_price(stop)}"
    return text + ("" if limit == NO_PRICE else f", limit {spec.format_price(limit)}")
