"""Templates: the arithmetic from a set-up's prices to one bracket."""

from __future__ import annotations

from decimal import Decimal

import pytest
from builders import MNQ

from broker_api.errors import InvalidPriceError
from broker_api.order import Side
from broker_api.order_templates import (
    BreakoutTemplate,
    OrderTemplate,
    RiskRewardTemplate,
    ScalpingTemplate,
    breakout_stop,
    get_template,
)


@pytest.mark.parametrize(
    ("side", "entry", "support", "resistance", "expected"),
    [
        (Side.BUY, "21075", "21000", "21150", "21000"),
        (Side.BUY, "21160", "21000", "21150", "21075"),
        (Side.BUY, "21160", "21000", "21150.30", "21075.25"),
        (Side.SELL, "20990", "21000", "21150", "21075"),
        (Side.SELL, "21075", "21000", "21150", "21150"),
    ],
)
def test_breakout_is_protected_by_the_middle_else_by_the_level(
    side, entry, support, resistance, expected
):
    stop = breakout_stop(MNQ, side, Decimal(entry), Decimal(support), Decimal(resistance))
    assert stop == Decimal(expected)


def test_breakout_below_its_own_support_has_no_protection():
    with pytest.raises(InvalidPriceError, match=r"support_level 21000\.00 does not protect a buy"):
        breakout_stop(MNQ, Side.BUY, Decimal(20_999), Decimal(21_000), Decimal(21_150))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("scalping", ScalpingTemplate),
        ("Breakout", BreakoutTemplate),
        ("risk-reward", RiskRewardTemplate),
    ],
)
def test_templates_are_found_by_name(name, kind):
    assert type(get_template(name)) is kind


def test_unknown_template_suggests_the_nearest():
    with pytest.raises(ValueError, match="'scalpin' does not exist; did you mean \"scalping\""):
        get_template("scalpin")


def test_template_without_create_order_cannot_be_made():
    class Unfinished(OrderTemplate):
        pass

    with pytest.raises(TypeError, match="create_order"):
        Unfinished()


@pytest.mark.parametrize("ratio", [0, -1, "x", float("nan")])
def test_ratio_is_a_positive_number(ratio):
    with pytest.raises(InvalidPriceError, match="ratio"):
        RiskRewardTemplate(ratio)
