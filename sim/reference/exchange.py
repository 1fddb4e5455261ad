"""The reference exchange: time and commands in, events out. It visits every row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from broker_api.calendar import SessionCalendar
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.event import (
    Event,
    FundingPaid,
    MarketHalted,
    MarketResumed,
    Reason,
)
from broker_api.instrument import Instrument
from broker_api.order import (
    BracketRequest,
    CancelRequest,
    Command,
    OcoRequest,
    OrderRequest,
    ReplaceRequest,
    TriggerSource,
)
from data.schema import RowKind
from data.tape import Tape
from sim.funds import FundsChange
from sim.reference import commands, replacing
from sim.reference.account import Account, Position
from sim.reference.bars import order_bar_under_way, order_extremes, path_of, with_spread
from sim.reference.contingent import after_end
from sim.reference.floor import Floor
from sim.reference.funds import change_funds
from sim.reference.margin import look_at_margin, switches_of_margin
from sim.reference.market import Market, Row
from sim.reference.matching import activate_arriving, apply_row

FOREVER = (1 << 63) - 1
ACCOUNTS_MAX = 16


class ReferenceExchange:
    """The same promises as `sim.exchange.Exchange`, in plain Python and other data structures."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        tapes: Sequence[Tape],
        calendars: Sequence[SessionCalendar],
        simulation: SimulationConfig,
        accounts: AccountConfig | Sequence[AccountConfig],
        start_ns: int | None = None,
    ) -> None:
        configs = [accounts] if isinstance(accounts, AccountConfig) else list(accounts)
        _check_accounts(configs, instruments, tapes)
        self._configs = configs
        self.start_ns = min(tape.start_ns for tape in tapes) if start_ns is None else start_ns
        self.end_ns = max(tape.end_ns for tape in tapes)
        self.now_ns = self.start_ns
        markets = [
            _market(index, *parts, simulation, self.start_ns)
            for index, parts in enumerate(zip(instruments, tapes, calendars, strict=True))
        ]
        holders = [_account(*each, markets, simulation.fees) for each in enumerate(configs)]
        self.floor = Floor(simulation, markets, holders, self.start_ns)
        self._boundaries = self._session_boundaries()
        self._switches = switches_of_margin(markets, self.start_ns, self.end_ns)
        for market in markets:
            order_bar_under_way(market, simulation.bar_path)
            if not market.calendar.is_open(self.start_ns):
                self._close(market, self.start_ns)
        self._run_rows(self.start_ns)
        self._untold = self._drain()

    def _session_boundaries(self) -> list[tuple[int, int, bool]]:
        """(time, market, opens), in order."""
        return sorted(
            (ts_ns, market.index, opens)
            for market in self.floor.markets
            for ts_ns, opens in market.calendar.boundaries(self.start_ns + 1, self.end_ns + 1)
        )

    def equity_nanos(self, account: int = 0) -> int:
        """Cash plus open profit."""
        return self.floor.accounts[account].equity()

    def used_margin_nanos(self, account: int = 0) -> int:
        """Initial margin held for positions and working orders."""
        return self.floor.accounts[account].used(self.floor.working)

    def advance(self, deadline_ns: int) -> list[Event]:
        """Run to `deadline_ns`, or to the first time at which something is published."""
        untold, self._untold = self._untold, []
        while not untold and not self.floor.published and self.now_ns < deadline_ns:
            boundary_ns = self._boundaries[0][0] if self._boundaries else FOREVER
            target_ns = min(deadline_ns, self._next_expiry(), self._next_switch())
            if boundary_ns > target_ns:
                self._run_to(max(target_ns, self.now_ns))
            elif boundary_ns - 1 > self.now_ns:
                self._run_to(boundary_ns - 1)
            else:
                # An opening instant is open, a closing instant closed: rows of it come after.
                self._pass_boundaries(boundary_ns)
                self._run_to(boundary_ns)
        return untold + self._drain()

    def _run_to(self, target_ns: int) -> None:
        """Rows up to a time, or to the first time at which one publishes; then what expires."""
        target_ns = self._run_rows(target_ns)
        self.now_ns = self.floor.ts_ns = target_ns
        self._expire(target_ns)
        self._switch_margins(target_ns)

    def _next_switch(self) -> int:
        return self._switches[0][0] if self._switches else FOREVER

    def _switch_margins(self, ts_ns: int) -> None:
        """Day and overnight margins take turns; a beginning night is looked at."""
        begins = False
        while self._next_switch() <= ts_ns:
            _, index, is_night = self._switches.pop(0)
            self.floor.markets[index].is_night = is_night
            begins = begins or is_night
        if begins:
            look_at_margin(self.floor)

    def execute(self, command: Command, account: int = 0) -> list[Event]:
        """Run an account's command at the present time; the first event is its answer."""
        floor, holder = self.floor, self.floor.accounts[account]
        assert not floor.published
        floor.ts_ns = self.now_ns
        match command:
            case ReplaceRequest():
                replacing.replace(floor, holder, command)
            case CancelRequest():
                commands.cancel_by_user(floor, holder, command)
            case OrderRequest():
                commands.submit(floor, holder, self._market_of(command), command)
            case BracketRequest():
                commands.submit(floor, holder, self._market_of(command.entry), command)
            case OcoRequest():
                commands.submit(floor, holder, self._market_of(command.first), command)
        return self._drain()

    def change_funds(self, change: FundsChange, account: int = 0) -> list[Event]:
        """Move money or set a leverage at the present time. Raises FundsError."""
        self.floor.ts_ns = self.now_ns
        holder = self.floor.accounts[account]
        self._configs[account] = change_funds(self.floor, holder, self._configs[account], change)
        return self._drain()

    def _market_of(self, request: OrderRequest) -> Market:
        return next(m for m in self.floor.markets if m.instrument.symbol == request.instrument)

    def _drain(self) -> list[Event]:
        published, self.floor.published = self.floor.published, []
        return published

    def _next_expiry(self) -> int:
        times = [order.expires_ns for order in self.floor.working if order.expires_ns is not None]
        return min(times, default=FOREVER)

    def _pass_boundaries(self, ts_ns: int) -> None:
        self.floor.ts_ns = ts_ns
        while self._boundaries and self._boundaries[0][0] <= ts_ns:
            at_ns, index, opens = self._boundaries.pop(0)
            market = self.floor.markets[index]
            if opens:
                self._resume(market, by_calendar=True)
            else:
                self._close(market, at_ns)

    def _close(self, market: Market, ts_ns: int) -> None:
        if not market.is_halted:
            self.floor.publish_to_all(MarketHalted, market.index, reason=Reason.MARKET_CLOSED)
        market.closed_by_calendar = True
        market.next_open_ns = market.calendar.next_open_ns(ts_ns)

    def _halt(self, market: Market) -> None:
        if not market.is_halted:
            self.floor.publish_to_all(MarketHalted, market.index, reason=Reason.MARKET_HALTED)
        market.halted_by_tape = True

    def _resume(self, market: Market, *, by_calendar: bool) -> None:
        """Calendar and tape must both have it open; then the book is unknown until the next row."""
        was_halted = market.is_halted
        if by_calendar:
            market.closed_by_calendar = False
            market.next_open_ns = None
        else:
            market.halted_by_tape = False
        if was_halted and not market.is_halted:
            market.reopen()
            self.floor.publish_to_all(MarketResumed, market.index)

    def _expire(self, ts_ns: int) -> None:
        if self._next_expiry() > ts_ns:
            return
        for order in list(self.floor.working):
            due = order.expires_ns is not None and order.expires_ns <= ts_ns
            if due and order.is_working:
                self.floor.expire(order)
                after_end(self.floor, order, Reason.NONE)
        for market in self.floor.markets:
            activate_arriving(self.floor, market)

    def _waiting_rows(self, until_ns: int) -> Iterator[tuple[int, int]]:
        """(time, market) of each market's next row up to `until_ns`."""
        for market in self.floor.markets:
            following = market.cursor + 1
            if following < len(market.rows) and market.rows[following].ts <= until_ns:
                yield market.rows[following].ts, market.index

    def _run_rows(self, until_ns: int) -> int:
        """Process rows up to `until_ns`, or up to the end of the first time that publishes."""
        published = len(self.floor.published)
        while rows := list(self._waiting_rows(until_ns)):
            ts_ns, index = min(rows)
            market = self.floor.markets[index]
            market.cursor += 1
            self.floor.ts_ns = ts_ns
            if market.is_bars:
                position = self.floor.accounts[0].lots(index)
                order_extremes(market, self.floor.settings.bar_path, position)
            self._apply(market, market.rows[market.cursor])
            if len(self.floor.published) > published:
                until_ns = ts_ns
        return until_ns

    def _apply(self, market: Market, row: Row) -> None:
        """A row's own news first, then what it does to orders, unless nothing trades."""
        market.show(row)
        was_reopened = False
        match row.kind:
            case RowKind.HALT | RowKind.CLOSE:
                self._halt(market)
            case RowKind.OPEN | RowKind.RESUME:
                was_reopened = market.is_halted
                self._resume(market, by_calendar=False)
            case RowKind.MARK:
                market.mark_nanos = row.px
            case RowKind.FUNDING:
                self._bring_funding(market, row)
        if market.is_halted or was_reopened:
            return
        market.path = path_of(market)
        market.know()
        apply_row(self.floor, market, row)
        market.path = None
        look_at_margin(self.floor, market)

    def _bring_funding(self, market: Market, row: Row) -> None:
        """A mark if the row has one; then every account with a position pays or receives."""
        if row.px:
            market.mark_nanos = row.px
        for account in self.floor.accounts:
            lots = account.lots(market.index)
            if lots:
                paid = account.pay_funding(market, row.qty)
                fields = {"value": paid, "position_lots": lots}
                self.floor.publish(account, FundingPaid, market.index, **fields)
                self.floor.publish_money(account, market.index)


def _check_accounts(
    configs: list[AccountConfig], instruments: Sequence[Instrument], tapes: Sequence[Tape]
) -> None:
    if not 1 <= len(configs) <= ACCOUNTS_MAX:
        raise ConfigurationError(f"accounts: 1 to {ACCOUNTS_MAX} of them, not {len(configs)}")
    for instrument, tape in zip(instruments, tapes, strict=True):
        if tape.bar_interval_ns and len(configs) > 1:
            raise ConfigurationError(
                f"{instrument.symbol}: its tape is made of bars; {len(configs)} accounts on one "
                "book need quotes or trades"
            )


def _account(index: int, config: AccountConfig, markets: list[Market], has_fees: bool) -> Account:
    return Account(
        index=index,
        cash=config.cash_nanos,
        markets=markets,
        positions=[Position() for _ in markets],
        has_fees=has_fees,
        tiers=[config.margin_tiers(market.instrument) for market in markets],
        isolated={market.index for market in markets if config.is_isolated(market.instrument)},
    )


def _market(
    index: int,
    instrument: Instrument,
    tape: Tape,
    calendar: SessionCalendar,
    simulation: SimulationConfig,
    start_ns: int,
) -> Market:
    rows = [Row._make(values) for values in zip(*(c.tolist() for c in tape.l1), strict=True)]
    if tape.bar_interval_ns:
        rows = with_spread(rows, simulation.spread_ticks)
    before = sum(row.ts < start_ns for row in rows)
    market = Market(
        index=index,
        instrument=instrument,
        calendar=calendar,
        tape=tape,
        source=_trigger_source(instrument, tape),
        beyond_top=simulation.beyond_top_model,
        rows=rows,
        cursor=before - 1,
    )
    market.begin(rows[:before])
    return market


def _trigger_source(instrument: Instrument, tape: Tape) -> TriggerSource:
    """The instrument's source, or what the tape has: marks, else prints, else bid and ask."""
    source = instrument.trigger_source
    if tape.bar_interval_ns:
        return TriggerSource.LAST
    if source is TriggerSource.MARK and not tape.has_marks:
        source = TriggerSource.LAST
    if source is TriggerSource.LAST and not tape.has_trades:
        source = TriggerSource.BID_ASK
    return source
