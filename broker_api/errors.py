"""What can go wrong with an order, as a tree; every class says whether the order may exist.

`TradingError` is the root. Refusals carry the field, the value and the limit in their text; the
classes tell a program what to do, the text tells a person.
"""

from __future__ import annotations

from typing import Any


class TradingError(Exception):
    """Root of everything that papertape raises about trading.

    `order_may_exist` tells whether the venue may hold the order in spite of the error.
    """

    order_may_exist: bool = False


class ConfigurationError(TradingError):
    """A setting, file or argument is wrong; nothing was started or sent. No order exists."""


class SecretError(ConfigurationError):
    """A key, token or password is missing, or lies where others can read it; never shows it."""


class BrokerError(TradingError):
    """The broker or its connection failed, not one order. No new order exists."""


class NotSentError(BrokerError):
    """The command never left. No order exists, and none is changed."""


class NotConnectedError(NotSentError):
    """The suite is disconnected; nothing was sent. No order exists."""


class RateLimited(NotSentError):
    """The venue's limits would have let the command wait longer than its bound. No order exists.

    `wait_ns` is how long it would have waited, `bound_ns` how long it might have.
    """

    def __init__(self, message: str = "", *, wait_ns: int = 0, bound_ns: int = 0) -> None:
        super().__init__(message)
        self.wait_ns = wait_ns
        self.bound_ns = bound_ns


class FundsError(TradingError):
    """A deposit, leverage or margin was not changed; `reason` is a word for programs.

    insufficient_margin, open_position, not_isolated, leverage or unknown_instrument.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class RunawayStrategy(TradingError):
    """More commands at one instant of simulated time than any sane program sends."""


class StrategyError(TradingError):
    """A compiled strategy raised; the text is its own. Orders that it sent before may exist."""

    order_may_exist = True


class JournalError(TradingError):
    """Root of what concerns the file of a session's journal. `file` is its path."""

    def __init__(self, file: str, what: str) -> None:
        super().__init__(f"{file}: {what}")
        self.file = file
        self.what = what


class JournalDamaged(JournalError):
    """The file is not what was written, from `record` on; all before it is intact.

    Orders of the records that are lost may exist at the venue.
    """

    order_may_exist = True

    def __init__(self, file: str, record: int, what: str) -> None:
        super().__init__(file, f"record {record}: {what}")
        self.record = record
        self.what = what


class JournalLocked(JournalError):
    """Another process writes this journal; `pid` is its id, 0 if it did not tell. Nothing sent."""

    def __init__(self, file: str, pid: int) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(file, f"{who} is writing this journal; a journal has one writer")
        self.pid = pid


class JournalWriteError(JournalError):
    """A record did not reach the disk, and no other will. What it tells of was not sent."""


class JournalFull(JournalWriteError):
    """As JournalWriteError: the disk is full."""


class OrderError(TradingError):
    """Root of what concerns one order. No order exists unless the subclass says so."""

    def __init__(self, message: str = "", *, order: Any = None, reason: Any = None) -> None:
        super().__init__(message)
        self.order = order
        self.reason = reason


class OrderRejectedError(OrderError):
    """The order was refused, before sending or by the venue. No order exists."""


class InsufficientMarginError(OrderRejectedError):
    """Equity does not cover the margin. No order exists."""


class InvalidOrderError(OrderRejectedError):
    """The order makes no sense as written. No order exists."""


class InvalidPriceError(InvalidOrderError):
    """A price is missing, off the tick, or on the wrong side. No order exists."""


class InvalidSizeError(InvalidOrderError):
    """A size is zero, negative, off the lot, or outside the limits. No order exists."""


class MarketClosedError(OrderRejectedError):
    """The market is closed or halted. No order exists."""


class RiskLimitError(OrderRejectedError):
    """A limit of the session refuses the order. No order exists."""


class AccountHaltedError(RiskLimitError):
    """An account rule has halted the account; what reduces exposure passes. No order exists."""


class PostOnlyWouldCrossError(OrderRejectedError):
    """A post-only order would have taken liquidity. No order exists."""


class ReduceOnlyError(OrderRejectedError):
    """A reduce-only order has nothing to reduce. No order exists."""


class OrderNotFoundError(OrderError):
    """No order of this session has this id. No order exists."""


class OrderNotActiveError(OrderError):
    """The order has ended, or cannot be changed any more; the text says how it ended."""


class OrderUncertainError(OrderError):
    """Nobody knows whether the venue holds the order. It MAY exist: look before resending."""

    order_may_exist = True


class OrderTimeoutError(OrderError):
    """A wait ended before the order did. The order exists and is untouched; it is in `order`."""

    order_may_exist = True


ProjectXOrderError = OrderError
"""The vendor's name of OrderError."""
