"""What must always hold, checked after every event and after every call (docs/fills.md).

From the events alone: sizes add up, limits hold, nothing follows an end, positions and cash are the
sum of fills, and what a maker got from another account that account got from it. From the record:
no slot or group is lost, no order is stuck, exits fit the position. All of it by account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.config import AccountConfig
from broker_api.event import (
    AccountChanged,
    CancelRejected,
    Event,
    FundingPaid,
    FundsDeposited,
    OrderAccepted,
    OrderActivated,
    OrderCancelled,
    OrderEventBase,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    PositionChanged,
    ReplaceRejected,
)
from broker_api.instrument import Instrument
from broker_api.order import (
    LEGAL_TRANSITIONS,
    NO_PRICE,
    BracketRequest,
    CancelRequest,
    Command,
    OrderRequest,
    OrderStatus,
    ReplaceRequest,
    Role,
    order_ids_of,
    requests_of,
)
from sim.book import MAX_INSTRUMENTS, MAX_SLOTS, NO_SLOT
from sim.exchange import Exchange
from tests.sim.matches import Matches, check_all_matched

PENDING = OrderStatus.PENDING.code
EXITS = (Role.STOP_EXIT, Role.TARGET_EXIT)
Key = tuple[int, int]
"""Account and order id."""


@dataclass
class Life:
    """What the events told about one order."""

    status: OrderStatus | None = None
    size: int = 0
    filled: int = 0
    limit: int = NO_PRICE
    reduce_only: bool = False
    entry: int = 0
    """Of a bracket's exit: its entry."""


@dataclass
class Books:
    """The sums over one account's events."""

    start_cash: int
    money: list[Money]
    """By instrument."""
    seq: int = 0
    fees: int = 0
    funding: int = 0


@dataclass
class Money:
    """One instrument's sums over the fills of an account."""

    position: int = 0
    paid_ticks: int = 0
    """Sum of signed lots x ticks over all fills."""
    exits: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Lots that the exits of an entry have filled."""


class Promises:
    """Checks events in the order of their publication; each check names what it saw."""

    def __init__(
        self,
        exchange: Exchange,
        instruments: Sequence[Instrument],
        accounts: Sequence[AccountConfig],
    ) -> None:
        self._exchange = exchange
        self._instruments = instruments
        self._orders: dict[Key, Life] = defaultdict(Life)
        self._books = [Books(each.cash_nanos, [Money() for _ in instruments]) for each in accounts]
        self._matches = Matches(exchange.tapes)
        self._ts_ns = 0

    def note(self, command: Command, account: int = 0) -> None:
        """Remember what a command said that its events do not repeat."""
        if isinstance(command, ReplaceRequest | CancelRequest):
            return
        for request in requests_of(command):
            self._orders[account, request.order_id].reduce_only = request.reduce_only
        if isinstance(command, BracketRequest):
            for order_id in order_ids_of(command)[1:]:
                self._orders[account, order_id].entry = command.entry.order_id

    def check_answer(self, command: Command, events: Sequence[Event], account: int = 0) -> None:
        """Every command gets exactly one answer for each of its orders, the first event first.

        What it brings to other accounts comes behind, and every maker that fills met it.
        """
        first = events[0]
        assert isinstance(first, OrderEventBase)
        assert first.account == account, first
        check_all_matched(events)
        events = [event for event in events if event.account == account]
        if isinstance(command, ReplaceRequest):
            assert isinstance(first, OrderReplaced | ReplaceRejected), first
        elif isinstance(command, CancelRequest):
            assert isinstance(first, OrderCancelled | CancelRejected | OrderReplaced), first
        else:
            answers = [e.order_id for e in events if isinstance(e, OrderAccepted | OrderRejected)]
            assert answers == list(order_ids_of(command)), f"{command} was answered by {answers}"
        if not isinstance(command, OrderRequest | BracketRequest):
            return
        assert first.order_id == order_ids_of(command)[0]

    def check_event(self, event: Event) -> None:
        """One event, in order."""
        books = self._books[event.account]
        assert event.seq == books.seq + 1, f"event {event.seq} after {books.seq}"
        assert event.ts_ns >= self._ts_ns, f"{event} is earlier than {self._ts_ns}"
        books.seq, self._ts_ns = event.seq, event.ts_ns
        if isinstance(event, OrderEventBase):
            self._check_order(event)
        if isinstance(event, OrderFilled):
            self._check_fill(event)
            self._matches.check_fill(event)
        elif isinstance(event, PositionChanged):
            self._check_position(event)
        elif isinstance(event, FundingPaid):
            books.funding += event.value
        elif isinstance(event, FundsDeposited):
            books.start_cash += event.value
        elif isinstance(event, AccountChanged):
            self._check_account(event)

    def _check_order(self, event: OrderEventBase) -> None:
        if isinstance(event, CancelRejected | ReplaceRejected):
            return
        life = self._orders[event.account, event.order_id]
        if life.status is not None and life.status != event.status:
            legal = LEGAL_TRANSITIONS[life.status]
            assert event.status in legal, f"{event}: from {life.status}"
        elif life.status is not None and life.status.is_terminal:
            unprotected = type(event).__name__ == "Unprotected"
            assert unprotected, f"{event} after the order was {life.status}"
        life.status = event.status
        if isinstance(event, OrderAccepted | OrderReplaced | OrderActivated):
            life.size, life.limit = event.lots, event.price_ticks
        assert event.filled_lots == life.filled + getattr(event, "lots", 0) * isinstance(
            event, OrderFilled
        ), f"{event}: {life}"
        life.filled = event.filled_lots
        if event.status.is_terminal and not isinstance(event, OrderFilled):
            assert event.leaves_lots == 0, event
        else:
            assert event.leaves_lots >= 0, event
            assert event.filled_lots + event.leaves_lots == life.size, f"{event}: {life}"

    def _check_fill(self, event: OrderFilled) -> None:
        books, life = self._books[event.account], self._orders[event.account, event.order_id]
        money = books.money[event.instrument]
        assert event.lots > 0, event
        signed = event.side.sign * event.lots
        if life.limit != NO_PRICE:
            assert (life.limit - event.price_ticks) * event.side.sign >= 0, f"{event}: {life}"
        if life.reduce_only:
            assert abs(money.position + signed) < abs(money.position), f"{event}: {money}"
            assert money.position * signed < 0
        if life.entry:
            money.exits[life.entry] += event.lots
            entered = self._orders[event.account, life.entry].filled
            assert money.exits[life.entry] <= entered, f"{event}: the entry filled {entered}"
            assert abs(money.position + signed) < abs(money.position), f"{event}: {money}"
        money.position += signed
        money.paid_ticks += signed * event.price_ticks
        books.fees += event.fee_nanos

    def _check_position(self, event: PositionChanged) -> None:
        money = self._books[event.account].money[event.instrument]
        assert event.position_lots == money.position, f"{event}: {money}"
        tick_value = self._instruments[event.instrument].tick_value_nanos
        realised = (event.position_cost - money.paid_ticks) * tick_value
        assert event.realised_nanos == realised, f"{event}: {money}"
        if event.position_lots == 0:
            assert event.position_cost == 0, event

    def _check_account(self, event: AccountChanged) -> None:
        if self._ts_ns != self._exchange.now_ns and len(self._instruments) > 1:
            return
        assert event.fee_nanos == self._books[event.account].fees, event

    def check_state(self) -> None:
        """The record after a call: money, slots, groups, makers, exits."""
        book = self._exchange._book
        assert int(book["event_count"]) == 0
        for account, books in enumerate(self._books):
            realised = int(self._of_account("p_realised", account).sum())
            expected = books.start_cash + realised - books.fees - books.funding
            cash = int(book["a_cash"][account])
            assert cash == expected, f"cash {cash} of account {account} is not {expected}"
        flat = (book["p_position"] == 0) | (book["p_isolated"] == 0)
        assert not book["p_bucket"][flat].any(), "margin is kept for a position that is not there"
        active = book["active"][: int(book["active_count"])].tolist()
        free = book["free"][: int(book["free_count"])].tolist()
        assert sorted(active + free) == list(range(MAX_SLOTS)), "a slot is lost or twice there"
        assert not book["o_order_id"][free].any(), "a free slot has an order"
        for slot in active:
            self._check_slot(slot)
        self._check_groups(active)
        self._check_makers(active)
        self._check_known(active)

    def _check_known(self, active: list[int]) -> None:
        """Events tell which orders work: the record has those and no others."""
        book = self._exchange._book
        working = {
            key
            for key, life in self._orders.items()
            if life.status is not None and life.status.is_working
        }
        keys = {(int(book["o_account"][slot]), int(book["o_order_id"][slot])) for slot in active}
        assert working == keys
        for slot in active:
            life = self._orders[int(book["o_account"][slot]), int(book["o_order_id"][slot])]
            assert life.status is not None
            assert life.status.code == book["o_status"][slot], life
            assert life.filled == book["o_filled"][slot], life
            assert life.size == book["o_size"][slot], f"{life}: size {book['o_size'][slot]}"
            if life.status is OrderStatus.PENDING:
                continue
            assert life.limit == book["o_limit"][slot], f"{life}: limit {book['o_limit'][slot]}"

    def _check_slot(self, slot: int) -> None:
        book = self._exchange._book
        order = {name[2:]: int(book[name][slot]) for name in book.dtype.names if name[:2] == "o_"}
        instrument = order["instrument"]
        unknown = book["i_cursor"][instrument] < book["i_known_from"][instrument]
        halted = bool(book["i_halted"][instrument]) or bool(unknown)
        assert order["live"] >= 0, order
        assert not order["activate"] or halted, f"was never served: {order}"
        if order["status"] == PENDING:
            assert order["role"] in EXITS, order
            assert order["live"] == 0 or halted, order
            assert not order["resting"], order
            assert not order["waiting"], order
            assert book["g_entry"][order["group"]] != NO_SLOT or halted, f"held for ever: {order}"
            return
        assert order["live"] > 0, order
        assert order["filled"] + order["live"] == order["size"], order
        trigger = order["activation"] if order["stop"] == NO_PRICE else order["stop"]
        stop_waits = trigger != NO_PRICE and not order["triggered"]
        doing = order["resting"] + order["waiting"] + stop_waits + order["activate"]
        assert doing == 1, f"nothing or two things can happen to {order}"
        assert 0 <= order["front"] <= order["live"], order
        assert order["queue"] >= 0, order
        assert order["queue_behind"] >= 0, order
        assert order["entitled"] == 0, order

    def _check_groups(self, active: list[int]) -> None:
        book = self._exchange._book
        of_orders = {int(book["o_group"][slot]) for slot in active} - {NO_SLOT}
        used = set(np.flatnonzero(book["g_used"]).tolist())
        assert used == of_orders, f"groups {used} are used, orders are in {of_orders}"
        live: dict[tuple[int, int, int, str], int] = defaultdict(int)
        for group in used:
            for name in ("entry", "stop_leg", "target_leg"):
                slot = int(book[f"g_{name}"][group])
                if slot == NO_SLOT:
                    continue
                assert book["o_group"][slot] == group, f"group {group} names slot {slot}"
                account = int(book["o_account"][slot])
                assert account == book["g_account"][group], f"slot {slot} is of {account}"
                if name != "entry" and not book["g_is_oco"][group]:
                    sign = int(book["g_sign"][group])
                    key = account, int(book["g_instrument"][group]), sign, name
                    live[key] += int(book["o_live"][slot])
        for (account, instrument, sign, name), lots in live.items():
            position = int(self._of_account("p_position", account)[instrument]) * sign
            assert lots <= max(0, position), f"{name}s cover {lots} of a position of {position}"

    def _check_makers(self, active: list[int]) -> None:
        """Orders that rest never cross each other, whoever they belong to."""
        book = self._exchange._book
        for instrument in range(len(self._instruments)):
            limits: dict[int, list[int]] = {1: [], -1: []}
            for slot in active:
                if book["o_resting"][slot] and book["o_instrument"][slot] == instrument:
                    limits[int(book["o_sign"][slot])].append(int(book["o_limit"][slot]))
            if limits[1] and limits[-1]:
                assert max(limits[1]) < min(limits[-1]), f"orders cross: {limits}"

    def _of_account(self, field: str, account: int) -> npt.NDArray[Any]:
        """A field of an account's positions, by instrument."""
        values: npt.NDArray[Any] = self._exchange._book[field]
        return values[account * MAX_INSTRUMENTS : (account + 1) * MAX_INSTRUMENTS]
