"""Books rebuilt from a feed's events: never inconsistent, whatever was dropped."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import BookUpdate, Channel, Gap, OrderBook, Reason, Stale, book
from ccrs_core.cli.live.books import Books
from ccrs_core.client.client import connect
from ccrs_core.transport.memory import MemoryTransport, VirtualClock, run
from tests.toy import Toy, ToyServer

BURSTS = st.lists(st.integers(0, 12), min_size=1, max_size=20)


@given(bursts=BURSTS, maxsize=st.integers(1, 6), restart=st.integers(0, 25))
@settings(deadline=None, max_examples=150)
def test_each_book_is_the_true_one_at_its_sequence_and_none_comes_twice(
    bursts: list[int], maxsize: int, restart: int
) -> None:
    server = ToyServer()
    truth: dict[int, list[tuple[Decimal, Decimal]]] = {}
    seen: list[int] = []
    dropped = 0

    def note(number: int) -> None:
        truth[number] = sorted(server.book("BTC")[0].items(), reverse=True)[:10]

    async def main() -> None:
        nonlocal dropped
        clock = VirtualClock()
        async with connect(Toy(), transport=MemoryTransport(server), clock=clock) as client:
            feed = client.subscribe(book("BTC/USD"), maxsize=maxsize)
            async with feed:
                await feed.ready()
                note(100)
                books = Books(feed.book)
                batches = feed.batches()
                for burst in bursts:
                    for _ in range(burst):
                        note(server.tick("book.BTC"))
                    await asyncio.sleep(0.1)
                    if not feed.status().waiting:
                        continue
                    batch = await anext(batches)
                    dropped += sum(e.lost or 0 for e in batch if isinstance(e, Gap))
                    for _, found in books.follow(batch):
                        if found is not None:
                            assert found.sequence is not None
                            seen.append(found.sequence)
                            assert found.bids() == truth[found.sequence]

    run(main())
    assert seen == sorted(set(seen))
    assert len(seen) >= 1
    if not dropped:
        assert seen == sorted(truth)
    assert seen[-1] == max(truth)


def test_updates_after_a_hole_are_not_applied_even_where_none_says_what_it_follows() -> None:
    def update(number: int, price: str, *, snapshot: bool = False) -> BookUpdate:
        level = (Decimal(price), Decimal(1))
        return BookUpdate("toy", "BTC/USD", None, number, number, snapshot, (level,), (), None)

    live = OrderBook("BTC/USD")
    for change in (update(1, "1", snapshot=True), update(2, "2"), update(3, "3")):
        live.apply(change)
    books = Books(lambda symbol: live)
    list(books.follow([update(1, "1", snapshot=True)]))
    gap = Gap("toy", "BTC/USD", None, 3, Channel.BOOK, Reason.OVERFLOW, lost=1)
    shown = [(e.type, b and b.bids()) for e, b in books.follow([gap, update(3, "3")])]
    assert shown == [("gap", None), ("book", live.bids())]


def test_a_book_of_which_it_is_merely_silent_goes_on() -> None:
    def update(number: int, *, snapshot: bool = False) -> BookUpdate:
        level = (Decimal(number), Decimal(1))
        return BookUpdate(
            "toy", "BTC/USD", None, number, number, snapshot, (level,), (), number - 1
        )

    live = OrderBook("BTC/USD")
    books = Books(lambda symbol: live)
    silent = Stale("toy", "BTC/USD", None, 2, Channel.BOOK, Reason.SILENT)
    for change in (update(1, snapshot=True), update(2)):
        live.apply(change)
    batch = [update(1, snapshot=True), silent, update(2)]
    shown = [(e.type, b and b.valid) for e, b in books.follow(batch)]
    assert shown == [("book", True), ("stale", None), ("book", True)]
    live.invalidate(Reason.SILENT)  # but where the book itself is lost, so is its copy
    list(books.follow([silent]))
    assert not books["BTC/USD"].valid
