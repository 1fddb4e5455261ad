"""The summary on screen and in summary.json."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from broker_api.instrument import NANOS, MarginTier
from broker_api.order import Side
from reports.assumptions import assumptions
from reports.run import instrument_from_json, read_run
from reports.summary import Summary, print_summary, summarise
from reports.text import average_price, duration, moment, money, percent
from scenarios.run_folder import plain
from tests.reports.example_run import (
    START_NS,
    Story,
    at,
    configuration,
    mnq,
    ticks,
    told_story,
    write_run_folder,
)


@pytest.fixture
def told(tmp_path: Path) -> Summary:
    return summarise(read_run(write_run_folder(tmp_path / "run", told_story())))


def shown(summary: Summary, seconds: float | None = None, width: int = 80) -> str:
    screen = io.StringIO()
    print_summary(Console(file=screen, width=width), summary, seconds)
    return screen.getvalue()


def test_the_summary_of_a_folder_has_the_figures_worked_out_by_hand(told: Summary) -> None:
    assert (told.orders, told.fills, told.maker_fills, told.ambiguous_fills) == (10, 7, 4, 1)
    assert (told.gross, told.fees, told.net, told.open_profit) == (43.0, 7.44, 35.56, 0.0)
    assert (told.trades, told.wins, told.losses) == (3, 1, 2)
    assert (told.start_equity, told.end_equity, told.max_drawdown) == (50_000.0, 50_035.56, -80.0)
    assert (told.title, told.instruments, told.currency) == ("bracket", ("MNQ",), "USD")
    assert told.digest == told_story().journal.digest()


def test_summary_json_holds_every_figure(told: Summary) -> None:
    table = json.loads(json.dumps(told.as_dict(), allow_nan=False))
    assert table["net"] == 35.56
    assert table["digest"] == told.digest
    assert table["instruments"] == ["MNQ"]
    assert table["orders_working"] == 1
    assert set(table) == set(Summary.__dataclass_fields__)


def test_the_screen_shows_what_matters_within_80_columns(told: Summary) -> None:
    text = shown(told, 1.75)
    for expected in (
        "2024-01-02 14:30:00 to 14:31:20  (1 min 20 s)",
        "10  (6 filled, 2 cancelled, 1 rejected, 1 still working)",
        "7  (57 % maker, 1 ambiguous)",
        "3  (1 won, 2 lost, win rate 33.3 %, profit factor 1.85)",
        "7.44 USD",
        "+35.56 USD  net  (+43.00 gross)",
        "50,000.00 to 50,035.56 USD",
        "(4 ticks/s)",
        told.digest,
        "Latency: 1 ms to the exchange",
    ):
        assert expected in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_the_speed_is_left_out_when_nobody_measured_it(told: Summary) -> None:
    assert "ticks/s" not in shown(told)


def test_open_positions_and_notes_are_shown(tmp_path: Path) -> None:
    story = Story([mnq()])
    story.order(1, 1, Side.BUY, 2)
    story.fill(1, 1, Side.BUY, ticks(21_000.25), 1)
    story.fill(1, 1, Side.BUY, ticks(21_000.5), 1)
    folder = write_run_folder(tmp_path / "run", story, notes=["stops use bid and ask [bold]"])
    summary = summarise(read_run(folder))
    assert summary.open_positions == {"MNQ": "2 at 21,000.3750"}
    text = shown(summary, width=120)
    assert "MNQ 2 at 21,000.3750, open profit +19.00 USD" in text
    assert "note stops use bid and ask [bold]" in text


def test_a_run_with_nothing_in_it_can_be_shown(tmp_path: Path) -> None:
    summary = summarise(read_run(write_run_folder(tmp_path / "run", Story([mnq()]))))
    assert summary.win_rate is None
    assert "trades        0" in shown(summary)
    json.dumps(summary.as_dict(), allow_nan=False)


def test_assumptions_name_the_settings_in_force() -> None:
    config = configuration([mnq()])
    said = " ".join(assumptions(config))
    assert "proportional" in said
    assert "ladder" in said
    assert "No fees" not in said
    config["simulation"] |= {"queue": "back", "fees": False, "margin": False}
    config["simulation"]["trade_through"] = "all"
    said = " ".join(assumptions(config))
    assert "pessimistic" in said
    assert "No fees are charged." in said
    assert "Margin is not checked." in said
    assert "fills all of it" in said
    assert assumptions({"broker": "live"}) == ()


def test_a_folder_whose_tape_changed_or_went_is_read_without_it(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path / "run", told_story())
    assert read_run(folder).tapes[0] is not None
    config = json.loads((folder / "config.json").read_text())
    config["tapes"][0]["content_hash"] = "0" * 64
    (folder / "config.json").write_text(json.dumps(config))
    assert read_run(folder).tapes == (None,)
    (tmp_path / "tape.parquet").unlink()
    summary = summarise(read_run(folder))
    assert summary.ticks == 0
    assert any("tape is not there" in note for note in summary.notes)


@pytest.mark.parametrize(
    "text", ["no json", "[]", "{}", '{"instruments": [{"symbol": "X"}]}', '{"instruments": [3]}']
)
def test_a_folder_that_holds_no_run_is_refused_by_name(tmp_path: Path, text: str) -> None:
    folder = write_run_folder(tmp_path / "run", told_story())
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json is not the configuration of a run"):
        read_run(folder)


def test_without_a_stated_period_the_tape_gives_it(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path / "run", told_story(), started_ns=None, ended_ns=None)
    run = read_run(folder)
    assert (run.start_ns, run.end_ns) == (START_NS, at(80))
    (tmp_path / "tape.parquet").unlink()
    run = read_run(folder)
    assert (run.start_ns, run.end_ns) == (at(5), at(79))


def test_money_is_rounded_half_to_even_at_the_cent() -> None:
    assert money(5_000_000) == "0.00"
    assert money(15_000_000) == "0.02"
    assert money(-1_234_567_890_000_000) == "\N{MINUS SIGN}1,234,567.89"
    assert money(NANOS, plus=True) == "+1.00"
    assert money(0, plus=True) == "0.00"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (3_200_000, "3.2 ms"),
        (1_250_000_000, "1.250 s"),
        (61 * NANOS, "1 min 1 s"),
        (3 * 3_600 * NANOS, "3 h 0 min"),
        (49 * 3_600 * NANOS, "2 d 1 h"),
    ],
)
def test_durations_say_the_two_units_that_matter(ns: int, text: str) -> None:
    assert duration(ns) == text


def test_times_are_utc_and_never_rounded_up() -> None:
    assert moment(START_NS + 999_999_999) == "2024-01-02 14:30:00.999"
    assert moment(START_NS, milliseconds=False) == "2024-01-02 14:30:00"


def test_averages_show_two_more_digits_only_when_off_the_tick() -> None:
    assert average_price(mnq(), 2 * ticks(21_000.25), 2) == "21,000.25"
    assert average_price(mnq(), ticks(21_000.25) + ticks(21_000.5), 2) == "21,000.3750"
    assert average_price(mnq(), 0, 0) == "-"
    assert percent(None) == "-"


def test_an_instrument_comes_back_from_a_run_folder_with_tiers_and_overnight_margins() -> None:
    spec = replace(
        mnq(),
        margin_tiers=(MarginTier(Decimal(0), 9, 8), MarginTier(Decimal("1000.5"), 99, 88)),
        overnight_initial_margin=Decimal("1500.25"),
    )
    table = json.loads(json.dumps(plain(spec)))
    assert instrument_from_json(table) == spec
