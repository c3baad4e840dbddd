"""Each side, flag and status is told in each of its values (2, 18)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import attrs

from ccrs_core.conformance.judges.steered import figures
from ccrs_core.conformance.themes.changes import few, relist
from ccrs_core.conformance.themes.madeup import column, is_word
from ccrs_core.conformance.workbench.line import Line, Wire, events_of
from ccrs_core.conformance.workbench.material import parsed, places
from ccrs_core.conformance.workbench.moments import Print
from ccrs_core.conformance.workbench.properties import proves
from ccrs_core.conformance.workbench.subject import Case, Subject
from ccrs_core.conformance.workbench.truth import Truth
from ccrs_core.contract.compression import inflate
from ccrs_core.contract.rest import GetInstruments, GetTrades
from ccrs_core.emulator import Oddity
from ccrs_core.model.events import Liquidation, Trade
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Side
from ccrs_core.model.subscriptions import Channel

_PAUSE = 1.1
_MOST = 100


class FlagProperties:
    """What has few values is seen in all of them."""

    @proves(2)
    def test_each_side_and_flag_of_trades_is_told(self, subject: Subject) -> None:
        """Trades of both sides, off the book and on it, with an order of retail price improvement
        and without one, are told as that, by streams and requests. (Where the exchange doesn't say
        its dialect tells why in ``Dialect.lacks``.)"""
        lacks = subject.dialect().lacks
        told: dict[str, set[Any]] = {"block": set(), "rpi": set()}
        for case in subject.cases(Channel.TRADES):
            says, found, prints = _traded(subject, case, lacks)
            for events in found:
                _flags_are_true(str(case), events, prints, says)
                for name, values in told.items():
                    values |= {getattr(event, name) for event in events}
        for name, oddity in (("block", Oddity.BLOCK_TRADE), ("rpi", Oddity.RPI_TRADE)):
            assert oddity in lacks or told[name] >= {True, False}, (
                f"Trade.{name} is never True, though such trades happen at the emulated exchange "
                f"(TapeTrade.{name}). Let the dialect write it and the codec read it, or tell in "
                f"Dialect.lacks[Oddity.{oddity.name}] why the exchange doesn't say"
            )

    @proves(2)
    def test_each_side_of_liquidations_is_told(self, subject: Subject) -> None:
        """Liquidated long positions are told as BUY, short ones as SELL, one after the other and
        several at once."""
        for case in subject.cases(Channel.LIQUIDATIONS):
            line, truth = _standing(subject)
            listing = truth.listing(case.subscription.instrument)
            state = figures(listing)
            line.venue.steer(listing, **state)
            wire = line.open(line.exchange.route(case.subscription))
            messages = wire.subscribe(case.subscription)
            begin_ns = line.venue.now_ns
            for turn, side in enumerate((Side.BUY, Side.SELL, Side.SELL, Side.BUY)):
                messages += wire.run(_PAUSE)
                price = state["last_price"] + turn * listing.tick
                line.venue.liquidate(listing, side, listing.lot * (100 + turn), price)
            messages += wire.run(2 * _PAUSE)
            events = [e for e in events_of(messages) if isinstance(e, Liquidation)]
            history = truth.of(case.subscription.instrument)
            history.liquidations_are_true(events, after_ns=begin_ns, until_ns=line.venue.now_ns)
            assert events, f"{case} tells none of four liquidations, a second apart, of both sides"

    @proves(18)
    def test_each_status_of_an_instrument_is_told(self, subject: Subject) -> None:
        """Whether an instrument is to come, trades, is halted, settled or over is read as that, or
        the instrument isn't listed; none that doesn't trade is ever called TRADING. (Where the
        exchange doesn't say so its dialect tells why in ``Dialect.lacks``.)"""
        endpoint = subject.exchange.endpoints.get(GetInstruments)
        if endpoint is None:
            subject.undeclared("GetInstruments")
        lacks = subject.dialect().lacks
        for market in subject.markets:
            if market in endpoint.markets:
                _statuses(subject, subject.instrument(market), lacks)


def _standing(subject: Subject) -> tuple[Line, Truth]:
    line = subject.line()
    return line, Truth(line.venue)


def _traded(
    subject: Subject, case: Case, lacks: Any
) -> tuple[set[str], list[Sequence[Trade]], Sequence[Print]]:
    """The flags that frames say in words, what a stream and an answer tell of trades of all kinds,
    and what there were."""
    line, truth = _standing(subject)
    instrument = case.subscription.instrument
    listing = truth.listing(instrument)
    state = figures(listing)
    line.venue.steer(listing, **state)
    wire = line.open(line.exchange.route(case.subscription))
    messages = wire.subscribe(case.subscription) + wire.run(_PAUSE)
    blocks = (False,) if Oddity.BLOCK_TRADE in lacks else (False, True)
    rpis = (False,) if Oddity.RPI_TRADE in lacks else (False, True)
    kinds = list(product(Side, blocks, rpis))
    # The first kind comes again after each of the others.
    kinds = [kind for each in kinds[1:] for kind in (kinds[0], each)] + kinds[:1]
    said: list[tuple[bool, bool, set[object]]] = []
    price, size = state["last_price"], listing.lot * 100
    for number, (side, block, rpi) in enumerate(kinds):
        price = state["last_price"] + (number + 1) * listing.tick
        size = listing.lot * (100 + 2 * number)
        line.venue.trade(listing, side, size, price, block=block, rpi=rpi)
        came = len(wire.frames)
        messages += wire.run(_PAUSE)
        said.append((block, rpi, _words(wire, came)))
    for together in (kinds, kinds[::-1]):  # and all of them at once
        for side, block, rpi in together:
            price += listing.tick
            line.venue.trade(listing, side, size, price, block=block, rpi=rpi)
        messages += wire.run(_PAUSE)
    prints = truth.of(instrument).trades
    told = [e for e in events_of(messages) if isinstance(e, Trade)]
    found: list[Sequence[Trade]] = [told]
    endpoint = subject.exchange.endpoints.get(GetTrades)
    if endpoint is not None and case.market in endpoint.markets:
        answered: list[Trade] = line.ask(GetTrades(instrument, _MOST))
        found.append(answered)
    says = {name for at, name in enumerate(("block", "rpi")) if _says(said, at)}
    return says, found, prints


def _words(wire: Wire, since: int) -> set[object]:
    """The words and flags of some frames, each with its place."""
    method = wire.codec.compression
    found: set[object] = set()
    for frame in wire.frames[since:]:
        value = parsed(frame if method is None else inflate(frame, method))
        found |= {(column(place), repr(item)) for place, item in places(value) if is_word(item)}
    return found


def _says(said: Sequence[tuple[bool, bool, set[object]]], at: int) -> bool:
    """Whether a word comes with all trades that have a flag, and with none that hasn't."""
    having = [each[2] for each in said if each[at]]
    others = set[object]().union(*(each[2] for each in said if not each[at]))
    return bool(having) and bool(set.intersection(*having) - others)


def _flags_are_true(
    where: str, events: Sequence[Trade], prints: Sequence[Print], says: set[str]
) -> None:
    """Fails unless these are the trades, each told as it was."""
    told = {event.price: event for event in events}
    for true in prints:
        event = told.get(true.price)
        assert event is not None, f"{where}: the trade {true} was never told"
        assert event.side is true.side, (
            f"{where}: the trade {true} was told as a {event.side.value}: side is the taker's"
        )
        for name in ("block", "rpi"):
            value = getattr(event, name)
            # What a market doesn't say is False, of rpi None.
            unsaid = False if name == "block" else None
            if name in says or value is not unsaid:
                assert value is getattr(true, name), (
                    f"{where}: {name} of the trade {true} is told as {value}, it is "
                    f"{getattr(true, name)}: a consumer would take it for another kind of trade"
                )


def _statuses(subject: Subject, instrument: Instrument, lacks: Any) -> None:
    listing = subject.listings[instrument.market, instrument.native]
    line = _Reading(subject.make(), subject.venue(listings=few(subject, listing)))
    said: dict[InstrumentStatus, tuple[bytes, InstrumentStatus | None]] = {}
    for status in (*InstrumentStatus, InstrumentStatus.TRADING):
        relist(line.venue, attrs.evolve(listing, status=status))
        line.bodies.clear()
        found = [
            each.status
            for each in line.ask(GetInstruments(instrument.market))
            if each.native == instrument.native
        ]
        said[status] = b"".join(line.bodies), found[0] if found else None
    assert said[InstrumentStatus.TRADING][1] is InstrumentStatus.TRADING, (
        f"{instrument.symbol} trades (again), a fresh list says {said[InstrumentStatus.TRADING][1]}"
    )
    for status, (body, told) in said.items():
        if told in (None, status) or Oddity(status.value) in lacks:
            continue
        assert told is not InstrumentStatus.TRADING, (
            f"{instrument.symbol} is {status.value} at the exchange, the plugin calls it trading: "
            "orders would be sent to it. Let the dialect write that status and the plugin read it, "
            f"or tell in Dialect.lacks[Oddity.{status.name}] why the exchange never says so"
        )
        assert body == said[told][0], (
            f"{instrument.symbol} is {status.value} at the exchange, which says so otherwise than "
            f"that one is {told.value}; the plugin calls it {told.value}"
        )


class _Reading(Line):
    """A line that keeps the answers' bodies."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.bodies: list[bytes] = []

    def http(self, request: Any) -> Any:
        response = super().http(request)
        self.bodies.append(response.body)
        return response
