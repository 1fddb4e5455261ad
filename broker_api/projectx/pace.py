"""The gateway's limits of requests. Source: its documentation, "Rate limits"."""

from __future__ import annotations

import numpy as np

from broker_api.pacer import Pacer
from broker_api.pacing import NS_SECOND, BackOff, Window
from broker_api.projectx.client import Pacing
from broker_api.projectx.config import ProjectXConfig

BARS_A_HALF_MINUTE = 30
"""The lower of the two figures that are told."""


def pacing_of(config: ProjectXConfig, draws: np.random.Generator) -> Pacing:
    """The gateway's limits, with a part of them kept for cancels."""

    def back_off() -> BackOff:
        return BackOff(draws, NS_SECOND // 4, 30 * NS_SECOND)

    # A little longer than the gateway's spans: requests take their time to arrive.
    reserve = min(config.cancel_reserve, config.requests_per_minute // 2)
    requests = Window(config.requests_per_minute, 61 * NS_SECOND, reserve)
    bars = Window(BARS_A_HALF_MINUTE, 31 * NS_SECOND)
    return Pacing(
        by_request=Pacer([requests], back_off()),
        by_bars=Pacer([bars], back_off()),
        wait_max_seconds=config.wait_max_seconds,
    )
