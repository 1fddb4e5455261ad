"""Events of the exchange to orders, positions and trades, and to what subscribers hear of them.

Subscribers are told of a fill in this order: the order, the trade, the position, the account.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from broker_api.event import EventKind, EventRow
from broker_api.order import NO_PRICE, STATUS_BY_CODE, Side
from broker_api.projectx.wire.enums import OrderStatus, OrderType, status_from_ours
from broker_api.projectx.wire.records import Trade
from sim.venues.projectx.records import Account, News, OrderRecord, money, position_record

if TYPE_CHECKING:
    from sim.venues.projectx.engine import ProjectXEngine

_TOLD = (
    EventKind.ACCEPTED,
    EventKind.REJECTED,
    EventKind.CANCELLED,
    EventKind.EXPIRED,
    EventKind.REPLACED,
    EventKind.ACTIVATED,
    EventKind.HELD,
    EventKind.FILLED,
)
_WITH_TERMS = (EventKind.ACCEPTED, EventKind.REPLACED, EventKind.ACTIVATED)


def apply(engine: ProjectXEngine, rows: Sequence[EventRow]) -> None:
    """Take one transaction's events."""
    for at, row in enumerate(rows):
        if row.account >= len(engine.accounts):
            continue
        account = engine.accounts[row.account]
        match row.kind:
            case EventKind.POSITION:
                _note_position(engine, account, row)
            case EventKind.ACCOUNT | EventKind.DEPOSITED:
                engine.news.append(News(account, account.to_wire()))
            case _ if row.order_id and row.kind in _TOLD:
                _note_order(engine, account, rows, at)


def _note_order(
    engine: ProjectXEngine, account: Account, rows: Sequence[EventRow], at: int
) -> None:
    row = rows[at]
    record = _record(engine, account, row)
    record.updated_ns = row.ts_ns
    held = row.kind == EventKind.HELD or row.kind == EventKind.ACCEPTED
    record.status = status_from_ours(STATUS_BY_CODE[row.status], held=held)
    if row.kind in _WITH_TERMS:
        record.lots = row.lots
        record.limit_ticks = None if row.price_ticks == NO_PRICE else row.price_ticks
        record.stop_ticks = None if row.stop_ticks == NO_PRICE else row.stop_ticks
    if row.kind == EventKind.FILLED:
        record.filled_lots = row.filled_lots
        record.filled_cost += row.lots * row.price_ticks
    engine.news.append(News(account, record.to_wire(engine.shift_ns)))
    if row.kind == EventKind.FILLED:
        _note_trade(engine, record, rows, at)


def _record(engine: ProjectXEngine, account: Account, row: EventRow) -> OrderRecord:
    """The order of an event; one that the exchange made to liquidate gets an id of its own."""
    if row.order_id > 0:
        return engine.orders[row.order_id]
    key = account.number, row.order_id
    if key not in engine.liquidations:
        market, side = engine.markets[row.instrument], Side(row.side)
        record = engine.new_order(account, market, OrderType.MARKET, side, row.lots)
        engine.liquidations[key] = record
    return engine.liquidations[key]


def _note_trade(
    engine: ProjectXEngine, record: OrderRecord, rows: Sequence[EventRow], at: int
) -> None:
    row, account, market = rows[at], record.account, record.market
    position = next(
        each
        for each in rows[at:]
        if each.kind == EventKind.POSITION and each.account == row.account
    )
    held = account.holdings[row.instrument]
    signed = row.lots * Side(row.side).sign
    realised = position.realised_nanos - held.realised_nanos
    held.last_price = market.price(row.price_ticks)
    trade = Trade(
        id=engine.next_id(),
        account_id=account.id,
        contract_id=market.id,
        created=row.ts_ns + engine.shift_ns,
        price=held.last_price,
        profit_and_loss=money(realised) if held.lots * signed < 0 else None,
        fees=money(row.fee_nanos),
        side=record.side,
        size=row.lots,
        voided=False,
        order_id=record.id,
    )
    account.trades.append(trade)
    engine.news.append(News(account, trade))


def _note_position(engine: ProjectXEngine, account: Account, row: EventRow) -> None:
    held = account.holdings[row.instrument]
    if row.position_lots and held.lots * row.position_lots <= 0:
        held.id, held.created_ns = engine.next_id(), row.ts_ns
    held.lots, held.cost = row.position_lots, row.position_cost
    held.realised_nanos = row.realised_nanos
    record = position_record(account, engine.markets[row.instrument], engine.shift_ns)
    engine.news.append(News(account, record))


def reject(engine: ProjectXEngine, record: OrderRecord) -> None:
    """An order is refused before it is sent: it is there, with the status that says so."""
    record.status = OrderStatus.REJECTED
    engine.news.append(News(record.account, record.to_wire(engine.shift_ns)))
