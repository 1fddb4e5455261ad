"""The answer: did the order fill, which rule decided, and what was missing where it did not."""

from __future__ import annotations

from collections.abc import Iterator

from broker_api.event import (
    EventKind,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderRejected,
    OrderTriggered,
    Reason,
)
from broker_api.journal import RecordedCommand
from broker_api.order import NO_PRICE, Arm, BracketRequest, OrderStatus, QueueModel
from broker_api.refusals import describe
from sim.arrivals import entry_way
from sim.explain import Place, Story
from sim.explain_queue import Cause, fill_text, joining_text, step_of, totals
from sim.explain_trigger import missing_trigger, near_text, source_name, trigger_facts
from sim.explain_words import (
    ahead_text,
    book_text,
    duration_text,
    lots_text,
    prints_text,
    queue_text,
    time_text,
)
from sim.replay import Recording


def verdict_of(story: Story) -> str:
    """One or two sentences: filled or not, and why."""
    if story.arrival is None:
        return f"It never reached the exchange: {_why_not_there(story)}."
    refused = next((event for event in story.events if isinstance(event, OrderRejected)), None)
    if refused is not None:
        why = describe(refused.reason, story.spec, refused.value, refused.limit, story.subject.side)
        return f"It did not fill. It was refused on arrival: {why}."
    fills = [event for event in story.events if isinstance(event, OrderFilled)]
    if not fills:
        return f"It did not fill: {_missing_and_end(story)}"
    filled = sum(fill.lots for fill in fills)
    average = _average(story, fills)
    if story.events[-1].status is OrderStatus.FILLED or _is_complete(story):
        return f"It filled: {lots_text(story.spec, filled)} at {average}. {_first_fill(story)}"
    size = story.spec.format_size(_size(story))
    return (
        f"It filled in part: {lots_text(story.spec, filled)} of {size} at {average}. "
        f"{_first_fill(story)} The rest did not: {_missing_and_end(story)}"
    )


def _is_complete(story: Story) -> bool:
    return any(
        event.status is OrderStatus.FILLED
        for event in story.events
        if isinstance(event, OrderFilled)
    )


def _why_not_there(story: Story) -> str:
    sent = story.subject.sent
    assert sent is not None
    under_way = duration_text(story.ended_ns - sent.ts_ns)
    if story.recording.simulation.when_closed == "queue":
        return f"it was sent {under_way} before the session ended and the market did not open"
    latency = duration_text(_way_ns(story.recording, sent))
    return f"it was sent {under_way} before the session ended, and the way takes {latency}"


def _way_ns(recording: Recording, sent: RecordedCommand) -> int:
    """How long a command is under way: all before it are sent again, as none may be overtaken."""
    way = entry_way(recording.simulation)
    arrives_ns = sent.ts_ns
    for number, each in enumerate(recording.commands, start=1):
        arrives_ns = way.arrival_ns(each.ts_ns, number)
        if each is sent:
            break
    return arrives_ns - sent.ts_ns


def _average(story: Story, fills: list[OrderFilled]) -> str:
    prices = {fill.price_ticks for fill in fills}
    if len(prices) == 1:
        return story.spec.format_price(prices.pop())
    cost = sum(fill.price_ticks * fill.lots for fill in fills)
    lots = sum(fill.lots for fill in fills)
    digits = story.spec.price_digits + 2
    return f"{story.spec.tick_size * cost / lots:.{digits}f} on average"


def _first_fill(story: Story) -> str:
    for each in story.happenings:
        for event in each.events:
            if isinstance(event, OrderFilled):
                after = _after_arrival(story, each.ts_ns)
                return f"The first, {after}: {fill_text(story, each, event, False)}."
    return ""


def _after_arrival(story: Story, ts_ns: int) -> str:
    arrival = story.arrival
    assert arrival is not None
    if ts_ns == arrival.ts_ns:
        return "on arrival"
    return f"{duration_text(ts_ns - arrival.ts_ns)} after it arrived"


def _size(story: Story) -> int:
    """The whole size, as it was at the end."""
    place = _final_place(story)
    if place is not None:
        return place.size
    return sum(event.lots for event in story.events if isinstance(event, OrderAccepted))


def _final_place(story: Story) -> Place | None:
    """The order's place at its end, or just before it ended; None when it had one moment only."""
    for each in reversed(story.happenings):
        if each.after is not None or each.before is not None:
            return each.after or each.before
    return None


def _ending(story: Story) -> str:
    """How it ended, where that is not the fill itself."""
    for event in reversed(story.events):
        if isinstance(event, OrderCancelled):
            return f" It ended at {time_text(event.ts_ns)}: {describe(event.reason, story.spec)}."
        if isinstance(event, OrderExpired):
            return f" It ended at {time_text(event.ts_ns)}: its time in force ran out."
    return ""


def _when_it_ended(story: Story) -> str:
    if _cancel_of(story) is not None:
        return "when it was cancelled"
    if any(isinstance(event, OrderExpired) for event in story.events):
        return "when it expired"
    return f"when {session_end_text(story)}"


def session_end_text(story: Story) -> str:
    """What ended first, the tape or the session."""
    tape_end_ns = max(tape.end_ns for tape in story.recording.tapes)
    return "the tape ended" if story.ended_ns >= tape_end_ns else "the session ended"


def _missing_and_end(story: Story) -> str:
    """What was missing, and how it ended; of an order that had one moment only both in one."""
    missing, ended = _missing(story), _cancel_of(story)
    if missing:
        return f"{missing}.{_ending(story)}"
    why = "it ended" if ended is None else describe(ended.reason, story.spec)
    return f"{why}, {_moment_text(story)}."


def _missing(story: Story) -> str:
    """What was missing for a fill, of an order that did not fill or not whole.

    Nothing for an order that something else ended in the moment in which it came.
    """
    place, ended = _final_place(story), _cancel_of(story)
    if ended is not None and ended.reason in _JUDGED_AT_ONCE:
        return _missing_at_once(story, ended)
    if _was_held(story):
        return _missing_entry(story)
    if place is None:
        return ""
    if place.resting:
        return _missing_while_resting(story, place)
    if place.waiting:
        return f"no liquidity was left to take {_when_it_ended(story)}"
    if (place.stop != NO_PRICE or place.trails) and not _has_triggered(story):
        return _missing_trigger(story, place)
    return ""


_JUDGED_AT_ONCE = (Reason.IOC_REST, Reason.FOK_NOT_AVAILABLE, Reason.POST_ONLY_AT_TRIGGER)


def _cancel_of(story: Story) -> OrderCancelled | None:
    cancels = [event for event in story.events if isinstance(event, OrderCancelled)]
    return cancels[-1] if cancels else None


def _has_triggered(story: Story) -> bool:
    return any(isinstance(event, OrderTriggered) for event in story.events)


def _was_held(story: Story) -> bool:
    """True of an exit that was held when it ended, or still is."""
    held = False
    for event in story.events:
        if isinstance(event, OrderAccepted):
            held = event.status is OrderStatus.PENDING
        elif isinstance(event, OrderHeld | OrderActivated):
            held = isinstance(event, OrderHeld)
    return held


def _missing_at_once(story: Story, ended: OrderCancelled) -> str:
    """Of an order that had one moment only: what the book showed in it."""
    moment = next(each for each in story.happenings if ended in each.events)
    book = book_text(story.spec, story.columns, moment.row)
    return f"{_moment_text(story)} the book showed {book}"


def _moment_text(story: Story) -> str:
    if _has_triggered(story):
        return "when it triggered"
    if any(isinstance(event, OrderActivated) for event in story.events):
        return "when it went live"
    return "on arrival"


def _missing_entry(story: Story) -> str:
    """Of an exit that is held: what its entry did."""
    sent = story.subject.sent
    assert sent is not None
    assert isinstance(sent.command, BracketRequest)
    entry, events = sent.command.entry, story.recording.events
    mine = (events["order_id"] == entry.order_id) & (events["kind"] == int(EventKind.FILLED))
    filled = int(events["lots"][mine].sum())
    if filled == 0:
        return f"its entry, order {entry.order_id}, did not fill, so it never went live"
    amount = f"its entry, order {entry.order_id}, filled {lots_text(story.spec, filled)}"
    if any(isinstance(event, OrderHeld) for event in story.events):
        return f"{amount}, all of which was closed"
    if sent.command.arm is Arm.FULL:
        return f"{amount}, and with arm=full exits go live with the last fill of it"
    return f"{amount}, of which nothing was left to close"


def _missing_trigger(story: Story, place: Place) -> str:
    found, near = story.trigger_approach, "nothing that could trigger it was seen"
    if found is not None and found.nearest is not None:
        near = near_text(story, source_name(story), found.nearest)
    return missing_trigger(story, place, near)


def _while_text(story: Story) -> str:
    return f"in the {duration_text(story.rested_ns)} that it rested"


def _missing_while_resting(story: Story, place: Place) -> str:
    spec, traded = story.spec, story.traded
    price = spec.format_price(place.limit)
    model, when = story.recording.simulation.queue_model, _when_it_ended(story)
    if model is QueueModel.BACK:
        at = prints_text(spec, traded.prints_at, traded.lots_at)
        met = f" ({at} at the price gave nothing)" if traded.prints_at else ""
        more = "more " if traded.prints_through or traded.crossed_rows else ""
        only = f"with queue=back only what goes through or crosses {price} fills it"
        return f"{only}, and nothing {more}did{met}"
    near = traded.nearest_print
    if not traded.prints_at:
        away = "" if near is None or near.ticks <= 0 else near_text(story, "print", near)
        nothing = f"nothing traded at {price} while it rested"
        return f"{nothing}: {away}" if away else nothing
    at = f"{prints_text(spec, traded.prints_at, traded.lots_at)} at {price}"
    if not place.queue_known:
        return f"{at} met a queue of unknown length, as {price} was never the touch meanwhile"
    if place.queue > 0:
        ahead = ahead_text(spec, place)
        unit = "" if spec.lot_size != 1 else " lot" if ahead == "1" else " lots"
        return f"{ahead}{unit} still ahead {when}, after {at}"
    return f"no more than {at} traded {_while_text(story)}"


# --- facts ---------------------------------------------------------------------------------------


def facts_of(story: Story) -> Iterator[str]:
    """What the verdict rests on, one sentence each."""
    yield from _arrival_facts(story)
    joined = [each for each in story.happenings if each.joined]
    if joined:
        yield f"It {joining_text(story, joined[0])}."
        if len(joined) > 1:
            yield f"It lost its place and joined again {_times(len(joined) - 1)}."
        yield from _queue_facts(story)
        yield from _traded_facts(story)
    yield from trigger_facts(story)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _arrival_facts(story: Story) -> Iterator[str]:
    sent, arrival, spec = story.subject.sent, story.arrival, story.spec
    if sent is None or arrival is None:
        return
    book = book_text(spec, story.columns, arrival.row)
    way_ns = arrival.ts_ns - sent.ts_ns
    way = f"{duration_text(way_ns)} later" if way_ns else "at once"
    yield (
        f"Sent at {time_text(sent.ts_ns)}, it arrived {way}; "
        f"the book showed {book if arrival.row >= arrival.known_from else 'nothing yet'}."
    )


def _queue_facts(story: Story) -> Iterator[str]:
    steps = [step for each in story.happenings if (step := step_of(story, each)) is not None]
    took, spec = totals(steps), story.spec
    said = [
        f"{name} {queue_text(spec, took[cause])}"
        for cause, name in (
            (Cause.NONE, "prints"),
            (Cause.CANCELS, "cancels"),
            (Cause.CAP, "the size shown"),
            (Cause.THROUGH, "a print through the price"),
            (Cause.FELL_BACK, "a touch that fell behind it"),
        )
        if took[cause]
    ]
    if said:
        yield f"From the queue ahead of it (queue={_model(story)}) took: {', '.join(said)}."


def _model(story: Story) -> str:
    return story.recording.simulation.queue


def _traded_facts(story: Story) -> Iterator[str]:
    spec, traded = story.spec, story.traded
    at = prints_text(spec, traded.prints_at, traded.lots_at) if traded.prints_at else "no print"
    through = "none"
    if traded.prints_through:
        through = prints_text(spec, traded.prints_through, traded.lots_through)
    text = (
        f"While it rested, {duration_text(story.rested_ns)}: {at} at its price, {through} through"
    )
    if traded.wrong_prints:
        other = "buyers" if story.subject.side.sign > 0 else "sellers"
        wrong = prints_text(spec, traded.wrong_prints, traded.wrong_lots)
        text += f"; {wrong} by {other} at its price, which take from the other side"
    yield f"{text}."
    if traded.left and traded.returned:
        yield (
            f"A better price became the touch {_times(traded.left)}, and its own was the touch "
            f"again {_times(traded.returned)}."
        )
    elif traded.left:
        yield f"A better price became the touch {_times(traded.left)}."
    elif traded.returned:
        yield f"Its price became the touch {_times(traded.returned)}."
    near = traded.nearest_touch
    if near is not None and near.ticks > 0 and not traded.prints_at:
        name = "ask" if story.subject.side.sign > 0 else "bid"
        yield f"To cross it the {name} was missing: {near_text(story, name, near)}."
