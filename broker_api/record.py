"""One order and one position of the ledger while they change; only the ledger changes them."""

from __future__ import annotations

from broker_api.event import EventRow, Reason
from broker_api.instrument import Instrument
from broker_api.order import Liquidity, OrderRequest, OrderStatus, Role, Side
from broker_api.view import Fill, Order

EXIT_ROLES = (Role.STOP_EXIT, Role.TARGET_EXIT)
UNASKED_ROLES = (Role.LIQUIDATION, Role.FOREIGN, Role.REPAIR)
_PENDING, _NO_REASON = OrderStatus.PENDING, Reason.NONE
_NO_ENTRIES = (*EXIT_ROLES, *UNASKED_ROLES)
"""Orders that the session did not ask for: it neither counts nor ends them."""


class OrderRecord:
    """One order while it lives; `view()` is what users see of it."""

    __slots__ = (
        "accepted",
        "client_order_id",
        "created_ns",
        "fee_nanos",
        "filled_cost",
        "filled_lots",
        "fills",
        "group",
        "held",
        "instrument",
        "is_entry",
        "leaves_lots",
        "limit_ticks",
        "order_id",
        "order_type",
        "post_only",
        "reason",
        "reason_text",
        "reduce_only",
        "role",
        "side",
        "size_lots",
        "spec",
        "status",
        "stop_ticks",
        "tag",
        "time_in_force",
        "updated_ns",
        "venue_order_id",
    )

    def __init__(
        self, request: OrderRequest, instrument: int, spec: Instrument, role: Role, ts_ns: int
    ) -> None:
        self.order_id = request.order_id
        self.client_order_id = request.client_order_id
        self.instrument = instrument
        self.spec = spec
        self.side = request.side
        self.order_type = request.order_type
        self.time_in_force = request.time_in_force
        self.size_lots = request.size_lots
        self.limit_ticks = request.limit_ticks
        self.stop_ticks = request.stop_ticks
        self.reduce_only = request.reduce_only
        self.post_only = request.post_only
        self.tag = request.tag
        self.role = role
        # What `max_concurrent_orders` counts: neither an exit nor reduce-only.
        self.is_entry = not request.reduce_only and role not in _NO_ENTRIES
        self.group: tuple[int, ...] = ()
        self.status = _PENDING
        self.held = False
        self.accepted = False
        self.filled_lots = 0
        self.leaves_lots = request.size_lots
        self.filled_cost = 0
        self.fee_nanos = 0
        self.fills: list[EventRow] = []
        self.reason = _NO_REASON
        self.reason_text = ""
        self.created_ns = ts_ns
        self.updated_ns = ts_ns
        self.venue_order_id = 0

    def _sibling_id(self) -> int | None:
        """The other leg: a bracket's group is entry, stop, target; an OCO's is its two legs."""
        legs = self.group[1:] if self.role in EXIT_ROLES else self.group
        if self.role is Role.ENTRY:
            return None
        return next((order_id for order_id in legs if order_id != self.order_id), None)

    def view(self) -> Order:
        """The order as it is now."""
        is_exit, group = self.role in EXIT_ROLES, self.group
        # In the order of Order's fields: by their names it takes half as long again.
        return Order(
            self.spec,
            self.order_id,
            self.client_order_id,
            self.side,
            self.order_type,
            self.time_in_force,
            self.status,
            self.held,
            self.role,
            self.size_lots,
            self.filled_lots,
            self.leaves_lots,
            self.filled_cost,
            self.fee_nanos,
            self.limit_ticks,
            self.stop_ticks,
            self.reduce_only,
            self.post_only,
            group[0] if is_exit else None,
            self._sibling_id() if group else None,
            group[0] if group else None,
            self.reason_text,
            self.created_ns,
            self.updated_ns,
            self.tag,
            tuple([_fill(self.spec, row) for row in self.fills]),
        )


def _fill(spec: Instrument, row: EventRow) -> Fill:
    return Fill(
        spec,
        row.seq,
        row.order_id,
        row.ts_ns,
        Side(row.side),
        row.price_ticks,
        row.lots,
        row.fee_nanos,
        Liquidity(row.liquidity),
        bool(row.ambiguous),
    )


class PositionRecord:
    """The net position of one instrument: lots, signed sum of ticks x lots, realised P&L."""

    __slots__ = ("cost", "lots", "realised_nanos", "spec")

    def __init__(self, spec: Instrument) -> None:
        self.spec = spec
        self.lots = 0
        self.cost = 0
        self.realised_nanos = 0

    def net(self, signed_lots: int, price_ticks: int) -> int:
        """Net a fill; return the P&L that it realised, in 1e-9 currency.

        What is against the position closes first, at the position's average cost rounded down; what
        is over opens at the fill's price, so a flip is a close plus an open.
        """
        realised = 0
        if self.lots * signed_lots < 0:
            closing = min(abs(self.lots), abs(signed_lots))
            direction = 1 if self.lots > 0 else -1
            released = self.cost * closing // abs(self.lots)
            realised = direction * closing * price_ticks - released
            realised *= self.spec.tick_value_nanos
            self.lots -= direction * closing
            self.cost -= released
            self.realised_nanos += realised
            signed_lots += direction * closing
        self.lots += signed_lots
        self.cost += signed_lots * price_ticks
        return realised

    def unrealised_nanos(self, price_ticks: int) -> int:
        """P&L of what is open, valued at `price_ticks`."""
        return (self.lots * price_ticks - self.cost) * self.spec.tick_value_nanos
