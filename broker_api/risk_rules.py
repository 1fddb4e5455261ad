"""Account rules as settings: what they are, their limits, and presets of several together.

A preset is a table of rules under a name, in a TOML file: `risk_presets.toml` beside this file is
the form to copy and edit. What the rules do is in `risk_machine.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from broker_api.codes import Reason
from broker_api.config import Settings, near_miss
from broker_api.errors import ConfigurationError

PRESETS_FILE = Path(__file__).with_name("risk_presets.toml")
_SEPARATOR = ":"

RULE_NAMES: dict[Reason, str] = {
    Reason.RISK_LIMIT: "max_order_size",
    Reason.POSITION_LIMIT: "max_position_size",
    Reason.DAILY_LOSS: "daily_loss",
    Reason.TRAILING_DRAWDOWN: "trailing_drawdown",
    Reason.CONTRACTS: "contracts",
    Reason.FLAT_BY: "flat_by",
    Reason.ORDER_RATE: "order_rate",
    Reason.FAR_FROM_MARKET: "price_band",
    Reason.KILL_SWITCH: "kill_switch",
}
"""By the reason of an event or refusal, the setting of RiskRules that it comes from."""

Amount = Annotated[Decimal, Field(gt=0, le=10**12)]
Action = Literal["refuse", "flatten", "halt"]
Until = Literal["day", "good"]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not the name of a time zone, such as America/Chicago") from None
    return name


class Rule(Settings):
    """What every rule has: the action at a breach, and how long a halt lasts.

    "refuse" refuses what adds exposure while the limit is broken; "flatten" also cancels the orders
    that could add exposure and closes every position; "halt" does so and refuses until the trading
    day ends ("day") or for good ("good"), whatever the limit says meanwhile.
    """

    action: Action = "refuse"
    until: Until = "day"


class DailyLoss(Rule):
    """Equity at the trading day's start less equity now reaches `limit` (account currency)."""

    limit: Amount
    action: Action = "halt"


class TrailingDrawdown(Rule):
    """Equity comes down to a floor: `limit` below the highest equity.

    "intraday" takes the highest that any look saw, open profit included; "end_of_day" the highest
    at which a trading day ended. The floor never falls, and stops rising `locks_at` above the
    balance at the start, where that is given.
    """

    limit: Amount
    basis: Literal["intraday", "end_of_day"] = "intraday"
    locks_at: Annotated[Decimal, Field(ge=0, le=10**12)] | None = None
    action: Action = "halt"
    until: Until = "good"


class ContractStep(Settings):
    """From this profit on, this limit: the profit is that at the start of the trading day."""

    profit: Decimal
    limit: Amount


class Contracts(Rule):
    """The most contracts of all instruments together, if every working entry filled.

    `weights` says what one unit of an instrument, by its symbol, counts as; 1 where it is not named
    (a micro may count as a tenth of a mini). `steps` replace `limit` as the profit grows.
    """

    limit: Amount
    steps: tuple[ContractStep, ...] = ()
    weights: dict[str, Annotated[Decimal, Field(ge=0, le=1000)]] = Field(default_factory=dict)


class FlatBy(Rule):
    """No position from a time of day on, and no new one until the trading day ends.

    `at` is a time in `timezone`, and holds on days in whose session it lies; `minutes_before_close`
    counts from the session's end and also holds on days that end early. The earlier one counts.
    """

    at: time | None = None
    timezone: str = "UTC"
    minutes_before_close: Annotated[int, Field(ge=1, le=1440)] | None = None
    action: Literal["refuse", "flatten"] = "flatten"
    until: Literal["day"] = "day"

    _check_zone = field_validator("timezone")(_zone)

    @model_validator(mode="after")
    def _check_some(self) -> FlatBy:
        if self.at is None and self.minutes_before_close is None:
            raise ValueError("needs a time of day, at, or minutes_before_close")
        return self


class OrderRate(Rule):
    """At most `limit` orders and changes of orders within 60 seconds. Cancels do not count."""

    limit: Annotated[int, Field(ge=1, le=1_000_000)]


class PriceBand(Rule):
    """A limit price at most so far from the market's middle, on either side.

    Of a stop-limit order the distance is that to its stop price. The narrower of two counts.
    """

    ticks: Annotated[int, Field(ge=1, le=10**9)] | None = None
    percent: Annotated[Decimal, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _check_some(self) -> PriceBand:
        if self.ticks is None and self.percent is None:
            raise ValueError("needs ticks or percent")
        return self


class KillSwitch(Rule):
    """A file: while it is there, the action is in force. Its content does not matter."""

    file: Path
    action: Action = "halt"
    until: Until = "good"


class TradingDay(Settings):
    """When a trading day ends: by a calendar's sessions, or at a time of day.

    Without either, by the calendar of the session's first instrument.
    """

    calendar: str | None = None
    ends: time | None = None
    timezone: str = "UTC"

    _check_zone = field_validator("timezone")(_zone)

    @model_validator(mode="after")
    def _check_one(self) -> TradingDay:
        if self.calendar is not None and self.ends is not None:
            raise ValueError("has a calendar and a time at which the day ends; give one")
        return self


class RiskRules(Settings):
    """Every account rule; None does not limit. Amounts are in the account's currency.

    `max_order_size` and `max_position_size` are in each instrument's own units; the latter bounds
    the position if all working entries of its side filled. Orders that reduce exposure, and
    cancels, are never refused. While a position is open its value is looked at every
    `check_seconds` of session time, and after every fill and payment.
    """

    about: str = ""
    max_order_size: Amount | None = None
    max_position_size: Amount | None = None
    daily_loss: DailyLoss | None = None
    trailing_drawdown: TrailingDrawdown | None = None
    contracts: Contracts | None = None
    flat_by: FlatBy | None = None
    order_rate: OrderRate | None = None
    price_band: PriceBand | None = None
    kill_switch: KillSwitch | None = None
    day: TradingDay = Field(default_factory=TradingDay)
    check_seconds: Annotated[float, Field(ge=0.01, le=3600)] = 1.0

    @property
    def names(self) -> tuple[str, ...]:
        """The rules that limit something."""
        return tuple(name for name in RULE_NAMES.values() if getattr(self, name) is not None)

    @property
    def is_empty(self) -> bool:
        """True when nothing is limited."""
        return not self.names

    @property
    def watches_equity(self) -> bool:
        """True when a rule depends on the value of open positions."""
        return self.daily_loss is not None or self.trailing_drawdown is not None


RiskConfig = RiskRules
"""The name that other settings of a session have."""

RiskSource = RiskRules | Mapping[str, Any] | Path | str
"""What names rules: themselves, a table, a preset, a file, or a preset of a file: FILE:PRESET."""


def rules_of(source: RiskSource | None, folder: Path = Path()) -> RiskRules:
    """The rules that `source` names; paths are relative to `folder`. None limits nothing.

    A table may name a `preset` and change single rules of it. Raises ConfigurationError.
    """
    if source is None:
        return RiskRules()
    if isinstance(source, RiskRules):
        return source
    if isinstance(source, Mapping):
        return _parsed(source, folder)
    if isinstance(source, Path | str):
        text = str(source)
        presets = _presets(PRESETS_FILE)
        if text in presets:
            return _parsed(presets[text], folder)
        return _of_file(text, folder)
    raise ConfigurationError(f"risk = {source!r} is no preset, file, table or RiskRules")


def preset_names() -> tuple[str, ...]:
    """The presets that ship with papertape."""
    return tuple(_presets(PRESETS_FILE))


def _of_file(text: str, folder: Path) -> RiskRules:
    path, name = folder / text, ""
    if not path.is_file() and _SEPARATOR in text:
        before, _, name = text.rpartition(_SEPARATOR)
        path = folder / before
    if not path.is_file():
        known = preset_names()
        hint = near_miss(text, known) or f"; the presets are {', '.join(known)}"
        raise ConfigurationError(f"risk {text!r} is neither a preset nor a file{hint}")
    presets = _presets(path)
    if not name and len(presets) == 1:
        (name,) = presets
    if name not in presets:
        fault = f"has no preset {name!r}" if name else "has several presets: name one, FILE:PRESET"
        raise ConfigurationError(
            f"{path} {fault}{near_miss(name, presets) or '; it has ' + ', '.join(presets)}"
        )
    try:
        return _parsed(presets[name], path.parent)
    except ConfigurationError as failure:
        raise ConfigurationError(f"{path}: {name}: {failure}") from None


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    return tomllib.loads(PRESETS_FILE.read_text(encoding="utf-8"))


def _presets(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a file, by name."""
    if path == PRESETS_FILE:
        return _shipped()
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as failure:
        raise ConfigurationError(f"{path}: cannot be read: {failure}") from None
    except tomllib.TOMLDecodeError as failure:
        raise ConfigurationError(f"{path}: no valid TOML: {failure}") from None
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigurationError(
                f"{path}: {name!r} is not a table: rules stand under the name of a preset, as in "
                f"[my-account] and [my-account.daily_loss]"
            )
    if not tables:
        raise ConfigurationError(f"{path}: holds no preset")
    return tables


def _parsed(table: Mapping[str, Any], folder: Path) -> RiskRules:
    values = dict(table)
    preset = values.pop("preset", None)
    if preset is not None:
        base = rules_of(str(preset), folder).model_dump(exclude_unset=True)
        values = {**base, **values}
    rules: RiskRules = RiskRules.parse(values)
    switch = rules.kill_switch
    if switch is None or (preset is not None and "kill_switch" not in table):
        return rules
    beside = switch.model_copy(update={"file": folder / switch.file})
    return rules.model_copy(update={"kill_switch": beside})
