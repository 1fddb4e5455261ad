import json
from pathlib import Path

import pytest

from broker_api.journal import digest_of
from broker_api.journal_parquet import read_journal
from data.tape import sample_path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILES = ["commands.parquet", "config.json", "events.parquet", "report.html", "summary.json"]

STRATEGY = """
async def hold(suite, size: int = 1, seconds: float = 60.0):
    (market,) = suite.values()
    await market.orders.place_market_order(market.instrument_info.id, side=0, size=size)
    await suite.clock.sleep(seconds)
"""
VENDOR = """
import asyncio
from project_x_py import TradingSuite
from project_x_py.types import OrderManagerConfig

async def main():
    suite = await TradingSuite.create(["MNQ"])
    response = await suite["MNQ"].orders.place_market_order(
        contract_id=suite["MNQ"].instrument_info.id, side=0, size=1
    )
    print(f"Order placed: {response.order_id}")
    await suite.disconnect()

asyncio.run(main())
"""


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def test_a_run_leaves_a_whole_folder_and_a_summary(process, tmp_path: Path) -> None:
    ended = process("run", EXAMPLES / "bracket.py", "--instrument", "MNQ", "--set", "lookback=10")
    assert ended.code == 0, ended.err
    (folder,) = (tmp_path / "runs").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == FILES
    events, commands = read_journal(folder)
    figures = summary(folder)
    assert figures["digest"] == digest_of(events)
    assert folder.name == f"bracket-{figures['digest'][:8]}"
    assert figures["digest"] in ended.out
    assert commands.num_rows == figures["orders"] > 0
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["parameters"] == {"lookback": 10}
    assert config["strategy"] == "bracket"
    assert [tape["symbol"] for tape in config["tapes"]] == ["MNQ"]
    assert config["instruments"][0]["tick_size"] == "0.25"


def test_the_demo_runs(process, tmp_path: Path) -> None:
    ended = process("demo", "--out", "demo")
    assert ended.code == 0, ended.err
    assert summary(tmp_path / "demo")["fills"] > 0


def test_the_same_command_again_gives_the_same_folder(command, script, tmp_path: Path) -> None:
    arguments = ("run", script(STRATEGY), "--instrument", "MNQ", "--no-report")
    assert command(*arguments).code == 0
    assert command(*arguments).code == 0
    assert command(*arguments, "--visit-every-row").code == 0
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert command(*arguments, "--set", "size=2").code == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.slow
def test_the_digest_is_the_same_in_ten_surroundings(process, tmp_path: Path) -> None:
    digests = set()
    for number in range(10):
        place = tmp_path / f"place-{number}"
        place.mkdir()
        ended = process(
            *("run", EXAMPLES / "bracket.py", "--instrument", "MNQ", "--out", "run", "--no-report"),
            *(["--visit-every-row"] if number % 2 else []),
            cwd=place,
            PYTHONHASHSEED=str(number * 1000 + 1),
            TZ=("UTC", "America/Chicago", "Asia/Kolkata")[number % 3],
        )
        assert ended.code == 0, ended.err
        digests.add(summary(place / "run")["digest"])
    assert len(digests) == 1


def test_a_script_of_another_package_runs_unchanged(command, script) -> None:
    ended = command("run", script(VENDOR), "--as", "project_x_py", "--no-report")
    assert ended.code == 0, ended.err
    assert "Order placed: 1\n" in ended.out


def test_without_the_alias_the_other_package_is_missed(command, script) -> None:
    ended = command("run", script(VENDOR), "--no-report")
    assert ended.code == 1
    assert "No module named 'project_x_py'" in ended.err


def test_tapes_and_instruments_pair_in_order_or_by_name(command, script, tmp_path: Path) -> None:
    text = STRATEGY.replace("(market,) =", "market, other =")
    mnq, es = sample_path("MNQ"), sample_path("ES")
    path = script(text)
    ended = command(
        *("run", path, "--tape", mnq, "--tape", es, "--instrument", "MNQ", "--instrument", "ES"),
        *("--no-report", "--out", "pairs"),
    )
    assert ended.code == 0, ended.err
    ended = command(
        *("run", path, "--tape", f"MNQ={mnq}", "--tape", f"ES={es}", "--no-report"),
        *("--out", "named"),
    )
    assert ended.code == 0, ended.err
    assert summary(tmp_path / "pairs")["instruments"] == ["MNQ", "ES"]
    assert summary(tmp_path / "pairs")["digest"] == summary(tmp_path / "named")["digest"]


def test_settings_come_from_the_file_then_from_the_command_line(
    command, script, tmp_path: Path
) -> None:
    (tmp_path / "papertape.toml").write_text(
        'instruments = ["MNQ"]\ncatalog = ["mine.toml"]\n'
        '[simulation]\nqueue = "displayed"\nentry_latency_ms = 20\n'
        "[account]\ncash = 25_000\n[parameters]\nsize = 3\n",
        encoding="utf-8",
    )
    (tmp_path / "mine.toml").write_text("[MNQ]\nfee_per_unit = 0.5\n", encoding="utf-8")
    path = script(STRATEGY)
    assert command("run", path, "--out", "a", "--no-report").code == 0
    assert (
        command("run", path, "--out", "b", "--no-report", "--queue", "back", "--cash", 9e3).code
        == 0
    )
    for name, queue, cash in (("a", "displayed", 25_000), ("b", "back", 9_000)):
        config = json.loads((tmp_path / name / "config.json").read_text(encoding="utf-8"))
        assert config["simulation"]["queue"] == queue
        assert config["simulation"]["entry_latency_ms"] == 20
        assert config["account"]["cash"] == cash
        assert config["parameters"] == {"size": 3}
        assert summary(tmp_path / name)["fees"] == 1.5


def test_several_sessions_of_a_script_get_a_folder_each(command, script, tmp_path: Path) -> None:
    text = VENDOR.replace("project_x_py", "papertape") + "\nasyncio.run(main())\n"
    ended = command("run", script(text), "--out", "two", "--no-report")
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        "session-1",
        "session-2",
        "summary.json",
    ]
    first, second = summary(tmp_path / "two")["sessions"]
    assert first == second


def test_a_script_that_leaves_early_keeps_its_exit_code(command, script, tmp_path: Path) -> None:
    ended = command("run", script("import sys\nsys.exit(7)\n"))
    assert ended.code == 7
    assert not (tmp_path / "runs").exists()


def test_main_guard_argv_and_neighbours_are_as_under_python(command, script) -> None:
    script("PRICE = 3\n", "neighbour.py")
    text = VENDOR.replace("project_x_py", "papertape").replace(
        "asyncio.run(main())",
        "import sys, neighbour\nif __name__ == '__main__':\n"
        "    print('argv', sys.argv, neighbour.PRICE)\n    asyncio.run(main())",
    )
    path = script(text)
    ended = command("run", path, "--no-report")
    assert ended.code == 0, ended.err
    assert f"argv ['{path}'] 3\n" in ended.out
