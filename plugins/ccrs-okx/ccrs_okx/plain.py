"""Plain frames: the spelling that nearly all have, checked and taken apart by one pattern.

Matching costs about half of what parsing the JSON costs, and the values stay text until they are
read. A pattern takes nothing that the general decoder would refuse or understand otherwise; what it
doesn't take, the general decoder gets. https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ccrs_core import NS_PER_MS, Side, TopOfBook, Trade
from ccrs_core.wire import PRICES, deferred_constructors

# Sizes may be multiplied with a contract's value: short enough to stay plausible then.
_NUMBER = r'"((?:0|[1-9]\d{0,20}+)(?:\.\d{1,20}+)?+)"'
# A price of nothing is none.
_PRICE = r'"([1-9]\d{0,20}+(?:\.\d{1,20}+)?+|0\.(?!0*+")\d{1,20}+)"'
_TIME = r'"([1-4]\d{12})"'
_COUNT = r"([1-9]\d{0,17}+)"
_NAME = r'"[\w.-]*+"'

# Something or nothing costs less than something that is optional.
_LEVEL = r"\[(?:\[" + _PRICE + r"," + _NUMBER + r',"0","\d{1,9}+"\]|)\]'

TOP_OF_BOOK = re.compile(
    r',"data":\[\{"asks":' + _LEVEL + r',"bids":' + _LEVEL + r',"ts":' + _TIME
    + r',"seqId":' + _COUNT + r"\}\]\}",
    re.ASCII,
)  # fmt: skip
"""What follows ``arg``. Groups: ask and bid, each price and size, None where a side has none; ts;
seqId."""

TRADE = re.compile(
    r',"data":\[\{"instId":' + _NAME + r',"tradeId":"([1-9]\d{0,24}+)","px":' + _PRICE
    + r',"sz":' + _NUMBER + r',"side":"(buy|sell)"(?:,"source":"(\d{1,4}+)","ts":' + _TIME
    + r'|,"ts":' + _TIME + r'(?:,"count":"\d{1,9}+")?(?:,"source":"(\d{1,4}+)")?(?:,"seqId":'
    + _COUNT + r")?)\}\]\}",
    re.ASCII,
)  # fmt: skip
"""What follows ``arg``, for a frame of a single trade: of ``trades-all``, and of ``trades`` as it
has been spelled since 2022. Groups: tradeId, px, sz, side; source and ts, or ts, source, seqId."""

RETAIL = {"0": False, "1": True}
"""Whether a ``source`` is an order of the retail price improvement programme; nothing is known of
others. https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-all-trades-channel"""

_Wire = tuple[re.Match[str], Mapping[str, Decimal]]
"""A match, and the sizes by their text."""


def _top_of_book(wire: _Wire) -> tuple[Any, ...]:
    match, sizes = wire
    ask, ask_size, bid, bid_size, time, _ = match.groups()
    size = sizes[bid_size] if bid else None
    best_bid = (PRICES[bid], size) if size else (None, None)
    size = sizes[ask_size] if ask else None
    best_ask = (PRICES[ask], size) if size else (None, None)
    return int(time) * NS_PER_MS, *best_bid, *best_ask


def _trade(wire: _Wire) -> tuple[Any, ...]:
    match, sizes = wire
    _, price, size, side, source, time, later, other, _ = match.groups()
    source = source or other
    return (
        int(time or later) * NS_PER_MS,
        PRICES[price],
        sizes[size],
        Side.BUY if side == "buy" else Side.SELL,
        RETAIL.get(source),
    )


top_of_book_constructor = deferred_constructors(
    TopOfBook,
    ["exchange_time_ns", "bid_price", "bid_size", "ask_price", "ask_size"],
    _top_of_book,
)
"""Makes constructors; they take exchange, symbol, time of receipt, sequence and the match."""

trade_constructor = deferred_constructors(
    Trade, ["exchange_time_ns", "price", "size", "side", "rpi"], _trade
)
"""Makes constructors; they take exchange, symbol, time of receipt, sequence, trade id, whether it
is a block trade, and the match."""
