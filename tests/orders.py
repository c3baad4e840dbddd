"""Orders that can be asked for, as strategies."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from ccrs_core import (
    Exit,
    OrderRequest,
    OrderType,
    PositionSide,
    SelfTradePrevention,
    Side,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
)

NUMBERS = st.decimals("0.00000001", "9999999", places=8)
TRIGGERS = st.builds(Trigger, price=NUMBERS, rises=st.booleans(), by=st.sampled_from(TriggerBy))
SHARES = st.decimals("0.0001", "0.9999", places=4)
TRAILING = st.builds(
    lambda share, distance, **more: Trailing(
        share=share, distance=None if share is not None else distance, **more
    ),
    share=st.none() | SHARES,
    distance=NUMBERS,
    activation=st.none() | NUMBERS,
    by=st.sampled_from(TriggerBy),
)
EXITS = st.builds(Exit, price=NUMBERS, limit_price=st.none() | NUMBERS)


def _request(
    kind: OrderType, price: Decimal, tif: TimeInForce, post: bool, **more: Any
) -> OrderRequest:
    limited = kind is OrderType.LIMIT
    return OrderRequest(
        symbol="BTC/USDT",
        type=kind,
        price=price if limited else None,
        post_only=post and limited,
        time_in_force=TimeInForce.GTC if post else tif,
        **more,
    )


REQUESTS = st.builds(
    _request,
    kind=st.sampled_from(OrderType),
    size=NUMBERS,
    price=NUMBERS,
    tif=st.sampled_from(TimeInForce),
    post=st.booleans(),
    side=st.sampled_from(Side),
    reduce_only=st.booleans(),
    position_side=st.sampled_from(PositionSide),
    self_trade_prevention=st.none() | st.sampled_from(SelfTradePrevention),
    trigger=st.none() | TRIGGERS | TRAILING,
    take_profit=st.none() | EXITS,
    stop_loss=st.none() | EXITS,
    tag=st.sampled_from(["", "mine42"]),
    client_order_id=st.sampled_from(["", "an-id-7"]),
    native=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)
"""Requests whose parts fit together."""
