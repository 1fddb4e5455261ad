"""What a trader asks of the venue, typed: signed actions, and reads by the account's address.

Actions are paced and signed here, and sent again only where the venue said that it did not look at
them. Reads are repeated after any failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from broker_api.errors import BrokerError, NotConnectedError, RateLimited
from broker_api.hyperliquid.nonce import Nonces
from broker_api.hyperliquid.signing import Signer, sign_l1
from broker_api.hyperliquid.wire.account import (
    BasicOrder,
    ClearinghouseState,
    Fill,
    Funding,
    FundingEntry,
    OrderStatusAnswer,
    UserFees,
    UserRateLimit,
    UserRole,
)
from broker_api.hyperliquid.wire.actions import Action, encode_action, encode_posted
from broker_api.hyperliquid.wire.answers import ActionRefused, Answer, decode_answer
from broker_api.hyperliquid.wire.market import Candle, Meta
from broker_api.hyperliquid.wire.schema import Many, ProtocolError, ResponseNumber, decode
from broker_api.hyperliquid.wire.texts import Remedy, read
from broker_api.live.transport import Http, OutcomeUnknown, Throttled
from broker_api.pacer import Pacer
from broker_api.pacing import Allowance, Kind

READ_ATTEMPTS = 4
READ_PAUSE_SECONDS = 0.1
NONCE_ATTEMPTS = 3
LIGHT_READS = ("allMids", "l2Book", "clearinghouseState", "orderStatus")
"""Reads of weight 2; most others weigh 20. Source: the venue's documentation, "Rate limits"."""
HEAVY_READS = ("userRole",)
ENTRIES_A_WEIGHT = 40


@dataclass(frozen=True)
class Pacing:
    """The venue's limits: by weight for the address on the internet, by entries for the account."""

    by_weight: Pacer
    by_entry: Pacer
    allowance: Allowance
    wait_max_seconds: float


class Client:
    """One account at one venue. `account` is whom reads are about and actions act for."""

    def __init__(
        self,
        http: Http,
        signer: Signer,
        nonces: Nonces,
        pacing: Pacing,
        *,
        account: str,
        is_mainnet: bool,
        vault: str | None,
        now_ms: Callable[[], int],
    ) -> None:
        self._http = http
        self._signer = signer
        self._nonces = nonces
        self.pacing = pacing
        self.account = account
        self._is_mainnet = is_mainnet
        self._vault = vault
        self.now_ms = now_ms

    # --- actions -------------------------------------------------------------------------------

    async def exchange(
        self,
        action: Action,
        *,
        kind: Kind,
        entries: int = 1,
        valid_ms: int | None = None,
        on_send: Callable[[int | None], None] = lambda expires_ms: None,
    ) -> Answer:
        """Send an action; the answer may be a refusal.

        `valid_ms` from sending on the venue does not take it any more; `on_send` is told until when
        that is. Raises NotSentError where nothing was sent or surely nothing was done,
        OutcomeUnknown where it may have been, ProtocolError where the venue could not read it.
        """
        weight = 1 + entries // ENTRIES_A_WEIGHT
        wait_max = self.pacing.wait_max_seconds
        by_entry = self.pacing.by_entry.turn(entries, kind, wait_max_seconds=wait_max)
        async with by_entry:
            for attempt in range(NONCE_ATTEMPTS):
                async with self.pacing.by_weight.turn(weight, kind, wait_max_seconds=wait_max):
                    answer = await self._send(action, valid_ms, on_send)
                if answer is None:
                    continue
                remedy = read(answer.text).remedy if isinstance(answer, ActionRefused) else None
                if remedy is Remedy.NEW_NONCE and attempt + 1 < NONCE_ATTEMPTS:
                    continue
                if remedy is Remedy.WAIT:
                    self.pacing.by_entry.refused()
                    break
                self.pacing.by_weight.accepted()
                return answer
        raise RateLimited("the venue refused for too many requests; it did nothing")

    async def _send(
        self, action: Action, valid_ms: int | None, on_send: Callable[[int | None], None]
    ) -> Answer | None:
        """One attempt; None when the venue did not look at it."""
        nonce = await self._nonces.next()
        expires = None if valid_ms is None else self.now_ms() + valid_ms
        encoded = encode_action(action)
        signature = sign_l1(
            self._signer,
            encoded,
            nonce,
            is_mainnet=self._is_mainnet,
            vault=self._vault,
            expires_after=expires,
        )
        on_send(expires)
        body = encode_posted(encoded, nonce, signature, self._vault, expires)
        try:
            found = await self._http.post("/exchange", body)
        except Throttled as refusal:
            self.pacing.by_weight.refused(refusal.retry_after_seconds)
            return None
        try:
            return decode_answer(found)
        except ProtocolError as fault:
            raise OutcomeUnknown(f"an answer that cannot be read: {fault}") from None

    # --- reads ---------------------------------------------------------------------------------

    async def ask(self, kind: Any, request: dict[str, Any], *, items: int = 0) -> Any:
        """The decoded answer to a request of `/info`; repeated after failures.

        Raises BrokerError when it fails again and again, ProtocolError for an answer that is none.
        """
        name = request["type"]
        weight = 2 if name in LIGHT_READS else 60 if name in HEAVY_READS else 20 + items
        failure: BrokerError | None = None
        for attempt in range(READ_ATTEMPTS):
            async with self.pacing.by_weight.turn(weight, Kind.QUERY):
                try:
                    found = await self._http.post("/info", request)
                except Throttled as refusal:
                    failure = refusal
                    self.pacing.by_weight.refused(refusal.retry_after_seconds)
                except (OutcomeUnknown, NotConnectedError) as fault:
                    failure = fault
                    # Only this read waits: the next order may well get through.
                    await asyncio.sleep(READ_PAUSE_SECONDS * 2**attempt)
                else:
                    self.pacing.by_weight.accepted()
                    return decode(kind, found, f"info {name}")
        raise BrokerError(f"{name}: {READ_ATTEMPTS} attempts failed; the last: {failure}")

    async def meta(self) -> Meta:
        """What is traded."""
        meta: Meta = await self.ask(Meta, {"type": "meta"})
        return meta

    async def role(self, address: str) -> UserRole:
        """Who an address is."""
        role: UserRole = await self.ask(UserRole, {"type": "userRole", "user": address})
        return role

    async def fees(self) -> UserFees:
        """The account's rates."""
        fees: UserFees = await self.ask(UserFees, self._of_account("userFees"))
        return fees

    async def rate_limit(self) -> UserRateLimit:
        """The account's requests so far, and how many it may."""
        found: UserRateLimit = await self.ask(UserRateLimit, self._of_account("userRateLimit"))
        return found

    async def mids(self) -> dict[str, Any]:
        """The mid of every coin."""
        mids: dict[str, Any] = await self.ask(dict[str, ResponseNumber], {"type": "allMids"})
        return mids

    async def state(self) -> ClearinghouseState:
        """Positions and money."""
        request = self._of_account("clearinghouseState")
        state: ClearinghouseState = await self.ask(ClearinghouseState, request)
        return state

    async def open_orders(self) -> tuple[BasicOrder, ...]:
        """Every order that works, of whatever session."""
        orders: tuple[BasicOrder, ...] = await self.ask(
            Many[BasicOrder], self._of_account("openOrders")
        )
        return orders

    async def order_status(self, number: int | str) -> OrderStatusAnswer:
        """The newest order under an oid or a cloid."""
        request = {**self._of_account("orderStatus"), "oid": number}
        status: OrderStatusAnswer = await self.ask(OrderStatusAnswer, request)
        return status

    async def newest_fills(self) -> tuple[Fill, ...]:
        """At most 2,000, the newest first."""
        request = self._of_account("userFills")
        fills: tuple[Fill, ...] = await self.ask(Many[Fill], request)
        return fills

    async def fills_since(self, start_ms: int) -> tuple[Fill, ...]:
        """Every fill from a time on, the oldest first."""
        found: dict[tuple[int, str, int, int], Fill] = {}
        while True:
            request = {**self._of_account("userFillsByTime"), "startTime": start_ms}
            page: tuple[Fill, ...] = await self.ask(Many[Fill], request)
            fresh = [fill for fill in page if fill.key not in found]
            found.update((fill.key, fill) for fill in fresh)
            if len(page) < FILLS_PAGE or not fresh:
                return tuple(sorted(found.values(), key=lambda fill: fill.time))
            start_ms = max(fill.time for fill in page)

    async def funding_since(self, start_ms: int) -> tuple[Funding, ...]:
        """Every payment of funding from a time on."""
        request = {**self._of_account("userFunding"), "startTime": start_ms}
        entries: tuple[FundingEntry, ...] = await self.ask(Many[FundingEntry], request)
        return tuple(
            Funding(
                each.time,
                each.delta.coin,
                each.delta.usdc,
                each.delta.size,
                each.delta.rate,
                each.delta.samples,
            )
            for each in entries
        )

    async def candles(
        self, coin: str, interval: str, start_ms: int, end_ms: int
    ) -> tuple[Candle, ...]:
        """Bars of a coin, the oldest first."""
        span = {"coin": coin, "interval": interval, "startTime": start_ms, "endTime": end_ms}
        candles: tuple[Candle, ...] = await self.ask(
            Many[Candle], {"type": "candleSnapshot", "req": span}, items=10
        )
        return candles

    def _of_account(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "user": self.account}


FILLS_PAGE = 2_000
"""Fills of one answer; more of them are asked for from the last one's time on."""
