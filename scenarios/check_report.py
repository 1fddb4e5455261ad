"""What a check of scenarios found, for people and for CI: Markdown, and the XML of JUnit.

JUnit's form is the one that CI servers read: a `testsuite` of `testcase`s, in each a `failure` or
an `error`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from reports.text import moment
from scenarios.check import ERROR, FAILED, Checked
from scenarios.divergence import Divergence, Moment

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SHOWN = ("net", "trades", "fills")


def counts_text(results: Sequence[Checked]) -> str:
    """How many scenarios ended how: `12 passed, 1 failed`."""
    counts: dict[str, int] = {}
    for each in results:
        counts[each.status] = counts.get(each.status, 0) + 1
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "no scenario"


def write_results(results: Sequence[Checked], junit: Path | None, summary: Path | None) -> None:
    """Write the results as JUnit's XML and as Markdown, where files are named for them."""
    for path, form in ((junit, junit_xml), (summary, markdown)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(form(results), encoding="utf-8")


def junit_xml(results: Sequence[Checked]) -> str:
    """The results as JUnit's XML."""
    failed = sum(each.status == FAILED for each in results)
    errors = sum(each.status == ERROR for each in results)
    suite = ElementTree.Element(
        "testsuite",
        name="papertape check",
        tests=str(len(results)),
        failures=str(failed),
        errors=str(errors),
        skipped="0",
        time=f"{sum(each.seconds for each in results):.3f}",
    )
    for each in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname="scenarios",
            name=each.name,
            file=each.file,
            time=f"{each.seconds:.3f}",
        )
        if not each.is_fine:
            tag = "failure" if each.status == FAILED else "error"
            first = _clean(each.faults[0].splitlines()[0]) if each.faults else each.status
            fault = ElementTree.SubElement(case, tag, message=first, type=each.status)
            fault.text = _clean("\n".join(details(each)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _clean(text: str) -> str:
    """The text without what XML cannot hold."""
    return _UNPRINTABLE.sub("?", text)


def details(checked: Checked) -> Iterator[str]:
    """What there is to say about a scenario that is not as expected, line by line."""
    yield from checked.faults
    if checked.divergence is not None:
        yield from _divergence_lines(checked.divergence)
    if checked.folder is not None:
        yield f"the run and its difference: {checked.folder}"


def _divergence_lines(found: Divergence) -> Iterator[str]:
    yield f"first divergence: {found.what}, {found.kind.value}, at {moment(found.ts_ns)}"
    yield f"  expected  {_moment_text(found.expected)}"
    yield f"  actual    {_moment_text(found.actual)}"
    for change in found.fields:
        yield f"  {change.name}: {change.actual}, expected {change.expected}"
    if found.what == "command":
        yield f"  first event that differs: number {found.event_index + 1}"
        yield f"    expected  {_moment_text(found.event_expected)}"
        yield f"    actual    {_moment_text(found.event_actual)}"
    for number, cause in enumerate(found.causes):
        yield f"{'or' if number else 'likely cause'} ({cause.kind.value}): {cause.text}"
    if found.before:
        yield "events before, the same in both:"
        yield from (f"  {_moment_text(each)}" for each in found.before)
    if found.orders:
        yield "orders:"
        for order in found.orders:
            mark = ">" if order.is_concerned else " "
            ends = order.actual_end
            if order.expected_end != ends:
                ends += f" (expected {order.expected_end})"
            yield f" {mark}{order.order_id:>4}  {order.text}  {order.status}; ended {ends}"
    if found.market:
        yield f"market of {found.market[0].symbol}:"
        for row in found.market:
            touch = f"{row.bid:>18} | {row.ask:<18}"
            yield f"  {moment(row.ts_ns)[11:]}  {row.kind:<7} {touch} {row.price}".rstrip()
    yield (
        f"events in all: {found.only_expected:,} only in the accepted run, "
        f"{found.only_actual:,} only in this one"
    )


def _moment_text(each: Moment | None) -> str:
    return "nothing: the run has ended" if each is None else f"{moment(each.ts_ns)}  {each.text}"


def markdown(results: Sequence[Checked]) -> str:
    """The results as Markdown: a table, then what is not as expected."""
    lines = [f"# Scenarios: {counts_text(results)}", ""]
    lines += [f"| scenario | result | {' | '.join(_SHOWN)} | digest | seconds |"]
    lines += ["|---|---|" + "---:|" * len(_SHOWN) + "---|---:|"]
    for each in results:
        figures = [_figure(each.figures.get(name)) for name in _SHOWN]
        digest = f"`{each.digest[:8]}`" if each.digest else ""
        name = _cell(each.name)
        lines.append(
            f"| {name} | {each.status} | {' | '.join(figures)} | {digest} | {each.seconds:.2f} |"
        )
    for each in results:
        if not each.is_fine:
            body = "\n".join(details(each)).replace("```", "'''")
            lines += ["", f"## {_cell(each.name)}: {each.status}", "", "```", body, "```"]
        for note in each.notes if each.is_fine else ():
            lines += ["", f"{_cell(each.name)}: {_cell(note)}"]
    return "\n".join(lines) + "\n"


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
