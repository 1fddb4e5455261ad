"""What all local venues share: markets, prices by hand, the one door, snapshots, the journal."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest

from broker_api.catalog import load_catalog
from broker_api.errors import ConfigurationError, TradingError
from broker_api.event import EventKind
from data.schema import RowKind
from data.tape import tape_from_frame
from sim.venues.clock import MarketClock, speed_of
from sim.venues.sources import (
    FUNDING_RATE_NANOS,
    sample_source,
    source_of,
    still_source,
    synthetic_source,
    tape_source,
)
from sim.venues.warm import _trade
from tests.venues.plain_engine import (
    BTC,
    ETH,
    START_MS,
    PlainEngine,
    WallTime,
    order,
    still_runner,
)

SECOND = 1_000_000_000
DAY_1 = 1_736_865_000 * SECOND


def two_quotes() -> PlainEngine:
    frame = {
        "ts": [DAY_1, DAY_1 + 10 * SECOND, DAY_1 + 20 * SECOND],
        "bid": [2999.9, 3009.9, 2989.9],
        "ask": [3000.1, 3010.1, 2990.1],
        "bid_size": [5.0, 6.0, 7.0],
        "ask_size": [5.0, 6.0, 7.0],
    }
    return PlainEngine([tape_source(ETH, tape_from_frame(frame, ETH))])


# --- sources --------------------------------------------------------------------------------------


def test_a_still_market_stands_at_its_price_with_a_mark() -> None:
    venue = PlainEngine([still_source(ETH, Decimal("3000"), size=Decimal("2.5"))]).venue
    venue.advance_to(venue.now_ns + 3600 * SECOND)
    assert venue.touch(0) == (29_999, 2_500, 30_001, 2_500)
    assert venue.mark_nanos(0) == 3000 * SECOND
    assert venue.has_ended(0)


def test_a_synthetic_market_brings_marks_every_three_seconds_and_funding_on_the_hour() -> None:
    source = synthetic_source(ETH, seed=3, hours=0.6, price=Decimal("3000"))
    columns = source.tape.columns
    marks = columns.ts[columns.kind == RowKind.MARK]
    assert source.tape.has_marks
    assert len(marks) > 600
    assert not (marks % (3 * SECOND)).any()
    funding = columns.kind == RowKind.FUNDING
    assert (columns.ts[funding] % (3600 * SECOND) == 0).all()
    assert set(columns.qty[funding].tolist()) == {FUNDING_RATE_NANOS}
    assert (columns.ts[1:] >= columns.ts[:-1]).all()


def test_a_mark_is_the_median_of_bid_ask_and_last_trade() -> None:
    tape = synthetic_source(ETH, seed=5, hours=0.1, price=Decimal("3000")).tape
    row = int((tape.columns.kind == RowKind.MARK).nonzero()[0][3])
    last = max(at for at in range(row) if tape.columns.kind[at] == RowKind.TRADE)
    three = (tape.columns.bid[row], tape.columns.ask[row], tape.columns.px[last])
    assert tape.columns.px[row] == sorted(three)[1] * SECOND // 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothere.parquet", "no such file"),
        ("synthetc", 'did you mean "synthetic"'),
        ("synthetic:seeds=3", 'did you mean "seed"'),
        ("synthetic:hours=-1", "not a positive number"),
        ("still:", "not a positive number"),
        ("still:3000.01", "tick size"),
        ("synthetic:hours=nan", "not a positive number"),
    ],
)
def test_a_market_that_cannot_be_is_refused_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(TradingError, match=said):
        source_of(ETH, text)


def test_markets_are_named_by_words() -> None:
    assert source_of(ETH, "sample").tape.symbol == "ETH"
    recipe = source_of(BTC, "synthetic:seed=4,hours=0.05,price=90000")
    assert "seed 4" in recipe.origin
    assert int(recipe.tape.columns.bid[0]) in range(899_000, 901_000)
    assert source_of(ETH, "still:2500").tape.columns.bid[0] == 24_999
    with pytest.raises(ConfigurationError, match="no sample tape of BTC"):
        source_of(BTC, "sample")


# --- the venue ------------------------------------------------------------------------------------


def test_time_moves_only_when_told_and_a_tape_that_ended_keeps_its_last_quote() -> None:
    venue = two_quotes().venue
    assert venue.touch(0).ask_ticks == 30_001
    venue.advance_to(DAY_1 + 9 * SECOND)
    assert venue.touch(0).ask_ticks == 30_001
    venue.advance_to(DAY_1 + 3600 * SECOND)
    assert venue.touch(0).ask_ticks == 29_901
    assert venue.has_ended(0)


def test_a_price_set_by_hand_crosses_orders_and_ends_the_tape() -> None:
    runner, engine = still_runner(WallTime())
    runner.perform("order", order(1, 100, "2950"))
    payload = {"symbol": "ETH", "ticks": 29_400, "sizes": [1000, 1000], "spread_ticks": 2}
    runner.perform("price", payload)
    position = engine.venue.ledgers[0].positions[0]
    assert position.lots == 100
    assert position.cost == 100 * 29_500
    assert engine.venue.touch(0) == (29_399, 1000, 29_401, 1000)
    assert engine.venue.mark_nanos(0) == 2940 * SECOND


def test_prices_by_hand_take_over_from_a_tape_that_is_under_way() -> None:
    engine = two_quotes()
    venue = engine.venue
    venue.advance_to(DAY_1 + 5 * SECOND)
    venue.set_price(0, 31_000, (50, 60))
    venue.advance_to(DAY_1 + 60 * SECOND)
    assert venue.touch(0) == (30_999, 50, 31_001, 60)
    venue.set_price(0, 31_500, (50, 60), spread_ticks=5)
    assert venue.touch(0) == (31_498, 50, 31_503, 60)


def test_a_halt_by_hand_refuses_orders_until_the_market_resumes() -> None:
    engine = two_quotes()
    venue = engine.venue
    venue.set_halt(0, halted=True)
    refused = engine.perform(_entry(order(1, 10, "3000.1")))
    assert refused.kind == EventKind.REJECTED
    venue.set_halt(0, halted=False)
    venue.advance_to(DAY_1 + 10 * SECOND)
    assert engine.perform(_entry(order(2, 10, "3010.1"))).kind == EventKind.ACCEPTED
    assert venue.touch(0).ask_ticks == 30_101  # the tape went on


def _entry(payload: dict[str, object]) -> object:
    from sim.venues.runner import Input

    return Input(0, 0, "order", payload, 0)


def test_prices_by_hand_are_refused_on_bars_and_without_room_for_a_bid() -> None:
    bars = {
        "ts": [DAY_1, DAY_1 + 60 * SECOND],
        "open": [3000.0, 3001.0],
        "high": [3002.0, 3003.0],
        "low": [2999.0, 3000.0],
        "close": [3001.0, 3002.0],
        "volume": [4.0, 4.0],
    }
    tape = tape_from_frame(bars, ETH, bar_interval_ns=60 * SECOND)
    venue = PlainEngine([tape_source(ETH, tape)], accounts=1).venue
    with pytest.raises(ConfigurationError, match="bars"):
        venue.set_price(0, 30_000, (10, 10))
    _, engine = still_runner(WallTime())
    with pytest.raises(ConfigurationError, match="no room for a bid"):
        engine.venue.set_price(0, 1, (10, 10))


def test_what_the_listener_does_is_told_behind_what_caused_it() -> None:
    runner, engine = still_runner(WallTime())
    engine.answer_fills_with_cancels = True
    runner.perform("order", order(1, 10, "2900", account=1))
    runner.perform("order", order(2, 5, "3000.1"))
    kinds = [[EventKind(row.kind).name for row in batch] for batch in engine.told[-2:]]
    assert kinds[0][:2] == ["ACCEPTED", "FILLED"]
    assert kinds[1] == ["CANCELLED"]
    assert engine.venue.ledgers[1].working == {}


def test_accounts_are_a_pool_that_can_run_out() -> None:
    venue = two_quotes().venue
    assert [venue.open_account(name) for name in ("a", "b")] == [0, 1]
    with pytest.raises(ConfigurationError, match="all 2 accounts"):
        venue.open_account("c")


def test_running_to_a_fill_stops_at_its_instant() -> None:
    engine = two_quotes()
    engine.perform(_entry(order(1, 10, "2995")))
    assert engine.venue.advance_to_fill(DAY_1 + 3600 * SECOND)
    assert engine.venue.now_ns == DAY_1 + 20 * SECOND
    assert not engine.venue.advance_to_fill(DAY_1 + 3600 * SECOND)


# --- time -----------------------------------------------------------------------------------------


def test_a_clock_stands_or_runs_at_its_speed() -> None:
    wall = WallTime()
    clock = MarketClock(wall, 1_000)
    wall.ms += 5
    assert clock.now_ns() == 1_000
    clock.set_speed(Fraction(3, 2))
    wall.ms += 4
    assert clock.now_ns() == 1_000 + 6_000_000
    clock.set_speed(Fraction(0))
    wall.ms += 100
    assert clock.now_ns() == 1_000 + 6_000_000


@pytest.mark.parametrize(
    ("text", "speed"), [("stepped", 0), ("1", 1), ("0.5", Fraction(1, 2)), ("60", 60)]
)
def test_speeds_have_names(text: str, speed: Fraction) -> None:
    assert speed_of(text) == speed


@pytest.mark.parametrize("text", ["-1", "fast", "1/0", "1000001", "inf", ""])
def test_speeds_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        speed_of(text)


def test_a_running_market_is_brought_to_the_present_before_an_input() -> None:
    wall = WallTime()
    runner, engine = still_runner(wall)
    runner.set_speed(Fraction(10))
    wall.ms += 2_000
    runner.perform("order", order(1, 10, "2900"))
    assert runner.inputs[0].market_ns == engine.venue.exchange.start_ns + 20 * SECOND


def test_market_time_does_not_go_back() -> None:
    runner, engine = still_runner(WallTime())
    runner.advance_to(engine.venue.now_ns + 5)
    with pytest.raises(ConfigurationError, match="cannot go back"):
        runner.advance_to(engine.venue.now_ns - 1)


def test_timers_of_the_wall_fire_once_before_the_next_answer_and_are_recorded() -> None:
    wall = WallTime()
    runner, engine = still_runner(wall)
    engine.timer_ms = START_MS + 10
    runner.catch_up()
    assert engine.fired == []
    wall.ms += 25
    runner.catch_up()
    runner.catch_up()
    assert engine.fired == [START_MS + 25]
    assert [entry.kind for entry in runner.inputs] == ["timers"]


# --- snapshots and the journal --------------------------------------------------------------------


def traded() -> tuple[WallTime, object, PlainEngine]:
    wall = WallTime()
    runner, engine = still_runner(wall)
    runner.perform("order", order(1, 100, "2950"))
    runner.perform("order", order(2, -40, "2999.9", account=1))
    runner.advance_to(engine.venue.now_ns + 7 * SECOND)
    payload = {"symbol": "ETH", "ticks": 29_400, "sizes": [1000, 1000], "spread_ticks": 2}
    runner.perform("price", payload)
    return wall, runner, engine


def test_a_snapshot_brings_the_same_state_back_after_other_things_happened() -> None:
    _, runner, engine = traded()
    snapshot = json.loads(json.dumps(runner.snapshot()))
    events = list(engine.venue.events)
    runner.perform("order", order(3, 10, "2940.1"))
    runner.restore(snapshot)
    assert runner.venue is not engine.venue
    assert runner.venue.events == events
    assert runner.venue.exchange.state_hash == engine_hash(snapshot)
    assert [ledger.cash_nanos for ledger in runner.venue.ledgers] == [
        ledger.cash_nanos for ledger in replayed(snapshot).ledgers
    ]


def engine_hash(snapshot: dict[str, object]) -> object:
    return snapshot["state"]


def replayed(snapshot: dict[str, object]):
    runner, _ = still_runner(WallTime())
    runner.restore(snapshot)
    return runner.venue


def test_a_snapshot_of_other_settings_or_of_another_venue_changes_nothing() -> None:
    _, runner, _ = traded()
    snapshot = runner.snapshot()
    other, engine = still_runner(WallTime(), price="3001")
    other.perform("order", order(1, 10, "2900"))
    for broken, said in [
        (snapshot, "other tapes or settings"),
        ({**snapshot, "venue": "another"}, "no snapshot"),
        ({**snapshot, "format": 99}, "no snapshot"),
        ({**snapshot, "inputs": [[1, 2]]}, "damaged"),
        ({**snapshot, "inputs": [[1, 2, "price", {}]]}, "damaged"),
    ]:
        with pytest.raises(ConfigurationError, match=said):
            other.restore(broken)
        assert other.engine is engine
        assert len(other.inputs) == 1


def test_reset_is_the_first_state() -> None:
    _, runner, _ = traded()
    runner.reset()
    assert runner.inputs == []
    assert runner.venue.events == []
    assert runner.venue.touch(0).bid_ticks == 29_999


def test_an_input_that_is_refused_is_not_recorded() -> None:
    runner, engine = still_runner(WallTime())
    state = engine.venue.exchange.state_hash
    with pytest.raises(ConfigurationError, match="XRP"):
        runner.perform("halt", {"symbol": "XRP", "halted": True})
    assert runner.inputs == []
    assert engine.venue.exchange.state_hash == state


def test_the_journal_has_inputs_and_events_in_their_order() -> None:
    _, runner, engine = traded()
    lines = [json.loads(line) for line in runner.journal()]
    names = [line.get("input") or line["event"] for line in lines]
    assert names[:3] == ["order", "accepted", "order"]
    assert names.index("price") < names.index("filled", names.index("price"))
    events = [line for line in lines if "event" in line]
    assert len(events) == len(engine.venue.events)
    fill = next(line for line in events if line["event"] == "filled" and line["account"] == 0)
    assert (fill["price_ticks"], fill["status"]) == (29_500, "filled")


def test_the_sample_is_a_market() -> None:
    assert sample_source(ETH).tape.has_trades


@pytest.mark.parametrize("symbols", [("ETH",), ("BTC", "ETH"), ("MNQ", "ETH")])
def test_warming_up_trades_and_liquidates_on_a_market_of_its_own(symbols: tuple[str, ...]) -> None:
    catalog = load_catalog()
    happened = _trade(tuple(catalog[symbol] for symbol in symbols))
    wanted = "ACCEPTED FILLED CANCELLED REPLACED TRIGGERED HALTED RESUMED LIQUIDATION DEPOSITED"
    assert {EventKind[name] for name in wanted.split()} - happened == set()
