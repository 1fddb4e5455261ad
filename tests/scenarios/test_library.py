"""The scenarios that ship: each says what it shows, and its kept run is the accepted one.

`make test` plays them (`papertape check scenarios`); here is what that does not look at.
"""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from scenarios.accepted import read_accepted
from scenarios.invariants import broken
from scenarios.run_folder import run_digest
from scenarios.scenario import read_scenario
from scenarios.scenario_schema import scenario_schema

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "scenarios" / "library"
SCENARIOS = sorted(path.parent for path in LIBRARY.glob("*/scenario.toml"))
SIZE_MAX = 80_000
"""Bytes of one scenario with its accepted run: they are in the repository."""


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
def test_a_scenario_of_the_library_is_whole(folder: Path) -> None:
    scenario = read_scenario(folder)
    table = tomllib.loads(scenario.file.read_text(encoding="utf-8"))
    as_json = json.loads(json.dumps(table, default=str))  # Times are texts for an editor's schema.
    jsonschema.Draft202012Validator(scenario_schema()).validate(as_json)
    assert scenario.strategy == folder.name
    assert len(scenario.description) > 20
    kept = read_accepted(scenario)
    assert run_digest([each.digest for each in kept]) == scenario.expectation.digest
    assert scenario.expectation.statistics
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < SIZE_MAX


def test_every_scenario_is_in_the_page_and_the_other_way_round() -> None:
    page = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
    table = page.partition("## The library")[2]
    named = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert named == [folder.name for folder in SCENARIOS]


@pytest.mark.parametrize("name", ["bracket", "market_maker"])
def test_what_must_hold_can_be_broken(name: str) -> None:
    from reports.metrics import measure

    scenario = read_scenario(LIBRARY / name)
    (record,) = read_accepted(scenario)
    metrics = measure(record)
    invariants = scenario.expectation.invariants
    assert broken(invariants, record, metrics) == ()
    tighter = invariants.model_copy(update={"max_position": 0.5})
    (fault,) = broken(tighter, record, metrics)
    assert fault.startswith("max_position: ")
