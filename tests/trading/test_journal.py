"""What an account does where its store fails in ways that no store should."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from ccrs_core import (
    Balance,
    CancelResult,
    EntryKnown,
    MemoryStore,
    OrderState,
    OrderUpdate,
    StoreFailed,
)
from ccrs_core.trading.change import Change
from ccrs_core.trading.journal import Journal
from ccrs_core.trading.store import Entry, LedgerName, Row
from tests.trading.desk_world import Turning, new_server, world
from tests.trading.test_placing import buy
from tests.virtual import scenario


class Moody(MemoryStore):
    """Raises what it is told to, as often as that."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = []
        self.kept: list[Row] = []

    async def commit(self, rows: Sequence[Row]) -> None:
        await asyncio.sleep(0.01)
        if self.failures:
            raise self.failures.pop(0)
        self.kept += rows
        await super().commit(rows)


@scenario
async def test_nothing_is_kept_that_came_after_what_the_store_refuses_for_good() -> None:
    store, server = Moody(), new_server()
    async with world(store=store, server=server) as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        store.failures.append(EntryKnown("it is there already", ("fill",)))
        kept = len(store.kept)
        server.fill("key", live.id, "0.1")
        await asyncio.sleep(0.005)  # its commit is under way as the next one comes
        server.fill("key", live.id, "0.2")
        await asyncio.sleep(1.0)
        with pytest.raises(StoreFailed):
            await seen.account.place(buy())
    assert len(store.kept) == kept
    async with world(store=store, server=server):
        assert [str(fill.size) for fill in await store.fills()] == ["0.1", "0.2"]


@scenario
async def test_whatever_a_store_raises_is_a_failure_of_the_store_that_may_pass() -> None:
    store = Moody()
    async with world(store=store) as seen:
        store.failures += [OSError("the disk is gone")] * 2
        with pytest.raises(StoreFailed, match="the disk is gone"):
            await seen.account.place(buy())
        assert not seen.account.synced
        await asyncio.sleep(1.0)
        live = await seen.account.place(buy())
        assert seen.account.synced
        store.failures.append(OSError("the disk is gone"))
        assert (await seen.account.cancel(live)).result is CancelResult.ACCEPTED
        assert (await live.ended(timeout=5.0)).state is OrderState.CANCELED


@scenario
async def test_cancels_work_after_the_store_has_failed_for_good() -> None:
    store, server = Moody(), new_server()
    async with world(store=store, server=server, on_exit="cancel_own") as seen:
        lives = [await seen.account.place(buy()) for _ in range(3)]
        store.failures.append(EntryKnown("it is there already", ("fill",)))
        server.fill("key", lives[0].id, "0.1")
        await asyncio.sleep(1.0)
        assert (await seen.account.cancel(lives[0])).result is CancelResult.ACCEPTED
        assert lives[0].now.state is OrderState.CANCELED
        assert server.find("key", lives[1].id).open  # type: ignore[union-attr]
    assert not any(order.open for order in server.book_of("key").orders.values())


@scenario
async def test_events_come_in_order_whether_or_not_commits_take_a_turn_of_the_event_loop() -> None:
    for store in (MemoryStore(), Turning()):
        async with world(store=store) as seen:
            live = await seen.account.place(buy())
            await asyncio.sleep(0.1)
            await seen.account.cancel(live)
            await live.ended(timeout=5.0)
            await asyncio.sleep(0.1)
            numbers = [each.number for each in seen.events if isinstance(each, OrderUpdate)]
            states = [each.order.state for each in seen.events if isinstance(each, OrderUpdate)]
        assert numbers == sorted(set(numbers))
        assert [s.rank for s in states] == sorted(s.rank for s in states)
        assert states[-1] is OrderState.CANCELED


def test_what_is_added_while_events_are_told_is_told_after_them() -> None:
    async def main() -> list[Any]:
        told: list[Any] = []
        store = MemoryStore()
        await store.open(LedgerName("toy", "somewhere", "default"))

        class Listening:
            def committed(self, events: Sequence[Any]) -> None:
                if not told:
                    journal.add(change(2))
                told.extend(event.number for event in events)

            def store_failed(self, error: StoreFailed) -> None:
                raise error

            def store_works(self) -> None:
                raise AssertionError

        journal = Journal(store, Listening(), asyncio.ensure_future, store.commit_at_once)
        journal.add(change(1))
        assert told == [1]
        await journal.commit(change(3))
        await journal.aclose()
        return told

    assert asyncio.run(main()) == [1, 2, 3]


def change(number: int) -> Change:
    """Of a balance."""
    about: dict[str, Any] = {"exchange": "toy", "symbol": "", "account": "a", "asset": "USD"}
    times: dict[str, Any] = {"exchange_time_ns": None, "received_time_ns": 1}
    entry = Entry(number, Balance(**about, **times, total=Decimal(number), number=number))
    return Change((entry,), (entry,))
