"""`papertape ui` and `papertape stop`: watch a running session, and stop it, from another terminal.

Exit codes of `ui`: 0 it was left, 2 refused. Of `stop`: 0 all that was asked for has happened, 1
something is still there, or a session did not answer, 2 refused: there is no such session.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from broker_api.errors import ConfigurationError, TradingError
from data.schema import TapeError
from papertape.watching import client

DONE, LEFT, REFUSED = 0, 1, 2
HINT = "Ctrl-C leaves; `papertape stop {id} --flatten` in another terminal cancels and closes"


def perform_ui(what: str | None, *, speed: float, port: int | None, tui: bool, opens: bool) -> int:
    """Watch a session or replay a run folder. Returns the exit code."""
    try:
        with contextlib.suppress(KeyboardInterrupt):
            folder = Path(what) if what is not None else None
            if folder is not None and (folder / "config.json").is_file():
                _replay(folder, speed, port, tui=tui, opens=opens)
            else:
                _watch(what, tui=tui, opens=opens)
    except ModuleNotFoundError as missing:
        return _refuse(f'the page needs the package {missing.name}: pip install "papertape[serve]"')
    except (TradingError, TapeError, OSError, ValueError) as refusal:
        return _refuse(str(refusal))
    return DONE


def _watch(what: str | None, *, tui: bool, opens: bool) -> None:
    from papertape.watching.sessions import find_session, running_sessions

    session = find_session(what)
    if tui:
        _terminal(lambda: client.snapshot_of(session), HINT.format(id=session.id))
        return
    client.snapshot_of(session)  # is it there?
    for other in running_sessions():
        if other.id != session.id:
            typer.echo(f"also running: {other.id} ({other.mode}, process {other.pid})")
    _show(f"{session.id} ({session.mode}, process {session.pid})", session.url, opens=opens)


def _replay(folder: Path, speed: float, port: int | None, *, tui: bool, opens: bool) -> None:
    from papertape.watching.replay import Replay
    from reports.run import read_run

    replay, stopped = Replay(read_run(folder), speed), threading.Event()
    playing = threading.Thread(target=replay.play, args=(stopped,), name="replay", daemon=True)
    try:
        if tui:
            playing.start()
            _terminal(replay.board.snapshot, "Ctrl-C leaves")
            return
        from papertape.watching.sessions import published

        with published(replay.board, None, name=folder.name, port=port, folder=folder) as server:
            _show(f"a replay of {folder} at {speed:g} times its speed", server.url, opens=opens)
            playing.start()
            threading.Event().wait()  # until it is interrupted
    finally:
        stopped.set()


def _terminal(look: Callable[[], dict[str, Any]], hint: str) -> None:
    from papertape.watching.terminal import watch_in_terminal

    watch_in_terminal(look, client.NoAnswer, hint=hint)


def _show(what: str, url: str, *, opens: bool) -> None:
    typer.echo(f"watching {what}\nopen {url}")
    sys.stdout.flush()
    if opens:
        import webbrowser

        webbrowser.open(url)


def perform_stop(what: str | None, *, flatten: bool, ends: bool, every: bool) -> int:
    """Press the kill switch of one session, or of every one. Returns the exit code."""
    from papertape.watching.sessions import find_session, running_sessions

    try:
        sessions = [each for each in running_sessions() if each.mode != "replay"]
        if what is not None:
            sessions = [find_session(what)]
        elif not sessions:
            find_session(None)
            raise ConfigurationError("only replays are running here: there is nothing to stop")
        elif len(sessions) > 1 and not every:
            names = ", ".join(each.id for each in sessions)
            raise ConfigurationError(f"several sessions are running: {names}; name one, or --all")
    except TradingError as refusal:
        return _refuse(str(refusal))
    return max([_stop(each, flatten=flatten, ends=ends) for each in sessions])


def _stop(session: Any, *, flatten: bool, ends: bool) -> int:
    """Kill one session, then end it if asked for; tells what was done."""
    requests: list[dict[str, Any]] = [{"action": "kill", "flatten": flatten}]
    requests += [{"action": "stop"}] if ends else []
    code = DONE
    for request in requests:
        try:
            answer = client.ask(session, source="papertape stop", **request)
        except client.NoAnswer as failure:
            typer.echo(
                f"papertape: {failure}. What it did is not known: look at the account itself; "
                f"ending process {session.pid} leaves orders at the venue as they are",
                err=True,
            )
            return LEFT
        error = answer.get("error")
        typer.echo(f"{session.id}: {error or answer['text']}", err=bool(error))
        if error or not answer["done"]:
            code = LEFT
    return code


def _refuse(text: str) -> int:
    typer.echo(f"papertape: {text}", err=True)
    return REFUSED
