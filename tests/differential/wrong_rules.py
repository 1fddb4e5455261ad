"""Wrong rules of the exchange, one change of its text each; `mutants.py` runs them.

The text that is replaced must be there exactly once, so a rule that is rewritten has to be looked
at here again. Taking and checks are in this file; `wrong_rows.py` has queues and rows,
`wrong_effects.py` groups, money, commands and halts, `wrong_accounts.py` several accounts.
"""

from __future__ import annotations

from typing import NamedTuple


class WrongRule(NamedTuple):
    """A change that makes one rule wrong: what it does, the file in `sim`, the text, the other.

    `first` is the first seed that is tried.
    """

    name: str
    file: str
    right: str
    wrong: str
    first: int = 0


W = WrongRule

TAKING = (
    W(
        "a changed size is not fresh liquidity",
        "taking.py",
        " or shown_size(tape, at, sign) != lots:",
        ":",
    ),
    W(
        "taken liquidity is not reset when the touch changes",
        "taking.py",
        "            at_best = beyond = 0",
        "            pass",
    ),
    W(
        "takers leave the liquidity at the ask there",
        "taking.py",
        'book["i_taken_ask"][instrument] += lots',
        'book["i_taken_ask"][instrument] += 0',
    ),
    W(
        "takers leave the liquidity at the bid there",
        "taking.py",
        'book["i_taken_bid"][instrument] += lots',
        'book["i_taken_bid"][instrument] += 0',
    ),
    W(
        "the ladder's levels are whole again for the next taker",
        "taking.py",
        "used = min(beyond, shown)",
        "used = 0",
    ),
    W(
        "makers are crossed by what takers took",
        "taking.py",
        "return max(0, shown - gone - taken_lots(book, tape, row, instrument, sign)[0])",
        "return max(0, shown - gone)",
    ),
    W(
        "an own order is met only beyond its price",
        "taking.py",
        '(price - book["o_limit"][maker]) * sign >= 0:\n            return',
        '(price - book["o_limit"][maker]) * sign > 0:\n            return',
    ),
    W(
        "the order that adds to the position survives a self-trade",
        "taking.py",
        'keep_taker = position * book["o_sign"][slot] < 0',
        'keep_taker = position * book["o_sign"][slot] > 0',
    ),
    W(
        "cancel_newest and cancel_oldest are swapped",
        "taking.py",
        'taker_newer == (book["self_trade"] == CANCEL_OLDEST)',
        'taker_newer != (book["self_trade"] == CANCEL_OLDEST)',
    ),
    W(
        "a print's share is lost when the own maker is met",
        "taking.py",
        'if book["o_entitled"][maker] > 0:',
        "if False:",
    ),
    W(
        "protection is counted into the book",
        "taking.py",
        "+ sign * protection",
        "- sign * protection",
    ),
    W(
        "the ladder goes on below one tick",
        "taking.py",
        "return max(worst, 1)",
        "return worst",
    ),
    W(
        "a taker stops before its limit",
        "taking.py",
        "is_level = level < levels and (worst - price) * sign >= 0",
        "is_level = level < levels and (worst - price) * sign > 0",
    ),
    W(
        "under `wait` an order walks on",
        "taking.py",
        'levels = MAX_WALK_LEVELS if book["beyond_top"] == LADDER else ONE',
        'levels = ONE if book["beyond_top"] == INFINITE else MAX_WALK_LEVELS',
    ),
    W(
        "an order walks four levels at most",
        "book.py",
        "MAX_WALK_LEVELS = 256",
        "MAX_WALK_LEVELS = 4",
    ),
    W(
        "the rest of an IOC stays",
        "taking.py",
        "== IOC:",
        "== NO_SLOT:",
    ),
    W(
        "a fill-or-kill that is reduce-only fills in part",
        "taking.py",
        "    if fillable_lots(book, slot, want) < want:\n        return ZERO\n",
        "",
    ),
    W(
        "a fill-or-kill counts what was printed away",
        "taking.py",
        "first = max(0, shown - gone - at_best)",
        "first = max(0, shown - at_best)",
    ),
    W(
        "a fill-or-kill sees no own orders",
        "taking.py",
        "            end = met\n",
        "            pass\n",
    ),
    W(
        "a joining order may rest across an own one",
        "taking.py",
        'if prevent_self_trade(book, events, slot, book["o_limit"][slot]):',
        "if True:",
    ),
    W(
        "a protected market order's rest waits",
        "taking.py",
        'if book["o_protection"][slot] != NONE and shown > 0:',
        "if False:",
    ),
)

RULES = (
    W(
        "prints of unknown side take nothing",
        "rules.py",
        "tape.side[row] * sign >= 0",
        "tape.side[row] * sign > 0",
    ),
    W(
        "prints beyond the touch prove nothing",
        "rules.py",
        "and (tape.px[row] - best) * sign > 0:",
        "and (tape.px[row] - best) * sign > 1 << 30:",
    ),
    W(
        "prints since the quote are still there",
        "rules.py",
        "total += tape.qty[row]",
        "total += 0",
    ),
    W(
        "the book from before a reopening counts",
        "rules.py",
        'if row < book["i_known_from"][instrument] or row < 0:',
        "if row < 0:",
    ),
    W(
        "the last print from before the run counts",
        "rules.py",
        'first = max(ZERO, book["i_known_from"][instrument])',
        "first = 0",
    ),
    W(
        "a mark between two ticks is rounded the other way",
        "rules.py",
        "return mark // tick if way > 0 else -(-mark // tick)",
        "return mark // tick if way < 0 else -(-mark // tick)",
    ),
    W(
        "a buy stop looks at the bid",
        "rules.py",
        "return shown_ticks(tape, row, sign)\n    return last_trade_ticks",
        "return shown_ticks(tape, row, -sign)\n    return last_trade_ticks",
    ),
    W(
        "a stop needs more than its price",
        "rules.py",
        "return source != NONE and (source - trigger) * way >= 0",
        "return source != NONE and (source - trigger) * way > 0",
    ),
    W(
        "a limit at the touch is not marketable",
        "rules.py",
        "if (limit - found) * sign < 0:",
        "if (limit - found) * sign <= 0:",
    ),
    W(
        "the smallest size is refused",
        "rules.py",
        'if size < book["i_min_lots"][instrument]:',
        'if size <= book["i_min_lots"][instrument]:',
    ),
    W(
        "the largest size has no limit",
        "rules.py",
        "    if size > most:",
        "    if size > 2 * most:",
    ),
    W(
        "a price of zero is a price",
        "rules.py",
        "if price != NONE and price <= 0:\n            return PRICE_NOT_POSITIVE",
        "if price != NONE and price < 0:\n            return PRICE_NOT_POSITIVE",
    ),
    W(
        "reduce-only is judged by the other side",
        "rules.py",
        "if position * sign > 0:",
        "if position * sign < 0:",
    ),
    W(
        "margin must be more than enough",
        "rules.py",
        "if more > 0 and more > available:",
        "if more > 0 and more >= available:",
    ),
    W(
        "a market order's margin is valued at the other touch",
        "rules.py",
        "price = shown_ticks(tape, row, sign)",
        "price = shown_ticks(tape, row, -sign)",
    ),
    W(
        "an order may expire on arrival",
        "rules.py",
        'command["expires"] <= book["ts"]:',
        'command["expires"] < book["ts"]:',
    ),
    W(
        "post-only may take on arrival",
        "rules.py",
        'if found[0] == OK and command["post_only"] and kind == LIMIT:',
        "if False:",
    ),
    W(
        "a bracket's stop may lie at its entry",
        "rules.py",
        "(entry_price - stop) * sign <= 0:",
        "(entry_price - stop) * sign < 0:",
    ),
    W(
        "a bracket's target may lie at its entry",
        "rules.py",
        "(target - entry_price) * sign <= 0:",
        "(target - entry_price) * sign < 0:",
    ),
)

MATCHING = (*TAKING, *RULES)
