"""What the hand-written loops read of a message and build of it, by exchange and case.

Values are frozen attrs classes with Decimals, as a user would want them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Any

import attrs

from benchmarks.job import Job

Level = tuple[Decimal, Decimal]
Size = Callable[[dict[str, Any]], Any]
"""Gives the stamp of a message."""


@attrs.frozen
class Top:
    symbol: str
    time_ms: int | None
    sequence: int
    bid_price: Decimal
    bid_size: Decimal
    ask_price: Decimal
    ask_size: Decimal


@attrs.frozen
class Deal:
    symbol: str
    time_ms: int
    sequence: int | None
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


# --- Bybit ------------------------------------------------------------------------------------


def _bybit_top(message: dict[str, Any]) -> Top:
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
    )


def _bybit_deal(message: dict[str, Any]) -> Decimal:
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


def _bybit_depth(message: dict[str, Any]) -> Decimal:
    data = message["data"]
    return Depth(
        data["s"],
        message["cts"],
        data["u"],
        message["type"] == "snapshot",
        tuple((Decimal(p), Decimal(s)) for p, s in data["b"]),
        tuple((Decimal(p), Decimal(s)) for p, s in data["a"]),
    ).bids[0][1]


# --- Binance ----------------------------------------------------------------------------------


def _binance_top(message: dict[str, Any]) -> Top:
    data = message["data"]
    return Top(
        data["s"],
        None,
        data["u"],
        Decimal(data["b"]),
        Decimal(data["B"]),
        Decimal(data["a"]),
        Decimal(data["A"]),
    )


def _binance_deal(message: dict[str, Any]) -> Decimal:
    trade = message["data"]
    number = trade["t"]
    return Deal(
        trade["s"],
        trade["T"],
        number,
        str(number),
        Decimal(trade["p"]),
        Decimal(trade["q"]),
        "sell" if trade["m"] else "buy",
    ).size


def _binance_depth(message: dict[str, Any]) -> Decimal:
    data = message["data"]
    return Depth(
        data["s"],
        data["E"],
        data["u"],
        False,
        tuple((Decimal(p), Decimal(s)) for p, s in data["b"]),
        tuple((Decimal(p), Decimal(s)) for p, s in data["a"]),
    ).bids[0][1]


# --- OKX --------------------------------------------------------------------------------------


def _okx_top(message: dict[str, Any]) -> Top:
    data = message["data"][0]
    bid, ask = data["bids"][0], data["asks"][0]
    return Top(
        message["arg"]["instId"],
        int(data["ts"]),
        data["seqId"],
        Decimal(bid[0]),
        Decimal(bid[1]),
        Decimal(ask[0]),
        Decimal(ask[1]),
    )


def _okx_deal(message: dict[str, Any]) -> Decimal:
    size = Decimal(0)
    for trade in message["data"]:
        size = Deal(
            trade["instId"],
            int(trade["ts"]),
            None,
            trade["tradeId"],
            Decimal(trade["px"]),
            Decimal(trade["sz"]),
            trade["side"],
        ).size
    return size


def _okx_depth(message: dict[str, Any]) -> Decimal:
    data = message["data"][0]
    return Depth(
        message["arg"]["instId"],
        int(data["ts"]),
        data["seqId"],
        message["action"] == "snapshot",
        tuple((Decimal(level[0]), Decimal(level[1])) for level in data["bids"]),
        tuple((Decimal(level[0]), Decimal(level[1])) for level in data["asks"]),
    ).bids[0][1]


# --- By exchange ------------------------------------------------------------------------------

SIZES: Mapping[str, Mapping[str, Size]] = {
    "bybit": {
        "top_of_book": lambda message: message["data"]["b"][0][1],
        "trades": lambda message: message["data"][-1]["v"],
        "book50": lambda message: message["data"]["b"][0][1],
    },
    "binance": {
        "top_of_book": lambda message: message["data"]["B"],
        "trades": lambda message: message["data"]["q"],
        "depth": lambda message: message["data"]["b"][0][1],
    },
    "okx": {
        "top_of_book": lambda message: message["data"][0]["bids"][0][1],
        "trades": lambda message: message["data"][-1]["sz"],
        "depth": lambda message: message["data"][0]["bids"][0][1],
    },
}
"""Where the stamp is."""

_TOPS: Mapping[str, Callable[[dict[str, Any]], Top]] = {
    "bybit": _bybit_top,
    "binance": _binance_top,
    "okx": _okx_top,
}
_BUILD: Mapping[tuple[str, str], Size] = {
    ("bybit", "trades"): _bybit_deal,
    ("bybit", "book50"): _bybit_depth,
    ("binance", "trades"): _binance_deal,
    ("binance", "depth"): _binance_depth,
    ("okx", "trades"): _okx_deal,
    ("okx", "depth"): _okx_depth,
}

_read = attrgetter("bid_price", "bid_size", "ask_price", "ask_size", "sequence", "time_ms")


def builder(job: Job) -> Size:
    """What builds the value of a message and gives its stamp. The book itself is not kept."""
    if job.case != "top_of_book":
        return _BUILD[job.exchange, job.case]
    top = _TOPS[job.exchange]
    if job.kind != "throughput_read":
        return lambda message: top(message).bid_size

    def read(message: dict[str, Any]) -> Decimal:
        built = top(message)
        _read(built)
        return built.bid_size

    return read
