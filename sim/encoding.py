"""Requests as the kernel's records."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from broker_api.calendar import SessionCalendar
from broker_api.errors import ConfigurationError
from broker_api.instrument import Instrument
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    OcoRequest,
    OrderRequest,
    OrderType,
    TimeInForce,
)
from sim.book import COMMAND, NEVER

_RECORD = struct.Struct(f"<{COMMAND.itemsize // 8}q")
"""One record of dtype COMMAND: packed at once, a quarter of what NumPy takes field by field."""
_OF_AN_ORDER = (
    "order_id", "account", "instrument", "sign", "type", "time_in_force", "role", "size", "limit",
    "stop", "protection", "trail", "trail_ppm", "activation", "best", "expires", "post_only",
    "reduce_only",
)  # fmt: skip


class _Group(NamedTuple):
    """What a record says of a bracket's exits, and of an OCO."""

    stop_id: int = 0
    stop_offset: int = NO_PRICE
    stop_price: int = NO_PRICE
    limit_offset: int = NO_PRICE
    exit_trail: int = NO_PRICE
    target_id: int = 0
    target_offset: int = NO_PRICE
    target_price: int = NO_PRICE
    target_trail: int = NO_PRICE
    arm: int = 0
    on_partial: int = 0


_NO_GROUP = _Group()
_NO_STOP, _NO_TARGET = _NO_GROUP[:5], _NO_GROUP[5:9]
assert (*_OF_AN_ORDER, *_Group._fields) == COMMAND.names, "records are in the kernel's order"


def group_of(command: BracketRequest | OcoRequest) -> _Group:
    """What the record of a group's first order says of the group."""
    if isinstance(command, OcoRequest):
        return _Group(on_partial=command.on_partial)
    stop, target = command.stop, command.target
    stop_of, target_of = _NO_STOP, _NO_TARGET
    if stop is not None:
        trail, offset = stop.trail_ticks, stop.offset_ticks
        stop_of = (
            stop.order_id,
            or_none(trail if offset is None else offset),
            or_none(stop.price_ticks),
            or_none(stop.limit_offset_ticks),
            or_none(trail),
        )
    if target is not None:
        target_of = (
            target.order_id,
            or_none(target.offset_ticks),
            or_none(target.price_ticks),
            or_none(target.trail_ticks),
        )
    return _Group(*stop_of, *target_of, command.arm, command.on_partial)


class Encoder:
    """Writes requests into `commands`, two records that the kernel reads."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        calendars: Sequence[SessionCalendar],
    ) -> None:
        self._instruments = tuple(instruments)
        self._calendars = tuple(calendars)
        self._index = {each.symbol: index for index, each in enumerate(self._instruments)}
        self.commands = np.zeros(2, dtype=COMMAND)
        self._bytes = self.commands.view(np.uint8).data

    def index_of(self, symbol: str) -> int:
        """The instrument's place in the session. Raises ConfigurationError."""
        index = self._index.get(symbol)
        if index is not None:
            return index
        raise ConfigurationError(f"{symbol} is not an instrument of this session")

    def encode(
        self,
        at: int,
        account: int,
        request: OrderRequest,
        now_ns: int,
        group: _Group = _NO_GROUP,
    ) -> int:
        """Write an account's request, with what `group` says of a bracket's exits or an OCO.

        Returns the place of its instrument.
        """
        index = self.index_of(request.instrument)
        limit, stop = request.limit_ticks, request.stop_ticks
        trail = trail_ppm = activation = None
        if request.order_type is OrderType.TRAILING_STOP:
            # Its stop is the exchange's to find.
            limit, stop = None, None
            trail, trail_ppm = request.trail_ticks, request.trail_ppm
            activation = request.activation_ticks
        _RECORD.pack_into(
            self._bytes,
            at * _RECORD.size,
            request.order_id,
            account,
            index,
            1 - 2 * request.side,
            request.order_type,
            request.time_in_force,
            0,  # a role is given by the group
            request.size_lots,
            NO_PRICE if limit is None else limit,
            NO_PRICE if stop is None else stop,
            or_none(request.protection_ticks),
            or_none(trail),
            or_none(trail_ppm),
            or_none(activation),
            NO_PRICE,
            self._expiry_ns(index, request, now_ns),
            request.post_only,
            request.reduce_only,
            *group,
        )
        return index

    def _expiry_ns(self, index: int, request: OrderRequest, now_ns: int) -> int:
        if request.time_in_force is TimeInForce.DAY:
            return self._calendars[index].session_end_ns(now_ns)
        if request.time_in_force is TimeInForce.GTD and request.expires_at_ns is not None:
            return request.expires_at_ns
        return NEVER


def or_none(value: int | None) -> int:
    """A price or size as a row holds it: NO_PRICE for None."""
    return NO_PRICE if value is None else value
