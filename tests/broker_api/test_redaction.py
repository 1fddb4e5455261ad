"""Log records lose their secrets on the way to a handler, in whatever form these travel."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import urllib.parse

import pytest

from broker_api.redaction import RedactingFilter, Redactor
from broker_api.secret import MASK, Secret

TEXT = "hunter2+hunter2/ü\n'\"\\ %s"
KEY = "0x0123456789abcdef0123456789ABCDEF01234567"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
SECRETS = (TEXT, KEY, TOKEN)


@pytest.fixture
def redactor():
    return Redactor(map(Secret, SECRETS))


@pytest.fixture
def logged(redactor):
    """A logger whose one handler is covered, and what it has written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        logging.Formatter("%(levelname)s %(message)s %(where)s", defaults={"where": ""})
    )
    parent = logging.getLogger("redaction-test")
    parent.propagate = False
    parent.setLevel(logging.DEBUG)
    parent.addHandler(handler)
    RedactingFilter(redactor).cover(parent)
    yield logging.getLogger("redaction-test.inner.library"), stream
    parent.removeHandler(handler)


def is_clean(written: str) -> bool:
    return not any(part in written.lower() for part in ("hunter2", "0123456789abcdef", "eyjhbg"))


FORMS = {
    "plain": lambda text: f"key {text} end",
    "repr": repr,
    "twice": lambda text: f"{text}{text}",
    "json": lambda text: json.dumps({"key": text}),
    "json unicode": lambda text: json.dumps({"key": text}, ensure_ascii=False),
    "bytes": lambda text: repr(text.encode()),
    "hex": lambda text: text.encode().hex(),
    "url": lambda text: "wss://venue/hub?access_token=" + urllib.parse.quote(text),
    "url all": lambda text: urllib.parse.quote(text, safe=""),
    "url plus": lambda text: urllib.parse.urlencode({"token": text}),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "basic": lambda text: "Basic " + base64.b64encode(b"user:" + text.encode()).decode(),
    "base64 url": lambda text: base64.urlsafe_b64encode(b"u:" + text.encode() + b":x").decode(),
    "upper case": str.upper,
    "without 0x": lambda text: text.removeprefix("0x").lower(),
    "html quotes": lambda text: f'<a href="{text}">',
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("text", SECRETS, ids=["odd", "key", "token"])
def test_a_secret_is_masked_in_every_form_in_which_it_travels(redactor, text, form):
    shown = redactor.redact(f"before {form(text)} after")
    assert is_clean(shown)
    assert text.encode().hex() not in shown
    inner = base64.b64encode(text.encode()).decode().rstrip("=")[:-1]
    assert inner not in shown
    assert base64.b64encode(b"u:" + text.encode()).decode()[4:-4] not in shown
    assert MASK in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


def test_other_texts_are_left_alone(redactor):
    text = "order 17 of MNQ at 21000.25, hunter 2, 0x0123"
    assert redactor.redact(text) == text
    assert Redactor().redact(TEXT) == TEXT


def test_a_renewed_token_is_masked_from_when_it_is_known(redactor):
    assert redactor.redact("second-token") == "second-token"
    redactor.add(Secret("second-token"))
    assert redactor.redact(f"second-token {TOKEN}") == f"{MASK} {MASK}"


class Loud:
    """Shows the secret in its text, as a library's request object would."""

    def __str__(self) -> str:
        return f"<request {TOKEN}>"

    __repr__ = __str__


class Broken:
    def __repr__(self) -> str:
        raise ValueError(TOKEN)


def raising() -> None:
    try:
        raise KeyError(TOKEN)
    except KeyError as first:
        failure = RuntimeError(f"request with {TEXT} failed")
        failure.add_note(f"note {KEY}")
        raise failure from first


LOGS = {
    "message": lambda log: log.info(TOKEN),
    "argument": lambda log: log.info("key %s", TOKEN),
    "secret": lambda log: log.info("key %s %r", Secret(TOKEN), Secret(TOKEN)),
    "named": lambda log: log.info("key %(key)s", {"key": TOKEN}),
    "object": lambda log: log.info(Loud()),
    "object argument": lambda log: log.warning("sent %s", Loud()),
    "bytes": lambda log: log.info("sent %r", TEXT.encode()),
    "too many": lambda log: log.info("key", TOKEN),
    "too few": lambda log: log.info(f"%s %s {TOKEN}", KEY),
    "wrong kind": lambda log: log.info(f"%d {TOKEN}", TEXT),
    "broken": lambda log: log.info(Broken()),
    "extra": lambda log: log.info("key", extra={"where": TOKEN}),
    "deep extra": lambda log: log.info("key", extra={"where": {"a": [(TOKEN, {KEY: 1})]}}),
    "object extra": lambda log: log.info("key", extra={"where": [Loud(), TEXT.encode()]}),
    "broken extra": lambda log: log.info("key", extra={"where": Broken()}),
    "stack": lambda log: log.info("key", stack_info=True, extra={"where": TOKEN}),
}


@pytest.mark.parametrize("write", LOGS.values(), ids=LOGS)
def test_nothing_that_is_logged_shows_a_secret(logged, write, capsys, monkeypatch):
    logger, stream = logged
    monkeypatch.setattr(logging, "raiseExceptions", True)
    write(logger)
    assert stream.getvalue()
    assert is_clean(stream.getvalue())
    assert is_clean(capsys.readouterr().err)


def test_tracebacks_with_causes_and_notes_are_masked(logged):
    logger, stream = logged
    try:
        raising()
    except RuntimeError:
        logger.exception("the request failed")
    assert is_clean(stream.getvalue())
    assert "RuntimeError: request with" in stream.getvalue()
    assert "KeyError" in stream.getvalue()
    assert stream.getvalue().count(MASK) >= 3


def test_a_handler_of_another_make_gets_no_exception_objects(redactor):
    seen = []

    class Own(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(dict(vars(record)))

    own, plain = Own(), logging.StreamHandler(io.StringIO())
    logger = logging.getLogger("redaction-test-own")
    logger.propagate = False
    logger.handlers = [own, plain]
    RedactingFilter(redactor).cover(logger)
    try:
        raising()
    except RuntimeError:
        logger.exception("sent %s", TOKEN, extra={"body": {"token": TOKEN}, "count": 5})
    assert is_clean(repr(seen))
    assert is_clean(plain.stream.getvalue())
    assert seen[0]["exc_info"] is None
    assert seen[0]["count"] == 5


def test_a_table_inside_itself_is_masked_below_a_depth(redactor):
    table: dict[str, object] = {"key": TOKEN}
    table["self"] = table
    assert is_clean(repr(redactor.redact_value(table)))


def test_every_handler_up_to_the_root_is_covered_once(redactor, monkeypatch):
    root, child = logging.getLogger(), logging.getLogger("redaction-test-chain.child")
    first, second = logging.StreamHandler(io.StringIO()), logging.StreamHandler(io.StringIO())
    monkeypatch.setattr(root, "handlers", [*root.handlers, first])
    monkeypatch.setattr(child, "handlers", [second])
    filters = RedactingFilter(redactor)
    filters.cover(child)
    filters.cover(child)
    child.error("key %s", TOKEN)
    for handler in (first, second):
        assert handler.filters.count(filters) == 1
        assert handler.stream.getvalue() == f"key {MASK}\n"
    for handler in (*root.handlers, logging.lastResort):
        handler.removeFilter(filters)


def test_without_any_handler_the_last_resort_is_covered(redactor, capsys, monkeypatch):
    logger = logging.getLogger("redaction-test-bare")
    logger.propagate = False
    monkeypatch.setattr(logging, "lastResort", logging._StderrHandler(logging.WARNING))
    RedactingFilter(redactor).cover(logger)
    logger.warning("key %s", TOKEN)
    written = capsys.readouterr().err
    assert written == f"key {MASK}\n"
    assert sys.stderr is not None
