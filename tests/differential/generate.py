"""Random sessions from one seed: instruments, calendars, settings. Tapes: `rows.py`.

What a feature needs goes here, its rows to `rows.py`, its commands to `trade.py`, and what makes it
meet others more often to `moods.py`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.instrument import PPM, Instrument, MarginTier
from broker_api.order import TriggerSource
from data.tape import Tape
from tests.differential.moods import Mood, pick_mood
from tests.differential.rows import ROWS, random_tape


@dataclass(frozen=True)
class ToyCalendar:
    """Open in [a, b) for each of `sessions`; closed between them and after the last."""

    sessions: tuple[tuple[int, int], ...]
    name: str = "toy"

    def is_open(self, ts_ns: int) -> bool:
        return any(a <= ts_ns < b for a, b in self.sessions)

    def session_end_ns(self, ts_ns: int) -> int:
        return next((b for _, b in self.sessions if ts_ns < b), 1 << 60)

    def next_open_ns(self, ts_ns: int) -> int | None:
        return next((max(a, ts_ns) for a, b in self.sessions if ts_ns < b), None)

    def boundaries(self, start_ns: int, end_ns: int) -> list[tuple[int, bool]]:
        found = [pair for a, b in self.sessions for pair in ((a, True), (b, False))]
        return [(ts_ns, opens) for ts_ns, opens in found if start_ns <= ts_ns < end_ns]

    def sessions_between(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        return [(a, b) for a, b in self.sessions if b > start_ns and a < end_ns]


@dataclass(frozen=True)
class Case:
    """Everything that a pair of exchanges is made from."""

    seed: int
    instruments: tuple[Instrument, ...]
    tapes: tuple[Tape, ...]
    calendars: tuple[ToyCalendar, ...]
    simulation: SimulationConfig
    accounts: tuple[AccountConfig, ...]
    start_ns: int | None
    mood: Mood


def make_case(seed: int, rows: int = ROWS) -> Case:
    """The session of a seed; its tapes have ten rows at least and `rows` at most."""
    rng = random.Random(f"session {seed}")
    mood = pick_mood(rng)
    count = rng.choice((1, 1, 1, 2, 3))
    has_margin = rng.random() < 0.4 or mood.is_poor
    money = random.Random(f"money {seed}")
    plain = [_instrument(rng, f"I{i}", has_margin, mood) for i in range(count)]
    instruments = tuple(_with_money_rules(money, item, has_margin) for item in plain)
    tapes = tuple(random_tape(rng, item, mood, rows) for item in instruments)
    end_ns = max(tape.end_ns for tape in tapes)
    settings: dict[str, Any] = {
        "queue": rng.choice(("proportional", "proportional", "displayed", "front", "back")),
        "queue_power": rng.choice((1, 1.5, 2)),
        "beyond_top": rng.choice(("ladder", "ladder", "wait", "infinite")),
        "fees": rng.random() < 0.7,
        "self_trade": rng.choice(("cancel_newest", "cancel_oldest", "cancel_both")),
        "stop_wrong_side": rng.choice(("reject", "reject", "trigger")),
        "trade_through": rng.choice(("print", "print", "all")),
        "margin": has_margin,
        "visit_every_row": rng.random() < 0.2,
    } | dict(mood.settings)
    cash = rng.choice((1, 60, 300, 1_000, 5_000)) if has_margin else 50_000
    cash = rng.choice((30, 60, 120, 300)) if mood.is_poor else cash
    return Case(
        seed,
        instruments,
        tapes,
        tuple(_calendar(rng, tape, mood) for tape in tapes),
        SimulationConfig(**settings),
        (random_account(money, instruments, float(cash), has_margin),),
        rng.choice((None, None, None, end_ns // 4)),
        mood,
    )


def _instrument(rng: random.Random, symbol: str, has_margin: bool, mood: Mood) -> Instrument:
    tick = rng.choice(("1", "0.25", "0.01"))
    lot = rng.choice(("1", "1", "0.001"))
    by_notional = rng.random() < 0.3
    most = 10_000_000 if mood.name == "huge" else 1000
    initial = rng.choice((0, 2, 10, 30)) if has_margin else 0
    return Instrument(
        symbol=symbol,
        id=symbol,
        name=symbol,
        exchange="",
        currency="USD",
        calendar="24/7",
        tick_size=Decimal(tick),
        tick_value=Decimal(rng.choice(("1", "0.5", "12.5"))),
        lot_size=Decimal(lot),
        min_size=Decimal(lot) * rng.choice((1, 1, 1, 2)),
        max_size=Decimal(lot) * rng.choice((*[most] * 9, 8)),
        fee_per_unit=Decimal(rng.choice(("0", "0.62", "-0.1"))),
        maker_fee_ppm=rng.choice((0, 150, -50)),
        taker_fee_ppm=rng.choice((0, 450)),
        initial_margin=Decimal(initial),
        maintenance_margin=Decimal(initial) * rng.choice((Decimal(1), Decimal("0.9"))),
        initial_margin_ppm=100_000 if has_margin and by_notional else 0,
        maintenance_margin_ppm=50_000 if has_margin and by_notional else 0,
        trigger_source=rng.choice(list(TriggerSource)),
        allow_negative_price=rng.random() < 0.1 or mood.below_zero,
    )


def _with_money_rules(rng: random.Random, item: Instrument, has_margin: bool) -> Instrument:
    """Margin tiers, overnight margins and price bands, each in some of the sessions."""
    fields: dict[str, Any] = {}
    if rng.random() < 0.15:
        fields["price_band_ticks"] = rng.choice((0, 1, 3, 6))
        fields["price_band_ppm"] = rng.choice((0, 5_000, 30_000))
    if has_margin and rng.random() < 0.3:
        first, width = rng.choice((1, 3)), Decimal(rng.choice((20, 150, 1_000)))
        fields["margin_tiers"] = tuple(
            MarginTier(width * (at * at), 50_000 * first * (at + 1), 25_000 * first * (at + 1))
            for at in range(rng.randint(1, 4))
        )
        fields["initial_margin_ppm"] = rng.choice((0, 0, 120_000))
        fields["maintenance_margin_ppm"] = 0
    if has_margin and rng.random() < 0.3:
        fields["overnight_initial_margin"] = item.initial_margin * rng.choice((2, 5))
        fields["overnight_maintenance_margin"] = item.maintenance_margin * rng.choice((1, 2, 4))
        fields["overnight_from_minutes"] = rng.choice((0, 0, 1))
    return replace(item, **fields)


def random_account(
    rng: random.Random, instruments: tuple[Instrument, ...], cash: float, has_margin: bool
) -> AccountConfig:
    """Leverage where the margin knows one; isolated positions in a third of the sessions."""
    isolated = [item.symbol for item in instruments if rng.random() < 0.5]
    leverage = {
        item.symbol: rng.randint(1, PPM // item.tiers[0].initial_ppm)
        for item in instruments
        if item.tiers[0].initial_ppm and rng.random() < 0.3
    }
    use_isolated = has_margin and rng.random() < 0.35
    return AccountConfig(
        cash=cash, leverage=leverage, isolated=tuple(isolated) if use_isolated else ()
    )


def _calendar(rng: random.Random, tape: Tape, mood: Mood) -> ToyCalendar:
    """Always open, or with sessions that end and begin around the tape's rows."""
    end_ns = tape.end_ns
    if end_ns < 20 or (rng.random() < 0.7 and not mood.has_hours):
        return ToyCalendar(((-1, 1 << 60),))
    times = range(1, end_ns)
    if mood.has_hours:
        times = sorted({ts for ts in tape.columns.ts.tolist() if 0 < ts < end_ns})
    first, last = sorted(rng.choices(times, k=2))
    last += last == first
    opens = rng.choice((-1, -1, first // 4))
    middle = min(first + rng.choice((1, 3, 10)), last)
    return ToyCalendar(((opens, first), (middle, last), (last + rng.choice((1, 8)), 1 << 60)))
