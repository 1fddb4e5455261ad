"""Which session a seed stands for: ticks, bars, or several accounts on one book.

From seed 500 on every fifth plays on bars, and a third of the others has two or three accounts.
Those before it are on ticks and have one account: what kills a wrong rule of the kernel is named
among them.
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.differential.bars import bar_case
from tests.differential.generate import Case, make_case, random_account
from tests.differential.rows import ROWS

FIRST = 500
SHARE = 1 / 3
ALONE = (279_276, 617_752, 795_268, 805_168, 864_096)
"""Sessions that found something before there were several accounts; `test_found.py` keeps them."""


def case_of(seed: int) -> Case:
    """The session that a seed stands for."""
    if seed < FIRST:
        return make_case(seed)
    if seed % 5 == 4:
        return bar_case(seed)
    has_several = random.Random(f"accounts {seed}").random() < SHARE
    return several_case(seed) if has_several and seed not in ALONE else make_case(seed)


def several_case(seed: int, rows: int = ROWS) -> Case:
    """The session of a seed with one or two accounts more, richer and poorer than the first."""
    case = make_case(seed, rows)
    rng = random.Random(f"more accounts {seed}")
    has_margin, cash = case.simulation.margin, case.accounts[0].cash
    more = [
        random_account(rng, case.instruments, cash * rng.choice((0.5, 1, 1, 2)), has_margin)
        for _ in range(rng.choice((1, 1, 2)))
    ]
    return replace(case, accounts=(*case.accounts, *more))
