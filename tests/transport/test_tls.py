"""TLS: verified by default, or as the user's own context says."""

from __future__ import annotations

import pytest

from ccrs_core.transport.base import TransportOptions
from tests.transport.servers import (
    BOTH,
    Make,
    certificates,
    echo,
    refused,
    run,
    websocket,
)

pytestmark = [pytest.mark.sockets, BOTH]


def test_a_certificate_that_nobody_vouches_for_is_refused(make: Make) -> None:
    async def main() -> None:
        server, client = certificates()
        async with websocket(echo, tls=server) as url:
            assert "certificate" in str(await refused(make, url)).lower()
            name = url.replace("127.0.0.1", "localhost")  # not in the certificate
            await refused(make, name, TransportOptions(ssl=client))

    run(main)


def test_a_custom_ssl_context_is_used(make: Make) -> None:
    async def main() -> None:
        server, client = certificates()
        async with websocket(echo, tls=server) as url:
            transport = make(TransportOptions(ssl=client))
            connection = await transport.connect(url)
            await connection.send("over tls")
            assert await connection.receive() == [b"over tls"]
            await connection.close()
            aborted = await transport.connect(url)
            aborted.abort()
            await transport.connect(url)  # left open for aclose
            await transport.aclose()

    run(main)
