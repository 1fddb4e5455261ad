"""A compiled strategy's place in a session: what it must know, what it sent, what it may not do.

The broker runs the strategy; the session's books are told of its commands and events in order when
somebody looks at them, so a run of millions of rows does not wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast

from broker_api.errors import ConfigurationError
from broker_api.event import EventRow
from broker_api.journal import Block, in_order
from broker_api.record import OrderRecord
from broker_api.risk import RiskGate
from broker_api.session import Session


class KnownOrder(NamedTuple):
    """A working order as the session knows it; status and type by their codes."""

    order_id: int
    status: int
    order_type: int
    is_entry: bool
    filled_lots: int


class RunBooks:
    """The session as the broker of a compiled strategy sees it."""

    def __init__(self, session: Session, index: int) -> None:
        self._session = session
        self.index = index
        self.spec = session.instruments[index]
        self.next_id = session.next_id
        """A new order id."""

    @property
    def last_id(self) -> int:
        """The id that was given last."""
        return self._session.last_id

    @last_id.setter
    def last_id(self, order_id: int) -> None:
        self._session.last_id = order_id

    @property
    def entries_max(self) -> int:
        """`max_concurrent_orders`."""
        return self._session.config.max_concurrent_orders

    def position_lots(self) -> int:
        """The position as it is known."""
        return self._session.ledger.positions[self.index].lots

    def working(self) -> list[KnownOrder]:
        """The orders that are known to work."""
        return [
            KnownOrder(
                record.order_id,
                record.status.code,
                int(record.order_type),
                record.is_entry,
                record.filled_lots,
            )
            for record in self._session.ledger.working.values()
        ]

    def client_id(self, order_id: int) -> str:
        """The client order id of a new order."""
        return self._session.client_id(order_id)

    def played(self, block: Block, response_ns: int) -> None:
        """The strategy sent this, and was told that: in the journal at once, elsewhere later."""

        def apply() -> None:
            session = self._session
            rows = map(EventRow._make, block.events.tolist())
            for item in in_order(block.commands, rows):
                if isinstance(item, EventRow):
                    session.apply_told(item, item.ts_ns + response_ns)
                else:
                    session.apply_sent(item.ts_ns, item.command, self.index)

        self._session.record_played(block, apply)

    def leave_shortcut(self) -> None:
        """From here the session sends in the ordinary way."""
        self._session.shortcut = None

    def count_at_once(self, now_ns: int, commands: int) -> None:
        """So many commands were sent at `now_ns` that the session has not counted."""
        self._session.at_once.add(now_ns, commands)

    def deny(self) -> None:
        """A placement was refused before it was sent."""
        self._session.counters[self.index].denied += 1

    def order(self, order_id: int) -> OrderRecord | None:
        """An order as it is known, None when there is none."""
        return self._session.ledger.orders.get(order_id)


class RunsCompiled(Protocol):
    """A broker that runs compiled strategies."""

    async def run_compiled(
        self,
        strategy: Any,
        parameters: Mapping[str, Any],
        books: RunBooks,
        until_ns: int | None,
        bar_ns: int | None,
    ) -> None:
        """Run until the tape ends, or until a time; on every row, or on bars of a length."""
        ...


async def run_compiled(
    session: Session,
    risk: RiskGate,
    index: int,
    strategy: Any,
    parameters: Mapping[str, Any],
    until_ns: int | None,
    bar_ns: int | None,
) -> None:
    """Run a compiled strategy. Raises ConfigurationError where it cannot run as other tiers do."""
    session.check()
    broker = session.broker
    if not hasattr(broker, "run_compiled"):
        raise ConfigurationError(f"broker {broker.name!r} runs no compiled strategies")
    if session.has_listeners:
        raise ConfigurationError(
            "a compiled strategy runs alone: cancel the handlers of this session first"
        )
    if not risk.is_open:
        raise ConfigurationError(
            "a compiled strategy knows no account rules (docs/risk.md), and this session has "
            f"{', '.join(risk.rules.names)}"
        )
    if len(session.instruments) != 1:
        names = ", ".join(spec.symbol for spec in session.instruments)
        raise ConfigurationError(
            f"a compiled strategy runs in a session of one instrument; this one has {names}"
        )
    runner = cast(RunsCompiled, broker)
    session.is_occupied = True
    try:
        books = RunBooks(session, index)
        await runner.run_compiled(strategy, parameters, books, until_ns, bar_ns)
    finally:
        session.is_occupied = False
