"""A bracket strategy on the recorded markets: fills that were checked by hand against the rows.

Each expectation below was read off the tape first: the rows around the fill are in the comments,
and the tests look at those rows again before they look at the fill.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from broker_api.catalog import load_catalog
from data.schema import RowKind
from data.tape import Tape, open_tape
from papertape import Fill, TradingSuite, run

RECORDED = Path(__file__).parents[3] / "shared" / "data"
ES = RECORDED / "es_20231225_l1.parquet"
BTC = RECORDED / "btcusdt_20240808_l1.parquet"


async def brackets(tape: Tape, every: float, lots: int, exits: int) -> list[tuple[int, Fill]]:
    """A limit entry two ticks behind the touch every so often, buying and selling in turn."""
    suite = await TradingSuite.create([tape.symbol], tape=tape)
    (market,) = suite.values()
    spec = market.instrument_info
    side = 0
    try:
        while True:
            await asyncio.sleep(every)
            quote = market.data.last_quote
            touch = spec.price_to_ticks(quote.bid if side == 0 else quote.ask)
            await market.orders.place_bracket_order(
                spec.id,
                side,
                size=spec.lots_to_size(lots),
                entry_price=spec.ticks_to_price(touch - 2 if side == 0 else touch + 2),
                stop_ticks=exits,
                target_ticks=exits,
            )
            side = 1 - side
    finally:
        FOUND.extend(
            (order.order_id, fill)
            for order in await market.orders.get_orders()
            for fill in order.fills
        )
        await suite.disconnect()


FOUND: list[tuple[int, Fill]] = []


def fills_of(path: Path, symbol: str, **settings: float) -> tuple[Tape, dict[int, list[Fill]]]:
    tape = open_tape(path, load_catalog()[symbol])
    FOUND.clear()
    run(brackets(tape, **settings))
    by_order: dict[int, list[Fill]] = {}
    for order_id, fill in FOUND:
        by_order.setdefault(order_id, []).append(fill)
    return tape, by_order


def row_of(tape: Tape, row: int) -> tuple[str, int, int, int, int, int, int, int]:
    columns = tape.columns
    kind = RowKind(int(columns.kind[row])).name.lower()
    names = ("bid", "bid_qty", "ask", "ask_qty", "px", "qty", "side")
    return (kind, *(int(getattr(columns, name)[row]) for name in names))


def told(fill: Fill, tape: Tape) -> tuple[int, int, int, str]:
    """Row of the tape, ticks, lots and liquidity of a fill."""
    row = int((tape.columns.ts <= fill.ts_ns).sum()) - 1
    return row, fill.price_ticks, fill.lots, fill.liquidity.name.lower()


@pytest.mark.realdata
@pytest.mark.skipif(not ES.is_file(), reason="the recorded ES tape is not here")
def test_es_fills_are_those_that_the_rows_give():
    tape, fills = fills_of(ES, "ES", every=120.0, lots=3, exits=8)

    # A buy of 3 at 19225, placed at 23:02 two ticks behind the touch. The touch comes back to it at
    # row 3566 with 25 lots, all of them later than the few last seen at that price; a seller then
    # prints 5 there: more than what was ahead, so all 3 fill, as a maker, at the own price.
    assert row_of(tape, 3566) == ("quote", 19225, 25, 19227, 19, 0, 0, 0)
    assert row_of(tape, 3570) == ("trade", 19225, 23, 19227, 19, 19225, 5, -1)
    assert [told(fill, tape) for fill in fills[1]] == [(3570, 19225, 3, "maker")]

    # A sell of 3 at 19229. One buyer sweeps three levels in one packet: 12 at 19228, 39 at 19229
    # and 2 at 19230. The print of 39 at our price reaches us behind the queue, within that packet.
    assert row_of(tape, 4737) == ("trade", 19227, 27, 19230, 26, 19229, 39, 1)
    assert tape.columns.ts[4736] == tape.columns.ts[4737] == tape.columns.ts[4738]
    assert [told(fill, tape) for fill in fills[10]] == [(4738, 19229, 3, "maker")]

    # A buy of 3 at 19226. A seller takes all 16 that were shown there, and the bid falls behind.
    assert row_of(tape, 5641) == ("quote", 19226, 16, 19227, 26, 0, 0, 0)
    assert row_of(tape, 5642) == ("trade", 19225, 35, 19227, 26, 19226, 16, -1)
    assert [told(fill, tape) for fill in fills[13]] == [(5642, 19226, 3, "maker")]


@pytest.mark.realdata
@pytest.mark.skipif(not BTC.is_file(), reason="the recorded BTC tape is not here")
def test_btc_fills_are_those_that_the_rows_give():
    tape, fills = fills_of(BTC, "BTC", every=10.0, lots=5, exits=60)
    assert not tape.bbo_after_trade

    # A buy of 5 at 618111. The book falls by 13 ticks between two rows and the ask crosses the
    # order: it fills whole at its own price, as a maker.
    assert row_of(tape, 2357) == ("trade", 618113, 279, 618114, 2488, 618113, 223, -1)
    assert row_of(tape, 2358) == ("quote", 618100, 2, 618102, 1209, 0, 0, 0)
    assert [told(fill, tape) for fill in fills[1]] == [(2358, 618111, 5, "maker")]

    # Its stop at 618051 (60 ticks below). The book still shows a bid of 618080 x 3 from before the
    # trades, but sellers have printed down to 618040 x 2: nothing above that is left. The stop
    # sells what the shown size of 3 leaves there, then a tick lower each, never at 618080.
    for row, (price, lots) in enumerate([(618080, 3), (618060, 1), (618060, 1), (618040, 2)], 2520):
        assert row_of(tape, row) == ("trade", 618080, 3, 618081, 9450, price, lots, -1)
    assert [told(fill, tape) for fill in fills[2]] == [
        (2523, 618040, 1, "taker"),
        (2523, 618039, 3, "taker"),
        (2523, 618038, 1, "taker"),
    ]
