"""What README, docs and examples show works: every Python block and every example is played."""

import re
from pathlib import Path

import pytest

from broker_api.config import SessionDefaults
from broker_api.risk_rules import rules_of
from papertape.cli import app
from scenarios.expectation import Expectation
from scenarios.runner import Script, play
from scenarios.scenario import read_scenario

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ROOMS = ("broker_api", "data", "sim", "reports", "scenarios", "papertape")
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """Page and place, and text, of every fenced block in this language."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if match[1] == language:
                found.append((f"{page.relative_to(ROOT)}:{line}", match[2]))
    return found


TOPS = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
"""Not the hidden ones, in which tools make and remove folders while tests run."""
WHOLE = {"sim/reference", "scenarios/library"}
"""Folders of which the page on the architecture says what they are, and no more."""


def test_the_page_on_the_architecture_names_every_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = [path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    told = [path for path in files if not any(path.is_relative_to(each) for each in WHOLE)]
    missing = [
        str(path) for path in told if path.name != "__init__.py" and f"{path.name}`" not in page
    ]
    assert missing == [], "docs/architecture.md says of every file what it holds"
    names = {Path(name).name for name in re.findall(r"`([\w/]+\.py)`", page)}
    known = {path.name for top in TOPS for path in top.rglob("*.py")}
    known |= {path.name for path in ROOT.glob("*.py")}
    assert sorted(names - known) == [], "docs/architecture.md names files that are not there"


def named(blocks: list[tuple[str, str]]) -> list[object]:
    return [pytest.param(text, id=place) for place, text in blocks]


RUNS = [each for each in blocks("python") if not re.search("import sweep|def test_", each[1])]
"""Blocks that are one run; tests/cli/test_sweep_page.py has those that are many, and
tests/scenarios/test_pytest_plugin.py those that are tests."""


@pytest.mark.parametrize("text", named(RUNS))
def test_python_blocks_of_the_pages_run(text: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "block.py"
    script.write_text(text, encoding="utf-8")
    outcome = play(Script(script), SessionDefaults(instruments=("MNQ",)))
    assert outcome.exit_code == 0
    assert len(outcome.sessions) == 1
    assert len(outcome.sessions[0].session.journal.commands()) > 0


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run_and_trade(path: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = play(Script(path), SessionDefaults(instruments=("MNQ",)))
    assert outcome.exit_code == 0
    session = outcome.sessions[0].session
    assert any(record.fills for record in session.ledger.orders.values())


def test_commands_of_the_pages_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    seen = 0
    for place, text in blocks("sh"):
        for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
            assert target in targets, f"{place}: make {target}"
            seen += 1
        for command in re.findall(r"papertape (\w+)", text):
            assert command in commands, f"{place}: papertape {command}"
            seen += 1
    assert seen >= 4


@pytest.mark.parametrize("text", named(blocks("toml")))
def test_toml_blocks_of_the_pages_are_accepted(text: str, tmp_path: Path) -> None:
    from broker_api.catalog import load_catalog
    from broker_api.config import read_settings

    path = tmp_path / "scenarios" / "one" / "block.toml"  # a page's paths may lead up from there
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    strategy = re.search(r'^strategy = "(.+):(.+)"', text, re.MULTILINE)
    if strategy:
        function = f"async def {strategy[2]}(suite): ...\n"
        (path.parent / strategy[1]).write_text(function, encoding="utf-8")
        assert read_scenario(path).expectation != Expectation()
    elif ".daily_loss]" in text:
        assert not rules_of(path).is_empty
    elif re.search(r"^\[[A-Z]+\]$", text, re.MULTILINE):
        assert load_catalog(path) != load_catalog()
    else:
        assert read_settings(path) != SessionDefaults()


def test_pages_point_at_files_that_are_there() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:docs|examples|broker_api|sim|data|reports)/[\w./-]*)`", text):
            assert (ROOT / name).exists(), f"{page.name} names {name}"
