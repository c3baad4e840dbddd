"""Property 71: what is declared works, what isn't is refused, and nothing works undeclared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import attrs
import pytest

from ccrs_core.conformance.workbench.line import Line, events_of
from ccrs_core.conformance.workbench.material import chunks
from ccrs_core.conformance.workbench.properties import Against, proves
from ccrs_core.conformance.workbench.subject import Subject, requests_of
from ccrs_core.conformance.workbench.world import World
from ccrs_core.contract import rest
from ccrs_core.contract.exchange import Capabilities, Route
from ccrs_core.contract.rest import GetCandles, Request
from ccrs_core.errors import CcrsError, Unsupported
from ccrs_core.model.events import Candle, MarketData
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import (
    INTERVALS,
    MARKET_CHANNELS,
    Channel,
    Interest,
    Subscription,
)
from ccrs_core.model.units import NS_PER_SECOND

_MAY_BE_EMPTY = (rest.GetFundingHistory, rest.GetTradeHistory)
_PATIENCE = 600.0
"""Virtual seconds in which every declared stream must have delivered something."""
_STEP = 10.0
_RATE = 20.0
_PROBE_SECONDS = 30.0

_MODEL = {
    Market.SPOT: "AAA/BBB",
    Market.LINEAR: "AAA/BBB:BBB",
    Market.INVERSE: "AAA/BBB:AAA",
    Market.OPTION: "AAA/BBB:BBB-300101-100-C",
}


class DeclarationProperties:
    """Property 71."""

    @proves(71, against=Against.NOTHING)
    def test_the_capabilities_are_consistent(self, subject: Subject) -> None:
        """Markets with a book have depths, in ascending order, exchanges with candles have
        intervals that the core knows, and every declared subscription has a route."""
        exchange, declared = subject.exchange, subject.exchange.capabilities
        for market in Market:
            channels = declared.channels.get(market, frozenset())
            unknown = {channel for channel in channels if not isinstance(channel, Channel)}
            assert not unknown, f"capabilities.channels[{market.value}] holds {unknown}"
            depths = declared.book_depths.get(market, ())
            if Channel.BOOK in channels:
                assert depths, f"{market.value} has a book: state its capabilities.book_depths"
            else:
                assert not depths, (
                    f"capabilities.book_depths states depths of {market.value}, whose book isn't "
                    "declared"
                )
            assert tuple(sorted(set(depths))) == tuple(depths), (
                f"book_depths of {market.value} are {depths}: they must ascend"
            )
            assert all(type(depth) is int and depth > 0 for depth in depths), (
                f"book_depths of {market.value} are {depths}: whole numbers above zero, please"
            )
        candles = any(Channel.CANDLES in channels for channels in declared.channels.values())
        asked = GetCandles in exchange.endpoints
        assert bool(declared.intervals) or not (candles or asked), (
            "candles are declared: state capabilities.intervals"
        )
        strange = [name for name in declared.intervals if name not in INTERVALS]
        assert not strange, f"capabilities.intervals holds {strange}; known are {list(INTERVALS)}"
        for subscription in declared_subscriptions(subject):
            route = exchange.route(subscription)
            assert isinstance(route, Route), f"route({subscription}) gives {route!r}"
            assert exchange.codec(route).topic(subscription), f"topic({subscription}) is empty"

    @proves(71)
    def test_everything_declared_is_delivered(self, subject: Subject) -> None:
        """Every declared channel of every market, at each depth and interval, delivers at least
        one event of its kind from the emulator in bounded time."""
        subject.cases()
        routes: dict[Route, list[Subscription]] = {}
        for subscription in declared_subscriptions(subject):
            routes.setdefault(subject.exchange.route(subscription), []).append(subscription)
        for route, subscriptions in routes.items():
            for sharing in _apart(subscriptions):
                _delivers(subject, route, sharing)

    @proves(71)
    def test_everything_declared_is_answered(self, subject: Subject) -> None:
        """Every declared request is answered for each of its markets, candles at each interval."""
        exchange = subject.exchange
        if not exchange.endpoints:
            subject.undeclared("request")
        line = subject.line()
        for market in subject.markets:
            wake(line, subject.instrument(market))
        line.venue.advance(line.venue.now_ns + 30 * NS_PER_SECOND)
        for kind, endpoint in exchange.endpoints.items():
            for market in endpoint.markets:
                assert market in subject.markets or kind is rest.GetServerTime, (
                    f"{kind.__name__} is declared for {market.value}, but nothing lists its "
                    "instruments: declare GetInstruments for it, too"
                )
        for market in subject.markets:
            for request in _asked(subject, subject.instrument(market)):
                try:
                    answer = line.ask(request)
                except CcrsError as error:
                    pytest.fail(
                        f"{type(request).__name__} is declared for {market.value}, but the "
                        f"emulator answers {error!r} to {_shown(request)}: either take the market "
                        "from its Endpoint, or teach encode() or the dialect"
                    )
                assert answer or isinstance(request, _MAY_BE_EMPTY), (
                    f"the answer to {_shown(request)} is empty"
                )

    @proves(8, against=Against.NOTHING)
    def test_topics_of_one_route_tell_depths_intervals_and_symbols_apart(
        self, subject: Subject
    ) -> None:
        """On one route two subscriptions of a channel that differ in depth, interval or symbol are
        carried by different topics."""
        subject.cases()  # skips where nothing is declared
        known: dict[tuple[Route, Channel, str], Subscription] = {}
        for one in declared_subscriptions(subject):
            for instrument in subject.some_instruments(one.instrument.market, 3):
                sub = attrs.evolve(one, instrument=instrument)
                route = subject.exchange.route(sub)
                topic = subject.exchange.codec(route).topic(sub)
                other = known.setdefault((route, sub.channel, topic), sub)
                assert other == sub, (
                    f"{sub} and {other} have one route and one topic, {topic!r}: name what tells "
                    "them apart in Codec.topic(); where the exchange's frames don't tell it, give "
                    "them routes of their own (Route.name)"
                )

    @proves(71, against=Against.NOTHING)
    def test_what_is_not_declared_is_refused_without_io(self, subject: Subject) -> None:
        """Channels, depths, intervals and requests that aren't declared raise ``Unsupported``, and
        nothing is dialled or sent."""
        instruments = {market: _some_instrument(subject, market) for market in Market}

        async def scenario(world: World) -> None:
            client = world.client
            for market, instrument in instruments.items():
                for interest in _undeclared(subject, market, instrument.symbol):
                    with pytest.raises(Unsupported):
                        async with client.subscribe(interest):
                            pytest.fail(f"{interest} isn't declared, but can be subscribed to")
                for request in _every_request(instrument):
                    endpoint = subject.exchange.endpoints.get(type(request))
                    if endpoint is None or market not in endpoint.markets:
                        if isinstance(request, rest.GetServerTime) and endpoint is not None:
                            continue
                        with pytest.raises(Unsupported):
                            await client.request(request)
            for name in set(INTERVALS) - set(subject.exchange.capabilities.intervals):
                with pytest.raises(Unsupported):
                    await client.get_candles(instruments[Market.SPOT].symbol, name)
            assert not world.tap.attempts, f"dialled was {world.tap.attempts}"
            assert not world.tap.requests, f"requested was {world.tap.requests}"

        class _Known(World):
            def _connect(self) -> Any:
                self._settings["instruments"] = list(instruments.values())
                return super()._connect()

        _Known(subject.make(), subject.venue()).run(scenario)

    @proves(71)
    def test_no_stream_works_that_is_not_declared(self, subject: Subject) -> None:
        """Of each market, no channel and no interval that isn't declared could be subscribed to: a
        plugin that can do more should say so."""
        for market in subject.channels:
            instrument = subject.instrument(market)
            for subscription in _beyond(subject, instrument):
                events = _probed(subject, subscription)
                kinds = sorted({event.type for event in events})
                assert not events, (
                    f"{subscription} works (it brings {', '.join(kinds)}), but isn't declared: add "
                    "it to the capabilities, or let route() or the codec refuse it"
                )

    @proves(71)
    def test_no_request_works_that_is_not_declared(self, subject: Subject) -> None:
        """No request is answered for a market that its endpoint doesn't declare."""
        exchange = subject.exchange
        if not exchange.endpoints:
            subject.undeclared("request")
        line = subject.line()
        for market in subject.markets:
            instrument = subject.instrument(market)
            wake(line, instrument)
            line.venue.advance(line.venue.now_ns + 30 * NS_PER_SECOND)
            for request in _every_request(instrument):
                endpoint = exchange.endpoints.get(type(request))
                if endpoint is None or market in endpoint.markets:
                    continue
                answer = None
                # Whatever is raised: it is refused, as it should be.
                with suppress(Exception):
                    answer = line.ask(request)
                assert not answer, (
                    f"{_shown(request)} works, but {type(request).__name__} isn't declared for "
                    f"{market.value}: add the market to its Endpoint"
                )


# --- what is declared ---


def declared_subscriptions(subject: Subject) -> Iterator[Subscription]:
    """All that can be subscribed to of one instrument of each market."""
    capabilities = subject.exchange.capabilities
    for market, channels in subject.channels.items():
        instrument = subject.instrument(market)
        for channel in Channel:
            if channel not in channels:
                continue
            if channel is Channel.BOOK:
                for depth in capabilities.book_depths.get(market, ()):
                    yield Subscription(channel, instrument, depth)
                for depth in capabilities.rpi_book_depths.get(market, ()):
                    yield Subscription(channel, instrument, depth, rpi=True)
            elif channel is Channel.CANDLES:
                for interval in capabilities.intervals:
                    yield Subscription(channel, instrument, interval=interval)
            else:
                yield Subscription(channel, instrument)


def _apart(subscriptions: Sequence[Subscription]) -> Iterator[Sequence[Subscription]]:
    """Parts of which each has one depth, since events don't tell theirs."""
    depths = sorted({s.depth for s in subscriptions if s.depth is not None})
    rest = [s for s in subscriptions if s.depth is None]
    if rest:
        yield rest
    for depth in depths:
        yield [s for s in subscriptions if s.depth == depth]


def _delivers(subject: Subject, route: Route, subscriptions: Sequence[Subscription]) -> None:
    line = subject.line(subject.venue(rate=_RATE))
    wire = line.open(route)
    missing = set(subscriptions)
    messages = []
    for request in chunks(subscriptions, route.topics_per_request):
        messages += wire.subscribe(*request)
    answers = [m for m in messages if type(m).__name__ in ("Refused", "Unrecognised", "Closing")]
    begun_ns = line.venue.now_ns
    while missing:
        for event in events_of(messages):
            missing -= {s for s in missing if _is_of(event, s)}
        if (line.venue.now_ns - begun_ns) / 1e9 >= _PATIENCE:
            break
        messages = wire.run(_STEP) if missing else []
    assert not missing, (
        f"declared, but nothing came in {_PATIENCE:g} s: {'; '.join(map(str, missing))}; the "
        f"exchange answered {answers or 'with no refusal'}: don't declare it, or teach the codec "
        "or the dialect"
    )


def _is_of(event: MarketData, subscription: Subscription) -> bool:
    if (event.symbol, event.channel) != (subscription.symbol, subscription.channel):
        return False
    return not isinstance(event, Candle) or event.interval == subscription.interval


def _asked(subject: Subject, instrument: Instrument) -> Iterator[Request[Any]]:
    for request in requests_of(subject, instrument):
        if isinstance(request, GetCandles):
            for interval in subject.exchange.capabilities.intervals:
                yield attrs.evolve(request, interval=interval)
        else:
            yield request


# --- what isn't ---


def _some_instrument(subject: Subject, market: Market) -> Instrument:
    if market in subject.markets:
        return subject.instrument(market)
    return Instrument(
        exchange=subject.name,
        symbol=_MODEL[market],
        native="AAABBB",
        market=market,
        base="AAA",
        quote="BBB",
    )


def _channels(capabilities: Capabilities, market: Market) -> frozenset[Channel]:
    """All channels that are declared of a market, those that tell of it as a whole included."""
    news = MARKET_CHANNELS if market in capabilities.instrument_news else frozenset[Channel]()
    return capabilities.channels.get(market, frozenset()) | news


def _undeclared(subject: Subject, market: Market, symbol: str) -> Iterator[Interest]:
    capabilities = subject.exchange.capabilities
    channels = _channels(capabilities, market)
    depths = capabilities.book_depths.get(market, ())
    for channel in Channel:
        if channel not in channels:
            yield Interest(channel, symbol, interval="1m" if channel is Channel.CANDLES else None)
        elif channel is Channel.BOOK:
            yield Interest(channel, symbol, depth=0)
            yield Interest(channel, symbol, depth=max(depths) + 1)
            for depth in {1, max(depths) - 1, 7} - set(depths):
                yield Interest(channel, symbol, depth=depth, exact=True)
        elif channel is Channel.CANDLES:
            for interval in set(INTERVALS) - set(capabilities.intervals):
                yield Interest(channel, symbol, interval=interval)


def _every_request(instrument: Instrument) -> Iterator[Request[Any]]:
    yield rest.GetServerTime()
    yield rest.GetInstruments(instrument.market)
    yield rest.GetTopOfBook(instrument)
    yield rest.GetBook(instrument, 5)
    yield rest.GetTrades(instrument, 5)
    yield rest.GetCandles(instrument, "1m", None, None, 5)
    yield rest.GetFundingHistory(instrument, None, None, 5)
    yield rest.GetOpenInterest(instrument)


def _beyond(subject: Subject, instrument: Instrument) -> Iterator[Subscription]:
    """Subscriptions to what is not declared for a market, as someone might try them."""
    capabilities = subject.exchange.capabilities
    channels = _channels(capabilities, instrument.market)
    intervals = [name for name in INTERVALS if name not in capabilities.intervals]
    every = [depth for depths in capabilities.book_depths.values() for depth in depths]
    for channel in Channel:
        if channel is Channel.CANDLES:
            candles = channel in channels
            for interval in intervals if candles else [*capabilities.intervals, "1m"][:1]:
                yield Subscription(channel, instrument, interval=interval)
        elif channel not in channels:
            depth = min(every, default=10) if channel is Channel.BOOK else None
            yield Subscription(channel, instrument, depth)


def _probed(subject: Subject, subscription: Subscription) -> Sequence[MarketData]:
    """The events that a subscription brings; none where anything at all speaks against it."""
    try:
        line = subject.line(subject.venue(rate=_RATE))
        wire = line.open(line.exchange.route(subscription))
        messages = wire.subscribe(subscription)
        if any(type(message).__name__ == "Refused" for message in messages):
            return []
        messages += wire.run(_PROBE_SECONDS)
    except Exception:
        return []  # refused, in whatever way
    return [event for event in events_of(messages) if _is_of(event, subscription)]


def wake(line: Line, instrument: Instrument) -> None:
    """Let the market of an instrument run."""
    for listing in line.venue.listings.values():
        if (listing.market, listing.symbol) == (instrument.market, instrument.native):
            line.venue.market(listing)


def _shown(request: Request[Any]) -> str:
    instrument = getattr(request, "instrument", None)
    of = "" if instrument is None else f" of {instrument.symbol}"
    interval = getattr(request, "interval", "")
    return f"{type(request).__name__}{of}{' ' + interval if interval else ''}"
