"""python-binance, which nobody here wrote, gets from the emulator what it expects of Binance."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ccrs_binance.emulator import BinanceDialect

from ccrs_core.emulator import EmulatorServer

binance = pytest.importorskip("binance")

pytestmark = [pytest.mark.interop, pytest.mark.sockets]

_PATIENCE = 15.0


async def _sockets(client: Any, url: str) -> dict[str, Any]:
    """The first message of each of its sockets."""
    manager = binance.BinanceSocketManager(client)
    found = {}
    for name in ("trade_socket", "depth_socket", "kline_socket", "symbol_ticker_socket"):
        socket = getattr(manager, name)("BTCUSDT")
        socket._url = f"{url}/"
        async with socket as stream:
            found[name] = await asyncio.wait_for(stream.recv(), _PATIENCE)
    return found


def test_python_binance_gets_coin_margined_futures() -> None:
    async def main() -> None:
        async with EmulatorServer(BinanceDialect(), seed=5) as server:
            client = binance.AsyncClient()
            client.FUTURES_COIN_URL = f"{server.url}/dapi"
            manager = binance.BinanceSocketManager(client)
            manager.DSTREAM_URL = f"{server.ws_url}/dstream/"
            try:
                info = await client.futures_coin_exchange_info()
                sizes = {each["symbol"]: each["contractSize"] for each in info["symbols"]}
                assert sizes["BTCUSD_PERP"] == 100
                book = await client.futures_coin_order_book(symbol="BTCUSD_PERP", limit=5)
                assert len(book["bids"]) == len(book["asks"]) == 5
                (ticker,) = await client.futures_coin_orderbook_ticker(symbol="BTCUSD_PERP")
                assert ticker["pair"] == "BTCUSD"
                candles = await client.futures_coin_klines(symbol="BTCUSD_PERP", interval="1m")
                assert len(candles) == 500
                streams = ["btcusd_perp@depth@100ms", "btcusd_perp@aggTrade"]
                kind = binance.enums.FuturesType.COIN_M
                found = set()
                async with manager.futures_multiplex_socket(streams, kind) as stream:
                    while found != set(streams):
                        message = await asyncio.wait_for(stream.recv(), _PATIENCE)
                        found.add(message["stream"])
                        assert message["data"]["s"] == "BTCUSD_PERP"
            finally:
                await client.close_connection()

    asyncio.run(main())


def test_python_binance_gets_instruments_books_trades_and_streams() -> None:
    async def main() -> None:
        async with EmulatorServer(BinanceDialect(), seed=5) as server:
            client = binance.AsyncClient()
            client.API_URL = f"{server.url}/api"
            client.FUTURES_URL = f"{server.url}/fapi"
            try:
                info = await client.get_exchange_info()
                assert "BTCUSDT" in {each["symbol"] for each in info["symbols"]}
                found = await _sockets(client, server.url.replace("http", "ws"))
                book = await client.get_order_book(symbol="BTCUSDT", limit=10)
                assert len(book["bids"]) == len(book["asks"]) == 10
                assert float(book["bids"][0][0]) < float(book["asks"][0][0])
                trades = await client.get_recent_trades(symbol="BTCUSDT")
                assert found["trade_socket"]["t"] in {trade["id"] for trade in trades}
                candles = await client.get_klines(symbol="BTCUSDT", interval="1m", limit=3)
                assert len(candles) == 3
                futures = await client.futures_order_book(symbol="BTCUSDT", limit=5)
                assert len(futures["bids"]) == 5
                with pytest.raises(binance.exceptions.BinanceAPIException) as refused:
                    await client.get_order_book(symbol="NOSUCH")
                assert refused.value.code == -1121
            finally:
                await client.close_connection()
            kinds = [found[name]["e"] for name in found]
            assert kinds == ["trade", "depthUpdate", "kline", "24hrTicker"]

    asyncio.run(main())
