"""Histories from a start, over halts and from before the listing (2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import hypothesis
from hypothesis import Phase
from hypothesis import strategies as st

from ccrs_core.conformance.judges.figures import interval_of
from ccrs_core.conformance.workbench.moments import clock
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.contract.rest import GetCandles, GetFundingHistory
from ccrs_core.emulator import Interval, Listing, Oddity
from ccrs_core.emulator.history import first_opens, first_payments
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

_MOST_PAYMENTS = 240
"""So many payments every exchange remembers; of candles it remembers all."""
_MOST_CANDLES = 400_000


@attrs.frozen
class Past:
    """A market's past, in intervals: from its launch on, traded and halted by turns."""

    stretches: tuple[tuple[int, int], ...]
    """How long it is traded each time, and then halted; the last time, up to now."""
    begins: int
    """Which of its beginnings and ends is asked from, the time before the launch included."""
    shift: int
    """How many intervals after that."""
    odd: int
    """Seconds that halts begin and end after an interval's beginning."""
    limit: int
    late: int
    """Seconds from an interval's beginning until it is asked."""

    def listing(self, base: Listing, step_ns: int, holes: bool) -> tuple[Listing, int]:
        """A listing with this past, and the time to ask from."""
        at_ns, halts = START_NS // step_ns * step_ns, []
        marks = [at_ns]
        for traded, halted in reversed(self.stretches):
            to_ns = at_ns - traded * step_ns
            at_ns = to_ns - halted * step_ns
            odd_ns = self.odd * NS_PER_SECOND
            halts.append((at_ns + odd_ns, to_ns + odd_ns))
            marks += [to_ns, at_ns + halted // 2 * step_ns, at_ns]
        # What is before the first stretch is no halt: the listing begins with it.
        launch_ns = halts.pop()[1] // step_ns * step_ns
        listing = attrs.evolve(
            base, launch_ns=launch_ns, halts=tuple(reversed(halts)) if holes else ()
        )
        return listing, marks[self.begins % len(marks)] + self.shift * step_ns


def _pasts(most: int) -> st.SearchStrategy[Past]:
    traded = st.integers(1, min(40, most // 8))
    halted = st.integers(0, 60).map(lambda n: min(int(1.25**n), most // 4))
    return st.builds(
        Past,
        st.lists(st.tuples(traded, halted), min_size=1, max_size=4).map(tuple),
        st.integers(0, 20),
        st.integers(-3, 3),
        st.integers(0, 59),
        st.sampled_from((1, 2, 5, 40, 150)),
        st.integers(0, 3).map(lambda n: n * 20),
    )


class HoleProperties:
    """The first ones are the first ones, wherever they lie."""

    @proves(2, quick=False)
    def test_a_history_from_a_start_goes_over_holes(self, subject: Subject) -> None:
        """Asked for from a start, candles and funding rates are the first ones from there on, each
        once and in order, though the market was halted for any time or wasn't listed yet."""
        declared = subject.exchange.endpoints
        wanted = [kind for kind in (GetCandles, GetFundingHistory) if kind in declared]
        if not wanted:
            subject.undeclared("history")
        holes = Oddity.HOLES not in subject.dialect().lacks
        for kind in wanted:
            for market in (m for m in Market if m in declared[kind].markets):
                _check(subject, kind, market, holes)


def _check(subject: Subject, kind: type[Any], market: Market, holes: bool) -> None:
    instrument = subject.instrument(market)
    base = subject.listings[market, instrument.native]
    funding_ns = base.funding_interval_ns
    if kind is GetFundingHistory and funding_ns is None:
        return
    name = subject.exchange.capabilities.intervals[0] if kind is GetCandles else ""
    interval = interval_of(name) if kind is GetCandles else Interval(funding_ns)
    step_ns = interval.next_open(interval.open_of(START_NS)) - interval.open_of(START_NS)

    def check(past: Past) -> None:
        listing, start_ns = past.listing(base, step_ns, holes)
        line = subject.line(subject.venue(listings=[listing]))
        now_ns = line.venue.now_ns + past.late * NS_PER_SECOND
        line.venue.advance(now_ns)
        if kind is GetCandles:
            opens = first_opens(listing, interval, start_ns, now_ns + 1, past.limit)
            candles = line.ask(GetCandles(instrument, name, start_ns, None, past.limit))
            found = [candle.open_time_ns for candle in candles]
            _compare(instrument, f"{name} candles", past.limit, start_ns, found, opens, listing)
        else:
            paid = first_payments(listing, start_ns, now_ns, past.limit)
            rates = line.ask(GetFundingHistory(instrument, start_ns, None, past.limit))
            times = [each.funding_time_ns or 0 for each in rates]
            _compare(instrument, "funding rates", past.limit, start_ns, times, paid, listing)

    most = _MOST_CANDLES if kind is GetCandles else _MOST_PAYMENTS
    # One that fails takes long enough as it is.
    settings = subject.settings(40, phases=[Phase.explicit, Phase.generate, Phase.shrink])
    hypothesis.seed(subject.seed)(settings(hypothesis.given(_pasts(most))(check)))()


def _compare(
    instrument: Instrument,
    what: str,
    limit: int,
    start_ns: int,
    found: Sequence[int],
    true: Sequence[int],
    listing: Listing,
) -> None:
    found = found[:limit]  # as the client cuts what pages bring
    if list(found) == list(true):
        return
    halts = ", ".join(f"{clock(a)} to {clock(b)}" for a, b in listing.halts) or "never"
    wrong = next((i for i, (a, b) in enumerate(zip(found, true, strict=False)) if a != b), None)
    place = min(len(found), len(true)) if wrong is None else wrong

    def at(times: Sequence[int]) -> str:
        return clock(times[place]) if place < len(times) else "none"

    raise AssertionError(
        f"asked for the first {limit} {what} of {instrument.symbol} from {clock(start_ns)} on, "
        f"{len(found)} came, expected were {len(true)}; number {place} is of {at(found)} instead "
        f"of {at(true)}. It is listed since {clock(listing.launch_ns)}, and was halted: {halts}. "
        "An empty page isn't the end, and start + limit intervals aren't either: see "
        "ccrs_core.wire.paging"
    )
