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
_NAME = r'"[\w.-]*+"'

_LEVEL = r"\[\[" + _PRICE + r"," + _NUMBER + r"\]\]"

TOP_OF_BOOK = re.compile(
    r'","ts":' + _TIME + r',"type":"snapshot","data":\{"s":' + _NAME + r',"b":' + _LEVEL
    + r',"a":' + _LEVEL + r',"u":(' + _COUNT + r'),"seq":' + _COUNT
    + r'\},"cts":(' + _TIME + r")\}",
    re.ASCII,
)  # fmt: skip
"""What follows the topic. Groups: bid and ask, each price and size; u; cts."""

CONTRACT_TRADE = re.compile(
    r'","type":"snapshot","ts":' + _TIME + r',"data":\[\{"T":(' + _TIME + r'),"s":' + _NAME
    + r',"S":"(Buy|Sell)","v":' + _NUMBER + r',"p":' + _PRICE + r',"L":' + _NAME
    + r',"i":"([\w-]++)","BT":(true|false),"RPI":(true|false),"seq":(' + _COUNT + r")\}\]\}",
    re.ASCII,
)  # fmt: skip
"""What follows the topic, for a frame of a single trade of a contract. Groups: T, S, v, p, i, BT,
RPI, seq."""

SPOT_TRADE = re.compile(
    r'","ts":' + _TIME + r',"type":"snapshot","data":\[\{"i":"([\w-]++)","T":(' + _TIME
    + r'),"p":' + _PRICE + r',"v":' + _NUMBER + r',"S":"(Buy|Sell)","seq":(' + _COUNT
    + r'),"s":' + _NAME + r',"BT":(true|false),"RPI":(true|false)\}\]\}',
    re.ASCII,
)  # fmt: skip
"""The same as spot spells it. Groups: i, T, p, v, S, seq, BT, RPI."""


def _top_of_book(match: re.Match[str]) -> tuple[Any, ...]:
    bid, bid_size, ask, ask_size, _, time = match.groups()
    size = Decimal(bid_size)
    best_bid = (DECIMALS[bid], size) if size else (None, None)
    size = Decimal(ask_size)
    best_ask = (DECIMALS[ask], size) if size else (None, None)
    return int(time) * NS_PER_MS, *best_bid, *best_ask


def _contract_trade(match: re.Match[str]) -> tuple[Any, ...]:
    time, side, size, price, _, block, rpi, seq = match.groups()
    return (
        int(time) * NS_PER_MS,
        int(seq),
        DECIMALS[price],
        DECIMALS[size],
        Side.BUY if side == "Buy" else Side.SELL,
        block == "true",
        rpi == "true",
    )


def _spot_trade(match: re.Match[str]) -> tuple[Any, ...]:
    _, time, price, size, side, seq, block, rpi = match.groups()
    return (
        int(time) * NS_PER_MS,
        int(seq),
        DECIMALS[price],
        DECIMALS[size],
        Side.BUY if side == "Buy" else Side.SELL,
        block == "true",
        rpi == "true",
    )


top_of_book_constructor = deferred_constructors(
    TopOfBook,
    ["exchange_time_ns", "bid_price", "bid_size", "ask_price", "ask_size"],
    _top_of_book,
)
"""Makes constructors; they take exchange, symbol, time of receipt, sequence and the match."""

_TRADE_FIELDS = ["exchange_time_ns", "sequence", "price", "size", "side", "block", "rpi"]

contract_trade_constructor = deferred_constructors(Trade, _TRADE_FIELDS, _contract_trade)
"""Makes constructors; they take exchange, symbol, time of receipt, trade id and the match."""

spot_trade_constructor = deferred_constructors(Trade, _TRADE_FIELDS, _spot_trade)
"""The same for spot's spelling."""
