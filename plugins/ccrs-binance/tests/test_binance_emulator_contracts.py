"""The emulated Binance's accounts of USD-M and COIN-M: what is answered, told and listed of orders,
positions and money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from binance_trader import START_NS, Socket, Trader, exchange, of, pass_time

from ccrs_core import NS_PER_MS
from ccrs_core.emulator import EmulatedExchange

USDM, COINM = "/fapi", "/dapi"
ABOUT: dict[str, dict[str, str]] = {
    USDM: {"symbol": "BTCUSDT", "quantity": "0.1"},
    COINM: {"symbol": "BTCUSD_PERP", "quantity": "10"},
}
START_MS = START_NS // NS_PER_MS


class Futures(Trader):
    """One host's client, with a socket for its events."""

    def __init__(self, venue: EmulatedExchange, host: str = USDM) -> None:
        super().__init__(venue)
        self.host = host
        self.about = ABOUT[host]
        self.symbol = self.about["symbol"]
        self.category = {USDM: "usdm", COINM: "coinm"}[host]
        self.listing = venue.listings[self.category, self.symbol]
        key = self.keyed("POST", f"{host}/v1/listenKey")["listenKey"]
        path = {USDM: "/fstream/private/ws", COINM: "/dstream/ws"}[host]
        self.socket = Socket(venue, f"{path}/{key}")

    def v1(self, method: str, name: str, **values: Any) -> Any:
        return self.ask(method, f"{self.host}/v1/{name}", **values)

    def new(self, side: str = "BUY", **more: Any) -> dict[str, Any]:
        terms = {"type": "LIMIT", "timeInForce": "GTC"} if "price" in more else {"type": "MARKET"}
        found = self.v1("POST", "order", **{**self.about, "side": side, **terms, **more})
        assert self.status == 200, found
        return dict(found)

    def refused(self, side: str = "BUY", **more: Any) -> tuple[int, int]:
        terms = {"type": "LIMIT", "timeInForce": "GTC"} if "price" in more else {"type": "MARKET"}
        found = self.v1("POST", "order", **{**self.about, "side": side, **terms, **more})
        return self.status, found["code"]

    def heard(self) -> list[dict[str, Any]]:
        return self.socket.heard()

    def updates(self) -> list[dict[str, Any]]:
        return [event["o"] for event in of(self.heard(), "ORDER_TRADE_UPDATE")]

    def position(self) -> dict[str, Any]:
        if self.host == USDM:
            rows = self.ask("GET", "/fapi/v2/positionRisk", symbol=self.symbol)
        else:
            rows = self.v1("GET", "positionRisk", pair="BTCUSD")
            rows = [row for row in rows if row["symbol"] == self.symbol]
        return dict(rows[0])


def still(futures: Futures, price: str = "100000") -> None:
    """Let the market stand still there."""
    value, size = Decimal(price), Decimal(100) if futures.host == USDM else Decimal(100_000)
    tick = futures.listing.tick
    levels = {"bids": [(value, size)], "asks": [(value + tick, size)]}
    venue = futures.venue
    venue.steer(futures.listing, bids=(), asks=())
    venue.steer(futures.listing, **levels, last_price=value, mark_price=value, index_price=value)


@pytest.fixture(params=[USDM, COINM])
def futures(request: pytest.FixtureRequest) -> Futures:
    found = Futures(exchange(), request.param)
    still(found)
    return found


def test_an_order_rests_is_changed_and_canceled_under_its_own_id(futures: Futures) -> None:
    answer = futures.new(price="90000", newClientOrderId="a:b/c")
    assert (answer["status"], "avgPrice" in answer, "cumQty" in answer) == ("NEW", False, True)
    [new] = futures.updates()
    assert (new["x"], new["X"], new["c"], new["i"]) == ("NEW", "NEW", "a:b/c", answer["orderId"])
    about = {"symbol": futures.symbol, "orderId": answer["orderId"], "side": "BUY"}
    changed = futures.v1(
        *("PUT", "order"), **about, quantity=futures.about["quantity"], price="90001", modifyId=7
    )
    assert (changed["orderId"], changed["status"], changed["modifyId"]) == (
        *(answer["orderId"], "NEW"),
        7,
    )
    [amended] = futures.updates()
    assert (amended["x"], Decimal(amended["p"]), amended["M"]) == ("AMENDMENT", 90001, 7)
    same = futures.v1(*("PUT", "order"), **about, quantity=futures.about["quantity"], price="90001")
    assert same["code"] == -5027
    gone = futures.v1("DELETE", "order", symbol=futures.symbol, origClientOrderId="a:b/c")
    assert gone["status"] == "CANCELED"
    [canceled] = futures.updates()
    assert (canceled["x"], canceled["X"], canceled["c"]) == ("CANCELED", "CANCELED", "a:b/c")
    again = futures.v1("DELETE", "order", symbol=futures.symbol, origClientOrderId="a:b/c")
    assert again["code"] == -2011
    row = futures.v1("GET", "order", symbol=futures.symbol, orderId=answer["orderId"])
    assert (row["status"], Decimal(row["avgPrice"])) == ("CANCELED", 0)
    missing = futures.v1("GET", "openOrder", symbol=futures.symbol, orderId=answer["orderId"])
    assert missing["code"] == -2013


def test_a_fill_is_told_by_the_order_and_by_the_account(futures: Futures) -> None:
    answer = futures.new(newOrderRespType="RESULT")
    assert answer["status"] == "FILLED"
    events = futures.heard()
    [new, fill] = [event["o"] for event in of(events, "ORDER_TRADE_UPDATE")]
    assert (new["x"], fill["x"], fill["X"]) == ("NEW", "TRADE", "FILLED")
    [update] = [event["a"] for event in of(events, "ACCOUNT_UPDATE")]
    assert update["m"] == "ORDER"
    [position], [balance] = update["P"], update["B"]
    assert Decimal(position["pa"]) == Decimal(futures.about["quantity"])
    settle = "USDT" if futures.host == USDM else "BTC"
    assert (balance["a"], fill["N"]) == (settle, settle)
    start = 1_000_000 if futures.host == USDM else 20
    assert Decimal(balance["wb"]) == start - Decimal(fill["n"])
    early = of(events, "TRADE_LITE")
    assert [(each["t"], each["i"]) for each in early] == (
        [(fill["t"], fill["i"])] if futures.host == USDM else []
    )
    [trade] = futures.v1("GET", "userTrades", symbol=futures.symbol)
    assert (trade["id"], trade["commission"]) == (fill["t"], fill["n"])
    row = futures.position()
    assert Decimal(row["entryPrice"]) == pytest.approx(Decimal(fill["L"]), rel=Decimal("1e-9"))
    kinds = [row["incomeType"] for row in futures.v1("GET", "income")]
    assert kinds == ["TRANSFER"] * (kinds.count("TRANSFER")) + ["COMMISSION"]


def test_an_acknowledgement_says_new_whatever_has_come_of_the_order(futures: Futures) -> None:
    assert futures.new()["status"] == "NEW"
    assert futures.new(price="101000", newOrderRespType="RESULT")["status"] == "NEW"
    [row, _] = futures.v1("GET", "allOrders", symbol=futures.symbol)
    assert row["status"] == "FILLED"


def test_closing_realises_a_profit_in_the_settlement_asset(futures: Futures) -> None:
    futures.new()
    still(futures, "110000")
    futures.heard()
    futures.new("SELL", reduceOnly="true")
    events = futures.heard()
    fill = [event["o"] for event in of(events, "ORDER_TRADE_UPDATE")][-1]
    entry, exit_ = Decimal(100_000) + futures.listing.tick, Decimal(110_000)
    if futures.host == USDM:
        expected = Decimal("0.1") * (exit_ - entry)
    else:
        expected = 1000 / entry - 1000 / exit_
    assert Decimal(fill["rp"]) == pytest.approx(expected, abs=Decimal("1e-7"))
    [update] = [event["a"] for event in of(events, "ACCOUNT_UPDATE")]
    assert Decimal(update["P"][0]["pa"]) == 0
    assert futures.refused("SELL", reduceOnly="true") == (400, -2022)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"price": "150000", "timeInForce": "GTX"}, -5022),
        ({"price": "90000", "timeInForce": "FOK"}, -5021),
        ({"type": "STOP_MARKET", "stopPrice": "90000"}, -4120),
        ({"positionSide": "LONG"}, -4061),
        ({"price": "90000.03"}, -4014),
        ({"price": "0.1"}, -4013),
        ({"newClientOrderId": "a b"}, -4015),
        ({"quantity": "0"}, -4003),
        ({"price": "90000", "priceMatch": "QUEUE"}, -1106),
        ({"symbol": "NOSUCH"}, -1121),
        ({"side": "LONG"}, -1117),
        ({"price": "90000", "selfTradePreventionMode": "DECREMENT"}, -5039),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    futures: Futures, terms: dict[str, str], code: int
) -> None:
    assert futures.refused(**terms) == (400, code)
    assert futures.heard() == []
    assert futures.v1("GET", "allOrders", symbol=futures.symbol) == []


def test_a_duplicate_is_refused_while_the_first_is_open(futures: Futures) -> None:
    futures.new(price="90000", newClientOrderId="a")
    assert futures.refused(price="90000", newClientOrderId="a") == (400, -4116)
    futures.v1("DELETE", "allOpenOrders", symbol=futures.symbol)
    futures.new(price="90000", newClientOrderId="a")


def test_a_modification_below_what_is_filled_or_of_a_maker_that_would_take_cancels(
    futures: Futures,
) -> None:
    order = futures.new(price="100000", timeInForce="GTX")
    about = {"symbol": futures.symbol, "orderId": order["orderId"], "side": "BUY"}
    size = futures.about["quantity"]
    answer = futures.v1("PUT", "order", **about, quantity=size, price="120000")
    assert (futures.status, answer["status"]) == (200, "CANCELED")
    assert [each["x"] for each in futures.updates()] == ["NEW", "CANCELED"]
    step, tick = futures.listing.lot, futures.listing.tick
    half = step * 5
    asks = [(Decimal(100_000) + tick, half)]
    futures.venue.steer(futures.listing, asks=asks)
    order = futures.new(price=str(Decimal(100_000) + tick))
    about["orderId"] = order["orderId"]
    row = futures.v1("GET", "order", symbol=futures.symbol, orderId=order["orderId"])
    assert (row["status"], Decimal(row["executedQty"])) == ("PARTIALLY_FILLED", half)
    answer = futures.v1("PUT", "order", **about, quantity=f"{half:f}", price="100000")
    assert (answer["status"], Decimal(answer["executedQty"])) == ("CANCELED", half)
    gone = futures.v1("PUT", "order", **about, quantity=size, price="100000")
    assert gone["code"] == -2013


def test_batches_have_an_outcome_for_each_in_the_order_of_the_request(futures: Futures) -> None:
    one = {**futures.about, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    wanted = [
        {**one, "price": "90000", "newClientOrderId": "a"},
        {**one, "price": "0.001"},
        {**one, "price": "90001", "newClientOrderId": "b"},
    ]
    rows = futures.v1("POST", "batchOrders", batchOrders=orjson.dumps(wanted).decode())
    assert [row.get("clientOrderId") for row in rows] == ["a", None, "b"]
    assert rows[1]["code"] < 0
    many = orjson.dumps(wanted * 2).decode()
    assert futures.v1("POST", "batchOrders", batchOrders=many)["code"] == -4082
    changes = [
        {"symbol": futures.symbol, "side": "BUY", "origClientOrderId": name, "price": "90002"}
        | {"quantity": futures.about["quantity"]}
        for name in ("a", "x")
    ]
    rows = futures.v1("PUT", "batchOrders", batchOrders=orjson.dumps(changes).decode())
    assert [row.get("code") for row in rows] == [None, -2013]
    ids = orjson.dumps(["a", "x", "b"]).decode()
    rows = futures.v1("DELETE", "batchOrders", symbol=futures.symbol, origClientOrderIdList=ids)
    assert [row.get("status", row.get("code")) for row in rows] == ["CANCELED", -2011, "CANCELED"]


def test_an_order_that_waits_for_a_price_is_known_to_its_own_service_alone(
    futures: Futures,
) -> None:
    about = {**futures.about, "side": "BUY", "algoType": "CONDITIONAL"}
    stop = futures.v1(
        *("POST", "algoOrder"),
        **about,
        type="STOP_MARKET",
        triggerPrice="101000",
        clientAlgoId="s",
    )
    assert (stop["algoStatus"], stop["actualOrderId"]) == ("NEW", "")
    assert futures.v1("GET", "openOrders") == []
    assert futures.v1("DELETE", "allOpenOrders", symbol=futures.symbol)["code"] == 200
    [row] = futures.v1("GET", "openAlgoOrders")
    assert row["algoId"] == stop["algoId"]
    [new] = [event["o"] for event in of(futures.heard(), "ALGO_UPDATE")]
    assert (new["X"], new["aid"], new["caid"]) == ("NEW", stop["algoId"], "s")
    passed = futures.v1(*("POST", "algoOrder"), **about, type="STOP_MARKET", triggerPrice="99000")
    assert passed["code"] == -2021
    futures.venue.steer(futures.listing, last_price=Decimal(101_000))
    events = futures.heard()
    states = [event["o"]["X"] for event in of(events, "ALGO_UPDATE")]
    assert states == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    [new, fill] = [event["o"] for event in of(events, "ORDER_TRADE_UPDATE")]
    assert (new["o"], new["ot"], fill["X"]) == ("MARKET", "STOP_MARKET", "FILLED")
    told = futures.v1("GET", "algoOrder", algoId=stop["algoId"])
    assert (told["algoStatus"], told["actualOrderId"]) == ("FINISHED", str(new["i"]))
    assert futures.v1("DELETE", "algoOrder", algoId=stop["algoId"])["code"] == -2011


def test_a_stop_that_closes_the_position_takes_all_of_it(futures: Futures) -> None:
    futures.new()
    stop = futures.v1(
        *("POST", "algoOrder"),
        symbol=futures.symbol,
        side="SELL",
        algoType="CONDITIONAL",
        type="STOP_MARKET",
        triggerPrice="99000",
        closePosition="true",
    )
    assert futures.status == 200, stop
    futures.new()
    futures.venue.steer(futures.listing, last_price=Decimal(99_000))
    futures.heard()
    assert Decimal(futures.position()["positionAmt"]) == 0


def test_a_trailing_stop_begins_at_its_price_and_follows_by_percent(futures: Futures) -> None:
    stop = futures.v1(
        *("POST", "algoOrder"),
        **futures.about,
        side="SELL",
        algoType="CONDITIONAL",
        type="TRAILING_STOP_MARKET",
        callbackRate="1",
        activatePrice="105000",
    )
    assert futures.status == 200, stop
    for price in (101_000, 99_000, 105_000, 110_000, 109_500):
        futures.venue.steer(futures.listing, last_price=Decimal(price))
    states = [(e["o"]["X"], e["o"]["ia"]) for e in of(futures.heard(), "ALGO_UPDATE")]
    assert states == [("NEW", False), ("NEW", True)]
    futures.venue.steer(futures.listing, last_price=Decimal(108_800))
    assert of(futures.heard(), "ALGO_UPDATE")[-1]["o"]["X"] == "FINISHED"


def test_the_switch_cancels_a_symbols_orders_unless_it_is_pressed_again(futures: Futures) -> None:
    futures.new(price="90000")
    futures.v1(
        *("POST", "algoOrder"),
        **futures.about,
        side="BUY",
        algoType="CONDITIONAL",
        type="STOP_MARKET",
        triggerPrice="150000",
    )
    press = {"symbol": futures.symbol, "countdownTime": 5000}
    assert futures.v1("POST", "countdownCancelAll", **press) == {
        "symbol": futures.symbol,
        "countdownTime": "5000",
    }
    pass_time(futures.venue, 4.0)
    futures.v1("POST", "countdownCancelAll", **press)
    pass_time(futures.venue, 4.0)
    assert len(futures.v1("GET", "openOrders")) == 1
    pass_time(futures.venue, 2.0)
    assert futures.v1("GET", "openOrders") == []
    assert len(futures.v1("GET", "openAlgoOrders")) == 1  # which it doesn't touch
    futures.new(price="90000")
    futures.v1("POST", "countdownCancelAll", **press)
    futures.v1("POST", "countdownCancelAll", symbol=futures.symbol, countdownTime=0)
    pass_time(futures.venue, 6.0)
    assert len(futures.v1("GET", "openOrders")) == 1


def test_hedge_mode_is_one_for_both_kinds_of_contracts() -> None:
    venue = exchange()
    usdm, coinm = Futures(venue, USDM), Futures(venue, COINM)
    still(usdm)
    still(coinm)
    order = coinm.new(price="90000")
    assert usdm.v1("POST", "positionSide/dual", dualSidePosition="true")["code"] == -4067
    coinm.v1("DELETE", "order", symbol=coinm.symbol, orderId=order["orderId"])
    assert usdm.v1("POST", "positionSide/dual", dualSidePosition="true")["code"] == 200
    assert coinm.v1("GET", "positionSide/dual") == {"dualSidePosition": True}
    assert coinm.v1("POST", "positionSide/dual", dualSidePosition="true")["code"] == -4059
    assert coinm.refused() == (400, -4061)
    assert usdm.refused(positionSide="LONG", reduceOnly="true") == (400, -1106)
    usdm.new(positionSide="LONG")
    usdm.new("SELL", positionSide="SHORT")
    rows = usdm.ask("GET", "/fapi/v3/positionRisk")
    assert {(row["positionSide"], Decimal(row["positionAmt"])) for row in rows} == {
        ("LONG", Decimal("0.1")),
        ("SHORT", Decimal("-0.1")),
    }
    assert coinm.v1("POST", "positionSide/dual", dualSidePosition="false")["code"] == -4068


def test_leverage_is_told_though_it_stays_the_same(futures: Futures) -> None:
    answer = futures.v1("POST", "leverage", symbol=futures.symbol, leverage=20)
    assert answer["leverage"] == 20
    [event] = of(futures.heard(), "ACCOUNT_CONFIG_UPDATE")
    assert event["ac"] == {"s": futures.symbol, "l": 20}
    assert ("i" in event) is (futures.host == COINM)
    assert futures.v1("POST", "leverage", symbol=futures.symbol, leverage=500)["code"] == -4028


def test_margin_is_isolated_symbol_by_symbol(futures: Futures) -> None:
    isolate = {"symbol": futures.symbol, "marginType": "ISOLATED"}
    assert futures.v1("POST", "marginType", **isolate)["code"] == 200
    assert futures.v1("POST", "marginType", **isolate)["code"] == -4046
    futures.new()
    assert futures.v1("POST", "marginType", **{**isolate, "marginType": "CROSSED"})["code"] == -4048
    row = futures.position()
    assert (row["marginType"], Decimal(row["isolatedMargin"]) > 0) == ("isolated", True)


def test_flat_positions_are_listed_by_the_older_calls_alone() -> None:
    usdm = Futures(exchange())
    assert usdm.ask("GET", "/fapi/v3/positionRisk") == []
    row = usdm.position()
    assert (row["positionAmt"], row["leverage"]) == ("0.000", "20")
    coinm = Futures(usdm.venue, COINM)
    assert Decimal(coinm.position()["positionAmt"]) == 0


def test_fills_are_asked_for_by_number_or_time_and_of_coinm_by_pair() -> None:
    coinm = Futures(exchange(), COINM)
    still(coinm)
    for _ in range(3):
        coinm.new()
        pass_time(coinm.venue, 1.0)
    rows = coinm.v1("GET", "userTrades", pair="BTCUSD")
    ids = [row["id"] for row in rows]
    assert len(ids) == 3
    assert {row["baseQty"] for row in rows} == {
        f"{1000 / (Decimal(100_000) + coinm.listing.tick):.8f}"
    }
    assert coinm.v1("GET", "userTrades", pair="BTCUSD", symbol=coinm.symbol)["code"] == -1128
    assert (
        coinm.v1("GET", "userTrades", symbol=coinm.symbol, fromId=1, startTime=1)["code"] == -1128
    )
    newer = coinm.v1("GET", "userTrades", symbol=coinm.symbol, fromId=ids[1])
    assert [row["id"] for row in newer] == ids[1:]
    long = {"startTime": START_MS, "endTime": START_MS + 8 * 86_400_000}
    assert coinm.v1("GET", "userTrades", symbol=coinm.symbol, **long)["code"] == -4165


def test_a_liquidation_is_told_as_calculated_under_an_id_of_the_exchanges(
    futures: Futures,
) -> None:
    futures.new()
    futures.heard()
    account = futures.venue.desk.accounts[f"emulator/{futures.category}"]
    futures.venue.desk.liquidate(account, futures.listing)
    [fill] = futures.updates()
    assert (fill["x"], fill["o"], "n" in fill) == ("CALCULATED", "LIQUIDATION", False)
    assert fill["c"].startswith("autoclose-")
    rows = futures.v1("GET", "userTrades", symbol=futures.symbol)
    assert rows[-1]["id"] == fill["t"]


def test_wallets_of_spot_usdm_and_coinm_are_apart() -> None:
    venue = exchange()
    usdm, coinm = Futures(venue, USDM), Futures(venue, COINM)
    still(usdm)
    usdm.new()
    spot = usdm.ask("GET", "/api/v3/account")["balances"]
    assert {row["free"] for row in spot if row["asset"] == "USDT"} == {"1000000.00000000"}
    [row] = [each for each in coinm.v1("GET", "balance") if each["asset"] == "USDT"]
    assert Decimal(row["balance"]) == 1_000_000
    [row] = [each for each in usdm.ask("GET", "/fapi/v3/balance") if each["asset"] == "USDT"]
    assert Decimal(row["availableBalance"]) < Decimal(row["balance"]) < 1_000_000


def test_orders_of_both_kinds_of_contracts_are_counted_together() -> None:
    venue = exchange(order_limit_factor=1.0, weight_limits=None)
    usdm, coinm = Futures(venue, USDM), Futures(venue, COINM)
    usdm.new(price="50000")
    coinm.new(price="50000")
    assert coinm.headers["X-MBX-ORDER-COUNT-10S"] == "2"
    assert coinm.headers["X-MBX-ORDER-COUNT-1M"] == "2"


def test_steps_are_those_of_the_list_of_now(futures: Futures) -> None:
    tick = futures.listing.tick
    futures.venue.change(futures.listing, tick=tick * 10)
    price = 50_000 + tick
    assert futures.refused(price=f"{price:f}") == (400, -4014)
    futures.new(price=f"{price + 9 * tick:f}")


def test_the_average_price_of_coinm_is_the_harmonic_one(futures: Futures) -> None:
    size = Decimal(futures.about["quantity"])
    prices = Decimal(100_000), Decimal(150_000)
    bids = [(Decimal(99_000), size)]
    futures.venue.steer(futures.listing, bids=bids, asks=[(each, size / 2) for each in prices])
    order = futures.new()
    row = futures.v1("GET", "order", symbol=futures.symbol, orderId=order["orderId"])
    mean = Decimal(125_000) if futures.host == USDM else Decimal(120_000)
    assert Decimal(row["avgPrice"]) == mean
    last = [each for each in futures.updates() if each["x"] == "TRADE"][-1]
    assert Decimal(last["ap"]) == mean
