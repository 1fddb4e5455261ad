"""The life of every order of a run: when it was decided, arrived, waited, filled and ended.

Folded from the commands (what the session sent, and when) and the events (what came back, and
when). Knows no tape: what the market did meanwhile is looked up by those who ask.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from broker_api.event import EventKind
from broker_api.journal_parquet import commands_from_table
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    CancelRequest,
    Liquidity,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    ReplaceRequest,
    Role,
    Side,
    exit_order,
)
from reports.run import RunRecord

_COLUMNS = (
    "ts_ns",
    "kind",
    "instrument",
    "order_id",
    "status",
    "side",
    "price_ticks",
    "stop_ticks",
    "lots",
    "fee_nanos",
    "liquidity",
    "ambiguous",
)
_LEVELS = frozenset({EventKind.ACCEPTED, EventKind.ACTIVATED, EventKind.REPLACED})
_KINDS = (
    *_LEVELS,
    EventKind.REJECTED,
    EventKind.TRIGGERED,
    EventKind.FILLED,
    EventKind.CANCELLED,
    EventKind.EXPIRED,
)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill of an order."""

    ts_ns: int
    price_ticks: int
    lots: int
    fee_nanos: int
    liquidity: Liquidity
    is_ambiguous: bool


@dataclass(slots=True)
class OrderLife:
    """One order from its decision to its end; filled by `order_lives`, then only read.

    `decided_ns` is the session's time when the command was given, None for orders that it did not
    ask for. `arrived_ns` is when the venue had it, `live_ns` when it began to work there (an exit:
    when it was activated). `levels` are (time, limit, stop) whenever one of them was set; limits
    and stops are NO_PRICE where there is none. `group` is the entry of a bracket, or the first leg
    of an OCO, 0 for a single order. `offset_ticks` is an exit's distance from its entry.
    """

    order_id: int
    client_order_id: str
    tag: str
    instrument: int
    side: Side
    order_type: OrderType
    role: Role
    group: int
    size_lots: int
    decided_ns: int | None
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    offset_ticks: int | None = None
    arrived_ns: int | None = None
    live_ns: int | None = None
    triggered_ns: int | None = None
    ended_ns: int | None = None
    status: OrderStatus = OrderStatus.PENDING
    fills: list[Execution] = field(default_factory=list)
    levels: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def filled_lots(self) -> int:
        """How much of it filled."""
        return sum(fill.lots for fill in self.fills)

    @property
    def is_exit(self) -> bool:
        """True of a bracket's stop and target."""
        return self.role in (Role.STOP_EXIT, Role.TARGET_EXIT)


def order_lives(run: RunRecord) -> dict[int, OrderLife]:
    """Every order of the run by its number, in the order in which they were sent."""
    symbols = {spec.symbol: index for index, spec in enumerate(run.instruments)}
    lives: dict[int, OrderLife] = {}
    for recorded in commands_from_table(run.commands()):
        command = recorded.command
        if not isinstance(command, ReplaceRequest | CancelRequest):
            for life in _lives_of(command, recorded.ts_ns, symbols):
                lives[life.order_id] = life
    events = run.events
    rows = events[np.isin(events["kind"], [int(kind) for kind in _KINDS])]
    for row in zip(*(rows[name].tolist() for name in _COLUMNS), strict=True):
        _take_in(lives, row)
    return lives


def _lives_of(
    command: OrderRequest | BracketRequest | OcoRequest, ts_ns: int, symbols: dict[str, int]
) -> list[OrderLife]:
    if isinstance(command, OrderRequest):
        return [_life(command, Role.SINGLE, 0, ts_ns, symbols)]
    if isinstance(command, OcoRequest):
        group = command.first.order_id
        legs = (command.first, command.second)
        return [_life(leg, Role.OCO_LEG, group, ts_ns, symbols) for leg in legs]
    entry = command.entry
    lives = [_life(entry, Role.ENTRY, entry.order_id, ts_ns, symbols)]
    for leg, role in ((command.stop, Role.STOP_EXIT), (command.target, Role.TARGET_EXIT)):
        if leg is not None:
            request = exit_order(entry, leg, role)
            life = _life(request, role, entry.order_id, ts_ns, symbols)
            life.offset_ticks = leg.offset_ticks
            lives.append(life)
    return lives


def _life(
    request: OrderRequest, role: Role, group: int, ts_ns: int, symbols: dict[str, int]
) -> OrderLife:
    return OrderLife(
        request.order_id,
        request.client_order_id,
        request.tag,
        symbols[request.instrument],
        Side(request.side),
        request.order_type,
        role,
        group,
        request.size_lots,
        ts_ns,
        request.limit_ticks,
        request.stop_ticks,
    )


def _take_in(lives: dict[int, OrderLife], row: tuple[int, ...]) -> None:
    ts_ns, kind, instrument, order_id, status, side, price, stop, lots, fee, liquidity, both = row
    life = lives.get(order_id)
    if life is None:
        life = lives[order_id] = OrderLife(
            order_id,
            "",
            "",
            instrument,
            Side(side),
            OrderType.MARKET,
            Role.FOREIGN,
            0,
            lots,
            None,
        )
    life.status = OrderStatus.from_code(status)
    if kind in _LEVELS:
        if kind == EventKind.ACCEPTED and life.arrived_ns is None:
            life.arrived_ns = ts_ns
        is_held = life.status is OrderStatus.PENDING
        if life.live_ns is None and not is_held:
            life.live_ns = ts_ns
        if price != NO_PRICE or stop != NO_PRICE:
            life.levels.append((ts_ns, price, stop))
    elif kind == EventKind.TRIGGERED:
        life.triggered_ns = ts_ns
        if stop != NO_PRICE and life.levels and life.levels[-1][2] != stop:
            life.levels.append((ts_ns, life.levels[-1][1], stop))  # a trailing stop has moved
    elif kind == EventKind.FILLED:
        life.fills.append(Execution(ts_ns, price, lots, fee, Liquidity(liquidity), bool(both)))
    if life.status.is_terminal:
        life.ended_ns = ts_ns
