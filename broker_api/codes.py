"""The journal's codes, written once: every kind of event, and every reason. None ever changes."""

from __future__ import annotations

from enum import IntEnum


class EventKind(IntEnum):
    """The journal's code of every event."""

    ACCEPTED = 1
    REJECTED = 2
    TRIGGERED = 3
    FILLED = 4
    CANCELLED = 5
    EXPIRED = 6
    REPLACED = 7
    REPLACE_REJECTED = 8
    CANCEL_REJECTED = 9
    ACTIVATED = 10
    HELD = 11
    UNPROTECTED = 12
    LIQUIDATION = 13
    POSITION = 14
    ACCOUNT = 15
    UNCERTAIN = 16
    HALTED = 17
    RESUMED = 18
    FUNDING = 19
    DEPOSITED = 20
    DOUBLE_EXIT = 21
    DISCREPANCY = 22
    RISK_REFUSED = 23
    RISK_FLATTENED = 24
    RISK_HALTED = 25
    RISK_LIFTED = 26
    SESSION_RESUMED = 27


class Reason(IntEnum):
    """Why: of a refusal, a cancel, or a change. Codes are grouped by the event they come with."""

    NONE = 0
    # refusals, in the order in which the exchange checks them (docs/fills.md)
    UNKNOWN_INSTRUMENT = 1
    MARKET_CLOSED = 2
    MARKET_HALTED = 3
    EXPIRY_IN_THE_PAST = 4
    SIZE_NOT_POSITIVE = 5
    SIZE_OFF_LOT = 6
    SIZE_BELOW_MINIMUM = 7
    SIZE_ABOVE_MAXIMUM = 8
    PRICE_MISSING = 9
    PRICE_NOT_POSITIVE = 10
    PRICE_OFF_TICK = 11
    PRICE_OUTSIDE_BAND = 12
    STOP_WRONG_SIDE = 13
    NO_TRIGGER_SOURCE = 14
    NO_POSITION_TO_REDUCE = 15
    REDUCE_ONLY_WRONG_SIDE = 16
    RISK_LIMIT = 17
    INSUFFICIENT_MARGIN = 18
    POST_ONLY_WOULD_TAKE = 19
    NO_LIQUIDITY = 20
    BRACKET_LEVELS = 21
    TOO_MANY_ORDERS = 22
    DUPLICATE_CLIENT_ORDER_ID = 23
    UNSUPPORTED = 24
    # refusals that only real venues and their likenesses know
    BELOW_MINIMUM_VALUE = 25
    REFUSED_BY_VENUE = 26
    NOT_ARRIVED = 27
    # account rules of the session (risk.py): RISK_LIMIT and these
    POSITION_LIMIT = 28
    DAILY_LOSS = 29
    TRAILING_DRAWDOWN = 30
    CONTRACTS = 31
    FLAT_BY = 32
    ORDER_RATE = 33
    FAR_FROM_MARKET = 34
    KILL_SWITCH = 35
    # refusals of replace and cancel
    UNKNOWN_ORDER = 40
    ORDER_NOT_ACTIVE = 41
    SIZE_BELOW_FILLED = 42
    NOT_MODIFIABLE = 43
    # cancels
    BY_USER = 60
    SIBLING = 61
    ENTRY_ENDED = 62
    IOC_REST = 63
    FOK_NOT_AVAILABLE = 64
    POSITION_FLAT = 65
    REDUCE_ONLY_DONE = 66
    SELF_TRADE = 67
    LIQUIDATED = 68
    MARKET_REST = 69
    POST_ONLY_AT_TRIGGER = 70
    # cancels that only real venues and their likenesses know
    UNCOVERED = 71
    SCHEDULED = 72
    BY_VENUE = 73
    ENDED_AWAY = 74
    # changes that the exchange made by itself
    EXIT_RESIZED = 80
    EXIT_REPRICED = 81
    OCO_RESIZED = 82
    COMPLETED_BY_SIZE = 83
    PROTECTION_LIMIT = 84
    TRAILED = 85
    FILLED_BEYOND = 86
    """It filled, or will fill, more than was asked: a fill overtook a change of it."""
    # orders that the session did not ask for
    NOT_OURS = 90
    REPAIR = 91
    # what a broker's books and ours disagree about, and nothing explains
    POSITION_DIFFERS = 100
    CASH_DIFFERS = 101
    FILLS_MISSING = 102
    FILLS_TOO_MANY = 103
    TERMS_UNKNOWN = 104
