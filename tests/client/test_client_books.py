"""Books through the client, whatever becomes of its connections, in virtual time."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

import ccrs_core
from ccrs_core import (
    AuthError,
    BookInvalid,
    BookUpdate,
    Credentials,
    Gap,
    Options,
    OrderBook,
    Reason,
    ReconnectsExhausted,
    Side,
    book,
)
from ccrs_core.transport.memory import MemoryTransport, VirtualClock
from tests.toy import Toy, ToyServer
from tests.virtual import scenario
from tests.watching import TOP, market, world


@scenario
async def test_a_hole_invalidates_one_book_at_once_and_only_that_book_is_asked_for_anew() -> None:
    async with world(book("BTC/USD"), book("ETH/USD")) as seen:
        peer = seen.server.open[0]
        seen.server.skip.add(peer)
        seen.server.tick("book.BTC")
        await asyncio.sleep(0.001)
        assert seen.feed.book("BTC/USD").valid
        # The answer takes a moment in which the book must not be read.
        seen.server.mute_acks = 1
        seen.server.tick("book.BTC")
        await asyncio.sleep(0.001)
        broken = seen.feed.book("BTC/USD")
        assert not broken.valid
        with pytest.raises(BookInvalid):
            broken.bids()
        await market(seen, "book.ETH", 3)
        await asyncio.sleep(20.0)
        seen.server.tick("book.BTC")
        await asyncio.sleep(0.01)
        assert broken.valid
        assert broken.sequence == 103
        reasons = [(g.symbol, g.reason) for g in seen.of(Gap)]
        assert reasons == [("BTC/USD", Reason.SEQUENCE)]
        resubscribed = {t for _, _, m in seen.server.sent for t in m.get("unsub", ())}
        assert resubscribed == {"book.BTC"}
        eth = [b.sequence for b in seen.of(BookUpdate) if b.symbol == "ETH/USD"]
        assert eth == [100, 101, 102, 103]


@scenario
async def test_a_book_that_no_connection_brings_refuses_to_be_read() -> None:
    async with world(book("BTC/USD")) as seen:
        kept = seen.feed.book("BTC/USD")
        assert kept.valid
        seen.server.open[0].drop()
        await asyncio.sleep(0.001)
        assert not kept.valid
        with pytest.raises(BookInvalid, match="disconnected"):
            _ = kept.best_bid
        await asyncio.sleep(5.0)
        assert kept.valid


@scenario
async def test_an_exchange_that_counts_anew_after_an_outage_is_followed() -> None:
    async with world(TOP, book("BTC/USD"), connections=2) as seen:
        await market(seen, "top.BTC", 3)
        await market(seen, "book.BTC", 3)
        seen.server.sequence = {"top.BTC": 5, "book.BTC": 7}
        for peer in seen.server.open:
            peer.drop()
        await asyncio.sleep(5.0)
        assert seen.sequences()[-1] == 5
        assert seen.feed.book("BTC/USD").sequence == 7
        await market(seen, "top.BTC", 2)
        assert seen.sequences()[-3:] == [5, 6, 7]


@scenario
async def test_a_restart_of_the_count_is_told_and_delivered_once() -> None:
    async with world(TOP, connections=3) as seen:
        await market(seen, "top.BTC", 3)
        first, *rest = seen.server.open
        seen.server.tick("top.BTC", restart=True, peers=[first])
        await asyncio.sleep(0.1)
        # The others are a little behind: they still end the former count.
        for peer in rest:
            peer.push('{"t":"top.BTC","n":104,"q":["9.1","9.2"]}')
            peer.push('{"t":"top.BTC","n":1,"q":["1.10","1.20"],"restart":true}')
        await market(seen, "top.BTC", 3)
        assert seen.sequences() == [100, 101, 102, 103, 1, 2, 3, 4]
        assert [g.reason for g in seen.of(Gap)] == [Reason.RESTART]


@scenario
async def test_a_corrupted_number_does_not_silence_a_stream() -> None:
    async with world(TOP) as seen:
        await market(seen, "top.BTC", 3)
        seen.server.open[0].push('{"t":"top.BTC","n":999999,"q":["9.1","9.2"]}')
        await market(seen, "top.BTC", 60)
        assert seen.sequences()[-1] == 163
        assert [g.reason for g in seen.of(Gap)] == [Reason.SEQUENCE]


@scenario
async def test_a_hole_on_one_racing_connection_is_filled_by_another() -> None:
    async with world(book("BTC/USD"), connections=2) as seen:
        seen.server.skip.add(seen.server.open[0])
        await market(seen, "book.BTC", 5)
        assert [b.sequence for b in seen.of(BookUpdate)] == list(range(100, 106))
        assert not seen.of(Gap)


@scenario
async def test_a_hole_on_all_racing_connections_invalidates_after_a_short_wait() -> None:
    async with world(book("BTC/USD"), connections=2) as seen:
        seen.server.skip.update(seen.server.open)
        seen.server.tick("book.BTC")
        seen.server.tick("book.BTC")
        await asyncio.sleep(2.0)
        seen.server.tick("book.BTC")
        await asyncio.sleep(0.1)
        assert seen.feed.book("BTC/USD").sequence == 103
        assert [g.reason for g in seen.of(Gap)] == [Reason.SEQUENCE]


# --- after the end ---


def invalid(held: OrderBook) -> str:
    """What reading a book says, whichever way."""
    said = set()
    assert not held.valid
    for read in (
        held.bids,
        held.asks,
        lambda: held.best_bid,
        lambda: held.best_ask,
        lambda: held.vwap(Side.BUY, Decimal(1)),
    ):
        with pytest.raises(BookInvalid) as raised:
            read()
        said.add(str(raised.value))
    (text,) = said
    return text


@scenario
async def test_a_book_that_is_held_beyond_its_feed_is_invalid_and_says_why() -> None:
    async with world(TOP) as seen:
        async with seen.client.subscribe(book("BTC/USD")) as feed:
            await feed.ready()
            held = feed.book("BTC/USD")
            assert held.valid
        assert "its subscription has ended" in invalid(held)
        # What is still under way, and whoever subscribes again, changes nothing about it.
        await market(seen, "book.BTC", 3)
        async with seen.client.subscribe(book("BTC/USD")) as again:
            await again.ready()
            assert again.book("BTC/USD").valid
            assert not held.valid


@scenario
async def test_a_book_is_invalid_at_once_when_its_symbol_is_unsubscribed_from() -> None:
    async with world(book("BTC/USD"), book("ETH/USD")) as seen:
        held, other = seen.feed.book("BTC/USD"), seen.feed.book("ETH/USD")
        await seen.feed.unsubscribe(book("BTC/USD"))
        assert "its subscription has ended" in invalid(held)
        await market(seen, "book.ETH", 2)
        assert other.sequence == 102
        assert other.valid


@scenario
async def test_a_book_is_right_as_long_as_any_feed_wants_it() -> None:
    async with world(book("BTC/USD")) as seen:
        async with seen.client.subscribe(book("BTC/USD")) as feed:
            await feed.ready()
            held = feed.book("BTC/USD")
        await market(seen, "book.BTC", 2)
        assert held.valid
        assert held.sequence == seen.feed.book("BTC/USD").sequence == 102
    invalid(held)


@scenario
async def test_a_book_that_is_held_beyond_its_client_is_invalid_and_says_why() -> None:
    client = ccrs_core.connect(Toy(), transport=MemoryTransport(ToyServer()), clock=VirtualClock())
    feed = client.subscribe(book("BTC/USD"))
    async with client:
        await feed.__aenter__()
        await feed.ready()
        held = feed.book("BTC/USD")
        assert held.valid
    assert "its client was closed" in invalid(held)
    await feed.__aexit__(None, None, None)
    assert "its client was closed" in invalid(held)


@scenario
async def test_a_book_whose_client_gave_up_says_so() -> None:
    with pytest.raises(ReconnectsExhausted):  # noqa: PT012
        async with world(book("BTC/USD"), options=Options(max_failures=3)) as seen:
            held = seen.feed.book("BTC/USD")
            seen.server.refuse_connects = 100
            seen.server.open[0].drop()
            await asyncio.sleep(1000.0)
    assert "ReconnectsExhausted: " in invalid(held)


@scenario
async def test_a_book_whose_login_is_refused_on_return_says_so() -> None:
    with pytest.raises(AuthError):  # noqa: PT012
        async with world(
            book("BTC/USD"), exchange=Toy(private=True), credentials=Credentials("key", "secret")
        ) as seen:
            held = seen.feed.book("BTC/USD")
            assert held.valid
            seen.server.accept_login = False
            seen.server.open[0].drop()
            await asyncio.sleep(1000.0)
    assert "AuthError: " in invalid(held)
