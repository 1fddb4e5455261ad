"""Answers of the local venue's `/info`: their shape is what the adapter reads, their sums agree."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from broker_api.hyperliquid.wire import account, market
from broker_api.hyperliquid.wire.schema import Many, decode
from sim.venues.sources import sample_source, synthetic_source
from tests.venues.local_venue import BTC, ETH, Local, local_venue

NOBODY = "0x" + "9" * 40
MINUTE_MS = 60_000


@pytest.fixture
def venue() -> Iterator[Local]:
    with local_venue() as found:
        yield found


def ask(venue: Local, kind: str, **fields: Any) -> Any:
    return venue.trader.info.post("/info", {"type": kind, **fields})


def test_the_universe_names_coins_decimals_and_leverage(venue: Local) -> None:
    meta = decode(market.Meta, ask(venue, "meta"))
    assert [(each.name, each.sz_decimals, each.max_leverage) for each in meta.universe] == [
        ("BTC", 3, 40),
        ("ETH", 3, 25),
    ]
    tables = dict(meta.margin_tables)
    tiers = tables[meta.universe[1].margin_table_id or 0].tiers
    assert [(tier.lower_bound, tier.max_leverage) for tier in tiers] == [
        (Decimal(0), 25),
        (Decimal(100_000_000), 14),
    ]
    spot = ask(venue, "spotMeta")
    assert {"PURR/USDC", "@1"} <= {pair["name"] for pair in spot["universe"]}


def test_an_address_without_account_has_an_empty_state(venue: Local) -> None:
    state = decode(account.ClearinghouseState, ask(venue, "clearinghouseState", user=NOBODY))
    assert state.margin.account_value == 0
    assert state.positions == ()
    for kind in ("openOrders", "frontendOpenOrders", "userFills", "historicalOrders"):
        assert ask(venue, kind, user=NOBODY) == []
    assert ask(venue, "orderStatus", user=NOBODY, oid=1) == {"status": "unknownOid"}
    assert ask(venue, "userRole", user=NOBODY) == {"role": "missing"}
    assert ask(venue, "userRateLimit", user=NOBODY)["nRequestsCap"] == 10_000


def test_every_question_of_the_sdk_has_an_answer(venue: Local) -> None:
    info, user = venue.trader.info, venue.trader.address
    answers = [
        info.user_state(user),
        info.spot_user_state(user),
        info.open_orders(user),
        info.frontend_open_orders(user),
        info.all_mids(),
        info.user_fills(user),
        info.user_fills_by_time(user, 0, None, True),
        info.meta(),
        info.meta_and_asset_ctxs(),
        info.perp_dexs(),
        info.spot_meta(),
        info.spot_meta_and_asset_ctxs(),
        info.funding_history("ETH", 0),
        info.user_funding_history(user, 0, 10**15),
        info.l2_snapshot("ETH"),
        info.candles_snapshot("ETH", "1h", 0, 10**15),
        info.user_fees(user),
        info.user_staking_summary(user),
        info.user_staking_delegations(user),
        info.user_staking_rewards(user),
        info.delegator_history(user),
        info.query_order_by_oid(user, 1),
        info.query_referral_state(user),
        info.query_sub_accounts(user),
        info.query_user_to_multi_sig_signers(user),
        info.query_perp_deploy_auction_status(),
        info.query_user_dex_abstraction_state(user),
        info.query_user_abstraction_state(user),
        info.historical_orders(user),
        info.user_non_funding_ledger_updates(user, 0),
        info.portfolio(user),
        info.user_twap_slice_fills(user),
        info.user_vault_equities(user),
        info.user_role(user),
        info.user_rate_limit(user),
        info.query_spot_deploy_auction_status(user),
        info.extra_agents(user),
    ]
    assert not [answer for answer in answers if isinstance(answer, dict) and "error" in answer]


def test_records_are_what_the_adapter_reads(venue: Local) -> None:
    trader = venue.trader
    trader.limit(True, 0.5, 3001)
    trader.limit(True, 0.1, 2000)
    trader.trigger(False, 0.5, 2700, 2900, "sl")
    user = trader.address
    for kind, shape in [
        ("clearinghouseState", account.ClearinghouseState),
        ("openOrders", Many[account.BasicOrder]),
        ("frontendOpenOrders", Many[account.FullOrder]),
        ("historicalOrders", Many[account.OrderState]),
        ("userFills", Many[account.Fill]),
        ("userFees", account.UserFees),
        ("userRateLimit", account.UserRateLimit),
        ("userRole", account.UserRole),
    ]:
        assert decode(shape, ask(venue, kind, user=user)) is not None
    status = decode(account.OrderStatusAnswer, ask(venue, "orderStatus", user=user, oid=1))
    assert status.order is not None
    assert status.order.status == "filled"
    _, contexts = ask(venue, "metaAndAssetCtxs")
    shown = [decode(market.AssetContext, context) for context in contexts]
    assert [context.mark_price for context in shown] == [95_000, 3_000]
    assert decode(market.Book, ask(venue, "l2Book", coin="BTC")).coin == "BTC"
    assert ask(venue, "l2Book", coin="XRP") is None


def test_the_figures_of_positions_add_up(venue: Local) -> None:
    trader = venue.trader
    trader.exchange.update_leverage(10, "BTC", is_cross=False)
    trader.exchange.market_open("ETH", True, 2.5)
    trader.exchange.market_open("BTC", False, 0.2)
    venue.price(3100)
    venue.price(94_000, "BTC")
    state = decode(
        account.ClearinghouseState, ask(venue, "clearinghouseState", user=trader.address)
    )
    held = {entry.position.coin: entry.position for entry in state.positions}
    marks = {"ETH": Decimal(3100), "BTC": Decimal(94_000)}
    for coin, position in held.items():
        assert position.position_value == abs(position.size) * marks[coin]
    signed = sum(position.size * marks[coin] for coin, position in held.items())
    margin = state.margin
    assert margin.account_value == margin.total_raw_usd + signed
    assert margin.total_notional == sum(each.position_value for each in held.values())
    assert margin.total_margin_used == sum(each.margin_used for each in held.values())
    ether, bitcoin = held["ETH"], held["BTC"]
    assert ether.margin_used == ether.position_value / 20
    raw = bitcoin.leverage.raw_usd or Decimal(0)
    assert bitcoin.margin_used == raw + bitcoin.size * marks["BTC"]
    assert ether.unrealised_pnl == Decimal("249.75")  # (3100 - 3000.1) * 2.5
    assert bitcoin.unrealised_pnl == Decimal("199.98")
    assert ether.return_on_equity == Decimal("0.6659778007")
    assert state.cross_margin.account_value == margin.account_value - bitcoin.margin_used
    fills = trader.info.user_fills(trader.address)
    fees = sum(Decimal(fill["fee"]) for fill in fills)
    profit = ether.unrealised_pnl + bitcoin.unrealised_pnl
    assert margin.account_value == 10_000 - fees + profit
    assert state.cross_maintenance == Decimal("155")  # 2.5 * 3100 at 2 %
    rate = Decimal("0.0125")
    assert bitcoin.liquidation_price == (-raw / (bitcoin.size - abs(bitcoin.size) * rate)).quantize(
        Decimal("1e-8"), rounding="ROUND_DOWN"
    )


def test_fills_of_one_order_stay_in_order_and_can_be_put_together() -> None:
    with local_venue([sample_source(ETH)]) as venue:
        trader = venue.trader
        venue.control("/advance", seconds=5)
        touch = venue.engine.venue.touch(0)
        size = float(ETH.lots_to_size(touch.ask_lots * 2 + 7))
        trader.exchange.update_leverage(25, "ETH")
        venue.control("/faucet", user=trader.address, amount=10_000_000)
        trader.exchange.market_open("ETH", True, size)
        fills = trader.info.user_fills(trader.address)
        prices = [Decimal(fill["px"]) for fill in fills]
        assert len(fills) == 3
        assert prices == sorted(prices)
        together = trader.info.post(
            "/info", {"type": "userFills", "user": trader.address, "aggregateByTime": True}
        )
        assert len(together) == 1
        assert Decimal(together[0]["sz"]) == Decimal(str(size))
        assert sum(Decimal(fill["fee"]) for fill in fills) == Decimal(together[0]["fee"])


def test_candles_are_of_the_past_and_the_last_one_is_not_complete() -> None:
    source = synthetic_source(ETH, seed=2, hours=0.2, price=Decimal(3000))
    with local_venue([source]) as venue:
        venue.control("/advance", seconds=200)
        info = venue.trader.info
        candles = [
            decode(market.Candle, each) for each in info.candles_snapshot("ETH", "1m", 0, 10**15)
        ]
        now_ms = venue.engine.now_ms
        assert len(candles) == 4
        assert candles[-1].start == now_ms // MINUTE_MS * MINUTE_MS
        assert all(candle.low <= candle.open <= candle.high for candle in candles)
        day = decode(market.Candle, info.candles_snapshot("ETH", "1d", 0, 10**15)[0])
        week = decode(market.Candle, info.candles_snapshot("ETH", "1w", 0, 10**15)[0])
        month = decode(market.Candle, info.candles_snapshot("ETH", "1M", 0, 10**15)[0])
        assert day.volume == sum(candle.volume for candle in candles)
        assert (week.volume, month.trades) == (day.volume, sum(each.trades for each in candles))
        # 2025-01-14 is in the week of Monday the 13th
        assert (week.start, month.start) == (1_736_726_400_000, 1_735_689_600_000)
        assert (month.end + 1 - month.start) == 31 * 86_400_000
        only = info.candles_snapshot("ETH", "1m", candles[1].start, candles[1].start)
        assert [each["t"] for each in only] == [candles[1].start]


def test_books_can_be_put_together_to_fewer_digits(venue: Local) -> None:
    book = ask(venue, "l2Book", coin="ETH", nSigFigs=4)
    bids, asks = (side[:2] for side in book["levels"])
    assert [level["px"] for level in (*bids, *asks)] == ["2999.0", "2998.0", "3001.0", "3002.0"]
    assert [level["n"] for level in (*bids, *asks)] == [10, 10, 10, 10]
    book = ask(venue, "l2Book", coin="ETH", nSigFigs=5, mantissa=5)
    assert [level["px"] for level in book["levels"][0][:2]] == ["2999.5", "2999.0"]


def test_a_book_shows_no_more_than_the_exchange_assumes() -> None:
    with local_venue(beyond_top="wait") as venue:
        venue.trader.limit(True, 0.4, 2990)
        book = ask(venue, "l2Book", coin="ETH")
        assert book["levels"][0] == [
            {"px": "2999.9", "sz": "100.0", "n": 1},
            {"px": "2990.0", "sz": "0.4", "n": 1},
        ]
        assert len(book["levels"][1]) == 1


def test_a_book_lacks_what_was_taken_until_the_touch_changes(venue: Local) -> None:
    def best(side: int, **more: Any) -> list[list[Any]]:
        levels = ask(venue, "l2Book", coin="ETH", **more)["levels"][side][:2]
        return [[level["px"], level["sz"], level["n"]] for level in levels]

    trader = venue.trader
    trader.exchange.update_leverage(25, "ETH")
    trader.limit(True, 60, 3100, "Ioc")
    assert best(1) == [["3000.1", "40.0", 1], ["3000.2", "100.0", 1]]
    other = venue.another()
    other.exchange.update_leverage(25, "ETH")
    other.limit(True, 50, 3100, "Ioc")
    assert best(1) == [["3000.2", "90.0", 1], ["3000.3", "100.0", 1]]
    assert best(1, nSigFigs=4) == [["3001.0", "890.0", 9], ["3002.0", "1000.0", 10]]
    assert ask(venue, "allMids")["ETH"] == "3000.05"
    # The next taker finds what the book showed.
    third = venue.another()
    filled = third.limit(True, 0.5, 3000.2, "Ioc")["filled"]
    assert (filled["totalSz"], filled["avgPx"]) == ("0.5", "3000.2")
    assert best(0)[0] == ["2999.9", "100.0", 1]
    venue.price(3001)
    assert best(1)[0] == ["3001.1", "100.0", 1]


def test_volumes_and_prices_of_a_day_are_the_tapes() -> None:
    source = synthetic_source(BTC, seed=2, hours=0.1)
    with local_venue([source]) as venue:
        venue.control("/advance", until="end")
        context = ask(venue, "metaAndAssetCtxs")[1][0]
        columns = source.tape.columns
        trades = columns.kind == 1
        lots = int(columns.qty[trades].sum())
        products = int((columns.qty[trades] * columns.px[trades]).sum())
        assert Decimal(context["dayBaseVlm"]) == BTC.lot_size * lots
        assert Decimal(context["dayNtlVlm"]) == BTC.lot_size * BTC.tick_size * products
        first = int(columns.px[trades][0])
        assert Decimal(context["prevDayPx"]) == BTC.tick_size * first


def test_the_portfolio_and_the_fees_follow_what_was_traded(venue: Local) -> None:
    trader = venue.trader
    trader.exchange.market_open("ETH", True, 1)
    trader.exchange.market_close("ETH")
    spans = dict(trader.info.portfolio(trader.address))
    assert list(spans) == [
        "day",
        "week",
        "month",
        "allTime",
        "perpDay",
        "perpWeek",
        "perpMonth",
        "perpAllTime",
    ]
    state = trader.info.user_state(trader.address)
    assert spans["day"]["vlm"] == "6000.0"
    assert spans["day"]["accountValueHistory"][-1][1] == state["marginSummary"]["accountValue"]
    profit = Decimal(spans["perpAllTime"]["pnlHistory"][-1][1])
    assert profit == Decimal(state["marginSummary"]["accountValue"]) - 10_000
    fees = trader.info.user_fees(trader.address)
    assert (fees["userCrossRate"], fees["userAddRate"]) == ("0.00045", "0.00015")
    assert fees["dailyUserVlm"][-1]["userCross"] == "6000.0"
    assert trader.info.user_rate_limit(trader.address)["cumVlm"] == "6000.0"
