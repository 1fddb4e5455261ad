"""Rows of single orders against the orders that are in the book: does every origin make sense?

A file counts `origin` in its own rows; a tape has other ones, because faulty rows and repeated
quotes are dropped and rows may be sorted. Memory is bounded by the orders that are in the book.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.check import BatchFaults, Rule
from data.decode import Chunk
from data.schema import ByteColumn, IntColumn, Mask, RowKind


class _Orders(NamedTuple):
    """Orders in the book, by the file's row at which they joined. `position` is their place in the
    batch that is looked at, -1 of an earlier one; `left` lots are neither cancelled nor
    executed."""

    file_row: IntColumn
    tape_row: IntColumn
    position: IntColumn
    side: ByteColumn
    px: IntColumn
    left: IntColumn

    def take(self, chosen: Mask | npt.NDArray[np.intp]) -> _Orders:
        return _Orders._make(column[chosen] for column in self)


def _joining(chunk: Chunk, chosen: npt.NDArray[np.intp]) -> _Orders:
    columns = chunk.columns
    return _Orders(
        chunk.rows[chosen],
        np.full(len(chosen), -1, dtype=np.int64),
        chosen.astype(np.int64),
        columns.side[chosen],
        columns.px[chosen],
        columns.qty[chosen].copy(),
    )


def _joined(known: _Orders, fresh: _Orders) -> _Orders:
    parts = [known, fresh]
    return _Orders._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


class OrdersInBook:
    """The orders of a tape's book, followed batch by batch: first `check`, then `place`."""

    def __init__(self) -> None:
        none = np.zeros(0, dtype=np.int64)
        self._orders = _Orders(none, none, none, none.astype(np.int8), none, none)

    def check(self, chunk: Chunk, faults: BatchFaults) -> None:
        """Mark cancels and executions whose order is not there, is another one, or has not as much
        left. What goes wrong for an order is not taken off it, but counts for the rows behind."""
        kind, origin = chunk.columns.kind, chunk.origin
        self._join(chunk, np.flatnonzero((kind == RowKind.ADD) & ~faults.bad))
        rows = np.flatnonzero(_leaves(kind) & ~faults.bad)
        if not len(rows):
            return
        orders = self._orders
        place, known = self._find(origin[rows])
        known[known] &= orders.position[place[known]] < rows[known]
        self._mark(Rule.ORIGIN_UNKNOWN, rows[~known], chunk, faults)
        rows, place = rows[known], place[known]
        same = chunk.columns.side[rows] == orders.side[place]
        same &= chunk.columns.px[rows] == orders.px[place]
        self._mark(Rule.ORIGIN_OTHER, rows[~same], chunk, faults)
        rows, place = rows[same], place[same]
        lots = chunk.columns.qty[rows]
        fits = _running_sums(place, lots) <= orders.left[place]
        self._mark(Rule.ORIGIN_SPENT, rows[~fits], chunk, faults)
        np.subtract.at(orders.left, place[fits], lots[fits])

    def _join(self, chunk: Chunk, chosen: npt.NDArray[np.intp]) -> None:
        self._orders.position[:] = -1
        orders = _joined(self._orders, _joining(chunk, chosen))
        self._orders = orders.take(np.argsort(orders.file_row, kind="stable"))

    def _find(self, file_rows: IntColumn) -> tuple[npt.NDArray[np.intp], Mask]:
        """Places of the orders that joined at these rows of the file, and whether there is one."""
        known_rows = self._orders.file_row
        place = np.searchsorted(known_rows, file_rows)
        found = place < len(known_rows)
        found[found] = known_rows[place[found]] == file_rows[found]
        return place, found

    @staticmethod
    def _mark(rule: Rule, rows: npt.NDArray[np.intp], chunk: Chunk, faults: BatchFaults) -> None:
        mask = np.zeros(len(chunk.rows), dtype=np.bool_)
        mask[rows] = True
        faults.mark(rule, "origin", mask, chunk.origin)

    def place(self, chunk: Chunk, first_row: int) -> IntColumn:
        """The origins as rows of the tape, for checked rows that go there from `first_row` on."""
        kind = chunk.columns.kind
        joins = np.flatnonzero(kind == RowKind.ADD)
        self._orders.tape_row[self._find(chunk.rows[joins])[0]] = first_row + joins
        origin = np.full(len(kind), -1, dtype=np.int64)
        leaves = _leaves(kind)
        origin[leaves] = self._orders.tape_row[self._find(chunk.origin[leaves])[0]]
        self._orders = self._orders.take(self._orders.left > 0)
        return origin


def _leaves(kind: ByteColumn) -> Mask:
    found: Mask = (kind == RowKind.CANCEL) | (kind == RowKind.EXEC)
    return found


def _running_sums(groups: npt.NDArray[np.intp], values: IntColumn) -> IntColumn:
    """The sum of each value and those before it in its group."""
    order = np.argsort(groups, kind="stable")
    sums = np.cumsum(values[order])
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    before = np.concatenate([[0], sums])[starts]
    sums -= np.repeat(before, np.diff(np.append(starts, len(groups))))
    result = np.empty_like(sums)
    result[order] = sums
    return result
