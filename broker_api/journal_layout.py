"""What lies in the file of a journal: its tables and the views for those who ask it in SQL.

docs/journal.md explains each. Records are the journal; views only show them. A change of a table
raises VERSION; the text of the views may change freely, as each file says how it was made.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from enum import Enum

from broker_api.event import EVENT_COLUMNS, Reason
from broker_api.journal import COMMAND_COLUMNS
from broker_api.order import NO_PRICE, Liquidity, OrderStatus, Role, Side

APPLICATION_ID = 0x70744A31
"""`PRAGMA application_id` of every journal: "ptJ1" in ASCII."""
VERSION = 1
"""`PRAGMA user_version`: counts changes of the tables."""

PAGE_BYTES = 4096
FIXED_HEAD = {
    0: b"SQLite format 3\0\x10\0\2\2\0\x40\x20\x20",
    44: (4).to_bytes(4, "big") + bytes(8) + (1).to_bytes(4, "big"),
    64: bytes(4),
    72: bytes(20),
}
"""Bytes of a journal's head that are always these, by their place (sqlite.org/fileformat.html,
1.3): pages of 4096 bytes, write-ahead log, UTF-8, no vacuum. A wrong one can make SQLite pass over
the write-ahead file, or write where it must not, and no check of its own tells."""

TICK_FIELDS = ("ts", "kind", "side", "px", "qty", "bid", "ask", "bid_qty", "ask_qty")
"""Columns of a row of the market, in the order and with the meaning of `data.schema.TapeColumns`:
prices in ticks, sizes in lots, time in ns, missing sides as NO_PRICE and its negative."""
TICK_COLUMNS = ("instrument", "row", "ts_ns", *TICK_FIELDS[1:])
"""The same as they are called in the table: `row` counts an instrument's rows from 0."""

_TABLES = (
    # Not touched again once the file is there, so its page is never in a write-ahead file: what it
    # says in the main file alone tells whose write-ahead file lies beside it.
    "CREATE TABLE session(genesis BLOB NOT NULL, views BLOB NOT NULL)",
    "CREATE TABLE record(seq INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, kind TEXT NOT NULL,"
    " body TEXT NOT NULL, hash BLOB NOT NULL)",
    "CREATE TABLE tick(id INTEGER PRIMARY KEY, "
    + ", ".join(f"{name} INTEGER NOT NULL" for name in TICK_COLUMNS)
    + ")",
)


def _names(column: str, members: type[Enum]) -> str:
    """SQL that turns a number into its name in lower case; other numbers stay as they are."""
    cases = []
    for member in members:
        code = member.code if isinstance(member, OrderStatus) else member.value
        cases.append(f"WHEN {code} THEN '{member.name.lower()}'")
    return f"CASE {column} {' '.join(cases)} ELSE {column} END"


_NAMED: dict[str, type[Enum]] = {
    "status": OrderStatus,
    "side": Side,
    "liquidity": Liquidity,
    "reason": Reason,
}
_PRICES = ("price_ticks", "stop_ticks")


def _event_column(name: str) -> str:
    value = f"json_extract(body, '$.{name}')"
    if name in _NAMED:
        value = _names(value, _NAMED[name])
    elif name in _PRICES:
        value = f"NULLIF({value}, {NO_PRICE})"
    return f'{value} AS "{name}"'  # one is called "limit", a word of SQL


def _events_view() -> str:
    columns = ",\n  ".join(_event_column(name) for name in EVENT_COLUMNS)
    return (
        "CREATE VIEW events AS SELECT seq AS record, ts_ns AS arrived_ns,\n  "
        f"{columns}\nFROM record WHERE kind = 'event'"
    )


def _commands_view() -> str:
    own = ("ts_ns", "command", "events_before")
    names = [name for name in COMMAND_COLUMNS if name not in own]
    columns = ",\n  ".join(f"json_extract(o.value, '$.{name}') AS {name}" for name in names)
    return (
        "CREATE VIEW commands AS SELECT r.seq AS record, r.ts_ns AS ts_ns,\n  "
        f"json_extract(r.body, '$.events_before') AS events_before,\n  {columns}\n"
        "FROM record AS r, json_each(r.body, '$.rows') AS o WHERE r.kind = 'command'"
    )


def _orders_view() -> str:
    """Each order as it was sent, and what the last event that told of it said."""
    exits = f"('{Role.STOP_EXIT.name.lower()}', '{Role.TARGET_EXIT.name.lower()}')"
    return f"""CREATE VIEW orders AS
WITH last AS (
  SELECT order_id, status, filled_lots, leaves_lots, ts_ns, max(record) AS record
  FROM events WHERE order_id > 0 AND status IS NOT NULL GROUP BY order_id
)
SELECT c.order_id, c.client_order_id, coalesce(c.instrument, e.instrument) AS instrument,
  CASE WHEN c.role IN {exits} THEN CASE e.side WHEN 'buy' THEN 'sell' ELSE 'buy' END
    ELSE c.side END AS side,
  c.role, c.order_type, coalesce(c.size_lots, e.size_lots) AS size_lots,
  coalesce(c.limit_ticks, CASE c.role WHEN 'target_exit' THEN c.price_ticks END) AS limit_ticks,
  coalesce(c.stop_ticks, CASE c.role WHEN 'stop_exit' THEN c.price_ticks END) AS stop_ticks,
  c.offset_ticks, c.ts_ns AS sent_ns, c.record AS sent_record, c.tag,
  coalesce(last.status, 'pending') AS status, coalesce(last.filled_lots, 0) AS filled_lots,
  last.leaves_lots, last.ts_ns AS updated_ns, last.record AS updated_record
FROM commands AS c
LEFT JOIN commands AS e ON e.record = c.record AND e.order_id = c.group_id
LEFT JOIN last ON last.order_id = c.order_id
WHERE c.kind IN ('order', 'bracket', 'oco')"""


def _ticks_view() -> str:
    rest = ", ".join(name for name in TICK_COLUMNS if name not in ("bid", "ask"))
    return (
        f"CREATE VIEW ticks AS SELECT {rest}, NULLIF(bid, {NO_PRICE}) AS bid, "
        f"NULLIF(ask, {-NO_PRICE}) AS ask FROM tick"
    )


def _views() -> Iterator[str]:
    yield _events_view()
    yield _commands_view()
    yield _orders_view()
    yield _ticks_view()


def build(connection: sqlite3.Connection, genesis: bytes) -> None:
    """Make the tables and views in an empty database, in the transaction that is open."""
    # Tables last: SQLite (3.40 at least) takes its check of the whole file for one of a part where
    # what was made last is a view, and then sees neither lost pages nor a wrong list of free ones.
    for statement in (*_views(), *_TABLES):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    views = schema_hash(connection)
    connection.execute("INSERT INTO session VALUES (?, ?)", (genesis, views))


def schema_hash(connection: sqlite3.Connection) -> bytes:
    """SHA-256 of all that the database says about its tables and views."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid")
    return hashlib.sha256(repr([tuple(map(_text, row)) for row in rows]).encode()).digest()


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
