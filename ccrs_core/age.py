"""When a connection is old enough to be replaced, before its exchange ends it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

_TURN = 0.5
"""Seconds after which a connection that waits for its turn looks again."""


class Age:
    """Calls ``replace(reason)`` once a connection nears a ``limit`` of seconds.

    Racing connections are opened together, and would be replaced together: whatever is wrong with
    new connections would meet all of them. So their ends are spread, and one waits while another
    one is being replaced (``busy()``), as far as there is time.
    """

    def __init__(
        self, limit: float, busy: Callable[[], bool], replace: Callable[[str], None]
    ) -> None:
        margin = min(limit / 5, 600.0)
        self._busy = busy
        self._replace = replace
        self._reason = f"{limit:g} s is the age limit"
        self._loop = asyncio.get_running_loop()
        self._latest = self._loop.time() + limit - margin / 4
        delay = limit - random.uniform(margin / 2, margin)
        self._timer = self._loop.call_later(delay, self._due)

    def _due(self) -> None:
        if self._busy() and self._loop.time() + _TURN <= self._latest:
            self._timer = self._loop.call_later(_TURN, self._due)
        else:
            self._replace(self._reason)

    def cancel(self) -> None:
        """The connection has ended."""
        self._timer.cancel()
