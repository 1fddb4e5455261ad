"""The markets that a paper session can listen to: recorded ones at their own pace, or live."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from data.growing import GrowingTape
from data.tape import Tape
from sim.inbox import Inbox, MarketClock, Paced, RowSource
from sim.incoming import Request
from sim.replay_feed import FullSpeed, ReplaySource, growing_like

REPLAY, HYPERLIQUID, PROJECTX = "replay", "hyperliquid", "projectx"
FEEDS = (REPLAY, HYPERLIQUID, PROJECTX)
FULL_SPEED = 0.0
SPEED_MAX = 1e6


@dataclass(frozen=True)
class FeedPlan:
    """What to listen to. `speed` is that of a replay: market seconds a second, 0 for full speed.

    `began_ns` is when the session began by the machine's clock: a paced replay that is resumed has
    gone on meanwhile. `options` are those of a live feed.
    """

    name: str
    speed: float = 1.0
    began_ns: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in FEEDS:
            hint = near_miss(self.name, FEEDS) or f"; known are {', '.join(FEEDS)}"
            raise ConfigurationError(f"feed {self.name!r} is unknown{hint}")
        if not 0.0 <= self.speed <= SPEED_MAX:
            raise ConfigurationError(f"speed {self.speed:g} is not between 0 and {SPEED_MAX:g}")
        if self.options and not self.is_live:
            named = ", ".join(self.options)
            raise ConfigurationError(
                f"option {named}: the feed {self.name} has none; they are of live feeds, "
                f"--feed {HYPERLIQUID} or {PROJECTX}"
            )

    @property
    def is_live(self) -> bool:
        """Whether the market is one that goes on now."""
        return self.name != REPLAY

    def to_dict(self) -> dict[str, Any]:
        """The plan as a table for JSON."""
        return {
            "name": self.name,
            "speed": self.speed,
            "began_ns": self.began_ns,
            "options": dict(self.options),
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> FeedPlan:
        """The plan of such a table."""
        return cls(**table)


@dataclass(frozen=True)
class OpenFeed:
    """A feed that runs: its inbox, and how to end it.

    `instruments` are those of a venue, where it says its own. `health` tells how the connection is,
    `notes` what a person should know of it.
    """

    inbox: Inbox
    close: Callable[[], None] = lambda: None
    instruments: tuple[Instrument, ...] | None = None
    health: Callable[[], Mapping[str, Any]] = dict
    notes: Callable[[], Sequence[str]] = tuple


def growing_tapes(
    kinds: Sequence[Mapping[str, Any]], instruments: Sequence[Instrument], folder: Path
) -> tuple[GrowingTape, ...]:
    """Empty tapes as the journal's header describes them."""
    return tuple(
        GrowingTape(
            spec.symbol,
            table["source"],
            table["kinds"],
            bbo_after_trade=table["bbo_after_trade"],
            folder=folder,
        )
        for spec, table in zip(instruments, kinds, strict=True)
    )


def described(tapes: Sequence[GrowingTape]) -> list[dict[str, Any]]:
    """What the journal's header says of tapes, see `growing_tapes`."""
    return [
        {
            "symbol": tape.symbol,
            "source": tape.source,
            "kinds": list(tape.kinds),
            "bbo_after_trade": tape.bbo_after_trade,
        }
        for tape in tapes
    ]


def open_replay(
    plan: FeedPlan,
    tapes: Sequence[Tape],
    folder: Path,
    wall_ns: Callable[[], int],
    serve: Callable[[Request], Any],
) -> OpenFeed:
    """A recorded market. Raises ConfigurationError for tapes of bars."""
    for tape in tapes:
        if tape.bar_interval_ns:
            raise ConfigurationError(
                f"{tape.symbol}: its tape is made of bars; a market that goes on needs ticks"
            )
    source = ReplaySource(tapes)
    clock: MarketClock = FullSpeed(source)
    if plan.speed != FULL_SPEED:
        clock = Paced(source.start_ns, plan.began_ns, plan.speed, wall_ns)
    rows: RowSource = source
    return OpenFeed(Inbox([growing_like(each, folder) for each in tapes], rows, clock, serve))
