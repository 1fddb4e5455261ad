"""What happens in a session as JSON lines, through the standard logging module.

Every line of an order has its client order id as `order`: what was asked, answered and filled is
found by it in the log, at the venue and in the journal. Lines are written by a thread of their own;
secrets are masked before they leave the session's.
"""

from __future__ import annotations

import logging
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from broker_api.errors import ConfigurationError
from broker_api.redaction import RedactingFilter, Redactor
from papertape.watching.board import Message, Watched

SESSION_LOGGER = "papertape.session"
STDERR = "-"
_LEVELS = {"info": logging.INFO, "operator": logging.INFO, "warn": logging.WARNING}
_ORDERS_MAX = 10_000
"""Client order ids that are remembered; of older orders the number alone is told."""


class SessionLog:
    """A sink of a watch: each line of its log as a record of `papertape.session`."""

    def __init__(self, session: str) -> None:
        self._session = session
        self._logger = logging.getLogger(SESSION_LOGGER)
        self._orders: OrderedDict[int, str] = OrderedDict()

    def __call__(self, message: Message) -> None:
        """Take a message of the board."""
        kind = message["type"]
        if kind == "order":
            self._orders[message["order_id"]] = message["client_order_id"]
            self._orders.move_to_end(message["order_id"])
            if len(self._orders) > _ORDERS_MAX:
                self._orders.popitem(last=False)
        elif kind == "log":
            about = self._about(message)
            self._logger.log(_LEVELS[message["level"]], "%s", message["text"], extra=about)

    def _about(self, message: Message) -> dict[str, Any]:
        about: dict[str, Any] = {"session": self._session, "session_time": _iso(message["time_ms"])}
        if message["level"] == "operator":
            about["operator"] = True
        order_id = message.get("order_id")
        if order_id is not None:
            about["order"] = self._orders.get(order_id)
            about["order_id"] = order_id
        return about


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


class _Lines(JsonFormatter):
    """One line a record: time, level, logger, message, and whatever the caller added."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
        )

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """The time comes first, so that lines sort."""
        log_data["time"] = _iso(int(record.created * 1000))
        super().add_fields(log_data, record, message_dict)
        log_data["level"] = record.levelname.lower()


@contextmanager
def logging_to(target: str, redactor: Redactor, level: int = logging.INFO) -> Iterator[None]:
    """While this is entered everything that is logged goes to a file, which grows, or to "-", the
    standard error. Raises ConfigurationError for a file that cannot be written."""
    with ExitStack() as stack:
        writer: logging.Handler
        if target == STDERR:
            writer = logging.StreamHandler(sys.stderr)
        else:
            try:
                writer = logging.FileHandler(Path(target), encoding="utf-8")
            except OSError as failure:
                raise ConfigurationError(f"--log {target}: {failure.strerror}") from None
        stack.callback(writer.close)
        writer.setFormatter(_Lines())
        queue: SimpleQueue[Any] = SimpleQueue()
        handler = _Queue(queue)
        # Here and not at the writer: the record that waits in the queue has no secrets any more.
        handler.addFilter(RedactingFilter(redactor))
        listener = QueueListener(queue, writer)
        listener.start()
        stack.callback(listener.stop)
        root = logging.getLogger()
        before = root.level
        root.addHandler(handler)
        stack.callback(root.removeHandler, handler)
        root.setLevel(level)
        stack.callback(root.setLevel, before)
        yield


class _Queue(QueueHandler):
    """Hands records on as they are: the filter has made texts of all that they refer to."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


def log_session(watch: Watched, session: str) -> None:
    """Log what a watch tells from now on; `session` is its name in every line."""
    log = SessionLog(session)
    watch.subscribe(log)
    for order in watch.snapshot()["orders"]:
        log(order)
