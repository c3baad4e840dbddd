"""Snapshots are fetched a few at a time, lost books first, and handed only to who still waits."""

from __future__ import annotations

import asyncio

import attrs

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
            lambda work: self._tasks.append(asyncio.ensure_future(work)),
        )

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
