"""A trader that sends random commands to an exchange, everything from one seed.

What it sends depends on the seed, on the tape and on the events that it got: two exchanges that
answer alike get the same commands, and the first different event makes the lists differ.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from broker_api.calendar import load_calendar
from broker_api.catalog import find, load_catalog
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.event import Event, OrderAccepted, OrderEventBase
from broker_api.instrument import Instrument
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
from data.tape import Tape, open_tape, sample_path
from sim.exchange import Exchange

RECORDED = Path(__file__).parents[3] / "shared" / "data"
SECOND = 1_000_000_000
STEPS_NS = (0, 0, 1_000, 50_000_000, SECOND, 5 * SECOND, 20 * SECOND)
SILENCES_NS = (SECOND, 60 * SECOND, 300 * SECOND)


def instrument(symbol: str) -> Instrument:
    """An instrument of the catalogue."""
    return find(load_catalog(), symbol)


@cache
def tape_of(symbol: str, recorded: str | None = None) -> Tape:
    """The instrument's sample tape, or a recorded one."""
    path = sample_path(symbol) if recorded is None else RECORDED / recorded
    assert path is not None
    return open_tape(path, instrument(symbol))


@dataclass
class Trader:
    """Random commands from a seed; with a `lean` market orders alone, mostly of that side.

    `orders` are the known orders that have not ended.
    """

    chance: random.Random
    instruments: Sequence[Instrument]
    tapes: Sequence[Tape]
    lean: Side | None = None
    orders: dict[int, OrderAccepted] = field(default_factory=dict)
    given: int = 0

    def __post_init__(self) -> None:
        """A quarter of the usual touch is one unit of size, so that orders fill in parts."""
        self.units = [int(np.median(tape.columns.bid_qty)) // 4 for tape in self.tapes]

    def hear(self, events: Sequence[Event]) -> None:
        """Take note of what was published."""
        for event in events:
            if isinstance(event, OrderAccepted):
                self.orders[event.order_id] = event
            elif isinstance(event, OrderEventBase) and event.status.is_terminal:
                self.orders.pop(event.order_id, None)

    def command(self, exchange: Exchange) -> Command | None:
        """The next command, None while the book of the chosen instrument has an empty side."""
        at = self.chance.randrange(len(self.tapes))
        columns, row = self.tapes[at].columns, exchange.row_in_force(at, exchange.now_ns)
        if row < 0 or not columns.bid_qty[row] or not columns.ask_qty[row]:
            return None
        market = _Market(self, at, int(columns.bid[row]), int(columns.ask[row]), exchange.now_ns)
        if self.lean is not None:
            return _market(market)
        kinds = [*_NEW, *_CHANGES] if self.orders else _NEW
        return self.chance.choice(kinds)(market)

    def next_id(self) -> int:
        """A fresh order id."""
        self.given += 1
        return self.given


@dataclass
class _Market:
    """What a command is made from: the trader and the touch at the present time."""

    trader: Trader
    at: int
    bid: int
    ask: int
    now_ns: int

    def __post_init__(self) -> None:
        self.chance = self.trader.chance
        self.spec = self.trader.instruments[self.at]
        self.side = Side(self.chance.randrange(2))
        if self.trader.lean is not None and self.chance.random() < 0.9:
            self.side = self.trader.lean

    def lots(self) -> int:
        unit = max(self.spec.min_lots, self.trader.units[self.at])
        return unit * self.chance.choice((1, 1, 2, 3, 5, 12, 40))

    def touch(self, side: Side) -> int:
        """The price at which an order of that side rests at the touch."""
        return self.bid if side is Side.BUY else self.ask

    def away(self, side: Side, least: int = 1, most: int = 12) -> int:
        """A price that the market has to come to, for a limit order of that side."""
        return self.touch(side) - side.sign * self.chance.randint(least, most)

    def through(self, side: Side) -> int:
        """A price beyond the market, for a stop of that side."""
        return self.touch(side.opposite) + side.sign * self.chance.randint(1, 12)

    def order(self, order_type: OrderType, side: Side | None = None, **fields: Any) -> OrderRequest:
        order_id = self.trader.next_id()
        return OrderRequest(
            order_id=order_id,
            client_order_id=str(order_id),
            instrument=self.spec.symbol,
            side=self.side if side is None else side,
            order_type=order_type,
            size_lots=fields.pop("size_lots", None) or self.lots(),
            **fields,
        )

    def exit(self) -> ExitRequest:
        order_id = self.trader.next_id()
        return ExitRequest(
            order_id, str(order_id), offset_ticks=self.chance.choice((1, 1, 2, 4, 10, 30))
        )


def _market(of: _Market) -> Command:
    force = of.chance.choice((TimeInForce.NONE, TimeInForce.NONE, TimeInForce.IOC, TimeInForce.FOK))
    protection = of.chance.choice((None, None, 0, 2))
    return of.order(OrderType.MARKET, time_in_force=force, protection_ticks=protection)


def _limit(of: _Market) -> Command:
    price = of.chance.choice((of.touch(of.side), of.away(of.side), of.away(of.side, -3, 1)))
    force = of.chance.choice((TimeInForce.GTC,) * 4 + tuple(TimeInForce)[2:])
    expires = of.now_ns + of.chance.choice(STEPS_NS[2:]) if force is TimeInForce.GTD else None
    return of.order(
        OrderType.LIMIT,
        limit_ticks=price,
        time_in_force=force,
        expires_at_ns=expires,
        post_only=of.chance.random() < 0.15 and force in (TimeInForce.GTC, TimeInForce.DAY),
    )


def _stop(of: _Market) -> Command:
    return of.order(OrderType.STOP, stop_ticks=of.through(of.side))


def _stop_limit(of: _Market) -> Command:
    stop = of.through(of.side)
    limit = stop + of.side.sign * of.chance.randint(-3, 3)
    return of.order(OrderType.STOP_LIMIT, stop_ticks=stop, limit_ticks=limit)


def _bracket(of: _Market) -> Command:
    entry = of.chance.choice(
        (
            of.order(OrderType.MARKET, time_in_force=TimeInForce.NONE),
            of.order(OrderType.LIMIT, limit_ticks=of.touch(of.side)),
            of.order(OrderType.LIMIT, limit_ticks=of.away(of.side)),
            of.order(OrderType.STOP, stop_ticks=of.through(of.side)),
        )
    )
    stop, target = of.chance.choice(
        ((of.exit(), of.exit()), (of.exit(), of.exit()), (of.exit(), None), (None, of.exit()))
    )
    return BracketRequest(
        entry, stop, target, of.chance.choice(tuple(Arm)), of.chance.choice(tuple(OnPartial))
    )


def _oco(of: _Market) -> Command:
    lots = of.lots()
    first = of.order(OrderType.LIMIT, of.side, size_lots=lots, limit_ticks=of.away(of.side, 0))
    second = of.order(OrderType.STOP, of.side, size_lots=lots, stop_ticks=of.through(of.side))
    return OcoRequest(first, second, of.chance.choice(tuple(OnPartial)))


def _reduce(of: _Market) -> Command:
    kind = of.chance.choice((OrderType.MARKET, OrderType.LIMIT, OrderType.STOP))
    if kind is OrderType.MARKET:
        return of.order(kind, reduce_only=True, time_in_force=TimeInForce.NONE)
    if kind is OrderType.LIMIT:
        return of.order(kind, reduce_only=True, limit_ticks=of.away(of.side, 0))
    return of.order(kind, reduce_only=True, stop_ticks=of.through(of.side))


def _replace(of: _Market) -> Command:
    known = of.chance.choice(list(of.trader.orders.values()))
    prices = {
        name: value + of.chance.randint(-6, 6)
        for name, value in (("limit_ticks", known.price_ticks), ("stop_ticks", known.stop_ticks))
        if value > 0 and of.chance.random() < 0.6
    }
    share = of.chance.choice((0.25, 0.5, 0.9, 1.1, 2.0))
    size = max(1, int(known.lots * share)) if of.chance.random() < 0.5 else None
    return ReplaceRequest(known.order_id, size, **prices)


def _cancel(of: _Market) -> Command:
    anyone = of.chance.randint(1, of.trader.given + 1)
    return CancelRequest(of.chance.choice([anyone, *of.trader.orders]))


_NEW = (_market, _limit, _limit, _limit, _stop, _stop_limit, _bracket, _bracket, _oco, _reduce)
_CHANGES = (_replace, _replace, _cancel, _cancel)


@dataclass
class Session:
    """What a random session left behind."""

    events: list[Event]
    cash_nanos: int
    equity_nanos: int


def trade(
    tapes: Sequence[Tape],
    simulation: SimulationConfig,
    seed: int,
    *,
    commands: int = 300,
    cash: float = 200_000.0,
    stops: random.Random | None = None,
    lean: Side | None = None,
) -> Session:
    """One random session from a random place of the tapes on.

    A `lean` leaves long silences in which only the account is of interest. `stops` interrupts
    the exchange at further times, as a strategy does that looks at the market.
    """
    chance = random.Random(seed)
    specs = [instrument(tape.symbol) for tape in tapes]
    first, last = max(tape.start_ns for tape in tapes), min(tape.end_ns for tape in tapes)
    start_ns = chance.randrange(first, max(first + 1, last - commands * 5 * SECOND))
    exchange = Exchange(
        specs,
        tapes,
        [load_calendar(spec.calendar) for spec in specs],
        simulation,
        AccountConfig(cash=cash),
        start_ns,
    )
    trader = Trader(chance, specs, tapes, lean)
    steps = STEPS_NS if lean is None else SILENCES_NS
    events: list[Event] = []
    for _ in range(commands):
        until_ns = exchange.now_ns + chance.choice(steps)
        events += _advance(exchange, trader, until_ns, stops)
        command = trader.command(exchange)
        if command is not None:
            answer = exchange.execute(command)
            assert answer, f"{command} got no answer"
            trader.hear(answer)
            events += answer
    events += _advance(exchange, trader, exchange.now_ns + 600 * SECOND, stops)
    return Session(events, exchange.cash_nanos(), exchange.equity_nanos())


def _advance(
    exchange: Exchange, trader: Trader, until_ns: int, stops: random.Random | None
) -> list[Event]:
    """Everything that is published up to `until_ns`, told to the trader as it comes."""
    heard: list[Event] = []
    while True:
        target = until_ns
        if stops is not None and exchange.now_ns < until_ns:
            target = stops.randint(exchange.now_ns + 1, until_ns)
        published = exchange.advance(target)
        trader.hear(published)
        heard += published
        if not published and exchange.now_ns >= until_ns:
            return heard
