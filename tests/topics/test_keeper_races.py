"""Books that several connections bring, in whatever order and with whatever holes."""

from __future__ import annotations

from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import BookUpdate, OrderBook
from ccrs_core.model.events import Gap, Reason, Resumed, Stale
from ccrs_core.topics.keeper import BookKeeper
from ccrs_core.topics.waiting_changes import Ask
from tests.topics.test_keeper import Desk, change, crossed, level


class Told(Desk):
    """A book whose stream tells it whole where a subscription begins."""

    def __init__(self, connections: int = 2, book: OrderBook | None = None) -> None:
        super().__init__(connections, book)
        self.keeper._fetched = False

    def joins(self, who: int, number: int, now: float = 0.0) -> None:
        self.bring(change(number, None, 100, number, snapshot=True), now, who)

    def updates(self, *numbers: int, who: int = 0, now: float = 0.0) -> None:
        for number in numbers:
            self.bring(change(number, number - 1, 100, number), now, who)

    @property
    def numbers(self) -> list[int]:
        return [event.sequence for event in self.tap.events if isinstance(event, BookUpdate)]

    def notices(self) -> list[type]:
        return [type(event) for event in self.tap.events if not isinstance(event, BookUpdate)]


@given(
    st.integers(2, 4),
    st.lists(st.integers(0, 14), min_size=1, max_size=20),
    st.data(),
)
def test_what_any_connection_brings_in_time_makes_up_for_what_the_others_lack(
    connections: int, lacking: list[int], data: st.DataObject
) -> None:
    desk = Told(connections)
    for who in range(connections):
        desk.joins(who, 10)
    missing: dict[int, set[int]] = {who: set() for who in range(connections)}
    for place, number in enumerate(lacking):
        lacks = missing[place % connections]
        # Somebody brings each.
        if sum(number in each for each in missing.values()) < connections - 1:
            lacks.add(number)
    courses = {who: [n for n in range(15) if n not in missing[who]] for who in missing}
    order = data.draw(st.permutations([who for who in courses for _ in courses[who]]))
    places = dict.fromkeys(courses, 0)
    for step, who in enumerate(order):
        number = 11 + courses[who][places[who]]
        places[who] += 1
        desk.updates(number, who=who, now=0.001 * step)
    assert desk.numbers == list(range(10, 26))
    assert desk.book.valid
    assert desk.book.best_bid == level(100, 25)
    assert not desk.notices()
    assert not desk.asked
    assert not desk.race.ahead
    assert desk.keeper.wake_at is None
    assert sum(runner.wins for runner in desk.runners) == 16


@pytest.mark.parametrize("further", [1, 5])
def test_a_hole_that_nobody_fills_is_told_once_and_heals_with_the_next_whole_book(
    further: int,
) -> None:
    desk = Told()
    for who in (0, 1):
        desk.joins(who, 10)
    desk.updates(*range(12, 12 + further), now=1.0)
    assert desk.keeper.wake_at == pytest.approx(1.0 + BookKeeper.HOLD)
    assert desk.numbers == [10]
    desk.keeper.tick(1.0 + BookKeeper.HOLD, 7)
    assert desk.notices() == [Stale]
    stale = next(event for event in desk.tap.events if isinstance(event, Stale))
    assert (stale.reason, stale.received_time_ns) == (Reason.SEQUENCE, 7)
    assert desk.asked == [Ask.AGAIN]
    desk.updates(30, 31, now=2.0)
    assert desk.asked == [Ask.AGAIN]
    desk.joins(0, 40, now=3.5)
    desk.updates(41, now=3.6)
    assert desk.numbers == [10, 40, 41]
    assert desk.notices() == [Stale, Gap, Resumed]
    assert desk.keeper.resyncs == 1
    assert desk.keeper.resync_seconds == pytest.approx(2.5 - BookKeeper.HOLD)


def test_seconds_without_a_book_add_up_over_several_losses() -> None:
    desk = Told(1)
    desk.joins(0, 10)
    for turn in (1, 2, 3):
        desk.updates(10 * turn + 5, now=10.0 * turn)  # a hole, and nobody else
        assert not desk.book.valid
        desk.joins(0, 10 * turn + 10, now=10.0 * turn + 2.0)
        assert desk.book.valid
    assert desk.keeper.resyncs == 3
    assert desk.keeper.resync_seconds == pytest.approx(6.0)
    assert desk.notices() == [Stale, Gap, Resumed] * 3


def test_a_stream_that_stays_silent_is_asked_for_its_book_ever_more_patiently() -> None:
    desk = Told(1)
    desk.joins(0, 10)
    desk.updates(15, now=0.0)
    times = [0.0]
    while len(times) < 8:
        at = desk.keeper.wake_at
        assert at is not None
        known = len(desk.asked)
        desk.keeper.tick(at, 1)
        if len(desk.asked) > known:
            times.append(at)
    waits = [later - sooner for sooner, later in pairwise(times)]
    patience = BookKeeper.PATIENCE
    assert waits == pytest.approx([patience * n for n in (1, 1, 1, 2, 4, 8, 16)])
    assert desk.keeper.resyncs == 8
    # Once it speaks there is no need to wait for long.
    now = times[-1] + 1.0
    desk.updates(16, now=now)
    assert desk.keeper.wake_at == pytest.approx(now + patience)


def test_an_update_that_has_waited_and_is_wrong_breaks_the_book_by_its_own_reason() -> None:
    desk = Told()
    for who in (0, 1):
        desk.joins(who, 10)
    wrong = attrs.evolve(change(12, 11, 100, 12), asks=(level(50, 1),), received_time_ns=99)
    desk.bring(wrong, 1.0)
    desk.updates(11, who=1, now=1.1)
    assert not desk.book.valid
    assert desk.book.reason is Reason.CROSSED
    stale = desk.tap.events[-1]
    assert isinstance(stale, Stale)
    assert (stale.reason, stale.received_time_ns) == (Reason.CROSSED, 99)
    assert desk.numbers == [10, 11]
    assert len(desk.asked) == 1


def test_part_of_what_waits_goes_on_as_far_as_it_follows_and_the_rest_waits_anew() -> None:
    desk = Told()
    for who in (0, 1):
        desk.joins(who, 10)
    desk.updates(12, 14, now=1.0)
    desk.updates(11, who=1, now=1.3)
    assert desk.numbers == [10, 11, 12]
    assert desk.race.last == 12
    assert desk.keeper.wake_at == pytest.approx(1.3 + BookKeeper.HOLD)
    desk.keeper.tick(1.0 + BookKeeper.HOLD, 1)
    assert desk.book.valid
    desk.updates(13, who=1, now=1.4)
    assert desk.numbers == [10, 11, 12, 13, 14]
    desk.updates(14, who=1, now=1.4)
    assert desk.numbers == [10, 11, 12, 13, 14]
    assert not desk.asked


@pytest.mark.parametrize("by", ["time", "loss"])
def test_the_state_of_a_joining_connection_is_taken_where_the_steps_up_to_it_never_come(
    by: str,
) -> None:
    desk = Told()
    desk.joins(0, 10)
    desk.joins(1, 15)  # it joins ahead of the other one
    assert desk.numbers == [10]
    desk.updates(16, who=1, now=1.0)
    if by == "time":
        desk.keeper.tick(1.0 + BookKeeper.HOLD, 1)
    else:
        desk.runners.pop(0)
        desk.keeper.narrowed(1.2)
    assert desk.book.valid
    assert desk.numbers == [10, 15, 16]
    assert desk.notices() == [Gap]
    gap = next(event for event in desk.tap.events if isinstance(event, Gap))
    assert (gap.last_sequence, gap.next_sequence) == (10, 15)
    assert not desk.asked


def test_the_state_of_a_joining_connection_is_not_needed_where_the_steps_come() -> None:
    desk = Told()
    desk.joins(0, 10)
    desk.joins(1, 15)
    desk.updates(*range(11, 18))
    desk.updates(16, 17, who=1)
    assert desk.numbers == [10, *range(11, 18)]
    assert not desk.notices()
    desk.runners.pop(0)
    desk.keeper.narrowed(2.0)
    assert desk.numbers == [10, *range(11, 18)]


def test_a_whole_book_that_is_wrong_is_asked_for_again() -> None:
    desk = Told(1)
    desk.bring(crossed(5), 1.0)
    assert not desk.book.valid
    assert desk.book.reason is Reason.CROSSED
    assert desk.asked == [Ask.FIRST]
    desk.joins(0, 7, now=2.0)
    assert desk.numbers == [7]
    assert desk.keeper.wake_at is None


def test_a_hole_after_the_last_other_connection_has_gone_is_told_at_once() -> None:
    desk = Told()
    for who in (0, 1):
        desk.joins(who, 10)
    desk.runners.pop()
    desk.updates(12, now=1.0)
    assert not desk.book.valid
    assert desk.notices() == [Stale]
    assert desk.keeper.wake_at == pytest.approx(1.0 + BookKeeper.PATIENCE)


def test_a_book_that_no_connection_brings_says_why_and_its_next_state_is_shown_whole() -> None:
    desk = Told()
    for who in (0, 1):
        desk.joins(who, 10)
    desk.keeper.lost_sync(Reason.DISCONNECTED)
    assert desk.book.reason is Reason.DISCONNECTED
    desk.joins(1, 9, now=5.0)  # of a count that has begun anew, or not: nothing compares
    assert desk.numbers == [10, 9]
    desk.joins(0, 9, now=5.1)
    desk.updates(10, now=5.2)
    desk.updates(10, who=1, now=5.3)
    assert desk.numbers == [10, 9, 10]


def test_a_count_that_begins_anew_is_told_by_whoever_is_first_and_copied_by_the_others() -> None:
    desk = Told()
    for who in (0, 1):
        desk.joins(who, 10)
    anew = change(3, None, 90, 1, snapshot=True)
    desk.bring(anew, 1.0, 0, restart=True)
    desk.updates(4, now=1.1)
    desk.updates(11, who=1, now=1.1)  # still of the former count
    desk.bring(anew, 1.2, 1, restart=True)
    desk.updates(4, 5, who=1, now=1.3)
    desk.updates(5, now=1.4)
    assert desk.numbers == [10, 3, 4, 5]
    assert desk.notices() == [Gap]
    assert desk.book.valid
    assert not desk.asked


@pytest.mark.parametrize("connections", [1, 2])
def test_a_first_count_anew_that_begins_with_the_last_number_is_no_copy_of_that(
    connections: int,
) -> None:
    desk = Told(connections)
    for who in range(connections):
        desk.joins(who, 10)
    same = change(10, None, 100, 10, snapshot=True)
    desk.bring(same, 0.9, 0, restart=True)
    assert desk.numbers == [10]  # what says the same is a copy
    for who in range(connections):
        desk.bring(change(10, None, 90, 1, snapshot=True), 1.0, who, restart=True)
    desk.updates(11, now=1.1)
    assert desk.book.valid
    assert desk.book.bids() == [level(100, 11), level(90, 1)]
    assert desk.numbers == [10, 10, 11]
    assert desk.notices() == [Gap]
