"""When a connection is old enough to be replaced, before its exchange ends it. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

_TURN = 0.5
"""Seconds after which a connection that waits for its turn looks again."""


class Handle(Protocol):
    """A call that is to come."""

    def cancel(self) -> None: ...


class Age:
    """Calls ``replace(reason)`` once a connection nears a ``limit`` of seconds.

    Racing connections are opened together, and would be replaced together: whatever is wrong with
    new connections would meet all of them. So their ends are spread, and one waits while another
    one is being replaced (``busy()``), as far as there is time. ``later(delay, call)`` is to count
    all time, also that in which this process stood still: the exchange does.
    """

    def __init__(
        self,
        limit: float,
        monotonic: Callable[[], float],
        later: Callable[[float, Callable[[], None]], Handle],
        busy: Callable[[], bool],
        replace: Callable[[str], None],
    ) -> None:
        margin = min(limit / 5, 600.0)
        self._monotonic = monotonic
        self._later = later
        self._busy = busy
        self._replace = replace
        self._reason = f"{limit:g} s is the age limit"
        self._latest = monotonic() + limit - margin / 4
        self._timer = later(limit - random.uniform(margin / 2, margin), self._due)

    def _due(self) -> None:
        if self._busy() and self._monotonic() + _TURN <= self._latest:
            self._timer = self._later(_TURN, self._due)
        else:
            self._replace(self._reason)

    def cancel(self) -> None:
        """The connection has ended."""
        self._timer.cancel()
