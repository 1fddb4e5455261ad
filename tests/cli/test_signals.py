"""SIGINT and SIGTERM: the first asks, the second forces, the third kills."""

from __future__ import annotations

import os
import signal

import pytest

from papertape.signals import STOPPING, graceful


@pytest.mark.parametrize("number", STOPPING, ids=lambda each: each.name)
def test_the_first_signal_asks_and_the_work_goes_on(number: signal.Signals) -> None:
    asked: list[bool] = []
    with graceful(lambda: asked.append(True)) as stopping:
        os.kill(os.getpid(), number)
        assert asked == [True]
    assert stopping.signals == [number]


@pytest.mark.parametrize(
    ("second", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_the_second_signal_forces(second: signal.Signals, code: int) -> None:
    asked: list[bool] = []
    with graceful(lambda: asked.append(True)) as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), second)
    assert asked == [True]
    assert stopping.exit_code == code


def test_the_third_signal_ends_a_process_that_does_not_care() -> None:
    child = os.fork()
    if child == 0:
        with graceful(lambda: None):
            for _ in range(3):
                try:
                    os.kill(os.getpid(), signal.SIGTERM)
                except KeyboardInterrupt:
                    continue
        os._exit(99)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 143


def test_what_was_in_force_before_is_put_back() -> None:
    before = [signal.getsignal(each) for each in STOPPING]
    with graceful(lambda: None):
        assert [signal.getsignal(each) for each in STOPPING] != before
    assert [signal.getsignal(each) for each in STOPPING] == before
