"""A web service with live prices: quotes, candles, and a health check that knows.

    pip install fastapi uvicorn
    uvicorn --app-dir examples/programs web_app:app
    curl 'http://127.0.0.1:8000/quotes'
    curl 'http://127.0.0.1:8000/candles?symbol=BTC/USDT&interval=1h&limit=3'

Environment variables choose what it serves: EXCHANGE, ENVIRONMENT (``emulator`` unless told
otherwise) and SYMBOLS, with commas between.
"""

import asyncio
import contextlib
import os
from typing import Any

from fastapi import FastAPI, HTTPException

import ccrs_core
from ccrs_core import Resumed, Stale, TopOfBook, UsageError, to_plain, top_of_book

EXCHANGE = os.environ.get("EXCHANGE", "bybit")
ENVIRONMENT = os.environ.get("ENVIRONMENT", "emulator")
SYMBOLS = os.environ.get("SYMBOLS", "BTC/USDT,ETH/USDT").split(",")


class Prices:
    """The newest quote of each symbol, and whether it can be relied on."""

    def __init__(self) -> None:
        self.quotes: dict[str, TopOfBook] = {}
        self.stale = set(SYMBOLS)

    async def follow(self, feed: ccrs_core.Feed) -> None:
        async for event in feed:
            match event:
                case TopOfBook(symbol=symbol):
                    self.quotes[symbol] = event
                    self.stale.discard(symbol)
                case Stale(symbol=symbol):
                    self.stale.add(symbol)
                case Resumed(symbol=symbol):
                    self.stale.discard(symbol)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    """One client and one feed for the life of the application, closed with it."""
    interests = [top_of_book(symbol) for symbol in SYMBOLS]
    async with ccrs_core.connect(EXCHANGE, environment=ENVIRONMENT) as client:
        async with client.subscribe(*interests, policy="conflate", stale_after=10) as feed:
            app.state.client, app.state.prices = client, Prices()
            following = asyncio.create_task(app.state.prices.follow(feed))
            try:
                yield
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)


app = FastAPI(title="Prices", lifespan=lifespan)


@app.get("/quotes")
async def quotes() -> dict[str, Any]:
    """The newest quotes. Prices are text: a float would not have the exchange's digits."""
    prices = app.state.prices
    return {
        symbol: {**to_plain(quote), "stale": symbol in prices.stale}
        for symbol, quote in prices.quotes.items()
    }


@app.get("/candles")
async def candles(symbol: str, interval: str = "1h", limit: int = 24) -> list[dict[str, Any]]:
    try:
        found = await app.state.client.get_candles(symbol, interval, limit=limit)
    except UsageError as error:  # unknown symbols and intervals: the caller's mistake
        raise HTTPException(422, str(error)) from error
    return to_plain(found)


@app.get("/health")
async def health() -> dict[str, Any]:
    """Alive is who hears: a service manager should ask this, not whether the port is open."""
    if app.state.prices.stale:
        raise HTTPException(503, f"stale: {', '.join(sorted(app.state.prices.stale))}")
    return {"reconnects": app.state.client.status().reconnects}
