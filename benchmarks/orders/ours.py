"""This library through its public API: its account listens, keeps the ledger, and reconciles."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar

import attrs
from ccrs_bybit import Bybit

import ccrs_core
from benchmarks.orders.job import KEY, SIZE, SYMBOL, Job
from benchmarks.orders.meter import Meter
from ccrs_core.contract.budgets import Budget, Limits, Pool
from ccrs_core.contract.rest import Endpoint, Request

_FACTOR = 10_000
_PLENTY = Budget(amount=1_000_000, seconds=1.0)


def _freed(endpoint: Endpoint[Any, Any]) -> Endpoint[Any, Any]:
    """The endpoint with pools that are counted as ever, and never empty."""
    pools: dict[str, Pool] = {}

    def pool_of(request: Any) -> Pool | None:
        pool = endpoint.pool_of(request)
        if pool is None:
            return None
        found = pools.get(pool.name)
        if found is None:
            budget = attrs.evolve(pool.budget, amount=pool.budget.amount * _FACTOR)
            found = pools[pool.name] = attrs.evolve(pool, budget=budget)
        return found

    return endpoint if endpoint.pool is None else attrs.evolve(endpoint, pool=pool_of)


class Unhindered(Bybit):
    """Bybit with budgets that no benchmark spends."""

    limits: ClassVar[Limits] = Limits(connects=_PLENTY, requests=_PLENTY)
    endpoints: ClassVar[Mapping[type[Request[Any]], Endpoint[Any, Any]]] = {
        kind: _freed(endpoint) for kind, endpoint in Bybit.endpoints.items()
    }


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[tuple[ccrs_core.Account, Decimal]]:
    """The account, and the best bid."""
    contender = job.contender
    store: Any = job.ledger
    if contender.store == "memory":
        store = "memory"
    synchronous: Any = "full" if contender.store == "full" else "normal"
    keys = ccrs_core.Credentials(KEY, KEY)
    async with (
        ccrs_core.connect(
            Unhindered(), base_url=job.url, transport=contender.transport, credentials=keys
        ) as client,
        client.account(store=store, synchronous=synchronous, via=contender.way) as account,
    ):
        if not account.synced:
            raise RuntimeError(f"the account isn't synced: {account.reason}")
        top = await client.get_top_of_book(SYMBOL)
        assert top.bid_price is not None
        yield account, top.bid_price


async def orders(job: Job, meter: Meter) -> None:
    """Pairs of placing and canceling; they have ended, and the ledger knows of it, at the end."""
    async with opened(job) as (account, bid):
        request = ccrs_core.limit(SYMBOL, "buy", price=bid * Decimal("0.995") // 1, size=SIZE)
        last: list[ccrs_core.LiveOrder] = []

        async def pairs(count: int, note: Any) -> None:
            for _ in range(count):
                called = time.monotonic_ns()
                order = await account.place(request)
                placed = time.monotonic_ns()
                await account.cancel(order)
                note(called, placed, time.monotonic_ns())
                last[:] = [*last[-job.flights :], order]

        async def all_pairs(count: int, note: Any) -> None:
            each = count // job.flights
            await asyncio.gather(*(pairs(each, note) for _ in range(job.flights)))
            for order in last:
                await order.ended(timeout=10.0)

        await all_pairs(job.warm_up, lambda *_: None)
        meter.begin()
        await all_pairs(job.count, meter.pair)
        meter.end()


async def fills(job: Job, meter: Meter) -> None:
    """The fills of one order, as ``account.fills`` brings them."""
    async with opened(job) as (account, bid):
        whole = job.warm_up + job.count
        request = ccrs_core.limit(
            SYMBOL,
            "buy",
            price=bid + 50,
            size=Decimal(SIZE) * whole,
            client_order_id=job.fills_id,
            post_only=True,
        )
        async with account.fills(since=account.number) as feed:
            await account.place(request)
            async for event in feed:
                if not isinstance(event, ccrs_core.Fill):
                    continue
                many = meter.filled(event.fill_id)
                if many == job.warm_up:
                    meter.begin()
                elif many == whole:
                    meter.end()
                    return
