"""`papertape compare`: what it prints and writes, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.reports.example_run import told_story, write_run_folder

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "bracket.py"


def test_two_versions_of_a_run_are_compared(command: Callable[..., object], tmp_path: Path) -> None:
    for name, setting in (("before", "20"), ("after", "2000")):
        ended = command(
            "run",
            EXAMPLE,
            "--instrument",
            "MNQ",
            "--out",
            name,
            "--no-report",
            "--set",
            f"simulation.entry_latency_ms={setting}",
        )
        assert ended.code == 0, ended.err
    ended = command("compare", "before", "after")
    assert ended.code == 0, ended.err
    assert "latency" in ended.out
    assert "Settings that differ: simulation.entry_latency_ms." in ended.out
    page = tmp_path / "compare-before-after.html"
    assert "before and after" in page.read_text(encoding="utf-8")
    assert command("compare", "before", "after", "--out", "pages/own.html").code == 0
    assert (tmp_path / "pages" / "own.html").is_file()


def test_what_is_no_run_is_refused(command: Callable[..., object], tmp_path: Path) -> None:
    run = write_run_folder(tmp_path / "run", told_story())
    ended = command("compare", run, "nowhere")
    assert ended.code == 2
    assert "nowhere is no folder of one run: it has no config.json" in ended.err
    (tmp_path / "many" / "session-1").mkdir(parents=True)
    ended = command("compare", run, "many")
    assert "it holds session-1: name one of them" in ended.err
    (run / "events.parquet").unlink()
    assert command("compare", run, run).code == 2


def test_runs_of_one_name_are_told_apart(command: Callable[..., object], tmp_path: Path) -> None:
    for place in ("monday", "tuesday"):
        (tmp_path / place).mkdir()
        write_run_folder(tmp_path / place / "run", told_story())
    ended = command("compare", "monday/run", "tuesday/run")
    assert "0 only in monday-run, 0 only in tuesday-run" in ended.out
    assert "the same to the last bit" in ended.out
