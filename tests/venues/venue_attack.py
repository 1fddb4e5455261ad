"""Malformed requests and frames against a local venue.

    python -m tests.venues.venue_attack --venue projectx --count 100000

What is sent begins as a message that the venue takes and is spoilt as in the attack on the wire's
decoders, or has other values that a trader might send, so that it reaches the book. Whatever comes,
the venue answers or refuses, and what it could not read has changed nothing.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Protocol

from tests.venues.hyperliquid_attack import HyperliquidTarget
from tests.venues.projectx_attack import ProjectXTarget
from tests.venues.spoiling import Spoil, spoil_structure, spoil_text

SEED = 20_261_122
SHOTS, NEW_TARGET = 4, 5_000


class Target(Protocol):
    """A venue without its network, and one client of it."""

    def fire(self, random: Random, shot: int, spoil: Spoil) -> str | None:
        """Send one message of four kinds; what came of it, None when there was nothing to send.

        Raises what the venue raised, and AssertionError when it should not have changed.
        """
        ...


TARGETS: dict[str, Callable[[], Target]] = {
    "hyperliquid": HyperliquidTarget,
    "projectx": ProjectXTarget,
}


def attack(venue: str, seed: int, count: int) -> Counter[str]:
    """Send so many spoilt messages; what came of them. Raises what the venue raised."""
    random, target = Random(seed), TARGETS[venue]()
    results: Counter[str] = Counter()
    for number in range(count):
        spoil = spoil_text if random.random() < 0.3 else spoil_structure
        outcome = target.fire(random, number % SHOTS, spoil)
        if outcome is not None:
            results[outcome] += 1
        if number % NEW_TARGET == NEW_TARGET - 1:
            target = TARGETS[venue]()
    return results


def main() -> None:
    """Attack, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venue", default="hyperliquid", choices=sorted(TARGETS))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=10_000)
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}")
    for name, count in sorted(attack(chosen.venue, chosen.seed, chosen.count).items()):
        print(f"{count:8} {name}")


if __name__ == "__main__":
    main()
