"""`POST /exchange`: who signed it, whether it may come in, and which part of the venue does it.

The order of checks is the venue's: shape of the body, signer, is the signer known, nonce, expiry,
then the action. An admitted action has used up its nonce, whatever becomes of it; an unknown
signer's has changed nothing. Nonces and expiries are of the wall clock, not of the market's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from broker_api.errors import ConfigurationError
from broker_api.hyperliquid.signing import USER_SIGNED, recover_l1, recover_user
from broker_api.hyperliquid.wire.actions import (
    Action,
    ApproveAgentAction,
    ApproveBuilderFeeAction,
    BatchModifyAction,
    CancelAction,
    CancelByCloidAction,
    ModifyAction,
    NoopAction,
    OrderAction,
    Posted,
    ScheduleCancelAction,
    UpdateIsolatedMarginAction,
    UpdateLeverageAction,
    UsdClassTransferAction,
    UserSigned,
    decode_action,
    decode_posted,
    encode_action,
)
from broker_api.hyperliquid.wire.answers import ActionRefused, Answer, Done, encode_answer
from broker_api.hyperliquid.wire.numbers import truncated_usd
from broker_api.hyperliquid.wire.schema import ProtocolError
from broker_api.hyperliquid.wire.texts import Refusal, write
from broker_api.instrument import NANOS
from sim.venues.hyperliquid import changing, money, placing
from sim.venues.hyperliquid.records import User, usd

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine
    from sim.venues.runner import Runner

_DAY_MS = 86_400_000
NONCE_BEHIND_MS = 2 * _DAY_MS - 120_000
NONCE_AHEAD_MS = _DAY_MS - 120_000
"""How far a nonce may be from now; the documentation's bounds, two minutes tighter as measured."""
NONCES_KEPT = 100
REQUESTS_FREE = 10_000
CANCELS_MORE = 100_000
OVER_EVERY_MS = 10_000
"""An address that has used up its requests may send one in this time."""
STALE_WEIGHT = 5


@dataclass
class Nonces:
    """A signer's nonces: the highest hundred."""

    used: list[int] = field(default_factory=list)

    def refusal(self, nonce: int, wall_ms: int) -> str | None:
        """Why the nonce may not be used now, None when it may."""
        if nonce in self.used:
            return write(Refusal.NONCE_USED, nonce=nonce)
        least = wall_ms - NONCE_BEHIND_MS
        if len(self.used) >= NONCES_KEPT:
            least = max(least, self.used[0] + 1)
        if nonce < least:
            return write(Refusal.NONCE_LOW, nonce=nonce, least=least)
        most = wall_ms + NONCE_AHEAD_MS
        if nonce > most:
            return write(Refusal.NONCE_HIGH, nonce=nonce, most=most)
        return None

    def use(self, nonce: int) -> None:
        """Note the nonce."""
        self.used = sorted([*self.used, nonce])[-NONCES_KEPT:]


def post(runner: Runner, engine: HyperliquidEngine, body: object) -> dict[str, Any]:
    """Answer a body of `/exchange`. Raises ProtocolError for one that has not the right shape."""
    posted, action = decode_posted(body)
    try:
        signer = _signer(posted, action, encode_action(action))
    except ProtocolError:
        return encode_answer(ActionRefused(write(Refusal.UNRECOVERABLE)))
    runner.catch_up()
    refusal = _unknown(engine, signer, action, runner.wall_ms())
    if refusal is not None:
        return encode_answer(ActionRefused(refusal))
    payload = {
        "signer": signer,
        "nonce": posted.nonce,
        "vault": posted.vault,
        "expires_after": posted.expires_after,
        "action": posted.action,
    }
    answer: dict[str, Any] = runner.perform("action", payload)
    return answer


def _signer(posted: Posted, action: Action, rebuilt: dict[str, Any]) -> str:
    """Who signed the action, rebuilt in the venue's own order of fields as the live venue does."""
    if isinstance(action, UserSigned):
        return recover_user(posted.signature, rebuilt)
    return recover_l1(
        posted.signature,
        rebuilt,
        posted.nonce,
        is_mainnet=False,
        vault=posted.vault,
        expires_after=posted.expires_after,
    )


def _unknown(engine: HyperliquidEngine, signer: str, action: Action, wall_ms: int) -> str | None:
    """The refusal of a signer that the venue does not know, None for one that it knows."""
    if signer in engine.users:
        return None
    if isinstance(action, UserSigned):
        return write(Refusal.MUST_DEPOSIT, address=signer)
    if any(signer in user.left_agents for user in engine.users.values()):
        return write(Refusal.MUST_DEPOSIT, address=signer)
    if money.agent_of(engine, signer, wall_ms) is None:
        return write(Refusal.UNKNOWN_SIGNER, address=signer)
    return None


def perform(engine: HyperliquidEngine, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a known signer has posted; the answer's body."""
    return encode_answer(_perform(engine, payload))


def _perform(engine: HyperliquidEngine, payload: Mapping[str, Any]) -> Answer:
    signer, nonce, wall_ms = payload["signer"], payload["nonce"], engine.wall_ms
    action = decode_action(payload["action"])
    if isinstance(action, UserSigned):
        refusal = _chain_refusal(action, nonce)
        if refusal is not None:
            return ActionRefused(refusal)
    nonces = engine.nonces.setdefault(signer, Nonces())
    refusal = nonces.refusal(nonce, wall_ms)
    if refusal is not None:
        return ActionRefused(refusal)
    nonces.use(nonce)
    user = engine.users.get(signer) or engine.masters[signer]
    expires = payload["expires_after"]
    if expires is not None and expires < wall_ms and not isinstance(action, UserSigned):
        user.requests_used += STALE_WEIGHT
        return ActionRefused(write(Refusal.EXPIRED))
    if payload["vault"] is not None:
        return ActionRefused(write(Refusal.UNKNOWN_VAULT, address=payload["vault"]))
    over = _count(engine, user, action) if engine.options.counts_requests else None
    if over is not None:
        return ActionRefused(over)
    try:
        return _DOERS[type(action)](engine, user, action)
    except ConfigurationError as refusal_:
        return ActionRefused(str(refusal_))


def _chain_refusal(action: UserSigned, nonce: int) -> str | None:
    if action.hyperliquid_chain != "Testnet":
        return write(Refusal.OTHER_NETWORK)
    if action.nonce != nonce:
        return write(Refusal.NONCE_DIFFERS)
    return None


def _entries(action: Action) -> int:
    """A batch counts by its entries."""
    match action:
        case OrderAction():
            return len(action.orders)
        case CancelAction() | CancelByCloidAction():
            return len(action.cancels)
        case BatchModifyAction():
            return len(action.modifies)
    return 1


def requests_cap(user: User) -> int:
    """How many requests the address has earned: some for nothing, one for each dollar traded."""
    return REQUESTS_FREE + user.traded_nanos // NANOS


def _count(engine: HyperliquidEngine, user: User, action: Action) -> str | None:
    """Count the action against the address; the refusal when it has used up what it earned."""
    entries = _entries(action)
    cap = requests_cap(user)
    if isinstance(action, CancelAction | CancelByCloidAction):
        user.cancels_used += entries
        cap = min(cap + CANCELS_MORE, 2 * cap)
        used = user.requests_used + user.cancels_used
    else:
        user.requests_used += entries
        used = user.requests_used
    if used <= cap or engine.wall_ms >= user.last_over_ms + OVER_EVERY_MS:
        if used > cap:
            user.last_over_ms = engine.wall_ms
        return None
    volume = f"{truncated_usd(usd(user.traded_nanos)):.2f}"
    return write(Refusal.TOO_MANY_REQUESTS, used=used, cap=cap, volume=volume)


def _noop(engine: HyperliquidEngine, user: User, action: NoopAction) -> Answer:
    return Done()


_DOERS: dict[type[Any], Callable[[HyperliquidEngine, User, Any], Answer]] = {
    OrderAction: placing.place_orders,
    CancelAction: changing.cancel_by_oid,
    CancelByCloidAction: changing.cancel_by_cloid,
    ModifyAction: changing.modify,
    BatchModifyAction: changing.batch_modify,
    ScheduleCancelAction: changing.schedule_cancel,
    UpdateLeverageAction: money.update_leverage,
    UpdateIsolatedMarginAction: money.update_isolated_margin,
    NoopAction: _noop,
    ApproveAgentAction: money.approve_agent,
    ApproveBuilderFeeAction: money.approve_builder_fee,
    UsdClassTransferAction: money.transfer_class,
}
assert set(USER_SIGNED) >= {kind.TYPE for kind in UserSigned.__args__}
