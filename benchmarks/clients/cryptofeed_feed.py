"""cryptofeed's Bybit feed, pointed at loopback.

It dials ``wss`` only and subscribes to no other book than the one with 200 levels; both are
changed here, so that it receives the same frames as the others. Its parsing, its books and its
callbacks are its own.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from cryptofeed import connection
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, TRADES
from cryptofeed.exchanges import Bybit

from benchmarks.frames import SYMBOL, TOPICS
from benchmarks.job import Job, Take

_connect: Any = connection.connect


def _plain(address: str, **options: Any) -> Any:
    return _connect(address.replace("wss://", "ws://", 1), **options)


async def consume(job: Job, take: Take) -> None:
    connection.connect = _plain
    done = asyncio.Event()

    class Loopback(Bybit):  # type: ignore[misc,unused-ignore] # untyped where not installed
        websocket_endpoints = [  # noqa: RUF012 - the peer's own way
            WebsocketEndpoint(
                job.stream_url.replace("ws://", "wss://", 1), options={"compression": None}
            )
        ]
        rest_endpoints = [  # noqa: RUF012
            RestEndpoint(
                job.url,
                routes=Routes(
                    [
                        f"/v5/market/instruments-info?category={category}&limit=1000"
                        for category in ("linear", "spot")
                    ]
                ),
            )
        ]

        async def subscribe(self, connection: Any) -> None:
            topic = TOPICS[job.case] + SYMBOL
            await connection.write(json.dumps({"op": "subscribe", "args": [topic]}))

    async def on_book(book: Any, _received: float) -> None:
        bids = book.book.bids
        if take(1, bids.index(0)[1]):
            done.set()

    async def on_trade(trade: Any, _received: float) -> None:
        if take(1, trade.amount):
            done.set()

    channel, callback = (TRADES, on_trade) if job.case == "trades" else (L2_BOOK, on_book)
    feed = Loopback(
        symbols=["BTC-USDT-PERP"],
        channels=[channel],
        callbacks={channel: callback},
        config={"log": {"filename": None, "level": "WARNING"}},
    )
    feed.start(asyncio.get_running_loop())
    try:
        await done.wait()
    finally:
        feed.stop()
        await feed.shutdown()
