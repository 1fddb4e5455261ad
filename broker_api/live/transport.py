"""Requests over HTTP, and what a failure says about them: did it arrive, may it be sent again?

A connection that could not be made sent nothing. 429 and 4xx are answers: nothing was done. After
anything else (a time-out, a connection that broke, 5xx, an answer that cannot be read) an action
may have been done, and nobody here sends it again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from broker_api.errors import BrokerError, NotConnectedError
from broker_api.messages import ProtocolError, parse_json

CONNECT_SECONDS = 5.0
ANSWER_BYTES_MAX = 64 << 20
KEEP_ALIVE_SECONDS = 15.0
"""Idle connections are dropped before the server drops them: a request on a dropped one is lost."""
_HEADERS = {"Content-Type": "application/json"}
_SHOWN_MAX = 120


class OutcomeUnknown(BrokerError):
    """A request left and no answer came that tells what became of it. It may have been done."""

    order_may_exist = True


class Unauthorised(ProtocolError):
    """The venue answered 401: it did nothing for somebody whom it does not know (any more)."""


class Throttled(BrokerError):
    """The venue answered 429: it did nothing and wants to be left alone for a while."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Http:
    """Posts JSON to one venue. Made without a connection; `open` and `close` are idempotent.

    `parse` makes of an answer's body what `post` returns.
    """

    def __init__(
        self,
        base_url: str,
        *,
        answer_seconds: float,
        parse: Callable[[bytes], Any] = parse_json,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._parse = parse
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, connect=None, sock_read=answer_seconds
        )
        self._answer_seconds = answer_seconds
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pool of connections; none is opened yet."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=32, keepalive_timeout=KEEP_ALIVE_SECONDS, enable_cleanup_closed=False
            )
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, headers=_HEADERS, trust_env=True
            )

    async def close(self) -> None:
        """Close every connection; requests under way end as unknown."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pool. Raises NotConnectedError before `open` and after `close`."""
        if self._session is None:
            raise NotConnectedError("the connection is closed; nothing was sent")
        return self._session

    async def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON value of an answer of status 200; a body of None is none at all.

        Raises NotConnectedError when nothing was sent, Throttled at 429, Unauthorised at 401,
        ProtocolError when the venue could not read the body (other 4xx), OutcomeUnknown for all
        else.
        """
        data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        session = self.session
        try:
            async with asyncio.timeout(CONNECT_SECONDS + self._answer_seconds):
                async with session.post(self.base_url + path, data=data, headers=headers) as answer:
                    return await self._read(path, answer)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as failure:
            raise NotConnectedError(
                f"{path}: no connection to {self.base_url}: {_short(failure)}; nothing was sent"
            ) from None
        except TimeoutError:
            raise OutcomeUnknown(f"{path}: no answer within {self._answer_seconds:g} s") from None
        except (aiohttp.ClientError, ConnectionError) as failure:
            raise OutcomeUnknown(f"{path}: the connection broke: {_short(failure)}") from None

    async def _read(self, path: str, answer: aiohttp.ClientResponse) -> Any:
        if answer.status == 429:
            seconds = _retry_after(answer.headers.get("Retry-After", ""))
            raise Throttled(f"{path}: 429, too many requests", seconds)
        body = await _body(answer)
        if answer.status == 401:
            raise Unauthorised(path, "the venue answered 401: the session there has ended")
        if answer.status >= 500:
            raise OutcomeUnknown(f"{path}: the venue failed with {answer.status}")
        if answer.status != 200:
            text = body[:_SHOWN_MAX].decode("utf-8", "replace")
            raise ProtocolError(path, f"the venue answered {answer.status}: {text}")
        try:
            return self._parse(body)
        except ProtocolError as fault:
            raise OutcomeUnknown(f"{path}: an answer that cannot be read: {fault}") from None


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    parts, length = [], 0
    async for part in answer.content.iter_any():
        length += len(part)
        if length > ANSWER_BYTES_MAX:
            answer.close()
            raise OutcomeUnknown(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def _retry_after(header: str) -> float:
    """Seconds that the venue named; 0 when it named none that is sensible."""
    return float(header) if header.isdecimal() and len(header) < 6 else 0.0


def _short(failure: BaseException) -> str:
    return (str(failure) or type(failure).__name__)[:_SHOWN_MAX]
