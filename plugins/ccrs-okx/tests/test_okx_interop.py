"""python-okx, which nobody here wrote, gets from the emulator what it expects of OKX."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from ccrs_okx.emulator import OkxDialect

from ccrs_core.emulator import EmulatorServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("okx")
    from okx.MarketData import MarketAPI
    from okx.PublicData import PublicAPI
    from okx.websocket import WebSocketFactory
    from okx.websocket.WsPublicAsync import WsPublicAsync

pytestmark = [pytest.mark.interop, pytest.mark.sockets]

_PATIENCE = 15.0


def test_python_okx_gets_instruments_books_trades_and_candles() -> None:
    def ask(url: str) -> None:
        market = MarketAPI(domain=url, flag="0")
        public = PublicAPI(domain=url, flag="0")
        try:
            assert int(public.get_system_time()["data"][0]["ts"]) > 10**12
            spot = public.get_instruments("SPOT")
            assert (spot["code"], spot["msg"]) == ("0", "")
            assert "BTC-USDT" in {each["instId"] for each in spot["data"]}
            options = public.get_instruments("OPTION", instFamily="BTC-USD")["data"]
            assert {each["uly"] for each in options} == {"BTC-USD"}
            (book,) = market.get_orderbook("BTC-USDT", sz="10")["data"]
            assert len(book["bids"]) == len(book["asks"]) == 10
            assert Decimal(book["bids"][0][0]) < Decimal(book["asks"][0][0])
            trades = market.get_trades("BTC-USDT-SWAP", limit="5")["data"]
            assert [int(t["tradeId"]) for t in trades] == sorted(
                (int(t["tradeId"]) for t in trades), reverse=True
            )
            candles = market.get_history_candlesticks("BTC-USDT", bar="1m", limit="3")["data"]
            assert [len(candle) for candle in candles] == [9, 9, 9]
            (rate,) = public.get_funding_rate("BTC-USDT-SWAP")["data"]
            assert rate["instId"] == "BTC-USDT-SWAP"
            assert market.get_ticker("NO-SUCH")["code"] == "51001"
        finally:
            market.close()
            public.close()

    async def main() -> None:
        async with EmulatorServer(OkxDialect(), seed=5) as server:
            await asyncio.to_thread(ask, server.url)

    asyncio.run(main())


async def _until(condition: Callable[[], bool], more: asyncio.Event) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not condition():
            more.clear()
            await more.wait()


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        (
            "public",
            [
                {"channel": "books", "instId": "BTC-USDT"},
                {"channel": "bbo-tbt", "instId": "BTC-USDT-SWAP"},
                {"channel": "tickers", "instId": "ETH-USD-SWAP"},
            ],
        ),
        (
            "business",
            [
                {"channel": "trades-all", "instId": "BTC-USDT"},
                {"channel": "candle1m", "instId": "BTC-USDT-SWAP"},
            ],
        ),
    ],
)
def test_python_okx_is_served_the_streams_that_it_subscribes_to(
    monkeypatch: pytest.MonkeyPatch, path: str, arguments: list[dict[str, str]]
) -> None:
    async def main() -> None:
        async with EmulatorServer(OkxDialect(), seed=5, tls=True) as server:
            trusting = SimpleNamespace(create_default_context=lambda: server.ssl_context)
            monkeypatch.setattr(WebSocketFactory, "ssl", trusting)
            seen: list[dict[str, Any]] = []
            more = asyncio.Event()

            def take(text: str) -> None:
                seen.append(json.loads(text))
                more.set()

            def channels(event: str | None) -> set[str]:
                return {m["arg"]["channel"] for m in seen if m.get("event") == event}

            url = server.url.replace("https", "wss")
            client = WsPublicAsync(f"{url}/ws/v5/{path}")
            consuming = await client.start()
            try:
                wanted = {argument["channel"] for argument in arguments}
                await client.subscribe(arguments, take, id="a1")
                await _until(lambda: channels("subscribe") == channels(None) == wanted, more)
                assert {m["id"] for m in seen if "event" in m} == {"a1"}
                await client.unsubscribe(arguments, take)
                await _until(lambda: channels("unsubscribe") == wanted, more)
            finally:
                await client.stop()
                await asyncio.wait([consuming], timeout=_PATIENCE)

    asyncio.run(main())
