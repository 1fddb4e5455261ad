"""Faults on the way between clients and a venue: rules, chances, what is refused."""

from __future__ import annotations

import pytest

from broker_api.errors import ConfigurationError
from sim.venues.faults import Chaos, Fault, FaultKind, Faults


def happening(faults: Faults, *names: str, times: int = 5) -> list[str | None]:
    found = [faults.of_request(names) for _ in range(times)]
    return [None if fault is None else fault.kind.value for fault in found]


def test_a_rule_lets_some_pass_and_happens_so_often() -> None:
    faults = Faults()
    faults.add([Fault.parse({"kind": "drop_after", "skip": 1, "count": 2})], None)
    assert happening(faults, "exchange") == [None, "drop_after", "drop_after", None, None]
    assert faults.happened == {"drop_after": 2}
    assert faults.table()["rules"] == []


def test_a_rule_matches_a_name_of_the_request() -> None:
    faults = Faults()
    faults.add([Fault.parse({"kind": "429", "match": "order"})], None)
    assert happening(faults, "exchange", "cancel", times=2) == [None, None]
    assert happening(faults, "exchange", "order", times=2) == ["429", None]


def test_rules_of_frames_and_of_requests_do_not_meet() -> None:
    faults = Faults()
    faults.add([Fault(FaultKind.FRAME_DROP), Fault(FaultKind.ERROR_BEFORE)], None)
    first = faults.of_frame(("l2Book",))
    assert first is not None
    assert first.kind is FaultKind.FRAME_DROP
    assert faults.of_frame(("l2Book",)) is None
    assert happening(faults, "info", times=2) == ["500_before", None]


def test_chaos_is_the_same_for_the_same_seed_and_near_its_rates() -> None:
    table = {"seed": 7, "rates": {"drop_after": 0.2, "delay_after": 0.1}, "ms": 9}

    def draw(**changes: object) -> list[Fault | None]:
        faults = Faults()
        faults.add([], Chaos.parse({**table, **changes}))
        return [faults.of_request(("exchange",)) for _ in range(2000)]

    first = draw()
    assert first == draw()
    assert first != draw(seed=8)
    kinds = [fault.kind for fault in first if fault is not None]
    assert 320 < kinds.count(FaultKind.DROP_AFTER) < 480
    assert 140 < kinds.count(FaultKind.DELAY_AFTER) < 260
    assert {fault.ms for fault in first if fault is not None} == set(range(10))


def test_chaos_of_requests_leaves_frames_alone() -> None:
    faults = Faults()
    faults.add([], Chaos.parse({"rates": {"drop_after": 1.0}}))
    assert [faults.of_frame(("bbo",)) for _ in range(20)] == [None] * 20
    faults.clear()
    assert happening(faults, "exchange") == [None] * 5


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "drop_aftr"}, 'did you mean "drop_after"'),
        ({"kind": "429", "counts": 2}, 'did you mean "count"'),
        ({"kind": "429", "count": 0}, "below 1"),
        ({"kind": "429", "skip": -1}, "whole number"),
        ({"kind": "429", "skip": True}, "whole number"),
        ({"kind": "429", "match": 4}, "no text"),
        ({"kind": "delay_after", "ms": 10**7}, "above"),
        ({}, "no kind of fault"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(table: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Fault.parse(table)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"rates": {"drop": 0.1}}, "no kind of fault"),
        ({"rates": {"429": 1.5}}, "from 0 to 1"),
        ({"rates": {"429": float("nan")}}, "from 0 to 1"),
        ({"rates": {"429": "0.1"}}, "from 0 to 1"),
        ({"rates": [1]}, "needs rates"),
        ({"seeds": 3}, "no 'seeds'"),
    ],
)
def test_chaos_that_makes_no_sense_is_refused(table: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Chaos.parse(table)
