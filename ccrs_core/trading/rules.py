"""Which rules of instruments orders go by: what is there by the last list that had it, so that no
cancel waits for one; what is new by a list that is kept fresh, and looked at anew once the exchange
refuses what it allows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ccrs_core.errors import CcrsError, EndReason, InvalidRequest, OrderRejected
from ccrs_core.model.instruments import Instrument, Market, market_of
from ccrs_core.requests.instruments import NEWS_AFTER, InstrumentStore
from ccrs_core.trading.taking import Natives

log = logging.getLogger("ccrs.account")

KEPT_FOR = 300.0
"""Seconds after which lists of markets in which orders are placed are fetched anew."""
_LONGEST = 60.0
_PATIENCE = 2.0
"""Seconds for which an order waits for the list that a refusal has asked for."""
_OF_RULES = frozenset(
    {EndReason.SIZE, EndReason.PRICE_LIMIT, EndReason.MARKET_STATE, EndReason.INVALID}
)
"""Why orders are refused where the list of instruments may be out of date."""


class Rules:
    """Instruments by symbol, for an account's orders.

    :param natives: which remembers what was listed once.
    :param now: monotonic seconds.
    """

    def __init__(
        self,
        instruments: InstrumentStore,
        natives: Natives,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        now: Callable[[], float],
    ) -> None:
        self._instruments = instruments
        self._natives = natives
        self._spawn = spawn
        self._now = now
        self._looked_at: dict[Market, float] = {}
        self._looking: dict[Market, asyncio.Task[None]] = {}
        self._markets: set[Market] = set()
        """Those that orders are placed in."""

    def named(self, symbol: str) -> Instrument | None:
        """The instrument of a unified symbol, as far as one was listed."""
        return self._natives.named(symbol)

    async def of_order(self, symbol: str) -> Instrument:
        """The instrument of an order that is there, at once, though it isn't listed any more.

        :raises CcrsError: where it never was, or no list could be read yet.
        """
        known = self._natives.named(symbol)
        return known if known is not None else await self._instruments.find(symbol)

    async def newest(self, symbol: str) -> Instrument:
        """The instrument that a new order, or an amendment, is checked by.

        :raises CcrsError: where it isn't listed, or no list can be read.
        """
        if self._looking:
            task = self._looking.get(market_of(symbol))
            if task is not None:
                await asyncio.wait([task], timeout=_PATIENCE)
        found = await self._instruments.find(symbol)
        if found.market not in self._markets:
            self._markets.add(found.market)
            self._spawn(self._keep(found.market))
        return found

    def refused(self, market: Market, error: CcrsError) -> None:
        """The exchange has refused what was checked: its rules may be others by now."""
        concerned = isinstance(error, InvalidRequest) or (
            isinstance(error, OrderRejected) and error.reason in _OF_RULES
        )
        looked_at = self._looked_at.get(market, float("-inf"))
        if concerned and market not in self._looking and self._now() >= looked_at + NEWS_AFTER:
            self._looked_at[market] = self._now()
            task = self._looking[market] = self._spawn(self._look(market, 0.0))
            task.add_done_callback(lambda _: self._looking.pop(market, None))

    async def _look(self, market: Market, max_age: float) -> None:
        try:
            await self._instruments.market(market, max_age=max_age)
        except CcrsError as error:
            log.warning("the rules of %s instruments can't be read: %s", market.value, error)

    async def _keep(self, market: Market) -> None:
        while True:
            fresh = self._instruments.fresh_for(market, KEPT_FOR)
            await asyncio.sleep(min(max(fresh, NEWS_AFTER), _LONGEST))
            await self._look(market, KEPT_FOR)
