"""What has to be known before a session begins: whose account, which contracts, what is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from broker_api.broker import PositionState, Snapshot
from broker_api.errors import BrokerError, ConfigurationError
from broker_api.hyperliquid.client import Client
from broker_api.hyperliquid.contracts import Contract
from broker_api.hyperliquid.wire.account import BasicOrder, ClearinghouseState, Fill, Funding
from broker_api.instrument import to_nanos

SNAPSHOT_ATTEMPTS = 5
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Opening:
    """An account at one moment: `fills` and `payments` are in the snapshot already."""

    snapshot: Snapshot
    state: ClearinghouseState
    fills: tuple[Fill, ...]
    payments: tuple[Funding, ...]
    orders: tuple[BasicOrder, ...]


async def account_behind(client: Client, signer: str, wanted: str | None) -> str:
    """The address whose account a key acts for. Raises ConfigurationError when there is none."""
    role = await client.role(signer)
    if role.role == "agent":
        found = (role.data or {}).get("user", "").lower()
    elif role.role == "missing":
        raise ConfigurationError(
            f"the key's address {signer} has no account at the venue and acts for none; an account "
            "begins with a deposit, and an API wallet with its approval"
        )
    else:
        found = signer
    if wanted is not None and wanted != found:
        raise ConfigurationError(
            f"the key's address {signer} acts for {found}, not for the account {wanted}"
        )
    return found


async def open_account(client: Client, contracts: Sequence[Contract]) -> Opening:
    """The account as it is, with nothing happening between its parts.

    Fills are asked for before and after, until nothing filled in between.
    """
    before = await client.newest_fills()
    for _ in range(SNAPSHOT_ATTEMPTS):
        state = await client.state()
        orders = await client.open_orders()
        payments = await client.funding_since(max(0, state.time - DAY_MS))
        after = await client.newest_fills()
        if {fill.key for fill in before} == {fill.key for fill in after}:
            snapshot = snapshot_of(client.account, state, contracts)
            return Opening(snapshot, state, after, payments, orders)
        before = after
    raise BrokerError(
        f"the account {client.account} trades so busily elsewhere that its state cannot be read"
    )


def snapshot_of(account: str, state: ClearinghouseState, contracts: Sequence[Contract]) -> Snapshot:
    """Positions of the session's contracts, and the cash beside their open profit.

    What is open in other coins counts as cash, at its value of this moment.
    """
    held = {entry.position.coin: entry.position for entry in state.positions}
    cash = state.margin.account_value
    positions = []
    for index, contract in enumerate(contracts):
        position = held.get(contract.coin)
        if position is None:
            continue
        cash -= position.unrealised_pnl
        value = position.position_value.copy_sign(position.size)
        # The signed entry notional; the entry price that is shown is cut off.
        cost = (value - position.unrealised_pnl) / tick_lot(contract)
        lots = contract.lots(position.size)
        rounded = int(cost.to_integral_value(ROUND_HALF_EVEN))
        positions.append(PositionState(index, lots, rounded, 0))
    return Snapshot(account, "USD", to_nanos(cash), tuple(positions))


def tick_lot(contract: Contract) -> Decimal:
    """Dollars of one tick on one lot."""
    return contract.spec.tick_size * contract.spec.lot_size
