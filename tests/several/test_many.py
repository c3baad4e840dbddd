"""Several exchanges behind one object: on toy exchanges, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from ccrs_core import (
    AnyEvent,
    BookUpdate,
    Channel,
    Client,
    Clients,
    ConsolidatedBBO,
    Gap,
    GetInstruments,
    HttpResponse,
    Reason,
    Resumed,
    Stale,
    SubscriptionRefused,
    TopOfBook,
    UnknownInstrument,
    Unsupported,
    UsageError,
    book,
    candles,
    connect,
    connect_many,
    top_of_book,
    trades,
)
from ccrs_core.contract.rest import Endpoint
from ccrs_core.several.names import is_qualified, qualified, split
from ccrs_core.transport.memory import run
from tests.several_exchanges import TOP, laid, toy, world
from tests.toy import Toy
from tests.virtual import scenario

# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "exchange", "symbol"),
    [
        ("ant:BTC/USD", "ant", "BTC/USD"),
        ("BTC/USD", None, "BTC/USD"),
        ("BTC/USD:BTC", None, "BTC/USD:BTC"),
        ("an-ant:BTC/USDT:USDT-261225-100000-C", "an-ant", "BTC/USDT:USDT-261225-100000-C"),
    ],
)
def test_an_exchange_in_front_is_told_from_a_settlement_asset(
    text: str, exchange: str | None, symbol: str
) -> None:
    assert split(text) == (exchange, symbol)
    assert is_qualified(text) is (exchange is not None)
    if exchange is not None:
        assert qualified(exchange, symbol) == text


# --- one feed -----------------------------------------------------------------------------------


@scenario
async def test_one_feed_brings_all_exchanges_events_in_the_order_of_their_arrival() -> None:
    async with world(TOP) as seen:
        for name in ("ant", "bee", "bee", "ant", "bee"):
            seen.servers[name].tick("top.BTC")
            await asyncio.sleep(0.05)
        arrived = [(name, each.sequence) for name, each in seen.of(TopOfBook)]
        assert arrived[2:] == [("ant", 101), ("bee", 101), ("bee", 102), ("ant", 102), ("bee", 103)]
        assert sorted(arrived[:2]) == [("ant", 100), ("bee", 100)]
        times = [each.received_time_ns for each in seen.events]
        assert times == sorted(times)
        assert {each.symbol for each in seen.events} == {"BTC/USD"}


@scenario
async def test_a_symbol_means_every_exchange_or_the_one_in_front_of_it() -> None:
    async with world(TOP, trades("bee:ETH/USD")) as seen:
        assert [i.symbol for i in seen.feed.interests] == [
            "ant:BTC/USD",
            "bee:BTC/USD",
            "bee:ETH/USD",
        ]
        assert seen.servers["ant"].subscribed() == [{"top.BTC"}]
        assert seen.servers["bee"].subscribed() == [{"top.BTC", "trades.ETH"}]


@scenario
async def test_connections_race_at_each_exchange() -> None:
    async with world(TOP, connections=3) as seen:
        for _ in range(5):
            for server in seen.servers.values():
                server.tick("top.BTC")
            await asyncio.sleep(0.1)
        for name, server in seen.servers.items():
            assert len(server.open) == 3
            assert seen.numbers(name) == list(range(100, 106))


@scenario
async def test_an_interruption_of_one_exchange_is_told_of_it_alone() -> None:
    async with world(TOP) as seen:
        best = ConsolidatedBBO("BTC/USD", seen.clients)
        seen.servers["bee"].open[0].drop()
        await asyncio.sleep(0.001)
        for event in seen.events:
            best.take(event)
        assert [(name, each.reason) for name, each in seen.of(Stale)] == [
            ("bee", Reason.DISCONNECTED)
        ]
        assert [(each.exchange, each.state) for each in best.exchanges] == [
            ("ant", "fresh"),
            ("bee", "stale"),
        ]
        seen.servers["ant"].tick("top.BTC")
        seen.servers["bee"].sequence["top.BTC"] += 3
        await asyncio.sleep(5.0)
        assert [name for name, _ in seen.of(Gap)] == ["bee"]
        assert [name for name, _ in seen.of(Resumed)] == ["bee"]
        assert seen.numbers("ant")[:2] == [100, 101]
        assert seen.clients.status()["ant"].reconnects == 0
        assert seen.clients.status()["bee"].reconnects == 1


@scenario
async def test_status_is_each_exchange_s_own() -> None:
    async with world(TOP, trades("ant:ETH/USD")) as seen:
        status = seen.clients.status()
        assert list(status) == ["ant", "bee"]
        assert [each.exchange for each in status.values()] == ["ant", "bee"]
        assert [len(each.subscriptions) for each in status.values()] == [2, 1]
        assert status["ant"].feeds == status["bee"].feeds == (seen.feed.status(),)


@scenario
async def test_a_refusal_by_one_leaves_the_others_running() -> None:
    internet, _, clients = laid()
    internet.servers["bee"].bad.add("top.BTC")
    async with clients, clients.subscribe(TOP) as feed:
        with pytest.raises(SubscriptionRefused):
            await feed.ready()
        await asyncio.sleep(1.0)
        internet.servers["ant"].tick("top.BTC")
        batch = await anext(feed.batches())
        assert {event.exchange for event in batch} == {"ant"}


@scenario
async def test_batches_and_callbacks_work_as_with_one_exchange() -> None:
    called: list[AnyEvent] = []
    _, _, clients = laid()
    async with clients:
        async with clients.subscribe(TOP, callback=called.append) as feed:
            await feed.ready()
            await asyncio.sleep(0.1)
        async with clients.subscribe(TOP) as feed:
            await feed.ready()
            await asyncio.sleep(0.1)
            batch = await anext(feed.batches())
    assert sorted(each.exchange for each in called) == ["ant", "bee"]
    assert sorted(each.exchange for each in batch) == ["ant", "bee"]


# --- adding and taking away ---------------------------------------------------------------------


@scenario
async def test_adding_and_taking_away_reach_the_exchanges_that_are_meant() -> None:
    async with world(top_of_book("ant:BTC/USD")) as seen:
        await seen.feed.subscribe(trades("ETH/USD"), TOP)
        await seen.feed.ready()
        for server in seen.servers.values():
            assert server.subscribed() == [{"top.BTC", "trades.ETH"}]
        await seen.feed.unsubscribe(top_of_book("bee:BTC/USD"))
        await asyncio.sleep(0.1)
        assert seen.servers["ant"].subscribed() == [{"top.BTC", "trades.ETH"}]
        assert seen.servers["bee"].subscribed() == [{"trades.ETH"}]
        await seen.feed.unsubscribe(TOP, trades("ETH/USD"))
        await asyncio.sleep(0.1)
        assert not any(server.open for server in seen.servers.values())
        assert seen.feed.interests == ()


@scenario
async def test_what_waits_of_an_exchange_taken_away_is_not_delivered() -> None:
    async with world(TOP, reading=False) as seen:
        await seen.feed.unsubscribe(top_of_book("bee:BTC/USD"))
        batch = await anext(seen.feed.batches())
        assert [each.exchange for each in batch] == ["ant"]
        assert seen.feed.status().discarded == 1


@scenario
async def test_where_one_exchange_lists_no_such_symbol_none_is_subscribed() -> None:
    internet, _, clients = laid()
    internet.servers["bee"].respond = lambda request: HttpResponse(200, {}, b'["BTC"]')
    async with clients:
        with pytest.raises(UnknownInstrument, match="bee lists no spot instrument ETH/USD"):
            async with clients.subscribe(top_of_book("ETH/USD")):
                pass
        async with clients.subscribe(TOP) as feed:
            await feed.ready()
            with pytest.raises(UnknownInstrument):
                await feed.subscribe(trades("BTC/USD"), trades("ETH/USD"))
            await asyncio.sleep(1.0)
            for server in internet.servers.values():
                assert server.subscribed() == [{"top.BTC"}]
            assert [i.channel for i in feed.interests] == [Channel.TOP_OF_BOOK] * 2


@scenario
async def test_exchanges_are_asked_side_by_side() -> None:
    names = ("ant", "bee", "cow", "doe")
    _, _, clients = laid(names)
    async with clients:
        began = asyncio.get_running_loop().time()
        async with clients.subscribe(TOP):
            assert asyncio.get_running_loop().time() - began < 0.02  # of 0.01 for each


@pytest.mark.parametrize("after", [0.0, 0.005, 0.01, 0.015])
def test_cancelled_while_it_opens_nothing_stays_subscribed(after: float) -> None:
    async def play() -> None:
        internet, _, clients = laid()

        async def enter() -> None:
            async with clients.subscribe(TOP):
                await asyncio.sleep(100)

        async with clients:
            entering = asyncio.ensure_future(enter())
            await asyncio.sleep(after)
            entering.cancel()
            await asyncio.wait([entering])
            assert entering.cancelled()
            await asyncio.sleep(1.0)
            assert not any(server.open for server in internet.servers.values())
            assert all(not status.feeds for status in clients.status().values())

    run(play())


@scenario
async def test_cancelled_while_it_closes_no_exchange_stays_subscribed() -> None:
    internet, _, clients = laid()
    async with clients:
        feed = clients.subscribe(TOP)
        await feed.__aenter__()
        await feed.ready()
        closing = asyncio.ensure_future(feed.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        await asyncio.sleep(1.0)
        assert not any(server.open for server in internet.servers.values())


# --- books --------------------------------------------------------------------------------------


@scenario
async def test_books_are_found_by_exchange() -> None:
    async with world(book("BTC/USD"), book("ant:ETH/USD")) as seen:
        seen.servers["bee"].tick("book.BTC")
        await asyncio.sleep(0.1)
        assert seen.feed.book("ant:BTC/USD").sequence == 100
        assert seen.feed.book("bee:BTC/USD").sequence == 101
        assert seen.feed.book("ETH/USD") is seen.feed.book("ant:ETH/USD", depth=10)
        with pytest.raises(UsageError, match="whose book of BTC/USD\\? Say 'ant:BTC/USD'"):
            seen.feed.book("BTC/USD")
        with pytest.raises(UsageError, match="no book of ETH/USD"):
            seen.feed.book("bee:ETH/USD")
        with pytest.raises(UsageError, match="no book of SOL/USD"):
            seen.feed.book("SOL/USD")
        with pytest.raises(UsageError, match="'cow' is none of ant, bee"):
            seen.feed.book("cow:BTC/USD")
        assert [name for name, _ in seen.of(BookUpdate)].count("bee") == 2


# --- making them --------------------------------------------------------------------------------


@scenario
async def test_each_exchange_has_its_client_for_requests_and_feeds_of_its_own() -> None:
    internet, transport, clients = laid()
    assert clients.names == tuple(clients) == ("ant", "bee")
    assert (len(clients), "ant" in clients, "cow" in clients) == (2, True, False)
    async with clients:
        assert isinstance(clients["bee"], Client)
        assert await clients["bee"].get_server_time() == 1_700_000_000_000_000_000
        assert internet.servers["ant"].requests == []
        assert (await clients["bee"].instrument("BTC/USD")).exchange == "bee"
        async with clients["ant"].subscribe(TOP) as feed:
            event = await anext(aiter(feed))
            assert event.exchange == "ant"
    assert transport.closed == 1
    with pytest.raises(UsageError, match="'cow' is none of ant, bee"):
        clients["cow"]
    with pytest.raises(UsageError, match="opened once"):
        await clients.__aenter__()


def test_wrong_calls_are_told_before_anything_is_dialled() -> None:
    with pytest.raises(UsageError, match="name at least one"):
        connect_many()
    with pytest.raises(UsageError, match="ant is named twice"):
        connect_many(toy("ant"), connect(toy("ant")))
    with pytest.raises(UsageError, match="testnet"):
        connect_many(toy("ant"), toy("bee"), environment="testnet")
    clients = connect_many(toy("ant"), toy("bee"))
    with pytest.raises(UsageError, match="'cow' is none of ant, bee"):
        clients.subscribe(top_of_book("cow:BTC/USD"))
    with pytest.raises(UsageError, match="connections must be a whole number"):
        clients.subscribe(TOP, connections=0)
    with pytest.raises(UsageError, match="maxsize must be a whole number"):
        clients.subscribe(TOP, maxsize=0)
    with pytest.raises(UsageError, match="no policy 'none'"):
        clients.subscribe(TOP, policy="none")


@scenario
async def test_what_an_exchange_does_not_offer_is_refused_before_anything_is_subscribed() -> None:
    internet, _, clients = laid()
    async with clients:
        with pytest.raises(Unsupported):
            async with clients.subscribe(TOP, candles("bee:BTC/USD")):
                pass
        await asyncio.sleep(1.0)
        assert not any(server.attempts and server.open for server in internet.servers.values())


# --- types ----------------------------------------------------------------------------------------


def test_one_exchange_is_still_one_client() -> None:
    assert isinstance(connect(toy("ant")), Client)
    assert isinstance(connect_many(toy("ant")), Clients)
    assert isinstance(Toy.endpoints[GetInstruments], Endpoint)
