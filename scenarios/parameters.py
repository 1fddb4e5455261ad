"""`--set key=value`: from the command line to the arguments of a strategy function, and
`--set simulation.key=value` to the settings of the simulation."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError

_CHECKED = {"int": int, "float": float, "bool": bool, "str": str}


def split_assignments(texts: Iterable[str]) -> dict[str, str]:
    """`["fast=10", "name=x"]` as names and raw texts; a later one wins over an earlier.

    Raises ConfigurationError for a text that is no `key=value`.
    """
    assignments = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigurationError(f"--set {text!r} is not of the form key=value, like fast=10")
        assignments[name.strip()] = value.strip()
    return assignments


_SETTINGS = "simulation."


def split_settings(texts: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The texts that are arguments of the strategy, and the simulation's settings by name.

    >>> split_settings(["fast=10", "simulation.queue=back"])
    (['fast=10'], {'queue': 'back'})
    """
    arguments = [text for text in texts if not text.startswith(_SETTINGS)]
    settings = [text.removeprefix(_SETTINGS) for text in texts if text.startswith(_SETTINGS)]
    return arguments, split_assignments(settings)


def literal(text: str) -> Any:
    """The TOML value that the text is, else the text itself.

    >>> literal("0.5"), literal("true"), literal("MNQ"), literal("[1, 2]")
    (0.5, True, 'MNQ', [1, 2])
    """
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return table["value"] if list(table) == ["value"] else text


def bind(
    strategy: Callable[..., Any], settings: Mapping[str, Any], assignments: Mapping[str, str]
) -> dict[str, Any]:
    """The keyword arguments for `strategy(suite, ...)`: a file's settings, then the command line's.

    Raises ConfigurationError for a name that the function does not take (with the nearest that it
    does), for one that it needs and that nobody gave, and for a value of another type than the
    function's annotation (int, float, bool, str).
    """
    takes = list(inspect.signature(strategy).parameters.values())[1:]
    named = {
        parameter.name: parameter
        for parameter in takes
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes)
    arguments: dict[str, Any] = {}
    for name, value in {**settings, **assignments}.items():
        if name not in named and not takes_any:
            raise ConfigurationError(_unknown(strategy.__name__, name, list(named)))
        text = value if name in assignments else None
        kind = _kind(named[name]) if name in named else None
        arguments[name] = _checked(name, value if text is None else literal(text), text, kind)
    missing = [
        name
        for name, parameter in named.items()
        if parameter.default is parameter.empty and name not in arguments
    ]
    if missing:
        needed = " ".join(f"--set {name}=..." for name in missing)
        raise ConfigurationError(f"strategy {strategy.__name__} needs {needed}")
    return arguments


def _unknown(strategy: str, name: str, known: list[str]) -> str:
    if not known:
        return f"strategy {strategy} takes no parameters; {name} was given"
    return (
        f"strategy {strategy} has no parameter {name!r}; it has {', '.join(known)}"
        f"{near_miss(name, known)}"
    )


def _kind(parameter: inspect.Parameter) -> type | None:
    annotation = parameter.annotation
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return _CHECKED.get(name)


def _checked(name: str, value: Any, text: str | None, kind: type | None) -> Any:
    if kind is None or type(value) is kind:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if kind is str and text is not None:
        return text
    shown = text if text is not None else value
    raise ConfigurationError(f"parameter {name} = {shown!r} is not of type {kind.__name__}")
