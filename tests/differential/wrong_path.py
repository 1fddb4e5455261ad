"""Wrong rules of bars: the path between their prices, and what it means; see `wrong_rules.py`."""

from __future__ import annotations

from tests.differential.wrong_rules import WrongRule as W

PATH = (
    W(
        "the price jumps between the rows of a bar",
        "path.py",
        "    if place != 0 and row >",
        "    if False and row >",
    ),
    W(
        "a stop on the path trades at the row's price",
        "path.py",
        '        return book["bar_to"]\n    return book["o_stop"][slot]\n',
        '        return book["bar_to"]\n    return source\n',
    ),
    W(
        "an exit on the path may do better than the fill that brought it to life",
        "path.py",
        'if book["bar_filled"] != NONE and',
        "if False and",
    ),
    W(
        "a limit that the open jumped over fills at its own price",
        "path.py",
        '            return book["bar_to"]\n    return limit\n',
        "            return limit\n    return limit\n",
    ),
    W(
        "a limit where the market was is jumped over too",
        "path.py",
        '(book["bar_from"] - limit) * sign > 0',
        '(book["bar_from"] - limit) * sign >= 0',
    ),
    W(
        "an exit is ambiguous when the other is anywhere",
        "path.py",
        'level != NONE and book["bar_low"] <= level <= book["bar_high"]',
        "level != NONE",
    ),
    W(
        "a fill of the open is ambiguous like any other",
        "path.py",
        "    if place != 0:\n        first =",
        "    if place >= 0:\n        first =",
    ),
    W(
        "a row of a bar that shows the same is not fresh",
        "taking.py",
        'if book["i_bar"][instrument]:\n        return before != row',
        "if False:\n        return before != row",
    ),
    W(
        "each stop on the path finds the row untouched",
        "taking.py",
        'elif levels > 0 and not book["i_bar"][instrument]:',
        "elif levels > 0:",
    ),
    W(
        "a target on the path takes like an aggressor",
        "arrival.py",
        'if book["bar_step"] == MOVE and book["o_role"][slot] == TARGET_EXIT:',
        "if False:",
    ),
    W(
        "a stop on the path meets the row's touch",
        "arrival.py",
        '        book["bar_at"] = source\n',
        '        book["bar_at"] = NONE\n',
    ),
    W(
        "a target on the path is not crossed by its rest",
        "kernel.py",
        'if book["bar_step"] == MOVE:\n        fill_crossed',
        "if False:\n        fill_crossed",
    ),
    W(
        "a trailing exit does not trail the rest of the way",
        "arrival.py",
        'if book["bar_step"] == MOVE and book["o_type"][slot] == TRAILING_STOP:',
        "if False:",
    ),
    W(
        "the path of a bar does not mind the position",
        "bar_turn.py",
        "        sign = _ONE if position > 0 else -_ONE\n",
        "        sign = ZERO\n",
    ),
    W(
        "a bar under way is turned",
        "bar_turn.py",
        "    first = (cursor + ROWS - 1) // ROWS\n",
        "    first = cursor // ROWS\n",
    ),
    W(
        "a bar is turned once",
        "bar_turn.py",
        "            stands[bar] = wanted[bar]\n",
        "            pass\n",
    ),
    W(
        "the mark of the path outlives its row",
        "path.py",
        'book["bar_step"] = NO_BAR\n    book["bar_low"]',
        'book["bar_low"]',
    ),
)
