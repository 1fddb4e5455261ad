"""The web application: `/info`, `/exchange`, `/ws`, and the venue's limits of requests by address.

Statuses and bodies of refusals are the venue's: 422 as plain text for what cannot be read, 429 and
500 with the body `null`; a refusal of business is an answer of status 200.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import WSMsgType, web

from broker_api.hyperliquid.wire import frames
from broker_api.hyperliquid.wire.schema import ProtocolError, parse_json
from sim.venues.faults import FaultKind, Faults
from sim.venues.hyperliquid import admission, hub, info
from sim.venues.hyperliquid.hub import Client, Hub
from sim.venues.hyperliquid.limits import IpLimits
from sim.venues.runner import Runner
from sim.venues.sockets import Socket, Sockets

UNREADABLE = "Failed to deserialize the JSON body into the target type"


class HyperliquidWire:
    """What the venue's protocol is to the server. `limits` None: no limits by IP address."""

    name = "hyperliquid"

    def __init__(
        self, runner: Runner, sockets: Sockets, faults: Faults, limits: IpLimits | None = None
    ) -> None:
        self._runner = runner
        self._sockets = sockets
        self._faults = faults
        self._limits = limits
        self._hub = Hub(runner, sockets)

    def routes(self) -> list[web.RouteDef]:
        """The venue's addresses."""
        return [
            web.post("/info", self._info),
            web.post("/exchange", self._exchange),
            web.get("/ws", self._websocket),
        ]

    def names(self, path: str, body: bytes) -> tuple[str, ...]:
        """The path without its slash, and the type of the request or action."""
        found = [path.strip("/")]
        with contextlib.suppress(ProtocolError):
            table = parse_json(body)
            inner = table.get("action", table) if isinstance(table, dict) else None
            if isinstance(inner, dict) and isinstance(inner.get("type"), str):
                found.append(inner["type"])
        return tuple(found)

    def refusal(self, status: int) -> web.Response:
        """429 or 500."""
        return web.Response(status=status, text="null", content_type="application/json")

    def publish(self) -> None:
        """Send what has happened to those who subscribed to it."""
        self._hub.publish()
        self._hub.close_silent()

    # --- REST ------------------------------------------------------------------------------------

    async def _info(self, request: web.Request) -> web.Response:
        self._runner.catch_up()
        try:
            body = parse_json(await request.read())
            answer = info.answer(self._hub.engine, body)
        except ProtocolError:
            return _unreadable()
        items = len(answer) if isinstance(answer, list) else 0
        if self._is_over(request, limits_weight(body["type"], items)):
            return self.refusal(429)
        return web.json_response(answer)

    async def _exchange(self, request: web.Request) -> web.Response:
        try:
            body = parse_json(await request.read())
            if self._is_over(request, 1 + _entries(body) // 40):
                return self.refusal(429)
            return web.json_response(admission.post(self._runner, self._hub.engine, body))
        except ProtocolError:
            return _unreadable()

    def _is_over(self, request: web.Request, weight: int) -> bool:
        if self._limits is None:
            return False
        return not self._limits.admit(request.remote or "", weight, self._runner.wall_ms())

    # --- WebSocket -------------------------------------------------------------------------------

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if self._limits is not None and not self._limits.may_connect(
            request.remote or "", len(self._sockets), self._runner.wall_ms()
        ):
            return self.refusal(429)
        stream = web.WebSocketResponse(compress=False)
        await stream.prepare(request)
        socket = self._sockets.add(stream, Client())
        writer = asyncio.create_task(socket.write())
        try:
            async for message in stream:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                self._take(socket, message.data)
                self.publish()
        finally:
            self._sockets.remove(socket)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return stream

    def _take(self, socket: Socket, text: str | bytes) -> None:
        """One frame of a client."""
        self._runner.catch_up()
        try:
            frame = frames.decode_client_frame(text)
        except ProtocolError:
            shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
            hub.send_error(
                socket, f"Error parsing JSON into valid websocket request: {shown[:1000]}"
            )
            return
        match frame:
            case frames.Ping():
                socket.send('{"channel": "pong"}', "pong")
            case frames.Subscribe():
                self._hub.subscribe(socket, frame)
            case frames.Post():
                self._post(socket, frame)

    def _post(self, socket: Socket, post: frames.Post) -> None:
        """A request over the socket, with the fault that is due."""
        payload = post.payload if isinstance(post.payload, dict) else {}
        inner = payload.get("action", payload)
        kind = inner.get("type") if isinstance(inner, dict) else None
        fault = self._faults.of_request(("post", post.type, str(kind)))
        if fault is not None and fault.kind is FaultKind.DROP_BEFORE:
            socket.close()
            return
        refused = {FaultKind.TOO_MANY: "429", FaultKind.ERROR_BEFORE: "500"}
        if fault is not None and fault.kind in refused:
            _answer(socket, post.id, "error", refused[fault.kind])
            return
        kind_of_answer, answer = self._posted(post)
        if fault is not None and fault.kind is FaultKind.DUPLICATE:
            self._posted(post)
        if fault is not None and fault.kind is FaultKind.DROP_AFTER:
            socket.close()
            return
        _answer(socket, post.id, kind_of_answer, answer)

    def _posted(self, post: frames.Post) -> tuple[str, Any]:
        try:
            if post.type == "action":
                return "action", admission.post(self._runner, self._hub.engine, post.payload)
            data = info.answer(self._hub.engine, post.payload)
            return "info", {"type": post.payload["type"], "data": data}
        except ProtocolError:
            return "error", UNREADABLE


def _unreadable() -> web.Response:
    return web.Response(status=422, text=UNREADABLE, content_type="text/plain")


def _answer(socket: Socket, number: int, kind: str, payload: Any) -> None:
    data = {"id": number, "response": {"type": kind, "payload": payload}}
    socket.send(json.dumps({"channel": "post", "data": data}), "post")


def _entries(body: Any) -> int:
    """Entries of a posted batch, as far as the body has any."""
    action = body.get("action") if isinstance(body, dict) else None
    lists = [] if not isinstance(action, dict) else [v for v in action.values() if type(v) is list]
    return max((len(found) for found in lists), default=1)


_LIGHT = (
    "l2Book",
    "allMids",
    "clearinghouseState",
    "orderStatus",
    "spotClearinghouseState",
    "exchangeStatus",
)
_BY_ITEM = {
    "recentTrades": 20,
    "historicalOrders": 20,
    "userFills": 20,
    "userFillsByTime": 20,
    "fundingHistory": 20,
    "userFunding": 20,
    "userNonFundingLedgerUpdates": 20,
    "candleSnapshot": 60,
}


def limits_weight(kind: str, items: int) -> int:
    """The weight of a request to `/info` that was answered with so many items."""
    weight = 2 if kind in _LIGHT else 60 if kind == "userRole" else 20
    return weight + (items // _BY_ITEM[kind] if kind in _BY_ITEM else 0)
