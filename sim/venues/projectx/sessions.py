"""Tokens: who is logged in, and until when by the wall clock.

A token is a JWT: three parts of which clients read the middle one. It is signed, so that none can
be made up; those that were logged out are remembered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from broker_api.errors import BrokerError
from broker_api.messages import ProtocolError
from broker_api.projectx.wire.fields import parse_body
from broker_api.secret import Secret

LIFE_MS = 24 * 3600 * 1000


class Sessions:
    """Logs users in by their keys. `signing` signs tokens, those of other servers are refused."""

    def __init__(self, keys: Mapping[str, Secret], signing: Secret) -> None:
        self._keys = dict(keys)
        self._signing = hashlib.sha256(f"tokens {signing.reveal()}".encode()).digest()
        self._ended: set[str] = set()
        self._count = 0

    def log_in(self, user: str, key: str, now_ms: int) -> str | None:
        """A new token; None for a user or key that is not known."""
        found = self._keys.get(user)
        return self.token_for(user, now_ms) if found is not None and found.matches(key) else None

    def token_for(self, user: str, now_ms: int) -> str:
        """One more token for a user."""
        self._count += 1
        payload = {
            "sub": user,
            "iat": now_ms // 1000,
            "exp": (now_ms + LIFE_MS) // 1000,
            "jti": str(self._count),
        }
        body = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(payload)}"
        return f"{body}.{self._signature(body)}"

    def user_of(self, token: str, now_ms: int) -> str | None:
        """Whose token it is; None when it is wrong, has expired or was logged out."""
        body, _, signature = token.rpartition(".")
        good = hmac.compare_digest(signature.encode(), self._signature(body).encode())
        if not good or token in self._ended:
            return None
        try:
            payload = _payload(body)
        except (BrokerError, ValueError):
            return None
        return payload["sub"] if payload["exp"] * 1000 > now_ms else None

    def log_out(self, token: str) -> None:
        """A token is worth nothing any more."""
        self._ended.add(token)

    def _signature(self, body: str) -> str:
        return _base64(hmac.new(self._signing, body.encode(), hashlib.sha256).digest())


def _part(table: dict[str, Any]) -> str:
    return _base64(json.dumps(table, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _payload(body: str) -> dict[str, Any]:
    _, dot, middle = body.partition(".")
    if not dot:
        raise ProtocolError("token", "has no three parts")
    text = base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4))
    table: dict[str, Any] = parse_body(text, "token")
    return table
