"""Fills, positions, money, lists and restarts at the emulated Binance where something goes wrong.
Each test is one case, under its name; :mod:`tests.account_cases` says what every case ends in."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal
from typing import Any

import attrs
import pytest
from binance_cases import COINM, SPOT, USDM, Case, play
from ccrs_binance import order_calls

from ccrs_core import (
    Adjustment,
    AdjustmentKind,
    Fill,
    Income,
    IncomeKind,
    Liquidity,
    Market,
    OrderState,
    OrderUpdate,
    Origin,
    OutcomeUnknown,
    SelfTradePrevention,
    Side,
    StoreFailed,
)
from ccrs_core.conformance.workbench.account_world import NAME, SlowStore

BUY, SELL = Side.BUY, Side.SELL
DAY = 86_400.0
EACH = pytest.mark.parametrize("market", [SPOT, USDM, COINM])
FEW = pytest.mark.parametrize("market", [SPOT, COINM])
"""Where the products differ little."""
FUTURES = pytest.mark.parametrize("market", [USDM, COINM])
LISTS = {SPOT: "myTrades", USDM: "userTrades", COINM: "userTrades"}


async def bought(case: Case, lots: int = 3) -> Any:
    """A market that stands still, of which the account has bought something."""
    at = case.stall()
    live = await case.place(at.limit(BUY, at.crossing(BUY), lots))
    await live.filled(timeout=5.0)
    await asyncio.sleep(0.5)
    return at


def held(case: Case) -> list[Decimal]:
    return [each.size for each in case.account.positions() if each.size]


# --- each fill once ------------------------------------------------------------------------------


def test_case_b1_one_trade_id_of_two_symbols_is_two_fills() -> None:
    async def scenario(case: Case) -> None:
        some = [case.stall(number=number) for number in (0, 1)]
        case.emulated.ids._trades._usual = 9001
        case.emulated.ids._trades._first = {}
        for at in some:
            live = await case.place(at.limit(BUY, at.crossing(BUY)))
            await live.filled(timeout=5.0)
        case.drop()
        await asyncio.sleep(70.0)
        fills = case.of(Fill)
        assert [each.fill_id for each in fills] == ["9001", "9001"]
        assert len({each.symbol for each in fills}) == 2

    play(scenario, SPOT)


@EACH
def test_case_b2_both_sides_of_a_self_trade_are_fills(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.venue.steer(at.listing, bids=(), asks=())
        none = {"self_trade_prevention": SelfTradePrevention.NONE}
        rests = await case.place(at.limit(BUY, at.bid(1), **none))
        await asyncio.sleep(0.3)
        takes = await case.place(at.limit(SELL, at.bid(1), **none))
        await takes.filled(timeout=5.0)
        await rests.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        case.drop()
        await asyncio.sleep(70.0)
        maker, taker = sorted(case.of(Fill), key=lambda each: each.side)
        assert maker.fill_id == taker.fill_id
        assert (maker.side, maker.liquidity) == (BUY, Liquidity.MAKER)
        assert (taker.side, taker.liquidity) == (SELL, Liquidity.TAKER)
        assert maker.exchange_order_id != taker.exchange_order_id
        if market is SPOT:
            assert (maker.fee_asset, taker.fee_asset) == (at.listing.base, at.listing.quote)
        assert not held(case)

    play(scenario, market)


@pytest.mark.parametrize("comes", [True, False])
def test_case_b3_the_early_copy_of_a_fill_is_no_fill(comes: bool) -> None:
    async def scenario(case: Case) -> None:
        at, early = case.stall(), []
        feed = case.account.early_fills()

        async def listen() -> None:
            async with feed:
                async for each in feed:
                    early.append(each)  # noqa: PERF401 (it never ends)

        listening = asyncio.ensure_future(listen())
        live = await case.place(at.limit(BUY, at.bid(1)))
        await asyncio.sleep(0.5)
        if comes:
            case.slow("ORDER_TRADE_UPDATE", seconds=0.2)
        else:
            case.overhear("ORDER_TRADE_UPDATE", lost=True)
        case.meet(at, SELL, at.size * 11, at.bid(1))
        await asyncio.sleep(0.1)
        assert len(early) == 1
        assert not case.of(Fill)
        await asyncio.sleep(0.5 if comes else 70.0)
        (fill,) = case.of(Fill)
        assert fill.liquidity is Liquidity.MAKER
        assert fill.fee == (at.size * at.bid(1) * Decimal("0.0002")).quantize(Decimal("1e-8"))
        assert case.order(live.now).fees == (("USDT", fill.fee),)
        listening.cancel()
        case.heal()

    play(scenario, USDM)


@FEW
def test_case_b8_more_fills_than_any_cache(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.most_requests = 600
        for number in range(30):
            case.by_hand(at, SELL if number % 2 else BUY)
            if number % 10 == 9:
                at = case.stall()
        await asyncio.sleep(3.0)
        case.drop()
        await asyncio.sleep(70.0)
        await case.kill()
        await case.begin()
        await asyncio.sleep(70.0)
        fills = [each for each in case.of(Fill) if not each.again]
        assert len({(each.fill_id, each.exchange_order_id) for each in fills}) == len(fills) == 30

    play(scenario, market)


@FEW
def test_case_b9_a_report_that_comes_twice_is_one_fill_and_one_fee(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        kinds = ("executionReport", "ORDER_TRADE_UPDATE")
        heard = case.overhear(*kinds)
        live = await case.place(at.limit(BUY, at.crossing(BUY), 2))
        await live.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        before = case.order(live.now)
        case.say(*heard, *reversed(heard))
        await asyncio.sleep(0.5)
        assert len(case.of(Fill)) == 1
        assert case.order(live.now).fees == before.fees
        assert len(before.fees) == 1

    play(scenario, market)


@EACH
def test_case_c1_a_late_word_of_a_new_order_reopens_nothing(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        heard = case.overhear("executionReport", "ORDER_TRADE_UPDATE")
        live = await case.place(at.limit(BUY, at.crossing(BUY), 2))
        await live.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        [new] = [each for each in heard if (each if market is SPOT else each["o"])["x"] == "NEW"]
        told = len(case.of(OrderUpdate))
        case.say(new)
        await asyncio.sleep(0.5)
        now = case.order(live.now)
        assert (now.state, now.filled_size) == (OrderState.FILLED, at.own(at.size * 2))
        assert len(case.of(OrderUpdate)) == told

    play(scenario, market)


# --- streams and lists ---------------------------------------------------------------------------


def test_case_f2_the_subscription_ends_and_the_socket_lives() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        case.say_raw({"event": {"e": "eventStreamTerminated", "E": 0}})
        await asyncio.sleep(0.05)
        assert not case.account.synced
        case.by_hand(at, BUY)
        await asyncio.sleep(10.0)
        assert case.account.synced
        assert len(case.of(Fill)) == 2

    play(scenario, SPOT)


@FUTURES
@pytest.mark.parametrize("how", ["expires", "is closed"])
def test_case_f3_a_listen_key_that_has_ended_is_replaced_and_what_was_missed_is_read(
    market: Market, how: str
) -> None:
    async def scenario(case: Case) -> None:
        at, path = await bought(case), case.path("listenKey")
        await asyncio.sleep(100.0)
        assert len(case.asked("PUT", path)) >= 1  # told to go on
        before = len(case.asked("POST", path))
        if how == "expires":
            case.emulated.listen_keys.expire(case.purse_of(market), case.trader.name)
            case.life.tap.poke()
        else:
            case.hand.keyed("DELETE", path)
        case.by_hand(at, BUY)
        # It is told, or found out as the key is to go on.
        await asyncio.sleep(20.0 if how == "expires" else 150.0)
        assert len(case.asked("POST", path)) == before + 1
        assert len(case.of(Fill)) == 2
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        case.hand.ask(
            "DELETE",
            case.path("order"),
            symbol=at.listing.symbol,
            orderId=live.now.exchange_order_id,
        )
        case.life.tap.poke()
        assert (await live.ended(timeout=2.0)).state is OrderState.CANCELED

    play(scenario, market)


@FEW
def test_case_f4_pongs_but_no_orders(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.most_requests = 400
        dialled = len(case.life.tap.attempts)
        await asyncio.sleep(200.0)
        assert len(case.life.tap.attempts) == dialled  # silence alone is no alarm
        case.fault("silence,topic=*")
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        case.by_hand(at, BUY)
        await asyncio.sleep(60.0)
        assert len(case.life.tap.attempts) > dialled
        assert case.order(live.now).state is OrderState.OPEN
        assert len(case.of(Fill)) == 1

    play(scenario, market)


@EACH
@pytest.mark.parametrize("last", [False, True])
def test_case_f5_one_lost_frame_of_a_healthy_stream(market: Market, last: bool) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 9))
        await asyncio.sleep(0.5)
        kinds = ("executionReport", "ORDER_TRADE_UPDATE")
        feed = case.feed()
        tell = feed.tell
        case.overhear(*kinds, lost=True)
        case.meet(at, SELL, at.size * 14, at.bid(1))
        await asyncio.sleep(0.3)
        feed.tell = tell
        assert not case.of(Fill)
        if not last:
            case.meet(at, SELL, at.size * 2, at.bid(1))
            await asyncio.sleep(4.0)
            assert [each.size for each in case.of(Fill)] == [
                at.own(at.size * 2),
                at.own(at.size * 4),
            ]
        else:
            await asyncio.sleep(70.0)
            assert [each.size for each in case.of(Fill)] == [at.own(at.size * 4)]
        assert case.order(live.now).state is OrderState.OPEN

    play(scenario, market)


@FEW
def test_case_f6_between_subscription_and_snapshot(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        case.fault(f"slow_answer,path={case.path('*')},seconds=0.4")
        case.drop()
        for _ in range(12):
            case.by_hand(at, BUY)
            await asyncio.sleep(0.15)
        await asyncio.sleep(5.0)
        keys = [each.fill_id for each in case.of(Fill)]
        assert len(keys) == len(set(keys)) == 13

    play(scenario, market)


@EACH
def test_case_g1_more_fills_of_one_millisecond_than_a_page_has(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = attrs.evolve(order_calls._FILL_WALKS[market], page=10)
    monkeypatch.setitem(order_calls._FILL_WALKS, market, walk)

    async def scenario(case: Case) -> None:
        at = await bought(case)
        await case.kill()
        for _ in range(23):
            case.by_hand(at, BUY)
        await case.begin()
        await asyncio.sleep(5.0)
        fills = [each for each in case.of(Fill) if each.origin is Origin.OTHER]
        assert len(fills) == 23
        assert len({each.exchange_time_ns for each in fills}) == 1
        # By time the second page would be the first one once more, or leave some out.
        pages = [dict(e.query).get("fromId") for e in case.asked("GET", case.path(LISTS[market]))]
        assert len({each for each in pages if each}) == 2

    play(scenario, market)


def test_case_g2_half_the_queries_fail() -> None:
    async def scenario(case: Case) -> None:
        some = [case.stall(number=number) for number in (0, 1)]
        for at in some:
            case.by_hand(at, BUY)
        await asyncio.sleep(1.0)
        case.fault("refuse,duration=2")
        case.drop()
        for at in some:
            case.by_hand(at, BUY)
        case.fault(f"http,path={case.path('myTrades')},status=429,count=1")
        await asyncio.sleep(90.0)
        assert len(case.of(Fill)) == 4

    play(scenario, SPOT)


@EACH
def test_case_g4_nine_days_away(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        case.most_requests = 6000
        await case.kill()
        for number in range(18):
            await asyncio.sleep(9 * DAY / 18)
            at = case.stall()
            case.by_hand(at, SELL if number % 2 else BUY)
        await case.begin()
        await asyncio.sleep(60.0)
        fills = [each for each in case.of(Fill) if each.client_order_id.startswith("web")]
        assert len([each for each in case.of(Fill) if each.backfilled]) == 18
        times = [each.exchange_time_ns for each in fills]
        assert times == sorted(times)  # type: ignore[type-var]
        assert len(case.life.tap.requests) < 150
        # A day of spot, a week of futures; and never by number and time at once.
        longest = DAY if market is SPOT else 7 * DAY
        for request in case.asked("GET", case.path(LISTS[market])):
            told = dict(request.query)
            begin, end = int(told.get("startTime", 0)), int(told.get("endTime", 0))
            assert (end - begin) / 1000 <= longest
            assert not {"fromId", "startTime"} <= told.keys()

    play(scenario, market)


@FEW
def test_case_g6_an_order_that_a_list_leaves_out_is_asked_for_by_id(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        kept = await case.place(at.limit(BUY, at.passive(BUY)))
        gone = await case.place(at.limit(BUY, at.bid(1)))
        await asyncio.sleep(0.5)
        lists = case.path("openOrders")
        case.fault(f"lag,path={lists},seconds=1000,duration=30", "stall,duration=30")
        case.drop()
        case.meet(at, SELL, at.size * 11, at.bid(1))
        await asyncio.sleep(100.0)
        assert case.order(kept.now).state is OrderState.OPEN
        assert case.order(gone.now).state is OrderState.FILLED

    play(scenario, market)


@FEW
def test_case_g7_errors_are_not_not_found(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.5)
        for trouble in (
            *("http,status=503", "lose_answer,effect=no", "http,status=429", "garble,how=html"),
            *("unclear", "http,status=503"),
        ):
            case.heal()
            case.fault(f"{trouble},path={case.path('*rder*')}")
            case.drop()
            await asyncio.sleep(12.0)
            assert case.order(live.now).state is OrderState.OPEN
        case.heal()
        case.most_requests = 900
        await asyncio.sleep(90.0)
        assert case.order(live.now).state is OrderState.OPEN

    play(scenario, market)


# --- restart and store ---------------------------------------------------------------------------


@pytest.mark.parametrize(("market", "arrives"), [(SPOT, True), (USDM, True), (COINM, False)])
def test_case_h1_killed_around_the_send(market: Market, arrives: bool) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        told = "yes" if arrives else "no"
        case.fault(f"lose_answer,path={case.path('order')},effect={told},count=1", "stall")
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

    play(scenario, market)


@FUTURES
def test_case_h2_killed_between_two_fills(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 10))
        await asyncio.sleep(0.3)
        case.meet(at, SELL, at.size * 15, at.bid(1))
        await asyncio.sleep(0.5)
        (first,) = case.of(Fill)
        await case.life.acknowledge(first.number)
        await case.kill()
        case.meet(at, SELL, at.size * 5, at.bid(1))
        await case.begin()
        await asyncio.sleep(5.0)
        now = case.order(live.id)
        assert (now.state, now.filled_size) == (OrderState.FILLED, at.own(at.size * 10))
        assert [each.size for each in case.of(Fill)] == [at.own(at.size * 5)] * 2
        assert held(case) == [at.own(at.size * 10)]

    play(scenario, market)


def test_case_h3_client_ids_are_of_binances_grammar_and_never_repeat() -> None:
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

    play(scenario, SPOT)
    assert len(ids) == len(set(ids)) == 10
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,36}", each) for each in ids)


def test_case_h4_small_and_large_numbers_survive_digit_for_digit() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        price = at.bid(3) + at.listing.tick
        request = attrs.evolve(
            at.limit(BUY, price), size=at.own(at.size) + at.listing.lot, client_order_id="exact"
        )
        await case.place(request)
        await asyncio.sleep(0.5)
        await case.kill()
        await case.begin()
        now = case.order("exact")
        assert (now.price, now.size) == (price, at.own(at.size) + at.listing.lot)
        assert now.asked is not None
        assert str(now.asked.price) == str(price)

    play(scenario, SPOT)


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

    play(scenario, USDM)


@FEW
def test_case_h6_the_same_difference_three_times(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        await asyncio.sleep(70.0)
        case._now()
        asset = "BTC" if market is COINM else "USDT"
        case.fault("stall,duration=60")
        case.desk.transfer(case.trader, asset, Decimal(25))
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
        adjusted = [
            each
            for each in case.of(Adjustment)
            if each.kind is AdjustmentKind.UNEXPLAINED and not each.again
        ]
        assert len(found) + len(adjusted) == 1, (found, adjusted)
        assert at

    play(scenario, market)
