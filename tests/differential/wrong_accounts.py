"""Wrong rules of several accounts on one book: whom one meets, in which turn, what is whose."""

from __future__ import annotations

from functools import partial

from tests.differential.sessions import FIRST
from tests.differential.wrong_rules import WrongRule

W = partial(WrongRule, first=FIRST)

MEETING = (
    W(
        "own orders are met like those of others",
        "foreign.py",
        '        and book["o_account"][maker] != account\n',
        "",
    ),
    W(
        "the later of two makers at a price is met first",
        "foreign.py",
        'book["o_priority"][one] > book["o_priority"][other]',
        'book["o_priority"][one] < book["o_priority"][other]',
    ),
    W(
        "of two makers the worse price is met first",
        "foreign.py",
        "if worse > 0 or (worse == 0",
        "if worse < 0 or (worse == 0",
    ),
    W(
        "a maker one tick beyond the limit is met",
        "foreign.py",
        'if (worst - book["o_limit"][maker]) * sign < 0:',
        'if (worst - book["o_limit"][maker]) * sign < -1:',
    ),
    W(
        "a maker at the limit is not met",
        "foreign.py",
        'if (worst - book["o_limit"][maker]) * sign < 0:',
        'if (worst - book["o_limit"][maker]) * sign <= 0:',
    ),
    W(
        "a reduce-only order trades more than it closes",
        "foreign.py",
        "    return max(0, min(lots, reducible))",
        "    return lots",
    ),
    W(
        "the tape is met before a better maker",
        "taking.py",
        'if maker != NO_SLOT and (not is_level or (price - book["o_limit"][maker]) * sign > 0):',
        "if maker != NO_SLOT and not is_level:",
    ),
    W(
        "behind the tape's levels nobody is met",
        "taking.py",
        "        elif not is_level:\n            return\n        if not prevent_self_trade",
        "        if not is_level:\n            return\n        if not prevent_self_trade",
    ),
    W(
        "orders of all accounts prevent each other",
        "taking.py",
        "and holding_at(book, maker) == holding_at(book, slot)",
        'and book["o_instrument"][maker] == book["o_instrument"][slot]',
    ),
    W(
        "the rest of a protected order rests though the side is empty",
        "taking.py",
        'if book["o_protection"][slot] != NONE and shown > 0:',
        'if book["o_protection"][slot] != NONE:',
    ),
)
TURNS = (
    W(
        "all of the tape is ahead of a maker",
        "taking.py",
        "ahead = there if maker == NO_SLOT else tape_lots_ahead(book, maker, max(0, there))",
        "ahead = there",
    ),
    W(
        "nothing of the tape is ahead of a maker",
        "taking.py",
        "ahead = there if maker == NO_SLOT else tape_lots_ahead(book, maker, max(0, there))",
        "ahead = there if maker == NO_SLOT else ZERO",
    ),
    W(
        "after a maker the tape gives what it gave before",
        "taking.py",
        "            there -= done\n",
        "",
    ),
    W(
        "nothing is ahead of a maker whose queue is unknown",
        "queue.py",
        '    if not book["o_queue_known"][slot]:\n        return there\n',
        '    if not book["o_queue_known"][slot]:\n        return ZERO\n',
    ),
    W(
        "a part of a lot is not ahead of a maker",
        "queue.py",
        'return min(there, (book["o_queue"][slot] + QUEUE_UNIT - 1) // QUEUE_UNIT)',
        'return min(there, book["o_queue"][slot] // QUEUE_UNIT)',
    ),
    W(
        "what others take stays ahead of a maker",
        "queue.py",
        "    gone = lots * QUEUE_UNIT\n    for index",
        "    gone = lots * 0\n    for index",
    ),
    W(
        "what others take stays ahead of what a maker grew",
        "queue.py",
        '            book["o_queue_behind"][slot] = max(0, book["o_queue_behind"][slot] - gone)\n',
        "",
    ),
    W(
        "what others take at any price leaves the queue",
        "queue.py",
        'if book["o_sign"][slot] != sign or book["o_limit"][slot] != price:',
        'if book["o_sign"][slot] != sign or book["o_limit"][slot] < 0:',
    ),
    W(
        "what a maker grew has the place of the rest",
        "taking.py",
        'lots = min(book["o_live"][slot], min(book["o_live"][maker], book["o_front"][maker]))',
        'lots = min(book["o_live"][slot], book["o_live"][maker])',
    ),
    W(
        "a maker that a print has filled is met as if it had not",
        "taking.py",
        'if maker != NO_SLOT and book["o_entitled"][maker] > 0:',
        'if maker != NO_SLOT and book["o_entitled"][maker] > 1 << 60:',
    ),
    W(
        "the taker of a match pays as a maker",
        "taking.py",
        "return ZERO\n    fill(book, events, slot, lots, price, TAKER)",
        "return ZERO\n    fill(book, events, slot, lots, price, MAKER)",
    ),
    W(
        "the maker of a match pays as a taker",
        "taking.py",
        "fill(book, events, maker, lots, price, MAKER)",
        "fill(book, events, maker, lots, price, TAKER)",
    ),
    W(
        "a maker met by a stop is as ambiguous as the stop",
        "taking.py",
        '    ambiguous = book["ambiguous"]\n    book["ambiguous"] = 0\n'
        "    fill(book, events, maker, lots, price, MAKER)",
        '    ambiguous = book["ambiguous"]\n    fill(book, events, maker, lots, price, MAKER)',
    ),
)
COUNTED = (
    W(
        "fill-or-kill counts makers that their group may shrink",
        "foreign.py",
        'if book["o_role"][maker] in (SINGLE, ENTRY):',
        'if book["o_role"][maker] >= 0:',
    ),
    W(
        "fill-or-kill counts no entries of others",
        "foreign.py",
        'if book["o_role"][maker] in (SINGLE, ENTRY):',
        'if book["o_role"][maker] == SINGLE:',
    ),
    W(
        "fill-or-kill counts reduce-only makers",
        "foreign.py",
        '* sign <= 0 or book["o_reduce_only"][maker]:',
        "* sign <= 0:",
    ),
    W(
        "fill-or-kill counts makers where an own order ends it",
        "foreign.py",
        '* sign <= 0 or book["o_reduce_only"][maker]:',
        '* sign < 0 or book["o_reduce_only"][maker]:',
    ),
    W(
        "fill-or-kill counts what a print has given away",
        "foreign.py",
        'max(0, book["o_live"][maker] - book["o_entitled"][maker])',
        'max(0, book["o_live"][maker])',
    ),
    W(
        "post-only looks at the tape alone",
        "rules.py",
        "if maker != NO_SLOT and (found == NONE or",
        "if maker != NO_SLOT and (found != NONE and",
    ),
    W(
        "a market order against an empty side is refused whoever rests there",
        "commands.py",
        "sign * NO_LIMIT) != NO_SLOT",
        "sign * NO_LIMIT) == NO_SLOT and sign == 0",
    ),
    W(
        "a bracket against an empty side is judged by no price",
        "commands.py",
        '    return book["o_limit"][maker]',
        '    return book["o_limit"][maker] + NO_LIMIT',
    ),
)
WHOSE = (
    W(
        "a command finds the orders of every account",
        "publish.py",
        'if book["o_order_id"][slot] == order_id and book["o_account"][slot] == account:',
        'if book["o_order_id"][slot] == order_id:',
    ),
    W(
        "all accounts count their events together",
        "publish.py",
        '    book["a_seq"][account] += 1\n    events["seq"][index] = book["a_seq"][account]',
        '    book["a_seq"][0] += 1\n    events["seq"][index] = book["a_seq"][0]',
    ),
    W(
        "exits are capped by the brackets of every account",
        "exits.py",
        'return holding_of(book["g_account"][group], book["g_instrument"][group]) == holding',
        'return bool(book["g_instrument"][group] == holding % 16)',
    ),
    W(
        "a liquidation cancels the orders of every account",
        "liquidation.py",
        'book["o_role"][slot] == LIQUIDATION_ORDER or book["o_account"][slot] != account:',
        'book["o_role"][slot] == LIQUIDATION_ORDER:',
    ),
    W(
        "a liquidation under way keeps off that of another account",
        "liquidation.py",
        '== LIQUIDATION_ORDER and book["o_account"][slot] == account:',
        "== LIQUIDATION_ORDER:",
    ),
    W(
        "another account's position brings about a look at mine",
        "exchange.py",
        'if woken and not book["p_position"][account * MAX_INSTRUMENTS + woken - 1]:',
        "if woken > 99:",
    ),
    W(
        "only the first account's position asks for a look at the margin",
        "kernel.py",
        'for account in range(book["account_count"]):\n'
        "        holding = holding_of(account, instrument)",
        "for account in range(1):\n        holding = holding_of(account, instrument)",
    ),
    W(
        "only the first account pays funding",
        "status.py",
        'for account in range(book["account_count"]):\n            pay_funding',
        "for account in range(1):\n            pay_funding",
    ),
    W(
        "only the first account hears of a halt",
        "status.py",
        'for account in range(book["account_count"]):\n        index = publish(book',
        "for account in range(1):\n        index = publish(book",
    ),
    W(
        "working orders of every account reserve my margin",
        "account.py",
        "if holding_at(book, slot) != holding or not reserves_margin(book, slot):",
        'if book["o_instrument"][slot] != holding % 16 or not reserves_margin(book, slot):',
    ),
)
ACCOUNTS = (*MEETING, *TURNS, *COUNTED, *WHOSE)
