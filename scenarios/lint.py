"""What a script asks for and a venue does not have, as far as its text tells: before it runs.

Looks at the calls of order verbs that the run can reach: from the file's own statements, or from a
strategy function, through the functions and classes of the file by their names. Only what is
written out is known (a verb, `time_in_force="FOK"`); everything else is refused when it is sent.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from broker_api.capabilities import Ask, Capabilities, Lack, lacks, rehearsed
from broker_api.errors import ConfigurationError
from broker_api.order import OrderType, TimeInForce

_VERBS: Mapping[str, OrderType] = {
    "place_market_order": OrderType.MARKET,
    "place_limit_order": OrderType.LIMIT,
    "place_stop_order": OrderType.STOP,
    "place_stop_limit_order": OrderType.STOP_LIMIT,
    "place_trailing_stop_order": OrderType.TRAILING_STOP,
    "place_market_if_touched_order": OrderType.MARKET_IF_TOUCHED,
    "place_limit_if_touched_order": OrderType.LIMIT_IF_TOUCHED,
}
_BRACKET, _OCO = "place_bracket_order", "place_oco_order"
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Fault:
    """One call that the venue does not support."""

    line: int
    verb: str
    lack: Lack


def check_script(path: Path, strategy: str | None, venue: str) -> None:
    """Raise ConfigurationError for everything that the script would be refused for at the venue.

    A file that is no Python is left to whoever runs it.
    """
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (OSError, SyntaxError, ValueError):
        return
    faults = list(faults_of(tree, strategy, rehearsed(venue)))
    if faults:
        lines = [
            f"{path}:{each.line}: {each.verb}: {venue} has no {each.lack.what}; {each.lack.instead}"
            for each in faults
        ]
        raise ConfigurationError("\n".join([f"this would be refused at {venue}:", *lines]))


def faults_of(tree: ast.Module, strategy: str | None, has: Capabilities) -> Iterator[Fault]:
    """The calls of a file that ask for what the venue does not have, by line."""
    found = set()
    for node in _reached(tree, strategy):
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                for ask in _asks(call.func.attr, call):
                    for lack in lacks(has, ask):
                        found.add((call.lineno, call.func.attr, lack))
    for line, verb, lack in sorted(found):
        yield Fault(line, verb, lack)


def _reached(tree: ast.Module, strategy: str | None) -> Iterator[ast.AST]:
    """The statements of the file and the definitions that they, or the strategy, can come to."""
    defined: dict[str, _Definition] = {}
    waiting: list[ast.AST] = []
    for node in tree.body:
        if isinstance(node, _Definition):
            defined[node.name] = node
        else:
            waiting.append(node)
    start = _start(defined, strategy)
    waiting += [defined.pop(name) for name in start]
    while waiting:
        reached = waiting.pop()
        yield reached
        for each in ast.walk(reached):
            name = each.id if isinstance(each, ast.Name) else None
            if name in defined:
                waiting.append(defined.pop(name))


def _start(defined: Mapping[str, _Definition], strategy: str | None) -> list[str]:
    """The strategy, else every coroutine function that takes a suite."""
    if strategy is not None:
        return [strategy] if strategy in defined else []
    return [
        name
        for name, node in defined.items()
        if isinstance(node, ast.AsyncFunctionDef)
        and [a.arg for a in node.args.args][:1] == ["suite"]
    ]


def _asks(verb: str, call: ast.Call) -> Iterator[Ask]:
    """What a call asks for, as far as it is written out."""
    words = {each.arg: _constant(each.value) for each in call.keywords if each.arg is not None}
    if verb in _VERBS:
        yield _ask(_VERBS[verb], words)
    elif verb == _BRACKET:
        yield from _bracket_asks(words)
    elif verb == _OCO:
        for leg in (*call.args, *(each.value for each in call.keywords)):
            if isinstance(leg, ast.Dict):
                yield from _leg_asks(leg, words)


def _bracket_asks(words: Mapping[str, object]) -> Iterator[Ask]:
    if _is_given(words, "entry_stop_price"):
        is_limited = _is_given(words, "entry_price")
        yield _ask(OrderType.STOP_LIMIT if is_limited else OrderType.STOP, words)
    elif _is_given(words, "entry_price"):
        yield _ask(OrderType.LIMIT, words)
    if _is_given(words, "trail_offset"):
        yield Ask(OrderType.TRAILING_STOP)
    if _is_given(words, "stop_limit_offset"):
        yield Ask(OrderType.STOP_LIMIT)


def _leg_asks(leg: ast.Dict, shared: Mapping[str, object]) -> Iterator[Ask]:
    words: dict[str, object] = dict(shared)
    for key, value in zip(leg.keys, leg.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            words[key.value] = _constant(value)
    kind = words.get("type")
    name = kind.strip().upper().replace("-", "_") if isinstance(kind, str) else ""
    if name in OrderType.__members__:
        yield _ask(OrderType[name], words)


def _ask(order_type: OrderType, words: Mapping[str, object]) -> Ask:
    force = words.get("time_in_force")
    name = force.strip().upper() if isinstance(force, str) else ""
    known = TimeInForce.__members__.get(name)
    if known is None and _is_given(words, "expires_at"):
        known = TimeInForce.GTD
    ticks = words.get("trail_ticks")
    return Ask(
        order_type,
        known,
        words.get("post_only") is True,
        _is_given(words, "protection_ticks"),
        _is_given(words, "activation_price"),
        ticks if isinstance(ticks, int) else None,
    )


class _Unknown:
    """A value that is not written out."""


_UNKNOWN = _Unknown()


def _constant(node: ast.expr) -> object:
    """The value that is written there; a member by its name, as in TimeInForce.FOK."""
    if isinstance(node, ast.Constant):
        return node.value
    is_member = isinstance(node, ast.Attribute) and node.attr.isupper()
    return node.attr if is_member and isinstance(node, ast.Attribute) else _UNKNOWN


def _is_given(words: Mapping[str, object], name: str) -> bool:
    """Whether an argument is there and is not None."""
    return name in words and words[name] is not None
