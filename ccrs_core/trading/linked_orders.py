"""Orders that go together: one in the stead of another, and two of which one ends the other."""

from __future__ import annotations

from typing import Any

import attrs

from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading_requests import PlaceEither, ReplaceOrder
from ccrs_core.errors import CcrsError, OrderEnded, Unsupported, UsageError
from ccrs_core.model.order_requests import OrderRequest
from ccrs_core.model.orders import Order
from ccrs_core.trading.account_orders import AccountOrders, Which, check_request
from ccrs_core.trading.amending import WhenFull
from ccrs_core.trading.asks import Via
from ccrs_core.trading.intents import How
from ccrs_core.trading.live_order import LiveOrder

_PROOF = 30.0
"""Seconds that a replacement waits for its order's end."""


class LinkedOrders(AccountOrders):
    """An account's orders that go together with others."""

    async def replace(
        self,
        which: Which,
        request: OrderRequest,
        *,
        via: Via | None = None,
        send_within: float | None = None,
    ) -> LiveOrder:
        """Cancel an order, and place another one once it is proved to have ended. ``size`` is the
        whole, as in an amendment: what was filled of the old order is taken off, so that both
        together never come to more. It is no amendment: the place in the queue is lost, and for a
        moment nothing is in the book. Where the exchange does both by one request, and only while
        nothing is filled, that is how it is asked first, unless ``request`` has an id of its own.

        :raises OrderEnded: where nothing was left to place, as so much was filled.
        :raises CcrsError: what :meth:`cancel` or :meth:`place` raise; where the cancel isn't
            proved, nothing is placed.
        :raises TimeoutError: where that takes longer than half a minute; nothing is placed.
        """
        self._parts.check_follows("places nothing")
        check_request(request)
        at_once = await self._replaced_at_once(
            self._order(which), request, self._how(via, send_within)
        )
        if at_once is not None:
            return LiveOrder(self, at_once)
        await self.cancel(which, via=via, send_within=send_within)
        ended = await LiveOrder(self, self._order(which)).ended(timeout=_PROOF)
        if request.size is not None:
            left = request.size - ended.filled_size
            if left <= 0:
                raise OrderEnded(f"nothing is left to place: {ended}", ended)
            request = attrs.evolve(request, size=left)
        return await self.place(request, via=via, send_within=send_within)

    async def _replaced_at_once(
        self, order: Order, request: OrderRequest, how: How
    ) -> Order | None:
        """By one request, where the exchange has one for such orders and takes it."""
        parts = self._parts
        endpoint = parts.context.exchange.endpoints.get(ReplaceOrder)
        plain = request.take_profit is None and request.stop_loss is None
        if request.client_order_id:
            return None  # where it isn't taken the id has been used, and there is a second step
        fresh = not (order.state.final or order.fired or order.filled_size)
        if endpoint is None or order.market not in endpoint.markets or not (plain and fresh):
            return None
        if request.symbol != order.symbol or not order.exchange_order_id:
            return None
        instrument = await parts.context.rules.of_order(order.symbol)
        with parts.canceling.alone(order) as cancel:
            if cancel is None:
                return None
            return await parts.entry.replace(cancel(instrument), request, how)

    async def place_either(
        self,
        first: OrderRequest,
        second: OrderRequest,
        *,
        via: Via | None = None,
        send_within: float | None = None,
        when_full: WhenFull = "wait",
    ) -> list[LiveOrder | CcrsError]:
        """Place two orders of which one ends the other (OCO): a limit order and one that waits for
        a trigger, say. The exchange takes both, or neither; of each, in their order, what
        :meth:`place` returns or raises. To cancel one of them cancels both.

        :raises Unsupported: where the exchange has no such pairs; nothing was sent.
        :raises UsageError: where either can't be, or they aren't of one symbol; nothing was sent.
        """
        how = self._how(via, send_within, when_full)
        self._parts.check_follows("places nothing")
        for each in (first, second):
            check_request(each)
        if first.symbol != second.symbol:
            raise UsageError(f"{first.symbol} and {second.symbol} are two: a pair is of one symbol")
        await self._offered(PlaceEither, first.symbol, "pairs of which one ends the other")
        done = await self._parts.entry.place_either([first, second], how)
        return [LiveOrder(self, each) if isinstance(each, Order) else each for each in done]

    async def _offered(self, kind: type[Request[Any]], symbol: str, what: str) -> None:
        """:raises Unsupported: where the exchange hasn't a request of a kind for a symbol."""
        context = self._parts.context
        instrument = await context.rules.of_order(symbol)
        endpoint = context.exchange.endpoints.get(kind)
        if endpoint is None or instrument.market not in endpoint.markets:
            raise Unsupported(f"{context.exchange.name} has no {what} of {instrument.market.value}")
