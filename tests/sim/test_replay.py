"""A recorded run once more: it is the same one or it is refused; and the watch misses no row."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

import sim.explain
from broker_api.event import OrderEventBase
from broker_api.journal import RecordedCommand
from broker_api.order import CancelRequest, ReplaceRequest, order_ids_of
from sim.explain import subject_of, tell
from sim.explain_text import explain
from sim.replay import Recording, ReplayError, replay
from tests.sim.explained import Recorded, lines, run
from tests.sim.market import order_of, tape_of
from tests.sim.random_market import INSTRUMENT, SETTINGS, play, random_commands, random_rows


def latent(recording: Recording, **changes: object) -> Recording:
    return replace(recording, simulation=recording.simulation.model_copy(update=changes))


def test_a_command_takes_effect_one_latency_after_it_was_sent() -> None:
    market = Recorded("0 10x99 101x10", "1000000 sell 4@99", "2000000 sell 8@99")
    market.run_to(1_000_000)
    market.place("buy 4 limit 99")
    market.run_to(2_000_000)
    recording = market.recording()
    sent = tuple(each._replace(ts_ns=each.ts_ns - 1_000_000) for each in recording.commands)
    recording = latent(replace(recording, commands=sent), entry_latency_ms=1.0)
    subject = subject_of(recording, 1)
    assert subject is not None
    explained = explain(tell(recording, subject))
    assert lines(explained)[:2] == [
        "0 | sent |  | ",
        "1000000 | accepted; the book showed 99 x 10 bid, 101 x 10 offered |  | 4",
    ]
    assert "Sent at 00:00:00.000, it arrived 1.0 ms later" in explained.facts[0]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "before the session ended, and the way takes 5.0 ms"),
        ({"when_closed": "queue"}, "before the session ended and the market did not open"),
    ],
)
def test_an_order_that_never_got_there(settings: dict, why: str) -> None:
    recording = run("10 9x99 101x9").recording()
    late = RecordedCommand(10, 0, order_of("buy 1 limit 99", 2))
    recording = latent(
        replace(recording, commands=(late,), events=recording.events[:0]),
        **{"entry_latency_ms": 5.0, **settings},
    )
    subject = subject_of(recording, 2)
    assert subject is not None
    explained = explain(tell(recording, subject))
    assert explained.verdict.startswith("It never reached the exchange: it was sent 0.0 ms before")
    assert why in explained.verdict
    assert lines(explained) == ["10 | sent |  | ", "10 | the tape ended |  | "]


def test_an_order_that_is_not_there_has_no_subject() -> None:
    recording = run("10 9x99 101x9").recording()
    assert subject_of(recording, 2) is None
    assert subject_of(recording, -1) is None


@pytest.mark.parametrize(
    ("column", "at", "text"),
    [
        ("price_ticks", 1, "event 2 of 4 is another one: the journal has filled of order 1 at 10"),
        ("lots", 0, "event 1 of 4 is another one: the journal has accepted of order 1 at 0"),
    ],
)
def test_another_run_is_not_explained(column: str, at: int, text: str) -> None:
    recording = run("10 sell 13@99").recording()
    recording.events[column][at] += 1
    with pytest.raises(ReplayError, match=text):
        replay(recording, recording.exchange())


def test_a_journal_that_goes_on_is_not_explained() -> None:
    recording = run("10 sell 13@99").recording()
    longer = replace(recording, events=np.concatenate([recording.events, recording.events[:1]]))
    with pytest.raises(
        ReplayError, match=r"event 5 of 5 is another one: .*, the replay nothing more"
    ):
        replay(longer, longer.exchange())


def test_events_that_nobody_saw_are_no_part_of_the_story() -> None:
    recording = run("10 sell 13@99", "20 8x99 101x9").recording()
    earlier = replace(recording, events=recording.events[:1])
    subject = subject_of(earlier, 1)
    assert subject is not None
    story = tell(earlier, subject)
    assert [type(event).__name__ for event in story.events] == ["OrderAccepted"]
    assert story.ended_ns == 10


# --- the watch -----------------------------------------------------------------------------------


def random_run(seed: int) -> Recorded:
    rng = random.Random(seed)
    rows, commands = random_rows(rng), random_commands(rng)
    settings = SETTINGS[seed % len(SETTINGS)]
    after = settings.get("bbo_after_trade", True)
    names = ["X", "Y"] if seed % 2 else ["X"]
    tapes = [tape_of(rows, bbo_after_trade=after)]
    tapes += [tape_of(random_rows(rng), symbol=name, bbo_after_trade=after) for name in names[1:]]
    instruments = [replace(INSTRUMENT, symbol=name, id=name) for name in names]
    market = Recorded(tapes=tapes, instruments=instruments, **settings)
    play(market, commands)
    return market


@pytest.mark.parametrize("seed", range(16))
def test_the_watch_skips_no_row_that_concerns_the_order(seed: int, monkeypatch) -> None:
    market = random_run(seed)
    recording = market.recording()
    ids = [
        order_id
        for sent in market.sent
        if not isinstance(sent.command, ReplaceRequest | CancelRequest)
        for order_id in order_ids_of(sent.command)
    ]
    checked = 0
    for order_id in random.Random(seed).sample(ids, 12):
        subject = subject_of(recording, order_id)
        assert subject is not None
        story = tell(recording, subject)
        mine = [each for each in market.events if isinstance(each, OrderEventBase)]
        assert story.events == [each for each in mine if each.order_id == order_id]
        with monkeypatch.context() as patch:
            patch.setattr(
                sim.explain, "rows_that_touch", lambda _, start, end, *__: np.arange(start, end)
            )
            assert tell(recording, subject).happenings == story.happenings
        assert explain(story) == explain(tell(recording, subject))
        checked += len(story.happenings)
    assert checked > 12
