"""Wrong rules of the exchange, one change of its text each; `mutants.py` runs them.

The text that is replaced must be there exactly once, so a rule that is rewritten has to be looked
at here again. Matching is in this file; groups, money and commands are in `wrong_effects.py`.
"""

from __future__ import annotations

from typing import NamedTuple


class WrongRule(NamedTuple):
    """A change that makes one rule wrong: what it does, the file in `sim`, the text, the other."""

    name: str
    file: str
    right: str
    wrong: str


W = WrongRule

QUEUES = (
    W(
        "an order that joins the touch is first in line",
        "queue.py",
        "return lots * QUEUE_UNIT",
        "return 0",
    ),
    W(
        "a better price than the touch has an unknown queue",
        "queue.py",
        "* sign > 0:\n            return 0",
        "* sign > 0:\n            return UNKNOWN_QUEUE",
    ),
    W(
        "what a level once showed is forgotten",
        "queue.py",
        "return UNKNOWN_QUEUE if shown < 0 else shown * QUEUE_UNIT",
        "return UNKNOWN_QUEUE",
    ),
    W(
        "the grown part queues behind the touch only",
        "queue.py",
        'max(book["o_queue"][slot], book["o_queue_behind"][slot], queue)',
        "max(0, queue)",
    ),
    W(
        "the grown part inherits an empty queue",
        "queue.py",
        'book["o_queue"][slot] = behind',
        'book["o_queue"][slot] = 0',
    ),
    W(
        "the first fill needs half a lot more than the queue",
        "book.py",
        "FIRST_FILL_OVERFLOW = QUEUE_UNIT // 4",
        "FIRST_FILL_OVERFLOW = QUEUE_UNIT // 2 + 1",
    ),
    W(
        "the first fill is rounded down",
        "queue.py",
        "(over + QUEUE_UNIT // 2) // QUEUE_UNIT",
        "over // QUEUE_UNIT",
    ),
    W(
        "later fills are rounded like the first",
        "queue.py",
        "    if met:\n",
        "    if met > 1:\n",
    ),
    W(
        "the queue is not decremented by prints",
        "queue.py",
        "max(0, queue - unclaimed * QUEUE_UNIT)",
        "queue",
    ),
    W(
        "the queue of the grown part is not decremented by prints",
        "queue.py",
        "max(0, behind - left * QUEUE_UNIT)",
        "behind",
    ),
    W(
        "what an earlier own order took of a print is there twice",
        "queue.py",
        "overflow_lots(queue, unclaimed,",
        "overflow_lots(queue, print_lots,",
    ),
    W(
        "prints while the depth is unknown are not counted",
        "queue.py",
        'book["o_traded_pending"][slot] += print_lots',
        'book["o_traded_pending"][slot] += 0',
    ),
    W(
        "a traded-through queue stays",
        "queue.py",
        'book["o_queue"][slot] = 0\n    book["o_queue_behind"][slot] = 0\n'
        '    book["o_queue_known"][slot] = 1',
        'book["o_queue_known"][slot] = 1',
    ),
    W(
        "cancels are shared by the square instead of the power 1.5",
        "queue.py",
        "return value * sqrt(value)",
        "return value * value",
    ),
    W(
        "cancels are shared the other way round",
        "queue.py",
        "(ahead / total)",
        "(1.0 - ahead / total)",
    ),
    W(
        "every row of a packet ends it",
        "queue.py",
        "return row + 1 >= len(tape.ts) or tape.ts[row + 1] != tape.ts[row]",
        "return True",
    ),
    W(
        "a maker compares with what was before the reopening",
        "queue.py",
        "    if joined_unknown(book, slot):",
        "    if False:",
    ),
    W(
        "a touch that falls back behind the price tells nothing",
        "queue.py",
        "            clear_queue(book, slot)",
        "            pass",
    ),
    W(
        "all of an unknown queue was ahead",
        "queue.py",
        "half = (shown + traded) * QUEUE_UNIT // 2",
        "half = (shown + traded) * QUEUE_UNIT",
    ),
    W(
        "no cap of what is shown",
        "queue.py",
        'book["o_queue"][slot] = min(book["o_queue"][slot], shown_units)',
        'book["o_queue"][slot] += 0',
    ),
    W(
        "no cap of what is shown on the grown part",
        "queue.py",
        'book["o_queue_behind"][slot] = min(book["o_queue_behind"][slot], shown_units)',
        'book["o_queue_behind"][slot] += 0',
    ),
    W(
        "prints count as cancels too",
        "queue.py",
        'sign, book["o_limit"][slot]) - explained',
        'sign, book["o_limit"][slot])',
    ),
    W(
        "a fill does not mark the place as met",
        "groups.py",
        'book["o_met"][slot] = 1',
        'book["o_met"][slot] = 0',
    ),
    W(
        "a fill comes out of the newest place",
        "groups.py",
        'book["o_front"][slot] -= lots',
        'book["o_front"][slot] -= 0',
    ),
)

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
        '(price - book["o_limit"][slot]) * sign >= 0',
        '(price - book["o_limit"][slot]) * sign > 0',
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
        "if (worst - price) * sign < 0 or",
        "if (worst - price) * sign <= 0 or",
    ),
    W(
        "under `wait` an order walks on",
        "taking.py",
        "(mode != LADDER and level > 0)",
        "(mode == INFINITE and level > 0)",
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
        " or fillable_lots(book, slot, want) < want:",
        ":",
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
        "    levels = levels_before_own(book, slot, best, levels, first, shown, beyond)\n",
        "",
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
        'first = book["i_known_from"][instrument]',
        "first = 0",
    ),
    W(
        "a mark between two ticks is rounded the other way",
        "rules.py",
        "return mark // tick if sign > 0 else -(-mark // tick)",
        "return mark // tick if sign < 0 else -(-mark // tick)",
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
        "return source != NONE and (source - stop) * sign >= 0",
        "return source != NONE and (source - stop) * sign > 0",
    ),
    W(
        "a limit at the touch is not marketable",
        "rules.py",
        "return (limit - side_ticks(book, tape, row, instrument, sign)) * sign >= 0",
        "return (limit - side_ticks(book, tape, row, instrument, sign)) * sign > 0",
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
        "if limit != NONE and limit <= 0:",
        "if limit != NONE and limit < 0:",
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

ROWS = (
    W(
        "a maker is not woken by the touch at its price",
        "kernel.py",
        'book["i_ask_le"][instrument] = max(book["i_ask_le"][instrument], price)',
        'book["i_ask_le"][instrument] = max(book["i_ask_le"][instrument], price - 1)',
    ),
    W(
        "a sell stop is not woken by the print at its price",
        "kernel.py",
        "    elif source == SOURCE_LAST:\n"
        '        book["i_last_le"][instrument] = max(book["i_last_le"][instrument], price)',
        "    elif source == SOURCE_LAST:\n"
        '        book["i_last_le"][instrument] = max(book["i_last_le"][instrument], price - 1)',
    ),
    W(
        "halted markets fill",
        "kernel.py",
        'if book["i_halted"][instrument] or row < book["i_known_from"][instrument]:',
        'if row < book["i_known_from"][instrument]:',
    ),
    W(
        "a print by a buyer fills buys at its price",
        "kernel.py",
        "aggressor * sign > 0:",
        "aggressor * sign < 0:",
    ),
    W(
        "a print at the price gives nothing",
        "kernel.py",
        '(book["o_limit"][slot] - price) * sign < 0:',
        '(book["o_limit"][slot] - price) * sign <= 0:',
    ),
    W(
        "the worst price is served first",
        "kernel.py",
        "if better < 0 or",
        "if better > 0 or",
    ),
    W(
        "at one price the last order is served first",
        "kernel.py",
        '(better == 0 and book["o_priority"][slot] > book["o_priority"][other]):',
        '(better == 0 and book["o_priority"][slot] < book["o_priority"][other]):',
    ),
    W(
        "own orders do not share a print",
        "kernel.py",
        "left -= give_print(",
        "left -= 0 * give_print(",
    ),
    W(
        "traded through fills all",
        "kernel.py",
        'if book["trade_through_all"]:',
        "if True:",
    ),
    W(
        "the farthest stop triggers first",
        "kernel.py",
        "if further > 0 or",
        "if further < 0 or",
    ),
    W(
        "of two stops at one price the last triggers first",
        "kernel.py",
        '(further == 0 and book["o_priority"][slot] > book["o_priority"][other]):',
        '(further == 0 and book["o_priority"][slot] < book["o_priority"][other]):',
    ),
    W(
        "the print's fills come before the row's stops",
        "kernel.py",
        "    trigger_stops(book, tape, events, instrument, row)\n"
        "    fill_printed(book, events, printed)\n",
        "    fill_printed(book, events, printed)\n"
        "    trigger_stops(book, tape, events, instrument, row)\n",
    ),
    W(
        "crossed makers fill before orders that wait",
        "kernel.py",
        "        serve_waiting(book, tape, events, instrument, row)\n"
        "        fill_crossed(book, tape, events, instrument, row, BUY)\n",
        "        fill_crossed(book, tape, events, instrument, row, BUY)\n"
        "        serve_waiting(book, tape, events, instrument, row)\n",
    ),
    W(
        "a touch crosses makers as often as there are any",
        "kernel.py",
        "add_taken(book, instrument, sign, ZERO, done)",
        "pass",
    ),
    W(
        "a touch at the target's price is not ambiguous",
        "kernel.py",
        "return 1 if reach >= 0 else 0",
        "return 1 if reach > 0 else 0",
    ),
    W(
        "a print for the target is not ambiguous",
        "kernel.py",
        'if book["o_entitled"][other] > 0:\n        return 1',
        'if book["o_entitled"][other] > 0:\n        return 0',
    ),
    W(
        "positions are valued at an empty side's price",
        "kernel.py",
        "while at > before and tape.bid_qty[at] <= 0:",
        "while at > before and tape.bid_qty[at] < 0:",
    ),
    W(
        "crossings do not begin at the maker's price",
        "kernel.py",
        '(book["o_limit"][slot] - touch) * sign >= 0:',
        '(book["o_limit"][slot] - touch) * sign > 0:',
    ),
    W(
        "other markets are valued at rows that come later",
        "exchange.py",
        "bound_ns = ts_ns if index < before_index else ts_ns - 1",
        "bound_ns = ts_ns",
    ),
    W(
        "a DAY order has no end",
        "encoding.py",
        "return self._calendars[index].session_end_ns(now_ns)",
        "return NEVER",
    ),
)

MATCHING = (*QUEUES, *TAKING, *RULES, *ROWS)
