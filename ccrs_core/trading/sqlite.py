"""A ledger in an SQLite file: one file an account, written by one thread, never by the event loop.

What is handed over while a commit is under way goes with the next one, in one transaction. The file
is in WAL mode: whoever wants to read it may do so meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import attrs

from ccrs_core.errors import CcrsError, StoreFailed, StoreInUse, UsageError
from ccrs_core.model.orders import Fill, Order
from ccrs_core.trading import schema, tables
from ccrs_core.trading.file_lock import FileLock
from ccrs_core.trading.store import RECENT, Entry, Known, LedgerName, Row, Stored, Wanted

T = TypeVar("T")
_BUSY = 2.0
"""Seconds for which a commit waits for somebody else's lock on the file."""


@attrs.define
class _Job:
    """What the thread has to do, and who waits for it."""

    future: asyncio.Future[Any]
    rows: Sequence[Row] | None = None
    """Of a commit."""
    epoch: int = 0
    """How many failures its caller knew of."""
    task: Callable[[sqlite3.Connection], Any] | None = None
    """Of all else."""
    last: bool = False


class SqliteStore:
    """Keeps one account's ledger in a file.

    :param path: the file, made where there is none, readable for its owner alone. ``….lock`` beside
        it keeps other processes out.
    :param synchronous: ``normal`` survives the end of this process, however it ends; ``full`` a
        loss of power, too, for a write to the disk with each commit.
    :param read_only: look only, also while another process writes: what is there must be a ledger
        of this version, and nothing can be committed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Literal["normal", "full"] = "normal",
        read_only: bool = False,
    ) -> None:
        if synchronous not in ("normal", "full"):
            raise UsageError(f"synchronous is 'normal' or 'full', not {synchronous!r}")
        self.path = Path(path).expanduser()
        self.synchronous = synchronous
        self.read_only = read_only
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock: FileLock | None = None
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoch = 0
        """Failures of commits that their callers know of."""
        self._there = self.path
        self._file: tuple[int, int] | None = None
        """Which file it is. Of the thread."""
        self._failed = -1
        """The newest epoch in which a commit failed: what else was handed over in it fails, too.
        Of the thread."""

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}>"

    async def open(self, ledger: LedgerName, *, recent: int = RECENT) -> Stored:
        """See :class:`~ccrs_core.Store`.

        :raises StoreInUse: where another process has the file, or it is another account's.
        :raises StoreFailed: where it can't be opened, or a later version has written it.
        """
        if self._is_open:
            raise StoreInUse(f"{self.path} is open already: give each account a store of its own")
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[Stored] = self._loop.create_future()
        self._is_open = True
        self._start(ledger, recent, opened)
        try:
            return await asyncio.shield(opened)
        except asyncio.CancelledError:
            await self.close()
            raise
        except BaseException:
            self._join()
            raise

    async def commit(self, rows: Sequence[Row]) -> None:
        """See :class:`~ccrs_core.Store`. Who stops waiting takes nothing back."""
        job = self._job()
        job.rows = rows
        self._hand(job)
        try:
            await asyncio.shield(job.future)
        except StoreFailed:
            self._epoch = max(self._epoch, job.epoch + 1)
            raise

    async def look_up(self, wanted: Wanted) -> Known:
        """See :class:`~ccrs_core.Store`."""
        return await self._read(lambda connection: tables.look_up(connection, wanted))

    async def entries_after(
        self, number: int, limit: int, kinds: Collection[str] | None = None
    ) -> list[Entry]:
        """See :class:`~ccrs_core.Store`."""
        return await self._read(lambda c: tables.entries_after(c, number, limit, kinds))

    async def orders(
        self,
        *,
        symbol: str | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        limit: int = 1000,
    ) -> list[Order]:
        """See :class:`~ccrs_core.Store`."""
        return await self._read(lambda c: tables.orders(c, symbol, start_ns, end_ns, limit))

    async def fills(
        self,
        *,
        symbol: str | None = None,
        order: str | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        limit: int = 1000,
    ) -> list[Fill]:
        """See :class:`~ccrs_core.Store`."""
        return await self._read(lambda c: tables.fills(c, symbol, order, start_ns, end_ns, limit))

    async def forget(
        self, number: int, kinds: Collection[str], *, orders_before_ns: int = 0
    ) -> None:
        """See :class:`~ccrs_core.Store`."""
        await self._read(lambda c: tables.forget(c, number, kinds, orders_before_ns))

    async def close(self) -> None:
        """See :class:`~ccrs_core.Store`."""
        if not self._is_open:
            return
        job = self._job()
        job.last = True
        self._hand(job)
        try:
            await asyncio.shield(job.future)
        finally:
            self._join()

    def _job(self) -> _Job:
        if not self._is_open or self._loop is None:
            raise StoreFailed(f"{self.path} isn't open")
        return _Job(self._loop.create_future(), epoch=self._epoch)

    async def _read(self, task: Callable[[sqlite3.Connection], T]) -> T:
        job = self._job()
        job.task = task
        self._hand(job)
        return cast("T", await asyncio.shield(job.future))

    # --- who does the work: a thread; in virtual time somebody else ---

    def _start(self, ledger: LedgerName, recent: int, opened: asyncio.Future[Stored]) -> None:
        self._thread = threading.Thread(
            target=self._run, args=(ledger, recent, opened), name=f"ccrs-{ledger}", daemon=True
        )
        self._thread.start()

    def _hand(self, job: _Job) -> None:
        self._jobs.put(job)

    def _join(self) -> None:
        self._is_open = False
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        self._jobs = queue.SimpleQueue()
        self._epoch, self._failed = 0, -1

    # --- in the thread ---

    def _run(self, ledger: LedgerName, recent: int, opened: asyncio.Future[Stored]) -> None:
        connection = self._enter(ledger, recent, opened)
        if connection is None:
            return
        last: _Job | None = None
        try:
            while last is None:
                last = self._work(connection)
        finally:
            self._leave(connection, last)

    def _enter(
        self, ledger: LedgerName, recent: int, opened: asyncio.Future[Stored]
    ) -> sqlite3.Connection | None:
        """Open the file; what is in it, or why it can't be, is told."""
        connection: sqlite3.Connection | None = None
        try:
            if self.read_only:
                connection = self._look(ledger)
            else:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                there = self.path.resolve()  # by whichever name: its lock is beside it
                self._lock = FileLock(there.with_name(there.name + ".lock"), str(self.path))
                connection = self._connect(ledger)
                self._there, self._file = there, _file_at(there)
            stored = tables.load(connection, recent)
        except BaseException as error:
            if connection is not None:
                connection.close()
            self._unlock()
            self._answer([(opened, None, self._told(error))])
            return None
        self._answer([(opened, stored, None)])
        return connection

    def _leave(self, connection: sqlite3.Connection, last: _Job | None) -> None:
        """Let the file go; nobody waits for ever for what came after the end."""
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        self._unlock()
        done = [] if last is None else [(last.future, None, None)]
        late: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = [*done]
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                late.append((job.future, None, StoreFailed(f"{self.path} is closed")))
        self._answer(late)

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _connect(self, ledger: LedgerName) -> sqlite3.Connection:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self.synchronous.upper()}")
            schema.migrate(connection, str(self.path))
            _check_name(connection, ledger, self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _look(self, ledger: LedgerName) -> sqlite3.Connection:
        if not self.path.exists():
            raise StoreFailed(f"{self.path}: there is no such ledger")
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, timeout=_BUSY, isolation_level=None, uri=True)
        try:
            schema.check(connection, str(self.path))
            _check_name(connection, ledger, self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _work(self, connection: sqlite3.Connection) -> _Job | None:
        """Do what was handed over by now; returns the last job, once it has come."""
        jobs = [self._jobs.get()]
        with contextlib.suppress(queue.Empty):
            while True:
                jobs.append(self._jobs.get_nowait())
        commits: list[_Job] = []
        for job in jobs:
            if job.rows is not None:
                commits.append(job)
                continue
            self._commit(connection, commits)
            commits = []
            if job.last:
                return job
            if job.task is not None:
                self._do(connection, job.future, job.task)
        self._commit(connection, commits)
        return None

    def _do(
        self,
        connection: sqlite3.Connection,
        future: asyncio.Future[Any],
        task: Callable[[sqlite3.Connection], Any],
    ) -> None:
        try:
            result = task(connection)
        except BaseException as error:
            self._answer([(future, None, self._told(error))])
        else:
            self._answer([(future, result, None)])

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        """Commit all of them at once; where that fails, each by itself, in their order."""
        if len(jobs) > 1 and all(job.epoch > self._failed for job in jobs):
            try:
                self._transact(connection, jobs)
            except Exception:  # noqa: S110 - which of them it was is seen by trying each
                pass
            else:
                self._answer([(job.future, None, None) for job in jobs])
                return
        for job in jobs:
            error: BaseException | None = None
            if job.epoch <= self._failed:
                error = StoreFailed(f"{self.path}: what came before it wasn't kept")
            else:
                try:
                    self._transact(connection, [job])
                except Exception as failure:
                    self._failed = job.epoch
                    error = self._told(failure)
            self._answer([(job.future, None, error)])

    def _transact(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        if self._file is not None and _file_at(self._there) != self._file:
            raise StoreFailed(
                f"{self.path} was removed or replaced while it was open: what is written would be "
                "lost. Put it back"
            )
        connection.execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                tables.write(connection, job.rows or ())
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _told(self, error: BaseException) -> BaseException:
        if isinstance(error, CcrsError) or not isinstance(error, Exception):
            return error
        what = "" if isinstance(error, sqlite3.Error | OSError) else f"{type(error).__name__}: "
        failed = StoreFailed(f"the ledger in {self.path}: {what}{error}")
        failed.__cause__ = error
        return failed

    def _answer(
        self, answers: Sequence[tuple[asyncio.Future[Any], Any, BaseException | None]]
    ) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is gone, and so is who waited
            self._loop.call_soon_threadsafe(_hand_over, answers)


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file is at a path; None: none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _hand_over(
    answers: Sequence[tuple[asyncio.Future[Any], Any, BaseException | None]],
) -> None:
    for future, result, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
            future.exception()  # who stopped waiting needn't hear of it


def _check_name(connection: sqlite3.Connection, ledger: LedgerName, path: Path) -> None:
    """A file is one account's for ever."""
    known = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    wanted = attrs.asdict(ledger)
    if known and known != wanted:
        raise StoreInUse(f"{path} is the ledger of {LedgerName(**known)}, not of {ledger}")
    if not known:
        connection.executemany("INSERT INTO meta VALUES (?, ?)", wanted.items())
