"""`papertape data`: readable answers, plain errors, exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_tapes import good_columns, with_cell
from typer.testing import CliRunner, Result

from data.tape import sample_path
from papertape.data_command import app


@pytest.fixture
def run() -> Callable[..., Result]:
    runner = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1"})

    def invoke(*words: object) -> Result:
        return runner.invoke(app, [str(word) for word in words])

    return invoke


def test_inspect_shows_what_the_tape_holds(run: Callable[..., Result]) -> None:
    result = run("inspect", sample_path("MNQ"), "--instrument", "mnq")
    assert result.exit_code == 0, result.output
    for text in (
        "quote", "trade", "2025-01-14 14:30:00.000000000 UTC", "one tick wide", "after it",
        "longest pauses", "bars of 1:00:00", "21,020.00",
    ):  # fmt: skip
        assert text in result.output


def test_inspect_with_a_bare_grid_and_quotes_only(
    run: Callable[..., Result], write: Callable[..., Path]
) -> None:
    columns = good_columns()
    path = write({name: columns[name] for name in ("ts", "bid", "ask", "bid_size", "ask_size")})
    result = run("inspect", path, "--tick-size", "0.25")
    assert result.exit_code == 0, result.output
    assert "bars of 0:00:01" in result.output
    assert "aggressors" not in result.output


def test_validate_says_that_a_tape_is_good(run: Callable[..., Result]) -> None:
    result = run("validate", sample_path("ES"), "--instrument", "ES")
    assert result.exit_code == 0
    assert "0 faults" in result.output
    assert "the tape is good" in result.output


def test_validate_names_faults_and_fails(
    run: Callable[..., Result], write: Callable[..., Path]
) -> None:
    path = write(with_cell("ask", 1, 100.3))
    result = run("validate", path, "--instrument", "ES")
    assert result.exit_code == 1
    for text in ("6 rows read, 5 usable, 1 faults", "ask", "100.3", "tick size"):
        assert text in result.output
    assert run("validate", path, "--instrument", "ES", "--repair").exit_code == 0


def test_validate_can_sort_and_limit_gaps(
    run: Callable[..., Result], write: Callable[..., Path]
) -> None:
    path = write(with_cell("ts", 3, good_columns()["ts"][0]))
    assert run("validate", path, "--instrument", "ES").exit_code == 1
    assert run("validate", path, "--instrument", "ES", "--sort").exit_code == 0
    gap = run("validate", path, "--instrument", "ES", "--sort", "--max-gap", "1.5")
    assert gap.exit_code == 1
    assert "gap between rows is too long" in gap.output


@pytest.mark.parametrize("command", ["inspect", "validate"])
def test_a_bad_file_is_one_plain_line(
    command: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "tape.parquet"
    path.write_text("ts,bid\n", "utf-8")
    result = run(command, path, "--instrument", "ES")
    assert result.exit_code == 1
    assert result.output.startswith(f"papertape: {path}: ")
    assert "is not a Parquet file" in result.output
    assert result.output.count("\n") == 1


MADE = ["generate", "--instrument", "ES", "--out", "x.parquet"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["validate", "x.parquet"], "say what is traded: --instrument SYMBOL"),
        (["validate", "x.parquet", "--instrument", "MNX"], "'MNX' is not in the catalogue"),
        (["validate", "x.parquet", "--tick-size", "wide"], "--tick-size 'wide' is not a number"),
        (["validate", "x.parquet", "--tick-size", "0"], "tick size 0"),
        (["validate", "x.parquet", "--lot-size", "1"], "--lot-size goes with --tick-size"),
        (["generate", "--instrument", "ES"], "--out FILE is missing"),
        (["generate", "--instrument", "ES", "--out", "nowhere/x.parquet"], "there is no folder"),
        (["generate", "--tick-size", "1", "--out", "x.parquet"], "no starting price is known"),
        ([*MADE, "--start", "noon"], "--start 'noon'"),
        ([*MADE, "--hours", "0"], "hours 0"),
        ([*MADE, "--price", "1.1"], "price 1.1 is not"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_plain_line(
    words: list[str],
    text: str,
    run: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 2
    assert result.output.startswith("papertape: ")
    assert text in result.output
    assert list(tmp_path.iterdir()) == []


def test_generate_writes_a_good_tape(run: Callable[..., Result], tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.parquet", "b.parquet", "c.parquet")]
    for path, seed in zip(paths, (7, 7, 8), strict=True):
        result = run(
            "generate", "--instrument", "CL", "--seed", seed, "--hours", 0.2, "--out", path
        )
        assert result.exit_code == 0, result.output
        assert f"rows of CL to {path}" in result.output
    first, again, other = (pq.read_table(path) for path in paths)
    assert first.equals(again)
    assert not first.equals(other)
    assert run("validate", paths[0], "--instrument", "CL").exit_code == 0


def test_generate_starts_when_and_where_it_is_told(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "made.parquet"
    words = ["--tick-size", "0.5", "--lot-size", "0.1", "--price", "70.5", "--hours", "0.1"]
    result = run("generate", *words, "--start", "2025-03-04T12:00:00+01:00", "--out", path)
    assert result.exit_code == 0, result.output
    table = pq.read_table(path)
    assert table.column("ts")[0].as_py() == 1_741_086_000 * 10**9
    assert table.column("bid")[0].as_py() == 70.5


def test_generate_writes_the_samples(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("generate", "--samples", "--out", tmp_path / "samples")
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "ES.parquet", "ETH.parquet", "MNQ.parquet",
    ]  # fmt: skip
