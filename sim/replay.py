"""A recorded run once more: the exchange rebuilt, its commands sent again, its events compared.

The journal says when each command was sent; everything after that is a function of tapes, settings
and commands, so a replay that does not give the recorded events has other ones before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_api.calendar import SessionCalendar, load_calendar
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import TradingError
from broker_api.event import EVENT_ROW, SESSION_KINDS, Event, EventKind, encode
from broker_api.instrument import Instrument
from broker_api.journal import RecordedCommand
from data.tape import Tape
from sim.arrivals import Arrivals
from sim.exchange import Exchange


class ReplayError(TradingError):
    """The replay gave other events than were recorded. Nothing was sent anywhere."""


@dataclass(frozen=True)
class Recording:
    """A session as it was: what the exchange was made of, what was sent, what came back.

    `started_ns` and `ended_ns` are the session's first and last instant; `events` are the journal's
    rows. Calendars default to the instruments' own.
    """

    instruments: tuple[Instrument, ...]
    tapes: tuple[Tape, ...]
    simulation: SimulationConfig
    account: AccountConfig
    started_ns: int
    ended_ns: int
    commands: tuple[RecordedCommand, ...]
    events: npt.NDArray[np.void]
    calendars: tuple[SessionCalendar, ...] = ()

    def calendars_in_force(self) -> tuple[SessionCalendar, ...]:
        """One calendar an instrument."""
        return self.calendars or tuple(load_calendar(item.calendar) for item in self.instruments)

    def exchange(self) -> Exchange:
        """The exchange of the session, at its start."""
        return Exchange(*self.exchange_arguments())

    def exchange_arguments(
        self,
    ) -> tuple[
        tuple[Instrument, ...],
        tuple[Tape, ...],
        tuple[SessionCalendar, ...],
        SimulationConfig,
        AccountConfig,
        int,
    ]:
        """What the exchange is made of."""
        return (
            self.instruments,
            self.tapes,
            self.calendars_in_force(),
            self.simulation,
            self.account,
            self.started_ns,
        )


Look = Callable[[Sequence[Event], RecordedCommand | None], None]
"""Told of the events after each stretch of time (None) and after each command that arrived."""


def replay(recording: Recording, exchange: Exchange, look: Look | None = None) -> list[Event]:
    """Send the recorded commands to `exchange` again; returns every event up to the session's end.

    Raises ReplayError when they are not the recorded ones. Events behind the recorded ones were
    under way when the session ended; nobody has seen them.
    """
    run = _Run(recording, exchange, look)
    run.play()
    _compare(of_the_exchange(recording.events), run.events)
    return run.events


def commands_played(recording: Recording) -> list[Event]:
    """What the simulated exchange makes of recorded commands, whoever they were sent to.

    The `events` of the recording are not looked at.
    """
    run = _Run(recording, recording.exchange(), None)
    run.play()
    return run.events


def of_the_exchange(events: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """The recorded events without those that the session told by itself."""
    own = sorted(int(kind) for kind in SESSION_KINDS)
    return events[~np.isin(events["kind"], own)]


class _Run:
    def __init__(self, recording: Recording, exchange: Exchange, look: Look | None) -> None:
        self.events: list[Event] = []
        self._recording = recording
        self._exchange = exchange
        self._look = look

    def play(self) -> None:
        recording, exchange = self._recording, self._exchange
        arrivals: Arrivals[RecordedCommand] = Arrivals(
            recording.simulation,
            recording.instruments,
            recording.calendars_in_force(),
            recording.tapes,
        )
        for each in recording.commands:
            arrivals.send(each.ts_ns, each.command, each)
        while arrivals.next_ns() <= recording.ended_ns:
            self._run_to(max(arrivals.next_ns(), exchange.now_ns))
            while (arrived := arrivals.take(exchange.now_ns)) is not None:
                self._keep(exchange.execute(arrived[0]), arrived[1])
        self._run_to(recording.ended_ns)

    def _run_to(self, ts_ns: int) -> None:
        while True:
            new = self._exchange.advance(ts_ns)
            self._keep(new, None)
            if self._exchange.now_ns >= ts_ns and not new:
                return

    def _keep(self, events: list[Event], command: RecordedCommand | None) -> None:
        self.events += events
        if self._look is not None:
            self._look(events, command)


def _compare(recorded: npt.NDArray[np.void], replayed: Sequence[Event]) -> None:
    count = len(recorded)
    rows = np.array([encode(event) for event in replayed[:count]], dtype="<i8")
    found = rows.reshape(-1).view(EVENT_ROW)
    same = np.flatnonzero(found != recorded[: len(found)])
    first = int(same[0]) if len(same) else len(found)
    if first == count:
        return
    there = f"the journal has {_event_text(recorded, first)}"
    here = f"the replay {_event_text(found, first)}"
    raise ReplayError(f"event {first + 1:,} of {count:,} is another one: {there}, {here}")


def _event_text(events: npt.NDArray[np.void], at: int) -> str:
    if at >= len(events):
        return "nothing more"
    row = events[at]
    kind = EventKind(int(row["kind"])).name.lower()
    order = f" of order {int(row['order_id'])}" if row["order_id"] else ""
    return f"{kind}{order} at {int(row['ts_ns'])} ns"
