"""The canonical state forgets no field of either exchange, and sees when one is wrong."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from typing import Any

import pytest

from broker_api.order import NO_PRICE
from sim.reference.account import Account, Position
from sim.reference.market import Market
from sim.reference.orders import Bracket, Oco, Order, Place
from tests.differential import kernel_state, reference_state
from tests.differential.drive import DifferenceError, Pair
from tests.differential.generate import make_case
from tests.differential.state import (
    BRACKET,
    NAMES,
    ORDER,
    PARTS,
    differences,
    fingerprint,
)

PACKET = "compared within a packet only; a call ends with one"
CACHE = "derived from the rest; `visit_every_row` checks it"
SETTING = "never changes in a run"
SCRATCH = "of the transaction under way; there is none between calls"
BAR_ROW = ("bar_step", "bar_from", "bar_to", "bar_at", "bar_filled", "bar_low", "bar_high")
FIGURES = (
    *("tick_value", "tick_nanos", "fee_lot", "maker_ppm", "taker_ppm", "min_lots", "max_lots"),
    *("band_ticks", "band_ppm"),
    *("negative_price", "bbo_after_trade", "bar"),
)
THRESHOLDS = (*("bid_le", "ask_le", "ask_ge", "bid_ge", "last_le", "last_ge", "every_row"),)
KERNEL_LEFT_OUT = {
    "scalar": {
        "ts": "the reading has the exchange's own time",
        "event_count": SCRATCH,
        "ambiguous": SCRATCH,
        **dict.fromkeys(BAR_ROW, SCRATCH),
        "margin_wake": SCRATCH,
        "account_count": SETTING,
        "instrument_count": SETTING,
        "free_count": "which slot an order gets tells nothing",
        "priority": "orders are listed by it",
        "next_expiry": CACHE,
        "interest_stale": CACHE,
        "queue_power_halves": SETTING,
        "beyond_top": SETTING,
        "self_trade": SETTING,
        "trade_through_all": SETTING,
        "stop_wrong_side_triggers": SETTING,
        "fees_on": SETTING,
        "visit_every_row": SETTING,
    },
    "order": {
        "placed": "orders are listed by it",
        "explained": PACKET,
        "explained_behind": PACKET,
        "joined": PACKET,
        "joined_behind": PACKET,
        "group": "the group names its orders",
        "entitled": SCRATCH,
    },
    "group": {
        "entry_done": "the entry has no id then",
        "dirty": SCRATCH,
    },
    "instrument": {
        **dict.fromkeys(FIGURES, SETTING),
        **dict.fromkeys(THRESHOLDS, CACHE),
        "triggers": CACHE,
        **dict.fromkeys(("initial_lot", "maintenance_lot"), "follow from the time"),
    },
    "holding": {
        **dict.fromkeys(("tiers", "isolated"), SETTING),
        **dict.fromkeys(("margin_bid_le", "margin_ask_ge"), CACHE),
    },
    "account": {"deposits": "told by events"},
}
REFERENCE_LEFT_OUT = {
    Order: {
        "side": "as its sign",
        "placed": "orders are listed by it",
        "ambiguous": SCRATCH,
        "noted": SCRATCH,
        "arrives_by_fill": SCRATCH,
    },
    Place: {"joined_ts": PACKET, "base": PACKET, "explained": PACKET},
    Bracket: {},
    Oco: {},
    Position: {},
    Account: {
        "deposits": "told by events",
        **dict.fromkeys(("markets", "has_fees", "tiers", "isolated"), SETTING),
        "index": "the place in the list of accounts",
        "ended": "how ended orders ended was published",
    },
    Market: {
        **dict.fromkeys(("instrument", "calendar", "tape", "beyond_top", "rows", "index"), SETTING),
        "is_night": "follows from the time",
        "touch": "the row of the cursor",
        "printed": "the rows up to the cursor",
        "makers": "orders that rest",
        "path": SCRATCH,
        "stands_at": SCRATCH,
        "before_packet": PACKET,
        "row_ts": PACKET,
    },
}


def names_in(module: Any) -> set[str]:
    """Every name, attribute and string that a module's source uses."""
    tree = ast.walk(ast.parse(inspect.getsource(module)))
    found: set[str] = set()
    for node in tree:
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value, *node.value.split(".")}
    return found


@pytest.mark.parametrize("table", KERNEL_LEFT_OUT)
def test_every_field_of_the_kernel_is_read_or_left_out_for_a_reason(table: str) -> None:
    read = names_in(kernel_state) | set(kernel_state.DIRECT) | set(kernel_state.GROUP_DIRECT)
    read |= set(kernel_state.MARKET_DIRECT) | set(NAMES["accounts"]) | set(NAMES["positions"])
    read |= {f"taken_{side}{part}" for side in ("bid", "ask") for part in ("_beyond", "_best")}
    read |= {"taken_bid_row", "taken_ask_row"}
    known = set(kernel_state.table_names()[table])
    left_out = set(KERNEL_LEFT_OUT[table])
    assert known - read - left_out == set(), "read it in kernel_state.py, or name it here"
    assert left_out <= known, "named here, but the kernel has it no more"


@pytest.mark.parametrize("kind", REFERENCE_LEFT_OUT, ids=lambda kind: kind.__name__)
def test_every_field_of_the_reference_is_read_or_left_out_for_a_reason(kind: Any) -> None:
    known = {item.name for item in fields(kind)}
    left_out = set(REFERENCE_LEFT_OUT[kind])
    read = names_in(reference_state) | {"limit", "stop"}  # as limit_ticks and stop_ticks
    assert known - read - left_out == set(), "read it in reference_state.py, or name it here"
    assert left_out <= known, "named here, but the reference has it no more"


def a_pair() -> Pair:
    """A session with a bracket and resting orders in it."""
    pair = Pair(make_case(0))
    for seed in range(1000):
        pair = Pair(make_case(seed))
        pair.run(25)
        state = dict(zip(PARTS, pair.state, strict=True))
        places = [order[-1] for order in state["orders"]]
        if state["brackets"] and any(places) and state["positions"][0][0]:
            break
    return pair


@pytest.mark.parametrize("name", [*ORDER[:22]])
def test_a_wrong_number_of_an_order_is_seen(name: str) -> None:
    pair = a_pair()
    slot = int(pair.kernel._book["active"][0])
    pair.kernel._book[f"o_{kernel_state._renamed.get(name, name)}"][slot] += (
        1 if name == "account" else -7
    )
    with pytest.raises(DifferenceError, match=rf" {name}: kernel"):
        pair.act(0)


@pytest.mark.parametrize("name", [*BRACKET[6:]])
def test_a_wrong_number_of_a_bracket_is_seen(name: str) -> None:
    pair = a_pair()
    group = int(pair.kernel._book["g_used"].argmax())
    pair.kernel._book[f"g_{name}"][group] -= 7
    with pytest.raises(DifferenceError, match=rf" {name}: kernel"):
        pair.act(0)


@pytest.mark.parametrize("name", ["position_cost", "realised", "mark", "fees", "funding"])
def test_a_wrong_amount_is_seen(name: str) -> None:
    pair = a_pair()
    if name in ("fees", "funding"):
        pair.kernel._book[f"a_{name}"][0] += 1
    else:
        prefix = "i" if name == "mark" else "p"
        pair.kernel._book[f"{prefix}_{name}"][0] += 1
    with pytest.raises(DifferenceError, match=rf" {name}: kernel"):
        pair.act(0)


def test_equal_states_have_one_fingerprint() -> None:
    pair = a_pair()
    theirs = reference_state.ReferenceReader(pair.reference).read()
    assert fingerprint(pair.state) == fingerprint(theirs)


def test_the_fingerprint_of_dictionaries_is_the_one_of_their_contents() -> None:
    assert fingerprint((1, {2: 3, 4: 5})) == fingerprint((1, {4: 5, 2: 3}))
    assert fingerprint((1, {2: 3})) != fingerprint((1, {2: 4}))


def test_a_difference_has_a_name() -> None:
    order = (4, *range(len(ORDER) - 1))
    other = (*order[:11], NO_PRICE, *order[12:])
    ours, theirs = ((0, (), (), (), (each,), (), (), ()) for each in (order, other))
    told = list(differences(ours, theirs))
    assert told == [f"orders[0] of 4 limit: kernel 10, reference {NO_PRICE}"]
