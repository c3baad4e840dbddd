"""What survives an overflow comes in the order in which it was written, notices in their places.

Against a model of each policy that keeps plain lists.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import AnyEvent, Channel, Gap, Policy, Stale
from ccrs_core.feeds.backlog import Backlog
from tests.feeding import KINDS, SYMBOLS, Key, event, key, number, stale

Told = tuple[str, int] | tuple[str, Key, int]
"""An event or a notice by the place at which it was written; a gap by its subscription and loss."""


def told(each: AnyEvent) -> Told:
    if isinstance(each, Gap):
        assert each.lost is not None
        return "gap", key(each), each.lost
    return "notice" if isinstance(each, Stale) else "data", number(each)


@attrs.define(eq=False)
class Model:
    """What a backlog of a policy holds, and would give next."""

    policy: Policy
    maxsize: int
    written: list[AnyEvent] = attrs.field(factory=list)
    lost: dict[Key, int] = attrs.field(factory=dict)
    overflow: int = 0

    def data(self) -> list[AnyEvent]:
        return [each for each in self.written if each.channel is not None]

    def put(self, events: list[AnyEvent]) -> None:
        if self.policy is Policy.CONFLATE:
            for new in events:
                self.written = [e for e in self.written if e.channel is None or key(e) != key(new)]
                self.written.append(new)
        elif self.policy is Policy.RAISE:
            room = 0 if self.overflow else self.maxsize - len(self.data())
            self.written += events[: max(room, 0)]
            self.overflow += len(events) - max(min(room, len(events)), 0)
        else:
            self.written += events
            while self.policy is Policy.DROP_OLDEST and len(self.data()) > self.maxsize:
                oldest = self.data()[0]
                self.written.remove(oldest)
                self.lost[key(oldest)] = self.lost.get(key(oldest), 0) + 1

    def read(self) -> Iterator[Told]:
        """All, in order, with the losses in their places."""
        while self.written:
            each = self.written.pop(0)
            count = self.lost.pop(key(each), 0)
            if count:
                yield "gap", key(each), count
            yield told(each)
        for which in list(self.lost):
            yield "gap", which, self.lost.pop(which)

    def read_one(self) -> list[Told]:
        """The next, and what has to come right after it."""
        if not self.written:
            return [("gap", which, self.lost.pop(which)) for which in list(self.lost)[:1]]
        each = self.written.pop(0)
        count = self.lost.pop(key(each), 0)
        return [("gap", key(each), count), told(each)] if count else [told(each)]


symbols, kinds = st.sampled_from(SYMBOLS), st.sampled_from(KINDS)
puts = st.tuples(st.just("put"), symbols, kinds, st.integers(1, 7))
notices = st.tuples(st.just("notify"), symbols, kinds, st.just(1))
reads = st.tuples(st.sampled_from(["read", "drain"]), symbols, kinds, st.just(1))
steps = st.lists(st.one_of(puts, puts, puts, notices, notices, reads), max_size=40)


def backlog(policy: Policy, maxsize: int) -> Backlog:
    return Backlog(policy, maxsize, lambda: 0, lambda exchange, lost: None, lambda: None)


@pytest.mark.parametrize("policy", list(Policy))
@given(steps, st.integers(1, 6))
def test_what_is_read_is_what_plain_lists_hold_in_their_order(
    policy: Policy, todo: list[tuple[str, str, Channel, int]], maxsize: int
) -> None:
    real, model = backlog(policy, maxsize), Model(policy, maxsize)
    place = 0
    for what, symbol, channel, count in [*todo, ("drain", "", Channel.TRADES, 1)]:
        if what == "put":
            events = [event(place + n + 1, symbol, channel) for n in range(count)]
            place += count
            real.put(events)
            model.put(list(events))
        elif what == "notify":
            place += 1
            notice = stale(place, symbol, channel)
            real.notify(notice)
            model.written.append(notice)
        elif what == "read":
            expected = model.read_one()
            got = [each for each in (real.pop() for _ in expected) if each is not None]
            assert [told(each) for each in got] == expected
        else:
            assert [told(each) for each in real.drain()] == list(model.read())
            assert real.empty
        assert real.overflow == model.overflow
        assert real.waiting == len(model.written)
        if policy is Policy.BLOCK and len(model.data()) != maxsize:
            assert real.full == (len(model.data()) > maxsize)
        if what == "drain" and policy is Policy.RAISE:
            model.overflow = real.overflow = 0
    status = real.status(None)
    gone = status.delivered + status.conflated + status.dropped + status.discarded
    assert status.offered == gone + status.waiting


@pytest.mark.parametrize("policy", list(Policy))
def test_more_notices_than_may_wait_are_merged_and_the_rest_stays_in_order(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backlog, "NOTICES", 8)
    real = backlog(policy, 1000)
    place = 0
    for turn in range(4):
        real.put([event(place + 1, "A/USD")])
        for _ in range(3):
            for symbol in ("A/USD", "B/USD"):
                place += 10
                real.notify(stale(place, symbol))
        place += 10 * turn
    seen = real.drain()
    places = [number(each) for each in seen]
    assert places == sorted(places)
    # Of those of one subscription with none of its data in between, the last one is told.
    marks = [told(each) for each in seen]
    for symbol in ("A/USD", "B/USD"):
        assert any(isinstance(each, Stale) and each.symbol == symbol for each in seen)
    last = max(number(each) for each in seen if isinstance(each, Stale))
    assert ("notice", last) in marks
    if policy is not Policy.CONFLATE:
        assert sum(kind == "data" for kind, *_ in marks) == 4
        for first, second in itertools.pairwise(seen):
            same = key(first) == key(second) and isinstance(first, Stale)
            assert not (same and isinstance(second, Stale)) or number(second) > 60
    assert real.status(None).offered == 4 + 24


@pytest.mark.parametrize("policy", [Policy.DROP_OLDEST, Policy.BLOCK, Policy.RAISE])
def test_notices_never_count_against_the_room_for_data_before_or_after_a_discard(
    policy: Policy,
) -> None:
    real = backlog(policy, 4)
    for place in range(6):
        real.notify(stale(place, "B/USD"))
    real.put([event(10, "A/USD"), event(11, "A/USD")])
    real.discard("toy", "B/USD", Channel.TRADES, elsewhere=False)
    real.put([event(12, "A/USD"), event(13, "A/USD")])
    assert [number(each) for each in real.drain()] == [10, 11, 12, 13]
    assert real.status(None).dropped == 0
    for place in range(20, 26):
        real.notify(stale(place, "B/USD"))
    real.discard("toy", "B/USD", Channel.TRADES, elsewhere=False)
    real.put([event(place, "A/USD") for place in range(30, 36)])  # two more than there is room for
    assert real.full == (policy is Policy.BLOCK)
    assert real.overflow == (2 if policy is Policy.RAISE else 0)
    assert real.status(None).dropped == (0 if policy is Policy.BLOCK else 2)
    for place in range(40, 43):
        real.notify(stale(place, "A/USD"))
    real.clear()
    real.put([event(place, "A/USD") for place in range(30, 34)])
    assert [number(each) for each in real.drain()] == [30, 31, 32, 33]
    assert real.status(None).dropped == (0 if policy is Policy.BLOCK else 2)


def test_a_loss_and_what_follows_it_go_with_their_subscription_and_no_other() -> None:
    real = backlog(Policy.DROP_OLDEST, 2)
    real.put([event(place, "A/USD") for place in (1, 2, 3)])  # the first is dropped
    real.put([event(4, "B/USD")])  # and the second
    first = real.pop()
    assert isinstance(first, Gap)
    assert first.lost == 2
    real.discard("toy", "A/USD", Channel.TRADES, elsewhere=False)
    assert [told(each) for each in real.drain()] == [("data", 4)]


def test_notices_of_one_kind_are_merged_but_not_over_data_nor_over_others() -> None:
    real = backlog(Policy.DROP_OLDEST, 100)
    limit = Backlog.NOTICES
    for place in range(limit // 2):
        real.notify(stale(place, "A/USD"))
    real.put([event(limit, "A/USD")])
    for place in range(limit + 1, 2 * limit + 2):
        real.notify(stale(place, "A/USD"))
    seen = [number(each) for each in real.drain()]
    assert seen[:2] == [limit // 2 - 1, limit]
    assert seen[-1] == 2 * limit + 1
    assert len(seen) < limit


def test_what_was_replaced_before_it_was_made_is_counted_each_time() -> None:
    real = backlog(Policy.CONFLATE, 10)
    real.superseded(3)
    real.put([event(1, "A/USD")])
    real.superseded(2)
    real.put([event(2, "A/USD")])
    status = real.status(None)
    assert (status.offered, status.conflated, status.waiting) == (7, 6, 1)
