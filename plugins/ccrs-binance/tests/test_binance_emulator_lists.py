"""Lists of orders of the emulated Binance's spot accounts: one or the other, one after another."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from binance_trader import Socket, Trader, exchange, of

from ccrs_core.emulator import EmulatedExchange

BTC = {"symbol": "BTCUSDT"}
LIST = "/api/v3/orderList"


class Lists(Trader):
    """Asks for lists, and hears of them."""

    def __init__(self, venue: EmulatedExchange) -> None:
        super().__init__(venue)
        self.listing = venue.listings["spot", "BTCUSDT"]
        self.last(100_000)
        self.socket = Socket(venue)
        self.socket.listen()

    def last(self, price: int, *, size: str = "50") -> None:
        """Let the market stand still there."""
        value, lots = Decimal(price), Decimal(size)
        self.venue.steer(self.listing, bids=(), asks=())
        levels = {"bids": [(value, lots)], "asks": [(value + 1, lots)]}
        self.venue.steer(self.listing, **levels, last_price=value)

    def oco(self, side: str = "SELL", **more: Any) -> dict[str, Any]:
        terms = {
            "aboveType": "LIMIT_MAKER",
            "abovePrice": "110000",
            "belowType": "STOP_LOSS",
            "belowStopPrice": "90000",
        }
        found = self.ask("POST", f"{LIST}/oco", **BTC, side=side, quantity="12", **terms | more)
        assert self.status == 200, found
        return dict(found)

    def otoco(self, **more: Any) -> dict[str, Any]:
        terms = {
            "workingType": "LIMIT",
            "workingSide": "BUY",
            "workingPrice": "95000",
            "workingQuantity": "1",
            "workingTimeInForce": "GTC",
            "pendingSide": "SELL",
            "pendingQuantity": "0.9",
            "pendingAboveType": "LIMIT_MAKER",
            "pendingAbovePrice": "110000",
            "pendingBelowType": "STOP_LOSS",
            "pendingBelowStopPrice": "90000",
        }
        found = self.ask("POST", f"{LIST}/otoco", **BTC, **terms | more)
        assert self.status == 200, found
        return dict(found)

    def told(self) -> tuple[list[tuple[str, str]], list[str]]:
        """What was told of orders, and of lists."""
        events = self.socket.heard()
        orders = [(event["x"], event["X"]) for event in of(events, "executionReport")]
        return orders, [event["l"] for event in of(events, "listStatus")]

    def open(self) -> list[str]:
        return [row["status"] for row in self.ask("GET", "/api/v3/openOrders", **BTC)]

    def free(self, asset: str) -> Decimal:
        rows = self.ask("GET", "/api/v3/account")["balances"]
        return Decimal(next(row["free"] for row in rows if row["asset"] == asset))


@pytest.fixture
def lists() -> Lists:
    return Lists(exchange())


def test_one_or_the_other_locks_what_it_needs_once(lists: Lists) -> None:
    answer = lists.oco()
    assert (answer["contingencyType"], answer["listOrderStatus"]) == ("OCO", "EXECUTING")
    assert [row["type"] for row in answer["orderReports"]] == ["LIMIT_MAKER", "STOP_LOSS"]
    assert {row["orderListId"] for row in answer["orderReports"]} == {answer["orderListId"]}
    assert lists.free("BTC") == 8
    assert lists.told() == ([("NEW", "NEW"), ("NEW", "NEW")], ["EXEC_STARTED"])
    assert lists.open() == ["NEW", "NEW"]
    [open_one] = lists.ask("GET", "/api/v3/openOrderList")
    assert open_one["orders"] == answer["orders"]


def test_the_one_that_is_filled_ends_the_other(lists: Lists) -> None:
    answer = lists.oco()
    lists.told()
    lists.last(110_002)
    orders, told = lists.told()
    assert ("TRADE", "FILLED") in orders
    assert ("EXPIRED", "EXPIRED") in orders
    assert told == ["ALL_DONE"]
    assert lists.open() == []
    row = lists.ask("GET", LIST, orderListId=answer["orderListId"])
    assert row["listOrderStatus"] == "ALL_DONE"
    assert lists.free("BTC") == 8
    assert lists.ask("GET", "/api/v3/openOrderList") == []


def test_the_one_that_is_triggered_ends_the_other_and_has_its_money(lists: Lists) -> None:
    lists.oco()
    lists.told()
    lists.last(90_000)
    orders, told = lists.told()
    assert orders[0] == ("EXPIRED", "EXPIRED")
    assert orders[-1] == ("TRADE", "FILLED")
    assert told == ["ALL_DONE"]
    assert lists.free("BTC") == 8


def test_a_part_of_one_is_enough_to_end_the_other(lists: Lists) -> None:
    lists.oco()
    lists.told()
    lists.last(110_002, size="5")
    assert ("TRADE", "PARTIALLY_FILLED") in lists.told()[0]
    assert lists.open() == ["PARTIALLY_FILLED"]


@pytest.mark.parametrize("how", ["list", "order", "all"])
def test_canceling_one_cancels_both(lists: Lists, how: str) -> None:
    answer = lists.oco()
    lists.told()
    if how == "list":
        gone = lists.ask("DELETE", LIST, **BTC, orderListId=answer["orderListId"])
        assert gone["listOrderStatus"] == "ALL_DONE"
        assert [row["status"] for row in gone["orderReports"]] == ["CANCELED", "CANCELED"]
    elif how == "order":
        number = answer["orders"][1]["orderId"]
        gone = lists.ask("DELETE", "/api/v3/order", **BTC, orderId=number)
        assert (gone["orderId"], gone["status"]) == (number, "CANCELED")
    else:
        [gone] = lists.ask("DELETE", "/api/v3/openOrders", **BTC)
        assert len(gone["orderReports"]) == 2
    assert lists.told() == ([("CANCELED", "CANCELED")] * 2, ["ALL_DONE"])
    assert lists.free("BTC") == 20
    again = lists.ask("DELETE", LIST, **BTC, orderListId=answer["orderListId"])
    assert again["code"] == -2011


def test_what_waits_for_another_order_is_placed_once_that_is_filled(lists: Lists) -> None:
    answer = lists.otoco()
    states = [row["status"] for row in answer["orderReports"]]
    assert states == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    ids = [row["orderId"] for row in answer["orders"]]
    assert lists.open() == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    assert lists.told() == (
        [("NEW", "PENDING_NEW"), ("NEW", "PENDING_NEW"), ("NEW", "NEW")],
        ["EXEC_STARTED"],
    )
    pending = lists.ask("GET", "/api/v3/order", **BTC, orderId=ids[1])
    assert (pending["status"], pending["isWorking"]) == ("PENDING_NEW", False)
    lists.last(94_990)
    orders, told = lists.told()
    assert orders == [("TRADE", "FILLED"), ("NEW", "NEW"), ("NEW", "NEW")]
    assert told == ["UPDATED"]
    rows = lists.ask("GET", "/api/v3/openOrders", **BTC)
    assert [row["orderId"] for row in rows] == ids[1:]
    lists.last(110_002)
    assert lists.told()[1] == ["ALL_DONE"]
    assert lists.open() == []


def test_what_waits_goes_with_the_order_that_it_waits_for(lists: Lists) -> None:
    answer = lists.otoco()
    lists.told()
    number = answer["orders"][0]["orderId"]
    assert lists.ask("DELETE", "/api/v3/order", **BTC, orderId=number)["status"] == "CANCELED"
    orders, told = lists.told()
    assert orders == [("CANCELED", "CANCELED")] * 3
    assert told == ["ALL_DONE"]
    gone = lists.ask("GET", "/api/v3/order", **BTC, orderId=answer["orders"][1]["orderId"])
    assert gone["status"] == "CANCELED"


def test_what_waits_expires_where_the_first_order_does(lists: Lists) -> None:
    lists.otoco(workingTimeInForce="IOC")
    orders, told = lists.told()
    assert orders[-2:] == [("EXPIRED", "EXPIRED")] * 2
    assert told == ["EXEC_STARTED", "ALL_DONE"]
    assert lists.open() == []


def test_a_first_order_that_fills_at_once_brings_the_second_to_life(lists: Lists) -> None:
    terms = {
        "workingType": "LIMIT",
        "workingSide": "BUY",
        "workingPrice": "100500",
        "workingQuantity": "1",
        "workingTimeInForce": "GTC",
        "pendingType": "LIMIT",
        "pendingSide": "SELL",
        "pendingPrice": "110000",
        "pendingQuantity": "0.9",
        "pendingTimeInForce": "GTC",
    }
    answer = lists.ask("POST", f"{LIST}/oto", **BTC, **terms)
    assert [row["status"] for row in answer["orderReports"]] == ["FILLED", "NEW"]
    assert lists.open() == ["NEW"]


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"abovePrice": "80000"}, -2010),
        ({"aboveType": "STOP_LOSS", "aboveStopPrice": "110000"}, -1106),
        ({"quantity": "30"}, -2010),
        ({"belowStopPrice": "101000"}, -2010),
        ({"aboveType": "NONE"}, -1116),
        ({"listClientOrderId": "a b"}, -1100),
    ],
)
def test_lists_that_cannot_be_leave_nothing(lists: Lists, terms: dict[str, str], code: int) -> None:
    values = {
        **BTC,
        "side": "SELL",
        "quantity": "1",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "110000",
        "belowType": "STOP_LOSS",
        "belowStopPrice": "90000",
        **terms,
    }
    answer = lists.ask("POST", f"{LIST}/oco", **values)
    assert (lists.status, answer["code"]) == (400, code)
    assert lists.open() == []
    assert lists.ask("GET", "/api/v3/openOrderList") == []
    assert lists.told() == ([], [])
