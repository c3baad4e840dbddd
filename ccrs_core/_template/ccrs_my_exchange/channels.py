"""What My Exchange's frames say, declared once: decoding, fast paths and copies follow from it.

REPLACE BY YOUR EXCHANGE'S. Each shape says where an event's fields stand and of what kind they are
(https://ccrs.readthedocs.io/howto/channels): ``usual`` is a frame as the exchange really sends it.
What a shape can't say is a class instead, a ``StreamReader``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ccrs_core import BookUpdate, Channel, Side, TopOfBook, Trade
from ccrs_core.wire import (
    ROWS,
    Best,
    Choice,
    Count,
    Flag,
    Levels,
    Ms,
    Price,
    Shape,
    Size,
    Stream,
    Text,
)

SIDES = {"buy": Side.BUY, "sell": Side.SELL}

# Best prices; [] on a side without orders.
TOP_OF_BOOK = Shape(
    TopOfBook,
    usual=[
        (
            '{"topic":"top.BTC-USD","type":"top","n":41,"time":1767225600123,"bid":[["64999.90","0.25"]]'
            ',"ask":[["65000.10","1.5000"]]}'
        )
    ],
    fields={
        "exchange_time_ns": Ms("time"),
        "sequence": Count("n"),
        "bid": Best("bid"),
        "ask": Best("ask"),
    },
    numbered_by="sequence",
)

# Oldest first, as the exchange sends them; side is the taker's. A strange one takes none of the
# others away.
TRADES = Shape(
    Trade,
    usual=[
        (
            '{"topic":"trades.BTC-USD","type":"trades","trades":[{"id":"901","time":1767225600100,'
            '"side":"buy","price":"65000.10","size":"0.0125"}]}'
        )
    ],
    rows="trades",
    fields={
        "side": Choice(SIDES, "side"),
        "exchange_time_ns": Ms("time"),
        "trade_id": Text("id"),
        "price": Price("price"),
        "size": Size("size"),
    },
    told_apart_by=ROWS,
)

# The whole book at first, then changed levels with their new sizes; size 0 removes one. Each change
# names the update that it follows: a hole invalidates the book.
BOOK = Shape(
    BookUpdate,
    usual=[
        (
            '{"topic":"book.10.BTC-USD","type":"book","n":501,"time":1767225600220,"snapshot":false,'
            '"bids":[["64999.50","0"]],"asks":[["65000.10","1.2500"]]}'
        )
    ],
    fields={
        "exchange_time_ns": Ms("time"),
        "sequence": Count("n"),
        "snapshot": Flag("snapshot"),
        "bids": Levels("bids"),
        "asks": Levels("asks"),
        "previous_sequence": Count("n", minus=1, unless="snapshot"),
    },
    numbered_by="sequence",
)

# Switch channels on one by one. Each needs a sample as well: they wait in samples/later.
CHANNELS: Mapping[Channel, Stream] = {
    # Channel.TOP_OF_BOOK: Stream("top.{native}", TOP_OF_BOOK),
    # Channel.TRADES: Stream("trades.{native}", TRADES),
    # Channel.BOOK: Stream("book.{depth}.{native}", BOOK),
}
