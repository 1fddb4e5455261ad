"""Changes and cancels of orders that exist, and the look-ups that they and the queries share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from broker_api.drafting import whole_ticks
from broker_api.errors import InvalidOrderError, NotSentError, OrderError, OrderNotFoundError
from broker_api.event import OrderCancelled, OrderReplaced, Reason
from broker_api.instrument import Number
from broker_api.order import CancelRequest, OrderStatus, OrderType, ReplaceRequest, Role
from broker_api.record import EXIT_ROLES, OrderRecord
from broker_api.refusals import not_active, refusal
from broker_api.response import AnyResponse
from broker_api.risk import RiskGate
from broker_api.session import Session
from broker_api.view import Order

OrderRef = int | str | Order | AnyResponse
"""How users name an order: by its id, its client order id, or an answer that carries its id."""

_HAS_LIMIT = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED)
_HAS_STOP = (
    OrderType.STOP,
    OrderType.STOP_LIMIT,
    OrderType.MARKET_IF_TOUCHED,
    OrderType.LIMIT_IF_TOUCHED,
)


def find_record(session: Session, ref: object) -> OrderRecord:
    """The order that `ref` names. Raises OrderNotFoundError that says what there is."""
    order_id = ref if isinstance(ref, int) else getattr(ref, "order_id", None)
    ledger = session.ledger
    if isinstance(ref, str):
        order_id = ledger.id_of_client(ref)
    record = None if order_id is None else ledger.orders.get(order_id)
    if record is not None:
        return record
    ids = list(ledger.orders)
    known = f"its orders are {ids[0]} to {ids[-1]}" if ids else "it has no orders"
    shown = repr(ref) if isinstance(ref, int | str) else repr(order_id)
    raise OrderNotFoundError(
        f"order {shown} is not of this session; {known}", reason=Reason.UNKNOWN_ORDER
    )


class Changing:
    """Replaces and cancels orders of one session."""

    def __init__(self, session: Session, risk: RiskGate) -> None:
        self._session = session
        self._risk = risk

    def _live(self, ref: object) -> OrderRecord:
        self._session.check()
        record = find_record(self._session, ref)
        if record.status.is_terminal:
            raise not_active(record.view())
        return record

    def replace_request(
        self,
        ref: object,
        size: Number | None,
        limit_price: Number | None,
        stop_price: Number | None,
        trail_ticks: int | None,
    ) -> tuple[ReplaceRequest, OrderRecord]:
        """A change as it is sent, of what is not None. Raises the session's refusal."""
        record = self._live(ref)
        spec = record.spec
        _check_applies(record, limit_price, _HAS_LIMIT, "limit_price")
        _check_applies(record, stop_price, _HAS_STOP, "stop_price")
        _check_applies(record, trail_ticks, (OrderType.TRAILING_STOP,), "trail_ticks")
        request = ReplaceRequest(
            record.order_id,
            None if size is None else spec.size_to_lots(size),
            None if limit_price is None else spec.order_price_to_ticks(limit_price, "limit_price"),
            None if stop_price is None else spec.order_price_to_ticks(stop_price, "stop_price"),
            None if trail_ticks is None else whole_ticks(trail_ticks, "trail_ticks"),
        )
        self._risk.admit_change(record, request)
        return request, record

    async def modify(
        self,
        ref: object,
        size: Number | None,
        limit_price: Number | None,
        stop_price: Number | None,
        trail_ticks: int | None,
    ) -> Order:
        """Change what is not None; `size` is the new total. Returns the updated order."""
        request, record = self.replace_request(ref, size, limit_price, stop_price, trail_ticks)
        try:
            answer = await self._session.replace(request, record.instrument)
        except NotSentError:
            self._risk.not_changed(record.order_id)
            raise
        order = record.view()
        if isinstance(answer, OrderReplaced):
            return order
        if answer.reason is Reason.ORDER_NOT_ACTIVE and order.is_terminal:
            raise not_active(order)
        raise refusal(
            answer.reason,
            record.spec,
            answer.value,
            answer.limit,
            side=record.side,
            order=order,
            prefix=f"order {record.order_id} stays as it was: ",
        )

    def cancel_request(self, ref: object) -> tuple[CancelRequest, OrderRecord]:
        """A cancel as it is sent. Raises OrderNotActiveError for an order that has ended."""
        record = self._live(ref)
        return CancelRequest(record.order_id), record

    async def cancel(self, ref: object) -> Order:
        """End a working order; returns it. Raises OrderNotActiveError when it had ended."""
        request, record = self.cancel_request(ref)
        answer = await self._session.cancel(request, record.instrument)
        order = record.view()
        if isinstance(answer, OrderCancelled):
            return order
        if answer.reason is not Reason.ORDER_NOT_ACTIVE and not order.is_terminal:
            raise refusal(answer.reason, record.spec, order=order)
        raise not_active(order)

    async def cancel_each(self, refs: Sequence[object]) -> dict[object, Order | OrderError]:
        """Cancel several; each result is the order or its error, and no error stops the others."""
        # All are sent before the first answer, in this order: gather owns and awaits its tasks.
        results = await asyncio.gather(*map(self.cancel, refs), return_exceptions=True)
        answers: dict[object, Order | OrderError] = {}
        for ref, result in zip(refs, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, OrderError):
                raise result
            key = ref if isinstance(ref, int | str) else getattr(ref, "order_id", ref)
            answers[key] = result
        return answers

    async def cancel_working(
        self, records: Iterable[OrderRecord]
    ) -> dict[object, Order | OrderError]:
        """Cancel these; one that its group cancelled meanwhile counts as cancelled.

        Held exits are left to their entry: they go with it.
        """
        chosen = list(records)
        ids = {record.order_id: record for record in chosen}
        sent = [order_id for order_id, record in ids.items() if not self._goes_along(record, ids)]
        answers = await self.cancel_each(sent)
        results: dict[object, Order | OrderError] = {}
        for order_id, record in ids.items():
            answer = answers.get(order_id)
            if not isinstance(answer, Order) and record.status is OrderStatus.CANCELLED:
                answer = record.view()
            results[order_id] = record.view() if answer is None else answer
        return results

    def _goes_along(self, record: OrderRecord, chosen: dict[int, OrderRecord]) -> bool:
        if record.role in EXIT_ROLES and record.held:
            entry = chosen.get(record.group[0])
            return entry is not None and not entry.status.is_terminal
        if record.role is Role.OCO_LEG:
            # A user's cancel of one leg cancels the other.
            return record.order_id != record.group[0] and record.group[0] in chosen
        return False


def _check_applies(
    record: OrderRecord, value: object, types: tuple[OrderType, ...], field: str
) -> None:
    if value is not None and record.order_type not in types:
        kind = record.order_type.name.lower().replace("_", "-")
        raise InvalidOrderError(
            f"order {record.order_id} is a {kind} order and has no {field}",
            order=record.view(),
            reason=Reason.NOT_MODIFIABLE,
        )
