"""`papertape explain RUN ORDER`: from a run folder to the page, and every way it can fail."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

START = pd.Timestamp("2024-01-02 14:30:00", tz="UTC")
BID, ASK = 21_000.0, 21_000.25

SCRIPT = """
import asyncio
from papertape import TradingSuite

async def main():
    async with await TradingSuite.create(["MNQ"]) as suite:
        mnq = suite["MNQ"]
        await mnq.orders.place_limit_order(mnq.instrument_info.id, 0, 2, 21000.0)
        await mnq.orders.place_limit_order(
            mnq.instrument_info.id, 0, 1, 20999.5, client_order_id="deep bid"
        )
        await suite.clock.sleep(60)

asyncio.run(main())
"""


def write_tape(path: Path, sizes: list[float]) -> Path:
    """A bid of 10; then a seller's print of each size at the bid, one a second."""
    count = len(sizes) + 1
    table = pd.DataFrame(
        {
            "ts": [START + pd.Timedelta(seconds=at) for at in range(count)],
            "bid": BID,
            "ask": ASK,
            "bid_size": 10.0,
            "ask_size": 10.0,
            "price": [None, *[BID] * len(sizes)],
            "size": [None, *sizes],
            "side": [None, *[-1.0] * len(sizes)],
        }
    )
    table.to_parquet(path)
    return path


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return write_tape(tmp_path / "mnq.parquet", [6.0, 5.0])


@pytest.fixture
def run(command, script, tape: Path) -> Callable[..., Path]:
    """Run a script on the tape; its run folder."""

    def play(text: str = SCRIPT, *options: object) -> Path:
        ended = command(
            *("run", script(text), "--tape", f"MNQ={tape}", "--no-report", "--out", "out"), *options
        )
        assert ended.code == 0, ended.err
        return Path("out")

    return play


def page(ended: object) -> str:
    """What was printed, without the breaks of lines."""
    assert ended.code == 0, ended.err
    return " ".join(ended.out.split())


def test_an_order_is_explained_by_its_id(command, run) -> None:
    text = page(command("explain", run(), 1))
    assert "order 1: buy 2 MNQ limit 21000.00, good till cancelled" in text
    assert "It filled in part: 1 lot of 2 at 21000.00. The first, 1.999 s after it" in text
    assert "Sent at 14:30:00.000, it arrived 1.0 ms later" in text
    assert "It joined the book at 21000.00 behind the 10 shown at the touch." in text
    assert "2024-01-02 UTC" in text


def test_an_order_is_explained_by_its_client_order_id(command, run) -> None:
    text = page(command("explain", run(), "deep bid"))
    assert 'order 2 ("deep bid"): buy 1 MNQ limit 20999.50' in text
    assert "closest print 2 ticks away (21000.00 at 14:30:01.000)" in text


def test_the_same_page_every_time(process, run, tmp_path: Path) -> None:
    run()
    first = process("explain", "out", 1, PYTHONHASHSEED="1", TZ="Asia/Kolkata")
    second = process("explain", "out", 1, PYTHONHASHSEED="2", TZ="America/Chicago")
    assert first.code == 0, first.err
    assert first.out == second.out


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("3", "the run has no order '3'; it has 1 to 2 (deep bid)"),
        ("deep-bid", """the run has no order 'deep-bid'; did you mean "deep bid"?"""),
        ("zzz", "the run has no order 'zzz'; it has 1 to 2 (deep bid)"),
    ],
)
def test_an_unknown_order_is_answered_with_those_there_are(
    command, run, order: str, said: str
) -> None:
    ended = command("explain", run(), order)
    assert ended.code == 2
    assert ended.err == f"papertape: {said}\n"


def test_a_folder_that_holds_no_run(command, run, tmp_path: Path) -> None:
    folder = run()
    (tmp_path / "other").mkdir()
    for name, said in (
        ("ouut", 'ouut is not a run folder: there is no such folder; did you mean "out"?'),
        ("other", "other is not a run folder: it has no config.json"),
    ):
        ended = command("explain", name, 1)
        assert (ended.code, ended.err) == (2, f"papertape: {said}\n")
    (folder / "events.parquet").unlink()
    ended = command("explain", folder, 1)
    assert ended.code == 2
    assert "out is not a whole run folder: " in ended.err


def test_a_run_of_several_sessions_asks_for_one(command, run) -> None:
    folder = run(SCRIPT + "asyncio.run(main())\n")
    ended = command("explain", folder, 1)
    assert ended.code == 2
    assert "out holds several sessions, session-1, session-2; name one: out/session-1" in ended.err
    assert "1 lot of 2 at 21000.00" in page(command("explain", folder / "session-2", 1))


def test_sessions_one_after_the_other_each_end_where_they_ended(command, run) -> None:
    text = SCRIPT.replace(
        "asyncio.run(main())", "async def both():\n    await main()\n    await main()\n"
    ).replace("sleep(60)", "sleep(0.5)")
    folder = run(text + "asyncio.run(both())\n")
    first = page(command("explain", folder / "session-1", 1))
    assert "nothing traded at 21000.00 while it rested" in first
    assert "14:30:00.504 the session ended 10 2" in first
    assert "1 lot of 2" not in page(command("explain", folder / "session-2", 1))


def test_a_tape_that_is_gone_or_another_is_said_and_can_be_named(
    command, run, tape: Path, tmp_path: Path
) -> None:
    folder = run()
    moved = tmp_path / "moved.parquet"
    shutil.move(tape, moved)
    ended = command("explain", folder, 1)
    assert ended.code == 2
    assert f"the tape of MNQ is not at {tape} any more; say where it is: papertape " in ended.err
    assert "--tape MNQ=FILE" in ended.err
    for named in (f"MNQ={moved}", moved):
        assert "1 lot of 2 at" in page(command("explain", folder, 1, "--tape", named))
    write_tape(tape, [6.0, 6.0])
    for options in ((), ("--tape", tape)):
        ended = command("explain", folder, 1, *options)
        assert ended.code == 2
        assert f"{tape} is not the tape of MNQ that was played" in ended.err
    ended = command("explain", folder, 1, "--tape", "nowhere.parquet")
    assert (ended.code, ended.err) == (
        2,
        "papertape: tape of MNQ: nowhere.parquet is not a file\n",
    )
    ended = command("explain", folder, 1, "--tape", "MNX=nowhere.parquet")
    assert ended.code == 2
    assert "MNX" in ended.err


def change_journal(folder: Path) -> None:
    """As another version of the exchange would have written it."""
    table = pq.read_table(folder / "events.parquet")
    lots = np.array(table.column("lots")).copy()
    lots[0] += 1
    index = table.column_names.index("lots")
    pq.write_table(table.set_column(index, "lots", [lots]), folder / "events.parquet")


def test_a_run_that_does_not_replay_is_refused(command, run) -> None:
    folder = run()
    change_journal(folder)
    ended = command("explain", folder, 1)
    assert ended.code == 2
    assert "out: the replay is not the recorded run, so there is nothing to explain: event 1" in (
        ended.err
    )
    assert "the exchange's rules have changed since, or the journal was edited" in ended.err
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["versions"]["numba"] = "0.1"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "the run was made with numba 0.1 (here " in command("explain", folder, 1).err


def test_a_run_on_another_broker_cannot_be_replayed(command, run) -> None:
    folder = run()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["simulation"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    ended = command("explain", folder, 1)
    assert (ended.code, ended.err) == (
        2,
        "papertape: out is not the run of a simulated exchange; only such a run can be replayed\n",
    )


def test_every_order_of_an_example_is_explained(command, tmp_path: Path) -> None:
    """A bracket strategy on the sample: brackets, sessions, brackets left open at the end."""
    example = Path(__file__).resolve().parents[2] / "examples" / "bracket.py"
    ended = command("run", example, "--instrument", "MNQ", "--out", "demo", "--no-report")
    assert ended.code == 0, ended.err
    orders = json.loads((tmp_path / "demo" / "summary.json").read_text("utf-8"))["orders"]
    filled = 0
    for order_id in range(1, orders + 1):
        text = page(command("explain", "demo", order_id))
        filled += "It filled: " in text
        assert ("It filled" in text) != ("It did not fill" in text)
    assert filled == json.loads((tmp_path / "demo" / "summary.json").read_text())["orders_filled"]


def test_long_tables_are_shortened_unless_all_is_asked_for(command, run) -> None:
    changes = "\n        ".join(
        f"await mnq.orders.modify_order(1, size={size})" for size in range(60, 10, -1)
    )
    folder = run(SCRIPT.replace(", 0, 2, 21000.0)", f", 0, 61, 21000.0)\n        {changes}"))
    short, whole = page(command("explain", folder, 1)), page(command("explain", folder, 1, "--all"))
    assert "lines ..." in short
    assert "lines ..." not in whole
    assert whole.count("changed to") == 50 > short.count("changed to") > 10
