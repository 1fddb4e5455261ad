"""Leverage, margin, agents, transfers and the dead man's switch of the local venue, by the SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from eth_account import Account
from hyperliquid.utils.signing import get_timestamp_ms

from sim.venues.hyperliquid.engine import Options
from tests.venues.local_venue import ETH, KEYS, Local, Trader, local_venue

DONE = {"status": "ok", "response": {"type": "default"}}


@pytest.fixture
def venue() -> Iterator[Local]:
    with local_venue() as found:
        yield found


def refused(text: str) -> dict[str, str]:
    return {"status": "err", "response": text}


# --- leverage -------------------------------------------------------------------------------------


def test_leverage_is_set_and_seen_while_flat(venue: Local) -> None:
    trader = venue.trader
    asked = {"type": "activeAssetData", "user": trader.address, "coin": "ETH"}
    assert trader.info.post("/info", asked)["leverage"] == {"type": "cross", "value": 20}
    assert trader.exchange.update_leverage(21, "ETH") == DONE
    assert trader.exchange.update_leverage(5, "BTC", is_cross=False) == DONE
    assert trader.info.post("/info", asked)["leverage"] == {"type": "cross", "value": 21}
    asked["coin"] = "BTC"
    found = trader.info.post("/info", asked)
    assert found["leverage"] == {"type": "isolated", "value": 5, "rawUsd": "0.0"}
    assert found["availableToTrade"] == ["10000.0", "10000.0"]
    assert found["maxTradeSzs"] == ["0.526", "0.526"]


def test_leverage_decides_what_can_be_opened(venue: Local) -> None:
    trader = venue.trader
    trader.exchange.update_leverage(5, "ETH")
    assert "error" in trader.limit(True, 17, 3010)
    assert "filled" in trader.limit(True, 16, 3010)
    state = trader.info.user_state(trader.address)
    assert state["marginSummary"]["totalMarginUsed"] == "9600.0"
    text = "Cross position does not have sufficient margin available to decrease leverage."
    assert trader.exchange.update_leverage(4, "ETH") == refused(text)
    assert trader.exchange.update_leverage(10, "ETH") == DONE
    assert trader.info.user_state(trader.address)["marginSummary"]["totalMarginUsed"] == "4800.0"


def test_leverage_that_makes_no_sense_is_refused(venue: Local) -> None:
    trader = venue.trader
    assert trader.exchange.update_leverage(26, "ETH") == refused("Invalid leverage value")
    assert trader.exchange.update_leverage(0, "ETH") == refused("Invalid leverage value")
    trader.limit(True, 0.1, 3010)
    text = "Cannot switch leverage type with open position."
    assert trader.exchange.update_leverage(20, "ETH", is_cross=False) == refused(text)


def test_an_isolated_position_stands_on_its_own_margin(venue: Local) -> None:
    trader = venue.trader
    text = "Position does not use isolated margin."
    assert trader.exchange.update_isolated_margin(1, "ETH") == refused(text)
    trader.exchange.update_leverage(10, "ETH", is_cross=False)
    trader.limit(True, 1, 3010)
    before = position(trader)
    assert before["leverage"]["type"] == "isolated"
    assert Decimal(before["marginUsed"]) == Decimal("299.91")  # 300.01 less the spread's loss
    assert trader.exchange.update_isolated_margin(100, "ETH") == DONE
    after = position(trader)
    assert Decimal(after["marginUsed"]) - Decimal(before["marginUsed"]) == 100
    assert Decimal(after["liquidationPx"]) < Decimal(before["liquidationPx"]) - 100
    assert trader.exchange.update_isolated_margin(-99, "ETH") == DONE
    assert Decimal(position(trader)["marginUsed"]) - Decimal(before["marginUsed"]) == 1
    assert trader.exchange.update_isolated_margin(-100, "ETH")["status"] == "err"
    assert trader.exchange.update_isolated_margin(100_000, "ETH")["status"] == "err"
    assert Decimal(position(trader)["marginUsed"]) - Decimal(before["marginUsed"]) == 1


def position(trader: Trader, coin: str = "ETH") -> dict[str, Any]:
    state = trader.info.user_state(trader.address)
    found = [each["position"] for each in state["assetPositions"]]
    return next(each for each in found if each["coin"] == coin)


def test_an_isolated_position_is_liquidated_alone_where_the_venue_said(venue: Local) -> None:
    trader = venue.trader
    trader.exchange.update_leverage(25, "ETH", is_cross=False)
    trader.limit(True, 10, 3010)
    trader.exchange.market_open("BTC", True, 0.01)
    price = Decimal(position(trader)["liquidationPx"])
    venue.price(int(price) + 1)
    assert trader.position() == 10
    venue.price(int(price))
    assert (trader.position(), trader.position("BTC")) == (0, Decimal("0.01"))


# --- funding --------------------------------------------------------------------------------------


def test_funding_is_paid_and_told() -> None:
    from sim.venues.sources import synthetic_source

    source = synthetic_source(ETH, seed=1, hours=1.1, price=Decimal(3000))
    with local_venue([source]) as venue:
        trader = venue.trader
        trader.exchange.market_open("ETH", True, 1)
        venue.control("/advance", until="end")
        paid = trader.info.user_funding_history(trader.address, 0)
        assert len(paid) == 1
        delta = paid[0]["delta"]
        assert (delta["coin"], delta["szi"], delta["fundingRate"]) == ("ETH", "1.0", "0.0000125")
        history = trader.info.funding_history("ETH", 0)
        assert [entry["time"] for entry in history] == [paid[0]["time"]]
        assert paid[0]["time"] % 3_600_000 == 0
        mark = -Decimal(delta["usdc"]) / Decimal("0.0000125")
        assert abs(mark - 3000) < 100
        shown = position(trader)["cumFunding"]
        assert shown["sinceOpen"] == shown["allTime"] == delta["usdc"].removeprefix("-")


# --- agents ---------------------------------------------------------------------------------------


def test_an_agent_trades_for_its_master_until_another_takes_its_place(venue: Local) -> None:
    trader = venue.trader
    answer, key = trader.exchange.approve_agent()
    assert answer == DONE
    agent = venue.agent(key, trader.address)
    assert "resting" in agent.limit(True, 0.1, 2000)
    assert len(trader.open_oids()) == 1
    role = trader.info.user_role(agent.wallet.address)
    assert role == {"role": "agent", "data": {"user": trader.address.lower()}}
    assert trader.info.extra_agents(trader.address) == []
    trader.exchange.approve_agent()
    answer = agent.exchange.cancel("ETH", trader.open_oids()[0])
    address = agent.wallet.address.lower()
    assert answer == refused(f"Must deposit before performing actions. User: {address}")
    assert len(trader.open_oids()) == 1


def test_named_agents_are_listed_and_limited(venue: Local) -> None:
    trader = venue.trader
    keys = [trader.exchange.approve_agent(f"agent {number}")[1] for number in range(3)]
    listed = trader.info.extra_agents(trader.address)
    assert [agent["name"] for agent in listed] == ["agent 0", "agent 1", "agent 2"]
    full = trader.exchange.approve_agent("agent 3")[0]
    text = "Too many extra agents for cumulative volume traded. Current limit is 3"
    assert full == refused(text)
    assert trader.exchange.approve_agent("agent 1")[0] == DONE
    assert "resting" in venue.agent(keys[2], trader.address).limit(True, 0.1, 2000)
    too_long = trader.exchange.approve_agent("a name of more than sixteen")[0]
    assert too_long["status"] == "err"


def test_an_agent_works_until_its_time(venue: Local) -> None:
    trader = venue.trader
    until = get_timestamp_ms() + 60_000
    answer, key = trader.exchange.approve_agent(f"short valid_until {until}")
    assert answer == DONE
    assert trader.info.extra_agents(trader.address)[0]["validUntil"] == until
    agent = venue.agent(key, trader.address)
    assert "resting" in agent.limit(True, 0.1, 2000)
    venue.wall.ahead_s = 61
    answer = agent.exchange.cancel("ETH", 1)
    address = agent.wallet.address.lower()
    assert answer == refused(f"User or API Wallet {address} does not exist.")


def test_an_agent_has_no_account_of_its_own(venue: Local) -> None:
    trader = venue.trader
    _, key = trader.exchange.approve_agent()
    agent = venue.agent(key)
    answer = agent.exchange.usd_class_transfer(1, to_perp=False)
    address = agent.wallet.address.lower()
    assert answer == refused(f"Must deposit before performing actions. User: {address}")
    assert agent.info.user_state(agent.wallet.address)["assetPositions"] == []


def test_a_key_cannot_serve_two_masters(venue: Local) -> None:
    first, second = venue.trader, venue.another()
    _, key = first.exchange.approve_agent()
    address = Account.from_key(key).address
    timestamp = get_timestamp_ms()
    from hyperliquid.utils.signing import sign_agent

    action = {
        "type": "approveAgent",
        "agentAddress": address,
        "agentName": "",
        "nonce": timestamp,
    }
    signature = sign_agent(second.wallet, action, is_mainnet=False)
    answer = second.exchange._post_action(action, signature, timestamp)
    assert answer == refused("Extra agent already used.")


# --- dollars --------------------------------------------------------------------------------------


def test_dollars_go_to_the_spot_account_and_back(venue: Local) -> None:
    trader = venue.trader
    assert trader.exchange.usd_class_transfer(1.23, to_perp=False) == DONE
    assert trader.info.spot_user_state(trader.address)["balances"][0]["total"] == "1.23"
    assert trader.info.user_state(trader.address)["withdrawable"] == "9998.77"
    assert trader.exchange.usd_class_transfer(2, to_perp=True)["status"] == "err"
    assert trader.exchange.usd_class_transfer(99_999, to_perp=False)["status"] == "err"
    assert trader.exchange.usd_class_transfer(1.23, to_perp=True) == DONE
    assert trader.info.spot_user_state(trader.address)["balances"] == []
    updates = trader.info.user_non_funding_ledger_updates(trader.address, 0)
    kinds = [(entry["delta"]["type"], entry["delta"]["usdc"]) for entry in updates]
    assert kinds == [
        ("deposit", "10000.0"),
        ("accountClassTransfer", "1.23"),
        ("accountClassTransfer", "1.23"),
    ]


def test_money_that_margin_needs_cannot_leave(venue: Local) -> None:
    trader = venue.trader
    trader.limit(True, 60, 3010)
    state = venue.engine.venue.exchange.state_hash
    assert trader.exchange.usd_class_transfer(5_000, to_perp=False)["status"] == "err"
    assert venue.engine.venue.exchange.state_hash == state


def test_the_faucet_opens_accounts_until_none_is_left(venue: Local) -> None:
    newcomer = Account.from_key("0x" + "77" * 32).address
    assert venue.control("/faucet", user=newcomer, amount="12.5")["cash"] == "12.5"
    assert venue.control("/faucet", user=newcomer.lower(), amount=1)["cash"] == "13.5"
    for number in range(7):
        venue.control("/faucet", user=f"0x{number:040x}", amount=1)
    full = venue.raw_control("/faucet", body=json.dumps({"user": f"0x{99:040x}", "amount": 1}))
    assert full.status_code == 400
    assert "all 16 accounts" in full.json()["error"]


def test_a_builder_needs_its_fee_approved(venue: Local) -> None:
    trader = venue.trader
    builder = Account.from_key(KEYS[3]).address
    terms = {"limit": {"tif": "Gtc"}}
    fee = {"b": builder, "f": 10}
    answer = trader.exchange.order("ETH", True, 0.1, 2000, terms, builder=fee)
    assert trader.statuses(answer) == [{"error": "Builder fee has not been approved"}]
    assert trader.exchange.approve_builder_fee(builder, "0.01%") == DONE
    asked = {"type": "maxBuilderFee", "user": trader.address, "builder": builder}
    assert trader.info.post("/info", asked) == 10
    answer = trader.exchange.order("ETH", True, 0.1, 2000, terms, builder=fee)
    assert "resting" in trader.statuses(answer)[0]
    assert trader.exchange.approve_builder_fee(builder, "1%")["status"] == "err"


# --- the dead man's switch ------------------------------------------------------------------------


def test_scheduled_cancels_end_everything_at_their_time_by_the_wall(venue: Local) -> None:
    trader = venue.trader
    trader.limit(True, 0.5, 3010)
    trader.limit(True, 0.1, 2000)
    trader.trigger(False, 0.5, 2700, 2900, "sl")
    oids = trader.open_oids()
    when = get_timestamp_ms() + 10_000
    assert trader.exchange.schedule_cancel(when) == DONE
    venue.wall.ahead_s = 9
    assert trader.open_oids() == oids
    venue.wall.ahead_s = 10.5
    assert trader.open_oids() == []
    assert [trader.status(oid) for oid in oids] == ["scheduledCancel"] * 2
    assert trader.position() == Decimal("0.5")


def test_a_scheduled_cancel_can_be_taken_back_and_must_be_ahead(venue: Local) -> None:
    trader = venue.trader
    trader.limit(True, 0.1, 2000)
    soon = trader.exchange.schedule_cancel(get_timestamp_ms() + 4_000)
    assert soon["status"] == "err"
    trader.exchange.schedule_cancel(get_timestamp_ms() + 6_000)
    assert trader.exchange.schedule_cancel(None) == DONE
    venue.wall.ahead_s = 60
    assert len(trader.open_oids()) == 1


def test_the_switch_fires_ten_times_a_day(venue: Local) -> None:
    trader = venue.trader
    for number in range(10):
        when = get_timestamp_ms() + int(venue.wall.ahead_s * 1000) + 5_500
        assert trader.exchange.schedule_cancel(when) == DONE, number
        venue.wall.ahead_s += 6
        trader.open_oids()
    when = get_timestamp_ms() + int(venue.wall.ahead_s * 1000) + 5_500
    text = "Too many scheduled cancels triggered for the day. Limit is 10"
    assert trader.exchange.schedule_cancel(when) == refused(text)


def test_the_live_venues_volume_gate_can_be_asked_for() -> None:
    options = Options(schedule_volume_nanos=1_000_000 * 1_000_000_000)
    with local_venue(options=options) as venue:
        answer = venue.trader.exchange.schedule_cancel(get_timestamp_ms() + 10_000)
        assert answer["response"].startswith("Cannot set scheduled cancel time until enough volume")
