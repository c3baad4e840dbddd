"""A channel's stream: its name, where frames say it, and what reads them."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import orjson

from ccrs_core.contract.codec import Message, Unrecognised
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.subscriptions import Subscription
from ccrs_core.wire.copies import peek_of
from ccrs_core.wire.interpreter import frame_reader, prove
from ccrs_core.wire.shapes import Shape


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
    of_account: ClassVar[bool] = False
    """Whether the stream is of an account, so that no instrument stands in its name. (A ``shape``
    tells by its event.)"""
    rows: str | None = None
    """Where rows stand that say something each by itself; see :func:`row_by_row`."""

    def __init__(self, topic: str, subscription: Subscription) -> None:
        self.topic = topic
        self.subscription = subscription
        self.exchange = subscription.exchange
        self.symbol = subscription.symbol
        self.account = subscription.account
        """The name of the account; None where the stream is of instruments."""
        self.last: Any = None

    @property
    def instrument(self) -> Instrument:
        """What the stream is of.

        :raises UsageError: where that is an account.
        """
        return self.subscription.instrument

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
    recordings of other programs hold them; the one that is heard first counts. A stream of an
    account has no native name: on a private route each connection is of one account.

    :raises ValueError: where a shape doesn't read its own usual frames, or a name can't be made.
    """

    name: str
    reads: Shape | type[StreamReader]
    also: tuple[tuple[str, Shape | type[StreamReader]], ...] = ()

    def __attrs_post_init__(self) -> None:
        for name, reads in self.each:
            _check(name, reads)
            shape = shape_of(reads)
            if shape is not None:
                prove(shape)

    @property
    def each(self) -> tuple[tuple[str, Shape | type[StreamReader]], ...]:
        """All names, the first one first, each with what reads it."""
        return ((self.name, self.reads), *self.also)


def shape_of(reads: Shape | type[StreamReader]) -> Shape | None:
    """The shape whose short ways frames take; None where there is none."""
    return reads if isinstance(reads, Shape) else reads.shape


def of_account(reads: Shape | type[StreamReader]) -> bool:
    """Whether what it reads is of an account."""
    shape = shape_of(reads)
    if shape is not None:
        return shape.of_account
    return isinstance(reads, type) and reads.of_account


def _check(name: str, reads: Any) -> None:
    """What can be wrong with a name, and what reads it.

    :raises ValueError: saying so.
    """
    if not isinstance(reads, Shape) and not (
        isinstance(reads, type) and issubclass(reads, StreamReader)
    ):
        raise ValueError(
            f"stream {name!r} is read by a Shape or a class of StreamReader: {reads!r}"
        )
    try:
        parts = [part for _, part, _, _ in string.Formatter().parse(name) if part is not None]
    except ValueError as error:
        raise ValueError(f"stream {name!r}: {error}; write braces that stay as {{{{ }}}}") from None
    for part in parts:
        if part not in _PARTS:
            known = ", ".join(f"{{{each}}}" for each in _PARTS)
            raise ValueError(f"stream {name!r}: nothing is known as {{{part}}}; there are {known}")
    named = {"native", "lower"} & set(parts)
    if of_account(reads):
        if named:
            raise ValueError(f"stream {name!r} is of an account, which has no native name")
        return
    shared = not isinstance(reads, Shape) and reads.joined
    if not shared and not named:
        raise ValueError(
            f"stream {name!r} has no instrument in its name, so that all would share one topic:"
            " write {native} (or {lower}) where it stands. A stream of many instruments is read by"
            " a StreamReader that is joined"
        )


_PARTS = ("native", "lower", "depth", "interval")


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

    def end(self, text: str) -> int:
        """How many characters of a usual frame are its head.

        :raises ValueError: where it doesn't begin so.
        """
        start = self.start.decode()
        if not text.startswith(start):
            raise ValueError(
                f"a usual frame doesn't begin with {start}: {text[:80]} … Write it as it is"
                " received. If the exchange names the topic elsewhere, leave head out and say in"
                " topic_of where: such frames are always parsed"
            )
        return text.index(self.stop.decode(), len(start)) + len(self.stop)

    def topic(self, frame: Any) -> str | None:
        """The topic that a parsed frame names; None where it names none."""
        named = frame.get(self.key)
        if named is None:
            return None
        if self.parts:
            return ":".join([named[part] for part in self.parts])
        if type(named) is not str:
            raise TypeError(f"{self.key} isn't a text")
        return named


__all__ = ["Head", "ShapeReader", "Stream", "StreamReader"]
