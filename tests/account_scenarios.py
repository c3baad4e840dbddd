"""What goes wrong in trading alike on all exchanges: scenarios of one account, for any harness of
:mod:`tests.account_cases`. Where an exchange is asked for what, its :class:`Calls` say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ccrs_core import (
    Adjustment,
    AdjustmentKind,
    CancelResult,
    Channel,
    EndReason,
    Fill,
    Income,
    IncomeKind,
    Market,
    OrderEnded,
    OrderRejected,
    OrderState,
    Origin,
    OutcomeUnknown,
    PositionMode,
    PositionSide,
    RateLimited,
    Resumed,
    Side,
    Stale,
    StoreFailed,
    TimeInForce,
)
from ccrs_core.conformance.workbench.account_world import NAME, SlowStore
from tests.account_cases import AccountCase, told

BUY, SELL = Side.BUY, Side.SELL
DAY = 86_400.0


@attrs.frozen(kw_only=True)
class Calls:
    """Paths, or patterns of them, by what is asked there."""

    place: str
    cancel: str
    orders: str
    """Where orders are asked for, open ones and past ones."""
    fills: str
    positions: str
    balances: str
    any: str
    limited: int | str
    """The code of an answer, or a status, that says that a limit was passed."""


Scenario = Callable[[AccountCase, Calls], Awaitable[None]]


async def bought(case: AccountCase, market: Market | None = None, lots: int = 3) -> Any:
    """A market that stands still, of which the account has bought something."""
    at = case.stall(market)
    live = await case.place(at.limit(BUY, at.crossing(BUY), lots))
    await live.filled(timeout=5.0)
    await asyncio.sleep(0.5)
    return at


async def eventually(check: Callable[[], Any], within: float) -> None:
    """Wait until something is so; fails where it isn't within some seconds."""
    for _ in range(round(within * 4)):
        if check():
            return
        await asyncio.sleep(0.25)
    raise AssertionError(f"not within {within:g} s")


# --- placing -------------------------------------------------------------------------------------


async def a1_the_answer_is_lost_and_the_order_lives(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    case.fault(f"unclear,path={calls.place},count=1", "stall")
    case.fault(f"lag,path={calls.orders},seconds=1.0", f"lag,path={calls.fills},seconds=8")
    request = at.limit(BUY, at.crossing(BUY, 1), 12)  # more than there is of the best level
    error = await case.failed(case.place(request), OutcomeUnknown)
    order = error.order
    assert order is not None
    assert order.state is OrderState.UNKNOWN
    await asyncio.sleep(0.5)
    assert case.order(order).state is OrderState.UNKNOWN
    await eventually(lambda: case.order(order).state is OrderState.OPEN, 5.0)
    now = case.order(order)
    assert now.filled_size == at.own(at.size * 10)
    assert not now.fills_complete
    await eventually(lambda: case.order(order).fills_complete, 90.0)
    assert len(case.of(Fill)) == 1


async def a5_a_duplicate_id_does_not_kill_the_living_order(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    case.fault("stall")
    # Placed by a store that is lost.
    case.by_hand(at, BUY, at.size * 12, price=at.crossing(BUY), client_order_id="c5")
    request = attrs.evolve(at.limit(BUY, at.crossing(BUY), 12), client_order_id="c5")
    error = await case.failed(case.place(request), OrderRejected)
    assert error.reason is EndReason.DUPLICATE
    assert error.order is not None
    living = OrderState.OPEN, at.own(at.size * 10)
    assert (error.order.state, error.order.filled_size) == living
    case.heal()
    now = case.order("c5")
    assert (now.state, now.filled_size) == living
    assert now.exchange_order_id
    # Known to the store: refused without a request.
    sent = len(case.sent(calls.place))
    await case.failed(case.account.place(request), OrderRejected)
    assert len(case.sent(calls.place)) == sent
    assert case.order("c5").state is OrderState.OPEN


async def a7_post_only_that_would_take(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    for _ in range(4):
        live = await case.place(at.limit(BUY, at.crossing(BUY), post_only=True))
        ended = await live.ended(timeout=5.0)
        assert (ended.state, ended.reason) == (OrderState.REJECTED, EndReason.POST_ONLY)
        assert ended.filled_size == 0
    assert not case.of(Fill)


def c4_the_rest_of_an_ioc_order_expires(market: Market) -> Scenario:
    async def scenario(case: AccountCase, calls: Calls) -> None:
        at = case.stall(market)
        request = at.limit(BUY, at.crossing(BUY), 16, time_in_force=TimeInForce.IOC)
        live = await case.place(request)
        error = await case.failed(live.filled(timeout=5.0), OrderEnded)
        await asyncio.sleep(0.5)
        why = OrderState.EXPIRED, EndReason.NO_LIQUIDITY
        assert (error.order.state, error.order.reason) == why
        assert case.order(live.now).filled_size == at.own(at.size * 10)
        assert not case.account.open_orders()

    return scenario


async def l4_limited(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    live = await case.place(at.limit(BUY, at.passive(BUY)))
    await asyncio.sleep(0.3)
    case.fault(f"http,path={calls.cancel},status={calls.limited},count=2")
    await case.account.cancel(live)
    await live.ended(timeout=5.0)
    assert case.order(live.now).state is OrderState.CANCELED
    assert len(case.sent(calls.cancel)) == 3
    case.fault(f"http,path={calls.place},status={calls.limited},count=1")
    error = await case.failed(case.place(at.limit(BUY, at.passive(BUY))), RateLimited)
    assert error.code == str(calls.limited)
    await asyncio.sleep(2.0)
    states = {each.state for each in case.account.orders()}
    assert states == {OrderState.CANCELED, OrderState.REJECTED}
    assert not case.account.unknown_orders()


async def m4_waits(case: AccountCase, calls: Calls) -> None:
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


# --- canceling -----------------------------------------------------------------------------------


async def d1_a_cancel_meets_a_filled_order(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    live = await case.place(at.limit(BUY, at.bid(1)))
    await asyncio.sleep(0.5)
    case.fault("delay,seconds=2")
    case.meet(at, SELL, at.size * 11, at.bid(1))
    await asyncio.sleep(0.03)
    outcome = await case.account.cancel(live)
    assert outcome.result is CancelResult.ENDED_BEFORE
    assert outcome.order.state is OrderState.FILLED
    await asyncio.sleep(5.0)
    assert len(case.of(Fill)) == 1


async def d2_accepted_is_not_canceled(case: AccountCase, calls: Calls) -> None:
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


async def d3_a_cancel_overtakes_its_placement(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    case.takes_long(calls.place, 0.2)
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
    assert len(case.sent(calls.cancel)) == 2  # the first one overtook it


# --- streams and lists ---------------------------------------------------------------------------


async def b7_the_order_row_is_ahead_of_the_fills(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    live = await case.place(at.limit(BUY, at.bid(1), 5))
    await asyncio.sleep(0.3)
    case.drop()
    case.fault("refuse,duration=1", f"lag,path={calls.fills},seconds=60")
    case.meet(at, SELL, at.size * 20, at.bid(1))
    await eventually(lambda: live.state is OrderState.FILLED, 50.0)
    now = case.order(live.now)
    assert (now.state, now.filled_size) == (OrderState.FILLED, at.own(at.size * 5))
    assert not now.fills_complete
    assert not case.of(Fill)
    await asyncio.sleep(120.0)
    assert case.order(live.now).fills_complete
    assert [each.backfilled for each in case.of(Fill)] == [True]


async def b8_more_fills_than_any_cache(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    case.most_requests = 600
    for number in range(60):
        case.by_hand(at, SELL if number % 2 else BUY)
        if number % 10 == 9:
            at = case.stall()
    await asyncio.sleep(3.0)
    case.drop()
    await asyncio.sleep(70.0)
    await case.kill()
    await case.begin()
    await asyncio.sleep(70.0)
    fills = case.of(Fill)
    keys = [(each.fill_id, each.exchange_order_id) for each in fills if not each.again]
    assert len(keys) == len(set(keys)) == 60


async def f4_pongs_but_no_orders(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    case.most_requests = 500
    dialled = len(case.life.tap.attempts)
    await asyncio.sleep(200.0)
    assert len(case.life.tap.attempts) == dialled  # silence alone is no alarm
    case.fault("silence,topic=*")
    live = await case.place(at.limit(BUY, at.crossing(BUY)))
    await asyncio.sleep(20.0)
    assert len(case.life.tap.attempts) > dialled
    assert case.order(live.now).state is OrderState.FILLED
    assert len(case.of(Fill)) == 1


async def f6_between_subscription_and_snapshot(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    case.fault(f"slow_answer,path={calls.any},seconds=0.4")
    case.drop()
    for _ in range(12):
        case.by_hand(at, BUY)
        await asyncio.sleep(0.15)
    await asyncio.sleep(30.0)
    keys = [each.fill_id for each in case.of(Fill)]
    assert len(keys) == len(set(keys)) == 12


def g2_half_the_queries_fail(*markets: Market) -> Scenario:
    async def scenario(case: AccountCase, calls: Calls) -> None:
        stalls = [case.stall(market) for market in markets]
        case.drop()
        case.fault("refuse,duration=2")
        for at in stalls:
            case.by_hand(at, BUY)
        case.fault(f"http,path={calls.fills},status={calls.limited},count=2")
        await asyncio.sleep(75.0)
        assert {each.market for each in case.of(Fill)} == set(markets)

    return scenario


async def g3_visible_late(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    case.fault("stall", f"lag,path={calls.fills},seconds=30")
    first = case.by_hand(at, BUY)
    await asyncio.sleep(25.0)
    assert not case.of(Fill)
    case.heal()
    second = case.by_hand(at, BUY)
    await asyncio.sleep(90.0)
    found = {each.client_order_id: each.backfilled for each in case.of(Fill)}
    assert found == {first.client_order_id: True, second.client_order_id: False}


def g4_days_away(days: float, most_requests: int) -> Scenario:
    async def scenario(case: AccountCase, calls: Calls) -> None:
        at = await bought(case)
        case.most_requests = 4000
        await case.kill()
        for number in range(30):
            await asyncio.sleep(days * DAY / 30)
            at = case.stall()
            case.by_hand(at, SELL if number % 2 else BUY)
        await case.begin()
        await asyncio.sleep(60.0)
        fills = [each for each in case.of(Fill) if each.client_order_id.startswith("web")]
        assert len(fills) == 30
        times = [each.exchange_time_ns for each in fills]
        assert times == sorted(times)  # type: ignore[type-var]
        assert len(case.life.tap.requests) < most_requests

    return scenario


async def g6_lists_that_leave_orders_out(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    kept = await case.place(at.limit(BUY, at.passive(BUY)))
    gone = await case.place(at.limit(BUY, at.bid(1)))
    await asyncio.sleep(0.5)
    case.fault(f"lag,path={calls.orders},seconds=1000,duration=30", "stall,duration=30")
    case.drop()
    case.meet(at, SELL, at.size * 11, at.bid(1))
    await asyncio.sleep(100.0)
    assert case.order(kept.now).state is OrderState.OPEN
    assert case.order(gone.now).state is OrderState.FILLED


async def g7_errors_are_not_denials(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    live = await case.place(at.limit(BUY, at.passive(BUY)))
    await asyncio.sleep(0.5)
    for trouble in (
        *("http,status=503", "lose_answer,effect=no", "http,status=429", "garble,how=html"),
        *(f"http,status={calls.limited}", "http,status=503"),
    ):
        case.heal()
        case.fault(f"{trouble},path={calls.orders}")
        case.drop()
        await asyncio.sleep(12.0)
        assert case.order(live.now).state is OrderState.OPEN
    case.heal()
    case.most_requests = 1200
    await asyncio.sleep(70.0)
    assert case.order(live.now).state is OrderState.OPEN


# --- restart and store ---------------------------------------------------------------------------


def h1_killed_around_the_send(arrives: bool, *, proof: bool) -> Scenario:
    """``proof``: the exchange's word proves that what never arrived never will."""

    async def scenario(case: AccountCase, calls: Calls) -> None:
        at = case.stall()
        effect = "yes" if arrives else "no"
        case.fault(f"lose_answer,path={calls.place},effect={effect}", "stall")
        request = attrs.evolve(at.limit(BUY, at.crossing(BUY)), client_order_id="h1")
        await case.failed(case.place(request), OutcomeUnknown)
        await case.kill()
        case.heal()
        await case.begin()
        await asyncio.sleep(170.0)
        now = case.order("h1")
        if arrives:
            assert (now.state, now.fills_complete) == (OrderState.FILLED, True)
            assert len(case.of(Fill)) == 1
        elif proof:
            assert now.state is OrderState.ABSENT
        else:
            assert now.state is OrderState.PRESUMED_ABSENT
            case.presumed = 1

    return scenario


async def h4_numbers_survive_digit_for_digit(case: AccountCase, calls: Calls) -> None:
    at = case.stall(Market.SPOT)
    tick, lot = at.listing.tick, at.listing.lot
    price = at.bid(3) + tick
    request = attrs.evolve(
        at.limit(BUY, price), size=at.own(at.size) + lot, client_order_id="exact"
    )
    await case.place(request)
    await asyncio.sleep(0.5)
    await case.kill()
    await case.begin()
    now = case.order("exact")
    assert (now.price, now.size) == (price, at.own(at.size) + lot)
    assert now.asked is not None
    assert str(now.asked.price) == str(price)


class _Failing(SlowStore):
    fails = False

    async def commit(self, rows: Any) -> None:
        if self.fails:
            raise StoreFailed("the disk is full")
        await super().commit(rows)


async def h5_the_commit_fails(case: AccountCase, calls: Calls) -> None:
    await case.kill()
    store = case.world.stores[NAME] = _Failing()
    await case.begin()
    at = case.stall()
    case.by_hand(at, BUY)
    await asyncio.sleep(1.0)
    store.fails = True
    case.by_hand(at, BUY)
    case.by_hand(at, BUY)
    await asyncio.sleep(3.0)
    assert len(case.of(Fill)) == 1
    assert not case.account.synced
    await case.failed(case.account.place(at.limit(BUY, at.passive(BUY))), StoreFailed)
    store.fails = False
    await asyncio.sleep(30.0)
    assert len(case.of(Fill)) == 3


async def h6_the_same_difference_three_times(case: AccountCase, calls: Calls) -> None:
    await bought(case)
    await asyncio.sleep(70.0)
    case._now()
    case.desk.transfer(case.trader, "USDT", Decimal(25))
    case.life.tap.poke()
    for _ in range(3):
        await asyncio.sleep(70.0)
        await case.kill()
        await case.begin()
    await asyncio.sleep(70.0)
    found = {
        each.income_id
        for each in case.of(Income)
        if each.kind is IncomeKind.TRANSFER and each.amount == 25
    }
    adjusted = [each for each in case.of(Adjustment) if each.kind is AdjustmentKind.UNEXPLAINED]
    assert len(found) + len(adjusted) == 1, (found, adjusted)


# --- positions and money -------------------------------------------------------------------------


async def b4_funding_looks_like_a_fill(case: AccountCase, calls: Calls) -> None:
    at = await bought(case)
    case._now()
    case.venue.steer(at.listing, next_funding_time_ns=case.venue.now_ns + 10**9)
    case.life.tap.poke()
    await asyncio.sleep(90.0)
    paid = [each for each in case.of(Income) if each.kind is IncomeKind.FUNDING]
    assert [each.asset for each in paid] == ["USDT"]
    assert len(case.of(Fill)) == 1
    [position] = [each for each in case.account.positions() if each.size]
    assert position.size == at.own(at.size * 3)


def j1_two_positions_of_one_instrument(*, by_symbol: bool) -> Scenario:
    """``by_symbol``: each symbol has a position mode of its own."""

    async def scenario(case: AccountCase, calls: Calls) -> None:
        at = case.stall()
        if by_symbol:
            await case.account.set_position_mode(PositionMode.HEDGE, symbol=at.instrument.symbol)
        else:
            await case.account.set_position_mode(PositionMode.HEDGE, market=at.listing.market)
        for side, which, lots in (
            (BUY, PositionSide.LONG, 5),
            (SELL, PositionSide.SHORT, 2),
            (SELL, PositionSide.LONG, 5),
        ):
            request = at.limit(side, at.crossing(side), lots, position_side=which)
            await (await case.place(request)).filled(timeout=5.0)
            at = case.stall()
        await asyncio.sleep(1.0)
        held = {each.side: each.size for each in case.account.positions() if each.size}
        assert held == {PositionSide.SHORT: -at.own(at.size * 2)}

    return scenario


async def j2_through_zero_in_one_fill(case: AccountCase, calls: Calls) -> None:
    at = await bought(case, lots=2)
    live = await case.place(at.limit(SELL, at.crossing(SELL), 5))
    await live.filled(timeout=5.0)
    await asyncio.sleep(1.0)
    assert len(case.of(Fill)) == 2
    [position] = [each for each in case.account.positions() if each.size]
    assert position.size == -at.own(at.size * 3)
    profit = case.account.profit(at.instrument.symbol)
    assert profit is not None
    assert profit.realised == at.size * 2 * (at.crossing(SELL) - at.crossing(BUY))


async def j3_absent_flat_not_read(case: AccountCase, calls: Calls) -> None:
    at = await bought(case)
    await case.kill()
    case.by_hand(at, SELL, at.size * 3, reduce_only=True)
    case.fault(f"lose_answer,path={calls.positions},effect=no,count=1")
    await case.begin()
    await asyncio.sleep(70.0)
    assert [each.size for each in case.account.positions() if each.size] == []


async def j5_somebody_trades_by_hand(case: AccountCase, calls: Calls) -> OrderState:
    """What the own order of which nothing is known is in the end, after 170 s."""
    at = case.stall()
    case.fault(f"lose_answer,path={calls.place},count=1,effect=no")
    error = await case.failed(case.place(at.limit(BUY, at.bid(2))), OutcomeUnknown)
    case.by_hand(at, BUY, price=at.bid(2), client_order_id="web9")
    await asyncio.sleep(2.0)
    assert case.order("web9").origin is Origin.OTHER
    assert case.order(error.order).state is OrderState.UNKNOWN
    await case.account.cancel_all(own=True)
    await asyncio.sleep(1.0)
    assert case.order("web9").state is OrderState.OPEN
    await case.account.cancel_all()
    await asyncio.sleep(1.0)
    assert case.order("web9").state is OrderState.CANCELED
    await asyncio.sleep(170.0)
    return case.order(error.order).state


async def j7_two_accounts_in_one_process(case: AccountCase, calls: Calls) -> None:
    """Of a world that has a second one, of that name."""
    at = case.stall()
    second = case.life.client.account(
        "second",
        credentials=case.world.credentials["second"],
        store=case.world.stores["second"],
    )
    request = attrs.evolve(at.limit(BUY, at.crossing(BUY)), client_order_id="m1")
    async with second:
        mine = await case.place(request)
        theirs = await second.place(request)
        case.calls += 1
        await mine.filled(timeout=5.0)
        await theirs.filled(timeout=5.0)
        assert mine.now.exchange_order_id != theirs.now.exchange_order_id
    await asyncio.sleep(1.0)
    live = await case.place(at.limit(BUY, at.passive(BUY)))
    await asyncio.sleep(0.5)
    assert live.state is OrderState.OPEN
    assert len(case.of(Fill)) == 1


async def k3_the_older_answer_arrives_later(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    for path in (calls.balances, calls.positions):
        case.fault(f"slow_answer,path={path},seconds=2,count=1")
    reading = asyncio.ensure_future(case.account.reconcile())
    await asyncio.sleep(0.3)
    case.by_hand(at, BUY)
    await reading
    await asyncio.sleep(1.0)
    [position] = [each for each in case.account.positions() if each.size]
    assert position.size == at.own(at.size)
    await case.is_true()


# --- limits, clocks, what one sees ---------------------------------------------------------------


async def l2_clocks(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    for jump in ("clock,seconds=-1.5", "clock,seconds=3600"):
        case.heal()
        case.fault(jump)
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.5)
        assert live.state is OrderState.OPEN
    sent = len(case.sent(calls.place))
    assert sent >= case.calls
    case.repeats = sent - case.calls  # refused for the clock alone: nothing was taken
    assert case.repeats <= 2


def l1_signed_as_it_leaves(count: int, longest: float) -> Scenario:
    """So many questions of one pool, the last of which leaves after so many seconds."""

    async def scenario(case: AccountCase, calls: Calls) -> None:
        limits = case.venue.dialect.trading.limits  # type: ignore[attr-defined]
        limits.factor = 1.0
        at, loop = case.stall(), asyncio.get_running_loop()
        begun = loop.time()
        asked = [case.account.fee_rates(symbol=at.instrument.symbol) for _ in range(count)]
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert not [each for each in done if isinstance(each, BaseException)]
        assert loop.time() - begun > longest

    return scenario


def l3_cancels_first(count: int) -> Scenario:
    """So many questions wait."""

    async def scenario(case: AccountCase, calls: Calls) -> None:
        limits = case.venue.dialect.trading.limits  # type: ignore[attr-defined]
        limits.factor = 1.0
        case.most_requests = 800
        at = case.stall()
        lives = [await case.place(at.limit(BUY, at.passive(BUY))) for _ in range(10)]
        await asyncio.sleep(1.0)
        asked = [
            asyncio.ensure_future(case.account.fetch_open_orders(symbol=at.instrument.symbol))
            for _ in range(count)
        ]
        await asyncio.sleep(0.1)
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(*(case.account.cancel(live) for live in lives))
        assert asyncio.get_running_loop().time() - begun < 2.5
        assert not all(each.done() for each in asked)
        await asyncio.gather(*asked)

    return scenario


async def m5_what_one_sees_while_uncertain(case: AccountCase, calls: Calls) -> None:
    at = case.stall()
    kept = await case.place(at.limit(BUY, at.passive(BUY)))
    case.fault(f"lose_answer,path={calls.place},count=1", "refuse,duration=2")
    case.drop()
    error = await case.failed(case.place(at.limit(BUY, at.bid(3), 2)), OutcomeUnknown)
    assert not case.account.synced
    assert case.account.unknown_orders() == [error.order]
    exposure = case.account.exposure(at.instrument.symbol)
    assert exposure.unknown_buys == at.own(at.size * 2)
    await case.account.cancel(kept)
    await eventually(lambda: case.account.synced, 60.0)
    assert case.order(error.order).state is OrderState.OPEN
    notices = [each for each in case.life.events if isinstance(each, Stale | Resumed)]
    of_orders = [type(each) for each in notices if each.about is Channel.ORDERS]
    assert of_orders == [Stale, Resumed]
