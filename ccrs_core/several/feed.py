"""One feed that several exchanges' streams write into."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from ccrs_core.feeds.feed import Feed, FeedOwner, checked
from ccrs_core.model.subscriptions import Interest
from ccrs_core.several.names import qualified


class MergedFeedOwner(FeedOwner, Protocol):
    """What a merged feed asks of its clients."""

    def qualify(self, interests: Iterable[Interest]) -> list[Interest]:
        """One interest for each exchange that is meant, its symbol with the exchange in front."""


class MergedFeed(Feed):
    """Events of several exchanges in the order in which they arrived; each names its exchange.

    It does what every :class:`Feed` does. Symbols are written ``exchange:SYMBOL`` when something is
    subscribed to, taken away or looked up; without an exchange they mean all of them. Events have
    the plain symbol.
    """

    def __init__(self, owner: MergedFeedOwner, interests: Iterable[Interest], **how: Any) -> None:
        self._qualify = owner.qualify
        super().__init__(owner, owner.qualify(checked(interests)), **how)

    async def subscribe(self, *interests: Interest) -> None:
        await super().subscribe(*self._qualify(checked(interests)))

    async def unsubscribe(self, *interests: Interest) -> None:
        await super().unsubscribe(*self._qualify(checked(interests)))

    def _wants(self, exchange: str, symbol: str) -> bool:
        return super()._wants(exchange, qualified(exchange, symbol))
