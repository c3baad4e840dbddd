"""What the user data streams of USD-M and COIN-M say, and the lists of orders, fills and money."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
import pytest
from binance_orders import (
    COINM,
    NOW_MS,
    NOW_NS,
    USDM,
    algo_row,
    futures_row,
    read,
    sent,
    told,
    update,
)
from ccrs_binance.account_calls import GetListenKey
from ccrs_binance.order_states import FUTURES_ENDS
from ccrs_binance.private_codec import (
    COINM_STREAM,
    COINM_TWIN,
    USDM_STREAM,
    CoinTwinCodec,
    CoinUserCodec,
    FuturesUserCodec,
)
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    Ack,
    Balance,
    Channel,
    Closing,
    Data,
    DecodeError,
    EarlyFillReport,
    EndReason,
    FillKind,
    FillReport,
    GetAccountInfo,
    GetFeeRates,
    GetFills,
    GetIncome,
    GetOpenOrders,
    GetOrder,
    GetPositions,
    GetWallet,
    IncomeKind,
    LeftOut,
    Liquidity,
    Lost,
    MarginCallReport,
    MarginMode,
    Market,
    OrderReport,
    OrderState,
    PositionMode,
    PositionReport,
    PositionSide,
    StrangeReport,
    Subscription,
    Unrecognised,
    Unsupported,
)

ORDERS = Subscription(Channel.ORDERS, account="main", exchange="binance")
POSITIONS = Subscription(Channel.POSITIONS, account="main", exchange="binance")


def decoded(frame: Any, kind: type[FuturesUserCodec] = FuturesUserCodec) -> Any:
    codec = kind()
    codec.subscribe([POSITIONS if kind is CoinTwinCodec else ORDERS], "1")
    return codec.decode(json.dumps(frame).encode(), NOW_NS)


def reports(frame: Any, kind: type[FuturesUserCodec] = FuturesUserCodec) -> list[Any]:
    (data,) = decoded(frame, kind)
    assert isinstance(data, Data)
    return list(data.events)


def event(row: Any, **more: Any) -> dict[str, Any]:
    return {"e": "ORDER_TRADE_UPDATE", "E": NOW_MS + 1, "T": NOW_MS, "o": row, **more}


def said(**changes: Any) -> OrderReport:
    found = reports(event(update(**changes)))[0]
    assert isinstance(found, OrderReport)
    return found


# --- orders ---


def test_the_stream_and_lists_say_the_same_of_an_order() -> None:
    (listed,) = read(GetOpenOrders(market=Market.LINEAR), [futures_row()]).value
    unsaid = {"created_ns": None, "filled_value": None}
    assert attrs.evolve(listed, **unsaid) == said()
    assert listed.filled_value == 0


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"X": "PARTIALLY_FILLED"}, OrderState.OPEN, None),
        ({"X": "FILLED"}, OrderState.FILLED, None),
        ({"X": "CANCELED"}, OrderState.CANCELED, None),
        ({"X": "NEW_INSURANCE"}, OrderState.OPEN, None),
        ({"X": "NEW_ADL"}, OrderState.OPEN, None),
        ({"X": "EXPIRED", "f": "IOC"}, OrderState.EXPIRED, "no_liquidity"),
        ({"X": "EXPIRED_IN_MATCH", "er": "1"}, OrderState.EXPIRED, "self_trade"),
        ({"X": "EXPIRED", "er": "2"}, OrderState.EXPIRED, "no_liquidity"),
        ({"X": "EXPIRED", "er": "3"}, OrderState.EXPIRED, "self_trade"),
        ({"X": "EXPIRED", "er": "4"}, OrderState.EXPIRED, "reduce_only"),
        ({"X": "EXPIRED", "er": "5"}, OrderState.CANCELED, "liquidation"),
        ({"X": "EXPIRED", "er": "6"}, OrderState.EXPIRED, "other"),
        ({"X": "EXPIRED", "er": "7"}, OrderState.CANCELED, "settlement"),
        ({"X": "EXPIRED", "er": "8"}, OrderState.EXPIRED, "trigger"),
        ({"X": "EXPIRED", "er": "9"}, OrderState.EXPIRED, "no_liquidity"),
        ({"X": "EXPIRED", "er": "10"}, OrderState.EXPIRED, "no_liquidity"),
        ({"X": "EXPIRED", "er": "11"}, OrderState.EXPIRED, "post_only"),
        ({"X": "EXPIRED", "er": "99"}, OrderState.EXPIRED, "other"),
        # Of COIN-M's ordinary ones.
        ({"o": "STOP_MARKET", "ot": "STOP_MARKET", "sp": "59000"}, OrderState.WAITING, None),
        ({"o": "MARKET", "ot": "STOP_MARKET", "sp": "59000"}, OrderState.OPEN, None),
    ],
)
def test_each_state_and_each_reason_has_its_meaning(
    changes: dict[str, Any], state: OrderState, reason: str | None
) -> None:
    found = said(**changes)
    assert found.state is state
    assert found.reason == (None if reason is None else EndReason(reason))


def test_every_reason_of_the_documents_is_tried() -> None:
    assert set(FUTURES_ENDS) == {str(n) for n in range(1, 12)}


def test_a_state_that_nobody_knows_is_kept_aside() -> None:
    (found,) = reports(event(update(X="HALTED")))
    assert isinstance(found, StrangeReport)


def test_how_an_order_rests_and_of_which_position_it_is_are_told() -> None:
    found = said(f="GTX", ps="SHORT", R=True)
    assert (found.post_only, found.position_side) == (True, PositionSide.SHORT)
    assert found.reduce_only is True
    assert said().post_only is False


def test_orders_of_the_exchange_are_told_by_their_client_ids() -> None:
    for own, kind in (
        ("autoclose-1596542005017000006", FillKind.LIQUIDATION),
        ("adl_autoclose", FillKind.DELEVERAGING),
        ("settlement_autoclose-17", FillKind.SETTLEMENT),
        ("delivery_autoclose-17", FillKind.SETTLEMENT),
        ("delivery-17", FillKind.SETTLEMENT),
    ):
        changes = {"c": own, "x": "CALCULATED", "l": "0.01", "L": "60000", "t": 7}
        order, fill = reports(event(update(**changes)))
        assert order.by_exchange
        assert (fill.kind, fill.by_exchange) == (kind, True)


# --- fills ---

TRADE = {
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "l": "0.010",
    "z": "0.010",
    "L": "61000.0",
    "ap": "61000.0",
    "t": 3301,
    "n": "0.244",
    "N": "USDT",
    "m": False,
    "rp": "-1.5",
}


def test_a_trade_is_told_after_its_order() -> None:
    order, fill = reports(event(update(**TRADE)))
    assert (order.filled_size, order.average_price) == (Decimal("0.010"), Decimal("61000.0"))
    assert isinstance(fill, FillReport)
    assert (fill.fill_id, fill.exchange_order_id) == ("3301", "8389765543210")
    assert (fill.fee, fill.fee_asset, fill.liquidity) == (
        *(Decimal("0.244"), "USDT"),
        Liquidity.TAKER,
    )


def test_a_fee_that_isnt_said_isnt_zero() -> None:
    _, fill = reports(event(update(**{**TRADE, "n": None, "N": None})))
    assert (fill.fee, fill.fee_asset) == (None, "")


@pytest.mark.parametrize("changes", [{"x": "NEW"}, {"l": "0"}, {"t": 0}, {"x": "AMENDMENT"}])
def test_what_is_no_trade_or_has_no_id_makes_no_fill(changes: dict[str, Any]) -> None:
    assert len(reports(event(update(**{**TRADE, **changes})))) == 1


def test_the_list_of_trades_has_the_same_fill() -> None:
    _, pushed = reports(event(update(**TRADE)))
    row = {
        "buyer": True,
        "commission": "0.244",
        "commissionAsset": "USDT",
        "id": 3301,
        "maker": False,
        "orderId": 8389765543210,
        "price": "61000.0",
        "qty": "0.010",
        "quoteQty": "610.0",
        "realizedPnl": "-1.5",
        "side": "BUY",
        "positionSide": "BOTH",
        "symbol": "BTCUSDT",
        "time": NOW_MS,
    }
    (listed,) = read(GetFills(market=Market.LINEAR, instrument=USDM, start_ns=0), [row]).value
    unsaid = {"client_order_id": "", "native_fields": {}}
    assert attrs.evolve(listed, native_fields={}) == attrs.evolve(pushed, **unsaid)


def test_the_early_copy_of_a_trade_is_a_hint() -> None:
    frame = {
        "e": "TRADE_LITE",
        "E": NOW_MS,
        "T": NOW_MS,
        "s": "BTCUSDT",
        "q": "0.020",
        "p": "61000.0",
        "m": False,
        "c": "own-1",
        "S": "BUY",
        "L": "61000.0",
        "l": "0.010",
        "t": 3301,
        "i": 8389765543210,
    }
    (found,) = reports(frame)
    assert isinstance(found, EarlyFillReport)
    assert (found.fill_id, found.size, found.client_order_id) == ("3301", Decimal("0.010"), "own-1")


def test_one_stream_may_tell_of_both_kinds_of_futures() -> None:
    (found,) = reports(event(update(s="BTCUSD_PERP", st=2)))
    assert (found.market, found.native) == (Market.INVERSE, "BTCUSD_PERP")
    (found,) = reports(event(update(), fs="CM"))
    assert found.market is Market.INVERSE
    both = reports(event(update(**{**TRADE, "s": "BTCUSD_PERP", "st": 2})))
    assert [each.market for each in both] == [Market.INVERSE, Market.INVERSE]


def test_coin_m_counts_contracts_and_names_no_value_that_could_be_mistaken() -> None:
    row = update(s="BTCUSD_PERP", q="10", z="3", ma="BTC", N="BTC")
    (found,) = reports(event(row, i="SgmYXqmYsRFzoCoC"), CoinUserCodec)
    assert (found.market, found.size, found.filled_size) == (Market.INVERSE, 10, 3)
    listed = futures_row(symbol="BTCUSD_PERP", cumQuote=None, cumBase="0.00491803", pair="BTCUSD")
    question = GetOrder(instrument=COINM, client_order_id="own-1")
    assert read(question, listed).value.filled_value == Decimal("0.00491803")


# --- orders that wait ---


def algo_event(**changes: Any) -> dict[str, Any]:
    row = {
        "caid": "own-1",
        "aid": 2146760,
        "at": "CONDITIONAL",
        "o": "STOP_MARKET",
        "s": "BTCUSDT",
        "S": "SELL",
        "ps": "BOTH",
        "f": "GTC",
        "q": "0.020",
        "X": "NEW",
        "ai": "",
        "ap": "0",
        "aq": "0",
        "act": "0",
        "tp": "59000.00",
        "p": "0",
        "V": "NONE",
        "wt": "MARK_PRICE",
        "pm": "NONE",
        "cp": False,
        "pP": False,
        "R": True,
        "tt": 0,
        "gtd": 0,
        "rm": "",
        **changes,
    }
    return {"e": "ALGO_UPDATE", "T": NOW_MS, "E": NOW_MS + 1, "o": row}


def test_the_stream_and_lists_say_the_same_of_an_order_that_waits() -> None:
    (pushed,) = reports(algo_event())
    (listed,) = read(GetOpenOrders(market=Market.LINEAR), [algo_row()], "waiting").value
    assert attrs.evolve(listed, created_ns=None) == pushed
    assert pushed.state is OrderState.WAITING
    assert pushed.exchange_order_id == "algo-2146760"


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"X": "TRIGGERING"}, OrderState.WAITING, None),
        ({"X": "CANCELED"}, OrderState.CANCELED, None),
        ({"X": "EXPIRED"}, OrderState.EXPIRED, None),
        ({"X": "REJECTED", "rm": "Margin is insufficient. " * 9}, OrderState.REJECTED, "other"),
        ({"X": "TRIGGERED", "ai": "77"}, OrderState.WAITING, None),
        ({"X": "FINISHED", "ai": "77"}, OrderState.WAITING, None),
    ],
)
def test_each_state_of_an_order_that_waits_has_its_meaning(
    changes: dict[str, Any], state: OrderState, reason: str | None
) -> None:
    (found,) = reports(algo_event(**changes))
    assert found.state is state
    assert found.reason == (None if reason is None else EndReason(reason))
    assert found.filled_size is None
    # What it has placed decides, under an id of its own.
    assert (found.fired, found.children) == (("ai" in changes), ("77",) if "ai" in changes else ())


def test_lists_of_open_orders_have_both_kinds() -> None:
    request = GetOpenOrders(market=Market.LINEAR)
    first = read(request, [futures_row()])
    assert (told(request)[1], first.cursor) == ("/fapi/v1/openOrders", "waiting")
    assert sent(request, first.cursor).path == "/fapi/v1/openAlgoOrders"
    last = read(request, [algo_row()], first.cursor)
    assert (len(last.value), last.cursor) == (1, None)


# --- money ---

ACCOUNT_UPDATE = {
    "e": "ACCOUNT_UPDATE",
    "E": NOW_MS + 1,
    "T": NOW_MS,
    "a": {
        "m": "ORDER",
        "B": [{"a": "USDT", "wb": "1000.5", "cw": "900", "bc": "0"}],
        "P": [
            {
                "s": "BTCUSDT",
                "pa": "-0.5",
                "ep": "61000.0",
                "bep": "61001",
                "cr": "7",
                "up": "-1.5",
                "mt": "isolated",
                "iw": "100",
                "ps": "SHORT",
            }
        ],
    },
}


def test_balances_and_positions_are_told_by_one_event() -> None:
    money, held = reports(ACCOUNT_UPDATE)
    assert isinstance(money, Balance)
    assert (money.asset, money.total, money.available) == ("USDT", Decimal("1000.5"), None)
    assert (money.purse, money.account, money.exchange_time_ns) == ("usdm", "main", NOW_NS)
    assert isinstance(held, PositionReport)
    assert (held.size, held.side) == (Decimal("-0.5"), PositionSide.SHORT)
    assert (held.entry_price, held.margin_mode) == (Decimal("61000.0"), MarginMode.ISOLATED)


def test_a_row_that_cant_be_read_takes_no_other_away() -> None:
    told_of = ACCOUNT_UPDATE["a"]
    assert isinstance(told_of, dict)
    frame = {**ACCOUNT_UPDATE, "a": {**told_of, "B": [{"a": "USDT"}]}}
    data, left_out = decoded(frame)
    assert [type(each) for each in data.events] == [PositionReport]
    assert isinstance(left_out, LeftOut)
    with pytest.raises(DecodeError):
        decoded({**ACCOUNT_UPDATE, "a": {"m": "ORDER", "B": [{"a": "USDT"}], "P": []}})


def test_a_margin_call_is_passed_on() -> None:
    row = {
        "s": "ETHUSDT",
        "ps": "LONG",
        "pa": "1.327",
        "mt": "CROSSED",
        "iw": "0",
        "mp": "187.17127",
        "up": "-1.166074",
        "mm": "1.614445",
    }
    (found,) = reports({"e": "MARGIN_CALL", "E": NOW_MS, "cw": "3.16812045", "p": [row]})
    assert isinstance(found, MarginCallReport)
    assert (found.market, found.native) == (Market.LINEAR, "ETHUSDT")
    assert "1.614445" in found.text


def test_lists_of_positions_count_as_the_exchange_does() -> None:
    row = {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "-0.5",
        "adl": 1,
        "entryPrice": "61000.0",
        "breakEvenPrice": "0.0",
        "markPrice": "61010.0",
        "unRealizedProfit": "-5.0",
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": "-30505",
        "marginAsset": "USDT",
        "initialMargin": "1525",
        "maintMargin": "122",
        "updateTime": NOW_MS,
    }
    request = GetPositions(market=Market.LINEAR)
    assert told(request)[1] == "/fapi/v3/positionRisk"
    (found,) = read(request, [row]).value
    assert (found.size, found.settle, found.liquidation_price) == (Decimal("-0.5"), "USDT", None)
    assert found.exchange_time_ns == NOW_NS
    of_coin = GetPositions(market=Market.INVERSE, instrument=COINM)
    assert told(of_coin) == ("GET", "/dapi/v1/positionRisk", {"pair": "BTCUSD"})
    rows = [
        {**row, "symbol": name, "marginType": "cross"} for name in ("BTCUSD_PERP", "BTCUSD_260327")
    ]
    (found,) = read(of_coin, rows).value
    assert (found.native, found.margin_mode) == ("BTCUSD_PERP", MarginMode.CROSS)


def test_a_wallet_is_made_of_three_and_says_of_each_balance_where_it_is() -> None:
    request = GetWallet("main")
    bodies = [
        {"updateTime": NOW_MS, "balances": [{"asset": "BTC", "free": "1", "locked": "0.5"}]},
        [{"asset": "USDT", "balance": "7", "availableBalance": "6", "updateTime": NOW_MS}],
        [{"asset": "BTC", "balance": "2", "availableBalance": "2", "updateTime": 0}],
    ]
    paths = ["/api/v3/account", "/fapi/v3/balance", "/dapi/v1/balance"]
    cursor, found = None, []
    for path, body in zip(paths, bodies, strict=True):
        assert sent(request, cursor).path == path
        answer = read(request, body, cursor)
        found += answer.value.balances
        cursor = answer.cursor
    assert cursor is None
    assert [(each.purse, each.asset, each.total) for each in found] == [
        ("spot", "BTC", Decimal("1.5")),
        ("usdm", "USDT", Decimal(7)),
        ("coinm", "BTC", Decimal(2)),
    ]
    assert found[2].exchange_time_ns is None


def income_row(number: int, time_ms: int, **changes: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "incomeType": "FUNDING_FEE",
        "income": "-0.1",
        "asset": "USDT",
        "info": "",
        "time": time_ms,
        "tranId": number,
        "tradeId": "",
        **changes,
    }


@given(st.lists(st.integers(0, 20 * 86_400_000), max_size=20), st.integers(1, 20))
def test_income_of_a_stretch_is_told_each_once(ago: list[int], days: int) -> None:
    rows = [income_row(n + 1, NOW_MS - each) for n, each in enumerate(sorted(ago, reverse=True))]
    start_ms = NOW_MS - days * 86_400_000
    request = GetIncome(start_ns=start_ms * 10**6)
    found, cursor, pages = [], None, 0
    while True:
        http = sent(request, cursor)
        query = dict(http.query)
        low, high = int(query["startTime"]), int(query["endTime"])
        usdm = http.path == "/fapi/v1/income"
        some = [row for row in rows if low <= row["time"] <= high] if usdm else []
        answer = read(request, some, cursor)
        found += answer.value
        pages += 1
        cursor = answer.cursor
        if cursor is None:
            break
    assert sorted(int(each.income_id.split()[-1]) for each in found) == [
        row["tranId"] for row in rows if row["time"] >= start_ms
    ]
    assert pages <= 8


def test_income_has_a_kind_and_an_id_of_its_kind() -> None:
    request = GetIncome(start_ns=(NOW_MS - 1000) * 10**6)
    rows = [
        income_row(9, NOW_MS),
        income_row(9, NOW_MS, incomeType="COMMISSION", tradeId="5"),
        income_row("9689322392", NOW_MS, incomeType="TRANSFER", symbol=""),
        income_row(11, NOW_MS, incomeType="SOMETHING_NEW"),
    ]
    found = read(request, rows).value
    assert [each.kind for each in found] == [
        *(IncomeKind.FUNDING, IncomeKind.TRADE, IncomeKind.TRANSFER, IncomeKind.OTHER),
    ]
    assert len({each.income_id for each in found}) == 4
    assert {each.market for each in found} == {Market.LINEAR}


def test_pages_of_income_go_on_even_where_one_moment_fills_a_page() -> None:
    request = GetIncome(start_ns=NOW_NS)
    answer = read(request, [income_row(n + 1, NOW_MS) for n in range(1000)])
    assert answer.cursor == f"0:{NOW_MS + 1}"
    later = [*(income_row(n + 1, NOW_MS) for n in range(999)), income_row(1000, NOW_MS + 5)]
    assert read(request, later).cursor == f"0:{NOW_MS + 5}"


def test_income_without_an_id_is_told_apart_by_its_time() -> None:
    request = GetIncome(start_ns=(NOW_MS - 1000) * 10**6)
    found = read(request, [income_row(0, NOW_MS), income_row(0, NOW_MS + 1)]).value
    assert len({each.income_id for each in found}) == 2


def test_fee_rates_of_spot_are_what_is_paid_in_all() -> None:
    from binance_orders import SPOT

    rates = {"maker": "0.001", "taker": "0.001", "buyer": "0", "seller": "0"}
    body = {
        "symbol": "BTCUSDT",
        "standardCommission": rates,
        "specialCommission": {**rates, "maker": "0", "taker": "0"},
        "taxCommission": {**rates, "maker": "0.0001", "taker": "0.0002"},
        "discount": {"enabledForAccount": True},
    }
    (found,) = read(GetFeeRates(market=Market.SPOT, instrument=SPOT), body).value
    assert (found.maker, found.taker) == (Decimal("0.0011"), Decimal("0.0012"))
    with pytest.raises(Unsupported):
        sent(GetFeeRates(market=Market.LINEAR))


def test_an_account_is_told_in_parts_of_which_only_the_first_must_be_there() -> None:
    from ccrs_binance.account_calls import ACCOUNT_CALLS

    request, endpoint = GetAccountInfo("main"), ACCOUNT_CALLS[GetAccountInfo]
    first = read(request, {"uid": 354937868, "accountType": "SPOT", "canTrade": True})
    second = read(request, {"dualSidePosition": True, "canTrade": True}, first.cursor)
    key = {
        "ipRestrict": True,
        "enableReading": True,
        "enableWithdrawals": False,
        "enableInternalTransfer": False,
        "permitsUniversalTransfer": True,
        "enableSpotAndMarginTrading": True,
        "enableFutures": False,
    }
    third = read(request, key, second.cursor)
    assert third.cursor is None
    assert endpoint.join is not None
    found = endpoint.join([first.value, second.value, third.value])
    assert (found.user_id, found.kind, found.refused) == ("354937868", "spot", "")
    assert found.position_modes == dict.fromkeys(
        (Market.LINEAR, Market.INVERSE), PositionMode.HEDGE
    )
    assert found.permissions.trade == {Market.SPOT}
    assert (found.permissions.withdraw, found.permissions.transfer) == (False, True)
    assert endpoint.instead is not None
    assert endpoint.instead(request, None) is None
    alone = endpoint.instead(request, "2")
    assert endpoint.join([first.value, alone.value]).permissions is None


# --- the connection ---


def test_a_listen_key_is_asked_for_and_kept_going() -> None:
    new = GetListenKey(Market.LINEAR)
    assert told(new) == ("POST", "/fapi/v1/listenKey", {})
    key = read(new, {"listenKey": "pqia91ma19a5s61cv6a81va65sdf19v8a65a1"}).value
    assert key.value.startswith("pqia")
    held = GetListenKey(Market.INVERSE, key.value)
    assert told(held) == ("PUT", "/dapi/v1/listenKey", {})
    assert read(held, {}).value.value == ""
    assert read(held, {"listenKey": "another"}).value.value == "another"
    assert key.value not in repr(held)
    for body in ({}, {"listenKey": ""}, {"listenKey": 5}):
        with pytest.raises(DecodeError):
            read(new, body)


@pytest.mark.parametrize(
    ("kind", "topic"),
    [
        (FuturesUserCodec, USDM_STREAM.name),
        (CoinUserCodec, COINM_STREAM.name),
        (CoinTwinCodec, COINM_TWIN.name),
    ],
)
def test_a_stream_that_ends_may_have_lost_something(
    kind: type[FuturesUserCodec], topic: str
) -> None:
    lost, closing = decoded({"e": "listenKeyExpired", "E": NOW_MS, "listenKey": "x"}, kind)
    assert isinstance(lost, Lost)
    assert lost.topics == (topic,)
    assert isinstance(closing, Closing)
    (data,) = decoded(event(update()), kind)
    assert data.topic == topic


def test_that_it_listens_is_proved_by_an_answer() -> None:
    codec = FuturesUserCodec()
    asked = codec.subscribe([ORDERS], "3")
    assert json.loads(asked) == {"method": "LIST_SUBSCRIPTIONS", "id": 3}
    answer = b'{"result":["x@ORDER_TRADE_UPDATE"],"id":3}'
    assert codec.decode(answer, NOW_NS) == (Ack("3"),)


@pytest.mark.parametrize("kind", ["ACCOUNT_CONFIG_UPDATE", "STRATEGY_UPDATE", "SOMETHING_NEW"])
def test_what_says_nothing_of_money_is_passed_over(kind: str) -> None:
    (message,) = decoded({"e": kind, "E": NOW_MS, "T": NOW_MS})
    assert isinstance(message, Unrecognised)


@given(st.sampled_from(sorted(update())), st.sampled_from([None, "", -1, [], {}, "x", 1.5]))
def test_a_field_of_another_form_is_no_crash(name: str, value: Any) -> None:
    frame = json.dumps(event({**update(**TRADE), name: value})).encode()
    codec = FuturesUserCodec()
    codec.subscribe([ORDERS], "1")
    topics: tuple[str, ...] = (USDM_STREAM.name,)
    try:
        codec.decode(frame, NOW_NS)
    except DecodeError as error:
        topics = tuple(error.topics)
    assert topics == (USDM_STREAM.name,)
