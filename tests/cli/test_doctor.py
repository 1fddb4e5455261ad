"""`papertape doctor`: each look tells what is good, what is not, and what to do; never a secret."""

from __future__ import annotations

import os
import re
import resource
import socket
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.testing import CliRunner

from broker_api.errors import ConfigurationError
from papertape.cli import app
from papertape.credentials import redactor_of
from papertape.doctor import (
    EXTRAS,
    Clocks,
    Finding,
    Verdict,
    clock,
    connection,
    disk,
    loopback,
    secrets_of,
    tell,
    versions,
)

ROOT = Path(__file__).resolve().parents[2]
KEY = "0x" + "5e" * 32
SECOND = 1_000_000_000


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def clocks_that(wall_went: int, steady_went: int, start: int | None = None) -> Clocks:
    now = {"wall": time.time_ns() if start is None else start, "steady": 5}

    def sleep(_: float) -> None:
        now["wall"] += wall_went
        now["steady"] += steady_went

    return Clocks(lambda: now["wall"], lambda: now["steady"], sleep)


def test_what_may_be_installed_besides_is_what_the_package_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    offered = {
        extra: tuple(re.split("[>=]", each)[0] for each in needed)
        for extra, needed in project["optional-dependencies"].items()
        if extra not in ("dev", "serve")
    }
    assert offered == EXTRAS


@pytest.mark.parametrize(
    ("clocks", "verdict", "text"),
    [
        (clocks_that(SECOND, SECOND), Verdict.OK, "steady"),
        (clocks_that(SECOND // 2, SECOND), Verdict.WARN, "-500 ms astray within 1000 ms"),
        (clocks_that(3 * SECOND, SECOND), Verdict.WARN, "+2000 ms astray"),
        (clocks_that(SECOND, 0), Verdict.FAIL, "stands still"),
        (clocks_that(SECOND, SECOND, 0), Verdict.FAIL, "1970-01-01 00:00:00 UTC is before"),
    ],
)
def test_clocks_are_compared(clocks: Clocks, verdict: Verdict, text: str) -> None:
    finding = only(clock(clocks))
    assert (finding.topic, finding.verdict) == ("clock", verdict)
    assert text in finding.text
    assert (finding.advice == "") == (verdict is Verdict.OK)


def test_a_disk_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    space, record = disk(tmp_path / "not" / "yet", Clocks())
    assert f"GB free in {tmp_path}" in space.text
    assert record.text.startswith("a durable record takes")
    assert list(tmp_path.iterdir()) == []


def test_slow_disks_and_those_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    ticks = iter(range(0, 10**12, 50_000_000))
    slow = Clocks(steady_ns=lambda: next(ticks))
    assert list(disk(tmp_path, slow))[1][1:3] == (Verdict.WARN, "a durable record takes 50.0 ms")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        full = list(disk(tmp_path, Clocks()))[1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert full.verdict is Verdict.FAIL
    assert "a journal cannot be written" in full.text


@pytest.mark.parametrize(
    ("environment", "verdict", "text"),
    [
        ({}, Verdict.OK, "none are set"),
        ({"PAPERTAPE_HYPERLIQUID_KEY": KEY}, Verdict.OK, "has the shape of a key"),
        (
            {"PAPERTAPE_HYPERLIQUID_KEY": KEY[:40]},
            Verdict.FAIL,
            "40 characters that are no private",
        ),
        ({"PAPERTAPE_HYPERLIQUID_KEY": " "}, Verdict.FAIL, "fewer than"),
        ({"PAPERTAPE_KEY_FILE": "/nowhere/key"}, Verdict.FAIL, "/nowhere/key: No such file"),
        ({"PROJECT_X_API_KEY": "c2VjcmV0LXNlY3JldA=="}, Verdict.FAIL, "PROJECT_X_USERNAME is not"),
        (
            {"PROJECT_X_API_KEY": "c2VjcmV0IHNlY3JldA c2V", "PROJECT_X_USERNAME": "me"},
            Verdict.FAIL,
            "white space",
        ),
        (
            {"PAPERTAPE_PROJECTX_KEY": "c2VjcmV0LXNlY3JldA==", "PROJECT_X_USERNAME": "me"},
            Verdict.OK,
            "has the shape",
        ),
    ],
)
def test_the_shape_of_keys_is_told_and_no_key(
    environment: dict[str, str], verdict: Verdict, text: str
) -> None:
    finding = only(secrets_of(environment))
    assert finding.verdict is verdict
    assert text in finding.text
    for secret in (value for name, value in environment.items() if name.endswith("_KEY")):
        assert secret.strip() == "" or secret not in tell(finding)


def test_every_secret_of_the_environment_is_masked() -> None:
    redactor = redactor_of({"PAPERTAPE_HYPERLIQUID_KEY": KEY, "PROJECT_X_API_KEY": "c2VjcmV0LWs="})
    assert KEY[2:] not in redactor.redact(f"posted with {KEY} by c2VjcmV0LWs=")
    assert "c2VjcmV0LWs=" not in redactor.redact(f"posted with {KEY} by c2VjcmV0LWs=")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@contextmanager
def server(status: int, hours_off: float) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", formatdate(time.time() + 3_600 * hours_off, usegmt=True))
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}/"
        finally:
            found.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [200, 404])
def test_a_server_that_answers_is_connected_whatever_it_says(status: int) -> None:
    with server(status, 0) as url:
        answer, skew = connection(url, Clocks())
    assert (answer.verdict, skew.verdict) == (Verdict.OK, Verdict.OK)
    assert f"{url} answers within" in answer.text


def test_a_server_with_another_time_is_told() -> None:
    with server(200, -2) as url:
        _, skew = connection(url, Clocks())
    assert skew.verdict is Verdict.FAIL
    assert skew.text.startswith("+7")
    assert "NTP" in skew.advice


def test_a_server_that_answers_late_is_not_said_to_have_another_time() -> None:
    steady = iter((0, 8 * SECOND))
    late = Clocks(lambda: time.time_ns() + 8 * SECOND, lambda: next(steady))
    with server(200, 0) as url:
        answer, skew = connection(url, late)
    assert answer.text.endswith("answers within 8000 ms")
    assert skew.verdict is Verdict.OK


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    finding = only(connection(f"http://127.0.0.1:{port}", Clocks()))
    assert finding.verdict is Verdict.FAIL
    assert "refused" in finding.text


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no address"):
        list(connection("file:///etc/passwd", Clocks()))


def test_this_machine_and_what_is_installed_are_told() -> None:
    assert loopback().verdict is Verdict.OK
    found = list(versions())
    assert all(each.verdict is Verdict.OK for each in found)
    assert found[0].text.startswith("papertape 0")


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """A folder whose disk is not slow, however busy the machine is, where there is such a thing."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


def test_the_command_says_by_its_code_whether_something_fails(
    tmp_path: Path, quick_folder: Path
) -> None:
    calm = {"PAPERTAPE_HYPERLIQUID_KEY": "", "PAPERTAPE_CACHE": str(tmp_path / "cache")}
    del calm["PAPERTAPE_HYPERLIQUID_KEY"]
    runner = CliRunner()
    good = runner.invoke(app, ["doctor", "--folder", str(quick_folder)], env=calm)
    assert good.exit_code == 0, good.output
    topics = [line.split()[1] for line in good.output.splitlines() if line[:1] != " "]
    assert list(dict.fromkeys(topics)) == [
        "versions",
        "clock",
        "disk",
        "cache",
        "credentials",
        "loopback",
    ]
    bad = {**calm, "PAPERTAPE_HYPERLIQUID_KEY": KEY + "0"}
    found = runner.invoke(app, ["doctor", "--folder", str(quick_folder)], env=bad)
    assert found.exit_code == 1
    assert KEY not in found.output
    assert "docs/live.md" in found.output
    wrong = runner.invoke(app, ["doctor", "--folder", str(tmp_path), "--url", "ftp://x"], env=calm)
    assert wrong.exit_code == 2
