"""What a client of any exchange sees of its account: orders, fills, money."""

from __future__ import annotations

import pytest

from ccrs_core.emulator import (
    BalanceChanged,
    Ending,
    Filled,
    Lifetime,
    OrderChanged,
    PositionChanged,
    Refusal,
    Refused,
    Stage,
    TooLate,
)
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import OrderType
from tests.emulator.trading_floor import LINEAR, SLOW, SPOT, D, Exchange, frozen


def test_a_limit_order_locks_rests_fills_in_its_turn_and_unlocks() -> None:
    it = Exchange()
    it.book(SPOT, bids=[("59999", "1")], asks=[("60001", "1")])
    order = it.place(it.ann, SPOT, Side.BUY, "0.5", price=D(59999))
    assert it.now(it.ann, order).stage is Stage.OPEN
    assert it.ann.wallet["USDT"].locked == D("29999.5")
    # A taker of 1.2 takes the crowd's 1, which was there before, and 0.2 of it.
    it.venue.submit(SPOT, Side.SELL, D("1.2"), D(59999), owner="x", lifetime=Lifetime.IOC)
    after = it.now(it.ann, order)
    assert (after.filled, after.stage, after.remaining) == (D("0.2"), Stage.OPEN, D("0.3"))
    assert it.ann.wallet["USDT"].locked == D("0.3") * 59999
    assert it.ann.wallet["USDT"].total == 1_000_000 - D("0.2") * 59999
    assert it.ann.wallet["BTC"].total == 20 + D("0.2") * (1 - D("0.0002"))
    it.desk.cancel(it.ann, order.number)
    ended = it.now(it.ann, order)
    assert (ended.stage, ended.ending, ended.filled) == (Stage.CANCELED, Ending.BY_USER, D("0.2"))
    assert it.ann.wallet["USDT"].locked == 0


def test_what_is_acknowledged_is_matched_in_its_turn() -> None:
    it = Exchange(SLOW)
    it.book(SPOT, bids=[("59999", "1")], asks=[("60001", "1")])
    order = it.place(it.ann, SPOT, Side.BUY, "0.5", price=D(60001))
    it.desk.cancel(it.ann, order.number)
    assert it.now(it.ann, order).stage is Stage.ACCEPTED
    it.wait(0.1)
    assert it.now(it.ann, order).stage is Stage.FILLED
    [late] = it.of(TooLate)
    assert (late.order.number, late.amended) == (order.number, False)


def test_a_post_only_order_that_would_take_is_acknowledged_and_rejected_afterwards() -> None:
    it = Exchange(SLOW)
    it.book(LINEAR, bids=[("59999", "1")], asks=[("60001", "1")])
    order = it.place(it.ann, LINEAR, Side.BUY, "0.5", price=D(60001), lifetime=Lifetime.POST_ONLY)
    assert order.stage is Stage.ACCEPTED
    it.wait(0.1)
    after = it.now(it.ann, order)
    assert (after.stage, after.ending, after.filled) == (Stage.REJECTED, Ending.WOULD_TAKE, 0)
    assert it.ann.wallet["USDT"].order_margin == 0


def test_a_client_id_is_used_once() -> None:
    it = Exchange()
    order = it.place(it.ann, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="a")
    with pytest.raises(Refused) as refused:
        it.place(it.ann, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="a")
    assert (refused.value.why, refused.value.order) == (Refusal.DUPLICATE_ID, order_of(it, order))
    it.desk.cancel(it.ann, order.number)
    with pytest.raises(Refused):
        it.place(it.ann, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="a")
    # Another account's are its own.
    it.place(it.bob, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="a")


def order_of(it: Exchange, order: object) -> object:
    return it.desk.find(it.ann, client_order_id="a")


def test_a_client_id_may_be_used_again_where_the_exchange_says_so() -> None:
    it = Exchange(frozen(ids_for_ever=False))
    first = it.place(it.ann, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="a")
    with pytest.raises(Refused):
        it.place(it.ann, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="a")
    it.desk.cancel(it.ann, first.number)
    it.place(it.ann, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="a")


def test_a_market_buy_by_value_spends_no_more_and_says_what_is_left() -> None:
    it = Exchange()
    it.book(SPOT, bids=[("59999", "1")], asks=[("60000", "0.001"), ("60001", "1")])
    order = it.place(it.ann, SPOT, Side.BUY, None, quote_size=D("100"), type=OrderType.MARKET)
    after = it.now(it.ann, order)
    assert (after.filled, after.value) == (D("0.001"), D(60))
    assert (after.stage, after.ending) == (Stage.CANCELED, Ending.NO_LIQUIDITY)
    assert it.ann.wallet["USDT"].total == 1_000_000 - 60


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"size": "0.0005"}, Refusal.SIZE_MIN),
        ({"size": "0.0015"}, Refusal.SIZE_STEP),
        ({"price": D("60000.05")}, Refusal.PRICE_STEP),
        ({"size": "30"}, Refusal.BALANCE),
    ],
)
def test_what_breaks_a_rule_is_refused_at_once_and_changes_nothing(
    asked: dict[str, object], why: Refusal
) -> None:
    it = Exchange()
    it.told.clear()
    size = str(asked.pop("size", "0.5"))
    with pytest.raises(Refused) as refused:
        it.place(it.ann, SPOT, Side.BUY, size, **{"price": D(59000), **asked})
    assert refused.value.why is why
    assert (it.told, it.ann.orders) == ([], {})


def test_happenings_are_numbered_in_order_and_tell_each_side_of_a_fill() -> None:
    it = Exchange()
    it.book(LINEAR, bids=[], asks=[])
    sold = it.place(it.bob, LINEAR, Side.SELL, "0.3", price=D(60000))
    bought = it.place(it.ann, LINEAR, Side.BUY, "0.3", price=D(60000))
    [public] = it.market(LINEAR).tape.since(it.market(LINEAR).tape.count - 1)
    assert (public.side, public.price, public.size) == (Side.BUY, 600_000, 300)
    numbers = [each.number for each in it.told]
    assert numbers == sorted(set(numbers))
    fills = [each.fill for each in it.of(Filled)]
    assert {(f.account, f.order.number, f.maker, f.number) for f in fills} == {
        ("ann", bought.number, False, 1),
        ("bob", sold.number, True, 1),
    }
    sizes = {each.position.account: each.position.size for each in it.of(PositionChanged)}
    assert sizes == {"ann": D("0.3"), "bob": D("-0.3")}
    assert {each.balance.account for each in it.of(BalanceChanged)} == {"ann", "bob"}
    assert [each.order.stage for each in it.of(OrderChanged)][-1] is Stage.FILLED
