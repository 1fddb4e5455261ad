"""The progress bar of a run: simulated time between the tape's start and its end; its summary.

It reads the clock of the virtual loop a few times a second from the display's own thread, so the
run itself pays nothing for it. The wall clock shows here and nowhere else.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reports.summary import print_summary
from scenarios.recording import Played, tape_span
from sim.first_use import was_compiled

if TYPE_CHECKING:
    from rich.console import Console

    from broker_api.config import SessionDefaults
    from sim.loop import VirtualRuns

Watch = Callable[["VirtualRuns", "SessionDefaults"], None]
_UPDATES_PER_SECOND = 10
_COMPILING_SECONDS = 2.0
"""A run that has not moved after so long is compiling: nothing else takes that time."""


@contextmanager
def progress_bar() -> Iterator[Watch]:
    """Show a bar on standard error, when it is a terminal, for what `watch` is given."""
    if not sys.stderr.isatty():
        yield lambda runs, defaults: None
        return
    from rich.console import Console
    from rich.live import Live

    console, watched = Console(stderr=True), _Watched()
    live = Live(
        get_renderable=watched.render,
        console=console,
        refresh_per_second=_UPDATES_PER_SECOND,
        transient=True,
        # What the script prints goes above the bar, but into a pipe or a file as it is.
        redirect_stdout=sys.stdout.isatty(),
    )
    with live:
        yield watched.watch


def print_summaries(console: Console, played: Sequence[Played], seconds: float) -> None:
    """Print what each session of a run came to; `seconds` is how long the run took."""
    compiled = was_compiled()
    for each in played:
        print_summary(console, each.summary, None if compiled else seconds)
    if compiled:
        console.print(
            f"{seconds:.1f} s, in which the exchange was compiled: the next run has it ready",
            style="dim",
        )


class _Watched:
    """The run that is shown; nothing before `watch`."""

    def __init__(self) -> None:
        self._runs: VirtualRuns | None = None
        self._defaults: SessionDefaults | None = None
        self._began = time.monotonic()

    def watch(self, runs: VirtualRuns, defaults: SessionDefaults) -> None:
        """Show this run from now on."""
        self._runs, self._defaults = runs, defaults

    def render(self) -> Any:
        """The bar as it stands now."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        share, text = self._state()
        seconds = time.monotonic() - self._began
        if share <= 0.0 and seconds > _COMPILING_SECONDS:
            text = "compiling the exchange, once, about a minute"
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True)
        bar = ProgressBar(total=1.0, completed=share, pulse=share <= 0.0)
        row.add_row(bar, f"{text}  {seconds:.1f} s")
        return row

    def _state(self) -> tuple[float, str]:
        loop = self._runs.loop if self._runs is not None else None
        span = tape_span(self._defaults.sessions) if self._defaults is not None else None
        if loop is None or span is None:
            return 0.0, "preparing"
        start_ns, end_ns = span
        now_ns = loop.now_ns
        share = (now_ns - start_ns) / max(1, end_ns - start_ns)
        moment = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
        return min(1.0, max(0.0, share)), f"{share:4.0%}  {moment:%Y-%m-%d %H:%M:%S}"
