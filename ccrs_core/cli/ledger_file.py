"""A ledger's file as it is looked into from outside: read only, also while a program writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import attrs

from ccrs_core.cli import interrupts
from ccrs_core.cli.verdicts import CAREFUL, FAILED, OK, Verdict
from ccrs_core.errors import StoreFailed, UsageError
from ccrs_core.model.orders import Fill
from ccrs_core.model.units import PLAIN
from ccrs_core.trading import schema, tables
from ccrs_core.trading.audit import Audit, audit
from ccrs_core.trading.sqlite import SqliteStore
from ccrs_core.trading.store import Entry, LedgerName

_PAGE = 2000
_SHOWN = 5
"""Things that are wrong, of a kind, that are named."""


@attrs.frozen(kw_only=True)
class Summary:
    """What a ledger holds."""

    exchange: str
    environment: str
    account: str
    path: str
    schema: int
    number: int
    """Of the last entry."""
    first_ns: int | None
    last_ns: int | None
    orders: int
    open_orders: int
    fills: int
    entries: dict[str, int]
    """How many of each kind."""
    acknowledged: dict[str, int]
    """Up to which number, by consumer."""
    cursors: dict[str, int]


class LedgerFile:
    """An open file; made by :func:`opened`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        told = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        self.name = LedgerName(**told)

    def summary(self) -> Summary:
        """What it holds, counted."""
        ask = self._connection.execute
        first, last, number = ask(
            "SELECT min(time_ns), max(time_ns), max(number) FROM entries"
        ).fetchone()
        orders, settled = ask("SELECT count(*), coalesce(sum(settled), 0) FROM orders").fetchone()
        kinds = dict(ask("SELECT kind, count(*) FROM entries GROUP BY kind ORDER BY kind"))
        return Summary(
            **attrs.asdict(self.name),
            path=str(self.path),
            schema=schema.version_of(self._connection),
            number=number or 0,
            first_ns=first,
            last_ns=last,
            orders=orders,
            open_orders=orders - settled,
            fills=kinds.get("fill", 0),
            entries=kinds,
            acknowledged=dict(ask("SELECT consumer, number FROM acknowledged ORDER BY consumer")),
            cursors=dict(ask("SELECT key, value FROM cursors ORDER BY key")),
        )

    def entries(self, after: int = 0, kinds: Collection[str] | None = None) -> Iterator[Entry]:
        """All entries after a number, page by page, oldest first."""
        while page := tables.entries_after(self._connection, after, _PAGE, kinds):
            yield from page
            after = page[-1].number

    # --- whether it is right ---

    def check(self) -> Iterator[Verdict]:
        """Whether the file is whole, all of it can be read, and its figures agree."""
        (said,) = self._connection.execute("PRAGMA integrity_check(5)").fetchone()
        yield Verdict("file", OK if said == "ok" else FAILED, "whole" if said == "ok" else said)
        unread: list[str] = []
        sums: dict[str, Decimal] = {}
        fills = 0
        for entry in tables.each_entry(self._connection):
            if isinstance(entry, tables.Unreadable):
                unread.append(f"{entry.what}: {entry.why}")
            elif isinstance(entry.event, Fill):
                fills += 1
                known = sums.get(entry.order, Decimal(0))
                sums[entry.order] = PLAIN.add(known, entry.event.size)
        yield _verdict("entries", f"can be read, {fills} fills among them", unread)
        yield from self._orders(sums)

    def _orders(self, sums: dict[str, Decimal]) -> Iterator[Verdict]:
        """Of orders, whose fills come to these."""
        unread, wrong, behind = list[str](), list[str](), 0
        keys: set[str] = set()
        for row in tables.each_order(self._connection):
            if isinstance(row, tables.Unreadable):
                unread.append(f"{row.what}: {row.why}")
                continue
            keys.add(row.key)
            order, filled = row.order, sums.get(row.key, Decimal(0))
            if order is None:
                continue
            behind += not order.fills_complete
            if filled > order.filled_size or (order.fills_complete and filled != order.filled_size):
                wrong.append(f"fills of {order} come to {filled:f}")
        yield _verdict("orders", f"can be read, {len(keys)} of them", unread)
        yield _verdict("fills of orders", "add up to what was filled", wrong)
        lost = [f"{key} has fills, and no row" for key in sums if key not in keys]
        if lost and not unread:
            yield _verdict("orders of fills", "", lost, CAREFUL)
        if behind:
            text = f"of {behind} orders fills are still to come"
            yield Verdict("fills to come", CAREFUL, text)

    def audit(self) -> Iterator[Verdict]:
        """Whether positions and fees are what all entries come to."""

        async def audited() -> Audit:
            store = SqliteStore(self.path, read_only=True)
            stored = await store.open(self.name)
            try:
                return await audit(store, stored)
            finally:
                await store.close()

        try:
            found = interrupts.run(audited())
        except StoreFailed as error:
            yield Verdict("figures", FAILED, str(error))
        else:
            yield _verdict("figures", "are what all entries come to", list(found.problems))


def _verdict(what: str, fine: str, trouble: list[str], outcome: str = FAILED) -> Verdict:
    if not trouble:
        return Verdict(what, OK, fine)
    more = f", and {len(trouble) - _SHOWN} more" if len(trouble) > _SHOWN else ""
    return Verdict(what, outcome, "; ".join(trouble[:_SHOWN]) + more)


@contextmanager
def opened(path: Path) -> Iterator[LedgerFile]:
    """A ledger's file, for reading alone.

    :raises UsageError: where there is none, or it is another kind of file.
    :raises StoreFailed: where it is damaged, or of a later version.
    """
    if not path.is_file():
        raise UsageError(f"{path} is no file")
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
    try:
        version = schema.version_of(connection)
        if version > len(schema.MIGRATIONS):
            raise StoreFailed(f"{path} was written by a later version of ccrs-core: upgrade")
        try:
            found = LedgerFile(path, connection)
        except (sqlite3.OperationalError, TypeError):
            raise UsageError(f"{path} holds no ledger") from None
        if version < len(schema.MIGRATIONS):
            raise UsageError(f"{path} is of an earlier version: open it once with a program")
        yield found
    except sqlite3.DatabaseError as error:
        raise StoreFailed(f"{path} can't be read as a ledger: {error}") from None
    finally:
        connection.close()
