"""A recorded feed of single orders as a tape: the columns hold what exact queues need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recorded_orders import columns_of, records_of
from small_tapes import ES

from data.describe import describe
from data.schema import RowKind
from data.tape import Tape, open_tape, tape_from_frame

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tape, Tape]:
    """The feed as a tape, and the tape of the same hour that holds the touch only."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the recorded market data is not here")
    cache = tmp_path_factory.mktemp("cache")
    touch = open_tape(folder / "es_20231225_l1.parquet", ES, cache_dir=cache)
    records = records_of(folder / "es_20231225.mbo.dbn.zst")
    return tape_from_frame(columns_of(records, touch.start_ns + 1), ES), touch


def test_the_orders_make_the_recorded_touch(tapes: tuple[Tape, Tape]) -> None:
    orders, touch = tapes
    times = np.unique(touch.columns.ts)
    times = times[times > orders.start_ns]
    rows = [np.searchsorted(tape.columns.ts, times, side="right") - 1 for tape in tapes]
    assert len(times) > 25_000
    for name in ("bid", "ask", "bid_qty", "ask_qty"):
        found = getattr(orders.columns, name)[rows[0]]
        assert np.array_equal(found, getattr(touch.columns, name)[rows[1]]), name


def test_every_print_and_every_order_is_there(tapes: tuple[Tape, Tape]) -> None:
    orders, touch = tapes
    trades = touch.columns.kind == RowKind.TRADE
    later = trades & (touch.columns.ts > orders.start_ns)
    found = orders.columns.kind == RowKind.TRADE
    assert np.array_equal(orders.columns.px[found], touch.columns.px[later])
    assert np.array_equal(orders.columns.qty[found], touch.columns.qty[later])
    facts = describe(orders).orders
    assert facts is not None
    assert facts.joined > 38_000
    executions = orders.columns.kind == RowKind.EXEC
    assert facts.executed == int(orders.columns.qty[executions].sum()) > 9_000


def test_the_oldest_order_of_a_price_is_nearly_always_executed_first(
    tapes: tuple[Tape, Tape],
) -> None:
    """What an exact queue rests on: the origins tell who joined before whom."""
    orders, _ = tapes
    columns = orders.columns
    left = np.where(columns.kind == RowKind.ADD, columns.qty, 0)
    waiting: dict[tuple[int, int], list[int]] = {}
    first = late = 0
    for row in range(len(orders)):
        kind, key = columns.kind[row], (int(columns.side[row]), int(columns.px[row]))
        if kind == RowKind.ADD:
            waiting.setdefault(key, []).append(row)
        elif kind in (RowKind.EXEC, RowKind.CANCEL):
            origin = int(orders.origin[row])
            if kind == RowKind.EXEC:
                first += waiting[key][0] == origin
                late += waiting[key][0] != origin
            left[origin] -= columns.qty[row]
            if left[origin] == 0:
                waiting[key].remove(origin)
    # The rest: records of one event in another order, and orders that were there at the beginning.
    assert first + late > 6_000
    assert first > 9 * late
