"""ccxt.pro, pointed at loopback. Its markets come from the source like everybody's."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import ccxt.pro

from benchmarks.job import Job, Take

MARKETS = {"bybit": "linear", "binance": "spot", "okx": "spot"}
"""The only kind of markets that it is to load, by its own names."""
PREFIXES = {"binance": "/stream"}
"""It takes Binance's streams for spot's by this text in their address, which the real one has in
its host's name."""
LIMITS = {"bybit": 50}
"""Levels of the measured book, where it isn't the one that it takes by itself."""


def _pointed_at(job: Job, addresses: Any) -> Any:
    """The tree of addresses with every leaf's host replaced."""
    if isinstance(addresses, dict):
        return {name: _pointed_at(job, below) for name, below in addresses.items()}
    scheme, _, path, *_ = urlsplit(str(addresses))
    if scheme in {"ws", "wss"}:
        return f"ws://127.0.0.1:{job.port}{PREFIXES.get(job.exchange, '')}{path}"
    return job.url + path


async def consume(job: Job, take: Take) -> None:
    symbols = job.symbols
    symbol = symbols[0]
    exchange = getattr(ccxt.pro, job.exchange)({"enableRateLimit": False, "newUpdates": True})
    exchange.urls["api"] = _pointed_at(job, exchange.urls["api"])
    exchange.options["fetchMarkets"] = {"types": [MARKETS[job.exchange]]}
    try:
        await exchange.load_markets()
        match job.case:
            case "top_of_book":
                while True:
                    tickers = await exchange.watch_bids_asks(symbols)
                    if any(take(1, ticker["bidVolume"]) for ticker in tickers.values()):
                        return
            case "trades" if len(symbols) > 1:
                while True:
                    trades = await exchange.watch_trades_for_symbols(symbols)
                    if take(len(trades), trades[-1]["amount"]):
                        return
            case "trades":
                while True:
                    trades = await exchange.watch_trades(symbol)
                    if take(len(trades), trades[-1]["amount"]):
                        return
            case _:
                limit = LIMITS.get(job.exchange)
                while True:
                    book = await exchange.watch_order_book(symbol, limit)
                    if take(1, book["bids"][0][1]):
                        return
    finally:
        await exchange.close()
