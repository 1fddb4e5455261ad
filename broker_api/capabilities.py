"""What each venue can do: one table, for adapters, for sessions, for rehearsals, for the docs.

A capability that a venue lacks is kept by the session or the adapter where that is possible
(brackets, OCO, reduce-only), and refused otherwise, with what to use in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from broker_api.order import OrderRequest, OrderType, TimeInForce

_EVERY_FORCE = tuple(TimeInForce)
_TRAILING = (OrderType.TRAILING_STOP,)
_TOUCHED = (OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED)
TRIGGERED = (OrderType.STOP, OrderType.STOP_LIMIT, *_TOUCHED, *_TRAILING)
"""Types that wait for a price."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a broker does natively; what it lacks the session builds (contingency.py) or refuses.

    The times in force are those of market orders, of limit orders, and of orders that wait for a
    price. `post_only_triggers`: such an order may be post-only. `protection`: market and stop
    orders may have a bound. `min_value` is the least worth of an order that adds to a position, in
    account currency; `significant_digits` the most of a price that is no whole number (0: any);
    `exchanges` where the instruments are listed that it trades (none: anywhere).
    """

    native_brackets: bool
    native_oco: bool
    post_only: bool
    reduce_only: bool
    stop_limit: bool
    trailing_stop: bool
    if_touched: bool
    market_forces: tuple[TimeInForce, ...] = _EVERY_FORCE
    limit_forces: tuple[TimeInForce, ...] = _EVERY_FORCE
    trigger_forces: tuple[TimeInForce, ...] = _EVERY_FORCE
    post_only_triggers: bool = True
    protection: bool = True
    trail_activation: bool = True
    trail_ticks_max: int | None = None
    min_value: Decimal = Decimal(0)
    significant_digits: int = 0
    exchanges: tuple[str, ...] = ()

    def forces(self, order_type: OrderType) -> tuple[TimeInForce, ...]:
        """The times in force that an order of this type may have."""
        if order_type is OrderType.MARKET:
            return self.market_forces
        return self.trigger_forces if order_type in TRIGGERED else self.limit_forces

    def has_type(self, order_type: OrderType) -> bool:
        """Whether there are orders of this type."""
        lacks: Mapping[OrderType, bool] = {
            OrderType.STOP_LIMIT: not self.stop_limit,
            OrderType.TRAILING_STOP: not self.trailing_stop,
            OrderType.MARKET_IF_TOUCHED: not self.if_touched,
            OrderType.LIMIT_IF_TOUCHED: not self.if_touched,
        }
        return not lacks.get(order_type, False)


SIM = Capabilities(
    native_brackets=True,
    native_oco=True,
    post_only=True,
    reduce_only=True,
    stop_limit=True,
    trailing_stop=True,
    if_touched=True,
)
HYPERLIQUID = Capabilities(
    native_brackets=False,
    native_oco=False,
    post_only=True,
    reduce_only=True,
    stop_limit=True,
    trailing_stop=False,
    if_touched=True,
    market_forces=(TimeInForce.NONE, TimeInForce.GTC, TimeInForce.IOC),
    limit_forces=(TimeInForce.NONE, TimeInForce.GTC, TimeInForce.IOC),
    trigger_forces=(TimeInForce.NONE, TimeInForce.GTC),
    post_only_triggers=False,
    min_value=Decimal(10),
    significant_digits=5,
    exchanges=("HYPERLIQUID",),
)
"""No fill-or-kill, no expiry at a time; a trigger order executes as its kind says. Sources: the
venue's documentation, "Order types", "Take profit and stop loss orders", "Tick and lot size"."""
PROJECTX = Capabilities(
    native_brackets=False,
    native_oco=False,
    post_only=False,
    reduce_only=False,
    stop_limit=True,
    trailing_stop=True,
    if_touched=False,
    market_forces=(TimeInForce.NONE, TimeInForce.GTC, TimeInForce.IOC),
    limit_forces=(TimeInForce.NONE, TimeInForce.GTC),
    trigger_forces=(TimeInForce.NONE, TimeInForce.GTC),
    post_only_triggers=False,
    protection=False,
    trail_activation=False,
    trail_ticks_max=1_000,
    exchanges=("CME", "CBOT", "COMEX", "NYMEX"),
)
"""Orders rest until they are cancelled: the gateway's have no time in force. Its own brackets count
whole orders, and there is no OCO. Source: the Gateway's API documentation, "Place an order"; the
longest trail is what clients have seen of the live service."""

VENUES: Mapping[str, Capabilities] = {
    "sim": SIM,
    "hyperliquid": HYPERLIQUID,
    "projectx": PROJECTX,
}
"""By the name of a broker."""
REHEARSED = ("hyperliquid", "projectx")
"""The venues for which a simulated run can rehearse."""


class Ask(NamedTuple):
    """What an order asks of a venue beside price and size; None: nothing, or not known yet."""

    order_type: OrderType
    time_in_force: TimeInForce | None = None
    post_only: bool = False
    is_protected: bool = False
    has_activation: bool = False
    trail_ticks: int | None = None


class Lack(NamedTuple):
    """What a venue does not have, and what to use in its place."""

    what: str
    instead: str


_TYPE_INSTEAD = {
    OrderType.STOP_LIMIT: "use place_stop_order, or send a limit order when the price is reached",
    OrderType.TRAILING_STOP: "use place_stop_order and move its stop with modify_order as the "
    "market goes your way",
    OrderType.MARKET_IF_TOUCHED: "use place_limit_order at the trigger price, or send a market "
    "order from a handler of quotes",
    OrderType.LIMIT_IF_TOUCHED: "use place_limit_order at the limit price",
}
_FORCE_INSTEAD = {
    TimeInForce.FOK: "send a limit order, and cancel it if it has not filled at once",
    TimeInForce.IOC: "send a limit order, and cancel_order what has not filled at once",
    TimeInForce.GTD: 'leave it "GTC", and cancel_order when its time has come',
    TimeInForce.DAY: 'leave it "GTC", and cancel_order before the day ends',
}


def lacks(has: Capabilities, ask: Ask) -> Iterator[Lack]:
    """Everything that an order asks for and a venue does not have."""
    kind = ask.order_type.name.lower().replace("_", "-")
    if not has.has_type(ask.order_type):
        yield Lack(f"{kind} orders", _TYPE_INSTEAD[ask.order_type])
        return
    force, forces = ask.time_in_force, has.forces(ask.order_type)
    if force is not None and force not in forces:
        instead = _FORCE_INSTEAD.get(force, "leave time_in_force away")
        if ask.order_type in TRIGGERED and force in (TimeInForce.IOC, TimeInForce.FOK):
            instead = "leave time_in_force away: what its price sets off acts at once"
        elif force is TimeInForce.FOK and TimeInForce.IOC in forces:
            instead = 'use "IOC", and close what it filled if a part is not wanted'
        yield Lack(f'time_in_force "{force.name}" of {kind} orders', instead)
    if ask.post_only and not has.post_only:
        yield Lack("post_only", "use a limit price at or behind your own side of data.last_quote")
    elif ask.post_only and ask.order_type in TRIGGERED and not has.post_only_triggers:
        yield Lack(f"post_only of {kind} orders", "send a post-only limit order at the trigger")
    if ask.is_protected and not has.protection:
        yield Lack("protection_ticks", "use place_limit_order at the worst price you would take")
    if ask.has_activation and not has.trail_activation:
        yield Lack("activation_price", "place the trailing stop when that price is reached")
    most = has.trail_ticks_max
    if most is not None and ask.trail_ticks is not None and ask.trail_ticks > most:
        yield Lack(f"trail_ticks above {most:,}", f"use at most {most:,} ticks")


def ask_of(request: OrderRequest) -> Ask:
    """What a whole order asks for."""
    return Ask(
        request.order_type,
        request.time_in_force,
        request.post_only,
        request.protection_ticks is not None,
        request.activation_ticks is not None,
        request.trail_ticks,
    )


def supports(has: Capabilities, request: OrderRequest) -> bool:
    """Whether a venue has everything that an order asks for."""
    return next(lacks(has, ask_of(request)), None) is None


def rehearsed(name: str) -> Capabilities:
    """The capabilities of the venue for which a run rehearses. Raises ConfigurationError."""
    if name not in REHEARSED:
        known = near_miss(name, REHEARSED) or f"; there are {', '.join(REHEARSED)}"
        raise ConfigurationError(f"rehearse_for {name!r} is no venue that is known{known}")
    return VENUES[name]


def check_instruments(name: str, instruments: Iterable[Instrument]) -> None:
    """Raise ConfigurationError for an instrument that the venue does not list."""
    has = VENUES[name]
    for spec in instruments:
        if has.exchanges and spec.exchange not in has.exchanges:
            raise ConfigurationError(
                f"{spec.symbol} is listed at {spec.exchange}; {name} trades instruments of "
                f"{', '.join(has.exchanges)}"
            )
