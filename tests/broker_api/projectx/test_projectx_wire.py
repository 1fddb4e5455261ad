"""The gateway's records, requests, numbers, times and codes, in both directions."""

from __future__ import annotations

import json
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_api import order as ours
from broker_api.event import Reason
from broker_api.messages import ProtocolError, decode, encode
from broker_api.order import Side
from broker_api.projectx.wire import codes, contracts, enums, records, requests
from broker_api.projectx.wire.fields import parse_body, time_ns, time_text

PLACE = (
    '{"accountId": 1001, "contractId": "CON.F.US.MNQ.Z26", "type": 1, "side": 0, "size": 1,'
    ' "limitPrice": 20000.25, "stopPrice": null, "trailPrice": null, "customTag": "mine",'
    ' "stopLossBracket": {"ticks": -40, "type": 4}, "takeProfitBracket": {"ticks": 80, "type": 1}}'
)
ORDER = (
    '{"id": 9056, "accountId": 1001, "contractId": "CON.F.US.MNQ.Z26", "symbolId": "F.US.MNQ",'
    ' "creationTimestamp": "2026-11-21T10:21:31.2+00:00", "updateTimestamp": null, "status": 1,'
    ' "type": 1, "side": 0, "size": 1, "limitPrice": 20000.1, "stopPrice": null, "fillVolume": 0,'
    ' "filledPrice": null, "customTag": null}'
)
POSITION = (
    '{"id": 6124, "accountId": 1001, "contractId": "CON.F.US.MNQ.Z26", "type": 2, "size": 2,'
    ' "creationTimestamp": "2026-11-21T10:22:00+00:00", "averagePrice": 21000.25}'
)
TRADE = (
    '{"id": 8604, "accountId": 1001, "contractId": "CON.F.US.MNQ.Z26", "price": 21001.5,'
    ' "creationTimestamp": "2026-11-21T10:25:13.2+00:00", "profitAndLoss": null, "fees": 0.37,'
    ' "side": 1, "size": 1, "voided": false, "orderId": 9061}'
)
ACCOUNT = (
    '{"id": 1001, "name": "SIM-50K-1", "balance": 50000.0, "canTrade": true, "isVisible": true,'
    ' "simulated": true}'
)
QUOTE = '{"symbol": "F.US.MNQ", "lastPrice": 21000.25}'
PRINT = (
    '{"symbolId": "F.US.MNQ", "price": 21000.25, "timestamp": "2026-11-21T10:22:00+00:00",'
    ' "type": 0, "volume": 2}'
)
DEPTH = (
    '{"timestamp": "2026-11-21T10:22:00+00:00", "type": 4, "price": 21000.0, "volume": 10,'
    ' "currentVolume": 5}'
)
SAMPLES = [
    (requests.PlaceOrder, PLACE),
    (records.Order, ORDER),
    (records.Position, POSITION),
    (records.Trade, TRADE),
    (records.Account, ACCOUNT),
    (records.Quote, QUOTE),
    (records.MarketTrade, PRINT),
    (records.Depth, DEPTH),
]


@pytest.mark.parametrize(("kind", "text"), SAMPLES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_message_says_the_same_after_decoding_and_encoding(kind: type, text: str) -> None:
    message = decode(kind, parse_body(text))
    written = json.dumps(encode(message))
    assert decode(kind, parse_body(written)) == message
    given, found = json.loads(text), json.loads(written)
    times = {key for key in given if "imestamp" in key}
    assert {key: found[key] for key in given if key not in times} == {
        key: value for key, value in given.items() if key not in times
    }


def test_prices_stay_exact() -> None:
    order = decode(requests.PlaceOrder, parse_body(PLACE))
    assert order.limit_price == Decimal("20000.25")
    assert decode(records.Order, parse_body(ORDER)).limit_price == Decimal("20000.1")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"accountId": "1001"}, "accountId"),
        ({"accountId": True}, "accountId"),
        ({"accountId": -1}, "accountId"),
        ({"size": 1.5}, "size"),
        ({"size": 1 << 31}, "size"),
        ({"type": 8}, "type"),
        ({"side": 2}, "side"),
        ({"limitPrice": "20000"}, "limitPrice"),
        ({"limitPrice": True}, "limitPrice"),
        ({"limitPrice": 1e13}, "limitPrice"),
        ({"contractId": None}, "contractId"),
        ({"customTag": "x" * 257}, "customTag"),
        ({"stopLossBracket": {"ticks": 4}}, "stopLossBracket.type"),
        ({"stopLossBracket": [4, 4]}, "stopLossBracket"),
    ],
)
def test_what_is_no_order_is_refused_by_its_place(change: dict[str, Any], place: str) -> None:
    body = parse_body(PLACE) | change
    with pytest.raises(ProtocolError) as refusal:
        decode(requests.PlaceOrder, body)
    assert refusal.value.place == f"body.{place}"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", "{]", '{"a": NaN}', '{"a": 1e999999999999999999999}', "[" * 9999],
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_body(text)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


@given(st.sampled_from(SAMPLES), st.data())
def test_a_spoilt_message_is_taken_or_refused(sample: tuple[type, str], data: Any) -> None:
    kind, text = sample
    body = parse_body(text)
    key = data.draw(st.sampled_from(sorted(body)))
    if data.draw(st.booleans()):
        del body[key]
    else:
        body[key] = data.draw(JSON)
    try:
        message = decode(kind, json.loads(json.dumps(body, default=float)))
    except ProtocolError:
        return
    assert {each.name for each in fields(message)} == {each.name for each in fields(kind)}


def test_unknown_keys_are_passed_over() -> None:
    body = parse_body(ORDER)
    assert decode(records.Order, body | {"newField": 1}) == decode(records.Order, body)


def test_a_login_does_not_show_its_key() -> None:
    login = decode(requests.LoginKey, {"userName": "tester", "apiKey": "a-secret"})
    assert "a-secret" not in repr(login)


# --- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.1234567+00:00", 123_456_700),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T18:00:00-06:00", 0),
        ("1970-01-01T00:00:01", 1_000_000_000),
    ],
)
def test_times_are_read(text: str, ns: int) -> None:
    assert time_ns(text) == ns


@pytest.mark.parametrize(
    "text",
    ["", "1970-01-01", "1970-13-01T00:00:00Z", "1970-01-01T00:00:00+99:99", 5, None, "x" * 99],
)
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"time|month|offset"):
        time_ns(text)


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_time_in_microseconds_comes_back(us: int) -> None:
    assert time_ns(time_text(us * 1000)) == us * 1000


# --- enumerations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [k for k in ours.OrderType if "TOUCHED" not in k.name])
def test_order_types_have_a_way_back(kind: ours.OrderType) -> None:
    theirs = enums.type_from_ours(kind)
    assert theirs is not None
    assert enums.type_to_ours(theirs) is kind


def test_touched_orders_have_no_type_there() -> None:
    assert enums.type_from_ours(ours.OrderType.MARKET_IF_TOUCHED) is None


def test_an_exit_that_waits_is_suspended() -> None:
    found = enums.status_from_ours(ours.OrderStatus.PENDING, held=True)
    assert found is enums.OrderStatus.SUSPENDED


@pytest.mark.parametrize("status", ours.OrderStatus)
def test_final_statuses_are_those_of_ours(status: ours.OrderStatus) -> None:
    assert enums.status_from_ours(status).is_final is status.is_terminal


# --- contracts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "date", "contract_id", "name"),
    [
        ("NQ", (2025, 7, 21), "CON.F.US.ENQ.U25", "NQU5"),
        ("MNQ", (2026, 11, 21), "CON.F.US.MNQ.Z26", "MNQZ6"),
        ("MNQ", (2026, 12, 7), "CON.F.US.MNQ.Z26", "MNQZ6"),
        ("MNQ", (2026, 12, 8), "CON.F.US.MNQ.H27", "MNQH7"),
        ("GC", (2025, 1, 14), "CON.F.US.GCE.G25", "GCG5"),
        ("CL", (2025, 12, 31), "CON.F.US.CLE.F26", "CLF6"),
    ],
)
def test_front_contracts(
    root: str, date: tuple[int, int, int], contract_id: str, name: str
) -> None:
    contract = contracts.front_contract(root, *date)
    assert (contract.id, contract.name(root)) == (contract_id, name)


# --- codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", codes.TEXTS)
def test_a_refusal_is_understood(reason: Reason) -> None:
    words = codes.words_of(reason)
    assert codes.reason_of(words.code, words.text) is reason


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (3, "No money", Reason.INSUFFICIENT_MARGIN),
        (5, None, Reason.MARKET_CLOSED),
        (2, "Invalid price. Too far.", Reason.PRICE_OUTSIDE_BAND),
        (2, "Invalid stop loss type", Reason.BRACKET_LEVELS),
        (2, "anything", Reason.REFUSED_BY_VENUE),
        (77, "", Reason.REFUSED_BY_VENUE),
    ],
)
def test_a_code_says_what_an_unknown_sentence_does_not(
    code: int, text: str | None, reason: Reason
) -> None:
    assert codes.reason_of(code, text) is reason


@pytest.mark.parametrize(
    ("leg", "ticks", "side", "fault"),
    [
        (codes.STOP_LOSS, -40, Side.BUY, None),
        (codes.TAKE_PROFIT, 80, Side.BUY, None),
        (codes.STOP_LOSS, 40, Side.SELL, None),
        (codes.TAKE_PROFIT, -80, Side.SELL, None),
        (
            codes.STOP_LOSS,
            40,
            Side.BUY,
            "Invalid stop loss ticks (40). Ticks should be less than zero when longing.",
        ),
        (
            codes.TAKE_PROFIT,
            80,
            Side.SELL,
            "Invalid take profit ticks (80). Ticks should be less than zero when shorting.",
        ),
        (
            codes.STOP_LOSS,
            -3,
            Side.BUY,
            "Invalid stop loss ticks (-3). Ticks should be at least 4 ticks.",
        ),
    ],
)
def test_bracket_ticks_have_a_sign(
    leg: codes.Leg, ticks: int, side: Side, fault: str | None
) -> None:
    found = codes.bracket_fault(leg, ticks, is_buy=side is Side.BUY)
    assert found == fault
    if found is not None:
        assert codes.reason_of(2, found) is Reason.BRACKET_LEVELS


# --- envelopes and events -------------------------------------------------------------------------


def test_an_envelope_is_opened() -> None:
    done = records.open_envelope(records.envelope(orderId=7))
    assert (done.is_success, done.body["orderId"]) == (True, 7)
    refused = records.open_envelope(records.envelope(8, "Contract not found"))
    assert (refused.is_success, refused.code, refused.text) == (False, 8, "Contract not found")


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"success": True},
        {"success": True, "errorCode": 2},
        {"success": 1, "errorCode": 0},
    ],
)
def test_what_is_no_envelope_is_refused(value: object) -> None:
    with pytest.raises(ProtocolError, match="reply"):
        records.open_envelope(value)


def test_a_users_event_comes_bare_or_wrapped() -> None:
    bare = json.loads(ORDER)
    first = records.decode_pushed("GatewayUserOrder", (bare,))
    assert first == records.decode_pushed("GatewayUserOrder", ({"action": 1, "data": bare},))
    assert first is not None
    assert first.records[0].id == 9056


def test_a_market_event_comes_alone_or_in_a_padded_list() -> None:
    one = json.loads(PRINT)
    alone = records.decode_pushed("GatewayTrade", ("CON.F.US.MNQ.Z26", one))
    padded = records.decode_pushed("GatewayTrade", ("CON.F.US.MNQ.Z26", [one, None, None]))
    assert alone == padded
    assert alone is not None
    assert alone.contract_id == "CON.F.US.MNQ.Z26"


def test_events_that_are_not_known_are_none_and_broken_ones_are_refused() -> None:
    assert records.decode_pushed("GatewayNews", ()) is None
    for target, arguments in [
        ("GatewayUserOrder", ()),
        ("GatewayUserOrder", (None,)),
        ("GatewayQuote", ({},)),
        ("GatewayQuote", (7, {})),
    ]:
        with pytest.raises(ProtocolError, match=target):
            records.decode_pushed(target, arguments)
