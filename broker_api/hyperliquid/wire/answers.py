"""What `/exchange` answers: one verdict for the action, or one entry for each of its orders.

A refused entry comes inside an action that was accepted; some entries are bare words. An action
that is refused by itself has nothing but a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from broker_api.hyperliquid.wire.schema import (
    ABSENT,
    Cloid,
    Key,
    ProtocolError,
    ResponseNumber,
    Unsigned,
    decode,
    encode,
    response,
)

_TEXT_MAX = 2_000


@response
class Resting:
    """The order is on the book, or a trigger of its own that waits."""

    oid: Unsigned
    cloid: Annotated[Cloid | None, ABSENT] = None


@response
class Filled:
    """The order, or the part of it that could, has traded, and nothing of it rests."""

    size: Annotated[ResponseNumber, Key("totalSz")]
    average_price: Annotated[ResponseNumber, Key("avgPx")]
    oid: Unsigned
    cloid: Annotated[Cloid | None, ABSENT] = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A take-profit or stop-loss that is held: for its parent's fill, or for its trigger."""

    for_fill: bool


@dataclass(frozen=True, slots=True)
class Success:
    """The cancel is done."""


@dataclass(frozen=True, slots=True)
class Refused:
    """This entry was refused; `texts.read` knows what the text means."""

    text: str


Entry = Resting | Filled | Waiting | Success | Refused

_WORDS: dict[str, Entry] = {
    "waitingForFill": Waiting(for_fill=True),
    "waitingForTrigger": Waiting(for_fill=False),
    "success": Success(),
}


@dataclass(frozen=True, slots=True)
class Done:
    """The action is done and there is nothing to tell of it."""


@dataclass(frozen=True, slots=True)
class Entries:
    """One entry for each order ("order") or cancel ("cancel"), in the order of the request.

    A batch that was refused as a whole may come as one refused entry.
    """

    type: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class ActionRefused:
    """The action as a whole was refused."""

    text: str


Answer = Done | Entries | ActionRefused


def decode_answer(value: object) -> Answer:
    """The answer in a body of `/exchange`. Raises ProtocolError."""
    status, inner = _at(value, "body", "status"), _at(value, "body", "response")
    if status == "err":
        return ActionRefused(_text(inner, "body.response"))
    if status != "ok":
        raise ProtocolError("body.status", f"{str(status)[:80]!r} is neither ok nor err")
    kind = _text(_at(inner, "body.response", "type"), "body.response.type")
    if kind == "default":
        return Done()
    place = "body.response.data"
    found = _at(_at(inner, "body.response", "data"), place, "statuses")
    if not isinstance(found, list):
        raise ProtocolError(f"{place}.statuses", "is no list")
    entries = (_decode_entry(each, f"{place}.statuses.{i}") for i, each in enumerate(found))
    return Entries(kind, tuple(entries))


def _decode_entry(value: object, place: str) -> Entry:
    if isinstance(value, str):
        word = _WORDS.get(value)
        if word is None:
            raise ProtocolError(place, f"{value[:80]!r} is no word that is known here")
        return word
    if isinstance(value, Mapping):
        if "error" in value:
            return Refused(_text(value["error"], f"{place}.error"))
        for name, kind in (("resting", Resting), ("filled", Filled)):
            if name in value:
                entry: Entry = decode(kind, value[name], f"{place}.{name}")
                return entry
    raise ProtocolError(place, f"{str(value)[:80]} is no entry that is known here")


def _at(value: object, place: str, key: str) -> Any:
    if not isinstance(value, Mapping) or key not in value:
        raise ProtocolError(place, f"has no {key!r}")
    return value[key]


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise ProtocolError(place, "is no text")
    return value[:_TEXT_MAX]


def encode_answer(answer: Answer) -> dict[str, Any]:
    """The body of an answer."""
    if isinstance(answer, ActionRefused):
        return {"status": "err", "response": answer.text}
    if isinstance(answer, Done):
        return {"status": "ok", "response": {"type": "default"}}
    statuses = [_encode_entry(entry) for entry in answer.entries]
    return {"status": "ok", "response": {"type": answer.type, "data": {"statuses": statuses}}}


def _encode_entry(entry: Entry) -> Any:
    if isinstance(entry, Refused):
        return {"error": entry.text}
    if isinstance(entry, Resting):
        return {"resting": encode(entry)}
    if isinstance(entry, Filled):
        return {"filled": encode(entry)}
    if isinstance(entry, Success):
        return "success"
    return "waitingForFill" if entry.for_fill else "waitingForTrigger"


def order_answer(entries: Sequence[Entry]) -> Entries:
    """The answer to an order or a batchModify."""
    return Entries("order", tuple(entries))


def cancel_answer(entries: Sequence[Entry]) -> Entries:
    """The answer to either kind of cancel."""
    return Entries("cancel", tuple(entries))
