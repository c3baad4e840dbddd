"""Keeps what is known of an exchange's clock fresh, by asking for its time."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from ccrs_core.contract.rest import GetServerTime, Request, T
from ccrs_core.errors import UsageError
from ccrs_core.transport.context import Context
from ccrs_core.transport.exchange_time import ClockOffset

log = logging.getLogger("ccrs.requests")

EVERY = 30.0
"""Seconds between two looks while somebody needs it."""
_STALE = 300.0
"""Seconds after which it is asked for before it is relied on."""
_AGAIN = 5.0
"""Seconds after which it is asked for again where that has failed."""


class Asks(Protocol):
    """Who asks an exchange."""

    async def ask(self, request: Request[T], *, tries: int | None = None) -> T: ...


class ExchangeClock:
    """The clock of an exchange, as its signed requests, logins and order entry go by it.

    It errs into the past and is never ahead. Where the exchange has no such question, or doesn't
    answer it, it is the local one.
    """

    def __init__(self, asks: Asks, context: Context) -> None:
        self._asks = asks
        self._context = context
        self._alone = asyncio.Lock()
        self._failed_at = float("-inf")
        self._fails = False
        self.keepers = 0
        """How many rely on it at present."""

    @property
    def offset(self) -> ClockOffset | None:
        """How it stands to the local clock; None where nothing is known."""
        return self._context.exchange_time.offset(self._context.clock)

    @property
    def now_ns(self) -> int:
        """The exchange's time now, nanoseconds UTC."""
        return self._context.now_ns()

    @property
    def _good(self) -> bool:
        time, clock = self._context.exchange_time, self._context.clock
        return not time.jumped(clock) and time.age(clock) <= _STALE

    async def ready(self) -> None:
        """Before it is relied on: ask where it isn't known, too old, or the local clocks have
        jumped. Never fails: without an answer what is known has to do."""
        if self.keepers and not self._good:
            await self._sync()

    async def resync(self, generation: int) -> None:
        """What was signed by the time of a generation was refused for it: what was known is
        forgotten, and it is asked for, unless that has happened since. Never fails."""
        if self._context.exchange_time.generation == generation:
            await self._sync(generation)

    async def keep(self) -> None:
        """Keep it fresh until cancelled."""
        self.keepers += 1
        try:
            while True:
                await self._sync(always=True)
                await asyncio.sleep(EVERY)
        finally:
            self.keepers -= 1

    async def _sync(self, wrong: int | None = None, *, always: bool = False) -> None:
        """Ask, unless somebody else has while this waited; ``wrong`` is the generation that is to
        be forgotten."""
        time, clock = self._context.exchange_time, self._context.clock
        async with self._alone:
            if wrong is None:
                if not always and self._good:
                    return
            elif time.generation != wrong:
                return
            if not always and clock.monotonic() < self._failed_at + _AGAIN:
                return
            asked_at = clock.monotonic()
            try:
                told_ns = await self._asks.ask(GetServerTime(), tries=1)
                if not isinstance(told_ns, int):
                    raise TypeError(f"no time: {told_ns!r:.100}")
            except UsageError:
                return  # the exchange, or this environment of it, has no such question
            except Exception as error:  # a plugin's mistake included
                level = logging.INFO if self._fails else logging.WARNING  # once of what goes on
                self._failed_at, self._fails = clock.monotonic(), True
                log.log(level, "%s doesn't tell its time: %s", self._context.exchange.name, error)
                return
            self._fails = False
            time.heard(told_ns, asked_at, clock, anew=wrong is not None)


__all__ = ["ExchangeClock"]
