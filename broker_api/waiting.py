"""Waiting for an order: resolved at once by the event that ends it, bounded by session time."""

from __future__ import annotations

import asyncio

from broker_api.changing import find_record
from broker_api.errors import InvalidOrderError, NotConnectedError, OrderTimeoutError
from broker_api.order import OrderStatus
from broker_api.refusals import not_active
from broker_api.session import Session
from broker_api.view import Order


async def wait_for_fill(session: Session, ref: object, timeout: float | None) -> Order:
    """The order once it is filled; on a bracket, its entry.

    Raises OrderTimeoutError after `timeout` seconds of session time (the configuration's when None;
    the order is untouched and is in the error), OrderNotActiveError when the order ended otherwise,
    NotConnectedError when the session ended first, InvalidOrderError for a timeout that is none.
    """
    session.check()
    record = find_record(session, ref)
    seconds = session.config.default_timeout if timeout is None else _seconds(timeout)
    if not record.status.is_terminal:
        try:
            async with asyncio.timeout(seconds):
                await session.ended(record.order_id)
        except TimeoutError:
            order = record.view()
            raise OrderTimeoutError(
                f"order {record.order_id} did not fill within {seconds:g} s: it is "
                f"{order.status}, filled {record.spec.format_size(order.filled_lots)} of "
                f"{record.spec.format_size(order.size_lots)}",
                order=order,
            ) from None
    order = record.view()
    if order.status is OrderStatus.FILLED:
        return order
    if order.is_terminal:
        raise not_active(order)
    raise NotConnectedError(f"the session ended while order {record.order_id} was {order.status}")


def _seconds(timeout: object) -> float:
    if isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout >= 0:
        return timeout
    raise InvalidOrderError(f"timeout {timeout!r} is not a number of seconds of at least 0")
