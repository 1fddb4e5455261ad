"""The page of a sweep: what it says, and that texts of users stay texts."""

from __future__ import annotations

import re
from dataclasses import replace

from reports.overfitting import Overfitting
from reports.sweep_page import SweepContent, SweptRun, WalkedWindow, heat_map, sweep_html

LUCK = Overfitting(4, 256, 0.11, 0.15, 0.62, 0.55)


def run(fast: object, slow: object, net: float, *, stop: int = 1, allowed: bool = True) -> SweptRun:
    figures = {"net": net, "max_drawdown": -5.0, "trades": 3, "win_rate": None}
    return SweptRun({"fast": fast, "slow": slow, "stop": stop}, figures, net, allowed)


def content() -> SweepContent:
    runs = [
        run(5, 20, 10.0),
        run(5, 20, 12.5, stop=2),
        run(10, 20, -7.0),
        run(5, 40, 99.0, allowed=False),
        SweptRun(
            {"fast": 10, "slow": 40, "stop": 1}, {}, float("-inf"), False, "boom\nKeyError: x"
        ),
    ]
    return SweepContent("crossing", "5 runs", "net", "net", runs, ("fast", "slow"), 1, LUCK)


def cells(html: str) -> list[str]:
    return [re.sub("<[^>]*>", "", each) for each in re.findall(r"<td.*?</td>", html)]


def test_a_cell_is_the_best_that_is_allowed_and_the_best_of_all_is_marked() -> None:
    html = heat_map(content())
    assert cells(html) == ["\N{BLACK STAR} 12.50", "\N{MINUS SIGN}7.00", "99.00", "-"]
    assert html.count('class="best"') == 1
    assert html.count('class="barred"') == 1
    assert "fast=5 slow=20 stop=2: net 12.50" in html
    assert 'title="KeyError: x"' in html
    assert "each cell is the best over stop" in html
    assert re.findall(r'<th scope="col">(.*?)</th>', html) == ["5", "10"]
    assert re.findall(r'<th scope="row">(.*?)</th>', html) == ["20", "40"]


def test_one_axis_is_one_line_and_no_axis_is_said() -> None:
    one = heat_map(replace(content(), axes=("fast",)))
    assert len(cells(one)) == 2
    assert "net over fast" in one
    assert "nothing to spread out" in heat_map(replace(content(), axes=()))


def test_too_many_cells_are_not_drawn() -> None:
    runs = [run(fast, slow, 1.0) for fast in range(60) for slow in range(60)]
    assert "too many to read" in heat_map(replace(content(), runs=runs, best=0))


def test_what_is_luck_is_said_in_words() -> None:
    html = sweep_html(content())
    assert "Overfitted: what is best" in html
    assert "a probability of 0.62 that there is more to it" in html
    fine = sweep_html(replace(content(), luck=Overfitting(4, 256, 0.4, 0.15, 0.99, 0.02)))
    assert "Overfitted" not in fine
    assert "may well show" not in fine
    none = replace(content(), best=None, luck=None)
    assert "No run keeps to the constraints." in sweep_html(none)


def test_windows_have_their_own_page() -> None:
    test = run(5, 20, -3.0)
    windows = [
        WalkedWindow("a to b", "b to c", "fast=5", 10.0, test, (1.0, -4.0)),
        WalkedWindow("b to c", "c to d", "nothing allowed", None, None),
    ]
    told = {"profit": -3.0, "max_drawdown": -4.0, "efficiency": None, "trades": 3}
    html = sweep_html(replace(content(), windows=windows, stitched=told, best=None, luck=None))
    assert 'id="stitched"' in html
    assert "nothing allowed" in html
    assert "No run keeps" not in html


def test_texts_of_users_are_never_taken_for_html() -> None:
    evil = "<script>alert(1)</script>"
    runs = [run(evil, evil, 1.0), SweptRun({evil: evil}, {}, 0.0, False, evil)]
    html = sweep_html(replace(content(), title=evil, line=evil, goal=evil, runs=runs, best=0))
    assert "<script>alert" not in html


def test_the_same_content_gives_the_same_bytes() -> None:
    assert sweep_html(content()) == sweep_html(content())
