"""Generated markets and orders: any ticks, lots, liveliness, and users who trade."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import hypothesis
from hypothesis import Phase
from hypothesis import strategies as st

from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.subject import Subject
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.emulator import EmulatedExchange, Lifetime, Listing, RuleBroken
from ccrs_core.model.instruments import Instrument, Market, Side
from ccrs_core.model.subscriptions import Channel, Subscription


@attrs.frozen
class Kind:
    """How a generated market differs from what the dialect lists."""

    tick: Decimal
    ticks: int
    """The price, in ticks."""
    lot: Decimal
    seed: int
    rate: float

    def of(self, listing: Listing) -> Listing:
        """A listing changed accordingly."""
        price, lot = self.tick * self.ticks, self.lot
        if listing.market is Market.INVERSE:
            lot = max(lot, Decimal(1))  # whole contracts
            value = lot * 500 * listing.worth_of_one
        else:
            value = price * lot * 500
        return attrs.evolve(
            listing,
            tick=self.tick,
            price=price,
            lot=lot,
            min_size=lot,
            max_size=lot * 10**9,
            min_notional=Decimal(0),
            level_value=value,
            pace=1.0,
        )


_STEPS = ("0.00000001", "0.00005", "0.01", "0.05", "0.10", "0.5", "1", "10")

kinds = st.builds(
    Kind,
    tick=st.sampled_from(_STEPS).map(Decimal),
    ticks=st.sampled_from((400, 30_000, 1_042_505)),
    lot=st.sampled_from(("0.00000001", "0.001", "0.5", "1", "100")).map(Decimal),
    seed=st.integers(0, 2**16),
    rate=st.sampled_from((2.0, 10.0, 40.0)),
)


@attrs.frozen
class Deed:
    """Somebody's order: so many seconds after the last one, at the best price or so many ticks
    behind (or, negative, beyond) it."""

    pause: float
    side: Side
    offset: int | None
    """None: at any price."""
    lots: int
    lifetime: Lifetime

    def carry_out(self, venue: EmulatedExchange, listing: Listing) -> None:
        """Enter the order; one that breaks the listing's rules is not sent."""
        market = venue.market(listing)
        engine, rules = market.engine, market.rules
        own = engine.bids.best if self.side is Side.BUY else engine.asks.best
        price = None
        if self.offset is not None:
            away = self.offset if self.side is Side.SELL else -self.offset
            price = rules.price.value(max(1, (own or market.tape.last) + away))
        try:
            venue.submit(
                market.listing,
                self.side,
                rules.size.value(self.lots),
                price,
                owner=f"user {self.side.value}",
                lifetime=self.lifetime,
            )
        except RuleBroken:
            return


deeds = st.lists(
    st.builds(
        Deed,
        pause=st.sampled_from((0.0, 0.0, 0.004, 0.15)),
        side=st.sampled_from(Side),
        offset=st.none() | st.integers(-40, 40),
        lots=st.sampled_from((1, 7, 400, 9_000)),
        lifetime=st.sampled_from(Lifetime),
    ),
    max_size=25,
)


def vary(
    subject: Subject,
    instrument: Instrument,
    kind: Kind,
    *,
    depth: int | None = None,
    levels: int | None = None,
) -> tuple[Line, Truth, Instrument]:
    """A venue of one generated market like an instrument's, with a line and the truth about it.

    :param depth: how many levels the truth keeps; as many as the deepest book unless told.
    :param levels: about how many there are; as many as the listing has unless told.
    """
    listing = subject.listings.get((instrument.market, instrument.native))
    if listing is None:
        Truth(subject.venue()).listing(instrument)  # says what is wrong
        raise AssertionError("unreachable")
    varied = kind.of(listing)
    if levels is not None:
        varied = attrs.evolve(varied, levels=levels)
    venue = subject.venue(seed=kind.seed, rate=kind.rate, listings=[varied])
    truth = Truth(venue, depth=depth or max_depth(subject, instrument.market))
    line = subject.line(venue)
    found = [i for i in line.ask(GetInstruments(instrument.market)) if i.native == listing.symbol]
    if not found:
        raise AssertionError(
            f"with {listing.symbol} as its only listing, of tick {kind.tick}, the emulator's "
            f"{instrument.market.value} instruments lack it: the dialect must list "
            "venue.listings, not what it lists by itself"
        )
    for name, told, step in (
        ("tick", found[0].tick_size, varied.tick),
        ("lot", found[0].lot_size, varied.lot),
    ):
        # Exchanges that tell a number of decimals can't tell 0.05 from 0.01.
        assert told is None or step % told == 0, (
            f"the emulator lists {listing.symbol} with a {name} of {step}, the plugin reads "
            f"{name}_size={told} from its answer: the dialect must tell Listing.{name}, and "
            "GetInstruments must read it"
        )
    return line, truth, found[0]


def explore(
    subject: Subject,
    test: Callable[..., None],
    *strategies: st.SearchStrategy[Any],
    examples: int,
) -> None:
    """Try a function with generated arguments, up to the first failure, as it was found.

    Shrinking would take a minute: each example is a market with a life of its own.
    """
    settings = subject.settings(examples, phases=(Phase.generate,), report_multiple_bugs=False)
    run = hypothesis.given(*strategies)(test)
    hypothesis.seed(subject.seed)(settings(run))()


def max_depth(subject: Subject, market: Market) -> int:
    """The deepest book that is declared."""
    return max(subject.exchange.capabilities.book_depths.get(market, (1,)))


def subscriptions_to(
    subject: Subject, instrument: Instrument, choice: int
) -> dict[Channel, Subscription]:
    """All channels of an instrument; depth and interval by ``choice``."""
    capabilities = subject.exchange.capabilities
    depths = capabilities.book_depths.get(instrument.market, (0,))
    intervals = capabilities.intervals or ("1m",)
    found = {}
    for channel in Channel:
        if channel in subject.channels.get(instrument.market, ()):
            depth = depths[choice % len(depths)] if channel is Channel.BOOK else None
            interval = intervals[choice % len(intervals)] if channel is Channel.CANDLES else None
            found[channel] = Subscription(channel, instrument, depth, interval)
    return found
