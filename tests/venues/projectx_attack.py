"""What is sent in the attack on the local ProjectX Gateway; see `venue_attack`."""

from __future__ import annotations

import json
from decimal import Decimal
from random import Random
from typing import Any

from broker_api.catalog import load_catalog
from broker_api.config import SimulationConfig
from broker_api.messages import ProtocolError
from broker_api.projectx.wire.signalr import HANDSHAKE_REQUEST, SEPARATOR
from broker_api.secret import Secret
from sim.venues.faults import Faults
from sim.venues.projectx.engine import AccountSettings, Options, ProjectXEngine, make_engine
from sim.venues.projectx.hub import Client
from sim.venues.projectx.sessions import Sessions
from sim.venues.projectx.wire import ProjectXWire
from sim.venues.runner import Runner
from sim.venues.sockets import Socket, Sockets
from sim.venues.sources import still_source
from tests.venues.spoiling import Deaf, Spoil, plausible

WALL_MS = 1_790_000_000_000
USER = "tester"
CONTRACT, ES = "CON.F.US.MNQ.H25", "CON.F.US.EP.H25"
TIME = "2026-11-21T10:21:31.161032+00:00"


def order(**changes: Any) -> dict[str, Any]:
    table = {"accountId": 1001, "contractId": CONTRACT, "type": 1, "side": 0, "size": 1}
    prices = {"limitPrice": 20_990.0, "stopPrice": None, "trailPrice": None}
    return table | prices | {"customTag": None} | changes


LEGS = {
    "stopLossBracket": {"ticks": -40, "type": 4},
    "takeProfitBracket": {"ticks": 80, "type": 1},
}
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("Order/place", order(customTag="one")),
    ("Order/place", order(type=2, limitPrice=None, **LEGS)),
    ("Order/place", order(type=4, side=1, limitPrice=None, stopPrice=20_900.0)),
    ("Order/place", order(type=5, side=1, limitPrice=None, trailPrice=20_950.0)),
    ("Order/modify", {"accountId": 1001, "orderId": 9001, "size": 2, "limitPrice": 20_980.0}),
    ("Order/cancel", {"accountId": 1001, "orderId": 9001}),
    ("Position/closeContract", {"accountId": 1001, "contractId": CONTRACT}),
    ("Position/partialCloseContract", {"accountId": 1001, "contractId": CONTRACT, "size": 1}),
]
BARS = {"contractId": CONTRACT, "live": False, "startTime": TIME, "endTime": TIME}
SPAN = {"accountId": 1001, "startTimestamp": TIME, "endTimestamp": None}
FILTER = {"accountId": 1001, "statuses": [1, 6], "contractId": CONTRACT, "createdAfter": None}
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("Account/search", {"onlyActiveAccounts": True}),
    ("Contract/search", {"searchText": "NQ", "live": False}),
    ("Contract/searchById", {"contractId": CONTRACT}),
    ("History/retrieveBars", BARS | {"unit": 2, "unitNumber": 5, "limit": 1440}),
    ("Order/search", SPAN),
    ("Order/searchOpen", {"accountId": 1001}),
    ("Order/searchById", {"accountId": 1001, "orderId": 9001}),
    ("Order/v2/query", {"filter": FILTER, "pageSize": 50, "pageOffset": 0, "sortBy": 0}),
    ("Position/searchOpen", {"accountId": 1001}),
    ("Trade/search", SPAN),
]
FRAMES: list[dict[str, Any]] = [
    {"type": 1, "target": "SubscribeOrders", "arguments": [1001], "invocationId": "1"},
    {"type": 1, "target": "SubscribeAccounts", "arguments": []},
    {"type": 1, "target": "UnsubscribeTrades", "arguments": [1001]},
    {"type": 1, "target": "SubscribeContractQuotes", "arguments": [CONTRACT]},
    {"type": 1, "target": "Heartbeat", "arguments": [{"timestamp": 1}]},
    {"type": 6},
]
PLAUSIBLE: dict[str, tuple[Any, ...]] = {
    "accountId": (1001, 1001, 1002, 1003, 0, -1),
    "contractId": (CONTRACT, CONTRACT, ES, "CON.F.US.MNQ.Z99"),
    "type": (0, 1, 2, 3, 4, 5, 6, 7),
    "side": (0, 1),
    "size": (1, 2, 5, 100, 1_000, 0, -1, 1_001, 1 << 30),
    "limitPrice": (21_000.0, 20_999.75, 21_000.25, 20_000.1, 0, -5, 1e12, None),
    "stopPrice": (20_900.0, 21_100.0, 21_000.0, None),
    "trailPrice": (20_990.0, 21_010.0, 1.0, None),
    "customTag": ("one", "two", None, ""),
    "ticks": (-40, 40, 80, -80, 3, 0),
    "orderId": tuple(range(8_999, 9_040)),
}
"""Values that a trader might send, good and bad, by the key that they stand at."""


class ProjectXTarget:
    """A gateway without its network, and one client of its user hub."""

    def __init__(self) -> None:
        catalog = load_catalog()
        sources = [
            still_source(catalog["MNQ"], Decimal(21_000), with_mark=False),
            still_source(catalog["ES"], Decimal(6_000), with_mark=False),
        ]
        accounts = [AccountSettings("A", USER), AccountSettings("B", "somebody")]

        def make() -> ProjectXEngine:
            return make_engine(sources, SimulationConfig(), accounts, Options())

        self.runner = Runner(make, lambda: WALL_MS * 1_000_000)
        sockets = Sockets(Faults())
        sessions = Sessions({}, Secret("only for this attack"))
        self.wire = ProjectXWire(self.runner, sockets, sessions, None)
        self._sockets = sockets
        self.socket = self._connect()

    def _connect(self) -> Socket:
        client = Client("user", USER, "token", WALL_MS)
        socket = self._sockets.add(Deaf(), client)  # type: ignore[arg-type]
        assert self.wire._hub.take(socket, HANDSHAKE_REQUEST)
        return socket

    @property
    def engine(self) -> ProjectXEngine:
        """The gateway's state."""
        engine = self.runner.engine
        assert isinstance(engine, ProjectXEngine)
        return engine

    def fire(self, random: Random, shot: int, spoil: Spoil) -> str | None:
        """Send one message, by turns a spoilt command, a plausible one, a search, a frame."""
        if shot == 0:
            path, body = random.choice(CHANGES)
            return f"post: {self._post(path, spoil(random, body))}"
        if shot == 1:
            path, body = random.choice(CHANGES)
            return f"plausible: {self._post(path, json.dumps(plausible(random, body, PLAUSIBLE)))}"
        if shot == 2:
            path, body = random.choice(QUESTIONS)
            return f"ask: {self._ask(path, spoil(random, body))}"
        return f"say: {self._say(spoil(random, random.choice(FRAMES)))}"

    def _post(self, path: str, text: str) -> str:
        before = self._seen()
        try:
            answer = self.wire._answer(path, USER, text.encode("utf-8", "surrogatepass"))
        except ProtocolError:
            assert self._seen() == before, "what could not be read has changed something"
            return "unreadable"
        finally:
            self.wire.publish()
        json.dumps(answer)
        venue = self.engine.venue
        for account, ledger in enumerate(venue.ledgers):
            assert ledger.cash_nanos == venue.exchange.cash_nanos(account)
        return "ok" if answer["success"] else "err"

    def _ask(self, path: str, text: str) -> str:
        before = self._seen()
        try:
            json.dumps(self.wire._answer(path, USER, text.encode("utf-8", "surrogatepass")))
        except ProtocolError:
            return "unreadable"
        finally:
            assert self._seen() == before, "a question has changed something"
        return "answered"

    def _say(self, text: str) -> str:
        """Send a text to the hub, which ends the connection when it cannot be read."""
        before = self._seen()
        goes_on = self.wire._hub.take(self.socket, text + SEPARATOR)
        self.wire.publish()
        assert self._seen() == before, "a frame has changed something"
        self.socket._frames.clear()
        if not goes_on:
            self._sockets.remove(self.socket)
            self.socket = self._connect()
            self.socket._frames.clear()
        return "answered" if goes_on else "closed"

    def _seen(self) -> tuple[int, ...]:
        engine = self.engine
        return len(self.runner.inputs), len(engine.venue.events), engine.ids, len(engine.orders)
