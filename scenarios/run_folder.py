"""The run folder: journal, configuration, summary and report, written whole or not at all.

`events.parquet, commands.parquet, config.json, summary.json, report.html`. Several sessions of one
script get a numbered folder each. A folder that holds another run is never overwritten.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from broker_api.errors import ConfigurationError

CONFIG_FILE = "config.json"
SUMMARY_FILE = "summary.json"
JOURNAL_FILE = "session.journal"
DIGEST_SHOWN = 8
_VERSIONS = ("papertape", "numpy", "numba", "pyarrow")


def run_digest(digests: Sequence[str]) -> str:
    """The digest of a run: its session's own, or one over those of its several sessions."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def folder_for(out: Path | None, script: Path, digest: str) -> Path:
    """Where the run goes: `out`, else `runs/<script>-<start of the digest>`.

    Raises ConfigurationError when the place is taken by something else than this very run.
    """
    folder = out if out is not None else Path("runs") / f"{script.stem}-{digest[:DIGEST_SHOWN]}"
    if not folder.exists():
        return folder
    if not folder.is_dir():
        raise ConfigurationError(f"--out {folder} is a file; a folder is needed")
    if not any(folder.iterdir()):
        return folder
    try:
        held = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f"--out {folder} holds something that is no run of papertape; it was left as it is"
        ) from None
    if held != digest:
        raise ConfigurationError(
            f"--out {folder} holds another run (digest {held[:DIGEST_SHOWN]}, this one is "
            f"{digest[:DIGEST_SHOWN]}); it was left as it is: remove it or name another folder"
        )
    return folder


def write_whole(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a folder beside `folder`, then put it in its place in one step."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fresh.chmod(0o755)
        fill(fresh)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            folder.replace(old)
            fresh.replace(folder)
            shutil.rmtree(old)
        else:
            fresh.replace(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def versions() -> dict[str, str]:
    """What the run was made with."""
    return {"python": platform.python_version(), **_packages()}


@cache
def _packages() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _VERSIONS}


def plain(value: Any) -> Any:
    """The value as JSON has it: decimals as exact text, enumerations by name, tables sorted."""
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON that ends in a line feed."""
    path.write_text(
        json.dumps(plain(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
