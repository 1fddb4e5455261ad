"""Both hubs: who subscribed to what, and the messages that go out as things happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from broker_api.messages import ProtocolError, encode
from broker_api.projectx.wire.enums import DomType, TradeLogType
from broker_api.projectx.wire.records import EVENT_OF, Depth, MarketTrade, Quote
from broker_api.projectx.wire.signalr import (
    HANDSHAKE_ANSWER,
    Close,
    Completion,
    Invocation,
    Message,
    Ping,
    Splitter,
    check_handshake_request,
    decode_message,
    encode_message,
)
from sim.venues.present import Touch
from sim.venues.projectx.engine import ProjectXEngine
from sim.venues.projectx.records import Market, News
from sim.venues.runner import Runner
from sim.venues.sockets import Socket, Sockets

USER, MARKET = "user", "market"
PING_MS = 15_000
QUIET_MS = 15_000
"""So long after the last quote it is sent once more: clients take a silent feed for a dead one."""
PRINTS_MAX = 2000
"""Prints of one turn, when time has jumped over more: the newest."""
_USER_METHODS = {
    "SubscribeAccounts": "GatewayUserAccount",
    "SubscribeOrders": "GatewayUserOrder",
    "SubscribePositions": "GatewayUserPosition",
    "SubscribeTrades": "GatewayUserTrade",
}
_MARKET_METHODS = {
    "SubscribeContractQuotes": "GatewayQuote",
    "SubscribeContractTrades": "GatewayTrade",
    "SubscribeContractMarketDepth": "GatewayDepth",
}
_METHODS = {USER: _USER_METHODS, MARKET: _MARKET_METHODS}


@dataclass
class Client:
    """One connection to a hub; `wanted` holds events and the account or contract they are of."""

    hub: str
    user: str
    token: str
    pinged_ms: int
    splitter: Splitter = field(default_factory=Splitter)
    is_greeted: bool = False
    wanted: dict[tuple[str, int | str], None] = field(default_factory=dict)
    quoted_ms: dict[str, int] = field(default_factory=dict)


class Hub:
    """Subscriptions of all connections."""

    def __init__(self, runner: Runner, sockets: Sockets) -> None:
        self._runner = runner
        self._sockets = sockets
        self._rows: dict[int, int] = {}
        self._touches: dict[int, Touch] = {}
        self._engine_seen: ProjectXEngine | None = None

    @property
    def engine(self) -> ProjectXEngine:
        """The engine as it is now."""
        engine = self._runner.engine
        assert isinstance(engine, ProjectXEngine)
        return engine

    # --- what clients send -----------------------------------------------------------------------

    def take(self, socket: Socket, text: str | bytes) -> bool:
        """One frame of a client; whether the connection goes on."""
        client: Client = socket.data
        try:
            for part in client.splitter.feed(text):
                if not client.is_greeted:
                    check_handshake_request(part)
                    client.is_greeted = True
                    socket.send(HANDSHAKE_ANSWER, "handshake")
                    continue
                message = decode_message(part)
                if isinstance(message, Close):
                    return False
                if isinstance(message, Invocation):
                    self._invoke(socket, message)
        except ProtocolError as fault:
            send(socket, Close(str(fault)), "close")
            return False
        return True

    def _invoke(self, socket: Socket, call: Invocation) -> None:
        """Subscribe or unsubscribe; a method that is not known, as `Heartbeat`, changes nothing."""
        client: Client = socket.data
        ends = call.target.startswith("Unsubscribe")
        name = "Subscribe" + call.target[11:] if ends else call.target
        event = _METHODS[client.hub].get(name)
        fault = None
        if event is not None:
            keys = self._keys(client, event, call.arguments)
            if keys is None:
                fault = f"{call.target}: its argument is no account or contract of yours"
            for key in keys or ():
                if ends:
                    client.wanted.pop(key, None)
                elif key not in client.wanted:
                    client.wanted[key] = None
                    self._begin(socket, key)
        elif name != "Heartbeat":
            fault = f"Unknown hub method '{call.target[:64]}'"
        if call.invocation_id is not None:
            send(socket, Completion(call.invocation_id, error=fault), "completion")

    def _keys(
        self, client: Client, event: str, arguments: tuple[Any, ...]
    ) -> list[tuple[str, int | str]] | None:
        """What a call is about; None for what there is not."""
        engine = self.engine
        if event == "GatewayUserAccount":
            return [(event, each.id) for each in engine.accounts if each.user == client.user]
        if len(arguments) != 1:
            return None
        (about,) = arguments
        if client.hub == MARKET:
            known = isinstance(about, str) and about in engine.by_contract
        else:
            known = type(about) is int and engine.account(client.user, about) is not None
        return [(event, about)] if known else None

    def _begin(self, socket: Socket, key: tuple[str, int | str]) -> None:
        """A subscription to quotes or depth begins with what is in force."""
        event, about = key
        market = self.engine.by_contract.get(str(about))
        if market is None:
            return
        if event == "GatewayQuote":
            self._send_quote(socket, market)
        if event == "GatewayDepth":
            for depth in self._depth(market, None):
                _push(socket, depth, market.id)

    def log_out(self, token: str) -> None:
        """Tell the connections of a token that their session has ended."""
        for socket in self._sockets:
            if socket.data.token == token:
                send(socket, Invocation("GatewayLogout"), "GatewayLogout")
                send(socket, Close("logged out"), "close")

    # --- what happened ---------------------------------------------------------------------------

    def publish(self) -> None:
        """Send what has happened since the last call."""
        engine = self.engine
        news, engine.news = engine.news, []
        for each in news:
            self._send_news(each)
        if engine is not self._engine_seen:
            self._engine_seen, self._rows, self._touches = engine, {}, {}
        for market in engine.markets:
            self._publish_market(market)
        self._stay_alive()

    def _send_news(self, news: News) -> None:
        key = EVENT_OF[type(news.record)], news.account.id
        for socket in self._sockets:
            if key in socket.data.wanted:
                _push(socket, news.record)

    def _publish_market(self, market: Market) -> None:
        venue, index = self.engine.venue, market.index
        row, touch = venue.row(index), venue.touch(index)
        before, seen = self._rows.get(index), self._touches.get(index)
        if row == before:
            return
        self._rows[index], self._touches[index] = row, touch
        if before is None:
            return
        prints = list(self._prints(market, before, row))
        depth = list(self._depth(market, seen))
        for socket in self._sockets:
            wanted = socket.data.wanted
            if ("GatewayTrade", market.id) in wanted:
                for each in prints:
                    _push(socket, each, market.id)
            if ("GatewayDepth", market.id) in wanted:
                for level in depth:
                    _push(socket, level, market.id)
            if ("GatewayQuote", market.id) in wanted and (prints or depth):
                self._send_quote(socket, market)

    def _prints(self, market: Market, before: int, row: int) -> Iterator[MarketTrade]:
        found = self.engine.venue.presents[market.index].prints_between(before, row)
        for each in found[-PRINTS_MAX:]:
            yield MarketTrade(
                symbol_id=market.contract.symbol_id,
                price=market.price(each.price_ticks),
                timestamp=each.ts_ns + self.engine.shift_ns,
                type=TradeLogType.SELL if each.sign < 0 else TradeLogType.BUY,
                volume=each.lots,
            )

    def _depth(self, market: Market, seen: Touch | None) -> Iterator[Depth]:
        """The touch, as far as it is not what was seen."""
        engine, touch = self.engine, self.engine.venue.touch(market.index)
        sides = (
            (DomType.BEST_BID, touch[:2], seen and seen[:2]),
            (DomType.BEST_ASK, touch[2:], seen and seen[2:]),
        )
        for kind, (ticks, lots), old in sides:
            if ticks is not None and (ticks, lots) != old:
                price = market.price(ticks)
                yield Depth(engine.venue.now_ns + engine.shift_ns, kind, price, lots, lots)

    def _send_quote(self, socket: Socket, market: Market) -> None:
        engine = self.engine
        venue, index = engine.venue, market.index
        row, touch = venue.row(index), venue.touch(index)
        last = venue.presents[index].last_print(row)
        now_ns = venue.now_ns + engine.shift_ns
        quote = Quote(
            symbol=market.contract.symbol_id,
            last=None if last is None else market.price(last.price_ticks),
            bid=None if touch.bid_ticks is None else market.price(touch.bid_ticks),
            ask=None if touch.ask_ticks is None else market.price(touch.ask_ticks),
            volume=venue.presents[index].volume_between(-1, row)[0],
            updated=now_ns,
            timestamp=now_ns,
        )
        socket.data.quoted_ms[market.id] = self._runner.wall_ms()
        _push(socket, quote, market.id)

    def _stay_alive(self) -> None:
        """Pings, and quotes once more where nothing has changed for long."""
        now_ms = self._runner.wall_ms()
        for socket in self._sockets:
            client: Client = socket.data
            if client.is_greeted and now_ms - client.pinged_ms >= PING_MS:
                client.pinged_ms = now_ms
                send(socket, Ping(), "ping")
            for contract_id, quoted_ms in list(client.quoted_ms.items()):
                is_wanted = ("GatewayQuote", contract_id) in client.wanted
                if is_wanted and now_ms - quoted_ms >= QUIET_MS:
                    self._send_quote(socket, self.engine.by_contract[contract_id])


def send(socket: Socket, message: Message, name: str) -> None:
    """Send a message that goes by this name in the rules of faults."""
    socket.send(encode_message(message), name)


def _push(socket: Socket, record: Any, contract_id: str | None = None) -> None:
    """Send the event of a record; of the market with its contract before it."""
    name, data = EVENT_OF[type(record)], encode(record)
    arguments = (data,) if contract_id is None else (contract_id, data)
    send(socket, Invocation(name, arguments), name)
