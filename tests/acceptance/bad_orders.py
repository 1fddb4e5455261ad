"""Orders, changes and questions that are refused: the call, the error, parts of its text."""

from __future__ import annotations

from papertape import (
    InsufficientMarginError,
    InvalidOrderError,
    InvalidPriceError,
    InvalidSizeError,
    OrderNotActiveError,
    OrderNotFoundError,
    OrderTimeoutError,
    PostOnlyWouldCrossError,
    ReduceOnlyError,
    TradingError,
)

PLACE = "orders.place_limit_order('MNQ', 0, 1, 20900, {})"
OCO = "orders.place_oco_order('MNQ', 1, {}, {{'type': 'stop', 'side': 1, 'stop_price': 20950}})"
Case = tuple[str, type[TradingError], list[str]]
SIZE, PRICE, ORDER = InvalidSizeError, InvalidPriceError, InvalidOrderError

ORDERS: list[Case] = [
    # what, and how much
    ("orders.place_limit_order('MNX', 0, 1, 20900)", ORDER, ["'MNX'", 'did you mean "MNQ"']),
    ("orders.place_limit_order('ES', 0, 1, 20900)", ORDER, ["'ES' is not in this session", "MNQ"]),
    ("orders.place_limit_order('MNQ', 2, 1, 20900)", ORDER, ["side 2", "0 is buy, 1 is sell"]),
    ("orders.place_market_order('MNQ', 'sel', 1)", ORDER, ["side 'sel'", 'did you mean "sell"']),
    ("orders.place_market_order('MNQ', True, 1)", ORDER, ["side True is not one of"]),
    ("orders.place_market_order('MNQ', 0, 0)", SIZE, ["size 0 is not positive", "least", "1"]),
    ("orders.place_market_order('MNQ', 0, -3)", SIZE, ["size -3 is not positive"]),
    ("orders.place_market_order('MNQ', 0, 0.5)", SIZE, ["size 0.5", "lot size 1 of MNQ"]),
    ("orders.place_market_order('MNQ', 0, float('nan'))", SIZE, ["size nan is not a usable"]),
    ("orders.place_market_order('MNQ', 0, 'two')", SIZE, ["size 'two' is not a usable number"]),
    ("orders.place_market_order('MNQ', 0, None)", SIZE, ["size None is not a usable number"]),
    ("orders.place_market_order('MNQ', 0, 1001)", SIZE, ["size 1001", "largest size 1000"]),
    ("orders.place_market_order('MNQ', 0, 1e300)", SIZE, ["size 1e+300 is not a usable"]),
    (
        "orders.place_market_order('MNQ', 0, 600)",
        InsufficientMarginError,
        ["needs 60000.00 USD", "49", "available"],
    ),
    # at which price
    (
        "orders.place_limit_order('MNQ', 0, 1, 20900.13)",
        PRICE,
        ["limit_price 20900.13", "tick size 0.25 of MNQ", "nearest are 20900 and 20900.25"],
    ),
    ("orders.place_limit_order('MNQ', 0, 1, -5)", PRICE, ["limit_price -5 of MNQ is not positive"]),
    ("orders.place_limit_order('MNQ', 0, 1, float('inf'))", PRICE, ["limit_price inf"]),
    ("orders.place_limit_order('MNQ', 0, 1, None)", PRICE, ["limit_price", "missing"]),
    ("orders.place_limit_order('MNQ', 0, 1, 'cheap')", PRICE, ["limit_price 'cheap'"]),
    (
        "orders.place_stop_order('MNQ', 1, 1, 21500)",
        PRICE,
        ["stop_price 21500.00 of a sell is not below the market of MNQ at 210"],
    ),
    ("orders.place_stop_order('MNQ', 0, 1, 20900)", PRICE, ["of a buy is not above the market"]),
    (
        "orders.place_stop_limit_order('MNQ', 1, 1, 20900.1, 20900)",
        PRICE,
        ["stop_price 20900.1", "tick size 0.25"],
    ),
    ("orders.place_trailing_stop_order('MNQ', 1, 1)", PRICE, ["trail_ticks or trail_percent"]),
    (
        "orders.place_trailing_stop_order('MNQ', 1, 1, trail_percent=200)",
        PRICE,
        ["trail_percent 200", "between 0 and 100"],
    ),
    # for how long, and how
    (PLACE.format("time_in_force='DYA'"), ORDER, ["time_in_force 'DYA'", 'did you mean "day"']),
    (PLACE.format("time_in_force='GTD'"), ORDER, ["gtd needs expires_at"]),
    (
        PLACE.format("time_in_force='GTC', expires_at=1"),
        ORDER,
        ["expires_at goes with time_in_force gtd, not gtc"],
    ),
    (
        PLACE.format("expires_at=datetime(2020, 1, 1, tzinfo=UTC)"),
        ORDER,
        ["expires_at 2020-01-01T00:00:00", "is not after the market's time 2025-01-14T14:30:01"],
    ),
    (PLACE.format("expires_at=datetime(2030, 1, 1)"), ORDER, ["has no time zone"]),
    (
        "orders.place_limit_order('MNQ', 0, 1, 21100, post_only=True)",
        PostOnlyWouldCrossError,
        ["post-only buy at 21100.00 would take liquidity of MNQ at 210"],
    ),
    ("orders.place_market_order('MNQ', 0, 1, post_only=True)", ORDER, ["post_only", "market"]),
    (PLACE.format("post_only=1"), ORDER, ["post_only 1 is not True or False"]),
    (
        PLACE.format("reduce_only=True"),
        ReduceOnlyError,
        ["a reduce-only buy would add to the position 2 in MNQ"],
    ),
    (PLACE.format("protection_ticks=2"), ORDER, ["protection_ticks is for market and stop"]),
    (
        "orders.place_market_order('MNQ', 0, 1, protection_ticks=-1)",
        PRICE,
        ["protection_ticks -1", "at least 0"],
    ),
    (PLACE.format("client_order_id='2'"), ORDER, ["client_order_id '2'", "already used"]),
    (PLACE.format("client_order_id=7"), ORDER, ["client_order_id 7 is not a text"]),
    # brackets and pairs
    ("orders.place_bracket_order('MNQ', 0, 1)", ORDER, ["a bracket needs a stop or a target"]),
    (
        "orders.place_bracket_order('MNQ', 0, 1, stop_offset=1, stop_ticks=4)",
        ORDER,
        ["stop_offset and stop_ticks exclude each other"],
    ),
    (
        "orders.place_bracket_order('MNQ', 0, 1, stop_offset=-25)",
        PRICE,
        ["stop_offset -25 is not positive"],
    ),
    (
        "orders.place_bracket_order('MNQ', 0, 1, target_offset=0.1)",
        PRICE,
        ["target_offset 0.1", "tick size 0.25"],
    ),
    (
        "orders.place_bracket_order('MNQ', 0, 1, 20900, stop_price=20950)",
        PRICE,
        ["bracket price 20950.00", "wrong side of 20900.00", "stop < entry < target"],
    ),
    (
        "orders.place_bracket_order('MNQ', 0, 1, target_price=20000)",
        PRICE,
        ["bracket price 20000.00", "wrong side of 210"],
    ),
    (
        "orders.place_bracket_order('MNQ', 0, 1, stop_offset=1, arm='ful')",
        ORDER,
        ["arm 'ful'", 'did you mean "full"'],
    ),
    (
        OCO.format("{'type': 'limt', 'side': 1, 'price': 21100}"),
        ORDER,
        ["first_order type 'limt'", 'did you mean "limit"'],
    ),
    (OCO.format("{'type': 'limit', 'price': 21100}"), ORDER, ["first_order has no 'side'"]),
    (OCO.format("{'type': 'limit', 'side': 1}"), PRICE, ["first_order price", "missing"]),
    (OCO.format("[21100]"), ORDER, ["first_order is not a table"]),
    (
        OCO.format("{'type': 'stop', 'side': 1, 'stop_price': 21500}"),
        PRICE,
        ["stop_price 21500.00", "not below the market"],
    ),
    # changes and cancels
    ("orders.modify_order(2, limit_price=20900.1)", PRICE, ["limit_price 20900.1", "0.25"]),
    ("orders.modify_order(2, limit_price=-5)", PRICE, ["limit_price -5 of MNQ is not positive"]),
    ("orders.modify_order(2, size=0)", SIZE, ["order 2 stays as it was", "size 0"]),
    ("orders.modify_order(2, size=1001)", SIZE, ["stays as it was", "1001", "largest size 1000"]),
    (
        "orders.modify_order(2, size=600)",
        InsufficientMarginError,
        ["order 2 stays as it was", "of margin", "available"],
    ),
    ("orders.modify_order(2, stop_price=20900)", ORDER, ["order 2 is a limit order", "stop_price"]),
    ("orders.modify_order(1, size=2)", OrderNotActiveError, ["order 1 is not active", "filled"]),
    ("orders.modify_order(ended, size=2)", OrderNotActiveError, ["cancelled by the user"]),
    ("orders.modify_order(99, size=2)", OrderNotFoundError, ["order 99", "orders are 1 to 8"]),
    ("orders.cancel_order(ended)", OrderNotActiveError, ["order 6", "cancelled by the user"]),
    ("orders.cancel_order('mine')", OrderNotFoundError, ["order 'mine' is not of this session"]),
    # what follows from the position
    ("orders.close_position('MNQ', method='limt')", ORDER, ["method 'limt'", "market, limit"]),
    (
        "orders.close_position('MNQ', limit_price=1)",
        ORDER,
        ['limit_price goes with method "limit"'],
    ),
    ("orders.reduce_position('MNQ', percentage=50)", SIZE, ["percentage 50", "at most 1"]),
    (
        "orders.reduce_position('MNQ', percentage=0.1)",
        SIZE,
        ["0.1 of the position 2 in MNQ is less than one lot of 1"],
    ),
    (
        "orders.scale_out_position('MNQ', levels=[{'percentage': 0.6, 'price': 21100}] * 2)",
        SIZE,
        ["percentages sum to 1.2", "above 1"],
    ),
    (
        "orders.scale_out_position('MNQ', levels=[{'percentage': 0.6}])",
        PRICE,
        ["price of level 1", "missing"],
    ),
    # questions
    ("orders.get_orders(status='fild')", ORDER, ["status 'fild'", 'did you mean "filled"']),
    ("orders.get_recent_orders(-1)", ORDER, ["limit -1", "at least 0"]),
    (
        "orders.wait_for_fill(ended)",
        OrderNotActiveError,
        ["order 6 is not active: it is cancelled"],
    ),
    (
        "orders.wait_for_fill(2, timeout=0.5)",
        OrderTimeoutError,
        ["order 2 did not fill within 0.5 s", "open, filled 0 of 2"],
    ),
    ("orders.wait_for_fill(2, timeout='soon')", ORDER, ["timeout 'soon'", "seconds"]),
    (
        "get_template('scalping').create_order(mnq, 0, current_price=21000, atr_value=-1)",
        PRICE,
        ["atr_value -1 is not positive"],
    ),
    (
        "get_template('risk_reward').create_order(mnq, 0, stop_distance=100, risk_amount=5)",
        SIZE,
        ["risk_amount 5", "200 USD", "one lot of MNQ"],
    ),
]
