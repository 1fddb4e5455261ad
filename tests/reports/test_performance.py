"""Ratios against a well-kept library, and by hand where they are of trades."""

from __future__ import annotations

from dataclasses import replace

import empyrical
import numpy as np
import pandas as pd
import pytest

from broker_api.instrument import NANOS
from broker_api.order import Side
from reports.equity import EquitySeries
from reports.metrics import Trade, measure
from reports.performance import (
    DAY_NS,
    TRADING_DAYS,
    by_hour,
    by_weekday,
    calmar_ratio,
    daily_returns,
    deepest_fall,
    growth_a_year,
    longest_streak,
    longest_underwater,
    payoff_ratio,
    performance,
    sharpe_ratio,
    sortino_ratio,
    trade_sharpe,
    volatility,
)
from tests.reports.example_run import at
from tests.reports.test_compare import round_trip, run_of

MONDAY_NS = 19_723 * DAY_NS  # 2024-01-01


def drawn(seed: int, days: int) -> np.ndarray:
    draws = np.random.Generator(np.random.Philox(key=seed))
    return draws.normal(0.0005, 0.012, days)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("year", [252, 365])
@pytest.mark.parametrize("days", [2, 30, 700])
def test_ratios_of_returns_are_those_of_empyrical(seed: int, year: int, days: int) -> None:
    returns = drawn(seed, days)
    series = pd.Series(returns)
    for ours, theirs in (
        (sharpe_ratio(returns, year), empyrical.sharpe_ratio(series, annualization=year)),
        (sortino_ratio(returns, year), empyrical.sortino_ratio(series, annualization=year)),
        (volatility(returns, year), empyrical.annual_volatility(series, annualization=year)),
        (growth_a_year(returns, year), empyrical.cagr(series, annualization=year)),
        (calmar_ratio(returns, year), empyrical.calmar_ratio(series, annualization=year)),
        (deepest_fall(returns), empyrical.max_drawdown(series)),
    ):
        if ours is None:
            assert not np.isfinite(theirs)
        else:
            assert ours == pytest.approx(float(theirs), rel=1e-9, abs=1e-12)


def test_what_the_input_does_not_give_is_none() -> None:
    flat, none = np.zeros(10), np.zeros(0)
    rising = np.full(10, 0.01)
    assert sharpe_ratio(flat, 252) is None
    assert sharpe_ratio(none, 252) is None
    assert sortino_ratio(rising, 252) is None
    assert calmar_ratio(rising, 252) is None
    assert volatility(none, 252) is None
    assert growth_a_year(np.array([-1.5, 0.0]), 252) == -1.0
    assert payoff_ratio(np.array([1.0, 2.0])) is None
    assert trade_sharpe(np.array([1.0])) is None


def equity(*points: tuple[float, float]) -> EquitySeries:
    """Equity in currency at days since Monday, 2024-01-01."""
    days, values = zip(*points, strict=True)
    ts = np.array([MONDAY_NS + round(day * DAY_NS) for day in days], dtype=np.int64)
    return EquitySeries(ts, np.array([round(v * NANOS) for v in values], dtype=np.int64))


def test_days_end_at_midnight_and_weekends_belong_to_monday() -> None:
    series = equity((0.5, 100), (0.9, 110), (1.2, 110), (1.8, 121), (6.5, 150), (7.1, 133.1))
    found = daily_returns(series, weekends=False)
    # Monday +10 %, Tuesday +10 %, three days without a change, Monday with its Sunday +10 %.
    assert found == pytest.approx([0.1, 0.1, 0.0, 0.0, 0.0, 0.1])
    always = daily_returns(series, weekends=True)
    assert len(always) == 8
    assert always[6] == pytest.approx(150 / 121 - 1)


def test_a_run_that_lost_all_has_no_returns() -> None:
    assert len(daily_returns(equity((0, 100), (1, -5), (2, 3)), weekends=True)) == 0


def test_time_under_water_ends_where_the_peak_is_reached_again() -> None:
    series = equity((0, 100), (1, 90), (3, 100), (4, 120), (5, 110), (6, 119))
    assert longest_underwater(series) == 3 * DAY_NS
    assert longest_underwater(equity((0, 100), (9, 90))) == 9 * DAY_NS


def test_ratios_of_trades_by_hand() -> None:
    net = np.array([10.0, -5.0, -5.0, 20.0, -2.0])
    assert payoff_ratio(net) == pytest.approx(15 / 4)
    assert longest_streak(net < 0) == 2
    assert trade_sharpe(net) == pytest.approx(net.mean() / net.std(ddof=1))


def test_a_run_of_minutes_has_figures_of_trades_and_none_of_days() -> None:
    run = run_of(round_trip)
    found = performance(run, measure(run))
    assert (found.days, found.days_a_year) == (1, TRADING_DAYS)
    assert found.sharpe is None
    assert found.best_day is None
    assert found.expectancy_nanos == 38.26 * NANOS
    assert found.total_return == pytest.approx(38.26 / 50_000)
    assert found.time_in_market == pytest.approx(30 / 80)
    assert found.mean_held_ns == 30 * NANOS


def trade(exit_ns: int, net: int) -> Trade:
    return Trade(0, Side.BUY, 1, exit_ns - 1, exit_ns, 0, 0, net, 0, 1, False)


def test_hours_and_weekdays_are_those_of_the_exit_in_utc() -> None:
    trades = [trade(at(0), 5), trade(at(3_600), -2), trade(at(3_601), 3)]  # Tuesday, 14:30
    hours = by_hour(trades)
    assert [(p.name, p.trades, p.wins, p.net_nanos) for p in hours if p.trades] == [
        ("14", 1, 1, 5),
        ("15", 2, 1, 1),
    ]
    (day,) = [p for p in by_weekday(trades) if p.trades]
    assert (day.name, day.net_nanos) == ("Tue", 6)
    assert by_weekday([replace(trades[0], exit_ns=MONDAY_NS)])[0].trades == 1
