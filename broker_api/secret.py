"""Texts that nobody may see: keys, tokens, passwords, and the filter that keeps them out of logs.

A :class:`Secret` shows a mask wherever it is printed, formatted or dumped, and refuses to be
pickled. Only `reveal()` gives the text. Settings name where a secret lies ("env:NAME" or
"file:PATH") and never hold it. Nothing here logs.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from broker_api.errors import SecretError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

MASK = "<secret>"
"""What is seen of every secret."""
LENGTH_MIN = 8
"""Shorter texts are no secrets: to mask them in a log would make it unreadable."""
FILE_BYTES_MAX = 1 << 16
FOREIGN_BITS = stat.S_IRWXG | stat.S_IRWXO
"""Permission bits of anybody but the owner."""


class Secret:
    """A text that shows itself to nobody who does not call `reveal`.

    Equality takes the same time wherever the first difference is, and holds between secrets only.
    A secret has no hash, no length and no order: each would tell something about it.
    """

    __slots__ = ("_reveal",)
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        fault = _fault(text)
        if fault:
            del text  # a traceback that shows local variables would show it
            raise SecretError(fault)
        # In a closure, so that nothing that walks over attributes comes across it.
        self._reveal: Callable[[], str] = lambda: text

    def reveal(self) -> str:
        """The text. Hand it to what needs it at once; keep it in no variable that lives on."""
        return self._reveal()

    def matches(self, text: str) -> bool:
        """Whether `text` is the secret; takes the same time wherever they differ first."""
        return hmac.compare_digest(self._reveal().encode(), text.encode())

    # --- where secrets come from ---------------------------------------------------------------

    @classmethod
    def from_environment(cls, name: str, environment: Mapping[str, str] = os.environ) -> Self:
        """The secret in an environment variable. Raises SecretError that names the variable."""
        fault = "it is not set; it should hold a secret"
        if name in environment:
            fault = _fault(environment[name].strip())
        if fault:
            del environment  # it is full of other people's secrets
            raise SecretError(f"environment variable {name}: {fault}")
        return cls(environment[name].strip())

    @classmethod
    def from_file(cls, path: Path | str) -> Self:
        """The secret in a file that its owner alone may read (mode 0600 or 0400).

        White space around it is dropped. Raises SecretError that names the file and its mode.
        """
        place = Path(path).expanduser()
        found = _read_private(place)
        fault = _fault_of_bytes(found)
        if fault:
            del found
            raise SecretError(f"{place}: {fault}")
        return cls(found.decode().strip())

    @classmethod
    def from_reference(cls, reference: object) -> Self:
        """The secret that a setting points to: "env:NAME" or "file:PATH".

        Raises SecretError for everything else, without showing it: it might be the secret itself.
        """
        if isinstance(reference, cls):
            return reference
        kind, _, place = reference.partition(":") if isinstance(reference, str) else ("", "", "")
        is_reference = bool(place) and kind in ("env", "file")
        if not is_reference:
            del reference, kind, place
            raise SecretError(
                'a secret is not written into settings; say where it is: "env:NAME" or "file:PATH"'
            )
        return cls.from_environment(place) if kind == "env" else cls.from_file(place)

    # --- where secrets do not go ---------------------------------------------------------------

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self.matches(other.reveal())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretError("a secret is not pickled; hand over where it lies instead")

    def __setattr__(self, name: str, value: object) -> None:
        if name != "_reveal" or hasattr(self, "_reveal"):
            raise AttributeError("a secret does not change")
        object.__setattr__(self, name, value)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """A setting of this type takes a Secret or a reference; JSON dumps show the mask."""
        # SecretError is no ValueError: pydantic lets it through and so never adds the input to it.
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls.from_reference,
            serialization=core_schema.plain_serializer_function_ser_schema(repr, when_used="json"),
            json_schema_input_schema=core_schema.str_schema(),
        )


def _fault(text: object) -> str:
    """What is wrong with a secret's text, without the text; empty when nothing is."""
    if not isinstance(text, str):
        return f"a secret is a str, not {type(text).__name__}"
    if len(text) < LENGTH_MIN:
        return f"a secret of fewer than {LENGTH_MIN} characters is none"
    if any(0xD800 <= ord(each) <= 0xDFFF for each in text):
        return "the secret is not valid Unicode"
    return ""


def _fault_of_bytes(content: bytes) -> str:
    """What is wrong with the content of a secret's file."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        # Raised here it would be the context of our error, and it carries the bytes.
        return "the file is not UTF-8"
    return _fault(text.strip())


def _read_private(place: Path) -> bytes:
    """The content of a file that its owner alone may read; what is checked is what is read."""
    try:
        descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as failure:
        raise SecretError(f"{place}: {failure.strerror or 'cannot be opened'}") from None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise SecretError(f"{place} is no regular file")
        if os.name == "posix":
            _check_owner(place, state)
        if state.st_size > FILE_BYTES_MAX:
            raise SecretError(f"{place}: {state.st_size} bytes, at most {FILE_BYTES_MAX} are read")
        return os.read(descriptor, FILE_BYTES_MAX)
    finally:
        os.close(descriptor)


def _check_owner(place: Path, state: os.stat_result) -> None:
    mode = stat.S_IMODE(state.st_mode)
    if mode & FOREIGN_BITS:
        raise SecretError(
            f"{place} has mode {mode:04o}: others than its owner may use it; "
            f"a secret's file has 0600 (chmod 600 {place})"
        )
    if state.st_uid not in (os.geteuid(), 0):
        raise SecretError(f"{place} belongs to user {state.st_uid}, not to {os.geteuid()}")
