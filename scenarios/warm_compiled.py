"""As `warm.py`, for runs of compiled strategies: Numba, and the loops that they enter.

Compiling a first strategy costs most of a second, a second one a quarter of it. Only a server whose
processes will play such strategies imports this: the others do without Numba.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import Any

from broker_api.catalog import load_catalog
from broker_api.suite import TradingSuite
from data.tape import tape_from_frame
from sim import strategy as verbs
from sim.compiled import strategy
from sim.loop import virtual_time

_SYMBOL = "MES"


@strategy(state={"calls": int, "share": float})
def _buy_once(ctx: Any, me: Any) -> None:
    me.calls += 1
    me.share = (ctx.bid + ctx.ask) * 0.5
    if me.calls == 1 and verbs.position_lots(ctx) == 0:
        verbs.place_market(ctx, 0, 1)


_QUOTES = {
    "ts": [1_700_000_000_000_000_000 + minute * 60_000_000_000 for minute in range(4)],
    "bid": [5000.0] * 4,
    "ask": [5000.25] * 4,
    "bid_size": [10] * 4,
    "ask_size": [10] * 4,
}


async def _play(**settings: Any) -> None:
    tape = tape_from_frame(_QUOTES, load_catalog()[_SYMBOL])
    suite = await TradingSuite.create([_SYMBOL], tape=tape)
    await suite.run_compiled(_SYMBOL, _buy_once, **settings)
    await suite.disconnect()


# What fails here fails in every run as well, and is told there; the server must live to fork them.
for _settings in ({}, {"bars": "1min"}):
    with suppress(Exception), virtual_time():
        asyncio.run(_play(**_settings))
gc.collect()
gc.freeze()
