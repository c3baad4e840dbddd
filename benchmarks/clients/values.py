"""What the hand-written loops build: frozen attrs values with Decimals, as a user would want."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any

import attrs

from benchmarks.job import Job

Level = tuple[Decimal, Decimal]
Build = Callable[[dict[str, Any]], Decimal]


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


_read = attrgetter("bid_price", "bid_size", "ask_price", "ask_size", "sequence", "time_ms")


def _top_read(message: dict[str, Any]) -> Decimal:
    data = message["data"]
    (bid, bid_size), (ask, ask_size) = data["b"][0], data["a"][0]
    top = Top(
        data["s"],
        message["cts"],
        data["seq"],
        Decimal(bid),
        Decimal(bid_size),
        Decimal(ask),
        Decimal(ask_size),
    )
    _read(top)
    return top.bid_size


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


_BUILD: dict[str, Build] = {"top_of_book": _top, "trades": _deal, "book50": _depth}


def builder(job: Job) -> Build:
    """What builds the value of a message and gives its stamp. The book itself is not kept."""
    return _top_read if job.kind == "throughput_read" else _BUILD[job.case]
