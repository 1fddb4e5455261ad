"""The programs of docs/hyperliquid.md run as they stand there, against a local venue."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Ended

PAGE = (ROOT / "docs" / "hyperliquid.md").read_text("utf-8")
BLOCKS = re.findall(r"^```py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SPEC = [
    "example_utils.setup(",
    "info.user_state(address)",
    'exchange.order("ETH", True, 0.2, 1100',
    'exchange.cancel("ETH", oid)',
    "info.query_order_by_oid(address, oid)",
    '{"limit": {"tif": "Gtc"}}',
    "order_result",
    "HyperliquidOrderManager",
    "place_limit_order",
    "cancel_order",
    "get_positions",
]

pytestmark = pytest.mark.slow


def run(process: Callable[..., Ended], program: Path, home: Path) -> Ended:
    ended = process(
        *("serve", "hyperliquid", "--port", "0", "--exec", f"python {program.name}"),
        PAPERTAPE_HOME=str(home),
    )
    assert ended.code == 0, ended.err
    return ended


def test_the_first_program_runs_against_the_venue(
    process: Callable[..., Ended], script: Callable[..., Path], tmp_path: Path
) -> None:
    ended = run(process, script(BLOCKS[0]), tmp_path / "home")
    assert "position: 0.0 equity: 10000.0" in ended.out
    assert "cancelled - cancelled by the user" in ended.out


def test_the_steps_of_the_sdks_example_run_one_after_the_other(
    process: Callable[..., Ended], script: Callable[..., Path], tmp_path: Path
) -> None:
    steps = textwrap.indent("\n".join(BLOCKS[1:]), "    ")
    program = script(f"import asyncio\n\nasync def main():\n{steps}\nasyncio.run(main())\n")
    ended = run(process, program, tmp_path / "home")
    assert "no open positions" in ended.out
    assert "resting: 1" in ended.out
    assert "nearest are 1234.500 and 1234.600" in ended.out


def test_the_first_program_of_the_projectx_page_runs_against_the_gateway(
    process: Callable[..., Ended], script: Callable[..., Path], tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "projectx.md").read_text("utf-8")
    (program,) = re.findall(r"^```py\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ended = process(
        *("serve", "projectx", "--port", "0", "--exec", f"python {script(program).name}"),
        PAPERTAPE_HOME=str(tmp_path / "home"),
    )
    assert ended.code == 0, ended.err
    assert "account: SIM-1 equity: 50000.0" in ended.out
    assert "cancelled - cancelled by the user" in ended.out


def test_every_step_of_the_document_is_on_the_page() -> None:
    assert [each for each in SPEC if each not in PAGE] == []
    assert len(BLOCKS) == 9
