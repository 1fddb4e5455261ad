"""Wrong rules of queues and of rows; see `wrong_rules.py`."""

from __future__ import annotations

from tests.differential.wrong_rules import WrongRule as W

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
        "(ahead / (ahead + power(book, back)))",
        "(power(book, back) / (ahead + power(book, back)))",
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
        "filling.py",
        'book["o_met"][slot] = 1',
        'book["o_met"][slot] = 0',
    ),
    W(
        "a fill comes out of the newest place",
        "filling.py",
        'book["o_front"][slot] -= lots',
        'book["o_front"][slot] -= 0',
    ),
)

ROWS = (
    W(
        "a maker is not woken by the touch at its price",
        "kernel.py",
        'book["i_ask_le"][instrument] = max(book["i_ask_le"][instrument], price)\n'
        '        book["i_last_le"]',
        'book["i_ask_le"][instrument] = max(book["i_ask_le"][instrument], price - 1)\n'
        '        book["i_last_le"]',
    ),
    W(
        "a sell stop is not woken by the print at its price",
        "kernel.py",
        '            book["i_last_le"][instrument] = max(book["i_last_le"][instrument], price)',
        '            book["i_last_le"][instrument] = max(book["i_last_le"][instrument], price - 1)',
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
        "merged.py",
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

QUEUES_AND_ROWS = (*QUEUES, *ROWS)
