"""Serves a board to this machine: one page, a WebSocket under it, and requests back to the session.

It runs in a thread with a loop of its own, so that a session in virtual time, or a busy one, is
looked at without being disturbed. Loopback only. Whoever asks shows the token: a program in a
header, a browser once in the address and then in a cookie. Everybody else gets nothing, and so does
every page of another origin and every name that only resolves to this machine (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from aiohttp import WSMsgType, web  # the extra `serve`

from broker_api.errors import TradingError
from broker_api.secret import Secret
from papertape.watching.board import Message, Sink
from papertape.watching.requests import Answer

HOST = "127.0.0.1"
PAGE = Path(__file__).with_name("page")
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/chart.js": ("chart.js", "text/javascript"),
    "/lightweight-charts.js": (
        "lightweight-charts.standalone.production.js",
        "text/javascript",
    ),
}
"""What the page is made of: address, file, kind."""
MESSAGES_MAX = 2_000
"""Messages that a reader may be behind before it is given a snapshot instead."""
BATCH_SECONDS = 0.05
"""What happens within this time goes out together."""
ANSWER_SECONDS = 30.0
REQUEST_BYTES_MAX = 4_096
START_SECONDS = 30.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ask = Callable[..., "Future[Answer]"]
"""Asks the session: see `Watch.request`. A replay has none."""


class Watched(Protocol):
    """What is served: a `Watch`, or the `Board` of a replay."""

    def snapshot(self) -> dict[str, Any]:
        """Everything that is known now."""

    def subscribe(self, sink: Sink) -> Callable[[], None]:
        """Hand later messages to `sink`."""


class WatchServer:
    """One page for one session. `start` binds the port (0: any free one), `stop` ends it.

    `ask` takes requests of operators, None refuses them.
    """

    def __init__(self, watched: Watched, ask: Ask | None, token: Secret, *, port: int = 0) -> None:
        self._watched = watched
        self._ask = ask
        self._token = token
        self.port = port
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="papertape-watch", daemon=True)

    @property
    def address(self) -> str:
        """Where it serves, without the token."""
        return f"http://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The address to open, the token in it. Not for logs."""
        return f"{self.address}/?token={self._token.reveal()}"

    def start(self) -> None:
        """Bind the port and serve. Raises OSError for a port that is taken."""
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise TimeoutError(f"the page's server did not begin within {START_SECONDS} s")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End every connection and the thread. Idempotent."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread.ident is not None:
            self._thread.join(START_SECONDS)

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        # Not a new loop of the policy's: inside of a run that one would be in virtual time.
        loop = asyncio.SelectorEventLoop()
        try:
            loop.run_until_complete(self._serve(loop))
        except BaseException as failure:
            self._failure = failure
        finally:
            self._ready.set()
            loop.close()

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._stopping = loop, asyncio.Event()
        app = web.Application(middlewares=[self._guard], client_max_size=REQUEST_BYTES_MAX)
        for address, (name, kind) in FILES.items():
            app.router.add_get(address, _file(name, kind))
        app.router.add_get("/snapshot", self._snapshot)
        app.router.add_get("/stream", self._stream)
        app.router.add_post("/request", self._request)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    # --- who may come --------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who has the token and comes from here; nobody else learns anything."""
        if not self._is_from_here(request):
            return _shut(403)
        if request.path == "/" and "token" in request.query:
            return self._admit(request)
        if not (self._has_header(request) or self._has_cookie(request)):
            return _shut(401)
        try:
            response = await handler(request)
        except web.HTTPException as refusal:
            return _shut(refusal.status)
        if not response.prepared:
            _secure(response, self.port)
        return response

    def _is_from_here(self, request: web.Request) -> bool:
        hosts = (f"{HOST}:{self.port}", f"localhost:{self.port}")
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "none")
        return (
            request.host in hosts
            and (origin is None or origin == f"http://{request.host}")
            and site in ("none", "same-origin")
        )

    def _has_header(self, request: web.Request) -> bool:
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and self._token.matches(text)

    def _has_cookie(self, request: web.Request) -> bool:
        """A browser's: what changes something, and the WebSocket, also name their origin."""
        if not self._token.matches(request.cookies.get(self._cookie, "")):
            return False
        is_plain = request.method == "GET" and request.path != "/stream"
        return is_plain or "Origin" in request.headers

    @property
    def _cookie(self) -> str:
        return f"papertape-{self.port}"  # cookies do not know ports: two sessions, two names

    def _admit(self, request: web.Request) -> web.Response:
        """The token of an address becomes a cookie, and the address loses it."""
        if not self._token.matches(request.query["token"]):
            return _shut(401)
        response = web.Response(status=303, headers={"Location": "/"})
        token = self._token.reveal()
        response.set_cookie(self._cookie, token, httponly=True, samesite="Strict", path="/")
        _secure(response, self.port)
        return response

    # --- what they get -------------------------------------------------------------------------

    async def _snapshot(self, request: web.Request) -> web.Response:
        snapshot = {**self._watched.snapshot(), "operable": self._ask is not None}
        without = request.query.get("without", "")  # a terminal has no chart
        return web.json_response({name: snapshot[name] for name in snapshot if name != without})

    async def _request(self, request: web.Request) -> web.Response:
        try:
            table = json.loads(await request.text())
        except ValueError:
            return web.json_response({"error": "the request is no JSON"}, status=400)
        answer = await self._asked(table)
        return web.json_response(answer, status=400 if "error" in answer else 200)

    async def _asked(self, table: object) -> dict[str, Any]:
        """The session's answer to a request, or why there is none."""
        if self._ask is None:
            return {"error": "this is a replay: there is nothing to act on"}
        if not isinstance(table, dict) or "action" not in table:
            return {"error": "a request is a table with an action"}
        if "number" in table:
            return {"error": "the session numbers requests itself"}
        try:
            future = asyncio.wrap_future(self._ask(**table))
            answer = await asyncio.wait_for(asyncio.shield(future), ANSWER_SECONDS)
        except TimeoutError:
            return {"error": f"the session has not answered within {ANSWER_SECONDS:.0f} s"}
        except (TradingError, TypeError) as refusal:
            return {"error": str(refusal)}
        return answer.to_dict()

    # --- the stream ----------------------------------------------------------------------------

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """A snapshot, then batches of messages; requests come back on the same connection."""
        socket = web.WebSocketResponse(heartbeat=10.0, max_msg_size=REQUEST_BYTES_MAX)
        await socket.prepare(request)
        assert self._stopping is not None, "requests come while it serves"
        outbox = Outbox(asyncio.get_running_loop())
        stop = self._watched.subscribe(outbox.put)
        writing: asyncio.Future[None] = asyncio.ensure_future(self._write(socket, outbox))
        ending: asyncio.Future[None] = asyncio.ensure_future(self._end(socket))
        answering: list[asyncio.Future[None]] = []
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    task = asyncio.ensure_future(self._answer(socket, message.data))
                    answering.append(task)
                    task.add_done_callback(answering.remove)
        finally:
            stop()
            for each in (writing, ending, *answering):
                each.cancel()
        return socket

    async def _write(self, socket: web.WebSocketResponse, outbox: Outbox) -> None:
        number = await self._send_snapshot(socket)
        with contextlib.suppress(ConnectionError):
            while True:
                batch = await outbox.take()
                if batch is None:  # it fell behind: what it missed is in the snapshot
                    number = await self._send_snapshot(socket)
                else:
                    news = [each for each in batch if each["number"] > number]
                    if news:
                        await socket.send_str(json.dumps({"type": "news", "messages": news}))
                await asyncio.sleep(BATCH_SECONDS)

    async def _send_snapshot(self, socket: web.WebSocketResponse) -> int:
        snapshot = {**self._watched.snapshot(), "operable": self._ask is not None}
        with contextlib.suppress(ConnectionError):
            await socket.send_str(json.dumps(snapshot))
        return int(snapshot["number"])

    async def _answer(self, socket: web.WebSocketResponse, text: str) -> None:
        try:
            table = json.loads(text)
            key = table.pop("key", None)
        except (ValueError, AttributeError):
            table, key = None, None
        answer = await self._asked(table)
        with contextlib.suppress(ConnectionError):
            await socket.send_str(json.dumps({"type": "answer", "key": key, **answer}))

    async def _end(self, socket: web.WebSocketResponse) -> None:
        """Say goodbye when the server stops."""
        assert self._stopping is not None, "requests come while it serves"
        await self._stopping.wait()
        await asyncio.sleep(2 * BATCH_SECONDS)  # the session's last words go out before
        await socket.close(code=1001, message=b"the server stops")


class Outbox:
    """Messages from the session's thread to one connection; a bounded number waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: deque[Message] = deque(maxlen=MESSAGES_MAX)
        self._filled = asyncio.Event()
        self._is_told = False

    def put(self, message: Message) -> None:
        """Take a message, in any thread."""
        self._messages.append(message)
        if not self._is_told:
            self._is_told = True
            with contextlib.suppress(RuntimeError):  # the server has ended
                self._loop.call_soon_threadsafe(self._filled.set)

    async def take(self) -> list[Message] | None:
        """The messages that wait, once there are some; None when too many had come."""
        await self._filled.wait()
        self._filled.clear()
        self._is_told = False
        if len(self._messages) == MESSAGES_MAX:
            self._messages.clear()
            return None
        return [self._messages.popleft() for _ in range(len(self._messages))]


def _file(name: str, kind: str) -> Handler:
    content = (PAGE / name).read_bytes()

    async def send(request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=kind)

    return send


def _shut(status: int) -> web.Response:
    """Nothing: no body, no name, no reason."""
    return web.Response(status=status, headers={"Cache-Control": "no-store", "Server": ""})


def _secure(response: web.StreamResponse, port: int) -> None:
    """No script, style, image or address but our own; no other page may show or read this one."""
    here = f"'self' ws://{HOST}:{port} ws://localhost:{port}"
    response.headers.update(
        {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                f"connect-src {here}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "Server": "",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
    )
