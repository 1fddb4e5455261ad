"""Wrong rules of tiers, isolated positions, day and night margins, and price bands."""

from __future__ import annotations

from tests.differential.wrong_rules import WrongRule as W

NEWER_MONEY = (
    W(
        "the whole notional pays its highest tier",
        "account.py",
        "        total += parts_per_million(part, rates[at])",
        "        total = parts_per_million(notional, rates[at])",
    ),
    W(
        "a tier has no end",
        "account.py",
        'part = min(part, book["t_from"][at + 1] - book["t_from"][at])',
        "part = max(part, 0)",
    ),
    W(
        "maintenance pays the initial tiers",
        "account.py",
        'in_tiers(book, holding, notional, book["t_maintenance"])',
        'in_tiers(book, holding, notional, book["t_initial"])',
    ),
    W(
        "margin is not valued at the mark",
        "account.py",
        "    if mark > 0:\n"
        '        tick = book["i_tick_nanos"][instrument]\n        whole = lots * (mark',
        "    if mark > 1 << 62:\n"
        '        tick = book["i_tick_nanos"][instrument]\n        whole = lots * (mark',
    ),
    W(
        "a closing takes nothing out of the bucket",
        "account.py",
        "bucket -= share_of(bucket, closed, closed + kept)",
        "bucket -= 0",
    ),
    W(
        "what opens brings nothing into the bucket",
        "account.py",
        "bucket += initial_nanos(book, holding, kept + opened, (kept + opened) * value)",
        "bucket += initial_nanos(book, holding, kept, kept * value)",
    ),
    W(
        "what is kept pays its margin again",
        "account.py",
        "        bucket -= initial_nanos(book, holding, kept, kept * value)\n",
        "",
    ),
    W(
        "an isolated position stands on its bucket alone",
        "account.py",
        'return book["p_bucket"][holding] + open_profit(book, holding)',
        'return book["p_bucket"][holding]',
    ),
    W(
        "buckets are free for the others",
        "account.py",
        '            total -= book["p_bucket"][holding]\n',
        "            total -= 0\n",
    ),
    W(
        "orders against an isolated position reserve all they open",
        "account.py",
        "turning - isolated_equity(book, holding)",
        "turning",
    ),
    W(
        "orders on an isolated position's side reserve what it holds again",
        "account.py",
        "    most = adding - held\n",
        "    most = adding\n",
    ),
    W(
        "the account stands in for isolated positions",
        "account.py",
        '        if not book["p_isolated"][holding]:\n'
        "            total += maintenance_nanos(book, holding)",
        "        if True:\n            total += maintenance_nanos(book, holding)",
    ),
    W(
        "an isolated position has the account's room",
        "account.py",
        "        return isolated_equity(book, holding) - maintenance_nanos(book, holding)\n",
        "        return share\n",
    ),
    W(
        "funding of an isolated position is not its own",
        "status.py",
        'book["p_bucket"][holding] -= payment',
        'book["p_bucket"][holding] -= 0',
    ),
    W(
        "the liquidation of the account is that of all",
        "liquidation.py",
        'return not book["p_isolated"][holding_of(account, instrument)]',
        "return True",
    ),
    W(
        "limits inside the band's other side are refused",
        "rules.py",
        "furthest = reference + sign * ticks",
        "furthest = reference - sign * ticks",
    ),
    W(
        "a limit at the end of the band is refused",
        "rules.py",
        "if (limit - furthest) * sign > 0:",
        "if (limit - furthest) * sign >= 0:",
    ),
    W(
        "a band in ticks is one in millionths",
        "rules.py",
        "    if ticks == 0:\n        ticks = parts_per_million(abs(reference), ppm)",
        "    if True:\n        ticks = parts_per_million(abs(reference), ppm)",
    ),
    W(
        "without a print there is no band",
        "rules.py",
        '    if reference == NONE:\n        if book["i_mark"][instrument] <= 0:',
        "    if reference == NONE:\n        if True:",
    ),
    W(
        "the night lasts through the day",
        "overnight.py",
        "switches += [(opens_ns, index, False), (night_ns, index, True)]",
        "switches += [(night_ns, index, True)]",
    ),
    W(
        "the night begins at the close",
        "overnight.py",
        "night_ns = closes_ns - instrument.overnight_from_minutes * _MINUTE_NS",
        "night_ns = closes_ns",
    ),
)
