"""What users read: each event once and in order, from where they acknowledged, whatever ends the
process; and nothing before it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    AccountUnsupported,
    Balance,
    EarlyFills,
    FeedClosed,
    Fill,
    MemoryStore,
    OrderState,
    Side,
    StoreFailed,
    Synced,
    Unsupported,
    UsageError,
    limit,
)
from ccrs_core.contract.trading import ClientIds
from ccrs_core.model.orders import EarlyFill
from ccrs_core.trading import delivery
from ccrs_core.trading.client_ids import ClientIdMaker, is_made_here, tag_in
from tests.trading.desk_world import client_of, new_server, world
from tests.trading.test_placing import buy, placements
from tests.virtual import scenario


class Failing(MemoryStore):
    """A store whose disk is full at times."""

    full = False
    tried = 0

    async def commit(self, rows: Sequence[Any]) -> None:
        if self.full:
            self.tried += 1
            raise StoreFailed("the disk is full")
        await super().commit(rows)


@scenario
async def test_what_was_acknowledged_does_not_come_again_and_the_rest_comes_marked() -> None:
    """P50, e."""
    store, server = MemoryStore(), new_server()
    async with client_of(server) as (client, _, _):
        account = client.account(store=store)
        async with account:
            live = await account.place(buy())
            for _ in range(5):
                server.fill("key", live.id, "0.1")
            seen: list[Fill] = []
            async with account.fills(consumer="strategy") as feed:
                async for event in feed:
                    if isinstance(event, Fill):
                        seen.append(event)
                        if len(seen) == 3:
                            feed.acknowledge(seen[1])
                            break
            assert not any(fill.again for fill in seen)
            await asyncio.sleep(0.1)
            await account.aclose()
    server.fill("key", live.id, "0.2")
    async with client_of(server) as (client, _, _), client.account(store=store) as account:
        again: list[Fill] = []
        async with account.fills(consumer="strategy") as feed:
            async for event in feed:
                if isinstance(event, Fill):
                    again.append(event)
                    if len(again) == 4:
                        break
        assert [fill.number for fill in again[:1]] == [seen[2].number]
        assert [fill.again for fill in again] == [True, True, True, False]
        assert sum((fill.size for fill in again), Decimal(0)) == Decimal("0.5")
        with pytest.raises(UsageError, match="can't be acknowledged"):
            feed.acknowledge(10_000)
        # A number of one's own, and only what comes from now on.
        assert [f.size async for f in _fills(account.fills(0), 1)] == [Decimal("0.1")]
        async with account.events(since=account.number) as fresh:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5.0):
                    await anext(aiter(fresh))


async def _fills(feed: Any, count: int) -> Any:
    async for event in feed:
        if isinstance(event, Fill):
            yield event
            count -= 1
            if not count:
                return


@scenario
async def test_nothing_is_delivered_before_it_is_stored_and_all_of_it_once_that_works() -> None:
    """H5: told once, not synced, then each once."""
    store = Failing()
    async with world(store=store) as seen:
        live = await seen.account.place(buy())
        seen.server.fill("key", live.id, "0.1")
        await asyncio.sleep(0.1)
        store.full = True
        for _ in range(3):
            seen.server.fill("key", live.id, "0.1")
            await asyncio.sleep(5.0)
        assert len(seen.of(Fill)) == 1
        assert not seen.account.synced
        assert "disk is full" in seen.account.reason
        with pytest.raises(StoreFailed):
            await seen.account.place(buy(client_order_id="unstored"))
        assert [row["link"] for row in placements(seen)] == [live.id]
        assert store.tried > 3
        store.full = False
        await asyncio.sleep(15.0)
        assert [fill.number for fill in seen.of(Fill)] == sorted(
            {fill.number for fill in seen.of(Fill)}
        )
        assert len(seen.of(Fill)) == 4
        assert seen.account.synced
        assert [event.synced for event in seen.of(Synced)].count(False) == 1
        unstored = seen.account.order("unstored")
        assert unstored is not None
        assert unstored.state is OrderState.NOT_SENT
        await seen.account.place(buy(client_order_id="stored"))


@scenario
async def test_a_slow_reader_is_served_from_the_store_in_bounded_memory() -> None:
    kept, delivery._WAITING = delivery._WAITING, 50
    try:
        async with world() as seen:
            live = await seen.account.place(buy(size="1000"))
            feed = seen.account.events(seen.account.number)
            await feed.__aenter__()
            await feed.fetch()  # it has begun to read
            for number in range(400):
                seen.server.fill("key", live.id, "0.1")
                if not number % 20:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(0.1)
            assert len(feed._queue) <= 100
            found: list[Fill] = []
            async for event in feed:
                if isinstance(event, Fill):
                    found.append(event)
                    if len(found) == 400:
                        break
            numbers = [fill.number for fill in found]
            assert numbers == sorted(set(numbers))
            # It has caught up, and has what comes next at once.
            seen.server.fill("key", live.id, "0.7")
            fresh = [e async for e in _fills(feed, 1)]
            assert [fill.size for fill in fresh] == [Decimal("0.7")]
    finally:
        delivery._WAITING = kept


@scenario
async def test_a_read_that_was_cancelled_loses_nothing_and_one_reads_at_a_time() -> None:
    async with world() as seen:
        live = await seen.account.place(buy())
        await asyncio.sleep(0.1)
        async with seen.account.fills(seen.account.number) as feed:
            for number in range(5):
                reading = asyncio.ensure_future(anext(aiter(feed)))
                await asyncio.sleep(0.05)
                if number == 2:
                    with pytest.raises(UsageError, match="one reader"):
                        await anext(aiter(feed))
                reading.cancel()
                await asyncio.wait([reading])
            for _ in range(5):
                seen.server.fill("key", live.id, "0.1")
            found = [fill async for fill in _fills(feed, 5)]
            assert len({fill.fill_id for fill in found}) == 5
        with pytest.raises(FeedClosed):
            await feed.__aenter__()
        assert [event async for event in feed] == []


@scenario
async def test_early_fills_are_lossy_and_of_their_own() -> None:
    joined: list[EarlyFills] = []
    feed = EarlyFills(joined.append, joined.remove)
    kept, delivery._WAITING = delivery._WAITING, 3
    try:
        async with feed:
            early: Any = [EarlyFill.__new__(EarlyFill) for _ in range(5)]
            feed.put(early)
            assert feed.dropped == 2
            assert await anext(aiter(feed)) is early[2]
            waiting = asyncio.ensure_future(anext(aiter(EarlyFills(joined.append, joined.remove))))
            await asyncio.sleep(0)
            waiting.cancel()
        assert not joined
    finally:
        delivery._WAITING = kept
    async with world() as seen:
        with pytest.raises(Unsupported, match="ahead"):
            seen.account.early_fills()


@scenario
async def test_own_orders_are_canceled_on_exit_also_by_an_exception_and_in_bounded_time() -> None:
    for ends in ("block", "exception", "stuck"):
        server = new_server()
        with pytest.raises(RuntimeError) if ends == "exception" else _Nothing():
            async with client_of(server) as (client, _, _):
                account = client.account(store="memory", on_exit="cancel_own")
                async with account:
                    await account.place(buy())
                    row = {"market": "spot", "native": "BTCUSD", "link": "", "side": "buy"}
                    server.place("key", row | {"type": "limit", "size": "1", "price": "90"})
                    await asyncio.sleep(0.1)
                    if ends == "stuck":
                        server.faults.append(lambda path, body: "limited")
                    before = server.now()
                    if ends == "exception":
                        raise RuntimeError
                assert server.now() - before < 30.0
        left = [o.row["link"] for o in server.book_of("key").orders.values() if o.open]
        assert len(left) == (2 if ends == "stuck" else 1)


class _Nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...


# --- disconnect protection ---


@scenario
async def test_protection_is_claimed_once_the_exchange_says_that_it_is_in_force() -> None:
    """M1, M2."""
    async with world() as seen:
        before = seen.server.now()
        async with seen.account.dead_man(seconds=10, markets=["spot"]) as switch:
            assert seen.server.now() - before >= 5.0
            assert switch.armed
            assert "spot" in switch.covers
            (peer,) = seen.server.keys
            assert "dead_man.spot" in seen.server.topics[peer]
            peer.drop()
            await asyncio.sleep(0)
            live = await seen.account.place(buy())
            seen.server.end("key", live.id, reason="dead_man")
            assert not switch.armed
            await asyncio.sleep(20.0)
            assert switch.armed
            assert (live.state, live.reason) == (OrderState.CANCELED, "dead_man")
        await asyncio.sleep(0.1)
        (peer,) = seen.server.open
        assert "dead_man.spot" not in seen.server.topics[peer]
        assert seen.account.synced


@scenario
async def test_protection_by_connections_is_left_in_force_by_a_block_that_fails() -> None:
    async with world() as seen:
        with pytest.raises(ZeroDivisionError):
            async with seen.account.dead_man(seconds=10, markets=["spot"]):
                raise ZeroDivisionError
        await asyncio.sleep(1.0)
        (peer,) = seen.server.open
        assert "dead_man.spot" in seen.server.topics[peer]
        async with seen.account.dead_man(seconds=10, markets=["spot"]):
            pass
        await asyncio.sleep(1.0)
        assert "dead_man.spot" not in seen.server.topics[peer]


@pytest.mark.parametrize("how", ["key", "topic", "off"])
def test_no_protection_is_never_claimed(how: str) -> None:
    @scenario
    async def play() -> None:
        async with world() as seen:
            if how == "key":
                seen.server.entitled = False
            elif how == "topic":
                seen.server.bad.add("dead_man.spot")
            else:
                done = seen.server._done
                seen.server._done = (  # type: ignore[method-assign]
                    lambda path, key, body: (
                        {"seconds": None} if path == "/protection" else done(path, key, body)
                    )
                )
            error = AccountUnsupported if how != "topic" else Exception
            with pytest.raises(error, match="protection|no such topic"):  # noqa: RUF043
                async with seen.account.dead_man(seconds=10, markets=["spot"]):
                    raise AssertionError
            assert seen.account.synced
            with pytest.raises(Unsupported):
                seen.account.dead_man(markets=["linear"])
            with pytest.raises(UsageError, match="not for 1000"):
                seen.account.dead_man(1000)

    play()


# --- client order ids ---

GRAMMARS = st.builds(
    ClientIds,
    longest=st.integers(24, 40),
    letters=st.sampled_from(
        [ClientIds(longest=36).letters, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"]
    ),
    separator=st.sampled_from(["-", "", "_"]),
)


@given(GRAMMARS, st.text("ABZ019", max_size=12), st.integers(0, 2**62))
def test_client_ids_are_within_the_grammar_and_tell_their_tag(
    grammar: ClientIds, tag: str, now_ns: int
) -> None:
    maker = ClientIdMaker(grammar, lambda: now_ns)
    if 20 + len(grammar.separator if tag else "") + len(tag) > grammar.longest:
        with pytest.raises(UsageError, match="doesn't fit"):
            maker.make(tag)
        return
    made = maker.make(tag)
    assert grammar.allows(made)
    assert is_made_here(grammar, made)
    assert tag_in(grammar, made) == tag
    assert not is_made_here(grammar, "web_9")


@settings(max_examples=20)
@given(st.lists(st.integers(-7200, 7200), min_size=2, max_size=4))
def test_client_ids_are_unique_over_restarts_processes_and_clocks_that_go_back(
    shifts: list[int],
) -> None:
    """H3."""
    grammar, seen = ClientIds(longest=36), set[str]()
    for shift in shifts:
        maker = ClientIdMaker(grammar, lambda shift=shift: (1_800_000_000 + shift) * 10**9)  # type: ignore[misc]
        made = {maker.make() for _ in range(1000)}
        assert len(made) == 1000
        assert not made & seen
        seen |= made


def test_a_maker_that_has_counted_through_begins_anew() -> None:
    maker = ClientIdMaker(ClientIds(longest=36), lambda: 0)
    maker._count = maker._most - 1
    made = [maker.make() for _ in range(3)]
    assert len(set(made)) == 3
    assert made[0][:16] != made[1][:16] == made[2][:16]


@scenario
async def test_each_balance_comes_once_however_many_there_are() -> None:
    async with world() as seen:
        live = await seen.account.place(limit("BTC/USD", Side.BUY, price="100", size="9"))
        for _ in range(501):  # more than are read from the store at a time
            seen.server.fill("key", live.id, "0.001")
        await asyncio.sleep(0.1)
        numbers: list[int] = []
        async with seen.account.events(0, kinds=("balance",), consumer="purse") as feed:
            while len(numbers) < 502:
                event = await anext(feed)
                if isinstance(event, Balance):
                    numbers.append(event.number)
                    feed.acknowledge(event)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await anext(feed)
        assert numbers == sorted(set(numbers))
        async with seen.account.events(kinds=("balance",), consumer="purse") as feed:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await anext(feed)


@pytest.mark.parametrize(
    "how",
    [
        *({"since": each} for each in (-1, 1.0, True, "7", float("nan"), 2**63)),
        *({"consumer": each} for each in ("", None, 7)),
        *({"kinds": each} for each in ("fill", ["fil"], [None])),
    ],
)
def test_a_feed_that_can_not_be_is_refused_where_it_is_asked_for(how: dict[str, Any]) -> None:
    @scenario
    async def story() -> None:
        async with world() as seen:
            with pytest.raises(UsageError):
                seen.account.events(**how)
            assert isinstance((await seen.account.place(buy())).id, str)

    story()


@scenario
async def test_what_is_no_event_can_not_be_acknowledged() -> None:
    async with world() as seen, seen.account.events(0) as feed:
        await anext(feed)
        for wrong in (True, 1.0, "1", None, object()):
            with pytest.raises(UsageError):
                feed.acknowledge(wrong)  # type: ignore[arg-type]
