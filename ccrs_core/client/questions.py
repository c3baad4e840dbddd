"""What a client can be asked once, as opposed to what it listens to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from ccrs_core.client.history import History, check_interval, series_of
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import (
    GetBook,
    GetCandles,
    GetFundingHistory,
    GetIndexCandles,
    GetMarkCandles,
    GetOpenInterest,
    GetOpenInterestHistory,
    GetServerTime,
    GetTopOfBook,
    GetTradeHistory,
    GetTrades,
    Request,
)
from ccrs_core.errors import Unsupported, UsageError
from ccrs_core.model.checks import at_least_one
from ccrs_core.model.events import (
    BookUpdate,
    Candle,
    Funding,
    InstrumentChanged,
    OpenInterest,
    TopOfBook,
    Trade,
)
from ccrs_core.model.histories import Series
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.times import When, stretch
from ccrs_core.requests.instruments import InstrumentStore, markets_of
from ccrs_core.requests.requester import Requester

_LEVELS = 50
"""Levels of a book that is asked for without saying how many."""

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

    async def get_book(self, symbol: str, depth: int | None = None) -> BookUpdate:
        """The order book now, as a snapshot: the best ``depth`` levels per side, or all there are.
        None: the best 50, or as many as the exchange answers where those are fewer.

        :raises UsageError: where ``depth`` is below 1.
        :raises Unsupported: where the exchange's deepest answer has fewer.
        """
        if depth is not None:
            at_least_one("depth", depth)
        request = GetBook(await self.instrument(symbol), depth or _LEVELS)
        endpoint = self.exchange.endpoints.get(GetBook)
        most = None if endpoint is None or endpoint.most is None else endpoint.most(request)
        if most is not None and (depth or 0) > most:
            raise Unsupported(
                f"{self.exchange.name} answers with {most} levels a side of {symbol} at most, "
                f"not {depth}"
            )
        depth = min(request.depth, most or request.depth)
        found = await self.request(attrs.evolve(request, depth=depth))
        if max(len(found.bids), len(found.asks)) <= depth:
            return found
        return attrs.evolve(found, bids=found.bids[:depth], asks=found.asks[:depth])

    async def get_trades(self, symbol: str, limit: int = 60) -> list[Trade]:
        """The most recent public trades, at most ``limit``, oldest first.

        :raises UsageError: where ``limit`` is below 1.
        """
        at_least_one("limit", limit)
        return await self.request(GetTrades(await self.instrument(symbol), limit))

    async def get_trade_history(
        self,
        symbol: str,
        *,
        start: When,
        end: When | None = None,
        limit: int | None = None,
    ) -> list[Trade]:
        """Public trades in ``start <= t < end`` (None: up to now), oldest first: all of them, or
        the first ``limit``. A day of a lively instrument is a million: :meth:`history` brings them
        page by page.

        :raises UsageError: where times or limit make no sense.
        :raises Unsupported: where the exchange doesn't tell all trades of so long ago.
        """
        start_ns, end_ns, count = stretch(start, end, limit)
        if start_ns is None:
            raise UsageError("trades of which time? Say start; get_trades() brings the latest")
        instrument = await self.instrument(symbol)
        return await self.request(GetTradeHistory(instrument, start_ns, end_ns, count))

    async def get_candles(
        self,
        symbol: str,
        interval: str = "1m",
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
    ) -> list[Candle]:
        """Candles that open in ``start <= t < end``, oldest first, from as many pages as it takes.

        With ``start`` all of them, or the first ``limit``; without it the last ``limit`` (200
        unless told) before ``end``. Without ``end`` up to now. Times are aware datetimes or
        nanoseconds UTC. The last one may still be open: ``Candle.closed`` tells.

        :raises UsageError: where times or limit make no sense.
        """
        return await self._candles(GetCandles, symbol, interval, (start, end, limit))

    async def get_mark_candles(
        self,
        symbol: str,
        interval: str = "1m",
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
    ) -> list[Candle]:
        """Candles of a derivative's mark price, as of :meth:`get_candles`; nothing is traded in
        them: ``volume`` is 0 and ``turnover`` None."""
        return await self._candles(GetMarkCandles, symbol, interval, (start, end, limit))

    async def get_index_candles(
        self,
        symbol: str,
        interval: str = "1m",
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
    ) -> list[Candle]:
        """Candles of the index that a derivative follows, as of :meth:`get_mark_candles`."""
        return await self._candles(GetIndexCandles, symbol, interval, (start, end, limit))

    async def _candles(
        self, kind: type[GetCandles], symbol: str, interval: str, span: tuple[Any, Any, Any]
    ) -> list[Candle]:
        start_ns, end_ns, count = stretch(*span)
        check_interval(self.exchange, kind, interval)
        instrument = await self.instrument(symbol)
        return await self.request(kind(instrument, interval, start_ns, end_ns, count))

    async def get_funding_history(
        self,
        symbol: str,
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
    ) -> list[Funding]:
        """Past funding rates in ``start <= t < end``, oldest first; times and ``limit`` as of
        :meth:`get_candles`.

        :raises UsageError: where times or limit make no sense.
        """
        start_ns, end_ns, count = stretch(start, end, limit)
        instrument = await self.instrument(symbol)
        return await self.request(GetFundingHistory(instrument, start_ns, end_ns, count))

    async def get_open_interest_history(
        self,
        symbol: str,
        interval: str = "1h",
        *,
        start: When | None = None,
        end: When | None = None,
        limit: int | None = None,
    ) -> list[OpenInterest]:
        """Past open interest, once every ``interval``, in ``start <= exchange_time_ns < end``;
        times and ``limit`` as of :meth:`get_candles`.

        :raises UsageError: where times or limit make no sense.
        :raises Unsupported: where the exchange doesn't tell it of so long ago, or of the interval.
        """
        start_ns, end_ns, count = stretch(start, end, limit)
        check_interval(self.exchange, GetOpenInterestHistory, interval)
        instrument = await self.instrument(symbol)
        request = GetOpenInterestHistory(instrument, interval, start_ns, end_ns, count)
        return await self.request(request)

    def history(
        self,
        symbol: str,
        series: Series | str = Series.CANDLES,
        *,
        start: When | None = None,
        end: When | None = None,
        interval: str | None = None,
        resume: str | None = None,
        share: float = 0.8,
    ) -> History:
        """A history of any length, page by page: ``async for page in client.history(…)``.

        Its rows are what ``get_candles`` and kin bring of ``start <= t < end``, oldest first, each
        once; memory holds a page. Candles that are still open aren't part of it.

        :param series: ``"candles"``, ``"mark_candles"``, ``"index_candles"``, ``"trades"``,
            ``"funding"`` or ``"open_interest"``.
        :param start: an aware datetime or nanoseconds UTC.
        :param end: None, or a time to come: the exchange's time when the first page is asked for.
        :param interval: of candles (``"1m"`` unless told) and open interest (``"1h"``).
        :param resume: a page's ``resume``: go on behind that page, to the end that was fixed then.
        :param share: the part of the exchange's request budget that it may use; the rest stays free
            for books and whatever else is asked.
        :raises UsageError: where the arguments can't work, or ``resume`` is of another history.
        :raises Unsupported: where the exchange doesn't offer it.
        """
        return History(
            self,
            symbol,
            series_of(series),
            interval=interval,
            span=stretch(start, end, None)[:2],
            resume=resume,
            share=share,
        )

    async def get_open_interest(self, symbol: str) -> OpenInterest:
        """How much of a derivative is held open now, counted on one side."""
        return await self.request(GetOpenInterest(await self.instrument(symbol)))
