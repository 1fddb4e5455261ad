"""A watched session's figures for Prometheus, and its log as JSON lines."""

from __future__ import annotations

import http.client
import json
import logging
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker_api.errors import ConfigurationError
from broker_api.redaction import Redactor
from broker_api.secret import Secret
from papertape.watching.board import Board
from papertape.watching.logs import log_session, logging_to
from papertape.watching.metrics import SessionMetrics, serving_metrics
from tests.watching.stage import Stage, wait_for

SECRET = "0x" + "5e" * 32


def scrape(port: int, host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {} if host is None else {"Host": host}
        connection.request("GET", "/metrics", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def trades(suite: Any) -> None:
    """A market order that fills, and a limit order that rests."""
    orders, symbol = suite["MNQ"].orders, suite["MNQ"].instrument_info.id
    await orders.place_market_order(symbol, 0, 2)
    await orders.place_limit_order(symbol, 0, 1, 20_000.0)


def test_a_scrape_tells_the_figures_of_the_session() -> None:
    with Stage(trades) as stage, serving_metrics(0) as metrics:
        metrics.show(stage.watch)
        port = metrics.port
        wait_for(lambda: samples(scrape(port)[1]).get(("papertape_working_orders",)) == 1)
        wait_for(lambda: samples(scrape(port)[1])[("papertape_position_size", "MNQ")] == 2)
        wait_for(lambda: samples(scrape(port)[1])[("papertape_fees", "USD")] == 0.74)
        status, text = scrape(port)
        found = samples(text)
    assert status == 200
    assert found["papertape_equity", "USD"] > 0
    info = ("papertape_session_info", "PAPER-1", stage.suite.session.broker.name, "paper", "wave")
    assert found[info] == 1
    assert found[("papertape_connected",)] == 1
    assert found[("papertape_risk_halted",)] == 0
    assert found[("papertape_session_time_seconds",)] >= 1_772_461_800


def test_orders_and_fills_are_counted_from_what_is_told() -> None:
    board = Board({"name": "made up"}, [])
    metrics = SessionMetrics(board)
    about = {"order_id": 1, "symbol": "MNQ"}
    for message in (
        {"type": "order", "working": True, "status": "open"},
        {"type": "order", "working": False, "status": "filled"},
        {"type": "order", "working": False, "status": "cancelled"},
        {"type": "order", "working": False, "status": "filled"},
        {"type": "fill", "symbol": "MNQ", "side": "buy", "liquidity": "maker"},
        {"type": "log", "level": "warn"},
    ):
        board.tell({**about, **message})
    counted = {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics._counters()
        for sample in family.samples
    }
    assert counted == {
        ("papertape_orders_ended_total", "filled"): 2,
        ("papertape_orders_ended_total", "cancelled"): 1,
        ("papertape_fills_total", "MNQ", "buy", "maker"): 1,
        ("papertape_log_lines_total", "warn"): 1,
    }


def test_metrics_are_for_this_machine_and_on_a_port_that_is_free() -> None:
    with serving_metrics(0) as metrics:
        port = metrics.port
        assert scrape(port, f"localhost:{port}")[0] == 200
        assert scrape(port, "rebound.example.com:80")[0] == 403
        again = serving_metrics(port)
        with pytest.raises(ConfigurationError, match=f"metrics-port {port}"):
            again.__enter__()
    with pytest.raises(ConnectionRefusedError):
        scrape(port)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_line_of_an_order_has_its_client_order_id(tmp_path: Path) -> None:
    path = tmp_path / "session.log"
    is_logged = Event()

    async def trades_when_logged(suite: Any) -> None:
        while not is_logged.is_set():
            await suite.clock.sleep(0.1)
        await trades(suite)

    with logging_to(str(path), Redactor()), Stage(trades_when_logged) as stage:
        log_session(stage.watch, "wave")
        is_logged.set()
        wait_for(lambda: stage.watch.snapshot()["fills"])
        stage.watch.request("kill")
        wait_for(lambda: not stage.watch.snapshot()["orders"])
    found = [line for line in lines(path) if line["logger"] == "papertape.session"]
    by_order: dict[str, list[str]] = {}
    for line in found:
        assert (line["session"], line["level"] in ("info", "warning")) == ("wave", True)
        assert line["session_time"] > "2026-03-02T14:30"
        if "order" in line:
            by_order.setdefault(line["order"], []).append(line["message"])
    ids = {each.client_order_id for each in stage.suite.session.ledger.orders.values()}
    assert set(by_order) <= ids
    assert any("filled" in text for texts in by_order.values() for text in texts)
    assert any(line.get("operator") for line in found)


def test_secrets_are_masked_in_messages_fields_and_tracebacks(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    logger = logging.getLogger("made.up.library")
    with logging_to(str(path), Redactor([Secret(SECRET)])):
        logger.warning("posting with %s", SECRET, extra={"headers": {"key": SECRET}})
        try:
            raise ValueError(f"https://example.com/?key={SECRET}")
        except ValueError:
            logger.exception("failed")
        logger.debug("not asked for")
    logger.warning("after the end")
    first, second = lines(path)
    assert SECRET[2:] not in path.read_text(encoding="utf-8")
    assert (first["level"], first["logger"]) == ("warning", "made.up.library")
    assert next(iter(first)) == "time"
    assert "ValueError" in second["exc_info"]


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    log = logging_to(str(tmp_path / "no" / "folder"), Redactor())
    with pytest.raises(ConfigurationError, match="No such file"):
        log.__enter__()


def test_a_log_grows(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    for text in ("one", "two"):
        with logging_to(str(path), Redactor()):
            logging.getLogger("x").info(text)
    assert [line["message"] for line in lines(path)] == ["one", "two"]
