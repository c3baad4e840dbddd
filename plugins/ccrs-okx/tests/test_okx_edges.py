"""The ends of tables, lists and pages: what is next to what is meant, and what comes twice."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from account_rows import NOW_NS, algo_row, fill_row, instrument, order_row, position_row
from ccrs_okx import Okx
from ccrs_okx.account_rows import bill
from ccrs_okx.algo_rows import algo
from ccrs_okx.entry_codec import EntryCodec
from ccrs_okx.error_codes import error_of_code
from ccrs_okx.fields import trade_number
from ccrs_okx.fill_rows import fill, pushed_fill
from ccrs_okx.order_rows import order
from ccrs_okx.private_codec import PrivateCodec
from hypothesis import given
from hypothesis import strategies as st
from test_okx_lists import all_of, asked, response

from ccrs_core import (
    AmendOrders,
    CancelOrder,
    CancelOrders,
    Channel,
    Data,
    EndReason,
    FillKind,
    FillReport,
    GetFills,
    GetOpenOrders,
    GetOrder,
    GetPositions,
    HttpResponse,
    IncomeKind,
    InsufficientBalance,
    Market,
    OrderNotFound,
    OrderReport,
    OrderState,
    OrderType,
    OutcomeUnknown,
    Placed,
    PlaceOrder,
    PlaceOrders,
    StrangeReport,
    Subscription,
    Trigger,
    limit,
)

LINEAR = instrument()

# --- words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [
        (FillKind.TRADE, 1, 6),
        (FillKind.LIQUIDATION, 100, 107),
        (FillKind.LIQUIDATION, 110, 111),
        (FillKind.SETTLEMENT, 112, 113),
        (FillKind.DELEVERAGING, 125, 128),
        (FillKind.BLOCK, 204, 209),
        (FillKind.SPREAD, 270, 275),
        (FillKind.TRANSFER, 324, 329),
    ],
)
def test_a_kind_of_fill_has_all_its_numbers_and_none_beside_them(
    kind: FillKind, first: int, last: int
) -> None:
    for number in range(first, last + 1):
        found = fill(fill_row(subType=str(number)), NOW_NS)
        assert isinstance(found, FillReport)
        assert found.kind is kind
        forced = {FillKind.LIQUIDATION, FillKind.SETTLEMENT, FillKind.DELEVERAGING}
        assert found.by_exchange is (kind in forced)
    for number in (first - 1, last + 1):
        beside = fill(fill_row(subType=str(number)), NOW_NS)
        assert isinstance(beside, StrangeReport) or beside.kind is not kind


def test_a_fill_of_long_ago_which_says_no_kind_is_a_trade() -> None:
    for said in ({"subType": ""}, {"subType": None}):
        row = {name: value for name, value in fill_row(**said).items() if value is not None}
        found = fill(row, NOW_NS)
        assert isinstance(found, FillReport)
        assert found.kind is FillKind.TRADE


def told(**changes: Any) -> OrderReport:
    found = order(order_row(**changes), NOW_NS)
    assert isinstance(found, OrderReport)
    return found


def test_words_that_are_rare_mean_what_they_say() -> None:
    assert told(state="mmp_canceled").state is OrderState.CANCELED
    ended = told(state="canceled", ordType="op_fok")
    assert (ended.state, ended.reason) == (OrderState.EXPIRED, EndReason.NO_LIQUIDITY)
    assert told(ordType="optimal_limit_ioc").type is OrderType.MARKET
    for category in ("ddh", "auto_conversion", "adl", "delivery", "full_liquidation"):
        assert told(category=category).by_exchange
        row = order_row(category=category, fillSz="1", tradeId="7", fillPx="9", execType="T")
        assert pushed_fill(row, NOW_NS) is None, "lists have it under another number"
    failed = algo(algo_row(state="partially_failed"), NOW_NS)
    assert isinstance(failed, OrderReport)
    assert failed.state is OrderState.CANCELED


def test_a_fill_of_what_an_algo_order_has_placed_has_the_clients_id_of_that() -> None:
    row = order_row(clOrdId="", algoClOrdId="t1", fillSz="1", tradeId="7", fillPx="9", execType="T")
    found = pushed_fill(row, NOW_NS)
    assert found is not None
    assert found.client_order_id == "t1"


@pytest.mark.parametrize(("number", "known"), [("881", 881), ("-3", None), ("", None), ("0", None)])
def test_what_okx_forces_has_no_number_among_the_trades(number: str, known: int | None) -> None:
    assert trade_number({"tradeId": number}) == known


@pytest.mark.parametrize("subtype", ["173", "174"])
def test_funding_is_told_by_its_subtype_whatever_the_type_is(subtype: str) -> None:
    row = {"type": "2", "subType": subtype, "ccy": "USDT", "balChg": "-1", "ts": "1794000100000"}
    found = bill({**row, "billId": "1", "instId": "", "instType": ""}, NOW_NS)
    assert found.kind is IncomeKind.FUNDING


def test_a_repeat_of_a_request_says_nothing_of_the_first_one() -> None:
    assert isinstance(error_of_code("50042", "repeated"), OutcomeUnknown)


def test_only_that_an_order_does_not_exist_denies_it() -> None:
    """That an instrument doesn't, say, is a mistake of the question's."""
    denied = Okx.endpoints[GetOrder].denied
    assert isinstance(denied, frozenset)
    assert {type(error_of_code(code, "")) for code in denied} == {OrderNotFound}


@pytest.mark.parametrize("code", ["0", "1", "2"])
@pytest.mark.parametrize("strange", [{}, {"ordId": "8"}, 7, None, "x", {"sCode": None}])
def test_an_item_that_cannot_be_read_decides_nothing_for_the_others(
    code: str, strange: object
) -> None:
    """Over HTTP and over the socket alike: what was taken isn't called refused."""
    taken = {"ordId": "7", "clOrdId": "a", "sCode": "0", "sMsg": ""}
    refused = {"ordId": "", "clOrdId": "c", "sCode": "51008", "sMsg": "no money"}
    body = {"code": code, "msg": "", "data": [taken, strange, refused]}
    assert Okx().error_of(HttpResponse(200, {}, json.dumps(body).encode())) is None
    request = PlaceOrders(
        tuple(
            PlaceOrder(LINEAR, limit(LINEAR.symbol, "buy", price="9", size="0.01"), each)
            for each in "abc"
        )
    )
    codec = EntryCodec()
    by_socket = codec.entry_answer(request, {**body, "id": "1", "op": "batch-orders"}, NOW_NS)
    by_http = Okx.endpoints[PlaceOrders].decode(
        request, HttpResponse(200, {}, json.dumps(body).encode()), NOW_NS, None
    )
    for answer in (by_socket, by_http):
        kinds = [type(each) for each in answer.value]
        assert kinds == [Placed, OutcomeUnknown, InsufficientBalance]


# --- lists ----------------------------------------------------------------------------------


def test_both_sides_of_a_trade_with_oneself_are_two_fills_of_a_list() -> None:
    sides = [
        fill_row(billId=str(n), tradeId="77", ordId=str(n), side=side)
        for n, side in enumerate(("buy", "sell"), 1)
    ]
    lists = {("trade/fills-history", "SWAP"): sides[::-1]}
    found, _ = all_of(GetFills(market=Market.LINEAR, start_ns=1), lists, "billId")
    assert {each.side for each in found} == {"buy", "sell"}


def test_two_strange_rows_of_one_kind_are_both_told_and_each_once() -> None:
    rows = [fill_row(subType="999", billId=str(n), tradeId=str(n)) for n in (2, 1)]
    lists = {("trade/fills", ""): rows, ("trade/fills-history", "SWAP"): rows}
    request = GetFills(market=Market.LINEAR, instrument=LINEAR, exchange_order_id="3967")
    found, _ = all_of(request, lists, "billId")
    assert [isinstance(each, StrangeReport) for each in found] == [True, True]


@pytest.mark.parametrize("wanted", [None, 1, 99, 100, 101, 200, 250])
@given(
    perpetual=st.sampled_from([0, 1, 99, 100, 101, 200, 201]), dated=st.sampled_from([0, 1, 100])
)
def test_pages_end_where_their_parts_do(wanted: int | None, perpetual: int, dated: int) -> None:
    """A list is asked for no page more than it has, each part for as many rows as are wanted."""

    def rows(kind: str, native: str, count: int, base: int) -> list[dict[str, Any]]:
        return [
            fill_row(instType=kind, instId=native, billId=str(n), tradeId=str(n))
            for n in range(base + count, base, -1)
        ]

    lists = {
        ("trade/fills-history", "SWAP"): rows("SWAP", LINEAR.native, perpetual, 1000),
        ("trade/fills-history", "FUTURES"): rows("FUTURES", "BTC-USD_UM-261030", dated, 3000),
    }
    request = GetFills(market=Market.LINEAR, start_ns=1)
    if wanted is not None:
        request = GetFills(market=Market.LINEAR, limit=wanted)
    found, count = all_of(request, lists, "billId")
    most = [min(-(-(wanted or 9999) // 100) * 100, each) for each in (perpetual, dated)]
    assert len({each.fill_id for each in found}) == len(found) == sum(most)
    pages = [
        max(1, n // 100 + 1) if wanted is None else min(n // 100 + 1, -(-wanted // 100))
        for n in (perpetual, dated)
    ]
    assert count == sum(pages)


def test_rows_of_spot_stand_under_two_types_with_and_without_an_instrument() -> None:
    spot = instrument(Market.SPOT)
    for one in (None, spot):
        request = GetFills(market=Market.SPOT, instrument=one, start_ns=1)
        kinds, cursor = [], None
        for _ in range(2):
            kinds.append(asked(request, cursor)[1]["instType"])
            answer = Okx.endpoints[GetFills].decode(request, response([]), NOW_NS, cursor)
            cursor = answer.cursor
        assert (kinds, cursor) == (["SPOT", "MARGIN"], None)


def test_each_kind_of_order_that_waits_is_asked_for() -> None:
    kinds, cursor = [], None
    request = GetOpenOrders(market=Market.LINEAR)
    while True:
        query = asked(request, cursor)[1]
        kinds.append(query.get("ordType") or query["instType"])
        cursor = Okx.endpoints[GetOpenOrders].decode(request, response([]), NOW_NS, cursor).cursor
        if cursor is None:
            break
    assert kinds == ["SWAP", "FUTURES", "conditional,oco", "trigger", "move_order_stop"]


def test_a_list_of_positions_is_of_its_market_and_adds_up_what_has_two_margin_modes() -> None:
    rows = [
        position_row(mgnMode="cross", pos="5", posId="1"),
        position_row(mgnMode="isolated", pos="-2", posId="2"),
        position_row(instId="BTC-USD-SWAP", pos="9", posId="3"),
        position_row(instType="SOMETHING", posId="4"),
    ]
    decode = Okx.endpoints[GetPositions].decode
    linear = decode(GetPositions(market=Market.LINEAR), response(rows), NOW_NS, None)
    assert [(each.native, each.size) for each in linear.value] == [(LINEAR.native, 3)]
    assert linear.left_out == 1, "what nobody knows may be of this market"
    inverse = decode(GetPositions(market=Market.INVERSE), response(rows), NOW_NS, None)
    assert [(each.native, each.size) for each in inverse.value] == [("BTC-USD-SWAP", 9)]


def test_a_position_that_says_no_margin_mode_stands_in_the_stead_of_those_that_do() -> None:
    codec = PrivateCodec()
    codec.open([Subscription(Channel.POSITIONS, account="main", exchange="okx")])

    def sizes(*rows: dict[str, Any]) -> list[Decimal]:
        frame = {"arg": {"channel": "positions", "instType": "ANY"}, "data": list(rows)}
        found = codec.decode(json.dumps(frame).encode(), NOW_NS)
        return [e.size for m in found if isinstance(m, Data) for e in m.events]  # type: ignore[union-attr]

    assert sizes(position_row(mgnMode="cross", pos="5")) == [5]
    assert sizes(position_row(mgnMode="isolated", pos="2"))[-1] == 7
    assert sizes(position_row(mgnMode="", pos="6")) == [6]
    assert sizes(position_row(mgnMode="cross", pos="4")) == [4]


# --- budgets --------------------------------------------------------------------------------


def test_cancels_overtake_alone_and_together_and_nothing_else_does() -> None:
    kinds = (PlaceOrder, PlaceOrders, AmendOrders, CancelOrder, CancelOrders)
    urgent = {kind for kind in kinds if Okx.endpoints[kind].urgent}
    assert urgent == {CancelOrder, CancelOrders}


def test_what_waits_for_a_trigger_spends_of_another_pool() -> None:
    plain = limit(LINEAR.symbol, "buy", price="9", size="0.01")
    waits = limit(
        LINEAR.symbol, "buy", price="9", size="0.01", trigger=Trigger(price="8", rises=True)
    )
    endpoint = Okx.endpoints[PlaceOrder]
    pools = [endpoint.pool_of(PlaceOrder(LINEAR, each, "c")) for each in (plain, waits)]
    assert pools[0] is not None
    assert pools[1] is not None
    assert (pools[0].budget.amount, pools[1].budget.amount) == (60, 20)
    assert pools[0].name != pools[1].name


def test_batches_are_told_to_leave_orders_that_wait_alone() -> None:
    assert Okx().trading.alone == {PlaceOrders, CancelOrders, AmendOrders}  # type: ignore[union-attr]
