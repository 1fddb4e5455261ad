"""The orders that have ended, and how: a later command for one of them is told so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.event import EventKind, EventRow
from broker_api.order import TERMINAL_STATUSES

_ENDED = frozenset(status.code for status in TERMINAL_STATUSES)
_IS_ENDED = np.array([code in _ENDED for code in range(max(_ENDED) + 1)])
_OF_NO_ORDER = (int(EventKind.CANCEL_REJECTED), int(EventKind.REPLACE_REJECTED))
"""Refusals of orders that may never have been."""


class EndedOrders:
    """How each order of each account ended. Whole arrays of events wait until somebody asks."""

    def __init__(self, accounts: int) -> None:
        self._statuses: list[dict[int, int]] = [{} for _ in range(accounts)]
        self._waiting: list[npt.NDArray[np.int64]] = []

    def note(self, rows: Sequence[EventRow]) -> None:
        """Take in events."""
        for row in rows:
            if row.status in _ENDED and row.kind not in _OF_NO_ORDER:
                self._statuses[row.account][row.order_id] = row.status

    def note_all(self, events: npt.NDArray[Any]) -> None:
        """Take in many events, dtype EVENT_ROW, all of the first account."""
        kinds = events["kind"]
        ended = _IS_ENDED[events["status"]]
        for kind in _OF_NO_ORDER:
            ended &= kinds != kind
        if ended.any():
            self._waiting.append(np.stack((events["order_id"][ended], events["status"][ended])))

    def status(self, order_id: int, account: int) -> int:
        """The code of the status in which an order ended; 0 for one that has not."""
        if self._waiting:
            for ids, statuses in self._waiting:
                self._statuses[0].update(zip(ids.tolist(), statuses.tolist(), strict=True))
            self._waiting.clear()
        return self._statuses[account].get(order_id, 0)
