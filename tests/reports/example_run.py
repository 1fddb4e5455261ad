"""A small run made by hand, event by event, with figures that can be checked on paper.

MNQ: tick 0.25, one tick of one contract is 0.50 USD. The tape's mid moves by whole points.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from broker_api.catalog import load_catalog
from broker_api.event import (
    AccountChanged,
    CancelRejected,
    Event,
    FundingPaid,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderFilled,
    OrderRejected,
    PositionChanged,
    Reason,
    encode,
)
from broker_api.instrument import NANOS, Instrument
from broker_api.journal import Journal
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    CancelRequest,
    ExitRequest,
    Liquidity,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)
from broker_api.record import PositionRecord
from data.tape import Tape, open_tape, tape_from_frame
from scenarios.run_folder import plain

START_NS = 1_704_205_800 * NANOS  # 2024-01-02 14:30:00 UTC
FEE_NANOS = 620_000_000  # 0.62 USD a contract and side
CASH = 50_000.0


def mnq() -> Instrument:
    return load_catalog()["MNQ"]


def at(seconds: float) -> int:
    return START_NS + round(seconds * NANOS)


def frame(bids: Sequence[float], step_seconds: float = 10.0) -> pd.DataFrame:
    """Quotes `step_seconds` apart, one tick wide; the mid is the bid plus 0.125."""
    times = [at(step_seconds * index) for index in range(len(bids))]
    bid = np.array(bids, dtype=float)
    return pd.DataFrame(
        {
            "ts": pd.to_datetime(times, utc=True),
            "bid": bid,
            "ask": bid + 0.25,
            "bid_size": 5.0,
            "ask_size": 5.0,
        }
    )


BIDS = (21_000.0, 21_000.0, 21_010.0, 20_990.0, 21_020.0, 21_020.0, 21_030.0, 21_005.0, 21_005.0)


class Story:
    """Writes a journal: orders, fills with their positions and accounts, as a broker would."""

    def __init__(self, specs: Sequence[Instrument]) -> None:
        self.specs = list(specs)
        self.journal = Journal()
        self.positions = [PositionRecord(spec) for spec in specs]
        self.cash = round(CASH * NANOS)
        self.fees = 0
        self._filled: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._seq = 0

    def event(self, kind: type[Event], seconds: float, instrument: int = 0, **values: Any) -> None:
        self._seq += 1
        self.journal.record_event(encode(kind(self._seq, at(seconds), instrument, **values)))

    def _state(self, order_id: int, status: OrderStatus, leaves: int) -> dict[str, Any]:
        filled = self._filled.get(order_id, 0)
        return {
            "order_id": order_id,
            "status": status,
            "filled_lots": filled,
            "leaves_lots": leaves,
        }

    def request(
        self, order_id: int, side: Side, lots: int, kind: OrderType, price: int | None, index: int
    ) -> OrderRequest:
        self._sizes[order_id] = lots
        stop = price if kind is OrderType.STOP else None
        limit = price if kind is OrderType.LIMIT else None
        return OrderRequest(
            order_id,
            str(order_id),
            self.specs[index].symbol,
            side,
            kind,
            lots,
            limit_ticks=limit,
            stop_ticks=stop,
        )

    def accept(self, seconds: float, request: OrderRequest, index: int = 0) -> None:
        self.event(
            OrderAccepted,
            seconds,
            index,
            **self._state(request.order_id, OrderStatus.OPEN, request.size_lots),
            side=request.side,
            price_ticks=NO_PRICE if request.limit_ticks is None else request.limit_ticks,
            stop_ticks=NO_PRICE if request.stop_ticks is None else request.stop_ticks,
            lots=request.size_lots,
        )

    def order(
        self,
        seconds: float,
        order_id: int,
        side: Side,
        lots: int,
        kind: OrderType = OrderType.MARKET,
        price: int | None = None,
        index: int = 0,
    ) -> None:
        request = self.request(order_id, side, lots, kind, price, index)
        self.journal.record_command(at(seconds), request)
        self.accept(seconds, request, index)

    def bracket(
        self, seconds: float, ids: tuple[int, int, int], side: Side, lots: int, price: int
    ) -> None:
        entry = self.request(ids[0], side, lots, OrderType.LIMIT, price, 0)
        stop = ExitRequest(ids[1], str(ids[1]), offset_ticks=80)
        target = ExitRequest(ids[2], str(ids[2]), offset_ticks=80)
        self.journal.record_command(at(seconds), BracketRequest(entry, stop, target))
        self.accept(seconds, entry)
        for exit_id in ids[1:]:
            self._sizes[exit_id] = lots
            self.event(
                OrderActivated,
                seconds,
                **self._state(exit_id, OrderStatus.OPEN, lots),
                price_ticks=NO_PRICE,
                stop_ticks=NO_PRICE,
                lots=lots,
            )

    def fill(
        self,
        seconds: float,
        order_id: int,
        side: Side,
        price: int,
        lots: int,
        liquidity: Liquidity = Liquidity.TAKER,
        *,
        index: int = 0,
        ambiguous: bool = False,
        fee: int = FEE_NANOS,
    ) -> None:
        self._filled[order_id] = self._filled.get(order_id, 0) + lots
        leaves = self._sizes[order_id] - self._filled[order_id]
        status = OrderStatus.PARTIALLY_FILLED if leaves else OrderStatus.FILLED
        self.event(
            OrderFilled,
            seconds,
            index,
            **self._state(order_id, status, leaves),
            side=side,
            price_ticks=price,
            lots=lots,
            fee_nanos=fee * lots,
            liquidity=liquidity,
            ambiguous=ambiguous,
        )
        position = self.positions[index]
        self.cash += position.net(side.sign * lots, price) - fee * lots
        self.fees += fee * lots
        self.event(
            PositionChanged,
            seconds,
            index,
            position_lots=position.lots,
            position_cost=position.cost,
            realised_nanos=position.realised_nanos,
        )
        self.event(AccountChanged, seconds, -1, cash_nanos=self.cash, fee_nanos=self.fees)

    def cancel(self, seconds: float, order_id: int, reason: Reason, *, asked: bool = False) -> None:
        if asked:
            self.journal.record_command(at(seconds), CancelRequest(order_id))
        state = self._state(order_id, OrderStatus.CANCELLED, 0)
        self.event(OrderCancelled, seconds, **state, reason=reason)

    def refuse(self, seconds: float, order_id: int) -> None:
        request = self.request(order_id, Side.BUY, 1, OrderType.LIMIT, 1, 0)
        self.journal.record_command(at(seconds), request)
        state = self._state(order_id, OrderStatus.REJECTED, 0)
        self.event(
            OrderRejected, seconds, **state, reason=Reason.PRICE_OUTSIDE_BAND, value=1, limit=2
        )

    def refuse_cancel(self, seconds: float, order_id: int, status: OrderStatus) -> None:
        self.journal.record_command(at(seconds), CancelRequest(order_id))
        state = self._state(order_id, status, 0)
        self.event(CancelRejected, seconds, **state, reason=Reason.ORDER_NOT_ACTIVE)

    def pay_funding(self, seconds: float, nanos: int, index: int = 0) -> None:
        self.cash -= nanos
        lots = self.positions[index].lots
        self.event(FundingPaid, seconds, index, value=nanos, position_lots=lots)


def ticks(price: float) -> int:
    return round(price * 4)


def told_story() -> Story:
    """A long won by its target, a long lost by its stop, a short closed in two parts by one order.

    Prices and money, worked out by hand (0.50 USD a tick, 4 ticks a point, 2 USD a point):

    ====== ==== ========= ========= ======= ====== ======= =======
    trade  lots entry     exit      points  gross  fees    net
    ====== ==== ========= ========= ======= ====== ======= =======
    1 long 2    21000.25  21020.25  +20     +80.00 2.48    +77.52
    2 long 1    21020.25  21000.25  -20     -40.00 1.24    -41.24
    3 short 3   21005.00  21004.50  +0.50    +3.00 3.72     -0.72
    ====== ==== ========= ========= ======= ====== ======= =======
    """
    story = Story([mnq()])
    story.bracket(5, (1, 2, 3), Side.BUY, 2, ticks(21_000.25))
    story.fill(12, 1, Side.BUY, ticks(21_000.25), 2, Liquidity.MAKER)
    story.fill(40, 3, Side.SELL, ticks(21_020.25), 2, Liquidity.MAKER)
    story.cancel(40, 2, Reason.SIBLING)
    story.refuse(42, 4)
    story.bracket(45, (5, 6, 7), Side.BUY, 1, ticks(21_020.25))
    story.fill(50, 5, Side.BUY, ticks(21_020.25), 1)
    story.fill(70, 6, Side.SELL, ticks(21_000.25), 1, ambiguous=True)
    story.cancel(70, 7, Reason.SIBLING)
    story.refuse_cancel(71, 7, OrderStatus.CANCELLED)
    story.order(72, 8, Side.SELL, 3)
    story.fill(72, 8, Side.SELL, ticks(21_005.0), 3)
    story.order(75, 9, Side.BUY, 3, OrderType.LIMIT, ticks(21_004.75))
    story.fill(76, 9, Side.BUY, ticks(21_004.75), 2, Liquidity.MAKER)
    story.fill(78, 9, Side.BUY, ticks(21_004.0), 1, Liquidity.MAKER)
    story.order(79, 10, Side.BUY, 1, OrderType.LIMIT, ticks(20_000.0))
    return story


def configuration(specs: Sequence[Instrument], **more: Any) -> dict[str, Any]:
    return {
        "script": "examples/bracket.py",
        "strategy": "bracket",
        "parameters": {"size": 2, "stop_offset": 20.0},
        "broker": "sim",
        "instruments": [plain(spec) for spec in specs],
        "tapes": [],
        "simulation": {
            "queue": "proportional",
            "beyond_top": "ladder",
            "entry_latency_ms": 1.0,
            "response_latency_ms": 1.0,
            "feed_latency_ms": 0.0,
            "fees": True,
        },
        "account": {"name": "SIM", "currency": "USD", "cash": CASH},
        "started_ns": START_NS,
        "ended_ns": at(80),
        "notes": [],
        "versions": {"papertape": "0.1.0"},
        **more,
    }


def tape(bids: Sequence[float] = BIDS) -> Tape:
    return tape_from_frame(frame(bids), mnq())


def write_run_folder(folder: Path, story: Story, **more: Any) -> Path:
    """The folder that `papertape run` leaves, with the tape beside it."""
    source = folder.parent / "tape.parquet"
    folder.mkdir(parents=True)
    frame(BIDS).to_parquet(source)
    opened = open_tape(source, mnq())
    places = [{"symbol": "MNQ", "path": str(source), "content_hash": opened.content_hash}]
    story.journal.write(folder)
    config = configuration(story.specs, **{"tapes": places, **more})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
