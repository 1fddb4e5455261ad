"""A watched session: what is told of it, what may be asked, and that watching changes nothing."""

from __future__ import annotations

import asyncio
import json

import pytest

from broker_api.config import AccountConfig, BrokerSpec, SimulationConfig
from broker_api.errors import AccountHaltedError, ConfigurationError, NotConnectedError
from papertape import TradingSuite
from papertape.watching.requests import Action, OperatorRequest, perform
from papertape.watching.watch import Watch, on_loop
from sim.broker import SimBroker
from sim.loop import run
from tests.watching.stage import MIDDLE, MNQ, PATIENCE_SECONDS, Stage, wait_for, wavy_tape

FAR = 20_000.0
"""Nobody sells so low."""


async def rest_and_hold(suite):
    """One order that rests, one bracket that is filled and keeps its exits."""
    orders = suite["MNQ"].orders
    await orders.place_limit_order("MNQ", "buy", 1, FAR, tag="rest")
    await orders.place_bracket_order("MNQ", "buy", 2, stop_offset=400, target_offset=400)


def working(stage):
    return {each["order_id"]: each for each in stage.watch.snapshot()["orders"]}


def held(stage):
    return sum(abs(each["size"]) for each in stage.watch.snapshot()["positions"])


def test_a_snapshot_tells_orders_positions_fills_money_rules_and_health_as_json():
    with Stage(rest_and_hold, risk={"daily_loss": {"limit": 500}}) as stage:
        wait_for(lambda: len(working(stage)) == 3 and held(stage) == 2, "two exits and an order")
        wait_for(lambda: len(stage.watch.snapshot()["prices"]["MNQ"]) > 3, "prices")
        wait_for(lambda: stage.watch.snapshot()["health"].get("feed_age_ms") is not None)
        shown = json.loads(json.dumps(stage.watch.snapshot()))
    session = shown["session"]
    assert (session["name"], session["mode"], session["account"]) == ("wave", "paper", "PAPER-1")
    rest, stop, target = shown["orders"]
    assert (rest["side"], rest["kind"], rest["limit"], rest["tag"]) == ("buy", "limit", FAR, "rest")
    assert (stop["role"], target["role"]) == ("stop exit", "target exit")
    (fill,) = shown["fills"]
    assert (fill["side"], fill["size"], fill["symbol"]) == ("buy", 2, "MNQ")
    (position,) = shown["positions"]
    assert (position["size"], position["average"]) == (2, fill["price"])
    account = shown["account"]
    assert account["equity"] == pytest.approx(account["cash"] + account["unrealised"])
    assert account["fees"] > 0
    (rule,) = shown["risk"]["rules"]
    assert (rule["rule"], rule["limit"]) == ("daily_loss", "500.00")
    assert 0 <= rule["used"] < 1
    assert shown["health"]["connected"]
    assert (shown["health"]["queued"], shown["health"]["uncertain"]) == (0, [])
    assert any("order 2 filled: buy 2 MNQ market" in line["text"] for line in shown["log"])


def test_notices_that_wait_for_a_slow_handler_are_counted():
    async def strategy(suite):
        async def slow(quote):
            await suite.clock.sleep(5)

        await suite["MNQ"].data.on_quote(slow)

    with Stage(strategy) as stage:
        wait_for(lambda: stage.watch.snapshot()["health"].get("queued", 0) > 3, "a queue")


def test_a_subscriber_misses_nothing_between_its_snapshot_and_the_next_message():
    told = []
    with Stage(rest_and_hold) as stage:
        stop = stage.watch.subscribe(told.append)
        number = stage.watch.snapshot()["number"]
        wait_for(lambda: len([each for each in told if each["type"] == "quote"]) > 5, "quotes")
        stop()
        stop()
        last = stage.watch.snapshot()["number"]  # it may be on its way
        wait_for(lambda: stage.watch.snapshot()["number"] > last + 3)
        assert told[-1]["number"] <= last
    later = [each["number"] for each in told if each["number"] > number]
    assert later == list(range(number + 1, number + 1 + len(later)))


def test_an_operator_cancels_one_order():
    with Stage(rest_and_hold) as stage:
        wait_for(lambda: len(working(stage)) == 3, "three orders")
        answer = stage.watch.request("cancel", order_id=1, source="test").result(PATIENCE_SECONDS)
        assert (answer.is_done, answer.cancelled) == (True, (1,))
        assert 1 not in working(stage)
        again = stage.watch.request("cancel", order_id=1).result(PATIENCE_SECONDS)
        assert not again.is_done
        assert "order 1" in again.failures[0]
        lines = [each["text"] for each in stage.watch.snapshot()["log"]]
    assert "operator (test): cancel order 1" in lines
    assert [request["number"] for _, request in stage.journaled] == [1, 2]


def test_flattening_closes_positions_and_the_strategy_may_go_on():
    async def strategy(suite):
        await rest_and_hold(suite)
        while suite["MNQ"].positions.net_size() or len(suite.session.ledger.working):
            await suite.clock.sleep(0.1)
        await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 1, FAR, tag="on")

    with Stage(strategy) as stage:
        wait_for(lambda: held(stage) == 2, "a position")
        answer = stage.watch.request("flatten", instrument="MNQ").result(PATIENCE_SECONDS)
        assert (answer.is_done, answer.closed) == (True, ("2 MNQ",))
        wait_for(lambda: [each["tag"] for each in working(stage).values()] == ["on"])
        assert held(stage) == 0


@pytest.mark.parametrize("flatten", [False, True])
def test_a_kill_refuses_cancels_and_closes_only_if_asked_to(flatten):
    refused = []

    async def strategy(suite):
        await rest_and_hold(suite)
        try:
            while True:
                await suite.clock.sleep(0.2)
                order = await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 1, FAR)
                await suite["MNQ"].orders.cancel_order(order.order_id)
        except AccountHaltedError as halted:
            refused.append(str(halted))

    with Stage(strategy) as stage:
        wait_for(lambda: held(stage) == 2, "a position")
        answer = stage.watch.request("kill", flatten=flatten).result(PATIENCE_SECONDS)
        assert answer.is_done, answer.text
        wait_for(lambda: refused, "the refusal")
        left = [each["role"] for each in working(stage).values()]
        assert left == ([] if flatten else ["stop exit", "target exit"])
        assert held(stage) == (0 if flatten else 2)
        assert "kill switch" in stage.watch.snapshot()["risk"]["halted"]
    assert "the kill switch is on" in refused[0]


def test_stopping_ends_the_session_and_later_requests_are_refused():
    with Stage(rest_and_hold) as stage:
        wait_for(lambda: held(stage) == 2, "a position")
        assert stage.watch.request("stop").result(PATIENCE_SECONDS).is_done
        wait_for(lambda: stage.watch.snapshot()["session"]["ended"], "the end")
        with pytest.raises(NotConnectedError, match="has ended"):
            stage.watch.request("stop")


def test_a_request_that_the_session_does_not_live_to_see_is_refused():
    with Stage(rest_and_hold) as stage:
        wait_for(lambda: held(stage) == 2, "a position")
        stage.watch._hand_over = lambda work: None  # the session never comes to it
        lost = stage.watch.request("flatten")
    with pytest.raises(NotConnectedError, match="ended before"):
        lost.result(PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"action": "kil"}, "action 'kil' is unknown; did you mean \"kill\""),
        ({"action": "cancel"}, "order_id goes with"),
        ({"action": "kill", "order_id": 3}, "order_id goes with"),
        ({"action": "cancel", "order_id": "3"}, "order_id '3' of a request is no int"),
        ({"action": "kill", "flatten": 1}, "flatten 1 of a request is no bool"),
        ({"action": "stop", "flatten": True}, "flatten goes with"),
        ({"action": "kill", "instrument": "MNQ"}, "instrument goes with"),
        ({"action": "kill", "flaten": True}, "has no 'flaten'; did you mean \"flatten\""),
        ({"action": "stop", "source": "x" * 201}, "source"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(table, told):
    with pytest.raises(ConfigurationError, match=told):
        OperatorRequest.from_dict(table)


def test_a_request_comes_back_from_its_table():
    for request in (
        OperatorRequest(1, Action.CANCEL, order_id=7, source="page"),
        OperatorRequest(2, Action.FLATTEN, instrument="MNQ"),
        OperatorRequest(3, Action.KILL, flatten=True),
    ):
        assert OperatorRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request


def played(watched: bool, requests=()):
    """The digest of a session, watched or not, with requests at their times."""

    async def main():
        tape = wavy_tape(600)
        settings = SimulationConfig(entry_latency_ms=5, response_latency_ms=5, queue="front")
        broker = SimBroker(BrokerSpec((MNQ,), (tape,), settings, AccountConfig()), [tape])
        suite = await TradingSuite.create("MNQ", broker=broker)
        sessions.append(suite)
        async with suite:
            if watched:
                Watch(suite, lambda work: None, mode="paper", real_time=iter(range(10**6)).__next__)
            low = MNQ.ticks_to_price(MIDDLE - 10)

            async def again(event):
                if event.status == "filled" and event.kind.name == "FILLED":
                    await suite["MNQ"].orders.place_limit_order("MNQ", event.side.opposite, 1, low)

            await suite.on("order_update", again)
            await suite["MNQ"].orders.place_limit_order("MNQ", "buy", 1, low)
            for request in requests:
                await suite.clock.sleep(100)
                await perform(suite, request)
            await suite.clock.sleep(10_000)

    sessions = []
    run(main())
    journal = sessions[0].session.journal
    return journal.order_count, journal.digest()


def test_watching_changes_nothing():
    plain = played(watched=False)
    assert plain[0] > 10
    assert played(watched=True) == plain


def test_requests_at_the_same_times_have_the_same_effects():
    requests = [
        OperatorRequest(1, Action.FLATTEN),
        OperatorRequest(2, Action.KILL, flatten=True),
    ]
    first = played(watched=False, requests=requests)
    assert first != played(watched=False)
    assert played(watched=True, requests=requests) == first


def test_requests_reach_a_loop_in_real_time_from_another_thread():
    async def main():
        done = asyncio.Event()
        hand_over = on_loop(asyncio.get_running_loop())

        async def work():
            done.set()

        await asyncio.to_thread(hand_over, work)
        await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)

    asyncio.run(main())
