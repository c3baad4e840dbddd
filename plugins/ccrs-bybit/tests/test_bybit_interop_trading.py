"""Bybit's official Python client trades on the emulator: over REST and over the trade socket, and
hears of it on the private one."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from bybit_served import Served

from ccrs_core.emulator import EmulatorServer

unified_trading = pytest.importorskip("pybit.unified_trading")
streams = pytest.importorskip("pybit._websocket_trading")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.sockets,
]

_PATIENCE = 15.0
KEYS = {"api_key": "emulator", "api_secret": "emulator"}
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


@pytest.fixture(scope="module")
def server() -> Iterator[EmulatorServer]:
    # pybit notes what it has sent after sending it: an answer mustn't be quicker than that.
    slow = "seconds=0.05,path=/v5/"
    with Served(f"slow_ack,{slow}private", f"slow_answer,{slow}trade") as running:
        yield running


@pytest.fixture
def http(server: EmulatorServer) -> Iterator[Any]:
    session = unified_trading.HTTP(testnet=False, recv_window=60_000, **KEYS)
    session.endpoint = server.url
    yield session
    session.client.close()


class Heard:
    """What a callback was called with."""

    def __init__(self) -> None:
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.rows: list[dict[str, Any]] = []

    def __call__(self, message: dict[str, Any]) -> None:
        self._messages.put(message)

    def one(self) -> dict[str, Any]:
        return self._messages.get(timeout=_PATIENCE)

    def until(self, want: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first row of which something is true."""
        while True:
            found = [row for row in self.one()["data"] if want(row)]
            if found:
                return found[0]


@pytest.fixture
def private(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(unified_trading, "PRIVATE_WSS", f"{server.ws_url}/v5/private")
    # A machine under load may need more than the second that pybit leaves by itself.
    login = {**KEYS, "private_auth_expire": 60}
    socket = unified_trading.WebSocket(testnet=False, channel_type="private", **login)
    yield socket
    socket.exit()


@pytest.fixture
def entry(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(streams, "TRADE_WSS", f"{server.ws_url}/v5/trade")
    more = {"recv_window": 60_000, "private_auth_expire": 60}
    socket = unified_trading.WebSocketTrading(testnet=False, **more, **KEYS)
    yield socket
    socket.exit()


def eventually(ask: Callable[[], Any]) -> Any:
    """What is asked for, as soon as there is any."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        found = ask()
        if found:
            return found
    raise AssertionError("it never came")


def best(http: Any) -> tuple[Decimal, Decimal]:
    book = http.get_orderbook(**LINEAR, limit=1)["result"]
    return Decimal(book["b"][0][0]), Decimal(book["a"][0][0])


def test_pybit_places_amends_lists_and_cancels_over_rest(http: Any) -> None:
    price = f"{best(http)[0] * Decimal('0.995'):.1f}"
    placed = http.place_order(
        **LINEAR, side="Buy", orderType="Limit", qty="0.01", price=price, orderLinkId="rest-1"
    )["result"]
    assert placed["orderLinkId"] == "rest-1"

    def listed() -> Any:
        return http.get_open_orders(**LINEAR, orderLinkId="rest-1")["result"]["list"]

    [row] = eventually(listed)
    assert (row["orderStatus"], row["orderId"]) == ("New", placed["orderId"])
    http.amend_order(**LINEAR, orderId=placed["orderId"], qty="0.02")
    eventually(lambda: listed()[0]["qty"] == "0.020")
    http.cancel_order(**LINEAR, orderLinkId="rest-1")
    eventually(lambda: listed()[0]["orderStatus"] == "Cancelled")
    [past] = http.get_order_history(**LINEAR, orderId=placed["orderId"])["result"]["list"]
    assert past["cancelType"] == "CancelByUser"


def test_pybit_hears_of_orders_fills_positions_and_money(http: Any, private: Any) -> None:
    orders, fills, positions, wallets = Heard(), Heard(), Heard(), Heard()
    private.order_stream(orders)
    private.execution_stream(fills)
    private.position_stream(positions)
    private.wallet_stream(wallets)
    order_id = http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.01")["result"][
        "orderId"
    ]
    filled = orders.until(lambda row: row["orderStatus"] == "Filled")
    assert filled["orderId"] == order_id
    assert Decimal(filled["cumExecQty"]) == Decimal("0.01")
    fill = fills.until(lambda row: row["orderId"] == order_id)
    assert (fill["execType"], fill["isMaker"]) == ("Trade", False)
    held = positions.until(lambda row: Decimal(row["size"]) > 0)
    assert held["side"] == "Buy"
    assert wallets.one()["data"][0]["coin"][0]["coin"] == "USDT"
    [row] = http.get_positions(**LINEAR)["result"]["list"]
    assert Decimal(row["size"]) >= Decimal("0.01")
    listed = http.get_executions(**LINEAR, orderId=order_id)["result"]["list"]
    assert sum(Decimal(each["execQty"]) for each in listed) == Decimal("0.01")


def test_pybit_enters_orders_over_the_socket(http: Any, entry: Any, private: Any) -> None:
    orders, answers, refusals = Heard(), Heard(), Heard()
    private.order_stream(orders)
    price = f"{best(http)[0] * Decimal('0.995'):.1f}"
    terms = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": price}
    entry.place_order(answers, refusals, **LINEAR, **terms, orderLinkId="ws-1")
    answer = answers.one()
    assert (answer["op"], answer["data"]["orderLinkId"]) == ("order.create", "ws-1")
    assert answer["header"]["X-Bapi-Limit"] == "10"
    order_id = answer["data"]["orderId"]
    orders.until(lambda row: row["orderId"] == order_id and row["orderStatus"] == "New")
    entry.amend_order(answers, refusals, **LINEAR, orderId=order_id, qty="0.03")
    assert answers.one()["op"] == "order.amend"
    orders.until(lambda row: Decimal(row["qty"]) == Decimal("0.03"))
    entry.cancel_order(answers, refusals, **LINEAR, orderId=order_id)
    assert answers.one()["op"] == "order.cancel"
    orders.until(lambda row: row["orderStatus"] == "Cancelled")
    entry.cancel_order(answers, refusals, **LINEAR, orderId="nothing")
    assert refusals.one()["retCode"] == 110001
    request = [{"symbol": "BTCUSDT", **terms}, {"symbol": "BTCUSDT", **terms, "qty": "0.0001"}]
    entry.place_batch_order(answers, refusals, category="linear", request=request)
    batch = answers.one()
    assert [each["code"] for each in batch["retExtInfo"]["list"]] == [0, 10001]
    canceled = http.cancel_all_orders(**LINEAR)["result"]
    assert canceled["success"] == "1"


def test_pybit_reads_and_sets_an_account(http: Any) -> None:
    wallet = http.get_wallet_balance(accountType="UNIFIED", coin="USDT")["result"]["list"][0]
    assert Decimal(wallet["coin"][0]["walletBalance"]) > 900_000
    assert http.get_account_info()["result"]["marginMode"] == "REGULAR_MARGIN"
    rates = http.get_fee_rates(**LINEAR)["result"]["list"]
    assert Decimal(rates[0]["takerFeeRate"]) > 0
    assert http.get_api_key_information()["result"]["readOnly"] == 0
    assert http.get_transaction_log()["result"]["list"]
    http.set_leverage(**LINEAR, buyLeverage="7", sellLeverage="7")
    [row] = http.get_positions(**LINEAR)["result"]["list"]
    assert row["leverage"] == "7"


def test_pybit_understands_refusals_of_accounts(server: EmulatorServer, http: Any) -> None:
    from pybit.exceptions import InvalidRequestError

    with pytest.raises(InvalidRequestError) as caught:
        http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.0001")
    assert caught.value.status_code == 10001
    with pytest.raises(InvalidRequestError, match="ab not enough") as caught:
        http.place_order(**LINEAR, side="Buy", orderType="Limit", qty="1000", price="100000")
    assert caught.value.status_code == 110007
    forged = unified_trading.HTTP(testnet=False, api_key="emulator", api_secret="wrong")
    forged.endpoint = server.url
    with pytest.raises(InvalidRequestError, match="error sign!"):
        forged.get_account_info()
    forged.client.close()
