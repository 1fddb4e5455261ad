"""A loop without input and output: its futures, refusals, errors and fault reports.

:mod:`sim.virtual_loop` makes time go by on top of this; others import :mod:`sim.loop`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Protocol

NS = 1_000_000_000
NEVER_NS = 1 << 62
_SECONDS_MAX = 4e9
_log = logging.getLogger("asyncio")
_COLLECT_AFTER = 50_000
"""Objects made and not freed before the collector looks at the youngest."""


class TapeEnded(asyncio.CancelledError):
    """What was waited for cannot come any more: the tape has ended.

    A kind of CancelledError, so `except Exception` lets it through and the run closes in order.
    """


def is_tape_end(fault: object) -> bool:
    """True for TapeEnded, and for the group of nothing else that 3.11's TaskGroup makes of it."""
    if isinstance(fault, BaseExceptionGroup):
        return fault.split(TapeEnded)[1] is None
    return isinstance(fault, TapeEnded)


class RealIOError(RuntimeError):
    """The program asked for real input or output (a socket, thread, process) in simulated time."""


class DeadlockError(RuntimeError):
    """Every task waits for something that nothing will ever bring about."""


class TimeStandsStillError(RuntimeError):
    """The program stays busy without ever letting simulated time go by."""


class EndlessRunError(RuntimeError):
    """The program goes on waiting again and again although it was told that the tape has ended."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let Python look for unreachable cycles more rarely than it does by default.

    A run makes many objects that live to its end (orders, rows of events), and the collector would
    look at all of them again and again. What it frees, and when, reaches no event.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _COLLECT_AFTER), before[1], before[2])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class VirtualFuture(asyncio.Future[Any]):
    """A future of a VirtualLoop; `number` counts the loop's futures and tasks."""

    __slots__ = ("number",)
    number: int

    def __hash__(self) -> int:
        return self.number


class VirtualTask(asyncio.Task[Any]):
    """A task of a VirtualLoop; `number` counts the loop's futures and tasks."""

    def __init__(self, coro: Any, *, number: int, **options: Any) -> None:
        self.number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.number


class ReadyHandle(asyncio.Handle):
    """asyncio.Handle without its debug mode, half the time to make; a run makes millions."""

    __slots__ = ()
    _callback: Any
    _args: tuple[Any, ...]
    _context: Context

    def __init__(
        self, callback: Any, args: tuple[Any, ...], loop: Any, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class Timer(asyncio.TimerHandle):
    """asyncio.TimerHandle, likewise; `when` is the loop's `time()` at which it is due."""

    __slots__ = ()
    _callback: Any
    _args: tuple[Any, ...]
    _context: Context

    def __init__(
        self,
        when_ns: int,
        callback: Any,
        args: tuple[Any, ...],
        loop: Any,
        context: Context | None,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when_ns / NS
        self._scheduled = False


def whole_ns(seconds: float) -> int:
    """Seconds as nanoseconds; NEVER_NS for more than a clock holds. ValueError for nan."""
    if 0.0 <= seconds < _SECONDS_MAX:
        return round(seconds * NS)
    if seconds != seconds:
        raise ValueError("nan seconds is no time")
    return NEVER_NS if seconds > 0 else 0


def moment_text(epoch_ns: int) -> str:
    """An epoch time as UTC text with nanoseconds."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=epoch_ns // 1_000)
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}{epoch_ns % 1_000:03d} UTC"


def waits_text(tasks: Sequence[asyncio.Task[Any]]) -> str:
    """One line a task: its name and where it waits."""
    lines = []
    for task in tasks:
        frames = task.get_stack(limit=1)
        where = f" at {frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else ""
        lines.append(f"\n  {task.get_name()} waits{where}")
    return "".join(lines)


def refusal(name: str) -> Any:
    """A method that raises RealIOError, for the loop method of this name."""

    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise RealIOError(
            f"loop.{name}() was called in a simulated run. A simulated run has no real input or "
            "output (no sockets, files, processes, threads or signals): what comes from outside "
            "would make the run irreproducible, and simulated time does not wait for it. Load what "
            "the strategy needs before the run starts, take market data and time from the session, "
            "or run against a live broker."
        )

    refuse.__name__ = name
    return refuse


class LoopWithoutIO(asyncio.AbstractEventLoop):
    """The part of an event loop that does not depend on how time goes by.

    Every method of asyncio that reaches outside the program raises RealIOError.
    """

    def __init__(self) -> None:
        # By number: async generators hash by address, which is another one in every process.
        self._asyncgens: weakref.WeakValueDictionary[int, AsyncGenerator[Any, Any]]
        self._asyncgens = weakref.WeakValueDictionary()
        self._asyncgen_numbers = 0
        self._closed = False
        self._debug = False
        self._exception_handler: Any = None

    run_in_executor: Any = refusal("run_in_executor")
    set_default_executor: Any = refusal("set_default_executor")
    getaddrinfo: Any = refusal("getaddrinfo")
    getnameinfo: Any = refusal("getnameinfo")
    create_connection: Any = refusal("create_connection")
    create_server: Any = refusal("create_server")
    create_unix_connection: Any = refusal("create_unix_connection")
    create_unix_server: Any = refusal("create_unix_server")
    create_datagram_endpoint: Any = refusal("create_datagram_endpoint")
    connect_accepted_socket: Any = refusal("connect_accepted_socket")
    start_tls: Any = refusal("start_tls")
    sendfile: Any = refusal("sendfile")
    connect_read_pipe: Any = refusal("connect_read_pipe")
    connect_write_pipe: Any = refusal("connect_write_pipe")
    subprocess_shell: Any = refusal("subprocess_shell")
    subprocess_exec: Any = refusal("subprocess_exec")
    add_reader: Any = refusal("add_reader")
    remove_reader: Any = refusal("remove_reader")
    add_writer: Any = refusal("add_writer")
    remove_writer: Any = refusal("remove_writer")
    sock_recv: Any = refusal("sock_recv")
    sock_recv_into: Any = refusal("sock_recv_into")
    sock_recvfrom: Any = refusal("sock_recvfrom")
    sock_recvfrom_into: Any = refusal("sock_recvfrom_into")
    sock_sendall: Any = refusal("sock_sendall")
    sock_sendto: Any = refusal("sock_sendto")
    sock_connect: Any = refusal("sock_connect")
    sock_accept: Any = refusal("sock_accept")
    sock_sendfile: Any = refusal("sock_sendfile")
    add_signal_handler: Any = refusal("add_signal_handler")
    remove_signal_handler: Any = refusal("remove_signal_handler")

    def is_closed(self) -> bool:
        """True after close."""
        return self._closed

    def _check_may_run(self) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        if self.is_running():
            raise RuntimeError("This event loop is already running")
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")

    def _unfinished_tasks(self) -> list[asyncio.Task[Any]]:
        return sorted(asyncio.all_tasks(self), key=lambda task: getattr(task, "number", 0))

    def _asyncgen_started(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._asyncgen_numbers += 1
        self._asyncgens[self._asyncgen_numbers] = generator

    def _finalize_asyncgen(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._closed:
            self.call_soon(self.create_task, generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        """Close the async generators that are still open, in the order in which they started."""
        generators = [self._asyncgens[number] for number in sorted(self._asyncgens)]
        self._asyncgens.clear()
        results = await asyncio.gather(*(g.aclose() for g in generators), return_exceptions=True)
        for generator, result in zip(generators, results, strict=True):
            if isinstance(result, Exception):
                self.call_exception_handler(
                    {
                        "message": f"an error occurred during closing of {generator!r}",
                        "exception": result,
                        "asyncgen": generator,
                    }
                )

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Does nothing: there is no executor."""

    def _report_fault(self, handle: asyncio.Handle, fault: BaseException) -> None:
        self.call_exception_handler(
            {"message": f"Exception in callback {handle!r}", "exception": fault, "handle": handle}
        )

    def get_exception_handler(self) -> Any:
        """What `set_exception_handler` set."""
        return self._exception_handler

    def set_exception_handler(self, handler: Any) -> None:
        """Give unhandled exceptions to `handler(loop, context)`; None logs them."""
        if handler is not None and not callable(handler):
            raise TypeError(f"a callable or None is expected, got {handler!r}")
        self._exception_handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log to the logger "asyncio", as other loops do; the tape's end is no fault."""
        fault = context.get("exception")
        if is_tape_end(fault):
            return
        lines = [context.get("message") or "Unhandled exception in event loop"]
        lines += [
            f"{key}: {context[key]!r}" for key in context if key not in ("message", "exception")
        ]
        _log.error("\n".join(lines), exc_info=fault)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report a fault that nobody awaits; a failing handler is logged too."""
        if self._exception_handler is None:
            self.default_exception_handler(context)
            return
        try:
            self._exception_handler(self, context)
        except Exception as fault:
            self.default_exception_handler(
                {
                    "message": "Unhandled error in exception handler",
                    "exception": fault,
                    "context": context,
                }
            )

    def get_debug(self) -> bool:
        """asyncio's debug mode."""
        return self._debug

    def set_debug(self, enabled: bool) -> None:
        """Switch asyncio's debug mode."""
        self._debug = bool(enabled)


class Driver(Protocol):
    """The market, as the loop sees it."""

    def advance(self, deadline_ns: int | None) -> int | None:
        """Run the market until something is delivered or until `deadline_ns` (epoch), inclusive.

        Rows and commands of the deadline's own instant belong to it. Deliveries are scheduled with
        the loop's `call_soon`. Returns the new time, at most the deadline; asked again for a time
        that was reached already it delivers what is new and returns that time. Returns None when
        the tape has ended before the deadline and nothing is left to deliver.
        """
        ...

    def close_market(self) -> None:
        """Called once, when the tape's end is announced: only what is in flight is served now."""
        ...


class Stretch(Protocol):
    """Calls that the driver makes by itself while time goes by from one to the next."""

    def moment_ns(self) -> int:
        """The time (epoch) of the running call."""
        ...

    def interrupt(self) -> None:
        """Something is to happen at this time: the running call must be the last."""
        ...

    def leave(self) -> None:
        """Time goes on without it."""
        ...
