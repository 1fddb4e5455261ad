"""What moves an account's money without a trade: deposits, leverage, an isolated position's margin.

These are not orders: each is asked of the exchange at its present time, happens at once or is
refused with FundsError, and leaves everything as it was when it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.config import AccountConfig
from broker_api.errors import ConfigurationError, FundsError
from broker_api.instrument import Instrument, from_nanos
from sim import doors
from sim.book import MAX_INSTRUMENTS
from sim.set_up import set_up_tiers


@dataclass(frozen=True, slots=True)
class Deposit:
    """Cash comes in; a negative amount goes out, as far as no margin needs it (1e-9 currency)."""

    nanos: int


@dataclass(frozen=True, slots=True)
class SetLeverage:
    """Positions of an instrument get `leverage`, and a margin of their own if `isolated`.

    The mode changes only while the position is flat. A lower leverage needs the margin for what
    is open and working: of an isolated position it is taken from free cash.
    """

    symbol: str
    leverage: int
    isolated: bool


@dataclass(frozen=True, slots=True)
class MoveMargin:
    """Free cash into an isolated position's margin; a negative amount back (1e-9 currency).

    What goes in must be free; what comes out must leave the position its initial margin.
    """

    symbol: str
    nanos: int


FundsChange = Deposit | SetLeverage | MoveMargin


class Funds:
    """Applies changes to the record of an exchange; events go to its buffer.

    `accounts` are their settings as they are in force.
    """

    def __init__(
        self,
        array: npt.NDArray[Any],
        events: npt.NDArray[Any],
        instruments: Sequence[Instrument],
        accounts: Sequence[AccountConfig],
    ) -> None:
        self._array = array
        self._book: np.void = array[0]
        self._events = events
        self._instruments = tuple(instruments)
        self.accounts = list(accounts)

    def apply(self, change: FundsChange, account: int) -> None:
        """Make a change. Raises FundsError, and leaves everything as it was."""
        before, config = self._array.copy(), self.accounts[account]
        try:
            match change:
                case Deposit(nanos):
                    self._deposit(account, nanos)
                case SetLeverage():
                    self._set_leverage(account, change)
                case MoveMargin(symbol, nanos):
                    self._move_margin(account, self._index(symbol), nanos)
        except FundsError:
            self._array[:] = before
            self.accounts[account] = config
            raise
        self._book["interest_stale"] = 1
        doors.refresh_interest(self._array)

    def _index(self, symbol: str) -> int:
        for index, instrument in enumerate(self._instruments):
            if instrument.symbol == symbol:
                return index
        raise FundsError(f"{symbol} is not an instrument of this exchange", "unknown_instrument")

    def _free(self, account: int) -> int:
        return int(doors.free_margin(self._array, account))

    def _deposit(self, account: int, nanos: int) -> None:
        free = max(0, self._free(account))
        if -nanos > free:
            raise _short(f"a withdrawal of {from_nanos(-nanos)}", free)
        doors.deposit(self._array, self._events, account, nanos)

    def _set_leverage(self, account: int, change: SetLeverage) -> None:
        book, index = self._book, self._index(change.symbol)
        instrument, holding = self._instruments[index], account * MAX_INSTRUMENTS + index
        lots = int(book["p_position"][holding])
        if lots and bool(book["p_isolated"][holding]) != change.isolated:
            raise FundsError(
                f"{instrument.symbol} has an open position; cross and isolated margin change only "
                "while it is flat",
                "open_position",
            )
        try:
            config = self.accounts[account].with_leverage(
                instrument, change.leverage, isolated=change.isolated
            )
            config.check_instruments(self._instruments)
        except ConfigurationError as failure:
            raise FundsError(str(failure), "leverage") from None
        free = self._free(account)
        self.accounts[account] = config
        book["p_isolated"][holding] = change.isolated
        set_up_tiers(book, holding, config.margin_tiers(instrument))
        if change.isolated:
            needed = int(doors.position_margin(self._array, holding))
            book["p_bucket"][holding] = max(needed, int(book["p_bucket"][holding]))
        if self._free(account) < min(free, 0):
            raise _short(f"leverage {change.leverage} of {instrument.symbol}", max(0, free))

    def _move_margin(self, account: int, index: int, nanos: int) -> None:
        book, symbol = self._book, self._instruments[index].symbol
        holding = account * MAX_INSTRUMENTS + index
        if not book["p_isolated"][holding] or not book["p_position"][holding]:
            raise FundsError(f"{symbol} has no position with a margin of its own", "not_isolated")
        free = max(0, self._free(account))
        if nanos > free:
            raise _short(f"{from_nanos(nanos)} for the position in {symbol}", free)
        spare = int(doors.isolated_equity(self._array, holding))
        spare = max(0, spare - int(doors.position_margin(self._array, holding)))
        if -nanos > min(spare, int(book["p_bucket"][holding])):
            raise _short(f"{from_nanos(-nanos)} out of the position in {symbol}", spare)
        book["p_bucket"][holding] += nanos


def _short(what: str, free: int) -> FundsError:
    return FundsError(f"{what} is more than the free {from_nanos(free)}", "insufficient_margin")
