import datetime as dt

import pytest

from broker_api.errors import ConfigurationError
from scenarios.parameters import bind, literal, split_assignments, split_settings


async def crossing(suite, fast: int = 10, slow: int = 30, *, band: float = 0.5, name: str = "x"):
    """A strategy, as a user writes one."""


async def needy(suite, size: int):
    """A strategy with a parameter that has no default."""


async def open_handed(suite, **settings):
    """A strategy that takes whatever it is given."""


async def lonely(suite):
    """A strategy without parameters."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("0.5", 0.5),
        ("true", True),
        ('"10"', "10"),
        ("[1, 2]", [1, 2]),
        ("2024-01-02", dt.date(2024, 1, 2)),
        ("MNQ", "MNQ"),
        ("a = b", "a = b"),
        ("1\nother = 2", "1\nother = 2"),
        ("", ""),
    ],
)
def test_values_are_toml_literals_else_text(text: str, value: object) -> None:
    assert literal(text) == value
    assert type(literal(text)) is type(value)


def test_assignments_are_split_at_the_first_equals_sign() -> None:
    assert split_assignments(["a=1", "b = x=y", "a=2"]) == {"a": "2", "b": "x=y"}


def test_settings_of_the_simulation_are_no_arguments() -> None:
    texts = ["a=1", "simulation.queue=back", "b=simulation.x"]
    assert split_settings(texts) == (["a=1", "b=simulation.x"], {"queue": "back"})


@pytest.mark.parametrize("text", ["fast", "=3", "a b=3", "3=a", ""])
def test_a_text_that_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not of the form key=value"):
        split_assignments([text])


def test_arguments_come_from_the_file_then_from_the_command_line() -> None:
    arguments = bind(crossing, {"fast": 5, "slow": 50}, {"slow": "60", "band": "1", "name": "7"})
    assert arguments == {"fast": 5, "slow": 60, "band": 1.0, "name": "7"}
    assert type(arguments["band"]) is float


@pytest.mark.parametrize(
    ("strategy", "settings", "assignments", "message"),
    [
        (crossing, {}, {"fats": "3"}, r"no parameter 'fats'; .*did you mean \"fast\""),
        (crossing, {"slwo": 3}, {}, r"no parameter 'slwo'; .*did you mean \"slow\""),
        (crossing, {}, {"suite": "3"}, r"no parameter 'suite'"),
        (lonely, {}, {"fast": "3"}, r"lonely takes no parameters; fast was given"),
        (needy, {}, {}, r"needy needs --set size=\.\.\."),
        (crossing, {}, {"fast": "quick"}, r"parameter fast = 'quick' is not of type int"),
        (crossing, {}, {"fast": "1.5"}, r"parameter fast = '1.5' is not of type int"),
        (crossing, {}, {"fast": "true"}, r"parameter fast = 'true' is not of type int"),
        (crossing, {"name": 3}, {}, r"parameter name = 3 is not of type str"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(strategy, settings, assignments, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        bind(strategy, settings, assignments)


def test_a_strategy_with_keywords_takes_anything() -> None:
    assert bind(open_handed, {}, {"anything": "3"}) == {"anything": 3}
