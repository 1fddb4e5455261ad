"""A thread with an event loop of its own, in which an adapter listens to a venue's market.

The session that it is for may run in virtual time, or be busy: neither holds a message up.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from broker_api.errors import BrokerError
from broker_api.instrument import Instrument
from broker_api.public_market import BEGIN_SECONDS, MarketSink

CLOSE_SECONDS = 30.0
Ready = Callable[[tuple[Instrument, ...]], None]
Listen = Callable[[MarketSink, Ready], Coroutine[Any, Any, None]]
"""Listens until it is cancelled; tells the instruments when it knows them."""


class ListeningThread:
    """Runs `listen` beside everything else."""

    def __init__(self, listen: Listen, name: str) -> None:
        self._listen = listen
        self._thread = threading.Thread(target=self._run, name=f"papertape-{name}", daemon=True)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._sink: MarketSink | None = None
        self._failure: BaseException | None = None
        self._is_closing = False
        self._instruments: tuple[Instrument, ...] = ()

    def start(self, sink: MarketSink) -> tuple[Instrument, ...]:
        """Begin. Raises what `listen` raises before it can; BrokerError where that takes long."""
        self._sink = sink
        self._thread.start()
        if not self._ready.wait(BEGIN_SECONDS):
            self.close()
            raise BrokerError(f"the venue did not say what it trades within {BEGIN_SECONDS:g} s")
        if self._failure is not None:
            raise self._failure
        return self._instruments

    def close(self) -> None:
        """End it and wait. Idempotent."""
        self._is_closing = True
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)

    def _known(self, instruments: tuple[Instrument, ...]) -> None:
        self._instruments = instruments
        self._ready.set()

    def _run(self) -> None:
        # Not a new loop of the policy's: inside of a run that one would be in virtual time.
        self._loop = loop = asyncio.SelectorEventLoop()
        assert self._sink is not None
        try:
            self._task = loop.create_task(self._listen(self._sink, self._known))
            loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except Exception as failure:
            self._failure = failure
            if self._ready.is_set() and not self._is_closing:
                self._sink.down(f"{type(failure).__name__}: {failure}; it does not come back")
        finally:
            self._ready.set()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
