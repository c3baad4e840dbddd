"""Several exchanges behind one object: on toy exchanges, in virtual time."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    AnyEvent,
    AuthError,
    BookUpdate,
    Candle,
    Channel,
    Client,
    Clients,
    Codec,
    ConsolidatedBBO,
    Credentials,
    Environment,
    Feed,
    FeedOverflow,
    Gap,
    GetInstruments,
    HttpRequest,
    HttpResponse,
    Instrument,
    Interest,
    MergedFeed,
    Message,
    Options,
    Outbound,
    Policy,
    Reason,
    ReconnectsExhausted,
    Resumed,
    Route,
    Side,
    Stale,
    SubscriptionRefused,
    TopOfBook,
    Trade,
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
from ccrs_core.codec import Data
from ccrs_core.events import MarketData
from ccrs_core.hooks import new_manager
from ccrs_core.qualified import is_qualified, qualified, split
from ccrs_core.rest import Answer, Endpoint
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock, run
from tests.toy import Toy, ToyCodec, ToyServer

TOP = top_of_book("BTC/USD")


# --- toy exchanges with names -----------------------------------------------------------------


class NamedCodec(ToyCodec):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def _read(self, message: dict[str, Any], now_ns: int) -> Message:
        found = super()._read(message, now_ns)
        if isinstance(found, Data):
            own = [attrs.evolve(event, exchange=self.name) for event in found.events]
            return attrs.evolve(found, events=own)
        return found


class NamedToy(Toy):
    def codec(self, route: Route) -> Codec:
        return NamedCodec(self.name)


def toy(exchange: str, **how: Any) -> Toy:
    """A toy exchange with a name, and addresses of its own."""

    def instruments(
        request: GetInstruments, response: HttpResponse, now: int, cursor: str | None
    ) -> Answer[list[Instrument]]:
        found = Toy.endpoints[GetInstruments].decode(request, response, now, cursor)
        return Answer([attrs.evolve(each, exchange=exchange) for each in found.value])

    class Named(NamedToy):
        name = exchange
        environments: ClassVar = {
            "mainnet": Environment(
                addresses={"rest": f"https://rest.{exchange}", "stream": f"wss://ws.{exchange}"}
            )
        }
        endpoints: ClassVar = {
            **Toy.endpoints,
            GetInstruments: attrs.evolve(Toy.endpoints[GetInstruments], decode=instruments),
        }

    return Named(**how)


class Internet:
    """Toy servers by the name of their exchange."""

    def __init__(self, names: Iterable[str]) -> None:
        self.servers = {name: ToyServer() for name in names}
        for server in self.servers.values():
            server.now = asyncio.get_running_loop().time

    def at(self, url: str) -> ToyServer:
        return self.servers[url.split("/")[2].rpartition(".")[2]]

    def opened(self, peer: Peer) -> None:
        self.at(peer.url).opened(peer)

    def received(self, peer: Peer, frame: Outbound) -> None:
        self.at(peer.url).received(peer, frame)

    def closed(self, peer: Peer) -> None:
        self.at(peer.url).closed(peer)

    def requested(self, base_url: str, request: HttpRequest) -> HttpResponse:
        return self.at(base_url).requested(base_url, request)


class CountingTransport(MemoryTransport):
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1
        await super().aclose()


@attrs.define
class World:
    """Running clients with one feed, everything it delivered, and the exchanges' sides."""

    servers: dict[str, ToyServer]
    transport: CountingTransport
    clients: Clients
    feed: MergedFeed
    events: list[AnyEvent]
    refusals: list[SubscriptionRefused]

    def of(self, kind: type[Any]) -> list[tuple[str, Any]]:
        return [(each.exchange, each) for each in self.events if isinstance(each, kind)]

    def numbers(self, exchange: str) -> list[int]:
        return [each.sequence for name, each in self.of(TopOfBook) if name == exchange]


def laid(
    names: Sequence[str] = ("ant", "bee"), **how: Any
) -> tuple[Internet, CountingTransport, Clients]:
    internet = Internet(names)
    transport = CountingTransport(internet, latency=0.01)
    exchanges = [toy(name) for name in names]
    return (
        internet,
        transport,
        connect_many(*exchanges, transport=transport, clock=VirtualClock(), **how),
    )


@asynccontextmanager
async def world(
    *interests: Interest,
    names: Sequence[str] = ("ant", "bee"),
    options: Options | None = None,
    reading: bool = True,
    **how: Any,
) -> AsyncIterator[World]:
    internet, transport, clients = laid(names, options=options)
    async with clients, clients.subscribe(*interests, **how) as feed:
        seen = World(internet.servers, transport, clients, feed, [], [])
        reader = asyncio.ensure_future(_read(seen)) if reading else None
        try:
            await asyncio.sleep(1.0)
            yield seen
        finally:
            if reader is not None:
                reader.cancel()
                await asyncio.wait([reader])


async def _read(seen: World) -> None:
    while True:
        try:
            async for event in seen.feed:
                seen.events.append(event)
        except SubscriptionRefused as error:
            seen.refusals.append(error)


def scenario(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run an async test in virtual time."""

    def play() -> None:
        run(test())  # type: ignore[arg-type]

    play.__name__, play.__doc__ = test.__name__, test.__doc__
    return play


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


# --- slow consumers -----------------------------------------------------------------------------


@scenario
async def test_conflated_the_newest_of_each_exchange_waits() -> None:
    async with world(TOP, policy="conflate", reading=False) as seen:
        for name in ("ant", "bee", "ant", "ant"):
            seen.servers[name].tick("top.BTC")
            await asyncio.sleep(0.05)
        batch = await anext(seen.feed.batches())
        assert [(each.exchange, each.sequence) for each in batch] == [  # type: ignore[union-attr]
            ("bee", 101),
            ("ant", 103),
        ]
        assert seen.feed.status().conflated == 4


@scenario
async def test_what_a_slow_reader_loses_is_told_by_exchange() -> None:
    told: Counter[str] = Counter()
    async with world(TOP, maxsize=3, reading=False) as seen:
        for name in ("ant", "bee"):
            seen.clients[name]._hooks = manager = new_manager()
            manager.register(Overflows(told))
        for name in ("ant", "bee", "ant", "ant", "bee", "bee"):
            seen.servers[name].tick("top.BTC")
            await asyncio.sleep(0.05)
        events = [event async for event in _some(seen.feed, 5)]
    assert [(e.exchange, e.type, getattr(e, "lost", None)) for e in events] == [
        ("ant", "gap", 3),
        ("ant", "top_of_book", None),
        ("bee", "gap", 2),
        ("bee", "top_of_book", None),
        ("bee", "top_of_book", None),
    ]
    assert told == {"ant": 3, "bee": 2}


class Overflows:
    """Counts losses by exchange."""

    def __init__(self, told: Counter[str]) -> None:
        self.told = told

    @ccrs_core.hookimpl
    def ccrs_feed_overflowed(self, exchange: str, lost: int) -> None:
        self.told[exchange] += lost


async def _some(feed: Feed, count: int) -> AsyncIterator[AnyEvent]:
    async for event in feed:
        yield event
        count -= 1
        if not count:
            return


@scenario
async def test_a_blocked_feed_stops_reading_from_all_and_loses_nothing() -> None:
    async with world(trades("BTC/USD"), policy=Policy.BLOCK, maxsize=2, reading=False) as seen:
        for _ in range(10):
            for server in seen.servers.values():
                server.tick("trades.BTC")
            await asyncio.sleep(0.05)
        assert seen.feed.full
        assert seen.feed.waiting < 10
        events = [event async for event in _some(seen.feed, 20)]
    for name in ("ant", "bee"):
        ids = [e.trade_id for e in events if isinstance(e, Trade) and e.exchange == name]
        assert ids == [f"BTC-{n}" for n in range(101, 111)]


# --- errors and ends ----------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("ant", "bee", "cow"), ("bee", "ant", "cow")])
@pytest.mark.parametrize("failing", ["ant", "cow"])
def test_one_exchange_that_fails_for_good_ends_the_block_with_its_error(
    names: Sequence[str], failing: str
) -> None:
    async def play() -> None:
        internet, transport, clients = laid(names, options=Options(max_failures=2))

        async def block() -> None:
            async with clients, clients.subscribe(TOP):
                await asyncio.sleep(1.0)
                internet.servers[failing].refuse_connects = 99
                internet.servers[failing].open[0].drop()
                await asyncio.sleep(1000.0)

        with pytest.raises(ReconnectsExhausted, match=f"ws.{failing}"):
            await block()
        assert not any(server.open for server in internet.servers.values())
        assert transport.closed == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(play())


@scenario
async def test_a_refused_login_ends_the_block_with_it() -> None:
    internet = Internet(("ant", "bee"))
    internet.servers["bee"].accept_login = False
    transport = CountingTransport(internet, latency=0.01)
    private = connect(
        toy("bee", private=True),
        transport=transport,
        clock=VirtualClock(),
        credentials=Credentials("key", "secret"),
    )
    shared = CountingTransport(internet, latency=0.01)
    clients = connect_many(toy("ant"), private, transport=shared, clock=VirtualClock())

    async def block() -> None:
        async with clients, clients.subscribe(TOP) as feed:
            async for _ in feed:
                pass

    with pytest.raises(AuthError):
        await block()
    assert (transport.closed, shared.closed) == (1, 1)
    assert not internet.servers["ant"].open


@scenario
async def test_two_exchanges_that_fail_at_once_are_both_told_of() -> None:
    internet, _, clients = laid(options=Options(max_failures=0))

    async def block() -> None:
        async with clients, clients.subscribe(TOP):
            await asyncio.sleep(1.0)
            for server in internet.servers.values():
                server.open[0].drop()
            await asyncio.sleep(1000.0)

    with pytest.raises(BaseExceptionGroup) as caught:
        await block()
    assert [type(error) for error in caught.value.exceptions] == [ReconnectsExhausted] * 2


@scenario
async def test_an_error_of_the_block_is_its_own_and_everything_is_closed() -> None:
    internet, transport, clients = laid()

    async def block() -> None:
        async with clients, clients.subscribe(TOP):
            await asyncio.sleep(1.0)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await block()
    assert not any(server.open for server in internet.servers.values())
    assert transport.closed == 1


@scenario
async def test_an_exchange_that_cannot_be_opened_closes_those_that_were() -> None:
    internet, transport, _ = laid()
    clock = VirtualClock()
    used = connect(toy("bee"), transport=MemoryTransport(internet), clock=clock)
    async with used:
        clients = connect_many(toy("ant"), used, transport=transport, clock=clock)
        with pytest.raises(UsageError, match="opened once"):
            async with clients:
                raise AssertionError("entered")
        assert transport.closed == 1


@scenario
async def test_afterwards_a_reader_elsewhere_has_come_to_its_end() -> None:
    _, _, clients = laid()
    async with clients:
        feed = clients.subscribe(TOP)
        await feed.__aenter__()

        async def read() -> int:
            return len([event async for event in feed])

        reader = asyncio.ensure_future(read())
        await asyncio.sleep(1.0)
    assert await reader == 2
    gc.collect()


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
    with pytest.raises(UsageError, match="connections must be at least 1"):
        clients.subscribe(TOP, connections=0)
    with pytest.raises(UsageError, match="maxsize must be at least 1"):
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


# --- a merged feed is a feed ----------------------------------------------------------------------

EXCHANGES = ("ant", "bee")
SYMBOLS = ("A/USD", "B/USD")
CHANNELS = (Channel.TRADES, Channel.TOP_OF_BOOK, Channel.CANDLES)


@attrs.define(eq=False)
class Owner:
    """A client that does nothing."""

    lost: int = 0

    async def start(self, feed: Feed, interests: Sequence[Interest]) -> None: ...
    async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None: ...
    async def ready(self, feed: Feed) -> None: ...

    def book(self, feed: Feed, symbol: str, depth: int | None) -> Any:
        raise UsageError("no books here")

    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None:
        assert exchange in EXCHANGES
        self.lost += lost

    def qualify(self, interests: Iterable[Interest]) -> list[Interest]:
        return list(interests)


def event(exchange: str, symbol: str, channel: Channel, number: int) -> MarketData:
    one = Decimal(1)
    if channel is Channel.TRADES:
        name = str(number)
        return Trade(exchange, symbol, number, number, number, name, one, one, Side.BUY)
    if channel is Channel.TOP_OF_BOOK:
        return TopOfBook(exchange, symbol, number, number, number, one, one, one, one)
    interval = ("1m", "5m")[number % 2]
    prices = (one, one, one, one, one)
    return Candle(exchange, symbol, number, number, interval, 0, 1, *prices, None, False)


Step = tuple[str, str, str, Channel, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(("put", "put", "put", "notify", "pop", "drain", "withdraw")),
        st.sampled_from(EXCHANGES),
        st.sampled_from(SYMBOLS),
        st.sampled_from(CHANNELS),
        st.integers(1, 3),
    ),
    max_size=60,
)


def apart(found: AnyEvent | None) -> AnyEvent | None:
    """An event with the exchange in its symbol, as if there were one exchange with all of them."""
    if found is None or ":" in found.symbol:
        return found
    return attrs.evolve(found, symbol=qualified(found.exchange, found.symbol))


def figures(feed: Feed) -> tuple[int, ...]:
    status = feed.status()
    return (
        *(status.waiting, status.offered, status.delivered, status.conflated),
        *(status.dropped, status.discarded),
    )


def overflow(feed: Feed) -> int | None:
    try:
        feed._raise_error()
    except FeedOverflow as error:
        return error.lost
    return None


@given(steps, st.sampled_from(list(Policy)), st.integers(1, 4), st.integers(1, 6))
@example(
    [("put", "ant", "A/USD", Channel.TRADES, 3), ("put", "bee", "A/USD", Channel.TRADES, 3)],
    Policy.DROP_OLDEST,
    2,
    1,
)
def test_it_does_what_a_feed_does_whose_symbols_are_all_different(
    story: list[Step], policy: Policy, maxsize: int, notices: int
) -> None:
    owners = Owner(), Owner()
    merged = MergedFeed(owners[0], [], policy=policy, maxsize=maxsize)
    plain = Feed(owners[1], [], policy=policy, maxsize=maxsize)
    for feed in (merged, plain):
        feed._backlog._notices_limit = notices
        feed._backlog.__dict__["NOTICES"] = notices  # merging begins early
    number = 0
    for what, exchange, symbol, channel, count in story:
        name = qualified(exchange, symbol)
        if what == "put":
            made = [event(exchange, symbol, channel, number + n) for n in range(count)]
            number += count
            merged.put(made)
            plain.put([apart(each) for each in made])  # type: ignore[misc]
        elif what == "notify":
            number += 1
            notice = Stale(exchange, symbol, None, number, channel, Reason.SILENT)
            merged.notify(notice)
            plain.notify(apart(notice))  # type: ignore[arg-type]
        elif what == "pop":
            assert apart(merged._backlog.pop()) == plain._backlog.pop()
        elif what == "drain":
            assert [apart(each) for each in merged._backlog.drain()] == plain._backlog.drain()
        else:
            interval = "1m" if channel is Channel.CANDLES and count > 1 else None
            merged.discard(exchange, symbol, channel, interval)
            plain.discard(exchange, name, channel, interval)
        assert figures(merged) == figures(plain)
        assert merged.full == plain.full
        if not plain.waiting:
            assert overflow(merged) == overflow(plain)
    assert owners[0].lost == owners[1].lost
    assert [apart(each) for each in merged._backlog.drain()] == plain._backlog.drain()


# --- types ----------------------------------------------------------------------------------------


def test_one_exchange_is_still_one_client() -> None:
    assert isinstance(connect(toy("ant")), Client)
    assert isinstance(connect_many(toy("ant")), Clients)
    assert isinstance(Toy.endpoints[GetInstruments], Endpoint)
