"""A paper session of a scenario: begun, resumed after whatever ended it, and proved.

Its folder holds the journal (`session.journal`), and when the session has ended what a run's folder
holds, with the market as it came in as tapes. Played again from the journal the session has to do
the same: `verify` says whether it does.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from broker_api.config import SessionDefaults
from broker_api.errors import ConfigurationError
from broker_api.journal_chain import RecordKind
from broker_api.journal_file import JournalFile
from broker_api.journal_writer import JournalWriter
from data.kept import kept_tape
from data.tape import Tape, sample_path
from scenarios.live_feed import (
    MakeMarket,
    check_instruments,
    keep_instruments,
    open_live,
    with_kept_instruments,
)
from scenarios.paper_feed import FeedPlan, OpenFeed, described, growing_tapes, open_replay
from scenarios.run_folder import JOURNAL_FILE, plain, versions
from scenarios.runner import Outcome, bound_arguments, play
from scenarios.scenario import Scenario, read_scenario
from sim.durable import DurableSession, Past, PlayedAgain, ResumeDiverged
from sim.incoming import Incoming, LiveTape, Request

FORMAT = 1
"""Counts changes of what the header means."""
LIVE = "live"
"""The header's `mode` of a session on a live venue."""

Serve = Callable[[SessionDefaults, Request], Any]
"""Does an operator's request in the session of these defaults."""


@dataclass(frozen=True)
class PaperPlan:
    """A session as it was asked for: `assignments` are raw texts of --set."""

    scenario: Scenario
    assignments: Mapping[str, str]
    feed: FeedPlan
    folder: Path

    @property
    def journal(self) -> Path:
        """Where its journal lies."""
        return self.folder / JOURNAL_FILE

    def header(self, feed: OpenFeed) -> dict[str, Any]:
        """The journal's first record: everything that decides the session besides the market."""
        return {
            **asked_for(self.scenario, self.assignments),
            "feed": self.feed.to_dict(),
            "tapes": described(feed.inbox.tapes),
            "versions": versions(),
        }


def asked_for(scenario: Scenario, assignments: Mapping[str, str]) -> dict[str, Any]:
    """What the header of every session's journal says of its scenario."""
    return {
        "format": FORMAT,
        "scenario": str(scenario.file.resolve()),
        "assignments": dict(assignments),
        **_deciding(scenario),
    }


def _deciding(scenario: Scenario) -> dict[str, Any]:
    """All of a scenario that decides its session besides the market, as JSON has it."""
    settings = scenario.settings
    deciding: dict[str, Any] = plain(
        {
            "strategy": scenario.strategy,
            "parameters": dict(settings.parameters),
            "instruments": list(settings.instruments),
            "simulation": settings.simulation,
            "account": settings.account,
            "order_manager": settings.order_manager_config,
            "risk": settings.risk,
            "code": hashlib.sha256(scenario.script.read_bytes()).hexdigest(),
        }
    )
    return deciding


def plan_of(folder: Path) -> tuple[PaperPlan, Mapping[str, Any]]:
    """The session in a folder, as it was asked for, and its header.

    Raises ConfigurationError where there is none, JournalDamaged, JournalError.
    """
    journal = folder / JOURNAL_FILE
    if not journal.is_file():
        raise ConfigurationError(f"{folder} holds no paper session: it has no {JOURNAL_FILE}")
    with JournalFile.watch(journal) as file:
        header = file.header
    if header.get("mode") == LIVE:
        raise ConfigurationError(
            f"{folder} holds a session on a live venue, which is neither resumed nor played again: "
            f"`papertape live --report {folder}` compares it with the simulation"
        )
    if header.get("format") != FORMAT:
        raise ConfigurationError(
            f"{journal}: its header has format {header.get('format')}; this version knows {FORMAT}"
        )
    scenario = with_kept_instruments(read_scenario(Path(header["scenario"])), folder)
    feed = FeedPlan.from_dict(header["feed"])
    return PaperPlan(scenario, header["assignments"], feed, folder), header


def changes_since(plan: PaperPlan, header: Mapping[str, Any]) -> list[str]:
    """What of the scenario is another than when the session began."""
    now = _deciding(plan.scenario)
    return [key for key, value in now.items() if header[key] != value]


def open_feed(
    plan: PaperPlan,
    wall_ns: Callable[[], int],
    serve: Callable[[Request], Any],
    make_market: MakeMarket | None,
) -> OpenFeed:
    """The feed of a session, begun or gone on."""
    if plan.feed.is_live:
        assert make_market is not None, "a live feed is an adapter's"
        instruments = plan.scenario.instruments
        return open_live(plan.feed, instruments, plan.folder, wall_ns, serve, make_market)
    defaults = plan.scenario.defaults()
    tapes = [_tape(defaults, spec) for spec in plan.scenario.instruments]
    return open_replay(plan.feed, tapes, plan.folder, wall_ns, serve)


def _tape(defaults: SessionDefaults, instrument: Any) -> Tape:
    tape = defaults.tapes.get(instrument.symbol) or sample_path(instrument.symbol)
    if tape is None:
        raise ConfigurationError(f"tapes.{instrument.symbol} is missing, and no sample of it ships")
    return tape if isinstance(tape, Tape) else kept_tape(Path(str(tape)), instrument)


@dataclass
class PaperSession:
    """A session that is about to run. `defaults` are those of its suite, once it runs."""

    plan: PaperPlan
    feed: OpenFeed
    writer: JournalWriter
    durable: DurableSession
    defaults: SessionDefaults
    doors: contextlib.ExitStack
    """Closes what the session holds open: feed and journal."""

    def run(self, watch: Callable[..., None] = lambda runs, defaults: None) -> Outcome:
        """Play it to its end, which the journal records; raises as `runner.play` does."""
        try:
            outcome = play(self._script(), self.defaults, watch)
            self.durable.finish()
            self.writer.append(RecordKind.STOPPED, self._now_ns(), {"failure": None})
            return outcome
        except BaseException as failure:
            with contextlib.suppress(Exception):
                self.durable.finish()
                text = f"{type(failure).__name__}: {failure}"
                self.writer.append(RecordKind.STOPPED, self._now_ns(), {"failure": text})
            raise
        finally:
            self.doors.close()

    def _script(self) -> Any:
        return self.plan.scenario.script_to_play(self.plan.assignments)

    def _now_ns(self) -> int:
        return max(self.feed.inbox.horizon_ns, 0)


def begin(
    plan: PaperPlan,
    wall_ns: Callable[[], int],
    serve: Serve,
    make_market: MakeMarket | None = None,
) -> PaperSession:
    """A new session.

    Raises ConfigurationError where the folder holds one already, or the strategy does not take its
    parameters, ScriptError for a script that cannot be loaded. What is refused leaves no folder.

    `make_market` makes the market of a live feed.
    """
    if plan.journal.exists():
        raise ConfigurationError(
            f"{plan.folder} holds a session already: go on with it by --resume {plan.folder}, or "
            "name another folder"
        )
    script = plan.scenario.script_to_play(plan.assignments)
    bound_arguments(script, plan.scenario.settings, [({}, {})])
    plan.folder.mkdir(parents=True, exist_ok=True)
    own = _Own(serve)
    try:
        feed = open_feed(plan, wall_ns, own.serve, make_market)
    except BaseException:
        with contextlib.suppress(OSError):  # it held something before
            plan.folder.rmdir()
        raise
    with contextlib.ExitStack() as doors:
        doors.callback(feed.close)
        if feed.instruments is not None:
            keep_instruments(plan.folder, feed.instruments)
            plan = replace(plan, scenario=with_kept_instruments(plan.scenario, plan.folder))
        writer = doors.enter_context(JournalWriter.create(plan.journal, plan.header(feed)))
        writer.append(RecordKind.STARTED, wall_ns(), {})
        durable = DurableSession(writer, feed.inbox)
        defaults = own.play_on(plan.scenario, durable)
        return PaperSession(plan, feed, writer, durable, defaults, doors.pop_all())


def resume(
    plan: PaperPlan,
    wall_ns: Callable[[], int],
    serve: Serve,
    on_live: Callable[[], None] = lambda: None,
    make_market: MakeMarket | None = None,
) -> PaperSession:
    """Go on with a session that was ended by anything but itself.

    Raises ConfigurationError for one that has ended, JournalDamaged, JournalLocked.
    """
    own = _Own(serve)
    with contextlib.ExitStack() as doors:
        writer = doors.enter_context(JournalWriter.resume(plan.journal))
        file = doors.enter_context(JournalFile.watch(plan.journal))
        if has_ended(file):
            raise ConfigurationError(f"{plan.folder}: the session has ended; nothing is left to do")
        feed = open_feed(plan, wall_ns, own.serve, make_market)
        doors.callback(feed.close)
        if feed.instruments is not None:
            check_instruments(plan.scenario.instruments, feed.instruments, plan.feed.name)
        past = Past(file.records(), len(feed.inbox.tapes))
        durable = DurableSession(writer, feed.inbox, past, on_live)
        defaults = own.play_on(plan.scenario, durable)
        return PaperSession(plan, feed, writer, durable, defaults, doors.pop_all())


def has_ended(journal: JournalFile) -> bool:
    """Whether the session came to its end by itself, or by an operator's word."""
    stops = (each for each in journal.records() if each.kind is RecordKind.STOPPED)
    return any(each.body["failure"] is None for each in stops)


class _Own:
    """The defaults of one session, and who serves requests in it."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._defaults: SessionDefaults | None = None

    def serve(self, request: Request) -> Any:
        assert self._defaults is not None, "requests are served while the session runs"
        return self._serve(self._defaults, request)

    def play_on(self, scenario: Scenario, incoming: Incoming) -> SessionDefaults:
        symbols = [spec.symbol for spec in scenario.instruments]
        self._defaults = replace(
            scenario.settings,
            tapes={symbol: LiveTape(incoming, symbol) for symbol in symbols},
            recorder=incoming,
            sessions=[],
        )
        return self._defaults


@dataclass(frozen=True)
class Parity:
    """What playing a session again gave: `is_equal`, its digest, or where it first differed."""

    is_equal: bool
    digest: str
    events: int
    difference: str = ""


def verify(plan: PaperPlan, header: Mapping[str, Any], serve: Serve) -> Parity:
    """Play a session again from its journal; what the strategy prints is not shown.

    Raises JournalDamaged, and what a script raises.
    """
    own = _Own(serve)
    with JournalFile.watch(plan.journal) as file:
        tapes = growing_tapes(header["tapes"], plan.scenario.instruments, plan.folder)
        again = PlayedAgain(Past(file.records(), len(tapes)), tapes, own.serve)
        defaults = own.play_on(plan.scenario, again)
        script = plan.scenario.script_to_play(plan.assignments)
        try:
            with _silence():
                play(script, defaults)
        except ResumeDiverged as difference:
            return Parity(False, "", 0, str(difference))
    if not again.is_same:
        what = f"{again.beyond} more" if again.beyond else "fewer"
        return Parity(False, "", 0, f"played again, the session did {what} than is recorded")
    journal = defaults.sessions[-1].session.journal
    return Parity(True, journal.digest(), len(journal))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield
