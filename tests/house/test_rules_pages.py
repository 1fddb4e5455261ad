"""What the pages about the rules list is all there is: settings, and files of examples."""

from __future__ import annotations

import re
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path

import pytest

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.instrument import Instrument

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (ROOT / "docs" / "fills.md").read_text(encoding="utf-8").split("## Settings")[1]
ROWS = re.findall(r"^\| (`.*?) \| (.*?) \|", SETTINGS, re.MULTILINE)
LISTED = {name: default for names, default in ROWS for name in re.findall(r"`(\w+)`", names)}
"""By the name of a setting the text in the column of its default."""


@pytest.mark.parametrize("name", SimulationConfig.model_fields)
def test_every_setting_of_the_simulation_is_listed_with_its_default(name: str) -> None:
    default = SimulationConfig.model_fields[name].default
    assert LISTED[name] == f"`{default!r}`".replace("'", '"')


def test_every_setting_of_an_account_and_an_instrument_is_listed() -> None:
    # `symbol` is the name of an instrument's table
    names = [item.name for item in fields(Instrument) if item.name != "symbol"]
    assert [name for name in (*AccountConfig.model_fields, *names) if name not in LISTED] == []


def test_every_file_of_examples_says_what_it_teaches() -> None:
    page = (ROOT / "tests" / "sim" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_[\w*]+\.py)`", page)
    files = [path.name for path in (ROOT / "tests" / "sim").glob("test_*.py")]
    assert [file for file in files if not any(fnmatch(file, name) for name in named)] == []
    assert [name for name in named if not any(fnmatch(file, name) for file in files)] == []
