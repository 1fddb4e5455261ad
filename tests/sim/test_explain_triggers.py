"""Why a stop, a touched order or a trailing stop did, or did not, trigger: the text for each."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from broker_api.order import TriggerSource
from sim.explain_trigger import moves_until
from tests.sim.explained import Recorded, lines

START = ("0 9x99 101x9", "1 sell 1@99")


def run(order: str, *rows: str, trigger: str = "LAST") -> Recorded:
    """One order behind the first print, then the whole tape."""
    market = Recorded(*START, *rows, trigger=TriggerSource[trigger])
    market.run_to(1)
    market.place(order)
    market.run_to(int(rows[-1].split()[0]))
    return market


def test_a_touched_order_says_what_touched_it() -> None:
    explained = run("sell 2 touched 105", "10 buy 1@104", "20 buy 2@106 9x105 107x9").explained()
    assert explained.title == "order 1: sell 2 X market-if-touched at 105, good till cancelled"
    assert lines(explained)[2:] == [
        "20 | touched: the print was 106, its trigger 105 |  | 2",
        "20 | 2 lots filled at 105 as taker: it had just been touched; the bid showed 9 |  | 0",
    ]
    assert explained.facts[-1] == "What triggers it is the print (trigger source last)."


@pytest.mark.parametrize(
    ("order", "rows", "trigger", "why"),
    [
        ("sell 2 touched 105", ["10 buy 1@103", "20 buy 1@101"], "LAST", "print 2 ticks away (103"),
        ("sell 2 touched 105", ["10 8x104 106x9"], "BID_ASK", "bid 1 tick away (104"),
        ("buy 2 touched 95 limit 94", ["10 mark 100", "20 mark 96.5"], "MARK", "2 ticks away (97"),
        ("buy 2 touched 95", ["10 9x98 100x9"], "LAST", "nothing that could trigger it was seen"),
    ],
)
def test_how_near_a_touch_came(order: str, rows: list[str], trigger: str, why: str) -> None:
    verdict = run(order, *rows, trigger=trigger).explained().verdict
    price = order.split()[3]
    assert verdict.startswith(f"It did not fill: its trigger at {price} was never touched: ")
    assert why in verdict


def test_a_trailing_stop_says_how_it_moved_and_where_it_was() -> None:
    rows = ("10 buy 1@104", "15 buy 1@106", "17 buy 1@104", "20 buy 2@103 9x102 107x9")
    explained = run("sell 2 trail 3", *rows).explained()
    assert explained.title.startswith("order 1: sell 2 X trailing-stop 3 ticks behind the best")
    assert lines(explained)[1:] == [
        "1 | accepted; the book showed 99 x 9 bid, 101 x 9 offered; it trails with its stop at 96 "
        "|  | 2",
        "15 | its stop followed the print twice: best price 106, stop 103 |  | 2",
        "20 | triggered: the print was 103, its trailing stop 103, 3 ticks behind the best print "
        "of 106 |  | 2",
        "20 | 2 lots filled at 102 as taker: its stop had just triggered; the bid showed 9 |  | 0",
    ]
    assert explained.facts[-1] == (
        "Its stop moved from 96 to 103, the last time at 00:00:00.000 with the print at 106."
    )


def test_a_trailing_stop_in_percent_says_when_it_began() -> None:
    rows = ("10 buy 1@104", "15 buy 1@112", "17 buy 1@150", "19 sell 1@110 9x109 111x9")
    explained = run("sell 2 trail 2% from 110", *rows).explained()
    assert explained.title == (
        "order 1: sell 2 X trailing-stop 2 % behind the best price from 110 on, good till cancelled"
    )
    assert lines(explained)[1:5] == [
        "1 | accepted; the book showed 99 x 9 bid, 101 x 9 offered; it begins to trail when the "
        "print reaches 110 |  | 2",
        "15 | began to trail: the print reached 110; best price 112, stop 110 |  | 2",
        "17 | its stop followed the print once: best price 150, stop 147 |  | 2",
        "19 | triggered: the print was 110, its trailing stop 147, 3 ticks behind the best print "
        "of 150 |  | 2",
    ]


def test_what_a_trailing_stop_was_missing() -> None:
    stopped = run("buy 2 trail 3", "10 sell 1@94", "15 sell 1@96").explained().verdict
    assert stopped.startswith(
        "It did not fill: its trailing stop, last at 97, 3 ticks behind the best print of 94, was "
        "never reached: closest print 1 tick away (96 at"
    )
    waited = run("buy 2 trail 3 from 90", "10 buy 1@94", "15 buy 1@92").explained().verdict
    assert waited.startswith(
        "It did not fill: it never began to trail, its activation price 90 was never reached: "
        "closest print 2 ticks away (92 at"
    )


def test_the_trailing_stop_of_a_bracket() -> None:
    rows = ("10 buy 1@104 9x103 104x9", "20 buy 1@108 9x107 108x9", "30 sell 1@105 9x104 105x9")
    market = Recorded(*START, *rows, trigger=TriggerSource.LAST)
    market.run_to(1)
    market.bracket("buy 1 market", stop="trail 3", target="+20")
    market.run_to(30)
    explained = market.explained(2)
    assert explained.title == (
        "order 2: sell X, trailing stop 3 ticks behind the best price; exit of order 1"
    )
    assert lines(explained)[2:5] == [
        "1 | went live: 1 lot, stop 98 |  | 1",
        "20 | its stop followed the print twice: best price 108, stop 105 |  | 1",
        "30 | triggered: the print was 105, its trailing stop 105, 3 ticks behind the best print "
        "of 108 |  | 1",
    ]


def test_a_new_distance_is_told_and_the_stop_goes_on_from_there() -> None:
    market = Recorded(*START, "10 buy 1@104", "20 buy 1@105", "30 buy 1@105")
    market.run_to(1)
    market.place("sell 1 trail 3")
    market.run_to(10)
    market.replace(1, trail=6)
    market.run_to(30)
    assert [line.split(" | ")[1] for line in lines(market.explained())[2:5]] == [
        "its stop followed the print once: best price 104, stop 101",
        "changed to 1 lot, stop 98",
        "its stop followed the print once: best price 105, stop 99",
    ]


# --- the told moves are the exchange's -----------------------------------------------------------


def random_rows(rng: random.Random) -> list[str]:
    price, rows = 200, list(START)
    for ts in range(2, 200):
        price = max(50, price + rng.choice([-2, -1, -1, 0, 1, 1, 2]))
        what = rng.randrange(8)
        if what < 4:
            rows.append(f"{ts} {rng.choice(['buy', 'sell'])} 1@{price}")
        elif what < 6:
            rows.append(f"{ts} {rng.randrange(1, 9)}x{price} {price + 1}x{rng.randrange(1, 9)}")
        else:
            rows.append(f"{ts} mark {Decimal(price) + Decimal(rng.randrange(4)) / 4}")
    return [*rows[:90], "91 halt", *rows[91:100], "101 resume", *rows[101:]]


@pytest.mark.parametrize("seed", range(12))
def test_the_moves_that_are_told_are_those_that_were_made(seed: int) -> None:
    rng = random.Random(seed)
    source = TriggerSource[("LAST", "BID_ASK", "MARK")[seed % 3]]
    market = Recorded(*random_rows(rng), trigger=source)
    kept: dict[int, list[tuple[int, int, int]]] = {}
    for ts in range(2, 190):
        market.run_to(ts)
        if ts % 12 == 2:
            away = rng.choice(["9", "4%", "2.5%"])
            begin = rng.choice(["", f" from {rng.randrange(190, 210)}"])
            market.place(f"{rng.choice(['buy', 'sell'])} 1 trail {away}{begin}")
        book = market.exchange._book
        for slot in book["active"][: int(book["active_count"])].tolist():
            if not book["o_triggered"][slot]:
                names = ("o_best", "o_stop")
                row = int(book["i_cursor"][0])
                best, stop = (int(book[name][slot]) for name in names)
                kept.setdefault(int(book["o_order_id"][slot]), []).append((row, best, stop))
    assert len(kept) > 5
    checked = 0
    for order_id, states in kept.items():
        story = market.story(order_id)
        for row, best, stop in states:
            moves = moves_until(story, row)
            if moves:
                assert (moves[-1].best, moves[-1].stop) == (best, stop)
                checked += 1
    assert checked > 20
