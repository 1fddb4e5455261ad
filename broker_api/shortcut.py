"""A quick way for orders, where a broker has one.

While nobody waits for events, what is sent need not go through the session's books at once: neither
what a plain handler sends, nor what a coroutine places while it is alone. Every verb here does the
ordinary verb's work, or does nothing and says so: then the ordinary verb does it, and refuses what
there is to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any, Protocol, cast

from broker_api.compiled_run import RunBooks
from broker_api.drafting import parse_side, parse_stop, parse_target
from broker_api.errors import OrderRejectedError
from broker_api.instrument import Number
from broker_api.order import STATUS_BY_CODE, OrderStatus, OrderType, Side
from broker_api.placing import raise_refusal
from broker_api.response import BracketOrderResponse, OrderResponse
from broker_api.risk import RiskGate
from broker_api.session import Session

_FILLED = OrderStatus.FILLED.code
_MARKET = OrderType.MARKET
_REMEMBERED = 4096
"""How many different prices, and so on, are known by what they were written as."""
_OFFSETS = {"stop_offset", "stop_ticks", "target_offset", "target_ticks"}


class Shortcut(Protocol):
    """Commands and looks of a session of one instrument, in ticks and lots, at session time."""

    def position_lots(self) -> int:
        """The position as it is known; short is negative."""
        ...

    def status_codes(self, order_ids: Iterable[int]) -> list[int]:
        """The codes of these orders' statuses as they are known."""
        ...

    def answer_ns(self) -> int | None:
        """When a command that is sent now is answered; None where others may act before."""
        ...

    def wait_until(self, until_ns: int) -> None:
        """Let time go on under the running task, which `answer_ns` has found to be alone."""
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


class _Reading:
    """What users write, to integers: `drafting`, which is asked once for the same words.

    Raises as that does, and TypeError for what cannot be a key.
    """

    def __init__(self, session: Session) -> None:
        spec = session.instruments[0]
        remember = lru_cache(_REMEMBERED, typed=True)  # 1 is a size, True is none
        self.index = remember(session.index_of)
        self.side = remember(parse_side)
        self.lots = remember(spec.size_to_lots)
        self.ticks = remember(cast(Callable[[Number | None], int], spec.order_price_to_ticks))
        self._spec = spec
        self.offsets = remember(self._offsets)

    def _offsets(self, *given: Any) -> tuple[int | None, int | None]:
        """A bracket's exits in ticks from the entry, of names and as many values."""
        options = dict(zip(given[: len(given) // 2], given[len(given) // 2 :], strict=True))
        stop, target = parse_stop(self._spec, options), parse_target(self._spec, options)
        return (
            None if stop is None else stop.offset_ticks,
            None if target is None else target.offset_ticks,
        )


class QuickOrders:
    """Orders by the session's shortcut, which is taken as soon as there is one.

    `place` and `place_bracket` send and go on; `placed` and `placed_bracket` wait for the answer,
    and are for coroutines.
    """

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

    @cached_property
    def _read(self) -> _Reading:
        return _Reading(self._session)

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
        read = self._read
        try:
            read.index(contract_id)
            ticks = None if order_type is _MARKET else read.ticks(price)
            lots, way = read.lots(size), read.side(side)
        except (OrderRejectedError, TypeError):
            return 0
        return shortcut.place(order_type, way, lots, ticks)

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
        read = self._read
        try:
            read.index(contract_id)
            limit = None if entry_price is None else read.ticks(entry_price)
            lots, way = read.lots(size), read.side(side)
            stop, target = read.offsets(*options, *options.values())
        except (OrderRejectedError, TypeError):
            return None
        if stop is None and target is None:
            return None
        return shortcut.place_bracket(way, lots, limit, stop, target)

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
        read = self._read
        try:
            lots = None if size is None else read.lots(size)
            limit = None if limit_price is None else read.ticks(limit_price)
            stop = None if stop_price is None else read.ticks(stop_price)
        except (OrderRejectedError, TypeError):
            return False
        return shortcut.replace(order_id, lots, limit, stop)

    def cancel(self, order_id: object) -> bool:
        """The end of an order named by its id; False where the ordinary way has to cancel it."""
        shortcut = self._begun()
        return shortcut is not None and type(order_id) is int and shortcut.cancel(order_id)

    # --- with their answers, for a coroutine that is alone ---------------------------------------

    def placed(
        self,
        order_type: OrderType,
        contract_id: object,
        side: object,
        size: Number,
        price: Number | None = None,
    ) -> OrderResponse | None:
        """As `place`; the answer, None where the ordinary way has to. Raises the refusal."""
        answer_ns = self._answer_ns()
        if answer_ns is None:
            return None
        order_id = self.place(order_type, contract_id, side, size, price)
        return OrderResponse(order_id, *self._answer((order_id,), answer_ns)) if order_id else None

    def placed_bracket(
        self,
        contract_id: object,
        side: object,
        size: Number,
        entry_price: Number | None,
        options: Mapping[str, Any],
    ) -> BracketOrderResponse | None:
        """As `place_bracket`; the answer, None where the ordinary way has to. Raises refusals."""
        answer_ns = self._answer_ns()
        if answer_ns is None:
            return None
        ids = self.place_bracket(contract_id, side, size, entry_price, options)
        if ids is None:
            return None
        entry_id, stop_id, target_id = ids
        return BracketOrderResponse(entry_id, stop_id, target_id, *self._answer(ids, answer_ns))

    def _answer_ns(self) -> int | None:
        shortcut = self._begun() or self._begun_or_new()
        return None if shortcut is None else shortcut.answer_ns()

    def _answer(
        self, ids: tuple[int | None, ...], answer_ns: int
    ) -> tuple[str, OrderStatus, str, int, str]:
        """Wait for the answer to what was sent now: what responses say behind their ids."""
        session = self._session
        shortcut: Shortcut = session.shortcut
        sent_ns, symbol = session.clock.now_ns(), session.instruments[0].symbol
        given = [order_id for order_id in ids if order_id is not None]
        client_id = session.client_id(given[0])  # before the books can have the order itself
        shortcut.wait_until(answer_ns)
        session.count_answer(0, answer_ns - sent_ns)
        codes = shortcut.status_codes(given)
        if max(codes) <= _FILLED:
            return client_id, STATUS_BY_CODE[codes[0]], symbol, sent_ns, ""
        # Refused, or over by the time of the answer: the books know what there is to say.
        orders = session.ledger.orders
        records = tuple([orders[order_id] for order_id in given])
        raise_refusal(records)
        return client_id, records[0].status, symbol, sent_ns, records[0].reason_text
