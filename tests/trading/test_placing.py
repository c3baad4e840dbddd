"""Placing orders: one request, one certain outcome or a stated unknown one that is looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from ccrs_core import (
    AccountUnsupported,
    EndReason,
    Fill,
    InsufficientBalance,
    InvalidOrder,
    MemoryStore,
    NotSent,
    OrderRejected,
    OrderRequest,
    OrderState,
    OutcomeUnknown,
    RateLimited,
    Side,
    Unsupported,
    UsageError,
    limit,
    market,
)
from ccrs_core.trading.live_order import LiveOrder
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import World, world
from tests.virtual import scenario


def buy(price: str = "100", size: str = "1", **more: Any) -> OrderRequest:
    return limit("BTC/USD", Side.BUY, price=price, size=size, **more)


def once(path: str, what: str) -> Callable[[str, dict[str, Any]], str | None]:
    """A fault of the first request of a path alone."""
    left = [what]

    def fault(asked: str, body: dict[str, Any]) -> str | None:
        return left.pop() if asked == path and left else None

    return fault


def placements(seen: World) -> list[dict[str, Any]]:
    singles = seen.server.sent_of("/place")
    return singles + [i for each in seen.server.sent_of("/place_many") for i in each["items"]]


async def unknown(seen: World, request: OrderRequest | None = None) -> LiveOrder:
    """Place an order of which no answer tells."""
    with pytest.raises(OutcomeUnknown) as failure:
        await seen.account.place(buy() if request is None else request)
    assert failure.value.order.state is OrderState.UNKNOWN
    return LiveOrder(seen.account, failure.value.order)


@scenario
async def test_an_order_is_placed_once_and_its_fills_come_once() -> None:
    async with world() as seen:
        live = await seen.account.place(buy(tag="maker1"))
        assert live.id.endswith("maker1")
        assert live.now.tag == "maker1"
        assert live.times.sent_ns is not None
        seen.server.fill("key", live.id, "0.4")
        seen.server.fill("key", live.id, "0.6", maker=False)
        done = await live.filled(timeout=5.0)
        assert (done.filled_size, done.fills_complete) == (1, True)
        await asyncio.sleep(0.1)
        assert [fill.size for fill in seen.of(Fill)] == [Decimal("0.4"), Decimal("0.6")]
        assert len(placements(seen)) == 1


@scenario
async def test_a_lost_answer_is_unknown_until_the_exchange_shows_the_order() -> None:
    """A1: the first empty list proves nothing; one placement on the wire."""
    async with world() as seen:
        seen.server.push_of = lambda topic, row: []
        seen.server.list_lag = 1.0
        seen.server.faults.append(once("/place", "lose"))
        live = await unknown(seen)
        assert seen.account.unknown_orders() == [live.now]
        seen.server.fill("key", live.id, "0.1")
        await asyncio.sleep(0.6)
        assert live.state is OrderState.UNKNOWN
        await asyncio.sleep(1.0)
        assert (live.state, live.filled_size) == (OrderState.OPEN, Decimal("0.1"))
        await asyncio.sleep(10.0)
        assert live.fills_complete
        assert [fill.size for fill in seen.of(Fill)] == [Decimal("0.1")]
        assert len(placements(seen)) == 1


@scenario
async def test_the_stream_may_know_before_the_answer_which_then_changes_nothing() -> None:
    """A3: and the cancel doesn't wait behind the unanswered placement."""
    async with world() as seen:
        seen.transport.answer_after = lambda path: 12.0 if path == "/place" else 0.0
        seen.server.faults.append(once("/place", "busy_after"))
        placing = asyncio.ensure_future(seen.account.place(buy()))
        await asyncio.sleep(0.2)
        (order,) = seen.account.open_orders()
        assert order.state is OrderState.OPEN
        seen.server.fill("key", order.client_order_id, "0.4")
        outcome = await seen.account.cancel(order)
        assert outcome.result == "accepted"
        asked = len([path for _, path, _ in seen.server.calls if path == "/order"])
        live = await placing
        assert (live.state, live.filled_size) == (OrderState.CANCELED, Decimal("0.4"))
        assert len([path for _, path, _ in seen.server.calls if path == "/order"]) == asked


@scenario
async def test_what_never_arrived_is_presumed_absent_after_its_bound_and_reopened_by_a_trace() -> (
    None
):
    async with world() as seen:
        seen.server.faults.append(once("/place", "drop"))
        live = await unknown(seen)
        await asyncio.sleep(60.0)
        assert live.state is OrderState.UNKNOWN
        assert len(seen.account.open_orders()) == 1
        await asyncio.sleep(100.0)
        assert live.state is OrderState.PRESUMED_ABSENT
        assert not seen.account.open_orders()
        assert not live.state.final
        # It was under way all the time.
        seen.server.place("key", placements(seen)[0])
        await asyncio.sleep(0.1)
        assert live.state is OrderState.OPEN
        assert len(placements(seen)) == 1


@scenario
async def test_who_never_wants_it_presumed_keeps_it_unknown_until_settled_by_hand() -> None:
    async with world(presume_absent_after=None) as seen:
        seen.server.faults.append(once("/place", "drop"))
        live = await unknown(seen)
        await asyncio.sleep(3600.0)
        assert live.state is OrderState.UNKNOWN
        settled = await seen.account.settle(live, OrderState.CANCELED, "the desk says so by phone")
        assert settled.state is OrderState.CANCELED
        assert not seen.account.unknown_orders()


@scenario
async def test_where_the_exchange_names_a_bound_its_denial_after_it_is_proof() -> None:
    """A4: not before, and the queries end."""
    async with world(Desk(proved_after=3.0)) as seen:
        seen.server.faults.append(once("/place", "drop"))
        live = await unknown(seen)
        await asyncio.sleep(12.0)
        assert live.state is OrderState.UNKNOWN
        # As soon as a denial counts, and once more after what views may lag.
        await asyncio.sleep(12.0)
        assert live.state is OrderState.ABSENT
        asked = len([1 for _, path, _ in seen.server.calls if path == "/order"])
        await asyncio.sleep(600.0)
        assert len([1 for _, path, _ in seen.server.calls if path == "/order"]) == asked
        assert len(placements(seen)) == 1


@scenario
async def test_errors_prove_nothing() -> None:
    """G7."""
    async with world() as seen:
        seen.server.faults.append(once("/place", "drop"))
        seen.server.faults.append(
            lambda path, body: "502" if path in ("/order", "/fills") else None
        )
        live = await unknown(seen)
        await asyncio.sleep(900.0)
        assert live.state is OrderState.UNKNOWN
        seen.server.faults.clear()
        await asyncio.sleep(41.0)
        assert live.state is OrderState.PRESUMED_ABSENT


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        ("balance", InsufficientBalance, EndReason.BALANCE),
        ("post_only", OrderRejected, EndReason.POST_ONLY),
        ("limited", RateLimited, EndReason.RATE_LIMIT),
    ],
)
def test_what_the_exchange_refuses_is_rejected_and_not_sent_again(
    code: str, error: type[Exception], reason: EndReason
) -> None:
    """L4: a limited placement is told, not repeated, not unknown."""

    @scenario
    async def play() -> None:
        async with world() as seen:
            seen.server.faults.append(once("/place", code))
            with pytest.raises(error):
                await seen.account.place(buy())
            (order,) = seen.account.orders()
            assert (order.state, order.reason) == (OrderState.REJECTED, reason)
            await asyncio.sleep(120.0)
            assert len(placements(seen)) == 1

    play()


@scenario
async def test_an_id_that_the_ledger_knows_is_refused_without_io() -> None:
    """A5, first half."""
    async with world() as seen:
        live = await seen.account.place(buy(client_order_id="c5"))
        seen.server.fill("key", "c5", "0.2")
        await asyncio.sleep(0.1)
        with pytest.raises(OrderRejected, match="used before") as failure:
            await seen.account.place(buy(client_order_id="c5"))
        assert failure.value.reason is EndReason.DUPLICATE
        assert failure.value.order.client_order_id == "c5"
        assert (live.state, live.filled_size) == (OrderState.OPEN, Decimal("0.2"))
        assert len(placements(seen)) == 1
        with pytest.raises(UsageError, match="no client order id"):
            await seen.account.place(buy(client_order_id="not one of these"))


@scenario
async def test_an_id_that_the_exchange_knows_says_which_order_lives() -> None:
    """A5, second half: placed by an earlier store."""
    async with world() as seen:
        of_old = buy(client_order_id="c5")
        seen.server.push_of = lambda topic, row: []
        row = {"market": "spot", "native": "BTCUSD", "link": "c5", "side": "buy", "type": "limit"}
        seen.server.place("key", row | {"size": "1", "price": "100"})
        seen.server.fill("key", "c5", "0.2")
        with pytest.raises(OrderRejected) as failure:
            await seen.account.place(of_old)
        assert failure.value.reason is EndReason.DUPLICATE
        order = failure.value.order
        assert (order.state, order.filled_size) == (OrderState.OPEN, Decimal("0.2"))
        assert seen.account.order("c5") == order


@scenario
async def test_of_two_batches_of_the_same_ids_one_is_placed() -> None:
    async with world() as seen:
        wanted = [buy(client_order_id=each) for each in ("a1", "b1")]
        batches = [asyncio.ensure_future(seen.account.place_many(wanted)) for _ in range(2)]
        first, second = await asyncio.gather(*batches)
        assert [live.id for live in first if isinstance(live, LiveOrder)] == ["a1", "b1"]
        for error in second:
            assert isinstance(error, OrderRejected)
            assert error.reason is EndReason.DUPLICATE
        assert len(placements(seen)) == 2


@scenario
async def test_a_batch_has_one_outcome_for_each_in_their_order() -> None:
    """A6, P53."""
    async with world() as seen:

        def fault(path: str, body: dict[str, Any]) -> str | None:
            codes = {"101": "balance", "103": "limited", "104": "busy"}
            return codes.get(body.get("price", "")) if path == "/place_one" else None

        seen.server.faults.append(fault)
        wanted = [buy(price=str(price)) for price in range(100, 106)]
        wanted.insert(2, buy(price="100.001"))
        found = await seen.account.place_many(wanted)
        kinds = [type(each) for each in found]
        assert kinds == [
            *(LiveOrder, InsufficientBalance, InvalidOrder, LiveOrder),
            *(RateLimited, OutcomeUnknown, LiveOrder),
        ]
        states = [seen.account.order(item["link"]) for item in placements(seen)]
        assert [order.state for order in states if order is not None] == [
            *(OrderState.OPEN, OrderState.REJECTED, OrderState.OPEN),
            *(OrderState.REJECTED, OrderState.UNKNOWN, OrderState.OPEN),
        ]
        assert isinstance(found[5], OutcomeUnknown)
        assert found[5].order.price == 104
        await asyncio.sleep(200.0)
        assert len(placements(seen)) == 6


@scenario
async def test_a_batch_whose_answer_is_lost_is_unknown_item_by_item_and_found_item_by_item() -> (
    None
):
    async with world() as seen:
        seen.server.push_of = lambda topic, row: []
        seen.server.faults.append(once("/place_many", "lose"))
        found = await seen.account.place_many([buy(price=str(price)) for price in (100, 101, 102)])
        assert [type(each) for each in found] == [OutcomeUnknown] * 3
        orders = [each.order for each in found if isinstance(each, OutcomeUnknown)]
        assert len({id(order) for order in orders}) == 3
        await asyncio.sleep(5.0)
        assert [seen.account.order(o.client_order_id).state for o in orders] == [
            OrderState.OPEN
        ] * 3  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("request_", "error", "match"),
    [
        (buy(price="100.001"), InvalidOrder, "tick"),
        (buy(size="0.0001"), InvalidOrder, "smallest"),
        (buy(price="250"), InvalidOrder, "move its price"),
        (limit("BTC/USD", Side.SELL, price="40", size="1"), InvalidOrder, "below 50"),
        (limit("XRP/USD", Side.SELL, price="40", size="1"), UsageError, "lists no"),
        (buy(position_side="long"), Unsupported, "hedge"),
        (market("BTC/USD", Side.BUY, quote_size="0.5"), InvalidOrder, "smallest order"),
        (buy(tag="x" * 12, client_order_id="c!"), UsageError, "no client order id"),
    ],
)
def test_what_breaks_a_rule_is_refused_before_a_byte_leaves(
    request_: OrderRequest, error: type[Exception], match: str
) -> None:
    @scenario
    async def play() -> None:
        async with world() as seen:
            with pytest.raises(error, match=match):
                await seen.account.place(request_)
            assert not placements(seen)
            assert not seen.account.orders()

    play()


@scenario
async def test_a_price_outside_the_band_is_sent_where_wanted_and_the_moved_one_is_told() -> None:
    """E5 (iii)."""
    async with world(outside_band="send") as seen:
        live = await seen.account.place(buy(price="250"))
        seen.server.find("key", live.id).row["price"] = "200"  # type: ignore[union-attr]
        seen.server.fill("key", live.id, "0.1", price="200")
        await asyncio.sleep(0.1)
        assert live.price == 200
        assert live.now.altered == ("price",)
        assert live.now.asked is not None
        assert live.now.asked.price == 250


@pytest.mark.parametrize("what", ["mode", "key"])
def test_an_account_that_cannot_trade_so_is_refused_before_the_first_order(what: str) -> None:
    @scenario
    async def play() -> None:
        from tests.trading.desk_world import new_server

        server = new_server()
        if what == "mode":
            server.refused = "classic accounts aren't supported; upgrade it"
        else:
            server.trade = ["linear"]
        async with world(server=server) as seen:
            with pytest.raises(AccountUnsupported, match=r"upgrade|permission"):
                await seen.account.place(buy())
            assert not placements(seen)

    play()


@scenario
async def test_what_is_not_sent_in_time_never_is() -> None:
    async with world() as seen:
        store = seen.account._parts.store
        commit = store.commit

        async def slow(rows: Any) -> None:
            await asyncio.sleep(0.5)
            await commit(rows)

        store.commit = slow  # type: ignore[method-assign]
        with pytest.raises(NotSent) as failure:
            await seen.account.place(buy(), send_within=0.1)
        assert failure.value.order.state is OrderState.NOT_SENT
        assert failure.value.order.reason is EndReason.TOO_LATE
        await asyncio.sleep(60.0)
        assert not placements(seen)


@scenario
async def test_the_intent_is_stored_before_a_byte_leaves() -> None:
    async with world() as seen:
        committed: list[str] = []
        store = seen.account._parts.store
        commit = store.commit

        async def noted(rows: Any) -> None:
            await commit(rows)
            committed.extend(type(row).__name__ for row in rows)

        store.commit = noted  # type: ignore[method-assign]
        place = seen.server.place

        def placed(key: str, asked: dict[str, Any]) -> dict[str, Any]:
            assert committed == ["OrderRow"]
            return place(key, asked)

        seen.server.place = placed  # type: ignore[method-assign]
        await seen.account.place(buy())


def test_a_store_that_keeps_an_order_knows_it_after_a_restart() -> None:
    """H1: killed before the answer (i), and before the write (ii): found, or never arrived."""
    store = MemoryStore()

    @scenario
    async def play() -> None:
        from tests.trading.desk_world import client_of, new_server

        server = new_server()
        async with client_of(server) as (client, transport, _):
            account = client.account(store=store)
            async with account:
                transport.answer_after = lambda path: 3600.0 if path == "/place" else 0.0
                server.push_of = lambda topic, row: []
                placing = asyncio.ensure_future(account.place(buy(client_order_id="taken")))
                await asyncio.sleep(1.0)
                server.faults.append(once("/place", "drop"))
                other = asyncio.ensure_future(account.place(buy(client_order_id="lost")))
                await asyncio.sleep(1.0)
                await account.aclose()  # as a kill does: no word to anybody
                await asyncio.gather(placing, other, return_exceptions=True)
        server.fill("key", "taken", "0.3")
        server.push_of = lambda topic, row: [0.0]
        async with world(server=server, store=store) as seen:
            await asyncio.sleep(5.0)
            found = seen.account.order("taken")
            assert found is not None
            assert (found.state, found.filled_size) == (OrderState.OPEN, Decimal("0.3"))
            assert found.origin == "own"
            lost = seen.account.order("lost")
            assert lost is not None
            assert lost.state is OrderState.UNKNOWN
            await asyncio.sleep(200.0)
            assert seen.account.order("lost").state is OrderState.PRESUMED_ABSENT  # type: ignore[union-attr]
            assert [row["link"] for row in placements(seen)] == ["taken", "lost"]
            with pytest.raises(OrderRejected, match="used before"):
                await seen.account.place(buy(client_order_id="taken"))

    play()


def test_features_that_the_exchange_does_not_declare_are_unsupported() -> None:
    @scenario
    async def play() -> None:
        exchange = Desk()
        features = {m: frozenset[Any]() for m in exchange.trading.features}
        exchange.trading = attrs.evolve(exchange.trading, features=features)
        async with world(exchange) as seen:
            for request in (
                buy(post_only=True),
                buy(time_in_force="ioc"),
                buy(reduce_only=True),
                market("BTC/USD", "sell", size="1"),
                buy(self_trade_prevention="cancel_both"),
                buy(time_in_force="fok"),
            ):
                with pytest.raises(Unsupported):
                    await seen.account.place(request)
            assert not placements(seen)

    play()
