"""Nothing less and nothing more than what the exchange says: times, digits, fields, channels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.conformance.workbench.line import Line, Wire, events_of
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Case, Subject, requests_of
from ccrs_core.contract.codec import Data, Message
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.rest import GetCandles, HttpResponse
from ccrs_core.emulator import Lifetime
from ccrs_core.model.events import Event, Ticker, TopOfBook
from ccrs_core.model.instruments import Side
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND

_AHEAD_NS = 7_777_777_777
"""How far our own clock is ahead: no time on the wire is the same."""
_SECONDS, _RATE = 4.0, 15.0
_UNITS = {10: NS_PER_SECOND, 13: 10**6, 16: 10**3, 19: 1}
_FRACTION = re.compile(rb'(?<=")(-?\d+\.\d+)(?=")|(?<=[:,\[])(-?\d+\.\d+)(?=[,\]}])')
_WHOLE = re.compile(rb"(?<![\d.])1\d{9}(?:\d{3}){0,3}(?![\d.])")
_MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


class ExactnessProperties:
    """What is delivered is what was said."""

    @proves(16)
    def test_the_exchanges_time_is_told_where_it_is_stated(self, subject: Subject) -> None:
        """An event whose frame states times of the exchange has one of those for its own, to the
        digit, and never our own clock's."""
        for case in subject.cases():
            wire = _opened(subject, case)
            for frame, messages in _heard(wire):
                stated = set(_times(frame))
                for event in events_of(messages):
                    told = event.exchange_time_ns
                    if told is None:
                        # Rows of candles may state when they open, and nothing else.
                        fine = not stated or case.channel is Channel.CANDLES
                        what = "none, though the frame states one"
                    else:
                        fine = told in stated
                        what = f"{told} ({clock(told)}), which the frame doesn't state"
                    assert fine, (
                        f"exchange_time_ns of {case} is {what}: latencies would be wrong, and old "
                        f"news new (Codec.decode)\n  frame: {frame[:500]!r}"
                    )

    @proves(8)
    def test_nothing_is_delivered_that_is_not_subscribed_to(self, subject: Subject) -> None:
        """Whoever subscribes to one channel of one instrument is delivered that, and each event of
        a frame once, also where one stream of the exchange carries several."""
        for case in subject.cases():
            sub = case.subscription
            for frame, messages in _heard(_opened(subject, case)):
                for event in events_of(messages):
                    assert (event.channel, event.symbol) == (sub.channel, sub.symbol), (
                        f"{sub} alone is subscribed to, and {event.type} of "
                        f"{event.symbol} is delivered, too (Codec.decode)\n  frame: {frame[:500]!r}"
                    )
                data = [message for message in messages if isinstance(message, Data)]
                twice = [m for at, m in enumerate(data) if m in data[:at]]
                assert not twice, (
                    f"a frame of {case} is delivered twice: each trade would count double "
                    f"(Codec.decode)\n  frame: {frame[:500]!r}"
                )

    @proves(2)
    def test_what_a_ticker_has_told_it_goes_on_telling(self, subject: Subject) -> None:
        """A field of a ticker that has a value has one in all later tickers, whether their frames
        repeat it or not, as long as the exchange doesn't withdraw it."""
        for case in subject.cases(Channel.TICKER):
            known: dict[str, object] = {}
            for frame, messages in _heard(_opened(subject, case)):
                for event in events_of(messages):
                    assert isinstance(event, Ticker)
                    for field in attrs.fields(Ticker):
                        value = getattr(event, field.name)
                        assert value is not None or field.name not in known, (
                            f"{field.name} of {case} was {known[field.name]} and is None: what a "
                            "frame doesn't repeat is as it was (Codec.decode)\n  frame: "
                            f"{frame[:500]!r}"
                        )
                        if value is not None:
                            known[field.name] = value

    @proves(2)
    def test_a_side_without_orders_has_no_price(self, subject: Subject) -> None:
        """Where all orders of a side are taken, the best price of it is None, and so is its size:
        never zero, and never the last one."""
        for case in subject.cases(Channel.TOP_OF_BOOK):
            for side in Side:
                wire = _opened(subject, case, levels=2)
                listing = wire.line.venue.listings[_key(subject, case)]
                wire.run(_SECONDS)
                # Whoever takes all of a side leaves none.
                wire.line.venue.submit(
                    listing,
                    side,
                    listing.max_size,
                    owner="taker",
                    lifetime=Lifetime.IOC,
                )
                for event in events_of(wire.run(1.0)):
                    assert isinstance(event, TopOfBook)
                    for price, size in (
                        (event.bid_price, event.bid_size),
                        (event.ask_price, event.ask_size),
                    ):
                        fine = (price is None) == (size is None)
                        fine &= price is None or (price > 0 and size is not None and size > 0)
                        assert fine, (
                            f"{case} tells a best price of {price} for {size}, where a side has no "
                            "orders: somebody would trade at it (Codec.decode: None for both)"
                        )

    @proves(13, against=Against.NOTHING)
    def test_answers_keep_every_digit(self, subject: Subject) -> None:
        """Numbers of answers that are spelled with more zeros are delivered with those."""
        exchange = subject.exchange
        if not exchange.endpoints:
            subject.undeclared("request")
        line = subject.line()
        for market in subject.markets:
            instrument = subject.instrument(market)
            line.venue.market(line.venue.listings[subject.listings[market, instrument.native].key])
            line.venue.advance(line.venue.now_ns + 20 * NS_PER_SECOND)
            for request in requests_of(subject, instrument):
                if isinstance(request, GetCandles):
                    continue  # their volumes may have to be reckoned
                endpoint = exchange.endpoints[type(request)]
                response = line.http(endpoint.encode(request, None))
                body = _FRACTION.sub(lambda found: found[0] + b"00", response.body)
                longer = HttpResponse(response.status, response.headers, body)
                before, after = (
                    list(_decimals(endpoint.decode(request, each, 1, None).value))
                    for each in (response, longer)
                )
                texts = {found[0].decode() for found in _FRACTION.finditer(response.body)}
                for old, new in zip(before, after, strict=True):
                    if str(old) in texts:
                        assert str(new) == f"{old}00", (
                            f"{old}00 in an answer to {type(request).__name__} of {market.value} "
                            f"becomes {new}: keep the exchange's digits (Endpoint.decode: "
                            "ccrs_core.wire's readers)"
                        )


def _key(subject: Subject, case: Case) -> tuple[str, str]:
    return subject.listings[case.market, case.subscription.instrument.native].key


def _opened(subject: Subject, case: Case, levels: int | None = None) -> Wire:
    """A connection that has subscribed to a case alone, by a clock that is ahead."""
    listings = None
    if levels is not None:
        listings = [attrs.evolve(each, levels=levels) for each in subject.listings.values()]
    venue = subject.venue(rate=_RATE if levels is None else 0.01, listings=listings)
    line = Line(subject.make(), venue)
    line.clock_off_ns = _AHEAD_NS
    wire = line.open(line.exchange.route(case.subscription))
    wire.frames.clear()
    wire.peer.received(wire.codec.subscribe([case.subscription], "1"), venue.now_ns)
    return wire


def _heard(wire: Wire) -> Iterator[tuple[bytes, Sequence[Message]]]:
    """Each frame of some seconds and what it says."""
    venue, method = wire.line.venue, wire.codec.compression
    venue.advance(venue.now_ns + round(_SECONDS * NS_PER_SECOND))
    for frame in wire.raw():
        yield frame if method is None else inflate(frame, method), wire.decode(frame)


def _times(frame: bytes) -> Iterator[int]:
    """Every time of our days that a frame states, in nanoseconds."""
    for found in _WHOLE.finditer(frame):
        yield int(found[0]) * _UNITS[len(found[0])]
    for found in _MOMENT.finditer(frame):
        text = found[0].decode().removesuffix("Z")
        whole, _, fraction = text.partition(".")
        seconds = round(datetime.fromisoformat(f"{whole}+00:00").timestamp())
        yield seconds * NS_PER_SECOND + int(f"{fraction:<09}"[:9] or 0)


def _decimals(value: Any) -> Iterator[Decimal]:
    """The numbers of an answer's events, in their order."""
    for event in value if isinstance(value, list) else [value]:
        if isinstance(event, Event):
            yield from _within(attrs.astuple(event, recurse=False))


def _within(value: Any) -> Iterator[Decimal]:
    if isinstance(value, Decimal):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _within(each)
