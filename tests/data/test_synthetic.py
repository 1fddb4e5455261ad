"""The generator: the same tape from the same seed everywhere, and a market's statistics."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from market_statistics import statistics
from small_tapes import ES

from data.price_path import Activity, Draws, cme_sessions
from data.schema import NANO
from data.synthetic import DEFAULT_START_NS, generate, profile_for
from data.tape import Tape, check_file, columns_hash, tape_from_frame
from data.written import write_tape

ROOT = Path(__file__).parents[2]
PROFILE = profile_for("ES", Decimal("0.25"), Decimal(1))
COIN = profile_for("ETH", Decimal("0.1"), Decimal("0.001"))
QUIET = Activity(hours="flat", rows_per_second=7.1, rows_per_burst=5.5, sigma_ticks=0.36)
DIGEST = "ec3ac259a896ac5a9296a5b685220783663120863a2e39ca441ecaa718061ad6"
HOUR = 3_600 * NANO


def quiet_hour(seed: int) -> pa.Table:
    """An hour as busy as the recorded one."""
    return generate(replace(PROFILE, activity=QUIET), seed=seed, hours=1)


def tape_of(table: pa.Table) -> Tape:
    return tape_from_frame(table, ES)


def test_a_seed_gives_the_pinned_tape() -> None:
    assert columns_hash(tape_of(generate(PROFILE, seed=7, hours=0.5)).columns) == DIGEST


def test_another_process_with_another_hash_seed_and_zone_gives_the_same() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests/data')\n"
        "from test_synthetic import *\n"
        "print(columns_hash(tape_of(generate(PROFILE, seed=7, hours=0.5)).columns))"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "99",
        "TZ": "Asia/Tokyo",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == DIGEST


def test_seeds_differ() -> None:
    first, second = (generate(PROFILE, seed=seed, hours=0.1) for seed in (1, 2))
    assert not first.equals(second)


@pytest.mark.parametrize("profile", [PROFILE, COIN], ids=["futures", "coin"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_row_is_legal(profile: object, seed: int, tmp_path: Path) -> None:
    assert profile in (PROFILE, COIN)
    chosen = PROFILE if profile is PROFILE else COIN
    grid = replace(ES, symbol="X", tick_size=chosen.tick_size, lot_size=chosen.lot_size)
    write_tape(generate(chosen, seed=seed, hours=0.5), tmp_path / "made.parquet")
    report = check_file(tmp_path / "made.parquet", grid)
    assert report.ok, report.examples
    tape = tape_from_frame(generate(chosen, seed=seed, hours=0.5), grid)
    assert (tape.columns.bid < tape.columns.ask).all()
    assert min(tape.columns.bid_qty.min(), tape.columns.ask_qty.min()) >= 1
    assert tape.bbo_after_trade


def test_a_trades_book_is_from_after_it() -> None:
    columns = tape_of(quiet_hour(1)).columns
    # A print that is reported in parts carries the book after all of them, as recorded feeds do.
    alone = np.ones(len(columns.ts), dtype=bool)
    same = (np.diff(columns.ts) == 0) & (columns.side[1:] != 0) & (columns.side[:-1] != 0)
    alone[1:][same] = alone[:-1][same] = False
    for side, price, size in ((1, "ask", "ask_qty"), (-1, "bid", "bid_qty")):
        touch, lots = getattr(columns, price), getattr(columns, size)
        rows = np.flatnonzero((columns.side == side) & alone)
        assert (columns.px[rows] == touch[rows - 1]).all()
        stayed = rows[touch[rows] == touch[rows - 1]]
        assert (lots[stayed] == lots[stayed - 1] - columns.qty[stayed]).all()
        emptied = rows[touch[rows] != touch[rows - 1]]
        assert (columns.qty[emptied] == lots[emptied - 1]).all()
        assert min(len(stayed), len(emptied)) > 100


BANDS = {
    "trades among rows": (0.10, 0.15),
    "spread of one tick": (0.88, 0.96),
    "spread over two ticks": (0.0005, 0.02),
    "rows that move the touch": (0.045, 0.10),
    "trades that move the touch": (0.15, 0.30),
    "one-lot trades": (0.54, 0.65),
    "mean trade, lots": (2.4, 4.2),
    "90 % of trades up to, lots": (5, 10),
    "99 % of trades up to, lots": (15, 50),
    "mean touch, lots": (24, 40),
    "median touch, lots": (12, 26),
    "buyer aggressors": (0.42, 0.58),
    "aggressor as before": (0.62, 0.78),
    "rows within 1 ms of the last": (0.68, 0.85),
    "rows at the time of the last": (0.001, 0.02),
    "rows in a second, variance / mean": (10, 40),
    "moves in 1 s, deviation in ticks": (0.2, 0.6),
    "moves in 1 s, kurtosis": (6, 60),
    "size of moves, correlation at 1 s": (0.02, 0.35),
    "moves, correlation at 1 s": (-0.15, 0.15),
}


@pytest.mark.parametrize("seed", [1, 4, 9])
def test_statistics_are_those_of_a_futures_market(seed: int) -> None:
    found = statistics(tape_of(quiet_hour(seed)))
    outside = {
        name: found[name] for name, (low, high) in BANDS.items() if not low <= found[name] <= high
    }
    assert outside == {}


@pytest.mark.realdata
def test_the_recorded_hour_is_within_the_same_bands(recorded: Path) -> None:
    from data.tape import open_tape

    found = statistics(open_tape(recorded / "es_20231225_l1.parquet", ES))
    outside = {
        name: found[name] for name, (low, high) in BANDS.items() if not low <= found[name] <= high
    }
    assert outside == {}


def test_volatility_clusters() -> None:
    tables = [quiet_hour(seed) for seed in range(1, 5)]
    found = [statistics(tape_of(table))["size of moves, correlation at 10 s"] for table in tables]
    assert np.mean(found) > 0.03


def test_the_cash_session_has_a_u_shape_and_the_break_has_no_rows() -> None:
    sparse = replace(PROFILE, activity=replace(PROFILE.activity, rows_per_second=1.0))
    days = [generate(sparse, seed=seed, hours=24).column("ts").to_numpy() for seed in range(10)]
    since = np.concatenate(days) - DEFAULT_START_NS
    hour = np.bincount(since // HOUR, minlength=24)
    # from 08:30 Chicago: the open, midday, the last full hour of cash, the night
    assert hour[0] > 1.5 * hour[3]
    assert hour[5] > 1.2 * hour[3]
    assert hour[10:16].sum() < hour[0]
    assert not ((since >= 7.5 * HOUR) & (since < 8.5 * HOUR)).any()
    assert (since >= 8.5 * HOUR).any()


def test_the_weekend_has_no_rows() -> None:
    friday = 1_737_118_800 * NANO  # 2025-01-17 13:00 UTC
    sparse = replace(PROFILE, activity=replace(PROFILE.activity, rows_per_second=0.5))
    ts = generate(sparse, seed=3, start_ns=friday, hours=72).column("ts").to_numpy()
    gaps = np.diff(ts)
    longest = int(np.argmax(gaps))
    assert ts[longest] < 1_737_151_200 * NANO  # Friday 22:00 UTC, 16:00 Chicago
    assert ts[longest + 1] >= 1_737_327_600 * NANO  # Sunday 23:00 UTC, 17:00 Chicago
    with pytest.raises(ValueError, match="closed during the whole span"):
        generate(PROFILE, seed=3, start_ns=1_737_200_000 * NANO, hours=2)


def test_sessions_follow_chicagos_clock_changes() -> None:
    march = 1_741_300_000 * NANO  # Thursday 2025-03-06; clocks change on Sunday the 9th
    sessions = cme_sessions(march, march + 6 * 24 * HOUR)
    hours_utc = [(s.open_ns // HOUR % 24, s.close_ns // HOUR % 24) for s in sessions]
    assert (23, 22) in hours_utc
    assert (22, 21) in hours_utc
    assert all(later.open_ns > former.close_ns for former, later in pairwise(sessions))


def test_waypoints_are_met() -> None:
    points = [(600, Decimal("5890")), (1800, Decimal("5860")), (3000, Decimal("5875.25"))]
    tape = tape_of(generate(PROFILE, seed=11, hours=1, waypoints=points))
    for seconds, price in points:
        row = int(np.searchsorted(tape.columns.ts, DEFAULT_START_NS + seconds * NANO))
        middle = (tape.columns.bid[row] + tape.columns.ask[row]) / 2
        assert abs(middle - float(price * 4)) <= 6


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"hours": 0}, "hours 0 must be more than 0"),
        ({"seed": -1}, "seed -1 must be from 0"),
        ({"waypoints": [(60, Decimal("5880.1"))]}, "price 5880.1 is not a multiple"),
        (
            {"waypoints": [(60, Decimal(5880)), (60, Decimal(5881))]},
            "waypoint at 60 s must be after",
        ),
        ({"waypoints": [(90_000, Decimal(5880))]}, "waypoint at 90000 s must be after"),
    ],
)
def test_wrong_requests_are_refused(options: dict[str, object], text: str) -> None:
    request = {"seed": 1, "hours": 1, **options}
    with pytest.raises(ValueError, match=re.escape(text)):
        generate(PROFILE, **request)  # type: ignore[arg-type]


def test_an_unknown_symbol_needs_a_price() -> None:
    with pytest.raises(ValueError, match="no starting price is known for XYZ"):
        profile_for("XYZ", Decimal("0.25"), Decimal(1))
    assert profile_for("XYZ", Decimal("0.25"), Decimal(1), Decimal(50)).price == 50


def test_draws_have_the_moments_of_their_distributions() -> None:
    draws = Draws(5, 1)
    normal = np.array([draws.normal() for _ in range(20_000)])
    waits = np.array([draws.exponential() for _ in range(20_000)])
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.02
    assert abs(waits.mean() - 1) < 0.03
    assert abs((waits > 1).mean() - np.exp(-1)) < 0.015
    assert abs((waits > 3).mean() - np.exp(-3)) < 0.008
    assert waits.min() >= 0
