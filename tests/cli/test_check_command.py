import json
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

STRATEGY = """
import asyncio

async def buy(suite, size: int = 1):
    print("not shown")
    await suite["MNQ"].orders.place_market_order("MNQ", "buy", size)
    await asyncio.sleep(30)
    await suite["MNQ"].orders.close_position("MNQ")

async def fails(suite):
    raise ValueError("on purpose")

async def leaves_it_open(suite):
    await suite["MNQ"].orders.place_market_order("MNQ", "buy", 1)
    await asyncio.sleep(30)
"""
SCENARIO = """# why this scenario is here
strategy = "strategy.py:buy"  # the one

[tapes]
MNQ = { synthetic = { seed = 3, hours = 0.02 } }

[parameters]
size = 2  # two
"""


@pytest.fixture
def scenario(tmp_path: Path):
    """Write a scenario below `all`, with a part replaced."""

    def write(name: str, *changes: tuple[str, str], more: str = "") -> Path:
        folder = tmp_path / "all" / name
        folder.mkdir(parents=True, exist_ok=True)
        text = SCENARIO
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (folder / "strategy.py").write_text(STRATEGY, encoding="utf-8")
        (folder / "scenario.toml").write_text(text + more, encoding="utf-8")
        return folder

    return write


def test_a_scenario_is_accepted_passes_and_keeps_its_comments(command, scenario) -> None:
    folder = scenario("one")
    new = command("check", "all")
    assert new.code == 1
    assert "nothing is expected yet" in new.out
    assert "not shown" not in new.out
    assert command("check", "all", "--update").code == 0
    text = (folder / "scenario.toml").read_text(encoding="utf-8")
    assert text.startswith(SCENARIO)
    statistics = tomllib.loads(text)["expect"]["statistics"]
    assert (statistics["trades"], statistics["fills"]) == (1, 2)
    passed = command("check", folder / "scenario.toml")
    assert (passed.code, passed.err) == (0, "")
    assert "1 scenario: 1 passed" in passed.out
    assert command("check", "all", "--update").out.startswith("passed"), "nothing to accept"
    assert (folder / "scenario.toml").read_text(encoding="utf-8") == text
    file = folder / "scenario.toml"
    file.write_text(text.replace("size = 2", "size = 1"), encoding="utf-8")
    other = command("check", "--update")
    assert other.out.startswith("accepted")
    assert "likely cause (parameter): size is 1, it was 2" in other.out
    where = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in where) < 40_000
    config = (folder / "accepted" / "config.json").read_text(encoding="utf-8")
    assert str(folder.parent) not in config


def test_ci_gets_junit_markdown_and_the_difference(command, scenario, tmp_path) -> None:
    scenario("fine")
    folder = scenario("other")
    assert command("check", "--update", "--processes", 0).code == 0
    file = folder / "scenario.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("size = 2", "size = 3"), "utf-8")
    scenario("unread", ("[parameters]", "[parameter]"))
    scenario("wrong", (":buy", ":fails"), ("size = 2  # two", ""))
    files = ("--junit", "ci/junit.xml", "--markdown", "ci/summary.md")
    ended = command("check", *files, "--processes", 0)
    assert ended.code == 1
    suite = ElementTree.parse(tmp_path / "ci/junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "2")
    cases = {case.get("name"): case for case in suite}
    assert len(cases["fine"]) == 0
    failure = cases["other"].find("failure")
    assert "size_lots 3, expected 2" in failure.get("message")
    assert "likely cause (parameter): size is 3, it was 2" in failure.text
    assert "did you mean" in cases["unread"].find("error").get("message")
    assert "on purpose" in cases["wrong"].find("error").text
    summary = (tmp_path / "ci/summary.md").read_text(encoding="utf-8")
    assert summary.startswith("# Scenarios: 1 passed, 1 failed, 2 error")
    assert "## other: failed" in summary
    found = json.loads((tmp_path / "runs/check/other/divergence.json").read_text("utf-8"))
    assert (found["what"], found["kind"], found["causes"][0]["key"]) == (
        "command",
        "changed",
        "size",
    )
    assert (tmp_path / "runs/check/other/events.parquet").is_file()
    page = (tmp_path / "runs/check/other/difference.html").read_text(encoding="utf-8")
    assert "other: first difference" in page
    assert "size is 3, it was 2" in page
    assert "evidence" not in page


def test_figures_within_their_tolerance_pass_although_events_differ(command, scenario) -> None:
    folder = scenario("one")
    assert command("check", "--update").code == 0
    file = folder / "scenario.toml"
    text = file.read_text(encoding="utf-8").replace("seed = 3", "seed = 4")
    file.write_text(text, encoding="utf-8")
    failed = command("check")
    assert failed.code == 1
    assert "likely cause (tape): the tape of MNQ has other content" in failed.out
    tolerance = "\n[tolerance]\nnet = 1000\nfees = '1%'\nmax_drawdown = 1000\nend_equity = '50%'\n"
    file.write_text(text + tolerance, encoding="utf-8")
    passed = command("check")
    assert passed.code == 0
    assert "every figure is within its tolerance" in passed.out
    file.write_text(text + tolerance.replace("net = 1000", "net = 0.01"), encoding="utf-8")
    assert command("check").code == 1


def test_what_must_hold_is_looked_at_and_never_accepted_away(command, scenario) -> None:
    invariants = "\n[expect.invariants]\nflat_at_end = true\nmax_position = 1\nmax_loss = 0.5\n"
    scenario("open", (":buy", ":leaves_it_open"), ("size = 2  # two", ""), more=invariants)
    for arguments in (["check"], ["check", "--update"]):
        ended = command(*arguments)
        assert ended.code == 1
        assert "flat_at_end: 1 MNQ are open at the end" in ended.out
        assert "max_position" not in ended.out
        assert "max_loss: equity fell by" in ended.out
    scenario("open", more=invariants)
    assert "max_position: 2 MNQ were open, more than 1" in command("check").out


def test_scenarios_run_in_processes_with_the_same_result(command, scenario) -> None:
    for name in ("a", "b", "c"):
        scenario(name)
    assert command("check", "--update", "--processes", 0).code == 0
    ended = command("check", "--processes", 2)
    assert ended.code == 0
    assert "3 scenarios: 3 passed" in ended.out


def test_a_scenario_runs_by_itself_to_the_digest_that_is_expected(command, scenario) -> None:
    folder = scenario("one")
    assert command("check", "--update").code == 0
    text = (folder / "scenario.toml").read_text(encoding="utf-8")
    digest = tomllib.loads(text)["expect"]["digest"]
    for path, out in ((folder, "a"), (folder / "scenario.toml", "b")):
        assert command("run", path, "--out", out, "--no-report").code == 0
        summary = json.loads((folder.parents[1] / out / "summary.json").read_text("utf-8"))
        assert summary["digest"] == digest
    assert command("run", folder, "--set", "size=3", "--out", "c", "--no-report").code == 0
    refused = command("run", folder, "--strategy", "fails")
    assert refused.code == 2
    assert "says that itself" in refused.err


def test_a_scenario_for_a_live_broker_is_checked_in_simulation(command, scenario) -> None:
    scenario("live", ("[tapes]", 'broker = "projectx"\n[tapes]'))
    assert command("check", "--update").code == 0
    assert command("check").code == 0


def test_a_folder_that_holds_something_else_is_left_alone(command, scenario, tmp_path) -> None:
    folder = scenario("one")
    assert command("check").code == 1, "nothing accepted yet: the run is written"
    ended = command("check", "--out", "all")
    assert ended.code == 1
    assert "holds something that is no run" in ended.out
    assert (folder / "strategy.py").is_file()


def test_a_path_without_scenarios_is_refused(command, scenario, tmp_path) -> None:
    scenario(".hidden/one")
    for path, said in (("nowhere", "does not exist"), (tmp_path, "holds no scenario.toml")):
        ended = command("check", path)
        assert ended.code == 2
        assert said in ended.err


def test_the_schema_is_printed(command) -> None:
    schema = json.loads(command("check", "--schema").out)
    assert schema["properties"]["strategy"]["type"] == "string"
