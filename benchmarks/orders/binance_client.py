"""python-binance, pointed at loopback: its WebSocket API for contracts, one call an answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from binance import AsyncClient

from benchmarks.orders.exchanges.binance import EXCHANGE
from benchmarks.orders.job import KEY, SIZE, Job
from benchmarks.orders.meter import Meter
from benchmarks.orders.pairs import measure

_RECEIVE_WINDOW = 60_000


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[tuple[Any, float]]:
    """The client, and the best bid."""
    client = AsyncClient(KEY, KEY)
    client.FUTURES_URL = f"{job.url}/fapi"
    client.ws_future._url = f"{job.ws_url}/ws-fapi/v1"
    try:
        book = await client.futures_order_book(symbol=EXCHANGE.native, limit=5)
        yield client, float(book["bids"][0][0])
    finally:
        await client.close_connection()


async def orders(job: Job, meter: Meter) -> None:
    """Pairs of placing and canceling."""
    async with opened(job) as (client, bid):
        place, cancel = client.futures_create_order, client.futures_cancel_order
        if job.contender.way == "websocket":
            place, cancel = client.ws_futures_create_order, client.ws_futures_cancel_order
        about = {"symbol": EXCHANGE.native, "recvWindow": _RECEIVE_WINDOW}
        terms = {
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": SIZE,
            "price": f"{bid * 0.995 // 1:.0f}",
        }

        await measure(
            job,
            meter,
            lambda: place(**about, **terms),
            lambda order: cancel(**about, orderId=order["orderId"]),
        )
