"""Fills, positions, money, streams and restarts at the emulated Bybit where something goes wrong.
Each test is one case, under its name; :mod:`bybit_cases` says what every case ends in."""

from __future__ import annotations

import asyncio
import re

import pytest
from bybit_cases import Case, alike, play

from ccrs_core import (
    CcrsError,
    EndReason,
    Fill,
    FillKind,
    Income,
    IncomeKind,
    Market,
    OrderState,
    Origin,
    OutcomeUnknown,
    Side,
)
from ccrs_core.conformance.workbench.account_world import NAME
from tests import account_scenarios as scenarios
from tests.account_scenarios import bought

BUY, SELL = Side.BUY, Side.SELL
CREATE = "/v5/order/create"
DAY = 86_400.0


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
    alike(scenarios.b7_the_order_row_is_ahead_of_the_fills)


def test_case_b8_more_fills_than_any_cache() -> None:
    alike(scenarios.b8_more_fills_than_any_cache)


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
    alike(scenarios.f4_pongs_but_no_orders)


def test_case_f6_between_subscription_and_snapshot() -> None:
    alike(scenarios.f6_between_subscription_and_snapshot)


def test_case_g2_half_the_queries_fail() -> None:
    alike(scenarios.g2_half_the_queries_fail(Market.LINEAR, Market.SPOT))


def test_case_g3_visible_late() -> None:
    alike(scenarios.g3_visible_late)


def test_case_g4_nine_days_away() -> None:
    alike(scenarios.g4_days_away(9.0, 120))


def test_case_g6_an_order_that_a_list_leaves_out_is_asked_for_by_id() -> None:
    alike(scenarios.g6_lists_that_leave_orders_out)


def test_case_g7_errors_are_not_not_found() -> None:
    alike(scenarios.g7_errors_are_not_denials)


# --- restart and store ---------------------------------------------------------------------------


@pytest.mark.parametrize("arrives", [True, False])
def test_case_h1_killed_around_the_send(arrives: bool) -> None:
    alike(scenarios.h1_killed_around_the_send(arrives, proof=False))


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
    alike(scenarios.h4_numbers_survive_digit_for_digit)


def test_case_h5_the_commit_fails() -> None:
    alike(scenarios.h5_the_commit_fails)


def test_case_h6_the_same_difference_three_times() -> None:
    alike(scenarios.h6_the_same_difference_three_times)


# --- positions and money -------------------------------------------------------------------------


def test_case_j1_two_positions_of_one_instrument() -> None:
    alike(scenarios.j1_two_positions_of_one_instrument(by_symbol=True))


def test_case_j2_through_zero_in_one_fill() -> None:
    alike(scenarios.j2_through_zero_in_one_fill)


def test_case_j3_absent_is_flat_and_unread_is_unverified() -> None:
    alike(scenarios.j3_absent_flat_not_read)


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
    alike(scenarios.j7_two_accounts_in_one_process, names=(NAME, "second"))


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
    alike(scenarios.k3_the_older_answer_arrives_later)


# --- limits, clocks, protection ------------------------------------------------------------------


def test_case_l1_signed_as_it_leaves() -> None:
    alike(scenarios.l1_signed_as_it_leaves(45, 7.0))


def test_case_l2_clocks() -> None:
    alike(scenarios.l2_clocks)


def test_case_l3_cancels_first() -> None:
    alike(scenarios.l3_cancels_first(300))


def test_case_m2_no_protection_is_never_claimed() -> None:
    async def scenario(case: Case) -> None:
        with pytest.raises(CcrsError):
            async with case.account.dead_man(10):
                raise AssertionError("it was entered")

    play(scenario)


def test_case_m5_what_one_sees_while_uncertain() -> None:
    alike(scenarios.m5_what_one_sees_while_uncertain)
