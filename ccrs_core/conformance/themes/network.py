"""Properties 74 and 75: every address can be overridden, and network settings are obeyed."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import ssl
from collections.abc import Coroutine
from string import Formatter
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest

from ccrs_core.client.client import Client, connect
from ccrs_core.conformance.judges.agreement import interest_of, watching
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.relay_proxy import ConnectProxy
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.conformance.workbench.world import HOST, World, settle
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator.server import EmulatorServer
from ccrs_core.errors import ConnectFailed, TransportError
from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.options import Options

T = TypeVar("T")

_HIDDEN = "exchange.invalid"
"""A name that only the proxy can resolve."""
_GUARD = 20.0


def _mentioned(route: Route) -> set[str]:
    """The names of the addresses that a route's template holds."""
    return {field for _, field, _, _ in Formatter().parse(route.url) if field}


class NetworkProperties:
    """Properties 74 and 75."""

    @proves(74, against=Against.NOTHING)
    def test_the_environments_addresses_are_well_formed(self, subject: Subject) -> None:
        """Every environment, of which ``mainnet`` is one, names ``rest`` and all addresses that
        routes lead to, encrypted and without a trailing slash. One other than ``mainnet`` may lack
        a market as a whole."""
        environments = subject.exchange.environments
        assert "mainnet" in environments, (
            f"{subject.name} has no environment mainnet, only {', '.join(environments) or 'none'}"
        )
        cases = subject.cases() if subject.channels else []
        routes = [(case.market, subject.exchange.route(case.subscription)) for case in cases]
        for environment, each in environments.items():
            names = each.addresses.keys()
            assert "rest" in names, f"{environment}: the address of requests must be called rest"
            known = {name: f"wss://{name}.invalid" for name in environments["mainnet"].addresses}
            assert names <= known.keys(), f"{environment} has addresses that mainnet hasn't"
            served = {market for market, route in routes if _mentioned(route) <= names}
            assert served or not routes, f"{environment} has the addresses of no market"
            for market, route in routes:
                lacking = _mentioned(route) - names
                absent = environment != "mainnet" and market not in served
                assert absent or not lacking, (
                    f"{environment} lacks the addresses {sorted(lacking)} of {route.url}"
                )
                host = urlsplit(route.at(known)).netloc
                assert host.endswith(".invalid"), (
                    f"a route leads to {route.url}: begin it with the name of an address, such as "
                    '"{public}/ws", so that users can override it'
                )
            for name, url in each.addresses.items():
                parts = urlsplit(url)
                schemes = ("https",) if name == "rest" else ("wss", "https")
                assert parts.scheme in schemes, f"{environment}: {name} is {url}: {schemes[0]}://"
                assert parts.netloc, f"{environment}: {name} is {url}, which has no host"
                assert not url.endswith("/"), f"{environment}: {url} ends with a slash"

    @proves(74, against=Against.NOTHING)
    def test_with_a_base_url_nothing_else_is_dialled(self, subject: Subject) -> None:
        """With ``base_url`` every stream and every request of every market goes there, and nowhere
        else."""
        if not subject.markets:
            subject.undeclared("market")
        cases = subject.cases() if subject.channels else []
        requests = [
            request
            for market in subject.markets
            for request in requests_of(subject, subject.instrument(market))
        ]

        async def scenario(world: World) -> None:
            subscriptions = [case.subscription for case in cases]
            async with watching(world, *subscriptions):
                for request in requests:
                    await world.client.request(request)
                await settle(2.0)
            host = urlsplit(HOST).netloc
            assert world.tap.hosts == {host}, (
                f"with base_url={HOST!r} dialled was {sorted(world.tap.hosts - {host})}: routes "
                "begin with an address's name in braces, requests have a path alone"
            )
            routes = {subject.exchange.route(s) for s in subscriptions}
            assert len(world.tap.attempts) >= len(routes), (
                f"of {len(routes)} routes {len(world.tap.attempts)} connections were dialled"
            )
            for _, _, sent in world.tap.requests:
                assert sent.path.startswith("/"), f"the path of a request is {sent.path}"

        subject.world().run(scenario)

    @proves(75, against=Against.NOTHING)
    def test_streams_and_requests_go_through_the_proxy(self, subject: Subject) -> None:
        """With a proxy both WebSockets and requests go through it, names are resolved there, and
        nothing is dialled past it; both come from the ``source_address``."""
        _needs_a_stream_and_requests(subject)
        source = _another_loopback_address()

        async def main() -> None:
            async with EmulatorServer(subject.dialect()) as server:
                port = urlsplit(server.url).port
                assert port is not None
                async with ConnectProxy(_HIDDEN, port) as proxy:
                    transport = TransportOptions(proxy=proxy.url, source_address=source)
                    base_url = f"http://{_HIDDEN}:{port}"
                    client = connect(
                        subject.make(), base_url=base_url, options=Options(transport=transport)
                    )
                    async with client:
                        await _use(client, subject, server)
                    assert set(proxy.targets) == {f"{_HIDDEN}:{port}"}, proxy.targets
                    assert proxy.clients == {source}, (
                        f"source_address={source}, but connections came from {proxy.clients}"
                    )
                # Without its proxy nothing can be reached: there was no other way.
                async with connect(subject.make(), base_url=base_url, options=_hasty()) as client:
                    with pytest.raises(TransportError):
                        await client.refresh_instruments(subject.markets[0])

        _guarded(main())

    @proves(75, against=Against.NOTHING)
    def test_certificates_are_verified_as_the_settings_say(self, subject: Subject) -> None:
        """Streams and requests refuse a certificate that nobody vouches for, and accept it with
        the ``ssl`` setting that trusts it."""
        _needs_a_stream_and_requests(subject)
        if importlib.util.find_spec("trustme") is None:
            pytest.skip("certificates can't be made: install ccrs-core[tls]")

        async def main() -> None:
            async with EmulatorServer(subject.dialect(), tls=True) as server:
                assert isinstance(server.ssl_context, ssl.SSLContext)
                options = Options(transport=TransportOptions(ssl=server.ssl_context))
                async with connect(subject.make(), base_url=server.url, options=options) as client:
                    await _use(client, subject, server)
                known = [subject.instrument(market) for market in subject.markets]
                async with connect(
                    subject.make(), base_url=server.url, options=_hasty(), instruments=known
                ) as client:
                    with pytest.raises(ConnectFailed, match=r"(?i)certificate|ssl|tls"):
                        await client.refresh_instruments(subject.markets[0])
                    async with client.subscribe(interest_of(subject.cases()[0].subscription)):
                        await _failed(client)
                assert not server.venue.peers, (
                    "a connection to a server whose certificate nobody vouches for stays open"
                )

        _guarded(main())


def _needs_a_stream_and_requests(subject: Subject) -> None:
    subject.cases()
    if not subject.exchange.endpoints:
        subject.undeclared("request")


async def _use(client: Client, subject: Subject, server: EmulatorServer) -> None:
    """One request, and one stream until its first event."""
    case = subject.cases()[0]
    await client.instrument(case.subscription.symbol)
    async with client.subscribe(interest_of(case.subscription)) as feed:
        async for event in feed:
            if event.channel is not None:
                break
        assert server.connections, "no WebSocket has arrived at the emulator"
    assert client.status().requests, "no request was made"


async def _failed(client: Client) -> None:
    """Wait until the stream's connection has failed."""
    while True:
        status = client.status()
        if any(link.failures for link in status.connections):
            assert all(link.connects == 0 for link in status.connections), (
                "a connection was made to a server whose certificate nobody vouches for"
            )
            return
        await asyncio.sleep(0.01)


def _hasty() -> Options:
    transport = TransportOptions(connect_timeout=1.0, request_timeout=1.0)
    return Options(transport=transport, request_attempts=1)


def _another_loopback_address() -> str:
    """One that isn't what connections come from anyhow, where the system has it."""
    for address in ("127.0.0.2", "127.0.0.1"):
        with socket.socket() as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                continue
            return address
    return "127.0.0.1"


def _guarded(main: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(_GUARD):
            return await main

    return asyncio.run(bounded())
