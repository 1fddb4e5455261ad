"""Order types that a broker lacks are refused, never sent as others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker_api.catalog import find, load_catalog
from broker_api.config import AccountConfig, BrokerSpec, SimulationConfig
from broker_api.errors import OrderRejectedError
from data.tape import open_tape, sample_path
from papertape import Reason, TradingSuite, run
from sim.broker import SimBroker

TOUCH_LEG = {"type": "market_if_touched", "side": 0, "trigger_price": 20_000}
LIMIT_LEG = {"type": "limit", "side": 1, "price": 22_000}


class PlainBroker(SimBroker):
    """A venue without touched orders and trailing stops."""

    capabilities = replace(SimBroker.capabilities, trailing_stop=False, if_touched=False)


def plain_broker():
    spec = find(load_catalog(), "MNQ")
    tape = open_tape(sample_path("MNQ"), spec)
    return PlainBroker(BrokerSpec((spec,), (tape,), SimulationConfig(), AccountConfig()), [tape])


@pytest.mark.parametrize(
    ("verb", "arguments", "kind"),
    [
        ("place_trailing_stop_order", {"side": 1, "trail_ticks": 20}, "trailing-stop"),
        ("place_trailing_stop_order", {"side": 1, "trail_percent": 1}, "trailing-stop"),
        ("place_market_if_touched_order", {"side": 0, "trigger_price": 20_000}, "market-if-touch"),
        (
            "place_limit_if_touched_order",
            {"side": 0, "trigger_price": 20_000, "limit_price": 20_000},
            "limit-if-touch",
        ),
        ("place_bracket_order", {"side": 0, "trail_offset": 10}, "trailing-stop"),
        ("place_oco_order", {"first_order": LIMIT_LEG, "second_order": TOUCH_LEG}, "market-if-"),
    ],
)
def test_types_that_the_broker_lacks_are_refused_before_sending(verb, arguments, kind):
    async def main():
        async with await TradingSuite.create("MNQ", broker=plain_broker()) as suite:
            orders = suite["MNQ"].orders
            with pytest.raises(OrderRejectedError, match=kind) as refused:
                await getattr(orders, verb)("MNQ", size=1, **arguments)
            return refused.value.reason, await orders.get_orders(), await orders.get_stats()

    reason, placed, stats = run(main())
    assert reason is Reason.UNSUPPORTED
    assert placed == []
    assert (stats["denied_orders"], stats["total_orders"]) == (1, 0)
