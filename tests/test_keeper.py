"""Books that start from a request: never wrong and valid at once, and always valid again."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ccrs_core import BookUpdate, Channel, Market, OrderBook, Subscription
from ccrs_core.events import AnyEvent, Gap, Reason, Resumed, Stale
from ccrs_core.keeper import Ask, BookKeeper
from ccrs_core.race import Race, Runner
from ccrs_core.stream import Stream
from tests.toy import instrument

_SUBSCRIPTION = Subscription(Channel.BOOK, instrument("BTCUSDT"), depth=50)
assert _SUBSCRIPTION.instrument.market is Market.SPOT


def level(price: int, size: int) -> tuple[Decimal, Decimal]:
    return Decimal(price), Decimal(size)


def change(
    sequence: int, previous: int | None, price: int, size: int, *, snapshot: bool = False
) -> BookUpdate:
    return BookUpdate(
        "toy", "BTC/USDT", None, 1, sequence, snapshot, (level(price, size),), (), previous
    )


class Tap:
    """Takes the place of a feed."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def put(self, events: list[AnyEvent]) -> None:
        self.events += events

    def notify(self, notice: AnyEvent) -> None:
        self.events.append(notice)


class Desk:
    """A keeper of one book with ``connections``, and what it asked for."""

    def __init__(self, connections: int = 1) -> None:
        self.runners = [Runner(number) for number in range(1, connections + 1)]
        self.race = Race("book", self.runners, contiguous=True)
        self.tap = Tap()
        stream = Stream(_SUBSCRIPTION, feeds=[self.tap])  # type: ignore[list-item]
        stream.acknowledged = True
        self.asked: list[Ask] = []
        self.book = OrderBook("BTC/USDT")
        self.keeper = BookKeeper(
            self.book,
            self.race,
            stream,
            fetched=True,
            live=lambda: len(self.runners),
            ask=self.asked.append,
            arm=lambda: None,
            confirmed=lambda now_ns: None,
        )

    def bring(self, update: BookUpdate, now: float = 1.0, connection: int = 0) -> None:
        self.keeper.update(update, False, self.runners[connection], now)


def test_changes_wait_for_the_snapshot_and_those_that_it_contains_are_left_out() -> None:
    desk = Desk()
    for number in (11, 12, 13):
        desk.bring(change(number, number - 1, 100, number))
    assert desk.asked == [Ask.FIRST]
    assert not desk.tap.events
    desk.keeper.fetched(change(12, None, 99, 1, snapshot=True), 1.1)
    assert [event.sequence for event in desk.tap.events] == [12, 13]  # type: ignore[union-attr]
    assert desk.book.bids() == [level(100, 13), level(99, 1)]


def test_a_change_whose_numbers_enclose_the_snapshots_is_applied() -> None:
    """Binance: U <= lastUpdateId + 1 <= u."""
    desk = Desk()
    desk.bring(change(20, 9, 100, 5))
    desk.keeper.fetched(change(15, None, 99, 1, snapshot=True), 1.1)
    assert desk.book.sequence == 20
    assert desk.book.valid


def test_a_snapshot_older_than_all_that_waits_is_refused_and_another_one_asked_for() -> None:
    desk = Desk()
    desk.bring(change(11, 10, 100, 5))
    desk.keeper.fetched(change(9, None, 99, 1, snapshot=True), 1.1)
    assert not desk.book.valid
    assert desk.asked == [Ask.FIRST]
    due = desk.keeper.wake_at
    assert due is not None
    assert due < 2.0
    desk.keeper.tick(due, 1)
    assert len(desk.asked) == 2
    desk.keeper.fetched(change(10, None, 99, 1, snapshot=True), due)
    assert desk.book.valid
    assert desk.book.sequence == 11


def test_changes_that_come_after_the_snapshot_but_are_contained_in_it_change_nothing() -> None:
    desk = Desk()
    desk.bring(change(11, 10, 100, 5))
    desk.keeper.fetched(change(14, None, 100, 8, snapshot=True), 9.0)
    for number in (12, 13, 14):
        desk.bring(change(number, number - 1, 100, 1), now=9.5)
    assert desk.book.valid
    assert desk.book.bids() == [level(100, 8)]
    desk.bring(change(15, 14, 100, 9), now=9.6)
    assert desk.book.bids() == [level(100, 9)]
    assert len(desk.asked) == 1


def test_numbers_that_stay_below_the_snapshots_make_the_book_invalid_in_time() -> None:
    """The exchange counts anew, and nothing said so: a book that never changes isn't fresh."""
    desk = Desk()
    desk.bring(change(111, 110, 100, 5))
    desk.keeper.fetched(change(111, None, 100, 5, snapshot=True), 1.0)
    for step in range(1, 60):
        desk.bring(change(step, step - 1, 100, step), now=1.0 + step)
    assert len(desk.asked) > 1


def test_a_gap_makes_the_book_stale_and_the_change_that_showed_it_waits() -> None:
    desk = Desk()
    desk.bring(change(11, 10, 100, 5))
    desk.keeper.fetched(change(11, None, 100, 5, snapshot=True), 1.0)
    desk.bring(change(13, 12, 101, 7), now=2.0)
    assert not desk.book.valid
    assert desk.asked == [Ask.FIRST, Ask.AGAIN]
    assert isinstance(desk.tap.events[-1], Stale)
    desk.keeper.fetched(change(12, None, 100, 6, snapshot=True), 2.1)
    assert desk.book.bids() == [level(101, 7), level(100, 6)]
    kinds = [type(event) for event in desk.tap.events]
    assert kinds[-4:] == [Gap, Resumed, BookUpdate, BookUpdate]


def test_a_running_book_that_lost_its_connection_asks_as_one_that_is_lost() -> None:
    desk = Desk()
    desk.bring(change(11, 10, 100, 5))
    desk.keeper.fetched(change(11, None, 100, 5, snapshot=True), 1.1)
    desk.keeper.lost_sync(Reason.DISCONNECTED)
    desk.bring(change(20, 19, 100, 5), now=2.0)
    assert desk.asked == [Ask.FIRST, Ask.AGAIN]


def test_a_book_never_seen_whose_first_request_failed_still_asks_as_a_new_one() -> None:
    desk = Desk()
    desk.bring(change(11, 10, 100, 5))
    desk.keeper.unanswered(2.0)
    desk.keeper.tick(12.0, 1)
    assert desk.asked == [Ask.FIRST, Ask.FIRST]


def test_a_book_that_waits_in_line_is_not_asked_for_again_and_again() -> None:
    desk = Desk()
    desk.bring(change(11, 10, 100, 5))
    assert desk.keeper.wake_at is None
    desk.keeper.tick(1000.0, 1)
    assert len(desk.asked) == desk.keeper.resyncs == 1


def test_changes_that_waited_go_on_from_a_snapshot_which_the_stream_itself_brings() -> None:
    desk = Desk()
    for number in (11, 12, 13):
        desk.bring(change(number, number - 1, 100 + number, number))
    desk.bring(change(11, None, 99, 1, snapshot=True))
    assert desk.book.sequence == 13
    assert desk.book.bids() == [level(113, 13), level(112, 12), level(99, 1)]
    assert len(desk.asked) == 1


def test_a_quiet_stream_s_book_is_asked_for_after_the_acknowledgement() -> None:
    desk = Desk()
    desk.keeper.acknowledged(5.0)
    due = desk.keeper.wake_at
    assert due is not None
    assert 5.0 < due < 7.0
    desk.keeper.tick(due, 1)
    assert desk.asked == [Ask.FIRST]
    desk.keeper.fetched(change(9, None, 99, 1, snapshot=True), due)
    assert desk.book.valid


def test_no_more_updates_wait_than_the_bound() -> None:
    desk = Desk()
    for number in range(1, BookKeeper.WAITING_LIMIT + 100):
        desk.bring(change(number, number - 1, 100, number))
    first_that_waits = number - BookKeeper.WAITING_LIMIT + 1
    desk.keeper.fetched(change(first_that_waits - 2, None, 99, 1, snapshot=True), 2.0)
    assert not desk.book.valid
    desk.keeper.fetched(change(first_that_waits - 1, None, 99, 1, snapshot=True), 2.0)
    assert desk.book.valid
    assert desk.book.sequence == number


@attrs.define
class _State:
    sequence: int
    bids: dict[Decimal, Decimal]


class Exchange(RuleBasedStateMachine):
    """Connections that lose frames, snapshots that are late, and counts that begin anew."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(connections=2)
        self.now = 1.0
        self.states = [_State(100, {Decimal(50): Decimal(1)})]
        self.lines: list[list[tuple[BookUpdate, bool]]] = [[], []]
        self.shown = 0
        self.epochs = 1

    def change(self, price: int, size: int, step: int, *, anew: bool = False) -> None:
        before = self.states[-1]
        sequence = step if anew else before.sequence + step
        bids = {**before.bids, Decimal(price): Decimal(size)}
        if not size:
            del bids[Decimal(price)]
        self.states.append(_State(sequence, bids))
        update = change(sequence, before.sequence, price, size)
        for line in self.lines:
            line.append((update, anew))

    @rule(price=st.integers(1, 5), size=st.integers(0, 3), step=st.integers(1, 3))
    def changes(self, price: int, size: int, step: int) -> None:
        self.change(price, size, step)

    @precondition(lambda self: self.states[-1].sequence > 50)
    @rule(step=st.integers(1, 3))
    def counts_anew(self, step: int) -> None:
        self.change(3, 2, step, anew=True)

    @rule(line=st.integers(0, 1), count=st.integers(1, 4))
    def arrives(self, line: int, count: int) -> None:
        for _ in range(min(count, len(self.lines[line]))):
            update, anew = self.lines[line].pop(0)
            self.desk.keeper.update(update, anew, self.desk.runners[line], self.now)

    @rule(line=st.integers(0, 1))
    def is_lost(self, line: int) -> None:
        if self.lines[line]:
            self.lines[line].pop(0)

    @rule(seconds=st.sampled_from([0.1, 0.6, 3.5, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        if seconds > BookKeeper.PATIENCE:
            # No snapshot is under way for that long.
            self.lines = [[each for each in line if not each[0].snapshot] for line in self.lines]
        due = self.desk.keeper.wake_at
        if due is not None and due <= self.now:
            self.desk.keeper.tick(self.now, 1)

    @precondition(lambda self: self.desk.asked)
    @rule(age=st.integers(0, 6))
    def answers(self, age: int) -> None:
        self.answer(age)

    @precondition(lambda self: self.desk.asked)
    @rule()
    def fails(self) -> None:
        self.desk.asked.clear()
        self.desk.keeper.unanswered(self.now)

    @precondition(lambda self: self.rising())
    @rule(line=st.integers(0, 1))
    def tells_the_whole_book(self, line: int) -> None:
        self.lines[line].append((self.whole(self.states[-1]), False))

    @rule()
    def all_connections_are_lost(self) -> None:
        self.lines = [[], []]
        self.epochs += 2
        self.desk.runners[:] = [Runner(self.epochs), Runner(self.epochs + 1)]
        self.desk.race.drift()
        self.desk.keeper.lost_sync(Reason.DISCONNECTED)
        # What was asked for before isn't handed over any more.
        self.desk.asked.clear()

    def rising(self) -> bool:
        """Whether the exchange never counted anew."""
        return all(a.sequence < b.sequence for a, b in pairwise(self.states))

    @staticmethod
    def whole(state: _State) -> BookUpdate:
        bids = tuple(state.bids.items())
        return BookUpdate("toy", "BTC/USDT", None, 1, state.sequence, True, bids, ())

    def answer(self, age: int) -> None:
        state = self.states[max(len(self.states) - 1 - age, 0)]
        self.desk.asked.clear()
        self.desk.keeper.fetched(self.whole(state), self.now)

    @invariant()
    def a_valid_book_is_right(self) -> None:
        book = self.desk.book
        if book.valid:
            shown = _State(book.sequence or 0, dict(book.bids()))
            assert shown in self.states
            # It may show what it has shown before, but nothing older than that. (Where the count
            # began anew and snapshots are older than that, it may for a moment.)
            place = len(self.states) - 1 - self.states[::-1].index(shown)
            assert place >= self.shown or not self.rising()
            self.shown = place

    def teardown(self) -> None:
        for _ in range(12):
            self.change(4, 1, 1)
            self.change(4, 2, 1)
            for line in (0, 1):
                self.arrives(line, 1000)
            self.time_passes(11.0)
            if self.desk.asked:
                self.answer(0)
        assert self.desk.book.valid
        assert self.desk.book.sequence == self.states[-1].sequence


TestExchange = Exchange.TestCase
TestExchange.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
