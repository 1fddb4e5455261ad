"""House rules that a reader cannot check by eye: who imports whom, and what nobody may call."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sim.book import KERNEL_FILES

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("broker_api", "data", "sim", "reports", "scenarios", "papertape")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
EVERY_FILE = sorted(
    path
    for top in (*ROOMS, "tests", "examples", "benchmarks")
    for path in (ROOT / top).rglob("*.py")
)

MAY_IMPORT = {
    "broker_api": {"broker_api"},
    "data": {"data"},
    "sim": {"sim", "broker_api", "data"},
    "reports": {"reports", "broker_api", "data"},
    "scenarios": {"scenarios", "sim", "broker_api", "data", "reports"},
    "papertape": set(ROOMS),
    "scenarios/library": {"papertape"},
}
LIBRARY = "scenarios/library"
"""Strategies as users write them: they import what users import."""
ADAPTERS = sorted(path.name for path in (ROOT / "broker_api").iterdir() if path.is_dir())
SHARED = "live"
"""What adapters share: theirs to import, and it imports none of them."""
ADAPTERS = [name for name in ADAPTERS if not name.startswith("_") and name != SHARED]
PURE = ("wire", "signing")
"""Of an adapter: the venue's vocabulary, which the local venue of the same name shares."""
OUR_NAMES = {*ROOMS, "tests", "examples", "benchmarks"}

COMPILED = {f"sim/{name}" for name in KERNEL_FILES}

LINES_MAX = 500
FUNCTION_LINES_MAX = 70

SESSION_TIME = "take time from the session: clock.now_ns()"
SEEDED = (
    "draw from numpy.random.Generator(numpy.random.Philox(key=...)) with a key that is handed in"
)
BANNED = {
    "time.time": SESSION_TIME,
    "time.time_ns": SESSION_TIME,
    "time.monotonic": SESSION_TIME,
    "time.monotonic_ns": SESSION_TIME,
    "time.perf_counter": SESSION_TIME,
    "time.perf_counter_ns": SESSION_TIME,
    "time.sleep": "await clock.sleep(seconds)",
    "datetime.datetime.now": SESSION_TIME,
    "datetime.datetime.utcnow": SESSION_TIME,
    "datetime.datetime.today": SESSION_TIME,
    "datetime.date.today": SESSION_TIME,
    "random": SEEDED,
    "secrets": SEEDED,
    "os.urandom": SEEDED,
    "uuid.uuid1": "make ids from the run and a counter",
    "uuid.uuid4": "make ids from the run and a counter",
    "numpy.random.seed": SEEDED,
    "numpy.random.default_rng": SEEDED,
    "numpy.random.RandomState": SEEDED,
    "pickle": "write Parquet or JSON: a pickle runs code when it is read",
    "marshal": "write Parquet or JSON",
    "shelve": "write Parquet or JSON",
    "eval": "parse what you expect, for example with tomllib",
    "exec": "write a function; only the runner executes a user's script",
}
ALLOWED = {
    # Live sessions have the machine's time, and are handed it from here.
    ("broker_api/wall_clock.py", "time.time_ns"),
    # What a person sees while waiting is the wall clock's.
    ("papertape/progress.py", "time.monotonic"),
    ("papertape/run_command.py", "time.perf_counter"),
    # It looks at the clocks of the machine themselves.
    ("papertape/doctor.py", "time.time_ns"),
    ("papertape/doctor.py", "time.monotonic_ns"),
    ("papertape/doctor.py", "time.sleep"),
    ("papertape/paper_command.py", "time.perf_counter"),
    ("papertape/live_command.py", "time.perf_counter"),
    ("scenarios/combinations.py", "time.perf_counter"),
    ("papertape/sweep_command.py", "time.perf_counter"),
    ("scenarios/check.py", "time.perf_counter"),
    ("scenarios/runner.py", "exec"),
    # What is told to watchers is spaced out by real time; no event depends on it.
    ("papertape/watching/watch.py", "time.monotonic"),
    ("papertape/watching/replay.py", "time.monotonic"),
    ("papertape/watching/terminal.py", "time.sleep"),
    # Nobody may guess the token of a session's page.
    ("papertape/watching/sessions.py", "secrets"),
    # A local venue compares nonces with the machine's clock, and its keys are of nobody's seed.
    ("papertape/serve_command.py", "time.time_ns"),
    ("papertape/serve_command.py", "secrets"),
    ("papertape/venue_key.py", "secrets"),
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, also those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.lineno, node.module or ""


@cache
def imports_of(path: Path) -> tuple[tuple[int, str], ...]:
    """Every import of a file; many tests ask."""
    return tuple(imported(ast.parse(path.read_text(encoding="utf-8"))))


def meanings(tree: ast.AST) -> dict[str, str]:
    """What each imported name of a file stands for: {"dt": "datetime", "now": "time.time"}."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that a file names."""
    means = meanings(tree)
    for node in ast.walk(tree):
        parts, inner = [], node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and (parts or isinstance(inner.ctx, ast.Load)):
            yield inner.lineno, ".".join([means.get(inner.id, inner.id), *reversed(parts)])


def banned_uses(source: str, file: str) -> list[str]:
    tree = ast.parse(source)
    faults = []
    for line, name in [*imported(tree), *used(tree)]:
        for banned, instead in BANNED.items():
            if (name == banned or name.startswith(banned + ".")) and (file, banned) not in ALLOWED:
                faults.append(f"{file}:{line} uses {name}: {instead}")
    return faults


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_rooms_import_only_what_they_may(path: Path) -> None:
    is_users = name_of(path).startswith(f"{LIBRARY}/")
    room = LIBRARY if is_users else name_of(path).partition("/")[0]
    for line, name in imports_of(path):
        top = name.partition(".")[0]
        allowed = top not in OUR_NAMES or top in MAY_IMPORT[room]
        assert allowed, f"{name_of(path)}:{line}: {room} may not import {top}"


def may_use_adapter(file: str, module: str) -> bool:
    """Whether a file may import a module `broker_api.X...` of an adapter X."""
    _, adapter, *inner = module.split(".")
    if file.startswith(f"broker_api/{adapter}/"):
        of_pure_file = file.split("/")[2].removesuffix(".py") in PURE
        return inner[:1] != [] and (not of_pure_file or inner[0] in PURE)
    if file.startswith(f"sim/venues/{adapter}/"):
        return inner[:1] != [] and inner[0] in PURE
    return file.startswith("papertape/")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_adapters_are_used_by_themselves_and_their_words_by_their_venue(path: Path) -> None:
    for line, name in imports_of(path):
        if name.startswith(tuple(f"broker_api.{adapter}." for adapter in ADAPTERS)):
            where = f"{name_of(path)}:{line}"
            assert may_use_adapter(name_of(path), name), f"{where}: may not import {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_what_adapters_share_is_used_by_adapters(path: Path) -> None:
    room, inner = name_of(path).split("/")[:2]
    for line, name in imports_of(path):
        if name.startswith(f"broker_api.{SHARED}"):
            allowed = room == "broker_api" and inner in (*ADAPTERS, SHARED)
            assert allowed, f"{name_of(path)}:{line}: may not import {name}"


@pytest.mark.parametrize(
    ("file", "module", "allowed"),
    [
        ("broker_api/hyperliquid/broker.py", "broker_api.hyperliquid.transport", True),
        ("broker_api/hyperliquid/broker.py", "broker_api.hyperliquid.wire.actions", True),
        ("broker_api/hyperliquid/wire/texts.py", "broker_api.hyperliquid.broker", False),
        ("broker_api/hyperliquid/signing.py", "broker_api.hyperliquid.wire.actions", True),
        ("broker_api/hyperliquid/broker.py", "broker_api.other.wire", False),
        ("broker_api/suite.py", "broker_api.hyperliquid.wire", False),
        ("sim/venues/hyperliquid/server.py", "broker_api.hyperliquid.wire.actions", True),
        ("sim/venues/hyperliquid/server.py", "broker_api.hyperliquid.signing", True),
        ("sim/venues/hyperliquid/server.py", "broker_api.hyperliquid.broker", False),
        ("sim/venues/other/server.py", "broker_api.hyperliquid.wire", False),
        ("sim/broker.py", "broker_api.hyperliquid.wire", False),
        ("papertape/serving.py", "broker_api.hyperliquid.broker", True),
    ],
)
def test_the_rule_about_adapters_says(file: str, module: str, allowed: bool) -> None:
    assert may_use_adapter(file, module) is allowed


@pytest.mark.parametrize(
    "path", [path for path in FILES if name_of(path).startswith("broker_api/")], ids=name_of
)
def test_the_core_and_the_words_of_venues_do_no_input_or_output(path: Path) -> None:
    file = name_of(path).split("/")
    if len(file) == 2 or file[2].removesuffix(".py") in PURE:
        names = {name.partition(".")[0] for _, name in imports_of(path)}
        assert not names & {"aiohttp", "requests", "socket", "ssl", "threading"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_numba_stays_in_the_compiled_files(path: Path) -> None:
    names = {name.partition(".")[0] for _, name in imports_of(path)}
    if name_of(path) not in COMPILED:
        assert not names & {"numba", "llvmlite"}, f"{name_of(path)}: compiled code is in {COMPILED}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_reads_wall_clock_chance_or_pickles(path: Path) -> None:
    assert banned_uses(path.read_text(encoding="utf-8"), name_of(path)) == []


@pytest.mark.parametrize("path", EVERY_FILE, ids=name_of)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LINES_MAX, f"{name_of(path)}: more than {LINES_MAX} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{name_of(path)}:{node.lineno}: {lines} lines"


def test_no_two_test_modules_have_one_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names)), "pytest imports them by their names"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import time\ntime.time()", "time.time"),
        ("from time import time_ns as now\nnow()", "time.time_ns"),
        ("import datetime as dt\ndt.datetime.now(dt.UTC)", "datetime.datetime.now"),
        ("from datetime import datetime\ndatetime.utcnow()", "datetime.datetime.utcnow"),
        ("from random import choice", "random"),
        ("import numpy as np\nnp.random.seed(1)", "numpy.random.seed"),
        ("def f():\n    import pickle", "pickle"),
        ("eval('1')", "eval"),
        ("from uuid import uuid4\nuuid4()", "uuid.uuid4"),
    ],
)
def test_the_check_finds_what_is_banned(source: str, name: str) -> None:
    faults = banned_uses(source, "sim/made_up.py")
    assert faults
    assert name in faults[0]


@pytest.mark.parametrize(
    "source",
    ["self.time = 1", "event.random", "import time as clock", "loop.time()", "operator.evaluate()"],
)
def test_the_check_leaves_the_harmless_alone(source: str) -> None:
    assert banned_uses(source, "sim/made_up.py") == []
