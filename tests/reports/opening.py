"""How long the report of 10,000 trades takes to open: `python -m tests.reports.opening`.

Prints the fastest of several openings, each in a fresh profile: until the page is there with its
chart and table, and until everything below is drawn. Fails where the first takes 2 s or longer.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import expect

from reports.html import write_report
from tests.chromium import DESKTOP, PATIENCE_MS, UNDRAWN, browser, program
from tests.reports.big_run import big_run

TRADES, OPENINGS, SECONDS_MAX = 10_000, 7, 2.0


def main() -> int:
    """Measure, print, judge."""
    if program() is None:
        print("no Chromium here; `make browser` installs one")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        file = write_report(big_run(TRADES), Path(folder) / "report.html")
        print(f"{TRADES:,} trades, {file.stat().st_size / 1e6:.1f} MB")
        with browser() as opened:
            found = [_open(opened.chromium, file) for _ in range(OPENINGS)]
    usable, whole = (min(times) for times in zip(*found, strict=True))
    print(f"chart and table after {usable:.2f} s, everything after {whole:.2f} s")
    return int(usable >= SECONDS_MAX)


def _open(chromium, file: Path) -> tuple[float, float]:
    context = chromium.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
    page = context.new_page()
    began = time.perf_counter()
    page.goto(file.as_uri())
    for place in ("#chart[data-drawn]", "#trades[data-ready]"):
        page.locator(place).wait_for(state="attached", timeout=PATIENCE_MS)
    usable = time.perf_counter() - began
    expect(page.locator(UNDRAWN)).to_have_count(0, timeout=PATIENCE_MS)
    whole = time.perf_counter() - began
    context.close()
    return usable, whole


if __name__ == "__main__":
    sys.exit(main())
