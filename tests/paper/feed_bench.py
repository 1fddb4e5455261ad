"""Listening to a local venue, and sessions of the command line on one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


class Heard:
    """A MarketSink that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def quote(self, index: int, bid: int | None, ask: int | None, sizes: tuple[int, int]) -> None:
        self.told.append(("quote", index, bid, ask, sizes))

    def trade(self, index: int, ticks: int, lots: int, side: int) -> None:
        self.told.append(("trade", index, ticks, lots, side))

    def mark(self, index: int, nanos: int) -> None:
        self.told.append(("mark", index, nanos))

    def funding(self, index: int, rate_nanos: int) -> None:
        self.told.append(("funding", index, rate_nanos))

    def down(self, why: str) -> None:
        self.told.append(("down", why))

    def note(self, text: str) -> None:
        self.told.append(("note", text))

    def of(self, *kinds: str) -> list[tuple[Any, ...]]:
        """What was told of these kinds, without the kind where it is one."""
        found = [each for each in self.told if each[0] in kinds]
        return [each[1:] for each in found] if len(kinds) == 1 else found


class Command:
    """`papertape ARGUMENTS` as a process of its own; `lines` are what it has said so far."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "papertape.cli", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def said(self, text: str) -> str:
        """Read on until a line has this text; that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"it ended without {text!r}:\n{''.join(self.lines)}")

    def end(self, number: int) -> int:
        """Send a signal, read the rest; the exit code."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=PATIENCE_SECONDS)
        self.lines.append(rest)
        return self.process.returncode

    @property
    def output(self) -> str:
        """All that it said."""
        return "".join(self.lines)


@contextmanager
def command(*arguments: object, **environment: str) -> Iterator[Command]:
    """A command that is not left behind."""
    running = Command(*arguments, **environment)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait(PATIENCE_SECONDS)
        if running.process.stdout is not None:
            running.process.stdout.close()
