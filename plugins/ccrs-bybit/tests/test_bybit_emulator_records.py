"""The emulated Bybit's lists and rare happenings: pages, windows, retention, what is paid without a
trade, what the exchange does by force, exits, options, and answers that faults spoil."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from bybit_trader import Socket, Trader, dialect, exchange, pass_time, rows

from ccrs_core import NS_PER_SECOND, ConnectionLost
from ccrs_core.emulator import EmulatedExchange

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
OPTION = "BTC-27MAR26-105000-C-USDT"
REALTIME, HISTORY, EXECUTIONS = "/v5/order/realtime", "/v5/order/history", "/v5/execution/list"
DAY_MS = 86_400_000


def pages(trader: Trader, path: str, **query: Any) -> list[dict[str, Any]]:
    """All rows, page by page; the cursor is sent as it came."""
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(50):
        more = {"cursor": cursor} if cursor else {}
        result = trader.get(path, **query, **more)["result"]
        found += result["list"]
        cursor = result["nextPageCursor"]
        if not cursor:
            return found
        assert len(result["list"]) == query["limit"]
    raise AssertionError("the pages don't end")


def test_pages_hold_each_row_once_newest_first() -> None:
    venue = exchange()
    trader = Trader(venue)
    placed = []
    for number in range(11):
        placed.append(trader.create("linear", "BTCUSDT", "Buy", "0.01", price=f"{99_000 + number}"))
        pass_time(venue, 0.05)
    open_ = pages(trader, REALTIME, **LINEAR, limit=3)
    assert [row["orderId"] for row in open_] == placed[::-1]
    trader.post("/v5/order/cancel-all", **LINEAR)
    for _ in range(5):
        trader.create("linear", "BTCUSDT", "Buy", "0.3")
        trader.create("linear", "BTCUSDT", "Sell", "0.3")
        pass_time(venue, 0.1)
    past = pages(trader, HISTORY, **LINEAR, limit=4)
    assert len({row["orderId"] for row in past}) == len(past) == 21
    updated = [int(row["updatedTime"]) for row in past]
    assert updated == sorted(updated, reverse=True)
    fills = pages(trader, EXECUTIONS, **LINEAR, limit=7)
    whole = trader.get(EXECUTIONS, **LINEAR, limit=100)["result"]["list"]
    assert fills == whole
    assert sum(Decimal(row["execQty"]) for row in fills) == 3
    times = [int(row["execTime"]) for row in fills]
    assert times == sorted(times, reverse=True)
    money = pages(trader, "/v5/account/transaction-log", accountType="UNIFIED", limit=9)
    assert len({row["id"] for row in money}) == len(money)
    closed = pages(trader, "/v5/position/closed-pnl", category="linear", limit=2)
    assert len(closed) == 5


def test_an_order_that_goes_away_between_two_pages_takes_no_other_with_it() -> None:
    venue = exchange()
    trader = Trader(venue)
    placed = [trader.create("linear", "BTCUSDT", "Buy", "0.01", price="99000") for _ in range(6)]
    pass_time(venue, 0.1)
    first = trader.get(REALTIME, **LINEAR, limit=2)["result"]
    trader.post("/v5/order/cancel", **LINEAR, orderId=first["list"][-1]["orderId"])
    pass_time(venue, 0.1)
    rest = trader.get(REALTIME, **LINEAR, limit=20, cursor=first["nextPageCursor"])["result"]
    assert [row["orderId"] for row in rest["list"]] == placed[3::-1]


@pytest.mark.parametrize("path", [HISTORY, EXECUTIONS, "/v5/position/closed-pnl"])
def test_windows_are_a_week_and_one_end_alone_means_a_week_from_it(path: str) -> None:
    venue = exchange()
    trader = Trader(venue)
    trader.create("linear", "BTCUSDT", "Buy", "0.01")
    trader.create("linear", "BTCUSDT", "Sell", "0.01")
    pass_time(venue, 0.1)
    now = venue.now_ns // 10**6

    def count(**window: int) -> int:
        answer = trader.get(path, category="linear", **window)
        return len(answer["result"]["list"]) if answer["retCode"] == 0 else -answer["retCode"]

    some = count()
    assert some > 0
    assert count(startTime=now - 7 * DAY_MS, endTime=now) == some
    assert count(startTime=now - 7 * DAY_MS - 1, endTime=now) == -10001
    assert count(startTime=now, endTime=now - 1) == -10001
    assert count(startTime=now - 6 * DAY_MS) == some
    assert count(startTime=now - 8 * DAY_MS) == 0
    assert count(endTime=now + DAY_MS) == some
    assert count(endTime=now - DAY_MS) == 0
    assert trader.get(path, category="linear", limit=101)["retCode"] == 10001
    assert trader.get(path, category="linear", cursor="nonsense")["retCode"] == 10001


def test_recently_closed_orders_are_found_until_the_service_restarts() -> None:
    venue = exchange()
    trader = Trader(venue)
    order_id = trader.create("linear", "BTCUSDT", "Buy", "0.01", price="99000", orderLinkId="x")
    pass_time(venue, 0.1)
    trader.post("/v5/order/cancel", **LINEAR, orderId=order_id)
    pass_time(venue, 0.1)

    def found(**by: Any) -> int:
        return len(trader.get(REALTIME, **LINEAR, **by)["result"]["list"])

    assert [found(), found(openOnly=1), found(orderId=order_id), found(orderLinkId="x")] == [
        *(0, 1, 1, 1)
    ]
    dialect(venue).trading.desk.histories.forget_recent()
    assert [found(openOnly=1), found(orderId=order_id), found(orderLinkId="x")] == [0, 0, 0]
    past = trader.get(HISTORY, **LINEAR, orderLinkId="x")["result"]["list"]
    assert [row["orderId"] for row in past] == [order_id]


def test_funding_stands_among_the_fills_and_is_none() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("execution")
    trader.create("linear", "BTCUSDT", "Buy", "0.01")
    pass_time(venue, 0.1)
    listing = venue.listings["linear", "BTCUSDT"]
    venue.steer(listing, next_funding_time_ns=venue.now_ns + 2 * NS_PER_SECOND)
    pass_time(venue, 3)
    [paid] = [row for row in socket.rows("execution") if row["execType"] == "Funding"]
    [listed] = trader.get(EXECUTIONS, **LINEAR, execType="Funding")["result"]["list"]
    for row in (paid, listed):
        assert re.fullmatch(r"\d{10}-BTCUSDT-\d+-Buy", row["orderId"])
        assert (row["orderType"], row["orderLinkId"]) == ("UNKNOWN", "")
        assert Decimal(row["orderQty"]) == 0
        assert Decimal(row["execQty"]) == Decimal("0.010")
    value = Decimal(listed["execValue"])
    assert abs(Decimal(listed["execFee"]) - value * Decimal(listed["feeRate"])) < Decimal("1e-4")
    log = trader.get("/v5/account/transaction-log", type="SETTLEMENT")["result"]["list"]
    assert Decimal(log[0]["funding"]) == -Decimal(listed["execFee"])
    [held] = trader.get("/v5/position/list", **LINEAR)["result"]["list"]
    assert held["size"] == "0.010"


def test_deleveraging_cancels_first_and_its_fills_are_of_no_order_of_the_user() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    trader.create("linear", "BTCUSDT", "Buy", "1")
    pass_time(venue, 0.1)
    mine = trader.create("linear", "BTCUSDT", "Sell", "0.5", price="106000", reduceOnly=True)
    pass_time(venue, 0.1)
    socket.subscribe("order", "execution", "position")
    desk = dialect(venue).trading.desk
    listing = venue.listings["linear", "BTCUSDT"]
    price = Decimal(trader.best("linear", "BTCUSDT")[0])
    desk.deleverage(desk.accounts["emulator"], listing, Decimal("0.7"), price)
    told = socket.heard()
    ended = [row for row in rows(told, "order") if row["orderId"] == mine]
    assert [row["cancelType"] for row in ended] == ["CancelAllBeforeAdl"]
    [fill] = rows(told, "execution")
    assert (fill["execType"], fill["side"], fill["orderLinkId"]) == ("AdlTrade", "Sell", "")
    assert fill["createType"] == "CreateByAdl_PassThrough"
    assert rows(told, "position")[-1]["size"] == "0.3"


def test_a_take_over_is_a_bust_trade() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    trader.create("linear", "BTCUSDT", "Buy", "1")
    pass_time(venue, 0.1)
    socket.subscribe("execution", "position")
    desk = dialect(venue).trading.desk
    desk.liquidate(desk.accounts["emulator"], venue.listings["linear", "BTCUSDT"])
    told = socket.heard()
    fills = rows(told, "execution")
    assert {row["execType"] for row in fills} == {"BustTrade"}
    assert {row["createType"] for row in fills} == {"CreateByTakeOver_PassThrough"}
    assert rows(told, "position")[-1]["side"] == ""


def test_exits_are_orders_of_their_own_that_name_their_parent() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order", "position")
    exits = {"takeProfit": "120000", "stopLoss": "90000"}
    trader.create("linear", "BTCUSDT", "Buy", "0.02", orderLinkId="parent", **exits)
    told = socket.heard(0.3)
    made = {row["stopOrderType"]: row for row in rows(told, "order") if row["orderLinkId"] == ""}
    assert set(made) == {"TakeProfit", "StopLoss"}
    for row in made.values():
        assert (row["parentOrderLinkId"], row["orderStatus"]) == ("parent", "Untriggered")
        assert (row["side"], row["tpslMode"], row["reduceOnly"]) == ("Sell", "Full", True)
    [held] = trader.get("/v5/position/list", **LINEAR)["result"]["list"]
    assert (held["takeProfit"], held["stopLoss"]) == ("120000.00", "90000.00")
    stop = {**LINEAR, "tpslMode": "Full", "positionIdx": 0, "stopLoss": "91000"}
    assert trader.post("/v5/position/trading-stop", **stop)["retCode"] == 0
    pass_time(venue, 0.1)
    [held] = trader.get("/v5/position/list", **LINEAR)["result"]["list"]
    assert (held["takeProfit"], held["stopLoss"]) == ("120000.00", "91000.00")
    stop |= {"stopLoss": "0"}
    assert trader.post("/v5/position/trading-stop", **stop)["retCode"] == 0
    pass_time(venue, 0.1)
    [held] = trader.get("/v5/position/list", **LINEAR)["result"]["list"]
    assert held["stopLoss"] == "0.00"
    trader.create("linear", "BTCUSDT", "Sell", "0.02", reduceOnly=True)
    cleared = [row["cancelType"] for row in socket.rows("order", 0.3)]
    assert "CancelByTpSlTsClear" in cleared
    assert trader.get(REALTIME, **LINEAR)["result"]["list"] == []


def test_options_are_priced_by_volatility_where_it_is_given() -> None:
    venue = exchange()
    trader = Trader(venue)
    about = {"category": "option", "symbol": OPTION}
    order = {"side": "Buy", "orderType": "Limit", "qty": "0.1", "orderIv": "0.3"}
    answer = trader.post("/v5/order/create", **about, **order, orderLinkId="iv")
    assert answer["retCode"] == 0, answer
    pass_time(venue, 0.1)
    row = trader.order("option", answer["result"]["orderId"])
    assert (row["orderIv"], row["placeType"]) == ("0.3", "iv")
    price = Decimal(row["price"])
    assert price > 0
    asked = {**about, "orderId": row["orderId"], "orderIv": "0.35"}
    assert trader.post("/v5/order/amend", **asked)["retCode"] == 0
    pass_time(venue, 0.1)
    assert Decimal(trader.order("option", row["orderId"])["price"]) > price


def test_what_reduces_more_than_an_order_may_hold_is_split() -> None:
    venue = exchange()
    trader = Trader(venue)
    desk = dialect(venue).trading.desk
    account = desk.accounts["emulator"]
    desk.transfer(account, "USDT", Decimal(10**10))
    listing = venue.change(venue.listings["linear", "DOGEUSDT"], max_size=Decimal(1000))
    for _ in range(3):
        trader.create("linear", "DOGEUSDT", "Buy", "500")
    pass_time(venue, 0.2)
    assert desk.position(account, listing).size == 1500
    asked = {"category": "linear", "symbol": "DOGEUSDT", "side": "Sell", "orderType": "Limit"}
    price = f"{listing.price * Decimal('1.01') // listing.tick * listing.tick}"
    more = {"qty": "1500", "price": price, "reduceOnly": True, "orderLinkId": "all"}
    assert trader.post("/v5/order/create", **asked, **more)["retCode"] == 0
    pass_time(venue, 0.2)
    listed = trader.get(REALTIME, category="linear", symbol="DOGEUSDT")["result"]["list"]
    assert [(row["qty"], row["orderLinkId"]) for row in listed] == [("500", ""), ("1000", "all")]
    asked |= {"orderType": "Market", "qty": "0", "reduceOnly": True, "closeOnTrigger": True}
    assert trader.post("/v5/order/create", **asked)["retCode"] == 0
    pass_time(venue, 0.2)
    assert desk.position(account, listing).size == 1000


def test_market_buys_of_spot_are_in_quote_unless_told_otherwise() -> None:
    venue = exchange()
    trader = Trader(venue)

    def bought(qty: str, **more: str) -> tuple[Decimal, Decimal, str]:
        order_id = trader.create("spot", "DOGEUSDT", "Buy", qty, **more)
        pass_time(venue, 0.1)
        row = trader.order("spot", order_id)
        return Decimal(row["cumExecQty"]), Decimal(row["cumExecValue"]), row["marketUnit"]

    size, value, unit = bought("10")
    assert (size > 40, 9 < value <= 10, unit) == (True, True, "")
    size, value, unit = bought("30", marketUnit="baseCoin")
    assert (size, unit) == (30, "baseCoin")
    _, value, unit = bought("10", marketUnit="quoteCoin")
    assert (9 < value <= 10, unit) == (True, "quoteCoin")


def test_a_check_tells_the_margin_and_places_nothing() -> None:
    trader = Trader(exchange())
    order = {**LINEAR, "side": "Buy", "orderType": "Market", "qty": "5"}
    told = trader.post("/v5/order/pre-check", **order)["result"]
    assert told["preImrE4"] == told["preMmrE4"] == 0
    assert told["postImrE4"] > told["postMmrE4"] > 0
    assert trader.get(HISTORY, **LINEAR)["result"]["list"] == []
    for changes in ({"category": "spot"}, {"triggerPrice": "1"}, {"qty": "x"}):
        answer = trader.post("/v5/order/pre-check", **{**order, **changes})
        assert (answer["retCode"], answer["result"]) == (10001, {})
    assert trader.post("/v5/order/pre-check", **{**order, "qty": "550"})["retCode"] == 110007


def test_play_money_comes_and_goes_by_request() -> None:
    trader = Trader(exchange())

    def total() -> Decimal:
        asked = {"accountType": "UNIFIED", "coin": "USDT"}
        wallet = trader.get("/v5/account/wallet-balance", **asked)["result"]["list"][0]
        return Decimal(wallet["coin"][0]["walletBalance"])

    def apply(amount: str, **more: Any) -> int:
        money = [{"coin": "USDT", "amountStr": amount}]
        path = "/v5/account/demo-apply-money"
        return int(trader.post(path, utaDemoApplyMoney=money, **more)["retCode"])

    before = total()
    assert apply("12.5") == 0
    assert total() == before + Decimal("12.5")
    assert apply("2.5", adjustType=1) == 0
    assert total() == before + 10
    assert apply("99999999", adjustType=1) == 10001
    assert trader.get("/v5/account/wallet-balance")["retCode"] == 10001
    moved = trader.get("/v5/account/transaction-log")["result"]["list"]
    assert [row["type"] for row in moved[:2]] == ["TRANSFER_OUT", "TRANSFER_IN"]


def test_isolated_accounts_have_no_figures_of_the_whole() -> None:
    trader = Trader(exchange())
    answer = trader.post("/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")
    assert answer["result"] == {"reasons": []}
    assert trader.get("/v5/account/info")["result"]["marginMode"] == "ISOLATED_MARGIN"
    [wallet] = trader.get("/v5/account/wallet-balance", accountType="UNIFIED")["result"]["list"]
    assert (wallet["totalAvailableBalance"], wallet["accountIMRate"]) == ("", "")
    assert Decimal(wallet["totalEquity"]) > 0


def test_fees_and_groups_are_told_as_each_product_has_them() -> None:
    venue = exchange()
    trader = Trader(venue)
    contracts = trader.get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT")["result"]
    assert contracts.keys() == {"list"}
    assert contracts["list"][0].keys() == {"symbol", "takerFeeRate", "makerFeeRate"}
    options = trader.get("/v5/account/fee-rate", category="option", baseCoin="ETH")["result"]
    assert [(row["symbol"], row["baseCoin"]) for row in options["list"]] == [("", "ETH")]
    assert trader.get("/v5/account/fee-rate", category="spot", symbol="NO")["retCode"] == 170121
    assert trader.get("/v5/account/smp-group")["result"] == {"smpGroup": 0}
    dialect(venue).trading.desk.accounts["emulator"].group = "ours"
    assert trader.get("/v5/account/smp-group")["result"] == {"smpGroup": 1}


# --- faults ---


def order_count(venue: EmulatedExchange) -> int:
    account = dialect(venue).trading.desk.accounts["emulator"]
    return len(account.open_orders())


def test_a_lost_answer_leaves_an_order_behind_and_an_unclear_one_too() -> None:
    venue = exchange()
    trader = Trader(venue)
    order = {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "99000"}
    venue.faults.add("unclear,path=/v5/order/create,count=1")
    answer = trader.post("/v5/order/create", **order)
    assert (answer["retCode"], answer["retMsg"]) == (10000, "Server Timeout")
    assert order_count(venue) == 1
    venue.faults.add("lose_answer,path=/v5/order/create,count=1")
    with pytest.raises(ConnectionLost):
        trader.post("/v5/order/create", **order)
    assert order_count(venue) == 2
    entry = Socket(venue, "/v5/trade")
    body = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "99000"}
    venue.faults.add("unclear,path=/v5/trade,count=1")
    assert entry.order("order.create", **LINEAR, **body)["retCode"] == 10016
    assert order_count(venue) == 3
    restarting = venue.faults.add("busy,path=/v5/trade")
    assert entry.order("order.create", **LINEAR, **body)["retCode"] == 10019
    restarting.cancel()
    assert order_count(venue) == 3
    assert entry.order("order.create", **LINEAR, **body)["retCode"] == 0


def test_a_wrong_clock_is_the_one_that_answers_tell_and_requests_are_judged_by() -> None:
    venue = exchange()
    trader = Trader(venue)
    venue.faults.add("clock,seconds=3600")
    assert trader.get("/v5/account/info")["retCode"] == 10002
    entry = Socket(venue, "/v5/trade", login=False)
    assert entry.login(expires_in=3700)["retCode"] == 0
    assert entry.order("order.create", **LINEAR)["retCode"] == 10002
    answer = trader.ask("GET", "/v5/market/time")
    told = int(re.findall(rb'"time":(\d+)', answer.body)[0])
    assert told == venue.now_ns // 10**6 + 3_600_000


def test_lists_can_lag_behind_the_streams() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("execution")
    venue.faults.add("lag,seconds=5")
    order_id = trader.create("linear", "BTCUSDT", "Buy", "0.01")
    assert socket.rows("execution", 0.5)
    for path in (REALTIME, HISTORY, EXECUTIONS):
        assert trader.get(path, **LINEAR, orderId=order_id)["result"]["list"] == []
    pass_time(venue, 5)
    for path in (REALTIME, HISTORY, EXECUTIONS):
        assert trader.get(path, **LINEAR, orderId=order_id)["result"]["list"]


def test_a_login_may_never_be_answered() -> None:
    venue = exchange()
    venue.faults.add("no_login,path=/v5/private")
    socket = Socket(venue, login=False)
    socket.send({"op": "auth", "args": ["emulator", 1, "x"]})
    assert socket.heard(5) == []
