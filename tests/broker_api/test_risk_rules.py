"""Account rules as settings: presets, files, tables, and what is refused in them."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from broker_api.codes import Reason
from broker_api.config import read_settings
from broker_api.errors import ConfigurationError
from broker_api.refusals import WORDINGS
from broker_api.risk_rules import PRESETS_FILE, RULE_NAMES, RiskRules, preset_names, rules_of

MINE = """
[mine]
check_seconds = 0.5
[mine.daily_loss]
limit = 400
action = "flatten"
"""
TWO = MINE + "\n[other]\nmax_order_size = 3\n"


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_says_what_it_is_and_limits_something(name):
    rules = rules_of(name)
    assert rules.about
    assert not rules.is_empty


def test_a_preset_has_the_figures_of_its_table():
    rules = rules_of("combine-50k")
    assert (rules.daily_loss.limit, rules.daily_loss.action) == (1000, "halt")
    trailing = rules.trailing_drawdown
    assert (trailing.limit, trailing.basis, trailing.locks_at) == (2000, "end_of_day", 0)
    assert (trailing.action, trailing.until) == ("halt", "good")
    assert rules.contracts.weights["MNQ"] == Decimal("0.1")
    assert [step.limit for step in rules_of("funded-50k").contracts.steps] == [3, 5]


def test_the_shipped_file_can_be_copied_and_edited(tmp_path):
    text = PRESETS_FILE.read_text(encoding="utf-8").replace("limit = 1000", "limit = 900")
    path = write(tmp_path, text)
    assert rules_of(f"{path}:combine-50k").daily_loss.limit == 900
    assert "EXAMPLES" in text
    assert list(tomllib.loads(text)) == list(preset_names())


def test_a_file_of_one_preset_needs_no_name_and_one_of_several_does(tmp_path):
    assert rules_of(write(tmp_path, MINE)).daily_loss.action == "flatten"
    path = write(tmp_path, TWO)
    assert rules_of(f"{path}:other").max_order_size == 3
    with pytest.raises(ConfigurationError, match=r"several presets: .*FILE:PRESET; it has mine, o"):
        rules_of(path)
    with pytest.raises(ConfigurationError, match=r'no preset \'othr\'; did you mean "other"'):
        rules_of(f"{path}:othr")


def test_a_table_changes_single_rules_of_a_preset():
    rules = rules_of({"preset": "combine-50k", "daily_loss": {"limit": 500}, "contracts": None})
    assert rules.daily_loss.limit == 500
    assert rules.contracts is None
    assert rules.trailing_drawdown.limit == 2000


def test_the_kill_switch_lies_beside_the_file_that_names_it(tmp_path):
    path = write(tmp_path, '[mine.kill_switch]\nfile = "STOP"\n')
    assert rules_of(path).kill_switch.file == tmp_path / "STOP"
    based = {"preset": str(path)}
    assert rules_of(based, Path("/elsewhere")).kill_switch.file == tmp_path / "STOP"


def test_a_settings_file_names_a_preset_or_holds_a_table(tmp_path):
    named = read_settings(write(tmp_path, 'risk = "combine-100k"\n', "papertape.toml"))
    assert rules_of(named.risk, named.risk_folder).daily_loss.limit == 2000
    held = read_settings(write(tmp_path, '[risk.kill_switch]\nfile = "STOP"\n', "papertape.toml"))
    assert rules_of(held.risk, held.risk_folder).kill_switch.file == tmp_path / "STOP"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("combine-50", 'neither a preset nor a file; did you mean "combine-50k"'),
        ("zzz", "the presets are combine-50k, combine-100k"),
        ({"daily_los": {"limit": 1}}, "no setting 'daily_los'; did you mean \"daily_loss\""),
        ({"daily_loss": {}}, "DailyLoss.limit is missing"),
        ({"daily_loss": {"limit": 0}}, "greater than 0"),
        ({"daily_loss": {"limit": 1, "action": "panic"}}, "'refuse', 'flatten' or 'halt'"),
        ({"flat_by": {}}, "needs a time of day, at, or minutes_before_close"),
        ({"flat_by": {"at": "15:10", "timezone": "Chicago"}}, "not the name of a time zone"),
        ({"price_band": {}}, "needs ticks or percent"),
        ({"day": {"ends": "17:00", "calendar": "24/7"}}, "give one"),
        ({"preset": "none"}, "neither a preset nor a file"),
        (7, "no preset, file, table or RiskRules"),
    ],
)
def test_what_is_wrong_is_named(source, text):
    with pytest.raises(ConfigurationError) as caught:
        rules_of(source)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("daily_loss = 1", "is not a table"),
        ("", "holds no preset"),
        ("[mine", "no valid TOML"),
        ("[mine]\nmax_order_size = -1", "mine: RiskRules.max_order_size = -1"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path, text, fault):
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        rules_of(path)
    assert str(path) in str(caught.value)
    assert fault in str(caught.value)


def test_every_rule_has_a_reason_with_words():
    settings = set(RiskRules.model_fields) - {"about", "day", "check_seconds"}
    assert sorted(RULE_NAMES.values()) == sorted(settings)
    assert all(reason in WORDINGS for reason in RULE_NAMES)
    assert Reason.KILL_SWITCH in RULE_NAMES
