"""The account rules by example: looks and orders in, events out; a restart changes nothing.

Equity is in whole units of currency, times are seconds behind the start of a trading day.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest

from broker_api.codes import Reason
from broker_api.instrument import NANOS, PPM
from broker_api.risk_days import Day, days_of, flat_from_ns
from broker_api.risk_machine import Look, RiskMachine, Wish
from broker_api.risk_rules import RULE_NAMES, FlatBy, TradingDay, rules_of
from broker_api.risk_state import RiskState
from tests.broker_api.builders import MNQ

START = 50_000
DAY_SECONDS = 1_000


@dataclass(frozen=True)
class EvenDays:
    """Trading days of so many seconds, one behind the other; markets open at once."""

    seconds: int = DAY_SECONDS

    def day_of(self, ts_ns):
        length = self.seconds * NANOS
        begin = ts_ns // length * length
        return Day(begin, begin + length)


@dataclass
class Account:
    """A machine and what it said, as text: `halted daily_loss 1010/1000`."""

    machine: RiskMachine
    said: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, rules, days=None):
        machine = RiskMachine.opened(rules_of(rules), days or EvenDays(), "SIM", 0, START * NANOS)
        return cls(machine)

    def look(self, second, equity=START, *, is_flat=True, is_killed=False):
        look = Look(second * NANOS, int(equity * NANOS), is_flat, is_killed)
        return self._say(self.machine.look(look))

    def order(self, second, lots=1, **more):
        """Whether the order passes: None, or the rule that refuses it."""
        held = more.pop("held", 0)
        values = {
            "position_lots": held + lots,
            "before_ppm": held * PPM,
            "after_ppm": (held + lots) * PPM,
            "reduces": False,
            **more,
        }
        refusal, events = self.machine.admit(Wish(second * NANOS, 0, lots, **values))
        self._say(events)
        return None if refusal is None else RULE_NAMES[refusal.reason]

    def _say(self, events):
        texts = []
        for event in events:
            unit = NANOS if event.reason in _MONEY else 1
            kind = event.KIND.name.removeprefix("RISK_").lower()
            amounts = f"{event.value / unit:g}/{event.limit / unit:g}"
            texts.append(f"{kind} {RULE_NAMES[event.reason]} {amounts}")
        self.said += texts
        return texts


_MONEY = (Reason.DAILY_LOSS, Reason.TRAILING_DRAWDOWN, Reason.FLAT_BY)

LOOKS = [
    # rules, looks (second, equity) and what each says
    pytest.param(
        {"daily_loss": {"limit": 1000}},
        [
            (10, 49_001, []),
            (11, 49_000, ["halted daily_loss 1000/1000"]),
            (12, 48_000, []),
            (999, 50_500, []),
            (1000, 48_500, ["lifted daily_loss 1000/1000"]),
            (1001, 47_501, []),
            (1002, 47_400, ["halted daily_loss 1100/1000"]),
        ],
        id="a daily loss halts for the day and counts from the next day's start",
    ),
    pytest.param(
        {"daily_loss": {"limit": 1000, "action": "refuse"}},
        [
            (10, 48_900, ["refused daily_loss 1100/1000"]),
            (11, 48_800, []),
            (12, 49_200, ["lifted daily_loss 1100/1000"]),
            (13, 49_000, ["refused daily_loss 1000/1000"]),
        ],
        id="what refuses is lifted as soon as the limit is kept again",
    ),
    pytest.param(
        {"daily_loss": {"limit": 1000, "action": "flatten"}},
        [
            (10, 48_900, ["flattened daily_loss 1100/1000"]),
            (1001, 48_900, ["lifted daily_loss 1100/1000"]),
        ],
        id="what flattens is lifted by a new day",
    ),
    pytest.param(
        {"trailing_drawdown": {"limit": 2000}},
        [
            (1, 51_500, []),
            (2, 49_501, []),
            (3, 49_500, ["halted trailing_drawdown 49500/49500"]),
            (1500, 60_000, []),
        ],
        id="an intraday drawdown trails the highest look and halts for good",
    ),
    pytest.param(
        {"trailing_drawdown": {"limit": 2000, "basis": "end_of_day"}},
        [
            (1, 51_500, []),
            (2, 48_001, []),
            (1000, 50_700, []),
            (1001, 48_701, []),
            (1002, 48_700, ["halted trailing_drawdown 48700/48700"]),
        ],
        id="an end-of-day drawdown trails where days ended, and is broken at any time",
    ),
    pytest.param(
        {"trailing_drawdown": {"limit": 2000, "locks_at": 100}},
        [
            (1, 54_000, []),
            (2, 50_101, []),
            (3, 50_100, ["halted trailing_drawdown 50100/50100"]),
        ],
        id="a drawdown's floor stops rising where it is locked",
    ),
    pytest.param(
        {"trailing_drawdown": {"limit": 2000}, "daily_loss": {"limit": 1000}},
        [
            (1, 49_000, ["halted daily_loss 1000/1000"]),
            (2, 48_000, ["halted trailing_drawdown 48000/48000"]),
            (1000, 48_000, ["lifted daily_loss 1000/1000"]),
        ],
        id="a halt for good outlives the day's",
    ),
]


@pytest.mark.parametrize(("rules", "looks"), LOOKS)
def test_looks_at_the_account(rules, looks):
    account = Account.of(rules)
    for second, equity, said in looks:
        assert account.look(second, equity) == said, (second, equity)


def test_a_halted_account_takes_what_reduces_and_nothing_else_until_its_time():
    account = Account.of({"daily_loss": {"limit": 1000}})
    assert account.order(1) is None
    account.look(10, 48_900)
    assert account.order(11) == "daily_loss"
    assert account.order(12, reduces=True) is None
    assert account.said[-1] == "refused daily_loss 1100/1000"
    assert account.machine.wants_flat is Reason.DAILY_LOSS
    account.look(1000, 48_900)
    assert account.order(1001) is None
    assert account.machine.wants_flat is None


def test_contracts_count_what_could_fill_and_grow_with_the_profit_of_days():
    steps = [{"profit": 1500, "limit": 3}, {"profit": 2000, "limit": 5}]
    account = Account.of({"contracts": {"limit": 2, "steps": steps}})
    assert account.order(1, 2) is None
    assert account.order(2, 1, held=2) == "contracts"
    assert account.said == ["refused contracts 3e+06/2e+06"]
    account.look(10, 51_600)  # the profit of today does not count yet
    assert account.order(11, 3) == "contracts"
    account.look(1000, 51_600)
    assert account.order(1001, 3) is None
    account.look(2000, 52_000)
    assert account.order(2001, 5) is None
    account.look(3000, 51_000)
    assert account.order(3001, 3) == "contracts"


def test_an_order_that_brings_no_more_contracts_passes_above_the_limit():
    account = Account.of({"contracts": {"limit": 2}})
    assert account.order(1, 1, held=4, after_ppm=4 * PPM) is None


def test_orders_within_a_minute_are_counted_whoever_they_are_and_reducing_ones_pass():
    account = Account.of({"order_rate": {"limit": 3}})
    assert [account.order(second) for second in (0, 1, 2)] == [None] * 3
    assert account.order(59) == "order_rate"
    assert account.order(59, reduces=True) is None
    assert account.order(60) == "order_rate"  # that of second 0 is a minute old, three are left
    assert account.order(61) is None
    assert account.said[0] == "refused order_rate 4/3"


@pytest.mark.parametrize(
    ("band", "limit_ticks", "refused"),
    [
        ({"ticks": 10}, 110, False),
        ({"ticks": 10}, 111, True),
        ({"ticks": 10}, 90, False),
        ({"ticks": 10}, 89, True),
        ({"percent": 5}, 105, False),
        ({"percent": 5}, 94, True),
        ({"percent": 5, "ticks": 2}, 103, True),
        ({"ticks": 10}, None, False),
    ],
)
def test_limits_far_from_the_market_are_refused(band, limit_ticks, refused):
    account = Account.of({"price_band": band})
    answer = account.order(1, limit_ticks=limit_ticks, market_ticks=100)
    assert answer == ("price_band" if refused else None)


def test_without_a_market_no_limit_is_far_from_it():
    account = Account.of({"price_band": {"ticks": 1}})
    assert account.order(1, limit_ticks=10**6) is None


def test_an_order_may_halt_the_account_that_sends_it():
    account = Account.of({"order_rate": {"limit": 1, "action": "halt", "until": "good"}})
    assert account.order(1) is None
    assert account.order(2) == "order_rate"
    assert account.said == ["refused order_rate 2/1", "halted order_rate 2/1"]
    assert account.order(500) == "order_rate"
    assert account.look(1000) == []


def test_what_an_order_flattens_is_over_once_the_account_is_flat():
    account = Account.of({"max_order_size": 5, "contracts": {"limit": 2, "action": "flatten"}})
    account.order(1, 3)
    assert account.said == ["refused contracts 3e+06/2e+06", "flattened contracts 3e+06/2e+06"]
    account.look(2, is_flat=False)
    assert account.order(3) == "contracts"
    assert account.look(4) == ["lifted contracts 3e+06/2e+06"]
    assert account.order(5) is None


def test_sizes_of_orders_and_positions_are_bounded():
    account = Account.of({"max_order_size": 2, "max_position_size": 3})
    bounds = {"size_limit_lots": 2, "position_limit_lots": 3}
    assert account.order(1, 3, **bounds) == "max_order_size"
    assert account.order(1, 2, held=2, **bounds) == "max_position_size"
    assert account.order(1, 2, held=1, **bounds) is None


def test_the_kill_switch_is_in_force_while_its_file_is_there_and_its_halt_longer():
    refuses = Account.of({"kill_switch": {"file": "STOP", "action": "refuse"}})
    assert refuses.look(1, is_killed=True) == ["refused kill_switch 1/0"]
    assert refuses.order(2) == "kill_switch"
    assert refuses.look(3) == ["lifted kill_switch 1/0"]
    halts = Account.of({"kill_switch": {"file": "STOP"}})
    halts.look(1, is_killed=True)
    halts.look(2)
    assert halts.order(3) == "kill_switch"
    assert halts.look(5000) == []


def test_a_deposit_is_neither_profit_nor_loss():
    account = Account.of({"trailing_drawdown": {"limit": 500}, "daily_loss": {"limit": 500}})
    account.machine.deposited(1000 * NANOS)
    assert account.look(1, START + 600) == []
    assert account.look(2, START + 500) == [
        "halted trailing_drawdown 50500/50500",
        "halted daily_loss 500/500",
    ]


def test_the_next_look_is_soon_while_a_position_is_open_and_else_at_the_days_end():
    machine = Account.of({"daily_loss": {"limit": 5}, "check_seconds": 0.25}).machine
    assert machine.next_look_ns(7 * NANOS, is_open=True) == 7_250_000_000
    assert machine.next_look_ns(7 * NANOS, is_open=False) == DAY_SECONDS * NANOS
    machine = Account.of({"kill_switch": {"file": "STOP"}}).machine
    assert machine.next_look_ns(7 * NANOS, is_open=False) == 8 * NANOS
    machine = Account.of({"contracts": {"limit": 5}}).machine
    assert machine.next_look_ns(7 * NANOS, is_open=True) == DAY_SECONDS * NANOS


# --- trading days ------------------------------------------------------------------------------


def ns(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NANOS


@pytest.mark.parametrize(
    ("settings", "instant", "opens", "ends"),
    [
        # Chicago is six hours behind in winter, five in summer
        ({}, "2025-01-14 12:00", "2025-01-13 23:00", "2025-01-14 22:00"),
        ({}, "2025-01-14 22:00", "2025-01-14 23:00", "2025-01-15 22:00"),
        ({}, "2025-07-01 22:30", "2025-07-01 22:00", "2025-07-02 21:00"),
        ({}, "2025-01-18 12:00", "2025-01-19 23:00", "2025-01-20 18:00"),  # Saturday; a holiday
        ({"calendar": "24/7"}, "2025-01-14 12:00", "2025-01-14 00:00", "2025-01-15 00:00"),
        (
            {"ends": "17:00", "timezone": "America/Chicago"},
            *("2025-03-09 21:59", "2025-03-08 23:00", "2025-03-09 22:00"),  # the clocks change
        ),
        (
            {"ends": "17:00", "timezone": "America/Chicago"},
            *("2025-03-09 22:00", "2025-03-09 22:00", "2025-03-10 22:00"),
        ),
    ],
)
def test_trading_days(settings, instant, opens, ends):
    days = days_of(TradingDay.parse(settings), [MNQ])
    assert days.day_of(ns(instant)) == (ns(opens), ns(ends))


@pytest.mark.parametrize(
    ("rule", "day", "flat"),
    [
        ({"at": "15:10", "timezone": "America/Chicago"}, "2025-01-14 12:00", "2025-01-14 21:10"),
        ({"minutes_before_close": 50}, "2025-01-14 12:00", "2025-01-14 21:10"),
        # ends at 12:00: half past three is not in it
        ({"at": "15:10", "timezone": "America/Chicago"}, "2025-01-20 12:00", "2025-01-20 18:00"),
        (
            {"at": "15:10", "timezone": "America/Chicago", "minutes_before_close": 50},
            *("2025-01-20 12:00", "2025-01-20 17:10"),
        ),
        ({"at": "20:00", "timezone": "America/Chicago"}, "2025-01-14 12:00", "2025-01-14 02:00"),
    ],
)
def test_from_when_a_day_is_flat(rule, day, flat):
    days = days_of(TradingDay(), [MNQ])
    assert flat_from_ns(FlatBy.parse(rule), days.day_of(ns(day))) == ns(flat)


def test_flat_by_flattens_at_its_time_and_is_lifted_when_the_day_ends():
    days = days_of(TradingDay(), [MNQ])
    start, flat, end = ns("2025-01-14 12:00"), ns("2025-01-14 21:10"), ns("2025-01-14 22:00")
    rules = rules_of({"flat_by": {"minutes_before_close": 50}})
    machine = RiskMachine.opened(rules, days, "SIM", start, START * NANOS)
    kinds = []
    for instant in (flat - 1, flat, end - 1, end, end + 1):
        kinds.append([e.KIND.name for e in machine.look(Look(instant, START * NANOS, True))])
    assert kinds == [[], ["RISK_FLATTENED"], [], ["RISK_LIFTED"], []]
    assert machine.next_look_ns(start, is_open=False) > end


# --- restarts ----------------------------------------------------------------------------------

EVERYTHING = {
    "daily_loss": {"limit": 120},
    "trailing_drawdown": {"limit": 900, "basis": "intraday", "locks_at": 200},
    "contracts": {"limit": 3, "steps": [{"profit": 100, "limit": 5}], "action": "flatten"},
    "order_rate": {"limit": 3, "action": "halt"},
    "price_band": {"ticks": 20},
    "kill_switch": {"file": "STOP", "action": "flatten"},
}


def random_steps(seed, count):
    """Looks and orders of an account that wanders, as functions of an Account."""
    draws = np.random.Generator(np.random.Philox(seed))
    second, equity = 0, START
    for _ in range(count):
        second += int(draws.integers(0, 60))
        equity += int(draws.integers(-60, 62))
        if draws.random() < 0.5:
            flags = {"is_flat": draws.random() < 0.5, "is_killed": draws.random() < 0.03}
            yield "look", (second, equity), {key: bool(value) for key, value in flags.items()}
        else:
            limit = int(draws.integers(75, 125))
            more = {"held": int(draws.integers(0, 4)), "reduces": bool(draws.random() < 0.2)}
            yield "order", (second, 1), {"limit_ticks": limit, "market_ticks": 100, **more}


@pytest.mark.parametrize("seed", range(6))
def test_a_machine_restored_at_any_step_goes_on_as_the_one_that_never_stopped(seed):
    whole, parts = Account.of(EVERYTHING), Account.of(EVERYTHING)
    for verb, arguments, more in random_steps(seed, 300):
        table = json.loads(json.dumps(parts.machine.state.export()))
        state = RiskState.restored(table)
        parts.machine = RiskMachine(rules_of(EVERYTHING), EvenDays(), state)
        first = getattr(whole, verb)(*arguments, **more)
        assert getattr(parts, verb)(*arguments, **more) == first
        assert parts.machine.state == whole.machine.state
    assert len({text.split()[0] for text in whole.said}) >= 3


@pytest.mark.parametrize("seed", range(6))
def test_nothing_that_adds_passes_a_halted_account(seed):
    account = Account.of(EVERYTHING)
    halted = 0
    for verb, arguments, more in random_steps(seed, 300):
        before = account.machine.halt
        answer = getattr(account, verb)(*arguments, **more)
        if verb == "order" and before is not None and not more["reduces"]:
            halted += 1
            assert answer is not None
    assert halted > 0
