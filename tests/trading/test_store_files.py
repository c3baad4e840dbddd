"""The file of a store: who has it, where it is, and what can't be done there."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from ccrs_core.errors import StoreFailed, StoreInUse
from ccrs_core.trading import file_lock
from ccrs_core.trading.sqlite import SqliteStore
from ccrs_core.trading.store import Cursor
from tests.trading.books import NAME
from tests.trading.test_stores import playing


@playing
async def test_a_file_is_locked_by_whichever_name_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "other.sqlite"
    store = SqliteStore(tmp_path / "ledger.sqlite")
    await store.open(NAME)
    other.symlink_to(store.path)
    with pytest.raises(StoreInUse):
        await SqliteStore(other).open(NAME)
    await store.close()


@playing
async def test_nothing_is_written_to_a_file_that_was_removed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ledger.sqlite")
    await store.open(NAME)
    await store.commit([Cursor("a", 1)])
    away = store.path.rename(tmp_path / "away.sqlite")
    with pytest.raises(StoreFailed, match="removed or replaced") as failure:
        await store.commit([Cursor("a", 2)])
    assert failure.value.retryable
    store.path.touch()
    with pytest.raises(StoreFailed, match="removed or replaced"):
        await store.commit([Cursor("a", 2)])
    away.rename(store.path)
    await store.commit([Cursor("a", 2)])
    await store.close()


def test_a_file_system_without_locks_is_told_for_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(file: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(file_lock, "_lock", none)
    with pytest.raises(StoreFailed, match="local disk"):
        asyncio.run(SqliteStore(tmp_path / "ledger.sqlite").open(NAME))  # type: ignore[arg-type]
