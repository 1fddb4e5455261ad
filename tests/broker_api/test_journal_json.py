"""Commands and events as JSON come back as they were."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from drawn_commands import commands
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_api.codes import EventKind, Reason
from broker_api.event import EVENT_TYPES, Event, EventRow, decode, encode
from broker_api.journal import RecordedCommand, RecordedError
from broker_api.journal_chain import RecordKind
from broker_api.journal_json import event_body, event_of_body, recorded_body, recorded_of_body
from broker_api.order import Liquidity, OrderStatus, Side

numbers = st.integers(-(2**63), 2**63 - 1)
VALUES = {
    "status": st.sampled_from(OrderStatus),
    "side": st.sampled_from(Side),
    "liquidity": st.sampled_from(Liquidity),
    "reason": st.sampled_from(Reason),
    "ambiguous": st.booleans(),
}


def through_json(body):
    return json.loads(json.dumps(body))


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda each: each.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_events_of_every_kind_come_back(event_type: type[Event], data) -> None:
    names = [each.name for each in fields(event_type)]
    event = event_type(**{name: data.draw(VALUES.get(name, numbers)) for name in names})
    row = event_of_body(through_json(event_body(encode(event))))
    assert row == encode(event)
    assert decode(row) == event


@given(st.sampled_from(EventKind), st.tuples(*[numbers] * (len(EventRow._fields) - 1)))
def test_rows_with_more_than_their_kind_uses_come_back(kind: EventKind, values) -> None:
    row = EventRow(*values[:2], int(kind), *values[2:])
    assert event_of_body(through_json(event_body(row))) == row


def test_events_of_an_unknown_kind_are_refused() -> None:
    row = EventRow(*[0] * len(EventRow._fields))
    with pytest.raises(ValueError, match="event kind 0"):
        event_body(row)
    with pytest.raises(ValueError, match='did you mean "filled"'):
        event_of_body({"kind": "filed"})


@given(commands, st.integers(0, 2**62), st.integers(0, 2**40))
def test_commands_come_back(command, ts_ns: int, before: int) -> None:
    recorded = RecordedCommand(ts_ns, before, command)
    kind, body = recorded_body(recorded)
    assert kind is RecordKind.COMMAND
    assert recorded_of_body(ts_ns, through_json(body)) == recorded


def test_errors_of_handlers_come_back() -> None:
    recorded = RecordedError(5, 2, 'ValueError: "quoted" \ud800 ü')
    kind, body = recorded_body(recorded)
    assert kind is RecordKind.ERROR
    assert recorded_of_body(5, through_json(body)) == recorded
