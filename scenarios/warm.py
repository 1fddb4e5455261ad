"""What every run of a sweep needs, loaded by importing this module.

The server that worker processes are forked from imports it before the first of them: a worker then
starts in milliseconds, and what is loaded lies in memory once for all of them. It trades a moment
on a market of its own, which loads the compiled exchange from its cache, or compiles it once and
not once a worker: with each of the verbs that nearly every strategy has.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from broker_api.catalog import load_catalog
from broker_api.suite import TradingSuite
from data.kept import keep_tapes_open
from scenarios.combinations import Plan as Plan
from scenarios.recording import played_sessions
from scenarios.runner import Outcome, Script
from scenarios.sweep import figures_of
from sim.loop import TapeEnded, virtual_time
from sim.venues.sources import still_source

_SYMBOL = "MES"


async def _trade() -> TradingSuite:
    tape = still_source(load_catalog()[_SYMBOL], Decimal(5000)).tape
    suite = await TradingSuite.create([_SYMBOL], tape=tape)
    orders = suite[_SYMBOL].orders.nowait
    orders.place_market_order(_SYMBOL, 0, 1)
    resting = orders.place_limit_order(_SYMBOL, 0, 1, 4000)
    orders.place_bracket_order(_SYMBOL, 0, 1, stop_offset=10, target_offset=10)
    orders.cancel_order(resting)
    with suppress(TapeEnded):  # what is under way arrives all the same
        await suite.clock.sleep(1)
    await suite.disconnect()
    return suite


def _warm_up() -> None:
    with virtual_time():
        suite = asyncio.run(_trade())
    outcome = Outcome([suite], None, {}, tape_ended=False, exit_code=0)
    for played in played_sessions(Script(Path("warm.py")), outcome):
        figures_of([played.figures])


# What fails here fails in every run as well, and is told there; the server must live to fork them.
with suppress(Exception):
    _warm_up()
keep_tapes_open()
gc.collect()
gc.freeze()
