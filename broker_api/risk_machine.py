"""The account rules as a pure state machine: looks at the account and wishes in, events out.

Nothing here reads a clock, sends, or waits. Time, equity and exposure are handed in; what comes out
are events that name rule, value and limit. Its state is plain data (`RiskState`), so a machine that
is restored goes on as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from broker_api.codes import Reason
from broker_api.event import RiskEvent, RiskFlattened, RiskHalted, RiskLifted, RiskRefused
from broker_api.instrument import NANOS, PPM, to_nanos
from broker_api.risk_days import Day, Days, flat_from_ns
from broker_api.risk_rules import RULE_NAMES, RiskRules, Rule
from broker_api.risk_state import Breach, RiskState

RATE_WINDOW_NS = 60 * NANOS
"""The minute of `order_rate`."""
_OF_ORDERS = frozenset(
    {
        Reason.RISK_LIMIT,
        Reason.POSITION_LIMIT,
        Reason.CONTRACTS,
        Reason.ORDER_RATE,
        Reason.FAR_FROM_MARKET,
    }
)
"""Rules that an order breaks, not the account: what they flatten is over once it is flat."""


class Look(NamedTuple):
    """What the machine is shown of the account at one time."""

    now_ns: int
    equity_nanos: int
    is_flat: bool
    """No position, and no working order that could make one."""
    is_killed: bool = False
    """The kill switch's file is there."""


class Wish(NamedTuple):
    """An order, or a larger size of one, that somebody wants to send.

    `before_ppm` and `after_ppm` are millionths of contracts, weighted, that all positions could
    come to without and with it. `position_lots` is what its instrument's position would be if all
    orders of its side filled.
    """

    now_ns: int
    instrument: int
    size_lots: int
    position_lots: int
    before_ppm: int
    after_ppm: int
    reduces: bool
    limit_ticks: int | None = None
    market_ticks: int | None = None
    """What the limit is measured from: the market's middle, or the order's own stop."""
    size_limit_lots: int | None = None
    position_limit_lots: int | None = None


class Refusal(NamedTuple):
    """Why a wish is refused. With `halt` the account is halted: its breach, and until when."""

    reason: Reason
    value: int
    limit: int
    halt: Breach | None = None


class RiskMachine:
    """The rules of one account. `look` as often as the account changes, `admit` every order."""

    def __init__(self, rules: RiskRules, days: Days, state: RiskState) -> None:
        self.rules = rules
        self.state = state
        self._days = days
        self._day = self._day_ending(state.day_end_ns)

    @classmethod
    def opened(
        cls, rules: RiskRules, days: Days, account: str, now_ns: int, equity_nanos: int
    ) -> RiskMachine:
        """A machine for an account that is seen for the first time: its trading day begins now."""
        state = RiskState(
            account, equity_nanos, days.day_of(now_ns).end_ns, equity_nanos, equity_nanos
        )
        return cls(rules, days, state)

    def _day_ending(self, end_ns: int) -> Day:
        return self._days.day_of(end_ns - 1)

    # --- what is in force ----------------------------------------------------------------------

    @property
    def halt(self) -> tuple[Reason, Breach] | None:
        """The halt that lasts longest, None while the account may trade."""
        halts = list(self.state.halts.items())
        return _longest(halts) if halts else None

    @property
    def wants_flat(self) -> Reason | None:
        """The rule for which orders have to go and positions to be closed, if there is one."""
        state = self.state
        kept = Reason.KILL_SWITCH if state.keeps_positions else Reason.NONE
        halts = [item for item in state.halts.items() if item[0] is not kept]
        if halts:
            return _longest(halts)[0]
        for reason in state.standing:
            if self._rule(reason).action == "flatten":
                return reason
        return None

    @property
    def contracts_limit_ppm(self) -> int | None:
        """Millionths of contracts that the account may have today; None: not limited."""
        rule = self.rules.contracts
        if rule is None:
            return None
        limit, profit = rule.limit, self.state.day_start_nanos - self.state.start_nanos
        for step in sorted(rule.steps, key=lambda step: step.profit):
            if profit >= to_nanos(step.profit):
                limit = step.limit
        return int(limit * PPM)

    @property
    def floor_nanos(self) -> int | None:
        """The equity at which the trailing drawdown is broken; None: not limited."""
        rule = self.rules.trailing_drawdown
        if rule is None:
            return None
        floor = self.state.peak_nanos - to_nanos(rule.limit)
        if rule.locks_at is not None:
            floor = min(floor, self.state.start_nanos + to_nanos(rule.locks_at))
        return floor

    @property
    def flat_from_ns(self) -> int:
        """From when the day is flat; the day's end without such a rule."""
        rule = self.rules.flat_by
        return self._day.end_ns if rule is None else flat_from_ns(rule, self._day)

    def next_look_ns(self, now_ns: int, *, is_open: bool) -> int:
        """When to look next if nothing happens before; `is_open`: there is a position."""
        due = [self._day.end_ns]
        if self.flat_from_ns > now_ns:
            due.append(self.flat_from_ns)
        if self.rules.kill_switch is not None or (self.rules.watches_equity and is_open):
            due.append(now_ns + int(Decimal(str(self.rules.check_seconds)) * NANOS))
        return max(min(due), now_ns + 1)

    def measures(self, look: Look) -> Iterator[tuple[Reason, int, int, bool]]:
        """(rule, value, limit, is broken) of every rule that the account can break by itself."""
        rules, state = self.rules, self.state
        if rules.kill_switch is not None:
            yield Reason.KILL_SWITCH, int(look.is_killed), 0, look.is_killed
        floor = self.floor_nanos
        if floor is not None:
            equity = look.equity_nanos
            yield Reason.TRAILING_DRAWDOWN, equity, floor, equity <= floor
        if rules.daily_loss is not None:
            lost, limit = (
                state.day_start_nanos - look.equity_nanos,
                to_nanos(rules.daily_loss.limit),
            )
            yield Reason.DAILY_LOSS, lost, limit, lost >= limit
        if rules.flat_by is not None:
            from_ns = self.flat_from_ns
            yield Reason.FLAT_BY, look.now_ns, from_ns, from_ns <= look.now_ns < self._day.end_ns

    # --- looks ---------------------------------------------------------------------------------

    def look(self, look: Look) -> list[RiskEvent]:
        """Take in what the account is now; returns what that does."""
        events = self._roll(look)
        state = self.state
        trailing = self.rules.trailing_drawdown
        if trailing is not None and trailing.basis == "intraday":
            state.peak_nanos = max(state.peak_nanos, look.equity_nanos)
        if look.is_killed:
            state.keeps_positions = False  # the file says more than the hand did
        for reason, value, limit, is_broken in self.measures(look):
            if is_broken:
                events += self._break(reason, value, limit, look.now_ns)
            elif reason in state.standing:
                events.append(self._lift(reason, state.standing.pop(reason), look.now_ns))
        if look.is_flat:
            for reason in [each for each in state.standing if each in _OF_ORDERS]:
                events.append(self._lift(reason, state.standing.pop(reason), look.now_ns))
        return events

    def kill(self, now_ns: int, *, keeps_positions: bool) -> list[RiskEvent]:
        """Halt the account for good; open positions are closed unless they are to be kept.

        A second time changes nothing but that: who kept positions may still have them closed.
        """
        state = self.state
        if Reason.KILL_SWITCH not in state.halts:
            state.keeps_positions = keeps_positions
            state.halts[Reason.KILL_SWITCH] = Breach(1, 0, now_ns, 0)
            return [_event(RiskHalted, Reason.KILL_SWITCH, 1, 0, now_ns)]
        if state.keeps_positions and not keeps_positions:
            state.keeps_positions = False
            return [_event(RiskFlattened, Reason.KILL_SWITCH, 1, 0, now_ns)]
        return []

    def deposited(self, nanos: int) -> None:
        """Cash came or went that is neither profit nor loss: every level goes with it."""
        self.state.start_nanos += nanos
        self.state.day_start_nanos += nanos
        self.state.peak_nanos += nanos

    def _roll(self, look: Look) -> list[RiskEvent]:
        """Begin a new trading day when the old one has ended."""
        state = self.state
        if look.now_ns < state.day_end_ns:
            return []
        self._day = self._days.day_of(look.now_ns)
        state.day_end_ns = self._day.end_ns
        state.day_start_nanos = look.equity_nanos
        state.peak_nanos = max(state.peak_nanos, look.equity_nanos)
        over = [each for each, halt in state.halts.items() if 0 < halt.until_ns <= look.now_ns]
        return [self._lift(each, state.halts.pop(each), look.now_ns) for each in over]

    def _break(self, reason: Reason, value: int, limit: int, now_ns: int) -> list[RiskEvent]:
        """A limit is broken: do once what its rule says."""
        state, rule = self.state, self._rule(reason)
        if reason in state.halts or reason in state.standing:
            return []
        if rule.action == "halt":
            until_ns = state.day_end_ns if rule.until == "day" else 0
            state.halts[reason] = Breach(value, limit, now_ns, until_ns)
            return [_event(RiskHalted, reason, value, limit, now_ns)]
        state.standing[reason] = Breach(value, limit, now_ns, 0)
        kind = RiskFlattened if rule.action == "flatten" else RiskRefused
        return [_event(kind, reason, value, limit, now_ns)]

    def _lift(self, reason: Reason, breach: Breach, now_ns: int) -> RiskEvent:
        return _event(RiskLifted, reason, breach.value, breach.limit, now_ns)

    def _rule(self, reason: Reason) -> Rule:
        rule = getattr(self.rules, RULE_NAMES[reason])
        # The two sizes have no table of their own: they refuse.
        return rule if isinstance(rule, Rule) else Rule()

    # --- orders --------------------------------------------------------------------------------

    def admit(self, wish: Wish) -> tuple[Refusal | None, list[RiskEvent]]:
        """Whether an order may be sent, and the events of that. What reduces always may."""
        refusal = None if wish.reduces else self._refusal(wish)
        if refusal is None:
            self._count(wish.now_ns)
            return None, []
        reason, value, limit = refusal[:3]
        events: list[RiskEvent] = [_event(RiskRefused, reason, value, limit, wish.now_ns)]
        if reason in _OF_ORDERS and self._rule(reason).action != "refuse":
            events += self._break(reason, value, limit, wish.now_ns)
        return refusal, events

    def _refusal(self, wish: Wish) -> Refusal | None:
        halt = self.halt
        if halt is not None:
            return Refusal(halt[0], halt[1].value, halt[1].limit, halt[1])
        for reason, breach in self.state.standing.items():
            return Refusal(reason, breach.value, breach.limit)
        for reason, value, limit in self._broken_by(wish):
            return Refusal(reason, value, limit)
        return None

    def _broken_by(self, wish: Wish) -> Iterator[tuple[Reason, int, int]]:
        """Rules that the order itself breaks, with value and limit."""
        most = wish.size_limit_lots
        if most is not None and wish.size_lots > most:
            yield Reason.RISK_LIMIT, wish.size_lots, most
        most = wish.position_limit_lots
        if most is not None and wish.position_lots > most:
            yield Reason.POSITION_LIMIT, wish.position_lots, most
        contracts = self.contracts_limit_ppm
        if contracts is not None and wish.after_ppm > max(contracts, wish.before_ppm):
            yield Reason.CONTRACTS, wish.after_ppm, contracts
        edge = self._band_edge(wish)
        if edge is not None:
            assert wish.limit_ticks is not None, "an order without a limit is in every band"
            yield Reason.FAR_FROM_MARKET, wish.limit_ticks, edge
        rate = self.rules.order_rate
        if rate is not None and self.sent_lately(wish.now_ns) >= rate.limit:
            yield Reason.ORDER_RATE, self.sent_lately(wish.now_ns) + 1, rate.limit

    def _band_edge(self, wish: Wish) -> int | None:
        """The end of the price band that the order's limit is beyond, None if it is inside."""
        rule, limit, market = self.rules.price_band, wish.limit_ticks, wish.market_ticks
        if rule is None or limit is None or market is None:
            return None
        widths = [] if rule.ticks is None else [rule.ticks]
        if rule.percent is not None:
            widths.append(int(abs(market) * rule.percent / 100))
        low, high = market - min(widths), market + min(widths)
        if low <= limit <= high:
            return None
        return low if limit < low else high

    def _count(self, now_ns: int) -> None:
        if self.rules.order_rate is not None:
            self.sent_lately(now_ns)
            self.state.sent_ns.append(now_ns)

    def sent_lately(self, now_ns: int) -> int:
        """Orders and changes within the last minute."""
        sent = self.state.sent_ns
        while sent and sent[0] <= now_ns - RATE_WINDOW_NS:
            sent.popleft()
        return len(sent)


def _longest(halts: list[tuple[Reason, Breach]]) -> tuple[Reason, Breach]:
    """The first halt that is for good, else the first."""
    return next((item for item in halts if item[1].until_ns == 0), halts[0])


def _event(kind: type[Any], reason: Reason, value: int, limit: int, now_ns: int) -> RiskEvent:
    event: RiskEvent = kind(0, now_ns, -1, reason, value, limit)
    return event
