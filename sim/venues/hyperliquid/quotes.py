"""Answers of `/info` about the market: what is traded, prices, prints, funding."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from broker_api.hyperliquid.wire.market import AssetContext, Print
from broker_api.hyperliquid.wire.numbers import response_text, truncated
from broker_api.hyperliquid.wire.schema import encode
from broker_api.instrument import NANOS
from sim.venues.hyperliquid import ladder
from sim.venues.hyperliquid.fold import NOBODY
from sim.venues.hyperliquid.records import usd
from sim.venues.hyperliquid.universe import SPOT_META, Asset
from sim.venues.present import Print as TapePrint
from sim.venues.sources import FUNDING_RATE_NANOS

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

RECENT_TRADES = 10
FUNDINGS_MAX = 500
_DAY_NS = 86_400 * NANOS
_MS_NS = 1_000_000
_TAPE_TID_BITS = 40
_MID_DECIMALS = 8


def context(engine: HyperliquidEngine, asset: Asset) -> dict[str, Any]:
    """A coin's prices and volumes now. The oracle is the mark: there is no other market."""
    venue, index = engine.venue, asset.index
    present, row = venue.presents[index], venue.row(index)
    day_ago = present.row_at(venue.now_ns - _DAY_NS)
    lots, ticks_lots = present.volume_between(day_ago, row)
    before = present.last_print(day_ago) or present.first_print(row)
    mark = engine.mark(index)
    bid, ask = ladder.best_prices(engine, asset)
    rates = present.fundings(row)
    longs = sum(max(0, user.positions[index].lots) for user in engine.users.values())
    found = AssetContext(
        funding=Decimal(rates[-1].rate_nanos if rates else FUNDING_RATE_NANOS) / NANOS,
        open_interest=asset.size(longs),
        previous_day_price=mark if before is None else asset.price(before.price_ticks),
        day_notional=usd(ticks_lots * asset.instrument.tick_value_nanos),
        premium=Decimal(0),
        oracle_price=mark,
        mark_price=mark,
        mid_price=None if bid is None or ask is None else ladder.mid(engine, asset),
        impact_prices=None if bid is None or ask is None else (bid, ask),
        day_base=asset.size(lots),
    )
    table: dict[str, Any] = encode(found)
    return table


def contexts(engine: HyperliquidEngine) -> list[dict[str, Any]]:
    """The contexts of all coins, in the order of the universe."""
    return [context(engine, asset) for asset in engine.universe.assets]


def mids(engine: HyperliquidEngine) -> dict[str, str]:
    """Mids by coin, of all that have one."""
    found = {asset.coin: ladder.mid(engine, asset) for asset in engine.universe.assets}
    return {
        coin: response_text(truncated(mid, _MID_DECIMALS))
        for coin, mid in found.items()
        if mid is not None
    }


def spot_contexts() -> list[Any]:
    """The answer to `spotMetaAndAssetCtxs`: pairs without a market."""
    nothing = dict.fromkeys(("dayNtlVlm", "markPx", "prevDayPx", "circulatingSupply"), "0.0")
    pairs = [{**nothing, "midPx": None, "coin": pair["name"]} for pair in SPOT_META["universe"]]
    return [SPOT_META, pairs]


def funding_history(
    engine: HyperliquidEngine, asset: Asset, start_ms: int, end_ms: int
) -> list[dict[str, Any]]:
    """What longs paid on the tape between two times, oldest first."""
    present = engine.venue.presents[asset.index]
    rows = present.fundings(engine.venue.row(asset.index))
    found = [row for row in rows if start_ms <= row.ts_ns // _MS_NS <= end_ms]
    return [
        {
            "coin": asset.coin,
            "fundingRate": response_text(Decimal(row.rate_nanos) / NANOS),
            "premium": "0.0",
            "time": row.ts_ns // _MS_NS,
        }
        for row in found[:FUNDINGS_MAX]
    ]


def tape_trade(engine: HyperliquidEngine, asset: Asset, found: TapePrint) -> Print:
    """A print of the tape as a public trade; who traded is not known."""
    tid = (asset.index << _TAPE_TID_BITS) | found.row
    return Print(
        coin=asset.coin,
        side="A" if found.sign < 0 else "B",
        price=asset.price(found.price_ticks),
        size=asset.size(found.lots),
        time=found.ts_ns // _MS_NS,
        hash=engine.hash_of(f"tape {asset.coin} {found.row}"),
        tid=tid,
        users=(NOBODY, NOBODY),
    )


def recent_trades(engine: HyperliquidEngine, asset: Asset) -> list[Print]:
    """The newest public trades, of the tape and of users, newest first."""
    present = engine.venue.presents[asset.index]
    prints = present.prints(engine.venue.row(asset.index), RECENT_TRADES)
    trades = [tape_trade(engine, asset, each) for each in prints]
    trades += list(engine.trades_of(asset.index))[-RECENT_TRADES:]
    return sorted(trades, key=lambda trade: trade.time, reverse=True)[:RECENT_TRADES]


def predicted_fundings(engine: HyperliquidEngine) -> list[Any]:
    """The next hour's funding of every coin, on this venue alone."""
    hour_ms = 3_600_000
    next_ms = (engine.now_ms // hour_ms + 1) * hour_ms
    return [
        [
            asset.coin,
            [
                [
                    "HlPerp",
                    {
                        "fundingRate": context(engine, asset)["funding"],
                        "nextFundingTime": next_ms,
                    },
                ]
            ],
        ]
        for asset in engine.universe.assets
    ]
