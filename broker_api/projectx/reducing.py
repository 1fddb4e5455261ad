"""Orders that only reduce, at a gateway that has none: their sizes follow the position from here.

Such an order is sent with what is open, at most; when less is open it is made smaller, when more is
it grows up to its own size, and when nothing is it ends. A message takes time: a fill that comes
before it may trade more than was open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from broker_api.event import Reason
from broker_api.live.drafts import Refused
from broker_api.live.tracks import Track
from broker_api.order import OrderRequest, OrderType
from broker_api.projectx.books import Books


class Reducing:
    """Keeps reduce-only orders within the position.

    `resize` changes an order's size at the gateway and calls `settled` afterwards, `end` cancels.
    """

    def __init__(
        self,
        books: Books,
        resize: Callable[[Track, int], None],
        end: Callable[[Track], None],
    ) -> None:
        self._books = books
        self._resize = resize
        self._end = end
        self._busy: set[int] = set()

    def lots_to_send(self, track: Track) -> int:
        """How much of a new order is sent. Raises Refused when there is nothing to reduce."""
        if not track.request.reduce_only:
            return track.size_lots
        room = self._room(track)
        position = self._books.money.positions[track.index].lots
        if position * track.request.side.sign > 0:
            raise Refused(Reason.REDUCE_ONLY_WRONG_SIDE, position)
        if room <= 0:
            raise Refused(Reason.NO_POSITION_TO_REDUCE)
        lots = min(track.size_lots, room)
        if lots < track.size_lots:
            self._books.sent_lots[track.order_id] = lots
        return lots

    def lots_after(self, track: Track, size_lots: int) -> int:
        """The size at the gateway after a change to this size."""
        if not track.request.reduce_only:
            return size_lots
        lots = min(size_lots, track.filled_lots + max(0, self._open(track)))
        if lots < size_lots:
            self._books.sent_lots[track.order_id] = lots
        else:
            self._books.sent_lots.pop(track.order_id, None)
        return lots

    def with_trail(self, request: OrderRequest, trail_ticks: int) -> OrderRequest:
        """A trailing stop with another distance."""
        return replace(request, trail_ticks=trail_ticks, trail_ppm=None)

    def _open(self, track: Track) -> int:
        """Lots that such an order could close."""
        return -self._books.money.positions[track.index].lots * track.request.side.sign

    def _room(self, track: Track) -> int:
        """What is open less what other orders at market are about to close."""
        room = self._open(track)
        for other in self._books.tracks.values():
            same = other.index == track.index and other.request.side is track.request.side
            if other is not track and same and _closes_at_once(other):
                room -= self._at_gateway(other) - other.filled_lots
        return room

    def _at_gateway(self, track: Track) -> int:
        return self._books.sent_lots.get(track.order_id, track.size_lots)

    def settled(self, track: Track) -> None:
        """A change of an order's size has been answered, or its answer is lost."""
        self._busy.discard(track.order_id)

    def mind(self, index: int) -> None:
        """The position of an instrument, or an order in it, may be another."""
        for track in tuple(self._books.tracks.values()):
            if track.index == index and track.request.reduce_only and not _closes_at_once(track):
                self._fit(track)

    def _fit(self, track: Track) -> None:
        is_settled = track.accepted and track.change is None and not track.has_ended
        if not is_settled or track.order_id in self._busy or track.ending is not None:
            return
        if track.order_id in self._books.asked_to_end:
            return
        room = self._open(track)
        if room <= 0:
            self._busy.add(track.order_id)
            self._end(track)
            return
        wanted = min(track.size_lots, track.filled_lots + room)
        if wanted != self._at_gateway(track):
            self._busy.add(track.order_id)
            self._resize(track, wanted)


def _closes_at_once(track: Track) -> bool:
    return track.request.reduce_only and track.request.order_type is OrderType.MARKET
