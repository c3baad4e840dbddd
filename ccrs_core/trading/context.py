"""What the parts of an account share: whose it is, what asks, what remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import attrs

from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import Request
from ccrs_core.contract.trading import Trading
from ccrs_core.model.orders import Order, Origin, Times
from ccrs_core.model.reports import Report
from ccrs_core.requests.instruments import InstrumentStore
from ccrs_core.requests.shared_pages import SharedPages
from ccrs_core.trading.change import Change
from ccrs_core.trading.journal import Journal
from ccrs_core.trading.ledger import Ledger
from ccrs_core.trading.rules import Rules
from ccrs_core.trading.taking import Taking
from ccrs_core.transport.base import Clock
from ccrs_core.transport.gate import Priority

T = TypeVar("T")


class Asks(Protocol):
    """What carries an account's requests to the exchange."""

    async def read(self, request: Request[T], *, priority: Priority | None = None) -> T:
        """The answer to an idempotent question, tried again where its failure may pass."""

    async def counted(
        self,
        request: Request[T],
        *,
        priority: Priority | None = None,
        pages: SharedPages | None = None,
    ) -> tuple[T, int]:
        """:meth:`read`, and how many rows couldn't be read and are left out of the answer.
        ``pages`` holds those that were asked for already, in the same words."""

    def exchange_ns(self) -> int:
        """The exchange's clock, as far as it is known: nanoseconds UTC, never ahead of it."""

    def most_at_once(self, request: Request[Any]) -> int | None:
        """How heavy a request may be for its account's pools to take it at once; None: there are no
        such."""

    async def once(
        self,
        request: Request[T],
        *,
        via: str | None = None,
        patience: float | None = None,
        send_before: float | None = None,
        on_sent: Callable[[int], None] | None = None,
        priority: Priority | None = None,
    ) -> tuple[T, Times]:
        """The answer to a request that leaves once at most, and when what happened.

        :raises NotSent: where nothing of it has left, and nothing will.
        :raises OutcomeUnknown: where it may have been taken.
        :raises ExchangeError: (or kin) where the exchange refused it.
        """


@attrs.frozen(kw_only=True)
class AccountContext:
    """What the parts of an account share."""

    exchange: Exchange
    trading: Trading
    name: str
    """The user's, of the account."""
    clock: Clock
    ledger: Ledger
    journal: Journal
    instruments: InstrumentStore
    rules: Rules
    taking: Taking
    asks: Asks
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    """Starts a task that ends with the account."""

    @property
    def now_ns(self) -> int:
        """The time by the local clock."""
        return self.clock.time_ns()

    def note(self, change: Change) -> None:
        """The ledger has changed: commit and deliver that."""
        self.journal.add(change)

    async def take(self, reports: Sequence[Report], *, backfilled: bool = False) -> bool:
        """The exchange says this: the ledger takes all that can be taken; whether that was all."""
        return await self.taking.take(reports, backfilled=backfilled)

    def key(self, order: Order) -> str:
        """The id by which the ledger finds an order, from its intent to its end: the client's of an
        own one, the exchange's of others, whose client ids prove nothing, and of those that came of
        an own one."""
        if order.origin is not Origin.OWN or order.fired_by:
            return self.ledger.id_of(order)
        told = order.exchange_order_id
        if told:
            own = self.ledger.order(order.client_order_id)
            if own is not None and own.exchange_order_id not in ("", told):
                return told
        return order.client_order_id

    def order(self, identity: str) -> Order:
        """An order that the ledger has."""
        found = self.ledger.order(identity)
        assert found is not None
        return found
