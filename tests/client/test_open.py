"""Clients and feeds opened and closed by hand, and how they print."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    AnyEvent,
    BookUpdate,
    Client,
    ConnectFailed,
    Credentials,
    FeedClosed,
    Options,
    OrderBook,
    ReconnectsExhausted,
    TopOfBook,
    TransportOptions,
    UsageError,
    book,
    connect_many,
    top_of_book,
    trades,
)
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock, run
from tests.toy import Toy, ToyServer
from tests.virtual import follow, scenario
from tests.watching import TOP


def made(server: ToyServer, **options: Any) -> Client:
    server.now = asyncio.get_running_loop().time
    transport = MemoryTransport(server)
    return ccrs_core.connect(
        Toy(), transport=transport, clock=VirtualClock(), options=Options(**options)
    )


def nothing_left() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


class Going(ToyServer):
    """An exchange that can be gone."""

    gone = False

    def opened(self, peer: Peer) -> None:
        if self.gone:
            raise ConnectFailed("refused")
        super().opened(peer)


async def broken(server: Going) -> None:
    """The exchange goes, and with it a client that tries again once."""
    server.gone = True
    for peer in list(server.open):
        peer.drop()
    await asyncio.sleep(60.0)


@scenario
async def test_a_client_and_a_feed_work_without_a_block_and_leave_nothing() -> None:
    server = ToyServer()
    client = await made(server).open()
    feed = await client.subscribe(TOP).open()
    await feed.ready()
    server.tick("top.BTC")
    assert isinstance(await anext(aiter(feed)), TopOfBook)
    assert await client.instrument("BTC/USD")
    await feed.aclose()
    await feed.aclose()
    assert [event async for event in feed] == []
    await client.aclose()
    await client.aclose()
    assert nothing_left()
    assert not server.open
    with pytest.raises(UsageError, match="the client is closed"):
        await client.instrument("BTC/USD")


@scenario
async def test_what_ends_an_opened_client_is_told_by_readers_calls_and_at_the_close_not_elsewhere(
) -> None:  # fmt: skip
    server = Going()
    client = await made(server, max_failures=2).open()
    feed = await client.subscribe(TOP).open()
    called: list[AnyEvent] = []
    other = await client.subscribe(TOP, callback=called.append).open()
    await feed.ready()
    seen: list[AnyEvent] = []
    reader = asyncio.ensure_future(follow(feed, seen, []))
    await broken(server)  # no cancellation comes here
    with pytest.raises(ReconnectsExhausted):
        await reader
    assert "ended by ReconnectsExhausted" in repr(client)
    for _ in range(2):
        with pytest.raises(ReconnectsExhausted):
            await client.instrument("BTC/USD")
    with pytest.raises(ReconnectsExhausted):
        await client.subscribe(TOP).open()
    assert other.status().error
    await feed.aclose()
    await other.aclose()
    with pytest.raises(ReconnectsExhausted):
        await client.aclose()
    await client.aclose()
    assert nothing_left()


@scenario
async def test_a_block_still_ends_with_what_ended_its_client() -> None:
    server = Going()

    async def block() -> None:
        async with made(server, max_failures=2) as client, client.subscribe(TOP) as feed:
            await feed.ready()
            await broken(server)
            pytest.fail("the block goes on")

    with pytest.raises(ReconnectsExhausted):
        await block()
    assert nothing_left()


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_client_is_opened_once_however_that_is_done(by_hand: bool) -> None:
    async def main() -> None:
        client = made(ToyServer())
        if by_hand:
            await client.open()
        async with made(ToyServer()) as other:
            for each in (client, other) if by_hand else (other,):
                with pytest.raises(UsageError, match="opened once"):
                    await each.open()
                with pytest.raises(UsageError, match="opened once"):
                    await each.__aenter__()
            feed = await other.subscribe(TOP).open()
            with pytest.raises(FeedClosed, match="opened once"):
                await feed.open()
            await other.aclose()  # within its block, whose end finds nothing to do
            await other.aclose()
            assert "closed" in repr(other)
        await client.aclose()  # never opened, or opened by hand
        with pytest.raises(UsageError, match="opened once"):
            await client.open()
        assert nothing_left()

    run(main())


@given(st.floats(0.0, 0.3), st.floats(0.0, 0.3))
@settings(max_examples=25, deadline=None)
def test_opening_and_closing_can_be_cancelled_at_any_moment_and_leave_nothing(
    opening: float, closing: float
) -> None:
    async def main() -> None:
        server = ToyServer()
        transport = MemoryTransport(server, latency=0.1)
        server.now = asyncio.get_running_loop().time
        client = ccrs_core.connect(Toy(), transport=transport, clock=VirtualClock())

        async def use() -> None:
            await client.open()
            feed = await client.subscribe(TOP, trades("ETH/USD")).open()
            await feed.ready()

        for work, after in ((use, opening), (client.aclose, closing)):
            task = asyncio.ensure_future(work())
            await asyncio.sleep(after)
            task.cancel()
            await asyncio.wait([task])
        await client.aclose()
        assert nothing_left()
        assert not server.open

    run(main())


@scenario
async def test_what_a_callback_raises_is_raised_where_its_feed_is_closed_by_hand() -> None:
    def fail(event: AnyEvent) -> None:
        raise ZeroDivisionError("by a callback")

    server = ToyServer()
    client = await made(server).open()
    feed = await client.subscribe(TOP, callback=fail).open()
    await feed.ready()
    server.tick("top.BTC")
    await asyncio.sleep(1.0)
    assert "by a callback" in (feed.status().error or "")
    with pytest.raises(ZeroDivisionError):
        await feed.aclose()
    await feed.aclose()
    await client.aclose()
    assert nothing_left()


@scenario
async def test_several_exchanges_are_opened_by_hand_as_one_is() -> None:
    server = Going()
    several = await connect_many(made(server, max_failures=2)).open()
    feed = await several.subscribe(TOP).open()
    await feed.ready()
    assert "Clients toy: open" in repr(several)
    await broken(server)
    with pytest.raises(ReconnectsExhausted):
        [event async for event in feed]
    with pytest.raises(ReconnectsExhausted):
        await several["toy"].instrument("BTC/USD")
    with pytest.raises(ReconnectsExhausted):
        await several.aclose()
    await several.aclose()
    assert nothing_left()


def test_what_is_printed_is_short_and_tells_no_secrets() -> None:
    client = ccrs_core.connect(
        Toy(),
        base_url="http://me:hunter2@127.0.0.1:1",
        credentials=Credentials("a-key", "hunter2"),
        options=Options(transport=TransportOptions(proxy="http://me:hunter2@10.0.0.1:3128")),
    )
    assert repr(client) == "<Client toy (127.0.0.1:1): not open>"
    assert "hunter2" not in repr(client.options)
    feed = client.subscribe(
        book("BTC/USD", depth=50), *(top_of_book(f"C{n}/USD") for n in range(9))
    )
    assert repr(feed) == (
        "<Feed book 50 of BTC/USD, top_of_book of C0/USD, top_of_book of C1/USD and 7 more: "
        "not open>"
    )
    side = tuple((Decimal(n), Decimal("0.5")) for n in range(1, 1001))
    update = BookUpdate("toy", "BTC/USD", 1, 2, 3, True, side, side[:2])
    assert len(repr(update)) < 500
    assert "… 997 more" in repr(update)
    assert repr(attrs.evolve(update, bids=())).count("Decimal") == 4
    maintained = OrderBook("BTC/USD")
    maintained.apply(BookUpdate("toy", "BTC/USD", 1, 2, 3, True, side, ()))
    assert repr(maintained) == "<OrderBook BTC/USD valid 1000/None sequence=3>"
