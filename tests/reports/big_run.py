"""A run of many trades, made quickly: brackets one after another on a random walk."""

from __future__ import annotations

import numpy as np
import pandas as pd

from broker_api.event import OrderActivated, Reason
from broker_api.instrument import NANOS
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    ExitRequest,
    Liquidity,
    OrderStatus,
    OrderType,
    Side,
)
from data.tape import tape_from_frame
from reports.run import RunRecord
from tests.reports.example_run import START_NS, Story, configuration, mnq

BRACKET_SECONDS = 20.0
OFFSET_TICKS = 8


def big_run(trades: int = 10_000, seed: int = 7) -> RunRecord:
    """`trades` brackets of one lot, 20 s apart, each closed by its stop or its target."""
    draws = np.random.Generator(np.random.Philox(key=seed))
    rows = int(trades * BRACKET_SECONDS)
    ticks = 84_000 + np.cumsum(draws.integers(-1, 2, rows))
    ts = START_NS + np.arange(rows) * NANOS
    bid = ticks * 0.25
    frame = pd.DataFrame(
        {
            "ts": pd.to_datetime(ts, utc=True),
            "bid": bid,
            "ask": bid + 0.25,
            "bid_size": 5.0,
            "ask_size": 5.0,
        }
    )
    story = Story([mnq()])
    sides, wins = draws.integers(0, 2, trades), draws.integers(0, 100, trades) < 52
    for number in range(trades):
        at = number * BRACKET_SECONDS
        _bracket(story, number, at, Side(int(sides[number])), int(ticks[int(at)]), wins[number])
    config = configuration(story.specs, strategy="many", ended_ns=int(ts[-1]))
    journal = story.journal
    return RunRecord(
        events=journal.events(),
        orders=journal.order_count,
        commands=journal.commands,
        instruments=(mnq(),),
        tapes=(tape_from_frame(frame, mnq()),),
        config=config,
    )


def _bracket(story: Story, number: int, at: float, side: Side, ticks: int, won: bool) -> None:
    entry_id = 3 * number + 1
    entry_price = ticks + (1 if side is Side.BUY else 0)
    entry = story.request(entry_id, side, 1, OrderType.LIMIT, entry_price, 0)
    exits = [ExitRequest(entry_id + leg, str(entry_id + leg), OFFSET_TICKS) for leg in (1, 2)]
    story.journal.record_command(story_ns(at), BracketRequest(entry, *exits))
    story.accept(at, entry)
    story.fill(at + 2, entry_id, side, entry_price, 1, Liquidity.MAKER)
    levels = [entry_price - side.sign * OFFSET_TICKS, entry_price + side.sign * OFFSET_TICKS]
    for leg, level in enumerate(levels, start=1):
        story._sizes[entry_id + leg] = 1
        story.event(
            OrderActivated,
            at + 2,
            **story._state(entry_id + leg, OrderStatus.OPEN, 1),
            price_ticks=level if leg == 2 else NO_PRICE,
            stop_ticks=level if leg == 1 else NO_PRICE,
            lots=1,
        )
    leg = 2 if won else 1
    liquidity = Liquidity.MAKER if won else Liquidity.TAKER
    ambiguous = number % 100 == 99
    story.fill(
        at + 12,
        entry_id + leg,
        side.opposite,
        levels[leg - 1],
        1,
        liquidity,
        ambiguous=ambiguous,
    )
    story.cancel(at + 12, entry_id + 3 - leg, Reason.SIBLING)


def story_ns(seconds: float) -> int:
    """Session time of a story's second."""
    return START_NS + round(seconds * NANOS)
