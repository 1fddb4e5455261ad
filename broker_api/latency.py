"""Latencies as they are written in settings: a number, a distribution, or a file of measured ones.

Times are milliseconds where users write them and whole nanoseconds everywhere else. The draws
themselves are the simulation's; see `sim.latency`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import PlainSerializer, PlainValidator

from broker_api.errors import ConfigurationError

LATENCY_MS_MAX = 3_600_000.0
NS_OF_MS = 1_000_000


@dataclass(frozen=True)
class UniformLatency:
    """Every latency from `min_ms` to `max_ms` is as likely as any other."""

    min_ms: float
    max_ms: float

    def __str__(self) -> str:
        return f"{self.min_ms:g} to {self.max_ms:g} ms"


@dataclass(frozen=True)
class QuantileLatency:
    """A distribution by its quantiles at equal steps of probability, the least and most included.

    Between two neighbours every latency is as likely as any other.
    """

    quantiles_ms: tuple[float, ...]

    def __str__(self) -> str:
        low, high = self.quantiles_ms[0], self.quantiles_ms[-1]
        return f"{low:g} to {high:g} ms by {len(self.quantiles_ms)} quantiles"


@dataclass(frozen=True)
class FileLatency:
    """Latencies in a Parquet file: `column` in milliseconds, and maybe `ts`, when they were seen.

    `content_hash` is the SHA-256 of the file; a file of other content is refused.
    """

    file: str
    column: str
    content_hash: str

    def __str__(self) -> str:
        return f"as in {Path(self.file).name} ({self.column})"

    def samples(self) -> LatencySamples:
        """What the file holds. Raises ConfigurationError when it is not what it was."""
        try:
            return _read(self.file, self.column, self.content_hash)[1]
        except ValueError as fault:
            raise ConfigurationError(f"latency: {fault}") from None


class LatencySamples(NamedTuple):
    """Measured latencies in ns, and their times in ns (in order), None where the file has none."""

    ts: npt.NDArray[np.int64] | None
    latency: npt.NDArray[np.int64]


LatencySetting = float | UniformLatency | QuantileLatency | FileLatency
_TABLES: tuple[type[UniformLatency | QuantileLatency | FileLatency], ...] = (
    UniformLatency,
    QuantileLatency,
    FileLatency,
)


def to_ns(milliseconds: float) -> int:
    """A latency of the settings in nanoseconds."""
    return round(milliseconds * NS_OF_MS)


def parse_latency(value: object) -> LatencySetting:
    """The setting that a number or a table means. Raises ValueError that says what is wrong."""
    if isinstance(value, Mapping):
        return _parse_table(value)
    if isinstance(value, _TABLES):
        return value
    return _milliseconds(value)


def as_written(setting: LatencySetting) -> float | dict[str, Any]:
    """The number or the table that `parse_latency` makes the setting of."""
    return setting if isinstance(setting, float) else asdict(setting)


Latency = Annotated[LatencySetting, PlainValidator(parse_latency), PlainSerializer(as_written)]
"""A field of settings that holds a latency."""


def latency_text(value: object) -> str:
    """A latency of the settings, also as a table, in words: `1 ms`, `1 to 3 ms`."""
    if isinstance(value, Mapping) and "file" in value:
        return str(FileLatency(str(value["file"]), str(value.get("column")), ""))
    setting = parse_latency(value)
    return f"{setting:g} ms" if isinstance(setting, float) else str(setting)


def latency_in_folder(value: object, folder: Path) -> object:
    """The setting as written in a file of settings: a file that it names lies beside that file."""
    if isinstance(value, Mapping) and isinstance(value.get("file"), str):
        return {**value, "file": str(folder / value["file"])}
    return value


def _milliseconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        raise ValueError(
            "is no number of milliseconds and no table: "
            "{min_ms=, max_ms=}, {quantiles_ms=[...]} or {file=, column=}"
        )
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("input should be a finite number")
    if number < 0:
        raise ValueError("input should be greater than or equal to 0")
    if number > LATENCY_MS_MAX:
        raise ValueError(f"input should be less than or equal to {LATENCY_MS_MAX:.0f}")
    return number


def _parse_table(table: Mapping[str, Any]) -> LatencySetting:
    if "quantiles_ms" in table:
        _only(table, QuantileLatency)
        return _quantiles(table["quantiles_ms"])
    if "file" in table or "column" in table:
        _only(table, FileLatency)
        return _file(table)
    _only(table, UniformLatency)
    low, high = (_entry(table, name) for name in ("min_ms", "max_ms"))
    if low > high:
        raise ValueError(f"min_ms = {low:g} is above max_ms = {high:g}")
    return UniformLatency(low, high)


def _only(table: Mapping[str, Any], kind: type[Any]) -> None:
    known = [field.name for field in fields(kind)]
    for name in table:
        if name not in known:
            raise ValueError(f"has no key {name!r} beside {', '.join(known[:2])}")


def _entry(table: Mapping[str, Any], name: str) -> float:
    if name not in table:
        raise ValueError(f"needs {name}")
    try:
        return _milliseconds(table[name])
    except ValueError as fault:
        raise ValueError(f"{name} = {table[name]!r}: {fault}") from None


def _quantiles(values: object) -> QuantileLatency:
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise ValueError(f"quantiles_ms = {values!r} is no list of milliseconds")
    found: list[float] = []
    for place, value in enumerate(values):
        try:
            found.append(_milliseconds(value))
        except ValueError as fault:
            raise ValueError(f"quantiles_ms[{place}] = {value!r}: {fault}") from None
        if place and found[-2] > found[-1]:
            raise ValueError(
                f"quantiles_ms[{place}] = {value!r} is below the one before it, {found[-2]:g}"
            )
    if len(found) < 2:
        raise ValueError("quantiles_ms needs the least and the most latency, so two or more")
    return QuantileLatency(tuple(found))


# --- files ---------------------------------------------------------------------------------------


def _file(table: Mapping[str, Any]) -> FileLatency:
    for name in ("file", "column"):
        if name not in table:
            raise ValueError(f"needs {name}")
    file, column = str(table["file"]), table["column"]
    if not isinstance(column, str):
        raise ValueError(f"column = {column!r} is no name")
    wanted = table.get("content_hash")
    return FileLatency(
        file, column, _read(file, column, None if wanted is None else str(wanted))[0]
    )


def _read(file: str, column: str, wanted: str | None) -> tuple[str, LatencySamples]:
    # Arrow is imported for those who have such a file.
    from broker_api.latency_file import read_latencies

    return read_latencies(file, column, wanted)
