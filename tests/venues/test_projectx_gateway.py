"""Tokens, searches, bars, hubs, limits, faults and snapshots of the local gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
import websocket

from broker_api.config import SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.projectx.wire import signalr
from broker_api.projectx.wire.enums import DomType
from broker_api.secret import Secret
from sim.venues.projectx.engine import AccountSettings, Options, make_engine
from sim.venues.projectx.serve import VenueSettings
from sim.venues.projectx.sessions import Sessions
from sim.venues.server import ServerSettings
from sim.venues.sources import still_source, synthetic_source
from tests.venues.local_gateway import (
    ACCOUNT,
    BUY,
    CATALOG,
    CONTRACT,
    ES_CONTRACT,
    KEY,
    LIMIT,
    MARKET,
    MNQ,
    OTHER_ACCOUNT,
    OTHER_KEY,
    OTHER_USER,
    TOKEN,
    USER,
    Gateway,
    HubClient,
    local_gateway,
    order,
    still_futures,
)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with local_gateway() as found:
        yield found


# --- tokens ---------------------------------------------------------------------------------------


def test_a_wrong_key_gets_no_token(gateway: Gateway) -> None:
    for user, key in ((USER, "wrong"), ("nobody", KEY)):
        found = gateway.refused("Auth/loginKey", userName=user, apiKey=key)
        assert found == (3, "Invalid credentials")


def test_without_a_token_nothing_is_answered_but_ping(gateway: Gateway) -> None:
    for token in ("", "x", "a.b.c", gateway.token[:-1]):
        assert gateway.post("Account/search", token=token).status_code == 401
        assert gateway.post("Order/place", token=token, **order(MARKET, BUY)).status_code == 401
    ping = requests.get(f"{gateway.url}/api/Status/ping", timeout=60)
    assert ping.json() == "pong"


def test_a_token_lives_for_a_day_and_is_renewed_before(gateway: Gateway) -> None:
    gateway.wall.ahead_s = 24 * 3600 - 60
    renewed = gateway.ask("Auth/validate")["newToken"]
    gateway.wall.ahead_s += 120
    assert gateway.post("Auth/validate").status_code == 401
    assert gateway.post("Auth/validate", token=renewed).status_code == 200


def test_a_token_that_was_logged_out_is_worth_nothing(gateway: Gateway) -> None:
    hub = gateway.user_hub()
    gateway.ask("Auth/logout")
    assert gateway.post("Account/search").status_code == 401
    assert hub.message() == signalr.Invocation("GatewayLogout")
    assert hub.message() == signalr.Close("logged out")


def test_tokens_of_other_servers_are_refused() -> None:
    one, other = (Sessions({USER: Secret(KEY)}, Secret(text * 9)) for text in "ab")
    token = one.log_in(USER, KEY, 0)
    assert token is not None
    assert one.user_of(token, 0) == USER
    assert other.user_of(token, 0) is None


# --- searches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MNQ", [CONTRACT]),
        ("ES", [ES_CONTRACT]),
        ("ep", [ES_CONTRACT]),
        ("ESH5", [ES_CONTRACT]),
        ("e-mini", [ES_CONTRACT, CONTRACT]),
        ("nothing", []),
    ],
)
def test_contracts_are_found_by_root_code_and_words(
    gateway: Gateway, text: str, found: list[str]
) -> None:
    answer = gateway.ask("Contract/search", searchText=text, live=False)
    assert sorted(each["id"] for each in answer["contracts"]) == sorted(found)


def test_a_contract_is_told_as_the_live_gateway_does(gateway: Gateway) -> None:
    answer = gateway.ask("Contract/searchById", contractId=ES_CONTRACT)
    assert answer["contract"] == {
        "id": ES_CONTRACT,
        "name": "ESH5",
        "description": "E-mini S&P 500: March 2025",
        "tickSize": 0.25,
        "tickValue": 12.5,
        "activeContract": True,
        "symbolId": "F.US.EP",
    }
    unknown = gateway.refused("Contract/searchById", contractId="CON.F.US.MNQ.Z24")
    assert unknown == (1, "Contract not found")
    assert len(gateway.ask("Contract/available", live=True)["contracts"]) == 2


def bars(gateway: Gateway, **more: Any) -> list[dict[str, Any]]:
    body = {
        "contractId": CONTRACT,
        "unit": 2,
        "unitNumber": 5,
        "limit": 100,
        "startTime": "2025-01-01T00:00:00+00:00",
        "endTime": "2025-02-01T00:00:00+00:00",
        "includePartialBar": True,
    }
    return gateway.ask("History/retrieveBars", **(body | more))["bars"]


def test_bars_are_newest_first_and_end_at_the_present() -> None:
    with local_gateway([synthetic_source(MNQ, seed=3, hours=0.5, is_perpetual=False)]) as gateway:
        assert len(bars(gateway)) <= 1
        gateway.control("/advance", seconds=1_000)
        found = bars(gateway)
        assert [each["t"][11:16] for each in found] == ["14:45", "14:40", "14:35", "14:30"]
        assert bars(gateway, includePartialBar=False) == found[1:]
        assert bars(gateway, limit=2) == found[:2]
        (whole,) = bars(gateway, unit=4, unitNumber=1)
        assert whole["v"] == sum(each["v"] for each in found)
        assert whole["h"] == max(each["h"] for each in found)
        assert (whole["o"], whole["c"]) == (found[-1]["o"], found[0]["c"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"contractId": "CON.F.US.MNQ.Z24"}, 1),
        ({"unit": 0}, 2),
        ({"unit": 7}, 2),
        ({"unitNumber": 0}, 3),
        ({"limit": 20_001}, 4),
    ],
)
def test_bars_are_refused_by_code(gateway: Gateway, change: dict[str, Any], code: int) -> None:
    body = {
        "contractId": CONTRACT,
        "unit": 2,
        "unitNumber": 1,
        "limit": 5,
        "startTime": "2025-01-01T00:00:00Z",
        "endTime": "2025-02-01T00:00:00Z",
    }
    assert gateway.refused("History/retrieveBars", **(body | change))[0] == code


def test_searches_are_of_the_own_accounts_and_of_their_span(gateway: Gateway) -> None:
    for path in ("Order/search", "Order/searchOpen", "Position/searchOpen", "Trade/search"):
        assert gateway.refused(path, accountId=OTHER_ACCOUNT) == (1, "Account not found")
    first = gateway.place(LIMIT, BUY, limitPrice=20_000.0)
    gateway.control("/advance", seconds=60)
    second = gateway.place(MARKET, BUY)
    moment = gateway.order(second)["creationTimestamp"]
    for span, found in (
        ({}, [first, second]),
        ({"startTimestamp": moment}, [second]),
        ({"startTimestamp": "2025-01-14T14:30:00Z", "endTimestamp": moment}, [first, second]),
        ({"endTimestamp": "2025-01-14T14:30:59Z"}, [first]),
    ):
        answer = gateway.ask("Order/search", accountId=ACCOUNT, **span)
        assert [each["id"] for each in answer["orders"]] == found
    page = {"filter": {"accountId": ACCOUNT}, "pageSize": 1, "includeTotalCount": True}
    newest = gateway.ask("Order/v2/query", **page)
    assert ([each["id"] for each in newest["orders"]], newest["totalCount"]) == ([second], 2)
    older = gateway.ask("Order/v2/query", **page, pageOffset=1)
    assert [each["id"] for each in older["orders"]] == [first]
    foreign = {"filter": {"accountId": OTHER_ACCOUNT}}
    assert gateway.refused("Order/v2/query", **foreign) == (1, "Account not found")


def test_an_order_of_somebody_else_is_not_there(gateway: Gateway) -> None:
    order_id = gateway.place(LIMIT, BUY, limitPrice=20_000.0)
    gateway.token = gateway.log_in(OTHER_USER, OTHER_KEY)
    for account in (ACCOUNT, OTHER_ACCOUNT):
        found = gateway.refused("Order/searchById", accountId=account, orderId=order_id)
        assert found == (1, "Order not found")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"accountId": "1001"}', '{"accountId": 1e999999999999999999999}']
)
def test_what_cannot_be_read_is_400_and_changes_nothing(gateway: Gateway, text: str) -> None:
    before = gateway.control("/state", "GET")
    for path in ("Order/place", "Order/searchOpen", "Auth/loginKey"):
        assert gateway.raw(path, text).status_code == 400
    after = gateway.control("/state", "GET")
    assert after == before


def test_times_are_shown_later_by_the_shift() -> None:
    day_ns = 86_400 * 10**9
    with local_gateway(options=Options(shift_ns=90 * day_ns)) as gateway:
        contract = gateway.ask("Contract/available")["contracts"][0]["id"]
        assert contract == "CON.F.US.MNQ.M25"
        body = order(MARKET, BUY) | {"contractId": contract}
        found = gateway.order(gateway.ask("Order/place", **body)["orderId"])
        assert found["creationTimestamp"].startswith("2025-04-14T14:30:00")
        (bar,) = bars(
            gateway,
            contractId=contract,
            startTime="2025-04-14T14:30:00Z",
            endTime="2025-04-14T14:30:00Z",
        )
        assert bar["t"].startswith("2025-04-14T14:30:00")


# --- hubs -----------------------------------------------------------------------------------------


def test_a_hub_negotiates_and_needs_a_token(gateway: Gateway) -> None:
    url = f"{gateway.url}/hubs/user/negotiate"
    answer = requests.post(url, params={"access_token": gateway.token}, timeout=60)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["availableTransports"][0]["transport"] == "WebSockets"
    assert answer.json()["connectionId"]
    assert requests.post(url, params={"access_token": "x"}, timeout=60).status_code == 401
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        HubClient(gateway.url, "user", "x")


def test_a_subscription_twice_is_one(gateway: Gateway) -> None:
    hub = gateway.user_hub()
    assert hub.call("SubscribeOrders", ACCOUNT) is None
    gateway.place(LIMIT, BUY, limitPrice=20_000.0)
    hub.send("Nothing", invocation_id="2")
    assert isinstance(hub.message(), signalr.Invocation)
    assert isinstance(hub.message(), signalr.Completion)


def test_a_hub_tells_of_what_was_asked_for_and_no_more(gateway: Gateway) -> None:
    hub = gateway.user_hub()
    for name in ("Orders", "Positions", "Trades"):
        assert hub.call(f"Unsubscribe{name}", ACCOUNT) is None
    gateway.place(MARKET, BUY)
    assert hub.event()[0] == "UserAccount"
    for about in (OTHER_ACCOUNT, "1001", None, True):
        assert "no account" in str(hub.call("SubscribeOrders", about))
    assert "Unknown hub method" in str(hub.call("SubscribeContractQuotes", CONTRACT))
    assert hub.call("Heartbeat", {"timestamp": 1}) is None


def test_the_market_hub_tells_quotes_trades_and_depth(gateway: Gateway) -> None:
    hub = gateway.hub("market")
    hub.send("SubscribeContractQuotes", CONTRACT)
    name, quote = hub.event()
    assert (name, quote.symbol, quote.last) == ("Quote", "F.US.MNQ", Decimal(21_000))
    assert (quote.bid, quote.ask) == (Decimal("20999.75"), Decimal("21000.25"))
    assert hub.call("SubscribeContractTrades", CONTRACT) is None
    hub.send("SubscribeContractMarketDepth", CONTRACT)
    assert [each.type for _, each in hub.events(2)] == [DomType.BEST_BID, DomType.BEST_ASK]
    gateway.price(6_100, "ES")
    gateway.price(21_002, "MNQ")
    events = hub.events(4)
    assert [name for name, _ in events] == ["Trade", "Depth", "Depth", "Quote"]
    assert (events[0][1].price, events[3][1].last) == (Decimal(21_002), Decimal(21_002))


def test_a_silent_market_is_told_again_and_pings_go_out(gateway: Gateway) -> None:
    hub = gateway.hub("market")
    hub.send("SubscribeContractQuotes", CONTRACT)
    first = hub.event()
    gateway.wall.ahead_s += 20
    found = [hub.message(), hub.message()]
    assert signalr.Ping() in found
    (again,) = [each for each in found if isinstance(each, signalr.Invocation)]
    assert again.target == f"Gateway{first[0]}"


@pytest.mark.parametrize("text", ["x\x1e", '{"protocol": "messagepack", "version": 1}\x1e'])
def test_a_broken_handshake_ends_the_connection(gateway: Gateway, text: str) -> None:
    address = f"ws{gateway.url[4:]}/hubs/user?access_token={gateway.token}"
    stream = websocket.create_connection(address, timeout=60)
    stream.send(text)
    assert json.loads(stream.recv().rstrip("\x1e"))["type"] == 7
    assert stream.recv() == ""
    stream.shutdown()


# --- limits, faults, snapshots --------------------------------------------------------------------


def test_too_many_requests_are_429_until_the_window_has_passed() -> None:
    with local_gateway(has_limits=True) as gateway:
        statuses = [gateway.post("Contract/available").status_code for _ in range(201)]
        assert statuses == [200] * 200 + [429]
        assert len(bars(gateway)) == 1
        gateway.wall.ahead_s += 61
        assert gateway.post("Contract/available").status_code == 200


def test_an_order_is_there_though_its_answer_was_lost(gateway: Gateway) -> None:
    rules = [{"kind": "drop_after", "match": "Order/place"}]
    gateway.control("/faults", rules=rules)
    with pytest.raises(requests.exceptions.ConnectionError):
        gateway.post("Order/place", **order(LIMIT, BUY, limitPrice=20_000.0, customTag="lost"))
    (found,) = gateway.ask("Order/search", accountId=ACCOUNT)["orders"]
    assert found["customTag"] == "lost"


def test_a_lost_event_is_lost(gateway: Gateway) -> None:
    hub = gateway.user_hub()
    gateway.control("/faults", rules=[{"kind": "frame_drop", "match": "GatewayUserTrade"}])
    gateway.place(MARKET, BUY)
    names = [name for name, _ in hub.events(4)]
    assert names == ["UserOrder", "UserOrder", "UserPosition", "UserAccount"]


def test_a_snapshot_comes_back_with_orders_and_positions(gateway: Gateway) -> None:
    gateway.place(MARKET, BUY, 2)
    kept = gateway.place(LIMIT, BUY, limitPrice=20_990.25, customTag="kept")
    snapshot = json.loads(json.dumps(gateway.control("/snapshot", "GET")))
    before = gateway.order(kept)
    gateway.ask("Order/cancel", accountId=ACCOUNT, orderId=kept)
    gateway.ask("Position/closeContract", accountId=ACCOUNT, contractId=CONTRACT)
    gateway.control("/restore", **snapshot)
    assert gateway.order(kept) == before
    assert gateway.position() == [(1, 2, 21_000.25)]


def test_money_is_given_by_the_accounts_name(gateway: Gateway) -> None:
    answer = gateway.control("/faucet", user="SIM-2", amount=250)
    assert answer == {"user": "SIM-2", "cash": "50250"}
    refused = gateway.raw_control("/faucet", body='{"user": "SIM-9", "amount": 1}')
    assert refused.status_code == 400
    assert "SIM-9" in refused.json()["error"]


@pytest.mark.parametrize(
    ("accounts", "text"),
    [
        ((AccountSettings("A", "nobody"),), "'nobody' has no key"),
        ((AccountSettings("A", USER), AccountSettings("A", USER)), "named twice"),
    ],
)
def test_accounts_are_checked(accounts: tuple[AccountSettings, ...], text: str) -> None:
    settings = VenueSettings(
        still_futures(), ServerSettings(Secret(TOKEN)), {USER: Secret(KEY)}, accounts
    )
    with pytest.raises(ConfigurationError, match=text):
        settings.engine()


def test_only_futures_are_traded() -> None:
    source = still_source(CATALOG["ETH"], Decimal(3_000))
    with pytest.raises(ConfigurationError, match="futures"):
        make_engine([source], SimulationConfig(), [AccountSettings("A", USER)], Options())
