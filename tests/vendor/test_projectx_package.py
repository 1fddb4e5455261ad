"""The vendor's own package trades on the local gateway, unmodified, on a Python of its own."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from sim.venues.projectx.engine import Options
from tests.vendor.conftest import PYTHON
from tests.venues.local_gateway import KEY, USER, local_gateway, still_futures

PROGRAM = Path(__file__).parent / "projectx_program.py"


@pytest.mark.slow
def test_the_vendors_package_connects_trades_and_hears_of_it() -> None:
    shift_ns = time.time_ns() - still_futures()[0].tape.start_ns
    options = Options(signed_brackets=False, shift_ns=shift_ns)
    with local_gateway(options=options) as gateway:
        done = subprocess.run(
            [str(PYTHON), "-I", str(PROGRAM), gateway.url, USER, KEY],
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "market": True,
        "modified": True,
        "cancelled": True,
        "ended": [3, 20001.0],
        "open": 1,
        "bracket": True,
        "held": [2],
        "counted": [7, 3, 2, 2, 1],
        "errors": 0,
        "left": 0,
        "trades": 3,
        "bars": 1,
        "heard": ["order_cancelled", "order_filled", "position_closed", "position_opened"],
    }
