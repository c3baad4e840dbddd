"""Mutants of long connections: what is never forgotten, and demands for life that go unmet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_kraken import Kraken
from ccrs_okx import Okx

from ccrs_core.codec import Codec, Outbound
from ccrs_core.exchange import Route
from ccrs_core.model import Subscription
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import Through

SYMBOLS = "test_a_codec_keeps_nothing_of_symbols_that_are_gone"
VALUES = "test_a_codec_keeps_a_bounded_part_of_what_it_reads"


# --- memory ---------------------------------------------------------------------------------


class _Remembering(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._known: dict[str, Subscription] = {}

    def subscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self._known |= {self.topic(each): each for each in subscriptions}
        return super().subscribe(subscriptions, request_id)


@caught_by(SYMBOLS)
class TopicsNeverForgotten(Bybit):
    """What was subscribed to once is remembered for ever."""

    def codec(self, route: Route) -> Codec:
        return _Remembering(super().codec(route))


class _Numbering(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._asked: list[tuple[str, int]] = []

    def unsubscribe(self, subscriptions: Sequence[Subscription], request_id: str) -> Outbound:
        self._asked.append((request_id, len(subscriptions)))
        return super().unsubscribe(subscriptions, request_id)


@caught_by(SYMBOLS)
class RequestsNeverForgotten(Okx):
    """The ids of all requests to unsubscribe are remembered for ever."""

    def codec(self, route: Route) -> Codec:
        return _Numbering(super().codec(route))


class _LastOfEach(Through):
    """The last event of each symbol, which outlives its subscription."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._last: dict[str, Any] = {}

    def event(self, event: Any) -> Any:
        self._last[event.symbol] = event
        return event


@caught_by(SYMBOLS)
class LastEventsNeverForgotten(Binance):
    """The last event of each symbol is kept when nobody wants the symbol any more."""

    def codec(self, route: Route) -> Codec:
        return _LastOfEach(super().codec(route))


class _Cached(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._prices: dict[Any, Any] = {}

    def event(self, event: Any) -> Any:
        price = getattr(event, "price", None) or getattr(event, "bid_price", None)
        self._prices.setdefault(price, price)
        return event


@caught_by(VALUES)
class PricesCachedForEver(Kraken):
    """Every price that was ever read is kept, so that equal ones are one object."""

    def codec(self, route: Route) -> Codec:
        return _Cached(super().codec(route))


class _Repeats(Through):
    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._seen: set[bytes] = set()

    def frame(self, frame: bytes) -> bytes:
        self._seen.add(frame[-60:])
        return frame


@caught_by(VALUES)
class FramesNeverForgotten(Okx):
    """The ends of all frames are kept, to recognise repeats."""

    def codec(self, route: Route) -> Codec:
        return _Repeats(super().codec(route))
