"""A local Hyperliquid on a free loopback port, and the vendor's own SDK connected to it."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import requests
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info

from broker_api.catalog import load_catalog
from broker_api.config import SimulationConfig
from broker_api.secret import Secret
from sim.venues.hyperliquid.engine import HyperliquidEngine, Options
from sim.venues.hyperliquid.serve import VenueSettings, make_server
from sim.venues.server import ServerSettings, VenueServer, in_background
from sim.venues.sources import Source, still_source
from tests.venues.controlled import TOKEN, Controlled, WallTime

CATALOG = load_catalog()
ETH, BTC = CATALOG["ETH"], CATALOG["BTC"]
KEYS = [f"0x{number:064x}" for number in range(0xA11CE, 0xA11CE + 8)]
BTC_ID, ETH_ID = 0, 1


class Trader:
    """One key with the SDK's clients on the venue."""

    def __init__(self, url: str, key: str, master: str | None = None) -> None:
        self.wallet = Account.from_key(key)
        self.address = master or self.wallet.address
        self.info = Info(url, skip_ws=True)
        self.exchange = Exchange(self.wallet, url, account_address=master)

    def close(self) -> None:
        """Let go of the connections that the SDK keeps open."""
        for client in (self.info, self.exchange, self.exchange.info):
            client.session.close()

    def statuses(self, answer: Any) -> list[Any]:
        """The entries of an answer that was accepted."""
        assert answer["status"] == "ok", answer
        return answer["response"]["data"]["statuses"]

    def limit(
        self, is_buy: bool, size: float, price: float, tif: str = "Gtc", **more: Any
    ) -> dict[str, Any]:
        """Place a limit order in ETH; its entry of the answer."""
        terms = {"limit": {"tif": tif}}
        answer = self.exchange.order("ETH", is_buy, size, price, terms, **more)
        return self.statuses(answer)[0]

    def trigger(
        self, is_buy: bool, size: float, price: float, at: float, tpsl: str, **more: Any
    ) -> dict[str, Any]:
        """Place a trigger order in ETH that executes at market; its entry."""
        terms = {"trigger": {"isMarket": more.pop("market", True), "triggerPx": at, "tpsl": tpsl}}
        more.setdefault("reduce_only", True)
        answer = self.exchange.order("ETH", is_buy, size, price, terms, **more)
        return self.statuses(answer)[0]

    def status(self, oid: Any) -> str:
        """The status word of an order."""
        answer = self.info.query_order_by_oid(self.address, oid)
        return answer["order"]["status"]

    def position(self, coin: str = "ETH") -> Decimal:
        """The signed position in a coin."""
        state = self.info.user_state(self.address)
        sizes = {
            each["position"]["coin"]: each["position"]["szi"] for each in state["assetPositions"]
        }
        return Decimal(sizes.get(coin, "0"))

    def open_oids(self) -> list[int]:
        """Ids of working orders, newest first."""
        return [order["oid"] for order in self.info.open_orders(self.address)]

    def fills(self) -> list[tuple[str, str, str, str]]:
        """Fills, oldest first: direction, size, price, realised profit."""
        fills = self.info.user_fills_by_time(self.address, 0)
        return [(fill["dir"], fill["sz"], fill["px"], fill["closedPnl"]) for fill in fills]


class Local(Controlled):
    """The venue of a test: its server, its control port, its traders."""

    def __init__(self, server: VenueServer, wall: WallTime) -> None:
        super().__init__(server, wall)
        self.url = server.url
        self.traders = [Trader(self.url, KEYS[0])]
        self._agents: list[Trader] = []

    @property
    def trader(self) -> Trader:
        """The first trader."""
        return self.traders[0]

    def another(self) -> Trader:
        """One more funded trader."""
        self.traders.append(Trader(self.url, KEYS[len(self.traders)]))
        return self.traders[-1]

    def agent(self, key: str, master: str | None = None) -> Trader:
        """A key that acts for another address."""
        self._agents.append(Trader(self.url, key, master))
        return self._agents[-1]

    def close(self) -> None:
        """Let go of all clients."""
        for trader in (*self.traders, *self._agents):
            trader.close()

    @property
    def engine(self) -> HyperliquidEngine:
        """The venue's state, for what no answer tells."""
        engine = self.server.runner.engine
        assert isinstance(engine, HyperliquidEngine)
        return engine

    def post(self, path: str, body: Any) -> requests.Response:
        """A raw request to the venue's port."""
        data = body if isinstance(body, str | bytes) else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        return requests.post(self.url + path, data=data, headers=headers, timeout=60)

    def state(self) -> tuple[Any, ...]:
        """Everything that a refused request must not change."""
        engine = self.engine
        users = {
            address: (
                user.requests_used,
                len(user.orders),
                len(user.fills),
                user.spot_nanos,
                sorted(user.agents),
                [(setting.leverage, setting.is_cross) for setting in user.settings],
                user.scheduled_ms,
            )
            for address, user in engine.users.items()
        }
        nonces = {signer: list(each.used) for signer, each in engine.nonces.items()}
        return engine.venue.exchange.state_hash, users, nonces, len(engine.venue.events)


def still_markets() -> tuple[Source, ...]:
    """BTC at 95,000 and ETH at 3,000, 100 ETH and 1 BTC at each touch; they move by hand."""
    return (
        still_source(BTC, Decimal(95_000), size=Decimal(1)),
        still_source(ETH, Decimal(3_000), size=Decimal(100)),
    )


@contextmanager
def local_venue(
    sources: Sequence[Source] | None = None,
    *,
    cash: int = 10_000,
    options: Options | None = None,
    limits_by_ip: bool = False,
    **simulation: Any,
) -> Iterator[Local]:
    """A venue whose time is stepped, with eight funded keys."""
    wall = WallTime()
    settings = VenueSettings(
        sources=tuple(still_markets() if sources is None else sources),
        server=ServerSettings(Secret(TOKEN)),
        simulation=SimulationConfig(**simulation),
        funds={Account.from_key(key).address: Decimal(cash) for key in KEYS},
        options=options or Options(),
        limits_by_ip=limits_by_ip,
    )
    with in_background(lambda: make_server(settings, wall)) as server:
        venue = Local(server, wall)
        try:
            yield venue
        finally:
            venue.close()


class Listening:
    """The SDK's WebSocket, with what each subscription has received."""

    def __init__(self, venue: Local) -> None:
        self.info = Info(venue.url, skip_ws=False)
        self._venue = venue
        self._queues: dict[int, queue.Queue[Any]] = {}
        self._lines: list[Any] = []

    def subscribe(self, subscription: Mapping[str, Any]) -> int:
        """Subscribe; the number by which `next` asks for what came."""
        messages: queue.Queue[Any] = queue.Queue()
        number = self.info.subscribe(dict(subscription), messages.put)
        self._queues[number] = messages
        deadline = time.monotonic() + 60
        while self._arrived() < len(self._queues) and time.monotonic() < deadline:
            time.sleep(0.002)  # the SDK passes acknowledgements over
        self._lines.append(self.info.ws_manager.ws.sock.sock)
        return number

    def _arrived(self) -> int:
        return sum(len(socket.data.wanted) for socket in self._venue.server.sockets)

    def next(self, number: int, until: Callable[[Any], bool] = lambda data: True) -> Any:
        """The data of the next frame, or of the first that is as wanted."""
        deadline = time.monotonic() + 60
        while True:
            message = self._queues[number].get(timeout=max(0.01, deadline - time.monotonic()))
            if until(message["data"]):
                return message["data"]

    def is_silent(self, number: int) -> bool:
        """Whether nothing is waiting."""
        return self._queues[number].empty()

    def close(self) -> None:
        """End the connection and its threads."""
        self.info.disconnect_websocket()
        for line in self._lines:
            line.close()  # the SDK's library leaves open what the server has closed
        self.info.session.close()


@contextmanager
def listening(venue: Local) -> Iterator[Listening]:
    """A WebSocket of the SDK for the length of a block."""
    listener = Listening(venue)
    try:
        yield listener
    finally:
        listener.close()
