"""What a placement answers: a snapshot. `get_order` tells what became of the order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker_api.order import OrderStatus
from broker_api.view import to_datetime


@dataclass(frozen=True, slots=True)
class OrderResponse:
    """The answer to one order. `order_id` is None, `success` False, and `reason` says why where
    there was nothing to order (a flat position, a level that gets no lot).
    """

    order_id: int | None
    client_order_id: str | None
    status: OrderStatus | None
    instrument: str
    created_ns: int
    reason: str = ""

    @property
    def orderId(self) -> int | None:  # noqa: N802  the vendor's spelling
        """The order id under the vendor's name."""
        return self.order_id

    @property
    def success(self) -> bool:
        """True when an order exists; refusals raise."""
        return self.order_id is not None

    @property
    def created_at(self) -> datetime:
        """When the session gave the order."""
        return to_datetime(self.created_ns)


@dataclass(frozen=True, slots=True)
class BracketOrderResponse:
    """The answer to a bracket. Ids exist from the start; an exit that was left out has None."""

    main_order_id: int
    stop_order_id: int | None
    target_order_id: int | None
    client_order_id: str
    status: OrderStatus
    instrument: str
    created_ns: int
    reason: str = ""

    @property
    def entry_order_id(self) -> int:
        """The same as `main_order_id`."""
        return self.main_order_id

    @property
    def order_id(self) -> int:
        """The entry's id: waits on a bracket resolve on its entry."""
        return self.main_order_id

    @property
    def orderId(self) -> int:  # noqa: N802  the vendor's spelling
        """The entry's id under the vendor's name."""
        return self.main_order_id

    @property
    def group_id(self) -> int:
        """The group's id, which is its entry's."""
        return self.main_order_id

    @property
    def success(self) -> bool:
        """True: a refused bracket raises."""
        return True

    @property
    def created_at(self) -> datetime:
        """When the session gave the bracket."""
        return to_datetime(self.created_ns)


@dataclass(frozen=True, slots=True)
class OcoOrderResponse:
    """The answer to two orders of which at most one completes."""

    first_order_id: int
    second_order_id: int
    client_order_id: str
    status: OrderStatus
    instrument: str
    created_ns: int
    reason: str = ""

    @property
    def group_id(self) -> int:
        """The group's id, which is its first leg's."""
        return self.first_order_id

    @property
    def order_id(self) -> int:
        """The first leg's id."""
        return self.first_order_id

    @property
    def orderId(self) -> int:  # noqa: N802  the vendor's spelling
        """The first leg's id under the vendor's name."""
        return self.first_order_id

    @property
    def success(self) -> bool:
        """True: a refused pair raises."""
        return True

    @property
    def created_at(self) -> datetime:
        """When the session gave the orders."""
        return to_datetime(self.created_ns)


AnyResponse = OrderResponse | BracketOrderResponse | OcoOrderResponse
