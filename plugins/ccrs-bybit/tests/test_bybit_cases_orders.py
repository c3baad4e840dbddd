"""Placing, canceling and amending at the emulated Bybit where answers, pushes and lists disagree.
Each test is one case, under its name; :mod:`bybit_cases` says what every case ends in."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import attrs
import pytest
from bybit_cases import Case, play, told
from bybit_trader import Trader

from ccrs_core import (
    CancelResult,
    EndReason,
    Exit,
    Fill,
    Market,
    OrderEnded,
    OrderRejected,
    OrderState,
    Origin,
    OutcomeUnknown,
    RateLimited,
    Side,
    TimeInForce,
    Trigger,
)

BUY, SELL = Side.BUY, Side.SELL
CREATE, CANCEL = "/v5/order/create", "/v5/order/cancel"


def test_case_a1_a_server_timeout_and_the_order_lives() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.fault(f"unclear,path={CREATE},count=1", "stall", "lag,path=/v5/order/*,seconds=1.0")
        case.fault("lag,path=/v5/execution/*,seconds=2.5")
        request = at.limit(BUY, at.crossing(BUY, 1), 12)  # more than there is of the best level
        error = await case.failed(case.place(request), OutcomeUnknown)
        order = error.order
        assert order is not None
        assert order.state is OrderState.UNKNOWN
        await asyncio.sleep(0.5)
        assert case.order(order).state is OrderState.UNKNOWN
        await asyncio.sleep(1.2)
        now = case.order(order)
        assert (now.state, now.filled_size) == (OrderState.OPEN, at.size * 10)
        assert not now.fills_complete
        await asyncio.sleep(5.0)
        assert case.order(order).fills_complete
        assert len(case.of(Fill)) == 1

    play(scenario)


def test_case_a5_a_duplicate_id_does_not_kill_the_living_order() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.fault("stall")
        # Placed by a store that is lost.
        order = case.by_hand(at, BUY, at.size * 12, price=at.crossing(BUY), client_order_id="c5")
        request = attrs.evolve(at.limit(BUY, at.crossing(BUY), 12), client_order_id="c5")
        error = await case.failed(case.place(request), OrderRejected)
        assert error.reason is EndReason.DUPLICATE
        assert error.order is not None
        assert (error.order.state, error.order.filled_size) == (OrderState.OPEN, at.size * 10)
        case.heal()
        now = case.order("c5")
        assert (now.state, now.filled_size) == (OrderState.OPEN, at.size * 10)
        assert now.exchange_order_id
        # Known to the store: refused without a request.
        sent = len(case.sent(CREATE))
        await case.failed(case.account.place(request), OrderRejected)
        assert len(case.sent(CREATE)) == sent
        assert case.order("c5").state is OrderState.OPEN
        assert order.client_order_id == "c5"

    play(scenario)


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
    async def scenario(case: Case) -> None:
        at = case.stall()
        for _ in range(4):  # Rejected or Cancelled, as Bybit says it
            request = at.limit(BUY, at.crossing(BUY), post_only=True)
            live = await case.place(request)
            ended = await live.ended(timeout=5.0)
            assert (ended.state, ended.reason) == (OrderState.REJECTED, EndReason.POST_ONLY)
            assert ended.filled_size == 0
        assert not case.of(Fill)

    play(scenario)


@pytest.mark.parametrize("market", [Market.LINEAR, Market.SPOT])
def test_case_c4_the_rest_of_an_ioc_order_expires(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall(market)
        request = at.limit(BUY, at.crossing(BUY), 16, time_in_force=TimeInForce.IOC)
        live = await case.place(request)
        error = await case.failed(live.filled(timeout=5.0), OrderEnded)
        ended = error.order
        await asyncio.sleep(0.5)
        assert (ended.state, ended.reason) == (OrderState.EXPIRED, EndReason.NO_LIQUIDITY)
        assert case.order(live.now).filled_size == at.own(at.size * 10)
        assert not case.account.open_orders()

    play(scenario)


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
    async def scenario(case: Case) -> None:
        at, ends = case.stall(), set()
        for _ in range(12):
            live = await case.place(at.limit(BUY, at.bid(1)))
            await asyncio.sleep(0.3)
            # Both on their way: whichever the matching engine has first.
            canceling = asyncio.ensure_future(case.account.cancel(live))
            await asyncio.sleep(0.004)
            case.meet(at, SELL, at.size * 11, at.bid(1))
            outcome = await canceling
            assert outcome.result is not CancelResult.NOT_FOUND
            ended = await live.ended(timeout=5.0)
            assert ended.state in (OrderState.FILLED, OrderState.CANCELED)
            ends.add((outcome.result, ended.state))
            case.stall()
        assert (CancelResult.ACCEPTED, OrderState.FILLED) in ends

    play(scenario)


def test_case_d3_a_cancel_overtakes_its_placement() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.takes_long(CREATE, 0.2)
        request = attrs.evolve(at.limit(BUY, at.passive(BUY)), client_order_id="early")
        placing = asyncio.ensure_future(case.place(request))
        await asyncio.sleep(0.1)
        assert case.order("early").state is OrderState.SENT
        outcome = await case.account.cancel("early")
        await placing
        case.heal()
        await asyncio.sleep(5.0)
        assert outcome.order.client_order_id == "early"
        assert case.order("early").state is OrderState.CANCELED
        assert len(case.sent(CANCEL)) == 2  # the first one overtook it

    play(scenario)


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
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.3)
        case.fault(f"http,path={CANCEL},status=10006,count=2")
        await case.account.cancel(live)
        await live.ended(timeout=5.0)
        assert case.order(live.now).state is OrderState.CANCELED
        assert len(case.sent(CANCEL)) == 3
        case.fault(f"http,path={CREATE},status=10006,count=1")
        error = await case.failed(case.place(at.limit(BUY, at.passive(BUY))), RateLimited)
        assert error.code == "10006"
        await asyncio.sleep(2.0)
        states = {each.state for each in case.account.orders()}
        assert states == {OrderState.CANCELED, OrderState.REJECTED}
        assert not case.account.unknown_orders()

    play(scenario)


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
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 10))
        await asyncio.sleep(0.3)
        case.meet(at, SELL, at.size * 13, at.bid(1))
        await asyncio.sleep(0.3)
        waiting = asyncio.ensure_future(case.failed(live.filled(), OrderEnded))
        with pytest.raises(TimeoutError):
            await live.filled(timeout=0.5)
        assert case.order(live.now).state is OrderState.OPEN
        await case.account.cancel(live)
        ended = (await asyncio.wait_for(waiting, 5.0)).order
        assert ended is not None
        assert (ended.state, ended.filled_size) == (OrderState.CANCELED, at.own(at.size * 3))
        assert told(case, live.now)[-1].complete

    play(scenario)
