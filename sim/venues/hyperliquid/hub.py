"""Who subscribed to what, and the frames that go out: after every answer, and as time goes by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from broker_api.hyperliquid.wire import frames
from broker_api.hyperliquid.wire.schema import ProtocolError, encode
from sim.venues.hyperliquid import channels, history, quotes
from sim.venues.hyperliquid.channels import KINDS, Subscription
from sim.venues.hyperliquid.engine import HyperliquidEngine
from sim.venues.hyperliquid.records import (
    CancelNews,
    FillNews,
    FundingNews,
    LiquidationNews,
    MoneyNews,
    News,
    OrderNews,
    TradeNews,
)
from sim.venues.runner import Runner
from sim.venues.sockets import Socket, Sockets

SUBSCRIPTIONS_MAX = 1000
PRINTS_MAX = 2000
"""Prints of one frame, when time has jumped over more: the newest."""
BOOK_EVERY_MS = 500
"""The live venue sends a book at most so often; a market that is stepped always."""
SILENT_MS = 60_000
"""A connection to which nothing was sent for so long is closed, as the live venue does."""
_VOLATILE = ("time", "serverTime")


@dataclass
class Client:
    """One connection: its subscriptions, and what each was sent last."""

    wanted: dict[tuple[Any, ...], Subscription] = field(default_factory=dict)
    last: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    book_ms: dict[tuple[Any, ...], int] = field(default_factory=dict)
    frames_seen: int = 0
    heard_ms: int = 0


class Hub:
    """Subscriptions of all connections."""

    def __init__(self, runner: Runner, sockets: Sockets) -> None:
        self._runner = runner
        self._sockets = sockets
        self._rows: dict[int, int] = {}
        self._seen: tuple[Any, ...] = ()

    @property
    def engine(self) -> HyperliquidEngine:
        """The engine as it is now."""
        engine = self._runner.engine
        assert isinstance(engine, HyperliquidEngine)
        return engine

    # --- what clients send -----------------------------------------------------------------------

    def subscribe(self, socket: Socket, request: frames.Subscribe) -> None:
        """Acknowledge, then send what the subscription begins with."""
        client: Client = socket.data
        shown = json.dumps(dict(request.subscription))
        try:
            wanted = channels.parse(self.engine, request.subscription)
        except ProtocolError:
            send_error(socket, f"Invalid subscription {shown}")
            return
        if request.ends:
            if client.wanted.pop(wanted.key, None) is None:
                send_error(socket, f"Already unsubscribed: {shown}")
                return
            _acknowledge(socket, "unsubscribe", request.subscription)
            return
        if wanted.key in client.wanted:
            send_error(socket, f"Already subscribed: {shown}")
            return
        if len(client.wanted) >= SUBSCRIPTIONS_MAX:
            send_error(socket, f"Cannot subscribe to more than {SUBSCRIPTIONS_MAX} channels.")
            return
        self.publish()  # What happened before is no news to it.
        client.wanted[wanted.key] = wanted
        _acknowledge(socket, "subscribe", request.subscription)
        self._begin(socket, wanted)

    def _begin(self, socket: Socket, wanted: Subscription) -> None:
        kind = KINDS[wanted.type]
        if kind.first is not None:
            data = kind.first(self.engine, wanted)
            if data is not None:
                send(socket, channels.channel_of(wanted), data)
        self._send_state(socket, wanted)

    # --- what happened ---------------------------------------------------------------------------

    def publish(self) -> None:
        """Send what has happened since the last call."""
        engine, venue = self.engine, self._runner.venue
        news, engine.news = engine.news, []
        for same in _grouped(news):
            self._send_news(same)
        seen = (id(engine), venue.now_ns, len(venue.events), len(self._runner.inputs))
        if seen == self._seen:
            return
        if self._seen[:1] != seen[:1]:
            self._rows = {}
        self._seen = seen
        self._send_prints()
        for socket in self._sockets:
            for wanted in list(socket.data.wanted.values()):
                self._send_state(socket, wanted)

    def close_silent(self) -> None:
        """Close connections to which nothing was sent for a minute of wall time."""
        now_ms = self._runner.wall_ms()
        for socket in self._sockets:
            client: Client = socket.data
            if client.frames_seen != socket.sent or not client.heard_ms:
                client.frames_seen, client.heard_ms = socket.sent, now_ms
            elif now_ms - client.heard_ms > SILENT_MS:
                socket.close()

    def _subscribers(self, kind: str, user: str | None, coin: str | None) -> Iterator[Socket]:
        for socket in self._sockets:
            for wanted in list(socket.data.wanted.values()):
                if (wanted.type, wanted.user, wanted.coin) == (kind, user, coin):
                    yield socket

    def _send_news(self, news: list[News]) -> None:
        first = news[0]
        if isinstance(first, TradeNews):
            trades = [each.trade for each in news if isinstance(each, TradeNews)]
            self._tell("trades", None, first.asset.coin, history.encoded(trades))
            return
        for kind, data in _frames_of(news):
            self._tell(kind, first.user.address, None, data)

    def _tell(self, kind: str, user: str | None, coin: str | None, data: Any) -> None:
        for socket in self._subscribers(kind, user, coin):
            send(socket, KINDS[kind].channel, data)

    def _send_prints(self) -> None:
        """The tape's prints since the last time, to those who want trades."""
        engine, venue = self.engine, self._runner.venue
        for asset in engine.universe.assets:
            row = venue.row(asset.index)
            before = self._rows.get(asset.index, row)
            self._rows[asset.index] = row
            sockets = list(self._subscribers("trades", None, asset.coin))
            if not sockets or before >= row:
                continue
            prints = venue.presents[asset.index].prints_between(before, row)[-PRINTS_MAX:]
            data = history.encoded(quotes.tape_trade(engine, asset, each) for each in prints)
            for socket in sockets if data else []:
                send(socket, "trades", data)

    def _send_state(self, socket: Socket, wanted: Subscription) -> None:
        """Send the state that a subscription shows, if it is another than was sent last."""
        kind, client = KINDS[wanted.type], socket.data
        if kind.state is None or self._is_too_soon(client, wanted):
            return
        data = kind.state(self.engine, wanted)
        lasting = _lasting(data)
        if data is not None and client.last.get(wanted.key) != lasting:
            client.last[wanted.key] = lasting
            client.book_ms[wanted.key] = self.engine.now_ms
            send(socket, channels.channel_of(wanted), data)

    def _is_too_soon(self, client: Client, wanted: Subscription) -> bool:
        if wanted.type != "l2Book" or not self._runner.clock.speed:
            return False
        since_ms = self.engine.now_ms - client.book_ms.get(wanted.key, 0)
        return 0 <= since_ms < BOOK_EVERY_MS


def _grouped(news: list[News]) -> Iterator[list[News]]:
    """News of one kind and user, or coin, that came one after the other."""

    def whose(each: News) -> tuple[str, str]:
        name = each.asset.coin if isinstance(each, TradeNews) else each.user.address
        return type(each).__name__, name

    for _, same in groupby(news, key=whose):
        yield list(same)


def _frames_of(news: list[News]) -> Iterator[tuple[str, Any]]:
    """By type of subscription the data of the frames that tell of some news of one user."""
    first = news[0]
    match first:
        case OrderNews():
            yield "orderUpdates", [_update(each) for each in news if isinstance(each, OrderNews)]
        case FillNews():
            fills = history.encoded(each.fill for each in news if isinstance(each, FillNews))
            yield "userEvents", {"fills": fills}
            yield "userFills", {"user": first.user.address, "fills": fills}
        case FundingNews():
            paid = history.encoded(each.funding for each in news if isinstance(each, FundingNews))
            for each in paid:
                yield "userEvents", {"funding": each}
            yield "userFundings", {"user": first.user.address, "fundings": paid}
        case LiquidationNews():
            for event in news:
                if isinstance(event, LiquidationNews):
                    yield "userEvents", {"liquidation": encode(event.event)}
        case CancelNews():
            ended = [each for each in news if isinstance(each, CancelNews)]
            table = [{"coin": each.coin, "oid": each.oid} for each in ended]
            yield "userEvents", {"nonUserCancel": table}
        case MoneyNews():
            entries = [each.entry for each in news if isinstance(each, MoneyNews)]
            data = {"user": first.user.address, "nonFundingLedgerUpdates": entries}
            yield "userNonFundingLedgerUpdates", data


def _update(news: OrderNews) -> dict[str, Any]:
    return {
        "order": encode(news.basic),
        "status": news.state.status,
        "statusTimestamp": news.state.status_timestamp,
    }


def _lasting(data: Any) -> Any:
    """The data without the times that change by themselves."""
    if not isinstance(data, Mapping):
        return data
    inner = {key: value for key, value in data.items() if key not in _VOLATILE}
    if isinstance(inner.get("clearinghouseState"), Mapping):
        inner["clearinghouseState"] = _lasting(inner["clearinghouseState"])
    return inner


def _acknowledge(socket: Socket, method: str, subscription: Mapping[str, Any]) -> None:
    send(socket, "subscriptionResponse", {"method": method, "subscription": subscription})


def send(socket: Socket, channel: str, data: Any) -> None:
    """Send a frame of a channel."""
    socket.send(json.dumps({"channel": channel, "data": data}), channel)


def send_error(socket: Socket, text: str) -> None:
    """Tell a client that its frame was wrong."""
    send(socket, "error", text)
