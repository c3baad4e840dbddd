"""Several toy exchanges on one network, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import attrs

from ccrs_core import (
    AnyEvent,
    Clients,
    Codec,
    Environment,
    GetInstruments,
    HttpRequest,
    HttpResponse,
    Instrument,
    Interest,
    MergedFeed,
    Message,
    Options,
    Outbound,
    Route,
    SubscriptionRefused,
    TopOfBook,
    connect_many,
    top_of_book,
)
from ccrs_core.contract.codec import Data
from ccrs_core.contract.rest import Answer
from ccrs_core.transport.memory import MemoryTransport, Peer, VirtualClock
from tests.toy import Toy, ToyCodec, ToyServer
from tests.virtual import follow

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
        reader = (
            asyncio.ensure_future(follow(feed, seen.events, seen.refusals)) if reading else None
        )
        try:
            await asyncio.sleep(1.0)
            yield seen
        finally:
            if reader is not None:
                reader.cancel()
                await asyncio.wait([reader])
