"""A client's status tells of its accounts: streams, the socket for orders, budgets, the clock, what
is uncertain."""

from __future__ import annotations

import asyncio

import pytest

import ccrs_core
from ccrs_core import Channel, OutcomeUnknown, limit
from tests.trading.desk_world import client_of, new_server, world
from tests.virtual import scenario


@scenario
async def test_an_account_that_fares_well_says_so() -> None:
    async with world() as seen:
        await seen.account.place(limit("BTC/USD", "buy", size="1", price="90"))
        await asyncio.sleep(1.0)
        (found,) = seen.client.status().accounts
        assert (found.name, found.synced, found.open_orders) == ("default", True, 1)
        assert (found.unknown_orders, found.stream_trouble, found.store_trouble) == (0, "", "")
        assert found.number == seen.account.number
        channels = {channel for each in found.streams for channel in each.channels}
        assert {Channel.ORDERS, Channel.FILLS} <= channels
        assert all(each.live for each in found.streams)
        assert any(each.delivered for each in found.streams)
        assert found.clock is not None
        assert found.budgets == tuple(seen.account.budget())
    assert seen.client.status().accounts == ()


def test_the_socket_for_orders_is_told_of() -> None:
    async def main() -> None:
        client = ccrs_core.connect("bybit", environment="emulator", rate=5)
        async with client, client.account(via="websocket") as account:
            async with asyncio.timeout(20):
                while True:
                    (found,) = client.status().accounts
                    (entry,) = found.entries
                    if entry.ready:
                        break
                    assert entry.trouble
                    await asyncio.sleep(0.01)
            assert entry.trouble == ""
            assert [each.connects for each in entry.connections] == [1]
            assert account.synced

    asyncio.run(main())


@scenario
async def test_what_is_wrong_is_told() -> None:
    async with world() as seen:
        seen.server.faults.append(lambda path, asked: "lose" if path == "/place" else None)
        seen.server.push_of = lambda topic, row: []
        seen.server.list_lag = 1000.0
        with pytest.raises(OutcomeUnknown):
            await seen.account.place(limit("BTC/USD", "buy", size="1", price="90"))
        (found,) = seen.client.status().accounts
        assert (found.unknown_orders, found.entries) == (1, ())
        for peer in list(seen.server.open):
            peer.drop()
        await asyncio.sleep(0.01)
        (found,) = seen.client.status().accounts
        assert not found.synced
        assert found.reason
        assert found.stream_trouble


@scenario
async def test_an_account_that_isnt_followed_has_no_streams_to_be_troubled() -> None:
    async with client_of(new_server()) as (client, _, _):
        assert client.status().accounts == ()
        async with client.account(follow=False) as account:
            (found,) = client.status().accounts
            assert (found.streams, found.stream_trouble, found.synced) == ((), "", False)
            assert await account.protection() is not None
