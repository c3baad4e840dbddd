"""Desks whose accounts' assets aren't pooled, whose listings have margin modes of their own, whose
triggers trail by a share, and whose orders are renamed."""

from __future__ import annotations

import attrs
import pytest

from ccrs_core import Trigger
from ccrs_core.emulator import Ending, Refused, Stage
from ccrs_core.model.accounts import MarginMode
from ccrs_core.model.instruments import Side
from ccrs_core.model.order_requests import OrderType
from tests.emulator.test_desk_money import MARKET, move, quiet
from tests.emulator.trading_floor import INVERSE, LINEAR, SPOT, D, Exchange


def test_an_asset_backs_its_own_positions_alone_where_assets_are_not_pooled() -> None:
    it = quiet(pools_margin=False)
    poor = it.desk.open_account("eve", money={"USDT": D(50), "BTC": D(10)})
    with pytest.raises(Refused, match="USDT are needed"):
        it.place(poor, LINEAR, Side.BUY, "1", **MARKET)
    it.place(poor, LINEAR, Side.BUY, "0.008", **MARKET)
    it.place(poor, INVERSE, Side.BUY, "6000", **MARKET)
    assert it.desk.margins.available(poor, "BTC") < D("9.99")
    move(it, LINEAR, "54000")  # which uses up the dollars, ten bitcoins or not
    assert not it.desk.position(poor, LINEAR).size
    assert it.desk.position(poor, INVERSE).size == 6000
    assert poor.wallet["BTC"].total == 10


def test_a_listing_has_a_margin_mode_of_its_own() -> None:
    it = quiet()
    settings = it.desk.settings
    settings.margin_mode(it.ann, MarginMode.ISOLATED, LINEAR)
    with pytest.raises(Refused, match="nothing_changes"):
        settings.margin_mode(it.ann, MarginMode.ISOLATED, LINEAR)
    it.place(it.ann, LINEAR, Side.BUY, "1", **MARKET)
    it.place(it.ann, INVERSE, Side.BUY, "6000", **MARKET)
    modes = {each: it.desk.position(it.ann, each).margin_mode for each in (LINEAR, INVERSE)}
    assert modes == {LINEAR: MarginMode.ISOLATED, INVERSE: MarginMode.CROSS}
    with pytest.raises(Refused, match="in_use"):
        settings.margin_mode(it.ann, MarginMode.CROSS, LINEAR)


@pytest.mark.parametrize("towards", [False, True])
def test_a_trigger_trails_by_a_share_once_it_begins(towards: bool) -> None:
    it = Exchange()
    it.venue.steer(SPOT, last_price=D(60000))
    begins = D(59000 if towards else 61000)
    order = it.place(
        it.ann,
        SPOT,
        Side.SELL,
        "0.1",
        type=OrderType.MARKET,
        trigger=Trigger(price=D(59400), rises=False),
        trailing_share=D("0.01"),
        activates_at=begins,
        activates_towards=towards,
    )
    it.venue.steer(SPOT, last_price=D(59500))
    assert it.now(it.ann, order).stage is Stage.WAITING
    it.venue.steer(SPOT, last_price=begins)
    it.venue.steer(SPOT, last_price=begins + 500)
    assert it.now(it.ann, order).stage is Stage.WAITING
    trigger = it.now(it.ann, order).asked.trigger
    assert trigger is not None
    assert trigger.price == (begins + 500) - ((begins + 500) / 100 // SPOT.tick * SPOT.tick)
    it.venue.steer(SPOT, last_price=trigger.price)
    assert it.now(it.ann, order).stage is Stage.FILLED


def test_an_amended_order_may_have_another_id_and_its_old_one_is_free() -> None:
    it = Exchange()
    order = it.place(it.ann, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="a")
    it.desk.amend(
        it.ann, order.number, attrs.evolve(order.asked, size=D("0.05"), client_order_id="b")
    )
    found = it.desk.find(it.ann, client_order_id="b")
    assert found is not None
    assert found.number == order.number
    assert it.desk.find(it.ann, client_order_id="a") is None
    it.place(it.ann, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="a")
    with pytest.raises(Refused, match="duplicate_id"):
        it.place(it.ann, SPOT, Side.BUY, "0.1", price=D(50000), client_order_id="b")


@pytest.mark.parametrize("filled", [True, False])
def test_of_contingent_orders_one_ends_the_other(filled: bool) -> None:
    it = Exchange()
    it.venue.steer(SPOT, last_price=D(60000))
    it.book(SPOT, bids=[("59999", "9")], asks=[("60001", "9")])
    free = it.desk.margins.of_asset(it.ann, "BTC").free
    rests = it.place(it.ann, SPOT, Side.SELL, "2", price=D(61000), contingent="c")
    waits = it.place(
        it.ann,
        SPOT,
        Side.SELL,
        "2",
        type=OrderType.MARKET,
        trigger=Trigger(price=D(59000), rises=False),
        locks_at_once=False,
        contingent="c",
    )
    assert it.desk.margins.of_asset(it.ann, "BTC").free == free - 2
    if filled:
        it.place(it.bob, SPOT, Side.BUY, "9.5", price=D(61000))
    else:
        it.venue.steer(SPOT, last_price=D(59000))
    stages = [it.now(it.ann, each).stage for each in (rests, waits)]
    assert stages == ([Stage.OPEN, Stage.CANCELED] if filled else [Stage.CANCELED, Stage.FILLED])
    gone = it.now(it.ann, waits if filled else rests)
    assert gone.ending is Ending.PARTNER
