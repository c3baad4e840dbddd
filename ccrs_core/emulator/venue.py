"""The markets of an emulated exchange, its time and its broadcasts: what a dialect works with.

Nothing here reads a clock or a socket: whoever drives it says what time it is.
"""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar, cast

import attrs

from ccrs_core.emulator.broadcasts import Broadcast
from ccrs_core.emulator.listing import Listing
from ccrs_core.emulator.market import Changed, SimulatedMarket
from ccrs_core.emulator.matching import Lifetime, Outcome
from ccrs_core.emulator.rebroadcast import Rebroadcast
from ccrs_core.emulator.roles import Watcher
from ccrs_core.emulator.steering import Steerable
from ccrs_core.errors import UsageError
from ccrs_core.model.instruments import Side
from ccrs_core.model.units import NS_PER_SECOND

_B = TypeVar("_B", bound=Broadcast | None)

_UNWATCHED_NS = 60 * NS_PER_SECOND
_EVERYTHING = Changed.BOOK | Changed.REFERENCE
_STANDING_NS = NS_PER_SECOND
"""After so long it is looked whether a market that stands still may go on."""


class _Run:
    """A market that runs, and who watches it."""

    __slots__ = ("market", "resting", "wanted_ns", "watchers")

    def __init__(self, market: SimulatedMarket, now_ns: int) -> None:
        self.market = market
        self.watchers: dict[Watcher, None] = {}
        self.wanted_ns = now_ns
        self.resting = True


class Venue(Steerable):
    """Simulated markets, or a recording in their place; whoever asks for one sets it going.

    A listing's market starts when somebody first asks for it, and rests after a minute without
    anyone watching or asking. ``rate`` is how often per second the best bid or ask of a market
    changes. Broadcasts are shared: an update has the same numbers, and the same bytes, for
    everyone.
    """

    def __init__(
        self, *, seed: int, rate: float, start_ns: int, rebroadcast: Rebroadcast | None = None
    ) -> None:
        self.seed = seed
        if not 0 < rate < math.inf:
            raise UsageError(f"rate must be a number above zero, of changes per second, not {rate}")
        self.rate = rate
        self.start_ns = start_ns
        self.now_ns = start_ns
        self.rng = random.Random(f"{seed}/venue")
        """For choices that an exchange leaves open, such as the order of ack and first data."""
        self.rebroadcast = rebroadcast
        self.listings: dict[tuple[str, str], Listing] = {}
        self._sorted: tuple[object, dict[str, list[Listing]]] = None, {}
        self.witnesses: list[Callable[[SimulatedMarket], None]] = []
        """Called as a market starts and after everything that happens in it, before any broadcast
        tells of it."""
        self._agenda: list[tuple[int, int, Callable[[int], None]]] = []
        self._entries = count()
        self._runs: dict[tuple[str, str], _Run] = {}
        self._held = Changed.NOTHING
        self._still: dict[tuple[str, str], SimulatedMarket] = {}
        self._broadcasts: dict[tuple[str, str], Broadcast] = {}

    @abstractmethod
    def blank(self, topic: str) -> bool:
        """Whether what is written now of a topic, or as the answer of a path, leaves its optional
        fields blank, null or absent: whichever of it the exchange may (``FaultKind.BLANK``)."""

    def revoked(self, key: str) -> bool:
        """Whether a key doesn't work at present, whatever else is true of it
        (``FaultKind.REVOKE``)."""
        return False

    def lag_ns(self, path: str) -> int:
        """How much later than usual the answers of a path tell of what has happened to accounts
        (``FaultKind.LAG``)."""
        return 0

    @property
    def told_ns(self) -> int:
        """What time it is by the exchange's clock, which may be wrong (``FaultKind.CLOCK``): what
        its answers say, and by what timestamps of requests are judged."""
        return self.now_ns

    # --- time ---

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due until a time; times before the last one do nothing."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= now_ns:
            due_ns, _, act = heappop(agenda)
            self.now_ns = max(self.now_ns, due_ns)
            act(self.now_ns)
        self.now_ns = max(self.now_ns, now_ns)

    @property
    def next_wake_ns(self) -> int | None:
        """When something will next happen by itself; None where nothing will."""
        return self._agenda[0][0] if self._agenda else None

    def at(self, time_ns: int, act: Callable[[int], None]) -> None:
        """Call ``act(now_ns)`` once it is a certain time."""
        heappush(self._agenda, (max(time_ns, self.now_ns), next(self._entries), act))

    # --- markets ---

    def listed(self, category: str) -> Sequence[Listing]:
        """A category's listings, by symbol."""
        if self._sorted[0] is not self.listings:
            found: dict[str, list[Listing]] = {}
            for listing in sorted(self.listings.values(), key=lambda each: each.symbol):
                found.setdefault(listing.category, []).append(listing)
            self._sorted = self.listings, found
        return self._sorted[1].get(category, ())

    def market(self, listing: Listing) -> SimulatedMarket:
        """The running market of a listing."""
        return self._run(listing).market

    def quoted(self, listing: Listing) -> SimulatedMarket:
        """A market to quote in a list of all: the one that was started, which goes on, or one that
        stands still."""
        if listing.key in self._runs:
            return self.market(listing)
        market = self._still.get(listing.key)
        if market is None:
            # A book of one level is enough for that, and the list may be of hundreds.
            shallow = attrs.evolve(listing, levels=1)
            market = self._still[listing.key] = SimulatedMarket(
                shallow,
                seed=self.seed,
                rate=self.rate,
                start_ns=self.now_ns,
                underlying=self._underlying(listing),
            )
        market.rest_until(self.now_ns)
        return market

    def peek(self, listing: Listing) -> SimulatedMarket | None:
        """The market of a listing if it has ever been started; it is not woken."""
        run = self._runs.get(listing.key)
        return None if run is None else run.market

    def relist(self, listings: Sequence[Listing]) -> None:
        """List these from now on. Markets and broadcasts that run go on by the rules that they
        began with; what is asked or subscribed to from now on finds the new list.

        Dialects read ``listings`` anew for every request, or whenever it is another mapping.
        """
        self.listings = {each.key: each for each in listings}
        for feed in self._broadcasts.values():
            feed.relisted(self.now_ns)

    def enlist(self, listing: Listing) -> None:
        """List this, too, from now on; in place of one of its category and symbol."""
        self.relist([*(self.listings | {listing.key: listing}).values()])

    def delist(self, listing: Listing) -> None:
        """List this no more."""
        self.relist([each for each in self.listings.values() if each.key != listing.key])

    def change(self, listing: Listing, **fields: Any) -> Listing:
        """List this otherwise from now on, by another tick or status, say; what it is then.

        :raises UsageError: where it isn't listed.
        """
        if listing.key not in self.listings:
            raise UsageError(f"{listing.symbol} isn't listed")
        changed = attrs.evolve(listing, **fields)
        self.relist([changed if e.key == listing.key else e for e in self.listings.values()])
        return changed

    def hold(self, what: Changed) -> None:
        """Let the crowd change nothing of this from now on, in any market; ``Changed.NOTHING`` lets
        all go on. Where books stand still, so do trades. Time passes meanwhile, and broadcasts
        repeat themselves as they do."""
        self._held = what | Changed.TRADES if what & Changed.BOOK else what
        for run in self._runs.values():
            run.market.still = self._held

    def submit(
        self,
        listing: Listing,
        side: Side,
        size: Decimal,
        price: Decimal | None = None,
        *,
        owner: str,
        lifetime: Lifetime = Lifetime.GTC,
    ) -> Outcome:
        """Enter somebody's order now; broadcasts tell of what comes of it.

        :raises RuleBroken: where it breaks a rule of the listing.
        """
        run = self._run(listing)
        market = run.market
        market.now_ns = max(market.now_ns, self.now_ns)
        outcome = market.submit(side, size, price, owner=owner, lifetime=lifetime)
        traded = Changed.TRADES if outcome.executions else Changed.NOTHING
        self._happened(run, Changed.BOOK | traded, self.now_ns)
        return outcome

    def perform(self, listing: Listing, act: Callable[[SimulatedMarket], Changed]) -> None:
        """Let something happen in a market now; broadcasts tell of what it changed."""
        self._act(listing, act)

    def _act(self, listing: Listing, act: Callable[[SimulatedMarket], Changed]) -> None:
        run = self._run(listing)
        run.market.now_ns = max(run.market.now_ns, self.now_ns)
        self._happened(run, act(run.market), self.now_ns)
        self._run(listing)  # which may go on now

    def _run(self, listing: Listing) -> _Run:
        run = self._runs.get(listing.key)
        if run is None:
            market = SimulatedMarket(
                listing,
                seed=self.seed,
                rate=self.rate,
                start_ns=self.now_ns,
                underlying=self._underlying(listing),
            )
            market.still = self._held
            run = self._runs[listing.key] = _Run(market, self.now_ns)
            for witness in self.witnesses:
                witness(market)
        run.wanted_ns = self.now_ns
        if run.resting and run.market.next_ns is not None:
            run.resting = False
            run.market.rest_until(self.now_ns)
            self._schedule(run)
        return run

    def _underlying(self, listing: Listing) -> Callable[[], Decimal] | None:
        """The index price of what an option is on."""
        on = self.listings.get(listing.underlying) if listing.underlying is not None else None
        if on is None:
            return None

        def price() -> Decimal:
            run = self._runs.get(on.key)
            market = self.quoted(on) if run is None else run.market
            return market.rules.price.value(market.index) / 100

        return price

    def _schedule(self, run: _Run) -> None:
        due_ns = run.market.next_ns
        assert due_ns is not None
        self.at(due_ns, lambda now_ns: self._step(run, now_ns))

    def _step(self, run: _Run, now_ns: int) -> None:
        if not run.watchers and now_ns - run.wanted_ns > _UNWATCHED_NS:
            run.resting = True
            return
        if run.market.held:
            run.resting = True
            return
        if self._held & _EVERYTHING == _EVERYTHING:
            run.market.rest_until(now_ns)
            self.at(now_ns + _STANDING_NS, lambda now_ns: self._step(run, now_ns))
            return
        self._happened(run, run.market.step(), now_ns)
        self._schedule(run)

    def _happened(self, run: _Run, changed: Changed, now_ns: int) -> None:
        for witness in self.witnesses:
            witness(run.market)
        for watcher in tuple(run.watchers):
            if watcher.triggers & changed:
                watcher.touch(now_ns)

    # --- broadcasts ---

    def broadcast(
        self,
        category: str,
        topic: str,
        make: Callable[[], Broadcast | None],
        *,
        listed: bool = True,
    ) -> Broadcast | None:
        """What a topic's subscribers hear: the recording where one is played back, else the topic's
        one broadcast, made on the first call; None where ``make`` knows of none.

        :param listed: whether what the topic is about is listed now: else there is none, though
            subscribers of old may still hear it.
        """
        if self.rebroadcast is not None:
            return self.rebroadcast.broadcast(topic, self.now_ns)
        if not listed:
            return None
        return self.simulated(category, topic, make)

    def simulated(self, category: str, topic: str, make: Callable[[], _B]) -> _B:
        """The one broadcast of a topic, made on the first call, whatever is played back.

        ``make`` must make the same kind each time.
        """
        found = self._broadcasts.get((category, topic))
        if found is None:
            found = make()
            if found is not None:
                found.blank = partial(self.blank, topic)
                self._broadcasts[category, topic] = found
        return cast("_B", found)

    @property
    def broadcasts(self) -> Sequence[Broadcast]:
        """All that anybody ever subscribed to."""
        return tuple(self._broadcasts.values())

    def watch(self, watcher: Watcher) -> None:
        """Keep a watcher's markets running, and tell it of their changes."""
        for market in watcher.markets:
            self._run(market.listing).watchers[watcher] = None

    def unwatch(self, watcher: Watcher) -> None:
        """Stop telling it."""
        for market in watcher.markets:
            self._runs[market.listing.key].watchers.pop(watcher, None)
