"""The exchange under test, with what the properties need of it. Nothing here waits."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NoReturn

import attrs
import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from ccrs_core.conformance.workbench.facts import FILE, Facts, read
from ccrs_core.conformance.workbench.line import Line
from ccrs_core.conformance.workbench.profile import Profile
from ccrs_core.conformance.workbench.world import World
from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import GetInstruments, Request
from ccrs_core.emulator import Dialect, EmulatedExchange, Listing
from ccrs_core.extensions import exchanges as plugins
from ccrs_core.model.instruments import Instrument, InstrumentStatus, Market
from ccrs_core.model.subscriptions import Channel, Interest, Subscription
from ccrs_core.model.units import NS_PER_SECOND
from ccrs_core.transport.memory import START_NS

_LATER_NS = START_NS + 24 * 3600 * NS_PER_SECOND


@attrs.frozen
class Case:
    """One declared channel of one market, as a subscription to the liveliest of its instruments."""

    market: Market
    channel: Channel
    subscription: Subscription

    @property
    def interest(self) -> Interest:
        """What a user would ask for."""
        sub = self.subscription
        return Interest(sub.channel, sub.symbol, sub.depth, sub.interval)

    def __str__(self) -> str:
        return f"{self.market.value} {self.subscription}"


class Subject:
    """An exchange under test.

    :param exchange: the name of an installed plugin, a class, or a function that makes an exchange;
        every use of it makes a fresh one.
    :param samples: where its samples are, if not in its package's folder ``samples``.
    :param recordings: files of frames that the exchange has really sent, to be measured.
    """

    def __init__(
        self,
        exchange: str | Callable[[], Exchange],
        *,
        profile: Profile = Profile.DEFAULT,
        seed: int = 0,
        samples: Traversable | None = None,
        recordings: Sequence[Path] = (),
    ) -> None:
        self.make: Callable[[], Exchange] = (
            plugins.load(exchange) if isinstance(exchange, str) else exchange
        )
        self.exchange = self.make()
        self.profile = profile
        self.seed = seed
        self.recordings = recordings
        self._samples = samples
        self.figures: dict[str, dict[str, str]] = {}
        """What tests have measured, for the report: by name and market."""
        self.wasted = 0.0
        """Seconds of processor time that failing tests have taken."""
        self.noticed: list[Exception] = []
        """Failures of examples in a test, of which smaller ones may be looked for."""
        self._checked = False

    def __repr__(self) -> str:
        return f"<Subject {self.name}>"

    @property
    def name(self) -> str:
        return self.exchange.name

    @property
    def package(self) -> str:
        """The plugin's top-level package."""
        return type(self.exchange).__module__.partition(".")[0]

    @cached_property
    def samples_folder(self) -> Traversable:
        """Where the plugin's samples are; it may not exist."""
        return self._samples or resources.files(self.package) / "samples"

    @cached_property
    def facts(self) -> Facts:
        """What the exchange's documents say, by the plugin's file of facts.

        Fails the test where there is none.
        """
        packages = (kind.__module__.partition(".")[0] for kind in type(self.exchange).__mro__)
        for package in dict.fromkeys(packages):
            try:
                file = resources.files(package) / FILE
            except TypeError:
                continue  # a plugin of a single module has no files
            if file.is_file():
                return read(file)
        if not self.channels and not self.exchange.endpoints:
            self.undeclared("capability")
        pytest.fail(
            f"{self.package} has no {FILE}: write there what the exchange's documents say, each "
            "with its page and the day it was read (addresses, streams, requests, limits, errors; "
            "docs/howto/facts.md), apart from the plugin's code"
        )

    # --- what is declared ---

    @property
    def channels(self) -> Mapping[Market, frozenset[Channel]]:
        """The declared channels by market; empty markets are left out."""
        declared = self.exchange.capabilities.channels
        return {market: declared[market] for market in Market if declared.get(market)}

    @property
    def markets(self) -> Sequence[Market]:
        """Markets that any channel or request is declared for."""
        endpoints = self.exchange.endpoints
        asked = endpoints[GetInstruments].markets if GetInstruments in endpoints else frozenset()
        return [m for m in Market if m in self.channels or m in asked]

    def undeclared(self, what: str) -> NoReturn:
        """Skip the test: the exchange doesn't declare what it is about."""
        pytest.skip(f"{self.name} declares no {what}")

    def cases(self, *channels: Channel) -> list[Case]:
        """One case for each declared market and channel (of these, where given).

        Skips the test where none is declared.
        """
        wanted = frozenset(channels or Channel)
        found = [
            Case(market, channel, self.subscription(channel, self.instrument(market)))
            for market, declared in self.channels.items()
            for channel in Channel
            if channel in declared & wanted
        ]
        if not found:
            self.undeclared(" or ".join(sorted(c.value for c in wanted)) if channels else "channel")
        return found

    def subscription(
        self,
        channel: Channel,
        instrument: Instrument,
        depth: int | None = None,
        interval: str | None = None,
    ) -> Subscription:
        """A subscription, of :meth:`depth` and the first interval unless told otherwise."""
        capabilities = self.exchange.capabilities
        if channel is Channel.BOOK and depth is None:
            depth = self.depth(instrument.market)
        if channel is Channel.CANDLES and interval is None:
            interval = capabilities.intervals[0]
        return Subscription(channel, instrument, depth, interval)

    def depth(self, market: Market) -> int:
        """The shallowest depth of a market's books that starts from a request; where none does, the
        shallowest of all. Of such books most can go wrong."""
        depths: list[int] = sorted(self.exchange.capabilities.book_depths.get(market, (0,)))
        fetched = (
            depth
            for depth in depths
            if self.exchange.book_snapshot(
                Subscription(Channel.BOOK, self.instrument(market), depth)
            )
        )
        return next(fetched, depths[0])

    # --- the emulated exchange ---

    def dialect(self) -> Dialect:
        """A fresh dialect. Fails the test where channels are declared and there is none."""
        dialect = self.exchange.dialect()
        if dialect is None:
            if self.channels or self.exchange.endpoints:
                pytest.fail(
                    f"{self.name} declares capabilities, but its dialect() returns None: write an "
                    "emulator dialect, so that they can be tested"
                )
            self.undeclared("capability")
        return dialect.checked() if self._checked else dialect

    def checked(self) -> Subject:
        """The same exchange, its emulated books with checksums (``Dialect.checked``)."""
        found = copy.copy(self)
        found._checked = True
        return found

    def venue(
        self,
        *,
        seed: int = 0,
        rate: float = 20.0,
        listings: Sequence[Listing] | None = None,
        start_ns: int = START_NS,
    ) -> EmulatedExchange:
        """An emulated exchange whose time begins at ``start_ns``."""
        return EmulatedExchange(
            self.dialect(), seed=seed, rate=rate, start_ns=start_ns, instruments=listings
        )

    @cached_property
    def instruments(self) -> Mapping[Market, Sequence[Instrument]]:
        """All instruments, as the plugin reads them from its emulator, by market."""
        line = Line(self.exchange, self.venue())
        found: dict[Market, Sequence[Instrument]] = {}
        for market in self.markets:
            listed: list[Instrument] = line.ask(GetInstruments(market))
            found[market] = listed
        return found

    @cached_property
    def listings(self) -> Mapping[tuple[Market, str], Listing]:
        """The emulator's listings by market and the exchange's own symbol."""
        listed = self.venue().listings.values()
        return {(listing.market, listing.symbol): listing for listing in listed}

    def instrument(self, market: Market) -> Instrument:
        """The liveliest instrument that trades, the same one every time."""
        return self.some_instruments(market, 1)[0]

    def some_instruments(self, market: Market, count: int) -> Sequence[Instrument]:
        """The liveliest instruments that trade, at most so many."""
        trading = [i for i in self.instruments[market] if i.status is InstrumentStatus.TRADING]
        if not trading:
            pytest.fail(f"the emulator lists no {market.value} instrument that trades")
        listings = self.listings
        order = {key: at for at, key in enumerate(listings)}

        def liveliness(instrument: Instrument) -> tuple[float, int]:
            listing = listings.get((market, instrument.native))
            return (0.0, 0) if listing is None else (-listing.pace, order[market, listing.symbol])

        return sorted(trading, key=liveliness)[:count]

    def line(self, venue: EmulatedExchange | None = None, address: str | None = None) -> Line:
        """A direct line between a fresh plugin and an emulated exchange: no client, no waiting."""
        return Line(self.make(), self.venue() if venue is None else venue, address)

    def world(self, **settings: Any) -> World:
        """An emulated exchange and a client of it in virtual time, as :class:`World` takes it."""
        listings = settings.pop("listings", None)
        seed, rate = settings.pop("seed", 0), settings.pop("rate", 20.0)
        start_ns = settings.pop("start_ns", START_NS)
        venue = self.venue(seed=seed, rate=rate, listings=listings, start_ns=start_ns)
        return World(self.make(), venue, **settings)

    # --- running properties ---

    def settings(self, examples: int, **more: Any) -> hypothesis.settings:
        """Hypothesis's settings; the default profile tries so many ``examples``."""
        return hypothesis.settings(
            max_examples=self.profile.examples(examples),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            **more,
        )

    def check(
        self, test: Callable[..., None], *strategies: st.SearchStrategy[Any], examples: int = 100
    ) -> None:
        """Try a function with generated arguments. The same seed tries the same ones."""

        @functools.wraps(test)
        def noted(*arguments: Any, **named: Any) -> None:
            try:
                test(*arguments, **named)
            except Exception as error:
                self.noticed.append(error)
                raise

        # In here, since a @given method that two classes inherit fails a health check.
        run = hypothesis.given(*strategies)(noted)
        hypothesis.seed(self.seed)(self.settings(examples)(run))()

    def check_machine(
        self,
        machine: type[RuleBasedStateMachine],
        *,
        examples: int = 30,
        steps: int = 25,
    ) -> None:
        """Run a state machine. The same seed runs the same steps."""
        factory = hypothesis.seed(self.seed)(machine)
        settings = self.settings(examples, stateful_step_count=steps)
        run_state_machine_as_test(factory, settings=settings)


def requests_of(subject: Subject, instrument: Instrument, size: int = 5) -> Iterator[Request[Any]]:
    """One request of each declared kind that an instrument's market answers, for so much of it."""
    from ccrs_core.contract import rest

    ways: dict[type[Request[Any]], Callable[[], Request[Any]]] = {
        rest.GetServerTime: rest.GetServerTime,
        rest.GetInstruments: lambda: rest.GetInstruments(instrument.market),
        rest.GetTopOfBook: lambda: rest.GetTopOfBook(instrument),
        rest.GetBook: lambda: rest.GetBook(instrument, size),
        rest.GetTrades: lambda: rest.GetTrades(instrument, size),
        rest.GetCandles: lambda: rest.GetCandles(
            instrument, subject.exchange.capabilities.intervals[0], None, None, size
        ),
        rest.GetOpenInterest: lambda: rest.GetOpenInterest(instrument),
        rest.GetMarkCandles: lambda: rest.GetMarkCandles(
            instrument, subject.exchange.capabilities.intervals[0], None, None, size
        ),
        rest.GetIndexCandles: lambda: rest.GetIndexCandles(
            instrument, subject.exchange.capabilities.intervals[0], None, None, size
        ),
        rest.GetOpenInterestHistory: lambda: rest.GetOpenInterestHistory(
            instrument, subject.exchange.capabilities.open_interest_intervals[0], None, None, size
        ),
        # Of what is to come, so that it is answered by every exchange: what it says of the past is
        # judged by a theme of its own.
        rest.GetTradeHistory: lambda: rest.GetTradeHistory(instrument, _LATER_NS, None, size),
        rest.GetFundingHistory: lambda: rest.GetFundingHistory(instrument, None, None, size),
    }
    for kind, endpoint in subject.exchange.endpoints.items():
        if kind in ways and instrument.market in endpoint.markets:
            yield ways[kind]()
