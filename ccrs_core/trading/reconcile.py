"""The exchange's lists against the ledger: what streams may have missed is read from stored cursors
on, with an overlap, within a tenth of the budget. An error proves nothing, and moves no cursor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import attrs

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
from ccrs_core.errors import CcrsError, DecodeError, EndReason, InvalidRequest, OrderNotFound
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.order_requests import PositionSide
from ccrs_core.model.orders import Order, OrderState
from ccrs_core.model.reports import OrderReport, Report
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.involved import Involved, fills_cursor
from ccrs_core.trading.lookup import find_orders, look_up, placed_of
from ccrs_core.trading.strangers import may_be_own, strangers

log = logging.getLogger("ccrs.account")

_FIRST_LOOK_NS = 7 * 86_400 * NS_PER_SECOND
"""How far back a new ledger begins."""
_STRETCH_NS = 7 * 86_400 * NS_PER_SECOND
"""How long a stretch is that is read, and its cursor moved, at once."""
_SINGLES = 20
"""Orders that are asked for one by one in a pass; the others are for the next one."""
_BY_LIST = 5
"""Of more missing orders their history is read first."""
_LATE_NS = 60 * NS_PER_SECOND
"""By how much what is at the end of what is kept may have gone meanwhile."""
_GONE_AFTER = 3
"""Whole readings in a row that have to deny an order which was open."""
_GONE_WITHIN = 120.0
"""Seconds that lie between the first and the last of them, at least: lists lag."""
_LIVING = frozenset({OrderState.ACCEPTED, OrderState.WAITING, OrderState.OPEN})

Lost = Callable[[Channel, int, int], None]
"""Told of a channel, and from when to when (nanoseconds UTC), the exchange tells nothing any
more."""


@attrs.define(eq=False)
class Reconciliation:
    """One reading of all lists, and what came of it."""

    failures: dict[str, CcrsError] = attrs.field(factory=dict)
    """By what couldn't be read."""

    @property
    def whole(self) -> bool:
        """Whether everything was read."""
        return not self.failures

    def __str__(self) -> str:
        if self.whole:
            return "all was read"
        alike: dict[str, list[str]] = {}
        for what, error in self.failures.items():
            alike.setdefault(str(error), []).append(what)
        return "; ".join(f"{', '.join(what)}: {error}" for error, what in alike.items())


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
        self._one_by_one = GetFills in context.trading.by_symbol
        self._markets = [m for m in Market if m in set(markets)]
        self._find = find
        self._gathered: list[Report] | None = None
        """What the first reading of all has brought so far; None in any other."""
        self._moves: list[tuple[str, int]] = []
        self._denied_now: set[str] = set()
        """Orders that should be open, and that this reading found nowhere."""
        self._passed_over: set[str] = set()
        """Orders that should be open, and that this reading had no turn to ask for."""
        self._asked_for: dict[str, float] = {}
        """When those that no list explains were asked for last (monotonic seconds)."""
        self._denials: dict[str, tuple[int, float]] = {}
        """In how many whole readings in a row that was so, and since when (monotonic seconds)."""
        self._warned_of: dict[str, tuple[type[CcrsError], str]] = {}
        """What couldn't be read the last time, and why."""
        self._lost = lost
        self._wallet = wallet
        self._background = False
        """Whether a reading comes after all else, within a tenth of the budgets: all but the first
        one, for which whoever opens the account waits."""

    async def read(self) -> Reconciliation:
        """Read all lists once."""
        done = Reconciliation()
        self._denied_now.clear()
        self._passed_over.clear()
        ledger = self._context.ledger
        self._asked_for = {
            key: at
            for key, at in self._asked_for.items()
            if (order := ledger.order(key)) is not None
            and (order.state in _LIVING or ledger.contradicted(key))
        }
        parts: list[Coroutine[Any, Any, None]] = []
        for market in self._markets:
            parts.append(self._part(done, f"orders of {market.value}", self._orders(market)))
            if not self._one_by_one:
                parts.append(self._part(done, f"fills of {market.value}", self._fills(market)))
            if self._answers(GetPositions, market):
                what = f"positions of {market.value}"
                parts.append(self._part(done, what, self.positions(market)))
        if self._answers(GetWallet):
            parts.append(self._part(done, "balances", self.balances()))
        if self._answers(GetIncome):
            parts.append(self._part(done, "income", self._income()))
        started_ns = self._context.asks.exchange_ns()
        new = not any(self._context.ledger.cursor(fills_cursor(m)) for m in self._markets)
        self._gathered = [] if new else None
        await asyncio.gather(*parts)
        if self._one_by_one:
            # Of which instruments is told by all that was read before.
            await asyncio.gather(
                *(self._part(done, f"fills of {m.value}", self._each(m)) for m in self._markets)
            )
        self._background = True
        await self._begin(done, started_ns)
        self._context.taking.retry()
        if done.whole:
            self._warned_of = {}
            self._gone()
            self._judge(started_ns)
        else:
            # Said once of what goes on.
            again = self._warned_of == (warned_of := _kinds(done))
            level = logging.INFO if again else logging.WARNING
            self._warned_of = warned_of
            log.log(level, "account %s: not all was read: %s", self._context.name, done)
        return done

    @staticmethod
    async def _part(done: Reconciliation, what: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except CcrsError as error:
            done.failures[what] = error

    def _answers(self, kind: type[Request[Any]], market: Market | None = None) -> bool:
        endpoint = self._context.exchange.endpoints.get(kind)
        return endpoint is not None and (market is None or market in endpoint.markets)

    def _groups(self, market: Market) -> Sequence[str]:
        """What lists of a market are asked for by: settlement assets, or the market whole."""
        return self._context.trading.settles.get(market) or ("",)

    def _gone(self) -> None:
        """Orders that the exchange denies in each of several whole readings, fills included, have
        ended, long ago or by other means, and left nothing: they were canceled."""
        context = self._context
        now = context.clock.monotonic()
        long = max(_GONE_WITHIN, context.trading.visible_within)
        denials = {k: told for k, told in self._denials.items() if k in self._passed_over}
        for key in self._denied_now:
            count, since = self._denials.get(key, (0, now))
            denials[key] = count + 1, since
        for key, (count, since) in list(denials.items()):
            order = context.ledger.order(key)
            if order is not None and context.ledger.contradicted(key):
                if count >= _GONE_AFTER and now >= since + long:
                    context.note(context.ledger.denied(key, context.now_ns))
            elif order is None or order.state not in _LIVING:
                del denials[key]
            elif count >= _GONE_AFTER and now >= since + long and order.fills_complete:
                text = "gone without fills: the exchange shows it nowhere any more"
                end, reason = OrderState.CANCELED, EndReason.OTHER
                if order.fired:
                    text = "its trigger has fired: the exchange shows nothing open of it any more"
                    end, reason = OrderState.EXPIRED, EndReason.TRIGGER
                change = context.ledger.settled(key, end, text, context.now_ns, reason)
                context.note(change)
                del denials[key]
        self._denials = denials

    def _judge(self, started_ns: int) -> None:
        """Everything was read: what isn't explained of positions and balances is told."""
        context = self._context
        before = started_ns - round(context.trading.visible_within * NS_PER_SECOND)
        context.note(context.ledger.judge(before, context.now_ns))

    async def _begin(self, done: Reconciliation, started_ns: int) -> None:
        """A new ledger takes all at once what it begins with: what was there before the first fill
        is told before it."""
        gathered, self._gathered = self._gathered, None
        moves, self._moves = self._moves, []
        if gathered is None:
            return
        context = self._context
        before = started_ns - round(context.trading.visible_within * NS_PER_SECOND)
        whole = before if done.whole else None
        placed = await context.taking.take(gathered, backfilled=True, whole_before_ns=whole)
        if placed:
            for cursor, reached in moves:
                context.note(context.ledger.move_cursor(cursor, reached))
        try:
            await self._met(gathered)
        except CcrsError as error:
            done.failures["orders of fills"] = error

    async def _take(self, reports: Sequence[Report]) -> bool:
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

    async def _orders(self, market: Market) -> None:
        context = self._context
        asked_ns = context.now_ns
        living = context.ledger.orders(states=_LIVING) + context.ledger.alive()
        before = [o for o in living if o.market is market]
        listed: list[OrderReport] = []
        unread = 0
        failed: CcrsError | None = None
        for settle in self._groups(market):
            request = GetOpenOrders(market=market, settle=settle)
            try:
                found, left_out = await context.asks.counted(request, background=self._background)
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
            o for o in before if not shown & _ids(o) and not (o.fired and placed_of(context, o))
        ]
        if missing:
            await self._explain(market, missing, asked_ns)
        _check_read(unread)

    async def _explain(self, market: Market, missing: Sequence[Order], asked_ns: int) -> None:
        """What isn't among the open ones has ended, or lags: absence proves neither.

        :raises CcrsError: where no answer comes; one that can't be read keeps nobody from the
            others.
        """
        context = self._context
        strange: CcrsError | None = None
        listed = GetOrderHistory not in context.trading.by_symbol
        if len(missing) > _BY_LIST and listed and self._answers(GetOrderHistory, market):
            since = min((o.created_ns or o.updated_ns or asked_ns for o in missing), default=0)
            request = GetOrderHistory(market=market, start_ns=self._kept(GetOrderHistory, since))
            try:
                past = await context.asks.read(request, background=self._background)
                await context.take(past, backfilled=True)
            except DecodeError as error:
                strange = error
        left = [
            o
            for o in map(self._newest, missing)
            if o.state in _LIVING or context.ledger.contradicted(context.key(o))
        ]
        keys = {context.key(o): o for o in left}
        in_turn = sorted(keys, key=lambda key: self._asked_for.get(key, 0.0))
        self._passed_over.update(in_turn[_SINGLES:])
        for key in in_turn[:_SINGLES]:
            self._asked_for[key] = context.clock.monotonic()
            try:
                shown = await look_up(context, keys[key], background=self._background)
            except (InvalidRequest, OrderNotFound, DecodeError) as error:
                log.warning("order %s can't be looked up: %s", key, error)
                strange = error
                continue
            now = self._newest(keys[key])
            if not shown or (now.fired and not placed_of(context, now)):
                self._denied_now.add(key)
        if strange is not None:
            raise strange

    def _newest(self, order: Order) -> Order:
        return self._context.ledger.order(self._context.key(order)) or order

    def _kept(self, kind: type[Request[Any]], since_ns: int) -> int:
        """A time, or the oldest of which the exchange tells of where that is later."""
        endpoint = self._context.exchange.endpoints[kind]
        kept = endpoint.retention if isinstance(endpoint.retention, int) else None
        if kept is None:
            return since_ns
        return max(since_ns, self._context.asks.exchange_ns() - kept + _LATE_NS)

    async def fills_of(self, order: Order) -> None:
        """Read the fills of one order, of which some are missing.

        :raises CcrsError: where no answer comes.
        """
        context = self._context
        instrument = await context.rules.of_order(order.symbol)
        request = GetFills(
            market=order.market, instrument=instrument, exchange_order_id=order.exchange_order_id
        )
        found = await context.asks.read(request, background=self._background)
        await context.take(found, backfilled=True)

    # --- what is read from a cursor on ---

    async def _fills(self, market: Market) -> None:
        def question(start_ns: int, end_ns: int | None) -> GetFills:
            return GetFills(market=market, start_ns=start_ns, end_ns=end_ns)

        await self._from_cursor(fills_cursor(market), Channel.FILLS, question)

    async def _each(self, market: Market) -> None:
        """Read the fills of each instrument by itself; one that can't be read keeps nobody from the
        others."""
        now_ns = self._context.asks.exchange_ns()
        all_read = self._context.ledger.cursor(fills_cursor(market))
        failure: CcrsError | None = None
        for one in self._involved.of(market):

            def question(start_ns: int, end_ns: int | None, one: Instrument = one) -> GetFills:
                return GetFills(market=market, instrument=one, start_ns=start_ns, end_ns=end_ns)

            try:
                cursor = fills_cursor(market, one.symbol)
                await self._from_cursor(cursor, Channel.FILLS, question, all_read)
            except CcrsError as error:
                failure = error
        if failure is not None:
            raise failure
        self._reached(fills_cursor(market), now_ns)

    async def _income(self) -> None:
        def question(start_ns: int, end_ns: int | None) -> GetIncome:
            return GetIncome(start_ns=start_ns, end_ns=end_ns)

        await self._from_cursor("income", Channel.INCOME, question)

    async def _from_cursor(
        self,
        cursor: str,
        channel: Channel,
        question: Callable[[int, int | None], Request[Any]],
        begun_ns: int | None = None,
    ) -> None:
        """Read what came since a cursor, stretch by stretch: each moves it once it is taken. One
        that begins now may have begun at ``begun_ns``, longer ago than is looked back otherwise."""
        context = self._context
        overlap = round(context.trading.visible_within * NS_PER_SECOND)
        now_ns = context.asks.exchange_ns()
        at = context.ledger.cursor(cursor)
        known = at is not None
        if at is None:
            at = now_ns - _FIRST_LOOK_NS
            at = at if begun_ns is None else min(at, begun_ns)
        at = min(at, now_ns) - overlap
        kept = self._endpoint_keeps(question(at, None))
        if kept is not None and at < now_ns - kept + _LATE_NS:
            if known and at + overlap < now_ns - kept:
                self._lost(channel, at + overlap, now_ns - kept)
            at = now_ns - kept + _LATE_NS
        unread, placed = 0, True
        while True:
            end = at + _STRETCH_NS if at + _STRETCH_NS < now_ns else None
            asked = question(at, end)
            rows, left_out = await context.asks.counted(asked, background=self._background)
            unread += left_out
            failed = None
            if self._gathered is None and may_be_own(self._context.ledger, self._find, rows):
                try:
                    await self._met(rows)
                except CcrsError as error:
                    failed = error  # fills aren't held back for it
            placed = await self._take(rows) and placed
            if failed is not None:
                raise failed
            if self._gathered is None:
                await self._met(rows)
            if placed and not unread:
                self._reached(cursor, now_ns if end is None else end)
            if end is None:
                return _check_read(unread)
            at = end

    async def _met(self, rows: Sequence[Any]) -> None:
        """Ask for orders of which fills alone are known."""
        some = strangers(self._context.ledger, self._find, rows)[-_SINGLES:]
        await find_orders(self._context, some, background=self._background)

    def _endpoint_keeps(self, request: Request[Any]) -> int | None:
        endpoint = self._context.exchange.endpoints[type(request)]
        return endpoint.retention_of(request)

    # --- positions and money ---

    async def positions(self, market: Market) -> None:
        """Read a market's positions.

        :raises CcrsError: where that fails; those that are known are marked as unverified.
        """
        failed: CcrsError | None = None
        for settle in self._groups(market):
            try:
                await self._positions_of(market, settle)
            except CcrsError as error:
                failed = error  # and the others are read
        if failed is not None:
            raise failed

    async def _positions_of(self, market: Market, settle: str) -> None:
        context, ledger = self._context, self._context.ledger
        at_ns = context.asks.exchange_ns()
        request = GetPositions(market=market, settle=settle)
        try:
            found, unread = await context.asks.counted(request, background=self._background)
        except CcrsError:
            context.note(ledger.unverified(market, context.now_ns, settle=settle))
            raise
        if found:
            await context.instruments.market(market)
        await self._take(found)
        listed = set[tuple[str, PositionSide]]()
        for report in found:
            instrument = self._find(report.market, report.native)
            if instrument is not None:
                listed.add((instrument.symbol, report.side))
        if unread:
            context.note(ledger.unverified(market, context.now_ns, settle=settle))
            _check_read(unread)
        if any(self._find(each.market, each.native) is None for each in found):
            # One that isn't listed any more is none of those that are.
            known = {each.symbol for each in context.instruments.known()}
            held = [each for each in ledger.positions() if each.symbol not in known]
            listed |= {(each.symbol, each.side) for each in held}
        context.note(ledger.flat(market, listed, at_ns, context.now_ns, settle=settle))

    async def balances(self) -> None:
        """Read what the account has.

        :raises CcrsError: where that fails.
        """
        context = self._context
        at_ns = context.asks.exchange_ns()
        request = GetWallet(context.name)
        wallet, unread = await context.asks.counted(request, background=self._background)
        self._wallet(wallet)
        await self._take(wallet.balances)
        _check_read(unread)
        listed = {each.name for each in wallet.balances}
        told_ns = at_ns if wallet.exchange_time_ns is None else wallet.exchange_time_ns
        context.note(context.ledger.nothing_else(listed, told_ns, context.now_ns))


def _kinds(done: Reconciliation) -> dict[str, tuple[type[CcrsError], str]]:
    """What couldn't be read, and for which kinds of reasons."""
    return {what: (type(e), getattr(e, "code", "")) for what, e in done.failures.items()}


def _check_read(left_out: int) -> None:
    """:raises DecodeError: where rows couldn't be read: what isn't in the list may be one of
    them."""
    if left_out:
        raise DecodeError(f"rows that can't be read: {left_out}")


def _ids(order: Order) -> set[tuple[str, str]]:
    """By which a list shows an order. (What it has placed may have its client's id.)"""
    ids = {order.exchange_order_id} if order.fired else {order.client_order_id}
    return {(order.symbol, each) for each in ids | {order.exchange_order_id}}


def _keys(report: OrderReport) -> set[str]:
    return {report.client_order_id, report.exchange_order_id} - {""}


__all__ = ["Reconciler", "Reconciliation"]
