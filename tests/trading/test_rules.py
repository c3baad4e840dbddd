"""Rules of instruments that change reach orders' checks, and never stand in a cancel's way."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import pytest

from ccrs_core import (
    Answer,
    Endpoint,
    GetInstruments,
    InvalidOrder,
    InvalidRequest,
    Options,
    OrderNotFound,
    OrderState,
    TimedOut,
    UnknownInstrument,
)
from ccrs_core.contract.rest import Request
from ccrs_core.trading.rules import KEPT_FOR
from tests.trading.desk_toy import Desk, instruments
from tests.trading.desk_world import World, world
from tests.trading.test_placing import buy, once, placements
from tests.virtual import scenario


class Ruled(Desk):
    """Lists instruments with ``rules`` of one's own, but those of ``gone``, and counts how often
    it is asked."""

    endpoints: ClassVar[dict[type[Request[Any]], Endpoint[Any, Any]]] = dict(Desk.endpoints)

    def __init__(self) -> None:
        super().__init__()
        self.rules: dict[str, Any] = {}
        self.gone: set[str] = set()
        self.asked = 0

        def listed(request: GetInstruments, response: Any, now: int, cursor: Any) -> Answer[Any]:
            self.asked += 1
            return Answer(
                [
                    attrs.evolve(each, **self.rules)
                    for each in instruments(request.market)
                    if each.symbol not in self.gone
                ]
            )

        endpoint = attrs.evolve(Desk.endpoints[GetInstruments], decode=listed)
        self.endpoints = {**Desk.endpoints, GetInstruments: endpoint}  # type: ignore[misc]


TICK = {"tick_size": Decimal("0.5")}


def strict(seen: World) -> None:
    """The exchange takes prices of the tick 0.5 alone from now on."""

    def fault(path: str, asked: dict[str, Any]) -> str | None:
        if path in ("/place", "/amend") and Decimal(asked["price"]) % Decimal("0.5"):
            return "bad tick"
        return None

    seen.server.faults.append(fault)


def list_takes(seen: World, seconds: float) -> None:
    seen.transport.answer_after = lambda path: seconds if path.startswith("/instruments") else 0.0


@pytest.mark.parametrize("how", ["place", "amend"])
def test_once_the_exchange_refuses_what_rules_allow_the_next_order_goes_by_new_ones(
    how: str,
) -> None:
    @scenario
    async def play() -> None:
        exchange = Ruled()
        async with world(exchange) as seen:
            live = await seen.account.place(buy("100.1"))
            exchange.rules = TICK
            strict(seen)
            list_takes(seen, 1.0)
            asked = exchange.asked
            places, amends = seen.account.place, seen.account.amend
            call = places(buy("100.2")) if how == "place" else amends(live, price="100.2")
            with pytest.raises(InvalidRequest, match="bad tick"):
                await call
            sent = len(seen.server.calls)
            # At once: it waits for the list that is under way.
            with pytest.raises(InvalidOrder) as failure:
                await seen.account.place(buy("100.2"))
            assert (failure.value.rule, failure.value.nearest) == ("tick_size", Decimal("100.0"))
            with pytest.raises(InvalidOrder):
                await seen.account.amend(live, price="100.2")
            assert len(seen.server.calls) == sent
            assert (await seen.account.place(buy("100.5"))).state is OrderState.OPEN
            assert exchange.asked == asked + 1

    play()


@scenario
async def test_rules_that_change_are_known_within_five_minutes_and_no_order_waits_for_them() -> (
    None
):
    exchange = Ruled()
    async with world(exchange) as seen:
        await seen.account.place(buy("100.1"))
        exchange.rules = TICK
        list_takes(seen, 9.0)
        longest = 0.0
        for _ in range(40):
            began = seen.clock.monotonic()
            try:
                await seen.account.place(buy("100.2"))
            except InvalidOrder:
                break
            longest = max(longest, seen.clock.monotonic() - began)
            await asyncio.sleep(10.0)
        else:
            raise AssertionError("the order was never refused")
        assert longest < 0.1
        assert seen.clock.monotonic() < KEPT_FOR + 60.0


@scenario
async def test_a_list_that_cannot_be_read_keeps_nothing_from_being_placed() -> None:
    exchange = Ruled()
    async with world(exchange) as seen:
        requested = seen.server.requested

        def failing(base_url: str, request: Any) -> Any:
            if request.path.startswith("/instruments"):
                raise TimedOut("no list")
            return requested(base_url, request)

        await seen.account.place(buy())
        seen.server.requested = failing  # type: ignore[method-assign]
        seen.server.faults.append(once("/place", "bad"))
        with pytest.raises(InvalidRequest):
            await seen.account.place(buy())
        assert (await seen.account.place(buy())).state is OrderState.OPEN


@scenario
async def test_an_order_waits_for_a_list_that_hangs_some_seconds_at_most() -> None:
    async with world(Ruled()) as seen:
        await seen.account.place(buy())
        list_takes(seen, 9.0)
        seen.server.faults.append(once("/place", "bad"))
        with pytest.raises(InvalidRequest):
            await seen.account.place(buy())
        began = seen.clock.monotonic()
        await seen.account.place(buy())
        assert seen.clock.monotonic() - began < 2.1


@scenario
async def test_refusals_ask_for_one_list_in_some_seconds() -> None:
    exchange = Ruled()
    async with world(exchange) as seen:
        await seen.account.place(buy())
        asked = exchange.asked
        seen.server.faults.append(lambda path, body: "bad" if path == "/place" else None)
        for _ in range(30):
            with pytest.raises(InvalidRequest):
                await seen.account.place(buy())
            await asyncio.sleep(1.0)
        assert asked + 3 <= exchange.asked <= asked + 4
        seen.server.faults[:] = [
            lambda path, body: "balance" if path == "/place" else None,
            lambda path, body: "not_found" if path == "/amend" else None,
        ]
        asked = exchange.asked
        await asyncio.sleep(20.0)
        with pytest.raises(Exception, match="balance"):
            await seen.account.place(buy())
        with pytest.raises(OrderNotFound):
            await seen.account.amend(seen.account.open_orders()[0], price="101")
        await asyncio.sleep(1.0)
        assert exchange.asked == asked


@pytest.mark.parametrize("why", ["slow", "fails", "gone"])
def test_no_cancel_waits_for_a_list_though_it_is_old_or_its_instrument_is_gone(why: str) -> None:
    @scenario
    async def play() -> None:
        exchange = Ruled()
        options = Options(instruments_max_age=5.0)
        async with world(exchange, options=options) as seen:
            lives = [await seen.account.place(buy()) for _ in range(4)]
            await asyncio.sleep(28.0)
            if why == "slow":
                list_takes(seen, 9.0)
            elif why == "fails":
                seen.server.faults.append(lambda path, asked: None)
                requested = seen.server.requested

                def failing(base_url: str, request: Any) -> Any:
                    if request.path.startswith("/instruments"):
                        raise TimedOut("no list")
                    return requested(base_url, request)

                seen.server.requested = failing  # type: ignore[method-assign]
            else:
                exchange.gone = {"BTC/USD"}
                with pytest.raises(UnknownInstrument):
                    await seen.account.place(buy())
            began = seen.clock.monotonic()
            assert (await seen.account.cancel(lives[0])).result == "accepted"
            outcomes = await seen.account.cancel_many(lives[1:])
            assert [each.result for each in outcomes] == ["accepted"] * 3  # type: ignore[union-attr]
            assert seen.clock.monotonic() - began < 0.1
            assert len(placements(seen)) == 4

    play()
