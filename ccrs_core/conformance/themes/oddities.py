"""Whether the emulator is as unfriendly as the exchange, and the plugin stands it (5, 71)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import orjson

from ccrs_core.conformance.themes.alone import stands_still
from ccrs_core.conformance.themes.subscribing import unlisted
from ccrs_core.conformance.workbench.line import Line, Wire, events_of
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.contract.codec import Refused
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.rest import GetCandles, GetInstruments
from ccrs_core.emulator import Interval, Listing, Oddity
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Market
from ccrs_core.model.subscriptions import Channel, Subscription

_DEAD = frozenset({InstrumentStatus.HALTED, InstrumentStatus.SETTLING, InstrumentStatus.CLOSED})
_DEEP, _MANY = 1000, 3
_PATIENCE = 90.0
"""Seconds in which a stream that has no cadence but brought something brings something again."""
_HALTED_CANDLES = (10, 18)
"""From and to which of the last candles nothing is traded where histories have holes."""


class OddityProperties:
    """What the exchange does to its clients all the time, the emulator does, too."""

    @proves(71)
    def test_the_emulator_is_as_odd_as_the_exchange(self, subject: Subject) -> None:
        """The emulator shows what exchanges do all the time and examples never do, or its dialect
        says why this exchange doesn't (``Dialect.lacks``)."""
        if not subject.markets:
            subject.undeclared("channel or request")
        lacks = subject.dialect().lacks
        complaints = []
        for oddity, is_shown in _SHOWN.items():
            shown, excuse = is_shown(subject), lacks.get(oddity)
            if excuse is None and shown is False:
                complaints.append(f"it never shows {oddity.value}: {_MEANING[oddity]}")
            elif excuse is not None and not excuse.strip():
                complaints.append(f"Dialect.lacks gives no reason for {oddity.value}")
            elif excuse is not None and shown:
                complaints.append(f"Dialect.lacks names {oddity.value}, but the emulator shows it")
        assert not complaints, (
            "what an emulator never says is proved by nothing. Let it say it, or tell in "
            "Dialect.lacks why the exchange never does:\n" + "\n".join(complaints)
        )

    @proves(5, quick=False)
    def test_optional_fields_may_be_blank(self, subject: Subject) -> None:
        """Where the exchange leaves optional fields blank, null or absent, frames and answers are
        read all the same, and what comes after them as before."""
        for market in subject.markets:
            instrument = subject.instrument(market)
            for channel in sorted(subject.channels.get(market, ())):
                _streams_blank(subject, subject.subscription(channel, instrument))
            _answers_blank(subject, instrument)


# --- whether each is shown: True, False, or None where it can't concern the exchange --------------


def _listings(subject: Subject) -> list[Listing]:
    return [each for each in subject.venue().listings.values() if each.market in subject.markets]


def _asks(subject: Subject, kind: type[Any]) -> bool:
    return kind in subject.exchange.endpoints


def _prelaunch(subject: Subject) -> bool | None:
    if not _asks(subject, GetInstruments):
        return None
    return any(each.status is InstrumentStatus.PRELAUNCH for each in _listings(subject))


def _dead(subject: Subject) -> bool | None:
    if not _asks(subject, GetInstruments):
        return None
    now_ns = subject.venue().start_ns
    return any(
        each.status in _DEAD or (each.expiry_ns is not None and each.expiry_ns <= now_ns)
        for each in _listings(subject)
    )


def _unreadable_row(subject: Subject) -> bool | None:
    if not _asks(subject, GetInstruments):
        return None
    return any(_left_out(subject, market) for market in subject.markets)


def _left_out(subject: Subject, market: Market) -> bool:
    """Whether the list of a market's instruments has rows that can't be read."""
    endpoint = subject.exchange.endpoints[GetInstruments]
    request, line = GetInstruments(market), subject.line()
    if market not in endpoint.markets:
        return False
    cursor: str | None = None
    while True:
        response = line.http(endpoint.encode(request, cursor))
        answer = endpoint.decode(request, response, line.venue.now_ns, cursor)
        if answer.left_out:
            return True
        cursor = answer.cursor
        if cursor is None:
            return False


def _deep(subject: Subject) -> bool | None:
    if not any(Channel.BOOK in channels for channels in subject.channels.values()):
        return None
    return any(each.levels >= _DEEP for each in _listings(subject))


def _many_coins(subject: Subject) -> bool | None:
    if Market.OPTION not in subject.markets:
        return None
    coins = {each.base for each in _listings(subject) if each.market is Market.OPTION}
    return len(coins) >= _MANY


def _non_ascii(subject: Subject) -> bool:
    strange = [each for each in _listings(subject) if not each.symbol.isascii()]
    for listing in strange:
        found = subject.instruments[listing.market]
        native = {each.native: each for each in found}
        instrument = native.get(listing.symbol)
        if instrument is None or instrument.status is not InstrumentStatus.TRADING:
            continue
        for channel in sorted(subject.channels.get(listing.market, ())):
            _heard(subject.line(), subject.subscription(channel, instrument))
    return bool(strange)


def _holes(subject: Subject) -> bool | None:
    endpoints = subject.exchange.endpoints
    if GetCandles not in endpoints:
        return None
    market = next(m for m in Market if m in endpoints[GetCandles].markets)
    instrument = subject.instrument(market)
    name, interval = "1m", Interval(60 * 10**9)
    if name not in subject.exchange.capabilities.intervals:
        return None
    now_ns = subject.venue().start_ns
    first, last = (interval.open_of(now_ns - n * 60 * 10**9) for n in _HALTED_CANDLES[::-1])
    listed = [
        attrs.evolve(each, halts=((first, last),)) if each.symbol == instrument.native else each
        for each in subject.venue().listings.values()
    ]
    line = subject.line(subject.venue(listings=listed))
    candles = line.ask(GetCandles(instrument, name, None, now_ns, 30))
    opens = [candle.open_time_ns for candle in candles]
    return bool(opens) and not any(first <= each < last for each in opens)


def _new_listing(subject: Subject) -> bool | None:
    if not _asks(subject, GetInstruments):
        return None
    for market in subject.markets:
        instrument = subject.instrument(market)
        venue = subject.venue()
        everything = list(venue.listings.values())
        venue.relist([each for each in everything if each.symbol != instrument.native])
        line = subject.line(venue)
        before = [each.native for each in line.ask(GetInstruments(market))]
        assert instrument.native not in before, f"{instrument.native} is listed before it is"
        venue.advance(venue.now_ns + 10**9)
        venue.relist(everything)
        after = [each.native for each in line.ask(GetInstruments(market))]
        if instrument.native not in after:
            return False
        for channel in sorted(subject.channels.get(market, ())):
            _heard(line, subject.subscription(channel, instrument))
    return True


def _heard(line: Line, subscription: Subscription) -> None:
    """Fails unless a subscription is acknowledged."""
    from ccrs_core.contract.codec import Ack, Refused

    wire = line.open(line.exchange.route(subscription))
    messages = wire.subscribe(subscription) + wire.run(3.0)
    refused = [m for m in messages if isinstance(m, Refused)]
    assert not refused, f"{subscription} is refused: {refused[0].text}"
    assert any(isinstance(m, Ack) for m in messages) or events_of(messages), (
        f"{subscription} is neither acknowledged nor heard"
    )


def _blank_fields(subject: Subject) -> bool:
    """Whether anything is spelled otherwise with the fault than without."""
    for market in subject.markets:
        instrument = subject.instrument(market)
        plain, blank = subject.line(), subject.line()
        blank.venue.faults.add("blank")
        for request in requests_of(subject, instrument):
            endpoint = subject.exchange.endpoints[type(request)]
            asked = endpoint.encode(request, None)
            if _shape(plain.http(asked).body) != _shape(blank.http(asked).body):
                return True
        for channel in sorted(subject.channels.get(market, ())):
            subscription = subject.subscription(channel, instrument)
            usual, sparse = (set(_shapes(each, subscription)) for each in (plain, blank))
            if sparse - usual:
                return True
    return False


def _shapes(line: Line, subscription: Subscription) -> Iterator[str]:
    wire = line.open(line.exchange.route(subscription))
    wire.subscribe(subscription)
    wire.run(3.0)
    for frame in wire.frames:
        compression = wire.codec.compression
        yield _shape(frame if compression is None else inflate(frame, compression))


def _unlisted(subject: Subject) -> bool | None:
    if not subject.channels:
        return None
    for case in subject.cases():
        sub = attrs.evolve(case.subscription, instrument=unlisted(case.subscription.instrument))
        wire = subject.line().open(subject.exchange.route(sub))
        told = wire.subscribe(sub) + wire.run(2.0)
        if not wire.peer.subscriptions and any(isinstance(each, Refused) for each in told):
            return True
    return False


def _busy(subject: Subject) -> bool | None:
    if not subject.channels:
        return None
    sub = subject.cases()[0].subscription
    wire = subject.line().open(subject.exchange.route(sub))
    dialect, now_ns = wire.line.venue.dialect, wire.line.venue.now_ns
    return dialect.busy(wire.peer, wire.codec.subscribe([sub], "1"), now_ns) is not None


def _shape(body: bytes) -> str:
    """Which fields a JSON text has, and which of them are blank."""
    try:
        return _form(orjson.loads(body))
    except ValueError:
        return body[:20].hex()


def _form(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_form(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        forms = sorted({_form(item) for item in value})
        return "[" + ";".join(forms) + "]"
    return "null" if value is None else "blank" if value == "" else "value"


_SHOWN: dict[Oddity, Callable[[Subject], bool | None]] = {
    Oddity.PRELAUNCH: _prelaunch,
    Oddity.DEAD: _dead,
    Oddity.UNREADABLE_ROW: _unreadable_row,
    Oddity.BLANK_FIELDS: _blank_fields,
    Oddity.DEEP_BOOK: _deep,
    Oddity.MANY_COINS: _many_coins,
    Oddity.NON_ASCII: _non_ascii,
    Oddity.HOLES: _holes,
    Oddity.NEW_LISTING: _new_listing,
    Oddity.STANDSTILL: stands_still,
    Oddity.UNLISTED: _unlisted,
    Oddity.BUSY: _busy,
}

_MEANING: dict[Oddity, str] = {
    Oddity.PRELAUNCH: "an instrument whose listing says InstrumentStatus.PRELAUNCH.",
    Oddity.DEAD: "an instrument that is halted, settling, closed or past its expiry.",
    Oddity.UNREADABLE_ROW: "a row of GetInstruments that can't be read (and is left out, counted).",
    Oddity.BLANK_FIELDS: "fields that are blank, null or absent while venue.blank(topic or path).",
    Oddity.DEEP_BOOK: f"a listing of {_DEEP} levels a side.",
    Oddity.MANY_COINS: f"options of {_MANY} coins.",
    Oddity.NON_ASCII: "a symbol with characters beyond ASCII.",
    Oddity.HOLES: "no candle within a listing's halts (ccrs_core.emulator.history).",
    Oddity.STANDSTILL: "streams with a max_silence that keep it while venue.hold() lets nothing "
    "change at all.",
    Oddity.NEW_LISTING: "an instrument that venue.relist() brings, in GetInstruments at once.",
    Oddity.UNLISTED: "a subscription to what isn't listed that is refused (and served nothing).",
    Oddity.BUSY: "the refusal of a request that would be granted later (Dialect.busy).",
}


# --- blank fields --------------------------------------------------------------------------------


def _streams_blank(subject: Subject, subscription: Subscription) -> None:
    """Fails unless a stream that is blank for a while is read, and brings values afterwards."""
    line = subject.line()
    patience = 2 * (subject.exchange.max_silence(subscription) or _PATIENCE)
    wire = line.open(subject.exchange.route(subscription))
    lively = bool(events_of(wire.subscribe(subscription) + wire.run(2.0)))
    line.venue.faults.add("blank")
    _read(wire, subscription)
    other = line.open(subject.exchange.route(subscription))
    other.subscribe(subscription)  # who joins meanwhile begins with what is blank
    _read(other, subscription)
    line.venue.faults.clear()
    waiting, waited = [wire, other] if lively else [], 0
    while waiting:
        heard = {each: len(each.frames) for each in waiting}
        told = {each: bool(events_of(each.run(0.5))) for each in (wire, other)}
        closed = wire.closed or other.closed
        assert not closed, f"the connection of {subscription} was closed"
        waited += 1
        # Halfway, a frame without events will do: there may be nothing new to tell.
        late = waited > patience / 2
        waiting = [e for e in waiting if not (told[e] or (late and len(e.frames) > heard[e]))]
        assert waited < patience or not waiting, (
            f"{subscription} brings nothing any more once its fields have values again"
        )


def _read(wire: Wire, subscription: Subscription) -> None:
    try:
        wire.run(2.0)
    except Exception as error:
        raise AssertionError(
            f"a frame of {subscription} with blank optional fields isn't read: {error!r}. What may "
            "be absent is None, or no event; one value must not take a frame away"
        ) from error


def _answers_blank(subject: Subject, instrument: Instrument) -> None:
    line = subject.line()
    line.venue.faults.add("blank")
    for request in requests_of(subject, instrument):
        try:
            line.ask(request)
        except Exception as error:
            raise AssertionError(
                f"an answer to {type(request).__name__} with blank optional fields isn't read: "
                f"{error!r}"
            ) from error
