"""The page of a difference: both sides, the fields, the market, the causes; drawn at the place."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

from broker_api.order import Side
from reports.compare import compare
from reports.compare_page import comparison_page
from reports.difference import difference_page
from reports.page import CHART_LIBRARY, text_of
from scenarios.divergence import first_divergence
from tests.reports.example_run import Story, at
from tests.reports.test_compare import round_trip, run_of, take

HOSTILE = "</script><img src=x onerror=alert(1)>"


def later(story: Story) -> None:
    take(story, 1, Side.BUY, 15, 15.001, 21_000.25)
    take(story, 2, Side.SELL, 45, 46.5, 21_020.0)


def shorter(story: Story) -> None:
    take(story, 1, Side.BUY, 15, 15.001, 21_000.25)


def page_of(actual: Any, **config: Any) -> str:
    expected, other = run_of(round_trip), run_of(actual, **config)
    divergence = first_divergence(expected, other)
    assert divergence is not None
    return difference_page(expected, other, divergence.to_dict(), "example")


def rows_of(page: str, name: str) -> list[list[str]]:
    table = page[page.index(f'id="{name}"') :]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table[: table.index("</table>")], re.DOTALL)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]


def test_both_sides_stand_beside_each_other_from_the_difference_on() -> None:
    page = page_of(later)
    rows = rows_of(page, "event-table")
    marked = page[page.index('<tr class="marked">') :]
    assert "14:30:45.001 / 14:30:46.500" in marked[: marked.index("</tr>")]
    same = rows[1 : rows.index(next(row for row in rows if "/" in row[0]))]
    assert same
    assert all(expected == actual for _, expected, actual in same)
    (field,) = rows_of(page, "field-table")[1:]
    assert field == ["ts_ns", "2024-01-02 14:30:45.001", "2024-01-02 14:30:46.500"]


def test_the_chart_opens_at_the_difference_and_marks_it() -> None:
    page = page_of(later)
    data = json.loads(page[page.index('id="data">') + 10 : page.index("</script>")])
    chart = data["chart"]
    assert chart["marks"] == [{"at": at(45.001) / 1e6, "text": "first difference"}]
    start, end = chart["first"]
    assert start < at(45) / 1e6 < end
    assert chart["runs"] == ["expected", "actual"]
    assert {row[8] for row in chart["panels"][0]["fills"]} == {0, 1}


def test_a_side_that_ended_before_says_nothing() -> None:
    page = page_of(shorter)
    marked = page[page.index('<tr class="marked">') :]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", marked[: marked.index("</tr>")])
    assert cells[2] == "nothing"


def test_settings_and_texts_of_others_are_told_as_text() -> None:
    page = page_of(later, parameters={"size": HOSTILE})
    assert "Settings that differ" in page
    library = text_of(CHART_LIBRARY)
    assert "<img" not in page.replace(library, "")
    assert "parameters.size" in page


def test_pages_of_two_runs_end_with_the_settings_that_differ_and_both_digests() -> None:
    first, second = run_of(round_trip), run_of(later, parameters={"size": 2}, notes=["told"])
    divergence = first_divergence(first, second)
    assert divergence is not None
    page = comparison_page(compare(first, second), (HOSTILE, "other"))
    for each, names in (
        (page, (escape(HOSTILE), "other")),
        (difference_page(first, second, divergence.to_dict()), ("expected", "actual")),
    ):
        assert ["parameters.stop_offset", "20.0", "-"] in rows_of(each, "settings")
        assert "told" not in str(rows_of(each, "settings")), "a note is no setting"
        footer = each[each.rindex("<footer") :]
        for name, run in zip(names, (first, second), strict=True):
            assert f"{name} <code>{run.digest}</code>" in footer
    assert HOSTILE not in page
