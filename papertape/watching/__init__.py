"""Watching a running session, and acting on it from outside: a page, a terminal, another process.

`watch.Watch` stands beside a session, in its loop and thread; `board.Board` holds what it has told
and may be read by any thread; `requests.OperatorRequest` is what a person asks of the session.
"""
