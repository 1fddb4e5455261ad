"""Requests as the kernel's records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from broker_api.calendar import SessionCalendar
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    OrderRequest,
    OrderType,
    TimeInForce,
)
from sim.book import COMMAND, MAX_WALK_LEVELS, NEVER

_OVERFLOW = 1 << 61
"""Products of price, size and tick value stay below this, so that sums of two fit an int64."""

_EXIT_PRICES = (
    "stop_offset",
    "stop_price",
    "limit_offset",
    "exit_trail",
    "target_offset",
    "target_price",
    "target_trail",
)


class Encoder:
    """Writes requests into `commands`, two records that the kernel reads."""

    def __init__(
        self,
        book: np.void,
        instruments: Sequence[Instrument],
        calendars: Sequence[SessionCalendar],
    ) -> None:
        self._book = book
        self._instruments = tuple(instruments)
        self._calendars = tuple(calendars)
        self.commands = np.zeros(2, dtype=COMMAND)

    def index_of(self, symbol: str) -> int:
        """The instrument's place in the session. Raises ConfigurationError."""
        for index, instrument in enumerate(self._instruments):
            if instrument.symbol == symbol:
                return index
        raise ConfigurationError(f"{symbol} is not an instrument of this session")

    def encode(self, at: int, request: OrderRequest, now_ns: int) -> np.void:
        """The request as the kernel's record; exits of a group are added by the caller."""
        index = self.index_of(request.instrument)
        record: np.void = self.commands[at]
        record["order_id"] = request.order_id
        record["instrument"] = index
        record["sign"] = request.side.sign
        record["type"] = request.order_type
        record["time_in_force"] = request.time_in_force
        record["size"] = request.size_lots
        self._encode_prices(record, request)
        record["protection"] = or_none(request.protection_ticks)
        record["expires"] = self._expiry_ns(index, request, now_ns)
        record["post_only"] = request.post_only
        record["reduce_only"] = request.reduce_only
        for name in ("stop_id", "target_id", "arm", "on_partial"):
            record[name] = 0
        for name in _EXIT_PRICES:
            record[name] = NO_PRICE
        return record

    def _encode_prices(self, record: np.void, request: OrderRequest) -> None:
        """The prices that the type has; those of a trailing stop are the exchange's to find."""
        limit, stop = request.limit_ticks, request.stop_ticks
        trail: tuple[int | None, int | None, int | None] = (None, None, None)
        if request.order_type is OrderType.TRAILING_STOP:
            limit, stop = None, None
            trail = (request.trail_ticks, request.trail_ppm, request.activation_ticks)
        record["size_limit"] = self.size_limit(
            self.index_of(request.instrument), (limit, stop, trail[0], trail[2])
        )
        record["limit"] = or_none(limit)
        record["stop"] = or_none(stop)
        for name, value in zip(("trail", "trail_ppm", "activation"), trail, strict=True):
            record[name] = or_none(value)

    def size_limit(self, index: int, prices: tuple[int | None, ...]) -> int:
        """The largest further size whose money still fits the kernel's integers."""
        book = self._book
        there = abs(int(book["i_position"][index]))
        for slot in book["active"][: int(book["active_count"])].tolist():
            there += int(book["o_live"][slot])
        known = [int(book["i_value_bid"][index]), int(book["i_value_ask"][index])]
        known += [price for price in prices if price is not None]
        # Prices may still move: room for twice the highest, and for a walk beyond it.
        worst = 2 * max(abs(price) for price in known) + 2 * MAX_WALK_LEVELS
        return max(0, _OVERFLOW // (worst * self._instruments[index].tick_value_nanos) - there)

    def _expiry_ns(self, index: int, request: OrderRequest, now_ns: int) -> int:
        if request.time_in_force is TimeInForce.DAY:
            return self._calendars[index].session_end_ns(now_ns)
        if request.time_in_force is TimeInForce.GTD and request.expires_at_ns is not None:
            return request.expires_at_ns
        return NEVER

    def encode_exits(self, record: np.void, command: BracketRequest) -> None:
        """Add a bracket's exits to the record of its entry."""
        record["arm"] = command.arm
        record["on_partial"] = command.on_partial
        if command.stop is not None:
            record["stop_id"] = command.stop.order_id
            trail, offset = command.stop.trail_ticks, command.stop.offset_ticks
            record["exit_trail"] = or_none(trail)
            record["stop_offset"] = or_none(trail if offset is None else offset)
            record["stop_price"] = or_none(command.stop.price_ticks)
            record["limit_offset"] = or_none(command.stop.limit_offset_ticks)
        if command.target is not None:
            record["target_id"] = command.target.order_id
            record["target_offset"] = or_none(command.target.offset_ticks)
            record["target_price"] = or_none(command.target.price_ticks)
            record["target_trail"] = or_none(command.target.trail_ticks)


def or_none(value: int | None) -> int:
    """A price or size as a row holds it: NO_PRICE for None."""
    return NO_PRICE if value is None else value
