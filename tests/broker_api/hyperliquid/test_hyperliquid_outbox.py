"""Commands leave in order, together where they can; cancels pass, but never their own order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from parts import ETH, request

from broker_api.errors import BrokerError, NotConnectedError
from broker_api.hyperliquid.drafts import Touch, wire_order
from broker_api.hyperliquid.outbox import BATCH_MAX, Lane, Parcel, UnalignedAnswer
from broker_api.hyperliquid.wire.actions import CancelByCloid, Grouping, Modify
from broker_api.hyperliquid.wire.answers import (
    ActionRefused,
    Answer,
    Done,
    Entries,
    Refused,
    Resting,
    Success,
)
from broker_api.live.lane import Form
from broker_api.pacing import Kind

CLOID = "0x" + "a" * 32
ORDER = wire_order(request(), ETH, CLOID, Touch(None, None), ETH.price(1))


def cloid(key: int) -> str:
    return f"0x{key:032x}"


def placing(key: int, **terms: Any) -> Parcel:
    return Parcel(form=Form.PLACE, keys=(key,), orders=(ORDER,), **terms)


def cancelling(key: int) -> Parcel:
    return Parcel(form=Form.CANCEL, keys=(key,), cancels=(CancelByCloid(ETH.asset, cloid(key)),))


def changing(key: int) -> Parcel:
    return Parcel(form=Form.CHANGE, keys=(key,), changes=(Modify(key, ORDER),))


class Line:
    """A line to a venue that answers when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, Kind]] = []
        self.actions: list[Any] = []
        self.answers: list[asyncio.Future[Answer]] = []

    async def send(
        self, action: Any, kind: Kind, entries: int, sent: Callable[[int | None], None]
    ) -> Answer:
        self.sent.append((action.TYPE, entries, kind))
        self.actions.append(action)
        sent(len(self.sent))
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        return await answer

    async def answer(self, number: int, answer: Answer | Exception) -> None:
        """Answer the action with this number, and let everybody hear of it."""
        future = self.answers[number]
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        for _ in range(5):
            await asyncio.sleep(0)

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


def resting(*oids: int) -> Entries:
    return Entries("order", tuple(Resting(oid) for oid in oids))


def run(main: Callable[[Lane, Line], Coroutine[Any, Any, None]]) -> Line:
    line = Line()

    async def with_lane() -> None:
        lane = Lane(line.send)
        await main(lane, line)

    asyncio.run(with_lane())
    return line


def test_what_waits_goes_together_in_order() -> None:
    async def main(lane: Lane, line: Line) -> None:
        parcels = [placing(key) for key in range(1, 5)]
        lane.put(parcels[0])
        await line.settle()
        for parcel in parcels[1:]:
            lane.put(parcel)
        await line.settle()
        assert line.sent == [("order", 1, Kind.ORDER)]
        await line.answer(0, resting(11))
        assert line.sent[1:] == [("order", 3, Kind.ORDER)]
        await line.answer(1, resting(12, 13, 14))
        assert [parcel.answer.result() for parcel in parcels] == [
            (Resting(oid),) for oid in (11, 12, 13, 14)
        ]
        assert [parcel.expires_ms for parcel in parcels] == [1, 2, 2, 2]

    run(main)


def test_a_batch_is_no_longer_than_what_weighs_as_one() -> None:
    async def main(lane: Lane, line: Line) -> None:
        lane.put(placing(0))
        await line.settle()
        for key in range(1, BATCH_MAX + 5):
            lane.put(placing(key))
        await line.answer(0, resting(1))
        await line.answer(1, resting(*range(100, 100 + BATCH_MAX)))
        assert [entries for _, entries, _ in line.sent] == [1, BATCH_MAX, 4]

    run(main)


def test_a_cancel_passes_orders_but_not_its_own() -> None:
    async def main(lane: Lane, line: Line) -> None:
        lane.put(placing(1))
        await line.settle()
        lane.put(placing(2))
        lane.put(cancelling(2))
        lane.put(cancelling(9))
        lane.put(cancelling(1))
        await line.settle()
        assert line.sent == [("order", 1, Kind.ORDER), ("cancelByCloid", 1, Kind.CANCEL)]
        assert [each.cloid for each in line.actions[1].cancels] == [cloid(9)]
        await line.answer(1, Entries("cancel", (Success(),)))
        await line.answer(0, resting(1))
        assert [name for name, _, _ in line.sent[2:]] == ["cancelByCloid", "order"]
        await line.answer(3, resting(2))
        await line.answer(2, Entries("cancel", (Success(),)))
        assert [name for name, _, _ in line.sent[4:]] == ["cancelByCloid"]

    run(main)


def test_an_order_does_not_pass_a_cancel_before_it() -> None:
    async def main(lane: Lane, line: Line) -> None:
        lane.put(cancelling(1))
        await line.settle()
        lane.put(placing(2))
        await line.settle()
        assert [name for name, _, _ in line.sent] == ["cancelByCloid"]
        await line.answer(0, Entries("cancel", (Success(),)))
        assert [name for name, _, _ in line.sent] == ["cancelByCloid", "order"]

    run(main)


def test_two_changes_of_one_order_are_two_actions() -> None:
    async def main(lane: Lane, line: Line) -> None:
        lane.put(placing(9))
        await line.settle()
        for key in (1, 2, 1):
            lane.put(changing(key))
        await line.answer(0, resting(9))
        assert line.sent[1:] == [("batchModify", 2, Kind.ORDER)]
        await line.answer(1, resting(21, 22))
        assert line.sent[2:] == [("batchModify", 1, Kind.ORDER)]

    run(main)


def test_orders_and_groups_and_urgent_ones_do_not_mix() -> None:
    async def main(lane: Lane, line: Line) -> None:
        lane.put(placing(9))
        await line.settle()
        group = Parcel(
            form=Form.PLACE, keys=(3, 4), orders=(ORDER, ORDER), grouping=Grouping.NORMAL
        )
        for parcel in (placing(1), placing(2, urgent=True), group, changing(5), placing(6)):
            lane.put(parcel)
        for number in range(6):
            entries = line.sent[number][1]
            await line.answer(number, resting(*range(entries)))
        assert line.sent == [
            ("order", 1, Kind.ORDER),
            ("order", 1, Kind.ORDER),
            ("order", 1, Kind.PROTECT),
            ("order", 2, Kind.ORDER),
            ("batchModify", 1, Kind.ORDER),
            ("order", 1, Kind.ORDER),
        ]

    run(main)


@pytest.mark.parametrize(
    "answer",
    [ActionRefused("Orders are empty."), Entries("order", (Refused("Orders are empty."),))],
)
def test_one_refusal_of_many_orders_is_the_refusal_of_each(answer: Answer) -> None:
    async def main(lane: Lane, line: Line) -> None:
        lane.put(placing(0))
        await line.settle()
        parcels = [placing(1), placing(2)]
        for parcel in parcels:
            lane.put(parcel)
        await line.answer(0, resting(1))
        await line.answer(1, answer)
        assert [each.answer.result() for each in parcels] == [(Refused("Orders are empty."),)] * 2

    run(main)


@pytest.mark.parametrize("answer", [Done(), resting(1, 2, 3), resting(1)])
def test_an_answer_that_cannot_be_shared_out_is_no_answer(answer: Answer) -> None:
    async def main(lane: Lane, line: Line) -> None:
        lane.put(placing(0))
        await line.settle()
        parcels = [placing(1), placing(2)]
        for parcel in parcels:
            lane.put(parcel)
        await line.answer(0, resting(1))
        await line.answer(1, answer)
        for parcel in parcels:
            assert isinstance(parcel.answer.exception(), UnalignedAnswer)

    run(main)


def test_a_failure_is_the_failure_of_each_and_the_lane_goes_on() -> None:
    async def main(lane: Lane, line: Line) -> None:
        first, second = placing(1), placing(2)
        lane.put(first)
        await line.settle()
        lane.put(second)
        await line.answer(0, BrokerError("lost"))
        assert isinstance(first.answer.exception(), BrokerError)
        await line.answer(1, resting(5))
        assert second.answer.result() == (Resting(5),)

    run(main)


def test_closing_refuses_what_waits_and_waits_for_what_is_under_way() -> None:
    async def main(lane: Lane, line: Line) -> None:
        first, second = placing(1), placing(2)
        lane.put(first)
        await line.settle()
        lane.put(second)
        closing = asyncio.create_task(lane.close())
        await line.settle()
        assert isinstance(second.answer.exception(), NotConnectedError)
        assert not closing.done()
        await line.answer(0, resting(1))
        await closing
        assert first.answer.result() == (Resting(1),)
        with pytest.raises(NotConnectedError):
            lane.put(placing(3))

    run(main)


def test_whoever_gave_up_waiting_stops_nobody() -> None:
    async def main(lane: Lane, line: Line) -> None:
        first = placing(1)
        lane.put(first)
        await line.settle()
        first.answer.cancel()
        await line.answer(0, resting(1))
        second = placing(2)
        lane.put(second)
        await line.settle()
        await line.answer(1, resting(2))
        assert second.answer.result() == (Resting(2),)

    run(main)
