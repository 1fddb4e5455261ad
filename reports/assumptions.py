"""What a run took for granted, in sentences, from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker_api.latency import latency_text

_BEYOND_TOP = {
    "ladder": "every further tick is taken to show the touch's size",
    "wait": "the rest of a market order waits for the next row",
    "infinite": "everything fills at the touch",
}
_QUEUES = {
    "proportional": "cancels ahead of a resting order are shared by its place in the queue",
    "displayed": "only prints advance a resting order (pessimistic)",
    "front": "a resting order is first in its queue (optimistic)",
    "back": "a resting order fills only when the price trades through it (pessimistic)",
}


def assumptions(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The assumptions in force, one sentence each; none for a broker that simulates nothing."""
    settings: Mapping[str, Any] = config.get("simulation") or {}
    if not settings:
        return ()
    queue, beyond = str(settings.get("queue")), str(settings.get("beyond_top"))
    said = [
        f"Queue model {queue}: {_QUEUES.get(queue, 'see docs/fills.md')}.",
        f"Beyond the displayed touch ({beyond}): {_BEYOND_TOP.get(beyond, 'see docs/fills.md')}.",
        _latency(settings),
        "Own orders do not move the recorded market.",
    ]
    if settings.get("trade_through") == "all":
        said.append("A print through a resting order's price fills all of it.")
    if settings.get("fees") is False:
        said.append("No fees are charged.")
    if settings.get("margin") is False:
        said.append("Margin is not checked.")
    if any(tape.get("bar_interval_ns") for tape in config.get("tapes") or []):
        path, spread = settings.get("bar_path"), settings.get("spread_ticks")
        said.append(
            f"Bars: the order of their extremes ({path}) and spreads of {spread} ticks are "
            "assumed; between its prices a bar moves without a jump."
        )
    rules: Mapping[str, Any] = config.get("risk") or {}
    if "daily_loss" in rules or "trailing_drawdown" in rules:
        said.append(
            "Account rules look at equity after every fill and payment, and every "
            f"{float(rules.get('check_seconds', 1)):g} s while a position is open: what it was "
            "between two looks they do not know."
        )
    said.append("Open positions are valued at the mid, at every fill and on a grid of times.")
    return tuple(said)


def _latency(settings: Mapping[str, Any]) -> str:
    names = ("entry_latency_ms", "response_latency_ms", "feed_latency_ms")
    entry, response, feed = (latency_text(settings.get(name) or 0) for name in names)
    return f"Latency: {entry} to the exchange, {response} back, {feed} for market data."
