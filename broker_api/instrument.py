"""What is traded, and the only place where decimals become integers and back.

An :class:`Instrument` knows its tick, lot, tick value, fees, margins and session calendar. The
catalogue that ships with papertape is `instruments.toml` beside this file; users add their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from broker_api.errors import InvalidPriceError, InvalidSizeError
from broker_api.order import NO_PRICE, TriggerSource

NANOS = 1_000_000_000
"""Money units in one unit of the account currency."""
PPM = 1_000_000
MAX_TICKS = 1 << 40
"""Largest price, in ticks, that any order or tape may carry."""
MAX_LOTS = 1 << 40
"""Largest size, in lots, that any order or tape may carry."""

MAX_TIERS = 8
"""Most tiers of margin that one instrument may have."""

Number = float | int | str | Decimal


class MarginTier(NamedTuple):
    """The margin rates, in parts per million, of what of a notional lies above `notional_from`."""

    notional_from: Decimal
    initial_ppm: int
    maintenance_ppm: int


def to_nanos(amount: Number) -> int:
    """An amount of money as integer units of 1e-9, rounded half even at the tenth decimal."""
    return int((Decimal(str(amount)) * NANOS).to_integral_value())


def from_nanos(nanos: int) -> float:
    """Money units as a float of currency, for display and reports."""
    return nanos / NANOS


@dataclass(frozen=True)
class Instrument:
    """One tradable contract.

    `tick_size`, `lot_size` and `tick_value` are exact decimals; `tick_value` is the money of one
    tick on ONE UNIT of size (one contract, one coin). Fees are per unit and side (`fee_per_unit`)
    plus parts per million of the notional (`maker_fee_ppm`, `taker_fee_ppm`). Margin is per unit
    (`initial_margin`, `maintenance_margin`) plus parts per million of the notional. Each part of
    the notional pays the rates of its own tier in `margin_tiers` (the first begins at 0); there
    `initial_margin_ppm` is the least initial rate while the account names no leverage. Without
    tiers the two flat rates hold. From `overnight_from_minutes` before a session's close to the
    next opening the `overnight_` margins stand in for those per unit. Limits further than the
    price band beyond the last price are refused: `price_band_ticks`, else `price_band_ppm`. Where
    `significant_digits` is given, a price that is no whole number has at most so many of them.
    """

    symbol: str
    id: str
    name: str
    exchange: str
    currency: str
    calendar: str
    tick_size: Decimal
    tick_value: Decimal
    lot_size: Decimal
    min_size: Decimal
    max_size: Decimal
    fee_per_unit: Decimal = Decimal(0)
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    initial_margin: Decimal = Decimal(0)
    maintenance_margin: Decimal = Decimal(0)
    initial_margin_ppm: int = 0
    maintenance_margin_ppm: int = 0
    margin_tiers: tuple[MarginTier, ...] = ()
    overnight_initial_margin: Decimal | None = None
    overnight_maintenance_margin: Decimal | None = None
    overnight_from_minutes: int = 15
    price_band_ppm: int = 0
    price_band_ticks: int = 0
    trigger_source: TriggerSource = TriggerSource.LAST
    allow_negative_price: bool = False
    significant_digits: int = 0
    expiry: str | None = None

    @cached_property
    def price_digits(self) -> int:
        """Decimal places of the tick."""
        return max(0, -int(self.tick_size.normalize().as_tuple().exponent))

    @cached_property
    def size_digits(self) -> int:
        """Decimal places of the lot."""
        return max(0, -int(self.lot_size.normalize().as_tuple().exponent))

    @property
    def min_tick_size(self) -> float:
        """The tick as a float, under the name that the OrderManager page uses."""
        return float(self.tick_size)

    @property
    def point_value(self) -> Decimal:
        """Money of one whole price point on one unit of size."""
        return self.tick_value / self.tick_size

    @cached_property
    def tick_value_nanos(self) -> int:
        """Money units of one tick on one LOT; exact by the catalogue's validation."""
        nanos = self.tick_value * self.lot_size * NANOS
        if nanos != nanos.to_integral_value():
            raise ValueError(
                f"{self.symbol}: tick value of one lot is finer than 1e-9 {self.currency}"
            )
        return int(nanos)

    @cached_property
    def fee_lot_nanos(self) -> int:
        """Fixed fee of one lot and side, in money units."""
        return to_nanos(self.fee_per_unit * self.lot_size)

    @cached_property
    def initial_margin_lot_nanos(self) -> int:
        """Fixed initial margin of one lot, in money units."""
        return to_nanos(self.initial_margin * self.lot_size)

    @cached_property
    def maintenance_margin_lot_nanos(self) -> int:
        """Fixed maintenance margin of one lot, in money units."""
        return to_nanos(self.maintenance_margin * self.lot_size)

    @property
    def has_overnight_margin(self) -> bool:
        """True when the margin per unit is another over night."""
        night = (self.overnight_initial_margin, self.overnight_maintenance_margin)
        return night != (None, None)

    @cached_property
    def overnight_initial_lot_nanos(self) -> int:
        """Fixed initial margin of one lot over night, in money units."""
        night = self.overnight_initial_margin
        return self.initial_margin_lot_nanos if night is None else to_nanos(night * self.lot_size)

    @cached_property
    def overnight_maintenance_lot_nanos(self) -> int:
        """Fixed maintenance margin of one lot over night, in money units."""
        night = self.overnight_maintenance_margin
        if night is None:
            return self.maintenance_margin_lot_nanos
        return to_nanos(night * self.lot_size)

    @cached_property
    def tiers(self) -> tuple[MarginTier, ...]:
        """The margin tiers; without any, one of the flat rates."""
        flat = MarginTier(Decimal(0), self.initial_margin_ppm, self.maintenance_margin_ppm)
        return self.margin_tiers or (flat,)

    @cached_property
    def min_lots(self) -> int:
        """Smallest order in lots."""
        return int(self.min_size / self.lot_size)

    @cached_property
    def max_lots(self) -> int:
        """Largest order in lots."""
        return int(self.max_size / self.lot_size)

    @cached_property
    def _tick_float(self) -> float:
        return float(self.tick_size)

    @cached_property
    def _lot_float(self) -> float:
        return float(self.lot_size)

    @cached_property
    def _tick_ratio(self) -> tuple[int, int]:
        return self.tick_size.as_integer_ratio()

    @cached_property
    def _lot_ratio(self) -> tuple[int, int]:
        return self.lot_size.as_integer_ratio()

    def price_to_ticks(self, price: Number, field: str = "price") -> int:
        """The price as whole ticks. Raises InvalidPriceError when off the tick or no number."""
        return self._to_steps(price, self.tick_size, self._tick_float, field, "price")

    def order_price_to_ticks(self, price: Number, field: str = "price") -> int:
        """As `price_to_ticks`, for an order: also positive, where the instrument asks for it."""
        ticks = self.price_to_ticks(price, field)
        if ticks <= 0 and not self.allow_negative_price:
            raise InvalidPriceError(f"{field} {price} of {self.symbol} is not positive")
        if self.significant_digits and not self.fits_digits(ticks):
            below, above = (self.rounded_ticks(ticks, up=up) for up in (False, True))
            raise InvalidPriceError(
                f"{field} {price} of {self.symbol} has more than {self.significant_digits} "
                f"significant digits; nearest are {self.format_price(below)} and "
                f"{self.format_price(above)}"
            )
        return ticks

    def fits_digits(self, ticks: int) -> bool:
        """Whether a price has few enough significant digits."""
        return self.rounded_ticks(ticks, up=True) == ticks

    def rounded_ticks(self, ticks: int, *, up: bool) -> int:
        """The nearest price at or beyond `ticks`, upwards or downwards, with few enough digits.

        >>> from broker_api.catalog import load_catalog
        >>> from dataclasses import replace
        >>> eth = replace(load_catalog()["ETH"], significant_digits=5)
        >>> [eth.ticks_to_price(eth.rounded_ticks(123456, up=up)) for up in (False, True)]
        [12345.0, 12346.0]
        """
        if self.significant_digits == 0 or ticks == 0:
            return ticks
        step = significant_step(abs(ticks) * self.tick_size, self.significant_digits)
        steps = max(1, int(step / self.tick_size))
        return -(-ticks // steps) * steps if up else ticks // steps * steps

    def nearest_price(self, price: Number) -> Decimal:
        """The price nearest to `price` that an order may have; of two the one with an even tick."""
        ticks = int((Decimal(str(price)) / self.tick_size).to_integral_value())
        below, above = (self.rounded_ticks(ticks, up=up) for up in (False, True))
        return (below if ticks - below <= above - ticks else above) * self.tick_size

    def size_to_lots(self, size: Number, field: str = "size") -> int:
        """The size as whole lots. Raises InvalidSizeError when it is off the lot or no number."""
        return self._to_steps(size, self.lot_size, self._lot_float, field, "size")

    def offset_to_ticks(self, offset: Number, field: str = "offset") -> int:
        """A distance in price points as whole ticks. Raises InvalidPriceError when off the tick."""
        return self.price_to_ticks(offset, field)

    def _to_steps(
        self, value: Number, step: Decimal, step_float: float, field: str, what: str
    ) -> int:
        if isinstance(value, (float, int)) and not isinstance(value, bool):
            number = float(value)
            quotient = number / step_float
            if -MAX_TICKS <= quotient <= MAX_TICKS:
                steps = round(quotient)
                off = number - steps * step_float
                # docs/fills.md: a float is on the grid within 1e-9 of its own magnitude.
                if off == 0.0 or abs(off) <= 1e-9 * max(1.0, abs(number)):
                    return steps
            raise self._off_grid(value, step, field, what)
        try:
            exact = Decimal(str(value))
            if exact.is_finite() and exact % step == 0 and abs(exact / step) <= MAX_TICKS:
                return int(exact / step)
        except InvalidOperation:
            pass
        raise self._off_grid(value, step, field, what)

    def _off_grid(self, value: Number, step: Decimal, field: str, what: str) -> Exception:
        error = InvalidPriceError if what == "price" else InvalidSizeError
        try:
            exact = Decimal(str(value))
            finite = exact.is_finite() and abs(exact / step) <= MAX_TICKS
        except (InvalidOperation, ValueError):
            finite = False
        if not finite:
            return error(f"{field} {value!r} is not a usable number for {self.symbol}")
        below = exact // step * step
        near = f"nearest are {below.normalize():f} and {(below + step).normalize():f}"
        if what == "price":
            return error(
                f"{field} {value} is not a multiple of the tick size {step} of {self.symbol}; "
                f"{near}"
            )
        return error(f"{field} {value} is not a multiple of the lot size {step} of {self.symbol}")

    def ticks_to_price(self, ticks: int) -> float:
        """Whole ticks as the float nearest to the exact decimal price."""
        numerator, denominator = self._tick_ratio
        return ticks * numerator / denominator  # Python rounds a quotient of integers correctly

    def ticks_to_prices(self, ticks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """A column of whole ticks as prices, each as `ticks_to_price` gives it."""
        numerator, denominator = self._tick_ratio
        prices: npt.NDArray[np.float64] = (ticks * numerator).astype(np.float64) / denominator
        return prices

    def lots_to_size(self, lots: int) -> float:
        """Whole lots as the float nearest to the exact size; an int where lots are whole."""
        numerator, denominator = self._lot_ratio
        return lots * numerator if denominator == 1 else lots * numerator / denominator

    def lots_to_sizes(self, lots: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """A column of whole lots as sizes, each as `lots_to_size` gives it."""
        numerator, denominator = self._lot_ratio
        scaled = lots * numerator
        return scaled if denominator == 1 else scaled.astype(np.float64) / denominator

    def average_price(self, cost_ticks_lots: int, lots: int) -> float:
        """Average price of `lots` whose ticks x lots sum to `cost_ticks_lots`; 0.0 of none."""
        return 0.0 if lots == 0 else float(self.tick_size * cost_ticks_lots / lots)

    def format_price(self, ticks: int) -> str:
        """The exact price as text, with the tick's decimals; "-" for none."""
        return "-" if ticks == NO_PRICE else f"{self.tick_size * ticks:.{self.price_digits}f}"

    def format_size(self, lots: int) -> str:
        """The exact size as text, with the lot's decimals."""
        return f"{self.lot_size * lots:.{self.size_digits}f}"

    def prices_to_ticks(
        self, prices: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """A column of prices as ticks, and where it was off the tick (no meaning there)."""
        return _array_to_steps(prices, self._tick_float)

    def sizes_to_lots(
        self, sizes: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """A column of sizes as lots, and where it was off the lot (no meaning there)."""
        return _array_to_steps(sizes, self._lot_float)


def _array_to_steps(
    values: npt.NDArray[np.float64], step: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    steps = np.rint(values / step)
    bad = ~(np.abs(values - steps * step) <= 1e-9 * np.maximum(1.0, np.abs(values)))
    bad |= ~(np.abs(steps) <= MAX_TICKS)
    return np.where(bad, 0, steps).astype(np.int64), bad


def significant_step(price: Decimal, digits: int) -> Decimal:
    """The distance between numbers of so many significant digits just above `price`, at most 1.

    Whole numbers may have any number of digits.

    >>> significant_step(Decimal("1234.5"), 5), significant_step(Decimal(123456), 5)
    (Decimal('0.1'), Decimal('1'))
    """
    return Decimal(1).scaleb(min(0, price.adjusted() - digits + 1))


def round_to_tick_size(price: Number, tick_size: Number) -> float:
    """The multiple of `tick_size` nearest to `price`, halves to the even multiple.

    Raises ValueError for a tick size that is not positive or a price that is no number.

    >>> round_to_tick_size(21000.13, 0.25)
    21000.25
    """
    try:
        exact, step = Decimal(str(price)), Decimal(str(tick_size))
    except InvalidOperation:
        raise ValueError(f"price {price!r} or tick size {tick_size!r} is not a number") from None
    if not step.is_finite() or step <= 0:
        raise ValueError(f"tick size {tick_size!r} is not positive")
    if not exact.is_finite():
        raise ValueError(f"price {price!r} is not finite")
    return float((exact / step).to_integral_value(rounding="ROUND_HALF_EVEN") * step)


def from_table(symbol: str, table: dict[str, Any]) -> Instrument:
    """The instrument that a validated catalogue table describes; see broker_api/catalog.py."""
    return Instrument(symbol=symbol, **table)
