"""Whether what a feed has is as fresh as its user wants it: ``subscribe(..., stale_after=)``. Pure.

Freshness belongs to the feed, not to the stream, which other feeds share: a stream knows what its
exchange promises, a feed what its user needs. A feed is told ``Stale`` once, for whatever comes
first: what the stream has to say, or a silence that is too long. It is told ``Resumed`` once, when
neither holds any more. Nothing is invalidated, asked for or reconnected for it. Time is time: with
the policy ``block`` a feed that isn't read for too long hears nothing, and is told so in its place.

Data pass by without being noticed here: a timer looks at what has come in the meantime.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from ccrs_core.errors import UsageError
from ccrs_core.model.events import Reason, Stale

if TYPE_CHECKING:
    from ccrs_core.model.events import Notice, Resumed
    from ccrs_core.transport.base import Clock

_GRAIN = 0.01
"""Timers fire at most this often (s), so that thousands of deadlines don't."""
_JUMP = 0.05
"""Seconds by which the wall clock must be off the other one to have been set."""


class Told(Protocol):
    """Who is told: a feed."""

    def notify(self, notice: Notice) -> None: ...


class Heard(Protocol):
    """What is watched: a stream, as far as it concerns freshness."""

    watches: dict[Told, Watch]
    hushed: list[Watch]
    delivered: int
    repeated: int
    last_received_ns: int | None
    repeated_ns: int | None
    stale_since_ns: int | None
    refused: bool

    def stale_notice(self, reason: Reason, now_ns: int, silent_ns: int | None) -> Stale: ...
    def resumed(self, now_ns: int, since_ns: int) -> Resumed: ...


class Handle(Protocol):
    """What a timer can be cancelled by."""

    def cancel(self) -> None: ...


def checked_seconds(value: Any) -> float | None:
    """What is given as ``stale_after``.

    :raises UsageError: where it is neither None nor a number of seconds above zero.
    """
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
        try:
            return float(value)
        except OverflowError:
            pass
    raise UsageError(
        f"stale_after must be a number of seconds above zero, or None, not {value!r:.100}"
    )


@attrs.define(eq=False)
class Watch:
    """How fresh one of a feed's streams is."""

    feed: Told
    stream: Heard
    sources: Callable[[], Iterable[Heard]]
    """The streams by any of which it is heard."""
    heard_at: float
    """Monotonic time when it was last heard, or wished for; as known at the last look."""
    count: int
    """How often it had been heard, at the last look."""
    offset: float
    """Between wall clock and monotonic clock, at the last look."""
    looked_at: float
    silent: bool = False
    """Whether nothing was heard for too long."""
    told_ns: int | None = None
    """Since when the feed has been told that it is stale."""
    gone: bool = False

    def stale(self, notice: Stale) -> None:
        """Tell the feed, unless it has been told."""
        if self.told_ns is None:
            self.told_ns = notice.received_time_ns
            self.feed.notify(notice)

    def resume(self, now_ns: int) -> None:
        """Tell the feed, if it has been told, and nothing else keeps it stale."""
        if self.told_ns is None or self.silent or self.stream.stale_since_ns is not None:
            return
        since, self.told_ns = self.told_ns, None
        self.feed.notify(self.stream.resumed(now_ns, since))


class Freshness:
    """Watches the streams of one feed.

    :param later: calls something after so many seconds, unless that is cancelled.
    """

    def __init__(
        self,
        stale_after: float,
        clock: Clock,
        later: Callable[[float, Callable[[], None]], Handle],
    ) -> None:
        self.stale_after = stale_after
        self._clock = clock
        self._later = later
        self._watches: dict[Heard, Watch] = {}
        self._due: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._timer: Handle | None = None
        self._timer_at = math.inf
        self._looked_at = -math.inf
        self._ended = False

    # --- what is watched ---

    def watch(self, feed: Told, stream: Heard, sources: Callable[[], Iterable[Heard]]) -> None:
        """Watch a stream from now on; one that was heard before is as old as it is."""
        if self._ended or stream in self._watches:
            return
        now, now_ns = self._clock.monotonic(), self._clock.time_ns()
        watch = self._watches[stream] = Watch(
            feed,
            stream,
            sources,
            heard_at=min(_heard_at(sources(), now, now_ns, -math.inf), now),
            count=_count(sources()),
            offset=now_ns / 1e9 - now,
            looked_at=now,
        )
        if watch.heard_at == -math.inf:
            watch.heard_at = now
        stream.watches[feed] = watch
        self._push(watch, now)
        self._arm()

    def unwatch(self, stream: Heard) -> None:
        """Watch a stream no more."""
        watch = self._watches.pop(stream, None)
        if watch is not None:
            watch.gone = True
            stream.watches.pop(watch.feed, None)
            if watch in stream.hushed:
                stream.hushed.remove(watch)

    def end(self) -> None:
        """Watch nothing more."""
        self._ended = True
        for stream in list(self._watches):
            self.unwatch(stream)
        self._due.clear()
        self._disarm()

    # --- time ---

    @staticmethod
    def _idle(watch: Watch) -> bool:
        """Whether there is nothing to tell before it is heard again, or of what was refused."""
        return watch.silent or watch.stream.refused

    def _push(self, watch: Watch, now: float) -> None:
        left = self.stale_after
        if not self._idle(watch):
            left -= now - watch.heard_at
        heapq.heappush(self._due, (now + max(left, 0.0), next(self._numbers), watch))

    def _arm(self) -> None:
        if self._ended or not self._due:
            return
        at = max(self._due[0][0], self._looked_at + _GRAIN)
        if at < self._timer_at:
            self._disarm()
            self._timer_at = at
            self._timer = self._later(max(at - self._clock.monotonic(), 0.0), self._look)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, math.inf

    def _look(self) -> None:
        self._timer, self._timer_at = None, math.inf
        now, now_ns = self._clock.monotonic(), self._clock.time_ns()
        self._looked_at = now
        due, early = self._due, min(0.001, self.stale_after / 10)
        looked: list[Watch] = []
        while due and due[0][0] <= now + early:
            watch = heapq.heappop(due)[2]
            if not watch.gone:
                looked.append(watch)
        for watch in looked:
            self._look_at(watch, now, now_ns)
            silence = now - watch.heard_at
            if not self._idle(watch) and silence >= self.stale_after - early:
                self._hush(watch, now_ns, silence)
            self._push(watch, now)
        self._arm()

    def _look_at(self, watch: Watch, now: float, now_ns: int) -> None:
        """Note whether, and when, a stream was heard since the last look."""
        count, offset = _count(watch.sources()), now_ns / 1e9 - now
        if count != watch.count:
            watch.count = count
            # It was heard since then, unless the wall clock was set: when, nobody knows then.
            drift = _JUMP + 0.01 * (now - watch.looked_at)
            at = _heard_at(watch.sources(), now, now_ns, now)
            if abs(offset - watch.offset) > drift or at < watch.looked_at - _JUMP:
                at = now
            watch.heard_at = min(max(at, watch.heard_at), now)
        watch.offset, watch.looked_at = offset, now

    def _hush(self, watch: Watch, now_ns: int, silence: float) -> None:
        watch.silent = True
        stream = watch.stream
        stream.hushed.append(watch)
        watch.stale(stream.stale_notice(Reason.SILENT, now_ns, round(silence * 1e9)))


def _count(sources: Iterable[Heard]) -> int:
    return sum(stream.delivered + stream.repeated for stream in sources)


def _heard_at(sources: Iterable[Heard], now: float, now_ns: int, otherwise: float) -> float:
    """When the last of some streams was heard, on the monotonic clock."""
    ages = [
        (now_ns - ns) / 1e9
        for stream in sources
        for ns in (stream.last_received_ns, stream.repeated_ns)
        if ns is not None
    ]
    # What lies ahead is from before the wall clock was set back.
    return max((now - age for age in ages if age >= -_JUMP), default=otherwise)
