"""The page of a sweep as a reader has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reports.sweep_page import WalkedWindow, sweep_html
from tests.chromium import DESKTOP, PHONE, Browser, browser, needs_chromium
from tests.reports.test_heat_map import content, run

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_the_heat_map_is_coloured_and_the_best_is_marked(
    chromium: Browser, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    file = tmp_path / "sweep.html"
    file.write_text(sweep_html(content()), encoding="utf-8")
    with chromium.open(file, size, scheme) as opened:
        assert opened.said == []
        assert not opened.is_wider_than_its_window()
        best = opened.page.locator("#heat-map .best")
        assert best.inner_text() == "\N{BLACK STAR} 12.50"
        colours = opened.ask(
            "[...document.querySelectorAll('#heat-map td')].map(e => "
            "getComputedStyle(e).backgroundColor)"
        )
        assert len(set(colours)) == 4, colours
        # The table beside it sorts by its heads.
        heads = opened.page.locator("#runs th")
        heads.filter(has_text="net").locator("button").click()
        assert opened.page.locator("#runs tbody tr").count() == 5


def test_the_stitched_equity_is_drawn(chromium: Browser, tmp_path: Path) -> None:
    windows = [WalkedWindow("a", "b", "fast=5", 10.0, run(5, 20, -3.0), (1.0, -4.0, 9.0))]
    told = {"profit": 6.0, "max_drawdown": -4.0, "efficiency": 0.4}
    file = tmp_path / "walked.html"
    page = replace(content(), windows=windows, stitched=told, best=None, luck=None)
    file.write_text(sweep_html(page), encoding="utf-8")
    with chromium.open(file) as opened:
        assert opened.said == []
        assert opened.page.locator("#stitched .js-line").count() == 1
        assert opened.page.get_by_text("40 %").is_visible()
