"""What is answered and pushed: records, the envelope around them, and the events of both hubs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from broker_api.messages import ABSENT, Flag, Key, ProtocolError, Text, decode, response
from broker_api.order import Side
from broker_api.projectx.wire.enums import (
    DomType,
    OrderStatus,
    OrderType,
    PositionType,
    TradeLogType,
)
from broker_api.projectx.wire.fields import ContractId, Count, Id, Instant, Number, Tag


@response
class Account:
    """A trading account."""

    id: Id
    name: Text
    balance: Number
    can_trade: Annotated[Flag, Key("canTrade")]
    is_visible: Annotated[Flag, Key("isVisible")]
    simulated: Flag


@response
class ContractRecord:
    """A contract as the searches tell of it."""

    id: ContractId
    name: Text
    description: Text
    tick_size: Annotated[Number, Key("tickSize")]
    tick_value: Annotated[Number, Key("tickValue")]
    active: Annotated[Flag, Key("activeContract")]
    symbol_id: Annotated[Text, Key("symbolId")]


@response
class Bar:
    """A bar; `t` is when it began."""

    t: Instant
    o: Number
    h: Number
    l: Number  # noqa: E741  the wire's name
    c: Number
    v: Count


@response
class Order:
    """An order; `fill_volume` is all that was filled, `filled_price` its average."""

    id: Id
    account_id: Annotated[Id, Key("accountId")]
    contract_id: Annotated[ContractId, Key("contractId")]
    created: Annotated[Instant, Key("creationTimestamp")]
    status: OrderStatus
    type: OrderType
    side: Side
    size: Count
    symbol_id: Annotated[Text | None, Key("symbolId")] = None
    updated: Annotated[Instant | None, Key("updateTimestamp")] = None
    limit_price: Annotated[Number | None, Key("limitPrice")] = None
    stop_price: Annotated[Number | None, Key("stopPrice")] = None
    fill_volume: Annotated[Count, Key("fillVolume")] = 0
    filled_price: Annotated[Number | None, Key("filledPrice")] = None
    custom_tag: Annotated[Tag | None, Key("customTag")] = None
    trail_distance: Annotated[Count | None, Key("trailDistance"), ABSENT] = None
    parent_order_id: Annotated[Id | None, Key("parentOrderId"), ABSENT] = None


@response
class Position:
    """A position; `size` is positive, and 0 in the event that tells of its end."""

    id: Id
    account_id: Annotated[Id, Key("accountId")]
    contract_id: Annotated[ContractId, Key("contractId")]
    created: Annotated[Instant, Key("creationTimestamp")]
    type: PositionType
    size: Count
    average_price: Annotated[Number, Key("averagePrice")]


@response
class Trade:
    """One execution; `profit_and_loss` is what it realised, None when it opened or added.

    Its cost is `fees` plus `commissions`, which not every account has.
    """

    id: Id
    account_id: Annotated[Id, Key("accountId")]
    contract_id: Annotated[ContractId, Key("contractId")]
    created: Annotated[Instant, Key("creationTimestamp")]
    price: Number
    profit_and_loss: Annotated[Number | None, Key("profitAndLoss")]
    side: Side
    size: Count
    voided: Flag
    order_id: Annotated[Id, Key("orderId")]
    fees: Number | None = None
    commissions: Annotated[Number | None, ABSENT] = None


@response
class Quote:
    """`GatewayQuote`: what has changed; the live feed leaves out what has not."""

    symbol: Text
    last: Annotated[Number | None, Key("lastPrice"), ABSENT] = None
    bid: Annotated[Number | None, Key("bestBid"), ABSENT] = None
    ask: Annotated[Number | None, Key("bestAsk"), ABSENT] = None
    volume: Annotated[Count | None, ABSENT] = None
    updated: Annotated[Instant | None, Key("lastUpdated"), ABSENT] = None
    timestamp: Annotated[Instant | None, ABSENT] = None


@response
class MarketTrade:
    """`GatewayTrade`: a trade in the market, with its aggressor."""

    symbol_id: Annotated[Text, Key("symbolId")]
    price: Number
    timestamp: Instant
    type: TradeLogType
    volume: Count


@response
class Depth:
    """`GatewayDepth`: one level of the book."""

    timestamp: Instant
    type: DomType
    price: Number
    volume: Count
    current_volume: Annotated[Count, Key("currentVolume")] = 0


# --- envelopes -----------------------------------------------------------------------------------


class Reply(NamedTuple):
    """An answer without its envelope: the code 0 and a body, or a code and a sentence."""

    code: int
    text: str | None
    body: Mapping[str, Any]

    @property
    def is_success(self) -> bool:
        """Whether it was done."""
        return self.code == 0


def envelope(code: int = 0, text: str | None = None, **body: Any) -> dict[str, Any]:
    """An answer in its envelope."""
    return {**body, "success": code == 0, "errorCode": int(code), "errorMessage": text}


@response
class _Envelope:
    success: Flag
    code: Annotated[Count, Key("errorCode")]
    text: Annotated[str | None, Key("errorMessage")] = None


def open_envelope(value: object) -> Reply:
    """The answer in an envelope. Raises ProtocolError, also where flag and code disagree."""
    found = decode(_Envelope, value, "reply")
    if found.success != (found.code == 0) or not isinstance(value, Mapping):
        raise ProtocolError("reply", f"success {found.success} with errorCode {found.code}")
    return Reply(found.code, found.text, value)


# --- events of the hubs ---------------------------------------------------------------------------

USER_EVENTS: dict[str, type] = {
    "GatewayUserAccount": Account,
    "GatewayUserOrder": Order,
    "GatewayUserPosition": Position,
    "GatewayUserTrade": Trade,
}
MARKET_EVENTS: dict[str, type] = {
    "GatewayQuote": Quote,
    "GatewayTrade": MarketTrade,
    "GatewayDepth": Depth,
}
EVENT_OF = {kind: name for name, kind in (USER_EVENTS | MARKET_EVENTS).items()}
"""By record the name of the event that pushes it."""


class Pushed(NamedTuple):
    """One event of a hub: its records, and of the market the contract."""

    target: str
    contract_id: str | None
    records: tuple[Any, ...]


def decode_pushed(target: str, arguments: tuple[Any, ...]) -> Pushed | None:
    """The event of an invocation; None for one that is not known. Raises ProtocolError.

    A user's record comes bare or as `{"action", "data"}`; the market's alone or as a list that is
    filled up with nulls.
    """
    if target in USER_EVENTS:
        if len(arguments) != 1:
            raise ProtocolError(target, f"has {len(arguments)} arguments, not 1")
        value = arguments[0]
        if isinstance(value, Mapping) and "data" in value:
            value = value["data"]
        return Pushed(target, None, (decode(USER_EVENTS[target], value, target),))
    if target in MARKET_EVENTS:
        if len(arguments) != 2 or not isinstance(arguments[0], str):
            raise ProtocolError(target, "has not a contract and its data as arguments")
        many = arguments[1] if isinstance(arguments[1], list) else [arguments[1]]
        kind = MARKET_EVENTS[target]
        found = tuple(decode(kind, each, target) for each in many if each is not None)
        return Pushed(target, arguments[0], found)
    return None
