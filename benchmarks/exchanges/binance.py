"""Binance: spot. Streams are combined, with their name on each frame, or raw, without."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from benchmarks.exchanges.wire import Heard, Topic, Wire, made_up
from benchmarks.frames import Frames, Ladder, Level, Quotes, stamp_text

DEPTH = 1000
FURTHER = 5
"""Levels touched besides those near the top: about 15 per frame in all, the median of a recording
of BTCUSDT."""
_RAW = "raw:"
_FIRST_UPDATE = 51_234_567_890
_FIRST_TRADE = 4_201_337_001


def _price(ticks: int) -> str:
    return f"{ticks // 10}.{ticks % 10}0000000"


def _levels(levels: list[Level]) -> str:
    zero = "0.00000000"
    return ",".join(
        [
            f'["{ticks // 10}.{ticks % 10}0000000","{zero if size == "0" else _padded(size)}"]'
            for ticks, size in levels
        ]
    )


def _padded(size: str) -> str:
    """With at least eight decimals; stamps have nine."""
    whole, _, decimals = size.partition(".")
    return f"{whole}.{decimals:0<8}"


class _Combined:
    """Puts the stream's name around a frame's data, where the stream isn't raw."""

    def __init__(self, stream: str, symbol: str, raw: bool) -> None:
        name = f"{symbol.lower()}@{stream}"
        self._start, self._end = ("", "") if raw else (f'{{"stream":"{name}","data":', "}")

    def around(self, data: str) -> str:
        return f"{self._start}{data}{self._end}"


class TopOfBookFrames(_Combined):
    """``bookTicker``."""

    def __init__(self, symbol: str, *, raw: bool = False) -> None:
        super().__init__("bookTicker", symbol, raw)
        self._symbol = symbol
        self._quotes = Quotes(seed=1)
        self._update = _FIRST_UPDATE

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._quotes.step()
        bid = self._quotes.bid
        self._update += 1 + (dice >> 6)
        return self.around(
            f'{{"u":{self._update},"s":"{self._symbol}",'
            f'"b":"{_price(bid)}","B":"{stamp_text(stamp)}",'
            f'"a":"{_price(bid + 1)}","A":"{1 + (dice >> 8)}.{dice & 1023:04d}0000"}}'
        )


class TradeFrames(_Combined):
    """``trade``, or ``aggTrade`` of one trade each."""

    def __init__(self, symbol: str, *, aggregate: bool = False, raw: bool = False) -> None:
        super().__init__("aggTrade" if aggregate else "trade", symbol, raw)
        self._symbol = symbol
        self._aggregate = aggregate
        self._quotes = Quotes(seed=2)
        self._number = _FIRST_TRADE

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._quotes.step()
        number = self._number = self._number + 1
        kind, key, extra = "trade", "t", ""
        if self._aggregate:
            kind, key, extra = "aggTrade", "a", f'"f":{number},"l":{number},'
        return self.around(
            f'{{"e":"{kind}","E":{now_ms},"s":"{self._symbol}","{key}":{number},'
            f'"p":"{_price(self._quotes.bid)}","q":"{stamp_text(stamp)}",{extra}'
            f'"T":{now_ms - 1},"m":{"true" if dice & 8 else "false"},"M":true}}'
        )


class BookFrames(_Combined):
    """``depth@100ms``: changes of a book that is to be had by :meth:`book`."""

    def __init__(self, symbol: str, *, raw: bool = False, seed: int = 3) -> None:
        super().__init__("depth@100ms", symbol, raw)
        self._symbol = symbol
        self._ladder = Ladder(DEPTH, FURTHER, seed)
        self._last = _FIRST_UPDATE

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._ladder.dice()
        bids, asks = self._ladder.changes(stamp, dice)
        first = self._last + 1
        self._last = first + (dice & 63)
        return self.around(
            f'{{"e":"depthUpdate","E":{now_ms},"s":"{self._symbol}","U":{first},"u":{self._last},'
            f'"b":[{_levels(bids)}],"a":[{_levels(asks)}]}}'
        )

    @classmethod
    def book(cls, symbol: str, limit: int) -> object:
        """The answer to a request for the book right after the first frame."""
        frames = cls(symbol)
        frames(0, 1)
        bids, asks = frames._ladder.whole(1, frames._ladder.dice())
        return {
            "lastUpdateId": frames._last,
            "bids": json.loads(f"[{_levels(bids[:limit])}]"),
            "asks": json.loads(f"[{_levels(asks[:limit])}]"),
        }


def instrument(symbol: str, base: str) -> dict[str, object]:
    """A pair as ``/api/v3/exchangeInfo`` lists it."""
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.10000000",
                "maxPrice": "1000000.00000000",
                "tickSize": "0.10000000",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001000",
                "maxQty": "9000.00000000",
                "stepSize": "0.00001000",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


class BinanceWire(Wire):
    """https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams"""

    name: ClassVar[str] = "binance"
    title: ClassVar[str] = "Binance"
    native: ClassVar[str] = "BTCUSDT"
    symbol: ClassVar[str] = "BTC/USDT"
    market: ClassVar[str] = "spot"
    stream_path: ClassVar[str] = "/stream"
    book_depth: ClassVar[int] = DEPTH
    cases: ClassVar[Mapping[str, str]] = {
        "top_of_book": "bookTicker",
        "trades": "trade",
        "depth": "depth@100ms",
    }
    own: ClassVar[Mapping[tuple[str, str], str]] = {
        ("ccxt", "top_of_book"): "raw:bookTicker",
        ("ccxt", "trades"): "raw:trade",
        ("ccxt", "depth"): "raw:depth@100ms",
        ("cryptofeed", "trades"): "aggTrade",
    }
    remarks: ClassVar[Mapping[str, str]] = {
        "top_of_book": "ccxt.pro reads raw streams, whose frames lack the stream's name; "
        "cryptofeed's tickers lack the sizes",
        "trades": "ccxt.pro reads raw streams; cryptofeed knows aggTrade alone, "
        "whose frames are 36 bytes longer",
        "depth": "ccxt.pro reads raw streams",
    }
    effort: ClassVar[Mapping[str, float]] = {"depth": 4.0}
    channels: ClassVar[Mapping[str, Callable[[str], Frames]]] = {
        "bookTicker": TopOfBookFrames,
        "trade": TradeFrames,
        "aggTrade": partial(TradeFrames, aggregate=True),
        "depth@100ms": BookFrames,
        "raw:bookTicker": partial(TopOfBookFrames, raw=True),
        "raw:trade": partial(TradeFrames, raw=True),
        "raw:depth@100ms": partial(BookFrames, raw=True),
    }
    data_key: ClassVar[str] = "stream"
    book_path: ClassVar[str | None] = "/api/v3/depth"
    changes: ClassVar[frozenset[str]] = frozenset({"depth@100ms", "raw:depth@100ms"})

    def subscription(self, channel: str, natives: Sequence[str]) -> str:
        params = [f"{native.lower()}@{channel}" for native in natives]
        return json.dumps({"method": "SUBSCRIBE", "params": params, "id": 1})

    def symbols(self, count: int) -> list[tuple[str, str]]:
        return [(f"{base}USDT", base) for base in made_up("BTC", count)]

    def opened(self, target: str) -> Sequence[Topic]:
        listed = parse_qs(urlsplit(target).query).get("streams", [""])[0]
        return [_topic(target, stream) for stream in listed.split("/") if stream]

    def heard(self, target: str, text: str, offered: str) -> Heard:
        message = json.loads(text)
        number = message.get("id")
        if message.get("method") != "SUBSCRIBE":
            return Heard([json.dumps({"result": None, "id": number})])
        topics = [_topic(target, stream) for stream in message["params"]]
        if any(channel != offered for channel, _ in topics):
            error = {"code": 2, "msg": f"only {offered} is served here"}
            return Heard([json.dumps({"error": error, "id": number})])
        return Heard([json.dumps({"result": None, "id": number})], topics)

    def answer(self, path: str, query: Mapping[str, str], instruments: int) -> object | None:
        now_ms = time.time_ns() // 1_000_000
        listing = {"timezone": "UTC", "serverTime": now_ms, "rateLimits": [], "exchangeFilters": []}
        match path:
            case "/api/v3/time":
                return {"serverTime": now_ms}
            case "/api/v3/exchangeInfo":
                pairs = [instrument(*names) for names in self.symbols(instruments)]
                return listing | {"symbols": pairs}
            case "/fapi/v1/exchangeInfo":
                return listing | {"symbols": []}
            case "/api/v3/depth":
                return BookFrames.book(query["symbol"], int(query.get("limit", 100)))
        return None


def _topic(target: str, stream: str) -> Topic:
    """On addresses with ``/ws`` streams are raw."""
    native, _, channel = stream.partition("@")
    raw = "ws" in urlsplit(target).path.split("/")
    return (_RAW if raw else "") + channel, native.upper()


WIRE = BinanceWire()
