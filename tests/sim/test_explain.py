"""Why an order did, or did not, fill: the text for each rule.

Every run is recorded by the market of `tests/sim/market.py`, without a replay; explaining replays
it, so that each of these tests also checks that the replay gives the recorded events.
"""

from __future__ import annotations

import pytest

from broker_api.order import TriggerSource
from sim.explain_text import shortened
from tests.sim.explained import QUOTE, Recorded, lines, run, said
from tests.sim.market import Hours, an_instrument, tape_of

# --- resting -------------------------------------------------------------------------------------


def test_the_whole_page_of_an_order_at_the_touch() -> None:
    rows = ("10 sell 3@99 7x99 101x10", "20 5x99 101x10", "30 sell 8@99 6x99 101x10")
    explained = run(*rows).explained()
    assert explained.title == "order 1: buy 4 X limit 99, good till cancelled"
    assert lines(explained) == [
        "0 | sent |  | ",
        "0 | accepted; the book showed 99 x 10 bid, 101 x 10 offered |  | 4",
        "0 | joined the book at 99 behind the 10 shown at the touch | 10 | 4",
        "20 | 1 print of 3 lots at its price, 3 of it to the queue ahead; "
        "2 ahead cancelled, by the queue model | 5 | 4",
        "30 | 3 lots filled at 99 as maker: a print of 8 lots at its price, the 5 ahead first "
        "| 0 | 1",
        "30 | the tape ended | 0 | 1",
    ]
    assert explained.verdict == (
        "It filled in part: 3 lots of 4 at 99. The first, 30 ns after it arrived: 3 lots filled at "
        "99 as maker: a print of 8 lots at its price, the 5 ahead first. The rest did not: no more "
        "than 2 prints of 11 lots at 99 traded in the 30 ns that it rested."
    )
    assert explained.facts == (
        "Sent at 00:00:00.000, it arrived at once; the book showed 99 x 10 bid, 101 x 10 offered.",
        "It joined the book at 99 behind the 10 shown at the touch.",
        "From the queue ahead of it (queue=proportional) took: prints 8, cancels 2.",
        "While it rested, 30 ns: 2 prints of 11 lots at its price, none through.",
    )


@pytest.mark.parametrize(
    ("rows", "order", "queue", "text"),
    [
        ([], "buy 4 limit 99", "front", "99, first in its queue (queue=front)"),
        ([], "buy 4 limit 99", "back", "99, behind everything (queue=back)"),
        ([], "buy 4 limit 100", "displayed", "100, 1 tick better than the bid: nothing is ahead"),
        ([], "sell 4 limit 101", "displayed", "101 behind the 10 shown at the touch"),
        ([], "buy 4 limit 97", "displayed", "97, 2 ticks behind the bid; never shown in this run"),
        (["5 3x98 101x9", "9 8x99 101x9"], "buy 4 limit 98", "displayed", "the 3 last shown there"),
        (["5 - 101x9"], "buy 4 limit 97", "displayed", "97; its side of the book was empty"),
    ],
)
def test_how_the_queue_ahead_was_known(rows: list[str], order: str, queue: str, text: str) -> None:
    market = Recorded(QUOTE, *rows, queue=queue)
    market.run_to(9)
    market.place(order)
    assert f"It joined the book at {text}" in said(market.explained()).replace(
        "98, 1 tick behind the bid; ", ""
    )


def test_an_unknown_queue_becomes_known_when_the_price_is_the_touch() -> None:
    rows = ("10 sell 4@98", "20 12x98 101x9", "30 sell 1@98 12x98 101x9")
    explained = run(*rows, order="buy 1 limit 98").explained()
    assert lines(explained)[3:] == [
        "10 | 1 print of 4 lots at its price, into a queue of unknown length | ? | 1",
        "20 | 98 became the touch and shows 12; of that and the 4 traded there one half was ahead, "
        "less what traded | 4 | 1",
        "30 | 1 print of 1 lot at its price, 1 of it to the queue ahead | 3 | 1",
        "30 | the tape ended | 3 | 1",
    ]
    assert "3 lots still ahead when the tape ended, after 2 prints of 5 lots at 98" in said(
        explained
    )


def test_a_touch_that_falls_back_clears_the_queue() -> None:
    explained = run("10 5x98 101x10", "20 5x99 101x10").explained()
    assert "10 | the touch fell back to 98: everything ahead of it is gone | 0 | 4" in lines(
        explained
    )
    assert "nothing traded at 99 while it rested" in said(explained)


def test_the_shown_size_caps_the_queue() -> None:
    explained = run("10 4x99 101x10", "20 9x99 101x10", queue="displayed").explained()
    assert "10 | 6 ahead gone: no more can be ahead than is shown | 4 | 4" in lines(explained)
    assert "took: the size shown 6." in said(explained)


@pytest.mark.parametrize(
    ("row", "settings", "rule"),
    [
        (
            "10 sell 3@98 5x98 101x9",
            {},
            "a print of 3 lots at 98 went through its price, which was",
        ),
        (
            "10 sell 1@98 5x98 101x9",
            {"trade_through": "all"},
            "went through its price, which fills all of it (trade_through=all)",
        ),
        ("10 5x98 99x6", {}, "the ask came to 99 x 6 and crossed it"),
        ("10 sell 4@99", {"queue": "front"}, "a print of 4 lots at its price, first in line"),
        ("10 sell 13@99", {}, "a print of 13 lots at its price, the 10 ahead first"),
    ],
)
def test_each_maker_fill_names_its_rule(row: str, settings: dict, rule: str) -> None:
    assert rule in run(row, **settings).explained().verdict


def test_a_row_that_prints_and_crosses_gives_a_fill_by_each_rule() -> None:
    texts = lines(run("10 sell 2@99 5x98 99x6", queue="front").explained())
    assert "2 lots filled at 99 as maker: a print of 2 lots at its price, first" in texts[3]
    assert "2 lots filled at 99 as maker: the ask came to 99 x 6 and crossed it" in texts[4]


@pytest.mark.parametrize(
    ("rows", "settings", "why"),
    [
        (["10 sell 5@100"], {}, "nothing traded at 99 while it rested: closest print 1 tick away"),
        (["10 buy 5@99"], {}, "nothing traded at 99 while it rested"),
        (["10 sell 7@99"], {}, "3 lots still ahead when the tape ended, after 1 print of 7 lots"),
        (
            ["10 sell 7@99"],
            {"queue": "back"},
            "with queue=back only what goes through or crosses 99 fills it, and nothing did "
            "(1 print of 7 lots at the price gave nothing)",
        ),
    ],
)
def test_what_was_missing_for_an_order_that_rested(
    rows: list[str], settings: dict, why: str
) -> None:
    verdict = run(*rows, **settings).explained().verdict
    assert verdict.startswith(f"It did not fill: {why}")


def test_a_price_that_was_never_the_touch() -> None:
    verdict = run("10 sell 2@97", order="buy 1 limit 97").explained().verdict
    assert "met a queue of unknown length, as 97 was never the touch meanwhile" in verdict


def test_prints_of_the_other_side_and_the_touch_that_came_and_went_are_counted() -> None:
    rows = ("10 buy 2@99", "20 1x100 101x9", "30 4x99 101x9", "40 1x100 101x9")
    text = said(run(*rows).explained())
    assert "1 print of 2 lots by buyers at its price, which take from the other side" in text
    assert "A better price became the touch twice, and its own was the touch again once." in text
    assert "To cross it the ask was missing: closest ask 2 ticks away (101 at" in text


def test_the_part_that_grew_is_further_behind() -> None:
    market = Recorded(QUOTE, "10 sell 2@100", "20 sell 2@100 10x99 101x15", queue="displayed")
    market.bracket("buy 4 limit 100", target="+1")
    market.run_to(20)
    explained = market.explained(2)
    assert explained.title == (
        "order 2: sell X, target 1 from the average price of its entry; exit of order 1"
    )
    assert lines(explained)[-3:] == [
        "10 | joined the book at 101 behind the 10 shown at the touch | 10 | 2",
        "20 | changed to 4 lots, limit 101: to what is left to close | 10 + 5 | 4",
        "20 | the tape ended | 10 + 5 | 4",
    ]


# --- taking --------------------------------------------------------------------------------------


def test_a_taker_is_told_what_was_there() -> None:
    texts = lines(run(order="buy 14 market").explained())
    assert texts[2] == (
        "0 | 10 lots filled at 101 as taker: it could trade on arrival; the ask showed 10 |  | 4"
    )
    assert "1 tick beyond the ask, taken to show 10 as the touch does" in texts[3]


def test_what_waited_for_liquidity_says_so() -> None:
    market = run("10 10x99 102x3", order="buy 12 market", beyond_top="wait")
    assert (
        "2 lots filled at 102 as taker: it had waited for liquidity" in lines(market.explained())[3]
    )
    assert "no liquidity was left to take when the tape ended" in (
        run("10 10x99 101x10", order="buy 12 market", beyond_top="wait").explained().verdict
    )


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ("buy 14 limit 101 fok", "fill-or-kill: the whole size was not available"),
        ("buy 14 limit 100 ioc", "immediate-or-cancel: the rest found no liquidity"),
    ],
)
def test_what_had_one_moment_says_what_the_book_showed_in_it(order: str, why: str) -> None:
    assert run(order=order).explained().verdict == (
        "It did not fill: on arrival the book showed 99 x 10 bid, 101 x 10 offered. "
        f"It ended at 00:00:00.000: {why}."
    )


def test_a_refusal_is_the_answer() -> None:
    assert run(order="buy 5000 limit 99").explained().verdict == (
        "It did not fill. It was refused on arrival: size 5000 is above the largest size 1000 of X."
    )


# --- stops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "trigger", "why"),
    [
        (["10 buy 1@103", "20 buy 1@101"], "LAST", "closest print 2 ticks away (103 at"),
        (["10 9x99 104x1", "20 9x99 101x1"], "BID_ASK", "closest ask 1 tick away (104 at"),
        (["10 mark 102.5", "20 mark 101"], "MARK", "closest mark 3 ticks away (102 at"),
        (["10 9x99 108x1"], "LAST", "nothing that could trigger it was seen"),
    ],
)
def test_how_near_a_stop_came(rows: list[str], trigger: str, why: str) -> None:
    # A mark for the start, and a print: without them the tape's stops trigger on something else.
    market = Recorded(QUOTE, "1 mark 100", "2 sell 1@99", *rows, trigger=TriggerSource[trigger])
    market.run_to(2)
    market.place("buy 1 stop 105")
    market.run_to(20)
    verdict = market.explained().verdict
    assert verdict.startswith(f"It did not fill: its stop at 105 was never reached: {why}")


def test_a_stop_that_triggers_takes_at_that_row() -> None:
    rows = ("10 buy 1@104 9x103 104x2", "20 9x103 105x9")
    texts = lines(run(*rows, order="buy 3 stop 103", beyond_top="wait").explained())
    assert texts[2:] == [
        "10 | triggered: the print was 104 |  | 3",
        "10 | 2 lots filled at 104 as taker: its stop had just triggered; the ask showed 2 |  | 1",
        "20 | 1 lot filled at 105 as taker: it had waited for liquidity; the ask showed 9 |  | 0",
    ]


def test_a_triggered_stop_limit_rests_and_says_what_it_missed() -> None:
    rows = ("10 buy 1@103 9x103 105x2", "20 buy 1@106 9x104 106x9")
    explained = run(*rows, order="buy 3 stop 103 limit 104").explained()
    assert "10 | joined the book at 104, 1 tick better than the bid: nothing is ahead | 0 | 3" in (
        lines(explained)
    )
    assert "nothing traded at 104 while it rested: closest print 2 ticks away" in explained.verdict


# --- groups --------------------------------------------------------------------------------------


def test_exits_follow_their_entry_in_the_table() -> None:
    market = Recorded(QUOTE, "10 sell 12@99", "20 sell 12@99", "30 buy 1@104 9x103 104x3")
    market.bracket("buy 4 limit 99", stop="+4", target="+5")
    market.run_to(30)
    assert lines(market.explained(3))[1:5] == [
        "0 | accepted; held until its entry fills |  | 4",
        "10 | went live: 2 lots, limit 104 |  | 2",
        "10 | joined the book at 104, 3 ticks behind the ask; never shown in this run, so what is "
        "ahead is unknown | ? | 2",
        "20 | changed to 4 lots, limit 104: to what is left to close | ? | 4",
    ]
    assert market.explained(1).title.endswith("; entry of order 2 and order 3")


def test_an_exit_whose_entry_did_not_fill() -> None:
    market = Recorded(QUOTE, "10 9x99 101x9")
    market.bracket("buy 4 limit 98", stop="+4", target="+5")
    market.run_to(10)
    market.cancel(1)
    assert market.explained(2).verdict == (
        "It did not fill: its entry, order 1, did not fill, so it never went live. "
        "It ended at 00:00:00.000: cancelled because its entry ended."
    )


def test_an_exit_that_waits_for_the_whole_entry() -> None:
    market = Recorded(QUOTE, "10 sell 12@99")
    market.bracket("buy 4 limit 99", stop="+4", arm="full")
    market.run_to(10)
    assert "order 1, filled 2 lots, and with arm=full exits go live with the last fill" in (
        market.explained(2).verdict
    )


def test_legs_that_cancel_each_other_name_each_other() -> None:
    market = Recorded(QUOTE, "10 buy 13@101 9x99 101x9")
    market.oco("buy 4 limit 99", "sell 4 limit 101")
    market.run_to(10)
    first = market.explained(1)
    assert first.title.endswith("; one of two that cancel each other, with order 2")
    assert "10 | changed to 1 lot, limit 99: because its OCO sibling filled as much | 9 | 1" in (
        lines(first)
    )


def test_a_fill_that_could_have_been_either_exit_says_so() -> None:
    market = Recorded(QUOTE, "10 print 1@98 9x105 106x9")
    market.bracket("buy 1 market", stop="+3", target="+4")
    market.run_to(10)
    explained = market.explained(2)
    assert explained.verdict.startswith("It filled: 1 lot at 105.")
    assert explained.verdict.endswith("; the row reached both exits, the stop counts.")


def test_an_order_of_the_exchange_is_explained_too() -> None:
    spec = an_instrument(maintenance_margin=10, initial_margin=10)
    tape = tape_of([QUOTE, "10 10x60 61x10", "20 10x60 61x10"])
    market = Recorded(tapes=[tape], instruments=[spec], cash=40, margin=True)
    market.place("buy 2 market")
    market.run_to(20)
    explained = market.explained(-1)
    assert explained.title == (
        "order -1: sell X, an order of the exchange that liquidates the position"
    )
    assert explained.verdict.startswith("It filled: 2 lots at 60.")


# --- changes and ends ----------------------------------------------------------------------------


def test_changes_say_what_became_of_the_place() -> None:
    market = Recorded(QUOTE, "10 20x99 101x10", "20 20x99 101x10")
    market.place("buy 4 limit 99")
    market.run_to(10)
    market.replace(1, size=3)
    market.run_to(20)
    market.replace(1, size=9)
    market.replace(1, size=0)
    market.cancel(1)
    explained = market.explained()
    assert lines(explained)[3:] == [
        "10 | changed to 3 lots, limit 99; it kept its place | 10 | 3",
        "20 | changed to 9 lots, limit 99; it lost its place |  | 9",
        "20 | joined the book at 99 behind the 20 shown at the touch | 20 | 9",
        "20 | a change was refused: size 0 is not positive; the least of X is 1 | 20 | 9",
        "20 | ended: cancelled by the user |  | 0",
    ]
    assert "It lost its place and joined again once." in explained.facts
    assert explained.verdict.endswith("It ended at 00:00:00.000: cancelled by the user.")


def test_what_comes_after_the_end_changes_nothing_of_the_answer() -> None:
    market = run("10 sell 7@99")
    market.cancel(1)
    market.cancel(1)
    explained = market.explained()
    assert lines(explained)[-1].startswith("10 | a cancel was refused: the order is not active")
    assert "3 lots still ahead when it was cancelled" in explained.verdict


def test_an_order_that_expired() -> None:
    verdict = run("10 sell 7@99", "40 sell 7@99", order="buy 4 limit 99 gtd=20").explained().verdict
    assert "3 lots still ahead when it expired" in verdict
    assert verdict.endswith("It ended at 00:00:00.000: its time in force ran out.")


def test_what_printed_while_the_market_was_closed_does_not_count() -> None:
    rows = ("10 sell 1@99", "20 halt", "30 sell 9@99", "40 resume", "50 sell 2@99", "60 8x99 101x9")
    explained = run(*rows).explained()
    assert "2 prints of 3 lots at its price" in said(explained)
    assert [line for line in lines(explained) if "hal" in line or "again" in line] == [
        "20 | trading halted | 9 | 4",
        "40 | the market trades again | 9 | 4",
    ]
    calendar = Hours((-10, 20), (40, 90))
    explained = run(*[row for row in rows if row[3:] not in ("halt", "resume")], calendar=calendar)
    assert "20 | the market closed | 9 | 4" in lines(explained.explained())


def test_a_long_table_is_shortened_in_the_middle() -> None:
    rows = [f"{10 * at} {'halt' if at % 2 else 'resume'}" for at in range(1, 40)]
    explained = run(*rows).explained()
    short = shortened(explained, 10)
    assert len(short.lines) == 10
    assert short.lines[:5] == explained.lines[:5]
    assert short.lines[6:] == explained.lines[-4:]
    assert short.lines[5].text == f"... {len(explained.lines) - 9} lines ..."
    assert shortened(explained, 100) == explained
