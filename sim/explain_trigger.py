"""Words for triggers: stops, touched orders, and how a trailing stop followed the market."""

from __future__ import annotations

from collections.abc import Iterator

from broker_api.event import OrderAccepted, OrderActivated, OrderTriggered
from broker_api.order import NO_PRICE, OrderRequest, OrderType
from sim.explain import Happening, Place, Story
from sim.explain_bars import is_bars, triggered_in_bar
from sim.explain_tape import Near
from sim.explain_trail import Moved
from sim.explain_words import source_text, ticks_text, time_text
from sim.set_up import trigger_source_of


def source_name(story: Story) -> str:
    """What triggers the order: print, mark, ask or bid; of bars the price itself."""
    if is_bars(story):
        return "price"
    tape = story.recording.tapes[story.subject.instrument]
    return source_text(trigger_source_of(story.spec, tape)[0], story.subject.side)


def accepted_text(story: Story, event: OrderAccepted) -> str:
    """What a trailing stop does from its arrival on; nothing for other orders."""
    request, spec = story.subject.request, story.spec
    if not isinstance(request, OrderRequest) or request.order_type is not OrderType.TRAILING_STOP:
        return ""
    if event.stop_ticks != NO_PRICE:
        return f"; it trails with its stop at {spec.format_price(event.stop_ticks)}"
    assert request.activation_ticks is not None
    price = spec.format_price(request.activation_ticks)
    return f"; it begins to trail when the {source_name(story)} reaches {price}"


def began_text(story: Story, each: Happening, event: OrderActivated) -> str | None:
    """That a trailing stop became active; None for an exit that went live."""
    before, after = each.before, each.after
    if before is None or after is None or before.is_held or before.activation == NO_PRICE:
        return None
    price = story.spec.format_price
    return (
        f"began to trail: the {source_name(story)} reached {price(before.activation)}; best price "
        f"{price(after.best)}, stop {price(event.stop_ticks)}"
    )


def triggered_text(story: Story, each: Happening, event: OrderTriggered) -> str:
    """What triggered the order, and where its trigger was."""
    price, before = story.spec.format_price, each.before
    text = f"the {source_name(story)} was {price(event.price_ticks)}"
    where = triggered_in_bar(story, each)
    if before is not None and before.is_touched:
        return f"touched: {text}, its trigger {price(event.stop_ticks)}{where}"
    if before is None or not before.trails:
        return f"triggered: {text}{where}"
    best = best_then(story, each)
    return (
        f"triggered: {text}, its trailing stop {price(event.stop_ticks)}, "
        f"{behind_text(story, best, event.stop_ticks)}{where}"
    )


def behind_text(story: Story, best: int, stop: int) -> str:
    """How far a stop lies behind the best price."""
    away = ticks_text(abs(best - stop))
    return f"{away} behind the best {source_name(story)} of {story.spec.format_price(best)}"


def best_then(story: Story, each: Happening) -> int:
    """The best price of a trailing stop when something happened to it; it never gets worse."""
    known = [move.best for move in moves_until(story, each.row)]
    known += [] if each.before is None else [each.before.best]
    sign = story.subject.side.sign
    return min((best for best in known if best != NO_PRICE), key=lambda best: best * sign)


def moves_until(story: Story, row: int) -> list[Moved]:
    """The moves of a trailing stop up to a row of its tape."""
    found = story.trigger_approach
    return [] if found is None else [move for move in found.moves if move.row <= row]


def moved_text(story: Story, moves: list[Moved]) -> str:
    """Some moves of a trailing stop in one line."""
    price, last = story.spec.format_price, moves[-1]
    times = {1: "once", 2: "twice"}.get(len(moves), f"{len(moves):,} times")
    return (
        f"its stop followed the {source_name(story)} {times}: best price {price(last.best)}, "
        f"stop {price(last.stop)}"
    )


def missing_trigger(story: Story, place: Place, near: str) -> str:
    """Of an order that was never triggered: what was missing; `near` is how near it came."""
    found, price = story.trigger_approach, story.spec.format_price
    if place.is_touched:
        return f"its trigger at {price(place.stop)} was never touched: {near}"
    if not place.trails or found is None:
        return f"its stop at {price(place.stop)} was never reached: {near}"
    if place.best == NO_PRICE and not found.moves:
        reached = f"its activation price {price(place.activation)} was never reached"
        return f"it never began to trail, {reached}: {near}"
    best, stop = place.best, place.stop
    if found.moves and (best - found.moves[-1].best) * story.subject.side.sign >= 0:
        best, stop = found.moves[-1].best, found.moves[-1].stop
    last = f"its trailing stop, last at {price(stop)}, {behind_text(story, best, stop)}"
    return f"{last}, was never reached: {near}"


def trigger_facts(story: Story) -> Iterator[str]:
    """What triggers the order, and how far a trailing stop went."""
    found = story.trigger_approach
    if found is None:
        return
    what = "it" if any(_is_touched(each) for each in story.happenings) else "its stop"
    source = source_name(story)
    kind = "bars" if is_bars(story) else f"trigger source {found.source.name.lower()}"
    yield f"What triggers {what} is the {source} ({kind})."
    if found.moves:
        price, first = story.spec.format_price, _first_stop(story)
        last = found.moves[-1]
        begin = "" if first is None else f" from {price(first)}"
        yield (
            f"Its stop moved{begin} to {price(last.stop)}, the last time at "
            f"{time_text(last.ts_ns)} with the {source} at {price(last.best)}."
        )


def _is_touched(each: Happening) -> bool:
    place = each.before or each.after
    return place is not None and place.is_touched


def _first_stop(story: Story) -> int | None:
    """The first stop of a trailing stop that anybody was told of."""
    for event in story.events:
        if isinstance(event, OrderAccepted | OrderActivated) and event.stop_ticks != NO_PRICE:
            return event.stop_ticks
    return None


def near_text(story: Story, what: str, near: Near) -> str:
    """How near something came, and when."""
    at = f"{story.spec.format_price(near.price)} at {time_text(near.ts_ns)}"
    return f"closest {what} {ticks_text(near.ticks)} away ({at})"
