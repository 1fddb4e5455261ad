"""`POST /info`: one table from the type of a request to who answers it.

A request of an unknown type, or with a field that is missing or of the wrong kind, is a
ProtocolError; an address without account has an empty state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from broker_api.hyperliquid.wire.numbers import response_text
from broker_api.hyperliquid.wire.schema import (
    UINT64_MAX,
    Address,
    Cloid,
    ProtocolError,
    Unsigned,
    decode,
    encode,
)
from sim.venues.hyperliquid import balances, candles, fees, history, ladder, quotes
from sim.venues.hyperliquid.records import User
from sim.venues.hyperliquid.universe import SPOT_META, Asset

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

Body = Mapping[str, Any]


def answer(engine: HyperliquidEngine, body: object) -> Any:
    """The JSON value that answers a body of `/info`. Raises ProtocolError."""
    if not isinstance(body, Mapping):
        raise ProtocolError("body", "is no object")
    kind = body.get("type")
    responder = _ANSWERS.get(kind) if isinstance(kind, str) else None
    if responder is None:
        raise ProtocolError("body.type", f"{str(kind)[:80]!r} is not known")
    return responder(engine, body)


# --- fields ---------------------------------------------------------------------------------------


def user_of(engine: HyperliquidEngine, body: Body) -> User | None:
    """The user of a request, None for an address without account. Raises ProtocolError."""
    _main_dex(body)
    return engine.users.get(decode(Address, body.get("user"), "body.user"))


def _main_dex(body: Body) -> None:
    if body.get("dex") not in (None, ""):
        raise ProtocolError("body.dex", f"{str(body['dex'])[:80]!r} is no perp dex of this venue")


def asset_of(engine: HyperliquidEngine, body: Body) -> Asset | None:
    """The coin of a request, None for one that is not listed. Raises ProtocolError."""
    coin = body.get("coin")
    if not isinstance(coin, str):
        raise ProtocolError("body.coin", "is no text")
    return engine.universe.by_coin(coin)


def _listed(engine: HyperliquidEngine, body: Body) -> Asset:
    asset = asset_of(engine, body)
    if asset is None:
        raise ProtocolError("body.coin", f"{body['coin'][:80]!r} is not listed")
    return asset


def _time(body: Body, key: str, missing: int | None = None) -> int:
    value = body.get(key)
    if value is None and missing is not None:
        return missing
    time: int = decode(Unsigned, value, f"body.{key}")
    return time


def _together(body: Body) -> bool:
    value = body.get("aggregateByTime")
    if value not in (None, True, False):
        raise ProtocolError("body.aggregateByTime", "is no truth value")
    return bool(value)


def _oid(body: Body) -> int | str:
    oid: int | str = decode(Unsigned | Cloid, body.get("oid"), "body.oid")
    return oid


# --- answers --------------------------------------------------------------------------------------


def _meta(engine: HyperliquidEngine, body: Body) -> Any:
    _main_dex(body)
    return engine.universe.meta


def _mids(engine: HyperliquidEngine, body: Body) -> Any:
    _main_dex(body)
    return quotes.mids(engine)


def book_of(engine: HyperliquidEngine, body: Body) -> Any:
    """The answer to `l2Book`."""
    asset = asset_of(engine, body)
    digits, mantissa = body.get("nSigFigs"), body.get("mantissa")
    if digits not in (None, 2, 3, 4, 5) or mantissa not in (None, 1, 2, 5):
        raise ProtocolError("body.nSigFigs", "is not 2 to 5 with a mantissa of 2 or 5")
    if mantissa is not None and digits != 5:
        raise ProtocolError("body.mantissa", "needs nSigFigs 5")
    if asset is None:
        return None
    return encode(ladder.book(engine, asset, digits, mantissa))


def _candles(engine: HyperliquidEngine, body: Body) -> Any:
    request = body.get("req")
    if not isinstance(request, Mapping) or request.get("interval") not in candles.INTERVALS:
        raise ProtocolError("body.req", "has no interval that is known")
    asset = _listed(engine, request)
    start_ms, end_ms = _time(request, "startTime"), _time(request, "endTime", UINT64_MAX)
    last_ms = min(end_ms, engine.now_ms)
    found = candles.candles(engine, asset, request["interval"], start_ms, last_ms)
    return history.encoded(found)


def _funding_history(engine: HyperliquidEngine, body: Body) -> Any:
    asset = _listed(engine, body)
    return quotes.funding_history(
        engine, asset, _time(body, "startTime"), _time(body, "endTime", UINT64_MAX)
    )


def _fills_by_time(engine: HyperliquidEngine, body: Body) -> Any:
    user = user_of(engine, body)
    start_ms, end_ms = _time(body, "startTime"), _time(body, "endTime", UINT64_MAX)
    return history.encoded(history.fills_by_time(user, start_ms, end_ms, together=_together(body)))


def _fills(engine: HyperliquidEngine, body: Body) -> Any:
    return history.encoded(history.newest_fills(user_of(engine, body), together=_together(body)))


def _user_funding(engine: HyperliquidEngine, body: Body) -> Any:
    user = user_of(engine, body)
    return history.user_funding(
        engine, user, _time(body, "startTime"), _time(body, "endTime", UINT64_MAX)
    )


def _money(engine: HyperliquidEngine, body: Body) -> Any:
    user = user_of(engine, body)
    return history.money_updates(user, _time(body, "startTime"), _time(body, "endTime", UINT64_MAX))


def active_asset_data(engine: HyperliquidEngine, body: Body) -> Any:
    """The answer to `activeAssetData`."""
    user, asset = user_of(engine, body), _listed(engine, body)
    if user is not None:
        return balances.active_asset(engine, user, asset)
    return {
        "user": str(body["user"]).lower(),
        "coin": asset.coin,
        "leverage": {"type": "cross", "value": asset.default_leverage},
        "maxTradeSzs": ["0.0", "0.0"],
        "availableToTrade": ["0.0", "0.0"],
        "markPx": response_text(engine.mark(asset.index)),
    }


def _role(engine: HyperliquidEngine, body: Body) -> Any:
    if user_of(engine, body) is not None:
        return {"role": "user"}
    master = engine.masters.get(body["user"].lower())
    if master is not None:
        return {"role": "agent", "data": {"user": master.address}}
    return {"role": "missing"}


def _agents(engine: HyperliquidEngine, body: Body) -> Any:
    user = user_of(engine, body)
    named = [] if user is None else [each for each in user.agents.values() if each.name]
    return [
        {"name": each.name, "address": each.address, "validUntil": each.valid_until_ms}
        for each in named
    ]


def _max_builder_fee(engine: HyperliquidEngine, body: Body) -> Any:
    user = user_of(engine, body)
    builder = decode(Address, body.get("builder"), "body.builder")
    return 0 if user is None else user.builder_fees.get(builder, 0)


def web_data(engine: HyperliquidEngine, body: Body) -> Any:
    """The answer to `webData2`: what the front end shows at once."""
    user = user_of(engine, body)
    agent = None if user is None else user.agents.get("")
    return {
        "user": body["user"].lower(),
        "clearinghouseState": balances.clearinghouse_state(engine, user),
        "openOrders": history.full_orders(user),
        "agentAddress": None if agent is None else agent.address,
        "agentValidUntil": None if agent is None else agent.valid_until_ms,
        "cumLedger": response_text(_deposited(user)),
        "meta": engine.universe.meta,
        "assetCtxs": quotes.contexts(engine),
        "serverTime": engine.now_ms,
        "isVault": False,
        "leadingVaults": [],
        "totalVaultEquity": "0.0",
        "twapStates": [],
        "spotState": balances.spot_state(user),
        "spotAssetCtxs": quotes.spot_contexts()[1],
    }


def _deposited(user: User | None) -> Decimal:
    """What the faucet gave in all."""
    deltas = [] if user is None else [entry["delta"] for entry in user.money]
    given = [Decimal(delta["usdc"]) for delta in deltas if delta["type"] == "deposit"]
    return sum(given, Decimal(0))


_NOTHING: dict[str, Any] = {
    "subAccounts": None,
    "userVaultEquities": [],
    "delegations": [],
    "delegatorHistory": [],
    "delegatorRewards": [],
    "userTwapSliceFills": [],
    "userTwapHistory": [],
    "userToMultiSigSigners": None,
    "userDexAbstraction": None,
    "userAbstraction": "default",
    "legalCheck": {"ipAllowed": True, "acceptedTerms": True, "userAllowed": True},
    "delegatorSummary": {
        "delegated": "0.0",
        "undelegated": "0.0",
        "totalPendingWithdrawal": "0.0",
        "nPendingWithdrawals": 0,
    },
    "referral": {
        "referredBy": None,
        "cumVlm": "0.0",
        "unclaimedRewards": "0.0",
        "claimedRewards": "0.0",
        "builderRewards": "0.0",
        "referrerState": {"stage": "needToCreateCode", "data": {"required": "10000.0"}},
        "rewardHistory": [],
    },
    "spotDeployState": {"states": [], "gasAuction": None},
}
"""What the venue has and this one does not: an answer that says so, for any user."""


def _nothing(kind: str) -> Callable[[HyperliquidEngine, Body], Any]:
    def say(engine: HyperliquidEngine, body: Body) -> Any:
        user_of(engine, body)
        return _NOTHING[kind]

    return say


_ANSWERS: dict[str, Callable[[HyperliquidEngine, Body], Any]] = {
    "meta": _meta,
    "metaAndAssetCtxs": lambda engine, body: [_meta(engine, body), quotes.contexts(engine)],
    "spotMeta": lambda engine, body: SPOT_META,
    "spotMetaAndAssetCtxs": lambda engine, body: quotes.spot_contexts(),
    "perpDexs": lambda engine, body: [None],
    "allMids": _mids,
    "l2Book": book_of,
    "candleSnapshot": _candles,
    "fundingHistory": _funding_history,
    "recentTrades": lambda engine, body: history.encoded(
        quotes.recent_trades(engine, _listed(engine, body))
    ),
    "predictedFundings": lambda engine, body: quotes.predicted_fundings(engine),
    "exchangeStatus": lambda engine, body: {"time": engine.now_ms, "specialStatuses": None},
    "perpsAtOpenInterestCap": lambda engine, body: [],
    "perpDeployAuctionStatus": lambda engine, body: None,
    "clearinghouseState": lambda engine, body: balances.clearinghouse_state(
        engine, user_of(engine, body)
    ),
    "spotClearinghouseState": lambda engine, body: balances.spot_state(user_of(engine, body)),
    "activeAssetData": active_asset_data,
    "portfolio": lambda engine, body: balances.portfolio(engine, user_of(engine, body)),
    "openOrders": lambda engine, body: history.open_orders(user_of(engine, body)),
    "frontendOpenOrders": lambda engine, body: history.full_orders(user_of(engine, body)),
    "orderStatus": lambda engine, body: history.order_status(user_of(engine, body), _oid(body)),
    "historicalOrders": lambda engine, body: history.historical_orders(user_of(engine, body)),
    "userFills": _fills,
    "userFillsByTime": _fills_by_time,
    "userFunding": _user_funding,
    "userNonFundingLedgerUpdates": _money,
    "userFees": lambda engine, body: fees.user_fees(engine, user_of(engine, body)),
    "userRateLimit": lambda engine, body: fees.rate_limit(user_of(engine, body)),
    "userRole": _role,
    "extraAgents": _agents,
    "maxBuilderFee": _max_builder_fee,
    "webData2": web_data,
} | {kind: _nothing(kind) for kind in _NOTHING}
