"""What goes wrong with snapshots is told once, tried again, and keeps nobody else from theirs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ccrs_core.contract.rest import GetBook
from ccrs_core.errors import RateLimited
from ccrs_core.model.events import BookUpdate
from ccrs_core.topics.snapshots import SnapshotQueue
from ccrs_core.topics.waiting_changes import Ask
from ccrs_core.transport.memory import VirtualClock, run
from tests.topics.test_snapshots import Book, Desk, want
from tests.toy import instrument


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


def test_a_failure_of_what_the_stream_has_brought_meanwhile_is_told_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        desk, book = Desk(fail=True), Book()
        failures = want(desk.queue(), "BTCUSDT", book)
        await asyncio.sleep(0.5)
        book.served = True
        await asyncio.sleep(5.0)
        assert not failures
        assert not book.unanswered_at

    run(main())
    assert not caplog.records


@pytest.mark.parametrize("how", ["drop", "anew", "anew and wanted", "served"])
def test_requests_that_nobody_waits_for_any_more_do_not_hold_up_others(how: str) -> None:
    async def main() -> None:
        desk, books, lost = Desk(), [Book() for _ in range(4)], Book()

        async def ask(request: GetBook, share: float) -> BookUpdate:
            # The first ones went out on a network that is gone.
            await asyncio.sleep(30.0 if len(desk.asked) < SnapshotQueue.AT_ONCE else 0.0)
            return await desk.ask(request, share)

        queue = SnapshotQueue(ask, VirtualClock(), desk.spawn)
        for number, book in enumerate(books):
            want(queue, f"COIN{number}USDT", book)
        await asyncio.sleep(0.5)
        desk.asked += ["on its way"] * SnapshotQueue.AT_ONCE
        for number, book in enumerate(books):
            book.attempt += how.startswith("anew")
            book.served = how == "served"
            if how == "anew and wanted":
                want(queue, f"COIN{number}USDT", book, Ask.AGAIN)
            elif how == "drop":
                queue.drop(book)  # type: ignore[arg-type]
        want(queue, "LOSTUSDT", lost, Ask.AGAIN)
        await asyncio.sleep(2.5)
        assert len(lost.handed) == 1
        assert not len(queue)
        handed = int(how == "anew and wanted")
        assert all(len(book.handed) == handed for book in books)

    run(main())


def test_an_ended_queue_asks_for_nothing_whoever_wants_it() -> None:
    async def main() -> None:
        desk, book = Desk(), Book()
        queue = desk.queue()
        await queue.aclose()
        want(queue, "BTCUSDT", book)
        await asyncio.sleep(5.0)
        assert not desk.asked
        assert not len(queue)

    run(main())


def test_a_want_while_the_client_s_tasks_are_ending_adds_no_failure_to_theirs() -> None:
    async def main() -> None:
        desk = Desk()

        async def lingers() -> None:
            try:
                await asyncio.sleep(100.0)
            finally:
                want(queue, "BTCUSDT", Book())

        async def fails() -> None:
            raise ZeroDivisionError

        with pytest.raises(ExceptionGroup) as raised:  # noqa: PT012 - the block's end raises
            async with asyncio.TaskGroup() as group:
                queue = SnapshotQueue(desk.ask, VirtualClock(), group.create_task)
                want(queue, "ETHUSDT", Book())
                group.create_task(lingers())
                await asyncio.sleep(0.5)
                group.create_task(fails())
        assert [type(each) for each in raised.value.exceptions] == [ZeroDivisionError]
        assert desk.asked == ["ETHUSDT"]
        assert not len(queue)

    run(main())


def test_what_a_library_cancels_by_itself_is_unanswered_and_ends_no_others() -> None:
    async def main() -> None:
        desk, book, other = Desk(), Book(), Book()

        async def ask(request: GetBook, share: float) -> BookUpdate:
            if request.instrument.native == "BADUSDT":
                raise asyncio.CancelledError
            return await desk.ask(request, share)

        async with asyncio.TaskGroup() as group:
            queue = SnapshotQueue(ask, VirtualClock(), group.create_task)
            want(queue, "BADUSDT", book)
            want(queue, "BTCUSDT", other)
        assert len(book.unanswered_at) == len(other.handed) == 1
        assert not len(queue)

    run(main())


@pytest.mark.parametrize("bug", [None, [], BookUpdate("toy", "X/USD", None, 1, 5, False, (), ())])
def test_what_is_no_whole_book_is_a_plugins_bug(bug: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        desk, book = Desk(), Book()

        async def ask(request: GetBook, share: float) -> BookUpdate:
            return bug  # type: ignore[no-any-return]

        queue = SnapshotQueue(ask, VirtualClock(), desk.spawn)
        for _ in range(3):
            want(queue, "BTCUSDT", book)
            await asyncio.sleep(1.0)
        assert len(book.unanswered_at) == 3
        assert not book.handed

    run(main())
    assert caplog.text.count("Traceback") == 1
    assert "not a whole book" in caplog.text


def test_each_code_by_which_the_exchange_refuses_is_told_once_though_its_texts_differ(
    caplog: pytest.LogCaptureFixture,
) -> None:
    codes = iter(["429", "429", "418", "418"])

    async def main() -> None:
        desk, book = Desk(), Book()

        async def ask(request: GetBook, share: float) -> BookUpdate:
            raise RateLimited(next(codes), f"come again at {asyncio.get_running_loop().time()}")

        queue = SnapshotQueue(ask, VirtualClock(), desk.spawn)
        for _ in range(4):
            want(queue, "BTCUSDT", book)
            await asyncio.sleep(1.0)

    run(main())
    assert [record.getMessage()[-4:-1] for record in caplog.records] == ["429", "418"]
