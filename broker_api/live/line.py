"""A WebSocket that outlives its connections: made, talked over, and made again after a pause.

One task owns the connection. What was missed in between is for whoever talks to find out.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

import aiohttp
import numpy as np

from broker_api.errors import BrokerError
from broker_api.live.transport import Http

FRAME_BYTES_MAX = 64 << 20
PAUSE_FIRST_SECONDS, PAUSE_MOST_SECONDS = 0.25, 30.0
CLOSE_SECONDS = 2.0


class Line(ABC):
    """One WebSocket of a venue, over as many connections as it takes. `start` and `close` it.

    What is said on it is a subclass's to know. `on_down` is told why a connection ended. One on
    which nothing came for `silence_seconds` is dead, whatever the socket says. Addresses may hold a
    token: they are never told.
    """

    def __init__(
        self,
        http: Http,
        *,
        on_down: Callable[[str], None],
        silence_seconds: float,
        draws: np.random.Generator,
    ) -> None:
        self._http = http
        self._on_down = on_down
        self._silence_seconds = silence_seconds
        self._draws = draws
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._task: asyncio.Task[None] | None = None
        self.connections = 0
        """How many times it was connected."""
        self.frames = 0
        """Messages that came on the present connection and were taken."""

    @abstractmethod
    async def _address(self) -> str:
        """Where the next connection goes."""

    @abstractmethod
    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        """One connection's life; returns why it ended."""

    async def _refused(self, status: int) -> None:  # noqa: B027 - a wait may be all
        """A connection was refused with this status."""

    @property
    def is_up(self) -> bool:
        """There is a connection."""
        return self._socket is not None

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
                    await self._address(),
                    timeout=aiohttp.ClientWSTimeout(
                        ws_receive=self._silence_seconds, ws_close=CLOSE_SECONDS
                    ),
                    max_msg_size=FRAME_BYTES_MAX,
                ) as socket:
                    self._socket = socket
                    self.connections += 1
                    why = await self._talk(socket)
                    pause = PAUSE_FIRST_SECONDS
            except aiohttp.WSServerHandshakeError as refusal:
                why = f"the venue refused it with status {refusal.status}"
                await self._refused(refusal.status)
            except (aiohttp.ClientError, ConnectionError, TimeoutError, BrokerError) as failure:
                why = str(failure) or type(failure).__name__
            finally:
                self._socket = None
            self._on_down(why)
            # From the upper half, so that several clients do not come back together.
            await asyncio.sleep(pause * float(self._draws.uniform(0.5, 1.0)))
            pause = min(2 * pause, PAUSE_MOST_SECONDS)
