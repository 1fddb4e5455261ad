"""The recorded feed of single orders as the columns of a tape. Knows that one file's format only.

A record of the feed is 56 bytes: adds, cancels, modifies, fills and trades by order id. What a tape
holds instead is in `docs/interface.md`: a modify that loses its place becomes a cancel and an add.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

RECORD = np.dtype(
    [
        ("length", "u1"), ("rtype", "u1"), ("publisher", "<u2"), ("instrument", "<u4"),
        ("ts_event", "<u8"), ("order_id", "<u8"), ("price", "<i8"), ("size", "<u4"),
        ("flags", "u1"), ("channel", "u1"), ("action", "S1"), ("side", "S1"),
        ("ts_recv", "<u8"), ("ts_in_delta", "<i4"), ("sequence", "<u4"),
    ]
)  # fmt: skip
LAST_OF_EVENT = 128
NANO = 10**9
SIGN = {b"B": 1, b"A": -1, b"N": 0}


def records_of(path: Path) -> np.ndarray:
    """The feed's records; the header in front of them says how long it is."""
    with pa.input_stream(str(path), compression="zstd") as stream:
        content = stream.read()
    assert content[:3] == b"DBN"
    begin = 8 + int.from_bytes(content[4:8], "little")
    return np.frombuffer(content[begin:], dtype=RECORD)


class Book:
    """The orders in the book, and the rows that the feed's records become."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self.orders: dict[int, list[int]] = {}
        self.levels: dict[int, dict[int, int]] = {1: {}, -1: {}}

    def row(self, ts: int, kind: str, side: int, price: int, size: int, origin: int | None) -> None:
        self.rows.append([ts, kind, side, price / NANO, size, origin])

    def change(self, side: int, price: int, lots: int) -> None:
        level = self.levels[side]
        level[price] = level.get(price, 0) + lots
        if level[price] == 0:
            del level[price]

    def add(self, ts: int, order_id: int, side: int, price: int, size: int) -> None:
        self.orders[order_id] = [len(self.rows), side, price, size]
        self.row(ts, "add", side, price, size, None)
        self.change(side, price, size)

    def take(self, ts: int, kind: str, order_id: int, lots: int) -> None:
        """A cancel or an execution of an order that is in the book."""
        order = self.orders[order_id]
        origin, side, price, left = order
        self.row(ts, kind, side, price, lots, origin)
        self.change(side, price, -lots)
        order[3] = left - lots
        if order[3] == 0:
            del self.orders[order_id]

    def touch(self) -> tuple[float | None, int, float | None, int]:
        bids, asks = self.levels[1], self.levels[-1]
        bid, ask = max(bids, default=None), min(asks, default=None)
        return (
            None if bid is None else bid / NANO, 0 if bid is None else bids[bid],
            None if ask is None else ask / NANO, 0 if ask is None else asks[ask],
        )  # fmt: skip

    def begin(self, ts: int) -> None:
        """Forget the rows so far: the orders that are in the book join it now."""
        self.rows.clear()
        for order_id, (_, side, price, left) in list(self.orders.items()):
            self.orders[order_id][0] = len(self.rows)
            self.row(ts, "add", side, price, left, None)


def columns_of(records: np.ndarray, begin_ns: int) -> dict[str, list[Any]]:
    """The tape's columns from a time on; the book before an auction is crossed and no tape.

    Each row of one event of the feed carries the book after that event.
    """
    book, filled = Book(), {}
    touches: list[tuple[Any, ...]] = []
    has_begun = False
    names = ["ts_event", "order_id", "price", "size", "action", "side", "flags"]
    for ts, order_id, price, size, action, letter, flags in records[names].tolist():
        if not has_begun and ts >= begin_ns:
            has_begun = True
            book.begin(begin_ns)
            touches = [book.touch()] * len(book.rows)
        side = SIGN[letter]
        match action:
            case b"A":
                book.add(ts, order_id, side, price, size)
            case b"T":
                book.row(ts, "trade", side, price, size, None)
            case b"F":
                filled[order_id] = filled.get(order_id, 0) + size
            case b"C" | b"M":
                change(book, action, ts, order_id, side, price, size, filled.pop(order_id, 0))
        if flags & LAST_OF_EVENT:
            touches += [book.touch()] * (len(book.rows) - len(touches))
    touches += [book.touch()] * (len(book.rows) - len(touches))
    names = ["ts", "kind", "side", "price", "size", "origin"]
    columns = dict(zip(names, map(list, zip(*book.rows, strict=True)), strict=True))
    names = ["bid", "bid_size", "ask", "ask_size"]
    return columns | dict(zip(names, map(list, zip(*touches, strict=True)), strict=True))


def change(
    book: Book, action: bytes, ts: int, order_id: int, side: int, price: int, size: int, done: int
) -> None:
    """A record that takes off what filled (`done`), cancels, or changes price or size."""
    if order_id not in book.orders:
        if action == b"M":
            book.add(ts, order_id, side, price, size)
        return
    _, _, old_price, left = book.orders[order_id]
    executed = min(done, left)
    if executed:
        book.take(ts, "exec", order_id, executed)
        left -= executed
    if action == b"C":
        cancelled = min(size - executed, left)
        if cancelled > 0:
            book.take(ts, "cancel", order_id, cancelled)
    elif left and price == old_price and size <= left:
        if size < left:
            book.take(ts, "cancel", order_id, left - size)
    else:
        if left:
            book.take(ts, "cancel", order_id, left)
        book.add(ts, order_id, side, price, size)
