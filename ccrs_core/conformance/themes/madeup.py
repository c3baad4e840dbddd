"""Values that an exchange has never used before land in the cautious class (5).

Which places of a frame or a row decide on a side, a flag or a status is found by experiment: where
one known value after another makes another event of it. There a made-up value must not be taken
for any of the known ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from ccrs_core.conformance.judges.steered import figures
from ccrs_core.conformance.themes.changes import few
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.material import (
    Place,
    RawNumber,
    parsed,
    places,
    replaced,
    spelled,
)
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.reading import RECEIVED_NS
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.contract.codec import Data, Message
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.rest import GetInstruments, GetTrades, HttpResponse, Request
from ccrs_core.emulator import Oddity
from ccrs_core.errors import DecodeError
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Side
from ccrs_core.model.subscriptions import Channel

_FLAGS = ("side", "block", "rpi", "closed", "snapshot")
_MADE_UP: tuple[Any, ...] = ("ZzNew", RawNumber("7"), "7", None)
_WORD = re.compile(r"[A-Za-z][A-Za-z_ -]*|\d")
_PAUSE = 1.1
_MOST_FRAMES, _MOST_VALUES, _MOST_PAGES = 60, 4, 50
_CHANNELS = (Channel.TRADES, Channel.LIQUIDATIONS, Channel.CANDLES, Channel.BOOK)
_DECIDING = ("status", "market", "option_kind")


class MadeUpProperties:
    """What is new is never taken for something that is known."""

    @proves(5, against=Against.NOTHING)
    def test_a_new_side_or_flag_is_taken_for_no_known_one(self, subject: Subject) -> None:
        """A value that the exchange has never used before, where it says a side, whether a candle
        is closed or a book whole: the trade or update is left out and told so, the candle isn't
        called closed, and nothing is made of a flag."""
        for case in subject.cases(*_CHANNELS):
            frames = _frames(subject, case)
            trial = _Trial(subject, case, frames)
            for at, place, value in _chosen(frames):
                trial.at(at, place, value)

    @proves(5, against=Against.NOTHING)
    def test_a_new_side_in_an_answer_is_taken_for_no_known_one(self, subject: Subject) -> None:
        """As in frames: a trade of an answer whose side is new is left out, and counted."""
        endpoint = subject.exchange.endpoints.get(GetTrades)
        if endpoint is None:
            subject.undeclared("GetTrades")
        for case in subject.cases(Channel.TRADES):
            if case.market in endpoint.markets:
                _answer(subject, case)

    @proves(5, against=Against.NOTHING)
    def test_an_instrument_of_a_new_kind_or_status_does_not_trade(self, subject: Subject) -> None:
        """A status, a kind of contract or of option that the exchange has never used before: the
        instrument is left out, or isn't called TRADING."""
        endpoint = subject.exchange.endpoints.get(GetInstruments)
        if endpoint is None:
            subject.undeclared("GetInstruments")
        for market in subject.markets:
            if market in endpoint.markets:
                _rows(subject, subject.instrument(market))


# --- frames --------------------------------------------------------------------------------------


def _frames(subject: Subject, case: Case) -> Sequence[bytes]:
    """Frames of one channel in which everything that it may say has been said."""
    lacks = subject.dialect().lacks
    line = subject.line()
    listing = Truth(line.venue).listing(case.subscription.instrument)
    state = figures(listing)
    line.venue.steer(listing, **state)
    wire = line.open(line.exchange.route(case.subscription))
    wire.subscribe(case.subscription)
    price, size = state["last_price"], listing.lot * 100
    for turn in range(4):
        wire.run(_PAUSE)
        side = (Side.BUY, Side.SELL)[turn % 2]
        block = turn == 1 and Oddity.BLOCK_TRADE not in lacks
        rpi = turn == 2 and Oddity.RPI_TRADE not in lacks
        line.venue.trade(listing, side, size, price + turn * listing.tick, block=block, rpi=rpi)
        line.venue.liquidate(listing, side, size, price)
        bids = [(at, much + turn * listing.lot) for at, much in state["bids"]]
        line.venue.steer(listing, bids=bids)
    wire.run(62.0 if case.channel is Channel.CANDLES else 2 * _PAUSE)
    method = wire.codec.compression
    return [f if method is None else inflate(f, method) for f in wire.frames[:_MOST_FRAMES]]


def _chosen(frames: Sequence[bytes]) -> Iterator[tuple[int, Place, Any]]:
    """Values of each kind of place in some frames, the first one of each value."""
    seen: dict[object, set[str]] = {}
    for at, frame in enumerate(frames):
        value = parsed(frame)
        for place, item in places(value):
            if not place or not is_word(item):
                continue
            known = seen.setdefault(_kind(place, value), set())
            if len(known) < _MOST_VALUES and repr(item) not in known:
                known.add(repr(item))
                yield at, place, item


def _kind(place: Place, value: Any) -> object:
    keys = tuple(value) if isinstance(value, dict) else ()
    return keys, tuple("#" if isinstance(step, int) and len(place) > 3 else step for step in place)


class _Trial:
    """Frames of a case, of which one is changed at a time."""

    def __init__(self, subject: Subject, case: Case, frames: Sequence[bytes]) -> None:
        self.subject = subject
        self.case = case
        self.frames = frames
        self._known: dict[Place, list[Any]] = {}
        for frame in frames:
            for place, item in places(parsed(frame)):
                known = self._known.setdefault(place, [])
                if not isinstance(item, dict | list) and item not in known:
                    known.append(item)

    def at(self, at: int, place: Place, value: Any) -> None:
        """Fails where a made-up value at a place is taken for a known one."""
        frame = parsed(self.frames[at])
        before, _ = self._said(at, self.frames[at])
        if not before:
            return
        decides: dict[str, int] = {}
        for other in _others(value, self._known[place]):
            after, _ = self._said(at, spelled(replaced(frame, place, other)))
            for name in _FLAGS:
                values = [getattr(event, name, None) for event in after]
                if len(after) == len(before) and values != _values(before, name):
                    least = decides.get(name, len(before))
                    decides[name] = min(
                        least, values.count(True), _values(before, name).count(True)
                    )
        for name, least in decides.items():
            for new in _MADE_UP:
                changed = spelled(replaced(frame, place, new))
                if (name == "block" or new is None) and name not in ("side", "snapshot"):
                    continue  # what isn't said is None or False
                after, told = self._said(at, changed)
                self._judge(name, least, before, after, told, changed)

    def _judge(
        self,
        name: str,
        least: int,
        before: Sequence[Any],
        after: Sequence[Any],
        told: bool,
        frame: bytes,
    ) -> None:
        values = _values(after, name)
        if name == "closed":
            fine, want = values.count(True) <= least, "the candle must not be called closed"
        elif name == "rpi":
            fine = len([v for v in values if v is not None]) < len(before)
            want = "rpi must be None, or the trade left out"
        else:
            fine = len(after) < len(before)
            want = f"the {before[0].type} must be left out"
        where = f"{self.case}: a value that the exchange has never used where it says {name}"
        assert fine, f"{where} becomes {values}: {want}, by decode()\n  frame: {frame[:500]!r}"
        assert told or len(after) == len(before), (
            f"{where} makes it disappear without a word: decode() must say Unrecognised or "
            f"LeftOut, so that it is counted\n  frame: {frame[:500]!r}"
        )

    def _said(self, at: int, changed: bytes) -> tuple[Sequence[Any], bool]:
        """The events that a frame brings after those before it, and whether it tells of anything
        that isn't one."""
        exchange = self.subject.make()
        codec = exchange.codec(exchange.route(self.case.subscription))
        codec.subscribe([self.case.subscription], "1")
        for frame in self.frames[:at] if self.case.channel is Channel.BOOK else ():
            codec.decode(frame, RECEIVED_NS)
        try:
            messages: Sequence[Message] = codec.decode(changed, RECEIVED_NS)
        except DecodeError:
            return [], True
        events = [e for m in messages if isinstance(m, Data) for e in m.events]
        return events, any(not isinstance(m, Data) for m in messages)


def is_word(value: Any) -> bool:
    """Whether a value may be one of few: a word, a flag, a code of one digit."""
    return type(value) is bool or (isinstance(value, str) and _WORD.fullmatch(value) is not None)


def _values(events: Sequence[Any], name: str) -> list[Any]:
    return [getattr(event, name, None) for event in events]


def _others(value: Any, known: Sequence[Any]) -> list[Any]:
    """Other values that a place may have."""
    if type(value) is bool:
        return [not value]
    flipped = {"0": "1", "1": "0"}.get(value) if type(value) is str else None
    found = [other for other in known if other != value and type(other) is type(value)]
    return ([flipped] if flipped is not None else []) + found[:_MOST_VALUES]


# --- answers -------------------------------------------------------------------------------------


@attrs.frozen
class _Page:
    """One answer to a question, and by which cursor it was asked for."""

    request: Request[Any]
    cursor: str | None
    response: HttpResponse


def _pages(line: Line, request: Request[Any]) -> Iterator[_Page]:
    endpoint = line.exchange.endpoints[type(request)]
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        response = line.http(endpoint.encode(request, cursor))
        yield _Page(request, cursor, response)
        cursor = endpoint.decode(request, response, line.received_time_ns, cursor).cursor
        if cursor is None:
            return


def _answer(subject: Subject, case: Case) -> None:
    line = subject.line()
    instrument = case.subscription.instrument
    listing = Truth(line.venue).listing(instrument)
    state = figures(listing)
    line.venue.steer(listing, **state)
    for turn, side in enumerate((Side.BUY, Side.SELL, Side.BUY)):
        price = state["last_price"] + turn * listing.tick
        line.venue.trade(listing, side, listing.lot * 100, price)
        line.venue.advance(line.venue.now_ns + 10**9)
    request = GetTrades(instrument, 10)
    page = next(_pages(line, request))
    body = parsed(page.response.body)
    before, _ = _read(subject, page, body)
    known: dict[object, list[Any]] = {}
    scalars = [(p, v) for p, v in places(body) if is_word(v)]
    for place, value in scalars:
        known.setdefault(column(place), []).append(value)
    for place, value in scalars:
        others = _others(value, list(dict.fromkeys(known[column(place)])))
        sides = _values(before, "side")
        for other in others:
            after, _ = _read(subject, page, replaced(body, place, other))
            if len(after) == len(before) and _values(after, "side") != sides:
                break
        else:
            continue
        for new in _MADE_UP:
            changed = replaced(body, place, new)
            after, told = _read(subject, page, changed)
            where = "".join(f"[{step!r}]" for step in place)
            assert len(after) < len(before), (
                f"{case}: a side that the exchange has never used ({new!r} at {where} of the "
                f"answer to GetTrades) becomes {_values(after, 'side')}: the trade must be left out"
            )
            assert told, (
                f"{case}: a trade whose side is new ({new!r} at {where} of what GetTrades answers) "
                "disappears without a word: let what reads its row raise ValueError, so that "
                "read_rows() counts it in Answer.left_out"
            )


def column(place: Place) -> Place:
    """A place in whichever row."""
    return tuple("#" if isinstance(step, int) else step for step in place)


def _read(subject: Subject, page: _Page, body: Any) -> tuple[list[Any], bool]:
    """What an answer says, and whether it tells of anything that it couldn't read."""
    endpoint = subject.exchange.endpoints[type(page.request)]
    response = attrs.evolve(page.response, body=spelled(body))
    try:
        answer = endpoint.decode(page.request, response, RECEIVED_NS, page.cursor)
    except DecodeError:
        return [], True
    return list(answer.value), answer.left_out > 0


# --- instruments ---------------------------------------------------------------------------------


def _rows(subject: Subject, instrument: Instrument) -> None:
    """Try the rows of a market, each by itself."""
    listing = subject.listings[instrument.market, instrument.native]
    line = subject.line(subject.venue(listings=few(subject, listing)))
    known: dict[object, list[Any]] = {}
    rows: list[tuple[_Page, Any, Place]] = []
    for page in _pages(line, GetInstruments(instrument.market)):
        body = parsed(page.response.body)
        rows += [(page, body, place) for place in _rows_of(body)]
        for place, value in places(body):
            if not isinstance(value, dict | list):
                values = known.setdefault(column(place), [])
                if value not in values:
                    values.append(value)
    tried: set[object] = set()
    for page, body, place in rows:
        row = _at(body, place)
        alone = replaced(body, place[:-1], _only(_at(body, place[:-1]), place[-1], row))
        found = _read(subject, page, alone)[0]
        if len(found) != 1 or found[0].status is not InstrumentStatus.TRADING:
            continue
        kind = tuple(getattr(found[0], name) for name in _DECIDING), found[0].expiry_ns is None
        if kind in tried:
            continue
        tried.add(kind)
        first: Place = (*place[:-1], 0 if isinstance(place[-1], int) else place[-1])
        _row(subject, page, alone, first, found[0], known)


def _row(
    subject: Subject,
    page: _Page,
    body: Any,
    first: Place,
    instrument: Instrument,
    known: Mapping[object, list[Any]],
) -> None:
    for inner, value in places(_at(body, first)):
        if not inner or not is_word(value):
            continue
        place = (*first, *inner)
        decides: set[str] = set()
        for other in _others(value, known.get(column(place), [])):
            after = _read(subject, page, replaced(body, place, other))[0]
            decides |= {name for each in after for name in _differing(instrument, each)}
        for new in ("ZzNew", "7") if decides else ():
            after = _read(subject, page, replaced(body, place, new))[0]
            where = f"{instrument.symbol} with {new!r} for {value!r} at {list(inner)} of its row"
            for each in after:
                if each.status is not InstrumentStatus.TRADING:
                    continue
                kind = decides - {"expires"}
                assert not kind, (
                    f"{where}, which decides on {', '.join(kind)}, is read as {each}: with a new "
                    "status it doesn't trade, and of a new kind it is left out (let what reads "
                    "the row raise ValueError)"
                )
                assert instrument.expiry_ns is None or each.expiry_ns == instrument.expiry_ns, (
                    f"{where} expires no more ({each}): an instrument of a new kind is left out "
                    "(let what reads the row raise ValueError)"
                )


def _differing(one: Instrument, other: Instrument) -> set[str]:
    """What about two instruments is of another kind."""
    found = {name for name in _DECIDING if getattr(one, name) is not getattr(other, name)}
    return found | ({"expires"} if (one.expiry_ns is None) != (other.expiry_ns is None) else set())


def _rows_of(body: Any) -> list[Place]:
    """Where the rows of a list are: the members of the largest list or table of objects."""
    tables = [
        (place, value)
        for place, value in places(body)
        if isinstance(value, dict | list)
        and len(value) > 1
        and all(isinstance(each, dict) for each in _members(value).values())
    ]
    if not tables:
        return []
    place, table = max(tables, key=lambda each: len(each[1]))
    return [(*place, name) for name in _members(table)]


def _members(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else dict(enumerate(value))


def _only(table: Any, name: Any, row: Any) -> Any:
    return {name: row} if isinstance(table, dict) else [row]


def _at(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value
