"""A book that starts from requests, whatever happens: never wrong and valid at once, always valid
again, nothing lost on the way to its consumer, and never left without anybody who asks for it."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ccrs_core import BookUpdate, OrderBook
from ccrs_core.connections.runner import Runner
from ccrs_core.model.events import Reason, Stale
from ccrs_core.model.orderbook import Applied
from ccrs_core.topics.keeper import BookKeeper
from ccrs_core.topics.waiting_changes import Ask
from tests.topics.test_keeper import Desk, change, crossed


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
        self.pending: int | None = None
        """The attempt for which a request waits in line or is under way."""
        self.asks = 0
        self.snapshots = 0
        """Seen by the consumer when the book was last asked for."""
        self.consumer = OrderBook("BTC/USDT")
        self.read = 0
        self.harmed = False
        """Whether anything was lost, or may not be told from a loss."""

    # --- the exchange's side ---

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
        self.harmed = True
        self.change(3, 2, step, anew=True)

    @rule(line=st.integers(0, 1), count=st.integers(1, 4))
    def arrives(self, line: int, count: int) -> None:
        for _ in range(min(count, len(self.lines[line]))):
            update, anew = self.lines[line].pop(0)
            self.desk.keeper.update(update, anew, self.desk.runners[line], self.now)
            self.asked()

    @rule(line=st.integers(0, 1))
    def is_lost(self, line: int) -> None:
        if self.lines[line]:
            self.harmed = True
            self.lines[line].pop(0)

    @precondition(lambda self: self.rising())
    @rule(line=st.integers(0, 1))
    def tells_the_whole_book(self, line: int) -> None:
        self.lines[line].append((self.whole(self.states[-1]), False))

    @rule(line=st.integers(0, 1))
    def tells_a_broken_book(self, line: int) -> None:
        self.harmed = True
        self.lines[line].append((crossed(self.states[-1].sequence), False))

    @rule()
    def all_connections_are_lost(self) -> None:
        self.harmed = True
        self.lines = [[], []]
        self.epochs += 2
        self.desk.runners[:] = [Runner(self.epochs), Runner(self.epochs + 1)]
        self.desk.race.uncarried()
        self.desk.keeper.lost_sync(Reason.DISCONNECTED)

    @rule()
    def acknowledges(self) -> None:
        self.desk.keeper.acknowledged(self.now)

    def rising(self) -> bool:
        """Whether the exchange never counted anew."""
        return all(a.sequence < b.sequence for a, b in pairwise(self.states))

    @staticmethod
    def whole(state: _State) -> BookUpdate:
        bids = tuple(state.bids.items())
        return BookUpdate("toy", "BTC/USDT", None, 1, state.sequence, True, bids, ())

    # --- requests, as the queue makes them ---

    def asked(self) -> None:
        """Take note of what was asked for since."""
        keeper, asked = self.desk.keeper, self.desk.asked
        for what in asked:
            self.read_books()
            assert what is (Ask.AGAIN if self.consumer.updates else Ask.FIRST)
            # While a request is pending, only if there was a book meanwhile, which is lost again.
            assert self.pending != keeper.attempt or self.consumer.snapshots > self.snapshots
            self.pending, self.snapshots = keeper.attempt, self.consumer.snapshots
        self.asks += len(asked)
        asked.clear()

    @precondition(lambda self: self.pending is not None)
    @rule(age=st.integers(0, 6))
    def answers(self, age: int) -> None:
        self.answer(self.whole(self.states[max(len(self.states) - 1 - age, 0)]))

    @precondition(lambda self: self.pending is not None)
    @rule()
    def answers_with_a_broken_book(self) -> None:
        self.harmed = True
        self.answer(crossed(self.states[-1].sequence))

    @precondition(lambda self: self.pending is not None)
    @rule()
    def fails(self) -> None:
        self.answer(None)

    def answer(self, snapshot: BookUpdate | None) -> None:
        keeper, attempt = self.desk.keeper, self.pending
        assert attempt is not None
        self.pending = None
        if keeper.wants(attempt):
            if snapshot is None:
                keeper.unanswered(self.now)
            else:
                keeper.fetched(snapshot, self.now)
        self.asked()

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.1, 3.5, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        # A connection that lags for so long, or a book that heals for so long, may be disturbed.
        self.harmed |= any(self.lines) and seconds > BookKeeper.HOLD
        if seconds > BookKeeper.PATIENCE:
            # No snapshot is under way for that long.
            self.lines = [[each for each in line if not each[0].snapshot] for line in self.lines]
        due = self.desk.keeper.wake_at
        if due is not None and due <= self.now:
            self.desk.keeper.tick(self.now, 1)
            self.asked()

    # --- what holds at any time ---

    def read_books(self) -> None:
        """Read what came, as a consumer does."""
        events = self.desk.tap.events
        for event in events[self.read :]:
            if isinstance(event, BookUpdate):
                assert self.consumer.apply(event) is Applied.APPLIED
        self.read = len(events)

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

    @invariant()
    def who_follows_the_updates_has_the_same_book(self) -> None:
        self.read_books()
        book = self.desk.book
        if book.valid:
            assert self.consumer.sequence == book.sequence
            assert self.consumer.bids() == book.bids()

    @invariant()
    def a_book_that_was_asked_for_is_asked_for_again_until_it_is_there(self) -> None:
        keeper = self.desk.keeper
        assert keeper.resyncs == self.asks
        if keeper.wants(keeper.attempt):
            assert not self.desk.book.valid
            assert self.pending == keeper.attempt or keeper.wake_at is not None

    @invariant()
    def nothing_disturbs_a_book_of_which_nothing_was_lost(self) -> None:
        if not self.harmed:
            assert not [event for event in self.desk.tap.events if isinstance(event, Stale)]

    def teardown(self) -> None:
        for _ in range(12):
            self.change(4, 1, 1)
            self.change(4, 2, 1)
            for line in (0, 1):
                self.arrives(line, 1000)
            self.time_passes(11.0)
            if self.pending is not None:
                self.answer(self.whole(self.states[-1]))
        assert self.desk.book.valid
        assert self.desk.book.sequence == self.states[-1].sequence


TestExchange = Exchange.TestCase
TestExchange.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
