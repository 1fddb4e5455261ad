"""Out of the market: every order that could add exposure cancelled, every position closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Container

from broker_api.changing import Changing
from broker_api.closing import Closing
from broker_api.errors import OrderNotActiveError, ReduceOnlyError, TradingError
from broker_api.placing import Placing
from broker_api.record import EXIT_ROLES, UNASKED_ROLES
from broker_api.risk import RiskGate
from broker_api.session import Session

_NOTHING_LEFT = (OrderNotActiveError, ReduceOnlyError)
"""The order had ended, or the position was closed, before the command came."""


class Flattening:
    """Cancels and closes by the session's own verbs. Exits stay until their position is closed."""

    def __init__(self, session: Session, risk: RiskGate) -> None:
        self._session = session
        self._changing = Changing(session, risk)
        self._closing = Closing(session, Placing(session, risk))

    async def run(self, tag: str, instruments: Container[int] | None = None) -> list[TradingError]:
        """Send every cancel, then a market order for every position, and wait for the answers.

        `instruments` are the indices of those that it is about, None: of all.
        Returns what was refused or not sent; what had ended by itself is no failure. Raises what is
        no TradingError.
        """
        ledger = self._session.ledger
        wanted = range(len(ledger.positions)) if instruments is None else instruments
        chosen = [
            record
            for record in ledger.working.values()
            if record.instrument in wanted
            and not record.reduce_only
            and record.role not in (*EXIT_ROLES, *UNASKED_ROLES)
        ]
        # gather starts its tasks in this order: cancels leave first, and nothing waits for them.
        work: list[Awaitable[object]] = [self._changing.cancel(each.order_id) for each in chosen]
        work += [
            self._closing.close(index, "market", None, {"tag": tag})
            for index, position in enumerate(ledger.positions)
            if position.lots and index in wanted
        ]
        results = await asyncio.gather(*work, return_exceptions=True)
        failures: list[TradingError] = []
        for result in results:
            if isinstance(result, TradingError):
                failures += [] if isinstance(result, _NOTHING_LEFT) else [result]
            elif isinstance(result, BaseException):
                raise result
        return failures
