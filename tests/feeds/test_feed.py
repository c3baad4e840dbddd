"""Feeds under any interleaving of writing and reading: nothing is lost or doubled untold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import (
    AnyEvent,
    Channel,
    Feed,
    FeedOverflow,
    Gap,
    Policy,
    Reason,
    Stale,
)
from ccrs_core.transport.memory import run
from tests.feeding import KINDS, SYMBOLS, Key, Owner, event, is_full, key, number, stale


@attrs.define(eq=False)
class Play:
    """A feed, everything that was written to it and everything that was read."""

    feed: Feed
    owner: Owner
    clock: int = 0
    written: list[AnyEvent] = attrs.field(factory=list)
    read: list[AnyEvent] = attrs.field(factory=list)
    discarded: dict[Key, int] = attrs.field(factory=dict)
    """Until when what was written of a subscription may not be read any more."""
    overflows: list[tuple[int, int]] = attrs.field(factory=list)
    """How many events had been read when how many losses were raised."""

    def put(self, symbol: str, channel: Channel, count: int) -> None:
        events = []
        for _ in range(count):
            self.clock += 1
            events.append(event(self.clock, symbol, channel))
        self.written.extend(events)
        self.feed.put(events)

    def notify(self, symbol: str, channel: Channel) -> None:
        self.clock += 1
        notice = stale(self.clock, symbol, channel)
        self.written.append(notice)
        self.feed.notify(notice)

    def discard(self, symbol: str, channel: Channel) -> None:
        self.discarded[symbol, channel] = self.clock
        self.feed.discard("toy", symbol, channel)

    async def read_some(self, batch: bool) -> None:
        """One read; where nothing waits, a read that is cancelled while it waits."""
        source = self.feed.batches() if batch else aiter(self.feed)
        reader: asyncio.Future[Any] = asyncio.ensure_future(anext(source))
        for _ in range(3):
            await asyncio.sleep(0)
        if not reader.done():
            reader.cancel()
        await asyncio.wait([reader])
        if reader.cancelled():
            assert self.feed.waiting == 0
            return
        try:
            got = reader.result()
        except FeedOverflow as error:
            self.overflows.append((len(self.read), error.lost))
            return
        events = got if batch else [got]
        assert events
        for each in events:
            assert number(each) > self.discarded.get(key(each), 0) or isinstance(each, Gap)
        self.read.extend(events)

    def adds_up(self) -> None:
        status = self.feed.status()
        gone = status.conflated + status.dropped + status.discarded
        assert status.offered == status.delivered + status.waiting + gone
        assert status.delivered == len(self.read)
        assert status.dropped == self.owner.lost
        gaps = sum(isinstance(each, Gap) for each in self.read)
        assert status.offered == len(self.written) + gaps

    def data(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        return [each for each in events if each.channel is not None]

    def notices(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        return [each for each in events if isinstance(each, Stale)]


symbols, kinds = st.sampled_from(SYMBOLS), st.sampled_from(KINDS)
puts = st.tuples(st.just("put"), symbols, kinds, st.integers(1, 6))
notices = st.tuples(st.just("notify"), symbols, kinds)
discards = st.tuples(st.just("discard"), symbols, kinds)
reads = st.tuples(st.just("read_some"), st.booleans())
steps = st.lists(st.one_of(puts, puts, notices, reads, reads, discards), max_size=40)
steps_without_discards = st.lists(st.one_of(puts, puts, notices, reads, reads), max_size=40)
sizes = st.integers(1, 6)


def played(
    policy: Policy,
    maxsize: int,
    todo: Sequence[tuple[Any, ...]],
    check: Callable[[Play], None],
    *,
    drain: bool = True,
) -> Play:
    """Take the steps, checking after each, and read what remains."""

    async def main() -> Play:
        owner = Owner()
        feed = Feed(owner, [], policy=policy, maxsize=maxsize)
        play = Play(feed, owner)
        async with feed:
            for name, *arguments in todo:
                result = getattr(play, name)(*arguments)
                if result is not None:
                    await result
                play.adds_up()
                check(play)
            while drain and (not feed._backlog.empty or feed._backlog.overflow):
                await play.read_some(False)
                play.adds_up()
                check(play)
        return play

    return run(main())


def nothing(play: Play) -> None:
    pass


@given(st.sampled_from(Policy), sizes, steps)
def test_counters_add_up_at_all_times_and_nothing_unsubscribed_is_read(
    policy: Policy, maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    play = played(policy, maxsize, todo, nothing, drain=False)
    status = play.feed.status()
    assert status.waiting == 0
    assert status.offered == (
        status.delivered + status.conflated + status.dropped + status.discarded
    )


@given(st.sampled_from(Policy), sizes, steps_without_discards)
def test_no_notice_is_ever_lost_or_overtaken_by_what_came_after_it(
    policy: Policy, maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    play = played(policy, maxsize, todo, nothing)
    assert play.notices(play.read) == play.notices(play.written)
    numbers = [number(each) for each in play.read if not isinstance(each, Gap)]
    assert numbers == sorted(set(numbers))


@given(sizes, steps_without_discards)
def test_block_loses_nothing(maxsize: int, todo: list[tuple[Any, ...]]) -> None:
    def check(play: Play) -> None:
        waiting = len(play.data(play.written)) - len(play.data(play.read))
        if waiting == 0:
            assert not is_full(play.feed)
        elif waiting > maxsize and play.written[-1].channel is not None:
            assert is_full(play.feed)

    play = played(Policy.BLOCK, maxsize, todo, check)
    assert play.read == play.written
    assert not is_full(play.feed)


@given(steps)
def test_conflating_keeps_the_newest_of_each_instrument_and_channel(
    todo: list[tuple[Any, ...]],
) -> None:
    seen = 0
    newest: dict[Key, AnyEvent] = {}

    def check(play: Play) -> None:
        nonlocal seen
        for each in play.written:
            if each.channel is not None and number(each) > play.discarded.get(key(each), 0):
                newest[key(each)] = each
        for each in play.read[seen:]:
            # Whatever is read was the newest of its kind at that moment.
            if each.channel is not None:
                assert newest[key(each)] is each
        seen = len(play.read)
        data = play.feed.waiting - sum(
            1
            for n in play.notices(play.written)
            if n not in play.read and number(n) > play.discarded.get(key(n), 0)
        )
        assert data <= len(newest)

    play = played(Policy.CONFLATE, 1, todo, check)
    last = {key(each): each for each in play.data(play.read)}
    for each, latest in newest.items():
        if number(latest) > play.discarded.get(each, 0):
            assert last[each] is latest


@given(sizes, steps_without_discards)
def test_drop_oldest_keeps_the_newest_and_tells_every_loss_before_what_follows_it(
    maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    def check(play: Play) -> None:
        data = play.data(play.written)
        unread = len(data) - len(play.data(play.read)) - play.feed.status().dropped
        # One more may be on its way out, behind the gap that stands before it.
        assert 0 <= unread <= maxsize + 1

    play = played(Policy.DROP_OLDEST, maxsize, todo, check)
    read = {number(each) for each in play.read if not isinstance(each, Gap)}
    for symbol in SYMBOLS:
        for channel in KINDS:
            mine = [each for each in play.read if key(each) == (symbol, channel)]
            missing = [
                number(each)
                for each in play.data(play.written)
                if key(each) == (symbol, channel) and number(each) not in read
            ]
            for each in mine:
                if isinstance(each, Gap):
                    assert each.reason is Reason.OVERFLOW
                    assert each.lost is not None
                    lost, missing = missing[: each.lost], missing[each.lost :]
                    assert len(lost) == each.lost
                    assert lost[-1] == each.received_time_ns
                elif each.channel is not None:
                    # Everything that was lost before it has been told by now.
                    assert not missing or missing[0] > number(each)
            assert not missing


@given(sizes, st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_of_what_is_never_read_drop_oldest_keeps_the_newest_n(
    maxsize: int, counts: list[int]
) -> None:
    play = played(
        Policy.DROP_OLDEST, maxsize, [("put", "A/USD", Channel.TRADES, n) for n in counts], nothing
    )
    total = sum(counts)
    kept = min(total, maxsize)
    assert [number(e) for e in play.data(play.read)] == list(range(total - kept + 1, total + 1))
    assert [e.lost for e in play.read if isinstance(e, Gap)] == [total - kept] * (total > kept)


@given(sizes, steps_without_discards)
def test_raise_raises_once_for_each_loss_at_its_place_with_the_exact_count(
    maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    play = played(Policy.RAISE, maxsize, todo, nothing)
    data = play.data(play.written)
    places: list[tuple[int, int]] = []
    for at, lost in play.overflows:
        places.append((len(play.data(play.read[:at])), lost))
    # Put as many losses as were told where they were told: all is in its place again.
    expected, skipped = list(data), 0
    for at, lost in places:
        del expected[at : at + lost]
        skipped += lost
    assert expected == play.data(play.read)
    assert skipped == play.feed.status().dropped


@given(st.sampled_from(Policy), sizes, steps)
def test_batches_joined_equal_single_reads(
    policy: Policy, maxsize: int, todo: list[tuple[Any, ...]]
) -> None:
    writes = [step for step in todo if step[0] != "read_some"]
    single = played(policy, maxsize, [*writes, *[("read_some", False)] * 200], nothing)
    batched = played(policy, maxsize, [*writes, *[("read_some", True)] * 3], nothing)
    assert single.read == batched.read
    assert single.overflows == batched.overflows
