"""Price bands: limits too far beyond the last price are refused; those on the safe side are not."""

from __future__ import annotations

import pytest

from tests.sim.market import Market, an_instrument

BANDED = an_instrument(price_band_ticks=10)
QUOTE = "0 9x99 101x9"
PRINT = "1 sell 1@100"


def banded(*rows: str, **more: object) -> Market:
    """A market with a band of 10 ticks, its first print at 100."""
    given = {"instruments": [BANDED]} | more
    market = Market(QUOTE, *(rows or [PRINT]), **given)
    market.run_to(1)
    return market


@pytest.mark.parametrize(
    ("order", "refusal"),
    [
        ("buy 1 limit 110", None),
        ("buy 1 limit 111", "111 110"),
        ("buy 1 limit 1", None),  # far, but not on the side that would pay too much
        ("sell 1 limit 90", None),
        ("sell 1 limit 89", "89 90"),
        ("sell 1 limit 1000", None),
        ("buy 1 stop 105 limit 111", "111 110"),
        ("buy 1 stop 500", None),  # a stop without a limit has no price to judge
        ("sell 1 market", None),
    ],
)
def test_a_limit_beyond_the_band_is_refused_with_the_last_price_that_is_not(
    order: str, refusal: str | None
) -> None:
    answer = banded().place(order)[0]
    if refusal is None:
        assert answer.startswith("#1 accepted")
    else:
        assert answer == f"#1 rejected price_outside_band {refusal}"


def test_a_band_in_parts_per_million_is_rounded_down() -> None:
    spec = an_instrument(price_band_ppm=29_999)  # 2.9999 ticks of 100
    market = banded(instruments=[spec])
    assert market.place("buy 1 limit 103") == ["#1 rejected price_outside_band 103 102"]
    assert "accepted" in market.place("buy 1 limit 102")[0]


def test_ticks_go_before_parts_per_million() -> None:
    spec = an_instrument(price_band_ppm=10_000, price_band_ticks=10)
    assert "accepted" in banded(instruments=[spec]).place("buy 1 limit 110")[0]


def test_the_band_follows_the_prints() -> None:
    market = banded(PRINT, "10 buy 1@101", "20 9x150 151x9")
    market.run_to(20)
    assert market.place("sell 1 limit 90") == ["#1 rejected price_outside_band 90 91"]


def test_before_the_first_print_the_mark_counts_rounded_down() -> None:
    market = banded("1 mark 100.9", "10 buy 1@101")
    assert market.place("buy 1 limit 111") == ["#1 rejected price_outside_band 111 110"]
    market.run_to(10)
    assert "accepted" in market.place("buy 1 limit 111")[0]


def test_without_print_and_mark_nothing_is_outside() -> None:
    assert "accepted" in banded("1 9x98 101x9").place("buy 1 limit 999")[0]


def test_after_a_reopening_the_prints_before_it_count_no_more() -> None:
    market = banded(PRINT, "2 halt", "3 resume", "4 9x99 101x9")
    market.run_to(4)
    assert "accepted" in market.place("buy 1 limit 999")[0]


def test_below_zero_the_band_is_as_wide_as_above() -> None:
    spec = an_instrument(price_band_ppm=100_000, allow_negative_price=True)
    market = Market("0 9x-41 -39x9", "1 sell 1@-40", instruments=[spec])
    market.run_to(1)
    assert market.place("buy 1 limit -35") == ["#1 rejected price_outside_band -35 -36"]
    assert market.place("sell 1 limit -45") == ["#2 rejected price_outside_band -45 -44"]
    assert "accepted" in market.place("sell 1 limit -44")[0]


def test_not_positive_goes_before_and_the_stops_side_behind() -> None:
    market = banded()
    assert market.place("sell 1 limit 0")[0] == "#1 rejected price_not_positive 0 1"
    refusal = market.place("buy 1 stop 95 limit 111")[0]
    assert refusal == "#2 rejected price_outside_band 111 110"


def test_a_targets_price_is_judged_on_its_own_side() -> None:
    market = banded()
    # The short's target buys at 95; its entry sells at 150, which no band minds.
    assert "accepted" in market.bracket("sell 1 limit 150", target="95")[0]
    refused = market.bracket("sell 1 limit 150", target="111")
    assert refused == [f"#{order} rejected price_outside_band 111 110" for order in (3, 4)]
    # A stop, its limit and an offset are not.
    assert "accepted" in market.bracket("buy 1 limit 99", stop="50", target="+99")[0]
    assert "accepted" in market.bracket("buy 1 limit 99", stop="80 limit 5")[0]


def test_a_new_limit_is_judged_and_the_old_one_is_not_judged_again() -> None:
    market = banded(PRINT, "10 buy 1@80")
    market.place("buy 3 limit 95")
    assert market.replace(1, limit=111) == ["#1 change refused price_outside_band 111 110"]
    market.run_to(10)
    assert market.replace(1, limit=94) == ["#1 change refused price_outside_band 94 90"]
    assert market.replace(1, size=2) == ["#1 replaced 2 limit 95"]
    assert market.replace(1, limit=90) == ["#1 replaced 2 limit 90"]


def test_a_new_limit_of_an_exit_is_judged_also_while_it_is_held() -> None:
    market = banded()
    market.bracket("buy 1 limit 98", target="150")
    assert market.replace(2, limit=89) == ["#2 change refused price_outside_band 89 90"]
    assert market.replace(2, limit=120)[0].startswith("#2 replaced 1 limit 120")
