"""Between which prices an exchange takes orders as they are, asked for now and then: once, however
many orders wait for the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ccrs_core.contract.trading_requests import GetPriceBand
from ccrs_core.errors import NotSent
from ccrs_core.model.accounts import PriceBand
from ccrs_core.model.instruments import Instrument
from ccrs_core.transport.base import Clock

_HOLDS_FOR = 2.0
"""Seconds for which a band is taken to hold."""


class PriceBands:
    """Those of an account's instruments.

    :param ask: asks the exchange.
    :param spawn: starts a task of the account's; once that is being closed, it does nothing.
    """

    def __init__(
        self,
        clock: Clock,
        ask: Callable[[GetPriceBand], Awaitable[PriceBand]],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._spawn = spawn
        self._known: dict[str, tuple[float, PriceBand]] = {}
        self._asked: dict[str, asyncio.Future[PriceBand]] = {}
        """What is under way, by symbol. Who waits is cancelled without the others."""

    async def of(self, instrument: Instrument) -> PriceBand:
        """That of an instrument, some seconds old at most.

        :raises CcrsError: where it can't be had.
        """
        symbol = instrument.symbol
        known = self._known.get(symbol)
        if known is not None and self._clock.monotonic() < known[0] + _HOLDS_FOR:
            return known[1]
        asked = self._asked.get(symbol)
        if asked is None:
            asked = self._asked[symbol] = asyncio.get_running_loop().create_future()
            task = self._spawn(self._learn(instrument, asked))
            task.add_done_callback(lambda _: self._over(symbol, asked))
        return await asyncio.shield(asked)

    async def _learn(self, instrument: Instrument, asked: asyncio.Future[PriceBand]) -> None:
        now = self._clock.monotonic()
        try:
            band = await self._ask(GetPriceBand(instrument))
        except Exception as error:  # for those who wait
            asked.set_exception(error)
        else:
            self._known[instrument.symbol] = now, band
            asked.set_result(band)

    def _over(self, symbol: str, asked: asyncio.Future[PriceBand]) -> None:
        """Its task has ended: nobody waits any more, whatever has become of it."""
        if self._asked.get(symbol) is asked:
            del self._asked[symbol]
        if not asked.done():
            asked.set_exception(NotSent("the account was closed"))
        asked.exception()  # told to who waits, if anybody does
