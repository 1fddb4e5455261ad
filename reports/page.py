"""The frame of every page of papertape: one HTML file that needs nothing else, light and dark.

`page` puts a body of sections, the figures and tables that its script draws, and the scripts into
one text. A figure is what Plotly takes (`traces`, `layout`), with names of the page's colours
("--buy") for colours; `frame.js` draws it in the theme of the reader. A table is columns and rows
of plain values; `tables.js` sorts, filters and pages it. The same input gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
CHART_LIBRARY = "vendor/plotly-cartesian.min.js"
"""Plotly's bundle of flat charts, kept in the repository: see vendor/README.md."""
_FRAME_SCRIPTS = ("frame.js", "tables.js")
_NO_SCRIPT = "<noscript>This page draws its charts and tables with a script of its own.</noscript>"

# The policy lets the page's own text run and nothing come from elsewhere.
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main>
"""


@dataclass(frozen=True)
class Figure:
    """A chart: Plotly's traces and layout, with the page's colours by name.

    `label` says to those who cannot see it what it shows. `height` is in pixels.
    """

    name: str
    label: str
    traces: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any]
    height: int = 280

    def html(self) -> str:
        """The place where it is drawn."""
        return (
            f'<div class="figure" id="{escape(self.name)}" data-figure="{escape(self.name)}" '
            f'role="group" aria-label="{escape(self.label)}" style="min-height:{self.height}px">'
            "</div>\n"
        )

    def as_dict(self) -> dict[str, Any]:
        """As the page's data holds it."""
        return {
            "traces": [dict(trace) for trace in self.traces],
            "layout": dict(self.layout),
            "height": self.height,
        }


@dataclass(frozen=True)
class Column:
    """A column of a table. `kind` says how its values are shown and sorted:

    text; choice (a text that can be filtered by); count; number (with `digits`); price (`digits`
    and up to two more); money (hundredths of the currency, signed and coloured); cost (hundredths,
    plain); time (ms since the epoch, UTC), clock (the same without the date); length (ms). None is
    shown as "-".
    """

    key: str
    name: str
    kind: str
    title: str = ""
    digits: int = 0


@dataclass(frozen=True)
class Table:
    """A table that sorts by its heads and is filtered by words and conditions (`net<-20`).

    `total` is the key of a money column whose sum over the rows in sight is told. `zoom` names the
    columns with the start and the end of a row's time: choosing the row shows it in the chart.
    """

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    label: str
    total: str | None = None
    zoom: tuple[str, str] | None = None
    rows_shown: int = 50

    def html(self) -> str:
        """The place where it is shown."""
        return (
            f'<div class="sheet" id="{escape(self.name)}" data-table="{escape(self.name)}" '
            f'aria-label="{escape(self.label)}" role="region"></div>\n'
        )

    def as_dict(self) -> dict[str, Any]:
        """As the page's data holds it."""
        return {
            "columns": [
                {"key": c.key, "name": c.name, "kind": c.kind, "title": c.title, "digits": c.digits}
                for c in self.columns
            ],
            "rows": [list(row) for row in self.rows],
            "label": self.label,
            "total": self.total,
            "zoom": self.zoom,
            "shown": self.rows_shown,
        }


@dataclass(frozen=True)
class Section:
    """A part of a page: its title (shown and linked to when not empty), its HTML, and what its
    script draws in it."""

    name: str
    title: str
    body: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    style: str = ""

    def html(self) -> str:
        """The section."""
        kind = f' class="{escape(self.style)}"' if self.style else ""
        head = f"<h2>{escape(self.title)}</h2>\n" if self.title else ""
        return f'<section id="{escape(self.name)}"{kind}>{head}{self.body}</section>\n'


@dataclass(frozen=True)
class Page:
    """A page: title, small tags beside it, a line below it, sections, and data for own scripts."""

    title: str
    tags: Sequence[str]
    line: str
    sections: Sequence[Section]
    footer: str = "papertape"
    data: Mapping[str, Any] = field(default_factory=dict)
    scripts: Sequence[str] = ()
    """Names of files in this folder, run after the frame's."""


def page(content: Page) -> str:
    """The page's HTML. Texts are escaped here; `body` of sections and `footer` are HTML."""
    data = {
        **content.data,
        "figures": {f.name: f.as_dict() for part in content.sections for f in part.figures},
        "tables": {t.name: t.as_dict() for part in content.sections for t in part.tables},
    }
    name = " on ".join(filter(None, (content.title, ", ".join(content.tags))))
    scripts = [CHART_LIBRARY] if data["figures"] or content.scripts else []
    scripts += [*_FRAME_SCRIPTS, *content.scripts]
    return "".join(
        [
            _HEAD.format(title=escape(name), style=text_of("page.css")),
            _header(content),
            _links(content.sections),
            _NO_SCRIPT,
            *(part.html() for part in content.sections),
            f"<footer>{content.footer}</footer>\n</main>\n",
            f'<script type="application/json" id="data">{json_text(data)}</script>\n',
            *(f"<script>{text_of(name)}</script>\n" for name in scripts),
            "</body>\n</html>\n",
        ]
    )


def text_of(name: str) -> str:
    """The text of a file of this folder."""
    return (_HERE / name).read_text(encoding="utf-8")


def json_text(content: Any) -> str:
    """JSON that no HTML parser takes for the end of a script."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _header(content: Page) -> str:
    tags = " ".join(f"<span>{escape(tag)}</span>" for tag in content.tags)
    return (
        f'<header>\n<div><h1>{escape(content.title)} <span class="tags">{tags}</span></h1>\n'
        f"<p>{escape(content.line)}</p></div>\n"
        '<button id="theme" type="button" title="light or dark">light / dark</button>\n</header>\n'
    )


def _links(sections: Sequence[Section]) -> str:
    titled = [part for part in sections if part.title]
    if len(titled) < 3:
        return ""
    links = "".join(f'<a href="#{escape(s.name)}">{escape(s.title)}</a>' for s in titled)
    return f'<nav class="links" aria-label="Sections">{links}</nav>\n'


# --- pieces of HTML ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """A figure that one looks for first; `style` is good, bad or empty."""

    name: str
    value: str
    detail: str = ""
    style: str = ""


def cards(label: str, content: Iterable[Card]) -> str:
    """Cards side by side."""
    body = "".join(
        f'<div class="card"><h2>{escape(card.name)}</h2><p class="{card.style}">'
        f"{escape(card.value)}</p><small>{escape(card.detail)}</small></div>\n"
        for card in content
    )
    return f'<div class="cards" role="group" aria-label="{escape(label)}">{body}</div>\n'


def plain_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    name: str = "",
    *,
    words: Sequence[int] = (),
    marked: Sequence[int] = (),
) -> str:
    """A table that does nothing: the first column and those of `words` are text, others figures.

    Rows whose index is in `marked` stand out.
    """

    def kind(index: int) -> str:
        return ' class="words"' if index in words else ""

    place = f' id="{escape(name)}"' if name else ""
    head = "".join(f"<th{kind(i)}>{escape(text)}</th>" for i, text in enumerate(heads))
    body = "".join(
        ('<tr class="marked">' if number in marked else "<tr>")
        + "".join(f"<td{kind(i)}>{escape(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>\n"
        for number, row in enumerate(rows)
    )
    return (
        f'<div class="scroll" tabindex="0"><table class="plain"{place}><thead><tr>{head}</tr>'
        f"</thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def bullets(sentences: Iterable[str]) -> str:
    """A list of sentences; nothing where there are none."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def banners(sentences: Iterable[str]) -> str:
    """What a reader must not miss."""
    return "".join(f'<p class="banner">{escape(sentence)}</p>\n' for sentence in sentences)


def remark(text: str) -> str:
    """A small line that explains."""
    return f'<p class="remark">{escape(text)}</p>\n' if text else ""


def columns(*parts: str) -> str:
    """Parts side by side where there is room."""
    return '<div class="columns">' + "".join(f"<div>{part}</div>" for part in parts) + "</div>\n"
