"""The WebSocket: subscriptions that outlive connections.

After each connection it subscribes, waits for the acknowledgements, says so (`on_up`), and hands
every frame on. What was missed in between is for `on_up` to find out; frames are never handed on
before it is told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import numpy as np

from broker_api.hyperliquid.wire.frames import Frame, decode_frame
from broker_api.hyperliquid.wire.schema import ProtocolError
from broker_api.live.line import Line
from broker_api.live.transport import Http

PING_SECONDS = 50.0
"""The venue closes a connection to which it sent nothing for 60 s; the answer to a ping counts."""
SILENCE_SECONDS = 75.0
"""A connection on which nothing came for this long is dead, whatever the socket says."""
SUBSCRIBED_SECONDS = 10.0

Subscription = Mapping[str, Any]


class Stream(Line):
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
        super().__init__(http, on_down=on_down, silence_seconds=SILENCE_SECONDS, draws=draws)
        self._url = "ws" + http.base_url.removeprefix("http") + "/ws"
        self._subscriptions = [dict(each) for each in subscriptions]
        self._on_frame = on_frame
        self._on_bad_frame = on_bad_frame
        self._on_up = on_up
        self._acknowledged = 0

    async def _address(self) -> str:
        return self._url

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        """One connection's life; returns why it ended."""
        self._acknowledged = self.frames = 0
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
        self.frames += 1
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
