"""The live broker: Hyperliquid behind the same seam as the simulated exchange.

It wires the parts: `client` asks and signs, `stream` listens, `books` turns what the venue says
into events, `commands` sends, `keeper` looks after what is not certain, `market` knows prices.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from broker_api.broker import Snapshot
from broker_api.capabilities import HYPERLIQUID
from broker_api.config import AccountConfig, BrokerSpec
from broker_api.hyperliquid.config import HyperliquidConfig, Place, config_of
from broker_api.hyperliquid.live import Live, Means, open_live
from broker_api.hyperliquid.nonce import Nonces, nonce_file
from broker_api.hyperliquid.signing import Signer
from broker_api.instrument import Instrument, to_nanos
from broker_api.live.broker import LiveBroker, LiveClock
from broker_api.wall_clock import WallClock


def create(spec: BrokerSpec) -> HyperliquidBroker:
    """The live broker for the arguments of `TradingSuite.create`; nothing is connected yet.

    Brackets and OCO pairs are kept by the session, their exits reduce-only: these may be worth less
    than the venue's least, and never open anything. Raises ConfigurationError and SecretError for
    settings with which it cannot begin.
    """
    config = config_of(spec.options)
    place = config.place(os.environ)
    return HyperliquidBroker(
        config,
        place,
        Signer(config.secret(os.environ).reveal()),
        spec.symbols,
        account=spec.account,
        nonce_folder=config.nonce_folder(os.environ),
        draws=np.random.Generator(np.random.Philox(os.getpid())),
    )


class HyperliquidBroker(LiveBroker[Live]):
    """A broker of plain orders: Hyperliquid, or a local venue that speaks like it."""

    name = "hyperliquid"
    capabilities = HYPERLIQUID
    why_no_groups = (
        "Hyperliquid's own groups do not keep brackets and OCO pairs as this interface means them"
    )

    def __init__(
        self,
        config: HyperliquidConfig,
        place: Place,
        signer: Signer,
        symbols: Sequence[str],
        *,
        account: AccountConfig,
        nonce_folder: Path | None,
        draws: np.random.Generator,
        clock: LiveClock | None = None,
    ) -> None:
        times: LiveClock = WallClock() if clock is None else clock
        super().__init__(times)
        self._symbols = tuple(symbols)
        path = None if nonce_folder is None else nonce_file(nonce_folder, signer.address)
        self._means = Means(
            config,
            place,
            signer,
            Nonces(path, times.now_ms),
            account,
            times,
            draws,
            self._give,
            self._note,
        )

    def __repr__(self) -> str:
        return f"HyperliquidBroker({self._means.place.base_url}, {self._means.signer!r})"

    def instruments(self) -> Sequence[Instrument]:
        """The session's instruments, known once it is connected."""
        return [each.spec for each in self._known.contracts]

    @property
    def account(self) -> str:
        """The address that the session trades for."""
        return self._known.client.account

    async def _open(self) -> tuple[Live, Snapshot]:
        live, opening = await open_live(self._means, self._symbols)
        for order in opening.orders:
            self._note(
                f"order {order.oid} of {order.coin} works at the venue and is not this session's"
            )
        return live, opening.snapshot

    def margin_used_nanos(self) -> int:
        """Initial margin that the venue held at the newest comparison."""
        state = self._known.keeper.state
        return 0 if state is None else to_nanos(state.margin.total_margin_used)

    def next_open_ns(self, instrument: int, ts_ns: int) -> int | None:
        """Perpetuals never close."""
        return ts_ns
