"""A history as users fetch it: page by page, from any place on."""

from __future__ import annotations

from typing import Any, Protocol, Self

from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import GetOpenInterestHistory, GetServerTime, Request
from ccrs_core.errors import Unsupported, UsageError
from ccrs_core.model.histories import Bookmark, HistoryPage, Series
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.times import shown
from ccrs_core.requests.course import REQUESTS, Course
from ccrs_core.requests.pages import TooManyRows
from ccrs_core.requests.requester import Requester

_USUAL = {Series.OPEN_INTEREST: "1h"}


class _Asker(Protocol):
    """The client that a history is asked of."""

    exchange: Exchange

    def _ready(self) -> Requester: ...

    async def instrument(self, symbol: str) -> Instrument: ...


class History:
    """What :meth:`Client.history <ccrs_core.Client.history>` returns: iterate over it for its pages
    (:class:`~ccrs_core.HistoryPage`), each with ``rows``, ``progress`` and ``resume``.

    Where asking fails, the error is raised at that page; iterate again, and it goes on there, or
    keep ``resume`` and go on another day. Pages without rows are left out.
    """

    def __init__(
        self,
        client: _Asker,
        symbol: str,
        series: Series,
        *,
        interval: str | None,
        span: tuple[int | None, int | None],
        resume: str | None,
        share: float,
    ) -> None:
        if not 0 < share <= 1:
            raise UsageError(f"share must be above 0 and at most 1, not {share!r:.100}")
        if not isinstance(symbol, str):
            raise UsageError(f"symbol must be a text such as 'BTC/USDT', not {symbol!r:.100}")
        exchange, kind = client.exchange, REQUESTS[series]
        if series.by_interval:
            if interval is None:
                interval = _USUAL.get(series, "1m")
            check_interval(exchange, kind, interval)
        elif interval is not None:
            raise UsageError(f"{series.value} have no interval; candles and open interest have")
        if kind not in exchange.endpoints:
            raise Unsupported(f"{exchange.name} has no history of {series.value}")
        self._client = client
        self._share = share
        self._series = series
        self._symbol = symbol
        self._interval = interval
        self._start_ns, self._end_ns = span
        self._place: Bookmark | None = None
        if resume is not None:
            self._place = place = Bookmark.read(resume)
            place.check(
                exchange=exchange.name,
                series=series,
                symbol=symbol,
                interval=interval,
                start_ns=self._start_ns,
            )
            if self._end_ns is not None and min(self._end_ns, place.until_ns) != place.end_ns:
                place.check(end_ns=self._end_ns)
        elif self._start_ns is None:
            raise UsageError("a history from when on? Say start, a datetime or nanoseconds UTC")
        self._course: Course | None = None

    def __repr__(self) -> str:
        interval = "" if self._interval is None else f" {self._interval}"
        place = "" if self.resume is None else f", {self.progress:.0%}"
        return f"<History {self._series.value}{interval} of {self._symbol}{place}>"

    @property
    def resume(self) -> str | None:
        """Where it goes on; None before its end is fixed, with the first page."""
        place = self._at
        return None if place is None else str(place)

    @property
    def progress(self) -> float:
        """How much of the stretch of time lies behind, up to 1."""
        place = self._at
        return 0.0 if place is None else place.progress

    @property
    def _at(self) -> Bookmark | None:
        return self._place if self._course is None else self._course.place

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> HistoryPage[Any]:
        course = await self._begun()
        requester = self._client._ready()
        while not course.complete:
            answer = await self._answer(course, requester)
            rows = course.take(answer)
            if rows:
                return HistoryPage(rows, course.place.progress, str(course.place))
        raise StopAsyncIteration

    async def _begun(self) -> Course:
        if self._course is None:
            instrument = await self._client.instrument(self._symbol)
            if self._place is None:
                self._place = await self._first_place()
            self._course = Course(self._place, instrument)
        return self._course

    async def _first_place(self) -> Bookmark:
        start_ns, exchange = self._start_ns, self._client.exchange
        assert start_ns is not None
        requester = self._client._ready()
        if GetServerTime in exchange.endpoints:
            now_ns = await requester.ask(GetServerTime(), share=self._share)
        else:
            now_ns = requester.now_ns
        if start_ns > now_ns:
            raise UsageError(f"start {shown(start_ns)} is yet to come: it is {shown(now_ns)}")
        end_ns = now_ns if self._end_ns is None else min(self._end_ns, now_ns)
        return Bookmark(
            exchange.name,
            self._series,
            self._symbol,
            self._interval,
            start_ns,
            end_ns,
            at_ns=start_ns,
            until_ns=now_ns,
        )

    async def _answer(self, course: Course, requester: Requester) -> list[Any]:
        asked: Request[list[Any]] = course.question(by_time=False)
        by_time = requester.endpoint(asked).goes_back(asked)
        while True:
            asked = course.question(by_time=by_time)
            try:
                return await requester.ask(asked, share=self._share, most=course.most)
            except TooManyRows:
                course.narrow()


def series_of(value: Series | str) -> Series:
    """A kind of history by name.

    :raises UsageError: where it is none.
    """
    try:
        return Series(str(value).replace("-", "_"))
    except ValueError:
        import difflib

        names = [each.value for each in Series]
        near = difflib.get_close_matches(str(value), names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
        raise UsageError(f"no history of {value!r:.100}; {hint}") from None


def check_interval(exchange: Exchange, kind: type[Request[Any]], interval: str) -> None:
    """:raises Unsupported: where an exchange has no such interval."""
    capabilities, what = exchange.capabilities, "candles"
    offered = capabilities.intervals
    if kind is GetOpenInterestHistory:
        offered, what = capabilities.open_interest_intervals, "open interest"
    if interval not in offered:
        names = ", ".join(offered) or "none"
        raise Unsupported(f"{exchange.name} offers no {what} of {interval}; it offers {names}")


__all__ = ["History", "check_interval", "series_of"]
