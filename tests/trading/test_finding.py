"""Orders that the ledger has never heard of are found by either id; keys are hidden from whoever
shows what passes."""

from __future__ import annotations

import asyncio

import pytest

from ccrs_core import Credentials, OrderNotFound, OrderState, Origin, UsageError
from ccrs_core.client.account_opening import _hide
from ccrs_core.trading.canceling import CancelResult
from ccrs_core.trading.live_order import LiveOrder
from tests.trading.desk_server import DeskTransport
from tests.trading.desk_world import client_of, new_server, world
from tests.trading.test_placing import buy
from tests.virtual import scenario


def placed_elsewhere(link: str) -> dict[str, str]:
    names = {"market": "spot", "native": "BTCUSD", "side": "buy", "type": "limit"}
    return {**names, "link": link, "size": "1", "price": "90"}


@scenario
async def test_an_order_that_ended_before_the_ledger_began_is_found_by_either_id() -> None:
    server = new_server()
    ids = [server.place("key", placed_elsewhere(f"other{n}"))["id"] for n in range(2)]
    for each in ids:
        server.end("key", each)
    async with world(server=server) as seen:
        assert seen.account.order("other0") is None
        by_theirs = await seen.account.fetch_order("other0", symbol="BTC/USD")
        by_exchange = await seen.account.fetch_order(ids[1], symbol="BTC/USD")
        for order in (by_theirs, by_exchange):
            assert (order.state, order.origin) == (OrderState.CANCELED, Origin.OTHER)
        assert by_exchange.client_order_id == "other1"
        with pytest.raises(OrderNotFound, match="nowhere"):
            await seen.account.fetch_order("nowhere", symbol="BTC/USD")
        asked = len(server.calls)
        with pytest.raises(UsageError, match="say its symbol"):
            await seen.account.fetch_order("nowhere")
        assert len(server.calls) == asked


class Telltale(DeskTransport):
    """Shows what passes, but for what it is told to hide."""

    def hide(self, secret: str) -> None:
        self.hidden = {*getattr(self, "hidden", ()), secret}


@scenario
async def test_the_keys_of_an_account_are_hidden_from_what_shows_what_passes() -> None:
    async with client_of(new_server()) as (client, transport, _):
        transport.__class__ = Telltale
        keys = Credentials("key-of-b", "secret-of-b")
        async with client.account("b", credentials=keys, store="memory"):
            assert transport.hidden == {"key-of-b", "secret-of-b"}  # type: ignore[attr-defined]
    _hide(DeskTransport(new_server()), keys)  # one that shows nothing


@scenario
async def test_orders_of_other_programs_are_found_amended_and_canceled_as_own_ones_are() -> None:
    server = new_server()
    ids = [server.place("key", placed_elsewhere(f"other{n}"))["id"] for n in range(3)]
    async with world(server=server) as seen:
        account = seen.account
        found = account.order("other0")
        assert found is not None
        assert found.exchange_order_id == ids[0]
        amended = await account.amend("other0", price="91")
        assert amended.exchange_order_id == ids[0]
        assert (await account.cancel("other0")).order.exchange_order_id == ids[0]
        assert (await LiveOrder(account, found).ended(timeout=5)).state is OrderState.CANCELED
        assert (await account.cancel(ids[1])).result is CancelResult.ACCEPTED
        outcomes = await account.cancel_all(symbol="BTC/USD")
        assert [each.order.exchange_order_id for each in outcomes] == [ids[2]]  # type: ignore[union-attr]


@scenario
async def test_orders_of_two_instruments_may_have_one_id() -> None:
    async with world() as seen:
        asked = {"market": "spot", "link": "", "side": "buy", "type": "limit", "size": "1"}
        server = seen.server
        for native in ("BTCUSD", "ETHUSD"):
            server.push_of = lambda topic, row: []
            placed = server.place("key", {**asked, "native": native, "price": "100"})
            server.push_of = lambda topic, row: [0.0]
            order = server.book_of("key").orders.pop(placed["id"])
            order.row["id"] = "7"
            server.book_of("key").orders[native] = order
            server.tell("key", "orders", dict(order.row))
        await asyncio.sleep(0.1)
        account = seen.account
        orders = {o.symbol: o for o in account.orders() if o.exchange_order_id == "7"}
        assert set(orders) == {"BTC/USD", "ETH/USD"}
        for symbol, order in orders.items():
            live = LiveOrder(account, order)
            assert live.now.symbol == symbol
            server.calls.clear()
            await account.cancel(order)
            [sent] = server.sent_of("/cancel")
            assert sent["native"] == symbol.replace("/", "")
        waiting = asyncio.ensure_future(LiveOrder(account, orders["BTC/USD"]).ended())
        await asyncio.sleep(0.1)
        row = server.book_of("key").orders["BTCUSD"].row
        row |= {"state": "canceled", "at": server.wall_ns()}
        server.tell("key", "orders", dict(row))
        ended = await asyncio.wait_for(waiting, 5.0)
        assert (ended.symbol, ended.state) == ("BTC/USD", OrderState.CANCELED)
        [other] = account.open_orders()
        assert other.symbol == "ETH/USD"


@scenario
async def test_an_open_order_is_missed_though_another_instruments_has_its_id() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        server = seen.server
        server.push_of = lambda topic, row: []
        server.end("key", live.id)
        asked = {"market": "spot", "link": "", "side": "buy", "type": "limit", "size": "1"}
        placed = server.place("key", {**asked, "native": "ETHUSD", "price": "100"})
        other = server.book_of("key").orders.pop(placed["id"])
        other.row["id"] = live.exchange_order_id
        server.book_of("key").orders["other"] = other
        await seen.account.reconcile()
        assert live.state is OrderState.CANCELED
