"""A ledger held against the exchange: what one has and the other hasn't is told, what moves
meanwhile is not, and what couldn't be looked at is said."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

from ccrs_core import Comparison, MemoryStore, UsageError, limit, market
from ccrs_core.trading.store import Entry
from ccrs_core.transport.memory import VirtualClock
from tests.trading.desk_world import World, client_of, new_server, world
from tests.trading.test_finding import placed_elsewhere
from tests.virtual import scenario


async def traded(seen: World) -> None:
    """Some fills, a position, an open order; a while ago."""
    account = seen.account
    for symbol in ("BTC/USD", "BTC/USD:USD"):
        live = await account.place(limit(symbol, "buy", size="2", price="90"))
        seen.server.fill("key", live.id, "1")
        seen.server.fill("key", live.id, "0.5")
    await asyncio.sleep(200.0)


def told(found: Comparison) -> set[tuple[str, bool, bool]]:
    return {(d.about, bool(d.ledger), bool(d.exchange)) for d in found.differences}


@scenario
async def test_a_right_ledger_agrees_and_says_what_was_looked_at() -> None:
    async with world() as seen:
        await traded(seen)
        calls, number = len(seen.server.calls), seen.account.number
        found = await seen.account.compare()
        assert found.agrees, [str(each) for each in found.differences]
        assert found.newer == ()
        # The desk keeps seven days, and a ledger begins seven days before it is opened.
        assert all("keeps them no more" in text for text in found.left_out)
        looked = "; ".join(found.looked_at)
        for what in ("fills of spot", "open orders of linear", "positions of", "balances"):
            assert what in looked
        assert looked.count(": 2") >= 2, "the fills of both markets"
        assert seen.account.number == number, "nothing is taken in by it"
        asked = {path for _, path, _ in seen.server.calls[calls:]}
        assert asked <= {"/open", "/fills", "/positions", "/wallet"}


def without(store: MemoryStore, number: int) -> None:
    """A store that has lost an entry."""
    entry = store._entries.pop(number)
    store._numbers.remove(number)
    store._keys.pop(entry.key, None)


def last_fill(store: MemoryStore) -> Entry:
    return next(e for e in reversed(store._entries.values()) if e.event.type == "fill")


@scenario
async def test_a_fill_that_the_ledger_has_lost_is_told_and_one_that_it_invented() -> None:
    store = MemoryStore()
    async with world(store=store) as seen:
        await traded(seen)
        entry = last_fill(store)
        without(store, entry.number)
        found = await seen.account.compare()
        assert told(found) == {("fill", False, True)}
        fill: Any = entry.event
        assert fill.fill_id in str(found.differences[0])
        invented = attrs.evolve(fill, fill_id="nobodys")
        store._entries[entry.number] = attrs.evolve(entry, event=invented, key="fill nobodys")
        store._numbers.append(entry.number)
        store._numbers.sort()
        found = await seen.account.compare()
        assert told(found) == {("fill", False, True), ("fill", True, False)}
        other = attrs.evolve(fill, size=fill.size * 2)
        store._entries[entry.number] = attrs.evolve(entry, event=other)
        store._keys[entry.key] = entry.number
        assert told(await seen.account.compare()) == {("fill", True, True)}


@scenario
async def test_orders_that_one_side_alone_has_open_are_told() -> None:
    store = MemoryStore()
    async with world(store=store) as seen:
        await traded(seen)
        index = seen.account._parts.ledger._books.index
        (order,) = [o for o in seen.account.open_orders() if o.symbol == "BTC/USD"]
        record = index.own(order.client_order_id)
        assert record is not None
        index.drop(record)
        store._remove(record.key)
        found = await seen.account.compare()
        assert told(found) == {("order", False, True)}
    async with world() as seen:
        await traded(seen)
        book = seen.server.book_of("key")
        identity = next(iter(book.orders))
        del book.orders[identity]
        found = await seen.account.compare()
        assert told(found) == {("order", True, False)}
        assert identity in str(found.differences[0])


@scenario
async def test_positions_and_balances_that_no_entry_explains_are_told() -> None:
    async with world() as seen:
        await traded(seen)
        book = seen.server.book_of("key")
        ((native, size),) = book.positions.items()
        book.positions[native] = size + 1
        book.usd += 7
        found = await seen.account.compare()
        assert told(found) == {("position", True, True), ("balance", True, True)}


@scenario
async def test_what_a_young_ledger_cant_know_yet_is_left_out() -> None:
    server = new_server()
    server.wall_ns = VirtualClock().time_ns
    placed = {**placed_elsewhere("before"), "market": "linear", "native": "BTCUSD"}
    identity = server.place("key", placed)["id"]
    server.fill("key", identity, "1")
    async with world(server=server) as seen:
        found = await seen.account.compare(quiet=True)
        assert found.agrees, [str(each) for each in found.differences]
        assert any("position" in text and "too young" in text for text in found.left_out)
        await asyncio.sleep(400.0)
        found = await seen.account.compare()
        assert found.agrees, [str(each) for each in found.differences]
        assert not any("too young" in text for text in found.left_out)


@scenario
async def test_what_moves_while_it_is_compared_is_no_difference() -> None:
    async with world() as seen:
        await traded(seen)

        async def go_on() -> None:
            while True:
                live = await seen.account.place(market("BTC/USD:USD", "buy", size="1"))
                seen.server.fill("key", live.id, "1", "100", maker=False)
                await asyncio.sleep(0.7)

        # What the exchange says is some fills old when it arrives.
        seen.transport.answer_after = lambda path: 1.6 if path == "/positions" else 0.0
        busy = asyncio.ensure_future(go_on())
        try:
            found = await seen.account.compare()
        finally:
            busy.cancel()
        assert found.agrees, [str(each) for each in found.differences]


@scenario
async def test_orders_that_end_while_their_list_is_on_its_way_are_no_difference() -> None:
    async with world() as seen:
        orders = [
            await seen.account.place(limit("BTC/USD", "buy", size="1", price="90"))
            for _ in range(30)
        ]
        await asyncio.sleep(200.0)

        async def go_on() -> None:
            for each in orders:
                seen.server.end("key", each.exchange_order_id)
                await asyncio.sleep(1.0)

        seen.transport.answer_after = lambda path: 1.6 if path == "/open" else 0.0
        busy = asyncio.ensure_future(go_on())
        try:
            found = await seen.account.compare()
        finally:
            busy.cancel()
        assert found.agrees, [str(each) for each in found.differences]


@scenario
async def test_what_came_after_a_ledger_was_read_last_is_newer_not_wrong() -> None:
    server, store = new_server(), MemoryStore()
    async with world(server=server, store=store) as seen:
        await traded(seen)
    identity = server.place("key", placed_elsewhere("later"))["id"]
    server.fill("key", identity, "0.5")
    await asyncio.sleep(600.0)
    async with client_of(server) as (client, _, _), client.account(follow=False) as account:
        with pytest.raises(UsageError, match="follow=False"):
            await account.compare()
        found = await account.compare(store=store)
        assert found.agrees, [str(each) for each in found.differences]
        assert any("1 fills of spot since" in text for text in found.newer)
        assert any(identity in text for text in found.newer)


@scenario
async def test_a_comparison_is_complete_only_if_each_list_was_answered() -> None:
    async with world() as seen:
        await traded(seen)
        assert (await seen.account.compare()).complete
        seen.server.faults.append(lambda path, asked: "key" if path == "/positions" else None)
        found = await seen.account.compare()
        assert found.agrees
        assert not found.complete
        assert any("positions of linear" in text for text in found.unread)
