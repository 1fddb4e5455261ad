"""The queue ahead of one order, row by row: how it began, what took from it, which fill came how.

The rules are the exchange's (`sim/queue.py`); here its numbers before and after a row are put to
what the row brought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from broker_api.event import (
    OrderActivated,
    OrderFilled,
    OrderReplaced,
    OrderTriggered,
)
from broker_api.order import BeyondTop, Liquidity, QueueModel
from data.schema import RowKind
from sim.book import QUEUE_UNIT
from sim.explain import By, Happening, Place, Story
from sim.explain_bars import ambiguous_text, given_by_bar, taken_on_the_way
from sim.explain_tape import last_shown, other_side, own_side, row_before_packet
from sim.explain_words import duration_text, lots_text, queue_text, ticks_text
from sim.queue import INFINITE_QUEUE


class Cause(Enum):
    """What took from the queue, beside prints."""

    NONE = 0
    CANCELS = 1
    CAP = 2
    THROUGH = 3
    FELL_BACK = 4
    BECAME_KNOWN = 5


@dataclass(frozen=True, slots=True)
class Step:
    """What one row did to the queue ahead. `eaten` and `other` are in 1/1024 lots."""

    print_lots: int
    is_known: bool
    eaten: int
    other: int
    cause: Cause


def is_own_print(story: Story, happening: Happening, place: Place) -> bool:
    """True when the row is a print at the order's price that took from its side."""
    columns, row, sign = story.columns, happening.row, story.subject.side.sign
    return bool(
        happening.by is By.ROW
        and columns.kind[row] == RowKind.TRADE
        and columns.px[row] == place.limit
        and columns.side[row] * sign <= 0
    )


def is_print_through(story: Story, happening: Happening, place: Place) -> bool:
    """True when the row is a print beyond the order's price."""
    columns, row, sign = story.columns, happening.row, story.subject.side.sign
    return bool(
        happening.by is By.ROW
        and columns.kind[row] == RowKind.TRADE
        and (columns.px[row] - place.limit) * sign < 0
    )


def step_of(story: Story, happening: Happening) -> Step | None:
    """What happened to the queue of an order that rested before; None where nothing did."""
    before, after = happening.before, happening.after
    if before is None or not before.resting or happening.joined or happening.by is not By.ROW:
        return None
    lots = 0
    if is_own_print(story, happening, before):
        lots = int(story.columns.qty[happening.row])
    if before.queue >= INFINITE_QUEUE // 2:
        return Step(lots, True, 0, 0, Cause.NONE) if lots else None
    if not before.queue_known:
        return _step_of_unknown(story, happening, before, lots)
    left = after.queue if after is not None and after.resting else 0
    eaten = min(before.queue, lots * QUEUE_UNIT)
    other = before.queue - eaten - left
    if after is None or not after.resting:
        other = 0
    if not lots and other <= 0:
        return None
    cause = _cause(story, happening, before) if other > 0 else Cause.NONE
    return Step(lots, True, eaten, max(0, other), cause)


def _step_of_unknown(story: Story, happening: Happening, before: Place, lots: int) -> Step | None:
    after = happening.after
    if after is not None and after.resting and after.queue_known:
        cause = _cause(story, happening, before)
        if cause not in (Cause.THROUGH, Cause.FELL_BACK):
            cause = Cause.BECAME_KNOWN
        return Step(lots, False, 0, 0, cause)
    return Step(lots, False, 0, 0, Cause.NONE) if lots else None


def _cause(story: Story, happening: Happening, before: Place) -> Cause:
    columns, row, sign = story.columns, happening.row, story.subject.side.sign
    if is_print_through(story, happening, before):
        return Cause.THROUGH
    touch, lots = own_side(columns, sign)
    if lots[row] > 0 and (before.limit - touch[row]) * sign > 0:
        return Cause.FELL_BACK
    earlier = row_before_packet(columns, row)
    stayed = earlier >= 0 and touch[earlier] == before.limit
    model = story.recording.simulation.queue_model
    return Cause.CANCELS if stayed and model is QueueModel.PROPORTIONAL else Cause.CAP


def joining_text(story: Story, happening: Happening) -> str:
    """Where the order joined the book, what was ahead of it then, and how that was known."""
    place, spec, columns = happening.after, story.spec, story.columns
    assert place is not None
    row, sign = happening.row, story.subject.side.sign
    joined = f"joined the book at {spec.format_price(place.limit)}"
    model = story.recording.simulation.queue_model
    if model is QueueModel.FRONT:
        return f"{joined}, first in its queue (queue=front)"
    if model is QueueModel.BACK:
        return f"{joined}, behind everything (queue=back)"
    sides = own_side(columns, sign)
    if row < happening.known_from or sides[1][row] <= 0:
        where = "; its side of the book was empty or not known yet"
    else:
        touch, lots = (int(side[row]) for side in sides)
        name = "bid" if sign > 0 else "ask"
        if touch == place.limit:
            shown = f"the {spec.format_size(lots)} shown at the touch"
            if place.queue != lots * QUEUE_UNIT:
                shown = f"{queue_text(spec, place.queue)} of {shown}"
            return f"{joined} behind {shown}"
        distance = ticks_text(abs(touch - place.limit))
        if (place.limit - touch) * sign > 0:
            return f"{joined}, {distance} better than the {name}: nothing is ahead"
        where = f", {distance} behind the {name}"
    if not place.queue_known:
        return f"{joined}{where}; never shown in this run, so what is ahead is unknown"
    seen = last_shown(columns, row, happening.known_from, sign, place.limit)
    ago = "" if seen < 0 else f" {duration_text(happening.ts_ns - int(columns.ts[seen]))} before"
    return f"{joined}{where}; the {queue_text(spec, place.queue)} last shown there{ago} are ahead"


def fill_text(story: Story, happening: Happening, fill: OrderFilled, earlier: bool) -> str:
    """One fill and the rule that gave it. `earlier`: the same moment gave a maker fill before."""
    spec = story.spec
    text = f"{lots_text(spec, fill.lots)} filled at {spec.format_price(fill.price_ticks)}"
    if fill.liquidity is Liquidity.TAKER:
        text += f" as taker: {_taker_rule(story, happening, fill)}"
    else:
        rule = _maker_rule(story, happening, fill, earlier)
        text += f" as maker: {given_by_bar(story, happening, fill, rule)}"
    return text + (ambiguous_text(story) if fill.ambiguous else "")


def _taker_rule(story: Story, happening: Happening, fill: OrderFilled) -> str:
    cause = _taker_cause(happening, fill)
    on_the_way = taken_on_the_way(story, happening, fill)
    if on_the_way is not None:
        return f"{cause}; {on_the_way}"
    columns, row, sign = story.columns, happening.row, story.subject.side.sign
    prices, sizes = other_side(columns, sign)
    beyond = (fill.price_ticks - int(prices[row])) * sign
    name = "ask" if sign > 0 else "bid"
    shown = story.spec.format_size(int(sizes[row]))
    if beyond > 0 and story.recording.simulation.beyond_top_model is BeyondTop.LADDER:
        offered = f"{ticks_text(beyond)} beyond the {name}, taken to show {shown} as the touch does"
    else:
        offered = f"the {name} showed {shown}"
    return f"{cause}; {offered}"


def _taker_cause(happening: Happening, fill: OrderFilled) -> str:
    before = happening.before
    earlier = [event for event in happening.events if event.seq < fill.seq]
    if any(isinstance(event, OrderTriggered) for event in earlier):
        is_touched = before is not None and before.is_touched
        return "it had just been touched" if is_touched else "its stop had just triggered"
    if any(isinstance(event, OrderActivated) for event in earlier):
        return "it could trade at once when it went live"
    if any(isinstance(event, OrderReplaced) for event in earlier):
        return "it could trade at once after the change"
    if before is not None and before.waiting:
        return "it had waited for liquidity"
    return "it could trade on arrival"


def _maker_rule(story: Story, happening: Happening, fill: OrderFilled, earlier: bool) -> str:
    place, spec, columns = happening.before, story.spec, story.columns
    if place is None or happening.by is not By.ROW:
        return "what the print had given it came first"
    lots = lots_text(spec, int(columns.qty[happening.row]))
    price = spec.format_price(int(columns.px[happening.row]))
    if not earlier and is_print_through(story, happening, place):
        everything = story.recording.simulation.trade_through == "all"
        met = "fills all of it (trade_through=all)" if everything else "was met first"
        return f"a print of {lots} at {price} went through its price, which {met}"
    is_served = place.queue_known and place.queue < int(columns.qty[happening.row]) * QUEUE_UNIT
    if not earlier and is_served and is_own_print(story, happening, place):
        ahead = (
            f"the {queue_text(spec, place.queue)} ahead first" if place.queue else "first in line"
        )
        return f"a print of {lots} at its price, {ahead}"
    prices, sizes = other_side(columns, story.subject.side.sign)
    name = "ask" if story.subject.side.sign > 0 else "bid"
    touch = spec.format_price(int(prices[happening.row]))
    size = spec.format_size(int(sizes[happening.row]))
    return f"the {name} came to {touch} x {size} and crossed it"


def totals(steps: Sequence[Step]) -> dict[Cause, int]:
    """What each cause took together, prints under NONE, in 1/1024 lots."""
    found = dict.fromkeys(Cause, 0)
    for step in steps:
        found[Cause.NONE] += step.eaten
        found[step.cause] += step.other
    return found
