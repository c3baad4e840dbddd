"""The instruments of an exchange, by unified symbol, fetched when they are first needed."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

import attrs

from ccrs_core.contract.exchange import Exchange
from ccrs_core.contract.rest import GetInstruments
from ccrs_core.errors import PluginBroken, UnknownInstrument, Unsupported, UsageError
from ccrs_core.model.events import InstrumentChanged
from ccrs_core.model.instruments import Instrument, Market, market_of
from ccrs_core.requests.requester import Requester
from ccrs_core.transport.base import Clock

log = logging.getLogger("ccrs.instruments")

_FOREVER = float("inf")
NEWS_AFTER = 10.0
"""Seconds after which a list is fetched anew for the sake of a symbol that isn't in it."""


Heard = Callable[[Market, Sequence[InstrumentChanged]], object]
"""What is called when a market's list was fetched, with what it changes: nothing, maybe."""


@attrs.frozen
class Listing:
    """The instruments of one market by unified symbol, and why some symbols are refused."""

    instruments: dict[str, Instrument]
    refused: dict[str, str]
    fetched_at: float
    changes: Sequence[InstrumentChanged] = ()
    """How it differs from the one before it."""


class InstrumentStore:
    """Instruments per market; concurrent callers share one fetch."""

    def __init__(
        self,
        exchange: str,
        requester: Requester,
        clock: Clock,
        max_age: float,
        known: Iterable[Instrument] = (),
    ) -> None:
        self._exchange = exchange
        self._requester = requester
        self._clock = clock
        self._max_age = max_age
        self._listeners: list[Heard] = []
        self._listings: dict[Market, Listing] = {}
        self._fetches: dict[Market, asyncio.Future[Listing]] = {}
        self._looked_again: dict[Market, float] = {}
        given: dict[Market, list[Instrument]] = {}
        for instrument in known:
            given.setdefault(instrument.market, []).append(instrument)
        for market, instruments in given.items():
            self._listings[market] = _listing(instruments, _FOREVER)

    async def market(
        self, market: Market, *, refresh: bool = False, max_age: float | None = None
    ) -> dict[str, Instrument]:
        """All instruments of a market by unified symbol, of a list that isn't older than it may be
        (``max_age``: here alone)."""
        refresh = refresh or self.fresh_for(market, max_age) <= 0.0
        return (await self._listing(market, refresh)).instruments

    def listen(self, hear: Heard) -> Callable[[], None]:
        """From now on call ``hear`` at each fresh list, with all that it says otherwise than the
        one before it, of whatever symbol: listings and delistings too. Calling what is returned
        ends that."""
        self._listeners.append(hear)

        def end() -> None:
            if hear in self._listeners:
                self._listeners.remove(hear)

        return end

    async def refresh(self, market: Market) -> Sequence[InstrumentChanged]:
        """Fetch a market's instruments anew; what has changed since they were last fetched."""
        return (await self._listing(market, refresh=True)).changes

    def known(self) -> list[Instrument]:
        """All of the lists that were fetched."""
        return [i for listing in self._listings.values() for i in listing.instruments.values()]

    def fresh_for(self, market: Market, max_age: float | None = None) -> float:
        """Seconds until a market's list is to be fetched anew; infinite for what was given."""
        listing = self._listings.get(market)
        if listing is None:
            return 0.0
        age = self._max_age if max_age is None else min(max_age, self._max_age)
        return max(listing.fetched_at + age - self._clock.monotonic(), 0.0)

    async def _listing(self, market: Market, refresh: bool) -> Listing:
        while True:
            listing = self._listings.get(market)
            if listing is not None and not refresh:
                age = self._clock.monotonic() - listing.fetched_at
                if age <= self._max_age:
                    return listing
            running = self._fetches.get(market)
            if running is None:
                return await self._fetch(market)
            await asyncio.wait([running])
            # Only where the caller who fetched was cancelled, one who waits takes over.
            if not running.cancelled():
                return running.result()

    async def _fetch(self, market: Market) -> Listing:
        fetch = self._fetches[market] = asyncio.get_running_loop().create_future()
        try:
            found = await self._requester.ask(GetInstruments(market))
            listing = _listing(found, self._clock.monotonic())
            before = self._listings.get(market)
            if before is not None:
                changes = _changes(before, listing, self._exchange, self._clock.time_ns())
                listing = attrs.evolve(listing, changes=tuple(changes))
        except Exception as error:
            fetch.set_exception(error)
            fetch.exception()  # those who wait are told; there may be none
            raise
        except BaseException:
            fetch.cancel()
            raise
        else:
            self._listings[market] = listing
            fetch.set_result(listing)
            for hear in tuple(self._listeners):
                hear(market, listing.changes)
            return listing
        finally:
            del self._fetches[market]

    def market_of(self, symbol: str) -> Market:
        """The market of a unified symbol, whether it is listed or not.

        :raises UsageError: where the text isn't one; ``UnknownInstrument`` where it looks like some
            that are listed.
        """
        try:
            return market_of(symbol)
        except UsageError as error:
            near = self._near(symbol)
            if near:
                raise UnknownInstrument(f"{error}; did you mean {', '.join(near)}?", near) from None
            raise

    async def find(self, symbol: str) -> Instrument:
        """The instrument of a unified symbol.

        One that isn't listed may have been listed since: the list is fetched anew for it, at most
        once in :data:`NEWS_AFTER` seconds.

        :raises UsageError: where the text isn't a unified symbol.
        :raises UnknownInstrument: where the exchange lists no such one; ``near`` has suggestions.
        :raises PluginBroken: where the plugin gives several instruments this name.
        """
        market = self.market_of(symbol)
        try:
            listing = await self._listing(market, refresh=False)
            if symbol not in listing.instruments and symbol not in listing.refused:
                listing = await self._news(market, listing)
        except Unsupported:
            listing = Listing({}, {}, self._clock.monotonic())
        if symbol in listing.refused:
            raise PluginBroken(listing.refused[symbol])
        found = listing.instruments.get(symbol)
        if found is None:
            near = self._near(symbol)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            age = self._clock.monotonic() - listing.fetched_at
            when = f", by its list of {age:.0f} s ago" if age >= 1.0 else ""
            raise UnknownInstrument(
                f"{self._exchange} lists no {market.value} instrument {symbol}{when}{hint}", near
            )
        return found

    async def _news(self, market: Market, listing: Listing) -> Listing:
        """A list that is fresh enough to say that something isn't listed."""
        looked_at = max(listing.fetched_at, self._looked_again.get(market, 0.0))
        if self._clock.monotonic() - looked_at < NEWS_AFTER and market not in self._fetches:
            return listing
        self._looked_again[market] = self._clock.monotonic()
        return await self._listing(market, refresh=True)

    def _near(self, symbol: str) -> tuple[str, ...]:
        """Up to three symbols that look alike, among those known, by either of their names."""
        wanted = symbol.upper()
        names: dict[str, list[str]] = {}  # several markets may have a native name
        for listing in self._listings.values():
            for instrument in listing.instruments.values():
                for name in {instrument.native.upper(), instrument.symbol.upper()}:
                    names.setdefault(name, []).append(instrument.symbol)
        prefixed = [n for n in names if n.startswith(wanted)][:3]
        close = difflib.get_close_matches(wanted, names, n=6, cutoff=0.6)
        exact = [wanted] if wanted in names else []
        found = (sorted(names[n], key=len) for n in (*exact, *prefixed, *close))
        return tuple(dict.fromkeys(each for symbols in found for each in symbols))[:3]


def _listing(instruments: Iterable[Instrument], fetched_at: float) -> Listing:
    """Index them. The name must be one to one, or money goes to the wrong asset: where it isn't,
    all that are concerned are refused."""
    distinct = list({(i.symbol, i.native): i for i in instruments}.values())
    symbols = Counter(i.symbol for i in distinct)
    natives = Counter(i.native for i in distinct)
    listing = Listing({}, {}, fetched_at)
    for instrument in distinct:
        if symbols[instrument.symbol] == natives[instrument.native] == 1:
            listing.instruments[instrument.symbol] = instrument
            continue
        twins = [
            f"{i.native} as {i.symbol}"
            for i in distinct
            if i.symbol == instrument.symbol or i.native == instrument.native
        ]
        listing.refused[instrument.symbol] = (
            f"{instrument.exchange}'s names are ambiguous, so that these are refused: "
            f"{', '.join(twins)}"
        )
    for reason in dict.fromkeys(listing.refused.values()):
        log.warning("%s", reason)
    return listing


def _changes(
    before: Listing, after: Listing, exchange: str, now_ns: int
) -> Iterator[InstrumentChanged]:
    """What each symbol of either listing stands for otherwise than before."""
    renamed = {i.native: i for i in after.instruments.values()}
    for symbol, old in before.instruments.items():
        new = after.instruments.get(symbol, renamed.get(old.native))
        if new != old:
            yield InstrumentChanged(exchange, symbol, None, now_ns, old, new)
    for symbol, new in after.instruments.items():
        if symbol not in before.instruments:
            yield InstrumentChanged(exchange, symbol, None, now_ns, None, new)


def markets_of(
    exchange: Exchange,
    market: Market | str | None,
    addresses: Container[str] | None = None,
) -> list[Market]:
    """This market alone; where None is given all that the exchange lists instruments of, at those
    ``addresses``."""
    if market:
        return [Market(market)]
    endpoint = exchange.endpoints.get(GetInstruments)
    if endpoint is None:
        return []
    listed = [m for m in Market if m in endpoint.markets]
    if addresses is None:
        return listed
    requests = {m: endpoint.encode(GetInstruments(m), None) for m in listed}
    return [m for m in listed if exchange.rest_address(requests[m]) in addresses]
