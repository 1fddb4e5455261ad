from decimal import Decimal
from pathlib import Path

import pytest

from broker_api.catalog import find, load_catalog
from broker_api.errors import ConfigurationError
from broker_api.order import TriggerSource

OWN = """
[MNQZ4]
id = "CME:MNQZ4"
name = "Micro E-mini Nasdaq-100, December 2024"
exchange = "CME"
currency = "USD"
calendar = "CME_GLOBEX_EQUITY"
tick_size = 0.25
tick_value = 0.50
lot_size = 1
min_size = 1
max_size = 100
expiry = 2024-12-20
"""
TIERS = "[BTC]\nmargin_tiers = [{}]\n"


def tier(start: int, initial: int, maintenance: int) -> str:
    """One tier as a catalogue file has it."""
    return f"{{notional_from = {start}, initial_ppm = {initial}, maintenance_ppm = {maintenance}}}"


@pytest.fixture
def write(tmp_path: Path):
    def write_file(text: str, name: str = "mine.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.mark.parametrize(
    ("symbol", "tick", "value", "point"),
    [
        ("MNQ", "0.25", "0.5", "2"),
        ("NQ", "0.25", "5", "20"),
        ("MES", "0.25", "1.25", "5"),
        ("ES", "0.25", "12.5", "50"),
        ("M2K", "0.1", "0.5", "5"),
        ("RTY", "0.1", "5", "50"),
        ("MYM", "1", "0.5", "0.5"),
        ("YM", "1", "5", "5"),
        ("MGC", "0.1", "1", "10"),
        ("GC", "0.1", "10", "100"),
        ("MCL", "0.01", "1", "100"),
        ("CL", "0.01", "10", "1000"),
        ("BTC", "0.1", "0.1", "1"),
        ("ETH", "0.1", "0.1", "1"),
    ],
)
def test_shipped_instruments_have_their_tick_and_point_value(
    symbol: str, tick: str, value: str, point: str
) -> None:
    instrument = load_catalog()[symbol]
    assert instrument.tick_size == Decimal(tick)
    assert instrument.tick_value == Decimal(value)
    assert instrument.point_value == Decimal(point)
    assert instrument.tick_value_nanos > 0
    assert instrument.min_lots == 1


def test_perpetuals_are_charged_by_notional_and_triggered_by_the_mark() -> None:
    bitcoin = load_catalog()["BTC"]
    assert (bitcoin.maker_fee_ppm, bitcoin.taker_fee_ppm) == (150, 450)
    assert (bitcoin.initial_margin_ppm, bitcoin.maintenance_margin_ppm) == (100_000, 0)
    assert [tuple(tier) for tier in bitcoin.margin_tiers] == [
        (Decimal(0), 25_000, 12_500),
        (Decimal(150_000_000), 50_000, 25_000),
    ]
    assert bitcoin.trigger_source is TriggerSource.MARK
    assert bitcoin.tick_value_nanos == 100_000  # 0.1 USD on 0.001 BTC
    assert bitcoin.size_to_lots(0.003) == 3


@pytest.mark.parametrize("name", ["MNQ", "mnq", "CME:MNQ", " cme:mnq "])
def test_an_instrument_is_found_by_symbol_and_by_id(name: str) -> None:
    assert find(load_catalog(), name).symbol == "MNQ"


def test_an_unknown_instrument_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"'MNX' is not in the catalogue .*did you mean"):
        find(load_catalog(), "MNX")


def test_a_users_file_adds_an_instrument(write) -> None:
    catalog = load_catalog(write(OWN))
    assert catalog["MNQZ4"].expiry == "2024-12-20"
    assert catalog["MNQ"].symbol == "MNQ"
    assert "MNQZ4" not in load_catalog()


def test_a_users_file_overrides_single_keys_and_a_later_file_wins(write) -> None:
    first = write("[MNQ]\nfee_per_unit = 0.52\ninitial_margin = 150\n", "first.toml")
    second = write("[MNQ]\nfee_per_unit = 0.6\n", "second.toml")
    instrument = load_catalog(first, second)["MNQ"]
    assert instrument.fee_per_unit == Decimal("0.6")
    assert instrument.initial_margin == 150
    assert instrument.tick_size == Decimal("0.25")


def test_a_changed_file_is_read_again(write) -> None:
    path = write("[MNQ]\nfee_per_unit = 0.5\n")
    assert load_catalog(path)["MNQ"].fee_per_unit == Decimal("0.5")
    write("[MNQ]\nfee_per_unit = 0.125\n")
    assert load_catalog(path)["MNQ"].fee_per_unit == Decimal("0.125")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[MNQ\n", "mine.toml: "),
        ("fee = 3\n", r"mine.toml: fee = 3 stands outside a table"),
        ("[mnq]\nfee_per_unit = 1\n", r"\[mnq\] is not a symbol"),
        ("[MNQ]\nfee_per_units = 1\n", r"no key 'fee_per_units'; did you mean \"fee_per_unit\""),
        ("[NEW]\ntick_size = 1\n", r"\[NEW\] lacks the key 'id'"),
        ("[MNQ]\ntick_size = 0\n", r"\[MNQ\] tick_size = 0: .*greater than 0"),
        ("[MNQ]\ntick_size = 'a'\n", r"\[MNQ\] tick_size = 'a': .*decimal"),
        ("[MNQ]\ntick_size = nan\n", r"\[MNQ\] tick_size = NaN"),
        ("[MNQ]\nlot_size = 0.3\n", r"min_size = 1: is not a multiple of lot_size 0.3"),
        ("[MNQ]\nmin_size = 2000\n", r"\[MNQ\] min_size 2000 is above max_size 1000"),
        ("[MNQ]\nmax_size = 1e30\n", r"max_size = 1E\+30: is more than 1099511627776 lots"),
        ("[MNQ]\ninitial_margin = 10\n", r"maintenance_margin 80 is above initial_margin 10"),
        (
            "[BTC]\nmaintenance_margin_ppm = 12_500\ninitial_margin_ppm = 5\n",
            r"12500 is above initial_margin_ppm 5",
        ),
        ("[MNQ]\nfee_per_unit = inf\n", r"\[MNQ\] fee_per_unit = Infinity"),
        ("[MNQ]\ncalendar = '24/8'\n", r"calendar '24/8' is not one of 24/7.*did you mean"),
        ("[MNQ]\ncurrency = 'dollar'\n", r"\[MNQ\] currency = 'dollar'"),
        ("[BTC]\ntrigger_source = 'marks'\n", r"did you mean \"mark\""),
        ("[BTC]\ntick_value = 1e-8\n", r"not a whole number of 1e-9 USD"),
        ("[MNQ]\nexpiry = 'soon'\n", r"\[MNQ\] expiry = 'soon'"),
        ("[MNQ]\nid = 'CME:ES'\n", r"'CME:ES' names both"),
        ("[MNQ]\novernight_initial_margin = 50\n", r"margin 80 over night is above the initial 50"),
        ("[MNQ]\novernight_intial_margin = 50\n", r"mean \"overnight_initial_margin\""),
        ("[MNQ]\novernight_from_minutes = 1440\n", r"overnight_from_minutes = 1440: .*less than"),
        ("[MNQ]\nprice_band_ppm = -1\n", r"price_band_ppm = -1: .*greater than or equal to 0"),
        ("[MNQ]\nprice_band_tick = 9\n", r"mean \"price_band_ticks\""),
        (
            TIERS.format("{notional_form = 0}"),
            r"no key 'margin_tiers\.0\.notional_form'.*\"notional_from\"",
        ),
        (TIERS.format(tier(5, 9, 8)), r"margin_tiers begin at notional_from 5, not at 0"),
        (
            TIERS.format(tier(0, 8, 9)),
            r"margin_tiers\.0 .*: maintenance_ppm 9 is above initial_ppm 8",
        ),
        (
            TIERS.format(f"{tier(0, 9, 8)}, {tier(5, 9, 8)}, {tier(5, 9, 8)}"),
            r"margin_tiers: notional_from 5 is not above 5",
        ),
        (TIERS.format(", ".join(tier(n, 9, 8) for n in range(9))), r"at most 8 items"),
        (
            TIERS.format(tier(0, 9, 8)) + "maintenance_margin_ppm = 7\n",
            r"maintenance_margin_ppm 7 has no meaning beside margin_tiers",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_fault(write, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_catalog(write(text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml: No such file"):
        load_catalog(tmp_path / "nowhere.toml")


def test_tiers_of_a_file_of_ones_own_replace_the_flat_maintenance_rate(write) -> None:
    tiers = TIERS.format(f"{tier(0, 50_000, 25_000)}, {tier(1000, 90_000, 45_000)}")
    bitcoin = load_catalog(write(tiers))["BTC"]
    assert bitcoin.maintenance_margin_ppm == 0
    assert bitcoin.margin_tiers == bitcoin.tiers
    assert bitcoin.margin_tiers[1] == (Decimal(1000), 90_000, 45_000)


def test_a_flat_maintenance_rate_of_ones_own_replaces_the_tiers_below_it(write) -> None:
    below = write(TIERS.format(tier(0, 50_000, 25_000)), "below.toml")
    own = write("[BTC]\nmaintenance_margin_ppm = 30_000\n")
    bitcoin = load_catalog(below, own)["BTC"]
    assert bitcoin.margin_tiers == ()
    assert bitcoin.tiers == ((Decimal(0), 100_000, 30_000),)


def test_overnight_margins_default_to_those_of_the_day(write) -> None:
    day = load_catalog()["MNQ"]
    assert not day.has_overnight_margin
    assert day.overnight_initial_lot_nanos == day.initial_margin_lot_nanos
    night = load_catalog(write("[MNQ]\novernight_initial_margin = 2_000\n"))["MNQ"]
    assert night.has_overnight_margin
    assert night.overnight_from_minutes == 15
    assert night.overnight_initial_lot_nanos == 2_000 * 10**9
    assert night.overnight_maintenance_lot_nanos == 80 * 10**9
