"""One measurement by one client, as told to its process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import attrs

from benchmarks.exchanges import NAMES, wire

Kind = Literal[
    "throughput",
    "throughput_read",
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
    seconds: float = 0.0
    port: int = 0
    loop: Loop = "asyncio"
    collector: Collector = "default"

    @property
    def clocked(self) -> bool:
        """Whether the stamps are times, of frames that are sent one by one; else numbers."""
        return self.rate is not None and self.kind != "racing_bursts"

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
