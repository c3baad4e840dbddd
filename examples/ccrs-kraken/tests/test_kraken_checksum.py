"""The book's checksum, and what else is Kraken's own."""

import json
from decimal import Decimal
from typing import Any

from ccrs_kraken import Kraken

from ccrs_core import (
    BookState,
    BookUpdate,
    Channel,
    Data,
    Instrument,
    Market,
    OrderBook,
    Reason,
    Subscription,
)

# The worked example of https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2
ASKS = """45285.2 0.00100000  45286.4 1.54571953  45286.6 1.54571109  45289.6 1.54560911
    45290.2 0.15890660  45291.8 1.54553491  45294.7 0.04454749  45296.1 0.35380000
    45297.5 0.09945542  45299.5 0.18772827"""
BIDS = """45283.5 0.10000000  45283.4 1.54582015  45282.1 0.10000000  45281.0 0.10000000
    45280.3 1.54592586  45279.0 0.07990000  45277.6 0.03310103  45277.5 0.30000000
    45277.3 1.54602737  45276.6 0.15445238"""
CHECKSUM = 3310070434


def levels(text: str) -> list[tuple[str, str]]:
    words = text.split()
    return list(zip(words[::2], words[1::2], strict=True))


def trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".")


def subscription(depth: int = 10, **fields: Any) -> Subscription:
    instrument = Instrument(
        exchange="kraken", symbol="BTC/USD", native="BTC/USD", market=Market.SPOT, base="BTC",
        quote="USD", **fields,
    )  # fmt: skip
    return Subscription(Channel.BOOK, instrument, depth)


PRECISE: dict[str, Any] = {"tick_size": Decimal("0.1"), "lot_size": Decimal("0.00000001")}


def frame(kind: str, bids: Any, asks: Any, checksum: int) -> bytes:
    sides = (
        ",".join(f'{{"price":{price},"qty":{qty}}}' for price, qty in side) for side in (bids, asks)
    )
    row = '"symbol":"BTC/USD","bids":[{}],"asks":[{}],"checksum":{}'.format(*sides, checksum)
    return f'{{"channel":"book","type":"{kind}","data":[{{{row}}}]}}'.encode()


def update(codec: Any, wire: bytes) -> BookUpdate:
    (data,) = codec.decode(wire, 0)
    assert isinstance(data, Data)
    (event,) = data.events
    assert isinstance(event, BookUpdate)
    return event


def connected(sub: Subscription) -> tuple[Any, OrderBook]:
    exchange = Kraken()
    codec = exchange.codec(exchange.route(sub))
    codec.subscribe([sub], "1")
    return codec, OrderBook("BTC/USD", depth=sub.depth, checksum=exchange.checksum(sub))


def test_the_documented_example_has_the_documented_checksum() -> None:
    codec, book = connected(subscription(**PRECISE))
    book.apply(update(codec, frame("snapshot", levels(BIDS), levels(ASKS), CHECKSUM)))
    assert book.state is BookState.VALID


def test_trailing_zeros_that_the_wire_leaves_out_come_from_the_pairs_precision() -> None:
    bids, asks = ([(trimmed(p), trimmed(s)) for p, s in levels(t)] for t in (BIDS, ASKS))
    assert ("45281", "0.1") in bids
    codec, book = connected(subscription(**PRECISE))
    book.apply(update(codec, frame("snapshot", bids, asks, CHECKSUM)))
    assert book.state is BookState.VALID


def test_the_digits_on_the_wire_do_where_the_pairs_precision_is_unknown() -> None:
    codec, book = connected(subscription())
    book.apply(update(codec, frame("snapshot", levels(BIDS), levels(ASKS), CHECKSUM)))
    assert book.state is BookState.VALID


def test_another_checksum_makes_the_book_invalid() -> None:
    codec, book = connected(subscription(**PRECISE))
    book.apply(update(codec, frame("snapshot", levels(BIDS), levels(ASKS), CHECKSUM + 1)))
    assert (book.state, book.reason) == (BookState.INVALID, Reason.CHECKSUM)


def test_levels_pushed_out_of_the_depth_are_dropped_before_the_checksum() -> None:
    sub = subscription(**PRECISE)
    codec, book = connected(sub)
    kept = [*levels(BIDS)[1:], ("45270.0", "9.00000000")]
    before = OrderBook("BTC/USD", depth=10)
    before.apply(update(codec, frame("snapshot", kept, levels(ASKS), 0)))
    checksum = Kraken().checksum(sub)(before)
    book.apply(update(codec, frame("snapshot", kept, levels(ASKS), checksum)))
    better = levels(BIDS)[:1]
    book.apply(update(codec, frame("update", better, [], CHECKSUM)))
    assert book.state is BookState.VALID
    assert len(book.bids()) == 10


def test_books_of_different_depths_never_share_a_connection() -> None:
    exchange = Kraken()
    depths = exchange.capabilities.book_depths[Market.SPOT]
    assert len({exchange.route(subscription(depth)) for depth in depths}) == len(depths)


def test_a_request_names_channel_and_depth_once_and_all_pairs() -> None:
    sub = subscription(25)
    codec = Kraken().codec(Kraken().route(sub))
    assert json.loads(codec.subscribe([sub], "3")) == {
        "method": "subscribe",
        "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 25},
        "req_id": 3,
    }
