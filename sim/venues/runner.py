"""The one door through which a local venue changes, and the record of what went through it.

A venue is a function of its settings and of its inputs: signed actions, money given, prices set,
each with the market's and the wall's time. So a snapshot is the list of inputs, restoring is doing
them again on a new venue, and the state's hash tells whether the same came out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from broker_api.errors import ConfigurationError
from broker_api.event import EventKind, EventRow, Reason
from broker_api.order import NO_PRICE, STATUS_BY_CODE
from sim.venues.clock import MarketClock, WallClock
from sim.venues.venue import Venue

MS_NS = 1_000_000
SNAPSHOT_FORMAT = 1


@dataclass(frozen=True)
class Input:
    """One thing that changed the venue: when, by the market and by the wall, and what."""

    market_ns: int
    wall_ms: int
    kind: str
    payload: Mapping[str, Any]
    events_before: int
    """How many events the venue had published when it came."""


class Engine(Protocol):
    """A wire layer's whole state over a venue; it knows no network."""

    name: str
    venue: Venue

    def perform(self, entry: Input) -> Any:
        """Do what an input of the wire layer's own kind asks; the answer is the wire layer's.

        Raises TradingError, and has changed nothing then.
        """

    def next_wall_ms(self) -> int | None:
        """When the next timer of the wall clock is due; None while there is none."""

    def fire(self, entry: Input) -> None:
        """Do what the timers say that are due at the input's wall time."""


class Runner:
    """An engine in its time: brings the market to the present before anything happens.

    `make` gives the engine in its first state, each time the same.
    """

    def __init__(
        self, make: Callable[[], Engine], wall_ns: WallClock, speed: Fraction = Fraction(0)
    ) -> None:
        self._make = make
        self._wall_ns = wall_ns
        self.engine = make()
        self.inputs: list[Input] = []
        self.clock = MarketClock(wall_ns, self.venue.now_ns, speed)

    @property
    def venue(self) -> Venue:
        """The venue as it is now; another one after `restore`."""
        return self.engine.venue

    def wall_ms(self) -> int:
        """Wall time in milliseconds, as nonces and timers count it; never before the last input."""
        now_ms = self._wall_ns() // MS_NS
        return max(now_ms, self.inputs[-1].wall_ms) if self.inputs else now_ms

    def catch_up(self) -> None:
        """Bring market and timers to the present. Called before every answer."""
        self.venue.advance_to(self.clock.now_ns())
        due_ms = self.engine.next_wall_ms()
        if due_ms is not None and due_ms <= self.wall_ms():
            self._apply("timers", {})

    def perform(self, kind: str, payload: Mapping[str, Any]) -> Any:
        """Do it at the present and record it. Raises TradingError; nothing changed then."""
        self.catch_up()
        return self._apply(kind, payload)

    def _apply(self, kind: str, payload: Mapping[str, Any]) -> Any:
        venue = self.venue
        entry = Input(venue.now_ns, self.wall_ms(), kind, payload, len(venue.events))
        answer = _perform(self.engine, entry)
        self.inputs.append(entry)
        return answer

    # --- time ------------------------------------------------------------------------------------

    def advance_to(self, ts_ns: int) -> None:
        """Let the market run there at once. Raises ConfigurationError for a time that is past."""
        self.catch_up()
        if ts_ns < self.venue.now_ns:
            raise ConfigurationError(
                f"market time is {self.venue.now_ns} ns and cannot go back to {ts_ns}"
            )
        self.venue.advance_to(ts_ns)
        self.clock.stand_at(self.venue.now_ns)

    def advance_to_fill(self, until_ns: int) -> bool:
        """Run to the next instant with a fill, at most to this time; True when there was one."""
        self.catch_up()
        found = self.venue.advance_to_fill(until_ns)
        self.clock.stand_at(self.venue.now_ns)
        return found

    def set_speed(self, speed: Fraction) -> None:
        """Let the market stand (0), or run at this multiple of its recorded speed."""
        self.catch_up()
        self.clock.set_speed(speed)
        self.clock.stand_at(self.venue.now_ns)  # where it is, not where it would be by now

    # --- snapshots -------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The venue's state as JSON: everything that went in, and what must come out."""
        self.catch_up()
        return {
            "format": SNAPSHOT_FORMAT,
            "venue": self.engine.name,
            "inputs": [
                [entry.market_ns, entry.wall_ms, entry.kind, dict(entry.payload)]
                for entry in self.inputs
            ],
            "market_ns": self.venue.now_ns,
            "state": self.venue.exchange.state_hash,
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go back to a snapshot: its inputs on a new venue. Raises ConfigurationError.

        Nothing has changed when it raises: another venue's snapshot, or one that was made with
        other tapes or settings.
        """
        if snapshot.get("format") != SNAPSHOT_FORMAT or snapshot.get("venue") != self.engine.name:
            raise ConfigurationError(f"this is no snapshot of a {self.engine.name} venue")
        engine = self._make()
        inputs: list[Input] = []
        try:
            for market_ns, wall_ms, kind, payload in snapshot["inputs"]:
                engine.venue.advance_to(market_ns)
                events = len(engine.venue.events)
                inputs.append(Input(market_ns, wall_ms, kind, payload, events))
                _perform(engine, inputs[-1])
            engine.venue.advance_to(snapshot["market_ns"])
        except (KeyError, TypeError, ValueError) as fault:
            raise ConfigurationError(f"the snapshot is damaged: {fault!r}") from None
        if engine.venue.exchange.state_hash != snapshot.get("state"):
            raise ConfigurationError("the snapshot was made with other tapes or settings")
        self._take_over(engine, inputs)

    def reset(self) -> None:
        """Go back to the first state."""
        self._take_over(self._make(), [])

    def _take_over(self, engine: Engine, inputs: list[Input]) -> None:
        self.engine, self.inputs = engine, inputs
        self.clock.stand_at(engine.venue.now_ns)

    # --- the journal -----------------------------------------------------------------------------

    def journal(self) -> Iterator[str]:
        """Every input and every event in order, each a line of JSON."""
        waiting = list(self.inputs)
        events, owners = self.venue.events, self.venue.owners
        for count, row in enumerate(events):
            while waiting and waiting[0].events_before <= count:
                yield _input_line(waiting.pop(0))
            yield json.dumps(_event_table(row, owners))
        for entry in waiting:
            yield _input_line(entry)


def _perform(engine: Engine, entry: Input) -> Any:
    """What all venues have is done here, the rest is the wire layer's."""
    venue, payload = engine.venue, entry.payload
    match entry.kind:
        case "price":
            index, sizes = venue.index_of(payload["symbol"]), payload["sizes"]
            venue.set_price(index, payload["ticks"], (sizes[0], sizes[1]), payload["spread_ticks"])
            return None
        case "halt":
            venue.set_halt(venue.index_of(payload["symbol"]), halted=payload["halted"])
            return None
        case "timers":
            engine.fire(entry)
            return None
    return engine.perform(entry)


def _input_line(entry: Input) -> str:
    table = {"market_ns": entry.market_ns, "wall_ms": entry.wall_ms, "input": entry.kind}
    return json.dumps(table | dict(entry.payload))


_ALWAYS = ("seq", "ts_ns", "instrument", "account")
_SHOWN_AS: dict[str, Callable[[int], str]] = {
    "status": lambda code: str(STATUS_BY_CODE[code]) if code else "",
    "reason": lambda code: Reason(code).name.lower(),
}


def _event_table(row: EventRow, owners: list[str]) -> dict[str, Any]:
    """An event by the names of its columns; those that it does not use are left out."""
    table: dict[str, Any] = {"event": EventKind(row.kind).name.lower()}
    if row.account < len(owners):
        table["owner"] = owners[row.account]
    for name, value in row._asdict().items():
        if name in _ALWAYS or (name != "kind" and value not in (0, NO_PRICE)):
            show = _SHOWN_AS.get(name)
            table[name] = value if show is None else show(value)
    return table
