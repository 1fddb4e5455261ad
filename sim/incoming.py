"""What reaches a session whose market is still going on: rows, and how far they are complete.

A session on a tape knows where its tape ends; one on a live feed knows up to which time every row
is there: its *horizon*. Virtual time never passes it. Everything that comes from outside comes
through here, in one order, so that whoever keeps the arrivals can play the session again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from data.growing import GrowingTape
from data.schema import TapeColumns

Request = Mapping[str, Any]
"""What an operator asks of a running session, as plain data."""


@dataclass(frozen=True)
class Arrival:
    """What has come since the last one: `rows` have one entry an instrument, None without any.

    From now on every row up to `horizon_ns` is known: rows of a later arrival are later. `requests`
    are served at that time. `is_last`: the feed has ended, the session ends there. `was_away`: the
    session was not running since the last arrival; the market was.
    """

    horizon_ns: int
    rows: tuple[TapeColumns | None, ...]
    requests: tuple[Request, ...] = ()
    is_last: bool = False
    was_away: bool = False


class Incoming(Protocol):
    """A market that is going on."""

    @property
    def tapes(self) -> tuple[GrowingTape, ...]:
        """One an instrument; the session appends what arrives."""

    def next(self, until_ns: int | None) -> Arrival:
        """Wait for something to come, or for the time `until_ns`; None: however long it takes.

        The horizon never goes back, and `until_ns` may not be reached yet.
        """

    def serve(self, request: Request) -> Any:
        """Do what an operator asked; called in the session's loop. May return an awaitable."""


@dataclass(frozen=True)
class LiveTape:
    """In the place of an instrument's tape: the part of a market that is going on."""

    incoming: Incoming
    symbol: str


def incoming_of(tapes: tuple[object, ...]) -> Incoming | None:
    """The market behind these tapes, None where they are tapes. All are, or none is."""
    live = [tape.incoming for tape in tapes if isinstance(tape, LiveTape)]
    return live[0] if live and len(live) == len(tapes) else None
