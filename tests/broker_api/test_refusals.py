"""Refusals: one table from reason to error class and wording, for the session and the venue."""

from __future__ import annotations

import pytest
from builders import MNQ

from broker_api.errors import (
    InsufficientMarginError,
    InvalidPriceError,
    InvalidSizeError,
    MarketClosedError,
    OrderError,
    OrderRejectedError,
    PostOnlyWouldCrossError,
    ReduceOnlyError,
    RiskLimitError,
)
from broker_api.event import EventKind, Reason
from broker_api.order import Role, Side
from broker_api.refusals import ENDINGS, WORDINGS, describe, refusal, unknown_instrument

OPEN_NS = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("reason", "value", "limit", "side", "error", "text"),
    [
        (
            Reason.MARKET_CLOSED,
            0,
            OPEN_NS,
            None,
            MarketClosedError,
            "the market of MNQ is closed; it next opens at 2023-11-14T22:13:20+00:00",
        ),
        (Reason.MARKET_CLOSED, 0, 0, None, MarketClosedError, "the market of MNQ is closed"),
        (Reason.MARKET_HALTED, 0, 1 << 62, None, MarketClosedError, "the market of MNQ is halted"),
        (
            Reason.SIZE_NOT_POSITIVE,
            0,
            1,
            None,
            InvalidSizeError,
            "size 0 is not positive; the least of MNQ is 1",
        ),
        (
            Reason.SIZE_ABOVE_MAXIMUM,
            9,
            5,
            None,
            InvalidSizeError,
            "size 9 is above the largest size 5 of MNQ",
        ),
        (
            Reason.STOP_WRONG_SIDE,
            84_001,
            84_000,
            Side.SELL,
            InvalidPriceError,
            "stop_price 21000.25 of a sell is not below the market of MNQ at 21000.00",
        ),
        (
            Reason.STOP_WRONG_SIDE,
            84_000,
            84_001,
            Side.BUY,
            InvalidPriceError,
            "stop_price 21000.00 of a buy is not above the market of MNQ at 21000.25",
        ),
        (
            Reason.INSUFFICIENT_MARGIN,
            3_500 * 10**9,
            12_340_000_000,
            None,
            InsufficientMarginError,
            "the order needs 3500.00 USD of margin, 12.34 USD are available",
        ),
        (
            Reason.POST_ONLY_WOULD_TAKE,
            84_001,
            84_000,
            Side.BUY,
            PostOnlyWouldCrossError,
            "a post-only buy at 21000.25 would take liquidity of MNQ at 21000.00",
        ),
        (
            Reason.REDUCE_ONLY_WRONG_SIDE,
            3,
            0,
            Side.BUY,
            ReduceOnlyError,
            "a reduce-only buy would add to the position 3 in MNQ",
        ),
        (
            Reason.TOO_MANY_ORDERS,
            11,
            10,
            None,
            RiskLimitError,
            "11 working orders would be more than the limit 10",
        ),
    ],
)
def test_refusal_names_value_and_limit_in_the_instruments_units(
    reason, value, limit, side, error, text
):
    refused = refusal(reason, MNQ, value, limit, side=side)
    assert type(refused) is error
    assert str(refused) == text
    assert refused.reason is reason


def test_every_reason_of_a_refusal_has_an_error_and_a_text():
    refusals = [r for r in Reason if 0 < r < 60]
    assert sorted(refusals) == sorted(WORDINGS)
    for reason in refusals:
        assert issubclass(WORDINGS[reason].error, OrderError)
        text = describe(reason, MNQ, 5, 7, Side.BUY)
        assert text
        assert "{" not in text


def test_refusals_of_new_orders_are_rejections():
    for reason, wording in WORDINGS.items():
        if reason < 40:
            assert issubclass(wording.error, OrderRejectedError), reason


def test_every_reason_of_a_cancel_is_said_in_words():
    cancels = [r for r in Reason if 60 <= r < 80]
    assert sorted([Reason.NONE, *cancels]) == sorted(ENDINGS)
    assert all(describe(reason, MNQ) for reason in cancels)


@pytest.mark.parametrize("codes", [Reason, EventKind, Role])
def test_no_stored_number_stands_for_two_things(codes):
    assert len(codes) == len(codes.__members__)


def test_unknown_instrument_suggests_the_nearest():
    assert str(unknown_instrument("MNK", ["ES", "MNQ"])).endswith('did you mean "MNQ"?')
    assert str(unknown_instrument("ZZ9", ["ES", "MNQ"])).endswith("it has ES, MNQ")
