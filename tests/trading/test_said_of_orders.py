"""What requests say of the order that they are about, when they leave, and how their answers are
matched with them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import pytest

from ccrs_core import Amendment, CancelResult, OrderState, OutcomeUnknown, UsageError
from ccrs_core.contract.rest import Answer
from ccrs_core.contract.trading_requests import (
    AmendOrder,
    AmendOrders,
    CancelOrder,
    CancelOrders,
    GetOrder,
)
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, world
from tests.trading.test_fired import guarded, stop
from tests.trading.test_placing import buy, once
from tests.virtual import scenario

D = Decimal
_KINDS = (AmendOrder, AmendOrders, CancelOrder, CancelOrders, GetOrder)


def noting() -> tuple[Desk, list[Any]]:
    """An exchange, and all requests about single orders that are written for it."""
    noted: list[Any] = []

    def note(endpoint: Any) -> Any:
        def encode(request: Any, cursor: str | None) -> Any:
            noted.extend(getattr(request, "items", (request,)))
            return endpoint.encode(request, cursor)

        return attrs.evolve(endpoint, encode=encode)

    class Noting(Desk):
        endpoints: ClassVar[Any] = {
            kind: note(endpoint) if kind in _KINDS else endpoint
            for kind, endpoint in Desk.endpoints.items()
        }

    return Noting(), noted


async def _of_two(seen: World, waits: bool) -> list[Any]:
    if waits:
        return [await guarded(seen), await guarded(seen)]
    return [await seen.account.place(buy()), await seen.account.place(buy(price="99"))]


@pytest.mark.parametrize("waits", [True, False])
def test_whatever_is_asked_of_an_order_says_whether_it_waits_for_its_trigger(waits: bool) -> None:
    """Exchanges have other lists, and other paths, for those that do."""

    @scenario
    async def play() -> None:
        exchange, noted = noting()
        async with world(exchange) as seen:
            kinds: set[type[Any]] = set()

            def all_say_it() -> None:
                assert noted
                assert {each.conditional for each in noted} == {waits}
                kinds.update(map(type, noted))
                noted.clear()

            one, other = await _of_two(seen, waits)
            await asyncio.sleep(0.1)
            noted.clear()
            await seen.account.amend(one, size="0.5")
            all_say_it()
            done = await seen.account.amend_many(
                [(one, Amendment(size="0.4")), (other, Amendment(size="0.4"))]
            )
            assert not [each for each in done if isinstance(each, Exception)]
            all_say_it()
            await seen.account.fetch_order(one.id)
            await seen.account.cancel_many([one, other])
            all_say_it()
            third, _ = await _of_two(seen, waits)
            await asyncio.sleep(0.1)
            noted.clear()
            await seen.account.cancel(third)
            all_say_it()
            # It is looked for, too, before anybody knows whether it is there.
            seen.server.faults.append(once("/place", "drop"))
            with pytest.raises(OutcomeUnknown):
                await seen.account.place(stop() if waits else buy())
            await asyncio.sleep(3.0)
            all_say_it()
            assert kinds == {AmendOrder, CancelOrder, GetOrder}

    play()


@pytest.mark.parametrize("told", [0, 1, 3])
def test_an_answer_to_a_batch_of_cancels_of_another_length_tells_of_none_of_them(told: int) -> None:
    """Each is canceled by itself then."""
    whole = Desk.endpoints[CancelOrders]

    def decode(request: Any, response: Any, now: int, cursor: str | None) -> Any:
        found = list(whole.decode(request, response, now, cursor).value)
        return Answer((found * 2)[:told])

    class Odd(Desk):
        endpoints: ClassVar[Any] = {
            **Desk.endpoints,
            CancelOrders: attrs.evolve(whole, decode=decode),
        }

    @scenario
    async def play() -> None:
        async with world(Odd()) as seen:
            lives = [await seen.account.place(buy(price=price)) for price in ("100", "99")]
            await asyncio.sleep(0.1)
            outcomes = await seen.account.cancel_many(lives)
            results = [getattr(each, "result", each) for each in outcomes]
            assert set(results) <= {CancelResult.ACCEPTED, CancelResult.ENDED_BEFORE}
            await asyncio.sleep(0.1)
            assert [each.state for each in lives] == [OrderState.CANCELED] * 2
            assert len(seen.server.sent_of("/cancel_many")) == 1

    play()


@pytest.mark.parametrize("value", [1.5, "much", "NaN", True, "0", "-1"])
@pytest.mark.parametrize("name", ["price", "size", "volatility"])
def test_an_amendments_numbers_are_exact_or_refused(name: str, value: Any) -> None:
    """In :class:`~ccrs_core.Amendment` as in calls: of text, ``Decimal`` or whole numbers."""
    with pytest.raises(UsageError, match=name):
        Amendment(**{name: value})
    for fine in ("1.50", D("1.50")):
        assert str(getattr(Amendment(**{name: fine}), name)) == "1.50"


@scenario
async def test_an_amendment_leaves_once_the_placement_is_answered() -> None:
    """Before that there is nothing to amend, as far as anybody knows."""
    async with world() as seen:
        seen.transport.answer_after = lambda path: 1.0 if path == "/place" else 0.0
        placing = asyncio.ensure_future(seen.account.place(buy(client_order_id="early")))
        await asyncio.sleep(0.2)
        amending = asyncio.ensure_future(seen.account.amend("early", size="0.5"))
        await asyncio.sleep(0.5)
        assert not placing.done()
        assert not seen.server.sent_of("/amend")
        live = await placing
        await amending
        await asyncio.sleep(0.1)
        assert live.now.size == D("0.5")
        [asked] = seen.server.sent_of("/amend")
        assert asked["id"] == live.exchange_order_id
