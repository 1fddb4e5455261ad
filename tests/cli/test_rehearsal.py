"""`--for VENUE`: what the venue does not support is refused before the run, or at the command."""

import ast
import json

import pytest

from broker_api.capabilities import HYPERLIQUID, PROJECTX, REHEARSED
from broker_api.errors import ConfigurationError, InvalidPriceError, OrderRejectedError
from papertape import Reason, TradingSuite, run
from scenarios.lint import faults_of

EXAMPLE = """
async def trade(suite):
    (market,) = suite.values()
    orders, name = market.orders, market.symbol
    {line}
    print("went on")
"""

WRITTEN = [
    # a call, the venue, what is said about it (None: it is fine)
    ("place_trailing_stop_order(name, 1, 1, trail_ticks=8)", "hyperliquid", "trailing-stop orders"),
    ("place_trailing_stop_order(name, 1, 1, trail_ticks=8)", "projectx", None),
    ("place_trailing_stop_order(name, 1, 1, trail_ticks=1001)", "projectx", "trail_ticks above"),
    (
        "place_trailing_stop_order(name, 1, 1, trail_ticks=8, activation_price=p)",
        "projectx",
        "activation_price; place the trailing stop when that price is reached",
    ),
    ("place_market_if_touched_order(name, 0, 1, p)", "projectx", "orders; use place_limit"),
    ("place_market_if_touched_order(name, 0, 1, p)", "hyperliquid", None),
    ('place_limit_order(name, 0, 1, p, time_in_force="FOK")', "hyperliquid", 'use "IOC"'),
    ('place_limit_order(name, 0, 1, p, time_in_force="fok")', "projectx", "cancel it if it"),
    ("place_limit_order(name, 0, 1, p, time_in_force=TimeInForce.DAY)", "projectx", '"DAY" of'),
    ("place_limit_order(name, 0, 1, p, expires_at=when)", "hyperliquid", "when its time"),
    ('place_limit_order(name, 0, 1, p, time_in_force="IOC")', "hyperliquid", None),
    ('place_limit_order(name, 0, 1, p, time_in_force="IOC")', "projectx", "not filled at once"),
    ('place_market_order(name, 0, 1, time_in_force="IOC")', "projectx", None),
    ("place_limit_order(name, 0, 1, p, post_only=True)", "projectx", "post_only; use"),
    ("place_limit_order(name, 0, 1, p, post_only=True)", "hyperliquid", None),
    ("place_limit_order(name, 0, 1, p, post_only=wish)", "projectx", None),
    (
        "place_stop_limit_order(name, 0, 1, p, p, post_only=True)",
        "hyperliquid",
        "post_only of stop-limit orders",
    ),
    ("place_market_order(name, 0, 1, protection_ticks=4)", "projectx", "worst price"),
    ("place_market_order(name, 0, 1, protection_ticks=4)", "hyperliquid", None),
    ("place_bracket_order(name, 0, 1, trail_offset=5)", "hyperliquid", "trailing-stop orders"),
    ("place_bracket_order(name, 0, 1, stop_offset=5, target_offset=5)", "projectx", None),
    (
        'place_oco_order(name, 1, {"type": "limit", "side": 0, "price": p}, '
        '{"type": "market_if_touched", "side": 1, "trigger_price": p})',
        "projectx",
        "market-if-touched orders",
    ),
]


@pytest.mark.parametrize(("call", "venue", "said"), WRITTEN)
def test_what_is_written_out_is_known_before_the_run(call, venue, said):
    tree = ast.parse(EXAMPLE.format(line=f"await orders.{call}"))
    has = {"hyperliquid": HYPERLIQUID, "projectx": PROJECTX}[venue]
    faults = list(faults_of(tree, None, has))
    if said is None:
        assert faults == []
        return
    ((line, text),) = [(each.line, f"{each.lack.what}; {each.lack.instead}") for each in faults]
    assert line == 5
    assert said in text


REACHED = """
from helper import other

class Trader:
    async def go(self, orders):
        await orders.place_trailing_stop_order("ETH", 1, 1, trail_ticks=8)

async def used(suite):
    await Trader().go(suite["ETH"].orders)

async def unused(suite):
    await suite.orders.place_limit_order("ETH", 0, 1, 1, time_in_force="FOK")
"""


def test_only_what_the_strategy_can_come_to_is_looked_at():
    tree = ast.parse(REACHED)
    assert [each.verb for each in faults_of(tree, "used", HYPERLIQUID)] == [
        "place_trailing_stop_order"
    ]
    assert [each.verb for each in faults_of(tree, "unused", HYPERLIQUID)] == ["place_limit_order"]
    assert len(list(faults_of(tree, None, HYPERLIQUID))) == 2
    assert list(faults_of(tree, "missing", HYPERLIQUID)) == []


def test_a_run_is_refused_before_its_first_line(command, script):
    text = EXAMPLE.format(line="await orders.place_limit_order(name, 0, 1, 1, post_only=True)")
    path = script(f'print("began")\n{text}')
    ended = command("run", path, "--instrument", "MNQ", "--for", "projectx")
    assert ended.code == 2
    assert "began" not in ended.out
    assert "this would be refused at projectx:" in ended.err
    assert f"{path}:6: place_limit_order: projectx has no post_only; use a limit" in ended.err


def test_what_only_the_command_tells_is_refused_there(command, script):
    line = 'await orders.place_limit_order(name, 0, 1, 20_000, time_in_force="".join("FOK"))'
    path = script(EXAMPLE.format(line=line))
    ended = command("run", path, "--instrument", "MNQ", "--for", "projectx")
    assert ended.code == 2
    assert (
        'time_in_force "FOK" of limit orders: projectx does not support this for MNQ' in ended.err
    )
    assert "script.py" in ended.err


def test_a_rehearsal_that_passes_says_so_in_its_folder(command, script, tmp_path):
    path = script(EXAMPLE.format(line="await orders.place_market_order(name, 0, 1)"))
    arguments = ("--instrument", "MNQ", "--for", "projectx", "--out", "run", "--no-report")
    ended = command("run", path, *arguments)
    assert ended.code == 0, ended.err
    assert "went on" in ended.out
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["rehearsed_for"] == "projectx"


@pytest.mark.parametrize(
    ("instrument", "venue", "said"),
    [
        ("MNQ", "hyperliquid", "MNQ is listed at CME; hyperliquid trades instruments of HYPERLIQ"),
        ("ETH", "projectx", "ETH is listed at HYPERLIQUID; projectx trades instruments of CME, C"),
        ("ETH", "hyperliqid", 'did you mean "hyperliquid"'),
    ],
)
def test_venues_and_their_instruments_are_checked_first(command, script, instrument, venue, said):
    path = script(EXAMPLE.format(line="pass"))
    ended = command("run", path, "--instrument", instrument, "--for", venue)
    assert ended.code == 2
    assert said in ended.err
    assert "went on" not in ended.out


def rehearse(strategy, symbol, venue):
    async def main():
        suite = await TradingSuite.create([symbol], rehearse_for=venue)
        async with suite:
            return await strategy(suite[symbol])

    return run(main())


def test_prices_and_worths_are_those_of_the_venue():
    async def strategy(eth):
        price = eth.data.last_quote.bid
        with pytest.raises(InvalidPriceError, match="more than 5 significant digits"):
            await eth.orders.place_limit_order("ETH", 0, 1, 12_345.1)
        with pytest.raises(OrderRejectedError, match="less than the venue's least of 10"):
            await eth.orders.place_market_order("ETH", 0, 0.001)
        await eth.orders.place_market_order("ETH", 0, 0.1)
        await eth.orders.wait_for_fill(1)
        await eth.orders.place_limit_order("ETH", 1, 0.001, int(price) + 50, reduce_only=True)

    rehearse(strategy, "ETH", "hyperliquid")


def test_every_refusal_at_the_command_says_what_to_use_instead():
    async def strategy(mnq):
        orders = mnq.orders
        with pytest.raises(OrderRejectedError, match=r"place_limit_order at the trigger") as error:
            await orders.place_market_if_touched_order("MNQ", 0, 1, 20_000)
        assert error.value.reason is Reason.UNSUPPORTED
        orders.nowait.place_bracket_order("MNQ", 0, 1, stop_offset=5, post_only=False)
        with pytest.raises(OrderRejectedError, match="when that price is reached"):
            await orders.place_trailing_stop_order(
                "MNQ", 1, 1, trail_ticks=8, activation_price=21_500
            )
        return await orders.get_stats()

    assert rehearse(strategy, "MNQ", "projectx")["denied_orders"] == 2


def test_rehearsals_are_simulations():
    async def main():
        await TradingSuite.create(["ETH"], broker="hyperliquid", rehearse_for="hyperliquid")

    with pytest.raises(ConfigurationError, match="goes with a simulation"):
        run(main())
    assert REHEARSED == ("hyperliquid", "projectx")
