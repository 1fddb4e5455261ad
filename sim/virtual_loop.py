"""Virtual time: an asyncio event loop whose clock is the simulation's.

Ordinary asyncio code runs on :class:`VirtualLoop` unchanged. When nothing is ready to run, time
jumps: with a driver attached (the simulated exchange) to whatever happens next in the market or to
the earliest timer, without one to the earliest timer. There is no selector and no thread, so a run
is reproducible: ready callbacks run first in, first out, timers of one deadline in the order of
their creation, and the loop's tasks and futures hash by creation number, so that sets of them (and
of nothing else) iterate the same in every process.

Time is an integer of nanoseconds inside. `time()` is seconds since the loop was made, as a float,
because a float of epoch seconds cannot hold nanoseconds; `now_ns` is the epoch time.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

from sim.loop_base import (
    NEVER_NS,
    NS,
    DeadlockError,
    Driver,
    EndlessRunError,
    LoopWithoutIO,
    ReadyHandle,
    Stretch,
    TapeEnded,
    Timer,
    TimeStandsStillError,
    VirtualFuture,
    VirtualTask,
    is_tape_end,
    moment_text,
    rare_collections,
    refusal,
    waits_text,
    whole_ns,
)
from sim.ordered_asyncio import ordered_asyncio

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_ROUNDS_PER_INSTANT_MAX = 1_000_000
_CLOSING_ROUNDS_MAX = 1_000
_TIMER_COMPACTION_MIN, _FUTURE_COMPACTION_MIN = 128, 1_024


class VirtualLoop(LoopWithoutIO):
    """An event loop on simulated time; the module's docstring says how time goes by.

    Not for use by several threads. Raises DeadlockError when no task can ever continue, and
    TimeStandsStillError after `rounds_per_instant_max` rounds of callbacks at one instant.
    """

    def __init__(self, *, rounds_per_instant_max: int = _ROUNDS_PER_INSTANT_MAX) -> None:
        super().__init__()
        self._ready: deque[ReadyHandle | Timer] = deque()
        self._timers: list[tuple[int, int, Timer]] = []
        self._timers_cancelled = 0
        self._futures: list[VirtualFuture] = []
        self._futures_limit = _FUTURE_COMPACTION_MIN
        self._elapsed_ns = 0
        self._epoch_ns = 0
        self._has_epoch = False
        self._numbers = 0
        self._timer_numbers = 0
        self._driver: Driver | None = None
        self._stretch: Stretch | None = None
        self._tape_ended = False
        self._closing_rounds = 0
        self._cancelled_at_end: set[int] = set()
        self._rounds_per_instant_max = rounds_per_instant_max
        self._stopping = self._has_eager_tasks = False
        self._thread_id: int | None = None
        self._task_factory: Any = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else "running" if self.is_running() else "stopped"
        return f"<VirtualLoop {state} at {self.time():.9f} s>"

    # --- time -----------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Nanoseconds since the epoch, UTC; since the loop was made until a driver is attached."""
        stretch = self._stretch
        if stretch is not None:
            return stretch.moment_ns()
        return self._epoch_ns + self._elapsed_ns

    def time(self) -> float:
        """Simulated seconds since the loop was made."""
        return (self.now_ns - self._epoch_ns) / NS

    @property
    def tape_ended(self) -> bool:
        """True from the moment at which the tape's end was announced."""
        return self._tape_ended

    def attach(self, driver: Driver, start_ns: int) -> None:
        """Let `driver` tell the time. The first driver's `start_ns` (epoch) is the time now.

        A later driver, after `detach`, goes on from the running clock. Raises RuntimeError while
        another driver is attached.
        """
        if self._driver is not None:
            raise RuntimeError(
                "a simulated market is attached to this loop already; one run has one market. "
                "Disconnect the first session, or give all instruments to one session"
            )
        if not self._has_epoch:
            self._epoch_ns = start_ns - self._elapsed_ns
            self._has_epoch = True
        self._driver = driver
        self._tape_ended = False
        self._closing_rounds = 0

    def jump_to(self, now_ns: int) -> None:
        """Put the clock forward for a driver that was away: timers are late."""
        self._elapsed_ns = max(self._elapsed_ns, now_ns - self._epoch_ns)

    def is_alone_until(self, until_ns: int) -> bool:
        """True when nothing is scheduled before `until_ns` (epoch) but the running task."""
        if self._ready or self._stretch is not None or self._tape_ended or self._stopping:
            return False
        task = asyncio.current_task(self)
        if type(task) is not VirtualTask or task.cancelling() or self._has_eager_tasks:
            return False
        deadline = self._next_deadline()
        return deadline is None or deadline + self._epoch_ns >= until_ns

    def go_on_alone(self, now_ns: int) -> None:
        """Put the clock forward under the running task, as if it had waited for a future."""
        self._numbers += 1
        self._elapsed_ns = now_ns - self._epoch_ns

    def detach(self, driver: Driver) -> None:
        """End what `attach` began; the clock keeps its time. RuntimeError for another driver."""
        if self._driver is not driver:
            raise RuntimeError("this simulated market is not the one attached to the loop")
        self._driver = None

    # --- callbacks and timers -------------------------------------------------------------------

    def interrupt_stretch(self) -> None:
        """Let the running call of a stretch, if there is one, be its last."""
        if self._stretch is not None:
            self._stretch.interrupt()

    @contextmanager
    def during(self, stretch: Stretch) -> Iterator[None]:
        """Let `stretch` tell the time; what its calls schedule interrupts it."""
        self._stretch = stretch
        try:
            yield
        finally:
            self._stretch = None

    def begin_stretch(self, stretch: Stretch) -> None:
        """Let `stretch` tell the time until `leave_stretch`, or until the running callback ends."""
        self._stretch = stretch

    def leave_stretch(self) -> None:
        """Its calls are over, or the last one waits: its time is the loop's. Idempotent."""
        stretch = self._stretch
        if stretch is not None:
            stretch.interrupt()
            self._elapsed_ns = stretch.moment_ns() - self._epoch_ns
            self._stretch = None
            stretch.leave()

    def call_soon(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run `callback` in the next round, after what is ready already."""
        if self._closed:
            raise RuntimeError("Event loop is closed")
        if self._stretch is not None:
            self._stretch.interrupt()
        handle = ReadyHandle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*_Ts], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As `call_soon`; for signal handlers. Raises RealIOError when another thread calls."""
        if self._thread_id is not None and self._thread_id != threading.get_ident():
            refusal("call_soon_threadsafe")()
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run `callback` after `delay` simulated seconds, rounded to the nanosecond."""
        when_ns = self.now_ns - self._epoch_ns + whole_ns(delay)
        return self._schedule(when_ns, callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run `callback` when `time()` is `when`, rounded to the nanosecond."""
        return self._schedule(whole_ns(when), callback, args, context)

    def call_at_ns(
        self, when_ns: int, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """Run `callback` when `now_ns` is `when_ns` (epoch), exactly."""
        return self._schedule(when_ns - self._epoch_ns, callback, args, None)

    def _schedule(
        self, when_ns: int, callback: Callable[..., object], args: Any, context: Context | None
    ) -> asyncio.TimerHandle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        self.interrupt_stretch()
        timer = Timer(when_ns, callback, args, self, context)
        if when_ns < NEVER_NS:  # sleep(math.inf) is a wait that no timer ends
            self._timer_numbers += 1
            timer._scheduled = True
            heapq.heappush(self._timers, (when_ns, self._timer_numbers, timer))
        return timer

    def _timer_handle_cancelled(self, handle: Timer) -> None:
        if not handle._scheduled:
            return
        self._timers_cancelled += 1
        if self._timers_cancelled > max(_TIMER_COMPACTION_MIN, len(self._timers) // 2):
            # The handle is marked as cancelled only after this call, hence the second condition.
            self._timers = [t for t in self._timers if not (t[2]._cancelled or t[2] is handle)]
            heapq.heapify(self._timers)
            handle._scheduled = False
            self._timers_cancelled = 0

    # --- futures and tasks ----------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        """A future that hashes by its creation number, and that the tape's end will end."""
        future = VirtualFuture(loop=self)
        self._numbers += 1
        future.number = self._numbers
        self._futures.append(future)
        if len(self._futures) > self._futures_limit:
            self._pending_futures()
        return future

    def _pending_futures(self) -> list[VirtualFuture]:
        # Strong references: what garbage collection would drop must not depend on when it runs.
        self._futures = [future for future in self._futures if not future.done()]
        self._futures_limit = max(_FUTURE_COMPACTION_MIN, 2 * len(self._futures))
        return self._futures

    def create_task(
        self,
        coro: Generator[Any, None, _T] | Coroutine[Any, Any, _T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[_T]:
        """A task that hashes by its creation number, named `Task-<number>` unless named."""
        if self._closed:
            raise RuntimeError("Event loop is closed")
        self._numbers += 1
        number = self._numbers
        self._has_eager_tasks = self._has_eager_tasks or "eager_start" in options
        if self._task_factory is None:
            name = f"Task-{number}" if name is None else name
            return VirtualTask(
                coro, number=number, loop=self, name=name, context=context, **options
            )
        if context is not None:
            options["context"] = context
        task: asyncio.Task[_T] = self._task_factory(self, coro, **options)
        task.set_name(f"Task-{number}" if name is None else name)
        return task

    def set_task_factory(self, factory: Any) -> None:
        """Make tasks by `factory(loop, coro, ...)`; None makes VirtualTasks again."""
        if factory is not None and not callable(factory):
            raise TypeError("task factory must be a callable or None")
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        """What `set_task_factory` set."""
        return self._task_factory

    # --- running --------------------------------------------------------------------------------

    def run_until_complete(self, future: Any) -> Any:
        """Run until `future` is done and return its result; None when the tape's end ended it."""
        self._check_may_run()
        is_new = not asyncio.isfuture(future)
        future = asyncio.ensure_future(future, loop=self)
        if is_new:
            future._log_destroy_pending = False
        future.add_done_callback(self._stop_after)
        try:
            self.run_forever()
        except BaseException:
            if is_new and future.done() and not future.cancelled():
                future.exception()  # the same failure is on its way out already
            raise
        finally:
            future.remove_done_callback(self._stop_after)
        if not future.done():
            raise RuntimeError("Event loop stopped before Future completed.")
        try:
            return future.result()
        except BaseException as fault:
            if is_tape_end(fault) or (future.cancelled() and self._was_ended_by_tape(future)):
                return None
            raise

    def _was_ended_by_tape(self, future: asyncio.Future[Any]) -> bool:
        # asyncio turns TapeEnded into a plain CancelledError in places, e.g. for the second of two
        # tasks that wait for a third. Then nobody but this loop has asked for the cancellation.
        if not self._tape_ended or not isinstance(future, asyncio.Task):
            return self._tape_ended
        return future.cancelling() <= (getattr(future, "number", 0) in self._cancelled_at_end)

    def _stop_after(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and isinstance(
            future.exception(), SystemExit | KeyboardInterrupt
        ):
            return  # it is on its way out through the loop already
        self.stop()

    def run_forever(self) -> None:
        """Run until `stop`, or until the tape has ended and nothing waits any more."""
        self._check_may_run()
        hooks = sys.get_asyncgen_hooks()
        self._thread_id = threading.get_ident()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_started, finalizer=self._finalize_asyncgen)
        try:
            asyncio._set_running_loop(self)
            with ordered_asyncio(), rare_collections():
                self._run_ready_and_pass_time()
        finally:
            self._stopping = False
            self._thread_id = None
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def _run_ready_and_pass_time(self) -> None:
        ready = self._ready
        instant, rounds = self._elapsed_ns, 0
        while True:
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:
                    try:
                        handle._context.run(handle._callback, *handle._args)
                    except (SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as fault:
                        self._report_fault(handle, fault)
                    if self._stretch is not None:
                        self.leave_stretch()
            if self._stopping:
                return
            if not ready:
                self._pass_time()
            rounds += 1
            if self._elapsed_ns != instant:
                instant, rounds = self._elapsed_ns, 0
            elif rounds > self._rounds_per_instant_max:
                raise TimeStandsStillError(
                    f"{rounds} rounds of callbacks ran at {self._now_text()} and simulated time "
                    "did not move. `await asyncio.sleep(0)` in a loop never lets time go by: await "
                    "the event itself, or sleep some simulated time"
                )

    def _pass_time(self) -> None:
        if self._tape_ended:
            self._close_one_round()
            return
        deadline = self._next_deadline()
        if self._driver is not None:
            reached = self._advance(self._driver, deadline)
            if reached is None:
                self._announce_tape_end(self._driver)
                return
            if self._ready or reached != deadline:
                return  # deliveries run before the timers of their instant
        elif deadline is None:
            raise DeadlockError(
                "nothing can ever happen: no timer is set, no market is attached, and every task "
                f"waits{waits_text(self._unfinished_tasks())}"
            )
        else:
            self._elapsed_ns = deadline
        while self._timers and self._timers[0][0] <= self._elapsed_ns:
            timer = self._pop_timer()
            if not timer._cancelled:
                self._ready.append(timer)

    def _next_deadline(self) -> int | None:
        while self._timers and self._timers[0][2]._cancelled:
            self._pop_timer()
            self._timers_cancelled -= 1
        return max(self._timers[0][0], self._elapsed_ns) if self._timers else None

    def _pop_timer(self) -> Timer:
        timer = heapq.heappop(self._timers)[2]
        timer._scheduled = False
        return timer

    def _advance(self, driver: Driver, deadline: int | None) -> int | None:
        now_ns = driver.advance(None if deadline is None else deadline + self._epoch_ns)
        if now_ns is None:
            return None
        reached = now_ns - self._epoch_ns
        latest = NEVER_NS if deadline is None else max(deadline, self._elapsed_ns)
        if not self._elapsed_ns <= reached <= latest:
            raise RuntimeError(
                f"the market went to {now_ns} ns, from {self.now_ns} ns with the next timer at "
                f"{'none' if deadline is None else deadline + self._epoch_ns} ns"
            )
        self._elapsed_ns = reached
        return reached

    # --- the end of the tape --------------------------------------------------------------------

    def _announce_tape_end(self, driver: Driver) -> None:
        self._tape_ended = True
        driver.close_market()
        self._end_waits()

    def _close_one_round(self) -> None:
        """Serve what is in flight; when nothing is, end the waits that clean-up code began."""
        if self._driver is not None and self._advance(self._driver, None) is not None:
            return
        self._closing_rounds += 1
        if self._closing_rounds > _CLOSING_ROUNDS_MAX:
            for task in self._unfinished_tasks():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            raise EndlessRunError(
                f"the tape ended, and {_CLOSING_ROUNDS_MAX} times over the program went on to wait "
                "for something else. A loop in it swallows TapeEnded (`except BaseException` or "
                "`except asyncio.CancelledError` without `raise`)"
            )
        if not self._end_waits() and not self._ready:
            # What is left waits for something that this loop did not make.
            tasks = self._unfinished_tasks()
            for task in tasks:
                task.cancel(f"the tape ended at {self._now_text()}")
                self._cancelled_at_end.add(getattr(task, "number", 0))
            self._stopping = not tasks

    def _end_waits(self) -> bool:
        """End every pending future and timer in the order of creation; False if there was none."""
        for _, _, timer in self._timers:
            timer._scheduled = False
        self._timers, self._timers_cancelled = [], 0
        pending, self._futures = self._pending_futures(), []
        for future in pending:
            if not future.done():
                future.set_exception(TapeEnded(f"the tape ended at {self._now_text()}"))
                future.exception()  # nobody may be left to retrieve it: that is no fault
        return bool(pending)

    def _now_text(self) -> str:
        return moment_text(self.now_ns) if self._has_epoch else f"{self.time():.9f} s"

    # --- state and closing ----------------------------------------------------------------------

    def stop(self) -> None:
        """Stop after the round of callbacks that is running."""
        self._stopping = True

    def is_running(self) -> bool:
        """True inside run_forever."""
        return self._thread_id is not None

    def close(self) -> None:
        """Drop everything that is still scheduled. Idempotent; RuntimeError while running."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        self._closed = True
        self._ready.clear()
        self._timers.clear()
        self._futures.clear()
        self._driver = None
