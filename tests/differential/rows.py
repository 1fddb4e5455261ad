"""Random tapes: short walks at the edges. Equal times and gaps, empty, locked and crossed books,
sweeps, prints through the touch, sizes of one and huge ones, halts, marks, funding."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from broker_api.instrument import NANOS, Instrument
from data.schema import COLUMN_TYPES, EMPTY_ASK, EMPTY_BID, RowKind, TapeColumns
from data.tape import Tape
from tests.differential.moods import Mood

ROWS = 70
ROW = tuple[int, ...]


@dataclass
class _Book:
    bid: int
    ask: int
    bid_qty: int
    ask_qty: int
    lowest: int

    @property
    def columns(self) -> tuple[int, int, int, int]:
        bid = (self.bid, self.bid_qty) if self.bid_qty else (EMPTY_BID, 0)
        ask = (self.ask, self.ask_qty) if self.ask_qty else (EMPTY_ASK, 0)
        return bid[0], ask[0], bid[1], ask[1]


class _Walk:
    """One tape in the making. The style says how often what happens."""

    def __init__(self, rng: random.Random, instrument: Instrument, mood: Mood) -> None:
        self._rng, self._instrument = rng, instrument
        self._is_after = rng.random() < 0.7
        self._style = {
            "trade": rng.choice((0.0, 0.3, 0.5, 0.7)),
            "status": rng.choice((0.0, 0.0, 0.03)),
            "mark": rng.choice((0.0, 0.0, 0.1)),
            "empty": rng.choice((0.0, 0.02, 0.1)),
            "jump": rng.choice((0.0, 0.05, 0.2)),
            "tie": rng.choice((0.0, 0.3, 0.6)),
            "gap": rng.choice((0.0, 0.0, 0.02)),
            "calm": rng.choice((0.0, 0.0, 0.7, 0.9)),
            "wild": rng.choice((0.0, 0.0, 0.3)),
            "crossed": rng.choice((0.0, 0.0, 0.0, 0.1)),
        } | dict(mood.rows)
        self._largest = mood.largest or rng.choice((1, 4, 9, 40))
        self._lowest = -50 if instrument.allow_negative_price else 1
        base = rng.choice((100, 100, 100, 6 if self._lowest > 0 else 0))
        size = rng.randint(1, self._largest)
        self._book = _Book(base - 1, base + rng.randint(0, 2), size, 1, self._lowest)
        self._ts, self._is_halted = 0, False

    def tape(self, most: int) -> Tape:
        rng, table = self._rng, [self._quote()]
        for _ in range(rng.randint(rng.choice((10, most // 2)), most - 1)):
            if rng.random() >= self._style["tie"]:
                self._ts += rng.choice((1, 1, 2, 5, 10))
                self._ts += 1000 if rng.random() < self._style["gap"] else 0
            table.append(self._row())
        columns = (
            np.array(values, dtype=dtype)
            for dtype, values in zip(COLUMN_TYPES.values(), zip(*table, strict=True), strict=True)
        )
        return Tape(TapeColumns(*columns), self._instrument.symbol, "memory", "", self._is_after)

    def _row(self) -> ROW:
        rng, style = self._rng, self._style
        if rng.random() < (0.3 if self._is_halted else style["status"]):
            return self._status()
        if rng.random() < style["mark"]:
            return self._mark()
        if rng.random() < style["trade"]:
            if rng.random() < style["wild"] / 2:
                self._move()
            return self._trade()
        self._move()
        return self._quote()

    def _quote(self) -> ROW:
        return self._ts, RowKind.QUOTE, 0, 0, 0, *self._book.columns

    def _status(self) -> ROW:
        ends, begins = (RowKind.RESUME, RowKind.OPEN), (RowKind.HALT, RowKind.CLOSE)
        kind = self._rng.choice(ends if self._is_halted else begins)
        self._is_halted = not self._is_halted
        return self._ts, kind, 0, 0, 0, *self._book.columns

    def _mark(self) -> ROW:
        rng, book = self._rng, self._book
        tick = int(self._instrument.tick_size * NANOS)
        price = max(1, (book.bid + book.ask) * tick // 2 + rng.randint(-3 * tick, 3 * tick))
        if rng.random() < 0.6:
            return self._ts, RowKind.MARK, 0, price, 0, *book.columns
        rate = rng.randint(-2_000_000, 2_000_000)
        return self._ts, RowKind.FUNDING, 0, rng.choice((0, price)), rate, *book.columns

    def _trade(self) -> ROW:
        rng, book, style = self._rng, self._book, self._style
        sign = rng.choice((1, -1))
        size = rng.randint(1, self._largest + 1)
        price = book.ask if sign > 0 else book.bid
        if rng.random() < style["calm"]:
            size = rng.randint(1, 1 + self._largest // 4)
        elif rng.random() < style["wild"]:
            # A lagging feed: the print goes one way, the book of its row the other.
            distance = rng.choice((-6, -4, -3, -2, 2, 3, 4, 6))
            price += distance + sign * rng.randint(0, 2)
            shift = max(distance, book.lowest - book.bid) if distance > 0 else distance
            book.bid = max(book.lowest, book.bid - shift)
            book.ask = max(book.lowest, book.ask - shift)
        else:
            price += sign * rng.choice((0, 0, 0, 0, 1, 2, -1))
        price = max(book.lowest, price)
        if self._is_after and rng.random() < 0.7:
            self._use_up(sign, size)
        side = 0 if rng.random() < 0.1 else sign
        return self._ts, RowKind.TRADE, side, price, size, *book.columns

    def _use_up(self, sign: int, size: int) -> None:
        """The book of a row that shows what its print has left."""
        rng, book, largest = self._rng, self._book, self._largest
        if sign > 0 and book.ask_qty:
            book.ask_qty = max(0, book.ask_qty - size)
            if not book.ask_qty and rng.random() < 0.9:
                book.ask, book.ask_qty = book.ask + 1, rng.randint(1, largest)
        elif sign < 0 and book.bid_qty:
            book.bid_qty = max(0, book.bid_qty - size)
            if not book.bid_qty and rng.random() < 0.9 and book.bid > book.lowest:
                book.bid, book.bid_qty = book.bid - 1, rng.randint(1, largest)

    def _move(self) -> None:
        rng, book, style = self._rng, self._book, self._style
        if rng.random() >= style["calm"]:
            step = rng.choice((0, 0, 0, 0, 0, 1, -1))
            if rng.random() < style["jump"]:
                step = rng.randint(-6, 6)
            book.bid = max(book.lowest, book.bid + step)
            book.ask = max(book.bid, book.bid + rng.choice((0, 1, 1, 1, 2, 3)))
            if rng.random() < style["crossed"]:
                book.ask = max(book.lowest, book.bid - rng.randint(1, 2))
        if rng.random() < 0.6:
            book.bid_qty = rng.randint(1, self._largest)
        if rng.random() < 0.6:
            book.ask_qty = rng.randint(1, self._largest)
        book.bid_qty = 0 if rng.random() < style["empty"] else max(1, book.bid_qty)
        book.ask_qty = 0 if rng.random() < style["empty"] else max(1, book.ask_qty)


def random_tape(rng: random.Random, instrument: Instrument, mood: Mood, rows: int = ROWS) -> Tape:
    """A tape from time 0 on, of `rows` rows at most."""
    return _Walk(rng, instrument, mood).tape(rows)


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
