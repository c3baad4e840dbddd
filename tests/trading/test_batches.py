"""Batches: an outcome for each item, in order; each is sent once; split at what may go at once."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    Amendment,
    Budget,
    InvalidOrder,
    Market,
    NotSent,
    Order,
    OrderEnded,
    OrderNotFound,
    OrderState,
    OutcomeUnknown,
    Pool,
    PoolLeft,
    RateLimited,
    Side,
    Trigger,
    limit,
)
from ccrs_core.contract.trading_requests import (
    AmendOrder,
    AmendOrders,
    CancelOrders,
    PlaceOrders,
)
from ccrs_core.trading.live_order import LiveOrder
from ccrs_core.transport.memory import run
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, world
from tests.trading.test_placing import buy, once
from tests.virtual import scenario

RATE = 10
MANY = ("/place_many", "/amend_many", "/cancel_many")


class Rated(Desk):
    """Counts the orders of batches: ten a second of each kind, twenty in a batch."""

    pools: ClassVar = {
        kind: Pool(kind.__name__, Budget(amount=RATE, seconds=1.0), per_account=True)
        for kind in (PlaceOrders, AmendOrders, CancelOrders)
    }
    endpoints: ClassVar = Desk.endpoints | {
        kind: attrs.evolve(
            Desk.endpoints[kind],
            pool=pool,
            pool_weight=lambda request: len(request.items),
            urgent=kind is CancelOrders,
        )
        for kind, pool in pools.items()
    }

    def __init__(self, **changed: Any) -> None:
        super().__init__(**{"batch": dict.fromkeys(Market, 20), **changed})


def counted(seen: World) -> list[int]:
    """The desk refuses, item by item, what is more than its rate; how many it has refused."""
    taken: dict[str, collections.deque[float]] = collections.defaultdict(collections.deque)
    refused: list[int] = []

    def fault(path: str, asked: dict[str, Any]) -> str | None:
        if not path.endswith("_one"):
            return None
        times, now = taken[path], seen.server.now()
        while times and times[0] <= now - 1.0:
            times.popleft()
        if len(times) >= RATE:
            refused.append(1)
            return "limited"
        times.append(now)
        return None

    seen.server.faults.append(fault)
    return refused


def sizes(seen: World, path: str) -> list[int]:
    return [len(each["items"]) for each in seen.server.sent_of(path)]


async def placed(seen: World, count: int, **more: Any) -> list[LiveOrder]:
    found = await seen.account.place_many([buy(**more) for _ in range(count)])
    assert all(isinstance(each, LiveOrder) for each in found)
    return found  # type: ignore[return-value]


def to(price: str) -> Amendment:
    return Amendment(price=Decimal(price))


# --- amendments together ---


@scenario
async def test_amendments_leave_together_and_each_has_its_own_outcome_in_order() -> None:
    async with world(Rated()) as seen:
        lives = await placed(seen, 5)
        seen.server.end("key", lives[3].id)
        await asyncio.sleep(0.1)
        unseen = seen.server.find("key", lives[4].id)
        assert unseen is not None
        unseen.row["state"] = "canceled"  # which nobody has told
        found = await seen.account.amend_many(
            [
                (lives[0], to("101")),
                (lives[1], to("101.001")),
                (lives[2], to("102")),
                (lives[3], to("103")),
                (lives[4], to("104")),
            ]
        )
        assert [type(each) for each in found] == [
            *(Order, InvalidOrder, Order, OrderEnded, OrderEnded)
        ]
        assert [each.now.price for each in lives[:3]] == [101, 100, 102]
        assert sizes(seen, "/amend_many") == [3]
        assert not seen.server.sent_of("/amend")


@pytest.mark.parametrize("fault", ["lose", "drop"])
def test_a_lost_answer_to_a_batch_leaves_each_unknown_and_is_never_repeated(fault: str) -> None:
    async def scene() -> None:
        async with world(Rated()) as seen:
            lives = await placed(seen, 3)
            seen.server.push_of = lambda topic, row: []
            seen.server.faults.append(once("/amend_many", fault))
            found = await seen.account.amend_many([(each, to("101")) for each in lives])
            assert [type(each) for each in found] == [OutcomeUnknown] * 3
            assert len({id(each) for each in found}) == 3
            assert sizes(seen, "/amend_many") == [3]
            prices = [each.order.price for each in found]  # type: ignore[union-attr]
            assert prices == [101 if fault == "lose" else 100] * 3

    run(scene())


@scenario
async def test_an_answer_of_another_length_tells_of_none() -> None:
    async with world(Rated()) as seen:
        lives = await placed(seen, 3)
        done = seen.server._done
        seen.server._done = (
            lambda path, key, asked: (  # type: ignore[method-assign]
                {"items": done(path, key, asked)["items"][:2]}
                if path == "/amend_many"
                else done(path, key, asked)
            )
        )
        found = await seen.account.amend_many([(each, to("101")) for each in lives])
        assert [type(each) for each in found] == [OutcomeUnknown] * 3


@scenario
async def test_two_amendments_of_one_order_leave_one_after_the_other() -> None:
    async with world(Rated()) as seen:
        one, other = await placed(seen, 2)
        pairs = [(one, to("101")), (other, to("101")), (one, to("102")), (one, to("103"))]
        found = await seen.account.amend_many(pairs)
        asked = [each.asked.price for each in found]  # type: ignore[union-attr]
        assert asked == [101, 101, 102, 103]
        await asyncio.sleep(0.1)
        assert one.now.price == 103
        assert sizes(seen, "/amend_many") == [2]
        assert [each["price"] for each in seen.server.sent_of("/amend")] == ["102", "103"]
        found = await seen.account.amend_many(pairs, when_full="collapse")
        assert [type(each) for each in found] == [NotSent, Order, NotSent, Order]
        assert one.now.price == 103
        assert sizes(seen, "/amend_many") == [2, 2]


@scenario
async def test_what_is_under_way_of_an_order_is_not_overtaken_and_delays_no_other() -> None:
    async with world(Rated()) as seen:
        one, *others = await placed(seen, 3)
        seen.transport.answer_after = lambda path: 3.0 if path == "/amend" else 0.0
        before = asyncio.ensure_future(seen.account.amend(one, price="105"))
        await asyncio.sleep(0.1)
        pairs = [(one, to("101")), *((each, to("101")) for each in others)]
        many = asyncio.ensure_future(seen.account.amend_many(pairs))
        await asyncio.sleep(0.1)
        assert [each.now.price for each in others] == [101, 101]
        assert [each["price"] for each in seen.server.sent_of("/amend")] == ["105"]
        await asyncio.gather(before, many)
        assert one.now.price == 101


@scenario
async def test_batches_of_the_same_orders_in_another_order_never_wait_for_each_other() -> None:
    async with world(Rated()) as seen:
        lives = await placed(seen, 4)
        found = await asyncio.gather(
            *(
                seen.account.amend_many([(each, to(str(101 + n))) for each in lives[:: 1 - 2 * n]])
                for n in range(2)
            )
        )
        assert all(isinstance(each, Order) for many in found for each in many)


@scenario
async def test_a_batch_that_has_not_left_is_withdrawn_with_its_caller() -> None:
    async with world(Rated()) as seen:
        lives = await placed(seen, RATE)
        await seen.account.amend_many([(each, to("101")) for each in lives])
        waiting = asyncio.ensure_future(
            seen.account.amend_many([(each, to("102")) for each in lives])
        )
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(3.0)
        assert sizes(seen, "/amend_many") == [RATE]
        await seen.account.amend(lives[0], price="103")
        await asyncio.sleep(0.1)
        assert [each.now.price for each in lives] == [103, *([101] * (RATE - 1))]


@scenario
async def test_confirmations_of_a_batch_come_one_by_one() -> None:
    async with world(Rated(confirms=frozenset({AmendOrder}))) as seen:
        lives = await placed(seen, 3)
        outcomes = iter([0.5, -0.1, 0.2])
        seen.server.confirm = lambda act, asked: next(outcomes)
        found = await seen.account.amend_many([(each, to("101")) for each in lives])
        assert [type(each).__name__ for each in found] == ["Order", "OrderRejected", "Order"]
        assert sizes(seen, "/amend_many") == [3]


@scenario
async def test_what_batches_do_not_take_leaves_by_itself() -> None:
    alone = frozenset({PlaceOrders, AmendOrders, CancelOrders})
    async with world(Rated(alone=alone)) as seen:
        stop = limit(
            *("BTC/USD", Side.BUY),
            size="1",
            price="100",
            trigger=Trigger(price="99", rises=False),
        )
        found = await seen.account.place_many([buy(), stop, buy()])
        assert all(isinstance(each, LiveOrder) for each in found)
        assert sizes(seen, "/place_many") == [2]
        assert len(seen.server.sent_of("/place")) == 1
        lives = [each for each in found if isinstance(each, LiveOrder)]
        await asyncio.sleep(0.1)
        changed = await seen.account.amend_many([(each, to("98")) for each in lives])
        assert not [each for each in changed if isinstance(each, Exception)]
        assert sizes(seen, "/amend_many") == [2]
        assert [each["id"] for each in seen.server.sent_of("/amend")] == [
            lives[1].exchange_order_id
        ]
        await seen.account.cancel_many(lives)
        assert sizes(seen, "/cancel_many") == [2]
        assert [each["id"] for each in seen.server.sent_of("/cancel")] == [
            lives[1].exchange_order_id
        ]


# --- what the account may send ---


@scenario
async def test_a_batch_is_split_at_the_accounts_rate_and_its_tail_leaves_when_there_is_room() -> (
    None
):
    async with world(Rated()) as seen:
        refused = counted(seen)
        lives = await placed(seen, 25)
        assert sizes(seen, "/place_many") == [10, 10, 5]
        links = [i["link"] for each in seen.server.sent_of("/place_many") for i in each["items"]]
        assert links == [each.id for each in lives]
        found = await seen.account.amend_many([(each, to("101")) for each in lives])
        assert [each.client_order_id for each in found] == links  # type: ignore[union-attr]
        outcomes = await seen.account.cancel_many(lives)
        assert [each.order.client_order_id for each in outcomes] == links  # type: ignore[union-attr]
        assert all(each.state is OrderState.CANCELED for each in lives)
        assert not refused
        assert not seen.server.sent_of("/cancel")


@scenario
async def test_what_the_exchange_says_that_it_allows_is_what_batches_are_split_at() -> None:
    async with world(Rated()) as seen:
        window = seen.account._parts.requester.turns._pool(Rated.pools[PlaceOrders])
        assert window is not None
        window.told(None, PoolLeft(left=15, of=15), None)
        await placed(seen, 20)
        assert sizes(seen, "/place_many") == [15, 5]


@scenario
async def test_the_tail_of_a_batch_is_refused_where_it_may_not_wait() -> None:
    """By refuse, and by too short a time: it is certain that it wasn't sent."""
    async with world(Rated()) as seen:
        for how in ({"when_full": "refuse"}, {"send_within": 0.5}):
            await asyncio.sleep(5.0)
            wanted = [buy() for _ in range(15)]
            found = await seen.account.place_many(wanted, **how)  # type: ignore[arg-type]
            assert all(isinstance(each, LiveOrder) for each in found[:10])
            assert all(isinstance(each, NotSent | RateLimited) for each in found[10:])
            states = {o.state for o in seen.account.orders()}
            assert states == {OrderState.OPEN, OrderState.NOT_SENT}
            await asyncio.sleep(5.0)
            lives = [each for each in found[:10] if isinstance(each, LiveOrder)]
            await asyncio.sleep(2.0)
            pairs = [(each, to("101")) for each in lives]
            assert all(isinstance(e, Order) for e in await seen.account.amend_many(pairs))
            amended = await seen.account.amend_many(
                [(each, to("102")) for each in lives],
                **how,  # type: ignore[arg-type]
            )
            assert all(isinstance(each, NotSent) for each in amended)
            assert {each.now.price for each in lives} == {Decimal(101)}
        assert sizes(seen, "/place_many") == [10, 10]


@settings(max_examples=20, deadline=None)
@given(
    counts=st.lists(st.integers(1, 23), min_size=1, max_size=3),
    gaps=st.lists(st.floats(0.0, 1.5), min_size=3, max_size=3),
    slow=st.floats(0.0, 0.8),
    markets=st.lists(st.sampled_from(["BTC/USD", "ETH/USD", "BTC/USD:USD"]), min_size=23),
)
def test_no_batch_is_ever_refused_for_its_weight_and_every_item_leaves_once(
    counts: list[int], gaps: list[float], slow: float, markets: list[str]
) -> None:
    """Whenever they are sent, and however long they are under way."""

    async def scene() -> None:
        async with world(Rated()) as seen:
            refused = counted(seen)
            delays: Callable[[str], float] = lambda path: slow if path in MANY else 0.0  # noqa: E731
            seen.transport.answer_after = delays

            async def some(count: int, after: float) -> list[Any]:
                await asyncio.sleep(after)
                wanted = [
                    limit(markets[n], Side.BUY, price=str(100 + n), size="1") for n in range(count)
                ]
                return await seen.account.place_many(wanted, send_within=300.0)

            found = await asyncio.gather(*(some(*each) for each in zip(counts, gaps, strict=False)))
            for many in found:
                assert [each.now.price for each in many] == [100 + n for n in range(len(many))]
            singles = seen.server.sent_of("/place")
            sent = singles + [i for e in seen.server.sent_of("/place_many") for i in e["items"]]
            assert len(sent) == len({each["link"] for each in sent}) == sum(counts)
            assert not refused

    run(scene())


@scenario
async def test_a_cancel_that_a_batch_was_refused_for_its_rate_is_sent_again() -> None:
    async with world(Rated()) as seen:
        lives = await placed(seen, 5)
        refusals = iter(["limited", None, "limited"])
        seen.server.faults.append(
            lambda path, asked: next(refusals, None) if path == "/cancel_one" else None
        )
        outcomes = await seen.account.cancel_many(lives)
        assert [each.result for each in outcomes] == ["accepted"] * 5  # type: ignore[union-attr]
        await asyncio.sleep(0.1)
        assert {each.state for each in lives} == {OrderState.CANCELED}
        assert len(seen.server.sent_of("/cancel")) == 2


@scenario
async def test_an_order_that_the_exchange_denies_in_a_batch_of_amendments_says_so() -> None:
    async with world(Rated()) as seen:
        lives = await placed(seen, 2)
        book = seen.server.book_of("key")
        del book.orders[lives[1].now.exchange_order_id]
        found = await seen.account.amend_many([(each, to("101")) for each in lives])
        assert [type(each) for each in found] == [Order, OrderNotFound]
