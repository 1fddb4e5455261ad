"""What an operator may ask of a running session, as plain data, and how a session does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from broker_api.changing import Changing
from broker_api.config import near_miss
from broker_api.errors import ConfigurationError, OrderError, TradingError
from broker_api.flattening import Flattening
from broker_api.record import UNASKED_ROLES, OrderRecord, PositionRecord
from broker_api.suite import TradingSuite
from broker_api.view import Order

SETTLE_SECONDS = 5.0
"""Session time that is waited for positions to be closed, before what is left is told."""
LOOKS = 100
"""Looks at the positions within that time."""
TEXT_LENGTH_MAX = 200

End = Callable[[], Awaitable[object]]
"""Ends a session: what "stop" does."""


class Action(str, Enum):
    """What an operator may ask for."""

    CANCEL = "cancel"
    """End one working order."""
    FLATTEN = "flatten"
    """Cancel what could add exposure and close every position, of one instrument or of all."""
    KILL = "kill"
    """Halt the account for good, cancel entries, close positions if asked for."""
    STOP = "stop"
    """End the session."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """One request. `number` counts those of a session from 1; `source` says where it came from.

    `order_id` goes with "cancel", `instrument` with "flatten" (None: all), `flatten` with "kill".
    Raises ConfigurationError for another combination.
    """

    number: int
    action: Action
    order_id: int | None = None
    instrument: str | None = None
    flatten: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        if (self.order_id is not None) != (self.action is Action.CANCEL):
            raise ConfigurationError('order_id goes with action "cancel", which needs one')
        if self.instrument is not None and self.action is not Action.FLATTEN:
            raise ConfigurationError(f'instrument goes with action "flatten", not "{self.action}"')
        if self.flatten and self.action is not Action.KILL:
            raise ConfigurationError(f'flatten goes with action "kill", not "{self.action}"')

    def to_dict(self) -> dict[str, Any]:
        """The request as a table for JSON; `from_dict` reads it."""
        return asdict(self) | {"action": str(self.action)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> OperatorRequest:
        """The request of a table. Raises ConfigurationError that names the field."""
        known = [field.name for field in fields(cls)]
        for name in table:
            if name not in known:
                raise ConfigurationError(
                    f"a request has no {name!r}{near_miss(str(name), known)}; known are "
                    f"{', '.join(known)}"
                )
        return cls(
            number=_value(table, "number", int, 0),
            action=_action(table.get("action")),
            order_id=_value(table, "order_id", int, None),
            instrument=_value(table, "instrument", str, None),
            flatten=_value(table, "flatten", bool, False),
            source=_value(table, "source", str, ""),
        )


def _action(text: object) -> Action:
    names = [str(each) for each in Action]
    if text not in names:
        hint = near_miss(str(text), names) or f"; known are {', '.join(names)}"
        raise ConfigurationError(f"action {text!r} is unknown{hint}")
    return Action(text)


def _value(table: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value: Any = table.get(name, default)
    if value is default:
        return value
    if type(value) is not kind or len(str(value)) > TEXT_LENGTH_MAX:
        raise ConfigurationError(f"{name} {value!r} of a request is no {kind.__name__}")
    return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request did. `failures` say what was refused; `left` what is still there.

    `cancelled` are ids of orders that ended, `closed` texts of positions that are closed.
    """

    request: OperatorRequest
    cancelled: tuple[int, ...] = ()
    closed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether all that was asked for has happened."""
        return not self.failures and not self.left

    @property
    def text(self) -> str:
        """The answer in a sentence."""
        action = self.request.action
        did = {
            Action.CANCEL: f"cancel of order {self.request.order_id}",
            Action.FLATTEN: f"flatten {self.request.instrument or 'all'}",
            Action.KILL: "killed: nothing that adds exposure is sent any more",
            Action.STOP: "the session ends",
        }[action]
        parts = [did]
        if self.cancelled:
            parts.append(f"cancelled {_counted(len(self.cancelled), 'order')}")
        if self.closed:
            parts.append(f"closed {', '.join(self.closed)}")
        if self.left:
            parts.append(f"STILL THERE: {', '.join(self.left)}")
        return "; ".join([*parts, *self.failures])

    def to_dict(self) -> dict[str, Any]:
        """The answer as a table for JSON."""
        return {
            "request": self.request.to_dict(),
            "done": self.is_done,
            "text": self.text,
            "cancelled": list(self.cancelled),
            "closed": list(self.closed),
            "left": list(self.left),
            "failures": list(self.failures),
        }


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


async def perform(suite: TradingSuite, request: OperatorRequest, end: End | None = None) -> Answer:
    """Do what an operator asks, in the session's loop; `end` ends the session, else `disconnect`.

    The answer tells refusals by the session or the venue; it raises nothing for them.
    """
    working = dict(suite.session.ledger.working)
    held = [position.lots for position in suite.session.ledger.positions]
    try:
        failures = await _WORK[request.action](suite, request, end)
    except TradingError as refusal:
        failures = [str(refusal)]
    cancelled = tuple(
        order_id
        for order_id, record in working.items()
        if record.status.value == "cancelled"  # an order that filled meanwhile was not cancelled
    )
    return Answer(request, cancelled, _closed(suite, held), _left(suite, request), tuple(failures))


async def _cancel(suite: TradingSuite, request: OperatorRequest, end: End | None) -> list[str]:
    await Changing(suite.session, suite.risk).cancel(request.order_id)
    return []


async def _flatten(suite: TradingSuite, request: OperatorRequest, end: End | None) -> list[str]:
    wanted = None if request.instrument is None else (suite.session.index_of(request.instrument),)
    flattening = Flattening(suite.session, suite.risk)
    failures = await flattening.run("operator flatten", wanted)
    for _ in range(LOOKS):
        if failures or not _open(suite, request.instrument):
            break
        await suite.clock.sleep(SETTLE_SECONDS / LOOKS)  # the fill comes after the answer
    return [str(failure) for failure in failures]


async def _kill(suite: TradingSuite, request: OperatorRequest, end: End | None) -> list[str]:
    suite.risk.kill(flatten=request.flatten)  # before the first wait: nothing new is sent
    chosen = [each for each in suite.session.ledger.working.values() if _adds(suite, each)]
    if request.flatten:
        await suite.risk.settled(SETTLE_SECONDS)
        return []
    answers = await Changing(suite.session, suite.risk).cancel_working(chosen)
    return [
        str(answer)
        for answer in answers.values()
        if isinstance(answer, OrderError) and not _ended(answer)
    ]


async def _stop(suite: TradingSuite, request: OperatorRequest, end: End | None) -> list[str]:
    await (suite.disconnect if end is None else end)()
    return []


_WORK: dict[Action, Callable[[TradingSuite, OperatorRequest, End | None], Awaitable[list[str]]]] = {
    Action.CANCEL: _cancel,
    Action.FLATTEN: _flatten,
    Action.KILL: _kill,
    Action.STOP: _stop,
}


def _ended(refusal: OrderError) -> bool:
    """The order had filled, or ended by itself, before the cancel came."""
    order = refusal.order
    return isinstance(order, Order) and order.is_terminal


def _adds(suite: TradingSuite, record: OrderRecord) -> bool:
    """Whether a kill ends the order: what protects or closes an open position stays with it."""
    if record.role in UNASKED_ROLES:
        return False
    return record.is_entry or suite.session.ledger.positions[record.instrument].lots == 0


def _closed(suite: TradingSuite, held: list[int]) -> tuple[str, ...]:
    positions = suite.session.ledger.positions
    return tuple(
        f"{position.spec.format_size(abs(lots))} {position.spec.symbol}"
        for lots, position in zip(held, positions, strict=True)
        if lots and not position.lots
    )


def _left(suite: TradingSuite, request: OperatorRequest) -> tuple[str, ...]:
    """What should be gone and is not."""
    left = []
    if request.action is Action.FLATTEN or request.flatten:
        left = [
            f"position {each.spec.format_size(each.lots)} {each.spec.symbol}"
            for each in _open(suite, request.instrument)
        ]
    if request.action is Action.KILL:
        working = suite.session.ledger.working.values()
        left += [f"order {each.order_id}" for each in working if _adds(suite, each)]
    return tuple(left)


def _open(suite: TradingSuite, instrument: str | None) -> list[PositionRecord]:
    """The open positions in an instrument, or in all."""
    positions = suite.session.ledger.positions
    if instrument is not None:
        positions = [positions[suite.session.index_of(instrument)]]
    return [each for each in positions if each.lots]
