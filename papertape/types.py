"""Settings, requests, views and events of the interface, by the names that scripts import."""

from __future__ import annotations

from broker_api.config import AccountConfig, OrderManagerConfig, SimulationConfig
from broker_api.instrument import Instrument
from broker_api.notice import EventType, FillEvent, OrderEvent
from broker_api.order import OrderStatus, OrderType, Role, Side, TimeInForce
from broker_api.quote import Bar, Quote, Trade
from broker_api.response import BracketOrderResponse, OcoOrderResponse, OrderResponse
from broker_api.risk import RiskConfig, RiskRules
from broker_api.view import Fill, Order, Position

__all__ = [
    "AccountConfig",
    "Bar",
    "BracketOrderResponse",
    "EventType",
    "Fill",
    "FillEvent",
    "Instrument",
    "OcoOrderResponse",
    "Order",
    "OrderEvent",
    "OrderManagerConfig",
    "OrderResponse",
    "OrderStatus",
    "OrderType",
    "Position",
    "Quote",
    "RiskConfig",
    "RiskRules",
    "Role",
    "Side",
    "SimulationConfig",
    "TimeInForce",
    "Trade",
]
