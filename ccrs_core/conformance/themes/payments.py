"""Property 16 of funding: each instrument pays at its own interval, which may change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import attrs

from ccrs_core.conformance.judges.calendars import at, payment_after, payments_until
from ccrs_core.conformance.workbench.line import events_of
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import GetFundingHistory
from ccrs_core.emulator import EmulatedExchange, Listing, SimulatedMarket
from ccrs_core.model.events import Funding, MarketData, Ticker
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Market
from ccrs_core.model.subscriptions import Channel
from ccrs_core.model.units import NS_PER_SECOND

_HOUR_NS = 3600 * NS_PER_SECOND
_HOURS = (8, 1, 4, 2)
"""Intervals that exchanges pay at, in hours."""
_PAID = tuple(map(at, (
    "2024-03-01 00:00:00",  # all of them, at the end of a leap year's February
    "2025-12-31 22:00:00",  # those of one hour and of two; the next is another year's
)))  # fmt: skip
_BEFORE, _AFTER = 10.0, 95.0
"""Seconds that streams are heard before a payment, and after: rates may be told once a minute."""
_LATE_NS = 5 * NS_PER_SECOND
_COUNT = 12
_TOLD = {Channel.FUNDING, Channel.TICKER}

Hours = dict[str, int]
"""The interval of each instrument, by its unified symbol."""


class FundingProperties:
    """Funding by the calendar."""

    @proves(16, quick=False)
    def test_funding_of_unlike_intervals_is_told_of_each(self, subject: Subject) -> None:
        """Of instruments that pay every hour, two, four and eight hours, listed side by side, the
        next funding time and the rates are each one's own, over the ends of days, months and
        years; so are the times and rates of their histories."""
        for market in _paying(subject):
            found = _instruments(subject, market)
            # Each of few instruments has one interval after the other.
            for first in range(0, len(_HOURS), len(found)):
                hours = {
                    each.symbol: _HOURS[(first + place) % len(_HOURS)]
                    for place, each in enumerate(found)
                }
                for paid_ns in _PAID:
                    listings = _listed(subject, found, hours)
                    _told(subject, found, listings, paid_ns, hours, hours)
                    _remembered(subject, found, listings, paid_ns, hours)

    @proves(16, quick=False)
    def test_a_funding_interval_that_changes_is_followed(self, subject: Subject) -> None:
        """Where the exchange changes an instrument's interval while it runs, to a shorter or a
        longer one, the next funding time follows from the moment of the change, also where the rate
        stays what it was, and the history holds every payment before it and after."""
        for market in _paying(subject):
            found = _instruments(subject, market)[:2]
            paid_ns = _PAID[0]
            for before, after in ((8, 1), (1, 8)):
                # A second one, whose interval changes the other way round.
                pairs = [(before, after), (after, before)]
                old = {each.symbol: pairs[place][0] for place, each in enumerate(found)}
                new = {each.symbol: pairs[place][1] for place, each in enumerate(found)}
                listings = _listed(subject, found, old, new, paid_ns)
                _told(subject, found, listings, paid_ns, old, new, still=True)
                _joined(subject, found, listings, paid_ns, old, new)


def _paying(subject: Subject) -> list[Market]:
    endpoint = subject.exchange.endpoints.get(GetFundingHistory)
    asked = frozenset[Market]() if endpoint is None else endpoint.markets
    markets = [
        market
        for market in subject.markets
        if (_TOLD & subject.channels.get(market, frozenset()) or market in asked)
        and perpetuals(subject, market)
    ]
    if not markets:
        subject.undeclared("funding")
    return markets


def perpetuals(subject: Subject, market: Market) -> list[Instrument]:
    """The instruments of a market that trade and pay funding, the liveliest first."""
    listings = subject.listings
    return [
        each
        for each in subject.some_instruments(market, 1000)
        if (listing := listings.get((market, each.native))) is not None
        and listing.funding_interval_ns is not None
        and listing.status is InstrumentStatus.TRADING
    ]


def _instruments(subject: Subject, market: Market) -> list[Instrument]:
    return perpetuals(subject, market)[: len(_HOURS)]


def _listed(
    subject: Subject,
    found: Sequence[Instrument],
    hours: Hours,
    later: Hours | None = None,
    changed_ns: int = 0,
) -> list[Listing]:
    return [
        attrs.evolve(
            subject.listings[each.market, each.native],
            launch_ns=0,
            funding_interval_ns=hours[each.symbol] * _HOUR_NS,
            funding_changes=() if later is None else ((changed_ns, later[each.symbol] * _HOUR_NS),),
        )
        for each in found
    ]


# --- streams -------------------------------------------------------------------------------------


def _told(
    subject: Subject,
    found: Sequence[Instrument],
    listings: Sequence[Listing],
    paid_ns: int,
    before: Hours,
    after: Hours,
    *,
    still: bool = False,
) -> None:
    """What streams tell shortly before a payment and after; where rates stand ``still``, nothing
    but the time of the next one is new then."""
    declared = subject.channels.get(found[0].market, frozenset())
    routes: dict[Route, list[Channel]] = {}
    for channel in sorted(declared & _TOLD):
        route = subject.exchange.route(subject.subscription(channel, found[0]))
        routes.setdefault(route, []).append(channel)
    for route, channels in routes.items():
        start_ns = paid_ns - round(_BEFORE * NS_PER_SECOND)
        venue = subject.venue(listings=listings, start_ns=start_ns, rate=0.05)
        if still:
            venue.witnesses.append(_hold)
        rates = _noted(venue)
        wire = subject.line(venue).open(route)
        messages = [
            message
            for each in found
            for channel in channels
            for message in wire.subscribe(subject.subscription(channel, each))
        ]
        silences = [
            subject.exchange.max_silence(subject.subscription(channel, each)) or 0.0
            for each in found
            for channel in channels
        ]
        heard = max(_AFTER, *silences)
        messages += wire.run((paid_ns - venue.now_ns) / NS_PER_SECOND + heard)
        events = events_of(messages)
        for each in found:
            for channel in channels:
                mine = [e for e in events if (e.symbol, e.channel) == (each.symbol, channel)]
                _judged(mine, each, paid_ns, before[each.symbol], after[each.symbol], heard)
                _own(mine, each, rates[each.native])


def _hold(market: SimulatedMarket) -> None:
    market.funding_rate = 123


def _noted(venue: EmulatedExchange) -> dict[str, set[Decimal]]:
    """Will hold the rates that each market has had."""
    rates: dict[str, set[Decimal]] = {}

    def note(market: SimulatedMarket) -> None:
        known = rates.setdefault(market.listing.symbol, set())
        known.add(Decimal(market.funding_rate).scaleb(-6))

    venue.witnesses.append(note)
    return rates


def _time_and_rate(event: MarketData) -> tuple[int | None, Decimal | None]:
    if isinstance(event, Ticker):
        return event.next_funding_time_ns, event.funding_rate
    assert isinstance(event, Funding)
    return event.funding_time_ns, event.rate


def _judged(
    events: Iterable[MarketData],
    of: Instrument,
    paid_ns: int,
    before: int,
    after: int,
    heard: float,
) -> None:
    """Fails unless the next payment is what the calendar says."""
    told_before = told_after = False
    what = f"{of.symbol}, which pays every {before} h"
    if after != before:
        what += f", and from {clock(paid_ns)} on every {after} h,"
    for event in events:
        told, received_ns = _time_and_rate(event)[0], event.received_time_ns
        if told is None:
            continue

        def due(time_ns: int) -> int:
            return payment_after(time_ns, before if time_ns < paid_ns else after)

        true = {due(received_ns), due(received_ns - _LATE_NS)}
        assert told in true, (
            f"at {clock(received_ns)} the next funding of {what} is said to be paid at "
            f"{clock(told)}; it is at {clock(due(received_ns))}. Take the exchange's own time of "
            "the payment from each message: an interval is no constant, and another instrument's "
            f"is another ({event.type}, decode())"
        )
        told_before |= received_ns < paid_ns
        told_after |= told > paid_ns
    assert told_after or not told_before, (
        f"the next funding time of {what} isn't told within {heard:g} s after {clock(paid_ns)}: "
        "the last that was heard lies in the past now"
    )


def _own(events: Iterable[MarketData], of: Instrument, known: set[Decimal]) -> None:
    """Fails where a rate is not one that the instrument's market has had."""
    for event in events:
        rate = _time_and_rate(event)[1]
        assert rate is None or rate in known, (
            f"the funding rate of {of.symbol} at {clock(event.received_time_ns)} is said to be "
            f"{rate}, which it never was; it was {', '.join(map(str, sorted(known)))}. Is it "
            "another instrument's?"
        )


# --- histories -----------------------------------------------------------------------------------


def _remembered(
    subject: Subject,
    found: Sequence[Instrument],
    listings: Sequence[Listing],
    paid_ns: int,
    hours: Hours,
) -> None:
    """What the histories of several tell just before a payment and after."""
    endpoint = subject.exchange.endpoints.get(GetFundingHistory)
    if endpoint is None or found[0].market not in endpoint.markets:
        return
    venue = subject.venue(listings=listings, start_ns=paid_ns - 3 * NS_PER_SECOND, rate=0.05)
    for now_ns in (venue.now_ns, paid_ns + 3 * NS_PER_SECOND):
        venue.advance(now_ns)
        for each, listing in zip(found, listings, strict=True):
            true = payments_until(now_ns, hours[each.symbol], _COUNT)
            what = f"{each.symbol}, which pays every {hours[each.symbol]} h"
            _asked(subject, venue, each, listing, true, what)


def _joined(
    subject: Subject,
    found: Sequence[Instrument],
    listings: Sequence[Listing],
    paid_ns: int,
    before: Hours,
    after: Hours,
) -> None:
    """What the histories tell of payments before a change of the interval and after."""
    endpoint = subject.exchange.endpoints.get(GetFundingHistory)
    if endpoint is None or found[0].market not in endpoint.markets:
        return
    now_ns = paid_ns + 17 * _HOUR_NS
    venue = subject.venue(listings=listings, start_ns=now_ns, rate=0.05)
    for each, listing in zip(found, listings, strict=True):
        old, new = before[each.symbol], after[each.symbol]
        since = [ns for ns in payments_until(now_ns, new, 100) if ns > paid_ns]
        true = (payments_until(paid_ns, old, _COUNT) + since)[-_COUNT:]
        if len(since) >= _COUNT:
            # Then the change lies further back than the last few.
            true = payments_until(paid_ns, old, 3) + since
        what = f"{each.symbol}, which paid every {old} h, and from {clock(paid_ns)} on every {new}"
        _asked(subject, venue, each, listing, true, what)


def _asked(
    subject: Subject,
    venue: EmulatedExchange,
    of: Instrument,
    listing: Listing,
    true: Sequence[int],
    what: str,
) -> None:
    line, market = subject.line(venue), venue.market(listing)
    for start_ns, end_ns, times in (
        (None, None, true),
        (true[-5], None, true[-5:]),
        (true[-5], true[-1], true[-5:-1]),
        (None, true[-1] + 1_000_000, true),
    ):
        request = GetFundingHistory(of, start_ns, end_ns, len(times))
        answer = line.ask(request)[-len(times) :]
        told = [each.funding_time_ns for each in answer]
        spelled = ", ".join(clock(ns) for ns in told if ns is not None)
        assert told == list(times), (
            f"at {clock(venue.now_ns)} past funding of {what}, is asked for (start {start_ns}, end "
            f"{end_ns}, at most {len(times)}): the answer is of {spelled}; paid was at "
            f"{', '.join(map(clock, times))}. Look at the endpoint of GetFundingHistory"
        )
        for each in answer:
            assert each.funding_time_ns is not None
            rate = Decimal(market.funding_at(each.funding_time_ns)).scaleb(-6)
            assert each.rate == rate, (
                f"the rate that {what} paid at {clock(each.funding_time_ns)} is said to be "
                f"{each.rate}; it was {rate}"
            )


__all__ = ["FundingProperties", "perpetuals"]
