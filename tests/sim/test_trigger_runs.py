"""Random sessions full of touched orders and trailing stops: shortcuts change no event."""

from __future__ import annotations

import random
from dataclasses import replace as changed
from typing import Any

import pytest

from broker_api.event import Event, OrderTriggered
from broker_api.order import (
    BracketRequest,
    Command,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    TriggerSource,
)
from tests.sim.random_market import SETTINGS, open_market, play, random_commands, random_rows

pytestmark = pytest.mark.slow


def with_new_types(rng: random.Random, command: Command) -> Command:
    """The command with touched orders and trailing stops in the place of others."""
    if isinstance(command, OrderRequest):
        return _new_type(rng, command)
    if isinstance(command, OcoRequest):
        first, second = _new_type(rng, command.first), _new_type(rng, command.second)
        return changed(command, first=first, second=second)
    if isinstance(command, BracketRequest):
        stop = command.stop
        if stop is not None and rng.random() < 0.6:
            trail = rng.choice((1, 2, 3, 5))
            stop = ExitRequest(stop.order_id, stop.client_order_id, trail_ticks=trail)
        return changed(command, entry=_new_type(rng, command.entry), stop=stop)
    if isinstance(command, ReplaceRequest) and rng.random() < 0.6:
        return ReplaceRequest(command.order_id, command.size_lots, trail_ticks=rng.randint(1, 6))
    return command


def _new_type(rng: random.Random, order: OrderRequest) -> OrderRequest:
    if order.order_type is OrderType.STOP_LIMIT or (
        order.order_type is OrderType.LIMIT and rng.random() < 0.3
    ):
        trigger = rng.randint(93, 107)
        return changed(order, order_type=OrderType.LIMIT_IF_TOUCHED, stop_ticks=trigger)
    if order.order_type is not OrderType.STOP or rng.random() < 0.2:
        return order
    if rng.random() < 0.4:
        return changed(order, order_type=OrderType.MARKET_IF_TOUCHED)
    fields: dict[str, Any] = {"order_type": OrderType.TRAILING_STOP, "stop_ticks": None}
    fields["activation_ticks"] = rng.choice((None, None, rng.randint(96, 104)))
    if rng.random() < 0.5:
        return changed(order, trail_ticks=rng.choice((1, 2, 3)), **fields)
    return changed(order, trail_ppm=rng.choice((5_000, 15_000, 30_000)), **fields)


def random_run(seed: int, **extra: Any) -> list[Event]:
    """A random session full of touched orders and trailing stops."""
    rng = random.Random(seed)
    rows, commands = random_rows(rng), random_commands(rng)
    commands = [(ts_ns, with_new_types(rng, command)) for ts_ns, command in commands]
    settings = {**SETTINGS[seed % len(SETTINGS)], "trigger": rng.choice(list(TriggerSource))}
    steps = extra.pop("steps", 0)
    return play(open_market(rows, **settings, **extra), commands, steps=steps)


@pytest.mark.parametrize("seed", range(12))
def test_jumping_over_rows_changes_nothing(seed: int) -> None:
    events = random_run(seed)
    assert events == random_run(seed, visit_every_row=True)
    assert events == random_run(seed, steps=7)


def test_random_runs_trail_and_touch() -> None:
    events = [event for seed in range(12) for event in random_run(seed)]
    moved = 0
    stops: dict[int, int] = {}
    for event in events:
        if event.KIND.name == "ACCEPTED":
            stops[event.order_id] = event.stop_ticks
        elif isinstance(event, OrderTriggered):
            moved += stops.get(event.order_id) != event.stop_ticks
    assert moved > 30
