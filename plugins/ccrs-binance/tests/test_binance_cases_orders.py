"""Placing, canceling and amending at the emulated Binance where answers, events and lists disagree.
Each test is one case, under its name; :mod:`tests.account_cases` says what every case ends in."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import attrs
import pytest
from binance_cases import COINM, SPOT, USDM, Case, play, refusal, told

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
    SelfTradePrevention,
    Side,
    TimeInForce,
    Trigger,
    UsageError,
)

BUY, SELL = Side.BUY, Side.SELL
EACH = pytest.mark.parametrize("market", [SPOT, USDM, COINM])
FUTURES = pytest.mark.parametrize("market", [USDM, COINM])


# --- placing; answers that don't come --------------------------------------------------------


def test_case_a2_an_answer_that_never_came_is_looked_for_and_not_asked_for_again() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        order = case.path("order")
        case.fault(f"lose_answer,path={order},count=1", "stall", f"lag,path={order},seconds=3")
        request = attrs.evolve(at.limit(BUY, at.crossing(BUY), 5), client_order_id="x1")
        error = await case.failed(case.place(request), OutcomeUnknown)
        assert error.order is not None
        await asyncio.sleep(1.5)
        # Denied by now, which proves nothing.
        assert case.asked("GET", order)
        assert case.order("x1").state is OrderState.UNKNOWN
        await asyncio.sleep(6.0)
        now = case.order("x1")
        assert (now.state, now.filled_size) == (OrderState.FILLED, at.size * 5)
        assert len(case.asked("POST", order)) == 1

    play(scenario, SPOT)


def test_case_a3_the_stream_knows_before_the_answer() -> None:
    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("order")
        text = "Unknown error, please check your request or try again later."
        case.answers("POST", path, refusal(503, -1000, text), after=8.0)
        request = attrs.evolve(at.limit(BUY, at.bid(1), 10, post_only=True), client_order_id="a3")
        placing = asyncio.ensure_future(case.place(request))
        await asyncio.sleep(0.2)
        case.meet(at, SELL, at.size * 14, at.bid(1))
        await asyncio.sleep(0.1)
        outcome = await case.account.cancel("a3")
        assert not placing.done()  # it isn't waited for
        assert outcome.order.client_order_id == "a3"
        await asyncio.sleep(1.0)
        now = case.order("a3")
        assert (now.state, now.filled_size) == (OrderState.CANCELED, at.size * 4)
        asked = len(case.asked("GET", path))
        await asyncio.gather(placing, return_exceptions=True)
        await asyncio.sleep(9.0)
        assert case.order("a3").state is OrderState.CANCELED
        assert len(case.asked("GET", path)) == asked

    play(scenario, USDM)


@EACH
def test_case_a5_a_duplicate_id_does_not_kill_the_living_order(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("order")
        case.fault("stall")
        # Placed by a store that is lost.
        case.by_hand(at, BUY, at.size * 12, price=at.crossing(BUY), client_order_id="c5")
        request = attrs.evolve(at.limit(BUY, at.crossing(BUY), 12), client_order_id="c5")
        error = await case.failed(case.place(request), OrderRejected)
        assert error.code == ("-2010" if market is SPOT else "-4116")
        assert error.reason is EndReason.DUPLICATE
        assert error.order is not None
        assert (error.order.state, error.order.filled_size) == (OrderState.OPEN, at.size * 10)
        case.heal()
        assert case.order("c5").state is OrderState.OPEN
        # Known to the store: refused without a request.
        sent = len(case.asked("POST", path))
        await case.failed(case.account.place(request), OrderRejected)
        assert len(case.asked("POST", path)) == sent

    play(scenario, market)


@FUTURES
def test_case_a6_a_batch_has_an_outcome_for_each_of_its_orders(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        good = at.limit(BUY, at.passive(BUY))
        bad = at.limit(SELL, at.passive(SELL), reduce_only=True)
        done = await case.account.place_many([good, bad, good])
        case.calls += 1
        assert isinstance(done[1], OrderRejected)
        assert done[1].reason is EndReason.REDUCE_ONLY
        assert [each.state for each in (done[0], done[2])] == [OrderState.OPEN] * 2  # type: ignore[union-attr]
        await asyncio.sleep(1.0)
        states = sorted(order.state.value for order in case.account.orders())
        assert states == ["open", "open", "rejected"]

    play(scenario, market)


@EACH
def test_case_a7_post_only_that_would_take_is_rejected_and_not_looked_for(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        request = at.limit(BUY, at.crossing(BUY), post_only=True)
        error = await case.failed(case.place(request), OrderRejected)
        assert error.code == ("-2010" if market is SPOT else "-5022")
        assert error.order is not None
        assert (error.order.state, error.reason) == (OrderState.REJECTED, EndReason.POST_ONLY)
        await asyncio.sleep(20.0)
        assert not case.asked("GET", case.path("order"))
        assert not case.of(Fill)

    play(scenario, market)


# --- states ----------------------------------------------------------------------------------


@EACH
def test_case_c4_the_rest_of_an_ioc_order_expires(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        request = at.limit(BUY, at.crossing(BUY), 16, time_in_force=TimeInForce.IOC)
        live = await case.place(request)
        ended = (await case.failed(live.filled(timeout=5.0), OrderEnded)).order
        assert ended is not None
        assert (ended.state, ended.reason) == (OrderState.EXPIRED, EndReason.NO_LIQUIDITY)
        await asyncio.sleep(0.5)
        assert case.order(live.now).filled_size == at.own(at.size * 10)
        assert not case.account.open_orders()

    play(scenario, market)


@EACH
def test_case_c6_self_trade_prevention_expires_without_a_fill(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        heard = case.overhear("executionReport")
        rests = await case.place(at.limit(BUY, at.bid(1)))
        await asyncio.sleep(0.3)
        case.meet(at, SELL, at.size * 10, at.bid(1))  # what stood there before
        await asyncio.sleep(0.3)
        takes = at.limit(SELL, at.bid(1), self_trade_prevention=SelfTradePrevention.CANCEL_TAKER)
        live = await case.place(takes)
        ended = await live.ended(timeout=5.0)
        assert (ended.state, ended.reason) == (OrderState.EXPIRED, EndReason.SELF_TRADE)
        if market is SPOT:
            said = [(event["x"], event["X"]) for event in heard if event["S"] == "SELL"]
            assert said[-2:] == [
                ("TRADE_PREVENTION", "EXPIRED_IN_MATCH"),
                ("EXPIRED", "EXPIRED_IN_MATCH"),
            ]
        assert case.order(rests.now).state is OrderState.OPEN
        assert not case.of(Fill)
        await case.kill()
        await case.begin()
        await asyncio.sleep(2.0)
        assert [each.client_order_id for each in case.account.open_orders()] == [rests.id]

    play(scenario, market)


# --- cancels ---------------------------------------------------------------------------------


@EACH
def test_case_d1_a_cancel_meets_a_filled_order(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1)))
        await asyncio.sleep(0.5)
        case.slow("executionReport", "ORDER_TRADE_UPDATE", "TRADE_LITE", seconds=2.0)
        case.meet(at, SELL, at.size * 11, at.bid(1))
        await asyncio.sleep(0.03)
        outcome = await case.account.cancel(live)
        assert outcome.result is CancelResult.ENDED_BEFORE
        assert outcome.order.state is OrderState.FILLED
        await asyncio.sleep(5.0)
        assert len(case.of(Fill)) == 1

    play(scenario, market)


@FUTURES
def test_case_d3_a_cancel_overtakes_its_placement(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("order")
        case.takes_long(path, 0.2, method="POST")
        request = attrs.evolve(at.limit(BUY, at.passive(BUY)), client_order_id="early")
        placing = asyncio.ensure_future(case.place(request))
        await asyncio.sleep(0.1)
        assert case.order("early").state is OrderState.SENT
        await case.account.cancel("early")
        await placing
        await asyncio.sleep(5.0)
        assert case.order("early").state is OrderState.CANCELED
        assert len(case.asked("DELETE", path)) == 2  # the first one overtook it

    play(scenario, market)


def test_case_d4_a_cancel_has_an_id_of_its_own_and_is_no_order() -> None:
    async def scenario(case: Case) -> None:
        at, symbol = case.stall(), case.stall().listing.symbol
        heard = case.overhear("executionReport")
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        web = case.hand.order(
            symbol, "BUY", f"{at.size:f}", price=f"{at.bid(3):f}", newClientOrderId="web_1"
        )
        await asyncio.sleep(0.3)
        about = {"symbol": symbol, "origClientOrderId": live.id, "newClientOrderId": "cx1"}
        case.hand.ask("DELETE", "/api/v3/order", **about)
        case.life.tap.poke()
        await live.ended(timeout=5.0)
        assert (heard[-1]["c"], heard[-1]["C"], heard[-1]["x"]) == ("cx1", live.id, "CANCELED")
        assert case.account.order("cx1") is None
        assert case.order("web_1").origin is Origin.OTHER
        assert case.order("web_1").exchange_order_id == str(web["orderId"])
        assert {each.client_order_id for each in case.account.orders()} == {live.id, "web_1"}
        # One of which nothing but its end is heard has the id that it was placed with.
        tell = case.feed().tell
        case.overhear("executionReport", lost=True)
        case.hand.order(
            symbol, "BUY", f"{at.size:f}", price=f"{at.bid(4):f}", newClientOrderId="web_2"
        )
        await asyncio.sleep(0.3)
        case.feed().tell = tell
        about = {"symbol": symbol, "origClientOrderId": "web_2", "newClientOrderId": "cx2"}
        case.hand.ask("DELETE", "/api/v3/order", **about)
        case.life.tap.poke()
        await asyncio.sleep(0.5)
        assert case.account.order("cx2") is None
        ended = [each for each in case.account.orders() if each.state is OrderState.CANCELED]
        assert {each.client_order_id for each in ended} == {live.id, "web_2"}

    play(scenario, SPOT)


# --- amendments ------------------------------------------------------------------------------


@FUTURES
def test_case_e1_an_amendment_below_what_is_filled_ends_the_order(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 5))
        await asyncio.sleep(0.5)
        case.slow("ORDER_TRADE_UPDATE", "TRADE_LITE", seconds=3.0)
        case.meet(at, SELL, at.size * 13, at.bid(1))
        error = await case.failed(case.account.amend(live, size=at.own(at.size * 3)), OrderEnded)
        assert error.order is not None
        assert (error.order.state, error.order.filled_size) == (
            OrderState.CANCELED,
            at.own(at.size * 3),
        )
        await asyncio.sleep(5.0)
        # Known to be filled: refused without a request.
        second = await case.place(at.limit(BUY, at.bid(2), 5))
        await asyncio.sleep(0.3)
        case.meet(at, SELL, at.size * 13, at.bid(2))
        await asyncio.sleep(5.0)
        sent = len(case.asked("PUT", case.path("order")))
        await case.failed(case.account.amend(second, size=at.own(at.size * 3)), UsageError)
        assert len(case.asked("PUT", case.path("order"))) == sent

    play(scenario, market)


@FUTURES
def test_case_e5_the_exchange_makes_reduce_only_orders_smaller(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.market(BUY, 3))
        await live.filled(timeout=5.0)
        await asyncio.sleep(0.3)
        less = await case.place(at.limit(SELL, at.crossing(SELL), 5, reduce_only=True))
        ended = await less.ended(timeout=5.0)
        await asyncio.sleep(0.5)
        assert ended.filled_size == at.own(at.size * 3)
        assert [each.size for each in case.account.positions() if each.size] == []

    play(scenario, market)


# --- amounts ---------------------------------------------------------------------------------


def test_case_i3_each_call_buys_what_it_says() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
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
        assert money - at.ask() * at.listing.lot < quote.filled_value <= money

    play(scenario, SPOT)


# --- limits ----------------------------------------------------------------------------------


@EACH
def test_case_l4_a_limited_cancel_is_repeated_and_a_limited_placement_is_not(
    market: Market,
) -> None:
    async def scenario(case: Case) -> None:
        at, path = case.stall(), case.path("order")
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.3)
        limited = refusal(429, -1003, "Too many requests.", **{"Retry-After": "1"})
        case.answers("DELETE", path, limited, times=2, done=False)
        await case.account.cancel(live)
        await live.ended(timeout=9.0)
        assert case.order(live.now).state is OrderState.CANCELED
        assert len(case.asked("DELETE", path)) == 3
        many = refusal(429, -1015, "Too many new orders.")
        case.answers("POST", path, many, done=False)
        error = await case.failed(case.place(at.limit(BUY, at.passive(BUY))), RateLimited)
        assert error.code == "-1015"
        await asyncio.sleep(2.0)
        states = {each.state for each in case.account.orders()}
        assert states == {OrderState.CANCELED, OrderState.REJECTED}

    play(scenario, market)


# --- what waits for a trigger ----------------------------------------------------------------


@FUTURES
def test_case_m3_a_stop_is_followed_through_what_it_places(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.crossing(BUY), 2))
        await live.filled(timeout=5.0)
        heard = case.overhear("ALGO_UPDATE", "ORDER_TRADE_UPDATE")
        trigger = Trigger(price=at.bid(3), rises=False)
        stop = await case.place(at.market(SELL, 2, trigger=trigger, reduce_only=True))
        await asyncio.sleep(0.5)
        assert stop.state is OrderState.WAITING
        case.venue.steer(at.listing, last_price=at.bid(3))
        case.life.tap.poke()
        ended = await stop.filled(timeout=5.0)
        said = [e["o"]["X"] for e in heard if e["e"] == "ALGO_UPDATE"]
        assert said == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]
        [child] = ended.children
        placed = case.order(child)
        assert (placed.state, placed.filled_size) == (OrderState.FILLED, at.own(at.size * 2))
        assert ended.filled_size == placed.filled_size
        assert [each.exchange_order_id for each in case.of(Fill)][-1] == child
        # What waits is open, and "cancel all" covers both kinds.
        at = case.stall()
        plain = await case.place(at.limit(BUY, at.passive(BUY)))
        waits = await case.place(at.market(SELL, 1, trigger=trigger))
        await asyncio.sleep(0.5)
        assert {each.client_order_id for each in case.account.open_orders()} == {
            plain.id,
            waits.id,
        }
        await case.account.cancel_all()
        assert (await waits.ended(timeout=5.0)).state is OrderState.CANCELED
        assert (await plain.ended(timeout=5.0)).state is OrderState.CANCELED
        case.twice |= {stop.id}

    play(scenario, market)


def test_exits_of_spot_are_placed_once_their_order_is_filled() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        request = at.limit(
            BUY, at.bid(1), 4, stop_loss=Exit(price=at.bid(4)), take_profit=Exit(price=at.ask(4))
        )
        live = await case.place(request)
        await asyncio.sleep(0.5)
        case.meet(at, SELL, at.size * 14, at.bid(1))
        await live.filled(timeout=5.0)
        await asyncio.sleep(1.0)
        exits = case.account.open_orders()
        assert [each.state for each in exits] == [OrderState.WAITING] * 2
        # Their ids are of the exchange's making, and say of nobody that they are his.
        case.others = ("web", *(each.client_order_id for each in exits))
        await case.account.cancel(exits[0])
        await asyncio.sleep(1.0)
        # They are one list: one of them takes the other with it.
        assert not case.account.open_orders()

    play(scenario, SPOT)


@EACH
def test_case_m4_waits_end_with_the_order_and_leave_it_alone(market: Market) -> None:
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
        await asyncio.sleep(0.5)
        assert told(case, live.now)[-1].complete

    play(scenario, market)
