"""The tables of a ledger's file, and how those of older versions become today's.

``PRAGMA user_version`` says which version a file has. Each migration leads from one version to the
next; one that was released is never changed again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ccrs_core.errors import StoreFailed

MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        key TEXT,
        kind TEXT NOT NULL,
        order_key TEXT,
        symbol TEXT NOT NULL,
        time_ns INTEGER NOT NULL,
        content TEXT NOT NULL
    );
    CREATE UNIQUE INDEX entries_key ON entries (key) WHERE key IS NOT NULL;
    CREATE INDEX entries_order ON entries (order_key) WHERE key IS NOT NULL;
    CREATE INDEX entries_time ON entries (time_ns) WHERE key IS NOT NULL;
    CREATE INDEX entries_changes ON entries (number) WHERE key IS NULL;
    CREATE INDEX entries_symbol ON entries (symbol, time_ns) WHERE key IS NOT NULL;
    CREATE TABLE orders (
        key TEXT PRIMARY KEY,
        symbol TEXT NOT NULL,
        client_order_id TEXT NOT NULL,
        exchange_order_id TEXT NOT NULL,
        settled INTEGER NOT NULL,
        idle INTEGER NOT NULL,
        time_ns INTEGER NOT NULL,
        contract TEXT,
        content TEXT,
        facts TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX orders_exchange ON orders (exchange_order_id, symbol);
    CREATE INDEX orders_client ON orders (client_order_id, symbol);
    CREATE INDEX orders_settled ON orders (settled, time_ns);
    CREATE INDEX orders_idle ON orders (time_ns) WHERE idle = 1;
    CREATE INDEX orders_time ON orders (time_ns);
    CREATE TABLE figures (
        key TEXT PRIMARY KEY, kind TEXT NOT NULL, content TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE cursors (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE acknowledged (consumer TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
    CREATE VIEW fills AS SELECT
        number,
        symbol,
        time_ns,
        json_extract(content, '$.fill_id') AS fill_id,
        json_extract(content, '$.exchange_order_id') AS exchange_order_id,
        json_extract(content, '$.client_order_id') AS client_order_id,
        json_extract(content, '$.side') AS side,
        json_extract(content, '$.size') AS size,
        json_extract(content, '$.price') AS price,
        json_extract(content, '$.fee') AS fee,
        json_extract(content, '$.fee_asset') AS fee_asset
    FROM entries WHERE kind = 'fill';
    """,
)
"""SQL that leads from each version to the next, from an empty file on."""


def version_of(connection: sqlite3.Connection) -> int:
    """The version of a file; 0: it is empty."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def check(connection: sqlite3.Connection, path: str) -> None:
    """See that a file that is only to be read has today's version.

    :raises StoreFailed: where it has another one.
    """
    version = version_of(connection)
    if version != len(MIGRATIONS):
        raise StoreFailed(
            f"{path} has the schema {version}, and this version of ccrs-core reads "
            f"{len(MIGRATIONS)}: "
            + ("upgrade" if version > len(MIGRATIONS) else "open it once for trading")
        )


def migrate(
    connection: sqlite3.Connection, path: str, migrations: Sequence[str] = MIGRATIONS
) -> None:
    """Bring a file to today's version, whole or not at all. What it was is left beside it, as
    ``….v1``.

    :raises StoreFailed: where a later version of this library has written it.
    """
    version = version_of(connection)
    if version > len(migrations):
        raise StoreFailed(
            f"{path} was written by a later version of ccrs-core (schema {version}, this one knows "
            f"{len(migrations)}): upgrade"
        )
    if 0 < version < len(migrations):
        backup = sqlite3.connect(f"{path}.v{version}")
        with backup:
            connection.backup(backup)
        backup.close()
    for number, step in enumerate(migrations[version:], version + 1):
        # In one transaction of its own: a script that fails half-way has changed nothing.
        script = f"BEGIN IMMEDIATE;\n{step};\nPRAGMA user_version = {number};\nCOMMIT;"
        try:
            connection.executescript(script)
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
