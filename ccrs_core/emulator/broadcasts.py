"""Broadcasts: what subscribers of one topic receive, made once for all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

from ccrs_core.emulator.frame import Frame
from ccrs_core.emulator.market import Changed, SimulatedMarket
from ccrs_core.emulator.roles import Floor, Listener
from ccrs_core.emulator.spelling import Levels


class BookView:
    """The best levels of a market's book as a broadcast tells them, with its own update number."""

    def __init__(self, market: SimulatedMarket, depth: int, update: int) -> None:
        self._market = market
        self._depth = depth
        self._version = -1
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self.update = update
        """Number of the last published change."""
        self.sequence = 0
        """The market's sequence at the last published change."""
        self.time_ns = market.now_ns
        """When the last published change happened."""

    @property
    def bids(self) -> Levels:
        """The published bids."""
        return list(self._bids.items())

    @property
    def asks(self) -> Levels:
        """The published asks."""
        return list(self._asks.items())

    def refresh(self) -> tuple[Levels, Levels] | None:
        """Take over the book's state: the levels that changed, size 0 for those that are gone, or
        None where nothing visible changed."""
        engine = self._market.engine
        if engine.version == self._version:
            return None
        self._version = engine.version
        bids = dict(engine.bids.top(self._depth))
        asks = dict(engine.asks.top(self._depth))
        changed = _differences(self._bids, bids, True), _differences(self._asks, asks, False)
        self._bids, self._asks = bids, asks
        if not changed[0] and not changed[1]:
            return None
        self.update += 1
        self.sequence = self._market.sequence
        self.time_ns = self._market.now_ns
        return changed

    def restart(self) -> None:
        """Begin to count anew: what is published now has the number 1."""
        self.refresh()
        self.update = 1


def _differences(old: dict[int, int], new: dict[int, int], descending: bool) -> Levels:
    changes = [(price, size) for price, size in new.items() if old.get(price) != size]
    gone = [(price, 0) for price in old if price not in new]
    if gone:
        changes += gone
        changes.sort(reverse=descending)
    return changes


class Broadcast(ABC):
    """One topic of one or several markets. Subclasses write its frames.

    ``first`` is for one new subscriber and must tell the state that ``update`` has last told the
    others, so that whatever comes next fits both.
    """

    triggers: Changed = Changed.NOTHING
    """What change of a market makes it speak."""
    interval_ns: int = 0
    """Least time between two updates."""

    def __init__(self, topic: str, markets: Sequence[SimulatedMarket]) -> None:
        self.topic = topic
        self.markets = tuple(markets)
        self.subscribers: dict[Listener, None] = {}
        self.blank: Callable[[], bool] = bool
        """Whether what is written now leaves out what it may (``EmulatedExchange.blank``)."""
        self._floor: Floor | None = None
        self.last_ns = 0
        """When it last spoke to everyone."""
        self._looked_ns = 0  # whether or not there was anything to tell
        self._due = False
        self._armed = False

    @abstractmethod
    def first(self, now_ns: int) -> Iterable[Frame]:
        """What a new subscriber is sent before anything else."""

    @abstractmethod
    def update(self, now_ns: int) -> Iterable[Frame]:
        """What changed since the last update; may be nothing."""

    def started(self, now_ns: int) -> None:  # noqa: B027 - not every broadcast has a state
        """Nobody has listened for a while: take over the present state."""

    def alarm_ns(self) -> int | None:
        """When it wants to speak, whether or not anything changes."""
        return None

    def alarm(self, now_ns: int) -> Iterable[Frame]:
        """What is said then."""
        return ()

    def restarted(self, now_ns: int) -> Iterable[Frame]:
        """What is said as the exchange begins to count anew; nothing where it doesn't count."""
        return ()

    def relisted(self, now_ns: int) -> None:  # noqa: B027 - hardly any tells of that
        """The exchange lists something else from now on."""

    # --- the venue's side ---

    def join(self, floor: Floor, listener: Listener, now_ns: int) -> list[Frame]:
        """Add a subscriber; the frames that it must be sent first."""
        if not self.subscribers:
            self._floor = floor
            floor.watch(self)
            self.last_ns = self._looked_ns = now_ns
            self.started(now_ns)
        else:
            self._publish(now_ns)
        self.subscribers[listener] = None
        self._arm()
        return list(self.first(now_ns))

    def leave(self, listener: Listener) -> None:
        """Remove a subscriber."""
        if listener not in self.subscribers:
            return
        del self.subscribers[listener]
        if not self.subscribers and self._floor is not None:
            self._floor.unwatch(self)

    def touch(self, now_ns: int) -> None:
        """A market changed: speak now, or as soon as the interval allows."""
        if self._due:
            return
        due = self._looked_ns + self.interval_ns
        if due <= now_ns:
            self._publish(now_ns)
        else:
            self._due = True
            assert self._floor is not None
            self._floor.at(due, self._fire)

    def flush(self, now_ns: int) -> None:
        """Publish what is pending, to make the published state the present one."""
        if self.subscribers:
            self._publish(now_ns)
        else:
            self.started(now_ns)

    def begin_anew(self, now_ns: int) -> None:
        """Let the exchange's numbers begin anew."""
        if self.subscribers:
            self._send(self.restarted(now_ns), now_ns)

    def _fire(self, now_ns: int) -> None:
        self._due = False
        if self.subscribers:
            self._publish(now_ns)

    def _publish(self, now_ns: int) -> None:
        self._looked_ns = now_ns
        self._send(self.update(now_ns), now_ns)

    def send(self, frame: Frame) -> None:
        """Send a frame to all subscribers."""
        for listener in self.subscribers:
            listener.send(frame, self.topic)

    def _send(self, frames: Iterable[Frame], now_ns: int) -> None:
        subscribers = self.subscribers
        for frame in frames:
            self.last_ns = now_ns
            for listener in subscribers:
                listener.send(frame, self.topic)

    def _arm(self) -> None:
        alarm_ns = self.alarm_ns()
        if alarm_ns is not None and not self._armed:
            self._armed = True
            assert self._floor is not None
            self._floor.at(alarm_ns, self._ring)

    def _ring(self, now_ns: int) -> None:
        self._armed = False
        if not self.subscribers:
            return
        alarm_ns = self.alarm_ns()
        if alarm_ns is not None and alarm_ns <= now_ns:
            self.last_ns = self._looked_ns = now_ns
            self._send(self.alarm(now_ns), now_ns)
        self._arm()
