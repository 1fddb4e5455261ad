"""Wrong rules of touched orders and trailing stops; see `wrong_rules.py`."""

from __future__ import annotations

from tests.differential.wrong_rules import WrongRule as W

TRIGGERS = (
    W(
        "a touched order triggers like a stop",
        "rules.py",
        "return -sign if order_type in (MARKET_IF_TOUCHED, LIMIT_IF_TOUCHED) else sign",
        "return sign",
    ),
    W(
        "a trailing distance may be in ticks and in percent",
        "rules.py",
        "if (trail == NONE) == (trail_ppm == NONE):",
        "if trail == NONE and trail_ppm == NONE:",
    ),
    W(
        "a trailing distance in percent is rounded down",
        "trailing.py",
        "(best % PPM * trail_ppm + PPM // 2) // PPM",
        "(best % PPM * trail_ppm) // PPM",
    ),
    W(
        "a trailing distance in percent may be nothing",
        "trailing.py",
        "return max(1, best // PPM",
        "return max(0, best // PPM",
    ),
    W(
        "a trailing stop follows a worse price",
        "trailing.py",
        "if second == NONE or (second - first) * sign >= 0:",
        "if second == NONE or (second - first) * sign <= 0:",
    ),
    W(
        "an activation price must be passed",
        "trailing.py",
        "(source - activation) * sign <= 0",
        "(source - activation) * sign < 0",
    ),
    W(
        "an exit that trails by itself goes on following its entry",
        "trailing.py",
        '            book["g_stop_offset"][book["o_group"][slot]] = NONE\n',
        "            pass\n",
    ),
    W(
        "a trailing exit starts at the market alone",
        "trailing.py",
        "    if follows:\n"
        '        best = better(sign, best, book["o_stop"][slot] - sign * offset)\n',
        "",
    ),
    W(
        "a new distance is measured from the stop",
        "trailing.py",
        'return book["o_best"][slot] + sign * trail',
        "return stop + sign * trail",
    ),
    W(
        "a new distance leaves percent in force",
        "trailing.py",
        '    book["o_trail"][slot] = trail\n    book["o_trail_ppm"][slot] = NONE\n',
        "",
    ),
    W(
        "a trailing stop moves after it was judged",
        "kernel.py",
        "            follow_source(book, events, slot, source)\n",
        "            pass\n",
    ),
    W(
        "a trailing stop is not woken by a better price",
        "kernel.py",
        'want_source(book, slot, -sign, book["o_best"][slot] - sign)',
        'want_source(book, slot, -sign, book["o_best"][slot] - 2 * sign)',
    ),
    W(
        "a trailing stop needs no price to start from",
        "rules.py",
        "return (NO_TRIGGER_SOURCE, 0, 0) if stop == NONE else (OK, 0, 0)",
        "return OK, 0, 0",
    ),
    W(
        "an order's distance can always be changed",
        "replacing.py",
        "    if trail != NONE and kind != TRAILING_STOP:\n"
        "        return NOT_MODIFIABLE, trail, 0\n",
        "",
    ),
)
