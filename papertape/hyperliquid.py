"""Hyperliquid by the names that scripts import; it needs the extra `papertape[hyperliquid]`."""

from __future__ import annotations

from broker_api.hyperliquid.config import HyperliquidConfig
from broker_api.hyperliquid.manager import HyperliquidOrderManager

__all__ = ["HyperliquidConfig", "HyperliquidOrderManager"]
