"""Whole positions are folded column by column, to the same as fill by fill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_api.catalog import load_catalog
from broker_api.event import EVENT_ROW, EventKind
from broker_api.order import Side
from reports import fold as folding
from reports.fold import Folded, fold
from reports.run import RunRecord

_FILLS = st.lists(
    st.tuples(
        st.sampled_from(Side),
        st.integers(1, 3),  # lots
        st.integers(-40, 40),  # price ticks: some markets trade below zero
        st.integers(-2, 7),  # fee: rebates are negative
        st.integers(1, 4),  # order
        st.booleans(),
    ),
    max_size=12,
)


def run_of(rows: list[tuple[Side, int, int, int, int, bool]]) -> RunRecord:
    """A run of one instrument with these fills."""
    events = np.zeros(len(rows), dtype=EVENT_ROW)
    events["ts_ns"] = 10 * np.arange(1, len(rows) + 1)
    events["kind"] = EventKind.FILLED
    for number, row in enumerate(rows):
        for name, value in zip(
            ("side", "lots", "price_ticks", "fee_nanos", "order_id", "ambiguous"), row, strict=True
        ):
            events[name][number] = value
    config = {"account": {"cash": 100}}
    return RunRecord(events, 0, lambda: None, (load_catalog()["MNQ"],), (None,), config)  # type: ignore[arg-type, return-value]


def fill_by_fill(run: RunRecord) -> Folded:
    """The same run with a second instrument that nobody trades: that is folded fill by fill."""
    return fold(replace(run, instruments=run.instruments * 2, tapes=(None, None)))


def check_same(run: RunRecord) -> None:
    quick, slow = fold(run), fill_by_fill(run)
    for one, other in ((quick.trades, slow.trades), (quick.fills, slow.fills)):
        for name, mine, theirs in zip(one._fields, one, other, strict=True):
            assert mine.tolist() == theirs.tolist(), name
    for name, mine, theirs in zip(quick.steps._fields, quick.steps, slow.steps, strict=True):
        assert mine.tolist() == theirs.tolist(), name
    assert quick.positions == slow.positions[:1]
    assert quick[-3:] == slow[-3:]


@given(_FILLS)
@settings(max_examples=60, deadline=None)
def test_any_fills_fold_to_the_same(rows: list[tuple[Side, int, int, int, int, bool]]) -> None:
    check_same(run_of(rows))


@given(_FILLS)
@settings(max_examples=60, deadline=None)
def test_whole_positions_fold_to_the_same(
    rows: list[tuple[Side, int, int, int, int, bool]],
) -> None:
    held, whole = 0, []
    for side, lots, price, fee, order, both in rows:
        # What is against the position closes it, all of it, or turns it round.
        side = side if held == 0 else (Side.SELL if held > 0 else Side.BUY)
        lots = abs(held) + (lots - 1) if held else lots
        held += side.sign * lots
        whole.append((side, lots, price, fee, order, both))
    run = run_of(whole)
    moves = folding._Moves(*(run.events[name] for name in folding._Moves._fields))
    assert folding._held_before(moves) is not None  # it is the quick way that is looked at
    check_same(run)
