"""How aiohttp reaches hosts: directly or through proxies, by addresses that we look up."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from ccrs_core.transport.base import TransportOptions
from ccrs_core.transport.names import look_up, one_address, text_of
from ccrs_core.transport.proxy import SOCKS, Proxy, open_tunnel, start_tls


def connector(options: TransportOptions, proxy: Proxy | None) -> aiohttp.BaseConnector:
    """A connector of unlimited size."""
    source = options.source_address
    # Less than the time for all of it, so that where a host isn't found, that is what is told.
    seconds = 0.9 * min(options.connect_timeout, options.request_timeout)
    if proxy is None:
        return aiohttp.TCPConnector(
            limit=0,
            ssl=options.ssl or True,
            local_addr=None if source is None else (source, 0),
            resolver=_Resolver(seconds),
        )
    if proxy.scheme not in SOCKS:
        return _TunnelConnector(proxy, options.ssl, source, seconds)
    from aiohttp_socks import ProxyConnector, ProxyType

    host = proxy.host

    class SocksConnector(ProxyConnector):
        async def _connect_via_proxy(self, *given: Any, **settings: Any) -> Any:
            self._proxy_host = await one_address(host, seconds)
            return await super()._connect_via_proxy(*given, **settings)

    return SocksConnector(
        host=host,
        port=proxy.port,
        proxy_type=ProxyType.SOCKS4 if proxy.scheme == "socks4" else ProxyType.SOCKS5,
        username=proxy.user,
        password=proxy.password,
        rdns=True,
        limit=0,
        ssl=options.ssl or True,
    )


class _Resolver(AbstractResolver):
    """Has names looked up where those that hang do no harm."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await look_up(host, port, seconds=self._seconds, family=family)
        return [
            ResolveResult(
                hostname=host,
                host=text_of(address),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


class _TunnelConnector(aiohttp.BaseConnector):
    """Reaches everything through an HTTP proxy by CONNECT.

    aiohttp's own proxy support does so for TLS only; RFC 6455 (4.1) wants it for ws:// as well.
    """

    def __init__(
        self, proxy: Proxy, context: ssl.SSLContext | None, source: str | None, seconds: float
    ) -> None:
        super().__init__(limit=0)
        self._tunnel_proxy = proxy
        self._context = context
        self._way = source, seconds

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: object, timeout: object
    ) -> ResponseHandler:
        host, port = req.url.host, req.url.port
        assert host is not None
        assert port is not None
        transport = await open_tunnel(self._tunnel_proxy, host, port, *self._way)
        protocol: ResponseHandler = self._factory()
        if req.is_ssl():
            if self._context is None:
                self._context = ssl.create_default_context()
            transport = await start_tls(transport, protocol, self._context, host)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return protocol
