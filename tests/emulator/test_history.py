"""The past of emulated listings: what a halt, or a late launch, leaves of it."""

from __future__ import annotations

from decimal import Decimal

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from ccrs_core.emulator import Listing
from ccrs_core.emulator.history import (
    bars,
    candle_page,
    first_opens,
    first_payments,
    newest_opens,
    newest_payments,
)
from ccrs_core.emulator.market import SimulatedMarket
from ccrs_core.emulator.tape import DAY_NS, HOUR_NS, MINUTE_NS, Interval
from ccrs_core.model.instruments import Market

NOW_NS = 1_764_000_000_000_000_000
START_NS = NOW_NS - 40 * DAY_NS
INTERVALS = [Interval(n * MINUTE_NS) for n in (15, 60, 240)] + [
    Interval(DAY_NS),
    Interval(7 * DAY_NS),
    Interval(None),
]

moments = st.integers(0, 40 * 24 * 6 - 1).map(lambda n: START_NS + n * 10 * MINUTE_NS)


LISTING = Listing(
    category="spot",
    symbol="AB",
    market=Market.LINEAR,
    base="A",
    quote="B",
    tick=Decimal("0.1"),
    lot=Decimal("0.1"),
    min_size=Decimal("0.1"),
    max_size=Decimal(1000),
    price=Decimal(100),
    levels=4,
)


@st.composite
def listings(draw: st.DrawFn) -> Listing:
    ends = sorted(draw(st.lists(moments, max_size=6, unique=True)))
    return attrs.evolve(
        LISTING,
        launch_ns=draw(moments),
        funding_interval_ns=draw(st.sampled_from([HOUR_NS, 8 * HOUR_NS])),
        halts=tuple(zip(ends[::2], ends[1::2], strict=False)),
    )


def all_opens(listing: Listing, interval: Interval) -> list[int]:
    """The opens of all candles that hold a moment of trading, looked at in steps of ten minutes."""
    found = set()
    for at in range(max(START_NS, listing.launch_ns), NOW_NS, 5 * MINUTE_NS):
        if not any(from_ns <= at < to_ns for from_ns, to_ns in listing.halts):
            found.add(interval.open_of(at))
    return sorted(found)


@settings(max_examples=40, deadline=None)
@given(listings(), st.sampled_from(INTERVALS), moments, moments, st.integers(1, 300))
def test_pages_hold_the_candles_in_which_something_was_traded_and_no_others(
    listing: Listing, interval: Interval, since_ns: int, before_ns: int, count: int
) -> None:
    there = [t for t in all_opens(listing, interval) if since_ns <= t < before_ns]
    assert newest_opens(listing, interval, before_ns, count, since_ns) == there[-count:]
    assert first_opens(listing, interval, since_ns, before_ns, count) == there[:count]
    market = SimulatedMarket(listing, seed=1, rate=1.0, start_ns=NOW_NS)
    for newest, opens in ((True, there[-count:]), (False, there[:count])):
        page = candle_page(market, interval, (since_ns, before_ns), count, NOW_NS, newest=newest)
        assert [bar.open_ns for bar in page] == opens


def test_no_candle_holds_but_the_time_before_the_launch_and_a_halt_from_then_on() -> None:
    launch_ns = START_NS + 10 * MINUTE_NS
    listing = attrs.evolve(
        LISTING, launch_ns=launch_ns, halts=((launch_ns, launch_ns + 10 * MINUTE_NS),)
    )
    quarter = Interval(15 * MINUTE_NS)
    opens = first_opens(listing, quarter, START_NS, START_NS + HOUR_NS, 10)
    assert opens == [START_NS + n * 15 * MINUTE_NS for n in (1, 2, 3)]
    assert newest_opens(listing, quarter, START_NS + HOUR_NS, 10) == opens


@settings(max_examples=40, deadline=None)
@given(listings(), moments, moments, st.integers(1, 300))
def test_no_funding_is_paid_in_a_halt_or_before_the_launch(
    listing: Listing, since_ns: int, until_ns: int, count: int
) -> None:
    every = listing.funding_interval_ns
    assert every is not None
    there = [
        at
        for at in range(START_NS // every * every, NOW_NS + 1, every)
        if max(since_ns, listing.launch_ns) <= at <= until_ns
        and not any(from_ns <= at < to_ns for from_ns, to_ns in listing.halts)
    ]
    assert newest_payments(listing, until_ns, count, since_ns) == there[-count:]
    assert first_payments(listing, since_ns, until_ns, count) == there[:count]


@settings(max_examples=40, deadline=None)
@given(listings(), st.sampled_from(INTERVALS), st.integers(1, 50))
def test_a_candle_is_the_same_on_whichever_page_it_comes(
    listing: Listing, interval: Interval, count: int
) -> None:
    market = SimulatedMarket(listing, seed=1, rate=1.0, start_ns=NOW_NS)
    opens = newest_opens(listing, interval, NOW_NS, count)
    found = bars(market, interval, opens, NOW_NS)
    assert [bar.open_ns for bar in found] == opens
    later = bars(market, interval, opens[len(opens) // 2 :], NOW_NS)
    told = [(b.close, b.lots) for b in found[len(opens) // 2 :]]
    assert [(b.close, b.lots) for b in later] == told
