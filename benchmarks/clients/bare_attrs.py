"""The hand-written loop that also builds what a user wants: frozen attrs values with Decimals."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import aiohttp
import attrs
import orjson

from benchmarks.clients.bare import subscribe_text
from benchmarks.job import Job, Take

Level = tuple[Decimal, Decimal]


@attrs.frozen
class Top:
    symbol: str
    time_ms: int
    sequence: int
    bid_price: Decimal
    bid_size: Decimal
    ask_price: Decimal
    ask_size: Decimal


@attrs.frozen
class Deal:
    symbol: str
    time_ms: int
    sequence: int
    trade_id: str
    price: Decimal
    size: Decimal
    side: str


@attrs.frozen
class Depth:
    symbol: str
    time_ms: int
    sequence: int
    snapshot: bool
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


def _top(message: dict[str, Any]) -> Decimal:
    data = message["data"]
    (bid, bid_size), (ask, ask_size) = data["b"][0], data["a"][0]
    return Top(
        data["s"],
        message["cts"],
        data["seq"],
        Decimal(bid),
        Decimal(bid_size),
        Decimal(ask),
        Decimal(ask_size),
    ).bid_size


def _deal(message: dict[str, Any]) -> Decimal:
    size = Decimal(0)
    for trade in message["data"]:
        size = Deal(
            trade["s"],
            trade["T"],
            trade["seq"],
            trade["i"],
            Decimal(trade["p"]),
            Decimal(trade["v"]),
            trade["S"],
        ).size
    return size


def _depth(message: dict[str, Any]) -> Decimal:
    data = message["data"]
    return Depth(
        data["s"],
        message["cts"],
        data["u"],
        message["type"] == "snapshot",
        tuple((Decimal(p), Decimal(s)) for p, s in data["b"]),
        tuple((Decimal(p), Decimal(s)) for p, s in data["a"]),
    ).bids[0][1]


BUILD: dict[str, Callable[[dict[str, Any]], Decimal]] = {
    "top_of_book": _top,
    "trades": _deal,
    "book50": _depth,
}
"""By case: build the value and give its stamp. The book itself is not kept."""


async def consume(job: Job, take: Take) -> None:
    build, loads = BUILD[job.case], orjson.loads
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(job.stream_url, compress=0) as socket,
    ):
        await socket.send_str(subscribe_text(job.case))
        async for frame in socket:
            message = loads(frame.data)
            if "topic" in message and take(1, build(message)):
                return
