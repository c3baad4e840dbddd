"""One request on its way over an entry line: from its caller to the wire, and its answer back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ccrs_core.connections.entries import Entry, EntryState
from ccrs_core.connections.link import Link
from ccrs_core.contract.codec import Codec, Outbound
from ccrs_core.contract.rest import Answer, Endpoint, Request
from ccrs_core.contract.trading_requests import Placed
from ccrs_core.errors import (
    CcrsError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    TransportError,
    tells_refusal,
)
from ccrs_core.model.orders import Times
from ccrs_core.transport.context import Context
from ccrs_core.transport.gate import Priority
from ccrs_core.transport.pace import Overdue

_GRAIN = 0.001
"""Seconds by which a timer may go off early."""
_TOO_LATE = "it couldn't leave in the time that it was given"


class Line(Protocol):
    """The connections that it may go by."""

    @property
    def overdue(self) -> Overdue: ...
    def usable(self) -> Link | None: ...
    async def connection(self, patience: float) -> Link: ...
    def post(self, link: Link, entry: Entry, request_id: str) -> None: ...
    def settle(self, link: Link, request_id: str) -> None: ...


class Turn(Protocol):
    """A request that may leave now."""

    def answered(self) -> None: ...
    def give_back(self) -> None: ...


class Turns(Protocol):
    """The budgets of an account."""

    async def on_socket(
        self,
        endpoint: Endpoint[Any, Any],
        request: Request[Any],
        *,
        priority: Priority | None = None,
        patience: float | None = None,
    ) -> Any: ...

    def told(self, turn: Any, request: Request[Any], headers: Mapping[str, str]) -> None: ...
    def refused(self, turn: Any, refusal: CcrsError, response: None) -> None: ...


def read(codec: Codec, entry: Entry) -> Answer[Any]:
    """What an answer says.

    :raises CcrsError: the exchange's refusal, or that it doesn't tell.
    """
    reply, now_ns = entry.reply, entry.received_ns
    assert reply is not None
    assert now_ns is not None
    try:
        return codec.entry_answer(entry.request, reply.content, now_ns)
    except Exception as error:
        told = isinstance(error, OutcomeUnknown) or tells_refusal(error)
        if told or entry.request.idempotent:
            raise
        text = f"the answer doesn't tell whether it was taken: {error}"
        raise OutcomeUnknown("", text) from error


class Passage:
    """One request on its way."""

    def __init__(
        self,
        line: Line,
        turns: Turns,
        context: Context,
        request: Request[Any],
        patience: float,
        send_before: float | None,
        on_sent: Callable[[int], None] | None,
        priority: Priority | None,
    ) -> None:
        self._line = line
        self._turns = turns
        self._context = context
        self._request = request
        self._until = context.clock.monotonic() + patience
        self._before = send_before
        self._on_sent = on_sent
        self._priority = priority
        self._endpoint = context.exchange.endpoints[type(request)]
        self._sent_ns: int | None = None
        self._task = asyncio.current_task()
        self._cancels = self._task.cancelling() if self._task is not None else 0
        self._over: asyncio.Future[None] | None = None
        """Set once it was answered, or isn't going to be."""

    async def go(self) -> tuple[Any, Times]:
        """Send it, and read its answer."""
        line, link = self._line, None
        while link is None:
            self._check_in_time()
            await line.connection(self._left())
            turn = await self._turn()
            link = line.usable()
            if link is None:
                turn.give_back()  # it was lost meanwhile
        return await self._on(link, turn)

    def _left(self) -> float:
        """Seconds in which it may still leave."""
        at = self._until if self._before is None else min(self._until, self._before)
        return max(at - self._context.clock.monotonic(), 0.0)

    async def _turn(self) -> Any:
        try:
            return await self._turns.on_socket(
                self._endpoint,
                self._request,
                priority=self._priority,
                patience=self._left(),
            )
        except RateLimited:
            self._check_in_time()
            raise

    def _check_in_time(self) -> None:
        """:raises NotSent: where it is too late for it to leave."""
        before = self._before
        if before is not None and self._context.clock.monotonic() >= before - _GRAIN:
            raise NotSent(_TOO_LATE)

    def _leaves(self) -> None:
        self._check_in_time()
        if self._task is not None and self._task.cancelling() > self._cancels:
            # The connection writes in a task of its own, maybe before the caller's hears of it.
            raise NotSent("its caller was cancelled before it was sent")
        self._sent_ns = self._context.clock.time_ns()
        if self._on_sent is not None:
            self._on_sent(self._sent_ns)

    async def _on(self, link: Link, turn: Any) -> tuple[Any, Times]:
        line, session = self._line, link.session
        assert session is not None
        request_id, codec = session.new_request_id(), session.codec
        urgent = self._endpoint.urgent or self._priority is Priority.URGENT

        def frame() -> Outbound:
            return codec.entry(self._request, request_id, link.access())

        def came_further() -> None:
            if self._over is None or self._over.done():
                return
            if entry.over:
                self._over.set_result(None)
            else:  # it was written
                self._time(entry)

        entry = Entry(self._request, urgent, frame, self._leaves, came_further)
        try:
            line.post(link, entry, request_id)
            await self._settled(entry)
        finally:
            certain = entry.withdraw("its caller didn't wait for it")
            if certain:
                turn.give_back()
            else:
                turn.answered()
            line.settle(link, request_id)
        return self._read(codec, entry, turn)

    async def _settled(self, entry: Entry) -> None:
        """Wait until it was answered, or isn't going to be."""
        if entry.over:
            return
        self._over = asyncio.get_running_loop().create_future()
        self._time(entry)
        try:
            await self._over
        finally:
            self._line.overdue.drop(self)

    def _time(self, entry: Entry) -> None:
        """Let it end by itself where it doesn't leave, or isn't answered, in time."""
        overdue = self._line.overdue
        if entry.state is EntryState.WAITING:
            overdue.set(self, self._left(), lambda: entry.withdraw(_TOO_LATE))
            return
        timeout = self._context.options.transport.request_timeout

        def no_answer() -> None:
            entry.withdraw(f"no answer within {timeout:g} s")

        # What has come while the loop was blocked is read before that is too late.
        overdue.set(self, timeout, no_answer, unhurried=True)

    def _read(self, codec: Codec, entry: Entry, turn: Any) -> tuple[Any, Times]:
        if entry.state is EntryState.VOID:
            if isinstance(entry.error, CcrsError):
                raise entry.error
            raise NotSent(entry.why) from entry.error
        if entry.state is EntryState.LOST:
            if self._request.idempotent:
                raise TransportError(entry.why)
            raise OutcomeUnknown("", f"no answer tells whether it was taken: {entry.why}")
        assert entry.reply is not None
        self._turns.told(turn, self._request, entry.reply.headers)
        try:
            answer = read(codec, entry)
        except CcrsError as error:
            self._turns.refused(turn, error, None)
            raise
        value = answer.value
        return value, Times(
            sent_ns=self._sent_ns,
            taken_ns=value.taken_ns if isinstance(value, Placed) else None,
            answered_ns=answer.answered_ns,
            received_ns=entry.received_ns,
        )
