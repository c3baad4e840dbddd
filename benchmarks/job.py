"""One measurement by one client, as told to its process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import attrs

from benchmarks.exchanges import NAMES, wire

Kind = Literal[
    "throughput",
    "throughput_read",
    "interleaved",
    "conflate",
    "latency",
    "racing",
    "racing_bursts",
    "racing_paced",
    "connections",
    "connections_busy",
    "garbage",
]
"""What is measured; ``benchmarks.garbage`` alone makes jobs of the last kind."""

Loop = Literal["asyncio", "uvloop"]
Collector = Literal["default", "frozen", "off"]

Take = Callable[[int, object], bool]
"""Called by a client with the number of events received and the last one's size; True: stop."""

Arrived = Callable[[str, int], None]
"""Called with an event's native symbol and its stamp."""

OpenAll = Callable[[list[str]], Awaitable[None]]
"""Begins to subscribe to native symbols, each on a connection of its own."""


@attrs.frozen(kw_only=True)
class Job:
    """``count`` frames are sent in all, ``rate`` a second; None: as fast as they are taken."""

    kind: Kind
    client: str
    exchange: str = NAMES[0]
    case: str = "top_of_book"
    count: int = 0
    rate: float | None = None
    connections: int = 1
    topics: int = 1
    """Topics on the connection, whose frames take turns."""
    seconds: float = 0.0
    port: int = 0
    loop: Loop = "asyncio"
    collector: Collector = "default"

    @property
    def clocked(self) -> bool:
        """Whether the stamps are times, of frames that are sent one by one; else numbers."""
        return self.rate is not None and self.kind != "racing_bursts"

    @property
    def many(self) -> int:
        """How many topics are interleaved where that is measured, else how many connections."""
        return self.topics if self.kind == "interleaved" else self.connections

    @property
    def natives(self) -> list[str]:
        """What the client subscribes to on its connection, as the exchange names it."""
        return [native for native, _ in wire(self.exchange).symbols(self.topics)]

    @property
    def symbols(self) -> list[str]:
        """The same, as this library and ccxt.pro name it."""
        return wire(self.exchange).unified(self.topics)

    @property
    def url(self) -> str:
        """The address of REST."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        """Where the stream of the measured channel is."""
        return f"ws://127.0.0.1:{self.port}{wire(self.exchange).stream_path}"

    @property
    def channel(self) -> str:
        """What the client subscribes to."""
        return wire(self.exchange).channel(self.case, self.client)
