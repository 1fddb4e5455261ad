"""`papertape run --bounds`: the run between the two extremes of the queue.

The tape is made so that the three models differ: 10 bid, of which 4 leave without a print, then
prints of 3 lots that eat the queue, then one through the price.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from broker_api.journal import digest_of
from broker_api.journal_parquet import read_journal
from reports.html import write_report
from reports.text import MINUS

START = pd.Timestamp("2024-01-02 14:30:00", tz="UTC")
BID, ASK = 21_000.0, 21_000.25

ROWS = [
    (0, 10, None, None),
    (1, 10, None, None),
    (2, 6, None, None),
    (3, 3, 3, BID),
    (4, 3, 4, BID),
    (5, 3, 3, BID),
    (6, 3, None, None),
]
"""Seconds, size bid, size and price printed by a seller."""

BUY_AT_THE_BID = """
import asyncio
from papertape import TradingSuite

async def main():
    async with await TradingSuite.create(["MNQ"]{settings}) as suite:
        mnq = suite["MNQ"]
        await mnq.orders.place_limit_order(mnq.instrument_info.id, 0, 2, 21000.0)
        await suite.clock.sleep(60)

{before}
asyncio.run(main())
"""


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    table = pd.DataFrame(
        {
            "ts": [START + pd.Timedelta(seconds=at) for at, *_ in ROWS],
            "bid": BID,
            "ask": ASK,
            "bid_size": [float(size) for _, size, *_ in ROWS],
            "ask_size": 10.0,
            "price": [price for *_, price in ROWS],
            "size": [None if size is None else float(size) for _, _, size, _ in ROWS],
            "side": [None if size is None else -1.0 for _, _, size, _ in ROWS],
        }
    )
    path = tmp_path / "mnq.parquet"
    table.to_parquet(path)
    return path


@pytest.fixture
def bounded(command, script, tape: Path) -> Callable[..., tuple[object, dict]]:
    """Run a script with --bounds; how it ended and what its summary holds."""

    def run(*options: str, settings: str = "", before: str = "") -> tuple[object, dict]:
        path = script(BUY_AT_THE_BID.format(settings=settings, before=before))
        ended = command("run", path, "--tape", f"MNQ={tape}", "--bounds", "--out", "out", *options)
        assert ended.code == 0, ended.err
        return ended, json.loads(Path("out/summary.json").read_text(encoding="utf-8"))

    return run


def by_queue(summary: dict) -> dict[str, dict]:
    return {run["queue"]: run for run in summary["bounds"]["runs"]}


def test_front_fills_sooner_and_back_never(bounded) -> None:
    _, summary = bounded("--no-report")
    runs = by_queue(summary)
    assert list(runs) == ["proportional", "front", "back"]
    assert [run["fills"] for run in runs.values()] == [2, 1, 0]
    assert [run["maker_fills"] for run in runs.values()] == [2, 1, 0]
    assert [run["is_configured"] for run in runs.values()] == [True, False, False]
    assert summary["bounds"]["span"]["fills"] == [0, 2]
    assert summary["bounds"]["span"]["net"] == [-0.74, 0.0]
    assert summary["bounds"]["currency"] == "USD"


def test_digest_journal_and_figures_are_the_configured_runs(bounded, tmp_path: Path) -> None:
    _, summary = bounded("--no-report")
    runs = by_queue(summary)
    assert summary["digest"] == digest_of(read_journal(tmp_path / "out")[0])
    assert summary["digest"] == runs["proportional"]["digest"]
    assert len({run["digest"] for run in runs.values()}) == 3
    assert summary["fills"] == runs["proportional"]["fills"]
    assert summary["net"] == runs["proportional"]["net"]


def test_the_terminal_and_the_report_show_the_table(bounded, tmp_path: Path) -> None:
    ended, _ = bounded()
    lines = [line.replace(MINUS, "-").split() for line in ended.out.splitlines()]
    assert ["front", "-0.74", "+0.50", "1", "1", "0"] in lines
    assert ["back", "0.00", "0.00", "0", "0", "0"] in lines
    assert ["most", "0.00", "+0.50", "2", "2", "0"] in lines
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<tr><td>back</td><td>0.00</td><td>0.00</td><td>0</td>" in page
    again = write_report(tmp_path / "out", tmp_path / "again.html")
    assert again.read_text(encoding="utf-8") == page


def test_without_the_option_nothing_of_it_is_there(command, script, tape: Path) -> None:
    path = script(BUY_AT_THE_BID.format(settings="", before=""))
    ended = command("run", path, "--tape", f"MNQ={tape}", "--out", "out")
    assert ended.code == 0, ended.err
    assert "bounds" not in json.loads(Path("out/summary.json").read_text(encoding="utf-8"))
    assert 'id="bounds"' not in Path("out/report.html").read_text(encoding="utf-8")


def test_a_run_that_is_an_extreme_is_not_repeated(bounded, tmp_path: Path) -> None:
    count = "with open('runs.txt', 'a') as file: file.write('x')"
    _, summary = bounded("--no-report", "--queue", "back", before=count)
    assert list(by_queue(summary)) == ["back", "front"]
    assert (tmp_path / "runs.txt").read_text() == "xx"


def test_the_extremes_win_over_a_queue_that_the_script_names(bounded) -> None:
    _, summary = bounded("--no-report", settings=', simulation={"queue": "displayed"}')
    runs = by_queue(summary)
    assert [runs[name]["fills"] for name in ("displayed", "front", "back")] == [2, 1, 0]


def test_the_script_and_its_neighbours_run_anew_and_print_once(
    bounded, script, tmp_path: Path
) -> None:
    script("RUNS = []\n", "neighbour.py")
    count = (
        "import neighbour\nneighbour.RUNS.append(1)\nprint('hello')\n"
        "with open('runs.txt', 'a') as file: file.write(str(len(neighbour.RUNS)))"
    )
    ended, _ = bounded("--no-report", before=count)
    assert (tmp_path / "runs.txt").read_text() == "111"
    assert ended.out.count("hello") == 1


@pytest.mark.parametrize(
    ("fails", "failure"),
    [
        ("raise ValueError('only twice')", "ValueError: only twice"),
        ("raise SystemExit(3)", "the script left with code 3"),
    ],
)
def test_an_extreme_that_fails_is_reported(bounded, tmp_path: Path, fails: str, failure: str):
    before = (
        "with open('runs.txt', 'a+') as file:\n    file.write('x')\n    file.seek(0)\n"
        f"    if file.read() == 'xx':\n        {fails}\n"
    )
    ended, summary = bounded(before=before)
    runs = by_queue(summary)
    assert runs["front"]["failure"] == failure
    assert runs["front"]["fills"] is None
    assert runs["back"]["fills"] == 0
    assert summary["bounds"]["span"]["fills"] == [0, 2]
    said = f"The run with queue=front failed: {failure}"
    assert said in ended.out
    assert said in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_several_sessions_are_summed(command, script, tape: Path, tmp_path: Path) -> None:
    text = BUY_AT_THE_BID.format(settings="", before="") + "asyncio.run(main())\n"
    ended = command("run", script(text), "--tape", f"MNQ={tape}", "--bounds", "--out", "out")
    assert ended.code == 0, ended.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert [run["fills"] for run in summary["bounds"]["runs"]] == [4, 2, 0]
    assert summary["bounds"]["runs"][0]["digest"] == summary["digest"]


def test_the_help_says_that_the_script_runs_three_times(command) -> None:
    assert "three times" in " ".join(command("run", "--help").out.replace("│", "").split())
