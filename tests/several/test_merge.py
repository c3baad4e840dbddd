"""Market data and accounts in one loop: what arrived first comes first, and each once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ccrs_core
from ccrs_core import (
    AccountFeed,
    CcrsError,
    Fill,
    Income,
    IncomeKind,
    MergedEvents,
    StoreFailed,
    Synced,
    TopOfBook,
    Trade,
    UsageError,
    merge,
    top_of_book,
)
from ccrs_core.emulator import ApiKey
from ccrs_core.trading import delivery
from ccrs_core.trading.store import Entry
from ccrs_core.transport.memory import run
from tests import feeding
from tests.virtual import scenario

WAITING, PAGE = 6, 4


class Ledger:
    """An account's store and who reads it; reading takes time, and may fail once."""

    def __init__(self, name: str, times: Any) -> None:
        self.name, self.times = name, times
        self.entries: list[Entry] = []
        self.feeds: list[AccountFeed] = []
        self.acknowledged = 0
        self.fails = 0
        self.seconds = 0.0

    def feed(self) -> AccountFeed:
        return AccountFeed(self, "test", 0, None, exchange="toy", account=self.name)

    def commit(self, amount: int) -> None:
        for _ in range(amount):
            number, now = len(self.entries) + 1, next(self.times)
            event = Income(
                exchange="toy",
                symbol="",
                exchange_time_ns=now,
                received_time_ns=now,
                account=self.name,
                kind=IncomeKind.FUNDING,
                income_id=str(number),
                asset="USD",
                amount=Decimal(1),
                number=number,
            )
            self.entries.append(Entry(number, event))
            for each in self.feeds:
                each.put([event])

    def notice(self) -> None:
        now = next(self.times)
        said = Synced(
            exchange="toy",
            symbol="",
            exchange_time_ns=None,
            received_time_ns=now,
            account=self.name,
            synced=True,
            reason="",
        )
        for each in self.feeds:
            each.put([said])

    # --- as a feed's source ---

    async def entries_after(
        self, number: int, limit: int, kinds: Collection[str] | None
    ) -> list[Entry]:
        found = self.entries[number : number + limit]
        await asyncio.sleep(self.seconds)
        if self.fails:
            self.fails -= 1
            raise StoreFailed("the disk can't be read")
        return found

    def first_of(self, consumer: str) -> int:
        return 0

    def handed(self, consumer: str) -> int:
        return 0

    def hand(self, consumer: str, number: int) -> None: ...

    def acknowledge(self, consumer: str, number: int) -> None:
        self.acknowledged = number

    def join(self, feed: AccountFeed) -> None:
        self.feeds.append(feed)

    def leave(self, feed: AccountFeed) -> None:
        self.feeds.remove(feed)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds of accounts are served from the store soon."""
    monkeypatch.setattr(delivery, "_WAITING", WAITING)
    monkeypatch.setattr(delivery, "_PAGE", PAGE)


class World:
    """Two accounts and a market, merged."""

    def __init__(self) -> None:
        self.times = count(1)
        self.ledgers = [Ledger("one", self.times), Ledger("two", self.times)]
        self.market = feeding.opened(maxsize=1000)
        self.errors = 0
        self.raised: list[CcrsError] = []
        self.trades = 0
        self.read: list[Any] = []
        self.feeds = merge(self.market, *(each.feed() for each in self.ledgers))

    def act(self, what: str, amount: int) -> None:
        match what:
            case "trade":
                self.market.put([feeding.event(next(self.times)) for _ in range(amount)])
                self.trades += amount
            case "one" | "two":
                self.ledgers[what == "two"].commit(amount)
            case "notice":
                self.ledgers[amount % 2].notice()
            case "slow":
                self.ledgers[amount % 2].seconds = amount / 10
            case "fail":
                self.ledgers[amount % 2].fails += 1
                self.errors += 1
            case "error":
                self.market.fail(CcrsError("said once"))
                self.errors += 1

    async def reads(self, seconds: float, most: int, *, batches: bool) -> None:
        """Read for so long at most; the read that is under way then is given up."""
        try:
            async with asyncio.timeout(seconds):
                while most > 0:
                    most -= 1
                    try:
                        if batches:
                            self.read += await anext(aiter(self.feeds.batches()))
                        else:
                            self.read.append(await anext(aiter(self.feeds)))
                    except CcrsError as error:
                        self.raised.append(error)
        except TimeoutError:
            pass

    def of(self, name: str) -> list[int]:
        return [e.number for e in self.read if isinstance(e, Income) and e.account == name]


ACTS = st.tuples(
    st.sampled_from(["trade", "one", "two", "notice", "slow", "fail", "error"]), st.integers(1, 9)
)
READS = st.tuples(st.sampled_from(["read", "batches"]), st.integers(1, 9))


@given(st.lists(ACTS | READS, max_size=30))
def test_each_event_comes_once_and_in_its_feeds_order_whatever_happens(
    steps: list[tuple[str, int]],
) -> None:
    async def main() -> World:
        world = World()
        async with world.feeds:
            for what, amount in steps:
                if what in ("read", "batches"):
                    await world.reads(amount / 20, amount, batches=what == "batches")
                else:
                    world.act(what, amount)
            await world.reads(60.0, 10_000, batches=False)
        return world

    world = run(main())
    for ledger in world.ledgers:
        assert world.of(ledger.name) == [entry.number for entry in ledger.entries]
    trades = [each.received_time_ns for each in world.read if isinstance(each, Trade)]
    assert len(trades) == world.trades
    assert trades == sorted(trades)
    # A store that is never read can't fail.
    unread = sum(ledger.fails for ledger in world.ledgers)
    assert len(world.raised) == world.errors - unread


@given(st.lists(st.sampled_from(["trade", "one", "two", "notice"]), max_size=12))
def test_what_waits_comes_in_the_order_of_arrival(steps: list[str]) -> None:
    async def main() -> list[Any]:
        world = World()
        async with world.feeds:
            await world.reads(1.0, 1, batches=False)
            for number, what in enumerate(steps):
                if len(world.ledgers[what == "two"].entries) < WAITING // 2:
                    world.act(what, number if what == "notice" else 1)
            if next(world.times) == 1:
                return []
            return await anext(aiter(world.feeds.batches()))

    batch = [each.received_time_ns for each in run(main())]
    assert batch == sorted(batch)


@scenario
async def test_a_slow_store_keeps_no_market_data_waiting() -> None:
    world = World()
    world.ledgers[0].commit(3)
    world.ledgers[0].seconds = 5.0
    world.act("trade", 2)
    async with world.feeds:
        await world.reads(1.0, 10, batches=False)
        assert [type(each) for each in world.read] == [Trade, Trade]
        world.ledgers[0].commit(1)  # it waits behind what is being fetched
        await world.reads(5.0, 10, batches=True)
        assert world.of("one") == [1, 2, 3, 4]
        world.feeds.acknowledge(world.read[2])
        world.feeds.acknowledge(world.read[0])
        assert world.ledgers[0].acknowledged == 1
        world.ledgers[1].commit(1)
        with pytest.raises(UsageError, match="read last"):
            world.feeds.acknowledge(world.ledgers[1].entries[0].event)


@scenario
async def test_it_ends_when_all_have_ended_and_closes_what_it_opened() -> None:
    world = World()
    feeds = world.feeds
    async with feeds:
        await world.reads(1.0, 1, batches=False)
        world.ledgers[0].commit(1)
        for ledger in world.ledgers:
            ledger.feeds[0].end()
        assert [each.number async for each in _first(feeds, 1)] == [1]
        reading = asyncio.ensure_future(anext(aiter(feeds), None))
        await asyncio.sleep(1.0)
        assert not reading.done()
        with pytest.raises(UsageError, match="one reader"):
            await anext(aiter(feeds))
        await feeds.aclose()
        assert await reading is None
        assert [batch async for batch in feeds.batches()] == []
    assert world.market.ended
    with pytest.raises(ccrs_core.FeedClosed):
        async with feeds:
            pass


async def _first(feeds: MergedEvents, amount: int) -> Any:
    for _ in range(amount):
        yield await anext(aiter(feeds))


def test_what_cannot_be_merged_is_refused() -> None:
    ledger = Ledger("one", count())
    market = feeding.opened()
    wrong: Sequence[Sequence[Any]] = [
        (),
        (market, market),
        (ledger.feed(), ledger.feed()),
        (feeding.opened(callback=print),),
        ("bybit",),
    ]
    for each in wrong:
        with pytest.raises(UsageError):
            merge(*each)
    ledger.commit(1)
    with pytest.raises(UsageError, match="are merged here"):
        merge(market).acknowledge(ledger.entries[0].event)


@pytest.mark.sockets
def test_two_accounts_and_the_market_of_a_client_come_in_one_loop() -> None:
    async def main() -> set[tuple[type, str]]:
        seen: set[tuple[type, str]] = set()
        async with ccrs_core.connect("bybit", environment="emulator") as client:
            desk = client.emulator.venue.desk  # type: ignore[union-attr]
            assert desk is not None
            desk.open_account("maker")
            desk.add_key(ApiKey(key="maker-key", secret="maker-secret", account="maker"))
            key = ccrs_core.Credentials("maker-key", "maker-secret")
            async with (
                client.account(store="memory") as one,
                client.account("maker", credentials=key, store="memory") as two,
                merge(
                    client.subscribe(top_of_book("BTC/USDT")), one.events(), two.events()
                ) as all_of,
            ):
                for account in one, two:
                    await account.place(ccrs_core.market("BTC/USDT", "buy", size=Decimal("0.01")))
                async for event in all_of:
                    if isinstance(event, Fill | TopOfBook):
                        seen.add((type(event), getattr(event, "account", "")))
                        all_of.acknowledge(event)
                    if len(seen) == 3:
                        return seen
        return seen

    assert asyncio.run(main()) == {(TopOfBook, ""), (Fill, "default"), (Fill, "maker")}
