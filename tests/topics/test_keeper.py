"""Books that start from a request: what waits for it, when it is made again, what is refused."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core import BookUpdate, Channel, Market, OrderBook, Subscription
from ccrs_core.connections.runner import Runner
from ccrs_core.feeds.stream import Stream
from ccrs_core.model.events import AnyEvent, Gap, Reason, Resumed, Stale
from ccrs_core.topics.keeper import BookKeeper
from ccrs_core.topics.race import Race
from ccrs_core.topics.waiting_changes import Ask, Pending
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

    freshness = None

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def put(self, events: list[AnyEvent]) -> None:
        self.events += events

    def notify(self, notice: AnyEvent) -> None:
        self.events.append(notice)


class Desk:
    """A keeper of one book with ``connections``, and what it asked for."""

    def __init__(
        self, connections: int = 1, book: OrderBook | None = None, *, fetched: bool = True
    ) -> None:
        self.runners = [Runner(number) for number in range(1, connections + 1)]
        self.race = Race("book", self.runners, contiguous=True)
        self.tap = Tap()
        stream = Stream(_SUBSCRIPTION, "toy", feeds=[self.tap])  # type: ignore[list-item]
        stream.acknowledged = True
        self.asked: list[Ask] = []
        self.book = OrderBook("BTC/USDT") if book is None else book
        self.keeper = BookKeeper(
            self.book,
            self.race,
            stream,
            fetched=fetched,
            live=lambda: len(self.runners),
            ask=self.asked.append,
            arm=lambda: None,
            confirmed=lambda now_ns: None,
        )

    def bring(
        self, update: BookUpdate, now: float = 1.0, connection: int = 0, *, restart: bool = False
    ) -> None:
        self.keeper.update(update, restart, self.runners[connection], now)

    @property
    def undisturbed(self) -> bool:
        """Whether the book is valid, was asked for once, and its consumer told of no trouble."""
        told = [event for event in self.tap.events if isinstance(event, Stale)]
        return self.book.valid and len(self.asked) == 1 and not told


def crossed(sequence: int) -> BookUpdate:
    """A snapshot that no book can be."""
    snapshot = change(sequence, None, 100, 1, snapshot=True)
    return attrs.evolve(snapshot, asks=(level(50, 1),))


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


@pytest.mark.parametrize("number", [10, 11, 12, 13, 14])
def test_a_stream_s_snapshot_in_the_midst_of_what_waits_disturbs_nothing(number: int) -> None:
    desk = Desk()
    for waiting in (11, 12, 13):
        desk.bring(change(waiting, waiting - 1, 100 + waiting, waiting))
    desk.bring(change(number, None, 99, 1, snapshot=True))
    assert desk.undisturbed
    assert desk.book.sequence == max(number, 13)
    assert len(desk.book.bids()) == 1 + max(13 - number, 0)


def test_a_stream_s_snapshot_that_begins_a_new_count_leaves_what_waited_of_the_former() -> None:
    desk = Desk()
    for number in (1, 2, 5001, 5002):
        desk.bring(change(number, number - 1, 100, number))
    desk.bring(change(1, None, 99, 1, snapshot=True), restart=True)
    assert desk.book.bids() == [level(99, 1)]
    desk.bring(change(2, 1, 99, 5))
    assert desk.undisturbed
    assert desk.book.bids() == [level(99, 5)]


def test_a_stream_s_snapshot_after_which_a_lone_connection_s_changes_leave_a_hole_goes_on() -> None:
    """The exchange counts anew, and what said so was lost."""
    desk = Desk()
    for number in (5001, 5002):
        desk.bring(change(number, number - 1, 100, number))
    desk.bring(change(1, None, 99, 1, snapshot=True))
    desk.bring(change(2, 1, 99, 5))
    assert desk.undisturbed


def test_a_snapshot_of_a_count_that_a_waiting_change_began_knows_copies_of_the_former() -> None:
    desk = Desk(connections=2)
    desk.bring(change(5001, 5000, 100, 1))
    desk.bring(change(3, 5001, 100, 2), restart=True)
    for number in (4, 5):
        desk.bring(change(number, number - 1, 100, number))
    desk.bring(change(4, None, 100, 4, snapshot=True))
    assert desk.book.bids() == [level(100, 5)]
    for number in (5001, 5002):
        desk.bring(change(number, number - 1, 100, 7), now=1.1, connection=1)
    desk.keeper.tick(3.0, 1)
    assert desk.undisturbed
    assert desk.book.bids() == [level(100, 5)]


def lost_at_ten() -> Desk:
    """Two connections, of which one lags; the book was shown up to 10, and is lost."""
    desk = Desk(connections=2)
    desk.bring(change(10, 9, 100, 10))
    desk.keeper.fetched(change(10, None, 99, 1, snapshot=True), 1.1)
    desk.bring(change(13, 12, 100, 3), now=1.2)
    desk.keeper.tick(2.0, 1)
    assert not desk.book.valid
    return desk


def test_a_snapshot_of_a_lagging_connection_does_not_lead_back_behind_what_was_shown() -> None:
    desk = lost_at_ten()
    desk.bring(change(5, None, 99, 1, snapshot=True), now=2.1, connection=1)
    assert not desk.book.valid
    desk.bring(change(12, None, 99, 1, snapshot=True), now=2.2, connection=1)
    assert desk.book.sequence == 13


def test_a_lagging_connection_s_snapshot_has_a_book_asked_for_that_nobody_asks_for_yet() -> None:
    desk = lost_at_ten()
    desk.keeper.lost_sync(Reason.DISCONNECTED)
    for _ in range(3):
        desk.bring(change(5, None, 99, 1, snapshot=True), now=2.1, connection=1)
    assert desk.asked == [Ask.FIRST, Ask.AGAIN, Ask.AGAIN]


def test_an_older_snapshot_of_long_ago_proves_nothing_after_another_connection_loss() -> None:
    desk = Desk()
    desk.bring(change(11, 10, 100, 5))
    desk.keeper.fetched(change(11, None, 100, 5, snapshot=True), 1.0)
    for now in (2.0, 30.0):
        desk.keeper.lost_sync(Reason.DISCONNECTED)
        desk.keeper.acknowledged(now)
        desk.keeper.tick(now + 1.0, 1)
        desk.keeper.fetched(change(9, None, 100, 5, snapshot=True), now + 1.1)
        assert not desk.book.valid


def test_older_snapshots_with_a_newer_one_in_between_do_not_say_that_the_count_began_anew() -> None:
    desk = Desk()
    desk.bring(change(20, 19, 100, 5))
    desk.keeper.fetched(change(20, None, 100, 5, snapshot=True), 1.0)
    desk.keeper.lost_sync(Reason.DISCONNECTED)
    desk.keeper.acknowledged(1.0)
    desk.keeper.tick(2.0, 1)
    desk.keeper.fetched(change(15, None, 100, 5, snapshot=True), 2.0)
    desk.bring(change(31, 30, 100, 5), now=2.1)
    desk.keeper.fetched(change(25, None, 100, 5, snapshot=True), 2.2)  # too old for what waits
    for now in (13.0, 13.5):
        desk.keeper.fetched(change(15, None, 100, 5, snapshot=True), now)
        assert not desk.book.valid


def test_snapshots_wrong_in_themselves_are_not_asked_for_in_haste_nor_taken_for_shown() -> None:
    desk, now = Desk(), 1.0
    desk.bring(change(11, 10, 100, 5))
    for _ in range(4):
        desk.keeper.fetched(crossed(11), now)
        due = desk.keeper.wake_at
        assert due == now + BookKeeper.PATIENCE
        now = due
        desk.keeper.tick(now, 1)
    assert desk.asked == [Ask.FIRST] * 5
    desk.keeper.fetched(change(11, None, 99, 1, snapshot=True), now)
    assert desk.book.valid


def test_a_stream_s_broken_snapshot_asks_for_no_second_one_while_a_request_waits() -> None:
    desk = Desk()
    desk.bring(change(11, 10, 100, 5))
    desk.bring(crossed(11))
    assert not desk.book.valid
    assert len(desk.asked) == desk.keeper.resyncs == 1
    desk.keeper.fetched(change(11, None, 99, 1, snapshot=True), 1.1)
    assert desk.book.valid


def test_a_broken_state_that_the_last_connection_left_behind_makes_the_book_ask() -> None:
    desk = Desk(connections=2)
    desk.bring(change(11, 10, 100, 5))
    desk.keeper.fetched(change(11, None, 99, 1, snapshot=True), 1.0)
    desk.bring(crossed(20), connection=1)
    assert desk.undisturbed  # the other one may bring every step up to there
    del desk.runners[1:]
    desk.keeper.narrowed(2.0)
    assert not desk.book.valid
    assert desk.asked == [Ask.FIRST, Ask.AGAIN]
    assert isinstance(desk.tap.events[-1], Stale)


def test_a_snapshot_is_wanted_from_its_asking_until_there_is_one_or_all_begins_anew() -> None:
    desk = Desk()
    keeper = desk.keeper
    assert not keeper.wants(keeper.attempt)
    desk.bring(change(11, 10, 100, 5))
    assert keeper.wants(keeper.attempt)
    asked_in = keeper.attempt
    keeper.lost_sync(Reason.DISCONNECTED)
    assert not keeper.wants(asked_in)
    assert not keeper.wants(keeper.attempt)
    desk.bring(change(21, 20, 100, 5), now=2.0)
    assert keeper.wants(keeper.attempt)
    assert not keeper.wants(asked_in)
    desk.bring(change(21, None, 100, 5, snapshot=True), now=2.1)
    assert not keeper.wants(keeper.attempt)


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
    for number in range(1, Pending.LIMIT + 100):
        desk.bring(change(number, number - 1, 100, number))
    first_that_waits = number - Pending.LIMIT + 1
    desk.keeper.fetched(change(first_that_waits - 2, None, 99, 1, snapshot=True), 2.0)
    assert not desk.book.valid
    desk.keeper.fetched(change(first_that_waits - 1, None, 99, 1, snapshot=True), 2.0)
    assert desk.book.valid
    assert desk.book.sequence == number


def test_changes_that_no_snapshot_reaches_for_long_are_of_a_count_that_has_ended_unheard() -> None:
    desk = Desk()
    desk.bring(change(1001, 1000, 100, 5), now=1.0)
    desk.bring(change(1002, 1001, 100, 6), now=5.0)
    for now in (1.1, 10.9):
        desk.keeper.fetched(change(7, None, 99, 1, snapshot=True), now)
        assert not desk.book.valid
    # The first change has waited for long enough, the other hasn't.
    desk.bring(change(8, 7, 98, 1), now=10.95)
    desk.keeper.fetched(change(7, None, 99, 1, snapshot=True), 11.0)
    desk.keeper.fetched(change(1001, None, 99, 1, snapshot=True), 11.1)
    assert desk.book.sequence == 1002
    desk = Desk()
    desk.bring(change(1001, 1000, 100, 5), now=1.0)
    desk.bring(change(1001, 1000, 100, 5), now=9.0)  # a copy makes it no younger
    desk.keeper.fetched(change(7, None, 99, 1, snapshot=True), 11.0)
    assert not desk.book.valid
    desk.keeper.fetched(change(7, None, 99, 1, snapshot=True), 11.1)
    assert desk.book.valid
    assert desk.book.sequence == 7


# --- time passes while other things go on -------------------------------------------------------


@given(
    st.floats(0.02, 0.2),
    st.lists(st.integers(0, 5), max_size=40),
    st.booleans(),
)
def test_a_book_never_stands_still_for_long_while_its_updates_come(
    step: float, lost: list[int], fetched: bool
) -> None:
    """However fast they come, and whatever else is lost meanwhile: it goes on, or says that it
    can't be trusted."""
    desk = Desk(connections=2, fetched=fetched)
    desk.bring(change(1, None, 100, 1, snapshot=True))
    now, waits_since, newest = 1.0, 1.0, 1
    for number, where in enumerate([*lost, 2, *[5] * 60], start=2):
        # 0 and 1: lost on one connection; 2: lost on both; else on neither.
        before = desk.book.sequence
        for connection in (0, 1):
            if where not in (connection, 2):
                desk.bring(change(number, number - 1, 100, number), now, connection)
        due = desk.keeper.wake_at
        if due is not None and now >= due:
            desk.keeper.tick(now, 1)
        if not desk.book.valid:
            break
        newest = newest if where == 2 else number
        if desk.book.sequence != before or newest == before:
            waits_since = now + step
        assert now - waits_since <= BookKeeper.HOLD + step
        now += step
    assert not desk.book.valid, "a lost update was never told"
    assert [event.reason for event in desk.tap.events if isinstance(event, Stale)] == [
        Reason.SEQUENCE
    ]


@pytest.mark.parametrize("troubles", [1, 2, 5, 12])
@pytest.mark.parametrize("fetched", [True, False])
def test_after_any_number_of_healed_troubles_the_next_one_gets_the_patience_of_the_first(
    troubles: int, fetched: bool
) -> None:
    desk, number, now = Desk(fetched=fetched), 1, 1.0
    waits: list[list[float]] = []
    for _ in range(troubles + 1):
        desk.bring(change(number, None, 100, 1, snapshot=True), now)
        number, now = number + 10, now + 100.0
        desk.bring(change(number, number - 1, 100, 1), now)  # a hole
        assert not desk.book.valid
        waits.append([])
        for _ in range(6):  # nothing comes
            if fetched:
                desk.keeper.unanswered(now)
            due = desk.keeper.wake_at
            assert due is not None
            waits[-1].append(due - now)
            now = due
            desk.keeper.tick(now, 1)
    assert waits == [pytest.approx(waits[0])] * (troubles + 1)
    assert waits[0] == sorted(waits[0])
    assert waits[0][0] == pytest.approx(BookKeeper.PATIENCE)


@pytest.mark.parametrize("troubles", [1, 3, 9])
def test_who_is_healed_at_once_each_time_waits_no_longer_the_next_time(troubles: int) -> None:
    desk, number, now = Desk(fetched=False), 1, 1.0
    for _ in range(troubles):
        desk.bring(change(number, None, 100, 1, snapshot=True), now)
        number, now = number + 10, now + 1.0
        desk.bring(change(number, number - 1, 100, 1), now)
    due = desk.keeper.wake_at
    assert due is not None
    assert due - now == pytest.approx(BookKeeper.PATIENCE)
