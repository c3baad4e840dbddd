"""A feed by itself: what may have been handed is marked, what waits in memory is bounded, and the
newest notices stay."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from ccrs_core import Fill, StoreFailed, Synced
from ccrs_core.trading.delivery import AccountFeed, AnyAccountEvent
from ccrs_core.trading.store import Entry
from tests.trading.books import Book, fill
from tests.virtual import scenario


def fills(count: int) -> list[Fill]:
    """Each with its number."""
    book = Book()
    book.take(*(fill(f"f{n}", "1", exchange_order_id=f"o{n}") for n in range(count)))
    return book.fills


class Kept:
    """What an account is to a feed."""

    def __init__(self, events: list[Fill], handed: int = 0) -> None:
        self.events = events
        self.highest = handed
        self.fails = False

    async def entries_after(
        self, number: int, limit: int, kinds: Collection[str] | None
    ) -> list[Entry]:
        if self.fails:
            raise StoreFailed("the disk is away")
        found = [Entry(each.number, each) for each in self.events if each.number > number]
        return found[:limit]

    def first_of(self, consumer: str) -> int:
        return 0

    def handed(self, consumer: str) -> int:
        return self.highest

    def hand(self, consumer: str, number: int) -> None:
        assert number > self.highest
        self.highest = number

    def acknowledge(self, consumer: str, number: int) -> None: ...
    def join(self, feed: AccountFeed) -> None: ...
    def leave(self, feed: AccountFeed) -> None: ...


def notice(number: int) -> Synced:
    return Synced(
        exchange="exchange",
        symbol="",
        exchange_time_ns=None,
        received_time_ns=number,
        account="default",
        synced=True,
        reason=f"{number}",
    )


async def read(feed: AccountFeed, count: int) -> list[AnyAccountEvent]:
    return [await anext(feed) for _ in range(count)]


@scenario
async def test_all_up_to_the_last_that_may_have_been_handed_is_marked_and_nothing_after_it() -> (
    None
):
    events = fills(6)
    last = events[3].number
    async with AccountFeed(Kept(events, handed=last), "strategy", None, None) as feed:
        found = await read(feed, 6)
    assert [each.again for each in found if isinstance(each, Fill)] == [True] * 4 + [False] * 2


@pytest.mark.parametrize("count", [499, 500, 501, 1000, 1001])
def test_each_comes_once_wherever_a_page_of_the_store_ends(count: int) -> None:
    @scenario
    async def play() -> None:
        events = fills(count + 1)
        kept = Kept(events[:-1])
        async with AccountFeed(kept, "strategy", None, None) as feed:
            found = await read(feed, count)
            kept.events = events
            feed.put(events[-1:])
            found += await read(feed, 1)
        assert found == events

    play()


@scenario
async def test_a_store_that_fails_once_takes_nothing_from_a_feed() -> None:
    events = fills(3)
    kept = Kept(events)
    async with AccountFeed(kept, "strategy", None, None) as feed:
        kept.fails = True
        with pytest.raises(StoreFailed):
            await anext(feed)
        kept.fails = False
        assert await read(feed, 3) == events


@scenario
async def test_of_notices_that_nobody_reads_the_newest_wait_and_a_bounded_number() -> None:
    async with AccountFeed(Kept([]), "strategy", None, None) as feed:
        for number in range(1000):
            feed.put([notice(number)])
            assert len(feed._queue) <= 200
        found = [await anext(feed) for _ in range(50)]
        assert isinstance(found[-1], Synced)
        while isinstance(found[-1], Synced) and found[-1].reason != "999":
            found.append(await anext(feed))
        assert len(found) <= 200
