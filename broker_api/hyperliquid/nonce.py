"""Nonces that never repeat: each is larger than the one before, also after a restart.

A nonce is the time in milliseconds, or one more than the last when the time has not moved on. The
venue keeps the hundred highest of a key, refuses what was used, and wants them within two days
before and one day after its own time. The last one lies in a file that belongs to the key, not to
the session: several processes that sign with one key share it under a lock.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from broker_api.errors import BrokerError, ConfigurationError

AHEAD_MAX_MS = 12 * 3_600_000
"""How far the last nonce may be ahead of the clock: half of what the venue allows."""
LOCK_SECONDS = 5.0
_RETRY_SECONDS = 0.001
_LENGTH = 21


class Nonces:
    """The nonces of one key. `path` is the file that keeps the last; None keeps it nowhere."""

    def __init__(self, path: Path | None, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._now_ms = now_ms
        self._last = 0
        self._lock: FileLock | None = None
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = FileLock(path.with_suffix(".lock"), mode=0o600)

    async def next(self) -> int:
        """A nonce that nobody had before.

        Waits without blocking while another process takes one. Raises BrokerError when that lasts
        longer than 5 s, ConfigurationError for a file that holds no nonce or one of the future.
        """
        if self._lock is None:
            return self._advance(self._last)
        deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
        while True:
            try:
                with self._lock.acquire(blocking=False):
                    return self._advance(max(self._last, self._read()))
            except Timeout:
                if asyncio.get_running_loop().time() > deadline:
                    raise BrokerError(
                        f"{self._path}: another process has held its lock for {LOCK_SECONDS:g} s; "
                        "no nonce was taken and nothing was sent"
                    ) from None
            await asyncio.sleep(_RETRY_SECONDS)

    def _advance(self, last: int) -> int:
        now = self._now_ms()
        if last > now + AHEAD_MAX_MS:
            raise ConfigurationError(
                f"{self._path}: the last nonce {last} is {(last - now) / 3_600_000:.1f} h ahead of "
                "the clock, more than the venue takes; set the clock, or remove the file if the "
                "nonce is wrong"
            )
        nonce = max(last + 1, now)
        self._write(nonce)
        self._last = nonce
        return nonce

    def _read(self) -> int:
        assert self._path is not None
        try:
            text = self._path.read_text(encoding="ascii")
        except FileNotFoundError:
            return 0
        except (OSError, UnicodeDecodeError) as failure:
            raise ConfigurationError(f"{self._path}: cannot be read: {failure}") from None
        if not text.strip().isdecimal() or len(text) > _LENGTH:
            raise ConfigurationError(
                f"{self._path} holds {text[:20]!r}, which is no nonce; remove it if no order of "
                "this key was sent within the last seconds"
            )
        return int(text)

    def _write(self, nonce: int) -> None:
        """In place and always as long as before: one write inside one sector, so never in part.

        A new file in the place of the old one would make the disk's journal wait at every order.
        """
        if self._path is None:
            return
        flags = os.O_RDWR | os.O_CREAT
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.write(descriptor, b"%020d\n" % nonce)
        finally:
            os.close(descriptor)


def nonce_file(folder: Path, address: str) -> Path:
    """Where the nonces of a key lie, by its address."""
    return folder / f"{address.lower()}.nonce"
