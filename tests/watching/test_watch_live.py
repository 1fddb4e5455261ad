"""A session on a live adapter, in a real loop, is watched and stopped by another thread."""

from __future__ import annotations

import asyncio

import pytest

from broker_api.errors import OrderUncertainError
from papertape.watching.watch import Watch, on_loop
from tests.venues.adapter import assert_books_agree, faults, live_suite, until
from tests.venues.local_venue import local_venue
from tests.watching.stage import PATIENCE_SECONDS


def test_a_live_session_is_watched_and_its_kill_switch_leaves_nothing_at_the_venue():
    async def main(venue):
        async with live_suite(venue) as suite:
            watch = Watch(suite, on_loop(asyncio.get_running_loop()), mode="live")
            orders = suite["ETH"].orders
            await orders.place_limit_order("ETH", "buy", 0.2, 1100)
            await orders.place_bracket_order(
                "ETH", "buy", 0.5, stop_offset=1000, target_offset=1000
            )
            await until(lambda: len(watch.snapshot()["orders"]) == 3)
            await until(lambda: watch.snapshot()["health"].get("feed_age_ms") is not None)
            shown = await asyncio.to_thread(watch.snapshot)
            assert (shown["session"]["mode"], shown["session"]["broker"]) == ("live", "hyperliquid")
            assert shown["positions"][0]["size"] == 0.5
            assert shown["instruments"][0]["quote"]["bid"] > 0

            def operate():
                refused = watch.request("cancel", order_id=99).result(PATIENCE_SECONDS)
                return refused, watch.request("kill", flatten=True).result(PATIENCE_SECONDS)

            refused, killed = await asyncio.to_thread(operate)
            assert not refused.is_done
            assert killed.failures == ()
            await until(lambda: suite.session.ledger.positions[0].lots == 0)
            await until(lambda: watch.snapshot()["orders"] == [])
            assert "kill switch" in watch.snapshot()["risk"]["halted"]
            await assert_books_agree(suite, venue)
        assert watch.snapshot()["session"]["ended"]

    with local_venue() as venue:
        asyncio.run(main(venue))


def test_an_order_of_which_nobody_knows_is_shown_as_uncertain():
    async def main(venue):
        async with live_suite(venue) as suite:
            watch = Watch(suite, on_loop(asyncio.get_running_loop()), mode="live")
            await faults(venue, {"kind": "drop_before", "match": "order"})
            with pytest.raises(OrderUncertainError):
                await suite["ETH"].orders.place_limit_order("ETH", "buy", 0.2, 1100)
            (order,) = watch.snapshot()["orders"]
            assert (order["order_id"], order["status"]) == (1, "uncertain")
            await until(lambda: watch.snapshot()["health"].get("uncertain") == [1])
            lines = [each for each in watch.snapshot()["log"] if each["level"] == "warn"]
            assert lines[0]["text"].startswith("order 1 uncertain: buy")

    with local_venue() as venue:
        asyncio.run(main(venue))
