"""The venue's perpetuals as instruments, and their decimals as ticks, lots and nanos.

A tick is the finest price of an asset, 10^-(6 - szDecimals); the rule of five significant digits is
the instrument's `significant_digits`. One tick on one lot is then a millionth of a dollar for every
asset, the unit in which the venue itself keeps money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from broker_api.calendar import ALWAYS_OPEN
from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from broker_api.hyperliquid.wire.account import UserFees
from broker_api.hyperliquid.wire.market import AssetMeta, MarginTable, Meta
from broker_api.hyperliquid.wire.numbers import (
    PERP_DECIMALS,
    SIGNIFICANT_DIGITS_MAX,
    price_decimals,
)
from broker_api.hyperliquid.wire.schema import ProtocolError
from broker_api.instrument import MAX_LOTS, NANOS, PPM, Instrument, MarginTier
from broker_api.order import TriggerSource

ID_PREFIX = "HL:"
"""What stands before a coin's name in an instrument's id, as in the catalogue that ships."""
NO_FEES = UserFees(Decimal(0), Decimal(0))
_SINGLE_TIER_TABLES = 50
_SIZE_LOTS_MAX = MAX_LOTS >> 4


@dataclass(frozen=True, slots=True)
class Contract:
    """An instrument, and what the venue calls it."""

    spec: Instrument
    asset: int
    coin: str
    sz_decimals: int
    max_leverage: int

    def price(self, ticks: int) -> Decimal:
        """Ticks as the exact price."""
        return ticks * self.spec.tick_size

    def size(self, lots: int) -> Decimal:
        """Lots as the exact size."""
        return lots * self.spec.lot_size

    def ticks(self, price: Decimal) -> int:
        """A price of the venue as ticks. Raises ProtocolError off the tick."""
        return _whole(price / self.spec.tick_size, f"price {price} of {self.coin}")

    def nearest_ticks(self, price: Decimal) -> int:
        """A price that need not be on the tick, a mark or a mid, as the nearest."""
        return int((price / self.spec.tick_size).to_integral_value(ROUND_HALF_EVEN))

    def lots(self, size: Decimal) -> int:
        """A size of the venue as lots. Raises ProtocolError off the lot."""
        return _whole(size / self.spec.lot_size, f"size {size} of {self.coin}")


def _whole(steps: Decimal, what: str) -> int:
    if steps != steps.to_integral_value():
        raise ProtocolError("number", f"{what} is off its grid")
    return int(steps)


def to_nanos_exactly(usd: Decimal) -> int:
    """Dollars of the venue as nanos. Raises ProtocolError for what is finer."""
    return _whole(usd * NANOS, f"amount {usd}")


def contracts_of(meta: Meta, names: Sequence[str], fees: UserFees = NO_FEES) -> list[Contract]:
    """The perpetuals of these names or ids, in any case; the exact name wins where two differ so.

    Raises ConfigurationError for a name that is not traded, with the nearest that is.
    """
    tables = dict(meta.margin_tables)
    chosen = [_find(meta, name) for name in names]
    for asset in chosen:
        if chosen.count(asset) > 1:
            raise ConfigurationError(f"instrument {meta.universe[asset].name!r} is named twice")
    return [_contract(asset, meta.universe[asset], tables, fees) for asset in chosen]


def _find(meta: Meta, name: str) -> int:
    wanted = name.strip()
    if wanted.upper().startswith(ID_PREFIX):
        wanted = wanted[len(ID_PREFIX) :]
    coins = [each.name for each in meta.universe]
    found = [asset for asset, coin in enumerate(coins) if coin == wanted] or [
        asset for asset, coin in enumerate(coins) if coin.upper() == wanted.upper()
    ]
    if not found:
        hint = near_miss(wanted.upper(), coins) or f"; it trades {len(coins)} coins"
        raise ConfigurationError(f"Hyperliquid has no perpetual {name!r}{hint}")
    if meta.universe[found[0]].is_delisted:
        raise ConfigurationError(f"Hyperliquid has delisted {coins[found[0]]!r}")
    return found[0]


def _contract(
    asset: int, each: AssetMeta, tables: dict[int, MarginTable], fees: UserFees
) -> Contract:
    if each.sz_decimals > PERP_DECIMALS or each.max_leverage < 1:
        raise ProtocolError(f"meta.universe.{asset}", f"{each} is no perpetual")
    tick = Decimal(1).scaleb(-price_decimals(each.sz_decimals))
    lot = Decimal(1).scaleb(-each.sz_decimals)
    spec = Instrument(
        symbol=each.name,
        id=ID_PREFIX + each.name,
        name=f"{each.name} perpetual",
        exchange="HYPERLIQUID",
        currency="USD",
        calendar=ALWAYS_OPEN,
        tick_size=tick,
        tick_value=tick,
        lot_size=lot,
        min_size=lot,
        max_size=lot * _SIZE_LOTS_MAX,
        maker_fee_ppm=_ppm(fees.maker_rate),
        taker_fee_ppm=_ppm(fees.taker_rate),
        margin_tiers=_tiers(each, tables),
        trigger_source=TriggerSource.MARK,
        significant_digits=SIGNIFICANT_DIGITS_MAX,
    )
    return Contract(spec, asset, each.name, each.sz_decimals, each.max_leverage)


def _ppm(rate: Decimal) -> int:
    return int((rate * PPM).to_integral_value(ROUND_HALF_EVEN))


def _tiers(each: AssetMeta, tables: dict[int, MarginTable]) -> tuple[MarginTier, ...]:
    """Initial margin at each tier's highest leverage; maintenance is half of it."""
    table = each.margin_table_id
    if table is not None and table >= _SINGLE_TIER_TABLES and table in tables:
        steps = [(tier.lower_bound, tier.max_leverage) for tier in tables[table].tiers]
    else:
        steps = [(Decimal(0), table or each.max_leverage)]
    return tuple(
        MarginTier(lower, -(-PPM // leverage), -(-PPM // (2 * leverage)))
        for lower, leverage in steps
        if leverage > 0
    )
