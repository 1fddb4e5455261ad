"""The samples that ship: made again from their seeds, and telling the documentation's story."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_tapes import ES

from broker_api.catalog import load_catalog
from data.sample_tapes import SAMPLES, samples, write_samples
from data.schema import NANO, RowKind
from data.tape import Tape, check_file, open_tape, sample_path, sample_symbols

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mnq() -> Tape:
    path = sample_path("MNQ")
    assert path is not None
    return open_tape(path, load_catalog()["MNQ"])


def test_the_samples_are_what_their_seeds_give(tmp_path: Path) -> None:
    for path in write_samples(tmp_path):
        made, shipped = pq.read_table(path), pq.read_table(SAMPLES / path.name)
        assert made.equals(shipped, check_metadata=True), path.name
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(samples())


@pytest.mark.parametrize("symbol", ["MNQ", "ES", "ETH"])
def test_a_sample_is_small_and_without_fault(symbol: str) -> None:
    path = sample_path(symbol)
    assert path is not None
    assert path.stat().st_size < 1_500_000
    report = check_file(path, load_catalog()[symbol])
    assert (report.ok, report.notes) == (True, ())
    assert 50_000 < report.kept == report.rows < 150_000


def seconds_of(tape: Tape) -> np.ndarray:
    return (tape.columns.ts - tape.start_ns) / NANO


def trades_between(tape: Tape, start: float, end: float) -> np.ndarray:
    """Trade prices in points from `start` to `end` seconds after the open."""
    seconds = seconds_of(tape)
    chosen = (tape.columns.kind == RowKind.TRADE) & (seconds >= start) & (seconds < end)
    return tape.columns.px[chosen] / 4


def test_mnq_opens_near_21020_on_a_weekday(mnq: Tape) -> None:
    assert mnq.start_ns == 1_736_865_000 * NANO  # Tuesday 2025-01-14, 09:30 in New York
    assert abs(trades_between(mnq, 0, 1)[0] - 21_020) <= 1
    assert abs(mnq.columns.bid[0] / 4 - 21_020) <= 1


def test_mnq_dips_below_21000_within_a_minute(mnq: Tape) -> None:
    prices = trades_between(mnq, 0, 60)
    for level in (21_000, 20_998):
        assert (prices == level).any()
        assert (prices < level).any()
    assert 20_985 <= prices.min() <= 20_995
    assert trades_between(mnq, 0, 10).min() > 21_000


def test_mnq_stays_above_20955_for_ten_minutes(mnq: Tape) -> None:
    early = seconds_of(mnq) < 600
    assert mnq.columns.bid[early].min() / 4 > 20_955
    assert trades_between(mnq, 0, 600).min() > 20_955


def test_mnq_trades_through_21100_within_the_hour(mnq: Tape) -> None:
    assert trades_between(mnq, 0, 1_200).max() < 21_100
    assert trades_between(mnq, 1_200, 3_600).max() >= 21_160
    later = trades_between(mnq, 3_600, 1e9)
    assert later.min() > 21_050
    assert later.max() < 21_200


def test_mnq_runs_past_the_daily_break(mnq: Tape) -> None:
    close, reopening = 1_736_892_000 * NANO, 1_736_895_600 * NANO  # 22:00 and 23:00 UTC
    ts = mnq.columns.ts
    assert not ((ts >= close) & (ts < reopening)).any()
    assert mnq.end_ns > reopening
    assert ts[ts < close].max() > close - 60 * NANO


@pytest.mark.parametrize(("symbol", "price"), [("ES", 5_880 * 4), ("ETH", 3_200 * 10)])
def test_other_samples_start_at_their_price(symbol: str, price: int) -> None:
    path = sample_path(symbol)
    assert path is not None
    tape = open_tape(path, load_catalog()[symbol])
    assert tape.columns.bid[0] == price
    assert tape.bbo_after_trade


def test_sample_paths() -> None:
    assert sample_path("NOPE") is None
    assert sample_path("NQ") == sample_path("MNQ")
    assert list(sample_symbols()) == ["ES", "ETH", "MNQ"]
    assert ES.symbol == "ES"
