"""Looking at the bytes of a journal that nobody writes: what SQLite passes over without a word.

Not while it is written: a file that this process closes loses all locks that the process has on it
(sqlite.org/howtocorrupt.html, 2.2), so who looks would take the writer's away.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from broker_api.journal_layout import FIXED_HEAD, PAGE_BYTES

_WAL_HEAD = struct.Struct(">8I")
_FRAME_HEAD = struct.Struct(">6I")
_MAGIC = 0x377F0682
"""Of a write-ahead file whose sums are over little-endian words; one more says big-endian."""
_MASK = 0xFFFFFFFF


def beside(path: Path, ending: str) -> Path:
    """The file beside a journal whose name is the journal's and `ending`."""
    return path.with_name(path.name + ending)


def writer_of(path: Path) -> int:
    """The process that writes a journal as far as is known, 0 if none does."""
    pid = 0
    with suppress(OSError, ValueError):
        pid = int(beside(path, ".pid").read_text(encoding="ascii"))
    if pid > 0 and os.name == "posix":  # elsewhere the signal 0 is one
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return 0
        except OSError:  # it is there, and another user's
            return pid
    return max(pid, 0)


def head_damage(path: Path) -> str | None:
    """What is wrong with the main file's first bytes."""
    with path.open("rb") as file:
        head = file.read(100)
    if any(head[place : place + len(fixed)] != fixed for place, fixed in FIXED_HEAD.items()):
        return "the first 100 bytes are not those of a journal"
    return None


def wal_damage(path: Path) -> str | None:
    """What is wrong with the write-ahead file: whether it holds commits that cannot be reached.

    SQLite reads it up to the first frame whose sum is wrong, which is how the commit looks that was
    being written as the power failed. One that was acknowledged lies behind only where something
    was damaged later (sqlite.org/fileformat2.html, 4).
    """
    with suppress(FileNotFoundError), beside(path, "-wal").open("rb") as file:
        return _wal_damage(file)
    return None


def _wal_damage(file: BinaryIO) -> str | None:
    raw = file.read(_WAL_HEAD.size)
    first = file.read(_FRAME_HEAD.size + PAGE_BYTES)
    if len(first) < _FRAME_HEAD.size + PAGE_BYTES:
        return None
    head = _WAL_HEAD.unpack(raw)
    order = ">" if head[0] & 1 else "<"
    sums = _sums(order, raw[:24], (0, 0))
    if head[0] & ~1 != _MAGIC or head[2] != PAGE_BYTES or sums != head[6:]:
        return "the head of the write-ahead file (-wal) is damaged; what was only there is lost"
    frame, number, unreached = first, 0, 0
    bad: int | None = None
    while len(frame) == len(first):
        _, commit, *salts_and_sums = _FRAME_HEAD.unpack_from(frame)
        is_of_now = tuple(salts_and_sums[:2]) == head[4:6]
        if bad is None:
            sums = _sums(order, frame[:8] + frame[_FRAME_HEAD.size :], sums)
            if not is_of_now or sums != tuple(salts_and_sums[2:]):
                bad = number
        if bad is not None:
            unreached += is_of_now and commit > 0
        frame = file.read(len(first))
        number += 1
    if unreached < 2:  # one may be the commit that the power took
        return None
    return f"frame {bad} of the write-ahead file (-wal) is damaged; what is behind it is lost"


def _sums(order: str, content: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    """The running sums of the write-ahead file's format over more bytes."""
    first, second = sums
    for one, other in struct.iter_unpack(f"{order}2I", content):
        first = (first + one + second) & _MASK
        second = (second + other + first) & _MASK
    return first, second
