"""What is looked at before a scenario trades on a live venue. Each look gives a finding.

Nothing is sent that changes anything, except that the adapter sets the leverage that the scenario's
account names, as it does at every connection.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from broker_api.config import AccountConfig, BrokerSpec, SimulationConfig, near_miss
from broker_api.errors import ConfigurationError, TradingError
from broker_api.instrument import Instrument, from_nanos
from papertape.doctor import Clocks, Finding, Verdict, connection
from scenarios.lint import check_script
from scenarios.live_session import LivePlan
from scenarios.paper_feed import FeedPlan
from scenarios.parameters import literal
from scenarios.scenario import Scenario

BROKERS = ("hyperliquid", "projectx")


@dataclass(frozen=True)
class Seen:
    """The account as the venue tells of it. `orders` are how many work there already."""

    account: str
    currency: str
    cash: float
    positions: tuple[str, ...]
    orders: int
    instruments: tuple[Instrument, ...]

    @property
    def is_flat(self) -> bool:
        """Nothing is open, and nothing works."""
        return not self.positions and not self.orders


def live_plan(
    scenario: Scenario,
    assignments: Mapping[str, str],
    broker: str,
    network: str | None,
    options: Mapping[str, str],
    out: Path | None,
    began_ns: int,
) -> LivePlan:
    """A session as the command line has it. Raises ConfigurationError."""
    if broker not in BROKERS:
        hint = near_miss(broker, BROKERS) or f"; it is one of {', '.join(BROKERS)}"
        raise ConfigurationError(f"--broker {broker or 'is missing'}{hint}")
    own: dict[str, Any] = {key: literal(text) for key, text in options.items()}
    if network is not None:
        own["network"] = network
    shared = own
    if broker == "hyperliquid":
        shared = {key: own[key] for key in ("network", "base_url") if key in own}
        shared.setdefault("network", "testnet")
    began = datetime.fromtimestamp(began_ns / 1e9, UTC)
    folder = out or Path("runs") / f"{scenario.name}-live-{began:%Y%m%d-%H%M%S}"
    feed = FeedPlan(broker, began_ns=began_ns, options=shared)
    return LivePlan(scenario, assignments, broker, own, feed, folder)


def preflight(
    plan: LivePlan, *, without_rules: bool, adopts: bool, clocks: Clocks | None = None
) -> Iterator[Finding]:
    """All looks, each as soon as it is done; none after one that failed for good."""
    found = _rules(plan, without_rules=without_rules)
    yield found
    capabilities = _capabilities(plan)
    yield capabilities
    try:
        address, name = _place(plan)
        yield Finding("credentials", Verdict.OK, f"they have the shape of {name}")
    except TradingError as refusal:
        yield Finding("credentials", Verdict.FAIL, str(refusal))
        return
    is_reached = True
    for each in connection(address, clocks or Clocks()):
        is_reached = is_reached and each.verdict is not Verdict.FAIL
        yield each
    if not is_reached or Verdict.FAIL in (found.verdict, capabilities.verdict):
        return
    try:
        seen = asyncio.run(_looked_at(plan))
    except TradingError as refusal:
        yield Finding("account", Verdict.FAIL, str(refusal))
        return
    yield from _account(seen, adopts=adopts)
    yield from _instruments(plan, seen.instruments)


def _rules(plan: LivePlan, *, without_rules: bool) -> Finding:
    risk = plan.scenario.settings.risk
    if risk is not None:
        return Finding("risk rules", Verdict.OK, "the scenario has some; the venue's own come last")
    if without_rules:
        return Finding("risk rules", Verdict.WARN, "none, as asked for")
    advice = "give the scenario a [risk] table (docs/risk.md), or say --no-risk-rules"
    return Finding("risk rules", Verdict.FAIL, "the scenario has none", advice)


def _capabilities(plan: LivePlan) -> Finding:
    scenario = plan.scenario
    try:
        check_script(scenario.script, scenario.strategy, plan.broker)
    except ConfigurationError as refusal:
        return Finding("capabilities", Verdict.FAIL, str(refusal))
    return Finding("capabilities", Verdict.OK, f"nothing is written that {plan.broker} has not")


def _place(plan: LivePlan) -> tuple[str, str]:
    """Where the venue is, and what its credentials are. Raises TradingError for wrong ones."""
    if plan.broker == "hyperliquid":
        from broker_api.hyperliquid.config import config_of
        from broker_api.hyperliquid.signing import Signer

        config = config_of(plan.options)
        place = config.place(os.environ)
        Signer(config.secret(os.environ).reveal())
        return place.base_url, "a private key"
    from broker_api.projectx.config import config_of as projectx_config_of

    settings = projectx_config_of(plan.options)
    settings.user_name(os.environ)
    settings.secret(os.environ)
    return settings.place(os.environ).api_url, "a user's name and an API key"


async def _looked_at(plan: LivePlan) -> Seen:
    """Connect, look, and go away again."""
    scenario = plan.scenario
    spec = BrokerSpec(
        scenario.instruments,
        tuple(None for _ in scenario.instruments),
        SimulationConfig(),
        scenario.settings.account or AccountConfig(),
        tuple(each.symbol for each in scenario.instruments),
        dict(plan.options),
    )
    broker: Any
    if plan.broker == "hyperliquid":
        from broker_api.hyperliquid.broker import create as create_hyperliquid

        broker = create_hyperliquid(spec)
    else:
        from broker_api.projectx.broker import create as create_projectx

        broker = create_projectx(spec)
    snapshot = await broker.connect(lambda row, ts_ns: None)
    try:
        orders = await broker.live.client.open_orders()
        instruments = tuple(broker.instruments())
    finally:
        await broker.disconnect()
    positions = tuple(
        f"{instruments[each.instrument].format_size(each.position_lots)} "
        f"{instruments[each.instrument].symbol}"
        for each in snapshot.positions
    )
    cash = from_nanos(snapshot.cash_nanos)
    return Seen(snapshot.account, snapshot.currency, cash, positions, len(orders), instruments)


def _account(seen: Seen, *, adopts: bool) -> Iterator[Finding]:
    yield Finding("account", Verdict.OK, f"{seen.account}, {seen.cash:,.2f} {seen.currency}")
    if seen.is_flat:
        yield Finding("account", Verdict.OK, "flat, and no order works")
        return
    held = ", ".join([*seen.positions, *([f"{seen.orders} orders"] if seen.orders else [])])
    advice = "close it first, or say --adopt: the session begins with it, orders stay as they are"
    yield Finding("account", Verdict.WARN if adopts else Verdict.FAIL, f"it has {held}", advice)


def _instruments(plan: LivePlan, there: Sequence[Instrument]) -> Iterator[Finding]:
    sizes = sizes_of(plan.scenario.parameters, plan.assignments)
    for ours, theirs in zip(plan.scenario.instruments, there, strict=True):
        grid = f"tick {theirs.tick_size.normalize():f}, lot {theirs.lot_size.normalize():f}"
        yield Finding("instrument", Verdict.OK, f"{theirs.symbol}: {grid}, {theirs.name}")
        for name, size in sizes.items():
            if size % theirs.lot_size or size < theirs.min_size:
                least = theirs.min_size.normalize()
                yield Finding(
                    "instrument",
                    Verdict.FAIL,
                    f"parameter {name} = {size} is no size of {ours.symbol} there",
                    f"at least {least:f}, in steps of {theirs.lot_size.normalize():f}",
                )


def sizes_of(parameters: Mapping[str, Any], assignments: Mapping[str, str]) -> dict[str, Decimal]:
    """The parameters that are sizes by their name: `size`, and whatever ends in `_size`."""
    found = {}
    for name, value in {**parameters, **assignments}.items():
        if name == "size" or name.endswith("_size"):
            try:
                found[name] = Decimal(str(value))
            except ArithmeticError:
                continue
    return found
