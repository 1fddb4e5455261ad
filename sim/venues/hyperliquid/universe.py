"""The venue's markets as the wire names them: coins, asset ids, decimals, margin tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from broker_api.errors import ConfigurationError
from broker_api.hyperliquid.wire.market import AssetMeta, MarginTable, MarginTierMeta, Meta
from broker_api.hyperliquid.wire.numbers import PERP_DECIMALS
from broker_api.hyperliquid.wire.schema import encode
from broker_api.instrument import NANOS, PPM, Instrument

DEFAULT_LEVERAGE = 20
"""What an untouched coin has, or its highest leverage where that is lower."""
_TABLE_IDS_FROM = 50
"""Smaller ids of margin tables mean a single tier of that leverage."""


@dataclass(frozen=True)
class Asset:
    """One perpetual: its asset id, and how its numbers look on the wire."""

    index: int
    instrument: Instrument
    max_leverage: int

    @property
    def coin(self) -> str:
        """Its name on the wire."""
        return self.instrument.symbol

    @property
    def sz_decimals(self) -> int:
        """Decimals of its sizes."""
        return self.instrument.size_digits

    @property
    def price_decimals(self) -> int:
        """Most decimals of its prices; averages are shown cut off there."""
        return max(0, PERP_DECIMALS - self.sz_decimals)

    @property
    def default_leverage(self) -> int:
        """The leverage of an account that has set none."""
        return min(DEFAULT_LEVERAGE, self.max_leverage)

    def price(self, ticks: int) -> Decimal:
        """Ticks as an exact price."""
        return self.instrument.tick_size * ticks

    def size(self, lots: int) -> Decimal:
        """Lots as an exact size."""
        return self.instrument.lot_size * lots

    def ticks(self, price: Decimal) -> int | None:
        """An exact price as ticks; None when it is between two."""
        steps = price / self.instrument.tick_size
        return int(steps) if steps == steps.to_integral_value() else None

    def lots(self, size: Decimal) -> int | None:
        """An exact size as lots; None when it is between two."""
        steps = size / self.instrument.lot_size
        return int(steps) if steps == steps.to_integral_value() else None

    def maintenance_nanos(self, notional_nanos: int) -> int:
        """Maintenance margin of a notional: each part of it pays its tier's rate."""
        tiers = self.instrument.tiers
        total = 0
        for number, tier in enumerate(tiers):
            first = int(tier.notional_from * NANOS)
            last = notional_nanos
            if number + 1 < len(tiers):
                last = min(last, int(tiers[number + 1].notional_from * NANOS))
            total += max(0, last - first) * tier.maintenance_ppm // PPM
        return total

    def maintenance_rate(self, notional_nanos: int) -> Decimal:
        """The maintenance rate of the tier that a notional has reached."""
        rate = self.instrument.tiers[0].maintenance_ppm
        for tier in self.instrument.tiers:
            if notional_nanos >= int(tier.notional_from * NANOS):
                rate = tier.maintenance_ppm
        return Decimal(rate) / PPM


class Universe:
    """All perpetuals, in the order of their asset ids."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.assets = tuple(_asset(index, each) for index, each in enumerate(instruments))
        self._by_coin = {asset.coin: asset for asset in self.assets}
        self.meta: dict[str, Any] = encode(self._meta())

    def by_coin(self, coin: object) -> Asset | None:
        """The perpetual of this name, None for none."""
        return self._by_coin.get(coin) if isinstance(coin, str) else None

    def by_id(self, asset_id: int) -> Asset | None:
        """The perpetual of this asset id, None for none."""
        return self.assets[asset_id] if asset_id < len(self.assets) else None

    def _meta(self) -> Meta:
        universe = [
            AssetMeta(
                name=asset.coin,
                sz_decimals=asset.sz_decimals,
                max_leverage=asset.max_leverage,
                margin_table_id=_table_id(asset),
            )
            for asset in self.assets
        ]
        tables = tuple(
            (_table_id(asset), _table(asset)) for asset in self.assets if not _is_simple(asset)
        )
        return Meta(tuple(universe), tables, collateral_token=0)


def _asset(index: int, instrument: Instrument) -> Asset:
    rate = instrument.tiers[0].initial_ppm
    if rate == 0:
        raise ConfigurationError(
            f"{instrument.symbol} has no margin rate, so it cannot be a perpetual of this venue: "
            "its margin is per unit"
        )
    return Asset(index, instrument, PPM // rate)


def _is_simple(asset: Asset) -> bool:
    return len(asset.instrument.tiers) == 1 and asset.max_leverage < _TABLE_IDS_FROM


def _table_id(asset: Asset) -> int:
    return asset.max_leverage if _is_simple(asset) else _TABLE_IDS_FROM + asset.index


def _table(asset: Asset) -> MarginTable:
    tiers = [
        MarginTierMeta(tier.notional_from, max(1, PPM // max(1, tier.initial_ppm)))
        for tier in asset.instrument.tiers
    ]
    return MarginTable(f"tiers of {asset.coin}", tuple(tiers))


def _token(index: int, name: str, sz_decimals: int, wei_decimals: int) -> dict[str, Any]:
    return {
        "name": name,
        "szDecimals": sz_decimals,
        "weiDecimals": wei_decimals,
        "index": index,
        "tokenId": f"0x{index:032x}",
        "isCanonical": index < 2,
        "evmContract": None,
        "fullName": None,
        "deployerTradingFeeShare": "0.0",
    }


def _pair(index: int, name: str, base: int) -> dict[str, Any]:
    return {"name": name, "tokens": [base, 0], "index": index, "isCanonical": index == 0}


SPOT_META: dict[str, Any] = {
    "tokens": [_token(0, "USDC", 8, 8), _token(1, "PURR", 0, 5), _token(2, "HFUN", 2, 8)],
    "universe": [_pair(0, "PURR/USDC", 1), _pair(1, "@1", 2)],
}
"""Spot pairs are listed, because programs look them up, and cannot be traded here."""
