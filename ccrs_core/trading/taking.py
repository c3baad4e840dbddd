"""From what the exchange says to the ledger: what may be of the ledger's past waits for the store's
word, what is of no known instrument for a fresh list."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ccrs_core.errors import CcrsError, StoreFailed
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orders import EarlyFill
from ccrs_core.model.reports import Report
from ccrs_core.requests.instruments import InstrumentStore
from ccrs_core.trading.change import Change
from ccrs_core.trading.journal import Journal
from ccrs_core.trading.ledger import Ledger
from ccrs_core.trading.store import Known, Store, Wanted
from ccrs_core.transport.base import Clock

log = logging.getLogger("ccrs.account")

_PAUSE, _LONGEST = 0.1, 10.0
"""Seconds before the store is asked again."""
_KEPT = 1000
"""Reports of unknown instruments that are kept for a later list."""


class Natives:
    """Instruments by the exchange's own symbols. What was listed once is known on."""

    def __init__(self, instruments: InstrumentStore) -> None:
        self._instruments = instruments
        self._known: dict[tuple[Market, str], Instrument] = {}
        self._named: dict[str, Instrument] = {}
        self._learn()
        self.end = instruments.listen(lambda market, changes: self._learn())

    def _learn(self) -> None:
        for each in self._instruments.known():
            self._known[each.market, each.native] = each
            self._named[each.symbol] = each

    def find(self, market: Market, native: str) -> Instrument | None:
        """The instrument of a symbol of the exchange's."""
        return self._known.get((market, native))

    def named(self, symbol: str) -> Instrument | None:
        """The instrument of a unified symbol."""
        return self._named.get(symbol)


class Taking:
    """Hands reports to the ledger, and what that makes of them to the journal.

    :param exchange_ns: the exchange's clock, as far as it is known.
    :param early: told unconfirmed fills.
    :param strange: told, for people, what could not be taken for now.
    :param find: the instrument of a market and an exchange's own symbol.
    """

    def __init__(
        self,
        ledger: Ledger,
        journal: Journal,
        store: Store,
        instruments: InstrumentStore,
        clock: Clock,
        exchange_ns: Callable[[], int],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        early: Callable[[Sequence[EarlyFill]], None],
        strange: Callable[[str], None],
        find: Callable[[Market, str], Instrument | None],
    ) -> None:
        self._find = find
        self._ledger = ledger
        self._journal = journal
        self._store = store
        self._instruments = instruments
        self._clock = clock
        self._exchange_ns = exchange_ns
        self._spawn = spawn
        self._early = early
        self._strange = strange
        self._unplaced: dict[tuple[object, ...], tuple[Report, bool]] = {}
        """By what they are of, the newest word on each."""
        self._told: set[tuple[Market, str]] = set()

    def find(self, market: Market, native: str) -> Instrument | None:
        """The instrument of a symbol of the exchange's, as the ledger knows it."""
        return self._find(market, native)

    def push(self, reports: Sequence[Report], *, backfilled: bool = False) -> None:
        """Take these; what needs a question waits for its answer by itself."""
        rest = self._take(reports, backfilled)
        if rest is not None:
            self._spawn(self._take_later(rest, backfilled))

    async def _take_later(self, rest: Change, backfilled: bool) -> None:
        await self._take_rest(rest, backfilled)

    async def take(
        self,
        reports: Sequence[Report],
        *,
        backfilled: bool = False,
        whole_before_ns: int | None = None,
    ) -> bool:
        """Take these, all that can be; False where some wait for a list of instruments, or for the
        word on which order they are of: those have to be read again.
        ``whole_before_ns``: see :meth:`Ledger.take <ccrs_core.trading.ledger.Ledger.take>`."""
        rest = self._take(reports, backfilled, whole_before_ns)
        return rest is None or await self._take_rest(rest, backfilled)

    def _take(
        self, reports: Sequence[Report], backfilled: bool, whole_before_ns: int | None = None
    ) -> Change | None:
        now_ns = self._clock.time_ns()
        change = self._ledger.take(
            reports,
            now_ns,
            backfilled=backfilled,
            whole_before_ns=whole_before_ns,
            ahead_ns=self._exchange_ns() - now_ns,
        )
        return self._taken(change)

    def _taken(self, change: Change) -> Change | None:
        self._journal.add(change)
        if change.early:
            self._early(change.early)
        return change if change.doubtful or change.unplaced or change.nameless else None

    async def _take_rest(self, rest: Change, backfilled: bool) -> bool:
        unplaced, nameless = list(rest.unplaced), bool(rest.nameless)
        while rest.doubtful:  # what the store tells of an order may lead to its fills
            known = await self._known(rest.wanted)
            now_ns = self._clock.time_ns()
            rest = self._ledger.take(
                rest.doubtful,
                now_ns,
                backfilled=backfilled,
                known=known,
                ahead_ns=self._exchange_ns() - now_ns,
            )
            self._taken(rest)
            unplaced += rest.unplaced
            nameless = nameless or bool(rest.nameless)
        if unplaced:
            await self._refresh({each.market for each in unplaced if each.market is not None})  # type: ignore[union-attr]
            return self._again([(each, backfilled) for each in unplaced]) and not nameless
        return not nameless

    async def _known(self, wanted: Wanted) -> Known:
        """What the store knows of something, as soon as it tells."""
        pause = _PAUSE
        while True:
            try:
                return await self._store.look_up(wanted)
            except StoreFailed as error:
                log.warning("what may be known isn't taken before the store tells: %s", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST)

    async def _refresh(self, markets: set[Market]) -> None:
        for market in markets:
            try:
                await self._instruments.market(market, max_age=10.0)
            except CcrsError as error:
                log.warning("the %s instruments can't be listed: %s", market.value, error)

    def _again(self, reports: Sequence[tuple[Report, bool]]) -> bool:
        """Take once more what was of no known instrument; keep, and tell, what still is, if any."""
        placed = True
        for report, backfilled in reports:
            rest = self._take([report], backfilled)
            if rest is None:
                continue
            if rest.nameless:
                placed = False  # its cursor stays, and it is read again
                continue
            if rest.doubtful:
                self._spawn(self._take_later(rest, backfilled))
                continue
            placed = False
            self._unplaced[_same(report)] = report, backfilled
            of = report.market, report.native  # type: ignore[union-attr]
            if of not in self._told:
                self._told.add(of)  # type: ignore[arg-type]
                self._strange(f"{of[1]} is on no list of instruments: its reports wait for one")
        if len(self._unplaced) > _KEPT:
            log.error("%d reports of unknown instruments", len(self._unplaced))
            for each in list(self._unplaced)[:-_KEPT]:
                del self._unplaced[each]
        return placed

    def retry(self) -> None:
        """Take once more what waits for a list of instruments."""
        waiting, self._unplaced = list(self._unplaced.values()), {}
        if waiting:
            self._again(waiting)


_IDS = ("market", "native", "exchange_order_id", "client_order_id", "state", "filled_size")
_MORE_IDS = ("fill_id", "income_id", "kind", "side")


def _same(report: Report) -> tuple[object, ...]:
    """What tells a report from those that say something else, and not just later."""
    return type(report), *(getattr(report, name, None) for name in (*_IDS, *_MORE_IDS))
