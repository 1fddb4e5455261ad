"""A session on a live venue, recorded: its market, its commands, its events, each before it counts.

The journal has the records of a paper session: rows of the market as they came, commands before
they are sent, events before they are seen, operators' requests before they are done. The market is
listened to on a line of its own, the one that paper sessions have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from broker_api.config import AccountConfig, SessionDefaults, SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.event import SESSION_KINDS, EventRow
from broker_api.journal import RecordedCommand, RecordedError
from broker_api.journal_chain import RecordKind
from broker_api.journal_json import event_body, recorded_body
from broker_api.journal_writer import JournalWriter
from data.growing import GrowingTape
from reports.metrics import measure
from scenarios.live_feed import MakeMarket, keep_instruments, open_live
from scenarios.live_report import in_our_time
from scenarios.paper import LIVE, asked_for
from scenarios.paper_feed import FeedPlan, OpenFeed, described
from scenarios.recording import Played, played_sessions, with_market
from scenarios.run_folder import JOURNAL_FILE, plain, versions
from scenarios.runner import play_live
from scenarios.scenario import Scenario

SKEW_NS_MAX = 60_000_000_000
"""A venue whose times are further from ours than this shows another time on purpose."""


@dataclass(frozen=True)
class LivePlan:
    """A session as it was asked for. `options` are the adapter's, without secrets."""

    scenario: Scenario
    assignments: Mapping[str, str]
    broker: str
    options: Mapping[str, Any]
    feed: FeedPlan
    folder: Path

    def header(self, feed: OpenFeed) -> dict[str, Any]:
        """The journal's first record."""
        return {
            **asked_for(self.scenario, self.assignments),
            "mode": LIVE,
            "broker": self.broker,
            "tapes": described(feed.inbox.tapes),
            "versions": versions(),
        }


class LiveRecorder:
    """What the session tells (a journal's Recorder), and the market beside it, on the disk."""

    def __init__(self, writer: JournalWriter, feed: OpenFeed, now_ns: Callable[[], int]) -> None:
        self._writer = writer
        self._inbox = feed.inbox
        self._now_ns = now_ns
        self.tapes: tuple[GrowingTape, ...] = feed.inbox.tapes
        self.skew_ns: int | None = None
        """The least by which events were told later than their time: the way, and both clocks."""

    def command(self, recorded: RecordedCommand | RecordedError) -> None:
        """A command that is about to be sent, or a handler's error."""
        kind, body = recorded_body(recorded)
        self._append(kind, recorded.ts_ns, body)

    def event(self, row: EventRow) -> None:
        """An event that is about to be seen."""
        if row.kind not in SESSION_KINDS:  # what the session tells has our time
            late_ns = self._now_ns() - row.ts_ns
            self.skew_ns = late_ns if self.skew_ns is None else min(self.skew_ns, late_ns)
        self._append(RecordKind.EVENT, row.ts_ns, event_body(row))

    def request(self, table: Mapping[str, Any]) -> None:
        """What an operator asks, before it is done."""
        self._append(RecordKind.OPERATOR, self._now_ns(), table)

    def is_there(self, file: Path, ts_ns: int) -> bool:
        """A live session looks for itself."""
        return file.exists()

    def _append(self, kind: RecordKind, ts_ns: int, body: Mapping[str, Any]) -> None:
        self.keep_market()
        self._writer.stage(kind, ts_ns, body)
        self._writer.commit()

    def keep_market(self) -> None:
        """Write what the market has told since the last time."""
        arrival = self._inbox.look()
        for index, rows in enumerate(arrival.rows):
            if rows is not None:
                self.tapes[index].append(rows)
                self._writer.append_ticks(arrival.horizon_ns, index, rows)
        if any(rows is not None for rows in arrival.rows):
            flags = {"last": False, "away": False}
            self._writer.stage(RecordKind.HORIZON, arrival.horizon_ns, flags)


@dataclass
class LiveSession:
    """A session that is about to run. `defaults` are those of its suite, once it runs."""

    plan: LivePlan
    feed: OpenFeed
    writer: JournalWriter
    recorder: LiveRecorder
    defaults: SessionDefaults
    now_ns: Callable[[], int]

    def run(self) -> list[Played]:
        """Trade to the end, which the journal records; raises as `runner.play` does."""
        script = self.plan.scenario.script_to_play(self.plan.assignments)
        failure: str | None = None
        try:
            outcome = play_live(script, self.defaults)
            return [self._recorded(each) for each in played_sessions(script, outcome)]
        except BaseException as fault:
            failure = f"{type(fault).__name__}: {fault}"
            raise
        finally:
            with contextlib.suppress(Exception):
                self.recorder.keep_market()
                self.writer.append(RecordKind.STOPPED, self.now_ns(), {"failure": failure})
            self.close()

    def close(self) -> None:
        """End the line and the journal."""
        self.feed.close()
        self.writer.close()

    def _recorded(self, played: Played) -> Played:
        """The session with its market, and the account as it was found."""
        self.recorder.keep_market()
        session = played.suite.session
        keep_instruments(self.plan.folder, session.instruments)
        market = [growing.tape() for growing in self.recorder.tapes]
        record = with_market(played.record, market, self.plan.folder)
        skew_ns = self.recorder.skew_ns or 0
        settings = self.plan.scenario.settings
        account = settings.account or AccountConfig()
        cash = session.snapshot.cash_nanos / 1e9
        account = account.model_copy(update={"name": session.snapshot.account, "cash": cash})
        config = {
            **record.config,
            **plain(
                {
                    "account": account,
                    "shadow": settings.simulation or SimulationConfig(),
                    "venue_shift_ns": skew_ns if abs(skew_ns) > SKEW_NS_MAX else 0,
                    "began_flat": not session.snapshot.positions,
                }
            ),
        }
        record = in_our_time(replace(record, config=config))
        return Played(played.suite, record, measure(record))


def begin_live(plan: LivePlan, now_ns: Callable[[], int], make_market: MakeMarket) -> LiveSession:
    """A new session; nothing is sent yet. Raises ConfigurationError for a folder that has one."""
    journal = plan.folder / JOURNAL_FILE
    if journal.exists():
        raise ConfigurationError(f"{plan.folder} holds a session already; name another folder")
    plan.folder.mkdir(parents=True, exist_ok=True)
    instruments = plan.scenario.instruments
    feed = open_live(plan.feed, instruments, plan.folder, now_ns, lambda _: None, make_market)
    try:
        writer = JournalWriter.create(journal, plan.header(feed))
        writer.append(RecordKind.STARTED, now_ns(), {})
    except BaseException:
        feed.close()
        raise
    recorder = LiveRecorder(writer, feed, now_ns)
    defaults = replace(
        plan.scenario.settings,
        broker=plan.broker,
        broker_options=dict(plan.options),
        tapes={},
        rehearse_for=None,
        recorder=recorder,
        sessions=[],
    )
    return LiveSession(plan, feed, writer, recorder, defaults, now_ns)
