"""Fills, positions, money, streams and restarts at the emulated Bybit where something goes wrong.
Each test is one case, under its name; :mod:`bybit_cases` says what every case ends in."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from typing import Any

import attrs
import pytest
from bybit_cases import Case, play

from ccrs_core import (
    Adjustment,
    AdjustmentKind,
    CcrsError,
    Channel,
    EndReason,
    Fill,
    FillKind,
    Income,
    IncomeKind,
    Market,
    OrderState,
    Origin,
    OutcomeUnknown,
    PositionMode,
    PositionSide,
    Resumed,
    Side,
    Stale,
    StoreFailed,
)
from ccrs_core.conformance.workbench.account_world import NAME, SlowStore

BUY, SELL = Side.BUY, Side.SELL
CREATE = "/v5/order/create"
DAY = 86_400.0


async def bought(case: Case, market: Market = Market.LINEAR, lots: int = 3) -> Any:
    """A market that stands still, of which the account has bought something."""
    at = case.stall(market)
    live = await case.place(at.limit(BUY, at.crossing(BUY), lots))
    await live.filled(timeout=5.0)
    await asyncio.sleep(0.5)
    return at


# --- each fill once ------------------------------------------------------------------------------


def test_case_b4_funding_looks_like_a_fill() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        case._now()
        due = case.venue.now_ns + 10**9
        case.venue.steer(at.listing, next_funding_time_ns=due)
        case.life.tap.poke()
        await asyncio.sleep(90.0)
        paid = [each for each in case.of(Income) if each.kind is IncomeKind.FUNDING]
        assert [(each.asset, each.backfilled) for each in paid] == [("USDT", False)]
        assert len(case.of(Fill)) == 1
        [position] = [each for each in case.account.positions() if each.size]
        assert position.size == at.own(at.size * 3)

    play(scenario)


def test_case_b7_the_order_row_is_ahead_of_the_fills() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 5))
        await asyncio.sleep(0.3)
        case.drop()
        case.fault("refuse,duration=1", "lag,path=/v5/execution/*,seconds=8")
        case.meet(at, SELL, at.size * 20, at.bid(1))
        await asyncio.sleep(5.0)
        now = case.order(live.now)
        assert (now.state, now.filled_size) == (OrderState.FILLED, at.own(at.size * 5))
        assert not now.fills_complete
        assert not case.of(Fill)
        await asyncio.sleep(20.0)
        assert case.order(live.now).fills_complete
        assert [each.backfilled for each in case.of(Fill)] == [True]

    play(scenario)


def test_case_b8_more_fills_than_any_cache() -> None:
    async def scenario(case: Case) -> None:
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

    play(scenario)


def test_case_c2_filled_long_before_its_fills_and_several_in_one_message() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 9))
        await asyncio.sleep(0.3)
        case.slow_topic("execution", 1.5)
        case.meet(at, SELL, at.size * 14, at.bid(1))
        case.meet(at, SELL, at.size * 5, at.bid(1))
        await asyncio.sleep(1.0)
        now = case.order(live.now)
        assert (now.state, now.filled_size) == (OrderState.FILLED, at.own(at.size * 9))
        assert not now.fills_complete
        await asyncio.sleep(2.0)
        assert case.order(live.now).fills_complete
        assert [each.size for each in case.of(Fill)] == [
            *(at.own(at.size * 4), at.own(at.size * 5)),
        ]

    play(scenario)


# --- streams and lists ---------------------------------------------------------------------------


def test_case_f4_pongs_but_no_orders() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.most_requests = 400
        dialled = len(case.life.tap.attempts)
        await asyncio.sleep(200.0)
        assert len(case.life.tap.attempts) == dialled  # silence alone is no alarm
        case.fault("silence,topic=*")
        live = await case.place(at.limit(BUY, at.crossing(BUY)))
        await asyncio.sleep(20.0)
        assert len(case.life.tap.attempts) > dialled
        assert case.order(live.now).state is OrderState.FILLED
        assert len(case.of(Fill)) == 1

    play(scenario)


def test_case_f6_between_subscription_and_snapshot() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.fault("slow_answer,path=/v5/*,seconds=0.4")
        case.drop()
        for _ in range(12):
            case.by_hand(at, BUY)
            await asyncio.sleep(0.15)
        await asyncio.sleep(5.0)
        keys = [each.fill_id for each in case.of(Fill)]
        assert len(keys) == len(set(keys)) == 12

    play(scenario)


def test_case_g2_half_the_queries_fail() -> None:
    async def scenario(case: Case) -> None:
        one, other = case.stall(Market.LINEAR), case.stall(Market.SPOT)
        case.drop()
        case.fault("refuse,duration=2")
        case.by_hand(one, BUY)
        case.by_hand(other, BUY)
        case.fault("http,path=/v5/execution/list,status=10006,count=2")
        await asyncio.sleep(75.0)
        assert {each.market for each in case.of(Fill)} == {Market.LINEAR, Market.SPOT}

    play(scenario)


def test_case_g3_visible_late() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.fault("stall", "lag,path=/v5/execution/list,seconds=30")
        first = case.by_hand(at, BUY)
        await asyncio.sleep(25.0)
        assert not case.of(Fill)
        case.heal()
        second = case.by_hand(at, BUY)
        await asyncio.sleep(90.0)
        found = {each.client_order_id: each.backfilled for each in case.of(Fill)}
        assert found == {first.client_order_id: True, second.client_order_id: False}

    play(scenario)


def test_case_g4_nine_days_away() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        case.most_requests = 4000
        await case.kill()
        for number in range(30):
            await asyncio.sleep(9 * DAY / 30)
            at = case.stall()
            case._now()
            case.by_hand(at, SELL if number % 2 else BUY)
        before = len(case.life.tap.requests)
        await case.begin()
        await asyncio.sleep(60.0)
        fills = [each for each in case.of(Fill) if each.client_order_id.startswith("web")]
        assert len(fills) == 30
        times = [each.exchange_time_ns for each in fills]
        assert times == sorted(times)  # type: ignore[type-var]
        assert len(case.life.tap.requests) < 120, before

    play(scenario)


def test_case_g6_an_order_that_a_list_leaves_out_is_asked_for_by_id() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        kept = await case.place(at.limit(BUY, at.passive(BUY)))
        gone = await case.place(at.limit(BUY, at.bid(1)))
        await asyncio.sleep(0.5)
        case.fault("lag,path=/v5/order/realtime,seconds=1000,duration=30", "stall,duration=30")
        case.drop()
        case.meet(at, SELL, at.size * 11, at.bid(1))
        await asyncio.sleep(100.0)
        assert case.order(kept.now).state is OrderState.OPEN
        assert case.order(gone.now).state is OrderState.FILLED

    play(scenario)


def test_case_g7_errors_are_not_not_found() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.5)
        for trouble in (
            *("http,status=503", "lose_answer,effect=no", "http,status=429", "garble,how=html"),
            *("http,status=10006", "http,status=503"),
        ):
            case.heal()
            case.fault(f"{trouble},path=/v5/order/*")
            case.drop()
            await asyncio.sleep(12.0)
            assert case.order(live.now).state is OrderState.OPEN
        case.heal()
        case.most_requests = 900
        await asyncio.sleep(70.0)
        assert case.order(live.now).state is OrderState.OPEN

    play(scenario)


# --- restart and store ---------------------------------------------------------------------------


@pytest.mark.parametrize("arrives", [True, False])
def test_case_h1_killed_around_the_send(arrives: bool) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        told = "yes" if arrives else "no"
        case.fault(f"lose_answer,path={CREATE},effect={told}", "stall")
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
        else:
            assert now.state is OrderState.PRESUMED_ABSENT
            case.presumed = 1

    play(scenario)


def test_case_h3_client_ids_are_of_bybits_grammar_and_never_repeat() -> None:
    ids: list[str] = []

    async def scenario(case: Case) -> None:
        at = case.stall()
        for _ in range(2):
            for _ in range(5):
                live = await case.place(at.limit(BUY, at.passive(BUY), tag="maker"))
                ids.append(live.id)
                await case.account.cancel(live)
            await case.kill()
            await case.begin()
        assert all(case.order(each).tag == "maker" for each in ids)

    play(scenario)
    assert len(ids) == len(set(ids)) == 10
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,36}", each) for each in ids)


def test_case_h4_small_and_large_numbers_survive_digit_for_digit() -> None:
    async def scenario(case: Case) -> None:
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

    play(scenario)


def test_case_h5_the_commit_fails() -> None:
    class Failing(SlowStore):
        fails = False

        async def commit(self, rows: Any) -> None:
            if self.fails:
                raise StoreFailed("the disk is full")
            await super().commit(rows)

    async def scenario(case: Case) -> None:
        await case.kill()
        store = case.world.stores[NAME] = Failing()
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

    play(scenario)


def test_case_h6_the_same_difference_three_times() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
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
        assert at

    play(scenario)


# --- positions and money -------------------------------------------------------------------------


def test_case_j1_two_positions_of_one_instrument() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        await case.account.set_position_mode(PositionMode.HEDGE, symbol=at.instrument.symbol)
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

    play(scenario)


def test_case_j2_through_zero_in_one_fill() -> None:
    async def scenario(case: Case) -> None:
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

    play(scenario)


def test_case_j3_absent_is_flat_and_unread_is_unverified() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        await case.kill()
        case.by_hand(at, SELL, at.size * 3, reduce_only=True)
        case.fault("lose_answer,path=/v5/position/list,effect=no,count=1")
        await case.begin()
        await asyncio.sleep(70.0)
        assert [each.size for each in case.account.positions() if each.size] == []

    play(scenario)


def test_case_j4_deleveraged() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case, lots=10)
        live = await case.place(at.limit(SELL, at.ask(4), 3, reduce_only=True))
        await asyncio.sleep(0.5)
        case._now()
        case.desk.deleverage(case.trader, at.listing, at.size * 7, at.price)
        case.life.tap.poke()
        await asyncio.sleep(2.0)
        forced = [each for each in case.of(Fill) if each.kind is FillKind.DELEVERAGING]
        assert [(each.origin, each.size) for each in forced] == [
            (Origin.EXCHANGE, at.own(at.size * 7))
        ]
        now = case.order(live.now)
        assert (now.state, now.reason) == (OrderState.CANCELED, EndReason.DELEVERAGING)
        [position] = [each for each in case.account.positions() if each.size]
        assert position.size == at.own(at.size * 3)

    play(scenario)


def test_case_j5_somebody_trades_by_hand() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.fault(f"lose_answer,path={CREATE},count=1,effect=no")
        request = at.limit(BUY, at.bid(2))
        error = await case.failed(case.place(request), OutcomeUnknown)
        hand = case.by_hand(at, BUY, price=at.bid(2), client_order_id="web9")
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
        assert case.order(error.order).state is OrderState.PRESUMED_ABSENT
        case.presumed = 1
        assert hand.client_order_id == "web9"

    play(scenario)


def test_case_j7_two_accounts_in_one_process() -> None:
    async def scenario(case: Case) -> None:
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

    play(scenario, names=(NAME, "second"))


def test_case_k1_equity_of_a_unified_account() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        case._now()
        case.venue.steer(at.listing, mark_price=at.bid(4))
        case.drop()
        await asyncio.sleep(70.0)
        [settle] = [each for name, each in case.account.balances().items() if name == "USDT"]
        loss = at.size * 3 * (at.bid(4) - at.crossing(BUY))
        assert settle.wallet is not None
        assert settle.total - settle.wallet == loss

    play(scenario)


def test_case_k3_the_older_answer_arrives_later() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.fault("slow_answer,path=/v5/account/wallet-balance,seconds=2,count=1")
        case.fault("slow_answer,path=/v5/position/list,seconds=2,count=1")
        reading = asyncio.ensure_future(case.account.reconcile())
        await asyncio.sleep(0.3)
        case.by_hand(at, BUY)
        await reading
        await asyncio.sleep(1.0)
        [position] = [each for each in case.account.positions() if each.size]
        assert position.size == at.own(at.size)
        await case.is_true()

    play(scenario)


# --- limits, clocks, protection ------------------------------------------------------------------


def test_case_l1_signed_as_it_leaves() -> None:
    async def scenario(case: Case) -> None:
        limits = case.venue.dialect.trading.limits  # type: ignore[attr-defined]
        limits.factor = 1.0
        at, loop = case.stall(), asyncio.get_running_loop()
        begun = loop.time()
        # Five a second: the last ones wait for longer than what was signed is good for.
        asked = [case.account.fee_rates(symbol=at.instrument.symbol) for _ in range(45)]
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert not [each for each in done if isinstance(each, BaseException)]
        assert loop.time() - begun > 7.0

    play(scenario)


def test_case_l2_clocks() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        for jump in ("clock,seconds=-1.5", "clock,seconds=3600"):
            case.heal()
            case.fault(jump)
            live = await case.place(at.limit(BUY, at.passive(BUY)))
            await asyncio.sleep(0.5)
            assert live.state is OrderState.OPEN
        sent = len(case.sent(CREATE))
        assert sent >= case.calls
        case.repeats = sent - case.calls  # refused for the clock alone: nothing was taken
        assert case.repeats <= 2

    play(scenario)


def test_case_l3_cancels_first() -> None:
    async def scenario(case: Case) -> None:
        limits = case.venue.dialect.trading.limits  # type: ignore[attr-defined]
        limits.factor = 1.0
        case.most_requests = 700
        at = case.stall()
        lives = [await case.place(at.limit(BUY, at.passive(BUY))) for _ in range(10)]
        await asyncio.sleep(1.0)
        asked = [
            asyncio.ensure_future(case.account.fetch_open_orders(symbol=at.instrument.symbol))
            for _ in range(300)
        ]
        await asyncio.sleep(0.1)
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(*(case.account.cancel(live) for live in lives))
        assert asyncio.get_running_loop().time() - begun < 2.5
        await asyncio.gather(*asked)

    play(scenario)


def test_case_m2_no_protection_is_never_claimed() -> None:
    async def scenario(case: Case) -> None:
        with pytest.raises(CcrsError):
            async with case.account.dead_man(10):
                raise AssertionError("it was entered")

    play(scenario)


def test_case_m5_what_one_sees_while_uncertain() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        kept = await case.place(at.limit(BUY, at.passive(BUY)))
        case.fault(f"lose_answer,path={CREATE},count=1", "refuse,duration=2")
        case.drop()
        error = await case.failed(case.place(at.limit(BUY, at.bid(3), 2)), OutcomeUnknown)
        assert not case.account.synced
        assert case.account.unknown_orders() == [error.order]
        exposure = case.account.exposure(at.instrument.symbol)
        assert exposure.unknown_buys == at.own(at.size * 2)
        await case.account.cancel(kept)
        await asyncio.sleep(10.0)
        assert case.account.synced
        assert case.order(error.order).state is OrderState.OPEN
        notices = [each for each in case.life.events if isinstance(each, Stale | Resumed)]
        of_orders = [type(each) for each in notices if each.about is Channel.ORDERS]
        assert of_orders == [Stale, Resumed]

    play(scenario)
