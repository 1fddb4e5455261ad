"""The live broker: a ProjectX Gateway behind the same seam as the simulated exchange.

It wires the parts: `client` asks, `hub` listens, `books` turns what the gateway says into events,
`commands` sends, `keeper` looks after what is not certain, `market` knows prices.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from broker_api.broker import Snapshot
from broker_api.calendar import load_calendar
from broker_api.capabilities import PROJECTX
from broker_api.catalog import load_catalog
from broker_api.config import BrokerSpec
from broker_api.instrument import Instrument
from broker_api.live.broker import LiveBroker, LiveClock
from broker_api.projectx.config import ProjectXConfig, config_of
from broker_api.projectx.live import Live, Means, open_live
from broker_api.wall_clock import WallClock


def create(spec: BrokerSpec) -> ProjectXBroker:
    """The live broker for the arguments of `TradingSuite.create`; nothing is connected yet.

    Brackets and OCO pairs are kept by the session. Raises ConfigurationError and SecretError for
    settings with which it cannot begin.
    """
    known = {**load_catalog(), **{each.symbol: each for each in spec.instruments}}
    return ProjectXBroker(
        config_of(spec.options),
        spec.symbols,
        known=tuple(known.values()),
        environment=dict(os.environ),
        draws=np.random.Generator(np.random.Philox(os.getpid())),
    )


class ProjectXBroker(LiveBroker[Live]):
    """A broker of plain orders: a ProjectX Gateway, or a local one that speaks like it."""

    name = "projectx"
    capabilities = PROJECTX
    why_no_groups = (
        "ProjectX's own brackets are not as this interface means them, and it has no pairs"
    )

    def __init__(
        self,
        config: ProjectXConfig,
        symbols: Sequence[str],
        *,
        known: tuple[Instrument, ...],
        environment: Mapping[str, str],
        draws: np.random.Generator,
        clock: LiveClock | None = None,
    ) -> None:
        times: LiveClock = WallClock() if clock is None else clock
        super().__init__(times)
        self._symbols = tuple(symbols)
        self._means = Means(
            config,
            config.place(environment),
            config.user_name(environment),
            config.secret(environment),
            known,
            environment,
            times,
            draws,
            self._give,
            self._note,
        )

    def __repr__(self) -> str:
        return f"ProjectXBroker({self._means.place.api_url}, {self._means.user!r})"

    def instruments(self) -> Sequence[Instrument]:
        """The session's instruments, known once it is connected."""
        return [each.spec for each in self._known.contracts]

    @property
    def account(self) -> str:
        """The name of the account that the session trades on."""
        return self._known.account.name

    async def _open(self) -> tuple[Live, Snapshot]:
        live, opening = await open_live(self._means, self._symbols)
        for order in opening.orders:
            self._note(f"order {order.id} works at the gateway and is not this session's")
        return live, opening.snapshot

    def margin_used_nanos(self) -> int:
        """The catalogue's initial margin of what is held: the gateway does not tell its own."""
        return sum(
            abs(each.lots) * each.spec.initial_margin_lot_nanos
            for each in self._known.money.positions
        )

    def next_open_ns(self, instrument: int, ts_ns: int) -> int | None:
        """When the product next opens, by its calendar."""
        return load_calendar(self._known.contracts[instrument].spec.calendar).next_open_ns(ts_ns)
