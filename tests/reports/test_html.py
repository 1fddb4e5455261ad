"""The HTML report: one file, complete, the same every time, harmless, and drawn by a browser."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from broker_api.order import Side
from reports.html import report_html, write_report
from reports.run import read_run
from tests.reports.example_run import Story, at, mnq, ticks, told_story, write_run_folder

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>&amp;'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run_folder(tmp_path / "run", told_story())


class Page(html.parser.HTMLParser):
    """What of a page matters here: its tags, its cells, its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.scripts: list[str] = []
        self._inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "td":
            self.cells.append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "script" in self._inside:
            self.scripts[-1] += data
        elif "td" in self._inside:
            self.cells[-1] += data

    @property
    def charts(self) -> dict[str, object]:
        return dict(json.loads(self.scripts[0]))


def test_the_report_shows_trades_figures_and_settings(folder: Path) -> None:
    path = write_report(folder)
    assert path == folder / "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    for cell in (
        "14:30:12.000",
        "21,000.25",
        "21,004.50",
        "+77.52",
        "\N{MINUS SIGN}41.24",
        "28.000 s",
        "long MNQ ambiguous",
        "proportional",
        "stop_offset",
    ):
        assert cell in page.cells or any(cell == text for text in _heads(path)), cell


def _heads(path: Path) -> list[str]:
    return re.findall(r"<th[^>]*>([^<]*)</th>", path.read_text(encoding="utf-8"))


def test_the_charts_hold_prices_fills_equity_and_drawdown(folder: Path) -> None:
    charts = Page(report_html(read_run(folder))).charts
    (panel,) = charts["panels"]  # type: ignore[misc]
    assert panel["symbol"] == "MNQ"
    assert max(panel["price"]["y"]) == 21_030.125
    assert panel["price"]["x"][0] == at(0) / 1e6
    assert panel["price"]["x"][-1] == at(80) / 1e6
    assert panel["price"]["y"][-1] == 21_005.125
    marks = {fills["name"]: fills for fills in panel["fills"]}
    assert marks["buy, opens"]["y"] == [21_000.25, 21_020.25]
    assert marks["sell, closes"]["x"] == [at(40) / 1e6, at(70) / 1e6]
    assert marks["sell, opens"]["y"] == [21_005.0]
    assert "bought 2 at 21000.25" in marks["buy, opens"]["text"][0]
    assert "ambiguous" in marks["sell, closes"]["text"][1]
    assert panel["won"]["y"] == [21_000.25, 21_020.25, None]
    assert charts["equity"]["y"][-1] == 50_035.56  # type: ignore[index]
    assert min(charts["drawdown"]["y"]) == -80.0  # type: ignore[index]


def test_the_same_run_gives_the_same_bytes(folder: Path) -> None:
    assert report_html(read_run(folder)) == report_html(read_run(folder))


def test_nothing_is_loaded_from_elsewhere(folder: Path) -> None:
    page = Page(report_html(read_run(folder)))
    assert [tag for tag, _ in page.tags].count("script") == 3
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    policy = next(
        attributes["content"]
        for tag, attributes in page.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy


def test_text_from_the_run_is_never_markup(tmp_path: Path) -> None:
    hostile = write_run_folder(
        tmp_path / "run",
        told_story(),
        strategy=HOSTILE,
        script=HOSTILE,
        notes=[HOSTILE],
        parameters={HOSTILE: HOSTILE},
        account={"name": HOSTILE, "currency": HOSTILE, "cash": 50_000},
    )
    page = Page(write_report(hostile).read_text(encoding="utf-8"))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 3
    assert "img" not in tags
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.charts["currency"] == HOSTILE
    assert HOSTILE in page.cells


def test_a_run_in_memory_needs_a_place(folder: Path, tmp_path: Path) -> None:
    run = read_run(folder)
    with pytest.raises(ValueError, match="path"):
        write_report(run)
    assert write_report(run, tmp_path / "other.html").stat().st_size > 100_000


def test_a_run_of_several_days_shows_dates(tmp_path: Path) -> None:
    story = Story([mnq()])
    story.order(1, 1, Side.BUY, 1)
    story.fill(1, 1, Side.BUY, ticks(21_000.0), 1)
    story.order(200_000, 2, Side.SELL, 1)
    story.fill(200_000, 2, Side.SELL, ticks(21_000.5), 1)
    page = Page(write_report(write_run_folder(tmp_path / "run", story)).read_text("utf-8"))
    assert "2024-01-02 14:30:01.000" in page.cells
    assert "2 d 7 h" in page.cells


# --- in a browser --------------------------------------------------------------------------------


def browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def opened(page: Path, profile: Path, size: str) -> tuple[str, str]:
    """The page's document after its script ran, and what the browser said on its console."""
    program = browser()
    assert program is not None
    command = [
        program,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
        f"--window-size={size}",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, "\n".join(said)


@pytest.mark.browser
@pytest.mark.skipif(browser() is None, reason="no Chromium here; `make browser` installs one")
@pytest.mark.parametrize("size", ["1280,1000", "390,844"])
def test_a_browser_draws_the_report_without_a_complaint(
    folder: Path, tmp_path: Path, size: str
) -> None:
    document, said = opened(write_report(folder), tmp_path / "profile", size)
    assert said == ""
    assert 'data-drawn="yes"' in document
    # Fills, four kinds of them, each a path of its own; the uploading button is gone.
    assert document.count('class="point"') == 7
    assert "Share chart" not in re.sub(r"<script>.*?</script>", "", document, flags=re.DOTALL)
    assert 'id="trades"' in document


@pytest.mark.browser
@pytest.mark.skipif(browser() is None, reason="no Chromium here; `make browser` installs one")
def test_a_browser_draws_a_run_with_nothing_in_it(tmp_path: Path) -> None:
    empty = write_run_folder(tmp_path / "run", Story([mnq()]))
    document, said = opened(write_report(empty), tmp_path / "profile", "1280,1000")
    assert said == ""
    assert 'data-drawn="yes"' in document
    assert "No position was closed." in document
