"""Mistakes that people make are told where they are made, and nothing leaves for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ccrs_core import (
    Amendment,
    Exit,
    MemoryStore,
    OrderNotFound,
    OrderState,
    UsageError,
    limit,
    market,
)
from ccrs_core.trading.account import Account
from tests.trading.desk_world import World, client_of, new_server, world
from tests.virtual import scenario

_Made = Callable[[], object]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: limit("BTC/USD", "long", size="1", price="1"), 'side must be "buy" or "sell"'),
        (lambda: market("BTC/USD", "BUY", size="1"), 'side must be "buy" or "sell", not \'BUY\''),
        (
            lambda: limit("BTC/USD", "buy", size="1", price="1", time_in_force="GTC"),
            'time_in_force must be "gtc", "ioc" or "fok"',
        ),
        (
            lambda: limit("BTC/USD", "buy", size="1", price="1", position_side="both"),
            'position_side must be "net", "long" or "short"',
        ),
        (
            lambda: limit("BTC/USD", "buy", size="1", price="1", self_trade_prevention="yes"),
            "self_trade_prevention must be",
        ),
        (
            lambda: limit("BTC/USD", "buy", size="1", price="1", stop_loss="9"),
            r"stop_loss must be an Exit\(price=…\), not '9'",
        ),
        (lambda: Amendment(take_profit="9"), "take_profit must be an Exit"),  # type: ignore[arg-type]
        (
            lambda: limit("BTC/USD", "buy", size="1", price="1", trigger="9"),
            "trigger must say to what the price goes, and which way",
        ),
        (lambda: Exit(price="9", by="bid"), 'by must be "last", "mark" or "index"'),
    ],
)
def test_words_that_are_none_are_told_with_those_that_are(made: _Made, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        made()


_ORDER = limit("BTC/USD", "buy", size="1", price="90")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (lambda a: a.place([_ORDER]), r"made by limit\(\) or market\(\)"),
        (lambda a: a.place_many(_ORDER), "place takes one"),
        (lambda a: a.place_many([_ORDER, None]), r"made by limit\(\) or market\(\)"),
        (lambda a: a.replace("x", "y"), r"made by limit\(\) or market\(\)"),
        (lambda a: a.place(_ORDER, when_full="collapse"), "is for amendments"),
        (lambda a: a.place_many([_ORDER], when_full="collapse"), "is for amendments"),
        (lambda a: a.amend("x", price="1", when_full="merge"), '"wait", "refuse" or "collapse"'),
        (lambda a: a.cancel_all(market="perp"), 'market must be "spot"'),
        (lambda a: a.fetch_fills(market="perp"), 'market must be "spot"'),
        (lambda a: a.set_margin_mode("crossed"), 'mode must be "cross"'),
    ],
)
def test_calls_that_mean_nothing_are_refused_before_a_byte_leaves(
    asked: Callable[[Account], Any], told: str
) -> None:
    @scenario
    async def run() -> None:
        async with world() as seen:
            calls = len(seen.server.calls)
            with pytest.raises(UsageError, match=told):
                await asked(seen.account)
            assert len(seen.server.calls) == calls

    run()


@scenario
async def test_a_name_of_the_exchanges_own_has_no_exposure_but_an_error() -> None:
    async with world() as seen:
        account = seen.account
        await account.place(_ORDER)
        assert account.exposure("BTC/USD").open_buys == 1
        assert account.exposure("NEW/USD").open_buys == 0, "it may be listed in a moment"
        reads: list[Callable[[str], object]] = [
            account.exposure,
            account.profit,
            lambda name: account.orders(symbol=name),
            lambda name: account.open_orders(symbol=name),
            lambda name: account.unknown_orders(symbol=name),
            lambda name: account.positions(symbol=name),
        ]
        for read in reads:
            with pytest.raises(UsageError, match="is not a unified symbol"):
                read("BTCUSD")


async def _elsewhere(seen: World) -> str:
    """The id of an order of BTC/USD that the ledger knows."""
    return (await seen.account.place(_ORDER)).exchange_order_id


@scenario
async def test_an_id_never_reaches_an_order_of_another_symbol_than_is_said() -> None:
    async with world() as seen:
        account, identity = seen.account, await _elsewhere(seen)
        seen.server.faults.append(
            lambda path, asked: (
                "not_found" if path == "/cancel" and "ETH" in asked["native"] else None
            )
        )
        with pytest.raises(OrderNotFound):
            await account.cancel(identity, symbol="ETH/USD")
        with pytest.raises(OrderNotFound):
            await account.fetch_order(identity, symbol="ETH/USD")
        assert {each["native"] for each in seen.server.sent_of("/cancel")} == {"ETHUSD"}
        known = account.order(identity)
        assert known is not None
        with pytest.raises(UsageError, match="isn't of ETH/USD"):
            await account.cancel(known, symbol="ETH/USD")
        assert [each.exchange_order_id for each in account.open_orders()] == [identity]
        assert str(await account.cancel(identity, symbol="BTC/USD")).startswith("accepted: buy 1")


@scenario
async def test_fills_and_past_orders_are_had_of_all_markets_at_once() -> None:
    async with world() as seen:
        account = seen.account
        for symbol in ("BTC/USD:USD", "BTC/USD"):
            live = await account.place(limit(symbol, "buy", size="1", price="90"))
            seen.server.fill("key", live.id, "1")
            await asyncio.sleep(1.0)
            assert (await live.completed(timeout=1.0)).fills_complete
        fills = await account.fetch_fills()
        assert [each.symbol for each in fills] == ["BTC/USD:USD", "BTC/USD"]
        assert [each.symbol for each in await account.fetch_fills(limit=1)] == ["BTC/USD"]
        past = await account.fetch_order_history()
        assert [each.symbol for each in past] == ["BTC/USD:USD", "BTC/USD"]
        assert len(await account.fetch_order_history(limit=1)) == 1


@scenario
async def test_own_orders_have_ended_in_the_ledger_once_the_block_that_cancels_them_has() -> None:
    store = MemoryStore()
    async with world(store=store, on_exit="cancel_own") as seen:
        orders = [await seen.account.place(_ORDER) for _ in range(2)]
        seen.server.confirm = lambda act, asked: 0.5  # taken at once, done later
    assert {live.state for live in orders} == {OrderState.CANCELED}
    assert seen.account.open_orders() == []


@scenario
async def test_an_order_that_ended_after_a_ledger_was_read_is_newer_not_wrong() -> None:
    server, store = new_server(), MemoryStore()
    async with world(server=server, store=store) as seen:
        identity = await _elsewhere(seen)
        await asyncio.sleep(200.0)
    await asyncio.sleep(1.0)
    async with client_of(server) as (client, _, _), client.account(follow=False) as account:
        await account.cancel(identity, symbol="BTC/USD")
        await asyncio.sleep(1.0)
        found = await account.compare(store=store)
        assert found.agrees, [str(each) for each in found.differences]
        assert any(identity in text and "canceled" in text for text in found.newer)
