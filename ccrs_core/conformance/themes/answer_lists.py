"""Answers that list rows (1, 2): with a strange one, in another order, one row, none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import attrs

from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.material import Place, parsed, replaced, spelled
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.contract.rest import (
    Answer,
    GetActivity,
    GetCandles,
    GetFundingHistory,
    GetOpenInterestHistory,
    HttpResponse,
    Request,
)
from ccrs_core.errors import CcrsError
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Channel

_STRANGE: Sequence[Any] = ({}, None, "x")
"""Rows that no exchange means to send."""
_COUNT, _PAGES = 12, 2500
"""Rows that are asked for, on one page and on several."""
_LIVED = 5.0
"""Seconds for which the market runs before it is asked about."""
_TIMES = ("exchange_time_ns", "open_time_ns", "funding_time_ns")
"""What answers are ordered by, whichever of it a row has first."""


class AnswerListProperties:
    """Of lists in answers."""

    @proves(2, against=Against.NOTHING, quick=False)
    def test_lists_in_answers_may_be_short_and_in_any_order(self, subject: Subject) -> None:
        """The rows of an answer in another order make the same answer, oldest first where rows have
        times, and the same next page; one row makes an answer of one, and none an empty one."""
        tried = False
        for page, usual in _listed(subject):
            tried = True
            _any_order(page, usual)
        if not tried:
            subject.undeclared("request that is answered by a list")

    @proves(1, against=Against.NOTHING, quick=False)
    def test_a_strange_row_of_an_answer_takes_none_of_the_others_away(
        self, subject: Subject
    ) -> None:
        """A row that can't be read is left out of an answer and counted, whatever it is; the others
        are there, and the next page follows from them."""
        tried = False
        for page, usual in _listed(subject):
            if len(page.rows) > 2:
                tried = True
                for strange in _STRANGE:
                    _one_is_strange(page, usual, strange)
        if not tried:
            subject.undeclared("request that is answered by a list")


def _listed(subject: Subject) -> Iterator[tuple[_Page, Answer[Any]]]:
    """Pages that list rows, and what they say."""
    for market in subject.markets:
        instrument = subject.instrument(market)
        line = subject.line()
        listing = subject.listings.get((market, instrument.native))
        if listing is not None:
            line.venue.market(listing)
        line.venue.advance(line.venue.now_ns + round(_LIVED * 1e9))
        for request in _requests(subject, instrument):
            endpoint = line.exchange.endpoints[type(request)]
            response = line.http(endpoint.encode(request, None))
            usual = endpoint.decode(request, response, line.received_time_ns, None)
            if isinstance(usual.value, list) and usual.value:
                page = _page(line, request, response, len(usual.value) + usual.left_out)
                if page is not None:
                    yield page, usual


def _paged_market(subject: Subject) -> Market | None:
    """The last market that has histories: of funding, where any has."""
    endpoints = subject.exchange.endpoints
    for kind in (GetFundingHistory, GetCandles):
        if kind in endpoints:
            return [m for m in Market if m in endpoints[kind].markets][-1]
    return None


def _requests(subject: Subject, instrument: Instrument) -> Iterator[Request[Any]]:
    yield from requests_of(subject, instrument, _COUNT)
    if _paged_market(subject) is instrument.market:
        for request in requests_of(subject, instrument, _PAGES):
            if isinstance(request, GetCandles | GetFundingHistory | GetOpenInterestHistory):
                yield request  # whose next page follows from the rows
    endpoint = subject.exchange.endpoints.get(GetActivity)
    if endpoint is not None and instrument.market in endpoint.markets:
        for channel in (Channel.TRADES, Channel.BOOK):
            for about in {channel, Channel.CANDLES, Channel.TOP_OF_BOOK} & subject.channels.get(
                instrument.market, frozenset()
            ):
                asked = subject.exchange.activity(subject.subscription(about, instrument))
                if isinstance(asked, GetActivity) and asked.channel is channel:
                    yield asked
                    break


@attrs.frozen
class _Page:
    """A page of an answer, and where its rows are."""

    line: Line
    request: Request[Any]
    response: HttpResponse
    tree: Any
    place: Place
    rows: list[Any]

    def read(self, rows: list[Any]) -> Answer[Any]:
        """What the page says with other rows."""
        body = spelled(replaced(self.tree, self.place, rows))
        changed = HttpResponse(self.response.status, self.response.headers, body)
        exchange = self.line.exchange
        try:
            error = exchange.error_of(changed)
            if error is not None:
                raise error
            endpoint = exchange.endpoints[type(self.request)]
            return endpoint.decode(self.request, changed, self.line.received_time_ns, None)
        except (CcrsError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise AssertionError(
                f"an answer to {self.request} with {len(rows)} of its {len(self.rows)} rows isn't "
                f"read: {error!r}. Lists are as long as there is something to say\n  the answer: "
                f"{body[:500]!r}"
            ) from error


def _one_is_strange(page: _Page, usual: Answer[Any], strange: Any) -> None:
    """Fails unless a strange row in the middle is all that is left out."""
    middle = len(page.rows) // 2
    rows = [*page.rows[:middle], strange, *page.rows[middle + 1 :]]
    what = f"an answer to {page.request} of {len(rows)} rows, one of which is {strange!r},"
    found = page.read(rows)
    assert found.left_out + len(found.value) == len(rows), (
        f"{what} brings {len(found.value)} and leaves out {found.left_out}: what is lost in "
        "silence is missed by nobody. Read rows by ccrs_core.wire.read_rows"
    )
    assert found.left_out > 0, f"{what} brings {len(found.value)} and leaves none out"
    changed = [each for each in found.value if each not in usual.value]
    assert not changed, f"{what} tells {changed[0]}, which isn't told without it"
    assert found.cursor == usual.cursor, (
        f"{what} goes on at {found.cursor!r} instead of {usual.cursor!r}"
    )


def _any_order(page: _Page, usual: Answer[Any]) -> None:
    """Fails unless an answer may have its rows in any order."""
    shuffled = list(page.rows)
    Random(0).shuffle(shuffled)
    for order in (page.rows[::-1], shuffled):
        _same(page, usual, page.read(order))
    for row in (page.rows[0], page.rows[-1]):
        try:
            one = page.read([row])
        except AssertionError:
            if usual.left_out:
                continue  # it may be one that can't be read
            raise
        assert len(one.value) + one.left_out == 1, (
            f"an answer to {page.request} of one row is read as {len(one.value)}: {one.value}"
        )
        if one.value:
            assert one.value[0] in usual.value, (
                f"a row of an answer to {page.request} is read as {one.value[0]} where it stands "
                "alone, and otherwise among others: each row must be read for itself"
            )
    none = page.read([])
    assert none.value == [], f"an answer to {page.request} without rows is read as {none.value}"


def _page(line: Line, request: Request[Any], response: HttpResponse, count: int) -> _Page | None:
    """The page with its list of so many rows; None where it has none, or several."""
    tree = parsed(response.body)
    found = [(place, rows) for place, rows in _lists(tree) if len(rows) == count]
    if len(found) != 1:
        return None
    return _Page(line, request, response, tree, *found[0])


def _lists(value: Any, path: Place = ()) -> Iterator[tuple[Place, list[Any]]]:
    """The outermost lists of a value."""
    if isinstance(value, list):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _lists(item, (*path, key))


def _same(page: _Page, usual: Answer[Any], found: Answer[Any]) -> None:
    what = f"an answer to {page.request} with its rows in another order"
    there = set(map(repr, found.value))
    missing = [each for each in usual.value if repr(each) not in there]
    assert not missing, f"{what} lacks {missing[0]}"
    assert len(found.value) == len(usual.value), (
        f"{what} says {len(found.value)} things instead of {len(usual.value)}"
    )
    assert found.left_out == usual.left_out, f"{what} leaves out {found.left_out} rows"
    assert found.cursor == usual.cursor, (
        f"{what} goes on at {found.cursor!r} instead of {usual.cursor!r}: the next page follows "
        "from the oldest (or newest) row, wherever it stands, not from the first or the last"
    )
    times = [time for each in found.value if (time := _time(each)) is not None]
    if len(times) == len(found.value):
        assert times == sorted(times), (
            f"{what} isn't oldest first: {times[:5]}…. A user takes the last item for the newest. "
            "Sort by the rows' own times (a key such as operator.attrgetter), don't just turn the "
            "exchange's list round"
        )


def _time(item: Any) -> int | None:
    for name in _TIMES[::-1]:
        found = getattr(item, name, None)
        if found is not None:
            return int(found)
    return None
