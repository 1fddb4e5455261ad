"""Margin by notional: tiers, leverage, and the mark that values them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from broker_api.errors import ConfigurationError
from broker_api.event import Liquidation
from broker_api.instrument import MarginTier
from tests.sim.market import Market, an_instrument

TIERS = (
    MarginTier(Decimal(0), 100_000, 50_000),
    MarginTier(Decimal(1000), 200_000, 100_000),
    MarginTier(Decimal(5000), 500_000, 250_000),
)
TIERED = an_instrument(margin_tiers=TIERS)
QUOTE = "0 100x99 101x100"


def tiered(*rows: str, **more: object) -> Market:
    """A market of the tiered instrument with margin."""
    return Market(QUOTE, *rows, instruments=[TIERED], margin=True, **more)


@pytest.mark.parametrize(
    ("lots", "margin"),
    [
        (5, 50),
        (10, 100),  # the first tier is full
        (15, 100 + 100),
        (60, 100 + 800 + 500),
    ],
)
def test_each_part_of_the_notional_pays_the_initial_rate_of_its_tier(
    lots: int, margin: int
) -> None:
    market = tiered()
    market.place(f"buy {lots} limit 100 post-only")
    assert market.exchange.used_margin_nanos() == margin * 10**9


def test_margin_for_more_is_that_of_the_tier_it_reaches() -> None:
    market = tiered(cash=150)
    market.place("buy 10 limit 100 post-only")
    need = "insufficient_margin 60000000000 50000000000"
    assert market.place("buy 3 limit 100 post-only") == [f"#2 rejected {need}"]
    assert "accepted" in market.place("buy 2 limit 100 post-only")[0]


def test_a_long_position_is_liquidated_by_the_maintenance_of_its_tiers() -> None:
    # 20 at 101. At a bid of 90: 349 - 220 = 129, and 5 % of 1000 + 10 % of 800 = 130.
    market = tiered("10 100x91 93x100", "20 100x90 93x100", cash=349)
    market.place("buy 20 market")
    assert market.run_to(10) == []
    assert market.run_to(20)[0] == "liquidation 129 < 130"


def test_a_short_position_pays_more_as_the_price_rises() -> None:
    # 20 at 99. At an ask of 110: 389 - 220 = 169, and 5 % of 1000 + 10 % of 1200 = 170.
    market = tiered("10 100x108 109x100", "20 100x108 110x100", cash=389)
    market.place("sell 20 market")
    assert market.run_to(10) == []
    assert market.run_to(20)[0] == "liquidation 169 < 170"


def test_a_position_is_margined_at_the_mark_where_there_is_one() -> None:
    market = tiered("10 mark 100.5", "20 100x150 151x100")
    market.place("buy 4 market")
    assert market.exchange.used_margin_nanos() == 4 * 99 * 10**8
    market.run_to(20)
    assert market.exchange.used_margin_nanos() == 4 * 1005 * 10**7


def test_a_working_order_is_margined_at_its_own_price_and_not_at_the_mark() -> None:
    market = tiered("10 mark 200")
    market.run_to(10)
    market.place("buy 5 limit 90")
    assert market.exchange.used_margin_nanos() == 45 * 10**9


def test_liquidation_follows_the_mark_and_not_the_touch() -> None:
    # 20 at 101 with 341: at a mark of 90.5 equity and maintenance are both 131.
    rows = ("5 mark 100", "7 100x50 51x100", "10 mark 90.5", "20 mark 90.25")
    market = tiered(*rows, cash=341)
    market.place("buy 20 market")
    assert market.run_to(10) == []
    assert market.run_to(20)[0] == "liquidation 126 < 130.5"


def test_before_the_first_mark_the_touch_counts() -> None:
    market = tiered("10 100x50 51x100", "20 mark 100", cash=341)
    market.place("buy 20 market")
    assert market.run_to(10)[0] == "liquidation -679 < 50"


@pytest.mark.parametrize("lots", [19, 20, 21, 99, 100, 101, 140])
def test_tiers_give_what_a_rate_less_a_deduction_gives(lots: int) -> None:
    # The other way of writing them: notional x rate of its tier - deduction of that tier.
    market = tiered("10 100x50 51x100", cash=lots * 50)
    market.place(f"buy {lots} market")
    market.run_to(10)
    (event,) = (event for event in market.events if isinstance(event, Liquidation))
    notional = lots * 50
    tiers = ((0, 50_000, 0), (1000, 100_000, 50), (5000, 250_000, 50 + 750))
    _, rate, deduction = max(tier for tier in tiers if tier[0] <= notional)
    assert event.limit == notional * rate * 1000 - deduction * 10**9


def test_leverage_raises_the_initial_rate_of_the_tiers_below_it() -> None:
    market = tiered(account={"leverage": {"x": 4}})
    market.place("buy 60 limit 100 post-only")
    assert market.exchange.used_margin_nanos() == (5000 // 4 + 500) * 10**9


def test_the_rate_of_a_leverage_is_rounded_up() -> None:
    market = tiered(account={"leverage": {"X": 3}})
    market.place("buy 10 limit 100 post-only")
    assert market.exchange.used_margin_nanos() == 1000 * 333_334 * 1000


def test_without_leverage_the_instruments_own_rate_is_the_least() -> None:
    careful = an_instrument(margin_tiers=TIERS, initial_margin_ppm=150_000)
    market = Market(QUOTE, instruments=[careful], margin=True)
    market.place("buy 15 limit 100 post-only")
    assert market.exchange.used_margin_nanos() == (150 + 100) * 10**9


def test_more_leverage_than_the_first_tier_allows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="leverage of X = 11 is above the 10 of X"):
        tiered(account={"leverage": {"X": 11}})
