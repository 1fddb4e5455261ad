"""Words for what happens on a tape of bars: which bar it was, and between which of its four prices.

The story's columns are those of the run, so a bar's rows are in the order of its path.
"""

from __future__ import annotations

from broker_api.event import OrderFilled, OrderTriggered
from broker_api.order import BeyondTop
from data.schema import ROWS_OF_BAR
from sim.explain import Happening, Story
from sim.explain_words import ticks_text, time_text


def is_bars(story: Story) -> bool:
    """True on a tape that was made of bars."""
    return story.recording.tapes[story.subject.instrument].bar_interval_ns > 0


def point_text(story: Story, row: int) -> str:
    """A row's price by its name in the bar: its open 100, its high 110."""
    px, place = story.columns.px, row % ROWS_OF_BAR
    first = row - place
    extremes = ("high", "low") if px[first + 1] >= px[first + 2] else ("low", "high")
    name = ("open", *extremes, "close")[place]
    return f"its {name} {story.spec.format_price(int(px[row]))}"


def is_move(each: Happening) -> bool:
    """True where the price moved to the row along the bar's path; elsewhere it jumped."""
    return each.row % ROWS_OF_BAR != 0 and each.row > each.known_from


def where_text(story: Story, each: Happening) -> str:
    """The bar of a row and what it did there: it opened, or went from one price to another."""
    ts = int(story.columns.ts[each.row - each.row % ROWS_OF_BAR])
    bar = f"the bar of {time_text(ts)}"
    if is_move(each):
        start, end = (point_text(story, row) for row in (each.row - 1, each.row))
        return f"{bar} went from {start} to {end}"
    if each.row % ROWS_OF_BAR:
        return f"the market reopened within {bar}, at {point_text(story, each.row)}"
    return f"{bar} opened at {story.spec.format_price(int(story.columns.px[each.row]))}"


def triggered_in_bar(story: Story, each: Happening) -> str:
    """Behind a trigger: where in its bar it was; nothing on other tapes."""
    if not is_bars(story):
        return ""
    return f"; {where_text(story, each)}" if is_move(each) else f", where {where_text(story, each)}"


def taken_on_the_way(story: Story, each: Happening, fill: OrderFilled) -> str | None:
    """What a triggered order met between two prices of a bar; None for what met a row's touch."""
    earlier = [event for event in each.events if event.seq < fill.seq]
    triggers = [event for event in earlier if isinstance(event, OrderTriggered)]
    if not is_bars(story) or not triggers:
        return None
    columns, sign, spec = story.columns, story.subject.side.sign, story.spec
    start = triggers[-1].price_ticks
    sizes = columns.ask_qty if sign > 0 else columns.bid_qty
    shown, price = spec.format_size(int(sizes[each.row])), spec.format_price(start)
    beyond = (fill.price_ticks - start) * sign
    offered = f"{price} showed {shown}"
    if beyond > 0 and story.recording.simulation.beyond_top_model is BeyondTop.LADDER:
        offered = f"{ticks_text(beyond)} beyond {price}, taken to show {shown} as that does"
    return f"{offered} while {where_text(story, each)}"


def given_by_bar(story: Story, each: Happening, fill: OrderFilled, rule: str) -> str:
    """The rule of a maker fill with the bar that brought it; other tapes' rules as they are."""
    if not is_bars(story):
        return rule
    limit = each.before.limit if each.before is not None else fill.price_ticks
    if fill.price_ticks != limit:
        return f"{where_text(story, each)}, beyond its price: the open is what it gets"
    return f"{rule}; {where_text(story, each)}"


def ambiguous_text(story: Story) -> str:
    """Why a fill is a guess."""
    if not is_bars(story):
        return "; the row reached both exits, the stop counts"
    path = story.recording.simulation.bar_path
    return f"; the bar reached its sibling, too: which came first is a guess (bar_path={path})"
