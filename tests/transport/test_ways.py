"""Racing connections that go different ways: over real sockets, and what they may cost."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    Budget,
    Client,
    Gap,
    Limits,
    Options,
    TopOfBook,
    TransportOptions,
    Unsupported,
    UsageError,
    Way,
    top_of_book,
)
from ccrs_core.connections.states import LinkState
from ccrs_core.transport.addresses import Reachable
from ccrs_core.transport.alternatives import Alternatives
from ccrs_core.transport.base import Transport
from ccrs_core.transport.memory import MemoryTransport, VirtualClock
from ccrs_core.transport.paths import Paths
from tests.toy import Toy, ToyServer
from tests.transport.servers import BOTH, Make, run, serve
from tests.transport.test_proxy import HIDDEN, HttpProxy, SocksProxy
from tests.virtual import scenario
from tests.watching import TOP

SYMBOL = top_of_book("BTC/USDT")


def emulated(make: Make, *ways: Way, **connect: Any) -> Client:
    return ccrs_core.connect(
        "bybit",
        environment="emulator",
        transport=make(TransportOptions()),
        options=Options(ways=ways, backoff_initial=0.01, backoff_max=0.01),
        **connect,
    )


def remotes(client: Client) -> list[str]:
    """Where the emulator sees its connections come from."""
    assert client.emulator is not None
    links = client.emulator._links.values()
    return sorted(link.transport.get_extra_info("peername")[0] for link in links)


def drop(client: Client, remote: str) -> None:
    assert client.emulator is not None
    for link in client.emulator._links.values():
        if link.transport.get_extra_info("peername")[0] == remote:
            link.transport.abort()


async def until_open(client: Client, connects: int) -> None:
    """Until so many connections were opened, and three are open."""
    async with asyncio.timeout(60.0):
        while True:
            links = client.status().connections
            opened = [link for link in links if link.state is LinkState.OPEN]
            if len(opened) == 3 and sum(link.connects for link in links) >= connects:
                return
            await asyncio.sleep(0.01)


@pytest.mark.sockets
@BOTH
def test_each_racing_connection_comes_from_its_own_address_and_does_so_again(make: Make) -> None:
    async def main() -> None:
        sources = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        ways = [Way(source=source) for source in sources]
        async with (
            emulated(make, *ways) as client,
            client.subscribe(SYMBOL, connections=3) as feed,
        ):
            await feed.ready(everywhere=True)
            assert remotes(client) == sources
            assert [link.way for link in client.status().connections] == [
                f"from {source}" for source in sources
            ]
            drop(client, "127.0.0.2")
            await until_open(client, 4)
            assert remotes(client) == sources
            events = await anext(feed.batches())
            assert not [event for event in events if isinstance(event, Gap)]
            assert any(isinstance(event, TopOfBook) for event in events)

    run(main)


@pytest.mark.sockets
@BOTH
@pytest.mark.parametrize(("scheme", "kind"), [("http", HttpProxy), ("socks5", SocksProxy)])
def test_a_way_may_be_a_proxy_and_another_address_of_the_exchange(
    make: Make, scheme: str, kind: type[HttpProxy] | type[SocksProxy]
) -> None:
    if scheme == "socks5":
        pytest.importorskip("aiohttp_socks")

    async def main() -> None:
        proxy = kind()
        async with serve(proxy) as address:
            at = f"ws://{HIDDEN}:"

            async with emulated(make) as first:
                assert first.emulator is not None
                port = first.emulator.ws_url.rpartition(":")[2]
                way = Way(
                    proxy=f"{scheme}://wolf:hunter2@{address}", addresses={"public": at + port}
                )
                options = Options(ways=(Way(), way))
                transport = make(TransportOptions())
                async with (
                    ccrs_core.connect(
                        "bybit", base_url=first.emulator.url, options=options, transport=transport
                    ) as client,
                    client.subscribe(SYMBOL, connections=2) as feed,
                ):
                    await feed.ready(everywhere=True)
                    plain, proxied = client.status().connections
                    assert plain.way == "direct"
                    assert proxied.way == f"through {scheme}://{address}, public at {at}{port}"
                    assert HIDDEN in proxied.url
                    assert HIDDEN not in plain.url
            assert proxy.targets == [HIDDEN]

    run(main)


@pytest.mark.sockets
@BOTH
def test_a_way_that_leads_nowhere_holds_up_none_of_the_others(make: Make) -> None:
    async def main() -> None:
        ways = Way(), Way(proxy="http://127.0.0.1:9")
        async with (
            emulated(make, *ways) as client,
            client.subscribe(SYMBOL, connections=2) as feed,
        ):
            async with asyncio.timeout(60.0):
                async for event in feed:
                    if isinstance(event, TopOfBook):
                        break
            by_way = {link.way: link for link in client.status().connections}
            assert by_way["direct"].state is LinkState.OPEN
            assert by_way["through http://127.0.0.1:9"].state is not LinkState.OPEN

    run(main)


class Along(MemoryTransport):
    """Notes by which options it is asked to connect."""

    def __init__(self, server: ToyServer, options: TransportOptions | None = None) -> None:
        super().__init__(server)
        self.options, self.server, self.others = options, server, list[Along]()

        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1
        await super().aclose()

    def along(self, options: TransportOptions) -> Along:
        self.others.append(Along(self.server, options))
        return self.others[-1]


class Strict(Toy):
    """Allows two connections, and three streams, of one address."""

    limits: ClassVar = Limits(
        connects=Budget(amount=50, seconds=60.0), connections=2, subscriptions=3
    )


@scenario
async def test_what_a_host_allows_it_allows_to_each_address_that_it_sees() -> None:
    ways = [Way(source="10.0.0.1"), Way(source="10.0.0.2")]
    for some, possible in ((ways, 4), (ways[:1], 2), ([], 2)):
        client = ccrs_core.connect(
            Strict(),
            transport=Along(ToyServer()),
            clock=VirtualClock(),
            options=Options(ways=some),
        )
        async with client:
            with pytest.raises(Unsupported, match="2 connections"):
                async with client.subscribe(TOP, connections=possible + 1):
                    pass
            async with client.subscribe(TOP, connections=possible) as feed:
                await feed.ready(everywhere=True)
                assert len(client.status().connections) == possible
                # Two streams of each address are there; a third is its last.
                with pytest.raises(Unsupported, match="3 streams"):
                    await feed.subscribe(top_of_book("ETH/USD"))


@scenario
async def test_ways_that_leave_alike_share_a_transport_which_is_closed_with_the_client() -> None:
    transport = Along(ToyServer())
    ways = [
        Way(),
        Way(source="10.0.0.1"),
        Way(source="10.0.0.1", addresses={"stream": "wss://other.toy"}),
        Way(addresses={"stream": "wss://third.toy"}),
    ]
    client = ccrs_core.connect(
        Toy(),
        transport=transport,
        clock=VirtualClock(),
        options=Options(ways=ways, max_connection_age=100.0),
    )
    async with client, client.subscribe(TOP, connections=3) as feed:
        await feed.ready(everywhere=True)
        (other,) = transport.others
        assert other.options == TransportOptions(source_address="10.0.0.1")
        urls = [peer.url for peer in transport.server.open]
        assert sorted(urls) == sorted(["wss://ws.toy/v1"] * 2 + ["wss://other.toy/v1"])
        # What is replaced goes the same way.
        for peer in transport.server.open:
            peer.drop()
        await asyncio.sleep(30.0)
        assert sorted(peer.url for peer in transport.server.open) == sorted(urls)
        await asyncio.sleep(300.0)
        assert client.status().rollovers >= 3
        assert sorted(peer.url for peer in transport.server.open) == sorted(urls)
    assert (transport.closed, other.closed) == (1, 1)


@scenario
async def test_a_transport_that_knows_no_ways_is_refused_for_those_that_need_one() -> None:
    def client(way: Way) -> Client:
        return ccrs_core.connect(
            Toy(),
            transport=MemoryTransport(ToyServer()),
            clock=VirtualClock(),
            options=Options(ways=[way]),
        )

    with pytest.raises(UsageError, match="along"):
        async with client(Way(source="10.0.0.1")):
            pass
    async with client(Way(addresses={"stream": "wss://other.toy"})):
        pass
    with pytest.raises(UsageError, match="no address public"):
        client(Way(addresses={"public": "wss://other.toy"}))


@given(st.lists(st.sampled_from(["", "10.0.0.1", "10.0.0.2"]), max_size=5), st.integers(1, 9))
def test_how_many_of_a_races_connections_leave_alike_is_never_underestimated(
    sources: list[str], connections: int
) -> None:
    ways = [Way(source=source or None) for source in sources]
    addresses = Reachable({}, "toy")
    paths = Paths(ways, Along(ToyServer()), TransportOptions(), addresses, Alternatives(addresses))
    found = []
    for _ in range(len(sources) or 1):
        exits = [paths.next().exit for _ in range(connections)]
        found.append(max(exits.count(each) for each in exits))
        paths.next()
    assert paths.shared(connections) >= max(found)
    assert paths.shared(connections) == max(found) or len(sources) > 1


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("direct", Way()),
        ("10.0.0.2", Way(source="10.0.0.2")),
        ("::1", Way(source="::1")),
        ("socks5://u:p@h:1", Way(proxy="socks5://u:p@h:1")),
        ("http://h?a=b", Way(proxy="http://h?a=b")),
        ("public=wss://h/", Way(addresses={"public": "wss://h"})),
        (
            "10.0.0.2, http://h,public=wss://h,rest=https://r?a=b",
            Way(
                source="10.0.0.2",
                proxy="http://h",
                addresses={"public": "wss://h", "rest": "https://r?a=b"},
            ),
        ),
    ],
)
def test_a_way_is_read_from_text(text: str, way: Way) -> None:
    assert Way.parse(text) == way
    assert Options(ways=[way]).ways == (way,)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Way.parse(""),
        lambda: Way.parse("10.0.0.2,10.0.0.3"),
        lambda: Way.parse("http://a,http://b"),
        lambda: Way.parse("public=wss://a,public=wss://b"),
        lambda: Way.parse("public=a"),
        lambda: Way.parse("eth0"),
        lambda: Way(source="300.1.1.1"),
        lambda: Way(proxy="ftp://wolf:hunter2@h"),
        lambda: Way(addresses={"public": "wolf:hunter2@h"}),
        lambda: Way(addresses={"public": "wss://[hunter2"}),
        lambda: Way(addresses="wss://h"),  # type: ignore[arg-type]
        lambda: Options(ways=["10.0.0.2"]),  # type: ignore[arg-type]
        lambda: Options(ways="10.0.0.2"),  # type: ignore[arg-type]
        lambda: Options(ways=Way()),  # type: ignore[arg-type]
        lambda: Options(ways=7),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_way_is_a_usage_error_that_repeats_no_secret(wrong: Any) -> None:
    with pytest.raises(UsageError) as raised:
        wrong()
    assert "hunter2" not in str(raised.value)


def test_a_way_shows_no_secret_and_can_be_copied() -> None:
    way = Way(
        proxy="http://wolf:hunter2@h:1",
        addresses={"public": "wss://wolf:hunter2@h/x?token=hunter2"},
    )
    assert "hunter2" not in f"{way!r} {way} {way.exit(TransportOptions())} {Options(ways=[way])}"
    assert pickle.loads(pickle.dumps(way)) == way


def test_a_recording_of_several_ways_is_one(tmp_path: Any) -> None:
    from ccrs_core.recordings.files import RecordingWriter
    from ccrs_core.recordings.transport import RecordingTransport

    async def main() -> list[int]:
        writer = RecordingWriter(tmp_path / "r.jsonl")
        first: Transport = RecordingTransport(Along(ToyServer()), writer)
        assert isinstance(first, RecordingTransport)
        second = first.along(TransportOptions(source_address="10.0.0.1"))
        numbers = [(await t.connect("wss://ws.toy/v1"))._number for t in (first, second, first)]
        writer.close()
        return numbers

    from ccrs_core.transport.memory import run as virtually

    assert virtually(main()) == [1, 2, 3]
