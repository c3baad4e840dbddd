"""ccxt.pro, pointed at loopback. Its markets come from the source like everybody's."""

from __future__ import annotations

from typing import Any

import ccxt.pro

from benchmarks.job import Job, Take

SYMBOL = "BTC/USDT:USDT"


def _pointed_at(job: Job, addresses: Any) -> Any:
    """The tree of addresses with every leaf replaced."""
    if isinstance(addresses, dict):
        return {name: _pointed_at(job, below) for name, below in addresses.items()}
    is_stream = str(addresses).startswith("ws")
    return job.stream_url if is_stream else job.url


async def consume(job: Job, take: Take) -> None:
    exchange = ccxt.pro.bybit({"enableRateLimit": False, "newUpdates": True})
    exchange.urls["api"] = _pointed_at(job, exchange.urls["api"])
    exchange.options["fetchMarkets"] = {"types": ["linear"]}
    try:
        await exchange.load_markets()
        match job.case:
            case "top_of_book":
                while True:
                    tickers = await exchange.watch_bids_asks([SYMBOL])
                    if take(1, tickers[SYMBOL]["bidVolume"]):
                        return
            case "trades":
                while True:
                    trades = await exchange.watch_trades(SYMBOL)
                    if take(len(trades), trades[-1]["amount"]):
                        return
            case "book50":
                while True:
                    book = await exchange.watch_order_book(SYMBOL, 50)
                    if take(1, book["bids"][0][1]):
                        return
    finally:
        await exchange.close()
