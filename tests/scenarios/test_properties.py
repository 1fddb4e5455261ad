"""Properties of strategies: they hold for honest ones, and find what is wrong with the others."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from broker_api.catalog import find, load_catalog
from broker_api.errors import ConfigurationError, TradingError
from broker_api.order import Side
from data.schema import RowKind
from data.tape import Tape, open_tape
from papertape.testing import (
    Fault,
    FaultKind,
    Incident,
    IncidentKind,
    ListedFaults,
    PropertyError,
    Storm,
    always_holds,
    holds_in_storm,
    mirrored,
    run_strategy,
    same_again,
    shifted,
    slower_is_no_better,
    storms,
    tapes,
)
from scenarios.generated import Step, tape_of_steps
from scenarios.trial import Strategy
from tests.sim.random_tape import make_tape

MNQ = find(load_catalog(), "MNQ")
FEW = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
STEADY = make_tape("MNQ", 84_000, 1_500)
RISING = tape_of_steps(MNQ, 84_000, [Step(100, 1, 1, 20, 20, 0)] * 300)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failing tapes go to the working directory."""
    monkeypatch.chdir(tmp_path)


async def follows(suite, size: int = 1, side: int | None = None) -> None:
    """Buys what rises and sells what falls; both sides alike."""
    mnq = suite["MNQ"]
    seen: list[int] = []
    await mnq.data.on_quote(lambda quote: seen.append(round((quote.bid + quote.ask) * 4)))
    for _ in range(12):
        await asyncio.sleep(4)
        if len(seen) > 3 and seen[-1] != seen[-3]:
            way = 0 if seen[-1] > seen[-3] else 1
            if side in (None, way) and mnq.positions.position().is_flat:
                await mnq.orders.place_bracket_order("MNQ", way, size, stop_ticks=6, target_ticks=9)


async def buys(suite) -> None:
    await asyncio.sleep(1)
    await suite["MNQ"].orders.place_market_order("MNQ", 0, 1)
    await asyncio.sleep(5)


async def knows_a_price(suite) -> None:
    await asyncio.sleep(1)
    if suite["MNQ"].data.last_quote.bid < 21_020:
        await suite["MNQ"].orders.place_market_order("MNQ", 0, 1)


async def raises(suite) -> None:
    raise ZeroDivisionError("oh")


def counts_runs() -> Strategy:
    runs: list[int] = []

    async def counting(suite) -> None:
        runs.append(1)
        await asyncio.sleep(1)
        await suite["MNQ"].orders.place_limit_order("MNQ", 0, len(runs), 20_000.0)

    return counting


@given(tapes("MNQ"))
@FEW
def test_an_honest_strategy_always_holds(tape: Tape) -> None:
    always_holds(follows, tape, size=2)


@given(tapes("MNQ"))
@FEW
def test_a_strategy_that_knows_no_price_and_no_side_is_the_same_shifted_and_mirrored(
    tape: Tape,
) -> None:
    shifted(follows, tape)
    mirrored(follows, tape)
    mirrored(follows, tape, side=0, mirror={"side": 1})


@given(tapes("MNQ", one_way="up"))
@FEW
def test_who_is_later_pays_no_less_on_a_tape_that_rises(tape: Tape) -> None:
    slower_is_no_better(buys, tape)


@given(tapes("MNQ"), storms())
@FEW
def test_in_storms_a_strategy_holds_what_it_promises(tape: Tape, storm: Storm) -> None:
    holds_in_storm(follows, tape, storm, invariants={"no_orphan_exits": True})


def test_what_is_left_over_from_a_run_is_found() -> None:
    with pytest.raises(PropertyError, match="a second run is another one from event 1 on") as told:
        same_again(counts_runs(), STEADY)
    assert "limit 20000.00" in str(told.value)


def test_a_price_known_by_heart_is_found_and_the_smallest_tape_is_kept() -> None:
    @given(tapes("MNQ", min_rows=2, max_rows=6, pauses_ms=(1, 2_000), max_size=3))
    @settings(FEW, max_examples=60)
    def looks(tape: Tape) -> None:
        shifted(knows_a_price, tape)

    with pytest.raises(PropertyError, match="400 ticks higher is another one") as told:
        looks()
    (path,) = told.value.tapes
    assert path == Path("failing-tapes") / "knows_a_price-MNQ.parquet"
    assert str(path) in str(told.value)
    kept = open_tape(path, MNQ, cache_dir="cache")
    assert len(kept) <= 6
    with pytest.raises(PropertyError):
        shifted(knows_a_price, kept)


def test_a_strategy_that_prefers_a_side_is_found_in_the_mirror() -> None:
    with pytest.raises(PropertyError, match="in the mirror is another one from event 1 on"):
        mirrored(buys, STEADY)


def test_the_strategys_own_fault_is_told_with_its_tape() -> None:
    with pytest.raises(PropertyError, match="raised ZeroDivisionError: oh") as told:
        always_holds(raises, STEADY)
    assert isinstance(told.value.__cause__, ZeroDivisionError)
    assert told.value.tapes[0].is_file()


def test_a_promise_that_a_storm_breaks_is_told_with_the_storm() -> None:
    async def hasty(suite) -> None:
        for _ in range(2):
            try:
                await suite["MNQ"].orders.place_market_order("MNQ", 0, 1)
                return
            except TradingError:
                await asyncio.sleep(1)

    storm = Storm(ListedFaults((Fault(1, FaultKind.UNANSWERED),)))
    holds_in_storm(hasty, STEADY, Storm(), invariants={"max_position": 1})
    with pytest.raises(PropertyError, match=r"UNANSWERED.*max_position: 2 MNQ were open"):
        holds_in_storm(hasty, STEADY, storm, invariants={"max_position": 1})


def test_a_storm_reaches_the_market_of_a_trial() -> None:
    gap = Incident(IncidentKind.GAP, RISING.start_ns + 5 * 10**9, 0, 10_000)
    calm = run_strategy(buys, RISING, settings={"account": {"cash": 1_000_000}})
    wild = run_strategy(buys, RISING, storm=Storm(incidents=((0, gap),)))
    assert calm.suite.account.cash != 0
    assert wild.suite.session.broker.tapes[0].content_hash != RISING.content_hash  # type: ignore[attr-defined]
    assert calm.error is None
    assert not calm.tape_ended


def test_a_check_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="goes both ways"):
        slower_is_no_better(buys, STEADY)
    with pytest.raises(ConfigurationError, match="one_way 'sideways'"):
        tapes("MNQ", one_way="sideways")
    with pytest.raises(ConfigurationError, match="from 9 to 3 rows"):
        tapes("MNQ", min_rows=9, max_rows=3)


@given(tapes("ETH", max_rows=40))
@FEW
def test_generated_tapes_are_good_ones(tape: Tape) -> None:
    columns = tape.columns
    assert (np.diff(columns.ts) >= 0).all()
    assert (columns.bid < columns.ask).all()
    assert (columns.bid_qty > 0).all()
    assert (columns.qty[columns.kind == RowKind.TRADE] > 0).all()
    assert (columns.bid > 0).all()


def test_a_slower_order_that_is_better_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    falling = tape_of_steps(MNQ, 84_000, [Step(100, -1, 1, 20, 20, 0)] * 300)
    monkeypatch.setattr("scenarios.properties._one_way", lambda tape: Side.BUY)
    with pytest.raises(PropertyError, match="250 ms later the first order filled at"):
        slower_is_no_better(buys, falling)
