"""What has to be known before a session begins: which account, which contracts, what is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from broker_api.broker import PositionState, Snapshot
from broker_api.config import near_miss
from broker_api.errors import BrokerError, ConfigurationError
from broker_api.instrument import Instrument
from broker_api.projectx.client import Client
from broker_api.projectx.config import ProjectXConfig
from broker_api.projectx.contracts import Contract, chosen, contract_of, searched, to_nanos
from broker_api.projectx.keeper import signed
from broker_api.projectx.wire.records import Account, Order, Position, Trade

SNAPSHOT_ATTEMPTS = 5


@dataclass(frozen=True)
class Opening:
    """An account at one moment: `trades` are in the snapshot already."""

    snapshot: Snapshot
    trades: tuple[Trade, ...]
    orders: tuple[Order, ...]


def account_of(
    accounts: Sequence[Account], config: ProjectXConfig, environment: Mapping[str, str]
) -> Account:
    """The account to trade on. Raises ConfigurationError.

    By its name, else the first practice account that can trade; one with real money only by its
    name and with both consents.
    """
    wanted = config.account_name(environment)
    names = [each.name for each in accounts]
    if wanted is not None:
        found = [each for each in accounts if each.name.upper() == wanted.strip().upper()]
        if not found:
            hint = near_miss(wanted, names) or f"; there are {', '.join(names) or 'none'}"
            raise ConfigurationError(f"ProjectX has no account {wanted!r} for this user{hint}")
        account = found[0]
        if not account.can_trade:
            raise ConfigurationError(f"account {account.name!r} cannot trade, says the gateway")
        if not account.simulated:
            config.check_real_money(account.name, environment)
        return account
    for each in accounts:
        if each.simulated and each.can_trade:
            return each
    raise ConfigurationError(
        f"no practice account of the user's can trade (accounts: {', '.join(names) or 'none'}); an "
        "account with real money has to be named: account=..."
    )


async def contracts_of(
    client: Client, names: Sequence[str], known: Sequence[Instrument], *, live: bool
) -> list[Contract]:
    """The contracts of these names. Raises ConfigurationError for one that is not traded."""
    found: list[Contract] = []
    for name in names:
        text = searched(name, known)
        record = chosen(text, await client.contracts(text, live=live), known)
        if any(each.id == record.id for each in found):
            raise ConfigurationError(f"instrument {name!r} is named twice")
        found.append(contract_of(record, known))
    return found


async def open_account(
    client: Client, contracts: Sequence[Contract], account: Account, since_ns: int
) -> Opening:
    """The account as it is, with nothing happening between its parts.

    Trades are asked for before and after, until nothing traded in between.
    """
    before = await client.trades_since(since_ns)
    for _ in range(SNAPSHOT_ATTEMPTS):
        positions = await client.positions()
        orders = await client.open_orders()
        accounts = await client.accounts()
        after = await client.trades_since(since_ns)
        if {trade.id for trade in before} == {trade.id for trade in after}:
            now = next((each for each in accounts if each.id == account.id), account)
            return Opening(snapshot_of(now, positions, contracts), after, orders)
        before = after
    raise BrokerError(
        f"the account {account.name} trades so busily elsewhere that its state cannot be read"
    )


def snapshot_of(
    account: Account, positions: Sequence[Position], contracts: Sequence[Contract]
) -> Snapshot:
    """Positions of the session's contracts, and the balance, which is without open profit."""
    held = {each.contract_id: each for each in positions}
    states = []
    for index, contract in enumerate(contracts):
        position = held.get(contract.id)
        if position is not None and position.size:
            cost = signed(position) * position.average_price / contract.spec.tick_size
            rounded = int(Decimal(cost).to_integral_value(ROUND_HALF_EVEN))
            states.append(PositionState(index, signed(position), rounded, 0))
    return Snapshot(account.name, "USD", to_nanos(account.balance), tuple(states))
