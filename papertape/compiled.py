"""Compiled strategies: one function that sees every row, run in the exchange's own loop.

Declare it with `strategy`, give it the verbs and looks below, and play it with
`await suite.run_compiled("MNQ", function, ...)`. See docs/interface.md.
"""

from broker_api.order import NO_PRICE
from sim.compiled import CompiledStrategy, strategy
from sim.strategy import (
    cancel,
    filled_lots,
    is_working,
    modify,
    place_bracket,
    place_limit,
    place_limit_bracket,
    place_market,
    place_stop,
    position_lots,
)

BUY, SELL = 0, 1
KEEP = NO_PRICE
"""For `modify`: leave this value as it is."""
NO_TRADE = NO_PRICE
"""`ctx.trade_ticks` of a row that is no print."""

__all__ = [
    "BUY",
    "KEEP",
    "NO_TRADE",
    "SELL",
    "CompiledStrategy",
    "cancel",
    "filled_lots",
    "is_working",
    "modify",
    "place_bracket",
    "place_limit",
    "place_limit_bracket",
    "place_market",
    "place_stop",
    "position_lots",
    "strategy",
]
