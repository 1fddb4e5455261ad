"""The canonical state: what of an exchange matters for its future, the same for both exchanges.

`kernel_state.py` and `reference_state.py` read it from the kernel's record and from the reference's
objects; `drive.py` compares the two after every step, `fingerprint` hashes it. It is tuples of
integers, taken between two calls, when no transaction is under way. By meaning, not by storage:

- "none" is one number: NO_PRICE for prices, offsets and unknown queues, NEVER for times and caps.
- An order's place in time is its place in two lists of orders: by placement and by priority. The
  numbers behind them differ harmlessly. An order is named by its account and its id.
- A queue is lists of places (lots, ahead in 1/1024, met, traded while unknown). With the model
  `back` nothing is ahead that could change, so it is 0. What is compared at a packet's end (what
  was printed in it, what a place saw on joining) is gone between calls: a call ends with a packet.
- Protection matters to orders that take at any price; others count as having none.
- What was taken of a side is two numbers for the touch that is there now: at the best price, and
  at all beyond it. The kernel remembers them for an older row, the reference by price.
- While a market is halted its book, its last price, its levels and what was taken are nothing: all
  is forgotten when it opens, and nobody may ask before.
- `seen` is what the side showed last at each price since the reopening. The kernel asks the tape,
  the reference keeps it.

Not in it: what both derive from published events (how ended orders ended), caches of the kernel
(thresholds of interest and margin, checked by `visit_every_row`), settings, which never change.
`test_state.py` holds every field of both exchanges against this list: a new field is either read
here or named there with the reason why not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

NEVER = (1 << 63) - 1
State = tuple[Any, ...]

PARTS = ("now", "accounts", "markets", "positions", "orders", "by_priority", "brackets", "pairs")
ACCOUNT = ("cash", "fees", "funding", "liquidations", "seq", "equity", "used_margin")
MARKET = (
    "mark",
    "cursor",
    "halted",  # 1 by the tape, 2 by the calendar, 3 by both
    "next_open",  # NEVER unless the calendar has it closed
    "source",
    "value_bid",
    "value_ask",
    "is_known",
    "last",
    "taken_bid",  # (at the best, beyond)
    "taken_ask",
    "seen_bid",  # price -> lots
    "seen_ask",
)
POSITION = ("position", "position_cost", "realised", "bucket")
"""Of every account in every market: account by account, and in each market by market."""
ORDER = (
    "order_id",
    "account",
    "market",
    "sign",
    "type",
    "time_in_force",
    "role",
    "status",
    "size",
    "filled",
    "cost",
    "limit",
    "stop",
    "trail",
    "trail_ppm",
    "activation",
    "best",
    "post_only",
    "reduce_only",
    "expires",
    "triggered",
    "live",
    "doing",  # held, arriving, stop, resting or waiting
    "protection",
    "places",
)
BRACKET = (
    "account",
    "entry",  # ids, 0 when ended or absent
    "stop",
    "target",
    "market",
    "sign",
    "entry_filled",
    "entry_cost",
    "exit_filled",
    "released",
    "cap",
    "arm",
    "on_partial",
    "stop_offset",
    "target_offset",
    "limit_offset",
)
PAIR = ("account", "first", "second", "on_partial")
"""The names of the numbers, in their order. A part that is a list has one such row an item."""

NAMES = {
    "accounts": ACCOUNT,
    "markets": MARKET,
    "positions": POSITION,
    "orders": ORDER,
    "brackets": BRACKET,
    "pairs": PAIR,
}


def fingerprint(state: State) -> str:
    """SHA-256 of a canonical state: equal states, equal fingerprints, in every process."""
    return hashlib.sha256(repr(_in_order(state)).encode()).hexdigest()


def _in_order(thing: Any) -> Any:
    """Plain numbers, and dictionaries as sorted pairs: the text tells the contents alone."""
    if isinstance(thing, dict):
        return sorted(thing.items())
    if isinstance(thing, tuple):
        return tuple(_in_order(item) for item in thing)
    return int(thing) if isinstance(thing, int) else thing


def differences(kernel: State, reference: State) -> Iterator[str]:
    """Each number that differs, by name: `orders[1] id 4 limit: kernel 99, reference 98`."""
    for part, ours, theirs in zip(PARTS, kernel, reference, strict=True):
        if ours == theirs:
            continue
        names = NAMES.get(part)
        if names is None or len(ours) != len(theirs):
            yield f"{part}: kernel {ours}, reference {theirs}"
        else:
            for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                yield from _named(f"{part}[{at}] of {one[0]}", names, one, other)


def _named(where: str, names: tuple[str, ...], ours: State, theirs: State) -> Iterator[str]:
    for name, one, other in zip(names, ours, theirs, strict=True):
        if one != other:
            yield f"{where} {name}: kernel {one}, reference {other}"
