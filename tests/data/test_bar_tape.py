"""A file of bars is a tape of four prints a bar; what is wrong with bars is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_tapes import ES
from typer.testing import CliRunner

from broker_api.catalog import load_catalog
from data.bars import bars_from_tape
from data.check import Rule
from data.describe import bar_length_for, describe_bars
from data.schema import BAR_KEY, NANO, ROWS_OF_BAR, TapeError, TickGrid
from data.tape import Tape, check_file, open_tape, tape_from_frame
from papertape.data_command import app

START = 1_700_000_000 * NANO
MINUTE = 60 * NANO


def minute_bars() -> dict[str, list[Any]]:
    """Four bars; the last begins a minute late."""
    return {
        "ts": [START, START + MINUTE, START + 2 * MINUTE, START + 4 * MINUTE],
        "open": [100.0, 100.25, 100.5, 101.0],
        "high": [100.5, 100.25, 101.0, 101.0],
        "low": [99.75, 100.25, 100.5, 100.0],
        "close": [100.25, 100.25, 101.0, 100.25],
        "volume": [11, 0, 4, 3],
    }


def with_bar(column: str, row: int, value: Any) -> dict[str, list[Any]]:
    columns = minute_bars()
    columns[column][row] = value
    return columns


def rows_of(tape: Tape) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in tape.columns), strict=True))


def test_a_bar_is_four_prints(write: Callable[..., Path]) -> None:
    tape = open_tape(write(minute_bars()), ES)
    third = MINUTE // 3
    assert rows_of(tape)[:8] == [
        (START, 1, 0, 400, 3, 400, 401, 3, 3),
        (START + third, 1, 0, 402, 3, 402, 403, 3, 3),
        (START + 2 * third, 1, 0, 399, 3, 399, 400, 3, 3),
        (START + MINUTE - 1, 1, 0, 401, 2, 401, 402, 2, 2),
        # no volume: the prints are of nothing, the market shows one lot
        (START + MINUTE, 1, 0, 401, 0, 401, 402, 1, 1),
        (START + MINUTE + third, 1, 0, 401, 0, 401, 402, 1, 1),
        (START + MINUTE + 2 * third, 1, 0, 401, 0, 401, 402, 1, 1),
        (START + 2 * MINUTE - 1, 1, 0, 401, 0, 401, 402, 1, 1),
    ]
    assert (len(tape), tape.bar_interval_ns, tape.bbo_after_trade) == (16, MINUTE, True)
    assert tape.notes == ("bar interval: 1 min, measured (the distance between 2 of 3 neighbours)",)


def test_bars_of_the_tape_are_the_bars_of_the_file(write: Callable[..., Path]) -> None:
    columns = minute_bars()
    columns["ts"] = [ts - START % MINUTE for ts in columns["ts"]]  # as bars of ticks are aligned
    bars = bars_from_tape(open_tape(write(columns), ES), MINUTE)
    assert bars.ts.tolist() == columns["ts"]
    for name in ("open", "high", "low", "close"):
        assert (getattr(bars, name) * 0.25).tolist() == columns[name]
    assert bars.volume.tolist() == columns["volume"]


@pytest.mark.parametrize("offset", [0, 7])
def test_bars_of_any_part_are_what_its_prints_make(offset: int) -> None:
    columns = minute_bars()
    columns["ts"] = [ts - START % MINUTE + offset for ts in columns["ts"]]
    tape = tape_from_frame(columns, ES)
    prints = replace(tape, bar_interval_ns=0)
    times = sorted({int(ts) + more for ts in tape.columns.ts for more in (0, 1)})
    for start in times:
        for end in times:
            found, wanted = (bars_from_tape(each, MINUTE, start, end) for each in (tape, prints))
            for mine, theirs in zip(found, wanted, strict=True):
                assert mine.tolist() == theirs.tolist()


def test_the_cache_remembers_that_it_is_of_bars(write: Callable[..., Path]) -> None:
    path = write(minute_bars())
    first, again = open_tape(path, ES), open_tape(path, ES)
    assert rows_of(first) == rows_of(again)
    assert (again.bar_interval_ns, again.notes) == (first.bar_interval_ns, first.notes)


def test_ticks_are_no_bars(write: Callable[..., Path]) -> None:
    trades = {"ts": [START], "price": [100.0], "size": [1], "side": [1]}
    assert open_tape(write(trades), ES).bar_interval_ns == 0


def test_bars_of_a_frame_and_of_timestamps() -> None:
    columns = minute_bars()
    wanted = rows_of(tape_from_frame(columns, ES))
    frame = pd.DataFrame({name: columns[name] for name in columns if name != "ts"})
    frame.index = pd.DatetimeIndex(pd.to_datetime(columns["ts"], utc=True), name="ts")
    assert rows_of(tape_from_frame(frame, ES)) == wanted


def test_metadata_or_an_argument_says_how_long_a_bar_is(tmp_path: Path) -> None:
    table = pa.table(minute_bars()).replace_schema_metadata({BAR_KEY: str(30 * NANO)})
    pq.write_table(table, tmp_path / "bars.parquet")
    tape = open_tape(tmp_path / "bars.parquet", ES)
    assert (tape.bar_interval_ns, tape.notes) == (30 * NANO, ())
    assert tape.columns.ts[:4].tolist() == [
        START, START + 10 * NANO, START + 20 * NANO, START + 30 * NANO - 1,
    ]  # fmt: skip
    assert tape_from_frame(minute_bars(), ES, bar_interval_ns=7).bar_interval_ns == 7


def test_one_bar_alone_has_no_length() -> None:
    alone = {name: values[:1] for name, values in minute_bars().items()}
    with pytest.raises(TapeError, match="nothing tells how long a bar is; say it in the metadata"):
        tape_from_frame(alone, ES)
    assert len(tape_from_frame(alone, ES, bar_interval_ns=MINUTE)) == ROWS_OF_BAR


@pytest.mark.parametrize("word", ["soon", "-1", "0", "1.5", "5000000000000000000", "²"])
def test_a_length_that_is_none_is_refused(word: str) -> None:
    table = pa.table(minute_bars()).replace_schema_metadata({BAR_KEY: word})
    with pytest.raises(TapeError, match="bar's length in whole nanoseconds") as caught:
        tape_from_frame(table, ES)
    assert caught.value.value == repr(word)


FAULTS: list[tuple[str, int, Any, str, str, Rule]] = [
    ("high", 0, 100.0, "high", "100 with open 100, low 99.75, close 100.25", Rule.BAR_HIGH),
    ("low", 2, 100.75, "low", "100.75 with open 100.5, high 101, close 101", Rule.BAR_LOW),
    ("open", 1, 101.0, "high", "100.25 with open 101, low 100.25, close 100.25", Rule.BAR_HIGH),
    ("close", 1, 100.3, "close", "100.3", Rule.PRICE_OFF_TICK),
    ("open", 3, None, "open", "nan", Rule.PRICE_MISSING),
    ("high", 3, 1e300, "high", "1e+300", Rule.TOO_LARGE),
    ("volume", 1, -1, "volume", "-1", Rule.SIZE_NEGATIVE),
    ("volume", 1, 0.5, "volume", "0.5", Rule.SIZE_OFF_LOT),
    ("volume", 2, None, "volume", "nan", Rule.SIZE_MISSING),
    ("ts", 2, None, "ts", "null", Rule.TIME_MISSING),
    ("ts", 3, -5, "ts", "-5", Rule.TIME_RANGE),
    ("ts", 2, START, "ts", str(START), Rule.TIME_BACKWARDS),
    ("ts", 2, START + MINUTE, "ts", str(START + MINUTE), Rule.BAR_EARLY),
    ("ts", 2, START + 2 * MINUTE - 1, "ts", str(START + 2 * MINUTE - 1), Rule.BAR_EARLY),
]


@pytest.mark.parametrize(("column", "row", "cell", "named", "value", "rule"), FAULTS)
def test_a_bad_bar_is_named_or_dropped(
    column: str,
    row: int,
    cell: Any,
    named: str,
    value: str,
    rule: Rule,
    tmp_path: Path,
) -> None:
    path = tmp_path / "bars.parquet"
    table = pa.table(with_bar(column, row, cell)).replace_schema_metadata({BAR_KEY: str(MINUTE)})
    pq.write_table(table, path)
    with pytest.raises(TapeError) as caught:
        open_tape(path, ES)
    error = caught.value
    assert (error.file, error.row, error.column, error.value) == (str(path), row, named, value)
    assert error.rule.startswith(rule)
    tape = open_tape(path, ES, repair=True)
    assert f"repair: 1 rows dropped: {rule}" in tape.notes
    left = [ts for index, ts in enumerate(minute_bars()["ts"]) if index != row]
    assert tape.columns.ts[::ROWS_OF_BAR].tolist() == left
    assert check_file(path, ES).counts == {rule: 1}


def test_a_price_must_be_positive_where_the_instrument_says_so() -> None:
    columns = with_bar("low", 0, -0.25)
    assert tape_from_frame(columns, ES).columns.px[2] == -1
    with pytest.raises(TapeError, match=r"row 0, column low, value -0.25: price is not positive"):
        tape_from_frame(columns, load_catalog()["ES"])


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("ts", "open", "high", "low", "close"), "column volume: missing column"),
        (("ts", "open", "close", "volume"), "column high: missing column"),
        (("open", "high", "low", "close", "volume"), "column ts: missing column"),
        (("ts", "open", "high", "low", "close", "volume", "bid"), "holds no quotes and trades"),
        (("ts", "open", "high", "low", "close", "volume", "price"), "holds no quotes and trades"),
        (("ts", "open", "high", "low", "close", "vol"), "did you mean volume"),
        (("ts", "Open", "High", "Low", "Close", "Volume"), "did you mean open"),
        (("date", "open", "high", "low", "close", "volume"), "did you mean ts"),
    ],
)
def test_columns_that_are_no_bars_are_named(names: tuple[str, ...], text: str) -> None:
    with pytest.raises(TapeError, match=text):
        tape_from_frame({name: [1] for name in names}, ES)


def test_bars_can_be_sorted() -> None:
    columns = minute_bars()
    order = [2, 0, 3, 1]
    mixed = {name: [values[at] for at in order] for name, values in columns.items()}
    with pytest.raises(TapeError, match="time runs backwards"):
        tape_from_frame(mixed, ES, bar_interval_ns=MINUTE)
    tape = tape_from_frame(mixed, ES, sort=True)
    assert rows_of(tape) == rows_of(tape_from_frame(columns, ES))
    assert "sorted: 2 rows were out of order" in tape.notes


def test_a_pause_between_bars_can_be_refused() -> None:
    tape_from_frame(minute_bars(), ES, max_gap_ns=MINUTE)
    with pytest.raises(TapeError, match=r"row 3, column ts, .*, 60 s after the last: gap"):
        tape_from_frame(minute_bars(), ES, max_gap_ns=MINUTE - 1)


def test_volume_is_counted_in_lots() -> None:
    grid = TickGrid("ETH", Decimal("0.25"), Decimal("0.001"))
    columns = with_bar("volume", 0, 1.5)
    assert tape_from_frame(columns, grid).columns.qty[:4].tolist() == [375] * 4


def test_facts_of_bars_are_of_bars() -> None:
    tape = tape_from_frame(minute_bars(), ES)
    facts = describe_bars(tape)
    assert (facts.bars, facts.empty) == (4, 1)
    assert (facts.height.quantiles[0], facts.height.quantiles[5]) == (0, 4)
    assert (facts.volume.quantiles[0], facts.volume.quantiles[5]) == (0, 11)
    assert [(pause.row, pause.length_ns) for pause in facts.pauses] == [(2, MINUTE)]
    assert bar_length_for(tape) == MINUTE


def test_inspect_and_validate_speak_of_bars(write: Callable[..., Path]) -> None:
    path = write(minute_bars())
    runner = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1"})
    result = runner.invoke(app, ["inspect", str(path), "--instrument", "ES"])
    assert result.exit_code == 0, result.output
    for text in ("4 of 1 min", "high less low, ticks", "volume, lots", "60.000 s after bar 2"):
        assert text in result.output
    for text in ("one tick wide", "a trade's book is from", "spread, ticks"):
        assert text not in result.output.split("content")[0]
    result = runner.invoke(app, ["validate", str(path), "--instrument", "ES"])
    assert "4 rows read, 4 usable, 0 faults" in result.output
