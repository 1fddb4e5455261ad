"""`papertape run --risk`: rules of a preset or a file, in the folder, the report and the replay."""

import json

import pytest

from broker_api.journal_parquet import read_journal

LOSES = """
import asyncio

async def lose(suite):
    orders = suite["MNQ"].orders
    told = []
    await suite.on("risk", told.append)
    while not told:
        await orders.place_market_order("MNQ", 0, 5)
        await orders.place_market_order("MNQ", 1, 5)
        await asyncio.sleep(5)
    print(suite.risk.describe(told[0]))
    print(suite.risk.halted)
"""
RULES = """
[mine]
check_seconds = 2
[mine.daily_loss]
limit = 60
"""


@pytest.fixture
def folder(command, script, tmp_path):
    (tmp_path / "rules.toml").write_text(RULES)
    arguments = ("--instrument", "MNQ", "--risk", "rules.toml", "--out", "run")
    ended = command("run", script(LOSES), *arguments)
    assert ended.code == 0, ended.err
    assert "daily_loss: lost 6" in ended.out
    assert "the account is halted until 2025-01-14T22:00:00+00:00" in ended.out
    return tmp_path / "run"


def test_rules_of_a_file_hold_and_are_in_configuration_and_report(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["risk"]["daily_loss"]["limit"] == "60"
    summary = json.loads((folder / "summary.json").read_text())
    assert any("every 2 s while a position is open" in each for each in summary["assumptions"])
    assert any(each.startswith("account halted at 2025-01-14T14:") for each in summary["notes"])
    assert "every 2 s while a position is open" in (folder / "report.html").read_text()


def test_a_run_that_rules_ended_is_replayed_by_explain(folder, command):
    events, _ = read_journal(folder)
    assert events["kind"][-1] == 25  # halted
    ended = command("explain", folder, "1")
    assert ended.code == 0, ended.err


def test_a_name_that_is_no_preset_is_refused_before_anything_runs(command, script):
    ended = command("run", script(LOSES), "--instrument", "MNQ", "--risk", "combine-50")
    assert ended.code == 2
    assert 'did you mean "combine-50k"' in ended.err


def test_a_preset_holds(command, script):
    text = "async def big(suite):\n    await suite['MNQ'].orders.place_market_order('MNQ', 0, 51)\n"
    ended = command("run", script(text), "--instrument", "MNQ", "--risk", "combine-50k")
    assert ended.code == 2
    assert "positions and orders could come to 5.1 contracts, the limit is 5" in ended.err
