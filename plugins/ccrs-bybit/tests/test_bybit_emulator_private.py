"""The emulated Bybit's private and trade sockets: what is told of an order's life, in which order,
and when disconnect protection fires."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from bybit_trader import Socket, Trader, dialect, exchange, pass_time, rows

from ccrs_core.emulator import HttpRefusal, Peer

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
CREATE, AMEND, CANCEL = (f"/v5/order/{what}" for what in ("create", "amend", "cancel"))


def test_an_order_is_acknowledged_first_and_told_of_afterwards() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order", "position")
    order_id = trader.create("linear", "BTCUSDT", "Buy", "0.01", price="100000", orderLinkId="a")
    [row] = socket.rows("order")
    assert (row["orderId"], row["orderLinkId"], row["orderStatus"]) == (order_id, "a", "New")
    assert (
        trader.post(AMEND, **LINEAR, orderId=order_id, qty="0.02", price="100001")["retCode"] == 0
    )
    [row] = socket.rows("order")
    assert (row["orderStatus"], row["qty"], row["price"]) == ("New", "0.02", "100001")
    assert row["orderId"] == order_id
    trader.post(CANCEL, **LINEAR, orderId=order_id)
    frames = socket.heard()
    [row] = rows(frames, "order")
    assert (row["orderStatus"], row["cancelType"]) == ("Cancelled", "CancelByUser")
    assert Decimal(row["leavesQty"]) == 0
    # Told of with every change of an order, though nothing is held.
    [held] = rows(frames, "position")
    assert (held["size"], held["side"]) == ("0", "")


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_post_only_that_would_take_is_taken_and_rejected_by_an_event(category: str) -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order")
    seen = set()
    for _ in range(6):
        ask = trader.best(category, "BTCUSDT")[1]
        price = f"{Decimal(ask) + 20:.1f}"
        trader.create(category, "BTCUSDT", "Buy", "0.01", price=price, timeInForce="PostOnly")
        [row] = socket.rows("order")
        assert row["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
        assert Decimal(row["cumExecQty"]) == 0
        seen.add(row["orderStatus"])
    assert seen == {"Rejected", "Cancelled"}


@pytest.mark.parametrize(
    ("lifetime", "reason"),
    [("IOC", "EC_NoImmediateQtyToFill"), ("FOK", "EC_NoEnoughQtyToFill")],
)
def test_what_finds_no_counterpart_ends_by_its_own_terms(lifetime: str, reason: str) -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order", "execution")
    ask = trader.best("linear", "BTCUSDT")[1]
    order_id = trader.create("linear", "BTCUSDT", "Buy", "60", price=ask, timeInForce=lifetime)
    frames = socket.heard()
    last = rows(frames, "order")[-1]
    assert (last["orderStatus"], last["rejectReason"]) == ("Cancelled", reason)
    filled = sum(Decimal(row["execQty"]) for row in rows(frames, "execution"))
    assert Decimal(last["cumExecQty"]) == filled
    assert (filled > 0) is (lifetime == "IOC")
    listed = trader.get("/v5/order/history", **LINEAR, orderId=order_id)["result"]["list"]
    assert [row["orderStatus"] for row in listed] == ["Cancelled"]


def test_topics_of_one_change_come_in_any_order_and_even_before_the_ack() -> None:
    firsts, early = set[str](), 0
    for seed in range(12):
        venue = exchange(seed)
        trader, socket = Trader(venue), Socket(venue)
        entry = Socket(venue, "/v5/trade")
        socket.subscribe("order", "execution", "position", "wallet")
        trader.best("linear", "BTCUSDT")
        body = {"side": "Buy", "orderType": "Market", "qty": "0.01"}
        assert entry.order("order.create", **LINEAR, **body)["retCode"] == 0
        early += bool(socket.peer.outbox)
        frames = socket.heard()
        firsts.add(frames[0]["topic"])
        assert {frame["topic"] for frame in frames} >= {"order", "execution", "position"}
        statuses = [row["orderStatus"] for row in rows(frames, "order")]
        assert statuses[-1] == "Filled"
    assert len(firsts) >= 3
    assert 0 < early < 12


def test_nothing_is_told_of_the_past_and_nothing_again() -> None:
    venue = exchange()
    trader = Trader(venue)
    trader.create("linear", "BTCUSDT", "Buy", "0.01", price="100000")
    pass_time(venue, 1.0)
    socket = Socket(venue)
    socket.subscribe("order", "execution", "position", "wallet")
    assert socket.heard(3.0) == []
    other = Socket(venue)
    other.subscribe("order")
    trader.create("linear", "BTCUSDT", "Buy", "0.01", price="100000")
    assert len(other.rows("order")) == 1
    assert len(socket.rows("order")) == 1


def test_topics_are_of_all_products_or_of_one_and_not_mixed_in_a_request() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    mixed = socket.subscribe("order", "order.spot")
    assert (mixed["success"], mixed["op"]) == (False, "subscribe")
    assert socket.subscribe("order.spot", "execution")["success"] is True
    assert socket.subscribe("order.spot")["success"] is False
    for wrong in ("position.spot", "orders", "wallet.linear", "order.future"):
        answer = socket.subscribe(wrong)
        assert (answer["success"], wrong in answer["ret_msg"]) == (False, True)
    trader.create("linear", "BTCUSDT", "Buy", "0.01", price="100000")
    trader.create("spot", "BTCUSDT", "Buy", "0.01", price="104000")
    told = socket.heard()
    assert [(frame["topic"], frame["data"][0]["category"]) for frame in told] == [
        ("order.spot", "spot")
    ]
    assert socket.ask({"op": "unsubscribe", "args": ["order.spot"]})["success"] is True
    trader.create("spot", "BTCUSDT", "Buy", "0.01", price="104000")
    assert socket.heard() == []


def test_subscribing_waits_for_the_login() -> None:
    socket = Socket(exchange(), login=False)
    assert socket.subscribe("order")["success"] is False
    socket.login()
    assert socket.subscribe("order")["success"] is True


def test_pings_are_answered_by_each_socket_in_its_way() -> None:
    venue = exchange()
    private, entry = Socket(venue), Socket(venue, "/v5/trade")
    pong = private.ask({"op": "ping", "req_id": "7"})
    assert (pong["op"], pong["req_id"], len(pong["args"])) == ("pong", "7", 1)
    pong = entry.ask({"op": "ping"})
    assert (pong["op"], pong["retMsg"], len(pong["data"])) == ("pong", "OK", 1)


def test_a_socket_lives_as_long_as_it_asks_to() -> None:
    venue = exchange()
    short, usual = Socket(venue, max_active_time="30s"), Socket(venue)
    pass_time(venue, 29)
    assert short.peer.open
    pass_time(venue, 2)
    assert not short.peer.open
    pass_time(venue, 500)
    assert usual.peer.open
    pass_time(venue, 100)
    assert not usual.peer.open
    for wrong in ("10s", "11m", "x"):
        refusal = venue.open("/v5/private", {"max_active_time": wrong}, venue.now_ns)
        assert isinstance(refusal, HttpRefusal)
    assert isinstance(venue.open("/v5/private", {"max_active_time": "10m"}, venue.now_ns), Peer)


def test_a_cancel_that_comes_too_late_is_told_by_a_second_filled() -> None:
    for seed in range(40):
        venue = exchange(seed)
        trader, socket = Trader(venue), Socket(venue)
        socket.subscribe("order")
        order_id = trader.create("linear", "BTCUSDT", "Buy", "0.01")
        if trader.post(CANCEL, **LINEAR, orderId=order_id)["retCode"]:
            continue
        told = socket.rows("order")
        if [row["orderStatus"] for row in told][-2:] != ["Filled", "Filled"]:
            continue
        assert told[-1]["cancelType"] == "CancelByUser"
        assert told[-1]["rejectReason"] == "EC_OrigClOrdIDDoesNotExist"
        assert told[-2]["rejectReason"] == "EC_NoError"
        return
    pytest.fail("no cancel came too late")


def test_conditional_orders_wait_are_triggered_and_then_fill() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order")
    listing = venue.listings["linear", "BTCUSDT"]
    last = venue.market(listing).rules.price.value(venue.market(listing).tape.last)
    terms: dict[str, Any] = {"triggerPrice": f"{last + 3:.1f}", "triggerDirection": 1}
    order_id = trader.create("linear", "BTCUSDT", "Buy", "0.01", **terms)
    told: list[dict[str, Any]] = socket.rows("order", 0.03)
    row = told.pop(0)
    assert (row["orderStatus"], row["stopOrderType"]) == ("Untriggered", "Stop")
    assert (row["triggerBy"], row["triggerDirection"]) == ("LastPrice", 1)
    for _ in range(200):
        if told:
            break
        told += socket.rows("order", 1.0)
    statuses = [each["orderStatus"] for each in told]
    assert statuses[0] == "Triggered"
    assert statuses[-1] == "Filled"
    assert {each["orderId"] for each in told} == {order_id}
    assert {each["createType"] for each in told} == {"CreateByStopOrder"}
    far = trader.create(
        "linear", "BTCUSDT", "Buy", "0.01", triggerPrice="120000", triggerDirection=1
    )
    trader.post(CANCEL, **LINEAR, orderId=far)
    assert [row["orderStatus"] for row in socket.rows("order")] == ["Untriggered", "Deactivated"]


def test_spot_stops_need_their_filter_to_be_canceled() -> None:
    venue = exchange()
    trader = Trader(venue)
    about = {"category": "spot", "symbol": "BTCUSDT"}
    order_id = trader.create(
        "spot", "BTCUSDT", "Buy", "100", triggerPrice="110000", orderFilter="StopOrder"
    )
    pass_time(venue, 0.1)
    assert trader.post(CANCEL, **about, orderId=order_id)["retCode"] == 170213
    everything = trader.post("/v5/order/cancel-all", category="spot")
    assert everything["result"] == {"success": "1"}
    fine = trader.post(CANCEL, **about, orderId=order_id, orderFilter="StopOrder")
    assert fine["retCode"] == 0


def test_cancel_all_takes_what_is_asked_for_and_conditional_orders_of_contracts_with_it() -> None:
    venue = exchange()
    trader = Trader(venue)
    for symbol, price in (("BTCUSDT", "100000"), ("BTCPERP", "100000"), ("ETHUSDT", "3800")):
        trader.create("linear", symbol, "Buy", "0.01", price=price)
    trader.create("linear", "BTCUSDT", "Buy", "0.01", triggerPrice="120000", triggerDirection=1)
    pass_time(venue, 0.1)

    def canceled(**about: Any) -> int:
        answer = trader.post("/v5/order/cancel-all", category="linear", **about)
        pass_time(venue, 0.1)
        return len(answer["result"].get("list", [])) if answer["retCode"] == 0 else -1

    assert canceled() == -1
    assert canceled(symbol="BTCUSDT", orderFilter="StopOrder") == 1
    assert canceled(baseCoin="ETH", settleCoin="USDC") == 1
    assert canceled(settleCoin="USDC") == 1
    assert canceled(symbol="BTCUSDT", baseCoin="ETH") == 1
    assert canceled(settleCoin="USDT") == 0


def test_a_price_beyond_the_band_of_futures_is_moved_into_it_unless_the_account_says_no() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order")
    band = trader.get("/v5/market/price-limit", **LINEAR)["result"]
    assert Decimal(band["sellLmt"]) < Decimal(trader.best("linear", "BTCUSDT")[0])
    assert trader.get("/v5/account/user-setting-config")["result"]["lpaPerp"] is False
    trader.create("linear", "BTCUSDT", "Sell", "0.01", price="50000", timeInForce="PostOnly")
    assert Decimal(socket.rows("order")[-1]["price"]) >= Decimal(100000)
    trader.create("linear", "BTCUSDT", "Buy", "0.01", price="150000", timeInForce="PostOnly")
    assert Decimal(socket.rows("order")[-1]["price"]) <= Decimal(110000)
    action = "/v5/account/set-limit-px-action"
    assert trader.post(action, category="inverse", modifyEnable=False)["retCode"] == 0
    assert trader.get("/v5/account/user-setting-config")["result"]["lpaPerp"] is True
    asked = {"side": "Sell", "orderType": "Limit", "qty": "0.01", "price": "50000"}
    assert trader.post(CREATE, **LINEAR, **asked)["retCode"] == 110120
    asked |= {"side": "Buy", "price": "150000"}
    assert trader.post(CREATE, **LINEAR, **asked)["retCode"] == 110121
    of_spot = {**asked, "category": "spot", "symbol": "BTCUSDT"}
    assert trader.post(CREATE, **of_spot)["retCode"] == 170193
    assert trader.post(action, category="spot", modifyEnable=True)["retCode"] == 0
    assert trader.post(CREATE, **of_spot)["retCode"] == 0


def test_hedged_positions_are_two_and_closed_by_their_own_index() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    switched = trader.post("/v5/position/switch-mode", category="linear", symbol="BTCUSDT", mode=3)
    assert switched["retCode"] == 0
    socket.subscribe("position")
    trader.create("linear", "BTCUSDT", "Buy", "0.05", positionIdx=1)
    trader.create("linear", "BTCUSDT", "Sell", "0.02", positionIdx=2)
    pass_time(venue, 0.1)
    listed = trader.get("/v5/position/list", **LINEAR)["result"]["list"]
    held = {row["positionIdx"]: (row["side"], row["size"]) for row in listed}
    assert held == {1: ("Buy", "0.050"), 2: ("Sell", "0.020")}
    asked = {"side": "Sell", "orderType": "Market", "positionIdx": 1, "reduceOnly": True}
    assert trader.post(CREATE, **LINEAR, **asked, qty="0.05")["retCode"] == 0
    pass_time(venue, 0.1)
    listed = trader.get("/v5/position/list", **LINEAR)["result"]["list"]
    assert {row["positionIdx"]: row["size"] for row in listed} == {1: "0", 2: "0.020"}
    by_coin = trader.get("/v5/position/list", category="linear", settleCoin="USDT")["result"]
    assert [row["positionIdx"] for row in by_coin["list"]] == [2]


def test_self_trades_are_prevented_as_the_taker_says() -> None:
    venue = exchange()
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order")
    for kind, ended in (
        ("CancelMaker", {"maker"}),
        ("CancelTaker", {"taker"}),
        ("CancelBoth", {"maker", "taker"}),
        ("None", set()),
    ):
        bid, _ = trader.best("spot", "ETHBTC")
        maker = trader.create("spot", "ETHBTC", "Buy", "0.01", price=bid)
        more = {"price": bid, "smpType": kind, "timeInForce": "IOC"}
        taker = trader.create("spot", "ETHBTC", "Sell", "50", **more)
        ids = {"maker": maker, "taker": taker}
        told = socket.rows("order", 0.2)
        by_smp = {row["orderId"] for row in told if row["cancelType"] == "CancelBySmp"}
        assert by_smp == {ids[who] for who in ended}, kind
        for row in told:
            if row["cancelType"] == "CancelBySmp":
                assert row["rejectReason"] == "EC_BySelfMatch"
                assert row["smpOrderId"] in ids.values()


# --- disconnect protection ---


def protected(window: int = 5) -> tuple[Any, Trader]:
    venue = exchange()
    desk = dialect(venue).trading.desk
    desk.accounts["emulator"].institutional = True
    trader = Trader(venue)
    asked = {"product": "DERIVATIVES", "timeWindow": window}
    assert trader.post("/v5/order/disconnected-cancel-all", **asked)["retCode"] == 0
    assert trader.get("/v5/account/query-dcp-info")["result"]["dcpInfos"] == []
    pass_time(venue, 10)
    assert trader.get("/v5/account/query-dcp-info")["result"]["dcpInfos"] == [
        {"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": str(window)}
    ]
    trader.create("linear", "BTCUSDT", "Buy", "0.01", price="100000")
    trader.create("spot", "BTCUSDT", "Buy", "0.01", price="104000")
    pass_time(venue, 0.1)
    return venue, trader


def open_orders(trader: Trader, category: str) -> int:
    answer = trader.get("/v5/order/realtime", category=category, symbol="BTCUSDT")
    return len(answer["result"]["list"])


def test_protection_is_for_institutions() -> None:
    trader = Trader(exchange())
    path = "/v5/order/disconnected-cancel-all"
    assert trader.post(path, product="SPOT", timeWindow=10)["retCode"] == 10005
    assert trader.post(path, product="SPOT", timeWindow=2)["retCode"] == 10001
    assert trader.get("/v5/account/query-dcp-info")["result"] == {"dcpInfos": []}


def test_protection_fires_once_the_last_connection_with_the_topic_is_gone_for_the_window() -> None:
    venue, trader = protected()
    first, second, without = Socket(venue), Socket(venue), Socket(venue)
    first.subscribe("dcp.future")
    second.subscribe("dcp.future")
    without.subscribe("order")
    first.peer.gone()
    pass_time(venue, 20)
    assert open_orders(trader, "linear") == 1
    second.peer.gone()
    pass_time(venue, 4.9)
    assert open_orders(trader, "linear") == 1
    told = without.rows("order", 0.3)
    assert [row["cancelType"] for row in told] == ["CancelByDCP"]
    assert open_orders(trader, "linear") == 0
    assert open_orders(trader, "spot") == 1


def test_who_comes_back_within_the_window_keeps_the_orders() -> None:
    venue, trader = protected()
    first = Socket(venue)
    first.subscribe("dcp.future")
    first.peer.gone()
    pass_time(venue, 3)
    again = Socket(venue)
    again.subscribe("dcp.future")
    pass_time(venue, 10)
    assert open_orders(trader, "linear") == 1
    again.peer.gone()
    pass_time(venue, 4)
    assert open_orders(trader, "linear") == 1
    pass_time(venue, 1.5)
    assert open_orders(trader, "linear") == 0


def test_without_the_topic_nothing_is_protected() -> None:
    venue, trader = protected()
    socket = Socket(venue)
    socket.subscribe("order")
    socket.peer.gone()
    pass_time(venue, 30)
    assert open_orders(trader, "linear") == 1
