"""A short story from a long session: fewer steps and fewer rows that still show a difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

import numpy as np

from broker_api.instrument import NANOS
from data.schema import RowKind, TapeColumns
from data.tape import Tape
from tests.differential.drive import STEPS, Action, DifferenceError, Pair, brief
from tests.differential.generate import Case
from tests.differential.sessions import case_of

_T = TypeVar("_T")
WORDS = {1: "buy", -1: "sell", 0: "print"}


def shrunk(seed: int, steps: int = STEPS) -> str:
    """What is left of a seed that differs: its rows, its steps and the difference, as text."""
    case = case_of(seed)
    actions, told = _difference_of(case, None, steps)
    if told is None:
        return f"seed {seed} is equal"
    actions = _fewer(actions, lambda few: _differs(case, few))
    for index in range(len(case.tapes)):
        case = _with_fewer_rows(case, index, actions)
    actions = _fewer(actions, lambda few: _differs(case, few))
    told = _difference_of(case, actions, len(actions))[1]
    lines = [f"seed {seed}, {len(actions)} steps:"]
    for tape, spec in zip(case.tapes, case.instruments, strict=True):
        lines += [f"  tape of {spec}", *(f"    {row}" for row in tape_lines(tape, spec.tick_size))]
    lines += [f"  calendars {case.calendars}", f"  {case.accounts}, start {case.start_ns}"]
    return "\n".join([*lines, *(f"  {brief(action)}" for action in actions), str(told)])


def _difference_of(
    case: Case, actions: Sequence[Action] | None, steps: int
) -> tuple[list[Action], str | None]:
    """The steps up to the first difference, and what it was; None when there is none."""
    done: list[Action] = []
    try:
        pair = Pair(case, promised=True)
        done = pair.actions
        if actions is None:
            pair.run(steps)
        else:
            pair.replay(actions)
    except DifferenceError as failure:
        return list(done), str(failure)
    return list(done), None


def _differs(case: Case, actions: Sequence[Action]) -> bool:
    try:
        return _difference_of(case, actions, 0)[1] is not None
    except (AssertionError, ValueError, IndexError):  # no such session can be made
        return False


def _fewer(things: list[_T], still: Callable[[list[_T]], bool]) -> list[_T]:
    """Leave out what is not needed: halves first, then smaller parts, then each one."""
    size = max(1, len(things) // 2)
    while True:
        at = 0
        while at < len(things):
            without = things[:at] + things[at + size :]
            if without and still(without):
                things = without
            else:
                at += size
        if size == 1:
            return things
        size //= 2


def _with_fewer_rows(case: Case, index: int, actions: Sequence[Action]) -> Case:
    tape = case.tapes[index]
    rows = np.arange(len(tape)).reshape(-1, 4 if tape.bar_interval_ns else 1)  # a bar stays whole
    kept = _fewer(rows.tolist(), lambda few: _differs(_with_rows(case, index, few), actions))
    return _with_rows(case, index, kept)


def _with_rows(case: Case, index: int, rows: Sequence[Sequence[int]]) -> Case:
    """The case with some rows of one tape; times stay."""
    tape, kept = case.tapes[index], np.array(rows, dtype=np.int64).ravel()
    columns = TapeColumns(*(column[kept] for column in tape.columns))
    tapes = list(case.tapes)
    tapes[index] = replace(tape, columns=columns)
    return replace(case, tapes=tuple(tapes))


def tape_lines(tape: Tape, tick_size: Decimal) -> list[str]:
    """The rows as `tests.sim.market` reads them."""
    tick = int(tick_size * NANOS)
    lines = []
    for values in zip(*(column.tolist() for column in tape.columns), strict=True):
        ts, kind, side, px, qty, bid, ask, bid_qty, ask_qty = values
        book = f"{f'{bid_qty}x{bid}' if bid_qty else '-'} {f'{ask}x{ask_qty}' if ask_qty else '-'}"
        if kind == RowKind.QUOTE:
            lines.append(f"{ts} {book}")
        elif kind == RowKind.TRADE:
            lines.append(f"{ts} {WORDS[side]} {qty}@{px} {book}")
        elif kind == RowKind.MARK:
            lines.append(f"{ts} mark {px / tick}")
        elif kind == RowKind.FUNDING:
            lines.append(f"{ts} funding {qty / 1000}ppm" + (f" {px / tick}" if px else ""))
        else:
            lines.append(f"{ts} {RowKind(kind).name.lower()} (book {book})")
    return lines
