"""The instruments of an exchange, by unified symbol, fetched when they are first needed."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable

from ccrs_core.errors import PluginBroken, UnknownInstrument, Unsupported
from ccrs_core.model import Instrument, Market, market_of
from ccrs_core.requests import Requester
from ccrs_core.rest import GetInstruments
from ccrs_core.transport.base import Clock


class InstrumentStore:
    """Instruments per market; concurrent callers share one fetch."""

    def __init__(
        self,
        exchange: str,
        requester: Requester,
        clock: Clock,
        max_age: float,
        known: Iterable[Instrument] = (),
    ) -> None:
        self._exchange = exchange
        self._requester = requester
        self._clock = clock
        self._max_age = max_age
        self._markets: dict[Market, dict[str, Instrument]] = {}
        self._fetched: dict[Market, float] = {}
        self._locks: dict[Market, asyncio.Lock] = {}
        for instrument in known:
            self._markets.setdefault(instrument.market, {})[instrument.symbol] = instrument
            self._fetched[instrument.market] = float("inf")

    async def market(self, market: Market, *, refresh: bool = False) -> dict[str, Instrument]:
        """All instruments of a market by unified symbol."""
        lock = self._locks.setdefault(market, asyncio.Lock())
        async with lock:
            fetched = self._fetched.get(market)
            now = self._clock.monotonic()
            if fetched is None or refresh or now - fetched > self._max_age:
                self._markets[market] = _by_symbol(
                    await self._requester.ask(GetInstruments(market))
                )
                self._fetched[market] = self._clock.monotonic()
            return self._markets[market]

    async def find(self, symbol: str) -> Instrument:
        """The instrument of a unified symbol.

        :raises UsageError: where the text isn't a unified symbol.
        :raises UnknownInstrument: where the exchange lists no such one; ``near`` has suggestions.
        """
        market = market_of(symbol)
        try:
            instruments = await self.market(market)
        except Unsupported:
            instruments = {}
        found = instruments.get(symbol)
        if found is None:
            near = tuple(self._near(symbol))
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise UnknownInstrument(
                f"{self._exchange} lists no {market.value} instrument {symbol}{hint}", near
            )
        return found

    def _near(self, symbol: str) -> list[str]:
        names = [name for known in self._markets.values() for name in known]
        close = difflib.get_close_matches(symbol.upper(), names, n=3, cutoff=0.6)
        prefix = [n for n in names if n.startswith(symbol.upper())][:3]
        return list(dict.fromkeys([*prefix, *close]))[:3]


def _by_symbol(instruments: list[Instrument]) -> dict[str, Instrument]:
    """Index them; the unified symbol must be one to one, or money goes to the wrong asset."""
    found: dict[str, Instrument] = {}
    natives: dict[str, str] = {}
    for instrument in instruments:
        other = found.get(instrument.symbol)
        if other is not None and other.native != instrument.native:
            raise PluginBroken(
                f"{instrument.exchange} maps both {other.native} and {instrument.native} to "
                f"{instrument.symbol}"
            )
        twin = natives.get(instrument.native)
        if twin is not None and twin != instrument.symbol:
            raise PluginBroken(
                f"{instrument.exchange} maps {instrument.native} to both {twin} and "
                f"{instrument.symbol}"
            )
        found[instrument.symbol] = instrument
        natives[instrument.native] = instrument.symbol
    return found
