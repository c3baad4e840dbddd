"""What random schedules of an account are made of: orders of every declared kind, what becomes of
requests, what goes wrong, and how a schedule begins."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
from hypothesis import strategies as st

from ccrs_core.conformance.workbench.trader import Stall
from ccrs_core.contract.trading import Feature, Trading
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.order_requests import (
    Exit,
    OrderRequest,
    PositionSide,
    SelfTradePrevention,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
)

Wanted = tuple[bool, int, int, int]
"""An order: whether it buys, its price in steps from the middle, its size in lots, its kind."""
ORDERS = st.tuples(st.booleans(), st.integers(-3, 3), st.integers(1, 14), st.integers(0, 25))
CONDITIONAL = st.tuples(st.booleans(), st.integers(-3, 3), st.integers(1, 14), st.integers(10, 13))
"""Those that wait for a price."""
Fate = tuple[float, str]
"""How long is waited for an answer (whatever is next may happen before it comes, at every stage),
and what happens to it."""
FATES = st.tuples(
    st.sampled_from([2.0, 2.0, 0.0, 0.001, 0.003, 0.006, 0.009, 0.012]),
    st.sampled_from(
        (
            *("", "", "", "", "slow_answer,seconds=7,path={path},count=1"),
            *("lose_answer,path={path},count=1", "lose_answer,path={path},count=1,effect=no"),
            *("unclear,path={path},count=1", "unclear,path={path},count=1,effect=no"),
            "http,status=502,path={path},count=1",
            "http,status=502,path={path},count=1,effect=yes",
            "garble,path={path},count=1,how=html",
        )
    ),
)
USUAL = "delay,seconds=0.008"
"""Pushes take their time, too: answers may come first."""
WEATHER = (
    (USUAL,),
    ("delay,seconds=0.05",),
    ("reorder,probability=0.4",),
    ("duplicate,probability=0.4", "reorder,probability=0.2"),
    ("delay,seconds=0.3", "lag,seconds=2"),
)
FAULTS = (
    "http,status=500,count=3",
    "http,status=429,count=3",
    "drop",
    "close",
    "half_open,count=1",
    "duplicate,probability=0.7,duration=5",
    "reorder,probability=0.7,duration=5",
    "gap,probability=0.5,duration=5",
    "delay,seconds=3,duration=8",
    "stall,duration=20",
    "stall_all,duration=10",
    "silence",
    "slow_ack,seconds=6,duration=20",
    "no_ack,duration=15",
    "mute,duration=10",
    "busy,duration=5",
    "slow_handshake,seconds=4,duration=20",
    "lag,seconds=4,duration=30",
    "lag,seconds=40,duration=60",
    "refuse,status=503,duration=6",
    "ban,duration=8",
    "no_login,duration=6",
    "clock,seconds=7,duration=30",
    "clock,seconds=-9,duration=30",
    "truncate",
    "corrupt",
    # Answers on the socket for orders.
    "lose_answer,count=1",
    "lose_answer,count=1,effect=no",
    "unclear,count=2",
    "slow_answer,seconds=3,count=3",
)
"""Faults of anything."""


@attrs.frozen(kw_only=True)
class Beginning:
    """How a schedule begins."""

    weather: tuple[str, ...]
    """What the network is like, until all is well."""
    via: str
    on_disk: bool
    markets: int
    """Which two of the markets."""
    hedged: bool
    protected: bool
    """The exchange cancels what is open once it doesn't hear of the process any more."""
    appointment: str
    """What is due in a minute: ``funding``, ``delivery``, or nothing."""
    account: int
    """Which kind of account."""
    seed: int


BEGINNINGS = st.builds(
    Beginning,
    weather=st.sampled_from(WEATHER),
    via=st.sampled_from(["rest", "rest", "websocket"]),
    on_disk=st.booleans(),
    markets=st.integers(0, 9),
    hedged=st.sampled_from([False, False, True]),
    protected=st.sampled_from([False, False, True]),
    appointment=st.sampled_from(["", "", "funding", "delivery"]),
    account=st.sampled_from([0, 0, 0, 1, 2, 3]),
    seed=st.integers(0, 3),
)
_TOO_MANY = 20_000
_VOLATILITY = (Decimal("0.4"), Decimal("0.55"), Decimal("0.7"))
TRIGGERS = {
    Feature.TRIGGER_LAST: TriggerBy.LAST,
    Feature.TRIGGER_MARK: TriggerBy.MARK,
    Feature.TRIGGER_INDEX: TriggerBy.INDEX,
}
PREVENTIONS = {
    Feature.SELF_TRADE_MAKER: SelfTradePrevention.CANCEL_MAKER,
    Feature.SELF_TRADE_TAKER: SelfTradePrevention.CANCEL_TAKER,
    Feature.SELF_TRADE_BOTH: SelfTradePrevention.CANCEL_BOTH,
}


def pairs_of(trading: Trading) -> list[list[Market]]:
    """Two markets each: spot with each other one, then the others among themselves."""
    offered = list(trading.features)
    spot = [market for market in offered if market is Market.SPOT]
    others = [market for market in offered if market is not Market.SPOT]
    found: list[list[Market]] = [[*spot, other] for other in others] or [[*spot]]
    found += [[one, two] for at, one in enumerate(others) for two in others[at + 1 :]]
    return found


def is_named(client_order_id: str) -> bool:
    """Whether the schedule has asked for the order: such have tags."""
    return client_order_id.endswith("n") and client_order_id[-5:-1].isdigit()


def request_of(
    trading: Trading, at: Stall, wanted: Wanted, *, hedged: bool, tag: str
) -> OrderRequest:
    """An order, of its kind where that is declared, else an ordinary limit order."""
    buys, level, lots, kind = wanted
    side = Side.BUY if buys else Side.SELL
    features = trading.features[at.instrument.market]
    price = at.price + level * at.step
    more: dict[str, Any] = {"tag": tag}
    if hedged and Feature.HEDGE in features:
        # Even kinds open, odd ones close.
        opens = kind % 2 == 0
        more["position_side"] = PositionSide.LONG if buys is opens else PositionSide.SHORT
    match kind:
        case 1 | 2 if Feature.MARKET_ORDERS in features:
            return at.market(side, lots, **more)
        case 3 | 4 if Feature.POST_ONLY in features:
            return at.limit(side, price, lots, post_only=True, **more)
        case 5 if Feature.IOC in features:
            return at.limit(side, price, lots, time_in_force=TimeInForce.IOC, **more)
        case 6 if Feature.FOK in features:
            return at.limit(side, price, lots, time_in_force=TimeInForce.FOK, **more)
        case 7 | 8 if Feature.REDUCE_ONLY in features:
            return at.limit(side, price, lots, reduce_only=True, **more)
        case 9 if (Feature.QUOTE_SIZE_BUY if buys else Feature.QUOTE_SIZE_SELL) in features:
            worth = Decimal(round(at.size * at.price * lots))
            return at.market(side, quote_size=worth, **more)
        case 10 | 11 | 12 | 13:
            return _conditional(features, at, wanted, price, more)
        case 14 | 15 if Feature.TAKE_PROFIT in features:
            up, down = Exit(price=at.ask(4)), Exit(price=at.bid(5))
            exits = {"take_profit": up, "stop_loss": down}
            if not buys:
                exits = {"take_profit": down, "stop_loss": up}
            return at.limit(side, price, lots, **exits, **more)
        case 16 | 17 | 18:
            rules = [rule for feature, rule in PREVENTIONS.items() if feature in features]
            if rules:
                rule = rules[kind % len(rules)]
                return at.limit(side, at.price, lots, self_trade_prevention=rule, **more)
        case 19:
            # More than there is, mostly: in a batch this one alone is refused.
            return at.limit(side, price, lots * _TOO_MANY, **more)
        case 20 if Feature.VOLATILITY in features:
            return attrs.evolve(
                at.limit(side, price, lots, **more), price=None, volatility=_VOLATILITY[level % 3]
            )
    return at.limit(side, price, lots, **more)


_TRAILING = frozenset({Feature.TRAILING_SHARE, Feature.TRAILING_DISTANCE})


def _conditional(
    features: frozenset[Feature], at: Stall, wanted: Wanted, price: Decimal, more: dict[str, Any]
) -> OrderRequest:
    buys, level, lots, kind = wanted
    side = Side.BUY if buys else Side.SELL
    by = [each for feature, each in TRIGGERS.items() if feature in features]
    if not by:
        return at.limit(side, price, lots, **more)
    rises = level >= 0
    far = 2 + abs(level)
    if kind % 4 == 1 and features & _TRAILING:
        by_share = Feature.TRAILING_SHARE in features
        step = Decimal("0.01") if by_share else far * at.step
        follows = Trailing(share=step) if by_share else Trailing(distance=step)
        return at.market(side, lots, trigger=follows, **more)
    trigger = Trigger(
        price=at.ask(far) if rises else at.bid(far), rises=rises, by=by[(lots + kind) % len(by)]
    )
    if kind == 13 and buys and Feature.QUOTE_SIZE_BUY in features:
        worth = Decimal(round(at.size * at.price * lots))
        return at.market(side, quote_size=worth, trigger=trigger, **more)
    if kind % 2:
        return at.market(side, lots, trigger=trigger, **more)
    return at.limit(side, price, lots, trigger=trigger, **more)
