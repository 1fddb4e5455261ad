"""Adding to a loser, under the rules of a funded account: the daily loss ends the day."""

import asyncio

from papertape import AccountHaltedError, RiskLimitError, TradingSuite


async def funded_account_day(suite: TradingSuite, step: int = 10) -> None:
    """Buy `step` more every minute, until a rule says no and until the account is halted."""
    mnq = suite["MNQ"]
    refused = 0
    for _ in range(22):
        try:
            await mnq.orders.place_market_order("MNQ", "buy", step)
        except AccountHaltedError:
            break
        except RiskLimitError:
            refused += 1  # Sixty micros count as six contracts, one above the limit.
        await asyncio.sleep(60)
    assert refused > 0
    assert suite.risk.halted is not None
    assert mnq.positions.position().is_flat
