"""What is known of a watched session, for any thread: messages in, a snapshot and messages out.

A message is a table for JSON with a `type`; the board numbers it, takes it in, and hands it on. A
snapshot says with `number` which message was the last that it contains.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

VERSION = 1
PRICES_MAX = 7_200
"""Prices of one instrument that a chart can show, one a second: two hours."""
FILLS_MAX = 500
LOG_MAX = 500

Message = dict[str, Any]
Sink = Callable[[Message], None]
"""Takes a message, at once and in the session's thread: it may only put it somewhere."""


class Watched(Protocol):
    """Of a watch, what looking needs."""

    def snapshot(self) -> Mapping[str, Any]:
        """Everything that is known now."""

    def subscribe(self, sink: Sink) -> object:
        """Hand every later message to `sink`."""


class Board:
    """The newest state of one session. One thread tells, any may look and subscribe.

    Types of messages: "session", "account", "health" (what changed of the section), "risk",
    "quote", "order" (taken out when its `working` is false), "position", "fill", "log".
    """

    def __init__(self, session: Mapping[str, Any], instruments: list[dict[str, Any]]) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._sections: dict[str, dict[str, Any]] = {
            "session": dict(session),
            "account": {},
            "risk": {"halted": None, "rules": []},
            "health": {},
        }
        self._instruments = instruments
        self._quotes: dict[str, Message] = {}
        self._orders: dict[int, Message] = {}
        self._positions: dict[str, Message] = {}
        self._prices: dict[str, deque[tuple[int, float]]] = {
            each["symbol"]: deque(maxlen=PRICES_MAX) for each in instruments
        }
        self._fills: deque[Message] = deque(maxlen=FILLS_MAX)
        self._log: deque[Message] = deque(maxlen=LOG_MAX)
        self._sinks: tuple[Sink, ...] = ()

    def tell(self, message: Message) -> None:
        """Take a message in and hand it to everybody who subscribed."""
        with self._lock:
            self._number += 1
            message["number"] = self._number
            self._take(message)
            sinks = self._sinks
        for sink in sinks:
            sink(message)

    def _take(self, message: Message) -> None:
        kind = message["type"]
        if kind in self._sections:
            told = {key: value for key, value in message.items() if key not in ("type", "number")}
            self._sections[kind].update(told)
        elif kind == "order":
            self._orders.pop(message["order_id"], None)
            if message["working"]:
                self._orders[message["order_id"]] = message
        elif kind == "quote":
            self._quotes[message["symbol"]] = message
            if message["mid"] is not None:
                self._take_price(message)
        elif kind == "position":
            self._positions[message["symbol"]] = message
        else:
            {"fill": self._fills, "log": self._log}[kind].append(message)

    def _take_price(self, quote: Message) -> None:
        """The last price of every second stays."""
        prices = self._prices[quote["symbol"]]
        if prices and prices[-1][0] // 1000 == quote["time_ms"] // 1000:
            prices.pop()
        prices.append((quote["time_ms"], quote["mid"]))

    def snapshot(self) -> dict[str, Any]:
        """Everything that is known, as a table for JSON that nobody changes later."""
        with self._lock:
            return {
                "type": "snapshot",
                "version": VERSION,
                "number": self._number,
                **copy.deepcopy(self._sections),
                "instruments": [
                    {**each, "quote": self._quotes.get(each["symbol"])}
                    for each in self._instruments
                ],
                "orders": list(self._orders.values()),
                "positions": list(self._positions.values()),
                "fills": list(self._fills),
                "prices": {symbol: list(kept) for symbol, kept in self._prices.items()},
                "log": list(self._log),
            }

    def subscribe(self, sink: Sink) -> Callable[[], None]:
        """Hand every later message to `sink`; call the result to stop.

        Who subscribes first and then takes a snapshot misses nothing: messages up to the snapshot's
        number are in it.
        """
        with self._lock:
            self._sinks += (sink,)

        def stop() -> None:
            with self._lock:
                self._sinks = tuple(each for each in self._sinks if each is not sink)

        return stop
