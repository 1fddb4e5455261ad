"""The `papertape` command before its packages are there: Ctrl-C ends it in one line.

Importing them takes a second or more, and no package of ours can be imported before all that it
stands on, so this module is in none. Nothing has been begun while it waits: it just leaves.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

INTERRUPTED = 130
"""As a shell says it of a process that SIGINT ended."""


def leave(number: int, frame: FrameType | None) -> None:
    """End the process: an exception could come out of an import as something else."""
    os.write(2, b"papertape: interrupted\n")
    os._exit(INTERRUPTED)


def main() -> None:
    """The entry point of the `papertape` command."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # not where it is ignored, as in the background
        signal.signal(signal.SIGINT, leave)
    from papertape.cli import main as command

    signal.signal(signal.SIGINT, before)
    try:
        command()
    except KeyboardInterrupt:  # before it knew which command it is
        leave(signal.SIGINT, None)


if __name__ == "__main__":
    main()
