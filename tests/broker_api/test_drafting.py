"""From what users write to integers: what cannot be represented is refused before it is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from builders import MNQ
from hypothesis import given
from hypothesis import strategies as st

from broker_api.closing import parse_fraction, share_lots
from broker_api.drafting import (
    ExitTerms,
    Terms,
    entry_type,
    parse_expiry,
    parse_leg,
    parse_stop,
    parse_target,
    parse_terms,
    split_bracket,
    trail_ppm_of,
)
from broker_api.errors import (
    ConfigurationError,
    InvalidOrderError,
    InvalidPriceError,
    InvalidSizeError,
)
from broker_api.market_data import timeframe_ns
from broker_api.order import OrderType, Side, TimeInForce
from broker_api.position_manager import size_for_risk

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
NOON_NS = 1_704_196_800 * 10**9


def test_market_orders_have_no_time_in_force_and_others_work_until_cancelled():
    assert parse_terms(OrderType.MARKET, {}) == Terms(TimeInForce.NONE)
    assert parse_terms(OrderType.MARKET, {"tag": "x"}).time_in_force is TimeInForce.NONE
    assert parse_terms(OrderType.LIMIT, {}) == Terms(TimeInForce.GTC)


@pytest.mark.parametrize("word", ["IOC", "ioc", "Ioc", TimeInForce.IOC])
def test_time_in_force_is_accepted_in_any_case(word):
    assert parse_terms(OrderType.LIMIT, {"time_in_force": word}).time_in_force is TimeInForce.IOC


def test_expiry_alone_means_good_till_date():
    terms = parse_terms(OrderType.LIMIT, {"expires_at": NOON})
    assert (terms.time_in_force, terms.expires_at_ns) == (TimeInForce.GTD, NOON_NS)


def test_expiry_is_an_aware_datetime_of_any_zone_or_nanoseconds():
    chicago = NOON.astimezone(timezone(timedelta(hours=-6)))
    assert parse_expiry(chicago) == parse_expiry(NOON) == parse_expiry(NOON_NS) == NOON_NS
    assert parse_expiry(NOON + timedelta(microseconds=1)) == NOON_NS + 1000


@pytest.mark.parametrize(
    ("order_type", "options", "message"),
    [
        (OrderType.LIMIT, {"expires_at": datetime(2024, 1, 2)}, "has no time zone"),
        (OrderType.LIMIT, {"expires_at": 1.5}, "no aware datetime and no nanoseconds"),
        (OrderType.LIMIT, {"time_in_force": "GTD"}, "gtd needs expires_at"),
        (OrderType.LIMIT, {"time_in_force": "DAY", "expires_at": NOON}, "goes with time_in_force"),
        (OrderType.LIMIT, {"time_in_force": "GTX"}, 'did you mean "gtd"'),
        (OrderType.LIMIT, {"time_in_force": "none"}, "for market orders only"),
        (OrderType.LIMIT, {"reduce_only": "yes"}, "reduce_only 'yes' is not True or False"),
        (OrderType.LIMIT, {"protection_ticks": 4}, "for market and stop orders"),
        (OrderType.LIMIT, {"client_order_id": 7}, "client_order_id 7 is not a text"),
    ],
)
def test_senseless_options_are_refused(order_type, options, message):
    with pytest.raises(InvalidOrderError, match=message):
        parse_terms(order_type, options)


@pytest.mark.parametrize("ticks", [-1, 1.5, True, "4"])
def test_protection_is_a_whole_number_of_ticks(ticks):
    with pytest.raises(InvalidPriceError, match="protection_ticks"):
        parse_terms(OrderType.MARKET, {"protection_ticks": ticks})


def test_unknown_argument_is_a_type_error_with_the_nearest_name():
    with pytest.raises(TypeError, match="'reduceonly'; did you mean 'reduce_only'"):
        parse_terms(OrderType.LIMIT, {"reduceonly": True})
    with pytest.raises(TypeError, match="'stop_ofset'; did you mean 'stop_offset'"):
        split_bracket({"stop_ofset": 1})


@pytest.mark.parametrize(
    ("limit", "stop", "expected"),
    [
        (None, None, OrderType.MARKET),
        (1, None, OrderType.LIMIT),
        (None, 1, OrderType.STOP),
        (1, 1, OrderType.STOP_LIMIT),
    ],
)
def test_entry_type_follows_from_its_prices(limit, stop, expected):
    assert entry_type(limit, stop) is expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"stop_offset": 25.0}, ExitTerms(100, None)),
        ({"stop_ticks": 7}, ExitTerms(7, None)),
        ({"stop_price": "20950.25"}, ExitTerms(None, 83_801)),
        ({"stop_offset": 25, "stop_limit_offset": 1}, ExitTerms(100, None, 4)),
        ({"trail_offset": 10}, ExitTerms(40, None, None, 40)),
    ],
)
def test_stop_exit_is_read_from_any_of_its_forms(options, expected):
    assert parse_stop(MNQ, options) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"stop_offset": 25, "stop_price": 20_000},
            "stop_offset and stop_price exclude",
        ),
        ({"stop_offset": -25}, "stop_offset -25 is not positive"),
        ({"stop_offset": 0}, "stop_offset 0 is not positive"),
        ({"stop_offset": 0.1}, "stop_offset 0.1 is not a multiple of the tick size 0.25 of MNQ"),
        ({"stop_ticks": 2.5}, "stop_ticks 2.5 is not a whole number"),
        ({"stop_limit_offset": 1}, "stop_limit_offset needs a stop"),
        ({"stop_offset": 1, "stop_limit_offset": 1, "trail_offset": 1}, "exclude each other"),
    ],
)
def test_contradictory_exits_are_refused(options, message):
    with pytest.raises(InvalidOrderError, match=message):
        parse_stop(MNQ, options)


def test_target_is_read_like_the_stop():
    assert parse_target(MNQ, {"target_ticks": 3}) == ExitTerms(3, None)


def test_oco_leg_is_read_from_its_table():
    leg = {"type": "limit", "side": 1, "price": 21100.0, "tag": "t", "time_in_force": "day"}
    draft = parse_leg(0, MNQ, 2, leg, "first_order")
    assert (draft.order_type, draft.side, draft.limit_ticks) == (OrderType.LIMIT, Side.SELL, 84_400)
    assert (draft.terms.tag, draft.terms.time_in_force) == ("t", TimeInForce.DAY)
    other = {"type": "STOP-LIMIT", "side": "buy", "stop_price": 1, "price": 2}
    stop = parse_leg(0, MNQ, 2, other, "second_order")
    assert (stop.order_type, stop.stop_ticks, stop.limit_ticks) == (OrderType.STOP_LIMIT, 4, 8)


@pytest.mark.parametrize(
    ("leg", "error", "message"),
    [
        ({"side": 1, "price": 1}, InvalidOrderError, "first_order has no 'type'"),
        ({"type": "limit", "side": 2, "price": 1}, InvalidOrderError, "side 2 is not one of"),
        ({"type": "limit", "side": 1}, InvalidPriceError, "first_order price: a price"),
        ({"type": "stop", "side": 1, "price": 1}, InvalidOrderError, "stop order has no limit"),
        ({"type": "limit", "side": 1, "price": 1, "stop_price": 1}, InvalidOrderError, "no stop"),
        ({"type": "market", "side": 1}, InvalidOrderError, "is not one of limit, stop"),
        ({"type": "limit", "sid": 1}, TypeError, "'sid'; did you mean 'side'"),
        ("sell", InvalidOrderError, "is not a table"),
    ],
)
def test_bad_oco_leg_is_refused(leg, error, message):
    with pytest.raises(error, match=message):
        parse_leg(0, MNQ, 1, leg, "first_order")


def test_trailing_percent_becomes_parts_per_million():
    assert trail_ppm_of(0.5) == 5000
    for wrong in (0, 100, "x", float("nan"), 0.00001):
        with pytest.raises(InvalidPriceError, match="trail_percent"):
            trail_ppm_of(wrong)


@pytest.mark.parametrize(
    ("lots", "fractions", "expected"),
    [
        (10, ("0.33", "0.33", "0.34"), [3, 3, 4]),
        (2, ("0.33", "0.33", "0.34"), [1, 0, 1]),
        (1, ("0.33", "0.33", "0.34"), [0, 0, 1]),
        (10, ("0.33", "0.33"), [3, 3]),
        (10, ("0.66",), [6]),
        (100, ("0.33", "0.56", "0.11"), [33, 56, 11]),
        (3, ("0.5", "0.5"), [2, 1]),
        (1, ("0.5",), [0]),
    ],
)
def test_lots_are_shared_by_largest_remainder(lots, fractions, expected):
    assert share_lots(lots, [Decimal(text) for text in fractions]) == expected


@given(st.integers(0, 1000), st.lists(st.integers(1, 100), min_size=1, max_size=9))
def test_shares_cover_exactly_what_was_asked_and_none_is_off_by_a_lot(lots, percents):
    fractions = [Decimal(percent) / 1000 for percent in percents]
    shares = share_lots(lots, fractions)
    assert sum(shares) == int(lots * sum(fractions))
    for share, fraction in zip(shares, fractions, strict=True):
        assert abs(share - lots * fraction) < 1


def test_fractions_above_the_whole_are_refused():
    with pytest.raises(InvalidSizeError, match=r"the percentages sum to 1\.01, which is above 1"):
        share_lots(10, [Decimal("0.5"), Decimal("0.51")])


def test_fraction_is_the_decimal_that_was_written():
    assert sum(parse_fraction(each, "p") for each in (0.33, 0.56, 0.11)) == 1
    for wrong in (0, -0.5, 1.01, 50, "half", None, float("nan"), True):
        with pytest.raises(InvalidSizeError, match="is not a fraction above 0 and at most 1"):
            parse_fraction(wrong, "percentage")


def test_size_from_risk_is_rounded_down_and_below_one_lot_refused_with_the_numbers():
    assert size_for_risk(MNQ, 200, Decimal(30)) == 3
    assert size_for_risk(MNQ, "60", Decimal(30)) == 1
    with pytest.raises(InvalidSizeError) as caught:
        size_for_risk(MNQ, 59.99, Decimal(30))
    assert str(caught.value) == (
        "risk_amount 59.99 is less than the 60 USD that one lot of MNQ loses over 30 points"
    )
    for wrong in (0, -1, "x", float("inf")):
        with pytest.raises(InvalidSizeError, match="risk_amount"):
            size_for_risk(MNQ, wrong, Decimal(30))
    with pytest.raises(InvalidSizeError, match="stop distance 0 is not positive"):
        size_for_risk(MNQ, 10, Decimal(0))


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("1s", 1),
        ("5sec", 5),
        ("1min", 60),
        ("5m", 300),
        ("4hr", 14_400),
        ("1day", 86_400),
        (90, 90),
    ],
)
def test_timeframes_are_read_by_name_or_seconds(name, seconds):
    assert timeframe_ns(name) == seconds * 10**9
    assert timeframe_ns(timedelta(seconds=seconds)) == seconds * 10**9


@pytest.mark.parametrize(
    ("name", "message"),
    [("1mni", 'did you mean "1min"'), ("2day", "between 1 second and 1 day"), (0, "between 1 sec")],
)
def test_bad_timeframe_is_refused(name, message):
    with pytest.raises(ConfigurationError, match=message):
        timeframe_ns(name)
