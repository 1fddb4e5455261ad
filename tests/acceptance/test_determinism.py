"""The same inputs give the same events: in any process, and however the kernel takes the tape."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest
from random_trader import RECORDED, Session, tape_of, trade

from broker_api.config import SimulationConfig
from broker_api.event import Event, Reason, decode
from broker_api.journal_parquet import read_journal
from broker_api.order import Side
from papertape.cli import app

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BUSY = Path(__file__).with_name("busy_strategy.py")
PROCESSES = 10
SEEDS = 8


class Market(NamedTuple):
    """A tape by its instrument; `file` is a recorded one, None the sample."""

    symbol: str
    file: str | None = None


MARKETS = [
    Market("MNQ"),
    Market("ES"),
    Market("ETH"),
    *[
        pytest.param(market, marks=pytest.mark.realdata)
        for market in (
            Market("ES", "es_20231225_l1.parquet"),
            Market("BTC", "btcusdt_20240808_l1.parquet"),
        )
        if (RECORDED / str(market.file)).is_file()
    ],
]


def check_same(first: Sequence[Event], second: Sequence[Event]) -> None:
    """Equal, or the first event that is not, with its place and what came before it."""
    for place, (one, other) in enumerate(zip_longest(first, second)):
        if one != other:
            before = "\n  ".join(map(str, first[max(0, place - 3) : place]))
            pytest.fail(f"event {place} differs after\n  {before}\n1 {one}\n2 {other}")


def events_in(folder: Path) -> list[Event]:
    """The events of a run folder."""
    rows, _ = read_journal(folder)
    return [decode(row) for row in rows.tolist()]


def digest_in(folder: Path) -> str:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["digest"]


# --- whole runs --------------------------------------------------------------------------------


def arguments(market: Market, out: Path, *more: str) -> list[str]:
    """The command line of a busy run on this market."""
    tape = [] if market.file is None else ["--tape", str(RECORDED / market.file)]
    settings = ["--strategy", "busy", "--set", "minutes=6", "--cash", "1000000", "--no-report"]
    chosen = ["--instrument", market.symbol, *tape, *settings, "--out", str(out)]
    return ["run", str(BUSY), *chosen, *more]


@pytest.mark.slow
def test_busy_run_is_the_same_in_ten_processes(tmp_path: Path) -> None:
    zones = ("UTC", "America/Chicago", "Asia/Kathmandu", "Pacific/Apia")

    def run(number: int) -> Path:
        place = tmp_path / ("deep/" * (number % 3)) / f"place {number}"
        place.mkdir(parents=True)
        surroundings = {"PYTHONHASHSEED": str(number * 7), "TZ": zones[number % 4], "LC_ALL": "C"}
        done = subprocess.run(
            [sys.executable, "-m", "papertape.cli", *arguments(Market("MNQ"), Path("out"))],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT), **surroundings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return place / "out"

    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(run, range(PROCESSES)))
    first = events_in(folders[0])
    assert len(first) > 1500, "the run is busy"
    for folder in folders[1:]:
        check_same(first, events_in(folder))
    assert len({digest_in(folder) for folder in folders}) == 1


@pytest.mark.parametrize("market", MARKETS, ids=str)
def test_busy_run_is_the_same_when_every_row_is_visited(
    market: Market, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = tmp_path / "jumping", tmp_path / "visiting"
    for folder, more in zip(folders, ((), ("--visit-every-row",)), strict=True):
        assert app(arguments(market, folder, *more), standalone_mode=False) == 0
    jumping, visiting = map(events_in, folders)
    assert len(jumping) > 1000, "the run is busy"
    check_same(jumping, visiting)
    assert digest_in(folders[0]) == digest_in(folders[1])
    config = json.loads((folders[1] / "config.json").read_text(encoding="utf-8"))
    assert config["simulation"]["visit_every_row"] is True


# --- the exchange by itself, under random commands ---------------------------------------------

SESSIONS = [
    (Market("MNQ"),),
    (Market("ES"),),
    (Market("ETH"),),
    (Market("MNQ"), Market("ES")),
    (Market("ETH"), Market("ES"), Market("MNQ")),
    *[pytest.param((each.values[0],), marks=each.marks) for each in MARKETS[3:]],
]


def random_settings(chance: random.Random) -> dict[str, object]:
    """One choice of every rule that settings can choose."""
    return {
        "queue": chance.choice(["proportional", "displayed", "front", "back"]),
        "queue_power": chance.choice([1.0, 1.5, 2.0]),
        "beyond_top": chance.choice(["ladder", "wait", "infinite"]),
        "self_trade": chance.choice(["cancel_newest", "cancel_oldest", "cancel_both"]),
        "trade_through": chance.choice(["print", "all"]),
        "stop_wrong_side": chance.choice(["reject", "trigger"]),
        "margin": chance.random() < 0.75,
    }


def session(
    markets: Sequence[Market], seed: int, *, every_row: bool = False, more_stops: bool = False
) -> Session:
    """The random session of this seed; its settings are of the seed too."""
    chance = random.Random(seed)
    settings = random_settings(chance)
    return trade(
        [tape_of(*market) for market in markets],
        SimulationConfig(visit_every_row=every_row, **settings),
        seed,
        cash=chance.choice([200_000.0, 200_000.0, 20_000.0, 3_000.0]),
        stops=random.Random(-seed) if more_stops else None,
    )


def check_same_session(one: Session, other: Session) -> None:
    check_same(one.events, other.events)
    assert (one.cash_nanos, one.equity_nanos) == (other.cash_nanos, other.equity_nanos)


@pytest.mark.parametrize("markets", SESSIONS, ids=str)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_jumping_and_visiting_every_row_publish_the_same(
    markets: Sequence[Market], seed: int
) -> None:
    check_same_session(session(markets, seed), session(markets, seed, every_row=True))


@pytest.mark.parametrize("markets", SESSIONS, ids=str)
@pytest.mark.parametrize("seed", range(SEEDS, SEEDS + 2))
def test_looking_at_the_market_more_often_changes_nothing(
    markets: Sequence[Market], seed: int
) -> None:
    check_same_session(session(markets, seed), session(markets, seed, more_stops=True))


@pytest.mark.parametrize("lean", Side, ids=str)
def test_liquidations_are_the_same_when_every_row_is_visited(lean: Side) -> None:
    """Between a taker's orders nothing works: only the margin can stop the kernel."""
    liquidated = 0
    for market, cash in ((Market("MNQ"), 2_000.0), (Market("ES"), 15_000.0)):
        for seed in range(8):
            jumping, visiting = (
                trade(
                    [tape_of(*market)],
                    SimulationConfig(visit_every_row=every),
                    seed,
                    commands=20,
                    cash=cash,
                    lean=lean,
                )
                for every in (False, True)
            )
            check_same_session(jumping, visiting)
            liquidated += any(event.KIND.name == "LIQUIDATION" for event in jumping.events)
    assert liquidated >= 3


def test_random_sessions_are_busy_and_the_seed_matters() -> None:
    """The comparisons above would prove nothing about rules that never came up."""
    sessions = [session((Market(symbol),), seed) for symbol in ("MNQ", "ES") for seed in range(40)]
    kinds = Counter(event.KIND.name for each in sessions for event in each.events)
    missing = {
        *("ACCEPTED", "REJECTED", "TRIGGERED", "FILLED", "CANCELLED", "EXPIRED", "REPLACED"),
        *("REPLACE_REJECTED", "CANCEL_REJECTED", "ACTIVATED", "HELD", "UNPROTECTED"),
        *("LIQUIDATION", "POSITION", "ACCOUNT"),
    } - set(kinds)
    assert not missing, kinds
    fills = [event for each in sessions for event in each.events if event.KIND.name == "FILLED"]
    assert {fill.liquidity.name for fill in fills} == {"MAKER", "TAKER"}
    assert sum(fill.leaves_lots > 0 for fill in fills) > 500, "orders fill in parts"
    reasons = {
        event.reason for each in sessions for event in each.events if hasattr(event, "reason")
    }
    unseen = {
        *(Reason.SIBLING, Reason.ENTRY_ENDED, Reason.IOC_REST, Reason.FOK_NOT_AVAILABLE),
        *(Reason.POSITION_FLAT, Reason.REDUCE_ONLY_DONE, Reason.SELF_TRADE, Reason.LIQUIDATED),
        *(Reason.EXIT_RESIZED, Reason.EXIT_REPRICED, Reason.OCO_RESIZED, Reason.PROTECTION_LIMIT),
        *(Reason.INSUFFICIENT_MARGIN, Reason.POST_ONLY_WOULD_TAKE, Reason.STOP_WRONG_SIDE),
        *(Reason.NO_POSITION_TO_REDUCE, Reason.REDUCE_ONLY_WRONG_SIDE, Reason.SIZE_BELOW_FILLED),
    } - reasons
    assert not unseen
    assert len({len(each.events) for each in sessions}) > 40


def test_two_journals_that_differ_are_told_apart() -> None:
    events = session((Market("MNQ"),), 0).events
    with pytest.raises(pytest.fail.Exception, match=r"event 100 differs after"):
        check_same(events, [*events[:100], *events[101:]])
