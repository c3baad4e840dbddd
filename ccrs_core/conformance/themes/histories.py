"""Property 2 of histories: whatever is asked for, and wherever pages, holes and listings begin and
end, exactly the rows come that there are, each once and in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import islice, pairwise
from typing import Any

import attrs
import orjson

from ccrs_core.conformance.judges.answers import USUAL
from ccrs_core.conformance.judges.calendars import candle_at
from ccrs_core.conformance.judges.figures import interval_of
from ccrs_core.conformance.themes.payments import perpetuals
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.rest import (
    GetCandles,
    GetFundingHistory,
    GetIndexCandles,
    GetMarkCandles,
    GetOpenInterestHistory,
    HttpRequest,
    HttpResponse,
    Request,
)
from ccrs_core.emulator import EmulatedExchange, Figure, Listing, Oddity, reference_bar
from ccrs_core.errors import CcrsError, Unsupported
from ccrs_core.model.events import Candle
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

_HOUR_NS = 3600 * NS_PER_SECOND
_LARGEST = 1500
"""Pages that hold more are not filled up here."""
_LATE_NS = 20 * NS_PER_SECOND
"""So long after the newest row began it is asked."""

_WORDS: Mapping[type[Request[Any]], str] = {
    GetCandles: "candles",
    GetMarkCandles: "candles of the mark price",
    GetIndexCandles: "candles of the index",
    GetOpenInterestHistory: "open interest",
    GetFundingHistory: "funding rates, paid every hour,",
}
_TIMES: Mapping[type[Request[Any]], str] = {
    GetOpenInterestHistory: "exchange_time_ns",
    GetFundingHistory: "funding_time_ns",
}
_FIGURES: Mapping[type[Request[Any]], Figure] = {
    GetMarkCandles: Figure.MARK_PRICE,
    GetIndexCandles: Figure.INDEX_PRICE,
}

Span = tuple[int | None, int | None, int]
"""What is asked for: its start, its end and at most how many."""


@attrs.frozen
class Series:
    """One kind of history of one instrument."""

    kind: type[Request[list[Any]]]
    instrument: Instrument
    listing: Listing
    name: str
    """The interval; empty where it is of funding."""
    step_ns: int
    retention_ns: int | None = None
    """How far back the exchange tells it; None: of any time."""

    @property
    def what(self) -> str:
        rows = f"{_WORDS[self.kind]} of {self.name}" if self.name else _WORDS[self.kind]
        return f"{rows} of {self.instrument.symbol}"

    @property
    def long(self) -> bool:
        """Whether the exchange tells it of any time: of open interest many keep some weeks."""
        return self.kind is not GetOpenInterestHistory and self.retention_ns is None

    def request(self, span: Span) -> Request[list[Any]]:
        """The question for a span."""
        kind: Any = self.kind
        found: Request[list[Any]] = kind(self.instrument, *filter(None, [self.name]), *span)
        return found

    def time_of(self, row: Any) -> int:
        """When a row begins."""
        at: int | None = getattr(row, _TIMES.get(self.kind, "open_time_ns"))
        return at or 0

    def back(self, count: int) -> int:
        """When the row that lies so many steps before the newest one begins."""
        return START_NS - count * self.step_ns

    def past(self, *stretches: tuple[int, int]) -> tuple[Listing, list[int]]:
        """A listing, newest stretch first, that was traded for so many steps and before that halted
        for so many; and when its rows begin. It begins with the last stretch."""
        halts: list[tuple[int, int]] = []
        times: list[int] = []
        at = 0
        for traded, halted in stretches:
            times += [self.back(n) for n in range(at, at + traded)]
            at += traded
            if halted:
                halts.append((self.back(at + halted - 1), self.back(at - 1)))
            at += halted
        times.reverse()
        listing = attrs.evolve(self.listing, launch_ns=times[0], halts=tuple(reversed(halts)))
        return listing, times


class HistoryProperties:
    """Histories at the borders of pages, listings and holes."""

    @proves(2, quick=False)
    def test_histories_are_whole_at_every_border(self, subject: Subject) -> None:
        """Candles and funding rates come each once and in order, for limits and spans around one
        page and several, ends at any time (long past, between two rows, in the future), starts
        before the listing, listings of exactly some pages, and holes longer than a page."""
        for series in series_of(subject):
            line = _line(subject, series.listing)
            page = page_size(line, series)
            known = _known(line, series, page)
            for span in _plain(series, page):
                _ask(line, series, span, known)
            for count in (2 * page, 2 * page + 1):
                listing, times = series.past((count, 0))
                line = _line(subject, listing)
                for span in _young(series, times, page):
                    _ask(line, series, span, times[-len(known) :])
            if Oddity.HOLES not in subject.dialect().lacks:
                half = page // 2 + 1
                listing, times = series.past((half, page + half), (page, 3 * page), (half, 0))
                line = _line(subject, listing)
                for span in _holed(series, times, page):
                    _ask(line, series, span, times[-len(known) :])
                listing, times = series.past((0, page + half), (page, 3 * page), (half, 0))
                line = _line(subject, listing)
                for span in _halted_now(series, times, page):
                    _ask(line, series, span, times[-len(known) :])

    @proves(2, quick=False)
    def test_a_history_stays_whole_while_time_passes(self, subject: Subject) -> None:
        """Where new rows come between an answer's pages, none is lost, doubled or out of its place,
        and only the newest candle may be open."""
        for series in series_of(subject):
            page = page_size(_line(subject, series.listing), series)
            for span in (
                (None, None, 2 * page + 1),
                (series.back(2 * page), None, 3 * page),
                (series.back(page), series.back(-100), 3 * page),
            ):
                _passing(subject, series, span)

    @proves(2, quick=False)
    def test_a_row_that_cannot_be_read_is_not_the_end_of_a_history(self, subject: Subject) -> None:
        """Where one row of a full page can't be read, either the answer is an error, or all others
        come, of all pages: a page with a row less is full all the same."""
        for series in series_of(subject):
            page = page_size(_line(subject, series.listing), series)
            for span in ((None, None, 2 * page + 5), (series.back(2 * page), None, 2 * page + 5)):
                _spoiled(subject, series, span)


def series_of(subject: Subject) -> Iterator[Series]:
    """Every declared kind of history, of each market that answers it."""
    declared = subject.exchange.endpoints
    wanted = [kind for kind in _WORDS if kind in declared]
    if not wanted:
        subject.undeclared("history")
    if GetFundingHistory in wanted:
        for market in (m for m in Market if m in declared[GetFundingHistory].markets):
            for instrument in perpetuals(subject, market)[:1]:
                listing = subject.listings[market, instrument.native]
                paying = attrs.evolve(
                    listing, launch_ns=0, halts=(), funding_interval_ns=_HOUR_NS, pace=0.0001
                )
                yield _kept(subject, Series(GetFundingHistory, instrument, paying, "", _HOUR_NS))
    for kind in wanted:
        if kind is GetFundingHistory:
            continue
        capabilities = subject.exchange.capabilities
        held = kind is GetOpenInterestHistory
        names = capabilities.open_interest_intervals if held else capabilities.intervals
        assert names, f"{kind.__name__} is declared, and no interval of it (Capabilities)"
        open_ns, close_ns = candle_at(names[0], START_NS)
        assert open_ns == START_NS, "the emulated time begins where a candle does"
        for market in (m for m in Market if m in declared[kind].markets):
            instrument = subject.instrument(market)
            listing = subject.listings[market, instrument.native]
            listing = attrs.evolve(listing, launch_ns=0, halts=())
            step_ns = close_ns - open_ns
            yield _kept(subject, Series(kind, instrument, listing, names[0], step_ns))


def _kept(subject: Subject, series: Series) -> Series:
    endpoint, request = subject.exchange.endpoints[series.kind], series.request((None, None, 1))
    return attrs.evolve(series, retention_ns=endpoint.retention_of(request))


def _line(subject: Subject, listing: Listing) -> Line:
    line = subject.line(subject.venue(listings=[listing], rate=0.01))
    line.venue.advance(START_NS + _LATE_NS)
    return line


def page_size(line: Line, series: Series) -> int:
    """How many rows a page holds."""
    rows = [
        len(page.answer.value)
        for span in (
            (None, None, 4 * _LARGEST),
            *([(series.back(3 * _LARGEST), None, 2 * _LARGEST)] if series.long else []),
        )
        for page in islice(line.pages(series.request(span)), 2)
    ]
    return min(max(rows), _LARGEST)


def _known(line: Line, series: Series, page: int) -> list[int]:
    """The rows that the exchange still knows, of as many as are asked for below."""
    most = 6 * page + 10
    times = [series.back(n) for n in reversed(range(most))]
    found: list[Any] = line.ask(series.request((None, None, most)))[-most:]
    if len(found) < most:
        before_ns = series.time_of(found[0]) if found else None
        more: list[Any] = []
        with suppress(Unsupported):
            more = line.ask(series.request((None, before_ns, USUAL)))
        complete = not more and len(found) >= USUAL
        assert complete, (
            f"of the last {most} {series.what} {len(found)} come; asked for those before them, the "
            f"exchange gives {len(more)} more. Whoever asks for many gets a part of them. Where an "
            "answer holds fewer than asked for, decode() must return a cursor for the next page"
        )
        times = times[-len(found) :]
    return times


# --- what is asked for ---------------------------------------------------------------------------


def _plain(series: Series, page: int) -> Iterator[Span]:
    """Of a market that is old and was never halted."""
    back = series.back
    for count in (1, page - 1, page, page + 1, 2 * page):
        yield None, None, max(1, count)
    # Some exchanges have one call for what is recent, and another one for the rest.
    for end in range(11):
        yield None, back(end * page // 2), 3
    for limit in (2 * page, 2 * page + 1):
        yield back(3 * page), back(page), limit
    yield None, back(5 * page), page + 1
    for limit in (page, page + 1):
        yield back(2 * page), None, limit
    yield back(page - 1), None, 3 * page
    yield back(5), back(5), 10
    yield back(5), back(-100), 10
    yield None, back(-100), 5
    yield back(-50), back(-100), 5
    yield back(-50), None, 5
    for off_ns in (1, 1_000_000, series.step_ns - 1):
        yield back(9) + off_ns, back(3) + off_ns, 10
        yield None, back(3) + off_ns, 2
        yield back(9) - off_ns, back(3) - off_ns, 10


def _young(series: Series, times: Sequence[int], page: int) -> Iterator[Span]:
    """Of a market that was listed exactly some pages ago."""
    launch_ns, step_ns = times[0], series.step_ns
    yield None, None, len(times)
    yield None, None, len(times) + 50
    yield launch_ns, None, len(times)
    yield launch_ns - 3 * page * step_ns, None, page
    yield launch_ns - 3 * page * step_ns, None, 3 * page
    yield launch_ns - 3 * page * step_ns, launch_ns, page
    yield None, launch_ns, 5
    yield None, launch_ns + step_ns, page
    yield launch_ns - step_ns, launch_ns + step_ns, 5
    yield launch_ns, launch_ns + page * step_ns, 2 * page
    yield launch_ns, launch_ns + page * step_ns, page


def _holed(series: Series, times: Sequence[int], page: int) -> Iterator[Span]:
    """Of a market that was halted for longer than a page is, twice."""
    step_ns = series.step_ns
    edges = [(a, b) for a, b in pairwise(times) if b - a > step_ns]
    yield None, None, len(times)
    yield None, None, page
    yield times[0], None, len(times)
    yield times[0], None, page
    for last_ns, first_ns in edges:
        inside_ns = last_ns + (first_ns - last_ns) // (2 * step_ns) * step_ns
        yield None, first_ns, 3
        yield None, inside_ns, page + 5
        yield inside_ns, None, page + 5
        yield inside_ns, first_ns + 3 * step_ns, page
        yield last_ns - 3 * step_ns, inside_ns, page
        yield last_ns + step_ns, first_ns, page
        yield last_ns - 3 * step_ns, first_ns + 3 * step_ns, 5


def _halted_now(series: Series, times: Sequence[int], page: int) -> Iterator[Span]:
    """Of a market that has been halted for longer than a page, and is still."""
    yield None, None, page
    yield None, series.back(-100), len(times)
    yield times[-1], None, 5
    yield series.back(page), None, 5


# --- judging -------------------------------------------------------------------------------------


def _ask(line: Line, series: Series, span: Span, times: Sequence[int]) -> None:
    """Fails unless exactly the rows of a span come, which are the market's."""
    start_ns, end_ns, limit = span
    found: list[Any] = line.ask(series.request(span))
    # As the client cuts what pages bring.
    found = found[-limit:] if start_ns is None else found[:limit]
    inside = [
        at
        for at in times
        if (start_ns is None or at >= start_ns) and (end_ns is None or at < end_ns)
    ]
    true = inside[-limit:] if start_ns is None else inside[:limit]
    told = [series.time_of(row) for row in found]
    if told != true:
        raise AssertionError(_wrong(line.venue, series, span, told, true))
    _values(line.venue, series, found)


def _wrong(
    venue: EmulatedExchange, series: Series, span: Span, told: list[int], true: list[int]
) -> str:
    start_ns, end_ns, limit = span
    bounds = "".join(
        f" {word} {_spelled(at)}"
        for word, at in (("from", start_ns), ("before", end_ns))
        if at is not None
    )
    order = "first" if start_ns is not None else "last"
    (listing,) = venue.listings.values()
    halts = ", ".join(f"{clock(a)} to {clock(b)}" for a, b in listing.halts) or "never"
    doubled = len(told) - len(set(told))
    if doubled:
        wrong = f"{doubled} come more than once"
    elif sorted(told) == true:
        wrong = "they are out of order (oldest first)"
    elif lost := sorted(set(true) - set(told)):
        wrong = f"{len(lost)} are missing, the first is of {clock(lost[0])}"
    else:
        more = sorted(set(told) - set(true))
        wrong = f"{len(more)} come that weren't asked for, the first is of {clock(more[0])}"
    return (
        f"at {clock(venue.now_ns)} the {order} {limit} {series.what}{bounds} are asked for; there "
        f"are {len(true)}, and {len(told)} come: {wrong}. It is listed since "
        f"{clock(listing.launch_ns)}, and was halted: {halts}. A start is inclusive and an end "
        "exclusive, whatever the exchange's are; neither a short page nor an empty one is the end. "
        "Look at encode() and decode() of the endpoint, and at ccrs_core.wire.paging"
    )


def _spelled(time_ns: int) -> str:
    rest = time_ns % 1_000_000
    return clock(time_ns) + (f" and {rest} ns" if rest else "")


def _values(venue: EmulatedExchange, series: Series, rows: Sequence[Any]) -> None:
    """Fails unless rows say what the market holds."""
    (listing,) = venue.listings.values()
    market = venue.market(listing)
    if series.kind is GetFundingHistory:
        for row in rows:
            rate = Decimal(market.funding_at(row.funding_time_ns)).scaleb(-6)
            assert row.rate == rate, (
                f"the rate of {listing.symbol} paid at {clock(row.funding_time_ns)} is said to be "
                f"{row.rate}; it was {rate}"
            )
        return
    if series.kind is GetOpenInterestHistory:
        for row in rows:
            lots = market.open_interest_at(row.exchange_time_ns)
            assert row.open_interest == market.rules.size.value(lots), (
                f"the open interest of {listing.symbol} at {clock(row.exchange_time_ns)} is said "
                f"to be {row.open_interest}; it was {market.rules.size.value(lots)}, on one side"
            )
        return
    interval = interval_of(series.name)
    figure = _FIGURES.get(series.kind)
    for place, row in enumerate(rows):
        span = candle_at(series.name, row.open_time_ns)
        told = row.open_time_ns, row.close_time_ns, row.closed
        assert told == (*span, span[1] <= venue.now_ns), (
            f"at {clock(venue.now_ns)} a candle of {listing.symbol} that opened at "
            f"{clock(span[0])} is said to end at {clock(row.close_time_ns)}, and to be "
            f"{'closed' if row.closed else 'open'}"
        )
        if place % 97 == 0 or place + 1 == len(rows):
            bar = market.tape.candle(interval, row.open_time_ns)
            true = market.rules.size.value(bar.lots), market.rules.price.value(bar.close)
            if figure is not None:
                price = market.rules.price.value(reference_bar(bar, figure).close) / 100
                true = Decimal(0), price
            assert (row.volume, row.close) == true, (
                f"the candle of {listing.symbol} that opened at {clock(span[0])} says volume and "
                f"close {row.volume}, {row.close}; the market's are {true[0]}, {true[1]}"
            )


def _spoiled(subject: Subject, series: Series, span: Span) -> None:
    """One row of the first page is strange."""
    line, spoiled = _line(subject, series.listing), False
    fetch = line.http

    def http(request: HttpRequest) -> HttpResponse:
        nonlocal spoiled
        response = fetch(request)
        body = orjson.loads(response.body)
        rows = _longest(body)
        if spoiled or len(rows) < 3:
            return response
        spoiled = True
        rows[len(rows) // 2] = {}
        return attrs.evolve(response, body=orjson.dumps(body))

    line.http = http  # type: ignore[method-assign]
    try:
        found: list[Any] = line.ask(series.request(span))
    except CcrsError:
        return  # Whoever asks is told.
    start_ns, _, limit = span
    rows = found[-limit:] if start_ns is None else found[:limit]
    told = [series.time_of(row) for row in rows]
    first_ns = told[0] if start_ns is None and told else start_ns or 0
    true = [at for n in range(limit + 1) if (at := series.back(n)) >= first_ns]
    lost = sorted(set(true) - set(told))
    complete = len(lost) <= 1 and len(told) >= min(limit, len(true)) - 1
    assert complete, (
        f"{len(told)} {series.what} come where {_in_words(span)} are asked for, and one row of "
        f"the first page can't be read: {len(lost)} are missing. Whether a page is full, and where "
        "the next one begins, is told by its rows, not by those that could be read: see rows= of "
        "ccrs_core.wire.paging.candles_of_page"
    )


def _in_words(span: Span) -> str:
    """A span in words."""
    start_ns, end_ns, limit = span
    words = [f"at most {limit}"]
    words += [f"from {_spelled(start_ns)}"] if start_ns is not None else []
    words += [f"before {_spelled(end_ns)}"] if end_ns is not None else []
    return " ".join(words)


def _longest(value: Any) -> list[Any]:
    """The longest list in a JSON value whose items are no plain values."""
    found: list[Any] = []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, list) and all(isinstance(each, list | dict) for each in value):
        found = value
    for each in inner:
        if isinstance(each, list | dict) and len(other := _longest(each)) > len(found):
            found = other
    return found


def _passing(subject: Subject, series: Series, span: Span) -> None:
    """A step passes after each page."""
    line = _line(subject, series.listing)
    request = series.request(span)
    pages: list[list[Any]] = []
    for page in line.pages(request):
        pages.append(page.answer.value)
        line.venue.advance(line.venue.now_ns + series.step_ns)
    if subject.exchange.endpoints[type(request)].goes_back(request):
        pages.reverse()
    start_ns, _, limit = span
    rows = [row for page in pages for row in page]
    rows = rows[-limit:] if start_ns is None else rows[:limit]
    times = [series.time_of(row) for row in rows]
    begin = "; while it is asked for page by page, time goes on"
    assert times, f"nothing comes of {series.what}{begin}"
    steps = {b - a for a, b in pairwise(times)}
    assert steps <= {series.step_ns}, (
        f"{series.what}{begin}: rows that follow each other lie "
        f"{', '.join(f'{step / NS_PER_SECOND:g}' for step in sorted(steps))} s apart instead of "
        f"{series.step_ns / NS_PER_SECOND:g}. A page must begin where the one before it ended, by "
        "the rows that came, not by how many there were or by what time it is"
    )
    begun = len(times) == limit if start_ns is None else times[0] == start_ns
    complete = begun and times[-1] >= START_NS
    assert complete, (
        f"{len(times)} {series.what} come, {clock(times[0])} to {clock(times[-1])}, where "
        f"{request} is asked for at {clock(START_NS + _LATE_NS)}{begin}"
    )
    still_open = [row for row in rows[:-1] if isinstance(row, Candle) and not row.closed]
    assert not still_open, (
        f"the candle of {clock(still_open[0].open_time_ns)} is called open, though one after it is "
        f"in the same answer{begin}"
    )


__all__ = ["HistoryProperties", "Series", "page_size", "series_of"]
