"""Candles and liquidations, which OKX doesn't number: they are told apart by what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ccrs_core import (
    NS_PER_MS,
    Candle,
    Data,
    LeftOut,
    Liquidation,
    Market,
    Message,
    Side,
    Subscription,
)
from ccrs_core.wire import (
    MALFORMED,
    Always,
    Choice,
    Kind,
    Ms,
    Price,
    Shape,
    ShapeReader,
    Size,
    StreamReader,
)
from ccrs_okx.sizes import contract_of

# --- candles ---------------------------------------------------------------------------------

# "volCcy" is in the quote currency on spot, elsewhere in the base currency, which settles inverse
# contracts; "volCcyQuote" is in the quote currency. Of options neither is what was paid.
_TURNOVER: Mapping[Market, Kind] = {
    Market.SPOT: Size("6", absent=None),
    Market.LINEAR: Size("7", absent=None),
    Market.INVERSE: Size("6", absent=None),
    Market.OPTION: Always(None),
}


def candle(market: Market, rows: str | None, usual: str) -> Shape:
    """``[open time, o, h, l, c, vol, volCcy, volCcyQuote, confirm]``.

    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-candlesticks-channel
    """
    return Shape(
        Candle,
        usual=[usual],
        rows=rows,
        fields={
            "open_time_ns": Ms("0"),
            "closed": Choice({"0": False, "1": True}, "8"),
            "open": Price("1"),
            "high": Price("2"),
            "low": Price("3"),
            "close": Price("4"),
            "volume": Size("5", scale=contract_of),
            "turnover": _TURNOVER[market],
        },
    )


CANDLES = {
    market: candle(
        market,
        "data",
        '{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1794000120000","29930.7",'
        '"29936.3","29930.7","29936.3","0.0111536","333.8","333.8","0"]]}',
    )
    for market in Market
}
_TELLING = ("open_time_ns", "open", "high", "low", "close", "volume", "turnover", "closed")


def whole_row(row: list[Any]) -> list[Any]:
    """A row of a candle with all its columns: until 2022 there were seven, of open ones."""
    return row if len(row) > 8 else [*row[:7], None, "0"]


class CandleReader(ShapeReader):
    """``candle1m`` and kin: the open candle as it changes, at most every second, and once more as
    it closes."""

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription, CANDLES[subscription.instrument.market])
        self._top = -1
        self._last: tuple[Any, ...] = ()
        """The state that has grown furthest on this connection."""

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        rows = [whole_row(row) for row in frame["data"]]
        found: list[Message] = []
        for message in self.read({**frame, "data": rows}, received_time_ns):
            if isinstance(message, Data):
                found += [Data(self.topic, (e,), self._identity(e)) for e in message.events]
            else:
                found.append(message)
        return found

    def _identity(self, candle: Any) -> int | bytes:
        """What tells a state of a candle from others: growth orders them; a state that hasn't grown
        beyond those before it but differs is told by all that it says."""
        growth, state = _growth(candle), tuple(getattr(candle, name) for name in _TELLING)
        if growth > self._top or state == self._last:
            self._top, self._last = growth, state
            return growth
        return _digest(state)


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


# --- liquidations ------------------------------------------------------------------------------

LIQUIDATIONS = "liquidation-orders"

LIQUIDATION = Shape(
    # Of one detail in a row's list.
    Liquidation,
    usual=['{"data":[{"side":"sell","bkPx":"64350.1","sz":"13","ts":"1794000123005"}]}'],
    rows="data",
    fields={
        # Told is that of the order that closes the position: a buy liquidates a short.
        "side": Choice({"buy": Side.SELL, "sell": Side.BUY}, "side"),
        "exchange_time_ns": Ms("ts"),
        "price": Price("bkPx"),
        "size": Size("sz", scale=contract_of),
    },
)


class LiquidationReader(StreamReader):
    """``liquidation-orders``: OKX sends a whole type's, of which some instruments are wanted.

    Several may share a time: copies are told by all that is said of one.
    https://www.okx.com/docs-v5/en/#public-data-websocket-liquidation-orders-channel
    """

    joined: ClassVar[bool] = True

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._wanted: dict[str, ShapeReader] = {}
        self.add(subscription)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(reader.topic for reader in self._wanted.values())

    def add(self, subscription: Subscription) -> None:
        native = subscription.instrument.native
        topic = f"{LIQUIDATIONS}:{native}"
        self._wanted[native] = ShapeReader(topic, subscription, LIQUIDATION)

    def drop(self, subscription: Subscription) -> bool:
        self._wanted.pop(subscription.instrument.native, None)
        return bool(self._wanted)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        rows = frame["data"]
        if type(rows) is not list:
            raise TypeError("data isn't a list")
        found: list[Data] = []
        others: list[Message] = []
        times: dict[tuple[str, bytes], int] = {}
        for row in rows:
            whose = self.topics
            try:
                reader = self._wanted.get(row["instId"])
                if reader is not None:
                    whose = (reader.topic,)
                details = [] if reader is None else list(row["details"])
            except MALFORMED as error:
                if len(rows) == 1:
                    raise
                # Where nobody knows whose it is it may be anybody's.
                why = f"{error!r} in {row!r}"[:200]
                others += [LeftOut(topic, why) for topic in whose]
                continue
            if reader is None:
                continue
            for detail in details:
                try:
                    (message,) = reader.read({"data": [detail]}, received_time_ns)
                except MALFORMED as error:
                    # It takes none of the others away, which may be of other instruments.
                    others.append(LeftOut(reader.topic, f"{error!r} in {detail!r}"[:200]))
                    continue
                if not isinstance(message, Data):
                    others.append(message)
                    continue
                said = _digest(detail[name] for name in _SAID)
                # What one frame says twice of an instrument has happened twice.
                again = times[reader.topic, said] = times.get((reader.topic, said), -1) + 1
                message.sequence = said + again.to_bytes(2, "big")
                found.append(message)
        found.sort(key=_time_of)
        return [*others, *found] or self.unknown(f"{len(rows)} other instruments")


_SAID = ("ts", "side", "bkPx", "sz")


def _time_of(message: Data) -> int:
    return message.events[0].exchange_time_ns or 0
