"""What has become of orders of which no answer tells: asked for in growing pauses, until there is
proof. Where none can come they are presumed absent, and watched on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import attrs

from ccrs_core.contract.trading_requests import GetFills, GetOrderHistory
from ccrs_core.errors import CcrsError, Unsupported
from ccrs_core.model.orders import Order, OrderState
from ccrs_core.model.reports import OrderReport, Report
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.lookup import look_up
from ccrs_core.trading.missing import LATE_NS
from ccrs_core.trading.order_state import OPEN_QUESTIONS
from ccrs_core.transport.gate import Priority

log = logging.getLogger("ccrs.account")

_FIRST, _LONGEST = 0.4, 30.0
"""Seconds until it is asked for; each time twice as long."""
_MARGIN = 10.0
"""Seconds by which clocks may differ, and a view may lag, beyond what the exchange says."""
_DENIALS = 2
"""Complete reads that have to deny an order after the bound."""
_WATCH, _LONGEST_WATCH = 60.0, 3600.0
"""Seconds between looks at one that is presumed absent."""
_WATCHED = 86_400.0
"""Seconds for which it is watched where the exchange doesn't say how long it keeps orders."""
_DEBT = 5.0
"""Seconds in which a stream tells of what the exchange has taken."""
_HEARD = 4096
"""Orders of which it is remembered when the stream told of them last."""
_FEW = 8
"""More orders are asked for at first, and then when a denial counts: streams and lists tell of
those that are there."""
_MANY = 100
"""More orders are asked for within a tenth of the budgets, and only a few at a time, so that others
and the lists, which wait for the same tenth, have their turn."""


@attrs.frozen(kw_only=True)
class Bounds:
    """When an order that is denied counts as absent, in seconds after it may have left."""

    proved: float | None
    """By the exchange's own word; None: it gives none."""
    presumed: float | None
    """Where there is no proof; None: never."""


class Outcomes:
    """Finds out what has become of an account's orders, and whether its stream owes an event.

    :param bounds: when a denied order counts as absent.
    :param indebted: called with why, where a stream has not told of what the exchange shows.
    """

    def __init__(
        self, context: AccountContext, bounds: Bounds, indebted: Callable[[str], None]
    ) -> None:
        self._context = context
        self._bounds = bounds
        self._indebted = indebted
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wanted = 0
        """How many are looked for, beside those that are watched."""
        self._turns = asyncio.Semaphore(_FEW)
        self._heard: OrderedDict[str, float] = OrderedDict()
        self._debts: deque[tuple[float, str, float]] = deque()
        """When each is due, whose it is, and since when."""
        self._collecting = False
        self._forgiven = 0
        """How often all debts were."""

    # --- unknown outcomes ---

    @property
    def open(self) -> frozenset[str]:
        """Those that are being looked for, by client order id."""
        return frozenset(self._tasks)

    def find_out(self, client_order_id: str) -> None:
        """Look for an order until it is known what has become of it."""
        self._go(client_order_id, self._find_out)

    def watch(self, client_order_id: str) -> None:
        """Look on at an order that was presumed absent before the account was opened."""
        self._go(client_order_id, self._watch)

    def _go(self, identity: str, work: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        if identity not in self._tasks:
            task = self._tasks[identity] = self._context.spawn(work(identity))
            task.add_done_callback(lambda _: self._tasks.pop(identity, None))

    def _unknown(self, identity: str) -> Order | None:
        """The order, as long as nothing is known of it."""
        order = self._context.ledger.order(identity)
        return order if order is not None and order.state in OPEN_QUESTIONS else None

    async def _find_out(self, identity: str) -> None:
        self._wanted += 1
        try:
            await self._look_for(identity)
        finally:
            self._wanted -= 1
        presumed = self._context.ledger.order(identity)
        if presumed is not None and presumed.state is OrderState.PRESUMED_ABSENT:
            await self._watch(identity)

    async def _look_for(self, identity: str) -> None:
        context, pause, denials = self._context, _FIRST, 0
        left_at = context.clock.monotonic()
        while True:
            await asyncio.sleep(pause)
            order = self._unknown(identity)
            if order is None:
                break
            async with self._turns if self._wanted > _MANY else contextlib.nullcontext():
                asked_at = context.clock.monotonic()
                denied = await self._denied(order)
            if self._unknown(identity) is None:
                break
            pause = min(2 * pause, _LONGEST)
            bound, proved = self._bound()
            if bound is None:
                continue
            due = left_at + bound
            if asked_at < due:
                # It is asked for as soon as a denial counts.
                left = max(due - context.clock.monotonic(), _FIRST)
                pause = min(_LONGEST if self._wanted > _FEW else pause, left)
            elif denied:
                denials += 1
                if denials >= _DENIALS:
                    self._gone(identity, proved)
                    break
                pause = _MARGIN

    def _bound(self) -> tuple[float | None, bool]:
        if self._bounds.proved is not None:
            return self._bounds.proved + _MARGIN, True
        presumed = self._bounds.presumed
        if presumed is None:
            return None, False
        return self._context.trading.receive_window + _MARGIN + presumed, False

    def _gone(self, identity: str, proved: bool) -> None:
        context = self._context
        text = "the exchange denies it among its orders, their history and fills"
        if proved:
            context.note(context.ledger.absent(identity, text, context.now_ns))
        else:
            log.warning("order %s is presumed absent: %s", identity, text)
            context.note(context.ledger.presumed_absent(identity, text, context.now_ns))

    async def _denied(self, order: Order) -> bool:
        """Whether orders, history and fills were all read, and deny an order. An error proves
        nothing."""
        context = self._context
        priority = Priority.BACKGROUND if self._wanted > _MANY else None
        try:
            if await look_up(context, order, priority=priority):
                return False
            instrument = await context.rules.of_order(order.symbol)
            question = GetFills(market=instrument.market, instrument=instrument)
            since = self._since(order)
            kept = context.exchange.endpoints[GetFills].retention_of(question)
            if kept is not None:
                since = max(since, context.asks.exchange_ns() - kept + LATE_NS)
            question = attrs.evolve(question, start_ns=since)
            fills = await context.asks.read(question, priority=priority)
        except CcrsError:
            return False
        # What may be a fill of it is no denial.
        whole = await context.take(fills, backfilled=True)
        return whole and self._unknown(order.client_order_id) is not None

    def _since(self, order: Order) -> int:
        """From when on there may be fills of it."""
        times = [
            *(order.times.planned_ns, order.times.sent_ns, order.created_ns, order.updated_ns),
            order.verified_ns,
        ]
        known = [t for t in times if t is not None]
        # A local clock that is ahead must not hide them.
        since = min([*known, self._context.asks.exchange_ns()])
        return since - round(self._context.trading.visible_within * NS_PER_SECOND)

    async def _watch(self, identity: str) -> None:
        """Look at an order that is presumed absent, as long as the exchange would tell of it: a
        trace of it reopens it."""
        context, pause = self._context, _WATCH
        until = context.clock.monotonic() + self._kept(identity)
        while context.clock.monotonic() < until:
            await asyncio.sleep(pause)
            order = context.ledger.order(identity)
            if order is None or order.state is not OrderState.PRESUMED_ABSENT:
                return
            try:
                await look_up(context, order, priority=Priority.BACKGROUND)
            except CcrsError:
                continue
            pause = min(2 * pause, _LONGEST_WATCH)

    def _kept(self, identity: str) -> float:
        """For how long (s) the exchange tells of an order that has ended."""
        endpoint = self._context.exchange.endpoints.get(GetOrderHistory)
        order = self._context.ledger.order(identity)
        if endpoint is None or order is None:
            return _WATCHED
        try:
            kept = endpoint.retention_of(GetOrderHistory(market=order.market))
        except Unsupported:
            kept = None
        seconds = _WATCHED if kept is None else kept / NS_PER_SECOND
        planned_ns = order.times.planned_ns
        if planned_ns is None:
            return seconds
        return seconds - max((self._context.now_ns - planned_ns) / NS_PER_SECOND, 0.0)

    # --- what streams owe ---

    def heard(self, reports: Sequence[Report]) -> None:
        """A stream has brought these."""
        now = self._context.clock.monotonic()
        for each in reports:
            if isinstance(each, OrderReport):
                for key in (each.client_order_id, each.exchange_order_id):
                    if key:
                        self._heard[key] = now
                        self._heard.move_to_end(key)
        while len(self._heard) > _HEARD:
            self._heard.popitem(last=False)

    def owes(self, key: str, since: float) -> None:
        """A stream has to tell of an order: of what left at a time (monotonic seconds)."""
        if self._told(key, since):
            return
        self._debts.append((self._context.clock.monotonic() + _DEBT, key, since))
        if not self._collecting:
            self._collecting = True
            self._context.spawn(self._collect())

    def forgive(self) -> None:
        """The streams have begun anew, and the lists are read: nothing is owed of before."""
        self._forgiven += 1
        self._debts.clear()

    def _told(self, key: str, since: float) -> bool:
        heard = self._heard
        if heard.get(key, -1.0) >= since:
            return True
        order = self._context.ledger.order(key)
        return order is not None and heard.get(order.exchange_order_id, -1.0) >= since

    async def _collect(self) -> None:
        try:
            while self._debts:
                due, key, since = debt = self._debts[0]
                await asyncio.sleep(max(due - self._context.clock.monotonic(), 0.0))
                if self._debts and self._debts[0] is debt:  # it wasn't forgiven meanwhile
                    self._debts.popleft()
                    await self._claim(key, since)
        finally:
            self._collecting = False

    async def _claim(self, key: str, since: float) -> None:
        """A stream was to have told of an order by now."""
        order = self._context.ledger.order(key)
        if order is None or self._told(key, since):
            return
        forgiven = self._forgiven
        try:
            shown = await look_up(self._context, order)
        except CcrsError:
            return
        if shown and forgiven == self._forgiven and not self._told(key, since):
            self._debts.clear()  # of one stream, which is replaced
            self._indebted(f"the stream of orders has not told of {order}")
