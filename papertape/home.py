"""Where papertape keeps what belongs to a person: files that outlive a run."""

from __future__ import annotations

import os
from pathlib import Path


def papertape_home() -> Path:
    """PAPERTAPE_HOME, else `papertape` below XDG_CONFIG_HOME, else below `~/.config`."""
    named = os.environ.get("PAPERTAPE_HOME")
    if named:
        return Path(named).expanduser()
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "papertape"


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place = path.with_name(path.name + f".{os.getpid()}")
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    place.replace(path)
