"""The two ports of a local venue: faults, control, snapshots, starting and ending."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from hyperliquid.utils.error import ClientError, ServerError

from broker_api.errors import ConfigurationError
from broker_api.secret import Secret
from sim.venues.hyperliquid.serve import VenueSettings, make_server
from sim.venues.server import ServerSettings, in_background
from sim.venues.sources import synthetic_source
from tests.venues.local_venue import (
    ETH,
    TOKEN,
    Local,
    WallTime,
    listening,
    local_venue,
    still_markets,
)
from tests.venues.test_hyperliquid_refusals import GOOD, envelope


@pytest.fixture
def venue() -> Iterator[Local]:
    with local_venue() as found:
        yield found


def faulty(venue: Local, kind: str, match: str = "order", **more: Any) -> None:
    venue.control("/faults", rules=[{"kind": kind, "match": match, **more}])


# --- faults of requests ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error", "orders"),
    [
        ("drop_before", requests.exceptions.ConnectionError, 0),
        ("drop_after", requests.exceptions.ConnectionError, 1),
        ("429", ClientError, 0),
        ("500_before", ServerError, 0),
        ("500_after", ServerError, 1),
    ],
)
def test_a_request_fails_before_or_after_its_effect(
    venue: Local, kind: str, error: type[Exception], orders: int
) -> None:
    faulty(venue, kind)
    with pytest.raises(error):
        venue.trader.limit(True, 0.1, 2000)
    assert len(venue.trader.open_oids()) == orders
    assert "resting" in venue.trader.limit(True, 0.1, 2000)
    assert venue.control("/faults", "GET")["happened"] == {kind: 1}


def test_a_request_that_arrives_twice_has_one_effect(venue: Local) -> None:
    faulty(venue, "duplicate")
    assert "resting" in venue.trader.limit(True, 0.1, 2000)
    assert len(venue.trader.open_oids()) == 1


def test_answers_and_requests_can_be_late(venue: Local) -> None:
    for kind in ("delay_before", "delay_after"):
        faulty(venue, kind, ms=150)
        began = time.monotonic()
        assert "resting" in venue.trader.limit(True, 0.1, 2000)
        assert time.monotonic() - began >= 0.15


def test_a_fault_of_one_kind_of_request_leaves_others_alone(venue: Local) -> None:
    faulty(venue, "429", match="cancel", count=2)
    oid = venue.trader.limit(True, 0.1, 2000)["resting"]["oid"]
    for _ in range(2):
        with pytest.raises(ClientError):
            venue.trader.exchange.cancel("ETH", oid)
    assert venue.trader.statuses(venue.trader.exchange.cancel("ETH", oid)) == ["success"]


def test_chaos_strikes_the_same_requests_again(venue: Local) -> None:
    def strikes() -> list[bool]:
        chaos = {"seed": 11, "rates": {"500_before": 0.3}}
        venue.control("/faults", chaos=chaos)
        found = []
        for _ in range(30):
            answer = venue.post("/info", {"type": "allMids"})
            found.append(answer.status_code == 500)
        venue.control("/faults", "DELETE")
        return found

    first = strikes()
    assert 3 <= sum(first) <= 18
    assert strikes() == first


# --- faults of frames -----------------------------------------------------------------------------


def test_frames_are_lost_doubled_and_overtaken(venue: Local) -> None:
    trader = venue.trader
    with listening(venue) as listener:
        updates = listener.subscribe({"type": "orderUpdates", "user": trader.address})

        def heard(kind: str, count: int) -> list[str]:
            faulty(venue, kind, match="orderUpdates")
            sizes = [0.1, 0.2]
            for size in sizes:
                trader.limit(True, size, 2000)
            return [listener.next(updates)[0]["order"]["sz"] for _ in range(count)]

        assert heard("frame_drop", 1) == ["0.2"]
        assert heard("frame_duplicate", 3) == ["0.1", "0.1", "0.2"]
        assert heard("frame_reorder", 2) == ["0.2", "0.1"]
        began = time.monotonic()
        faulty(venue, "frame_delay", match="orderUpdates", ms=120)
        trader.limit(True, 0.3, 2000)
        assert listener.next(updates)[0]["order"]["sz"] == "0.3"
        assert time.monotonic() - began >= 0.12


def test_sockets_are_cut_by_request_and_by_rule(venue: Local) -> None:
    for cut in ("/disconnect", "rule"):
        with listening(venue) as listener:
            number = listener.subscribe({"type": "userFills", "user": venue.trader.address})
            listener.next(number)
            if cut == "rule":
                faulty(venue, "disconnect", match="userFills")
                venue.trader.limit(True, 0.1, 3001)
            else:
                assert venue.control(cut) == {"closed": 1}
            thread = listener.info.ws_manager
            assert thread is not None
            thread.join(60)
            assert not thread.is_alive()


# --- control --------------------------------------------------------------------------------------


def test_the_control_port_asks_for_its_token(venue: Local) -> None:
    for path, method in (("/state", "GET"), ("/stop", "POST"), ("/nothing", "GET")):
        assert venue.raw_control(path, method, token="another").status_code == 401
    assert requests.get(venue.server.control_url + "/state", timeout=60).status_code == 401
    assert venue.control("/state", "GET")["venue"] == "hyperliquid"
    assert venue.raw_control("/nothing").status_code == 404


def test_time_is_moved_by_stretches_instants_and_fills() -> None:
    source = synthetic_source(ETH, seed=1, hours=0.5, price=Decimal(3000))
    with local_venue([source]) as venue:
        start = venue.control("/state", "GET")["market_ns"]
        assert venue.control("/advance", ms=1500)["market_ns"] == start + 1_500_000_000
        assert venue.control("/advance", seconds=0.5)["market_ns"] == start + 2_000_000_000
        assert venue.control("/advance", ns=1)["market_ns"] == start + 2_000_000_001
        assert (
            venue.control("/advance", to="2025-01-14T14:31:00Z")["market_ns"] == start + 60 * 10**9
        )
        bid = venue.engine.venue.touch(0).bid_ticks
        assert bid is not None
        oid = venue.trader.limit(True, 0.5, bid / 10 - 0.5)["resting"]["oid"]
        moved = venue.control("/advance", until="fill")
        assert moved["fill"]
        fill = venue.trader.info.user_fills(venue.trader.address)[0]
        assert fill["oid"] == oid
        assert fill["time"] == moved["market_ns"] // 10**6
        venue.control("/advance", until="end")
        state = venue.control("/state", "GET")
        assert state["markets"][0]["ended"]
        assert not venue.control("/advance", until="fill", seconds=5)["fill"]


def test_a_market_runs_at_its_speed_and_stands_again(venue: Local) -> None:
    start = venue.control("/speed", speed="stepped")["market_ns"]
    venue.control("/speed", speed=100)
    time.sleep(0.1)
    stood = venue.control("/pause")
    assert stood["speed"] == "stepped"
    assert stood["market_ns"] - start >= 10 * 10**9
    assert venue.control("/state", "GET")["market_ns"] == stood["market_ns"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/advance", {}, "advance needs"),
        ("/advance", {"ms": -1}, "not a stretch of time forward"),
        ("/advance", {"ms": 1, "ns": 1}, "not several"),
        ("/advance", {"minutes": 1}, "takes no 'minutes'"),
        ("/advance", {"to": "2020-01-01T00:00:00Z"}, "cannot go back"),
        ("/advance", {"to": "2026-01-01T00:00:00"}, "names no time zone"),
        ("/advance", {"to": "tomorrow"}, "neither nanoseconds nor an ISO time"),
        ("/advance", {"ms": "x"}, "is not a number"),
        ("/speed", {"speed": -1}, "is not between 0"),
        ("/speed", {}, "no number"),
        ("/price", {"symbol": "ETH"}, "is not a number"),
        ("/price", {"symbol": "ETH", "price": 3000.01}, "tick size"),
        ("/price", {"symbol": "XRP", "price": 1}, "it has BTC, ETH"),
        ("/price", {"symbol": "ETH", "price": 3000, "spread_ticks": 0}, "spread_ticks"),
        ("/price", {"symbol": "ETH", "price": 3000, "size": -1}, "spread_ticks"),
        ("/halt", {"symbol": "XRP"}, "it has BTC, ETH"),
        ("/faucet", {"user": "0x12", "amount": 1}, "is no address"),
        ("/faucet", {"user": "0x" + "1" * 40, "amount": 0}, "not above 0"),
        ("/faucet", {"user": "0x" + "1" * 40, "amount": True}, "is not a number"),
        ("/faults", {"rules": [{"kind": "drop"}]}, "no kind of fault"),
        ("/faults", {"rules": 5}, "list of objects"),
        ("/restore", {}, "no snapshot"),
    ],
)
def test_a_control_request_that_makes_no_sense_changes_nothing(
    venue: Local, path: str, body: dict[str, Any], said: str
) -> None:
    before = venue.state(), venue.control("/state", "GET")
    answer = venue.raw_control(path, body=json.dumps(body))
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert (venue.state(), venue.control("/state", "GET")) == before


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "[" * 100_000])
def test_a_control_body_that_is_no_object_is_refused(venue: Local, body: str) -> None:
    assert venue.raw_control("/advance", body=body).status_code == 400


# --- snapshots ------------------------------------------------------------------------------------


def test_a_snapshot_restores_orders_nonces_agents_and_time(venue: Local) -> None:
    trader = venue.trader
    oid = trader.limit(True, 0.1, 2000)["resting"]["oid"]
    trader.limit(True, 0.5, 3001)
    trader.trigger(False, 0.5, 2700, 2900, "sl")
    body = envelope(GOOD)
    venue.post("/exchange", body)
    trader.exchange.approve_agent("keeper")
    trader.exchange.update_leverage(7, "ETH")
    venue.price(3005)
    venue.control("/advance", seconds=3)
    before, state = venue.state(), trader.info.user_state(trader.address)
    snapshot = venue.control("/snapshot", "GET")
    trader.exchange.cancel("ETH", oid)
    venue.price(2890)
    assert trader.position() == 0
    venue.control("/restore", **snapshot)
    assert venue.state() == before
    assert trader.info.user_state(trader.address) == state
    assert trader.status(oid) == "open"
    again = venue.post("/exchange", body).json()
    assert again["response"] == f"Invalid nonce: duplicate nonce {body['nonce']}"
    venue.price(2890)
    assert trader.position() == 0


def test_a_snapshot_carries_over_to_another_server() -> None:
    with local_venue() as first:
        first.trader.limit(True, 0.5, 3001)
        snapshot = first.control("/snapshot", "GET")
        state = first.state()
    with local_venue() as second:
        second.control("/restore", **snapshot)
        assert second.state() == state
        snapshot["state"] = "0" * 64
        answer = second.raw_control("/restore", body=json.dumps(snapshot))
        assert "other tapes or settings" in answer.json()["error"]


def test_a_snapshot_of_a_market_that_ran_is_the_same_market() -> None:
    source = synthetic_source(ETH, seed=4, hours=0.5, price=Decimal(3000))
    with local_venue([source]) as venue:
        venue.control("/speed", speed=200)
        trader = venue.trader
        for _ in range(6):
            touch = venue.engine.venue.touch(0)
            assert touch.bid_ticks is not None
            trader.limit(True, 0.02, touch.bid_ticks / 10)
            trader.trigger(False, 0.02, 2000, touch.bid_ticks / 10 - 0.5, "sl")
            time.sleep(0.03)
        venue.control("/pause")
        state, orders = venue.state(), trader.info.historical_orders(trader.address)
        assert trader.fills()
        venue.control("/restore", **venue.control("/snapshot", "GET"))
        assert venue.state() == state
        assert trader.info.historical_orders(trader.address) == orders


def test_reset_begins_anew_and_lets_listeners_go(venue: Local) -> None:
    before = venue.state()
    with listening(venue) as listener:
        number = listener.subscribe({"type": "bbo", "coin": "ETH"})
        listener.next(number)
        venue.trader.limit(True, 0.5, 3001)
        venue.control("/reset")
        thread = listener.info.ws_manager
        assert thread is not None
        thread.join(60)
    assert venue.state() == before
    assert "filled" in venue.trader.limit(True, 0.5, 3001)


def test_the_journal_tells_what_went_in_and_came_out_without_signatures(venue: Local) -> None:
    venue.trader.limit(True, 0.5, 3001)
    lines = [json.loads(line) for line in venue.raw_control("/journal", "GET").text.splitlines()]
    placed = next(line for line in lines if line.get("input") == "action")
    assert placed["signer"] == venue.trader.address.lower()
    assert "signature" not in json.dumps(lines)
    filled = next(line for line in lines if line.get("event") == "filled")
    assert filled["owner"] == placed["signer"]


def test_the_same_inputs_give_the_same_journal() -> None:
    journals = []
    for _ in range(2):
        with local_venue() as venue:
            venue.trader.limit(True, 0.5, 3001)
            venue.price(2950)
            lines = venue.raw_control("/journal", "GET").text.splitlines()
            journals.append([line for line in lines if '"event"' in line])
    assert journals[0] == journals[1]


# --- starting and ending --------------------------------------------------------------------------


def settings(**server: Any) -> VenueSettings:
    return VenueSettings(still_markets(), ServerSettings(Secret(TOKEN), **server))


def test_a_venue_is_for_this_machine_unless_told_otherwise() -> None:
    for host in ("0.0.0.0", "example.org", "::"):
        with pytest.raises(ConfigurationError, match="not a loopback address"):
            ServerSettings(Secret(TOKEN), host=host).check()
    ServerSettings(Secret(TOKEN), host="0.0.0.0", is_open_to_others=True).check()
    ServerSettings(Secret(TOKEN), host="::1").check()


def test_the_token_shows_itself_to_nobody() -> None:
    assert TOKEN not in repr(settings())


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(OSError, match="in use"),
            in_background(lambda: make_server(settings(control_port=port), WallTime())),
        ):
            pass


def test_several_venues_live_in_one_process() -> None:
    with local_venue() as first, local_venue(cash=500) as second:
        first.trader.limit(True, 0.1, 2000)
        assert second.trader.open_oids() == []
        assert second.trader.info.user_state(second.trader.address)["withdrawable"] == "500.0"
        assert first.url != second.url


def test_a_control_request_ends_the_server() -> None:
    async def serve() -> str:
        server = make_server(settings(), WallTime())
        await server.start()
        url = server.control_url + "/stop"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        ended = asyncio.create_task(server.until_stopped())
        await asyncio.to_thread(requests.post, url, headers=headers, timeout=60)
        await asyncio.wait_for(ended, 60)
        await server.stop()
        return server.url

    url = asyncio.run(serve())
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.post(url + "/info", json={"type": "meta"}, timeout=60)


def test_a_mistake_of_ours_ends_the_venue_and_is_told() -> None:
    answers = []

    def make_a_mistake() -> None:
        with local_venue() as venue:

            def broken(*_: Any) -> Any:
                raise ZeroDivisionError("made up")

            venue.engine.perform = broken  # type: ignore[method-assign]
            answers.append(venue.post("/exchange", envelope(GOOD)))

    with pytest.raises(ZeroDivisionError):
        make_a_mistake()
    assert [(answer.status_code, answer.text) for answer in answers] == [(500, "null")]
