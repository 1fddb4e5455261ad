"""Writes docs/capabilities.md from the table of capabilities and the numbered cases.

python -m tests.conformance.page
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from broker_api.capabilities import TRIGGERED, VENUES, Ask, Capabilities, lacks
from broker_api.order import OrderType, TimeInForce
from tests.conformance.cases import CASES
from tests.conformance.play import NAMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "capabilities.md"
_HEAD = """\
# What each venue can do

<!-- Written by python -m tests.conformance.page, from broker_api/capabilities.py and the cases. -->

The same verbs work everywhere; not every venue has everything behind them. What a venue lacks is
kept by the session or its adapter where that can be done honestly ([live accounts](live.md) says
what differs then), and is refused otherwise, before anything is sent, with what to use instead.

A simulated run can rehearse for a venue:

```sh
papertape run my_script.py --instrument MNQ --for projectx
```

or `TradingSuite.create(..., rehearse_for="projectx")`, or `rehearse_for = "projectx"` in
`papertape.toml`. What the venue does not have is refused then as it would be there. The script's
text is looked at before it runs: calls of order verbs that it can come to, and what is written out
in them (`time_in_force="FOK"`), are named by file and line, and nothing is played. What only shows
itself in the run, in other modules or in values that are computed, is refused at the command.
Instruments that the venue does not list, prices with more digits than it takes and orders that are
worth too little are refused too.
"""
_TABLE = """
## Capabilities

`native`: the venue has it. `by the session`, `by the adapter`: it is kept on your side. `no`: it is
refused.

"""
_INSTEAD = """
## What to use instead

"""
_CASES = """
## Conformance

Every promise below is a numbered case that is played on the simulated exchange, and by each adapter
on its [local venue](venues.md), in the tests and by
`python -m tests.conformance.play --venue projectx --case 26`. `holds`: as said. `refused`: the
venue lacks what the case needs; its verb is refused and nothing is sent, which is played too.

"""
_Cell = Callable[[Capabilities], str]


def _has(yes: bool, otherwise: str = "no") -> str:
    return "native" if yes else otherwise


def _forces(chosen: Callable[[Capabilities], Sequence[TimeInForce]]) -> _Cell:
    def cell(has: Capabilities) -> str:
        named = [force.name for force in chosen(has) if force is not TimeInForce.NONE]
        return ", ".join(named)

    return cell


_ROWS: tuple[tuple[str, _Cell], ...] = (
    ("market, limit and stop orders", lambda has: "native"),
    ("stop-limit orders", lambda has: _has(has.stop_limit)),
    ("trailing stops", lambda has: _has(has.trailing_stop)),
    (
        "trailing stops: `activation_price`",
        lambda has: _has(has.trailing_stop and has.trail_activation),
    ),
    (
        "trailing stops: longest distance",
        lambda has: "any" if has.trail_ticks_max is None else f"{has.trail_ticks_max:,} ticks",
    ),
    ("market- and limit-if-touched orders", lambda has: _has(has.if_touched)),
    ("brackets", lambda has: _has(has.native_brackets, "by the session")),
    ("OCO pairs", lambda has: _has(has.native_oco, "by the session")),
    ("`reduce_only`", lambda has: _has(has.reduce_only, "by the adapter")),
    ("`post_only`", lambda has: _has(has.post_only)),
    (
        "`post_only` of orders that wait for a price",
        lambda has: _has(has.post_only and has.post_only_triggers),
    ),
    ("`protection_ticks`", lambda has: _has(has.protection)),
    ("time in force: market orders", _forces(lambda has: has.market_forces)),
    ("time in force: limit orders", _forces(lambda has: has.limit_forces)),
    ("time in force: orders that wait for a price", _forces(lambda has: has.trigger_forces)),
    ("least worth of an order that adds", lambda has: str(has.min_value) if has.min_value else "-"),
    (
        "most digits of a price that is no whole number",
        lambda has: str(has.significant_digits) if has.significant_digits else "any",
    ),
    ("lists instruments of", lambda has: ", ".join(has.exchanges) or "any catalogue"),
)


def page() -> str:
    """The page, as it has to be."""
    head = f"| | {' | '.join(f'`{name}`' for name in NAMES)} |\n|---|{'---|' * len(NAMES)}\n"
    capabilities = "".join(
        f"| {title} | {' | '.join(cell(VENUES[name]) for name in NAMES)} |\n"
        for title, cell in _ROWS
    )
    cases = "".join(
        f"| {case.number}. {case.title} | "
        + " | ".join("holds" if case.needs(VENUES[name]) else "refused" for name in NAMES)
        + " |\n"
        for case in CASES
    )
    return (
        _HEAD + _TABLE + head + capabilities + _INSTEAD + _advice() + _CASES + head + cases
    ).rstrip("\n") + "\n"


def _advice() -> str:
    rows = ["| at | refused | instead |\n|---|---|---|\n"]
    for name in NAMES:
        said: dict[str, list[str]] = {}
        for ask in _every_ask():
            for lack in lacks(VENUES[name], ask):
                named = said.setdefault(lack.instead, [])
                named += [] if lack.what in named else [lack.what]
        rows += [f"| `{name}` | {'; '.join(whats)} | {each} |\n" for each, whats in said.items()]
    return "".join(rows)


def _every_ask() -> list[Ask]:
    """Asks that between them touch every capability."""
    asks = [Ask(each) for each in OrderType]
    for order_type in (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP):
        asks += [Ask(order_type, force) for force in TimeInForce if force is not TimeInForce.NONE]
    asks += [Ask(OrderType.LIMIT, post_only=True), Ask(OrderType.MARKET, is_protected=True)]
    asks += [Ask(each, post_only=True) for each in TRIGGERED if each is OrderType.STOP_LIMIT]
    asks += [Ask(OrderType.TRAILING_STOP, has_activation=True)]
    asks += [Ask(OrderType.TRAILING_STOP, trail_ticks=10**6)]
    return asks


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
