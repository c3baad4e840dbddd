"""Which store keeps a ledger, by what the user says of it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Literal, cast

from ccrs_core.errors import PluginBroken
from ccrs_core.extensions.stores import load_store
from ccrs_core.trading.memory_store import MemoryStore
from ccrs_core.trading.sqlite import SqliteStore
from ccrs_core.trading.store import LedgerName, Store

StoreChoice = Store | str | os.PathLike[str] | None
"""A store; ``memory``, ``sqlite`` or the name of an installed one; a file's path; None: a file of
its own where the user's data is (:func:`default_path`)."""

_METHODS = ("open", "commit", "look_up", "entries_after", "orders", "fills", "forget", "close")


def store_for(
    choice: StoreChoice, ledger: LedgerName, synchronous: Literal["normal", "full"] = "normal"
) -> Store:
    """The store that was chosen for a ledger. ``synchronous`` is of SQLite's.

    :raises PluginNotInstalled: where no package brings one of that name.
    :raises PluginBroken: where the one it brings is none.
    """
    if choice is None or choice == "sqlite":
        return SqliteStore(default_path(ledger), synchronous=synchronous)
    if choice == "memory":
        return MemoryStore()
    if isinstance(choice, os.PathLike) or (
        isinstance(choice, str) and (os.sep in choice or choice.endswith((".sqlite", ".db")))
    ):
        return SqliteStore(choice, synchronous=synchronous)
    if not isinstance(choice, str):
        return choice
    made = load_store(choice)(ledger)
    missing = [name for name in _METHODS if not callable(getattr(made, name, None))]
    if missing:
        raise PluginBroken(f"the store {choice!r} lacks {', '.join(missing)}")
    return cast("Store", made)


def default_path(ledger: LedgerName) -> Path:
    """Where a ledger's file is if nobody says otherwise: in ``CCRS_LEDGERS``, or where the system
    keeps what belongs to a user."""
    name = "-".join(map(_file_name, (ledger.exchange, ledger.environment, ledger.account)))
    return _data_folder() / f"{name}.sqlite"


def _file_name(part: str) -> str:
    """A name as a part of a file's; two names are never the same one."""
    return re.sub(r"[^a-z0-9_]", lambda match: f"%{ord(match[0]):x}", part)


def _data_folder() -> Path:
    variables = os.environ
    if folder := variables.get("CCRS_LEDGERS"):
        return Path(folder).expanduser()
    if sys.platform == "win32":
        base = variables.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Application Support"
    else:
        base = variables.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "ccrs" / "ledgers"
