"""Changes of orders, cancels, and closing positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broker_api.event import EventKind, Reason
from broker_api.order import CancelRequest, ReplaceRequest, Side
from broker_api.projectx.wire.codes import (
    CancelCode,
    CloseCode,
    ModifyCode,
    PartialCloseCode,
    sentence,
    words_of,
)
from broker_api.projectx.wire.records import envelope
from broker_api.projectx.wire.requests import (
    ClosePosition,
    ModifyOrder,
    OrderOfAccount,
    PartialClose,
)
from sim.venues.projectx import placing
from sim.venues.projectx.records import Account, Market, OrderRecord

if TYPE_CHECKING:
    from sim.venues.projectx.engine import ProjectXEngine


def modify(engine: ProjectXEngine, user: str, body: ModifyOrder) -> dict[str, Any]:
    """Change a working order's size or prices; what is not named stays."""
    account = engine.account(user, body.account_id)
    if account is None:
        return envelope(ModifyCode.ACCOUNT_NOT_FOUND, sentence(ModifyCode.ACCOUNT_NOT_FOUND))
    record = engine.order(account, body.order_id)
    if record is None:
        return envelope(ModifyCode.ORDER_NOT_FOUND, sentence(ModifyCode.ORDER_NOT_FOUND))
    if record.status.is_final:
        return envelope(ModifyCode.REJECTED, words_of(Reason.ORDER_NOT_ACTIVE).text)
    try:
        request = _change(engine, record, body)
    except placing.Refused as refusal:
        return envelope(ModifyCode.REJECTED, refusal.words.text)
    answer = engine.venue.execute(request, account.number)[0]
    if answer.kind == EventKind.REPLACE_REJECTED:
        return envelope(ModifyCode.REJECTED, words_of(Reason(answer.reason)).text)
    if request.trail_ticks is not None:
        record.trail_ticks = request.trail_ticks
    return envelope()


def _change(engine: ProjectXEngine, record: OrderRecord, body: ModifyOrder) -> ReplaceRequest:
    market = record.market
    limit, stop, trail = body.limit_price, body.stop_price, body.trail_price
    return ReplaceRequest(
        record.id,
        size_lots=body.size,
        limit_ticks=None if limit is None else placing.ticks_of(market, limit),
        stop_ticks=None if stop is None else placing.ticks_of(market, stop),
        trail_ticks=None if trail is None else placing.trail_ticks(engine, record, trail),
    )


def cancel(engine: ProjectXEngine, user: str, body: OrderOfAccount) -> dict[str, Any]:
    """End a working order."""
    account = engine.account(user, body.account_id)
    if account is None:
        return envelope(CancelCode.ACCOUNT_NOT_FOUND, sentence(CancelCode.ACCOUNT_NOT_FOUND))
    record = engine.order(account, body.order_id)
    if record is None:
        return envelope(CancelCode.ORDER_NOT_FOUND, sentence(CancelCode.ORDER_NOT_FOUND))
    if not record.status.is_final:
        answer = engine.venue.execute(CancelRequest(record.id), account.number)[0]
        if answer.kind != EventKind.CANCEL_REJECTED:
            return envelope()
    return envelope(CancelCode.REJECTED, words_of(Reason.ORDER_NOT_ACTIVE).text)


def close(engine: ProjectXEngine, user: str, body: ClosePosition) -> dict[str, Any]:
    """Close a position at market; exits of brackets stay as they are."""
    return _close(engine, user, body, CloseCode, None)


def close_part(engine: ProjectXEngine, user: str, body: PartialClose) -> dict[str, Any]:
    """Close a part of a position at market."""
    return _close(engine, user, body, PartialCloseCode, body.size)


def _close(
    engine: ProjectXEngine,
    user: str,
    body: ClosePosition | PartialClose,
    codes: type[CloseCode] | type[PartialCloseCode],
    size: int | None,
) -> dict[str, Any]:
    account = engine.account(user, body.account_id)
    if account is None:
        return envelope(codes.ACCOUNT_NOT_FOUND, sentence(codes.ACCOUNT_NOT_FOUND))
    market = engine.by_contract.get(body.contract_id)
    if market is None:
        return envelope(codes.CONTRACT_NOT_FOUND, sentence(codes.CONTRACT_NOT_FOUND))
    lots = abs(account.holdings[market.index].lots)
    if not lots:
        return envelope(codes.POSITION_NOT_FOUND, sentence(codes.POSITION_NOT_FOUND))
    if size is not None and not 1 <= size <= lots:
        code = PartialCloseCode.INVALID_CLOSE_SIZE
        return envelope(code, f"{sentence(code)}: {size} of {lots}")
    reason = _reduce(engine, account, market, lots if size is None else size)
    if reason is not Reason.NONE:
        return envelope(codes.ORDER_REJECTED, words_of(reason).text)
    return envelope()


def _reduce(engine: ProjectXEngine, account: Account, market: Market, lots: int) -> Reason:
    side = Side.SELL if account.holdings[market.index].lots > 0 else Side.BUY
    return placing.at_market(engine, account, market, side, lots)
