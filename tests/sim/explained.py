"""Runs on a page that are recorded and then explained: `recorded` is told by no replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.event import EVENT_ROW, Event, encode
from broker_api.journal import RecordedCommand
from broker_api.order import Command
from sim.explain import Story, subject_of, tell
from sim.explain_text import Explanation, explain
from sim.replay import Recording
from tests.sim.market import Market

QUOTE = "0 10x99 101x10"
NO_LATENCY = {"entry_latency_ms": 0.0, "response_latency_ms": 0.0}


def rows_of(events: Sequence[Event]) -> np.ndarray:
    flat = np.array([encode(event) for event in events], dtype="<i8")
    return flat.reshape(-1).view(EVENT_ROW)


class Recorded(Market):
    """A market that keeps what was sent and when."""

    def __init__(self, *rows: str, cash: float = 1_000_000.0, **settings: Any) -> None:
        self.sent: list[RecordedCommand] = []
        self._settings = SimulationConfig(
            **{"margin": False, **NO_LATENCY}
            | {
                key: value
                for key, value in settings.items()
                if key in SimulationConfig.model_fields
            }
        )
        self._account = AccountConfig(cash=cash)
        super().__init__(*rows, cash=cash, **settings)

    def _execute(self, command: Command, account: int) -> list[str]:
        self.sent.append(RecordedCommand(self.exchange.now_ns, len(self.events), command))
        return super()._execute(command, account)

    def recording(self) -> Recording:
        """The run so far; it ended where the market stands now."""
        exchange = self.exchange
        return Recording(
            exchange._instruments,
            self.tapes,
            self._settings,
            self._account,
            exchange.start_ns,
            exchange.now_ns,
            tuple(self.sent),
            rows_of(self.events),
            exchange._calendars,
        )

    def story(self, order_id: int) -> Story:
        recording = self.recording()
        subject = subject_of(recording, order_id)
        assert subject is not None
        return tell(recording, subject)

    def explained(self, order_id: int = 1) -> Explanation:
        return explain(self.story(order_id))


def run(*rows: str, order: str = "buy 4 limit 99", **settings: Any) -> Recorded:
    """One order from the first row on, then the whole tape."""
    market = Recorded(QUOTE, *rows, **settings)
    market.place(order)
    market.run_to(int(rows[-1].split()[0]) if rows else 0)
    return market


def lines(explanation: Explanation) -> list[str]:
    """The table as text: time | what | ahead | open."""
    return [
        f"{line.ts_ns} | {line.text} | {line.ahead} | {line.left}" for line in explanation.lines
    ]


def said(explanation: Explanation) -> str:
    """Everything but the table."""
    return " ".join([explanation.verdict, *explanation.facts])
