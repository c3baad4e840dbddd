"""Listen keys of the emulated Binance's contracts, the sockets that bring their events, and their
WebSocket APIs."""

from __future__ import annotations

import pytest
from binance_trader import Socket, Trader, dialect, exchange, of, pass_time

KEY = "/fapi/v1/listenKey"
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}


def test_a_key_is_one_until_it_ends_and_lasts_an_hour_from_its_last_renewal() -> None:
    venue = exchange()
    trader = Trader(venue)
    key = trader.keyed("POST", KEY)["listenKey"]
    assert len(key) == 64
    assert trader.keyed("POST", KEY)["listenKey"] == key
    for _ in range(3):
        pass_time(venue, 3000.0)
        assert trader.keyed("PUT", KEY)["listenKey"] == key
    socket = Socket(venue, "/fstream/private/ws", listenKey=key)
    assert socket.heard() == []
    dialect(venue).trading.listen_keys.expire("usdm", "emulator/usdm")
    [event] = socket.heard()
    assert (event["e"], event["listenKey"]) == ("listenKeyExpired", key)
    assert not socket.peer.open
    assert trader.keyed("PUT", KEY)["code"] == -1125
    assert trader.keyed("POST", KEY)["listenKey"] != key


def test_a_key_that_is_not_renewed_ends_after_an_hour() -> None:
    venue = exchange()
    trader = Trader(venue)
    key = trader.keyed("POST", KEY)["listenKey"]
    pass_time(venue, 3599.0)
    assert trader.keyed("PUT", KEY)["listenKey"] == key
    pass_time(venue, 3600.5)
    assert trader.keyed("PUT", KEY)["code"] == -1125


def test_a_key_that_is_given_up_silences_its_sockets() -> None:
    venue = exchange()
    trader = Trader(venue)
    key = trader.keyed("POST", KEY)["listenKey"]
    socket = Socket(venue, f"/fstream/private/ws/{key}")
    assert trader.keyed("DELETE", KEY) == {}
    trader.ask("POST", "/fapi/v1/order", **ORDER)
    assert socket.heard() == []
    assert socket.peer.open


@pytest.mark.parametrize("path", ["/fstream/ws", "/fstream/private/ws", "/dstream/private/ws"])
def test_a_key_that_is_none_or_at_the_wrong_place_brings_nothing(path: str) -> None:
    venue = exchange()
    trader = Trader(venue)
    key = trader.keyed("POST", KEY)["listenKey"]
    wrong = "A" * 64 if path == "/fstream/private/ws" else key
    socket = Socket(venue, f"{path}/{wrong}")
    trader.ask("POST", "/fapi/v1/order", **ORDER)
    assert socket.heard() == []


def test_events_may_be_chosen_and_name_their_key_where_streams_are_combined() -> None:
    venue = exchange()
    trader = Trader(venue)
    key = trader.keyed("POST", KEY)["listenKey"]
    chosen = {"listenKey": key, "events": "ORDER_TRADE_UPDATE/ACCOUNT_CONFIG_UPDATE"}
    few = Socket(venue, "/fstream/private/ws", **chosen)
    all_of_them = Socket(venue, "/fstream/private/stream", listenKey=key)
    trader.ask("POST", "/fapi/v1/order", **ORDER)
    assert {event["e"] for event in few.heard()} == {"ORDER_TRADE_UPDATE"}
    frames = all_of_them.heard()
    assert {frame["stream"] for frame in frames} == {key}
    kinds = {frame["data"]["e"] for frame in frames}
    assert kinds == {"ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE"}


@pytest.mark.parametrize(
    ("route", "path"),
    [("ws", "/dstream/ws"), ("private", "/dstream/private/ws"), ("auth", "/dstream-auth/ws")],
)
def test_coinms_events_come_by_one_of_the_contested_paths_alone(route: str, path: str) -> None:
    venue = exchange(coinm_user_route=route)
    trader = Trader(venue)
    key = trader.keyed("POST", "/dapi/v1/listenKey")["listenKey"]
    paths = ("/dstream/ws", "/dstream/private/ws", "/dstream-auth/ws")
    sockets = {each: Socket(venue, f"{each}/{key}") for each in paths}
    trader.ask("POST", "/dapi/v1/leverage", symbol="BTCUSD_PERP", leverage=20)
    spoke = [each for each, socket in sockets.items() if socket.heard()]
    assert spoke == [path]


def test_kinds_of_events_are_not_ordered_against_each_other_but_each_is_in_itself() -> None:
    firsts = set()
    for seed in range(14):
        venue = exchange(seed)
        trader = Trader(venue)
        key = trader.keyed("POST", KEY)["listenKey"]
        socket = Socket(venue, f"/fstream/private/ws/{key}")
        trader.ask("POST", "/fapi/v1/order", **ORDER)
        events = socket.heard()
        firsts.add(events[0]["e"])
        assert [e["o"]["x"] for e in of(events, "ORDER_TRADE_UPDATE")] == ["NEW", "TRADE"]
        times = [event["E"] for event in events]
        assert times == sorted(times)
    assert firsts == {"ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE"}


def test_contracts_have_a_websocket_api_of_their_own() -> None:
    venue = exchange(weight_limits=None)
    socket = Socket(venue, "/ws-fapi/v1")
    placed = socket.ask("order.place", **ORDER, newOrderRespType="RESULT")
    assert placed["result"]["status"] == "FILLED"
    weight, ten_seconds, minute = placed["rateLimits"]
    assert (weight["limit"], weight["count"]) == (-1, -1)
    assert (ten_seconds["intervalNum"], minute["interval"]) == (10, "MINUTE")
    resting = socket.ask(
        "order.place", **{**ORDER, "type": "LIMIT"}, timeInForce="GTC", price="50000"
    )["result"]
    about = {"symbol": "BTCUSDT", "orderId": resting["orderId"]}
    changed = socket.ask("order.modify", **about, side="BUY", quantity="0.02", price="50001")
    assert changed["result"]["origQty"] == "0.020"
    assert socket.ask("order.status", **about)["result"]["status"] == "NEW"
    assert socket.ask("order.cancel", **about)["result"]["status"] == "CANCELED"
    assert socket.ask("order.cancel", **about)["error"]["code"] == -2011
    key = socket.ask("userDataStream.start", signed=False, apiKey="emulator")["result"]["listenKey"]
    assert Socket(venue, f"/fstream/private/ws/{key}").peer.open
    assert socket.ask("userDataStream.subscribe", signed=False)["error"]["code"] == -1099
    [position] = [
        row for row in socket.ask("v2/account.position")["result"] if row["symbol"] == "BTCUSDT"
    ]
    assert position["positionAmt"] == "0.010"
    coins = Socket(venue, "/ws-dapi/v1")
    contract = {"symbol": "BTCUSD_PERP", "side": "BUY", "type": "MARKET", "quantity": "1"}
    assert coins.ask("order.place", **contract)["result"]["pair"] == "BTCUSD"


def test_a_socket_for_events_says_which_stream_it_brings_and_takes_ten_messages_a_second() -> None:
    venue = exchange()
    key = Trader(venue).keyed("POST", KEY)["listenKey"]
    socket = Socket(venue, f"/fstream/private/ws/{key}")
    answer = socket.ask("LIST_SUBSCRIPTIONS", signed=False)
    assert answer == {"result": [key], "id": 1}
    assert socket.ask("nonsense", signed=False)["error"]["code"] == 2
    for _ in range(9):
        socket.send({"method": "LIST_SUBSCRIPTIONS", "id": 5})
    assert not socket.peer.open
