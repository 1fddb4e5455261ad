"""The simulated exchange's whole state: one structured record, and the constants the kernel needs.

What lives here: the layout of the record (orders, groups, instruments, accounts, settings), how it
is made and hashed, and how functions are compiled. What does not: any rule. Snapshot, hash and
equality of an exchange are operations on the bytes of this record, so every field is int64 and none
comes from the process (no pointer, no clock, no hash).

An order lives in a *slot* while it works; its slot is freed when it ends. A bracket or OCO is a
*group*, which outlives its entry's slot because exits must know what the entry filled.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from broker_api import codes, event, order
from broker_api.event import EventKind
from broker_api.instrument import MAX_TIERS
from broker_api.order import (
    NO_PRICE,
    Arm,
    BeyondTop,
    Liquidity,
    OnPartial,
    OrderStatus,
    OrderType,
    QueueModel,
    Role,
    SelfTrade,
    TimeInForce,
    TriggerSource,
)
from data import index, schema
from data.schema import RowKind
from sim.later import Later

_F = TypeVar("_F", bound=Callable[..., Any])
KERNEL_FILES = (
    "book.py",
    "later.py",
    "handles.py",
    "tape_type.py",
    "search.py",
    "publish.py",
    "account.py",
    "foreign.py",
    "queue.py",
    "rules.py",
    "path.py",
    "bar_turn.py",
    "trailing.py",
    "exits.py",
    "groups.py",
    "filling.py",
    "taking.py",
    "arrival.py",
    "commands.py",
    "replacing.py",
    "liquidation.py",
    "status.py",
    "kernel.py",
    "entries.py",
    "door_code.py",
    "doors.py",
    "strategy.py",
    "strategy_loop.py",
    "strategy_bars.py",
    "shortcut_loop.py",
    "strategy_door.py",
)
"""The files that may import numba, and whose contents name the folder of compiled code."""


@functools.cache
def compiled_folder() -> str:
    """A folder for compiled code, named by the content of the kernel's sources.

    Numba's own cache looks at the file of the function that it compiles, not at those of the
    functions that it calls; a folder by content can never serve code of another version.
    """
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for name in KERNEL_FILES:
        digest.update((here / name).read_bytes())
    # The enumerations and layouts that become constants.
    for module in (order, codes, event, schema, index):
        digest.update(Path(module.__file__ or "").read_bytes())
    modes = [os.environ.get(name, "") for name in _MODES]
    digest.update(repr((_numba_version(), modes, MAX_TIERS)).encode())
    root = os.environ.get("PAPERTAPE_CACHE") or os.environ.get("XDG_CACHE_HOME")
    base = Path(root) if root else Path.home() / ".cache"
    return str(base / "papertape" / "compiled" / digest.hexdigest()[:16])


_MODES = ("NUMBA_BOUNDSCHECK", "NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
"""Variables of the environment that change what is compiled."""


def _numba_version() -> bytes:
    """The file that says which Numba is installed: importing it would take a fifth of a second."""
    found = importlib.util.find_spec("numba")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("_version.py").read_bytes()


def is_compiled() -> bool:
    """False with NUMBA_DISABLE_JIT=1: the same sources run as plain Python."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def njit(function: _F) -> _F:
    """Compile a function that only other compiled functions call.

    Code is cached on disk, in a folder named by the content of the kernel's sources. Without an
    entry from Python, which most functions do not need, compiling takes a third less time.
    """
    return _compiled_later(function, callable_from_python=False)


def entry(function: _F) -> _F:
    """Compile a function that Python calls too; otherwise like `njit`."""
    return _compiled_later(function, callable_from_python=True)


def _compiled_later(function: _F, *, callable_from_python: bool) -> _F:
    if not is_compiled():
        return function

    def compile_it() -> Any:
        import numba

        config: Any = numba.config
        before, config.CACHE_DIR = config.CACHE_DIR, compiled_folder()
        try:
            return cast(Any, numba.njit)(
                cache=True,
                error_model="numpy",
                no_cpython_wrapper=not callable_from_python,
                no_cfunc_wrapper=True,
                _nrt=False,  # nobody here makes an array: there is nothing to count references to
            )(function)
        finally:
            config.CACHE_DIR = before

    return cast(_F, Later(compile_it, function))


def i8(value: int) -> int:
    """A constant for compiled code: a NumPy int64, which Numba does not specialise on."""
    return cast(int, np.int64(value))


Book = Any
"""One record of dtype BOOK, as Numba and NumPy hand it out."""
EventRows = Any
"""An array of EVENT_ROW records."""
CommandRow = Any
"""One record of dtype COMMAND."""
Finding = tuple[int, int, int]
"""What a check found: reason (0 for none), offending value, limit."""

MAX_ORDERS = 1024
MAX_GROUPS = 512
MAX_INSTRUMENTS = 16
MAX_ACCOUNTS = 16
MAX_HOLDINGS = MAX_ACCOUNTS * MAX_INSTRUMENTS
"""A holding is what one account has in one instrument, number account x 16 + instrument."""
MAX_SLOTS = MAX_ORDERS + MAX_HOLDINGS
"""Room for the orders of all accounts and for one liquidation a holding."""
MAX_EVENTS = 32_768
MAX_WALK_LEVELS = 256
"""Price levels that one order may take at one instant; the rest of it waits for the next row."""

NEVER = i8((1 << 63) - 1)
"""A time or price that is never reached from below."""
BELOW_ALL = i8(-NEVER)
"""A price that is never reached from above."""
QUEUE_UNIT = 1024
"""Parts of a lot in which the queue ahead is counted."""
FIRST_FILL_OVERFLOW = QUEUE_UNIT // 4
NO_SLOT = i8(-1)

ORDER_FIELDS = (
    "order_id",  # the account's own number
    "account",
    "instrument",
    "sign",  # +1 buys, -1 sells
    "type",
    "time_in_force",
    "role",
    "status",
    "size",
    "filled",
    "live",  # lots that may trade now; of an exit less than size - filled
    "cost",  # sum of ticks x lots filled
    "limit",
    "stop",
    "protection",
    "trail",  # distance of a trailing stop in ticks, NONE when it is in parts per million
    "trail_ppm",
    "activation",  # price from which it trails, NONE when it did from the start
    "best",  # best source price while it trails, NONE before
    "post_only",
    "reduce_only",
    "expires",
    "priority",  # time priority among own orders; smaller is earlier
    "placed",  # order of placement, which a modification does not change
    "triggered",
    "resting",  # 1: in the book as a maker
    "waiting",  # 1: a market order whose rest waits for liquidity
    "queue",  # 1/1024 lots ahead of the first `front` lots of the order
    "queue_known",
    "front",  # lots that hold the old place; the rest of `live` joined later
    "queue_behind",  # 1/1024 lots ahead of that rest
    "traded_pending",  # lots printed at our price while the depth there was unknown
    "explained",  # lots printed at our price in this packet
    "explained_behind",  # of those, the ones since the rest joined
    "joined",  # row at which the old place began
    "joined_behind",  # row at which the rest joined
    "met",  # 1: something has filled at the old place
    "met_behind",  # 1: something of the rest has filled
    "group",
    "entitled",  # scratch: lots of the current print that are ours
    "activate",  # 1: goes live at the end of the current transaction
)
GROUP_FIELDS = (
    "used",
    "is_oco",
    "account",
    "instrument",
    "sign",  # of the entry
    "created",
    "entry",  # slots, NO_SLOT when ended or absent
    "stop_leg",  # of an OCO: its first order
    "target_leg",  # of an OCO: its second order
    "entry_filled",
    "entry_cost",
    "entry_done",
    "exit_filled",
    "released",  # lots that other orders closed, or that the user took from the exits
    "cap",  # lots that the user lets the exits close at most, set before the entry filled
    "stop_offset",  # NO_PRICE when the price is fixed
    "target_offset",
    "limit_offset",  # of a stop-limit exit
    "arm",
    "on_partial",
    "dirty",
)
INSTRUMENT_FIELDS = (
    "cursor",  # row of the tape that is in force, -1 before the first
    "tick_value",  # 1e-9 currency of one tick on one lot
    "fee_lot",
    "maker_ppm",
    "taker_ppm",
    "initial_lot",
    "maintenance_lot",
    "band_ticks",  # limits further beyond the last price are refused; 0 for none
    "band_ppm",
    "min_lots",
    "max_lots",
    "negative_price",
    "trigger_source",
    "bbo_after_trade",
    "bar",  # 1: the tape is made of bars
    "halted",  # 0 trading, 1 halted by the tape, 2 closed by the calendar
    "next_open",
    "known_from",  # first row whose book counts after a reopening
    "mark",  # newest mark price in 1e-9 price units, 0 while unknown
    "tick_nanos",  # size of a tick in 1e-9 price units
    "value_bid",
    "value_ask",
    "taken_bid",  # lots that we took at the best bid since the side's touch last changed
    "taken_ask",
    "taken_bid_beyond",  # at the levels behind it
    "taken_ask_beyond",
    "taken_bid_best",  # the best price when that was last looked at
    "taken_ask_best",
    "taken_bid_row",
    "taken_ask_row",
    "bid_le",  # the row concerns someone if bid <= bid_le, and so on
    "ask_le",
    "ask_ge",
    "bid_ge",
    "last_le",
    "last_ge",
    "every_row",
    "triggers",  # orders that wait for a trigger; counted with the prices above
)
HOLDING_FIELDS = (
    "position",
    "position_cost",
    "realised",
    "isolated",  # 1: the position has a margin of its own
    "bucket",  # that margin, a part of cash
    "tiers",  # how many margin tiers it has; their figures are in the t_ fields
    "margin_bid_le",  # equity is looked at again if bid <= this, and so on
    "margin_ask_ge",
)
ACCOUNT_FIELDS = (
    "seq",  # of its newest event
    "cash",
    "fees",
    "funding",
    "deposits",
    "liquidations",
)
TIER_FIELDS = (  # MAX_TIERS of them for each holding
    "from",  # the tier takes what of a notional lies above, in 1e-9 currency
    "initial",  # ppm
    "maintenance",
)
SCALAR_FIELDS = (
    "ts",
    "event_count",
    "account_count",
    "instrument_count",
    "active_count",
    "free_count",
    "priority",
    "next_expiry",
    "interest_stale",
    "margin_wake",
    "ambiguous",
    "bar_step",  # how the price came to the row of a bar, see `path.py`; 0 outside such a row
    "bar_from",  # the price of the row before
    "bar_to",  # the row's own price
    "bar_at",  # what an order meets whose trigger the price reaches on its way, else NONE
    "bar_filled",  # price of the newest fill of the row, NONE before
    "bar_low",  # extremes of the bar behind its open, else an empty range
    "bar_high",
    "group_high",  # groups at and above this index were never used
    "queue_model",
    "queue_power_halves",
    "beyond_top",
    "self_trade",
    "trade_through_all",
    "stop_wrong_side_triggers",
    "margin_on",
    "fees_on",
    "visit_every_row",
)
_APART = 8
"""Unused places behind each long column: an order's fields lie a column's length apart, and if that
were a power of two of cache lines they would all contend for the same few places of the cache."""
BOOK = np.dtype(
    [(name, "<i8") for name in SCALAR_FIELDS]
    + [(f"o_{name}", "<i8", (MAX_SLOTS + _APART,)) for name in ORDER_FIELDS]
    + [(f"g_{name}", "<i8", (MAX_GROUPS + _APART,)) for name in GROUP_FIELDS]
    + [(f"i_{name}", "<i8", (MAX_INSTRUMENTS,)) for name in INSTRUMENT_FIELDS]
    + [(f"p_{name}", "<i8", (MAX_HOLDINGS,)) for name in HOLDING_FIELDS]
    + [(f"a_{name}", "<i8", (MAX_ACCOUNTS,)) for name in ACCOUNT_FIELDS]
    + [(f"t_{name}", "<i8", (MAX_HOLDINGS * MAX_TIERS,)) for name in TIER_FIELDS]
    # `active` is in order of placement; the last three are the lists of the row being processed
    + [(name, "<i8", (MAX_SLOTS,)) for name in ("active", "free", "printed", "struck", "crossed")]
)

COMMAND = np.dtype(
    [
        (name, "<i8")
        for name in (
            "order_id",
            "account",
            "instrument",
            "sign",
            "type",
            "time_in_force",
            "role",
            "size",
            "limit",
            "stop",
            "protection",
            "trail",
            "trail_ppm",
            "activation",
            "best",  # the kernel's own: source price at which a trailing stop starts
            "expires",
            "post_only",
            "reduce_only",
            "stop_id",  # of a bracket's exits; 0 when there is none
            "stop_offset",
            "stop_price",
            "limit_offset",
            "exit_trail",
            "target_id",
            "target_offset",
            "target_price",
            "target_trail",
            "arm",
            "on_partial",
        )
    ]
)

# The kernel's names for what broker_api and data define once. They are NumPy integers because Numba
# compiles a function anew for every Python integer constant that it is called with.
BUY, SELL, ZERO = i8(1), i8(-1), i8(0)
MARKET, LIMIT = i8(OrderType.MARKET), i8(OrderType.LIMIT)
STOP, STOP_LIMIT = i8(OrderType.STOP), i8(OrderType.STOP_LIMIT)
TRAILING_STOP = i8(OrderType.TRAILING_STOP)
MARKET_IF_TOUCHED = i8(OrderType.MARKET_IF_TOUCHED)
LIMIT_IF_TOUCHED = i8(OrderType.LIMIT_IF_TOUCHED)
TIF_NONE, GTC = i8(TimeInForce.NONE), i8(TimeInForce.GTC)
IOC, FOK = i8(TimeInForce.IOC), i8(TimeInForce.FOK)
PENDING, OPEN = i8(OrderStatus.PENDING.code), i8(OrderStatus.OPEN.code)
PARTIALLY_FILLED, FILLED = i8(OrderStatus.PARTIALLY_FILLED.code), i8(OrderStatus.FILLED.code)
CANCELLED, EXPIRED, REJECTED = (
    i8(OrderStatus.CANCELLED.code),
    i8(OrderStatus.EXPIRED.code),
    i8(OrderStatus.REJECTED.code),
)
SINGLE, ENTRY = i8(Role.SINGLE), i8(Role.ENTRY)
STOP_EXIT, TARGET_EXIT = i8(Role.STOP_EXIT), i8(Role.TARGET_EXIT)
OCO_LEG, LIQUIDATION_ORDER = i8(Role.OCO_LEG), i8(Role.LIQUIDATION)
ARM_FULL, CANCEL_ON_PARTIAL = i8(Arm.FULL), i8(OnPartial.CANCEL)
MAKER, TAKER = i8(Liquidity.MAKER), i8(Liquidity.TAKER)
PROPORTIONAL, DISPLAYED = i8(QueueModel.PROPORTIONAL), i8(QueueModel.DISPLAYED)
FRONT, BACK = i8(QueueModel.FRONT), i8(QueueModel.BACK)
LADDER, WAIT, INFINITE = i8(BeyondTop.LADDER), i8(BeyondTop.WAIT), i8(BeyondTop.INFINITE)
CANCEL_NEWEST, CANCEL_OLDEST = i8(SelfTrade.CANCEL_NEWEST), i8(SelfTrade.CANCEL_OLDEST)
CANCEL_BOTH = i8(SelfTrade.CANCEL_BOTH)
SOURCE_LAST, SOURCE_BID_ASK = i8(TriggerSource.LAST), i8(TriggerSource.BID_ASK)
SOURCE_MARK = i8(TriggerSource.MARK)
ROW_QUOTE, ROW_TRADE, ROW_OPEN = i8(RowKind.QUOTE), i8(RowKind.TRADE), i8(RowKind.OPEN)
ROW_CLOSE, ROW_HALT, ROW_RESUME = i8(RowKind.CLOSE), i8(RowKind.HALT), i8(RowKind.RESUME)
ROW_MARK, ROW_FUNDING = i8(RowKind.MARK), i8(RowKind.FUNDING)
NONE = i8(NO_PRICE)
BY_TAPE, BY_CALENDAR = i8(1), i8(2)
"""Who has halted an instrument: bits, because both can at once."""

EV_ACCEPTED, EV_REJECTED = i8(EventKind.ACCEPTED), i8(EventKind.REJECTED)
EV_TRIGGERED, EV_FILLED = i8(EventKind.TRIGGERED), i8(EventKind.FILLED)
EV_CANCELLED, EV_EXPIRED = i8(EventKind.CANCELLED), i8(EventKind.EXPIRED)
EV_REPLACED, EV_REPLACE_REJECTED = i8(EventKind.REPLACED), i8(EventKind.REPLACE_REJECTED)
EV_CANCEL_REJECTED, EV_ACTIVATED = i8(EventKind.CANCEL_REJECTED), i8(EventKind.ACTIVATED)
EV_HELD, EV_UNPROTECTED = i8(EventKind.HELD), i8(EventKind.UNPROTECTED)
EV_LIQUIDATION, EV_POSITION = i8(EventKind.LIQUIDATION), i8(EventKind.POSITION)
EV_ACCOUNT, EV_FUNDING = i8(EventKind.ACCOUNT), i8(EventKind.FUNDING)
EV_HALTED, EV_RESUMED = i8(EventKind.HALTED), i8(EventKind.RESUMED)
EV_DEPOSITED = i8(EventKind.DEPOSITED)


def new_book(instrument_count: int, account_count: int) -> npt.NDArray[Any]:
    """A book with no orders, as an array of one record. Its fields are zero but for free slots."""
    array = np.zeros(1, dtype=BOOK)
    book = array[0]
    book["account_count"] = account_count
    book["instrument_count"] = instrument_count
    book["free_count"] = MAX_SLOTS
    book["free"][:] = np.arange(MAX_SLOTS - 1, -1, -1)
    book["o_group"][:] = NO_SLOT
    book["i_cursor"][:] = -1
    book["next_expiry"] = NEVER
    book["interest_stale"] = 1
    book["bar_at"] = book["bar_filled"] = NONE
    book["bar_low"], book["bar_high"] = NEVER, BELOW_ALL
    for name in ("taken_bid_row", "taken_ask_row"):
        book[f"i_{name}"][:] = -1
    for name in ("stop_leg", "target_leg", "entry"):
        book[f"g_{name}"][:] = NO_SLOT
    return array


@njit
def holding_of(account: int, instrument: int) -> int:
    """The index in the p_ fields of what an account has in an instrument."""
    return account * MAX_INSTRUMENTS + instrument


@njit
def holding_at(book: Book, slot: int) -> int:
    """The holding that the order in `slot` adds to or takes from."""
    account: int = book["o_account"][slot]
    return holding_of(account, book["o_instrument"][slot])


@njit
def instrument_of(holding: int) -> int:
    """The instrument of a holding."""
    return holding % MAX_INSTRUMENTS


@njit
def account_of(holding: int) -> int:
    """The account of a holding."""
    return holding // MAX_INSTRUMENTS


def state_hash(array: npt.NDArray[Any]) -> str:
    """SHA-256 of the record's bytes: equal states, equal hashes, on every machine."""
    return hashlib.sha256(array.tobytes()).hexdigest()
