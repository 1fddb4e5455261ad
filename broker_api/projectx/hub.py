"""A hub: subscriptions over as many connections as it takes, and the events that it pushes.

After each connection it shakes hands, subscribes, says so (`on_up`), and hands every event on. What
was missed in between is for `on_up` to find out; events are never handed on before it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

import aiohttp
import numpy as np

from broker_api.errors import BrokerError, ConfigurationError
from broker_api.live.line import Line
from broker_api.live.transport import Http
from broker_api.messages import ProtocolError
from broker_api.projectx.tokens import Tokens
from broker_api.projectx.wire.records import Pushed, decode_pushed
from broker_api.projectx.wire.signalr import (
    HANDSHAKE_REQUEST,
    Close,
    Completion,
    Invocation,
    Message,
    Ping,
    Splitter,
    check_handshake_answer,
    decode_message,
    encode_message,
)
from broker_api.secret import Secret

PING_SECONDS = 15.0
SILENCE_SECONDS = 45.0
"""The gateway pings every 15 s: a connection on which nothing came for so long is dead."""
SUBSCRIBED_SECONDS = 10.0
UNAUTHORISED = 401


class Hub(Line):
    """One of both hubs. `start` and `close` it."""

    def __init__(
        self,
        http: Http,
        url: str,
        tokens: Tokens,
        calls: Sequence[Invocation],
        *,
        on_event: Callable[[Pushed], None],
        on_bad_event: Callable[[ProtocolError], None],
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
        draws: np.random.Generator,
    ) -> None:
        super().__init__(http, on_down=on_down, silence_seconds=SILENCE_SECONDS, draws=draws)
        self._url = "ws" + url.removeprefix("http")
        self._tokens = tokens
        self._calls = [
            Invocation(each.target, each.arguments, str(number))
            for number, each in enumerate(calls, start=1)
        ]
        self._on_event = on_event
        self._on_bad_event = on_bad_event
        self._on_up = on_up
        self._token: Secret | None = None

    async def _address(self) -> str:
        try:
            self._token = token = await self._tokens.token()
        except ConfigurationError as refusal:  # of a key that was good: perhaps it is again
            raise BrokerError(str(refusal)) from None
        return f"{self._url}?access_token={quote(token.reveal(), safe='')}"

    async def _refused(self, status: int) -> None:
        """The gateway has ended the token's session: another one is needed."""
        if status == UNAUTHORISED and self._token is not None:
            with contextlib.suppress(BrokerError, ConfigurationError):  # it is tried again
                await self._tokens.refused(self._token)

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        """One connection's life; returns why it ended."""
        splitter, early = Splitter(), list[Message]()
        self.frames = 0
        async with asyncio.timeout(SUBSCRIBED_SECONDS):
            await socket.send_str(HANDSHAKE_REQUEST)
            why = await self._greeted(socket, splitter, early)
            if why is None:
                why = await self._subscribed(socket, splitter, early)
        if why is not None:
            return why
        pinging = asyncio.get_running_loop().create_task(self._ping(socket))
        try:
            await self._on_up()
            for message in early:
                self._hand_on(message)
            while True:
                received = await socket.receive()
                if received.type is not aiohttp.WSMsgType.TEXT:
                    return f"the connection ended ({received.type.name.lower()})"
                for message in self._messages(splitter, received.data):
                    if isinstance(message, Close):
                        return f"the gateway ended it: {message.error or 'without a reason'}"
                    self._hand_on(message)
                self.frames += 1
        finally:
            pinging.cancel()
            await asyncio.wait((pinging,))

    async def _greeted(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        splitter: Splitter,
        early: list[Message],
    ) -> str | None:
        """Wait for the answer to the handshake; why it did not come, None when it did."""
        while True:
            received = await socket.receive()
            if received.type is not aiohttp.WSMsgType.TEXT:
                return f"it closed before it shook hands ({received.type.name.lower()})"
            texts = list(splitter.feed(received.data))
            self.frames += 1
            if texts:
                check_handshake_answer(texts[0])
                early += [each for text in texts[1:] if (each := self._decoded(text)) is not None]
                return None

    async def _subscribed(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        splitter: Splitter,
        early: list[Message],
    ) -> str | None:
        """Subscribe, and wait until every call has been answered; why not, None when it was."""
        waiting = {each.invocation_id for each in self._calls}
        for call in self._calls:
            await socket.send_str(encode_message(call))
        while waiting:
            received = await socket.receive()
            if received.type is not aiohttp.WSMsgType.TEXT:
                return f"it closed before it had subscribed ({received.type.name.lower()})"
            self.frames += 1
            for message in self._messages(splitter, received.data):
                if isinstance(message, Completion):
                    if message.error is not None:
                        return f"a subscription was refused: {message.error}"
                    waiting.discard(message.invocation_id)
                else:
                    early.append(message)
        return None

    def _messages(self, splitter: Splitter, text: str) -> list[Message]:
        try:
            texts = list(splitter.feed(text))
        except ProtocolError as fault:
            self._on_bad_event(fault)
            return []
        return [each for text in texts if (each := self._decoded(text)) is not None]

    def _decoded(self, text: str) -> Message | None:
        try:
            return decode_message(text)
        except ProtocolError as fault:
            self._on_bad_event(fault)
            return None

    def _hand_on(self, message: Message) -> None:
        if not isinstance(message, Invocation):
            return
        self.take(message)

    def take(self, message: Invocation) -> None:
        """One event of the hub's."""
        try:
            pushed = decode_pushed(message.target, message.arguments)
        except ProtocolError as fault:
            self._on_bad_event(fault)
            return
        if pushed is not None:
            self._on_event(pushed)

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await socket.send_str(encode_message(Ping()))
