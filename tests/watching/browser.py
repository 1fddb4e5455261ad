"""A headless Chromium that tests drive: what a person does with a page, over its debugging port."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp

from tests.watching.stage import PATIENCE_SECONDS, wait_for

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}


def browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


class Browser:
    """One tab. `complaints` are exceptions of scripts and errors of the console."""

    def __init__(self, profile: Path) -> None:
        program = browser()
        assert program is not None
        self._process = subprocess.Popen(
            [
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._loop = asyncio.SelectorEventLoop()
        self._numbers = itertools.count(1)
        self.complaints: list[str] = []
        self.requested: list[str] = []
        port_file = profile / "DevToolsActivePort"
        wait_for(lambda: port_file.is_file() and port_file.read_text().count("\n"), "the browser")
        port, path = port_file.read_text().split("\n")[:2]
        self._run(self._connect(f"ws://127.0.0.1:{port}{path}"))

    def close(self) -> None:
        """End the browser."""
        self._run(self._socket.close())
        self._run(self._http.close())
        self._loop.close()
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def _run(self, work: Any) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(work, 2 * PATIENCE_SECONDS))

    async def _connect(self, url: str) -> None:
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(url, max_msg_size=64 << 20)
        self._session = ""
        target = await self._send("Target.createTarget", url="about:blank")
        attached = await self._send(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network"):
            await self._send(f"{part}.enable")

    async def _send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        await self._socket.send_str(json.dumps(message))
        while True:
            told = json.loads((await self._socket.receive()).data)
            if told.get("id") == number:
                assert "error" not in told, f"{method}: {told['error']}"
                return dict(told["result"])
            self._hear(told)

    def _hear(self, told: dict[str, Any]) -> None:
        method, params = told.get("method"), told.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif method == "Network.requestWillBeSent":
            self.requested.append(params["request"]["url"])

    # --- what a person does --------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Go to an address."""
        self._run(self._send("Page.navigate", url=url))

    def size(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Another screen."""
        self._run(
            self._send(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=2 if phone else 1,
                mobile=phone,
            )
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._run(self._send("Emulation.setEmulatedMedia", features=features))

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        result = self._run(
            self._send(
                "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
            )
        )
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def until(self, expression: str) -> Any:
        """The value of an expression as soon as it is true."""
        deadline, value = time.monotonic() + PATIENCE_SECONDS, None
        looking = f"(() => {{ try {{ return {expression}; }} catch {{ return null; }} }})()"
        while time.monotonic() < deadline:
            value = self.js(looking)  # a page that is being loaded may not have it yet
            if value:
                return value
            time.sleep(0.03)
        raise AssertionError(f"{expression} is {value!r}; the page: {self.text('body')[:3000]}")

    def text(self, selector: str) -> str:
        """What a person reads there."""
        found = self.js(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return str(found)

    def click(self, selector: str) -> None:
        """Press what is there, once it can be pressed, in its middle."""
        place = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " if (!e || e.disabled) return null; e.scrollIntoView({block: 'center'});"
            " const r = e.getBoundingClientRect();"
            " return r.width ? [r.x + r.width / 2, r.y + r.height / 2] : null; })()"
        )
        x, y = self.until(place)
        for kind in ("mousePressed", "mouseReleased"):
            self._run(
                self._send(
                    "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
                )
            )

    def type(self, text: str) -> None:
        """Write where the cursor is."""
        self._run(self._send("Input.insertText", text=text))

    def key(self, name: str) -> None:
        """Press a key."""
        text = {"Enter": "\r", " ": " "}.get(name, "")
        for kind in ("keyDown", "keyUp"):
            self._run(
                self._send(
                    "Input.dispatchKeyEvent",
                    type=kind,
                    key=name,
                    code="Space" if name == " " else name,
                    windowsVirtualKeyCode=_KEYS[name],
                    **({"text": text} if text and kind == "keyDown" else {}),
                )
            )

    def shoot(self, file: Path) -> None:
        """A picture of the whole page."""
        shot = self._run(self._send("Page.captureScreenshot", captureBeyondViewport=False))
        file.write_bytes(base64.b64decode(shot["data"]))
