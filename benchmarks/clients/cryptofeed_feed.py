"""cryptofeed's feeds, pointed at loopback. Their parsing, books and callbacks are their own.

cryptofeed dials ``wss`` only, which is changed here for all; what else is, each feed says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cryptofeed import connection
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import OKX, Binance, Bybit

from benchmarks.exchanges import wire
from benchmarks.job import Job, Take

_connect: Any = connection.connect


def _plain(address: str, **options: Any) -> Any:
    return _connect(address.replace("wss://", "ws://", 1), **options)


def _stream(job: Job, path: str) -> list[WebsocketEndpoint]:
    return [
        WebsocketEndpoint(f"wss://127.0.0.1:{job.port}{path}", options={"compression": None}),
    ]


def _bybit(job: Job) -> tuple[type[Any], str]:
    """It subscribes to no other book than the one with 200 levels; that is changed, so that it
    receives the same frames as the others. Top of book runs through its book code."""
    exchange = wire(job.exchange)
    listings = [
        f"/v5/market/instruments-info?category={category}&limit=1000"
        for category in ("linear", "spot")
    ]

    class Loopback(Bybit):  # type: ignore[misc,unused-ignore] # untyped where not installed
        websocket_endpoints = _stream(job, exchange.stream_path)
        rest_endpoints = [RestEndpoint(job.url, routes=Routes(listings))]  # noqa: RUF012

        async def subscribe(self, connection: Any) -> None:
            await connection.write(exchange.subscription(job.channel, job.natives))

    return Loopback, TRADES if job.case == "trades" else L2_BOOK


def _binance(job: Job) -> tuple[type[Any], str]:
    """It subscribes by the address."""

    class Loopback(Binance):  # type: ignore[misc,unused-ignore] # untyped where not installed
        websocket_endpoints = _stream(job, "")
        rest_endpoints = [  # noqa: RUF012 - the peer's own way
            RestEndpoint(
                job.url,
                routes=Routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}"),
            )
        ]

    return Loopback, _channel(job)


def _okx(job: Job) -> tuple[type[Any], str]:
    """Only the instruments of spot and of perpetuals are loaded."""
    listings = [f"/api/v5/public/instruments?instType={kind}" for kind in ("SPOT", "SWAP")]

    class Loopback(OKX):  # type: ignore[misc,unused-ignore] # untyped where not installed
        websocket_endpoints = _stream(job, wire(job.exchange).stream_path)
        rest_endpoints = [RestEndpoint(job.url, routes=Routes(listings))]  # noqa: RUF012

    return Loopback, _channel(job)


def _channel(job: Job) -> str:
    channel: str = {"top_of_book": TICKER, "trades": TRADES}.get(job.case, L2_BOOK)
    return channel


FEEDS: dict[str, Callable[[Job], tuple[type[Any], str]]] = {
    "bybit": _bybit,
    "binance": _binance,
    "okx": _okx,
}
"""By exchange: what makes the feed's class and the channel for a job."""
SYMBOLS = {"bybit": "{}-USDT-PERP", "binance": "{}-USDT", "okx": "{}-USDT"}
RAW_SIZES = {"binance": "B", "okx": "bidSz"}
"""By exchange: where its tickers, which leave the sizes out, have that of the best bid."""


async def consume(job: Job, take: Take) -> None:
    connection.connect = _plain
    done = asyncio.Event()

    async def on_book(book: Any, _received: float) -> None:
        bids = book.book.bids
        if take(1, bids.index(0)[1]):
            done.set()

    async def on_trade(trade: Any, _received: float) -> None:
        if take(1, trade.amount):
            done.set()

    raw_size = RAW_SIZES.get(job.exchange, "")

    async def on_ticker(ticker: Any, _received: float) -> None:
        if take(1, ticker.raw[raw_size]):
            done.set()

    callbacks = {L2_BOOK: on_book, TRADES: on_trade, TICKER: on_ticker}
    kind, channel = FEEDS[job.exchange](job)
    listed = wire(job.exchange).symbols(job.topics)
    feed = kind(
        symbols=[SYMBOLS[job.exchange].format(base) for _, base in listed],
        channels=[channel],
        callbacks={channel: callbacks[channel]},
        config={"log": {"filename": None, "level": "WARNING"}},
    )
    feed.start(asyncio.get_running_loop())
    try:
        await done.wait()
    finally:
        feed.stop()
        await feed.shutdown()
