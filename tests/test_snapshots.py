"""Snapshots are fetched a few at a time, lost books first, and handed only to who still waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.errors import ConnectionLost
from ccrs_core.events import BookUpdate
from ccrs_core.exchange import Budget
from ccrs_core.keeper import Ask
from ccrs_core.limits import Window
from ccrs_core.rest import GetBook
from ccrs_core.snapshots import SnapshotQueue
from ccrs_core.transport.memory import VirtualClock, run
from tests.toy import instrument


class Book:
    """In place of a keeper: notes what it is handed."""

    def __init__(self) -> None:
        self.attempt = 0
        self.handed: list[BookUpdate] = []
        self.unanswered_at: list[float] = []

    def fetched(self, snapshot: BookUpdate, now: float) -> None:
        self.handed.append(snapshot)

    def unanswered(self, now: float) -> None:
        self.unanswered_at.append(now)


@attrs.define
class Desk:
    """A queue, and an exchange that takes a second for each answer."""

    asked: list[str] = attrs.field(factory=list)
    most: int = 0
    fail: bool = False
    _under_way: int = 0
    _tasks: list[asyncio.Task[None]] = attrs.field(factory=list)

    def queue(self) -> SnapshotQueue:
        return SnapshotQueue(
            self.ask,
            VirtualClock(),
            self.spawn,
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        return task

    async def ask(self, request: GetBook, share: float) -> BookUpdate:
        assert 0 < share < 1
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        self.asked.append(request.instrument.native)
        await asyncio.sleep(1.0)
        self._under_way -= 1
        if self.fail:
            raise ConnectionLost("gone")
        return BookUpdate("toy", request.instrument.symbol, None, 1, 5, True, (), ())


def want(queue: SnapshotQueue, name: str, book: Book, what: Ask = Ask.FIRST) -> list[str]:
    """Want a book's snapshot; the list tells of failures."""
    failures: list[str] = []
    request = GetBook(instrument(name), 50)
    queue.want(request, book, what, lambda: failures.append(name))  # type: ignore[arg-type]
    return failures


def test_few_are_under_way_at_a_time_and_lost_books_go_before_new_ones() -> None:
    async def main() -> None:
        desk = Desk()
        queue = desk.queue()
        books = [Book() for _ in range(20)]
        for number, book in enumerate(books[:15]):
            want(queue, f"NEW{number}USDT", book)
        await asyncio.sleep(0.5)
        for number, book in enumerate(books[15:]):
            want(queue, f"LOST{number}USDT", book, Ask.AGAIN)
        await asyncio.sleep(30.0)
        assert desk.most == SnapshotQueue.AT_ONCE
        lost = [place for place, name in enumerate(desk.asked) if name.startswith("LOST")]
        assert lost == list(range(SnapshotQueue.AT_ONCE, SnapshotQueue.AT_ONCE + 5))
        assert all(len(book.handed) == 1 for book in books)
        assert not len(queue)

    run(main())


def test_a_book_is_asked_for_once_however_often_it_is_wanted() -> None:
    async def main() -> None:
        desk, book = Desk(), Book()
        queue = desk.queue()
        for _ in range(3):
            want(queue, "BTCUSDT", book)
            await asyncio.sleep(0.1)
        await asyncio.sleep(5.0)
        assert desk.asked == ["BTCUSDT"]
        assert len(book.handed) == 1

    run(main())


def test_an_answer_from_before_a_reconnect_is_not_handed_over() -> None:
    async def main() -> None:
        desk, book = Desk(), Book()
        queue = desk.queue()
        want(queue, "BTCUSDT", book)
        await asyncio.sleep(0.5)
        book.attempt += 1
        want(queue, "BTCUSDT", book, Ask.AGAIN)
        await asyncio.sleep(0.8)
        assert not book.handed
        await asyncio.sleep(1.0)
        assert len(book.handed) == 1

    run(main())


def test_nothing_is_handed_to_a_book_that_nobody_wants_any_more() -> None:
    async def main() -> None:
        desk, book, waiting = Desk(), Book(), [Book() for _ in range(8)]
        queue = desk.queue()
        want(queue, "BTCUSDT", book)
        for number, each in enumerate(waiting):
            want(queue, f"COIN{number}USDT", each)
        await asyncio.sleep(0.5)
        queue.drop(book)  # type: ignore[arg-type]
        queue.drop(waiting[-1])  # type: ignore[arg-type]
        await asyncio.sleep(10.0)
        assert not book.handed
        assert "COIN7USDT" not in desk.asked

    run(main())


def test_a_failure_is_told_and_the_queue_goes_on() -> None:
    async def main() -> None:
        desk, book = Desk(fail=True), Book()
        queue = desk.queue()
        failures = want(queue, "BTCUSDT", book)
        await asyncio.sleep(2.0)
        assert failures == ["BTCUSDT"]
        assert len(book.unanswered_at) == 1
        desk.fail = False
        want(queue, "BTCUSDT", book, Ask.AGAIN)
        await asyncio.sleep(2.0)
        assert len(book.handed) == 1

    run(main())


def test_neither_a_dropped_book_nor_one_that_began_anew_is_told_of_a_failure() -> None:
    async def main() -> None:
        desk, dropped, anew = Desk(fail=True), Book(), Book()
        queue = desk.queue()
        failures = want(queue, "BTCUSDT", dropped) + want(queue, "ETHUSDT", anew)
        await asyncio.sleep(0.5)
        queue.drop(dropped)  # type: ignore[arg-type]
        anew.attempt += 1
        await asyncio.sleep(5.0)
        assert not failures
        assert not dropped.unanswered_at
        assert not anew.unanswered_at
        assert not len(queue)

    run(main())


def test_a_book_that_began_anew_and_wants_nothing_yet_gets_nothing_and_may_want_again() -> None:
    async def main() -> None:
        desk, book = Desk(), Book()
        queue = desk.queue()
        want(queue, "BTCUSDT", book)
        await asyncio.sleep(0.5)
        book.attempt += 1
        await asyncio.sleep(1.0)
        assert not book.handed
        want(queue, "BTCUSDT", book)
        await asyncio.sleep(2.0)
        assert len(book.handed) == 1
        assert desk.asked == ["BTCUSDT", "BTCUSDT"]

    run(main())


def test_a_book_dropped_and_wanted_again_gets_the_later_answer_alone() -> None:
    async def main() -> None:
        desk, book = Desk(), Book()
        queue = desk.queue()
        want(queue, "BTCUSDT", book)
        await asyncio.sleep(0.5)
        queue.drop(book)  # type: ignore[arg-type]
        want(queue, "BTCUSDT", book)
        await asyncio.sleep(0.6)
        assert not book.handed
        await asyncio.sleep(0.5)
        assert len(book.handed) == 1
        queue.drop(book)  # type: ignore[arg-type]
        assert not len(queue)

    run(main())


def test_a_failure_of_some_keeps_none_of_those_behind_them_from_their_answers() -> None:
    async def main() -> None:
        desk, books = Desk(fail=True), [Book() for _ in range(10)]
        queue = desk.queue()
        failures = [want(queue, f"COIN{number}USDT", book) for number, book in enumerate(books)]
        await asyncio.sleep(1.5)
        desk.fail = False
        await asyncio.sleep(10.0)
        failed = [number for number, each in enumerate(failures) if each]
        assert failed == list(range(SnapshotQueue.AT_ONCE))
        assert [len(book.handed) for book in books] == [0] * 4 + [1] * 6
        assert desk.most == SnapshotQueue.AT_ONCE

    run(main())


def test_a_failure_may_want_the_same_book_again_at_once() -> None:
    async def main() -> None:
        desk, book = Desk(fail=True), Book()
        queue = desk.queue()
        request = GetBook(instrument("BTCUSDT"), 50)

        def again() -> None:
            desk.fail = False
            queue.want(request, book, Ask.AGAIN, again)  # type: ignore[arg-type]

        queue.want(request, book, Ask.FIRST, again)  # type: ignore[arg-type]
        await asyncio.sleep(3.0)
        assert len(book.unanswered_at) == 1
        assert len(book.handed) == 1

    run(main())


class Wanted(Book):
    """Knows for which attempt it is wanted, and takes nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: tuple[int, Ask] | None = None
        self.waits = False

    def take(self, attempt: int) -> None:
        assert self.wanted is not None
        assert self.wanted[0] == self.attempt == attempt
        self.wanted = None

    def fetched(self, snapshot: BookUpdate, now: float) -> None:
        self.take(snapshot.sequence)

    def unanswered(self, now: float) -> None:
        assert self.wanted is not None
        self.take(self.wanted[0])


STEPS = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.0, 0.3, 1.0)),
        st.sampled_from(("first", "again", "first", "again", "drop", "anew", "fail", "work")),
        st.integers(0, 7),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_each_wanted_book_is_answered_in_its_turn_and_no_other(
    steps: list[tuple[float, str, int]],
) -> None:
    books = [Wanted() for _ in range(8)]
    under_way, fails = 0, False

    async def ask(request: GetBook, share: float) -> BookUpdate:
        nonlocal under_way
        # The request carries the attempt that it is for.
        book = books[int(request.instrument.native)]
        assert book.waits
        assert book.wanted is not None
        attempt, what = book.wanted
        assert attempt == request.depth
        if what is Ask.FIRST:
            lost = [b for b in books if b.waits and b.wanted and b.wanted[1] is Ask.AGAIN]
            assert not lost
        book.waits = False
        under_way += 1
        assert under_way <= SnapshotQueue.AT_ONCE
        await asyncio.sleep(0.7)
        under_way -= 1
        if fails:
            raise ConnectionLost("gone")
        return BookUpdate("toy", "X/USD", None, 1, attempt, True, (), ())

    async def main() -> None:
        nonlocal fails
        queue = SnapshotQueue(ask, VirtualClock(), asyncio.ensure_future)
        for pause, step, number in steps:
            await asyncio.sleep(pause)
            book = books[number]
            if step in ("first", "again"):
                what = Ask.FIRST if step == "first" else Ask.AGAIN
                if book.wanted is None or book.wanted[0] != book.attempt:
                    book.wanted, book.waits = (book.attempt, what), True
                request = GetBook(instrument(str(number)), book.attempt)
                queue.want(request, book, what, lambda: None)  # type: ignore[arg-type]
            elif step == "drop":
                book.wanted, book.waits = None, False
                queue.drop(book)  # type: ignore[arg-type]
            elif step == "anew":
                book.attempt += 1
            else:
                fails = step == "fail"
        await asyncio.sleep(60.0)
        await queue.aclose()
        assert not len(queue)
        assert not any(book.wanted and book.wanted[0] == book.attempt for book in books)

    run(main())


def test_who_takes_but_a_share_of_a_budget_leaves_the_rest_and_is_overtaken() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=100, seconds=10.0), clock)
        for _ in range(8):
            await window.acquire(10, share=0.8)
        assert clock.monotonic() == 0.0
        waiting = asyncio.ensure_future(window.acquire(10, share=0.8))
        await asyncio.sleep(0.1)
        await window.acquire(20)
        assert clock.monotonic() < 0.2
        assert not waiting.done()
        await waiting
        assert clock.monotonic() >= 10.0

    run(main())


def test_of_what_the_exchange_counts_only_what_was_not_known_is_added() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=100, seconds=10.0), clock)
        await window.acquire(30)
        await asyncio.sleep(4.0)
        window.correct(50)
        await window.acquire(50)
        assert clock.monotonic() == 4.0
        # What was known leaves the window before what was heard of later.
        await window.acquire(30)
        assert 9.9 < clock.monotonic() < 10.1
        await window.acquire(20)
        assert 13.9 < clock.monotonic() < 14.1

    run(main())


def test_a_budget_is_corrected_by_what_the_exchange_counts() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=100, seconds=10.0), clock)
        await window.acquire(10)
        window.correct(95)
        window.correct(40)  # it counts less: another program's share has expired
        await window.acquire(10)
        assert clock.monotonic() >= 10.0

    run(main())


SHARES = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.0, 0.01, 0.7, 4.0)),
        st.integers(1, 8),
        st.sampled_from((1.0, 0.8, 0.8, 0.5)),
    ),
    max_size=30,
)


@given(st.integers(20, 30), SHARES)
def test_no_share_of_a_budget_is_exceeded_whoever_asks_when(
    amount: int, arrivals: list[tuple[float, int, float]]
) -> None:
    async def main() -> None:
        clock, seconds = VirtualClock(), 10.0
        window = Window(Budget(amount=amount, seconds=seconds), clock)
        grants: list[tuple[float, int]] = []

        async def caller(weight: int, share: float) -> None:
            await window.acquire(weight, share=share)
            now = clock.monotonic()
            grants.append((now, weight))
            assert spent(grants, now, seconds) <= int(amount * share)

        async with asyncio.TaskGroup() as group:
            for pause, weight, share in arrivals:
                await asyncio.sleep(pause)
                group.create_task(caller(weight, share))

    run(main())


def spent(grants: Iterable[tuple[float, int]], now: float, seconds: float) -> int:
    """What was granted in the window that ends now."""
    return sum(weight for when, weight in grants if now - when < seconds * (1 - 1e-9))


def test_a_request_heavier_than_its_share_is_counted_with_its_whole_weight() -> None:
    async def main() -> None:
        clock = VirtualClock()
        window = Window(Budget(amount=10, seconds=10.0), clock)
        await window.acquire(10, share=0.8)
        await window.acquire(2)
        assert clock.monotonic() >= 10.0

    run(main())


def test_a_book_that_began_anew_and_wants_nothing_is_not_asked_for() -> None:
    async def main() -> None:
        desk, books = Desk(), [Book() for _ in range(8)]
        queue = desk.queue()
        for number, book in enumerate(books):
            want(queue, f"COIN{number}USDT", book)
        await asyncio.sleep(0.5)
        books[-1].attempt += 1
        await asyncio.sleep(5.0)
        assert "COIN7USDT" not in desk.asked

    run(main())


def test_closing_gives_up_what_waits_and_what_is_under_way_and_asks_for_nothing_more() -> None:
    async def main() -> None:
        desk, books = Desk(), [Book() for _ in range(8)]
        queue = desk.queue()
        for number, book in enumerate(books):
            want(queue, f"COIN{number}USDT", book)
        await asyncio.sleep(0.5)
        await queue.aclose()
        assert not len(queue)
        await asyncio.sleep(5.0)
        assert len(desk.asked) == SnapshotQueue.AT_ONCE
        assert not any(book.handed or book.unanswered_at for book in books)

    run(main())


def test_a_plugins_bug_is_told_once_and_keeps_no_other_book_from_its_snapshot(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        desk, book, other = Desk(), Book(), Book()

        async def ask(request: GetBook, share: float) -> BookUpdate:
            if request.instrument.native == "BADUSDT":
                raise ZeroDivisionError("in a plugin")
            return await desk.ask(request, share)

        queue = SnapshotQueue(ask, VirtualClock(), desk.spawn)
        for _ in range(3):
            want(queue, "BADUSDT", book)
            await asyncio.sleep(1.0)
        want(queue, "BTCUSDT", other)
        await asyncio.sleep(2.0)
        assert len(book.unanswered_at) == 3
        assert len(other.handed) == 1

    run(main())
    assert caplog.text.count("Traceback") == 1


def test_trouble_that_goes_on_is_told_once_and_its_end_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        desk, book = Desk(fail=True), Book()
        queue = desk.queue()
        for number in range(6):
            desk.fail = number < 4
            want(queue, "BTCUSDT", book)
            await asyncio.sleep(2.0)

    with caplog.at_level("INFO", "ccrs.snapshots"):
        run(main())
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in told] == ["WARNING", "INFO"]
    assert "gone" in told[0][1]


@given(st.lists(st.tuples(st.integers(1, 12), st.sampled_from([0.5, 0.8, 1.0])), max_size=20))
def test_no_window_grants_more_than_the_budget_however_heavy_a_request(
    wanted: list[tuple[int, float]],
) -> None:
    async def main() -> None:
        clock, grants = VirtualClock(), []
        window = Window(Budget(amount=10, seconds=10.0), clock)

        async def one(weight: int, share: float) -> None:
            await window.acquire(weight, share=share)
            grants.append((clock.monotonic(), min(weight, 10)))
            assert spent(grants, clock.monotonic(), 10.0) <= 10

        await asyncio.gather(*(one(*each) for each in wanted))

    run(main())
