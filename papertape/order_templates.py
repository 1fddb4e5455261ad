"""Order templates: `get_template("scalping")`, and OrderTemplate to write one's own."""

from __future__ import annotations

from broker_api.order_templates import (
    BreakoutTemplate,
    OrderTemplate,
    RiskRewardTemplate,
    ScalpingTemplate,
    get_template,
)

__all__ = [
    "BreakoutTemplate",
    "OrderTemplate",
    "RiskRewardTemplate",
    "ScalpingTemplate",
    "get_template",
]
