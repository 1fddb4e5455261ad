"""The login: a token from the user's key, renewed before it ends, replaced when it is refused."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from broker_api.errors import BrokerError, ConfigurationError
from broker_api.messages import encode
from broker_api.projectx.wire.codes import LoginCode
from broker_api.projectx.wire.fields import parse_body
from broker_api.projectx.wire.records import Reply, open_envelope
from broker_api.projectx.wire.requests import LoginKey
from broker_api.secret import Secret

LIFE_MS = 24 * 3_600_000
"""A token's life where it does not say so itself. Source: the gateway's documentation."""
RENEW_SHARE = 0.8
"""Renewed after so much of its life."""

Send = Callable[[str, Any, Mapping[str, str]], Awaitable[Any]]
"""Posts a body with headers to a path and returns the answer; see `live.transport.Http.post`."""


class Tokens:
    """One user's token. It is shown to nobody but the gateway.

    `renewals` counts the tokens after the first; `on_renewed` is told of each.
    """

    def __init__(self, send: Send, user: str, key: Secret, now_ms: Callable[[], int]) -> None:
        self._send = send
        self._user = user
        self._key = key
        self._now_ms = now_ms
        self._token: Secret | None = None
        self._renew_at_ms = 0
        self._lock = asyncio.Lock()
        self.renewals = 0
        self.on_renewed: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"Tokens({self._user!r})"

    async def token(self) -> Secret:
        """A token that is valid now. Raises ConfigurationError for a key that is refused."""
        if self._token is None or self._now_ms() >= self._renew_at_ms:
            await self._renew(self._token)
        assert self._token is not None, "it has just been made"
        return self._token

    async def refused(self, token: Secret) -> None:
        """The gateway does not know this token (any more): log in again, once for all who ask."""
        async with self._lock:
            if self._token is token:
                self._take(await self._log_in())

    async def _renew(self, old: Secret | None) -> None:
        async with self._lock:
            if self._token is not old:
                return  # somebody else was faster
            found = None if old is None else await self._validate(old)
            self._take(found or await self._log_in())

    def _take(self, text: Secret) -> None:
        is_first = self._token is None
        self._token = text
        begun, ends = life_of(text, self._now_ms())
        self._renew_at_ms = begun + int((ends - begun) * RENEW_SHARE)
        if not is_first:
            self.renewals += 1
            self.on_renewed()

    async def _validate(self, old: Secret) -> Secret | None:
        """A new token for one that is still valid; None where there is none."""
        try:
            reply = open_envelope(await self._send("/Auth/validate", None, bearer(old)))
        except BrokerError:
            return None
        found = reply.body.get("newToken")
        return Secret(found) if reply.is_success and isinstance(found, str) and found else None

    async def _log_in(self) -> Secret:
        body = encode(LoginKey(self._user, self._key.reveal()))
        reply = open_envelope(await self._send("/Auth/loginKey", body, {}))
        token = reply.body.get("token")
        if not reply.is_success or not isinstance(token, str) or not token:
            raise ConfigurationError(_login_fault(self._user, reply))
        return Secret(token)


def bearer(token: Secret) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token.reveal()}"}


def _login_fault(user: str, reply: Reply) -> str:
    hint = ""
    if reply.code == LoginCode.INVALID_CREDENTIALS:
        hint = "; the name is that of the dashboard, not an e-mail address"
    elif reply.code == LoginCode.API_SUBSCRIPTION_NOT_FOUND:
        hint = "; API access is a subscription of its own"
    return f"user {user!r} cannot log in: {reply.text or f'code {reply.code}'}{hint}"


def life_of(token: Secret, now_ms: int) -> tuple[int, int]:
    """From when to when a JWT is valid, in milliseconds; a day from now where it does not say."""
    parts = token.reveal().split(".")
    try:
        middle = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        payload = parse_body(middle, "token")
        ends = int(payload["exp"]) * 1000
        begun = int(payload.get("iat", now_ms // 1000)) * 1000
    except (IndexError, KeyError, ValueError, TypeError, binascii.Error, BrokerError):
        return now_ms, now_ms + LIFE_MS
    # Its times are the gateway's: what counts is how long it lives from now on.
    return now_ms, now_ms + max(60_000, ends - max(begun, min(now_ms, ends)))
