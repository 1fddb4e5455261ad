"""The order manager's verbs for plain functions: send, and do not wait for the answer.

A handler that is called at every tick cannot await. Here every verb sends its command at once and
returns the ids; acceptance, fills and refusals of the venue come as order events, and the queries
know the orders. What the session itself refuses is raised, as everywhere.
"""

from __future__ import annotations

from typing import Unpack

from broker_api.changing import Changing, OrderRef
from broker_api.drafting import BracketOptions, OrderOptions
from broker_api.instrument import Number
from broker_api.order import OrderType, Side
from broker_api.placing import NO_PRICES, Placing, Prices
from broker_api.session import Session
from broker_api.shortcut import QuickOrders


class NoWait:
    """`orders.nowait`: the arguments are those of the verbs of OrderManager."""

    def __init__(
        self, session: Session, placing: Placing, changing: Changing, quick: QuickOrders
    ) -> None:
        self._session = session
        self._quick = quick
        self._placing = placing
        self._changing = changing

    def place_market_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        **options: Unpack[OrderOptions],
    ) -> int:
        """Buy or sell at once at what the market offers; returns the order id."""
        market = OrderType.MARKET
        if not options and (order_id := self._quick.place(market, contract_id, side, size)):
            return order_id
        return self._place(market, contract_id, side, size, NO_PRICES, options)

    def place_limit_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        limit_price: Number,
        **options: Unpack[OrderOptions],
    ) -> int:
        """Buy or sell at `limit_price` or better; returns the order id."""
        limit, price = OrderType.LIMIT, limit_price
        if not options and (order_id := self._quick.place(limit, contract_id, side, size, price)):
            return order_id
        return self._place(limit, contract_id, side, size, Prices(limit_price), options)

    def place_stop_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        stop_price: Number,
        **options: Unpack[OrderOptions],
    ) -> int:
        """Buy or sell at the market once `stop_price` is reached; returns the order id."""
        stop, price = OrderType.STOP, stop_price
        if not options and (order_id := self._quick.place(stop, contract_id, side, size, price)):
            return order_id
        return self._place(stop, contract_id, side, size, Prices(None, stop_price), options)

    def _place(
        self,
        order_type: OrderType,
        contract_id: object,
        side: object,
        size: Number,
        prices: Prices,
        options: OrderOptions,
    ) -> int:
        draft = self._placing.draft(order_type, contract_id, side, size, options, prices)
        request = self._placing.request(draft)
        self._session.post(request, draft.index)
        return request.order_id

    def place_bracket_order(
        self,
        contract_id: str,
        side: Side | int | str,
        size: Number,
        entry_price: Number | None = None,
        **options: Unpack[BracketOptions],
    ) -> tuple[int, int | None, int | None]:
        """An entry with its exits; returns the ids of entry, stop and target."""
        ids = self._quick.place_bracket(contract_id, side, size, entry_price, options)
        if ids is not None:
            return ids
        request, draft = self._placing.bracket_request(
            contract_id, side, size, entry_price, options
        )
        self._session.post(request, draft.index)
        stop, target = request.stop, request.target
        return (
            request.entry.order_id,
            None if stop is None else stop.order_id,
            None if target is None else target.order_id,
        )

    def modify_order(
        self,
        order_id: OrderRef,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        size: Number | None = None,
        *,
        trail_ticks: int | None = None,
    ) -> None:
        """Change a working order; `size` is the new total size."""
        if trail_ticks is None and self._quick.replace(order_id, size, limit_price, stop_price):
            return
        request, record = self._changing.replace_request(
            order_id, size, limit_price, stop_price, trail_ticks
        )
        self._session.post(request, record.instrument)

    def is_working(self, order_id: int) -> bool:
        """True while the order is sent, held, open or partly filled, as the session knows it."""
        shortcut = self._session.shortcut
        if shortcut is not None:
            return bool(shortcut.is_working(order_id))
        return order_id in self._session.ledger.working

    def cancel_order(self, order_id: OrderRef) -> None:
        """Cancel a working order. Raises OrderNotActiveError for one that has ended."""
        if self._quick.cancel(order_id):
            return
        request, record = self._changing.cancel_request(order_id)
        self._session.post(request, record.instrument)
