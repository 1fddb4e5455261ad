"""A session's orders, fills, positions and events as messages: tables for JSON, and sentences.

Times are milliseconds since the epoch: nanoseconds do not fit into a browser's numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker_api.event import EventKind, EventRow
from broker_api.instrument import Instrument, from_nanos
from broker_api.order import Liquidity, Side
from broker_api.quote import Quote, Trade
from broker_api.record import OrderRecord
from broker_api.view import Position

Message = dict[str, Any]

_MS = 1_000_000
_BAD = frozenset(
    {
        EventKind.REJECTED,
        EventKind.UNCERTAIN,
        EventKind.UNPROTECTED,
        EventKind.LIQUIDATION,
        EventKind.DOUBLE_EXIT,
        EventKind.DISCREPANCY,
        EventKind.RISK_REFUSED,
        EventKind.RISK_FLATTENED,
        EventKind.RISK_HALTED,
        EventKind.HALTED,
        EventKind.REPLACE_REJECTED,
        EventKind.CANCEL_REJECTED,
    }
)
"""Events that somebody who watches should not overlook."""
_SILENT = frozenset({EventKind.POSITION, EventKind.ACCOUNT})
"""Events that are no lines of a log: what they say is shown elsewhere."""


def to_ms(ts_ns: int) -> int:
    """Nanoseconds as whole milliseconds."""
    return ts_ns // _MS


def instrument_table(spec: Instrument) -> Message:
    """What a page needs to know of an instrument."""
    return {
        "symbol": spec.symbol,
        "id": spec.id,
        "name": spec.name,
        "digits": spec.price_digits,
        "size_digits": spec.size_digits,
        "tick": float(spec.tick_size),
        "currency": spec.currency,
    }


def order_message(record: OrderRecord) -> Message:
    """An order as it is now; `working` is false once it has ended."""
    spec = record.spec
    average = (
        spec.average_price(record.filled_cost, record.filled_lots) if record.filled_lots else None
    )
    return {
        "type": "order",
        "order_id": record.order_id,
        "client_order_id": record.client_order_id,
        "symbol": spec.symbol,
        "side": record.side.name.lower(),
        "kind": record.order_type.name.lower().replace("_", "-"),
        "role": record.role.name.lower().replace("_", " "),
        "status": str(record.status),
        "working": not record.status.is_terminal,  # what is uncertain may work
        "held": record.held,
        "size": spec.lots_to_size(record.size_lots),
        "filled": spec.lots_to_size(record.filled_lots),
        "average": average,
        "limit": _price(spec, record.limit_ticks),
        "stop": _price(spec, record.stop_ticks),
        "reduce_only": record.reduce_only,
        "tag": record.tag,
        "reason": record.reason_text,
        "created_ms": to_ms(record.created_ns),
        "updated_ms": to_ms(record.updated_ns),
    }


def _price(spec: Instrument, ticks: int | None) -> float | None:
    return None if ticks is None else spec.ticks_to_price(ticks)


def fill_message(spec: Instrument, row: EventRow, tag: str = "") -> Message:
    """One execution."""
    return {
        "type": "fill",
        "seq": row.seq,
        "order_id": row.order_id,
        "symbol": spec.symbol,
        "side": Side(row.side).name.lower(),
        "price": spec.ticks_to_price(row.price_ticks),
        "size": spec.lots_to_size(row.lots),
        "fee": from_nanos(row.fee_nanos),
        "liquidity": Liquidity(row.liquidity).name.lower(),
        "time_ms": to_ms(row.ts_ns),
        "tag": tag,
    }


def position_message(position: Position) -> Message:
    """A net position; its size is signed."""
    return {
        "type": "position",
        "symbol": position.symbol,
        "size": position.size,
        "average": position.average_price,
        "realised": position.realised_pnl,
        "unrealised": position.unrealised_pnl,
    }


def quote_message(spec: Instrument, quote: Quote | None, trade: Trade | None) -> Message | None:
    """What the market is now; None while nothing is known."""
    if quote is None and trade is None:
        return None
    last = None if trade is None else trade.price
    mid = None if quote is None else quote.mid
    times = [each.ts_ns for each in (quote, trade) if each is not None]
    return {
        "type": "quote",
        "symbol": spec.symbol,
        "bid": None if quote is None else quote.bid,
        "ask": None if quote is None else quote.ask,
        "bid_size": 0.0 if quote is None else quote.bid_size,
        "ask_size": 0.0 if quote is None else quote.ask_size,
        "last": last,
        "mid": last if mid is None else mid,
        "time_ms": to_ms(max(times)),
    }


def log_message(time_ns: int, text: str, level: str = "info", **about: Any) -> Message:
    """A line of the log; `level` is "info", "warn" or "operator"."""
    return {"type": "log", "time_ms": to_ms(time_ns), "level": level, "text": text, **about}


def event_log(
    row: EventRow, instruments: Sequence[Instrument], record: OrderRecord | None, why: str = ""
) -> Message | None:
    """An event as a line of the log; None for one that is shown elsewhere. `why` is a reason."""
    kind = EventKind(row.kind)
    if kind in _SILENT:
        return None
    level = "warn" if kind in _BAD else "info"
    name = kind.name.lower().replace("_", " ")
    spec = instruments[row.instrument] if row.instrument >= 0 else None
    if record is not None:
        text = f"order {row.order_id} {name}: {_order_text(record)}"
        if kind is EventKind.FILLED:
            own = record.spec
            text += f", {own.format_size(row.lots)} at {own.format_price(row.price_ticks)}"
    else:
        text = name if spec is None else f"{spec.symbol} {name}"
    reason = why or ("" if record is None else record.reason_text)
    if kind in (EventKind.FUNDING, EventKind.DEPOSITED):
        reason = f"{from_nanos(row.value):,.2f}"
    about = {} if record is None else {"order_id": row.order_id}
    return log_message(row.ts_ns, f"{text} — {reason}" if reason else text, level, **about)


def _order_text(record: OrderRecord) -> str:
    spec = record.spec
    kind = record.order_type.name.lower().replace("_", "-")
    words = [record.side.name.lower(), spec.format_size(record.size_lots), spec.symbol, kind]
    if record.limit_ticks is not None:
        words.append(spec.format_price(record.limit_ticks))
    if record.stop_ticks is not None:
        words += ["stop"] * (record.limit_ticks is not None) + [
            spec.format_price(record.stop_ticks)
        ]
    return " ".join(words)
