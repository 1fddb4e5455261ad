"""Bad input: one clear message, the documented exit code, no traceback, nothing left behind."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.tape import sample_path

STRATEGY = """
async def hold(suite, size: int = 1, seconds: float = 60.0):
    (market,) = suite.values()
    contract = market.instrument_info.id
    await market.orders.place_market_order(contract, side=0, size=size)
    await suite.clock.sleep(seconds)
"""


def tape(path: Path, **changes: object) -> Path:
    """A canonical tape of four quotes and a trade of MNQ, with columns replaced or added."""
    start = 1_736_865_000_000_000_000
    columns = {
        "ts": pa.array(start + np.arange(4) * 1_000_000_000),
        "bid": [21000.0] * 4,
        "ask": [21000.25] * 4,
        "bid_size": [3.0] * 4,
        "ask_size": [2.0] * 4,
    }
    pq.write_table(pa.table({**columns, **changes}), path)
    return path


def check_refused(ended, *parts: str) -> None:
    assert ended.code == 2, ended
    assert "Traceback" not in ended.out + ended.err
    text = " ".join(ended.err.split())
    for part in parts:
        assert part in text
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nowhere.py"], ["script nowhere.py does not exist"]),
        (["scirpt.py"], ["script scirpt.py does not exist", 'did you mean "script.py"']),
        (["."], ["script . is a folder"]),
        (["script.py", "--instrument", "MNX"], ["'MNX' is not in the catalogue", "did you mean"]),
        (["script.py", "--instrument", "YM"], ["no tape for YM"]),
        (["script.py"], ["no instrument was named: --instrument MNQ"]),
        (
            ["script.py", "--instrument", "MNQ", "--tape", "no.parquet"],
            ["no.parquet is not a file"],
        ),
        (["script.py", "--tape", "script.py"], ["has no instrument", "--tape SYMBOL=script.py"]),
        (["script.py", "--tape", "MNX=script.py"], ["'MNX' is not in the catalogue"]),
        (
            ["script.py", "--instrument", "MNQ", "--tape", "script.py"],
            ["script.py", "Parquet"],
        ),
        (["script.py", "--instrument", "MNQ", "--set", "sise=2"], ['did you mean "size"']),
        (["script.py", "--instrument", "MNQ", "--set", "size"], ["not of the form key=value"]),
        (
            ["script.py", "--instrument", "MNQ", "--set", "size=two"],
            ["size = 'two' is not of type"],
        ),
        (["script.py", "--instrument", "MNQ", "--strategy", "hodl"], ['did you mean "hold"']),
        (["script.py", "--instrument", "MNQ", "--queue", "frontal"], ['did you mean "front"']),
        (["script.py", "--instrument", "MNQ", "--cash", "-1"], ["AccountConfig.cash = -1.0"]),
        (["script.py", "--instrument", "MNQ", "--seed", "-1"], ["SimulationConfig.seed = -1"]),
        (["script.py", "--instrument", "MNQ", "--as", "asyncio"], ["standard library"]),
        (["script.py", "--instrument", "MNQ", "--as", "a-b"], ["not the name of a package"]),
        (["script.py", "--instrument", "MNQ", "--config", "no.toml"], ["no.toml", "No such file"]),
        (["script.py", "--instrument", "MNQ", "--catalog", "no.toml"], ["no.toml", "No such file"]),
        (["script.py", "--instrument", "MNQ", "--set", "size=0"], ["script.py, line 5", "size 0"]),
        (["script.py", "--instrument", "MNQ", "--set", "size=9999"], ["script.py, line 5", "1000"]),
        (["script.py", "--instrument", "MNQ", "--set", "size=900"], ["line 5", "margin"]),
    ],
)
def test_bad_arguments_are_refused(command, script, arguments, parts) -> None:
    script(STRATEGY)
    check_refused(command("run", *arguments), *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x = 1\n", ["opened no session and has no strategy to run"]),
        ("async def main():\n    pass\n", ["no strategy to run", "functions are main"]),
        (
            "async def one(suite):\n    pass\nasync def two(suite):\n    pass\n",
            ["has several strategies: one, two", "--strategy"],
        ),
    ],
)
def test_scripts_without_one_strategy_are_refused(command, script, text, parts) -> None:
    check_refused(command("run", script(text), "--instrument", "MNQ"), *parts)


def test_a_strategy_that_takes_no_suite_is_refused(command, script) -> None:
    path = script("async def main():\n    pass\n")
    ended = command("run", path, "--instrument", "MNQ", "--strategy", "main")
    check_refused(ended, "strategy main takes no parameter", "async def main(suite)")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"bid": [21000.0, np.nan, 21000.0, 21000.0]}, ["row 1", "bid", "nan"]),
        ({"ask": [21000.25, 21000.3, 21000.25, 21000.25]}, ["row 1", "ask", "21000.3"]),
        ({"bid_size": [3.0, 3.0, -2.0, 3.0]}, ["row 2", "bid_size", "-2"]),
        ({"ask_size": [2.0, 2.0, 2.0, 1.5]}, ["row 3", "ask_size", "1.5"]),
        ({"ask": [21000.25, 21000.25, 20999.0, 21000.25]}, ["row 2", "20999"]),
        ({"ts": pa.array([5, 4, 6, 7])}, ["row 1", "ts", "4"]),
        ({"bidd": [1.0] * 4}, ["bidd"]),
        ({"bid": ["a"] * 4}, ["bid"]),
    ],
)
def test_bad_tapes_are_refused_by_place(command, script, tmp_path: Path, changes, parts) -> None:
    path = tape(tmp_path / "bad.parquet", **changes)
    ended = command("run", script(STRATEGY), "--tape", f"MNQ={path}")
    check_refused(ended, "bad.parquet", *parts)


def test_a_tape_outside_the_calendar_is_refused(command, script, tmp_path: Path) -> None:
    ts = pa.array(1_262_304_000_000_000_000 + np.arange(4))
    path = tape(tmp_path / "old.parquet", ts=ts)
    ended = command("run", script(STRATEGY), "--tape", f"MNQ={path}")
    check_refused(ended, "CME_GLOBEX_EQUITY", "2016-01-01", '"24/7"')


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[simulation\n", ["papertape.toml", "TOML"]),
        ("[simulaton]\n", ["papertape.toml", 'did you mean "simulation"']),
        ("[simulation]\nqueue = 'proportionl'\n", ['did you mean "proportional"']),
        ("[simulation]\nentry_latency = 1\n", ['did you mean "entry_latency_ms"']),
        ("[simulation]\nentry_latency_ms = -1\n", ["entry_latency_ms = -1"]),
        ("[account]\ncash = 'lots'\n", ["cash = 'lots'"]),
        ("[order_manager]\nmax_concurrent_orders = 0\n", ["max_concurrent_orders = 0"]),
        ("catalog = ['none.toml']\n", ["none.toml"]),
        ("broker = 'simm'\n", ["broker 'simm' is not installed", 'did you mean "sim"']),
        ("[parameters]\nsizes = 2\n", ["no parameter 'sizes'", 'did you mean "size"']),
        ("[tapes]\nMNQ = 'none.parquet'\n", ["none.parquet"]),
    ],
)
def test_bad_settings_are_refused(command, script, tmp_path: Path, text, parts) -> None:
    (tmp_path / "papertape.toml").write_text(text, encoding="utf-8")
    check_refused(command("run", script(STRATEGY), "--instrument", "MNQ"), *parts)


def test_a_folder_of_another_run_is_left_alone(command, script, tmp_path: Path) -> None:
    arguments = ("run", script(STRATEGY), "--instrument", "MNQ", "--no-report", "--out", "kept")
    assert command(*arguments).code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
    ended = command(*arguments, "--set", "size=2")
    check_refused(ended, "kept holds another run", "left as it is")
    assert {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".kept")] == []


def test_a_folder_that_is_no_run_is_left_alone(command, script, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    path = script(STRATEGY)
    ended = command("run", path, "--instrument", "MNQ", "--no-report", "--out", "photos")
    check_refused(ended, "photos holds something that is no run")
    assert (tmp_path / "photos" / "cat.jpg").read_bytes() == b"cat"
    ended = command("run", path, "--instrument", "MNQ", "--no-report", "--out", path)
    check_refused(ended, "is a file; a folder is needed")
    assert path.read_text(encoding="utf-8") == STRATEGY


FAILING = """
import helper

async def broken(suite):
    await suite.clock.sleep(1)
    helper.divide(1, 0)
"""


def check_failed(ended, *parts: str) -> None:
    """The script's own fault: its own frames, and none of papertape's or Python's."""
    assert ended.code == 1, ended
    for part in parts:
        assert part in ended.err
    for place in ("runner.py", "loop.py", "suite.py", "session.py", "asyncio/", "typer"):
        assert place not in ended.err
    assert not Path("runs").exists()


def test_a_script_that_raises_shows_its_own_frames(command, script) -> None:
    script("def divide(a, b):\n    return a / b\n", "helper.py")
    ended = command("run", script(FAILING), "--instrument", "MNQ")
    check_failed(ended, "Traceback", "script.py", "helper.divide(1, 0)", "return a / b")
    assert ended.err.rstrip().endswith("ZeroDivisionError: division by zero")


def test_a_handler_that_raises_ends_the_run(command, script) -> None:
    path = script(
        "async def listen(suite):\n"
        "    async def on_fill(event):\n"
        "        raise KeyError('lost')\n"
        "    await suite.orders.on_order_filled(on_fill)\n"
        "    (market,) = suite.values()\n"
        "    await market.orders.place_market_order(market.instrument_info.id, 0, 1)\n"
        "    await suite.clock.sleep(3600)\n"
    )
    ended = command("run", path, "--instrument", "MNQ")
    check_failed(ended, "raise KeyError('lost')", "KeyError: 'lost'")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("def broken(:\n    pass\n", ["script.py", "SyntaxError"]),
        ("import no_such_module\n", ["ModuleNotFoundError", "no_such_module"]),
        ("raise RuntimeError('top level')\n", ["RuntimeError: top level"]),
        (
            "import asyncio\nasync def s(suite):\n"
            "    await asyncio.open_connection('localhost', 1)\n",
            ["RealIOError", "simulated run"],
        ),
    ],
)
def test_faults_of_the_script_are_told_in_its_lines(command, script, text, parts) -> None:
    check_failed(command("run", script(text), "--instrument", "MNQ"), *parts)


def test_unknown_options_and_commands_name_the_nearest(command, script) -> None:
    ended = command("run", script(STRATEGY), "--instrumnt", "MNQ")
    assert ended.code == 2
    assert "--instrument" in ended.err
    assert command("rnu").code == 2


def test_the_sample_is_what_the_messages_say() -> None:
    assert sample_path("YM") is None
    assert sample_path("MNQ") is not None


def test_a_summary_that_cannot_be_written_is_named_in_one_line(command) -> None:
    Path("taken").mkdir()
    Path("scenario.toml").touch()  # what it lacks is told, too
    check_refused(
        command("check", "--processes", "0", "--junit", "taken"), "Is a directory: 'taken'"
    )


def test_a_script_where_a_scenario_is_needed_is_told_apart(command) -> None:
    Path("script.py").write_text(STRATEGY, encoding="utf-8")
    ended = command("paper", "script.py")
    check_refused(ended, "script.py is a script and no scenario", "script.py:FUNCTION")
