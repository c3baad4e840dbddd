"""Stores keep what they are given, whole or not at all, whatever happens to the process."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.errors import (
    EntryKnown,
    PluginBroken,
    PluginNotInstalled,
    StoreFailed,
    StoreInUse,
    UsageError,
)
from ccrs_core.extensions import exchanges, stores
from ccrs_core.model.orders import OrderState
from ccrs_core.trading import schema, sqlite
from ccrs_core.trading.audit import Audit, audit
from ccrs_core.trading.change import Change
from ccrs_core.trading.choose_store import default_path, store_for
from ccrs_core.trading.memory_store import MemoryStore
from ccrs_core.trading.sqlite import SqliteStore
from ccrs_core.trading.store import Acknowledged, Cursor, LedgerName, Row, Store, Wanted
from tests.trading.books import NAME, SECOND, Book, fill, said
from tests.trading.test_order_state import histories

ROOT = Path(__file__).parents[2]


def fills_of(count: int, first: int = 1) -> list[Change]:
    """Changes of a ledger, one fill each."""
    book = Book()
    return [book.take(fill(f"f{n}", "1", at=n)) for n in range(first, first + count)]


def playing(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in real time."""

    def play(tmp_path: Path) -> None:
        asyncio.run(test(tmp_path))

    play.__name__, play.__doc__ = test.__name__, test.__doc__
    return play


async def everything(store: Store) -> list[Any]:
    """What a store has."""
    entries = await store.entries_after(0, 10**6)
    keys = frozenset(entry.key for entry in entries if entry.key)
    known = await store.look_up(Wanted(keys, frozenset({("BTC/USDT", "o1", "")})))
    return [
        entries,
        sorted(known.entries, key=lambda entry: entry.number),
        known.orders,
        await store.orders(),
        await store.orders(symbol="BTC/USDT", start_ns=2 * SECOND, end_ns=9 * SECOND, limit=2),
        await store.fills(),
        await store.fills(order="e BTC/USDT o1", limit=3),
        await store.fills(symbol="BTC/USDT", start_ns=2 * SECOND, end_ns=9 * SECOND),
        await store.entries_after(3, 2, {"fill"}),
    ]


def begun(stored: Any) -> dict[str, Any]:
    """What a ledger begins with, whatever the order of equal times."""
    fields = attrs.asdict(stored, recurse=False)
    return {
        name: sorted(value, key=repr) if isinstance(value, tuple) else value
        for name, value in fields.items()
    }


@given(st.lists(histories(), min_size=1, max_size=3), st.randoms(use_true_random=False))
@settings(max_examples=10)
def test_a_file_holds_what_memory_holds(told: list[list[Any]], chance: random.Random) -> None:
    reports = [
        attrs.evolve(report, exchange_order_id=f"o{number + 1}")
        for number, history in enumerate(told)
        for report in history
    ]
    chance.shuffle(reports)
    book = Book()
    changes: list[Sequence[Row]] = [book.take(report).rows for report in reports]
    changes += [(Cursor(f"c{n % 2}", n), Acknowledged("bot", n)) for n in range(3)]
    changes.append(book.ledger.save(0).rows)

    async def both(path: Path) -> None:
        memory, file = MemoryStore(), SqliteStore(path)
        stores: list[Store] = [memory, file]
        await asyncio.gather(*(store.open(NAME) for store in stores))
        for rows in changes:
            await asyncio.gather(*(store.commit(rows) for store in stores))
            if chance.random() < 0.1:
                await asyncio.gather(*(store.close() for store in stores))
                mine, its = [await store.open(NAME) for store in stores]
                assert begun(mine) == begun(its)
            if chance.random() < 0.1:
                number = chance.randrange(20)
                await asyncio.gather(*(store.forget(number, {"order"}) for store in stores))
        assert await everything(memory) == await everything(file)
        await asyncio.gather(*(store.close() for store in stores))

    with TemporaryDirectory() as folder:
        asyncio.run(both(Path(folder) / "ledger.sqlite"))


@playing
async def test_what_is_left_out_at_the_start_is_older_than_the_time_that_is_told(
    tmp_path: Path,
) -> None:
    for store in (MemoryStore(), SqliteStore(tmp_path / "ledger.sqlite")):
        await store.open(NAME)
        for change in fills_of(9):
            await store.commit(change.rows)
        await store.close()
        stored = await store.open(NAME, recent=4)
        assert [entry.event.exchange_time_ns for entry in stored.entries] == [
            n * SECOND for n in (9, 8, 7, 6)
        ]
        assert stored.forgotten_ns == 5 * SECOND
        await store.close()


KILLED = """
import asyncio, sys
from ccrs_core.trading.sqlite import SqliteStore
from tests.trading.books import NAME, Book, fill

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open(NAME)
    print("open", flush=True)
    book = Book()
    for n in range(1, 100000):
        change = book.take(fill(f"f{n}", "1", at=n))
        await store.commit(change.rows)
        print(change.entries[0].number, flush=True)

asyncio.run(main())
"""


def test_a_killed_process_loses_nothing_that_was_committed_and_leaves_no_half(
    tmp_path: Path,
) -> None:
    """H2: and its lock ends with it."""
    path = tmp_path / "ledger.sqlite"
    running = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "open\n"
    with pytest.raises(StoreInUse, match=f"kept by another process \\({running.pid}\\)"):
        asyncio.run(SqliteStore(path).open(NAME))
    committed = 0
    for _ in range(40):
        committed = int(running.stdout.readline())
    running.send_signal(signal.SIGKILL)
    running.wait()
    rest = running.stdout.read().split()
    running.stdout.close()
    committed = int(rest[-1]) if rest else committed

    async def look() -> None:
        store = SqliteStore(path)
        stored = await store.open(NAME)
        fills = await store.fills(limit=10**6)
        assert stored.number >= committed
        assert [each.fill_id for each in fills] == [f"f{n}" for n in range(1, len(fills) + 1)]
        (order,) = stored.orders
        assert order.facts.fills_size == len(fills)
        await store.close()

    asyncio.run(look())


def test_another_store_of_the_same_process_is_refused_and_let_in_after_the_first(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        first, second = (SqliteStore(tmp_path / "ledger.sqlite") for _ in range(2))
        await first.open(NAME)
        for store in (first, second):
            with pytest.raises(StoreInUse):
                await store.open(NAME)
        await first.close()
        await second.open(NAME)
        await second.close()
        await second.close()

    asyncio.run(play())


@playing
async def test_a_ledger_can_be_read_while_another_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with pytest.raises(StoreFailed, match="no such ledger"):
        await SqliteStore(path, read_only=True).open(NAME)
    writer, reader = SqliteStore(path), SqliteStore(path, read_only=True)
    await writer.open(NAME)
    first, second = fills_of(2)
    await writer.commit(first.rows)
    assert (await reader.open(NAME)).number == 1
    await writer.commit(second.rows)
    assert [each.fill_id for each in await reader.fills()] == ["f1", "f2"]
    with pytest.raises(StoreFailed, match="readonly"):
        await reader.commit([Cursor("a", 1)])
    await reader.close()
    await writer.close()


@playing
async def test_a_ledger_that_does_not_add_up_is_seen(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    await store.open(NAME)
    book = Book()
    reports = [fill(f"f{n}", "1", at=n, fee="0.1", fee_asset="BTC") for n in range(9)]
    for report in (*reports, said(OrderState.FILLED, 9, size="9", filled_size="9")):
        await store.commit(book.take(report).rows)
    await store.commit(book.ledger.save(1).rows)
    await store.close()
    stored = await store.open(NAME)
    assert await audit(store, stored) == Audit(entries=10, fills=9, orders=1)
    await store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("DELETE FROM entries WHERE number = 3")
    connection.close()
    stored = await store.open(NAME)
    assert (await audit(store, stored)).problems == (
        "order e BTC/USDT o1: it says 9 of fills of 8",
        "BTC/USDT net: 9 bought, not 8",
    )
    await store.close()


def test_a_file_is_one_accounts_and_its_owners(tmp_path: Path) -> None:
    """J7."""

    async def play() -> None:
        store = SqliteStore(tmp_path / "new" / "ledger.sqlite")
        await store.open(NAME)
        await store.close()
        assert stat.S_IMODE(os.stat(store.path).st_mode) == 0o600
        with pytest.raises(StoreInUse, match="is the ledger of exchange emulator default, not of"):
            await store.open(LedgerName("exchange", "emulator", "other"))
        memory = MemoryStore()
        await memory.open(NAME)
        await memory.close()
        with pytest.raises(StoreInUse):
            await memory.open(LedgerName("exchange", "emulator", "other"))

    asyncio.run(play())


class Small(SqliteStore):
    """A store whose disk can be full."""

    full = False

    def _connect(self, ledger: LedgerName) -> sqlite3.Connection:
        self.connection = super()._connect(ledger)
        return self.connection

    def _transact(self, connection: sqlite3.Connection, jobs: list[Any]) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages if self.full else 10**6}")
        super()._transact(connection, jobs)


async def failing(
    store: SqliteStore, fail: Callable[[], None], heal: Callable[[], None], match: str
) -> None:
    """H5: fills 3 to 5 can't be kept for a while."""
    changes = fills_of(5)
    await store.open(NAME)
    for change in changes[:2]:
        await store.commit(change.rows)
    fail()
    together = [store.commit(change.rows) for change in changes[2:]]
    results = await asyncio.gather(*together, return_exceptions=True)
    assert all(isinstance(each, StoreFailed) and each.retryable for each in results), results
    assert match in str(results[0])
    assert len(await store.fills()) == 2
    heal()
    for _ in range(2):  # whoever doesn't know whether it was kept may hand it in again
        for change in changes[2:]:
            await store.commit(change.rows)
    assert [each.fill_id for each in await store.fills()] == ["f1", "f2", "f3", "f4", "f5"]
    assert len(await store.entries_after(0, 100)) == 5
    await store.close()


@playing
async def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    store = Small(tmp_path / "ledger.sqlite")
    big = [Cursor("x" * 200_000, 1)]

    def fail() -> None:
        store.full = True

    def heal() -> None:
        store.full = False

    await store.open(NAME)
    store.full = True
    with pytest.raises(StoreFailed, match="full"):
        await store.commit(big)
    store.full = False
    await store.commit(big)
    await store.close()


@playing
async def test_a_locked_file_loses_nothing(tmp_path: Path) -> None:
    other: list[sqlite3.Connection] = []
    path = tmp_path / "ledger.sqlite"

    def fail() -> None:
        other.append(sqlite3.connect(path, isolation_level=None))
        other[0].execute("BEGIN IMMEDIATE")

    def heal() -> None:
        other.pop().close()

    before, sqlite._BUSY = sqlite._BUSY, 0.01
    try:
        await failing(SqliteStore(path), fail, heal, "locked")
    finally:
        sqlite._BUSY = before


@playing
async def test_what_follows_a_failed_commit_is_not_kept_before_its_caller_knows(
    tmp_path: Path,
) -> None:
    store = Small(tmp_path / "ledger.sqlite")
    await store.open(NAME)
    store.full = True
    first = asyncio.ensure_future(store.commit([Cursor("x" * 200_000, 1)]))
    second = asyncio.ensure_future(store.commit([Cursor("a", 1)]))
    results = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(each) for each in results] == [StoreFailed, StoreFailed]
    assert "what came before it wasn't kept" in str(results[1])
    await store.commit([Cursor("a", 2)])
    await store.close()
    assert (await store.open(NAME)).cursors == (Cursor("a", 2),)
    await store.close()


@playing
async def test_a_row_that_can_not_be_written_stops_no_later_one(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    await store.open(NAME)
    with pytest.raises(StoreFailed, match="OverflowError"):
        await store.commit([Cursor("a", 2**64)])
    await store.commit([Cursor("a", 1)])
    await store.close()


@playing
async def test_a_fill_that_is_there_is_never_kept_again(tmp_path: Path) -> None:
    for store in (MemoryStore(), SqliteStore(tmp_path / "ledger.sqlite")):
        await store.open(NAME)
        (change,) = fills_of(1)
        await store.commit(change.rows)
        entry = change.entries[0]
        again = attrs.evolve(entry, number=9, event=attrs.evolve(entry.event, number=9))
        with pytest.raises(EntryKnown) as caught:
            await store.commit([Cursor("a", 1), again])
        assert caught.value.keys == (entry.key,)
        assert not caught.value.retryable
        twice = [attrs.evolve(each, key="fill twice") for each in (entry, again)]
        with pytest.raises(EntryKnown):
            await store.commit(
                [attrs.evolve(each, number=n) for n, each in zip((11, 12), twice, strict=True)]
            )
        await store.commit([Cursor("b", 1)])
        assert [each.number for each in await store.entries_after(0, 9)] == [entry.number]
        await store.close()
        assert Cursor("a", 1) not in (await store.open(NAME)).cursors
        await store.close()


@playing
async def test_a_number_is_one_entrys_which_may_become_whole_later(tmp_path: Path) -> None:
    for store in (MemoryStore(), SqliteStore(tmp_path / "ledger.sqlite")):
        await store.open(NAME)
        (change,) = fills_of(1)
        await store.commit(change.rows)
        entry = change.entries[0]
        for key in ("fill another", ""):
            with pytest.raises(EntryKnown):
                await store.commit([attrs.evolve(entry, key=key)])
        assert await store.entries_after(0, 9) == [entry]
        learned = attrs.evolve(entry, event=attrs.evolve(entry.event, fee=Decimal("0.5")))
        await store.commit([learned])
        assert await store.entries_after(0, 9) == [learned]
        await store.close()


@playing
async def test_changes_that_were_dealt_with_and_old_orders_of_which_nothing_came_may_go(
    tmp_path: Path,
) -> None:
    for store in (MemoryStore(), SqliteStore(tmp_path / "ledger.sqlite")):
        await store.open(NAME)
        book = Book()
        for n in range(1, 5):
            idle = said(OrderState.CANCELED, n, exchange_order_id=f"idle{n}", filled_size="0")
            await store.commit(book.take(idle).rows)
        await store.commit(book.take(said(OrderState.OPEN, 1, size="1")).rows)
        await store.commit(book.take(fill("f1", "1", exchange_order_id="done")).rows)
        done = said(OrderState.FILLED, 1, exchange_order_id="done", size="1", filled_size="1")
        await store.commit(book.take(done).rows)
        await store.forget(3, {"order"}, orders_before_ns=3 * SECOND)
        entries = await store.entries_after(0, 99)
        assert [(each.number, each.event.type) for each in entries] == [
            *((4, "order"), (5, "order"), (6, "fill"), (7, "order")),
        ]
        left = {order.exchange_order_id for order in await store.orders()}
        assert left == {"idle3", "idle4", "o1", "done"}
        await store.forget(99, {"order", "fill"}, orders_before_ns=99 * SECOND)
        assert [each.number for each in await store.entries_after(0, 99)] == [6, 7]
        assert {o.exchange_order_id for o in await store.orders()} == {"o1", "done"}
        await store.close()


@playing
async def test_commits_that_come_together_are_one_transaction(tmp_path: Path) -> None:
    counted: list[int] = []

    class Counting(SqliteStore):
        def _transact(self, connection: sqlite3.Connection, jobs: list[Any]) -> None:
            counted.append(len(jobs))
            super()._transact(connection, jobs)

    store = Counting(tmp_path / "ledger.sqlite", synchronous="full")
    await store.open(NAME)
    changes = fills_of(300)
    await asyncio.gather(*(store.commit(change.rows) for change in changes))
    assert sum(counted) == 300
    assert len(counted) < 100
    await store.close()


@playing
async def test_closing_keeps_what_was_handed_over_and_ends_the_thread(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    store = SqliteStore(tmp_path / "ledger.sqlite")
    await store.open(NAME)
    waiting = [asyncio.ensure_future(store.commit([Cursor("a", n)])) for n in range(50)]
    await asyncio.sleep(0)
    waiting[3].cancel()
    await store.close()
    assert set(threading.enumerate()) <= threads
    with pytest.raises(StoreFailed):
        await store.commit([Cursor("a", 1)])
    assert (await store.open(NAME)).cursors == (Cursor("a", 49),)
    await store.close()


@playing
async def test_opening_that_is_given_up_leaves_no_thread_and_no_lock(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    opening = asyncio.ensure_future(store.open(NAME))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await store.open(NAME)
    await store.close()


OLDER: Sequence[str] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE fills (id TEXT PRIMARY KEY, size TEXT NOT NULL);
    """,
    "ALTER TABLE fills ADD COLUMN fee TEXT",
    "UPDATE fills SET fee = '0' WHERE fee IS NULL",
)


def test_an_older_file_becomes_todays_and_what_it_was_stays_beside_it(tmp_path: Path) -> None:
    path = str(tmp_path / "old.sqlite")
    with sqlite3.connect(path, isolation_level=None) as connection:
        schema.migrate(connection, path, OLDER[:1])
        connection.execute("INSERT INTO fills VALUES ('f1', '0.00000402')")
        assert schema.version_of(connection) == 1
        schema.migrate(connection, path, OLDER)
        assert schema.version_of(connection) == 3
        assert connection.execute("SELECT * FROM fills").fetchall() == [("f1", "0.00000402", "0")]
        schema.migrate(connection, path, OLDER)
        with pytest.raises(StoreFailed, match="written by a later version"):
            schema.migrate(connection, path, OLDER[:2])
    with sqlite3.connect(f"{path}.v1") as before:
        assert schema.version_of(before) == 1
        assert before.execute("SELECT size FROM fills").fetchall() == [("0.00000402",)]


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "old.sqlite")
    with sqlite3.connect(path, isolation_level=None) as connection:
        schema.migrate(connection, path, OLDER[:1])
        broken = (OLDER[0], "ALTER TABLE fills ADD COLUMN fee TEXT; INSERT INTO nowhere VALUES (1)")
        with pytest.raises(sqlite3.Error):
            schema.migrate(connection, path, broken)
        assert schema.version_of(connection) == 1
        columns = [row[1] for row in connection.execute("PRAGMA table_info (fills)")]
        assert columns == ["id", "size"]


@pytest.mark.parametrize("what", ["no database at all", ""])
def test_a_file_that_is_none_is_told(tmp_path: Path, what: str) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_text(what * 100)

    async def play() -> None:
        store = SqliteStore(path)
        if what:
            with pytest.raises(StoreFailed, match="not a database"):
                await store.open(NAME)
        else:
            assert (await store.open(NAME)).number == 0
            await store.close()

    asyncio.run(play())


def test_people_can_read_fills_in_the_file(tmp_path: Path) -> None:
    async def play() -> None:
        store = SqliteStore(tmp_path / "ledger.sqlite")
        await store.open(NAME)
        for change in fills_of(2):
            await store.commit(change.rows)
        with sqlite3.connect(f"file:{store.path}?mode=ro", uri=True) as reader:
            rows = reader.execute("SELECT number, fill_id, side, size, price FROM fills")
            assert rows.fetchall() == [(1, "f1", "buy", "1", "100"), (2, "f2", "buy", "1", "100")]
        reader.close()
        await store.close()

    asyncio.run(play())


def test_a_store_is_chosen_by_what_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCRS_LEDGERS", str(tmp_path))
    assert default_path(NAME) == tmp_path / "exchange-emulator-default.sqlite"
    assert default_path(LedgerName("a", "b-c", "d")) != default_path(LedgerName("a-b", "c", "d"))
    assert default_path(LedgerName("a", "b", "../D")).parent == tmp_path
    chosen = store_for(None, NAME)
    assert isinstance(chosen, SqliteStore)
    assert chosen.path == default_path(NAME)
    path = store_for(tmp_path / "mine", NAME, "full")
    assert isinstance(path, SqliteStore)
    assert path.synchronous == "full"
    assert isinstance(store_for("memory", NAME), MemoryStore)
    memory = MemoryStore()
    assert store_for(memory, NAME) is memory
    with pytest.raises(PluginNotInstalled, match="did you mean sqlite"):
        store_for("sqlit", NAME)
    with pytest.raises(UsageError, match="'normal' or 'full'"):
        SqliteStore(tmp_path / "x", synchronous="off")  # type: ignore[arg-type]


def test_a_store_of_another_package_is_made_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = [EntryPoint("postgres", "tests.trading.test_stores:Brought", stores.STORES)]
    monkeypatch.setattr(exchanges, "_entries", lambda group: offered)
    assert stores.installed_stores() == ["postgres"]
    made = store_for("postgres", NAME)
    assert isinstance(made, Brought)
    assert made.ledger == NAME
    offered[:] = [EntryPoint("postgres", "tests.trading.test_stores:Incomplete", stores.STORES)]
    with pytest.raises(PluginBroken, match="'postgres' lacks open, commit"):
        store_for("postgres", NAME)
    offered[:] = [EntryPoint("postgres", "tests.trading.nowhere:Store", stores.STORES)]
    with pytest.raises(PluginBroken, match="can't be loaded: ModuleNotFoundError"):
        store_for("postgres", NAME)
    offered[:] = [EntryPoint("postgres", "tests.trading.test_stores:ROOT", stores.STORES)]
    with pytest.raises(PluginBroken, match="can't be called"):
        store_for("postgres", NAME)


class Brought(MemoryStore):
    """As another package may bring it."""

    def __init__(self, ledger: LedgerName) -> None:
        super().__init__()
        self.ledger = ledger


class Incomplete:
    """What is no store."""

    def __init__(self, ledger: LedgerName) -> None:
        pass
