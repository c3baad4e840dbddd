"""Snapshots are fetched a few at a time, lost books first, and handed only to who still waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from ccrs_core.contract.rest import GetBook
from ccrs_core.errors import ConnectionLost
from ccrs_core.model.events import BookUpdate
from ccrs_core.topics.snapshots import SnapshotQueue
from ccrs_core.topics.waiting_changes import Ask
from ccrs_core.transport.memory import VirtualClock, run
from tests.toy import instrument


class Book:
    """In place of a keeper: notes what it is handed."""

    def __init__(self) -> None:
        self.attempt = 0
        self.handed: list[BookUpdate] = []
        self.unanswered_at: list[float] = []
        self.served = False
        """Whether the stream was faster."""

    def wants(self, attempt: int) -> bool:
        return attempt == self.attempt and not self.served

    def fetched(self, snapshot: BookUpdate, now: float, reach: int) -> None:
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
        try:
            await asyncio.sleep(1.0)
        finally:
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


class Wanted(Book):
    """Knows for which attempt it is wanted, and takes nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: int | None = None
        self.waits = self.shown = False

    def wants(self, attempt: int) -> bool:
        return self.wanted == self.attempt == attempt

    @property
    def lost(self) -> bool:
        """Whether it waits in line, and its consumer for it."""
        return self.waits and self.shown and self.wants(self.attempt)

    def take(self, attempt: int | None) -> None:
        assert self.wanted == self.attempt == attempt
        self.wanted = None

    def fetched(self, snapshot: BookUpdate, now: float, reach: int) -> None:
        self.take(snapshot.sequence)

    def unanswered(self, now: float) -> None:
        self.take(self.wanted)


STEPS = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.0, 0.3, 1.0)),
        st.sampled_from(("want", "want", "show", "serve", "drop", "anew", "fail", "work")),
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
        assert book.wanted == request.depth
        assert book.shown or not any(each.lost for each in books)
        book.waits = False
        under_way += 1
        assert under_way <= SnapshotQueue.AT_ONCE
        try:
            await asyncio.sleep(0.7)
        finally:
            under_way -= 1
        if fails:
            raise ConnectionLost("gone")
        return BookUpdate("toy", "X/USD", None, 1, request.depth, True, (), ())

    async def main() -> None:
        nonlocal fails
        queue = SnapshotQueue(ask, VirtualClock(), asyncio.ensure_future)
        for pause, step, number in steps:
            await asyncio.sleep(pause)
            book = books[number]
            if step == "show":
                book.shown = True
            if step in ("want", "show"):
                if not book.wants(book.attempt):
                    book.wanted, book.waits = book.attempt, True
                request = GetBook(instrument(str(number)), book.attempt)
                what = Ask.AGAIN if book.shown else Ask.FIRST
                queue.want(request, book, what, lambda: None)  # type: ignore[arg-type]
            elif step == "serve" and book.waits:
                book.wanted, book.waits = None, False
            elif step == "drop":
                book.wanted, book.waits, book.shown = None, False, False
                queue.drop(book)  # type: ignore[arg-type]
            elif step == "anew":
                book.attempt += 1
            else:
                fails = step == "fail"
        await asyncio.sleep(60.0)
        assert not any(book.wants(book.attempt) for book in books)
        assert not len(queue)
        assert not under_way

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


def test_a_waiting_book_that_was_shown_and_lost_meanwhile_goes_forward_in_the_line() -> None:
    async def main() -> None:
        desk, books = Desk(), [Book() for _ in range(20)]
        queue = desk.queue()
        for number, book in enumerate(books):
            want(queue, f"COIN{number}USDT", book)
        await asyncio.sleep(0.5)
        want(queue, "COIN19USDT", books[19], Ask.AGAIN)
        want(queue, "COIN0USDT", books[0], Ask.AGAIN)  # is under way already
        await asyncio.sleep(30.0)
        assert desk.asked[SnapshotQueue.AT_ONCE] == "COIN19USDT"
        assert len(desk.asked) == len(books)
        assert all(len(book.handed) == 1 for book in books)

    run(main())


def test_a_waiting_book_that_the_stream_has_brought_meanwhile_is_not_asked_for() -> None:
    async def main() -> None:
        desk, books = Desk(), [Book() for _ in range(8)]
        queue = desk.queue()
        for number, book in enumerate(books):
            want(queue, f"COIN{number}USDT", book)
        await asyncio.sleep(0.5)
        books[0].served = books[7].served = True
        await asyncio.sleep(5.0)
        assert "COIN7USDT" not in desk.asked
        assert [len(book.handed) for book in books] == [0, *[1] * 6, 0]
        assert not len(queue)

    run(main())
