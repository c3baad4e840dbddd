"""What a client can be asked once, as opposed to what it listens to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeVar

from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import (
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetOpenInterest,
    GetServerTime,
    GetTopOfBook,
    GetTrades,
    Request,
)
from ccrs_core.errors import Unsupported
from ccrs_core.model.checks import at_least_one, how_many
from ccrs_core.model.events import (
    BookUpdate,
    Candle,
    Funding,
    InstrumentChanged,
    OpenInterest,
    TopOfBook,
    Trade,
)
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.requests.instruments import InstrumentStore, markets_of
from ccrs_core.requests.requester import Requester

T = TypeVar("T")


class _Questions(ABC):
    """The questions of a client."""

    exchange: Exchange
    _addresses: Mapping[str, str] | None

    @abstractmethod
    def _ready(self) -> Requester:
        """What asks, of an open client."""

    @abstractmethod
    def _store(self) -> InstrumentStore:
        """What keeps instruments, of an open client."""

    async def request(self, request: Request[T]) -> T:
        """The answer to any unified question. What isn't ``idempotent`` leaves once at most.

        :raises Unsupported: where the exchange doesn't answer it; nothing was sent.
        :raises ExchangeError: what the exchange says.
        :raises TransportError: where no answer came.
        :raises OutcomeUnknown: where it isn't ``idempotent`` and may have been taken.
        """
        return await self._ready().ask(request)

    async def instrument(self, symbol: str) -> Instrument:
        """The instrument of a unified symbol.

        :raises UnknownInstrument: where the exchange lists none; ``near`` has suggestions.
        """
        return await self._store().find(symbol)

    async def get_instruments(self, market: Market | str | None = None) -> list[Instrument]:
        """All instruments of a market (None: of all that the environment has), fetched anew."""
        store, found = self._store(), list[Instrument]()
        for each in markets_of(self.exchange, market, self._addresses):
            found.extend((await store.market(each, refresh=True)).values())
        return found

    async def refresh_instruments(
        self, market: Market | str | None = None
    ) -> list[InstrumentChanged]:
        """Fetch the instruments of a market (None: of all that the environment has) anew, and tell
        what has changed since they were last fetched; feeds are told what concerns them."""
        store, found = self._store(), list[InstrumentChanged]()
        for each in markets_of(self.exchange, market, self._addresses):
            found.extend(await store.refresh(each))
        return found

    async def get_server_time(self) -> int:
        """The exchange's clock, nanoseconds UTC."""
        return await self.request(GetServerTime())

    async def get_top_of_book(self, symbol: str) -> TopOfBook:
        """Best bid and ask now."""
        return await self.request(GetTopOfBook(await self.instrument(symbol)))

    async def get_book(self, symbol: str, depth: int = 50) -> BookUpdate:
        """The order book now, as a snapshot, at most ``depth`` levels per side.

        :raises UsageError: where ``depth`` is below 1.
        """
        at_least_one("depth", depth)
        return await self.request(GetBook(await self.instrument(symbol), depth))

    async def get_trades(self, symbol: str, limit: int = 60) -> list[Trade]:
        """The most recent public trades, at most ``limit``, oldest first.

        :raises UsageError: where ``limit`` is below 1.
        """
        at_least_one("limit", limit)
        return await self.request(GetTrades(await self.instrument(symbol), limit))

    async def get_candles(
        self,
        symbol: str,
        interval: str = "1m",
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
        limit: int | None = None,
    ) -> list[Candle]:
        """Candles that open in ``start_ns <= t < end_ns``, oldest first, from as many pages as it
        takes.

        With ``start_ns`` all of them, or the first ``limit``; without it the last ``limit`` (200
        unless told) before ``end_ns``. Without ``end_ns`` up to now. Times are nanoseconds UTC. The
        last one may still be open: ``Candle.closed`` tells.

        :raises UsageError: where times or limit make no sense.
        """
        count = how_many(start_ns, end_ns, limit)
        if interval not in self.exchange.capabilities.intervals:
            offered = ", ".join(self.exchange.capabilities.intervals)
            raise Unsupported(
                f"{self.exchange.name} offers no candles of {interval}; it offers {offered}"
            )
        instrument = await self.instrument(symbol)
        return await self.request(GetCandles(instrument, interval, start_ns, end_ns, count))

    async def get_funding_history(
        self,
        symbol: str,
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
        limit: int | None = None,
    ) -> list[Funding]:
        """Past funding rates in ``start_ns <= t < end_ns``, oldest first; times and ``limit`` as of
        :meth:`get_candles`.

        :raises UsageError: where times or limit make no sense.
        """
        count = how_many(start_ns, end_ns, limit)
        instrument = await self.instrument(symbol)
        return await self.request(GetFundingHistory(instrument, start_ns, end_ns, count))

    async def get_open_interest(self, symbol: str) -> OpenInterest:
        """How much of a derivative is held open now, counted on one side."""
        return await self.request(GetOpenInterest(await self.instrument(symbol)))
