"""Fees as the exchange takes them, in the words of the wire; and what requests an address has."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from broker_api.hyperliquid.wire.account import UserRateLimit
from broker_api.hyperliquid.wire.numbers import response_text
from broker_api.hyperliquid.wire.schema import encode
from broker_api.instrument import PPM
from sim.venues.hyperliquid.admission import REQUESTS_FREE, requests_cap
from sim.venues.hyperliquid.records import User, usd

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

_DAYS = 15
_SPOT_TAKER, _SPOT_MAKER = "0.0007", "0.0004"


def user_fees(engine: HyperliquidEngine, user: User | None) -> dict[str, Any]:
    """The answer to `userFees`. Rates are the first coin's; there are no tiers here."""
    instrument = engine.universe.assets[0].instrument
    taker = response_text(Decimal(instrument.taker_fee_ppm) / PPM)
    maker = response_text(Decimal(instrument.maker_fee_ppm) / PPM)
    return {
        "dailyUserVlm": _volumes(engine, user),
        "feeSchedule": {
            "cross": taker,
            "add": maker,
            "spotCross": _SPOT_TAKER,
            "spotAdd": _SPOT_MAKER,
            "tiers": {"vip": [], "mm": []},
            "referralDiscount": "0.0",
            "stakingDiscountTiers": [],
        },
        "userCrossRate": taker,
        "userAddRate": maker,
        "userSpotCrossRate": _SPOT_TAKER,
        "userSpotAddRate": _SPOT_MAKER,
        "activeReferralDiscount": "0.0",
        "trial": None,
        "feeTrialEscrow": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
    }


def _volumes(engine: HyperliquidEngine, user: User | None) -> list[dict[str, str]]:
    """Volume of the last days of the market, taken and made."""
    today = dt.datetime.fromtimestamp(engine.now_ms // 1000, dt.UTC).date()
    days = [today - dt.timedelta(days=back) for back in range(_DAYS - 1, -1, -1)]
    sums = {day: [Decimal(0), Decimal(0)] for day in days}
    for fill in [] if user is None else user.fills:
        day = dt.datetime.fromtimestamp(fill.time // 1000, dt.UTC).date()
        if day in sums:
            sums[day][0 if fill.crossed else 1] += fill.price * fill.size
    return [
        {
            "date": day.isoformat(),
            "userCross": response_text(taken),
            "userAdd": response_text(made),
            "exchange": response_text(taken + made),
        }
        for day, (taken, made) in sums.items()
    ]


def rate_limit(user: User | None) -> dict[str, Any]:
    """The answer to `userRateLimit`."""
    found = UserRateLimit(usd(0), 0, REQUESTS_FREE)
    if user is not None:
        used = user.requests_used
        found = UserRateLimit(usd(user.traded_nanos), used, requests_cap(user))
    table: dict[str, Any] = encode(found)
    return table
