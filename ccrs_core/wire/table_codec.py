"""Codecs made of a table of channels: what frames say follows from shapes, the rest is requests."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from typing import Any, ClassVar

import orjson

from ccrs_core.contract.codec import Codec, Message, Unrecognised
from ccrs_core.errors import DecodeError
from ccrs_core.model.subscriptions import ACCOUNT_CHANNELS, Channel, Subscription
from ccrs_core.wire.bodies import row_by_row
from ccrs_core.wire.copies import Peek
from ccrs_core.wire.lanes import UNUSED, Lane
from ccrs_core.wire.patterns import Taker
from ccrs_core.wire.shapes import Shape, found
from ccrs_core.wire.streams import Head, ShapeReader, Stream, StreamReader, of_account, shape_of
from ccrs_core.wire.values import MALFORMED

_ANSWER = 32
"""Bytes that an answer has at most which isn't JSON."""


class TableCodec(Codec):
    """A codec that reads what a table of channels declares.

    What is left to write: :meth:`subscribe` and :meth:`unsubscribe`, which call :meth:`open` and
    :meth:`close`; pings and logins; and :meth:`control` for frames that are no topic's.

    :raises ValueError: when a class is made whose usual frames don't begin with its ``head``,
        or whose table or ``answers`` can't be right.
    """

    channels: ClassVar[Mapping[Channel, Stream]] = {}
    head: ClassVar[Head | None] = None
    """None where frames don't name their topic in one member at their beginning: then
    :meth:`topic_of` is needed, and all frames are parsed."""
    intervals: ClassVar[Mapping[str, str]] = {}
    """The exchange's names of candle intervals by the unified ones."""
    answers: ClassVar[Mapping[bytes, Sequence[Message]]] = {}
    """What frames say that aren't JSON, of at most 32 bytes."""

    def __init__(self) -> None:
        self._readers: dict[str, list[Lane]] = {}
        """By topic: the lanes by which it comes."""
        self._lanes: dict[str, Lane] = {}
        """By the name that a parsed frame gives."""
        self._tags: dict[bytes, Lane] = {}
        """By what stands in the head of a frame."""
        self._head = UNUSED
        self._start = 0
        self._lane: Lane | None = None
        self._take: Taker | None = None
        self._peeked = UNUSED
        self._peek: Peek = _nothing

    # --- what an author may say otherwise ---

    def stream(self, subscription: Subscription) -> Stream:
        """The stream that carries a subscription."""
        return self.channels[subscription.channel]

    def topic_of(self, frame: Any) -> str | None:
        """The topic that a parsed frame names; None where it names none."""
        return None if self.head is None else self.head.topic(frame)

    @abstractmethod
    def control(self, frame: Any) -> Sequence[Message]:
        """What a parsed frame says that is of no open topic; nothing where it isn't known.

        :raises KeyError: (or another of :data:`MALFORMED`) where it is malformed.
        """

    # --- topics ---

    def topic(self, subscription: Subscription) -> str:
        return self.named(self.stream(subscription).name, subscription)

    def named(self, name: str, subscription: Subscription) -> str:
        """A stream's name with what it has of a subscription."""
        interval = subscription.interval
        parts: dict[str, Any] = {
            "depth": subscription.depth,
            "interval": None if interval is None else self.intervals.get(interval, interval),
        }
        if subscription.account is None:
            native = subscription.instrument.native
            parts |= {"native": native, "lower": native.lower()}
        return name.format(**parts)

    def open(self, subscriptions: Sequence[Subscription]) -> None:
        """Read the frames of these topics from now on."""
        for subscription in subscriptions:
            stream = self.stream(subscription)
            topic = self.named(stream.name, subscription)
            lanes = self._readers.get(topic)
            if lanes is not None and lanes[0].reader.joined:
                lanes[0].reader.add(subscription)
                continue
            if lanes is not None:
                self._forget(topic)
            self._open(topic, stream, subscription)
        self._head, self._lane, self._take = UNUSED, None, None
        self._peeked = UNUSED

    @property
    def topics(self) -> Collection[str]:
        """Those that are open."""
        return self._readers.keys()

    def close(self, subscriptions: Sequence[Subscription]) -> None:
        """Read no more frames of these topics."""
        for subscription in subscriptions:
            name = self.named(self.stream(subscription).name, subscription)
            lanes = self._readers.get(name)
            if lanes is None or not lanes[0].reader.drop(subscription):
                self._forget(name)

    def _open(self, topic: str, stream: Stream, subscription: Subscription) -> None:
        lanes = []
        readers: dict[Any, StreamReader] = {}
        for name, reads in stream.each:
            if reads not in readers:
                readers[reads] = (
                    ShapeReader(topic, subscription, reads)
                    if isinstance(reads, Shape)
                    else reads(topic, subscription)
                )
            reader = readers[reads]
            shape = shape_of(reads)
            known = self.named(name, subscription)
            lanes.append(Lane(topic, known, reader, shape, subscription, self.head))
        self._readers[topic] = lanes
        for lane in lanes:
            lane.rivals = tuple(other for other in lanes if other is not lane)
            self._lanes[lane.name] = self._tags[lane.tag] = lane

    def _forget(self, topic: str) -> None:
        for lane in self._readers.pop(topic, ()):
            self._deafen(lane)

    def _deafen(self, lane: Lane) -> None:
        """Take no more frames that come by a name."""
        self._lanes.pop(lane.name, None)
        self._tags.pop(lane.tag, None)
        self._head, self._lane, self._take = UNUSED, None, None
        self._peeked = UNUSED

    def _heard(self, lane: Lane) -> None:
        """Of streams that say the same, the one that is heard first counts: a recording that holds
        several says nothing twice."""
        for rival in lane.rivals:
            self._deafen(rival)
        lane.rivals = ()

    # --- what frames say ---

    def decode(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        # The topic of a frame is often that of the one before.
        if not frame.startswith(self._head):
            self._look_up(frame)
        if self._take is not None:
            messages = self._take(frame, self._start, received_time_ns)
            if messages is not None:
                return messages
            lane = self._lane
            assert lane is not None
            if len(lane.takers) > 1:
                messages = lane.take(frame, received_time_ns, 1)
                self._take = lane.takers[0]
                if messages is not None:
                    return messages
            messages = self.read(frame, received_time_ns)
            if self._lane is lane:
                lane.learn(frame, messages, received_time_ns)
                self._take = lane.takers[0]
            return messages
        return self.read(frame, received_time_ns)

    def read(self, frame: bytes, received_time_ns: int) -> Sequence[Message]:
        """The general way: what :meth:`decode` says of a frame that no short way takes.

        :raises DecodeError: where the bytes are malformed.
        """
        lane: Lane | None = None
        try:
            if len(frame) <= _ANSWER and frame in self.answers:
                return self.answers[frame]
            message = self.parse(frame)
            name = self.topic_of(message)
            lane = None if name is None else self._lanes.get(name)
            if lane is None:
                said = self.control(message)
                return said or (self._nobodys(name),)
            if lane.rivals:
                self._heard(lane)
            try:
                return lane.decode(message, received_time_ns)
            except MALFORMED:
                if lane.reader.rows is None:
                    raise
                return self._row_by_row(lane, message, received_time_ns)
        except MALFORMED as error:
            topics = () if lane is None else lane.reader.topics
            raise DecodeError(f"malformed frame: {error!r}"[:200], frame, topics) from error

    def _nobodys(self, name: str | None) -> Unrecognised:
        if name is None:
            return Unrecognised("an unknown frame")
        return Unrecognised(f"{'topic' if self.head is None else self.head.key} {name}"[:200])

    def parse(self, frame: bytes) -> Any:
        """A frame's JSON. Where prices are JSON numbers: :func:`read_exact_json`."""
        return orjson.loads(frame)

    def carried(self, name: str) -> tuple[str, ...]:
        """The open topics that frames of a name may bring."""
        lane = self._lanes.get(name)
        return () if lane is None else lane.reader.topics

    # Apart from ``read``, whose variables would cost more in a closure.
    def _row_by_row(self, lane: Lane, message: Any, received_time_ns: int) -> Sequence[Message]:
        rows = lane.reader.rows
        assert rows is not None
        return row_by_row(
            lane.topic,
            found(message, rows),
            lambda row: lane.decode(_with(message, rows, [row]), received_time_ns),
        )

    def _look_up(self, frame: bytes) -> None:
        """Find what is known of a frame's topic, for it and those that begin alike."""
        # Where topics take turns this is done for every frame.
        opening = self._opening
        if frame.startswith(opening):
            begin = len(opening)
            lane = self._tags.get(frame[begin : frame.find(self._closing, begin)])
            if lane is not None:
                if lane.rivals:
                    self._heard(lane)
                self._head, self._start, self._lane = lane.head, lane.start, lane
                self._take = lane.takers[0] if lane.takers else None
                return
        self._head, self._lane, self._take = UNUSED, None, None

    _opening: ClassVar[bytes] = UNUSED
    _closing: ClassVar[bytes] = UNUSED
    _key: ClassVar[bytes] = UNUSED

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for channel, stream in cls.channels.items():
            if not isinstance(stream, Stream):
                raise ValueError(
                    f"{cls.__name__}: {channel} is {stream!r:.60}; write Stream(name, shape)"
                )
            if (channel in ACCOUNT_CHANNELS) != of_account(stream.reads):
                whose = "an account" if channel in ACCOUNT_CHANNELS else "instruments"
                raise ValueError(
                    f"{cls.__name__}: {channel} is of {whose}, but what reads {stream.name!r} is"
                    " not (its shape's event says so, or StreamReader.of_account)"
                )
            if cls.head is not None:
                cls._check_usual(cls.head, stream)
        answers: Mapping[Any, Any] = cls.answers
        for answer in answers:
            if not isinstance(answer, bytes) or len(answer) > _ANSWER:
                raise ValueError(
                    f"{cls.__name__}: {answer!r:.60} is no answer of at most {_ANSWER} bytes: write"
                    ' b"…"; what is longer, or JSON, is for control'
                )
        if cls.head is not None:
            cls._opening, cls._closing = cls.head.start, cls.head.stop
            cls._key = cls.head.start[1:]

    @classmethod
    def _check_usual(cls, head: Head, stream: Stream) -> None:
        for name, reads in stream.each:
            shape = shape_of(reads)
            for text in () if shape is None else shape.usual:
                try:
                    head.end(text)
                except ValueError as error:
                    raise ValueError(f"{cls.__name__}: stream {name!r}: {error}") from None

    def shortcut(self, topic: str) -> Callable[[bytes, int], Sequence[Message] | None] | None:
        lanes = [lane for lane in self._readers.get(topic, ()) if lane.takers]
        if not lanes:
            return None

        def short(frame: bytes, received_time_ns: int) -> Sequence[Message] | None:
            for lane in lanes:
                if frame.startswith(lane.head):
                    return lane.take(frame, received_time_ns)
            return None

        return short

    # --- copies ---

    def _lane_of(self, frame: bytes) -> Lane | None:
        begin = len(self._opening)
        if not frame.startswith(self._opening):
            # Most exchanges' frames begin with the topic, but for a few.
            place = frame.find(self._key)
            if place < 0 or not frame.startswith(b"{"):
                return None
            begin = place + len(self._key)
        return self._tags.get(frame[begin : frame.find(self._closing, begin)])

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        """See :meth:`Codec.peek`: as shapes and readers tell; None where anything is unusual."""
        # The topic of a frame is often that of the one before.
        if not frame.startswith(self._peeked):
            lane = self._lane_of(frame)
            if lane is None:
                return None
            if not frame.startswith(lane.head):
                return lane.peek(frame)
            self._peeked, self._peek = lane.head, lane.peek
        return self._peek(frame)

    def newest(
        self, frames: Sequence[bytes], replaceable: Container[str]
    ) -> tuple[Sequence[bytes], Mapping[str, int]]:
        lane = self._lane_of(frames[-1])
        if lane is not None and lane.bursts and lane.topic in replaceable:
            for judge in lane.bursts:
                if judge(frames):
                    return frames[-1:], {lane.topic: len(frames) - 1}
        return super().newest(frames, replaceable)


def _nothing(frame: bytes) -> None:
    """Of no topic."""


def _with(frame: Any, path: str, rows: list[Any]) -> Any:
    """A parsed frame with other rows."""
    name, _, further = path.partition(".")
    return {**frame, name: _with(frame[name], further, rows) if further else rows}


__all__ = ["TableCodec"]
