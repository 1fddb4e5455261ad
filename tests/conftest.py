"""For every test: Hypothesis without a wall-clock deadline, because machines are shared, and with
the same examples every time; filters of log handlers as they were.

`--hypothesis-profile nightly` draws others every night, and some tests draw more then.
"""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("papertape", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("nightly", deadline=None, print_blob=True, derandomize=False)
settings.load_profile("papertape")


@pytest.fixture(autouse=True)
def _filters_of_handlers() -> Iterator[None]:
    """Handlers live as long as the program: who masks secrets in them is gone after the test."""
    handlers = [*logging.getLogger().handlers, logging.lastResort]
    before = [(handler, list(handler.filters)) for handler in handlers if handler is not None]
    yield
    for handler, filters in before:
        handler.filters[:] = filters
