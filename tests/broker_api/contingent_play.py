"""Plays sessions with client-kept brackets and OCOs against the model venue, and judges them.

Everything comes from a seed. Each step some commands of a user, some events, some time. Then faults
end and the session heals; what must hold at the end and on the way is asserted here, against the
venue's own truth.

    python -m tests.broker_api.contingent_play --seeds 0:20000
"""

from __future__ import annotations

import argparse
import copy
import random
from collections import deque
from dataclasses import dataclass, field, replace

from broker_api.broker import Snapshot
from broker_api.catalog import find, load_catalog
from broker_api.client_bracket import Bracket
from broker_api.client_oco import Oco
from broker_api.contingency import Contingency, Protection, Reaction, RecordedEvent
from broker_api.event import EventKind, EventRow, Reason
from broker_api.exit_leg import Leg
from broker_api.journal import RecordedCommand
from broker_api.ledger import Ledger
from broker_api.order import (
    Arm,
    BracketRequest,
    CancelRequest,
    ExitRequest,
    OcoRequest,
    OnPartial,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Side,
    TimeInForce,
)
from broker_api.plain_order import asked_id, made_id
from tests.broker_api.plain_venue import MS, Faults, PlainVenue

MNQ = find(load_catalog(), "MNQ")
RULES = Protection(retry_ns=200 * MS, retry_max_ns=800 * MS, close_after_ns=3_000 * MS)
USER_STEPS = 60
HEALING_STEPS = 400


def faults_of(chance: random.Random) -> Faults:
    """A third of the sessions are calm, the others have one or several kinds of trouble."""
    rough = chance.random() < 0.66
    return Faults(
        refuse=chance.choice((0, 0.05, 0.2)) if rough else 0,
        lose=chance.choice((0, 0.05, 0.15)) if rough else 0,
        drop=chance.choice((0, 0.5, 1)),
        end=chance.choice((0, 0, 0.01)) if rough else 0,
        delay_max=chance.choice((0, 1, 3, 5)),
        no_replace=rough and chance.random() < 0.2,
        no_stops_until=chance.choice((0, 0, 0, 30)) if rough else 0,
    )


@dataclass
class Play:
    """One session: the machine, the venue, the session's ledger, and what was recorded."""

    seed: int
    chance: random.Random = field(init=False)
    faults: Faults = field(init=False)
    venue: PlainVenue = field(init=False)
    machine: Contingency = field(init=False)
    ledger: Ledger = field(init=False)
    records: list[RecordedCommand | RecordedEvent] = field(default_factory=list)
    told: list[EventRow] = field(default_factory=list)
    begun: dict[int, tuple[Contingency, int, int]] = field(default_factory=dict)
    """By how many records there were when an input was in: the machine then, how many events it
    had told, how many records there were when its commands were in; where they are kept."""
    keeps_states: bool = False
    last_id: int = 0
    watch: dict[int, Watch] = field(default_factory=dict)
    brackets: dict[int, Bracket] = field(default_factory=dict)
    ocos: dict[int, Oco] = field(default_factory=dict)
    leg_of: dict[int, Leg] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.faults = faults_of(self.chance)
        self.venue = PlainVenue(self.chance, self.faults)
        self.machine = Contingency.opened([MNQ], RULES)
        self.ledger = Ledger([MNQ], Snapshot("TEST", "USD", 10**15, ()))

    # --- inputs --------------------------------------------------------------------------------

    def _take(self, reaction: Reaction, *, by_time: bool = False) -> None:
        """Record and send what the machine wants sent; fold what it tells like a session."""
        first = len(self.records) + by_time
        for row in reaction.events:
            self.told.append(row)
            self.ledger.apply_event(row)
        for key, group in self.machine.groups.items():
            if key in self.watch and isinstance(group, Bracket):
                self.watch[key].peak = max(self.watch[key].peak, group.want_lots())
        for command in reaction.commands:
            self.records.append(RecordedCommand(self.venue.now_ns, 0, command))
            self.venue.send(command)
        if self.keeps_states and (reaction.commands or not by_time):
            kept = copy.deepcopy(self.machine)
            self.begun[first] = (kept, len(self.told), len(self.records))

    def give(self, command: object) -> None:
        """The user gives a command."""
        now_ns = self.venue.now_ns
        self.records.append(RecordedCommand(now_ns, 0, command))
        self.ledger.apply_command(now_ns, command)
        self._take(self.machine.command(now_ns, command))
        for key, group in self.machine.groups.items():
            kept = self.brackets if isinstance(group, Bracket) else self.ocos
            kept.setdefault(key, group)
            self.leg_of.update({leg.order_id: leg for leg in group.legs})
            if isinstance(group, Bracket):
                self.watch.setdefault(key, Watch(self._lag()))

    def step(self) -> None:
        """A step of the venue, what reaches the client in it, and what time alone causes."""
        self.venue.advance()
        for row in self.venue.deliver():
            self.records.append(RecordedEvent(self.venue.now_ns, row))
            self._take(self.machine.hear(row, self.venue.now_ns))
        due_ns = self.machine.due_ns()
        if due_ns is not None and due_ns <= self.venue.now_ns:
            self._take(self.machine.on_time(self.venue.now_ns), by_time=True)
        self._judge_step()

    # --- the user ------------------------------------------------------------------------------

    def act(self) -> None:
        """Something that a user might do now."""
        pick = self.chance.random()
        if pick < 0.12:
            self.give(self._bracket())
        elif pick < 0.16:
            self.give(self._oco())
        elif pick < 0.20:
            self.give(self._single())
        elif pick < 0.24:
            self._cancel()
        elif pick < 0.30:
            self._change()

    def _order(self, side: Side, lots: int, kind: OrderType, price: int | None) -> OrderRequest:
        self.last_id += 1
        is_stop = kind is OrderType.STOP
        return OrderRequest(
            order_id=self.last_id,
            client_order_id=str(self.last_id),
            instrument="MNQ",
            side=side,
            order_type=kind,
            size_lots=lots,
            limit_ticks=price if kind is OrderType.LIMIT else None,
            stop_ticks=price if is_stop else None,
            time_in_force=TimeInForce.GTC,
        )

    def _bracket(self) -> BracketRequest:
        chance, price = self.chance, self.venue.price
        side, lots = Side(chance.randint(0, 1)), chance.randint(1, 6)
        kind = chance.choice((OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT, OrderType.STOP))
        away = chance.randint(0, 6) * (1 if kind is OrderType.STOP else -1)
        entry = self._order(side, lots, kind, price + side.sign * away)
        stop = self._exit(entry, price, -1) if chance.random() < 0.9 else None
        target = self._exit(entry, price, 1) if stop is None or chance.random() < 0.85 else None
        return BracketRequest(
            entry,
            stop,
            target,
            Arm.FULL if chance.random() < 0.2 else Arm.PARTIAL,
            OnPartial.CANCEL if chance.random() < 0.2 else OnPartial.SHRINK,
        )

    def _exit(self, entry: OrderRequest, price: int, way: int) -> ExitRequest:
        self.last_id += 1
        distance = self.chance.randint(2, 15)
        terms: dict[str, int] = {"offset_ticks": distance}
        if self.chance.random() < 0.3:
            level = price + entry.side.sign * way * (distance + 8)
            terms = {"price_ticks": level}
        if way < 0 and self.chance.random() < 0.2:
            terms["limit_offset_ticks"] = 3
        return ExitRequest(self.last_id, str(self.last_id), **terms)

    def _oco(self) -> OcoRequest:
        chance, price = self.chance, self.venue.price
        lots = chance.randint(1, 5)
        first_side = Side(chance.randint(0, 1))
        second_side = first_side if chance.random() < 0.7 else first_side.opposite
        away, beyond = chance.randint(1, 10), chance.randint(1, 10)
        first = self._order(first_side, lots, OrderType.LIMIT, price - first_side.sign * away)
        second = self._order(second_side, lots, OrderType.STOP, price + second_side.sign * beyond)
        mode = OnPartial.CANCEL if chance.random() < 0.3 else OnPartial.SHRINK
        return OcoRequest(first, second, mode)

    def _single(self) -> OrderRequest:
        """An order of the user's that often reduces the position."""
        side = Side.SELL if self.venue.position > 0 else Side.BUY
        if self.chance.random() < 0.3:
            side = side.opposite
        if self.chance.random() < 0.5:
            return self._order(side, self.chance.randint(1, 4), OrderType.MARKET, None)
        price = self.venue.price - side.sign * self.chance.randint(1, 8)
        return self._order(side, self.chance.randint(1, 4), OrderType.LIMIT, price)

    def _working(self) -> list[int]:
        return [
            order_id
            for order_id, record in self.ledger.working.items()
            if order_id == asked_id(order_id) and order_id > 0 and record.status != "uncertain"
        ]

    def _cancel(self) -> None:
        if working := self._working():
            self.give(CancelRequest(self.chance.choice(working)))

    def _change(self) -> None:
        working = self._working()
        if not working:
            return
        record = self.ledger.orders[self.chance.choice(working)]
        change = ReplaceRequest(record.order_id)
        if self.chance.random() < 0.5:
            change = replace(change, size_lots=max(1, record.size_lots - 1))
        elif record.stop_ticks is not None:
            change = replace(change, stop_ticks=record.stop_ticks + self.chance.choice((-1, 1)))
        elif record.limit_ticks is not None:
            change = replace(change, limit_ticks=record.limit_ticks + self.chance.choice((-1, 1)))
        self.give(change)

    # --- on the way ----------------------------------------------------------------------------

    def _judge_step(self) -> None:
        for key, bracket in self.machine.groups.items():
            if isinstance(bracket, Bracket):
                self.watch[key].look(self, bracket)

    def _lag(self) -> int:
        """How many steps an answer takes at most, twice over and with a renewal in between."""
        faults = self.faults
        answer = 2 * faults.delay_max + 2 + (faults.doubt_steps + 2 if faults.lose else 0)
        return 5 * answer + RULES.retry_max_ns // (100 * MS)

    def live_lots(self, leg_id: int) -> int:
        """What the venue has live for a leg, over all orders that stood for it."""
        orders, lots = self.venue.orders, 0
        leg = self.leg_of[leg_id]
        for attempt in range(leg.attempts):
            order = orders.get(made_id(leg_id, attempt))
            lots += 0 if order is None else order.left
        return lots

    # --- the run -------------------------------------------------------------------------------

    def run(self) -> Play:
        for _ in range(USER_STEPS):
            self.act()
            self.step()
        calm = replace(self.faults, refuse=0.0, lose=0.0, end=0.0, no_stops_until=0)
        self.venue.faults = calm
        for _ in range(HEALING_STEPS):
            self.step()
            if self._is_settled():
                break
        else:
            raise AssertionError("it did not come to rest")
        self._judge_end()
        return self

    def _is_settled(self) -> bool:
        orders = self.venue.orders.values()
        trades = any(o.left and o.request.order_type is OrderType.MARKET for o in orders)
        return self.venue.is_quiet() and self.machine.due_ns() is None and not trades

    def _judge_end(self) -> None:
        venue, machine = self.venue, self.machine
        assert machine.positions == [venue.position], "the position is the venue's"
        assert self.ledger.positions[0].lots == venue.position
        wanted = self._wanted()
        live = {order_id: order.left for order_id, order in venue.orders.items() if order.left}
        assert live == wanted, "what works at the venue is what is wanted, nothing else"
        for side in Side:
            covered = sum(
                max(0, group.open_lots)
                for group in machine.groups.values()
                if isinstance(group, Bracket) and group.request.entry.side is side
            )
            assert covered <= max(0, venue.position * side.sign), "no exit without a position"
        for key, bracket in self.brackets.items():
            self._judge_bracket(key, bracket)
        for oco in self.ocos.values():
            self._judge_oco(oco)
        for order_id, record in self.ledger.working.items():
            held = record.held and record.group[0] in machine.groups
            assert held or order_id in live or self._attempt_of(order_id) in live

    def _attempt_of(self, order_id: int) -> int | None:
        for group in self.machine.groups.values():
            for leg in group.legs:
                if leg.order_id == order_id and leg.order is not None:
                    return leg.order.order_id
        return None

    def _wanted(self) -> dict[int, int]:
        """By order id what should be live now that all is known."""
        wanted = {}
        for group in self.machine.groups.values():
            if isinstance(group, Bracket) and not group.entry.is_over:
                wanted[group.entry.order_id] = group.entry.leaves_lots
            for leg in group.legs:
                index = group.legs.index(leg)
                lots = group.want_lots() if isinstance(group, Bracket) else group.left_lots[index]
                if leg.ends_with is None and not leg.is_over and lots:
                    assert leg.order is not None, "an exit that is wanted is there"
                    wanted[leg.order.order_id] = lots
        owned = set(self.machine.owners)
        for order_id, order in self.venue.orders.items():
            if asked_id(order_id) not in owned and order.left:
                wanted[order_id] = order.left
        return wanted

    def _traded(self, ids: range | tuple[int, ...]) -> int:
        """Signed lots that orders standing for these ids have traded at the venue."""
        return sum(
            order.request.side.sign * order.filled
            for order_id, order in self.venue.orders.items()
            if asked_id(order_id) in ids
        )

    def _judge_bracket(self, key: int, bracket: Bracket) -> None:
        """What its own orders traded is what it still has to close: never less than nothing."""
        ids = (key, *(leg.order_id for leg in bracket.legs))
        held = self._traded(ids) * bracket.sign
        capped = bracket.entry.filled_lots - min(
            bracket.entry.filled_lots,
            bracket.entry.filled_lots if bracket.cap_lots is None else bracket.cap_lots,
        )
        assert held == bracket.open_lots + bracket.released_lots + capped
        assert bracket.open_lots >= 0, "a double exit was repaired"
        if bracket.is_closing:
            assert bracket.open_lots == 0, "an emergency closes all"
        stop = bracket.stop
        if key in self.machine.groups and stop is not None and stop.ends_with is None:
            assert self.live_lots(stop.order_id) == bracket.want_lots()

    def _judge_oco(self, oco: Oco) -> None:
        """Both legs together trade one leg's size at most, when the excess has been traded back."""
        legs = [leg.order_id for leg in oco.legs]
        sides = {leg.template.side for leg in oco.legs}
        most = max(leg.template.size_lots for leg in oco.legs)
        if len(sides) == 1:
            assert abs(self._traded(tuple(legs))) <= most
        assert not any(oco.excess_lots)


@dataclass
class Watch:
    """What one bracket was at the venue during the last steps."""

    lag: int
    opens: deque[int] = field(default_factory=deque)
    peaks: deque[int] = field(default_factory=deque)
    peak: int = 0
    bare_steps: int = 0

    def look(self, play: Play, bracket: Bracket) -> None:
        """Neither bare nor over-covered for longer than messages take, unless that was said."""
        want = bracket.want_lots()
        self.opens.append(want)
        self.peaks.append(max(self.peak, want))
        self.peak = want
        if len(self.peaks) > self.lag:
            self.peaks.popleft()
        if len(self.opens) > self.lag:
            self.opens.popleft()
        for leg in bracket.legs:
            live = play.live_lots(leg.order_id)
            if not (play.faults.refuse or play.faults.lose):
                assert live <= max(self.peaks), "no exit for more than was open lately"
        stop = bracket.stop
        is_bare = (
            want > 0
            and stop is not None
            and stop.ends_with is None
            and bracket.lost_ns is None
            and play.live_lots(stop.order_id) < min(self.opens)
        )
        self.bare_steps = self.bare_steps + 1 if is_bare else 0
        assert self.bare_steps <= self.lag, "unprotected for long, and nobody was told"


def count_of(plays: list[Play]) -> dict[str, int]:
    """How often the rare things happened: a run that never meets them proves nothing."""
    counts = {"fills": 0, "double_exits": 0, "repairs": 0, "unprotected": 0, "closed": 0}
    counts |= {"uncertain": 0, "attempts": 0, "released": 0, "double_ocos": 0}
    for play in plays:
        counts["fills"] += play.venue.fills
        for row in play.told:
            counts["double_exits"] += row.kind == EventKind.DOUBLE_EXIT
            counts["unprotected"] += row.kind == EventKind.UNPROTECTED
            counts["uncertain"] += row.kind == EventKind.UNCERTAIN
            counts["repairs"] += row.kind == EventKind.ACCEPTED and row.reason == Reason.REPAIR
        for bracket in play.brackets.values():
            counts["closed"] += bracket.closed_lots > 0
            counts["attempts"] += sum(leg.attempts > 1 for leg in bracket.legs)
            counts["released"] += bracket.released_lots > 0
        counts["double_ocos"] += sum(oco.repairs is not None for oco in play.ocos.values())
    return counts


def play(seed: int, *, keeps_states: bool = False) -> Play:
    """Play one seed; an assertion that fails names it."""
    session = Play(seed, keeps_states=keeps_states)
    try:
        return session.run()
    except AssertionError as failure:
        failure.add_note(f"python -m tests.broker_api.contingent_play --seeds {seed}:{seed + 1}")
        raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="FROM:TO")
    first, last = map(int, parser.parse_args().seeds.split(":"))
    totals: dict[str, int] = {}
    for seed in range(first, last):
        for name, count in count_of([play(seed)]).items():
            totals[name] = totals.get(name, 0) + count
    print(f"{last - first} sessions: " + ", ".join(f"{n} {c}" for n, c in totals.items()))


if __name__ == "__main__":
    main()
