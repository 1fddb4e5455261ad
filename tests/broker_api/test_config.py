"""Settings: every fault is named with its key, value and limit before anything starts."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
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
from broker_api.latency import FileLatency, latency_text
from broker_api.order import BeyondTop, QueueModel, SelfTrade
from broker_api.risk import RiskConfig
from reports.assumptions import assumptions
from scenarios.run_folder import plain


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (SimulationConfig, {"queu": "front"}, "has no setting 'queu'; did you mean \"queue\""),
        (SimulationConfig, {"queue": "frnt"}, 'did you mean "front"'),
        (SimulationConfig, {"queue": "Exact"}, "queue = 'Exact': tapes hold rows of single orders"),
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


LATENCY = [
    (True, "True: is no number of milliseconds and no table"),
    ("20", "'20': is no number of milliseconds and no table"),
    (3_600_001, "less than or equal to 3600000"),
    ({}, "needs min_ms"),
    ({"min_ms": 1}, "needs max_ms"),
    ({"min_ms": 2, "max_ms": 1}, "min_ms = 2 is above max_ms = 1"),
    ({"min_ms": -1, "max_ms": 1}, "min_ms = -1: input should be greater than or equal to 0"),
    ({"min_ms": 1, "max_ms": 2, "mean_ms": 1}, "has no key 'mean_ms' beside min_ms, max_ms"),
    ({"quantiles_ms": 3}, "quantiles_ms = 3 is no list"),
    ({"quantiles_ms": [1]}, "quantiles_ms needs the least and the most"),
    ({"quantiles_ms": [1, 3, 2]}, "quantiles_ms[2] = 2 is below the one before it, 3"),
    ({"quantiles_ms": [1, "x"]}, "quantiles_ms[1] = 'x': is no number"),
    ({"quantiles_ms": [1, 2], "min_ms": 1}, "has no key 'min_ms' beside quantiles_ms"),
    ({"file": "l.parquet"}, "needs column"),
    ({"column": "entry_ms"}, "needs file"),
    ({"file": "l.parquet", "column": 3}, "column = 3 is no name"),
    ({"file": "no.parquet", "column": "entry_ms"}, "no.parquet: cannot be read"),
    ({"file": "text.parquet", "column": "entry_ms"}, "text.parquet: is no Parquet file"),
    ({"file": "l.parquet", "column": "ms"}, "has no column 'ms'; it has ts, entry_ms, bad, name"),
    ({"file": "l.parquet", "column": "bad"}, "row 1, column bad, value -2: is no latency from 0"),
    ({"file": "l.parquet", "column": "name"}, "column name is of type string, not of numbers"),
    ({"file": "empty.parquet", "column": "entry_ms"}, "empty.parquet: has no rows"),
    ({"file": "back.parquet", "column": "entry_ms"}, "row 1, column ts, value 1: time runs back"),
    ({"file": "null.parquet", "column": "entry_ms"}, "row 0, column entry_ms, value nan"),
    ({"file": "text_ts.parquet", "column": "entry_ms"}, "column ts is of type string"),
    ({"file": "no_ts.parquet", "column": "entry_ms"}, "column ts has 1 missing times"),
    (
        {"file": "l.parquet", "column": "entry_ms", "content_hash": "beef"},
        "l.parquet: its content is another than was named",
    ),
]


@pytest.fixture
def latency_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tables = {
        "l": {"ts": [1, 2], "entry_ms": [1.0, 2.5], "bad": [1, -2], "name": ["a", "b"]},
        "empty": {"entry_ms": pa.array([], pa.float64())},
        "back": {"ts": [2, 1], "entry_ms": [1.0, 2.0]},
        "null": {"entry_ms": pa.array([None, 1.0])},
        "text_ts": {"ts": ["a"], "entry_ms": [1.0]},
        "no_ts": {"ts": pa.array([1, None], pa.int64()), "entry_ms": [1.0, 2.0]},
    }
    for name, table in tables.items():
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    return tmp_path


@pytest.mark.parametrize(("value", "message"), LATENCY)
def test_bad_latency_is_refused_by_name(latency_files, value, message):
    with pytest.raises(ConfigurationError) as caught:
        SimulationConfig(response_latency_ms=value)
    assert str(caught.value).startswith("SimulationConfig.response_latency_ms = ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (20, "20 ms"),
        (Decimal("0.5"), "0.5 ms"),
        ({"min_ms": 1, "max_ms": 3.5}, "1 to 3.5 ms"),
        ({"quantiles_ms": (1, 2, 9)}, "1 to 9 ms by 3 quantiles"),
        ({"file": "l.parquet", "column": "entry_ms"}, "as in l.parquet (entry_ms)"),
    ],
)
def test_latencies_survive_the_way_through_a_runs_configuration(latency_files, value, text):
    config = SimulationConfig(entry_latency_ms=value)
    written = json.loads(json.dumps(plain(config)))
    again = SimulationConfig.parse(written)
    assert again == config
    assert plain(again) == written
    assert SimulationConfig.parse({**config.model_dump(), "queue": "back"}) == config.model_copy(
        update={"queue": "back"}
    )
    assert latency_text(written["entry_latency_ms"]) == text
    assert f"Latency: {text} to the exchange, 1 ms back" in " ".join(
        assumptions({"simulation": written})
    )


def test_a_latency_file_is_read_as_nanoseconds(latency_files):
    stamps = pa.array([1_000, 2_000], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"ts": stamps, "ms": [1, 2]}), latency_files / "us.parquet")
    for file, column, times in (
        ("l.parquet", "entry_ms", [1, 2]),
        ("us.parquet", "ms", [1_000_000, 2_000_000]),
    ):
        config = SimulationConfig(feed_latency_ms={"file": file, "column": column})
        assert isinstance(config.feed_latency_ms, FileLatency)
        found = config.feed_latency_ms.samples()
        assert found.ts is not None
        assert found.ts.tolist() == times
        assert found.latency.tolist()[0] == 1_000_000


def test_a_latency_file_lies_beside_the_settings(latency_files, monkeypatch, tmp_path_factory):
    path = latency_files / "papertape.toml"
    path.write_text('[simulation]\nentry_latency_ms = {file = "l.parquet", column = "entry_ms"}\n')
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    settings = read_settings(path).simulation
    assert settings is not None
    assert isinstance(settings.entry_latency_ms, FileLatency)
    assert settings.entry_latency_ms.file == str(latency_files / "l.parquet")
    path.write_text('[simulation]\nentry_latency_ms = {file = "m.parquet", column = "entry_ms"}\n')
    with pytest.raises(
        ConfigurationError, match=r"papertape\.toml: .*entry_latency_ms = .*m\.parq"
    ):
        read_settings(path)


def test_defaults_are_the_documented_ones():
    assert OrderManagerConfig().model_dump() == {
        "max_concurrent_orders": 100,
        "default_timeout": 30.0,
        "retry_attempts": 3,
        "enable_order_tracking": True,
        "track_performance": True,
        "auto_cancel_on_disconnect": False,
        "stop_retry_seconds": 0.5,
        "stop_attempts": 4,
        "stop_close_after_seconds": 10.0,
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
