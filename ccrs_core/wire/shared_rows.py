"""Streams that bring rows of many instruments, of which some are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ccrs_core.contract.codec import Data, LeftOut, Message
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.wire.shapes import Shape, found
from ccrs_core.wire.streams import ShapeReader, StreamReader
from ccrs_core.wire.values import MALFORMED


class SharedRowsReader(StreamReader):
    """Reader of a stream that several instruments share, as trades of all options of a coin: each
    row is read by itself and delivered under a topic of its instrument.

    Subclasses say what a row is. The codec's ``topic`` must name topics as ``own_topic`` does, and
    a request that ends some of them must leave the stream to the others (:meth:`drop`).
    """

    joined: ClassVar[bool] = True
    of_row: ClassVar[Shape]
    """What a frame of one row says; its ``rows`` is where they stand."""
    native_at: ClassVar[str]
    """The key under which a row names its instrument, in the exchange's words."""
    own_topic: ClassVar[str]
    """The topic of one instrument, with ``{native}`` in it."""

    def __init__(self, topic: str, subscription: Subscription) -> None:
        super().__init__(topic, subscription)
        self._wanted: dict[str, ShapeReader] = {}
        self.add(subscription)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(reader.topic for reader in self._wanted.values())

    def add(self, subscription: Subscription) -> None:
        native = subscription.instrument.native
        topic = self.own_topic.format(native=native)
        self._wanted[native] = ShapeReader(topic, subscription, self.of_row)

    def drop(self, subscription: Subscription) -> bool:
        self._wanted.pop(subscription.instrument.native, None)
        return bool(self._wanted)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        place = self.of_row.rows
        assert place is not None
        rows = found(frame, place)
        if type(rows) is not list:
            raise TypeError(f"{place} isn't a list")
        messages: list[Message] = []
        for row in rows:
            try:
                reader = self._wanted.get(row[self.native_at])
            except MALFORMED as error:
                if len(rows) == 1:
                    raise
                # Nobody knows whose it is: it may be anybody's.
                why = f"{error!r} in {row!r}"[:200]
                messages += [LeftOut(topic, why) for topic in self.topics]
                continue
            if reader is None:
                continue
            try:
                read = reader.read({**frame, place: [row]}, received_time_ns)
            except MALFORMED as error:
                # It takes none of the others away, which may be of other instruments.
                messages.append(LeftOut(reader.topic, f"{error!r} in {row!r}"[:200]))
                continue
            for message in read:
                if isinstance(message, Data):
                    # A glance at the frame doesn't tell whose it is.
                    message.peek_agrees = False
            messages += read
        return messages or self.unknown(f"{len(rows)} rows of others")


__all__ = ["SharedRowsReader"]
