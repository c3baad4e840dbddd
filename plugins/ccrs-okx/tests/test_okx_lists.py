"""Lists of orders, fills and bills: parts and pages, stretches of time, whose rows are wanted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from account_rows import NOW_NS, algo_row, fill_row, instrument, order_row
from ccrs_okx import Okx
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    DecodeError,
    FillReport,
    GetFills,
    GetIncome,
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    GetPositions,
    HttpResponse,
    Market,
    SetDeadMan,
    SetLeverage,
    SetPositionMode,
    Unsupported,
)
from ccrs_core.model.accounts import PositionMode
from ccrs_core.model.order_requests import PositionSide

LINEAR = instrument()


def response(rows: Any) -> HttpResponse:
    return HttpResponse(200, {}, json.dumps({"code": "0", "msg": "", "data": rows}).encode())


def asked(request: Any, cursor: str | None = None) -> tuple[str, dict[str, str]]:
    http = Okx.endpoints[type(request)].encode(request, cursor)
    return http.path.removeprefix("/api/v5/"), dict(http.query)


def all_of(request: Any, lists: dict[tuple[str, str], list[dict[str, Any]]], name: str) -> Any:
    """Everything that is answered, by a server that has these lists, newest first, by path and
    type or kind; and how often it was asked."""
    endpoint, cursor, pages, count = Okx.endpoints[type(request)], None, [], 0
    while True:
        count += 1
        assert count < 50
        path, query = asked(request, cursor)
        rows = lists.get((path, query.get("instType") or query.get("ordType") or ""), [])
        after = query.get("after")
        if after is not None:
            places = [place for place, row in enumerate(rows) if row[name] == after]
            rows = rows[places[0] + 1 :]
        answer = endpoint.decode(request, response(rows[: int(query["limit"])]), NOW_NS, cursor)
        # A client takes it for a list that goes round.
        same = pages and pages[-1] and pages[-1] == answer.value
        assert not (same and answer.cursor), "a page repeats the one before it, and leads on"
        pages.append(answer.value)
        cursor = answer.cursor
        if cursor is None:
            break
    if endpoint.join is not None:
        return endpoint.join(pages), count
    return [each for page in pages for each in page], count


@given(st.integers(0, 230), st.integers(0, 205))
def test_all_fills_of_a_market_are_found_each_once(perpetual: int, dated: int) -> None:
    def rows(kind: str, native: str, count: int, base: int) -> list[dict[str, Any]]:
        return [
            fill_row(
                instType=kind,
                instId=native,
                billId=str(base + n),
                tradeId=str(base + n),
                fillTime=str(1_794_000_000_000 + base + n),
                ts=str(1_794_000_000_001 + base + n),
            )
            for n in range(count)
        ][::-1]

    inverse = rows("SWAP", "BTC-USD-SWAP", 3, 5000)
    lists = {
        ("trade/fills-history", "SWAP"): inverse + rows("SWAP", LINEAR.native, perpetual, 1000),
        ("trade/fills-history", "FUTURES"): rows("FUTURES", "BTC-USD_UM-261030", dated, 3000),
    }
    request = GetFills(market=Market.LINEAR, start_ns=1_793_970_000_000_000_000)
    found, _ = all_of(request, lists, "billId")
    assert [each.market for each in found] == [Market.LINEAR] * (perpetual + dated)
    assert len({each.fill_id for each in found}) == perpetual + dated
    times = [each.exchange_time_ns for each in found]
    assert times == sorted(times)
    assert len(all_of(GetFills(market=Market.INVERSE, start_ns=1), lists, "billId")[0]) == 3


def test_the_last_fills_are_asked_for_no_further_than_they_are_wanted() -> None:
    rows = [fill_row(billId=str(n), tradeId=str(n)) for n in range(500, 0, -1)]
    lists = {("trade/fills-history", "SWAP"): rows}
    found, count = all_of(GetFills(market=Market.LINEAR, limit=150), lists, "billId")
    assert count == 3  # two pages of perpetuals, and one of dated contracts
    assert len(found) >= 150


@given(others=st.integers(0, 320), own=st.integers(0, 230), limit=st.integers(1, 150))
def test_the_last_of_a_market_are_found_behind_any_number_of_another_markets(
    others: int, own: int, limit: int
) -> None:
    """Linear and inverse contracts stand in one list: those of the other one aren't counted."""
    natives = ["BTC-USD-SWAP"] * others + [LINEAR.native] * own
    numbered = [(str(1000 - n), native) for n, native in enumerate(natives)]
    fills = [fill_row(billId=n, tradeId=n, instId=native) for n, native in numbered]
    orders = [order_row(ordId=n, instId=native, state="filled") for n, native in numbered]
    found, _ = all_of(
        GetFills(market=Market.LINEAR, limit=limit),
        {("trade/fills-history", "SWAP"): fills},
        "billId",
    )
    assert min(limit, own) <= len(found) <= own
    found, _ = all_of(
        GetOrderHistory(market=Market.LINEAR, limit=limit),
        {("trade/orders-history", "SWAP"): orders},
        "ordId",
    )
    assert min(limit, own) <= len(found) <= own


def test_an_orders_fills_are_found_wherever_they_are_listed_and_each_once() -> None:
    request = GetFills(market=Market.LINEAR, instrument=LINEAR, exchange_order_id="3967")
    new, old = fill_row(billId="2", tradeId="2"), fill_row(billId="1", tradeId="1")
    lists = {("trade/fills", ""): [new], ("trade/fills-history", "SWAP"): [new, old]}
    found, count = all_of(request, lists, "billId")
    assert sorted(each.fill_id for each in found) == ["1", "2"]
    assert count == 2
    about = {"instId": LINEAR.native, "ordId": "3967", "limit": "100"}
    assert asked(request)[1] == {"instType": "SWAP", **about}


def test_the_fills_of_an_order_are_no_list_that_goes_round() -> None:
    """Whichever type it is of: a client takes pages that repeat themselves for a mistake."""
    for market, kind, symbol in (
        (Market.SPOT, "SPOT", "BTC-USDT"),
        (Market.LINEAR, "FUTURES", "BTC-USD_UM-261030"),
    ):
        row = fill_row(instType=kind, instId=symbol)
        lists = {("trade/fills", ""): [row], ("trade/fills-history", kind): [row]}
        request = GetFills(market=market, exchange_order_id="3967")
        found, _ = all_of(request, lists, "billId")
        assert [each.fill_id for each in found] == ["881"]


def test_what_was_written_down_late_is_of_the_stretch_in_which_it_happened() -> None:
    """OKX goes by when rows were written, a little later than what they tell of."""
    start, end = 1_794_000_000_000_000_000, 1_794_000_100_000_000_000
    request = GetFills(market=Market.OPTION, start_ns=start, end_ns=end)
    _, query = asked(request)
    assert query["begin"] == "1794000000000"
    assert int(query["end"]) > 1_794_000_100_000 + 1000
    late = fill_row(fillTime="1794000099999", ts="1794000100500", billId="1")
    after = fill_row(fillTime="1794000100000", ts="1794000100500", billId="2", tradeId="9")
    option = {"instType": "OPTION", "instId": "BTC-USD-261225-100000-C"}
    answer = Okx.endpoints[GetFills].decode(
        request, response([{**after, **option}, {**late, **option}]), NOW_NS, None
    )
    assert [each.fill_id for each in answer.value if isinstance(each, FillReport)] == ["881"]


def test_open_orders_are_those_of_all_types_and_those_that_wait() -> None:
    lists = {
        ("trade/orders-pending", "SWAP"): [
            order_row(ordId=str(n), clOrdId="") for n in range(130, 0, -1)
        ],
        ("trade/orders-pending", "FUTURES"): [
            order_row(instType="FUTURES", instId="BTC-USD-261225", ordId="900"),
            order_row(instType="FUTURES", instId="BTC-USD_UM-261030", ordId="901"),
        ],
        ("trade/orders-algo-pending", "conditional,oco"): [
            algo_row(),
            algo_row(algoId="7002", instType="SPOT", instId="BTC-USDT"),
        ],
        ("trade/orders-algo-pending", "trigger"): [
            algo_row(algoId="7003", ordType="trigger", slTriggerPx="", triggerPx="9", ordPx="-1")
        ],
    }

    for rows in lists.values():
        for row in rows:
            row.setdefault("ordId", row.get("algoId"))
            if row["ordId"] == "":
                row["ordId"] = row["algoId"]
    found, _ = all_of(GetOpenOrders(market=Market.LINEAR), lists, "ordId")
    ids = [each.exchange_order_id for each in found]
    assert len(ids) == len(set(ids)) == 130 + 1 + 2
    assert {"901", "7001", "7003"} <= set(ids)
    options, count = all_of(GetOpenOrders(market=Market.OPTION), {}, "ordId")
    assert (options, count) == ([], 1)  # none of them wait for a trigger


def test_past_orders_are_those_of_a_stretch() -> None:
    request = GetOrderHistory(
        market=Market.LINEAR,
        start_ns=1_794_000_000_000_000_000,
        end_ns=1_794_000_300_000_000_000,
    )
    rows = [
        order_row(ordId="2", state="filled", cTime="1794000300000"),
        order_row(ordId="1", state="filled", cTime="1794000299999"),
    ]
    found, _ = all_of(request, {("trade/orders-history", "SWAP"): rows}, "ordId")
    assert [each.exchange_order_id for each in found] == ["1"]


def test_one_strange_row_takes_no_list_away() -> None:
    good = fill_row()
    for bad in ({}, {"instType": "SWAP"}, fill_row(fillPx="x"), 7, None):
        request = GetFills(market=Market.LINEAR, start_ns=1)
        answer = Okx.endpoints[GetFills].decode(request, response([bad, good]), NOW_NS, None)
        assert [each.fill_id for each in answer.value] == ["881"]
        assert answer.left_out == 1


# --- one order ---


def test_an_order_that_okx_denies_is_none_and_another_one_is_no_denial() -> None:
    endpoint = Okx.endpoints[GetOrder]
    assert "51603" in endpoint.denied
    request = GetOrder(instrument=LINEAR, client_order_id="ccrs1")
    assert endpoint.decode(request, response([]), NOW_NS, None).value is None
    assert endpoint.decode(request, response([order_row()]), NOW_NS, None).value is not None
    for rows in ([order_row(clOrdId="other")], [order_row(), order_row()], [order_row(state="?")]):
        with pytest.raises(DecodeError):
            endpoint.decode(request, response(rows), NOW_NS, None)
    by_id = GetOrder(instrument=LINEAR, exchange_order_id="1", client_order_id="ccrs1")
    with pytest.raises(DecodeError):
        endpoint.decode(by_id, response([order_row()]), NOW_NS, None)
    assert asked(by_id) == ("trade/order", {"instId": LINEAR.native, "ordId": "1"})
    waits = GetOrder(instrument=LINEAR, client_order_id="t", conditional=True)
    assert asked(waits) == ("trade/order-algo", {"algoClOrdId": "t"})
    with pytest.raises(Unsupported):
        asked(GetOrder(instrument=LINEAR, client_order_id="t", history=True))
    with pytest.raises(Unsupported):
        asked(GetOrder(instrument=LINEAR))


# --- settings and the rest ---


def test_positions_are_asked_for_of_all_types_at_once() -> None:
    for market in Market:
        assert asked(GetPositions(market=market)) == ("account/positions", {})
    one = GetPositions(market=Market.LINEAR, instrument=LINEAR)
    assert asked(one) == ("account/positions", {"instId": LINEAR.native})


def test_bills_are_paged_by_their_ids() -> None:
    row = {"type": "8", "subType": "173", "ccy": "USDT", "balChg": "-1", "ts": "1794000100000"}
    rows = [{**row, "billId": str(n), "instId": "", "instType": ""} for n in range(250, 0, -1)]
    request = GetIncome(start_ns=1_794_000_000_000_000_000)
    found, count = all_of(request, {("account/bills-archive", ""): rows}, "billId")
    assert (len({each.income_id for each in found}), count) == (250, 3)


def test_settings_say_what_okx_calls_them() -> None:
    def body(request: Any) -> Any:
        return json.loads(Okx.endpoints[type(request)].encode(request, None).body)

    lever = {"instId": LINEAR.native, "lever": "5"}
    from decimal import Decimal

    assert body(SetLeverage(LINEAR, Decimal(5))) == {**lever, "mgnMode": "cross"}
    assert body(SetLeverage(LINEAR, Decimal(5), PositionSide.SHORT)) == {
        **lever,
        "mgnMode": "isolated",
        "posSide": "short",
    }
    mode = SetPositionMode(mode=PositionMode.ONE_WAY, market=Market.LINEAR)
    assert body(mode) == {"posMode": "net_mode"}
    with pytest.raises(Unsupported):
        body(SetPositionMode(mode=PositionMode.HEDGE, market=Market.LINEAR, instrument=LINEAR))
    for seconds in (0.0, 10.0, 120.0):
        told = body(SetDeadMan(market=None, seconds=seconds))
        assert told == {"timeOut": str(int(seconds))}
        own = body(SetDeadMan(market=None, seconds=seconds, everything=False))
        assert own == {**told, "tag": "ccrs"}
    for seconds in (5.0, 121.0, 10.5, -1.0):
        with pytest.raises(Unsupported):
            body(SetDeadMan(market=None, seconds=seconds))
