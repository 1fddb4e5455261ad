import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest
from worker_calls import (
    crash,
    double,
    environment_and_folder,
    interrupt_myself,
    leave,
    leave_politely,
    own_pid,
    refuse,
    unsendable,
    wait_forever,
)

from scenarios.processes import (
    InThisProcess,
    IsolatedProcesses,
    TimeLimitError,
    WorkerDiedError,
)
from scenarios.sweep import run_all


@pytest.fixture(scope="module")
def two() -> Iterator[IsolatedProcesses]:
    with IsolatedProcesses(2) as processes:
        yield processes


def test_results_and_exceptions_come_back(two: IsolatedProcesses) -> None:
    assert list(two.map(double, range(20))) == list(range(0, 40, 2))
    with pytest.raises(ValueError, match="not today"):
        two.submit(refuse, "not today").result()
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        two.submit(leave_politely, 3).result()
    with pytest.raises(RuntimeError, match="cannot be sent back"):
        two.submit(unsendable).result()
    assert two.submit(own_pid).result() != os.getpid()


def test_a_death_is_that_calls_own_and_its_text_says_how(two: IsolatedProcesses) -> None:
    fates = [two.submit(leave, 7), two.submit(crash), two.submit(leave, 0)]
    good = [two.submit(double, number) for number in range(8)]
    assert [future.result() for future in good] == [0, 2, 4, 6, 8, 10, 12, 14]
    deaths = [future.exception() for future in fates]
    assert all(isinstance(death, WorkerDiedError) for death in deaths)
    assert [str(death) for death in deaths] == [
        "the process ended with code 7",
        "the process was ended by signal SIGSEGV",
        "the process ended with code 0",
    ]


def test_how_a_process_died_is_told_while_others_start() -> None:
    with IsolatedProcesses(4) as four:
        fates = [four.submit(leave, 7) for _ in range(100)]
        assert {str(fate.exception()) for fate in fates} == {"the process ended with code 7"}


def test_a_process_that_died_between_two_calls_is_replaced() -> None:
    with IsolatedProcesses(1) as one:
        first = one.submit(own_pid).result()
        os.kill(first, signal.SIGKILL)
        second = one.submit(own_pid).result()
        assert second != first
        assert one.submit(own_pid).result() == second


def test_an_interrupt_of_the_whole_terminal_is_not_the_workers(capfd) -> None:
    with IsolatedProcesses(1) as one:
        pid = one.submit(own_pid).result()
        os.kill(pid, signal.SIGINT)
        assert one.submit(interrupt_myself).result() == pid
    assert capfd.readouterr().err == ""


def test_a_call_beyond_the_time_limit_ends_and_the_next_one_runs() -> None:
    with IsolatedProcesses(1, time_limit=8.0) as one:  # a busy machine may halt for seconds
        slow, next_one = one.submit(wait_forever), one.submit(double, 4)
        with pytest.raises(TimeLimitError, match="longer than the limit of 8 s"):
            slow.result()
        assert next_one.result() == 8


def test_kill_ends_what_runs_and_cancels_what_waits() -> None:
    one = IsolatedProcesses(1)
    pid = one.submit(own_pid).result()
    running, waiting = one.submit(wait_forever), one.submit(double, 1)
    while not running.running():
        pass
    one.kill()
    assert isinstance(running.exception(timeout=60), WorkerDiedError)
    assert waiting.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_workers_do_not_import_the_main_module(two: IsolatedProcesses) -> None:
    main = sys.modules["__main__"]
    assert two.submit(double, 1).result() == 2
    assert sys.modules["__main__"] is main
    loaded = two.submit(main_module_file).result()
    assert loaded is None


def main_module_file() -> str | None:
    return getattr(sys.modules.get("__mp_main__"), "__file__", None)


def test_a_worker_begins_where_the_program_is_by_then(
    two: IsolatedProcesses, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert two.submit(environment_and_folder, "SINCE_THEN").result()[0] is None
    monkeypatch.setenv("SINCE_THEN", "yes")  # what workers are forked from runs by now
    monkeypatch.chdir(tmp_path)
    with IsolatedProcesses(1) as one:
        assert one.submit(environment_and_folder, "SINCE_THEN").result() == ("yes", str(tmp_path))
        path = one.submit(environment_and_folder, "PYTHONPATH").result()[0]
    assert path == os.environ.get("PYTHONPATH")


def test_what_the_server_is_started_with_is_no_setting_of_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is in the environment for a moment, while others start their processes."""
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    found, before = [], sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(10):
            with IsolatedProcesses(4) as four:
                asked = [four.submit(environment_and_folder, "PYTHONSAFEPATH") for _ in range(4)]
                found += [each.result()[0] for each in asked]
    finally:
        sys.setswitchinterval(before)
    assert found == [None] * 40


def test_no_process_is_refused() -> None:
    with pytest.raises(ValueError, match="processes = 0 is below 1"):
        IsolatedProcesses(0)


@pytest.mark.parametrize("ahead", [1, 3, 100])
def test_run_all_gives_every_task_once_with_its_number(ahead: int) -> None:
    with ThreadPoolExecutor(3) as executor:
        ended = dict(run_all(executor, double, range(50), ahead))
    assert {number: future.result() for number, future in ended.items()} == {
        number: 2 * number for number in range(50)
    }


class Counting(Executor):
    """Runs calls when their results are looked for, and counts what it holds."""

    def __init__(self) -> None:
        self.held: list[Future] = []
        self.most = 0

    def submit(self, fn, /, *args, **kwargs) -> Future:
        future = InThisProcess().submit(fn, *args, **kwargs)
        self.held = [each for each in self.held if not each.done()] + [future]
        self.most += 1
        return future


def test_run_all_submits_no_more_than_it_may_before_something_ends() -> None:
    executor = Counting()
    ends = run_all(executor, double, range(50), 4)
    next(ends)
    assert executor.most == 4
    assert sum(1 for _ in ends) == 49
    assert executor.most == 50


class Interrupted(Executor):
    """Runs the first call, holds four others, and has an alarm ring while somebody waits."""

    def __init__(self) -> None:
        self.held: list[Future] = []

    def submit(self, fn, /, *args, **kwargs) -> Future:
        if len(self.held) == 4:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
        self.held.append(Future() if self.held else InThisProcess().submit(fn, *args, **kwargs))
        return self.held[-1]


def test_what_had_ended_is_told_before_an_interrupt() -> None:
    executor, told = Interrupted(), []

    def end_one_and_interrupt(*_: object) -> None:
        executor.held[2].set_result(4)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, end_one_and_interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            told.extend(number for number, _ in run_all(executor, double, range(5)))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert told == [0, 2]
    assert [each.cancelled() for each in executor.held] == [False, True, False, True, True]


def test_who_stops_iterating_cancels_the_rest() -> None:
    with IsolatedProcesses(1) as one:
        ends = run_all(one, double, range(100), 100)
        next(ends)
        ends.close()
    assert not list(ends)


def test_as_completed_and_map_work_as_with_any_executor(two: IsolatedProcesses) -> None:
    futures = [two.submit(double, number) for number in (1, 2)]
    assert sorted(future.result() for future in as_completed(futures)) == [2, 4]


@pytest.mark.parametrize("text", ["await suite.run_compiled('MNQ', rule)", "await suite.go()"])
def test_the_server_loads_numba_for_files_of_compiled_strategies(tmp_path: Path, text: str) -> None:
    file = tmp_path / "strategy.py"
    file.write_text(f"async def strategy(suite):\n    {text}\n", encoding="utf-8")
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from scenarios.processes import IsolatedProcesses, expect_runs_of\n"
        "from worker_calls import is_loaded\n"
        f"expect_runs_of(Path({str(file.with_name('none.py'))!r}))\n"
        f"expect_runs_of(Path({str(file)!r}))\n"
        "with IsolatedProcesses(1) as one:\n"
        "    print(one.submit(is_loaded, 'numba').result())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str("run_compiled" in text)
