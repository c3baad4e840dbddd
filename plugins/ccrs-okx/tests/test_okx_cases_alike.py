"""What goes wrong in trading alike on all exchanges, at the emulated OKX; each test is one case,
under its name. :mod:`tests.account_scenarios` has them, :mod:`okx_cases` what is OKX's."""

from __future__ import annotations

import re

import pytest
from okx_cases import CALLS, Case, alike, play

from ccrs_core import Market, OrderState
from ccrs_core.conformance.workbench.account_world import NAME
from tests import account_scenarios as scenarios
from tests.account_scenarios import BUY


def test_case_a1_a_timeout_and_the_order_lives() -> None:
    alike(scenarios.a1_the_answer_is_lost_and_the_order_lives)


def test_case_a5_a_duplicate_id_does_not_kill_the_living_order() -> None:
    alike(scenarios.a5_a_duplicate_id_does_not_kill_the_living_order)


def test_case_a7_post_only_that_would_take_is_rejected_for_one_reason() -> None:
    alike(scenarios.a7_post_only_that_would_take)


@pytest.mark.parametrize("market", [Market.LINEAR, Market.SPOT])
def test_case_c4_the_rest_of_an_ioc_order_expires(market: Market) -> None:
    alike(scenarios.c4_the_rest_of_an_ioc_order_expires(market))


def test_case_b7_the_order_row_is_ahead_of_the_fills() -> None:
    alike(scenarios.b7_the_order_row_is_ahead_of_the_fills)


def test_case_b8_more_fills_than_any_cache() -> None:
    alike(scenarios.b8_more_fills_than_any_cache)


def test_case_d1_a_cancel_meets_a_filled_order() -> None:
    alike(scenarios.d1_a_cancel_meets_a_filled_order)


def test_case_d2_accepted_is_not_canceled() -> None:
    alike(scenarios.d2_accepted_is_not_canceled)


def test_case_d3_a_cancel_overtakes_its_placement() -> None:
    alike(scenarios.d3_a_cancel_overtakes_its_placement)


def test_case_f4_pongs_but_no_orders() -> None:
    alike(scenarios.f4_pongs_but_no_orders)


def test_case_f6_between_subscription_and_snapshot() -> None:
    alike(scenarios.f6_between_subscription_and_snapshot)


def test_case_g2_half_the_queries_fail() -> None:
    alike(scenarios.g2_half_the_queries_fail(Market.LINEAR, Market.SPOT))


def test_case_g3_visible_late() -> None:
    alike(scenarios.g3_visible_late)


def test_case_g4_nine_days_away_which_the_longer_list_still_has() -> None:
    alike(scenarios.g4_days_away(9.0, 160))


def test_case_g6_an_order_that_a_list_leaves_out_is_asked_for_by_id() -> None:
    alike(scenarios.g6_lists_that_leave_orders_out)


def test_case_g7_errors_are_not_not_found() -> None:
    alike(scenarios.g7_errors_are_not_denials)


@pytest.mark.parametrize("arrives", [True, False])
def test_case_h1_killed_around_the_send(arrives: bool) -> None:
    alike(scenarios.h1_killed_around_the_send(arrives, proof=True))


def test_case_h3_client_ids_are_of_okxs_grammar_and_never_repeat() -> None:
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
    assert all(re.fullmatch(r"[A-Za-z0-9]{1,32}", each) for each in ids)


def test_case_h4_small_and_large_numbers_survive_digit_for_digit() -> None:
    alike(scenarios.h4_numbers_survive_digit_for_digit)


def test_case_h5_the_commit_fails() -> None:
    alike(scenarios.h5_the_commit_fails)


def test_case_h6_the_same_difference_three_times() -> None:
    alike(scenarios.h6_the_same_difference_three_times)


def test_case_i6_funding_is_no_fill() -> None:
    alike(scenarios.b4_funding_looks_like_a_fill)


def test_case_j1_two_positions_of_one_instrument() -> None:
    alike(scenarios.j1_two_positions_of_one_instrument(by_symbol=False))


def test_case_j2_through_zero_in_one_fill() -> None:
    alike(scenarios.j2_through_zero_in_one_fill)


def test_case_j5_somebody_trades_by_hand() -> None:
    async def scenario(case: Case) -> None:
        left = await scenarios.j5_somebody_trades_by_hand(case, CALLS)
        assert left is OrderState.ABSENT  # from its deadline on OKX refuses it

    play(scenario)


def test_case_j7_two_accounts_in_one_process() -> None:
    alike(scenarios.j7_two_accounts_in_one_process, names=(NAME, "second"))


def test_case_k3_the_older_answer_arrives_later() -> None:
    alike(scenarios.k3_the_older_answer_arrives_later)


def test_case_l2_clocks() -> None:
    alike(scenarios.l2_clocks)


def test_case_l4_a_limited_cancel_is_repeated_and_a_limited_placement_is_not() -> None:
    alike(scenarios.l4_limited)


def test_case_m4_waits_end_with_the_order_and_leave_it_alone() -> None:
    alike(scenarios.m4_waits)


def test_case_m5_what_one_sees_while_uncertain() -> None:
    alike(scenarios.m5_what_one_sees_while_uncertain)
