"""What carries an account's requests to the exchange, over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ccrs_core.contract.rest import Request
from ccrs_core.model.orders import Times
from ccrs_core.requests.requester import Requester
from ccrs_core.transport.context import Context
from ccrs_core.transport.gate import Priority

T = TypeVar("T")


class Asks:
    """Carries the requests of one account."""

    def __init__(self, requester: Requester, context: Context) -> None:
        self._requester = requester
        self._context = context

    def exchange_ns(self) -> int:
        """The exchange's clock, as far as it is known, and never ahead of it: nanoseconds UTC."""
        return self._context.now_ns()

    async def read(self, request: Request[T], *, background: bool = False) -> T:
        """The answer to an idempotent question, tried again where its failure may pass. In the
        background it comes after all else, and spends a tenth of each budget at most."""
        priority = Priority.BACKGROUND if background else None
        return await self._requester.ask(request, priority=priority)

    async def once(
        self,
        request: Request[T],
        *,
        via: str | None = None,
        patience: float | None = None,
        send_before: float | None = None,
        on_sent: Callable[[int], None] | None = None,
    ) -> tuple[T, Times]:
        """The answer to a request that leaves once at most, and when what happened.

        :raises NotSent: where nothing of it has left, and nothing will.
        :raises OutcomeUnknown: where it may have been taken.
        :raises ExchangeError: (or kin) where the exchange refused it.
        """
        return await self._requester.timed(
            request, patience=patience, send_before=send_before, on_sent=on_sent
        )
