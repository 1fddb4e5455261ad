"""Incidents put into a tape: what changes, what stays, and that the tape is still a good one."""

from dataclasses import replace

import numpy as np
import pytest

from broker_api.catalog import find, load_catalog
from data.market_storm import Incident, IncidentKind, stormy
from data.schema import EMPTY_ASK, EMPTY_BID, RowKind
from data.tape import Tape
from tests.sim.random_tape import make_tape

MNQ = find(load_catalog(), "MNQ")
NS = 1_000_000_000
TAPE = make_tape("MNQ", 84_000, 4_000, gaps_ms=(0, 10, 90))
AT = TAPE.start_ns + 20 * NS


def happened(kind: IncidentKind, lasts: int = 10, size: int = 0, tape: Tape = TAPE) -> Tape:
    return stormy(tape, [Incident(kind, AT, lasts * NS, size)], MNQ)


def rows(tape: Tape, start_ns: int, end_ns: int) -> slice:
    return slice(*np.searchsorted(tape.columns.ts, [start_ns, end_ns]))


def assert_good(tape: Tape) -> None:
    columns = tape.columns
    two = (columns.bid_qty > 0) & (columns.ask_qty > 0)
    assert (np.diff(columns.ts) >= 0).all()
    assert (columns.bid[two] < columns.ask[two]).all()
    assert (columns.bid[columns.bid_qty > 0] > 0).all()
    assert (columns.px[columns.kind == RowKind.TRADE] > 0).all()
    assert len({len(column) for column in columns}) == 1


def test_no_incident_leaves_the_tape_as_it_is() -> None:
    assert stormy(TAPE, [], MNQ) is TAPE
    outside = Incident(IncidentKind.GAP, TAPE.end_ns + 1, 0, 5_000)
    assert stormy(TAPE, [outside], MNQ) is TAPE


@pytest.mark.parametrize("kind", list(IncidentKind))
def test_an_incident_leaves_a_good_tape_and_what_was_before_it(kind: IncidentKind) -> None:
    tape = happened(kind, size=20)
    assert_good(tape)
    before = rows(TAPE, 0, AT)
    for name, old, new in zip(TAPE.columns._fields, TAPE.columns, tape.columns, strict=True):
        assert (old[before] == new[before]).all(), name
        assert not new.flags.writeable
    assert tape.content_hash != TAPE.content_hash
    assert kind.value in tape.notes[-1]
    assert happened(kind, size=20).content_hash == tape.content_hash


def test_a_gap_moves_every_price_from_there_on() -> None:
    tape = happened(IncidentKind.GAP, size=1_000)
    after = rows(TAPE, AT, TAPE.end_ns + 1)
    moved = tape.columns.bid[after] - TAPE.columns.bid[after]
    assert len(set(moved.tolist())) == 1
    assert moved[0] in (83, 84, 85)
    trades = TAPE.columns.kind[after] == RowKind.TRADE
    assert (tape.columns.px[after][trades] - TAPE.columns.px[after][trades] == moved[0]).all()


def test_a_spike_is_back_at_its_end() -> None:
    tape = happened(IncidentKind.SPIKE, size=-1_000)
    inside, after = rows(TAPE, AT, AT + 10 * NS), rows(TAPE, AT + 11 * NS, TAPE.end_ns)
    assert (tape.columns.bid[inside] < TAPE.columns.bid[inside]).all()
    assert (tape.columns.bid[after] == TAPE.columns.bid[after]).all()


def test_no_gap_takes_a_price_to_zero() -> None:
    assert_good(happened(IncidentKind.GAP, size=-990_000))
    assert_good(happened(IncidentKind.GAP, size=-2_000_000))


def test_empty_sides_stay_empty() -> None:
    tape = happened(IncidentKind.GAP, size=1_000)
    empty = TAPE.columns.ask_qty == 0
    odd = replace(TAPE, columns=TAPE.columns._replace(ask=np.where(empty, EMPTY_ASK, 84_001)))
    assert (happened(IncidentKind.GAP, size=1_000, tape=odd).columns.ask[empty] == EMPTY_ASK).all()
    assert EMPTY_BID not in tape.columns.bid


def test_a_wide_market_shows_little_far_away() -> None:
    tape = happened(IncidentKind.WIDE, size=8)
    inside = rows(TAPE, AT, AT + 10 * NS)
    columns, old = tape.columns, TAPE.columns
    two = (old.bid_qty[inside] > 0) & (old.ask_qty[inside] > 0)
    spread = (columns.ask - columns.bid)[inside][two]
    assert (spread == 8).all()
    assert (columns.bid_qty[inside] <= np.maximum(1, old.bid_qty[inside] // 10)).all()
    assert (columns.bid[inside] < old.bid[inside])[two].all()


def test_a_halt_takes_the_place_of_its_rows() -> None:
    tape = happened(IncidentKind.HALT)
    inside = rows(tape, AT, AT + 10 * NS + 1)
    assert tape.columns.kind[inside].tolist() == [RowKind.HALT, RowKind.RESUME]
    gone = rows(TAPE, AT, AT + 10 * NS + 1)
    assert len(tape) == len(TAPE) - (gone.stop - gone.start) + 2


def test_a_silence_is_a_hole_and_a_tape_keeps_its_last_row() -> None:
    tape = happened(IncidentKind.SILENCE)
    inside = rows(tape, AT, AT + 10 * NS)
    assert inside.start == inside.stop
    for kind in (IncidentKind.SILENCE, IncidentKind.HALT):
        assert happened(kind, lasts=10**6).end_ns == TAPE.end_ns


def test_marks_move_with_the_price_and_rates_do_not() -> None:
    kind = TAPE.columns.kind.copy()
    kind[3_000], kind[3_001] = RowKind.MARK, RowKind.FUNDING
    px, qty = TAPE.columns.px.copy(), TAPE.columns.qty.copy()
    px[3_000:3_002], qty[3_000:3_002] = 21_000 * NS, 125_000
    marked = replace(TAPE, columns=TAPE.columns._replace(kind=kind, px=px, qty=qty))
    tape = happened(IncidentKind.GAP, size=1_000, tape=marked)
    moved = int(tape.columns.bid[3_500] - TAPE.columns.bid[3_500])
    assert (tape.columns.px[3_000:3_002] == 21_000 * NS + moved * NS // 4).all()
    assert (tape.columns.qty[3_000:3_002] == 125_000).all()


def test_on_bars_whole_bars_move_and_nothing_is_taken_away() -> None:
    bars = replace(TAPE, bar_interval_ns=60 * NS)
    assert stormy(bars, [Incident(IncidentKind.HALT, AT, NS, 0)], MNQ) is bars
    tape = happened(IncidentKind.GAP, size=1_000, tape=bars)
    first = int(np.flatnonzero(tape.columns.bid != bars.columns.bid)[0])
    assert first % 4 == 0
