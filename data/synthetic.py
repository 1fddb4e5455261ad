"""A seeded generator of tapes whose statistics look like those of a futures market.

`data.price_path` says when and where the price is drawn to; here the top of the book follows it row
by row: quotes grow and shrink, aggressors of persistent sign take the touch, an emptied touch
moves, a widened spread closes. A trade row's book is from after the trade. The same seed gives the
same bytes on every machine. docs/synthetic.md has the statistics beside those of recorded markets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pyarrow as pa

from data.price_path import FINE, Activity, Burst, Draws, Session, bursts
from data.schema import BBO_KEY, NANO
from data.written import decimals

SEED_KEY = b"papertape.seed"
DEFAULT_START_NS = 1_736_865_000 * NANO
"""2025-01-14 14:30 UTC, 08:30 Chicago: a Tuesday, the open of the cash session."""

SizeTable = tuple[tuple[int, int], ...]
"""Sizes in lots as (upper end, share in 1/10000 of sizes up to it); uniform inside a step."""

_FUTURES_TRADES: SizeTable = (
    (1, 5960), (2, 7510), (3, 8070), (4, 8520), (5, 8810), (7, 9060), (10, 9370), (15, 9600),
    (20, 9740), (30, 9880), (50, 9966), (90, 10000),
)  # fmt: skip
_FUTURES_CHANGES: SizeTable = (
    (1, 7300), (2, 8700), (3, 9150), (5, 9600), (10, 9900), (20, 10000),
)  # fmt: skip
_COIN_TRADES: SizeTable = (
    (2, 2200), (4, 3170), (8, 4070), (16, 5010), (32, 6150), (64, 7140), (128, 8180), (256, 8970),
    (512, 9570), (1024, 9870), (2048, 9955), (5000, 10000),
)  # fmt: skip
_COIN_CHANGES: SizeTable = (
    (5, 2000), (50, 5000), (200, 7500), (550, 9000), (1500, 9800), (4000, 10000),
)  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """What a synthetic market looks like.

    `price` is where it starts; `touch_lots` the mean size at the touch; `trade_share` the share of
    trades among rows; the tables are sizes of aggressors and of changes of a level.
    """

    symbol: str
    tick_size: Decimal
    lot_size: Decimal
    price: Decimal
    activity: Activity
    touch_lots: int = 32
    trade_share: float = 0.125
    trade_sizes: SizeTable = _FUTURES_TRADES
    change_sizes: SizeTable = _FUTURES_CHANGES

    def ticks(self, price: Decimal) -> int:
        """A price on the tick as ticks. Raises ValueError off the tick."""
        if price % self.tick_size != 0:
            raise ValueError(f"price {price} is not a multiple of the tick size {self.tick_size}")
        return int(price / self.tick_size)


_CME = Activity(hours="cme", rows_per_second=8.0, rows_per_burst=5.5, sigma_ticks=0.6)
_PRICES = {
    "ES": "5880", "MES": "5880", "NQ": "21020", "MNQ": "21020", "RTY": "2250", "M2K": "2250",
    "YM": "42500", "MYM": "42500", "GC": "2680", "MGC": "2680", "CL": "78", "MCL": "78",
    "BTC": "95000", "ETH": "3200",
}  # fmt: skip


def profile_for(
    symbol: str, tick_size: Decimal, lot_size: Decimal, price: Decimal | None = None
) -> Profile:
    """The profile of an instrument: whole lots trade as futures do, fractions as coins do.

    Raises ValueError for a symbol whose price is not known when none is given.
    """
    if price is None:
        if symbol not in _PRICES:
            raise ValueError(f"no starting price is known for {symbol}, give one")
        price = Decimal(_PRICES[symbol])
    profile = Profile(symbol, tick_size, lot_size, price, _CME)
    if lot_size < 1:
        around = Activity(hours="always", rows_per_second=8.0, rows_per_burst=7.0, sigma_ticks=1.0)
        return replace(
            profile,
            activity=around,
            touch_lots=3500,
            trade_share=0.22,
            trade_sizes=_COIN_TRADES,
            change_sizes=_COIN_CHANGES,
        )
    return profile


def generate(
    profile: Profile,
    *,
    seed: int,
    start_ns: int = DEFAULT_START_NS,
    hours: float = 4.0,
    waypoints: Sequence[tuple[int, Decimal]] = (),
) -> pa.Table:
    """A canonical table of `hours` of synthetic market from `start_ns`.

    `waypoints` are (seconds from the start, price on the tick) that the price is drawn through.
    Raises ValueError for a span without trading hours, and for waypoints off the tick or out of
    order.
    """
    if not 0 < hours <= 24 * 366:
        raise ValueError(f"hours {hours} must be more than 0 and at most a year")
    span = Session(start_ns, start_ns + int(hours * 3600) * NANO)
    pins = [(start_ns, profile.ticks(profile.price))]
    for seconds, price in waypoints:
        ts = start_ns + seconds * NANO
        if not pins[-1][0] < ts <= span.close_ns:
            raise ValueError(
                f"waypoint at {seconds} s must be after the one before and in the span"
            )
        pins.append((ts, profile.ticks(price)))
    causes = bursts(profile.activity, seed, span, pins)
    if not causes:
        raise ValueError("the market is closed during the whole span")
    market = _Market(profile, Draws(seed, 2), causes[0])
    for number, burst in enumerate(causes):
        following = causes[number + 1].ts if number + 1 < len(causes) else span.close_ns
        market.run(burst, following)
    return _table(profile, market, seed)


class _Rows:
    """The rows written so far, column by column."""

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.price: list[int] = []
        self.size: list[int] = []
        self.side: list[int] = []
        self.bid: list[int] = []
        self.ask: list[int] = []
        self.bid_size: list[int] = []
        self.ask_size: list[int] = []


class _Market:
    """The top of the book and what happens to it. Index 0 is the bid, 1 the ask."""

    def __init__(self, profile: Profile, draws: Draws, first: Burst) -> None:
        self.rows = _Rows()
        self._profile = profile
        self._draws = draws
        # Levels are eaten more than they are fed, so the usual size is above the mean that results.
        self._usual = profile.touch_lots * 11 // 5
        middle = first.price // FINE
        self._touch = [middle, middle + 1]
        self._lots = [self._fresh(), self._fresh()]
        self._sign = 1
        self._trend = 1
        self._now = first.ts
        self._sizes = _Table(profile.trade_sizes)
        self._changes = _Table(profile.change_sizes)
        self._quote()

    def run(self, burst: Burst, end_ns: int) -> None:
        """The rows of one burst, within the time up to the next."""
        self._now = max(self._now, burst.ts)
        for number in range(burst.rows):
            if number:
                self._now += self._pause()
            if self._now >= end_ns:
                return
            self._step(burst.price)

    def _pause(self) -> int:
        """Nanoseconds between two rows of a burst: from 0.3 us to 1 ms, evenly on a scale of
        powers."""
        word = self._draws.word()
        power = 8 + max((word & 0xFF) * 12 >> 8, (word >> 8 & 0xFF) * 12 >> 8)
        return (1 << power) + (word >> 16 & ((1 << power) - 1))

    def _chance(self) -> float:
        return (self._draws.word() >> 11) / (1 << 53)

    def _fresh(self) -> int:
        """The size of a level that comes from behind the touch: exponential about the mean."""
        return 1 + int(self._draws.exponential() * (self._usual - 1))

    def _small(self) -> int:
        """The size of a level that is just being made, ahead of the others."""
        return 1 + self._fresh() // 6

    def _step(self, price: int) -> None:
        """One row: the spread closes, an aggressor trades, the touch is pulled, or a size
        changes."""
        bid, ask = self._touch
        pull = price - (bid + ask) * FINE // 2
        if ask - bid > 1 and self._chance() < 0.45:
            self._close_spread(pull)
        elif self._chance() < self._profile.trade_share:
            self._trade(pull)
        elif abs(pull) > FINE and self._chance() < min(0.1 + abs(pull) / (8 * FINE), 0.9):
            self._move(1 if pull > 0 else 0, 1 + abs(pull) // (6 * FINE))
            self._quote()
        else:
            self._change(pull)

    def _close_spread(self, pull: int) -> None:
        """The side that the price is drawn to follows; a wide spread closes in halves."""
        width = self._touch[1] - self._touch[0] - 1
        step = width if width <= 2 else (width + 1) // 2
        side = 0 if pull > 0 else 1
        self._touch[side] += step if side == 0 else -step
        self._lots[side] = self._small()
        self._quote()

    def _move(self, side: int, ticks: int) -> None:
        """The touch of a side is gone; the level behind shows, with a size of its own."""
        self._touch[side] += ticks if side == 1 else -ticks
        self._lots[side] = self._fresh()

    def _change(self, pull: int) -> None:
        """A level grows or shrinks, towards the market's usual size and never to nothing; where the
        price is drawn to, it is pulled back faster."""
        side = self._draws.word() & 1
        lots = self._lots[side]
        if lots > 2 and abs(pull) > FINE // 4 and side == (pull > 0) and self._chance() < 0.35:
            self._lots[side] = 1 + lots // 3
            self._quote()
            return
        growing = self._chance() < min(0.8, max(0.2, 0.72 - 0.22 * lots / self._usual))
        change = self._changes.draw(self._draws)
        if growing or lots == 1:
            self._lots[side] = lots + change
        else:
            self._lots[side] = max(1, lots - change)
        self._quote()

    def _trade(self, pull: int) -> None:
        """An aggressor takes from the touch; drawn that way, it may take it all and go on behind
        it."""
        self._sign = self._aggressor(pull)
        side = 1 if self._sign > 0 else 0
        wanted = self._sizes.draw(self._draws)
        with_pull = pull * self._sign
        small = self._lots[side] <= 1 + self._usual // 5
        if small and with_pull > FINE // 4 and self._chance() < 0.8:
            wanted = max(wanted, self._lots[side])
        if with_pull < -FINE and wanted >= self._lots[side]:
            wanted = max(1, self._lots[side] - 1)
        while wanted > 0:
            taken = min(wanted, self._lots[side])
            price = self._touch[side]
            wanted -= taken
            if taken < self._lots[side]:
                self._lots[side] -= taken
            else:
                self._move(side, 1)
                if with_pull < 2 * FINE:
                    wanted = 0  # what is left waits as a limit order elsewhere
            self._print(price, taken)

    def _print(self, price: int, taken: int) -> None:
        """One print, now and then reported as two: one for each resting order that was met."""
        if taken > 1 and self._chance() < 0.12:
            self._write(price, 1, self._sign)
            taken -= 1
        self._write(price, taken, self._sign)

    def _aggressor(self, pull: int) -> int:
        """+1 or -1: mostly the last one's sign, drawn towards the price and to a slow trend, as
        large orders are worked in many small ones.
        """
        if abs(pull) > FINE and self._chance() < 0.5:
            return 1 if pull > 0 else -1
        if self._chance() < 0.06:
            self._trend = -self._trend
        if self._chance() < 0.3:
            return self._trend
        return self._sign if self._chance() < 0.68 else -self._sign

    def _quote(self) -> None:
        self._write(0, 0, 0)

    def _write(self, price: int, size: int, side: int) -> None:
        rows = self.rows
        rows.ts.append(self._now)
        rows.price.append(price)
        rows.size.append(size)
        rows.side.append(side)
        rows.bid.append(self._touch[0])
        rows.ask.append(self._touch[1])
        rows.bid_size.append(self._lots[0])
        rows.ask_size.append(self._lots[1])


class _Table:
    """Draws from a table of sizes."""

    def __init__(self, table: SizeTable) -> None:
        self._ends = [end for end, _ in table]
        self._shares = [share for _, share in table]

    def draw(self, draws: Draws) -> int:
        word = draws.word()
        step = bisect_left(self._shares, 1 + ((word & 0xFFFFFFFF) * 10_000 >> 32))
        low = self._ends[step - 1] if step else 0
        return low + 1 + ((word >> 32) * (self._ends[step] - low) >> 32)


def _table(profile: Profile, market: _Market, seed: int) -> pa.Table:
    """The rows as a canonical table. Repeated quotes are left out, as a reader would drop them."""
    rows = market.rows
    trade = np.array(rows.size, dtype=np.int64) > 0
    prices = {
        name: decimals(np.array(getattr(rows, name), dtype=np.int64), profile.tick_size)
        for name in ("bid", "ask", "price")
    }
    whole = profile.lot_size == 1
    lots = {
        name: np.array(getattr(rows, name), dtype=np.int64)
        for name in ("bid_size", "ask_size", "size")
    }
    sizes = {
        name: steps if whole else decimals(steps, profile.lot_size) for name, steps in lots.items()
    }
    columns = {
        "ts": pa.array(np.array(rows.ts, dtype=np.int64)),
        "bid": pa.array(prices["bid"]),
        "ask": pa.array(prices["ask"]),
        "bid_size": pa.array(sizes["bid_size"]),
        "ask_size": pa.array(sizes["ask_size"]),
        "price": pa.array(prices["price"], mask=~trade),
        "size": pa.array(sizes["size"]),
        "side": pa.array(np.array(rows.side, dtype=np.int8)),
    }
    metadata = {BBO_KEY: b"after", SEED_KEY: str(seed).encode()}
    return pa.table(columns).replace_schema_metadata(metadata)
