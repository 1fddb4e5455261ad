"""Memory of runs that have ended, in a program that makes many of them.

A session holds itself, with its journal and its exchange, so only Python's collector frees it. That
counts objects, and a journal of any size is few of them: it would come by after gigabytes.
"""

from __future__ import annotations

import gc
import mmap
from pathlib import Path

GROWN_BYTES = 128 << 20
"""A look through all objects takes as long as a small run: it waits until it may be worth it."""
_after_last = 0


def free_earlier_runs() -> None:
    """Free what earlier runs left, if this process has grown much since that was done last."""
    global _after_last
    own = _own_bytes()
    if own is None:
        gc.collect()
    elif own - _after_last > GROWN_BYTES:
        gc.collect()
        _after_last = _own_bytes() or 0


def _own_bytes() -> int | None:
    """Memory that is this process's alone, without the pages of files; None where nobody tells."""
    try:
        _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    except (OSError, ValueError):
        return None
    return (int(resident) - int(shared)) * mmap.PAGESIZE
