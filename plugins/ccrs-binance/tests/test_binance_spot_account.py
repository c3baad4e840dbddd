"""What the user data stream of spot says, and the lists of orders, fills and balances."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from binance_orders import NOW_MS, NOW_NS, SPOT, execution, read, sent, spot_row, told
from ccrs_binance.private_codec import SPOT_STREAM, SpotUserCodec
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Access,
    Ack,
    Balance,
    Channel,
    Closing,
    Credentials,
    Data,
    DecodeError,
    EndReason,
    FillReport,
    GetFills,
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    IncomeKind,
    IncomeReport,
    LeftOut,
    Liquidity,
    LoginRefused,
    Lost,
    Market,
    OrderReport,
    OrderState,
    Refused,
    Side,
    StrangeReport,
    Subscription,
    Unrecognised,
    Unsupported,
)

ORDERS = Subscription(Channel.ORDERS, account="main", exchange="binance")


def codec() -> SpotUserCodec:
    found = SpotUserCodec()
    found.subscribe([ORDERS], "1")
    return found


def decoded(event: Any) -> Any:
    frame = {"subscriptionId": 0, "event": event}
    return codec().decode(json.dumps(frame).encode(), NOW_NS)


def reports(event: Any) -> list[Any]:
    (data,) = decoded(event)
    assert isinstance(data, Data)
    assert data.topic == SPOT_STREAM.name
    return list(data.events)


def said(**changes: Any) -> OrderReport:
    found = reports(execution(**changes))[0]
    assert isinstance(found, OrderReport)
    return found


# --- orders ---


def test_a_report_on_an_execution_tells_an_order() -> None:
    found = said()
    assert (found.market, found.native) == (Market.SPOT, "BTCUSDT")
    assert (found.exchange_order_id, found.client_order_id) == ("4711", "own-1")
    assert (found.state, found.side, found.size) == (OrderState.OPEN, Side.BUY, Decimal("0.02"))
    assert (found.exchange_time_ns, found.created_ns) == (NOW_NS, NOW_NS - 5 * 10**9)
    assert found.filled_size == 0
    assert found.quote_size is None


def test_the_stream_and_lists_say_the_same_of_an_order() -> None:
    (listed,) = read(GetOpenOrders(market=Market.SPOT), [spot_row()]).value
    assert listed == said()


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"X": "PARTIALLY_FILLED", "x": "TRADE"}, OrderState.OPEN, None),
        ({"X": "PENDING_NEW"}, OrderState.WAITING, None),
        ({"X": "FILLED", "x": "NEW"}, OrderState.FILLED, None),
        ({"X": "CANCELED", "x": "CANCELED"}, OrderState.CANCELED, None),
        ({"X": "EXPIRED", "x": "EXPIRED", "f": "IOC"}, OrderState.EXPIRED, "no_liquidity"),
        ({"X": "EXPIRED", "x": "EXPIRED", "o": "MARKET"}, OrderState.EXPIRED, "no_liquidity"),
        ({"X": "EXPIRED", "x": "EXPIRED"}, OrderState.EXPIRED, None),
        ({"X": "EXPIRED_IN_MATCH", "x": "TRADE_PREVENTION"}, OrderState.EXPIRED, "self_trade"),
        (
            {"X": "REJECTED", "x": "REJECTED", "r": "INSUFFICIENT_BALANCES"},
            OrderState.REJECTED,
            "balance",
        ),
        (
            {"X": "REJECTED", "x": "REJECTED", "r": "WOULD_MATCH_IMMEDIATELY"},
            OrderState.REJECTED,
            "post_only",
        ),
        ({"X": "REJECTED", "x": "REJECTED", "r": "NEWS"}, OrderState.REJECTED, "other"),
        ({"X": "EXPIRED", "eR": "REJECTED"}, OrderState.REJECTED, "other"),
        ({"X": "EXPIRED", "eR": "REJECTED", "z": "0.01"}, OrderState.EXPIRED, "other"),
        ({"X": "CANCELED", "eR": "EXCHANGE_CANCELED"}, OrderState.CANCELED, "exchange"),
        ({"X": "EXPIRED", "eR": "OCO_TRIGGER"}, OrderState.CANCELED, "trigger"),
        ({"X": "EXPIRED", "eR": "OTO_PHASE_ONE_EXPIRED"}, OrderState.EXPIRED, "other"),
        (
            {"X": "EXPIRED", "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"},
            OrderState.EXPIRED,
            "no_liquidity",
        ),
        ({"X": "EXPIRED", "eR": "UNFILLED_FOK_ORDER_EXPIRED"}, OrderState.EXPIRED, "no_liquidity"),
        ({"X": "EXPIRED", "eR": "INSUFFICIENT_LIQUIDITY"}, OrderState.EXPIRED, "no_liquidity"),
        (
            {"X": "EXPIRED", "eR": "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"},
            OrderState.EXPIRED,
            "price_limit",
        ),
        ({"X": "EXPIRED", "eR": "SOMETHING_NEW"}, OrderState.EXPIRED, "other"),
    ],
)
def test_each_state_and_each_reason_has_its_meaning(
    changes: dict[str, Any], state: OrderState, reason: str | None
) -> None:
    found = said(**{"l": "0.01", "L": "61000", "t": 9, **changes})
    assert found.state is state
    assert found.reason == (None if reason is None else EndReason(reason))


def test_a_stop_waits_until_it_is_in_the_book() -> None:
    waits = {"o": "STOP_LOSS_LIMIT", "S": "SELL", "P": "59000.0", "w": False}
    found = said(**waits)
    assert found.state is OrderState.WAITING
    assert found.trigger is not None
    assert (found.trigger.price, found.trigger.rises) == (Decimal("59000.0"), False)
    assert said(**{**waits, "w": True}).state is OrderState.OPEN


def test_a_state_that_nobody_knows_is_kept_aside() -> None:
    (found,) = reports(execution(X="HALTED"))
    assert isinstance(found, StrangeReport)
    assert found.what == "status HALTED"


def test_a_cancel_has_an_id_of_its_own_and_is_of_the_order() -> None:
    found = said(x="CANCELED", X="CANCELED", c="cx1", C="own-1")
    assert (found.client_order_id, found.state) == ("own-1", OrderState.CANCELED)
    # Of another program's order, which has no original id.
    assert said(c="web_1", C="").client_order_id == "web_1"


def test_an_amendment_leaves_the_order_its_id() -> None:
    found = said(x="REPLACED", c="own-1", C="own-1", q="0.01000000")
    assert (found.client_order_id, found.size) == ("own-1", Decimal("0.01"))
    # Another program may have renamed it: until then it was known by the original one.
    assert said(x="REPLACED", c="new-name", C="own-1").client_order_id == "own-1"


def test_an_order_for_an_amount_of_quote_units_has_no_size() -> None:
    found = said(o="MARKET", Q="50.00000000", q="0.00082000", p="0.00000000")
    assert (found.size, found.quote_size, found.price) == (None, Decimal(50), None)


# --- fills ---

TRADE = {
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "l": "0.01000000",
    "z": "0.01000000",
    "L": "61000.00000000",
    "Y": "610.00000000",
    "Z": "610.00000000",
    "t": 77,
    "n": "0.00001000",
    "N": "BTC",
    "m": True,
}


def test_a_trade_is_told_after_its_order() -> None:
    order, fill = reports(execution(**TRADE))
    assert order.filled_size == Decimal("0.01")
    assert isinstance(fill, FillReport)
    assert (fill.fill_id, fill.exchange_order_id, fill.client_order_id) == ("77", "4711", "own-1")
    assert (fill.price, fill.size, fill.value) == (61000, Decimal("0.01"), Decimal(610))
    assert (fill.fee, fill.fee_asset, fill.liquidity) == (
        Decimal("0.00001"),
        "BTC",
        Liquidity.MAKER,
    )


def test_the_list_of_trades_has_the_same_fill() -> None:
    _, pushed = reports(execution(**TRADE))
    row = {
        "symbol": "BTCUSDT",
        "id": 77,
        "orderId": 4711,
        "orderListId": -1,
        "price": "61000.00000000",
        "qty": "0.01000000",
        "quoteQty": "610.00000000",
        "commission": "0.00001000",
        "commissionAsset": "BTC",
        "time": NOW_MS,
        "isBuyer": True,
        "isMaker": True,
        "isBestMatch": True,
    }
    (listed,) = read(GetFills(market=Market.SPOT, instrument=SPOT, start_ns=0), [row]).value
    assert {**vars_of(listed), "client_order_id": "own-1"} == vars_of(pushed)


def vars_of(report: FillReport) -> dict[str, Any]:
    import attrs

    return attrs.asdict(report)


def test_what_smart_routing_fills_is_an_allocation() -> None:
    _, fill = reports(execution(**{**TRADE, "t": -1, "a": 1234, "b": "ONE_PARTY_TRADE_REPORT"}))
    assert fill.fill_id == "allocation-1234"


def test_the_first_trade_of_a_symbol_has_the_number_zero() -> None:
    _, pushed = reports(execution(**{**TRADE, "t": 0}))
    request = GetFills(market=Market.SPOT, instrument=SPOT, start_ns=0)
    (listed,) = read(request, [trade_row(0, NOW_MS)]).value
    assert pushed.fill_id == listed.fill_id == "0"


@pytest.mark.parametrize("kind", ["NEW", "CANCELED", "REPLACED", "EXPIRED", "TRADE_PREVENTION"])
def test_nothing_else_than_a_trade_is_a_fill(kind: str) -> None:
    assert len(reports(execution(**{**TRADE, "x": kind}))) == 1


# --- money ---


def test_balances_are_told_whole_and_say_which_wallet_they_are_in() -> None:
    event = {
        "e": "outboundAccountPosition",
        "E": NOW_MS + 1,
        "u": NOW_MS,
        "B": [{"a": "BTC", "f": "0.5", "l": "0.1"}, {"a": "USDT", "f": "10", "l": "0"}],
    }
    coin, quote = reports(event)
    assert isinstance(coin, Balance)
    assert (coin.asset, coin.total, coin.available) == ("BTC", Decimal("0.6"), Decimal("0.5"))
    assert (coin.account, coin.purse, coin.exchange_time_ns) == ("main", "spot", NOW_NS)
    assert quote.total == 10


def test_a_balance_that_cant_be_read_takes_no_other_away() -> None:
    event = {
        "e": "outboundAccountPosition",
        "E": NOW_MS,
        "u": NOW_MS,
        "B": [{"a": "BTC", "f": "much", "l": "0"}, {"a": "USDT", "f": "10", "l": "0"}],
    }
    data, left_out = decoded(event)
    assert [each.asset for each in data.events] == ["USDT"]
    assert isinstance(left_out, LeftOut)


def test_what_moves_between_wallets_is_income_once() -> None:
    event = {"e": "balanceUpdate", "E": NOW_MS + 9, "a": "BTC", "d": "-1.5", "T": NOW_MS}
    (found,) = reports(event)
    assert isinstance(found, IncomeReport)
    assert (found.kind, found.amount, found.asset) == (IncomeKind.TRANSFER, Decimal("-1.5"), "BTC")
    assert reports({**event, "E": NOW_MS + 99})[0].income_id == found.income_id
    assert reports({**event, "d": "-1.6"})[0].income_id != found.income_id


# --- the connection ---


def test_each_subscription_is_signed_when_it_leaves() -> None:
    key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    found = SpotUserCodec()
    frame = found.subscribe([ORDERS], "7")
    access = Access(now_ms=1747385641636, url="wss://x", credentials=Credentials(key, secret))
    assert json.loads(found.sign(frame, access)) == {
        "id": "7",
        "method": "userDataStream.subscribe.signature",
        "params": {
            "apiKey": key,
            "timestamp": 1747385641636,
            "signature": "681110a6057ad58657af22f5640fab9dd17418834cdfccdc81be8b0f7b2cde3e",
        },
    }
    probe = found.probe("8")
    assert found.sign(probe, access) == probe


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"id": "1", "status": 200, "result": {"subscriptionId": 0}}, Ack("1")),
        ({"id": "8", "status": 200, "result": {}}, Ack("8")),
        (
            {"id": "1", "status": 400, "error": {"code": -2035, "msg": "Subscription active."}},
            Ack("1"),
        ),
        (
            {"id": "1", "status": 400, "error": {"code": -2015, "msg": "Invalid API-key."}},
            LoginRefused("-2015", "Invalid API-key."),
        ),
        (
            {"id": "1", "status": 429, "error": {"code": -1003, "msg": "Too many."}},
            Refused("1", "-1003", "Too many.", None, True),
        ),
        (
            {"id": "1", "status": 400, "error": {"code": -1021, "msg": "Timestamp too old."}},
            Refused("1", "-1021", "Timestamp too old.", None, True),
        ),
        (
            {"id": "1", "status": 400, "error": {"code": -1022, "msg": "Invalid signature."}},
            Refused("1", "-1022", "Invalid signature.", None, False),
        ),
        (
            {"event": {"e": "serverShutdown", "E": NOW_MS}},
            Closing("the exchange announced a shutdown"),
        ),
    ],
)
def test_what_tells_of_the_connection_is_understood(frame: Any, message: Any) -> None:
    assert codec().decode(json.dumps(frame).encode(), NOW_NS) == (message,)


def test_a_stream_that_ends_may_have_lost_something() -> None:
    frame = {"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": NOW_MS}}
    lost, closing = codec().decode(json.dumps(frame).encode(), NOW_NS)
    assert isinstance(lost, Lost)
    assert lost.topics == (SPOT_STREAM.name,)
    assert isinstance(closing, Closing)


@pytest.mark.parametrize("kind", ["listStatus", "externalLockUpdate", "somethingNew"])
def test_what_says_nothing_of_money_is_passed_over(kind: str) -> None:
    (message,) = decoded({"e": kind, "E": NOW_MS})
    assert isinstance(message, Unrecognised)


@given(st.sampled_from(sorted(execution())), st.sampled_from([None, "", -1, [], {}, "x", 1.5]))
def test_a_field_of_another_form_is_no_crash(name: str, value: Any) -> None:
    event = execution(**{**TRADE, name: value})
    frame = json.dumps({"subscriptionId": 0, "event": event}).encode()
    topics: tuple[str, ...] = (SPOT_STREAM.name,)
    try:
        codec().decode(frame, NOW_NS)
    except DecodeError as error:
        topics = tuple(error.topics)
    assert topics == (SPOT_STREAM.name,) or name == "e"


# --- lists ---

DAY_NS = 86_400 * 10**9


def walked(request: Any, rows: list[dict[str, Any]], most: int = 1000) -> tuple[list[Any], int]:
    """All that is told, and how many pages that took; the exchange answers as it says that it
    does."""
    found: list[Any] = []
    cursor, pages = None, 0
    while True:
        query = dict(sent(request, cursor).query)
        some = rows
        named = "fromId" if isinstance(request, GetFills) else "orderId"
        key = "id" if named == "fromId" else "orderId"
        assert query["symbol"] == "BTCUSDT"
        if "startTime" in query:
            low, high = int(query["startTime"]), int(query["endTime"])
            assert 0 <= high - low < DAY_NS // 10**6
            assert named not in query
            some = [row for row in rows if low <= row["time"] <= high]
        elif named in query:
            some = [row for row in rows if row[key] >= int(query[named])]
        answer = read(request, some[: int(query["limit"])], cursor)
        found += answer.value
        pages += 1
        if answer.cursor is None:
            return found, pages
        assert answer.cursor != cursor
        cursor = answer.cursor


def trade_row(number: int, time_ms: int) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "id": number,
        "orderId": 1,
        "orderListId": -1,
        "price": "61000",
        "qty": "0.01",
        "quoteQty": "610",
        "commission": "0",
        "commissionAsset": "BNB",
        "time": time_ms,
        "isBuyer": True,
        "isMaker": True,
        "isBestMatch": True,
    }


@given(
    st.lists(st.integers(0, 3 * 86_400_000), max_size=30),
    st.integers(0, 3 * 86_400_000),
    st.integers(1, 3 * 86_400_000),
)
def test_fills_of_a_stretch_are_told_each_once_and_no_others(
    ago: list[int], back: int, length: int
) -> None:
    rows = [trade_row(n + 1, NOW_MS - each) for n, each in enumerate(sorted(ago, reverse=True))]
    start = NOW_NS - back * 10**6
    end = start + length * 10**6
    for stop in (end, None):
        request = GetFills(market=Market.SPOT, instrument=SPOT, start_ns=start, end_ns=stop)
        found, pages = walked(request, rows)
        expected = [
            str(row["id"])
            for row in rows
            if row["time"] * 10**6 >= start and (stop is None or row["time"] * 10**6 < stop)
        ]
        assert [each.fill_id for each in found] == expected
        assert pages <= 5


def test_more_fills_than_a_page_holds_are_gone_on_with_by_their_ids() -> None:
    rows = [trade_row(n + 1, NOW_MS - 50_000 + n // 700) for n in range(2500)]
    request = GetFills(market=Market.SPOT, instrument=SPOT, start_ns=NOW_NS - DAY_NS // 2)
    found, pages = walked(request, rows)
    assert [each.fill_id for each in found] == [str(n + 1) for n in range(2500)]
    assert pages == 3
    end = GetFills(
        market=Market.SPOT,
        instrument=SPOT,
        start_ns=NOW_NS - DAY_NS // 2,
        end_ns=(NOW_MS - 49_998) * 10**6,
    )
    assert len(walked(end, rows)[0]) == 1400


def test_a_strange_row_of_a_full_page_keeps_nobody_from_the_next_one() -> None:
    rows: list[Any] = [trade_row(n + 1, NOW_MS - 2000 + n) for n in range(998)]
    request = GetFills(market=Market.SPOT, instrument=SPOT, start_ns=NOW_NS - DAY_NS // 2)
    answer = read(request, [*rows, {"id": "x"}, None])
    assert (len(answer.value), answer.left_out, answer.cursor) == (998, 2, "i999")


def test_the_last_fills_are_asked_for_where_no_start_is_said() -> None:
    query = told(GetFills(market=Market.SPOT, instrument=SPOT, limit=20))[2]
    assert query == {"symbol": "BTCUSDT", "limit": "20"}


def test_fills_of_an_order_are_its_own() -> None:
    request = GetFills(market=Market.SPOT, instrument=SPOT, exchange_order_id="1")
    assert told(request)[2] == {"symbol": "BTCUSDT", "orderId": "1", "limit": "1000"}
    rows = [trade_row(1, NOW_MS), {**trade_row(2, NOW_MS), "orderId": 2}]
    assert [each.fill_id for each in read(request, rows).value] == ["1"]


def test_past_orders_of_a_stretch_are_told_each_once() -> None:
    rows = [spot_row(orderId=n + 1, time=NOW_MS - (2000 - n) * 1000) for n in range(2000)]
    start = NOW_NS - 1500 * 10**9
    request = GetOrderHistory(market=Market.SPOT, instrument=SPOT, start_ns=start)
    found, pages = walked(request, rows)
    assert [each.exchange_order_id for each in found] == [str(n + 1) for n in range(500, 2000)]
    assert pages == 2


def test_lists_of_a_whole_market_arent_to_be_had() -> None:
    for request in (GetFills(market=Market.SPOT), GetOrderHistory(market=Market.SPOT)):
        with pytest.raises(Unsupported, match="symbol by symbol"):
            sent(request)


def test_an_order_is_asked_for_by_either_id_and_no_other_one_is_an_answer() -> None:
    by_id = GetOrder(instrument=SPOT, exchange_order_id="4711", client_order_id="own-1")
    assert told(by_id)[2] == {"symbol": "BTCUSDT", "orderId": "4711"}
    by_own = GetOrder(instrument=SPOT, client_order_id="own-1")
    assert told(by_own)[2] == {"symbol": "BTCUSDT", "origClientOrderId": "own-1"}
    for request in (by_id, by_own):
        assert read(request, spot_row()).value.state is OrderState.OPEN
        with pytest.raises(DecodeError):
            read(request, spot_row(orderId=1, clientOrderId="theirs"))
        with pytest.raises(DecodeError):
            read(request, spot_row(symbol="ETHUSDT"))
    with pytest.raises(Unsupported):
        sent(GetOrder(instrument=SPOT, exchange_order_id="4711", history=True))


def test_a_value_that_nobody_knows_any_more_is_none() -> None:
    row = spot_row(cummulativeQuoteQty="-1.00000000", status="FILLED", executedQty="0.02")
    (found,) = read(GetOpenOrders(market=Market.SPOT), [row]).value
    assert found.filled_value is None
