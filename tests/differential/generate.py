"""Random sessions from one seed: instruments, tapes at the edges, settings, commands."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.instrument import PPM, Instrument, MarginTier
from broker_api.order import TriggerSource
from data.schema import COLUMN_TYPES, EMPTY_ASK, EMPTY_BID, RowKind, TapeColumns
from data.tape import Tape

NANO = 1_000_000_000
ROWS = 70


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
    account: AccountConfig
    start_ns: int | None


def make_case(seed: int, rows: int = ROWS) -> Case:
    """The session of a seed; its tapes have ten rows at least and `rows` at most."""
    rng = random.Random(f"session {seed}")
    count = rng.choice((1, 1, 1, 2, 3))
    has_margin = rng.random() < 0.4
    money = random.Random(f"money {seed}")
    plain = [_instrument(rng, f"I{i}", has_margin) for i in range(count)]
    instruments = tuple(_with_money_rules(money, item, has_margin) for item in plain)
    tapes = tuple(_tape(rng, item, rows) for item in instruments)
    end_ns = max(tape.end_ns for tape in tapes)
    simulation = SimulationConfig(
        queue=rng.choice(("proportional", "proportional", "displayed", "front", "back")),
        queue_power=rng.choice((1, 1.5, 2)),
        beyond_top=rng.choice(("ladder", "ladder", "wait", "infinite")),
        fees=rng.random() < 0.7,
        self_trade=rng.choice(("cancel_newest", "cancel_oldest", "cancel_both")),
        stop_wrong_side=rng.choice(("reject", "reject", "trigger")),
        trade_through=rng.choice(("print", "print", "all")),
        margin=has_margin,
        visit_every_row=rng.random() < 0.2,
    )
    cash = rng.choice((1, 60, 300, 1_000, 5_000)) if has_margin else 50_000
    return Case(
        seed,
        instruments,
        tapes,
        tuple(_calendar(rng, end_ns) for _ in instruments),
        simulation,
        _account(money, instruments, float(cash), has_margin),
        rng.choice((None, None, None, end_ns // 4)),
    )


def _instrument(rng: random.Random, symbol: str, has_margin: bool) -> Instrument:
    tick = rng.choice(("1", "0.25", "0.01"))
    lot = rng.choice(("1", "1", "0.001"))
    by_notional = rng.random() < 0.3
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
        max_size=Decimal(lot) * rng.choice((1000, 1000, 1000, 1000, 8)),
        fee_per_unit=Decimal(rng.choice(("0", "0.62", "-0.1"))),
        maker_fee_ppm=rng.choice((0, 150, -50)),
        taker_fee_ppm=rng.choice((0, 450)),
        initial_margin=Decimal(initial),
        maintenance_margin=Decimal(initial) * rng.choice((Decimal(1), Decimal("0.9"))),
        initial_margin_ppm=100_000 if has_margin and by_notional else 0,
        maintenance_margin_ppm=50_000 if has_margin and by_notional else 0,
        trigger_source=rng.choice(list(TriggerSource)),
        allow_negative_price=rng.random() < 0.1,
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


def _account(
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


def _calendar(rng: random.Random, end_ns: int) -> ToyCalendar:
    if rng.random() < 0.7 or end_ns < 20:
        return ToyCalendar(((-1, 1 << 60),))
    first, last = sorted(rng.sample(range(1, end_ns), 2))
    opens = rng.choice((-1, -1, first // 4))
    middle = min(first + rng.choice((1, 3, 10)), last)
    return ToyCalendar(((opens, first), (middle, last), (last + rng.choice((1, 8)), 1 << 60)))


@dataclass
class _Book:
    bid: int
    ask: int
    bid_qty: int
    ask_qty: int

    @property
    def columns(self) -> tuple[int, int, int, int]:
        bid = (self.bid, self.bid_qty) if self.bid_qty else (EMPTY_BID, 0)
        ask = (self.ask, self.ask_qty) if self.ask_qty else (EMPTY_ASK, 0)
        return bid[0], ask[0], bid[1], ask[1]


def _tape(rng: random.Random, instrument: Instrument, rows: int) -> Tape:
    """A short walk in which everything happens: ties, sweeps, empty sides, halts, marks."""
    is_after = rng.random() < 0.7
    base = rng.choice((100, 100, 100, 6))
    style = {
        "trade": rng.choice((0.0, 0.3, 0.5, 0.7)),
        "status": rng.choice((0.0, 0.0, 0.03)),
        "mark": rng.choice((0.0, 0.0, 0.1)),
        "empty": rng.choice((0.0, 0.02, 0.1)),
        "jump": rng.choice((0.0, 0.05, 0.2)),
        "tie": rng.choice((0.0, 0.3, 0.6)),
        "calm": rng.choice((0.0, 0.0, 0.7, 0.9)),
        "wild": rng.choice((0.0, 0.0, 0.3)),
    }
    largest = rng.choice((1, 4, 9, 40))
    book = _Book(base - 1, base + rng.randint(0, 2), rng.randint(1, largest), 1)
    ts, halted = 0, False
    table = [(0, RowKind.QUOTE, 0, 0, 0, *book.columns)]
    for _ in range(rng.randint(10, rows)):
        ts += 0 if rng.random() < style["tie"] else rng.choice((1, 1, 2, 5, 10))
        if rng.random() < (0.3 if halted else style["status"]):
            kind = rng.choice(
                (RowKind.RESUME, RowKind.OPEN) if halted else (RowKind.HALT, RowKind.CLOSE)
            )
            halted = not halted
            table.append((ts, kind, 0, 0, 0, *book.columns))
        elif rng.random() < style["mark"]:
            table.append(_mark(rng, ts, book, instrument))
        elif rng.random() < style["trade"]:
            if rng.random() < style["wild"] / 2:
                _move(rng, book, largest, style)
            table.append(_trade(rng, ts, book, is_after, largest, style))
        else:
            _move(rng, book, largest, style)
            table.append((ts, RowKind.QUOTE, 0, 0, 0, *book.columns))
    columns = (
        np.array(values, dtype=dtype)
        for dtype, values in zip(COLUMN_TYPES.values(), zip(*table, strict=True), strict=True)
    )
    return Tape(TapeColumns(*columns), instrument.symbol, "memory", "", is_after)


def _mark(rng: random.Random, ts: int, book: _Book, instrument: Instrument) -> tuple[int, ...]:
    tick = int(instrument.tick_size * NANO)
    price = max(1, (book.bid + book.ask) * tick // 2 + rng.randint(-3 * tick, 3 * tick))
    if rng.random() < 0.6:
        return ts, RowKind.MARK, 0, price, 0, *book.columns
    rate = rng.randint(-2_000_000, 2_000_000)
    return ts, RowKind.FUNDING, 0, rng.choice((0, price)), rate, *book.columns


def _trade(
    rng: random.Random,
    ts: int,
    book: _Book,
    is_after: bool,
    largest: int,
    style: dict[str, float],
) -> tuple[int, ...]:
    sign = rng.choice((1, -1))
    size = rng.randint(1, largest + 1)
    price = book.ask if sign > 0 else book.bid
    if rng.random() < style["calm"]:
        size = rng.randint(1, 1 + largest // 4)
    elif rng.random() < style["wild"]:
        # A lagging feed: the print goes one way, the book of its row the other.
        distance = rng.choice((-6, -4, -3, -2, 2, 3, 4, 6))
        price += distance + sign * rng.randint(0, 2)
        shift = max(distance, 1 - book.bid) if distance > 0 else distance
        book.bid, book.ask = max(1, book.bid - shift), max(1, book.ask - shift)
    else:
        price += sign * rng.choice((0, 0, 0, 0, 1, 2, -1))
    price = max(1, price)
    if is_after and rng.random() < 0.7:
        if sign > 0 and book.ask_qty:
            book.ask_qty = max(0, book.ask_qty - size)
            if not book.ask_qty and rng.random() < 0.9:
                book.ask, book.ask_qty = book.ask + 1, rng.randint(1, largest)
        elif sign < 0 and book.bid_qty:
            book.bid_qty = max(0, book.bid_qty - size)
            if not book.bid_qty and rng.random() < 0.9 and book.bid > 1:
                book.bid, book.bid_qty = book.bid - 1, rng.randint(1, largest)
    side = 0 if rng.random() < 0.1 else sign
    return ts, RowKind.TRADE, side, price, size, *book.columns


def _move(rng: random.Random, book: _Book, largest: int, style: dict[str, float]) -> None:
    if rng.random() >= style["calm"]:
        step = rng.choice((0, 0, 0, 0, 0, 1, -1))
        if rng.random() < style["jump"]:
            step = rng.randint(-6, 6)
        book.bid = max(1, book.bid + step)
        book.ask = max(book.bid, book.bid + rng.choice((0, 1, 1, 1, 2, 3)))
    if rng.random() < 0.6:
        book.bid_qty = rng.randint(1, largest)
    if rng.random() < 0.6:
        book.ask_qty = rng.randint(1, largest)
    book.bid_qty = 0 if rng.random() < style["empty"] else max(1, book.bid_qty)
    book.ask_qty = 0 if rng.random() < style["empty"] else max(1, book.ask_qty)


def rows_near(tape: Tape, ts_ns: int, count: int = 4) -> Sequence[str]:
    """The tape's rows around a time, one line each."""
    last = int(np.searchsorted(tape.columns.ts, ts_ns, side="right"))
    lines = []
    for at in range(max(0, last - count), min(len(tape), last + 2)):
        ts, kind, side, px, qty, bid, ask, bid_qty, ask_qty = (
            int(column[at]) for column in tape.columns
        )
        what = RowKind(kind).name.lower()
        event = "" if kind == RowKind.QUOTE else f" side {side:+d} {qty}@{px}"
        book = f"{bid_qty}x{bid if bid_qty else '-'} {ask if ask_qty else '-'}x{ask_qty}"
        lines.append(
            f"{'>' if ts <= ts_ns else ' '} {tape.symbol} row {at} t={ts} {what}{event}  {book}"
        )
    return lines
