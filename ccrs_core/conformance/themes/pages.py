"""What further pages cost (37), and lists of instruments that take several of them (2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import attrs

from ccrs_core.conformance.judges import answers
from ccrs_core.conformance.themes.histories import Series, page_size, series_of
from ccrs_core.conformance.workbench.allowance import Allowance, Question, question
from ccrs_core.conformance.workbench.line import Line, Page
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.contract.rest import GetInstruments, GetTrades, Request
from ccrs_core.emulator import Listing
from ccrs_core.errors import RateLimited
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Market
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

_MOST_PAGES = 8
_TAKEN = 60
"""So often a page is asked for where the exchange doesn't say what it has cost."""
_TIMES = 10**9
"""Numbers from here on are times: pages that differ in them alone cost the same."""
_MOST_KINDS = 12
_MANY = 2500
_LARGEST = 1200
"""Longer pages of instruments are not filled up here."""


class PageProperties:
    """Of answers in pages."""

    @proves(37, quick=False)
    def test_further_pages_cost_what_is_said(self, subject: Subject) -> None:
        """Each page of an answer, not the first alone, costs no more of the exchange's budget than
        ``Endpoint.weight_of`` says: those after holes, from before the listing, and of other calls
        as well."""
        tried: set[tuple[Any, ...]] = set()
        for line, request in _in_pages(subject):
            endpoint = subject.exchange.endpoints[type(request)]
            for page in islice(line.pages(request), _MOST_PAGES):
                weight = endpoint.weight_of(request, page.cursor)
                bounds = tuple(pair for pair in page.asked.query if not _is_time(pair[1]))
                key = (type(request), page.asked.path, weight, bounds)
                if key not in tried:
                    tried.add(key)
                    _costs(subject, line, request, page, weight)
        if not tried:
            subject.undeclared("request that is answered in pages")

    @proves(2, quick=False)
    def test_lists_of_instruments_are_whole_in_any_number_of_pages(self, subject: Subject) -> None:
        """However many instruments are listed, fewer than a page, exactly some pages, or a few more
        or less, each is told exactly once; and where a kind of them isn't listed at all, so that a
        page in the middle or the last one is empty, all others are."""
        endpoint = subject.exchange.endpoints.get(GetInstruments)
        if endpoint is None:
            subject.undeclared("request for instruments")
        for market in (m for m in Market if m in endpoint.markets):
            _without_a_kind(subject, market)
        asked = [m for m in Market if m in endpoint.markets]
        _in_numbers(
            subject, asked[subject.seed % len(asked) :] + asked[: subject.seed % len(asked)]
        )

    @proves(2)
    def test_the_last_trades_are_as_many_as_asked_for(self, subject: Subject) -> None:
        """Of the last trades as many come as are asked for, one, a page, one more than a page, or
        all there are: each once, oldest first, the newest last."""
        endpoint = subject.exchange.endpoints.get(GetTrades)
        if endpoint is None:
            subject.undeclared("request for trades")
        for market in (m for m in Market if m in endpoint.markets):
            _trades(subject, subject.instrument(market))


# --- what pages cost -----------------------------------------------------------------------------


def _is_time(text: str) -> bool:
    return text.isdecimal() and int(text) >= _TIMES


def _in_pages(subject: Subject) -> Iterator[tuple[Line, Request[Any]]]:
    """Questions whose answers take several pages, each with an exchange that answers it so."""
    declared = subject.exchange.endpoints
    if GetInstruments in declared:
        for market in (m for m in Market if m in declared[GetInstruments].markets):
            yield subject.line(), GetInstruments(market)
    if any(
        kind.__name__ in {"GetCandles", "GetFundingHistory", "GetOpenInterestHistory"}
        for kind in declared
    ):
        for series in series_of(subject):
            yield from _of_history(subject, series)


def _of_history(subject: Subject, series: Series) -> Iterator[tuple[Line, Request[Any]]]:
    def line(listing: Listing) -> Line:
        return subject.line(subject.venue(listings=[listing], rate=0.01))

    old = line(series.listing)
    page = page_size(old, series)
    yield old, series.request((None, None, 2 * page + 5))
    yield old, series.request((series.back(2 * page), None, 2 * page + 5))
    # Few are wanted, and lie far from where they are asked from.
    young, _ = series.past((page, 0))
    long_before = max(
        series.back((500 if series.long else 5) * page), START_NS - 3000 * 86_400 * NS_PER_SECOND
    )
    yield line(young), series.request((long_before, None, 5))
    yield line(young), series.request((long_before, None, page + 5))
    yield line(young), series.request((None, None, page + 5))


def _costs(subject: Subject, line: Line, request: Request[Any], page: Page, weight: int) -> None:
    exchange, venue = subject.exchange, line.venue
    asking = subject.line(venue, address=line.another())
    response = asking.http(page.asked)
    used = exchange.weight_used(response)
    which = "the first page" if page.cursor is None else f"the page of cursor {page.cursor!r}"
    what = (
        f"{which} of {type(request).__name__} ({page.asked.path}?{page.asked.query_string}) is "
        f"said to cost {weight} (Endpoint.weight_of)"
    )
    hint = (
        "The client spends more than it counts, and is barred. Endpoint.page_weight tells what "
        "pages cost of which the first one's weight isn't theirs"
    )
    assert used is None or used <= weight, f"{what}; the exchange counts {used}. {hint}"
    if used is not None:
        return
    held, allowance = question(exchange, request, page.cursor), Allowance()
    times = min(held.most, _TAKEN)
    for _ in range(times):
        allowance.take(held)
    another = subject.line(venue, address=line.another())
    # What is light uses up what these leave, as far as its own pool lets it.
    for filler in _lightest(subject, held.host):
        while not allowance.take(filler):
            another.http(filler.http)
    for number in range(times):
        error = exchange.error_of(another.http(page.asked))
        assert not isinstance(error, RateLimited), (
            f"{what}, so that {times} of them fit into what is left of its budgets ({held.told}); "
            f"after {number} the exchange answers {error!r}. {hint}"
        )


def _lightest(subject: Subject, host: str) -> list[Question]:
    """What a host may be asked, first what costs least of its budget."""
    found = [
        question(subject.exchange, request)
        for market in subject.markets
        for request in requests_of(subject, subject.instrument(market))
    ]
    return sorted((each for each in found if each.host == host), key=lambda each: each.weight)


# --- lists of instruments ------------------------------------------------------------------------


def _told(line: Line, market: Market) -> list[str]:
    found: list[Instrument] = line.ask(GetInstruments(market))
    return [each.native for each in found]


def _without_a_kind(subject: Subject, market: Market) -> None:
    """Leave out each coin, category and status in turn."""
    known = {each.native for each in subject.instruments[market]}
    everything = list(subject.listings.values())
    mine = [each for each in everything if each.market is market and each.symbol in known]
    line = subject.line(subject.venue(listings=everything))
    # Those of which there is most to lose: many a coin has one instrument.
    counted = Counter(kind for each in mine for kind in _kinds(each))
    for kind, _ in counted.most_common(_MOST_KINDS):
        left = [e for e in everything if e.market is not market or kind not in _kinds(e)]
        line.venue.relist(left)
        listed = {each.symbol for each in left if each.market is market}
        where = f"where no {market.value} instrument of {kind[0]} {kind[1]} is listed"
        # Where nothing is left that can be read, an exchange's answer may be an error.
        if listed & known:
            _compare(_told(line, market), listed & known, listed, where)


def _kinds(listing: Listing) -> set[tuple[str, str]]:
    return {
        ("coin", listing.base),
        ("category", listing.category),
        ("status", listing.status.value),
        ("expiry", "some day" if listing.expiry_ns else "never"),
    }


def _in_numbers(subject: Subject, markets: Sequence[Market]) -> None:
    """List so many of the first market that is told in pages, around the size of one."""
    for market in markets:
        made = list(_made(subject, market, _MANY))
        if not made:
            continue  # Their names can't be made up.
        line = subject.line(subject.venue(listings=made))
        rows = [_rows(page) for page in line.pages(GetInstruments(market))]
        page = max(rows)
        if page > _LARGEST or page >= _MANY:
            continue
        # A page may hold a row besides that can't be read.
        for count in (1, page - 1, page, page + 1, 2 * page - 1, 2 * page):
            line.venue.relist(made[:count])
            due = {each.symbol for each in made[:count]}
            where = f"where {count} {market.value} instruments are listed"
            _compare(_told(line, market), due, due, where)
        return


def _rows(page: Page) -> int:
    return len(page.answer.value) + page.answer.left_out


def _made(subject: Subject, market: Market, count: int) -> Iterator[Listing]:
    """The liveliest listing with other coins, where its symbol begins with its coin."""
    of = subject.listings[market, subject.instrument(market).native]
    line = subject.line()
    tried = _coined(of, 0)
    if tried is None or of.expiry_ns is not None:
        return
    line.venue.relist([tried])
    if _told(line, market) != [tried.symbol]:
        return
    for number in range(count):
        made = _coined(of, number)
        assert made is not None
        yield made


def _coined(of: Listing, number: int) -> Listing | None:
    if not of.symbol.startswith(of.base):
        return None
    coin = f"Q{number:05}"
    symbol = coin + of.symbol.removeprefix(of.base)
    return attrs.evolve(of, base=coin, symbol=symbol, status=InstrumentStatus.TRADING)


def _compare(told: Sequence[str], due: set[str], listed: set[str], where: str) -> None:
    twice = [symbol for symbol, count in Counter(told).items() if count > 1]
    lost, strange = sorted(due - set(told)), sorted(set(told) - listed)
    wrong = twice or lost or strange
    assert not wrong, (
        f"{where}, {len(told)} of {len(due)} are told: missing are {lost[:3]}, told more than once "
        f"{twice[:3]}, not listed {strange[:3]}. Whoever trades by this list misses them. An empty "
        "page isn't the last one where another kind follows, and a full one needn't have a next: "
        "look at the cursors that decode() of GetInstruments returns"
    )


# --- trades --------------------------------------------------------------------------------------


def _trades(subject: Subject, instrument: Instrument) -> None:
    line = subject.line(subject.venue(rate=100.0))
    truth = Truth(line.venue, depth=1)
    history = truth.of(instrument)
    market = line.venue.market(truth.listing(instrument))
    request = GetTrades(instrument, 10**4)
    for _ in range(40):
        if len(market.tape.trades) > 130:
            break
        line.venue.advance(line.venue.now_ns + NS_PER_SECOND // 2)
        line.venue.market(truth.listing(instrument))
    first = next(line.pages(request)).answer.value
    page = max(1, len(first))
    for count in sorted({1, 2, page - 1, page, page + 1, 10**4} - {0}):
        answers.trades_are_true(line, history, instrument, count)
        came = len(line.ask(GetTrades(instrument, count)))
        assert came == min(count, page), (
            f"of the last {count} trades of {instrument.symbol} {came} come, though {page} do "
            "where more are asked for. Look at the limit in encode() and at what decode() cuts"
        )


__all__ = ["PageProperties"]
