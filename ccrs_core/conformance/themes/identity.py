"""Properties 17 and 18: symbols stand for one instrument each, and their changes are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import attrs
import pytest
from hypothesis import strategies as st

from ccrs_core.conformance.judges.agreement import Watch, watching
from ccrs_core.conformance.workbench.coined import another_step
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.samples import samples_of
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.emulator import Listing
from ccrs_core.model.events import InstrumentChanged
from ccrs_core.model.instruments import (
    Instrument,
    InstrumentStatus,
    Market,
    Side,
    market_of,
    unified_symbol,
)

_FIELDS = {
    "base": "base",
    "quote": "quote",
    "settle": "settle",
    "status": "status",
    "tick_size": "tick",
    "lot_size": "lot",
    "min_size": "min_size",
    "max_size": "max_size",
    "min_notional": "min_notional",
    "quote_per_contract": "quote_per_contract",
    "expiry_ns": "expiry_ns",
    "strike": "strike",
    "option_kind": "option_kind",
}
"""Fields of an instrument and those of the emulator's listing that they are read from."""

_TRADING = InstrumentStatus.TRADING

_MAY_BE_UNKNOWN = {"min_size", "max_size", "min_notional"}
"""Rules that not every exchange publishes."""


class IdentityProperties:
    """Properties 17 and 18."""

    @proves(17)
    def test_unified_and_native_symbols_map_one_to_one(self, subject: Subject) -> None:
        """Over the whole list of instruments each unified symbol is that of one native symbol of
        one market and the other way round, and says itself what it stands for."""
        found = _all(subject)
        _bijective(found)
        for instrument in found:
            _named_rightly(instrument)

    @proves(17)
    def test_instruments_say_what_the_exchange_lists(self, subject: Subject) -> None:
        """Each listing that isn't closed is an instrument with the listing's currencies, rules,
        expiry, strike and status, and there are no others."""
        _all(subject)
        for market in subject.markets:
            listings = [each for (m, _), each in subject.listings.items() if m is market]
            _as_listed(subject.instruments[market], listings, market)

    @proves(17)
    def test_the_mapping_survives_a_refresh(self, subject: Subject) -> None:
        """After instruments were added, removed or replaced by others, the list is again exactly
        what the exchange lists, and the symbols map one to one."""
        _all(subject)
        venue = subject.venue(rate=0.001)
        every = list(venue.listings.values())
        line = Line(subject.exchange, venue)
        # Of each coin one stays: exchanges that list by coin end their pages at one without any.
        last = {(each.market, each.base): each for each in every if each.status is _TRADING}
        rest = [each for each in every if each not in last.values()]
        some = [rest[len(rest) * i // 16] for i in range(min(16, len(rest)))]

        def check(kept: list[bool], ruled: list[bool]) -> None:
            listed = [
                attrs.evolve(listing, tick=another_step(listing.tick)) if other else listing
                for listing, keep, other in zip(some, kept, ruled, strict=True)
                if keep
            ]
            venue.relist([*last.values(), *listed])
            found: list[Instrument] = []
            for market in subject.markets:
                listings = [each for each in venue.listings.values() if each.market is market]
                instruments = line.ask(GetInstruments(market))
                _as_listed(instruments, listings, market)
                found += instruments
            _bijective(found)

        flags = st.lists(st.booleans(), min_size=len(some), max_size=len(some))
        subject.check(check, flags, flags, examples=25)

    @proves(17, against=Against.SAMPLES)
    def test_the_samples_symbols_are_named_as_they_say(self, subject: Subject) -> None:
        """Each pair of ``symbols.json`` is the exchange's and the unified name of one
        instrument."""
        found = {(i.market, i.native): i.symbol for i in _all(subject)}
        names = {symbol: key for key, symbol in found.items()}
        pairs = samples_of(subject).symbols
        for market in subject.markets:
            if not any(pair.market is market for pair in pairs):
                pytest.fail(
                    f"samples/symbols.json has no symbol of a {market.value} instrument: add some "
                    'as the exchange\'s documents show them: {"native", "market", "symbol"}'
                )
        for pair in pairs:
            assert market_of(pair.symbol) is pair.market, (
                f"samples/symbols.json: {pair.symbol} is a {market_of(pair.symbol).value} symbol"
            )
            symbol = found.get((pair.market, pair.native), pair.symbol)
            assert symbol == pair.symbol, (
                f"{pair.native} ({pair.market.value}) becomes {symbol}, samples/symbols.json says "
                f"{pair.symbol}"
            )
            key = names.get(pair.symbol, (pair.market, pair.native))
            assert key == (pair.market, pair.native), (
                f"{pair.symbol} stands for {key[1]}, samples/symbols.json says {pair.native}"
            )

    @proves(18)
    def test_a_changed_tick_is_told_once_and_used_from_then_on(self, subject: Subject) -> None:
        """A refresh that finds another tick size gives each feed with an interest in the symbol one
        ``InstrumentChanged``, prices are quantised by the new tick, and data goes on."""
        cases = _one_per_market(subject)

        async def scenario(world: World) -> None:
            subscriptions = [case.subscription for case in cases]
            async with (
                watching(world, *subscriptions) as one,
                watching(world, subscriptions[0]) as two,
            ):
                await settle(2.0)
                for case in cases:
                    await self._change(world, case, one, two if case is cases[0] else None)
                seen = len(one.events)
                assert await world.client.refresh_instruments() == [], "nothing has changed since"
                await settle(3.0)
                assert not _changes(one.events[seen:]), "a refresh without a change told of one"
                one.no_notices("refreshing instruments")

        subject.world().run(scenario)

    @staticmethod
    async def _change(world: World, case: Case, one: Watch, two: Watch | None) -> None:
        instrument, venue = case.subscription.instrument, world.venue
        listing = next(
            each
            for each in venue.listings.values()
            if (each.market, each.symbol) == (instrument.market, instrument.native)
        )
        ruled = attrs.evolve(listing, tick=another_step(listing.tick))
        venue.relist([ruled if each is listing else each for each in venue.listings.values()])
        already = {watch: len(watch.events) for watch in (one, two) if watch is not None}
        told = await world.client.refresh_instruments(case.market)
        await settle(3.0)
        names = [change.symbol for change in told]
        assert names == [instrument.symbol], (
            f"after the tick of {instrument.symbol} alone was changed from {listing.tick} to "
            f"{ruled.tick}, a refresh finds {_found(names)}: GetInstruments must give "
            "equal instruments for equal listings. (A dialect must read venue.listings anew for "
            "each request, and spell ticks in a way that tells these apart.)"
        )
        (change,) = told
        # An option whose tick isn't that of its family's bands is left with its own tick.
        assert set(change.changed) - {"tick_bands"} == {"tick_size"}, (
            f"changed are {', '.join(change.changed)}"
        )
        assert change.after is not None
        assert change.after.tick_size == ruled.tick, (
            f"the tick of {instrument.symbol} is read as {change.after.tick_size}, where it was "
            f"changed from {listing.tick} to {ruled.tick}"
        )
        for watch, seen in already.items():
            new = watch.events[seen:]
            assert _changes(new) == [change], (
                f"the feed was told of {_changes(new)} instead of {change}, once"
            )
            assert any(event.channel is not None for event in new), "no data came after the change"
        current = await world.client.instrument(instrument.symbol)
        price = current.quantise_price(ruled.tick * 3 + ruled.tick / 10, Side.BUY)
        assert price == ruled.tick * 3, f"a price is quantised to {price} after the change"

    @proves(18)
    def test_delisting_is_told_and_disturbs_no_feed(self, subject: Subject) -> None:
        """A symbol that is listed no more, or halted, is told once, and every feed goes on."""
        cases = _one_per_market(subject)
        case = cases[0]
        instrument = case.subscription.instrument

        async def scenario(world: World) -> None:
            venue = world.venue
            before = list(venue.listings.values())
            listing = next(
                each
                for each in before
                if (each.market, each.symbol) == (instrument.market, instrument.native)
            )
            halted = attrs.evolve(listing, status=InstrumentStatus.HALTED)
            async with watching(world, *(each.subscription for each in cases)) as watch:
                await settle(2.0)
                for listings, status in (
                    ([halted if each is listing else each for each in before], "halted"),
                    ([each for each in before if each is not listing], None),
                    (before, "trading"),
                ):
                    venue.relist(listings)
                    seen = len(watch.events)
                    await world.client.refresh_instruments()
                    await settle(3.0)
                    new = watch.events[seen:]
                    told = [None if c.after is None else c.after.status for c in _changes(new)]
                    assert told in ([status], [] if status == "halted" else [status]), (
                        f"{instrument.symbol} is {status or 'not listed'} now; told was {told}"
                    )
                    assert any(event.channel is not None for event in new), "data has stopped"
                watch.no_notices("a delisting")

        subject.world().run(scenario)


def _all(subject: Subject) -> list[Instrument]:
    found = [i for market in subject.markets for i in subject.instruments[market]]
    if not subject.markets:
        subject.undeclared("market")
    return found


def _one_per_market(subject: Subject) -> list[Case]:
    found: dict[Market, Case] = {}
    for case in subject.cases():
        found.setdefault(case.market, case)
    return list(found.values())


def _found(names: Sequence[str]) -> str:
    return f"changes of {', '.join(names)}" if names else "no change"


def _changes(events: Iterable[object]) -> list[InstrumentChanged]:
    return [event for event in events if isinstance(event, InstrumentChanged)]


def _bijective(instruments: Sequence[Instrument]) -> None:
    symbols: dict[str, Instrument] = {}
    natives: dict[tuple[Market, str], Instrument] = {}
    for instrument in instruments:
        twin = symbols.setdefault(instrument.symbol, instrument)
        assert twin is instrument, (
            f"{twin.native} ({twin.market.value}) and {instrument.native} "
            f"({instrument.market.value}) are both called {instrument.symbol}: the core refuses "
            "them both; name them by unified_symbol() with all that tells them apart"
        )
        key = (instrument.market, instrument.native)
        other = natives.setdefault(key, instrument)
        assert other is instrument, (
            f"{instrument.native} ({instrument.market.value}) is called both {other.symbol} and "
            f"{instrument.symbol}"
        )


def _named_rightly(instrument: Instrument) -> None:
    i = instrument
    assert market_of(i.symbol) is i.market, (
        f"{i.native} is listed as {i.market.value}, but its symbol {i.symbol} is that of a "
        f"{market_of(i.symbol).value} instrument"
    )
    symbol = unified_symbol(i.base, i.quote, i.settle, i.expiry_ns, i.strike, i.option_kind)
    assert i.symbol == symbol, (
        f"{i.native}'s fields make {symbol}, but it is called {i.symbol}: use unified_symbol()"
    )


def _as_listed(
    instruments: Sequence[Instrument], listings: Iterable[Listing], market: Market
) -> None:
    wanted: Mapping[str, Listing] = {
        each.symbol: each for each in listings if each.status is not InstrumentStatus.CLOSED
    }
    found = {instrument.native: instrument for instrument in instruments}
    missing, extra = sorted(wanted.keys() - found), sorted(found.keys() - wanted)
    assert not missing, (
        f"{len(missing)} {market.value} instruments are missing, such as {', '.join(missing[:5])}: "
        "does GetInstruments ask for all pages, and leave out none?"
    )
    assert not extra, (
        f"the exchange lists no {market.value} instruments {', '.join(extra[:5])} (or has closed "
        "them). A dialect must read venue.listings anew for each request"
    )
    for native, listing in wanted.items():
        instrument = found[native]
        assert instrument.market is market, f"{native} is said to be {instrument.market.value}"
        for field, name in _FIELDS.items():
            value, expected = getattr(instrument, field), getattr(listing, name)
            if field in _MAY_BE_UNKNOWN and value is None:
                continue
            assert value == expected, (
                f"{instrument.symbol}: {field} is {value}, the exchange's listing says {expected}"
            )
            if isinstance(value, Decimal) and field in ("tick_size", "lot_size"):
                assert str(value) == str(expected), (
                    f"{instrument.symbol}: {field} is spelled {value}, the exchange says {expected}"
                )
