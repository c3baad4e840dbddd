"""Positions, money, limits, clocks and protection at the emulated Binance where something goes
wrong. Each test is one case, under its name; :mod:`tests.account_cases` says what every case ends
in."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import pytest
from binance_cases import COINM, SPOT, USDM, Case, play

from ccrs_core import (
    CcrsError,
    Channel,
    Fill,
    FillKind,
    Income,
    IncomeKind,
    InvalidOrder,
    Market,
    OrderState,
    Origin,
    OutcomeUnknown,
    PositionMode,
    PositionSide,
    Resumed,
    Side,
    Stale,
    UsageError,
)
from ccrs_core.conformance.workbench import account_world
from ccrs_core.conformance.workbench.account_world import NAME
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.emulator import Listing

BUY, SELL = Side.BUY, Side.SELL
EACH = pytest.mark.parametrize("market", [SPOT, USDM, COINM])
FUTURES = pytest.mark.parametrize("market", [USDM, COINM])


async def bought(case: Case, lots: int = 3) -> Any:
    """A market that stands still, of which the account has bought something."""
    at = case.stall()
    live = await case.place(at.limit(BUY, at.crossing(BUY), lots))
    await live.filled(timeout=5.0)
    await asyncio.sleep(0.5)
    return at


def held(case: Case) -> list[Decimal]:
    return [each.size for each in case.account.positions() if each.size]


# --- amounts -------------------------------------------------------------------------------------


def test_case_i1_the_fees_of_one_order_are_in_two_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    lively = account_world.lively

    def with_coin(subject: Subject) -> list[Listing]:
        return [*lively(subject), subject.listings[SPOT, "BNBUSDT"]]

    monkeypatch.setattr(account_world, "lively", with_coin)

    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 9))
        await asyncio.sleep(0.3)
        case.meet(at, SELL, at.size * 14, at.bid(1))
        await asyncio.sleep(0.3)
        case.desk.transfer(case.trader, "BNB", Decimal(2))
        case.trader.settings["spotBNBBurn"] = True
        case.meet(at, SELL, at.size * 5, at.bid(1))
        await live.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        fees = dict(case.order(live.now).fees)
        assert set(fees) == {at.listing.base, "BNB"}
        assert fees[at.listing.base] == at.size * 4 * Decimal("0.001")
        await asyncio.sleep(70.0)  # no difference that is looked at for ever

    play(scenario, SPOT)


def test_case_i5_all_is_sold_once() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        name = f"{at.listing.base} spot"
        whole = case.account.balances()[name].total
        await case.place(at.limit(BUY, at.crossing(BUY)))  # its fee leaves crumbs
        await asyncio.sleep(1.0)
        crumbs = case.account.balances()[name].total - whole
        assert 0 < crumbs < at.size
        lots = crumbs // at.listing.lot * at.listing.lot
        live = await case.place(attrs.evolve(at.market(SELL), size=lots))
        await live.filled(timeout=5.0)
        await asyncio.sleep(1.0)
        left = case.account.balances()[name].total - whole
        assert 0 < left < at.listing.lot
        sent = len(case.asked("POST", case.path("order")))
        again = attrs.evolve(at.market(SELL), size=left)
        await case.failed(case.account.place(again), InvalidOrder)
        assert len(case.asked("POST", case.path("order"))) == sent

    play(scenario, SPOT)


@FUTURES
def test_case_i6_funding_is_paid_once(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        case._now()
        case.venue.steer(at.listing, next_funding_time_ns=case.venue.now_ns + 10**9)
        case.life.tap.poke()
        heard = case.overhear("ACCOUNT_UPDATE")
        await asyncio.sleep(130.0)
        [said] = [each for each in heard if each["a"]["m"] == "FUNDING_FEE"]
        paid = [each for each in case.of(Income) if each.kind is IncomeKind.FUNDING]
        assert len(paid) == 1
        assert paid[0].amount == Decimal(said["a"]["B"][0]["bc"])
        assert paid[0].symbol == at.instrument.symbol
        case.say(said)
        case.drop()
        await asyncio.sleep(130.0)
        assert len([e for e in case.of(Income) if e.kind is IncomeKind.FUNDING]) == 1
        assert len(case.of(Fill)) == 1

    play(scenario, market)


def test_case_i7_contracts_are_of_dollars_and_money_is_in_coins() -> None:
    async def scenario(case: Case) -> None:
        coin, usd = case.stall(COINM), case.stall(USDM)
        for at in (coin, usd):
            live = await case.place(at.limit(BUY, at.crossing(BUY), 2))
            await live.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        [fill] = [each for each in case.of(Fill) if each.market is COINM]
        assert fill.size == coin.size * 2  # contracts
        worth = coin.size * 2 * coin.listing.worth_of_one / coin.crossing(BUY)
        assert abs(fill.value - worth) < Decimal("1e-8")
        assert fill.fee == (worth * Decimal("0.0005")).quantize(Decimal("1e-8"))
        assert fill.fee_asset == coin.listing.base
        for at in (coin, usd):
            live = await case.place(at.market(SELL, 2, reduce_only=True))
            await live.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        # One mode is of both.
        await case.account.set_position_mode(PositionMode.HEDGE, market=USDM)
        coin = case.stall(COINM)
        request = coin.limit(BUY, coin.crossing(BUY), position_side=PositionSide.LONG)
        await (await case.place(request)).filled(timeout=5.0)
        await asyncio.sleep(0.5)
        [position] = [each for each in case.account.positions() if each.size]
        assert (position.market, position.side) == (COINM, PositionSide.LONG)

    play(scenario, COINM, USDM)


# --- positions -----------------------------------------------------------------------------------


@FUTURES
def test_case_j1_two_positions_of_one_instrument(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        await case.account.set_position_mode(PositionMode.HEDGE, market=market)
        for side, which, lots in (
            (BUY, PositionSide.LONG, 5),
            (SELL, PositionSide.SHORT, 2),
            (SELL, PositionSide.LONG, 5),
        ):
            request = at.limit(side, at.crossing(side), lots, position_side=which)
            await (await case.place(request)).filled(timeout=5.0)
            at = case.stall()
        await asyncio.sleep(1.0)
        found = {each.side: each.size for each in case.account.positions() if each.size}
        assert found == {PositionSide.SHORT: -at.own(at.size * 2)}
        assert not any("reduceOnly" in dict(each.query) for each in case.sent(case.path("order")))

    play(scenario, market)


@FUTURES
def test_case_j2_through_zero_in_one_fill(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case, lots=2)
        live = await case.place(at.limit(SELL, at.crossing(SELL), 5))
        await live.filled(timeout=5.0)
        await asyncio.sleep(1.0)
        assert len(case.of(Fill)) == 2
        assert held(case) == [-at.own(at.size * 3)]
        profit = case.account.profit(at.instrument.symbol)
        assert profit is not None
        assert profit.realised < 0
        if market is USDM:
            assert profit.realised == at.size * 2 * (at.crossing(SELL) - at.crossing(BUY))

    play(scenario, market)


@FUTURES
def test_case_j3_absent_is_flat_and_unread_is_unverified(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        await case.kill()
        case.by_hand(at, SELL, at.size * 3, reduce_only=True)
        path = "/fapi/v3/positionRisk" if market is USDM else case.path("positionRisk")
        case.fault(f"lose_answer,path={path},effect=no,count=1")
        await case.begin()
        await asyncio.sleep(70.0)
        assert held(case) == []

    play(scenario, market)


@FUTURES
def test_case_j4_deleveraged(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case, lots=10)
        live = await case.place(at.limit(SELL, at.ask(4), 3, reduce_only=True))
        await asyncio.sleep(0.5)
        heard = case.overhear("ORDER_TRADE_UPDATE")
        case._now()
        case.desk.deleverage(case.trader, at.listing, at.size * 7, at.price)
        case.life.tap.poke()
        await asyncio.sleep(2.0)
        forced = [each for each in case.of(Fill) if each.kind is FillKind.DELEVERAGING]
        assert [(each.origin, each.size) for each in forced] == [
            (Origin.EXCHANGE, at.own(at.size * 7))
        ]
        # What ends open orders then Binance says of liquidation and deleveraging alike.
        said = [each["o"] for each in heard if each["o"]["x"] == "CALCULATED"]
        assert said[0]["c"].startswith("adl_autoclose")
        assert case.order(live.now).state.final
        assert held(case) == [at.own(at.size * 3)]

    play(scenario, market)


@EACH
def test_case_j5_somebody_trades_by_hand(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        case.fault(f"lose_answer,path={case.path('order')},count=1,effect=no")
        request = at.limit(BUY, at.bid(2))
        error = await case.failed(case.place(request), OutcomeUnknown)
        case.by_hand(at, BUY, price=at.bid(2), client_order_id="web9")
        await asyncio.sleep(2.0)
        assert case.order("web9").origin is Origin.OTHER
        assert error.order is not None
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

    play(scenario, market)


def test_case_j6_a_position_that_is_older_than_any_window() -> None:
    async def scenario(case: Case) -> None:
        await case.kill()
        at = case.stall()
        case._now()
        case.by_hand(at, SELL, at.size * 8)
        await asyncio.sleep(8 * 86_400.0)
        at = case.stall()
        case._now()
        case.by_hand(at, SELL, at.size * 3)
        case.by_hand(at, BUY, at.size * 2)
        case.most_requests = 4000
        await case.begin()
        await asyncio.sleep(20.0)
        assert held(case) == [-at.own(at.size * 9)]
        assert [each.size for each in case.of(Fill)] == [at.own(at.size * 3), at.own(at.size * 2)]
        assert case.account.synced
        case.older.add("web1")

    play(scenario, USDM)


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

    play(scenario, USDM, names=(NAME, "second"))


# --- balances ------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_case_k2_one_deposit_is_told_by_two_events(turned: bool) -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        await case.place(at.limit(BUY, at.bid(2)))  # what it locks is there all the same
        await asyncio.sleep(0.5)
        name = "USDT spot"
        before = case.account.balances()[name].total
        kinds = ("balanceUpdate", "outboundAccountPosition")
        heard = case.overhear(*kinds, lost=True)
        case._now()
        case.desk.transfer(case.trader, "USDT", Decimal(5))
        await asyncio.sleep(0.1)
        assert {each["e"] for each in heard} == set(kinds)
        case.say(*sorted(heard, key=lambda each: each["e"], reverse=turned))
        await asyncio.sleep(0.5)
        assert case.account.balances()[name].total == before + 5
        await asyncio.sleep(70.0)
        moved = [each for each in case.of(Income) if each.kind is IncomeKind.TRANSFER]
        told = [each for each in moved if each.purse == "spot" and not each.backfilled]
        assert [(each.asset, each.amount) for each in told] == [("USDT", 5)]

    play(scenario, SPOT)


@EACH
def test_case_k3_the_older_answer_arrives_later(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        for path in ("/api/v3/account", "/?api/*/balance", "/?api/*/positionRisk"):
            case.fault(f"slow_answer,path={path},seconds=2,count=1")
        reading = asyncio.ensure_future(case.account.reconcile())
        await asyncio.sleep(0.3)
        case.by_hand(at, BUY)
        await reading
        await asyncio.sleep(1.0)
        if market is not SPOT:
            assert held(case) == [at.own(at.size * 4)]
        await case.is_true()

    play(scenario, market)


# --- limits, clocks, protection ------------------------------------------------------------------


def test_case_l1_signed_as_it_leaves() -> None:
    async def scenario(case: Case) -> None:
        loop, begun = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        at = case.stall()
        case.most_requests = 1000
        # At a weight of 20 each these are more than the address may ask for in a minute.
        asked = [case.account.fee_rates(symbol=at.instrument.symbol) for _ in range(120)]
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert not [each for each in done if isinstance(each, BaseException)]
        assert loop.time() - begun > 7.0

    play(scenario, USDM)


@EACH
def test_case_l2_clocks(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        for jump in ("clock,seconds=-1.5", "clock,seconds=3600"):
            case.heal()
            case.fault(jump)
            live = await case.place(at.limit(BUY, at.passive(BUY)))
            await asyncio.sleep(0.5)
            assert live.state is OrderState.OPEN
        sent = len(case.asked("POST", case.path("order")))
        case.repeats = sent - case.calls  # refused for the clock alone: nothing was taken
        assert 0 <= case.repeats <= 2

    play(scenario, market)


def test_case_l3_cancels_first() -> None:
    async def scenario(case: Case) -> None:
        case.most_requests = 900
        at = case.stall()
        lives = [await case.place(at.limit(BUY, at.passive(BUY))) for _ in range(10)]
        await asyncio.sleep(1.0)
        symbol = at.instrument.symbol
        asked = [asyncio.ensure_future(case.account.fee_rates(symbol=symbol)) for _ in range(150)]
        await asyncio.sleep(0.1)
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(*(case.account.cancel(live) for live in lives))
        assert asyncio.get_running_loop().time() - begun < 2.5
        assert not all(each.done() for each in asked)
        for each in asked:
            each.cancel()

    play(scenario, USDM)


def test_case_l5_the_bytes_that_were_signed_are_those_that_are_sent() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        price = at.bid(3)
        good = at.limit(BUY, price)
        done = await case.account.place_many([good, good])
        assert not [each for each in done if isinstance(each, CcrsError)]
        case.calls += 1
        [request] = case.sent(case.path("batchOrders"))
        assert "%5B%7B%22" in request.query_string  # encoded, and once
        assert "E-" not in request.query_string

    play(scenario, USDM)


@FUTURES
def test_case_m1_the_dead_man_timer_fires(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        symbol = at.instrument.symbol
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        switch = case.account.dead_man(20, symbols=[symbol])
        await switch.__aenter__()
        await asyncio.sleep(50.0)
        assert switch.armed
        assert live.state is OrderState.OPEN
        assert len(case.sent(case.path("countdownCancelAll"))) >= 3
        await case.kill()
        await asyncio.sleep(25.0)
        await case.begin()
        await asyncio.sleep(5.0)
        assert case.order(live.id).state is OrderState.CANCELED
        assert not case.account.open_orders()

    play(scenario, market)


def test_case_m2_spot_has_no_protection_and_none_is_claimed() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        with pytest.raises(UsageError):
            async with case.account.dead_man(10, symbols=[at.instrument.symbol]):
                raise AssertionError("it was entered")

    play(scenario, SPOT)


@EACH
def test_case_m5_what_one_sees_while_uncertain(market: Market) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        kept = await case.place(at.limit(BUY, at.passive(BUY)))
        case.fault(f"lose_answer,path={case.path('order')},count=1", "refuse,duration=2")
        case.drop()
        error = await case.failed(case.place(at.limit(BUY, at.bid(3), 2)), OutcomeUnknown)
        assert not case.account.synced
        assert case.account.unknown_orders() == [error.order]
        exposure = case.account.exposure(at.instrument.symbol)
        assert exposure.unknown_buys == at.own(at.size * 2)
        await case.account.cancel(kept)
        # Lists are read within a tenth of the budget, which weighs more of futures.
        await asyncio.sleep(10.0 if market is SPOT else 70.0)
        assert case.account.synced
        assert error.order is not None
        assert case.order(error.order).state is OrderState.OPEN
        notices = [each for each in case.life.events if isinstance(each, Stale | Resumed)]
        of_orders = [type(each) for each in notices if each.about is Channel.ORDERS]
        assert of_orders == [Stale, Resumed]

    play(scenario, market)
