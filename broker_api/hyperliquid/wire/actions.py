"""What is posted to `/exchange`: the actions, and the envelope with nonce and signature.

Fields stand in the order in which the venue hashes them: `encode_action` gives what is signed. What
may be absent is absent when it is None, never null.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, ClassVar

from broker_api.hyperliquid.wire.schema import (
    ABSENT,
    Address,
    Asset,
    Cloid,
    Flag,
    HexInt,
    Key,
    Many,
    ProtocolError,
    RequestNumber,
    Text,
    Unsigned,
    Whole,
    decode,
    encode,
    request,
)

ACTION_WEIGHT_MAX = 200
"""Entries of one signed action; the venue refuses more."""


class Tif(str, Enum):
    """How long a limit order works: until cancelled, at once or not at all, or only as a maker."""

    GTC = "Gtc"
    IOC = "Ioc"
    ALO = "Alo"
    FRONTEND_MARKET = "FrontendMarket"
    """An Ioc that is labelled a market order."""


class TpSl(str, Enum):
    """Whether a trigger takes a profit or stops a loss, which says on which side of the mark."""

    TAKE_PROFIT = "tp"
    STOP_LOSS = "sl"


class Grouping(str, Enum):
    """What the orders of one action are to each other."""

    NONE = "na"
    NORMAL = "normalTpsl"
    """The first is the parent of the others."""
    POSITION = "positionTpsl"
    """Triggers that follow the position."""


# --- orders ------------------------------------------------------------------------------------


@request
class Limit:
    """The terms of an order without a trigger."""

    tif: Tif


@request
class Trigger:
    """The terms of an order that waits for the mark price."""

    is_market: Annotated[Flag, Key("isMarket")]
    trigger_price: Annotated[RequestNumber, Key("triggerPx")]
    tpsl: TpSl


@request
class Terms:
    """Exactly one of the two."""

    limit: Annotated[Limit | None, ABSENT] = None
    trigger: Annotated[Trigger | None, ABSENT] = None

    def __post_init__(self) -> None:
        if (self.limit is None) == (self.trigger is None):
            raise ValueError("an order has either a limit or a trigger")


@request
class Order:
    """One order. The price bounds what a triggered market order may pay, so it is never absent."""

    asset: Annotated[Asset, Key("a")]
    is_buy: Annotated[Flag, Key("b")]
    price: Annotated[RequestNumber, Key("p")]
    size: Annotated[RequestNumber, Key("s")]
    reduce_only: Annotated[Flag, Key("r")]
    terms: Annotated[Terms, Key("t")]
    cloid: Annotated[Cloid | None, Key("c"), ABSENT] = None


@request
class Builder:
    """Who routed the orders, and the fee for that in tenths of a basis point."""

    address: Annotated[Address, Key("b")]
    fee: Annotated[Unsigned, Key("f")]


@request
class OrderAction:
    """New orders."""

    TYPE: ClassVar[str] = "order"
    orders: Many[Order]
    grouping: Grouping = Grouping.NONE
    builder: Annotated[Builder | None, ABSENT] = None


# --- cancels and changes -----------------------------------------------------------------------


@request
class Cancel:
    """One order by the venue's id."""

    asset: Annotated[Asset, Key("a")]
    oid: Annotated[Unsigned, Key("o")]
    fast: Annotated[Flag | None, Key("f"), ABSENT] = None


@request
class CancelAction:
    """End orders by the venue's ids."""

    TYPE: ClassVar[str] = "cancel"
    cancels: Many[Cancel]


@request
class CancelByCloid:
    """One order by the client's id."""

    asset: Asset
    cloid: Cloid


@request
class CancelByCloidAction:
    """End orders by the client's ids."""

    TYPE: ClassVar[str] = "cancelByCloid"
    cancels: Many[CancelByCloid]


@request
class Modify:
    """Cancel the order with this oid or cloid, and place the new one.

    Without `always_place` the venue takes only orders without a trigger that rest.
    """

    oid: Unsigned | Cloid
    order: Order
    always_place: Annotated[Flag | None, Key("a"), ABSENT] = None


@request
class ModifyAction:
    """One change; what is wrong with it is wrong with the action."""

    TYPE: ClassVar[str] = "modify"
    oid: Unsigned | Cloid
    order: Order
    always_place: Annotated[Flag | None, Key("a"), ABSENT] = None


@request
class BatchModifyAction:
    """Several changes, each with its own answer."""

    TYPE: ClassVar[str] = "batchModify"
    modifies: Many[Modify]


@request
class ScheduleCancelAction:
    """The dead man's switch: cancel all at this wall-clock time in ms; None disarms it."""

    TYPE: ClassVar[str] = "scheduleCancel"
    time: Annotated[Unsigned | None, ABSENT] = None


# --- margin, agents, money ---------------------------------------------------------------------


@request
class UpdateLeverageAction:
    """Set an asset's leverage and margin mode."""

    TYPE: ClassVar[str] = "updateLeverage"
    asset: Asset
    is_cross: Annotated[Flag, Key("isCross")]
    leverage: Unsigned


@request
class UpdateIsolatedMarginAction:
    """Add to an isolated position's margin, in millionths of a dollar; negative takes away."""

    TYPE: ClassVar[str] = "updateIsolatedMargin"
    asset: Asset
    is_buy: Annotated[Flag, Key("isBuy")]
    ntli: Whole


@request
class NoopAction:
    """Uses up a nonce."""

    TYPE: ClassVar[str] = "noop"


@request
class ApproveAgentAction:
    """Let another key act for the account. An unnamed agent has no name at all."""

    TYPE: ClassVar[str] = "approveAgent"
    agent_address: Annotated[Address, Key("agentAddress")]
    nonce: Unsigned
    signature_chain_id: Annotated[HexInt, Key("signatureChainId")]
    hyperliquid_chain: Annotated[Text, Key("hyperliquidChain")]
    agent_name: Annotated[Text | None, Key("agentName"), ABSENT] = None


@request
class ApproveBuilderFeeAction:
    """Let a builder take a fee of at most this rate, as in "0.001%"."""

    TYPE: ClassVar[str] = "approveBuilderFee"
    max_fee_rate: Annotated[Text, Key("maxFeeRate")]
    builder: Address
    nonce: Unsigned
    signature_chain_id: Annotated[HexInt, Key("signatureChainId")]
    hyperliquid_chain: Annotated[Text, Key("hyperliquidChain")]


@request
class UsdClassTransferAction:
    """Move dollars between the perpetuals' account and the spot account.

    `amount` stays a text: it is signed as it is, and may name a sub-account behind the number.
    """

    TYPE: ClassVar[str] = "usdClassTransfer"
    amount: Text
    to_perp: Annotated[Flag, Key("toPerp")]
    nonce: Unsigned
    signature_chain_id: Annotated[HexInt, Key("signatureChainId")]
    hyperliquid_chain: Annotated[Text, Key("hyperliquidChain")]


Action = (
    OrderAction
    | CancelAction
    | CancelByCloidAction
    | ModifyAction
    | BatchModifyAction
    | ScheduleCancelAction
    | UpdateLeverageAction
    | UpdateIsolatedMarginAction
    | NoopAction
    | ApproveAgentAction
    | ApproveBuilderFeeAction
    | UsdClassTransferAction
)
UserSigned = ApproveAgentAction | ApproveBuilderFeeAction | UsdClassTransferAction

ACTIONS: dict[str, type[Action]] = {
    kind.TYPE: kind
    for kind in (
        OrderAction,
        CancelAction,
        CancelByCloidAction,
        ModifyAction,
        BatchModifyAction,
        ScheduleCancelAction,
        UpdateLeverageAction,
        UpdateIsolatedMarginAction,
        NoopAction,
        ApproveAgentAction,
        ApproveBuilderFeeAction,
        UsdClassTransferAction,
    )
}
"""By `type`: what a perpetuals trader sends. Other types are refused as malformed."""


def decode_action(value: object, place: str = "action") -> Action:
    """The action in a JSON value. Raises ProtocolError."""
    if not isinstance(value, Mapping):
        raise ProtocolError(place, "is no object")
    name = value.get("type")
    kind = ACTIONS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ProtocolError(f"{place}.type", f"{str(name)[:80]!r} is no action that is known here")
    action: Action = decode(kind, {key: value[key] for key in value if key != "type"}, place)
    return action


def encode_action(action: Action) -> dict[str, Any]:
    """The JSON value of an action in the order of its hash. Raises ProtocolError."""
    return {"type": action.TYPE, **encode(action)}


# --- the envelope ------------------------------------------------------------------------------


@request
class Signature:
    """The words of a signature; `v` is 27 or 28 (0 and 1 mean the same)."""

    r: HexInt
    s: HexInt
    v: Unsigned


@request
class Posted:
    """What is around an action. None of vault and expiry means absent, to the hash as well."""

    action: dict[str, Any]
    nonce: Unsigned
    signature: Signature
    vault: Annotated[Address | None, Key("vaultAddress")] = None
    expires_after: Annotated[Unsigned | None, Key("expiresAfter")] = None


def decode_posted(value: object) -> tuple[Posted, Action]:
    """The envelope in a body of `/exchange`, with its action as received and as decoded."""
    posted: Posted = decode(Posted, value)
    return posted, decode_action(posted.action)


def encode_posted(
    action: Mapping[str, Any],
    nonce: int,
    signature: Signature,
    vault: str | None = None,
    expires_after: int | None = None,
) -> dict[str, Any]:
    """The body of `/exchange` around an encoded action."""
    return {
        "action": action,
        "nonce": nonce,
        "signature": encode(signature),
        "vaultAddress": vault,
        "expiresAfter": expires_after,
    }
