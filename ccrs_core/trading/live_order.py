"""An order that one has placed, as it is now, and waits for what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ccrs_core.errors import OrderEnded
from ccrs_core.model.orders import Order, OrderState

if TYPE_CHECKING:
    from decimal import Decimal

    from ccrs_core.errors import EndReason
    from ccrs_core.model.instruments import Side
    from ccrs_core.model.orders import Times


class Orders(Protocol):
    """What a live order asks of its account."""

    def newest(self, order: Order) -> Order:
        """What an order is now."""

    def key_of(self, order: Order) -> str:
        """The id by which it is known from its intent to its end."""

    def hold(self, order: Order) -> object:
        """What keeps an order in memory as long as somebody has it."""

    async def changed(self, key: str) -> None:
        """Wait until an order has changed.

        :raises CcrsError: where nothing is learned of it any more.
        """


class LiveOrder:
    """An order of an account, always as new as the ledger: :attr:`now`, and its fields directly."""

    def __init__(self, orders: Orders, order: Order) -> None:
        self._orders = orders
        self._order = order
        self._held = orders.hold(order)

    @property
    def now(self) -> Order:
        """The order as it is known now."""
        self._order = self._orders.newest(self._order)
        return self._order

    @property
    def id(self) -> str:
        """The id by which the account knows it: the client's of an own order, the exchange's of
        others."""
        return self._orders.key_of(self._order)

    @property
    def client_order_id(self) -> str:
        """The client's id."""
        return self._order.client_order_id

    @property
    def exchange_order_id(self) -> str:
        """The exchange's id; empty until it has said it."""
        return self.now.exchange_order_id

    @property
    def symbol(self) -> str:
        """The instrument's unified symbol."""
        return self._order.symbol

    @property
    def side(self) -> Side:
        """Buy or sell."""
        return self._order.side

    @property
    def state(self) -> OrderState:
        """How far it has come."""
        return self.now.state

    @property
    def reason(self) -> EndReason | None:
        """Why it ended, where it wasn't filled."""
        return self.now.reason

    @property
    def price(self) -> Decimal | None:
        """The exchange's, once it has said it."""
        return self.now.price

    @property
    def size(self) -> Decimal | None:
        """The exchange's, once it has said it."""
        return self.now.size

    @property
    def filled_size(self) -> Decimal:
        """In size units; never falls."""
        return self.now.filled_size

    @property
    def remaining(self) -> Decimal | None:
        """What may still be filled."""
        return self.now.remaining

    @property
    def average_price(self) -> Decimal | None:
        """Of what was filled."""
        return self.now.average_price

    @property
    def fills_complete(self) -> bool:
        """Whether the fills in the ledger add up to ``filled_size``."""
        return self.now.fills_complete

    @property
    def times(self) -> Times:
        """Of the request that placed it."""
        return self.now.times

    async def acknowledged(self, timeout: float | None = None) -> Order:
        """Wait until the exchange is known to have it.

        :raises OrderEnded: where it ended without: it was refused, or never sent.
        :raises TimeoutError: after ``timeout`` seconds; the order goes on.
        """

        def come(order: Order) -> bool:
            if order.state in (OrderState.REJECTED, OrderState.NOT_SENT, OrderState.ABSENT):
                raise OrderEnded(f"the exchange never had it: {order}", order)
            return order.state.rank >= OrderState.ACCEPTED.rank

        return await self._until(come, timeout)

    async def filled(self, timeout: float | None = None) -> Order:
        """Wait until it is filled whole. On an order whose outcome is unknown the wait goes on. Of
        an order for an amount of the quote currency some may be left that buys nothing more: wait
        until it has :meth:`ended`.

        :raises OrderEnded: where it ends otherwise; ``order`` says with how much filled.
        :raises TimeoutError: after ``timeout`` seconds; the order goes on.
        """

        def come(order: Order) -> bool:
            if order.state is OrderState.FILLED:
                return True
            if order.state.final:
                raise OrderEnded(f"it ended without being filled whole: {order}", order)
            return False

        return await self._until(come, timeout)

    async def ended(self, timeout: float | None = None) -> Order:
        """Wait until it has ended, however. Its last fills, and with them fees, may come a moment
        later: see :meth:`completed`.

        :raises TimeoutError: after ``timeout`` seconds; the order goes on.
        """
        return await self._until(lambda order: order.state.final, timeout)

    async def completed(self, timeout: float | None = None) -> Order:
        """Wait until it has ended, however, and all its fills are in the ledger, so that ``fees``
        and ``average_price`` are whole.

        :raises TimeoutError: after ``timeout`` seconds; what is missing still comes.
        """
        return await self._until(lambda order: order.state.final and order.fills_complete, timeout)

    async def _until(self, come: Callable[[Order], bool], timeout: float | None) -> Order:
        async with asyncio.timeout(timeout):
            while not come(self.now):
                await self._orders.changed(self.id)
        return self._order

    def __repr__(self) -> str:
        return f"<LiveOrder {self.now}>"
