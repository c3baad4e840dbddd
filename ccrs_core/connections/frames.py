"""The path of a frame from the connection to the messages in it: the one place that must be fast.

Frames that are copies of what another connection has brought, or that a later one of the same burst
replaces, are recognised here and never decoded. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from ccrs_core.connections.carried import Carried
from ccrs_core.connections.effects import Counters, Effect, Superseded
from ccrs_core.connections.runner import LAG, Runner
from ccrs_core.connections.trail import Trail
from ccrs_core.connections.wanted import WantedTopic
from ccrs_core.contract.codec import (
    Ack,
    Alive,
    Closing,
    Codec,
    Data,
    EntryReply,
    LeftOut,
    LoggedIn,
    LoginRefused,
    Lost,
    Message,
    Pong,
    Refused,
    Reply,
    Unchanged,
)
from ccrs_core.contract.compression import inflate

_CONTROL = frozenset(
    {Lost, Ack, Refused, Reply, Alive, Pong, Closing, LoggedIn, LoginRefused, EntryReply}
)
_NOWHERE = -1


def identify(messages: Sequence[Message], identity: bytes) -> None:
    """Give the data of a frame the frame's identity. Where a frame says more than one thing, each
    has one of its own: none is a copy of another, and what a copy of the frame brings is needed as
    long as any of it isn't delivered."""
    for place, message in enumerate(messages):
        if isinstance(message, Data):
            own = b"" if len(messages) == 1 else place.to_bytes(4, "big")
            message.sequence = identity + own


def _told(effects: Sequence[Effect]) -> set[str]:
    """The topics of which something could be read."""
    return {e.topic for e in effects if isinstance(e, Data | Unchanged)}


class FrameReader:
    """Reads the frames of one connection.

    ``topics`` are those that it is to carry. ``control(message, now, effects)`` is called with what
    isn't data, ``unreadable(error, frame, now, effects)`` with what can't be read, ``first(topic,
    now)`` when a topic brings data for the first time, or again after a silence.
    """

    def __init__(
        self,
        codec: Codec,
        topics: Mapping[str, WantedTopic],
        runner: Runner,
        counters: Counters,
        *,
        control: Callable[[Message, float, list[Effect]], None],
        unreadable: Callable[[Exception, bytes, float, list[Effect]], None],
        first: Callable[[WantedTopic, float], None],
    ) -> None:
        self.contests: Mapping[str, Carried] | None = None
        """By topic, where copies are to be recognised without decoding them."""
        self.trail = Trail()
        """That of all connections which race."""
        self.replaceable: Collection[str] = ()
        """Topics of which only the newest state of a burst is wanted."""
        self._codec = codec
        self._topics = topics
        self._runner = runner
        self._counters = counters
        self._control = control
        self._unreadable = unreadable
        self._first = first
        self.only_topic: str | None = None
        """The topic of all that was read last, where that was nothing but data of one topic."""
        self.data_alone = False
        """Whether what was read last was nothing but data."""
        self._place = _NOWHERE
        """How far this connection has followed the trail."""

    def read(self, frames: Sequence[bytes], now: float, now_ns: int) -> list[Effect]:
        """What frames say that have arrived in this order; ``now_ns`` is the wall clock's time."""
        self._counters.frames += len(frames)
        effects: list[Effect] = []
        self.only_topic, self.data_alone = None, False
        if self._codec.compression is not None:
            frames = self._inflated(frames, now, effects)
        if self.replaceable and len(frames) > 1:
            self._conflate(frames, now, now_ns, effects)
        else:
            self._take(frames, now, now_ns, effects)
        return effects

    def _take(
        self, frames: Sequence[bytes], now: float, now_ns: int, effects: list[Effect]
    ) -> None:
        if self.contests is None:
            self._decode(frames, now, now_ns, effects)
        else:
            self._race(frames, now, now_ns, effects, self.contests)

    def _inflated(
        self, frames: Sequence[bytes], now: float, effects: list[Effect]
    ) -> Sequence[bytes]:
        compression = self._codec.compression
        assert compression is not None
        content = []
        for frame in frames:
            try:
                content.append(inflate(frame, compression))
            except Exception as error:
                self._unreadable(error, frame, now, effects)
        return content

    # --- bursts ---

    def _conflate(
        self, frames: Sequence[bytes], now: float, now_ns: int, effects: list[Effect]
    ) -> None:
        """Read a burst but for the frames that later ones replace."""
        try:
            kept, superseded = self._codec.newest(frames, self.replaceable)
        except Exception:
            kept, superseded = frames, {}  # decoding finds the frame that is to blame
        said: list[Effect] = []
        self._take(kept, now, now_ns, said)
        if superseded:
            superseded = dict(superseded)
            silent = superseded.keys() - _told(said)
            if silent:
                said[:0] = self._earlier(frames, kept, silent, superseded, now, now_ns)
            self.only_topic, self.data_alone = None, False
        for name, count in superseded.items():
            if count:
                self._counters.superseded += count
                effects.append(Superseded(name, count))
        effects += said

    def _earlier(
        self,
        frames: Sequence[bytes],
        kept: Sequence[bytes],
        silent: set[str],
        superseded: dict[str, int],
        now: float,
        now_ns: int,
    ) -> list[Effect]:
        """What is to stand before what the kept frames said: the newest of those left out that
        tell anything of the ``silent`` topics. A frame that looks like a state may say nothing,
        or be broken."""
        known = {id(frame) for frame in kept}
        found: list[Effect] = []
        for frame in reversed(frames):
            if not silent:
                break
            told = None if id(frame) in known else self._peek(frame)
            if told is None or told[0] not in silent:
                continue
            (name, *_), late, said = told, self._counters.late, list[Effect]()
            superseded[name] -= 1
            self._take((frame,), now, now_ns, said)
            found[:0] = said
            if name in _told(said) or self._counters.late > late:
                silent.discard(name)
        return found

    # --- decoding ---

    def _decode(
        self, frames: Sequence[bytes], now: float, now_ns: int, effects: list[Effect]
    ) -> None:
        append, decode, topics = effects.append, self._codec.decode, self._topics
        alive: str | None = None
        """The topic of the frame before, which is known to be wanted and to have been heard of."""
        turns = data = 0
        for frame in frames:
            try:
                messages = decode(frame, now_ns)
            except Exception as error:
                self._unreadable(error, frame, now, effects)
                continue
            if len(messages) == 1:
                message = messages[0]
                if message.__class__ is Data:
                    name = message.topic
                    if name is alive:
                        append(message)
                        data += 1
                        continue
                    topic = topics.get(name)
                    if topic is None:
                        self._counters.unwanted += 1
                        continue
                    topic.last_data = now
                    if topic.silences or not topic.had_data:
                        self._first(topic, now)
                    append(message)
                    data += 1
                    alive = name
                    turns += 1
                    continue
            alive = None
            self._several(messages, now, effects)
        self._counters.data += data
        self.data_alone = 0 < data == len(effects)
        if turns == 1 and self.data_alone:
            self.only_topic = alive

    def _several(self, messages: Sequence[Message], now: float, effects: list[Effect]) -> None:
        """A frame that says anything but one thing about one topic."""
        counters, useful = self._counters, False
        for message in messages:
            if message.__class__ is not Data and message.__class__ is not Unchanged:
                self._control(message, now, effects)
                useful = useful or message.__class__ is LeftOut
                continue
            assert isinstance(message, (Data, Unchanged))  # a union is made anew each time
            topic = self._topics.get(message.topic)
            if topic is None:
                continue
            if isinstance(message, Unchanged):
                topic.last_data = now
                if topic.silences or not topic.had_data:
                    self._first(topic, now)
                effects.append(message)
                useful = True
                continue
            topic.last_data = now
            if topic.silences or not topic.had_data:
                self._first(topic, now)
            effects.append(message)
            useful = True
        if useful:
            counters.data += 1
        elif not messages:
            counters.unrecognised += 1
        elif messages[0].__class__ is Data:
            counters.unwanted += 1
        elif messages[0].__class__ in _CONTROL:
            counters.control += 1
        else:
            counters.unrecognised += 1

    # --- racing ---

    def _race(
        self,
        frames: Sequence[bytes],
        now: float,
        now_ns: int,
        effects: list[Effect],
        contests: Mapping[str, Carried],
    ) -> None:
        trail = self.trail
        taken = 0
        if trail.base <= self._place < trail.end:
            taken = trail.follow(frames, self._place)
            if taken and self._copied(taken, now, now_ns, contests):
                self._place += taken
            else:
                taken = 0
        stamp = (now, self._runner)
        for frame in frames[taken:] if taken else frames:
            identity: int | bytes | None = None
            peeked = False
            if self._place != trail.end or not trail.frames:
                # Somebody else may have brought it.
                found = trail.find(frame)
                restart = False
                if found is not None:
                    self._place = found + 1
                    name, identity = trail.steps[found - trail.base]
                else:
                    told = self._peek(frame)
                    if told is not None:
                        name, identity, restart = told
                peeked = True
                if identity is not None and self._late(
                    name, identity, restart, now, now_ns, contests
                ):
                    continue
            self._decode_new(frame, identity, peeked, stamp, now_ns, effects)

    def _peek(self, frame: bytes) -> tuple[str, int | bytes, bool] | None:
        try:
            return self._codec.peek(frame)
        except Exception:
            return None  # decoding says what is wrong with it

    def _late(
        self,
        name: str,
        number: int | bytes,
        restart: bool,
        now: float,
        now_ns: int,
        contests: Mapping[str, Carried],
    ) -> bool:
        """Whether a frame is a copy of what was delivered; if so, it is dealt with."""
        topic, contest = self._topics.get(name), contests.get(name)
        if topic is None or contest is None:
            return False
        if not contest.late(number, restart, self._runner, now, now_ns):
            return False
        self._counters.late += 1
        topic.last_data = now
        if topic.silences or not topic.had_data:
            self._first(topic, now)
        return True

    def _copied(self, count: int, now: float, now_ns: int, contests: Mapping[str, Carried]) -> bool:
        """Deal with so many frames that are the next ones of the trail, all at once; False where
        they must be looked at one by one."""
        trail, runner, topics = self.trail, self._runner, self._topics
        stop = self._place - trail.base + count
        last: dict[str, int | bytes] = dict(trail.steps[stop - count : stop])
        when, winner = trail.stamps[stop - 1]
        if winner is runner or now - when >= LAG:
            return False
        for name, number in last.items():
            # What a connection begins with says nothing about its speed.
            started = number.__class__ is bytes or name in runner.tops
            if not started or name in runner.apart or name not in topics or name not in contests:
                return False
        for name, number in last.items():
            topic = topics[name]
            topic.last_data = now
            if topic.silences or not topic.had_data:
                self._first(topic, now)
            contests[name].copied(number, runner, now_ns)
        self._counters.late += count
        runner.late += count
        runner.timed(when, winner, now)
        if winner is not None:
            trail.stamps[stop - 1] = (when, None)
        return True

    def _decode_new(
        self,
        frame: bytes,
        identity: int | bytes | None,
        peeked: bool,
        stamp: tuple[float, Runner],
        now_ns: int,
        effects: list[Effect],
    ) -> None:
        """Decode a frame that nobody is known to have brought, and leave it on the trail."""
        now = stamp[0]
        try:
            messages = self._codec.decode(frame, now_ns)
        except Exception as error:
            self._unreadable(error, frame, now, effects)
            return
        data = [message for message in messages if isinstance(message, Data)]
        if data:
            first = data[0]
            if identity is None and first.peek_agrees and isinstance(first.sequence, int):
                identity = first.sequence
            elif not peeked and (told := self._peek(frame)) is not None:
                identity = told[1]
            if identity.__class__ is bytes:
                assert isinstance(identity, bytes)
                identify(messages, identity)
            # What isn't known to follow on may have to wait: nobody's copy of it is one yet.
            apart = self._runner.apart
            if (
                identity is not None
                and len(messages) == 1
                and not (first.restart or (apart and first.topic in apart))
            ):
                self.trail.add(frame, (first.topic, identity), stamp)
                self._place = self.trail.end
        self._several(messages, now, effects)
