"""Property 16 of candles: they begin, end and are closed as the calendar says, whatever the
interval, the month and the machine's own time zone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import attrs

from ccrs_core.conformance.judges.calendars import at, candle_at, elsewhere, opens_until
from ccrs_core.conformance.judges.figures import interval_of
from ccrs_core.conformance.workbench.line import Wire, events_of
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.world import World
from ccrs_core.contract.codec import Message
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import GetCandles
from ccrs_core.emulator import Frame, Listing, SimulatedMarket
from ccrs_core.model.events import AnyEvent, Candle, Gap, Stale
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Channel, Interest, Subscription
from ccrs_core.model.units import NS_PER_SECOND

_ASKED = tuple(map(at, (
    "2023-12-31 23:59:57",  # a Sunday, and the end of a year
    "2024-01-01 00:00:03",
    "2024-02-28 23:59:57",  # in a leap year, so the month goes on
    "2024-02-29 23:59:57",
    "2024-03-01 00:00:03",
    "2025-02-28 23:59:57",
    "2025-03-01 00:00:03",
    "2025-03-31 12:34:56",
    "2025-04-30 23:59:57",
    "2025-10-26 01:30:00",  # clocks are put back in Europe
    "2026-01-04 23:59:57",  # a Sunday
    "2026-01-05 00:00:03",
)))  # fmt: skip
"""When candles are asked for."""
_EVERYTHING_ENDS = tuple(map(at, (
    "2032-03-01 00:00:00",  # after 29 days
    "2025-12-01 00:00:00",  # after 30
    "2024-01-01 00:00:00",  # after 31, and a year
    "2027-03-01 00:00:00",  # after 28
)))  # fmt: skip
"""Mondays that are the first of a month: candles of every interval end there at once."""
_BEFORE, _AFTER = 30.0, 130.0
"""Seconds that streams are heard before they end, and after: two more candles of a minute end."""
_LATE_NS = 10 * NS_PER_SECOND
"""So long after a candle's end exchanges may take to tell it."""
_WHERE = (
    "Candles open in UTC, weeks on Mondays, months on their first day; close_time_ns is the first "
    "nanosecond after them (ccrs_core.wire.candle_times)"
)


class CandleProperties:
    """Candles by the calendar."""

    @proves(16)
    def test_candles_that_are_asked_for_keep_the_calendar(self, subject: Subject) -> None:
        """For every declared interval, at the ends of months of every length, of years and of
        weeks, the last candles and those from a start open, close and are closed when the calendar
        says so, whatever the time zone of the machine."""
        endpoint = subject.exchange.endpoints.get(GetCandles)
        if endpoint is None:
            subject.undeclared("request for candles")
        with elsewhere():
            for market in (m for m in Market if m in endpoint.markets):
                _asked(subject, subject.instrument(market))

    @proves(16)
    def test_streamed_candles_end_once_when_the_calendar_says(self, subject: Subject) -> None:
        """For every declared interval, over the end of a month of any length that is the end of all
        other candles, too, each candle that is told of is told closed exactly once, when it has
        ended, and isn't told of afterwards: also while nothing is traded."""
        for place, case in enumerate(subject.cases(Channel.CANDLES)):
            instrument = case.subscription.instrument
            routes = by_route(subject, instrument)
            for turn, end_ns in enumerate(_EVERYTHING_ENDS):
                lively = (turn + place) % len(_EVERYTHING_ENDS) == 0
                for subs in routes.values():
                    with elsewhere():
                        _streamed(subject, subs, end_ns, lively=lively)

    @proves(16)
    def test_a_candle_that_ends_during_an_interruption_ends_at_most_once(
        self, subject: Subject
    ) -> None:
        """Where the connection is lost before the end of candles and another one is there only
        afterwards, each candle is closed once or its loss is told, none is told of after its end,
        and those after it go on: over one connection and over two."""
        case = subject.cases(Channel.CANDLES)[0]
        intervals = subject.exchange.capabilities.intervals
        chosen = sorted({0, len(intervals) // 2, len(intervals) - 1})
        interests = [
            Interest(Channel.CANDLES, case.subscription.symbol, None, intervals[at])
            for at in chosen
        ]
        for connections in (1, 2):
            _interrupted(subject, case.market, interests, connections)


def by_route(subject: Subject, instrument: Instrument) -> dict[Route, list[Subscription]]:
    """A subscription to candles of each declared interval, by its route."""
    found: dict[Route, list[Subscription]] = {}
    for interval in subject.exchange.capabilities.intervals:
        sub = subject.subscription(Channel.CANDLES, instrument, interval=interval)
        found.setdefault(subject.exchange.route(sub), []).append(sub)
    return found


def listing_of(subject: Subject, instrument: Instrument) -> Listing:
    """An instrument's listing, as if it had been there for ever."""
    listing = subject.listings[instrument.market, instrument.native]
    return attrs.evolve(listing, launch_ns=0)


# --- asked for -----------------------------------------------------------------------------------


def _asked(subject: Subject, instrument: Instrument) -> None:
    listing = listing_of(subject, instrument)
    line = subject.line(subject.venue(listings=[listing], start_ns=_ASKED[0], rate=0.1))
    for now_ns in _ASKED:
        line.venue.advance(now_ns)
        for interval in subject.exchange.capabilities.intervals:
            # Fourteen months have each of them, and the same one of another year.
            opens = opens_until(interval, now_ns, 14 if interval.endswith("M") else 3)
            from_ns, until_ns = opens[-3], opens[-1]
            for start_ns, end_ns, true in (
                (None, None, opens),
                (None, until_ns, opens[:-1]),
                (from_ns, None, opens[-3:]),
                (from_ns, until_ns, opens[-3:-1]),
                (from_ns + 1_000_000, until_ns + 1_000_000, opens[-2:]),
            ):
                limit = len(true) if start_ns is None else 5
                request = GetCandles(instrument, interval, start_ns, end_ns, limit)
                found = line.ask(request)[-limit:]
                _compare(request, found, true, now_ns)


def _compare(
    request: GetCandles, found: Sequence[Candle], opens: Sequence[int], now_ns: int
) -> None:
    told = [(each.open_time_ns, each.close_time_ns, each.closed) for each in found]
    spans = [candle_at(request.interval, open_ns) for open_ns in opens]
    true = [(open_ns, close_ns, close_ns <= now_ns) for open_ns, close_ns in spans]
    if told == true:
        return
    bounds = " ".join(
        f"{word} {clock(bound)}"
        for word, bound in (("from", request.start_ns), ("before", request.end_ns))
        if bound is not None
    )
    raise AssertionError(
        f"at {clock(now_ns)} candles of {request.interval} of {request.instrument.symbol} are "
        f"asked for{' ' if bounds else ''}{bounds}, at most {request.limit}. "
        f"{_differing(told, true)}. {_WHERE}. Look at the endpoint of GetCandles: the interval's "
        "name and the bounds in encode(), the times in decode()"
    )


_Told = tuple[int, int, bool]


def _differing(told: Sequence[_Told], true: Sequence[_Told]) -> str:
    for one, other in zip(told, true, strict=False):
        if one != other:
            return f"One comes as {_spelled(one)}, and is {_spelled(other)}"
    first = _spelled((told if len(told) > len(true) else true)[min(len(told), len(true))])
    return f"{len(told)} came instead of {len(true)}; the first too many or too few is {first}"


def _spelled(told: _Told) -> str:
    return f"{clock(told[0])} to {clock(told[1])}, {'closed' if told[2] else 'open'}"


# --- streamed ------------------------------------------------------------------------------------


def _streamed(subject: Subject, subs: Sequence[Subscription], end_ns: int, *, lively: bool) -> None:
    listing = listing_of(subject, subs[0].instrument)
    start_ns = end_ns - round(_BEFORE * NS_PER_SECOND)
    # The market is there for longer, so that in one that isn't lively nothing is ever traded.
    began_ns = start_ns - 60 * NS_PER_SECOND
    venue = subject.venue(listings=[listing], start_ns=began_ns, rate=3.0 if lively else 0.001)
    venue.market(listing)
    venue.advance(start_ns)
    line = subject.line(venue)
    wire = line.open(subject.exchange.route(subs[0]))
    nothing = _of_which_nothing_is_made(wire)
    messages = [m for sub in subs for m in wire.subscribe(sub)]
    messages += wire.run(_BEFORE + _AFTER - (venue.now_ns - start_ns) / NS_PER_SECOND)
    candles = [e for e in events_of(messages) if isinstance(e, Candle)]
    assert not nothing, (
        "decode() makes nothing at all of a frame with a candle, not even Unchanged or Unknown, so "
        f"that its state or its end is lost: {nothing[0][:500]!r}"
    )
    for sub in subs:
        interval = sub.interval or ""
        of_it = [candle for candle in candles if candle.interval == interval]
        closed = _judged(of_it, interval, venue.now_ns)
        _complete(of_it, venue.market(listing))
        last = candle_at(interval, end_ns - 1)[0]
        if lively and last not in closed:
            raise AssertionError(
                f"the {interval} candle of {sub.symbol} that opened at {clock(last)} ended at "
                f"{clock(end_ns)} and was traded in, but isn't told closed within {_AFTER:g} s: "
                "whoever waits for its end waits for ever. Look at what decode() makes of the "
                f"frame that tells the end. {_WHERE}"
            )


def _of_which_nothing_is_made(wire: Wire) -> list[bytes]:
    """Will hold the data frames of a wire that no message is made of."""
    told: set[bytes] = set()
    found: list[bytes] = []
    send, decode = wire.peer.send, wire.decode

    def sent(frame: Frame, topic: str) -> None:
        told.add(frame.payload)
        send(frame, topic)

    def read(frame: bytes) -> Sequence[Message]:
        messages = decode(frame)
        if not messages and frame in told:
            found.append(frame)
        return messages

    wire.peer.send, wire.decode = sent, read  # type: ignore[method-assign]
    return found


def _judged(candles: Iterable[Candle], interval: str, now_ns: int) -> Counter[int]:
    """Which candles were closed and how often; fails where one is not what the calendar says."""
    closed: Counter[int] = Counter()
    told: dict[int, int] = {}
    newest_ns = 0
    for candle in candles:
        open_ns, received_ns = candle.open_time_ns, candle.received_time_ns
        true = candle_at(interval, open_ns)
        is_now = candle_at(interval, received_ns)
        just = candle_at(interval, received_ns - _LATE_NS)
        what = (
            f"the {interval} candle of {candle.symbol}, told at {clock(received_ns)} as "
            f"{_spelled((open_ns, candle.close_time_ns, candle.closed))}"
        )
        if (open_ns, candle.close_time_ns) != true or true not in (is_now, just):
            raise AssertionError(f"{what}, is {_spelled((*is_now, False))}. {_WHERE}")
        if candle.closed and received_ns < true[1]:
            raise AssertionError(f"{what}, hasn't ended yet. Which field says that it is final?")
        if open_ns in closed or open_ns < newest_ns:
            raise AssertionError(
                f"{what}, was told closed before, or a later one was: closed candles never change "
                "and come once, in order"
            )
        newest_ns = open_ns
        told[open_ns] = true[1]
        closed[open_ns] += candle.closed
        closed = +closed
    for open_ns, close_ns in told.items():
        if close_ns + _LATE_NS < now_ns and open_ns not in closed:
            raise AssertionError(
                f"the {interval} candle that opened at {clock(open_ns)} was told open, and ended "
                f"at {clock(close_ns)}; until {clock(now_ns)} nobody was told. Look at what "
                "decode() makes of the frame that tells the end, also where nothing was traded"
            )
    return closed


def _complete(candles: Iterable[Candle], market: SimulatedMarket) -> None:
    """Fails unless closed candles hold all that was traded in them."""
    for candle in candles:
        if candle.closed:
            bar = market.tape.candle(interval_of(candle.interval), candle.open_time_ns)
            true = market.rules.size.value(bar.lots)
            assert candle.volume == true, (
                f"the {candle.interval} candle of {candle.symbol} that opened at "
                f"{clock(candle.open_time_ns)} is told closed with a volume of {candle.volume}, "
                f"while {true} was traded in it: only what the exchange calls final is final"
            )


# --- over an interruption ------------------------------------------------------------------------


def _interrupted(
    subject: Subject, market: Market, interests: Sequence[Interest], connections: int
) -> None:
    end_ns = _EVERYTHING_ENDS[-1]
    start_ns = end_ns - round(_BEFORE * NS_PER_SECOND)

    async def scenario(world: World) -> list[AnyEvent]:
        async with world.client.subscribe(*interests, connections=connections) as feed:
            await feed.ready()
            until = (end_ns - world.clock.time_ns()) / NS_PER_SECOND - 2.0
            await asyncio.sleep(until)
            world.fault("refuse,duration=4", "drop")
            await asyncio.sleep(_AFTER)
            async for batch in feed.batches():
                return list(batch)
        return []

    listing = listing_of(subject, subject.instrument(market))
    world = subject.world(listings=[listing], start_ns=start_ns, rate=3.0)
    events = world.run(scenario)
    for interest in interests:
        interval = interest.interval or ""
        mine = list(_of(events, interval))
        candles = [event for event in mine if isinstance(event, Candle)]
        closed = _judged_over(candles, interval)
        _complete(candles, world.venue.market(listing))
        warned = any(isinstance(event, Gap | Stale) for event in mine)
        ended = [span[0] for span in _ended(interval, start_ns, end_ns + 115 * NS_PER_SECOND)]
        for open_ns in ended:
            came_after = open_ns >= end_ns
            assert open_ns in closed or (warned and not came_after), (
                f"the {interval} candle of {interest.symbol} that opened at {clock(open_ns)} ended "
                f"{'after' if came_after else 'during'} an interruption of {connections} "
                "connection(s) over the end of the month; it isn't told closed"
                + ("" if came_after else ", and neither Gap nor Stale tells that it may be missing")
            )


def _of(events: Iterable[AnyEvent], interval: str) -> Iterator[AnyEvent]:
    """The candles of an interval, and the notices of any."""
    for event in events:
        if isinstance(event, Candle) and event.interval != interval:
            continue
        yield event


def _judged_over(candles: Sequence[Candle], interval: str) -> Counter[int]:
    """As :func:`_judged`, where the end of a candle may have been lost."""
    newest_ns = max((each.received_time_ns for each in candles), default=0)
    lost = {each.open_time_ns for each in candles} - {
        each.open_time_ns for each in candles if each.closed
    }
    _judged([each for each in candles if each.open_time_ns not in lost], interval, newest_ns)
    return Counter(each.open_time_ns for each in candles if each.closed)


def _ended(interval: str, from_ns: int, until_ns: int) -> Iterator[tuple[int, int]]:
    span = candle_at(interval, from_ns)
    while span[1] <= until_ns:
        yield span
        span = candle_at(interval, span[1])


__all__ = ["CandleProperties", "by_route", "listing_of"]
