"""python-binance and ccxt, which nobody here wrote, trade on the emulator as on Binance: over REST
and the WebSocket APIs, on spot and contracts, and hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from ccrs_binance.emulator import BinanceDialect

from ccrs_core.emulator import EmulatorServer

binance = pytest.importorskip("binance")

pytestmark = [pytest.mark.interop, pytest.mark.sockets]

_PATIENCE = 15.0
_KEYS = {"api_key": "emulator", "api_secret": "emulator"}


@asynccontextmanager
async def clients() -> AsyncIterator[tuple[Any, Any]]:
    """python-binance's client and its sockets, of an emulator of their own."""
    async with EmulatorServer(BinanceDialect(), seed=5) as server:
        client = binance.AsyncClient(**_KEYS)
        client.API_URL = f"{server.url}/api"
        client.FUTURES_URL = f"{server.url}/fapi"
        client.FUTURES_COIN_URL = f"{server.url}/dapi"
        client.ws_api._url = f"{server.ws_url}/ws-api/v3"
        client.ws_future._url = f"{server.ws_url}/ws-fapi/v1"
        client.ws_api.TIMEOUT = 0.2  # so long it waits, when it is closed, for one more message
        manager = binance.BinanceSocketManager(client)
        manager.FSTREAM_URL = f"{server.ws_url}/fstream/"
        manager.DSTREAM_URL = f"{server.ws_url}/dstream/"
        try:
            yield client, manager
        finally:
            await client.close_connection()


async def until(stream: Any, want: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The first message of which something is true."""
    while True:
        message: dict[str, Any] = await asyncio.wait_for(stream.recv(), _PATIENCE)
        if want(message):
            return message


def test_python_binance_trades_on_spot_and_hears_of_it() -> None:
    async def main() -> None:
        async with clients() as (client, manager), manager.user_socket() as stream:
            resting = await client.create_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                quantity="0.01",
                price="50000",
            )
            heard = await until(stream, lambda m: m["e"] == "executionReport")
            assert (heard["i"], heard["x"]) == (resting["orderId"], "NEW")
            [row] = await client.get_open_orders(symbol="BTCUSDT")
            assert row["orderId"] == resting["orderId"]
            replaced = await client.cancel_replace_order(
                symbol="BTCUSDT",
                side="BUY",
                type="LIMIT",
                timeInForce="GTC",
                quantity="0.01",
                price="50001",
                cancelReplaceMode="STOP_ON_FAILURE",
                cancelOrderId=resting["orderId"],
            )
            assert replaced["newOrderResult"] == "SUCCESS"
            gone = await client.cancel_order(
                symbol="BTCUSDT", orderId=replaced["newOrderResponse"]["orderId"]
            )
            assert gone["status"] == "CANCELED"
            await until(stream, lambda m: m.get("x") == "CANCELED")
            bought = await client.ws_create_order(
                symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01"
            )
            assert bought["status"] == "FILLED"
            fill = await until(stream, lambda m: m.get("x") == "TRADE")
            assert fill["i"] == bought["orderId"]
            [trade] = await client.get_my_trades(symbol="BTCUSDT")
            assert trade["id"] == fill["t"]
            account = await client.get_account()
            held = {row["asset"]: Decimal(row["free"]) for row in account["balances"]}
            assert held["BTC"] == 20 + Decimal("0.01") - Decimal(fill["n"])
            limit = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
            limit |= {"quantity": "0.01", "price": "50000", "newClientOrderId": "twice"}
            await client.create_order(**limit)
            with pytest.raises(binance.exceptions.BinanceAPIException, match="Duplicate"):
                await client.create_order(**limit)

    asyncio.run(main())


def test_python_binance_trades_contracts_and_hears_of_it() -> None:
    async def main() -> None:
        async with clients() as (client, manager), manager.futures_user_socket() as stream:
            about = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
            limit = {**about, "type": "LIMIT", "timeInForce": "GTC", "price": "50000"}
            order = await client.futures_create_order(**limit)
            about["orderId"] = order["orderId"]
            changed = await client.futures_modify_order(**about, price="50001")
            assert Decimal(changed["price"]) == 50001
            await until(stream, lambda m: m.get("o", {}).get("x") == "AMENDMENT")
            await client.futures_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            await until(stream, lambda m: m.get("o", {}).get("x") == "CANCELED")
            rows = await client.futures_place_batch_order(batchOrders=[dict(limit), dict(limit)])
            assert [row["status"] for row in rows] == ["NEW", "NEW"]
            about = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01"}
            stop = await client.futures_create_order(**about, type="STOP_MARKET", stopPrice="40000")
            assert stop["algoStatus"] == "NEW"
            await until(stream, lambda m: m["e"] == "ALGO_UPDATE")
            bought = await client.ws_futures_create_order(
                symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01"
            )
            fill = await until(stream, lambda m: m.get("o", {}).get("x") == "TRADE")
            assert fill["o"]["i"] == bought["orderId"]
            [held] = await client.futures_position_information(symbol="BTCUSDT")
            assert Decimal(held["positionAmt"]) == Decimal("0.01")
            assert await client.futures_change_leverage(symbol="BTCUSDT", leverage=5)
            contract = await client.futures_coin_create_order(
                symbol="BTCUSD_PERP", side="BUY", type="MARKET", quantity="1"
            )
            [trade] = await client.futures_coin_account_trades(symbol="BTCUSD_PERP")
            assert trade["orderId"] == contract["orderId"]

    asyncio.run(main())


def test_ccxt_trades_on_spot_and_contracts() -> None:
    library = pytest.importorskip("ccxt.async_support")

    async def main() -> None:
        async with EmulatorServer(BinanceDialect(), seed=5) as server:
            exchange = library.binance(
                {
                    "apiKey": "emulator",
                    "secret": "emulator",
                    "enableRateLimit": False,
                    "options": {
                        "fetchMargins": False,
                        "fetchMarkets": {"types": ["spot", "linear", "inverse"]},
                    },
                }
            )
            exchange.has["fetchCurrencies"] = False
            parse = exchange.parse_market
            # One contract is announced so early that ccxt couldn't read its row.
            known = {"marginAsset": "USDT", "filters": [], "contractType": "PERPETUAL"}
            exchange.parse_market = lambda row: parse(row if row["filters"] else {**row, **known})
            for name, url in exchange.urls["api"].items():
                if isinstance(url, str) and url.startswith("https://"):
                    exchange.urls["api"][name] = server.url + "/" + url.split("/", 3)[3]
            try:
                await exchange.load_markets()
                for symbol, size in (
                    ("BTC/USDT", 0.01),
                    ("BTC/USDT:USDT", 0.01),
                    ("BTC/USD:BTC", 1),
                ):
                    await _trade(exchange, symbol, size)
                wallet = await exchange.fetch_balance()
                assert wallet["USDT"]["total"] < 1_000_000
                [held] = await exchange.fetch_positions(["BTC/USDT:USDT"])
                assert held["contracts"] == 0.01
            finally:
                await exchange.close()

    asyncio.run(main())


async def _trade(exchange: Any, symbol: str, size: float) -> None:
    """Place, change, cancel and fill an order, and list what came of it."""
    order = await exchange.create_order(symbol, "limit", "buy", size, 50000)
    [row] = await exchange.fetch_open_orders(symbol)
    assert (row["id"], row["status"]) == (order["id"], "open")
    changed = await exchange.edit_order(order["id"], symbol, "limit", "buy", size, 50001)
    assert (await exchange.fetch_order(changed["id"], symbol))["price"] == 50001
    await exchange.cancel_order(changed["id"], symbol)
    assert (await exchange.fetch_order(changed["id"], symbol))["status"] == "canceled"
    bought = await exchange.create_order(symbol, "market", "buy", size)
    [trade] = await exchange.fetch_my_trades(symbol)
    assert trade["order"] == bought["id"]
