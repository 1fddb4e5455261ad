"""What a run depended on, as fingerprints small enough to keep: tapes, the strategy's files, code.

The settings are in the run's configuration already. A tape's fingerprint is one of each block of
rows, so that two tapes that differ tell where they begin to.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import broker_api
from data.tape import Tape

BLOCKS_MAX = 512
ROWS_PER_BLOCK_MIN = 16
_DIGEST_BYTES = 4
_CODE = ("broker_api/**/*.py", "data/**/*.py", "sim/**/*.py", "scenarios/*.py")
"""The code that may change what a run does."""


def evidence_of(tapes: Sequence[Tape | None], script: Path) -> dict[str, Any]:
    """Fingerprints for a run of this script on these tapes, as plain data for JSON."""
    return {
        "tapes": {tape.symbol: tape_marks(tape) for tape in tapes if tape is not None},
        "strategy": strategy_files(script),
        "code": code_digest(),
    }


def tape_marks(tape: Tape, rows_per_block: int | None = None) -> dict[str, Any]:
    """Content, rows, times of the ends and one digest a block of a tape."""
    if rows_per_block is None:
        rows_per_block = ROWS_PER_BLOCK_MIN
        while rows_per_block * BLOCKS_MAX < len(tape):
            rows_per_block *= 2
    return {
        "content_hash": tape.content_hash,
        "rows": len(tape),
        "rows_per_block": rows_per_block,
        "blocks": "".join(_block_digests(tape, rows_per_block)),
    }


def _block_digests(tape: Tape, rows_per_block: int) -> Iterator[str]:
    columns = [np.asarray(column) for column in tape.columns]
    for start in range(0, len(tape), rows_per_block):
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for column in columns:
            digest.update(np.ascontiguousarray(column[start : start + rows_per_block]).tobytes())
        yield digest.hexdigest()


def first_other_row(marks: Mapping[str, Any], tape: Tape) -> tuple[int, int] | None:
    """The rows from which to which `tape` first differs from the one with these marks.

    None where no block does. The second row may lie beyond the end of a tape that is shorter.
    """
    size = int(marks["rows_per_block"])
    step = 2 * _DIGEST_BYTES
    before = str(marks["blocks"])
    known = [before[at : at + step] for at in range(0, len(before), step)]
    now = list(_block_digests(tape, size))
    for number, (one, other) in enumerate(zip(known, now, strict=False)):
        if one != other:
            return number * size, (number + 1) * size - 1
    if len(known) == len(now):
        return None
    shorter = min(len(known), len(now))
    return shorter * size, (shorter + 1) * size - 1


def strategy_files(script: Path) -> dict[str, str]:
    """By name the digests of the script and of the files beside it that it imports."""
    found: dict[str, str] = {}
    waiting = [script]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(script.parent).as_posix()
        if name not in found:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            waiting += _imported_beside(path, script.parent)
    return dict(sorted(found.items()))


def _imported_beside(path: Path, folder: Path) -> list[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.append(node.module)
    files = [folder / name.replace(".", "/") for name in names]
    choices = [[file.with_suffix(".py"), file / "__init__.py"] for file in files]
    return [choice for both in choices for choice in both if choice.is_file()]


@cache
def code_digest() -> str:
    """One digest over the code of papertape that a run goes through."""
    home = Path(broker_api.__file__).parent.parent
    digest = hashlib.sha256()
    for pattern in _CODE:
        for path in sorted(home.glob(pattern)):
            digest.update(path.relative_to(home).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()
