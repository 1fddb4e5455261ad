"""The wire: recorded messages come back as they were, and the words mean what they say."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from broker_api.event import Reason
from broker_api.hyperliquid.wire import account, answers, frames, market, statuses, texts
from broker_api.hyperliquid.wire.actions import decode_action, encode_action
from broker_api.hyperliquid.wire.ids import cloid_of
from broker_api.hyperliquid.wire.numbers import (
    is_price_allowed,
    nearest_prices,
    parse_number,
    price_step,
    request_text,
    response_text,
    rounded_price,
    truncated,
    truncated_usd,
)
from broker_api.hyperliquid.wire.schema import Many, ProtocolError, decode, encode
from broker_api.hyperliquid.wire.texts import Refusal, Remedy, read, write
from broker_api.order import OrderStatus
from broker_api.refusals import ENDINGS, WORDINGS

# --- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "in_request", "in_response"),
    [
        ("1100", "1100", "1100.0"),
        ("1100.0", "1100", "1100.0"),
        ("0.20", "0.2", "0.2"),
        ("0.00001", "0.00001", "0.00001"),
        ("1E+3", "1000", "1000.0"),
        ("1E-8", "0.00000001", "0.00000001"),
        ("-0.0800700", "-0.08007", "-0.08007"),
        ("0", "0", "0.0"),
        ("0.000", "0", "0.0"),
        ("170043721737.45", "170043721737.45", "170043721737.45"),
    ],
)
def test_the_two_notations_of_a_number(value: str, in_request: str, in_response: str) -> None:
    assert request_text(Decimal(value)) == in_request
    assert response_text(Decimal(value)) == in_response


def test_a_request_has_at_most_eight_decimals() -> None:
    with pytest.raises(ValueError, match="more than 8 decimals"):
        request_text(Decimal("0.123456789"))
    assert request_text(Decimal("0.1234567800")) == "0.12345678"


@given(st.decimals(-(10**12), 10**12, places=8))
def test_numbers_survive_either_notation(value: Decimal) -> None:
    for text in (request_text(value), response_text(value)):
        assert parse_number(text) == value
        assert "E" not in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        ".5",
        "5.",
        "1e5",
        "+1",
        " 1",
        "1 ",
        "NaN",
        "inf",
        "1_000",
        "0x5",
        "--1",
        "٣",
        "1" * 49,
        "1,5",
        "1.2.3",
        "1\n",
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a plain decimal number"):
        parse_number(text)


@pytest.mark.parametrize(
    ("price", "sz_decimals", "allowed"),
    [
        ("1234.5", 1, True),
        ("1234.56", 1, False),
        ("123456", 1, True),
        ("12345.6", 1, False),
        ("0.001234", 0, True),
        ("0.0012345", 0, False),
        ("0.01234", 1, True),
        ("0.01234", 2, False),
        ("1234.50000", 1, True),
        ("0.1", 6, False),
        ("5", 6, True),
        ("9999999", 5, True),
        ("0", 0, False),
        ("-5", 0, False),
    ],
)
def test_the_rule_of_prices(price: str, sz_decimals: int, allowed: bool) -> None:
    assert is_price_allowed(Decimal(price), sz_decimals) is allowed


@given(st.decimals("0.000001", 10**7, places=6), st.integers(0, 6))
def test_the_nearest_prices_are_allowed_and_have_nothing_between_them(
    price: Decimal, sz_decimals: int
) -> None:
    below, above = nearest_prices(price, sz_decimals)
    assert below <= price <= above
    assert below == 0 or is_price_allowed(below, sz_decimals)
    assert is_price_allowed(above, sz_decimals)
    step = price_step(price, sz_decimals)
    assert above - below == step
    assert not is_price_allowed(below + step / 2, sz_decimals)
    up, down = (rounded_price(price, sz_decimals, up=up) for up in (True, False))
    if is_price_allowed(price, sz_decimals):
        assert up == down == price
    else:
        assert (down, up) == (below, above)


def test_averages_and_fees_are_cut_off() -> None:
    fee = Decimal("0.0025") * Decimal("4303.7") * Decimal("0.00045")
    assert response_text(truncated_usd(fee)) == "0.004841"
    assert truncated(Decimal("2999.4999"), 2) == Decimal("2999.49")
    assert truncated(Decimal("-1.999"), 2) == Decimal("-1.99")


# --- messages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("action", samples.ACTIONS, ids=lambda action: action["type"])
def test_actions_come_back_in_the_order_of_their_keys(action: dict[str, Any]) -> None:
    again = encode_action(decode_action(action))
    assert repr(again) == repr(action)


def test_padding_and_capitals_of_an_action_do_not_reach_its_hash() -> None:
    order = {**samples.LIMIT, "p": "1100.0", "s": "0.200", "c": samples.CLOID.upper()}
    order["c"] = "0x" + samples.CLOID[2:].upper()
    action = {"type": "order", "orders": [order], "grouping": "na"}
    again = encode_action(decode_action(action))
    assert again["orders"][0] == samples.LIMIT


@pytest.mark.parametrize("answer", samples.ANSWERS)
def test_answers_come_back(answer: dict[str, Any]) -> None:
    assert answers.encode_answer(answers.decode_answer(answer)) == answer


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (account.BasicOrder, samples.BASIC_ORDER),
        (account.FullOrder, samples.PARENT),
        (
            account.OrderStatusAnswer,
            {
                "status": "order",
                "order": {
                    "order": samples.FULL_ORDER,
                    "status": "canceled",
                    "statusTimestamp": 1,
                },
            },
        ),
        (account.OrderStatusAnswer, {"status": "unknownOid"}),
        (account.Fill, samples.FILL),
        (
            account.Fill,
            {
                **samples.FILL,
                "cloid": samples.CLOID,
                "liquidation": {
                    "liquidatedUser": samples.USER,
                    "markPx": "4300.0",
                    "method": "market",
                },
            },
        ),
        (account.ClearinghouseState, samples.STATE),
        (market.Meta, samples.META),
        (market.Book, samples.BOOK),
        (market.AssetContext, samples.CONTEXT),
        (Many[market.Candle], [samples.CANDLE]),
        (Many[market.Print], [samples.PRINT]),
        (frames.UserFillsData, samples.FRAMES[11]["data"]),
    ],
)
def test_records_come_back(kind: Any, value: Any) -> None:
    # tuples of the records are lists of the wire
    assert repr(encode(decode(kind, value), kind)).replace("(", "[").replace(")", "]") == repr(
        value
    )


def test_a_response_may_have_keys_that_are_not_known_and_a_request_may_not() -> None:
    assert decode(account.Fill, {**samples.FILL, "new": 5}) == decode(account.Fill, samples.FILL)
    with pytest.raises(ProtocolError, match=r"action\.new"):
        decode_action({**samples.ACTIONS[0], "new": 5})


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"a": True}, "orders.0.a"),
        ({"a": 1.0}, "orders.0.a"),
        ({"a": "1"}, "orders.0.a"),
        ({"a": -1}, "orders.0.a"),
        ({"b": 1}, "orders.0.b"),
        ({"p": 1100}, "orders.0.p"),
        ({"p": "1e3"}, "orders.0.p"),
        ({"p": None}, "orders.0.p"),
        ({"s": "NaN"}, "orders.0.s"),
        ({"r": "false"}, "orders.0.r"),
        ({"t": {}}, "orders.0.t"),
        ({"t": {**samples.LIMIT["t"], **samples.STOP["t"]}}, "orders.0.t"),
        ({"t": {"limit": {"tif": "gtc"}}}, "orders.0.t.limit.tif"),
        ({"t": {"trigger": {"isMarket": True, "tpsl": "sl"}}}, "orders.0.t.trigger.triggerPx"),
        ({"c": "0x1"}, "orders.0.c"),
        ({"c": 5}, "orders.0.c"),
        ({"x": 5}, "orders.0.x"),
    ],
)
def test_a_malformed_order_is_refused_with_its_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_action({"type": "order", "orders": [{**samples.LIMIT, **change}], "grouping": "na"})
    assert caught.value.place == f"action.{place}"


@pytest.mark.parametrize(
    "value", [None, [], "order", {}, {"type": 5}, {"type": "Order"}, {"type": ["order"]}]
)
def test_an_action_of_no_known_type_is_refused(value: object) -> None:
    with pytest.raises(ProtocolError, match="action"):
        decode_action(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"status": "ok"},
        {"status": "no", "response": 5},
        {"status": "err", "response": 5},
        {"status": "ok", "response": {"type": "order"}},
        {"status": "ok", "response": {"type": "order", "data": {"statuses": {}}}},
        {"status": "ok", "response": {"type": "order", "data": {"statuses": ["new word"]}}},
        {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"new": 5}]}}},
        {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"resting": {}}]}}},
    ],
)
def test_an_answer_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ProtocolError, match="body"):
        answers.decode_answer(value)


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", statuses.MEANINGS)
def test_every_status_word_has_a_meaning_that_can_be_said(word: str) -> None:
    status, reason = statuses.MEANINGS[word]
    assert reason is Reason.NONE or reason in (
        WORDINGS if status is OrderStatus.REJECTED else ENDINGS
    )
    back = statuses.word_of(status, reason)
    assert statuses.MEANINGS[back] == (status, reason)


def test_words_that_came_later_end_an_order_or_are_not_guessed() -> None:
    assert statuses.meaning_of("newThingCanceled") == (OrderStatus.CANCELLED, Reason.BY_VENUE)
    assert statuses.meaning_of("newRejected") == (
        OrderStatus.REJECTED,
        Reason.REFUSED_BY_VENUE,
    )
    assert statuses.meaning_of("resting") is None


def test_our_statuses_have_words() -> None:
    assert statuses.word_of(OrderStatus.PARTIALLY_FILLED) == "open"
    assert statuses.word_of(OrderStatus.CANCELLED, Reason.SIBLING) == "siblingFilledCanceled"
    assert statuses.word_of(OrderStatus.CANCELLED, Reason.POSITION_FLAT) == "reduceOnlyCanceled"
    assert statuses.word_of(OrderStatus.REJECTED, Reason.UNSUPPORTED) == "rejected"


SAID = {
    "Order must have minimum value of $10. asset=4": (Refusal.MINIMUM_VALUE, 4),
    "Insufficient margin to place order. asset=4": (Refusal.MARGIN, 4),
    "Reduce only order would increase position. asset=3": (Refusal.REDUCE_ONLY, 3),
    "Post only order would have immediately matched, bbo was 77479@77480. asset=0": (
        Refusal.POST_ONLY,
        0,
    ),
    "Order could not immediately match against any resting orders. asset=78": (
        Refusal.IMMEDIATE,
        78,
    ),
    "Invalid TP/SL price. asset=0": (Refusal.TRIGGER_PRICE, 0),
    "Price too far from oracle asset=4": (Refusal.ORACLE, 4),
    "Order has invalid price.": (Refusal.PRICE_FORM, None),
    "Order was never placed, already canceled, or filled. asset=173": (Refusal.NOT_THERE, 173),
    "L1 error: User or API Wallet 0xab does not exist.": (Refusal.UNKNOWN_SIGNER, None),
    "Invalid nonce: duplicate nonce 1700000000000": (Refusal.NONCE_USED, None),
    "Too many cumulative requests sent (37986 > 10436) for cumulative volume traded $437.92. "
    "Place taker orders to free up 1 request per USDC traded.": (Refusal.TOO_MANY_REQUESTS, None),
    "Something that nobody has seen": (Refusal.OTHER, None),
}


@pytest.mark.parametrize("text", SAID)
def test_texts_of_the_venue_are_known(text: str) -> None:
    found = read(text)
    assert (found.refusal, found.asset) == SAID[text]


@pytest.mark.parametrize("refusal", Refusal, ids=lambda each: each.name)
def test_what_is_written_is_read_again(refusal: Refusal) -> None:
    blanks = re.findall(r"{(\w+)}", refusal.value.text)
    values = {name: f"{count}.5" for count, name in enumerate(blanks)}
    asset = 7 if refusal.value.with_asset else None
    text = write(refusal, asset, **values)
    found = read(text)
    assert (found.refusal, found.asset) == (refusal, asset)
    assert write(found.refusal, found.asset, **found.values) == text
    assert refusal.value.status is None or refusal.value.status in statuses.MEANINGS


def test_the_values_of_a_text_are_found() -> None:
    found = read("Post only order would have immediately matched, bbo was 2999.9@3000.1. asset=1")
    assert dict(found.values) == {"bid": "2999.9", "ask": "3000.1"}
    assert found.reason is Reason.POST_ONLY_WOULD_TAKE
    assert read("Invalid nonce: nonce too low 5 < 9").remedy is Remedy.NEW_NONCE


def test_every_reason_of_a_refused_order_has_a_text_or_is_none_of_the_venues() -> None:
    of_the_session = range(Reason.POSITION_LIMIT, Reason.KILL_SWITCH + 1)
    without = [
        reason.name
        for reason in Reason
        if 0 < reason < 60 and reason not in texts.BY_REASON and reason not in of_the_session
    ]
    assert without == [
        "MARKET_CLOSED",
        "MARKET_HALTED",
        "EXPIRY_IN_THE_PAST",
        "PRICE_MISSING",
        "NO_TRIGGER_SOURCE",
        "RISK_LIMIT",
        "DUPLICATE_CLIENT_ORDER_ID",
        "UNSUPPORTED",
        "NOT_ARRIVED",
    ]


# --- frames and ids ----------------------------------------------------------------------------


def test_frames_are_decoded_by_their_channel() -> None:
    kinds = {
        frame["channel"]: type(frames.decode_frame(json.dumps(frame)).data).__name__
        for frame in samples.FRAMES
    }
    assert kinds["bbo"] == "BestPrices"
    assert kinds["orderUpdates"] == "tuple"
    assert kinds["pong"] == "NoneType"
    assert frames.decode_frame(frames.GREETING).channel == "greeting"
    assert frames.decode_frame('{"channel": "webData2", "data": {"x": 1}}').data is None


def test_client_frames_are_decoded() -> None:
    found = [frames.decode_client_frame(json.dumps(each)) for each in samples.CLIENT_FRAMES]
    assert found[0] == frames.Ping()
    assert found[1] == frames.Subscribe({"type": "userFills", "user": samples.USER})
    assert found[2] == frames.Subscribe({"type": "allMids"}, ends=True)
    assert found[3] == frames.Post(7, "info", {"type": "meta"})


def test_cloids_are_functions_of_session_and_order() -> None:
    made = {cloid_of(scope, text) for scope in ("a", "b", "") for text in ("1", "2", "a1", "")}
    assert len(made) == 12
    assert all(len(each) == 34 for each in made)
