"""Fills, positions, money, streams and restarts at the emulated OKX where something goes wrong, as
it does there. Each test is one case, under its name; :mod:`okx_cases` says what each ends in."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from okx_cases import CALLS, Case, alike, play

from ccrs_core import (
    EndReason,
    Fill,
    FillKind,
    Income,
    IncomeKind,
    Liquidity,
    Market,
    OrderState,
    Origin,
    Side,
    Stale,
)
from ccrs_core.emulator import FeeRates
from tests import account_scenarios as scenarios
from tests.account_scenarios import DAY, bought, eventually

BUY, SELL = Side.BUY, Side.SELL


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["slow_ack,seconds=0.9", "no_login,duration=25"])
def test_case_f1_subscriptions_wait_for_the_login(trouble: str) -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        before = len(case.life.tap.sent)
        case.fault(trouble)
        case.drop()
        case.by_hand(at, BUY)
        await asyncio.sleep(0.5)
        assert not case.account.synced
        await eventually(lambda: case.account.synced, 120.0)
        await asyncio.sleep(1.0)  # until it is stored, and delivered
        by_connection: dict[int, list[str]] = {}
        for _, number, text in case.life.tap.sent[before:]:
            if str(text).startswith("{"):
                by_connection.setdefault(number, []).append(json.loads(str(text))["op"])
        assert by_connection
        for operations in by_connection.values():
            assert operations[0] == "login"
            if trouble.startswith("no_login"):
                continue
            assert "subscribe" in operations
        assert any("subscribe" in each for each in by_connection.values())
        assert len(case.of(Fill)) == 1

    play(scenario)


@pytest.mark.parametrize("last", [False, True])
def test_case_f5_one_row_is_lost_on_a_healthy_stream(last: bool) -> None:
    """OKX numbers none of them: a jump of what is filled tells, or else the next reading."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.bid(1), 10))
        await asyncio.sleep(0.5)
        lost: list[dict[str, Any]] = []

        def lose(row: dict[str, Any]) -> list[dict[str, Any]]:
            if row["tradeId"] and not lost:
                lost.append(row)
                return []
            return [row]

        case.changes_pushes(lose)
        case.meet(at, SELL, at.size * 12, at.bid(1))
        await asyncio.sleep(0.5)
        assert lost
        if last:
            await eventually(lambda: live.filled_size == at.own(at.size * 2), 90.0)
        else:
            case.meet(at, SELL, at.size, at.bid(1))
            await eventually(lambda: len(case.of(Fill)) == 2, 5.0)
            assert live.filled_size == at.own(at.size * 3)
        await eventually(lambda: live.now.fills_complete and case.account.synced, 90.0)

    play(scenario)


def test_case_o11_a_notice_of_the_end_of_a_connection_loses_nothing() -> None:
    """64008: another one is there before it closes."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        dialled = len(case.life.tap.attempts)
        case.fault("shutdown_notice,count=2")
        for _ in range(8):
            case.by_hand(at, BUY)
            await asyncio.sleep(0.4)
        await asyncio.sleep(60.0)
        assert len(case.life.tap.attempts) > dialled
        assert len(case.of(Fill)) == 8
        assert not [each for each in case.life.events if isinstance(each, Stale)]

    play(scenario)


def test_case_o12_rows_that_come_twice_or_out_of_order_make_no_second_fill() -> None:
    async def scenario(case: Case) -> None:
        at = case.stall()
        held: list[dict[str, Any]] = []

        def muddle(row: dict[str, Any]) -> list[dict[str, Any]]:
            held.append(row)
            if len(held) % 3:
                return []
            out = [held[-1], held[-3], held[-2], held[-1], held[-3]]
            return [{**each, "uTime": str(int(each["uTime"]))} for each in out]

        case.changes_pushes(muddle)
        for number in range(9):
            case.by_hand(at, SELL if number % 2 else BUY)
        await asyncio.sleep(3.0)
        keys = [(each.fill_id, each.exchange_order_id) for each in case.of(Fill)]
        assert len(keys) == len(set(keys))
        await asyncio.sleep(70.0)
        assert len(case.of(Fill)) == 9

    play(scenario)


def test_case_o13_fills_are_told_by_the_orders_channel_alone() -> None:
    """The channel of fills is for the highest fee tiers, and tells no fee: it isn't asked for."""

    async def scenario(case: Case) -> None:
        await bought(case, Market.SPOT)
        channels = {
            argument["channel"]
            for text in case.said()
            if text.startswith("{") and json.loads(text)["op"] == "subscribe"
            for argument in json.loads(text)["args"]
        }
        assert channels == {"orders", "orders-algo", "positions", "account"}
        [fill] = case.of(Fill)
        assert (fill.backfilled, fill.liquidity) == (False, Liquidity.TAKER)
        assert fill.fee
        assert fill.fee > 0

    play(scenario)


def test_case_o14_a_row_that_cannot_be_read_takes_no_fill_away() -> None:
    """A state that nobody knows yet: what was traded counts, the state is found in the lists."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        case.changes_pushes(lambda row: [{**row, "state": "paused_by_auction"}])
        live = await case.place(at.limit(BUY, at.crossing(BUY)))
        await asyncio.sleep(0.5)
        assert [each.backfilled for each in case.of(Fill)] == [False]
        await eventually(lambda: live.state is OrderState.FILLED, 90.0)

    play(scenario)


# --- lists and restarts --------------------------------------------------------------------------


@pytest.mark.parametrize("fills_are_read", [True, False])
def test_case_g5_canceled_and_forgotten(fills_are_read: bool) -> None:
    """OKX forgets what was canceled unfilled after two hours: the fills say that it had none."""

    async def scenario(case: Case) -> None:
        at = case.stall()
        live = await case.place(at.limit(BUY, at.passive(BUY)))
        await asyncio.sleep(0.5)
        await case.kill()
        await asyncio.sleep(3600.0)
        case._now()
        case.desk.cancel(case.trader, case.desk.find(case.trader, client_order_id=live.id).number)
        await asyncio.sleep(4 * 3600.0)
        case._now()
        if not fills_are_read:
            case.fault(f"http,path={CALLS.fills},status=503")
        await case.begin()
        await asyncio.sleep(400.0)  # several readings have to deny it
        if not fills_are_read:
            assert case.order(live.id).state is OrderState.OPEN
            assert not case.account.synced
            case.heal()
            await asyncio.sleep(400.0)
        case.most_requests = 1500
        case.twice.add(live.id)  # why it was canceled nobody tells any more
        now = case.order(live.id)
        assert (now.state, now.filled_size) == (OrderState.CANCELED, 0)

    play(scenario)


def test_case_j3_absent_is_flat_and_unread_is_unverified() -> None:
    alike(scenarios.j3_absent_flat_not_read)


def test_case_o15_funding_of_long_ago_is_in_the_archive_and_comes_once() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        case.most_requests = 2000
        await case.kill()
        case._now()
        case.venue.steer(at.listing, next_funding_time_ns=case.venue.now_ns + 10**9)
        await asyncio.sleep(3600.0)
        case._now()
        later = case.venue.now_ns + round(60 * DAY * 1e9)
        case.venue.steer(at.listing, next_funding_time_ns=later)
        await asyncio.sleep(8 * DAY)
        case._now()
        await case.begin()
        await asyncio.sleep(100.0)
        paid = [each for each in case.of(Income) if each.kind is IncomeKind.FUNDING]
        assert [(each.asset, each.backfilled) for each in paid] == [("USDT", True)]
        case.drop()
        await asyncio.sleep(100.0)
        assert len([each for each in case.of(Income) if each.kind is IncomeKind.FUNDING]) == 1

    play(scenario)


# --- money ---------------------------------------------------------------------------------------


def test_case_i2_what_is_paid_and_what_is_given_have_signs_of_their_own() -> None:
    """OKX writes what is paid below zero; a rebate comes in the other coin."""

    async def scenario(case: Case) -> None:
        at = case.stall(Market.SPOT)
        base, quote = at.listing.base, at.listing.quote
        case.trader.fee_rates[at.listing.category] = FeeRates(
            maker=Decimal("-0.0001"), taker=Decimal("0.0008")
        )
        await (await case.place(at.limit(BUY, at.crossing(BUY), 2))).filled(timeout=5.0)
        maker = await case.place(at.limit(SELL, at.ask(1)))
        await asyncio.sleep(0.3)
        case.meet(at, BUY, at.size * 20, at.ask(1))
        await maker.filled(timeout=5.0)
        await asyncio.sleep(0.5)
        paid, given = case.of(Fill)
        assert (paid.fee_asset, paid.liquidity) == (base, Liquidity.TAKER)
        assert paid.fee == paid.size * Decimal("0.0008")
        assert (given.fee_asset, given.liquidity) == (base, Liquidity.MAKER)
        assert given.fee == -given.size * Decimal("0.0001")
        [rates] = await case.account.fee_rates(symbol=at.instrument.symbol)
        assert (rates.maker, rates.taker) == (Decimal("-0.0001"), Decimal("0.0008"))
        assert base != quote

    play(scenario)


def test_case_k1_equity_is_all_and_cash_what_isnt_profit() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case)
        case._now()
        case.venue.steer(at.listing, mark_price=at.bid(4))
        case.drop()
        await asyncio.sleep(70.0)
        settle = case.account.balances()["USDT"]
        loss = at.size * 3 * (at.bid(4) - at.crossing(BUY))
        assert settle.wallet is not None
        assert settle.total - settle.wallet == loss

    play(scenario)


# --- what OKX does by itself ---------------------------------------------------------------------


@pytest.mark.parametrize("number", ["0", "4711"])
def test_case_j4_deleveraged(number: str) -> None:
    """Its push has another trade number than the list, which is negative, or none: the list's
    counts."""

    async def scenario(case: Case) -> None:
        at = await bought(case, lots=10)
        live = await case.place(at.limit(SELL, at.ask(4), 3, reduce_only=True))
        await asyncio.sleep(0.5)
        case.changes_pushes(
            lambda row: [{**row, "tradeId": number} if row["category"] == "adl" else row]
        )
        case._now()
        case.desk.deleverage(case.trader, at.listing, at.size * 7, at.price)
        case.life.tap.poke()
        await eventually(lambda: len(case.of(Fill)) == 2, 20.0)
        [forced] = [each for each in case.of(Fill) if each.kind is FillKind.DELEVERAGING]
        assert (forced.origin, forced.size) == (Origin.EXCHANGE, at.own(at.size * 7))
        assert forced.fill_id.startswith("-")
        now = case.order(live.now)
        assert (now.state, now.reason) == (OrderState.CANCELED, EndReason.DELEVERAGING)
        [position] = [each for each in case.account.positions() if each.size]
        assert position.size == at.own(at.size * 3)

    play(scenario)


def test_case_o16_liquidated_while_nobody_looks() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case, lots=10)
        live = await case.place(at.limit(BUY, at.bid(4), 3))
        await asyncio.sleep(0.5)
        await case.kill()
        case._now()
        case.desk.liquidate(case.trader, at.listing)
        await case.begin()
        await asyncio.sleep(60.0)
        forced = [each for each in case.of(Fill) if each.kind is FillKind.LIQUIDATION]
        assert {each.origin for each in forced} == {Origin.EXCHANGE}
        assert sum(each.size for each in forced) == at.own(at.size * 10)
        assert not [each for each in case.account.positions() if each.size]
        assert case.order(live.id).state is OrderState.CANCELED

    play(scenario)


def test_case_o16_kin_liquidated_again_and_again_between_kills() -> None:
    """Each closes what had been bought by hand since the one before it, of the same contract."""

    async def scenario(case: Case) -> None:
        at = await bought(case, lots=10)
        for lots, rest in ((3, 0.2), (2, 60.0), (3, 0.0), (2, 60.0)):
            await case.kill()
            case._now()
            case.desk.liquidate(case.trader, at.listing)
            case.by_hand(at, BUY, at.size * lots)
            await case.begin()
            await asyncio.sleep(rest)
        forced = {e.fill_id: e for e in case.of(Fill) if e.kind is FillKind.LIQUIDATION}
        assert sum(each.size for each in forced.values()) == at.own(at.size * (10 + 3 + 2 + 3))
        [position] = [each for each in case.account.positions() if each.size]
        assert position.size == at.own(at.size * 2)

    play(scenario)


def test_case_o17_a_reduce_only_order_ends_with_its_position() -> None:
    async def scenario(case: Case) -> None:
        at = await bought(case, lots=4)
        live = await case.place(at.limit(SELL, at.ask(4), 4, reduce_only=True))
        await asyncio.sleep(0.5)
        case.by_hand(at, SELL, at.size * 4, reduce_only=True)
        await asyncio.sleep(3.0)
        now = case.order(live.now)
        assert (now.state, now.reason) == (OrderState.CANCELED, EndReason.REDUCE_ONLY)
        assert not [each for each in case.account.positions() if each.size]

    play(scenario)


def test_case_o18_options_that_expire_leave_no_position() -> None:
    """OKX pushes nothing of what is exercised, nor of what expires worthless: bills tell."""

    async def scenario(case: Case) -> None:
        case.most_requests = 2000
        at = await bought(case, Market.OPTION, lots=2)
        expiry = at.instrument.expiry_ns
        assert expiry is not None
        live = await case.place(at.limit(BUY, at.bid(3)))
        await asyncio.sleep(0.5)
        await case.kill()
        left = (expiry - case.venue.now_ns) / 1e9
        await asyncio.sleep(left + 600.0)
        case._now()
        await case.begin()
        await asyncio.sleep(120.0)
        assert not [each for each in case.account.positions() if each.size]
        assert case.order(live.id).state is OrderState.CANCELED

    play(scenario)


def test_what_was_bought_on_spot_is_no_position_that_a_comparison_waits_for() -> None:
    async def scenario(case: Case) -> None:
        await bought(case, Market.SPOT)
        found = await case.account.compare(quiet=True)
        assert found.agrees, [str(each) for each in found.differences]
        assert found.complete
        assert not any("position" in text for text in found.left_out)

    play(scenario)
