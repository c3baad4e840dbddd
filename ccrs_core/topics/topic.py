"""One topic of the exchange as several connections bring it: each update once, in order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.trail import Trail
from ccrs_core.contract.codec import Data
from ccrs_core.contract.exchange import Exchange
from ccrs_core.feeds.stream import Consumer, Stream
from ccrs_core.model.events import (
    Balance,
    BookUpdate,
    Candle,
    Liquidation,
    Reason,
    StreamData,
    Trade,
)
from ccrs_core.topics.continuity import Continuity
from ccrs_core.topics.counted import Counted, Run
from ccrs_core.topics.known_trades import KnownTrades
from ccrs_core.topics.race import same_content
from ccrs_core.topics.waiting_changes import Ask

_ONE_BY_ONE = frozenset({BookUpdate, Trade})
"""Events that aren't judged by their topic's rising numbers alone."""

_EACH_COUNTS = frozenset({Trade, Liquidation, Candle, Balance})
"""Events that no later one makes up for."""


class Topic(Continuity):
    """One exchange topic as its connections bring it, merged: what connections carry
    (:class:`~ccrs_core.connections.carried.Carried`).

    ``resync(topic, what)`` is called when the book has to be asked for; ``live()`` tells how many
    connections carry the topic now; ``arm()`` when ``wake_at`` has moved; ``unproved(topic)`` when
    connections have to be asked whether nothing is missing between them; ``relieved()`` tells
    whether one is being replaced that still brings things.
    """

    def __init__(
        self,
        name: str,
        runners: list[Runner],
        *,
        live: Callable[[str], int],
        resync: Callable[[str, Ask], None],
        arm: Callable[[], None],
        exchange: Exchange,
        trail: Trail | None = None,
        unproved: Callable[[str], None] | None = None,
        relieved: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(
            name, runners, live=live, resync=resync, arm=arm, exchange=exchange, trail=trail
        )
        self.coverage = Coverage(self, self._uncertain, relieved)
        self.known = KnownTrades()
        self.unwanted = 0
        self.waits = False
        self.confesses = False
        self._floor: int | None = None
        """Numbers up to this are from before the last gap between connections."""
        self._unproved = unproved

    def _added(self, kind: type[StreamData]) -> None:
        self.waits |= kind in _EACH_COUNTS and self.counted is None
        self.confesses |= kind is not BookUpdate

    # --- data in ---

    def late(
        self, number: int | bytes, restart: bool, runner: Runner, now: float, now_ns: int
    ) -> bool:
        """Whether a peeked update was delivered already."""
        if runner.apart and self.name in runner.apart:
            return False  # whether it meets what was delivered is for :meth:`deliver` to find
        if restart and self.race.may_be_another(number, runner):
            return False
        if not self.race.late(number, restart, runner, now):
            return False
        if number == self.race.last:
            self._confirmed(now_ns)
        return True

    def copied(self, number: int | bytes, runner: Runner, now_ns: int) -> None:
        """A connection has brought copies, up to this one, of what was handed on."""
        self.race.copied(number, runner)
        if number == self.race.last:
            self._confirmed(now_ns)

    def deliver_all(self, run: Sequence[Data], runner: Runner, now: float) -> None:
        """:meth:`deliver` them one after the other, at less cost where nothing is special."""
        coverage, apart = self.coverage, runner.apart
        keeper = self.keeper if BookUpdate in self.streams else None
        if (
            len(run) == 1
            or run[0].events[0].__class__ in _ONE_BY_ONE
            or coverage.apart
            or (apart and self.name in apart)
        ):
            feed: Consumer | None = None
            taken: list[StreamData] = []
            """Of trades: for the feed."""
            for data in run:
                update = data.events[0]
                if update.__class__ is Trade:
                    known = self.take(data, runner, now)
                    if known is not None:
                        feed = known  # which is the same for all of a stream
                        taken += data.events
                        continue
                if feed is not None:
                    feed.put(taken)
                    feed, taken = None, []
                if (
                    keeper is None
                    or len(data.events) > 1
                    or coverage.apart
                    or (apart and self.name in apart)
                    or not isinstance(update, BookUpdate)
                ):
                    self.deliver(data, runner, now)
                else:
                    keeper.update(update, data.restart, runner, now)
            if feed is not None:
                feed.put(taken)
            return
        events: list[StreamData] = []
        numbers: list[int] = []
        kind: type[StreamData] | None = None
        last = 0
        for data in run:
            number = data.sequence
            if number.__class__ is int and not data.restart:
                assert isinstance(number, int)
                new = data.events[0].__class__
                if numbers and (new is not kind or number <= last):
                    self._advance(numbers, events, runner, now)
                    numbers, events = [], []
                if numbers or self._simple(new, number):
                    kind = new
                    numbers.append(number)
                    events += data.events
                    last = number
                    continue
            if numbers:
                self._advance(numbers, events, runner, now)
                numbers, events = [], []
            self.deliver(data, runner, now)
        if numbers:
            self._advance(numbers, events, runner, now)

    def _simple(self, kind: type[StreamData], number: int) -> bool:
        race = self.race
        return (
            kind not in _ONE_BY_ONE
            and kind in self.streams
            and race.plain
            and race.last is not None
            and number > race.last
        )

    def _advance(
        self, numbers: list[int], events: list[StreamData], runner: Runner, now: float
    ) -> None:
        self.race.advance(numbers, runner, now)
        stream = self.streams[events[0].__class__]
        stream.put(events, numbers[-1])
        if len(self.streams) > 1:
            self._told_together(stream, events[-1].received_time_ns)

    def take(self, data: Data, runner: Runner, now: float) -> Consumer | None:
        """Judge and note an update of which nothing is special, and which one feed alone is to
        have: that feed, into which its events are still to be put. None where it isn't so: then
        nothing was done, and it is to be delivered."""
        events = data.events
        first = events[0]
        kind = first.__class__
        stream = self.streams.get(kind)
        if (
            stream is None
            or stream.interrupted is not None
            or stream.stale_since_ns is not None
            or stream.hushed
            or len(stream.feeds) != 1
            or len(self.streams) > 1
            or self.coverage.apart
            or (runner.apart and self.name in runner.apart)
        ):
            return None
        number = data.sequence
        if kind is Trade:
            assert isinstance(first, Trade)
            if number is not None or len(events) > 1:
                return None
            if self.counted is None:
                if not self.known.adds(first):
                    return None
            elif self._counts(self.counted, first, runner):
                number = first.sequence
            else:
                return None
        elif (
            kind is BookUpdate
            or not isinstance(number, int)
            or data.restart
            or not self.race.follows(number, runner, now)
        ):
            return None
        stream.passed(events, number)
        return stream.feeds[0]

    def deliver(self, data: Data, runner: Runner, now: float) -> None:
        """Decoded data from one of the connections."""
        if runner.apart and self.name in runner.apart:
            if not self.coverage.brings(data, runner, now):
                return
        elif self.coverage.apart:
            self.coverage.delivered(data, now)
        events = data.events
        kind = events[0].__class__
        stream = self.streams.get(kind)
        if stream is None:
            self.unwanted += 1
            return
        if kind is BookUpdate:
            keeper = self.keeper
            assert keeper is not None
            for update in events:
                assert isinstance(update, BookUpdate)
                keeper.update(update, data.restart, runner, now)
            return
        race = self.race
        number = data.sequence
        if isinstance(number, int):
            if (
                data.restart
                and self.race.may_be_another(number, runner)
                and not same_content(events[-1], stream.latest)
            ):
                race.reset()
                stream.interrupt(Reason.RESTART)
            last = race.last
            if not race.take(number, data.restart, runner, now):
                if number == last:
                    self._confirmed(events[0].received_time_ns)
                return
            if last is not None and number <= last:
                stream.interrupt(Reason.RESTART if data.restart else Reason.SEQUENCE)
            if data.restart:
                race.announced(runner)
        elif number is not None:
            if race.late(number, False, runner, now):
                return
            race.won(number, False, runner, now)
        if kind is Trade:
            counted = self.counted
            if counted is not None:
                self._count(counted, events, stream, runner, now)
                return
            if len(events) > 1 or not self.known.adds(events[0]):
                events = self.known.new(events)
                if not events:
                    return
        stream.put(events, number if number.__class__ is int else None)
        if len(self.streams) > 1:
            self._told_together(stream, events[-1].received_time_ns)

    def _count(
        self,
        counted: Counted,
        events: Sequence[StreamData],
        stream: Stream,
        runner: Runner,
        now: float,
    ) -> None:
        """Deliver trades by their numbers, which say whether any is missing."""
        first = events[0]
        assert isinstance(first, Trade)
        if len(events) == 1 and self._counts(counted, first, runner):
            if stream.interrupted is not None:
                stream.follows()  # whatever happened, nothing is missing
            stream.put(events, first.sequence)
            return
        trades = [event for event in events if isinstance(event, Trade)]
        before, top = counted.since, runner.tops.get(self.name)
        alone = self._live(self.name) <= 1
        self._put_runs(counted.take(trades, top, self.known.ids, now, alone=alone), stream)
        number = trades[-1].sequence
        if number is not None:
            runner.tops[self.name] = number
        if counted.since != before:
            self._arm()

    def _counts(self, counted: Counted, trade: Trade, runner: Runner) -> bool:
        """Whether a trade is the next one by its number; if so, that it is delivered is noted."""
        number, last = trade.sequence, counted.last
        if last is None or number != last + 1 or counted.ahead:
            return False
        counted.last = runner.tops[self.name] = number
        self.known.ids[trade.trade_id] = None
        if len(self.known.ids) > KnownTrades.WINDOW:
            self.known.ids.popitem(last=False)
        return True

    def _put_runs(self, runs: Sequence[Run], stream: Stream) -> None:
        for run in runs:
            if run.hole:
                stream.interrupt(Reason.SEQUENCE)
            elif run.follows:
                stream.follows()
            new = self.known.new(run.trades)
            if new:
                stream.put(new)
            stream.reached(run.trades[-1].sequence)

    # --- which connections follow on ---

    def begin_stretch(self) -> None:
        """What was delivered so far is before a gap: nobody goes on from there."""
        self.known.begin_stretch()
        self._floor = self.race.last
        self.race.trail.clear()

    def met(self, data: Data) -> int | None:
        """See :class:`~ccrs_core.connections.coverage.Covered`."""
        number = data.sequence
        if data.events[0].__class__ is Trade:
            if self.counted is not None:
                return 0 if self.counted.follows(data.events[0]) else None
            return self.known.met(data.events)
        if isinstance(number, int):
            last, floor = self.race.last, self._floor
            if last is None or number > last or data.restart:
                return None
            return 0 if floor is None or floor > last or number > floor else None
        if number is None:
            return None
        brought_at = self.race.brought_at(number)
        return 0 if brought_at is not None and brought_at >= self.coverage.began else None

    def keys(self, data: Data) -> Sequence[object]:
        """See :class:`~ccrs_core.connections.coverage.Covered`."""
        if data.events[0].__class__ is Trade:
            return [event.trade_id for event in data.events if isinstance(event, Trade)]
        return () if data.sequence is None else (data.sequence,)

    def _uncertain(self) -> None:
        """Who follows on has changed, or who is to be asked for proof."""
        self._arm()
        if self._unproved is not None and self.coverage.apart:
            self._unproved(self.name)

    @property
    def wake_at(self) -> float | None:
        """When ``tick`` should be called, None for never."""
        # Replays ask each topic with each frame: mostly nothing is waited for.
        soonest = self.coverage.wake_at
        if self.keeper is not None:
            at = self.keeper.wake_at
            if at is not None and (soonest is None or at < soonest):
                soonest = at
        if self.counted is not None and self.counted.since is not None:
            at = self.counted.since + self.counted.BOUND
            if soonest is None or at < soonest:
                soonest = at
        return soonest

    def tick(self, now: float, now_ns: int) -> None:
        """What was waited for didn't come in time."""
        self.coverage.tick(now)
        counted = self.counted
        if (
            counted is not None
            and counted.since is not None
            and (now >= counted.since + counted.BOUND)
        ):
            self._put_runs(counted.release(), self.streams[Trade])
        if self.keeper is not None:
            self.keeper.tick(now, now_ns)
