"""Latencies: drawn from what was asked for, the same again, and nothing overtakes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from broker_api.config import SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.latency import FileLatency, parse_latency
from sim.explain import subject_of, tell
from sim.explain_text import explain
from sim.feed import feed_of
from sim.latency import OneWay, delays_of
from sim.replay import replay
from tests.sim.latent_session import MS, START_NS, Seen, session

ROOT = Path(__file__).resolve().parents[2]
JITTER = {"min_ms": 0, "max_ms": 30}


def drawn(setting: object, count: int, *, seed: int = 0, first: int = 0) -> np.ndarray:
    delays = delays_of(parse_latency(setting), seed, "test")
    return delays.many(first, np.zeros(count, dtype=np.int64))


# --- the draws -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "quantiles_ns"),
    [
        ({"min_ms": 1, "max_ms": 3}, [1_000_000, 3_000_000]),
        ({"quantiles_ms": [0.5, 1, 1, 9, 3_600_000]}, [500_000, MS, MS, 9 * MS, 3_600_000 * MS]),
        ({"quantiles_ms": [0, 0.000003]}, [0, 3]),
    ],
)
def test_draws_follow_the_quantiles(setting: dict, quantiles_ns: list[int]) -> None:
    count = 400_000
    found = drawn(setting, count)
    assert found.dtype == np.int64
    assert found.min() >= quantiles_ns[0]
    assert found.max() <= quantiles_ns[-1]
    at = np.linspace(0, 1, 4 * (len(quantiles_ns) - 1) + 1)[1:-1]
    wanted = np.interp(at, np.linspace(0, 1, len(quantiles_ns)), quantiles_ns)
    for share, level in zip(at, wanted, strict=True):
        below, up_to = (found < level - 0.5).mean(), (found <= level + 0.5).mean()
        assert below - 0.004 <= share <= up_to + 0.004


def test_a_draw_is_exact_in_its_last_nanosecond() -> None:
    quantiles = [0, 7, 1_000_003, 3_600_000_000_000]
    name = int.from_bytes(hashlib.sha256(b"test").digest()[:8], "little")
    generator = np.random.Philox(key=np.array([5, name], dtype=np.uint64), counter=[9, 0, 0, 0])
    position = int(generator.random_raw(1)[0]) * 3
    piece, share = position >> 64, position & ((1 << 64) - 1)
    step = quantiles[piece + 1] - quantiles[piece]
    wanted = quantiles[piece] + ((step * share + (1 << 63)) >> 64)
    setting = parse_latency({"quantiles_ms": [value / MS for value in quantiles]})
    assert delays_of(setting, 5, "test").one(9, 0) == wanted


def test_draws_are_those_of_their_number_however_they_are_asked_for() -> None:
    setting = parse_latency(JITTER)
    delays = delays_of(setting, 3, "test")
    whole = drawn(JITTER, 2_000, seed=3)
    assert delays.many(700, np.zeros(100, dtype=np.int64)).tolist() == whole[700:800].tolist()
    numbers = [1_999, 0, 255, 256, 257, 1]
    assert [delays.one(number, 0) for number in numbers] == whole[numbers].tolist()
    assert len(set(whole.tolist())) > 1_990


def test_seed_and_stream_make_other_draws() -> None:
    setting = parse_latency(JITTER)
    lists = [
        [delays_of(setting, seed, stream).one(number, 0) for number in range(20)]
        for seed, stream in ((0, "entry"), (1, "entry"), ((1 << 63) - 1, "entry"), (0, "response"))
    ]
    assert all(one != other for at, one in enumerate(lists) for other in lists[:at])


def test_draws_are_the_recorded_ones() -> None:
    """Of another version of NumPy, too: a run's digest depends on them."""
    found = drawn({"min_ms": 0, "max_ms": 1_000}, 3, seed=42)
    assert found.tolist() == [948_254_821, 45_042_085, 652_371_871]


def test_nothing_overtakes() -> None:
    way = OneWay(parse_latency(JITTER), 0, "entry")
    sent = [number * MS for number in range(1_000)]
    own = [ns + delay for ns, delay in zip(sent, drawn_as("entry", 1_000), strict=True)]
    arrivals = [way.arrival_ns(ns, number) for number, ns in enumerate(sent)]
    assert arrivals == np.maximum.accumulate(own).tolist()
    assert arrivals != own


def drawn_as(stream: str, count: int) -> list[int]:
    delays = delays_of(parse_latency(JITTER), 0, stream)
    return [delays.one(number, 0) for number in range(count)]


# --- files ---------------------------------------------------------------------------------------


def file_of(folder: Path, **columns: list) -> FileLatency:
    path = folder / "latency.parquet"
    pq.write_table(pa.table(columns), path)
    found = parse_latency({"file": str(path), "column": "entry_ms"})
    assert isinstance(found, FileLatency)
    return found


def test_a_file_with_times_gives_the_sample_in_force_when_sent(tmp_path: Path) -> None:
    setting = file_of(tmp_path, ts=[10, 20, 20, 30], entry_ms=[1.0, 2.0, 3.0, 0.5])
    delays = delays_of(setting, 0, "entry")
    times = [0, 9, 10, 19, 20, 29, 30, 99]
    wanted = [MS, MS, MS, MS, 3 * MS, 3 * MS, MS // 2, MS // 2]
    assert [delays.one(1, ns) for ns in times] == wanted
    assert delays.many(0, np.array(times)).tolist() == wanted


def test_a_file_without_times_is_a_distribution(tmp_path: Path) -> None:
    setting = file_of(tmp_path, entry_ms=[9, 1, 3])
    other = parse_latency({"quantiles_ms": [1, 3, 9]})
    for number in range(50):
        delay = delays_of(setting, 8, "entry").one(number, 0)
        assert delay == delays_of(other, 8, "entry").one(number, 0)
    assert delays_of(file_of(tmp_path, entry_ms=[4]), 0, "entry").one(1, 0) == 4 * MS


def test_a_file_that_changed_since_is_refused(tmp_path: Path) -> None:
    setting = file_of(tmp_path, entry_ms=[1.0])
    config = SimulationConfig(entry_latency_ms=setting)
    assert SimulationConfig.parse(config.model_dump()) == config
    file_of(tmp_path, entry_ms=[2.0])
    with pytest.raises(ConfigurationError, match="its content is another than was named"):
        delays_of(setting, 0, "entry")
    with pytest.raises(ConfigurationError, match=r"entry_latency_ms.*its content is another"):
        SimulationConfig.parse(config.model_dump())


# --- the feed ------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [0.002, {"min_ms": 0, "max_ms": 0.01}])
def test_the_feed_shows_what_has_arrived(setting: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.feed._BLOCK_ROWS", 16)
    generator = np.random.Generator(np.random.Philox(key=1))
    ts = np.cumsum(generator.choice([0, 1, 900, 7_000], 200)).astype(np.int64)
    own = ts + delays_of(parse_latency(setting), 4, "feed:X").many(0, ts)
    arrival = np.maximum.accumulate(own)
    feed = feed_of(ts, parse_latency(setting), 4, "X")
    assert [feed.row_due_ns(row) for row in range(len(ts))] == arrival.tolist()
    later = feed_of(ts, parse_latency(setting), 4, "X")
    seen_before = -1_000_000
    for now_ns in range(0, int(arrival[-1]) + 3_000, 97):
        row = int(np.count_nonzero(arrival <= now_ns)) - 1
        assert later.row_at(now_ns) == row
        seen_ns = later.seen_ns(now_ns)
        assert seen_before <= seen_ns <= now_ns
        seen_before = seen_ns
        if row >= 0:
            assert seen_ns >= ts[row]
        if row + 1 < len(ts) and ts[row + 1] > ts[row]:
            assert seen_ns < ts[row + 1]


@pytest.mark.parametrize("setting", [0.002, {"min_ms": 0, "max_ms": 0.01}])
def test_a_moment_of_the_tape_is_due_when_it_is_seen(setting: object) -> None:
    ts = np.array([5_000, 5_000, 9_000, 30_000, 30_001], dtype=np.int64)
    feed = feed_of(ts, parse_latency(setting), 4, "X")
    for moment_ns in (5_001, 8_999, 9_000, 9_001, 20_000, 29_999, 30_000, 30_001, 30_002, 40_000):
        due_ns = feed.time_due_ns(moment_ns)
        assert feed.seen_ns(due_ns - 1) < moment_ns <= feed.seen_ns(due_ns)


# --- sessions ------------------------------------------------------------------------------------


def check_order(seen: Seen) -> None:
    """Everything came after it happened and nothing overtook."""
    for rows in (seen.events, seen.market):
        assert len(rows) > 50
        assert all(at_ns <= came_ns for _, at_ns, came_ns in rows)
        assert all(one[2] <= other[2] for one, other in pairwise(rows))
    assert [seq for seq, *_ in seen.events] == list(range(1, len(seen.events) + 1))


def test_a_session_under_drawn_latencies() -> None:
    seen = session(
        entry_latency_ms=JITTER, response_latency_ms=JITTER, feed_latency_ms=JITTER, seed=5
    )
    check_order(seen)
    ways = {came_ns - at_ns for _, at_ns, came_ns in seen.events}
    assert max(ways) > 20 * MS
    assert len(ways) > 20
    for now_ns, quote_ns, bars in seen.looks:
        assert quote_ns is None or now_ns - 60 * MS < quote_ns <= now_ns
        assert bars == 0
    bars = [(at_ns, came_ns) for name, at_ns, came_ns in seen.market if name == "Bar"]
    assert [at_ns - START_NS for at_ns, _ in bars] == [1_000 * MS]
    assert all(0 <= came_ns - at_ns < 60 * MS for at_ns, came_ns in bars)


def test_a_constant_latency_is_the_same_as_a_distribution_of_one_value() -> None:
    steady = session(entry_latency_ms=2, response_latency_ms=3, feed_latency_ms=1.5)
    same = session(
        entry_latency_ms={"min_ms": 2, "max_ms": 2},
        response_latency_ms={"quantiles_ms": [3, 3, 3]},
        feed_latency_ms={"min_ms": 1.5, "max_ms": 1.5},
        seed=99,
    )
    assert (same.market, same.events, same.looks) == (steady.market, steady.events, steady.looks)
    assert same.digest == steady.digest


def test_the_replay_is_the_run() -> None:
    seen = session(entry_latency_ms=JITTER, response_latency_ms=JITTER, seed=5)
    recording = seen.recording
    assert recording is not None
    replayed = replay(recording, recording.exchange())
    assert len(replayed) >= len(recording.events) > 100
    subject = subject_of(recording, 1)
    assert subject is not None
    assert "it arrived" in explain(tell(recording, subject)).facts[0]


def test_another_seed_or_another_draw_is_another_run() -> None:
    digests = {session(entry_latency_ms=JITTER, seed=seed).digest for seed in (0, 1, 2)}
    assert len(digests) == 3
    assert session(entry_latency_ms=JITTER, seed=1).digest in digests


def test_one_order_more_shifts_no_draw_of_the_others_numbers() -> None:
    """Commands of one number are under way equally long, whatever is sent beside them."""
    one = session(entry_latency_ms=JITTER, response_latency_ms=0)
    two = session(entry_latency_ms=JITTER, response_latency_ms=0, more=1)
    assert len(two.commands) == len(one.commands) + 1
    simulation = SimulationConfig(entry_latency_ms=JITTER)
    delays = delays_of(simulation.entry_latency_ms, simulation.seed, "entry")
    for seen in (one, two):
        own = [
            each.ts_ns + delays.one(number, each.ts_ns)
            for number, each in enumerate(seen.commands, start=1)
        ]
        arrivals = np.maximum.accumulate(own).tolist()
        answered = [at_ns for _, at_ns, _ in seen.events]
        assert set(arrivals) <= set(answered)


def test_jumping_and_visiting_every_row_give_the_same_run() -> None:
    settings = {"entry_latency_ms": JITTER, "response_latency_ms": JITTER}
    assert session(**settings).events == session(**settings, visit_every_row=True).events


def test_two_processes_give_the_same_run() -> None:
    digests = [session(entry_latency_ms=JITTER, seed=3).digest]
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.sim.latent_session", "3"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        digests.append(done.stdout.strip())
    assert len(set(digests)) == 1


def test_an_order_that_never_got_there_is_told_the_way_it_had() -> None:
    seen = session(steps=1, entry_latency_ms={"min_ms": 300_000, "max_ms": 600_000})
    recording = seen.recording
    assert recording is not None
    recording = replace(recording, events=recording.events[:0])
    subject = subject_of(recording, 1)
    assert subject is not None
    delay = delays_of(recording.simulation.entry_latency_ms, 0, "entry").one(1, 0)
    verdict = explain(tell(recording, subject)).verdict
    assert f"the way takes {delay // 60_000_000_000} m" in verdict
