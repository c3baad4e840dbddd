"""Bybit v5: linear perpetuals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from benchmarks.exchanges.wire import Heard, Topic, Wire, made_up
from benchmarks.frames import Frames, Ladder, Level, Quotes, price_text, stamp_text

_PAGE = 1000
_FIRST_UPDATE = 7_003_305
_FIRST_SEQUENCE = 50_193_540_681


class TopOfBookFrames:
    """``orderbook.1``: every frame a snapshot of one level per side."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._quotes = Quotes(seed=1)
        self._update = _FIRST_UPDATE
        self._sequence = _FIRST_SEQUENCE

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._quotes.step()
        bid = self._quotes.bid
        self._update += 1
        self._sequence += 1 + (dice >> 6)
        return (
            f'{{"topic":"orderbook.1.{self._symbol}","ts":{now_ms},"type":"snapshot",'
            f'"data":{{"s":"{self._symbol}",'
            f'"b":[["{price_text(bid)}","{stamp_text(stamp)}"]],'
            f'"a":[["{price_text(bid + 1)}","{1 + (dice >> 8)}.{dice & 1023:04d}"]],'
            f'"u":{self._update},"seq":{self._sequence}}},"cts":{now_ms - 2}}}'
        )


class TradeFrames:
    """``publicTrade``: one trade per frame."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._quotes = Quotes(seed=2)
        self._sequence = _FIRST_SEQUENCE
        self._count = 0

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._quotes.step()
        self._sequence += 1 + (dice >> 6)
        self._count += 1
        trade_id = f"{dice:08x}-{self._sequence & 0xFFFF:04x}-5d03-a462-{self._count:012x}"
        tick = {6: "PlusTick", 7: "MinusTick"}.get(dice & 7, "ZeroPlusTick")
        return (
            f'{{"topic":"publicTrade.{self._symbol}","type":"snapshot","ts":{now_ms},'
            f'"data":[{{"T":{now_ms - 1},"s":"{self._symbol}",'
            f'"S":"{"Sell" if dice & 8 else "Buy"}","v":"{stamp_text(stamp)}",'
            f'"p":"{price_text(self._quotes.bid)}","L":"{tick}","i":"{trade_id}",'
            f'"BT":false,"RPI":false,"seq":{self._sequence}}}]}}'
        )


class BookFrames:
    """``orderbook.50``: a snapshot of 50 levels per side, then changes."""

    DEPTH = 50

    def __init__(self, symbol: str, seed: int = 3) -> None:
        self._symbol = symbol
        self._ladder = Ladder(self.DEPTH, seed=seed)
        self._update = _FIRST_UPDATE
        self._sequence = _FIRST_SEQUENCE
        self._snapshot_due = True

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._ladder.dice()
        self._update += 1
        self._sequence += 1 + (dice & 63)
        if self._snapshot_due:
            kind, (bids, asks) = "snapshot", self._ladder.whole(stamp, dice)
        else:
            kind, (bids, asks) = "delta", self._ladder.changes(stamp, dice)
        self._snapshot_due = False
        return (
            f'{{"topic":"orderbook.50.{self._symbol}","ts":{now_ms},"type":"{kind}",'
            f'"data":{{"s":"{self._symbol}","b":[{_levels(bids)}],"a":[{_levels(asks)}],'
            f'"u":{self._update},"seq":{self._sequence}}},"cts":{now_ms - 3}}}'
        )


def _levels(levels: list[Level]) -> str:
    return ",".join([f'["{ticks // 10}.{ticks % 10}","{size}"]' for ticks, size in levels])


def instrument(symbol: str, base: str) -> dict[str, object]:
    """A linear perpetual as ``/v5/market/instruments-info`` lists it."""
    return {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": base,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "1",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "lotSizeFilter": {
            "maxOrderQty": "1190.000",
            "maxMktOrderQty": "500.000",
            "minOrderQty": "0.001",
            "qtyStep": "0.001",
            "postOnlyMaxOrderQty": "1190.000",
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "copyTrading": "none",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
    }


class BybitWire(Wire):
    """https://bybit-exchange.github.io/docs/v5/ws/connect"""

    name: ClassVar[str] = "bybit"
    title: ClassVar[str] = "Bybit"
    native: ClassVar[str] = "BTCUSDT"
    symbol: ClassVar[str] = "BTC/USDT:USDT"
    market: ClassVar[str] = "linear"
    stream_path: ClassVar[str] = "/v5/public/linear"
    book_depth: ClassVar[int] = BookFrames.DEPTH
    cases: ClassVar[Mapping[str, str]] = {
        "top_of_book": "orderbook.1",
        "trades": "publicTrade",
        "book50": "orderbook.50",
    }
    channels: ClassVar[Mapping[str, Callable[[str], Frames]]] = {
        "orderbook.1": TopOfBookFrames,
        "publicTrade": TradeFrames,
        "orderbook.50": BookFrames,
    }
    data_key: ClassVar[str] = "topic"

    def subscription(self, channel: str, natives: Sequence[str]) -> str:
        args = [f"{channel}.{native}" for native in natives]
        return json.dumps({"op": "subscribe", "req_id": "1", "args": args})

    def symbols(self, count: int) -> list[tuple[str, str]]:
        return [(f"{base}USDT", base) for base in made_up("BTC", count)]

    def heard(self, target: str, text: str, offered: str) -> Heard:
        message = json.loads(text)
        operation, args = message.get("op"), message.get("args") or []
        answer = {
            "success": True,
            "ret_msg": "pong" if operation == "ping" else "",
            "conn_id": "source",
            "req_id": message.get("req_id", ""),
            "op": operation,
        }
        topics: list[Topic] = []
        if operation == "subscribe":
            topics = [(channel, native) for channel, _, native in (a.rpartition(".") for a in args)]
            if unknown := [channel for channel, _ in topics if channel != offered]:
                answer |= {"success": False, "ret_msg": f"Invalid topic :{unknown}"}
                topics = []
        return Heard([json.dumps(answer)], topics)

    def answer(self, path: str, query: Mapping[str, str], instruments: int) -> object | None:
        now = time.time_ns()
        match path:
            case "/v5/market/time":
                result: object = {"timeSecond": str(now // 10**9), "timeNano": str(now)}
            case "/v5/market/instruments-info":
                result = self._instruments(query, instruments)
            case _:
                return None
        envelope = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}}
        return envelope | {"time": now // 1_000_000}

    def _instruments(self, query: Mapping[str, str], count: int) -> dict[str, object]:
        category = query.get("category", "linear")
        wanted = category == "linear" and query.get("status", "Trading") == "Trading"
        listed = self.symbols(count) if wanted else []
        start, limit = int(query.get("cursor") or 0), int(query.get("limit", 500))
        end = start + min(limit, _PAGE)
        return {
            "category": category,
            "list": [instrument(*names) for names in listed[start:end]],
            "nextPageCursor": str(end) if end < len(listed) else "",
        }


WIRE = BybitWire()
