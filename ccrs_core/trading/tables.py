"""A ledger's rows in the tables of its file, and what is read of them there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import attrs

from ccrs_core.errors import EntryKnown
from ccrs_core.model.orders import Fill, Order
from ccrs_core.trading.order_state import Facts
from ccrs_core.trading.store import (
    FIGURES,
    Acknowledged,
    BalanceRow,
    Cursor,
    Entry,
    Known,
    NoOrder,
    OrderRow,
    PositionRow,
    Row,
    Stored,
    Wanted,
    by_time,
)
from ccrs_core.trading.stored_json import read, read_event, written

T = TypeVar("T")

_ENTRY = (
    "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
    "content = excluded.content, order_key = excluded.order_key WHERE key IS excluded.key"
)
_ORDER = "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FORGOTTEN = 50_000
"""Entries that are removed at once."""
_READ_ENTRY = "SELECT number, kind, content, key, order_key FROM entries"
_READ_ORDER = (
    "SELECT key, symbol, client_order_id, exchange_order_id, content, facts, time_ns, contract "
    "FROM orders"
)


def write(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Put rows into their tables, within a transaction.

    :raises EntryKnown: where the key of an entry is that of another one.
    """
    execute = connection.execute
    for row in rows:
        match row:
            case Entry():
                _write_entry(connection, row)
            case OrderRow():
                execute(
                    _ORDER,
                    (
                        *(row.key, row.symbol, row.client_order_id, row.exchange_order_id),
                        *(row.settled, row.settled and not row.facts.fills_size, row.time_ns),
                        None if row.contract is None else str(row.contract),
                        None if row.order is None else written(row.order),
                        written(row.facts),
                    ),
                )
            case NoOrder(key=key, instead=instead):
                execute("DELETE FROM orders WHERE key = ?", (key,))
                execute(
                    "UPDATE entries SET order_key = ? WHERE order_key = ? AND key IS NOT NULL",
                    (instead, key),
                )
            case PositionRow(key=key):
                figure = (key, "position", written(row))
                execute("INSERT OR REPLACE INTO figures VALUES (?, ?, ?)", figure)
            case BalanceRow():
                figure = (f"balance {row.name}", "balance", written(row))
                execute("INSERT OR REPLACE INTO figures VALUES (?, ?, ?)", figure)
            case Cursor(key=key, value=value):
                execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (key, value))
            case Acknowledged(consumer=consumer, number=number):
                execute("INSERT OR REPLACE INTO acknowledged VALUES (?, ?)", (consumer, number))


def _write_entry(connection: sqlite3.Connection, entry: Entry) -> None:
    event = entry.event
    values = (
        *(entry.number, entry.key or None, event.type, entry.order or None, event.symbol),
        *(by_time(event), written(event)),
    )
    try:
        changed = connection.execute(_ENTRY, values).rowcount
    except sqlite3.IntegrityError as error:
        raise EntryKnown(f"{entry.key} is in the ledger already", (entry.key,)) from error
    if not changed:
        raise EntryKnown(f"entry {entry.number} is another one in the ledger", (entry.key,))


def load(connection: sqlite3.Connection, recent: int) -> Stored:
    """What a ledger begins with."""
    (number,) = connection.execute("SELECT max(number) FROM entries").fetchone()
    settled = connection.execute(
        f"{_READ_ORDER} WHERE settled = 1 ORDER BY time_ns DESC LIMIT ?", (recent + 1,)
    ).fetchall()
    keyed = connection.execute(
        f"{_READ_ENTRY} WHERE key IS NOT NULL ORDER BY time_ns DESC LIMIT ?", (recent + 1,)
    ).fetchall()
    forgotten = [int(row[6]) for row in settled[recent:]]
    forgotten += [by_time(_entry(row).event) for row in keyed[recent:]]
    cursors = [Cursor(*row) for row in connection.execute("SELECT key, value FROM cursors")]
    since = next((each.value for each in cursors if each.key == FIGURES), 0)
    figures = connection.execute("SELECT kind, content FROM figures").fetchall()
    unsettled = connection.execute(f"{_READ_ORDER} WHERE settled = 0")
    moves = connection.execute(
        f"{_READ_ENTRY} WHERE number > ? AND kind IN ('fill', 'income') ORDER BY number", (since,)
    )
    told = connection.execute("SELECT consumer, number FROM acknowledged")
    return Stored(
        number=number or 0,
        orders=(*map(_order, unsettled), *map(_order, settled[:recent])),
        entries=tuple(map(_entry, keyed[:recent])),
        forgotten_ns=max(forgotten, default=0),
        positions=tuple(read(PositionRow, text) for kind, text in figures if kind == "position"),
        balances=tuple(read(BalanceRow, text) for kind, text in figures if kind == "balance"),
        moves=tuple(map(_entry, moves)),
        cursors=tuple(cursors),
        acknowledged=tuple(Acknowledged(*row) for row in told),
    )


def _entry(row: Sequence[Any]) -> Entry:
    number, kind, content, key, order = row
    return Entry(number, read_event(kind, content), key or "", order or "")


def _order(row: Sequence[Any]) -> OrderRow:
    key, symbol, client_order_id, exchange_order_id, content, facts, time_ns, contract = row
    return OrderRow(
        *(key, symbol, client_order_id, exchange_order_id),
        None if content is None else read(Order, content),
        read(Facts, facts),
        time_ns,
        None if contract is None else Decimal(contract),
    )


def look_up(connection: sqlite3.Connection, wanted: Wanted) -> Known:
    """What there is of some entries and orders."""
    entries: list[Entry] = []
    for key in wanted.keys:
        entries += map(_entry, connection.execute(f"{_READ_ENTRY} WHERE key = ?", (key,)))
    orders: dict[str, OrderRow] = {}
    for symbol, exchange_order_id, client_order_id in wanted.orders:
        for column, each in (
            ("exchange_order_id", exchange_order_id),
            ("client_order_id", client_order_id),
        ):
            if each:
                found = connection.execute(
                    f"{_READ_ORDER} WHERE {column} = ? AND symbol = ?", (each, symbol)
                )
                orders |= {row.key: row for row in map(_order, found)}
    for row in list(orders.values()):
        fired_by = "" if row.order is None else row.order.fired_by
        for column in ("exchange_order_id", "client_order_id") if fired_by else ():
            found = connection.execute(
                f"{_READ_ORDER} WHERE {column} = ? AND symbol = ?", (fired_by, row.symbol)
            )
            orders |= {each.key: each for each in map(_order, found)}
    return Known(wanted, tuple(entries), tuple(orders[key] for key in sorted(orders)))


def entries_after(
    connection: sqlite3.Connection, number: int, limit: int, kinds: Collection[str] | None
) -> list[Entry]:
    """The next entries after a number."""
    some, values = _among(kinds)
    rows = connection.execute(
        f"{_READ_ENTRY} WHERE number > ?{some} ORDER BY number LIMIT ?", (number, *values, limit)
    )
    return [_entry(row) for row in rows]


def _among(kinds: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    if kinds is None:
        return "", ()
    return f" AND kind IN ({', '.join('?' * len(kinds))})", tuple(kinds)


def orders(
    connection: sqlite3.Connection,
    symbol: str | None,
    start_ns: int | None,
    end_ns: int | None,
    limit: int,
) -> list[Order]:
    """The newest orders of a stretch of time, oldest first."""
    where, values = _where(symbol, start_ns, end_ns)
    rows = connection.execute(
        f"{_READ_ORDER} WHERE content IS NOT NULL{where} ORDER BY time_ns DESC, key DESC LIMIT ?",
        (*values, limit),
    )
    found = [row.order for row in map(_order, rows) if row.order is not None]
    return found[::-1]


@attrs.frozen
class Unreadable:
    """A row of which its content can't be read."""

    what: str
    why: str


def each_entry(connection: sqlite3.Connection) -> Iterator[Entry | Unreadable]:
    """All entries, one by one, oldest first; one that can't be read takes no other away."""
    for row in connection.execute(f"{_READ_ENTRY} ORDER BY number"):
        yield _tried(_entry, row, f"entry {row[0]} ({row[1]})")


def each_order(connection: sqlite3.Connection) -> Iterator[OrderRow | Unreadable]:
    """All orders, one by one, oldest first; one that can't be read takes no other away."""
    for row in connection.execute(f"{_READ_ORDER} ORDER BY time_ns, key"):
        yield _tried(_order, row, f"the order {row[2] or row[3]} of {row[1]}")


def _tried(read: Callable[[Sequence[Any]], T], row: Sequence[Any], what: str) -> T | Unreadable:
    try:
        return read(row)
    except Exception as error:  # whatever is wrong with it
        return Unreadable(what, f"{type(error).__name__}: {error}")


def fills(
    connection: sqlite3.Connection,
    symbol: str | None,
    order: str | None,
    start_ns: int | None,
    end_ns: int | None,
    limit: int,
) -> list[Fill]:
    """The newest fills of a stretch of time, oldest first."""
    where, values = _where(symbol, start_ns, end_ns)
    if order is not None:
        where += " AND order_key = ?"
        values = (*values, order)
    rows = connection.execute(
        f"{_READ_ENTRY} WHERE kind = 'fill' AND key IS NOT NULL{where} "
        "ORDER BY time_ns DESC, number DESC LIMIT ?",
        (*values, limit),
    )
    events = [_entry(row).event for row in rows]
    return [event for event in reversed(events) if isinstance(event, Fill)]


def _where(
    symbol: str | None, start_ns: int | None, end_ns: int | None
) -> tuple[str, tuple[Any, ...]]:
    parts: list[tuple[str, Any]] = []
    if symbol is not None:
        parts.append(("symbol = ?", symbol))
    if start_ns is not None:
        parts.append(("time_ns >= ?", start_ns))
    if end_ns is not None:
        parts.append(("time_ns < ?", end_ns))
    return "".join(f" AND {part}" for part, _ in parts), tuple(value for _, value in parts)


def forget(
    connection: sqlite3.Connection, number: int, kinds: Collection[str], orders_before_ns: int
) -> None:
    """Remove entries without a key up to a number, the oldest first; never the last one, whose
    number counts on; and old settled orders without a fill. So many at a time that
    commits needn't wait for it."""
    some, values = _among(kinds)
    connection.execute(
        "DELETE FROM entries WHERE number IN (SELECT number FROM entries WHERE key IS NULL "  # noqa: S608 - of question marks
        f"AND number <= ? AND number < (SELECT max(number) FROM entries){some} "
        "ORDER BY number LIMIT ?)",
        (number, *values, _FORGOTTEN),
    )
    connection.execute(
        "DELETE FROM orders WHERE key IN "
        "(SELECT key FROM orders WHERE idle = 1 AND time_ns < ? ORDER BY time_ns LIMIT ?)",
        (orders_before_ns, _FORGOTTEN),
    )
