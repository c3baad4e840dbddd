"""Orders that no list shows any more: each is asked for in its turn, and one of which the answer
can't be read keeps nobody from the others."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs
import pytest

from ccrs_core import Market, OrderState, Side, limit
from ccrs_core.contract.rest import Answer, HttpResponse
from ccrs_core.contract.trading_requests import (
    GetOpenOrders,
    GetOrder,
    GetOrderHistory,
    GetPositions,
)
from ccrs_core.errors import DecodeError, InvalidRequest
from tests.trading.desk_toy import TRADING, Desk
from tests.trading.desk_world import World, world
from tests.trading.test_finding import placed_elsewhere
from tests.trading.test_placing import buy
from tests.virtual import scenario


class WithoutHistory(Desk):
    """An exchange that lists no past orders: each is asked for by itself."""

    endpoints = {k: v for k, v in Desk.endpoints.items() if k is not GetOrderHistory}  # noqa: RUF012


async def ended_unheard(seen: World, count: int) -> list[str]:
    """Orders that have been canceled, of which no stream has told."""
    ids = []
    for number in range(count):
        live = await seen.account.place(buy(client_order_id=f"order{number:02d}"))
        ids.append(live.id)
    await asyncio.sleep(0.1)
    seen.server.push_of = lambda topic, row: []
    for each in ids:
        seen.server.end("key", each)
    return ids


@pytest.mark.parametrize("error", [DecodeError("what?"), InvalidRequest("7", "no such id")])
def test_an_order_whose_answer_can_not_be_read_keeps_no_other_from_being_explained(
    error: Exception,
) -> None:
    whole = WithoutHistory.endpoints[GetOrder]

    def decode(request: Any, response: HttpResponse, now: int, cursor: str | None) -> Any:
        if request.client_order_id == "order00":
            raise error
        return whole.decode(request, response, now, cursor)

    class Odd(WithoutHistory):
        endpoints = {**WithoutHistory.endpoints, GetOrder: attrs.evolve(whole, decode=decode)}  # noqa: RUF012

    @scenario
    async def story() -> None:
        async with world(Odd()) as seen:
            await ended_unheard(seen, 3)
            done = await seen.account.reconcile()
            assert not done.whole
            (left,) = seen.account.open_orders()
            assert left.client_order_id == "order00"

    story()


@scenario
async def test_an_order_that_ended_unheard_is_found_out_of_though_another_has_its_id_now() -> None:
    async with world(WithoutHistory()) as seen:
        server = seen.server
        first = server.place("key", placed_elsewhere("web1"))["id"]
        await asyncio.sleep(0.1)
        (known,) = seen.account.open_orders()
        server.push_of = lambda topic, row: []
        server.end("key", first)
        second = server.place("key", placed_elsewhere("web2"))
        server.book_of("key").orders[second["id"]].row["link"] = "web1"  # which was free again
        await seen.account.reconcile()
        (left,) = seen.account.open_orders()
        assert left.exchange_order_id == second["id"]
        assert seen.account.newest(known).state is OrderState.CANCELED


@scenario
async def test_more_missing_orders_than_a_reading_asks_for_each_have_their_turn() -> None:
    async with world(WithoutHistory()) as seen:
        ids = await ended_unheard(seen, 45)
        find = seen.server.find
        # The first twenty are denied for long, so that none of them is explained.
        hidden = set(ids[:20])
        seen.server.find = lambda key, link: None if link in hidden else find(key, link)  # type: ignore[method-assign,assignment]
        for order in seen.server.book_of("key").orders.values():
            if order.row["link"] in hidden:
                hidden.add(order.row["id"])
        for _ in range(3):
            await seen.account.reconcile()
        assert {o.client_order_id for o in seen.account.open_orders()} == set(ids[:20])
        for _ in range(6):
            await asyncio.sleep(60.0)
            await seen.account.reconcile()
        assert not seen.account.open_orders()
        states = {seen.account.order(each).state for each in ids}  # type: ignore[union-attr]
        assert states == {OrderState.CANCELED}


class Settled(Desk):
    """Positions and open orders are asked for by settlement asset; of one nothing is readable."""

    broken = "EUR"

    def __init__(self) -> None:
        super().__init__()
        self.trading = attrs.evolve(TRADING, settles={Market.LINEAR: ("EUR", "USD")})
        self.endpoints = dict(Desk.endpoints)
        for kind in (GetPositions, GetOpenOrders):
            self.endpoints[kind] = attrs.evolve(
                Desk.endpoints[kind], decode=self._decode(Desk.endpoints[kind].decode)
            )

    def _decode(self, whole: Any) -> Any:
        def decode(request: Any, response: HttpResponse, now: int, cursor: str | None) -> Any:
            if request.settle == self.broken:
                raise DecodeError("none of 1 rows can be read")
            if request.settle == "EUR":
                return Answer([])
            return whole(request, response, now, cursor)

        return decode


@scenario
async def test_positions_and_orders_of_one_asset_that_can_not_be_read_keep_no_others_away() -> None:
    async with world(Settled()) as seen:
        live = await seen.account.place(limit("BTC/USD:USD", Side.BUY, price="100", size="2"))
        seen.server.push_of = lambda topic, row: []
        seen.server.fill("key", live.id, "1")
        other = {"market": "linear", "native": "BTCUSD", "link": "", "side": "buy", "type": "limit"}
        seen.server.place("key", {**other, "size": "1", "price": "90"})
        done = await seen.account.reconcile()
        assert set(done.failures) == {"orders of linear", "positions of linear"}
        (held,) = seen.account.positions()
        assert (held.size, held.verified) == (1, True)
        assert len(seen.account.open_orders()) == 2
