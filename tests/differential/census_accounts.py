"""What happens between accounts in random sessions, counted: matches, and what is special of them.

Only what was sent, what was published and the tapes are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from broker_api.event import (
    Event,
    Liquidation,
    OrderAccepted,
    OrderCancelled,
    OrderEventBase,
    OrderFilled,
    OrderHeld,
    OrderRejected,
    OrderReplaced,
    Reason,
)
from broker_api.order import (
    CancelRequest,
    Liquidity,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Side,
    TimeInForce,
    requests_of,
)
from data.tape import Tape
from tests.differential.crowd import Sent
from tests.differential.drive import Ran
from tests.sim.matches import matches

Counts = Counter[str]
Key = tuple[int, int]
SHRUNK = {
    Reason.OCO_RESIZED: "a maker's OCO sibling is resized by a match",
    Reason.EXIT_RESIZED: "a maker's exit is resized by a match",
    Reason.SIBLING: "a maker's sibling is cancelled by a match",
}


def count_accounts(counts: Counts, ran: Ran) -> None:
    """Everything that is counted between the accounts of one session."""
    tapes, requests = ran.case.tapes, _requests(ran)
    found = [(make, take) for make, take in matches(ran.events) if take is not None]
    matched = {id(fill) for pair in found for fill in pair}
    for make, take in found:
        _count_match(counts, tapes, requests, make, take)
    _count_turns(counts, ran.events, matched)
    _count_consequences(counts, ran.events, matched)
    for event in ran.events:
        if isinstance(event, OrderRejected) and event.reason is Reason.POST_ONLY_WOULD_TAKE:
            request = requests.get((event.account, event.order_id))
            if request is not None:
                _count_post_only(counts, tapes[event.instrument], request.side, event)
    _count_liquidations(counts, ran.events)


def _count_post_only(counts: Counts, tape: Tape, side: Side, event: OrderRejected) -> None:
    touch = _touch(tape, event.ts_ns, side)
    is_by_tape = touch is not None and (event.value - touch) * side.sign >= 0
    counts["post-only is refused because of a foreign maker"] += not is_by_tape


def _requests(ran: Ran) -> dict[Key, OrderRequest]:
    """What was sent, by account and order id; exits are not in it."""
    sent = [action for action in ran.actions if isinstance(action, Sent)]
    found: dict[Key, OrderRequest] = {}
    for account, command in sent:
        if not isinstance(command, CancelRequest | ReplaceRequest):
            found |= {(account, item.order_id): item for item in requests_of(command)}
    return found


def _touch(tape: Tape, ts_ns: int, side: Side) -> int | None:
    """The touch that an order of the side meets after the rows of a time; None: an empty side."""
    rows = tape.columns
    at = int(rows.ts.searchsorted(ts_ns, side="right")) - 1
    prices, sizes = (rows.ask, rows.ask_qty) if side is Side.BUY else (rows.bid, rows.bid_qty)
    return int(prices[at]) if at >= 0 and sizes[at] else None


def _count_match(
    counts: Counts,
    tapes: Sequence[Tape],
    requests: dict[Key, OrderRequest],
    make: OrderFilled,
    take: OrderFilled,
) -> None:
    counts["match"] += 1
    tape, request = tapes[take.instrument], requests.get((take.account, take.order_id))
    meets, behind = (_touch(tape, take.ts_ns, side) for side in (take.side, make.side))
    if meets is not None and behind is not None:
        is_inside = (meets - take.price_ticks) * take.side.sign > 0
        is_inside = is_inside and (take.price_ticks - behind) * take.side.sign > 0
        counts["match inside the spread"] += is_inside
        counts["match at the touch"] += take.price_ticks == meets
        counts["match beyond the touch"] += (take.price_ticks - meets) * take.side.sign > 0
    if take.order_id < 0:
        counts["match of a liquidation"] += 1
    elif request is None:
        counts["match of an exit that takes"] += 1
    else:
        counts[f"match of a {request.order_type.name}"] += 1
        counts["match of a FOK"] += request.time_in_force is TimeInForce.FOK
        counts["match of a reduce-only taker"] += request.reduce_only
        is_market = request.order_type is OrderType.MARKET
        counts["market order against an empty side meets a maker"] += is_market and meets is None
    maker = requests.get((make.account, make.order_id))
    counts["match with an exit that rests"] += maker is None
    counts["match with a reduce-only maker"] += maker is not None and maker.reduce_only


def _count_turns(counts: Counts, events: Sequence[Event], matched: set[int]) -> None:
    """At one price: the tape's lots ahead of a maker, the maker, the tape again."""
    turns: dict[tuple[int, int, int, int], str] = {}
    for event in events:
        if not isinstance(event, OrderFilled) or event.liquidity is not Liquidity.TAKER:
            continue
        key = event.ts_ns, event.account, event.order_id, event.price_ticks
        turns[key] = turns.get(key, "") + ("m" if id(event) in matched else "t")
    for turn in turns.values():
        counts["at one price: tape, maker"] += "tm" in turn
        counts["at one price: tape, maker, tape"] += "tmt" in turn
        counts["at one price: two makers"] += turn.count("m") > 1
        counts["at one price: tape, maker, tape, maker"] += "tmtm" in turn


def _count_consequences(counts: Counts, events: Sequence[Event], matched: set[int]) -> None:
    """What follows a maker's fill in its own account, up to the next fill."""
    account = -1
    for event in events:
        if isinstance(event, OrderFilled):
            is_maker = id(event) in matched and event.liquidity is Liquidity.MAKER
            account = event.account if is_maker else -1
        elif event.account == account and isinstance(event, OrderReplaced | OrderCancelled):
            if event.reason in SHRUNK:
                counts[SHRUNK[event.reason]] += 1
            counts["a maker ends a reduce-only order"] += event.reason is Reason.REDUCE_ONLY_DONE
        elif event.account == account and isinstance(event, OrderHeld):
            counts["a maker's exit is held again"] += 1
        elif isinstance(event, OrderAccepted) or not isinstance(event, OrderEventBase):
            continue


def _count_liquidations(counts: Counts, events: Sequence[Event]) -> None:
    """Liquidations by how many accounts have one at that time."""
    whose: dict[int, set[int]] = {}
    for event in events:
        if isinstance(event, Liquidation):
            whose.setdefault(event.ts_ns, set()).add(event.account)
    for accounts in whose.values():
        counts["liquidation of one account only"] += len(accounts) == 1
        counts["liquidation of several accounts at once"] += len(accounts) > 1
