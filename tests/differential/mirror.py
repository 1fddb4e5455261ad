"""A session in the mirror: prices reflected at an axis, sides swapped, in tapes, commands, events.

Nothing in the rules prefers buyers, so the log of the mirrored session is the mirrored log. What is
counted per unit of price (fees and margins by notional, funding, percent) keeps its size only where
the axis is zero; then, in turn, marks would not be positive, and count as unknown.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from broker_api.event import Event, Reason
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    CancelRequest,
    Command,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    ReplaceRequest,
)
from data.bar_tape import ROWS_OF_BAR
from data.schema import EMPTY_ASK, EMPTY_BID, RowKind, TapeColumns
from data.tape import Tape
from sim.exchange import Exchange
from tests.differential.bars import bar_case
from tests.differential.crowd import Crowd
from tests.differential.generate import Case, make_case
from tests.differential.sessions import several_case
from tests.sim.test_trigger_runs import with_new_types

NANO = 1_000_000_000
STEPS = 50
PRICES = ("limit_ticks", "stop_ticks", "activation_ticks", "price_ticks")
MOST_LOTS = 10_000
OTHER_PATH = {"ohlc": "olhc", "olhc": "ohlc"}
ONE_PRICE = (
    Reason.POST_ONLY_WOULD_TAKE,
    Reason.STOP_WRONG_SIDE,
    Reason.BRACKET_LEVELS,
    Reason.PRICE_OUTSIDE_BAND,
)
"""Reasons whose value and limit are prices."""


@dataclass(frozen=True)
class Mirror:
    """Reflects prices at `axis` / 2: p becomes axis - p."""

    case: Case
    axis: int

    def price(self, ticks: int) -> int:
        """The other side of the axis."""
        return self.axis - ticks

    def mirrored_case(self) -> Case:
        """The same session seen in the mirror."""
        pairs = zip(self.case.tapes, self.case.instruments, strict=True)
        tapes = tuple(self._tape(tape, int(item.tick_size * NANO)) for tape, item in pairs)
        path = self.case.simulation.bar_path
        there = {"bar_path": OTHER_PATH.get(path, path)}
        return replace(
            self.case, tapes=tapes, simulation=self.case.simulation.model_copy(update=there)
        )

    def _tape(self, tape: Tape, tick_nanos: int) -> Tape:
        old = tape.columns
        px = old.px.copy()
        px[old.kind == RowKind.TRADE] = self.axis - px[old.kind == RowKind.TRADE]
        marks = (old.kind >= RowKind.MARK) & (old.px > 0)
        px[marks] = self.axis * tick_nanos - px[marks]
        if tape.bar_interval_ns:
            # What was the high is the low, and stands in the low's place.
            bars = px.reshape(-1, ROWS_OF_BAR)
            bars[:, [1, 2]] = bars[:, [2, 1]]
        columns = TapeColumns(
            ts=old.ts,
            kind=old.kind,
            side=-old.side,
            px=px,
            qty=old.qty,
            bid=np.where(old.ask_qty > 0, self.axis - old.ask, EMPTY_BID),
            ask=np.where(old.bid_qty > 0, self.axis - old.bid, EMPTY_ASK),
            bid_qty=old.ask_qty,
            ask_qty=old.bid_qty,
        )
        if tape.bar_interval_ns:
            columns = columns._replace(bid=px, ask=px + 1)
        return replace(tape, columns=columns)

    def command(self, command: Command) -> Command:
        """The command of the one who stands on his head."""
        match command:
            case OrderRequest():
                return replace(self._prices(command), side=command.side.opposite)
            case BracketRequest():
                return replace(
                    command,
                    entry=self.command(command.entry),
                    stop=self._exit(command.stop),
                    target=self._exit(command.target),
                )
            case OcoRequest():
                first, second = self.command(command.first), self.command(command.second)
                return replace(command, first=first, second=second)
            case ReplaceRequest():
                return self._prices(command)
            case CancelRequest():
                return command
        raise TypeError(f"{type(command).__name__} has no mirror image")

    def _exit(self, leg: ExitRequest | None) -> ExitRequest | None:
        return None if leg is None else self._prices(leg)

    def _prices(self, thing: Any) -> Any:
        given = {name: getattr(thing, name, None) for name in PRICES}
        changed = {name: self.price(value) for name, value in given.items() if value is not None}
        return replace(thing, **changed)

    def event(self, event: Any, command: Command | None = None) -> Event:
        """The event as the mirror shows it; a refusal may tell what its command had named."""
        changed: dict[str, Any] = {}
        prices, distances = _named(command)
        for name in ("price_ticks", "stop_ticks"):
            value = getattr(event, name, NO_PRICE)
            if value != NO_PRICE:
                changed[name] = self.price(value)
        if hasattr(event, "side"):
            changed["side"] = event.side.opposite
        if hasattr(event, "position_lots"):
            changed["position_lots"] = -event.position_lots
        if hasattr(event, "position_cost"):
            changed["position_cost"] = event.position_cost - self.axis * event.position_lots
        if getattr(event, "reason", None) is Reason.BRACKET_LEVELS and event.value in distances:
            pass  # a distance is the same on both sides
        elif getattr(event, "reason", None) in ONE_PRICE:
            changed |= {"value": self.price(event.value), "limit": self.price(event.limit)}
        elif getattr(event, "reason", None) is Reason.NOT_MODIFIABLE and event.value in prices:
            changed["value"] = self.price(event.value)
        elif getattr(event, "reason", None) is Reason.REDUCE_ONLY_WRONG_SIDE:
            changed["value"] = -event.value
        return replace(event, **changed)


def _named(command: Command | None) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    """The prices of a change, and the distances of a bracket that gives two for one exit."""
    if isinstance(command, ReplaceRequest):
        return (command.limit_ticks, command.stop_ticks), ()
    if isinstance(command, BracketRequest):
        legs = [leg for leg in (command.stop, command.target) if leg is not None]
        twice = [leg for leg in legs if leg.trail_ticks is not None or leg.price_ticks is not None]
        return (), tuple(step for leg in twice for step in (leg.offset_ticks, leg.trail_ticks))
    return (), ()


def reflected(seed: int) -> Mirror:
    """A session with nothing by notional, in a mirror above it: marks stay positive."""
    return _reflected(make_case(seed))


def reflected_bars(seed: int) -> Mirror:
    """The same on bars."""
    return _reflected(_alike(bar_case(seed)))


def _alike(case: Case) -> Case:
    """The session with the price in the middle of the touch, and no bar that a rule of its own
    decides: when both extremes are as near and it closed where it opened, the low comes first."""
    settings: dict[str, Any] = {"spread_ticks": 2 * (case.seed % 3)}
    for tape in case.tapes:
        if tape.bar_interval_ns:
            first, high, low, last = tape.columns.px.reshape(-1, ROWS_OF_BAR).T
            if ((high - first == first - low) & (first == last)).any():
                settings["bar_path"] = "ohlc"
    return replace(case, simulation=case.simulation.model_copy(update=settings))


def _reflected(case: Case) -> Mirror:
    by_unit = {"maker_fee_ppm": 0, "taker_fee_ppm": 0}
    by_unit |= {"initial_margin_ppm": 0, "maintenance_margin_ppm": 0, "price_band_ppm": 0}
    changed = {"allow_negative_price": True, "margin_tiers": (), **by_unit}
    # The largest size whose money fits depends on how high prices are; nobody comes near it here.
    # A band around a mark between two ticks lies around the lower one.
    instruments = tuple(
        replace(
            item,
            max_size=min(item.max_size, item.lot_size * MOST_LOTS),
            price_band_ticks=0 if tape.has_marks else item.price_band_ticks,
            **changed,
        )
        for item, tape in zip(case.instruments, case.tapes, strict=True)
    )
    tapes = tuple(_without(tape, rates=True) for tape in case.tapes)
    accounts = tuple(each.model_copy(update={"leverage": {}}) for each in case.accounts)
    return Mirror(replace(case, instruments=instruments, tapes=tapes, accounts=accounts), 400)


def reflected_accounts(seed: int) -> Mirror:
    """The same with several accounts on one book, from the first row on.

    Accounts may trade where the tape shows nothing yet; a side that has shown nothing values a
    position at zero, which has no mirror image.
    """
    return _reflected(replace(several_case(seed), start_ns=None))


def negated(seed: int) -> Mirror:
    """A session without marks, in a mirror at zero: what is by notional stays."""
    return _negated(make_case(seed))


def negated_bars(seed: int) -> Mirror:
    """The same on bars."""
    return _negated(_alike(bar_case(seed)))


def _negated(case: Case) -> Mirror:
    instruments = tuple(replace(item, allow_negative_price=True) for item in case.instruments)
    tapes = tuple(_without(tape, rates=True, marks=True) for tape in case.tapes)
    return Mirror(replace(case, instruments=instruments, tapes=tapes), 0)


def _without(tape: Tape, *, rates: bool, marks: bool = False) -> Tape:
    """The tape with funding rates of zero, and with quotes instead of marks."""
    old = tape.columns
    is_mark = old.kind >= RowKind.MARK
    qty = np.where(is_mark & rates, 0, old.qty)
    px = np.where(is_mark & marks, 0, old.px)
    kind = np.where(is_mark & marks, RowKind.QUOTE, old.kind).astype(old.kind.dtype)
    return replace(tape, columns=old._replace(qty=qty, px=px, kind=kind))


def compare(mirror: Mirror, steps: int = STEPS) -> int:
    """Run a session and its mirror image; the number of events. Raises AssertionError."""
    there = mirror.mirrored_case()
    left, right = _exchange(mirror.case), _exchange(there)
    crowd, chance, count = Crowd(mirror.case), random.Random(mirror.case.seed), 0
    for _ in range(steps):
        command: Command | None = None
        pause_ns = crowd.pause_ns(left.now_ns)
        if pause_ns is None:
            account, command = crowd.sent(left.now_ns)
            command = with_new_types(chance, command)
            if mirror.axis:
                command = _in_ticks(command)
            events = left.execute(command, account)
            seen = right.execute(mirror.command(command), account)
            if isinstance(command, ReplaceRequest) and 0 in _named(command)[0]:
                continue  # a refusal tells it by a zero, which also stands for no price
            what = str(command)
        else:
            until_ns = left.now_ns + pause_ns
            events, seen = _advance(left, until_ns), _advance(right, until_ns)
            what = f"advance to {until_ns}"
        for event, theirs in zip_longest(events, seen):
            ours = None if event is None else mirror.event(event, command)
            assert ours == theirs, f"seed {mirror.case.seed}, {what}:\n{ours}\n{theirs}"
        crowd.note(events)
        count += len(events)
    for at in range(len(mirror.case.accounts)):
        told = f"seed {mirror.case.seed}: equity of account {at}"
        assert left.equity_nanos(at) == right.equity_nanos(at), told
    return count


def _in_ticks(command: Command) -> Command:
    """Trailing by ticks instead of percent, which is another distance at another price."""
    match command:
        case OrderRequest(trail_ppm=int()):
            return replace(command, trail_ppm=None, trail_ticks=2)
        case BracketRequest():
            return replace(command, entry=_in_ticks(command.entry))
        case OcoRequest():
            first, second = _in_ticks(command.first), _in_ticks(command.second)
            return replace(command, first=first, second=second)
    return command


def _exchange(case: Case) -> Exchange:
    given = case.instruments, case.tapes, case.calendars, case.simulation, case.accounts
    return Exchange(*given, case.start_ns)


def _advance(exchange: Exchange, until_ns: int) -> list[Event]:
    found: list[Event] = []
    while True:
        events = exchange.advance(until_ns)
        found += events
        if not events and exchange.now_ns >= until_ns:
            return found
