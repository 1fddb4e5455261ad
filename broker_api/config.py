"""The settings of a session: what they are, their limits, and where a session finds them.

Every setting is checked when it is written: an unknown key, a wrong type or a value outside its
limits is a ConfigurationError that names the key, the value and the limit, with the nearest name.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from broker_api.errors import ConfigurationError, SecretError
from broker_api.instrument import PPM, Instrument, MarginTier, to_nanos
from broker_api.latency import Latency, latency_in_folder
from broker_api.order import BeyondTop, QueueModel, SelfTrade, parse_name


def web_address(value: str | None, example: str) -> str | None:
    """The value of a setting that names a server. Raises ValueError for what is no address."""
    if value is not None:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"is no address like {example}")
    return value


def near_miss(name: str, allowed: Iterable[str]) -> str:
    """`; did you mean "x"?` for the nearest of the allowed names, or an empty text."""
    near = difflib.get_close_matches(name, list(allowed), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


class Settings(BaseModel):
    """Base of all settings: frozen, no unknown keys, faults are ConfigurationError."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
        defer_build=True,  # most programs use a few of the settings: these are built, at first use
    )

    if not TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as failure:
                raise ConfigurationError(_message(type(self), failure)) from None
            except SecretError as failure:
                del values  # a traceback that shows local variables would show the secret
                raise failure.with_traceback(None) from None

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Any:
        """The settings in a table, as read from TOML. Raises ConfigurationError."""
        return cls(**values)


def _message(model: type[Settings], failure: ValidationError) -> str:
    lines = []
    for fault in failure.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            names = list(model.model_fields)
            hint = near_miss(key, names) or f"; known are {', '.join(names)}"
            lines.append(f"{model.__name__} has no setting {key!r}{hint}")
        elif fault["type"] == "missing":
            lines.append(f"{model.__name__}.{key} is missing")
        else:
            text = fault["msg"].removeprefix("Value error, ")
            text = text[:1].lower() + text[1:]
            lines.append(f"{model.__name__}.{key} = {fault['input']!r}: {text}")
    return "; ".join(lines)


def _name_in(enumeration: type[Enum], value: object, key: str) -> str:
    return parse_name(enumeration, value, key).name.lower()


class SimulationConfig(Settings):
    """How the simulated exchange behaves; docs/fills.md explains every rule that these choose.

    Latencies are milliseconds: `entry` from a command to the exchange, `response` from the exchange
    to the session, `feed` from the tape to the session's market data. Each is a number, or a table:
    `{min_ms, max_ms}`, `{quantiles_ms}` or `{file, column}`; see `broker_api.latency`. `seed` is
    that of all draws.
    """

    queue: str = "proportional"
    queue_power: float = 1.5
    beyond_top: str = "ladder"
    entry_latency_ms: Latency = 1.0
    response_latency_ms: Latency = 1.0
    feed_latency_ms: Latency = 0.0
    fees: bool = True
    self_trade: str = "cancel_newest"
    stop_wrong_side: Literal["reject", "trigger"] = "reject"
    trade_through: Literal["print", "all"] = "print"
    when_closed: Literal["reject", "queue"] = "reject"
    margin: bool = True
    bar_path: Literal["adaptive", "pessimistic", "ohlc", "olhc"] = "adaptive"
    spread_ticks: int = Field(default=1, ge=0, le=1_000_000)
    visit_every_row: bool = False
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    on_error: Literal["stop", "continue"] = "stop"

    @field_validator("queue", mode="before")
    @classmethod
    def _check_queue(cls, value: object) -> str:
        if isinstance(value, str) and value.strip().lower() == "exact":
            raise ValueError(
                "tapes hold rows of single orders and their origin, but the simulated exchange "
                "does not follow single orders yet; use proportional, displayed, front or back"
            )
        return _name_in(QueueModel, value, "queue")

    @field_validator("queue_power")
    @classmethod
    def _check_power(cls, value: float) -> float:
        if value not in (1.0, 1.5, 2.0):
            raise ValueError("is not one of 1, 1.5, 2")
        return value

    @field_validator("beyond_top", mode="before")
    @classmethod
    def _check_beyond_top(cls, value: object) -> str:
        return _name_in(BeyondTop, value, "beyond_top")

    @field_validator("self_trade", mode="before")
    @classmethod
    def _check_self_trade(cls, value: object) -> str:
        return _name_in(SelfTrade, value, "self_trade")

    @property
    def queue_model(self) -> QueueModel:
        """`queue` as the enumeration."""
        return parse_name(QueueModel, self.queue, "queue")

    @property
    def beyond_top_model(self) -> BeyondTop:
        """`beyond_top` as the enumeration."""
        return parse_name(BeyondTop, self.beyond_top, "beyond_top")

    @property
    def self_trade_policy(self) -> SelfTrade:
        """`self_trade` as the enumeration."""
        return parse_name(SelfTrade, self.self_trade, "self_trade")


class AccountConfig(Settings):
    """The simulated account at the start of a session, and how it margins its positions.

    `leverage` maps instruments, by symbol or id, to whole numbers: the notional that one unit of
    margin carries. Positions of the instruments in `isolated` have a margin of their own.
    """

    name: str = Field(default="SIM", min_length=1)
    currency: str = Field(default="USD", min_length=1)
    cash: float = Field(default=50_000.0, ge=0.0, le=1e9)
    leverage: dict[str, Annotated[int, Field(ge=1, le=PPM)]] = Field(default_factory=dict)
    isolated: tuple[str, ...] = ()

    @property
    def cash_nanos(self) -> int:
        """Starting cash in 1e-9 of the currency."""
        return to_nanos(self.cash)

    def is_isolated(self, instrument: Instrument) -> bool:
        """True when positions of the instrument have a margin of their own."""
        return any(_names(name, instrument) for name in self.isolated)

    def margin_tiers(self, instrument: Instrument) -> tuple[MarginTier, ...]:
        """The instrument's tiers with the initial rates that this account pays.

        Those of its leverage where it names one, else of the instrument's `initial_margin_ppm`,
        but never less than a tier's own.
        """
        least = instrument.initial_margin_ppm
        for name, leverage in self.leverage.items():
            if _names(name, instrument):
                least = -(-PPM // leverage)
        return tuple(
            tier._replace(initial_ppm=max(tier.initial_ppm, least)) for tier in instrument.tiers
        )

    def with_leverage(
        self, instrument: Instrument, leverage: int, *, isolated: bool
    ) -> AccountConfig:
        """The same account with another leverage and margin mode of one instrument."""
        others = {k: v for k, v in self.leverage.items() if not _names(k, instrument)}
        alone = tuple(name for name in self.isolated if not _names(name, instrument))
        changed = {
            "leverage": others | {instrument.symbol: leverage},
            "isolated": (*alone, instrument.symbol) if isolated else alone,
        }
        return AccountConfig(**(self.model_dump() | changed))

    def check_instruments(self, instruments: Sequence[Instrument]) -> None:
        """Raise ConfigurationError for names and leverages that do not fit these instruments."""
        for key, named in (("leverage", tuple(self.leverage)), ("isolated", self.isolated)):
            found = [_named(key, name, instruments) for name in named]
            for spec in instruments:
                if sum(each is spec for each in found) > 1:
                    raise ConfigurationError(
                        f"AccountConfig.{key} names {spec.symbol} more than once"
                    )
        for name, leverage in self.leverage.items():
            spec = _named("leverage", name, instruments)
            rate = spec.tiers[0].initial_ppm
            if rate == 0:
                raise ConfigurationError(
                    f"AccountConfig.leverage of {name} = {leverage}: the margin of {spec.symbol} "
                    "is per unit and knows no leverage"
                )
            if leverage > PPM // rate:
                raise ConfigurationError(
                    f"AccountConfig.leverage of {name} = {leverage} is above the "
                    f"{PPM // rate} of {spec.symbol}"
                )


def _names(name: str, instrument: Instrument) -> bool:
    return name.strip().upper() in (instrument.symbol.upper(), instrument.id.upper())


def _named(key: str, name: str, instruments: Sequence[Instrument]) -> Instrument:
    for instrument in instruments:
        if _names(name, instrument):
            return instrument
    symbols = [instrument.symbol for instrument in instruments]
    hint = near_miss(name.strip().upper(), symbols) or f"; it has {', '.join(symbols)}"
    raise ConfigurationError(
        f"AccountConfig.{key} names {name!r}, which is no instrument of this session{hint}"
    )


class OrderManagerConfig(Settings):
    """How the order manager behaves.

    `max_concurrent_orders` refuses the next working entry; held and exposure-reducing orders are
    never refused. `default_timeout` is in seconds of session time, for waits and requests.
    `retry_attempts` repeats reads and submissions that surely did not arrive, never those whose
    outcome is unknown. `enable_order_tracking=False` forgets orders that have ended.
    `track_performance` keeps the response times. `auto_cancel_on_disconnect` cancels working
    entries, and exits only when flat. The `stop_` settings are for brokers without brackets: a
    refused stop is placed again after `stop_retry_seconds`, later each time; its position is closed
    at market when it was refused `stop_attempts` times or misses for `stop_close_after_seconds`.
    """

    max_concurrent_orders: int = Field(default=100, ge=1)
    default_timeout: float = Field(default=30.0, gt=0.0)
    retry_attempts: int = Field(default=3, ge=0, le=100)
    enable_order_tracking: bool = True
    track_performance: bool = True
    auto_cancel_on_disconnect: bool = False
    stop_retry_seconds: float = Field(default=0.5, gt=0.0, le=60.0)
    stop_attempts: int = Field(default=4, ge=1, le=100)
    stop_close_after_seconds: float = Field(default=10.0, gt=0.0, le=3600.0)


@dataclass(frozen=True)
class BrokerSpec:
    """What a broker is made from. `tapes` has one entry an instrument: a path, a tape, or None.

    A live broker knows best what it trades: it gets the names that were written (`symbols`), and
    `instruments` are those of them that the catalogue has. `options` are its own settings.
    """

    instruments: tuple[Instrument, ...]
    tapes: tuple[object, ...]
    simulation: SimulationConfig = field(default_factory=SimulationConfig)
    account: AccountConfig = field(default_factory=AccountConfig)
    symbols: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class SessionDefaults:
    """What `TradingSuite.create` uses for the arguments that a script leaves out.

    `tapes` maps symbols to paths or tapes; `risk` are account rules, their name, or a table of
    them, with paths relative to `risk_folder`. `rehearse_for` names the venue that a simulation
    rehearses for. `forced` are settings of the simulation that win over the script's own.
    `around` makes of a session's broker the one that it gets: the same in a storm. `recorder` keeps
    what the session records elsewhere too; `on_session` is called with a suite when it was made.
    `sessions` collects the suites that were created meanwhile, in order, for whoever set these.
    """

    instruments: tuple[str, ...] = ()
    tapes: dict[str, object] = field(default_factory=dict)
    broker: str | None = None
    broker_options: dict[str, Any] = field(default_factory=dict)
    simulation: SimulationConfig | None = None
    account: AccountConfig | None = None
    order_manager_config: OrderManagerConfig | None = None
    risk: Any = None
    risk_folder: Path = Path()
    rehearse_for: str | None = None
    catalog_files: tuple[Path, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    forced: dict[str, Any] = field(default_factory=dict)
    around: Callable[[Any], Any] | None = None
    recorder: Any = None
    on_session: Callable[[Any], None] | None = None
    sessions: list[Any] = field(default_factory=list)


_current: SessionDefaults | None = None


def current_defaults() -> SessionDefaults | None:
    """The defaults in force, None outside every `use_defaults`."""
    return _current


@contextmanager
def use_defaults(defaults: SessionDefaults) -> Iterator[SessionDefaults]:
    """Put `defaults` in force for every suite created inside the block."""
    global _current
    previous, _current = _current, defaults
    try:
        yield defaults
    finally:
        _current = previous


SETTINGS_FILE = "papertape.toml"
FILE_KEYS = (
    "broker",
    "broker_options",
    "instruments",
    "catalog",
    "tapes",
    "simulation",
    "account",
    "order_manager",
    "risk",
    "rehearse_for",
    "parameters",
)
"""What `papertape.toml` may hold; a scenario's file may too."""


def read_settings(path: Path) -> SessionDefaults:
    """The defaults in a `papertape.toml`. Paths in it are relative to the file.

    Raises ConfigurationError that names the file and the key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as failure:
        raise ConfigurationError(f"{path}: cannot be read: {failure}") from None
    except tomllib.TOMLDecodeError as failure:
        raise ConfigurationError(f"{path}: no valid TOML: {failure}") from None
    try:
        return defaults_from_table(table, path.parent)
    except ConfigurationError as failure:
        raise ConfigurationError(f"{path}: {failure}") from None


def defaults_from_table(table: Mapping[str, Any], folder: Path) -> SessionDefaults:
    """The defaults in a table of settings, with paths relative to `folder`."""
    for key in table:
        if key not in FILE_KEYS:
            known = near_miss(key, FILE_KEYS) or f"; known are {', '.join(FILE_KEYS)}"
            raise ConfigurationError(f"unknown setting {key!r}{known}")
    tapes = _typed(table, "tapes", dict, {})
    catalog = _typed(table, "catalog", list, [])
    risk = table.get("risk")
    return SessionDefaults(
        instruments=tuple(_typed(table, "instruments", list, [])),
        tapes={symbol: folder / str(tape) for symbol, tape in tapes.items()},
        broker=_typed(table, "broker", str, None),
        broker_options=_typed(table, "broker_options", dict, {}),
        simulation=_simulation(table, folder),
        account=_section(table, "account", AccountConfig),
        order_manager_config=_section(table, "order_manager", OrderManagerConfig),
        risk=risk if isinstance(risk, str) else _typed(table, "risk", dict, None),
        risk_folder=folder,
        rehearse_for=_typed(table, "rehearse_for", str, None),
        catalog_files=tuple(folder / str(name) for name in catalog),
        parameters=_typed(table, "parameters", dict, {}),
    )


def _typed(table: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = table.get(key, default)
    if value is not default and not isinstance(value, kind):
        raise ConfigurationError(f"{key} = {value!r} is not a {kind.__name__}")
    return value


def _section(table: Mapping[str, Any], key: str, model: type[Settings]) -> Any:
    values = _typed(table, key, dict, None)
    return None if values is None else model.parse(values)


def _simulation(table: Mapping[str, Any], folder: Path) -> SimulationConfig | None:
    values = _typed(table, "simulation", dict, None)
    if values is None:
        return None
    beside = {key: latency_in_folder(value, folder) for key, value in values.items()}
    settings: SimulationConfig = SimulationConfig.parse(beside)
    return settings
