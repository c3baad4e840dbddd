"""While the store fails nothing is placed, at once and for certain; all else goes on, and what was
learned is stored and told in order once it works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core import (
    EntryKnown,
    Fill,
    MemoryStore,
    NotSent,
    NotStored,
    OrderState,
    OutcomeUnknown,
    StoreFailed,
    Synced,
)
from ccrs_core.trading.journal import Journal
from ccrs_core.trading.live_order import LiveOrder
from ccrs_core.transport.memory import run
from tests.trading.desk_toy import Desk
from tests.trading.desk_world import new_server, world
from tests.trading.test_placing import buy, once, placements
from tests.virtual import scenario


class Store(MemoryStore):
    """``fails(how many commits were tried)``: whether this one does; each takes ``takes`` s."""

    fails: Callable[[int], StoreFailed | None]

    def __init__(self) -> None:
        super().__init__()
        self.tried, self.takes = 0, 0.0
        self.begun = asyncio.Event()
        self.fails = lambda tried: None

    def full(self, full: bool = True) -> None:
        error = StoreFailed("the disk is full")
        self.fails = lambda tried: error if full else None

    async def commit(self, rows: Sequence[Any]) -> None:
        self.tried += 1
        self.begun.set()
        error = self.fails(self.tried)
        if self.takes:
            await asyncio.sleep(self.takes)
        if error is not None:
            raise error
        await super().commit(rows)


# --- of an account ---


@scenario
async def test_while_the_store_fails_nothing_is_placed_and_all_else_goes_on() -> None:
    """And so it is the second time."""
    store = Store()
    async with world(store=store) as seen:
        lives = [await seen.account.place(buy()) for _ in range(4)]
        for round_ in range(2):
            store.full()
            sent = len(placements(seen))
            for n in range(3):  # the first one finds out, the others know
                began = seen.clock.monotonic()
                with pytest.raises(NotStored, match="disk is full") as failure:
                    await seen.account.place(buy(client_order_id=f"never{round_}{n}"))
                assert isinstance(failure.value, NotSent)
                assert isinstance(failure.value, StoreFailed)
                assert failure.value.order.state is OrderState.NOT_SENT
                assert seen.clock.monotonic() == began
            assert len(placements(seen)) == sent
            await seen.account.amend(lives[0], price=str(101 + round_))
            assert (await seen.account.cancel(lives[1 + round_])).result == "accepted"
            seen.server.fill("key", lives[0].id, "0.1")
            await asyncio.sleep(30.0)
            assert len(seen.of(Fill)) == round_
            assert not seen.account.synced
            store.full(False)
            await asyncio.sleep(20.0)
            assert len(seen.of(Fill)) == round_ + 1
            assert seen.account.synced
            live = await seen.account.place(buy())
            assert live.state is OrderState.OPEN
        assert lives[0].now.price == 102
        assert {each.state for each in lives[1:3]} == {OrderState.CANCELED}
        never = [seen.account.order(f"never{r}{n}") for r in range(2) for n in range(3)]
        assert {each.state for each in never if each is not None} == {OrderState.NOT_SENT}
        assert [each.synced for each in seen.of(Synced)].count(False) == 2
        assert len(placements(seen)) == 6


@scenario
async def test_a_store_that_fails_in_the_middle_of_a_batch_ends_what_it_did_not_keep() -> None:
    """Of orders in three batches those of the second aren't sent, each for itself."""
    store = Store()
    async with world(Desk(batch={"spot": 2}), store=store) as seen:
        await asyncio.sleep(1.0)  # what is read at first is kept by then
        store.takes = 0.01
        before = store.tried
        store.begun.clear()
        # The first batch's intents are under way to the disk as it fills up.
        async with asyncio.TaskGroup() as group:
            first = group.create_task(seen.account.place_many([buy(), buy()]))
            await store.begun.wait()
            store.full()
            rest = group.create_task(seen.account.place_many([buy() for _ in range(4)]))
        placed, failed = first.result(), rest.result()
        store.full(False)
        assert [type(each) for each in placed] == [LiveOrder] * 2
        assert [type(each) for each in failed] == [NotStored] * 4
        assert len({each.order.client_order_id for each in failed}) == 4  # type: ignore[union-attr]
        assert len(placements(seen)) == 2
        await asyncio.sleep(5.0)
        assert store.tried > before + 2
        states = sorted(each.state.value for each in seen.account.orders())
        assert states == ["not_sent"] * 4 + ["open"] * 2
        assert all(isinstance(e, LiveOrder) for e in await seen.account.place_many([buy(), buy()]))


@scenario
async def test_what_was_not_kept_leaves_no_trace_after_a_restart() -> None:
    store, server = Store(), new_server()
    async with world(server=server, store=store) as seen:
        live = await seen.account.place(buy())
        store.full()
        with pytest.raises(NotStored):
            await seen.account.place(buy(client_order_id="unstored"))
    store.full(False)
    async with world(server=server, store=store) as seen:
        assert seen.account.order("unstored") is None
        assert [each.client_order_id for each in seen.account.open_orders()] == [live.id]
        assert (await seen.account.place(buy(client_order_id="unstored"))).state is OrderState.OPEN


@scenario
async def test_an_answer_that_is_lost_while_the_store_fails_is_looked_up_and_kept_later() -> None:
    store = Store()
    async with world(store=store) as seen:
        seen.server.faults.append(once("/place", "lose"))
        seen.server.push_of = lambda topic, row: []
        seen.transport.answer_after = lambda path: 1.0 if path == "/place" else 0.0
        placing = asyncio.ensure_future(seen.account.place(buy()))
        await asyncio.sleep(0.5)
        store.full()
        with pytest.raises(OutcomeUnknown) as failure:
            await placing
        key = failure.value.order.client_order_id
        await asyncio.sleep(10.0)
        order = seen.account.order(key)
        assert order is not None
        assert order.state is OrderState.OPEN
        store.full(False)
        await asyncio.sleep(20.0)
        assert len(placements(seen)) == 1
        assert seen.account.synced


@scenario
async def test_a_store_that_fails_for_good_ends_the_account_and_nothing_is_sent() -> None:
    store = Store()
    async with world(store=store) as seen:
        live = await seen.account.place(buy())
        error = EntryKnown("an entry of it is there already", ("key",))
        store.fails = lambda tried: error
        for _ in range(2):
            with pytest.raises(StoreFailed, match="there already"):
                await seen.account.place(buy())
        assert len(placements(seen)) == 1
        assert live.state is OrderState.OPEN


# --- of the journal ---


@attrs.frozen
class Row:
    number: int


@attrs.frozen
class Made:
    """A change of one row."""

    rows: tuple[Row, ...]
    events: tuple[Any, ...]


class Told:
    def __init__(self) -> None:
        self.events: list[int] = []
        self.words: list[str] = []
        self.disk: list[int] = []

    def committed(self, events: Sequence[int]) -> None:
        assert set(events) <= set(self.disk), "told before it was kept"
        self.events += events

    def store_failed(self, error: StoreFailed) -> None:
        self.words.append("fails")

    def store_works(self) -> None:
        self.words.append("works")


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.003, 0.02, 0.3])), min_size=1, max_size=25
    ),
    failing=st.sets(st.integers(1, 20)),
    takes=st.sampled_from([0.0, 0.005, 0.05]),
)
def test_changes_are_kept_in_order_and_told_once_they_are_whatever_commits_fail(
    steps: list[tuple[bool, float]], failing: set[int], takes: float
) -> None:
    """Whoever waits for one hears at once that it fails, or that it is kept; never both."""

    async def scene() -> None:
        told, tried = Told(), 0
        forgotten: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: forgotten.append(context))

        class Disk:
            async def commit(self, rows: Sequence[Row]) -> None:
                nonlocal tried
                tried += 1
                mine = tried
                await asyncio.sleep(takes)
                if mine in failing:
                    raise StoreFailed("full")
                told.disk += [row.number for row in rows]

        journal = Journal(Disk(), told, asyncio.ensure_future)  # type: ignore[arg-type]
        outcomes: dict[int, bool] = {}

        async def wait(number: int) -> None:
            try:
                await journal.commit(Made((Row(number),), (number,)))  # type: ignore[arg-type]
            except StoreFailed:
                outcomes[number] = False
            else:
                assert number in told.disk
                outcomes[number] = True

        waiting = []
        for number, (waits, pause) in enumerate(steps):
            if waits:
                knew = journal.failed is not None
                waiting.append(asyncio.ensure_future(wait(number)))
                await asyncio.sleep(0)
                if knew and journal.failed is not None:
                    assert outcomes[number] is False, "who waits isn't told at once"
            else:
                journal.add(Made((Row(number),), (number,)))  # type: ignore[arg-type]
            await asyncio.sleep(pause)
        await asyncio.sleep(200.0)
        assert all(each.done() for each in waiting)
        assert told.disk == list(range(len(steps)))
        assert told.events == told.disk
        assert told.words == ["fails", "works"] * (len(told.words) // 2)
        assert journal.failed is None
        assert not forgotten

    run(scene())
