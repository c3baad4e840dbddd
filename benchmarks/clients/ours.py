"""This library through its public API, everything on; the contender says on which transport."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from operator import attrgetter, countOf
from typing import Any, ClassVar

import attrs

import ccrs_core
from benchmarks.clients import CONTENDERS
from benchmarks.exchanges import wire
from benchmarks.frames import stamp_of
from benchmarks.job import Arrived, Job, OpenAll, Take
from ccrs_core.contract.budgets import Budget, Limits
from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.model.subscriptions import Subscription


def _client(job: Job, exchange: Exchange | None = None) -> ccrs_core.Client:
    transport = CONTENDERS[job.client].transport
    assert transport is not None
    return ccrs_core.connect(exchange or job.exchange, base_url=job.url, transport=transport)


def interests(job: Job) -> list[Any]:
    """What is subscribed to."""
    match job.case:
        case "top_of_book":
            return [ccrs_core.top_of_book(symbol) for symbol in job.symbols]
        case "trades":
            return [ccrs_core.trades(symbol) for symbol in job.symbols]
        case _:
            depth = wire(job.exchange).book_depth
            return [ccrs_core.book(symbol, depth=depth) for symbol in job.symbols]


_KINDS: dict[str, type[Any]] = {
    "top_of_book": ccrs_core.TopOfBook,
    "trades": ccrs_core.Trade,
}


def _size(event: Any) -> Decimal | None:
    """The stamp in an event; None for notices."""
    match event.type:
        case "top_of_book":
            return event.bid_size  # type: ignore[no-any-return]
        case "trade":
            return event.size  # type: ignore[no-any-return]
        case "book":
            return event.bids[0][1]  # type: ignore[no-any-return]
        case _:
            return None


_read = attrgetter("bid_price", "bid_size", "ask_price", "ask_size", "sequence", "exchange_time_ns")


async def consume(job: Job, take: Take) -> None:
    policy = ccrs_core.Policy.DROP_OLDEST
    if job.kind == "conflate":
        policy = ccrs_core.Policy.CONFLATE
    kind = _KINDS.get(job.case, ccrs_core.BookUpdate)
    async with (
        _client(job) as client,
        client.subscribe(*interests(job), connections=job.connections, policy=policy) as feed,
    ):
        if job.clocked:
            async for event in feed:
                size = _size(event)
                if size is not None and take(1, size):
                    return
        elif job.kind == "throughput_read":
            async for batch in feed.batches():
                for event in batch:
                    if isinstance(event, ccrs_core.TopOfBook):
                        _read(event)
                size = _size(batch[-1])
                if size is not None and take(len(batch), size):
                    return
        elif job.connections > 1:
            # Saturated racers may lag by so much that a notice stands among the data.
            async for batch in feed.batches():
                size = _size(batch[-1])
                count = countOf(map(type, batch), kind)
                if size is not None and take(count, size):
                    return
        else:
            async for batch in feed.batches():
                size = _size(batch[-1])
                if size is not None and take(len(batch), size):
                    return


def one_each() -> Exchange:
    """Bybit with one topic per connection, and with leave to open as many as a run asks for."""
    from ccrs_bybit import Bybit

    class OneEach(Bybit):
        limits: ClassVar[Limits] = Limits(
            connects=Budget(amount=100_000, seconds=1.0), requests=Budget(amount=1000, seconds=1.0)
        )

        def route(self, subscription: Subscription) -> Route:
            return attrs.evolve(super().route(subscription), topics_per_connection=1)

    return OneEach()


@contextlib.asynccontextmanager
async def holder(job: Job, arrived: Arrived) -> AsyncIterator[OpenAll]:
    """One feed over as many connections as there are symbols. For Bybit."""
    async with _client(job, one_each()) as client:
        listed = await client.get_instruments("linear")
        unified = {each.native: each.symbol for each in listed}
        native = {each.symbol: each.native for each in listed}
        tasks: list[asyncio.Task[None]] = []

        async def consume(symbols: list[str]) -> None:
            interests = [ccrs_core.top_of_book(unified[symbol]) for symbol in symbols]
            async with client.subscribe(*interests) as feed:
                async for event in feed:
                    size = _size(event)
                    if size is not None:
                        arrived(native[event.symbol], stamp_of(size))

        async def open_all(symbols: list[str]) -> None:
            tasks.append(asyncio.create_task(consume(symbols)))

        try:
            yield open_all
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
