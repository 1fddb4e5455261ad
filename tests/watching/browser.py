"""A tab of a headless Chromium: what a person does with a page that goes on changing."""

from __future__ import annotations

import time
from typing import Any

from tests.chromium import PATIENCE_MS
from tests.watching.stage import PATIENCE_SECONDS


class Tab:
    """`complaints` are exceptions of scripts and errors of the console; `requested`: addresses."""

    def __init__(self, page: Any) -> None:
        self._page = page
        page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.requested: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)
        page.on("request", lambda request: self.requested.append(request.url))

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def open(self, url: str) -> None:
        """Go to an address."""
        self._page.goto(url)

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """Another screen."""
        self._page.set_viewport_size({"width": width, "height": height})
        self._page.emulate_media(color_scheme="dark" if dark else "light")

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        return self._page.evaluate(expression)

    def until(self, expression: str) -> Any:
        """The value of an expression as soon as it is true."""
        # Not Playwright's own wait: the page's policy forbids what that evaluates.
        deadline, value = time.monotonic() + PATIENCE_SECONDS, None
        while time.monotonic() < deadline:
            value = self.js(expression)
            if value:
                return value
            self._page.wait_for_timeout(30)
        raise AssertionError(f"{expression} is {value!r}; the page: {self.text('body')[:3000]}")

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return str(self._page.inner_text(selector))

    def click(self, selector: str) -> None:
        """Press what is there, once it can be pressed."""
        self._page.click(selector)

    def type(self, text: str) -> None:
        """Write where the cursor is."""
        self._page.keyboard.type(text)

    def key(self, name: str) -> None:
        """Press a key."""
        self._page.keyboard.press(name)
