"""Settings: every fault is named with its key, value and limit before anything starts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from broker_api.catalog import load_catalog
from broker_api.config import (
    AccountConfig,
    OrderManagerConfig,
    SessionDefaults,
    SimulationConfig,
    current_defaults,
    read_settings,
    use_defaults,
)
from broker_api.errors import ConfigurationError
from broker_api.instrument import MarginTier
from broker_api.order import BeyondTop, QueueModel, SelfTrade
from broker_api.risk import RiskConfig


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (SimulationConfig, {"queu": "front"}, "has no setting 'queu'; did you mean \"queue\""),
        (SimulationConfig, {"queue": "frnt"}, 'did you mean "front"'),
        (SimulationConfig, {"queue_power": 3}, "queue_power = 3: is not one of 1, 1.5, 2"),
        (SimulationConfig, {"entry_latency_ms": -1}, "entry_latency_ms = -1: input should be gr"),
        (SimulationConfig, {"feed_latency_ms": float("nan")}, "feed_latency_ms = nan"),
        (SimulationConfig, {"when_closed": "wait"}, "when_closed = 'wait'"),
        (SimulationConfig, {"seed": -1}, "seed = -1"),
        (
            AccountConfig,
            {"cash": -0.01},
            "cash = -0.01: input should be greater than or",
        ),
        (AccountConfig, {"cash": float("inf")}, "cash = inf: input should be a finite number"),
        (AccountConfig, {"currency": ""}, "currency = ''"),
        (AccountConfig, {"leverage": {"ETH": 0}}, "leverage.ETH = 0: input should be greater than"),
        (AccountConfig, {"isolated": "ETH"}, "isolated = 'ETH': input should be a valid tuple"),
        (AccountConfig, {"isolatd": ["ETH"]}, "'isolatd'; did you mean \"isolated\""),
        (OrderManagerConfig, {"max_concurrent_orders": 0}, "max_concurrent_orders = 0"),
        (
            OrderManagerConfig,
            {"default_timeout": 0},
            "default_timeout = 0: input should be",
        ),
        (OrderManagerConfig, {"zzz": 1}, "'zzz'; known are max_concurrent_orders, default_timeout"),
        (RiskConfig, {"max_order_size": 0}, "max_order_size = 0: input should be greater than 0"),
    ],
)
def test_bad_setting_is_refused_by_name(model, values, message):
    with pytest.raises(ConfigurationError) as caught:
        model(**values)
    assert message in str(caught.value)


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        AccountConfig().cash = 1.0


def test_enumerations_are_accepted_in_any_spelling():
    config = SimulationConfig(queue="FRONT", beyond_top=BeyondTop.WAIT, self_trade="cancel-oldest")
    assert config.queue_model is QueueModel.FRONT
    assert config.beyond_top_model is BeyondTop.WAIT
    assert config.self_trade_policy is SelfTrade.CANCEL_OLDEST
    assert config.queue == "front"


def test_latencies_are_nanoseconds():
    config = SimulationConfig(entry_latency_ms=0.0015, response_latency_ms=2, feed_latency_ms=0)
    latencies = (config.entry_latency_ns, config.response_latency_ns, config.feed_latency_ns)
    assert latencies == (1500, 2_000_000, 0)


def test_defaults_are_the_documented_ones():
    assert OrderManagerConfig().model_dump() == {
        "max_concurrent_orders": 100,
        "default_timeout": 30.0,
        "retry_attempts": 3,
        "enable_order_tracking": True,
        "track_performance": True,
        "auto_cancel_on_disconnect": False,
    }
    assert AccountConfig().cash_nanos == 50_000 * 10**9


def test_defaults_are_in_force_inside_the_block_only():
    outer, inner = SessionDefaults(), SessionDefaults(broker="x")
    with use_defaults(outer):
        with use_defaults(inner):
            assert current_defaults() is inner
        assert current_defaults() is outer
    assert current_defaults() is None


def test_settings_file_gives_defaults_with_paths_beside_it(tmp_path):
    path = tmp_path / "papertape.toml"
    path.write_text(
        'broker = "sim"\ninstruments = ["MNQ"]\ncatalog = ["mine.toml"]\n'
        '[tapes]\nMNQ = "ticks.parquet"\n[simulation]\nqueue = "back"\n'
        "[account]\ncash = 1000\n[order_manager]\nretry_attempts = 0\n"
        "[risk]\nmax_order_size = 2\n[parameters]\nfast = 10\n"
    )
    defaults = read_settings(path)
    assert defaults.instruments == ("MNQ",)
    assert defaults.tapes == {"MNQ": tmp_path / "ticks.parquet"}
    assert defaults.catalog_files == (tmp_path / "mine.toml",)
    assert defaults.simulation == SimulationConfig(queue="back")
    assert defaults.account == AccountConfig(cash=1000)
    assert defaults.order_manager_config == OrderManagerConfig(retry_attempts=0)
    assert (defaults.risk, defaults.parameters) == ({"max_order_size": 2}, {"fast": 10})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simulaton = 1", "unknown setting 'simulaton'; did you mean \"simulation\""),
        ("simulation = 1", "simulation = 1 is not a dict"),
        ("[simulation]\nqueue = 'bak'", "queue 'bak' is not one of"),
        ("broker = ", "no valid TOML"),
        ("tapes = []", "tapes = [] is not a dict"),
    ],
)
def test_bad_settings_file_is_refused_by_file_and_key(tmp_path, text, message):
    path = tmp_path / "papertape.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_settings(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_missing_settings_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"papertape\.toml: cannot be read"):
        read_settings(tmp_path / "papertape.toml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"leverage": {"ETHH": 5}}, "leverage names 'ETHH', .* did you mean \"ETH\""),
        ({"isolated": ["ES"]}, "isolated names 'ES', which is no instrument of this session; it"),
        ({"isolated": ["ETH", "hl:eth"]}, "isolated names ETH more than once"),
        ({"leverage": {"MNQ": 2}}, "leverage of MNQ = 2: the margin of MNQ is per unit"),
        ({"leverage": {"eth": 101}}, "leverage of eth = 101 is above the 100 of ETH"),
    ],
)
def test_an_account_that_does_not_fit_the_instruments_is_refused(values, message):
    catalog = load_catalog()
    chosen = [replace(catalog["ETH"], margin_tiers=(MarginTier(Decimal(0), 10_000, 5_000),))]
    with pytest.raises(ConfigurationError, match=message):
        AccountConfig(**values).check_instruments([*chosen, catalog["MNQ"]])


def test_the_initial_rate_follows_the_leverage_and_never_falls_below_a_tier():
    tiers = (MarginTier(Decimal(0), 40_000, 20_000), MarginTier(Decimal(9), 150_000, 75_000))
    ether = replace(load_catalog()["ETH"], initial_margin_ppm=100_000, margin_tiers=tiers)
    rates = {
        name: [tier.initial_ppm for tier in account.margin_tiers(ether)]
        for name, account in (
            ("none", AccountConfig()),
            ("three", AccountConfig(leverage={"HL:eth": 3})),
            ("most", AccountConfig(leverage={"ETH": 25})),
        )
    }
    assert rates == {
        "none": [100_000, 150_000],
        "three": [333_334, 333_334],
        "most": [40_000, 150_000],
    }
