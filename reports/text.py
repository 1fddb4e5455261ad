"""Integers of a run as text for people: money, times, durations, prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from broker_api.instrument import NANOS, Instrument

MINUS = "\N{MINUS SIGN}"


def cents(nanos: int) -> int:
    """1e-9 currency in hundredths, halves to even."""
    return round(Decimal(nanos) / (NANOS // 100))


def money(nanos: int, *, plus: bool = False) -> str:
    """1e-9 currency with two decimals and thousands separators, halves to even; `plus`: +1.00."""
    hundredths = cents(nanos)
    sign = MINUS if hundredths < 0 else "+" if plus and hundredths > 0 else ""
    return f"{sign}{abs(hundredths) // 100:,}.{abs(hundredths) % 100:02d}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage, "-" for none."""
    return "-" if share is None else f"{share * 100:.{digits}f} %"


def moment(epoch_ns: int, *, milliseconds: bool = True) -> str:
    """An epoch time in UTC, cut to milliseconds or seconds."""
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=epoch_ns // 1_000)
    text = f"{time:%Y-%m-%d %H:%M:%S}"
    return f"{text}.{time.microsecond // 1_000:03d}" if milliseconds else text


def duration(ns: int) -> str:
    """A length of time in the two units that say most: 2 d 3 h, 4 min 5 s, 1.250 s, 3.2 ms.

    >>> duration(245_000_000_000)
    '4 min 5 s'
    """
    seconds = ns // NANOS
    if seconds >= 86_400:
        return f"{seconds // 86_400} d {seconds % 86_400 // 3_600} h"
    if seconds >= 3_600:
        return f"{seconds // 3_600} h {seconds % 3_600 // 60} min"
    if seconds >= 60:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds >= 1:
        return f"{ns / NANOS:.3f} s"
    return f"{ns / 1_000_000:.1f} ms"


def average_price(spec: Instrument, cost: int, lots: int) -> str:
    """The exact average as text: on the tick with the tick's decimals, else with two more."""
    if lots == 0:
        return "-"
    ticks = Decimal(cost) / Decimal(lots)
    digits = spec.price_digits + (0 if ticks == ticks.to_integral_value() else 2)
    return f"{spec.tick_size * ticks:,.{digits}f}"
