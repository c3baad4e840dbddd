"""Orders that should be open and that no list of open ones shows: each is asked for, and what the
exchange denies again and again has ended. Absence, and an error, prove nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ccrs_core.contract.trading_requests import GetOrderHistory
from ccrs_core.errors import CcrsError, DecodeError, EndReason, InvalidRequest, OrderNotFound
from ccrs_core.model.instruments import Market
from ccrs_core.model.orders import Order, OrderState
from ccrs_core.trading.context import AccountContext
from ccrs_core.trading.lookup import look_up, placed_of
from ccrs_core.trading.reading import Reading

log = logging.getLogger("ccrs.account")

LIVING = frozenset({OrderState.ACCEPTED, OrderState.WAITING, OrderState.OPEN})
"""States of orders that a list of open ones should show."""
SINGLES = 20
"""Orders that are asked for one by one in a reading; the others are for the next one."""
LATE_NS = 60 * 10**9
"""By how much what is at the end of what is kept may have gone meanwhile."""
_BY_LIST = 5
"""Of more missing orders their history is read first."""
_GONE_AFTER = 3
"""Whole readings in a row that have to deny an order which was open."""
_GONE_WITHIN = 120.0
"""Seconds that lie between the first and the last of them, at least: lists lag."""


class MissingOrders:
    """Those of one account."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._denied_now: set[str] = set()
        """Orders that should be open, and that this reading found nowhere."""
        self._passed_over: set[str] = set()
        """Orders that should be open, and that this reading had no turn to ask for."""
        self._asked_for: dict[str, float] = {}
        """When those that no list explains were asked for last (monotonic seconds)."""
        self._denials: dict[str, tuple[int, float]] = {}
        """In how many whole readings in a row that was so, and since when (monotonic seconds)."""

    def begin(self) -> list[Order]:
        """A reading begins: the orders that its lists have to show."""
        self._denied_now.clear()
        self._passed_over.clear()
        ledger = self._context.ledger
        self._asked_for = {
            key: at
            for key, at in self._asked_for.items()
            if (order := ledger.order(key)) is not None
            and (order.state in LIVING or ledger.contradicted(key))
        }
        return [*ledger.orders(states=LIVING), *ledger.alive()]

    async def explain(
        self, reading: Reading, market: Market, missing: Sequence[Order], *, listed: bool
    ) -> None:
        """Ask for those of a market that weren't among the open ones: they have ended, or the list
        lags. ``listed``: their history can be read as a list.

        :raises CcrsError: where no answer comes; one that can't be read keeps nobody from the
            others.
        """
        context = self._context
        strange: CcrsError | None = None
        if len(missing) > _BY_LIST and listed:
            try:
                await self._by_list(reading, market, missing)
            except DecodeError as error:
                strange = error
        left = [
            o
            for o in map(self._newest, missing)
            if o.state in LIVING or context.ledger.contradicted(context.key(o))
        ]
        keys = {context.key(o): o for o in left}
        in_turn = sorted(keys, key=lambda key: self._asked_for.get(key, 0.0))
        self._passed_over.update(in_turn[SINGLES:])
        for key in in_turn[:SINGLES]:
            self._asked_for[key] = context.clock.monotonic()
            try:
                shown = await look_up(context, keys[key], priority=reading.priority)
            except (InvalidRequest, OrderNotFound, DecodeError) as error:
                log.warning("order %s can't be looked up: %s", key, error)
                strange = error
                continue
            now = self._newest(keys[key])
            if not shown or (now.fired and not placed_of(context, now)):
                self._denied_now.add(key)
        if strange is not None:
            raise strange

    async def _by_list(self, reading: Reading, market: Market, missing: Sequence[Order]) -> None:
        context = self._context
        since = min(o.created_ns or o.updated_ns or reading.began_ns for o in missing)
        kept = context.exchange.endpoints[GetOrderHistory].retention
        if isinstance(kept, int):
            since = max(since, context.asks.exchange_ns() - kept + LATE_NS)
        past = await reading.read(GetOrderHistory(market=market, start_ns=since))
        await context.take(past, backfilled=True)

    def _newest(self, order: Order) -> Order:
        return self._context.ledger.order(self._context.key(order)) or order

    def settle(self) -> None:
        """A reading was whole: orders that the exchange denies in each of several of those, fills
        included, have ended, long ago or by other means, and left nothing: they were canceled."""
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
            elif order is None or order.state not in LIVING:
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


__all__ = ["LATE_NS", "LIVING", "SINGLES", "MissingOrders"]
