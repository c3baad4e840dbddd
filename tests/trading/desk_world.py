"""A client of the toy desk in virtual time, with an account of it open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs

import ccrs_core
from ccrs_core import Client, Credentials, MemoryStore, Options
from ccrs_core.trading.account import Account
from ccrs_core.trading.delivery import AnyAccountEvent
from ccrs_core.trading.store import Row
from ccrs_core.transport.memory import VirtualClock
from tests.trading.desk_server import DeskServer, DeskTransport
from tests.trading.desk_toy import Desk

KEY = Credentials("key", "secret")
_LONGEST = 20_000.0
"""Virtual seconds after which a test that waits for what never comes is ended."""


@attrs.define
class World:
    server: DeskServer
    transport: DeskTransport
    clock: VirtualClock
    client: Client
    account: Account
    events: list[AnyAccountEvent]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def new_server() -> DeskServer:
    server = DeskServer()
    server.now = asyncio.get_running_loop().time
    return server


@asynccontextmanager
async def client_of(
    server: DeskServer, exchange: Desk | None = None, options: Options | None = None
) -> AsyncIterator[tuple[Client, DeskTransport, VirtualClock]]:
    clock = VirtualClock()
    server.wall_ns = clock.time_ns
    transport = DeskTransport(server)
    client = ccrs_core.connect(
        Desk() if exchange is None else exchange,
        transport=transport,
        clock=clock,
        credentials=KEY,
        options=options,
    )
    async with client:
        yield client, transport, clock


class Turning(MemoryStore):
    """A store whose commits take a turn of the event loop, as those of a file do."""

    async def commit(self, rows: Sequence[Row]) -> None:
        await asyncio.sleep(0)
        await super().commit(rows)


@asynccontextmanager
async def world(
    exchange: Desk | None = None,
    *,
    server: DeskServer | None = None,
    store: MemoryStore | None = None,
    options: Options | None = None,
    since: int | None = None,
    **how: Any,
) -> AsyncIterator[World]:
    """An account that is open, and whose events are noted as they come."""
    there = new_server() if server is None else server
    async with (
        asyncio.timeout(_LONGEST),
        client_of(there, exchange, options) as (client, transport, clock),
        client.account(store=Turning() if store is None else store, **how) as account,
    ):
        seen = World(there, transport, clock, client, account, [])

        async def follow() -> None:
            async for event in account.events(since):
                seen.events.append(event)

        reader = asyncio.ensure_future(follow())
        try:
            await asyncio.sleep(0.1)
            yield seen
        finally:
            reader.cancel()
            await asyncio.wait([reader])
