"""The code blocks of the OrderManager page, made runnable without touching their text.

The page's blocks leave out what is around them: imports, a price, the call of the function. Here
that is put before and behind a block; the block itself stays as it is on the page.
"""

from __future__ import annotations

import ast
import asyncio
import re
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papertape
from broker_api.config import SessionDefaults, use_defaults
from papertape import Order, TradingSuite

PAGE = Path(__file__).parents[3] / "shared" / "spec" / "order_manager_api.md"
VENDOR = "project_x_py"

PRELUDE = f"""\
import asyncio
from {VENDOR} import (
    InsufficientMarginError,
    OrderRejectedError,
    ProjectXOrderError,
    TradingSuite,
    round_to_tick_size,
)
price = 21000.13
"""

# What stands before and behind the blocks that are no function: the page leaves it to the reader.
AROUND = {
    "Order Placement": ("", "print(rounded_price)\nawait suite.disconnect()"),
    "Resource Management": (
        'suite = await TradingSuite.create(["MNQ"])\n'
        "for _ in range(51):\n"
        '    await suite["MNQ"].orders.place_limit_order("MNQ", 0, 1, limit_price=20500.0)\n',
        "await cleanup_orders(suite)",
    ),
}

Prepare = Callable[[TradingSuite], Awaitable[None]]


@dataclass(frozen=True)
class Block:
    """One code block: the heading above it, its text, and the function that it defines."""

    heading: str
    text: str
    function: str | None

    @property
    def name(self) -> str:
        """The function's name, else the heading's words."""
        return self.function or self.heading.lower().replace(" ", "_")

    def script(self) -> str:
        """The block as a file that runs by itself."""
        if self.function is not None:
            return f"{PRELUDE}\n{self.text}\nmain = {self.function}\n{_TAIL}"
        before, behind = AROUND[self.heading]
        body = textwrap.indent(f"{before}{self.text}\n{behind}\n", "    ")
        return f"{PRELUDE}\nasync def main():\n{body}\n{_TAIL}"


_TAIL = 'if __name__ == "__main__":\n    asyncio.run(main())\n'


def read_blocks(page: Path = PAGE) -> list[Block]:
    """The page's Python blocks in order."""
    blocks, heading = [], ""
    for match in re.finditer(
        r"^#+ (?P<heading>[^\n]+)$|^```python\n(?P<text>.*?)^```$",
        page.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    ):
        if match["text"] is None:
            heading = match["heading"]
            continue
        found = re.findall(r"^async def (\w+)\(\):", match["text"], re.MULTILINE)
        blocks.append(Block(heading, match["text"], found[0] if found else None))
    return blocks


def with_our_name(source: str) -> str:
    """The script with nothing but the module's name changed."""
    return source.replace(VENDOR, "papertape")


def play(block: Block, **defaults: Any) -> TradingSuite:
    """Run the block's script in virtual time; the suite that it opened, after its end."""
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(with_our_name(block.script()), block.name, "exec"), names)
    with use_defaults(SessionDefaults(**defaults)) as kept:
        papertape.run(names["main"]())
    (suite,) = kept.sessions
    return suite


async def nothing(suite: TradingSuite) -> None:
    """The preparation of a suite that needs none."""


def play_on(
    block: Block,
    then: Callable[[dict[str, Any]], Awaitable[Any]],
    prepare: Prepare = nothing,
    **defaults: Any,
) -> Any:
    """Run the block in a prepared suite without its last line `disconnect()`, and go on in `then`.

    `then` gets the block's local names, and under "answers" what its bare awaits gave.
    """
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(_open_ended(block), block.name, "exec"), names)
    names["TradingSuite"] = _preparing(prepare)
    with use_defaults(SessionDefaults(**defaults)):

        async def main() -> Any:
            found = await names[block.function]()
            try:
                return await then(found)
            finally:
                await found["suite"].disconnect()

        return papertape.run(main())


def _preparing(prepare: Prepare) -> Any:
    class Prepared:
        @staticmethod
        async def create(*args: Any, **keywords: Any) -> TradingSuite:
            suite = await TradingSuite.create(*args, **keywords)
            await prepare(suite)
            return suite

    return Prepared


def _open_ended(block: Block) -> ast.Module:
    tree = ast.parse(with_our_name(f"{PRELUDE}\n{block.text}"))
    for node in tree.body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name == block.function:
            *body, last = node.body
            assert ast.unparse(last) == "await suite.disconnect()"
            node.body = [
                *ast.parse("answers = []").body,
                *[_kept(statement) for statement in body],
                *ast.parse("return locals()").body,
            ]
    return ast.fix_missing_locations(tree)


def _kept(statement: ast.stmt) -> ast.stmt:
    """A bare `await x` as `answers.append(await x)`; anything else as it is."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Await):
        return ast.parse(f"answers.append({ast.unparse(statement)})").body[0]
    return statement


def statement_of(block: Block, target: str) -> str:
    """The text of the block's statement that assigns `target`, as it is on the page."""
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == target:
            found = ast.get_source_segment(block.text, node)
            assert found is not None
            return textwrap.dedent(found)
    raise AssertionError(f"the page's block {block.name} assigns no {target}")


async def perform(statement: str, **names: Any) -> None:
    """Run one statement of a block with these names."""
    code = compile(statement, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, names)


def orders_of(suite: TradingSuite) -> list[Order]:
    """Every order of the session as it is now, oldest first; also after the session's end."""
    return [record.view() for record in suite.session.ledger.orders.values()]


def lots_of(suite: TradingSuite) -> int:
    """The position in the session's first instrument."""
    return suite.session.ledger.positions[0].lots


async def seconds(count: float) -> None:
    """Let that much simulated time pass."""
    await asyncio.sleep(count)
