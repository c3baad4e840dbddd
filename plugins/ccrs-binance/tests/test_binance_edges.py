"""The ends of lists, pages and budgets: what is asked for after them, and what each costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from binance_orders import (
    CALLS,
    COINM,
    NOW_MS,
    NOW_NS,
    SPOT,
    USDM,
    algo_row,
    order,
    read,
    sent,
    spot_row,
)
from ccrs_binance.algo_rows import algo
from ccrs_binance.budgets import counted, left
from test_binance_spot_account import trade_row

from ccrs_core import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    DecodeError,
    Exit,
    GetFills,
    GetIncome,
    GetOpenOrders,
    GetOrderHistory,
    Market,
    OrderReport,
    PlaceOrder,
    TimeInForce,
    Trailing,
    Trigger,
    TriggerBy,
)

FUTURES = (USDM, COINM)


@pytest.mark.parametrize("where", [USDM, COINM], ids=str)
def test_orders_that_wait_for_a_trigger_are_the_second_part_of_a_list(where: Any) -> None:
    request = GetOpenOrders(market=where.market)
    first = read(request, [])
    assert first.cursor is not None
    assert sent(request).path.endswith("/openOrders")
    assert sent(request, first.cursor).path.endswith("/openAlgoOrders")
    assert read(request, [], first.cursor).cursor is None
    untold = CALLS[GetOpenOrders].instead
    assert untold is not None
    assert untold(request, None) is None
    there = untold(request, first.cursor)
    # COIN-M may have no such service: USD-M has one, whose failure is a failure.
    assert (there is None) is (where.market is Market.LINEAR)
    assert read(GetOpenOrders(market=Market.SPOT), []).cursor is None


@pytest.mark.parametrize(("where", "page"), [(SPOT, 1000), (USDM, 1000), (COINM, 100)], ids=str)
def test_no_more_past_orders_are_asked_for_than_a_page_has(where: Any, page: int) -> None:
    request = GetOrderHistory(market=where.market, instrument=where, start_ns=1)
    assert dict(sent(request).query)["limit"] == str(page)


def test_the_fills_of_one_order_are_gone_on_with_where_a_page_is_full() -> None:
    request = GetFills(market=Market.SPOT, instrument=SPOT, exchange_order_id="4711")
    rows = [{**trade_row(n + 1, 1_794_000_000_000), "orderId": 4711} for n in range(1001)]
    full = read(request, rows[:1000])
    assert full.cursor == "i1001"
    query = dict(sent(request, full.cursor).query)
    assert (query["fromId"], query["orderId"]) == ("1001", "4711")
    assert read(request, rows[1000:], full.cursor).cursor is None
    assert read(request, rows[:999]).cursor is None
    others = [trade_row(1, 1_794_000_000_000)]
    assert read(request, others).value == []


@pytest.mark.parametrize("told", ["x9", "", None])
def test_an_answer_about_another_waiting_order_is_none_of_a_cancels(told: str | None) -> None:
    request = CancelOrder(instrument=USDM, client_order_id="own-1", conditional=True)
    row = {name: v for name, v in (("algoId", 7), ("clientAlgoId", told)) if v is not None}
    if told:
        with pytest.raises(DecodeError):
            read(request, row)
    else:
        assert read(request, row).value.exchange_order_id == "algo-7"


def test_an_order_that_waits_lives_as_long_as_it_was_asked_to() -> None:
    trigger = Trigger(price="59000", rises=False, by=TriggerBy.LAST)
    for asked, word in ((TimeInForce.GTC, "GTC"), (TimeInForce.IOC, "IOC"), (None, "GTX")):
        how: dict[str, Any] = {"post_only": True} if asked is None else {"time_in_force": asked}
        query = dict(sent(order(USDM, "sell", trigger=trigger, **how)).query)
        assert (query["type"], query["timeInForce"]) == ("STOP", word)


def test_a_trailing_order_of_a_list_follows_by_a_share_not_by_percent() -> None:
    row = algo_row(orderType="TRAILING_STOP_MARKET", callbackRate="1.5", activatePrice="60000")
    found = algo(row, Market.LINEAR, NOW_NS)
    assert isinstance(found, OrderReport)
    assert isinstance(found.trigger, Trailing)
    assert (found.trigger.share, found.trigger.activation) == (Decimal("0.015"), 60000)


def test_the_id_in_an_answer_to_an_amendment_is_the_orders_not_the_requests() -> None:
    """Rows of orders that were amended have a new id beside the original one."""
    amended = spot_row(clientOrderId="request-9", origClientOrderId="own-1", updateTime=None)
    request = AmendOrder(instrument=SPOT, exchange_order_id="4711", client_order_id="own-1")
    done = read(request, {"transactTime": NOW_MS, "executionId": 1, "amendedOrder": amended}).value
    assert done.report.client_order_id == "own-1"


def test_fills_of_futures_are_told_for_so_long_and_those_of_spot_for_ever() -> None:
    endpoint = CALLS[GetFills]
    assert endpoint.retention_of(GetFills(market=Market.SPOT, instrument=SPOT)) is None
    for where in FUTURES:
        kept = endpoint.retention_of(GetFills(market=where.market, instrument=where))
        assert kept is not None


def weight(request: Any) -> int:
    found = CALLS[type(request)].weight
    return found(request) if callable(found) else found


def test_lists_weigh_what_they_cost() -> None:
    """https://developers.binance.com/docs/binance-spot-api-docs/rest-api/account-endpoints"""
    assert [weight(GetOpenOrders(market=m)) for m in (Market.SPOT, Market.LINEAR)] == [80, 40]
    assert weight(GetOpenOrders(market=Market.SPOT, instrument=SPOT)) == 6
    assert weight(GetOpenOrders(market=Market.LINEAR, instrument=USDM)) == 1
    fills = GetFills(market=Market.SPOT, instrument=SPOT)
    of_one = GetFills(market=Market.SPOT, instrument=SPOT, exchange_order_id="1")
    futures = GetFills(market=Market.LINEAR, instrument=USDM)
    assert [weight(each) for each in (fills, of_one, futures)] == [20, 5, 5]


def test_each_order_of_a_placement_counts_and_a_smaller_one_of_spot_is_none() -> None:
    placing, amending = CALLS[PlaceOrder], CALLS[AmendOrder]
    exits = {"take_profit": Exit(price="70000"), "stop_loss": Exit(price="50000")}
    for some in ({}, {"take_profit": exits["take_profit"]}, exits):
        assert placing.pool_weight_of(order(**some)) == 1 + len(some)
    pools = {each: placing.pool_of(order(each)) for each in (SPOT, *FUTURES)}
    assert pools[USDM] is pools[COINM]
    assert pools[SPOT] is not pools[USDM]
    for each in (SPOT, *FUTURES):
        amend = AmendOrder(instrument=each, exchange_order_id="1", client_order_id="", size=None)
        assert (amending.pool_of(amend) is None) is (each is SPOT)


def test_cancels_overtake_whatever_waits() -> None:
    assert CALLS[CancelOrder].urgent
    assert CALLS[CancelAll].urgent
    assert not CALLS[PlaceOrder].urgent


def test_only_what_is_said_of_orders_is_their_count_and_more_than_there_is_leaves_nothing() -> None:
    said = [
        {
            "rateLimitType": kind,
            "interval": interval,
            "intervalNum": number,
            "limit": most,
            "count": count,
        }
        for kind, interval, number, most, count in (
            ("ORDERS", "SECOND", 10, 50, 60),
            ("ORDERS", "DAY", 1, 160_000, 7),
            ("REQUEST_WEIGHT", "SECOND", 10, 6000, 321),
            ("ORDERS", "MINUTE", 1, 100, -1),
        )
    ]
    told = counted(said)
    assert told == {
        "x-mbx-order-count-10s": "60",
        "x-mbx-order-limit-10s": "50",
        "x-mbx-order-count-1d": "7",
        "x-mbx-order-limit-1d": "160000",
    }
    assert counted(said[::-1]) == told
    assert [(each.left, each.of) for each in left(order(), told)] == [(0, 50), (159_993, 160_000)]


def test_what_is_kept_for_three_months_is_asked_for_no_longer_ago() -> None:
    kept = CALLS[GetIncome].retention
    assert isinstance(kept, int)
    assert 80 * 86_400 * 10**9 <= kept < 90 * 86_400 * 10**9
    assert read(GetOpenOrders(market=Market.SPOT), [spot_row()]).value
