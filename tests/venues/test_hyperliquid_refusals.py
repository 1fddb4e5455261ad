"""What the local venue refuses: in the live venue's words, and with nothing changed."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from eth_account import Account
from hyperliquid.utils.signing import (
    get_timestamp_ms,
    sign_l1_action,
    sign_usd_class_transfer_action,
)

from tests.venues.local_venue import ETH_ID, KEYS, Local, local_venue

UNREADABLE = "Failed to deserialize the JSON body into the target type"


@pytest.fixture
def venue() -> Iterator[Local]:
    with local_venue() as found:
        yield found


def an_order(**changes: Any) -> dict[str, Any]:
    order = {
        "a": ETH_ID,
        "b": True,
        "p": "2000",
        "s": "0.1",
        "r": False,
        "t": {"limit": {"tif": "Gtc"}},
    }
    return order | changes


def action_of(*orders: dict[str, Any], grouping: str = "na") -> dict[str, Any]:
    return {"type": "order", "orders": list(orders), "grouping": grouping}


def envelope(
    action: Any, key: str = KEYS[0], nonce: int | None = None, expires: int | None = None
) -> dict[str, Any]:
    """A signed body, as the SDK makes it."""
    nonce = get_timestamp_ms() if nonce is None else nonce
    wallet = Account.from_key(key)
    signature = sign_l1_action(wallet, action, None, nonce, expires, False)
    return {
        "action": action,
        "nonce": nonce,
        "signature": signature,
        "vaultAddress": None,
        "expiresAfter": expires,
    }


def with_changes(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    changed.update(changes)
    return changed


# --- bodies that cannot be read -------------------------------------------------------------------

GOOD = action_of(an_order())
UNREADABLE_BODIES: dict[str, Callable[[], Any]] = {
    "no JSON": lambda: "{",
    "nothing": lambda: "",
    "a list": lambda: [],
    "null": lambda: "null",
    "not a number": lambda: '{"action": NaN}',
    "no action": lambda: with_changes(envelope(GOOD), action=None),
    "no nonce": lambda: with_changes(envelope(GOOD), nonce=None),
    "a nonce as text": lambda: with_changes(envelope(GOOD), nonce="1"),
    "a nonce below zero": lambda: with_changes(envelope(GOOD), nonce=-1),
    "no signature": lambda: with_changes(envelope(GOOD), signature=None),
    "half a signature": lambda: with_changes(envelope(GOOD), signature={"r": "0x1", "s": "0x2"}),
    "an unknown action": lambda: envelope({"type": "orders"}),
    "an action in the wrong case": lambda: envelope({**GOOD, "type": "Order"}),
    "a price as a number": lambda: envelope(action_of(an_order(p=2000))),
    "a price in words": lambda: envelope(action_of(an_order(p="2e3"))),
    "a missing size": lambda: envelope(
        action_of({key: value for key, value in an_order().items() if key != "s"})
    ),
    "a side in words": lambda: envelope(action_of(an_order(b="buy"))),
    "an unknown tif": lambda: envelope(action_of(an_order(t={"limit": {"tif": "Fok"}}))),
    "a tif in the wrong case": lambda: envelope(action_of(an_order(t={"limit": {"tif": "gtc"}}))),
    "a limit and a trigger": lambda: envelope(
        action_of(
            an_order(
                t={
                    "limit": {"tif": "Gtc"},
                    "trigger": {"isMarket": True, "triggerPx": "1", "tpsl": "sl"},
                }
            )
        )
    ),
    "an unknown grouping": lambda: envelope(action_of(an_order(), grouping="oco")),
    "a cloid that is too short": lambda: envelope(action_of(an_order(c="0x1"))),
    "an asset below zero": lambda: envelope(action_of(an_order(a=-1))),
    "a key too many": lambda: envelope({**GOOD, "extra": 1}),
    "a vault that is no address": lambda: with_changes(envelope(GOOD), vaultAddress="0x12"),
}


@pytest.mark.parametrize("name", UNREADABLE_BODIES)
def test_a_body_that_cannot_be_read_is_a_422_and_changes_nothing(venue: Local, name: str) -> None:
    before = venue.state()
    answer = venue.post("/exchange", UNREADABLE_BODIES[name]())
    assert (answer.status_code, answer.text) == (422, UNREADABLE)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert venue.state() == before


INFO_BODIES: dict[str, Any] = {
    "no type": {},
    "an unknown type": {"type": "Meta"},
    "no user": {"type": "openOrders"},
    "no address": {"type": "clearinghouseState", "user": "0x12"},
    "another dex": {"type": "meta", "dex": "xyz"},
    "an oid in words": {"type": "orderStatus", "user": "0x" + "1" * 40, "oid": "twelve"},
    "a truth value for an oid": {"type": "orderStatus", "user": "0x" + "1" * 40, "oid": True},
    "an unknown interval": {
        "type": "candleSnapshot",
        "req": {"coin": "ETH", "interval": "2m", "startTime": 0, "endTime": 1},
    },
    "no start": {"type": "userFillsByTime", "user": "0x" + "1" * 40},
    "digits beyond five": {"type": "l2Book", "coin": "ETH", "nSigFigs": 6},
    "a coin that is no text": {"type": "l2Book", "coin": 5},
    "a list": [1],
}


@pytest.mark.parametrize("name", INFO_BODIES)
def test_a_question_that_cannot_be_read_is_a_422(venue: Local, name: str) -> None:
    answer = venue.post("/info", INFO_BODIES[name])
    assert (answer.status_code, answer.text) == (422, UNREADABLE)


# --- orders ---------------------------------------------------------------------------------------

ORDERS: list[tuple[dict[str, Any], str]] = [
    (an_order(p="0"), "Order has invalid price."),
    (an_order(p="2000.123"), "Order has invalid price."),
    (an_order(p="12345.6"), "Order has invalid price."),
    (an_order(p="-5"), "Order has invalid price."),
    (an_order(s="0.12345"), "Order has invalid size."),
    (an_order(s="-1"), "Order has invalid size."),
    (an_order(s="0"), "Order has zero size."),
    (an_order(a=2), "Invalid asset: 2"),
    (an_order(a=10_000), "Invalid asset: 10000"),
    (an_order(p="100"), "Order price cannot be more than 95% away from the reference price"),
    (an_order(p="5900"), "Order price cannot be more than 95% away from the reference price"),
    (
        an_order(t={"trigger": {"isMarket": True, "triggerPx": "2000.123", "tpsl": "sl"}}),
        "Order has invalid price.",
    ),
]


@pytest.mark.parametrize(
    ("order", "said"), ORDERS, ids=[f"{each[1]} {n}" for n, each in enumerate(ORDERS)]
)
def test_an_order_that_has_not_the_form_refuses_its_whole_batch(
    venue: Local, order: dict[str, Any], said: str
) -> None:
    before = venue.engine.venue.exchange.state_hash
    answer = venue.post("/exchange", envelope(action_of(an_order(), order))).json()
    assert answer["response"]["data"]["statuses"] == [{"error": said}]
    assert venue.engine.venue.exchange.state_hash == before
    user = venue.engine.users[venue.trader.address.lower()]
    assert user.orders == {}


BOOK_ORDERS: list[tuple[dict[str, Any], str, str]] = [
    (an_order(p="900.01"), "Price must be divisible by tick size. asset=1", "tickRejected"),
    (
        an_order(s="0.004"),
        "Order must have minimum value of $10. asset=1",
        "minTradeNtlRejected",
    ),
    (
        an_order(r=True),
        "Reduce only order would increase position. asset=1",
        "reduceOnlyRejected",
    ),
    (
        an_order(s="2000"),
        "Insufficient margin to place order. asset=1",
        "perpMarginRejected",
    ),
    (
        an_order(p="3000.1", t={"limit": {"tif": "Alo"}}),
        "Post only order would have immediately matched, bbo was 2999.9@3000.1. asset=1",
        "badAloPxRejected",
    ),
    (
        an_order(t={"limit": {"tif": "Ioc"}}),
        "Order could not immediately match against any resting orders. asset=1",
        "iocCancelRejected",
    ),
    (
        an_order(t={"trigger": {"isMarket": True, "triggerPx": "2900", "tpsl": "sl"}}),
        "Invalid TP/SL price. asset=1",
        "badTriggerPxRejected",
    ),
    (
        an_order(s="200000", p="3100"),
        "Order would cause position to exceed margin tier limit at current leverage asset=1",
        "perpMaxPositionRejected",
    ),
]


@pytest.mark.parametrize(
    ("order", "said", "word"), BOOK_ORDERS, ids=[each[2] for each in BOOK_ORDERS]
)
def test_an_order_that_the_book_refuses_leaves_a_record_and_nothing_else(
    venue: Local, order: dict[str, Any], said: str, word: str
) -> None:
    trader = venue.trader
    money = trader.info.user_state(trader.address)["marginSummary"]
    answer = venue.post("/exchange", envelope(action_of(order, an_order()))).json()
    entries = answer["response"]["data"]["statuses"]
    assert entries[0] == {"error": said}
    assert set(entries[1]) == {"resting"}
    assert trader.info.historical_orders(trader.address)[-1]["status"] == word
    assert trader.open_oids() == [entries[1]["resting"]["oid"]]
    assert trader.info.user_state(trader.address)["marginSummary"] == money


def test_too_many_orders_are_refused(venue: Local) -> None:
    batch = action_of(*[an_order()] * 201)
    answer = venue.post("/exchange", envelope(batch)).json()
    assert answer == {"status": "err", "response": "Signed action over weight limit of 200."}
    assert venue.post("/exchange", envelope(action_of())).json() == {
        "status": "err",
        "response": "Orders are empty.",
    }
    assert venue.trader.open_oids() == []


@pytest.mark.slow
def test_a_thousand_open_orders_are_the_most(venue: Local) -> None:
    for _ in range(5):
        batch = envelope(action_of(*[an_order(s="0.005")] * 200))
        statuses = venue.post("/exchange", batch).json()["response"]["data"]["statuses"]
        assert all("resting" in entry for entry in statuses)
    answer = venue.post("/exchange", envelope(action_of(an_order()))).json()
    assert answer["response"]["data"]["statuses"] == [{"error": "Too many open orders"}]
    assert len(venue.trader.open_oids()) == 1000


# --- signatures, nonces, expiry -------------------------------------------------------------------


def test_a_changed_action_is_somebody_elses(venue: Local) -> None:
    body = envelope(GOOD)
    body["action"]["orders"] = [an_order(p="2100")]
    before = venue.state()
    answer = venue.post("/exchange", body).json()
    assert answer["status"] == "err"
    assert answer["response"].startswith("User or API Wallet 0x")
    assert answer["response"].endswith(" does not exist.")
    assert venue.state() == before


def test_a_key_without_account_is_refused_and_uses_no_nonce(venue: Local) -> None:
    key = "0x" + "33" * 32
    address = Account.from_key(key).address
    body = envelope(GOOD, key)
    before = venue.state()
    said = f"User or API Wallet {address.lower()} does not exist."
    assert venue.post("/exchange", body).json() == {"status": "err", "response": said}
    assert venue.state() == before
    venue.control("/faucet", user=address, amount=100)
    assert venue.post("/exchange", body).json()["status"] == "ok"


def test_words_that_are_no_signature_are_refused(venue: Local) -> None:
    for changes in ({"v": 29}, {"r": "0x0"}, {"s": "0x" + "f" * 64}):
        body = envelope(GOOD)
        body["signature"] = body["signature"] | changes
        before = venue.state()
        answer = venue.post("/exchange", body).json()
        assert answer == {"status": "err", "response": "Unable to recover signer."}
        assert venue.state() == before


def test_a_signature_of_the_main_network_is_somebody_elses(venue: Local) -> None:
    nonce = get_timestamp_ms()
    wallet = Account.from_key(KEYS[0])
    signature = sign_l1_action(wallet, GOOD, None, nonce, None, True)
    body = with_changes(envelope(GOOD, nonce=nonce), signature=signature)
    assert "does not exist" in venue.post("/exchange", body).json()["response"]


def test_a_nonce_is_used_once_even_by_an_action_that_was_refused(venue: Local) -> None:
    body = envelope(action_of(an_order(s="2000")))
    first = venue.post("/exchange", body).json()
    assert "Insufficient margin" in first["response"]["data"]["statuses"][0]["error"]
    before = venue.state()
    said = f"Invalid nonce: duplicate nonce {body['nonce']}"
    assert venue.post("/exchange", body).json() == {"status": "err", "response": said}
    assert venue.state() == before


def test_nonces_lie_near_now(venue: Local) -> None:
    now = time.time_ns() // 1_000_000
    day = 86_400_000
    low = venue.post("/exchange", envelope(GOOD, nonce=now - 2 * day)).json()["response"]
    high = venue.post("/exchange", envelope(GOOD, nonce=now + day)).json()["response"]
    assert low.startswith(f"Invalid nonce: nonce too low {now - 2 * day} < ")
    assert high.startswith(f"Invalid nonce: nonce too high {now + day} > ")
    assert venue.post("/exchange", envelope(GOOD, nonce=now - day)).json()["status"] == "ok"


def test_a_nonce_must_be_above_the_least_of_the_newest_hundred(venue: Local) -> None:
    now = get_timestamp_ms()
    noop = {"type": "noop"}
    for number in range(100):
        answer = venue.post("/exchange", envelope(noop, nonce=now + number)).json()
        assert answer == {"status": "ok", "response": {"type": "default"}}
    low = venue.post("/exchange", envelope(noop, nonce=now - 1)).json()
    said = f"Invalid nonce: nonce too low {now - 1} < {now + 1}"
    assert low == {"status": "err", "response": said}


def test_an_action_that_is_too_late_is_refused_and_uses_its_nonce(venue: Local) -> None:
    trader = venue.trader
    trader.exchange.set_expires_after(get_timestamp_ms() - 1)
    terms = {"limit": {"tif": "Gtc"}}
    answer = trader.exchange.order("ETH", True, 0.1, 2000, terms)
    assert answer == {"status": "err", "response": "Action already expired"}
    trader.exchange.set_expires_after(get_timestamp_ms() + 60_000)
    assert "resting" in trader.limit(True, 0.1, 2000)


def test_a_vault_that_is_none_is_refused(venue: Local) -> None:
    from hyperliquid.exchange import Exchange

    vault = "0x" + "ab" * 20
    exchange = Exchange(venue.trader.wallet, venue.url, vault_address=vault)
    answer = exchange.order("ETH", True, 0.1, 2000, {"limit": {"tif": "Gtc"}})
    exchange.session.close()
    exchange.info.session.close()
    assert answer == {"status": "err", "response": f"Vault not registered: {vault}"}


def test_user_signed_actions_name_their_network_and_their_nonce(venue: Local) -> None:
    wallet = venue.trader.wallet
    nonce = get_timestamp_ms()
    action = {"type": "usdClassTransfer", "amount": "1", "toPerp": False, "nonce": nonce}
    for is_mainnet, posted, said in [
        (True, nonce, "Mainnet and testnet require different signature."),
        (False, nonce + 1, "Nonce mismatch."),
    ]:
        signed = dict(action)
        signature = sign_usd_class_transfer_action(wallet, signed, is_mainnet)
        body = {
            "action": signed,
            "nonce": posted,
            "signature": signature,
            "vaultAddress": None,
            "expiresAfter": None,
        }
        before = venue.state()
        assert venue.post("/exchange", body).json() == {"status": "err", "response": said}
        assert venue.state() == before


def test_requests_of_an_address_run_out(venue: Local) -> None:
    user = venue.engine.users[venue.trader.address.lower()]
    user.requests_used = 10_000
    user.last_over_ms = time.time_ns() // 1_000_000 + 3_600_000
    answer = venue.post("/exchange", envelope(GOOD)).json()
    assert answer == {
        "status": "err",
        "response": (
            "Too many cumulative requests sent (10001 > 10000) for cumulative volume traded $0.00. "
            "Place taker orders to free up 1 request per USDC traded."
        ),
    }
    cancel = {"type": "cancel", "cancels": [{"a": 1, "o": 1}]}
    assert venue.post("/exchange", envelope(cancel)).json()["status"] == "ok"
    limit = venue.trader.info.user_rate_limit(venue.trader.address)
    assert (limit["nRequestsUsed"], limit["nRequestsCap"]) == (10_001, 10_000)


# --- limits by address of the network -------------------------------------------------------------


def test_weights_of_a_minute_are_limited_where_that_was_asked_for() -> None:
    with local_venue(limits_by_ip=True) as venue:
        codes = [venue.post("/info", {"type": "meta"}).status_code for _ in range(70)]
        assert codes.index(429) == (1200 - 80) // 20  # the trader's clients asked before
        refused = venue.post("/exchange", envelope(GOOD))
        assert (refused.status_code, refused.text) == (429, "null")
        assert venue.trader.address.lower() not in venue.engine.nonces
        venue.wall.ahead_s = 61
        assert venue.post("/info", {"type": "meta"}).status_code == 200


def test_the_sdk_survives_every_refusal_of_a_batch_as_json(venue: Local) -> None:
    # The SDK takes a 4xx body for a JSON object with code and msg, or not at all: text is safe.
    from hyperliquid.utils.error import ClientError

    with pytest.raises(ClientError) as failure:
        venue.trader.info.post("/info", {"type": "nothing"})
    assert (failure.value.status_code, failure.value.error_message) == (422, UNREADABLE)


def test_an_action_is_hashed_as_the_venue_writes_it(venue: Local) -> None:
    # Keys in another order, zeros at the end of a number and capitals in a cloid are not what is
    # signed on the live venue, so a client that signs them is somebody else there and here.
    for order in (
        dict(reversed(an_order().items())),
        an_order(p="2000.0"),
        an_order(c="0x" + "AB" * 16),
    ):
        answer = venue.post("/exchange", envelope(action_of(order))).json()
        assert "does not exist" in answer["response"]
    signed = envelope(GOOD)
    signed["action"] = dict(reversed(GOOD.items()))
    assert venue.post("/exchange", signed).json()["status"] == "ok"


def test_a_fast_cancel_is_not_for_triggers(venue: Local) -> None:
    trader = venue.trader
    stop = trader.trigger(True, 0.5, 3300, 3100, "sl", reduce_only=False)["resting"]["oid"]
    for fast, said in ((True, "Fast cancel"), (False, "success")):
        cancel = {"type": "cancel", "cancels": [{"a": ETH_ID, "o": stop, "f": fast}]}
        answer = venue.post("/exchange", envelope(cancel)).json()
        assert said in str(answer["response"]["data"]["statuses"])
