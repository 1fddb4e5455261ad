"""A quick way for plain functions' orders, where a broker has one.

While nobody waits for events, what a handler sends need not go through the session's books at
once. Every verb here does the ordinary verb's work, or does nothing and says so: then the ordinary
verb does it, and refuses what there is to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol, cast

from broker_api.compiled_run import RunBooks
from broker_api.drafting import parse_side, parse_stop, parse_target
from broker_api.errors import OrderRejectedError
from broker_api.instrument import Number
from broker_api.order import OrderType, Side
from broker_api.risk import RiskGate
from broker_api.session import Session

_OFFSETS = {"stop_offset", "stop_ticks", "target_offset", "target_ticks"}


class Shortcut(Protocol):
    """Commands and looks of a session of one instrument, in ticks and lots, at session time."""

    def position_lots(self) -> int:
        """The position as it is known; short is negative."""
        ...

    def is_working(self, order_id: int) -> bool:
        """True while the order is sent, held, open or partly filled, as it is known."""
        ...

    def place(self, order_type: OrderType, side: Side, lots: int, price_ticks: int | None) -> int:
        """Send an order, a limit or a stop at a price; its id, 0 where the ordinary way has to."""
        ...

    def place_bracket(
        self,
        side: Side,
        lots: int,
        limit_ticks: int | None,
        stop_offset: int | None,
        target_offset: int | None,
    ) -> tuple[int, int | None, int | None] | None:
        """Send an entry with exits so many ticks from it; the ids, None where it cannot."""
        ...

    def replace(
        self, order_id: int, lots: int | None, limit_ticks: int | None, stop_ticks: int | None
    ) -> bool:
        """Change a working order; False where the ordinary way has to."""
        ...

    def cancel(self, order_id: int) -> bool:
        """End a working order; False where the ordinary way has to."""
        ...


class HasShortcut(Protocol):
    """A broker that may have one."""

    def shortcut(self, books: RunBooks) -> Shortcut | None:
        """Begin one, if that is possible now; it ends when `books` are told so."""
        ...


class QuickOrders:
    """Orders by the session's shortcut, which is taken as soon as there is one."""

    def __init__(self, session: Session, risk: RiskGate) -> None:
        self._session = session
        self._risk = risk

    def _begun(self) -> Shortcut | None:
        """The session's shortcut, None while there is none."""
        session = self._session
        shortcut: Shortcut | None = session.shortcut if session.failure is None else None
        return shortcut

    def _begun_or_new(self) -> Shortcut | None:
        """The session's shortcut, begun if it can be now; None when there is none."""
        session = self._session
        if session.shortcut is None and self._is_plain and self._risk.is_open:
            session.shortcut = cast(HasShortcut, session.broker).shortcut(self._books)
        return self._begun()

    @cached_property
    def _is_plain(self) -> bool:
        """Whether the session is one of which a shortcut keeps everything that there is to keep."""
        session = self._session
        return (
            hasattr(session.broker, "shortcut")
            and len(session.instruments) == 1
            and not session.is_rehearsal
            and session.config.enable_order_tracking
            and not session.journal.has_recorder
        )

    @cached_property
    def _books(self) -> RunBooks:
        return RunBooks(self._session, 0)

    def place(
        self,
        order_type: OrderType,
        contract_id: object,
        side: object,
        size: Number,
        price: Number | None = None,
    ) -> int:
        """An order at the market, a limit or a stop at `price`, without options.

        Its id, 0 where the ordinary way has to place it.
        """
        shortcut = self._begun() or self._begun_or_new()
        if shortcut is None:
            return 0
        session = self._session
        try:
            spec = session.instruments[session.index_of(contract_id)]
            ticks = None
            if order_type is not OrderType.MARKET:
                if price is None:
                    return 0
                ticks = spec.order_price_to_ticks(price)
            return shortcut.place(order_type, parse_side(side), spec.size_to_lots(size), ticks)
        except OrderRejectedError:
            return 0

    def place_bracket(
        self,
        contract_id: object,
        side: object,
        size: Number,
        entry_price: Number | None,
        options: Mapping[str, Any],
    ) -> tuple[int, int | None, int | None] | None:
        """A bracket whose exits are offsets; the ids, None where the ordinary way has to."""
        shortcut = self._begun() or self._begun_or_new()
        if shortcut is None or not options.keys() <= _OFFSETS:
            return None
        session = self._session
        try:
            spec = session.instruments[session.index_of(contract_id)]
            lots, way = spec.size_to_lots(size), parse_side(side)
            limit = None if entry_price is None else spec.order_price_to_ticks(entry_price)
            stop, target = parse_stop(spec, options), parse_target(spec, options)
        except OrderRejectedError:
            return None
        if stop is None and target is None:
            return None
        stop_offset = None if stop is None else stop.offset_ticks
        target_offset = None if target is None else target.offset_ticks
        return shortcut.place_bracket(way, lots, limit, stop_offset, target_offset)

    def replace(
        self,
        order_id: object,
        size: Number | None,
        limit_price: Number | None,
        stop_price: Number | None,
    ) -> bool:
        """A change of an order named by its id; False where the ordinary way has to make it."""
        shortcut = self._begun()
        if shortcut is None or type(order_id) is not int:
            return False
        spec = self._session.instruments[0]
        try:
            lots = None if size is None else spec.size_to_lots(size)
            limit = None if limit_price is None else spec.order_price_to_ticks(limit_price)
            stop = None if stop_price is None else spec.order_price_to_ticks(stop_price)
        except OrderRejectedError:
            return False
        return shortcut.replace(order_id, lots, limit, stop)

    def cancel(self, order_id: object) -> bool:
        """The end of an order named by its id; False where the ordinary way has to cancel it."""
        shortcut = self._begun()
        return shortcut is not None and type(order_id) is int and shortcut.cancel(order_id)
