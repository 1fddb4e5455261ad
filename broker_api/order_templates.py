"""Order templates: from a few prices of a set-up to one bracket order.

A template gets a context (`suite["MNQ"]`) and a side, and answers what `place_bracket_order`
answers. Sizes come from `size`, else from `risk_amount / (stop points x point value)` rounded down,
else one lot. All prices are rounded to prices that an order may have.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from decimal import Decimal, InvalidOperation
from typing import Any

from broker_api.drafting import parse_side
from broker_api.errors import InvalidOrderError, InvalidPriceError
from broker_api.instrument import Instrument, Number
from broker_api.order import Side
from broker_api.position_manager import size_for_risk
from broker_api.response import BracketOrderResponse


class OrderTemplate(ABC):
    """Base of all templates; a subclass writes `create_order`."""

    @abstractmethod
    async def create_order(
        self, context: Any, side: Side | int | str, *args: Any, **kwargs: Any
    ) -> Any:
        """Place the template's order for `context`, an instrument of a suite."""


def _decimal(value: object, field: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        raise InvalidPriceError(f"{field} {value!r} is not a number")
    return number


def _positive(value: object, field: str) -> Decimal:
    number = _decimal(value, field)
    if number <= 0:
        raise InvalidPriceError(f"{field} {value!r} is not positive")
    return number


def _on_tick(spec: Instrument, price: Decimal) -> Decimal:
    return (price / spec.tick_size).to_integral_value() * spec.tick_size


def _distance(spec: Instrument, points: Decimal) -> Decimal:
    """A distance on the tick, at least one tick."""
    return max(spec.tick_size, _on_tick(spec, points))


def _size(
    spec: Instrument, size: Number | None, risk_amount: Number | None, stop_points: Decimal
) -> Number:
    if size is not None:
        if risk_amount is not None:
            raise InvalidOrderError("size and risk_amount exclude each other")
        return size
    if risk_amount is not None:
        return size_for_risk(spec, risk_amount, stop_points)
    return spec.lots_to_size(max(1, spec.min_lots))


class ScalpingTemplate(OrderTemplate):
    """A limit entry at the current price with a near stop and target, both in ATR."""

    def __init__(self, stop_atr: Number = "0.5", target_atr: Number = "0.75") -> None:
        self.stop_atr = _positive(stop_atr, "stop_atr")
        self.target_atr = _positive(target_atr, "target_atr")

    async def create_order(
        self,
        context: Any,
        side: Side | int | str,
        *,
        current_price: Number,
        atr_value: Number,
        size: Number | None = None,
        risk_amount: Number | None = None,
        **options: Any,
    ) -> BracketOrderResponse:
        """Enter at `current_price`; stop 0.5 and target 0.75 of `atr_value` away."""
        spec: Instrument = context.instrument_info
        atr = _positive(atr_value, "atr_value")
        stop = _distance(spec, atr * self.stop_atr)
        response: BracketOrderResponse = await context.orders.place_bracket_order(
            contract_id=spec.id,
            side=side,
            size=_size(spec, size, risk_amount, stop),
            entry_price=spec.nearest_price(_decimal(current_price, "current_price")),
            stop_offset=stop,
            target_offset=_distance(spec, atr * self.target_atr),
            **options,
        )
        return response


class BreakoutTemplate(OrderTemplate):
    """A stop entry at the breakout, protected inside the range, with one range of profit."""

    async def create_order(
        self,
        context: Any,
        side: Side | int | str,
        *,
        breakout_price: Number,
        support_level: Number,
        resistance_level: Number,
        size: Number | None = None,
        risk_amount: Number | None = None,
        **options: Any,
    ) -> BracketOrderResponse:
        """Enter by a stop at `breakout_price`; the target lies one range beyond it.

        The stop lies at the middle of support and resistance where that is on the protective side
        of the entry, else at the support (buy) or the resistance (sell).
        """
        spec: Instrument = context.instrument_info
        parsed = parse_side(side)
        entry = spec.nearest_price(_decimal(breakout_price, "breakout_price"))
        support = _decimal(support_level, "support_level")
        resistance = _decimal(resistance_level, "resistance_level")
        if support >= resistance:
            raise InvalidPriceError(
                f"support_level {support} is not below resistance_level {resistance}"
            )
        stop = breakout_stop(spec, parsed, entry, support, resistance)
        target = spec.nearest_price(entry + parsed.sign * (resistance - support))
        response: BracketOrderResponse = await context.orders.place_bracket_order(
            contract_id=spec.id,
            side=parsed,
            size=_size(spec, size, risk_amount, abs(entry - stop)),
            entry_stop_price=entry,
            stop_price=stop,
            target_price=target,
            **options,
        )
        return response


def breakout_stop(
    spec: Instrument, side: Side, entry: Decimal, support: Decimal, resistance: Decimal
) -> Decimal:
    """Where a breakout is protected. Raises InvalidPriceError when neither level protects it."""
    middle = spec.nearest_price((support + resistance) / 2)
    level = spec.nearest_price(support if side is Side.BUY else resistance)
    for stop in (middle, level):
        if (entry - stop) * side.sign > 0:
            return stop
    name = "support_level" if side is Side.BUY else "resistance_level"
    raise InvalidPriceError(
        f"{name} {level} does not protect a {side.name.lower()} at breakout_price {entry}"
    )


class RiskRewardTemplate(OrderTemplate):
    """An entry with a stop at a given distance and a target at `ratio` times that distance."""

    def __init__(self, ratio: Number = 2) -> None:
        self.ratio = _positive(ratio, "ratio")

    async def create_order(
        self,
        context: Any,
        side: Side | int | str,
        *,
        stop_distance: Number,
        entry_price: Number | None = None,
        ratio: Number | None = None,
        size: Number | None = None,
        risk_amount: Number | None = None,
        **options: Any,
    ) -> BracketOrderResponse:
        """Enter at `entry_price` (None: at the market), risk one and aim at `ratio` distances."""
        spec: Instrument = context.instrument_info
        points = _positive(stop_distance, "stop_distance")
        stop = _distance(spec, points)
        factor = self.ratio if ratio is None else _positive(ratio, "ratio")
        entry = None if entry_price is None else _decimal(entry_price, "entry_price")
        response: BracketOrderResponse = await context.orders.place_bracket_order(
            contract_id=spec.id,
            side=side,
            size=_size(spec, size, risk_amount, stop),
            entry_price=None if entry is None else spec.nearest_price(entry),
            stop_offset=stop,
            target_offset=_distance(spec, points * factor),
            **options,
        )
        return response


TEMPLATES: dict[str, type[OrderTemplate]] = {
    "scalping": ScalpingTemplate,
    "breakout": BreakoutTemplate,
    "risk_reward": RiskRewardTemplate,
}


def get_template(name: str) -> OrderTemplate:
    """The template with this name: "scalping", "breakout" or "risk_reward".

    Raises ValueError with the nearest name.
    """
    template = TEMPLATES.get(str(name).strip().lower().replace("-", "_"))
    if template is None:
        near = difflib.get_close_matches(str(name).lower(), list(TEMPLATES), n=1)
        hint = f'; did you mean "{near[0]}"?' if near else f"; there are {', '.join(TEMPLATES)}"
        raise ValueError(f"template {name!r} does not exist{hint}")
    return template()
