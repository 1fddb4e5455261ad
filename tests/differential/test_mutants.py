"""Every wrong rule of the kernel is noticed; what notices it has nothing against the right one."""

from __future__ import annotations

from functools import cache

import pytest

from sim.book import KERNEL_FILES
from tests.differential.mutants import ROOT, WRONG_RULES, Verdict, judge, known_killers
from tests.differential.wrong_rules import WrongRule

WITHOUT_RULES = ("handles.py", "strategy.py", "strategy_loop.py", "strategy_door.py")
"""Files that hand calls on, and those that are none of the exchange: the session of a compiled
strategy, which `tests/sim/test_compiled.py` compares with a session in Python."""


@cache
def verdicts() -> dict[str, Verdict]:
    """All wrong rules, run once for all tests of this file."""
    return {verdict.name: verdict for verdict in judge(WRONG_RULES)}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [rule.name for rule in WRONG_RULES])
def test_a_wrong_rule_of_the_kernel_is_noticed(name: str) -> None:
    hint = "python -m tests.differential.mutants --hunt --keep looks for what notices it"
    assert verdicts()[name].killer is not None, f"{name}: survived; {hint}"


@pytest.mark.slow
def test_the_right_rules_pass_what_kills_the_wrong_ones() -> None:
    unchanged = WrongRule("nothing is changed", "rules.py", "from __future__", "from __future__")
    killers = sorted(set(known_killers().values()), key=str)
    assert judge([unchanged], killers=killers, seeds=0) == [Verdict(unchanged.name, None, "")]


def test_every_file_of_the_kernel_has_wrong_rules() -> None:
    assert len({rule.name for rule in WRONG_RULES}) == len(WRONG_RULES)
    with_rules = {rule.file for rule in WRONG_RULES}
    assert set(KERNEL_FILES) - set(WITHOUT_RULES) <= with_rules


def test_the_text_of_every_rule_is_there_once() -> None:
    for rule in WRONG_RULES:
        assert (ROOT / "sim" / rule.file).read_text().count(rule.right) == 1, rule
