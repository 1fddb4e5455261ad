"""What must hold at every moment of a run, looked for in its journal: of a scenario, of a storm.

Pure: a record and its figures in, sentences about what was broken out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from broker_api.broker import Snapshot
from broker_api.codes import EventKind
from broker_api.event import EventRow
from broker_api.instrument import NANOS, Instrument
from broker_api.journal_parquet import commands_from_table
from broker_api.ledger import Ledger, fold
from broker_api.record import EXIT_ROLES
from reports.metrics import Metrics
from reports.run import RunRecord
from scenarios.expectation import Invariants


def broken(invariants: Invariants, record: RunRecord, metrics: Metrics) -> tuple[str, ...]:
    """One sentence for each invariant that the run broke, none when all held."""
    return (
        *_open_at_the_end(invariants, record, metrics),
        *_orphans(invariants, record),
        *_too_large(invariants, record),
        *_lost(invariants, record, metrics),
    )


def _open_at_the_end(invariants: Invariants, record: RunRecord, metrics: Metrics) -> Iterator[str]:
    if not invariants.flat_at_end:
        return
    for spec, (lots, _) in zip(record.instruments, metrics.positions, strict=True):
        if lots:
            yield f"flat_at_end: {_size(spec, lots)} {spec.symbol} are open at the end"


def _orphans(invariants: Invariants, record: RunRecord) -> Iterator[str]:
    if not invariants.no_orphan_exits:
        return
    ledger = ledger_of(record)
    for order in ledger.working.values():
        if order.role in EXIT_ROLES and not ledger.positions[order.instrument].lots:
            yield (
                f"no_orphan_exits: order {order.order_id} ({order.role.name.lower()}) works at the "
                f"end without a position of {order.spec.symbol}"
            )
    yield from _overfilled(ledger, record)


def _overfilled(ledger: Ledger, record: RunRecord) -> Iterator[str]:
    """Exits that filled more than was open: the position went through zero with one of them."""
    held = [0] * len(record.instruments)
    filled: EventRow | None = None
    for values in record.events:
        row = EventRow._make(values.item())
        if row.kind == EventKind.FILLED:
            filled = row
        elif row.kind == EventKind.POSITION and 0 <= row.instrument < len(held):
            before, now = held[row.instrument], row.position_lots
            held[row.instrument] = now
            order = ledger.orders.get(filled.order_id) if filled is not None else None
            if order is not None and order.role in EXIT_ROLES and now and before * now <= 0:
                spec = record.instruments[row.instrument]
                yield (
                    f"no_orphan_exits: order {order.order_id} ({order.role.name.lower()}) filled "
                    f"more than was open: {_size(spec, before)} {spec.symbol} before, "
                    f"{_size(spec, now)} after"
                )


def _too_large(invariants: Invariants, record: RunRecord) -> Iterator[str]:
    limits = invariants.max_position
    if limits is None:
        return
    changes = record.events[record.events["kind"] == EventKind.POSITION]
    for index, spec in enumerate(record.instruments):
        limit = limits.get(spec.symbol) if isinstance(limits, dict) else limits
        own = np.abs(changes["position_lots"][changes["instrument"] == index])
        largest = int(own.max()) if len(own) else 0
        if limit is not None and largest * float(spec.lot_size) > limit:
            yield (
                f"max_position: {_size(spec, largest)} {spec.symbol} were open, more than {limit:g}"
            )


def _lost(invariants: Invariants, record: RunRecord, metrics: Metrics) -> Iterator[str]:
    if invariants.max_loss is None:
        return
    loss = (record.cash_nanos - int(metrics.equity.nanos.min())) / NANOS
    if loss > invariants.max_loss:
        yield f"max_loss: equity fell by {loss:,.2f}, more than {invariants.max_loss:,.2f}"


def ledger_of(record: RunRecord) -> Ledger:
    """The ledger at the end of the run, folded from its journal."""
    commands = commands_from_table(record.commands())
    snapshot = Snapshot("", record.currency, record.cash_nanos, ())
    events = (EventRow._make(values.item()) for values in record.events)
    return fold(record.instruments, snapshot, commands, events)


def _size(spec: Instrument, lots: int) -> str:
    return f"{lots * spec.lot_size:,f}"
