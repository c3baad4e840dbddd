"""What carries an account's requests to the exchange, over REST."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ccrs_core.contract.rest import Request
from ccrs_core.errors import NotSent
from ccrs_core.model.orders import Times
from ccrs_core.requests.requester import Requester
from ccrs_core.transport.base import Clock

T = TypeVar("T")


class Asks:
    """Carries the requests of one account."""

    def __init__(self, requester: Requester, clock: Clock) -> None:
        self._requester = requester
        self._clock = clock

    def exchange_ns(self) -> int:
        """The exchange's clock, as far as it is known, nanoseconds UTC."""
        return self._clock.time_ns()

    async def read(self, request: Request[T], *, share: float = 1.0) -> T:
        """The answer to an idempotent question, tried again where its failure may pass."""
        return await self._requester.ask(request, share=share)

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
        if send_before is not None and self._clock.monotonic() > send_before:
            raise NotSent("it couldn't leave in the time that was given")
        sent_ns = self._clock.time_ns()
        if on_sent is not None:
            on_sent(sent_ns)
        answer = await self._requester.once(request, patience=patience)
        return answer, Times(sent_ns=sent_ns, received_ns=self._clock.time_ns())
