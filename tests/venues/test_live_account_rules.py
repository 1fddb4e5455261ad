"""Account rules on live adapters: flat and halted whatever is lost, and so after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker_api.errors import AccountHaltedError
from broker_api.suite import TradingSuite
from tests.conformance.stage import LIVE, SETTLE_SECONDS, Venue
from tests.venues.adapter import until

PLACE = {"hyperliquid": "order", "projectx": "place"}
LOST: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "the close, on its way there": [{"kind": "drop_before", "match": "PLACE"}],
    "the answer to the close": [{"kind": "drop_after", "match": "PLACE"}],
    "the cancel": [{"kind": "drop_before", "match": "cancel"}],
}


@pytest.fixture(params=sorted(LIVE))
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Venue, Any]]:
    venue = LIVE[request.param]
    with venue.serve() as server:
        yield venue, server


async def faults(venue: Venue, server: Any, lost: str) -> None:
    named = {"PLACE": PLACE[venue.name]}
    rules = [{**rule, "match": named.get(rule["match"], rule["match"])} for rule in LOST[lost]]
    await asyncio.to_thread(server.control, "/faults", rules=rules)


async def session(venue: Venue, server: Any, folder: Path) -> TradingSuite:
    return await TradingSuite.create(
        [venue.symbol],
        broker=venue.broker(server),
        risk={"kill_switch": {"file": str(folder / "STOP")}, "check_seconds": 0.05},
        risk_state=folder / "risk.json",
    )


@pytest.mark.parametrize("lost", LOST)
def test_the_kill_switch_ends_orders_and_positions_and_a_restart_changes_nothing(
    place: tuple[Venue, Any], lost: str, tmp_path: Path
) -> None:
    venue, server = place

    async def main() -> None:
        async with await session(venue, server, tmp_path) as suite:
            orders, size = suite[venue.symbol].orders, 2 * venue.lot
            await orders.place_bracket_order(
                venue.symbol, "buy", size, stop_offset=50, target_offset=50
            )
            ledger = suite.session.ledger
            await until(
                lambda: sum(each.status == "open" for each in ledger.working.values()) == 2,
                SETTLE_SECONDS,
            )
            await orders.place_limit_order(venue.symbol, "buy", size, venue.base - 80)
            await faults(venue, server, lost)
            (tmp_path / "STOP").touch()
            await until(lambda: suite.risk.halted is not None, SETTLE_SECONDS)
            await until(
                lambda: ledger.positions[0].lots == 0 and not ledger.working, SETTLE_SECONDS
            )
            with pytest.raises(AccountHaltedError, match="kill switch is on"):
                await orders.place_market_order(venue.symbol, "buy", size)
        (tmp_path / "STOP").unlink()
        async with await session(venue, server, tmp_path) as suite:
            assert suite.session.ledger.positions[0].lots == 0
            with pytest.raises(AccountHaltedError, match="halted for good"):
                await suite[venue.symbol].orders.place_market_order(venue.symbol, "buy", size)

    asyncio.run(main())
