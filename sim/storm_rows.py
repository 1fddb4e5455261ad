"""A sink of market data that hears nothing while the connection is down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from broker_api.broker import RowSink, Spawn


class GatedSink:
    """Passes rows on to `sink`, but not while `is_shut` says so."""

    def __init__(self, sink: RowSink, is_shut: Callable[[], bool]) -> None:
        self.fields = sink.fields
        self._sink = sink
        self._is_shut = is_shut
        self._inner: Callable[..., object] | None = None
        self._gated: Callable[..., object] | None = None

    def __call__(self, *values: Any) -> None:
        """See `RowSink`."""
        if not self._is_shut():
            self._sink(*values)

    def direct(self) -> Callable[..., object] | None:
        """See `RowSink.direct`."""
        inner = self._sink.direct()
        if inner is None:
            return None
        if inner is not self._inner:
            self._inner, self._gated = inner, self._gate(inner)
        return self._gated

    def _gate(self, inner: Callable[..., object]) -> Callable[..., object]:
        is_shut = self._is_shut

        def call(*values: Any) -> object:
            return None if is_shut() else inner(*values)

        return call

    @property
    def spawn(self) -> Spawn | None:
        """See `RowSink.spawn`."""
        return self._sink.spawn

    def failed(self, failure: Exception) -> bool:
        """See `RowSink.failed`."""
        return self._sink.failed(failure)

    def adopt(self, result: object) -> None:
        """See `RowSink.adopt`."""
        self._sink.adopt(result)
