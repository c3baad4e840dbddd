"""Plain frames: the spelling that nearly all have, checked and taken apart by one pattern.

Matching costs about half of what parsing the JSON costs, and the values stay text until they are
read. A pattern takes nothing that the general decoder would refuse or understand otherwise; what it
doesn't take, the general decoder gets.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from ccrs_core import NS_PER_MS, Side, TopOfBook, Trade
from ccrs_core.wire import DECIMALS, deferred_constructors

_NUMBER = r'"((?:0|[1-9]\d{0,20}+)(?:\.\d{1,20}+)?+)"'
_PRICE = r'"([1-9]\d{0,20}+(?:\.\d{1,20}+)?+|0\.(?!0*+")\d{1,20}+)"'
_TIME = r"[1-4]\d{12}"
_COUNT = r"[1-9]\d{0,17}+"
_NAME = r'"[^"\\]*+"'
_MARKET = r'(?:,"st":\d)?'
"""Futures say by it which of their two markets a symbol is of."""

_QUOTES = r',"b":' + _PRICE + r',"B":' + _NUMBER + r',"a":' + _PRICE + r',"A":' + _NUMBER

SPOT_TOP_OF_BOOK = re.compile(
    r',"data":\{"u":(' + _COUNT + r'),"s":' + _NAME + _QUOTES + r"\}\}", re.ASCII
)
"""What follows the stream. Groups: u, bid price and size, ask price and size."""

FUTURES_TOP_OF_BOOK = re.compile(
    r',"data":\{"e":"bookTicker","u":(' + _COUNT + r'),"s":' + _NAME + r'(?:,"ps":' + _NAME
    + r")?" + _QUOTES + r',"T":(' + _TIME + r'),"E":' + _TIME + _MARKET + r"\}\}",
    re.ASCII,
)  # fmt: skip
"""As for spot, and T."""

SPOT_TRADE = re.compile(
    r',"data":\{"e":"trade","E":' + _TIME + r',"s":' + _NAME + r',"t":(' + _COUNT + r'),"p":'
    + _PRICE + r',"q":' + _NUMBER + r',"T":(' + _TIME + r'),"m":(true|false),"M":(?:true|false)'
    + r"\}\}",
    re.ASCII,
)  # fmt: skip
"""What follows the stream. Groups: t, p, q, T, m."""

FUTURES_TRADE = re.compile(
    r',"data":\{"e":"aggTrade","E":' + _TIME + r'(?:,"s":' + _NAME + r')?,"a":(' + _COUNT
    + r')(?:,"s":' + _NAME + r')?,"p":' + _PRICE + r',"q":' + _NUMBER + r'(?:,"nq":' + _NUMBER
    + r')?,"f":' + _COUNT + r',"l":' + _COUNT + r',"T":(' + _TIME + r'),"m":(true|false)'
    + _MARKET + r"\}\}",
    re.ASCII,
)  # fmt: skip
"""What follows the stream. Groups: a, p, q, nq, T, m; the symbol stands before or after a."""


def _quotes(match: re.Match[str]) -> tuple[Any, ...]:
    bid, bid_size, ask, ask_size = match.group(2, 3, 4, 5)
    size = Decimal(bid_size)
    best_bid = (DECIMALS[bid], size) if size else (None, None)
    size = Decimal(ask_size)
    best_ask = (DECIMALS[ask], size) if size else (None, None)
    return *best_bid, *best_ask


def _timed_quotes(match: re.Match[str]) -> tuple[Any, ...]:
    return int(match[6]) * NS_PER_MS, *_quotes(match)


def _trade(match: re.Match[str]) -> tuple[Any, ...]:
    _, price, size, time, maker = match.groups()
    return (
        int(time) * NS_PER_MS,
        DECIMALS[price],
        DECIMALS[size],
        Side.SELL if maker == "true" else Side.BUY,
    )


def _aggregate_trade(match: re.Match[str]) -> tuple[Any, ...]:
    _, price, size, plain, time, maker = match.groups()
    number = DECIMALS[size]
    return (
        int(time) * NS_PER_MS,
        DECIMALS[price],
        number,
        Side.SELL if maker == "true" else Side.BUY,
        None if plain is None else DECIMALS[plain] != number,
    )


_QUOTED = ["bid_price", "bid_size", "ask_price", "ask_size"]

spot_top_of_book = deferred_constructors(TopOfBook, _QUOTED, _quotes)
"""Makes constructors; they take exchange, symbol, None for the time, time of receipt, sequence and
the match."""

futures_top_of_book = deferred_constructors(
    TopOfBook, ["exchange_time_ns", *_QUOTED], _timed_quotes
)
"""Makes constructors; they take exchange, symbol, time of receipt, sequence and the match."""

_TRADED = ["exchange_time_ns", "price", "size", "side"]

trade = deferred_constructors(Trade, _TRADED, _trade)
"""Makes constructors; they take exchange, symbol, time of receipt, sequence, trade id, False for
block trades, None for price improvement and the match."""

aggregate_trade = deferred_constructors(Trade, [*_TRADED, "rpi"], _aggregate_trade)
"""As for trades, without price improvement."""
