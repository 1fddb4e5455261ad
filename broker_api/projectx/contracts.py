"""The gateway's contracts as instruments, and their decimals as ticks, lots and nanos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from broker_api.instrument import NANOS, Instrument
from broker_api.messages import ProtocolError
from broker_api.projectx.wire.contracts import MONTH_LETTERS
from broker_api.projectx.wire.records import ContractRecord

CALENDAR = "CME_GLOBEX_EQUITY"
"""The hours of a product that the catalogue does not have."""
SIZE_MAX = 1_000
_NAME = re.compile(rf"(.+)[{MONTH_LETTERS}]\d{{1,2}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Contract:
    """An instrument, and the gateway's contract that is traded for it."""

    spec: Instrument
    id: str
    name: str

    def price(self, ticks: int) -> Decimal:
        """Ticks as the exact price."""
        return ticks * self.spec.tick_size

    def ticks(self, price: Decimal) -> int:
        """A price of the gateway as ticks. Raises ProtocolError off the tick."""
        steps = price / self.spec.tick_size
        if steps != steps.to_integral_value():
            raise ProtocolError("price", f"{price} of {self.name} is off its tick")
        return int(steps)

    def nearest_ticks(self, price: Decimal) -> int:
        """A price that need not be on the tick as the nearest."""
        return int((price / self.spec.tick_size).to_integral_value(ROUND_HALF_EVEN))


def to_nanos(amount: Decimal) -> int:
    """Dollars of the gateway as nanos, rounded: it shows amounts as it likes."""
    return int((amount * NANOS).to_integral_value(ROUND_HALF_EVEN))


def root_of(name: str) -> str:
    """A contract's name without its month: MNQZ6 is MNQ."""
    found = _NAME.fullmatch(name)
    return name if found is None else found[1]


def searched(name: str, known: Sequence[Instrument]) -> str:
    """What is asked for: the symbol of an instrument that is known, else the name itself."""
    wanted = name.strip().upper()
    for spec in known:
        if wanted in (spec.symbol.upper(), spec.id.upper()):
            return spec.symbol
    return wanted


def chosen(
    text: str, found: Sequence[ContractRecord], known: Sequence[Instrument] = ()
) -> ContractRecord:
    """Of a fuzzy search's answer what was meant. Raises ConfigurationError.

    A contract by its name or id, else the first active one of the product; the gateway lists the
    month that is traded most first.
    """
    for each in found:
        if text in (each.name.upper(), each.id.upper()):
            return each
    of_product = [each for each in found if root_of(each.name).upper() == text]
    active = [each for each in of_product if each.active] or of_product
    if active:
        return active[0]
    names = [root_of(each.name) for each in found]
    hint = near_miss(text, [*names, *(spec.symbol for spec in known)])
    if not hint and names:
        hint = f"; its search gives {', '.join(names)}"
    raise ConfigurationError(f"ProjectX has no contract {text!r}{hint}")


def contract_of(record: ContractRecord, known: Sequence[Instrument]) -> Contract:
    """A contract as an instrument: what the catalogue says, with the gateway's tick."""
    symbol = root_of(record.name).upper()
    if record.tick_size <= 0 or record.tick_value <= 0:
        raise ProtocolError("contract", f"{record.name}: tick {record.tick_size} is no tick")
    for spec in known:
        if spec.symbol.upper() == symbol:
            spec = replace(spec, tick_size=record.tick_size, tick_value=record.tick_value)
            return Contract(spec, record.id, record.name)
    spec = Instrument(
        symbol=symbol,
        id=f"PX:{symbol}",
        name=record.description,
        exchange="CME",
        currency="USD",
        calendar=CALENDAR,
        tick_size=record.tick_size,
        tick_value=record.tick_value,
        lot_size=Decimal(1),
        min_size=Decimal(1),
        max_size=Decimal(SIZE_MAX),
    )
    return Contract(spec, record.id, record.name)
