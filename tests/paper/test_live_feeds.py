"""Paper trading on venues' live markets: what is heard of them, and whole sessions on both."""

from __future__ import annotations

import json
import re
import signal
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import requests
from typer.testing import CliRunner

from broker_api.catalog import load_catalog
from broker_api.errors import ConfigurationError
from broker_api.hyperliquid.listening import HyperliquidMarket, ListeningConfig
from broker_api.projectx.config import ProjectXConfig
from broker_api.projectx.listening import ProjectXMarket
from broker_api.secret import Secret
from papertape.cli import app
from sim.venues.sources import source_of
from tests.paper.feed_bench import Command, Heard, command, until
from tests.venues.local_gateway import KEY, MNQ, USER, local_gateway
from tests.venues.local_venue import ETH, local_venue

HERE = Path(__file__).parent
DRAWS = np.random.Generator(np.random.Philox(5))


def now_ms() -> int:
    """A machine's clock that stands."""
    return 1_800_000_000_000


def test_hyperliquids_market_is_heard_once_also_behind_a_lost_connection() -> None:
    clock = [1_800_000_000_000]
    with local_venue([source_of(ETH, "sample")]) as venue:
        heard = Heard()
        config = ListeningConfig(url=venue.url)
        market = HyperliquidMarket(config, [ETH], {}, lambda: clock[0], DRAWS)
        (spec,) = market.start(heard)
        try:
            assert (spec.symbol, spec.tick_size, spec.taker_fee_ppm) == (
                "ETH",
                Decimal("0.001"),
                ETH.taker_fee_ppm,
            )
            until(lambda: bool(heard.of("quote") and heard.of("mark")))
            assert heard.of("trade") == [], "what was printed before is history"
            venue.control("/advance", seconds=30)
            until(lambda: len(heard.of("trade")) > 3)
            venue.control("/disconnect")
            until(lambda: bool(heard.of("down")))
            before = len(heard.of("quote"))
            until(lambda: len(heard.of("quote")) > before)
            clock[0] += 3_600_000
            venue.control("/advance", seconds=30)
            until(lambda: bool(heard.of("funding")))
            prints = venue.engine.venue.presents[0].prints_between(0, venue.engine.venue.row(0))
            told = heard.of("trade")
            assert len(told) <= len(prints)
            assert [each[1:3] for each in told[-3:]] == [
                (each.price_ticks * 100, each.lots) for each in prints[-3:]
            ]
        finally:
            market.close()
        assert heard.of("note") == []


def test_projectxs_quotes_get_their_sizes_from_the_depth() -> None:
    with local_gateway() as gateway:
        heard = Heard()
        config = ProjectXConfig(base_url=gateway.url, user=USER, key=Secret(KEY))
        market = ProjectXMarket(config, [MNQ], {}, now_ms, DRAWS)
        (spec,) = market.start(heard)
        try:
            assert spec.symbol == "MNQ"
            until(lambda: bool(heard.of("quote")))
            gateway.price(21_010, symbol="MNQ")
            until(lambda: any(each[2] > 84_030 for each in heard.of("quote")))
            index, bid, ask, sizes = heard.of("quote")[-1]
            assert (index, bid < ask, sizes) == (0, True, (100, 100))
            gateway.control("/disconnect")
            until(lambda: bool(heard.of("down")))
            before = len(heard.of("quote"))
            until(lambda: len(heard.of("quote")) > before)
        finally:
            market.close()


def test_what_is_wrong_with_a_feed_is_told_before_anything_begins(tmp_path: Path) -> None:
    runner = CliRunner()
    turns = HERE / "turns"
    for options, said in (
        (("--option", "network=local"), 'network "local" needs url='),
        (("--option", "netwrok=local"), 'did you mean "network"'),
    ):
        done = runner.invoke(
            app, ["paper", str(turns), "--feed", "hyperliquid", "--out", str(tmp_path), *options]
        )
        assert (done.exit_code, said in done.output) == (2, True), done.output
    unknown = load_catalog()["MNQ"]
    with local_venue() as venue:
        market = HyperliquidMarket(ListeningConfig(url=venue.url), [unknown], {}, now_ms, DRAWS)
        with pytest.raises(ConfigurationError, match="has no perpetual 'CME:MNQ'"):
            market.start(Heard())
    with local_gateway() as gateway:
        config = ProjectXConfig(base_url=gateway.url, user=USER, key=Secret("another-key-than-its"))
        with pytest.raises(ConfigurationError, match="cannot log in"):
            ProjectXMarket(config, [MNQ], {}, now_ms, DRAWS).start(Heard())


def served(venue: Command) -> dict[str, str]:
    """Wait until a venue is ready; what it says that programs need."""
    venue.said("ready: ")
    found = (re.fullmatch(r"([A-Z_]+)=(.*)\n", line) for line in venue.lines)
    return {match[1]: match[2].strip("'") for match in found if match}


def cut_off(place: dict[str, str]) -> None:
    """Have a venue close every connection."""
    token = Path(place["PAPERTAPE_CONTROL_TOKEN_FILE"]).read_text("utf-8").strip()
    headers = {"Authorization": f"Bearer {token}"}
    url = place["PAPERTAPE_CONTROL_URL"] + "/disconnect"
    assert requests.post(url, headers=headers, data="{}", timeout=60).json()["closed"] > 0


@pytest.mark.slow
def test_a_session_on_hyperliquid_is_killed_resumed_proved_and_run_again(tmp_path: Path) -> None:
    home = {"PAPERTAPE_HOME": str(tmp_path / "home")}
    folder = tmp_path / "session"
    with command(
        "serve", "hyperliquid", "--market", "ETH=sample", "--port", "0", "--print-env", **home
    ) as venue:
        place = served(venue)
        url = place["PAPERTAPE_VENUE_URL"]
        asked = ("paper", HERE / "turns", "--feed", "hyperliquid", "--out", folder)
        with command(*asked, "--option", f"url={url}", **home) as paper:
            paper.said("turn 2")
            assert paper.end(signal.SIGKILL) == -signal.SIGKILL
        with command("paper", "--resume", folder, "--no-report", **home) as paper:
            paper.said("resumed, 0 rows")
            paper.said("turn 4")
            cut_off(place)
            paper.said("turn 6")
            assert paper.end(signal.SIGINT) == 0, paper.output
        assert "parity  played again from its journal: the same" in paper.output
    tape, catalog = folder / "ETH.parquet", folder / "instruments.toml"
    kinds = pq.read_table(tape).column("kind").to_pylist()
    assert [each for each in kinds if each in ("halt", "resume")] == ["halt", "resume"] * 2
    done = CliRunner().invoke(
        app,
        [
            "run", str(HERE / "turns" / "turns.py"), "--instrument", "ETH",
            "--tape", f"ETH={tape}", "--catalog", str(catalog), "--no-report",
            "--out", str(tmp_path / "run"),
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "run" / "summary.json").read_text("utf-8"))
    assert figures["fills"] >= 2
    assert "turn 2" in done.output


@pytest.mark.slow
def test_a_session_on_projectx_ends_by_itself_and_is_proved(tmp_path: Path) -> None:
    home = {"PAPERTAPE_HOME": str(tmp_path / "home")}
    catalog = HERE / "futures" / "always.toml"
    with command(
        "serve", "projectx", "--market", "MNQ=sample", "--catalog", catalog,
        "--port", "0", "--print-env", **home,
    ) as venue:  # fmt: skip
        needed = {**home, **served(venue)}
        asked = ("paper", HERE / "futures", "--feed", "projectx", "--out", tmp_path / "session")
        with command(*asked, "--no-report", **needed) as paper:
            paper.said("turn 3")
            paper.said("parity  played again from its journal: the same")
            assert paper.process.wait(120) == 0
    assert (tmp_path / "session" / "MNQ.parquet").is_file()
