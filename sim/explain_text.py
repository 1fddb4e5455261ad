"""An order's story in plain sentences and a table of lines: why it did, or did not, fill.

The lines are in order of time. What happens to the queue between two of them is summed up in one,
because an order at the touch may meet thousands of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from broker_api.event import (
    CancelRejected,
    Event,
    MarketHalted,
    MarketResumed,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderHeld,
    OrderRejected,
    OrderReplaced,
    OrderTriggered,
    Reason,
    ReplaceRejected,
    Unprotected,
)
from broker_api.order import (
    CancelRequest,
    Liquidity,
    OrderStatus,
    ReplaceRequest,
)
from broker_api.refusals import describe
from sim.explain import Happening, Place, Story
from sim.explain_queue import Cause, Step, fill_text, joining_text, step_of
from sim.explain_tape import own_side
from sim.explain_trigger import (
    accepted_text,
    began_text,
    moved_text,
    moves_until,
    triggered_text,
)
from sim.explain_verdict import facts_of, session_end_text, verdict_of
from sim.explain_words import (
    CHANGES,
    ahead_text,
    book_text,
    duration_text,
    prints_text,
    queue_text,
    terms_text,
    title_text,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. `ahead` is the queue ahead afterwards, `left` what is still open."""

    ts_ns: int
    text: str
    ahead: str
    left: str


@dataclass(frozen=True)
class Explanation:
    """Why one order did, or did not, fill. `verdict` is the answer, `facts` are sentences."""

    title: str
    verdict: str
    facts: tuple[str, ...]
    lines: tuple[Line, ...]


def explain(story: Story) -> Explanation:
    """The story in words; the same story gives the same text."""
    return Explanation(
        title_text(story), verdict_of(story), tuple(facts_of(story)), tuple(lines_of(story))
    )


@dataclass
class _Stretch:
    """Rows since the last line that changed nothing but the queue."""

    ts_ns: int = 0
    prints: int = 0
    lots: int = 0
    unknown_lots: int = 0
    eaten: int = 0
    cancelled: int = 0
    capped: int = 0
    place: Place | None = None

    def add(self, step: Step, happening: Happening) -> None:
        """One more row."""
        self.ts_ns, self.place = happening.ts_ns, happening.after
        self.prints += step.print_lots > 0
        self.lots += step.print_lots
        self.unknown_lots += 0 if step.is_known else step.print_lots
        self.eaten += step.eaten
        self.cancelled += step.other if step.cause is Cause.CANCELS else 0
        self.capped += step.other if step.cause is Cause.CAP else 0


def lines_of(story: Story) -> Iterator[Line]:
    """The table's lines."""
    sent = story.subject.sent
    if sent is not None:
        yield Line(sent.ts_ns, "sent", "", "")
    stretch, told = _Stretch(), -1
    for each in story.happenings:
        step = step_of(story, each)
        quiet = not each.events and not each.joined
        if quiet and step is not None and step.cause not in _SAID_ALONE:
            stretch.add(step, each)
            continue
        if quiet and step is None:
            continue
        yield from _summed_up(story, stretch)
        yield from _moved_since(story, told, each)
        stretch, told = _Stretch(), each.row
        yield from _lines_of_one(story, each, step)
    yield from _summed_up(story, stretch)
    yield from _moved_since(story, told, None)
    if story.arrival is None or _works_on(story):
        yield Line(story.ended_ns, session_end_text(story), *_columns(story, _last_place(story)))


def _moved_since(story: Story, row: int, until: Happening | None) -> Iterator[Line]:
    """The moves of a trailing stop after a row, up to what happens next, in one line."""
    moves = moves_until(story, len(story.columns.ts) if until is None else until.row)
    moves = [move for move in moves if move.row > row]
    if moves:
        place = _last_place(story) if until is None else until.before
        yield Line(moves[-1].ts_ns, moved_text(story, moves), *_columns(story, place))


_SAID_ALONE = (Cause.THROUGH, Cause.FELL_BACK, Cause.BECAME_KNOWN)


def _works_on(story: Story) -> bool:
    return _last_place(story) is not None


def _last_place(story: Story) -> Place | None:
    return story.happenings[-1].after if story.happenings else None


def _columns(story: Story, place: Place | None) -> tuple[str, str]:
    if place is None:
        return "", ""
    return ahead_text(story.spec, place), story.spec.format_size(place.size - place.filled)


def _summed_up(story: Story, stretch: _Stretch) -> Iterator[Line]:
    spec, said = story.spec, []
    if stretch.place is None:
        return
    if stretch.prints:
        met = f"{prints_text(spec, stretch.prints, stretch.lots)} at its price"
        if stretch.unknown_lots:
            met += ", into a queue of unknown length"
        elif stretch.eaten:
            met += f", {queue_text(spec, stretch.eaten)} of it to the queue ahead"
        said.append(met)
    if stretch.cancelled:
        said.append(f"{queue_text(spec, stretch.cancelled)} ahead cancelled, by the queue model")
    if stretch.capped:
        capped = queue_text(spec, stretch.capped)
        said.append(f"{capped} ahead gone: no more can be ahead than is shown")
    if said:
        yield Line(stretch.ts_ns, "; ".join(said), *_columns(story, stretch.place))


def _lines_of_one(story: Story, each: Happening, step: Step | None) -> Iterator[Line]:
    texts = [*_event_texts(story, each)]
    if step is not None and step.cause in _SAID_ALONE and each.after is not None:
        texts.append(_step_text(story, each, step))
    if each.joined:
        texts.append(joining_text(story, each))
    end = _columns(story, each.after)
    for number, (text, left) in enumerate(_with_open_sizes(story, each, texts)):
        is_last = number == len(texts) - 1 and each.after is not None
        yield Line(each.ts_ns, text, *(end if is_last else ("", left)))


def _with_open_sizes(story: Story, each: Happening, texts: list[str]) -> Iterator[tuple[str, str]]:
    """Each text with the size that was open after it, where an event tells."""
    events = [event for event in each.events if not _is_market(event)]
    for number, text in enumerate(texts):
        event = events[number] if number < len(events) else None
        leaves = getattr(event, "leaves_lots", None)
        yield text, "" if leaves is None else story.spec.format_size(leaves)


def _is_market(event: Event) -> bool:
    return isinstance(event, MarketHalted | MarketResumed)


def _step_text(story: Story, each: Happening, step: Step) -> str:
    assert each.before is not None
    spec, price = story.spec, story.spec.format_price(each.before.limit)
    touch, lots = own_side(story.columns, story.subject.side.sign)
    if step.cause is Cause.BECAME_KNOWN:
        shown, traded = int(lots[each.row]), each.before.traded_pending + step.print_lots
        text = f"{price} became the touch and shows {spec.format_size(shown)}: half of it is ahead"
        if traded:
            text = (
                f"{price} became the touch and shows {spec.format_size(shown)}; of that and the "
                f"{spec.format_size(traded)} traded there one half was ahead, less what traded"
            )
        return text
    if step.cause is Cause.THROUGH:
        return "a print went through its price: nothing is ahead any more"
    fell = spec.format_price(int(touch[each.row]))
    return f"the touch fell back to {fell}: everything ahead of it is gone"


def _event_texts(story: Story, each: Happening) -> Iterator[str]:
    gave = False
    for event in each.events:
        text = ""
        match event:
            case OrderFilled():
                text = fill_text(story, each, event, gave)
                gave = gave or event.liquidity is Liquidity.MAKER
            case OrderReplaced():
                text = _changed_text(story, each, event)
            case _:
                text = _plain_text(story, each, event)
        yield text + _sent_text(story, each, event)


def _sent_text(story: Story, each: Happening, event: Event) -> str:
    """How long the user's own command was under way, behind its answer."""
    command = each.command
    if command is None or each.ts_ns == command.ts_ns or event is not each.events[0]:
        return ""
    if not isinstance(command.command, CancelRequest | ReplaceRequest):
        return ""
    if command.command.order_id != story.subject.order_id:
        return ""
    return f" (sent {duration_text(each.ts_ns - command.ts_ns)} before)"


def _changed_text(story: Story, each: Happening, event: OrderReplaced) -> str:
    spec = story.spec
    if event.reason is Reason.COMPLETED_BY_SIZE:
        return "complete: its size is what had filled already"
    terms = terms_text(spec, event.lots, event.price_ticks, event.stop_ticks)
    if event.reason is not Reason.NONE:
        return f"changed to {terms}: {CHANGES.get(event.reason, event.reason.name.lower())}"
    before, after = each.before, each.after
    if before is None or not before.resting:
        return f"changed to {terms}"
    lost = after is None or not after.resting or each.joined
    return f"changed to {terms}; it {'lost' if lost else 'kept'} its place"


def _plain_text(story: Story, each: Happening, event: Event) -> str:
    spec, side = story.spec, story.subject.side
    match event:
        case OrderAccepted() if event.status is OrderStatus.PENDING:
            return "accepted; held until its entry fills"
        case OrderAccepted():
            book = book_text(spec, story.columns, each.row)
            return f"accepted; the book showed {book}{accepted_text(story, event)}"
        case OrderRejected():
            return f"refused: {describe(event.reason, spec, event.value, event.limit, side)}"
        case ReplaceRejected():
            why = describe(event.reason, spec, event.value, event.limit, side)
            return f"a change was refused: {why}"
        case CancelRejected():
            return f"a cancel was refused: {describe(event.reason, spec)}"
        case OrderTriggered():
            return triggered_text(story, each, event)
        case OrderActivated():
            began = began_text(story, each, event)
            if began is not None:
                return began
            terms = terms_text(spec, event.leaves_lots, event.price_ticks, event.stop_ticks)
            return f"went live: {terms}"
        case OrderHeld():
            return "filled all that there was; held until its entry fills more"
        case OrderExpired():
            return "expired: its time in force ran out"
        case OrderCancelled():
            return f"ended: {describe(event.reason, spec)}"
        case Unprotected():
            return "the position has no stop any more"
        case MarketHalted():
            return "the market closed" if event.reason is Reason.MARKET_CLOSED else "trading halted"
        case MarketResumed():
            return "the market trades again"
    return type(event).__name__


def shortened(explanation: Explanation, lines_max: int) -> Explanation:
    """The explanation with the middle of its lines left out, and one line that says so."""
    lines = explanation.lines
    if len(lines) <= lines_max:
        return explanation
    first = lines_max // 2
    last = len(lines) - (lines_max - first - 1)
    gap = replace(lines[first], text=f"... {last - first:,} lines ...", ahead="", left="")
    return replace(explanation, lines=(*lines[:first], gap, *lines[last:]))
