"""Whether this process compiled the exchange, which takes a minute, once an installation."""

from __future__ import annotations

import sys


def was_compiled() -> bool:
    """Whether a door of the exchange was compiled here, and not loaded as it was compiled before.

    The time of such a run says nothing about the next one.
    """
    return "sim.door_code" in sys.modules  # `doors.py` imports it for that alone
