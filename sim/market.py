"""What a session of the simulated broker sees of the market: never anything newer than its clock.

Looking is reading the tape as far as the feed has brought it; it costs the kernel nothing.
Subscriptions, to rows and to bars, are in `ticks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from broker_api.instrument import Instrument
from broker_api.latency import LatencySetting
from broker_api.order import Side
from broker_api.quote import Bar, Quote, Trade
from data.bars import bars_from_tape
from data.schema import RowKind
from data.tape import Tape
from sim.feed import feed_of
from sim.ticks import Ticks


class Market:
    """Quotes, prints and bars of the session's tapes, each seen after the feed's latency."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        tapes: Sequence[Tape],
        latency: LatencySetting,
        seed: int,
    ) -> None:
        self._instruments = tuple(instruments)
        self._tapes = tuple(tapes)
        self._feeds = [feed_of(tape.columns.ts, latency, seed, tape.symbol) for tape in tapes]
        self.ticks = Ticks(instruments, tapes, self._feeds)

    def show(self, tapes: Sequence[Tape]) -> None:
        """Look at these tapes from now on: a run's own, with bars in the order of their path."""
        self._tapes = tuple(tapes)
        self.ticks.show(tapes)

    def grow(self, tapes: Sequence[Tape]) -> None:
        """The same tapes with more rows."""
        for feed, tape in zip(self._feeds, tapes, strict=True):
            feed.grow(tape.columns.ts)
        self.show(tapes)

    def quote_at(self, instrument: int, now_ns: int) -> Quote | None:
        """The quote in force at `now_ns`, None before the first row."""
        row = self._feeds[instrument].row_at(now_ns)
        return None if row < 0 else self._quote(instrument, row)

    def trade_at(self, instrument: int, now_ns: int) -> Trade | None:
        """The newest print at `now_ns`, None before the first."""
        row = self._feeds[instrument].row_at(now_ns)
        kind = self._tapes[instrument].columns.kind
        step = 1024
        while row >= 0:
            start = max(0, row + 1 - step)
            found = np.flatnonzero(kind[start : row + 1] == RowKind.TRADE)
            if len(found):
                return self._trade(instrument, start + int(found[-1]))
            row, step = start - 1, step * 4
        return None

    def bars_at(self, instrument: int, now_ns: int, interval_ns: int, count: int) -> list[Bar]:
        """The newest `count` complete bars at `now_ns`, oldest first."""
        end_ns = self._feeds[instrument].seen_ns(now_ns) // interval_ns * interval_ns
        first_ns = self._tapes[instrument].start_ns
        span = count
        while True:
            start_ns = end_ns - span * interval_ns
            bars = self._bars_between(instrument, interval_ns, start_ns, end_ns)
            if len(bars) >= count or start_ns <= first_ns:
                return bars[-count:]
            span *= 4

    def _bars_between(
        self, instrument: int, interval_ns: int, start_ns: int, end_ns: int
    ) -> list[Bar]:
        found = bars_from_tape(self._tapes[instrument], interval_ns, start_ns, end_ns)
        info = self._instruments[instrument]
        columns = (found.ts, found.open, found.high, found.low, found.close, found.volume)
        return [
            Bar(
                info.symbol,
                ts,
                interval_ns,
                info.ticks_to_price(first),
                info.ticks_to_price(high),
                info.ticks_to_price(low),
                info.ticks_to_price(last),
                info.lots_to_size(volume),
            )
            for ts, first, high, low, last, volume in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]

    def _quote(self, instrument: int, row: int) -> Quote:
        info, columns = self._instruments[instrument], self._tapes[instrument].columns
        bid_lots, ask_lots = int(columns.bid_qty[row]), int(columns.ask_qty[row])
        return Quote(
            info.symbol,
            int(columns.ts[row]),
            info.ticks_to_price(int(columns.bid[row])) if bid_lots else None,
            info.ticks_to_price(int(columns.ask[row])) if ask_lots else None,
            info.lots_to_size(bid_lots),
            info.lots_to_size(ask_lots),
        )

    def _trade(self, instrument: int, row: int) -> Trade:
        info, columns = self._instruments[instrument], self._tapes[instrument].columns
        aggressor = int(columns.side[row])
        side = None if aggressor == 0 else Side.BUY if aggressor > 0 else Side.SELL
        return Trade(
            info.symbol,
            int(columns.ts[row]),
            info.ticks_to_price(int(columns.px[row])),
            info.lots_to_size(int(columns.qty[row])),
            side,
        )
