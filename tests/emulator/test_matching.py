"""The matching engine against a naive one, and its rules one by one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.emulator import (
    Broken,
    CancelReason,
    Lifetime,
    Listing,
    MatchingEngine,
    RestingStatus,
    RuleBroken,
    Rules,
    SelfTrade,
    UnknownOrder,
)
from ccrs_core.model.instruments import Market, Side

BUY, SELL = Side.BUY, Side.SELL


class NaiveBook:
    """Price-time priority in the plainest words: sort everything, every time."""

    def __init__(self) -> None:
        self.resting: list[list[int]] = []  # [id, sign, price, remaining]

    def submit(
        self, order_id: int, side: Side, size: int, price: int | None, tif: Lifetime
    ) -> list[tuple[int, int, int]]:
        sign = 1 if side is BUY else -1

        def reachable() -> list[list[int]]:
            found = [r for r in self.resting if r[1] == -sign]
            if price is not None:
                found = [r for r in found if r[2] * sign <= price * sign]
            # sorted() keeps the order of arrival within a price.
            return sorted(found, key=lambda r: r[2] * sign)

        if tif is Lifetime.POST_ONLY and reachable():
            return []
        if tif is Lifetime.FOK and sum(r[3] for r in reachable()) < size:
            return []
        fills = []
        for maker in reachable():
            lots = min(size, maker[3])
            if not lots:
                break
            fills.append((maker[0], maker[2], lots))
            maker[3] -= lots
            size -= lots
        self.resting = [r for r in self.resting if r[3]]
        if size and price is not None and tif in {Lifetime.GTC, Lifetime.POST_ONLY}:
            self.resting.append([order_id, sign, price, size])
        return fills

    def cancel(self, order_id: int) -> None:
        self.resting = [r for r in self.resting if r[0] != order_id]

    def amend(self, order_id: int, size: int) -> None:
        for order in self.resting:
            if order[0] == order_id:
                order[3] = size

    def depth(self, side: Side) -> list[tuple[int, int]]:
        sign = 1 if side is BUY else -1
        levels: dict[int, int] = {}
        for _, its_sign, price, remaining in self.resting:
            if its_sign == sign:
                levels[price] = levels.get(price, 0) + remaining
        return sorted(levels.items(), key=lambda level: -level[0] * sign)


submissions = st.tuples(
    st.just("submit"),
    st.sampled_from([BUY, SELL]),
    st.integers(1, 50),
    st.one_of(st.none(), st.integers(90, 110)),
    st.sampled_from(list(Lifetime)),
)
cancels = st.tuples(st.just("cancel"), st.integers(0, 60))
cuts = st.tuples(st.just("cut"), st.integers(0, 60), st.integers(1, 50))


@settings(max_examples=300)
@given(st.lists(st.one_of(submissions, submissions, cancels, cuts), max_size=60))
def test_the_engine_matches_as_a_naive_book_does(actions: list[tuple]) -> None:  # type: ignore[type-arg]
    engine, naive = MatchingEngine(), NaiveBook()
    entered = traded = canceled = 0
    for action in actions:
        if action[0] == "submit":
            _, side, size, price, tif = action
            outcome = engine.submit(side, size, price, lifetime=tif)
            order = outcome.order
            expected = naive.submit(order.order_id, side, size, price, tif)
            assert [(f.maker.order_id, f.price, f.size) for f in outcome.executions] == expected
            assert order.filled == sum(each.size for each in outcome.executions)
            entered += size
            traded += 2 * order.filled
            if order.status is RestingStatus.CANCELED:
                canceled += order.remaining
        else:
            try:
                order = engine.order(action[1])
            except UnknownOrder:
                continue
            if action[0] == "cancel":
                engine.cancel(order.order_id)
                naive.cancel(order.order_id)
                canceled += order.remaining
            elif action[2] < order.remaining:
                cut = order.remaining - action[2]
                engine.amend(order.order_id, size=order.size - cut)
                naive.amend(order.order_id, action[2])
                canceled += cut
        assert engine.depth(BUY, 100) == naive.depth(BUY)
        assert engine.depth(SELL, 100) == naive.depth(SELL)
        bid, ask = engine.bids.best, engine.asks.best
        assert bid is None or ask is None or bid < ask
    resting = sum(size for side in (BUY, SELL) for _, size in engine.depth(side, 100))
    assert entered == resting + traded + canceled


def test_an_amended_order_keeps_its_place_only_where_its_size_shrinks() -> None:
    engine = MatchingEngine()
    first = engine.submit(BUY, 10, 100).order
    second = engine.submit(BUY, 10, 100).order
    engine.amend(first.order_id, size=5)
    assert engine.submit(SELL, 1, 100).executions[0].maker is first
    engine.amend(first.order_id, size=20)
    assert engine.submit(SELL, 1, 100).executions[0].maker is second


def test_an_amended_price_that_crosses_trades_at_once() -> None:
    engine = MatchingEngine()
    engine.submit(SELL, 3, 105)
    order = engine.submit(BUY, 5, 100).order
    outcome = engine.amend(order.order_id, price=105)
    assert [(f.price, f.size) for f in outcome.executions] == [(105, 3)]
    assert order.status is RestingStatus.PARTIALLY_FILLED
    assert engine.depth(BUY, 1) == [(105, 2)]


def test_an_order_cannot_shrink_to_what_has_been_filled() -> None:
    engine = MatchingEngine()
    order = engine.submit(BUY, 5, 100).order
    engine.submit(SELL, 3, 100)
    with pytest.raises(ValueError, match="filled"):
        engine.amend(order.order_id, size=3)


def test_an_ended_order_is_unknown() -> None:
    engine = MatchingEngine()
    order = engine.submit(BUY, 5, 100).order
    engine.cancel(order.order_id)
    for act in (engine.cancel, engine.order):
        with pytest.raises(UnknownOrder):
            act(order.order_id)


@pytest.mark.parametrize(
    ("policy", "maker_ends", "taker_ends"),
    [
        (SelfTrade.CANCEL_MAKER, True, False),
        (SelfTrade.CANCEL_TAKER, False, True),
        (SelfTrade.CANCEL_BOTH, True, True),
    ],
)
def test_nobody_trades_with_themselves(
    policy: SelfTrade, maker_ends: bool, taker_ends: bool
) -> None:
    engine = MatchingEngine(policy)
    own = engine.submit(SELL, 5, 100, owner="me").order
    engine.submit(SELL, 5, 100, owner="you")
    outcome = engine.submit(BUY, 5, 100, owner="me")
    assert all(each.maker.owner == "you" for each in outcome.executions)
    assert (own.status is RestingStatus.CANCELED) == maker_ends
    assert (outcome.order.reason is CancelReason.SELF_TRADE) == taker_ends
    assert bool(outcome.executions) != taker_ends
    assert (own in outcome.canceled) == maker_ends


def test_a_fill_or_kill_order_does_not_count_on_its_owners_own_orders() -> None:
    engine = MatchingEngine()
    engine.submit(SELL, 5, 100, owner="me")
    engine.submit(SELL, 5, 100)
    outcome = engine.submit(BUY, 8, 100, owner="me", lifetime=Lifetime.FOK)
    assert outcome.order.reason is CancelReason.NOT_WHOLE
    assert engine.depth(SELL, 1) == [(100, 10)]


def _rules(**changes: object) -> Rules:
    values: dict[str, object] = {
        "category": "spot",
        "symbol": "AB",
        "market": Market.SPOT,
        "base": "A",
        "quote": "B",
        "tick": Decimal("0.05"),
        "lot": Decimal("0.1"),
        "min_size": Decimal("0.2"),
        "max_size": Decimal(50),
        "min_notional": Decimal(5),
        "price": Decimal(10),
    }
    return Rules(Listing(**(values | changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "price", "rule"),
    [
        ("0.1", "100", Broken.SIZE_MIN),
        ("50.1", "100", Broken.SIZE_MAX),
        ("0.25", "100", Broken.SIZE_STEP),
        ("1", "10.01", Broken.PRICE_STEP),
        ("1", "0", Broken.PRICE_MIN),
        ("0.4", "10", Broken.NOTIONAL_MIN),
        ("0.4", None, Broken.NOTIONAL_MIN),
    ],
)
def test_an_order_that_breaks_a_rule_is_told_which(
    size: str, price: str | None, rule: Broken
) -> None:
    with pytest.raises(RuleBroken) as caught:
        _rules().check(Decimal(size), None if price is None else Decimal(price), Decimal(10))
    assert caught.value.rule is rule


def test_sizes_of_inverse_instruments_are_their_value() -> None:
    rules = _rules(market=Market.INVERSE, lot=Decimal(1), min_size=Decimal(1))
    rules.check(Decimal(5), Decimal(100_000), Decimal(0))
    with pytest.raises(RuleBroken):
        rules.check(Decimal(4), Decimal(100_000), Decimal(0))


def test_a_fill_or_kill_order_does_not_count_on_worse_prices_than_its_own() -> None:
    engine = MatchingEngine()
    engine.submit(SELL, 5, 100)
    engine.submit(SELL, 5, 101)
    refused = engine.submit(BUY, 8, 100, lifetime=Lifetime.FOK)
    assert (refused.order.reason, refused.executions) == (CancelReason.NOT_WHOLE, ())
    assert engine.submit(BUY, 8, 101, lifetime=Lifetime.FOK).order.filled == 8
