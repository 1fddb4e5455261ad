"""Account rules in sessions over the simulated exchange: what is refused, closed, told, kept."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from broker_api.catalog import find, load_catalog
from broker_api.config import AccountConfig, BrokerSpec, SimulationConfig
from broker_api.errors import (
    AccountHaltedError,
    ConfigurationError,
    RateLimited,
    RiskLimitError,
)
from broker_api.event import SESSION_KINDS, EventKind, RiskHalted, encode
from papertape import TradingSuite, run
from papertape.sync import TradingSuite as SyncSuite
from sim.broker import SimBroker
from sim.funds import Deposit
from tests.sim.market import tape_of

MNQ = replace(find(load_catalog(), "MNQ"), calendar="24/7")
SECOND = 1_000_000_000
CALM = ("0 84000", "3600 84000")
FALL = ("0 84000", "100 84000", "200 83900", "300 83800", "3600 83800")
"""Seconds and bids in ticks of half a unit of money; the ask is one tick above, sizes are 50."""


def tape(*rows):
    lines = []
    for row in rows:
        second, _, what = row.partition(" ")
        if what.isdigit():
            row = f"{int(second) * SECOND} 50x{what} {int(what) + 1}x50"
        elif what in ("halt", "resume"):
            row = f"{int(second) * SECOND} {what}"
        lines.append(row)
    return tape_of(lines, symbol="MNQ")


def play(strategy, risk, *, rows=CALM, latency_ms=1.0, state=None, account="SIM", broker=SimBroker):
    """Run `strategy(suite, orders)` under the rules; returns its result and the suite."""

    async def main():
        played = tape(*rows)
        settings = SimulationConfig(
            entry_latency_ms=latency_ms, response_latency_ms=latency_ms, queue="front"
        )
        spec = BrokerSpec((MNQ,), (played,), settings, AccountConfig(name=account))
        venue = broker(spec, [played])
        suite = await TradingSuite.create("MNQ", broker=venue, risk=risk, risk_state=state)
        async with suite:
            return await strategy(suite, suite["MNQ"].orders), suite

    return run(main())


def told(suite):
    """The rules' events of the journal: kind, and seconds since the tape's start."""
    return [
        (EventKind(int(row["kind"])).name.removeprefix("RISK_").lower(), int(row["ts_ns"]) / SECOND)
        for row in suite.session.journal.events()
        if row["kind"] in SESSION_KINDS
    ]


def lots(suite):
    return suite.session.ledger.positions[0].lots


def test_a_daily_loss_cancels_closes_tells_and_halts():
    async def strategy(suite, orders):
        heard = []
        await suite.on("risk", heard.append)
        await orders.place_bracket_order("MNQ", 0, 4, stop_offset=100, target_offset=100)
        resting = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await asyncio.sleep(250)
        with pytest.raises(
            AccountHaltedError, match=r"daily_loss: lost .* halted until 1970-01-02"
        ):
            await orders.place_limit_order("MNQ", 0, 1, 20_000)
        return heard, await orders.get_order(resting), await orders.get_orders("pending")

    # four lots lose 2 a tick: 100 ticks lower that is 200, and a little
    (heard, resting, working), suite = play(strategy, {"daily_loss": {"limit": 150}}, rows=FALL)
    assert [type(each) for each in heard[:1]] == [RiskHalted]
    assert suite.risk.describe(heard[0]).startswith("daily_loss: lost 20")
    assert lots(suite) == 0
    assert working == []
    assert resting.status == "cancelled"
    halted, refused = told(suite)
    assert (halted[0], refused[0]) == ("halted", "refused")
    assert 200 <= halted[1] <= 201
    assert "halted until" in suite.risk.halted
    close = next(o for o in suite.session.ledger.orders.values() if o.tag == "risk daily_loss")
    assert close.reduce_only


def test_open_profit_and_loss_is_looked_at_every_check_seconds():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 4)
        await asyncio.sleep(3000)

    for seconds in (1.0, 7.0, 60.0):
        rules = {"daily_loss": {"limit": 150}, "check_seconds": seconds}
        _, suite = play(strategy, rules, rows=FALL)
        ((kind, when),) = told(suite)
        assert kind == "halted"
        assert 200 <= when <= 200 + seconds


def test_what_reduces_passes_a_halted_account():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 4)
        with pytest.raises(RiskLimitError, match="order_rate: 2 orders within a minute"):
            await orders.place_market_order("MNQ", 0, 1)
        first = await orders.place_market_order("MNQ", 1, 1)  # plain, and less than is held
        second = await orders.reduce_position("MNQ", percentage=0.34)
        return first.status, second.success

    rules = {"order_rate": {"limit": 1, "action": "refuse"}}
    (first, second), suite = play(strategy, rules)
    assert first in ("open", "filled")
    assert second
    assert lots(suite) == 2


def test_contracts_count_working_orders_and_changes_under_way():
    async def strategy(suite, orders):
        resting = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        change = asyncio.ensure_future(orders.modify_order(resting, size=3))
        await asyncio.sleep(0)  # sent, not answered
        with pytest.raises(RiskLimitError, match="could come to 4 contracts, the limit is 3"):
            await orders.place_limit_order("MNQ", 0, 1, 20_000)
        await orders.place_limit_order("MNQ", 1, 3, 22_000)  # the other side: not both
        await change
        with pytest.raises(RiskLimitError, match="could come to 4 contracts"):
            await orders.modify_order(resting, size=4)
        await orders.modify_order(resting, size=1)
        await orders.place_limit_order("MNQ", 0, 2, 20_000)

    _, suite = play(strategy, {"contracts": {"limit": 3}})
    assert [kind for kind, _ in told(suite)] == ["refused", "refused"]


def test_plain_orders_that_together_would_turn_the_position_round_are_not_all_reducing():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 2)
        await orders.place_limit_order("MNQ", 1, 2, 22_000)
        with pytest.raises(RiskLimitError, match="could come to 4 contracts"):
            await orders.place_limit_order("MNQ", 1, 2, 22_000)
        await orders.place_limit_order("MNQ", 1, 2, 22_000, reduce_only=True)

    play(strategy, {"contracts": {"limit": 2}})


def test_micros_count_as_their_weight():
    async def strategy(suite, orders):
        await orders.place_limit_order("MNQ", 0, 50, 20_000)
        with pytest.raises(RiskLimitError, match=r"could come to 5\.1 contracts, the limit is 5"):
            await orders.place_limit_order("MNQ", 0, 1, 20_000)

    play(strategy, {"contracts": {"limit": 5, "weights": {"MNQ": 0.1}}})


def test_the_price_band_holds_for_new_orders_changes_and_stop_limits():
    async def strategy(suite, orders):
        order = await orders.place_limit_order("MNQ", 0, 1, 20_990)
        with pytest.raises(RiskLimitError, match=r"20979\.00 of MNQ is too far .* ends at 20980"):
            await orders.place_limit_order("MNQ", 0, 1, 20_979)
        with pytest.raises(RiskLimitError, match="price_band"):
            await orders.modify_order(order, limit_price=20_970)
        await orders.place_stop_limit_order("MNQ", 0, 1, 21_500, 21_510)
        with pytest.raises(RiskLimitError, match="price_band"):
            orders.nowait.place_limit_order("MNQ", 0, 1, 20_000)
        await orders.place_market_order("MNQ", 0, 1)

    _, suite = play(strategy, {"price_band": {"ticks": 80}})
    assert suite.session.counters[0].denied == 2


def test_a_day_is_flat_from_its_time_on_and_the_next_one_trades_again():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 1)
        await asyncio.sleep(1900)
        before = lots(suite)
        with pytest.raises(RiskLimitError, match="flat from 1970-01-01T00:30:00"):
            await orders.place_market_order("MNQ", 0, 1)
        await asyncio.sleep(1000)
        await orders.place_market_order("MNQ", 0, 1)
        await asyncio.sleep(1)
        return before, lots(suite)

    rules = {"flat_by": {"at": "00:30"}, "day": {"ends": "00:45"}}
    (before, after), suite = play(strategy, rules)
    assert (before, after) == (0, 1)
    assert told(suite) == [("flattened", 1800), ("refused", 1900.002), ("lifted", 2700)]


def test_an_order_that_fills_while_the_account_is_halted_is_closed():
    async def strategy(suite, orders):
        orders.nowait.place_market_order("MNQ", 0, 3)
        with pytest.raises(RiskLimitError, match="order_rate: 2 orders"):
            orders.nowait.place_market_order("MNQ", 0, 1)
        assert lots(suite) == 0  # the first is under way
        await asyncio.sleep(10)
        return suite.session.ledger.orders[1].filled_lots

    rules = {"order_rate": {"limit": 1, "action": "halt"}}
    filled, suite = play(strategy, rules, latency_ms=300.0)
    assert filled == 3
    assert lots(suite) == 0


def test_the_kill_switch_file_halts(tmp_path):
    switch = tmp_path / "STOP"

    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 2)
        await asyncio.sleep(10)
        switch.touch()
        await asyncio.sleep(3)
        switch.unlink()
        with pytest.raises(AccountHaltedError, match=r"kill switch is on.* halted for good"):
            await orders.place_market_order("MNQ", 0, 2)

    _, suite = play(strategy, {"kill_switch": {"file": str(switch)}})
    assert lots(suite) == 0
    assert [kind for kind, _ in told(suite)] == ["halted", "refused"]


async def lose(suite, orders):
    await orders.place_market_order("MNQ", 0, 4)
    await asyncio.sleep(3000)


async def stay(suite, orders):
    with pytest.raises(AccountHaltedError, match="for good"):
        await orders.place_market_order("MNQ", 0, 1)


def test_a_halt_survives_a_restart_by_table_and_by_file(tmp_path):
    rules = {"trailing_drawdown": {"limit": 150}}
    _, suite = play(lose, rules, rows=FALL)
    table = json.loads(json.dumps(suite.risk.export()))
    play(stay, rules, state=table)
    file = tmp_path / "risk.json"
    play(lose, rules, rows=FALL, state=file)
    assert json.loads(file.read_text()) == table
    play(stay, rules, state=file)
    assert [path.name for path in tmp_path.iterdir()] == ["risk.json"]


def test_a_state_that_is_damaged_or_anothers_is_refused(tmp_path):
    rules = {"trailing_drawdown": {"limit": 150}}
    _, suite = play(lose, rules, rows=FALL)
    with pytest.raises(ConfigurationError, match="of account 'SIM', this session's is 'OTHER'"):
        play(stay, rules, state=suite.risk.export(), account="OTHER")
    for number, text in enumerate(('{"version": 2}', "[]", '{"version', '{"version": 1}')):
        file = tmp_path / f"{number}.json"
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=r"json: .*nothing is traded until it is men"):
            play(stay, rules, state=file)


def test_how_the_account_stands_to_its_rules():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 4)
        await asyncio.sleep(250)
        return suite.risk.status()

    rules = {"daily_loss": {"limit": 900}, "trailing_drawdown": {"limit": 2000}}
    rules |= {"contracts": {"limit": 5.5}, "order_rate": {"limit": 10}}
    (drawdown, loss, contracts, rate), suite = play(strategy, rules, rows=FALL)
    assert contracts == ("contracts", "4", "5.5", "refuse", False, 4 / 5.5)
    assert rate == ("order_rate", "0", "10", "refuse", False, 0.0)
    assert (drawdown.rule, drawdown.limit) == ("trailing_drawdown", "48000.00")
    assert (loss.rule, loss.value, loss.is_broken) == ("daily_loss", "203.48", False)
    assert loss.used == pytest.approx(203.48 / 900)
    assert drawdown.used == pytest.approx(203.48 / 2000)
    assert told(suite) == []


def test_a_kill_switch_pressed_by_hand_closes_cancels_and_refuses_without_any_rule():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 4)
        await orders.place_limit_order("MNQ", 0, 1, 20_000)
        suite.risk.kill(flatten=True)
        suite.risk.kill(flatten=True)
        assert await suite.risk.settled(timeout=10)
        with pytest.raises(
            AccountHaltedError, match="the kill switch is on; the account is halted for good"
        ):
            await orders.place_market_order("MNQ", 0, 1)
        assert suite.risk.export()["halts"].keys() == {"kill_switch"}
        return len(suite.session.ledger.working)

    working, suite = play(strategy, None)
    assert (working, lots(suite)) == (0, 0)
    assert [kind for kind, _ in told(suite)] == ["halted", "refused"]


def test_a_kill_switch_may_keep_positions_until_it_is_pressed_for_them_too():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 4)
        suite.risk.kill(flatten=False)
        await asyncio.sleep(100)
        held, exported = lots(suite), suite.risk.export()
        with pytest.raises(AccountHaltedError):
            await orders.place_market_order("MNQ", 0, 1)
        await orders.reduce_position("MNQ", percentage=0.5)
        suite.risk.kill(flatten=True)
        await suite.risk.settled(timeout=10)
        return held, exported

    (held, exported), suite = play(strategy, {"daily_loss": {"limit": 900}})
    assert (held, lots(suite)) == (4, 0)
    assert [kind for kind, _ in told(suite)] == ["halted", "refused", "flattened"]

    async def stay(suite, orders):
        await asyncio.sleep(10)
        with pytest.raises(AccountHaltedError):
            await orders.place_market_order("MNQ", 0, 1)
        return suite.risk.export()["keeps_positions"]

    assert play(stay, {"daily_loss": {"limit": 900}}, state=exported)[0] is True


def test_without_rules_nothing_is_watched_and_the_state_is_empty():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 4)
        return suite.risk.export(), suite.risk.halted, suite.risk.status()

    assert play(strategy, None)[0] == ({}, None, [])


def test_a_state_needs_rules():
    with pytest.raises(ConfigurationError, match="risk_state"):
        play(stay, None, state={})


HALTED = ("0 84000", "100 84000", "210 83800", "211 halt", "270 resume", "271 83790", "3600 83790")


def test_a_close_that_the_market_refuses_is_tried_again_until_it_is_done():
    async def strategy(suite, orders):
        await orders.place_market_order("MNQ", 0, 4)
        await asyncio.sleep(260)
        held = lots(suite)
        await asyncio.sleep(300)
        return held

    # the first look behind the fall comes when the market is halted already
    rules = {"daily_loss": {"limit": 150}, "check_seconds": 50}
    held, suite = play(strategy, rules, rows=HALTED)
    assert held == 4
    assert lots(suite) == 0
    assert any("market of MNQ is halted" in note for note in suite.risk.notes)


class Refusing(SimBroker):
    """Changes do not leave it."""

    async def replace(self, request):
        raise RateLimited("not now")


def test_a_change_that_was_not_sent_counts_no_longer():
    async def strategy(suite, orders):
        resting = await orders.place_limit_order("MNQ", 0, 1, 20_000)
        with pytest.raises(RateLimited):
            await orders.modify_order(resting, size=3)
        await orders.place_limit_order("MNQ", 0, 2, 20_000)

    play(strategy, {"contracts": {"limit": 3}}, broker=Refusing)


class Paying(SimBroker):
    """Money comes and goes, and is told of at once."""

    async def connect(self, on_event):
        self.sink = on_event
        return await super().connect(on_event)

    def pay(self, nanos):
        for event in self.exchange.change_funds(Deposit(nanos)):
            self.sink(encode(event), self.clock.now_ns())


def test_a_withdrawal_lowers_every_level():
    async def strategy(suite, orders):
        suite.session.broker.pay(-900 * SECOND)
        await orders.place_market_order("MNQ", 0, 1)
        return suite.account.equity, suite.risk.halted

    (equity, halted), suite = play(strategy, {"trailing_drawdown": {"limit": 500}}, broker=Paying)
    assert equity < 49_100
    assert halted is None
    assert suite.risk.export()["start_nanos"] == 49_100 * SECOND


def test_without_two_sides_the_band_is_measured_from_the_last_print():
    async def strategy(suite, orders):
        await asyncio.sleep(5)
        assert suite["MNQ"].data.last_quote.ask is None
        await orders.place_limit_order("MNQ", 0, 1, 21_004)
        with pytest.raises(RiskLimitError, match="price_band"):
            await orders.place_limit_order("MNQ", 0, 1, 20_990)

    rows = ["0 50x84000 84001x50", f"{SECOND} sell 1@84020 5x84000 -", f"{60 * SECOND} 5x84000 -"]
    play(strategy, {"price_band": {"ticks": 30}}, rows=rows)


def test_the_face_without_await_has_the_rules():
    with SyncSuite.create(["MNQ"], risk={"daily_loss": {"limit": 5}}) as suite:
        suite["MNQ"].orders.place_market_order("MNQ", "buy", 9)
        suite.sleep(300)
        assert "daily_loss" in suite.risk.halted
        assert suite.risk.status()[0].is_broken
