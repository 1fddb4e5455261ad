"""Random markets and random orders from one seed, for what no table thought of.

Small numbers on purpose: prices within a few ticks of each other and sizes of a few lots make
queues, crossings, sweeps, empty sides and groups meet each other often.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from broker_api.event import Event
from broker_api.order import (
    Arm,
    BracketRequest,
    CancelRequest,
    Command,
    ExitRequest,
    OcoRequest,
    OnPartial,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Side,
    TimeInForce,
)
from tests.sim.market import Market, an_instrument, tape_of

ROWS = 240
STEP_NS = 10
TAKERS = (TimeInForce.NONE, TimeInForce.NONE, TimeInForce.IOC, TimeInForce.FOK)
MAKERS = (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)


def random_rows(rng: random.Random, *, halts: bool = True) -> list[str]:
    """Lines of a tape: a walking touch, prints at and through it, marks, funding, a halt or two."""
    rows, bid, ask = [], 100, 101
    ts, halted = 0, False
    for _ in range(ROWS):
        ts += rng.choice((0, STEP_NS, STEP_NS, 3 * STEP_NS))
        draw = rng.random()
        if halts and (halted or draw < 0.01):
            halted = not halted
            rows.append(f"{ts} {'halt' if halted else 'resume'}")
            continue
        if draw < 0.03:
            rows.append(f"{ts} mark {bid + rng.choice((-0.5, 0, 0.25, 1))}")
            continue
        if draw < 0.04:
            rows.append(f"{ts} funding {rng.choice((-50, 100, 300))}ppm {bid}")
            continue
        if draw < 0.5:
            side = rng.choice(("buy", "sell", "print"))
            price = (ask if side == "buy" else bid) + rng.choice((0, 0, 0, -1, 1))
            bid, ask = moved(rng, bid, ask)
            rows.append(f"{ts} {side} {rng.randint(1, 9)}@{price} {book(rng, bid, ask)}")
            continue
        bid, ask = moved(rng, bid, ask)
        rows.append(f"{ts} {book(rng, bid, ask)}")
    return ["0 9x100 101x9", *rows]


def moved(rng: random.Random, bid: int, ask: int) -> tuple[int, int]:
    """The touch after a step; the spread stays between 1 and 4 ticks."""
    away = (bid > 103) - (bid < 97)  # back to where the orders are
    bid += rng.choice((-2, -1, 0, 0, 0, 0, 1, 2, -away))
    return bid, bid + max(1, min(4, ask - bid + rng.choice((-1, 0, 0, 1))))


def book(rng: random.Random, bid: int, ask: int) -> str:
    """A quote; one side in thirty is empty."""
    bids = "-" if rng.random() < 0.03 else f"{rng.randint(1, 12)}x{bid}"
    asks = "-" if rng.random() < 0.03 else f"{ask}x{rng.randint(1, 12)}"
    return f"{bids} {asks}"


@dataclass
class Ids:
    """The ids that a generator has given out."""

    last: int = 0

    def take(self) -> int:
        self.last += 1
        return self.last


def random_order(rng: random.Random, ids: Ids, ts_ns: int, symbol: str = "X") -> OrderRequest:
    """Any order that the kernel knows, sensible or not."""
    kind = rng.choice((OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT, OrderType.STOP))
    kind = OrderType.STOP_LIMIT if rng.random() < 0.1 else kind
    around = rng.randint(92, 108)
    fields: dict[str, Any] = {"time_in_force": rng.choice(MAKERS)}
    if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        fields["limit_ticks"] = around
    if kind in (OrderType.STOP, OrderType.STOP_LIMIT):
        fields["stop_ticks"] = around + rng.randint(-2, 2)
    if kind is OrderType.MARKET:
        fields["time_in_force"] = rng.choice(TAKERS)
        if rng.random() < 0.2:
            fields["protection_ticks"] = rng.randint(0, 3)
    if kind is not OrderType.MARKET and rng.random() < 0.15:
        fields |= {"time_in_force": TimeInForce.GTD, "expires_at_ns": ts_ns + rng.randint(0, 400)}
    fields["post_only"] = kind is OrderType.LIMIT and rng.random() < 0.1
    fields["reduce_only"] = rng.random() < 0.15
    side, number = rng.choice((Side.BUY, Side.SELL)), ids.take()
    return OrderRequest(number, str(number), symbol, side, kind, rng.randint(1, 12), **fields)


def random_exit(rng: random.Random, ids: Ids, price: int, *, stop: bool) -> ExitRequest:
    """An exit by offset or at a price near `price`."""
    beyond = rng.randint(0, 3) if stop and rng.random() < 0.2 else None
    number = ids.take()
    if rng.random() < 0.6:
        return ExitRequest(
            number, str(number), offset_ticks=rng.choice((1, 1, 2, 3, 6)), limit_offset_ticks=beyond
        )
    return ExitRequest(number, str(number), price_ticks=price, limit_offset_ticks=beyond)


def random_command(rng: random.Random, ids: Ids, ts_ns: int, symbol: str = "X") -> Command:
    """A command; changes and cancels choose among all ids so far, most of recent ones."""
    draw = rng.random()
    known = max(1, rng.randint(max(1, ids.last - 15), max(1, ids.last)))
    if draw < 0.3:
        return random_order(rng, ids, ts_ns, symbol)
    if draw < 0.55:
        entry = random_order(rng, ids, ts_ns, symbol)
        away = entry.side.sign * rng.randint(1, 6)
        stop = random_exit(rng, ids, 100 - away, stop=True) if rng.random() < 0.8 else None
        target = random_exit(rng, ids, 100 + away, stop=False) if rng.random() < 0.8 else None
        return BracketRequest(entry, stop, target, arm=rng.choice(tuple(Arm)))
    if draw < 0.65:
        first, second = (random_order(rng, ids, ts_ns, symbol) for _ in range(2))
        return OcoRequest(first, second, on_partial=rng.choice(tuple(OnPartial)))
    if draw < 0.8:
        return CancelRequest(known)
    size = rng.choice((None, rng.randint(1, 14)))
    limit = rng.choice((None, rng.randint(93, 107)))
    stop = rng.choice((None, None, rng.randint(93, 107)))
    return ReplaceRequest(known, size, limit, stop)


SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"beyond_top": "wait", "queue": "front"},
    {"beyond_top": "infinite", "queue": "displayed", "stop_wrong_side": "trigger"},
    {"queue": "back", "self_trade": "cancel_oldest"},
    {"trade_through": "all", "self_trade": "cancel_both", "queue_power": 1.0},
    {"queue_power": 2.0, "bbo_after_trade": False, "margin": True, "cash": 1_000.0},
    {"beyond_top": "wait", "margin": True, "cash": 600.0, "stop_wrong_side": "trigger"},
)
INSTRUMENT = an_instrument(
    maker_fee_ppm=-20,
    taker_fee_ppm=250,
    fee_per_unit=Decimal("0.37"),
    initial_margin=Decimal(40),
    maintenance_margin=Decimal(38),
    initial_margin_ppm=50_000,
    maintenance_margin_ppm=25_000,
    max_size=Decimal(60),
)


def open_market(rows: list[str], **settings: Any) -> Market:
    """A market over the rows with an instrument that has fees and margins of both kinds."""
    after = settings.get("bbo_after_trade", True)
    return Market(
        tapes=[tape_of(rows, bbo_after_trade=after)], instruments=[INSTRUMENT], **settings
    )


def play(market: Market, commands: list[tuple[int, Command]], *, steps: int = 0) -> list[Event]:
    """Send the commands at their times; with `steps`, time moves in steps of that many ns."""
    for ts_ns, command in [*commands, (10**9, None)]:
        while steps and market.exchange.now_ns + steps < min(ts_ns, ROWS * 40):
            market.run_to(market.exchange.now_ns + steps)
        market.run_to(ts_ns)
        if command is not None:
            market.execute(command)
    return market.events


def random_commands(rng: random.Random) -> list[tuple[int, Command]]:
    """Commands with their times, a burst now and then."""
    ids, ts_ns, commands = Ids(), 0, []
    for _ in range(ROWS // 2):
        ts_ns += rng.choice((0, 3, STEP_NS, STEP_NS, 4 * STEP_NS, 7 * STEP_NS))
        commands.append((ts_ns, random_command(rng, ids, ts_ns)))
    return commands
