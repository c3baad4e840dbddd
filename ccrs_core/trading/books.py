"""The state of a ledger, and how it is changed: numbers, orders, entries. Its one writer is the
ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from ccrs_core.model.accounts import Adjustment, LedgerConflict
from ccrs_core.model.constructors import fast_constructor
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orders import OrderUpdate, Origin
from ccrs_core.trading.change import Draft
from ccrs_core.trading.order_state import (
    Conflict,
    Merged,
    child_of,
    evolve_order,
    followed,
    joined,
)
from ccrs_core.trading.recall import Horizon, OrderIndex, Record, Seen
from ccrs_core.trading.store import Entry, Known, NoOrder, Stored

T = TypeVar("T", bound=Any)
_new_update = fast_constructor(OrderUpdate)
_CONFLICTS = 1000
"""Of which it is remembered that they were told."""


class Books:
    """What is known of an account's orders and fills.

    :param recent: how many settled orders, and how many entries with a key, are in memory.
    """

    def __init__(
        self,
        exchange: str,
        account: str,
        find: Callable[[Market, str], Instrument | None],
        recent: int,
    ) -> None:
        self.exchange = exchange
        self.account = account
        self.find = find
        self.number = 0
        """Of the last entry."""
        self.horizon = Horizon()
        self.seen = Seen(self.horizon, recent)
        self.index = OrderIndex(self.horizon, recent)
        self._conflicts: dict[tuple[str, ...], None] = {}

    def restore(self, stored: Stored) -> None:
        """Begin with what a store holds."""
        self.number = stored.number
        self.horizon.ns = stored.forgotten_ns
        for row in sorted(stored.orders, key=lambda row: row.time_ns):
            self.index.touched(self.index.add(row), 0)
        for record in list(self.index):
            self._placed(record)
        for entry in reversed(stored.entries):
            self.seen.add(entry)

    def recall(self, known: Known) -> None:
        """Have in memory again what the store has answered, for now."""
        for row in known.orders:
            self.index.recall(row)
        for row in known.orders:
            record = self.index.by_key(row.key)
            if record is not None:
                self._placed(record)

    def _placed(self, record: Record) -> None:
        """What waited and what it has placed know each other again."""
        if record.facts.children:
            for child in self.index.placed_by(record, record.facts.children):
                self.index.guarded(child, record, "")
        order = record.order
        if order is not None and order.fired_by and record.guard is None:
            ids = record.exchange_order_id, order.fired_by
            self.index.guarded(record, self.index.guard_of(record.symbol, *ids), order.fired_by)

    def trim(self) -> None:
        """Let go of what there is too much of."""
        self.seen.trim()
        self.index.trim()

    def entry(self, key: str, draft: Draft) -> Entry | None:
        """The entry of a key, in memory or as the store has answered."""
        return self.seen.get(key) or draft.known.get(key)

    def next_number(self) -> int:
        """The number of a new entry."""
        self.number += 1
        return self.number

    def tell(self, draft: Draft, event: T, key: str = "") -> T:
        """Something has happened: the event under its number."""
        number = self.next_number()
        event = attrs.evolve(event, number=number)
        entry = Entry(number, event, key)
        if key:
            self.seen.add(entry)
        draft.entries.append(entry)
        return event

    def note(self, draft: Draft, number: int, event: Any) -> None:
        """Something is so now, as told under a number that was drawn for it."""
        draft.entries.append(Entry(number, event))

    def adjust(self, draft: Draft, adjustment: Adjustment) -> None:
        """Tell what isn't explained, under the number that was drawn for it."""
        entry = Entry(adjustment.number, adjustment, f"adjustment {adjustment.adjustment_id}")
        self.seen.add(entry)
        draft.entries.append(entry)

    # --- orders ---

    def known_order(
        self,
        symbol: str,
        exchange_order_id: str,
        client_order_id: str,
        draft: Draft,
        *,
        placed: bool = False,
    ) -> Record | None:
        """The order in memory that two ids name, never one that only looks like it: an own one by
        its client id, as long as no other exchange's id is known of it; else by the exchange's.

        ``placed``: what an own one that waits has placed may have its client id, too, and nothing
        says that this is the one that waits.
        """
        record = self.index.by_exchange(symbol, exchange_order_id) if exchange_order_id else None
        if not client_order_id or (record is not None and record.own):
            return record
        own = self.index.own(client_order_id)
        if own is None or own.symbol != symbol:
            return record
        if own.exchange_order_id and exchange_order_id:
            return record  # somebody has used the id again, or it came of it
        if placed and exchange_order_id and own.waits:
            return record
        if exchange_order_id:
            self.link(own, exchange_order_id, draft)
        return own

    def may_be_forgotten(
        self,
        ids: tuple[str, str, str],
        time_ns: int | None,
        created_ns: int | None,
        known: Known,
    ) -> bool:
        """Whether only the store can tell if an order is known that isn't in memory."""
        hidden = self.horizon.hides_order(time_ns, created_ns)
        return hidden and ids not in known.wanted.orders

    def link(self, own: Record, exchange_order_id: str, draft: Draft) -> None:
        """The exchange's id of an own order became known: what was told of that id is of it."""
        other = self.index.by_exchange(own.symbol, exchange_order_id)
        self.index.link(own, exchange_order_id)
        if other is None or other is own or own.order is None:
            return
        self.index.drop(other)
        self.index.link(own, exchange_order_id)
        if exchange_order_id in own.facts.children:  # it went on under the id that it waited with
            rest = {k: v for k, v in own.facts.children.items() if k != exchange_order_id}
            self.index.disowned(own.symbol, exchange_order_id)
            own.facts = own.facts._replace(children=rest)
        draft.rows.pop(other.key, None)
        draft.rows[f"gone {other.key}"] = NoOrder(other.key, own.key)
        merged = joined(own.order, own.facts, other.order, other.facts, other.time_ns, own.contract)
        self.after(own, merged, draft, other.time_ns)

    def after(self, record: Record, merged: Merged, draft: Draft, time_ns: int) -> None:
        """What a word has made of an order: kept, and told where users have to know."""
        before, named = record.order, record.facts.children
        order = merged.order
        record.order, record.facts = order, merged.facts
        if order.exchange_order_id and not record.exchange_order_id:
            self.index.link(record, order.exchange_order_id)
        if merged.conflict is not None:
            ids = (record.exchange_order_id, record.client_order_id)
            self.conflict(merged.conflict, record.symbol, *ids, draft)
        if merged.changed:
            number = self.next_number()
            update = _new_update(
                exchange=self.exchange,
                symbol=record.symbol,
                exchange_time_ns=order.updated_ns,
                received_time_ns=draft.now_ns,
                account=self.account,
                number=number,
                order=order,
                before=None if before is None else before.state,
            )
            draft.entries.append(Entry(number, update, "", record.key))
        if merged.changed or merged.keep:
            self.keep(record, draft, time_ns)
        if named is not merged.facts.children or self.index.lost:
            for child in self.index.placed_by(record, merged.facts.children):
                self.guard(child, record, draft, time_ns)

    def keep(self, record: Record, draft: Draft, time_ns: int) -> None:
        """The store has to have an order as it is now."""
        self.index.touched(record, time_ns)
        draft.rows[record.key] = record.row
        if record.guard is not None:
            self._follow(record, record.guard, draft, time_ns)

    # --- what a trigger has placed ---

    def guard_may_be_forgotten(
        self, symbol: str, exchange_order_id: str, fired_by: str, known: Known
    ) -> bool:
        """Whether only the store can tell of what a trigger has placed what has waited. (It is
        asked once.)"""
        if not fired_by or not self.horizon.ns or known.wanted.orders or known.wanted.keys:
            return False
        return self.index.guard_of(symbol, exchange_order_id, fired_by) is None

    def guard(self, record: Record, guard: Record, draft: Draft, time_ns: int) -> None:
        """It became known what has placed an order: it is of whom that is."""
        self.index.guarded(record, guard, "")
        if record.guard is not guard:
            return None
        order, above = record.order, guard.order
        if order is None or above is None:
            return self._follow(record, guard, draft, time_ns)
        changes: dict[str, Any] = {}
        if not order.fired_by:
            changes["fired_by"] = guard.exchange_order_id or guard.client_order_id
        if order.origin is Origin.OTHER and above.origin is not Origin.OTHER:
            changes["origin"] = above.origin
        if changes:
            merged = Merged(evolve_order(order, changes), record.facts, True)
            return self.after(record, merged, draft, time_ns)
        return self._follow(record, guard, draft, time_ns)

    def _follow(self, record: Record, guard: Record, draft: Draft, time_ns: int) -> None:
        """What waited is what it has placed."""
        if guard.order is None or not record.exchange_order_id:
            return
        identity, child = record.exchange_order_id, child_of(record.order, record.facts)
        if guard.facts.children.get(identity) == child:
            return
        placed = {**guard.facts.children, identity: child}
        merged = followed(guard.order, guard.facts, placed, guard.contract, time_ns)
        self.after(guard, merged, draft, time_ns)

    def conflict(
        self,
        conflict: Conflict,
        symbol: str,
        exchange_order_id: str,
        client_order_id: str,
        draft: Draft,
    ) -> None:
        """Tell of two facts that contradict each other, once."""
        mark = (symbol, exchange_order_id, client_order_id, *conflict)
        if mark in self._conflicts:
            return
        self._conflicts[mark] = None
        if len(self._conflicts) > _CONFLICTS:
            del self._conflicts[next(iter(self._conflicts))]
        self.tell(
            draft,
            LedgerConflict(
                exchange=self.exchange,
                symbol=symbol,
                exchange_time_ns=None,
                received_time_ns=draft.now_ns,
                account=self.account,
                what=conflict.what,
                known=conflict.known,
                told=conflict.told,
                exchange_order_id=exchange_order_id,
                client_order_id=client_order_id,
            ),
        )
