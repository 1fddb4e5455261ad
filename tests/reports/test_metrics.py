"""Trades, costs, equity and drawdown of a run worked out by hand (example_run.told_story)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_api.catalog import load_catalog
from broker_api.event import EventKind
from broker_api.instrument import NANOS, Instrument
from broker_api.order import Liquidity, OrderStatus, Side
from reports.equity import EquitySeries, drawdowns, max_drawdown
from reports.excursions import with_excursions
from reports.metrics import Metrics, measure
from reports.prices import NO_MID, extremes, mid_range, mids_at, price_line
from reports.run import RunRecord
from tests.reports.example_run import (
    BIDS,
    CASH,
    FEE_NANOS,
    Story,
    at,
    configuration,
    frame,
    mnq,
    tape,
    ticks,
    told_story,
)


def record(story: Story, *, with_tape: bool = True, **config: object) -> RunRecord:
    return RunRecord(
        events=story.journal.events(),
        orders=story.journal.order_count,
        commands=story.journal.commands,
        instruments=tuple(story.specs),
        tapes=tuple(tape() if with_tape and spec.symbol == "MNQ" else None for spec in story.specs),
        config=configuration(story.specs, **config),
    )


@pytest.fixture(scope="module")
def told() -> Metrics:
    return measure(record(told_story()))


def dollars(nanos: int) -> float:
    return nanos / NANOS


def test_trades_have_the_figures_worked_out_by_hand(told: Metrics) -> None:
    rows = [
        (t.side, t.lots, t.entry_ns, t.exit_ns, dollars(t.gross_nanos), dollars(t.fee_nanos))
        for t in told.trades
    ]
    assert rows == [
        (Side.BUY, 2, at(12), at(40), 80.0, 2.48),
        (Side.BUY, 1, at(50), at(70), -40.0, 1.24),
        (Side.SELL, 3, at(72), at(78), 3.0, 3.72),
    ]
    assert [dollars(t.net_nanos) for t in told.trades] == [77.52, -41.24, -0.72]
    assert [t.is_ambiguous for t in told.trades] == [False, True, False]


def test_a_trade_keeps_exact_costs_over_several_fills_of_one_exit(told: Metrics) -> None:
    short = told.trades[2]
    assert short.entry_cost == 3 * ticks(21_005.0)
    assert short.exit_cost == 2 * ticks(21_004.75) + ticks(21_004.0)


def test_totals_are_those_of_the_account(told: Metrics) -> None:
    assert dollars(told.realised_nanos) == 43.0
    assert told.fee_nanos == 12 * FEE_NANOS
    assert dollars(told.net_nanos) == 35.56
    assert told.open_nanos == 0
    assert told.positions == ((0, 0),)


def test_orders_are_counted_by_how_they_stood_at_the_end(told: Metrics) -> None:
    assert told.orders == 10
    assert told.statuses == {
        OrderStatus.OPEN: 1,
        OrderStatus.FILLED: 6,
        OrderStatus.CANCELLED: 2,
        OrderStatus.REJECTED: 1,
    }


def test_fills_say_what_they_did(told: Metrics) -> None:
    assert len(told.fills) == 7
    assert told.maker_fills == 4
    assert told.ambiguous_fills == 1
    opens = [(fill.is_entry, fill.is_exit) for fill in told.fills]
    assert opens == [(True, False), (False, True)] * 2 + [(True, False)] + [(False, True)] * 2


def test_rates_are_over_trades_after_fees(told: Metrics) -> None:
    assert (told.wins, told.losses) == (1, 2)
    assert told.win_rate == pytest.approx(1 / 3)
    assert told.profit_factor == pytest.approx(77.52 / (41.24 + 0.72))


def test_excursions_are_the_extremes_of_the_mid_on_the_way(told: Metrics) -> None:
    trades, notes = with_excursions(record(told_story()), told.trades)
    assert notes == ()
    # Mids while the first trade was open: 21000.125, 21010.125, 20990.125, 21020.125 (2 lots long).
    assert dollars(trades[0].worst_nanos or 0) == (20_990.125 - 21_000.25) * 2 * 2
    assert dollars(trades[0].best_nanos or 0) == 80.0
    # While the second was open: 21020.125 to 21030.125, then 21005.125, stopped at 21000.25.
    assert dollars(trades[1].worst_nanos or 0) == -40.0
    assert dollars(trades[1].best_nanos or 0) == (21_030.125 - 21_020.25) * 2
    # The short at 21005.00 never saw a mid other than 21005.125.
    assert dollars(trades[2].worst_nanos or 0) == -0.125 * 2 * 3
    assert dollars(trades[2].best_nanos or 0) == 3.0


def test_equity_is_cash_plus_open_profit_at_the_mid(told: Metrics) -> None:
    equity = dict(zip(told.equity.ts.tolist(), told.equity.nanos.tolist(), strict=True))
    assert dollars(equity[at(0)]) == CASH
    assert dollars(equity[at(12)]) == CASH - 1.24 + (21_000.125 - 21_000.25) * 4
    assert dollars(equity[at(20)]) == CASH - 1.24 + (21_010.125 - 21_000.25) * 4
    assert dollars(equity[at(30)]) == CASH - 1.24 + (20_990.125 - 21_000.25) * 4
    assert dollars(equity[at(40)]) == CASH + 77.52
    assert dollars(equity[at(60)]) == 50_096.65  # 50,077.52 - 0.62 + 9.875 points of 2 USD
    assert dollars(equity[at(80)]) == CASH + 35.56


def test_drawdown_is_from_the_highest_equity_to_the_lowest_after_it(told: Metrics) -> None:
    # From 21010.125 marked at 20 s to 20990.125 marked at 30 s: 20 points on 2 lots.
    assert dollars(told.drawdown.nanos) == -80.0
    assert told.drawdown.peak_ns == at(20)
    assert told.drawdown.trough_ns == at(30)
    assert told.drawdown.share == pytest.approx(80 / (CASH - 1.24 + 9.875 * 4))


def test_a_fill_through_zero_closes_one_trade_and_opens_the_next() -> None:
    story = Story([mnq()])
    story.order(1, 1, Side.BUY, 2)
    story.fill(1, 1, Side.BUY, ticks(21_000.0), 2)
    story.order(2, 2, Side.SELL, 5)
    story.fill(2, 2, Side.SELL, ticks(21_001.0), 5)
    story.order(3, 3, Side.BUY, 3)
    story.fill(3, 3, Side.BUY, ticks(21_000.5), 3)
    found = measure(record(story))
    first, second = found.trades
    assert (first.side, first.lots, dollars(first.gross_nanos)) == (Side.BUY, 2, 4.0)
    assert first.fee_nanos == 4 * FEE_NANOS
    assert (second.side, second.lots, dollars(second.gross_nanos)) == (Side.SELL, 3, 3.0)
    assert (second.entry_ns, second.fee_nanos) == (at(2), 6 * FEE_NANOS)
    assert [(fill.is_entry, fill.is_exit) for fill in found.fills] == [
        (True, False),
        (True, True),
        (False, True),
    ]


def test_scaling_out_makes_a_trade_of_every_exit_order() -> None:
    story = Story([mnq()])
    story.order(1, 1, Side.BUY, 3)
    story.fill(1, 1, Side.BUY, ticks(21_000.0), 1)
    story.fill(2, 1, Side.BUY, ticks(21_000.25), 2)
    for seconds, order_id in ((3, 2), (4, 3)):
        story.order(seconds, order_id, Side.SELL, 1)
        story.fill(seconds, order_id, Side.SELL, ticks(21_001.0), 1)
    found = measure(record(story))
    assert [trade.exit_order_id for trade in found.trades] == [2, 3]
    assert sum(trade.gross_nanos for trade in found.trades) == found.realised_nanos
    assert found.positions[0][0] == 1
    # The last lot's share of the entry's fees is not in any trade yet.
    assert sum(trade.fee_nanos for trade in found.trades) == found.fee_nanos - FEE_NANOS


def test_what_is_left_open_is_valued_and_not_a_trade() -> None:
    story = Story([mnq()])
    story.order(1, 1, Side.BUY, 1)
    story.fill(1, 1, Side.BUY, ticks(21_000.25), 1)
    found = measure(record(story))
    assert found.trades == ()
    assert found.win_rate is None
    assert found.profit_factor is None
    assert found.positions == ((1, ticks(21_000.25)),)
    assert dollars(found.open_nanos) == (21_005.125 - 21_000.25) * 2
    assert dollars(found.net_nanos) == -0.62


def test_funding_is_paid_out_of_cash() -> None:
    eth = load_catalog()["ETH"]
    story = Story([eth])
    story.order(1, 1, Side.BUY, 10)
    story.fill(1, 1, Side.BUY, 25_000, 10, fee=0)
    story.pay_funding(5, 3 * NANOS)
    found = measure(record(story))
    assert found.funding_nanos == 3 * NANOS
    assert found.net_nanos == -3 * NANOS
    assert found.equity.nanos[-1] == round(CASH * NANOS) - 3 * NANOS


def test_a_run_without_events_is_flat() -> None:
    found = measure(record(Story([mnq()])))
    assert found.fills == ()
    assert found.drawdown.nanos == 0
    assert set(found.equity.nanos.tolist()) == {round(CASH * NANOS)}


def test_without_a_tape_positions_are_valued_at_the_last_fill_and_it_says_so() -> None:
    story = Story([mnq()])
    story.order(1, 1, Side.BUY, 2)
    story.fill(1, 1, Side.BUY, ticks(21_000.0), 2)
    story.order(5, 2, Side.SELL, 1)
    story.fill(5, 2, Side.SELL, ticks(21_010.0), 1)
    found = measure(record(story, with_tape=False))
    assert dollars(found.open_nanos) == 20.0
    (trade, *_), _ = with_excursions(record(story, with_tape=False), found.trades)
    assert trade.worst_nanos is None
    assert any("MNQ" in note and "last fill" in note for note in found.notes)


def test_two_instruments_share_one_equity() -> None:
    specs: list[Instrument] = [mnq(), load_catalog()["ES"]]
    story = Story(specs)
    for index, order_id in ((0, 1), (1, 2)):
        story.order(1, order_id, Side.BUY, 1, index=index)
        story.fill(1, order_id, Side.BUY, 20_000, 1, index=index, fee=0)
        story.order(2, order_id + 2, Side.SELL, 1, index=index)
        story.fill(2, order_id + 2, Side.SELL, 20_004, 1, index=index, fee=0)
    found = measure(record(story, with_tape=False))
    # A point is 2 USD of MNQ and 50 USD of ES.
    assert [dollars(trade.gross_nanos) for trade in found.trades] == [2.0, 50.0]
    assert dollars(int(found.equity.nanos[-1])) == CASH + 52.0


fills = st.lists(
    st.tuples(st.sampled_from(list(Side)), st.integers(83_900, 84_100), st.integers(1, 7)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(fills)
def test_trades_add_up_to_what_the_account_says(script: list[tuple[Side, int, int]]) -> None:
    story = Story([mnq()])
    for number, (side, price, lots) in enumerate(script, start=1):
        story.order(number, number, side, lots)
        story.fill(number, number, side, price, lots)
    found = measure(record(story))
    events = story.journal.events()
    last = events[events["kind"] == EventKind.POSITION][-1]
    account = events[events["kind"] == EventKind.ACCOUNT][-1]
    assert sum(trade.gross_nanos for trade in found.trades) == last["realised_nanos"]
    assert found.positions == ((last["position_lots"], last["position_cost"]),)
    assert round(CASH * NANOS) + found.net_nanos == account["cash_nanos"]
    assert found.fee_nanos == account["fee_nanos"]
    assert sum(trade.fee_nanos for trade in found.trades) <= found.fee_nanos
    if last["position_lots"] == 0:
        assert sum(trade.fee_nanos for trade in found.trades) == found.fee_nanos
        assert found.open_nanos == 0
    trades, _ = with_excursions(record(story), found.trades)
    assert len(trades) == len(found.trades)
    for trade in trades:
        ticks_won = trade.side.sign * (trade.exit_cost - trade.entry_cost)
        assert ticks_won * mnq().tick_value_nanos == trade.gross_nanos
        assert trade.worst_nanos is not None
        assert trade.best_nanos is not None
        assert trade.worst_nanos <= trade.gross_nanos <= trade.best_nanos


# --- prices --------------------------------------------------------------------------------------


def test_the_mid_is_that_of_the_last_row_at_or_before_the_time() -> None:
    times = np.array([at(-1), at(0), at(15), at(20), at(29.999), at(500)])
    expected = [NO_MID, *(ticks(2 * bid) + 1 for bid in (21_000.0, 21_000.0, 21_010.0, 21_010.0))]
    expected.append(ticks(2 * BIDS[-1]) + 1)
    assert mids_at(tape(), times).tolist() == expected


def test_a_row_with_an_empty_side_keeps_the_mid_before_it() -> None:
    from data.tape import tape_from_frame

    quotes = frame((21_000.0, 21_001.0, 21_002.0, 21_003.0))
    quotes.loc[1:2, "ask_size"] = 0.0
    quotes.loc[1:2, "ask"] = None
    opened = tape_from_frame(quotes, mnq())
    mids = mids_at(opened, np.array([at(5), at(15), at(25), at(35)]))
    assert mids.tolist() == [ticks(42_000) + 1] * 3 + [ticks(42_006) + 1]
    assert mid_range(opened, at(5), at(25)) == (ticks(42_000) + 1, ticks(42_000) + 1)


def test_a_tape_of_trades_gives_their_prices() -> None:
    import pandas as pd

    from data.tape import tape_from_frame

    times = pd.to_datetime([at(0), at(10), at(20)], utc=True)
    prints: dict[str, object] = {
        "ts": times,
        "price": [21_000.0, 21_005.0, 21_001.0],
        "size": [1.0, 1.0, 1.0],
    }
    prints["side"] = [0, 0, 0]
    opened = tape_from_frame(pd.DataFrame(prints), mnq())
    assert mid_range(opened, at(0), at(20)) == (ticks(42_000), ticks(42_010))
    assert mids_at(opened, np.array([at(15)])).tolist() == [ticks(42_010)]


def test_a_stretch_before_the_tape_has_no_range() -> None:
    assert mid_range(tape(), at(-20), at(-10)) is None


def test_a_drawn_line_keeps_the_extremes_of_every_stretch() -> None:
    rng = np.random.default_rng(7)
    times = np.sort(rng.integers(0, 1_000_000, 20_000))
    values = rng.integers(-1_000, 1_000, 20_000).cumsum()
    keep = extremes(times, values, 0, 1_000_000, 100)
    assert len(keep) <= 400
    assert (np.diff(keep) > 0).all()
    for start in range(0, 1_000_000, 10_001):
        inside = (times >= start) & (times < start + 10_001)
        drawn = np.isin(np.arange(len(times)), keep) & inside
        if inside.any():
            assert values[drawn].min() == values[inside].min()
            assert values[drawn].max() == values[inside].max()


def test_a_price_line_ends_where_the_run_ends() -> None:
    line = price_line(tape(), at(0), at(45), 50)
    assert line.stride == 1
    assert line.ts.max() <= at(45)
    assert line.twice_mid.max() == ticks(2 * 21_020.0) + 1


def test_drawdown_of_a_rising_line_is_nothing() -> None:
    series = EquitySeries(np.arange(5), np.array([1, 2, 3, 3, 9]))
    assert drawdowns(series).tolist() == [0] * 5
    assert max_drawdown(series).nanos == 0
    assert max_drawdown(series).share == 0.0


def test_the_deepest_fall_wins_over_the_latest() -> None:
    series = EquitySeries(np.arange(6), np.array([10, 30, 15, 40, 29, 41]))
    assert max_drawdown(series) == (-15, 0.5, 1, 2)


def test_maker_is_who_was_there_first(told: Metrics) -> None:
    assert [fill.liquidity for fill in told.fills][:3] == [
        Liquidity.MAKER,
        Liquidity.MAKER,
        Liquidity.TAKER,
    ]
