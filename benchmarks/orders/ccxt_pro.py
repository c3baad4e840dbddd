"""ccxt.pro, pointed at loopback: over REST, and over its WebSocket for orders."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import ccxt.pro

from benchmarks.orders.job import KEY, SIZE, Job
from benchmarks.orders.meter import Meter
from benchmarks.orders.pairs import measure

_STREAMS = ("watch_orders", "watch_my_trades", "watch_positions", "watch_balance")
_SETTLE = 0.5
"""Seconds for streams to be subscribed to."""


def _pointed_at(job: Job, addresses: Any) -> Any:
    if isinstance(addresses, dict):
        return {name: _pointed_at(job, below) for name, below in addresses.items()}
    scheme, host, path, *_ = urlsplit(str(addresses))
    base = job.ws_url if scheme in {"ws", "wss"} else job.url
    return base + job.at.hosts.get(host, "") + path


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[tuple[Any, float]]:
    """The exchange, and the best bid. With ``streams`` all of the account's are read meanwhile."""
    at = job.at
    exchange = getattr(ccxt.pro, at.ccxt)(
        {
            "apiKey": KEY,
            "secret": KEY,
            "password": at.passphrase,
            "enableRateLimit": False,
            "newUpdates": True,
        }
    )
    exchange.urls["api"] = _pointed_at(job, exchange.urls["api"])
    exchange.options["fetchMarkets"] = {"types": list(at.market_types)}
    parse = exchange.parse_market
    exchange.parse_market = lambda row: None if at.unreadable(row) else parse(row)
    exchange.options["recvWindow"] = 60_000
    exchange.options["ws"] = {"compress": 0}  # as nobody else here: it would pay for inflating
    exchange.has["fetchCurrencies"] = False  # deposits and withdrawals, which nobody here asks for
    readers: list[asyncio.Task[None]] = []

    async def read(watch: Any) -> None:
        while True:
            await watch()

    try:
        await exchange.load_markets()
        if at.prepare is not None:
            await at.prepare(exchange)
        book = await exchange.fetch_order_book(at.symbol, 5)
        if job.contender.streams:
            measured = "watch_my_trades" if job.kind.startswith("fills") else ""
            kept = [name for name in _STREAMS if name != measured]
            readers += [asyncio.create_task(read(getattr(exchange, name))) for name in kept]
            await asyncio.sleep(_SETTLE)
        yield exchange, book["bids"][0][0]
        for reader in readers:
            if reader.done():
                reader.result()
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        await exchange.close()


def _size(job: Job) -> float:
    return float(Decimal(SIZE) / Decimal(job.at.contract))


async def orders(job: Job, meter: Meter) -> None:
    """Pairs of placing and canceling."""
    async with opened(job) as (exchange, bid):
        price, size, symbol = bid * 0.995 // 1, _size(job), job.at.symbol
        place, cancel = exchange.create_order, exchange.cancel_order
        if job.contender.way == "websocket":
            place, cancel = exchange.create_order_ws, exchange.cancel_order_ws

        await measure(
            job,
            meter,
            lambda: place(symbol, "limit", "buy", size, price),
            lambda order: cancel(order["id"], symbol),
        )


async def fills(job: Job, meter: Meter) -> None:
    """The fills of one order, as ``watch_my_trades`` brings them."""
    whole = job.warm_up + job.count
    async with opened(job) as (exchange, bid):
        waiting = asyncio.ensure_future(exchange.watch_my_trades())
        await asyncio.sleep(_SETTLE)
        size = _size(job) * whole
        about = {"clientOrderId": job.fills_id, "postOnly": True}
        await exchange.create_order(job.at.symbol, "limit", "buy", size, bid + 50, about)
        while True:
            for trade in await waiting:
                many = meter.filled(trade["id"])
                if many == job.warm_up:
                    meter.begin()
                elif many == whole:
                    meter.end()
                    return
            waiting = exchange.watch_my_trades()
