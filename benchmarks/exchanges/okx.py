"""OKX v5: spot."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from benchmarks.exchanges.wire import Heard, Topic, Wire, made_up
from benchmarks.frames import Frames, Ladder, Level, Quotes, price_text, stamp_text

DEPTH = 400
FURTHER = 5
"""Levels touched besides those near the top: about 15 per frame in all, the median of a recording
of BTC-USDT."""
_FIRST_SEQUENCE = 70_011_223_301
_FIRST_TRADE = 734_864_332


def _head(channel: str, symbol: str) -> str:
    return f'{{"arg":{{"channel":"{channel}","instId":"{symbol}"}},'


def _levels(levels: list[Level]) -> str:
    return ",".join(
        [
            f'["{ticks // 10}.{ticks % 10}","{size}","0","{0 if size == "0" else 1 + ticks % 9}"]'
            for ticks, size in levels
        ]
    )


class TopOfBookFrames:
    """``bbo-tbt``."""

    def __init__(self, symbol: str) -> None:
        self._head = _head("bbo-tbt", symbol)
        self._quotes = Quotes(seed=1)
        self._sequence = _FIRST_SEQUENCE

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._quotes.step()
        bid = self._quotes.bid
        self._sequence += 1 + (dice >> 6)
        return (
            f'{self._head}"data":[{{"asks":[["{price_text(bid + 1)}",'
            f'"{1 + (dice >> 8)}.{dice & 1023:04d}","0","{1 + (dice & 15)}"]],'
            f'"bids":[["{price_text(bid)}","{stamp_text(stamp)}","0","{1 + (dice >> 8)}"]],'
            f'"ts":"{now_ms - 2}","seqId":{self._sequence}}}]}}'
        )


class TickerFrames:
    """``tickers``: the last 24 hours, with the best bid and ask among it."""

    def __init__(self, symbol: str) -> None:
        self._head = _head("tickers", symbol)
        self._symbol = symbol
        self._quotes = Quotes(seed=1)

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._quotes.step()
        bid = self._quotes.bid
        return (
            f'{self._head}"data":[{{"instType":"SPOT","instId":"{self._symbol}",'
            f'"last":"{price_text(bid)}","lastSz":"0.{1 + dice:05d}",'
            f'"askPx":"{price_text(bid + 1)}","askSz":"{1 + (dice >> 8)}.{dice & 1023:04d}",'
            f'"bidPx":"{price_text(bid)}","bidSz":"{stamp_text(stamp)}",'
            '"open24h":"101588.3","high24h":"101899.8","low24h":"99318.7","sodUtc0":"99806.5",'
            f'"sodUtc8":"100747","volCcy24h":"1002140058.0121{dice:04d}",'
            f'"vol24h":"9935.1454{dice:04d}","ts":"{now_ms - 2}"}}]}}'
        )


class TradeFrames:
    """``trades-all``: one trade per frame."""

    channel = "trades-all"

    def __init__(self, symbol: str) -> None:
        self._head = _head(self.channel, symbol)
        self._symbol = symbol
        self._quotes = Quotes(seed=2)
        self._number = _FIRST_TRADE

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._quotes.step()
        self._number += 1
        return (
            f'{self._head}"data":[{{"instId":"{self._symbol}","tradeId":"{self._number}",'
            f'"px":"{price_text(self._quotes.bid)}","sz":"{stamp_text(stamp)}",'
            f'"side":"{"sell" if dice & 8 else "buy"}",{self._tail(now_ms - 1)}}}]}}'
        )

    def _tail(self, time_ms: int) -> str:
        return f'"source":"0","ts":"{time_ms}"'


class AggregateTradeFrames(TradeFrames):
    """``trades``, of one trade each."""

    channel = "trades"

    def _tail(self, time_ms: int) -> str:
        number = _FIRST_SEQUENCE + self._number
        return f'"ts":"{time_ms}","count":"1","source":"0","seqId":{number}'


class BookFrames:
    """``books``: a snapshot of 400 levels per side, then changes."""

    def __init__(self, symbol: str, seed: int = 3) -> None:
        self._head = _head("books", symbol)
        self._ladder = Ladder(DEPTH, FURTHER, seed)
        self._sequence = -1

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._ladder.dice()
        previous = self._sequence
        if previous < 0:
            action, (bids, asks) = "snapshot", self._ladder.whole(stamp, dice)
            self._sequence = _FIRST_SEQUENCE
        else:
            action, (bids, asks) = "update", self._ladder.changes(stamp, dice)
            self._sequence += 1 + (dice & 63)
        return (
            f'{self._head}"action":"{action}","data":[{{"asks":[{_levels(asks)}],'
            f'"bids":[{_levels(bids)}],"ts":"{now_ms - 3}","checksum":0,'
            f'"prevSeqId":{previous},"seqId":{self._sequence}}}]}}'
        )


def instrument(symbol: str, base: str) -> dict[str, object]:
    """A pair as ``/api/v5/public/instruments`` lists it."""
    empty = ("alias", "ctMult", "ctType", "ctVal", "ctValCcy", "expTime", "instFamily", "optType")
    return dict.fromkeys((*empty, "settleCcy", "stk", "uly"), "") | {
        "category": "1",
        "instType": "SPOT",
        "instId": symbol,
        "instIdCode": 101,
        "baseCcy": base,
        "quoteCcy": "USDT",
        "lever": "10",
        "listTime": "1611907686000",
        "lotSz": "0.00000001",
        "minSz": "0.00001",
        "maxLmtSz": "9999999999",
        "maxMktSz": "1000000",
        "tickSz": "0.1",
        "state": "live",
    }


class OkxWire(Wire):
    """https://www.okx.com/docs-v5/en/#overview-websocket"""

    name: ClassVar[str] = "okx"
    title: ClassVar[str] = "OKX"
    native: ClassVar[str] = "BTC-USDT"
    symbol: ClassVar[str] = "BTC/USDT"
    market: ClassVar[str] = "spot"
    stream_path: ClassVar[str] = "/ws/v5/public"
    book_depth: ClassVar[int] = DEPTH
    cases: ClassVar[Mapping[str, str]] = {
        "top_of_book": "bbo-tbt",
        "trades": "trades-all",
        "depth": "books",
    }
    own: ClassVar[Mapping[tuple[str, str], str]] = {
        ("cryptofeed", "top_of_book"): "tickers",
        ("ccxt", "trades"): "trades",
        ("cryptofeed", "trades"): "trades",
    }
    remarks: ClassVar[Mapping[str, str]] = {
        "top_of_book": "cryptofeed has no channel of quotes alone: it reads tickers, "
        "whose frames are twice as long and whose sizes it leaves out",
        "trades": "ccxt.pro (without a key) and cryptofeed read trades, the others trades-all, "
        "whose frames are 28 bytes shorter",
    }
    effort: ClassVar[Mapping[str, float]] = {"depth": 4.0}
    channels: ClassVar[Mapping[str, Callable[[str], Frames]]] = {
        "bbo-tbt": TopOfBookFrames,
        "tickers": TickerFrames,
        "trades-all": TradeFrames,
        "trades": AggregateTradeFrames,
        "books": BookFrames,
    }
    data_key: ClassVar[str] = "data"

    def subscription(self, channel: str, natives: Sequence[str]) -> str:
        args = [{"channel": channel, "instId": native} for native in natives]
        return json.dumps({"op": "subscribe", "args": args})

    def symbols(self, count: int) -> list[tuple[str, str]]:
        return [(f"{base}-USDT", base) for base in made_up("BTC", count)]

    def heard(self, target: str, text: str, offered: str) -> Heard:
        if text == "ping":
            return Heard(["pong"])
        message = json.loads(text)
        number = {"id": message["id"]} if "id" in message else {}
        replies: list[str] = []
        topics: list[Topic] = []
        for arg in message["args"]:
            answer = {"event": message["op"], "arg": arg, "connId": "source"}
            channel, native = arg["channel"], arg["instId"]
            if message["op"] == "subscribe":
                if channel == offered:
                    topics.append((channel, native))
                else:
                    text = f"channel:{channel},instId:{native} doesn't exist"
                    answer = {"event": "error", "code": "60018", "msg": text, "connId": "source"}
            replies.append(json.dumps(number | answer))
        return Heard(replies, topics)

    def answer(self, path: str, query: Mapping[str, str], instruments: int) -> object | None:
        match path:
            case "/api/v5/public/time":
                data: list[dict[str, object]] = [{"ts": str(time.time_ns() // 1_000_000)}]
            case "/api/v5/public/instruments":
                listed = self.symbols(instruments) if query.get("instType") == "SPOT" else []
                data = [instrument(*names) for names in listed]
            case _:
                return None
        return {"code": "0", "msg": "", "data": data}


WIRE = OkxWire()
