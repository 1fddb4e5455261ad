"""The vendor's SDK subscribes to every channel of the local venue; raw frames where it cannot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from broker_api.hyperliquid.wire.frames import CHANNELS, decode_frame
from sim.venues.sources import still_source, synthetic_source
from tests.venues.local_venue import BTC, ETH, Listening, Local, listening, local_venue


@pytest.fixture
def venue() -> Iterator[Local]:
    with local_venue() as found:
        yield found


@pytest.fixture
def listener(venue: Local) -> Iterator[Listening]:
    with listening(venue) as found:
        yield found


# --- the market -----------------------------------------------------------------------------------


def test_books_and_best_prices_come_at_once_and_at_every_change(
    venue: Local, listener: Listening
) -> None:
    book = listener.subscribe({"type": "l2Book", "coin": "ETH"})
    best = listener.subscribe({"type": "bbo", "coin": "ETH"})
    first = listener.next(book)
    assert first["levels"][0][0] == {"px": "2999.9", "sz": "100.0", "n": 1}
    assert len(first["levels"][1]) == 20
    assert listener.next(best)["bbo"][1] == {"px": "3000.1", "sz": "100.0", "n": 1}
    venue.trader.limit(True, 0.5, 2999.9)
    assert listener.next(book)["levels"][0][0] == {"px": "2999.9", "sz": "100.5", "n": 2}
    assert listener.next(best)["bbo"][0] == {"px": "2999.9", "sz": "100.5", "n": 2}
    venue.price(2990)
    assert listener.next(best)["bbo"][0]["px"] == "2989.9"


def test_mids_and_contexts_follow_the_price(venue: Local, listener: Listening) -> None:
    mids = listener.subscribe({"type": "allMids"})
    context = listener.subscribe({"type": "activeAssetCtx", "coin": "BTC"})
    assert listener.next(mids)["mids"] == {"BTC": "95000.0", "ETH": "3000.0"}
    shown = listener.next(context)
    assert (shown["coin"], shown["ctx"]["markPx"], shown["ctx"]["midPx"]) == (
        "BTC",
        "95000.0",
        "95000.0",
    )
    venue.price(96_000, "BTC")
    assert listener.next(mids)["mids"]["BTC"] == "96000.0"
    assert listener.next(context)["ctx"]["markPx"] == "96000.0"


def test_prints_of_the_tape_and_of_users_are_public_trades() -> None:
    source = synthetic_source(ETH, seed=1, hours=0.1, price=Decimal(3000))
    with local_venue([source]) as venue, listening(venue) as listener:
        trades = listener.subscribe({"type": "trades", "coin": "ETH"})
        candles = listener.subscribe({"type": "candle", "coin": "ETH", "interval": "1m"})
        venue.control("/advance", seconds=61)
        prints = listener.next(trades, until=lambda data: len(data) > 20)
        assert all(trade["coin"] == "ETH" for trade in prints)
        assert [trade["time"] for trade in prints] == sorted(trade["time"] for trade in prints)
        assert len({trade["tid"] for trade in prints}) == len(prints)
        candle = listener.next(candles)
        assert (candle["s"], candle["i"], candle["T"] - candle["t"]) == ("ETH", "1m", 59_999)
        bought = venue.trader.exchange.market_open("ETH", True, 0.5)
        size = venue.trader.statuses(bought)[0]["filled"]["totalSz"]
        own = venue.trader.address.lower()
        taken = listener.next(trades, until=lambda data: own in data[0]["users"])
        assert sum(Decimal(trade["sz"]) for trade in taken) == Decimal(size)
        assert {trade["side"] for trade in taken} == {"B"}


# --- a user ---------------------------------------------------------------------------------------


def test_order_updates_tell_every_status_in_order(venue: Local, listener: Listening) -> None:
    trader = venue.trader
    updates = listener.subscribe({"type": "orderUpdates", "user": trader.address})
    resting = trader.limit(True, 0.5, 2000)["resting"]["oid"]
    first = listener.next(updates)[0]
    assert (first["status"], first["order"]["oid"]) == ("open", resting)
    assert first["order"] == {
        "coin": "ETH",
        "side": "B",
        "limitPx": "2000.0",
        "sz": "0.5",
        "oid": resting,
        "timestamp": first["statusTimestamp"],
        "origSz": "0.5",
    }
    trader.exchange.cancel("ETH", resting)
    assert listener.next(updates)[0]["status"] == "canceled"
    trader.limit(True, 0.5, 3001)
    filled = listener.next(updates)[0]
    assert (filled["status"], filled["order"]["sz"]) == ("filled", "0.0")
    trader.limit(True, 0.5, 2000, "Ioc")
    assert listener.next(updates)[0]["status"] == "iocCancelRejected"


def test_fills_come_as_events_and_as_fills_behind_a_snapshot(
    venue: Local, listener: Listening
) -> None:
    trader = venue.trader
    trader.limit(True, 0.1, 3001)
    events = listener.subscribe({"type": "userEvents", "user": trader.address})
    fills = listener.subscribe({"type": "userFills", "user": trader.address})
    snapshot = listener.next(fills)
    assert snapshot["isSnapshot"]
    assert [fill["sz"] for fill in snapshot["fills"]] == ["0.1"]
    trader.limit(False, 0.3, 2999)
    told = listener.next(fills)
    assert not told.get("isSnapshot")
    assert [fill["dir"] for fill in told["fills"]] == ["Long > Short"]
    assert listener.next(events)["fills"] == told["fills"]
    assert told["fills"] == trader.info.user_fills(trader.address)[:1]


def test_cancels_by_the_venue_are_told(venue: Local, listener: Listening) -> None:
    trader = venue.trader
    events = listener.subscribe({"type": "userEvents", "user": trader.address})
    venue.price(3000, spread_ticks=100)
    maker = trader.limit(False, 0.1, 3002)["resting"]["oid"]
    trader.limit(True, 0.1, 3003)
    assert listener.next(events) == {"nonUserCancel": [{"coin": "ETH", "oid": maker}]}


def test_a_liquidation_is_told(venue: Local, listener: Listening) -> None:
    trader = venue.trader
    events = listener.subscribe({"type": "userEvents", "user": trader.address})
    trader.exchange.update_leverage(25, "ETH")
    trader.limit(True, 40, 3010)
    venue.price(2700)
    told = listener.next(events, until=lambda data: "liquidation" in data)["liquidation"]
    assert told["liquidated_user"] == trader.address.lower()
    assert told["liquidated_ntl_pos"] == "108000.0"
    assert Decimal(told["liquidated_account_value"]) < 2000


def test_funding_money_and_margin_have_their_channels() -> None:
    sources = [
        synthetic_source(ETH, seed=1, hours=0.6, price=Decimal(3000)),
        still_source(BTC, Decimal(95_000)),
    ]
    with local_venue(sources) as venue, listening(venue) as listener:
        user = venue.trader.address
        fundings = listener.subscribe({"type": "userFundings", "user": user})
        money = listener.subscribe({"type": "userNonFundingLedgerUpdates", "user": user})
        margin = listener.subscribe({"type": "activeAssetData", "user": user, "coin": "ETH"})
        web = listener.subscribe({"type": "webData2", "user": user})
        assert listener.next(fundings) == {
            "user": user.lower(),
            "fundings": [],
            "isSnapshot": True,
        }
        assert len(listener.next(money)["nonFundingLedgerUpdates"]) == 1
        assert listener.next(margin)["leverage"]["value"] == 20
        assert listener.next(web)["clearinghouseState"]["assetPositions"] == []
        venue.trader.exchange.update_leverage(7, "ETH")
        assert listener.next(margin)["leverage"]["value"] == 7
        venue.trader.exchange.usd_class_transfer(5, to_perp=False)
        entry = listener.next(money)["nonFundingLedgerUpdates"][0]
        assert entry["delta"]["type"] == "accountClassTransfer"
        venue.trader.exchange.market_open("ETH", True, 0.5)
        positions = listener.next(web, until=lambda data: _positions(data))
        assert _positions(positions)[0]["position"]["coin"] == "ETH"
        venue.control("/advance", until="end")
        paid = listener.next(fundings)["fundings"][0]
        assert (paid["coin"], paid["szi"], paid["fundingRate"]) == ("ETH", "0.5", "0.0000125")


def _positions(data: Any) -> list[Any]:
    return data["clearinghouseState"]["assetPositions"]


def test_users_hear_of_themselves_only(venue: Local, listener: Listening) -> None:
    other = venue.another()
    mine = listener.subscribe({"type": "orderUpdates", "user": venue.trader.address})
    theirs = listener.subscribe({"type": "userFills", "user": other.address})
    listener.next(theirs)
    other.limit(True, 0.1, 3001)
    assert listener.next(theirs)["fills"][0]["sz"] == "0.1"
    assert listener.is_silent(mine)


# --- frames ---------------------------------------------------------------------------------------


Talk = Callable[["Raw"], Any]


class Raw:
    """A WebSocket of frames as they are."""

    def __init__(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        self._stream = stream

    async def ask(self, frame: Any) -> Any:
        text = frame if isinstance(frame, str) else json.dumps(frame)
        await self._stream.send_str(text)
        return await self.next()

    async def next(self) -> Any:
        return json.loads(await asyncio.wait_for(self._stream.receive_str(), 60))


def talk(venue: Local, conversation: Callable[[Raw], Any]) -> Any:
    async def speak() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(venue.url + "/ws") as stream,
        ):
            return await conversation(Raw(stream))

    return asyncio.run(speak())


def test_subscriptions_are_acknowledged_doubled_ones_and_wrong_ones_are_not(venue: Local) -> None:
    wanted = {"type": "bbo", "coin": "ETH"}

    async def conversation(raw: Raw) -> None:
        subscribe = {"method": "subscribe", "subscription": wanted}
        assert await raw.ask(subscribe) == {
            "channel": "subscriptionResponse",
            "data": {"method": "subscribe", "subscription": wanted},
        }
        assert (await raw.next())["channel"] == "bbo"
        shown = json.dumps(wanted)
        again = await raw.ask(subscribe)
        assert again == {"channel": "error", "data": f"Already subscribed: {shown}"}
        unsubscribe = {"method": "unsubscribe", "subscription": wanted}
        assert (await raw.ask(unsubscribe))["data"]["method"] == "unsubscribe"
        gone = await raw.ask(unsubscribe)
        assert gone == {"channel": "error", "data": f"Already unsubscribed: {shown}"}
        assert await raw.ask({"method": "ping"}) == {"channel": "pong"}

    talk(venue, conversation)


@pytest.mark.parametrize(
    "subscription",
    [
        {"type": "l3Book", "coin": "ETH"},
        {"type": "l2Book", "coin": "XRP"},
        {"type": "l2Book"},
        {"type": "l2Book", "coin": "ETH", "nSigFigs": 9},
        {"type": "candle", "coin": "ETH", "interval": "7m"},
        {"type": "userFills", "user": "0x12"},
        {"type": "orderUpdates"},
    ],
)
def test_a_subscription_that_cannot_be_is_an_error(venue: Local, subscription: Any) -> None:
    async def conversation(raw: Raw) -> None:
        answer = await raw.ask({"method": "subscribe", "subscription": subscription})
        said = f"Invalid subscription {json.dumps(subscription)}"
        assert answer == {"channel": "error", "data": said}

    talk(venue, conversation)


@pytest.mark.parametrize(
    "frame",
    ["{", "[]", "12", '{"method": "shout"}', '{"method": "subscribe"}', '{"method": "post"}'],
)
def test_a_frame_that_cannot_be_read_is_an_error_and_the_connection_goes_on(
    venue: Local, frame: str
) -> None:
    async def conversation(raw: Raw) -> None:
        answer = await raw.ask(frame)
        assert answer["channel"] == "error"
        assert await raw.ask({"method": "ping"}) == {"channel": "pong"}

    talk(venue, conversation)


def test_questions_and_actions_go_over_the_socket_too(venue: Local) -> None:
    from tests.venues.test_hyperliquid_refusals import action_of, an_order, envelope

    async def conversation(raw: Raw) -> None:
        payload = {"type": "l2Book", "coin": "ETH"}
        asked = {"method": "post", "id": 7, "request": {"type": "info", "payload": payload}}
        answer = (await raw.ask(asked))["data"]
        assert (answer["id"], answer["response"]["type"]) == (7, "info")
        assert answer["response"]["payload"]["type"] == "l2Book"
        assert answer["response"]["payload"]["data"]["coin"] == "ETH"
        body = envelope(action_of(an_order()))
        placed = {"method": "post", "id": 8, "request": {"type": "action", "payload": body}}
        answer = (await raw.ask(placed))["data"]["response"]
        entries = answer["payload"]["response"]["data"]["statuses"]
        assert (answer["type"], set(entries[0])) == ("action", {"resting"})
        wrong = {"method": "post", "id": 9, "request": {"type": "info", "payload": {}}}
        answer = (await raw.ask(wrong))["data"]
        assert (answer["id"], answer["response"]["type"]) == (9, "error")

    talk(venue, conversation)
    assert len(venue.trader.open_oids()) == 1


def test_every_frame_is_what_the_adapter_reads(venue: Local) -> None:
    user = venue.trader.address
    wanted = [
        {"type": "allMids"},
        {"type": "l2Book", "coin": "ETH"},
        {"type": "bbo", "coin": "ETH"},
        {"type": "candle", "coin": "ETH", "interval": "1h"},
        {"type": "activeAssetCtx", "coin": "ETH"},
        {"type": "userFills", "user": user},
        {"type": "userFundings", "user": user},
        {"type": "clearinghouseState", "user": user},
        {"type": "trades", "coin": "ETH"},
    ]

    async def conversation(raw: Raw) -> set[str]:
        seen = set()
        for subscription in wanted:
            await raw.ask({"method": "subscribe", "subscription": subscription})
            frame = await raw.next()
            decoded = decode_frame(json.dumps(frame))
            assert decoded.data is not None
            seen.add(decoded.channel)
        return seen

    assert talk(venue, conversation) == {each["type"] for each in wanted}
    assert {each["type"] for each in wanted} <= set(CHANNELS)


def test_a_listener_that_hears_nothing_for_a_minute_is_let_go(venue: Local) -> None:
    with listening(venue) as listener:
        number = listener.subscribe({"type": "userFills", "user": venue.trader.address})
        listener.next(number)
        assert venue.control("/state", "GET")["sockets"] == 1
        venue.trader.open_oids()
        venue.wall.ahead_s = 70
        venue.trader.open_oids()
        thread = listener.info.ws_manager
        assert thread is not None
        thread.join(60)
        assert not thread.is_alive()
        assert venue.control("/state", "GET")["sockets"] == 0
