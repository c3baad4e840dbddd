"""The token of one connection: kept good for as long as it is open."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ccrs_core.contract.access import Token
from ccrs_core.transport.pace import Pace, Timer

log = logging.getLogger("ccrs.connections")

AGAIN = 30.0
"""Seconds after which a renewal that has failed is tried again."""

LEAST = 1.0
"""Seconds between two renewals, whatever is said of how long a token is good."""


class Renewal:
    """Has a token renewed in time.

    :param get: the token that is good now.
    :param spawn: starts a task.
    :param renewed: called with each token that is got.
    """

    def __init__(
        self,
        get: Callable[[], Awaitable[Token]],
        pace: Pace,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        renewed: Callable[[str], None],
    ) -> None:
        self._get = get
        self._pace = pace
        self._spawn = spawn
        self._renewed = renewed
        self._timer: Timer | None = None
        self._ended = False

    def watch(self, token: Token) -> None:
        """Renew this one when it is time."""
        if token.renew_after is not None:
            self._later(max(token.renew_after, LEAST))

    def end(self) -> None:
        """Nobody needs it any more."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()

    def _later(self, seconds: float) -> None:
        if not self._ended:
            self._timer = self._pace.later(seconds, self._due)

    def _due(self) -> None:
        work = self._renew()
        try:
            self._spawn(work)
        except RuntimeError:
            work.close()  # the client's connections are ending for good, and say why

    async def _renew(self) -> None:
        try:
            token = await self._get()
        except Exception as error:  # what it is good for goes on until the exchange ends it
            log.warning("a token isn't renewed: %s", error)
            self._later(AGAIN)
            return
        if not self._ended:
            self._renewed(token.value)
            self.watch(token)
