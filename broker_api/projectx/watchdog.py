"""Cancels the session's orders when its program is no more: a process of its own that watches it.

The gateway has no dead man's switch. So the session starts this as a child and writes to it every
few seconds; when that ends without a farewell, the child logs in and cancels. It knows the key from
the first line that it is given, so nobody sees it among the arguments of processes.

It cannot help when the machine or its line is gone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from broker_api.errors import BrokerError, ConfigurationError
from broker_api.live.transport import Http
from broker_api.pacing import Kind
from broker_api.projectx.client import Client
from broker_api.projectx.config import ProjectXConfig
from broker_api.projectx.keeper import signed
from broker_api.projectx.pace import pacing_of
from broker_api.projectx.tags import PREFIX
from broker_api.projectx.tokens import Tokens
from broker_api.projectx.wire.enums import OrderType
from broker_api.projectx.wire.fields import parse_body
from broker_api.projectx.wire.records import Order, Position
from broker_api.projectx.wire.requests import OrderOfAccount
from broker_api.secret import Secret
from broker_api.wall_clock import WallClock

BEAT, FAREWELL = b".\n", b"bye\n"
BEATS_A_SILENCE = 4
ATTEMPTS, PAUSE_SECONDS = 300, 1.0
"""How often it tries to cancel, when the gateway cannot be reached."""
LEAVE_SECONDS = 5.0
Mode = Literal["keep_stops", "all"]
_STOPS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)


class Watchdog:
    """The program's end of it. `start` it when the session begins; `close` it in good order."""

    def __init__(self, orders: dict[str, Any], key: Secret, note: Callable[[str], None]) -> None:
        self._orders = orders
        self._key = key
        self._note = note
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return None if self._child is None else self._child.pid

    async def start(self) -> None:
        """Start the child. Raises BrokerError when that cannot be done."""
        try:
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "broker_api.projectx.watchdog"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # what ends the program must not end its watchdog
            )
        except OSError as failure:
            raise BrokerError(f"the watchdog cannot be started: {failure}") from None
        await self._write(json.dumps({**self._orders, "key": self._key.reveal()}).encode() + b"\n")

    async def beat(self) -> None:
        """Say that the program lives."""
        await self._write(BEAT)

    async def _write(self, data: bytes) -> None:
        child = self._child
        if child is None or child.stdin is None:
            return
        try:
            child.stdin.write(data)
            await child.stdin.drain()
        except (ConnectionError, RuntimeError):
            self._child = None
            self._note("the watchdog has ended; nobody cancels orders if this program dies")

    async def close(self) -> None:
        """Say farewell: orders stay as they are. Idempotent."""
        child = self._child
        await self._write(FAREWELL)
        self._child = None
        if child is not None and child.stdin is not None:
            child.stdin.close()
            try:
                async with asyncio.timeout(LEAVE_SECONDS):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


# --- the child's end -----------------------------------------------------------------------------


async def watch(lines: asyncio.StreamReader) -> int:
    """Wait until the program has said farewell, or act for it; an exit code."""
    orders = json.loads(await lines.readline())
    key = Secret(orders.pop("key"))
    if await has_left(lines, orders["silence_seconds"]):
        return 0
    return await act(orders, key)


async def has_left(lines: asyncio.StreamReader, silence_seconds: float) -> bool:
    """Whether the program ends in good order; False when it has died or is silent."""
    while True:
        try:
            async with asyncio.timeout(silence_seconds):
                line = await lines.readline()
        except TimeoutError:
            return False
        if line != BEAT:
            return line == FAREWELL


async def act(orders: dict[str, Any], key: Secret) -> int:
    """Cancel what the session has at work, until nothing of it is left."""
    http = Http(orders["api_url"], answer_seconds=orders["answer_seconds"], parse=parse_body)
    await http.open()
    try:
        tokens = Tokens(http.post, orders["user"], key, WallClock().now_ms)
        draws = np.random.Generator(np.random.Philox(1))
        client = Client(http, tokens, pacing_of(ProjectXConfig(), draws))
        client.account_id = orders["account_id"]
        for _ in range(ATTEMPTS):
            if await is_done(client, orders["scopes"], orders["mode"]):
                sys.stderr.write("papertape watchdog: the program is gone, orders are cancelled\n")
                return 0
            await asyncio.sleep(PAUSE_SECONDS)
    except (BrokerError, ConfigurationError) as failure:
        sys.stderr.write(f"papertape watchdog: {failure}\n")
    finally:
        await http.close()
    sys.stderr.write("papertape watchdog: the program is gone, its orders could not be ended\n")
    return 1


async def is_done(client: Client, scopes: Sequence[str], mode: Mode) -> bool:
    """Cancel once what works; whether nothing of it did."""
    try:
        found = to_cancel(await client.open_orders(), await client.positions(), scopes, mode)
        for order in found:
            message = OrderOfAccount(client.account_id, order.id)
            await client.command("/Order/cancel", message, kind=Kind.CANCEL)
    except BrokerError:
        return False
    return not found


def to_cancel(
    orders: Sequence[Order], positions: Sequence[Position], scopes: Sequence[str], mode: Mode
) -> list[Order]:
    """The session's orders that are to end; stops that protect an open position may stay."""
    held = {each.contract_id: signed(each) for each in positions}
    own = tuple(f"{PREFIX}{scope}." for scope in scopes)
    return [
        order
        for order in orders
        if (order.custom_tag or "").startswith(own)
        and not (mode == "keep_stops" and _protects(order, held.get(order.contract_id, 0)))
    ]


def _protects(order: Order, lots: int) -> bool:
    return order.type in _STOPS and order.side.sign * lots < 0 and order.size <= abs(lots)


async def main() -> int:
    """Watch whoever holds the other end of standard input."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    return await watch(lines)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
