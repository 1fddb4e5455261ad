"""The public names are pinned: adding or losing one is a decision, seen in this file."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import broker_api
import papertape

NAMES = [
    "AccountHaltedError",
    "AccountConfig",
    "Bar",
    "BracketOrderResponse",
    "BrokerError",
    "ConfigurationError",
    "EventType",
    "Fill",
    "FillEvent",
    "InstrumentContext",
    "Instrument",
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


def test_names_of_broker_api_are_pinned_and_sorted():
    assert sorted(NAMES) == list(broker_api.__all__) == sorted(broker_api.__all__)


def test_names_of_papertape_are_those_and_the_virtual_clock():
    assert sorted([*NAMES, "TapeEnded", "run", "sweep"]) == sorted(papertape.__all__)


@pytest.mark.parametrize("package", ["broker_api", "papertape"])
def test_every_public_name_exists_and_is_documented(package):
    module = import_module(package)
    for name in module.__all__:
        assert getattr(module, name).__doc__, name
        assert name in dir(module)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        module.Nothing  # noqa: B018


@pytest.mark.parametrize("module", ["papertape.types", "papertape.order_templates"])
def test_submodules_export_sorted_names(module):
    names = import_module(module).__all__
    assert names == sorted(names)
    assert all(hasattr(import_module(module), name) for name in names)


def _imported(code, *names):
    """Which of the modules a program has imported when it ends."""
    code += f"\nimport sys\nsys.exit(repr([name for name in {names!r} if name in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return ran.stderr.strip()


def test_importing_the_interface_imports_neither_arrow_nor_packages_metadata():
    assert _imported("import broker_api", "pyarrow", "importlib.metadata") == "[]"


def test_the_interface_and_a_table_of_commands_need_neither_pandas_nor_numba():
    code = (
        "import broker_api, papertape\n"
        "for name in broker_api.__all__: getattr(broker_api, name)\n"
        "from broker_api.journal import Journal\n"
        "Journal().commands()"
    )
    assert _imported(code, "pandas", "numba") == "[]"
