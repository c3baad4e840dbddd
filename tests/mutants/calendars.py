"""Candles that begin, end or are closed at other times than the calendar says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec, Data, Message
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import GetCandles, HttpRequest, HttpResponse
from ccrs_core.emulator import Dialect
from ccrs_core.model.events import Candle, Funding, Ticker
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through, answering

ASKED = "test_candles_that_are_asked_for_keep_the_calendar"
STREAMED = "test_streamed_candles_end_once_when_the_calendar_says"
INTERRUPTED = "test_a_candle_that_ends_during_an_interruption_ends_at_most_once"

_SECOND_NS = 10**9
HOUR_NS = 3600 * _SECOND_NS
DAY_NS = 24 * HOUR_NS
_WEEK_MS = 7 * 86_400_000
_DAY_MS = 86_400_000


class Changing(Through):
    """Delivers other events."""

    def __init__(self, codec: Codec, change: Callable[[Any], Any]) -> None:
        super().__init__(codec)
        self._change = change

    def event(self, event: Any) -> Any:
        return self._change(event) if isinstance(event, Candle | Funding | Ticker) else event


def _candles(change: Callable[[Candle], Candle | None]) -> Callable[[Any], Any]:
    return lambda event: change(event) if isinstance(event, Candle) else event


def _each(change: Callable[[Candle], Candle]) -> Callable[[Any, list[Candle]], list[Candle]]:
    return lambda request, candles: [change(candle) for candle in candles]


def _of_thirty_days(candle: Candle) -> Candle:
    if candle.interval != "1M":
        return candle
    return attrs.evolve(candle, close_time_ns=candle.open_time_ns + 30 * DAY_NS)


def _without_leap_days(candle: Candle) -> Candle:
    at = datetime.fromtimestamp(candle.open_time_ns // _SECOND_NS, UTC)
    if candle.interval != "1M" or at.month != 2:
        return candle
    return attrs.evolve(candle, close_time_ns=candle.open_time_ns + 28 * DAY_NS)


def _by_local_time(candle: Candle) -> Candle:
    if candle.interval != "1M":
        return candle
    local = datetime.fromtimestamp(candle.open_time_ns // _SECOND_NS)  # noqa: DTZ006 - the mistake
    following = (local.replace(day=1) + timedelta(days=32)).replace(day=1)
    return attrs.evolve(candle, close_time_ns=int(following.timestamp()) * _SECOND_NS)


def _of_hong_kong(candle: Candle) -> Candle:
    if candle.interval not in {"6h", "12h", "1d", "1w", "1M"}:
        return candle
    off = 8 * HOUR_NS if candle.interval[-1] in "dwM" else 4 * HOUR_NS
    return attrs.evolve(
        candle, open_time_ns=candle.open_time_ns - off, close_time_ns=candle.close_time_ns - off
    )


# --- what is asked for ----------------------------------------------------------------------------
@caught_by(ASKED)
class MonthsOfThirtyDays(Bybit):
    """Answers say that every month has thirty days."""

    endpoints: ClassVar[Any] = answering(Bybit, GetCandles, _each(_of_thirty_days))


@caught_by(ASKED)
class YearsWithoutLeapDays(Binance):
    """Answers know no 29th of February."""

    endpoints: ClassVar[Any] = answering(Binance, GetCandles, _each(_without_leap_days))


@caught_by(ASKED)
class MonthsOfTheMachine(Okx):
    """A month ends where it does in the machine's own time zone."""

    endpoints: ClassVar[Any] = answering(Okx, GetCandles, _each(_by_local_time))


@caught_by(ASKED)
class HistoryOfHongKong(Okx):
    """Half days, days, weeks and months of answers begin at midnight in Hong Kong."""

    endpoints: ClassVar[Any] = answering(Okx, GetCandles, _each(_of_hong_kong))


def _last_is_open(request: GetCandles, candles: list[Candle]) -> list[Candle]:
    return [
        attrs.evolve(candle, closed=place + 1 < len(candles))
        for place, candle in enumerate(candles)
    ]


@caught_by(ASKED)
class TheLastOneIsOpen(Binance):
    """The last candle of an answer is called open, also where its end lies in the past."""

    endpoints: ClassVar[Any] = answering(Binance, GetCandles, _last_is_open)


def _day_is_over(request: GetCandles, candles: list[Candle]) -> list[Candle]:
    now_ns = max((candle.received_time_ns for candle in candles), default=0)
    return [
        attrs.evolve(candle, closed=candle.open_time_ns // DAY_NS < now_ns // DAY_NS)
        if candle.interval in {"1d", "1w", "1M"}
        else candle
        for candle in candles
    ]


@caught_by(ASKED)
class TheDayIsOver(Bybit):
    """Whatever opened on another day is called closed, weeks and months as well."""

    endpoints: ClassVar[Any] = answering(Bybit, GetCandles, _day_is_over)


class _SundaysAtBybit(SpeaksThrough):
    """Weeks begin on Sundays: in frames and in answers."""

    def said(self, payload: bytes) -> bytes:
        if b'"topic":"kline.W.' not in payload:
            return payload
        frame = orjson.loads(payload)
        for row in frame["data"]:
            row["start"] -= _DAY_MS
            row["end"] -= _DAY_MS
        return orjson.dumps(frame)

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        query = dict(request.query)
        if request.path != "/v5/market/kline" or query.get("interval") != "W":
            return response
        body = orjson.loads(response.body)
        for row in body["result"]["list"]:
            row[0] = str(int(row[0]) - _DAY_MS)
        return attrs.evolve(response, body=orjson.dumps(body))


@caught_by(ASKED, STREAMED)
class WeeksFromSundays(Bybit):
    """Emulator and plugin agree that weeks begin on Sundays."""

    def dialect(self) -> Dialect:
        return _SundaysAtBybit(super().dialect())


class _ThursdaysAtBinance(SpeaksThrough):
    """Weeks are counted from the epoch, which was a Thursday."""

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if not request.path.endswith("/klines") or dict(request.query).get("interval") != "1w":
            return response
        rows = [
            [row[0] // _WEEK_MS * _WEEK_MS, *row[1:6], row[6] // _WEEK_MS * _WEEK_MS - 1, *row[7:]]
            for row in orjson.loads(response.body)
        ]
        return attrs.evolve(response, body=orjson.dumps(rows))


@caught_by(ASKED)
class WeeksFromTheEpoch(Binance):
    """Emulator and plugin agree that weeks begin on Thursdays."""

    def dialect(self) -> Dialect:
        return _ThursdaysAtBinance(super().dialect())


# --- what is streamed -----------------------------------------------------------------------------
@caught_by(STREAMED)
class StreamsOfHongKong(Okx):
    """Half days, days, weeks and months of streams begin at midnight in Hong Kong."""

    def codec(self, route: Route) -> Codec:
        return Changing(super().codec(route), _candles(_of_hong_kong))


@caught_by(STREAMED)
class StreamedMonthsOfThirtyDays(Binance):
    """Streams say that every month has thirty days."""

    def codec(self, route: Route) -> Codec:
        return Changing(super().codec(route), _candles(_of_thirty_days))


@caught_by(STREAMED)
class NothingTradedNothingTold(Okx):
    """The end of a candle in which nothing was traded is left out."""

    def codec(self, route: Route) -> Codec:
        return Changing(
            super().codec(route), _candles(lambda candle: candle if candle.volume else None)
        )


class _EndsTwice(Through):
    """Tells the last closed candle again as the next one begins."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._closed: dict[str, Candle] = {}

    def message(self, message: Message) -> Message | None:
        if not isinstance(message, Data):
            return message
        events = list(message.events)
        for event in message.events:
            if isinstance(event, Candle) and event.closed:
                self._closed[message.topic] = event
            elif isinstance(event, Candle) and (last := self._closed.pop(message.topic, None)):
                events.insert(0, last)
        return attrs.evolve(message, events=tuple(events))


@caught_by(STREAMED)
class EndsTwice(Bybit):
    """A candle is told closed at its end, and once more as the next one begins."""

    def codec(self, route: Route) -> Codec:
        return _EndsTwice(super().codec(route))


class _EndsWithTheNext(Through):
    """Calls a candle closed once the next one is there."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._last: dict[str, Candle] = {}

    def message(self, message: Message) -> Message | None:
        if not isinstance(message, Data):
            return message
        events: list[Any] = []
        for event in message.events:
            if isinstance(event, Candle):
                last = self._last.get(message.topic)
                if last is not None and last.open_time_ns < event.open_time_ns:
                    received_ns = event.received_time_ns
                    events.append(attrs.evolve(last, closed=True, received_time_ns=received_ns))
                self._last[message.topic] = attrs.evolve(event, closed=False)
                events.append(self._last[message.topic])
            else:
                events.append(event)
        return attrs.evolve(message, events=tuple(events))


@caught_by(STREAMED)
class EndsWithTheNext(Binance):
    """A candle is closed as soon as another one is heard of, which may be much later."""

    def codec(self, route: Route) -> Codec:
        return _EndsWithTheNext(super().codec(route))


@caught_by(STREAMED)
class EndsByOurClock(Okx):
    """Whatever lasts no more than five seconds longer is called closed."""

    def codec(self, route: Route) -> Codec:
        return Changing(
            super().codec(route),
            _candles(
                lambda candle: attrs.evolve(
                    candle, closed=candle.close_time_ns - candle.received_time_ns < 5 * _SECOND_NS
                )
            ),
        )


@caught_by(STREAMED)
class MonthsThatNeverEnd(Bybit):
    """Of months the last state before the end is taken for the last one."""

    def codec(self, route: Route) -> Codec:
        return Changing(
            super().codec(route),
            _candles(
                lambda candle: attrs.evolve(
                    candle, closed=candle.closed and candle.interval != "1M"
                )
            ),
        )


class _Remembers(Through):
    """Makes up the ends of candles that another connection began."""

    def __init__(self, codec: Codec, known: dict[str, Candle]) -> None:
        super().__init__(codec)
        self._known = known

    def message(self, message: Message) -> Message | None:
        if not isinstance(message, Data):
            return message
        events: list[Any] = []
        for event in message.events:
            if isinstance(event, Candle):
                last = self._known.get(message.topic)
                if last is not None and not last.closed and last.open_time_ns < event.open_time_ns:
                    received_ns = event.received_time_ns
                    events.append(attrs.evolve(last, closed=True, received_time_ns=received_ns))
                self._known[message.topic] = event
            events.append(event)
        return attrs.evolve(message, events=tuple(events))


@caught_by(INTERRUPTED)
class EndsThatWereMissedAreMadeUp(Bybit):
    """What was known of a candle when the connection was lost is called final afterwards."""

    def __init__(self) -> None:
        self._known: dict[str, Candle] = {}

    def codec(self, route: Route) -> Codec:
        return _Remembers(super().codec(route), self._known)


@caught_by(INTERRUPTED)
class MissedEndsAtOkxAreMadeUp(Okx):
    """As before, at another exchange."""

    def __init__(self) -> None:
        super().__init__()
        self._ends: dict[str, Candle] = {}

    def codec(self, route: Route) -> Codec:
        return _Remembers(super().codec(route), self._ends)
