"""Leverage, isolated margin, agents, builders' fees, and dollars between the two accounts."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from broker_api.errors import FundsError
from broker_api.hyperliquid.wire.actions import (
    ApproveAgentAction,
    ApproveBuilderFeeAction,
    UpdateIsolatedMarginAction,
    UpdateLeverageAction,
    UsdClassTransferAction,
)
from broker_api.hyperliquid.wire.answers import ActionRefused, Answer, Done
from broker_api.hyperliquid.wire.numbers import parse_number, response_text
from broker_api.hyperliquid.wire.texts import Refusal, write
from sim.funds import MoveMargin, SetLeverage
from sim.venues.hyperliquid.records import Agent, User, nanos_of

if TYPE_CHECKING:
    from sim.venues.hyperliquid.engine import HyperliquidEngine

NAMED_AGENTS_MAX = 3
AGENT_NAME_MAX = 16
_DAY_MS = 86_400_000
AGENT_DAYS = 90
AGENT_DAYS_MAX = 180
NO_ADDRESS = "0x" + "0" * 40
_UNTIL = re.compile(r"(.*) valid_until ([0-9]{1,15})", re.DOTALL | re.ASCII)
_MICROS_NANOS = 1_000
_BUILDER_RATE_MAX = Decimal("0.1")
"""Percent, of perpetuals."""


# --- leverage -------------------------------------------------------------------------------------


def update_leverage(engine: HyperliquidEngine, user: User, action: UpdateLeverageAction) -> Answer:
    """Set leverage and margin mode of a coin."""
    asset = engine.universe.by_id(action.asset)
    if asset is None:
        return ActionRefused(write(Refusal.UNKNOWN_ASSET, id=action.asset))
    if not 1 <= action.leverage <= asset.max_leverage:
        return ActionRefused(write(Refusal.LEVERAGE))
    setting = user.settings[asset.index]
    if user.positions[asset.index].lots and action.is_cross != setting.is_cross:
        return ActionRefused(write(Refusal.LEVERAGE_MODE))
    try:
        change = SetLeverage(asset.coin, action.leverage, isolated=not action.is_cross)
        engine.venue.change_funds(change, user.account)
    except FundsError:
        lacking = Refusal.LEVERAGE_CROSS if setting.is_cross else Refusal.LEVERAGE_ISOLATED
        return ActionRefused(write(lacking))
    setting.leverage, setting.is_cross = action.leverage, action.is_cross
    return Done()


def update_isolated_margin(
    engine: HyperliquidEngine, user: User, action: UpdateIsolatedMarginAction
) -> Answer:
    """Add to, or take from, what an isolated position stands on."""
    asset = engine.universe.by_id(action.asset)
    if asset is None:
        return ActionRefused(write(Refusal.UNKNOWN_ASSET, id=action.asset))
    if user.settings[asset.index].is_cross or not user.positions[asset.index].lots:
        return ActionRefused(write(Refusal.NOT_ISOLATED))
    try:
        change = MoveMargin(asset.coin, action.ntli * _MICROS_NANOS)
        engine.venue.change_funds(change, user.account)
    except FundsError:
        return ActionRefused(write(Refusal.TRANSFER))
    return Done()


# --- agents ---------------------------------------------------------------------------------------


def agent_of(engine: HyperliquidEngine, address: str, wall_ms: int) -> Agent | None:
    """The agent with this address whose time is not over, None when there is none."""
    master = engine.masters.get(address)
    if master is None:
        return None
    agents = [each for each in master.agents.values() if each.address == address]
    return next((each for each in agents if each.valid_until_ms > wall_ms), None)


def approve_agent(engine: HyperliquidEngine, user: User, action: ApproveAgentAction) -> Answer:
    """Let a key act for the user; one of the same name, or the unnamed one, gives way at once."""
    name, until_ms = _agent_name(action.agent_name or "", engine.wall_ms)
    if until_ms is None or len(name) > AGENT_NAME_MAX:
        return ActionRefused(f"Invalid agent name: {name[:AGENT_NAME_MAX]}")
    old = user.agents.get(name)
    if action.agent_address == NO_ADDRESS:
        if old is not None:
            _remove(engine, user, old)
        return Done()
    if action.agent_address in engine.masters or action.agent_address in engine.users:
        return ActionRefused(write(Refusal.AGENT_USED))
    named = [each for each in user.agents if each]
    if name and old is None and len(named) >= NAMED_AGENTS_MAX:
        return ActionRefused(write(Refusal.AGENTS_FULL, limit=NAMED_AGENTS_MAX))
    if old is not None:
        _remove(engine, user, old)
    user.agents[name] = Agent(action.agent_address, name, until_ms)
    engine.masters[action.agent_address] = user
    return Done()


def _agent_name(text: str, wall_ms: int) -> tuple[str, int | None]:
    """The name, and until when it is valid; None for a time that is past or too far."""
    match = _UNTIL.fullmatch(text)
    if match is None:
        return text, wall_ms + AGENT_DAYS * _DAY_MS
    until_ms = int(match[2])
    is_near = wall_ms < until_ms <= wall_ms + AGENT_DAYS_MAX * _DAY_MS
    return match[1], until_ms if is_near else None


def _remove(engine: HyperliquidEngine, user: User, agent: Agent) -> None:
    del user.agents[agent.name], engine.masters[agent.address]
    user.left_agents.add(agent.address)


def approve_builder_fee(
    engine: HyperliquidEngine, user: User, action: ApproveBuilderFeeAction
) -> Answer:
    """Let a builder add a fee of at most this rate; builders get nothing here."""
    digits = action.max_fee_rate.removesuffix("%")
    try:
        rate = parse_number(digits) if digits != action.max_fee_rate else Decimal(-1)
    except ValueError:
        rate = Decimal(-1)
    if not 0 <= rate <= _BUILDER_RATE_MAX:
        return ActionRefused(f"Invalid builder fee rate: {action.max_fee_rate}")
    user.builder_fees[action.builder] = int(rate * 1000)
    return Done()


# --- dollars --------------------------------------------------------------------------------------


def transfer_class(engine: HyperliquidEngine, user: User, action: UsdClassTransferAction) -> Answer:
    """Move dollars between the perpetuals' account and the spot account."""
    try:
        amount = parse_number(action.amount)
        nanos = nanos_of(amount)
    except (ValueError, InvalidOperation):
        return ActionRefused(write(Refusal.TRANSFER))
    if nanos <= 0 or (action.to_perp and nanos > user.spot_nanos):
        return ActionRefused(write(Refusal.TRANSFER))
    try:
        engine.deposit(user, nanos if action.to_perp else -nanos)
    except FundsError:
        return ActionRefused(write(Refusal.TRANSFER))
    user.spot_nanos -= nanos if action.to_perp else -nanos
    delta = {
        "type": "accountClassTransfer",
        "usdc": response_text(amount),
        "toPerp": action.to_perp,
    }
    engine.tell_money(user, delta)
    return Done()
