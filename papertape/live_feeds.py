"""The adapters whose markets a paper session can listen to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from broker_api.public_market import PublicMarket
from broker_api.wall_clock import WallClock


def market_of(
    name: str, options: Mapping[str, Any], instruments: Sequence[Instrument]
) -> PublicMarket:
    """The market of a feed. Raises ConfigurationError and SecretError for its settings."""
    now_ms = WallClock().now_ms
    draws = np.random.Generator(np.random.Philox(os.getpid()))
    try:
        if name == "hyperliquid":
            from broker_api.hyperliquid.listening import HyperliquidMarket, ListeningConfig

            listening = ListeningConfig.parse(options)
            return HyperliquidMarket(listening, instruments, os.environ, now_ms, draws)
        from broker_api.projectx.config import config_of
        from broker_api.projectx.listening import ProjectXMarket

        return ProjectXMarket(config_of(options), instruments, os.environ, now_ms, draws)
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f'the feed {name} needs the package {missing.name}: pip install "papertape[{name}]"'
        ) from None
