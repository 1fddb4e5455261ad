"""`papertape compare A B`: two run folders side by side, in the terminal and as a page."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from papertape.ending import OK, REFUSED
from reports.compare import ComparisonError, compare
from reports.compare_page import comparison_page, print_comparison
from reports.run import CONFIG_FILE, RunRecord, read_run
from scenarios.run_folder import JOURNAL_FILE


class _NoRunError(ValueError):
    """A folder is not that of one run."""


def perform(first: Path, second: Path, out: Path | None, window: float) -> int:
    """Compare the runs of two folders; write the page to `out`. Returns the exit code."""
    try:
        runs = [_read(folder) for folder in (first, second)]
        comparison = compare(runs[0], runs[1], round(window * 1e9))
    except (OSError, _NoRunError, ComparisonError) as refusal:
        print(f"papertape: {refusal}", file=sys.stderr)  # noqa: T201
        return REFUSED
    names = _names(first, second)
    page = Path(f"compare-{names[0]}-{names[1]}.html") if out is None else out
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(comparison_page(comparison, names), encoding="utf-8")
    console = Console(highlight=False)
    print_comparison(console, comparison, names)
    console.print(f"page  {page}", soft_wrap=True)
    return OK


def _read(folder: Path) -> RunRecord:
    if not (folder / CONFIG_FILE).is_file():
        parts = sorted(part.name for part in folder.glob("session-*") if part.is_dir())
        hint = f"; it holds {', '.join(parts)}: name one of them" if parts else ""
        if (folder / JOURNAL_FILE).is_file():
            hint = "; its session has not ended: papertape paper --resume goes on with it"
        raise _NoRunError(f"{folder} is no folder of one run: it has no {CONFIG_FILE}{hint}")
    try:
        return read_run(folder)
    except ValueError as fault:
        raise _NoRunError(str(fault)) from None


def _names(first: Path, second: Path) -> tuple[str, str]:
    """The folders' names; with those of the folders above where they are the same."""
    one, other = first.resolve(), second.resolve()
    if one.name != other.name:
        return one.name, other.name
    if one.parent.name != other.parent.name:
        return f"{one.parent.name}-{one.name}", f"{other.parent.name}-{other.name}"
    return "first", "second"
