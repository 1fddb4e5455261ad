"""The web application: REST below `/api`, the two hubs, tokens and limits.

A refusal of business is an envelope of status 200. 400 is for bodies that cannot be read, 401 for
tokens, 429 for limits; all three have no body.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from broker_api.messages import ProtocolError, decode, encode
from broker_api.pacing import Kind, Window
from broker_api.projectx.wire.codes import LoginCode, sentence
from broker_api.projectx.wire.fields import parse_body
from broker_api.projectx.wire.records import envelope
from broker_api.projectx.wire.requests import LoginKey
from sim.venues.projectx.engine import CHANGES
from sim.venues.projectx.hub import MARKET, USER, Client, Hub
from sim.venues.projectx.searches import SEARCHES
from sim.venues.projectx.sessions import Sessions
from sim.venues.runner import MS_NS, Runner
from sim.venues.sockets import Sockets

API = "/api/"
BARS_PATH = "History/retrieveBars"
_SECOND_NS = 1_000_000_000
Answer = Callable[[web.Request], Awaitable[web.Response]]


class Limits:
    """The gateway's limits of a user's requests. Source: its documentation, "Rate limits"."""

    def __init__(self) -> None:
        self._of_bars: dict[str, Window] = {}
        self._of_others: dict[str, Window] = {}

    def admit(self, user: str, path: str, now_ns: int) -> bool:
        """Whether a request is within the limit; if it is, it counts."""
        if path == BARS_PATH:
            window = self._of_bars.setdefault(user, Window(50, 30 * _SECOND_NS))
        else:
            window = self._of_others.setdefault(user, Window(200, 60 * _SECOND_NS))
        if window.free_ns(now_ns, 1, Kind.QUERY) > now_ns:
            return False
        window.take(now_ns, 1, Kind.QUERY)
        return True


class ProjectXWire:
    """What the gateway's protocol is to the server. `limits` None: no limits."""

    name = "projectx"

    def __init__(
        self, runner: Runner, sockets: Sockets, sessions: Sessions, limits: Limits | None
    ) -> None:
        self._runner = runner
        self._sockets = sockets
        self._sessions = sessions
        self._limits = limits
        self._hub = Hub(runner, sockets)
        self._connections = 0

    def routes(self) -> list[web.RouteDef]:
        """The gateway's addresses."""
        paths = [*SEARCHES, *CHANGES]
        return [
            web.get(f"{API}Status/ping", self._ping),
            web.post(f"{API}Auth/loginKey", self._log_in),
            web.post(f"{API}Auth/validate", self._guarded(self._validate)),
            web.post(f"{API}Auth/logout", self._guarded(self._log_out)),
            *(web.post(API + path, self._guarded(self._business)) for path in paths),
            web.post("/hubs/{hub:user|market}/negotiate", self._negotiate),
            web.get("/hubs/{hub:user|market}", self._websocket),
        ]

    def names(self, path: str, body: bytes) -> tuple[str, ...]:
        """The path below `/api`, and its last word."""
        inner = path.removeprefix(API).strip("/")
        return inner, inner.rpartition("/")[2]

    def refusal(self, status: int) -> web.Response:
        """429 or 500."""
        return web.Response(status=status)

    def publish(self) -> None:
        """Send what has happened to those who subscribed to it."""
        self._hub.publish()

    # --- REST ------------------------------------------------------------------------------------

    async def _ping(self, request: web.Request) -> web.Response:
        return web.json_response("pong")

    async def _log_in(self, request: web.Request) -> web.Response:
        try:
            body: LoginKey = decode(LoginKey, parse_body(await request.read()))
        except ProtocolError:
            return web.Response(status=400)
        token = self._sessions.log_in(body.user_name, body.api_key, self._runner.wall_ms())
        if token is None:
            code = LoginCode.INVALID_CREDENTIALS
            return web.json_response(envelope(code, sentence(code), token=None))
        return web.json_response(envelope(token=token))

    def _guarded(self, answer: Callable[[web.Request, str], Awaitable[web.Response]]) -> Answer:
        """An answer for those who are logged in, within their limits."""

        async def guarded(request: web.Request) -> web.Response:
            user = self._user(_bearer(request))
            if user is None:
                return web.Response(status=401)
            path = self.names(request.path, b"")[0]
            now_ns = self._runner.wall_ms() * MS_NS
            if self._limits is not None and not self._limits.admit(user, path, now_ns):
                return self.refusal(429)
            return await answer(request, user)

        return guarded

    def _user(self, token: str) -> str | None:
        return self._sessions.user_of(token, self._runner.wall_ms())

    async def _validate(self, request: web.Request, user: str) -> web.Response:
        token = self._sessions.token_for(user, self._runner.wall_ms())
        return web.json_response(envelope(newToken=token))

    async def _log_out(self, request: web.Request, user: str) -> web.Response:
        self._sessions.log_out(_bearer(request))
        self._hub.log_out(_bearer(request))
        return web.json_response(envelope())

    async def _business(self, request: web.Request, user: str) -> web.Response:
        path = self.names(request.path, b"")[0]
        try:
            answer = self._answer(path, user, await request.read())
        except ProtocolError:
            return web.Response(status=400)
        # Clients rely on hearing of a cancel from the hub before it is answered.
        self.publish()
        await self._sockets.written()
        return web.json_response(answer)

    def _answer(self, path: str, user: str, text: bytes) -> Any:
        if path in CHANGES:
            body = decode(CHANGES[path][0], parse_body(text))
            return self._runner.perform(path, {"user": user, "body": encode(body)})
        kind, search = SEARCHES[path]
        body = decode(kind, parse_body(text))
        self._runner.catch_up()
        return search(self._hub.engine, user, body)

    # --- hubs ------------------------------------------------------------------------------------

    async def _negotiate(self, request: web.Request) -> web.Response:
        if self._user(_token(request)) is None:
            return web.Response(status=401)
        self._connections += 1
        transport = {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}
        answer = {
            "connectionId": f"connection-{self._connections}",
            "negotiateVersion": 0,
            "availableTransports": [transport],
        }
        return web.json_response(answer)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        token = _token(request)
        user = self._user(token)
        if user is None:
            return web.Response(status=401)
        hub = MARKET if request.match_info["hub"] == MARKET else USER
        stream = web.WebSocketResponse(compress=False)
        await stream.prepare(request)
        socket = self._sockets.add(stream, Client(hub, user, token, self._runner.wall_ms()))
        writer = asyncio.create_task(socket.write())
        try:
            async for message in stream:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                self._runner.catch_up()
                self.publish()  # What happened before a subscription is no news to it.
                if not self._hub.take(socket, message.data):
                    await self._sockets.written()
                    break
        finally:
            self._sockets.remove(socket)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return stream


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


def _token(request: web.Request) -> str:
    """A hub's token: of the address, else of the header."""
    return request.query.get("access_token") or _bearer(request)
