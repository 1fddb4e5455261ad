"""The key that trades on local venues, and on nothing else.

A test key says of itself that it is one: its second half is a hash of its first. So no other key is
ever taken for it, and a file into which somebody put a real key is refused.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from broker_api.errors import ConfigurationError
from broker_api.hyperliquid.signing import Signer
from broker_api.secret import Secret
from papertape.home import papertape_home, write_private

FILE = "hyperliquid-test-key"
PROJECTX_FILE = "projectx-test-key"
_MARK = b"papertape: a test key of local venues"
_HALF = 16


def new_venue_key() -> Secret:
    """A test key that nobody has had before, as 0x and 64 hex digits."""
    first = secrets.token_bytes(_HALF)
    return Secret("0x" + (first + _second_half(first)).hex())


def is_venue_key(key: Secret) -> bool:
    """Whether papertape made this key for local venues."""
    try:
        raw = bytes.fromhex(key.reveal().strip().removeprefix("0x"))
    except ValueError:
        return False
    return len(raw) == 2 * _HALF and raw[_HALF:] == _second_half(raw[:_HALF])


def _second_half(first: bytes) -> bytes:
    return hashlib.sha256(_MARK + first).digest()[:_HALF]


def venue_key(folder: Path | None = None) -> tuple[Secret, str, Path]:
    """The user's test key for Hyperliquid, its address, and its file; see `kept_key`."""
    key, path = kept_key(FILE, folder)
    return key, Signer(key.reveal()).address, path


def kept_key(name: str, folder: Path | None = None) -> tuple[Secret, Path]:
    """The user's test key in a file of this name, which is made where it is missing.

    Raises ConfigurationError for a file that holds another key, SecretError for one that others
    may read.
    """
    path = (papertape_home() if folder is None else folder) / name
    if not path.exists():
        write_private(path, new_venue_key().reveal() + "\n")
    key = Secret.from_file(path)
    if not is_venue_key(key):
        raise ConfigurationError(
            f"{path} holds a key that papertape did not make: a key of your own has no business "
            "with a local venue; delete the file to get a new test key"
        )
    return key, path
