"""What is known of the frames that come by one name: their reader and their short ways."""

from __future__ import annotations

from collections.abc import Sequence

from ccrs_core.contract.codec import Data, Message
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.wire.copies import Burst, Peek, burst_of
from ccrs_core.wire.interpreter import Reader
from ccrs_core.wire.patterns import Taker, taker
from ccrs_core.wire.shapes import Shape
from ccrs_core.wire.spellings import Unspelled
from ccrs_core.wire.streams import Head, ShapeReader, StreamReader

MOST_LEARNED = 4
"""Spellings beside the declared ones that are kept of a topic."""
_ATTEMPTS = 16
"""Frames of a topic that are looked at for another spelling."""
UNUSED = b"\x00"
"""What no frame begins with."""


class Lane:
    """What is known of the frames that come by one name."""

    def __init__(
        self,
        topic: str,
        name: str,
        reader: StreamReader,
        shape: Shape | None,
        subscription: Subscription,
        head: Head | None,
    ) -> None:
        self.topic, self.name, self.reader, self.shape = topic, name, reader, shape
        self.tag = b"" if head is None else head.tag(name)
        self.head = UNUSED if head is None else head.start + self.tag + head.stop
        self.start = len(self.head.decode())
        self.decode: Reader = reader.decode
        self.peek: Peek = reader.peek
        if isinstance(reader, ShapeReader):
            kind = type(reader)
            self.decode = reader.read if kind.decode is ShapeReader.decode else reader.decode
            if kind.peek is ShapeReader.peek and reader.told is not None:
                self.peek = reader.told
        self.takers: list[Taker] = []
        self.bursts: list[Burst] = []
        self.rivals: tuple[Lane, ...] = ()
        """Lanes that say the same, until one of them is heard."""
        self._subscription = subscription
        self._learned = self._attempts = 0
        if shape is not None and head is not None:
            for text in shape.usual:
                start = head.end(text)
                made, burst = self._know(text, start), burst_of(shape, text, start, self.head)
                self.takers += [] if made is None else [made]
                self.bursts += [] if burst is None else [burst]

    def _know(self, text: str, start: int) -> Taker | None:
        """What takes frames that are spelled as one is, from the end of its head on."""
        assert self.shape is not None
        told = self.reader if self.reader.remembers else None
        try:
            return taker(self.shape, text, start, self.topic, self._subscription, told)
        except Unspelled:
            return None

    def take(self, frame: bytes, received_time_ns: int, first: int = 0) -> Sequence[Message] | None:
        """What a frame says by any of the short ways, from the one at ``first`` on; that one is
        tried first from then on."""
        for place in range(first, len(self.takers)):
            messages = self.takers[place](frame, self.start, received_time_ns)
            if messages is not None:
                self.takers.insert(0, self.takers.pop(place))
                return messages
        return None

    def learn(self, frame: bytes, messages: Sequence[Message], received_time_ns: int) -> None:
        """Take frames that are spelled like one of which no short way was known; only if that way
        then says of it what was read."""
        if self._learned >= MOST_LEARNED or self._attempts >= _ATTEMPTS or not self.takers:
            return
        if len(messages) != 1 or not isinstance(messages[0], Data) or len(messages[0].events) != 1:
            return
        self._attempts += 1
        made = self._know(frame.decode(), self.start)
        again = None if made is None else made(frame, self.start, received_time_ns)
        if made is not None and again is not None and repr([*again]) == repr([*messages]):
            self.takers.insert(0, made)
            self._learned += 1


__all__ = ["MOST_LEARNED", "UNUSED", "Lane"]
