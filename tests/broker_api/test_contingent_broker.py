"""Brackets and OCO pairs over a broker of plain orders, in virtual time: the simulated one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

import papertape
from broker_api.catalog import load_catalog
from broker_api.config import BrokerSpec, SimulationConfig
from broker_api.contingency import Protection
from broker_api.contingent_broker import ContingentBroker
from broker_api.errors import (
    BrokerError,
    NotConnectedError,
    OrderNotActiveError,
    OrderRejectedError,
    OrderUncertainError,
    RateLimited,
)
from broker_api.event import EventKind, Reason, row_of
from broker_api.order import (
    BracketRequest,
    CancelRequest,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    Submission,
)
from broker_api.suite import TradingSuite
from data.tape import Tape, tape_from_frame
from sim.broker import SimBroker, create

ETH = load_catalog()["ETH"]


class PlainSim:
    """The simulated broker without its groups; `failing` is raised by the next commands."""

    def __init__(self, sim: SimBroker) -> None:
        self.sim = sim
        self.sent: list[Any] = []
        self.failing: list[Exception | None] = []
        self.capabilities = replace(sim.capabilities, native_brackets=False, native_oco=False)
        self.clock = sim.clock
        self.name = "plain"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sim, name)

    async def connect(self, on_event: Callable[..., None]) -> Any:
        self.on_event = on_event
        return await self.sim.connect(on_event)

    def tell(self, kind: EventKind, status: OrderStatus, order_id: int, **columns: int) -> None:
        """An event that the simulated exchange knows nothing of."""
        now_ns = self.clock.now_ns()
        row = row_of(kind, ts_ns=now_ns, status=status.code, order_id=order_id, **columns)
        self.on_event(row, now_ns)

    def _fail(self, command: Any) -> None:
        self.sent.append(command)
        failure = self.failing.pop(0) if self.failing else None
        if isinstance(failure, OrderUncertainError):
            uncertain = OrderStatus.UNCERTAIN
            self.tell(EventKind.UNCERTAIN, uncertain, command.order_id, leaves_lots=500)
        if failure is not None:
            raise failure

    async def submit(self, submission: Submission) -> Any:
        assert not isinstance(submission, BracketRequest | OcoRequest)
        self._fail(submission)
        return await self.sim.submit(submission)

    async def replace(self, request: Any) -> Any:
        self._fail(request)
        return await self.sim.replace(request)

    async def cancel(self, request: Any) -> Any:
        self._fail(request)
        return await self.sim.cancel(request)


def prices(*mids: float) -> Tape:
    """A quote a second around these, with a mark and a print at each."""
    start = pd.Timestamp("2025-01-06T15:00:00Z")
    rows = []
    for second, mid in enumerate(mids):
        at = start + pd.Timedelta(seconds=second)
        book = {"bid": mid - 0.1, "ask": mid + 0.1, "bid_size": 100.0, "ask_size": 100.0}
        rows.append({"ts": at, "kind": "mark", "price": mid, "size": None, "side": 0, **book})
        rows.append({"ts": at, "kind": "trade", "price": mid, "size": 1.0, "side": 1, **book})
    return tape_from_frame(pd.DataFrame(rows), ETH)


Story = Callable[[TradingSuite, PlainSim], Awaitable[None]]


def play(story: Story, *mids: float, rules: Protection | None = None) -> None:
    """A session with brackets over plain orders."""

    async def main() -> None:
        settings = SimulationConfig(entry_latency_ms=1, response_latency_ms=1)
        plain = PlainSim(create(BrokerSpec((ETH,), (prices(*mids),), settings)))
        async with await TradingSuite.create(
            ["ETH"], broker=ContingentBroker(plain, rules)
        ) as suite:
            await suite.clock.sleep(1.5)
            await story(suite, plain)

    papertape.run(main())


def kinds(suite: TradingSuite, order_id: int) -> list[str]:
    return [
        EventKind(row["kind"]).name
        for row in suite.session.journal.events()
        if row["order_id"] == order_id
    ]


async def bracket(suite: TradingSuite, **more: Any) -> Any:
    return await suite["ETH"].orders.place_bracket_order(
        "ETH", "buy", 0.5, **{"entry_price": 3001, "stop_offset": 20, "target_offset": 10, **more}
    )


def test_a_brackets_exits_live_and_die_with_its_entry() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        placed = await bracket(suite)
        assert placed.status == "filled"
        await suite.clock.sleep(1)
        assert kinds(suite, placed.stop_order_id) == ["ACCEPTED", "ACTIVATED"]
        assert suite["ETH"].positions.net_size() == 0.5
        await suite.clock.sleep(3)
        assert suite["ETH"].positions.net_size() == 0
        stop = await suite["ETH"].orders.get_order(placed.stop_order_id)
        assert (stop.status, stop.reason) == ("cancelled", "cancelled because its sibling ended")
        assert [type(each).__name__ for each in plain.sent] == [
            "OrderRequest",
            "OrderRequest",
            "OrderRequest",
            "CancelRequest",
        ]

    play(story, 3000, 3000, 3000, 3000, 3020, 3020, 3020)


def test_a_pair_of_which_one_completes() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        orders = suite["ETH"].orders
        pair = await orders.place_oco_order(
            "ETH",
            0.2,
            first_order={"type": "limit", "side": "sell", "price": 3010},
            second_order={"type": "stop", "side": "sell", "stop_price": 2990},
        )
        await suite.clock.sleep(3)
        first = await orders.get_order(pair.first_order_id)
        second = await orders.get_order(pair.second_order_id)
        assert (first.status, second.status) == ("cancelled", "filled")
        assert suite["ETH"].positions.net_size() == -0.2

    play(story, 3000, 3000, 3000, 2980, 2980, 2980)


def test_plain_orders_go_through_with_their_answers_and_refusals() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        orders = suite["ETH"].orders
        placed = await orders.place_limit_order("ETH", "buy", 0.2, 2900)
        changed = await orders.modify_order(placed.order_id, limit_price=2910)
        assert changed.limit_price == 2910
        assert (await orders.cancel_order(placed.order_id)).status == "cancelled"
        with pytest.raises(OrderNotActiveError):
            await orders.cancel_order(placed.order_id)
        with pytest.raises(OrderRejectedError):
            await orders.place_limit_order("ETH", "buy", 0.2, 3100, post_only=True)
        orders.nowait.place_limit_order("ETH", "buy", 0.2, 2900)
        await suite.clock.sleep(0.5)
        assert suite.session.ledger.working

    play(story, 3000, 3000, 3000, 3000, 3000)


def test_users_change_and_cancel_exits() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        orders = suite["ETH"].orders
        placed = await bracket(suite)
        await suite.clock.sleep(0.5)
        moved = await orders.modify_order(placed.stop_order_id, stop_price=2950)
        assert moved.stop_price == 2950
        await orders.cancel_order(placed.target_order_id)
        assert kinds(suite, placed.target_order_id)[-1] == "CANCELLED"
        assert kinds(suite, placed.stop_order_id)[-1] == "REPLACED"

    play(story, 3000, 3000, 3000, 3000, 3000)


def test_an_entry_that_surely_never_left_is_a_refusal_and_leaves_nothing() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        plain.failing = [RateLimited("too many requests")]
        with pytest.raises(OrderRejectedError, match="never reached"):
            await bracket(suite)
        assert not suite.session.ledger.working
        plain.failing = [RateLimited("too many requests")]
        with pytest.raises(RateLimited):
            await suite["ETH"].orders.place_limit_order("ETH", "buy", 0.2, 2900)
        assert not suite.session.ledger.working

    play(story, 3000, 3000, 3000)


def test_an_exit_that_never_left_is_sent_again() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        plain.failing = [None, RateLimited("too many requests"), BrokerError("broken")]
        placed = await bracket(suite)
        await suite.clock.sleep(3)
        assert kinds(suite, placed.stop_order_id)[-1] == "ACTIVATED"
        assert kinds(suite, placed.target_order_id)[-1] == "ACTIVATED"
        assert suite["ETH"].positions.net_size() == 0.5
        assert len([each for each in plain.sent if isinstance(each, OrderRequest)]) == 5

    play(story, 3000, 3000, 3000, 3000, 3000, 3000, 3000)


def test_a_cancel_that_never_left_is_said_to_the_user() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        orders = suite["ETH"].orders
        placed = await orders.place_limit_order("ETH", "buy", 0.2, 2900)
        plain.failing = [NotConnectedError("no connection"), NotConnectedError("no connection")]
        with pytest.raises(OrderRejectedError, match="never reached the venue"):
            await orders.cancel_order(placed.order_id)
        with pytest.raises(OrderRejectedError, match="stays as it was"):
            await orders.modify_order(placed.order_id, limit_price=2910)
        assert suite.session.ledger.orders[placed.order_id].status == "open"
        await orders.cancel_order(placed.order_id)

    play(story, 3000, 3000, 3000)


def test_a_doubt_about_an_entry_is_raised() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        plain.failing = [OrderUncertainError("lost")]
        with pytest.raises(OrderUncertainError, match="order 1"):
            await bracket(suite)
        assert suite.session.ledger.orders[1].status is OrderStatus.UNCERTAIN
        reason = int(Reason.NOT_ARRIVED)
        plain.tell(EventKind.REJECTED, OrderStatus.REJECTED, 1, reason=reason)
        assert not suite.session.ledger.working

    play(story, 3000, 3000, 3000)


def test_after_disconnect_nothing_is_sent() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        placed = await bracket(suite, entry_price=2900)
        await suite.disconnect()
        with pytest.raises(NotConnectedError):
            await bracket(suite)
        with pytest.raises(NotConnectedError):
            await suite.session.broker.cancel(CancelRequest(placed.order_id))
        with pytest.raises(NotConnectedError):
            suite.session.broker.post(CancelRequest(placed.order_id))
        assert suite["ETH"].data.last_quote is not None
        assert suite.account.equity == 50_000

    play(story, 3000, 3000, 3000)


def test_it_says_what_it_can_and_what_it_stands_on() -> None:
    async def story(suite: TradingSuite, plain: PlainSim) -> None:
        broker = suite.session.broker
        assert broker.capabilities.native_brackets
        assert broker.capabilities.native_oco
        assert broker.name == "plain"
        assert "PlainSim" in repr(broker)
        assert broker.margin_used_nanos() == 0
        assert broker.last_trade(0) is not None
        assert broker.next_open_ns(0, 5) == 5

    play(story, 3000, 3000, 3000)
