"""News of instruments that nobody hears, and books that aren't what they are called."""

from __future__ import annotations

from typing import Any

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.exchange import Route
from ccrs_core.model.events import BookUpdate, InstrumentNews
from ccrs_core.model.subscriptions import Subscription
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import Through

NEWS = "test_news_of_instruments_are_told"
RETAIL = "test_books_with_orders_of_retail_price_improvement_are_true_and_of_their_own"


class _NoNews(Through):
    def event(self, event: Any) -> Any:
        return None if isinstance(event, InstrumentNews) else event


@caught_by(NEWS)
class OkxKeepsNewsToItself(Okx):
    """News of instruments are subscribed to, and read as nothing."""

    def codec(self, route: Route) -> Codec:
        return _NoNews(super().codec(route))


@caught_by(NEWS)
class BinanceKeepsNewsToItself(Binance):
    """News of instruments are subscribed to, and read as nothing."""

    def codec(self, route: Route) -> Codec:
        return _NoNews(super().codec(route))


class _Halved(Through):
    """Levels with a part of their size."""

    def message(self, message: Message) -> Message | None:
        if not isinstance(message, Data) or "rpi" not in message.topic.lower():
            return message
        events = [_halved(e) if isinstance(e, BookUpdate) else e for e in message.events]
        return attrs.evolve(message, events=events)


def _halved(update: BookUpdate) -> BookUpdate:
    bids, asks = (
        tuple((price, size / 2) for price, size in side) for side in (update.bids, update.asks)
    )
    return attrs.evolve(update, bids=bids, asks=asks)


@caught_by(RETAIL)
class OkxRetailBookInPart(Okx):
    """Levels of books with retail price improvement are read without all of their size."""

    def codec(self, route: Route) -> Codec:
        return _Halved(super().codec(route))


class _OneBook(Through):
    """Asks for the usual book where the other one is meant."""

    def topic(self, subscription: Subscription) -> str:
        return super().topic(attrs.evolve(subscription, rpi=False))


@caught_by(RETAIL)
class BybitRetailBookIsTheUsualOne(Bybit):
    """Who asks for retail price improvement is given the usual book."""

    def codec(self, route: Route) -> Codec:
        return _OneBook(super().codec(route))
