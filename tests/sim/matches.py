"""Trades between accounts as the events tell them: one's taker fill, then the other's maker fill.

Both are at one time and price and of the same lots, so what one account pays the other gets. A
maker fill without such a taker fill before it came from the tape: then a print reached its price,
or the other side's touch crossed it, and never while a command is answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from broker_api.event import Event, OrderFilled
from broker_api.order import Liquidity, Side
from data.schema import RowKind
from data.tape import Tape


def matches(events: Iterable[Event]) -> Iterator[tuple[OrderFilled, OrderFilled | None]]:
    """Every maker fill, after the taker fill that met it; None where the tape did."""
    takes: list[OrderFilled] = []
    for event in events:
        if not isinstance(event, OrderFilled):
            continue
        if takes and takes[-1].ts_ns != event.ts_ns:
            takes.clear()
        if event.liquidity is Liquidity.TAKER:
            takes.append(event)
            continue
        met = next((take for take in reversed(takes) if are_one_trade(take, event)), None)
        if met is not None:
            takes.remove(met)
        yield event, met


def are_one_trade(take: OrderFilled, make: OrderFilled) -> bool:
    """True for two fills that can be the two sides of one trade."""
    return (
        take.account != make.account
        and take.instrument == make.instrument
        and take.side is make.side.opposite
        and take.price_ticks == make.price_ticks
        and take.lots == make.lots
        and take.ts_ns == make.ts_ns
    )


def check_all_matched(events: Iterable[Event]) -> None:
    """While a command is answered the tape stands still: makers fill by other accounts alone."""
    for make, take in matches(events):
        assert take is not None, f"nobody took what {make} made"


class Matches:
    """Checks fills in the order of their publication against the tapes."""

    def __init__(self, tapes: Sequence[Tape]) -> None:
        self._tapes = tapes
        self._fills: list[OrderFilled] = []

    def check_fill(self, event: OrderFilled) -> None:
        """A maker fill met another account, or the tape had something at its price."""
        if self._fills and self._fills[-1].ts_ns != event.ts_ns:
            self._fills.clear()
        self._fills.append(event)
        if event.liquidity is Liquidity.TAKER:
            return
        *_, (_, take) = matches(self._fills)
        assert take is not None or self._is_reached(event), f"nobody took what {event} made"

    def _is_reached(self, event: OrderFilled) -> bool:
        """True when a row of this time prints at the price or beyond, or crosses it."""
        tape, sign = self._tapes[event.instrument], event.side.sign
        rows = tape.columns
        first, end = np.searchsorted(rows.ts, (event.ts_ns, event.ts_ns + 1))
        for at in range(int(first), int(end)):
            if rows.kind[at] == RowKind.TRADE and (event.price_ticks - rows.px[at]) * sign >= 0:
                return True
            is_buy = event.side is Side.BUY
            shown = (rows.ask_qty if is_buy else rows.bid_qty)[at]
            touch = (rows.ask if is_buy else rows.bid)[at]
            if shown > 0 and (event.price_ticks - touch) * sign >= 0:
                return True
        return False
