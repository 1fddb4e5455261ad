"""Which instrument of a session a name means."""

from __future__ import annotations

from collections.abc import Sequence

from broker_api.instrument import Instrument
from broker_api.refusals import unknown_instrument


class Names:
    """Symbols and ids, as they are written and in capitals, to the place of their instrument."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._symbols = [spec.symbol for spec in instruments]
        self._places: dict[str, int] = {}
        for place, spec in enumerate(instruments):
            for name in (spec.symbol, spec.id):
                self._places.setdefault(name, place)
                self._places.setdefault(name.upper(), place)

    def index_of(self, name: object) -> int:
        """The place of a symbol or id. Raises InvalidOrderError with the nearest that exists."""
        if isinstance(name, str):
            index = self._places.get(name)
            if index is None:
                index = self._places.get(name.strip().upper())
            if index is not None:
                return index
        raise unknown_instrument(name, self._symbols)
