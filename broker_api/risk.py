"""Account rules in a session: orders are admitted, the account is watched, breaches are acted on.

The rules are settings (`risk_rules.py`), what they decide is pure (`risk_machine.py`). Here is what
connects them with a session: exposures from its ledger, looks at its equity, a timer, its events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from broker_api.codes import EventKind, Reason
from broker_api.errors import AccountHaltedError, ConfigurationError, OrderError, TradingError
from broker_api.event import EventRow, RiskEvent, encode
from broker_api.instrument import NANOS, PPM, Instrument
from broker_api.order import ReplaceRequest, Role, Side
from broker_api.record import EXIT_ROLES, OrderRecord
from broker_api.refusals import WORDINGS, amount_text, describe
from broker_api.risk_days import days_of
from broker_api.risk_machine import Look, Refusal, RiskMachine, Wish
from broker_api.risk_rules import RULE_NAMES, RiskConfig, RiskRules, rules_of
from broker_api.risk_state import Breach, RiskState, load_state, save_state
from broker_api.session import Session
from broker_api.view import to_datetime

__all__ = ["RiskConfig", "RiskGate", "RiskRules", "RuleStatus", "rules_of"]

FLATTEN_RETRY_SECONDS = 1.0
"""Wait before orders are cancelled and positions closed once more; it doubles up to the next."""
FLATTEN_RETRY_SECONDS_MAX = 60.0
NOTES_MAX = 100
_LOOKED_AT = frozenset({EventKind.ACCOUNT, EventKind.FUNDING, EventKind.LIQUIDATION})
"""Events after which the account is looked at: a fill ends with its ACCOUNT."""
_NOTED = {EventKind.RISK_FLATTENED: "flattened", EventKind.RISK_HALTED: "halted"}
"""Events that the reader of a run should know of."""
_NEVER_ADD = (*EXIT_ROLES, Role.LIQUIDATION, Role.REPAIR)
_SLEEP_NS_MIN = 1_000

Flatten = Callable[[str], Awaitable[Sequence[TradingError]]]
"""Cancels what could add exposure and closes every position; takes the orders' tag."""
StateSource = Mapping[str, Any] | Path | str
"""Where the state of the rules comes from: a table that `export` gave, or a file that keeps it."""


class RuleStatus(NamedTuple):
    """How an account stands to one rule: texts in its own units.

    `used` is the share of the limit that is used, 1.0 where it is broken; None where the rule has
    no distance.
    """

    rule: str
    value: str
    limit: str
    action: str
    is_broken: bool
    used: float | None = None


class RiskGate:
    """The account rules of one session, as `suite.risk`.

    It refuses orders with RiskLimitError (AccountHaltedError while the account is halted), tells
    "risk" events, and cancels and closes where a rule says so. Without rules it costs nothing.
    """

    def __init__(self, session: Session, rules: RiskRules | None = None) -> None:
        self.rules = rules or RiskRules()
        self.is_open = self.rules.is_empty
        self.notes: list[str] = []
        self._session = session
        self._larger: dict[int, list[int]] = {}
        """By order, the sizes of changes under way that make it larger."""
        self._machine: RiskMachine | None = None
        self._flatten: Flatten | None = None
        self._flattening: asyncio.Task[None] | None = None
        self._timer: asyncio.Task[None] | None = None
        self._due_ns: int | None = None
        self._file: Path | None = None
        self._saved: dict[str, Any] = {}

    def begin(self, flatten: Flatten, state: StateSource | None = None) -> None:
        """Watch the session from now on; `state` is what an earlier session left.

        Raises ConfigurationError for a state that is damaged or of another account.
        """
        self._flatten = flatten
        if not self.is_open:
            self._open(state)
            self.look()
        elif state is not None:
            raise ConfigurationError("risk_state goes with rules: name some, risk=...")

    def _open(self, state: StateSource | None) -> RiskMachine:
        machine = self._machine = self._opened(state)
        self.is_open = False
        self._session.watch(self._hear)
        self._session.on_close(self._end)
        return machine

    def _opened(self, source: StateSource | None) -> RiskMachine:
        session = self._session
        days = days_of(self.rules.day, session.instruments)
        state = None
        if isinstance(source, Mapping):
            state = RiskState.restored(source)
        elif source is not None:
            self._file = Path(source)
            state = load_state(self._file)
        account, now_ns = session.snapshot.account, session.clock.now_ns()
        if state is None:
            equity = session.broker.equity_nanos()
            return RiskMachine.opened(self.rules, days, account, now_ns, equity)
        if state.account != account:
            raise ConfigurationError(
                f"the state of the account rules is that of account {state.account!r}, this "
                f"session's is {account!r}"
            )
        return RiskMachine(self.rules, days, state)

    # --- for users -----------------------------------------------------------------------------

    @property
    def halted(self) -> str | None:
        """Why and until when the account is halted, None while it may trade."""
        halt = None if self._machine is None else self._machine.halt
        return None if halt is None else self._halt_text(*halt)

    def export(self) -> dict[str, Any]:
        """The state of the rules as plain data: `TradingSuite.create(..., risk_state=...)`."""
        return {} if self._machine is None else self._machine.state.export()

    def kill(self, *, flatten: bool) -> None:
        """Press the kill switch: the account is halted for good, with or without rules.

        What adds exposure is refused from now on. With `flatten` orders that could add exposure are
        cancelled and every position is closed, again and again until it is; `settled` waits for it.
        Without, open positions and working orders are left as they are.
        """
        machine = self._machine or self._open(None)
        self._tell(machine.kill(self._session.clock.now_ns(), keeps_positions=not flatten))
        self._act()

    async def settled(self, timeout: float) -> bool:
        """Wait until nothing is being cancelled and closed; False when that takes longer.

        `timeout` is in seconds of the session's time.
        """
        task = self._flattening
        if task is not None:
            await asyncio.wait((task,), timeout=timeout)
        return self._flattening is None or self._flattening.done()

    def describe(self, event: RiskEvent) -> str:
        """A "risk" event in words: the rule, its value and its limit."""
        return self._text(event.reason, event.value, event.limit)

    def status(self) -> list[RuleStatus]:
        """How the account stands to each rule: value now, limit, and whether it is broken."""
        machine = self._machine
        if machine is None:
            return []
        found = [
            self._status(reason, value, limit, is_broken)
            for reason, value, limit, is_broken in machine.measures(self._seen())
        ]
        most = machine.contracts_limit_ppm
        if most is not None:
            value = self._contracts_ppm(self._adding())
            found.append(self._status(Reason.CONTRACTS, value, most, value > most))
        rate = self.rules.order_rate
        if rate is not None:
            sent = machine.sent_lately(self._session.clock.now_ns())
            found.append(self._status(Reason.ORDER_RATE, sent, rate.limit, sent > rate.limit))
        return found

    def _status(self, reason: Reason, value: int, limit: int, is_broken: bool) -> RuleStatus:
        unit, spec = WORDINGS[reason].unit, self._session.instruments[0]
        name = RULE_NAMES[reason]
        now, most = (amount_text(unit, spec, amount) for amount in (value, limit))
        used = self._used(reason, value, limit)
        return RuleStatus(name, now, most, getattr(self.rules, name).action, is_broken, used)

    def _used(self, reason: Reason, value: int, limit: int) -> float | None:
        if reason is Reason.TRAILING_DRAWDOWN and self._machine is not None:
            peak = max(self._machine.state.peak_nanos, value)
            value, limit = peak - value, peak - limit
        if reason is Reason.FLAT_BY or limit <= 0:
            return None
        return max(0.0, value / limit)

    # --- orders --------------------------------------------------------------------------------

    def admit(
        self,
        index: int,
        side: Side,
        lots: int,
        *,
        reduce_only: bool = False,
        limit_ticks: int | None = None,
        stop_ticks: int | None = None,
    ) -> None:
        """Raise RiskLimitError when an order may not be sent; else it counts as sent."""
        if self.is_open:
            return
        self.look()
        adding = self._adding()
        before = self._contracts_ppm(adding)
        # What is left of the position when all orders of this side have filled may be closed.
        held = self._session.ledger.positions[index].lots * side.sign + adding[index][side]
        reduces = reduce_only or lots <= -held
        adding[index][side] += lots
        spec = self._session.instruments[index]
        wish = Wish(
            self._session.clock.now_ns(),
            index,
            lots,
            abs(held + lots),
            before,
            self._contracts_ppm(adding),
            reduces,
            limit_ticks,
            self._market_ticks(index) if stop_ticks is None else stop_ticks,
            _lots(self.rules.max_order_size, spec),
            _lots(self.rules.max_position_size, spec),
        )
        self._decide(wish, spec)

    def admit_change(self, record: OrderRecord, request: ReplaceRequest) -> None:
        """Raise RiskLimitError when a change may not be sent: it adds, or its price is far off."""
        if self.is_open:
            return
        self.look()
        known = max([record.size_lots, *self._larger.get(record.order_id, ())])
        size = record.size_lots if request.size_lots is None else request.size_lots
        added = max(0, size - known)
        index, side = record.instrument, record.side
        adding = self._adding()
        before = self._contracts_ppm(adding)
        adding[index][side] += added
        held = self._session.ledger.positions[index].lots * side.sign + adding[index][side]
        shrinks = request.size_lots is not None and size < record.size_lots
        stop_ticks = record.stop_ticks if request.stop_ticks is None else request.stop_ticks
        spec = record.spec
        wish = Wish(
            self._session.clock.now_ns(),
            index,
            size,
            abs(held) if added else 0,
            before,
            self._contracts_ppm(adding),
            not _could_add(record) or (shrinks and request.limit_ticks is None),
            request.limit_ticks,
            self._market_ticks(index) if stop_ticks is None else stop_ticks,
            _lots(self.rules.max_order_size, spec),
            _lots(self.rules.max_position_size, spec),
        )
        self._decide(wish, spec)
        if added and _could_add(record):
            self._larger.setdefault(record.order_id, []).append(size)

    def not_changed(self, order_id: int) -> None:
        """A change that was admitted surely was not sent."""
        self._forget_change(order_id)

    def _decide(self, wish: Wish, spec: Instrument) -> None:
        machine = self._machine
        assert machine is not None, "orders are admitted after `begin`"
        refusal, events = machine.admit(wish)
        self._tell(events)
        if refusal is not None:
            self._act()
            raise self._error(refusal, spec)

    def _adding(self) -> list[list[int]]:
        """By instrument, the lots of working buys and sells that could open or add to a position.

        Changes under way that make an order larger are counted as made.
        """
        ledger = self._session.ledger
        adding = [[0, 0] for _ in ledger.positions]
        for record in ledger.working.values():
            if _could_add(record):
                sizes = self._larger.get(record.order_id, ())
                grown = max([0, *(size - record.size_lots for size in sizes)])
                adding[record.instrument][record.side] += record.leaves_lots + grown
        return adding

    def _contracts_ppm(self, adding: list[list[int]]) -> int:
        """Millionths of contracts, weighted, that all positions could come to.

        Orders against a position count whole: what they would close may be closed before them.
        """
        rule, total = self.rules.contracts, 0
        if rule is not None:
            positions = self._session.ledger.positions
            for position, (buys, sells) in zip(positions, adding, strict=True):
                lots = max(max(position.lots, 0) + buys, max(-position.lots, 0) + sells)
                weight = rule.weights.get(position.spec.symbol, Decimal(1))
                total += int(lots * position.spec.lot_size * weight * PPM)
        return total

    def _market_ticks(self, index: int) -> int | None:
        """The middle of the quote in ticks, rounded down, else the last print; None: unknown."""
        if self.rules.price_band is None:
            return None
        broker, spec = self._session.broker, self._session.instruments[index]
        quote = broker.last_quote(index)
        if quote is not None and quote.bid is not None and quote.ask is not None:
            return (spec.price_to_ticks(quote.bid) + spec.price_to_ticks(quote.ask)) // 2
        trade = broker.last_trade(index)
        return None if trade is None else spec.price_to_ticks(trade.price)

    # --- looks ---------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at the account now, tell what that does, and act on it."""
        machine = self._machine
        if machine is None:
            return
        seen = self._seen()
        self._tell(machine.look(seen))
        self._act()
        self._mind_time(machine.next_look_ns(seen.now_ns, is_open=self._is_open()))

    def _seen(self) -> Look:
        session, switch = self._session, self.rules.kill_switch
        now_ns = session.clock.now_ns()
        is_killed = switch is not None and session.journal.is_there(switch.file, now_ns)
        equity = session.broker.equity_nanos()
        return Look(now_ns, equity, self._is_flat(), is_killed)

    def _is_open(self) -> bool:
        return any(each.lots for each in self._session.ledger.positions)

    def _is_flat(self) -> bool:
        working = self._session.ledger.working.values()
        return not self._is_open() and not any(_could_add(record) for record in working)

    def _hear(self, row: EventRow) -> None:
        """The session's events, each after its books."""
        kind = row.kind
        if kind == EventKind.REPLACE_REJECTED or (kind == EventKind.REPLACED and not row.reason):
            self._forget_change(row.order_id)
        elif kind == EventKind.ACCEPTED:
            self._larger.pop(row.order_id, None)  # of an uncertain order: it is there, like this
        elif kind == EventKind.DEPOSITED and self._machine is not None:
            self._machine.deposited(row.value)  # the account's own event follows
        elif kind in _LOOKED_AT:
            self.look()
        if self._larger and row.order_id not in self._session.ledger.working:
            self._larger.pop(row.order_id, None)

    def _forget_change(self, order_id: int) -> None:
        """The oldest change of an order that was under way is answered."""
        larger = self._larger.get(order_id)
        if larger is not None:
            larger.pop(0)
            if not larger:
                del self._larger[order_id]

    def _tell(self, events: Sequence[RiskEvent]) -> None:
        if self._file is not None and self._machine is not None:
            table = self._machine.state.export()
            if table != self._saved:
                save_state(self._file, table)  # kept before anybody is told
                self._saved = table
        for event in events:
            if event.KIND in _NOTED:
                done = _NOTED[event.KIND]
                when = to_datetime(event.ts_ns).isoformat(timespec="seconds")
                self._note(f"account {done} at {when} by {self.describe(event)}")
            self._session.tell(encode(event))

    def _note(self, text: str) -> None:
        if len(self.notes) < NOTES_MAX:
            self.notes.append(text)

    # --- time ----------------------------------------------------------------------------------

    def _mind_time(self, due_ns: int) -> None:
        """See to it that somebody looks at this time, or has looked before."""
        if self._due_ns is not None and self._due_ns <= due_ns:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_ns = due_ns
        self._timer = asyncio.get_running_loop().create_task(self._wake())
        self._timer.add_done_callback(self._ended)

    async def _wake(self) -> None:
        """Look whenever it is time: looks in between may have set a later one."""
        clock = self._session.clock
        while self._due_ns is not None:
            wait_ns = self._due_ns - clock.now_ns()
            if wait_ns > 0:
                await clock.sleep(max(wait_ns, _SLEEP_NS_MIN) / NANOS)
                continue
            self.look()  # sets no time: the one that is over is the soonest
            assert self._machine is not None, "who waits has begun"
            self._due_ns = self._machine.next_look_ns(clock.now_ns(), is_open=self._is_open())

    def _end(self) -> None:
        """The session has ended."""
        for task in (self._timer, self._flattening):
            if task is not None:
                task.cancel()
        self._due_ns = None
        self._timer = self._flattening = None

    # --- acting --------------------------------------------------------------------------------

    def _act(self) -> None:
        """Begin to cancel and close where a rule wants the account flat and it is not."""
        machine = self._machine
        if machine is None or machine.wants_flat is None or self._flattening is not None:
            return
        if self._is_flat():
            return
        self._flattening = asyncio.get_running_loop().create_task(self._make_flat())
        self._flattening.add_done_callback(self._ended)

    async def _make_flat(self) -> None:
        """Cancel and close until nothing is left, or no rule wants it any more."""
        assert self._machine is not None, "who acts has begun"
        assert self._flatten is not None, "who acts has begun"
        pause = FLATTEN_RETRY_SECONDS
        while (reason := self._machine.wants_flat) is not None and not self._is_flat():
            failures = await self._flatten(f"risk {RULE_NAMES[reason]}")
            for failure in failures:
                self._note(f"while a risk rule closed positions: {failure}")
            if not self._is_flat():
                await self._session.clock.sleep(pause)
                pause = min(2 * pause, FLATTEN_RETRY_SECONDS_MAX)
        self.look()  # what only an order had broken is over

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task of the gate's has ended: a fault of it stops the session."""
        if task is self._flattening:
            self._flattening = None
        failure = None if task.cancelled() else task.exception()
        if isinstance(failure, Exception):
            self._session.fail(failure)

    # --- words ---------------------------------------------------------------------------------

    def _error(self, refusal: Refusal, spec: Instrument) -> OrderError:
        text = self._text(refusal.reason, refusal.value, refusal.limit, spec)
        if refusal.halt is not None:
            halted = self._halt_text(refusal.reason, refusal.halt)
            return AccountHaltedError(halted, reason=refusal.reason)
        return WORDINGS[refusal.reason].error(text, reason=refusal.reason)

    def _halt_text(self, reason: Reason, breach: Breach) -> str:
        until = "for good"
        if breach.until_ns:
            until = f"until {to_datetime(breach.until_ns).isoformat(timespec='seconds')}"
        what = self._text(reason, breach.value, breach.limit)
        return f"{what}; the account is halted {until}"

    def _text(self, reason: Reason, value: int, limit: int, spec: Instrument | None = None) -> str:
        instrument = spec or self._session.instruments[0]
        return f"{RULE_NAMES[reason]}: {describe(reason, instrument, value, limit)}"


def _could_add(record: OrderRecord) -> bool:
    """A working order that could make a position larger, or open one."""
    return not record.reduce_only and record.role not in _NEVER_ADD


def _lots(size: Decimal | None, spec: Instrument) -> int | None:
    return None if size is None else int(size / spec.lot_size)
