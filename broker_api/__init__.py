"""What strategies import: the order manager's interface over any broker."""

from broker_api.config import (
    AccountConfig,
    OrderManagerConfig,
    SimulationConfig,
)
from broker_api.errors import (
    AccountHaltedError,
    BrokerError,
    ConfigurationError,
    InsufficientMarginError,
    InvalidOrderError,
    InvalidPriceError,
    InvalidSizeError,
    MarketClosedError,
    NotConnectedError,
    OrderError,
    OrderNotActiveError,
    OrderNotFoundError,
    OrderRejectedError,
    OrderTimeoutError,
    OrderUncertainError,
    PostOnlyWouldCrossError,
    ProjectXOrderError,
    ReduceOnlyError,
    RiskLimitError,
    RunawayStrategy,
    StrategyError,
    TradingError,
)
from broker_api.event import (
    Reason,
)
from broker_api.instrument import (
    Instrument,
    round_to_tick_size,
)
from broker_api.market_data import (
    MarketData,
)
from broker_api.notice import (
    EventType,
    FillEvent,
    OrderEvent,
    Subscription,
)
from broker_api.order import (
    Liquidity,
    OrderStatus,
    OrderType,
    Role,
    Side,
    TimeInForce,
)
from broker_api.order_manager import (
    OrderManager,
)
from broker_api.order_templates import (
    OrderTemplate,
    get_template,
)
from broker_api.position_manager import (
    PositionManager,
)
from broker_api.quote import Bar, Quote, Trade
from broker_api.response import (
    BracketOrderResponse,
    OcoOrderResponse,
    OrderResponse,
)
from broker_api.risk import (
    RiskConfig,
    RiskRules,
)
from broker_api.suite import (
    InstrumentContext,
    TradingSuite,
)
from broker_api.view import (
    Fill,
    Order,
    Position,
)

__all__ = [
    "AccountConfig",
    "AccountHaltedError",
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
    "RiskRules",
    "Role",
    "RunawayStrategy",
    "Side",
    "SimulationConfig",
    "StrategyError",
    "Subscription",
    "TimeInForce",
    "Trade",
    "TradingError",
    "TradingSuite",
    "get_template",
    "round_to_tick_size",
]
