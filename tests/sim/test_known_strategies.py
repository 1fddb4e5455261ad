"""A strategy whose file is executed again is not compiled again, unless something of it differs."""

from typing import Any

import numpy as np
import pytest

from sim.strategy_door import same_when_equal

LAYOUT = np.dtype([("fast", np.int64)])
TEXT = """
import math
LIMIT = 3

def step(ctx, me):
    if me.fast > LIMIT:
        me.fast = math.floor(1.0)
"""


def step_of(text: str) -> Any:
    space: dict[str, Any] = {}
    exec(compile(text, "strategy.py", "exec"), space)
    return space["step"]


def test_the_same_text_executed_twice_is_the_same() -> None:
    first, second = step_of(TEXT), step_of(TEXT)
    assert first is not second
    assert same_when_equal(first, LAYOUT) == same_when_equal(second, LAYOUT) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("LIMIT = 3", "LIMIT = True"),
        ("floor(1.0)", "floor(2.0)"),
        ("floor(1.0)", "ceil(1.0)"),
        ("import math", "import cmath as math"),
    ],
)
def test_what_differs_is_another_strategy(old: str, new: str) -> None:
    other = same_when_equal(step_of(TEXT.replace(old, new)), LAYOUT)
    assert other != same_when_equal(step_of(TEXT), LAYOUT)
    assert other is not None


def test_another_record_is_another_strategy() -> None:
    other = np.dtype([("fast", np.float64)])
    step = step_of(TEXT)
    assert same_when_equal(step, LAYOUT) != same_when_equal(step, other)


@pytest.mark.parametrize(
    "text",
    [
        "LIMIT = [3]\ndef step(ctx, me): me.fast = LIMIT[0]",
        "def helper(): return 1\ndef step(ctx, me): me.fast = helper()",
        "def outer(n):\n  def step(ctx, me): me.fast = n\n  return step\nstep = outer(1)",
    ],
)
def test_what_cannot_be_compared_is_compiled_each_time(text: str) -> None:
    assert same_when_equal(step_of(text), LAYOUT) is None
