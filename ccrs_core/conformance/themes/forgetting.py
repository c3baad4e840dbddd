"""Property 2 of the distant past: what an exchange keeps no more is refused, and never cut off in
silence; and it is what the exchange's documents say that it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ccrs_core.conformance.themes.documented import requests_of_facts, tell
from ccrs_core.conformance.themes.histories import Series, series_of
from ccrs_core.conformance.workbench.facts import FILE
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.requested import asked
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.rest import (
    GetCandles,
    GetFundingHistory,
    GetOpenInterestHistory,
    GetTradeHistory,
    Request,
)
from ccrs_core.errors import CcrsError, Unsupported
from ccrs_core.model.subscriptions import INTERVALS
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

_DAY_NS = 86_400 * NS_PER_SECOND
_DAYS = (3, 8, 31, 94, 400, 1200)
"""So many days ago: beyond what one exchange or another keeps."""
_ROWS = 5
_HISTORIES = GetCandles | GetFundingHistory | GetOpenInterestHistory | GetTradeHistory
_LONGER_NS = 4 * _DAY_NS
"""By so much three months may be longer than they are at least."""


class ForgettingProperties:
    """Histories that reach further back than the exchange tells."""

    @proves(2)
    def test_what_is_kept_no_more_is_refused_and_never_cut_off(self, subject: Subject) -> None:
        """Of a stretch of days, months and years ago, and of one at the very border of what the
        exchange keeps, either all rows come or ``Unsupported`` is raised; what begins a little
        later comes."""
        for series in series_of(subject):
            line = subject.line(subject.venue(listings=[series.listing], rate=0.01))
            line.venue.advance(START_NS + 20 * NS_PER_SECOND)
            for first_ns in _long_ago(series):
                _whole_or_refused(line, series, (None, first_ns))
            for first_ns in (*_long_ago(series), *_at_the_border(series)):
                _whole_or_refused(line, series, (first_ns, first_ns + _ROWS * series.step_ns))
            if series.retention_ns is not None:
                since_ns = START_NS + 120 * NS_PER_SECOND - series.retention_ns
                first_ns = START_NS - (START_NS - since_ns) // series.step_ns * series.step_ns
                span = (first_ns, first_ns + _ROWS * series.step_ns)
                _whole_or_refused(line, series, span, kept=True)

    @proves(2, against=Against.FACTS)
    def test_histories_reach_as_far_back_as_the_documents_say(self, subject: Subject) -> None:
        """How far back each history is said to reach is what the exchange's documents state, and
        the emulator has nothing older."""
        wrong: list[str] = []
        for request, market, channel in asked(subject):
            if not isinstance(request, _HISTORIES):
                continue
            declared = subject.exchange.endpoints[type(request)].retention_of(request)
            interval = getattr(request, "interval", None)
            step_ns = None if interval is None else INTERVALS[interval] * NS_PER_SECOND
            facts = requests_of_facts(subject.facts, type(request), market, channel)
            told = {fact.retention_ns(step_ns) for fact in facts} or {None}
            # Where one of several calls tells of any time, that is what is told.
            documented = None if None in told else max(each for each in told if each is not None)
            if declared != documented:
                of = f" of {interval}" if interval is not None else ""
                wrong.append(
                    f"{type(request).__name__}{of} of {market.value}: Endpoint.retention is "
                    f"{_days(declared)}, by the [[request]] of {FILE} {_days(documented)}"
                )
        for series in series_of(subject):
            wrong += _kinder(subject, series)
        tell(
            list(dict.fromkeys(wrong)),
            "whoever asks for more would get a part of it and take that for the whole, or be "
            "refused what there is (Endpoint.retention, the dialect)",
        )


def _days(ns: int | None) -> str:
    return "not limited" if ns is None else f"{ns / _DAY_NS:g} days"


def _long_ago(series: Series) -> Iterator[int]:
    for days in _DAYS:
        yield series.back(days * _DAY_NS // series.step_ns)


def _at_the_border(series: Series) -> Iterator[int]:
    if series.retention_ns is not None:
        steps = series.retention_ns // series.step_ns
        for off in (-1, 0, 1, 2):
            yield series.back(steps + off)


def _whole_or_refused(
    line: Line, series: Series, span: tuple[int | None, int], *, kept: bool = False
) -> None:
    start_ns, end_ns = span
    first_ns = end_ns - _ROWS * series.step_ns
    true = [first_ns + n * series.step_ns for n in range(_ROWS)]
    if first_ns < series.listing.launch_ns:
        return
    try:
        rows: list[Any] = line.ask(series.request((start_ns, end_ns, _ROWS)))
    except Unsupported as error:
        if kept:
            text = f"{series.what} from {clock(first_ns)} on are kept, and are refused: {error}"
            raise AssertionError(text) from error
        return
    except CcrsError as error:
        raise AssertionError(
            f"{series.what} of {clock(first_ns)} are refused by {error!r}, of which nobody learns "
            "since when they are told. Declare Endpoint.retention: the core says so then"
        ) from error
    told = [series.time_of(row) for row in rows][:_ROWS]
    assert told == true or (start_ns is None and told == true[-len(told) :] and told), (
        f"of {series.what} from {clock(first_ns)} to {clock(end_ns)} {len(told)} come of "
        f"{len(true)} that there were, and no error: what the exchange keeps no more is cut off in "
        "silence. Declare how far back it tells: Endpoint.retention"
    )


def _kinder(subject: Subject, series: Series) -> Iterator[str]:
    """Rows that the emulator tells though they are too old by the documents."""
    request: Request[Any] = series.request((None, None, 1))
    facts = list(requests_of_facts(subject.facts, series.kind, series.instrument.market, None))
    ends = [fact.retention_ns(series.step_ns) for fact in facts]
    if not ends or None in ends or any(fact.unemulated for fact in facts):
        return
    kept_ns = max(end for end in ends if end is not None)
    months = any(fact.retention and fact.retention[0] == "months" for fact in facts)
    old_ns = START_NS - kept_ns - (_LONGER_NS if months else 0)
    line = subject.line(subject.venue(listings=[series.listing], rate=0.01))
    line.venue.advance(START_NS + 20 * NS_PER_SECOND)
    endpoint = subject.exchange.endpoints[type(request)]
    request = series.request((None, old_ns, _ROWS))
    response = line.http(endpoint.encode(request, None))
    if line.exchange.error_of(response) is not None:
        return
    rows = endpoint.decode(request, response, line.received_time_ns, None).value
    if rows:
        yield (
            f"the emulator tells {series.what} of {clock(series.time_of(rows[-1]))}, which are "
            f"older than {facts[0]} says: no test would notice what the exchange leaves out"
        )


__all__ = ["ForgettingProperties"]
