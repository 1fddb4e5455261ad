"""The catalogue of instruments: what ships with papertape, and users' own files on top.

A file has one table an instrument, named by its symbol; see instruments.toml. A later file
overrides an earlier one key by key, so that a user's file may hold a single fee.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from broker_api.calendar import load_calendar
from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from broker_api.instrument import (
    MAX_LOTS,
    MAX_TICKS,
    MAX_TIERS,
    NANOS,
    PPM,
    Instrument,
    MarginTier,
    from_table,
)
from broker_api.order import TriggerSource, parse_name

SHIPPED = Path(__file__).with_name("instruments.toml")
"""The catalogue that comes with papertape."""

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._/-]*")
_MONEY_MAX = Decimal(1_000_000_000)
_DAY_MINUTES = 24 * 60


class _TierTable(BaseModel):
    """One tier of `margin_tiers`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    notional_from: Decimal = Field(ge=0, le=_MONEY_MAX)
    initial_ppm: int = Field(ge=0, le=PPM)
    maintenance_ppm: int = Field(ge=0, le=PPM)

    @model_validator(mode="after")
    def _check_together(self) -> _TierTable:
        if self.maintenance_ppm > self.initial_ppm:
            raise ValueError(
                f"maintenance_ppm {self.maintenance_ppm} is above initial_ppm {self.initial_ppm}"
            )
        return self


class _InstrumentTable(BaseModel):
    """One table of a catalogue file; the fields are those of Instrument."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, defer_build=True)

    id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    exchange: str = Field(min_length=1)
    currency: str = Field(pattern=r"^[A-Z]{3,5}$")
    calendar: str
    tick_size: Decimal = Field(gt=0)
    tick_value: Decimal = Field(gt=0, le=_MONEY_MAX)
    lot_size: Decimal = Field(gt=0)
    min_size: Decimal = Field(gt=0)
    max_size: Decimal = Field(gt=0)
    fee_per_unit: Decimal = Field(default=Decimal(0), ge=-_MONEY_MAX, le=_MONEY_MAX)
    maker_fee_ppm: int = Field(default=0, ge=-PPM, le=PPM)
    taker_fee_ppm: int = Field(default=0, ge=-PPM, le=PPM)
    initial_margin: Decimal = Field(default=Decimal(0), ge=0, le=_MONEY_MAX)
    maintenance_margin: Decimal = Field(default=Decimal(0), ge=0, le=_MONEY_MAX)
    initial_margin_ppm: int = Field(default=0, ge=0, le=PPM)
    maintenance_margin_ppm: int = Field(default=0, ge=0, le=PPM)
    margin_tiers: tuple[_TierTable, ...] = Field(default=(), max_length=MAX_TIERS)
    overnight_initial_margin: Decimal | None = Field(default=None, ge=0, le=_MONEY_MAX)
    overnight_maintenance_margin: Decimal | None = Field(default=None, ge=0, le=_MONEY_MAX)
    overnight_from_minutes: int = Field(default=15, ge=0, lt=_DAY_MINUTES)
    price_band_ppm: int = Field(default=0, ge=0, le=PPM)
    price_band_ticks: int = Field(default=0, ge=0, le=MAX_TICKS)
    trigger_source: TriggerSource = TriggerSource.LAST
    allow_negative_price: bool = False
    significant_digits: int = Field(default=0, ge=0, le=20)
    expiry: str | None = None

    @field_validator("calendar")
    @classmethod
    def _check_calendar(cls, value: str) -> str:
        try:
            load_calendar(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("trigger_source", mode="before")
    @classmethod
    def _check_trigger_source(cls, value: object) -> TriggerSource:
        return parse_name(TriggerSource, value, "trigger_source")

    @field_validator("expiry", mode="before")
    @classmethod
    def _check_expiry(cls, value: object) -> str | None:
        if value is None or type(value) is dt.date:
            return None if value is None else value.isoformat()
        return dt.date.fromisoformat(str(value)).isoformat()

    @field_validator("min_size", "max_size")
    @classmethod
    def _check_multiple(cls, value: Decimal, info: Any) -> Decimal:
        lot = info.data.get("lot_size")
        if lot is not None and value / lot > MAX_LOTS:
            raise ValueError(f"is more than {MAX_LOTS} lots of {lot}")
        if lot is not None and value % lot != 0:
            raise ValueError(f"is not a multiple of lot_size {lot}")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> _InstrumentTable:
        if self.min_size > self.max_size:
            raise ValueError(f"min_size {self.min_size} is above max_size {self.max_size}")
        if self.maintenance_margin > self.initial_margin:
            raise ValueError(
                f"maintenance_margin {self.maintenance_margin} is above initial_margin "
                f"{self.initial_margin}"
            )
        if self.maintenance_margin_ppm > self.initial_margin_ppm:
            raise ValueError(
                f"maintenance_margin_ppm {self.maintenance_margin_ppm} is above initial_margin_ppm "
                f"{self.initial_margin_ppm}"
            )
        self._check_overnight()
        self._check_tiers()
        nanos = self.tick_value * self.lot_size * NANOS
        if nanos != nanos.to_integral_value():
            raise ValueError(
                f"tick_value {self.tick_value} of one lot of {self.lot_size} is not a whole number "
                f"of 1e-9 {self.currency}"
            )
        return self

    def _check_overnight(self) -> None:
        initial, maintenance = self.overnight_initial_margin, self.overnight_maintenance_margin
        night = self.initial_margin if initial is None else initial
        least = self.maintenance_margin if maintenance is None else maintenance
        if least > night:
            raise ValueError(f"maintenance margin {least} over night is above the initial {night}")

    def _check_tiers(self) -> None:
        if not self.margin_tiers:
            return
        if self.maintenance_margin_ppm:
            raise ValueError(
                f"maintenance_margin_ppm {self.maintenance_margin_ppm} has no meaning beside "
                "margin_tiers; each tier has its own"
            )
        starts = [tier.notional_from for tier in self.margin_tiers]
        if starts[0] != 0:
            raise ValueError(f"margin_tiers begin at notional_from {starts[0]}, not at 0")
        for before, after in pairwise(starts):
            if after <= before:
                raise ValueError(f"margin_tiers: notional_from {after} is not above {before}")


def load_catalog(*paths: Path | str) -> dict[str, Instrument]:
    """The shipped instruments with those of `paths` on top, by symbol, in the order of the files.

    Raises ConfigurationError that names file, table, key and value. Files are read again only when
    they have changed.
    """
    files = tuple((Path(path), _stamp(Path(path))) for path in (SHIPPED, *paths))
    return dict(_merged(files))


def find(catalog: Mapping[str, Instrument], name_or_id: str) -> Instrument:
    """The instrument with this symbol ("MNQ") or id ("CME:MNQ"), in any case.

    Raises ConfigurationError with the nearest name.
    """
    wanted = str(name_or_id).strip().upper()
    for instrument in catalog.values():
        if wanted in (instrument.symbol.upper(), instrument.id.upper()):
            return instrument
    hint = near_miss(wanted, [*catalog, *(instrument.id for instrument in catalog.values())])
    raise ConfigurationError(
        f"instrument {name_or_id!r} is not in the catalogue ({', '.join(catalog)}){hint}"
    )


def _stamp(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise ConfigurationError(f"catalogue file {path}: {error.strerror}") from None
    return state.st_mtime_ns, state.st_size


@cache
def _merged(files: tuple[tuple[Path, tuple[int, int]], ...]) -> dict[str, Instrument]:
    tables: dict[str, dict[str, Any]] = {}
    catalog: dict[str, Instrument] = {}
    for path, _ in files:
        for symbol, table in _read(path).items():
            tables[symbol] = _on_top(tables.get(symbol, {}), table)
            catalog[symbol] = _instrument(path, symbol, tables[symbol])
    _check_ids(files[-1][0], catalog)
    return catalog


def _on_top(below: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """Key by key; who gives one form of the maintenance rate ends the other."""
    forms = ("margin_tiers", "maintenance_margin_ppm")
    ended = [form for form in forms if any(other in table for other in forms if other != form)]
    return {key: value for key, value in below.items() if key not in ended} | table


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        # Decimals straight from the text: 0.1 never becomes a float.
        content = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"catalogue file {path}: {error}") from None
    for symbol, table in content.items():
        if not isinstance(table, dict):
            raise ConfigurationError(
                f"catalogue file {path}: {symbol} = {table!r} stands outside a table; every "
                f"instrument is a table, [{symbol.upper()}]"
            )
        if not _SYMBOL.fullmatch(symbol):
            raise ConfigurationError(
                f"catalogue file {path}: [{symbol}] is not a symbol; capital letters, digits, "
                '".", "_", "/" and "-" are allowed'
            )
    return content


def _instrument(path: Path, symbol: str, table: dict[str, Any]) -> Instrument:
    try:
        checked = _InstrumentTable(**table)
    except ValidationError as failure:
        faults = "; ".join(_fault(fault, symbol) for fault in failure.errors(include_url=False))
        raise ConfigurationError(f"catalogue file {path}: {faults}") from None
    tiers = tuple(MarginTier(**dict(tier)) for tier in checked.margin_tiers)
    return from_table(symbol, {**dict(checked), "margin_tiers": tiers})


def _fault(fault: Any, symbol: str) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        model = _InstrumentTable if len(fault["loc"]) == 1 else _TierTable
        names = list(model.model_fields)
        hint = near_miss(str(fault["loc"][-1]), names) or f"; known are {', '.join(names)}"
        return f"[{symbol}] has no key {key!r}{hint}"
    if fault["type"] == "missing":
        return f"[{symbol}] lacks the key {key!r}"
    text = fault["msg"].removeprefix("Value error, ")
    if not key:
        return f"[{symbol}] {text}"
    return f"[{symbol}] {key} = {_shown(fault['input'])}: {text[:1].lower()}{text[1:]}"


def _shown(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)


def _check_ids(path: Path, catalog: Mapping[str, Instrument]) -> None:
    owners: dict[str, str] = {}
    for symbol, instrument in catalog.items():
        for name in {instrument.id.upper(), symbol.upper()}:
            other = owners.setdefault(name, symbol)
            if other != symbol:
                raise ConfigurationError(
                    f"catalogue file {path}: {name!r} names both [{other}] and [{symbol}]"
                )
