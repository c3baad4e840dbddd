"""Stores of ledgers in virtual time, whose commits take a while, and what a kill leaves of them."""

from __future__ import annotations

import asyncio
import copy
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from ccrs_core.trading.memory_store import MemoryStore
from ccrs_core.trading.sqlite import SqliteStore
from ccrs_core.trading.store import Row, Store

COMMIT = 0.0005, 0.015
"""Between so many seconds commits take."""


class Mortal(Store, Protocol):
    """A store that can be looked at as it would be found if its process were killed now."""

    def left(self) -> Mortal:
        """What is found then, in a store that isn't open."""
        ...

    def abandon(self) -> None:
        """Let what it holds go, whoever has it open."""
        ...


class SlowStore(MemoryStore):
    """In memory. What hasn't been committed when the process is killed is lost."""

    async def commit(self, rows: Sequence[Row]) -> None:
        await asyncio.sleep(random.uniform(*COMMIT))
        await super().commit(rows)

    def left(self) -> SlowStore:
        found = SlowStore()
        for name, value in vars(self).items():
            if name != "_open":
                setattr(found, name, _held(value) if isinstance(value, dict) else copy.copy(value))
        return found

    def abandon(self) -> None:
        pass


def _held(held: dict[Any, Any]) -> dict[Any, Any]:
    # Rows never change; the lists and sets that lead to them do.
    return {k: copy.copy(v) if isinstance(v, list | set) else v for k, v in held.items()}


class SteppedStore(SqliteStore):
    """In an SQLite file, without the thread: what it has to do is done by the loop, some
    milliseconds later, and told some milliseconds after that.

    What a kill leaves is the file and its log, cut anywhere in what nobody was told of yet: writes
    to a file are kept in their order, whatever becomes of who made them.
    """

    def __init__(self, folder: Path, number: int = 0) -> None:
        super().__init__(folder / f"{number}.sqlite")
        self._folder, self._number = folder, number
        self._connection: Any = None
        self._due = False
        self._telling = 0.0
        """When what was told last comes to who waits: in the order of its being done."""
        self._told_until = 0
        """The size of the log up to which somebody was told of all that is in it."""

    def left(self) -> SteppedStore:
        found = SteppedStore(self._folder, self._number + 1)
        log, new_log = (Path(f"{each.path}-wal") for each in (self, found))
        if self.path.exists():
            shutil.copyfile(self.path, found.path)
        if log.exists():
            shutil.copyfile(log, new_log)
            size = log.stat().st_size
            if size > self._told_until:
                with new_log.open("r+b") as file:
                    file.truncate(random.randint(self._told_until, size))
        return found

    def _start(self, *opening: Any) -> None:
        self._connection = self._enter(*opening)

    def _hand(self, job: Any) -> None:
        super()._hand(job)
        self._plan()

    def _plan(self) -> None:
        if not self._due and not self._jobs.empty():
            assert self._loop is not None
            self._due = True
            self._loop.call_later(random.uniform(*COMMIT) / 2, self._step)

    def _step(self) -> None:
        self._due = False
        if self._connection is None:
            return
        last = self._work(self._connection)
        if last is not None:
            self.abandon(last)
        self._plan()

    def abandon(self, last: Any = None) -> None:
        """Let the file go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._leave(connection, last)

    def _answer(self, answers: Any) -> None:
        loop = self._loop
        assert loop is not None
        if loop.is_closed():
            return
        log = Path(f"{self.path}-wal")
        size = log.stat().st_size if log.exists() else 0
        tell = super()._answer

        def told() -> None:
            self._told_until = size
            tell(answers)

        after = loop.time() + random.uniform(*COMMIT) / 2
        self._telling = max(self._telling + 1e-5, after)
        loop.call_at(self._telling, told)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for files of stores, which goes with its owner."""
    return tempfile.TemporaryDirectory(prefix="ccrs-stores-")
