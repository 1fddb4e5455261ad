"""`papertape live`: a scenario on a live venue, after a look at everything that may be wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from broker_api.errors import ConfigurationError
from broker_api.wall_clock import WallClock
from papertape.doctor import Clocks, Verdict, tell
from papertape.ending import OK, REFUSED, ended, say
from papertape.live_feeds import market_of
from papertape.preflight import preflight
from papertape.signals import graceful
from papertape.watching.sessions import published
from papertape.watching.watch import Watch, Work, on_loop
from reports.compare import ComparisonError
from reports.compare_page import comparison_page, print_comparison
from reports.summary import print_summary
from scenarios.live_report import NAMES, PAGE_FILE, read_live_run, sim_versus_live
from scenarios.live_session import LivePlan, LiveSession, begin_live
from scenarios.recording import fill_folder
from scenarios.runner import REFUSALS

FIRST_QUOTE_SECONDS = 30.0
MARKET_SECONDS = 1.0
"""The market is on the disk at most so much later where nothing else happens."""


@dataclass(frozen=True)
class LiveRequest:
    """A session as it was asked for."""

    plan: LivePlan
    confirmed: bool = False
    without_rules: bool = False
    adopts: bool = False
    report: bool = True


def perform_live(make_request: Callable[[], LiveRequest], clocks: Clocks | None = None) -> int:
    """Look, ask, and trade; returns the exit code, see papertape.cli."""
    return ended(
        lambda: _perform(make_request(), clocks),
        interrupted="interrupted; look at the account: orders may work there",
    )


def _perform(request: LiveRequest, clocks: Clocks | None) -> int:
    console = Console(highlight=False)
    if not _is_fit(request, console, clocks):
        return REFUSED
    if not (request.confirmed or _is_wanted(request)):
        console.print("nothing was sent")
        return REFUSED
    return _trade(request, console)


def _is_fit(request: LiveRequest, console: Console, clocks: Clocks | None) -> bool:
    """Whether nothing of the preflight failed; all of it is told."""
    is_fit = True
    looks = preflight(
        request.plan, without_rules=request.without_rules, adopts=request.adopts, clocks=clocks
    )
    for each in looks:
        console.print(tell(each), markup=False, soft_wrap=True)
        is_fit = is_fit and each.verdict is not Verdict.FAIL
    if not is_fit:
        say("papertape: not fit to trade; nothing was sent")
    return is_fit


def _is_wanted(request: LiveRequest) -> bool:
    plan = request.plan
    network = plan.options.get("network", "")
    text = f"trade {plan.scenario.name} ({plan.scenario.strategy}) on {plan.broker} {network}"
    return typer.confirm(f"{text.strip()}?", default=False)


def _trade(request: LiveRequest, console: Console) -> int:
    session = begin_live(request.plan, WallClock().now_ns, market_of)
    try:
        _await_market(session)
    except BaseException:
        session.close()
        raise
    attended = Attended(session, console)
    began = time.perf_counter()
    with graceful(attended.stop), attended.reachable():
        console.print(f"session  {request.plan.folder}", soft_wrap=True)
        played = session.run()
    seconds = time.perf_counter() - began
    fill_folder(request.plan.folder, played, report=request.report)
    for each in played:
        print_summary(console, each.summary, seconds)
    console.print(f"run folder  {request.plan.folder}", soft_wrap=True)
    return reported(request.plan.folder, console)


def _await_market(session: LiveSession) -> None:
    """The recorded market begins before the session does."""
    end = time.perf_counter() + FIRST_QUOTE_SECONDS
    pause = asyncio.SelectorEventLoop()
    try:
        while session.feed.health()["feed"] != "connected":
            if time.perf_counter() > end:
                raise ConfigurationError(
                    f"the venue showed no price of every instrument within {FIRST_QUOTE_SECONDS:g} "
                    f"s; {'; '.join(session.feed.notes()) or 'is the market open?'}"
                )
            pause.run_until_complete(asyncio.sleep(0.02))
    finally:
        pause.close()


class Attended:
    """A running live session: its page, its operators, the signal that ends it."""

    def __init__(self, session: LiveSession, console: Console) -> None:
        self._session = session
        self._console = console
        self._doors = ExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_stopped = False
        session.defaults.on_session = self._attach

    def stop(self) -> None:
        """End the strategy; the session disconnects in order. For signals and other threads."""
        self._is_stopped = True
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Inside, other processes watch the session and stop it."""
        with self._doors:
            yield

    def _attach(self, suite: Any) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        name, recorder = self._session.plan.folder.name, self._session.recorder
        give = on_loop(self._loop)

        async def end() -> None:
            self.stop()

        def hand_over(work: Work) -> None:
            """What is asked for is in the journal before it is done."""

            def recorded() -> Any:
                recorder.request(work.request.to_dict())
                return work()

            give(recorded)  # type: ignore[arg-type]  # called, and awaited

        feed = self._session.feed
        watch = Watch(suite, hand_over, mode="live", name=name, end=end, probe=feed.health)
        self._keep_market()
        try:
            folder = self._session.plan.folder
            self._doors.enter_context(published(watch, watch.request, name=name, folder=folder))
            self._console.print(f"watch  papertape ui {name}", soft_wrap=True)
        except (ModuleNotFoundError, OSError) as fault:
            self._console.print(
                f"nobody can watch or stop the session from elsewhere: {fault}; the page needs "
                'pip install "papertape[serve]"',
                style="yellow",
                markup=False,
            )
        if self._is_stopped:
            self.stop()

    def _keep_market(self) -> None:
        assert self._loop is not None
        if self._session.defaults.sessions and not self._session.defaults.sessions[-1].is_connected:
            return
        self._session.recorder.keep_market()
        self._loop.call_later(MARKET_SECONDS, self._keep_market)


def reported(folder: Path, console: Console) -> int:
    """Compare the session of a folder with its simulation; print it, and write the page."""
    try:
        comparison = sim_versus_live(read_live_run(folder))
    except (*REFUSALS, ComparisonError) as refusal:
        say(f"papertape: no comparison with the simulation: {refusal}")
        return REFUSED
    print_comparison(console, comparison, NAMES)
    page = folder / PAGE_FILE
    page.write_text(comparison_page(comparison, NAMES), encoding="utf-8")
    console.print(f"page  {page}", soft_wrap=True)
    return OK
