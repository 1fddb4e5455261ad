"""The open WebSockets of a local venue: frames out, in order, one writer each, with faults."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from aiohttp import WSCloseCode, web

from sim.venues.faults import FaultKind, Faults

FRAMES_MAX = 20_000
"""Frames that may wait for a client that does not read; then its connection is closed."""

WRITER_TURNS = 4
"""Turns of the event loop in which a writer that is not held back has written a frame."""


class Socket:
    """One WebSocket. `send` never waits; `write` runs as a task beside the one that reads.

    `data` is the wire layer's own: what the client subscribed to.
    """

    def __init__(self, stream: web.WebSocketResponse, faults: Faults, data: Any = None) -> None:
        self.stream = stream
        self.data = data
        self.sent = 0
        self._faults = faults
        self._frames: deque[str | float] = deque()
        self._held: list[str] = []
        self._wake = asyncio.Event()
        self._is_closing = False

    def send(self, text: str, *names: str) -> None:
        """Send a frame that goes by these names in the rules of faults."""
        if self._is_closing:
            return
        fault = self._faults.of_frame(names)
        kind = None if fault is None else fault.kind
        if kind is FaultKind.DISCONNECT or len(self._frames) > FRAMES_MAX:
            self.close()
            return
        if kind is FaultKind.FRAME_REORDER:
            self._held.append(text)
            return
        if fault is not None and kind is FaultKind.FRAME_DELAY:
            self._frames.append(fault.ms / 1000)
        if kind is not FaultKind.FRAME_DROP:
            self._frames += [text, text] if kind is FaultKind.FRAME_DUPLICATE else [text]
            self._frames += self._held
            self._held.clear()
        self._wake.set()

    @property
    def has_frames(self) -> bool:
        """Whether frames wait to be written."""
        return bool(self._frames) and not self._is_closing

    def close(self) -> None:
        """End the connection; frames that wait are lost, as when a line breaks."""
        self._is_closing = True
        self._wake.set()

    async def write(self) -> None:
        """Write frames as they come, until the connection ends."""
        while not self.stream.closed:
            await self._wake.wait()
            self._wake.clear()
            while self._frames and not self._is_closing:
                frame = self._frames.popleft()
                if isinstance(frame, float):
                    await asyncio.sleep(frame)
                    continue
                try:
                    await self.stream.send_str(frame)
                except ConnectionError:
                    return
                self.sent += 1
            if self._is_closing:
                await self.stream.close(code=WSCloseCode.GOING_AWAY)
                return


class Sockets:
    """All open WebSockets, in the order in which they were opened."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._open: list[Socket] = []

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Any:
        return iter(list(self._open))

    def add(self, stream: web.WebSocketResponse, data: Any) -> Socket:
        """Take in a connection that was just opened."""
        socket = Socket(stream, self._faults, data)
        self._open.append(socket)
        return socket

    def remove(self, socket: Socket) -> None:
        """Forget a connection that has ended."""
        if socket in self._open:
            self._open.remove(socket)

    async def written(self) -> None:
        """Let what waits be written before something else is, where nothing holds it back."""
        for _ in range(WRITER_TURNS):
            if not any(socket.has_frames for socket in self._open):
                return
            await asyncio.sleep(0)

    def disconnect(self) -> int:
        """Close all of them, as a server does that restarts. Returns how many there were."""
        sockets = list(self._open)
        for socket in sockets:
            socket.close()
        return len(sockets)
