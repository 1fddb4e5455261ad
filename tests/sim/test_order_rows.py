"""Rows of levels and single orders: today's exchange takes each for a quote with its touch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from broker_api.order import TriggerSource
from data.schema import RowKind
from data.tape import Tape
from tests.sim.explained import Recorded, lines
from tests.sim.market import Market, tape_of

ROWS = ["0 5x99 101x5", "10 5x99 101x3", "20 4x99 100x2", "30 sell 4@99 1x99 100x2", "40 2x98 99x6"]
ORDERS = ["buy 4 limit 99", "sell 1 stop 98", "buy 7 market", "buy 1 stop 102"]


def of_orders(rows: list[str], kind: RowKind) -> Tape:
    """The tape with other rows in the place of quotes, but for the first."""
    tape = tape_of(rows)
    kinds = np.where(tape.columns.kind == RowKind.QUOTE, kind, tape.columns.kind)
    kinds[0] = RowKind.QUOTE
    return replace(tape, columns=tape.columns._replace(kind=kinds.astype(np.int8)))


def played(tape: Tape, **settings: object) -> list[list[str]]:
    market = Market(tapes=[tape], **settings)
    said = [market.place(order) for order in ORDERS]
    return [*said, *(market.run_to(ts) for ts in (10, 20, 30, 40))]


@pytest.mark.parametrize("kind", [RowKind.LEVEL, RowKind.ADD, RowKind.CANCEL, RowKind.EXEC])
@pytest.mark.parametrize("trigger", [TriggerSource.LAST, TriggerSource.BID_ASK])
def test_a_row_of_an_order_does_what_its_touch_does(kind: RowKind, trigger: TriggerSource) -> None:
    as_quotes = played(tape_of(ROWS), trigger=trigger, beyond_top="wait")
    assert sum(map(len, as_quotes)) >= 7
    assert played(of_orders(ROWS, kind), trigger=trigger, beyond_top="wait") == as_quotes


def test_an_order_on_such_a_tape_is_explained_as_on_any() -> None:
    told = []
    for tape in (tape_of(ROWS), of_orders(ROWS, RowKind.ADD)):
        market = Recorded(tapes=[tape])
        market.place("buy 4 limit 99")
        market.run_to(40)
        told.append(lines(market.explained()))
    assert told[0] == told[1]
    assert "crossed" in " ".join(told[0])
