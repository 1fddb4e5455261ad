"""From settings and instruments to the numbers of a new book."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_api.config import AccountConfig, SimulationConfig
from broker_api.errors import ConfigurationError
from broker_api.instrument import MAX_TIERS, NANOS, Instrument, MarginTier, to_nanos
from broker_api.order import TriggerSource
from data.tape import Tape
from sim.book import MAX_ACCOUNTS, MAX_INSTRUMENTS, new_book


def trigger_source_of(instrument: Instrument, tape: Tape) -> tuple[TriggerSource, str | None]:
    """The source that triggers stops on this tape, and a note when it is not the instrument's own.

    A tape without marks falls back to the last trade, one without trades to bid and ask; on one of
    bars the price itself triggers.
    """
    source = instrument.trigger_source
    if tape.bar_interval_ns:
        source = TriggerSource.LAST
    if source is TriggerSource.MARK and not tape.has_marks:
        source = TriggerSource.LAST
    if source is TriggerSource.LAST and not tape.has_trades:
        source = TriggerSource.BID_ASK
    if source is instrument.trigger_source:
        return source, None
    if tape.bar_interval_ns:
        return source, f"{instrument.symbol}: the tape is made of bars; stops trigger on its price"
    wanted, used = instrument.trigger_source.name.lower(), source.name.lower()
    return source, f"{instrument.symbol}: the tape has no {wanted} prices; stops trigger on {used}"


def set_up_book(
    instruments: Sequence[Instrument],
    tapes: Sequence[Tape],
    simulation: SimulationConfig,
    accounts: Sequence[AccountConfig],
    start_ns: int,
) -> tuple[npt.NDArray[Any], list[str]]:
    """A book before its first row, with every setting in it, and notes for the run's reader.

    Raises ConfigurationError for accounts that do not fit the instruments or the tapes.
    """
    check_accounts(accounts, instruments, tapes)
    array = new_book(len(instruments), len(accounts))
    book = array[0]
    book["queue_model"] = simulation.queue_model
    book["queue_power_halves"] = round(simulation.queue_power * 2)
    book["beyond_top"] = simulation.beyond_top_model
    book["self_trade"] = simulation.self_trade_policy
    book["trade_through_all"] = simulation.trade_through == "all"
    book["stop_wrong_side_triggers"] = simulation.stop_wrong_side == "trigger"
    book["margin_on"] = simulation.margin
    book["fees_on"] = simulation.fees
    book["visit_every_row"] = simulation.visit_every_row
    notes: list[str] = []
    for index, (instrument, tape) in enumerate(zip(instruments, tapes, strict=True)):
        notes += _set_up_instrument(book, index, instrument, tape)
        before = int(np.searchsorted(tape.columns.ts, start_ns, side="left"))
        book["i_known_from"][index] = before
        book["i_cursor"][index] = before - 1
    for number, account in enumerate(accounts):
        book["a_cash"][number] = account.cash_nanos
        for index, instrument in enumerate(instruments):
            holding = number * MAX_INSTRUMENTS + index
            book["p_isolated"][holding] = account.is_isolated(instrument)
            set_up_tiers(book, holding, account.margin_tiers(instrument))
    return array, notes


def check_accounts(
    accounts: Sequence[AccountConfig], instruments: Sequence[Instrument], tapes: Sequence[Tape]
) -> None:
    """Raise ConfigurationError for accounts that cannot trade on this book."""
    if not 0 < len(accounts) <= MAX_ACCOUNTS:
        raise ConfigurationError(
            f"{len(accounts)} accounts on one book; the limit is {MAX_ACCOUNTS}"
        )
    for account in accounts:
        account.check_instruments(instruments)
    for instrument, tape in zip(instruments, tapes, strict=True):
        if len(accounts) > 1 and tape.bar_interval_ns:
            raise ConfigurationError(
                f"{instrument.symbol}: its tape is made of bars; "
                f"{len(accounts)} accounts on one book need quotes or trades"
            )


def _set_up_instrument(book: np.void, index: int, instrument: Instrument, tape: Tape) -> list[str]:
    source, note = trigger_source_of(instrument, tape)
    values = {
        "tick_value": instrument.tick_value_nanos,
        "tick_nanos": int(instrument.tick_size * NANOS),
        "fee_lot": instrument.fee_lot_nanos,
        "maker_ppm": instrument.maker_fee_ppm,
        "taker_ppm": instrument.taker_fee_ppm,
        "initial_lot": instrument.initial_margin_lot_nanos,
        "maintenance_lot": instrument.maintenance_margin_lot_nanos,
        "band_ticks": instrument.price_band_ticks,
        "band_ppm": instrument.price_band_ppm,
        "min_lots": instrument.min_lots,
        "max_lots": instrument.max_lots,
        "negative_price": instrument.allow_negative_price,
        "trigger_source": source,
        "bbo_after_trade": tape.bbo_after_trade,
        "bar": tape.bar_interval_ns > 0,
    }
    for name, value in values.items():
        book[f"i_{name}"][index] = value
    return ([note] if note else []) + list(tape.notes)


def set_up_tiers(book: np.void, holding: int, tiers: Sequence[MarginTier]) -> None:
    """Put an account's margin tiers of an instrument in force."""
    book["p_tiers"][holding] = len(tiers)
    for at, tier in enumerate(tiers, holding * MAX_TIERS):
        book["t_from"][at] = to_nanos(tier.notional_from)
        book["t_initial"][at] = tier.initial_ppm
        book["t_maintenance"][at] = tier.maintenance_ppm
