"""The interface without `await`, for notebooks and plain scripts.

    from papertape.sync import TradingSuite

    with TradingSuite.create(["MNQ"]) as suite:
        order = suite["MNQ"].orders.place_limit_order("MNQ", "buy", 1, 21000.0)
        suite.sleep(60)
        print(suite["MNQ"].orders.get_order(order.order_id))

Every verb is the asynchronous one, run to its end in virtual time; between two calls time stands
still. One thread of its own runs the session, so that this also works where another event loop is
running already, as in a notebook.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import broker_api
from broker_api.errors import NotConnectedError, TradingError
from sim.loop import VirtualLoop

__all__ = ["TradingSuite"]

_ROOMS = (
    broker_api.InstrumentContext,
    broker_api.MarketData,
    broker_api.OrderManager,
    broker_api.PositionManager,
)


class _Session:
    """The thread and the virtual-time loop that a suite's calls run on."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="papertape-sync")
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._open = True

    def run(self, call: Callable[[], Any]) -> Any:
        """Call `call` on the session's thread, and run what it returns if that is a coroutine."""
        if not self._open:
            raise NotConnectedError("the suite is disconnected; nothing was sent")
        return self._thread.submit(self._runner.run, self._guarded(call)).result()

    async def _guarded(self, call: Callable[[], Any]) -> Any:
        try:
            result = call()
            return await result if inspect.isawaitable(result) else result
        except asyncio.CancelledError as ending:
            raise TradingError(f"the tape ended while this call was waiting ({ending})") from None

    def close(self) -> None:
        """End the loop and the thread. Idempotent."""
        if self._open:
            self._open = False
            self._thread.submit(self._runner.close).result()
            self._thread.shutdown()


class _Face:
    """A room of the asynchronous interface whose coroutine methods are called like any other."""

    def __init__(self, room: Any, session: _Session) -> None:
        self._room = room
        self._session = session

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._room, name)
        if inspect.isroutine(found):
            return lambda *args, **kwargs: self._session.run(lambda: found(*args, **kwargs))
        return _Face(found, self._session) if isinstance(found, _ROOMS) else found

    def __dir__(self) -> list[str]:
        return dir(self._room)

    def __repr__(self) -> str:
        return f"<sync face of {self._room!r}>"


class TradingSuite:
    """A session without `await`: the verbs of `papertape.TradingSuite`, each run to its end.

    Made by `TradingSuite.create(...)` with the same arguments, ended by `disconnect()` or `with`.
    """

    def __init__(self, suite: broker_api.TradingSuite, session: _Session) -> None:
        self._suite = suite
        self._session = session
        self.orders: Any = _Face(suite.orders, session)
        self.positions: Any = _Face(suite.positions, session)
        self.risk: Any = _Face(suite.risk, session)
        self.account = suite.account
        self.clock = suite.clock

    @classmethod
    def create(cls, *args: Any, **settings: Any) -> Self:
        """Open a session; the arguments are those of the asynchronous `create`."""
        session = _Session()
        try:
            suite = session.run(lambda: broker_api.TradingSuite.create(*args, **settings))
        except BaseException:
            session.close()
            raise
        return cls(suite, session)

    def __getitem__(self, name: str) -> Any:
        return _Face(self._suite[name], self._session)

    def __iter__(self) -> Iterator[str]:
        return iter(self._suite)

    def __len__(self) -> int:
        return len(self._suite)

    def sleep(self, seconds: float) -> None:
        """Let that much session time go by. Raises TradingError when the tape ends before."""
        self._session.run(lambda: asyncio.sleep(seconds))

    def run(self, main: Callable[[broker_api.TradingSuite], Coroutine[Any, Any, Any]]) -> Any:
        """Run a coroutine function with the asynchronous suite: a strategy, a template."""
        return self._session.run(lambda: main(self._suite))

    def disconnect(self) -> None:
        """Close the session. Idempotent."""
        if self._session._open:
            self._session.run(self._suite.disconnect)
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()
