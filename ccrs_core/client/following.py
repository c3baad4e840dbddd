"""What feeds ask for and what that stands for now: patterns, and what isn't listed yet. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import attrs

from ccrs_core.contract.exchange import Exchange, Route
from ccrs_core.errors import SubscriptionRefused, UnknownInstrument
from ccrs_core.feeds.feed import Feed
from ccrs_core.model.instruments import Instrument, Market
from ccrs_core.model.subscriptions import Interest, Subscription
from ccrs_core.model.symbol_patterns import is_pattern, markets_in, matches, near

log = logging.getLogger("ccrs.client")


class Listed(Protocol):
    """The instruments of an exchange; one that can't be reached is waited for."""

    async def find(self, symbol: str) -> Instrument: ...
    async def load(self, market: Market) -> None: ...
    def known(self) -> Iterable[Instrument]: ...
    async def keep_fresh(self, markets: Callable[[], Iterable[Market]]) -> None: ...


Resolved = tuple[Interest, Subscription, Route]
"""An interest, what it is at the exchange, and the connections that can carry it."""


@attrs.frozen
class Resolution:
    """What interests stand for."""

    found: list[tuple[Interest, Resolved]]
    """What was asked for, with what it stands for; patterns are looked up when they are placed."""
    patterns: list[Interest]
    missing: dict[Interest, UnknownInstrument]
    """What isn't listed."""


def candidates(exchange: Exchange, interest: Interest, markets: Sequence[Market]) -> list[Market]:
    """The markets in which a pattern may stand for something that has its channel."""
    channels, possible = exchange.capabilities.channels, markets_in(interest.symbol)
    return [m for m in markets if m in possible and interest.channel in channels.get(m, ())]


def expanded(
    exchange: Exchange, interest: Interest, known: Iterable[Instrument]
) -> Iterator[tuple[Interest, Instrument]]:
    """What an interest stands for, each with its instrument: of a pattern all that have its channel
    and form."""
    channels = exchange.capabilities.channels
    for instrument in known:
        if interest.channel in channels.get(instrument.market, ()) and matches(
            interest.symbol, instrument.symbol
        ):
            yield attrs.evolve(interest, symbol=instrument.symbol), instrument


def nothing_like(
    exchange: Exchange, interest: Interest, known: Iterable[Instrument]
) -> UnknownInstrument:
    """That a pattern stands for nothing."""
    pattern = interest.symbol
    alike = near(pattern, (instrument.symbol for instrument in known))
    hint = f"; did you mean {', '.join(alike)}?" if alike else ""
    return UnknownInstrument(
        f"{exchange.name} lists nothing like {pattern} with {interest.channel.value}{hint}", alike
    )


def all_missing(exchange: str, errors: Mapping[str, UnknownInstrument]) -> UnknownInstrument:
    """One error for all that isn't listed, each with what would do."""
    if len(errors) == 1:
        ((symbol, error),) = errors.items()
        error.symbols = {symbol: error.near}
        return error
    alike = (f" (did you mean {', '.join(e.near)}?)" if e.near else "" for e in errors.values())
    named = "; ".join(f"{symbol}{hint}" for symbol, hint in zip(errors, alike, strict=True))
    found = UnknownInstrument(
        f"{exchange} lists none of these {len(errors)}: {named}",
        tuple(dict.fromkeys(each for e in errors.values() for each in e.near)),
    )
    found.symbols = {symbol: error.near for symbol, error in errors.items()}
    return found


@attrs.define
class _Asked:
    """What feeds have asked for by one interest, and what it stands for now."""

    follows: bool
    now: set[Interest] = attrs.field(factory=set)


class Following:
    """Interests of feeds by what they were asked for, and who follows what is listed."""

    def __init__(self) -> None:
        self._asked: dict[Feed, dict[Interest, _Asked]] = {}
        self._missing: dict[Feed, dict[Interest, str]] = {}

    @property
    def feeds(self) -> list[Feed]:
        """All that have asked for something."""
        return list(self._asked)

    def ask(self, feed: Feed, interest: Interest, *, why: str = "") -> None:
        """A feed asks for something; ``why`` it isn't there, where that is so."""
        follows = is_pattern(interest.symbol) or feed.skips_missing
        self._asked.setdefault(feed, {}).setdefault(interest, _Asked(follows))
        if why:
            self.misses(feed, interest, why)

    def stands_for(self, feed: Feed, asked: Interest, now: Interest) -> None:
        """What was asked for stands for something, among others maybe."""
        self._asked[feed][asked].now.add(now)
        for each in (asked, now):
            self._missing.get(feed, {}).pop(each, None)

    def misses(self, feed: Feed, interest: Interest, why: str) -> None:
        """A feed doesn't have something that it has asked for."""
        self._missing.setdefault(feed, {})[interest] = why

    def goes_without(self, feed: Feed, refused: SubscriptionRefused) -> bool:
        """A subscription was refused: whether a feed goes on without it, since all by which it was
        asked for follows the list. That is logged."""
        asked = self._asked.get(feed, {}).values()
        about = refused.symbol, refused.channel
        concerned = [
            (now, entry.follows)
            for entry in asked
            for now in entry.now
            if (now.symbol, now.channel.value) == about
        ]
        if not concerned or not all(follows for _, follows in concerned):
            return False
        for now, _ in concerned:
            self.misses(feed, now, str(refused))
        log.warning("%s; what else the feed has goes on", refused)
        return True

    def missing(self, feed: Feed, *, has: Collection[Interest]) -> dict[str, str]:
        """Why a feed doesn't have what it has asked for, by symbol; ``has`` is what it does."""
        missing = self._missing.get(feed, {}).items()
        return {each.symbol: why for each, why in missing if each not in has}

    def leave(self, feed: Feed, asked: Iterable[Interest]) -> list[Interest]:
        """A feed asks for these no more; what nothing else that it asks for stands for."""
        mine, gone = self._asked.get(feed, {}), dict[Interest, None]()
        for each in asked:
            entry = mine.pop(each, None)
            gone |= dict.fromkeys(entry.now if entry is not None else ())
            self._missing.get(feed, {}).pop(each, None)
        left = [each for each in gone if not any(each in entry.now for entry in mine.values())]
        self._forget(feed)
        if not mine:
            self._asked.pop(feed, None)
            self._missing.pop(feed, None)
        return left

    def following(self, feed: Feed, symbol: str) -> list[Interest]:
        """What a feed asks for by which it gets what is listed under a symbol."""
        asked = self._asked.get(feed, {})
        return [i for i, entry in asked.items() if entry.follows and matches(i.symbol, symbol)]

    def follows(self, feed: Feed, now: Interest) -> bool:
        """Whether a feed has something by what follows the list."""
        asked = self._asked.get(feed, {}).values()
        return any(entry.follows and now in entry.now for entry in asked)

    def drop(self, feed: Feed, symbol: str) -> list[Interest]:
        """A symbol isn't listed any more: what a feed has no longer, by all that follows the list;
        who has asked for the symbol itself, unless it may be missing, keeps it."""
        mine, gone = self._asked.get(feed, {}), dict[Interest, None]()
        for asked in self.following(feed, symbol):
            entry = mine[asked]
            lost = [each for each in entry.now if each.symbol == symbol]
            entry.now.difference_update(lost)
            gone |= dict.fromkeys(lost)
            if lost and not entry.now:
                self.misses(feed, asked, f"{symbol} isn't listed any more")
        self._forget(feed, symbol)
        return [each for each in gone if not any(each in entry.now for entry in mine.values())]

    def _forget(self, feed: Feed, symbol: str | None = None) -> None:
        """Nothing misses any more what was left out of a pattern that is gone, nor, with its symbol
        given, what isn't listed any more."""
        mine, missing = self._asked.get(feed, {}), self._missing.get(feed, {})
        for each in [each for each in missing if each not in mine]:
            if each.symbol == symbol or not any(
                entry.follows
                and attrs.evolve(each, symbol=asked.symbol) == asked
                and matches(asked.symbol, each.symbol)
                for asked, entry in mine.items()
            ):
                del missing[each]

    def markets(self, exchange: Exchange, markets: Sequence[Market]) -> set[Market]:
        """Those whose lists somebody follows."""
        return {
            market
            for asked in self._asked.values()
            for interest, entry in asked.items()
            if entry.follows
            for market in candidates(exchange, interest, markets)
        }
