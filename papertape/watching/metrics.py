"""The figures of a watched session for Prometheus, as text over HTTP on this machine alone.

    curl http://127.0.0.1:9464/metrics

Read in a thread of its own from what the watch tells: a scrape costs the session nothing. Money is
in the account's currency, times in seconds, as Prometheus has them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker_api.errors import ConfigurationError
from papertape.watching.board import Message, Watched

LOOPBACK = "127.0.0.1"
_HOSTS = frozenset({LOOPBACK, "localhost"})
"""What a request may call us: a page whose name was made to point here calls us something else."""
_STALLED_SECONDS = 5.0

_ACCOUNT = {
    "equity": "Cash and the value of positions",
    "cash": "Cash of the account",
    "realised": "Profit of what was closed",
    "unrealised": "Profit of what is open",
    "fees": "Fees paid so far",
    "funding": "Funding received, less what was paid",
}
_HEALTH = {
    "feed_age_ms": ("feed_age_seconds", "Time since the market was heard of"),
    "lag_ms": ("lag_seconds", "How far the session is behind the market"),
}
_COUNTS = {
    "queued": "Notices that wait for handlers",
    "discrepancies": "Figures about which the broker and the session disagree",
}


class SessionMetrics(Collector):
    """Turns what a watch tells into metrics; counts begin with it."""

    def __init__(self, watch: Watched) -> None:
        self._snapshot = watch.snapshot
        self._lock = threading.Lock()
        self._ended: Counter[str] = Counter()
        self._fills: Counter[tuple[str, str, str]] = Counter()
        self._lines: Counter[str] = Counter()
        watch.subscribe(self._hear)

    def _hear(self, message: Message) -> None:
        with self._lock:
            match message["type"]:
                case "order" if not message["working"]:
                    self._ended[message["status"]] += 1
                case "fill":
                    key = message["symbol"], message["side"], message["liquidity"]
                    self._fills[key] += 1
                case "log":
                    self._lines[message["level"]] += 1

    def collect(self) -> Iterable[Metric]:
        """All metrics as they are now; called for every scrape."""
        found = self._snapshot()
        yield from _of_session(found["session"])
        yield from _of_account(found["account"], found["session"]["currency"])
        yield from _of_health(found["health"])
        yield _gauge("working_orders", "Orders that are sent, held or open", len(found["orders"]))
        halted = found["risk"]["halted"] is not None
        yield _gauge("risk_halted", "Whether an account rule halts the account", halted)
        size = GaugeMetricFamily("papertape_position_size", "Net position", labels=["symbol"])
        for each in found["positions"]:
            size.add_metric([each["symbol"]], each["size"])
        yield size
        yield from self._counters()

    def _counters(self) -> Iterator[Metric]:
        with self._lock:
            ended, fills, lines = dict(self._ended), dict(self._fills), dict(self._lines)
        orders = CounterMetricFamily(
            "papertape_orders_ended", "Orders that ended", labels=["status"]
        )
        for status, count in sorted(ended.items()):
            orders.add_metric([status], count)
        executions = CounterMetricFamily(
            "papertape_fills", "Executions", labels=["symbol", "side", "liquidity"]
        )
        for key, count in sorted(fills.items()):
            executions.add_metric(key, count)
        log = CounterMetricFamily("papertape_log_lines", "Lines of the log", labels=["level"])
        for level, count in sorted(lines.items()):
            log.add_metric([level], count)
        yield from (orders, executions, log)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"papertape_{name}", text, value=float(value))


def _of_session(session: Mapping[str, Any]) -> Iterator[Metric]:
    labels = ["name", "mode", "broker", "account"]
    info = GaugeMetricFamily("papertape_session_info", "The session", labels=labels)
    info.add_metric([str(session[label]) for label in labels], 1)
    yield info
    yield _gauge("session_ended", "Whether the session has ended", bool(session["ended"]))
    failed = session["failure"] is not None
    yield _gauge("session_failed", "Whether it ended by a failure", failed)


def _of_account(account: Mapping[str, Any], currency: str) -> Iterator[Metric]:
    for name, text in _ACCOUNT.items():
        if account.get(name) is not None:
            gauge = GaugeMetricFamily(f"papertape_{name}", text, labels=["currency"])
            gauge.add_metric([currency], account[name])
            yield gauge


def _of_health(health: Mapping[str, Any]) -> Iterator[Metric]:
    if "time_ms" in health:
        yield _gauge("session_time_seconds", "The session's time", health["time_ms"] / 1000)
        yield _gauge("connected", "Whether the broker is connected", bool(health["connected"]))
        uncertain = len(health["uncertain"])
        yield _gauge("uncertain_orders", "Orders of which nobody knows", uncertain)
    for key, (name, text) in _HEALTH.items():
        if health.get(key) is not None:
            yield _gauge(name, text, health[key] / 1000)
    for name, text in _COUNTS.items():
        if health.get(name) is not None:
            yield _gauge(name, text, health[name])


class _Handler(WSGIRequestHandler):
    timeout = _STALLED_SECONDS

    def log_message(self, *arguments: Any) -> None:
        """Scrapes are no news."""


class MetricsServer:
    """Serves the metrics of the watches that it is given; nothing else before."""

    def __init__(self, port: int) -> None:
        self._registry = CollectorRegistry()
        app = make_wsgi_app(self._registry)

        def guarded(environ: dict[str, Any], start_response: Any) -> Any:
            if environ.get("HTTP_HOST", "").rpartition(":")[0] not in _HOSTS:
                start_response("403 Forbidden", [("Content-Type", "text/plain")])
                return [b"metrics are for this machine\n"]
            return app(environ, start_response)

        self.server = make_server(LOOPBACK, port, guarded, handler_class=_Handler)
        self.port: int = self.server.server_port

    def show(self, watch: Watched) -> None:
        """Show this session's figures from now on. One session a server."""
        self._registry.register(SessionMetrics(watch))


@contextmanager
def serving_metrics(port: int) -> Iterator[MetricsServer]:
    """Serve metrics on the loopback address while this is entered; port 0 means any that is free.

    Raises ConfigurationError for a port that cannot be had.
    """
    try:
        metrics = MetricsServer(port)
    except (OSError, OverflowError) as failure:
        raise ConfigurationError(f"--metrics-port {port}: {failure}") from None
    thread = threading.Thread(target=metrics.server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield metrics
    finally:
        metrics.server.shutdown()
        thread.join()
        metrics.server.server_close()
