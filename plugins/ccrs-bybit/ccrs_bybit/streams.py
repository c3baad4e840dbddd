"""What the frames of each topic say. One stream per subscribed topic of one connection.

``decode`` takes a parsed frame and raises one of :data:`MALFORMED` where it is malformed; the codec
turns that into ``DecodeError``. Top of book, books and trades are the hot path: each field is
touched once, and events are built positionally.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ccrs_bybit.plain import (
    CONTRACT_TRADE,
    SPOT_TRADE,
    TOP_OF_BOOK,
    contract_trade_constructor,
    spot_trade_constructor,
    top_of_book_constructor,
)
from ccrs_core import (
    NS_PER_MS,
    BookUpdate,
    Candle,
    Data,
    LeftOut,
    Liquidation,
    Message,
    Side,
    Subscription,
    TopOfBook,
    Trade,
    Unrecognised,
)
from ccrs_core.wire import (
    MALFORMED,
    PRICES,
    SIZES,
    fast_constructor,
    fresh_size,
    later,
    ns_of_ms,
    price,
)

_new_top_of_book = fast_constructor(TopOfBook)
_new_book_update = fast_constructor(BookUpdate)
_new_trade = fast_constructor(Trade)

SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}


class Stream(ABC):
    """Decoder of one topic, with what it must remember of the connection's earlier frames."""

    __slots__ = ("exchange", "symbol", "topic")

    def __init__(self, topic: str, subscription: Subscription) -> None:
        self.topic = topic
        self.exchange = subscription.instrument.exchange
        self.symbol = subscription.instrument.symbol

    @abstractmethod
    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        """The messages of one frame of this topic."""

    def unknown(self, what: object) -> tuple[Unrecognised]:
        """For frames that say something new, which is not an error."""
        return (Unrecognised(f"{self.topic}: {what}"[:200]),)


def left(rows: list[Any]) -> list[Any]:
    """Of a side's levels, best first, those that aren't deleted; all where none is left."""
    return [row for row in rows if fresh_size(row[1])] or rows


class TopOfBookStream(Stream):
    """``orderbook.1``: snapshots, repeated with the same ``u`` every 3 s while nothing changes.

    Until 2023 Bybit sent deltas here too, in which a side without change was left empty. They are
    completed from the update before, where this connection decoded exactly that one.
    https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
    """

    __slots__ = ("_last", "_new")

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._new = top_of_book_constructor()
        self._last: TopOfBook | None = None

    def decode_plain(
        self, frame: bytes, start: int, received_time_ns: int, match: Any = TOP_OF_BOOK.fullmatch
    ) -> Sequence[Message] | None:
        try:
            found = match(frame.decode(), start)
        except UnicodeDecodeError:
            return None
        if found is None:
            return None
        u = int(found[5])
        self._last = event = self._new(self.exchange, self.symbol, received_time_ns, u, found)
        return (Data(self.topic, (event,), u, u == 1, True),)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        data = frame["data"]
        u = data["u"]
        time = frame["cts"] if "cts" in frame else frame["ts"]
        bids = data["b"]
        asks = data["a"]
        if type(u) is not int or type(bids) is not list or type(asks) is not list:
            raise TypeError("u or a side is of the wrong type")
        last = None
        if frame["type"] != "snapshot" and u != 1:
            if frame["type"] != "delta":
                return self.unknown(f"type {frame['type']}")
            last = self._last
            if last is None or last.sequence != u - 1:
                last = None
                if not (bids and asks):
                    return self.unknown("delta without the update before it")
        # A delta may delete the best level and bring the next one in the same side.
        if len(bids) > 1:
            bids = left(bids)
        if len(asks) > 1:
            asks = left(asks)
        # Both sides alike, spelled out: a call per side would cost more than what it does.
        if bids:
            text, size = bids[0]
            bid_size: Any = fresh_size(size)
            bid_price: Any = price(text) if bid_size else None
            if not bid_size:
                bid_size = None
        elif last is None:
            bid_price = bid_size = None
        else:
            bid_price, bid_size = last.bid_price, last.bid_size
        if asks:
            text, size = asks[0]
            ask_size: Any = fresh_size(size)
            ask_price: Any = price(text) if ask_size else None
            if not ask_size:
                ask_size = None
        elif last is None:
            ask_price = ask_size = None
        else:
            ask_price, ask_size = last.ask_price, last.ask_size
        self._last = event = _new_top_of_book(
            self.exchange,
            self.symbol,
            ns_of_ms(time),
            received_time_ns,
            u,
            bid_price,
            bid_size,
            ask_price,
            ask_size,
        )
        # u == 1: the service restarted and counts anew.
        return (Data(self.topic, (event,), u, u == 1),)


class BookStream(Stream):
    """``orderbook.50`` and deeper: a snapshot, then deltas whose ``u`` rises by one.

    A further snapshot replaces the book; one with ``u == 1`` says that the service restarted.
    https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook
    """

    __slots__ = ()

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        data = frame["data"]
        u = data["u"]
        time = frame["cts"] if "cts" in frame else frame["ts"]
        bids = data["b"]
        asks = data["a"]
        if type(u) is not int or type(bids) is not list or type(asks) is not list:
            raise TypeError("u or a side is of the wrong type")
        snapshot = frame["type"] == "snapshot" or u == 1
        if not snapshot and frame["type"] != "delta":
            return self.unknown(f"type {frame['type']}")
        event = _new_book_update(
            self.exchange,
            self.symbol,
            ns_of_ms(time),
            received_time_ns,
            u,
            snapshot,
            tuple([(PRICES[at], SIZES[much]) for at, much in bids]),
            tuple([(PRICES[at], SIZES[much]) for at, much in asks]),
            None if snapshot else u - 1,
        )
        return (Data(self.topic, (event,), u, u == 1, True),)


class TradeStream(Stream):
    """``publicTrade``: oldest first; copies are recognised by trade id.

    A message may be one of several with the same ``seq``, so that the number identifies neither
    trades nor messages. https://bybit-exchange.github.io/docs/v5/websocket/public/trade
    """

    __slots__ = ("_new", "_new_of_spot")

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._new = contract_trade_constructor()
        self._new_of_spot = spot_trade_constructor()

    def decode_plain(
        self,
        frame: bytes,
        start: int,
        received_time_ns: int,
        contract: Any = CONTRACT_TRADE.fullmatch,
        spot: Any = SPOT_TRADE.fullmatch,
    ) -> Sequence[Message] | None:
        try:
            text = frame.decode()
        except UnicodeDecodeError:
            return None
        # The wrong one of the two fails within five characters.
        found = contract(text, start)
        if found is not None:
            event = self._new(self.exchange, self.symbol, received_time_ns, found[5], found)
            return (Data(self.topic, (event,)),)
        found = spot(text, start)
        if found is None:
            return None
        event = self._new_of_spot(self.exchange, self.symbol, received_time_ns, found[1], found)
        return (Data(self.topic, (event,)),)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        events = []
        messages: list[Message] = []
        prices, sizes = PRICES, SIZES
        for row in frame["data"]:
            side = SIDES.get(row["S"])
            trade_id = row["i"]
            seq = row.get("seq")
            time = row["T"]
            rpi = row.get("RPI")
            if side is None:
                messages += self.unknown(f"side {row['S']}")
                continue
            if type(trade_id) is not str or (type(seq) is not int and seq is not None):
                raise TypeError("trade id or seq is of the wrong type")
            events.append(
                _new_trade(
                    self.exchange,
                    self.symbol,
                    ns_of_ms(time),
                    received_time_ns,
                    seq,
                    trade_id,
                    prices[row["p"]],
                    sizes[row["v"]],
                    side,
                    row.get("BT") is True,
                    rpi if type(rpi) is bool else None,
                )
            )
        if events:
            messages.append(Data(self.topic, tuple(events)))
        return messages or self.unknown("no trades")


class LiquidationStream(Stream):
    """``allLiquidation``: every liquidation, in batches twice a second.

    ``S`` is the side of the position: "Buy" means that a long was liquidated; ``p`` is the
    bankruptcy price. https://bybit-exchange.github.io/docs/v5/websocket/public/all-liquidation
    """

    __slots__ = ()

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        events: list[Liquidation] = []
        messages: list[Message] = []
        for row in frame["data"]:
            try:
                side = SIDES.get(row["S"])
                if side is None:
                    messages += self.unknown(f"side {row['S']}")
                    continue
                event = Liquidation(
                    self.exchange,
                    self.symbol,
                    ns_of_ms(row["T"]),
                    received_time_ns,
                    side,
                    PRICES[row["p"]],
                    SIZES[row["v"]],
                )
            except MALFORMED as error:
                # Nothing follows from one to the next: it takes none of the others away.
                if events:
                    messages.append(Data(self.topic, tuple(events)))
                    events.clear()
                messages.append(LeftOut(self.topic, f"{error!r} in {row!r}"[:200]))
                continue
            events.append(event)
        if events:
            messages.append(Data(self.topic, tuple(events)))
        return messages or self.unknown("no liquidations")


class CandleStream(Stream):
    """``kline``: the open candle every 1-60 s, and once more when it has closed.

    https://bybit-exchange.github.io/docs/v5/websocket/public/kline
    """

    __slots__ = ("_interval",)

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._interval = subscription.interval or ""

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        time = ns_of_ms(frame["ts"])
        events = []
        sequence = 0
        for row in frame["data"]:
            start = ns_of_ms(row["start"])
            closed = row["confirm"]
            if type(closed) is not bool:
                raise TypeError("confirm isn't true or false")
            events.append(
                Candle(
                    self.exchange,
                    self.symbol,
                    time,
                    received_time_ns,
                    self._interval,
                    start,
                    later(start, self._interval, 1),
                    PRICES[row["open"]],
                    PRICES[row["high"]],
                    PRICES[row["low"]],
                    PRICES[row["close"]],
                    SIZES[row["volume"]],
                    SIZES[row["turnover"]],
                    closed,
                )
            )
            sequence = max(sequence, _candle_sequence(start, row, time, closed))
        return (Data(self.topic, events, sequence),) if events else self.unknown("no candles")


def _candle_sequence(start_ns: int, row: Any, time_ns: int, closed: bool) -> int:
    """A number that rises from one state of a candle to the next, equal on all connections.

    Bybit doesn't number candles. A state is later than another one where ``timestamp``, the time of
    the last trade in it, or the time of the frame is, and neither falls: so their sum tells states
    apart, even where several trades of one millisecond are told in two frames. Closing comes last.
    All intervals are whole minutes, and the longest has fewer than 2^32 milliseconds, so that this
    stays below 2^63.
    """
    start_ms = start_ns // NS_PER_MS
    last, told = ns_of_ms(row["timestamp"]) // NS_PER_MS, time_ns // NS_PER_MS
    elapsed = min(max(last + told - 2 * start_ms, 0), 2**33 - 1)
    return start_ms // 60_000 << 34 | elapsed << 1 | closed
