"""The state of the venue, and what is told to it: posted actions, money given, timers, events.

Everything here is a function of the settings and of the inputs (`sim.venues.runner`): wall time and
market time come with each input, nothing is drawn.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.event import EventRow
from broker_api.hyperliquid.wire.market import Print
from broker_api.hyperliquid.wire.numbers import response_text
from broker_api.hyperliquid.wire.schema import Address, ProtocolError, decode
from broker_api.order import BeyondTop
from sim.funds import Deposit
from sim.venues.hyperliquid import admission, changing, fold
from sim.venues.hyperliquid.admission import Nonces
from sim.venues.hyperliquid.records import (
    AssetSetting,
    FundingTally,
    MoneyNews,
    News,
    OrderRecord,
    User,
    nanos_of,
    usd,
)
from sim.venues.hyperliquid.universe import Universe
from sim.venues.runner import MS_NS, Input
from sim.venues.sources import Source
from sim.venues.venue import Venue

TRADES_MAX = 200
TID_BITS = 50
_TID_STEP = 0x2545F4914F6CDD1D % (1 << TID_BITS) | 1
"""Odd, so that trade ids do not repeat before all of them were used."""


@dataclass(frozen=True)
class Options:
    """How strict the venue is. The live one counts requests of an address and asks for traded
    volume before it lets `scheduleCancel` be used; neither helps a test."""

    counts_requests: bool = True
    schedule_volume_nanos: int = 0


@dataclass(eq=False)
class HyperliquidEngine:
    """All there is of the venue but its network. Make it with `make_engine`."""

    venue: Venue
    universe: Universe
    options: Options
    has_ladder: bool = True
    """Whether every tick behind the touch counts as liquidity, so that books show it."""
    name: str = "hyperliquid"
    users: dict[str, User] = field(default_factory=dict)
    by_account: dict[int, User] = field(default_factory=dict)
    masters: dict[str, User] = field(default_factory=dict)
    """By the address of an agent: who approved it."""
    nonces: dict[str, Nonces] = field(default_factory=dict)
    records: dict[int, OrderRecord] = field(default_factory=dict)
    liquidations: dict[tuple[int, int], OrderRecord] = field(default_factory=dict)
    taken: dict[int, deque[Print]] = field(default_factory=dict)
    """By coin the newest trades that are not on its tape."""
    news: list[News] = field(default_factory=list)
    """What subscribers have not heard of yet."""
    oids: int = 0
    trades: int = 0
    wall_ms: int = 0
    """Wall time of the input that is being done."""

    def on_events(self, rows: Sequence[EventRow]) -> None:
        """Take the events of one transaction of the exchange."""
        fold.apply(self, rows)

    def perform(self, entry: Input) -> Any:
        """Do an input: an admitted action, or money from the faucet."""
        self.wall_ms = entry.wall_ms
        match entry.kind:
            case "action":
                return admission.perform(self, entry.payload)
            case "faucet":
                return self.give(entry.payload["user"], Decimal(entry.payload["amount"]))
        raise ConfigurationError(f"this venue has no input {entry.kind!r}")

    def next_wall_ms(self) -> int | None:
        """When the next scheduled cancel is due."""
        times = [user.scheduled_ms for user in self.users.values() if user.scheduled_ms is not None]
        return min(times, default=None)

    def fire(self, entry: Input) -> None:
        """Do the scheduled cancels that are due."""
        self.wall_ms = entry.wall_ms
        for user in list(self.users.values()):
            if user.scheduled_ms is not None and user.scheduled_ms <= entry.wall_ms:
                changing.fire_scheduled(self, user, entry.wall_ms)

    # --- users -----------------------------------------------------------------------------------

    def give(self, address: str, amount: Decimal) -> dict[str, Any]:
        """Deposit dollars for an address, which gets an account if it has none.

        Raises ConfigurationError for what is no address or no amount, and when accounts are all
        taken.
        """
        address, nanos = address_of(address), nanos_of(amount)
        if not 0 < nanos <= 1_000_000_000 * 1_000_000_000:
            raise ConfigurationError(f"amount {amount} is not above 0 and at most a billion")
        user = self.users.get(address) or self._open(address)
        self.deposit(user, nanos)
        self.tell_money(user, {"type": "deposit", "usdc": response_text(usd(nanos))})
        ledger = self.venue.ledgers[user.account]
        return {"user": address, "cash": response_text(usd(ledger.cash_nanos))}

    def deposit(self, user: User, nanos: int) -> None:
        """Money comes to the perpetuals' account, or goes from it. Raises FundsError."""
        self.venue.change_funds(Deposit(nanos), user.account)
        fold.note_value(self, user)

    def tell_money(self, user: User, delta: dict[str, Any]) -> None:
        """Note a change of money that is no funding, and tell it."""
        entry = {
            "time": self.now_ms,
            "hash": self.hash_of(f"money {len(user.money)}"),
            "delta": delta,
        }
        user.money.append(entry)
        self.news.append(MoneyNews(user, entry))

    def _open(self, address: str) -> User:
        account = self.venue.open_account(address)
        assets = self.universe.assets
        user = User(
            address,
            account,
            self.venue.ledgers[account].positions,
            [AssetSetting(asset.default_leverage) for asset in assets],
            [FundingTally() for _ in assets],
            [0 for _ in assets],
            [0 for _ in assets],
        )
        self.users[address] = self.by_account[account] = user
        return user

    # --- time, numbers, ids ----------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """Market time in milliseconds: the time of everything that happens in the market."""
        return self.venue.now_ns // MS_NS

    def mark(self, index: int) -> Decimal:
        """The price that values positions and fires triggers; 0 while unknown."""
        return usd(self.venue.mark_nanos(index))

    def next_oid(self) -> int:
        """The id of a new order; ids of all users grow together."""
        self.oids += 1
        return self.oids

    def next_tid(self) -> int:
        """The id of a new trade: 50 bits that do not repeat."""
        self.trades += 1
        return self.trades * _TID_STEP % (1 << TID_BITS)

    def trades_of(self, index: int) -> deque[Print]:
        """The newest public trades of a coin that are not on its tape."""
        return self.taken.setdefault(index, deque(maxlen=TRADES_MAX))

    def hash_of(self, text: str) -> str:
        """A transaction's hash: some 32 bytes that are the same in every run."""
        return "0x" + hashlib.sha256(f"papertape {text}".encode()).hexdigest()


def address_of(text: str) -> str:
    """An address in lower case. Raises ConfigurationError."""
    try:
        address: str = decode(Address, text, "user")
    except ProtocolError:
        raise ConfigurationError(f"{text!r} is no address: 0x and 40 hex digits") from None
    return address


def make_engine(
    sources: Sequence[Source],
    simulation: SimulationConfig,
    accounts: int,
    options: Options | None = None,
) -> HyperliquidEngine:
    """The venue in its first state: markets at their start, accounts without owner and money.

    Of the simulation two settings are the venue's own: an order never trades with the same user's,
    the resting one goes; a trigger that is through when it comes to life fires. Raises
    ConfigurationError for instruments that cannot be perpetuals.
    """
    universe = Universe([source.instrument for source in sources])
    rules = simulation.model_copy(
        update={"self_trade": "cancel_oldest", "stop_wrong_side": "trigger"}
    )
    leverage = {asset.coin: asset.default_leverage for asset in universe.assets}
    pool = [
        AccountConfig(name=f"{number}", cash=0.0, leverage=leverage) for number in range(accounts)
    ]
    has_ladder = rules.beyond_top_model is BeyondTop.LADDER
    venue = Venue(sources, pool, rules)
    engine = HyperliquidEngine(venue, universe, options or Options(), has_ladder)
    engine.venue.listener = engine
    return engine
