"""Two fields that are always alike prove nothing about which of them is read (2).

A codec that takes the last price for the mark price is noticed only where the two differ. So what
the emulator says in the place that a Decimal or a time is read from must differ, now and then, from
what it says in every other place of the same row.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

import attrs
import pytest

from ccrs_core.conformance.judges.steered import figures
from ccrs_core.conformance.themes.changes import few
from ccrs_core.conformance.themes.declared import declared_subscriptions, wake
from ccrs_core.conformance.workbench.coined import another_step
from ccrs_core.conformance.workbench.facts import FILE
from ccrs_core.conformance.workbench.line import Line, Page, Wire
from ccrs_core.conformance.workbench.material import parsed, spelled
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.contract.codec import Codec, Data
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.rest import GetInstruments, Request
from ccrs_core.emulator import Listing
from ccrs_core.errors import CcrsError
from ccrs_core.model.instruments import Market, Side
from ccrs_core.model.subscriptions import Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND

_SECONDS = 75.0
"""For which streams are listened to: candles of a minute close meanwhile."""
_PARTS = 10
_RATE = 4.0
_MOST = 40
"""Frames of one subscription, from its first on."""
_ROWS = 16
"""Lists of no more values may be rows whose places mean something."""
_PAGES = 4
_SHOWN = 12
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?")


class TwinProperties:
    """Fields that can't be told apart by their values."""

    @proves(2, quick=False)
    def test_no_field_of_a_stream_has_a_twin(self, subject: Subject) -> None:
        """The place in a frame that a price, an amount or a time is read from differs in its value
        from every other place of its row, in one frame at least."""
        subject.cases()
        twins = _Twins(subject, "stream")
        for sub, frames in _heard(subject):

            def decode(frames: Sequence[bytes], sub: Subscription = sub) -> list[Any]:
                exchange = subject.make()
                codec = exchange.codec(exchange.route(sub))
                codec.subscribe([sub], "1")
                return _events(codec, frames)

            more = f" {sub.depth}" if sub.depth else ""
            twins.look(f"{sub.instrument.market.value} {sub.channel.value}{more}", frames, decode)
        twins.judge()

    @proves(2, quick=False)
    def test_no_field_of_an_answer_has_a_twin(self, subject: Subject) -> None:
        """The place in an answer that a price, an amount or a time is read from differs in its
        value from every other place of its row, in one row at least."""
        if not subject.exchange.endpoints:
            subject.undeclared("request")
        twins = _Twins(subject, "answer")
        for market in subject.markets:
            for request, pages in _answers(subject, market):
                endpoint = subject.exchange.endpoints[type(request)]

                def decode(
                    bodies: Sequence[bytes],
                    pages: Sequence[tuple[Page, int]] = pages,
                    request: Any = request,
                    endpoint: Any = endpoint,
                ) -> list[Any]:
                    found: list[Any] = []
                    for (page, now_ns), body in zip(pages, bodies, strict=True):
                        response = attrs.evolve(page.response, body=body)
                        value = endpoint.decode(request, response, now_ns, page.cursor).value
                        found += value if isinstance(value, list) else [value]
                    return found

                label = f"{market.value} {type(request).__name__}"
                twins.look(label, [page.response.body for page, _ in pages], decode)
        twins.judge()


@attrs.define
class _Twins:
    """What was found, less what the file of facts excuses."""

    subject: Subject
    what: str
    told: list[str] = attrs.field(factory=list)
    used: set[str] = attrs.field(factory=set)

    def look(
        self, label: str, texts: Sequence[bytes], decode: Callable[[Sequence[bytes]], list[Any]]
    ) -> None:
        """Look for twins in JSON texts, and for those of them that are read."""
        values = [parsed(text) for text in texts]
        pairs = list(twin_places([value for value in values if value is not None]))
        if not pairs:
            return
        reads: dict[str, str | None] = {}
        plain = decode(texts)
        for pair in pairs:
            for place in pair:
                if place not in reads:
                    reads[place] = _field_of(place, values, texts, decode, plain)
        for pair in pairs:
            for place, other in (pair, pair[::-1]):
                field = reads[place]
                if field is not None and (reads[other] is None or place < other):
                    self._tell(label, f"{place} = {other}", field)

    def _tell(self, label: str, pair: str, field: str) -> None:
        rest = label.partition(" ")[2]
        about = f"twins {self.what} {label}: {pair}"
        known = {about, f"twins {self.what} {rest}: {pair}"} & self._known
        if known:
            self.used |= known
        else:
            self.told.append(f"{about} ({field} is read from the first)")

    @property
    def _known(self) -> set[str]:
        begin = f"twins {self.what} "
        return {e.about for e in self.subject.facts.excuses if e.about.startswith(begin)}

    def judge(self) -> None:
        """Fail where something isn't excused, or an excuse has no use."""
        told = self.told + [
            f"{about}: excused in {FILE}, and they aren't alike: remove the excuse"
            for about in sorted(self._known - self.used)
        ]
        if told:
            more = f"\n  … and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
            shown = "".join(f"\n  {line}" for line in told[:_SHOWN])
            pytest.fail(
                "two places hold the same value in all that the emulator says, so that nothing "
                "proves which of them is read; where the exchange tells them apart, a user would "
                "get the wrong one. Let the dialect write them as unlike as the exchange does. "
                f"Where the exchange itself always tells them alike, {FILE} says so: [[excuse]], "
                "about = the text up to the parenthesis (without the market: of all of them), "
                f"because = ...:{shown}{more}"
            )


# --- twins ------------------------------------------------------------------------------------


def twin_places(values: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Pairs of places of one row that hold the same number, or moment, wherever both occur."""
    seen: dict[str, dict[int, Any]] = {}
    rows = (row for value in values for row in _rows(value, "", {}))
    for number, row in enumerate(rows):
        for place, value in row.items():
            seen.setdefault(place, {})[number] = value
    places = sorted(seen)
    for at, place in enumerate(places):
        one = seen[place]
        for other in places[at + 1 :]:
            two = seen[other]
            told = False
            for number, value in one.items():
                if number in two:
                    if value != two[number]:
                        break
                    told = told or bool(value)
            else:
                if told:
                    yield place, other


def _rows(value: Any, place: str, outer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What is told together: the values of each innermost row, with those that it lies in."""
    own = dict(outer)
    lists: list[tuple[str, list[Any]]] = []
    _collect(value, place, own, lists)
    inner = [(at, items) for at, items in lists if items]
    if not inner:
        yield own
    for at, items in inner:
        for item in items:
            yield from _rows(item, at, own)


def _collect(
    value: Any, place: str, own: dict[str, Any], lists: list[tuple[str, list[Any]]]
) -> None:
    if isinstance(value, dict):
        if _are_rows(value):
            lists.append((f"{place}{'.' if place else ''}*", list(value.values())))
            return
        for key, item in value.items():
            _collect(item, f"{place}{'.' if place else ''}{key}", own, lists)
    elif isinstance(value, list):
        if any(isinstance(item, dict | list) for item in value):
            lists.append((f"{place}[]", value))
        elif len(value) <= _ROWS:
            for at, item in enumerate(value):
                _collect(item, f"{place}[{at}]", own, lists)
    elif value is None or value == "":
        own[place] = None
    elif isinstance(value, str):  # numbers, too, are as they are spelled
        found = _canonical(value)
        if found is not None:
            own[place] = found


def _canonical(text: str) -> Decimal | dt.datetime | None:
    """A number, or a moment, whatever way it is spelled."""
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    return dt.datetime.fromisoformat(text[:19]) if _MOMENT.fullmatch(text) else None


def _are_rows(value: Mapping[str, Any]) -> bool:
    """Whether an object's keys name rows of one kind, rather than fields."""
    if not all(isinstance(item, dict) for item in value.values()):
        return False
    kinds = Counter(frozenset(item) for item in value.values() if item)
    return bool(kinds) and max(kinds.values()) > 2


# --- what is read -----------------------------------------------------------------------------


def _field_of(
    place: str,
    values: Sequence[Any],
    texts: Sequence[bytes],
    decode: Callable[[Sequence[bytes]], list[Any]],
    plain: list[Any],
) -> str | None:
    """The Decimal or time that is read from a place: which one is other once it is."""
    steps = re.findall(r"[^.\[\]]+|\[\d*\]", place)
    for change in (_next, _double):
        changed = [
            text if value is None else spelled(_with(value, steps, change))
            for value, text in zip(values, texts, strict=True)
        ]
        try:
            found = decode(changed)
        except (CcrsError, AssertionError, ArithmeticError, ValueError):
            continue
        for one, other in zip(plain, found, strict=False):
            name = _difference(one, other)
            if name is not None:
                return name
    return None


def _with(value: Any, steps: Sequence[str], change: Callable[[str], str]) -> Any:
    """A copy of a value with another one in a place of its rows."""
    if not steps:
        if not isinstance(value, str) or not value:
            return value
        return type(value)(change(value)) if _canonical(value) is not None else value
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict) and not step.startswith("["):
        return {
            key: _with(item, rest, change) if step in (key, "*") else item
            for key, item in value.items()
        }
    if isinstance(value, list) and step.startswith("["):
        at = step[1:-1]
        return [
            _with(item, rest, change) if not at or number == int(at) else item
            for number, item in enumerate(value)
        ]
    return value


def _next(text: str) -> str:
    """A number, or moment, that is greater by one of its last digit."""
    if not _NUMBER.fullmatch(text):
        return str(int(text[:4]) + 1) + text[4:]
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return f"{number + Decimal(1).scaleb(exponent):f}"


def _double(text: str) -> str:
    """Another number, of as many places."""
    return f"{Decimal(text) * 2 + 1:f}" if _NUMBER.fullmatch(text) else _next(_next(text))


def _difference(one: Any, other: Any) -> str | None:
    """The first Decimal or time that two values differ in."""
    if type(one) is not type(other) or one == other:
        return None
    if not attrs.has(type(one)):
        return "time" if isinstance(one, int) else None
    for field in attrs.fields(type(one)):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if mine != theirs and (
            field.name.endswith("_ns") or isinstance(mine, Decimal | tuple | list)
        ):
            return f"{type(one).__name__}.{field.name}"
    return None


# --- what is heard ----------------------------------------------------------------------------


def _events(codec: Codec, frames: Sequence[bytes]) -> list[Any]:
    """What frames say, in order; None for one that is refused."""
    found: list[Any] = []
    for frame in frames:
        try:
            messages = codec.decode(frame, 0)
        except CcrsError:
            found.append(None)
            continue
        found += [event for m in messages if isinstance(m, Data) for event in m.events]
    return found


def _line(subject: Subject, markets: Iterable[Market]) -> Line:
    """A line to an exchange that lists a few instruments of each kind."""
    kept: dict[tuple[str, str], Listing] = {}
    for market in markets:
        listing = subject.listings[market, subject.instrument(market).native]
        kept |= {each.key: each for each in few(subject, listing)}
    return subject.line(subject.venue(rate=_RATE, listings=list(kept.values())))


def _heard(subject: Subject) -> Iterator[tuple[Subscription, Sequence[bytes]]]:
    """Frames of each declared subscription, inflated; of candles the shortest interval's."""
    line = _line(subject, subject.channels)
    seen: set[tuple[Market, Channel]] = set()
    wires: list[tuple[Subscription, Wire]] = []
    for sub in declared_subscriptions(subject):
        key = sub.instrument.market, sub.channel
        if sub.channel is Channel.CANDLES and key in seen:
            continue
        seen.add(key)
        wire = line.open(line.exchange.route(sub))
        wire.subscribe(sub)
        wires.append((sub, wire))
    for part in range(_PARTS):
        line.venue.advance(line.venue.now_ns + round(_SECONDS / _PARTS * NS_PER_SECOND))
        for _, wire in wires:
            wire.take()
        _unusual(line, subject, still=part == _PARTS - 2)
    for sub, wire in wires:
        method = wire.codec.compression
        frames = wire.frames
        if len(frames) > _MOST:  # the last ones, too: candles that close, rare events
            frames = frames[: _MOST // 2] + frames[-_MOST // 2 :]
        yield sub, [f if method is None else inflate(f, method) for f in frames]


def _answers(subject: Subject, market: Market) -> list[tuple[Request[Any], list[tuple[Page, int]]]]:
    """Questions about a market with the pages that answer them, and when, in three states of it."""
    instrument = subject.instrument(market)
    requests = list(requests_of(subject, instrument, 20))
    found: list[tuple[Request[Any], list[tuple[Page, int]]]] = [(each, []) for each in requests]
    line = _line(subject, [market])
    wake(line, instrument)
    for still in (False, True):
        for _ in range(3):
            line.venue.advance(line.venue.now_ns + 61 * NS_PER_SECOND)
            _unusual(line, subject, still)
        line.venue.advance(line.venue.now_ns + NS_PER_SECOND)
        for request, pages in found:
            pages += [(p, line.received_time_ns) for p in islice(line.pages(request), _PAGES)]
    # Rules of instruments are often the same number: not so once they are others.
    line.venue.relist([_ruled(each) for each in line.venue.listings.values()])
    for request, pages in found:
        if isinstance(request, GetInstruments):
            pages += [(p, line.received_time_ns) for p in islice(line.pages(request), _PAGES)]
    return found


def _ruled(listing: Listing) -> Listing:
    """The same instrument by other rules."""
    lot = another_step(listing.lot)
    return attrs.evolve(
        listing,
        tick=another_step(listing.tick),
        lot=lot,
        min_size=listing.min_size + 3 * lot,
        max_size=listing.max_size + 7 * lot,
        min_notional=listing.min_notional + 3,
    )


def _unusual(line: Line, subject: Subject, still: bool) -> None:
    """What happens seldom, happens; in a market that is then ``still`` each figure is another."""
    for market, channels in subject.channels.items():
        listing = subject.listings[market, subject.instrument(market).native]
        if listing.key not in line.venue.listings:
            continue
        price = line.venue.market(listing).rules.price
        at = price.nearest(listing.price) + 20
        for number, ticks in enumerate((0, 9, -7, 3), start=1):
            side = Side.BUY if ticks % 2 else Side.SELL
            line.venue.trade(listing, side, listing.lot * 10 * number, price.value(at + ticks))
        if Channel.LIQUIDATIONS in channels:
            for number in (1, 2):
                size = listing.lot * 10 * number
                line.venue.liquidate(listing, Side.BUY, size, price.value(at + 7 * number))
        if still:
            line.venue.steer(listing, **figures(listing))
