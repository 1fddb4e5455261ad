"""docs/tutorial.md from top to bottom: its files, its commands, the ends that it promises."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import ROOT, Ended

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"`([\w./-]+\.(?:py|toml|ini|yml))`[^`]*\Z")
CHANGE = re.compile(r"(\S+) -> (\S+)\n")

Command = Callable[..., Ended]


def test_the_tutorial_works(command: Command) -> None:
    commands: list[str] = []
    shown = ""
    for match in BLOCK.finditer(PAGE):
        language, text = match.groups()
        if language in ("python", "toml", "ini", "yaml"):
            write(match, text)
        elif language == "text":
            change(text)
            if "--storm-seed" in text:
                assert without_money(text) in without_money(shown)
        else:
            for line in text.splitlines():
                commands.append(line)
                shown = do(command, line)
    assert len(commands) == 10
    assert "all invariants held" in shown
    the_workflow_runs(command)


def without_money(text: str) -> str:
    """What a fee or a tick more would not change."""
    return re.sub(r"net \S+; ", "", text)


def write(match: re.Match[str], text: str) -> None:
    """A file is named by the last code in the text before it."""
    name = NAME.search(PAGE[: match.start()].rstrip().rpartition("\n\n")[2])
    assert name is not None, f"which file is {text[:60]!r}?"
    file = Path(name[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def change(text: str) -> None:
    """`old -> new` is a change of the strategy."""
    wanted = CHANGE.fullmatch(text)
    if wanted is not None:
        file = Path("dip.py")
        before = file.read_text(encoding="utf-8")
        assert before.count(wanted[1]) == 1
        file.write_text(before.replace(wanted[1], wanted[2]), encoding="utf-8")


def do(command: Command, line: str) -> str:
    """A command, which ends as the comment behind it says, else well."""
    expected = 1 if line.endswith("# exit code 1") else 0
    program, *arguments = shlex.split(line, comments=True)
    if program == "pytest":
        return pytest_passes(*arguments)
    if arguments[0] == "check" and "--storm-seed" not in arguments:
        arguments += ["--processes", "0"]
    ended = command(*arguments)
    assert ended.code == expected, f"{line}: {ended.code}\n{ended.out}\n{ended.err}"
    if expected and "storm" not in line:
        assert "likely cause (strategy)" in ended.out
        assert "dip.py changed" in ended.out
    return ended.out


def pytest_passes(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "scenarios.pytest_plugin", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    return done.stdout


def the_workflow_runs(command: Command) -> None:
    text = Path(".github/workflows/strategies.yml").read_text(encoding="utf-8")
    lines = re.findall(r"- run: ((?:papertape|pytest) .*)", text)
    assert len(lines) == 3
    for line in lines[:2]:
        do(command, line)
    for name, tests in (("check", "1"), ("storms", "20")):
        suite = ElementTree.parse(f"results/{name}.xml").getroot()[0]
        assert suite.get("tests") == tests
        assert suite.get("failures") == "0"
    assert Path("results/summary.md").is_file()
