"""The WebSocket's envelopes: subscriptions, channels and their data, requests by post.

One table says which channel carries which records; `decode_frame` gives a frame with its data
decoded, `Frame.data` being None on channels that have no records here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from broker_api.hyperliquid.wire.account import (
    ClearinghouseState,
    Fill,
    Funding,
    OrderUpdate,
)
from broker_api.hyperliquid.wire.market import (
    AssetContextFrame,
    BestPrices,
    Book,
    Candle,
    Print,
)
from broker_api.hyperliquid.wire.schema import (
    ABSENT,
    Address,
    Flag,
    Key,
    Many,
    ProtocolError,
    ResponseNumber,
    Text,
    Unsigned,
    Whole,
    decode,
    parse_json,
    response,
)

GREETING = "Websocket connection established."
"""A frame of plain text that some servers send first."""


@response
class Mids:
    """Data of an `allMids` frame: the mid by coin."""

    mids: dict[Text, ResponseNumber]


@response
class UserFillsData:
    """Data of a `userFills` frame; the first is a snapshot of the newest fills."""

    user: Address
    fills: Many[Fill]
    is_snapshot: Annotated[Flag | None, Key("isSnapshot"), ABSENT] = None


@response
class UserFundingsData:
    """Data of a `userFundings` frame."""

    user: Address
    fundings: Many[Funding]
    is_snapshot: Annotated[Flag | None, Key("isSnapshot"), ABSENT] = None


@response
class NonUserCancel:
    """An order that the venue ended."""

    coin: Text
    oid: Unsigned


@response
class LiquidationEvent:
    """A liquidation of the account, or by it."""

    lid: Unsigned
    liquidator: Text
    liquidated_user: Text
    liquidated_ntl_pos: ResponseNumber
    liquidated_account_value: ResponseNumber


@response
class UserEventsData:
    """Data of a `user` frame: one of them."""

    fills: Annotated[Many[Fill] | None, ABSENT] = None
    funding: Annotated[Funding | None, ABSENT] = None
    liquidation: Annotated[LiquidationEvent | None, ABSENT] = None
    non_user_cancel: Annotated[Many[NonUserCancel] | None, Key("nonUserCancel"), ABSENT] = None


@response
class ClearinghouseData:
    """Data of a `clearinghouseState` frame."""

    state: Annotated[ClearinghouseState, Key("clearinghouseState")]
    user: Address


@response
class PostResponse:
    """The inner part of the answer to a post; the payload of an error is a text."""

    type: Literal["info", "action", "error"]
    payload: Any


@response
class PostData:
    """Data of a `post` frame: `id` is the request's."""

    id: Whole
    response: PostResponse


@response
class SubscriptionData:
    """Data of a `subscriptionResponse` frame."""

    method: Text
    subscription: dict[str, Any]


CHANNELS: dict[str, Any] = {
    "allMids": Mids,
    "l2Book": Book,
    "bbo": BestPrices,
    "trades": Many[Print],
    "candle": Candle,
    "activeAssetCtx": AssetContextFrame,
    "orderUpdates": Many[OrderUpdate],
    "user": UserEventsData,
    "userFills": UserFillsData,
    "userFundings": UserFundingsData,
    "clearinghouseState": ClearinghouseData,
    "post": PostData,
    "subscriptionResponse": SubscriptionData,
    "error": Text,
}
"""By channel: what its data is. Other channels are passed over."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of the server."""

    channel: str
    data: Any


def decode_frame(text: str | bytes) -> Frame:
    """A frame with its data decoded. Raises ProtocolError."""
    if text == GREETING:
        return Frame("greeting", None)
    value = parse_json(text, "frame")
    if not isinstance(value, Mapping) or not isinstance(value.get("channel"), str):
        raise ProtocolError("frame", "has no channel")
    channel = value["channel"]
    kind = CHANNELS.get(channel)
    data = None if kind is None else decode(kind, value.get("data"), f"frame.{channel}"[:80])
    return Frame(channel, data)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A client's wish to hear of something, or no more."""

    subscription: Mapping[str, Any]
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Ping:
    """A client's sign of life; the answer is `{"channel": "pong"}`."""


@dataclass(frozen=True, slots=True)
class Post:
    """A client's request over the socket: of `/info`, or an action with its envelope."""

    id: int
    type: str
    payload: Any


ClientFrame = Subscribe | Ping | Post


@response
class _PostRequest:
    type: Literal["info", "action"]
    payload: Any


@response
class _PostFrame:
    id: Whole
    request: _PostRequest


def decode_client_frame(text: str | bytes) -> ClientFrame:
    """What a client sent. Raises ProtocolError."""
    value = parse_json(text, "frame")
    method = value.get("method") if isinstance(value, Mapping) else None
    reader = _METHODS.get(method) if isinstance(method, str) else None
    if reader is None:
        raise ProtocolError("frame.method", f"{str(method)[:80]!r} is not known")
    return reader(value)


def _subscription(value: Mapping[str, Any], *, ends: bool) -> ClientFrame:
    subscription = value.get("subscription")
    if not isinstance(subscription, Mapping) or not isinstance(subscription.get("type"), str):
        raise ProtocolError("frame.subscription", "has no type")
    return Subscribe(subscription, ends)


def _post(value: Mapping[str, Any]) -> ClientFrame:
    post: _PostFrame = decode(_PostFrame, dict(value), "frame")
    return Post(post.id, post.request.type, post.request.payload)


_METHODS: dict[str, Callable[[Mapping[str, Any]], ClientFrame]] = {
    "subscribe": lambda value: _subscription(value, ends=False),
    "unsubscribe": lambda value: _subscription(value, ends=True),
    "ping": lambda value: Ping(),
    "post": _post,
}
