"""Which order of one run is which order of another: by its lineage, then by sequence.

An order keeps its identity from run to run by what the strategy called it (client order id, tag),
by its bracket, and, where it has no name, by being the next of its kind at about the same time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from broker_api.order import OrderType, Role, Side
from reports.lives import OrderLife

WINDOW_NS = 5_000_000_000
"""How far apart two decisions without names may be and still be the same one: 5 s."""

Signature = tuple[str, Side, OrderType, Role]


@dataclass(frozen=True, slots=True)
class Pair:
    """An order in both runs, or in one of them. `by` says what makes them one order."""

    first: OrderLife | None
    second: OrderLife | None
    by: str

    @property
    def order(self) -> OrderLife:
        """The order of the run that has it, the first run's where both do."""
        order = self.first or self.second
        assert order is not None
        return order


@dataclass(frozen=True)
class Orders:
    """The orders of a run, with the symbols of its instruments."""

    lives: Mapping[int, OrderLife]
    symbols: Sequence[str]

    def signature(self, life: OrderLife) -> Signature:
        """What two orders must have in common."""
        return (self.symbols[life.instrument], life.side, life.order_type, life.role)


def pair_orders(first: Orders, second: Orders, window_ns: int = WINDOW_NS) -> tuple[Pair, ...]:
    """Every order of both runs, once: pairs and those without a partner, in time order."""
    pairs: list[Pair] = []
    left, right = (
        {key: life for key, life in each.lives.items() if not life.is_exit}
        for each in (first, second)
    )

    def match(found: Iterable[tuple[OrderLife, OrderLife]], by: str) -> None:
        for a, b in list(found):
            del left[a.order_id], right[b.order_id]
            pairs.append(Pair(a, b, by))

    match(_by_name(left, right, first, second), "client order id")
    match(_by_tag(left, right, first, second), "tag")
    match(_by_sequence(left, right, first, second, window_ns), "sequence")
    pairs += [Pair(life, None, "") for life in left.values()]
    pairs += [Pair(None, life, "") for life in right.values()]
    exits = _exits_of(first), _exits_of(second)
    for pair in tuple(pairs):
        pairs += _pair_exits(pair, *exits)
    return tuple(sorted(pairs, key=_when))


def _when(pair: Pair) -> tuple[int, int, bool]:
    order = pair.order
    return (order.decided_ns or order.arrived_ns or 0, order.order_id, pair.first is None)


def is_named(life: OrderLife) -> bool:
    """True when the user chose the client order id: those that are made are the order's number."""
    return bool(life.client_order_id) and life.client_order_id.rstrip("x") != str(life.order_id)


_Lives = dict[int, OrderLife]


def _grouped(
    lives: Iterable[OrderLife], key: Callable[[OrderLife], Hashable]
) -> dict[Hashable, list[OrderLife]]:
    groups: dict[Hashable, list[OrderLife]] = defaultdict(list)
    for life in lives:
        groups[key(life)].append(life)
    return groups


def _by_name(
    left: _Lives, right: _Lives, first: Orders, second: Orders
) -> Iterator[tuple[OrderLife, OrderLife]]:
    named = {
        (life.client_order_id, second.signature(life)): life
        for life in right.values()
        if is_named(life)
    }
    for life in left.values():
        if is_named(life):
            partner = named.get((life.client_order_id, first.signature(life)))
            if partner is not None:
                yield life, partner


def _by_tag(
    left: _Lives, right: _Lives, first: Orders, second: Orders
) -> Iterator[tuple[OrderLife, OrderLife]]:
    """The n-th order of a tag is the n-th of it, where both runs have as many."""
    tagged = (
        _grouped(
            (life for life in lives.values() if life.tag),
            lambda life: (life.tag, orders.signature(life)),  # noqa: B023
        )
        for lives, orders in ((left, first), (right, second))
    )
    mine, theirs = tagged
    for key, group in mine.items():
        if len(group) == len(theirs.get(key, ())):
            yield from zip(group, theirs[key], strict=True)


def _by_sequence(
    left: _Lives, right: _Lives, first: Orders, second: Orders, window_ns: int
) -> Iterator[tuple[OrderLife, OrderLife]]:
    """Orders of one kind in the order of their decisions, each with the nearest in time."""
    mine = _grouped(left.values(), first.signature)
    theirs = _grouped(right.values(), second.signature)
    for key, group in mine.items():
        others = sorted(theirs.get(key, []), key=_decided)
        at = 0
        for life in sorted(group, key=_decided):
            while at < len(others) and _decided(others[at]) < _decided(life) - window_ns:
                at += 1
            # A later one may be nearer; those before it then have no partner.
            while at + 1 < len(others) and _gap(others[at + 1], life) < _gap(others[at], life):
                at += 1
            if at < len(others) and _gap(others[at], life) <= window_ns:
                yield life, others[at]
                at += 1


def _decided(life: OrderLife) -> int:
    return life.decided_ns or life.arrived_ns or 0


def _gap(one: OrderLife, other: OrderLife) -> int:
    return abs(_decided(one) - _decided(other))


def _exits_of(orders: Orders) -> dict[tuple[int, Role], OrderLife]:
    return {(life.group, life.role): life for life in orders.lives.values() if life.is_exit}


def _pair_exits(
    entry: Pair,
    first: Mapping[tuple[int, Role], OrderLife],
    second: Mapping[tuple[int, Role], OrderLife],
) -> Iterator[Pair]:
    for role in (Role.STOP_EXIT, Role.TARGET_EXIT):
        one = first.get((entry.first.order_id, role)) if entry.first else None
        other = second.get((entry.second.order_id, role)) if entry.second else None
        if one is not None or other is not None:
            yield Pair(one, other, "bracket" if one is not None and other is not None else "")
