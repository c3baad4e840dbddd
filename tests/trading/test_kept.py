"""What isn't dealt with yet is kept: changes of which a commit was interrupted, notices for who
reads slowly, cursors before what wasn't taken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from ccrs_core import Fill, MemoryStore, Synced
from ccrs_core.trading import delivery, reconcile
from ccrs_core.trading.change import Change
from ccrs_core.trading.delivery import AccountFeed
from ccrs_core.trading.journal import Journal
from ccrs_core.trading.store import Acknowledged, LedgerName, Row
from tests.trading.desk_world import world
from tests.trading.test_placing import buy
from tests.virtual import scenario


class Broken(MemoryStore):
    """Fails as long as it is told to, and notes when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = True
        self.tried: list[float] = []
        self.kept: list[Row] = []

    async def commit(self, rows: Sequence[Row]) -> None:
        self.tried.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.05)
        if self.fails:
            raise OSError("the disk is gone")
        self.kept += rows


class Quiet:
    """Nobody who listens does anything."""

    def committed(self, events: Sequence[Any]) -> None:
        pass

    def store_failed(self, error: Exception) -> None:
        pass

    def store_works(self) -> None:
        pass


def row(number: int) -> Change:
    return Change(rows=(Acknowledged("reader", number),))


@scenario
async def test_what_waits_for_a_store_that_fails_is_kept_in_order_when_that_ends() -> None:
    for moment in (0.02, 0.1, 0.17):  # in a commit, in the pause after it, in the next one
        store = Broken()
        await store.open(LedgerName("toy", "somewhere", "default"))
        journal = Journal(store, Quiet(), asyncio.ensure_future)  # type: ignore[arg-type]
        journal.add(row(1))
        await asyncio.sleep(moment)
        journal.add(row(2))
        store.fails = False
        await journal.aclose(row(3))
        assert [each.number for each in store.kept] == [1, 2, 3]  # type: ignore[union-attr]


@scenario
async def test_a_store_that_fails_is_tried_ever_more_rarely_but_on() -> None:
    store = Broken()
    await store.open(LedgerName("toy", "somewhere", "default"))
    journal = Journal(store, Quiet(), asyncio.ensure_future)  # type: ignore[arg-type]
    journal.add(row(1))
    await asyncio.sleep(120.0)
    pauses = [after - at for at, after in zip(store.tried, store.tried[1:], strict=False)]
    assert pauses[:4] == pytest.approx([0.15, 0.25, 0.45, 0.85], abs=0.01)
    assert pauses[-1] == pytest.approx(10.05)
    store.fails = False
    await asyncio.sleep(11.0)
    assert store.kept
    await journal.aclose()


async def _into(told: list[Any], feed: AccountFeed) -> None:
    async for event in feed:
        told += [event]


def test_a_reader_who_falls_behind_is_told_what_interrupted_the_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "_WAITING", 20)

    @scenario
    async def story() -> None:
        async with world() as seen:
            feed = seen.account.events(seen.account.number, consumer="slow")
            async with feed:
                live = await seen.account.place(buy())
                first = await anext(aiter(feed))
                assert first.type == "order"
                seen.account._parts.upkeep.missed("a reason to remember")
                for _ in range(50):
                    seen.server.fill("key", live.id, "0.02")
                await asyncio.sleep(5.0)
                assert len(feed._queue) <= 20
                told: list[Any] = []
                reading = asyncio.ensure_future(_into(told, feed))
                await asyncio.sleep(1.0)
                reading.cancel()
                await asyncio.wait([reading])
            assert sum(isinstance(each, Fill) for each in told) == 50
            reasons = [each.reason for each in told if isinstance(each, Synced)]
            assert "a reason to remember" in reasons

    story()


def test_a_cursor_stays_before_a_stretch_that_was_not_taken_though_later_ones_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @scenario
    async def story() -> None:
        async with world() as seen:
            monkeypatch.setattr(reconcile, "_STRETCH_NS", 5 * 10**9)
            live = await seen.account.place(buy())
            seen.server.push_of = lambda topic, row: []
            await asyncio.sleep(15.0)
            seen.server.fill("key", live.id, "0.1")
            strange = seen.server.book_of("key").fills[0][1]
            strange["native"] = "NEWUSD"
            await asyncio.sleep(20.0)
            seen.server.fill("key", live.id, "0.2")
            await asyncio.sleep(1.0)
            await seen.account.reconcile()
            assert [str(fill.size) for fill in seen.of(Fill)] == ["0.2"]
            reached = seen.account._parts.ledger.cursor("fills spot")
            assert reached is not None
            assert reached <= int(strange["at"])
            strange["native"] = "BTCUSD"
            await seen.account.reconcile()
            await asyncio.sleep(0.1)
            assert [str(fill.size) for fill in seen.of(Fill)] == ["0.2", "0.1"]
            reached = seen.account._parts.ledger.cursor("fills spot")
            assert reached is not None
            assert reached > int(strange["at"])

    story()
