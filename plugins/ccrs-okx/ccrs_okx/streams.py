"""What the frames of each channel say. One stream per subscribed topic of one connection.

``decode`` takes a parsed frame and raises one of ``MALFORMED`` where it is malformed; the codec
turns that into ``DecodeError``. Levels are ``[price, size, "0", orders]``.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from ccrs_core import (
    NS_PER_MS,
    BookUpdate,
    Candle,
    Data,
    Funding,
    Instrument,
    LeftOut,
    Level,
    Liquidation,
    Market,
    MarkPrice,
    Message,
    Side,
    Subscription,
    Ticker,
    TopOfBook,
    Trade,
    Unrecognised,
)
from ccrs_core.wire import (
    MALFORMED,
    PRICES,
    decimal_or_none,
    fast_constructor,
    later,
    ns_of_ms,
    ns_or_none,
    price,
    price_or_none,
    size_or_none,
    whole,
)
from ccrs_okx.plain import (
    RETAIL,
    TOP_OF_BOOK,
    TRADE,
    top_of_book_constructor,
    trade_constructor,
)
from ccrs_okx.sizes import sizes_of

_new_top_of_book = fast_constructor(TopOfBook)
_new_book_update = fast_constructor(BookUpdate)
_new_trade = fast_constructor(Trade)

SIDES = {"buy": Side.BUY, "sell": Side.SELL}


def levels(rows: Any, sizes: Mapping[str, Decimal]) -> tuple[Level, ...]:
    """Levels as they are sent, size zero for those that are gone."""
    if type(rows) is not list:
        raise TypeError("levels aren't a list")
    return tuple(
        [(PRICES[row[0]], sizes[row[1]]) if type(row) is list else _no_level() for row in rows]
    )


def _no_level() -> Level:
    raise TypeError("a level isn't a list")


def best(rows: Any, sizes: Mapping[str, Decimal]) -> tuple[Decimal, Decimal] | tuple[None, None]:
    """The first of some levels; nothing where a side has none, or one of size zero."""
    if type(rows) is not list:
        raise TypeError("levels aren't a list")
    if not rows:
        return None, None
    row = rows[0]
    if type(row) is not list:
        raise TypeError("a level isn't a list")
    size = sizes[row[1]]
    return (PRICES[row[0]], size) if size else (None, None)


class Stream(ABC):
    """Decoder of one topic, with what it must remember of the connection's earlier frames."""

    number: ClassVar[bytes | None] = None
    """The key of the number that rises from frame to frame, for racing."""
    name: ClassVar[bytes | None] = None
    """The key of what identifies a frame, for racing."""

    def __init__(self, topic: str, subscription: Subscription) -> None:
        self.topic = topic
        self.instrument: Instrument = subscription.instrument
        self.exchange = subscription.instrument.exchange
        self.symbol = subscription.instrument.symbol
        self.sizes = sizes_of(subscription.instrument)

    @abstractmethod
    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        """The messages of one frame of this topic."""

    def decode_plain(
        self, frame: bytes, start: int, received_time_ns: int
    ) -> Sequence[Message] | None:
        """The messages of a frame in its usual spelling, from the end of its ``arg`` on; None
        where it is spelled otherwise."""
        return None

    def unknown(self, what: object) -> tuple[Unrecognised]:
        """For frames that say something new, which is not an error."""
        return (Unrecognised(f"{self.topic}: {what}"[:200]),)


def rows_of(frame: Any) -> list[Any]:
    """A frame's data."""
    rows = frame["data"]
    if type(rows) is not list:
        raise TypeError("data isn't a list")
    return rows


def number_of(row: Mapping[str, Any], key: str) -> int | None:
    """A sequence number; None where there is none, as in frames of 2022."""
    return whole(row[key]) if key in row else None


class TopOfBookStream(Stream):
    """``bbo-tbt``: best bid and ask, whole, on change and at most every 10 ms.

    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
    """

    number: ClassVar[bytes | None] = b'"seqId":'

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._new = top_of_book_constructor()

    def decode_plain(
        self, frame: bytes, start: int, received_time_ns: int, match: Any = TOP_OF_BOOK.fullmatch
    ) -> Sequence[Message] | None:
        try:
            found = match(frame.decode(), start)
        except UnicodeDecodeError:
            return None
        if found is None:
            return None
        number = int(found[6])
        event = self._new(self.exchange, self.symbol, received_time_ns, number, (found, self.sizes))
        return (Data(self.topic, (event,), number, False, True),)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        rows = rows_of(frame)
        return [self._told(row, received_time_ns, len(rows) == 1) for row in rows] or (
            self.unknown("no data")
        )

    def _told(self, row: Any, received_time_ns: int, alone: bool) -> Data:
        number = number_of(row, "seqId")
        bid_price, bid_size = best(row["bids"], self.sizes)
        ask_price, ask_size = best(row["asks"], self.sizes)
        event = _new_top_of_book(
            self.exchange,
            self.symbol,
            ns_of_ms(row["ts"]),
            received_time_ns,
            number,
            bid_price,
            bid_size,
            ask_price,
            ask_size,
        )
        return Data(self.topic, (event,), number, False, alone and number is not None)


class BookStream(Stream):
    """``books`` and its faster kin: the whole book once, then changes, each of which names the
    number of the one before. ``seqId`` below ``prevSeqId``: OKX counts anew.

    An update without change comes every 60 s, its numbers being the last one's. Until 2023 there
    were no numbers, but a checksum, which is 0 by now: such frames are counted per connection.
    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel
    """

    number: ClassVar[bytes | None] = b'"seqId":'

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._count = 0

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        action, rows = frame["action"], rows_of(frame)
        snapshot = action == "snapshot"
        if not snapshot and action != "update":
            return self.unknown(f"action {action}")
        if len(rows) == 1:
            return (self._told(rows[0], snapshot, received_time_ns, True),)
        return [self._told(row, snapshot, received_time_ns, False) for row in rows] or (
            self.unknown("no data")
        )

    def _told(self, row: Any, snapshot: bool, received_time_ns: int, alone: bool) -> Data:
        number = whole(row["seqId"]) if "seqId" in row else None
        bids, asks = levels(row["bids"], self.sizes), levels(row["asks"], self.sizes)
        checksum = whole(row.get("checksum", 0)) or None
        time_ns = ns_of_ms(row["ts"])
        previous = None
        numbered = number is not None
        if number is None:
            previous, number = self._count, self._count + 1
            self._count = number
        elif not snapshot:
            previous = whole(row["prevSeqId"])
        event = _new_book_update(
            self.exchange,
            self.symbol,
            time_ns,
            received_time_ns,
            number,
            snapshot,
            bids,
            asks,
            None if snapshot else previous,
            checksum,
        )
        restart = not snapshot and previous is not None and number < previous
        return Data(self.topic, (event,), number, restart, alone and numbered)


class ShallowBookStream(Stream):
    """``books5``: the best five levels, whole, when they have changed, at most every 100 ms.

    Frames of 2022 have no number; their time does as one.
    """

    number: ClassVar[bytes | None] = b'"seqId":'

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        rows = rows_of(frame)
        return [self._told(row, received_time_ns, len(rows) == 1) for row in rows] or (
            self.unknown("no data")
        )

    def _told(self, row: Any, received_time_ns: int, alone: bool) -> Data:
        number, time_ns = number_of(row, "seqId"), ns_of_ms(row["ts"])
        numbered = number is not None
        if number is None:
            number = time_ns // NS_PER_MS
        event = _new_book_update(
            self.exchange,
            self.symbol,
            time_ns,
            received_time_ns,
            number,
            True,
            levels(row["bids"], self.sizes),
            levels(row["asks"], self.sizes),
        )
        return Data(self.topic, (event,), number, False, alone and numbered)


class TradeStream(Stream):
    """``trades-all``: each trade by itself; also ``trades``, where it is recorded, whose trades are
    what one taker order traded at one price. ``side`` is the taker's.

    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-all-trades-channel
    """

    name: ClassVar[bytes | None] = b'"tradeId":"'

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._new = trade_constructor()

    def decode_plain(
        self, frame: bytes, start: int, received_time_ns: int, match: Any = TRADE.fullmatch
    ) -> Sequence[Message] | None:
        try:
            found = match(frame.decode(), start)
        except UnicodeDecodeError:
            return None
        if found is None:
            return None
        number = found[9]
        event = self._new(
            self.exchange,
            self.symbol,
            received_time_ns,
            None if number is None else int(number),
            found[1],
            False,
            (found, self.sizes),
        )
        return (Data(self.topic, (event,)),)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        events = []
        messages: list[Message] = []
        for row in rows_of(frame):
            side, trade_id = SIDES.get(row["side"]), row["tradeId"]
            if side is None:
                messages += self.unknown(f"side {row['side']}")
                continue
            if type(trade_id) is not str or not trade_id:
                raise TypeError("tradeId isn't text")
            events.append(
                _new_trade(
                    self.exchange,
                    self.symbol,
                    ns_of_ms(row["ts"]),
                    received_time_ns,
                    number_of(row, "seqId"),
                    trade_id,
                    PRICES[row["px"]],
                    self.sizes[row["sz"]],
                    side,
                    False,
                    retail(row),
                )
            )
        if events:
            messages.append(Data(self.topic, tuple(events)))
        return messages or self.unknown("no trades")


def retail(row: Mapping[str, Any]) -> bool | None:
    """Whether a trade was made by an order of the retail price improvement programme, which public
    books leave out; None where OKX doesn't say, as in frames of 2022, or says something new."""
    source = row.get("source")
    return RETAIL.get(source) if type(source) is str else None


class TickerStream(Stream):
    """``tickers``: the last 24 hours, whole, on change and at most every 100 ms.

    Volumes of derivatives are in contracts; their ``volCcy24h`` is in base units.
    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-tickers-channel
    """

    number: ClassVar[bytes | None] = b'"ts":"'

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        rows = rows_of(frame)
        return [self._told(row, received_time_ns, len(rows) == 1) for row in rows] or (
            self.unknown("no data")
        )

    def _told(self, row: Any, received_time_ns: int, alone: bool) -> Data:
        time_ns = ns_of_ms(row["ts"])
        bid_price, bid_size = self._quote(row, "bid")
        ask_price, ask_size = self._quote(row, "ask")
        volume = row.get("vol24h")
        event = Ticker(
            self.exchange,
            self.symbol,
            time_ns,
            received_time_ns,
            None,
            last_price=price_or_none(row.get("last")),
            bid_price=bid_price,
            bid_size=bid_size,
            ask_price=ask_price,
            ask_size=ask_size,
            open_price=price_or_none(row.get("open24h")),
            high_price=price_or_none(row.get("high24h")),
            low_price=price_or_none(row.get("low24h")),
            volume=None if volume in {None, ""} else self.sizes[volume],
            turnover=turnover_of(self.instrument, row.get("volCcy24h"), None),
        )
        return Data(self.topic, (event,), time_ns // NS_PER_MS, False, alone)

    def _quote(self, row: Any, side: str) -> tuple[Decimal, Decimal] | tuple[None, None]:
        price, size = row.get(f"{side}Px"), row.get(f"{side}Sz")
        if price in {None, ""} or size in {None, ""}:
            return None, None
        number = self.sizes[size]
        return (PRICES[price], number) if number else (None, None)


def turnover_of(instrument: Instrument, in_currency: Any, in_quote: Any) -> Decimal | None:
    """What was traded: in the quote currency, of inverse contracts in the coin that settles them.

    OKX's ``volCcy`` is in the quote currency on spot, elsewhere in the base currency;
    ``volCcyQuote`` is in the quote currency. Of options neither is what was paid.
    """
    if instrument.market in {Market.SPOT, Market.INVERSE}:
        return size_or_none(in_currency)
    return size_or_none(in_quote) if instrument.market is Market.LINEAR else None


class CandleStream(Stream):
    """``candle1m`` and kin: the open candle as it changes, at most every second, and once more as
    it closes. ``[open time, o, h, l, c, vol, volCcy, volCcyQuote, confirm]``; seven columns in 2022

    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-candlesticks-channel
    """

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._interval = subscription.interval or ""
        self._top = -1
        self._last: list[Any] | None = None
        """The state that has grown furthest on this connection."""

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        messages: list[Message] = []
        for row in rows_of(frame):
            candle = candle_of(self.instrument, self._interval, row, received_time_ns, self.sizes)
            if candle is None:
                messages += self.unknown("a candle neither open nor closed")
            else:
                messages.append(Data(self.topic, (candle,), self._identity(candle, row)))
        return messages or self.unknown("no candles")

    def _identity(self, candle: Candle, row: list[Any]) -> int | bytes:
        """What tells a state of a candle from others. OKX numbers none, so that growth orders them;
        a state that hasn't grown beyond those before it but differs is told by all that it says."""
        growth = _growth(candle)
        if growth > self._top or row == self._last:
            self._top, self._last = growth, row
            return growth
        return _digest(row)


CLOSED = {"0": False, "1": True}


def candle_of(
    instrument: Instrument,
    interval: str,
    row: Any,
    received_time_ns: int,
    sizes: Mapping[str, Decimal],
) -> Candle | None:
    """A candle; None where it says neither that it is closed nor that it isn't."""
    if type(row) is not list:
        raise TypeError("a candle isn't a list")
    open_ns = ns_of_ms(row[0])
    closed = CLOSED.get(row[8]) if len(row) > 8 else False
    if closed is None:
        return None
    return Candle(
        instrument.exchange,
        instrument.symbol,
        None,
        received_time_ns,
        interval,
        open_ns,
        later(open_ns, interval, 1),
        price(row[1]),
        price(row[2]),
        price(row[3]),
        price(row[4]),
        sizes[row[5]],
        turnover_of(instrument, row[6], row[7] if len(row) > 8 else None),
        closed,
    )


def _growth(candle: Candle) -> int:
    """A number that rises as a candle grows, the same on all connections: its open time, about its
    volume, and whether it is closed. States that differ a little may share one."""
    grown = 0
    if candle.volume > 0:
        text = "".join(map(str, candle.volume.as_tuple().digits[:9]))
        grown = (candle.volume.adjusted() + 20) * 10**9 + int(text.ljust(9, "0"))
    # Notices show it: it must fit 63 bits.
    grown = min(max(grown, 0), 2**36 - 1)
    return candle.open_time_ns // (60_000 * NS_PER_MS) << 37 | grown << 1 | candle.closed


def _digest(values: Iterable[Any]) -> bytes:
    """What tells a state from all others, the same on all connections."""
    text = "\x00".join(map(str, values))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class FundingStream(Stream):
    """``funding-rate``: every 30 to 90 s, the rate that will be paid at ``fundingTime``.

    https://www.okx.com/docs-v5/en/#public-data-websocket-funding-rate-channel
    """

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        messages: list[Message] = []
        for row in rows_of(frame):
            time_ns = ns_or_none(row.get("ts"))
            rate = decimal_or_none(row.get("fundingRate"))
            if rate is None:
                # A contract that has just been listed.
                messages += self.unknown("no rate yet")
                continue
            event = Funding(
                self.exchange,
                self.symbol,
                time_ns,
                received_time_ns,
                rate,
                ns_or_none(row.get("fundingTime")),
            )
            number = None if time_ns is None else time_ns // NS_PER_MS
            messages.append(Data(self.topic, (event,), number))
        return messages or self.unknown("no data")


class MarkPriceStream(Stream):
    """``mark-price``: every 200 ms while it changes, every 10 s while it doesn't. No index.

    https://www.okx.com/docs-v5/en/#public-data-websocket-mark-price-channel
    """

    number: ClassVar[bytes | None] = b'"ts":"'

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        # An option may be worth nothing; nothing else is.
        option = self.instrument.market is Market.OPTION
        self._read = size_or_none if option else price_or_none

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        messages: list[Message] = []
        for row in rows_of(frame):
            time_ns = ns_of_ms(row["ts"])
            marked = self._read(row.get("markPx"))
            if marked is None:
                messages += self.unknown("no price yet")
                continue
            event = MarkPrice(self.exchange, self.symbol, time_ns, received_time_ns, marked, None)
            messages.append(Data(self.topic, (event,), time_ns // NS_PER_MS))
        return messages or self.unknown("no data")


class LiquidationStream(Stream):
    """The part of ``liquidation-orders`` that is about one instrument; OKX sends a whole type's.

    ``side`` is that of the order that closes the position: a buy liquidates a short. OKX numbers
    none, and several may share a time: copies are told by all that is said of one.
    https://www.okx.com/docs-v5/en/#public-data-websocket-liquidation-orders-channel
    """

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        found: list[tuple[Liquidation, bytes]] = []
        messages: list[Message] = []
        times: dict[bytes, int] = {}
        for row in rows_of(frame):
            if row["instId"] != self.instrument.native:
                continue
            for detail in row["details"]:
                try:
                    event = self._told(detail, received_time_ns)
                except MALFORMED as error:
                    # It takes none of the others away, which may be of other instruments.
                    messages.append(LeftOut(self.topic, f"{error!r} in {detail!r}"[:200]))
                    continue
                if event is None:
                    messages += self.unknown(f"side {detail['side']}")
                    continue
                said = _digest((detail["ts"], detail["side"], detail["bkPx"], detail["sz"]))
                # What one frame says twice has happened twice.
                times[said] = again = times.get(said, -1) + 1
                found.append((event, said + again.to_bytes(2, "big")))
        found.sort(key=_time_of)
        messages += [Data(self.topic, (event,), identity) for event, identity in found]
        return messages

    def _told(self, detail: Any, received_time_ns: int) -> Liquidation | None:
        side = SIDES.get(detail["side"])
        if side is None:
            return None
        return Liquidation(
            self.exchange,
            self.symbol,
            ns_of_ms(detail["ts"]),
            received_time_ns,
            Side.SELL if side is Side.BUY else Side.BUY,
            price(detail["bkPx"]),
            self.sizes[detail["sz"]],
        )


def _time_of(found: tuple[Liquidation, bytes]) -> int:
    time_ns = found[0].exchange_time_ns
    assert time_ns is not None
    return time_ns


def liquidations(
    streams: Iterable[LiquidationStream], frame: Any, received_time_ns: int
) -> Sequence[Message]:
    """What a frame of a whole type says of those instruments that are wanted."""
    rows = rows_of(frame)
    found: list[Message] = []
    for stream in streams:
        found += stream.decode(frame, received_time_ns)
    return found or (Unrecognised(f"liquidations of {len(rows)} other instruments"),)
