"""Funding that is paid at other times than is told, and by other rates."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import orjson
from ccrs_binance import Binance
from ccrs_bybit import Bybit
from ccrs_okx import Okx

from ccrs_core.contract.codec import Codec
from ccrs_core.contract.exchange import Route
from ccrs_core.contract.rest import GetFundingHistory, HttpRequest, HttpResponse
from ccrs_core.emulator import Dialect
from ccrs_core.model.events import Funding, Ticker
from tests.mutants.calendars import DAY_NS, HOUR_NS, Changing
from tests.mutants.mutant import caught_by
from tests.mutants.wrappers import SpeaksThrough, Through, answering

UNLIKE = "test_funding_of_unlike_intervals_is_told_of_each"
CHANGED = "test_a_funding_interval_that_changes_is_followed"


def _paid_at(event: Any, time_ns: int | None) -> Any:
    """An event that tells another time of the next payment, where it tells one."""
    if isinstance(event, Ticker) and event.next_funding_time_ns is not None:
        return attrs.evolve(event, next_funding_time_ns=time_ns)
    if isinstance(event, Funding):
        return attrs.evolve(event, funding_time_ns=time_ns)
    return event


def _told_time(event: Any) -> int | None:
    if isinstance(event, Ticker):
        return event.next_funding_time_ns
    return event.funding_time_ns if isinstance(event, Funding) else None


@caught_by(UNLIKE, CHANGED)
class EveryEightHours(Bybit):
    """The next funding time is reckoned, by the interval that most instruments have."""

    def codec(self, route: Route) -> Codec:
        eight_ns = 8 * HOUR_NS
        return Changing(
            super().codec(route),
            lambda event: _paid_at(event, (event.received_time_ns // eight_ns + 1) * eight_ns),
        )


class _FirstForAll(Through):
    """Takes the time that was told first for everybody's, until it has passed."""

    _known = 0

    def event(self, event: Any) -> Any:
        told = _told_time(event)
        if told is not None and self._known <= event.received_time_ns:
            self._known = told
        return _paid_at(event, self._known)


@caught_by(UNLIKE)
class OneFundingTimeForAll(Binance):
    """The funding time of one instrument is taken for that of all."""

    def codec(self, route: Route) -> Codec:
        return _FirstForAll(super().codec(route))


class _FirstInterval(Through):
    """Learns an instrument's interval from its first ticker."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._intervals: dict[str, int] = {}

    def decode(self, frame: bytes, received_time_ns: int) -> Any:
        if b'"fundingIntervalHour"' in frame:
            data = orjson.loads(frame)["data"]
            hours = int(data["fundingIntervalHour"] or 8)
            self._intervals.setdefault(data["symbol"], hours * HOUR_NS)
            self._symbol = data["symbol"]
        elif frame.startswith(b'{"topic":"tickers.'):
            self._symbol = frame[18 : frame.index(b'"', 18)].decode()
        return super().decode(frame, received_time_ns)

    def event(self, event: Any) -> Any:
        interval_ns = self._intervals.get(getattr(self, "_symbol", ""))
        if interval_ns is None or _told_time(event) is None:
            return event
        return _paid_at(event, (event.received_time_ns // interval_ns + 1) * interval_ns)


@caught_by(CHANGED)
class TheFirstIntervalIsKept(Bybit):
    """The next funding time is reckoned, by the interval that the first ticker has told."""

    def codec(self, route: Route) -> Codec:
        return _FirstInterval(super().codec(route))


class _FirstStep(Through):
    """Counts on from the first time that it was told, by the interval seen first."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._first: dict[str, int] = {}

    def event(self, event: Any) -> Any:
        told = _told_time(event)
        if told is None:
            return event
        first_ns = self._first.setdefault(event.symbol, told)
        if event.received_time_ns < first_ns:
            return event
        # An exchange that pays at midnight alone or at eight is taken to pay every eight hours.
        step_ns = 8 * HOUR_NS if first_ns % (8 * HOUR_NS) == 0 else HOUR_NS
        return _paid_at(event, first_ns + step_ns)


@caught_by(UNLIKE, CHANGED)
class TheIntervalIsGuessed(Okx):
    """The interval is guessed from the first time that was told."""

    def codec(self, route: Route) -> Codec:
        return _FirstStep(super().codec(route))


def _of_today(event: Any) -> Any:
    told = _told_time(event)
    if told is None:
        return event
    return _paid_at(event, event.received_time_ns // DAY_NS * DAY_NS + told % DAY_NS)


@caught_by(UNLIKE)
class FundingOfToday(Okx):
    """Of the funding time the hour is read, and taken for one of today."""

    def codec(self, route: Route) -> Codec:
        return Changing(super().codec(route), _of_today)


class _LastRate(Through):
    """Tells of each instrument the rate that was read last."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._rate: Any = None

    def event(self, event: Any) -> Any:
        if not isinstance(event, Funding):
            return event
        self._rate, rate = event.rate, self._rate
        return event if rate is None else attrs.evolve(event, rate=rate)


@caught_by(UNLIKE)
class TheRateOfTheLastOne(Binance):
    """The rate is the one that was read before, of whichever instrument."""

    def codec(self, route: Route) -> Codec:
        return _LastRate(super().codec(route))


def _three_a_day(request: Any, rates: list[Funding]) -> list[Funding]:
    return [each for each in rates if not (each.funding_time_ns or 0) % (8 * HOUR_NS)]


@caught_by(UNLIKE, CHANGED)
class ThreeRatesADay(Binance):
    """What a history has between the usual three times a day is taken for noise."""

    endpoints: ClassVar[Any] = answering(Binance, GetFundingHistory, _three_a_day)


class _ThreeADay(SpeaksThrough):
    """An exchange whose history has three rates a day."""

    def answered(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if not request.path.endswith("/funding-rate-history"):
            return response
        body = orjson.loads(response.body)
        eight_ms = 8 * HOUR_NS // 10**6
        body["data"] = [row for row in body["data"] if not int(row["fundingTime"]) % eight_ms]
        return attrs.evolve(response, body=orjson.dumps(body))


@caught_by(UNLIKE, CHANGED)
class ThreeRatesADayAtOkx(Okx):
    """Emulator and plugin agree that a history has three rates a day."""

    def dialect(self) -> Dialect:
        return _ThreeADay(super().dialect())


class _NewRates(Through):
    """Tells a funding rate once."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self._rates: dict[str, Any] = {}

    def event(self, event: Any) -> Any:
        if not isinstance(event, Funding):
            return event
        known, self._rates[event.symbol] = self._rates.get(event.symbol), event.rate
        return None if known == event.rate else event


@caught_by(CHANGED)
class OnlyNewRatesAreTold(Binance):
    """Where the next payment is another one, but its rate what it was, nothing is told."""

    def codec(self, route: Route) -> Codec:
        return _NewRates(super().codec(route))


@caught_by(CHANGED)
class OnlyNewRatesAreToldByBybit(Bybit):
    """As before, where funding is told by tickers."""

    def codec(self, route: Route) -> Codec:
        return _NewRates(super().codec(route))
