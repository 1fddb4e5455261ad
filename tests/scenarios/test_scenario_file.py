"""scenario.toml: what it says is what a run gets; a fault names the file, the key, the nearest."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from broker_api.config import FILE_KEYS
from broker_api.errors import ConfigurationError
from data.schema import RowKind
from data.tape import Tape
from scenarios.recording import played_sessions
from scenarios.runner import play
from scenarios.scenario import KEYS, OWN_KEYS, read_scenario
from scenarios.scenario_schema import scenario_schema

STRATEGY = """
import asyncio

async def dip(suite, size: int = 1):
    mnq = suite["MNQ"]
    await mnq.orders.place_bracket_order("MNQ", "buy", size, stop_offset=8.0, target_offset=4.0)
    await asyncio.sleep(60)
"""
GOOD = """
strategy = "strategy.py:dip"
description = "a bracket at once"
instruments = ["MNQ"]

[tapes]
MNQ = { synthetic = { seed = 7, hours = 0.05 } }

[parameters]
size = 2

[simulation]
entry_latency_ms = 5

[account]
cash = 20_000

[expect.statistics]
trades = 1

[expect.invariants]
max_position = 2

[tolerance]
net = "5%"
fees = 0.5
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A scenario's folder with this text, or the good one with a part replaced."""

    def make(text: str = GOOD, *changes: tuple[str, str]) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "strategy.py").write_text(STRATEGY, encoding="utf-8")
        (tmp_path / "scenario.toml").write_text(text, encoding="utf-8")
        return tmp_path

    return make


def test_a_folder_and_its_file_are_the_same_scenario(write) -> None:
    folder = write()
    scenario = read_scenario(folder)
    assert scenario == read_scenario(folder / "scenario.toml")
    assert scenario.name == folder.name
    assert (scenario.script, scenario.strategy) == (folder / "strategy.py", "dip")
    assert scenario.description == "a bracket at once"
    assert scenario.parameters == {"size": 2}
    assert scenario.expectation.statistics == {"trades": 1}
    assert scenario.expectation.invariants.max_position == 2
    assert scenario.tolerance.allows("net", 100, 104.9)
    assert not scenario.tolerance.allows("net", 100, 105.1)
    assert scenario.tolerance.allows("fees", 2, 2.5)
    assert not scenario.tolerance.allows("trades", 1, 2)


def test_it_plays_with_its_own_settings_and_again_with_the_same_digest(write) -> None:
    scenario = read_scenario(write())
    digests = []
    for _ in range(2):
        defaults = scenario.defaults()
        assert defaults.account.cash == 20_000
        outcome = play(scenario.script_to_play(), defaults)
        (played,) = played_sessions(scenario.script_to_play(), outcome)
        assert outcome.parameters == {"size": 2}
        assert played.record.config["simulation"]["entry_latency_ms"] == 5.0
        digests.append(played.record.digest)
    assert digests[0] == digests[1]


def test_defaults_are_nobody_elses(write) -> None:
    scenario = read_scenario(write())
    first, second = scenario.defaults(), scenario.defaults()
    first.parameters["size"] = 9
    first.tapes.clear()
    first.sessions.append(None)
    assert second.parameters == {"size": 2}
    assert list(second.tapes) == ["MNQ"]
    assert second.sessions == []
    assert second.tapes["MNQ"] is scenario.defaults().tapes["MNQ"], "a recipe is made once"


def test_the_tapes_of_a_recipe_may_name_the_instruments(write) -> None:
    scenario = read_scenario(write(GOOD, ('instruments = ["MNQ"]\n', "")))
    assert scenario.settings.instruments == ("MNQ",)


def test_a_recipe_has_halts_gaps_waypoints_and_a_start(write) -> None:
    recipe = (
        "seed = 7, hours = 0.1, price = 21000, start = 2025-01-15T15:00:00Z, "
        "waypoints = [[300, 21050.25]], halts = [[60, 120.5]], gaps = [[200, 230]]"
    )
    tape = read_scenario(write(GOOD, ("seed = 7, hours = 0.05", recipe))).defaults().tapes["MNQ"]
    assert isinstance(tape, Tape)
    columns, start_ns = tape.columns, 1_736_953_200_000_000_000
    seconds = (columns.ts - start_ns) / 1e9
    (halt,) = (columns.kind == RowKind.HALT).nonzero()[0]
    assert seconds[halt : halt + 2].tolist() == [60.0, 120.5]
    assert columns.kind[halt + 1] == RowKind.RESUME
    assert not ((seconds > 60) & (seconds < 120.5)).any()
    assert not ((seconds > 200) & (seconds < 230)).any()
    assert abs(columns.bid[0] * 0.25 - 21000) < 5
    at = seconds.searchsorted(300)
    assert abs(columns.bid[at] * 0.25 - 21050.25) < 10
    assert (columns.ts[1:] >= columns.ts[:-1]).all()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'instruments = ["MNQ"]',
            'instrument = ["MNQ"]',
            "'instrument'; did you mean \"instruments\"",
        ),
        ('"strategy.py:dip"', '"strategy.py"', "names a file and a function"),
        ('"strategy.py:dip"', '"strategi.py:dip"', 'did you mean "strategy.py"'),
        ('"strategy.py:dip"', '"strategy.py:dipp"', 'did you mean "dip"'),
        ('strategy = "strategy.py:dip"', "", "strategy is missing"),
        (
            "seed = 7",
            "sed = 7",
            "SyntheticRecipe has no setting 'sed'; did you mean \"seed\"",
        ),
        ("hours = 0.05", "hours = 0", "SyntheticRecipe.hours = 0"),
        ("{ synthetic =", "{ sinthetic =", 'did you mean "synthetic"'),
        ("hours = 0.05", "hours = 0.05, halts = [[5, 5]]", "5 to 5 s is no span"),
        ("hours = 0.05", "hours = 0.05, start = 2025-01-15T15:00:00", "offset from UTC"),
        ("{ synthetic = { seed = 7, hours = 0.05 } }", '"no.parquet"', "is not a file"),
        ("{ synthetic = { seed = 7, hours = 0.05 } }", "7", "neither a file nor a recipe"),
        ("MNQ = {", "ES = {", "ES is not among the instruments MNQ"),
        ('["MNQ"]', '["MNQQ"]', "MNQQ"),
        ("entry_latency_ms", "entry_latency", 'did you mean "entry_latency_ms"'),
        ("cash = 20_000", "cash = -1", "AccountConfig.cash = -1"),
        ("trades = 1", "trade = 1", "'trade' is no figure of a run; did you mean \"trades\""),
        ("max_position = 2", "max_positions = 2", 'did you mean "max_position"'),
        ('net = "5%"', 'nett = "5%"', "tolerance.nett: 'nett' is no figure"),
        ('net = "5%"', 'net = "five"', 'neither an amount like 0.5 nor a share like "2%"'),
        ("[account]", 'risk = "combine-50"\n[account]', "risk"),
        ("[account]", "[account", "no valid TOML"),
        ("[tolerance]", "[expect.digests]\n[tolerance]", 'did you mean "digest"'),
    ],
)
def test_a_fault_names_the_file_the_key_and_the_nearest(write, old, new, said) -> None:
    folder = write(GOOD, (old, new))
    with pytest.raises(ConfigurationError) as refused:
        read_scenario(folder)
    assert str(refused.value).startswith(str(folder / "scenario.toml"))
    assert said in str(refused.value)


def test_what_a_recipe_cannot_make_is_said_with_file_and_symbol(write) -> None:
    scenario = read_scenario(write(GOOD, ("seed = 7", "seed = 7, waypoints = [[10, 21000.1]]")))
    with pytest.raises(ConfigurationError, match=r"scenario.toml: tapes.MNQ: .*21000.1"):
        scenario.defaults()


def test_a_missing_scenario_names_its_neighbour(write) -> None:
    folder = write()
    with pytest.raises(ConfigurationError, match=r'did you mean "scenario\.toml"'):
        read_scenario(folder / "scenarios.toml")


def test_the_schema_has_the_keys_that_are_read_and_takes_what_is_good(write) -> None:
    schema = json.loads(json.dumps(scenario_schema()))
    assert set(schema["properties"]) == set(KEYS) == {*OWN_KEYS, *FILE_KEYS}
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = tomllib.loads(GOOD)
    validator.validate(good)
    for bad in (
        {**good, "instrument": []},
        {**good, "strategy": "no function"},
        {**good, "simulation": {"entry_latency": 1}},
        {**good, "tapes": {"MNQ": {"synthetic": {"sed": 1}}}},
        {**good, "expect": {"statistics": {"trade": 1}}},
        {**good, "tolerance": {"net": "five"}},
    ):
        assert not validator.is_valid(bad), bad
