"""The life of brackets: how long the entry waited, where the exits lay, when all was over."""

from __future__ import annotations

from broker_api.event import OrderActivated, OrderReplaced, Reason
from broker_api.order import NO_PRICE, Liquidity, OrderStatus, Role, Side
from reports.brackets import BracketLife, bracket_lives, bracket_row
from reports.lives import order_lives
from tests.reports.big_run import OFFSET_TICKS, big_run
from tests.reports.example_run import Story, at, ticks
from tests.reports.test_compare import run_of

ENTRY = ticks(21_000.25)


def only(tell) -> BracketLife:
    run = run_of(tell)
    (bracket,) = bracket_lives(order_lives(run), run.end_ns)
    return bracket


def activate(story: Story, seconds: float, order_id: int, limit: int, stop: int) -> None:
    state = story._state(order_id, OrderStatus.OPEN, 1)
    story.event(OrderActivated, seconds, **state, price_ticks=limit, stop_ticks=stop, lots=1)


def replace_stop(story: Story, seconds: float, order_id: int, stop: int) -> None:
    state = story._state(order_id, OrderStatus.OPEN, 1)
    story.event(
        OrderReplaced,
        seconds,
        **state,
        reason=Reason.NONE,
        price_ticks=NO_PRICE,
        stop_ticks=stop,
        lots=1,
    )


def test_levels_are_steps_from_the_entrys_fill_to_the_end() -> None:
    def tell(story: Story) -> None:
        story.bracket(5, (1, 2, 3), Side.BUY, 1, ENTRY)
        story.fill(12, 1, Side.BUY, ENTRY, 1, Liquidity.MAKER)
        activate(story, 12, 2, NO_PRICE, ENTRY - 80)
        activate(story, 12, 3, ENTRY + 80, NO_PRICE)
        replace_stop(story, 20, 2, ENTRY - 40)
        replace_stop(story, 20, 2, ENTRY - 20)  # at the same time: only the last is seen
        replace_stop(story, 25, 2, ENTRY - 20)  # the same again: no step
        story.fill(40, 3, Side.SELL, ENTRY + 80, 1, Liquidity.MAKER)
        story.cancel(40, 2, Reason.SIBLING)

    bracket = only(tell)
    assert (bracket.waits_ns, bracket.waits_ticks) == (at(5), ENTRY)
    assert (bracket.start_ns, bracket.end_ns) == (at(12), at(40))
    assert bracket.stop == ((at(12), ENTRY - 80), (at(20), ENTRY - 20))
    assert bracket.target == ((at(12), ENTRY + 80),)
    assert (bracket.entry_cost, bracket.lots) == (ENTRY, 1)
    row = bracket_row(bracket, at(0))
    assert row == [
        5_000,
        ENTRY,
        12_000,
        40_000,
        ENTRY,
        [12_000, ENTRY - 80, 20_000, ENTRY - 20],
        [12_000, ENTRY + 80],
    ]


def test_an_entry_that_never_filled_only_waited() -> None:
    def tell(story: Story) -> None:
        story.bracket(5, (1, 2, 3), Side.BUY, 1, ENTRY)
        story.cancel(30, 1, Reason.NONE, asked=True)

    bracket = only(tell)
    assert (bracket.waits_ns, bracket.start_ns, bracket.lots) == (at(5), at(30), 0)
    assert bracket.stop == bracket.target == ()
    assert bracket_row(bracket, at(0))[4] is None


def test_what_is_still_open_lasts_to_the_end_of_the_run() -> None:
    def tell(story: Story) -> None:
        story.bracket(5, (1, 2, 3), Side.BUY, 1, ENTRY)
        story.fill(12, 1, Side.BUY, ENTRY, 1)

    assert only(tell).end_ns == at(80)


def test_lives_know_decision_arrival_and_end() -> None:
    lives = order_lives(big_run(3))
    assert [life.role for life in list(lives.values())[:3]] == [
        Role.ENTRY,
        Role.STOP_EXIT,
        Role.TARGET_EXIT,
    ]
    entry, stop, target = list(lives.values())[:3]
    assert entry.decided_ns == entry.arrived_ns == entry.live_ns == at(0)
    assert entry.fills[0].ts_ns == at(2)
    assert stop.live_ns == target.live_ns == at(2)
    assert stop.side is entry.side.opposite
    assert stop.ended_ns == target.ended_ns == at(12)
    assert {stop.status, target.status} == {OrderStatus.FILLED, OrderStatus.CANCELLED}
    sign = entry.side.sign
    assert stop.levels[-1][2] == entry.fills[0].price_ticks - sign * OFFSET_TICKS
