"""A contingency on a bench: a test plays the venue by hand and reads what is sent and told."""

from __future__ import annotations

from dataclasses import replace

from broker_api.broker import Snapshot
from broker_api.catalog import find, load_catalog
from broker_api.contingency import Contingency, Protection, Reaction
from broker_api.event import EventKind, EventRow, Reason, row_of
from broker_api.ledger import Ledger
from broker_api.order import (
    NO_PRICE,
    BracketRequest,
    CancelRequest,
    ExitRequest,
    OcoRequest,
    OrderRequest,
    OrderStatus,
    OrderType,
    ReplaceRequest,
    Side,
)
from broker_api.plain_order import asked_id, is_repair

MNQ = find(load_catalog(), "MNQ")
MS = 1_000_000
RULES = Protection(
    retry_ns=100 * MS, retry_max_ns=400 * MS, attempts_max=3, close_after_ns=1_000 * MS
)
BUY, SELL = Side
OPEN, PARTIAL, FILLED = OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED


def order(order_id, side=BUY, lots=4, kind=OrderType.LIMIT, price=1_000, **more) -> OrderRequest:
    limit = price if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None
    stop = price if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None
    terms = {"limit_ticks": limit, "stop_ticks": stop, **more}
    return OrderRequest(order_id, str(order_id), "MNQ", side, kind, lots, **terms)


def bracket(first=1, side=BUY, lots=4, stop=10, target=20, **more) -> BracketRequest:
    """An entry and exits with the ids from `first` on; `stop` and `target` are offsets or terms."""

    def leg(number, terms):
        if terms is None:
            return None
        terms = {"offset_ticks": terms} if isinstance(terms, int) else terms
        return ExitRequest(first + number, str(first + number), **terms)

    entry = more.pop("entry", None) or order(first, side, lots)
    return BracketRequest(entry, leg(1, stop), leg(2, target), **more)


def oco(first=1, lots=4, second_side=SELL, **more) -> OcoRequest:
    """A sell limit at 1,010 and a stop at 990, as for a long position."""
    target = order(first, SELL, lots, price=1_010)
    stop = order(first + 1, second_side, lots, OrderType.STOP, 990)
    return OcoRequest(target, stop, **more)


class Bench:
    """The machine, the ledger of a session that hears it, and what was sent and told last.

    Verbs of the venue take the id of the session's order and mean the order that stands for it now.
    """

    def __init__(self, rules: Protection = RULES, positions: tuple[int, ...] = (0,)) -> None:
        self.machine = Contingency((MNQ,), rules, list(positions))
        self.ledger = Ledger([MNQ], Snapshot("TEST", "USD", 10**15, ()))
        self.ledger.positions[0].lots = positions[0]
        self.now_ns = 0
        self.sent: list[str] = []
        self.told: list[str] = []
        self.plain: dict[int, OrderRequest] = {}
        self.filled: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        self.asked: dict[int, ReplaceRequest] = {}

    def _take(self, reaction: Reaction) -> Bench:
        for row in reaction.events:
            self.ledger.apply_event(row)
        self.told = [_told(row) for row in reaction.events]
        self.sent = [self._sent(command) for command in reaction.commands]
        return self

    def _sent(self, command: object) -> str:
        if isinstance(command, OrderRequest):
            key = self._key(command.order_id)
            self.plain[key] = command
            self.filled[key], self.sizes[key] = 0, command.size_lots
            prices = [
                f"{name} {value}"
                for name, value in (
                    ("at", command.limit_ticks),
                    ("stop", command.stop_ticks),
                    ("trail", command.trail_ticks),
                )
                if value is not None
            ]
            kind = "market " if command.order_type is OrderType.MARKET else ""
            verb = f"{command.side.name.lower()} {kind}{command.size_lots}"
            return " ".join([f"{command.client_order_id}: {verb}", *prices])
        plain = self.plain.get(self._key(command.order_id))
        name = str(command.order_id) if plain is None else plain.client_order_id
        if isinstance(command, ReplaceRequest):
            self.asked[self._key(command.order_id)] = command
            terms = [
                f"{word} {value}"
                for word, value in (
                    ("size", command.size_lots),
                    ("at", command.limit_ticks),
                    ("stop", command.stop_ticks),
                    ("trail", command.trail_ticks),
                )
                if value is not None
            ]
            return f"{name}: change {' '.join(terms)}"
        return f"{name}: cancel"

    @staticmethod
    def _key(order_id: int) -> int:
        """Repairs are known as minus the id of their group, else the session's id."""
        return -asked_id(order_id) if is_repair(order_id) else asked_id(order_id)

    # --- the session ---------------------------------------------------------------------------

    def give(self, command: object) -> Bench:
        self.ledger.apply_command(self.now_ns, command)
        return self._take(self.machine.command(self.now_ns, command))

    def cancel(self, order_id: int) -> Bench:
        return self.give(CancelRequest(order_id))

    def change(self, order_id: int, **terms: int) -> Bench:
        return self.give(ReplaceRequest(order_id, **terms))

    def wait(self, milliseconds: int) -> Bench:
        self.now_ns += milliseconds * MS
        return self._take(self.machine.on_time(self.now_ns))

    # --- the venue -----------------------------------------------------------------------------

    def hear(self, kind: EventKind, key: int, status: OrderStatus, **columns: int) -> Bench:
        self.now_ns += MS
        filled, size = self.filled.get(key, 0), self.sizes.get(key, 0)
        columns = {
            "filled_lots": filled,
            "leaves_lots": 0 if status.is_terminal else size - filled,
            "order_id": self.plain[key].order_id if key in self.plain else key,
            **columns,
        }
        # The venue's clock stands still and is decades behind: only the session's counts.
        row = row_of(kind, ts_ns=7, status=status.code, **columns)
        return self._take(self.machine.hear(row, self.now_ns))

    def _terms(self, key: int, **terms: int) -> dict[str, int]:
        request = self.plain[key]
        limit, stop = request.limit_ticks, request.stop_ticks
        return {
            "side": int(request.side),
            "lots": self.sizes[key],
            "price_ticks": NO_PRICE if limit is None else limit,
            "stop_ticks": NO_PRICE if stop is None else stop,
            **terms,
        }

    def accept(self, *keys: int, **terms: int) -> Bench:
        sent, told = [], []
        for key in keys:
            status = PARTIAL if self.filled[key] else OPEN
            self.hear(EventKind.ACCEPTED, key, status, **self._terms(key, **terms))
            sent += self.sent
            told += self.told
        self.sent, self.told = sent, told
        return self

    def reject(self, key: int, reason: Reason = Reason.REFUSED_BY_VENUE) -> Bench:
        return self.hear(EventKind.REJECTED, key, OrderStatus.REJECTED, reason=int(reason))

    def fill(self, key: int, lots: int, price: int = 1_000) -> Bench:
        self.filled[key] += lots
        done = self.filled[key] >= self.sizes[key]
        side = int(self.plain[key].side)
        terms = {"side": side, "lots": lots, "price_ticks": price}
        return self.hear(EventKind.FILLED, key, FILLED if done else PARTIAL, **terms)

    def changed(self, key: int) -> Bench:
        """The venue takes the change that was sent for this order last."""
        change = self.asked[key]
        old = self.plain[key]
        limit = old.limit_ticks if change.limit_ticks is None else change.limit_ticks
        stop = old.stop_ticks if change.stop_ticks is None else change.stop_ticks
        self.plain[key] = replace(old, limit_ticks=limit, stop_ticks=stop)
        return self.replaced(key, change.size_lots or self.sizes[key])

    def replaced(self, key: int, lots: int, **terms: int) -> Bench:
        self.sizes[key] = lots
        status = PARTIAL if self.filled[key] else OPEN
        return self.hear(EventKind.REPLACED, key, status, **self._terms(key, **terms))

    def refuse_change(self, key: int, reason: Reason) -> Bench:
        return self.hear(EventKind.REPLACE_REJECTED, key, OPEN, reason=int(reason))

    def cancelled(self, key: int, reason: Reason = Reason.BY_USER) -> Bench:
        return self.hear(EventKind.CANCELLED, key, OrderStatus.CANCELLED, reason=int(reason))

    def refuse_cancel(self, key: int, reason: Reason = Reason.ORDER_NOT_ACTIVE) -> Bench:
        status = FILLED if reason is Reason.ORDER_NOT_ACTIVE else OPEN
        return self.hear(EventKind.CANCEL_REJECTED, key, status, reason=int(reason))

    def doubt(self, key: int) -> Bench:
        return self.hear(EventKind.UNCERTAIN, key, OrderStatus.UNCERTAIN)

    # --- looking -------------------------------------------------------------------------------

    def status(self, order_id: int) -> str:
        record = self.ledger.orders[order_id]
        return "held" if record.held else str(record.status)

    @property
    def position(self) -> int:
        return self.ledger.positions[0].lots

    def protected(self, lots: int = 4, **more: object) -> Bench:
        """A bracket that has filled `lots` at 1,000 and whose exits are live."""
        self.give(bracket(lots=lots, **more)).accept(1)
        self.fill(1, lots)
        return self.accept(*(key for key in (2, 3) if key in self.plain))


def _told(row: EventRow) -> str:
    """An event in words: its order, its kind, what it is about."""
    kind = EventKind(row.kind)
    name = kind.name.lower().replace("_", " ")
    if kind in (EventKind.POSITION, EventKind.ACCOUNT):
        return name
    number = f"repair {asked_id(row.order_id)}" if is_repair(row.order_id) else str(row.order_id)
    parts = [f"{number} {name}"]
    if kind in (EventKind.FILLED, EventKind.DOUBLE_EXIT):
        parts.append(str(row.lots))
    elif row.lots:
        parts.append(f"{row.lots}")
    if kind in (EventKind.ACCEPTED, EventKind.ACTIVATED, EventKind.REPLACED):
        if row.price_ticks != NO_PRICE:
            parts.append(f"at {row.price_ticks}")
        if row.stop_ticks != NO_PRICE:
            parts.append(f"stop {row.stop_ticks}")
    if row.reason:
        parts.append(f"({Reason(row.reason).name.lower()})")
    return " ".join(parts)
