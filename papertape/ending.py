"""How a command ends: the exit codes, written once, and one message for what ended it early."""

from __future__ import annotations

import sys
from collections.abc import Callable

from scenarios.runner import REFUSALS, ScriptError

OK, SCRIPT_FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""docs/operations.md describes them for users."""


def say(text: str) -> None:
    """Say something on standard error: standard output is for results."""
    print(text, file=sys.stderr)  # noqa: T201


def ended(work: Callable[[], int], *, interrupted: str = "interrupted") -> int:
    """Do the work; its exit code, or that of what ended it, which is told.

    A script's own exception is shown as it is; a refusal, or a file that cannot be read or written,
    in one line; Ctrl-C as `interrupted`.
    """
    try:
        return work()
    except ScriptError as failure:
        say(str(failure))
        return SCRIPT_FAILED
    except (*REFUSALS, OSError) as refusal:
        say(f"papertape: {refusal}")
        return REFUSED
    except KeyboardInterrupt:
        say(f"papertape: {interrupted}")
        return INTERRUPTED
