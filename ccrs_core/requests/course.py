"""A long history, asked for in parts that fit into memory. Pure.

Where pages go forward in time from a start, a part is the next so many rows. Where an exchange
answers from the end of a stretch backwards, it is what lies in a stretch of time, which is longer
or shorter by how many rows came last. Either way a part begins where the one before it ended, so
that no row is told twice and none is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ccrs_core.contract.rest import (
    GetCandles,
    GetFundingHistory,
    GetIndexCandles,
    GetMarkCandles,
    GetOpenInterestHistory,
    GetTradeHistory,
    Request,
)
from ccrs_core.model.events import Candle
from ccrs_core.model.histories import Bookmark, Series
from ccrs_core.model.instruments import Instrument
from ccrs_core.model.subscriptions import INTERVALS
from ccrs_core.model.units import NS_PER_SECOND

ROWS = 5000
"""About so many rows are asked for at once."""
_MOST = 4
"""So many times as many are taken of a stretch of time, of which nobody knew how many it has."""
_GROWTH = 8
_LONGEST_NS = 10 * 366 * 86_400 * NS_PER_SECOND

REQUESTS: Mapping[Series, type[Request[Any]]] = {
    Series.CANDLES: GetCandles,
    Series.MARK_CANDLES: GetMarkCandles,
    Series.INDEX_CANDLES: GetIndexCandles,
    Series.TRADES: GetTradeHistory,
    Series.FUNDING: GetFundingHistory,
    Series.OPEN_INTEREST: GetOpenInterestHistory,
}
"""The question that is asked for each kind of rows."""

_TIMES: Mapping[Series, Callable[[Any], int]] = {
    Series.CANDLES: lambda row: row.open_time_ns,
    Series.MARK_CANDLES: lambda row: row.open_time_ns,
    Series.INDEX_CANDLES: lambda row: row.open_time_ns,
    Series.TRADES: lambda row: row.exchange_time_ns,
    Series.FUNDING: lambda row: row.funding_time_ns,
    Series.OPEN_INTEREST: lambda row: row.exchange_time_ns,
}
"""When a row begins: what the stretch is measured by."""


class Course:
    """The way through a history, from a place to its end.

    Ask ``question()``, hand what is answered to ``take``, and go on until ``complete``. Whatever
    happens in between, ``place`` is where it goes on.
    """

    def __init__(self, place: Bookmark, instrument: Instrument, *, rows: int | None = None) -> None:
        self.place = place
        self._instrument = instrument
        self._rows = self._limit = ROWS if rows is None else rows
        self._width_ns = _first_width(place)
        self._widest_ns = _LONGEST_NS
        """No stretch is longer: one that was held too much."""
        self._time_of = _TIMES[place.series]
        self._asked: Request[Any] | None = None
        self._by_time = False

    @property
    def complete(self) -> bool:
        """Whether nothing is left."""
        return self.place.at_ns >= self.place.end_ns

    def question(self, *, by_time: bool) -> Request[Any]:
        """What asks for the next part: what lies in a stretch of time, or so many rows."""
        place, self._by_time = self.place, by_time
        kind: Any = REQUESTS[place.series]
        about = (
            (self._instrument,) if place.interval is None else (self._instrument, place.interval)
        )
        if by_time:
            end_ns = min(place.at_ns + self._width_ns, place.end_ns)
            self._asked = kind(*about, place.at_ns, end_ns)
        else:
            self._asked = kind(*about, place.at_ns, place.end_ns, self._limit)
        assert self._asked is not None
        return self._asked

    @property
    def most(self) -> int | None:
        """Of how many rows an answer to the question may be at most; None: of any number. Where it
        is of more, leave it, and call :meth:`narrow`."""
        shortest = self._asked_ns <= NS_PER_SECOND
        return _MOST * self._rows if self._by_time and not shortest else None

    def narrow(self) -> None:
        """The stretch of time held more than fits; what follows a long silence does. It is looked
        for in shorter ones, none of which grows before that is found."""
        self._width_ns = max(self._asked_ns // _GROWTH, NS_PER_SECOND)
        self._widest_ns = self._width_ns

    @property
    def _asked_ns(self) -> int:
        """How long the stretch is that was asked for."""
        asked: Any = self._asked
        return int(asked.end_ns - asked.start_ns)

    def take(self, answer: list[Any]) -> list[Any]:
        """What an answer brings of the history; it goes on behind that."""
        asked: Any = self._asked
        place, time_of = self.place, self._time_of
        rows = [row for row in answer if place.at_ns <= time_of(row) < asked.end_ns]
        if self._by_time:
            self._adapt(len(rows))
            self._go_on(asked.end_ns)
        elif not rows:
            self._go_on(place.end_ns)
        else:
            rows = self._first_of_many(rows, len(answer))
        return [row for row in rows if not _unfinished(row, place.until_ns)]

    def _first_of_many(self, rows: list[Any], came: int) -> list[Any]:
        """The first rows of the rest. How many came doesn't tell whether these are all: some may
        have been unreadable."""
        last_ns = self._time_of(rows[-1])
        # Rates may be paid two at a time; but only what was cut can have cut them apart.
        apart = self.place.series is Series.FUNDING and came >= self._limit
        if self.place.series is not Series.TRADES and not apart:
            self._limit = self._rows
            self._go_on(last_ns + 1)
            return rows
        # More of the last one's time may follow: it is asked for again.
        before = [row for row in rows if self._time_of(row) < last_ns]
        if before:
            self._limit = self._rows
            self._go_on(last_ns)
            return before
        if came >= self._limit:
            self._limit *= 4
            return []
        self._go_on(last_ns + 1)
        return rows

    def _adapt(self, came: int) -> None:
        if came < self._rows // 4:
            factor = _GROWTH if came < self._rows // 32 else 2
            self._width_ns = min(self._width_ns * factor, self._widest_ns)
            return
        self._widest_ns = _LONGEST_NS
        if came > self._rows:
            self._width_ns = max(self._width_ns * self._rows // came, NS_PER_SECOND)

    def _go_on(self, at_ns: int) -> None:
        self.place = attrs.evolve(self.place, at_ns=min(at_ns, self.place.end_ns))


def _unfinished(row: Any, until_ns: int) -> bool:
    """Whether a row was still changing when the download began."""
    return isinstance(row, Candle) and (row.close_time_ns > until_ns or not row.closed)


def _first_width(place: Bookmark) -> int:
    """How long the first stretch is, of which nothing is known yet."""
    if place.series is Series.TRADES:
        return 60 * NS_PER_SECOND
    if place.interval is None:
        return 60 * 86_400 * NS_PER_SECOND
    return ROWS * INTERVALS[place.interval] * NS_PER_SECOND


__all__ = ["REQUESTS", "ROWS", "Course"]
