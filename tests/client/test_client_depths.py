"""Books of any depth through the client, in virtual time."""

from __future__ import annotations

from typing import ClassVar

import pytest

from ccrs_core import (
    BookUpdate,
    Capabilities,
    Feed,
    Market,
    Unsupported,
    UsageError,
    book,
)
from tests.toy import CHANNELS, Toy
from tests.virtual import scenario
from tests.watching import market, world


class Two(Toy):
    """With streams of 10 and of 20 levels."""

    capabilities: ClassVar = Capabilities(
        channels={Market.SPOT: frozenset(CHANNELS)}, book_depths={Market.SPOT: (10, 20)}
    )


async def _read(feed: Feed) -> list[BookUpdate]:
    return [e for e in await anext(feed.batches()) if isinstance(e, BookUpdate)]


@scenario
async def test_feeds_of_any_depth_share_a_stream_and_each_has_its_own_levels() -> None:
    async with world(book("BTC/USD", 10)) as seen:
        async with (
            seen.client.subscribe(book("BTC/USD", 2)) as two,
            seen.client.subscribe(book("BTC/USD", 1)) as one,
        ):
            await two.ready()
            assert len(seen.server.subscribed()) == 1
            wholes, twins = seen.feed.book("BTC/USD"), {}
            for feed, depth in ((two, 2), (one, 1)):
                live = feed.book("BTC/USD")
                assert feed.book("BTC/USD", depth=depth) is live
                assert live.depth == depth
                twins[feed] = live.twin()
                (first,) = await _read(feed)
                assert first.snapshot
                assert len(first.bids) == depth
                twins[feed].apply(first)
            await market(seen, "book.BTC", 9)
            assert len(wholes.bids()) == 3
            for feed, depth in ((two, 2), (one, 1)):
                updates = await _read(feed)
                # Each third change is of the third bid, and of the best one.
                assert len(updates) == 3 * depth
                for update in updates:
                    twins[feed].apply(update)
                assert twins[feed].bids() == feed.book("BTC/USD").bids() == wholes.bids(depth)
                assert twins[feed].asks() == wholes.asks(depth)
            held = two.book("BTC/USD")
            (status,) = seen.client.status().subscriptions
            assert (status.stream, status.depth, status.push_interval) == ("book.BTC", 10, None)
        assert held.valid  # the other feed has it still
        await market(seen, "book.BTC", 3)
        assert held.sequence == seen.feed.book("BTC/USD").sequence
    assert not held.valid


@scenario
async def test_a_book_that_is_asked_for_anew_begins_anew_for_who_has_part_of_it() -> None:
    async with world(book("BTC/USD", 2)) as seen:
        live, twin = seen.feed.book("BTC/USD"), seen.feed.book("BTC/USD").twin()
        seen.server.skip.add(seen.server.open[0])
        await market(seen, "book.BTC", 3)
        seen.server.open[0].drop()
        await market(seen, "book.BTC", 60, every=1.0)
        assert live.valid
        updates = seen.of(BookUpdate)
        assert [u.snapshot for u in updates].count(True) == 3
        for update in updates:
            twin.apply(update)
        assert twin.bids() == live.bids()


@scenario
async def test_the_smallest_stream_that_has_enough_levels_brings_them() -> None:
    async with world(book("BTC/USD"), exchange=Two()) as seen:
        for wish, depth in ((1, 10), (10, 10), (11, 20), (20, 20)):
            async with seen.client.subscribe(book("ETH/USD", wish)):
                (status,) = (s for s in seen.client.status().subscriptions if s.symbol != "BTC/USD")
                assert status.depth == depth
        with pytest.raises(Unsupported, match="20 at most"):
            await seen.feed.subscribe(book("ETH/USD", 21))
        with pytest.raises(Unsupported, match="11 levels; it offers 10, 20"):
            await seen.feed.subscribe(book("ETH/USD", 11, exact=True))
        await seen.feed.subscribe(book("ETH/USD", 20, exact=True))
        assert seen.feed.book("ETH/USD").depth == 20


@scenario
async def test_one_feed_has_one_book_of_a_symbol_whatever_streams_bring_others() -> None:
    async with world(book("BTC/USD", 10), exchange=Two()) as seen:
        for other in (book("BTC/USD", 20), book("*/USD", 20)):
            with pytest.raises(UsageError, match="one book of a symbol, and book 20 of BTC/USD"):
                await seen.feed.subscribe(other)
        assert seen.feed.subscribed == (book("BTC/USD", 10),)
        with pytest.raises(UsageError, match="another feed"):
            async with seen.client.subscribe(book("ETH/USD", 10), book("ETH/USD", 20)):
                pass
        await seen.feed.unsubscribe(book("BTC/USD", 10))
        await seen.feed.subscribe(book("BTC/USD", 20))
        assert seen.feed.book("BTC/USD").depth == 20


@scenario
async def test_one_feed_has_one_depth_of_a_stream() -> None:
    async with world(book("BTC/USD", 5)) as seen:
        with pytest.raises(UsageError, match="another feed"):
            await seen.feed.subscribe(book("BTC/USD", 6))
        assert seen.feed.interests == (book("BTC/USD", 5),)
        await seen.feed.unsubscribe(book("BTC/USD", 5))
        await seen.feed.subscribe(book("BTC/USD", 6))
        assert seen.feed.book("BTC/USD").depth == 6


@pytest.mark.parametrize("depth", [0, -1, True, 1.5, "20"])
def test_a_depth_that_is_none_is_refused_at_once(depth: int) -> None:
    with pytest.raises(UsageError, match="depth"):
        book("BTC/USD", depth)


def test_what_is_exact_needs_a_depth() -> None:
    with pytest.raises(UsageError, match="depth"):
        book("BTC/USD", exact=True)
