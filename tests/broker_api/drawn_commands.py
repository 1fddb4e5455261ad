"""Commands of every kind with whatever their fields may hold."""

from __future__ import annotations

from hypothesis import strategies as st

from broker_api.order import (
    Arm,
    BracketRequest,
    CancelRequest,
    ExitRequest,
    OcoRequest,
    OnPartial,
    OrderRequest,
    OrderType,
    ReplaceRequest,
    Side,
    TimeInForce,
)

ticks = st.none() | st.integers(-(2**40), 2**40)
orders = st.builds(
    OrderRequest,
    order_id=st.integers(1, 10**6),
    client_order_id=st.text(st.characters(codec="utf-8"), max_size=8),
    instrument=st.sampled_from(["MNQ", "ES"]),
    side=st.sampled_from(Side),
    order_type=st.sampled_from(OrderType),
    size_lots=st.integers(-5, 2**40),
    limit_ticks=ticks,
    stop_ticks=ticks,
    trail_ppm=ticks,
    time_in_force=st.sampled_from(TimeInForce),
    expires_at_ns=st.none() | st.integers(0, 2**62),
    post_only=st.booleans(),
    reduce_only=st.booleans(),
    tag=st.text(st.characters(codec="utf-8"), max_size=8),
)
exits = st.builds(
    ExitRequest, st.integers(1, 99), st.text(st.characters(codec="utf-8"), max_size=4), ticks, ticks
)
commands = st.one_of(
    orders,
    st.builds(
        BracketRequest,
        orders,
        exits,
        st.none() | exits,
        st.sampled_from(Arm),
        st.sampled_from(OnPartial),
    ),
    st.builds(OcoRequest, orders, orders, st.sampled_from(OnPartial)),
    st.builds(ReplaceRequest, st.integers(1, 99), ticks, ticks, ticks, ticks),
    st.builds(CancelRequest, st.integers(1, 99)),
)
