"""Executors: processes that share nothing and survive each other, and this very process.

Both are `concurrent.futures.Executor`. `IsolatedProcesses` differs from the pool of the standard
library in what a death costs: there every call that is under way is lost and the pool is broken
for good; here the one call ends in `WorkerDiedError`, and a new process takes the dead one's
place.

Processes are forked from a server of their own, which has loaded what they need and nothing else:
a fresh Python would load it all again for each. The server starts with the first process and ends
with the program; the standard library looks after it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_book_of_processes = threading.Lock()
"""Held for whatever asks how a process is: starting one asks after all others (`_exit_code`)."""
_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""Elsewhere libraries of the system do not survive a fork, or there is none."""
_loaded_first = ["scenarios.warm"]
_FOR_COMPILED, _RUNS_COMPILED = "scenarios.warm_compiled", b"run_compiled"


class WorkerDiedError(RuntimeError):
    """The process that ran the call ended in the middle of it; the text says how."""


class TimeLimitError(RuntimeError):
    """The call took longer than the executor's time limit; its process was ended."""


class IsolatedProcesses(Executor):
    """Runs calls in `processes` processes, started when first needed.

    A call that takes longer than `time_limit` seconds of real time ends in TimeLimitError. What is
    called, its arguments and its result go through pipes, so the callable must be importable.
    Workers do not import the program that uses them: it needs no `if __name__ == "__main__"`.
    """

    def __init__(self, processes: int, *, time_limit: float | None = None) -> None:
        if processes < 1:
            raise ValueError(f"processes = {processes} is below 1")
        self._lanes = [_Lane(time_limit) for _ in range(processes)]
        self._free: SimpleQueue[_Lane] = SimpleQueue()
        for lane in self._lanes:
            self._free.put(lane)
        self._threads = ThreadPoolExecutor(processes, "papertape-processes")

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """As of every executor."""
        return self._threads.submit(self._call, fn, args, kwargs)

    def _call(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        lane = self._free.get()
        try:
            return lane.call(fn, args, kwargs)
        finally:
            self._free.put(lane)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of every executor; the processes end with it, those at work when they are done."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for lane in self._lanes:
            lane.close_when_free()

    def kill(self) -> None:
        """End all processes now and cancel what has not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for lane in self._lanes:
            lane.kill()


class InThisProcess(Executor):
    """Runs each call where it is submitted, one after the other; for debugging."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """As of every executor; the future is done when this returns."""
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as failure:
            future.set_exception(failure)
        return future


class _Lane:
    """One process at a time, and the pipe to it."""

    def __init__(self, time_limit: float | None) -> None:
        self._time_limit = time_limit
        self._busy = threading.Lock()
        self._guard = threading.Lock()
        self._process: Any = None
        self._pipe: Any = None
        self._killed = False

    def call(self, fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What the call returned in the process. Raises what it raised there, or how that died."""
        with self._busy:
            self._begin((fn, args, kwargs))
            if not wait([self._pipe, self._process.sentinel], self._time_limit):
                self._end_process()
                raise TimeLimitError(f"took longer than the limit of {self._time_limit:g} s")
            try:
                fine, result = self._pipe.recv()
            except (EOFError, OSError):
                raise WorkerDiedError(self._how_it_died()) from None
            if fine:
                return result
            raise result

    def _begin(self, task: Any) -> None:
        """Return when the process has the task, with all imported that it needs.

        A process that died since its last call is no fault of this one: a new one gets the task.
        """
        if self._process is not None and self._is_taken(task):
            return
        self._end_process()
        self._start()
        if not self._is_taken(task):
            raise WorkerDiedError(self._how_it_died())

    def _is_taken(self, task: Any) -> bool:
        try:
            self._pipe.send(task)
            return bool(self._pipe.recv())
        except (EOFError, OSError):
            return False

    def _start(self) -> None:
        context: Any = multiprocessing.get_context(_METHOD)
        with self._guard:
            if self._killed:
                raise WorkerDiedError("the processes were ended")
            self._pipe, theirs = context.Pipe()
            with _book_of_processes, _without_main():
                # Not before: whoever starts the server has other settings there for a moment.
                arguments = (theirs, dict(os.environ))
                process = context.Process(target=_serve, args=arguments, daemon=True)
                _block_interrupts()
                if _METHOD == "forkserver":
                    _start_server()
                process.start()
            theirs.close()
            self._process = process

    def _how_it_died(self) -> str:
        code = _exit_code(self._process)
        self._end_process()
        if code is not None and code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = str(-code)
            return f"the process was ended by signal {name}"
        return f"the process ended with code {code}"

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            _exit_code(process)
            self._pipe.close()

    def close_when_free(self) -> None:
        """End the process once it has nothing to do."""
        with self._busy:
            self._end_process()

    def kill(self) -> None:
        """End the process whatever it does, and start no other."""
        with self._guard:
            self._killed = True
            process = self._process
        if process is not None:
            process.kill()


def _exit_code(process: Any) -> int | None:
    """Wait until the process has ended. Its exit code, negative for a signal's number.

    The server tells the code once, through a pipe. Of two threads that ask at the same time one
    reads it, and the other finds the pipe at its end and notes 255 for good.
    """
    wait([process.sentinel])
    with _book_of_processes:
        process.join()
        code: int | None = process.exitcode
    return code


@contextmanager
def _without_main() -> Iterator[None]:
    """A new process imports the program's main module anew, which repeats all that it does outside
    of functions. No worker needs it: show it an empty one."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def expect_runs_of(file: Path) -> None:
    """Let the server load what the runs of a strategy's file need, unless it runs already."""
    with suppress(OSError):  # who plays the file has the error for that
        if _RUNS_COMPILED in file.read_bytes() and _FOR_COMPILED not in _loaded_first:
            _loaded_first.append(_FOR_COMPILED)


def start_server_early() -> None:
    """Begin to load what IsolatedProcesses will need, while the caller goes on with its own.

    Nothing where processes are not forked. Returns at once.
    """
    if _METHOD == "forkserver":
        threading.Thread(target=_start_server_alone, daemon=True).start()


def _start_server_alone() -> None:
    with _book_of_processes:
        _block_interrupts()
        _start_server()


def _start_server() -> None:
    """Start the server of this program's processes, unless it runs.

    It imports before it hears of this program's path for imports, so it gets that another way; from
    the working directory, where anything may lie, it imports nothing of itself.
    """
    from multiprocessing import forkserver  # where processes are forked only

    forkserver.set_forkserver_preload(_loaded_first)
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    settings = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _block_interrupts() -> None:
    """Block SIGINT in this thread; a process that it starts inherits that.

    Ctrl-C reaches every process of a terminal; the one that holds the results is to deal with it.
    """
    if hasattr(signal, "pthread_sigmask"):
        # The tracker unblocks SIGINT as it starts: it has to run before.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _serve(pipe: Connection, environment: dict[str, str]) -> None:
    """The life of a worker: take a call, say so, send back what it returned or raised, again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environment)  # the server's is of the time when it began
    while True:
        try:
            fn, args, kwargs = pipe.recv()
        except EOFError:
            return
        except Exception as failure:
            fn, args, kwargs = _raise, (failure,), {}
        pipe.send(True)
        answer: tuple[bool, Any]
        try:
            answer = (True, fn(*args, **kwargs))
        except Exception as failure:
            answer = (False, failure)
        except BaseException as failure:
            answer = (False, RuntimeError(f"{type(failure).__name__}: {failure}"))
        try:
            pipe.send(answer)
        except OSError:
            return  # Nobody listens any more.
        except Exception as fault:
            pipe.send((False, RuntimeError(f"{answer[1]!r} cannot be sent back: {fault}")))


def _raise(failure: Exception) -> None:
    raise failure


def usable_processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
