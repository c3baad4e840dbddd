"""Codecs made of a table of channels: what frames say follows from shapes, the rest is requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from typing import Any, ClassVar

import attrs
import orjson

from ccrs_core.contract.codec import Codec, Data, Message, Unrecognised
from ccrs_core.errors import DecodeError
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.wire.bodies import row_by_row
from ccrs_core.wire.copies import Burst, Peek, burst_of, peek_of
from ccrs_core.wire.interpreter import Reader, frame_reader, prove
from ccrs_core.wire.patterns import Taker, taker
from ccrs_core.wire.shapes import Shape, found
from ccrs_core.wire.spellings import Unspelled
from ccrs_core.wire.values import MALFORMED

MOST_LEARNED = 4
"""Spellings beside the declared ones that are kept of a topic."""
_ATTEMPTS = 16
"""Frames of a topic that are looked at for another spelling."""
_ANSWER = 32
"""Bytes that an answer has at most which isn't JSON."""
_UNUSED = b"\x00"
"""What no frame begins with."""


class StreamReader(ABC):
    """Reader of one topic's frames, with what it must remember of the connection's earlier ones:
    for channels of which a :class:`Shape` can't say it all."""

    shape: ClassVar[Shape | None] = None
    """Where most frames are of a shape: they take its short ways."""
    remembers: ClassVar[bool] = False
    """Whether the event that a short way has read last is wanted, in ``last``."""
    joined: ClassVar[bool] = False
    """Whether several subscriptions may share the stream: then :meth:`add` is told of further ones,
    and :meth:`drop` of those that end."""
    rows: str | None = None
    """Where rows stand that say something each by itself; see :func:`row_by_row`."""

    def __init__(self, topic: str, subscription: Subscription) -> None:
        self.topic = topic
        self.instrument = subscription.instrument
        self.exchange = subscription.instrument.exchange
        self.symbol = subscription.instrument.symbol
        self.last: Any = None

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that frames may bring: several, where a stream is of many instruments."""
        return (self.topic,)

    def add(self, subscription: Subscription) -> None:  # noqa: B027 - most have one only
        """Another subscription shares the stream."""

    def drop(self, subscription: Subscription) -> bool:
        """A subscription has ended; whether the stream goes on for others. By default it ends for
        all, as topics do that several channels share."""
        return False

    @abstractmethod
    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        """What a parsed frame of this topic says.

        :raises KeyError: (or another of :data:`MALFORMED`) where it is malformed.
        """

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        """See :meth:`Codec.peek`."""
        return None

    def unknown(self, what: object) -> tuple[Unrecognised]:
        """For frames that say something new, which is not an error."""
        return (Unrecognised(f"{self.topic}: {what}"[:200]),)


class ShapeReader(StreamReader):
    """Reader of frames of a shape. Subclasses name theirs, and do what it doesn't."""

    def __init__(self, topic: str, subscription: Subscription, shape: Shape | None = None) -> None:
        super().__init__(topic, subscription)
        known = self.shape if shape is None else shape
        if known is None:
            raise TypeError(f"{type(self).__name__} has no shape")
        self.read = frame_reader(known, topic, subscription)
        """The general decoder of the shape."""
        self.rows = known.rows if known.apart else None
        self.told = peek_of(known, topic)
        """How the shape tells copies."""

    def peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        return None if self.told is None else self.told(frame)

    def decode(self, frame: Any, received_time_ns: int) -> Sequence[Message]:
        return self.read(frame, received_time_ns)


@attrs.frozen
class Stream:
    """A channel's topic and what reads it.

    ``name`` has the instrument's native name in ``{native}`` (``{lower}``: in small letters), and
    ``{depth}`` and ``{interval}``, the latter as the codec's ``intervals`` say. ``reads`` is a
    :class:`Shape`, or a class of :class:`StreamReader`. ``also``: streams that say the same, as
    recordings of other programs hold them; the one that is heard first counts.

    :raises ValueError: where a shape doesn't read its own usual frames.
    """

    name: str
    reads: Shape | type[StreamReader]
    also: tuple[tuple[str, Shape | type[StreamReader]], ...] = ()

    def __attrs_post_init__(self) -> None:
        for _, reads in ((self.name, self.reads), *self.also):
            shape = reads if isinstance(reads, Shape) else reads.shape
            if shape is not None:
                prove(shape)


@attrs.frozen
class Head:
    """Where frames name their topic: in the member ``key``, at their beginning in the usual
    spelling. With ``parts`` that member is an object, whose members of these names, joined by
    colons, are the topic."""

    key: str
    parts: tuple[str, ...] = ()

    @property
    def start(self) -> bytes:
        """What frames begin with."""
        return f'{{"{self.key}":{{'.encode() if self.parts else f'{{"{self.key}":"'.encode()

    @property
    def stop(self) -> bytes:
        """What ends the head."""
        return b"}" if self.parts else b'"'

    def tag(self, topic: str) -> bytes:
        """What stands between the two in frames of a topic."""
        if not self.parts:
            return orjson.dumps(topic)[1:-1]
        return orjson.dumps(dict(zip(self.parts, topic.split(":"), strict=False)))[1:-1]

    def topic(self, frame: Any) -> str | None:
        """The topic that a parsed frame names; None where it names none."""
        named = frame.get(self.key)
        if self.parts and named is not None:
            return ":".join([named[part] for part in self.parts])
        if named is not None and type(named) is not str:
            raise TypeError(f"{self.key} isn't a text")
        return named


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
        self.head = _UNUSED if head is None else head.start + self.tag + head.stop
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
                start = _end_of_head(head, text)
                made, burst = self._know(text, start), burst_of(shape, text, start, self.head)
                self.takers += [] if made is None else [made]
                self.bursts += [] if burst is None else [burst]

    def _know(self, text: str, start: int) -> Taker | None:
        """What takes frames that are spelled as one is, from the end of its head on."""
        assert self.shape is not None
        told = self.reader if self.reader.remembers else None
        instrument = self._subscription.instrument
        try:
            return taker(self.shape, text, start, self.topic, instrument, told)
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


def _end_of_head(head: Head, text: str) -> int:
    start = head.start.decode()
    if not text.startswith(start):
        raise ValueError(f"a usual frame doesn't begin with {start}: {text[:80]}")
    return text.index(head.stop.decode(), len(start)) + len(head.stop)


class TableCodec(Codec):
    """A codec that reads what a table of channels declares.

    What is left to write: :meth:`subscribe` and :meth:`unsubscribe`, which call :meth:`open` and
    :meth:`close`; pings and logins; and :meth:`control` for frames that are no topic's.
    """

    channels: ClassVar[Mapping[Channel, Stream]] = {}
    head: ClassVar[Head | None] = None
    """None where frames don't name their topic in one member: then :meth:`topic_of` is needed."""
    intervals: ClassVar[Mapping[str, str]] = {}
    """The exchange's names of candle intervals by the unified ones."""
    answers: ClassVar[Mapping[bytes, Sequence[Message]]] = {}
    """What frames say that aren't JSON."""

    def __init__(self) -> None:
        self._readers: dict[str, list[Lane]] = {}
        """By topic: the lanes by which it comes."""
        self._lanes: dict[str, Lane] = {}
        """By the name that a parsed frame gives."""
        self._tags: dict[bytes, Lane] = {}
        """By what stands in the head of a frame."""
        self._head = _UNUSED
        self._start = 0
        self._lane: Lane | None = None
        self._take: Taker | None = None
        self._peeked = _UNUSED
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
        native = subscription.instrument.native
        interval = subscription.interval
        return name.format(
            native=native,
            lower=native.lower(),
            depth=subscription.depth,
            interval=None if interval is None else self.intervals.get(interval, interval),
        )

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
        self._head, self._lane, self._take = _UNUSED, None, None
        self._peeked = _UNUSED

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
        for name, reads in ((stream.name, stream.reads), *stream.also):
            if reads not in readers:
                readers[reads] = (
                    ShapeReader(topic, subscription, reads)
                    if isinstance(reads, Shape)
                    else reads(topic, subscription)
                )
            reader = readers[reads]
            shape = reads if isinstance(reads, Shape) else reads.shape
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
        self._head, self._lane, self._take = _UNUSED, None, None
        self._peeked = _UNUSED

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
        topics: tuple[str, ...] = ()
        try:
            if len(frame) <= _ANSWER and frame in self.answers:
                return self.answers[frame]
            message = self.parse(frame)
            name = self.topic_of(message)
            lane = None if name is None else self._lanes.get(name)
            if lane is None:
                said = self.control(message)
                return said or (self._nobodys(name, message),)
            topics = lane.reader.topics
            if lane.rivals:
                self._heard(lane)
            if lane.reader.rows is None:
                return lane.decode(message, received_time_ns)
            try:
                return lane.decode(message, received_time_ns)
            except MALFORMED:
                return self._row_by_row(lane, message, received_time_ns)
        except MALFORMED as error:
            raise DecodeError(f"malformed frame: {error!r}"[:200], frame, topics) from error

    def _nobodys(self, name: str | None, message: Any) -> Unrecognised:
        if name is None:
            return Unrecognised(f"a frame with {', '.join(map(str, message))}"[:200])
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
        self._head, self._lane, self._take = _UNUSED, None, None
        if not frame.startswith(self._opening):
            return
        begin = len(self._opening)
        end = frame.find(self._closing, begin)
        lane = self._tags.get(frame[begin:end])
        if lane is not None:
            if lane.rivals:
                self._heard(lane)
            self._head, self._start, self._lane = lane.head, lane.start, lane
            self._take = lane.takers[0] if lane.takers else None

    _opening: ClassVar[bytes] = _UNUSED
    _closing: ClassVar[bytes] = _UNUSED
    _key: ClassVar[bytes] = _UNUSED

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.head is not None:
            cls._opening, cls._closing = cls.head.start, cls.head.stop
            cls._key = cls.head.start[1:]

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
            if place < 0:
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


__all__ = ["MOST_LEARNED", "Head", "Lane", "ShapeReader", "Stream", "StreamReader", "TableCodec"]
