"""Wrong rules of groups, money, commands, halts and liquidation; see `wrong_rules.py`."""

from __future__ import annotations

from tests.differential.wrong_rules import WrongRule as W

GROUPS = (
    W(
        "a size by hand does not cap the exits",
        "exits.py",
        'min(book["g_entry_filled"][group], book["g_cap"][group]) - closed',
        'book["g_entry_filled"][group] - closed',
    ),
    W(
        "a stop by offset is rounded away from the entry",
        "exits.py",
        "return -(-cost // filled) - offset\n    return cost // filled + offset\n",
        "return cost // filled - offset\n    return -(-cost // filled) + offset\n",
    ),
    W(
        "a target by offset is rounded away from the entry",
        "exits.py",
        "return cost // filled + offset\n    return -(-cost // filled) - offset\n",
        "return -(-cost // filled) + offset\n    return cost // filled - offset\n",
    ),
    W(
        "an exit follows the entry after it has filled in part",
        "exits.py",
        'book["o_filled"][slot] > 0\n        or book["o_triggered"]',
        'False\n        or book["o_triggered"]',
    ),
    W(
        "a grown exit has one place",
        "exits.py",
        'if live > was and book["o_resting"][slot]:',
        "if False:",
    ),
    W(
        "an exit's sibling is not shrunk",
        "filling.py",
        'book["g_exit_filled"][group] += lots',
        'book["g_exit_filled"][group] += 0',
    ),
    W(
        "`arm=full` arms with the first fill",
        "groups.py",
        'if book["g_arm"][group] == ARM_FULL and not done:',
        "if False:",
    ),
    W(
        "an OCO leg dies of its sibling's self-trade",
        "groups.py",
        "if reason == SELF_TRADE and other != NO_SLOT:",
        "if False:",
    ),
    W(
        "UNPROTECTED is told of what the exchange cancels",
        "groups.py",
        "if role == STOP_EXIT and reason in (BY_USER, SIBLING):",
        "if role == STOP_EXIT and reason != BY_USER:",
    ),
    W(
        "the youngest bracket gives way first",
        "exits.py",
        'if found == NO_SLOT or book["g_created"][group] < book["g_created"][found]:\n'
        "            found = group\n    return found\n\n\n@njit\ndef position_headroom",
        'if found == NO_SLOT or book["g_created"][group] > book["g_created"][found]:\n'
        "            found = group\n    return found\n\n\n@njit\ndef position_headroom",
    ),
    W(
        "exits may exceed the position",
        "exits.py",
        "excess = -position_headroom(book, holding, sign)",
        "excess = 0",
    ),
    W(
        "reduce-only orders outlive the position",
        "filling.py",
        'book["o_sign"][slot] * position >= 0:',
        'book["o_sign"][slot] * position > 0:',
    ),
    W(
        "an OCO sibling is not shrunk",
        "filling.py",
        'left = book["o_live"][other] - lots',
        'left = book["o_live"][other]',
    ),
    W(
        "`on_partial=cancel` of a bracket shrinks",
        "filling.py",
        'if other != NO_SLOT and book["g_on_partial"][group] == CANCEL_ON_PARTIAL:',
        "if False:",
    ),
    W(
        "an exit whose sibling was cancelled stands unprotected in silence",
        "groups.py",
        "if role == STOP_EXIT and reason in (BY_USER, SIBLING):",
        "if role == STOP_EXIT and reason == BY_USER:",
    ),
    W(
        "`on_partial=cancel` shrinks",
        "filling.py",
        ' or book["g_on_partial"][group] == CANCEL_ON_PARTIAL:',
        ":",
    ),
    W(
        "reduce-only is not clipped to the position",
        "foreign.py",
        "return max(0, min(lots, reducible))",
        "return lots",
    ),
    W(
        "an exit is finished before its entry is",
        "filling.py",
        'return book["g_entry_done"][group] == 1',
        "return True",
    ),
    W(
        "no fill is ambiguous",
        "filling.py",
        'events["ambiguous"][index] = book["ambiguous"]',
        'events["ambiguous"][index] = 0',
    ),
    W(
        "an exit that goes live keeps its old priority",
        "arrival.py",
        '    book["o_priority"][slot] = book["priority"]\n',
        "",
    ),
    W(
        "a cancelled entry leaves its bracket waiting",
        "groups.py",
        'book["g_entry_done"][group] = 1\n        settle_bracket',
        'book["g_entry_done"][group] = 0\n        settle_bracket',
    ),
)

ARRIVALS = (
    W(
        "a fill-or-kill fills in part",
        "arrival.py",
        'available_to(book, tape, row, slot, worst) < book["o_live"][slot]:',
        "available_to(book, tape, row, slot, worst) <= 0:",
    ),
    W(
        "post-only is not judged at the trigger",
        "arrival.py",
        'if book["o_post_only"][slot] and not is_market_now(book, slot):',
        "if False:",
    ),
    W(
        "exits arrive while the market is halted",
        "arrival.py",
        'if book["i_halted"][instrument]:\n        return',
        "if False:\n        return",
    ),
    W(
        "a triggered stop is a limit order",
        "rules.py",
        'return kind == MARKET or (book["o_triggered"][slot] == 1 and not has_limit(kind))',
        "return kind == MARKET",
    ),
    W(
        "a market order against an empty side is accepted",
        "commands.py",
        "if not is_anyone_there(book, tape, row, command):",
        "if False:",
    ),
    W(
        "exits expire with the entry's time in force",
        "commands.py",
        '    book["o_expires"][slot] = NEVER\n',
        "",
    ),
    W(
        "exits are post-only where the entry is",
        "commands.py",
        '    book["o_post_only"][slot] = 0\n',
        "",
    ),
    W(
        "orders expire one nanosecond early",
        "commands.py",
        'if book["o_expires"][slot] <= book["ts"]:',
        'if book["o_expires"][slot] <= book["ts"] + 1:',
    ),
    W(
        "a bracket's levels are judged by the touch",
        "commands.py",
        "    if price != NONE:\n        return price\n",
        "",
    ),
    W(
        "an order that has ended was never there",
        "commands.py",
        "reason = ORDER_NOT_ACTIVE if ended_status else UNKNOWN_ORDER",
        "reason = UNKNOWN_ORDER",
    ),
)

CHANGES = (
    W(
        "a size equal to what has filled is refused",
        "replacing.py",
        'if size < book["o_filled"][slot]:',
        'if size <= book["o_filled"][slot]:',
    ),
    W(
        "an order that grows keeps its place",
        "replacing.py",
        'moved = limit != book["o_limit"][slot] or size > book["o_size"][slot]',
        'moved = limit != book["o_limit"][slot]',
    ),
    W(
        "an order that shrinks loses its place",
        "replacing.py",
        'moved = limit != book["o_limit"][slot] or size > book["o_size"][slot]',
        'moved = limit != book["o_limit"][slot] or size != book["o_size"][slot]',
    ),
    W(
        "while the market is closed nothing can be reduced",
        "replacing.py",
        " and not reduction:",
        ":",
    ),
    W(
        "a dearer order needs no margin",
        "replacing.py",
        "if more > 0 and more > available:",
        "if False:",
    ),
    W(
        "a changed stop may lie on the wrong side",
        "replacing.py",
        '        if is_through(trigger_way(book["o_type"][slot], sign), stop, source):\n'
        "            return STOP_WRONG_SIDE",
        "        if False:\n            return STOP_WRONG_SIDE",
    ),
    W(
        "post-only may take by a change",
        "replacing.py",
        'moves and book["o_post_only"][slot]',
        'moves and book["o_post_only"][slot] > 1',
    ),
    W(
        "a stop set by hand still follows the entry",
        "replacing.py",
        '        book["g_stop_offset"][group] = NONE\n',
        "",
    ),
    W(
        "a target set by hand still follows the entry",
        "replacing.py",
        'book["g_target_offset"][group] = NONE',
        "pass",
    ),
    W(
        "lots given back by hand are still to close",
        "replacing.py",
        'book["g_released"][group] += was - size',
        'book["g_released"][group] += 0',
    ),
    W(
        "a held sibling keeps its old size",
        "replacing.py",
        'if other == NO_SLOT or book["o_status"][other] != PENDING:',
        "if True:",
    ),
    W(
        "a live exit cannot grow again",
        "replacing.py",
        'most = book["o_size"][slot] + room',
        'most = book["o_size"][slot]',
    ),
)

MONEY = (
    W(
        "makers pay the taker's fee and takers the maker's",
        "account.py",
        "if liquidity == MAKER else",
        "if liquidity != MAKER else",
    ),
    W(
        "the fee per lot is per fill",
        "account.py",
        'book["i_fee_lot"][instrument] * lots +',
        'book["i_fee_lot"][instrument] +',
    ),
    W(
        "a part closed is realised at the whole cost",
        "account.py",
        "released = cost if closing == abs(position) else share_of(cost, closing, abs(position))",
        "released = cost",
    ),
    W(
        "what a flip opens costs nothing",
        "account.py",
        "cost += signed_lots * price_ticks",
        "cost += signed_lots * price_ticks if closing == 0 else 0",
    ),
    W(
        "a flip's margin is not released by what it closes",
        "account.py",
        "long_lots, short_lots = position, -position",
        "long_lots, short_lots = abs(position), abs(position)",
    ),
    W(
        "a long is valued at the ask",
        "account.py",
        'side = book["i_value_bid"][instrument] if position > 0',
        'side = book["i_value_bid"][instrument] if position < 0',
    ),
    W(
        "marks do not value positions",
        "account.py",
        "if mark > 0:\n        # The mark is finer",
        "if mark > 1 << 62:\n        # The mark is finer",
    ),
    W(
        "both OCO legs of one side reserve margin",
        "account.py",
        "if role == OCO_LEG:",
        "if False:",
    ),
    W(
        "exits reserve margin",
        "account.py",
        'if role in (STOP_EXIT, TARGET_EXIT) or book["o_reduce_only"][slot]:',
        'if book["o_reduce_only"][slot]:',
    ),
    W(
        "reduce-only orders reserve margin",
        "account.py",
        'if role in (STOP_EXIT, TARGET_EXIT) or book["o_reduce_only"][slot]:',
        "if role in (STOP_EXIT, TARGET_EXIT):",
    ),
    W(
        "a long's margin is looked at too late",
        "account.py",
        'book["i_value_bid"][instrument] - room // per_tick - 1',
        'book["i_value_bid"][instrument] - 2 * room // per_tick - 3',
    ),
    W(
        "a short's margin is looked at too late",
        "account.py",
        "at_ask + room // (per_tick + grows) + 1",
        "at_ask + 2 * room // (per_tick + grows) + 3",
    ),
    W(
        "the room is not shared by the positions",
        "account.py",
        "cross_maintenance(book, account)) // crossed",
        "cross_maintenance(book, account))",
    ),
    W(
        "funding is paid by the other side",
        "status.py",
        'book["a_cash"][account] -= payment',
        'book["a_cash"][account] += payment',
    ),
    W(
        "a funding row brings no mark",
        "status.py",
        "        if tape.px[row] > 0:",
        "        if False:",
    ),
)

HALTS = (
    W(
        "what was taken before a halt is still gone",
        "status.py",
        "    set_taken(book, instrument, BUY, ZERO, ZERO)\n",
        "",
    ),
    W(
        "a reopened book is known at once",
        "status.py",
        '    book["i_known_from"][instrument] = known_from\n',
        "",
    ),
    W(
        "the tape opens what the calendar has closed",
        "status.py",
        "    if halted & ~state:\n        return",
        "    if False:\n        return",
    ),
    W(
        "a halt of the tape forgets when the calendar opens",
        "status.py",
        "if state == BY_CALENDAR or not halted:",
        "if True:",
    ),
    W(
        "equity at the maintenance margin is liquidated",
        "liquidation.py",
        "scope_equity(book, account, scope) < needed",
        "scope_equity(book, account, scope) <= needed",
    ),
    W(
        "a liquidation leaves the first order",
        "liquidation.py",
        "at = ZERO\n    while",
        "at = ZERO + 1\n    while",
    ),
    W(
        "a liquidation while halted does not wait",
        "liquidation.py",
        'if book["i_halted"][command["instrument"]]:',
        "if False:",
    ),
    W(
        "two liquidations at a time",
        "liquidation.py",
        '["o_instrument"][slot], scope):\n                return False',
        '["o_instrument"][slot], scope):\n                pass',
    ),
)

EFFECTS = (*GROUPS, *ARRIVALS, *CHANGES, *MONEY, *HALTS)
