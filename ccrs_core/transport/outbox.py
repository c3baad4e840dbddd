"""What waits to be sent on one connection: in its turn, within the budgets, signed as it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence

import attrs

from ccrs_core.contract.codec import Outbound
from ccrs_core.errors import TransportError
from ccrs_core.transport.base import Connection
from ccrs_core.transport.limits import Window, take_all
from ccrs_core.transport.pace import Deadline

log = logging.getLogger("ccrs.connections")


@attrs.frozen
class _Waiting:
    frame: Outbound | None
    request_id: str | None
    signed: bool


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
        waiting = _Waiting(frame, request_id, signed)
        if request_id is None:
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
                frame = waiting.frame
                if frame is not None and not waiting.signed:
                    frame = self._sign(frame)
                async with Deadline(self._timeout):
                    if frame is None:
                        await connection.ping()
                    else:
                        await connection.send(frame)
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
