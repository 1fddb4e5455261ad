"""Whether this process compiled the exchange, which takes a minute, once an installation."""

from __future__ import annotations

import sys


def was_compiled() -> bool:
    """Whether a door of the exchange was compiled here, and not loaded as it was compiled before.

    The time of such a run says nothing about the next one.
    """
    doors = sys.modules.get("sim.entries")
    if doors is None:  # nothing has been simulated
        return False
    stats = (getattr(door, "stats", None) for door in vars(doors).values())
    return any(getattr(each, "cache_misses", None) for each in stats)
