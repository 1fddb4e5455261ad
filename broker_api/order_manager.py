"""The order manager: every verb of the user's interface, over any broker.

The work is done by small objects beside this file: placing, closing, changing, waiting. Here are
only the verbs. Every refusal is raised as an error of :mod:`broker_api.errors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack

from broker_api.changing import Changing, OrderRef, find_record
from broker_api.closing import Closing, parse_fraction
from broker_api.drafting import (
    BracketOptions,
    OcoOptions,
    OrderOptions,
    parse_member,
    required_ticks,
    trail_ppm_of,
    whole_ticks,
)
from broker_api.errors import (
    InvalidOrderError,
    InvalidPriceError,
    OrderError,
    OrderRejectedError,
)
from broker_api.instrument import Number
from broker_api.notice import EventType, Handler, Subscription
from broker_api.nowait import NoWait
from broker_api.order import OrderStatus, OrderType, Side
from broker_api.placing import NO_PRICES, Placing, Prices
from broker_api.record import OrderRecord
from broker_api.refusals import unknown_instrument
from broker_api.response import BracketOrderResponse, OcoOrderResponse, OrderResponse
from broker_api.risk import RiskGate
from broker_api.session import Session
from broker_api.shortcut import QuickOrders
from broker_api.statistics import summary, total
from broker_api.view import Order
from broker_api.waiting import wait_for_fill

_PLAIN = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP)


class OrderManager:
    """Places, changes, finds and follows orders.

    `suite["MNQ"].orders` is the manager of one instrument: its queries, `cancel_all_orders`,
    handlers and statistics cover it unless another is named. `suite.orders` covers all.

    Common arguments: `contract_id` is an instrument's id or symbol; `side` is 0/1, "buy"/"sell" or
    a Side; `size` is in the instrument's units; prices must be on the tick. Every placement also
    takes `time_in_force` ("GTC", "DAY", "GTD", "IOC", "FOK"; market orders None), `expires_at` (an
    aware datetime or nanoseconds, for GTD), `post_only`, `reduce_only`, `client_order_id`, `tag`,
    and market and stop orders `protection_ticks`.

    `nowait` has the verbs for plain functions: they send and return at once.
    """

    def __init__(self, session: Session, risk: RiskGate, instrument: int | None = None) -> None:
        self._session = session
        self._instrument = instrument
        self._placing = Placing(session, risk)
        self._closing = Closing(session, self._placing)
        self._changing = Changing(session, risk)
        self._quick = QuickOrders(session, risk)
        self.nowait = NoWait(session, self._placing, self._changing, self._quick)

    # --- single orders -------------------------------------------------------------------------

    async def place_market_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        **options: Unpack[OrderOptions],
    ) -> OrderResponse:
        """Buy or sell at once at what the market offers."""
        return await self._place(OrderType.MARKET, contract_id, side, size, options, NO_PRICES)

    async def place_limit_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        limit_price: Number,
        **options: Unpack[OrderOptions],
    ) -> OrderResponse:
        """Buy or sell at `limit_price` or better."""
        prices = Prices(limit_price)
        return await self._place(OrderType.LIMIT, contract_id, side, size, options, prices)

    async def place_stop_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        stop_price: Number,
        **options: Unpack[OrderOptions],
    ) -> OrderResponse:
        """Buy or sell at the market once `stop_price` is reached."""
        prices = Prices(None, stop_price)
        return await self._place(OrderType.STOP, contract_id, side, size, options, prices)

    async def place_stop_limit_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        stop_price: Number,
        limit_price: Number,
        **options: Unpack[OrderOptions],
    ) -> OrderResponse:
        """Place a limit order at `limit_price` once `stop_price` is reached."""
        prices = Prices(limit_price, stop_price)
        return await self._place(OrderType.STOP_LIMIT, contract_id, side, size, options, prices)

    async def place_trailing_stop_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        *,
        trail_ticks: int | None = None,
        trail_percent: Number | None = None,
        activation_price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> OrderResponse:
        """A stop that follows the best price at a distance of ticks or of percent.

        With `activation_price` it starts to follow when that price is reached.
        """
        draft = self._placing.draft(OrderType.TRAILING_STOP, contract_id, side, size, options)
        try:
            if (trail_ticks is None) == (trail_percent is None):
                raise InvalidPriceError("a trailing stop needs trail_ticks or trail_percent")
            if trail_ticks is not None:
                draft.trail_ticks = whole_ticks(trail_ticks, "trail_ticks")
            if trail_percent is not None:
                draft.trail_ppm = trail_ppm_of(trail_percent)
            if activation_price is not None:
                draft.activation_ticks = required_ticks(
                    draft.spec, activation_price, "activation_price"
                )
        except OrderRejectedError:
            self._placing.deny(draft.index)
            raise
        return await self._placing.place(draft)

    async def place_market_if_touched_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        trigger_price: Number,
        **options: Unpack[OrderOptions],
    ) -> OrderResponse:
        """Buy or sell at the market once a better price than now, `trigger_price`, is touched."""
        prices = Prices(None, trigger_price, stop_field="trigger_price")
        kind = OrderType.MARKET_IF_TOUCHED
        return await self._place(kind, contract_id, side, size, options, prices)

    async def place_limit_if_touched_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        trigger_price: Number,
        limit_price: Number,
        **options: Unpack[OrderOptions],
    ) -> OrderResponse:
        """Place a limit order at `limit_price` once `trigger_price` is touched."""
        prices = Prices(limit_price, trigger_price, stop_field="trigger_price")
        kind = OrderType.LIMIT_IF_TOUCHED
        return await self._place(kind, contract_id, side, size, options, prices)

    async def _place(
        self,
        order_type: OrderType,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        options: OrderOptions,
        prices: Prices,
    ) -> OrderResponse:
        if not options and order_type in _PLAIN:
            price = prices.limit if prices.stop is None else prices.stop
            placed = self._quick.placed(order_type, contract_id, side, size, price)
            if placed is not None:
                return placed
        draft = self._placing.draft(order_type, contract_id, side, size, options, prices)
        return await self._placing.place(draft)

    # --- groups --------------------------------------------------------------------------------

    async def place_bracket_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        entry_price: Number | None = None,
        **options: Unpack[BracketOptions],
    ) -> BracketOrderResponse:
        """An entry with a stop and a target that live and die by what the entry filled.

        `entry_price=None` enters at the market, `entry_stop_price=` at a stop. Each exit is given
        by `stop_offset=`/`target_offset=` (price points from the entry's average fill, positive),
        `stop_ticks=`/`target_ticks=` (the same in ticks) or `stop_price=`/`target_price=`; one of
        the two may be left out. `stop_limit_offset=` makes the stop a stop-limit, `trail_offset=` a
        trailing stop. `arm` is "partial" or "full", `on_partial` "shrink" or "cancel".
        """
        placed = self._quick.placed_bracket(contract_id, side, size, entry_price, options)
        if placed is not None:
            return placed
        return await self._placing.place_bracket(contract_id, side, size, entry_price, options)

    async def place_oco_order(
        self,
        contract_id: str,
        size: Number,
        first_order: Mapping[str, Any],
        second_order: Mapping[str, Any],
        **options: Unpack[OcoOptions],
    ) -> OcoOrderResponse:
        """Two orders of which at most one completes.

        Each is a table of `type` ("limit", "stop", "stop_limit", "market_if_touched",
        "limit_if_touched"), `side`, `price` (the limit), `stop_price` or `trigger_price`, and
        options of its own. `on_partial` is "shrink" or "cancel".
        """
        legs = (first_order, second_order)
        return await self._placing.place_oco(contract_id, size, legs, options)

    # --- orders that follow from the position --------------------------------------------------

    async def close_position(
        self,
        instrument: str | None = None,
        method: str = "market",
        limit_price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> OrderResponse:
        """Close the whole position, reduce-only; when flat nothing happens and `success` is False.

        `method="limit"` without a price takes the touch at which it would trade now.
        """
        index = self._one(instrument)
        return await self._closing.close(index, method, limit_price, options)

    async def reduce_position(
        self,
        instrument: str | None = None,
        *,
        percentage: Number,
        method: str = "market",
        limit_price: Number | None = None,
        **options: Unpack[OrderOptions],
    ) -> OrderResponse:
        """Close a fraction (0.5 is half) of the position, reduce-only, in whole lots rounded down.

        Less than one lot is InvalidSizeError; when flat nothing happens and `success` is False.
        """
        fraction = self._fraction(percentage)
        index = self._one(instrument)
        return await self._closing.reduce(index, fraction, method, limit_price, options)

    async def scale_out_position(
        self,
        instrument: str | None = None,
        *,
        levels: Sequence[Mapping[str, Any]],
        **options: Unpack[OrderOptions],
    ) -> list[OrderResponse]:
        """A reduce-only limit order at each level's `price` for its `percentage` of the position.

        Lots are shared out by largest remainder. One response a level, in order; a level that gets
        no lot has `order_id=None` and says so. An empty list when flat.
        """
        return await self._closing.scale_out(self._one(instrument), levels, options)

    def _fraction(self, percentage: Number) -> Any:
        try:
            return parse_fraction(percentage, "percentage")
        except OrderRejectedError:
            if self._instrument is not None:
                self._placing.deny(self._instrument)
            raise

    # --- changes and cancels -------------------------------------------------------------------

    async def modify_order(
        self,
        order_id: OrderRef,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        size: Number | None = None,
        *,
        trail_ticks: int | None = None,
    ) -> Order:
        """Change a working order; `size` is the new total size. Returns the updated order."""
        return await self._changing.modify(order_id, size, limit_price, stop_price, trail_ticks)

    async def cancel_order(self, order_id: OrderRef) -> Order:
        """Cancel a working order and return it.

        Raises OrderNotActiveError, which says how it ended, for an order that is over.
        """
        return await self._changing.cancel(order_id)

    async def cancel_orders(self, order_ids: Sequence[OrderRef]) -> dict[Any, Order | OrderError]:
        """Cancel several: id -> the cancelled order, or the error that kept it from being so."""
        return await self._changing.cancel_each(order_ids)

    async def cancel_all_orders(
        self, instrument: str | None = None
    ) -> dict[Any, Order | OrderError]:
        """Cancel every working order of the instrument, or of all that this manager covers."""
        index = self._scope(instrument)
        return await self._changing.cancel_working(self._working(index))

    # --- queries -------------------------------------------------------------------------------

    async def get_order(self, order_id: OrderRef) -> Order:
        """The order as it is now. Raises OrderNotFoundError."""
        return find_record(self._session, order_id).view()

    async def get_order_status(self, order_id: OrderRef) -> Order:
        """The same as `get_order`: `status`, `filled_quantity`, `remaining_quantity` and more."""
        return find_record(self._session, order_id).view()

    async def get_orders(
        self, status: OrderStatus | str | None = None, instrument: str | None = None
    ) -> list[Order]:
        """Orders of this session, oldest first; `status="pending"` means every working order."""
        records = self._records(self._scope(instrument))
        if status is None:
            return [record.view() for record in records]
        wanted = parse_member(OrderStatus, status, "status")
        if wanted is OrderStatus.PENDING:
            return [record.view() for record in records if record.status.is_working]
        return [record.view() for record in records if record.status is wanted]

    async def get_recent_orders(
        self, limit: int = 10, instrument: str | None = None
    ) -> list[Order]:
        """The newest `limit` orders, newest first."""
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise InvalidOrderError(f"limit {limit!r} is not a whole number of at least 0")
        newest = reversed(list(self._records(self._scope(instrument))))
        return [record.view() for _, record in zip(range(limit), newest, strict=False)]

    async def wait_for_fill(self, order_id: OrderRef, timeout: float | None = None) -> Order:
        """Wait until the order is filled and return it; `timeout` is in seconds of session time.

        Raises OrderTimeoutError (the order is untouched and is in the error) or OrderNotActiveError
        when it ended otherwise. None uses `default_timeout`. A bracket resolves on its entry.
        """
        return await wait_for_fill(self._session, order_id, timeout)

    async def get_stats(self) -> dict[str, Any]:
        """Counts, rates and times of this session's orders; times are session time."""
        session = self._session
        chosen = session.counters
        if self._instrument is not None:
            chosen = [session.counters[self._instrument]]
        pending = sum(1 for _ in self._working(self._instrument))
        elapsed_ns = session.clock.now_ns() - session.started_ns
        return summary(total(chosen), pending, elapsed_ns)

    # --- handlers ------------------------------------------------------------------------------

    async def on_order_update(self, handler: Handler) -> Subscription:
        """Call `handler(OrderEvent)` for everything that happens to an order."""
        return self._session.subscribe(EventType.ORDER_UPDATE, handler, self._instrument)

    async def on_order_filled(self, handler: Handler) -> Subscription:
        """Call `handler(FillEvent)` once for each order, when it is completely filled."""
        return self._session.subscribe(EventType.ORDER_FILLED, handler, self._instrument)

    async def on_fill(self, handler: Handler) -> Subscription:
        """Call `handler(FillEvent)` for every execution."""
        return self._session.subscribe(EventType.FILL, handler, self._instrument)

    async def on_order_triggered(self, handler: Handler) -> Subscription:
        """Call `handler(OrderEvent)` when a stop or touched order sees its price."""
        return self._session.subscribe(EventType.ORDER_TRIGGERED, handler, self._instrument)

    # --- scope ---------------------------------------------------------------------------------

    def _scope(self, instrument: str | None) -> int | None:
        return self._instrument if instrument is None else self._session.index_of(instrument)

    def _one(self, instrument: str | None) -> int:
        """The instrument that is named, else the manager's own, else the only one there is."""
        index = self._scope(instrument)
        if index is not None:
            return index
        if len(self._session.instruments) == 1:
            return 0
        raise unknown_instrument(instrument, [spec.symbol for spec in self._session.instruments])

    def _records(self, index: int | None) -> Iterator[OrderRecord]:
        for record in self._session.ledger.orders.values():
            if index is None or record.instrument == index:
                yield record

    def _working(self, index: int | None) -> Iterator[OrderRecord]:
        for record in self._session.ledger.working.values():
            if index is None or record.instrument == index:
                yield record
