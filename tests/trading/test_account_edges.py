"""Edges of accounts that a mutant once slipped through."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ccrs_core import (
    Budget,
    CancelResult,
    Credentials,
    Fill,
    MemoryStore,
    NotSent,
    OrderState,
    OutcomeUnknown,
    Pool,
    UsageError,
)
from ccrs_core.contract.trading_requests import PlaceOrders
from ccrs_core.trading.hub import Hub
from ccrs_core.trading.journal import Journal
from ccrs_core.trading.store import LedgerName, Stored
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import client_of, new_server, world
from tests.trading.test_placing import buy, once, placements, unknown
from tests.virtual import scenario


@scenario
async def test_a_consumer_that_was_killed_before_it_acknowledged_anything_gets_all_again() -> None:
    store, server = MemoryStore(), new_server()
    async with client_of(server) as (client, _, _):
        account = await client.account(store=store).__aenter__()
        feed = await account.fills(consumer="new").__aenter__()
        live = await account.place(buy())
        server.fill("key", live.id, "0.1")
        while not isinstance(await anext(feed), Fill):  # type: ignore[call-overload]
            pass
        await account.aclose()
    async with client_of(server) as (client, _, _), client.account(store=store) as account:
        async for event in account.fills(consumer="new"):
            if isinstance(event, Fill):
                assert (event.size, event.again) == (Decimal("0.1"), True)
                break


@scenario
async def test_what_is_committed_while_the_store_is_read_comes_once() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        hub = seen.account._parts.hub
        read = hub.entries_after

        async def slowly(*args: Any) -> Any:
            seen.server.fill("key", live.id, "0.1")
            await asyncio.sleep(0.1)
            found = await read(*args)
            seen.server.fill("key", live.id, "0.2")
            await asyncio.sleep(0.1)
            return found

        hub.entries_after = slowly  # type: ignore[method-assign]
        sizes: list[Decimal] = []
        async for event in seen.account.fills(seen.account.number):
            if isinstance(event, Fill):
                sizes.append(event.size)
                if len(sizes) == 2:
                    break
        assert sizes == [Decimal("0.1"), Decimal("0.2")]


@scenario
async def test_one_of_a_batch_that_is_about_to_leave_is_canceled_and_not_called_unsent() -> None:
    class Slow(Desk):
        endpoints = dict(Desk.endpoints)  # noqa: RUF012

    pool = Pool("batches", Budget(amount=1, seconds=1.0), per_account=True)
    Slow.endpoints[PlaceOrders] = attrs.evolve(Desk.endpoints[PlaceOrders], pool=pool)
    async with world(Slow()) as seen:
        wanted = [[buy(client_order_id=f"c{n}{m}") for m in "ab"] for n in range(2)]
        first = asyncio.ensure_future(seen.account.place_many(wanted[0]))
        await asyncio.sleep(0.001)
        second = asyncio.ensure_future(seen.account.place_many(wanted[1]))
        await asyncio.sleep(0.1)
        outcome = await seen.account.cancel("c1a")
        assert outcome.result is CancelResult.ACCEPTED
        await asyncio.gather(first, second)
        await asyncio.sleep(0.1)
        assert [row["link"] for row in placements(seen)] == ["c0a", "c0b", "c1a", "c1b"]
        order = seen.account.order("c1a")
        assert order is not None
        assert order.state is OrderState.CANCELED


@scenario
async def test_two_whole_readings_after_the_bound_have_to_deny_an_order() -> None:
    async with world(Desk(receive_window=5.0), presume_absent_after=1.0) as seen:
        seen.server.faults.append(once("/place", "drop"))
        with pytest.raises(OutcomeUnknown) as failure:
            await seen.account.place(buy())
        identity, left_at = failure.value.order.client_order_id, seen.server.now()
        for _ in range(2000):
            order = seen.account.order(identity)
            assert order is not None
            if order.state is not OrderState.UNKNOWN:
                break
            await asyncio.sleep(0.1)
        bound = left_at + 5.0 + 10.0 + 1.0
        denials = [at for at, path, _ in seen.server.calls if path == "/order" and at >= bound]
        assert len(denials) >= 3  # the present and the past, twice


@scenario
async def test_an_order_that_somebody_holds_is_never_older_than_the_ledger() -> None:
    async with world() as seen:
        seen.account._parts.ledger._books.index._most = 2
        live = await seen.account.place(buy())
        server = seen.server
        server.end("key", live.id)
        for _ in range(4):
            await seen.account.cancel(await seen.account.place(buy()))
            await asyncio.sleep(0.1)
        assert [o.client_order_id for o in seen.account.orders()].count(live.id) == 0
        assert (await live.ended(timeout=5.0)).state is OrderState.CANCELED
        assert (await seen.account.cancel(live)).result is CancelResult.ENDED_BEFORE
        server.fill("key", live.id, "0.1")  # later than anybody thought
        await asyncio.sleep(1.0)
        for _ in range(4):  # let go of once more
            await seen.account.cancel(await seen.account.place(buy()))
            await asyncio.sleep(0.1)
        assert live.now.filled_size == Decimal("0.1")


@scenario
async def test_an_order_of_another_account_is_none_of_this_one() -> None:
    async with (
        world() as seen,
        seen.client.account("b", credentials=Credentials("k2", "s2"), store="memory") as other,
    ):
        theirs = await other.place(buy(client_order_id="m1"))
        mine = await seen.account.place(buy(client_order_id="m1"))
        for which in (theirs, theirs.now):
            with pytest.raises(UsageError, match="of desk b"):
                await seen.account.cancel(which)
        assert mine.state is not OrderState.CANCELED
        assert (await seen.account.cancel("m1")).result is CancelResult.ACCEPTED
        await asyncio.sleep(0.1)
        assert (mine.state, theirs.state) == (OrderState.CANCELED, OrderState.OPEN)


@scenario
async def test_what_is_presumed_absent_is_watched_on_after_a_restart() -> None:
    store, server = MemoryStore(), new_server()
    async with world(store=store, server=server, presume_absent_after=1.0) as seen:
        seen.server.faults.append(once("/place", "drop"))
        live = await unknown(seen)
        await asyncio.sleep(100.0)
        assert live.state is OrderState.PRESUMED_ABSENT
    server.calls.clear()
    async with world(store=store, server=server) as seen:
        await asyncio.sleep(100.0)
        assert [asked["link"] for asked in server.sent_of("/order")] == [live.id, live.id]


@scenario
async def test_fills_of_a_lost_order_are_looked_for_from_its_intent_on() -> None:
    store, server = MemoryStore(), new_server()
    async with world(store=store, server=server, presume_absent_after=None) as seen:
        seen.server.faults.append(once("/place", "drop"))
        planned_ns = server.wall_ns()
        await unknown(seen)
    await asyncio.sleep(3000.0)
    server.calls.clear()
    async with world(store=store, server=server):
        await asyncio.sleep(1.0)
        starts = [int(asked["start"]) for asked in server.sent_of("/fills") if "native" in asked]
        assert starts
        assert max(starts) <= planned_ns


@scenario
async def test_a_cancel_that_a_limit_refuses_many_times_is_done_all_the_same() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        seen.server.faults += [once("/cancel", "limited") for _ in range(6)]
        assert (await seen.account.cancel(live)).result is CancelResult.ACCEPTED
        assert len(seen.server.sent_of("/cancel")) == 7


@scenario
async def test_what_was_acknowledged_stays_so_in_whatever_order_that_is_said() -> None:
    store, server = MemoryStore(), new_server()
    async with world(store=store, server=server) as seen:
        live = await seen.account.place(buy())
        async with seen.account.fills(consumer="mine") as feed:
            for size in ("0.1", "0.2", "0.3"):
                server.fill("key", live.id, size)
            fills = []
            while len(fills) < 3:
                event = await anext(feed)
                fills += [event] if isinstance(event, Fill) else []
            for each in (fills[1], fills[0], fills[1].number, 0):
                feed.acknowledge(each)
    async with (
        world(store=store, server=server) as seen,
        seen.account.fills(consumer="mine") as feed,
    ):
        event = await anext(feed)
        assert isinstance(event, Fill)
        assert (event.size, event.again) == (Decimal("0.3"), True)


@scenario
async def test_what_somebody_has_not_acknowledged_is_not_forgotten() -> None:
    class Spy(MemoryStore):
        upto = -1

        async def forget(self, number: int, *args: Any, **how: Any) -> None:
            self.upto = number

    store = Spy()
    hub = Hub(store, Stored())
    hub.journal = Journal(store, hub, asyncio.ensure_future)  # type: ignore[arg-type]
    await store.open(LedgerName("e", "n", "a"))
    hub.acknowledge("quick", 90_000)
    hub.acknowledge("slow", 20_000)
    await hub.forget(100_000, 0)
    assert store.upto == 20_000
    await hub.forget(300_000, 0)  # so far behind nobody is waited for
    assert store.upto == 100_000


@scenario
async def test_an_open_order_that_lists_miss_for_a_moment_has_not_ended() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        order = seen.server.find("key", live.id)
        assert order is not None
        order.visible_at = float("inf")
        for _ in range(5):
            await seen.account.reconcile()
        assert live.state is OrderState.OPEN
        order.visible_at = 0.0
        await asyncio.sleep(300.0)
        assert live.state is OrderState.OPEN


@scenario
async def test_an_order_that_is_being_canceled_is_not_amended_any_more() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        seen.transport.answer_after = lambda path: 1.0 if path == "/cancel" else 0.0
        canceling = asyncio.ensure_future(seen.account.cancel(live))
        await asyncio.sleep(0.1)
        with pytest.raises(NotSent, match="being canceled"):
            await seen.account.amend(live, price="99")
        assert seen.server.sent_of("/amend") == []
        await canceling
