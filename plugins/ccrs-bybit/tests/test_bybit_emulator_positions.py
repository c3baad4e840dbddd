"""What the emulated Bybit makes of positions: trailing stops, margin added by hand, risk tiers, and
what closing them has made."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
import pytest
from bybit_trader import Socket, Trader, exchange, pass_time

from ccrs_core.emulator import EmulatedExchange

STOP, MARGIN, LEVERAGE = (
    f"/v5/position/{what}" for what in ("trading-stop", "add-margin", "set-leverage")
)
ABOUT: dict[str, Any] = {"category": "linear", "symbol": "BTCUSDT"}
FULL: dict[str, Any] = {**ABOUT, "tpslMode": "Full", "positionIdx": 0}


def still(venue: EmulatedExchange, price: str) -> None:
    """Let the market stand still around a price at which the last trade was."""
    listing, at = venue.listings["linear", "BTCUSDT"], Decimal(price)
    around = [(at - 1, Decimal(500))], [(at + 1, Decimal(500))]
    venue.steer(listing, bids=[], asks=[])
    venue.steer(listing, bids=around[0], asks=around[1], last_price=at)
    pass_time(venue, 0.05)


def long(size: str = "0.5") -> tuple[EmulatedExchange, Trader]:
    """An account that has bought while the market stands still."""
    venue = exchange()
    still(venue, "100000")
    trader = Trader(venue)
    trader.create("linear", "BTCUSDT", "Buy", size)
    pass_time(venue, 0.05)
    return venue, trader


def position(trader: Trader) -> Mapping[str, Any]:
    [row] = trader.get("/v5/position/list", **ABOUT)["result"]["list"]
    return row


def waiting(trader: Trader) -> list[dict[str, Any]]:
    found = trader.get("/v5/order/realtime", **ABOUT, orderFilter="StopOrder")["result"]["list"]
    return [dict(row) for row in found]


# --- trailing stops ------------------------------------------------------------------------------


def test_a_trailing_stop_follows_the_price_and_never_goes_back() -> None:
    venue, trader = long()
    socket = Socket(venue)
    socket.subscribe("order", "execution")
    assert trader.post(STOP, **FULL, trailingStop="500")["retCode"] == 0
    pass_time(venue, 0.05)
    assert position(trader)["trailingStop"] == "500.00"
    [row] = waiting(trader)
    told = ("stopOrderType", "createType", "side", "qty", "timeInForce", "triggerDirection")
    assert [row[name] for name in told] == [
        *("TrailingStop", "CreateByTrailingStop", "Sell", "0.500", "IOC", 2)
    ]
    begun = Decimal(row["triggerPrice"])
    for price, stop in ((100400, 99900), (100100, 99900), (101000, 100500)):
        still(venue, str(price))
        [row] = waiting(trader)
        assert Decimal(row["triggerPrice"]) == stop >= begun
    still(venue, "100500")
    pass_time(venue, 0.05)
    assert waiting(trader) == []
    assert position(trader)["size"] == "0"
    states = [each for each in socket.rows("order") if each["orderId"] == row["orderId"]]
    assert [each["orderStatus"] for each in states][-2:] == ["Triggered", "Filled"]
    assert states[-1]["createType"] == "CreateByTrailingStop"


def test_a_trailing_stop_begins_where_it_was_told_to() -> None:
    venue, trader = long()
    assert trader.post(STOP, **FULL, trailingStop="300", activePrice="101000")["retCode"] == 0
    pass_time(venue, 0.05)
    for price, trigger in ((100800, 101000), (100200, 101000), (101000, 100700), (100900, 100700)):
        still(venue, str(price))
        [row] = waiting(trader)
        assert Decimal(row["triggerPrice"]) == trigger
    still(venue, "100650")
    pass_time(venue, 0.05)
    assert position(trader)["size"] == "0"


def test_a_trailing_stop_of_a_short_position_follows_downwards() -> None:
    venue = exchange()
    still(venue, "100000")
    trader = Trader(venue)
    trader.create("linear", "BTCUSDT", "Sell", "0.5")
    pass_time(venue, 0.05)
    assert trader.post(STOP, **FULL, trailingStop="500")["retCode"] == 0
    for price, stop in ((99000, 99500), (99400, 99500), (98000, 98500)):
        still(venue, str(price))
        [row] = waiting(trader)
        assert (Decimal(row["triggerPrice"]), row["triggerDirection"]) == (stop, 1)
    still(venue, "98600")
    pass_time(venue, 0.05)
    assert position(trader)["size"] == "0"


def test_a_trailing_stop_is_changed_in_place_and_removed_by_zero() -> None:
    venue, trader = long()
    trader.post(STOP, **FULL, trailingStop="500", takeProfit="105000")
    pass_time(venue, 0.05)
    before = {row["stopOrderType"]: row["orderId"] for row in waiting(trader)}
    assert trader.post(STOP, **FULL, trailingStop="400", takeProfit="106000")["retCode"] == 0
    pass_time(venue, 0.05)
    after = {row["stopOrderType"]: row["orderId"] for row in waiting(trader)}
    assert after == before
    assert (position(trader)["trailingStop"], position(trader)["takeProfit"]) == (
        *("400.00", "106000.00"),
    )
    assert trader.post(STOP, **FULL, trailingStop="0")["retCode"] == 0
    pass_time(venue, 0.05)
    assert [row["stopOrderType"] for row in waiting(trader)] == ["TakeProfit"]
    assert position(trader)["trailingStop"] == "0.00"
    assert trader.post(STOP, **FULL, trailingStop="0")["retCode"] == 34040
    assert trader.post(STOP, **FULL)["retCode"] == 34040


def test_what_closes_all_of_a_position_follows_its_size_and_ends_with_it() -> None:
    venue, trader = long()
    socket = Socket(venue)
    socket.subscribe("order")
    trader.post(STOP, **FULL, trailingStop="500", stopLoss="90000")
    trader.create("linear", "BTCUSDT", "Buy", "0.25")
    pass_time(venue, 0.05)
    assert {row["qty"] for row in waiting(trader)} == {"0.750"}
    trader.create("linear", "BTCUSDT", "Sell", "0.75", reduceOnly=True)
    pass_time(venue, 0.05)
    assert waiting(trader) == []
    ended = [row for row in socket.rows("order") if row["orderStatus"] == "Deactivated"]
    assert {(row["cancelType"], row["stopOrderType"]) for row in ended} == {
        ("CancelByTpSlTsClear", "TrailingStop"),
        ("CancelByTpSlTsClear", "StopLoss"),
    }


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"trailingStop": "300", "activePrice": "99000"}, "TrailingProfit:9900000000000 set for"),
        ({"trailingStop": "0.05"}, "trailingStop"),
        ({"trailingStop": "-1"}, "trailingStop"),
        ({"trailingStop": "200000"}, "trailingStop"),
        ({"takeProfit": "99000"}, "TakeProfit:9900000000000 set for Buy position should be higher"),
        ({"stopLoss": "101000"}, "StopLoss:10100000000000 set for Buy position should lower than"),
        ({"positionIdx": 1, "trailingStop": "100"}, "position idx"),
    ],
)
def test_stops_that_make_no_sense_are_refused(asked: dict[str, Any], text: str) -> None:
    _, trader = long()
    answer = trader.post(STOP, **{**FULL, **asked})
    assert answer["retCode"] == 10001
    assert text in answer["retMsg"]
    assert waiting(trader) == []


def test_parts_of_a_position_have_twenty_exits_of_equal_sizes() -> None:
    venue, trader = long()
    part = {**FULL, "tpslMode": "Partial"}
    answer = trader.post(
        STOP, **part, takeProfit="105000", tpSize="0.1", stopLoss="90000", slSize="0.2"
    )
    assert answer["retCode"] == 10001
    codes = [
        trader.post(STOP, **part, takeProfit=f"{105000 + n}", tpSize="0.01")["retCode"]
        for n in range(21)
    ]
    assert codes == [0] * 20 + [110061]
    pass_time(venue, 0.05)
    # They are no conditional orders of the user's, whose cap is another one.
    order = {**ABOUT, "side": "Buy", "orderType": "Market", "qty": "0.1", "triggerDirection": 1}
    assert trader.post("/v5/order/create", **order, triggerPrice="110000")["retCode"] == 0


# --- margin and tiers ----------------------------------------------------------------------------


def test_margin_is_added_to_isolated_positions_by_hand_and_taken_back() -> None:
    venue = exchange()
    still(venue, "100000")
    trader = Trader(venue)
    trader.create("linear", "BTCUSDT", "Buy", "0.5")
    pass_time(venue, 0.05)
    assert trader.post(MARGIN, **ABOUT, margin="10")["retCode"] == 110015
    trader.create("linear", "BTCUSDT", "Sell", "0.5")
    pass_time(venue, 0.05)
    trader.post("/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")
    assert trader.post(MARGIN, **ABOUT, margin="10")["retCode"] == 110033
    trader.create("linear", "BTCUSDT", "Buy", "0.5")
    pass_time(venue, 0.05)
    socket = Socket(venue)
    socket.subscribe("position")
    before = position(trader)
    answer = trader.post(MARGIN, **ABOUT, margin="1000.5")
    assert answer["retCode"] == 0
    after = position(trader)
    assert answer["result"]["positionIM"] == after["positionIM"]
    assert Decimal(after["positionIM"]) - Decimal(before["positionIM"]) == Decimal("1000.5")
    assert Decimal(after["liqPrice"]) < Decimal(before["liqPrice"])
    assert [row["positionIM"] for row in socket.rows("position")] == [after["positionIM"]]
    for margin, code in (
        *(("-1000.6", 110078), ("-1000.5", 0), ("-1", 110078), ("99999999", 110014)),
        *(("0", 10001), ("1.00001", 10001), ("x", 10001)),
    ):
        assert trader.post(MARGIN, **ABOUT, margin=margin)["retCode"] == code, margin
    assert trader.post(MARGIN, **ABOUT, margin="1", positionIdx=1)["retCode"] == 10001
    assert position(trader)["positionIM"] == before["positionIM"]


def test_the_larger_a_position_the_less_leverage_it_may_have() -> None:
    venue = exchange()
    still(venue, "100000")
    trader = Trader(venue)
    query = "category=linear&symbol=BTCUSDT"
    response = trader.ask("GET", "/v5/market/risk-limit", query)
    tiers = orjson.loads(response.body)["result"]["list"]
    assert [row["id"] for row in tiers] == list(range(1, len(tiers) + 1))
    assert [row["isLowestRisk"] for row in tiers] == [1] + [0] * (len(tiers) - 1)

    def leverage(value: str) -> Mapping[str, Any]:
        return trader.post(LEVERAGE, **ABOUT, buyLeverage=value, sellLeverage=value)

    assert leverage(tiers[0]["maxLeverage"])["retCode"] == 0
    order = {**ABOUT, "side": "Buy", "orderType": "Market"}
    answer = trader.post("/v5/order/create", **order, qty="25")
    assert answer["retCode"] == 110090
    assert f"leverage to {Decimal(tiers[1]['maxLeverage'])} or below" in answer["retMsg"]
    assert leverage(tiers[1]["maxLeverage"])["retCode"] == 0
    trader.create("linear", "BTCUSDT", "Buy", "25")
    pass_time(venue, 0.05)
    row = position(trader)
    assert (row["riskId"], row["riskLimitValue"]) == (2, tiers[1]["riskLimitValue"])
    value, kept = Decimal(row["size"]) * Decimal(row["markPrice"]), Decimal(row["positionMM"])
    rate, off = Decimal(tiers[1]["maintenanceMargin"]) / 100, Decimal(tiers[1]["mmDeduction"])
    assert abs(kept - (value * rate - off)) < Decimal("0.01")
    answer = leverage("45")
    assert answer["retCode"] == 110013
    assert answer["retMsg"] == "cannot set leverage [4500] gt maxLeverage [4000] by risk limit"
    leverage("1")
    # Beyond the last tier no leverage helps.
    assert trader.post("/v5/order/create", **order, qty="180")["retCode"] in (110090, 110007)


def test_risk_tiers_come_by_fifteen_symbols() -> None:
    trader = Trader(exchange())
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        query = "category=linear" + (f"&cursor={cursor}" if cursor else "")
        result = orjson.loads(trader.ask("GET", "/v5/market/risk-limit", query).body)["result"]
        names = list(dict.fromkeys(row["symbol"] for row in result["list"]))
        assert len(names) == 15
        seen += names
        cursor = result["nextPageCursor"]
    assert len(set(seen)) == 45


def test_a_market_order_of_contracts_has_the_price_that_it_goes_to() -> None:
    venue = exchange()
    still(venue, "100000")
    trader = Trader(venue)
    for side, price in (("Buy", "105000.00"), ("Sell", "95000.00")):
        still(venue, "100000")
        order_id = trader.create("linear", "BTCUSDT", side, "0.1")
        pass_time(venue, 0.05)
        row = trader.order("linear", order_id)
        assert (row["price"], row["orderType"], row["timeInForce"]) == (price, "Market", "IOC")
    # Exits are held against the last price, not against that one.
    exits = {"takeProfit": "100900", "stopLoss": "99000"}
    trader.create("linear", "BTCUSDT", "Buy", "0.1", **exits)


# --- amendments, and what closing makes ----------------------------------------------------------


def test_an_order_is_not_amended_while_its_last_amendment_is_under_way() -> None:
    venue = exchange()
    trader = Trader(venue)
    codes = set()
    for category, price, busy in (("linear", "100000", 110079), ("spot", "104000", 170144)):
        order_id = trader.create(category, "BTCUSDT", "Buy", "0.01", price=price)
        pass_time(venue, 0.05)
        for size in range(2, 30):
            amended = {"category": category, "symbol": "BTCUSDT", "orderId": order_id}
            answer = trader.post("/v5/order/amend", **amended, qty=f"0.{size:03d}")
            codes.add(answer["retCode"])
            assert answer["retCode"] in (0, busy)
            if answer["retCode"]:
                break
        pass_time(venue, 0.05)
        answer = trader.post("/v5/order/amend", **amended, qty="0.09")
        assert answer["retCode"] == 0
    assert codes == {0, 110079, 170144}


def test_an_amendment_that_is_under_way_holds_what_it_needs() -> None:
    venue = exchange(3)
    trader = Trader(venue)
    order_id = trader.create("spot", "BTCUSDT", "Buy", "0.01", price="104000")
    pass_time(venue, 0.05)
    amended = {"category": "spot", "symbol": "BTCUSDT", "orderId": order_id}
    assert trader.post("/v5/order/amend", **amended, qty="9")["retCode"] == 0
    order = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
    answer = trader.post("/v5/order/create", **order, qty="0.7", price="104000")
    assert answer["retCode"] == 170131
    pass_time(venue, 0.05)
    wallet = trader.get("/v5/account/wallet-balance", accountType="UNIFIED", coin="USDT")
    [coin] = wallet["result"]["list"][0]["coin"]
    assert Decimal(coin["locked"]) == 9 * 104000


def test_what_closing_has_made_is_told_after_the_fees_of_entry_and_exit() -> None:
    venue = exchange()
    still(venue, "100000")
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order", "execution")
    trader.create("linear", "BTCUSDT", "Buy", "0.5")
    pass_time(venue, 0.05)
    order_id = trader.create("linear", "BTCUSDT", "Sell", "0.2")
    pass_time(venue, 0.05)
    frames = socket.heard()
    fees = [
        Decimal(row["execFee"])
        for frame in frames
        if frame["topic"] == "execution"
        for row in frame["data"]
    ]
    entry, leaving = fees
    made = (99999 - 100001) * Decimal("0.2") - leaving - entry * Decimal("0.4")
    [row] = [
        row
        for frame in frames
        if frame["topic"] == "order"
        for row in frame["data"]
        if row["orderId"] == order_id and row["orderStatus"] == "Filled"
    ]
    assert Decimal(row["closedPnl"]) == made
    [closed] = trader.get("/v5/position/closed-pnl", **ABOUT)["result"]["list"]
    assert Decimal(closed["closedPnl"]) == made
    assert Decimal(closed["openFee"]) == entry * Decimal("0.4")
    assert Decimal(closed["closeFee"]) == leaving
    wallet = trader.get("/v5/account/wallet-balance", accountType="UNIFIED", coin="USDT")
    [coin] = wallet["result"]["list"][0]["coin"]
    assert Decimal(coin["cumRealisedPnl"]) == (99999 - 100001) * Decimal("0.2") - sum(fees)


# --- what a trigger brings to life ---------------------------------------------------------------


@pytest.mark.parametrize("anew", [False, True])
def test_a_triggered_spot_order_goes_on_as_itself_or_as_another_one(anew: bool) -> None:
    venue = exchange(spot_triggers_anew=anew)
    listing = venue.listings["spot", "BTCUSDT"]
    trader, socket = Trader(venue), Socket(venue)
    socket.subscribe("order", "execution")
    last = Decimal(trader.best("spot", "BTCUSDT")[1])
    stop = {"orderFilter": "StopOrder", "triggerPrice": f"{last + 100}", "orderLinkId": "stop"}
    order_id = trader.create("spot", "BTCUSDT", "Buy", "0.01", price=f"{last + 300}", **stop)
    pass_time(venue, 0.1)
    venue.steer(listing, last_price=last + 100)
    pass_time(venue, 0.5)
    frames = socket.heard()
    told = [row for frame in frames if frame["topic"] == "order" for row in frame["data"]]
    assert {row["orderLinkId"] for row in told} == {"stop"}
    states = [row["orderStatus"] for row in told if row["orderId"] == order_id]
    assert states == ["Untriggered", "Triggered"] + ([] if anew else ["Filled"])
    [fill] = [row for frame in frames if frame["topic"] == "execution" for row in frame["data"]]
    assert (fill["orderId"] == order_id) is not anew
    assert fill["orderLinkId"] == "stop"
    if anew:
        assert trader.order("spot", order_id)["orderStatus"] == "Triggered"
        about = {"category": "spot", "orderLinkId": "stop"}
        listed = trader.get("/v5/order/history", **about)["result"]["list"]
        assert {row["orderStatus"] for row in listed} == {"Triggered", "Filled"}


# --- refusals that need a position, or an order that is partly filled ----------------------------


def test_exits_of_an_order_that_is_partly_filled_stay_as_they_are() -> None:
    venue = exchange()
    trader = Trader(venue)
    for category, less in (("linear", 110064), ("spot", 170313)):
        listing = venue.listings[category, "BTCUSDT"]
        price = Decimal(trader.best(category, "BTCUSDT")[1])
        venue.steer(listing, bids=[], asks=[])
        venue.steer(listing, bids=[(price - 9, Decimal(1))], asks=[(price, Decimal("0.01"))])
        order_id = trader.create(category, "BTCUSDT", "Buy", "0.05", price=f"{price}")
        pass_time(venue, 0.05)
        assert Decimal(trader.order(category, order_id)["cumExecQty"]) == Decimal("0.01")
        about = {"category": category, "symbol": "BTCUSDT", "orderId": order_id}
        change = {"takeProfit": f"{price + 900}"}
        assert trader.post("/v5/order/amend", **about, **change)["retCode"] == 110059
        assert trader.post("/v5/order/amend", **about, qty="0.005")["retCode"] == less


def test_more_than_the_position_is_closed_by_no_part() -> None:
    _, trader = long()
    part = {**FULL, "tpslMode": "Partial", "takeProfit": "105000"}
    assert trader.post(STOP, **part, tpSize="0.6")["retCode"] == 110058


def test_less_leverage_of_an_isolated_position_needs_what_is_free() -> None:
    venue = exchange()
    still(venue, "100000")
    trader = Trader(venue)
    trader.post("/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN")
    trader.create("linear", "BTCUSDT", "Buy", "50")
    pass_time(venue, 0.05)
    asked = {**ABOUT, "buyLeverage": "1", "sellLeverage": "1"}
    assert trader.post(LEVERAGE, **asked)["retCode"] == 110044


def test_a_book_without_the_level_that_an_order_is_to_be_priced_by_refuses_it() -> None:
    venue = exchange()
    still(venue, "100000")
    order = {**ABOUT, "side": "Buy", "orderType": "Limit", "qty": "0.01"}
    best = {"bboSideType": "Counterparty", "bboLevel": "3"}
    assert Trader(venue).post("/v5/order/create", **order, **best)["retCode"] == 110118


def test_nobody_borrows_and_open_orders_are_no_history() -> None:
    trader = Trader(exchange())
    spot = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit"}
    answer = trader.post("/v5/order/create", **spot, qty="0.01", price="104000", isLeverage=1)
    assert answer["retCode"] == 170036
    for state in ("New", "PartiallyFilled", "Untriggered"):
        asked = trader.get("/v5/order/history", **ABOUT, orderStatus=state)
        assert asked["retCode"] == 181017
