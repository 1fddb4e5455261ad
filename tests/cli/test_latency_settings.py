"""Latencies from the command line and `papertape.toml`; a run's folder is enough to repeat it."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

STRATEGY = """
async def trade(suite):
    mnq = suite["MNQ"]
    for step in range(40):
        await mnq.orders.place_market_order("MNQ", step % 2, 1)
"""
START_NS = 1_736_865_000_000_000_000


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Two samples: 40 ms, and 2 ms from the second second of the tape on."""
    path = tmp_path / "measured.parquet"
    ts = [START_NS, START_NS + 1_000_000_000]
    pq.write_table(pa.table({"ts": ts, "entry_ms": [40.0, 2.0]}), path)
    return path


def simulation(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))["simulation"]


def ways_ns(folder: Path) -> list[int]:
    """How long each order was under way."""
    commands = pq.read_table(folder / "commands.parquet").column("ts_ns").to_pylist()
    events = pq.read_table(folder / "events.parquet").to_pylist()
    accepted = [row["ts_ns"] for row in events if row["kind"] == 1]
    return [there - sent for sent, there in zip(commands, accepted, strict=True)]


def test_latencies_are_set_on_the_command_line(command, script, tmp_path: Path) -> None:
    path = script(STRATEGY)
    setting = "simulation.entry_latency_ms={min_ms = 5, max_ms = 9}"
    play = ("run", path, "--instrument", "MNQ", "--strategy", "trade", "--no-report", "--out")
    assert command(*play, "a", "--set", setting, "--seed", 3).code == 0
    assert command(*play, "b", "--set", setting, "--set", "simulation.seed=4").code == 0
    assert simulation(tmp_path / "a")["entry_latency_ms"] == {"min_ms": 5.0, "max_ms": 9.0}
    assert simulation(tmp_path / "b")["seed"] == 4
    ways = ways_ns(tmp_path / "a")
    assert len(set(ways)) == 40
    assert all(5_000_000 <= way <= 9_000_000 for way in ways)
    assert ways != ways_ns(tmp_path / "b")


def test_an_unknown_setting_is_refused_with_the_nearest(command, script) -> None:
    ended = command("run", script(STRATEGY), "--set", "simulation.entry_latency=3")
    assert ended.code == 2
    assert "no setting 'entry_latency'; did you mean \"entry_latency_ms\"" in ended.err


def test_a_run_with_a_latency_file_is_explained_and_bounded_as_it_was(
    command, script, tmp_path: Path, measured: Path
) -> None:
    (tmp_path / "papertape.toml").write_text(
        'instruments = ["MNQ"]\n[simulation]\n'
        f'entry_latency_ms = {{file = "{measured.name}", column = "entry_ms"}}\n'
        "response_latency_ms = {quantiles_ms = [0, 1, 50]}\n",
        encoding="utf-8",
    )
    path = script(STRATEGY)
    ended = command("run", path, "--strategy", "trade", "--out", "run", "--bounds")
    assert ended.code == 0, ended.err
    setting = simulation(tmp_path / "run")["entry_latency_ms"]
    assert sorted(setting) == ["column", "content_hash", "file"]
    assert {40_000_000, 2_000_000} <= set(ways_ns(tmp_path / "run"))
    bounds = json.loads((tmp_path / "run" / "summary.json").read_text("utf-8"))["bounds"]
    assert len({run["fills"] for run in bounds["runs"]}) == 1
    explained = command("explain", "run", "1")
    assert explained.code == 0, explained.err
    assert "it arrived 40.0 ms later" in explained.out
    pq.write_table(pa.table({"entry_ms": [1.0]}), measured)
    refused = command("explain", "run", "1")
    assert refused.code == 2
    assert "measured.parquet: its content is another than was named" in refused.err
