"""A local ProjectX Gateway on a free loopback port, and plain clients of its REST and its hubs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import requests
import websocket

from broker_api.catalog import load_catalog
from broker_api.config import SimulationConfig
from broker_api.projectx.wire import signalr
from broker_api.projectx.wire.records import decode_pushed
from broker_api.projectx.wire.signalr import Invocation, Message, Splitter, encode_message
from broker_api.secret import Secret
from sim.venues.projectx.engine import AccountSettings, Options
from sim.venues.projectx.serve import VenueSettings, make_server
from sim.venues.server import ServerSettings, in_background
from sim.venues.sources import Source, still_source
from tests.venues.controlled import TOKEN, Controlled, WallTime

CATALOG = load_catalog()
MNQ, ES = CATALOG["MNQ"], CATALOG["ES"]
USER, KEY, ACCOUNT, SECOND = "tester", "a-key-of-tests", 1001, 1002
OTHER_USER, OTHER_KEY, OTHER_ACCOUNT = "somebody", "another-key-of-tests", 1003
CONTRACT, ES_CONTRACT = "CON.F.US.MNQ.H25", "CON.F.US.EP.H25"
BUY, SELL = 0, 1
LIMIT, MARKET, STOP_LIMIT, STOP, TRAILING, JOIN_BID, JOIN_ASK = 1, 2, 3, 4, 5, 6, 7
OPEN, FILLED, CANCELLED, REJECTED, SUSPENDED = 1, 2, 3, 5, 8


class HubClient:
    """A connection to a hub that has shaken hands."""

    def __init__(self, url: str, hub: str, token: str) -> None:
        address = f"ws{url.removeprefix('http')}/hubs/{hub}?access_token={token}"
        self.stream = websocket.create_connection(address, timeout=60)
        self._splitter = Splitter()
        self._texts: list[str] = []
        self.stream.send(signalr.HANDSHAKE_REQUEST)
        signalr.check_handshake_answer(self._text())

    def _text(self) -> str:
        while not self._texts:
            self._texts += self._splitter.feed(self.stream.recv())
        return self._texts.pop(0)

    def message(self) -> Message | None:
        """The next message."""
        return signalr.decode_message(self._text())

    def call(self, target: str, *arguments: Any) -> str | None:
        """Call a method and wait for its end; what was wrong with it. Events before it are lost."""
        self.send(target, *arguments, invocation_id="1")
        while True:
            message = self.message()
            if isinstance(message, signalr.Completion):
                return message.error

    def send(self, target: str, *arguments: Any, invocation_id: str | None = None) -> None:
        """Call a method."""
        self.stream.send(encode_message(Invocation(target, arguments, invocation_id)))

    def event(self) -> tuple[str, Any]:
        """The next event: its name and its record, as a client reads them."""
        while True:
            message = self.message()
            if isinstance(message, Invocation):
                pushed = decode_pushed(message.target, message.arguments)
                assert pushed is not None, message
                (record,) = pushed.records
                return pushed.target.removeprefix("Gateway"), record

    def events(self, count: int) -> list[tuple[str, Any]]:
        """So many events."""
        return [self.event() for _ in range(count)]

    def close(self) -> None:
        """End the connection."""
        self.stream.close()
        self.stream.shutdown()


class Gateway(Controlled):
    """The gateway of a test, and a user of it who is logged in."""

    def __init__(self, server: Any, wall: WallTime) -> None:
        super().__init__(server, wall)
        self.url = server.url
        self.session = requests.Session()
        self.token = self.log_in(USER, KEY)
        self._hubs: list[HubClient] = []

    def log_in(self, user: str, key: str) -> str:
        """A new token."""
        answer = self.post("Auth/loginKey", token="", userName=user, apiKey=key).json()
        assert answer["success"], answer
        return answer["token"]

    def post(self, path: str, token: str | None = None, **body: Any) -> requests.Response:
        """A request as it is."""
        return self.raw(path, json.dumps(body), token)

    def raw(self, path: str, body: str, token: str | None = None) -> requests.Response:
        """A request with any body."""
        headers = {"Content-Type": "application/json"}
        token = self.token if token is None else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.session.post(f"{self.url}/api/{path}", data=body, headers=headers, timeout=60)

    def ask(self, path: str, **body: Any) -> dict[str, Any]:
        """A request that is done; its answer."""
        answer = self.post(path, **body).json()
        assert (answer["success"], answer["errorCode"], answer["errorMessage"]) == (True, 0, None)
        return answer

    def refused(self, path: str, **body: Any) -> tuple[int, str]:
        """A request that is refused: code and sentence."""
        answer = self.post(path, **body)
        assert answer.status_code == 200
        assert answer.json()["success"] is False
        return answer.json()["errorCode"], answer.json()["errorMessage"]

    def place(self, kind: int, side: int, size: int = 1, **more: Any) -> int:
        """Place an order in MNQ; its id."""
        return self.ask("Order/place", **order(kind, side, size, **more))["orderId"]

    def order(self, order_id: int, account: int = ACCOUNT) -> dict[str, Any]:
        """An order as the search tells of it."""
        return self.ask("Order/searchById", accountId=account, orderId=order_id)["order"]

    def orders(self, **filters: Any) -> list[dict[str, Any]]:
        """Orders by the query, oldest first."""
        found = {"accountId": ACCOUNT, **filters}
        return self.ask("Order/v2/query", filter=found, sortBy=1, sortDirection=0)["orders"]

    def position(self, account: int = ACCOUNT) -> list[tuple[int, int, float]]:
        """Open positions: type, size, average price."""
        found = self.ask("Position/searchOpen", accountId=account)["positions"]
        return [(each["type"], each["size"], each["averagePrice"]) for each in found]

    def trades(self) -> list[dict[str, Any]]:
        """Executions, oldest first."""
        return self.ask("Trade/search", accountId=ACCOUNT)["trades"]

    def hub(self, name: str, token: str | None = None) -> HubClient:
        """A new connection to a hub."""
        self._hubs.append(HubClient(self.url, name, self.token if token is None else token))
        return self._hubs[-1]

    def user_hub(self) -> HubClient:
        """A connection that hears all of the account."""
        hub = self.hub("user")
        assert hub.call("SubscribeAccounts") is None
        for name in ("Orders", "Positions", "Trades"):
            assert hub.call(f"Subscribe{name}", ACCOUNT) is None
        return hub

    def close(self) -> None:
        """Let go of all connections."""
        for hub in self._hubs:
            hub.close()
        self.session.close()


def order(
    kind: int, side: int, size: int = 1, *, account: int = ACCOUNT, **more: Any
) -> dict[str, Any]:
    """The body of a placement in MNQ."""
    body = {"accountId": account, "contractId": CONTRACT, "type": kind, "side": side, "size": size}
    return body | more


def still_futures() -> tuple[Source, ...]:
    """MNQ at 21,000 and ES at 6,000, 100 at each touch; they move by hand."""
    return (
        still_source(MNQ, Decimal(21_000), size=Decimal(100), with_mark=False),
        still_source(ES, Decimal(6_000), size=Decimal(100), with_mark=False),
    )


@contextmanager
def local_gateway(
    sources: Sequence[Source] | None = None,
    *,
    options: Options | None = None,
    has_limits: bool = False,
    **simulation: Any,
) -> Iterator[Gateway]:
    """A gateway whose time is stepped: two accounts of one user, one of another."""
    wall = WallTime()
    settings = VenueSettings(
        sources=tuple(sources or still_futures()),
        server=ServerSettings(Secret(TOKEN)),
        keys={USER: Secret(KEY), OTHER_USER: Secret(OTHER_KEY)},
        accounts=(
            AccountSettings("SIM-1", USER),
            AccountSettings("SIM-2", USER),
            AccountSettings("SIM-3", OTHER_USER),
        ),
        simulation=SimulationConfig(**simulation),
        has_limits=has_limits,
        options=options or Options(),
    )
    with in_background(lambda: make_server(settings, wall)) as server:
        gateway = Gateway(server, wall)
        try:
            yield gateway
        finally:
            gateway.close()
