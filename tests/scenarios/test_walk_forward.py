"""Walk-forward: what is chosen in sample is played on what comes after it, and on that alone."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from broker_api.catalog import load_catalog
from broker_api.config import SessionDefaults
from broker_api.errors import ConfigurationError
from data.tape import Tape, tape_from_frame
from scenarios.combinations import Plan
from scenarios.grid import Grid, axes_of_values
from scenarios.processes import InThisProcess
from scenarios.runner import Script
from scenarios.sweep import Constraint, Objective, Row
from scenarios.walk_forward import (
    Walked,
    WalkForward,
    Window,
    between,
    open_tapes,
    stitched,
    walk_forward,
)

STRATEGY = """
async def hold(suite, side: int):
    await suite["MNQ"].orders.place_market_order("MNQ", side, 1)
    await suite.clock.sleep(1e9)
"""


def seconds(count: int, rises_until: int) -> Tape:
    """Quotes a second apart: up a tick each until one, from there down."""
    moved = np.minimum(np.arange(count), 2 * rises_until - np.arange(count))
    bid = 21_000.0 + 0.25 * moved
    frame = pd.DataFrame(
        {
            "ts": pd.date_range("2024-01-02 14:30", periods=count, freq="s", tz="UTC"),
            "bid": bid,
            "ask": bid + 0.25,
            "bid_size": 5.0,
            "ask_size": 5.0,
        }
    )
    return tape_from_frame(frame, load_catalog()["MNQ"])


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Holds a position on a market that rises for 200 s and falls for 200 s."""
    script = tmp_path / "hold.py"
    script.write_text(STRATEGY, encoding="utf-8")
    defaults = SessionDefaults(instruments=("MNQ",), tapes={"MNQ": seconds(401, 200)})
    return Plan(Script(script), defaults)


def walked(plan: Plan, split: WalkForward, executor: Executor, goal: Objective) -> list[Walked]:
    space = Grid(axes_of_values({"side": [0, 1]}))
    return list(walk_forward(plan, space, goal, split, executor, lambda row, count: None))


# --- windows -------------------------------------------------------------------------------------


def test_rolling_windows_move_along_and_the_last_reaches_the_end() -> None:
    assert WalkForward(3, train=2).split(1_000, 2_000) == [
        Window(1_000, 1_400, 1_600),
        Window(1_200, 1_600, 1_800),
        Window(1_400, 1_800, 2_001),
    ]


def test_anchored_windows_begin_where_the_tapes_begin() -> None:
    assert WalkForward(3, train=2, anchored=True).split(1_000, 2_000) == [
        Window(1_000, 1_400, 1_600),
        Window(1_000, 1_600, 1_800),
        Window(1_000, 1_800, 2_001),
    ]


def test_every_row_out_of_sample_is_in_one_window_and_none_is_lost() -> None:
    tape = seconds(401, 200)
    windows = WalkForward(5, train=3).split(tape.start_ns, tape.end_ns)
    parts = [between(tape, each.test_ns, each.end_ns) for each in windows]
    times = np.concatenate([part.columns.ts for part in parts if part is not None])
    first = np.searchsorted(tape.columns.ts, windows[0].test_ns)
    assert times.tolist() == tape.columns.ts[first:].tolist()
    hashes = {part.content_hash for part in parts if part is not None}
    assert len(hashes) == 5


def test_a_time_without_rows_gives_no_tape() -> None:
    tape = seconds(10, 5)
    assert between(tape, tape.start_ns + 1, tape.start_ns + 2) is None


@pytest.mark.parametrize(("windows", "train"), [(0, 3), (2, 0), (1_001, 3)])
def test_numbers_of_windows_that_make_no_sense_are_refused(windows: int, train: int) -> None:
    with pytest.raises(ConfigurationError, match=r"walk-forward (windows|train) = \d+ is not"):
        WalkForward(windows, train)


def test_a_session_without_tapes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="name an instrument or a tape"):
        open_tapes(SessionDefaults())


# --- choosing and playing ------------------------------------------------------------------------


def test_what_is_chosen_knows_nothing_of_what_comes(plan: Plan) -> None:
    # Four stretches of 100 s: up, up, down, down. Two of them in sample, the next out of sample:
    # after two that rise it buys, into the fall.
    first, second = walked(plan, WalkForward(2, train=2), InThisProcess(), Objective("open_profit"))
    assert first.best is not None
    assert first.best.parameters == {"side": 0}
    assert first.test is not None
    assert first.test.parameters == {"side": 0}
    assert first.test.figures["open_profit"] < -40
    assert len(first.rows) == 2
    # Up and down in sample: nothing to choose between but the spread, then it falls on.
    assert second.test is not None
    assert second.test.figures["fills"] == 1


def test_where_nothing_is_allowed_nothing_is_played(plan: Plan) -> None:
    goal = Objective("open_profit", (Constraint("trades>5"),))
    (only,) = walked(plan, WalkForward(1, train=1), InThisProcess(), goal)
    assert only.best is None
    assert only.test is None
    told = stitched([only])
    assert (told["windows"], told["played"], told["profit"]) == (1, 0, 0.0)
    assert told["efficiency"] is None


def test_a_window_without_rows_is_named(plan: Plan) -> None:
    with pytest.raises(ConfigurationError, match="MNQ: window 1, out of sample: the tape has no"):
        walked(plan, WalkForward(1_000, 1), InThisProcess(), Objective("net"))


# --- together ------------------------------------------------------------------------------------


def row(profits: tuple[float, ...], net: float, trades: int) -> Row:
    from scenarios.sweep import SUMS

    figures = dict.fromkeys(SUMS, 0) | {"net": net, "trades": trades}
    return Row({"side": 0}, figures=figures, profits=profits)


def test_the_stitched_result_is_the_windows_end_to_end() -> None:
    hour = 3_600 * 10**9
    inside = row((10.0, 20.0), 30.0, 9)  # 30 in two hours
    parts = [
        Walked(Window(0, 2 * hour, 3 * hour), (inside,), inside, row((4.0, -6.0), -2.0, 1)),
        Walked(Window(hour, 3 * hour, 4 * hour), (inside,), inside, row((-1.0, 18.0), 17.0, 2)),
    ]
    told = stitched(parts)
    assert told["net"] == 15.0
    assert told["trades"] == 3
    assert told["profit"] == 15.0
    assert told["max_drawdown"] == -7.0  # 4, -2, -3: from 4 down to -3
    assert told["efficiency"] == pytest.approx((15.0 / 2) / (60.0 / 4))
