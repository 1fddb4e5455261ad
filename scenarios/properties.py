"""Properties that a strategy's runs have whatever the tape, checked by playing it again otherwise.

Each follows from a rule of docs/fills.md, and docs/testing.md says from which. A check returns
nothing, or raises PropertyError with the first event that differs and the file to which the tape
was written. Hypothesis shows the smallest example last, so the file holds the smallest tape.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from broker_api.errors import ConfigurationError
from broker_api.event import EventKind, EventRow
from broker_api.order import BracketRequest, OrderRequest, OrderType, Side
from data.schema import NO_ORIGIN
from data.tape import Tape
from data.written import table_of, write_tape
from reports.text import moment
from scenarios.expectation import Invariants
from scenarios.invariants import broken
from scenarios.journal_text import event_text
from scenarios.recording import played_sessions
from scenarios.reflections import (
    axis_of,
    comparable,
    mirrored_events,
    mirrored_tape,
    shifted_events,
    shifted_tape,
)
from scenarios.runner import REFUSALS, Outcome, Script
from scenarios.storm_drawing import Storm
from scenarios.trial import (
    Settings,
    Strategy,
    Trial,
    instruments_of,
    run_strategy,
    settings_with,
)

FAILING_TAPES = Path("failing-tapes")
"""Where tapes of failed checks go, in the working directory."""
PIECE_SECONDS = 0.37
_NO_MONEY = {"fees": False, "margin": False}


class PropertyError(AssertionError):
    """A property does not hold. `tapes` are the files of the tapes on which it does not."""

    def __init__(self, text: str, tapes: tuple[Path, ...]) -> None:
        where = ", ".join(str(path) for path in tapes)
        super().__init__(f"{text}\nthe tape is kept in {where}")
        self.tapes = tapes


def always_holds(
    strategy: Strategy, tape: Tape, *, settings: Settings = None, **parameters: Any
) -> None:
    """What holds for every strategy on every tape: the next three."""
    for check in (same_again, every_row, in_pieces):
        check(strategy, tape, settings=settings, **parameters)


def same_again(
    strategy: Strategy, tape: Tape, *, settings: Settings = None, **parameters: Any
) -> None:
    """A second run is the first one: nothing is left over in globals, nothing is drawn anew."""
    first = _played(strategy, tape, settings, parameters)
    second = run_strategy(strategy, tape, settings=settings, **parameters)
    _same(strategy, tape, "a second run", first, second)


def every_row(
    strategy: Strategy, tape: Tape, *, settings: Settings = None, **parameters: Any
) -> None:
    """A run that visits every row is the run that jumps to those that concern it."""
    first = _played(strategy, tape, settings, parameters)
    slow = settings_with(tape, settings)
    slow.forced["visit_every_row"] = True
    second = run_strategy(strategy, tape, settings=slow, **parameters)
    _same(strategy, tape, "the run that visits every row", first, second)


def in_pieces(
    strategy: Strategy,
    tape: Tape,
    *,
    settings: Settings = None,
    seconds: float = PIECE_SECONDS,
    **parameters: Any,
) -> None:
    """A run that stops every so many seconds of its time, for nothing, is the run that does not."""

    async def ticker() -> None:
        for _ in itertools.count():  # until it is cancelled
            await asyncio.sleep(seconds)

    first = _played(strategy, tape, settings, parameters)
    second = run_strategy(strategy, tape, settings=settings, beside=ticker, **parameters)
    _same(strategy, tape, f"the run in pieces of {seconds:g} s", first, second)


def shifted(
    strategy: Strategy,
    tape: Tape,
    *,
    settings: Settings = None,
    ticks: int = 400,
    **parameters: Any,
) -> None:
    """With every price higher by a constant the run is the same, so many ticks higher.

    For strategies that know no price by heart; fees and margins, which may follow the price, are
    off. Percentages (trailing stops, price bands) follow it too: such orders do not have this.
    """
    free, spec = _without_money(tape, settings)
    first = _played(strategy, tape, free, parameters)
    moved = shifted_tape(tape, ticks, spec)
    second = run_strategy(strategy, moved, settings=free, **parameters)
    expected = shifted_events(first.events, ticks)
    _compare(strategy, tape, f"the run {ticks} ticks higher", expected, second, first)


def mirrored(
    strategy: Strategy,
    tape: Tape,
    *,
    settings: Settings = None,
    mirror: Mapping[str, Any] | None = None,
    **parameters: Any,
) -> None:
    """On the mirrored tape, where falling prices rise, the run is the mirrored run.

    For strategies that treat both sides alike; one that is told its side gets the other by
    `mirror`: the parameters of the mirrored run that differ. Fees and margins are off.
    """
    free, spec = _without_money(tape, settings)
    axis = axis_of(tape)
    other = mirrored_tape(tape, axis, spec)
    first = _played(strategy, tape, free, parameters)
    second = run_strategy(strategy, other, settings=free, **{**parameters, **(mirror or {})})
    expected = mirrored_events(first.events, axis)
    _compare(strategy, tape, "the run in the mirror", expected, second, first)


def slower_is_no_better(
    strategy: Strategy,
    tape: Tape,
    *,
    settings: Settings = None,
    more_ms: float = 250.0,
    **parameters: Any,
) -> None:
    """On a tape that only rises, a buyer who is later gets no better price; a seller when it falls.

    Judged is the first order of the session, where it is a market order, by the price at which it
    begins to fill: nothing of the session can have moved or used up the touch that it meets. Raises
    ConfigurationError for a tape that goes both ways.
    """
    side = _one_way(tape)
    first = _played(strategy, tape, settings, parameters)
    slow = settings_with(tape, settings)
    entry = first.suite.session.broker.spec.simulation.entry_latency_ms  # type: ignore[attr-defined]
    if not isinstance(entry, int | float):
        raise ConfigurationError("slower_is_no_better needs an entry latency that is a number")
    slow.forced["entry_latency_ms"] = float(entry) + more_ms
    second = run_strategy(strategy, tape, settings=slow, **parameters)
    early, late = _first_price(first, side), _first_price(second, side)
    if early is not None and late is not None and side.sign * (late - early) < 0:
        spec = first.instruments[0]
        prices = [spec.ticks_to_price(ticks) for ticks in (early, late)]
        _fail(
            strategy,
            tape,
            f"{more_ms:g} ms later the first order filled at {prices[1]}, better than {prices[0]}",
        )


def holds_in_storm(
    strategy: Strategy,
    tape: Tape,
    storm: Storm,
    *,
    settings: Settings = None,
    invariants: Invariants | Mapping[str, Any] | None = None,
    **parameters: Any,
) -> None:
    """In a storm the strategy raises nothing but refusals, and every invariant holds.

    `invariants` are those of a scenario's `[expect.invariants]`, as a table.
    """
    rules = invariants if isinstance(invariants, Invariants) else Invariants(**(invariants or {}))
    trial = run_strategy(strategy, tape, settings=settings, storm=storm, **parameters)
    outcome = Outcome([trial.suite], strategy.__name__, parameters, trial.tape_ended, 0)
    ((played),) = played_sessions(Script(Path(strategy.__name__)), outcome)
    told = list(broken(rules, played.record, played.metrics))
    if trial.error is not None and not isinstance(trial.error, REFUSALS):
        told.append(f"the strategy raised {type(trial.error).__name__}: {trial.error}")
    if told:
        _fail(strategy, tape, f"in {storm!r}: {'; '.join(told)}")


# --- comparing ---------------------------------------------------------------------------------


def _played(
    strategy: Strategy, tape: Tape, settings: Settings, parameters: Mapping[str, Any]
) -> Trial:
    """The run that another is compared with; it may end with a refusal, not with a fault."""
    trial = run_strategy(strategy, tape, settings=settings, **parameters)
    if trial.error is not None and not isinstance(trial.error, REFUSALS):
        kept = _keep(strategy, tape)
        text = f"the strategy raised {type(trial.error).__name__}: {trial.error}"
        raise PropertyError(text, kept) from trial.error
    return trial


def _without_money(tape: Tape, settings: Settings) -> tuple[Any, Any]:
    free = settings_with(tape, settings)
    free.forced.update(_NO_MONEY)
    return free, instruments_of(free)[0]


def _same(strategy: Strategy, tape: Tape, what: str, first: Trial, second: Trial) -> None:
    _compare_rows(strategy, tape, what, first.events, second.events, first)
    errors = [repr(trial.error) for trial in (first, second)]
    if errors[0] != errors[1]:
        _fail(strategy, tape, f"{what} ended with {errors[1]}, the other with {errors[0]}")


def _compare(
    strategy: Strategy,
    tape: Tape,
    what: str,
    expected: npt.NDArray[np.void],
    second: Trial,
    first: Trial,
) -> None:
    _compare_rows(strategy, tape, what, expected, comparable(second.events), first)


def _compare_rows(
    strategy: Strategy,
    tape: Tape,
    what: str,
    expected: npt.NDArray[np.void],
    actual: npt.NDArray[np.void],
    trial: Trial,
) -> None:
    shared = min(len(expected), len(actual))
    other = np.flatnonzero(expected[:shared] != actual[:shared])
    if not len(other) and len(expected) == len(actual):
        return
    at = int(other[0]) if len(other) else shared
    there, here = (_event(rows, at, trial) for rows in (expected, actual))
    _fail(
        strategy, tape, f"{what} is another one from event {at + 1:,} on: {here} instead of {there}"
    )


def _event(rows: npt.NDArray[np.void], at: int, trial: Trial) -> str:
    if at >= len(rows):
        return "nothing more"
    row = EventRow._make(rows[at].item())
    return f"{event_text(row, trial.instruments)} at {moment(row.ts_ns)}"


def _fail(strategy: Strategy, tape: Tape, text: str) -> NoReturn:
    raise PropertyError(text, _keep(strategy, tape))


def _keep(strategy: Strategy, tape: Tape) -> tuple[Path, ...]:
    """Write the tape; the same strategy's next failure takes the file's place."""
    if tape.bar_interval_ns:
        return (Path(tape.source),)  # a file of bars is where it was; nobody makes others
    name = getattr(strategy, "__name__", "strategy")
    defaults = settings_with(tape, None)
    FAILING_TAPES.mkdir(parents=True, exist_ok=True)
    path = FAILING_TAPES / f"{name}-{tape.symbol}.parquet"
    plain = replace(tape, columns=tape.l1, origin=NO_ORIGIN)
    write_tape(table_of(plain, instruments_of(defaults)[0]), path)
    return (path,)


# --- one way -----------------------------------------------------------------------------------


def _one_way(tape: Tape) -> Side:
    columns = tape.columns
    asks = columns.ask[columns.ask_qty > 0]
    bids = columns.bid[columns.bid_qty > 0]
    if (np.diff(asks) >= 0).all() and (np.diff(bids) >= 0).all():
        return Side.BUY
    if (np.diff(asks) <= 0).all() and (np.diff(bids) <= 0).all():
        return Side.SELL
    raise ConfigurationError(f"the tape of {tape.symbol} goes both ways; tapes(one_way=...)")


def _first_price(trial: Trial, side: Side) -> int | None:
    """Where the session's first order began to fill, if it is one that takes on this side."""
    commands = trial.suite.session.journal.recorded_commands()
    command = commands[0].command if commands else None
    order = command.entry if isinstance(command, BracketRequest) else command
    if not isinstance(order, OrderRequest):
        return None
    if order.order_type is not OrderType.MARKET or order.side is not side:
        return None
    rows = trial.events
    fills = rows[(rows["kind"] == EventKind.FILLED) & (rows["order_id"] == order.order_id)]
    return int(fills["price_ticks"][0]) if len(fills) else None
