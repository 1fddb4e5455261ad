"""The gateway's state, and what is told to it: requests that change something, and events.

Everything here is a function of the settings and of the inputs (`sim.venues.runner`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from broker_api.config import AccountConfig, SimulationConfig, near_miss
from broker_api.errors import ConfigurationError
from broker_api.event import EventRow
from broker_api.instrument import NANOS, to_nanos
from broker_api.messages import decode
from broker_api.order import Side
from broker_api.projectx.wire import requests
from broker_api.projectx.wire.contracts import front_contract
from broker_api.projectx.wire.enums import OrderType
from sim.funds import Deposit
from sim.venues.projectx import changing, fold, placing
from sim.venues.projectx.records import Account, Holding, Market, News, OrderRecord
from sim.venues.runner import Input
from sim.venues.sources import Source
from sim.venues.venue import Venue

FIRST_ACCOUNT = 1001
_DEPOSIT_MAX = 1_000_000_000


@dataclass(frozen=True)
class AccountSettings:
    """An account at the start: its name, whose it is, and its money in dollars."""

    name: str
    user: str
    cash: Decimal = Decimal(50_000)


@dataclass(frozen=True)
class Options:
    """What is a choice: `signed_brackets` is the live service's rule of brackets' ticks, else only
    their amount counts. Times are shown `shift_ns` later than the market's."""

    signed_brackets: bool = True
    shift_ns: int = 0


@dataclass(eq=False)
class ProjectXEngine:
    """All there is of the gateway but its network. Make it with `make_engine`."""

    venue: Venue
    markets: tuple[Market, ...]
    options: Options
    name: str = "projectx"
    accounts: list[Account] = field(default_factory=list)
    by_contract: dict[str, Market] = field(default_factory=dict)
    orders: dict[int, OrderRecord] = field(default_factory=dict)
    liquidations: dict[tuple[int, int], OrderRecord] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)
    """What subscribers have not heard of yet."""
    ids: int = 9000

    def on_events(self, rows: Sequence[EventRow]) -> None:
        """Take the events of one transaction of the exchange."""
        fold.apply(self, rows)

    def perform(self, entry: Input) -> Any:
        """Do an input: a user's request, whose answer is its envelope, or money."""
        if entry.kind == "faucet":
            return self.give(entry.payload["user"], Decimal(entry.payload["amount"]))
        if entry.kind not in CHANGES:
            raise ConfigurationError(f"this venue has no input {entry.kind!r}")
        kind, act = CHANGES[entry.kind]
        return act(self, entry.payload["user"], decode(kind, entry.payload["body"]))

    def next_wall_ms(self) -> int | None:
        """The gateway has no timers."""
        return None

    def fire(self, entry: Input) -> None:
        """The gateway has no timers."""

    def give(self, name: str, amount: Decimal) -> Mapping[str, Any]:
        """Deposit dollars on an account by its name. Raises ConfigurationError."""
        names = [account.name for account in self.accounts]
        if name not in names:
            hint = near_miss(name, names) or f"; there are {', '.join(names)}"
            raise ConfigurationError(f"user {name!r} is no account of this venue{hint}")
        if not 0 < amount <= _DEPOSIT_MAX:
            raise ConfigurationError(f"amount {amount} is not above 0 and at most a billion")
        account = self.accounts[names.index(name)]
        self.venue.change_funds(Deposit(to_nanos(amount)), account.number)
        return {"user": name, "cash": f"{account.to_wire().balance:f}"}

    # --- looking ---------------------------------------------------------------------------------

    @property
    def shift_ns(self) -> int:
        """How much later than the market's time times are shown."""
        return self.options.shift_ns

    def account(self, user: str, account_id: int) -> Account | None:
        """A user's account; None for nobody's and others'."""
        at = account_id - FIRST_ACCOUNT
        if not 0 <= at < len(self.accounts) or self.accounts[at].user != user:
            return None
        return self.accounts[at]

    def order(self, account: Account, order_id: int) -> OrderRecord | None:
        """An account's order."""
        record = self.orders.get(order_id)
        return record if record is not None and record.account is account else None

    def next_id(self) -> int:
        """A number that nothing has yet."""
        self.ids += 1
        return self.ids

    def new_order(
        self, account: Account, market: Market, kind: OrderType, side: Side, lots: int, **more: Any
    ) -> OrderRecord:
        """A new order, under an id of its own."""
        record = OrderRecord(
            self.next_id(), account, market, kind, side, lots, self.venue.now_ns, **more
        )
        self.orders[record.id] = record
        return record


CHANGES: dict[str, tuple[type, Callable[[ProjectXEngine, str, Any], dict[str, Any]]]] = {
    "Order/place": (requests.PlaceOrder, placing.place),
    "Order/modify": (requests.ModifyOrder, changing.modify),
    "Order/cancel": (requests.OrderOfAccount, changing.cancel),
    "Position/closeContract": (requests.ClosePosition, changing.close),
    "Position/partialCloseContract": (requests.PartialClose, changing.close_part),
}
"""By path what changes something: its body, and who does it."""


def make_engine(
    sources: Sequence[Source],
    simulation: SimulationConfig,
    accounts: Sequence[AccountSettings],
    options: Options,
) -> ProjectXEngine:
    """The gateway in its first state. Raises ConfigurationError for what is no future.

    A contract is the one that is traded most when its tape begins, by the times that are shown.
    """
    pool = [AccountConfig(name=each.name, cash=float(each.cash)) for each in accounts]
    markets = tuple(_market(at, source, options) for at, source in enumerate(sources))
    engine = ProjectXEngine(Venue(sources, pool, simulation), markets, options)
    engine.by_contract = {market.id: market for market in markets}
    for each in accounts:
        number = engine.venue.open_account(each.name)
        engine.accounts.append(
            Account(
                FIRST_ACCOUNT + number,
                each.name,
                each.user,
                number,
                engine.venue.ledgers[number],
                [Holding() for _ in markets],
            )
        )
    engine.venue.listener = engine
    return engine


def _market(index: int, source: Source, options: Options) -> Market:
    instrument = source.instrument
    if instrument.lot_size != 1:
        raise ConfigurationError(
            f"{instrument.symbol} is traded in lots of {instrument.lot_size}; this venue trades "
            "futures, whose sizes are whole numbers of contracts"
        )
    seconds = (source.tape.start_ns + options.shift_ns) // NANOS
    day = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return Market(
        index, instrument, front_contract(instrument.symbol, day.year, day.month, day.day)
    )
