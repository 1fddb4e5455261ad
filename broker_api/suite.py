"""The trading suite: one session with its instruments, opened in one call and closed in order."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from broker_api.broker import Broker
from broker_api.capabilities import check_instruments, rehearsed
from broker_api.catalog import find, load_catalog
from broker_api.changing import Changing
from broker_api.closing import Closing
from broker_api.compiled_run import run_compiled
from broker_api.config import (
    SETTINGS_FILE,
    AccountConfig,
    BrokerSpec,
    OrderManagerConfig,
    SessionDefaults,
    SimulationConfig,
    current_defaults,
    near_miss,
    read_settings,
)
from broker_api.drafting import parse_member
from broker_api.errors import ConfigurationError
from broker_api.flattening import Flattening
from broker_api.instrument import Instrument, from_nanos
from broker_api.journal import Journal
from broker_api.market_data import MarketData, tick_fields, timeframe_ns
from broker_api.notice import EventType, Handler, Subscription
from broker_api.order_manager import OrderManager
from broker_api.placing import Placing
from broker_api.position_manager import PositionManager
from broker_api.record import UNASKED_ROLES, OrderRecord
from broker_api.risk import RiskGate, RiskRules, rules_of
from broker_api.session import Session
from broker_api.view import to_datetime

BROKER_GROUP = "papertape.brokers"
"""Entry points of brokers: a name, and a callable from BrokerSpec to Broker."""

_MARKET_TYPES = (EventType.QUOTE, EventType.TRADE, EventType.TICK, EventType.BAR)


class SuiteClock:
    """Session time: the tape's in simulation, the machine's when live."""

    def __init__(self, session: Session) -> None:
        self._clock = session.clock

    def now(self) -> datetime:
        """The session's time as an aware UTC datetime."""
        return to_datetime(self._clock.now_ns())

    def now_ns(self) -> int:
        """The session's time in nanoseconds since the epoch."""
        return self._clock.now_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait that much session time."""
        await self._clock.sleep(seconds)


class Account:
    """The account as it is now, in its currency; the properties follow it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def name(self) -> str:
        """The account's name."""
        return self._session.snapshot.account

    @property
    def currency(self) -> str:
        """The account's currency."""
        return self._session.snapshot.currency

    @property
    def cash(self) -> float:
        """Start plus realised P&L, less fees and funding."""
        return from_nanos(self._session.ledger.cash_nanos)

    @property
    def equity(self) -> float:
        """Cash plus open profit."""
        return from_nanos(self._session.broker.equity_nanos())

    @property
    def margin_used(self) -> float:
        """Initial margin held for positions and working orders."""
        return from_nanos(self._session.broker.margin_used_nanos())

    @property
    def realised_pnl(self) -> float:
        """P&L of closed parts, fees and funding apart."""
        return from_nanos(self._session.ledger.realised_nanos)

    @property
    def unrealised_pnl(self) -> float:
        """P&L of what is open: equity less cash."""
        session = self._session
        return from_nanos(session.broker.equity_nanos() - session.ledger.cash_nanos)

    @property
    def fees(self) -> float:
        """Fees of the session so far."""
        return from_nanos(self._session.ledger.fees_nanos)

    @property
    def funding(self) -> float:
        """Funding paid so far; negative was received."""
        return from_nanos(self._session.ledger.funding_nanos)


class InstrumentContext:
    """One instrument of a suite: its orders, positions, market data and description."""

    def __init__(self, session: Session, risk: RiskGate, closing: Closing, index: int) -> None:
        self.instrument_info: Instrument = session.instruments[index]
        self.symbol = self.instrument_info.symbol
        self.orders = OrderManager(session, risk, index)
        self.positions = PositionManager(session, closing, index)
        self.data = MarketData(session, index)


class TradingSuite(Mapping[str, InstrumentContext]):
    """A session: `suite["MNQ"]` is one instrument, `suite.orders` acts on all.

    Made by `await TradingSuite.create(...)`, ended by `await suite.disconnect()` or `async with`.
    """

    def __init__(self, session: Session, risk: RiskGate) -> None:
        self.session = session
        self.risk = risk
        self.clock = SuiteClock(session)
        self.account = Account(session)
        closing = Closing(session, Placing(session, risk))
        self.orders = OrderManager(session, risk)
        self.positions = PositionManager(session, closing)
        self._contexts = {
            spec.symbol: InstrumentContext(session, risk, closing, index)
            for index, spec in enumerate(session.instruments)
        }

    @classmethod
    async def create(
        cls,
        instruments: str | Sequence[str] | None = None,
        *,
        broker: str | Broker | None = None,
        tape: object = None,
        simulation: SimulationConfig | Mapping[str, Any] | None = None,
        account: AccountConfig | Mapping[str, Any] | None = None,
        risk: RiskRules | Mapping[str, Any] | Path | str | None = None,
        risk_state: Mapping[str, Any] | Path | str | None = None,
        order_manager_config: OrderManagerConfig | Mapping[str, Any] | None = None,
        catalog: Path | str | Sequence[Path | str] = (),
        rehearse_for: str | None = None,
        **options: Any,
    ) -> Self:
        """Open a session.

        What is left out comes from the running `papertape` command, else from `papertape.toml` in
        the working directory, else from the defaults: a simulation on the sample tapes. `tape` is a
        path or a tape, or a table of them by symbol. `options` are a live broker's own settings,
        like its network. Raises ConfigurationError.
        """
        defaults = _defaults()
        files = (catalog,) if isinstance(catalog, Path | str) else tuple(catalog)
        chosen = broker if broker is not None else defaults.broker or "sim"
        is_live = isinstance(chosen, str) and chosen != "sim"
        names = _names(instruments, defaults)
        specs = _instruments(names, defaults, files, only_known=is_live)
        venue = rehearse_for or defaults.rehearse_for
        if venue is not None:
            specs = _as_at(venue, specs, chosen)
        settings = _as(SimulationConfig, simulation, defaults.simulation)
        if defaults.forced:
            settings = SimulationConfig.parse({**settings.model_dump(), **defaults.forced})
        rules = rules_of(defaults.risk, defaults.risk_folder) if risk is None else rules_of(risk)
        manager = _as(OrderManagerConfig, order_manager_config, defaults.order_manager_config)
        if not is_live:
            _check_no_options(options)
        if isinstance(chosen, str):
            tapes = _tapes(specs, tape, defaults)
            if chosen == "sim" and not any(tapes):
                _tell_sample(specs)
            money = _as(AccountConfig, account, defaults.account)
            settled = defaults.broker_options if chosen == defaults.broker else {}
            own = {**settled, **options} if is_live else {}
            spec = BrokerSpec(specs, tapes, settings, money, tuple(names), own)
            chosen = _broker_factory(chosen)(spec)
        if defaults.around is not None:
            chosen = defaults.around(chosen)
        session = Session(
            chosen, manager, on_error=settings.on_error, venue=venue or "",
            journal=Journal(defaults.recorder),
        )  # fmt: skip
        await session.connect()
        suite = cls(session, RiskGate(session, rules))
        try:
            suite.risk.begin(Flattening(session, suite.risk).run, risk_state)
        except BaseException:
            await session.close()
            raise
        defaults.sessions.append(suite)
        if defaults.on_session is not None:
            defaults.on_session(suite)
        return suite

    # --- instruments ---------------------------------------------------------------------------

    def __getitem__(self, name: str) -> InstrumentContext:
        index = self.session.index_of(name)
        return self._contexts[self.session.instruments[index].symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._contexts)

    def __len__(self) -> int:
        return len(self._contexts)

    def __contains__(self, name: object) -> bool:
        return name in self._contexts

    # Suites are compared by identity: two sessions are never the same.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    # --- handlers ------------------------------------------------------------------------------

    async def on(
        self, event_type: EventType | str, handler: Handler, *, timeframe: str | int | None = None
    ) -> Subscription:
        """Call `handler` with every later event of this type, of all instruments.

        See EventType for the types and what they carry; "bar" needs a `timeframe`.
        """
        wanted = parse_member(EventType, event_type, "event_type")
        if wanted not in _MARKET_TYPES:
            return self.session.subscribe(wanted, handler)
        if (wanted is EventType.BAR) != (timeframe is not None):
            raise ConfigurationError('timeframe goes with event_type "bar", which needs one')
        fields = tick_fields(handler) if wanted is EventType.TICK else ()
        whole = Subscription(handler, None)
        for index in range(len(self.session.instruments)):
            if timeframe is None:
                part = self.session.subscribe_rows(wanted, handler, index, fields)
            else:
                part = self.session.subscribe_bars(handler, index, timeframe_ns(timeframe))
            whole.on_cancel(part.cancel)
        return whole

    # --- compiled strategies -------------------------------------------------------------------

    async def run_compiled(
        self,
        instrument: str,
        strategy: Any,
        *,
        bars: str | int | timedelta | None = None,
        until_ns: int | None = None,
        **parameters: Any,
    ) -> None:
        """Run a function that `papertape.compiled.strategy` made, until the tape ends.

        It is called for every row, with `bars` ("1min", as for `on_bar`) for every bar instead.
        `parameters` set fields of its record; `until_ns` ends it earlier. The session is afterwards
        as after any run. Raises StrategyError for an exception in the function, what the session
        refuses, and ConfigurationError for settings under which it cannot run.
        """
        index = self.session.index_of(instrument)
        bar_ns = None if bars is None else timeframe_ns(bars)
        await run_compiled(self.session, self.risk, index, strategy, parameters, until_ns, bar_ns)

    # --- the end -------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """False after `disconnect`."""
        return self.session.connected

    @property
    def failure(self) -> Exception | None:
        """What stopped the session, None as long as nothing did."""
        return self.session.failure

    async def disconnect(self) -> None:
        """End the session; idempotent. Raises the exception of a handler that stopped it.

        With `auto_cancel_on_disconnect` working entries are cancelled first, and exits only when
        their instrument is flat: a position keeps its protection.
        """
        session = self.session
        if not session.connected:
            return
        try:
            if session.config.auto_cancel_on_disconnect and session.failure is None:
                chosen = [each for each in session.ledger.working.values() if self._ends(each)]
                await Changing(session, self.risk).cancel_working(chosen)
        finally:
            await session.close()

    def _ends(self, record: OrderRecord) -> bool:
        """Entries end with the session; what protects or closes an open position stays."""
        if record.role in UNASKED_ROLES:
            return False
        return record.is_entry or self.session.ledger.positions[record.instrument].lots == 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.disconnect()


def _defaults() -> SessionDefaults:
    running = current_defaults()
    if running is not None:
        return running
    settings = Path(SETTINGS_FILE)
    return read_settings(settings) if settings.is_file() else SessionDefaults()


def _as(model: type[Any], given: Any, default: Any) -> Any:
    """The settings that were given (as settings or as a table), else the default's."""
    if given is None:
        return model() if default is None else default
    if isinstance(given, Mapping):
        return model.parse(given)
    if not isinstance(given, model):
        raise ConfigurationError(f"{given!r} is no {model.__name__} and no table of its settings")
    return given


def _names(names: str | Sequence[str] | None, defaults: SessionDefaults) -> list[str]:
    if not isinstance(names, Sequence | None):
        raise ConfigurationError(f"instruments {names!r} is no symbol and no list of symbols")
    chosen = [names] if isinstance(names, str) else list(names or ())
    if not chosen:
        chosen = list(defaults.instruments) or list(defaults.tapes)
    if not chosen:
        raise ConfigurationError(
            "no instrument was named: --instrument MNQ on the command line, instruments = "
            '["MNQ"] in papertape.toml, or TradingSuite.create(["MNQ"]) in a program'
        )
    return chosen


def _check_no_options(options: Mapping[str, Any]) -> None:
    """The simulated exchange has no options of its own: another argument is a slip."""
    known = list(inspect.signature(TradingSuite.create).parameters)
    for name in options:
        raise TypeError(
            f"TradingSuite.create() got an unexpected keyword argument {name!r}"
            f"{near_miss(name, known) or '; options go with a live broker'}"
        )


def _instruments(
    chosen: Sequence[str],
    defaults: SessionDefaults,
    files: Sequence[Path | str],
    *,
    only_known: bool,
) -> tuple[Instrument, ...]:
    """The catalogue's instruments of these names; of a live broker those that it has."""
    catalog = load_catalog(*defaults.catalog_files, *files)
    if only_known:
        every = {name.upper(): each for each in catalog.values() for name in (each.symbol, each.id)}
        found = [every.get(str(name).strip().upper()) for name in chosen]
        return tuple(each for each in found if each is not None)
    specs = tuple(find(catalog, name) for name in chosen)
    symbols = [spec.symbol for spec in specs]
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise ConfigurationError(f"instrument {symbol!r} is named twice")
    return specs


def _as_at(
    venue: str, specs: tuple[Instrument, ...], broker: str | Broker
) -> tuple[Instrument, ...]:
    """The instruments with the rules of prices that a rehearsed venue has for them."""
    has = rehearsed(venue)
    if (broker if isinstance(broker, str) else broker.name) != "sim":
        raise ConfigurationError(f"rehearse_for {venue!r} goes with a simulation")
    check_instruments(venue, specs)
    if not has.significant_digits:
        return specs
    return tuple(replace(spec, significant_digits=has.significant_digits) for spec in specs)


def _tapes(
    specs: tuple[Instrument, ...], tape: object, defaults: SessionDefaults
) -> tuple[object, ...]:
    """One tape an instrument: the argument's, else the defaults', else None for the sample."""
    symbols = [spec.symbol for spec in specs]
    if tape is None:
        given: Mapping[str, object] = {}
    elif isinstance(tape, Mapping):
        given = tape
    elif len(specs) == 1:
        given = {symbols[0]: tape}
    else:
        raise ConfigurationError(
            f"one tape for {len(specs)} instruments: give a table, tape={{{symbols[0]!r}: ...}}"
        )
    for symbol in given:
        if symbol not in symbols:
            hint = near_miss(str(symbol), symbols) or f"; there are {', '.join(symbols)}"
            raise ConfigurationError(f"a tape is given for {symbol!r}{hint}")
    return tuple(_tape_of(given.get(symbol, defaults.tapes.get(symbol))) for symbol in symbols)


def _tape_of(tape: object) -> object:
    return Path(tape) if isinstance(tape, str) else tape


@cache
def _broker_factory(name: str) -> Callable[[BrokerSpec], Broker]:
    """The factory of this name. Looked up once a process: that reads every installed package."""
    from importlib.metadata import entry_points  # with the standard library's mail, for this only

    found = {point.name: point for point in entry_points(group=BROKER_GROUP)}
    if name not in found:
        hint = near_miss(name, found) or f"; there are {', '.join(sorted(found)) or 'none'}"
        raise ConfigurationError(f"broker {name!r} is not installed{hint}")
    factory: Callable[[BrokerSpec], Broker] = found[name].load()
    return factory


def _tell_sample(specs: tuple[Instrument, ...]) -> None:
    symbols = ", ".join(spec.symbol for spec in specs)
    text = f"papertape: no tape was given, so the sample tape of {symbols} is played\n"
    sys.stderr.write(text)
