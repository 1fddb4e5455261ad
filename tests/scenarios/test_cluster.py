"""Sweeps on a Dask cluster: two workers on this machine, one of which is killed in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pandas as pd
import pytest

from broker_api.errors import ConfigurationError
from papertape import sweep
from scenarios.cluster import check_threads

pytestmark = pytest.mark.slow

STRATEGY = """
import os, pathlib, signal

async def hold(suite, wait: int, fatal: int = 0):
    orders = suite["MNQ"].orders
    await orders.place_market_order("MNQ", 0, 1)
    await suite.clock.sleep(wait)
    await orders.place_market_order("MNQ", 1, 1)
    died = pathlib.Path(__file__).with_name("died")
    if wait == fatal and not died.exists():  # the second time it lives
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers with one thread each, each in a process of its own that a nanny starts again."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        silence_logs="CRITICAL",
        memory_limit=None,
    ) as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "hold.py").write_text(STRATEGY, encoding="utf-8")
    bid = [21_000.0 + 0.25 * ((number * number // 7) % 11) for number in range(60)]
    pd.DataFrame(
        {
            "ts": pd.date_range("2024-01-02 14:30", periods=60, freq="s", tz="UTC"),
            "bid": bid,
            "ask": [each + 0.25 for each in bid],
            "bid_size": 5.0,
            "ask_size": 5.0,
        }
    ).to_parquet(tmp_path / "mnq.parquet")
    return tmp_path


def test_a_worker_is_killed_and_nothing_is_lost(cluster: Any, place: Path) -> None:
    asked: dict[str, Any] = {"tapes": {"MNQ": place / "mnq.parquet"}}
    grid = {"wait": range(1, 13)}
    alone = sweep(place / "hold.py", grid, processes=0, **asked)
    table = sweep(
        place / "hold.py",
        grid,
        parameters={"fatal": 5},
        scheduler=cluster.scheduler_address,
        **asked,
    )
    assert (place / "died").exists()
    assert table["error"].isna().all(), table["error"].dropna().tolist()
    assert table["digest"].nunique() == 12
    assert table["digest"].tolist() == alone["digest"].tolist()
    assert table["net"].tolist() == alone["net"].tolist()


def test_workers_with_several_threads_are_refused() -> None:
    check_threads("tcp://here:1", {"tcp://a:1": 1, "tcp://b:1": 1})
    with pytest.raises(ConfigurationError, match="worker tcp://b:1 has 2 threads; a run needs its"):
        check_threads("tcp://here:1", {"tcp://a:1": 1, "tcp://b:1": 2})


def test_a_time_limit_is_refused(cluster: Any) -> None:
    with pytest.raises(ConfigurationError, match="time_limit is for processes of this machine"):
        sweep("hold.py", {"wait": [1]}, scheduler=cluster.scheduler_address, time_limit=5)
