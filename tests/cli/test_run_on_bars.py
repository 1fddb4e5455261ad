"""A script on a file of bars: the run, its report and its explanations say that it was bars."""

from pathlib import Path

import pandas as pd

SCRIPT = """
import asyncio
from papertape import TradingSuite

async def main():
    async with await TradingSuite.create(["MNQ"]) as suite:
        mnq = suite["MNQ"]
        seen = []
        async for bar in mnq.data.stream_bars("1min"):
            seen.append((bar.open, bar.high, bar.low, bar.close, bar.volume))
            if len(seen) == 1:
                await mnq.orders.place_bracket_order(
                    mnq.instrument_info.id, 0, 2,
                    stop_price=20990.0, target_price=21010.0,
                )
            if len(seen) == 3:
                break
        print(seen)

asyncio.run(main())
"""


def test_a_bracket_on_bars_says_which_extreme_was_taken_first(process, tmp_path: Path) -> None:
    start = pd.Timestamp("2024-01-02 14:30:00", tz="UTC")
    bars = pd.DataFrame(
        {
            "ts": [start + pd.Timedelta(minutes=at) for at in range(4)],
            "open": 21_000.0,
            "high": [21_001.0, 21_012.0, 21_001.0, 21_001.0],
            "low": [20_999.0, 20_985.0, 20_999.0, 20_999.0],
            "close": 21_000.0,
            "volume": 40,
        }
    )
    bars.to_parquet(tmp_path / "bars.parquet", index=False)
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    words = ("--tape", "MNQ=bars.parquet", "--set", "simulation.bar_path=pessimistic")
    ended = process("run", "script.py", *words)
    assert ended.code == 0, ended.err
    assert "(21000.0, 21012.0, 20985.0, 21000.0, 40" in ended.out
    assert "Bars: the order of their extremes (pessimistic)" in " ".join(ended.out.split())
    (folder,) = (tmp_path / "runs").iterdir()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "one row of the tape, or one bar, satisfied both exits" in page
    told = process("explain", folder, "2")
    assert told.code == 0, told.err
    text = " ".join(told.out.split())
    assert "filled at 20990.00 as taker" in text
    assert "which came first is a guess (bar_path=pessimistic)" in text
