"""What is sent in the attack on the local Hyperliquid; see `venue_attack`.

Half of the actions are signed again behind what was done to them, so that they reach the book.
"""

from __future__ import annotations

import json
from decimal import Decimal
from random import Random
from typing import Any

from broker_api.catalog import load_catalog
from broker_api.config import SimulationConfig
from broker_api.hyperliquid.signing import Signer, sign_l1
from broker_api.hyperliquid.wire.schema import ProtocolError, encode, parse_json
from sim.venues.faults import Faults
from sim.venues.hyperliquid import admission, info
from sim.venues.hyperliquid.engine import HyperliquidEngine, Options, make_engine
from sim.venues.hyperliquid.hub import Client
from sim.venues.hyperliquid.wire import HyperliquidWire
from sim.venues.runner import Runner
from sim.venues.sockets import Socket, Sockets
from sim.venues.sources import still_source
from tests.venues.spoiling import Deaf, Spoil, plausible, spoil_structure

WALL_MS = 1_790_000_000_000
USER = "0x" + "1" * 40
CLOID = "0x" + "ab" * 16


def order(**changes: Any) -> dict[str, Any]:
    return {
        "a": 1,
        "b": True,
        "p": "2000",
        "s": "0.1",
        "r": False,
        "t": {"limit": {"tif": "Gtc"}},
    } | changes


def stop(**changes: Any) -> dict[str, Any]:
    terms = {"trigger": {"isMarket": True, "triggerPx": "2900", "tpsl": "sl"}}
    return order(b=False, r=True, t=terms, p="2800") | changes


ACTIONS: list[dict[str, Any]] = [
    {"type": "order", "orders": [order(), order(p="3001", c=CLOID)], "grouping": "na"},
    {"type": "order", "orders": [order(p="3001"), stop()], "grouping": "normalTpsl"},
    {"type": "order", "orders": [stop(s="0"), stop(s="0", p="2700")], "grouping": "positionTpsl"},
    {"type": "cancel", "cancels": [{"a": 1, "o": 1}, {"a": 0, "o": 7}]},
    {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": CLOID}]},
    {"type": "modify", "oid": 5, "order": order(), "a": True},
    {"type": "batchModify", "modifies": [{"oid": CLOID, "order": order(p="2100")}]},
    {"type": "scheduleCancel", "time": WALL_MS + 10_000_000},
    {"type": "updateLeverage", "asset": 1, "isCross": False, "leverage": 5},
    {"type": "updateIsolatedMargin", "asset": 1, "isBuy": True, "ntli": 1_000_000},
    {"type": "noop"},
]
QUESTIONS: list[dict[str, Any]] = [
    {"type": "clearinghouseState", "user": USER, "dex": ""},
    {"type": "l2Book", "coin": "ETH", "nSigFigs": 5, "mantissa": 2},
    {"type": "orderStatus", "user": USER, "oid": 1},
    {"type": "candleSnapshot", "req": {"coin": "ETH", "interval": "1w", "startTime": 0}},
    {"type": "userFillsByTime", "user": USER, "startTime": 0, "endTime": 10**13},
    {"type": "fundingHistory", "coin": "BTC", "startTime": 0},
    {"type": "metaAndAssetCtxs"},
    {"type": "activeAssetData", "user": USER, "coin": "ETH"},
    {"type": "portfolio", "user": USER},
]
FRAMES: list[dict[str, Any]] = [
    {"method": "subscribe", "subscription": {"type": "l2Book", "coin": "ETH", "nSigFigs": 3}},
    {"method": "subscribe", "subscription": {"type": "candle", "coin": "ETH", "interval": "1h"}},
    {"method": "subscribe", "subscription": {"type": "userFills", "user": USER}},
    {"method": "unsubscribe", "subscription": {"type": "webData2", "user": USER}},
    {"method": "ping"},
    {"method": "post", "id": 3, "request": {"type": "info", "payload": QUESTIONS[1]}},
]


PLAUSIBLE: dict[str, tuple[Any, ...]] = {
    "a": (0, 1, 1, 1, 2, 10_000),
    "b": (True, False),
    "p": ("2999", "3000.1", "3001", "2900", "3100", "95000", "94999", "1", "0", "2999.95", "150"),
    "s": ("0.1", "0.5", "0.001", "3", "40", "0", "0.00001", "99999999", "-1"),
    "r": (True, False, False),
    "tif": ("Gtc", "Ioc", "Alo", "FrontendMarket"),
    "isMarket": (True, False),
    "triggerPx": ("2900", "3100", "3000", "2999.9", "0", "94000", "96000"),
    "tpsl": ("tp", "sl"),
    "grouping": ("na", "normalTpsl", "positionTpsl"),
    "leverage": (0, 1, 5, 20, 25, 41, 1 << 40),
    "isCross": (True, False),
    "ntli": (1_000_000, -1_000_000, 10**15, 0, -(10**18)),
    "time": (WALL_MS, WALL_MS + 5_000, WALL_MS + 10**9, 0),
    "o": tuple(range(30)),
    "oid": (*range(30), CLOID),
    "asset": (0, 1, 1, 7),
    "cloid": (CLOID, "0x" + "cd" * 16),
    "c": (CLOID, "0x" + "cd" * 16),
}
"""Values that a trader might send, good and bad, by the key that they stand at."""


class HyperliquidTarget:
    """A venue without its network, and one client of its WebSocket."""

    def __init__(self) -> None:
        catalog = load_catalog()
        sources = [
            still_source(catalog["BTC"], Decimal(95_000)),
            still_source(catalog["ETH"], Decimal(3_000)),
        ]
        self.signer = Signer("0x" + "5" * 64)

        def make() -> HyperliquidEngine:
            engine = make_engine(sources, SimulationConfig(), 2, Options(counts_requests=False))
            engine.give(self.signer.address, Decimal(100_000))
            return engine

        self.runner = Runner(make, lambda: WALL_MS * 1_000_000)
        self.nonce = WALL_MS
        faults = Faults()
        sockets = Sockets(faults)
        self.wire = HyperliquidWire(self.runner, sockets, faults)
        self.socket: Socket = sockets.add(Deaf(), Client())  # type: ignore[arg-type]

    @property
    def engine(self) -> HyperliquidEngine:
        """The venue's state."""
        engine = self.runner.engine
        assert isinstance(engine, HyperliquidEngine)
        return engine

    def body(self, action: Any) -> dict[str, Any]:
        """A body with a good signature, where the action can be signed at all."""
        self.nonce += 1
        try:
            signature = sign_l1(self.signer, action, self.nonce, is_mainnet=False)
        except Exception:  # whatever msgpack cannot write
            signature = sign_l1(self.signer, {}, self.nonce, is_mainnet=False)
        return {
            "action": action,
            "nonce": self.nonce,
            "signature": encode(signature),
            "vaultAddress": None,
            "expiresAfter": None,
        }

    def post(self, text: str) -> str:
        """Post a text to /exchange; what came of it."""
        before = self._seen()
        try:
            answer = admission.post(self.runner, self.engine, parse_json(text))
        except ProtocolError:
            assert self._seen() == before, "what could not be read has changed something"
            return "unreadable"
        json.dumps(answer)
        venue = self.engine.venue
        for account, ledger in enumerate(venue.ledgers):
            assert ledger.cash_nanos == venue.exchange.cash_nanos(account)
        return str(answer["status"])

    def ask(self, text: str) -> str:
        """Post a text to /info; what came of it."""
        before = self._seen()
        try:
            json.dumps(info.answer(self.engine, parse_json(text)))
        except ProtocolError:
            return "unreadable"
        finally:
            assert self._seen() == before, "a question has changed something"
        return "answered"

    def say(self, text: str) -> str:
        """Send a text over the WebSocket; what came of it."""
        before = self._seen()
        self.wire._take(self.socket, text)
        self.wire.publish()
        assert self._seen() == before, "a frame has changed something"
        frames = [frame for frame in self.socket._frames if isinstance(frame, str)]
        self.socket._frames.clear()
        return "error" if any('"channel": "error"' in frame for frame in frames) else "answered"

    def _seen(self) -> tuple[int, ...]:
        engine = self.engine
        return (
            len(self.runner.inputs),
            len(engine.venue.events),
            engine.oids,
            sum(len(nonces.used) for nonces in engine.nonces.values()),
        )

    def fire(self, random: Random, shot: int, spoil: Spoil) -> str | None:
        """Send one message, by turns a spoilt action, a signed one, a question, a frame."""
        if shot == 0:
            return f"post: {self.post(spoil(random, self.body(random.choice(ACTIONS))))}"
        if shot == 1:
            try:
                action = plausible(random, random.choice(ACTIONS), PLAUSIBLE)
                if random.random() < 0.3:
                    action = json.loads(spoil_structure(random, action))
                text = json.dumps(self.body(action))
            except (ValueError, RecursionError):
                return None
            return f"plausible: {self.post(text)}"
        if shot == 2:
            return f"ask: {self.ask(spoil(random, random.choice(QUESTIONS)))}"
        return f"say: {self.say(spoil(random, random.choice(FRAMES)))}"
