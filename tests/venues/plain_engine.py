"""The smallest wire layer there can be: orders as tables, for tests of what all venues share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from broker_api.catalog import load_catalog
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.event import EventKind, EventRow
from broker_api.order import CancelRequest, OrderRequest, OrderType, Side, TimeInForce
from sim.venues.runner import Input, Runner
from sim.venues.sources import Source, still_source
from sim.venues.venue import Venue

ETH = load_catalog()["ETH"]
BTC = load_catalog()["BTC"]
START_MS = 1_790_000_000_000
"""Wall time at which tests begin."""


class WallTime:
    """A wall clock that goes when it is told to."""

    def __init__(self, ms: int = START_MS) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms * 1_000_000


class PlainEngine:
    """Executes orders given as tables, and remembers what it was told."""

    name = "plain"

    def __init__(self, sources: Sequence[Source], accounts: int = 2) -> None:
        config = [AccountConfig(cash=100_000.0) for _ in range(accounts)]
        self.venue = Venue(sources, config, SimulationConfig())
        self.venue.listener = self
        self.told: list[list[EventRow]] = []
        self.timer_ms: int | None = None
        self.fired: list[int] = []
        self.answer_fills_with_cancels = False

    def on_events(self, rows: Sequence[EventRow]) -> None:
        self.told.append(list(rows))
        if self.answer_fills_with_cancels and any(row.kind == EventKind.FILLED for row in rows):
            for account, ledger in enumerate(self.venue.ledgers):
                for order_id in list(ledger.working):
                    self.venue.execute(CancelRequest(order_id), account)

    def perform(self, entry: Input) -> Any:
        return self.venue.execute(request(entry.payload), entry.payload["account"])[0]

    def next_wall_ms(self) -> int | None:
        return self.timer_ms

    def fire(self, entry: Input) -> None:
        self.timer_ms = None
        self.fired.append(entry.wall_ms)


def request(table: Mapping[str, Any]) -> OrderRequest:
    """A limit order of a table."""
    return OrderRequest(
        order_id=table["id"],
        client_order_id=str(table["id"]),
        instrument=table.get("symbol", "ETH"),
        side=Side.BUY if table["lots"] > 0 else Side.SELL,
        order_type=OrderType.LIMIT,
        size_lots=abs(table["lots"]),
        limit_ticks=table["ticks"],
        time_in_force=TimeInForce.GTC,
    )


def order(number: int, lots: int, price: str, account: int = 0) -> dict[str, Any]:
    """The payload of a limit order in ETH; negative lots sell."""
    return {"id": number, "lots": lots, "ticks": ETH.price_to_ticks(price), "account": account}


def still_runner(wall: WallTime, price: str = "3000") -> tuple[Runner, PlainEngine]:
    """A runner over an ETH market that stands at a price, and its engine."""
    runner = Runner(lambda: PlainEngine([still_source(ETH, Decimal(price))]), wall)
    assert isinstance(runner.engine, PlainEngine)
    return runner, runner.engine
