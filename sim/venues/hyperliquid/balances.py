"""Money and positions of a user, by the identities that the venue's own figures obey.

`accountValue = totalRawUsd + sum(szi * mark)`, `positionValue = |szi| * mark`, cross `marginUsed =
positionValue / leverage`, isolated `marginUsed = rawUsd + szi * mark`; the liquidation price is
that of the venue's documentation, "Liquidations".
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from broker_api.hyperliquid.wire.account import (
    AssetPosition,
    ClearinghouseState,
    CumulativeFunding,
    Leverage,
    MarginSummary,
    PositionEntry,
)
from broker_api.hyperliquid.wire.numbers import response_text, truncated, truncated_usd
from broker_api.hyperliquid.wire.schema import encode
from broker_api.instrument import NANOS
from sim.venues.hyperliquid.records import FundingTally, User, nanos_of, usd
from sim.venues.hyperliquid.universe import Asset

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

ZERO = Decimal(0)
_PRICE_DECIMALS = 8
_SHARE_DECIMALS = 10
_WITHDRAWABLE_SHARE = Decimal("0.1")


class Holding(NamedTuple):
    """An open position with what the figures are made of. `cost` is the signed entry notional."""

    asset: Asset
    size: Decimal
    cost: Decimal
    mark: Decimal
    leverage: int
    is_cross: bool
    bucket: Decimal

    @property
    def value(self) -> Decimal:
        """What the position is worth without its sign."""
        return abs(self.size) * self.mark

    @property
    def profit(self) -> Decimal:
        """Profit that is still open."""
        return self.size * self.mark - self.cost

    @property
    def raw_usd(self) -> Decimal:
        """An isolated position's own money less its cost."""
        return self.bucket - self.cost

    @property
    def margin(self) -> Decimal:
        """The margin that it uses."""
        if self.is_cross:
            return truncated_usd(self.value / self.leverage)
        return self.raw_usd + self.size * self.mark

    @property
    def maintenance(self) -> Decimal:
        """What it needs to stay open."""
        return usd(self.asset.maintenance_nanos(nanos_of(self.value)))


def holdings(engine: HyperliquidEngine, user: User) -> list[Holding]:
    """The user's open positions, in the order of the universe."""
    found = []
    for asset, position, setting in zip(
        engine.universe.assets, user.positions, user.settings, strict=True
    ):
        if position.lots:
            bucket = 0
            if not setting.is_cross:
                bucket = engine.venue.isolated_nanos(user.account, asset.index)
            found.append(
                Holding(
                    asset,
                    asset.size(position.lots),
                    usd(position.cost * asset.instrument.tick_value_nanos),
                    engine.mark(asset.index),
                    setting.leverage,
                    setting.is_cross,
                    usd(bucket),
                )
            )
    return found


def account_value(engine: HyperliquidEngine, user: User) -> Decimal:
    """Cash of the perpetuals' account plus open profit."""
    cash = usd(engine.venue.ledgers[user.account].cash_nanos)
    return cash + sum((each.profit for each in holdings(engine, user)), ZERO)


def _summary(value: Decimal, held: list[Holding]) -> MarginSummary:
    signed = sum((each.size * each.mark for each in held), ZERO)
    return MarginSummary(
        account_value=value,
        total_notional=sum((each.value for each in held), ZERO),
        total_raw_usd=value - signed,
        total_margin_used=sum((each.margin for each in held), ZERO),
    )


def clearinghouse_state(engine: HyperliquidEngine, user: User | None) -> dict[str, Any]:
    """The answer to `clearinghouseState`; all zero for an address without account."""
    if user is None:
        nothing = _summary(ZERO, [])
        state = ClearinghouseState(nothing, nothing, ZERO, ZERO, (), engine.now_ms)
        return _encoded(state)
    held = holdings(engine, user)
    cross = [each for each in held if each.is_cross]
    value = account_value(engine, user)
    buckets = sum((each.bucket + each.profit for each in held if not each.is_cross), ZERO)
    maintenance = sum((each.maintenance for each in cross), ZERO)
    total = _summary(value, held)
    used = usd(engine.venue.exchange.used_margin_nanos(user.account))
    bound = max(used, total.total_notional * _WITHDRAWABLE_SHARE)
    state = ClearinghouseState(
        margin=total,
        cross_margin=_summary(value - buckets, cross),
        cross_maintenance=maintenance,
        withdrawable=max(ZERO, value - bound),
        positions=tuple(
            PositionEntry(_position(each, value - buckets - maintenance, user)) for each in held
        ),
        time=engine.now_ms,
    )
    return _encoded(state)


def _encoded(state: ClearinghouseState) -> dict[str, Any]:
    table: dict[str, Any] = encode(state)
    return table


def _position(held: Holding, cross_available: Decimal, user: User) -> AssetPosition:
    asset = held.asset
    kind, raw = ("cross", None) if held.is_cross else ("isolated", held.raw_usd)
    available = cross_available if held.is_cross else held.margin - held.maintenance
    share = held.profit * held.leverage / abs(held.cost) if held.cost else ZERO
    entry = truncated(abs(held.cost / held.size), asset.price_decimals)
    return AssetPosition(
        coin=asset.coin,
        size=held.size,
        leverage=Leverage(kind, held.leverage, raw),  # type: ignore[arg-type]
        entry_price=entry,
        position_value=held.value,
        unrealised_pnl=held.profit,
        return_on_equity=truncated(share, _SHARE_DECIMALS),
        liquidation_price=_liquidation_price(held, available),
        margin_used=held.margin,
        max_leverage=asset.max_leverage,
        cumulative_funding=_funding(user.funding[asset.index]),
    )


def _liquidation_price(held: Holding, available: Decimal) -> Decimal | None:
    """Where equity meets the maintenance margin; None where that is at no price."""
    side = 1 if held.size > 0 else -1
    rate = held.asset.maintenance_rate(nanos_of(held.value))
    price = held.mark - side * available / abs(held.size) / (1 - rate * side)
    return truncated(price, _PRICE_DECIMALS) if price > 0 else None


def _funding(tally: FundingTally) -> CumulativeFunding:
    return CumulativeFunding(usd(tally.all_time), usd(tally.since_open), usd(tally.since_change))


def spot_state(user: User | None) -> dict[str, Any]:
    """The answer to `spotClearinghouseState`: dollars only."""
    if user is None or not user.spot_nanos:
        return {"balances": []}
    total = response_text(usd(user.spot_nanos))
    balance = {"coin": "USDC", "token": 0, "total": total, "hold": "0.0", "entryNtl": "0.0"}
    return {"balances": [balance]}


def leverage_table(user: User, asset: Asset, bucket: Decimal | None) -> dict[str, Any]:
    """A coin's margin mode and leverage, also of a flat one."""
    setting = user.settings[asset.index]
    if setting.is_cross:
        return {"type": "cross", "value": setting.leverage}
    raw = response_text(ZERO if bucket is None else bucket)
    return {"type": "isolated", "value": setting.leverage, "rawUsd": raw}


def active_asset(engine: HyperliquidEngine, user: User, asset: Asset) -> dict[str, Any]:
    """The answer to `activeAssetData`: what could be traded now, buying and selling."""
    held = [each for each in holdings(engine, user) if each.asset is asset]
    raw = held[0].raw_usd if held else None
    mark = engine.mark(asset.index)
    used = usd(engine.venue.exchange.used_margin_nanos(user.account))
    free = max(ZERO, account_value(engine, user) - used)
    leverage = user.settings[asset.index].leverage
    closing = held[0].value / leverage if held else ZERO
    money = [free + (2 * closing if held and held[0].size * side < 0 else 0) for side in (1, -1)]
    sizes = [
        truncated(each * leverage / mark, asset.sz_decimals) if mark else ZERO for each in money
    ]
    return {
        "user": user.address,
        "coin": asset.coin,
        "leverage": leverage_table(user, asset, raw),
        "maxTradeSzs": [response_text(size) for size in sizes],
        "availableToTrade": [response_text(truncated_usd(each)) for each in money],
        "markPx": response_text(mark),
    }


def portfolio(engine: HyperliquidEngine, user: User | None) -> list[Any]:
    """The answer to `portfolio`: value and profit at every fill and transfer, by time."""
    spans = {"day": 1, "week": 7, "month": 30, "allTime": 1 << 20}
    entries = []
    for prefix in ("", "perp"):
        for name, days in spans.items():
            since_ms = engine.now_ms - days * 86_400_000
            points = [] if user is None else user.value_history
            points = [point for point in points if point[0] >= since_ms]
            fills = [] if user is None else [each for each in user.fills if each.time >= since_ms]
            volume = sum((each.price * each.size for each in fills), ZERO)
            label = prefix + (name[0].upper() + name[1:] if prefix else name)
            entries.append([label, _history(points, volume)])
    return entries


def _history(points: list[tuple[int, int, int]], volume: Decimal) -> dict[str, Any]:
    return {
        "accountValueHistory": [[ms, response_text(usd(value))] for ms, value, _ in points],
        "pnlHistory": [[ms, response_text(usd(profit))] for ms, _, profit in points],
        "vlm": response_text(volume),
    }


def value_point(engine: HyperliquidEngine, user: User) -> tuple[int, int, int]:
    """(market ms, value, profit) in 1e-9 at this moment."""
    ledger = engine.venue.ledgers[user.account]
    value = int(account_value(engine, user) * NANOS)
    open_profit = value - ledger.cash_nanos
    profit = ledger.realised_nanos - ledger.fees_nanos - ledger.funding_nanos + open_profit
    return engine.now_ms, value + user.spot_nanos, profit
