import datetime as dt

import numpy as np
import pytest

from broker_api.errors import ConfigurationError
from scenarios.grid import Grid, axes_of_texts, axes_of_values, typed_values
from scenarios.sweep import Objective, Row, table_of


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("5:20:5", ["5", "10", "15", "20"]),
        ("5:22:5", ["5", "10", "15", "20"]),
        ("3:5", ["3", "4", "5"]),
        ("0.1:0.4:0.1", ["0.1", "0.2", "0.3", "0.4"]),
        ("1:-1:-0.5", ["1.0", "0.5", "0.0", "-0.5", "-1.0"]),
        ("7:7", ["7"]),
        ("20, 40,80", ["20", "40", "80"]),
        ("1:3,10", ["1", "2", "3", "10"]),
        ("10:30:00", ["10:30:00"]),
        ("09:30", ["09:30"]),
        ('"10:30"', ['"10:30"']),
        ('"a,b",c', ['"a,b"', "c"]),
        ("[1,2],[3,4]", ["[1,2]", "[3,4]"]),
        ('{a = [1, "]"], b = 2},x', ['{a = [1, "]"], b = 2}', "x"]),
    ],
)
def test_typed_values_are_split_and_ranges_written_out(text: str, values: list[str]) -> None:
    assert list(typed_values(text, "")) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fast", "not of the form name=5:50:5"),
        ("=3", "not of the form"),
        ("a b=3", "not of the form"),
        ("fast=", "empty value"),
        ("fast=1,,2", "empty value"),
        ("fast=5:1", "5:1:1 never gets to 1"),
        ("fast=1:5:0", "1:5:0 never gets to 5"),
        ("fast=1:5:-1", "never gets"),
        ("fast=0:9999999", "10,000,000 values; at most 1,000,000"),
    ],
)
def test_texts_that_are_no_grid_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Grid(axes_of_texts([text]))


def test_a_name_twice_no_name_and_too_much_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="fast is in the grid already"):
        Grid(axes_of_texts(["fast=1", "fast=2"]))
    with pytest.raises(ConfigurationError, match="the grid is empty"):
        Grid(axes_of_texts([]))
    with pytest.raises(ConfigurationError, match="1,002,001 combinations; at most 1,000,000"):
        Grid(axes_of_texts(["a=0:1000", "b=0:1000"]))


def test_the_last_parameter_changes_fastest() -> None:
    grid = Grid(axes_of_texts(["fast=1,2", "slow=8,9"]))
    assert len(grid) == 4
    assert list(grid) == [
        {"fast": "1", "slow": "8"},
        {"fast": "1", "slow": "9"},
        {"fast": "2", "slow": "8"},
        {"fast": "2", "slow": "9"},
    ]
    assert grid.text_names == {"fast", "slow"}


def test_values_of_a_table_become_plain_and_texts_stay_texts() -> None:
    grid = Grid(
        axes_of_values(
            {"a": np.arange(2), "b": (0.5,), "c": "1:2", "d": [dt.date(2024, 1, 2), None is None]}
        )
    )
    first = next(iter(grid))
    assert first == {"a": 0, "b": 0.5, "c": "1", "d": dt.date(2024, 1, 2)}
    assert type(first["a"]) is int
    assert grid.text_names == {"c"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"fast": 5}, r"fast = 5 is no sequence of values, like \[5, 10\]"),
        ({"fast": []}, "fast has no values"),
        ({"fast": [object()]}, "fast: <object .* is a object; plain values are bool"),
        ({"fast": [None]}, "is a NoneType"),
        ({"not a name": [1]}, "is no name of a parameter"),
        ({}, "the grid is empty"),
    ],
)
def test_tables_that_are_no_grid_are_refused(table: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Grid(axes_of_values(table))


def test_the_best_has_most_or_least_of_a_figure_and_did_not_fail() -> None:
    rows = [
        Row({"n": 1}, "a", {"net": 5.0, "fees": 2.0, "win_rate": None}),
        Row({"n": 2}, "b", {"net": 7.0, "fees": 3.0, "win_rate": 0.5}),
        Row({"n": 3}, error="broken"),
        Row({"n": 4}, "c", {"net": 7.0, "fees": 1.0, "win_rate": 0.25}),
    ]

    def order(objective: str) -> list[int]:
        return [row.parameters["n"] for row in Objective(objective).best(rows)]

    assert order("net") == [2, 4, 1]
    assert order("-fees") == [4, 1, 2]
    assert order("win_rate") == [2, 4, 1]
    with pytest.raises(ConfigurationError, match=r"'nte' is no figure .*did you mean \"net\""):
        Objective("nte")


def test_the_table_has_a_line_a_row_and_columns_of_one_kind() -> None:
    rows = [
        Row({"fast": 1, "fees": 0.5, "mode": 1}, "a", {"net": 5.0, "fills": 3}, 0.1),
        Row({"fast": 2, "fees": 1.5, "mode": "x"}, error="broken"),
    ]
    table = table_of(rows)
    assert list(table["fast"]) == [1, 2]
    assert table["fast"].dtype == "int64"
    assert list(table["parameter.fees"]) == [0.5, 1.5]
    assert list(table["mode"]) == [1, "x"]
    assert table["fills"].dtype == "Int64"
    assert table["fills"][0] == 3
    assert table["net"].isna().tolist() == [False, True]
    assert table["error"].tolist() == [None, "broken"]
    assert "folder" not in table
