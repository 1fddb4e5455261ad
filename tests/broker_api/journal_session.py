"""A made-up session for tests of the journal on disk: the same records for the same seed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from broker_api.codes import Reason
from broker_api.event import OrderAccepted, OrderFilled, encode
from broker_api.journal import RecordedCommand
from broker_api.journal_chain import Columns, Record
from broker_api.journal_file import JournalFile
from broker_api.journal_json import event_body, recorded_body
from broker_api.journal_writer import JournalWriter
from broker_api.order import (
    BracketRequest,
    CancelRequest,
    ExitRequest,
    Liquidity,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)

START_NS = 1_700_000_000_000_000_000


def header(seed: int = 0) -> dict[str, object]:
    return {"scenario": "made up", "seed": seed, "instruments": ["MNQ", "ES"]}


def ticks(seed: int, count: int) -> Columns:
    """Rows of a market; what they tell makes no sense, how large the numbers are does."""
    draw = np.random.Generator(np.random.Philox(key=seed))
    bid = draw.integers(80_000, 81_000, count)
    return Columns(
        ts=START_NS + np.cumsum(draw.integers(0, 10_000_000, count)),
        kind=draw.integers(0, 2, count).astype(np.int8),
        side=draw.integers(-1, 2, count).astype(np.int8),
        px=draw.integers(80_000, 81_000, count),
        qty=draw.integers(0, 50, count),
        bid=bid,
        ask=bid + 1,
        bid_qty=draw.integers(0, 50, count),
        ask_qty=draw.integers(0, 50, count),
    )


def order(number: int) -> OrderRequest:
    return OrderRequest(
        number, f"o-{number}", "MNQ", Side.BUY, OrderType.LIMIT, 2, limit_ticks=80_000 + number
    )


def bracket(number: int) -> BracketRequest:
    stop = ExitRequest(number + 1, f"o-{number + 1}", offset_ticks=40)
    target = ExitRequest(number + 2, f"o-{number + 2}", price_ticks=80_500)
    return BracketRequest(order(number), stop, target)


def accepted(seq: int, number: int) -> dict[str, object]:
    event = OrderAccepted(
        seq, START_NS, 0, number, OrderStatus.OPEN, 0, 2, Side.BUY, 80_000, 79_000, 2, Reason.NONE
    )
    return event_body(encode(event))


def filled(seq: int, number: int, status: OrderStatus = OrderStatus.FILLED) -> dict[str, object]:
    done = 2 if status is OrderStatus.FILLED else 1
    maker = Liquidity.MAKER
    event = OrderFilled(
        seq, START_NS, 0, number, status, done, 2 - done, Side.BUY, 80_000, 1, 370, maker, False
    )
    return event_body(encode(event))


def turn(journal: JournalWriter, seed: int, number: int) -> int:
    """Rows of two markets, an order, its acceptance; returns the record of the acceptance."""
    now = START_NS + number
    journal.append_ticks(now, 0, ticks(seed + number, 1 + (seed * 7 + number) % 40))
    if number % 3 == 0:
        journal.append_ticks(now, 1, ticks(1000 + seed + number, 5))
    journal.stage("horizon", now, {"ns": now})
    command = CancelRequest(number - 1) if number % 5 == 4 else order(number)
    kind, body = recorded_body(RecordedCommand(now, number, command))
    journal.append(kind, now, body)
    return journal.append("event", now, accepted(number, number))


def write(path: Path, turns: int, seed: int = 0) -> list[bytes]:
    """A journal of so many turns, closed; a look at each of its records."""
    with JournalWriter.create(path, header(seed), now_ns=lambda: 0) as journal:
        for number in range(turns):
            turn(journal, seed, number)
    return looks(path)


def look(record: Record) -> bytes:
    """All that a record shows, as a hash of our own: that of the chain may be what is wrong."""
    shown = hashlib.sha256(repr((record.seq, record.ts_ns, record.kind, record.body)).encode())
    if record.ticks is not None:
        shown.update(repr(record.ticks[:2]).encode())
        shown.update(b"".join(column.tobytes() for column in record.ticks.columns))
    return shown.digest()


def looks(path: Path) -> list[bytes]:
    """A look at each record of a whole journal."""
    with JournalFile.open(path) as journal:
        assert journal.damage is None
        return [look(record) for record in journal.records()]
