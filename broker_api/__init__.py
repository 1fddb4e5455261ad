"""What strategies import: the order manager's interface over any broker."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from broker_api.config import (
        AccountConfig as AccountConfig,
    )
    from broker_api.config import (
        OrderManagerConfig as OrderManagerConfig,
    )
    from broker_api.config import (
        SimulationConfig as SimulationConfig,
    )
    from broker_api.errors import (
        BrokerError as BrokerError,
    )
    from broker_api.errors import (
        ConfigurationError as ConfigurationError,
    )
    from broker_api.errors import (
        InsufficientMarginError as InsufficientMarginError,
    )
    from broker_api.errors import (
        InvalidOrderError as InvalidOrderError,
    )
    from broker_api.errors import (
        InvalidPriceError as InvalidPriceError,
    )
    from broker_api.errors import (
        InvalidSizeError as InvalidSizeError,
    )
    from broker_api.errors import (
        MarketClosedError as MarketClosedError,
    )
    from broker_api.errors import (
        NotConnectedError as NotConnectedError,
    )
    from broker_api.errors import (
        OrderError as OrderError,
    )
    from broker_api.errors import (
        OrderNotActiveError as OrderNotActiveError,
    )
    from broker_api.errors import (
        OrderNotFoundError as OrderNotFoundError,
    )
    from broker_api.errors import (
        OrderRejectedError as OrderRejectedError,
    )
    from broker_api.errors import (
        OrderTimeoutError as OrderTimeoutError,
    )
    from broker_api.errors import (
        OrderUncertainError as OrderUncertainError,
    )
    from broker_api.errors import (
        PostOnlyWouldCrossError as PostOnlyWouldCrossError,
    )
    from broker_api.errors import (
        ProjectXOrderError as ProjectXOrderError,
    )
    from broker_api.errors import (
        ReduceOnlyError as ReduceOnlyError,
    )
    from broker_api.errors import (
        RiskLimitError as RiskLimitError,
    )
    from broker_api.errors import (
        RunawayStrategy as RunawayStrategy,
    )
    from broker_api.errors import (
        TradingError as TradingError,
    )
    from broker_api.event import (
        Bar as Bar,
    )
    from broker_api.event import (
        Quote as Quote,
    )
    from broker_api.event import (
        Reason as Reason,
    )
    from broker_api.event import (
        Trade as Trade,
    )
    from broker_api.instrument import (
        Instrument as Instrument,
    )
    from broker_api.instrument import (
        round_to_tick_size as round_to_tick_size,
    )
    from broker_api.market_data import (
        MarketData as MarketData,
    )
    from broker_api.notice import (
        EventType as EventType,
    )
    from broker_api.notice import (
        FillEvent as FillEvent,
    )
    from broker_api.notice import (
        OrderEvent as OrderEvent,
    )
    from broker_api.notice import (
        Subscription as Subscription,
    )
    from broker_api.order import (
        Liquidity as Liquidity,
    )
    from broker_api.order import (
        OrderStatus as OrderStatus,
    )
    from broker_api.order import (
        OrderType as OrderType,
    )
    from broker_api.order import (
        Role as Role,
    )
    from broker_api.order import (
        Side as Side,
    )
    from broker_api.order import (
        TimeInForce as TimeInForce,
    )
    from broker_api.order_manager import (
        OrderManager as OrderManager,
    )
    from broker_api.order_templates import (
        OrderTemplate as OrderTemplate,
    )
    from broker_api.order_templates import (
        get_template as get_template,
    )
    from broker_api.position_manager import (
        PositionManager as PositionManager,
    )
    from broker_api.response import (
        BracketOrderResponse as BracketOrderResponse,
    )
    from broker_api.response import (
        OcoOrderResponse as OcoOrderResponse,
    )
    from broker_api.response import (
        OrderResponse as OrderResponse,
    )
    from broker_api.risk import (
        RiskConfig as RiskConfig,
    )
    from broker_api.suite import (
        InstrumentContext as InstrumentContext,
    )
    from broker_api.suite import (
        TradingSuite as TradingSuite,
    )
    from broker_api.view import (
        Fill as Fill,
    )
    from broker_api.view import (
        Order as Order,
    )
    from broker_api.view import (
        Position as Position,
    )

_HOMES = {
    "broker_api.config": (
        "AccountConfig",
        "OrderManagerConfig",
        "SimulationConfig",
    ),
    "broker_api.errors": (
        "BrokerError",
        "ConfigurationError",
        "InsufficientMarginError",
        "InvalidOrderError",
        "InvalidPriceError",
        "InvalidSizeError",
        "MarketClosedError",
        "NotConnectedError",
        "OrderError",
        "OrderNotActiveError",
        "OrderNotFoundError",
        "OrderRejectedError",
        "OrderTimeoutError",
        "OrderUncertainError",
        "PostOnlyWouldCrossError",
        "ProjectXOrderError",
        "ReduceOnlyError",
        "RiskLimitError",
        "RunawayStrategy",
        "TradingError",
    ),
    "broker_api.event": (
        "Bar",
        "Quote",
        "Reason",
        "Trade",
    ),
    "broker_api.instrument": (
        "Instrument",
        "round_to_tick_size",
    ),
    "broker_api.market_data": ("MarketData",),
    "broker_api.notice": (
        "EventType",
        "FillEvent",
        "OrderEvent",
        "Subscription",
    ),
    "broker_api.order": (
        "Liquidity",
        "OrderStatus",
        "OrderType",
        "Role",
        "Side",
        "TimeInForce",
    ),
    "broker_api.order_manager": ("OrderManager",),
    "broker_api.order_templates": (
        "OrderTemplate",
        "get_template",
    ),
    "broker_api.position_manager": ("PositionManager",),
    "broker_api.response": (
        "BracketOrderResponse",
        "OcoOrderResponse",
        "OrderResponse",
    ),
    "broker_api.risk": ("RiskConfig",),
    "broker_api.suite": (
        "InstrumentContext",
        "TradingSuite",
    ),
    "broker_api.view": (
        "Fill",
        "Order",
        "Position",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AccountConfig",
    "Bar",
    "BracketOrderResponse",
    "BrokerError",
    "ConfigurationError",
    "EventType",
    "Fill",
    "FillEvent",
    "Instrument",
    "InstrumentContext",
    "InsufficientMarginError",
    "InvalidOrderError",
    "InvalidPriceError",
    "InvalidSizeError",
    "Liquidity",
    "MarketClosedError",
    "MarketData",
    "NotConnectedError",
    "OcoOrderResponse",
    "Order",
    "OrderError",
    "OrderEvent",
    "OrderManager",
    "OrderManagerConfig",
    "OrderNotActiveError",
    "OrderNotFoundError",
    "OrderRejectedError",
    "OrderResponse",
    "OrderStatus",
    "OrderTemplate",
    "OrderTimeoutError",
    "OrderType",
    "OrderUncertainError",
    "Position",
    "PositionManager",
    "PostOnlyWouldCrossError",
    "ProjectXOrderError",
    "Quote",
    "Reason",
    "ReduceOnlyError",
    "RiskConfig",
    "RiskLimitError",
    "Role",
    "RunawayStrategy",
    "Side",
    "SimulationConfig",
    "Subscription",
    "TimeInForce",
    "Trade",
    "TradingError",
    "TradingSuite",
    "get_template",
    "round_to_tick_size",
]


def __getattr__(name: str) -> Any:
    # Names are imported when they are first used: the command line starts without the rest.
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
