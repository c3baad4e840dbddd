"""What one call of the ledger has done: to be committed whole, then delivered."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ccrs_core.model.accounts import AccountEvent
from ccrs_core.model.constructors import fast_constructor
from ccrs_core.model.orders import EarlyFill
from ccrs_core.model.reports import FillReport, Report
from ccrs_core.trading.store import Entry, Row, Wanted

_NOTHING_WANTED = Wanted()


@attrs.frozen(weakref_slot=False)
class Change:
    """What has to be kept and told, and what couldn't be taken yet.

    ``unplaced`` reports are of instruments that aren't listed: take them again once the list is
    fresh. ``doubtful`` ones may be of what the ledger has let go of: ask the store for ``wanted``,
    then take them again with what it knows. ``nameless`` ones are fills of an order that isn't
    known, and may be one of unknown outcome: read them again once it is. None has left a trace.
    """

    entries: tuple[Entry, ...] = ()
    """What happened, in the order of its numbers."""
    rows: tuple[Row, ...] = ()
    """All that the store has to keep, ``entries`` included, in one transaction."""
    unplaced: tuple[Report, ...] = ()
    doubtful: tuple[Report, ...] = ()
    wanted: Wanted = _NOTHING_WANTED
    early: tuple[EarlyFill, ...] = ()
    """Unconfirmed words of fills: neither numbered nor kept."""
    nameless: tuple[FillReport, ...] = ()

    @property
    def events(self) -> tuple[AccountEvent, ...]:
        """What is to be delivered once the rows are kept."""
        return tuple(entry.event for entry in self.entries)


NOTHING = Change()
_change = fast_constructor(Change)


class Draft:
    """A change in the making."""

    __slots__ = (
        *(
            "ahead_ns",
            "backfilled",
            "doubtful",
            "early",
            "entries",
            "keys",
            "known",
            "nameless",
            "now_ns",
            "rows",
        ),
        *("unplaced", "wanted_orders"),
    )

    def __init__(
        self,
        now_ns: int,
        backfilled: bool = False,
        known: Sequence[Entry] = (),
        ahead_ns: int = 0,
    ) -> None:
        self.now_ns = now_ns
        self.ahead_ns = ahead_ns
        """By how much the exchange's clock is ahead of the local one, by which things arrive."""
        self.known = {entry.key: entry for entry in known} if known else {}
        """Entries that the store has, and memory hasn't."""
        self.backfilled = backfilled
        self.entries: list[Entry] = []
        self.rows: dict[object, Row] = {}
        """By what they replace each other."""
        self.unplaced: list[Report] = []
        self.doubtful: list[Report] = []
        self.keys: set[str] = set()
        self.wanted_orders: set[tuple[str, str, str]] = set()
        self.early: list[EarlyFill] = []
        self.nameless: list[FillReport] = []

    @property
    def held_back(self) -> bool:
        """Whether something can't be taken yet."""
        return bool(self.doubtful or self.unplaced or self.nameless)

    def change(self) -> Change:
        """What has become of it."""
        if self.early or self.held_back:
            return _change(
                tuple(self.entries),
                (*self.entries, *self.rows.values()),
                tuple(self.unplaced),
                tuple(self.doubtful),
                Wanted(frozenset(self.keys), frozenset(self.wanted_orders)),
                tuple(self.early),
                tuple(self.nameless),
            )
        if not self.entries and not self.rows:
            return NOTHING
        return _change(tuple(self.entries), (*self.entries, *self.rows.values()))
