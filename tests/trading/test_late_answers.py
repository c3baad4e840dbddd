"""Answers that come after nobody waited for them any more: they prove what became of orders."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ccrs_core import Answer, CcrsError, EndReason, InsufficientBalance, MemoryStore, OrderState
from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading_requests import (
    CancelOrder,
    Placed,
    PlaceEither,
    PlaceOrder,
    PlaceOrders,
    Replaced,
    ReplaceOrder,
)
from ccrs_core.errors import ExchangeUnavailable, OrderNotFound
from ccrs_core.model.orders import Times
from ccrs_core.trading.live_order import LiveOrder
from ccrs_core.transport.memory import run
from tests.trading.desk_world import World, world
from tests.trading.test_placing import buy, once, placements, unknown
from tests.virtual import scenario

TAKEN = Placed(exchange_order_id="o77", client_order_id="", taken_ns=7)
REFUSED = InsufficientBalance("7", "no money")


async def asked(seen: World, live: LiveOrder) -> PlaceOrder:
    instrument = await seen.client.instrument("BTC/USD")
    assert live.now.asked is not None
    return PlaceOrder(instrument, live.now.asked, live.id)


def late(seen: World, request: Request[Any], said: object) -> None:
    found = said if isinstance(said, CcrsError) else Answer(said)
    seen.account._parts.entry.late(request, found, Times(received_ns=9))


@pytest.mark.parametrize("presumed", [False, True])
@pytest.mark.parametrize(
    ("said", "state"),
    [
        (TAKEN, OrderState.ACCEPTED),
        (REFUSED, OrderState.REJECTED),
        (ExchangeUnavailable("8", "restarting"), None),
    ],
)
def test_an_answer_that_comes_late_says_what_became_of_the_order(
    presumed: bool, said: object, state: OrderState | None
) -> None:
    @scenario
    async def story() -> None:
        async with world(presume_absent_after=1.0 if presumed else None) as seen:
            seen.server.faults.append(once("/place", "drop"))
            live = await unknown(seen)
            if presumed:
                await asyncio.sleep(100.0)
            before = OrderState.PRESUMED_ABSENT if presumed else OrderState.UNKNOWN
            assert live.state is before
            late(seen, await asked(seen, live), said)
            assert live.state is (before if state is None else state)
            if said is TAKEN:
                assert (live.exchange_order_id, live.times.received_ns) == ("o77", 9)
            assert len(placements(seen)) == 1

    story()


@pytest.mark.parametrize(
    ("placed", "state"),
    [
        (TAKEN, OrderState.ACCEPTED),
        (REFUSED, OrderState.REJECTED),
        (None, OrderState.REJECTED),
        (ExchangeUnavailable("8", "restarting"), OrderState.UNKNOWN),
    ],
)
def test_a_late_answer_to_a_replacement_is_of_the_new_order_by_its_own_outcome(
    placed: Placed | CcrsError | None, state: OrderState
) -> None:
    @scenario
    async def story() -> None:
        async with world(presume_absent_after=None) as seen:
            seen.server.faults.append(once("/place", "drop"))
            live = await unknown(seen)
            place = await asked(seen, live)
            cancel = CancelOrder(instrument=place.instrument, client_order_id="old")
            canceled = TAKEN if placed is not None else OrderNotFound("9", "gone")
            found = Replaced(canceled=canceled, placed=placed)
            late(seen, ReplaceOrder(place.instrument, cancel, place), found)
            assert live.state is state
            assert len(placements(seen)) == 1

    story()


@pytest.mark.parametrize("kind", [PlaceOrders, PlaceEither])
def test_a_late_answer_to_a_batch_is_of_each_of_its_orders(
    kind: type[PlaceOrders] | type[PlaceEither],
) -> None:
    run(_late_batch(kind))


async def _late_batch(kind: type[PlaceOrders] | type[PlaceEither]) -> None:
    async with world(presume_absent_after=None) as seen:
        seen.server.faults.append(once("/place_many", "drop"))
        await seen.account.place_many([buy(client_order_id=each) for each in ("a", "b", "c")])
        lives = [LiveOrder(seen.account, o) for o in seen.account.unknown_orders()]
        assert [live.id for live in lives] == ["a", "b", "c"]
        request = kind(tuple([await asked(seen, live) for live in lives]))
        late(seen, request, [TAKEN, REFUSED])
        states = [live.state for live in lives]
        assert states == [OrderState.ACCEPTED, OrderState.REJECTED, OrderState.UNKNOWN]
        late(seen, request, REFUSED)  # a refusal of all is none of one that lives
        states = [live.state for live in lives]
        assert states == [OrderState.ACCEPTED, OrderState.REJECTED, OrderState.REJECTED]
        assert lives[2].reason is EndReason.BALANCE


@scenario
async def test_what_stays_unknown_is_asked_for_ever_more_rarely() -> None:
    async with world(presume_absent_after=None, store=MemoryStore()) as seen:
        seen.server.faults.append(once("/place", "drop"))
        await unknown(seen)
        await asyncio.sleep(600.0)
        asked = [at for at, path, _ in seen.server.calls if path == "/order"]
        assert 20 < len(asked) < 60
        assert asked[-1] - asked[-3] > 25.0
