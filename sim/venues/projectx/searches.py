"""What is asked and changes nothing: accounts, contracts, bars, orders, positions, trades."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from broker_api.messages import encode
from broker_api.projectx.wire import requests
from broker_api.projectx.wire.codes import (
    BarsCode,
    ContractCode,
    OrderByIdCode,
    SearchCode,
    sentence,
)
from broker_api.projectx.wire.enums import BarUnit, OrderStatus
from broker_api.projectx.wire.records import Bar, envelope
from sim.venues.bars import DAY_MS, MS_NS, WEEK_MS, Span, tape_bars
from sim.venues.projectx.records import Account, Market, OrderRecord, position_record

if TYPE_CHECKING:
    from sim.venues.projectx.engine import ProjectXEngine

CONTRACTS_MAX = 20
UNIT_NUMBER_MAX = 10_000
_UNIT_MS = {
    BarUnit.SECOND: 1000,
    BarUnit.MINUTE: 60_000,
    BarUnit.HOUR: 3_600_000,
    BarUnit.DAY: DAY_MS,
    BarUnit.WEEK: WEEK_MS,
}


def accounts(engine: ProjectXEngine, user: str, body: requests.SearchAccounts) -> dict[str, Any]:
    """`Account/search`."""
    own = [each for each in engine.accounts if each.user == user]
    return envelope(accounts=[encode(each.to_wire()) for each in own])


def contracts(engine: ProjectXEngine, user: str, body: requests.SearchContracts) -> dict[str, Any]:
    """`Contract/search`: over names, codes and descriptions, what begins with the text first."""
    text = (body.text or "").strip().upper()

    def rank(market: Market) -> int | None:
        record = market.to_wire()
        for order, names in enumerate(
            ((market.instrument.symbol, market.contract.code), (record.name, record.id))
        ):
            if any(name.upper() == text for name in names):
                return order
        shown = f"{record.name} {market.contract.code} {record.description}".upper()
        return None if text not in shown else 2 if record.name.upper().startswith(text) else 3

    ranked = [(rank(market), market) for market in engine.markets]
    found = sorted((at, market.index) for at, market in ranked if at is not None)
    records = [encode(engine.markets[index].to_wire()) for _, index in found[:CONTRACTS_MAX]]
    return envelope(contracts=records)


def available(
    engine: ProjectXEngine, user: str, body: requests.AvailableContracts
) -> dict[str, Any]:
    """`Contract/available`."""
    return envelope(contracts=[encode(market.to_wire()) for market in engine.markets])


def contract(engine: ProjectXEngine, user: str, body: requests.ContractById) -> dict[str, Any]:
    """`Contract/searchById`."""
    market = engine.by_contract.get(body.contract_id)
    if market is None:
        code = ContractCode.CONTRACT_NOT_FOUND
        return envelope(code, sentence(code), contract=None)
    return envelope(contract=encode(market.to_wire()))


def bars(engine: ProjectXEngine, user: str, body: requests.RetrieveBars) -> dict[str, Any]:
    """`History/retrieveBars`: newest first. Bars of ticks are not made here."""
    market = engine.by_contract.get(body.contract_id)
    code = BarsCode.SUCCESS
    if market is None:
        code = BarsCode.CONTRACT_NOT_FOUND
    elif body.unit not in (*_UNIT_MS, BarUnit.MONTH):
        code = BarsCode.UNIT_INVALID
    elif not 1 <= body.unit_number <= UNIT_NUMBER_MAX:
        code = BarsCode.UNIT_NUMBER_INVALID
    elif not 1 <= body.limit <= requests.BARS_MAX:
        code = BarsCode.LIMIT_INVALID
    if market is None or code is not BarsCode.SUCCESS:
        return envelope(code, sentence(code), bars=[])
    return envelope(bars=[encode(each) for each in _bars(engine, market, body)])


def _bars(engine: ProjectXEngine, market: Market, body: requests.RetrieveBars) -> list[Bar]:
    span = Span(0, months=body.unit_number)
    if body.unit != BarUnit.MONTH:
        span = Span(_UNIT_MS[BarUnit(body.unit)] * body.unit_number)
    shift_ns, now_ns = engine.shift_ns, engine.venue.now_ns
    start_ms, end_ms = -((shift_ns - body.start) // MS_NS), (body.end - shift_ns) // MS_NS
    tape = engine.venue.presents[market.index].tape
    found = tape_bars(tape, span, start_ms, end_ms, now_ns)
    if found and not body.include_partial:
        if span.around(found[-1].start_ms)[1] * MS_NS > now_ns:
            found.pop()
    return [
        Bar(
            t=bar.start_ms * MS_NS + shift_ns,
            o=market.price(bar.open),
            h=market.price(bar.high),
            l=market.price(bar.low),
            c=market.price(bar.close),
            v=bar.lots,
        )
        for bar in reversed(found[-body.limit :])
    ]


# --- orders, positions, trades -------------------------------------------------------------------


def _no_account(**body: Any) -> dict[str, Any]:
    return envelope(SearchCode.ACCOUNT_NOT_FOUND, sentence(SearchCode.ACCOUNT_NOT_FOUND), **body)


def _orders_of(engine: ProjectXEngine, account: Account) -> Iterable[OrderRecord]:
    return (record for record in engine.orders.values() if record.account is account)


def _encoded(engine: ProjectXEngine, found: Iterable[OrderRecord]) -> list[Any]:
    return [encode(record.to_wire(engine.shift_ns)) for record in found]


def orders(engine: ProjectXEngine, user: str, body: requests.SearchSpan) -> dict[str, Any]:
    """`Order/search`: orders that were created in the span, oldest first."""
    account = engine.account(user, body.account_id)
    if account is None:
        return _no_account(orders=[])
    found = [
        record
        for record in _orders_of(engine, account)
        if _is_within(record.created_ns + engine.shift_ns, body.start, body.end)
    ]
    return envelope(orders=_encoded(engine, found))


def open_orders(engine: ProjectXEngine, user: str, body: requests.OfAccount) -> dict[str, Any]:
    """`Order/searchOpen`: working orders; exits that wait for their entry are none."""
    account = engine.account(user, body.account_id)
    if account is None:
        return _no_account(orders=[])
    found = [each for each in _orders_of(engine, account) if each.status is OrderStatus.OPEN]
    return envelope(orders=_encoded(engine, found))


def order(engine: ProjectXEngine, user: str, body: requests.OrderOfAccount) -> dict[str, Any]:
    """`Order/searchById`."""
    account = engine.account(user, body.account_id)
    record = None if account is None else engine.order(account, body.order_id)
    if record is None:
        code = OrderByIdCode.ORDER_NOT_FOUND
        return envelope(code, sentence(code), order=None)
    return envelope(order=encode(record.to_wire(engine.shift_ns)))


def query(engine: ProjectXEngine, user: str, body: requests.QueryOrders) -> dict[str, Any]:
    """`Order/v2/query`: a page of orders by status, contract and time."""
    wanted = body.filter
    account = engine.account(user, wanted.account_id)
    if account is None:
        return _no_account(orders=[])
    found = [
        record
        for record in _orders_of(engine, account)
        if (wanted.statuses is None or record.status in wanted.statuses)
        and wanted.contract_id in (None, record.market.id)
        and _is_within(
            record.created_ns + engine.shift_ns, wanted.created_after, wanted.created_before
        )
    ]
    by_id = body.sort_by == 1
    found.sort(key=lambda each: (0 if by_id else each.created_ns, each.id))
    if body.sort_direction == 1:
        found.reverse()
    first = max(0, body.page_offset)
    size = min(max(0, body.page_size), requests.PAGE_MAX)
    answer = envelope(orders=_encoded(engine, found[first : first + size]))
    return answer | {"totalCount": len(found)} if body.include_total else answer


def positions(engine: ProjectXEngine, user: str, body: requests.OfAccount) -> dict[str, Any]:
    """`Position/searchOpen`."""
    account = engine.account(user, body.account_id)
    if account is None:
        return _no_account(positions=[])
    found = [
        encode(position_record(account, market, engine.shift_ns))
        for market in engine.markets
        if account.holdings[market.index].lots
    ]
    return envelope(positions=found)


def trades(engine: ProjectXEngine, user: str, body: requests.SearchSpan) -> dict[str, Any]:
    """`Trade/search`: executions in the span, oldest first."""
    account = engine.account(user, body.account_id)
    if account is None:
        return _no_account(trades=[])
    found = [each for each in account.trades if _is_within(each.created, body.start, body.end)]
    return envelope(trades=[encode(each) for each in found])


def _is_within(ts_ns: int, start_ns: int | None, end_ns: int | None) -> bool:
    # Times go over the wire in microseconds: an end that was read there is not before its order.
    after = start_ns is None or ts_ns >= start_ns
    return after and (end_ns is None or ts_ns // 1000 <= end_ns // 1000)


SEARCHES: dict[str, tuple[type, Callable[[ProjectXEngine, str, Any], dict[str, Any]]]] = {
    "Account/search": (requests.SearchAccounts, accounts),
    "Contract/search": (requests.SearchContracts, contracts),
    "Contract/available": (requests.AvailableContracts, available),
    "Contract/searchById": (requests.ContractById, contract),
    "History/retrieveBars": (requests.RetrieveBars, bars),
    "Order/search": (requests.SearchSpan, orders),
    "Order/searchOpen": (requests.OfAccount, open_orders),
    "Order/searchById": (requests.OrderOfAccount, order),
    "Order/v2/query": (requests.QueryOrders, query),
    "Position/searchOpen": (requests.OfAccount, positions),
    "Trade/search": (requests.SearchSpan, trades),
}
"""By path what is asked: its body, and who answers."""
