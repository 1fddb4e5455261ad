"""Wrong rules of searches through the block index, and of what events tell; see `wrong_rules.py`.

Sessions are too short for a second level of blocks: what a jump over many of them must not miss is
shown by `tests/sim/test_search_edges.py`.
"""

from __future__ import annotations

from tests.differential.wrong_rules import WrongRule as W

SEARCH = (
    W(
        "time goes on past the row that publishes",
        "entries.py",
        'limit_ns = book["ts"] if book["event_count"] > 0 else until_ns',
        "limit_ns = until_ns",
    ),
    W(
        "an order outlives its time",
        "entries.py",
        'if book["next_expiry"] <= limit_ns:',
        'if book["next_expiry"] < limit_ns:',
    ),
    W(
        "the last row of a time is left for later",
        "search.py",
        "if ts[middle] <= ts_ns:",
        "if ts[middle] < ts_ns:",
    ),
    W(
        "a block is skipped by its highest bid",
        "search.py",
        "or index[at, BID_MIN] <= bid_le",
        "or index[at, BID_MAX] <= bid_le",
    ),
    W(
        "a block is skipped by its lowest ask",
        "search.py",
        "or index[at, ASK_MAX] >= ask_ge",
        "or index[at, ASK_MIN] >= ask_ge",
    ),
    W(
        "a block whose bid just comes to the price is skipped",
        "search.py",
        "or index[at, BID_MAX] >= bid_ge",
        "or index[at, BID_MAX] > bid_ge",
    ),
    W(
        "a block whose ask just comes to the price is skipped",
        "search.py",
        "or index[at, ASK_MIN] <= ask_le",
        "or index[at, ASK_MIN] < ask_le",
    ),
    W(
        "a block with a print at the lower price is skipped",
        "search.py",
        "or index[at, PX_MIN] <= last_le",
        "or index[at, PX_MIN] < last_le",
    ),
    W(
        "a block with a print at the higher price is skipped",
        "search.py",
        "or index[at, PX_MAX] >= last_ge",
        "or index[at, PX_MAX] > last_ge",
    ),
    W(
        "a block is skipped whatever its states",
        "search.py",
        "            index[at, HAS_STATUS]\n            or ",
        "            ",
    ),
    W(
        "blocks of blocks are taken from any of them on",
        "search.py",
        "        if block & _INSIDE or blocks <= 1:",
        "        if blocks <= 1:",
    ),
    W(
        "every level begins where the first does",
        "search.py",
        "        level_start += blocks\n        blocks = (blocks + _INSIDE) >> _BITS\n"
        "        block >>= _BITS\n        size <<= _BITS\n\n\n@njit\ndef last_trade_row",
        "        blocks = (blocks + _INSIDE) >> _BITS\n"
        "        block >>= _BITS\n        size <<= _BITS\n\n\n@njit\ndef last_trade_row",
    ),
    W(
        "the first row of a block is not looked at",
        "search.py",
        "stop = min(end, row | _INSIDE) + 1",
        "stop = min(end, row | _INSIDE)\n        row += row & _INSIDE == 0",
    ),
    W(
        "the row at the end is not looked at",
        "search.py",
        "stop = min(end, row | _INSIDE) + 1",
        "stop = min(end, (row | _INSIDE) + 1)\n        if row == stop:\n            return end + 1",
    ),
    W(
        "a print of the row is a quote",
        "search.py",
        "if kind[row] == ROW_TRADE and (px[row] <= last_le or px[row] >= last_ge):",
        "if False:",
    ),
    W(
        "a search back skips blocks with prints",
        "search.py",
        "if lowest <= highest and (not at_price or lowest <= price <= highest):",
        "if lowest < highest and (not at_price or lowest <= price <= highest):",
    ),
    W(
        "a search back takes blocks of blocks from any of them on",
        "search.py",
        "        if block & _INSIDE != _INSIDE or blocks <= 1:",
        "        if blocks <= 1:",
    ),
    W(
        "an empty side shows its price",
        "search.py",
        "if touch[row] == price and lots[row] > 0:",
        "if touch[row] == price:",
    ),
    W(
        "a buyer's price is looked for at the ask",
        "search.py",
        "(BID_MIN_AT, BID_MAX_AT) if sign > 0 else (ASK_MIN_AT, ASK_MAX_AT)",
        "(BID_MIN_AT, BID_MAX_AT) if sign < 0 else (ASK_MIN_AT, ASK_MAX_AT)",
    ),
)

TOLD = (
    W(
        "an ended order tells what was left",
        "publish.py",
        '    events["leaves_lots"][index] = 0\n    if kind == EV_CANCELLED:',
        "    if kind == EV_CANCELLED:",
    ),
    W(
        "an expiry tells a reason",
        "publish.py",
        "    if kind == EV_CANCELLED:\n",
        "    if kind != EV_CANCELLED:\n",
    ),
    W(
        "a partly filled order is open",
        "publish.py",
        'return PARTIALLY_FILLED if book["o_filled"][slot] > 0 else OPEN',
        "return OPEN",
    ),
    W(
        "an account's fees are its cash",
        "publish.py",
        'events["fee_nanos"][index] = book["a_fees"][account]',
        'events["fee_nanos"][index] = book["a_cash"][account]',
    ),
    W(
        "an order that left the book rests on",
        "publish.py",
        '    book["o_resting"][slot] = 0\n    book["o_queue"][slot] = 0\n',
        '    book["o_queue"][slot] = 0\n',
    ),
    W(
        "the active list forgets who came first",
        "publish.py",
        "        active[index] = active[index + 1]\n",
        "        active[at] = active[count - 1]\n",
    ),
    W(
        "what nothing trades is not looked at in a halt",
        "kernel.py",
        'if book["i_halted"][instrument] and not is_held(book, instrument):',
        'if book["i_halted"][instrument]:',
    ),
    W(
        "an exit marked in a halt waits for a row of interest",
        "kernel.py",
        '            book["i_every_row"][book["o_instrument"][slot]] = 1\n'
        '        if book["o_status"][slot] == PENDING',
        '            pass\n        if book["o_status"][slot] == PENDING',
    ),
    W(
        "a buy stop on the ask is woken by the bid",
        "kernel.py",
        '    elif source == SOURCE_BID_ASK and book["o_sign"][slot] > 0:',
        '    elif source == SOURCE_BID_ASK and book["o_sign"][slot] < 0:',
    ),
    W(
        "a touched buy is not woken by the ask at its price",
        "kernel.py",
        '            book["i_ask_le"][instrument] = max(book["i_ask_le"][instrument], price)\n'
        "    elif source",
        '            book["i_ask_le"][instrument] = max(book["i_ask_le"][instrument], price - 1)\n'
        "    elif source",
    ),
    W(
        "a maker's queue is not woken by its touch",
        "kernel.py",
        '        if tracks_queue(book, slot):\n            book["i_bid_le"][instrument]',
        '        if False:\n            book["i_bid_le"][instrument]',
    ),
)
