"""What one does with an order whose trigger fires: waits, cancels, amendments, restarts."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from ccrs_core import (
    CancelResult,
    Fill,
    InvalidOrder,
    OrderEnded,
    OrderState,
    Origin,
    Side,
    Trigger,
)
from ccrs_core.errors import EndReason
from ccrs_core.model.order_requests import OrderRequest, limit
from ccrs_core.trading.live_order import LiveOrder
from ccrs_core.trading.memory_store import MemoryStore
from tests.trading.desk_world import World, new_server, world
from tests.virtual import scenario

D = Decimal


def stop(size: str = "1") -> OrderRequest:
    trigger = Trigger(price=D(99), rises=False)
    return limit("BTC/USD", Side.SELL, size=size, price="98", trigger=trigger)


async def guarded(seen: World) -> LiveOrder:
    """A stop that waits."""
    live = await seen.account.place(stop())
    await asyncio.sleep(0.1)
    assert live.state is OrderState.WAITING
    return live


def sent(seen: World, path: str) -> list[dict[str, Any]]:
    return seen.server.sent_of(path)


@scenario
async def test_who_waits_for_a_stop_is_told_when_what_it_has_placed_is_filled() -> None:
    """M3."""
    async with world() as seen:
        live = await guarded(seen)
        waits = asyncio.ensure_future(live.filled(timeout=60.0))
        child = seen.server.fire("key", live.id)
        await asyncio.sleep(0.1)
        assert (live.state, live.now.children) == (OrderState.OPEN, (child,))
        seen.server.fill("key", child, "0.2", "98.5")
        await asyncio.sleep(0.1)
        assert (live.filled_size, live.average_price) == (D("0.2"), D("98.5"))
        assert not waits.done()
        exposure = seen.account.exposure("BTC/USD")
        assert (exposure.open_sells, exposure.unknown_sells) == (D("0.8"), 0)
        seen.server.fill("key", child, "0.8", "98.4")
        assert (await waits).fills_complete
        placed = seen.account.order(child)
        assert placed is not None
        assert (placed.origin, placed.fired_by) == (Origin.OWN, live.exchange_order_id)
        assert [each.exchange_order_id for each in seen.of(Fill)] == [child, child]
        assert {each.origin for each in seen.of(Fill)} == {Origin.OWN}
        assert not seen.account.open_orders()


@scenario
async def test_a_refused_child_ends_the_guard_with_its_reason() -> None:
    async with world() as seen:
        live = await guarded(seen)
        child = seen.server.fire("key", live.id)
        seen.server.end("key", child, "rejected", "balance")
        with pytest.raises(OrderEnded) as ended:
            await live.filled(timeout=5.0)
        assert ended.value.order is not None
        assert ended.value.order.state is OrderState.REJECTED
        assert ended.value.order.reason is EndReason.BALANCE


@scenario
async def test_a_cancel_reaches_what_a_fired_guard_has_placed() -> None:
    async with world() as seen:
        live = await guarded(seen)
        child = seen.server.fire("key", live.id)
        seen.server.fill("key", child, "0.3")
        await asyncio.sleep(0.1)
        outcome = await seen.account.cancel(live)
        assert outcome.result is CancelResult.ACCEPTED
        await live.ended(timeout=5.0)
        assert (live.state, live.filled_size) == (OrderState.CANCELED, D("0.3"))
        assert [each["id"] for each in sent(seen, "/cancel")] == [child]
        again = await seen.account.cancel(live)
        assert again.result is CancelResult.ENDED_BEFORE


@scenario
async def test_a_cancel_that_meets_a_trigger_that_fires_goes_on_to_what_that_places() -> None:
    """M3: -4117 is no failure; the streams tell nothing of it in time."""
    async with world() as seen:
        live = await guarded(seen)
        seen.server.list_lag = 2.0
        child = seen.server.fire("key", live.id, told=False)
        outcome = await seen.account.cancel(live)
        assert outcome.result is CancelResult.ACCEPTED
        await live.ended(timeout=5.0)
        assert live.state is OrderState.CANCELED
        assert [each["id"] for each in sent(seen, "/cancel")][-1] == child


@scenario
async def test_cancel_all_takes_what_waits_and_what_was_placed_once() -> None:
    async with world() as seen:
        fired, waits = await guarded(seen), await guarded(seen)
        child = seen.server.fire("key", fired.id)
        await asyncio.sleep(0.1)
        outcomes = await seen.account.cancel_all(own=True)
        assert {each.order.exchange_order_id for each in outcomes} == {  # type: ignore[union-attr]
            child,
            waits.exchange_order_id,
        }
        await asyncio.sleep(0.5)
        assert (fired.state, waits.state) == (OrderState.CANCELED, OrderState.CANCELED)
        for each in (await guarded(seen), await guarded(seen)):
            seen.server.fire("key", each.id)
        await asyncio.sleep(0.1)
        many = await seen.account.cancel_many(seen.account.open_orders())
        assert not [each for each in many if isinstance(each, Exception)]
        await asyncio.sleep(0.5)
        assert not seen.account.open_orders()


@scenario
async def test_an_amendment_reaches_what_a_fired_guard_has_placed() -> None:
    async with world() as seen:
        live = await guarded(seen)
        child = seen.server.fire("key", live.id)
        await asyncio.sleep(0.1)
        changed = await seen.account.amend(live, price="97")
        assert changed.exchange_order_id == child
        assert [each["id"] for each in sent(seen, "/amend")] == [child]
        with pytest.raises(InvalidOrder, match="it has fired"):
            await seen.account.amend(live, trigger=Trigger(price=D(96), rises=False))
        two = await seen.account.place(stop("2"))
        await asyncio.sleep(0.1)
        for _ in range(2):
            seen.server.fire("key", two.id, "1")
        await asyncio.sleep(0.1)
        with pytest.raises(InvalidOrder, match="several"):
            await seen.account.amend(two, price="97")
        first, second = await seen.account.amend_many([(live, _price("96")), (two, _price("96"))])
        assert first.exchange_order_id == child  # type: ignore[union-attr]
        assert isinstance(second, InvalidOrder)


def _price(price: str) -> Any:
    from ccrs_core import Amendment

    return Amendment(price=D(price))


@scenario
async def test_several_children_fill_one_guard() -> None:
    async with world() as seen:
        live = await seen.account.place(stop("2"))
        await asyncio.sleep(0.1)
        first = seen.server.fire("key", live.id, "1", last=False)
        seen.server.fill("key", first, "1")
        second = seen.server.fire("key", live.id, "1")
        await asyncio.sleep(0.1)
        assert (live.now.children, live.filled_size) == ((first, second), 1)
        assert seen.account.exposure("BTC/USD").open_sells == 1
        seen.server.fill("key", second, "1")
        assert (await live.filled(timeout=5.0)).filled_size == 2


@scenario
async def test_what_fired_while_nobody_was_there_is_found_after_a_start() -> None:
    server, store = new_server(), MemoryStore()
    async with world(server=server, store=store) as seen:
        identity = (await guarded(seen)).id
    child = server.fire("key", identity)
    server.fill("key", child, "0.4")
    async with world(server=server, store=store) as seen:
        await asyncio.sleep(1.0)
        live = LiveOrder(seen.account, seen.account.order(identity))  # type: ignore[arg-type]
        assert (live.filled_size, live.now.children) == (D("0.4"), (child,))
    server.fill("key", child, "0.6")
    async with world(server=server, store=store) as seen:
        await asyncio.sleep(1.0)
        live = LiveOrder(seen.account, seen.account.order(identity))  # type: ignore[arg-type]
        assert (await live.filled(timeout=5.0)).filled_size == 1


@scenario
async def test_a_guard_whose_child_never_comes_ends_as_fired() -> None:
    async with world() as seen:
        live = await guarded(seen)
        order = seen.server.find("key", live.id)
        assert order is not None
        order.row["fired"] = True
        await asyncio.sleep(600.0)
        assert (live.state, live.reason) == (OrderState.EXPIRED, EndReason.TRIGGER)
        assert not seen.account.open_orders()


@scenario
async def test_fills_of_what_fired_unheard_are_the_owners_though_lists_dont_say_so() -> None:
    async with world() as seen:
        live = await guarded(seen)
        seen.server.push_of = lambda topic, row: []
        seen.server.fill("key", seen.server.fire("key", live.id), "1", "98.5")
        async with seen.account.fills() as fills:
            assert (await seen.account.reconcile()).whole
            fill = await anext(aiter(fills))
        assert isinstance(fill, Fill)
        assert (fill.origin, fill.backfilled) == (Origin.OWN, True)
