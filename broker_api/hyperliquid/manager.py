"""The three verbs of the venue's own examples, over the same broker and order manager.

    async with HyperliquidOrderManager(network="testnet") as manager:
        oid = await manager.place_limit_order("ETH", True, 0.2, 1100)
        await manager.cancel_order("ETH", oid)
        for position in await manager.get_positions():
            print(position.coin, position.size)

Coins are opened as they are named. Refusals raise, as everywhere; nothing is ever None instead.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from broker_api.contingent_broker import ContingentBroker
from broker_api.errors import NotConnectedError, OrderNotActiveError
from broker_api.event import Reason
from broker_api.hyperliquid.broker import HyperliquidBroker
from broker_api.hyperliquid.wire.account import AssetPosition
from broker_api.hyperliquid.wire.actions import Cancel, CancelAction
from broker_api.hyperliquid.wire.answers import ActionRefused, Entries, Refused
from broker_api.instrument import Number
from broker_api.order import Side
from broker_api.pacing import Kind
from broker_api.suite import InstrumentContext, TradingSuite
from broker_api.view import Order


class HyperliquidOrderManager:
    """Limit orders, cancels and positions by coin and by the venue's own order ids.

    The arguments are the settings of the adapter (`hyperliquid.config.HyperliquidConfig`):
    network, key, account and the rest. What goes beyond these verbs is `await manager.coin("ETH")`,
    the same context that a TradingSuite has: `.orders`, `.positions`, `.data`.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._suites: dict[str, TradingSuite] = {}
        self._closed = False

    async def coin(self, symbol: str) -> InstrumentContext:
        """A coin's orders, positions and market data; opened at the first call."""
        if self._closed:
            raise NotConnectedError("the manager is closed; nothing was sent")
        if symbol not in self._suites:
            self._suites[symbol] = await TradingSuite.create(
                [symbol], broker="hyperliquid", **self._settings
            )
        return self._suites[symbol][symbol]

    async def place_limit_order(
        self, symbol: str, is_buy: bool, size: Number, price: Number, **options: Any
    ) -> int:
        """Place a limit order, good till cancelled; returns the venue's order id.

        `options` are those of `OrderManager.place_limit_order`: post_only, reduce_only and others.
        Raises the typed refusal.
        """
        context = await self.coin(symbol)
        side = Side.BUY if is_buy else Side.SELL
        placed = await context.orders.place_limit_order(symbol, side, size, price, **options)
        session = self._suites[symbol].session
        assert placed.order_id is not None, "a placement that answers has an order"
        return session.ledger.orders[placed.order_id].venue_order_id

    async def cancel_order(self, symbol: str, oid: int) -> Order | None:
        """Cancel by the venue's order id; returns the order, None for one of another session.

        Raises OrderNotActiveError when there is nothing to cancel.
        """
        context = await self.coin(symbol)
        session = self._suites[symbol].session
        order_id = session.ledger.id_of_venue(oid)
        if order_id is not None:
            return await context.orders.cancel_order(order_id)
        await self._cancel_foreign(symbol, oid)
        return None

    async def _cancel_foreign(self, symbol: str, oid: int) -> None:
        live = self._broker(symbol).live
        (contract,) = live.contracts
        answer = await live.client.exchange(
            CancelAction((Cancel(contract.asset, oid),)), kind=Kind.CANCEL
        )
        entry = answer.entries[0] if isinstance(answer, Entries) else answer
        if isinstance(entry, Refused | ActionRefused):
            raise OrderNotActiveError(
                f"order {oid} of {symbol}: the venue says: {entry.text}",
                reason=Reason.ORDER_NOT_ACTIVE,
            )

    async def get_positions(self) -> list[AssetPosition]:
        """Every open position of the account, in whatever coin, as the venue describes it."""
        if not self._suites:
            await self.coin("BTC")  # any coin will do: the account is the same
        state = await self._broker(next(iter(self._suites))).live.client.state()
        return [entry.position for entry in state.positions]

    def _broker(self, symbol: str) -> HyperliquidBroker:
        broker = self._suites[symbol].session.broker
        assert isinstance(broker, ContingentBroker), "it was created by that name"
        assert isinstance(broker.plain, HyperliquidBroker)
        return broker.plain

    async def close(self) -> None:
        """End all connections. Idempotent. Working orders stay as they are."""
        self._closed = True
        while self._suites:
            await self._suites.popitem()[1].disconnect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
