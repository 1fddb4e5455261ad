"""The simulated broker: the Broker protocol over the exchange, in virtual time, with latency.

A command sent at t takes effect at t + entry latency; what the exchange publishes at u reaches the
session at u + response latency; nothing overtakes on either way. Order at one instant: rows,
arriving commands, deliveries, timers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from broker_api.broker import EventSink, RowSink, Snapshot
from broker_api.calendar import load_calendar
from broker_api.capabilities import SIM
from broker_api.compiled_run import RunBooks
from broker_api.config import BrokerSpec
from broker_api.errors import ConfigurationError, NotConnectedError
from broker_api.event import (
    CancelRejected,
    EventRow,
    OrderAccepted,
    OrderCancelled,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
    decode,
)
from broker_api.instrument import Instrument
from broker_api.order import CancelRequest, Command, ReplaceRequest, Submission
from broker_api.quote import Bar, Quote, Trade
from data.tape import Tape
from sim.alone import Alone
from sim.arrivals import Arrivals
from sim.clock import VirtualClock
from sim.deliveries import Deliveries
from sim.exchange import Exchange
from sim.feed import NEVER_NS
from sim.incoming import incoming_of
from sim.market import Market
from sim.open_tape import tape_of
from sim.shortcut import CHANCES, Shortcut, may_shorten
from sim.strategy_log import PlayedLog
from sim.strategy_run import CompiledRun
from sim.virtual_loop import VirtualLoop


def create(spec: BrokerSpec) -> SimBroker:
    """A simulated broker over the tapes of `spec`; a missing tape is the instrument's sample.

    Raises ConfigurationError for a tape that is not there and for an instrument in another currency
    than the account's, TapeError for a tape that is not right.
    """
    for instrument in spec.instruments:
        if instrument.currency != spec.account.currency:
            raise ConfigurationError(
                f"{instrument.symbol} is traded in {instrument.currency}, the account is in "
                f"{spec.account.currency}; one account has one currency"
            )
    incoming = incoming_of(spec.tapes)
    if incoming is not None:
        from sim.paper import PaperBroker

        return PaperBroker(spec, incoming)
    notes: list[str] = []
    tapes = [
        tape_of(instrument, tape, notes)
        for instrument, tape in zip(spec.instruments, spec.tapes, strict=True)
    ]
    return SimBroker(spec, tapes, notes)


class SimBroker:
    """A broker that answers from a tape. Make it with `create` inside a virtual-time loop.

    It drives the loop's clock (`advance`, `close_market`): when no task is ready, time jumps to the
    next arrival, delivery, subscribed row or bar, or timer, and the exchange runs up to there.
    """

    name = "sim"
    capabilities = SIM

    def __init__(self, spec: BrokerSpec, tapes: Sequence[Tape], notes: Sequence[str] = ()) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise ConfigurationError(
                "a simulated session needs virtual time, and this event loop runs in real time; "
                "run the file with `papertape run FILE.py`, or call papertape.run(main()) "
                "in the place of asyncio.run(main())"
            )
        self._loop = loop
        self.spec = spec
        """What the broker was made from."""
        self._tapes = tuple(tapes)
        self._calendars = [load_calendar(item.calendar) for item in spec.instruments]
        simulation = spec.simulation
        self._deliveries = Deliveries(simulation)
        self._market = Market(spec.instruments, tapes, simulation.feed_latency_ms, simulation.seed)
        self._notes = list(notes)
        self._exchange: Exchange | None = None
        self._on_event: EventSink | None = None
        self._arrivals: Arrivals[asyncio.Future[Any] | None] = Arrivals(
            spec.simulation, spec.instruments, self._calendars, tapes
        )
        self._flushed_ns = -1
        self._attentive = True
        self._delivering = False
        self._closing = False
        self._compiled: CompiledRun | None = None
        self._played: PlayedLog | None = None
        self._shortcut: Shortcut | None = None
        # A broker that is made of this one may do something to commands on their way.
        is_plain = type(self) is SimBroker and may_shorten(spec)
        self._shortcut_chances = CHANCES if is_plain else 0
        self._tape_end_ns = max(tape.end_ns for tape in tapes)
        self._alone = Alone(
            loop, self._arrivals, self._deliveries, self._market.ticks, self._is_busy
        )
        self.clock = VirtualClock(loop, self._slept_alone)

    @property
    def notes(self) -> list[str]:
        """What the run's reader should know: fallbacks, repairs, sample tapes."""
        return self._notes + ([] if self._exchange is None else self._exchange.notes)

    @property
    def tapes(self) -> tuple[Tape, ...]:
        """The tapes, one an instrument; connected, with bars in the order of their path."""
        return self._tapes if self._exchange is None else self._exchange.tapes

    @property
    def exchange(self) -> Exchange:
        """The exchange behind the broker. Raises NotConnectedError before `connect`."""
        if self._exchange is None:
            raise NotConnectedError("the simulated broker is not connected")
        return self._exchange

    def instruments(self) -> Sequence[Instrument]:
        """The session's instruments; an event's `instrument` indexes this."""
        return self.spec.instruments

    async def connect(self, on_event: EventSink) -> Snapshot:
        """Start the market at the tape's first row, or, later in a run, at the loop's time."""
        start_ns = min(tape.start_ns for tape in self._tapes)
        self._loop.attach(self, start_ns)
        now_ns = self._loop.now_ns
        try:
            if now_ns > self._tape_end_ns:
                raise ConfigurationError(
                    "the run's clock is past the end of the tape; a second session in one run "
                    "goes on where the first one left off"
                )
            self._exchange = self._make_exchange(now_ns)
        except BaseException:
            self._loop.detach(self)
            raise
        self._market.show(self._exchange.tapes)
        self._on_event = on_event
        account = self.spec.account
        return Snapshot(account.name, account.currency, account.cash_nanos, ())

    def _make_exchange(self, now_ns: int) -> Exchange:
        return Exchange(
            self.spec.instruments,
            self._tapes,
            self._calendars,
            self.spec.simulation,
            self.spec.account,
            now_ns,
        )

    async def disconnect(self) -> None:
        """Let go of the clock. Idempotent. What was not delivered yet is delivered now."""
        if self._on_event is None:
            return
        self._end_compiled()
        self._end_shortcut(self._loop.now_ns)
        self.flush()  # the exchange may have stayed behind plain handlers
        self._deliver_due(NEVER_NS)
        self._on_event = None
        self._loop.detach(self)
        for answer in self._arrivals.clear():
            if answer is not None and not answer.done():
                answer.set_exception(NotConnectedError("disconnected before the order arrived"))

    # --- commands -------------------------------------------------------------------------------

    async def submit(self, submission: Submission) -> OrderAccepted | OrderRejected:
        """Send one order or one group; the answer is the first order's."""
        return cast(OrderAccepted | OrderRejected, await self._send(submission))

    async def replace(self, request: ReplaceRequest) -> OrderReplaced | ReplaceRejected:
        """Change a working order."""
        return cast(OrderReplaced | ReplaceRejected, await self._send(request))

    async def cancel(self, request: CancelRequest) -> OrderCancelled | CancelRejected:
        """End a working order."""
        return cast(OrderCancelled | CancelRejected, await self._send(request))

    async def _send(self, command: Command) -> Any:
        now_ns = self._loop.now_ns
        self._end_shortcut(now_ns)
        answer_ns = self._alone.answer_ns()
        if answer_ns is not None:
            return decode(self._serve_alone(command, now_ns, answer_ns))
        answer = self._loop.create_future()
        self.post(command, answer)
        return await answer

    def _is_busy(self, until_ns: int) -> bool:
        """True while others are told of events, a strategy is compiled, or all ends before."""
        is_over = self._closing or self._on_event is None or until_ns > self._tape_end_ns
        return bool(self._attentive or self._compiled or is_over)

    def _serve_alone(self, command: Command, now_ns: int, answer_ns: int) -> EventRow:
        """A command's whole way while its sender is alone; returns its answer."""
        self._run_market(self._arrivals.arrival_ns(now_ns))
        rows = self.exchange.execute_rows(command)
        self._deliveries.send(rows)
        self._pass_alone(answer_ns)
        self._deliver_due(answer_ns)
        self._flushed_ns = answer_ns
        return rows[0]

    def _pass_alone(self, until_ns: int) -> None:
        if self._shortcut is None:  # with one the exchange follows when somebody looks
            self._run_market(until_ns)
        self._loop.go_on_alone(until_ns)

    def _slept_alone(self, until_ns: int) -> bool:
        """Let time go on to a moment; False where somebody else may do something before."""
        if not self._alone.may_pass(until_ns):
            return False
        self._pass_alone(until_ns)
        return True

    def post(self, command: Command, answer: asyncio.Future[Any] | None = None) -> None:
        """See `Broker.post`; `answer` is told the answer."""
        if self._on_event is None:
            raise NotConnectedError("the suite is disconnected; nothing was sent")
        self._end_shortcut(self._loop.now_ns)
        self._loop.interrupt_stretch()
        self._arrivals.send(self._loop.now_ns, command, answer)

    # --- the clock ------------------------------------------------------------------------------

    def advance(self, deadline_ns: int | None) -> int | None:
        """Run the market until something is delivered or the deadline; see virtual_loop.Driver."""
        exchange = self.exchange
        self._flushed_ns = -1
        while True:
            if self._compiled is not None and self._next_flight_ns() == NEVER_NS:
                return self._compiled.advance(deadline_ns)
            target = self._next_stop_ns(deadline_ns)
            if target is None:
                return None
            if self._market.ticks.direct:
                if self._attentive:
                    target = max(exchange.now_ns, exchange.quiet_until_ns(target))
                acted_ns = self._tell_stretches(target)
                if acted_ns is not None:
                    return acted_ns
            if self._shortcut is not None:
                if target >= self._tape_end_ns:
                    self._end_shortcut(max(self._loop.now_ns, self._shortcut.seen_ns))
                elif self._schedule_due(target) or target == deadline_ns:
                    return target  # the exchange follows when somebody looks
                continue
            self._run_market(target)
            now_ns = exchange.now_ns
            if self._arrivals.next_ns() <= now_ns:
                self._execute_arrivals(now_ns)
            if self._schedule_due(now_ns) or now_ns == deadline_ns:
                return now_ns

    def _next_stop_ns(self, deadline_ns: int | None) -> int | None:
        """The next time at which something of ours is due; None when the tape has ended before."""
        now_ns, due = self.exchange.now_ns, self._next_flight_ns()
        in_flight = due < NEVER_NS
        ticks = self._market.ticks
        if not self._closing and not ticks.direct:
            data_ns = ticks.next_ns()
            if data_ns < due and data_ns <= self._tape_end_ns:
                due = data_ns
        due = max(due, now_ns)
        lasts_ns = due if in_flight else self._tape_end_ns
        if deadline_ns is not None and deadline_ns <= due and deadline_ns <= lasts_ns:
            return deadline_ns
        if due < NEVER_NS:
            return due
        return self._tape_end_ns if now_ns < self._tape_end_ns else None

    def _tell_stretches(self, until_ns: int) -> int | None:
        """See `Ticks.tell_until`; the exchange stays behind until somebody looks at it."""
        if self._closing:
            return None
        return self._market.ticks.tell_until(min(until_ns, self._tape_end_ns + 1), self._loop)

    def _next_flight_ns(self) -> int:
        return min(self._arrivals.next_ns(), self._next_delivery_ns())

    def _next_delivery_ns(self) -> int:
        """When the next event has to be delivered: each of them, or only answers if nobody waits.

        What comes after the tape's end is always delivered: the clock goes on to there.
        """
        if self._attentive or self._compiled:
            return self._deliveries.first_ns()
        return self._deliveries.answer_ns(self._tape_end_ns)

    def _run_market(self, until_ns: int) -> None:
        """Rows up to a time, or to the first that publishes something if somebody is to be told."""
        exchange = self._exchange
        assert exchange is not None, "the market runs while it is connected"
        while True:
            if rows := exchange.advance_rows(until_ns):
                self._deliveries.send(rows)
            if self._attentive or exchange.now_ns >= until_ns:
                return

    def _execute_arrivals(self, now_ns: int) -> None:
        while (arrived := self._arrivals.take(now_ns)) is not None:
            command, answer = arrived
            rows = self.exchange.execute_rows(command)
            assert rows, "every command gets an answer"
            self._deliveries.send(rows, answer)

    def _schedule_due(self, now_ns: int) -> bool:
        """Hand everything that is due to the loop; True when there was something."""
        scheduled = False
        if self._next_delivery_ns() <= now_ns:
            self._loop.call_soon(self._deliver_due, now_ns)
            scheduled = True
        if not self._closing:
            ticks = self._market.ticks
            seen_ns = min(now_ns, self._tape_end_ns)  # nothing is told of a time that is not there
            if ticks.next_ns() <= seen_ns:
                self._loop.call_soon(ticks.deliver, seen_ns)
                scheduled = True
        return scheduled

    def _deliver_due(self, now_ns: int) -> None:
        if self._delivering:
            return  # the books are looked at while an event is told: what follows is told later
        self._delivering = True
        try:
            self._tell_played()
            self._deliveries.deliver(now_ns, self._on_event)
        finally:
            self._delivering = False

    def attend(self, attentive: bool) -> None:
        """See `Broker.attend`; a market that nobody listens to need not stop at every event."""
        if attentive and self._compiled is not None:
            raise ConfigurationError("while a compiled strategy runs nobody else may wait")
        if attentive and not self._attentive:
            self._end_shortcut(self._loop.now_ns)
            self._loop.interrupt_stretch()  # it may go on to where nothing was to be told
        self._attentive = attentive

    def flush(self) -> None:
        """See `Broker.flush`. During a stretch the exchange is brought up to the row's time."""
        now_ns = self._loop.now_ns
        shortcut = self._shortcut
        if now_ns == self._flushed_ns and (shortcut is None or shortcut.is_settled):
            return  # nothing comes to be due without time, or the market, going on
        self._flushed_ns = now_ns
        if shortcut is not None:
            shortcut.settle(now_ns)
            if shortcut.is_a_detour:
                self._end_shortcut(now_ns)
        elif self._exchange is not None and self._exchange.now_ns < now_ns:
            self._run_market(now_ns)
        self._tell_played()
        if self._deliveries.first_ns() <= now_ns:
            self._deliver_due(now_ns)

    def close_market(self) -> None:
        """The tape has ended: it is that time, and only what is in flight is served from now on."""
        self._loop.jump_to(self._tape_end_ns)
        self._closing = True

    # --- compiled strategies --------------------------------------------------------------------

    async def run_compiled(
        self,
        strategy: Any,
        parameters: Mapping[str, Any],
        books: RunBooks,
        until_ns: int | None,
        bar_ns: int | None,
    ) -> None:
        """Run a compiled strategy as soon as nothing of the session is under way.

        Raises ConfigurationError, StrategyError, and what the session refuses.
        """
        end_ns = min(until_ns or self._tape_end_ns, self._tape_end_ns)
        if end_ns <= self._loop.now_ns or self._closing:
            return
        self._end_shortcut(self._loop.now_ns)
        self.flush()  # what a run before this one left
        settings = self.spec.simulation
        run = CompiledRun(self.exchange, settings, strategy, parameters, end_ns, books, bar_ns)
        self._compiled, self._played = run, run.played
        try:
            await run.done
        finally:
            self._end_compiled()
        run.check()

    def _end_compiled(self) -> None:
        run, self._compiled = self._compiled, None
        self._flushed_ns = -1
        if run is not None:
            self._go_on_with(run.under_way(), run.played, self._loop.now_ns)

    def _go_on_with(self, sent: list[tuple[int, Command]], played: PlayedLog, now_ns: int) -> None:
        """What is under way in a strategy's tables goes the broker's own way from here."""
        for sent_ns, command in sent:
            self._arrivals.send(sent_ns, command, None)
        self._deliveries.send(played.take_untold(now_ns))

    def _tell_played(self) -> None:
        if self._played is not None and self._on_event is not None:
            self._played.tell(self._loop.now_ns)

    def shortcut(self, books: RunBooks) -> Shortcut | None:
        """See `broker_api.shortcut`: begun where nobody waits and nothing is under way."""
        if self._shortcut_chances <= 0 or self._is_busy(self._loop.now_ns + 1):
            return None
        if self.exchange.has_published:
            return None
        self.flush()
        if self._on_event is None or self._deliveries or self._arrivals.next_ns() < NEVER_NS:
            return None
        settings, answer_ns = self.spec.simulation, self._alone.answer_ns
        self._shortcut = Shortcut(self.exchange, settings, books, self._loop, answer_ns)
        self._played = self._shortcut.played
        return self._shortcut

    def _end_shortcut(self, now_ns: int) -> None:
        """From here the session sends in the ordinary way."""
        shortcut, self._shortcut = self._shortcut, None
        if shortcut is None:
            return
        self._loop.interrupt_stretch()
        self._flushed_ns = -1
        self._shortcut_chances -= shortcut.end(now_ns)
        self._go_on_with(shortcut.under_way(), shortcut.played, now_ns)
        self._played = None

    # --- looking --------------------------------------------------------------------------------

    def equity_nanos(self) -> int:
        """Cash plus open profit valued at the mark, else at the side one would get."""
        self.flush()
        return self.exchange.equity_nanos()

    def margin_used_nanos(self) -> int:
        """Initial margin held for positions and working orders."""
        self.flush()
        return self.exchange.used_margin_nanos()

    def last_quote(self, instrument: int) -> Quote | None:
        """The quote in force at the session's time, None before the first."""
        return self._market.quote_at(instrument, self._loop.now_ns)

    def last_trade(self, instrument: int) -> Trade | None:
        """The newest print at the session's time, None before the first."""
        return self._market.trade_at(instrument, self._loop.now_ns)

    def bars(self, instrument: int, interval_ns: int, count: int) -> list[Bar]:
        """The newest `count` complete bars at the session's time, oldest first."""
        return self._market.bars_at(instrument, self._loop.now_ns, interval_ns, count)

    def subscribe_rows(self, instrument: int, kind: str, sink: RowSink) -> Callable[[], None]:
        """Deliver quotes, trades or ticks; call the result to stop."""
        self._loop.interrupt_stretch()
        ticks, now_ns = self._market.ticks, self._loop.now_ns
        return self._stoppable(ticks.subscribe(instrument, kind, sink, now_ns))

    def subscribe_bars(
        self, instrument: int, interval_ns: int, sink: RowSink
    ) -> Callable[[], None]:
        """Deliver bars as they complete; call the result to stop."""
        self._loop.interrupt_stretch()
        ticks, now_ns = self._market.ticks, self._loop.now_ns
        return self._stoppable(ticks.subscribe_bars(instrument, interval_ns, sink, now_ns))

    def _stoppable(self, cancel: Callable[[], None]) -> Callable[[], None]:
        def unsubscribe() -> None:
            self._loop.interrupt_stretch()
            cancel()

        return unsubscribe

    def next_open_ns(self, instrument: int, ts_ns: int) -> int | None:
        """When the instrument next opens at or after `ts_ns`; None when its calendar ends."""
        return self._calendars[instrument].next_open_ns(ts_ns)
