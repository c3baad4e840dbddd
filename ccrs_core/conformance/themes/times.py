"""Property 16: times are integer nanoseconds, of the present, and never run backwards."""

from __future__ import annotations

from typing import Any

import attrs

from ccrs_core.conformance.judges.agreement import interest_of
from ccrs_core.conformance.workbench.line import events_of
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import GetBook, GetCandles, GetInstruments, GetServerTime, GetTopOfBook
from ccrs_core.model.events import AnyEvent, Candle, Event, Funding, Liquidation, Ticker, Trade
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.subscriptions import INTERVALS, Channel
from ccrs_core.model.units import NS_PER_MS, NS_PER_SECOND

_NEAR_NS = 5 * NS_PER_SECOND
_YEAR_NS = 366 * 86_400 * NS_PER_SECOND
_SETTLED = 2.0
"""Seconds after which what comes is live: before, exchanges may show what has been."""
_SECONDS = 12.0
_BUSY = 20.0
_UNITS = (NS_PER_SECOND, NS_PER_MS, 1_000, 1)
"""In which times may be told."""
_LONGER = 70.0
"""Seconds by which candles are heard for longer than one lasts, so that at least one closes."""


class TimeProperties:
    """Property 16."""

    @proves(16)
    def test_times_of_streams_are_of_the_present_and_in_order(self, subject: Subject) -> None:
        """Of every channel all times are integers of nanoseconds, the exchange's within five
        seconds of its clock, and what one connection brings is received in order."""
        cases = subject.cases()
        routes = {
            (c.subscription.symbol, c.channel): subject.exchange.route(c.subscription)
            for c in cases
        }

        async def scenario(world: World) -> None:
            interests = [interest_of(case.subscription) for case in cases]
            begun_ns = world.clock.time_ns()
            last: dict[Route, int] = {}
            async with world.client.subscribe(*interests) as feed:
                await settle(_SECONDS)
                async for batch in feed.batches():
                    for event in batch:
                        if event.channel is not None:
                            _plausible(event, begun_ns)
                            _in_order(event, last, routes[event.symbol, event.channel])
                    break
            assert last, f"no event came within {_SECONDS:g} s"

        subject.world().run(scenario)

    @proves(16)
    def test_times_of_streams_are_those_of_what_happened(self, subject: Subject) -> None:
        """A trade and a liquidation have the time at which they happened, not that of the frame
        that tells of it; of nothing the exchange's time lies after the moment of its coming."""
        for case in subject.cases():
            line = subject.line(subject.venue(rate=_BUSY))
            truth = Truth(line.venue)
            listing = truth.listing(case.subscription.instrument)
            market = line.venue.market(listing)
            price = market.rules.price
            wire = line.open(line.exchange.route(case.subscription))
            messages = wire.subscribe(case.subscription)
            for number in (1, 2):
                messages += wire.run(1.1)
                at = price.value(price.nearest(listing.price) + number)
                line.venue.trade(listing, Side.BUY, listing.lot * 10, at)
                if case.channel is Channel.LIQUIDATIONS:
                    line.venue.liquidate(listing, Side.BUY, listing.lot * 10, at)
            messages += wire.run(1.1)
            prints = {t.time_ns for t in market.tape.trades}
            forced = {each.time_ns for each in market.liquidations}
            for event in events_of(messages):
                told = event.exchange_time_ns
                if told is None or event.symbol != case.subscription.symbol:
                    continue
                assert told < event.received_time_ns + NS_PER_MS, (
                    f"{case}: exchange_time_ns of {event} lies "
                    f"{told - event.received_time_ns} ns after its coming: is it read from the "
                    "field that says when it happened, rather than when the frame was sent?"
                )
                happened = {Trade: prints, Liquidation: forced}.get(type(event))
                unit = next(each for each in _UNITS if told % each == 0)
                assert happened is None or any(abs(told - t) < unit for t in happened), (
                    f"{case}: at {told}, exchange_time_ns of {event}, there was none: is it read "
                    "from the field that says when it happened, in its unit?"
                )

    @proves(16)
    def test_times_of_answers_are_plausible(self, subject: Subject) -> None:
        """Times in answers are integers of nanoseconds; those of the exchange's present state are
        within five seconds of its clock, those of the past lie in the past."""
        if not subject.markets:
            subject.undeclared("request")
        line = subject.line()
        line.venue.advance(line.venue.now_ns + 20 * NS_PER_SECOND)
        now_ns = line.venue.now_ns
        for market in subject.markets:
            for request in requests_of(subject, subject.instrument(market)):
                name = f"{type(request).__name__} of {market.value}"
                answer: Any = line.ask(request)
                if isinstance(request, GetServerTime):
                    _near(name, "its time", answer, now_ns)
                if isinstance(request, GetInstruments):
                    for instrument in answer:
                        if instrument.expiry_ns is not None:
                            _within(name, "expiry_ns", instrument.expiry_ns, now_ns, 20 * _YEAR_NS)
                    continue
                for event in answer if isinstance(answer, list) else [answer]:
                    if not isinstance(event, Event):
                        continue
                    _near(name, "received_time_ns", event.received_time_ns, now_ns)
                    at = event.exchange_time_ns
                    if at is None:
                        continue
                    if isinstance(request, GetTopOfBook | GetBook):
                        _near(name, "exchange_time_ns", at, now_ns)
                    else:
                        _within(name, "exchange_time_ns", at, now_ns, 2 * _YEAR_NS)
                        assert at <= now_ns + 40 * 86_400 * NS_PER_SECOND, (
                            f"{name}.exchange_time_ns lies more than 40 days ahead"
                        )
                    _spans(name, event, now_ns)

    @proves(16, quick=False)
    def test_candles_are_closed_by_the_exchanges_clock(self, subject: Subject) -> None:
        """Whether a candle is closed, and which ones a history has, depends on the exchange's clock
        alone, though our own be a minute and a half ahead or behind."""
        endpoint = subject.exchange.endpoints.get(GetCandles)
        asked = () if endpoint is None else endpoint.markets
        streamed = [m for m, declared in subject.channels.items() if Channel.CANDLES in declared]
        if not asked and not streamed:
            subject.undeclared("candles")
        for market in Market:
            instrument = subject.instrument(market) if {market} & {*asked, *streamed} else None
            if instrument is not None and market in asked:
                for seconds in (0.3, 20.0, 59.0):
                    _closes_when_asked(subject, instrument, seconds)
            if instrument is not None and market in streamed:
                _closes_by_stream(subject, instrument)


_OFF = (0.0, 90.0, -90.0)
"""Seconds that our clock is ahead."""


def _closes_when_asked(subject: Subject, instrument: Instrument, seconds: float) -> None:
    name = subject.exchange.capabilities.intervals[0]
    length_ns = INTERVALS[name] * NS_PER_SECOND
    for off in _OFF:
        line = subject.line()
        # By a whole interval more: the first moments after a beginning are of interest.
        began_ns = (line.venue.now_ns // length_ns + 1) * length_ns
        line.venue.advance(began_ns + round(seconds * NS_PER_SECOND))
        line.clock_off_ns = round(off * NS_PER_SECOND)
        now_ns = line.venue.now_ns
        opens = [began_ns - n * length_ns for n in (3, 2, 1, 0)]
        for start_ns in (None, opens[0]):
            found = line.ask(GetCandles(instrument, name, start_ns, None, len(opens)))
            told = [(each.open_time_ns, each.closed) for each in found]
            true = [(at, at + length_ns <= now_ns) for at in opens]
            assert told == true, (
                f"{seconds:g} s after a {name} candle of {instrument.symbol} began, with a clock "
                f"{off:+g} s off, GetCandles tells (opening, closed) {told} instead of {true}. Go "
                "by the exchange's time: the answer's own, or ccrs_core.wire.answered_at()"
            )


def _closes_by_stream(subject: Subject, instrument: Instrument) -> None:
    subscription = subject.subscription(Channel.CANDLES, instrument)
    length = INTERVALS[subscription.interval or "1m"]
    told = []
    for off in _OFF:
        line = subject.line()
        line.clock_off_ns = round(off * NS_PER_SECOND)
        wire = line.open(subject.exchange.route(subscription))
        events = events_of(wire.subscribe(subscription) + wire.run(length + _LONGER))
        told.append([(e.open_time_ns, e.closed) for e in events if isinstance(e, Candle)])
    first = told[0]
    assert any(closed for _, closed in first), f"no candle of {instrument.symbol} ever closes"
    assert all(each == first for each in told), (
        f"candles of {instrument.symbol} close otherwise when our clock is off: (opening, closed) "
        f"by clocks {', '.join(f'{off:+g} s' for off in _OFF)} off: {told}"
    )


def _plausible(event: AnyEvent, begun_ns: int) -> None:
    name, received = event.type, event.received_time_ns
    for field in attrs.fields(type(event)):
        value = getattr(event, field.name)
        if field.name.endswith("_ns") and value is not None:
            assert type(value) is int, (
                f"{name}: {field.name} is {value!r}: times are integers of nanoseconds"
            )
    assert received >= begun_ns, f"{name} was received at {received}, before the client began"
    at = event.exchange_time_ns
    if at is not None:
        live = received - begun_ns > _SETTLED * NS_PER_SECOND
        if live or at > received:
            _near(name, "exchange_time_ns", at, received)
        else:
            _within(name, "exchange_time_ns", at, received, 2 * _YEAR_NS)
    _spans(name, event, received)


def _spans(name: str, event: object, now_ns: int) -> None:
    """What else says when something begins or is due."""
    if isinstance(event, Candle):
        length = INTERVALS[event.interval] * NS_PER_SECOND
        _within(name, "open_time_ns", event.open_time_ns, now_ns, 400 * length)
        span = event.close_time_ns - event.open_time_ns
        assert abs(span - length) <= length // 10, (
            f"{name}: a candle of {event.interval} lasts {span} ns: close_time_ns is the first "
            "nanosecond after it"
        )
    if isinstance(event, Funding) and event.funding_time_ns is not None:
        _within(name, "funding_time_ns", event.funding_time_ns, now_ns, _YEAR_NS)
    if isinstance(event, Ticker) and event.next_funding_time_ns is not None:
        _within(name, "next_funding_time_ns", event.next_funding_time_ns, now_ns, _YEAR_NS)


def _near(name: str, field: str, value: int, now_ns: int) -> None:
    _within(name, field, value, now_ns, _NEAR_NS)


def _within(name: str, field: str, value: int, now_ns: int, bound_ns: int) -> None:
    assert type(value) is int, f"{name}: {field} is {value!r}: times are integers of nanoseconds"
    off = value - now_ns
    assert abs(off) <= bound_ns, (
        f"{name}: {field} is {value}, {off / 1e9:+.3f} s off the exchange's clock ({now_ns}); are "
        "its units (s, ms, µs) read right? See ccrs_core.wire.ns_of_ms and kin"
    )


def _in_order(event: AnyEvent, last: dict[Route, int], route: Route) -> None:
    before = last.get(route, event.received_time_ns)
    assert before <= event.received_time_ns, (
        f"{event.type} of {event.symbol} was received {before - event.received_time_ns} ns before "
        "what was delivered earlier by the same connection: received_time_ns is decode()'s argument"
    )
    last[route] = event.received_time_ns
