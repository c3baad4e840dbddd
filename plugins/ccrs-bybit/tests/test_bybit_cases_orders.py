"""Placing, canceling and amending at the emulated Bybit where answers, pushes and lists disagree.
Each test is one case, under its name; :mod:`bybit_cases` says what every case ends in."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from bybit_cases import Case, alike, play
from bybit_trader import Trader

from ccrs_core import (
    CancelResult,
    Exit,
    Fill,
    Market,
    OrderEnded,
    OrderState,
    Origin,
    RateLimited,
    Side,
    Trigger,
)
from tests import account_scenarios as scenarios

BUY, SELL = Side.BUY, Side.SELL
CREATE, CANCEL = "/v5/order/create", "/v5/order/cancel"


def test_case_a1_a_server_timeout_and_the_order_lives() -> None:
    alike(scenarios.a1_the_answer_is_lost_and_the_order_lives)


def test_case_a5_a_duplicate_id_does_not_kill_the_living_order() -> None:
    alike(scenarios.a5_a_duplicate_id_does_not_kill_the_living_order)


def test_case_a6_a_batch_has_three_outcomes_and_its_tail_may_be_limited() -> None:
    async def scenario(case: Case) -> None:
        at, limits = case.stall(), case.venue.dialect.trading.limits  # type: ignore[attr-defined]
        good = at.limit(BUY, at.passive(BUY))
        limits.factor = 0.1  # one order a second
        done = await case.account.place_many([good] * 3)
        limits.factor = None
        case.calls += 1
        assert getattr(done[0], "state", None) is not None
        assert [type(each) for each in done[1:]] == [RateLimited] * 2
        await asyncio.sleep(2.0)
        states = sorted(order.state.value for order in case.account.orders())
        assert states == ["open", "rejected", "rejected"]

    play(scenario)


def test_case_a7_post_only_that_would_take_is_rejected_for_one_reason() -> None:
    alike(scenarios.a7_post_only_that_would_take)


@pytest.mark.parametrize("market", [Market.LINEAR, Market.SPOT])
def test_case_c4_the_rest_of_an_ioc_order_expires(market: Market) -> None:
    alike(scenarios.c4_the_rest_of_an_ioc_order_expires(market))


def test_case_c5_a_market_buy_by_quote_leaves_crumbs() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall(Market.SPOT)
        money = (at.ask() * at.size * 2).quantize(Decimal(1)) + Decimal("0.5")
        live = await case.place(at.market(BUY, quote_size=money))
        error = await case.failed(live.filled(timeout=5.0), OrderEnded)
        ended = error.order
        await asyncio.sleep(0.5)
        now = case.order(live.now)
        assert ended.state.final
        assert now.quote_size == money
        assert now.filled_value is not None
        unspent = money - now.filled_value
        assert 0 <= unspent < at.ask() * at.listing.lot
        assert now.fills_complete

    play(scenario)


def test_case_d1_a_cancel_meets_a_filled_order() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1)))
        await asyncio.sleep(0.5)
        case.slow_topic("order", 2.0)
        case.slow_topic("execution", 2.0)
        case.meet(at, SELL, at.size * 11, at.bid(1))
        await asyncio.sleep(0.03)
        outcome = await case.account.cancel(live)
        assert outcome.result is CancelResult.ENDED_BEFORE
        assert outcome.order.state is OrderState.FILLED
        await asyncio.sleep(5.0)
        assert len(case.of(Fill)) == 1

    play(scenario)


def test_case_d2_accepted_is_not_canceled() -> None:
    alike(scenarios.d2_accepted_is_not_canceled)


def test_case_d3_a_cancel_overtakes_its_placement() -> None:
    alike(scenarios.d3_a_cancel_overtakes_its_placement)


def test_case_e3_a_fill_before_the_amendments_event() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 10))
        await asyncio.sleep(0.3)
        case.slow_topic("order", 0.7)
        case.meet(at, SELL, at.size * 14, at.bid(1))  # what stood there before, and four of ours
        await case.account.amend(live, size=at.own(at.size * 8), price=at.bid(1) + at.listing.tick)
        await asyncio.sleep(0.05)
        case.meet(at, SELL, at.size * 4, at.bid(1) + at.listing.tick)
        await asyncio.sleep(3.0)
        now = case.order(live.now)
        assert (now.state, now.filled_size) == (OrderState.FILLED, at.own(at.size * 8))
        value = at.size * 4 * (at.bid(1) + at.bid(1) + at.listing.tick)
        assert now.average_price == value / (at.size * 8)
        assert now.fills_complete

    play(scenario)


def test_case_e5_the_exchange_alters_size_and_price() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.market(BUY, 3))
        await live.filled(timeout=5.0)
        await asyncio.sleep(0.3)
        less = await case.place(at.limit(SELL, at.crossing(SELL), 5, reduce_only=True))
        ended = await less.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        assert (ended.state, ended.size) == (OrderState.FILLED, at.own(at.size * 3))
        assert case.order(less.now).asked.size == at.own(at.size * 5)
        assert "size" in case.order(less.now).altered
        # Beyond the band: moved into it.
        wanted = at.price * 2 // at.step * at.step
        moved = await case.place(at.limit(BUY, wanted))
        await asyncio.sleep(0.5)
        now = case.order(moved.now)
        assert now.price is not None
        assert now.price < wanted == now.asked.price
        assert "price" in now.altered

    play(scenario, outside_band="send")


def test_case_i3_each_call_buys_what_it_says() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall(Market.SPOT)
        money = (at.ask() * at.size * 2).quantize(Decimal(1))
        by_quote = await case.place(at.market(BUY, quote_size=money))
        by_base = await case.place(at.market(BUY, 2))
        await by_quote.ended(timeout=5.0)
        await by_base.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        quote, base = case.order(by_quote.now), case.order(by_base.now)
        assert (quote.quote_size, quote.size) == (money, None)
        assert (base.size, base.quote_size) == (at.own(at.size * 2), None)
        assert base.filled_size == base.size
        assert quote.filled_value is not None
        assert quote.filled_value <= money

    play(scenario)


def test_case_l4_a_limited_cancel_is_repeated_and_a_limited_placement_is_not() -> None:
    alike(scenarios.l4_limited)


def test_case_m3_an_attached_stop_is_a_child_of_its_order() -> None:
    """M3's kin: exits are orders of their own, which name their parent."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        request = at.limit(BUY, at.crossing(BUY), stop_loss=Exit(price=at.bid(5)))
        live = await case.place(request)
        await live.filled(timeout=5.0)
        await asyncio.sleep(1.0)
        [stop] = case.account.open_orders()
        assert (stop.state, stop.side) == (OrderState.WAITING, SELL)
        assert stop.parent_id == live.id
        case.venue.steer(at.listing, last_price=at.bid(5))
        await asyncio.sleep(2.0)
        case.life.tap.poke()
        await asyncio.sleep(2.0)
        assert case.account.open_orders() == []
        assert [each.size for each in case.account.positions() if each.size] == []

    play(scenario)


def test_a_triggered_spot_order_may_go_on_under_another_id() -> None:
    """M3's kin: the one that waited is followed through."""

    async def scenario(case: Case) -> None:
        case.triggers_anew()
        at = case.stall(Market.SPOT)
        trigger = Trigger(price=at.ask(3), rises=True)
        live = await case.place(at.limit(BUY, at.ask(4), trigger=trigger))
        await asyncio.sleep(0.5)
        assert live.state is OrderState.WAITING
        case.venue.steer(at.listing, last_price=at.ask(3))
        case.life.tap.poke()
        await asyncio.sleep(1.0)
        first = case.order(live.now.exchange_order_id)
        [other] = [each for each in case.account.orders() if each is not first]
        assert (other.client_order_id, other.origin) == (live.id, Origin.OWN)
        assert (other.state, other.fills_complete) == (OrderState.FILLED, True)
        assert len(case.of(Fill)) == 1
        await asyncio.sleep(400.0)
        assert await live.filled(timeout=1.0) == live.now
        first = case.order(first.exchange_order_id)
        assert (first.state, first.children) == (OrderState.FILLED, (other.exchange_order_id,))
        assert (first.filled_size, first.fills_complete) == (other.filled_size, True)
        assert other.fired_by == first.exchange_order_id
        assert not case.account.open_orders()
        case.twice.add(live.id)

    play(scenario)


def test_a_trailing_stop_that_was_set_elsewhere_is_told_as_an_order_without_a_fixed_trigger() -> (
    None
):
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.crossing(BUY)))
        await live.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        hand = Trader(case.venue, "traderKey", "traderSecret")
        about = {"category": "linear", "symbol": at.listing.symbol}
        stop = {"tpslMode": "Full", "positionIdx": 0, "trailingStop": f"{at.step}"}
        assert hand.post("/v5/position/trading-stop", **about, **stop)["retCode"] == 0
        case.life.tap.poke()
        await asyncio.sleep(1.0)
        [order] = case.account.open_orders()
        assert (order.state, order.origin, order.side) == (OrderState.WAITING, Origin.OTHER, SELL)
        assert order.trigger is None  # it moves
        assert order.native["stopOrderType"] == "TrailingStop"
        for price in (at.ask(3), at.ask(1)):
            case.venue.steer(at.listing, last_price=price)
            case.life.tap.poke()
            await asyncio.sleep(1.0)
        assert case.account.open_orders() == []
        ended = case.order(order.exchange_order_id)
        assert (ended.state, ended.filled_size) == (OrderState.FILLED, at.own(at.size))
        assert [each.size for each in case.account.positions() if each.size] == []

    play(scenario)


def test_case_m4_waits_end_with_the_order_go_on_while_it_is_unknown_and_leave_it_alone() -> None:
    alike(scenarios.m4_waits)
