"""Two runs: which order is which, and what the difference is of, to the last nano."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from broker_api.config import SessionDefaults, SimulationConfig
from broker_api.instrument import NANOS
from broker_api.order import BracketRequest, ExitRequest, Liquidity, OrderType, Side
from reports.compare import CauseOfDifference, Comparison, ComparisonError, compare
from reports.compare_page import print_comparison
from reports.lives import order_lives
from reports.run import RunRecord
from scenarios.recording import record_of
from scenarios.runner import Script, play
from tests.reports.example_run import Story, at, configuration, mnq, tape, ticks

LATENCY, QUEUE, PRICE = (
    CauseOfDifference.LATENCY,
    CauseOfDifference.QUEUE,
    CauseOfDifference.PRICE,
)
FEES, FUNDING, DECISIONS = (
    CauseOfDifference.FEES,
    CauseOfDifference.FUNDING,
    CauseOfDifference.DECISIONS,
)


def run_of(tell: Callable[[Story], None], **config: Any) -> RunRecord:
    story = Story([mnq()])
    tell(story)
    journal = story.journal
    settings = configuration(story.specs, **config)
    return RunRecord(
        journal.events(),
        journal.order_count,
        journal.commands,
        tuple(story.specs),
        (tape(),),
        settings,
    )


def take(
    story: Story,
    order_id: int,
    side: Side,
    decided: float,
    arrived: float,
    price: float,
    **more: Any,
) -> None:
    """A market order of one lot that fills on its arrival."""
    request = story.request(order_id, side, 1, OrderType.MARKET, None, 0)
    story.journal.record_command(at(decided), replace(request, tag=more.pop("tag", "")))
    story.accept(arrived, request)
    story.fill(arrived, order_id, side, ticks(price), 1, **more)


def rest(story: Story, order_id: int, side: Side, at_seconds: float, price: float) -> None:
    """A limit order of one lot that waits."""
    request = story.request(order_id, side, 1, OrderType.LIMIT, ticks(price), 0)
    story.journal.record_command(at(at_seconds), request)
    story.accept(at_seconds, request)


def round_trip(story: Story) -> None:
    take(story, 1, Side.BUY, 15, 15.001, 21_000.25)
    take(story, 2, Side.SELL, 45, 45.001, 21_020.0)


def amounts(comparison: Comparison) -> dict[CauseOfDifference, float]:
    """The causes that have an amount, in the currency; none of it is what was left over."""
    assert sum(comparison.causes.values()) == comparison.difference_nanos
    assert comparison.valuation_nanos == 0
    return {cause: nanos / NANOS for cause, nanos in comparison.causes.items() if nanos}


def test_the_same_run_has_no_difference() -> None:
    comparison = compare(run_of(round_trip), run_of(round_trip))
    assert amounts(comparison) == {}
    assert [order.pair.by for order in comparison.orders] == ["sequence", "sequence"]


def test_a_touch_that_moved_on_the_way_is_latency() -> None:
    def slow(story: Story) -> None:
        take(story, 1, Side.BUY, 15, 21, 21_010.25)  # decided at 21000.25, arrived at 21010.25
        take(story, 2, Side.SELL, 45, 45.001, 21_020.0)

    assert amounts(compare(run_of(round_trip), run_of(slow))) == {LATENCY: -20.0}


def test_a_worse_price_than_the_touch_on_arrival_is_price() -> None:
    def deep(story: Story) -> None:
        take(story, 1, Side.BUY, 15, 15.001, 21_000.75)
        take(story, 2, Side.SELL, 45, 45.001, 21_020.0)

    assert amounts(compare(run_of(round_trip), run_of(deep))) == {PRICE: -1.0}


def test_an_order_sent_at_another_time_is_a_decision() -> None:
    def late(story: Story) -> None:
        take(story, 1, Side.BUY, 19.5, 19.501, 21_000.25)
        take(story, 2, Side.SELL, 49.9, 49.901, 21_020.0)

    def later(story: Story) -> None:
        take(story, 1, Side.BUY, 20.5, 20.501, 21_010.25)
        take(story, 2, Side.SELL, 49.9, 49.901, 21_020.0)

    assert amounts(compare(run_of(late), run_of(later))) == {DECISIONS: -20.0}


def test_other_fees_are_fees() -> None:
    def dear(story: Story) -> None:
        take(story, 1, Side.BUY, 15, 15.001, 21_000.25, fee=NANOS)
        take(story, 2, Side.SELL, 45, 45.001, 21_020.0, fee=NANOS)

    assert amounts(compare(run_of(round_trip), run_of(dear))) == {FEES: pytest.approx(-0.76)}


def test_funding_is_funding() -> None:
    def paid(story: Story) -> None:
        round_trip(story)
        story.pay_funding(50, 3 * NANOS)

    assert amounts(compare(run_of(round_trip), run_of(paid))) == {FUNDING: -3.0}


def test_what_a_resting_order_missed_and_what_followed_is_queue() -> None:
    def served(story: Story) -> None:
        rest(story, 1, Side.BUY, 5, 21_000.0)
        story.fill(12, 1, Side.BUY, ticks(21_000.0), 1, Liquidity.MAKER)
        take(story, 2, Side.SELL, 45, 45.001, 21_020.0)  # only because there was a position

    def missed(story: Story) -> None:
        rest(story, 1, Side.BUY, 5, 21_000.0)

    comparison = compare(run_of(served), run_of(missed))
    assert amounts(comparison) == {QUEUE: -40.0, FEES: pytest.approx(1.24)}
    assert [order.pair.by for order in comparison.orders] == ["sequence", ""]
    entry, close = comparison.orders
    assert entry.main_cause is QUEUE
    assert entry.fills[0].second is None
    assert set(close.effects) == {FEES}


def test_a_later_fill_of_a_resting_order_costs_nothing_by_itself() -> None:
    def served(story: Story, when: float) -> None:
        rest(story, 1, Side.BUY, 5, 21_000.0)
        story.fill(when, 1, Side.BUY, ticks(21_000.0), 1, Liquidity.MAKER)
        take(story, 2, Side.SELL, 45, 45.001, 21_020.0)

    runs = [run_of(lambda story, when=when: served(story, when)) for when in (12, 18)]
    assert amounts(compare(*runs)) == {}


def test_an_order_that_only_one_run_sent_is_a_decision_with_all_that_followed() -> None:
    def more(story: Story) -> None:
        round_trip(story)
        take(story, 3, Side.BUY, 55, 55.001, 21_020.25)
        take(story, 4, Side.SELL, 65, 65.001, 21_030.0)

    comparison = compare(run_of(round_trip), run_of(more))
    assert amounts(comparison) == {DECISIONS: 19.5, FEES: pytest.approx(-1.24)}
    assert len(comparison.only(1)) == 2
    assert comparison.only(0) == ()


def test_what_is_left_open_is_valued_at_the_end() -> None:
    def holds(story: Story) -> None:
        round_trip(story)
        take(story, 3, Side.BUY, 55, 55.001, 21_020.25)  # the mid at the end is 21005.125

    comparison = compare(run_of(round_trip), run_of(holds))
    assert amounts(comparison) == {DECISIONS: -30.25, FEES: pytest.approx(-0.62)}


def test_an_exit_that_follows_its_entry_counts_to_the_cause_of_the_entry() -> None:
    def bracket(story: Story, arrived: float, entry: float) -> None:
        order = story.request(1, Side.BUY, 1, OrderType.MARKET, None, 0)
        exits = [ExitRequest(leg, str(leg), offset_ticks=40) for leg in (2, 3)]
        story.journal.record_command(at(15), BracketRequest(order, *exits))
        story.accept(arrived, order)
        story.fill(arrived, 1, Side.BUY, ticks(entry), 1)
        story._sizes[3] = 1
        story.fill(45, 3, Side.SELL, ticks(entry + 10), 1, Liquidity.MAKER)

    runs = [
        run_of(lambda story, given=given: bracket(story, *given))
        for given in ((15.001, 21_000.25), (21.0, 21_010.25))
    ]
    comparison = compare(*runs)
    assert amounts(comparison) == {}
    assert [order.effects for order in comparison.orders if order.fills] == [
        {LATENCY: -20 * NANOS},
        {LATENCY: 20 * NANOS},
    ]


def test_orders_are_known_by_their_names_whatever_their_place() -> None:
    def named(order_ids: tuple[int, int]) -> Callable[[Story], None]:
        def tell(story: Story) -> None:
            for order_id, name, second in zip(order_ids, ("in", "out"), (15, 45), strict=True):
                side = Side.BUY if name == "in" else Side.SELL
                request = story.request(order_id, side, 1, OrderType.MARKET, None, 0)
                story.journal.record_command(
                    at(second), replace(request, client_order_id=f"my-{name}")
                )
                story.accept(second, request)
                price = 21_000.25 if name == "in" else 21_020.0
                story.fill(second, order_id, side, ticks(price), 1)

        return tell

    comparison = compare(run_of(named((1, 2))), run_of(named((7, 9))))
    assert [order.pair.by for order in comparison.orders] == ["client order id"] * 2
    assert amounts(comparison) == {}


def test_orders_of_a_tag_are_paired_in_their_sequence() -> None:
    def tell(story: Story, shift: float) -> None:
        for number in (1, 2, 3):
            when = 10 * number + shift * number
            take(story, number, Side.BUY, when, when, 21_000.25, tag="in")

    one, other = (run_of(lambda story, s=s: tell(story, s)) for s in (0.0, 9.0))
    assert {order.pair.by for order in compare(one, other).orders} == {"tag"}


def test_runs_on_other_instruments_or_currencies_are_refused() -> None:
    one = run_of(round_trip)
    other = replace(one, instruments=(replace(mnq(), symbol="MES"),))
    with pytest.raises(ComparisonError, match="MNQ and MES"):
        compare(one, other)
    money = run_of(round_trip, account={"currency": "EUR", "cash": 50_000})
    with pytest.raises(ComparisonError, match="USD and EUR"):
        compare(one, money)


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[float, Side, int, float, float, Liquidity, int]]:
    """Orders of one run: when, side, lots, price, delay, liquidity, how many lots fill."""
    orders = []
    for number in range(draw(st.integers(0, 6))):
        lots = draw(st.integers(1, 3))
        orders.append(
            (
                2.0 + 12 * number + draw(st.floats(0, 3)),
                draw(st.sampled_from(Side)),
                lots,
                21_000 + 0.25 * draw(st.integers(-80, 80)),
                draw(st.sampled_from([0.0, 0.001, 5.0])),
                draw(st.sampled_from(Liquidity)),
                draw(st.integers(0, lots)),
            )
        )
    return orders


@settings(max_examples=60, deadline=None)
@given(stories(), stories())
def test_the_causes_always_add_up(first: Any, second: Any) -> None:
    def tell(story: Story, orders: Any) -> None:
        for number, (when, side, lots, price, delay, liquidity, filled) in enumerate(orders, 1):
            is_maker = liquidity is Liquidity.MAKER
            kind = OrderType.LIMIT if is_maker else OrderType.MARKET
            limit = ticks(price) if is_maker else None
            request = story.request(number, side, lots, kind, limit, 0)
            story.journal.record_command(at(when), request)
            story.accept(when + delay, request)
            if filled:
                story.fill(when + delay, number, side, ticks(price), filled, liquidity)

    runs = [run_of(lambda story, o=orders: tell(story, o)) for orders in (first, second)]
    there, back = compare(*runs), compare(*reversed(runs))
    amounts(there)
    assert there.difference_nanos == -back.difference_nanos
    lots = [sum(fill.lots for fill in life.fills) for life in order_lives(runs[0]).values()]
    paired = [fill.lots for order in there.orders for fill in order.fills if fill.first]
    assert sum(paired) == sum(lots)


MAKER = '''
"""Quotes both sides of the touch every minute, and takes what is left open off every ten."""
from papertape import TradingSuite

async def quote(suite: TradingSuite) -> None:
    (market,) = suite.values()
    place = market.instrument_info.id
    minute = 0
    async for bar in market.data.stream_bars("1min"):
        minute += 1
        await market.orders.cancel_all_orders()
        if minute % 10 == 0:
            await market.orders.close_position(place)
            if minute == 120:
                return
            continue
        for side, price in ((0, bar.close - 0.5), (1, bar.close + 0.5)):
            await market.orders.place_limit_order(place, side=side, size=2, limit_price=price)
'''


def test_simulated_runs_are_explained_to_the_last_nano(tmp_path: Path) -> None:
    script = tmp_path / "maker.py"
    script.write_text(MAKER, encoding="utf-8")

    def played(**simulation: Any) -> RunRecord:
        settings = SimulationConfig(**simulation)
        defaults = SessionDefaults(instruments=("MNQ",), simulation=settings)
        outcome = play(Script(script), defaults)
        return record_of(Script(script), outcome, outcome.sessions[0])

    plain = played()
    for changed, expected in (
        ({"queue": "back"}, {QUEUE}),
        ({"entry_latency_ms": 500}, {LATENCY, QUEUE}),
        ({"fees": False}, {FEES}),
        ({"beyond_top": "infinite"}, set()),
    ):
        comparison = compare(plain, played(**changed))
        found = amounts(comparison)
        assert expected <= set(found), changed
        assert comparison.difference_nanos != 0 or not expected
        filled = [order for order in comparison.paired if order.fills]
        assert len(filled) > 50


def test_the_text_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    def slow(story: Story) -> None:
        take(story, 1, Side.BUY, 15, 21, 21_010.25)
        take(story, 2, Side.SELL, 45, 45.001, 21_020.0)

    print_comparison(Console(width=120), compare(run_of(round_trip), run_of(slow)), ("A", "B"))
    text = capsys.readouterr().out
    assert "+38.26" in text
    assert "+18.26" in text
    assert text.count("\N{MINUS SIGN}20.00") == 2
    assert "2 orders are in both runs; 0 only in A, 0 only in B." in text
