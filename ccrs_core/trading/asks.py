"""What carries an account's requests to the exchange: REST, and a WebSocket for those that may go
over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

from ccrs_core.contract.rest import Request
from ccrs_core.errors import NotSent, UsageError
from ccrs_core.model.orders import Times
from ccrs_core.requests.requester import Requester
from ccrs_core.requests.shared_pages import SharedPages
from ccrs_core.trading.entry_lines import EntryLines
from ccrs_core.transport.context import Context
from ccrs_core.transport.gate import Priority

T = TypeVar("T")

Via = Literal["rest", "websocket"]
"""The way that orders go."""


def checked_via(via: object) -> Via:
    """:raises UsageError: where it is none of the ways."""
    if via not in get_args(Via):
        raise UsageError(f'via must be "rest" or "websocket", not {via!r:.100}')
    return via  # type: ignore[return-value]


class Asks:
    """Carries the requests of one account.

    :param lines: its sockets for orders.
    :param via: the way where a call says none.
    """

    def __init__(
        self,
        requester: Requester,
        context: Context,
        lines: EntryLines,
        via: Via = "rest",
    ) -> None:
        self._requester = requester
        self._context = context
        self.lines = lines
        self._via = via

    def start(self) -> None:
        """Dial the sockets for orders where that is the usual way.

        :raises Unsupported: where the exchange, or its environment, has none.
        """
        if self._via == "websocket":
            self.lines.start()

    def exchange_ns(self) -> int:
        """The exchange's clock, as far as it is known, and never ahead of it: nanoseconds UTC."""
        return self._context.now_ns()

    async def read(self, request: Request[T], *, priority: Priority | None = None) -> T:
        """The answer to an idempotent question, tried again where its failure may pass. Its
        ``priority`` says who goes first, and what part of each budget it may spend."""
        return await self._requester.ask(request, priority=priority)

    def most_at_once(self, request: Request[Any]) -> int | None:
        """How heavy a request may be for its account's pools to take it at once; None: there are no
        such."""
        turns = self._requester.turns
        return turns.most_at_once(self._requester.endpoint(request), request)

    async def counted(
        self,
        request: Request[T],
        *,
        priority: Priority | None = None,
        pages: SharedPages | None = None,
    ) -> tuple[T, int]:
        """:meth:`read`, and how many rows couldn't be read and are left out of the answer.
        ``pages`` holds those that were asked for already, in the same words."""
        return await self._requester.counted(request, priority=priority, pages=pages)

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
        """The answer to a request that leaves once at most, and when what happened. Where it can't
        go over the socket at present, so that nothing of it was written, it goes by REST.

        :raises Unsupported: where ``via`` wants a socket, and its market has none.
        :raises NotSent: where nothing of it has left, and nothing will.
        :raises OutcomeUnknown: where it may have been taken.
        :raises ExchangeError: (or kin) where the exchange refused it.
        """
        way = self._via if via is None else checked_via(via)
        insists = via is not None
        line = self.lines.carrying(request, insists=insists) if way == "websocket" else None
        if line is not None:
            try:
                return await line.ask(
                    request,
                    patience=patience,
                    send_before=send_before,
                    on_sent=on_sent,
                    priority=priority,
                )
            except NotSent:
                late = send_before is not None and self._context.clock.monotonic() >= send_before
                if late or line.ready:
                    raise
        return await self._requester.timed(
            request,
            patience=patience,
            send_before=send_before,
            on_sent=on_sent,
            priority=priority,
        )

    async def aclose(self) -> None:
        """End the sockets that were opened."""
        await self.lines.aclose()


__all__ = ["Asks", "Via", "checked_via"]
