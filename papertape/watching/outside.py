"""What tells of a session outside of it, by option: a log of JSON lines, metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from broker_api.errors import ConfigurationError
from papertape.watching.board import Watched


class Outside(NamedTuple):
    """What was asked for: where the log goes ("-" is the standard error), on which port."""

    log: str | None = None
    metrics_port: int | None = None


NOWHERE = Outside()
"""Nothing was asked for."""


@contextmanager
def told_outside(
    outside: Outside, session: str, environment: Mapping[str, str]
) -> Iterator[Callable[[Watched], None]]:
    """Opens what was asked for; hand the result the session's watch as soon as there is one.

    Secrets of `environment` are masked. Raises ConfigurationError for a file that cannot be
    written, a port that is taken, and where the packages for it are not installed.
    """
    with ExitStack() as stack:
        tellers: list[Callable[[Watched], None]] = []
        try:
            if outside.log is not None:
                from papertape.credentials import redactor_of
                from papertape.watching.logs import log_session, logging_to

                stack.enter_context(logging_to(outside.log, redactor_of(environment)))
                tellers.append(lambda watch: log_session(watch, session))
            if outside.metrics_port is not None:
                from papertape.watching.metrics import serving_metrics

                tellers.append(stack.enter_context(serving_metrics(outside.metrics_port)).show)
        except ModuleNotFoundError as missing:
            raise ConfigurationError(
                f"--log and --metrics-port need {missing.name}: pip install 'papertape[operations]'"
            ) from None

        def tell(watch: Watched) -> None:
            for each in tellers:
                each(watch)

        yield tell
