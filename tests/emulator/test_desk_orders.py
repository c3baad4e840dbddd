"""Orders that wait, that only reduce, that would trade with their owner's, that are amended."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from ccrs_core.emulator import (
    DeskOrder,
    Ending,
    Filled,
    Lifetime,
    NewOrder,
    Refusal,
    Refused,
    SelfTrade,
    Stage,
)
from ccrs_core.model.accounts import PositionMode
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import Exit, OrderType, PositionSide, Trigger, TriggerBy
from tests.emulator.trading_floor import LINEAR, SPOT, D, Exchange, frozen

MARKET: dict[str, Any] = {"type": OrderType.MARKET}


def linear(**more: Any) -> Exchange:
    """A quiet market of 60000 to 60001."""
    it = Exchange(frozen(**more))
    it.book(LINEAR, bids=[("60000", "5"), ("59900", "50")], asks=[("60001", "5"), ("60100", "50")])
    it.venue.steer(LINEAR, last_price=D(60000), mark_price=D(60000), index_price=D(60000))
    return it


def amended(order: DeskOrder, **changes: Any) -> NewOrder:
    return attrs.evolve(order.asked, **changes)


def stages(it: Exchange, order: DeskOrder) -> list[Stage]:
    found: list[Stage] = []
    for version in it.versions(order):
        if not found or found[-1] is not version.stage:
            found.append(version.stage)
    return found


@pytest.mark.parametrize("by", TriggerBy)
@pytest.mark.parametrize("rises", [True, False])
def test_an_order_waits_for_the_price_that_it_follows(by: TriggerBy, rises: bool) -> None:
    it = linear()
    figure = f"{by.value}_price"
    trigger = Trigger(price=D(60050 if rises else 59950), rises=rises, by=by)
    order = it.place(it.ann, LINEAR, Side.BUY, "1", **MARKET, trigger=trigger)
    assert it.now(it.ann, order).stage is Stage.WAITING
    assert it.ann.wallet["USDT"].order_margin == 0
    it.venue.steer(LINEAR, **{figure: D(60049 if rises else 59951)})
    assert it.now(it.ann, order).stage is Stage.WAITING
    it.venue.steer(LINEAR, **{figure: trigger.price})
    assert stages(it, order) == [*(Stage.ACCEPTED, Stage.WAITING, Stage.ACCEPTED, Stage.FILLED)]


def test_a_trigger_that_is_reached_already_is_refused() -> None:
    it = linear()
    with pytest.raises(Refused) as refused:
        it.place(
            it.ann, LINEAR, Side.BUY, "1", **MARKET, trigger=Trigger(price=D(60000), rises=True)
        )
    assert refused.value.why is Refusal.TRIGGER_PASSED


@pytest.mark.parametrize(
    ("last", "fired", "price"),
    [(D(60900), "take_profit", D(60000)), (D(59200), "stop_loss", D(60000))],
)
def test_of_take_profit_and_stop_loss_one_closes_the_position_and_ends_the_other(
    last: object, fired: str, price: object
) -> None:
    it = linear()
    parent = it.place(
        it.ann,
        LINEAR,
        Side.BUY,
        "2",
        **MARKET,
        take_profit=Exit(price=D(60900)),
        stop_loss=Exit(price=D(59200)),
    )
    exits = {order.exit_kind: order for order in it.ann.orders.values()}
    assert set(exits) == {"take_profit", "stop_loss"}
    assert {order.parent for order in exits.values()} == {parent.number}
    it.venue.steer(LINEAR, last_price=last)
    [done, other] = [exits.pop(fired), exits.popitem()[1]]
    assert it.now(it.ann, done).stage is Stage.FILLED
    assert it.now(it.ann, done).filled == 2
    assert it.now(it.ann, other).ending is Ending.PARTNER
    assert not it.ann.positions_of(LINEAR)
    assert not it.ann.orders


def test_exits_end_with_the_position_that_they_are_of() -> None:
    it = linear()
    it.place(it.ann, LINEAR, Side.BUY, "2", **MARKET, stop_loss=Exit(price=D(59200)))
    [stop] = it.ann.orders.values()
    it.place(it.ann, LINEAR, Side.SELL, "2", **MARKET)
    assert it.now(it.ann, stop).ending is Ending.POSITION_CLOSED


def test_an_exit_of_spot_sells_what_was_bought_less_the_fee() -> None:
    it = Exchange()
    it.book(SPOT, bids=[("59999", "5")], asks=[("60001", "5")])
    it.place(it.ann, SPOT, Side.BUY, "1", **MARKET, stop_loss=Exit(price=D(59000)))
    [stop] = it.ann.orders.values()
    assert (stop.size, stop.locked) == (D("0.999"), D("0.999"))
    it.venue.steer(SPOT, last_price=D(58000))
    assert it.now(it.ann, stop).stage is Stage.FILLED
    assert it.ann.wallet["BTC"].total == 20 + 1 - D("0.0006") - D("0.999")


def test_a_reduce_only_order_is_made_as_small_as_the_position_and_never_turns_it() -> None:
    it = linear()
    it.place(it.ann, LINEAR, Side.BUY, "1", **MARKET)
    closing = it.place(it.ann, LINEAR, Side.SELL, "3", price=D(60050), reduce_only=True)
    assert it.now(it.ann, closing).size == 1
    assert it.now(it.ann, closing).asked.size == 3
    sooner = it.place(it.ann, LINEAR, Side.SELL, "0.4", price=D(60040))
    it.venue.submit(LINEAR, Side.BUY, D(20), D(60060), owner="x", lifetime=Lifetime.IOC)
    assert it.now(it.ann, sooner).stage is Stage.FILLED
    after = it.now(it.ann, closing)
    assert (after.stage, after.filled) == (Stage.FILLED, D("0.6"))
    assert it.desk.position(it.ann, LINEAR).size == 0


def test_a_reduce_only_order_that_has_nothing_to_reduce_is_refused_or_ends() -> None:
    it = linear()
    with pytest.raises(Refused) as refused:
        it.place(it.ann, LINEAR, Side.SELL, "1", price=D(60050), reduce_only=True)
    assert refused.value.why is Refusal.REDUCE_ONLY
    it.place(it.ann, LINEAR, Side.BUY, "1", **MARKET)
    order = it.place(it.ann, LINEAR, Side.SELL, "1", price=D(60050), reduce_only=True)
    it.place(it.ann, LINEAR, Side.SELL, "1", **MARKET)
    after = it.now(it.ann, order)
    assert (after.stage, after.ending) == (Stage.CANCELED, Ending.REDUCE_ONLY)


def test_where_the_exchange_says_so_a_reduce_only_order_larger_than_the_position_is_refused() -> (
    None
):
    it = linear(shrinks_reduce_only=False)
    it.place(it.ann, LINEAR, Side.BUY, "1", **MARKET)
    with pytest.raises(Refused) as refused:
        it.place(it.ann, LINEAR, Side.SELL, "3", price=D(60050), reduce_only=True)
    assert refused.value.why is Refusal.REDUCE_ONLY


@pytest.mark.parametrize(
    ("how", "maker", "taker", "filled"),
    [
        (SelfTrade.CANCEL_MAKER, Ending.SELF_TRADE, None, 5),
        (SelfTrade.CANCEL_TAKER, None, Ending.SELF_TRADE, 0),
        (SelfTrade.CANCEL_BOTH, Ending.SELF_TRADE, Ending.SELF_TRADE, 0),
        (None, None, None, 5),
    ],
)
def test_the_takers_order_decides_what_prevents_a_self_trade(
    how: SelfTrade | None, maker: Ending | None, taker: Ending | None, filled: int
) -> None:
    it = linear()
    mine = it.place(
        it.ann,
        LINEAR,
        Side.SELL,
        "5",
        price=D("60000.5"),
        self_trade=SelfTrade.CANCEL_BOTH,
    )
    order = it.place(it.ann, LINEAR, Side.BUY, "5", price=D(60001), self_trade=how)
    after, rested = it.now(it.ann, order), it.now(it.ann, mine)
    assert (after.ending, rested.ending, after.filled) == (taker, maker, filled)
    if how is SelfTrade.CANCEL_MAKER:
        assert rested.prevented_by == order.number
    if how is None:
        mine_and_its = [each.fill for each in it.of(Filled)]
        assert [f.number for f in mine_and_its] == [1, 1]
        assert {f.order.number for f in mine_and_its} == {mine.number, order.number}
        assert it.desk.position(it.ann, LINEAR).size == 0


def test_accounts_of_a_group_dont_trade_with_each_other() -> None:
    it = linear()
    it.ann.group = it.bob.group = "both"
    mine = it.place(it.ann, LINEAR, Side.SELL, "5", price=D("60000.5"))
    it.place(it.bob, LINEAR, Side.BUY, "5", price=D(60001), self_trade=SelfTrade.CANCEL_MAKER)
    assert it.now(it.ann, mine).ending is Ending.SELF_TRADE


@pytest.mark.parametrize(("keeps", "first"), [(True, "ann"), (False, "bob")])
def test_an_order_that_only_gets_smaller_keeps_its_place_where_the_exchange_says_so(
    keeps: bool, first: str
) -> None:
    it = linear(amends_keep_place=lambda listing: keeps)
    orders = {
        account.name: it.place(account, LINEAR, Side.BUY, "2", price=D("60000.5"))
        for account in (it.ann, it.bob)
    }
    order = orders["ann"]
    it.desk.amend(it.ann, order.number, amended(order, size=D(1)))
    it.venue.submit(LINEAR, Side.SELL, D("0.5"), D("60000.5"), owner="x", lifetime=Lifetime.IOC)
    assert [each.fill.account for each in it.of(Filled)] == [first]


def test_an_amended_price_that_crosses_trades_and_a_larger_size_locks_more() -> None:
    it = linear()
    order = it.place(it.ann, LINEAR, Side.BUY, "2", price=D(59000))
    assert it.ann.wallet["USDT"].order_margin == 2 * 5900
    larger = amended(order, size=D(3), price=D(59000))
    it.desk.amend(it.ann, order.number, larger)
    assert it.ann.wallet["USDT"].order_margin == 3 * 5900
    it.desk.amend(it.ann, order.number, amended(order, size=D(3), price=D(60001)))
    after = it.now(it.ann, order)
    assert (after.stage, after.filled, after.number) == (Stage.FILLED, 3, order.number)
    with pytest.raises(Refused) as refused:
        it.desk.amend(it.ann, order.number, larger)
    assert refused.value.why is Refusal.ENDED


def test_amendments_that_change_nothing_or_fall_below_what_is_filled_are_refused() -> None:
    it = linear()
    order = it.place(it.ann, LINEAR, Side.BUY, "7", price=D(60001))
    assert it.now(it.ann, order).filled == 5
    for changed, why in (({}, Refusal.NOTHING_CHANGES), ({"size": D(5)}, Refusal.BELOW_FILLED)):
        with pytest.raises(Refused) as refused:
            it.desk.amend(it.ann, order.number, amended(order, **changed))
        assert refused.value.why is why


def test_in_hedge_mode_there_are_two_positions_and_what_closes_opens_nothing() -> None:
    it = linear()
    it.desk.settings.position_mode(it.ann, "linear", PositionMode.HEDGE)
    it.place(it.ann, LINEAR, Side.BUY, "2", **MARKET, position_side=PositionSide.LONG)
    it.place(it.ann, LINEAR, Side.SELL, "1", **MARKET, position_side=PositionSide.SHORT)
    sizes = {each.side: each.size for each in it.ann.positions_of(LINEAR)}
    assert sizes == {PositionSide.LONG: 2, PositionSide.SHORT: -1}
    with pytest.raises(Refused) as refused:
        it.place(it.ann, LINEAR, Side.BUY, "1", **MARKET)
    assert refused.value.why is Refusal.POSITION_SIDE
    it.place(it.ann, LINEAR, Side.SELL, "2", **MARKET, position_side=PositionSide.LONG)
    assert {each.side for each in it.ann.positions_of(LINEAR)} == {PositionSide.SHORT}
    with pytest.raises(Refused) as refused:
        it.place(it.ann, LINEAR, Side.SELL, "1", **MARKET, position_side=PositionSide.LONG)
    assert refused.value.why is Refusal.REDUCE_ONLY
    with pytest.raises(Refused) as refused:
        it.desk.settings.position_mode(it.ann, "linear", PositionMode.ONE_WAY)
    assert refused.value.why is Refusal.IN_USE


def test_there_are_no_more_orders_than_the_exchange_allows() -> None:
    it = linear(most_open=lambda _: 2, most_waiting=lambda _: 1)
    for _ in range(2):
        it.place(it.ann, LINEAR, Side.BUY, "1", price=D(50000))
    with pytest.raises(Refused) as refused:
        it.place(it.ann, LINEAR, Side.BUY, "1", price=D(50000))
    assert refused.value.why is Refusal.CAP_OPEN
    trigger = Trigger(price=D(70000), rises=True)
    it.place(it.ann, LINEAR, Side.BUY, "1", **MARKET, trigger=trigger)
    with pytest.raises(Refused) as refused:
        it.place(it.ann, LINEAR, Side.BUY, "1", **MARKET, trigger=trigger)
    assert refused.value.why is Refusal.CAP_WAITING
    it.place(it.ann, SPOT, Side.BUY, "1", price=D(50000))
