"""The HTML report: one file, complete, the same every time, harmless, and drawn by a browser."""

from __future__ import annotations

import html.parser
import json
import re
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from broker_api.order import Side
from reports.html import report_html, write_report
from reports.run import read_run
from tests.reports.example_run import Story, at, mnq, ticks, told_story, write_run_folder

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
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.scripts[0]))

    @property
    def chart(self) -> dict[str, Any]:
        return dict(self.data["chart"])


def test_the_report_shows_trades_figures_and_settings(folder: Path) -> None:
    path = write_report(folder)
    assert path == folder / "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    for cell in ("proportional", "stop_offset"):
        assert cell in page.cells or any(cell == text for text in _heads(path)), cell
    table = page.data["tables"]["trades"]
    keys = [column["key"] for column in table["columns"]]
    first, second, third = (dict(zip(keys, row, strict=True)) for row in table["rows"])
    assert first["side"] == "long"
    assert first["opened"] == at(12) / 1e6
    assert (first["entry"], first["exit"]) == (21_000.25, 21_020.25)
    assert (first["gross"], first["fees"], first["net"]) == (8_000, 248, 7_752)
    assert first["held"] == 28_000.0
    assert (first["by"], second["by"], third["by"]) == ("target", "stop", "order")
    assert (second["net"], second["note"]) == (-4_124, "ambiguous")
    assert third["exit"] == 21_004.5


def _heads(path: Path) -> list[str]:
    return re.findall(r"<th[^>]*>([^<]*)</th>", path.read_text(encoding="utf-8"))


def test_the_chart_holds_prices_fills_equity_and_drawdown(folder: Path) -> None:
    chart = Page(report_html(read_run(folder))).chart
    (panel,) = chart["panels"]
    assert panel["symbol"] == "MNQ"
    times = list(accumulate(panel["price"]["steps"], initial=panel["price"]["start"]))[1:]
    prices = [half * panel["tick"] / 2 for half in accumulate(panel["price"]["moves"])]
    assert max(prices) == 21_030.125
    assert (times[0], times[-1]) == (at(0) / 1e6, at(80) / 1e6)
    assert prices[-1] == 21_005.125
    fills = {tuple(row[:3]): row for row in panel["fills"]}
    buys, sells, buys_back, sells_back = range(4)
    assert {(t, p * 0.25) for t, p, kind in fills if kind == buys} == {
        (12_000, 21_000.25),
        (50_000, 21_020.25),
    }
    assert [t for t, _, kind in fills if kind == sells_back] == [40_000, 70_000]
    assert [p * 0.25 for _, p, kind in fills if kind == sells] == [21_005.0]
    assert len([kind for _, _, kind in fills if kind == buys_back]) == 2
    last_exit = next(row for row in panel["fills"] if row[0] == 70_000)
    assert last_exit[3:] == ["1", 6, 0, 62, 1]
    assert chart["equity"][0]["y"][-1] == 50_035.56
    assert min(chart["drawdown"][0]["y"]) == -80.0


def test_the_same_run_gives_the_same_bytes(folder: Path) -> None:
    assert report_html(read_run(folder)) == report_html(read_run(folder))


def test_nothing_is_loaded_from_elsewhere(folder: Path) -> None:
    page = Page(report_html(read_run(folder)))
    assert [tag for tag, _ in page.tags].count("script") == 5
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
    assert tags.count("script") == 5
    assert "img" not in tags
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.chart["currency"] == HOSTILE
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
    (row,) = page.data["tables"]["trades"]["rows"]
    assert at(1) / 1e6 in row
    assert (at(200_000) - at(1)) / 1e6 in row
