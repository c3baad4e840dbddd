"""What a ledger keeps, and who keeps it: rows, and the protocol of stores.

A store holds one account's ledger. It is opened by one process at a time and written by one ledger.
What a change consists of is committed whole, or not at all, in the order of the calls; only what
was committed is delivered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Protocol

import attrs

from ccrs_core.model.accounts import AccountEvent, AdjustmentKind, Position
from ccrs_core.model.events import Balance, named_asset
from ccrs_core.model.instruments import Market
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import Fill, Order
from ccrs_core.trading.order_state import Facts
from ccrs_core.trading.profit import ProfitState
from ccrs_core.trading.tally import TallyState


@attrs.frozen
class LedgerName:
    """Which ledger it is."""

    exchange: str
    environment: str
    account: str

    def __str__(self) -> str:
        return f"{self.exchange} {self.environment} {self.account}"


# --- Rows ------------------------------------------------------------------------------------


@attrs.frozen(weakref_slot=False)
class Entry:
    """One event of a ledger at its place. ``number`` rises over all of an account.

    ``key`` says what it is of, where it must be there once (a fill, an income, an adjustment): no
    two entries of a store have the same. It is empty for what only tells a change.
    """

    number: int
    event: AccountEvent
    key: str = ""
    order: str = ""
    """The key of the order that it is of."""


@attrs.frozen(weakref_slot=False)
class OrderRow:
    """An order as it is now, under its key in the ledger. ``order`` is None where only fills of it
    are known so far."""

    key: str
    symbol: str
    client_order_id: str
    exchange_order_id: str
    order: Order | None
    facts: Facts
    time_ns: int
    """The newest time that the ledger knows of it."""
    contract: Decimal | None
    """As of :func:`~ccrs_core.model.orders.average`."""

    @property
    def settled(self) -> bool:
        """Whether it has ended, with all of its fills."""
        order = self.order
        return order is not None and order.state.final and order.fills_complete


@attrs.frozen
class NoOrder:
    """There is no order of this key any more: it was found to be the one of another key, and so
    are its entries."""

    key: str
    instead: str


@attrs.frozen
class Cursor:
    """How far something has been read."""

    key: str
    value: int


@attrs.frozen
class Acknowledged:
    """A consumer has dealt with all entries up to a number."""

    consumer: str
    number: int


@attrs.frozen(kw_only=True)
class PositionRow:
    """One position, and what explains it."""

    key: str
    market: Market
    symbol: str
    side: PositionSide
    base: str
    settle: str
    contract: Decimal | None
    """As of :class:`OrderRow`."""
    position: Position | None = None
    """The exchange's last word on it."""
    tally: TallyState = attrs.field(factory=TallyState)
    profit: ProfitState = attrs.field(factory=ProfitState)
    fees: tuple[tuple[str, Decimal], ...] = ()
    hint: AdjustmentKind | None = None
    """What the next difference is explained by."""


@attrs.frozen(kw_only=True)
class BalanceRow:
    """What there is of one asset, and what explains it."""

    asset: str
    balance: Balance | None
    tally: TallyState = attrs.field(factory=TallyState)
    roundings: int = 0
    """Entries since the anchor that may have been rounded."""
    purse: str = ""
    """The wallet that it is in, where there are several."""

    @property
    def name(self) -> str:
        """What tells it from all others."""
        return named_asset(self.asset, self.purse)


Row = Entry | OrderRow | NoOrder | PositionRow | BalanceRow | Cursor | Acknowledged
"""What a store is given. Rows of the same key (an entry: number) replace each other."""


FIGURES = "figures"
"""The cursor up to whose number positions and balances are stored. (They are stored now and then,
and made up to date from the entries after it.)"""


# --- What is asked of a store ----------------------------------------------------------------


@attrs.frozen
class Wanted:
    """What a ledger has to know of its past before it can take some reports."""

    keys: frozenset[str] = frozenset()
    """Of entries."""
    orders: frozenset[tuple[str, str, str]] = frozenset()
    """Symbol, exchange's id, client id; either id may be empty."""


@attrs.frozen
class Known:
    """What a store knows of what was wanted. Among the ``orders`` are those, too, that one of them
    names as ``fired_by``, by either id."""

    wanted: Wanted = attrs.field(factory=Wanted)
    entries: tuple[Entry, ...] = ()
    orders: tuple[OrderRow, ...] = ()


@attrs.frozen
class Stored:
    """What a ledger begins with."""

    number: int = 0
    """Of the last entry."""
    orders: tuple[OrderRow, ...] = ()
    """All that are not settled, and the newest ones that are."""
    entries: tuple[Entry, ...] = ()
    """The newest ones that have a key."""
    forgotten_ns: int = 0
    """The newest time of settled orders and of entries with a key that are left out; 0: none is."""
    positions: tuple[PositionRow, ...] = ()
    balances: tuple[BalanceRow, ...] = ()
    moves: tuple[Entry, ...] = ()
    """Fills and income that aren't in ``positions`` and ``balances`` yet: those after the cursor
    :data:`FIGURES`, oldest first."""
    cursors: tuple[Cursor, ...] = ()
    acknowledged: tuple[Acknowledged, ...] = ()


RECENT = 10_000
"""How many settled orders, and how many entries with a key, a ledger has in memory if nobody says
otherwise."""


class Store(Protocol):
    """Keeps one account's ledger.

    Methods raise ``StoreFailed`` where it can't be read or written. Reads see all that was
    committed, or handed to ``commit``, before.
    """

    async def open(self, ledger: LedgerName, *, recent: int = RECENT) -> Stored:
        """Take it for a ledger, and read what that begins with: at most ``recent`` of each kind
        that there may be many of.

        :raises StoreInUse: where another has it; the message says how to share.
        """
        ...

    async def commit(self, rows: Sequence[Row]) -> None:
        """Keep all of these rows, or none of them.

        After a failure nothing of them is kept, and what was handed over after them and before the
        failure was raised fails, too: hand in the same rows again, the oldest first. To hand in
        rows again that are kept already changes nothing.

        :raises StoreFailed: where they couldn't be kept; ``retryable``.
        :raises EntryKnown: where the key of an entry is that of another one: it is there already.
        """
        ...

    async def look_up(self, wanted: Wanted) -> Known:
        """What it knows of some entries and orders."""
        ...

    async def entries_after(
        self, number: int, limit: int, kinds: Collection[str] | None = None
    ) -> list[Entry]:
        """The next entries after a number, oldest first; of some ``type`` of events alone."""
        ...

    async def orders(
        self,
        *,
        symbol: str | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        limit: int = 1000,
    ) -> list[Order]:
        """The newest orders that it has of ``start_ns <= time < end_ns``, oldest first."""
        ...

    async def fills(
        self,
        *,
        symbol: str | None = None,
        order: str | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        limit: int = 1000,
    ) -> list[Fill]:
        """The newest fills that it has of ``start_ns <= time < end_ns``, oldest first; ``order`` is
        the key of one in the ledger."""
        ...

    async def forget(
        self, number: int, kinds: Collection[str], *, orders_before_ns: int = 0
    ) -> None:
        """Entries without a key up to a number, of these kinds, aren't needed any more; nor are
        settled orders without any fill from before a time. Some of both may stay until the next
        call."""
        ...

    async def close(self) -> None:
        """Let it go, once all that was handed over is kept; at any time, also twice."""
        ...


def by_time(event: AccountEvent) -> int:
    """When an event was, by the exchange's clock where that says so."""
    told = event.exchange_time_ns
    return event.received_time_ns if told is None else told
