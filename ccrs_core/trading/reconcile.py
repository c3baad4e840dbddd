"""The exchange's lists against the ledger: what streams may have missed is read from stored cursors
on, with an overlap. An error proves nothing, and moves no cursor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading_requests import (
    GetFills,
    GetIncome,
    GetOpenOrders,
    GetOrderHistory,
    GetPositions,
    GetWallet,
    Wallet,
)
from ccrs_core.errors import CcrsError
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.orders import Order
from ccrs_core.model.reports import OrderReport, Report
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.holdings import check_read, read_balances, read_positions
from ccrs_core.trading.involved import Involved, fills_cursor
from ccrs_core.trading.lookup import find_orders, placed_of
from ccrs_core.trading.missing import LATE_NS, SINGLES, MissingOrders
from ccrs_core.trading.reading import Reading, Reconciliation
from ccrs_core.trading.strangers import may_be_own, strangers
from ccrs_core.transport.gate import Priority

log = logging.getLogger("ccrs.account")

_FIRST_LOOK_NS = 7 * 86_400 * NS_PER_SECOND
"""How far back a new ledger begins."""
_STRETCH_NS = 7 * 86_400 * NS_PER_SECOND
"""How long a stretch is that is read, and its cursor moved, at once."""

Lost = Callable[[Channel, int, int], None]
"""Told of a channel, and from when to when (nanoseconds UTC), the exchange tells nothing any
more."""


class Reconciler:
    """Reads an account's lists into its ledger.

    :param find: the instrument of a market and an exchange's own symbol.
    :param lost: told of stretches that the exchange keeps no more.
    :param wallet: told what an account has as a whole.
    """

    def __init__(
        self,
        context: AccountContext,
        markets: Iterable[Market],
        find: Callable[[Market, str], Instrument | None],
        lost: Lost,
        wallet: Callable[[Wallet], None],
    ) -> None:
        self._context = context
        self._involved = Involved(context.ledger, context.instruments, find)
        self._missing = MissingOrders(context)
        self._one_by_one = GetFills in context.trading.by_symbol
        self._markets = [m for m in Market if m in set(markets)]
        self._find = find
        self._gathered: list[Report] | None = None
        """What the first reading of all has brought so far; None in any other."""
        self._moves: list[tuple[str, int]] = []
        self._warned_of: dict[str, tuple[type[CcrsError], str]] = {}
        """What couldn't be read the last time, and why."""
        self._lost = lost
        self._wallet = wallet

    @property
    def new(self) -> bool:
        """Whether the ledger has its beginning yet to take."""
        return not any(self._context.ledger.cursor(fills_cursor(m)) for m in self._markets)

    async def read(self, priority: Priority) -> Reconciliation:
        """Read all lists once. It may be cancelled: what was taken is taken, and the rest is read
        the next time."""
        reading = Reading(self._context, priority)
        self._moves, self._gathered = [], [] if self.new else None
        try:
            await self._all(reading)
        finally:
            self._gathered = None
        done = reading.done
        self._context.taking.retry()
        if done.whole:
            self._warned_of = {}
            self._missing.settle()
            if not reading.held_back:
                # What isn't explained of positions and balances is told.
                self._context.note(
                    self._context.ledger.judge(self._surely(reading), self._context.now_ns)
                )
        else:
            # Said once of what goes on.
            again = self._warned_of == (warned_of := _kinds(done))
            level = logging.INFO if again else logging.WARNING
            self._warned_of = warned_of
            log.log(level, "account %s: not all was read: %s", self._context.name, done)
        return done

    async def _all(self, reading: Reading) -> None:
        living = self._missing.begin()
        parts: list[Coroutine[Any, Any, None]] = []
        for market in self._markets:
            of, alive = market.value, [o for o in living if o.market is market]
            parts.append(reading.part(f"orders of {of}", self._orders, reading, market, alive))
            if not self._one_by_one:
                parts.append(reading.part(f"fills of {of}", self._fills, reading, market))
            if self._answers(GetPositions, market):
                about = self._context, reading, market, self._take
                parts.append(reading.part(f"positions of {of}", read_positions, *about))
        if self._answers(GetWallet):
            whole = self._context, reading, self._take, self._wallet
            parts.append(reading.part("balances", read_balances, *whole))
        if self._answers(GetIncome):
            parts.append(reading.part("income", self._income, reading))
        await asyncio.gather(*parts)
        if self._one_by_one:
            # Of which instruments is told by all that was read before.
            await asyncio.gather(
                *(
                    reading.part(f"fills of {m.value}", self._each, reading, m)
                    for m in self._markets
                )
            )
        await self._begin(reading)

    def _answers(self, kind: type[Request[Any]], market: Market | None = None) -> bool:
        endpoint = self._context.exchange.endpoints.get(kind)
        return endpoint is not None and (market is None or market in endpoint.markets)

    def _surely(self, reading: Reading) -> int:
        """Until when all that happened is surely in a reading's lists."""
        return reading.began_ns - round(self._context.trading.visible_within * NS_PER_SECOND)

    async def _begin(self, reading: Reading) -> None:
        """A new ledger takes all at once what it begins with: what was there before the first fill
        is told before it."""
        gathered, self._gathered = self._gathered, None
        moves, self._moves = self._moves, []
        if gathered is None:
            return
        context, done = self._context, reading.done
        whole = self._surely(reading) if done.whole else None
        placed = await context.taking.take(gathered, backfilled=True, whole_before_ns=whole)
        reading.held_back |= not placed
        if placed:
            for cursor, reached in moves:
                context.note(context.ledger.move_cursor(cursor, reached))
        await reading.part("orders of fills", self._met, reading, gathered)

    async def _take(self, reports: Sequence[Any]) -> bool:
        """The ledger takes these, at the end of the first reading of all; whether all was taken."""
        self._involved.met(reports)
        if self._gathered is not None:
            self._gathered += reports
            return True
        return await self._context.take(reports, backfilled=True)

    def _reached(self, cursor: str, reached: int) -> None:
        """All up to there was taken."""
        if self._gathered is not None:
            self._moves.append((cursor, reached))
        else:
            self._context.note(self._context.ledger.move_cursor(cursor, reached))

    # --- orders ---

    async def _orders(self, reading: Reading, market: Market, alive: Sequence[Order]) -> None:
        """Read the open orders of a market. ``alive``: those that were there as it began."""
        context = self._context
        listed: list[OrderReport] = []
        unread = 0
        failed: CcrsError | None = None
        for settle in context.trading.settles.get(market) or ("",):
            try:
                found, left_out = await reading.counted(GetOpenOrders(market=market, settle=settle))
            except CcrsError as error:
                failed = error  # and the other lists are read
                continue
            listed += found
            unread += left_out
        await context.take(listed, backfilled=True)
        self._involved.met(listed)
        if failed is not None:
            raise failed
        shown = set[tuple[str, str]]()
        for report in listed:
            instrument = self._find(report.market, report.native)
            if instrument is not None:
                shown |= {(instrument.symbol, key) for key in _keys(report)}
        missing = [
            o
            for o in alive
            if _shown_as(o) not in shown and not (o.fired and placed_of(context, o))
        ]
        if missing:
            past = GetOrderHistory not in context.trading.by_symbol
            past = past and self._answers(GetOrderHistory, market)
            await self._missing.explain(reading, market, missing, listed=past)
        check_read(unread)

    async def fills_of(self, order: Order) -> None:
        """Read the fills of one order, of which some are missing.

        :raises CcrsError: where no answer comes.
        """
        context = self._context
        instrument = await context.rules.of_order(order.symbol)
        request = GetFills(
            market=order.market, instrument=instrument, exchange_order_id=order.exchange_order_id
        )
        found = await context.asks.read(request, priority=Priority.RECOVERY)
        await context.take(found, backfilled=True)

    # --- what is read from a cursor on ---

    async def _fills(self, reading: Reading, market: Market) -> None:
        def question(start_ns: int, end_ns: int | None) -> GetFills:
            return GetFills(market=market, start_ns=start_ns, end_ns=end_ns)

        await self._from_cursor(reading, fills_cursor(market), Channel.FILLS, question)

    async def _each(self, reading: Reading, market: Market) -> None:
        """Read the fills of each instrument by itself; one that can't be read keeps nobody from the
        others."""
        all_read = self._context.ledger.cursor(fills_cursor(market))
        failure: CcrsError | None = None
        for one in self._involved.of(market):

            def question(start_ns: int, end_ns: int | None, one: Instrument = one) -> GetFills:
                return GetFills(market=market, instrument=one, start_ns=start_ns, end_ns=end_ns)

            try:
                cursor = fills_cursor(market, one.symbol)
                await self._from_cursor(reading, cursor, Channel.FILLS, question, all_read)
            except CcrsError as error:
                failure = error
        if failure is not None:
            raise failure
        self._reached(fills_cursor(market), reading.began_ns)

    async def _income(self, reading: Reading) -> None:
        def question(start_ns: int, end_ns: int | None) -> GetIncome:
            return GetIncome(start_ns=start_ns, end_ns=end_ns)

        await self._from_cursor(reading, "income", Channel.INCOME, question)

    async def _from_cursor(
        self,
        reading: Reading,
        cursor: str,
        channel: Channel,
        question: Callable[[int, int | None], Request[Any]],
        begun_ns: int | None = None,
    ) -> None:
        """Read what came since a cursor, stretch by stretch: each moves it once it is taken. One
        that begins now may have begun at ``begun_ns``, longer ago than is looked back otherwise."""
        context = self._context
        overlap = round(context.trading.visible_within * NS_PER_SECOND)
        now_ns = reading.began_ns
        at = context.ledger.cursor(cursor)
        known = at is not None
        if at is None:
            at = now_ns - _FIRST_LOOK_NS
            at = at if begun_ns is None else min(at, begun_ns)
        at = min(at, now_ns) - overlap
        kept = self._endpoint_keeps(question(at, None))
        # What is at the end of what is kept may go while it is waited for.
        oldest = context.asks.exchange_ns()
        if kept is not None and at < oldest - kept + LATE_NS:
            if known and at + overlap < oldest - kept:
                self._lost(channel, at + overlap, oldest - kept)
            at = oldest - kept + LATE_NS
        unread, placed = 0, True
        while True:
            end = at + _STRETCH_NS if at + _STRETCH_NS < now_ns else None
            rows, left_out = await reading.counted(question(at, end))
            unread += left_out
            failed = None
            if self._gathered is None and may_be_own(self._context.ledger, self._find, rows):
                try:
                    await self._met(reading, rows)
                except CcrsError as error:
                    failed = error  # fills aren't held back for it
            placed = await self._take(rows) and placed
            if failed is not None:
                raise failed
            if self._gathered is None:
                await self._met(reading, rows)
            reading.held_back |= not placed
            if placed and not unread:
                self._reached(cursor, now_ns if end is None else end)
            if end is None:
                return check_read(unread)
            at = end

    async def _met(self, reading: Reading, rows: Sequence[Any]) -> None:
        """Ask for orders of which fills alone are known."""
        some = strangers(self._context.ledger, self._find, rows)[-SINGLES:]
        await find_orders(self._context, some, priority=reading.priority)

    def _endpoint_keeps(self, request: Request[Any]) -> int | None:
        endpoint = self._context.exchange.endpoints[type(request)]
        return endpoint.retention_of(request)

    # --- what users ask for themselves ---

    async def positions(self, market: Market) -> None:
        """Read a market's positions now.

        :raises CcrsError: where that fails; those that are known are marked as unverified.
        """
        reading = Reading(self._context, Priority.NORMAL)
        await read_positions(self._context, reading, market, self._take)

    async def balances(self) -> None:
        """Read what the account has now.

        :raises CcrsError: where that fails.
        """
        reading = Reading(self._context, Priority.NORMAL)
        await read_balances(self._context, reading, self._take, self._wallet)


def _kinds(done: Reconciliation) -> dict[str, tuple[type[CcrsError], str]]:
    """What couldn't be read, and for which kinds of reasons."""
    return {what: (type(e), getattr(e, "code", "")) for what, e in done.failures.items()}


def _shown_as(order: Order) -> tuple[str, str]:
    """How a list shows an order: by its client's id as long as the exchange's isn't known, since
    what it has placed, and another one once it has ended, may have that too."""
    return order.symbol, order.exchange_order_id or order.client_order_id


def _keys(report: OrderReport) -> set[str]:
    return {report.client_order_id, report.exchange_order_id} - {""}


__all__ = ["Reconciler"]
