"""The hub protocol: what was written is read, however it is cut; what is broken is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_api.messages import ProtocolError
from broker_api.projectx.wire import signalr
from broker_api.projectx.wire.signalr import (
    SEPARATOR,
    Close,
    Completion,
    Invocation,
    Message,
    Ping,
    Splitter,
    decode_message,
    encode_message,
)

VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
NAMES = st.text(min_size=1)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(
        Invocation,
        NAMES,
        st.lists(VALUES | st.lists(VALUES) | st.dictionaries(st.text(), VALUES)).map(tuple),
        st.none() | st.text(),
    ),
    st.builds(Completion, NAMES, VALUES),
    st.builds(Completion, NAMES, st.none(), st.text()),
    st.just(Ping()),
    st.builds(Close, st.none() | st.text(), st.booleans()),
)


@given(st.lists(MESSAGES, max_size=6), st.data())
def test_messages_arrive_whole_and_in_order_however_they_are_cut(
    messages: list[Message], data: Any
) -> None:
    text = "".join(map(encode_message, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    splitter = Splitter()
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found = [decode_message(each) for piece in pieces for each in splitter.feed(piece)]
    assert found == messages


@given(MESSAGES)
def test_bytes_are_read_as_text_is(message: Message) -> None:
    (text,) = Splitter().feed(encode_message(message).encode())
    assert decode_message(text) == message


@given(st.text() | st.binary())
def test_whatever_comes_is_a_message_or_refused(junk: str | bytes) -> None:
    try:
        for text in Splitter().feed(junk):
            decode_message(text)
    except ProtocolError:
        pass


@given(
    st.dictionaries(
        st.sampled_from(["type", "target", "arguments", "invocationId", "error", "result"]),
        st.integers(-1, 9) | VALUES | st.lists(VALUES),
    )
)
def test_an_object_is_a_message_or_refused(table: dict[str, Any]) -> None:
    try:
        message = decode_message(json.dumps(table))
    except ProtocolError:
        return
    if message is not None:
        (again,) = Splitter().feed(encode_message(message))
        assert decode_message(again) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"type": "1"}',
        '{"type": true}',
        '{"type": 1}',
        '{"type": 1, "target": ""}',
        '{"type": 1, "target": "a", "arguments": {}}',
        '{"type": 1, "target": "a", "invocationId": 3}',
        '{"type": 3}',
        '{"type": 3, "invocationId": "1", "error": "x", "result": 1}',
        '{"type": 7, "error": 1}',
    ],
)
def test_broken_messages_are_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_message(text)


def test_types_that_are_not_used_are_none() -> None:
    assert decode_message('{"type": 9}') is None


def test_a_message_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    splitter = Splitter()
    piece = "x" * (signalr.MESSAGE_MAX // 2)
    for _ in range(2):
        assert list(splitter.feed(piece)) == []
    with pytest.raises(ProtocolError, match="more than"):
        list(splitter.feed("x"))
    assert list(splitter.feed("{}" + SEPARATOR)) == ["{}"]


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ('{"protocol": "json", "version": 1}', True),
        ('{"protocol": "messagepack", "version": 1}', False),
        ('{"protocol": "json", "version": 2}', False),
        ("{}", False),
        ("x", False),
    ],
)
def test_the_handshake_asks_for_json(text: str, is_good: bool) -> None:
    if is_good:
        signalr.check_handshake_request(text)
        return
    with pytest.raises(ProtocolError, match="handshake"):
        signalr.check_handshake_request(text)


def test_both_handshakes_are_what_the_other_side_takes() -> None:
    (request,) = Splitter().feed(signalr.HANDSHAKE_REQUEST)
    signalr.check_handshake_request(request)
    (answer,) = Splitter().feed(signalr.HANDSHAKE_ANSWER)
    signalr.check_handshake_answer(answer)
    with pytest.raises(ProtocolError, match="no such protocol"):
        signalr.check_handshake_answer('{"error": "no such protocol"}')
