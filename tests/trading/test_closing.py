"""Accounts that are closed in the middle of things."""

from __future__ import annotations

import asyncio

import pytest

from ccrs_core import FeedClosed, MemoryStore, NotSent, OrderState, OutcomeUnknown
from tests.trading.desk_world import client_of, new_server, world
from tests.trading.test_journal import Moody
from tests.trading.test_placing import buy
from tests.virtual import scenario


@scenario
async def test_a_close_that_is_cancelled_is_finished_all_the_same() -> None:
    store = MemoryStore()
    async with client_of(new_server()) as (client, transport, _):
        account = await client.account(store=store).__aenter__()
        transport.answer_after = lambda path: 3.0 if path == "/place" else 0.0
        placing = asyncio.ensure_future(account.place(buy()))
        await asyncio.sleep(0.5)
        closing = [asyncio.ensure_future(account.aclose()) for _ in range(2)]
        await asyncio.sleep(0)
        closing[0].cancel()
        await asyncio.wait(closing)
        assert closing[0].cancelled()
        assert closing[1].exception() is None
        await account.aclose()
        assert placing.done()
        async with client.account(store=store):  # nobody holds it any more
            pass


@scenario
async def test_a_placement_that_the_end_of_the_account_interrupts_says_which_order_it_is() -> None:
    server = new_server()
    server.push_of = lambda topic, row: []
    async with client_of(server) as (client, transport, _):
        account = await client.account(store=MemoryStore()).__aenter__()
        transport.answer_after = lambda path: 3.0 if path == "/place" else 0.0
        placing = asyncio.ensure_future(account.place(buy(client_order_id="mine")))
        await asyncio.sleep(0.5)
        await account.aclose()
        with pytest.raises(OutcomeUnknown) as failure:
            await placing
        order = failure.value.order
        assert (order.client_order_id, order.state) == ("mine", OrderState.UNKNOWN)


@scenario
async def test_a_placement_that_is_withdrawn_says_which_order_it_was() -> None:
    async with world(store=Moody()) as seen:
        placing = asyncio.ensure_future(seen.account.place(buy(client_order_id="mine")))
        for _ in range(100):
            await asyncio.sleep(0.001)
            if seen.account.order("mine") is not None:
                break
        await seen.account.cancel("mine")
        with pytest.raises(NotSent) as failure:
            await placing
        assert failure.value.order.state is OrderState.NOT_SENT


@scenario
async def test_waits_end_with_the_account() -> None:
    async with client_of(new_server()) as (client, _, _):
        async with client.account(store=MemoryStore()) as account:
            live = await account.place(buy())
            waiting = asyncio.ensure_future(live.filled())
            await asyncio.sleep(0.1)
        with pytest.raises(FeedClosed):
            await waiting
