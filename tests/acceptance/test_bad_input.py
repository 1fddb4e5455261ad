"""Bad orders, settings and files: what was wrong is said, and nothing else has changed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_orders import OCO, ORDERS, PLACE
from typer.testing import CliRunner

from papertape import (
    ConfigurationError,
    InvalidPriceError,
    InvalidSizeError,
    OrderNotActiveError,
    OrderRejectedError,
    OrderTimeoutError,
    TradingError,
    TradingSuite,
    get_template,
    run,
)
from papertape.cli import app

# --- orders: refused in a session that holds a position and working orders ---------------------

PREPARED = """\
    await asyncio.sleep(1)
    mnq = suite["MNQ"]
    orders = mnq.orders
    await orders.place_market_order("MNQ", 0, 2)
    await orders.place_limit_order("MNQ", 0, 2, 20900)
    await orders.place_bracket_order("MNQ", 0, 1, 20800, stop_offset=10, target_offset=20)
    ended = await orders.place_limit_order("MNQ", 0, 1, 20700)
    await orders.cancel_order(ended)
    await orders.place_oco_order(
        "MNQ",
        1,
        {"type": "limit", "side": 1, "price": 21100},
        {"type": "stop", "side": 1, "stop_price": 20950},
    )
"""
SOURCES = [source for source, _, _ in ORDERS]
NAMES = {
    "asyncio": asyncio,
    "datetime": datetime,
    "UTC": UTC,
    "get_template": get_template,
}


@dataclass(frozen=True)
class Standing:
    """What a refused order must leave as it is."""

    working: tuple[object, ...]
    lots: int
    cash: float
    margin: float


def standing(suite: TradingSuite) -> Standing:
    """Every working order as users see it, the position, the cash and the margin."""
    ledger = suite.session.ledger
    return Standing(
        tuple(record.view() for record in ledger.working.values()),
        ledger.positions[0].lots,
        suite.account.cash,
        suite.account.margin_used,
    )


def in_prepared_session(source: str) -> Any:
    """Try `source` in a session that has been trading, and go on afterwards; what it raised."""
    prepare: dict[str, Any] = {**NAMES}
    exec(f"async def prepare(suite):\n{PREPARED}    return locals()\n", prepare)

    async def main() -> Exception:
        async with await TradingSuite.create("MNQ") as suite:
            names = await prepare["prepare"](suite)
            before = standing(suite)
            assert len(before.working) == 6
            with pytest.raises(TradingError) as caught:
                await eval(source, {**NAMES, **names})
            await asyncio.sleep(0.01)
            assert standing(suite) == before
            await check_that_trading_goes_on(suite)
            return caught.value

    return run(main())


async def check_that_trading_goes_on(suite: TradingSuite) -> None:
    """An order fills, the working ones are cancelled, the position is closed, the books agree."""
    orders = suite["MNQ"].orders
    bought = await orders.place_market_order("MNQ", 0, 1)
    assert (await orders.wait_for_fill(bought)).status == "filled"
    await orders.cancel_all_orders()
    await orders.close_position()
    await asyncio.sleep(1)
    ledger = suite.session.ledger
    assert (len(ledger.working), ledger.positions[0].lots) == (0, 0)
    assert suite.account.equity == suite.account.cash


@pytest.mark.parametrize(("source", "error", "parts"), ORDERS, ids=SOURCES)
def test_refused_order_says_why_and_leaves_everything_as_it_was(
    source: str, error: type[TradingError], parts: list[str]
) -> None:
    raised = in_prepared_session(source)
    assert type(raised) is error
    assert not raised.order_may_exist or error is OrderTimeoutError
    for part in parts:
        assert part in str(raised)


@pytest.mark.parametrize(
    ("source", "near"),
    [
        (PLACE.format("time_in_froce='GTC'"), "did you mean 'time_in_force'"),
        ("orders.place_bracket_order('MNQ', 0, 1, stop_ofset=1)", "did you mean 'stop_offset'"),
        (OCO.format("{'type': 'limit', 'side': 1, 'prise': 21100}"), "did you mean 'price'"),
        (
            "orders.scale_out_position('MNQ', levels=[{'percent': 0.6, 'price': 21100}])",
            "did you mean 'percentage'",
        ),
    ],
)
def test_unknown_argument_is_a_type_error_with_the_nearest_name(source: str, near: str) -> None:
    async def main() -> None:
        async with await TradingSuite.create("MNQ") as suite:
            with pytest.raises(TypeError, match=near):
                await eval(source, {**NAMES, "orders": suite["MNQ"].orders})
            assert standing(suite) == Standing((), 0, 50_000.0, 0.0)

    run(main())


def test_cancel_on_its_way_to_an_exit_of_a_refused_bracket_finds_it_refused() -> None:
    async def main() -> None:
        async with await TradingSuite.create("MNQ") as suite:
            orders = suite["MNQ"].orders
            before = standing(suite)
            bracket = asyncio.create_task(
                orders.place_bracket_order("MNQ", 0, 1, 20900, stop_price=20950)
            )
            await asyncio.sleep(0)
            with pytest.raises(OrderNotActiveError, match="order 2 is not active: it is rejected"):
                await orders.cancel_order(2)
            with pytest.raises(InvalidPriceError):
                await bracket
            assert standing(suite) == before
            await check_that_trading_goes_on(suite)

    run(main())


def test_refusals_are_counted_and_take_no_place_among_working_orders() -> None:
    async def main() -> None:
        async with await TradingSuite.create(
            "MNQ", order_manager_config={"max_concurrent_orders": 2}
        ) as suite:
            orders = suite["MNQ"].orders
            for _ in range(5):
                with pytest.raises(InvalidSizeError):
                    await orders.place_limit_order("MNQ", 0, 0.5, 20900)
                with pytest.raises(OrderRejectedError):
                    await orders.place_limit_order("MNQ", 0, 1001, 20900)
            for _ in range(2):
                await orders.place_limit_order("MNQ", 0, 1, 20900)
            with pytest.raises(OrderRejectedError, match=r"3 working orders .* limit 2"):
                await orders.place_limit_order("MNQ", 0, 1, 20900)
            stats = await orders.get_stats()
            assert (stats["denied_orders"], stats["rejected_orders"]) == (6, 5)
            assert (stats["total_orders"], stats["pending_orders"]) == (7, 2)

    run(main())


# --- settings of a session: refused before anything was opened ---------------------------------

SESSIONS: list[tuple[str, list[str]]] = [
    ("'MNX'", ["'MNX' is not in the catalogue", 'did you mean "MNQ"']),
    ("[]", ["no instrument was named"]),
    ("3", ["instruments 3 is no symbol and no list of symbols"]),
    ("['MNQ', 'MNQ']", ["'MNQ' is named twice"]),
    ("'MNQ', tape={'ES': 'a.parquet'}", ["a tape is given for 'ES'", "MNQ"]),
    ("['MNQ', 'ES'], tape='a.parquet'", ["one tape for 2 instruments"]),
    ("'MNQ', tape=3", ["tape of MNQ: int is no path and no Tape"]),
    ("'MNQ', simulation={'quue': 'front'}", ["'quue'", 'did you mean "queue"']),
    ("'MNQ', simulation={'queue_power': 3}", ["queue_power = 3", "1, 1.5, 2"]),
    ("'MNQ', simulation={'beyond_top': 'lader'}", ["'lader'", 'did you mean "ladder"']),
    ("'MNQ', simulation={'feed_latency_ms': -1}", ["feed_latency_ms = -1", "equal to 0"]),
    ("'MNQ', simulation={'entry_latency_ms': 1e12}", ["entry_latency_ms", "3600000"]),
    ("'MNQ', simulation='fast'", ["'fast' is no SimulationConfig"]),
    ("'MNQ', account={'cash': -5}", ["AccountConfig.cash = -5", "equal to 0"]),
    ("'MNQ', account={'currency': 'EUR'}", ["MNQ is traded in USD, the account is in EUR"]),
    ("'MNQ', order_manager_config={'default_timeout': 0}", ["default_timeout = 0", "than 0"]),
    ("'MNQ', order_manager_config={'retry_attempts': 1000}", ["retry_attempts = 1000", "100"]),
    ("'MNQ', risk={'max_order_sise': 1}", ["'max_order_sise'", 'did you mean "max_order_size"']),
    ("'MNQ', risk={'max_order_size': 0}", ["max_order_size = 0", "than 0"]),
]


@pytest.mark.parametrize(("given", "parts"), SESSIONS, ids=[given for given, _ in SESSIONS])
def test_refused_session_says_why_and_the_next_one_opens(given: str, parts: list[str]) -> None:
    async def main() -> ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            await eval(f"TradingSuite.create({given})", {"TradingSuite": TradingSuite})
        async with await TradingSuite.create("MNQ") as suite:
            assert standing(suite) == Standing((), 0, 50_000.0, 0.0)
            await check_that_trading_goes_on(suite)
        return caught.value

    refused = run(main())
    for part in parts:
        assert part in str(refused)


# --- the command line: one message, no traceback, an earlier run's folder as it was -------------

GOOD = "import asyncio\nfrom datetime import UTC, datetime\nfrom papertape import get_template\n"
STRATEGY = f"{GOOD}\nasync def trade(suite):\n{PREPARED}"
START = 1_736_865_000_000_000_000


def write_tape(path: Path, **changes: Any) -> Path:
    """Four quotes of MNQ with columns replaced, or left out where None is given."""
    columns = {
        "ts": pa.array(START + np.arange(4) * 1_000_000_000),
        "bid": [21000.0] * 4,
        "ask": [21000.25] * 4,
        "bid_size": [3.0, 4.0, 5.0, 6.0],
        "ask_size": [2.0] * 4,
    }
    kept = {name: value for name, value in {**columns, **changes}.items() if value is not None}
    pq.write_table(pa.table(kept), path)
    return path


@pytest.fixture(scope="module")
def kept_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that went well."""
    place = tmp_path_factory.mktemp("good")
    (place / "script.py").write_text(STRATEGY, encoding="utf-8")
    command = ["run", str(place / "script.py"), "--instrument", "MNQ", "--no-report"]
    ended = CliRunner().invoke(app, [*command, "--out", str(place / "kept")])
    assert ended.exit_code == 0, ended.output
    return place / "kept"


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_run: Path) -> Callable[..., str]:
    """Run the command beside an earlier run; its message, after the checks that all have."""
    shutil.copytree(kept_run, tmp_path / "kept")
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> str:
        before = {path: path.read_bytes() for path in sorted((tmp_path / "kept").iterdir())}
        line = ["run", "script.py", *arguments, "--no-report", "--out", "kept"]
        ended = CliRunner().invoke(app, line)
        assert ended.exit_code == 2, ended.output
        told = ended.stderr.replace(
            "papertape: no tape was given, so the sample tape of MNQ is played\n", ""
        )
        assert told.count("\n") == 1, "one message"
        assert told.startswith("papertape: ")
        assert "Traceback" not in ended.output
        assert {path: path.read_bytes() for path in (tmp_path / "kept").iterdir()} == before
        assert not [path for path in tmp_path.iterdir() if path.name.startswith((".kept", "runs"))]
        return told

    return command


@pytest.mark.parametrize(("source", "error", "parts"), ORDERS[::4], ids=SOURCES[::4])
def test_unexpected_refusal_names_the_scripts_line(
    source: str,
    error: type[TradingError],
    parts: list[str],
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    text = f"{STRATEGY}    await {source}\n"
    (tmp_path / "script.py").write_text(text, encoding="utf-8")
    told = refused("--instrument", "MNQ")
    for part in (f"script.py, line {text.count(chr(10))}", *parts):
        assert part in told


def cut_off(path: Path) -> None:
    write_tape(path)
    path.write_bytes(path.read_bytes()[:-40])


def no_rows(path: Path) -> None:
    write_tape(path)
    pq.write_table(pq.read_table(path).slice(0, 0), path)


TAPES: list[tuple[str, Callable[[Path], object], list[str]]] = [
    ("cut off", cut_off, ["cut off or damaged"]),
    ("no rows", no_rows, ["the file has no rows"]),
    ("no bytes", lambda path: path.write_bytes(b""), ["the file is empty"]),
    ("CSV", lambda path: path.write_text("ts,bid\n1,2\n"), ["is not a Parquet file"]),
    ("no time", lambda path: write_tape(path, ts=None), ["column ts", "missing column"]),
    ("no ask", lambda path: write_tape(path, ask=None), ["column ask", "missing column"]),
    (
        "nothing but time",
        lambda path: pq.write_table(pa.table({"ts": [START]}), path),
        ["no quotes", "no trades"],
    ),
    (
        "microseconds for nanoseconds",
        lambda path: write_tape(path, ts=pa.array(START // 1000 + np.arange(4))),
        ["1970-01-21 is outside", "2016-01-01 to 2030-12-31"],
    ),
    (
        "null time",
        lambda path: write_tape(path, ts=pa.array([START, None, START, START])),
        ["row 1", "column ts", "null"],
    ),
    (
        "another aggressor",
        lambda path: write_tape(path, price=[21000.0] * 4, size=[1.0] * 4, side=[0, 1, 7, 0]),
        ["row 2", "column side", "value 7"],
    ),
]


@pytest.mark.parametrize(
    ("make", "parts"), [case[1:] for case in TAPES], ids=[case[0] for case in TAPES]
)
def test_refused_tape_is_named_with_its_fault(
    make: Callable[[Path], object],
    parts: list[str],
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    (tmp_path / "script.py").write_text(STRATEGY, encoding="utf-8")
    make(tmp_path / "bad.parquet")
    told = refused("--tape", "MNQ=bad.parquet")
    # A time that the calendar does not know is told of the calendar.
    for part in (*([] if "outside" in told else ["bad.parquet"]), *parts):
        assert part in told


CATALOGS = [
    ("[MNQ]\ntick_size = '0'\n", ["[MNQ] tick_size = '0'", "greater than 0"]),
    ("[MNQ]\ntick_sise = '0.25'\n", ["no key 'tick_sise'", 'did you mean "tick_size"']),
    ("[MNQ]\ncalendar = '24/8'\n", ["calendar '24/8'", 'did you mean "24/7"']),
    ("[MNQ]\nmin_size = '2'\nmax_size = '1'\n", ["min_size 2 is above max_size 1"]),
    ("[MNQ]\ncurrency = 'EUR'\n", ["MNQ is traded in EUR, the account is in USD"]),
    ("[ZZZ]\ntick_size = '0.25'\n", ["[ZZZ] lacks the key 'id'", "[ZZZ] lacks the key 'max_size'"]),
    ("MNQ = 3\n", ["MNQ = 3 stands outside a table"]),
]


@pytest.mark.parametrize(("text", "parts"), CATALOGS, ids=[text for text, _ in CATALOGS])
def test_refused_catalogue_is_named_with_its_key(
    text: str, parts: list[str], tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "script.py").write_text(STRATEGY, encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    told = refused("--instrument", "MNQ", "--catalog", "mine.toml")
    for part in parts:
        assert part in told


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--tape", "MNQ=a.parquet", "--tape", "MNQ=b.parquet"], ["MNQ has the tape a.parquet"]),
        (["--instrument", "MNQ", "--cash", "nan"], ["AccountConfig.cash = nan", "finite"]),
        (["--instrument", "MNQ", "--cash", "1e12"], ["AccountConfig.cash", "1000000000"]),
        (["--instrument", "MNQ", "--seed", str(1 << 64)], ["seed", str(1 << 63)]),
        (["--instrument", "MNQ", "--set", "speed=3"], ["speed"]),
    ],
    ids=" ".join,
)
def test_refused_arguments_are_told(
    arguments: list[str], parts: list[str], tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "script.py").write_text(STRATEGY, encoding="utf-8")
    told = refused(*arguments)
    for part in parts:
        assert part in told
