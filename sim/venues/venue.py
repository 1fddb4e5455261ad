"""The simulated exchange of a local venue: market time, one ledger an account, prices set by hand.

No network, no clock and no wire format is here. What the exchange publishes goes to the ledgers and
then to one listener, the venue's wire layer, which may send commands in answer: they take effect at
the same market time, and what they cause is told behind what caused them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from broker_api.broker import Snapshot
from broker_api.calendar import load_calendar
from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.event import EventKind, EventRow, encode
from broker_api.ledger import Ledger
from broker_api.order import BeyondTop, Command
from data.schema import EMPTY_ASK, EMPTY_BID, RowKind, TapeColumns, joined
from sim.exchange import Exchange
from sim.funds import FundsChange
from sim.venues.present import Present, Touch
from sim.venues.sources import Source, between, columns_of, price_rows, tape_of


class Listener(Protocol):
    """Who is told what the exchange published."""

    def on_events(self, rows: Sequence[EventRow]) -> None:
        """Take the events of one transaction, of all accounts, in their order."""


class Venue:
    """Markets and accounts of a local venue, at one market time.

    Accounts are a fixed pool, numbered from 0; `open_account` gives the next to a new owner.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        accounts: Sequence[AccountConfig],
        simulation: SimulationConfig,
    ) -> None:
        self.instruments = tuple(source.instrument for source in sources)
        self.origins = [source.origin for source in sources]
        self.exchange = Exchange(
            self.instruments,
            [source.tape for source in sources],
            [load_calendar(instrument.calendar) for instrument in self.instruments],
            simulation,
            accounts,
            max(source.tape.start_ns for source in sources),
        )
        self.presents = [
            Present(instrument, tape)
            for instrument, tape in zip(self.instruments, self.exchange.tapes, strict=True)
        ]
        self.ledgers = [
            Ledger(
                self.instruments,
                Snapshot(account.name, account.currency, account.cash_nanos, ()),
                keep_ended=False,
            )
            for account in accounts
        ]
        self.owners: list[str] = []
        self.events: list[EventRow] = []
        self.listener: Listener | None = None
        self.ends_ns = [source.tape.end_ns for source in sources]
        self._index = {each.symbol: index for index, each in enumerate(self.instruments)}
        self._waiting: deque[list[EventRow]] = deque()
        self._is_telling = False
        self._publish(self.exchange.advance_rows(self.exchange.now_ns))

    # --- accounts --------------------------------------------------------------------------------

    def open_account(self, owner: str) -> int:
        """The next account of the pool, for a new owner. Raises ConfigurationError when none is."""
        if len(self.owners) >= len(self.ledgers):
            raise ConfigurationError(
                f"all {len(self.ledgers)} accounts of this venue have an owner; start it with more"
            )
        self.owners.append(owner)
        return len(self.owners) - 1

    def change_funds(self, change: FundsChange, account: int) -> None:
        """Move money, or set a leverage. Raises FundsError, and has changed nothing then."""
        self._publish([encode(event) for event in self.exchange.change_funds(change, account)])

    def taken_lots(self, index: int, sign: int) -> tuple[int, int, int]:
        """What orders took from the side of the tape that buyers (+1) or sellers (-1) take from.

        Lots at the best price and behind it, and the row at which somebody last looked: it counts
        until the touch of that side changes. Nothing where the touch is never used up.
        """
        book = self.exchange.book
        if book["beyond_top"] == BeyondTop.INFINITE:
            return 0, 0, 0
        side = "ask" if sign > 0 else "bid"
        names = [f"i_taken_{side}{what}" for what in ("", "_beyond", "_row")]
        at_best, beyond, row = (int(book[name][index]) for name in names)
        return at_best, beyond, row

    def isolated_nanos(self, account: int, index: int) -> int:
        """What an isolated position stands on, in 1e-9 currency; 0 for a cross one."""
        return self.exchange.isolated_nanos(account, index)

    # --- time and commands -----------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Market time."""
        return self.exchange.now_ns

    def advance_to(self, ts_ns: int) -> None:
        """Let the market run to this time; nothing when it is there already."""
        while self.now_ns < ts_ns:
            self._publish(self.exchange.advance_rows(ts_ns))

    def advance_to_fill(self, until_ns: int) -> bool:
        """As `advance_to`, but no further than the first instant with a fill; True for one."""
        while self.now_ns < until_ns:
            rows = self.exchange.advance_rows(until_ns)
            self._publish(rows)
            if any(row.kind == EventKind.FILLED for row in rows):
                return True
        return False

    def execute(self, command: Command, account: int) -> list[EventRow]:
        """Send an account's command; it takes effect now. The first event is its answer.

        Outside of `on_events` the listener has been told of everything when this returns.
        """
        self.ledgers[account].apply_command(self.now_ns, command)
        rows = self.exchange.execute_rows(command, account)
        self._publish(rows)
        return rows

    def _publish(self, rows: list[EventRow]) -> None:
        if not rows:
            return
        self.events += rows
        for row in rows:
            self.ledgers[row.account].apply_event(row)
        self._waiting.append(rows)
        if self._is_telling:
            return
        self._is_telling = True
        try:
            while self._waiting:
                batch = self._waiting.popleft()
                if self.listener is not None:
                    self.listener.on_events(batch)
        finally:
            self._is_telling = False

    # --- looking ---------------------------------------------------------------------------------

    def index_of(self, symbol: str) -> int:
        """The market's number. Raises ConfigurationError that names those there are."""
        index = self._index.get(symbol)
        if index is None:
            known = ", ".join(self._index)
            raise ConfigurationError(f"{symbol!r} is not a market of this venue; it has {known}")
        return index

    def row(self, index: int) -> int:
        """The row of the market's tape that is in force, -1 before the first."""
        return self.presents[index].row_at(self.now_ns)

    def touch(self, index: int) -> Touch:
        """Best bid and offer that the tape shows now."""
        return self.presents[index].touch(self.row(index))

    def mark_nanos(self, index: int) -> int:
        """What values positions now, in 1e-9 of a price; 0 while unknown."""
        return self.presents[index].mark_nanos(self.row(index))

    def has_ended(self, index: int) -> bool:
        """True when the market's tape has no row any more: its last quote stays."""
        return self.now_ns >= self.ends_ns[index]

    # --- the market by hand ----------------------------------------------------------------------

    def set_price(
        self, index: int, ticks: int, sizes: tuple[int, int], spread_ticks: int = 2
    ) -> None:
        """The market goes to this price, a nanosecond from now, and stays: its tape ends here.

        The touch around the price with (bid, ask) `sizes` in lots, a print of one lot at it, and
        the mark where the market has marks. Raises ConfigurationError for a tape of bars.
        """
        if ticks - spread_ticks // 2 <= 0 and not self.instruments[index].allow_negative_price:
            raise ConfigurationError(
                f"price of {self.instruments[index].symbol}: {ticks} ticks leave no room for a "
                f"bid with a spread of {spread_ticks} ticks"
            )
        rows = price_rows(
            self.instruments[index],
            self.now_ns + 1,
            ticks,
            sizes,
            with_mark=self.presents[index].has_marks,
            spread_ticks=spread_ticks,
        )
        self._go_on_with(index, rows, keep_rest=False)

    def set_halt(self, index: int, *, halted: bool) -> None:
        """The market halts, or trades again, a nanosecond from now; its tape goes on meanwhile."""
        now = self.presents[index].touch(self.row(index))
        row = {
            "ts": self.now_ns + 1,
            "kind": RowKind.HALT if halted else RowKind.RESUME,
            "side": 0,
            "px": 0,
            "qty": 0,
            "bid": EMPTY_BID if now.bid_ticks is None else now.bid_ticks,
            "ask": EMPTY_ASK if now.ask_ticks is None else now.ask_ticks,
            "bid_qty": now.bid_lots,
            "ask_qty": now.ask_lots,
        }
        self._go_on_with(index, columns_of([row]), keep_rest=True)

    def _go_on_with(self, index: int, rows: TapeColumns, *, keep_rest: bool) -> None:
        present, instrument = self.presents[index], self.instruments[index]
        if present.tape.bar_interval_ns:
            raise ConfigurationError(
                f"{instrument.symbol} plays a tape of bars; prices and halts by hand need ticks"
            )
        here = self.row(index) + 1
        parts = [between(present.tape.columns, 0, here), rows]
        if keep_rest:
            parts.append(between(present.tape.columns, here))
        tape = tape_of(joined(*parts), instrument, present.tape)
        tapes = self.exchange.tapes
        self.exchange.continue_on((*tapes[:index], tape, *tapes[index + 1 :]))
        self.presents[index] = Present(instrument, tape)
        self.ends_ns[index] = tape.end_ns
        self.advance_to(self.now_ns + 1)
