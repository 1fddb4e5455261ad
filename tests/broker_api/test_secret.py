"""A secret leaves only through `reveal`: everything else that could show it is tried here."""

from __future__ import annotations

import copy
import dataclasses
import decimal
import inspect
import json
import os
import pickle
import pprint
import string
import sys
import traceback

import pytest
from pydantic import BaseModel

from broker_api.config import Settings
from broker_api.errors import ConfigurationError, SecretError
from broker_api.secret import MASK, Secret

TEXT = "hunter2-hunter2/ключ\n'\"\\"


class Keys(Settings):
    key: Secret
    count: int = 1


class Outer(BaseModel):
    keys: Keys


@dataclasses.dataclass(frozen=True)
class Holder:
    key: Secret


SHOWS = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "padded": lambda secret: f"{secret:>40}",
    "fstring": lambda secret: f"{secret} {secret!s} {secret!r} {secret!a}",
    "debug": lambda secret: f"{secret=}",
    "percent": lambda secret: f"{'%s %r'}" % (secret, secret),
    "template": lambda secret: string.Template("$key").substitute(key=secret),
    "print": lambda secret: pprint.pformat({"a": [secret, (secret,)]}),
    "list": lambda secret: str([secret, {secret.matches: secret}]),
    "dataclass": lambda secret: repr(Holder(secret)),
    "asdict": lambda secret: repr(dataclasses.asdict(Holder(secret))),
    "copies": lambda secret: repr([copy.copy(secret), copy.deepcopy([secret])]),
    "members": lambda secret: repr(inspect.getmembers(secret)),
    "state": lambda secret: repr(object.__getstate__(secret)),
    "json default": lambda secret: json.dumps([secret], default=str),
    "model": lambda secret: repr(Outer(keys=Keys(key=secret))),
    "model dump": lambda secret: repr(Outer(keys=Keys(key=secret)).model_dump()),
    "json dump": lambda secret: Outer(keys=Keys(key=secret)).model_dump_json(),
    "json mode": lambda secret: repr(Outer(keys=Keys(key=secret)).model_dump(mode="json")),
    "model copy": lambda secret: repr(Keys(key=secret).model_copy(update={"count": 2})),
    "schema": lambda secret: json.dumps(Keys.model_json_schema()) + repr(secret),
}


def shows_nothing(shown: str) -> bool:
    return "hunter" not in shown and "ключ" not in shown


@pytest.mark.parametrize("show", SHOWS.values(), ids=SHOWS)
def test_a_secret_is_masked_wherever_it_is_shown(show):
    shown = show(Secret(TEXT))
    assert shows_nothing(shown)
    assert MASK in shown or "_reveal" in shown


def test_only_reveal_gives_the_text():
    assert Secret(TEXT).reveal() == TEXT


REFUSALS = {
    "pickle": pickle.dumps,
    "old pickle": lambda secret: pickle.dumps(secret, protocol=0),
    "pickle inside": lambda secret: pickle.dumps(Holder(secret)),
    "json": json.dumps,
    "hash": hash,
    "set": lambda secret: {secret},
    "length": len,
    "iteration": list,
    "order": lambda secret: secret < secret,
    "bytes": bytes,
    "number": int,
    "decimal": decimal.Decimal,
    "join": lambda secret: "".join([secret]),
    "concatenation": lambda secret: "Bearer " + secret,
    "index": lambda secret: secret[0],
    "vars": vars,
    "change": lambda secret: setattr(secret, "_reveal", lambda: "other"),
    "new attribute": lambda secret: setattr(secret, "text", "other"),
}


@pytest.mark.parametrize("use", REFUSALS.values(), ids=REFUSALS)
def test_other_uses_are_refused_without_showing_it(use):
    secret = Secret(TEXT)
    with pytest.raises((TypeError, AttributeError, SecretError, ValueError)) as caught:
        use(secret)
    assert shows_nothing(in_full(caught.value))
    assert secret.reveal() == TEXT


def test_secrets_are_equal_by_their_text_and_never_to_a_text():
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret("x" + TEXT)
    assert Secret(TEXT) != TEXT
    assert Secret(TEXT).matches(TEXT)
    assert not Secret(TEXT).matches(TEXT[:-1])


def test_comparison_goes_through_the_constant_time_function(monkeypatch):
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT).matches(TEXT)
    assert len(compared) == 2


def in_full(failure: BaseException) -> str:
    """Everything that a traceback could show of an exception and of what it carries along."""
    shown, waiting = [], [failure]
    while waiting:
        each = waiting.pop()
        shown += traceback.TracebackException.from_exception(each, capture_locals=True).format()
        shown += [repr(each.args), repr(vars(each))]
        waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
    return "".join(shown)


def refused(call, *given, **named) -> str:
    """The error of a call, in full, without this frame: it holds what is handed in."""
    try:
        call(*given, **named)
    except ConfigurationError as failure:
        failure.__traceback__ = failure.__traceback__.tb_next
        return in_full(failure)
    raise AssertionError("it was not refused")


@pytest.mark.parametrize("value", ["hunter2", "   hunter2  ", ""])
def test_a_variable_with_too_short_a_text_is_named_and_not_shown(monkeypatch, value):
    monkeypatch.setenv("K_KEY", value)
    monkeypatch.setenv("K_OTHER", "hunter2-of-another")
    shown = refused(Secret.from_environment, "K_KEY")
    assert "K_KEY" in shown
    assert shows_nothing(shown)


def test_a_missing_variable_is_named_and_the_others_are_not_shown(monkeypatch):
    monkeypatch.delenv("K_KEY", raising=False)
    monkeypatch.setenv("K_OTHER", "hunter2-of-another")
    shown = refused(Secret.from_environment, "K_KEY")
    assert "environment variable K_KEY: it is not set" in shown
    assert shows_nothing(shown)


def test_a_variable_is_read_without_the_white_space_around_it(monkeypatch):
    monkeypatch.setenv("K_KEY", " hunter2-hunter2\n")
    assert Secret.from_environment("K_KEY").reveal() == "hunter2-hunter2"
    assert Secret.from_reference("env:K_KEY") == Secret("hunter2-hunter2")


@pytest.fixture
def private(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"hunter2-hunter2\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_read(private, mode):
    private.chmod(mode)
    assert Secret.from_file(private).reveal() == "hunter2-hunter2"
    assert Secret.from_file(str(private)) == Secret.from_reference(f"file:{private}")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610, 0o601, 0o777])
def test_a_file_that_others_may_use_is_refused_with_its_mode(private, mode):
    private.chmod(mode)
    with pytest.raises(SecretError, match=f"mode {mode:04o}.*0600"):
        Secret.from_file(private)


def test_the_mode_is_that_of_the_file_behind_a_link(private, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(private)
    assert Secret.from_file(link) == Secret("hunter2-hunter2")
    private.chmod(0o644)
    with pytest.raises(SecretError, match="0644"):
        Secret.from_file(link)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"hunter2-hunter2\xff", "not UTF-8"),
        (b"hunter2", "fewer than 8"),
        (b"", "fewer than 8"),
        (b"hunter2-hunter2" * 10_000, "at most 65536"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_without_showing_it(private, content, text):
    private.write_bytes(content)
    shown = refused(Secret.from_file, private)
    assert text in shown
    assert str(private) in shown
    assert shows_nothing(shown)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(SecretError, match="No such file"):
        Secret.from_file(tmp_path / "missing")
    with pytest.raises(SecretError, match="no regular file"):
        Secret.from_file(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SecretError, match="no regular file"):
        Secret.from_file(tmp_path / "pipe")


def test_a_file_of_another_user_is_refused(private, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    state = os.stat_result((0o100600, 1, 1, 1, 12345, 1, 16, 0, 0, 0))
    monkeypatch.setattr(os, "fstat", lambda descriptor: state)
    with pytest.raises(SecretError, match="belongs to user 12345"):
        Secret.from_file(private)


@pytest.mark.parametrize("text", [None, 12345678, b"hunter2-hunter2", "short", "hunter2\ud800xxxx"])
def test_what_is_no_secret_is_refused_without_showing_it(text):
    shown = refused(Secret, text)
    assert shows_nothing(shown)
    assert "short" not in shown
    assert "12345678" not in shown


@pytest.mark.parametrize(
    "pasted", ["hunter2-hunter2", "", "env:", "file:", "vault:hunter2-key", 5, None, ["hunter2-a"]]
)
def test_settings_take_references_only_and_do_not_show_what_was_pasted(pasted):
    shown = refused(Keys, key=pasted, count="many") + refused(Secret.from_reference, pasted)
    assert 'say where it is: "env:NAME" or "file:PATH"' in shown
    assert shows_nothing(shown)


def test_another_fault_of_the_settings_does_not_show_the_secret(monkeypatch):
    monkeypatch.setenv("K_KEY", "hunter2-hunter2")
    shown = refused(Keys, key="env:K_KEY", count="many")
    assert "Keys.count = 'many'" in shown
    assert shows_nothing(shown)


def test_settings_hold_the_secret_that_a_reference_names(monkeypatch):
    monkeypatch.setenv("K_KEY", "hunter2-hunter2")
    keys = Keys(key="env:K_KEY")
    assert keys.key.reveal() == "hunter2-hunter2"
    assert Keys.parse(keys.model_dump()) == keys
    assert json.loads(keys.model_dump_json()) == {"key": MASK, "count": 1}


def test_an_uncaught_exception_beside_a_secret_does_not_show_it(capsys):
    def fail(secret: Secret) -> None:
        raise ValueError(f"no order with {secret}")

    with pytest.raises(ValueError, match="no order") as caught:
        fail(Secret(TEXT))
    sys.excepthook(caught.type, caught.value, caught.tb)
    assert shows_nothing(in_full(caught.value))
    assert shows_nothing(capsys.readouterr().err)
