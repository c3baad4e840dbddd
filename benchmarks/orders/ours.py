"""This library through its public API: its account listens, keeps the ledger, and reconciles."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from typing import Any

import attrs

import ccrs_core
from benchmarks.orders.job import KEY, SIZE, Job
from benchmarks.orders.meter import Meter
from benchmarks.orders.pairs import measure
from ccrs_core.contract.budgets import Budget, Limits, Pool
from ccrs_core.contract.rest import Endpoint

_FACTOR = 10_000
_PLENTY = Budget(amount=1_000_000, seconds=1.0)


def _freed(endpoint: Endpoint[Any, Any]) -> Endpoint[Any, Any]:
    """The endpoint with pools that are counted as ever, and never empty."""

    def freed(found: Callable[[Any], Pool | None]) -> Callable[[Any], Pool | None]:
        pools: dict[str, Pool] = {}

        def pool_of(request: Any) -> Pool | None:
            pool = found(request)
            if pool is None:
                return None
            larger = pools.get(pool.name)
            if larger is None:
                larger = pools[pool.name] = _larger(pool)
            return larger

        return pool_of

    changes: dict[str, Any] = {}
    if endpoint.pool is not None:
        changes["pool"] = freed(endpoint.pool_of)
    if endpoint.also is not None:
        changes["also"] = freed(endpoint.further_pool_of)
    return attrs.evolve(endpoint, **changes) if changes else endpoint


def _larger(pool: Pool) -> Pool:
    def larger(budget: Budget) -> Budget:
        also = tuple(larger(each) for each in budget.also)
        return attrs.evolve(budget, amount=budget.amount * _FACTOR, also=also)

    return attrs.evolve(pool, budget=larger(pool.budget))


def unhindered(plugin: type[ccrs_core.Exchange]) -> ccrs_core.Exchange:
    """The exchange with budgets that no benchmark spends."""
    changes = {
        "limits": Limits(connects=_PLENTY, requests=_PLENTY),
        "endpoints": {kind: _freed(endpoint) for kind, endpoint in plugin.endpoints.items()},
        "rest_budget": lambda self, address: _PLENTY,
    }
    made: ccrs_core.Exchange = type("Unhindered", (plugin,), changes)()
    return made


@contextlib.asynccontextmanager
async def opened(job: Job) -> AsyncIterator[tuple[ccrs_core.Account, Decimal]]:
    """The account, and the best bid."""
    contender = job.contender
    store: Any = job.ledger
    if contender.store == "memory":
        store = "memory"
    synchronous: Any = "full" if contender.store == "full" else "normal"
    keys = ccrs_core.Credentials(KEY, KEY, job.at.passphrase)
    async with (
        ccrs_core.connect(
            unhindered(job.at.plugin()),
            base_url=job.url,
            transport=contender.transport,
            credentials=keys,
        ) as client,
        client.account(store=store, synchronous=synchronous, via=contender.way) as account,
    ):
        if not account.synced:
            raise RuntimeError(f"the account isn't synced: {account.reason}")
        top = await client.get_top_of_book(job.at.symbol)
        assert top.bid_price is not None
        yield account, top.bid_price


async def orders(job: Job, meter: Meter) -> None:
    """Pairs of placing and canceling; they have ended, and the ledger knows of it, at the end."""
    async with opened(job) as (account, bid):
        request = ccrs_core.limit(
            job.at.symbol, "buy", price=bid * Decimal("0.995") // 1, size=SIZE
        )

        async def settle(last: Iterable[ccrs_core.LiveOrder]) -> None:
            for order in last:
                await order.ended(timeout=10.0)

        await measure(job, meter, lambda: account.place(request), account.cancel, settle)


async def fills(job: Job, meter: Meter) -> None:
    """The fills of one order, as ``account.fills`` brings them."""
    async with opened(job) as (account, bid):
        whole = job.warm_up + job.count
        request = ccrs_core.limit(
            job.at.symbol,
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
