"""Every bounded memory, filled to twice its bound and more while copies still come.

Nothing is doubled, nothing is lost untold, what is remembered is the latest, and memory stays flat.
"""

from __future__ import annotations

import attrs
import pytest

from ccrs_core import Budget, Gap, Patience, Stale, Trade
from ccrs_core.connections.coverage import Coverage
from ccrs_core.connections.pings import Asked
from ccrs_core.connections.runner import Runner
from ccrs_core.connections.trail import Trail
from ccrs_core.feeds.histogram import Histogram
from ccrs_core.model.events import Reason
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.topics.counted import Counted
from ccrs_core.topics.keeper import BookKeeper
from ccrs_core.topics.known_trades import KnownTrades
from ccrs_core.topics.race import Race
from ccrs_core.topics.waiting_changes import Pending
from ccrs_core.topics.widening import Widened, Widening
from ccrs_core.transport.limits import Window
from tests.sessions import opened, tape, top
from tests.tapes import Tape, trade
from tests.topics.test_keeper import Desk, change, level

# --- races ----------------------------------------------------------------------------------------

LAGS = [1, 100, Race.WINDOW // 2, Race.WINDOW - 1]
HUNDREDTH = 0.001


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("way", ["won", "take", "advance", "identity"])
def test_every_copy_within_the_window_is_known_and_its_lag_measured(way: str, lag: int) -> None:
    runners = [Runner(1), Runner(2)]
    race = Race("topic", runners)
    fast, slow = runners
    count = 4 * Race.WINDOW

    def name(number: int) -> int | bytes:
        return b"%d" % number if way == "identity" else number

    slow.tops["topic"] = 0  # it has begun before
    for number in range(1, count + lag):
        now = number * HUNDREDTH
        if number <= count:
            if way == "take":
                assert race.take(number, False, fast, now)
            elif way == "advance" and race.plain:
                race.advance([number], fast, now)
            else:
                assert not race.late(name(number), False, fast, now)
                race.won(name(number), False, fast, now)
        if number >= lag:
            assert race.late(name(number - lag + 1), False, slow, now)
        assert len(race._recent) + len(race._older) <= 2 * Race.WINDOW
    assert fast.wins == count
    assert slow.late == count
    assert slow.behind_count == fast.ahead_count == count
    assert slow.mean_behind == pytest.approx((lag - 1) * HUNDREDTH, abs=1e-9)


def test_numbers_that_rise_are_late_however_far_behind_and_measured_within_the_window() -> None:
    runners = [Runner(1), Runner(2)]
    race = Race("topic", runners)
    fast, slow = runners
    lag = 5 * Race.WINDOW
    slow.tops["topic"] = 0
    for number in range(1, 4 * lag):
        assert race.take(number, False, fast, number * HUNDREDTH)
        if number > lag:
            assert race.late(number - lag, False, slow, number * HUNDREDTH)
    assert slow.late == 4 * lag - 1 - lag
    assert slow.behind_count == 0


# --- the trail ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [1, Trail.LIMIT // 2, Trail.LIMIT])
def test_as_many_frames_as_the_trails_bound_are_found_at_any_moment(lag: int) -> None:
    trail, who = Trail(), Runner(1)
    for number in range(5 * Trail.LIMIT):
        frame = b"frame %d" % number
        assert trail.find(frame) is None
        trail.add(frame, ("topic", number), (0.0, who))
        if number >= lag - 1:
            place = trail.find(b"frame %d" % (number - lag + 1))
            assert place is not None
            assert trail.steps[place - trail.base] == ("topic", number - lag + 1)
            assert trail.follow([b"frame %d" % (number - lag + 1)], place) == 1
        assert len(trail.frames) <= 2 * Trail.LIMIT
        assert len(trail._index) + len(trail._index_before) <= 3 * Trail.LIMIT


def test_the_trail_keeps_frames_up_to_its_length_and_no_longer_ones() -> None:
    trail, who = Trail(), Runner(1)
    just, over = b"x" * Trail.LONGEST, b"y" * (Trail.LONGEST + 1)
    for frame in (just, over):
        trail.add(frame, ("topic", 1), (0.0, who))
    assert trail.find(just) is not None
    assert trail.find(over) is None
    assert trail.frames == [just]


# --- trades by their ids --------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of what is expensive to fill."""
    monkeypatch.setattr(KnownTrades, "WINDOW", 2048)
    monkeypatch.setattr(Coverage, "MOST", 200)


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("lag", [1, 600, 2040])
def test_a_trade_is_delivered_once_while_its_copy_is_within_the_window(
    counted: bool, size: int, lag: int
) -> None:
    tape = Tape(counted=counted)
    window = KnownTrades.WINDOW
    count = 3 * window // size * size
    tape.topic.acknowledged(tape.runners[0], 0.0, 0)
    batches = [list(range(first, first + size)) for first in range(1, count + 1, size)]
    behind = max(lag // size, 1)
    for place in range(len(batches) + behind):
        now = place * HUNDREDTH
        if place < len(batches):
            tape.bring(0, batches[place], now)
        if place >= behind:
            tape.bring(1, batches[place - behind], now)
        assert len(tape.topic.known.ids) <= window + size
    assert tape.ids == list(range(1, count + 1))
    assert not [event for event in tape.tap.events if isinstance(event, Gap)]


def test_of_more_trades_in_one_frame_than_the_window_holds_each_is_delivered_once() -> None:
    tape = Tape()
    window = KnownTrades.WINDOW
    tape.topic.acknowledged(tape.runners[0], 0.0, 0)
    tape.bring(0, range(1, 2 * window + 1), 0.0)
    assert tape.ids == list(range(1, 2 * window + 1))
    assert len(tape.topic.known.ids) <= window
    # The latest are known, however they are cut.
    for first in range(window + 1, 2 * window, 64):
        tape.bring(0, range(first, first + 64), 0.1)
    assert tape.ids == list(range(1, 2 * window + 1))


def test_what_waits_for_a_proof_on_one_connection_is_bounded_and_delivered_after_a_gap() -> None:
    tape = Tape()
    tape.bring(0, [1], 0.0)
    for number in range(10, 10 + 2 * Coverage.MOST):
        tape.bring(1, [number], 0.1)
        waiting = sum(len(entry.waiting) for entry in tape.topic.coverage.apart.values())
        assert waiting <= Coverage.MOST
    assert tape.ids == [1, *range(10, 10 + 2 * Coverage.MOST)]
    assert [type(event) for event in tape.tap.events[:3]] == [Trade, Gap, Trade]
    assert sum(isinstance(event, Gap) for event in tape.tap.events) == 1
    # What the other one still brings of before the gap is out of order, and left out.
    tape.bring(0, [2], 0.2)
    assert tape.ids[-1] != 2


def test_holes_that_come_too_late_are_known_up_to_their_bound_and_no_count_begun_anew() -> None:
    count = Counted()
    delivered: list[int] = []

    def bring(number: int, top: int | None, now: float) -> None:
        runs = count.take([trade(number, counted=True)], top, (), now, alone=False)
        if now:
            runs += count.release()
        delivered.extend(int(each.trade_id) for run in runs for each in run.trades)

    bring(0, None, 0.0)
    number = 0
    for _ in range(2 * Counted.HOLES):
        bring(number + 2, number, 1.0)
        number += 2
        assert len(count._holes) <= Counted.HOLES
    assert delivered == [0, *range(2, number + 1, 2)]
    late = range(number - 1, number - 1 - 2 * Counted.HOLES, -2)
    for each in late:
        bring(each, number, 0.0)
    assert count.late == Counted.HOLES
    assert delivered == [0, *range(2, number + 1, 2)]


# --- books ----------------------------------------------------------------------------------------


def test_more_updates_ahead_than_may_wait_make_the_book_ask_once_and_lose_none() -> None:
    desk = Desk(2)
    desk.bring(change(1, None, 100, 1, snapshot=True), 0.0)
    desk.bring(change(1, None, 100, 1, snapshot=True), 0.0, 1)
    last = 2 + 2 * BookKeeper.HOLD_LIMIT
    for number in range(3, last + 1):  # the second is missing
        for connection in (0, 1):
            desk.bring(change(number, number - 1, 100, number), 0.1, connection)
        assert len(desk.race.ahead) <= BookKeeper.HOLD_LIMIT
        assert len(desk.keeper._ahead) <= BookKeeper.HOLD_LIMIT + 1
    assert not desk.book.valid
    assert len(desk.asked) == 1
    assert sum(isinstance(event, Stale) for event in desk.tap.events) == 1
    desk.keeper.fetched(change(2, None, 100, 2, snapshot=True), 0.2)
    assert desk.book.valid
    assert desk.book.sequence == last
    assert desk.book.best_bid == level(100, last)


def test_what_waits_for_a_snapshot_is_the_latest_and_no_trace_of_the_rest_stays() -> None:
    pending, who = Pending(), Runner(1)
    for number in range(1, 2 * Pending.LIMIT + 1):
        for _ in range(2):
            pending.add(change(number, number - 1, 100, 1), False, who, number * HUNDREDTH)
        assert len(pending._waiting) == len(pending._since) <= Pending.LIMIT
    later, anew = pending.after(0)
    assert [update.sequence for update, _, _ in later] == list(
        range(Pending.LIMIT + 1, 2 * Pending.LIMIT + 1)
    )
    assert anew is None
    pending.expire(1.5 * Pending.LIMIT * HUNDREDTH)
    later, _ = pending.after(0)
    assert later[0][0].sequence == Pending.LIMIT * 3 // 2 + 1
    assert len(pending._waiting) == len(pending._since) == Pending.LIMIT // 2


def test_repeated_snapshots_beyond_those_remembered_are_no_repeats_any_more() -> None:
    desk = Desk(1)
    desk.keeper._fetched = False
    for number in range(1, 200):
        desk.bring(change(number, None, 100, number, snapshot=True), number * HUNDREDTH)
    known = len(desk.keeper._snapshots)
    before = len(desk.tap.events)
    for number in range(199, 199 - known, -1):
        desk.bring(change(number, None, 100, number, snapshot=True), 0.2)
    assert len(desk.tap.events) == before
    assert known < 199


def test_a_widening_that_notes_more_than_its_bound_is_too_old_and_never_wrong() -> None:
    desk = Desk(1)
    book = desk.book
    book.every_level, book.reach = True, 1
    book.apply(change(1, None, 100, 1, snapshot=True))
    widening = Widening(book)
    snapshot = attrs.evolve(
        change(1, None, 100, 1, snapshot=True), bids=(level(100, 1), level(99, 1), level(98, 1))
    )
    for number in range(2, 2 * Widening.LIMIT):
        update = change(number, number - 1, 100, number)
        book.apply(update)
        widening.note(update)
    widening.answered(snapshot, None)
    assert widening.attempt() is Widened.TOO_OLD
    newer = attrs.evolve(snapshot, sequence=Widening.LIMIT, bids=(level(100, 9), level(99, 1)))
    widening.answered(newer, None)
    assert widening.attempt() is Widened.DONE
    assert book.best_bid == level(100, 2 * Widening.LIMIT - 1)


# --- sessions -------------------------------------------------------------------------------------


def test_questions_that_go_unanswered_prove_nothing_once_there_are_too_many() -> None:
    for ids in (True, False):
        asked = Asked()
        for number in range(Asked.LIMIT):
            asked.add(str(number), float(number))
        assert asked.answered("5" if ids else None) == (5.0 if ids else 0.0)
        for number in range(Asked.LIMIT, 2 * Asked.LIMIT + 10):
            asked.add(str(number), float(number))
        # One was left out, and which is not known: no later answer may be taken for another's.
        assert asked.answered(str(2 * Asked.LIMIT) if ids else None) is None
        assert not asked._open


def test_requests_that_are_never_answered_do_not_pile_up() -> None:
    venue = opened(top("A"), tape("B"), mute=True, patience=Patience(ack=2.0))
    for number in range(400):
        venue.until(venue.now + 5.0)
        venue.data("top.A", number)
        assert sum(1 for _ in venue.session._requests) <= 4


@pytest.mark.parametrize("every", [31.0, 59.0])
def test_a_frame_that_cannot_be_read_now_and_then_never_ends_a_connection(every: float) -> None:
    venue = opened(tape("A"))
    for _ in range(100):
        venue.until(venue.now + every)
        venue.receive(b"gibberish")
        assert len(venue.session._unreadable) < venue.session.UNREADABLE_LIMIT


# --- figures and budgets --------------------------------------------------------------------------


def test_a_histogram_takes_no_more_memory_whatever_it_counts() -> None:
    histogram = Histogram()
    for shift in range(80):
        for ns in (1 << shift, (1 << shift) + 1, -(1 << shift)):
            histogram.record(ns)
    size = sum(len(octave) for octave in histogram._octaves)
    for number in range(20_000):
        histogram.record(number * 1_234_567_891)
    assert sum(len(octave) for octave in histogram._octaves) == size
    assert histogram.count == 20_240
    assert histogram.max_ns == max((1 << 79) + 1, 19_999 * 1_234_567_891)
    assert histogram.quantile(1.0) == histogram.max_ns
    beyond = Histogram()
    for ns in (1 << 42, 3 << 42, 1 << 60):
        beyond.record(ns)
    assert beyond.quantile(0.3) >= (1 << 42) - 1


@attrs.define
class Hand:
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def time_ns(self) -> int:
        return round(self.now * NS_PER_SECOND)


def test_a_budget_at_full_speed_for_many_windows_remembers_one_and_grants_no_more() -> None:
    clock = Hand()
    window = Window(Budget(amount=20, seconds=10.0), clock)
    granted: list[float] = []
    while clock.now < 100.0:
        wait = window.take()
        if wait:
            clock.now += wait
        else:
            granted.append(clock.now)
            clock.now += 0.01
        window.correct(len([at for at in granted if at > clock.now - 10.0]) if granted else 0)
        assert len(window._counts[0].granted) <= 20
    for at in granted:
        assert sum(at <= other < at + 10.0 for other in granted) <= 20
    assert len(granted) >= 9 * 20


# --- topics that come and go ----------------------------------------------------------------------


def test_a_restart_is_told_once_however_many_there_were() -> None:
    runners = [Runner(1), Runner(2)]
    race = Race("topic", runners)
    for _ in range(200):
        for runner in runners:
            for number in (1, 2, 3):
                restart = number == 1
                if restart and race.may_be_another(number, runner):
                    race.reset()
                race.take(number, restart, runner, 0.0)
    assert sum(runner.wins for runner in runners) == 600
    assert all(len(runner.generations) <= 1 for runner in runners)


def test_trades_of_former_stretches_do_not_pile_up_however_often_connections_take_over() -> None:
    tape = Tape()
    number = 0
    for turn in range(40):
        who = turn % 2
        number += 100
        tape.topic.coverage.answered(tape.runners[who], turn * 10.0, turn * 10.0)
        tape.bring(who, [number], turn * 10.0)
        tape.topic.tick(turn * 10.0 + 2 * Coverage.BOUND, 0)
        for each in range(number + 1, number + 60):
            tape.bring(who, [each], turn * 10.0 + 3.0)
        kept = len(tape.topic.known.ids) + len(tape.topic.known.former)
        assert kept <= 2 * KnownTrades.WINDOW
        assert tape.ids[-1] == number + 59
    assert tape.ids == sorted(set(tape.ids))
    assert {event.reason for event in tape.tap.events if isinstance(event, Gap)} == {
        Reason.RECONNECTED
    }
