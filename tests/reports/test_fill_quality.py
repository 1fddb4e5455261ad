"""Slippage, waits and costs of fills, worked out by hand on the example tape."""

from __future__ import annotations

from pathlib import Path

from broker_api.instrument import NANOS
from broker_api.order import Liquidity, OrderType, Side
from reports.fill_quality import RESTING, STOPS, TAKING, FillQuality, fill_qualities, grouped
from reports.html import report_html
from reports.lives import order_lives
from reports.run import RunRecord
from tests.reports.example_run import Story, at, ticks
from tests.reports.test_compare import rest, run_of, take


def found(run: RunRecord) -> list[FillQuality]:
    fills, notes = fill_qualities(run, order_lives(run))
    assert notes == ()
    return list(fills)


def test_an_order_that_takes_is_measured_at_its_decision_and_on_arrival() -> None:
    # Decided at 15 s (ask 21000.25), arrived at 21 s (ask 21010.25), filled a tick beyond.
    run = run_of(lambda story: take(story, 1, Side.BUY, 15, 21, 21_010.5))
    (fill,) = found(run)
    assert (fill.kind, fill.slippage_ticks, fill.arrival_ticks) == (TAKING, 41, 1)
    assert fill.wait_ns == 6 * NANOS
    assert fill.queue_ns is None


def test_a_sell_below_the_bid_is_a_cost() -> None:
    run = run_of(lambda story: take(story, 1, Side.SELL, 15, 15.001, 20_999.5))
    (fill,) = found(run)
    assert (fill.slippage_ticks, fill.arrival_ticks) == (2, 2)


def test_a_resting_order_earns_the_spread_and_waits_at_the_touch() -> None:
    def tell(story: Story) -> None:
        rest(story, 1, Side.BUY, 21, 21_000.0)  # the bid is 21010 until 30 s, then 20990
        story.fill(32, 1, Side.BUY, ticks(21_000.0), 1, Liquidity.MAKER)

    (fill,) = found(run_of(tell))
    assert fill.kind == RESTING
    assert fill.slippage_ticks == ticks(21_000.0) - ticks(20_990.25)
    assert fill.wait_ns == 11 * NANOS
    assert fill.queue_ns == 2 * NANOS

    def at_once(story: Story) -> None:
        rest(story, 1, Side.BUY, 12, 21_000.0)
        story.fill(18, 1, Side.BUY, ticks(21_000.0), 1, Liquidity.MAKER)

    (fill,) = found(run_of(at_once))
    assert (fill.slippage_ticks, fill.queue_ns) == (-1, 6 * NANOS)

    def by_the_row(story: Story) -> None:
        rest(story, 1, Side.BUY, 21, 21_000.0)
        story.fill(30, 1, Side.BUY, ticks(21_000.0), 1, Liquidity.MAKER)  # as the bid falls

    (fill,) = found(run_of(by_the_row))
    assert fill.slippage_ticks == ticks(21_000.0) - ticks(21_010.25)


def test_a_stop_is_measured_against_its_trigger() -> None:
    def tell(story: Story) -> None:
        story.order(5, 1, Side.SELL, 1, OrderType.STOP, ticks(20_995.0))
        story.fill(30, 1, Side.SELL, ticks(20_990.0), 1)

    (fill,) = found(run_of(tell))
    assert (fill.kind, fill.slippage_ticks) == (STOPS, 20)


def test_groups_weigh_by_lots_and_count_money() -> None:
    def tell(story: Story) -> None:
        take(story, 1, Side.BUY, 15, 15.001, 21_000.5)  # one tick, one lot
        story.order(16, 2, Side.BUY, 3)
        story.fill(16, 2, Side.BUY, ticks(21_000.25), 3)

    run = run_of(tell)
    (group,) = grouped(run, found(run))
    assert (group.fills, group.lots, group.slippage_ticks) == (2, 4, 0.25)
    assert group.slippage_nanos == NANOS // 2


def test_without_a_tape_there_is_no_slippage_and_a_note(tmp_path: Path) -> None:
    run = run_of(lambda story: take(story, 1, Side.BUY, 15, 21, 21_010.5))
    bare = RunRecord(run.events, run.orders, run.commands, run.instruments, (None,), run.config)
    fills, notes = fill_qualities(bare, order_lives(bare))
    assert fills[0].slippage_ticks is None
    assert fills[0].wait_ns == at(21) - at(15)
    assert "MNQ: without its tape" in notes[0]
    assert "without its tape" in report_html(bare)
