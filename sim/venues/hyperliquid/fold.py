"""Events of the exchange to orders, fills and news, and what the venue does about them.

The exchange knows single orders. That children of an order wait for its fill, that siblings cancel
each other and that a trigger follows its position is done here, at the instant of the event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from broker_api.event import EventKind, EventRow, Reason
from broker_api.hyperliquid.wire.account import (
    Fill,
    FillLiquidation,
    Funding,
    OrderState,
)
from broker_api.hyperliquid.wire.frames import LiquidationEvent
from broker_api.hyperliquid.wire.market import Print
from broker_api.hyperliquid.wire.statuses import word_of
from broker_api.instrument import NANOS
from broker_api.order import STATUS_BY_CODE, Liquidity, OrderStatus, Side
from sim.venues.hyperliquid import balances, tpsl
from sim.venues.hyperliquid.records import (
    CancelNews,
    FillNews,
    FundingNews,
    LiquidationNews,
    OrderNews,
    OrderRecord,
    TradeNews,
    User,
    usd,
)

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

NOBODY = "0x" + "0" * 40
"""The other side of a trade with the tape."""
_SILENT = (Reason.POSITION_FLAT, Reason.REDUCE_ONLY_DONE, Reason.BY_USER, Reason.IOC_REST)
"""Cancels that `nonUserCancel` does not tell of."""
_NS_A_MS = 1_000_000


def apply(engine: HyperliquidEngine, rows: Sequence[EventRow]) -> None:
    """Take one transaction's events; what they make the venue do is done at the end."""
    batch = _Batch(engine, rows)
    for at, row in enumerate(rows):
        batch.take(at, row)
    for record in batch.accepted:
        # A child was told of as open when it began to wait for its parent.
        if not record.has_ended and record.state is None:
            note_status(engine, record, "open")
    for record in batch.filled:
        tpsl.after_fill(engine, record)
    for record in batch.ended:
        tpsl.after_end(engine, record)
    for user, index in batch.moved:
        tpsl.follow_position(engine, user, index)


class _Batch:
    """One transaction while it is read."""

    def __init__(self, engine: HyperliquidEngine, rows: Sequence[EventRow]) -> None:
        self._engine = engine
        self._rows = rows
        self._match: tuple[Fill, OrderRecord] | None = None
        self.accepted: list[OrderRecord] = []
        self.filled: list[OrderRecord] = []
        self.ended: list[OrderRecord] = []
        self.moved: list[tuple[User, int]] = []

    def take(self, at: int, row: EventRow) -> None:
        """One event, the `at`th of the transaction."""
        user = self._engine.by_account.get(row.account)
        if user is None:
            return
        match row.kind:
            case EventKind.FUNDING:
                _note_funding(self._engine, user, row)
            case EventKind.LIQUIDATION:
                _note_liquidation(self._engine, user, row)
            case EventKind.POSITION:
                user.held[row.instrument] = row.position_lots
                self.moved.append((user, row.instrument))
            case EventKind.ACCEPTED if row.order_id < 0:
                self._add_liquidation(user, row)
            case _ if row.order_id:
                record = self._record(row)
                if record is not None:
                    self._take_order(at, record, row)

    def _record(self, row: EventRow) -> OrderRecord | None:
        if row.order_id < 0:
            return self._engine.liquidations.get((row.account, row.order_id))
        return self._engine.records.get(row.order_id)

    def _add_liquidation(self, user: User, row: EventRow) -> None:
        engine = self._engine
        asset = engine.universe.assets[row.instrument]
        record = OrderRecord(
            oid=engine.next_oid(),
            user=user,
            asset=asset,
            side=Side(row.side),
            price=Decimal(0),
            size=asset.size(row.lots),
            lots=row.lots,
            timestamp_ms=engine.now_ms,
            reduce_only=True,
            is_placed=True,
            is_liquidation=True,
            left_lots=row.leaves_lots,
        )
        enter(engine, record)
        engine.liquidations[row.account, row.order_id] = record
        self.accepted.append(record)

    def _take_order(self, at: int, record: OrderRecord, row: EventRow) -> None:
        match row.kind:
            case EventKind.ACCEPTED:
                record.left_lots = row.leaves_lots
                self.accepted.append(record)
            case EventKind.TRIGGERED:
                record.is_triggered = True
                note_status(self._engine, record, "triggered")
            case EventKind.REPLACED:
                record.lots, record.left_lots = row.lots, row.leaves_lots
                record.size = record.asset.size(row.lots)
            case EventKind.FILLED:
                self._take_fill(at, record, row)
            case EventKind.REJECTED | EventKind.CANCELLED:
                self._take_end(record, row)

    def _take_end(self, record: OrderRecord, row: EventRow) -> None:
        reason = Reason(row.reason)
        word = _word_of_end(record, STATUS_BY_CODE[row.status], reason)
        end(self._engine, record, word)
        self.ended.append(record)
        if row.kind == EventKind.CANCELLED and reason not in _SILENT:
            self._engine.news.append(CancelNews(record.user, record.asset.coin, record.oid))

    def _take_fill(self, at: int, record: OrderRecord, row: EventRow) -> None:
        record.filled_lots, record.left_lots = row.filled_lots, row.leaves_lots
        record.filled_cost += row.lots * row.price_ticks
        position = next(
            each
            for each in self._rows[at:]
            if each.kind == EventKind.POSITION and each.account == row.account
        )
        before = record.user.realised[row.instrument]
        record.user.realised[row.instrument] = position.realised_nanos
        fill = self._fill(record, row, position, position.realised_nanos - before)
        note_fill(self._engine, record, fill, row)
        self._tell_public(record, fill, row)
        self.filled.append(record)
        if row.leaves_lots == 0:
            end(self._engine, record, "filled")
            self.ended.append(record)

    def _fill(
        self, record: OrderRecord, row: EventRow, position: EventRow, closed_nanos: int
    ) -> Fill:
        engine, asset = self._engine, record.asset
        signed = row.lots if row.side == Side.BUY else -row.lots
        start = position.position_lots - signed
        tid = self._shared_tid(record, row) or engine.next_tid()
        liquidation = None
        if record.is_liquidation:
            mark = engine.mark(asset.index)
            liquidation = FillLiquidation(record.user.address, mark, "market")
        return Fill(
            coin=asset.coin,
            price=asset.price(row.price_ticks),
            size=asset.size(row.lots),
            side=record.side_word,
            time=row.ts_ns // _NS_A_MS,
            start_position=asset.size(start),
            direction=_direction(start, signed),
            closed_pnl=usd(closed_nanos),
            hash=engine.hash_of(f"trade {tid}"),
            oid=record.oid,
            crossed=row.liquidity == Liquidity.TAKER,
            fee=usd(row.fee_nanos),
            tid=tid,
            cloid=record.cloid,
            liquidation=liquidation,
        )

    def _shared_tid(self, record: OrderRecord, row: EventRow) -> int | None:
        """The trade's id where the fill before this one is its other side."""
        if self._match is None or row.liquidity == Liquidity.TAKER:
            return None
        taken, taker = self._match
        asset = record.asset
        is_same = taken.price == asset.price(row.price_ticks) and taken.size == asset.size(row.lots)
        if is_same and taker.user is not record.user and taken.side != record.side_word:
            return taken.tid
        return None

    def _tell_public(self, record: OrderRecord, fill: Fill, row: EventRow) -> None:
        """A taker's trade is public; a maker's is its taker's, or was printed on the tape."""
        if row.liquidity == Liquidity.TAKER:
            self._match = fill, record
            _publish_trade(self._engine, record, fill, NOBODY)
            return
        if self._match is not None and self._match[0].tid == fill.tid:
            _name_other_side(self._engine, fill.tid, record.user.address)
        self._match = None


def _publish_trade(engine: HyperliquidEngine, record: OrderRecord, fill: Fill, other: str) -> None:
    own = record.user.address
    users = (own, other) if record.side is Side.BUY else (other, own)
    trade = Print(
        coin=fill.coin,
        side=fill.side,
        price=fill.price,
        size=fill.size,
        time=fill.time,
        hash=fill.hash,
        tid=fill.tid,
        users=users,
    )
    engine.trades_of(record.asset.index).append(trade)
    engine.news.append(TradeNews(record.asset, trade))


def _name_other_side(engine: HyperliquidEngine, tid: int, address: str) -> None:
    """The newest public trade was with a user: put the address in the place of nobody's."""
    for at in range(len(engine.news) - 1, -1, -1):
        news = engine.news[at]
        if isinstance(news, TradeNews) and news.trade.tid == tid:
            users = news.trade.users or (NOBODY, NOBODY)
            buyer, seller = (address if each == NOBODY else each for each in users)
            trade = replace(news.trade, users=(buyer, seller))
            engine.news[at] = TradeNews(news.asset, trade)
            engine.trades_of(news.asset.index)[-1] = trade
            return


def _direction(start: int, signed: int) -> str:
    """What a fill did to a position of `start` lots."""
    if start * signed >= 0:
        return "Open Long" if signed > 0 else "Open Short"
    if abs(signed) > abs(start):
        return "Long > Short" if start > 0 else "Short > Long"
    return "Close Long" if start > 0 else "Close Short"


def _word_of_end(record: OrderRecord, status: OrderStatus, reason: Reason) -> str:
    if reason is Reason.BY_USER and record.end_word is not None:
        return record.end_word
    if reason is Reason.IOC_REST and not record.filled_lots:
        is_market = record.trigger is not None and record.trigger.is_market
        return "marketOrderNoLiquidityRejected" if is_market else "iocCancelRejected"
    if reason in (Reason.POSITION_FLAT, Reason.REDUCE_ONLY_DONE):
        if any(sibling.filled_lots for sibling in record.siblings):
            return "siblingFilledCanceled"
    return word_of(status, reason)


# --- what the rest of the venue notes too ---------------------------------------------------------


def enter(engine: HyperliquidEngine, record: OrderRecord) -> None:
    """A new order is known, to its user and by its ids."""
    user = record.user
    engine.records[record.oid] = user.orders[record.oid] = user.open[record.oid] = record
    if record.cloid is not None:
        user.by_cloid[record.cloid] = record


def end(engine: HyperliquidEngine, record: OrderRecord, word: str) -> None:
    """An order has ended, in this word."""
    record.has_ended = True
    record.user.open.pop(record.oid, None)
    if word == "filled":
        record.left_lots = 0
    note_status(engine, record, word)


def note_status(engine: HyperliquidEngine, record: OrderRecord, word: str) -> None:
    """Note the order as it is now under this word, and tell it."""
    record.word = word
    record.state = OrderState(record.full(), word, engine.now_ms)
    record.user.history.append(record.state)
    engine.news.append(OrderNews(record.user, record.state, record.basic()))


def note_fill(engine: HyperliquidEngine, record: OrderRecord, fill: Fill, row: EventRow) -> None:
    """Note an execution, and tell it."""
    user, index = record.user, record.asset.index
    user.fills.append(fill)
    user.traded_nanos += row.lots * row.price_ticks * record.asset.instrument.tick_value_nanos
    tally = user.funding[index]
    tally.since_change = 0
    if fill.start_position == 0 or fill.direction in ("Long > Short", "Short > Long"):
        tally.since_open = 0
    engine.news.append(FillNews(user, fill))
    note_value(engine, user)


def note_value(engine: HyperliquidEngine, user: User) -> None:
    """Note what the account is worth now, for `portfolio`."""
    user.value_history.append(balances.value_point(engine, user))


def _note_funding(engine: HyperliquidEngine, user: User, row: EventRow) -> None:
    asset = engine.universe.assets[row.instrument]
    tally = user.funding[row.instrument]
    tally.all_time += row.value
    tally.since_open += row.value
    tally.since_change += row.value
    present = engine.venue.presents[row.instrument]
    rates = present.fundings(present.row_at(row.ts_ns))
    rate = rates[-1].rate_nanos if rates else 0
    funding = Funding(
        time=row.ts_ns // _NS_A_MS,
        coin=asset.coin,
        usdc=usd(-row.value),
        size=asset.size(row.position_lots),
        rate=Decimal(rate) / NANOS,
    )
    user.fundings.append(funding)
    engine.news.append(FundingNews(user, funding))
    note_value(engine, user)


def _note_liquidation(engine: HyperliquidEngine, user: User, row: EventRow) -> None:
    total = Decimal(0)
    for asset, lots in zip(engine.universe.assets, user.held, strict=True):
        if row.instrument in (-1, asset.index):
            total += abs(asset.size(lots)) * engine.mark(asset.index)
    event = LiquidationEvent(
        lid=engine.next_tid(),
        liquidator=NOBODY,
        liquidated_user=user.address,
        liquidated_ntl_pos=total,
        liquidated_account_value=usd(row.value),
    )
    engine.news.append(LiquidationNews(user, event))
