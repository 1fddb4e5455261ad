"""Runs on a Dask cluster, through the same executor interface as on this machine.

The cluster gives a task whose worker died to another one. Workers need papertape, the files of the
sweep at the same paths, and one thread each: a run has its process for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from broker_api.errors import ConfigurationError

CONNECT_SECONDS = 30
DEATHS_MAX = 3
"""Workers that may die of the same run before it counts as failed."""


@contextmanager
def cluster_executor(address: str) -> Iterator[Executor]:
    """An executor on the cluster of the scheduler at `address`, like tcp://host:8786.

    Raises ConfigurationError where there is none, or where workers have several threads.
    """
    try:
        import distributed
    except ImportError:
        raise ConfigurationError(
            "a Dask cluster needs its library: pip install 'papertape[cluster]'"
        ) from None
    connect: Any = distributed.Client
    try:
        client = connect(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as failure:
        raise ConfigurationError(f"scheduler {address}: no answer ({failure})") from None
    try:
        check_threads(address, client.nthreads())
        yield client.get_executor(pure=False, retries=DEATHS_MAX)
    finally:
        client.close()


def check_threads(address: str, threads: Mapping[str, int]) -> None:
    """Raise ConfigurationError for a worker with several threads, by its address."""
    for worker, count in threads.items():
        if count != 1:
            raise ConfigurationError(
                f"scheduler {address}: worker {worker} has {count} threads; a run needs its "
                "process for itself: dask worker --nthreads 1"
            )
