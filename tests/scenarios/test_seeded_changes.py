"""Small changes, each seeded into an accepted scenario: found at its first divergence, cause named.

Changes of files are made to files; what no file of a scenario can change (an event that went
missing, was swapped, came at another time) is made in the accepted journal, so that the run differs
from it in exactly that.
"""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trial import accepted_events, check, edit, make_trial, rewrite_accepted, rows_of_kind

from broker_api.event import EventKind
from data.synthetic import generate, profile_for
from data.written import write_tape
from scenarios.divergence import Divergence

FIRST_FILL_NS = 1_736_865_005_427_463_904
"""The maker's fill of the trial's first order."""


@pytest.fixture(scope="module")
def tape(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("trial-tape") / "mnq.parquet"
    profile = profile_for("MNQ", Decimal("0.25"), Decimal(1))
    write_tape(generate(profile, seed=11, hours=0.06), path)
    return path


@pytest.fixture
def trial(tmp_path: Path, tape: Path) -> Path:
    return make_trial(tmp_path / "trial", tape)


def found(trial: Path) -> Divergence:
    checked = check(trial)
    assert checked.status == "failed", checked
    assert checked.divergence is not None, checked.faults
    assert checked.faults[0] == checked.divergence.sentence
    return checked.divergence


def test_nothing_changed_nothing_found(trial: Path) -> None:
    checked = check(trial)
    assert (checked.status, checked.faults, checked.divergence) == ("passed", (), None)
    events = accepted_events(trial)
    (first, *_) = rows_of_kind(events, EventKind.FILLED)
    assert events["ts_ns"][first] == FIRST_FILL_NS


# --- settings -------------------------------------------------------------------------------------

SETTINGS = [
    # file, what is changed to what; then how the runs part, in which event or command, and the key
    # of the cause that is named
    (
        ("mine.toml", "fee_per_unit = 0.37", "fee_per_unit = 0.52"),
        ("changed", "event", "filled", "setting", "instruments.MNQ.fee_per_unit"),
    ),
    (
        ("scenario.toml", "cash = 20_000", "cash = 21_000"),
        ("changed", "event", "account", "setting", "account.cash"),
    ),
    (
        ("scenario.toml", "entry_latency_ms = 5", "entry_latency_ms = 9"),
        ("retimed", "event", "accepted", "setting", "simulation.entry_latency_ms"),
    ),
    (
        ("scenario.toml", "entry_latency_ms = 5", "entry_latency_ms = 5\nresponse_latency_ms = 4"),
        ("retimed", "command", "bracket", "setting", "simulation.response_latency_ms"),
    ),
    (
        ("scenario.toml", 'queue = "displayed"', 'queue = "back"'),
        ("changed", "event", "filled", "setting", "simulation.queue"),
    ),
    (
        ("scenario.toml", 'queue = "displayed"', 'queue = "front"'),
        ("retimed", "event", "filled", "setting", "simulation.queue"),
    ),
    (
        ("scenario.toml", "max_position_size = 6", "max_position_size = 3"),
        ("extra", "event", "risk refused", "setting", "risk.max_position_size"),
    ),
    (
        ("scenario.toml", "size = 2", "size = 1"),
        ("changed", "command", "order", "parameter", "size"),
    ),
]


@pytest.mark.parametrize(
    ("change", "expected"), SETTINGS, ids=[change[2] for change, _ in SETTINGS]
)
def test_a_setting_is_found_and_named(trial: Path, change, expected) -> None:
    kind, what, which, cause_kind, key = expected
    edit(trial, *change)
    divergence = found(trial)
    there = divergence.actual if kind == "extra" else divergence.expected
    assert there is not None
    assert (divergence.kind.value, divergence.what, there.kind) == (kind, what, which)
    assert (divergence.cause.kind.value, divergence.cause.key) == (cause_kind, key)


def test_a_fee_is_found_at_the_first_fill_and_in_nothing_else(trial: Path) -> None:
    edit(trial, "mine.toml", "0.37", "0.52")
    divergence = found(trial)
    assert divergence.ts_ns == FIRST_FILL_NS
    assert [change.name for change in divergence.fields] == ["fee_nanos"]
    assert (divergence.fields[0].expected, divergence.fields[0].actual) == (
        740_000_000,
        1_040_000_000,
    )
    assert divergence.cause.text.endswith("fee_per_unit is 0.52, it was 0.37")


def test_of_two_changes_the_one_that_explains_the_first_difference_is_named_first(
    trial: Path,
) -> None:
    edit(trial, "mine.toml", "0.37", "0.52")
    edit(trial, "scenario.toml", "entry_latency_ms = 5", "entry_latency_ms = 9")
    assert [cause.key for cause in found(trial).causes] == [
        "simulation.entry_latency_ms",
        "instruments.MNQ.fee_per_unit",
    ]


def test_files_of_settings_are_known_by_content_wherever_the_scenario_lies(trial: Path) -> None:
    def measured(values: list[float]) -> None:
        pq.write_table(pa.table({"ms": values}), trial / "measured.parquet")

    measured([5.0, 5.0])
    edit(
        trial,
        "scenario.toml",
        "entry_latency_ms = 5",
        'entry_latency_ms = { file = "measured.parquet", column = "ms" }',
    )
    edit(trial, "scenario.toml", "max_position_size = 6", 'kill_switch = { file = "stop" }')
    assert check(trial, update=True).status in ("passed", "accepted")
    config = (trial / "accepted" / "config.json").read_text(encoding="utf-8")
    elsewhere = trial.rename(trial.with_name("elsewhere"))
    assert str(trial.parent) not in config
    assert check(elsewhere).status == "passed"
    pq.write_table(pa.table({"ms": [7.0, 7.0]}), elsewhere / "measured.parquet")
    assert [cause.key for cause in found(elsewhere).causes] == [
        "simulation.entry_latency_ms.content_hash"
    ]


# --- the strategy ---------------------------------------------------------------------------------

STRATEGIES = [
    (("strategy.py", "stop_offset=6.0", "stop_offset=7.0"), "changed", "bracket", "strategy.py"),
    (("strategy.py", "size: int = 1", "size: int = 1, unused: int = 0"), None, None, None),
    (("levels.py", "BELOW = 0.0", "BELOW = 0.25"), "changed", "order", "levels.py"),
    (
        (
            "strategy.py",
            "        await asyncio.sleep(20)\n        if",
            "        await asyncio.sleep(2)\n"
            "        if number == 1:\n            await mnq.orders.cancel_order(entry)\n"
            "        await asyncio.sleep(18)\n        if",
        ),
        "extra",
        "cancel",
        "strategy.py",
    ),
    (
        (
            "strategy.py",
            "        try:",
            "        if number == 2:\n"
            '            await mnq.orders.place_market_order("MNQ", 1, 1)\n'
            "        try:",
        ),
        "extra",
        "order",
        "strategy.py",
    ),
    (
        (
            "strategy.py",
            "        await mnq.orders.close_position",
            "        if number < 4:\n            await mnq.orders.close_position",
        ),
        "missing",
        "order",
        "strategy.py",
    ),
]


@pytest.mark.parametrize(("change", "kind", "which", "file"), STRATEGIES)
def test_another_decision_is_the_strategys(trial: Path, change, kind, which, file) -> None:
    edit(trial, *change)
    if kind is None:
        assert check(trial).status == "passed", "a change without effect is no difference"
        return
    divergence = found(trial)
    there = divergence.actual if kind == "extra" else divergence.expected
    assert there is not None
    assert (divergence.what, divergence.kind.value) == ("command", kind)
    assert there.kind == which
    assert (divergence.cause.kind.value, divergence.cause.key) == ("strategy", file)
    assert divergence.event_index > 0 or which == "order"


def test_a_decision_by_something_that_no_scenario_holds_is_said_to_be_that(trial: Path) -> None:
    edit(trial, "strategy.py", "import asyncio\n", "import asyncio\nfrom pathlib import Path\n")
    chance = 'Path(__file__).with_name("chance").exists()'
    edit(trial, "strategy.py", "stop_offset=6.0", f"stop_offset=6.0 + {chance}")
    rewrite_accepted(trial, accepted_events(trial)[:-1])
    assert check(trial, update=True).status == "accepted"
    (trial / "chance").touch()
    divergence = found(trial)
    assert (divergence.what, divergence.cause.kind.value) == ("command", "unknown")
    assert "the clock, chance, a file" in divergence.cause.text


# --- the tape -------------------------------------------------------------------------------------


def change_tape(trial: Path, change: Callable[[dict[str, np.ndarray], int], None]) -> int:
    """Change one row of the tape, that of the first fill; returns its number."""
    path = trial / "mnq.parquet"
    table = pq.read_table(path)
    columns = {name: table[name].to_numpy().copy() for name in table.column_names}
    (row,) = np.flatnonzero(columns["ts"] == FIRST_FILL_NS).tolist()
    change(columns, row)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, [values])
    write_tape(table, path)
    return row


def test_one_row_of_the_tape_is_found_and_its_place_named(trial: Path) -> None:
    def higher(columns: dict[str, np.ndarray], row: int) -> None:
        columns["ask"][row] += 0.25  # It was this ask that came down to the first order's price.

    row = change_tape(trial, higher)
    divergence = found(trial)
    assert divergence.ts_ns == FIRST_FILL_NS
    assert (divergence.cause.kind.value, divergence.cause.key) == ("tape", "MNQ")
    block = row // 16 * 16
    assert f"between its rows {block:,} and {block + 15:,}" in divergence.cause.text
    assert row in [each.row for each in divergence.market]


def test_a_tape_that_differs_later_only_is_no_cause(trial: Path) -> None:
    def last(columns: dict[str, np.ndarray], row: int) -> None:
        columns["bid_size"][-1] += 1

    change_tape(trial, last)
    assert check(trial).status == "passed", "nobody looked at that row"
    edit(trial, "mine.toml", "0.37", "0.52")
    assert [cause.kind.value for cause in found(trial).causes] == ["setting"]


# --- the journal ----------------------------------------------------------------------------------


def test_a_missing_fill_is_found(trial: Path) -> None:
    events = accepted_events(trial)
    row = rows_of_kind(events, EventKind.FILLED)[2]
    more = events[row : row + 1].copy()
    more["ts_ns"] -= 1_000_000
    more["lots"] += 1
    rewrite_accepted(trial, np.insert(events, row, more))
    divergence = found(trial)
    assert (divergence.kind.value, divergence.event_index) == ("missing", row)
    assert divergence.expected is not None
    assert divergence.expected.kind == "filled"
    assert (divergence.only_expected, divergence.only_actual) == (1, 0)
    assert divergence.cause.kind.value == "unknown"
    assert "changed after it was recorded" in divergence.cause.text


def test_an_extra_event_is_found(trial: Path) -> None:
    events = accepted_events(trial)
    row = rows_of_kind(events, EventKind.FILLED)[1]
    rewrite_accepted(trial, np.delete(events, row))
    divergence = found(trial)
    assert (divergence.kind.value, divergence.event_index) == ("extra", row)
    assert divergence.actual is not None
    assert divergence.actual.kind == "filled"
    assert (divergence.only_expected, divergence.only_actual) == (0, 1)


def test_two_swapped_events_are_found(trial: Path) -> None:
    events = accepted_events(trial)
    row = rows_of_kind(events, EventKind.CANCELLED)[0]
    events[[row, row + 1]] = events[[row + 1, row]]
    rewrite_accepted(trial, events)
    divergence = found(trial)
    assert (divergence.kind.value, divergence.event_index) == ("reordered", row)
    assert divergence.expected is not None
    assert divergence.actual is not None
    assert (divergence.expected.order_id, divergence.actual.order_id) == (4, 3)
    assert (divergence.only_expected, divergence.only_actual) == (0, 0)


def test_a_retimed_event_is_found(trial: Path) -> None:
    events = accepted_events(trial)
    row = rows_of_kind(events, EventKind.FILLED)[2]
    events["ts_ns"][row : row + 3] += 2_000_000
    rewrite_accepted(trial, events)
    divergence = found(trial)
    assert (divergence.kind.value, divergence.event_index) == ("retimed", row)
    assert "came 2 ms earlier" in divergence.sentence
    assert (divergence.only_expected, divergence.only_actual) == (3, 3)


def test_a_cancelled_order_is_found(trial: Path) -> None:
    events = accepted_events(trial)
    row = rows_of_kind(events, EventKind.FILLED)[0]
    events["kind"][row] = EventKind.CANCELLED
    rewrite_accepted(trial, np.delete(events, [row + 1, row + 2]))
    divergence = found(trial)
    assert (divergence.kind.value, divergence.event_index) == ("cancelled", row)
    (order,) = [each for each in divergence.orders if each.is_concerned]
    assert order.order_id == 1


def test_another_version_of_the_exchange_is_named_when_its_events_part_on_the_same_commands(
    trial: Path,
) -> None:
    events = accepted_events(trial)
    row = rows_of_kind(events, EventKind.FILLED)[0]
    events["price_ticks"][row] -= 1
    rewrite_accepted(trial, events)
    config = trial / "accepted" / "config.json"
    text = config.read_text(encoding="utf-8")
    start = text.index('"code": "') + len('"code": "')
    config.write_text(text[:start] + "0" * 64 + text[start + 64 :], encoding="utf-8")
    divergence = found(trial)
    assert (divergence.kind.value, divergence.event_index) == ("changed", row)
    assert [change.name for change in divergence.fields] == ["price_ticks"]
    assert [cause.kind.value for cause in divergence.causes] == ["code"]
    assert "on the same commands" in divergence.cause.text
