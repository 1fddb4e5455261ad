"""`papertape check --storm`: what a user types, sees, and gets in files."""

from pathlib import Path
from xml.etree import ElementTree

FILES = {
    "hasty.py": """
import asyncio
from papertape import TradingError

async def hasty(suite):
    mnq = suite["MNQ"]
    for _ in range(4):
        try:
            await mnq.orders.place_market_order("MNQ", 0, 1)
        except TradingError:
            pass
        await asyncio.sleep(30)
        await mnq.orders.close_position()
""",
    "scenario.toml": """
strategy = "hasty.py:hasty"
instruments = ["MNQ"]

[tapes]
MNQ = { synthetic = { seed = 7, hours = 0.1 } }

[expect.invariants]
flat_at_end = true
max_position = 1
""",
}


def write(folder: Path) -> Path:
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_storms_are_played_listed_and_played_again(command, tmp_path: Path) -> None:
    write(tmp_path / "hasty")
    ended = command(
        "check", "hasty", "--storm", 30, "--seed", 7, "--processes", 0, "--junit", "storms.xml"
    )
    assert ended.code == 1
    assert "hasty  30 storms" in ended.out
    again = next(line.split() for line in ended.out.splitlines() if "--storm-seed" in line)
    report = ElementTree.parse(tmp_path / "storms.xml").getroot()[0]
    assert report.get("tests") == "30"
    assert report.get("failures") != "0"
    seed = again[-1]
    once_more = command(*again[1:])
    assert once_more.code == 1
    assert f"run folder  runs/check/hasty-storm-{seed}" in once_more.out
    assert (tmp_path / "runs" / "check" / f"hasty-storm-{seed}" / "report.html").is_file()


def test_one_storm_is_of_one_scenario(command, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name)
    ended = command("check", ".", "--storm-seed", 7)
    assert ended.code == 2
    assert "plays one scenario, and there are 2" in ended.err
    assert command("check", "nowhere", "--storm", 3).code == 2
    assert command("check", "one", "--storm", 3, "--update").code == 2
