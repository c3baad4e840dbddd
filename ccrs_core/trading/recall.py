"""What a ledger has in memory of its past, and where that ends.

What is older than the horizon may have been let go of: whether it is known is the store's to say.
Memory alone never judges what is older, so that it can be small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from weakref import WeakValueDictionary

from ccrs_core.model.constructors import fast_constructor
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.trading.store import Entry, OrderRow, by_time

MARGIN_NS = 30 * NS_PER_SECOND
"""By how much two copies of one thing may differ in their times."""


_new_row = fast_constructor(OrderRow)


class Horizon:
    """The newest time of what was let go of; 0: nothing was."""

    __slots__ = ("fills_ns", "ns")

    def __init__(self) -> None:
        self.ns = 0
        self.fills_ns = 0
        """Of orders of which only fills were known: their first word may come at any time."""

    def hides(self, time_ns: int | None) -> bool:
        """Whether something of that time may have been known, and let go of."""
        return self.ns > 0 and (time_ns is None or time_ns < self.ns + MARGIN_NS)

    def hides_order(self, time_ns: int | None, created_ns: int | None) -> bool:
        """Whether an order of which something is told may have been known, and let go of."""
        if self.hides(time_ns):
            return True
        fills_ns = self.fills_ns
        return fills_ns > 0 and (created_ns is None or created_ns < fills_ns + MARGIN_NS)


class Seen:
    """The newest entries that have a key."""

    def __init__(self, horizon: Horizon, most: int) -> None:
        self._horizon = horizon
        self._most = most
        self._entries: dict[str, Entry] = {}

    def get(self, key: str) -> Entry | None:
        """The entry of a key, as far as it is in memory."""
        return self._entries.get(key)

    def add(self, entry: Entry) -> None:
        """Remember one."""
        self._entries[entry.key] = entry

    def trim(self) -> None:
        """Let the oldest go where there are too many."""
        entries = self._entries
        while len(entries) > self._most:
            gone = entries.pop(next(iter(entries)))
            self._horizon.ns = max(self._horizon.ns, by_time(gone.event))

    def __len__(self) -> int:
        return len(self._entries)


class Record:
    """One order in the ledger, or the fills of one of which nothing else is known. Written by the
    ledger alone."""

    __slots__ = (
        *("client_order_id", "contract", "exchange_order_id", "facts", "key", "order"),
        *("guard", "symbol", "time_ns", "__weakref__"),
    )

    def __init__(self, row: OrderRow) -> None:
        self.key = row.key
        self.symbol = row.symbol
        self.client_order_id = row.client_order_id
        self.exchange_order_id = row.exchange_order_id
        self.order = row.order
        self.facts = row.facts
        self.time_ns = row.time_ns
        self.contract = row.contract
        self.guard: Record | None = None
        """The one that waited, where a trigger has placed this one."""

    @property
    def own(self) -> bool:
        """Whether the ledger holds its intent."""
        return self.key.startswith(OWN)

    @property
    def waits(self) -> bool:
        """Whether it is an own order that was to wait for a trigger."""
        asked = None if self.order is None else self.order.asked
        return asked is not None and asked.trigger is not None

    @property
    def row(self) -> OrderRow:
        """What the store keeps of it."""
        return _new_row(
            *(self.key, self.symbol, self.client_order_id, self.exchange_order_id),
            *(self.order, self.facts, self.time_ns, self.contract),
        )


OWN = "c "
"""What keys of own orders begin with: their client ids follow."""
OTHERS = "e "
"""What keys of all others begin with: symbol and exchange's id follow."""


def own_key(client_order_id: str) -> str:
    """The key of an own order."""
    return OWN + client_order_id


def others_key(symbol: str, exchange_order_id: str) -> str:
    """The key of an order that isn't known to be own."""
    return f"{OTHERS}{symbol} {exchange_order_id}"


class OrderIndex:
    """The orders in memory, by their ids: all that aren't settled, and the newest that are."""

    def __init__(self, horizon: Horizon, most: int) -> None:
        self._horizon = horizon
        self._most = most
        self._by_key: dict[str, Record] = {}
        self._by_exchange: dict[tuple[str, str], Record] = {}
        self._by_id: dict[str, Record] = {}
        self._settled: dict[str, Record] = {}
        self._unsettled: dict[str, Record] = {}
        self._recalled: list[Record] = []
        self._held: WeakValueDictionary[str, Record] = WeakValueDictionary()
        """Those that were let go of, as long as somebody else holds them."""
        self._placed: dict[tuple[str, str], Record] = {}
        """Those that waited, by what they have placed: symbol and exchange's id."""
        self._lost: dict[tuple[str, str], dict[str, Record]] = {}
        """What a trigger has placed, by the symbol and an id of what waited, as long as that isn't
        in memory."""

    def __iter__(self) -> Iterator[Record]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def unsettled(self) -> Iterable[Record]:
        """Those of which something may come yet: few, however many there are."""
        return self._unsettled.values()

    def own(self, client_order_id: str) -> Record | None:
        """The own order of a client id."""
        return self._by_key.get(OWN + client_order_id)

    def by_exchange(self, symbol: str, exchange_order_id: str) -> Record | None:
        """The order of an exchange's id."""
        return self._by_exchange.get((symbol, exchange_order_id))

    def by_key(self, key: str) -> Record | None:
        """The order of a key."""
        return self._by_key.get(key)

    def held(self, key: str) -> Record | None:
        """The order of a key, in memory or held by somebody."""
        return self._by_key.get(key) or self._held.get(key)

    def by_id(self, exchange_order_id: str) -> Record | None:
        """The order of an exchange's id, whatever its symbol."""
        return self._by_id.get(exchange_order_id)

    def guard_of(self, symbol: str, exchange_order_id: str, fired_by: str) -> Record | None:
        """The one that waited, of which an order came."""
        found = self._placed.get((symbol, exchange_order_id))
        if found is None and fired_by:
            found = self.own(fired_by)
            if found is None or found.symbol != symbol:
                found = self.by_exchange(symbol, fired_by)
        return found

    def guarded(self, record: Record, guard: Record | None, fired_by: str) -> None:
        """What a trigger has placed, and what waited; None where that isn't in memory."""
        above = guard
        while above is not None:
            if above is record:
                return  # two that name each other
            above = above.guard
        if guard is not None:
            record.guard = guard
            self._placed[record.symbol, record.exchange_order_id] = guard
        else:
            self._lost.setdefault((record.symbol, fired_by), {})[record.key] = record

    def disowned(self, symbol: str, exchange_order_id: str) -> None:
        """That wasn't placed by any: it is the one that waited."""
        self._placed.pop((symbol, exchange_order_id), None)

    @property
    def lost(self) -> bool:
        """Whether of something that a trigger has placed it isn't known what waited."""
        return bool(self._lost)

    def placed_by(self, guard: Record, ids: Iterable[str]) -> list[Record]:
        """Of what an order has placed, that which isn't known to be of it yet; ``ids``: what it
        is said to have placed."""
        found: dict[str, Record] = {}
        if self._lost:
            own = guard.client_order_id if guard.own else ""
            for each in (own, guard.exchange_order_id):
                if each:
                    found |= self._lost.pop((guard.symbol, each), {})
        for identity in ids:
            if self._placed.setdefault((guard.symbol, identity), guard) is guard:
                record = self._by_exchange.get((guard.symbol, identity))
                if record is not None and record.guard is None:
                    found[record.key] = record
        return [record for record in found.values() if record is not guard]

    def add(self, row: OrderRow) -> Record:
        """Take an order in. It stays until it is settled, and others have been since."""
        return self._add(Record(row))

    def _add(self, record: Record) -> Record:
        self._by_key[record.key] = record
        if not _settled(record):
            self._unsettled[record.key] = record
        if record.exchange_order_id:
            self.link(record, record.exchange_order_id)
        return record

    def link(self, record: Record, exchange_order_id: str) -> None:
        """The exchange's id of an order became known."""
        record.exchange_order_id = exchange_order_id
        self._by_id[exchange_order_id] = record
        self._by_exchange[record.symbol, exchange_order_id] = record

    def drop(self, record: Record) -> None:
        """Let an order go."""
        self._by_key.pop(record.key, None)
        self._settled.pop(record.key, None)
        self._unsettled.pop(record.key, None)
        at = (record.symbol, record.exchange_order_id)
        if self._by_exchange.get(at) is record:
            del self._by_exchange[at]
        if self._by_id.get(record.exchange_order_id) is record:
            del self._by_id[record.exchange_order_id]
        for each in record.facts.children:
            if self._placed.get((record.symbol, each)) is record:
                del self._placed[record.symbol, each]
        order = record.order
        if self._lost and order is not None and order.fired_by:
            lost = self._lost.get((record.symbol, order.fired_by), {})
            lost.pop(record.key, None)
            if not lost:
                self._lost.pop((record.symbol, order.fired_by), None)

    def touched(self, record: Record, time_ns: int) -> None:
        """Something became known of an order."""
        record.time_ns = max(record.time_ns, time_ns)
        settled = self._settled
        if _settled(record):
            settled.pop(record.key, None)
            settled[record.key] = record
            self._unsettled.pop(record.key, None)
        else:
            settled.pop(record.key, None)
            self._unsettled[record.key] = record

    def recall(self, row: OrderRow) -> None:
        """Have an order in memory again that it has let go of, until the next :meth:`trim`, or as
        long as any other once something became known of it."""
        if row.key not in self._by_key:
            held = self._held.get(row.key)
            self._recalled.append(self.add(row) if held is None else self._add(held))

    def trim(self) -> None:
        """Let old ones go where too many are settled."""
        settled = self._settled
        for record in self._recalled:
            if record.key not in settled and _settled(record):
                self._let_go(record)
        self._recalled.clear()
        while len(settled) > self._most:
            oldest = settled[next(iter(settled))]
            self._horizon.ns = max(self._horizon.ns, oldest.time_ns)
            if oldest.order is None:
                self._horizon.fills_ns = max(self._horizon.fills_ns, oldest.time_ns)
            self._let_go(oldest)

    def _let_go(self, record: Record) -> None:
        self.drop(record)
        self._held[record.key] = record


def _settled(record: Record) -> bool:
    """Whether it has ended, with all of its fills; or nothing but fills is known of it."""
    order = record.order
    return order is None or (order.state.final and order.fills_complete)
