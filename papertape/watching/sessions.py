"""How other processes find a running session: one private file a session, in the state folder.

A file names the process, the port and the token. It is removed when the session ends; one whose
process is gone is passed over and removed by whoever finds it. Beside them `doors` remembers port
and token of a session's name: a page that is still open finds the next session of that name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker_api.config import near_miss
from broker_api.errors import ConfigurationError
from broker_api.secret import Secret
from papertape.home import write_private

if TYPE_CHECKING:
    from papertape.watching.server import Ask, Watched, WatchServer

TOKEN_BYTES = 24


def state_home() -> Path:
    """PAPERTAPE_HOME, else `papertape` below XDG_STATE_HOME, else below `~/.local/state`."""
    named = os.environ.get("PAPERTAPE_HOME")
    if named:
        return Path(named).expanduser()
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "papertape"


@dataclass(frozen=True)
class RunningSession:
    """A session that may be watched and operated. `folder` is its run folder, if it has one."""

    id: str
    name: str
    mode: str
    pid: int
    port: int
    token: Secret
    started_ms: int
    folder: str | None = None

    @property
    def address(self) -> str:
        """Where its server is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address to open, the token in it."""
        return f"{self.address}/?token={self.token.reveal()}"


@contextmanager
def published(
    watched: Watched,
    ask: Ask | None,
    *,
    name: str,
    port: int | None = None,
    folder: Path | None = None,
) -> Iterator[WatchServer]:
    """Serve what is watched, and let other processes find it, until the block ends.

    `port` None takes the one that the last session of this name had, if it is free.
    """
    from papertape.watching.server import WatchServer  # needs an extra; finding sessions does not

    door = _door(name)
    wanted = int(door.get("port", 0)) if port is None else port
    token = Secret(str(door.get("token") or secrets.token_urlsafe(TOKEN_BYTES)))
    server = WatchServer(watched, ask, token, port=wanted)
    try:
        server.start()
    except OSError:
        if port is not None or wanted == 0:
            raise
        server = WatchServer(watched, ask, token)  # somebody else has it by now
        server.start()
    session = watched.snapshot()["session"]
    entry = RunningSession(
        f"{_file_name(name)}-{os.getpid()}",
        name,
        session["mode"],
        os.getpid(),
        server.port,
        token,
        session["started_ms"],
        None if folder is None else str(folder.resolve()),
    )
    file = _folder() / f"{entry.id}.json"
    try:
        write_private(_doors(name), json.dumps({"port": server.port, "token": token.reveal()}))
        write_private(file, json.dumps(vars(entry) | {"token": token.reveal()}))
        yield server
    finally:
        file.unlink(missing_ok=True)
        server.stop()


def running_sessions() -> list[RunningSession]:
    """Every session whose process is there, the oldest first."""
    found: list[tuple[float, str, RunningSession]] = []
    for file in _folder().glob("*.json"):
        try:
            began, table = file.stat().st_mtime, json.loads(file.read_text(encoding="utf-8"))
            session = RunningSession(**{**table, "token": Secret(table["token"])})
        except (OSError, ValueError, TypeError, KeyError):
            continue  # it is being removed, or was written by another version
        if _is_there(session.pid):
            found.append((began, session.id, session))
        else:
            file.unlink(missing_ok=True)
    return [session for _, _, session in sorted(found, key=lambda each: each[:2])]


def find_session(text: str | None) -> RunningSession:
    """The running session of this id, name or run folder; the newest without a text.

    Raises ConfigurationError that says which there are.
    """
    sessions = running_sessions()
    if not sessions:
        what = "no session is running here that could be watched or stopped"
        named = f"; {text!r} is none, and no folder of a finished run" if text is not None else ""
        raise ConfigurationError(what + named)
    if text is None:
        return sessions[-1]
    folder = str(Path(text).resolve())
    for session in reversed(sessions):
        if text in (session.id, session.name) or session.folder == folder:
            return session
    names = [session.id for session in sessions]
    hint = near_miss(text, [*names, *(session.name for session in sessions)])
    raise ConfigurationError(f"no session {text!r} is running{hint}; there are {', '.join(names)}")


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _folder() -> Path:
    folder = state_home() / "sessions"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _doors(name: str) -> Path:
    return state_home() / "doors" / f"{_file_name(name)}.json"


def _door(name: str) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        table = json.loads(_doors(name).read_text(encoding="utf-8"))
        if isinstance(table, dict):
            return table
    return {}


def _file_name(name: str) -> str:
    """A session's name as a file's: letters, digits, dots and dashes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")[:60] or "session"
