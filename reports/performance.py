"""Ratios of a run: from its daily returns and from its trades. docs/metrics.md has the formulas.

The functions take plain arrays, so that sweeps and other reports use the same ones. A ratio that
its input does not give (no trade, no loss, too few days) is None, never a zero or an infinity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_api.calendar import ALWAYS_OPEN
from broker_api.instrument import NANOS
from reports.equity import EquitySeries
from reports.metrics import Metrics, Trade
from reports.run import RunRecord

Floats = npt.NDArray[np.float64]

DAY_NS = 86_400 * NANOS
DAYS_MIN = 2
"""Daily returns that a ratio of them needs at least."""
TRADING_DAYS, ALL_DAYS = 252, 365
"""Days of a year for markets that close at weekends, and for those that never close."""


# --- of returns ----------------------------------------------------------------------------------


def volatility(returns: Floats, days_a_year: int) -> float | None:
    """Standard deviation of daily returns (n - 1), times the root of the year's days."""
    if len(returns) < DAYS_MIN:
        return None
    return float(np.std(returns, ddof=1)) * math.sqrt(days_a_year)


def sharpe_ratio(returns: Floats, days_a_year: int) -> float | None:
    """Mean over standard deviation (n - 1) of daily returns, times the root of the year's days.

    Without a riskless rate. W. F. Sharpe, "The Sharpe Ratio", 1994.
    """
    if len(returns) < DAYS_MIN:
        return None
    spread = float(np.std(returns, ddof=1))
    return float(np.mean(returns)) / spread * math.sqrt(days_a_year) if spread else None


def sortino_ratio(returns: Floats, days_a_year: int) -> float | None:
    """Mean over downside deviation of daily returns, times the root of the year's days.

    The downside deviation is the root of the mean of min(r, 0) squared, over all days.
    """
    if len(returns) < DAYS_MIN:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(np.mean(returns)) / downside * math.sqrt(days_a_year) if downside else None


def growth_a_year(returns: Floats, days_a_year: int) -> float | None:
    """The constant yearly growth that the daily returns amount to (CAGR)."""
    if len(returns) < DAYS_MIN:
        return None
    whole = float(np.prod(1.0 + returns))
    return whole ** (days_a_year / len(returns)) - 1.0 if whole > 0 else -1.0


def deepest_fall(returns: Floats) -> float:
    """The deepest fall of compounded returns from a peak, as a share of it: 0 or negative."""
    worth = np.concatenate([[1.0], np.cumprod(1.0 + returns)])
    return float(np.min(worth / np.maximum.accumulate(worth) - 1.0))


def calmar_ratio(returns: Floats, days_a_year: int) -> float | None:
    """Yearly growth over the deepest fall of daily closes."""
    growth, fall = growth_a_year(returns, days_a_year), deepest_fall(returns)
    return None if growth is None or fall == 0 else growth / -fall


# --- of a run ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Performance:
    """The ratios of a run. Money is in 1e-9 currency, times in ns, shares are of one.

    `days` is how many daily returns there are; the ratios of them are None below DAYS_MIN.
    """

    days: int
    days_a_year: int
    total_return: float | None
    growth_a_year: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    best_day: float | None
    worst_day: float | None
    underwater_ns: int
    expectancy_nanos: float | None
    payoff: float | None
    best_trade_nanos: int | None
    worst_trade_nanos: int | None
    mean_held_ns: int | None
    losing_streak: int
    time_in_market: float | None
    trade_sharpe: float | None


def performance(run: RunRecord, metrics: Metrics) -> Performance:
    """All ratios of a run that was measured."""
    year = days_a_year(run)
    returns = daily_returns(metrics.equity, weekends=year == ALL_DAYS)
    start, end = int(metrics.equity.nanos[0]), int(metrics.equity.nanos[-1])
    net = np.array([trade.net_nanos for trade in metrics.trades], dtype=np.float64)
    has_days = len(returns) >= DAYS_MIN
    return Performance(
        days=len(returns),
        days_a_year=year,
        total_return=end / start - 1 if start > 0 else None,
        growth_a_year=growth_a_year(returns, year),
        volatility=volatility(returns, year),
        sharpe=sharpe_ratio(returns, year),
        sortino=sortino_ratio(returns, year),
        calmar=calmar_ratio(returns, year),
        best_day=float(returns.max()) if has_days else None,
        worst_day=float(returns.min()) if has_days else None,
        underwater_ns=longest_underwater(metrics.equity),
        expectancy_nanos=float(net.mean()) if len(net) else None,
        payoff=payoff_ratio(net),
        best_trade_nanos=int(net.max()) if len(net) else None,
        worst_trade_nanos=int(net.min()) if len(net) else None,
        mean_held_ns=_mean_held(metrics.trades),
        losing_streak=longest_streak(net < 0),
        time_in_market=time_in_market(run, metrics),
        trade_sharpe=trade_sharpe(net),
    )


def days_a_year(run: RunRecord) -> int:
    """365 where every instrument trades always, else 252."""
    always = all(spec.calendar == ALWAYS_OPEN for spec in run.instruments)
    return ALL_DAYS if always and run.instruments else TRADING_DAYS


def daily_returns(equity: EquitySeries, *, weekends: bool) -> Floats:
    """Returns from one close of the day to the next, the first from the start.

    Days are UTC; the last counts as it stands. Without `weekends` what happens on a Saturday or
    Sunday belongs to the Monday after. Empty where equity fell to nothing: there are none then.
    """
    days = equity.ts // DAY_NS
    if not weekends:
        # Day 0 of the epoch was a Thursday: 2 and 3 are Saturday and Sunday.
        weekday = days % 7
        days = days + np.where(weekday == 2, 2, np.where(weekday == 3, 1, 0))
    closes = equity.nanos[np.flatnonzero(np.diff(days, append=days[-1] + 1))]
    known = np.arange(days[0], days[-1] + 1)
    if not weekends:
        known = known[(known % 7 != 2) & (known % 7 != 3)]
    at = np.searchsorted(np.unique(days), known, side="right") - 1
    values = np.concatenate([equity.nanos[:1], closes[at]]).astype(np.float64)
    if (values <= 0).any():
        return np.zeros(0, dtype=np.float64)
    return np.asarray(values[1:] / values[:-1] - 1.0)


def longest_underwater(equity: EquitySeries) -> int:
    """The longest time from a peak of equity until it was reached again, or the end."""
    peak = np.maximum.accumulate(equity.nanos)
    at_peak = equity.ts[equity.nanos == peak]
    return int(np.max(np.diff(at_peak, append=equity.ts[-1])))


def payoff_ratio(net: Floats) -> float | None:
    """The mean of what winners earned over the mean of what losers cost."""
    won, lost = net[net > 0], net[net < 0]
    return float(won.mean() / -lost.mean()) if len(won) and len(lost) else None


def trade_sharpe(net: Floats) -> float | None:
    """Mean over standard deviation (n - 1) of the trades' profits, not annualised."""
    if len(net) < 2:
        return None
    spread = float(np.std(net, ddof=1))
    return float(net.mean()) / spread if spread else None


def longest_streak(is_loss: npt.NDArray[np.bool_]) -> int:
    """The longest row of losing trades."""
    longest = now = 0
    for lost in is_loss:
        now = now + 1 if lost else 0
        longest = max(longest, now)
    return longest


def _mean_held(trades: Sequence[Trade]) -> int | None:
    if not trades:
        return None
    return sum(trade.exit_ns - trade.entry_ns for trade in trades) // len(trades)


def time_in_market(run: RunRecord, metrics: Metrics) -> float | None:
    """The share of the run during which some position was open."""
    length = run.end_ns - run.start_ns
    if length <= 0:
        return None
    positions, since_ns, total = 0, 0, 0
    for ts_ns, change in _held(run, metrics):
        if positions == 0:
            since_ns = ts_ns
        positions += change
        if positions == 0:
            total += ts_ns - since_ns
    if positions:
        total += run.end_ns - since_ns
    return min(1.0, total / length)


def _held(run: RunRecord, metrics: Metrics) -> list[tuple[int, int]]:
    """When positions were opened (+1) and when they were flat again (-1)."""
    lots = [0] * len(run.instruments)
    found: list[tuple[int, int]] = []
    for fill in metrics.fills:
        before = lots[fill.instrument]
        lots[fill.instrument] = before + fill.side.sign * fill.lots
        after = lots[fill.instrument]
        if before == 0 and after != 0:
            found.append((fill.ts_ns, 1))
        elif before != 0 and after == 0:
            found.append((fill.ts_ns, -1))
    return found


# --- by hour and weekday -------------------------------------------------------------------------

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Period:
    """Trades that ended in an hour of the day or on a weekday (UTC)."""

    name: str
    trades: int
    wins: int
    net_nanos: int


def by_hour(trades: Sequence[Trade]) -> tuple[Period, ...]:
    """The 24 hours of the day."""
    names = [f"{hour:02d}" for hour in range(24)]
    return _periods(names, trades, [t.exit_ns // (3_600 * NANOS) % 24 for t in trades])


def by_weekday(trades: Sequence[Trade]) -> tuple[Period, ...]:
    """The seven days of the week, Monday first. Day 0 of the epoch was a Thursday."""
    return _periods(WEEKDAYS, trades, [(t.exit_ns // DAY_NS + 3) % 7 for t in trades])


def _periods(
    names: Sequence[str], trades: Sequence[Trade], places: Sequence[int]
) -> tuple[Period, ...]:
    groups: list[list[Trade]] = [[] for _ in names]
    for trade, place in zip(trades, places, strict=True):
        groups[place].append(trade)
    return tuple(
        Period(
            name,
            len(group),
            sum(trade.net_nanos > 0 for trade in group),
            sum(trade.net_nanos for trade in group),
        )
        for name, group in zip(names, groups, strict=True)
    )
