"""Bounds of histories: what lies exactly at them, which way rows follow one another, and which come
of more than a page holds. The documents say so; a plugin and its emulator may share a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import attrs
import orjson

from ccrs_core.conformance.judges.calendars import ns_of
from ccrs_core.conformance.themes.documented import requests_of_facts, tell
from ccrs_core.conformance.themes.histories import Series, series_of
from ccrs_core.conformance.workbench.facts import FILE, BoundFact, RequestFact
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.rest import HttpRequest, HttpResponse
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

_LATE_NS = 20 * NS_PER_SECOND
"""So long after the newest row began it is asked."""
_FROM, _UNTIL = 6, 3
"""So many rows before the newest one lie the bounds."""
_WINDOW = 10
"""Rows that are counted, but for the newest: that one may be open."""
_FAR, _FEW = 40, 5
"""A stretch of so many rows, and a page of so many."""
_MOST_PAGES = 3
_TIMES = 10**9
"""Greater numbers are times, whatever their unit."""
_SCALES = (10**9, 10**6, 10**3, 1)


class RangeProperties:
    """What the exchange's documents say of stretches of time."""

    @proves(2, against=Against.FACTS)
    def test_bounds_of_histories_are_what_the_documents_say(self, subject: Subject) -> None:
        """Asked by the plugin's own requests, whose bounds are put exactly on a row and a little
        beside it, the emulator gives just the rows, in the order, and of too many those, that the
        exchange's documents state."""
        wrong: list[str] = []
        for series in series_of(subject):
            wrong += _of_series(subject, series)
        tell(
            list(dict.fromkeys(wrong)),
            "at each border of two pages a row would be missing or come twice, or pages would be "
            "joined the wrong way (Endpoint.encode, Endpoint.decode, the dialect)",
        )


@attrs.frozen
class _Way:
    """One of the plugin's own requests, and what the documents say of it."""

    http: HttpRequest
    fact: RequestFact

    @property
    def span(self) -> str:
        """Which bounds it tells; empty for none."""
        asked = {key for key, _ in self.http.query}
        told = [b is not None and b.asks in asked for b in (self.fact.since, self.fact.until)]
        return {(True, True): "both", (True, False): "from", (False, True): "until"}.get(
            (told[0], told[1]), ""
        )

    def asking(self, rows: int, **bounds: int) -> HttpRequest:
        """The request with other bounds, for so many rows where it says how many."""
        changed: dict[str, str] = {}
        for name, bound in (("since", self.fact.since), ("until", self.fact.until)):
            if bound is not None and name in bounds:
                changed[bound.asks] = bound.spelled(bounds[name])
        if self.fact.size is not None:
            key, most = self.fact.size
            changed[key] = str(min(rows, most))
        query = tuple((key, changed.get(key, text)) for key, text in self.http.query)
        return attrs.evolve(self.http, query=query)


def _of_series(subject: Subject, series: Series) -> Iterator[str]:
    line = subject.line(subject.venue(listings=[series.listing], rate=0.01))
    line.venue.advance(START_NS + _LATE_NS)
    ways: dict[tuple[str, str], _Way] = {}
    for http in _requests(line, series):
        fact = _fact_of(subject, series, http)
        if fact is None:
            yield f"{series.what}: asked for at {http.path}, which no [[request]] of {FILE} names"
            continue
        way = _Way(http, fact)
        yield from _unexplained(subject, series, way)
        if not fact.unemulated and (way.span or fact.order):
            ways.setdefault((http.path, way.span), way)
    for way in ways.values():
        yield from _bounds(line, series, way)
        yield from _many(line, series, way)


def _requests(line: Line, series: Series) -> Iterator[HttpRequest]:
    """What the plugin asks for stretches with a start, an end, both or neither, page by page."""
    since_ns, until_ns = series.back(3 * _FAR), series.back(_UNTIL)
    for span in ((None, None), (None, until_ns), (since_ns, None), (since_ns, until_ns)):
        for page in islice(line.pages(series.request((*span, 4 * _FAR))), _MOST_PAGES):
            yield page.asked


def _fact_of(subject: Subject, series: Series, http: HttpRequest) -> RequestFact | None:
    exchange, market = subject.exchange, series.instrument.market
    addresses = exchange.environments["mainnet"].addresses
    url = addresses[exchange.rest_address(http)] + http.path
    kind = type(series.request((None, None, 1)))
    found = requests_of_facts(subject.facts, kind, market, None)
    return next((fact for fact in found if fact.url == url), None)


def _unexplained(subject: Subject, series: Series, way: _Way) -> Iterator[str]:
    """Parameters that say a time, and of which the documents are said to say nothing."""
    known = {b.asks for b in (way.fact.since, way.fact.until) if b is not None}
    for key, text in way.http.query:
        if text.isdecimal() and int(text) >= _TIMES and key not in known:
            yield (
                f"{series.what}: asked for with a time, {key}; write whether a row of exactly that "
                f"time is in the answer (from = or until = {{asks = {key!r}, inclusive = ...}}) in "
                f"{way.fact}"
            )


# --- what the emulator answers ---


def _bounds(line: Line, series: Series, way: _Way) -> Iterator[str]:
    """Bounds on a row, and a unit beside it, each in turn."""
    since, until = way.fact.since, way.fact.until
    since_ns, until_ns = series.back(_FROM), series.back(_UNTIL)
    tried: list[dict[str, int]] = []
    if since is not None and way.span in {"from", "both"}:
        tried += [{"since": at, "until": until_ns} for at in _beside(since, since_ns)]
    if until is not None and way.span in {"until", "both"}:
        tried += [{"since": since_ns, "until": at} for at in _beside(until, until_ns)]
    rows = [series.back(n) for n in range(1, _WINDOW)]
    for bounds in tried or [{}]:
        due = sorted(at for at in rows if _inside(way, bounds, at))
        found = _ask(line, series, way.asking(2 * _WINDOW, **bounds))
        told = [at for at in found if series.back(_WINDOW) < at < START_NS]
        place = _place(way, bounds)
        if sorted(told) != due:
            yield (
                f"{series.what}: {way.http.path}{place} the emulator gives {len(told)} of the last "
                f"{len(rows)} rows{_edges(told)}, by {way.fact} it is {len(due)}{_edges(due)}"
            )
        elif way.fact.order and len(due) > 1:
            newest_first = way.fact.order == "newest first"
            if told != sorted(told, reverse=newest_first):
                yield (
                    f"{series.what}: rows of {way.http.path} aren't {way.fact.order} in the "
                    f"emulator, as {way.fact} says"
                )


def _beside(bound: BoundFact, time_ns: int) -> Sequence[int]:
    if not bound.exact:
        return [time_ns]
    return time_ns, time_ns - bound.unit_ns, time_ns + bound.unit_ns


def _inside(way: _Way, bounds: Mapping[str, int], at: int) -> bool:
    since, until = way.fact.since, way.fact.until
    if since is not None and way.span in {"from", "both"}:
        first_ns = bounds["since"]
        if at < first_ns or (at == first_ns and not since.inclusive):
            return False
    if until is not None and way.span in {"until", "both"}:
        last_ns = bounds["until"]
        if at > last_ns or (at == last_ns and not until.inclusive):
            return False
    return True


def _many(line: Line, series: Series, way: _Way) -> Iterator[str]:
    """A page of few rows, of a stretch of many."""
    which = way.fact.gives.get(way.span)
    if which is None or way.fact.size is None:
        return
    bounds = {"since": series.back(_FAR), "until": series.back(_UNTIL)}
    found = _ask(line, series, way.asking(_FEW, **bounds))
    ends = {"oldest": series.back(_FAR - _FEW), "newest": series.back(_UNTIL + _FEW)}
    fine = found and (
        max(found) < ends["newest"] if which == "oldest" else min(found) > ends["oldest"]
    )
    if not fine:
        yield (
            f"{series.what}: of many rows {way.http.path}{_place(way, bounds)} the emulator "
            f"doesn't give the {which}{_edges(found)}, as {way.fact} says"
        )


def _place(way: _Way, bounds: Mapping[str, int]) -> str:
    told = [
        f"{bound.asks} {clock(bounds[name])}"
        for name, bound in (("since", way.fact.since), ("until", way.fact.until))
        if bound is not None and name in bounds and way.span in {_SPAN_OF[name], "both"}
    ]
    return f" with {' and '.join(told)}:" if told else ":"


_SPAN_OF = {"since": "from", "until": "until"}


def _edges(times: Sequence[int]) -> str:
    return f" ({clock(min(times))} to {clock(max(times))})" if times else ""


def _ask(line: Line, series: Series, http: HttpRequest) -> list[int]:
    """When the rows of an answer begin, in its own order."""
    response: HttpResponse = line.http(http)
    error = line.exchange.error_of(response)
    if error is not None:
        raise error
    newest = START_NS + series.step_ns
    known = {newest - n * series.step_ns for n in range(4 * _FAR)}
    return list(_rows(orjson.loads(response.body), known))


def _rows(value: Any, known: set[int]) -> Sequence[int]:
    """The times of the outermost list, each of whose members has one."""
    if isinstance(value, list) and value:
        times = [_time(each, known) for each in value]
        if all(at is not None for at in times):
            return [at for at in times if at is not None]
    children = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for each in children:
            if found := _rows(each, known):
                return found
    return ()


def _time(row: Any, known: set[int]) -> int | None:
    """The first of the known times that a row tells."""
    if isinstance(row, dict | list):
        leaves = row.values() if isinstance(row, dict) else row
        found = [at for each in leaves if (at := _spelled(each, known)) is not None]
        return min(found, default=None)
    return _spelled(row, known)


def _spelled(value: Any, known: set[int]) -> int | None:
    text = str(value)
    if text.isdecimal() and int(text) >= _TIMES:
        return next((at for scale in _SCALES if (at := int(text) * scale) in known), None)
    if "T" not in text:
        return None
    try:
        time_ns = ns_of(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return None
    return time_ns if time_ns in known else None


__all__ = ["RangeProperties"]
