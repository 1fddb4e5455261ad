"""Every wrong rule of the kernel is noticed; what notices it has nothing against the right one."""

from __future__ import annotations

import pytest

from sim.book import KERNEL_FILES
from tests.differential.mutants import ROOT, WRONG_RULES, Verdict, judge, known_killers
from tests.differential.wrong_rules import WrongRule

WITHOUT_RULES = (
    "handles.py",
    "later.py",
    "tape_type.py",
    "door_code.py",
    "doors.py",
    "strategy.py",
    "strategy_loop.py",
    "strategy_bars.py",
    "shortcut_loop.py",
    "strategy_door.py",
)
"""Files that compile and hand calls on, and those that are none of the exchange: the session of a
compiled strategy, which `tests/sim/test_compiled.py` compares with a session in Python."""


SHARES = 6
"""Of the wrong rules, for the cores of the machine."""


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_every_wrong_rule_of_the_kernel_is_noticed(share: int) -> None:
    verdicts = judge(WRONG_RULES[share::SHARES], workers=1)
    survived = [verdict.name for verdict in verdicts if verdict.killer is None]
    hint = "python -m tests.differential.mutants --hunt --keep looks for what notices them"
    assert not survived, hint


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
