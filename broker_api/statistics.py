"""The order manager's statistics: running counts, so that they survive forgotten orders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from broker_api.order import OrderStatus

_NS_MS = 1_000_000
_NS_SECOND = 1_000_000_000


@dataclass(slots=True)
class Counters:
    """Counts of one instrument since the session began; times are session time in nanoseconds."""

    sent: int = 0
    denied: int = 0
    rejected: int = 0
    filled: int = 0
    cancelled: int = 0
    expired: int = 0
    fills: int = 0
    fill_ns: int = 0
    answers: int = 0
    answer_ns: int = 0

    def count_end(self, status: OrderStatus, age_ns: int) -> None:
        """Count an order that ended as `status`, `age_ns` after it was given."""
        if status is OrderStatus.FILLED:
            self.filled += 1
            self.fill_ns += age_ns
        elif status is OrderStatus.CANCELLED:
            self.cancelled += 1
        elif status is OrderStatus.EXPIRED:
            self.expired += 1
        elif status is OrderStatus.REJECTED:
            self.rejected += 1

    def count_answer(self, elapsed_ns: int) -> None:
        """Count a command's answer and the session time that it took."""
        self.answers += 1
        self.answer_ns += elapsed_ns


def total(counters: Iterable[Counters]) -> Counters:
    """The sum of several counters."""
    result = Counters()
    for each in counters:
        for field in fields(Counters):
            name = field.name
            setattr(result, name, getattr(result, name) + getattr(each, name))
    return result


def summary(counters: Counters, pending: int, elapsed_ns: int) -> dict[str, Any]:
    """The statistics under the names of the OrderManager page.

    `fill_rate` is filled over sent orders; `error_rate` is denied and rejected over all attempts.
    Denied orders were refused before they were sent, rejected ones by the venue.
    """
    attempts = counters.sent + counters.denied
    errors = counters.denied + counters.rejected
    return {
        "total_orders": counters.sent,
        "pending_orders": pending,
        "filled_orders": counters.filled,
        "cancelled_orders": counters.cancelled,
        "expired_orders": counters.expired,
        "rejected_orders": counters.rejected,
        "denied_orders": counters.denied,
        "fills": counters.fills,
        "fill_rate": _ratio(counters.filled, counters.sent),
        "error_rate": _ratio(errors, attempts),
        "avg_fill_time_ms": _ratio(counters.fill_ns, counters.filled) / _NS_MS,
        "performance_metrics": {
            "orders_per_second": _ratio(counters.sent * _NS_SECOND, elapsed_ns),
            "avg_response_time_ms": _ratio(counters.answer_ns, counters.answers) / _NS_MS,
            "answers": counters.answers,
            "session_seconds": elapsed_ns / _NS_SECOND,
        },
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0
