"""Talks to a running session's server from another process; quick to import, needs no extra."""

from __future__ import annotations

import http.client
import json
from typing import Any

from broker_api.errors import BrokerError
from papertape.watching.sessions import RunningSession

ANSWER_SECONDS = 40.0
"""Longer than the server waits for the session: it says why there is no answer."""


class NoAnswer(BrokerError):
    """The session's process did not answer: it has ended, or hangs. What it did is not known."""


def snapshot_of(session: RunningSession) -> dict[str, Any]:
    """What is known of the session now, without the prices of its chart. Raises NoAnswer."""
    return _asked(session, "GET", "/snapshot?without=prices", None)


def ask(session: RunningSession, **request: Any) -> dict[str, Any]:
    """The session's answer to a request; `error` in it says why it was refused. Raises NoAnswer."""
    return _asked(session, "POST", "/request", json.dumps(request))


def _asked(session: RunningSession, method: str, path: str, body: str | None) -> dict[str, Any]:
    # Straight to this machine: no proxy that the environment names may see the token.
    line = http.client.HTTPConnection("127.0.0.1", session.port, timeout=ANSWER_SECONDS)
    try:
        headers = {"Authorization": f"Bearer {session.token.reveal()}"}
        line.request(method, path, body=body, headers=headers)
        answer = line.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as failure:
        raise NoAnswer(
            f"session {session.id} (process {session.pid}) does not answer: {failure}"
        ) from None
    finally:
        line.close()
    if answer.status in (401, 403):
        raise NoAnswer(f"port {session.port} is no longer session {session.id}'s")
    try:
        table = json.loads(text)
    except ValueError:
        table = None
    if not isinstance(table, dict):
        raise NoAnswer(f"session {session.id} answered {answer.status}, and nothing readable")
    return table
