"""Keeping secrets out of texts that others make: log records, exceptions of libraries, URLs.

A library that fails with the URL of its request may put a token into a traceback. A
:class:`Redactor` knows the forms in which a secret travels; :class:`RedactingFilter` applies it to
every record of the handlers that it covers.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import urllib.parse
from collections.abc import Iterable
from typing import Any

from broker_api.secret import MASK, Secret

_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{16,})")
DEPTH_MAX = 8
"""Tables in tables of a record's fields are looked through that deep; below, all is masked."""
_FORMATTER = logging.Formatter()
_STANDARD = frozenset(vars(logging.makeLogRecord({})))
"""Fields that every record has; what a caller added (`extra`) is none of them."""


class Redactor:
    """Replaces every secret that it knows by the mask, also quoted, escaped, in base64 or hex."""

    def __init__(self, known: Iterable[Secret] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for secret in known:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """Know one more secret, for example a token that was renewed."""
        text = secret.reveal()
        self._forms.update(_forms(text))
        hexadecimal = _HEX.fullmatch(text)
        if hexadecimal:  # keys are written with and without 0x, in either case
            self._forms.update((hexadecimal[1].lower(), hexadecimal[1].upper()))
        # The longest first: a form may contain another one.
        ordered = sorted(self._forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE)

    def redact(self, text: str) -> str:
        """`text` with the mask in the place of every secret."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def redact_value(self, value: Any, depth: int = 0) -> Any:
        """The same for what a log record carries: texts, bytes, and tables and lists of them.

        Another object is kept if its text shows no secret, else it is replaced by its text.
        """
        if isinstance(value, str):
            return self.redact(value)
        if depth >= DEPTH_MAX:
            return MASK
        if isinstance(value, dict):
            return {
                self.redact_value(key, depth + 1): self.redact_value(item, depth + 1)
                for key, item in value.items()
            }
        if type(value) in (list, tuple):
            return type(value)(self.redact_value(item, depth + 1) for item in value)
        if isinstance(value, bytes | bytearray):
            text = value.decode("utf-8", "replace")
            return value if self.redact(text) == text else self.redact(text)
        shown, is_whole = _text_of(value)
        return value if is_whole and self.redact(shown) == shown else self.redact(shown)


def _forms(text: str) -> Iterable[str]:
    """The ways in which a text may be written."""
    data = text.encode()
    yield text
    yield repr(text)[1:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(data)[2:-1]
    yield urllib.parse.quote(text)
    yield urllib.parse.quote(text, safe="")
    yield urllib.parse.quote_plus(text)
    yield data.hex()
    for offset in range(3):  # in base64 a text looks different at each of three places
        encoded = base64.b64encode(b"\0" * offset + data).decode()
        # Only the characters whose bits are all the text's: the others depend on its neighbours.
        inner = encoded[-(-8 * offset // 6) : 8 * (offset + len(data)) // 6]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def _text_of(value: object) -> tuple[str, bool]:
    """How a value may be printed, and whether it can be: an exception may tell secrets as well."""
    try:
        return f"{value} {value!r}", True
    except Exception:
        return f"<{type(value).__name__}>", False


class RedactingFilter(logging.Filter):
    """Masks secrets in everything that a log record carries: message, fields and tracebacks.

    A filter of a logger sees only what is logged to that very logger. `cover` therefore adds it to
    handlers, through which the records of all libraries go.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def cover(self, logger: logging.Logger | None = None) -> None:
        """Add this filter to every handler that records of `logger` (the root) reach. Idempotent.

        A handler that is made later has to be covered then.
        """
        each = logging.getLogger() if logger is None else logger
        handlers = list(each.handlers)
        while each.propagate and each.parent is not None:
            each = each.parent
            handlers += each.handlers
        if logging.lastResort is not None:  # it writes where no handler is configured
            handlers.append(logging.lastResort)
        for handler in handlers:
            handler.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask in place; every record passes."""
        redact = self._redactor.redact
        try:
            message = record.getMessage()
        except Exception:  # a handler would print what does not fit raw
            message = f"{_text_of(record.msg)[0]} (its arguments do not fit)"
        record.msg, record.args = redact(message), None
        if record.exc_info and not record.exc_text:
            record.exc_text = _FORMATTER.formatException(record.exc_info)
        # A handler of another make would format the exception itself, from its objects.
        record.exc_info = None
        for name, value in record.__dict__.items():
            if isinstance(value, str):
                record.__dict__[name] = redact(value)
            elif name not in _STANDARD:
                record.__dict__[name] = self._redactor.redact_value(value)
        return True
