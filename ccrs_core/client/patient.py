"""Finds the instruments of feeds for as long as it takes.

Who asks a question wants an answer or an error; who subscribes wants to be connected as soon as
that is possible. So a line that is down when a feed is entered is outlasted, as it would be later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import attrs
import tenacity

from ccrs_core.errors import CcrsError, RateLimited, ReconnectsExhausted
from ccrs_core.model.instruments import Instrument, Market, market_of
from ccrs_core.requests.instruments import NEWS_AFTER, InstrumentStore
from ccrs_core.transport.base import Clock
from ccrs_core.transport.options import Options

log = logging.getLogger("ccrs.patient")

T = TypeVar("T")

FOLLOWED = 300.0
"""Seconds after which a list that somebody follows is fetched anew, at the latest."""
_LONGEST = 3600.0
"""Seconds after which it is looked whether a list has grown old, at the latest."""


@attrs.define(eq=False)
class _Outage:
    """A market whose instruments can't be had just now: one asks on for all who wait."""

    since: float
    turn: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    waiting: int = 0
    failures: int = 0
    exhausted: str | None = None
    """Why nobody tries on."""


class PatientSearch:
    """``find``, tried again with full jitter while what fails may pass.

    Errors that are ``retryable`` may pass: of the network, a host that limits or is unavailable,
    answers that aren't the exchange's. All others are raised at once: trying the same again can't
    help. One warning is logged for each outage of a market, however many feeds wait for it.

    :param find: the instrument of a symbol, or an error.
    :param store: what keeps instruments, of an open client.
    """

    def __init__(
        self,
        exchange: str,
        find: Callable[[str], Awaitable[Instrument]],
        store: Callable[[], InstrumentStore],
        options: Options,
        clock: Clock,
    ) -> None:
        self._exchange = exchange
        self._find = find
        self._store = store
        self._limit = options.max_failures
        self._clock = clock
        self._backoff = tenacity.wait_random_exponential(
            multiplier=options.backoff_initial, max=options.backoff_max
        )
        self._outages: dict[Market, _Outage] = {}
        self._ended = asyncio.Event()

    async def find(self, symbol: str) -> Instrument:
        """The instrument of a unified symbol.

        :raises ReconnectsExhausted: where ``Options.max_failures`` was reached.
        :raises CcrsError: what ``find`` raises and doesn't pass.
        """
        return await self._ask(lambda: self._find(symbol), lambda: market_of(symbol))

    async def load(self, market: Market) -> None:
        """Have the instruments of a market, fetched if need be; errors are those of ``find``."""
        await self._ask(lambda: self._store().market(market), lambda: market)

    def known(self) -> list[Instrument]:
        """All instruments of the markets that were loaded."""
        return self._store().known()

    async def keep_fresh(self, markets: Callable[[], Iterable[Market]]) -> None:
        """Fetch lists anew once they are older than :data:`FOLLOWED` seconds (or than
        ``Options.instruments_max_age``, where that is less), as long as there are any; whoever
        listens to the store hears what has changed."""
        while wanted := list(markets()):
            fresh = min(self._store().fresh_for(market, FOLLOWED) for market in wanted)
            await asyncio.sleep(min(max(fresh, NEWS_AFTER), _LONGEST))
            for market in wanted:
                try:
                    await self._store().market(market, max_age=FOLLOWED)
                except CcrsError as error:
                    log.info("%s: can't look for news of instruments: %s", self._exchange, error)

    async def _ask(self, ask: Callable[[], Awaitable[T]], about: Callable[[], Market]) -> T:
        while True:
            try:
                return await ask()
            except CcrsError as error:
                if not error.retryable:
                    raise
                found = await self._outlast(ask, about(), error)
            if found is not None:
                return found

    async def _outlast(
        self, ask: Callable[[], Awaitable[T]], market: Market, error: CcrsError
    ) -> T | None:
        """The answer; None once somebody else has had one, of whatever kind."""
        outage = self._outages.get(market)
        if outage is None:
            outage = self._outages[market] = _Outage(self._clock.monotonic())
        outage.waiting += 1
        try:
            async with outage.turn:
                found = None
                if self._outages.get(market) is outage:
                    found = await self._try_on(outage, market, ask, error)
                if outage.exhausted is not None:
                    raise ReconnectsExhausted(outage.exhausted) from error
                return found
        finally:
            outage.waiting -= 1
            if not outage.waiting:
                self._over(market, outage)

    async def _try_on(
        self, outage: _Outage, market: Market, ask: Callable[[], Awaitable[T]], error: CcrsError
    ) -> T | None:
        """The answer; None where the limit was reached."""
        who = self._exchange
        if not outage.failures:
            self._failed(outage, market, error)
            if outage.exhausted is None:
                log.warning(
                    "%s: can't fetch its %s instruments, trying on: %s", who, market.value, error
                )
        while outage.exhausted is None:
            await self._pause(outage.failures, error)
            try:
                found = await ask()
            except CcrsError as another:
                if not another.retryable:
                    self._over(market, outage)
                    raise
                error = another
                self._failed(outage, market, error)
            else:
                seconds = self._clock.monotonic() - outage.since
                log.info("%s: has its %s instruments, after %.1f s", who, market.value, seconds)
                self._over(market, outage)
                return found
        self._over(market, outage)
        return None

    def _failed(self, outage: _Outage, market: Market, error: CcrsError) -> None:
        outage.failures += 1
        if self._limit is not None and outage.failures >= self._limit:
            outage.exhausted = (
                f"{self._exchange}: gave up fetching its {market.value} instruments after "
                f"{outage.failures} failures in a row, last: {error}"
            )

    def _over(self, market: Market, outage: _Outage) -> None:
        if self._outages.get(market) is outage:
            del self._outages[market]

    async def _pause(self, failures: int, error: CcrsError) -> None:
        state = tenacity.RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = failures
        seconds = self._backoff(state)
        if isinstance(error, RateLimited):
            seconds = max(seconds, error.retry_after or 0.0)
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            pass

    def end(self) -> None:
        """Let nobody wait any more: ``find`` says itself that it has ended."""
        self._ended.set()
