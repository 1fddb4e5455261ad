"""How long things are under way: constant, drawn, or measured; and that nothing overtakes.

A draw depends on (seed, name of the stream, number) alone: the number of a command, of an event, of
a row. One order more never shifts what another of the same number draws, and a replay draws the
same. Integers only: a Philox word and the quantiles give whole nanoseconds on every machine.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np
import numpy.typing as npt

from broker_api.latency import (
    FileLatency,
    LatencySetting,
    QuantileLatency,
    UniformLatency,
    to_ns,
)

IntColumn = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_LOW, _HALF = np.uint64(0xFFFF_FFFF), np.uint64(32)
_TOP = np.uint64(63)
_DRAWN_AT_ONCE = 256
_WORDS_OF_A_COUNTER = 4


class Delays(Protocol):
    """Latencies of one stream in nanoseconds."""

    def one(self, number: int, sent_ns: int) -> int:
        """That of the thing of this number, sent then."""

    def many(self, first: int, sent_ns: IntColumn) -> IntColumn:
        """Those of as many things as there are times, numbered from `first`."""


def delays_of(setting: LatencySetting, seed: int, stream: str) -> Delays:
    """The latencies that a setting means. Raises ConfigurationError for a file that changed."""
    if isinstance(setting, UniformLatency):
        return _Drawn([to_ns(setting.min_ms), to_ns(setting.max_ms)], seed, stream)
    if isinstance(setting, QuantileLatency):
        return _Drawn([to_ns(value) for value in setting.quantiles_ms], seed, stream)
    if isinstance(setting, FileLatency):
        samples = setting.samples()
        if samples.ts is not None:
            return _Measured(samples.ts, samples.latency)
        ordered = np.sort(samples.latency).tolist()
        return _Drawn(ordered if len(ordered) > 1 else ordered * 2, seed, stream)
    return Constant(to_ns(setting))


class Constant:
    """Always `ns`."""

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def one(self, number: int, sent_ns: int) -> int:
        """That of the thing of this number, sent then."""
        return self.ns

    def many(self, first: int, sent_ns: IntColumn) -> IntColumn:
        """Those of as many things as there are times, numbered from `first`."""
        return np.full(len(sent_ns), self.ns, dtype=np.int64)


class _Drawn:
    """Piecewise linear between quantiles at equal steps of probability."""

    def __init__(self, quantiles_ns: list[int], seed: int, stream: str) -> None:
        self._from = np.array(quantiles_ns[:-1], dtype=np.int64)
        self._steps = np.diff(np.array(quantiles_ns, dtype=np.int64)).astype(np.uint64)
        name = hashlib.sha256(stream.encode()).digest()[:8]
        self._key = np.array([seed, int.from_bytes(name, "little")], dtype=np.uint64)
        self._block = -1
        self._ready: list[int] = []

    def one(self, number: int, sent_ns: int) -> int:
        """That of the thing of this number, sent then."""
        block, place = divmod(number, _DRAWN_AT_ONCE)
        if block != self._block:
            self._block = block
            self._ready = self._draw(block * _DRAWN_AT_ONCE, _DRAWN_AT_ONCE).tolist()
        return self._ready[place]

    def many(self, first: int, sent_ns: IntColumn) -> IntColumn:
        """Those of as many things as there are times, numbered from `first`."""
        return self._draw(first, len(sent_ns))

    def _draw(self, first: int, count: int) -> IntColumn:
        generator = np.random.Philox(key=self._key, counter=[first, 0, 0, 0])
        words = generator.random_raw(count * _WORDS_OF_A_COUNTER)[::_WORDS_OF_A_COUNTER]
        pieces = np.full(count, len(self._steps), dtype=np.uint64)
        piece = _high(words, pieces).astype(np.int64)
        share = words * pieces
        step = self._steps[piece]
        beyond = _high(share, step) + ((share * step) >> _TOP)
        return self._from[piece] + beyond.astype(np.int64)


def _high(left: Words, right: Words) -> Words:
    """The upper 64 of the 128 bits of each product."""
    left_low, left_high = left & _LOW, left >> _HALF
    right_low, right_high = right & _LOW, right >> _HALF
    first, second = left_low * right_high, left_high * right_low
    middle = ((left_low * right_low) >> _HALF) + (first & _LOW) + (second & _LOW)
    high: Words = left_high * right_high + (first >> _HALF) + (second >> _HALF) + (middle >> _HALF)
    return high


class _Measured:
    """The sample in force at the time of sending: the last at or before it, else the first."""

    def __init__(self, ts: IntColumn, latency: IntColumn) -> None:
        self._ts = ts
        self._latency = latency

    def one(self, number: int, sent_ns: int) -> int:
        """That of the thing of this number, sent then."""
        return int(self._latency[max(0, int(np.searchsorted(self._ts, sent_ns, "right")) - 1)])

    def many(self, first: int, sent_ns: IntColumn) -> IntColumn:
        """Those of as many things as there are times, numbered from `first`."""
        places = np.searchsorted(self._ts, sent_ns, "right") - 1
        return self._latency[np.maximum(places, 0)]


class OneWay:
    """One direction: what is sent arrives after its latency, and not before what went ahead."""

    def __init__(self, setting: LatencySetting, seed: int, stream: str) -> None:
        self._delays = delays = delays_of(setting, seed, stream)
        self.steady_ns = delays.ns if isinstance(delays, Constant) else None
        """The latency, where it is always the same."""
        self._newest_ns = 0

    def arrival_ns(self, sent_ns: int, number: int) -> int:
        """When the thing of this number, sent at `sent_ns`, arrives. Call in order of sending."""
        latency_ns = self.steady_ns
        if latency_ns is None:
            latency_ns = self._delays.one(number, sent_ns)
        arrives_ns = sent_ns + latency_ns
        if arrives_ns > self._newest_ns:
            self._newest_ns = arrives_ns
        return self._newest_ns
