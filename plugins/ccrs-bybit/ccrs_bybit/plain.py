"""Plain frames: the spelling that nearly all have, checked and taken apart by one pattern.

Matching costs about half of what parsing the JSON costs, and the values stay text until they are
read. A pattern takes nothing that the general decoder would refuse or understand otherwise; what it
doesn't take, the general decoder gets.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from ccrs_core.constructors import deferred_constructor
from ccrs_core.events import TopOfBook, Trade
from ccrs_core.model import NS_PER_MS, Side
from ccrs_core.wire import DECIMALS

_NUMBER = rb'"((?:0|[1-9]\d{0,20}+)(?:\.\d{1,20}+)?+)"'
_TIME = rb"[1-9]\d{12}"
_COUNT = rb"[1-9]\d{0,17}+"
_NAME = rb'"[\w.-]*+"'

_LEVEL = rb"\[\[" + _NUMBER + rb"," + _NUMBER + rb"\]\]"

TOP_OF_BOOK = re.compile(
    rb'","ts":' + _TIME + rb',"type":"snapshot","data":\{"s":' + _NAME + rb',"b":' + _LEVEL
    + rb',"a":' + _LEVEL + rb',"u":(' + _COUNT + rb'),"seq":' + _COUNT
    + rb'\},"cts":(' + _TIME + rb")\}"
)  # fmt: skip
"""What follows the topic. Groups: bid and ask, each price and size; u; cts."""

TRADE = re.compile(
    rb'","type":"snapshot","ts":' + _TIME + rb',"data":\[\{"T":(' + _TIME + rb'),"s":' + _NAME
    + rb',"S":"(Buy|Sell)","v":' + _NUMBER + rb',"p":' + _NUMBER + rb',"L":' + _NAME
    + rb',"i":"([\w-]++)","BT":(true|false),"RPI":(?:true|false),"seq":(' + _COUNT + rb")\}\]\}"
)  # fmt: skip
"""What follows the topic, for a frame of a single trade. Groups: T, S, v, p, i, BT, seq."""


def _top_of_book(match: re.Match[bytes]) -> tuple[Any, ...]:
    bid, bid_size, ask, ask_size, _, time = match.groups()
    size = Decimal(bid_size.decode())
    best_bid = (DECIMALS[bid.decode()], size) if size else (None, None)
    size = Decimal(ask_size.decode())
    best_ask = (DECIMALS[ask.decode()], size) if size else (None, None)
    return int(time) * NS_PER_MS, *best_bid, *best_ask


def _trade(match: re.Match[bytes]) -> tuple[Any, ...]:
    time, side, size, price, _, block, seq = match.groups()
    return (
        int(time) * NS_PER_MS,
        int(seq),
        DECIMALS[price.decode()],
        DECIMALS[size.decode()],
        Side.BUY if side == b"Buy" else Side.SELL,
        block == b"true",
    )


new_top_of_book = deferred_constructor(
    TopOfBook,
    ["exchange_time_ns", "bid_price", "bid_size", "ask_price", "ask_size"],
    _top_of_book,
)
"""Takes exchange, symbol, time of receipt, sequence and a match of ``TOP_OF_BOOK``."""

new_trade = deferred_constructor(
    Trade, ["exchange_time_ns", "sequence", "price", "size", "side", "block"], _trade
)
"""Takes exchange, symbol, time of receipt, trade id and a match of ``TRADE``."""
