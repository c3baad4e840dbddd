"""The emulated exchange in a process of its own: it fills orders on request, and notes when each
fill's push is written.

It prints its port as a line of JSON; on the line ``stamps`` it prints, by execution
id, when the push was handed to the socket (monotonic nanoseconds, which all processes share).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from decimal import Decimal
from typing import Any

from benchmarks.measure import pin
from benchmarks.orders.exchanges import Exchange, load
from benchmarks.orders.job import FILLS, SIZE
from ccrs_core import OrderType, Side
from ccrs_core.emulator import (
    DeskOrder,
    EmulatedExchange,
    EmulatorServer,
    Frame,
    Lifetime,
    NewOrder,
)

_FACTOR = 10_000.0
"""How many times the documented requests a second are allowed: no limit is ever reached."""
_RATE = 1e-6
"""Changes of a market a second: none while it is measured."""
_AT_ONCE = 5
"""Fills between two looks at the sockets, where they are made as fast as can be."""
_BACKLOG = 65_536
"""Bytes that may wait for the client before more fills are made."""


class NotingServer(EmulatorServer):
    """Notes when it writes what tells of fills."""

    def __init__(self, venue: EmulatedExchange, at: Exchange) -> None:
        super().__init__(venue)
        self._at = at
        self.written: list[tuple[int, bytes]] = []

    def _carry_out(self, link: Any) -> None:
        told = [action.payload for action in link.peer.outbox if isinstance(action, Frame)]
        now_ns = time.monotonic_ns()
        super()._carry_out(link)
        self.written += [(now_ns, payload) for payload in told if self._at.tells in payload]

    def carry_on(self) -> None:
        """Tell what has happened meanwhile."""
        self._run()

    def waiting(self) -> int:
        """Bytes that no client has taken yet."""
        return sum(link.transport.get_write_buffer_size() for link in self._links.values())

    def stamps(self) -> dict[str, int]:
        """By execution id, when its push was written."""
        found: dict[str, int] = {}
        for at_ns, payload in self.written:
            for identity in self._at.fills(json.loads(payload)):
                found.setdefault(identity, at_ns)
        return found


class Counterparty:
    """Sells to the order that asks for it, bit by bit."""

    def __init__(self, server: NotingServer) -> None:
        self.server = server
        venue = server.venue
        desk = venue.dialect.desk
        assert desk is not None
        self.desk = desk
        self.account = self.desk.open_account("counterparty")
        self._tasks: set[asyncio.Task[None]] = set()
        self.desk.listeners.append(self._told)

    def _told(self, happening: object) -> None:
        order = getattr(happening, "order", None)
        if not isinstance(order, DeskOrder) or order.account == self.account.name:
            return
        identity = order.asked.client_order_id
        if identity.startswith(FILLS) and order.resting and not order.filled and not self._tasks:
            count, _, rate = identity.removeprefix(FILLS).partition("x")
            work = self._fill(order, int(count), float(rate))
            self._tasks.add(asyncio.get_running_loop().create_task(work))

    async def _fill(self, order: DeskOrder, count: int, rate: float) -> None:
        asked = NewOrder(
            listing=order.asked.listing,
            side=Side.SELL,
            size=Decimal(SIZE),
            price=order.asked.price,
            type=OrderType.LIMIT,
            lifetime=Lifetime.IOC,
        )
        await asyncio.sleep(0.2)  # the client learns first that it rests
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(count):
            self.desk.place(self.account, asked)
            if rate or number % _AT_ONCE == 0:
                self.server.carry_on()
                due = began + number / rate if rate else 0.0
                await asyncio.sleep(max(0.0, due - loop.time()))
                while self.server.waiting() > _BACKLOG:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.001)
        self.server.carry_on()


def make_room(venue: EmulatedExchange, at: Exchange) -> None:
    """Let the market stand still, with room between its best prices for an order that rests."""
    listing = venue.listings[at.category, at.native]
    ticks = venue.market(listing).engine.bids.best
    assert ticks is not None
    bid = ticks * listing.tick
    size = Decimal(10)
    venue.steer(listing, bids=[(bid, size)], asks=[(bid + 100, size)])


async def serve(at: Exchange) -> None:
    dialect = at.dialect(_FACTOR)
    venue = EmulatedExchange(dialect, seed=1, rate=_RATE, start_ns=time.time_ns())
    async with NotingServer(venue, at) as server:
        Counterparty(server)
        at.freed(dialect)
        make_room(venue, at)
        print(json.dumps({"port": int(server.url.rpartition(":")[2])}), flush=True)
        commands = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        while line := await commands.readline():
            if line.strip() == b"stamps":
                print(json.dumps(server.stamps()), flush=True)


def main(arguments: list[str]) -> None:
    name, *core = arguments
    pin(int(core[0]) if core else None)
    asyncio.run(serve(load(name)))


if __name__ == "__main__":
    main(sys.argv[1:])
