"""A headless Chromium for tests that look at pages as a reader does.

Playwright's own loop runs while a browser is open: a module that uses one plays no session itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000
UNDRAWN = ".figure:not([data-drawn]), #chart:not([data-drawn]), .sheet:not([data-ready])"
DESKTOP, PHONE = (1280, 900), (390, 844)


def program() -> str | None:
    """Where a Chromium is, None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


needs_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(program() is None, reason="no Chromium here; `make browser` installs one"),
]


@dataclass
class Opened:
    """A page in the browser, and what it complained of: console, exceptions, requests."""

    page: Any
    said: list[str] = field(default_factory=list)

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.page.evaluate(script)

    def is_wider_than_its_window(self) -> bool:
        """True when the page as a whole scrolls sideways."""
        return bool(
            self.ask("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        )


@dataclass
class Browser:
    """Opens files, each in a fresh profile."""

    chromium: Any

    @contextmanager
    def open(
        self, file: Path, size: tuple[int, int] = DESKTOP, scheme: str = "light"
    ) -> Iterator[Opened]:
        """The page of a file, drawn whole."""
        from playwright.sync_api import expect

        context = self.chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            has_touch=size == PHONE,
        )
        context.set_default_timeout(PATIENCE_MS)
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.said.append(message.text))
        opened.page.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.page.on("requestfailed", lambda request: opened.said.append(request.url))
        opened.page.goto(file.as_uri())
        expect(opened.page.locator(UNDRAWN)).to_have_count(0, timeout=PATIENCE_MS)
        try:
            yield opened
        finally:
            context.close()


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser until the block ends."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield Browser(chromium)
        chromium.close()
