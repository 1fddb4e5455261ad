"""The JSON hub protocol of SignalR: texts to messages and back; no connection is made here.

A message is a JSON object with the byte 0x1E behind it. A frame of the WebSocket may hold several,
and a part of one. The first message of either side is the handshake. Source: the protocol's public
specification ("HubProtocol.md"); streams and their messages are not used by this venue and are
refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from broker_api.messages import ProtocolError
from broker_api.projectx.wire.fields import parse_body

SEPARATOR = "\x1e"
MESSAGE_MAX = 1 << 20
"""Characters of one message; clients close the connection at frames above a MiB."""
HANDSHAKE_REQUEST = '{"protocol":"json","version":1}' + SEPARATOR
HANDSHAKE_ANSWER = "{}" + SEPARATOR
_NAME_MAX = 256


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of `target`; with an `invocation_id` the caller waits for a Completion."""

    target: str
    arguments: tuple[Any, ...] = ()
    invocation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of a call: its result, or what was wrong with it."""

    invocation_id: str
    result: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """The other side is there."""


@dataclass(frozen=True, slots=True)
class Close:
    """The other side ends the connection."""

    error: str | None = None
    allow_reconnect: bool = False


Message = Invocation | Completion | Ping | Close
_INVOCATION, _COMPLETION, _PING, _CLOSE = 1, 3, 6, 7


@dataclass(slots=True)
class Splitter:
    """Texts of a connection as they come, to whole messages without their separators."""

    _rest: list[str] = field(default_factory=list)
    _length: int = 0

    def feed(self, text: str | bytes) -> Iterator[str]:
        """The messages that this text completes. Raises ProtocolError; nothing of it is kept then.

        Call it to its end.
        """
        if isinstance(text, bytes):
            try:
                text = text.decode()
            except UnicodeDecodeError:
                raise ProtocolError("frame", "is no UTF-8") from None
        *whole, rest = text.split(SEPARATOR)
        for at, each in enumerate(whole):
            found = "".join([*self._rest, each]) if at == 0 else each
            self._rest.clear()
            self._length = 0
            if len(found) > MESSAGE_MAX:
                raise ProtocolError("frame", f"a message of more than {MESSAGE_MAX} characters")
            yield found
        if rest:
            self._length += len(rest)
            if self._length > MESSAGE_MAX:
                self._rest.clear()
                self._length = 0
                raise ProtocolError("frame", f"a message of more than {MESSAGE_MAX} characters")
            self._rest.append(rest)


def check_handshake_request(text: str) -> None:
    """Raise ProtocolError for a client's first message that does not ask for JSON, version 1."""
    body = parse_body(text, "handshake")
    if body.get("protocol") != "json" or body.get("version") != 1:
        raise ProtocolError("handshake", "is not for the protocol json, version 1")


def check_handshake_answer(text: str) -> None:
    """Raise ProtocolError for a server's first message that is no consent."""
    error = parse_body(text, "handshake").get("error")
    if error is not None:
        raise ProtocolError("handshake", f"refused: {str(error)[:_NAME_MAX]}")


def encode_message(message: Message) -> str:
    """The text of a message, its separator behind it."""
    table: dict[str, Any]
    match message:
        case Invocation(target, arguments, invocation_id):
            table = {"type": _INVOCATION, "target": target, "arguments": list(arguments)}
            if invocation_id is not None:
                table["invocationId"] = invocation_id
        case Completion(invocation_id, result, error):
            table = {"type": _COMPLETION, "invocationId": invocation_id}
            table |= {"result": result} if error is None else {"error": error}
        case Ping():
            table = {"type": _PING}
        case Close(error, allow_reconnect):
            table = {"type": _CLOSE}
            if error is not None:
                table["error"] = error
            if allow_reconnect:
                table["allowReconnect"] = True
    return json.dumps(table, separators=(",", ":"), allow_nan=False) + SEPARATOR


def decode_message(text: str) -> Message | None:
    """The message of a text without its separator; None for a type that is not known.

    Fractions are exact Decimals. Raises ProtocolError.
    """
    body = parse_body(text, "message")
    kind = body.get("type")
    if isinstance(kind, bool) or not isinstance(kind, int):
        raise ProtocolError("message.type", "is no number")
    if kind == _PING:
        return Ping()
    if kind == _CLOSE:
        return Close(_name(body, "error", needed=False), body.get("allowReconnect") is True)
    if kind == _COMPLETION:
        invocation_id = _name(body, "invocationId")
        assert invocation_id is not None
        if "error" in body and "result" in body:
            raise ProtocolError("message", "has an error and a result")
        return Completion(invocation_id, body.get("result"), _name(body, "error", needed=False))
    if kind != _INVOCATION:
        return None
    target, arguments = _name(body, "target"), body.get("arguments", [])
    assert target is not None
    if not isinstance(arguments, list):
        raise ProtocolError("message.arguments", "is no list")
    return Invocation(target, tuple(arguments), _name(body, "invocationId", needed=False))


def _name(body: dict[str, Any], key: str, *, needed: bool = True) -> str | None:
    value = body.get(key)
    if value is None and not needed:
        return None
    if not isinstance(value, str) or (needed and not value):
        raise ProtocolError(f"message.{key}", "is no text")
    return value
