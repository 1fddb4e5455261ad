"""New orders: drafts are admitted, numbered, sent, and answered; refusals are raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from broker_api.capabilities import Ask, lacks
from broker_api.drafting import (
    OCO_NAMES,
    Draft,
    ExitTerms,
    check_names,
    entry_type,
    parse_leg,
    parse_member,
    parse_side,
    parse_stop,
    parse_target,
    parse_terms,
    required_ticks,
    split_bracket,
)
from broker_api.errors import InvalidOrderError, OrderRejectedError
from broker_api.event import Reason
from broker_api.instrument import Number, to_nanos
from broker_api.order import (
    Arm,
    BracketRequest,
    ExitRequest,
    OcoRequest,
    OnPartial,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
)
from broker_api.record import OrderRecord
from broker_api.refusals import WORDINGS, refusal
from broker_api.response import BracketOrderResponse, OcoOrderResponse, OrderResponse
from broker_api.risk import RiskGate
from broker_api.session import Session

_REJECTED, _PARTIAL, _SHRINK = OrderStatus.REJECTED, Arm.PARTIAL, OnPartial.SHRINK
_LIMITED = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED)
_STOPPED = (
    OrderType.STOP,
    OrderType.STOP_LIMIT,
    OrderType.MARKET_IF_TOUCHED,
    OrderType.LIMIT_IF_TOUCHED,
)


class Prices(NamedTuple):
    """The prices of an order as written, and what the verb calls them."""

    limit: Number | None = None
    stop: Number | None = None
    limit_field: str = "limit_price"
    stop_field: str = "stop_price"


NO_PRICES = Prices()


class Placing:
    """Places single orders, brackets and OCO pairs of one session.

    A refusal before sending counts as denied; it takes no order id and leaves no order behind.
    """

    def __init__(self, session: Session, risk: RiskGate) -> None:
        self._session = session
        self._risk = risk
        self._supported: set[Ask] = set()
        """What the venue was found to have: a session asks for little, and often."""

    # --- single orders -------------------------------------------------------------------------

    def draft(
        self,
        order_type: OrderType,
        contract_id: object,
        side: object,
        size: Number,
        options: Mapping[str, Any],
        prices: Prices = NO_PRICES,
    ) -> Draft:
        """An order of what was written. Raises what that deserves, and counts it as denied."""
        session = self._session
        session.check()
        index = session.index_of(contract_id)
        spec = session.instruments[index]
        try:
            lots = spec.size_to_lots(size)
            terms = parse_terms(order_type, options)
            draft = Draft(index, spec, parse_side(side), order_type, lots, terms)
            if order_type in _LIMITED:
                draft.limit_ticks = required_ticks(spec, prices.limit, prices.limit_field)
            if order_type in _STOPPED:
                draft.stop_ticks = required_ticks(spec, prices.stop, prices.stop_field)
            return draft
        except OrderRejectedError:
            self.deny(index)
            raise

    def deny(self, index: int) -> None:
        """Count an order that was refused before it was sent."""
        self._session.counters[index].denied += 1

    def request(self, draft: Draft) -> OrderRequest:
        """The order as it is sent, with its number. Raises the session's refusal."""
        try:
            self._admit(draft, 1)
        except OrderRejectedError:
            self.deny(draft.index)
            raise
        return self._number(draft)

    async def place(self, draft: Draft) -> OrderResponse:
        """Send one order. Raises the refusal of the session or the venue."""
        records = await self._session.submit(self.request(draft), draft.index)
        raise_refusal(records)
        record = records[0]
        return OrderResponse(
            record.order_id,
            record.client_order_id,
            record.status,
            draft.spec.symbol,
            record.created_ns,
            record.reason_text,
        )

    def _admit(self, draft: Draft, entries: int) -> None:
        """Refuse what the session's own limits refuse; what reduces exposure always passes."""
        session = self._session
        ledger = session.ledger
        self._check_supported(_ask_of(draft), draft.spec.symbol)
        if session.is_rehearsal:
            self._check_value(draft)
        client_order_id = draft.terms.client_order_id
        if client_order_id is not None and ledger.id_of_client(client_order_id) is not None:
            raise refusal(
                Reason.DUPLICATE_CLIENT_ORDER_ID,
                draft.spec,
                prefix=f"client_order_id {client_order_id!r}: ",
            )
        would_be = ledger.working_entries + entries
        limit = session.config.max_concurrent_orders
        if would_be > limit and not self._reduces(draft):
            raise refusal(Reason.TOO_MANY_ORDERS, draft.spec, would_be, limit)
        if self._risk.is_open:
            return
        self._risk.admit(
            draft.index,
            draft.side,
            draft.size_lots,
            reduce_only=draft.terms.reduce_only,
            limit_ticks=draft.limit_ticks,
            stop_ticks=draft.stop_ticks,
        )

    def _check_supported(self, ask: Ask, symbol: str) -> None:
        """Refuse what the broker does not have, instead of sending something like it."""
        if ask in self._supported:
            return
        session = self._session
        lack = next(lacks(session.capabilities, ask), None)
        if lack is not None:
            raise OrderRejectedError(
                f"{lack.what}: {session.venue} does not support this for {symbol}; {lack.instead}",
                reason=Reason.UNSUPPORTED,
            )
        self._supported.add(ask)

    def _check_value(self, draft: Draft) -> None:
        """In a rehearsal: refuse what is worth less than the venue would take."""
        session = self._session
        least = session.capabilities.min_value
        if not least or self._reduces(draft):
            return
        ticks = draft.limit_ticks if draft.limit_ticks is not None else draft.stop_ticks
        quote = session.broker.last_quote(draft.index)
        if ticks is None and quote is not None:
            price = quote.ask if draft.side is Side.BUY else quote.bid
            ticks = None if price is None else draft.spec.price_to_ticks(price)
        if ticks is not None:
            value = abs(ticks) * draft.size_lots * draft.spec.tick_value_nanos
            if value < to_nanos(least):
                raise refusal(Reason.BELOW_MINIMUM_VALUE, draft.spec, value, to_nanos(least))

    def _reduces(self, draft: Draft) -> bool:
        if draft.terms.reduce_only:
            return True
        lots = self._session.ledger.positions[draft.index].lots
        return lots * draft.side.sign < 0 and draft.size_lots <= abs(lots)

    def _number(self, draft: Draft) -> OrderRequest:
        session = self._session
        terms = draft.terms
        order_id = session.next_id()
        return OrderRequest(
            order_id,
            terms.client_order_id or session.client_id(order_id),
            draft.spec.symbol,
            draft.side,
            draft.order_type,
            draft.size_lots,
            draft.limit_ticks,
            draft.stop_ticks,
            draft.trail_ticks,
            draft.trail_ppm,
            draft.activation_ticks,
            terms.time_in_force,
            terms.expires_at_ns,
            terms.post_only,
            terms.reduce_only,
            terms.protection_ticks,
            terms.tag,
        )

    # --- brackets ------------------------------------------------------------------------------

    def bracket_request(
        self,
        contract_id: object,
        side: object,
        size: Number,
        entry_price: Number | None,
        options: Mapping[str, Any],
    ) -> tuple[BracketRequest, Draft]:
        """An entry with its exits as it is sent; see BracketOptions. Raises the refusal."""
        entry_options, bracket = split_bracket(options)
        entry_stop = bracket.get("entry_stop_price")
        order_type = entry_type(entry_price, entry_stop)
        prices = Prices(entry_price, entry_stop, "entry_price", "entry_stop_price")
        draft = self.draft(order_type, contract_id, side, size, entry_options, prices)
        try:
            stop, target = parse_stop(draft.spec, bracket), parse_target(draft.spec, bracket)
            if stop is None and target is None:
                raise InvalidOrderError("a bracket needs a stop or a target")
            arm = parse_member(Arm, bracket.get("arm", _PARTIAL), "arm")
            on_partial = _on_partial(bracket)
            if stop is not None:
                self._check_supported(_stop_ask(stop), draft.spec.symbol)
            self._admit(draft, 1)
        except OrderRejectedError:
            self.deny(draft.index)
            raise
        entry = self._number(draft)
        stop_exit, target_exit = self._exit(stop, entry.tag), self._exit(target, entry.tag)
        return BracketRequest(entry, stop_exit, target_exit, arm, on_partial), draft

    async def place_bracket(
        self,
        contract_id: object,
        side: object,
        size: Number,
        entry_price: Number | None,
        options: Mapping[str, Any],
    ) -> BracketOrderResponse:
        """Send an entry with its exits. Raises the refusal of the session or the venue."""
        request, draft = self.bracket_request(contract_id, side, size, entry_price, options)
        records = await self._session.submit(request, draft.index)
        raise_refusal(records)
        stop, target = request.stop, request.target
        return BracketOrderResponse(
            request.entry.order_id,
            None if stop is None else stop.order_id,
            None if target is None else target.order_id,
            request.entry.client_order_id,
            records[0].status,
            draft.spec.symbol,
            records[0].created_ns,
            records[0].reason_text,
        )

    def _exit(self, terms: ExitTerms | None, tag: str) -> ExitRequest | None:
        if terms is None:
            return None
        order_id = self._session.next_id()
        return ExitRequest(order_id, self._session.client_id(order_id), *terms, tag)

    # --- OCO -----------------------------------------------------------------------------------

    async def place_oco(
        self,
        contract_id: object,
        size: Number,
        legs: tuple[Mapping[str, Any], Mapping[str, Any]],
        options: Mapping[str, Any],
    ) -> OcoOrderResponse:
        """Send two orders of which at most one completes. `options` apply to both legs."""
        check_names(options, OCO_NAMES, "place_oco_order")
        session = self._session
        session.check()
        index = session.index_of(contract_id)
        spec = session.instruments[index]
        shared = {name: value for name, value in options.items() if name != "on_partial"}
        try:
            lots = spec.size_to_lots(size)
            on_partial = _on_partial(options)
            first = parse_leg(
                index, spec, lots, _leg(shared, legs[0], "first_order"), "first_order"
            )
            second = parse_leg(
                index, spec, lots, _leg(shared, legs[1], "second_order"), "second_order"
            )
            entries = (not self._reduces(first)) + (not self._reduces(second))
            self._admit(first, entries)
            self._admit(second, entries)
            if first.terms.client_order_id == second.terms.client_order_id is not None:
                raise refusal(Reason.DUPLICATE_CLIENT_ORDER_ID, spec)
        except OrderRejectedError:
            self.deny(index)
            raise
        request = OcoRequest(self._number(first), self._number(second), on_partial)
        records = await session.submit(request, index)
        raise_refusal(records)
        return OcoOrderResponse(
            request.first.order_id,
            request.second.order_id,
            request.first.client_order_id,
            records[0].status,
            spec.symbol,
            records[0].created_ns,
            records[0].reason_text,
        )

    async def reduce_only(
        self, index: int, side: Side, lots: int, limit_ticks: int | None, options: Mapping[str, Any]
    ) -> OrderResponse:
        """Send a reduce-only market order, or a limit order where a limit is given."""
        order_type = OrderType.MARKET if limit_ticks is None else OrderType.LIMIT
        spec = self._session.instruments[index]
        terms = parse_terms(order_type, {**options, "reduce_only": True})
        return await self.place(Draft(index, spec, side, order_type, lots, terms, limit_ticks))


def _ask_of(draft: Draft) -> Ask:
    terms = draft.terms
    return Ask(
        draft.order_type,
        terms.time_in_force,
        terms.post_only,
        terms.protection_ticks is not None,
        draft.activation_ticks is not None,
        draft.trail_ticks,
    )


def _stop_ask(stop: ExitTerms) -> Ask:
    if stop.trail_ticks is not None:
        return Ask(OrderType.TRAILING_STOP, trail_ticks=stop.trail_ticks)
    is_limited = stop.limit_offset_ticks is not None
    return Ask(OrderType.STOP_LIMIT if is_limited else OrderType.STOP)


def _leg(shared: Mapping[str, Any], leg: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    if not isinstance(leg, Mapping):
        raise InvalidOrderError(f"{field} is not a table of type, side and prices")
    return {**shared, **leg}


def _on_partial(options: Mapping[str, Any]) -> OnPartial:
    return parse_member(OnPartial, options.get("on_partial", _SHRINK), "on_partial")


def raise_refusal(records: tuple[OrderRecord, ...]) -> None:
    """Raise the refusal of an order that was placed, or of a sibling that was refused after it."""
    for record in records:
        if record.status is _REJECTED:
            error = WORDINGS[record.reason].error
            raise error(record.reason_text, order=record.view(), reason=record.reason)
