"""python-okx, and ccxt where it is installed, trade on the emulator: over REST and over the private
socket."""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from ccrs_okx.emulator import OkxDialect

from ccrs_core.emulator import EmulatorServer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("okx")
    from okx.Account import AccountAPI
    from okx.PublicData import PublicAPI
    from okx.Trade import TradeAPI
    from okx.websocket import WebSocketFactory
    from okx.websocket.WsPrivateAsync import WsPrivateAsync

pytestmark = [
    pytest.mark.interop,
    pytest.mark.sockets,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # by python-okx
]

_PATIENCE = 15.0
KEYS = {"api_key": "emulator", "api_secret_key": "emulator", "passphrase": "emulator"}
SWAP = "BTC-USDT-SWAP"


def eventually(ask: Callable[[], Any]) -> Any:
    """What is asked for, as soon as there is any."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        found = ask()
        if found:
            return found
    raise AssertionError("it never came")


def _below(public: Any) -> str:
    """A price at which nobody sells."""
    (row,) = public.get_mark_price("SWAP", instId=SWAP)["data"]
    return f"{Decimal(row['markPx']) * Decimal('0.97'):.1f}"


def _serve(work: Callable[[str], None]) -> None:
    async def main() -> None:
        async with EmulatorServer(OkxDialect(), seed=5) as server:
            await asyncio.to_thread(work, server.url)

    asyncio.run(main())


def _trades(url: str) -> None:
    with (
        closing(TradeAPI(**KEYS, domain=url, flag="0", debug=False)) as trade,
        closing(PublicAPI(domain=url, flag="0", debug=False)) as public,
    ):
        _places(trade, _below(public))


def _places(trade: Any, price: str) -> None:
    terms = {"tdMode": "cross", "side": "buy", "ordType": "limit", "sz": "1", "px": price}
    (placed,) = trade.place_order(SWAP, **terms, clOrdId="rest1")["data"]
    assert (placed["sCode"], placed["clOrdId"]) == ("0", "rest1")

    def told() -> Any:
        return trade.get_order(SWAP, ordId=placed["ordId"])["data"][0]

    def listed() -> list[Any]:
        found = trade.get_order_list(instType="SWAP")["data"]
        return [row for row in found if row["state"] == "live"]

    [row] = eventually(listed)
    assert (row["ordId"], row["px"], row["sz"]) == (placed["ordId"], price, "1")
    again = trade.place_order(SWAP, **terms, clOrdId="rest1")
    assert (again["code"], again["data"][0]["sCode"]) == ("1", "51016")
    (amended,) = trade.amend_order(SWAP, ordId=placed["ordId"], newSz="2", reqId="r1")["data"]
    assert amended["reqId"] == "r1"
    eventually(lambda: told()["sz"] == "2")
    mixed = trade.place_multiple_orders(
        [{"instId": SWAP, **terms, "clOrdId": "b1"}, {"instId": SWAP, **terms, "sz": "0.001"}]
    )
    assert (mixed["code"], [row["sCode"] for row in mixed["data"]]) == ("2", ["0", "51020"])
    trade.cancel_multiple_orders([{"instId": SWAP, "clOrdId": name} for name in ("rest1", "b1")])
    eventually(lambda: not trade.get_order_list(instType="SWAP")["data"])
    history = trade.get_orders_history("SWAP")["data"]
    assert {row["cancelSource"] for row in history} == {"1"}
    gone = trade.cancel_order(SWAP, clOrdId="rest1")
    assert (gone["code"], gone["data"][0]["sCode"]) == ("1", "51400")


def _holds(url: str) -> None:
    with (
        closing(TradeAPI(**KEYS, domain=url, flag="0", debug=False)) as trade,
        closing(AccountAPI(**KEYS, domain=url, flag="0", debug=False)) as account,
    ):
        _has(trade, account)


def _has(trade: Any, account: Any) -> None:
    (settings,) = account.get_account_config()["data"]
    assert (settings["acctLv"], settings["posMode"]) == ("2", "net_mode")
    account.set_leverage(lever="5", mgnMode="cross", instId=SWAP)
    (placed,) = trade.place_order(SWAP, "cross", "buy", "market", "3")["data"]
    fills = eventually(lambda: trade.get_fills(ordId=placed["ordId"])["data"])
    assert sum(Decimal(row["fillSz"]) for row in fills) == 3
    assert all(Decimal(row["fee"]) < 0 for row in fills)
    [held] = account.get_positions(instId=SWAP)["data"]
    assert (held["pos"], held["lever"], held["mgnMode"]) == ("3", "5", "cross")
    [stop] = trade.place_algo_order(
        SWAP,
        "cross",
        "sell",
        "conditional",
        "3",
        slTriggerPx=f"{Decimal(held['avgPx']) * Decimal('0.9'):.1f}",
        slOrdPx="-1",
        algoClOrdId="stop1",
    )["data"]
    assert stop["sCode"] == "0"
    [waits] = eventually(lambda: trade.order_algos_list(ordType="conditional")["data"])
    assert (waits["algoId"], waits["algoClOrdId"]) == (stop["algoId"], "stop1")
    trade.cancel_algo_order([{"instId": SWAP, "algoId": stop["algoId"]}])
    eventually(lambda: not trade.order_algos_list(ordType="conditional")["data"])
    trade.close_positions(SWAP, "cross")
    eventually(lambda: not account.get_positions(instId=SWAP)["data"])
    (balance,) = account.get_account_balance(ccy="USDT")["data"]
    assert [row["ccy"] for row in balance["details"]] == ["USDT"]
    bills = account.get_account_bills(type="2")["data"]
    assert {row["ccy"] for row in bills} == {"USDT"}


@pytest.mark.parametrize("work", [_trades, _holds])
def test_python_okx_trades_over_rest(work: Callable[[str], None]) -> None:
    _serve(work)


def test_python_okx_enters_orders_over_the_socket_and_hears_of_them(
    monkeypatch: pytest.MonkeyPatch,
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

            async def until(want: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
                async with asyncio.timeout(_PATIENCE):
                    while not (found := [each for each in seen if want(each)]):
                        more.clear()
                        await more.wait()
                return found[0]

            url = server.url.replace("https", "wss")
            client = WsPrivateAsync("emulator", "emulator", "emulator", f"{url}/ws/v5/private")
            client.callback = take
            await client.connect()
            consuming = asyncio.ensure_future(client.consume())
            try:
                await client.login()
                assert (await until(lambda m: m.get("event") == "login"))["code"] == "0"
                channels = ("orders", "positions")
                arguments = [{"channel": name, "instType": "ANY"} for name in channels]
                await client.send("subscribe", [*arguments, {"channel": "account"}], id="s1")
                await until(lambda m: m.get("arg", {}).get("channel") == "account" and "data" in m)
                dialect = server.venue.dialect
                assert isinstance(dialect, OkxDialect)
                listing = dialect.listing(SWAP)
                assert listing is not None
                order = {"instIdCode": dialect.code(listing), "tdMode": "cross", "side": "buy"}
                await client.place_order([{**order, "ordType": "market", "sz": "2"}], id="o1")
                answer = await until(lambda m: m.get("id") == "o1")
                assert (answer["op"], answer["code"]) == ("order", "0")

                def of(channel: str, name: str, value: str) -> Callable[[dict[str, Any]], bool]:
                    def found(message: dict[str, Any]) -> bool:
                        rows = message.get("data") or [{}]
                        about = message.get("arg", {}).get("channel")
                        return bool(about == channel and rows[-1].get(name) == value)

                    return found

                filled = (await until(of("orders", "state", "filled")))["data"][0]
                assert filled["ordId"] == answer["data"][0]["ordId"]
                assert filled["accFillSz"] == "2"
                await until(of("positions", "pos", "2"))
            finally:
                assert client.websocket is not None
                await client.websocket.close()
                await asyncio.wait([consuming], timeout=_PATIENCE)

    asyncio.run(main())


def test_ccxt_trades_over_rest() -> None:
    ccxt = pytest.importorskip("ccxt")

    def work(url: str) -> None:
        keys = {"apiKey": "emulator", "secret": "emulator", "password": "emulator"}
        exchange = ccxt.okx({**keys, "options": {"fetchMarkets": {"types": ["spot", "swap"]}}})
        exchange.urls["api"] = {"rest": url}
        exchange.has["fetchCurrencies"] = False
        symbol = "BTC/USDT:USDT"
        best = exchange.fetch_order_book(symbol, 5)["bids"][0][0]
        price = exchange.price_to_precision(symbol, best * 0.97)
        placed = exchange.create_order(symbol, "limit", "buy", 1, price, {"tdMode": "cross"})

        def one() -> Any:
            return exchange.fetch_order(placed["id"], symbol)

        eventually(lambda: one()["status"] == "open")
        exchange.edit_order(placed["id"], symbol, "limit", "buy", 2, price)
        eventually(lambda: one()["amount"] == 2)
        assert [row["id"] for row in exchange.fetch_open_orders(symbol)] == [placed["id"]]
        exchange.cancel_order(placed["id"], symbol)
        eventually(lambda: one()["status"] == "canceled")
        taken = exchange.create_order(symbol, "market", "sell", 2, None, {"tdMode": "cross"})
        trades = eventually(lambda: exchange.fetch_my_trades(symbol))
        assert sum(row["amount"] for row in trades if row["order"] == taken["id"]) == 2
        [held] = exchange.fetch_positions([symbol])
        assert (held["side"], held["contracts"]) == ("short", 2)
        assert exchange.fetch_balance()["USDT"]["total"] > 0

    _serve(work)


def test_ccxt_hears_of_its_orders() -> None:
    pro = pytest.importorskip("ccxt.pro")

    async def main() -> None:
        async with EmulatorServer(OkxDialect(), seed=5) as server:
            keys = {"apiKey": "emulator", "secret": "emulator", "password": "emulator"}
            exchange = pro.okx({**keys, "options": {"fetchMarkets": {"types": ["swap"]}}})
            exchange.urls["api"] = {"rest": server.url, "ws": f"{server.ws_url}/ws/v5"}
            exchange.has["fetchCurrencies"] = False
            symbol, found = "BTC/USDT:USDT", []
            try:
                await exchange.load_markets()
                watching = asyncio.ensure_future(exchange.watch_orders(symbol))
                while not watching.done() and len(found) < 20:
                    # Whoever subscribes while orders are placed hears of the later ones.
                    terms = None, {"tdMode": "cross"}
                    order = await exchange.create_order(symbol, "market", "buy", 1, *terms)
                    found.append(order)
                    await asyncio.wait([watching], timeout=0.3)
                orders = await asyncio.wait_for(watching, _PATIENCE)
                assert {order["id"] for order in orders} <= {order["id"] for order in found}
                assert orders
            finally:
                await exchange.close()

    asyncio.run(main())
