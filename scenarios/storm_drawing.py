"""A storm: what happens to the commands and to the market, drawn from a seed or listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from broker_api.config import SessionDefaults
from broker_api.instrument import Instrument
from data.market_storm import MILLION, Incident, IncidentKind, stormy
from data.tape import Tape
from sim.storm import StormBroker
from sim.storm_faults import DrawnFaults, Faults, ListedFaults, Rates, words

_T = TypeVar("_T")

INCIDENTS_MAX = 4
_NS = 1_000_000_000
_LOW = 0xFFFF_FFFF
_RATES = (0, 0, 0, 20_000, 60_000, 150_000)
"""Half of the storms know nothing of a kind of fault; the others up to one command in seven."""
_BREAK_RATES = (0, 0, 0, 5_000, 20_000, 60_000)


NO_FAULTS = ListedFaults()


@dataclass(frozen=True)
class Span:
    """The time in which the session without a storm was busy, and when it has to be calm again."""

    start_ns: int
    end_ns: int
    calm_ns: int


@dataclass(frozen=True)
class Storm:
    """What happens to the commands, and what to the market, by the instrument's index."""

    faults: Faults = NO_FAULTS
    incidents: tuple[tuple[int, Incident], ...] = ()

    def over(self, defaults: SessionDefaults, tapes: Sequence[tuple[Instrument, Tape]]) -> None:
        """Let it come over a session with these settings and tapes."""
        for index, (instrument, tape) in enumerate(tapes):
            own = [incident for at, incident in self.incidents if at == index]
            defaults.tapes[instrument.symbol] = stormy(tape, own, instrument)
        defaults.around = lambda plain: StormBroker(plain, self.faults)


def drawn_storm(seed: int, span: Span, instruments: int) -> Storm:
    """The storm of a seed over sessions that are busy in this span, with so many instruments."""
    kinds = _Draws(seed, "kinds")
    refused, lost, unanswered, late, silence = (kinds.one_of(_RATES) for _ in range(5))
    rates = Rates(
        refused=refused,
        lost=lost,
        unanswered=unanswered,
        late=late,
        silence=silence,
        break_=kinds.one_of(_BREAK_RATES),
    )
    market = _Draws(seed, "market")
    count = market.up_to(INCIDENTS_MAX)
    drawn = [(market.up_to(instruments - 1), _incident(market, span)) for _ in range(count)]
    over = [(at, _over_by(incident, span.calm_ns)) for at, incident in drawn]
    ordered = sorted(over, key=lambda each: each[1].at_ns)
    return Storm(DrawnFaults(seed, rates), tuple(ordered))


def _over_by(incident: Incident, calm_ns: int) -> Incident:
    return replace(incident, lasts_ns=min(incident.lasts_ns, max(0, calm_ns - incident.at_ns)))


def _incident(draws: _Draws, span: Span) -> Incident:
    kind = draws.one_of(tuple(IncidentKind))
    at_ns = span.start_ns + draws.up_to(max(1, span.end_ns - span.start_ns))
    sign = draws.one_of((1, -1))
    if kind is IncidentKind.WIDE:
        return Incident(kind, at_ns, draws.between(1, 120) * _NS, draws.between(2, 40))
    if kind is IncidentKind.HALT:
        return Incident(kind, at_ns, draws.between(5, 600) * _NS)
    if kind is IncidentKind.SILENCE:
        return Incident(kind, at_ns, draws.between(1, 120) * _NS)
    size = sign * draws.between(100, MILLION // 100)
    return Incident(kind, at_ns, draws.between(1, 60) * _NS, size)


class _Draws:
    """Whole numbers from one stream of a seed, one after the other."""

    def __init__(self, seed: int, stream: str) -> None:
        self._words = iter(words(seed, f"storm:{stream}", 0, 64))

    def up_to(self, most: int) -> int:
        """From 0 to `most`, both included."""
        return (next(self._words) & _LOW) * (most + 1) >> 32

    def between(self, least: int, most: int) -> int:
        """From `least` to `most`, both included."""
        return least + self.up_to(most - least)

    def one_of(self, values: Sequence[_T]) -> _T:
        """One of several, each as often."""
        return values[self.up_to(len(values) - 1)]
