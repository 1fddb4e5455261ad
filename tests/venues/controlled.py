"""What tests of every local venue have: its clock and its control port."""

from __future__ import annotations

import json
import time
from typing import Any

import requests

from sim.venues.server import VenueServer

TOKEN = "a token of tests"


class WallTime:
    """The machine's clock, which tests may set ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> int:
        return time.time_ns() + int(self.ahead_s * 1e9)


class Controlled:
    """A venue's server, by its control port."""

    def __init__(self, server: VenueServer, wall: WallTime) -> None:
        self.server = server
        self.wall = wall

    def control(self, path: str, method: str = "POST", **body: Any) -> Any:
        """A control request that is accepted; its answer."""
        answer = self.raw_control(path, method, json.dumps(body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def raw_control(
        self, path: str, method: str = "POST", body: str = "", token: str = TOKEN
    ) -> requests.Response:
        """A control request as it is."""
        headers = {"Authorization": f"Bearer {token}"}
        url = self.server.control_url + path
        return requests.request(method, url, headers=headers, data=body, timeout=60)

    def price(self, price: float | str, symbol: str = "ETH", **more: Any) -> None:
        """Set a market's price."""
        self.control("/price", symbol=symbol, price=str(price), **more)
