"""What a trader asks of the gateway, typed: searches, bars, and what changes something.

All is paced here. Searches are repeated after any failure. What changes something is sent once: the
gateway's answer, or nobody knows. Only after 401, where the gateway did not look at it, it goes
again with a new token.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from broker_api.errors import BrokerError, ConfigurationError, NotConnectedError
from broker_api.live.transport import Http, OutcomeUnknown, Throttled, Unauthorised
from broker_api.messages import Many, ProtocolError, decode, encode
from broker_api.pacer import Pacer
from broker_api.pacing import Kind
from broker_api.projectx.tokens import Tokens, bearer
from broker_api.projectx.wire import requests
from broker_api.projectx.wire.records import (
    Account,
    Bar,
    ContractRecord,
    Order,
    Position,
    Reply,
    Trade,
    open_envelope,
)
from broker_api.secret import Secret

READ_ATTEMPTS = 4
READ_PAUSE_SECONDS = 0.1
TOKEN_ATTEMPTS = 2
BARS_PATH = "/History/retrieveBars"


@dataclass(frozen=True)
class Pacing:
    """The gateway's limits: of bars, and of everything else together."""

    by_request: Pacer
    by_bars: Pacer
    wait_max_seconds: float

    def of(self, path: str) -> Pacer:
        """The limit of a path."""
        return self.by_bars if path == BARS_PATH else self.by_request


class Client:
    """One user at one gateway; `account_id` is the account that reads and commands are about."""

    def __init__(self, http: Http, tokens: Tokens, pacing: Pacing) -> None:
        self._http = http
        self.tokens = tokens
        self.pacing = pacing
        self.account_id = 0

    # --- what changes something ------------------------------------------------------------------

    async def command(self, path: str, message: Any, *, kind: Kind, key: object = None) -> Reply:
        """Do something, once; the answer may be a refusal.

        Raises NotSentError where nothing was sent, OutcomeUnknown where it may have been done (also
        at 429: whether an order behind it was taken the gateway does not say), ProtocolError where
        the gateway could not read it.
        """
        pacer = self.pacing.of(path)
        wait_max = self.pacing.wait_max_seconds
        async with pacer.turn(1, kind, key=key, wait_max_seconds=wait_max):
            try:
                found = await self._send(path, encode(message))
            except Throttled as refusal:
                pacer.refused(refusal.retry_after_seconds)
                raise OutcomeUnknown(f"{path}: 429, too many requests") from None
        pacer.accepted()
        try:
            return open_envelope(found)
        except ProtocolError as fault:
            raise OutcomeUnknown(f"{path}: an answer that cannot be read: {fault}") from None

    async def _send(self, path: str, body: Any) -> Any:
        for attempt in range(TOKEN_ATTEMPTS):
            token = await self._logged_in(path)
            try:
                return await self._http.post(path, body, bearer(token))
            except Unauthorised:
                if attempt + 1 == TOKEN_ATTEMPTS:
                    raise
            await self._logged_in(path, token)
        raise AssertionError("the last attempt has raised")

    async def _logged_in(self, path: str, refused: Secret | None = None) -> Secret:
        """A token, not the one that was refused. Raises NotConnectedError: nothing was sent."""
        try:
            if refused is not None:
                await self.tokens.refused(refused)
            return await self.tokens.token()
        except (OutcomeUnknown, Throttled, ConfigurationError) as failure:
            raise NotConnectedError(f"{failure}; {path} was not sent") from None

    async def log_in(self) -> None:
        """The first login, tried a few times. Raises ConfigurationError for a refused key."""
        for attempt in range(READ_ATTEMPTS):
            try:
                await self.tokens.token()
                return
            except (OutcomeUnknown, NotConnectedError, Throttled):
                if attempt + 1 == READ_ATTEMPTS:
                    raise
                await asyncio.sleep(READ_PAUSE_SECONDS * 2**attempt)

    # --- searches --------------------------------------------------------------------------------

    async def ask(self, path: str, message: Any) -> Reply:
        """The answer to a search; repeated after failures.

        Raises BrokerError when it fails again and again, ProtocolError for an answer that is none.
        """
        pacer = self.pacing.of(path)
        failure: BrokerError | None = None
        for attempt in range(READ_ATTEMPTS):
            async with pacer.turn(1, Kind.QUERY):
                try:
                    found = await self._send(path, encode(message))
                except Throttled as refusal:
                    failure = refusal
                    pacer.refused(refusal.retry_after_seconds)
                except (OutcomeUnknown, NotConnectedError) as fault:
                    failure = fault
                    # Only this read waits: the next order may well get through.
                    await asyncio.sleep(READ_PAUSE_SECONDS * 2**attempt)
                else:
                    pacer.accepted()
                    return open_envelope(found)
        raise BrokerError(f"{path}: {READ_ATTEMPTS} attempts failed; the last: {failure}")

    async def _many(self, path: str, message: Any, kind: Any, name: str) -> Any:
        reply = await self.ask(path, message)
        if not reply.is_success:
            raise BrokerError(f"{path}: the gateway says: {reply.text or reply.code}")
        return decode(Many[kind], reply.body.get(name, []), f"{path} {name}")

    async def accounts(self) -> tuple[Account, ...]:
        """The user's active accounts."""
        found: tuple[Account, ...] = await self._many(
            "/Account/search", requests.SearchAccounts(only_active=True), Account, "accounts"
        )
        return found

    async def contracts(self, text: str, *, live: bool) -> tuple[ContractRecord, ...]:
        """Contracts by name, code and description; the gateway's search is a fuzzy one."""
        found: tuple[ContractRecord, ...] = await self._many(
            "/Contract/search",
            requests.SearchContracts(text=text, live=live),
            ContractRecord,
            "contracts",
        )
        return found

    async def bars(self, message: requests.RetrieveBars) -> tuple[Bar, ...]:
        """Bars, in the gateway's order."""
        reply = await self.ask(BARS_PATH, message)
        if not reply.is_success:
            raise BrokerError(f"{BARS_PATH}: the gateway says: {reply.text or reply.code}")
        found: tuple[Bar, ...] = decode(
            tuple[Bar, ...], reply.body.get("bars") or [], f"{BARS_PATH} bars"
        )
        return found

    async def open_orders(self) -> tuple[Order, ...]:
        """Every order that works, of whatever session."""
        found: tuple[Order, ...] = await self._many(
            "/Order/searchOpen", requests.OfAccount(self.account_id), Order, "orders"
        )
        return found

    async def orders_since(self, start_ns: int) -> tuple[Order, ...]:
        """Every order that was created from a time on, whatever became of it."""
        found: tuple[Order, ...] = await self._many(
            "/Order/search", requests.SearchSpan(self.account_id, start_ns), Order, "orders"
        )
        return found

    async def order(self, order_id: int) -> Order | None:
        """One order; None for one that the gateway does not know."""
        reply = await self.ask(
            "/Order/searchById", requests.OrderOfAccount(self.account_id, order_id)
        )
        found = reply.body.get("order")
        if not reply.is_success or found is None:
            return None
        order: Order = decode(Order, found, "/Order/searchById order")
        return order

    async def positions(self) -> tuple[Position, ...]:
        """Open positions of the account."""
        found: tuple[Position, ...] = await self._many(
            "/Position/searchOpen", requests.OfAccount(self.account_id), Position, "positions"
        )
        return found

    async def trades_since(self, start_ns: int) -> tuple[Trade, ...]:
        """Every execution from a time on, the oldest first."""
        found: tuple[Trade, ...] = await self._many(
            "/Trade/search", requests.SearchSpan(self.account_id, start_ns), Trade, "trades"
        )
        return tuple(sorted(found, key=lambda trade: (trade.created, trade.id)))
