"""What may keep papertape from working on this machine, looked at before it does.

Each look gives findings: what was found, whether that is good, and what to do if it is not. Looks
only look: they read clocks, write to a temporary folder that they remove, and connect to what they
were told to.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from broker_api.errors import ConfigurationError, JournalError
from broker_api.journal_writer import JournalWriter
from data.cache_care import EntryState, cache_folders, list_entries
from papertape.credentials import credentials

_SECOND = 1_000_000_000
SQLITE_MIN = (3, 38, 0)
"""The views of a journal read JSON, which is built in from here on."""
STEP_NS_MAX = 20_000_000
"""How far the time of day may go astray from the steady clock while it is looked at."""
LOOK_SECONDS = 0.25
SKEW_SECONDS_WARN, SKEW_SECONDS_FAIL = 3.0, 60.0
"""Off a server's clock. Its answer tells whole seconds, and took some time."""
SPACE_WARN, SPACE_FAIL = 5 << 30, 500 << 20
"""Bytes. A day of a busy market takes 0.7 GB in a journal."""
FLUSH_MS_WARN, FLUSH_MS_FAIL = 30.0, 300.0
"""A session waits that long before each command."""
_FLUSHES = 16
CONNECT_SECONDS = 5.0
_PACKAGES = ("numpy", "numba", "pyarrow", "pandas", "pydantic")
EXTRAS = {
    "hyperliquid": ("aiohttp", "coincurve", "msgpack", "pycryptodome"),
    "projectx": ("aiohttp",),
    "sweep": ("scipy",),
    "cluster": ("distributed",),
    "testing": ("hypothesis", "pytest"),
    "operations": ("prometheus-client", "python-json-logger"),
}
"""What papertape can use besides, by the names under which it is installed; `serve` is hyperliquid.
"""


class Verdict(StrEnum):
    """Whether what was found is good."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """What a look found; `advice` says what to do where it is not ok."""

    topic: str
    verdict: Verdict
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Clocks:
    """The machine's clocks: time of day, steady time, both in ns; and a way to let time pass."""

    wall_ns: Callable[[], int] = time.time_ns
    steady_ns: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], None] = time.sleep


def examine(
    folder: Path,
    urls: Sequence[str],
    environment: Mapping[str, str],
    clocks: Clocks | None = None,
) -> Iterator[Finding]:
    """All looks, each as soon as it is done. `folder` is where sessions will be written."""
    clocks = clocks or Clocks()
    yield from versions()
    yield from clock(clocks)
    yield from disk(folder, clocks)
    yield from cache()
    yield from secrets_of(environment)
    yield loopback()
    for url in urls:
        yield from connection(url, clocks)


def versions() -> Iterator[Finding]:
    """What is installed."""
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    own = importlib.metadata.version("papertape")
    yield Finding("versions", Verdict.OK, f"papertape {own}, {python}")
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    yield Finding("versions", Verdict.OK, packages)
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        advice = "the SQL views of journals need 3.38; sessions themselves do not"
        yield Finding("versions", Verdict.WARN, f"SQLite {found}", advice)
    else:
        yield Finding("versions", Verdict.OK, f"SQLite {found}")
    for extra, names in EXTRAS.items():
        missing = [name for name in names if not _is_installed(name)]
        if missing:
            advice = f"pip install 'papertape[{extra}]' if you want it"
            text = f"{extra}: not installed ({', '.join(missing)})"
            yield Finding("versions", Verdict.OK, text, advice)


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def clock(clocks: Clocks) -> Iterator[Finding]:
    """Whether the time of day goes as steadily as the other clock, and is not in the past."""
    wall, steady = clocks.wall_ns(), clocks.steady_ns()
    clocks.sleep(LOOK_SECONDS)
    went, passed = clocks.wall_ns() - wall, clocks.steady_ns() - steady
    astray = went - passed
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(wall // _SECOND))
    advice = "let the system set its clock by NTP; venues refuse what comes from another time"
    if passed <= 0:
        yield Finding("clock", Verdict.FAIL, "the steady clock stands still", advice)
    elif abs(astray) > STEP_NS_MAX:
        text = f"the time of day went {astray / 1e6:+.0f} ms astray within {passed / 1e6:.0f} ms"
        yield Finding("clock", Verdict.WARN, text, advice)
    elif wall < Path(__file__).stat().st_mtime_ns - 86_400 * _SECOND:
        text = f"{now} UTC is before papertape was installed"
        yield Finding("clock", Verdict.FAIL, text, advice)
    else:
        yield Finding("clock", Verdict.OK, f"{now} UTC, steady")


def disk(folder: Path, clocks: Clocks) -> Iterator[Finding]:
    """How much space there is, and how long a durable record takes: a journal is written."""
    place = folder.absolute()
    while not place.is_dir():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free in {place}"
    advice = "a day of a busy market takes 0.7 GB; name another folder with --folder"
    yield Finding("disk", _grade(-free, -SPACE_WARN, -SPACE_FAIL), text, advice)
    try:
        milliseconds = _durable_record_ms(place, clocks)
    except (OSError, JournalError) as failure:
        text = f"a journal cannot be written in {place}: {failure}"
        yield Finding("disk", Verdict.FAIL, text, "a folder on a local disk that is yours")
        return
    text = f"a durable record takes {milliseconds:.1f} ms"
    advice = "every command waits for one: use a local disk, and none that is busy"
    yield Finding("disk", _grade(milliseconds, FLUSH_MS_WARN, FLUSH_MS_FAIL), text, advice)


def _grade(value: float, warn: float, fail: float) -> Verdict:
    if value >= fail:
        return Verdict.FAIL
    return Verdict.WARN if value >= warn else Verdict.OK


def _durable_record_ms(place: Path, clocks: Clocks) -> float:
    taken = []
    with tempfile.TemporaryDirectory(dir=place, prefix=".papertape-doctor-") as folder:
        path = Path(folder) / "journal"
        with JournalWriter.create(path, {"doctor": True}, now_ns=clocks.wall_ns) as journal:
            for number in range(_FLUSHES):
                began = clocks.steady_ns()
                journal.append("note", number, {"number": number})
                taken.append(clocks.steady_ns() - began)
    return statistics.median(taken) / 1e6


def cache() -> Iterator[Finding]:
    """The cache of converted tapes."""
    folders = cache_folders()
    if not folders:
        yield Finding("cache", Verdict.OK, "no tape has been converted yet")
    for folder in folders:
        entries = list_entries(folder)
        size = sum(each.size_bytes for each in entries)
        text = f"{len(entries)} tapes, {size / 1e9:.2f} GB in {folder}"
        bad = [each for each in entries if each.state is EntryState.DAMAGED]
        if bad:
            advice = "`papertape data cache --verify` removes them"
            yield Finding("cache", Verdict.WARN, f"{text}; {len(bad)} damaged", advice)
        else:
            yield Finding("cache", Verdict.OK, text)


def secrets_of(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the keys that are there look like keys. None is shown."""
    found = list(credentials(environment))
    if not found:
        yield Finding(
            "credentials", Verdict.OK, "none are set; backtests and local venues need none"
        )
    for each in found:
        place = f"{each.venue}: {each.variable}"
        if each.fault:
            advice = "docs/live.md says what each venue needs"
            yield Finding("credentials", Verdict.FAIL, f"{place}: {each.fault}", advice)
        else:
            yield Finding("credentials", Verdict.OK, f"{place} has the shape of a key")


def loopback() -> Finding:
    """Whether a server on this machine can be reached: pages, metrics and local venues are some."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(CONNECT_SECONDS)
            with socket.create_connection(server.getsockname(), CONNECT_SECONDS):
                server.accept()[0].close()
    except OSError as failure:
        advice = "a firewall on this machine? pages, metrics and local venues need 127.0.0.1"
        return Finding("loopback", Verdict.FAIL, f"127.0.0.1: {failure}", advice)
    return Finding("loopback", Verdict.OK, "127.0.0.1 can be reached")


def connection(url: str, clocks: Clocks) -> Iterator[Finding]:
    """Whether a server answers, whatever it says, how fast, and how far its clock is from ours.

    Raises ConfigurationError for what is no address.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"--url {url!r} is no address like https://api.example.com")
    began = clocks.steady_ns()
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer:
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as answer:  # it answered: what it said is not the question
        date = answer.headers.get("Date")
        answer.close()
    except (OSError, ValueError) as failure:
        why = getattr(failure, "reason", failure)
        advice = "is the address right? is there a proxy or a firewall on the way?"
        yield Finding("connection", Verdict.FAIL, f"{url}: {why}", advice)
        return
    taken = (clocks.steady_ns() - began) / 1e6
    yield Finding("connection", Verdict.OK, f"{url} answers within {taken:.0f} ms")
    if date is not None:
        yield from _skew(url, date, clocks, taken / 1e3)


def _skew(url: str, date: str, clocks: Clocks, taken: float) -> Iterator[Finding]:
    """Of an answer that took so many seconds nobody knows when in that time it was dated."""
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return
    # They tell whole seconds, rounded down.
    off = clocks.wall_ns() / _SECOND - taken / 2 - theirs - 0.5
    verdict = _grade(abs(off) - taken / 2, SKEW_SECONDS_WARN, SKEW_SECONDS_FAIL)
    advice = "let the system set its clock by NTP; venues refuse what comes from another time"
    yield Finding("clock", verdict, f"{off:+.1f} s from that of {url}", advice)


def tell(finding: Finding) -> str:
    """A finding as a line, and its advice as another where it is not ok."""
    line = f"{finding.verdict.value:<5} {finding.topic:<12} {finding.text}"
    is_shown = finding.advice and (finding.verdict is not Verdict.OK or "not installed" in line)
    return f"{line}\n{'':<18} {finding.advice}" if is_shown else line


def perform(folder: Path, urls: Sequence[str], environment: Mapping[str, str]) -> int:
    """Print all findings; 1 if something fails, 2 for what is no address, else 0."""
    worst = Verdict.OK
    try:
        for finding in examine(folder, urls, environment):
            print(tell(finding), flush=True)  # noqa: T201
            if finding.verdict is not Verdict.OK and worst is not Verdict.FAIL:
                worst = finding.verdict
    except ConfigurationError as refusal:
        print(f"papertape: {refusal}", file=sys.stderr)  # noqa: T201
        return 2
    return 1 if worst is Verdict.FAIL else 0
