"""Where two journals part: one change in a journal is found at its place, as what it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_api.event import EVENT_ROW, EventKind, EventRow, row_of
from broker_api.journal import RecordedCommand
from broker_api.order import CancelRequest, OrderRequest, OrderType, TimeInForce
from broker_api.order import Side as OrderSide
from scenarios.alignment import (
    DivergenceKind,
    Side,
    first_command,
    first_event,
    is_decision,
    only_on_one_side,
    part_commands,
    part_events,
)

MS = 1_000_000


def order(number: int, *, lots: int = 1, limit: int = 100) -> OrderRequest:
    return OrderRequest(
        order_id=number,
        client_order_id=str(number),
        instrument="MNQ",
        side=OrderSide.BUY,
        order_type=OrderType.LIMIT,
        size_lots=lots,
        limit_ticks=limit,
        time_in_force=TimeInForce.GTC,
    )


def event(kind: EventKind, ts_ns: int, number: int, **columns: int) -> EventRow:
    return row_of(kind, ts_ns=ts_ns, order_id=number, **columns)


def side(rows: list[EventRow], commands: list[RecordedCommand] | None = None) -> Side:
    numbered = [row._replace(seq=index) for index, row in enumerate(rows, start=1)]
    return Side(np.array([tuple(row) for row in numbered], dtype=EVENT_ROW), commands or [])


def parted(expected: list[EventRow], actual: list[EventRow]):
    mine, other = side(expected), side(actual)
    index = first_event(mine, other)
    assert index is not None
    return index, part_events(mine, other, index)


# Events of orders that nobody asked for are known by their content alone, which is distinct here.
JOURNAL = [
    event(EventKind.FILLED, number * 10 * MS, number, lots=number, price_ticks=100)
    for number in range(1, 13)
]


def test_equal_journals_do_not_part() -> None:
    assert first_event(side(JOURNAL), side(list(JOURNAL))) is None
    assert first_event(side([]), side([])) is None


@given(st.integers(0, len(JOURNAL) - 1))
def test_a_missing_event(at: int) -> None:
    index, parting = parted(JOURNAL, JOURNAL[:at] + JOURNAL[at + 1 :])
    assert (index, parting.kind) == (at, DivergenceKind.MISSING)
    assert (parting.expected, parting.actual) == (at, None)


@given(st.integers(0, len(JOURNAL)))
def test_an_extra_event(at: int) -> None:
    more = event(EventKind.FILLED, at * 10 * MS, 99, lots=99, price_ticks=100)
    index, parting = parted(JOURNAL, [*JOURNAL[:at], more, *JOURNAL[at:]])
    assert (index, parting.kind) == (at, DivergenceKind.EXTRA)
    assert (parting.expected, parting.actual) == (None, at)


@given(st.integers(0, len(JOURNAL) - 2))
def test_two_events_in_another_order(at: int) -> None:
    swapped = [*JOURNAL[:at], JOURNAL[at + 1], JOURNAL[at], *JOURNAL[at + 2 :]]
    index, parting = parted(JOURNAL, swapped)
    assert (index, parting.kind) == (at, DivergenceKind.REORDERED)
    assert only_on_one_side(side(JOURNAL), side(swapped)) == (0, 0)


@given(st.integers(0, len(JOURNAL) - 1), st.integers(1, 45))
def test_an_event_at_a_later_time_also_when_others_overtake_it(at: int, late: int) -> None:
    moved = JOURNAL[at]._replace(ts_ns=JOURNAL[at].ts_ns + late * MS)
    actual = sorted([*JOURNAL[:at], *JOURNAL[at + 1 :], moved], key=lambda row: row.ts_ns)
    index, parting = parted(JOURNAL, actual)
    assert (index, parting.kind) == (at, DivergenceKind.RETIMED)
    assert parting.expected == at
    assert parting.actual is not None
    assert actual[parting.actual] == moved
    (change,) = parting.fields
    assert (change.name, change.actual - change.expected) == ("ts_ns", late * MS)


@given(st.integers(0, len(JOURNAL) - 1))
def test_an_event_of_other_content_is_a_change_of_its_fields(at: int) -> None:
    other = JOURNAL[at]._replace(price_ticks=101, fee_nanos=5, cash_nanos=7)
    index, parting = parted(JOURNAL, [*JOURNAL[:at], other, *JOURNAL[at + 1 :]])
    assert (index, parting.kind) == (at, DivergenceKind.CHANGED)
    assert [change.name for change in parting.fields] == ["price_ticks", "fee_nanos", "cash_nanos"]


@pytest.mark.parametrize("ended", [EventKind.CANCELLED, EventKind.EXPIRED])
@given(at=st.integers(0, len(JOURNAL) - 1))
def test_an_order_that_ends_instead_of_filling(ended: EventKind, at: int) -> None:
    end = event(ended, JOURNAL[at].ts_ns, at + 1)
    other = [*JOURNAL[:at], end, *JOURNAL[at + 1 :]]
    for expected, actual in ((JOURNAL, other), (other, JOURNAL)):
        index, parting = parted(expected, actual)
        assert (index, parting.kind) == (at, DivergenceKind.CANCELLED)


@given(st.integers(0, len(JOURNAL) - 1))
def test_a_cancel_that_is_there_once_more(at: int) -> None:
    end = event(EventKind.CANCELLED, JOURNAL[at].ts_ns, 50)
    other = [*JOURNAL[:at], end, *JOURNAL[at:]]
    index, parting = parted(JOURNAL, other)
    assert (index, parting.kind, parting.actual) == (at, DivergenceKind.CANCELLED, at)
    index, parting = parted(other, JOURNAL)
    assert (index, parting.kind, parting.expected) == (at, DivergenceKind.CANCELLED, at)


def test_one_order_more_moves_the_numbers_of_all_that_follow_and_is_one_difference() -> None:
    def journal(sizes: list[int], times: list[int]) -> Side:
        commands, rows = [], []
        for number, (lots, ts) in enumerate(zip(sizes, times, strict=True), start=1):
            commands.append(RecordedCommand(ts, len(rows), order(number, lots=lots)))
            rows.append(event(EventKind.ACCEPTED, ts, number, lots=lots))
        return side(rows, commands)

    expected = journal([1, 2, 3, 4], [10, 20, 30, 40])
    actual = journal([1, 9, 2, 3, 4], [10, 15, 20, 30, 40])
    at = first_command(expected, actual)
    assert at == 1
    assert is_decision(expected, actual, first_event(expected, actual), at)
    assert part_commands(expected, actual, at).kind is DivergenceKind.EXTRA
    assert only_on_one_side(expected, actual) == (0, 1)
    assert part_commands(actual, expected, at).kind is DivergenceKind.MISSING
    assert only_on_one_side(actual, expected) == (1, 0)


def test_a_missing_one_of_many_orders_that_are_alike_is_missing_and_not_late() -> None:
    rows = [event(EventKind.ACCEPTED, ts * MS, ts, lots=1) for ts in (10, 20, 30, 40)]
    index, parting = parted(rows, rows[1:])
    assert (index, parting.kind) == (0, DivergenceKind.MISSING)


def test_commands_part_by_their_fields_time_or_kind() -> None:
    def given_at(ts: int, command: OrderRequest | CancelRequest) -> Side:
        return side([], [RecordedCommand(ts, 0, command)])

    expected = given_at(5, order(1))
    for actual, kind, fields in (
        (given_at(5, order(1, lots=2)), DivergenceKind.CHANGED, ["size_lots"]),
        (given_at(7, order(1)), DivergenceKind.RETIMED, ["ts_ns"]),
        (given_at(5, CancelRequest(1)), DivergenceKind.MISSING, []),
        (side([]), DivergenceKind.MISSING, []),
    ):
        assert first_command(expected, actual) == 0
        parting = part_commands(expected, actual, 0)
        assert parting.kind is kind
        assert [change.name for change in parting.fields] == fields


def test_a_command_decides_only_when_it_was_given_before_the_events_part() -> None:
    early = [RecordedCommand(5, 1, order(1))]
    late = [RecordedCommand(5, 3, order(1))]
    assert is_decision(side([], early), side([]), 2, 0)
    assert not is_decision(side([], late), side([]), 2, 0)
    assert not is_decision(side([], early), side([], early), 2, None)
