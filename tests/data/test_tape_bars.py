"""Bars against a loop that a child could check, and the names of their lengths."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tapes import ES, good_columns

from data.bars import Bars, bars_from_tape
from data.schema import RowKind, TickGrid
from data.tape import Tape, open_tape, sample_path, tape_from_frame

SECOND = 10**9


def bars_by_loop(tape: Tape, interval: int, start: int, end: int) -> list[tuple[int, ...]]:
    bars: dict[int, list[int]] = {}
    for ts, kind, px, qty in zip(
        tape.columns.ts, tape.columns.kind, tape.columns.px, tape.columns.qty, strict=True
    ):
        if kind != RowKind.TRADE or not start <= ts < end:
            continue
        key = int(ts) - int(ts) % interval
        bar = bars.setdefault(key, [int(px), int(px), int(px), int(px), 0, 0])
        bar[1], bar[2], bar[3] = max(bar[1], int(px)), min(bar[2], int(px)), int(px)
        bar[4] += int(qty)
        bar[5] += 1
    return [(key, *bar) for key, bar in sorted(bars.items())]


def rows_of(bars: Bars) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in bars), strict=True))


def test_bars_of_the_sample_match_the_loop() -> None:
    path = sample_path("ETH")
    assert path is not None
    tape = open_tape(path, TickGrid("ETH", Decimal("0.1"), Decimal("0.001")))
    middle = (tape.start_ns + tape.end_ns) // 2
    for interval in (SECOND, 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND):
        wanted = bars_by_loop(tape, interval, middle, middle + 1_000 * SECOND)
        assert rows_of(bars_from_tape(tape, interval, middle, middle + 1_000 * SECOND)) == wanted
        assert wanted


trades = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 50), st.integers(1, 9)), min_size=1, max_size=60
)


@given(trades, st.integers(0, 300), st.integers(0, 300))
def test_any_bars_match_the_loop(
    steps: list[tuple[int, int, int]], first: int, length: int
) -> None:
    now, times = 10**18, []
    for step, _, _ in steps:
        now += step * SECOND // 10
        times.append(now)
    columns = {
        "ts": times,
        "price": [ticks / 4 for _, ticks, _ in steps],
        "size": [lots for _, _, lots in steps],
        "side": [1] * len(steps),
    }
    tape = tape_from_frame(columns, ES)
    start, end = 10**18 + first * SECOND // 10, 10**18 + (first + length) * SECOND // 10
    for interval in (SECOND, 5 * SECOND):
        found = rows_of(bars_from_tape(tape, interval, start, end))
        assert found == bars_by_loop(tape, interval, start, end)
    everything = rows_of(bars_from_tape(tape, SECOND))
    assert everything == bars_by_loop(tape, SECOND, 0, 1 << 62)


def test_without_trades_bars_are_of_mids_rounded_down() -> None:
    columns = good_columns()
    quotes = {name: columns[name] for name in ("ts", "bid", "ask", "bid_size", "ask_size")}
    quotes["ask"] = [100.25, 100.5, 100.75, 100.5, 100.5, 100.5]
    quotes["bid_size"][5], quotes["bid"][5] = 0, None
    bars = bars_from_tape(tape_from_frame(quotes, ES), 60 * SECOND)
    # mids in ticks: 400.5, 401, 401.5, 401.5, 401.5, none
    assert rows_of(bars)[0][1:] == (400, 401, 400, 401, 0, 5)


def test_a_stretch_without_trades_has_no_bar() -> None:
    bars = bars_from_tape(tape_from_frame(good_columns(), ES), SECOND)
    assert [ts - 1_700_000_000 * SECOND for ts in bars.ts.tolist()] == [SECOND, 4 * SECOND]
    empty = bars_from_tape(tape_from_frame(good_columns(), ES), SECOND, 0, 5)
    assert rows_of(empty) == []
    assert empty.open.dtype == bars.open.dtype


@pytest.mark.parametrize("interval", [0, SECOND - 1, 86_400 * SECOND + 1])
def test_intervals_have_limits(interval: int) -> None:
    with pytest.raises(ValueError, match="from 1 second to 1 day"):
        bars_from_tape(tape_from_frame(good_columns(), ES), interval)
