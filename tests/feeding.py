"""Feeds of an owner that does nothing, and what is put into them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core import (
    AnyEvent,
    Channel,
    Feed,
    Interest,
    OrderBook,
    Policy,
    Reason,
    Side,
    Stale,
    TopOfBook,
    Trade,
    UsageError,
    trades,
)
from ccrs_core.errors import SubscriptionRefused
from ccrs_core.model.events import MarketData

SYMBOLS = ("A/USD", "B/USD", "C/USD")
KINDS = (Channel.TRADES, Channel.TOP_OF_BOOK)
Key = tuple[str, Channel]


@attrs.define(eq=False)
class Owner:
    """A client that does nothing but note what its feeds ask for."""

    calls: list[tuple[str, tuple[Interest, ...]]] = attrs.field(factory=list)
    lost: int = 0

    async def start(self, feed: Feed, interests: Sequence[Interest]) -> None:
        self.calls.append(("start", tuple(interests)))

    async def stop(self, feed: Feed, interests: Sequence[Interest]) -> None:
        self.calls.append(("stop", tuple(interests)))
        for interest in interests:
            feed.discard("toy", interest.symbol, interest.channel)

    async def ready(self, feed: Feed, everywhere: bool) -> None:
        await asyncio.sleep(0)

    def book(self, feed: Feed, symbol: str, depth: int | None) -> OrderBook:
        raise UsageError("no books here")

    def subscribed(self, feed: Feed) -> tuple[Interest, ...]:
        return feed.interests

    def missing(self, feed: Feed) -> dict[str, str]:
        return {}

    def goes_without(self, feed: Feed, refused: SubscriptionRefused) -> bool:
        return False

    def overflowed(self, feed: Feed, exchange: str, lost: int) -> None:
        self.lost += lost


def event(number: int, symbol: str = "A/USD", channel: Channel = Channel.TRADES) -> MarketData:
    one = Decimal(1)
    if channel is Channel.TRADES:
        return Trade("toy", symbol, number, number, number, str(number), one, one, Side.BUY)
    return TopOfBook("toy", symbol, number, number, number, one, one, one, one)


def stale(number: int, symbol: str = "A/USD", channel: Channel = Channel.TRADES) -> Stale:
    return Stale("toy", symbol, None, number, channel, Reason.SILENT)


def key(each: AnyEvent) -> Key:
    return each.symbol, each.channel or each.about  # type: ignore[union-attr]


def number(each: AnyEvent) -> int:
    """Events carry the place at which they were written."""
    return each.received_time_ns


def opened(policy: Policy = Policy.DROP_OLDEST, maxsize: int = 4, **how: Any) -> Feed:
    return Feed(Owner(), [trades("A/USD")], policy=policy, maxsize=maxsize, **how)


def is_full(feed: Feed) -> bool:
    return feed.full


async def drained(feed: Feed) -> list[AnyEvent]:
    """Everything that waits, one by one."""
    seen: list[AnyEvent] = []
    reader = asyncio.ensure_future(_collect(feed, seen))
    await asyncio.sleep(0.001)
    reader.cancel()
    await asyncio.wait([reader])
    if not reader.cancelled():
        reader.result()
    return seen


async def _collect(feed: Feed, into: list[AnyEvent]) -> None:
    async for each in feed:
        into.append(each)  # noqa: PERF401 - so that a cancelled reader keeps what it saw


async def finished(work: Awaitable[Any], seconds: float = 1.0) -> Any:
    """The result of something that must not have to wait for long."""
    async with asyncio.timeout(seconds):
        return await work
