"""An account that isn't followed: opening it asks nothing, an urgent cancel is the first to leave,
and what it can't know it refuses to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ccrs_core import MemoryStore, OrderNotFound, OrderState, UsageError, limit
from ccrs_core.trading.account import Account
from ccrs_core.trading.canceling import CancelResult
from tests.trading.desk_server import DeskServer
from tests.trading.desk_world import client_of, new_server
from tests.trading.test_finding import placed_elsewhere
from tests.virtual import scenario


@asynccontextmanager
async def unfollowed(server: DeskServer) -> AsyncIterator[Account]:
    async with client_of(server) as (client, _, _), client.account(follow=False) as account:
        yield account


def paths(server: DeskServer) -> list[str]:
    return [path for _, path, _ in server.calls]


def there(server: DeskServer, count: int = 1) -> list[str]:
    """Open orders of another program."""
    return [server.place("key", placed_elsewhere(f"other{n}"))["id"] for n in range(count)]


@scenario
async def test_opening_it_asks_nothing_and_a_cancel_is_the_first_to_leave() -> None:
    server = new_server()
    (identity,) = there(server)
    async with unfollowed(server) as account:
        assert (server.calls, account.synced) == ([], False)
        assert "follow=False" in account.reason
        outcome = await account.cancel(identity, symbol="BTC/USD")
    assert paths(server)[0] == "/cancel"
    assert outcome.result is CancelResult.ACCEPTED
    assert outcome.order.state is OrderState.CANCELED


@scenario
async def test_either_id_will_do_and_what_is_made_here_is_taken_for_a_clients_first() -> None:
    server = new_server()
    there(server)
    made = "cc" + "0" * 18
    server.place("key", placed_elsewhere(made))
    strict = {"other0", made}
    server.faults.append(
        lambda path, asked: "not_found" if asked.get("id") in strict and path == "/cancel" else None
    )
    async with unfollowed(server) as account:
        assert (await account.cancel("other0", symbol="BTC/USD")).order.state.final
        assert [each["link"] for each in server.sent_of("/cancel")] == ["", "other0"]
        await account.cancel(made, symbol="BTC/USD")
        assert server.sent_of("/cancel")[2]["link"] == made


@scenario
async def test_how_it_ended_before_is_told_and_what_is_nowhere_isnt_found() -> None:
    server = new_server()
    (identity,) = there(server)
    server.end("key", identity)
    async with unfollowed(server) as account:
        outcome = await account.cancel(identity, symbol="BTC/USD")
        assert outcome.result is CancelResult.ENDED_BEFORE
        with pytest.raises(OrderNotFound):
            await account.cancel("nowhere", symbol="BTC/USD")


@pytest.mark.parametrize("fault", ["lose", "busy_after", "drop", "busy", "rate"])
def test_a_cancel_whose_answer_is_lost_ends_in_what_became_of_the_order(fault: str) -> None:
    @scenario
    async def test() -> None:
        server = new_server()
        (identity,) = there(server)
        left = [fault]

        def fail(path: str, asked: dict[str, Any]) -> str | None:
            return left.pop() if path == "/cancel" and left else None

        server.faults.append(fail)
        async with unfollowed(server) as account:
            outcome = await account.cancel(identity, symbol="BTC/USD")
            order = await account.fetch_order(identity, symbol="BTC/USD")
        assert outcome.result is CancelResult.ACCEPTED
        assert order.state is OrderState.CANCELED

    test()


@scenario
async def test_a_sweep_leaves_before_anything_is_asked_and_tells_what_it_has_canceled() -> None:
    server = new_server()
    ids = there(server, 3)
    async with unfollowed(server) as account:
        swept = await account.sweep()
        assert paths(server).index("/open") == paths(server).count("/cancel_all")
        assert {each.exchange_order_id for each in swept.canceled} == set(ids)
        assert swept.clean


@scenario
async def test_what_a_sweep_leaves_open_is_canceled_one_by_one_or_told() -> None:
    server = new_server()
    ids = there(server, 2)
    stubborn = {ids[0]}

    def fail(path: str, asked: dict[str, Any]) -> str | None:
        if path == "/cancel_all":
            return "busy"
        if path in ("/cancel", "/cancel_one") and asked.get("id") in stubborn:
            return "key"
        return None

    server.faults.append(fail)
    async with unfollowed(server) as account:
        swept = await account.sweep(symbol="BTC/USD")
        assert [each.exchange_order_id for each in swept.canceled] == ids[1:]
        assert [each.exchange_order_id for each in swept.left] == ids[:1]
        assert not swept.clean
        assert list(swept.failures) == [f"order {ids[0]}"]
        stubborn.clear()
        assert (await account.sweep(market="spot")).clean


@scenario
async def test_what_is_open_is_told_though_no_instrument_was_known() -> None:
    server = new_server()
    ids = there(server, 2)
    async with unfollowed(server) as account:
        found = await account.fetch_open_orders()
        assert [each.exchange_order_id for each in found] == ids
        assert (await account.fetch_balances())["USD"].total == 1_000_000


@scenario
async def test_what_it_would_have_to_follow_it_refuses() -> None:
    server = new_server()
    (identity,) = there(server)
    async with unfollowed(server) as account:
        await account.fetch_open_orders()
        order = limit("BTC/USD", "buy", size="1", price="90")
        for work in (
            account.place(order),
            account.place_many([order]),
            account.amend(identity, price="91"),
            account.replace(identity, order),
            account.cancel_all(),
            account.reconcile(),
        ):
            with pytest.raises(UsageError, match="follow=False"):
                await work
        with pytest.raises(UsageError, match="follow=False"):
            account.events()
    assert server.find("key", identity).open  # type: ignore[union-attr]
    async with client_of(server) as (client, _, _):
        with pytest.raises(UsageError, match="leave it out"):
            client.account(store=MemoryStore(), follow=False)
