"""A plugin's file of facts: what the exchange's documents say, each with its page and the day it
was looked up.

It is ``facts.toml`` in the plugin's package, written from the documents and apart from the code, so
that a mistake that the plugin and its emulator share is noticed. ``docs/howto/facts.md`` explains
every entry.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Any

import attrs

from ccrs_core import errors
from ccrs_core.conformance.workbench.call_facts import CallFact, call
from ccrs_core.conformance.workbench.facts_entry import FILE, Entry, Fact, FactsError
from ccrs_core.contract import rest
from ccrs_core.contract.budgets import Budget
from ccrs_core.contract.rest import Request
from ccrs_core.errors import CcrsError
from ccrs_core.model.instruments import InstrumentStatus, Market
from ccrs_core.model.subscriptions import INTERVALS, Channel


@attrs.frozen(kw_only=True)
class EnvironmentFact(Fact):
    """The addresses of an environment."""

    name: str
    addresses: Mapping[str, str]
    headers: Mapping[str, str]
    unlike: str
    """Why its hosts are unlike one another, or another environment's; empty where they aren't."""


@attrs.frozen(kw_only=True)
class StreamFact(Fact):
    """How channels of markets are subscribed to, and how often they speak."""

    markets: frozenset[Market]
    channels: frozenset[Channel]
    depths: tuple[int, ...]
    rpi: bool
    """Whether it is of books with orders of retail price improvement."""
    url: str
    alternatives: tuple[str, ...]
    says: tuple[str, ...]
    """What a request to subscribe holds."""
    cadence: float | None
    """A healthy stream is never silent for longer."""


@attrs.frozen(kw_only=True)
class BoundFact:
    """How a request is told where a stretch of time begins, or ends."""

    asks: str
    """The parameter."""
    inclusive: bool
    """Whether a row of exactly that time is in the answer."""
    unit_ns: int
    """What the parameter counts."""
    exact: bool
    """Whether the bound is taken as it is, not rounded to whole intervals."""

    def spelled(self, time_ns: int) -> str:
        """A time as the parameter says it."""
        return str(time_ns // self.unit_ns)


@attrs.frozen(kw_only=True)
class RequestFact(Fact):
    """How a question is asked."""

    kinds: tuple[type[Request[Any]], ...]
    markets: frozenset[Market]
    channels: frozenset[Channel]
    """Of ``GetActivity``: the channels that it asks about."""
    url: str
    asks: Mapping[str, str]
    """Parameters of the query, and their values."""
    values: Mapping[str, tuple[str, ...]]
    """Values that a parameter must have in one or another of the pages that are asked for."""
    size: tuple[str, int] | None
    """The parameter that says how many rows are wanted, and the most that it may."""
    weights: tuple[tuple[int, int], ...]
    """What a page weighs, by the most rows that are asked for."""
    limit: Budget | None
    """How often it may be asked, where it is counted for itself."""
    since: BoundFact | None
    until: BoundFact | None
    order: str
    """In which order rows come, one of ``ORDERS``; empty where that isn't stated."""
    gives: Mapping[str, str]
    """Which rows come of more than a page holds (one of ``ENDS``), by the bounds that are told
    (one of ``SPANS``)."""
    retention: tuple[str, int] | None
    """How far back rows are told: a unit (one of ``RETENTIONS``), and how many of it."""
    unemulated: str

    def retention_ns(self, step_ns: int | None) -> int | None:
        """How far back rows are told, of a history that has one every so often: of calendar months
        at least; None where no end is known."""
        if self.retention is None:
            return None
        unit, count = self.retention
        if unit == "rows":
            return None if step_ns is None else count * step_ns
        if unit == "months":
            return _FEWEST_DAYS[count] * _DAY_NS
        return count * RETENTIONS[unit]


@attrs.frozen(kw_only=True)
class LimitFact(Fact):
    """What the exchange allows."""

    of: str
    amount: int
    seconds: float
    markets: frozenset[Market]
    address: str
    unemulated: str
    """Why the emulator doesn't keep to it; empty where it does."""

    @property
    def budget(self) -> Budget:
        return Budget(amount=self.amount, seconds=self.seconds)


@attrs.frozen(kw_only=True)
class ErrorFact(Fact):
    """What codes of errors, or statuses of HTTP, mean; ``error`` None: no error at all."""

    error: type[CcrsError] | None
    codes: tuple[str, ...]
    statuses: tuple[int, ...]
    status: int
    body: str
    """An answer with such a code; ``{code}`` stands for it."""
    streams: bool
    """Whether codes are of refusals on streams, which ``error_of`` never sees."""


@attrs.frozen(kw_only=True)
class StatusFact(Fact):
    """The words by which the exchange tells an instrument's status."""

    markets: frozenset[Market]
    field: str
    words: Mapping[str, InstrumentStatus]


@attrs.frozen(kw_only=True)
class IntervalsFact(Fact):
    """The exchange's names of the candles' intervals, by their unified ones."""

    names: Mapping[str, str]


@attrs.frozen(kw_only=True)
class CalendarFact(Fact):
    """When long candles begin."""

    weekday: int
    """Of weekly candles: Monday is 0."""
    hour: int
    """Of daily and longer ones, UTC."""


@attrs.frozen(kw_only=True)
class Excuse:
    """Why something that the suite looks for can't be so."""

    about: str
    because: str


@attrs.frozen(kw_only=True)
class Facts:
    """All that a file says."""

    environments: Sequence[EnvironmentFact] = ()
    streams: Sequence[StreamFact] = ()
    requests: Sequence[RequestFact] = ()
    calls: Sequence[CallFact] = ()
    limits: Sequence[LimitFact] = ()
    errors: Sequence[ErrorFact] = ()
    statuses: Sequence[StatusFact] = ()
    intervals: IntervalsFact | None = None
    calendar: CalendarFact | None = None
    excuses: Sequence[Excuse] = ()

    def __iter__(self) -> Iterator[Fact]:
        yield from self.environments
        yield from self.streams
        yield from self.requests
        yield from self.calls
        yield from self.limits
        yield from self.errors
        yield from self.statuses
        if self.intervals is not None:
            yield self.intervals
        if self.calendar is not None:
            yield self.calendar

    @property
    def spelled(self) -> Mapping[str, str]:
        """The exchange's names of intervals by the unified ones."""
        return {} if self.intervals is None else self.intervals.names


LIMITS = {
    "connects": "connections that an address may open in so many seconds",
    "requests": "the summed weight of requests that an address may make in so many seconds",
    "messages": "frames that a connection may send in so many seconds",
    "topics_per_request": "topics of one request",
    "topics_per_connection": "topics of one connection",
    "topic_chars_per_connection": "characters of one connection's topics",
    "idle": "seconds without a frame after which a connection is ended",
    "server_ping": "seconds between the exchange's own pings",
    "pong": "seconds without the pong of such a ping after which a connection is ended",
    "lifetime": "seconds after which a connection is ended in any case",
}
"""What may be limited."""
ORDERS = ("newest first", "oldest first")
"""How rows may follow one another."""
SPANS = ("from", "until", "both")
"""Which bounds of a stretch of time a request may tell."""
ENDS = ("newest", "oldest")
"""Which rows of a long stretch may come."""
_DAY_NS = 86_400 * 10**9
RETENTIONS = {"hours": _DAY_NS // 24, "days": _DAY_NS, "months": 0, "rows": 0}
"""Units in which it is told how far back rows are; those of 0 have no one length."""
_FEWEST_DAYS = {1: 28, 2: 59, 3: 89, 6: 181, 12: 365}
"""Days that so many calendar months have at least."""
_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_WINDOWS = frozenset({"connects", "requests", "messages"})
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def read(file: Traversable) -> Facts:
    """Read a file of facts.

    :raises FactsError: where it isn't written as it must be.
    """
    try:
        written = tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise FactsError(f"{FILE} is no TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise FactsError(f"{FILE} is not UTF-8, at byte {error.start}") from None
    top = Entry("at the top", dict(written))
    pages = {n: top.of(n, p, str, "text") for n, p in top.take("pages", dict, {}).items()}
    common = {"date": top.take("date", dt.date, None), "pages": pages}
    facts = Facts(
        environments=[_environment(e) for e in top.entries("environment", "name", common)],
        streams=[_stream(e) for e in top.entries("stream", "url", common)],
        requests=[_request(e) for e in top.entries("request", "type", common)],
        calls=[call(e) for e in top.entries("call", "type", common)],
        limits=[_limit(e) for e in top.entries("limit", "of", common)],
        errors=[_error(e) for e in top.entries("error", "error", common)],
        statuses=[_status(e) for e in top.entries("status", "field", common)],
        intervals=top.entry("intervals", common, _intervals),
        calendar=top.entry("calendar", common, _calendar),
        excuses=[_excuse(e) for e in top.entries("excuse", "about", common)],
    )
    top.finish()
    return facts


_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, CcrsError)
}
_REQUESTS = {
    name: kind
    for name, kind in vars(rest).items()
    if isinstance(kind, type) and issubclass(kind, Request) and kind is not Request
}


def _environment(entry: Entry) -> EnvironmentFact:
    return entry.fact(
        EnvironmentFact,
        name=entry.take("name", str),
        addresses=entry.table("addresses"),
        headers=entry.table("headers"),
        unlike=entry.take("unlike", str, ""),
    )


def _stream(entry: Entry) -> StreamFact:
    return entry.fact(
        StreamFact,
        markets=entry.members("markets", Market),
        channels=entry.members("channels", Channel),
        depths=entry.numbers("depths"),
        rpi=entry.take("rpi", bool, False),
        url=entry.take("url", str),
        alternatives=entry.texts("alternatives"),
        says=entry.texts("says"),
        cadence=entry.take("cadence", float, None),
    )


def _request(entry: Entry) -> RequestFact:
    kinds = entry.take("type", (str, list))
    names = [kinds] if isinstance(kinds, str) else kinds
    for name in names:
        if name not in _REQUESTS:
            raise entry.wrong(f"type: there is no {name!r}; write one of {', '.join(_REQUESTS)}")
    size, most = entry.take("size", str, ""), entry.take("most", int, 0)
    if bool(size) != bool(most):
        raise entry.wrong("size (the parameter) and most (its greatest value) go together")
    weight = entry.take("weight", (int, list), ())
    steps = [(1 << 62, weight)] if isinstance(weight, int) else weight
    for step in steps:
        if not isinstance(step, list | tuple) or [type(n) for n in step] != [int, int]:
            raise entry.wrong("weight must be a number, or a list of [most rows, weight]")
    limit = entry.take("limit", dict, None)
    if limit is not None and set(limit) != {"amount", "seconds"}:
        raise entry.wrong("limit must be {amount = ..., seconds = ...}")
    values = entry.take("values", dict, {})
    order = entry.take("order", str, "")
    if order not in ("", *ORDERS):
        raise entry.wrong(f"order must be one of {', '.join(ORDERS)}")
    gives = entry.table("gives")
    if not set(gives) <= set(SPANS) or not set(gives.values()) <= set(ENDS):
        raise entry.wrong(
            'gives must be such as {from = "oldest", until = "newest"}, or both = ...'
        )
    return entry.fact(
        RequestFact,
        kinds=tuple(_REQUESTS[name] for name in names),
        markets=entry.members("markets", Market),
        channels=entry.members("channels", Channel),
        url=entry.take("url", str),
        asks=entry.table("asks"),
        values={name: tuple(map(str, each)) for name, each in values.items()},
        size=(size, most) if size else None,
        weights=tuple((most, weight) for most, weight in steps),
        limit=None if limit is None else Budget(amount=limit["amount"], seconds=limit["seconds"]),
        since=_bound(entry, "from"),
        until=_bound(entry, "until"),
        order=order,
        gives=gives,
        retention=_retention(entry),
        unemulated=entry.take("unemulated", str, ""),
    )


def _retention(entry: Entry) -> tuple[str, int] | None:
    found = entry.take("retention", dict, None)
    if found is None:
        return None
    ((unit, count),) = found.items() if len(found) == 1 else (("", 0),)
    months = f"months of {', '.join(map(str, _FEWEST_DAYS))}"
    fine = unit in RETENTIONS and type(count) is int and count > 0
    if not fine or (unit == "months" and count not in _FEWEST_DAYS):
        units = ", ".join(RETENTIONS)
        raise entry.wrong(f"retention must be such as {{days = 30}}: one of {units}; {months}")
    return unit, count


def _bound(entry: Entry, name: str) -> BoundFact | None:
    found = entry.take(name, dict, None)
    if found is None:
        return None
    part = Entry(f"{entry.where}, {name}", dict(found))
    unit = part.take("unit", str, "ms")
    if unit not in _UNITS:
        raise part.wrong(f"unit must be one of {', '.join(_UNITS)}")
    bound = BoundFact(
        asks=part.take("asks", str),
        inclusive=part.take("inclusive", bool),
        unit_ns=_UNITS[unit],
        exact=part.take("exact", bool, True),
    )
    part.finish()
    return bound


def _limit(entry: Entry) -> LimitFact:
    of = entry.take("of", str)
    if of not in LIMITS:
        raise entry.wrong(f"of: there is no {of!r}; write one of {', '.join(LIMITS)}")
    seconds = entry.take("seconds", float, 0.0)
    if (of in _WINDOWS) != bool(seconds):
        needs = "needs seconds, the window" if of in _WINDOWS else "has no window: write amount"
        raise entry.wrong(f"{of} {needs} ({LIMITS[of]})")
    return entry.fact(
        LimitFact,
        of=of,
        amount=entry.take("amount", int),
        seconds=seconds,
        markets=entry.members("markets", Market),
        address=entry.take("address", str, "rest"),
        unemulated=entry.take("unemulated", str, ""),
    )


def _error(entry: Entry) -> ErrorFact:
    name = entry.take("error", str)
    if name != "none" and name not in _ERRORS:
        raise entry.wrong(f"error: there is no {name!r}; write none or one of {', '.join(_ERRORS)}")
    codes, statuses = entry.texts("codes"), entry.numbers("statuses")
    streams, body = entry.take("streams", bool, False), entry.take("body", str, "")
    if not codes and not statuses:
        raise entry.wrong("write codes = [...] (texts) or statuses = [...] (of HTTP)")
    if codes and not streams and "{code}" not in body:
        raise entry.wrong("write body, an answer in which {code} stands for the code")
    return entry.fact(
        ErrorFact,
        error=None if name == "none" else _ERRORS[name],
        codes=codes,
        statuses=statuses,
        status=entry.take("status", int, 200),
        body=body,
        streams=streams,
    )


def _status(entry: Entry) -> StatusFact:
    words = entry.table("words")
    return entry.fact(
        StatusFact,
        markets=entry.members("markets", Market),
        field=entry.take("field", str),
        words={
            word: entry.member(f"words.{word}", status, InstrumentStatus)
            for word, status in words.items()
        },
    )


def _intervals(entry: Entry) -> IntervalsFact:
    names = entry.table("names")
    for name in names:
        if name not in INTERVALS:
            raise entry.wrong(f"names: there is no {name!r}; write one of {', '.join(INTERVALS)}")
    return entry.fact(IntervalsFact, names=names)


def _calendar(entry: Entry) -> CalendarFact:
    weekday = entry.take("week", str, "monday")
    if weekday not in _WEEKDAYS:
        raise entry.wrong(f"week: there is no {weekday!r}; write one of {', '.join(_WEEKDAYS)}")
    return entry.fact(
        CalendarFact, weekday=_WEEKDAYS.index(weekday), hour=entry.take("hour", int, 0)
    )


def _excuse(entry: Entry) -> Excuse:
    found = Excuse(about=entry.take("about", str), because=entry.take("because", str))
    if not found.because.strip():
        raise entry.wrong("because is empty: say why it can't be so")
    entry.finish()
    return found


__all__ = [
    "ENDS",
    "FILE",
    "LIMITS",
    "ORDERS",
    "SPANS",
    "BoundFact",
    "CalendarFact",
    "EnvironmentFact",
    "ErrorFact",
    "Excuse",
    "Fact",
    "Facts",
    "FactsError",
    "IntervalsFact",
    "LimitFact",
    "RequestFact",
    "StatusFact",
    "StreamFact",
    "read",
]
