"""What is best: the objective, among the runs that keep to the constraints."""

from __future__ import annotations

import pytest

from broker_api.errors import ConfigurationError
from scenarios.sweep import Constraint, Objective, Row, table_of


def row(net: float, drawdown: float, trades: int, error: str | None = None) -> Row:
    figures = {} if error else {"net": net, "max_drawdown": drawdown, "trades": trades}
    return Row({"net of": net}, figures=figures, error=error)


ROWS = [row(10, -40, 5), row(90, -600, 50), row(50, -200, 30), row(0, 0, 0, "it failed")]


def test_without_constraints_the_most_is_best() -> None:
    assert [each.figures["net"] for each in Objective("net").best(ROWS)] == [90, 50, 10]
    assert [each.figures["net"] for each in Objective("-net").best(ROWS)] == [10, 50, 90]


@pytest.mark.parametrize(
    ("texts", "left"),
    [
        (["max_drawdown<500"], [50, 10]),
        (["max_drawdown <= 600"], [90, 50, 10]),
        (["trades>=30"], [90, 50]),
        (["trades>=30", "max_drawdown<500"], [50]),
        (["trades > 50"], []),
        (["profit_factor>1"], []),  # no run has that figure
    ],
)
def test_only_runs_that_keep_to_every_constraint_are_best(texts, left) -> None:
    objective = Objective("net", tuple(map(Constraint, texts)))
    assert [each.figures["net"] for each in objective.best(ROWS)] == left
    allowed = [each.figures["net"] for each in ROWS if objective.allows(each)]
    assert sorted(allowed, reverse=True) == left


def test_the_table_says_which_runs_are_allowed() -> None:
    objective = Objective("net", (Constraint("trades>=30"),))
    assert table_of(ROWS, objective)["allowed"].tolist() == [False, True, True, False]
    assert "allowed" not in table_of(ROWS, Objective("net"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_drawdwn<500", r'is no figure .*did you mean "max_drawdown"'),
        ("max_drawdown=500", "is not of the form"),
        ("trades>many", "is not of the form"),
        ("max_drawdown>-500", "drawdowns are held by their size"),
    ],
)
def test_what_is_no_constraint_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Constraint(text)
