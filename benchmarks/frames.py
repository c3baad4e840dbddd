"""What the made-up frames of all exchanges have in common: stamps, a market, bursts. Pure.

How an exchange spells its frames is in ``benchmarks.exchanges``; there is no clock here and no I/O.

Every frame carries a *stamp* as the size of its best bid (of the trade, for trades), because that
is the one field which all clients hand to their users without loss: an integer below 10^13,
written as that many billionths. In bursts it counts the frames from 1, in paced runs it is the
monotonic clock's nanoseconds at sending. Thirteen digits also survive clients that turn sizes into
floats. The last frame of a run carries ``END``.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

END = 9_999_999_999_999
STAMP_MODULUS = 9_000_000_000_000
"""Clock stamps are taken modulo this: 2.5 hours, and never ``END``."""

_DECIMALS = 9
_UNIT = 10**_DECIMALS
FIRST_BID = 1_012_345
"""In ticks of 0.1."""
LOWEST_BID = 10_000

Level = tuple[int, str]
"""Price in ticks, and size."""


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


class Interleaved:
    """Frames of several topics in turn, one after the other."""

    def __init__(self, topics: Sequence[Frames]) -> None:
        self._turns = itertools.cycle(topics)

    def __call__(self, now_ms: int, stamp: int) -> str:
        return next(self._turns)(now_ms, stamp)


class Quotes:
    """A best bid that moves by a tick now and then; the best ask is one tick above it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.bid = FIRST_BID

    def step(self) -> int:
        """Move on; twelve random bits to spell the rest of the frame with."""
        dice = int(self._random.random() * 4096)
        self.bid = max(LOWEST_BID, self.bid + (0, 0, 0, 0, 0, 0, 1, -1)[dice & 7])
        return dice


class Ladder:
    """A book of ``depth`` levels per side and the changes that keep it at that.

    Each time the best bid's size changes (the stamp), and a few further levels near the top; now
    and then the market moves by a tick, which deletes and inserts a level on either side. On either
    side ``further`` levels below those (36 to 76 ticks away) come and go: one that is there is
    deleted, one that isn't comes back with a size that hardly ever repeats.
    """

    def __init__(self, depth: int, further: int = 0, seed: int = 3) -> None:
        self.depth = depth
        self.bid = FIRST_BID
        self._further = further
        self._gone: tuple[set[int], set[int]] = set(), set()
        self._random = random.Random(seed)

    def dice(self) -> int:
        """Forty random bits, for :meth:`whole` or :meth:`changes`."""
        return self._random.getrandbits(40)

    def whole(self, stamp: int, dice: int) -> tuple[list[Level], list[Level]]:
        """All bids and asks, the best ones first."""
        bids = [(self.bid, stamp_text(stamp))]
        bids += [(self.bid - i, _size(dice >> (i % 24))) for i in range(1, self.depth)]
        asks = [(self.bid + 1 + i, _size(dice >> (i % 23))) for i in range(self.depth)]
        return bids, asks

    def changes(self, stamp: int, dice: int) -> tuple[list[Level], list[Level]]:
        """Changed bids and asks, the best bid first; size ``0`` deletes."""
        bids: list[Level] = []
        asks: list[Level] = []
        depth, move = self.depth, (dice >> 6) & 15
        if move == 0:  # up: the best ask is taken, and the worst bid falls out of the depth
            self.bid += 1
            asks = [(self.bid, "0"), (self.bid + depth, _size(dice))]
            bids = [(self.bid - depth, "0")]
        elif move == 1 and self.bid > LOWEST_BID:
            self.bid -= 1
            bids = [(self.bid + 1, "0"), (self.bid + 1 - depth, _size(dice))]
            asks = [(self.bid + 1 + depth, "0"), (self.bid + 1, _size(dice >> 3))]
        bids.insert(0, (self.bid, stamp_text(stamp)))
        touched = self.bid - 1 - ((dice >> 10) & 15)
        bids.append((touched, _size(dice >> 14)))
        if dice & 1 << 38:
            bids.append((touched - 1 - ((dice >> 16) & 7), _size(dice >> 5)))
        asks.append((self.bid + 2 + ((dice >> 20) & 15), _size(dice >> 9)))
        asks.append((self.bid + 18 + ((dice >> 24) & 15), _size(dice >> 11)))
        if self._further:
            self._touch_further(bids, asks)
        return bids, asks

    def _touch_further(self, bids: list[Level], asks: list[Level]) -> None:
        distance = 36  # beyond what was touched already
        for _ in range(self._further):
            dice = self._random.getrandbits(40)
            distance += 1 + (dice & 7)
            price, other = self.bid - distance, self.bid + distance
            bids.append((price, _toggled(self._gone[0], price, dice >> 3)))
            asks.append((other, _toggled(self._gone[1], other, dice >> 9)))


def _toggled(gone: set[int], price: int, dice: int) -> str:
    """The size of a level that comes where it is gone, and else goes."""
    if price in gone:
        gone.remove(price)
        return f"{dice & 3}.{1 + (dice >> 2) % 99_998:05d}"
    gone.add(price)
    return "0"


def _size(dice: int) -> str:
    return f"{dice & 7}.{1 + (dice >> 3) % 998:03d}"


def server_frame(payload: bytes, opcode: int = 1) -> bytes:
    """A payload as one unmasked WebSocket frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


class Bursts:
    """Frames in wire form, of one topic or several, encoded once for bursts of any length.

    They are stamped 1, 2, 3 … and a millisecond apart; the last one of a burst has ``END``.
    """

    BLOCK = 250
    """Frames per block: around 60 kB, what a socket takes at once."""
    SMALL_BLOCK = 25
    """The same where bursts are paced: some 6 kB."""

    def __init__(self, make: Frames, now_ms: int, *, block: int = BLOCK) -> None:
        self._make = make
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
