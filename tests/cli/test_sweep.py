"""`papertape sweep` and `papertape.sweep`: many runs, each equal to a run of its own."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from broker_api.catalog import load_catalog
from broker_api.errors import ConfigurationError
from data.tape import tape_from_frame
from papertape import sweep
from scenarios.runner import ScriptError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

STRATEGY = """
import asyncio
import os
import neighbour

async def steps(suite, wait: int = 5, size: int = 1, fate: str = "fine", label: str = ""):
    neighbour.SEEN.append(wait)
    if fate == "raise":
        raise ValueError(f"no luck with {wait}")
    if fate == "exit":
        os._exit(7)
    mnq = suite["MNQ"]
    while fate == "run away":
        await asyncio.sleep(0)
    for number in range(len(neighbour.SEEN), 6):
        await suite.clock.sleep(wait)
        await mnq.orders.place_market_order("MNQ", number % 2, size)
"""


def columns(rows: int = 400) -> pd.DataFrame:
    """Quotes a second apart whose price wanders."""
    move = [0.25 * ((number * number // 7) % 11) for number in range(rows)]
    return pd.DataFrame(
        {
            "ts": pd.date_range("2024-01-02 14:30", periods=rows, freq="s", tz="UTC"),
            "bid": [21_000.0 + each for each in move],
            "ask": [21_000.25 + each for each in move],
            "bid_size": 5.0,
            "ask_size": 5.0,
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a strategy, its neighbour and a tape."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "steps.py").write_text(STRATEGY, encoding="utf-8")
    (folder / "neighbour.py").write_text("SEEN = []\n", encoding="utf-8")
    columns().to_parquet(folder / "mnq.parquet")
    return folder


@pytest.fixture(autouse=True)
def _here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


GRID = {"wait": [3, 5, 8], "size": [1, 2]}
TAPES = {"MNQ": "mnq.parquet"}


@pytest.fixture(scope="module")
def serial(place: Path) -> pd.DataFrame:
    """The grid in this process, one after the other."""
    return sweep(place / "steps.py", GRID, tapes={"MNQ": place / "mnq.parquet"}, processes=0)


def digests(table: pd.DataFrame) -> dict[tuple[int, int], str]:
    return {(row.wait, row.size_): row.digest for row in renamed(table)}


def renamed(table: pd.DataFrame) -> Iterator:
    return table.rename(columns={"size": "size_"}).itertuples()


def test_rows_stand_in_the_order_of_the_grid_and_differ(serial: pd.DataFrame) -> None:
    assert list(serial["wait"]) == [3, 3, 5, 5, 8, 8]
    assert list(serial["size"]) == [1, 2, 1, 2, 1, 2]
    assert serial["error"].isna().all()
    assert serial["digest"].nunique() == 6
    assert list(serial["fills"]) == [5] * 6
    assert (serial["fees"][1::2].to_numpy() == 2 * serial["fees"][::2].to_numpy()).all()
    assert (serial["seconds"] > 0).all()


def test_a_row_is_what_the_run_alone_gives(serial: pd.DataFrame, command, place: Path) -> None:
    tape = f"MNQ={place / 'mnq.parquet'}"
    for number, (wait, size) in enumerate([(3, 1), (8, 2)]):
        ended = command(
            *("run", place / "steps.py", "--tape", tape, "--set", f"wait={wait}"),
            *("--set", f"size={size}", "--out", f"alone-{number}", "--no-report"),
        )
        assert ended.code == 0, ended.err
        alone = json.loads(Path(f"alone-{number}/summary.json").read_text(encoding="utf-8"))
        row = serial[(serial["wait"] == wait) & (serial["size"] == size)].iloc[0]
        for name in ("digest", "net", "fees", "fills", "orders", "max_drawdown", "end_equity"):
            assert row[name] == alone[name], name


@pytest.mark.parametrize("processes", [1, 3])
def test_any_number_of_processes_and_any_order_give_the_same(
    serial: pd.DataFrame, processes: int
) -> None:
    grid = {name: list(reversed(values)) for name, values in reversed(GRID.items())}
    table = sweep("steps.py", grid, tapes=TAPES, processes=processes)
    assert list(table["size"]) == [2, 2, 2, 1, 1, 1]
    assert digests(table) == digests(serial)


def test_a_run_that_fails_is_a_row_and_the_others_go_on(serial: pd.DataFrame) -> None:
    fates = ["exit", "raise", "fine", "run away", "fine"]
    table = sweep("steps.py", {"wait": [5], "fate": fates}, tapes=TAPES, processes=2)
    assert list(table["fate"]) == fates
    errors = dict(zip(table["fate"], table["error"], strict=True))
    assert errors["fine"] is None
    assert errors["exit"] == "the process ended with code 7"
    assert errors["raise"].startswith("Traceback")
    assert errors["raise"].endswith("ValueError: no luck with 5")
    assert 'steps.py", line 9' in errors["raise"]
    assert "TimeStandsStillError" in errors["run away"]
    fine = table[table["fate"] == "fine"]
    assert list(fine["digest"]) == [digests(serial)[5, 1]] * 2
    assert table[table["fate"] != "fine"][["digest", "net", "fills"]].isna().all(axis=None)


def test_ctrl_c_keeps_what_is_done_and_leaves_no_process(place: Path) -> None:
    (place / "slow.py").write_text(
        "import os, pathlib\n"
        "async def slow(suite, wait: int):\n"
        "    await suite['MNQ'].orders.place_market_order('MNQ', 0, 1)\n"
        "    await suite.clock.sleep(wait)\n"
        "    if wait == 3:\n"
        "        pathlib.Path('spinning.new').write_text(str(os.getpid()))\n"
        "        os.replace('spinning.new', 'spinning')\n"
        "        while True: pass\n",
        encoding="utf-8",
    )
    options = ["--grid", "wait=1:9", "--tape", "MNQ=mnq.parquet", "--processes", "1"]
    sweeping = subprocess.Popen(
        [sys.executable, "-m", "papertape.cli", "sweep", "slow.py", *options, "--out", "done.csv"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not Path("spinning").exists():
        assert sweeping.poll() is None
        time.sleep(0.02)
    worker = int(Path("spinning").read_text())
    os.killpg(sweeping.pid, signal.SIGINT)  # as a terminal does: every process of the command
    _, err = sweeping.communicate(timeout=60)
    assert sweeping.returncode == 130
    assert err == "papertape: interrupted; the 2 runs that had ended are in done.csv\n"
    assert list(pd.read_csv("done.csv")["wait"]) == [1, 2]
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def swept(command, place: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `papertape sweep steps.py` in this process."""
    monkeypatch.chdir(place)  # the command's fixture has a folder of its own

    def run(*options: str, script: str = "steps.py"):
        return command("sweep", script, "--tape", "MNQ=mnq.parquet", "--processes", "0", *options)

    return run


def test_the_command_writes_the_table_and_prints_the_best_first(
    swept, serial: pd.DataFrame, tmp_path: Path
) -> None:
    out = tmp_path / "results.parquet"
    ended = swept("--grid", "wait=3,5,8", "--grid", "size=1:2", "--out", str(out))
    assert ended.code == 0
    assert ended.err == ""
    table = pd.read_parquet(out)
    pd.testing.assert_frame_equal(
        table.drop(columns=["seconds", "error"]),
        serial.drop(columns=["seconds", "error"]),
        check_dtype=False,
    )
    lines = ended.out.splitlines()
    assert lines[0].split()[:3] == ["wait", "size", "net"]
    best = serial.sort_values("net", ascending=False, kind="stable").iloc[0]
    assert lines[1].split()[:3] == [str(best["wait"]), str(best["size"]), f"{best['net']:,.2f}"]
    assert re.search(r"^6 runs in .* s, 0 failed; best first by net$", ended.out, re.MULTILINE)


def test_without_out_the_table_is_named_by_its_results(swept) -> None:
    names = []
    for _ in range(2):
        ended = swept("--grid", "wait=3,5")
        assert ended.code == 0
        told = dict(line.split(maxsplit=1) for line in ended.out.splitlines()[-2:])
        assert Path(told["page"]) == Path(told["table"]).with_suffix(".html")
        assert Path(told["page"]).read_text(encoding="utf-8").startswith("<!doctype html>")
        names.append(told["table"])
    assert names[0] == names[1]
    assert re.fullmatch(r"runs/steps-sweep-[0-9a-f]{8}\.parquet", names[0])
    assert list(pd.read_parquet(names[0])["wait"]) == [3, 5]


def test_failures_are_counted_and_told_and_the_code_is_1(swept) -> None:
    ended = swept("--grid", "wait=3,5", "--grid", "fate=raise,fine", "--out", "failing.csv")
    assert ended.code == 1
    assert "4 runs in" in ended.out
    assert "2 failed" in ended.out
    assert "1 x ValueError: no luck with 3  (wait=3 fate=raise)" in ended.out
    assert pd.read_csv("failing.csv")["error"].isna().tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grid", "wiat=3"], "strategy steps has no parameter 'wiat'; .*did you mean \"wait\""),
        (["--grid", "wait=3,x"], "parameter wait = 'x' is not of type int"),
        (["--grid", "wait=0.5:2:0.5"], "parameter wait = '0.5' is not of type int"),
        (["--grid", "wait"], "not of the form"),
        (["--grid", "simulation.sede=1"], r"no setting 'sede'; did you mean \"seed\""),
        (["--grid", "simulation.queue=back,bakc"], "bakc"),
        (["--grid", "wait=3", "--set", "wait=4"], "wait is in the grid and set to one value"),
        (["--grid", "wait=3", "--objective", "nett"], r'is no figure .*did you mean "net"'),
        (["--grid", "wait=3", "--out", "steps.py"], r"must end in \.parquet or \.csv"),
        (["--grid", "wait=3", "--out", "mnq.parquet"], "there already; it was left as it is"),
        (["--grid", "wait=3", "--time-limit", "5"], "time_limit needs processes"),
        (["--grid", "wait=3", "--strategy", "stesp"], r'did you mean "steps"'),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(swept, options, message) -> None:
    ended = swept(*options)
    assert ended.code == 2, ended
    assert re.search(message, ended.err), ended.err
    assert ended.out == ""


def test_a_file_that_cannot_be_loaded_fails_at_once(swept) -> None:
    Path("broken.py").write_text("async def broken(suite, n=1): pass\n1 / 0\n", encoding="utf-8")
    ended = swept("--grid", "n=1:1000", script="broken.py")
    assert ended.code == 1
    assert ended.err.startswith("papertape: the script fails before any run\nTraceback")
    assert ended.err.endswith("ZeroDivisionError: division by zero\n")


def test_texts_for_a_text_parameter_stay_texts(swept) -> None:
    ended = swept("--grid", 'label=10,"2,5"', "--out", "labels.parquet")
    assert ended.code == 0, ended.err
    assert list(pd.read_parquet("labels.parquet")["label"]) == ["10", "2,5"]


def test_settings_of_the_simulation_reach_a_script_with_its_own_session(swept) -> None:
    Path("plain.py").write_text(
        "import asyncio\nfrom papertape import TradingSuite\n"
        "async def main():\n"
        "    async with await TradingSuite.create() as suite:\n"
        "        await suite['MNQ'].orders.place_market_order('MNQ', 0, 1)\n"
        "if __name__ == '__main__': asyncio.run(main())\n",
        encoding="utf-8",
    )
    grid = "simulation.entry_latency_ms=1,2000"
    ended = swept("--grid", grid, "--out", "latency.csv", script="plain.py")
    assert ended.code == 0, ended.err + ended.out
    table = pd.read_csv("latency.csv")
    assert list(table["simulation.entry_latency_ms"]) == [1, 2000]
    assert table["digest"].nunique() == 2


# --- the Python call ----------------------------------------------------------------------------


def test_a_function_a_name_in_a_file_and_a_tape_in_memory_give_the_same(
    serial: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.syspath_prepend(str(place))
    spec = importlib.util.spec_from_file_location("steps_of_sweep", place / "steps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    known = digests(serial)
    table = sweep(module.steps, {"wait": "3:4"}, tapes=TAPES, processes=0)
    assert table["digest"][0] == known[3, 1]
    tape = tape_from_frame(columns(), load_catalog()["MNQ"])
    table = sweep(
        *("steps.py:steps", {"wait": (5,)}),
        tapes={"MNQ": tape},
        parameters={"size": 2},
        processes=1,
        out="memory.parquet",
        keep="kept",
    )
    assert table["digest"][0] == known[5, 2]
    assert table["folder"].tolist() == ["kept/run-0000"]
    kept = json.loads(Path("kept/run-0000/summary.json").read_text(encoding="utf-8"))
    assert kept["digest"] == known[5, 2]
    assert list(pd.read_parquet("memory.parquet")["digest"]) == [known[5, 2]]


def test_functions_that_other_processes_cannot_find_are_refused() -> None:
    async def inner(suite) -> None:
        """Stands inside of a test."""

    with pytest.raises(ConfigurationError, match="at its top level"):
        sweep(inner, {"n": [1]})
    with pytest.raises(ConfigurationError, match="no coroutine function"):
        sweep(len, {"n": [1]})


def test_a_sweep_inside_its_own_runs_is_refused() -> None:
    Path("nested.py").write_text(
        "from papertape import sweep\n"
        "async def nested(suite, n=1): pass\n"
        "sweep(nested, {'n': [1]}, processes=0)\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError, match=r"nested\.py, line 3: .* __name__"):
        sweep("nested.py", {"n": [1]}, tapes=TAPES, processes=0)


def test_a_file_with_an_error_of_its_own_raises_it() -> None:
    Path("faulty.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
    with pytest.raises(ScriptError, match="ModuleNotFoundError"):
        sweep("faulty.py", {"n": [1]}, processes=0)
