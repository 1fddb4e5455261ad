"""`papertape paper`: a scenario on a market that is going on, recorded, resumed, and proved."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from broker_api.config import SessionDefaults
from broker_api.errors import ConfigurationError
from broker_api.wall_clock import WallClock
from papertape.ending import OK, ended
from papertape.live_feeds import market_of
from papertape.progress import print_summaries
from papertape.signals import graceful
from papertape.watching.board import Watched
from papertape.watching.outside import NOWHERE, Outside, told_outside
from papertape.watching.requests import OperatorRequest, perform
from papertape.watching.sessions import published
from papertape.watching.watch import Watch, Work
from scenarios.paper import (
    PaperPlan,
    PaperSession,
    Parity,
    begin,
    changes_since,
    plan_of,
    resume,
    verify,
)
from scenarios.paper_feed import FeedPlan
from scenarios.recording import Played, fill_folder, played_sessions, with_market
from scenarios.runner import Outcome
from scenarios.scenario import Scenario
from sim.inbox import Inbox
from sim.incoming import Request

NOT_EQUAL = 3
"""The session, played again from its journal, did something else."""
_STATUS_SECONDS = 1.0


@dataclass(frozen=True)
class PaperRequest:
    """A session as it was asked for. `resumes`: the one that its folder holds goes on."""

    plan: PaperPlan
    header: Mapping[str, Any] = field(default_factory=dict)
    resumes: bool = False
    report: bool = True
    parity: bool = True
    shows_page: bool = False
    outside: Outside = NOWHERE


def new_request(
    scenario: Scenario, assignments: Mapping[str, str], feed: FeedPlan, out: Path | None
) -> PaperRequest:
    """A new session in `out`, or in a folder below `runs` that is named by the time."""
    began = datetime.fromtimestamp(feed.began_ns / 1e9, UTC)
    folder = out or Path("runs") / f"{scenario.name}-paper-{began:%Y%m%d-%H%M%S}"
    return PaperRequest(PaperPlan(scenario, assignments, feed, folder))


def resumed_request(folder: Path) -> PaperRequest:
    """The session in a folder, to be gone on with. Raises ConfigurationError."""
    plan, header = plan_of(folder)
    return PaperRequest(plan, header, resumes=True)


def perform_paper(make_request: Callable[[], PaperRequest]) -> int:
    """Run the session that `make_request` describes; returns the exit code, see papertape.cli."""
    return ended(
        lambda: _perform(make_request()),
        interrupted="interrupted; `papertape paper --resume FOLDER` goes on with the session",
    )


def _perform(request: PaperRequest) -> int:
    console = Console(highlight=False)
    with told_outside(request.outside, request.plan.folder.name, os.environ) as tell:
        operated = Operated(console, tell, shows_page=request.shows_page)
        session = _opened(request, operated, console)
        request = replace(request, plan=session.plan)
        began = time.perf_counter()
        with graceful(session.feed.inbox.stop), operated.reachable(), operated.showing(console):
            console.print(f"session  {request.plan.folder}", soft_wrap=True)
            outcome = session.run()
        seconds = time.perf_counter() - began
    _save(request, outcome, seconds, console)
    if not request.parity:
        return OK
    header = request.header or plan_of(request.plan.folder)[1]
    return _proved(verify(request.plan, header, served_again), console)


def _opened(request: PaperRequest, operated: Operated, console: Console) -> PaperSession:
    wall_ns = WallClock().now_ns
    if not request.resumes:
        session = begin(request.plan, wall_ns, operated.serve, market_of)
    else:
        changed = changes_since(request.plan, request.header)
        if changed:
            console.print(
                f"since the session began {', '.join(changed)} changed: it goes on only if all "
                "that is recorded comes out the same",
                style="yellow",
            )
        session = resume(request.plan, wall_ns, operated.serve, operated.go_live, market_of)
        if session.writer.lost is not None:
            console.print(f"the journal was damaged: {session.writer.lost}", style="yellow")
    feed = request.plan.feed
    is_watched = feed.is_live or feed.speed > 0 or request.outside != NOWHERE
    operated.attend(session, is_watched=is_watched, resumes=request.resumes)
    return session


class Operated:
    """A running session's watch, and its operators' requests on their way through the journal."""

    def __init__(
        self, console: Console, tell: Callable[[Watched], None], *, shows_page: bool = False
    ) -> None:
        self._console = console
        self._tell_outside = tell
        self._shows_page = shows_page
        self._doors = ExitStack()
        self._folder = Path()
        self._works: dict[int, Work] = {}
        self._inbox: Inbox | None = None
        self.watch: Watch | None = None

    def attend(self, session: PaperSession, *, is_watched: bool, resumes: bool) -> None:
        """Watch the session as soon as it runs; one at full speed has nobody who could look.

        One that is resumed can be reached when it has played what is recorded.
        """
        self._inbox = session.feed.inbox
        self._folder = session.plan.folder
        if is_watched:
            self._attach_to(session, resumes=resumes)

    def _attach_to(self, session: PaperSession, *, resumes: bool) -> None:
        inbox = session.feed.inbox
        name = session.plan.folder.name

        async def end() -> None:
            inbox.stop()

        def attach(suite: Any) -> None:
            def probe() -> dict[str, Any]:
                return {"lag_ms": inbox.lag_ns // 1_000_000, **session.feed.health()}

            self.watch = Watch(
                suite, self._hand_over, mode="paper", name=name, end=end, probe=probe
            )
            if not resumes:
                self._open()

        session.defaults.on_session = attach

    def _hand_over(self, work: Work) -> None:
        assert self._inbox is not None
        self._works[work.request.number] = work
        self._inbox.ask(work.request.to_dict())

    def serve(self, defaults: SessionDefaults, request: Request) -> Any:
        """A request whose time has come: one that somebody waits for, or one from the journal."""
        number = int(request["number"])
        work = self._works.pop(number, None)
        if work is not None:
            return work()
        if self.watch is not None:
            self.watch.number_from(number + 1)
        return served_again(defaults, request)

    # --- from outside ---------------------------------------------------------------------------

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Inside, once the session is open to them, other processes watch and stop it."""
        with self._doors:
            yield

    def go_live(self) -> None:
        """The session has played what is recorded: from now on it can be asked for something."""
        self._console.print("played again to the last record; goes on")
        self._open()

    def _open(self) -> None:
        watch, name = self.watch, self._folder.name
        if watch is None:
            return
        self._tell_outside(watch)
        try:
            server = self._doors.enter_context(
                published(watch, watch.request, name=name, folder=self._folder)
            )
        except (ModuleNotFoundError, OSError) as fault:
            self._console.print(
                f"nobody can watch or stop the session from elsewhere: {fault}; the page needs "
                'pip install "papertape[serve]"',
                style="yellow",
                markup=False,
            )
            return
        if self._shows_page:
            self._console.print(f"page  {server.url}", soft_wrap=True)
        else:
            self._console.print(f"watch  papertape ui {name}", soft_wrap=True)

    @contextmanager
    def showing(self, console: Console) -> Iterator[None]:
        """Print a line of figures now and then, on a terminal."""
        if not sys.stderr.isatty():
            yield
            return
        done = threading.Event()
        teller = threading.Thread(target=self._show, args=(done, Console(stderr=True)), daemon=True)
        teller.start()
        try:
            yield
        finally:
            done.set()
            teller.join()

    def _show(self, done: threading.Event, console: Console) -> None:
        with console.status("waiting for the market") as status:
            while not done.wait(_STATUS_SECONDS):
                if self.watch is not None:
                    status.update(_status_line(self.watch.snapshot()))


def served_again(defaults: SessionDefaults, request: Request) -> Any:
    """Do what the journal says that somebody asked for; who stops a session ends its records."""

    async def end() -> None:
        return None

    return perform(defaults.sessions[-1], OperatorRequest.from_dict(request), end)


def _status_line(snapshot: Mapping[str, Any]) -> str:
    account, health = snapshot["account"], snapshot["health"]
    time_ms = health.get("time_ms") or snapshot["session"]["time_ms"]
    now = datetime.fromtimestamp(time_ms / 1000, UTC)
    lag = health.get("lag_ms") or 0
    parts = [
        f"{now:%Y-%m-%d %H:%M:%S}",
        f"equity {account.get('equity', 0):,.2f}",
        f"{len(snapshot['orders'])} orders",
        f"{len(snapshot['fills'])} fills",
    ]
    return "  ".join([*parts, *([f"{lag / 1000:.1f} s behind"] if lag > 1000 else [])])


def _save(request: PaperRequest, outcome: Outcome, seconds: float, console: Console) -> None:
    """What a run's folder holds, beside the journal, and the market as tapes."""
    plan = request.plan
    script = plan.scenario.script_to_play(plan.assignments)
    played = [_with_market(each, plan.folder) for each in played_sessions(script, outcome)]
    fill_folder(plan.folder, played, report=request.report)
    print_summaries(console, played, seconds)
    console.print(f"run folder  {plan.folder}", soft_wrap=True)


def _with_market(played: Played, folder: Path) -> Played:
    market = [tape for tape in played.record.tapes if tape is not None]
    return replace(played, record=with_market(played.record, market, folder))


def _proved(parity: Parity, console: Console) -> int:
    if parity.is_equal:
        console.print(
            f"parity  played again from its journal: the same {parity.events:,} events, "
            f"digest {parity.digest[:8]}"
        )
        return OK
    console.print(f"parity  NOT EQUAL: {parity.difference}", style="bold red")
    return NOT_EQUAL


def verified(folder: Path) -> int:
    """Play the session in a folder again, now, and say whether it comes out the same."""

    def work() -> int:
        plan, header = plan_of(folder)
        return _proved(verify(plan, header, served_again), Console(highlight=False))

    return ended(work)


def speed_of(text: str) -> float:
    """What --speed means: market seconds a second, 0 for "max". Raises ConfigurationError."""
    if text.strip().lower() == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not speed > 0:
        raise ConfigurationError(f'--speed {text!r} is neither a number above 0 nor "max"')
    return speed
