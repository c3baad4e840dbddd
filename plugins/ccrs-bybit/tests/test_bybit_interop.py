"""Bybit's official Python client, pointed at the emulator, gets what it expects of Bybit."""

from __future__ import annotations

import copy
import queue
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from bybit_served import Served

from ccrs_core.emulator import EmulatorServer

unified_trading = pytest.importorskip("pybit.unified_trading")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.sockets,
]

_PATIENCE = 15.0


@pytest.fixture(scope="module")
def server() -> Iterator[EmulatorServer]:
    with Served() as running:
        yield running


@pytest.fixture
def http(server: EmulatorServer) -> Iterator[Any]:
    session = unified_trading.HTTP(testnet=False)
    session.endpoint = server.url
    yield session
    session.client.close()


def kept(messages: queue.Queue[dict[str, Any]]) -> Callable[[dict[str, Any]], None]:
    """A callback that keeps messages as they are now: pybit goes on changing its books and tickers
    in its own thread."""
    return lambda message: messages.put(copy.deepcopy(message))


def stream(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch, category: str) -> Any:
    url = f"{server.ws_url}/v5/public/{{CHANNEL_TYPE}}"
    monkeypatch.setattr(unified_trading, "PUBLIC_WSS", url)
    return unified_trading.WebSocket(testnet=False, channel_type=category, retries=3)


@pytest.mark.parametrize(
    ("category", "symbol", "depth"),
    [("spot", "BTCUSDT", 50), ("linear", "ETHUSDT", 200), ("inverse", "BTCUSD", 50)],
)
def test_pybit_assembles_an_order_book(
    server: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    category: str,
    symbol: str,
    depth: int,
) -> None:
    books: queue.Queue[dict[str, Any]] = queue.Queue()
    socket = stream(server, monkeypatch, category)
    try:
        socket.orderbook_stream(depth, symbol, kept(books))
        numbers = []
        for _ in range(25):
            message = books.get(timeout=_PATIENCE)
            data = message["data"]
            bids, asks = data["b"], data["a"]
            numbers.append(data["u"])
            assert len(bids) == len(asks) == depth
            assert max(Decimal(p) for p, _ in bids) < min(Decimal(p) for p, _ in asks)
        assert numbers == list(range(numbers[0], numbers[0] + 25))
    finally:
        socket.exit()


def test_pybit_receives_trades_tickers_and_candles(
    server: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trades: queue.Queue[dict[str, Any]] = queue.Queue()
    tickers: queue.Queue[dict[str, Any]] = queue.Queue()
    candles: queue.Queue[dict[str, Any]] = queue.Queue()
    socket = stream(server, monkeypatch, "linear")
    try:
        socket.trade_stream("BTCUSDT", kept(trades))
        socket.ticker_stream("BTCUSDT", kept(tickers))
        socket.kline_stream(1, "BTCUSDT", kept(candles))
        for _ in range(5):
            for trade in trades.get(timeout=_PATIENCE)["data"]:
                assert trade["s"] == "BTCUSDT"
                assert trade["S"] in {"Buy", "Sell"}
            # pybit itself puts snapshot and deltas together.
            assert Decimal(tickers.get(timeout=_PATIENCE)["data"]["markPrice"]) > 0
        assert candles.get(timeout=_PATIENCE)["data"][0]["interval"] == "1"
    finally:
        socket.exit()


def test_pybit_lists_instruments_page_by_page(http: Any) -> None:
    symbols: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        arguments = {"cursor": cursor} if cursor else {}
        result = http.get_instruments_info(category="linear", limit=200, **arguments)["result"]
        symbols += [row["symbol"] for row in result["list"]]
        cursor = result["nextPageCursor"] or None
        pages += 1
    assert pages == 3
    assert len(set(symbols)) == len(symbols) > 500


def test_pybit_reads_the_rest_of_the_market_data(http: Any) -> None:
    asked = {"category": "linear", "symbol": "BTCUSDT"}
    assert int(http.get_server_time()["result"]["timeNano"]) > 0
    candles = http.get_kline(**asked, interval=60, limit=10)["result"]["list"]
    assert len(candles) == 10
    assert all(len(candle) == 7 for candle in candles)
    book = http.get_orderbook(**asked, limit=50)["result"]
    assert (len(book["b"]), len(book["a"])) == (50, 50)
    assert http.get_tickers(**asked)["result"]["list"][0]["symbol"] == "BTCUSDT"
    assert len(http.get_funding_rate_history(**asked, limit=10)["result"]["list"]) == 10
    assert http.get_public_trade_history(**asked)["result"]["category"] == "linear"


def test_pybit_understands_a_refusal(http: Any) -> None:
    from pybit.exceptions import InvalidRequestError

    with pytest.raises(InvalidRequestError, match="Not supported symbols") as caught:
        http.get_kline(category="linear", symbol="NOPEUSDT", interval=1)
    assert caught.value.status_code == 10001
