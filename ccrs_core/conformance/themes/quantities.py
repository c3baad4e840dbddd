"""Properties 13 to 15: numbers keep the wire's digits, and prices and sizes keep the rules."""

from __future__ import annotations

import decimal
import enum
import re
import types
import typing
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_UP, Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from ccrs_core.client.status import ClientStatus
from ccrs_core.conformance.judges.agreement import watching
from ccrs_core.conformance.workbench.line import Line, events_of
from ccrs_core.conformance.workbench.material import chunks
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Case, Subject, requests_of
from ccrs_core.conformance.workbench.world import World, settle
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.emulator import Listing
from ccrs_core.emulator.matching import RuleBroken, Rules
from ccrs_core.errors import InvalidOrder
from ccrs_core.model.events import Event, MarketData
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Market, Side
from ccrs_core.model.serialize import exact

_SECONDS = 5.0
_MOST_FRAMES = 150

_DURATIONS = {"mean_ahead", "mean_behind", "host_paused", "push_interval"}
"""Seconds of the status, which are documented to be floats."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")

_AMOUNT = re.compile("size|volume|turnover|interest")
"""Fields that hold amounts. Outside spot a plugin may have to convert contracts to base units."""

_HOSTILE = (
    decimal.Context(prec=1, rounding=ROUND_UP),
    decimal.Context(prec=3, rounding=ROUND_DOWN, Emin=0, Emax=0, clamp=1),
    decimal.Context(
        prec=2, rounding=ROUND_CEILING, traps=[decimal.Inexact, decimal.Rounded, decimal.Subnormal]
    ),
)
"""Contexts in which careless arithmetic goes wrong."""


class QuantityProperties:
    """Properties 13 to 15."""

    @proves(13, against=Against.NOTHING)
    def test_no_value_of_the_public_surface_is_a_float(self, subject: Subject) -> None:
        """Events, answers, instruments and status hold decimals, integers and text of the types
        that they declare, and never a float (but for the status's durations in seconds)."""
        for market in subject.markets:
            for instrument in subject.instruments[market]:
                _well_typed(instrument, f"GetInstruments({market.value})")
        line = subject.line()
        for market in subject.markets:
            for request in requests_of(subject, subject.instrument(market)):
                if not isinstance(request, GetInstruments):
                    _well_typed(line.ask(request), f"{type(request).__name__} of {market.value}")
        for case, events, _ in _streamed(subject) if subject.channels else ():
            for event in events:
                _well_typed(event, f"{case}")
        if not subject.markets:
            subject.undeclared("market")
        _well_typed(subject.world().run(_status_of(subject)), "client.status()")

    @proves(13, against=Against.NOTHING)
    def test_streamed_decimals_are_the_exact_text_of_the_wire(self, subject: Subject) -> None:
        """Each price that a stream delivers, and of spot markets each size, is spelled by the
        exchange with exactly those digits, trailing zeros included."""
        subject.cases()
        for case, events, texts in _streamed(subject):
            for event in events:
                _verbatim(event, case.market, texts, str(case))

    @proves(13, against=Against.NOTHING)
    def test_answered_decimals_are_the_exact_text_of_the_wire(self, subject: Subject) -> None:
        """Each price in an answer to a request, and of spot markets each size, is spelled by the
        exchange with exactly those digits, trailing zeros included."""
        if not subject.markets:
            subject.undeclared("request")
        line = _Listening(subject)
        for market in subject.markets:
            for request in requests_of(subject, subject.instrument(market)):
                line.texts.clear()
                answer = line.ask(request)
                for event in answer if isinstance(answer, list) else [answer]:
                    if isinstance(event, Event):
                        where = f"{type(request).__name__} of {market.value}"
                        _verbatim(event, market, line.texts, where)

    @proves(14, against=Against.NOTHING)
    def test_quantised_prices_lie_on_a_tick_and_are_never_worse_than_asked_for(
        self, subject: Subject
    ) -> None:
        """``quantise_price`` of every instrument is idempotent, lands on a tick with the tick's
        digits, and moves no buy up and no sell down; ``quantise_size`` moves no size up."""
        listed = _listed(subject)
        for instrument in listed:
            for name in ("tick_size", "lot_size"):
                step = getattr(instrument, name)
                assert step is None or (step.is_finite() and step > 0), (
                    f"{instrument.symbol}'s {name} is {step}: it must be above zero, or None where "
                    "the exchange states none"
                )

        def check(
            instrument: Instrument, side: Side, ticks: Decimal, context: decimal.Context
        ) -> None:
            tick = instrument.tick_size or Decimal("0.01")
            lot = instrument.lot_size or Decimal(1)
            price, size = tick * ticks, lot * abs(ticks)
            with decimal.localcontext(context):
                found = instrument.quantise_price(price, side)
                again = instrument.quantise_price(found, side)
                whole = instrument.quantise_size(size)
            assert exact(again) == exact(found), f"{price} becomes {found} and then {again}"
            moved = Fraction(found) - Fraction(price)
            assert moved <= 0 if side is Side.BUY else moved >= 0, f"a {side} of {price}: {found}"
            if instrument.tick_size is not None:
                here, there = instrument.tick_at(found), instrument.tick_at(price)
                assert here is not None
                assert there is not None
                _on_grid(found, here)
                assert abs(moved) < Fraction(max(here, there)), (
                    f"{price} moves to {found}, by more than a tick of {max(here, there)}"
                )
            shrunk = Fraction(size) - Fraction(whole)
            assert 0 <= shrunk < Fraction(lot), f"a size of {size} becomes {whole}"
            if instrument.lot_size is not None:
                _on_grid(whole, lot)

        ticks = st.decimals(min_value=-(10**9), max_value=10**9, places=3)
        contexts = st.sampled_from(_HOSTILE)
        drawn = st.sampled_from(listed)
        subject.check(check, drawn, st.sampled_from(Side), ticks, contexts, examples=500)

    @proves(15)
    def test_orders_are_refused_by_the_rules_that_the_exchange_refuses_them_by(
        self, subject: Subject
    ) -> None:
        """``check_order`` refuses exactly what breaks a rule of the exchange's, names the rule, and
        the nearest value that it advises keeps it."""
        listings = subject.listings
        pairs = [
            (instrument, listings[instrument.market, instrument.native])
            for instrument in _listed(subject)
            if (instrument.market, instrument.native) in listings
        ]
        assert pairs, "no instrument's native symbol is the symbol of one of the dialect's listings"

        def check(pair: tuple[Instrument, Listing], side: Side, at: _At) -> None:
            instrument, listing = pair
            price, size = at.price_of(listing), at.size_of(listing)
            with decimal.localcontext(_HOSTILE[at.extra % len(_HOSTILE)]):
                broken = instrument.violations(side, price, size)
            _judged_alike(instrument, listing, price, size, broken)
            for advice in broken:
                _advice_helps(instrument, side, price, size, advice)
            if broken:
                with pytest.raises(InvalidOrder) as caught:
                    instrument.check_order(side, price, size)
                assert caught.value.rule == broken[0].rule, (
                    f"check_order names {caught.value.rule}, violations {broken[0].rule} first"
                )

        subject.check(check, st.sampled_from(pairs), st.sampled_from(Side), _orders, examples=600)
        # Those whose tick depends on the price are rare, and easily read wrong.
        banded = [pair for pair in pairs if pair[1].coarser]
        if banded:
            each = st.sampled_from(banded)
            subject.check(check, each, st.sampled_from(Side), _orders, examples=200)


# --- 13 ---


_KNOWN: dict[type[Any], list[tuple[str, Any]]] = {}


def _fields(kind: type[Any]) -> list[tuple[str, Any]]:
    if kind not in _KNOWN:
        hints = typing.get_type_hints(kind)
        _KNOWN[kind] = [(field.name, hints[field.name]) for field in attrs.fields(kind)]
    return _KNOWN[kind]


def _well_typed(value: Any, where: str, hint: Any = Any) -> None:
    """Fails where a value, or anything in it, isn't of the type that its class declares."""
    if not _fits(value, hint):
        declared = getattr(hint, "__name__", str(hint))
        advice = "; read numbers with ccrs_core.wire" if isinstance(value, float) else ""
        raise AssertionError(f"{where} is {value!r}, a {type(value).__name__}: {declared}{advice}")
    if attrs.has(type(value)):
        for name, declared in _fields(type(value)):
            if name not in _DURATIONS:
                _well_typed(getattr(value, name), f"{where}: {name}", declared)
    elif isinstance(value, list | tuple):
        for item in value:
            _well_typed(item, where)


def _fits(value: Any, hint: Any) -> bool:
    if isinstance(value, float):
        return False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if not isinstance(hint, type):
        return True
    if hint in (int, str, bool, Decimal):
        return type(value) is hint or (hint is str and isinstance(value, str))
    return isinstance(value, hint) if issubclass(hint, enum.Enum) else True


def _status_of(subject: Subject) -> Any:
    async def scenario(world: World) -> ClientStatus:
        subscriptions = [case.subscription for case in subject.cases()] if subject.channels else []
        async with watching(world, *subscriptions):
            await settle(2.0)
            return world.client.status()

    return scenario


def _streamed(subject: Subject) -> Iterator[tuple[Case, Sequence[MarketData], set[str]]]:
    """Of each frame the events of a case, and all numbers that its connection has brought so far.

    Frames that are no text have no numbers; their events are left out.
    """
    exchange = subject.exchange
    routes: dict[Route, list[Case]] = {}
    for case in subject.cases():
        routes.setdefault(exchange.route(case.subscription), []).append(case)
    for route, cases in routes.items():
        wire = subject.line().open(route)
        wire.take = list  # type: ignore[method-assign]  # frame by frame instead
        for request in chunks([case.subscription for case in cases], route.topics_per_request):
            wire.subscribe(*request)
        by_key = {(c.subscription.symbol, c.channel): c for c in cases}
        texts: set[str] = set()
        for frame in _frames(wire):
            plain = frame
            if wire.codec.compression is not None:
                plain = inflate(frame, wire.codec.compression)
            numbers = _numbers(plain)
            if numbers is None:
                continue
            texts |= numbers
            for event in events_of(wire.decode(frame)):
                assert event.channel is not None
                found = by_key.get((event.symbol, event.channel))
                if found is not None:
                    yield found, [event], texts


def _frames(wire: Any) -> Sequence[bytes]:
    wire.raw()
    venue = wire.line.venue
    end_ns = venue.now_ns + round(_SECONDS * 1e9)
    while (due := venue.next_wake_ns) is not None and due <= end_ns:
        venue.advance(due)
        wire.raw()
        if len(wire.frames) >= _MOST_FRAMES:
            break
    return list(wire.frames)


def _numbers(content: bytes) -> set[str] | None:
    """All numbers in a text, without exponents; None where it is no text."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return {exact(Decimal(found)) for found in _NUMBER.findall(text) if len(found) < 60}


class _Listening(Line):
    """A line that notes the numbers in the answers' bodies."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject.make(), subject.venue())
        self.texts: set[str] = set()

    def http(self, request: Any) -> Any:
        response = super().http(request)
        self.texts |= _numbers(response.body) or set()
        return response


def _verbatim(event: Any, market: Market, texts: set[str], where: str) -> None:
    for name, _ in _fields(type(event)):
        if market is not Market.SPOT and _AMOUNT.search(name):
            continue
        value = getattr(event, name)
        found = [value] if isinstance(value, Decimal) else []
        if isinstance(value, tuple):
            found = [level[0] for level in value]
            if market is Market.SPOT:
                found += [level[1] for level in value]
        for number in found:
            assert exact(number) in texts, (
                f"{where}: {name} is {number}, but the exchange has sent no such digits: keep the "
                "wire's text (trailing zeros too) and make a Decimal of it, as ccrs_core.wire does"
            )


# --- 14 and 15 ---


def _listed(subject: Subject) -> list[Instrument]:
    found = [i for market in subject.markets for i in subject.instruments[market]]
    if not found:
        subject.undeclared("market")
    return found


def _on_grid(value: Decimal, step: Decimal) -> None:
    assert (Fraction(value) / Fraction(step)).denominator == 1, f"{value} is no multiple of {step}"
    digits, wanted = value.as_tuple().exponent, step.as_tuple().exponent
    assert digits == wanted, f"{value} hasn't the digits of the step {step}"


@attrs.frozen
class _At:
    """Where an order lies, about the numbers at which rules begin."""

    base: str
    """Which bound of the size it is about."""
    lots: Fraction
    price: Fraction
    """Of the listing's."""
    off_tick: Fraction
    extra: int

    def price_of(self, listing: Listing) -> Decimal:
        ticks = round(Fraction(listing.price) * self.price / Fraction(listing.tick))
        return _decimal((ticks + self.off_tick) * Fraction(listing.tick))

    def size_of(self, listing: Listing) -> Decimal:
        lot, price = Fraction(listing.lot), Fraction(listing.price) * self.price
        worth = Fraction(listing.worth_of_one)
        if listing.market is not Market.INVERSE and price:
            worth *= price
        about = {
            "min": Fraction(listing.min_size),
            "max": Fraction(listing.max_size),
            "notional": Fraction(listing.min_notional) / worth,
            "zero": Fraction(0),
        }[self.base]
        return _decimal((about // lot + self.lots) * lot)


_parts = st.sampled_from((Fraction(0), Fraction(0), Fraction(0), Fraction(1, 2), Fraction(-1, 8)))
_orders = st.builds(
    _At,
    base=st.sampled_from(("min", "max", "notional", "zero")),
    lots=st.builds(lambda whole, part: whole + part, st.integers(-2, 3), _parts),
    price=st.sampled_from(
        (Fraction(1), Fraction(1), Fraction(1, 2), Fraction(1, 1000), Fraction(0), Fraction(-1))
    ),
    off_tick=st.sampled_from((Fraction(0), Fraction(1, 2), Fraction(-1, 8), Fraction(1))),
    extra=st.integers(0, 9),
)


def _decimal(value: Fraction) -> Decimal:
    """A fraction whose denominator has no other factors than 2 and 5."""
    return decimal.Context(prec=60).divide(Decimal(value.numerator), Decimal(value.denominator))


def _judged_alike(
    instrument: Instrument,
    listing: Listing,
    price: Decimal,
    size: Decimal,
    broken: Sequence[InvalidOrder],
) -> None:
    rules = {each.rule for each in broken} - {"status"}
    trading = instrument.status is InstrumentStatus.TRADING
    assert trading == all(each.rule != "status" for each in broken), (
        f"{instrument.symbol} is {instrument.status.value}; check_order says {sorted(rules)}"
    )
    try:
        Rules(_as_stated(instrument, listing)).check(size, price, listing.price)
        refusal = None
    except RuleBroken as error:
        refusal = f"{error.rule.value}: {error}"
    except decimal.InvalidOperation:
        refusal = "out of range"
    theirs = f"refuses it ({refusal})" if refusal else "accepts it"
    ours = f"refuses it ({', '.join(sorted(rules))})" if rules else "accepts it"
    assert bool(rules) == (refusal is not None), (
        f"an order for {size} {instrument.symbol} at {price}: the exchange {theirs}, check_order "
        f"{ours}; does the plugin read the rules right? Compare {instrument} with {listing}"
    )


def _as_stated(instrument: Instrument, listing: Listing) -> Listing:
    """The emulator's listing without the rules that its protocol doesn't state."""
    changes: dict[str, Any] = {}
    if instrument.min_notional is None:
        changes["min_notional"] = Decimal(0)
    if instrument.min_size is None:
        changes["min_size"] = instrument.lot_size or Decimal("1e-20")
    if instrument.max_size is None:
        changes["max_size"] = Decimal("1e30")
    return attrs.evolve(listing, **changes)


def _advice_helps(
    instrument: Instrument, side: Side, price: Decimal, size: Decimal, advice: InvalidOrder
) -> None:
    if advice.nearest is None:
        return
    if advice.rule in ("tick_size", "min_price"):
        price = advice.nearest
    else:
        size = advice.nearest
    rules = {each.rule for each in instrument.violations(side, price, size)}
    assert advice.rule not in rules, f"what {advice!r} advises breaks the same rule"
