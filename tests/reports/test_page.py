"""The frame of pages: whole, harmless, and with the chart library that it says."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import reports.page as frame
from reports.page import (
    CHART_LIBRARY,
    Card,
    Column,
    Figure,
    Page,
    Section,
    Table,
    cards,
    page,
    plain_table,
    text_of,
)

HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>&amp;'
LIBRARY_SHA256 = "79542150855a52c567260e3137095dbe2b744e6d702a5cabe67da246942fba7a"


def hostile_page() -> str:
    figure = Figure("f", HOSTILE, [{"x": [1], "y": [2], "text": HOSTILE}], {"title": HOSTILE})
    table = Table("t", [Column("k", HOSTILE, "choice", HOSTILE)], [[HOSTILE]], HOSTILE)
    section = Section("s", HOSTILE, figure.html() + table.html(), (figure,), (table,))
    body = cards(HOSTILE, [Card(HOSTILE, HOSTILE, HOSTILE)]) + plain_table([HOSTILE], [[HOSTILE]])
    return page(Page(HOSTILE, [HOSTILE], HOSTILE, [section, Section("c", HOSTILE, body)]))


def test_texts_of_others_are_never_taken_for_html() -> None:
    text = hostile_page()
    library = text_of(CHART_LIBRARY)
    assert "<img" not in text.replace(library, "")
    assert text.replace(library, "").count("</script>") == 4


def test_a_page_without_charts_holds_no_chart_library() -> None:
    section = Section("s", "Words", "<p>only words</p>")
    assert len(page(Page("title", [], "", [section]))) < 50_000


def test_the_chart_library_is_the_file_that_was_looked_at() -> None:
    file = Path(frame.__file__).parent / CHART_LIBRARY
    assert hashlib.sha256(file.read_bytes()).hexdigest() == LIBRARY_SHA256
    version = re.search(r"version (\d+\.\d+\.\d+)", (file.parent / "README.md").read_text("utf-8"))
    assert version is not None
    assert f"v{version[1]}" in file.read_text(encoding="utf-8")[:200]


def test_sections_with_titles_are_linked_from_the_top() -> None:
    sections = [Section(name, name.title(), "") for name in ("one", "two", "three")]
    text = page(Page("title", [], "", [*sections, Section("four", "", "")]))
    assert re.findall(r'<a href="#(\w+)">', text) == ["one", "two", "three"]
