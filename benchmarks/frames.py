"""Plausible Bybit v5 frames, made quickly and reproducibly. Pure: no clock, no I/O.

Every frame carries a *stamp* as the size of its best bid (of the trade, for trades), because that
is the one field which all clients hand to their users without loss: an integer below 10^13,
written as that many billionths. In bursts it counts the frames from 1, in paced runs it is the
monotonic clock's nanoseconds at sending. Thirteen digits also survive clients that turn sizes into
floats. The last frame of a run carries ``END``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

END = 9_999_999_999_999
STAMP_MODULUS = 9_000_000_000_000
"""Clock stamps are taken modulo this: 2.5 hours, and never ``END``."""

DEPTH = 50
SYMBOL = "BTCUSDT"

_DECIMALS = 9
_UNIT = 10**_DECIMALS
_FIRST_BID = 1_012_345  # in ticks of 0.1
_FIRST_UPDATE = 7_003_305
_FIRST_SEQUENCE = 50_193_540_681


def stamp_text(stamp: int) -> str:
    """A stamp as the decimal number on the wire."""
    return f"{stamp // _UNIT}.{stamp % _UNIT:09d}"


def stamp_of(size: object) -> int:
    """The stamp in a size as a client delivers it: Decimal, float or text."""
    stamp = Decimal(str(size)) * _UNIT
    return int(stamp.to_integral_value())


def price_text(ticks: int) -> str:
    """A price of ``ticks`` tenths."""
    return f"{ticks // 10}.{ticks % 10}"


class Frames(Protocol):
    """One topic's frames, each with the next sequence numbers."""

    def __call__(self, now_ms: int, stamp: int) -> str:
        """The next frame."""


class TopOfBookFrames:
    """``orderbook.1``: every frame a snapshot of one level per side."""

    def __init__(self, symbol: str = SYMBOL, seed: int = 1) -> None:
        self._symbol = symbol
        self._random = random.Random(seed)
        self._bid = _FIRST_BID
        self._update = _FIRST_UPDATE
        self._sequence = _FIRST_SEQUENCE

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = int(self._random.random() * 4096)
        self._bid = max(10_000, self._bid + (0, 0, 0, 0, 0, 0, 1, -1)[dice & 7])
        self._update += 1
        self._sequence += 1 + (dice >> 6)
        return (
            f'{{"topic":"orderbook.1.{self._symbol}","ts":{now_ms},"type":"snapshot",'
            f'"data":{{"s":"{self._symbol}",'
            f'"b":[["{price_text(self._bid)}","{stamp_text(stamp)}"]],'
            f'"a":[["{price_text(self._bid + 1)}","{1 + (dice >> 8)}.{dice & 1023:04d}"]],'
            f'"u":{self._update},"seq":{self._sequence}}},"cts":{now_ms - 2}}}'
        )


class TradeFrames:
    """``publicTrade``: one trade per frame."""

    def __init__(self, symbol: str = SYMBOL, seed: int = 2) -> None:
        self._symbol = symbol
        self._random = random.Random(seed)
        self._price = _FIRST_BID
        self._sequence = _FIRST_SEQUENCE
        self._count = 0

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = int(self._random.random() * 4096)
        move = (0, 0, 0, 0, 0, 0, 1, -1)[dice & 7]
        self._price = max(10_000, self._price + move)
        self._sequence += 1 + (dice >> 6)
        self._count += 1
        trade_id = f"{dice:08x}-{self._sequence & 0xFFFF:04x}-5d03-a462-{self._count:012x}"
        tick = ("ZeroPlusTick", "PlusTick", "MinusTick")[move]
        return (
            f'{{"topic":"publicTrade.{self._symbol}","type":"snapshot","ts":{now_ms},'
            f'"data":[{{"T":{now_ms - 1},"s":"{self._symbol}",'
            f'"S":"{"Sell" if dice & 8 else "Buy"}","v":"{stamp_text(stamp)}",'
            f'"p":"{price_text(self._price)}","L":"{tick}","i":"{trade_id}",'
            f'"BT":false,"RPI":false,"seq":{self._sequence}}}]}}'
        )


class BookFrames:
    """``orderbook.50``: a snapshot of 50 levels per side, then deltas that keep it at 50.

    A delta changes the best bid's size (the stamp) and a few further levels near the top; now and
    then the market moves by a tick, which deletes and inserts a level on either side.
    """

    def __init__(self, symbol: str = SYMBOL, seed: int = 3) -> None:
        self._symbol = symbol
        self._random = random.Random(seed)
        self._bid = _FIRST_BID
        self._update = _FIRST_UPDATE
        self._sequence = _FIRST_SEQUENCE
        self._snapshot_due = True

    def __call__(self, now_ms: int, stamp: int) -> str:
        dice = self._random.getrandbits(40)
        self._update += 1
        self._sequence += 1 + (dice & 63)
        kind, bids, asks = (
            ("snapshot", *self._all(stamp, dice))
            if self._snapshot_due
            else ("delta", *self._changes(stamp, dice))
        )
        self._snapshot_due = False
        return (
            f'{{"topic":"orderbook.50.{self._symbol}","ts":{now_ms},"type":"{kind}",'
            f'"data":{{"s":"{self._symbol}","b":[{bids}],"a":[{asks}],'
            f'"u":{self._update},"seq":{self._sequence}}},"cts":{now_ms - 3}}}'
        )

    def _all(self, stamp: int, dice: int) -> tuple[str, str]:
        bids = [_level(self._bid, stamp_text(stamp))]
        bids += [_level(self._bid - i, _size(dice >> (i % 24))) for i in range(1, DEPTH)]
        asks = [_level(self._bid + 1 + i, _size(dice >> (i % 23))) for i in range(DEPTH)]
        return ",".join(bids), ",".join(asks)

    def _changes(self, stamp: int, dice: int) -> tuple[str, str]:
        bids, asks = [], []
        move = (dice >> 6) & 15
        if move == 0:  # up: the best ask is taken, and the worst bid falls out of the depth
            self._bid += 1
            asks = [_level(self._bid, "0"), _level(self._bid + DEPTH, _size(dice))]
            bids = [_level(self._bid - DEPTH, "0")]
        elif move == 1 and self._bid > 10_000:
            self._bid -= 1
            bids = [_level(self._bid + 1, "0"), _level(self._bid + 1 - DEPTH, _size(dice))]
            asks = [_level(self._bid + 1 + DEPTH, "0"), _level(self._bid + 1, _size(dice >> 3))]
        bids.insert(0, _level(self._bid, stamp_text(stamp)))
        touched = self._bid - 1 - ((dice >> 10) & 15)
        bids.append(_level(touched, _size(dice >> 14)))
        if dice & 1 << 38:
            bids.append(_level(touched - 1 - ((dice >> 16) & 7), _size(dice >> 5)))
        asks.append(_level(self._bid + 2 + ((dice >> 20) & 15), _size(dice >> 9)))
        asks.append(_level(self._bid + 18 + ((dice >> 24) & 15), _size(dice >> 11)))
        return ",".join(bids), ",".join(asks)


def _level(ticks: int, size: str) -> str:
    return f'["{ticks // 10}.{ticks % 10}","{size}"]'


def _size(dice: int) -> str:
    return f"{dice & 7}.{1 + (dice >> 3) % 998:03d}"


MAKERS: dict[str, Callable[[str], Frames]] = {
    "top_of_book": TopOfBookFrames,
    "trades": TradeFrames,
    "book50": BookFrames,
}
"""By case."""

TOPICS = {"top_of_book": "orderbook.1.", "trades": "publicTrade.", "book50": "orderbook.50."}
"""By case: the topic without its symbol."""


def server_frame(payload: bytes, opcode: int = 1) -> bytes:
    """A payload as one unmasked WebSocket frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


class Bursts:
    """The frames of one case in wire form, encoded once and reused by bursts of any length.

    They are stamped 1, 2, 3 … and a millisecond apart; the last one of a burst has ``END``.
    """

    BLOCK = 250
    """Frames per block: around 60 kB, what a socket takes at once."""
    SMALL_BLOCK = 25
    """The same where bursts are paced: some 6 kB."""

    def __init__(self, case: str, now_ms: int, symbol: str = SYMBOL, *, block: int = BLOCK) -> None:
        self._make = MAKERS[case](symbol)
        self._block = block
        self._now_ms = now_ms
        self._blocks: list[bytes] = []
        self._lasts: list[str] = []

    def blocks(self, count: int) -> list[bytes]:
        """``count`` frames, a multiple of the block's, as blocks of whole frames."""
        wanted, rest = divmod(count, self._block)
        if rest or not wanted:
            raise ValueError(f"bursts come in multiples of {self._block} frames, not {count}")
        while len(self._blocks) < wanted:
            self._encode()
        last = self._lasts[wanted - 1]
        closing = last.replace(f'"{stamp_text(count)}"', f'"{stamp_text(END)}"')
        block = self._blocks[wanted - 1].removesuffix(server_frame(last.encode()))
        return [*self._blocks[: wanted - 1], block + server_frame(closing.encode())]

    def _encode(self) -> None:
        start = len(self._blocks) * self._block + 1
        texts = [
            self._make(self._now_ms + number, number)
            for number in range(start, start + self._block)
        ]
        self._blocks.append(b"".join(server_frame(text.encode()) for text in texts))
        self._lasts.append(texts[-1])
