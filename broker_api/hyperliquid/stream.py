"""The WebSocket: subscriptions that outlive connections.

One task owns the connection. It connects, subscribes, waits for the acknowledgements, says so
(`on_up`), hands every frame on, and begins again with a growing pause when the connection is gone.
What was missed in between is for `on_up` to find out; frames are never handed on before it is told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import numpy as np

from broker_api.hyperliquid.transport import Http
from broker_api.hyperliquid.wire.frames import Frame, decode_frame
from broker_api.hyperliquid.wire.schema import ProtocolError

PING_SECONDS = 50.0
"""The venue closes a connection to which it sent nothing for 60 s; the answer to a ping counts."""
SILENCE_SECONDS = 75.0
"""A connection on which nothing came for this long is dead, whatever the socket says."""
SUBSCRIBED_SECONDS = 10.0
FRAME_BYTES_MAX = 64 << 20
PAUSE_FIRST_SECONDS, PAUSE_MOST_SECONDS = 0.25, 30.0

Subscription = Mapping[str, Any]


class Stream:
    """Frames of one venue, over as many connections as it takes. `start` and `close` it."""

    def __init__(
        self,
        http: Http,
        subscriptions: Sequence[Subscription],
        *,
        on_frame: Callable[[Frame], None],
        on_bad_frame: Callable[[ProtocolError], None],
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
        draws: np.random.Generator,
    ) -> None:
        self._http = http
        self._url = "ws" + http.base_url.removeprefix("http") + "/ws"
        self._subscriptions = [dict(each) for each in subscriptions]
        self._on_frame = on_frame
        self._on_bad_frame = on_bad_frame
        self._on_up = on_up
        self._on_down = on_down
        self._draws = draws
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self._acknowledged = 0
        self.connections = 0
        """How many times it was connected."""

    def start(self) -> None:
        """Begin to connect. Idempotent."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End the connection and the task. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.result()

    async def drop(self) -> None:
        """Give the present connection up; a new one is made."""
        if self._socket is not None:
            await self._socket.close()

    async def _run(self) -> None:
        pause = PAUSE_FIRST_SECONDS
        while True:
            try:
                async with self._http.session.ws_connect(
                    self._url,
                    timeout=aiohttp.ClientWSTimeout(ws_receive=SILENCE_SECONDS, ws_close=2.0),
                    max_msg_size=FRAME_BYTES_MAX,
                ) as socket:
                    self._socket = socket
                    self.connections += 1
                    why = await self._live(socket)
                    pause = PAUSE_FIRST_SECONDS
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as failure:
                why = str(failure) or type(failure).__name__
            finally:
                self._socket = None
            self._on_down(why)
            # From the upper half, so that several clients do not come back together.
            await asyncio.sleep(pause * float(self._draws.uniform(0.5, 1.0)))
            pause = min(2 * pause, PAUSE_MOST_SECONDS)

    async def _live(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        """One connection's life; returns why it ended."""
        self._acknowledged = 0
        for subscription in self._subscriptions:
            await socket.send_str(json.dumps({"method": "subscribe", "subscription": subscription}))
        early: list[Frame] = []
        async with asyncio.timeout(SUBSCRIBED_SECONDS):
            while self._acknowledged < len(self._subscriptions):
                message = await socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return f"it closed before it had subscribed ({message.type.name.lower()})"
                self.take(message.data, early.append)
        pinging = asyncio.get_running_loop().create_task(self._ping(socket))
        try:
            await self._on_up()
            for frame in early:
                self._on_frame(frame)
            while True:
                message = await socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return f"the connection ended ({message.type.name.lower()})"
                self.take(message.data)
        finally:
            pinging.cancel()
            await asyncio.wait((pinging,))

    def take(self, text: str, give: Callable[[Frame], None] | None = None) -> None:
        """One message of the server, to whoever is given or to `on_frame`."""
        try:
            frame = decode_frame(text)
        except ProtocolError as fault:
            self._on_bad_frame(fault)
            return
        if frame.channel in ("subscriptionResponse", "error"):
            self._acknowledged += 1  # an error is the answer to a subscription as well
        if frame.channel not in ("pong", "greeting"):
            (give or self._on_frame)(frame)

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await socket.send_str('{"method":"ping"}')
