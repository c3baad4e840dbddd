"""A change of any figure of a state is told, however little else has changed (26)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import attrs

from ccrs_core.conformance.judges.figures import candle_is_true, interval_of
from ccrs_core.conformance.judges.steered import STATES, Stage, stated_by
from ccrs_core.conformance.workbench.coined import another_step
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.contract.codec import Data
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.emulator import EmulatedExchange, Listing
from ccrs_core.model.events import Candle, InstrumentNews
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Market, Side
from ccrs_core.model.subscriptions import INTERVALS, Channel, Subscription
from ccrs_core.model.units import NS_PER_SECOND

_TURNS = 2
"""New values of each figure, before the first one comes back."""
_OTHERS = 3
_ROUNDED = 4_000_000
"""Lots by which a day's volume and turnover change: exchanges round those."""


class ChangeProperties:
    """One figure changes while all others stand still."""

    @proves(26)
    def test_a_change_of_any_figure_is_told(self, subject: Subject) -> None:
        """Each figure that a stream tells changes by its smallest step while all others stand
        still, again, and back to what it was: each of these states is delivered, with the other
        figures as they were; so it is after the exchange has told the whole state once more."""
        for case in subject.cases(*STATES):
            stage = Stage(subject, case)
            stated = stated_by(stage.first())
            # What it is worth follows from other figures.
            for name in sorted(stated - {"value"}):
                for step in _steps(stage, name):
                    stage.steer(**step)
                    stage.expect(stated, f"when {name} alone changed ({_shown(step)})")
                stage.again(stated, f"after {name} had changed")

    @proves(26)
    def test_a_change_of_any_part_of_a_candle_is_told(self, subject: Subject) -> None:
        """A trade at the last price, which moves nothing but the volume, one above the high, one
        below the low, and the same one again: each state of the candle is delivered, and the last
        one once more as closed."""
        for case in subject.cases(Channel.CANDLES):
            _candle(subject, case)

    @proves(18)
    def test_news_of_instruments_are_told(self, subject: Subject) -> None:
        """Where a market is declared to tell of changed instruments, a status that changes, and
        changes back, is told by its stream within five seconds; nothing is told of no change."""
        told = [m for m in subject.markets if m in subject.exchange.capabilities.instrument_news]
        if not told:
            subject.undeclared("news of instruments")
        for market in told:
            _news(subject, market)

    @proves(18)
    def test_a_change_of_any_rule_of_an_instrument_is_told(self, subject: Subject) -> None:
        """Each rule that an instrument states changes by a step while all others stand still: a
        fresh list has the new one, and nothing else about the instrument has changed."""
        endpoint = subject.exchange.endpoints.get(GetInstruments)
        if endpoint is None:
            subject.undeclared("GetInstruments")
        for market in subject.markets:
            if market in endpoint.markets:
                for instrument in _some_of(subject, market):
                    _ruled(subject, instrument)


def _news(subject: Subject, market: Market) -> None:
    line = subject.line()
    exchange, venue = line.exchange, line.venue
    instrument = subject.instrument(market)
    wish = Subscription(Channel.INSTRUMENTS, instrument)
    wire = line.open(exchange.route(wish))
    topic = wire.codec.topic(wish)

    def news(seconds: float) -> list[Data]:
        messages = [m for m in wire.run(seconds) if isinstance(m, Data)]
        found = [m for m in messages if m.topic == topic]
        for message in found:
            assert all(isinstance(event, InstrumentNews) for event in message.events)
        return found

    wire.subscribe(wish)
    news(5.0)  # an exchange may begin with the whole list
    assert not news(60.0), f"news of {market.value} instruments are told where nothing changed"
    key = subject.listings[market, instrument.native].key
    for status in (InstrumentStatus.SETTLING, InstrumentStatus.TRADING):
        venue.change(venue.listings[key], status=status)
        assert news(5.0), (
            f"{instrument.symbol} is {status.value}, and within 5 s {topic} says nothing: "
            "capabilities.instrument_news declares that it does"
        )


# --- figures -------------------------------------------------------------------------------------


def _steps(stage: Stage, field: str) -> Iterator[Mapping[str, Any]]:
    """States in which one figure has another value each, and at last its first one."""
    tick, lot = stage.listing.tick, stage.listing.lot
    name = {"rate": "funding_rate", "funding_time_ns": "next_funding_time_ns"}.get(field, field)
    side = {"bid": "bids", "ask": "asks"}.get(name[:3])
    if side is not None:
        first = stage.state[side]
        for turn in (*range(1, _TURNS + 1), 0):
            (price, size), *others = first
            better = tick if side == "bids" else -tick
            moved = (
                (price + turn * better, size)
                if name.endswith("price")
                else (price, size + turn * lot)
            )
            yield {side: [moved, *others]}
        return
    value = stage.state[name]
    steps: dict[str, Any] = {
        "volume": lot * _ROUNDED,
        "turnover": value / 3 if isinstance(value, Decimal) else 0,
        "open_interest": lot,
        "funding_rate": Decimal("0.000001"),
        "next_funding_time_ns": 3600 * NS_PER_SECOND,
    }
    for turn in (*range(1, _TURNS + 1), 0):
        yield {name: value + turn * steps.get(name, tick)}


def _shown(step: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in step.items())


# --- candles -------------------------------------------------------------------------------------


def _candle(subject: Subject, case: Case) -> None:
    interval = min(subject.exchange.capabilities.intervals, key=INTERVALS.__getitem__)
    stage = Stage(
        subject, attrs.evolve(case, subscription=attrs.evolve(case.subscription, interval=interval))
    )
    venue, listing, line = stage.venue, stage.listing, stage.line
    length = interval_of(interval)
    # A candle of its own: what was traded before belongs to the emulator's invented past.
    begin_ns = length.next_open(length.open_of(venue.now_ns))
    stage.hear((begin_ns - venue.now_ns) / NS_PER_SECOND + 1.0)
    last, tick, size = stage.state["last_price"], listing.tick, listing.lot * 100
    prices = (last, last, last + tick, last - 2 * tick, last - 2 * tick, last)
    for number, price in enumerate(prices, start=1):
        venue.trade(listing, Side.BUY if number % 2 else Side.SELL, size, price)
        if not _told(stage, size * number, price, False):
            stage.fail(
                f"after {number} trades ({', '.join(map(str, prices[:number]))})",
                f"no open candle with the volume {size * number} and the close {price} came",
            )
    end_ns = length.next_open(begin_ns)
    stage.hear((end_ns - line.venue.now_ns) / NS_PER_SECOND - 0.5)
    if not _told(stage, size * len(prices), prices[-1], True):
        stage.fail("once its interval was over", "the candle was never told to be closed")


def _told(stage: Stage, volume: Decimal, close: Decimal, closed: bool) -> bool:
    waited = 0.0
    while waited < stage.patience:
        for event in stage.hear(0.5):
            candle_is_true(stage.history, stage.market, event)
            assert isinstance(event, Candle)
            if (event.volume, event.close, event.closed) == (volume, close, closed):
                return True
            if closed and event.closed and event.volume > 0:
                stage.fail("once its interval was over", f"the closed candle is {event}")
        waited += 0.5
    return False


# --- instruments ---------------------------------------------------------------------------------


def _some_of(subject: Subject, market: Market) -> list[Instrument]:
    """The liveliest instrument, and one that expires."""
    first = subject.instrument(market)
    found = [first]
    if first.expiry_ns is None:
        trading = subject.some_instruments(market, 1000)
        found += [each for each in trading if each.expiry_ns is not None][:1]
    return found


def _ruled(subject: Subject, instrument: Instrument) -> None:
    listing = subject.listings[instrument.market, instrument.native]
    line = subject.line(subject.venue(listings=few(subject, listing)))
    before = _listed(line, instrument)
    for name, rule in _RULES.items():
        if getattr(before, name) is None:
            continue
        for turn in (1, 2):
            changed = rule(listing, turn)
            if changed is None:
                continue
            relist(line.venue, changed)
            after = _listed(line, instrument)
            want = _stated(name, changed)
            found = getattr(after, name)
            assert found == want, (
                f"{instrument.symbol}'s {name} became {want} at the exchange, a fresh list says "
                f"{found}: is it read from its own field, anew for each answer (and does the "
                "dialect write it from the listing, anew for each request)?"
            )
            rest = {each.name for each in attrs.fields(Instrument)} - {name}
            rest.discard("base_per_native_contract")  # which may be so many lots
            if name == "tick_size":
                rest.discard("tick_bands")  # which are a family's, and may not be this one's then
            other = [n for n in rest if getattr(after, n) != getattr(before, n)]
            assert not other, (
                f"{instrument.symbol}'s {name} alone changed at the exchange, a fresh list says "
                f"that {other[0]} did, from {getattr(before, other[0])} to "
                f"{getattr(after, other[0])}: it is read from another field"
            )
        relist(line.venue, listing)
        assert _listed(line, instrument) == before, (
            f"{instrument.symbol} has all its former rules again, a fresh list says otherwise"
        )


_RULES: Mapping[str, Callable[[Listing, int], Listing | None]] = {
    "tick_size": lambda old, n: attrs.evolve(old, tick=another_step(old.tick, n)),
    "lot_size": lambda old, n: attrs.evolve(old, lot=another_step(old.lot, n)),
    "min_size": lambda old, n: attrs.evolve(old, min_size=old.min_size + old.lot * n),
    "max_size": lambda old, n: attrs.evolve(old, max_size=old.max_size + old.lot * n),
    "min_notional": lambda old, n: attrs.evolve(old, min_notional=old.min_notional + n),
    "quote_per_contract": lambda old, n: (
        attrs.evolve(old, quote_per_contract=old.worth_of_one + n)
        if old.quote_per_contract not in (None, 1)
        else None
    ),
    "expiry_ns": lambda old, n: attrs.evolve(
        old, expiry_ns=(old.expiry_ns or 0) + n * 3600 * NS_PER_SECOND
    ),
}
"""A listing with another value of a rule, by the instrument's field."""
_OF_LISTING = {"tick_size": "tick", "lot_size": "lot"}


def _stated(name: str, listing: Listing) -> Any:
    return getattr(listing, _OF_LISTING.get(name, name))


def few(subject: Subject, listing: Listing) -> list[Listing]:
    """A listing and some others of each kind: lists of thousands take their time."""
    found: dict[object, list[Listing]] = {}
    for each in subject.listings.values():
        kind = each.category, each.market, each.status, each.option_kind, each.expiry_ns is None
        kept = found.setdefault(kind, [])
        if len(kept) < _OTHERS or each.key == listing.key:
            kept.append(each)
    return [each for kept in found.values() for each in kept]


def relist(venue: EmulatedExchange, listing: Listing) -> None:
    """List an instrument as this says from now on."""
    venue.relist([listing if e.key == listing.key else e for e in venue.listings.values()])


def _listed(line: Line, instrument: Instrument) -> Instrument:
    for each in line.ask(GetInstruments(instrument.market)):
        if each.native == instrument.native:
            return each
    raise AssertionError(f"{instrument.symbol} is listed no more once a rule of it has changed")
