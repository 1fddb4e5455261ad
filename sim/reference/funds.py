"""Deposits, leverage and the margin of isolated positions: changes of money without a trade."""

from __future__ import annotations

from broker_api.config import AccountConfig
from broker_api.errors import ConfigurationError, FundsError
from broker_api.event import AccountChanged, FundsDeposited
from sim.funds import Deposit, FundsChange, MoveMargin, SetLeverage
from sim.reference.account import Account
from sim.reference.floor import Floor
from sim.reference.market import Market


def change_funds(
    floor: Floor, account: Account, config: AccountConfig, change: FundsChange
) -> AccountConfig:
    """Make a change, or raise FundsError before anything is changed; the settings from now on."""
    match change:
        case Deposit(nanos):
            deposit(floor, account, nanos)
        case SetLeverage(symbol):
            return set_leverage(floor, account, config, market_of(floor, symbol), change)
        case MoveMargin(symbol, nanos):
            move_margin(floor, account, market_of(floor, symbol), nanos)
    return config


def market_of(floor: Floor, symbol: str) -> Market:
    """The market of a symbol."""
    for market in floor.markets:
        if market.instrument.symbol == symbol:
            return market
    raise FundsError(f"no {symbol} here", "unknown_instrument")


def deposit(floor: Floor, account: Account, nanos: int) -> None:
    """Cash in, or out as far as it is free."""
    if nanos < 0 and -nanos > max(0, account.free(floor.working)):
        raise FundsError("not free", "insufficient_margin")
    account.cash += nanos
    account.deposits += nanos
    floor.publish(account, FundsDeposited, -1, value=nanos)
    floor.publish(account, AccountChanged, -1, cash_nanos=account.cash, fee_nanos=account.fees)


def set_leverage(
    floor: Floor, account: Account, config: AccountConfig, market: Market, change: SetLeverage
) -> AccountConfig:
    """Other initial rates, and perhaps the other mode, if the money is there for it."""
    index, position = market.index, account.positions[market.index]
    if position.lots and (index in account.isolated) != change.isolated:
        raise FundsError("a position is open", "open_position")
    try:
        wanted = config.with_leverage(market.instrument, change.leverage, isolated=change.isolated)
        wanted.check_instruments([each.instrument for each in floor.markets])
    except ConfigurationError as failure:
        raise FundsError(str(failure), "leverage") from None
    free = account.free(floor.working)
    was = account.tiers[index], set(account.isolated), position.bucket
    account.tiers[index] = wanted.margin_tiers(market.instrument)
    (account.isolated.add if change.isolated else account.isolated.discard)(index)
    if change.isolated:
        initial = account.initial(market, abs(position.lots), account.notional(market))
        position.bucket = max(position.bucket, initial)
    if account.free(floor.working) < min(0, free):
        account.tiers[index], account.isolated, position.bucket = was
        raise FundsError("not free", "insufficient_margin")
    return wanted


def move_margin(floor: Floor, account: Account, market: Market, nanos: int) -> None:
    """Free cash to an isolated position, or what it can spare back."""
    position = account.positions[market.index]
    if market.index not in account.isolated or position.lots == 0:
        raise FundsError("no margin of its own", "not_isolated")
    if nanos > 0 and nanos > max(0, account.free(floor.working)):
        raise FundsError("not free", "insufficient_margin")
    initial = account.initial(market, abs(position.lots), account.notional(market))
    spare = min(position.bucket, account.isolated_equity(market) - initial)
    if nanos < 0 and -nanos > max(0, spare):
        raise FundsError("not spare", "insufficient_margin")
    position.bucket += nanos
