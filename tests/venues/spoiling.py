"""How messages are spoilt in the attack on venues: as in that on the wire's decoders."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

_DECODERS = str(Path(__file__).resolve().parents[1] / "broker_api" / "hyperliquid")
if _DECODERS not in sys.path:  # where pytest has not put it
    sys.path.append(_DECODERS)

from malformed import spoil_structure, spoil_text  # noqa: E402

__all__ = ["Deaf", "Spoil", "plausible", "spoil_structure", "spoil_text"]

Spoil = Callable[[Random, Any], str]


class Deaf:
    """The end of a WebSocket on which nobody listens."""

    closed = False


def plausible(random: Random, message: Any, values: Mapping[str, tuple[Any, ...]]) -> Any:
    """The message with other values, good and bad, at some of the keys that have any."""
    if isinstance(message, list):
        many = [plausible(random, each, values) for each in message]
        return many * random.choice([1, 1, 1, 2])
    if not isinstance(message, dict):
        return message
    changed = {key: plausible(random, value, values) for key, value in message.items()}
    for key, found in values.items():
        if key in changed and random.random() < 0.6:
            changed[key] = random.choice(found)
    return changed
