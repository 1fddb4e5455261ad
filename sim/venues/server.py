"""A local venue's two ports: the venue's own, and the one that controls it.

No state is global: a process may run as many as it likes. Loopback only, unless the settings say
that others may come. Faults happen here, around whatever the wire layer answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from broker_api.errors import ConfigurationError
from broker_api.secret import Secret
from sim.venues.control import ControlApi
from sim.venues.faults import Fault, FaultKind, Faults
from sim.venues.runner import Runner
from sim.venues.sockets import Sockets

TURN_SECONDS = 0.02
"""How often a running market is brought to the present while nobody asks."""
BODY_BYTES_MAX = 4 << 20
SNAPSHOT_BYTES_MAX = 512 << 20

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Wire(Protocol):
    """What a venue's own protocol is to the server."""

    name: str

    def routes(self) -> list[web.RouteDef]:
        """Its addresses and who answers there."""

    def names(self, path: str, body: bytes) -> tuple[str, ...]:
        """By what names the rules of faults may call a request."""

    def refusal(self, status: int) -> web.Response:
        """How the venue answers 429 and 500."""

    def publish(self) -> None:
        """Send what has happened since the last call to those who subscribed to it."""


@dataclass(frozen=True)
class ServerSettings:
    """Where a venue listens; port 0 is any free one. `token` opens the control port."""

    token: Secret
    host: str = "127.0.0.1"
    port: int = 0
    control_port: int = 0
    is_open_to_others: bool = False

    def check(self) -> None:
        """Raise ConfigurationError for an address that others reach, unless that was asked for."""
        if self.is_open_to_others or _is_loopback(self.host):
            return
        raise ConfigurationError(
            f"host {self.host!r} is not a loopback address: others could trade on this venue; "
            "say so (--open-to-others) if that is meant"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class VenueServer:
    """Serves one venue. `start` binds both ports; `until_stopped` waits for a reason to end.

    Make it inside of the event loop that it is to run on.
    """

    def __init__(
        self,
        runner: Runner,
        make_wire: Callable[[Runner, Sockets, Faults], Wire],
        settings: ServerSettings,
    ) -> None:
        settings.check()
        self.runner = runner
        self.settings = settings
        self.faults = Faults()
        self.sockets = Sockets(self.faults)
        self.wire = make_wire(runner, self.sockets, self.faults)
        self.url = self.control_url = ""
        self.failure: BaseException | None = None
        self._ports: list[web.AppRunner] = []
        self._turns: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Bind the ports and let the market run. Raises OSError for a port that is taken."""
        app = web.Application(middlewares=[self._meet], client_max_size=BODY_BYTES_MAX)
        app.add_routes(self.wire.routes())
        control = ControlApi(
            self.runner, self.faults, self.sockets, self.wire.publish, self.stop_soon
        )
        try:
            self.url = await self._bind(app, self.settings.port)
            self.control_url = await self._bind(
                control.app(self.settings.token, SNAPSHOT_BYTES_MAX), self.settings.control_port
            )
        except BaseException:
            await self.stop()
            raise
        self._turns = asyncio.create_task(self._take_turns())

    async def _bind(self, app: web.Application, port: int) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._ports.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, self.settings.host, port)
        await site.start()
        host, bound = runner.addresses[0][:2]
        return f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"

    def stop_soon(self) -> None:
        """Let `until_stopped` return."""
        self._stopped.set()

    def stop_from_thread(self) -> None:
        """As `stop_soon`, from another thread; nothing when the loop has ended already."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.stop_soon)

    async def until_stopped(self) -> None:
        """Wait for `stop_soon`. Raises what broke the market, if anything did."""
        await self._stopped.wait()
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        """Close both ports and every connection. Idempotent."""
        self._stopped.set()
        if self._turns is not None:
            self._turns.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._turns
            self._turns = None
        self.sockets.disconnect()
        while self._ports:
            await self._ports.pop().cleanup()

    async def _take_turns(self) -> None:
        try:
            while True:
                await asyncio.sleep(TURN_SECONDS)
                self.runner.catch_up()
                self.wire.publish()
        except Exception as failure:
            self._break(failure)

    def _break(self, failure: Exception) -> None:
        """Our own mistake: the state is unknown, nobody may trade on it."""
        self.failure = failure
        self._stopped.set()

    # --- requests --------------------------------------------------------------------------------

    @web.middleware
    async def _meet(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, with the fault that is due; what the request caused is published behind it."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await handler(request)
        names = self.wire.names(request.path, await request.read())
        response = await self._answer(request, handler, self.faults.of_request(names))
        if response is None:
            if request.transport is not None:
                request.transport.abort()
            self.wire.publish()
            raise asyncio.CancelledError
        with contextlib.suppress(ConnectionError):  # nobody waits for it any more
            await response.prepare(request)
            await response.write_eof()
        self.wire.publish()
        return response

    async def _answer(
        self, request: web.Request, handler: Handler, fault: Fault | None
    ) -> web.StreamResponse | None:
        """The answer; None where the connection is to break in its place."""
        if fault is None:
            return await self._handled(request, handler)
        match fault.kind:
            case FaultKind.DROP_BEFORE:
                return None
            case FaultKind.TOO_MANY:
                return self.wire.refusal(429)
            case FaultKind.ERROR_BEFORE:
                return self.wire.refusal(500)
            case FaultKind.DELAY_BEFORE:
                await asyncio.sleep(fault.ms / 1000)
        response = await self._handled(request, handler)
        match fault.kind:
            case FaultKind.DROP_AFTER:
                return None
            case FaultKind.ERROR_AFTER:
                return self.wire.refusal(500)
            case FaultKind.DUPLICATE:
                await self._handled(request, handler)
            case FaultKind.DELAY_AFTER:
                self.wire.publish()
                await asyncio.sleep(fault.ms / 1000)
        return response

    async def _handled(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except Exception as failure:
            self._break(failure)
            return self.wire.refusal(500)


@contextlib.contextmanager
def in_background(make: Callable[[], VenueServer]) -> Iterator[VenueServer]:
    """A server on a thread and an event loop of its own, for programs that block.

    `make` is called on that thread's loop. Raises what `start` raises.
    """
    ready: list[VenueServer] = []
    failures: list[BaseException] = []
    started = threading.Event()

    async def serve() -> None:
        server = make()
        try:
            await server.start()
            ready.append(server)
            started.set()
            await server.until_stopped()
        finally:
            await server.stop()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as failure:
            failures.append(failure)
        finally:
            started.set()

    loops = threading.Thread(target=run, name="local-venue", daemon=True)
    loops.start()
    started.wait()
    try:
        if ready:
            yield ready[0]
    finally:
        if ready:
            ready[0].stop_from_thread()
        loops.join()
        if failures:
            raise failures[0]
