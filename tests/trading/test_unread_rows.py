"""Lists of which some rows can't be read, are of no known instrument, or never end: the rest is
taken, and nothing is concluded from what isn't there."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import attrs
import orjson
import pytest

from ccrs_core import (
    Adjustment,
    AdjustmentKind,
    Fill,
    Gap,
    Market,
    MemoryStore,
    Side,
    limit,
)
from ccrs_core.contract.rest import Answer, GetInstruments, HttpResponse
from ccrs_core.contract.trading_requests import (
    GetFills,
    GetOpenOrders,
    GetOrder,
    GetPositions,
    GetWallet,
)
from ccrs_core.errors import DecodeError, InvalidRequest
from ccrs_core.transport.memory import VirtualClock
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import new_server, world
from tests.trading.test_placing import buy
from tests.virtual import scenario


def patchy(*kinds: type[Any]) -> Desk:
    """A plugin that can't read rows which are ``odd``."""

    class Patchy(Desk):
        endpoints = dict(Desk.endpoints)  # noqa: RUF012

    def decode(kind: type[Any]) -> Any:
        whole = Desk.endpoints[kind].decode

        def some(request: Any, response: HttpResponse, now: int, cursor: str | None) -> Any:
            rows = orjson.loads(response.body)
            good = [row for row in rows if not row.get("odd")]
            answer = whole(request, HttpResponse(200, {}, orjson.dumps(good)), now, cursor)
            return attrs.evolve(answer, left_out=len(rows) - len(good), reason="odd")

        return some

    for kind in kinds:
        endpoint = Desk.endpoints[kind]
        Patchy.endpoints[kind] = attrs.evolve(endpoint, decode=decode(kind))
    return Patchy()


@scenario
async def test_a_fill_that_can_not_be_read_keeps_its_cursor_until_it_can() -> None:
    store, server = MemoryStore(), new_server()
    async with world(patchy(GetFills), server=server, store=store) as seen:
        live = await seen.account.place(buy())
        server.push_of = lambda topic, row: []
        for size in ("0.1", "0.2"):
            server.fill("key", live.id, size)
        server.book_of("key").fills[0][1]["odd"] = True
        done = await seen.account.reconcile()
        assert not done.whole
        assert not seen.account.synced
        assert "can't be read" in seen.account.reason
        await asyncio.sleep(600.0)  # longer than lists overlap
        assert [fill.size for fill in seen.of(Fill)] == [Decimal("0.2")]
    async with world(server=server, store=store, since=0) as seen:  # by a newer version
        assert [fill.size for fill in seen.of(Fill)] == [Decimal("0.2"), Decimal("0.1")]
        assert seen.account.synced


@pytest.mark.parametrize("kind", [GetPositions, GetWallet])
def test_what_may_be_in_a_row_that_can_not_be_read_is_not_gone(kind: type[Any]) -> None:
    @scenario
    async def story() -> None:
        async with world(patchy(kind)) as seen:
            live = await seen.account.place(limit("BTC/USD:USD", Side.BUY, price="100", size="1"))
            seen.server.fill("key", live.id, "1")
            await asyncio.sleep(0.1)
            [held], usd = seen.account.positions(), seen.account.balances()["USD"]
            name = "_position" if kind is GetPositions else "_usd"
            row = getattr(seen.server, name)
            setattr(seen.server, name, lambda *of: {**row(*of), "odd": True})
            await seen.account.reconcile()
            assert not seen.account.synced
            assert [each.size for each in seen.account.positions()] == [held.size]
            assert seen.account.balances()["USD"].total == usd.total
            [shown] = seen.account.positions()
            assert shown.verified is (kind is GetWallet)
            setattr(seen.server, name, row)
            await seen.account.reconcile()
            assert seen.account.synced

    story()


@scenario
async def test_an_open_order_that_can_not_be_read_is_told_and_keeps_no_other_away() -> None:
    async with world(patchy(GetOpenOrders)) as seen:
        for price in ("98", "99"):
            asked = {"market": "spot", "native": "BTCUSD", "link": "", "side": "buy"}
            seen.server.push_of = lambda topic, row: []
            seen.server.place("key", {**asked, "type": "limit", "size": "1", "price": price})
        next(iter(seen.server.book_of("key").orders.values())).row["odd"] = True
        await seen.account.reconcile()
        assert not seen.account.synced
        assert [order.price for order in seen.account.orders()] == [Decimal(99)]


@scenario
async def test_a_position_of_what_is_not_listed_any_more_is_not_flat() -> None:
    server, store = new_server(), MemoryStore()
    async with world(server=server, store=store) as seen:
        live = await seen.account.place(limit("BTC/USD:USD", Side.BUY, price="100", size="1"))
        server.fill("key", live.id, "1")
        await asyncio.sleep(0.1)

    class Delisted(Desk):
        endpoints = dict(Desk.endpoints)  # noqa: RUF012

    listing = Desk.endpoints[GetInstruments]
    Delisted.endpoints[GetInstruments] = attrs.evolve(
        listing,
        decode=lambda request, response, now, cursor: Answer(
            []
            if request.market == "linear"
            else listing.decode(request, response, now, cursor).value
        ),
    )
    async with world(Delisted(), server=server, store=store) as seen:
        await seen.account.reconcile()
        assert [each.size for each in seen.account.positions()] == [Decimal(1)]


@scenario
async def test_what_was_there_before_is_told_when_the_fills_of_an_unlisted_instrument_are() -> None:
    server, listed = new_server(), False

    class Late(Desk):
        endpoints = dict(Desk.endpoints)  # noqa: RUF012

    listing = Desk.endpoints[GetInstruments]
    Late.endpoints[GetInstruments] = attrs.evolve(
        listing,
        decode=lambda request, response, now, cursor: Answer(
            [
                each
                for each in listing.decode(request, response, now, cursor).value
                if listed or each.market is not Market.LINEAR
            ]
        ),
    )
    server.wall_ns = VirtualClock().time_ns
    for market in ("linear", "spot"):
        row = {"market": market, "native": "BTCUSD", "side": "buy", "size": "1", "price": "100"}
        placed = server.place("key", {**row, "link": "", "type": "limit", "tif": "gtc"})
        server.fill("key", placed["id"], "1")
    async with world(Late(), server=server) as seen:
        await asyncio.sleep(130.0)
        assert [each.market for each in seen.of(Fill)] == [Market.SPOT]
        assert not seen.of(Adjustment)
        listed = True
        await asyncio.sleep(130.0)
        assert [each.market for each in seen.of(Fill)] == [Market.SPOT, Market.LINEAR]
        assert {each.kind for each in seen.of(Adjustment)} == {AdjustmentKind.OPENING}
        assert seen.account.synced
        numbers = [each.number for each in seen.events if isinstance(each, Fill | Adjustment)]
        assert numbers == sorted(numbers)


@scenario
async def test_reports_of_what_is_not_listed_wait_once_each_however_often_they_come() -> None:
    async with world() as seen:
        row = {"market": "linear", "native": "NEWUSD", "size": "1", "seq": 1, "at": 1}
        for number in range(50):
            seen.server.tell("key", "positions", {**row, "seq": number})
            await asyncio.sleep(0.1)
        assert len(seen.account._parts.taking._unplaced) == 1
        assert len(seen.of(Gap)) == 1
        assert seen.account.synced


@scenario
async def test_an_order_that_can_not_be_looked_up_keeps_no_fill_away() -> None:
    class Deaf(Desk):
        endpoints = dict(Desk.endpoints)  # noqa: RUF012

    whole = Desk.endpoints[GetOrder]

    def decode(request: Any, response: HttpResponse, now: int, cursor: str | None) -> Any:
        raise (InvalidRequest("7", "no such id"), DecodeError("what?"))[request.history]

    Deaf.endpoints[GetOrder] = attrs.evolve(whole, decode=decode)
    async with world(Deaf()) as seen:
        seen.server.push_of = lambda topic, row: []
        asked = {"market": "spot", "native": "BTCUSD", "link": "", "side": "buy", "type": "limit"}
        placed = seen.server.place("key", {**asked, "size": "1", "price": "100"})
        seen.server.fill("key", placed["id"], "1")
        seen.server.book_of("key").orders.clear()
        await seen.account.reconcile()
        await asyncio.sleep(0.1)
        assert seen.account.synced
        assert [fill.size for fill in seen.of(Fill)] == [Decimal(1)]


@scenario
async def test_pages_that_bring_the_same_rows_over_and_over_end() -> None:
    class Endless(Desk):
        endpoints = dict(Desk.endpoints)  # noqa: RUF012
        pages = 0

    whole = Desk.endpoints[GetFills]

    def decode(request: Any, response: HttpResponse, now: int, cursor: str | None) -> Any:
        Endless.pages += 1
        answer = whole.decode(request, response, now, cursor)
        return attrs.evolve(answer, cursor=f"page {Endless.pages}" if answer.value else None)

    Endless.endpoints[GetFills] = attrs.evolve(whole, decode=decode)
    async with world(Endless()) as seen:
        live = await seen.account.place(buy())
        seen.server.fill("key", live.id, "1")
        await asyncio.sleep(0.1)
        done = await seen.account.reconcile()
        assert "over and over" in str(done)
        assert Endless.pages < 20


@scenario
async def test_lists_that_take_for_ever_are_not_known() -> None:
    async with world() as seen:
        seen.transport.answer_after = lambda path: 1000.0 if path == "/fills" else 0.0
        reading = asyncio.ensure_future(seen.account.reconcile())
        await asyncio.sleep(100.0)
        assert seen.account.synced
        await asyncio.sleep(100.0)
        assert not seen.account.synced
        assert "takes more than" in seen.account.reason
        seen.transport.answer_after = lambda path: 0.0
        await reading
        assert seen.account.synced
