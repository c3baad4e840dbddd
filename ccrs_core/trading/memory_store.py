"""A store that lives as long as its process: for tests, and for who needs no past."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence

import attrs

from ccrs_core.errors import EntryKnown, StoreFailed, StoreInUse
from ccrs_core.model.accounts import Income
from ccrs_core.model.orders import Fill, Order
from ccrs_core.trading.store import (
    FIGURES,
    RECENT,
    Acknowledged,
    BalanceRow,
    Cursor,
    Entry,
    Known,
    LedgerName,
    NoOrder,
    OrderRow,
    PositionRow,
    Row,
    Stored,
    Wanted,
    by_time,
)


class MemoryStore:
    """Keeps one account's ledger in memory. Closed and opened again, it holds what it held.

    It forgets nothing by itself but what :meth:`forget` names, so it grows with the fills.
    """

    def __init__(self) -> None:
        self._ledger: LedgerName | None = None
        self._open = False
        self._entries: dict[int, Entry] = {}
        self._numbers: list[int] = []
        """Of the entries, rising."""
        self._keys: dict[str, int] = {}
        self._orders: dict[str, OrderRow] = {}
        self._ids: dict[tuple[str, str], set[str]] = {}
        """Keys of orders by symbol and either id."""
        self._of_order: dict[str, list[int]] = {}
        self._positions: dict[str, PositionRow] = {}
        self._balances: dict[str, BalanceRow] = {}
        self._cursors: dict[str, Cursor] = {}
        self._acknowledged: dict[str, Acknowledged] = {}

    def __repr__(self) -> str:
        return f"<MemoryStore of {self._ledger or 'no account'}, {len(self._entries)} entries>"

    async def open(self, ledger: LedgerName, *, recent: int = RECENT) -> Stored:
        """See :class:`~ccrs_core.Store`."""
        if self._open:
            raise StoreInUse(f"this store keeps {self._ledger} already: give each account its own")
        if self._ledger not in (None, ledger):
            raise StoreInUse(f"this store keeps {self._ledger}, not {ledger}")
        self._ledger, self._open = ledger, True
        rows = sorted(self._orders.values(), key=lambda row: row.time_ns, reverse=True)
        settled = [row for row in rows if row.settled]
        keyed = [self._entries[number] for number in self._keys.values()]
        keyed.sort(key=lambda entry: by_time(entry.event), reverse=True)
        forgotten = [row.time_ns for row in settled[recent : recent + 1]]
        forgotten += [by_time(entry.event) for entry in keyed[recent : recent + 1]]
        return Stored(
            number=self._numbers[-1] if self._numbers else 0,
            orders=(*(row for row in rows if not row.settled), *settled[:recent]),
            entries=tuple(keyed[:recent]),
            forgotten_ns=max(forgotten, default=0),
            positions=tuple(self._positions.values()),
            balances=tuple(self._balances.values()),
            moves=self._moves(),
            cursors=tuple(self._cursors.values()),
            acknowledged=tuple(self._acknowledged.values()),
        )

    def _moves(self) -> tuple[Entry, ...]:
        figures = self._cursors.get(FIGURES)
        since = bisect_right(self._numbers, 0 if figures is None else figures.value)
        entries = (self._entries[number] for number in self._numbers[since:])
        return tuple(each for each in entries if isinstance(each.event, Fill | Income))

    async def commit(self, rows: Sequence[Row]) -> None:
        """See :class:`~ccrs_core.Store`."""
        self.commit_at_once(rows)

    def commit_at_once(self, rows: Sequence[Row]) -> None:
        """:meth:`commit`, which waits for nothing here."""
        self._check()
        given: dict[str, int] = {}
        known: list[str] = []
        for row in rows:
            if row.__class__ is not Entry:
                continue
            there = self._entries.get(row.number)
            if there is not None and there.key != row.key:
                text = f"{self._ledger}: entry {row.number} is another one in the ledger"
                raise EntryKnown(text, (row.key,))
            if row.key:
                number = given.setdefault(row.key, self._keys.get(row.key, row.number))
                if number != row.number:
                    known.append(row.key)
        if known:
            raise EntryKnown(f"{self._ledger}: {known[0]} is in the ledger already", tuple(known))
        for row in rows:
            self._keep(row)

    def _keep(self, row: Row) -> None:
        match row:
            case Entry(number=number, key=key, order=order):
                if number not in self._entries:
                    if self._numbers and number < self._numbers[-1]:
                        raise StoreFailed(f"entry {number} comes after {self._numbers[-1]}")
                    self._numbers.append(number)
                    if order and key:
                        self._of_order.setdefault(order, []).append(number)
                self._entries[number] = row
                if key:
                    self._keys[key] = number
            case OrderRow(key=key):
                known = self._orders.get(key)
                self._orders[key] = row
                for each in (row.client_order_id, row.exchange_order_id):
                    if each and (known is None or each not in _ids_of(known)):
                        self._ids.setdefault((row.symbol, each), set()).add(key)
            case NoOrder(key=key, instead=instead):
                self._remove(key)
                for number in self._of_order.pop(key, ()):
                    self._entries[number] = attrs.evolve(self._entries[number], order=instead)
                    self._of_order.setdefault(instead, []).append(number)
            case PositionRow(key=key):
                self._positions[key] = row
            case BalanceRow():
                self._balances[row.name] = row
            case Cursor(key=key):
                self._cursors[key] = row
            case Acknowledged(consumer=consumer):
                self._acknowledged[consumer] = row

    def _remove(self, key: str) -> None:
        gone = self._orders.pop(key, None)
        if gone is None:
            return
        for each in (gone.client_order_id, gone.exchange_order_id):
            keys = self._ids.get((gone.symbol, each), set())
            keys.discard(key)
            if not keys:
                self._ids.pop((gone.symbol, each), None)

    async def look_up(self, wanted: Wanted) -> Known:
        """See :class:`~ccrs_core.Store`."""
        self._check()
        keys = {
            key
            for symbol, *ids in wanted.orders
            for each in ids
            for key in self._ids.get((symbol, each), ())
        }
        for order in [self._orders[key].order for key in keys]:
            if order is not None and order.fired_by:
                keys |= self._ids.get((order.symbol, order.fired_by), set())
        numbers = (self._keys[key] for key in wanted.keys if key in self._keys)
        return Known(
            wanted,
            tuple(self._entries[number] for number in numbers),
            tuple(self._orders[key] for key in sorted(keys)),
        )

    async def entries_after(
        self, number: int, limit: int, kinds: Collection[str] | None = None
    ) -> list[Entry]:
        """See :class:`~ccrs_core.Store`."""
        self._check()
        found: list[Entry] = []
        for at in range(bisect_right(self._numbers, number), len(self._numbers)):
            if len(found) >= limit:
                break
            entry = self._entries[self._numbers[at]]
            if kinds is None or entry.event.type in kinds:
                found.append(entry)
        return found

    async def orders(
        self,
        *,
        symbol: str | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        limit: int = 1000,
    ) -> list[Order]:
        """See :class:`~ccrs_core.Store`."""
        self._check()
        rows = sorted(self._orders.values(), key=lambda row: (row.time_ns, row.key))
        return [
            row.order
            for row in rows
            if row.order is not None
            and symbol in (None, row.symbol)
            and _within(row.time_ns, start_ns, end_ns)
        ][-limit:]

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
        self._check()
        numbers: Iterable[int] = self._numbers if order is None else self._of_order.get(order, ())
        events = (self._entries[number].event for number in numbers)
        found = [
            event
            for event in events
            if isinstance(event, Fill)
            and symbol in (None, event.symbol)
            and _within(by_time(event), start_ns, end_ns)
        ]
        return sorted(found, key=lambda fill: (by_time(fill), fill.number))[-limit:]

    async def forget(
        self, number: int, kinds: Collection[str], *, orders_before_ns: int = 0
    ) -> None:
        """See :class:`~ccrs_core.Store`."""
        self._check()
        for row in list(self._orders.values()) if orders_before_ns else ():
            if row.settled and row.time_ns < orders_before_ns and row.key not in self._of_order:
                self._remove(row.key)
        kept: list[int] = []
        for each in self._numbers[: bisect_right(self._numbers, number)]:
            entry = self._entries[each]
            if entry.key or entry.event.type not in kinds or each == self._numbers[-1]:
                kept.append(each)
            else:
                del self._entries[each]
        self._numbers[: bisect_right(self._numbers, number)] = kept

    async def close(self) -> None:
        """See :class:`~ccrs_core.Store`."""
        self._open = False

    def _check(self) -> None:
        if not self._open:
            raise StoreFailed("the store isn't open")


def _within(time_ns: int, start_ns: int | None, end_ns: int | None) -> bool:
    return (start_ns is None or time_ns >= start_ns) and (end_ns is None or time_ns < end_ns)


def _ids_of(row: OrderRow) -> tuple[str, str]:
    return row.client_order_id, row.exchange_order_id
