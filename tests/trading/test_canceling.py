"""Cancels, amendments, replacements: one outcome each, nothing repeated that could act twice."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from ccrs_core import (
    Budget,
    CancelOutcome,
    CancelResult,
    InvalidOrder,
    NotSent,
    OrderEnded,
    OrderNotFound,
    OrderState,
    Origin,
    OutcomeUnknown,
    Pool,
    Side,
    limit,
)
from ccrs_core.contract.trading_requests import AmendOrder, CancelOrder, PlaceOrder
from ccrs_core.trading.sending import Sending
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, world
from tests.trading.test_placing import buy, once, placements
from tests.virtual import scenario


def cancels(seen: World) -> list[dict[str, Any]]:
    return seen.server.sent_of("/cancel")


def queries(seen: World) -> int:
    return len([path for _, path, _ in seen.server.calls if path == "/order"])


@scenario
async def test_a_cancel_that_meets_a_filled_order_says_so_after_one_status_query() -> None:
    """D1, P54: pushes are late and add nothing."""
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        seen.server.push_of = lambda topic, row: [2.0]
        seen.server.fill("key", live.id, "1")
        before = queries(seen)
        outcome = await seen.account.cancel(live)
        assert outcome.result is CancelResult.ENDED_BEFORE
        assert (outcome.order.state, outcome.order.filled_size) == (OrderState.FILLED, 1)
        # The present and then the past orders.
        assert queries(seen) - before <= 2
        assert len(cancels(seen)) == 1
        updates = len(seen.events)
        await asyncio.sleep(5.0)
        fills = [event for event in seen.events[updates:] if event.type == "order"]
        assert all(event.order.filled_size == 1 for event in fills)  # type: ignore[union-attr]
        assert live.fills_complete
        # Known to have ended: nothing is asked at all.
        before = len(seen.server.calls)
        assert (await seen.account.cancel(live)).result is CancelResult.ENDED_BEFORE
        assert len(seen.server.calls) == before


@scenario
async def test_accepted_is_not_canceled_and_who_waits_learns_so() -> None:
    """D2."""
    async with world() as seen:
        live = await seen.account.place(buy())
        seen.server.confirm = lambda act, asked: 60.0
        assert (await seen.account.cancel(live)).result is CancelResult.ACCEPTED
        seen.server.fill("key", live.id, "1")
        assert (await live.ended(timeout=5.0)).state is OrderState.FILLED


@scenario
async def test_a_cancel_that_overtakes_its_placement_is_sent_once_more_after_the_answer() -> None:
    """D3: by one call of the user."""
    async with world() as seen:
        place, taken = seen.server.place, asyncio.Event()

        def slowly(key: str, asked: dict[str, Any]) -> dict[str, Any]:
            # It is under way: the exchange has it only 40 ms later.
            asyncio.get_running_loop().call_later(0.04, lambda: (place(key, asked), taken.set()))
            return {"id": "o1", "link": asked["link"]}

        seen.server.place = slowly  # type: ignore[method-assign]
        seen.transport.answer_after = lambda path: 0.05 if path == "/place" else 0.0
        placing = asyncio.ensure_future(seen.account.place(buy(client_order_id="early")))
        await asyncio.sleep(0.02)
        outcome = await seen.account.cancel("early")
        assert taken.is_set()
        assert outcome.result is CancelResult.ACCEPTED
        live = await placing
        assert (await live.ended(timeout=1.0)).state is OrderState.CANCELED
        assert len(cancels(seen)) == 2
        assert len(placements(seen)) == 1


@scenario
async def test_a_limited_cancel_is_repeated_until_it_is_done() -> None:
    """L4."""
    async with world() as seen:
        live = await seen.account.place(buy())
        left = [3]

        def limited(path: str, body: dict[str, Any]) -> str | None:
            if path == "/cancel" and left[0]:
                left[0] -= 1
                return "limited"
            return None

        seen.server.faults.append(limited)
        assert (await seen.account.cancel(live)).result is CancelResult.ACCEPTED
        assert (await live.ended(timeout=1.0)).state is OrderState.CANCELED
        assert len(cancels(seen)) == 4


@pytest.mark.parametrize("fault", ["lose", "drop", "busy_after"])
def test_a_lost_cancel_is_looked_up_and_repeated_only_while_the_order_is_open(fault: str) -> None:
    @scenario
    async def play() -> None:
        async with world() as seen:
            live = await seen.account.place(buy())
            await asyncio.sleep(0.1)
            seen.server.push_of = lambda topic, row: []
            seen.server.faults.append(once("/cancel", fault))
            assert (await seen.account.cancel(live)).result is CancelResult.ACCEPTED
            await asyncio.sleep(70.0)
            assert live.state is OrderState.CANCELED
            assert len(cancels(seen)) == (2 if fault == "drop" else 1)

    play()


@scenario
async def test_a_cancel_of_what_the_exchange_denies_proves_nothing_and_finds_out() -> None:
    """P54."""
    async with world() as seen:
        seen.server.faults.append(once("/place", "drop"))
        with pytest.raises(OutcomeUnknown) as failure:
            await seen.account.place(buy())
        before = queries(seen)
        outcome = await seen.account.cancel(failure.value.order)
        assert outcome.result is CancelResult.NOT_FOUND
        assert outcome.order.state is OrderState.UNKNOWN
        assert queries(seen) - before <= 2
        await asyncio.sleep(200.0)
        order = seen.account.order(outcome.order.client_order_id)
        assert order is not None
        assert order.state is OrderState.PRESUMED_ABSENT


@scenario
async def test_many_cancels_have_one_outcome_each() -> None:
    async with world() as seen:
        lives = [await seen.account.place(buy(price=str(price))) for price in range(100, 107)]
        seen.server.fill("key", lives[3].id, "1")
        await asyncio.sleep(0.1)
        found = await seen.account.cancel_many(lives)
        assert [each.result for each in found if isinstance(each, CancelOutcome)] == [
            CancelResult.ENDED_BEFORE if place == 3 else CancelResult.ACCEPTED for place in range(7)
        ]
        await asyncio.sleep(0.1)
        assert not seen.account.open_orders()
        assert len(seen.server.sent_of("/cancel_many")) == 2


def other(seen: World, link: str = "web_9", price: str = "90") -> None:
    """Somebody else places an order."""
    row = {"market": "spot", "native": "BTCUSD", "link": link, "side": "buy", "type": "limit"}
    seen.server.place("key", row | {"size": "1", "price": price})


@scenario
async def test_cancel_mine_leaves_the_orders_of_others_and_cancel_all_takes_them() -> None:
    """J5."""
    async with world() as seen:
        live = await seen.account.place(buy())
        other(seen)
        other(seen, link="")
        await asyncio.sleep(0.1)
        assert len(seen.account.open_orders()) == 3
        await seen.account.cancel_all(own=True)
        await asyncio.sleep(0.1)
        assert live.state is OrderState.CANCELED
        assert [order.origin for order in seen.account.open_orders()] == ["other", "other"]
        found = await seen.account.cancel_all(market="spot")
        assert len(found) == 2
        await asyncio.sleep(0.1)
        assert not seen.account.open_orders()
        assert not any(order.open for order in seen.server.book_of("key").orders.values())


@scenario
async def test_all_are_canceled_one_by_one_where_the_answer_to_all_at_once_is_lost() -> None:
    async with world() as seen:
        for price in (100, 101):
            await seen.account.place(buy(price=str(price)))
        other(seen)
        seen.server.faults.append(once("/cancel_all", "drop"))
        await seen.account.cancel_all(symbol="BTC/USD")
        assert not any(order.open for order in seen.server.book_of("key").orders.values())
        assert len(seen.server.sent_of("/cancel_all")) == 1


@scenario
async def test_an_order_of_somebody_else_is_not_taken_for_an_unanswered_own_one() -> None:
    """J5: not by resemblance, and after a restart neither."""
    async with world() as seen:
        seen.server.faults.append(once("/place", "drop"))
        with pytest.raises(OutcomeUnknown) as failure:
            await seen.account.place(buy())
        other(seen, price="100")
        seen.server.fill("key", "web_9", "0.5")
        await asyncio.sleep(1.0)
        mine = seen.account.order(failure.value.order.client_order_id)
        (theirs,) = seen.account.orders(origin=Origin.OTHER)
        assert mine is not None
        assert (mine.state, mine.filled_size) == (OrderState.UNKNOWN, 0)
        assert (theirs.origin, theirs.filled_size) == ("other", Decimal("0.5"))


# --- amendments ---


@scenario
async def test_an_amendment_is_sent_once_and_the_order_follows() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        seen.server.fill("key", live.id, "0.4")
        await asyncio.sleep(0.1)
        await seen.account.amend(live, price="101", size="0.8")
        await asyncio.sleep(0.1)
        assert (live.price, live.size, live.filled_size) == (
            101,
            Decimal("0.8"),
            Decimal("0.4"),
        )
        assert live.now.altered == ()
        with pytest.raises(InvalidOrder, match="would end it"):
            await seen.account.amend(live, size="0.4")  # E1: what is filled
        with pytest.raises(InvalidOrder, match="tick"):
            await seen.account.amend(live, price="101.001")
        assert len(seen.server.sent_of("/amend")) == 1


@scenario
async def test_an_amendment_of_what_has_ended_says_how_it_ended() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        seen.server.push_of = lambda topic, row: [2.0]
        seen.server.fill("key", live.id, "1")
        with pytest.raises(OrderEnded) as failure:
            await seen.account.amend(live, price="101")
        assert failure.value.order.state is OrderState.FILLED
        with pytest.raises(OrderEnded):
            await seen.account.amend(live, price="102")
        assert len(seen.server.sent_of("/amend")) == 1


@pytest.mark.parametrize("fault", ["lose", "drop"])
def test_a_lost_amendment_is_unknown_never_repeated_and_the_order_says_what_came_of_it(
    fault: str,
) -> None:
    @scenario
    async def play() -> None:
        async with world() as seen:
            live = await seen.account.place(buy())
            await asyncio.sleep(0.1)
            seen.server.push_of = lambda topic, row: []
            seen.server.faults.append(once("/amend", fault))
            with pytest.raises(OutcomeUnknown) as failure:
                await seen.account.amend(live, price="101")
            assert failure.value.order.state is OrderState.OPEN
            assert live.price == (101 if fault == "lose" else 100)
            await asyncio.sleep(120.0)
            assert len(seen.server.sent_of("/amend")) == 1

    play()


class Narrow(Desk):
    """Lets one amendment leave in a second."""

    endpoints: ClassVar = dict(Desk.endpoints)


def _narrow() -> None:
    import attrs

    pool = Pool("amends", Budget(amount=1, seconds=1.0), per_account=True)
    Narrow.endpoints[AmendOrder] = attrs.evolve(Desk.endpoints[AmendOrder], pool=pool)
    orders = Pool("places", Budget(amount=1, seconds=1.0), per_account=True)
    Narrow.endpoints[PlaceOrder] = attrs.evolve(Desk.endpoints[PlaceOrder], pool=orders)
    urgent = attrs.evolve(Desk.endpoints[CancelOrder], urgent=True)
    Narrow.endpoints[CancelOrder] = urgent


_narrow()


@scenario
async def test_amendments_that_wait_collapse_to_the_newest() -> None:
    async with world(Narrow()) as seen:
        live = await seen.account.place(buy())
        amends = [
            asyncio.ensure_future(
                seen.account.amend(live, price=str(101 + each), when_full="collapse")
            )
            for each in range(10)
        ]
        found = await asyncio.gather(*amends, return_exceptions=True)
        assert sum(isinstance(each, NotSent) for each in found) >= 8
        assert not isinstance(found[-1], BaseException)
        assert live.price == 110
        prices = [each["price"] for each in seen.server.sent_of("/amend")]
        assert prices[-1] == "110"
        assert len(prices) <= 2


@scenario
async def test_who_refuses_to_wait_is_told_at_once_that_nothing_was_sent() -> None:
    async with world(Narrow()) as seen:
        live = await seen.account.place(buy())
        await seen.account.amend(live, price="101", when_full="refuse")
        before = seen.server.now()
        with pytest.raises(NotSent) as failure:
            await seen.account.amend(live, price="102", when_full="refuse")
        assert seen.server.now() == before
        assert failure.value.order.price == 101
        with pytest.raises(NotSent, match="time"):
            await seen.account.amend(live, price="103", send_within=0.2)
        assert seen.server.now() < before + 0.5
        await asyncio.sleep(5.0)
        assert [each["price"] for each in seen.server.sent_of("/amend")] == ["101"]


@scenario
async def test_a_cancel_removes_waiting_amendments_and_a_placement_that_has_not_left() -> None:
    async with world(Narrow()) as seen:
        live = await seen.account.place(buy())
        await seen.account.amend(live, price="101")
        waiting = [
            asyncio.ensure_future(seen.account.amend(live, price=str(price)))
            for price in (102, 103)
        ]
        second = asyncio.ensure_future(seen.account.place(buy(client_order_id="second")))
        third = asyncio.ensure_future(seen.account.place(buy(client_order_id="third")))
        await asyncio.sleep(0.05)
        outcome = await seen.account.cancel(live)
        assert outcome.result is CancelResult.ACCEPTED
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in found] == [NotSent, NotSent]
        unsent = await seen.account.cancel("third")
        assert unsent.result is CancelResult.NEVER_SENT
        assert unsent.order.state is OrderState.NOT_SENT
        with pytest.raises(NotSent, match="canceled before"):
            await third
        await second
        await asyncio.sleep(3.0)
        assert [each["link"] for each in placements(seen)] == [live.id, "second"]


@scenario
async def test_a_replacement_is_placed_once_the_cancel_is_proved_and_for_what_is_left() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        cancel = seen.server.cancel

        def filled_first(key: str, asked: dict[str, Any]) -> dict[str, Any]:
            if asked["link"] == live.id:
                seen.server.fill("key", live.id, "0.3")
            return cancel(key, asked)

        seen.server.cancel = filled_first  # type: ignore[method-assign]
        new = await seen.account.replace(live, buy(price="102"))
        assert live.state is OrderState.CANCELED
        assert (new.size, new.price) == (Decimal("0.7"), 102)
        seen.server.fill("key", new.id, "0.7")
        await asyncio.sleep(0.1)
        with pytest.raises(OrderEnded, match="nothing is left"):
            await seen.account.replace(new, buy(size="0.7"))


@scenario
async def test_nothing_is_placed_where_the_cancel_is_not_proved() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        seen.server.faults.append(lambda path, body: "502" if path != "/place" else None)
        with pytest.raises(OutcomeUnknown):
            await seen.account.replace(live, buy(price="102"))
        assert len(placements(seen)) == 1


# --- P62: a caller may be cancelled anywhere ---


@pytest.mark.parametrize("what", ["place", "amend", "cancel"])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8, 12, 20, 0.004, 0.012, 0.03])
def test_a_cancelled_caller_leaves_a_consistent_state_and_asking_again_works(
    what: str, after: float
) -> None:
    """After so many turns of the loop, or seconds where it is a fraction."""

    @scenario
    async def play() -> None:
        async with world() as seen:
            account = seen.account
            live = await account.place(buy(client_order_id="first"))
            await asyncio.sleep(0.1)
            calls: dict[str, Any] = {
                "place": lambda: account.place(buy(client_order_id="second")),
                "amend": lambda: account.amend(live, price="101"),
                "cancel": lambda: account.cancel(live),
            }
            task = asyncio.ensure_future(calls[what]())
            if isinstance(after, int):
                for _ in range(after):
                    await asyncio.sleep(0)
            else:
                await asyncio.sleep(after)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(1.0)
            if what == "place":
                sent = [row for row in placements(seen) if row["link"] == "second"]
                order = account.order("second")
                if sent:
                    assert order is not None
                    assert order.state is OrderState.OPEN
                else:
                    assert order is None or order.state is OrderState.NOT_SENT
                again = await account.place(buy(client_order_id="third"))
                assert again.state.exposed
            elif what == "amend":
                await account.amend(live, price="102")
                await asyncio.sleep(0.1)
                assert live.price == 102
            else:
                outcome = await account.cancel(live)
                assert outcome.result in (CancelResult.ACCEPTED, CancelResult.ENDED_BEFORE)
                assert (await live.ended(timeout=1.0)).state is OrderState.CANCELED
            assert account.synced
            assert not account._parts.flights.keys()

    play()


def test_what_has_left_is_not_withdrawn() -> None:
    sending: Sending[None] = Sending()
    sending.sent(1.0)
    assert not sending.withdraw("too late")
    sending.check()


@scenario
async def test_waits_end_with_the_order_and_leave_it_alone_when_time_is_up() -> None:
    """M4."""
    async with world() as seen:
        live = await seen.account.place(buy())
        with pytest.raises(TimeoutError):
            await live.filled(timeout=1.0)
        assert live.state is OrderState.OPEN
        waiting = asyncio.ensure_future(live.filled(timeout=100.0))
        seen.server.fill("key", live.id, "0.3")
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await seen.account.cancel(live)
        with pytest.raises(OrderEnded) as failure:
            await waiting
        assert failure.value.order.filled_size == Decimal("0.3")
        seen.server.faults.append(once("/place", "drop"))
        with pytest.raises(OutcomeUnknown) as lost:
            await seen.account.place(limit("BTC/USD", Side.BUY, price="99", size="1"))
        from ccrs_core import LiveOrder

        with pytest.raises(TimeoutError):
            await LiveOrder(seen.account, lost.value.order).ended(timeout=300.0)


@scenario
async def test_an_order_that_no_ledger_has_is_asked_for_by_nobody() -> None:
    async with world() as seen:
        with pytest.raises(ValueError, match="no order"):
            await seen.account.cancel("nothing")
        with pytest.raises(ValueError, match="no order"):
            await seen.account.fetch_order("nothing")
        live = await seen.account.place(buy())
        seen.server.list_lag = 0.0
        assert (await seen.account.fetch_order(live.id)).state is OrderState.OPEN
        seen.server.book_of("key").orders.clear()
        with pytest.raises(OrderNotFound):
            await seen.account.fetch_order(live.id)


@scenario
async def test_a_lost_cancel_was_taken_where_the_order_is_canceled_and_not_where_filled() -> None:
    async with world() as seen:
        for filled in (False, True):
            live = await seen.account.place(buy())
            seen.server.faults[:] = [once("/cancel", "drop" if filled else "lose")]
            if filled:
                seen.server.fill("key", live.id, "1")
                seen.server.faults.append(once("/order", "busy"))
            outcome = await seen.account.cancel(live)
            wanted = CancelResult.ENDED_BEFORE if filled else CancelResult.ACCEPTED
            assert outcome.result is wanted
