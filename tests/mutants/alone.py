"""Silence taken for death, and repetition for silence."""

from __future__ import annotations

from typing import Any

import attrs
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, Message, Unchanged
from ccrs_core.contract.exchange import Route
from ccrs_core.emulator import Dialect
from ccrs_core.model.events import Funding, MarkPrice, TopOfBook
from ccrs_core.model.subscriptions import Channel, Subscription
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through

ALONE = "test_a_stream_that_lives_alone_is_never_called_silent"
HOURS = "test_a_stream_whose_state_stays_the_same_is_healthy_for_hours"


class _OnlyNews(Through):
    """Says nothing of frames that tell again what was told last."""

    kinds: tuple[type[Any], ...] = (Funding, MarkPrice, TopOfBook)

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._last: dict[tuple[str, type[Any]], Any] = {}

    def event(self, event: Any) -> Any:
        if not isinstance(event, self.kinds):
            return event
        key = event.symbol, type(event)
        bare = attrs.evolve(event, exchange_time_ns=None, received_time_ns=0)
        if self._last.get(key) == bare:
            return None
        self._last[key] = bare
        return event


@caught_by(ALONE, HOURS)
class OkxTellsNewsAlone(Okx):
    """A mark price that is told again as it was is taken for nothing at all."""

    def codec(self, route: Route) -> Codec:
        return _OnlyNews(super().codec(route))


@caught_by(ALONE, HOURS)
class BybitTellsNewsAlone(Bybit):
    """The best quotes that come again every three seconds are dropped without a word."""

    def codec(self, route: Route) -> Codec:
        return _OnlyNews(super().codec(route))


@caught_by(HOURS)
class BinanceCandlesEveryMinute(Binance):
    """Candles of all intervals are expected every minute, as the shortest close."""

    def max_silence(self, subscription: Subscription) -> float | None:
        usual = super().max_silence(subscription)
        return 90.0 if subscription.channel is Channel.CANDLES else usual


@caught_by(HOURS)
class OkxCandlesAsLongAsTheirInterval(Okx):
    """Candles are expected once in their interval, though they come with trades and the close."""

    def max_silence(self, subscription: Subscription) -> float | None:
        if subscription.channel is Channel.CANDLES and subscription.interval != "1m":
            return 300.0
        return super().max_silence(subscription)


@caught_by(HOURS)
class OkxBooksAllKeptAlive(Okx):
    """Every depth is expected once a minute, though only the deepest is sent without change."""

    def max_silence(self, subscription: Subscription) -> float | None:
        return 150.0 if subscription.channel is Channel.BOOK else super().max_silence(subscription)


@caught_by(HOURS)
class BybitTradesEveryQuarter(Bybit):
    """Something is taken to be traded within a quarter of an hour."""

    def max_silence(self, subscription: Subscription) -> float | None:
        usual = super().max_silence(subscription)
        return 900.0 if subscription.channel is Channel.TRADES else usual


class _UnchangedElsewhere(Through):
    """Names another topic where nothing is new."""

    def message(self, message: Message) -> Message | None:
        if isinstance(message, Unchanged):
            return Unchanged(message.topic.replace("markPrice@1s", "markPrice"))
        return super().message(message)


@caught_by(ALONE, HOURS)
class BinanceUnchangedElsewhere(Binance):
    """That nothing is new is told of a topic by the name that recordings have for it."""

    def codec(self, route: Route) -> Codec:
        return _UnchangedElsewhere(super().codec(route))


class _NeverRepeats(SpeaksThrough):
    """An exchange that doesn't repeat a best quote which nobody has changed."""

    def __init__(self, dialect: Dialect | None) -> None:
        super().__init__(dialect)
        self._said: dict[bytes, bytes] = {}

    def said(self, payload: bytes) -> bytes | None:
        head, mark, rest = payload.partition(b'"u":')
        if not mark or b'"orderbook.1.' not in head:
            return payload
        topic, number = head[: head.find(b",")], rest.partition(b",")[0]
        known, self._said[topic] = self._said.get(topic), number
        return None if known == number else payload


@caught_by(ALONE, HOURS)
class BybitNeitherRepeatsNorWaits(Bybit):
    """Neither does the emulator repeat the best quotes, nor does the plugin know that it would."""

    def codec(self, route: Route) -> Codec:
        return _OnlyNews(super().codec(route))

    def dialect(self) -> Dialect:
        return _NeverRepeats(super().dialect())
