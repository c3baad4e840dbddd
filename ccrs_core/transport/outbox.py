"""What waits to be sent on one connection: in its turn, within the budgets, signed as it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from ccrs_core.contract.codec import Outbound
from ccrs_core.errors import TransportError
from ccrs_core.transport.base import Connection
from ccrs_core.transport.limits import Window, take_all
from ccrs_core.transport.pace import Deadline

log = logging.getLogger("ccrs.connections")


class Made(Protocol):
    """A frame that is made when it leaves."""

    @property
    def void(self) -> bool:
        """Whether it isn't to leave any more."""

    def make(self) -> Outbound | None:
        """The frame, which leaves now; None where it isn't to."""

    def unwritten(self, why: str) -> None:
        """It was made, but for certain nothing of it has left."""


@attrs.frozen
class _Waiting:
    frame: Outbound | None
    request_id: str | None
    signed: bool
    made: Made | None = None

    @property
    def void(self) -> bool:
        return self.made is not None and self.made.void


class Outbox:
    """Sends the frames of one connection; a task lives only while there are any.

    :param budgets: of frames; ``requests`` of those among them that have a request id.
    :param sign: the last word on a frame, when it leaves.
    :param sent: called with the request id of a frame that has left.
    :param failed: called with the reason for which the connection is of no use any more.
    """

    def __init__(
        self,
        connection: Connection,
        budgets: Sequence[Window],
        requests: Sequence[Window],
        timeout: float,
        *,
        sign: Callable[[Outbound], Outbound],
        sent: Callable[[str], None],
        failed: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._budgets = budgets
        self._requests = requests
        self._timeout = timeout
        self._sign = sign
        self._sent = sent
        self._failed = failed
        self._urgent: deque[_Waiting] = deque()
        """Heartbeats and replies: they must not wait behind a mass of subscriptions."""
        self._others: deque[_Waiting] = deque()
        self._news = asyncio.Event()
        """Something urgent has come."""
        self._pump: asyncio.Task[None] | None = None

    def post(self, frame: Outbound | None, request_id: str | None, signed: bool) -> None:
        """Send a frame in its turn; None is a protocol-level ping. What has no request id goes
        first; what is ``signed`` already goes as it is."""
        self._post(_Waiting(frame, request_id, signed), request_id is None)

    def post_made(self, made: Made, urgent: bool) -> None:
        """Send a frame that is made when it leaves: in its turn, or before others that aren't
        urgent."""
        self._post(_Waiting(None, None, True, made), urgent)

    def _post(self, waiting: _Waiting, urgent: bool) -> None:
        if urgent:
            self._urgent.append(waiting)
            self._news.set()
        else:
            self._others.append(waiting)
        if self._pump is None:
            self._pump = asyncio.ensure_future(self._send_all())

    def end(self) -> None:
        """Send nothing more."""
        self._urgent.clear()
        self._others.clear()
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.cancel()

    def spare(self, share: float) -> bool:
        """Whether less than a share of each budget of frames is used."""
        return all(window.spare(share) for window in self._budgets)

    async def _next(self) -> _Waiting | None:
        """Whose turn it is, once the budgets allow it."""
        while self._urgent or self._others:
            queue = self._urgent or self._others
            if queue[0].void:
                queue.popleft()
                continue
            windows = self._budgets if self._urgent else (*self._requests, *self._budgets)
            wait = take_all(windows)
            if not wait:
                return queue.popleft()
            # What is urgent must not wait for a budget that isn't its own.
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()
        return None

    async def _send_all(self) -> None:
        connection = self._connection
        try:
            while (waiting := await self._next()) is not None:
                frame, made = waiting.frame, waiting.made
                if made is not None:
                    frame = made.make()
                    if frame is None:
                        continue
                elif frame is not None and not waiting.signed:
                    frame = self._sign(frame)
                try:
                    async with Deadline(self._timeout):
                        if frame is None:
                            await connection.ping()
                        else:
                            await connection.send(frame)
                except TransportError as error:
                    if made is not None and error.nothing_sent:
                        made.unwritten(str(error))
                    raise
                if waiting.request_id is not None:
                    self._sent(waiting.request_id)
        except (TransportError, TimeoutError) as error:
            self._failed(str(error) or "sending took too long")
        except Exception as error:
            log.exception("sending failed")
            self._failed(f"sending failed: {error!r}")
        finally:
            if self._pump is asyncio.current_task():
                self._pump = None
