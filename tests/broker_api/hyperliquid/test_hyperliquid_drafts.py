"""Contracts from the venue's meta, orders in its terms, and the settings of the adapter."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import samples
from parts import BTC, ETH, META, market_order, request

from broker_api.config import AccountConfig, BrokerSpec
from broker_api.errors import ConfigurationError, InvalidPriceError, SecretError
from broker_api.event import Reason
from broker_api.hyperliquid.broker import create
from broker_api.hyperliquid.config import (
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    MAINNET_URL,
    TESTNET_URL,
    URL_VARIABLE,
    HyperliquidConfig,
)
from broker_api.hyperliquid.contracts import contracts_of, to_nanos_exactly
from broker_api.hyperliquid.drafts import Touch, fitted, wire_order
from broker_api.hyperliquid.opening import snapshot_of
from broker_api.hyperliquid.wire.account import ClearinghouseState, UserFees
from broker_api.hyperliquid.wire.actions import Tif, TpSl
from broker_api.hyperliquid.wire.schema import ProtocolError, decode
from broker_api.live.consent import CONSENT_VARIABLE
from broker_api.live.drafts import Refused
from broker_api.order import OrderType, Side, TimeInForce

CLOID = "0x" + "a" * 32
TOUCH = Touch(Decimal("2999.9"), Decimal("3000.1"))
SLIPPAGE = Decimal("0.05")
KEY = "0x" + "1" * 64


def drafted(**changes: Any) -> Any:
    return wire_order(request(**changes), ETH, CLOID, TOUCH, SLIPPAGE)


# --- contracts ---------------------------------------------------------------------------------


def test_a_contract_has_the_venues_grid() -> None:
    assert (ETH.spec.tick_size, ETH.spec.lot_size) == (Decimal("0.01"), Decimal("0.0001"))
    assert (BTC.spec.tick_size, BTC.spec.lot_size) == (Decimal("0.1"), Decimal("0.00001"))
    for each in (ETH, BTC):
        assert each.spec.tick_value_nanos == 1_000  # a millionth of a dollar
    assert (ETH.asset, BTC.asset) == (1, 0)
    assert ETH.ticks(Decimal("2999.95")) == 299_995
    assert ETH.nearest_ticks(Decimal("2999.954")) == 299_995
    assert ETH.lots(Decimal("0.0335")) == 335
    with pytest.raises(ProtocolError, match="off its grid"):
        ETH.ticks(Decimal("2999.955"))
    with pytest.raises(ProtocolError, match="off its grid"):
        to_nanos_exactly(Decimal("0.0000000001"))


def test_tiers_and_fees_are_the_venues() -> None:
    (btc,) = contracts_of(META, ["HL:btc"], UserFees(Decimal("0.00045"), Decimal("0.00015")))
    assert [(tier.notional_from, tier.initial_ppm) for tier in btc.spec.tiers] == [
        (0, 25_000),
        (150_000_000, 50_000),
    ]
    assert (btc.spec.taker_fee_ppm, btc.spec.maker_fee_ppm) == (450, 150)
    assert ETH.spec.tiers[0].initial_ppm == 1_000_000 // 55 + 1  # a table below 50 or unknown


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["ETHH"], "no perpetual 'ETHH'; did you mean \"ETH\""),
        (["OLD"], "has delisted 'OLD'"),
        (["ETH", "HL:ETH"], "'ETH' is named twice"),
    ],
)
def test_names_that_are_not_traded_are_refused(names: list[str], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        contracts_of(META, names)


def test_a_price_with_too_many_digits_names_its_neighbours() -> None:
    with pytest.raises(InvalidPriceError, match=r"nearest are 1234\.50 and 1234\.60"):
        ETH.spec.order_price_to_ticks(1234.56)
    assert ETH.spec.order_price_to_ticks(123456) == 12_345_600
    assert ETH.spec.order_price_to_ticks(1234.5) == 123_450


def test_the_snapshot_is_the_accounts_money_beside_open_profit() -> None:
    state: ClearinghouseState = decode(ClearinghouseState, samples.STATE)
    snapshot = snapshot_of("0xabc", state, [ETH, BTC])
    (position,) = snapshot.positions
    assert (position.instrument, position.position_lots) == (0, 335)
    # 100.02765 + 0.0134 dollars, in millionths
    assert position.position_cost == 100_041_050
    assert snapshot.cash_nanos == 13_109_482_328_000 + 13_400_000


# --- orders ------------------------------------------------------------------------------------


def test_a_limit_order_keeps_its_price_and_its_terms() -> None:
    order = drafted()
    assert (order.asset, order.is_buy, order.cloid) == (1, True, CLOID)
    assert (order.price, order.size) == (3000, Decimal("0.2"))
    assert order.terms.limit.tif is Tif.GTC
    assert drafted(time_in_force=TimeInForce.IOC).terms.limit.tif is Tif.IOC
    assert drafted(post_only=True).terms.limit.tif is Tif.ALO
    assert drafted(reduce_only=True).reduce_only


@pytest.mark.parametrize(
    ("side", "protection", "price"),
    [
        (Side.BUY, None, "3150"),
        (Side.SELL, None, "2850"),
        (Side.BUY, 150, "3001.6"),
        (Side.SELL, 150, "2998.4"),
    ],
)
def test_a_market_order_is_an_ioc_at_its_bound(
    side: Side, protection: int | None, price: str
) -> None:
    order = wire_order(
        market_order(side=side, protection_ticks=protection), ETH, CLOID, TOUCH, SLIPPAGE
    )
    assert order.terms.limit is not None
    assert order.terms.limit.tif is Tif.IOC
    assert order.price == Decimal(price)


def test_a_bound_is_rounded_to_the_side_that_costs_less() -> None:
    touch = Touch(Decimal("1234.5"), Decimal("1234.5"))
    buy = wire_order(market_order(size_lots=2_000), ETH, CLOID, touch, Decimal("0.01"))
    sell = wire_order(market_order(side=Side.SELL), ETH, CLOID, touch, Decimal("0.01"))
    assert (buy.price, sell.price) == (Decimal("1246.8"), Decimal("1222.2"))  # 1246.845, 1222.155


def test_a_market_order_needs_a_market() -> None:
    with pytest.raises(Refused) as caught:
        wire_order(market_order(), ETH, CLOID, Touch(None, None), SLIPPAGE)
    assert caught.value.reason is Reason.NO_LIQUIDITY
    one_sided = wire_order(market_order(), ETH, CLOID, Touch(Decimal(3000), None), SLIPPAGE)
    assert one_sided.price == 3150


@pytest.mark.parametrize(
    ("order_type", "limit", "market", "tpsl"),
    [
        (OrderType.STOP, None, True, TpSl.STOP_LOSS),
        (OrderType.STOP_LIMIT, 289_000, False, TpSl.STOP_LOSS),
        (OrderType.MARKET_IF_TOUCHED, None, True, TpSl.TAKE_PROFIT),
        (OrderType.LIMIT_IF_TOUCHED, 289_000, False, TpSl.TAKE_PROFIT),
    ],
)
def test_stops_and_touched_orders_are_triggers(
    order_type: OrderType, limit: int | None, market: bool, tpsl: TpSl
) -> None:
    order = drafted(side=Side.SELL, order_type=order_type, limit_ticks=limit, stop_ticks=290_000)
    trigger = order.terms.trigger
    assert (trigger.is_market, trigger.tpsl, trigger.trigger_price) == (market, tpsl, 2900)
    assert order.price == (2755 if limit is None else 2890)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time_in_force": TimeInForce.FOK}, Reason.UNSUPPORTED),
        ({"time_in_force": TimeInForce.GTD, "expires_at_ns": 5}, Reason.UNSUPPORTED),
        ({"time_in_force": TimeInForce.DAY}, Reason.UNSUPPORTED),
        ({"time_in_force": TimeInForce.IOC, "post_only": True}, Reason.UNSUPPORTED),
        ({"order_type": OrderType.TRAILING_STOP, "trail_ticks": 5}, Reason.UNSUPPORTED),
        (
            {"order_type": OrderType.STOP_LIMIT, "stop_ticks": 310_000, "post_only": True},
            Reason.UNSUPPORTED,
        ),
        ({"size_lots": 0}, Reason.SIZE_NOT_POSITIVE),
        ({"size_lots": 30}, Reason.BELOW_MINIMUM_VALUE),
        ({"limit_ticks": 123_456}, Reason.PRICE_OFF_TICK),
        ({"limit_ticks": -5}, Reason.PRICE_NOT_POSITIVE),
        ({"order_type": OrderType.STOP_LIMIT}, Reason.PRICE_MISSING),
    ],
)
def test_what_the_venue_does_not_have_is_refused_before_it_is_sent(
    changes: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(Refused) as caught:
        drafted(**changes)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("side", "order_type", "limit", "stop", "fits"),
    [
        (Side.SELL, OrderType.LIMIT, 310_537, None, (310_530, None)),
        (Side.BUY, OrderType.LIMIT, 310_537, None, (310_540, None)),
        (Side.SELL, OrderType.STOP, None, 290_537, (None, 290_540)),
        (Side.BUY, OrderType.STOP, None, 310_537, (None, 310_530)),
        (Side.SELL, OrderType.STOP_LIMIT, 290_037, 290_537, (290_030, 290_540)),
        (Side.SELL, OrderType.MARKET_IF_TOUCHED, None, 310_537, (None, 310_530)),
        (Side.BUY, OrderType.LIMIT_IF_TOUCHED, 290_537, 290_537, (290_540, 290_540)),
        (Side.BUY, OrderType.LIMIT, 310_530, None, (310_530, None)),
    ],
)
def test_prices_that_a_program_made_are_fitted(
    side: Side, order_type: OrderType, limit: int | None, stop: int | None, fits: Any
) -> None:
    order = request(side=side, order_type=order_type, limit_ticks=limit, stop_ticks=stop)
    made = fitted(order, ETH)
    assert (made.limit_ticks, made.stop_ticks) == fits


def test_a_small_order_may_close_a_position() -> None:
    assert drafted(size_lots=30, reduce_only=True).size == Decimal("0.003")


# --- settings ----------------------------------------------------------------------------------


def test_the_test_network_is_the_default() -> None:
    assert HyperliquidConfig().place({}) == (TESTNET_URL, False)


def test_real_money_needs_both_consents() -> None:
    consent = {CONSENT_VARIABLE: "yes"}
    with pytest.raises(ConfigurationError, match="two consents") as caught:
        HyperliquidConfig(network="mainnet").place({})
    for part in ("i_accept_real_money=True", f"{CONSENT_VARIABLE}=yes", 'network="testnet"'):
        assert part in str(caught.value)
    with pytest.raises(ConfigurationError, match="missing: i_accept_real_money=True in the prog"):
        HyperliquidConfig(network="mainnet").place(consent)
    with pytest.raises(ConfigurationError, match=f"missing: {CONSENT_VARIABLE}=yes in the env"):
        HyperliquidConfig(network="mainnet", i_accept_real_money=True).place({})
    with pytest.raises(ConfigurationError, match="two consents"):
        HyperliquidConfig(network="mainnet", i_accept_real_money=True).place({CONSENT_VARIABLE: ""})
    both = HyperliquidConfig(network="mainnet", i_accept_real_money=True)
    assert both.place(consent) == (MAINNET_URL, True)


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": MAINNET_URL},
        {"base_url": MAINNET_URL + "/", "network": "local"},
        {"base_url": "http://127.0.0.1:1", "network": "mainnet", "i_accept_real_money": True},
    ],
)
def test_the_main_network_has_no_back_door(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="does not go with the main network"):
        HyperliquidConfig(**settings).place({CONSENT_VARIABLE: "yes"})


def test_a_local_venue_is_found_by_argument_or_environment() -> None:
    given = HyperliquidConfig(base_url="http://127.0.0.1:3001/").place({})
    assert given == ("http://127.0.0.1:3001", False)
    named = HyperliquidConfig(network="local").place({URL_VARIABLE: "http://127.0.0.1:5"})
    assert named == ("http://127.0.0.1:5", False)
    with pytest.raises(ConfigurationError, match=URL_VARIABLE):
        HyperliquidConfig(network="local").place({})


def test_a_local_venue_takes_the_place_of_the_test_network_with_its_own_key(
    tmp_path: Path,
) -> None:
    path = tmp_path / "key"
    path.write_text("0x" + "2" * 64)
    path.chmod(0o600)
    exec_ = {
        URL_VARIABLE: "http://127.0.0.1:5",
        KEY_FILE_VARIABLE: str(path),
        KEY_VARIABLE: KEY,
        CONSENT_VARIABLE: "yes",
    }
    config = HyperliquidConfig(network="testnet")
    assert config.place(exec_) == ("http://127.0.0.1:5", False)
    assert config.secret(exec_).reveal() == "0x" + "2" * 64
    real = HyperliquidConfig(network="mainnet", i_accept_real_money=True)
    assert real.place(exec_) == (MAINNET_URL, True)
    assert real.secret(exec_).reveal() == KEY


@pytest.mark.parametrize(
    "settings",
    [
        {"netwrok": "testnet"},
        {"network": "main"},
        {"account": "0x12"},
        {"base_url": "127.0.0.1"},
        {"slippage": 2},
        {"slippage": 0},
        {"dead_man_seconds": 5},
        {"key": KEY},
    ],
)
def test_settings_that_are_wrong_are_refused_without_showing_a_key(
    settings: dict[str, Any],
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        HyperliquidConfig(**settings)
    assert "1" * 40 not in str(caught.value)


def test_the_key_comes_from_the_environment_or_a_private_file(tmp_path: Path) -> None:
    assert HyperliquidConfig().secret({KEY_VARIABLE: KEY}).reveal() == KEY
    with pytest.raises(SecretError, match=KEY_VARIABLE):
        HyperliquidConfig().secret({})
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    config = HyperliquidConfig(key=f"file:{path}")
    assert config.secret({}).reveal() == KEY
    assert KEY[2:] not in repr(config) + str(config.model_dump()) + config.model_dump_json()


def test_nonces_lie_where_state_belongs(tmp_path: Path) -> None:
    config = HyperliquidConfig()
    assert config.nonce_folder({"XDG_STATE_HOME": "/x"}) == Path("/x/papertape/nonces")
    assert config.nonce_folder({"PAPERTAPE_HOME": "/h", "XDG_STATE_HOME": "/x"}) == Path(
        "/h/nonces"
    )
    assert config.nonce_folder({}).parts[-2:] == ("papertape", "nonces")
    assert HyperliquidConfig(state_folder=tmp_path).nonce_folder({}) == tmp_path


def test_making_the_broker_touches_no_network_and_shows_no_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    options = {"state_folder": tmp_path / "state"}
    spec = BrokerSpec((), (), account=AccountConfig(), symbols=("ETH",), options=options)
    broker = create(spec)
    assert broker.name == "hyperliquid"
    assert "1" * 40 not in repr(broker)
    assert TESTNET_URL in repr(broker)
    with pytest.raises(ConfigurationError, match="netwrok"):
        create(replace(spec, options={"netwrok": "testnet"}))
